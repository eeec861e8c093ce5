"""The kinds of answers: how each is read, how it is written into a notebook, and how it is graded.

What is given for an answer is read before the right answer is known: reading says what is no answer at all.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from headgrid.anatomy.anatomy import Anatomy
from headgrid.course.mistakes import Compared
from headgrid.course.sealing import Kind, Sealed, seal_number, seal_pieces
from headgrid.selection import pieces
from headgrid.selection.pieces import NOUNS, PieceKind, SelectedPiece
from headgrid.selection.selection import Selection
from headgrid.utils import arguments

HALF = 0.5
"""What is given for the right heads in another order."""

WITHIN = 0.01
"""The relative tolerance of a number that is not whole, where none is given."""

REVERSED = "These are the right heads, in reversed order."
ORDER = "These are the right heads, in another order."
SIGN = "The size is right, the sign is not: which of both is taken from which?"
POWER = "The digits are right, the power of ten is not: is it in percent, or in another unit?"
BASE = "It would be right in logarithms of another base: natural logarithms give nats, those of base 2 bits."
NUMBER_OFF = "It is not within the tolerance of the right number."
CHOICE_OFF = "It is another one."


@dataclass(frozen=True)
class Grade:
    """What an answer comes to.

    Attributes:
        score: from 0 to 1.
        feedback: the likely mistake; "" where all is right.
    """

    score: float
    feedback: str = ""


class AnswerKind(Protocol):
    """A kind of answer. What `read` gives is what all else takes; it can be compared and hashed."""

    @property
    def kind(self) -> Kind:
        """Its name."""

    def read(self, given: Any) -> Any:
        """An answer of whatever form. A ValueError or TypeError in a sentence for what is none."""

    def right(self, answer: Any) -> Any:
        """The right answer, as `grade` takes it, of a plain value or a sealed one; errors as of `read`."""

    def grade(self, given: Any, right: Any) -> Grade:
        """What an answer comes to beside the right one."""

    def seal(self, answer: Any) -> Sealed:
        """The right answer as hashes."""

    def code(self, given: Any) -> str:
        """An answer as Python has it."""


@dataclass(frozen=True)
class SelectionKind:
    """A selection: clicks, words or code.

    Attributes:
        anatomy: the model.
        allow: what is counted.
    """

    anatomy: Anatomy
    allow: PieceKind
    kind: Kind = "selection"

    def read(self, given: Any) -> Selection:
        """The selection; a SelectionError, ValueError or TypeError as of `Anatomy.select`."""
        return self.anatomy.select(given)

    def right(self, answer: Any) -> Selection:
        """The right selection: of pieces that are counted, and not empty."""
        if isinstance(answer, Sealed):
            _fits(answer, self.kind, self.allow)
            every = sorted(pieces.pieces(self.anatomy, self.anatomy.select("full").parts, self.allow))
            found = pieces.parts_of(self.anatomy, answer.opened(every), self.allow)
            return Selection(self.anatomy, found)
        selected = self.anatomy.select(answer)
        compared = Compared(self.anatomy, selected.parts, selected.parts, self.allow)
        if not compared.wanted or compared.rest:
            what = f"{NOUNS[self.allow]}s, each of them whole" if self.allow != "anything" else "something"
            raise ValueError(f"the right answer is a selection of {what}, as allow={self.allow!r} says, not {selected}")
        return selected

    def grade(self, given: Selection, right: Selection) -> Grade:
        """The right pieces less the wrong ones, over how many there are."""
        compared = Compared(self.anatomy, given.parts, right.parts, self.allow)
        return Grade(compared.score, compared.said())

    def seal(self, answer: Any) -> Sealed:
        """Its pieces, each by itself."""
        found = pieces.pieces(self.anatomy, self.right(answer).parts, self.allow)
        return seal_pieces(self.kind, self.allow, found)

    def code(self, given: Selection) -> str:
        """Its words."""
        return json.dumps(str(given))


@dataclass(frozen=True)
class OrderKind:
    """Heads in an order: a list of them, each in whatever form a selection takes, or a text, `l0h1 -> l1h2`."""

    anatomy: Anatomy
    kind: Kind = "order"

    def read(self, given: Any) -> tuple[SelectedPiece, ...]:
        """The heads, each given alone."""
        if isinstance(given, Selection) or (isinstance(given, str) and "->" not in given):
            given = [given]
        heads = given.split("->") if isinstance(given, str) else arguments.items(
            "the answer", given, "a list of heads in their order, such as ['l0h1', 'l1h2']"
        )  # fmt: skip
        return tuple(map(self._head, heads))

    def _head(self, one: Any) -> SelectedPiece:
        if isinstance(one, str):
            one = one.strip()
        selected = self.anatomy.select(one)
        found = pieces.pieces(self.anatomy, selected.parts, "heads")
        if len(found) != 1 or pieces.parts_of(self.anatomy, found, "heads").keys() != selected.parts.keys():
            raise ValueError(f"each item of the answer is one head, such as 'l1h2', not {arguments.shown(one)}")
        return next(iter(found))

    def right(self, answer: Any) -> tuple[SelectedPiece, ...]:
        """The right heads in their order."""
        if isinstance(answer, Sealed):
            _fits(answer, self.kind, "")
            every = sorted(pieces.pieces(self.anatomy, self.anatomy.select("full").parts, "heads"))
            found = answer.opened((place, head) for place in range(len(answer.hashes)) for head in every)
            return tuple(head for _, head in found)
        return self.read(answer)

    def grade(self, given: tuple[SelectedPiece, ...], right: tuple[SelectedPiece, ...]) -> Grade:
        """How many are in their places, over the longer list; half of all for the right heads in another order."""
        hits = sum(one == other for one, other in zip(given, right, strict=False))
        score = hits / max(len(given), len(right))
        if score == 1:
            return Grade(1.0)
        if sorted(given) == sorted(right):
            return Grade(max(score, HALF), REVERSED if given == right[::-1] else ORDER)
        wrong, missing = set(given) - set(right), set(right) - set(given)
        said = [f"{hits} of {len(right)} heads {'is' if hits == 1 else 'are'} right, and in the right place."]
        if len(given) != len(right):
            said.append(f"The list is too {'long' if len(given) > len(right) else 'short'}.")
        elif wrong and missing:
            chosen, wanted = (pieces.parts_of(self.anatomy, some, "heads") for some in (wrong, missing))
            mistake = Compared(self.anatomy, chosen, wanted, "heads").likely()
            said = [mistake, *said] if mistake else said
        return Grade(score, " ".join(said))

    def seal(self, answer: Any) -> Sealed:
        """Each head with its place."""
        return seal_pieces(self.kind, "", enumerate(self.right(answer)))

    def code(self, given: tuple[SelectedPiece, ...]) -> str:
        """A list of words."""
        every = (pieces.parts_of(self.anatomy, [head], "heads") for head in given)
        return json.dumps([str(Selection(self.anatomy, found)) for found in every])


@dataclass(frozen=True)
class NumberKind:
    """A number.

    Attributes:
        tolerance: how far it may be from the right one, in its own unit; None for `relative`.
        relative: the same as a share of the right one; None for `tolerance`. Without both, a whole number is to be
            met and any other to a hundredth.
    """

    tolerance: float | None = None
    relative: float | None = None
    kind: Kind = "number"

    def read(self, given: Any) -> float:
        """The number."""
        return arguments.number("the answer", given)

    def right(self, answer: Any) -> Sealed:
        """Its hashes: a number is compared by its buckets alone, sealed or not."""
        if isinstance(answer, Sealed):
            if self.tolerance is not None or self.relative is not None:
                raise ValueError("a sealed number has its tolerance in it: give tolerance or relative to course.seal")
            _fits(answer, self.kind, answer.scale)
            return answer
        return self.seal(answer)

    def grade(self, given: float, right: Sealed) -> Grade:
        """All or nothing; what would have been right says the mistake."""
        if right.close(given):
            return Grade(1.0)
        if right.close(-given):
            return Grade(0.0, SIGN)
        if any(right.close(given * factor) for factor in (0.001, 0.01, 0.1, 10, 100, 1000)):
            return Grade(0.0, POWER)
        if any(right.close(given * factor) for factor in (math.log(2), 1 / math.log(2))):
            return Grade(0.0, BASE)
        return Grade(0.0, NUMBER_OFF)

    def foreseen(self, given: float, wrong: Iterable[float], right: Sealed) -> float:
        """Which of some wrong numbers is meant: the nearest of those that are as near as the right one has to be met.

        Without one, the given number itself.
        """
        size = 0.0 if right.scale == "e" else float(right.scale[1:])
        near = [one for one in wrong if abs(given - one) <= size * (abs(one) if right.scale[0] == "r" else 1)]
        return min(near, key=lambda one: abs(given - one), default=given)

    def seal(self, answer: Any) -> Sealed:
        """The buckets that are within its tolerance."""
        value, relative = arguments.number("answer", answer), self.relative
        if self.tolerance is None and relative is None and not float(value).is_integer():
            relative = WITHIN
        if relative is not None and value == 0:
            raise ValueError("relative is a share of the right number, which is 0: give tolerance")
        return seal_number(value, self.tolerance, relative)

    def code(self, given: float) -> str:
        """Its digits."""
        return repr(int(given) if given.is_integer() and abs(given) < 2**53 else given)


@dataclass(frozen=True)
class ChoiceKind:
    """One of several texts.

    Attributes:
        choices: the texts.
    """

    choices: Sequence[str] = field(default=())
    kind: Kind = "choice"

    def read(self, given: Any) -> str:
        """The choice, however it is spaced and in upper or lower case."""
        text = arguments.text("the answer", given)
        found = [one for one in self.choices if one.split() == text.split()]
        found = found or [one for one in self.choices if one.casefold().split() == text.casefold().split()]
        if len(found) != 1:
            raise ValueError(f"the answer is one of {', '.join(map(repr, self.choices))}, not {arguments.shown(given)}")
        return found[0]

    def right(self, answer: Any) -> str:
        """The right one."""
        if isinstance(answer, Sealed):
            _fits(answer, self.kind, "")
            return answer.opened(self.choices)[0]
        return self.read(answer)

    def grade(self, given: str, right: str) -> Grade:
        """All or nothing."""
        return Grade(1.0) if given == right else Grade(0.0, CHOICE_OFF)

    def seal(self, answer: Any) -> Sealed:
        """Its hash."""
        return seal_pieces(self.kind, "", [self.read(answer)])

    def code(self, given: str) -> str:
        """The text."""
        return json.dumps(given, ensure_ascii=False)


def _fits(answer: Sealed, kind: Kind, scale: str) -> None:
    if (answer.kind, answer.scale) != (kind, scale):
        also = f" of {answer.scale}" if answer.kind == "selection" else ""
        wanted = f" of {scale}" if kind == "selection" else ""
        raise ValueError(
            f"this sealed answer is a {answer.kind}{also}, and the exercise asks for a {kind}{wanted}; seal it with "
            "the same kind and allow"
        )
