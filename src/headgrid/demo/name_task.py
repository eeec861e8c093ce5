"""The name task and its sentences, which the small model is trained on and asked.

Indirect object identification (Wang et al. 2022, arXiv:2211.00593): "when mary and john went to the store , john gave a
drink to" -> "mary", where the answer is the name that was said only once. Words are separated by one space, punctuation
included; everything is lower case.
"""

from __future__ import annotations

import random
from typing import NamedTuple


class Sentence(NamedTuple):
    """One sentence: its words, the index of the word that is the answer, and the kind it belongs to."""

    words: tuple[str, ...]
    answer: int
    kind: str


def _list(text: str) -> list[str]:
    return text.split()


NAMES = _list(
    "mary john anna peter lucy david emma tom sarah james alice paul "
    "rose simon clara henry julia max nora felix ella oscar ruth hugo"
)
PLACES = _list("store park school garden river library station beach market museum castle forest")
OBJECTS = _list("drink book ball letter flower hat ring map key cake lamp coin")

# {a} and {b} are the two names in the order of their first mention, {s} (said twice) is one of them, {io} the other.
NAME_SENTENCES = (
    "when {a} and {b} went to the {place} , {s} gave a {object} to {io} .",
    "after {a} and {b} came to the {place} , {s} handed a {object} to {io} .",
    "while {a} and {b} were at the {place} , {s} passed a {object} to {io} .",
)

NAME_KIND = "name"


def held_out(name: str, other: str) -> bool:
    """Whether this pair of names, in either order, never meets in training: a tenth of the pairs, mary and john too."""
    return (NAMES.index(name) + NAMES.index(other)) % 10 == 1


def name_sentence(template: str, a: str, b: str, subject: str, place: str, thing: str) -> Sentence:
    """Write one sentence of the name task; ``subject`` is ``a`` or ``b``, and the answer is the other one."""
    other = b if subject == a else a
    words = tuple(template.format(a=a, b=b, s=subject, io=other, place=place, object=thing).split())
    return Sentence(words, len(words) - 2, NAME_KIND)


def random_name_sentence(rng: random.Random, *, unseen: bool = False) -> Sentence:
    """Draw a sentence of the name task: over the training pairs, or, if ``unseen``, over the held-out ones."""
    while True:
        a, b = rng.sample(NAMES, 2)
        if held_out(a, b) == unseen:
            template = rng.choice(NAME_SENTENCES)
            return name_sentence(template, a, b, rng.choice((a, b)), rng.choice(PLACES), rng.choice(OBJECTS))
