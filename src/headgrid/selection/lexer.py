"""The lexer: the characters and numbers of a text, and the error that shows a place in it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import NoReturn

from headgrid.selection.words import INDEX

AROUND = 60
"""How many characters of a long text are shown before its faulty piece, of that piece, and after it."""

LONGEST_WORD = 200
"""The length of a text from which on it is no misspelled word: nothing is suggested for it."""


class SelectionError(ValueError):
    """A text that names what this model does not have, or that does not parse.

    Its message is the reason, and the text with marks under the faulty piece; of a long text what is around it.

    Attributes:
        text: what was given.
        start, end: the faulty piece of it, `text[start:end]`; empty where something is missing.
        reason: what was found, what is allowed there, and the closest valid word.
    """

    def __init__(self, text: str, start: int, end: int, reason: str) -> None:
        self.text, self.start, self.end, self.reason = text, start, end, reason
        first, last = max(0, start - AROUND), min(len(text), max(end, start) + AROUND, start + 2 * AROUND)
        cut = "..." if first else ""
        shown = cut + plain(text[first:last]) + ("..." if last < len(text) else "")
        marks = " " * (len(cut) + start - first) + "^" * max(1, min(end, last) - start)
        super().__init__(f"{reason}\n    {shown}\n    {marks}")

    def __reduce__(self) -> tuple[type[SelectionError], tuple[str, int, int, str]]:
        return type(self), (self.text, self.start, self.end, self.reason)


def plain(text: str) -> str:
    """A text on one line, as long as it was: what moves a cursor or colors a terminal is a blank."""
    return "".join(one if one.isprintable() else " " for one in text)


def short(text: str) -> str:
    """A piece of a text to be named in a sentence, quoted."""
    return repr(plain(text) if len(text) <= AROUND else plain(text[: AROUND - 3]) + "...")


@dataclass(frozen=True)
class Numbers:
    """The numbers that an index names; `star` where it takes whatever is there."""

    values: list[int]
    star: bool


class Lexer:
    """A text and the place in it that is read next; upper and lower case are the same, blanks are free."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def index(self, nouns: tuple[str, str], n: int) -> Numbers:
        """The numbers below `n` that `3`, `0-3`, `[0,2,5-7]` or `*` name; `nouns`: of one, of several."""
        if self.take("*"):
            return Numbers(list(range(n)), star=True)
        if not self.take("["):
            return Numbers(sorted(self.range(nouns, n)), star=False)
        opened = self.at - 1
        chosen = self.range(nouns, n)
        while self.take(","):
            chosen |= self.range(nouns, n)
        if not self.take("]"):
            self.fail(opened, 1, "this bracket is not closed")
        return Numbers(sorted(chosen), star=False)

    def range(self, nouns: tuple[str, str], n: int) -> set[int]:
        """The numbers of `3` or `0-3`, each below `n`."""
        start = self.skip()
        first = last = self.number(nouns, n)
        if self.match(r"\s*-\s*\d"):
            self.take("-")
            last = self.number(nouns, n)
        if last < first:
            self.fail(start, self.at - start, f"this range of {nouns[1]} runs backwards; write {last}-{first}")
        return set(range(first, last + 1))

    def number(self, nouns: tuple[str, str], n: int) -> int:
        """A number below `n`, of which there must be one here."""
        self.skip()
        digits = self.match(r"\d+")
        if not n:
            self.fail(self.at, len(digits), f"this model has no {nouns[1]}")
        if not digits:
            allowed = f"{span(n)}, a range such as 0-{n - 1}, a list such as [0,{n - 1}], or *"
            self.fail(self.at, len(self.here()), f"a {nouns[0]} is missing here: {allowed}")
        if len(digits) > 9 or int(digits) >= n:
            named = digits if len(digits) <= 20 else digits[:20] + "..."
            self.fail(self.at, len(digits), f"there is no {nouns[0]} {named}; this model's {nouns[1]} are {span(n)}")
        self.at += len(digits)
        return int(digits)

    # characters

    def skip(self) -> int:
        """Pass over blanks; the place where they end."""
        self.at += len(self.match(r"\s*"))
        return self.at

    def match(self, pattern: str) -> str:
        """The text that matches a pattern here, without passing over it; empty where none does."""
        found = _compiled(pattern).match(self.text, self.at)
        return found.group() if found else ""

    def take(self, symbol: str) -> bool:
        """Pass over a symbol, if it stands here after blanks."""
        self.skip()
        taken = self.text.startswith(symbol, self.at)
        self.at += len(symbol) if taken else 0
        return taken

    def here(self) -> str:
        """The word or symbol at this place, to be named in an error; empty at the end of the text."""
        self.skip()
        return self.match(r"[\w.*]+|\S")

    def fail(self, start: int, length: int, reason: str) -> NoReturn:
        """Raise the error of a place."""
        raise SelectionError(self.text, start, start + length, reason)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def closest(found: str, words: Iterable[str], alike: float = 0.5) -> str:
    """The end of a sentence about a word that is none: the one that may have been meant.

    Never one with other numbers than were found: a suggestion does not move to another layer or head.
    """
    if len(found) > LONGEST_WORD:
        return "."
    numbers = _numbers(found)
    same = [word for word in words if _numbers(word) == numbers or not _INDEX.search(word)]
    close = difflib.get_close_matches(found.lower(), same, n=1, cutoff=alike)
    return f"; did you mean {close[0]!r}?" if close else "."


_INDEX = re.compile(rf"\.\d+(?=\.|$)|^l\d|{INDEX}")
"""Where a word has the number of a layer or head in it; the number of `ln1` is none."""


def _numbers(word: str) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d{1,18}", word)]


def span(n: int) -> str:
    """The numbers below `n` in words."""
    return f"0 to {n - 1}" if n > 1 else "0 only"


def listed(words: Iterable[str]) -> str:
    """Words in a sentence: `a, b or c`."""
    items = list(dict.fromkeys(words))
    return ", ".join(items[:-1]) + (" or " if len(items) > 1 else "") + items[-1] if items else "nothing"
