"""The operators of a selection's text: unions, intersections, differences and complements of what is between them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.selection import parts
from headgrid.selection.lexer import Lexer, short
from headgrid.selection.union import Piece, Union, piece, side
from headgrid.selection.words import BY_AXIS, NUMBERED, squeezed
from headgrid.utils.frozen import kept

DEEPEST = 50
"""How deep parentheses and complements may be nested: far beyond use, and within Python's own stack."""


_NUMBERED_PIECE = re.compile(
    rf"\s*l\s*(\d{{1,9}})\s*({NUMBERED})\s*(\d{{1,9}})\s*(?:\.\s*(\w+)\s*)?(?!-\s*\d)([|,&)-]|\Z)", re.IGNORECASE
)
"""One numbered piece of one layer, with what comes after it: what long texts are made of."""

_AS_PRINTED = {squeezed(word.text): word.text for word in BY_AXIS.values()}
"""A numbered word without blanks -> as it is printed."""

_OPERAND = re.compile(r"\s*((?!layer|block|head)[^|&,()\[\]\s][^|&,()\[\]]{0,200}?)\s*([|&,)]|\Z)", re.IGNORECASE)
"""A piece of text without operators looser than `-`; words that may go on after a comma are none."""


class Expression(Lexer, ABC):
    """Recursive descent over one text; `at` is the place that is read next.

    What is found is added to a union: only operands of `&`, `-` and `~` are made into arrays before the end.

    Attributes:
        anatomy: the model whose words are read.
        stack: where they are looked up.
    """

    stack: Stack

    def __init__(self, anatomy: Anatomy, text: str) -> None:
        super().__init__(text)
        self.anatomy, self.depth = anatomy, 0

    @abstractmethod
    def word(self, found: Union) -> None:
        """Read a word, or say that there is none."""

    @abstractmethod
    def name_or_notation(self, found: Union) -> bool:
        """Read a name, or another notation, where one is here; it may begin like an operator."""

    def end(self) -> None:
        """Say what is wrong with what is left."""
        if here := self.here():
            self.fail(self.at, len(here), f"{short(here)} cannot follow here; join two terms with |, &, - or a comma")

    # operators, the loosest first; what they find is added to a union

    def union(self, found: Union) -> None:
        """Read terms that are joined by `|` or a comma."""
        seen: set[str] = set()
        while True:
            if not (self.numbered_pieces(found, "|,", ")") or self.repeated(seen, "|,)")):
                self.read_once(seen, self.intersection, found)
            if not (self.take("|") or self.take(",")):
                return

    def intersection(self, found: Union) -> None:
        """Read terms that are joined by `&`."""
        first = Union(self.anatomy)
        self.difference(first)
        if not self.take("&"):
            found.merge(first)
            return
        common = first.parts()
        seen: set[str] = set()
        while True:
            if not self.repeated(seen, "&|,)"):
                other = Union(self.anatomy)
                self.read_once(seen, self.difference, other)
                common = parts.intersection(common, other.parts()) if common else common
            if not self.take("&"):
                break
        found.add(common)

    def difference(self, found: Union) -> None:
        """Read terms that are joined by `-`."""
        first = Union(self.anatomy)
        self.term(first)
        if not self.take("-"):
            found.merge(first)
            return
        rest = Union(self.anatomy)
        while True:
            if not self.numbered_pieces(rest, "-", "|,&)"):
                self.term(rest)
            if not self.take("-"):
                break
        found.add(parts.difference(first.parts(), rest.parts()))

    def repeated(self, seen: set[str], off: str) -> bool:
        """Pass over an operand that this expression had before, with the same operator; whether one is here."""
        hit = _OPERAND.match(self.text, self.at)
        if hit is None or hit[1] not in seen or (hit[2] and hit[2] not in off):
            return False
        self.at = hit.end(1)
        return True

    def read_once(self, seen: set[str], read: Callable[[Union], None], found: Union) -> None:
        """Read an operand, and add its text to those seen if it is one piece of text."""
        hit = _OPERAND.match(self.text, self.at)
        read(found)
        if hit is not None and hit.start(2) == self.skip():
            seen.add(hit[1])

    def numbered_pieces(self, found: Union, on: str, off: str) -> bool:
        """Read numbered pieces one by one, as long as one of the operators `on` joins them.

        Returns:
            Whether what comes next is an operator or the end. Where it is not, it is for another method to read.
        """
        stack = self.stack
        while True:
            hit = _NUMBERED_PIECE.match(self.text, self.at)
            if hit is None:
                return False
            layer, word, number, suffix, after = hit.groups()
            if after and after not in on and after not in off:
                return False
            of = _numbered_piece(stack, word, suffix)
            layer, number = int(layer), int(number)
            if of is None or layer >= of.there.shape[0] or number >= of.there.shape[1] or not of.there[layer, number]:
                return False
            found.one(of, layer, number)
            self.at = hit.end() - len(after)
            if not after or after in off:
                return True
            self.at += 1

    def term(self, found: Union) -> None:
        """Read what stands between two operators."""
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(self.at, 1, f"this is nested deeper than {DEEPEST} levels")
        self.nested(found)
        self.depth -= 1

    def nested(self, found: Union) -> None:
        """Read a complement, a parenthesis or a word."""
        if self.take("~"):
            inside = Union(self.anatomy)
            self.term(inside)
            found.add(parts.difference(parts.everything(self.anatomy), inside.parts()))
            return
        if self.name_or_notation(found):
            return
        if self.take("("):
            opened = self.at - 1
            self.union(found)
            if not self.take(")"):
                self.fail(opened, 1, "this parenthesis is not closed")
            return
        self.word(found)


@kept
def _numbered_piece(stack: Stack, word: str, suffix: str | None) -> Piece | None:
    """The piece that a numbered word and its suffix name, as they are typed; None where there is none."""
    word = _AS_PRINTED[squeezed(word)]
    found = piece(stack, word) if suffix is None else side(stack, word, suffix.lower())
    return found if found and found.roles else None
