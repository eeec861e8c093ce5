"""Tasks of the kinds that circuits were found on, written anew: our own sentences and words, for any tokenizer.

Published figures are of the authors' own prompts. These are of the same kind and not the same texts, so numbers on them
are not expected to be the published ones. All rows of a task have as many tokens, and a position means the same in
each: a mean over rows is then that of the position, as in most publications.

A task is made with a function `(tokenizer, n, seed)`; every one refuses a tokenizer that cuts its words into pieces.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from headgrid.demo.marked_names import marked_name_prompts
from headgrid.experiments.task import Task
from headgrid.utils import arguments

TaskMaker: TypeAlias = Callable[[Any, int, int], Task]
"""A function of a tokenizer, a number of rows and a seed."""


def _list(text: str) -> list[str]:
    return text.split()


PEOPLE = _list(
    "Alice Ben Clara Daniel Emma Frank Grace Henry Iris Jack Kate Leo Mary Noah Oliver Peter Rose Sam Tom Victor "
    "John Anna Paul Laura James Sarah David Lucy Mark Jane"
)
PLACES = _list("store park school garden museum library station market beach office")
THINGS = _list("drink book ball letter ring map key cake lamp box")
MEN = _list("John David Mark Paul James Peter Tom Jack Henry Frank Adam Eric Robert Kevin Brian")
WOMEN = _list("Mary Anna Laura Sarah Lucy Jane Emma Alice Rose Kate Julia Linda Susan Karen Helen")
CAPITALIZED = _list(
    "Central Public Local Modern Early Global Human Inner Joint Key Live Main New Open Power Quick Red Social Total "
    "Upper Valley Water Young Zone Area Board Council Data Energy Forum Group House Index Junior King Law Media"
)
SPANS = _list("war trip study project strike tour trial plague fall siege")
ARGUMENTS = _list("files load size last image color label value count width height index mode token order state")
SUBJECTS = _list("author doctor farmer teacher pilot writer manager")
OTHERS = _list("dancer driver actor guard singer")
KINDS = _list("teacher friend player writer driver")
NOUNS = _list("garden winter copper silver window market bridge forest letter engine island corner planet ticket")


def ioi(tokenizer: Any, n: int, seed: int) -> Task:
    """Two names, one of them said again: the other one comes next. Corrupted: three other names, none said twice.

    Indirect object identification, as of Wang et al. 2022; half of the rows name the answer first. Means over the
    corrupted prompts are theirs over p_ABC.
    """
    people, places, things = _words(tokenizer, PEOPLE, 5), _words(tokenizer, PLACES), _words(tokenizer, THINGS)
    draw, prompts, corrupted, right, wrong = random.Random(seed), [], [], [], []
    for row in range(n):
        subject, other, *others = draw.sample(people, 5)
        place, thing = draw.choice(places), draw.choice(things)
        pair = (other, subject) if row % 2 else (subject, other)
        prompts.append(_handed(*pair, place, subject, thing))
        corrupted.append(_handed(others[0], others[1], place, others[2], thing))
        right.append(f" {other}")
        wrong.append(f" {subject}")
    return _task(tokenizer, "indirect objects", prompts, right, wrong, corrupted)


def _handed(a: str, b: str, place: str, giver: str, thing: str) -> str:
    return f"Then {a} and {b} came to the {place}, and {giver} handed a {thing} to"


def greater_than(tokenizer: Any, n: int, seed: int) -> Task:
    """A span of years: the end is later than the beginning. Corrupted: the beginning is the year 01.

    Hanna et al. 2023 score the probability of all later years minus that of all others. This is the probability of the
    later ones; as nearly all of it is on years, theirs is about twice this minus one.
    """
    spans = _words(tokenizer, SPANS)
    years = {f"{year:02}": _id(tokenizer, f"{year:02}") for year in range(1, 100)}
    known = {text: found for text, found in years.items() if found is not None}
    begins = [(century, text) for century in range(11, 18) for text in _split(tokenizer, century, known)]
    if len(begins) < 20:
        raise ValueError(
            f"{_named(tokenizer)} makes two tokens, the century and the year, of {len(begins)} years: this task needs "
            "one that does so of most, such as that of GPT-2"
        )
    draw, prompts, corrupted, later = random.Random(seed), [], [], []
    for _ in range(n):
        century, year = draw.choice(begins)
        noun = draw.choice(spans)
        prompts.append(f"The {noun} lasted from the year {century}{year} to the year {century}")
        corrupted.append(f"The {noun} lasted from the year {century}01 to the year {century}")
        later.append([found for text, found in known.items() if text > year])
    return Task(tokenizer, prompts, answers=later, corrupted=corrupted, metric="prob", name="years")


def _split(tokenizer: Any, century: int, known: Mapping[str, int]) -> list[str]:
    """The years of a century, from 02 to 98, that are two tokens: the century, and the year; none where 01 is not."""
    first = _id(tokenizer, f" {century}")
    found = [
        text for text, one in known.items() if text < "99" and _ids(tokenizer, f" {century}{text}") == [first, one]
    ]
    return found[1:] if found[:1] == ["01"] else []


def pronouns(tokenizer: Any, n: int, seed: int) -> Task:
    """A rhetorical question about somebody with a name: "isn't he" or "isn't she". Corrupted: the name of the other."""
    names, kinds = [_words(tokenizer, MEN), _words(tokenizer, WOMEN)], _words(tokenizer, KINDS)
    draw, prompts, corrupted, right = random.Random(seed), [], [], []
    for row in range(n):
        name, other = draw.choice(names[row % 2]), draw.choice(names[1 - row % 2])
        kind = draw.choice(kinds)
        prompts.append(f"So {name} is a really good {kind}, isn't")
        corrupted.append(f"So {other} is a really good {kind}, isn't")
        right.append((" he", " she")[row % 2])
    return _task(tokenizer, "pronouns", prompts, right, [_other(one, " he", " she") for one in right], corrupted)


def acronyms(tokenizer: Any, n: int, seed: int) -> Task:
    """Three capitalized words and the first two letters of their acronym: the third letter comes next.

    García-Carrasco et al. 2024 predict all three letters; this is the last one alone. Corrupted: another third word.
    """
    words = [word for word in _words(tokenizer, CAPITALIZED, 8) if _id(tokenizer, word[0]) is not None]
    draw = random.Random(seed)
    prompts: list[list[int]] = []
    corrupted: list[list[int]] = []
    right, wrong = [], []
    while len(prompts) < n:
        *drawn, other = draw.sample(words, 4)
        letters = [word[0] for word in (*drawn, other)]
        if len(set(letters)) == 4:
            prompts.append(_begun(tokenizer, drawn, letters))
            corrupted.append(_begun(tokenizer, [*drawn[:2], other], letters))
            right.append(letters[2])
            wrong.append(letters[3])
    return _task(tokenizer, "acronyms", prompts, right, wrong, corrupted)


def _begun(tokenizer: Any, words: Sequence[str], letters: Sequence[str]) -> list[int]:
    """Token ids, each letter a token of its own: as a text, two letters may be one token together."""
    text = list(tokenizer(f"The {' '.join(words)} (")["input_ids"])
    return [*text, *(one for letter in letters[:2] for one in _ids(tokenizer, letter))]


def docstring(tokenizer: Any, n: int, seed: int) -> Task:
    """A function's arguments, two of them documented: the third comes next. Corrupted: other arguments in its head."""
    names, nouns = _words(tokenizer, ARGUMENTS, 11), _words(tokenizer, NOUNS, 8)
    draw, prompts, corrupted, right, wrong = random.Random(seed), [], [], [], []
    for _ in range(n):
        drawn, about = draw.sample(names, 11), draw.sample(nouns, 7)
        head, others = drawn[:6], drawn[6:]
        prompts.append(_documented(head, head[2:4], about))
        corrupted.append(_documented([*head[:2], *others[:3], head[5]], head[2:4], about))
        right.append(f" {head[4]}")
        wrong.append([f" {one}" for one in (*head[:4], head[5])])
    return _task(tokenizer, "docstrings", prompts, right, wrong, corrupted)


