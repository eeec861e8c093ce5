"""The sentences of the marked-name task, in which a name that was said twice is never the answer, and nothing else is
known: the blank is one of the names said exactly once, all of them equally likely.

So a third name at the second mention is itself a right answer, and "the name before the verb" says nothing. Some
sentences name two people at the second mention, one or both of them new.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from headgrid.demo.name_task import NAMES, OBJECTS, PLACES, held_out

OPENERS = (
    "when {names} went to the {place} ,",
    "after {names} came to the {place} ,",
    "while {names} were at the {place} ,",
    "at the {place} , {names} met and",
    "{names} sat in the {place} .",
)
"""How the first mention goes."""

ONE = (
    "{s} {verb} a {object} to",
    "then {s} {verb} a {object} to",
    "with a smile {s} {verb} the {object} to",
    "a {object} was {verb} by {s} to",
    "the {object} of {s} was {verb} to",
)
"""How the second mention of one name goes, up to the blank."""

TWO = (
    "{s} saw that {t} {verb} a {object} to",
    "{s} and {t} {verb} a {object} to",
    "for {s} the {object} of {t} was {verb} to",
)
"""The same for two names."""

NONE = ("a {object} was {verb} to",)

VERBS = ["gave", "handed", "passed", "sent", "showed", "sold"]
FILLERS = ["today", "quickly", "gladly", "slowly", "often"]
FILLER_SHARE = 0.15
"""How often a filler stands after a comma, a full stop, a name, a place or an object: so places vary."""
AGAIN = "again"
"""A filler of its own, as often, which follows a repeated name alone: it teaches to notice repetition *at* the name."""

SIZES, SIZE_SHARES = (2, 3, 4), (0.6, 0.25, 0.15)
"""How many names the first clause has, and how often."""
KINDS, KIND_SHARES = ("repeated", "new", "two", "none"), (0.40, 0.25, 0.30, 0.05)
"""Second mentions: one name said before, one new name, two of which one is new, no name."""


class MarkedSentence(NamedTuple):
    """A sentence: its words up to the blank, the names that may stand there, and what it is made of."""

    words: tuple[str, ...]
    right: tuple[str, ...]
    kind: str
    unseen_frames: bool


def unseen_frames(opener: int, frame: int) -> bool:
    """Whether an opener and a one-name frame never meet in training: five of the 25."""
    return (opener + frame) % 5 == 4


def random_sentence(
    rng: random.Random, *, kind: str | None = None, unseen: bool = False, frames: bool = False
) -> MarkedSentence:
    """Draw a sentence.

    Args:
        rng: the source.
        kind: the second mention, as in `KINDS`; drawn by default.
        unseen: whether the repeated name meets one that it never meets in training, rather than only others.
        frames: whether the two clauses never meet in training.
    """
    while True:
        found = _drawn(rng, rng.choices(KINDS, KIND_SHARES)[0] if kind is None else kind, unseen)
        if found is not None and (found.kind not in ("repeated", "new") or found.unseen_frames == frames):
            return found


def _drawn(rng: random.Random, kind: str, unseen: bool) -> MarkedSentence | None:
    first = rng.sample(NAMES, rng.choices(SIZES, SIZE_SHARES)[0])
    later = [rng.choice(first)] if kind in ("repeated", "two") else []
    if later and any(held_out(later[0], name) for name in first if name != later[0]) != unseen:
        return None
    if kind in ("new", "two"):
        later.append(rng.choice([name for name in NAMES if name not in first]))
    rng.shuffle(later)
    opener = rng.randrange(len(OPENERS))
    frames = {"two": TWO, "none": NONE}.get(kind, ONE)
    frame = rng.randrange(len(frames))
    place, thing, verb = rng.choice(PLACES), rng.choice(OBJECTS), rng.choice(VERBS)
    listed = " , ".join(first[:-1]) + " and " + first[-1]
    names = dict(zip("st", later, strict=False))
    text = f"{OPENERS[opener]} {frames[frame]}".format(names=listed, place=place, object=thing, verb=verb, **names)
    words = text.split()
    filled = []
    for word in words:
        repeated = word in first and word in filled
        filled.append(word)
        if repeated and rng.random() < FILLER_SHARE:
            filled.append(AGAIN)
        elif word in (",", ".", place, thing, *first, *later) and rng.random() < FILLER_SHARE:
            filled.append(rng.choice(FILLERS))
    said = [*first, *later]
    right = tuple(name for name in dict.fromkeys(said) if said.count(name) == 1)
    return MarkedSentence(tuple(filled), right, kind, kind in ("repeated", "new") and unseen_frames(opener, frame))


def vocabulary() -> list[str]:
    """Every word of these sentences once."""
    words = [word for frame in (*OPENERS, *ONE, *TWO, *NONE) for word in frame.split() if "{" not in word]
    return list(dict.fromkeys([*words, *VERBS, *FILLERS, AGAIN, *NAMES, *PLACES, *OBJECTS]))
