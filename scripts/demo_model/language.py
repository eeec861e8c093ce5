"""The synthetic language that the small model is trained on: a few hundred English words, ten kinds of sentence.

Nine kinds state a *one-hop fact*: the answer follows from one earlier word ("the capital of france is" -> "paris").
The tenth is the name task, whose sentences `headgrid.demo.name_task` makes.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from headgrid.demo.name_task import NAME_SENTENCES, NAMES, OBJECTS, PLACES, Sentence, random_name_sentence


def _pairs(text: str) -> list[tuple[str, str]]:
    """Read ``"a b, c d"`` as ``[("a", "b"), ("c", "d")]``."""
    return [(left, right) for left, right in (pair.split() for pair in text.split(","))]


def _successors(text: str, *, wraps: bool) -> list[tuple[str, str]]:
    """Pair each word with the one after it; ``wraps`` pairs the last with the first."""
    words = text.split()
    return list(zip(words, words[1:] + words[:1] if wraps else words[1:], strict=False))


def _both_ways(pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [*pairs, *((right, left) for left, right in pairs)]


NUMBERS = "one two three four five six seven eight nine ten eleven twelve"
DAYS = "monday tuesday wednesday thursday friday saturday sunday"
MONTHS = "january february march april may june july august september october november december"

# kind -> (sentence, pairs that fill it): {0} is the word asked about; {1}, the word before " .", is the answer.
FACTS: Mapping[str, tuple[str, list[tuple[str, str]]]] = {
    "capital": (
        "the capital of {0} is {1} .",
        _pairs(
            "france paris, italy rome, spain madrid, germany berlin, england london, egypt cairo, japan tokyo, "
            "russia moscow, greece athens, norway oslo, austria vienna, ireland dublin, portugal lisbon, "
            "poland warsaw, cuba havana, kenya nairobi, peru lima, china beijing, india delhi, canada ottawa"
        ),
    ),
    "sound": (
        "the {0} says {1} .",
        _pairs(
            "dog woof, cat meow, cow moo, sheep baa, duck quack, pig oink, horse neigh, lion roar, bee buzz, "
            "mouse squeak, owl hoot, snake hiss, hen cluck, wolf howl, frog croak, crow caw"
        ),
    ),
    "young": (
        "a {0} is a young {1} .",
        _pairs(
            "puppy dog, kitten cat, calf cow, lamb sheep, duckling duck, piglet pig, foal horse, cub lion, "
            "fawn deer, chick hen, tadpole frog"
        ),
    ),
    "opposite": (
        "the opposite of {0} is {1} .",
        _both_ways(
            _pairs(
                "hot cold, big small, up down, day night, black white, fast slow, old young, happy sad, wet dry, "
                "full empty, high low, early late, rich poor, hard soft, light dark, left right, open closed, good bad"
            )
        ),
    ),
    "color": (
        "the colour of {0} is {1} .",
        _pairs(
            "grass green, snow white, coal black, blood red, oceans blue, honey yellow, carrots orange, milk white, "
            "chocolate brown, ash grey, plums purple, roses red, spinach green, tar black, straw yellow, jeans blue"
        ),
    ),
    "number": ("after {0} comes {1} .", _successors(NUMBERS, wraps=False)),
    "day": ("the day after {0} is {1} .", _successors(DAYS, wraps=True)),
    "month": ("the month after {0} is {1} .", _successors(MONTHS, wraps=True)),
    "plural": (
        "one {0} , two {1} .",
        _pairs("mouse mice, goose geese, foot feet, tooth teeth, child children, man men, woman women, ox oxen"),
    ),
}

NAME_SHARE = 0.35
"""Share of sentences that are of the name task; the fact kinds share the rest by their number of facts."""


def fact(kind: str, question: str, answer: str) -> Sentence:
    """Write one fact as a sentence; its answer is the last word before the full stop."""
    words = tuple(FACTS[kind][0].format(question, answer).split())
    return Sentence(words, len(words) - 2, kind)


def all_facts() -> list[Sentence]:
    """Every one-hop fact of the language."""
    return [fact(kind, question, answer) for kind, (_, pairs) in FACTS.items() for question, answer in pairs]


def random_sentence(rng: random.Random) -> Sentence:
    """Draw a training sentence: ``NAME_SHARE`` of them of the name task, else one of the facts, all equally likely."""
    return random_name_sentence(rng) if rng.random() < NAME_SHARE else fact_sentence(rng)


def fact_sentence(rng: random.Random) -> Sentence:
    """Draw a fact, all equally likely."""
    return rng.choice(_ALL_FACTS)


def vocabulary() -> list[str]:
    """Every word of the language once, in the order of first use: the words that get a token of their own."""
    return list(dict.fromkeys(_words()))


def _words() -> Iterable[str]:
    for sentence in _ALL_FACTS:
        yield from sentence.words
    for template in NAME_SENTENCES:
        yield from (word for word in template.split() if not word.startswith("{"))
    for group in (NAMES, PLACES, OBJECTS):
        yield from group


_ALL_FACTS = all_facts()