def _documented(head: Sequence[str], shown: Sequence[str], about: Sequence[str]) -> str:
    lines = [f"\ndef run(self, {', '.join(head)}):", f'    """The {about[0]} {about[1]} {about[2]}', ""]
    lines += [f"    :param {one}: {about[3 + 2 * i]} {about[4 + 2 * i]}" for i, one in enumerate(shown)]
    return "\n".join([*lines, "    :param"])


def agreement(tokenizer: Any, n: int, seed: int) -> Task:
    """A subject, a clause about it, and "is" or "are". Corrupted: the subject in the other number."""
    subjects = _words(tokenizer, SUBJECTS, 1)
    pairs = [(one, f"{one}s") for one in subjects if _id(tokenizer, f" {one}s") is not None]
    if not pairs:
        raise ValueError(f"{_named(tokenizer)} makes more tokens than one of every plural that this task has")
    others = _words(tokenizer, OTHERS)
    draw, prompts, corrupted, right = random.Random(seed), [], [], []
    for row in range(n):
        pair, other = draw.choice(pairs), draw.choice(others)
        prompts.append(f"The {pair[row % 2]} that liked the {other}")
        corrupted.append(f"The {pair[1 - row % 2]} that liked the {other}")
        right.append((" is", " are")[row % 2])
    return _task(tokenizer, "agreement", prompts, right, [_other(one, " is", " are") for one in right], corrupted)


