"""The likely mistake behind a wrong selection, in a sentence that does not name what is right.

A sentence speaks of what was given and of how it differs, never of a layer or a head by its number: whoever reads it
has to look again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from headgrid.anatomy.anatomy import Anatomy, count_of
from headgrid.selection import parts, pieces
from headgrid.selection.parts import Parts
from headgrid.selection.pieces import NOUNS, PieceKind, SelectedPiece

SIDE = (
    "Of a head that is asked for whole, only a part is selected, such as one of its sides: a click selects all of it."
)
ORIGIN = "Layers and heads are counted from 0: the first ones have the number 0, not 1."
SWAPPED = "Layer and head are the other way round: l comes first and is the layer, h is the head."
SIBLING = "The layer is right, and so is the key/value head: a sibling is meant, which reads the same keys and values."
LAYER = "The layer is right, the head is not."
NUMBER = "The number of the head is right, its layer is not."
SHARED = (
    "What is too much is key and value weights that several heads share (grouped-query attention): they come along "
    "with a whole head, so select one of its sides, such as .q or .o, where one head alone is meant."
)
NOT_OTHERS = "The question is about something else than heads."
TOO_MANY = "All that is asked for is there, and more that is not: take out what does not belong."
NONE = "None of it is right."


def listed(words: Sequence[str]) -> str:
    """Some words in a sentence: "a head, a norm and an MLP"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


@dataclass(frozen=True)
class Compared:
    """A selection beside the right one.

    Attributes:
        anatomy: the model.
        given, right: the parts of both.
        allow: what pieces are counted.
    """

    anatomy: Anatomy
    given: Parts
    right: Parts
    allow: PieceKind

    @cached_property
    def wanted(self) -> frozenset[SelectedPiece]:
        """The right pieces."""
        return pieces.pieces(self.anatomy, self.right, self.allow)

    @cached_property
    def chosen(self) -> frozenset[SelectedPiece]:
        """The pieces that are selected."""
        return pieces.pieces(self.anatomy, self.given, self.allow)

    @cached_property
    def rest(self) -> Parts:
        """What is selected beside whole pieces, though the question is about these."""
        if self.allow == "anything":
            return {}
        return parts.difference(self.given, pieces.parts_of(self.anatomy, self.chosen, self.allow))

    @property
    def score(self) -> float:
        """The right pieces less the wrong ones, over how many there are; not below 0. What is beside pieces is one."""
        hits, wrong = len(self.chosen & self.wanted), len(self.chosen - self.wanted) + bool(self.rest)
        return max(0.0, (hits - wrong) / len(self.wanted))

    def said(self) -> str:
        """The likely mistake, and how much is right; "" where all is."""
        hits, wrong, missing = self.wanted & self.chosen, self.chosen - self.wanted, self.wanted - self.chosen
        if not (wrong or missing or self.rest):
            return ""
        if self.rest:
            found = self._beside()
        elif not missing:
            found = SHARED if self.allow == "anything" and pieces.shared_only(self.anatomy, wrong) else TOO_MANY
        elif not wrong:
            found = "Nothing of it is wrong, and something is missing."
        else:
            found = self.likely()
        return " ".join(filter(None, [found, self._counted(len(hits), len(wrong))])) or NONE

    def _counted(self, hits: int, wrong: int) -> str:
        n, noun = len(self.wanted), NOUNS[self.allow]
        if not hits:
            return f"None of your {noun}s is among the right ones." if wrong > 1 else ""
        if n == 1:
            return f"{wrong} of yours {'is' if wrong == 1 else 'are'} wrong." if wrong else ""
        also = f"; {wrong} of yours {'is' if wrong == 1 else 'are'} not" if wrong else ""
        return f"{hits} of {count_of(n, noun)} {'is' if hits == 1 else 'are'} right{also}."

    def _beside(self) -> str:
        """What is wrong with what is selected beside whole pieces."""
        asked = NOUNS[self.allow]
        others = [kind for kind in pieces.kinds(self.rest) if kind.split()[-1] != asked]
        if not others:
            return (
                SIDE if self.allow == "heads" else f"Only a part of an {asked} is selected: a click selects all of it."
            )
        plural = {"heads": "heads", "mlps": "MLPs", "experts": "experts"}[self.allow]
        return f"The question is about {plural}, and {listed(others)} is selected."

    def likely(self) -> str:
        """The likely mistake where pieces are wrong and others are missing; "" for none that is known."""
        given, right = (
            pieces.pieces(self.anatomy, one, "heads") for one in (self.given, self.right)
        )  # heads, whatever is counted
        wrong, missing = given - right, right - given
        if missing and not given:
            if pieces.halves(self.anatomy, self.given):
                return SIDE
            return f"The question is about a head, and {listed(pieces.kinds(self.given))} is selected."
        if given and not right:
            return NOT_OTHERS
        if not wrong or not missing:
            return ""
        if {(stack, layer - 1, n - 1) for stack, layer, n in wrong} <= missing:
            return ORIGIN
        if {(stack, n, layer) for stack, layer, n in wrong} <= missing:
            return SWAPPED
        groups = {pieces.group(self.anatomy, head) for head in missing if pieces.is_grouped(self.anatomy, head)}
        if any(pieces.group(self.anatomy, head) in groups for head in wrong):
            return SIBLING
        if {head[:2] for head in wrong} & {head[:2] for head in missing}:
            return LAYER if len(wrong) == 1 else "One of the layers is right, but not the head in it."
        if {(stack, n) for stack, _, n in wrong} & {(stack, n) for stack, _, n in missing}:
            return NUMBER if len(wrong) == 1 else "The number of one of the heads is right, but not its layer."
        return ""