def induction(tokenizer: Any, n: int, seed: int) -> Task:
    """The loss on the second copy of random tokens, as `Task.repeated` has it."""
    return Task.repeated(tokenizer, n, seed=seed)


def names(tokenizer: Any, n: int, seed: int) -> Task:
    """The name task of the models that ship with headgrid, as `Task.names` has it."""
    return Task.names(tokenizer, n, seed=seed)


def marked_names(tokenizer: Any, n: int, seed: int) -> Task:
    """The name task of the shipped model "names"; corrupted by a third name at the first mention."""
    clean, control = (marked_name_prompts(tokenizer, n, third=third, seed=seed) for third in (None, "first"))
    return Task(
        tokenizer, clean.ids, answers=clean.right, wrong=clean.wrong, corrupted=control.ids, name="marked names"
    )


# ---- words of a tokenizer


def _task(tokenizer: Any, name: str, prompts: Any, right: Any, wrong: Any, corrupted: Any) -> Task:
    return Task(tokenizer, prompts, answers=right, wrong=wrong, corrupted=corrupted, name=name)


def _other(given: str, one: str, other: str) -> str:
    return other if given == one else one


def _words(tokenizer: Any, words: Sequence[str], least: int = 1) -> list[str]:
    """Those words that are one token each with the blank before them.

    Raises:
        ValueError: when they are fewer than needed.
    """
    found = [word for word in words if _id(tokenizer, f" {word}") is not None]
    if len(found) < least:
        few = ", ".join(words[:3])
        raise ValueError(
            f"{_named(tokenizer)} makes one token of {len(found)} of the {len(words)} words of this task ({few}, ...), "
            f"and {least} are needed: give the tokenizer of the model that the circuit is of"
        )
    return found


def _id(tokenizer: Any, text: str) -> int | None:
    """The id of a text that is one known token; None where it is not."""
    ids = _ids(tokenizer, text)
    return ids[0] if len(ids) == 1 and ids[0] != getattr(tokenizer, "unk_token_id", None) else None


def _ids(tokenizer: Any, text: str) -> list[int]:
    if tokenizer is None or isinstance(tokenizer, type) or not callable(tokenizer):
        raise TypeError(f"tokenizer is the model's, one of transformers, not {arguments.shown(tokenizer)}")
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _named(tokenizer: Any) -> str:
    return f"this {type(tokenizer).__name__}"
