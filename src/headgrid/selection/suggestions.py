"""The terms of one stack that a text may become: what `headgrid.selection.completion` offers, the likeliest first.

They are made of the table of words, and only what this stack has is offered. Each is a term, or, such as `l1h`, the
beginning of one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Stack, count_of
from headgrid.anatomy.roles import role_of
from headgrid.selection import parts
from headgrid.selection.lexer import Lexer, SelectionError
from headgrid.selection.union import count, piece, sides_of
from headgrid.selection.words import LAYER_WORDS, NOUNS, OUTSIDE_WORDS, Word, squeezed

FEW = 6
"""How many numbers are offered beside other words."""

MANY = 10
"""How many numbers are offered by themselves."""

Item = tuple[str, str]

_NUMBER = re.compile(r"\s*(\*|\[[\d\s,-]*\]?|(?:\d+(?:\s*-\s*\d*)?)?)")


@dataclass(frozen=True)
class _Chosen:
    """Numbers as they were typed, and those that they name: none where they are not complete, or not there."""

    text: str
    values: list[int]
    star: bool


class Suggestions:
    """The terms of one stack, with what stands before them: `decoder `, or nothing.

    Attributes:
        outside: the words for what belongs to no layer, with their parts.
        words: the words after a layer, the likeliest first.
    """

    def __init__(self, anatomy: Anatomy, stack: Stack, before: str) -> None:
        self.stack, self.before = stack, before
        self.outside = {
            text: found
            for text, word in OUTSIDE_WORDS.items()
            if (found := parts.outside_layers(anatomy, stack, word.owners))
        }
        grouped = stack.n_kv_heads < stack.n_heads
        there = [
            word
            for word in LAYER_WORDS.values()
            if word.text and stack.roles(*word.owners) and (word.axis != "g" or grouped)
        ]
        self.words = sorted(there, key=lambda word: word.offered)
        self.layered = bool(there)

    def terms(self, typed: str) -> Iterator[Item]:
        """The terms that begin with a text."""
        layer = re.match(r"l(?![a-z_])", typed, re.IGNORECASE)
        if layer and self.layered:
            yield from self._layer(typed[1:])
        if not layer or len(typed) == 1:
            yield from self._others(typed)

    def everywhere(self, typed: str) -> Iterator[Item]:
        """The terms of every layer that begin with a text which needs a layer before it: `mlp`, `h3`."""
        if self.layered and re.match(r"[a-z]", typed, re.IGNORECASE):
            yield from self._after(f"{self.before}l*", _chosen("*", self.stack.n_layers), typed)

    def like(self, typed: str, words: Sequence[str]) -> Iterator[Item]:
        """Words close to a misspelled one: some that are given, and those for what belongs to no layer."""
        for word in _near(typed, [*words, *self.outside]):
            yield self.before * (word in self.outside) + word, NOUNS.get(word, "")

    def _others(self, typed: str) -> Iterator[Item]:
        """Terms without a layer; and, where nothing is typed yet, a few with one."""
        word, dot, side = typed.strip().lower().partition(".")
        if dot:
            yield from self._sides(self.before + word, self.outside.get(word, ()), side)
            return
        if not word and self.layered:
            first = _chosen("0", self.stack.n_layers)
            yield f"{self.before}l0", self._spoken("0")
            yield from islice(self._pieces(f"{self.before}l0", first, ""), 3)
        yield from ((self.before + one, NOUNS[one]) for one in self.outside if one.startswith(word))

    def _layer(self, typed: str) -> Iterator[Item]:
        """The terms that begin with `l` and this."""
        number, rest = _split(typed)
        layers = _chosen(number, self.stack.n_layers)
        head = f"{self.before}l{number}"
        if rest or typed != typed.rstrip():
            if layers.values:
                yield from self._after(head, layers, rest)
            return
        more = [(f"{self.before}l{n}", self._spoken(n)) for n in _numbers(number, self.stack.n_layers)]
        if layers.values:
            yield head, self._spoken(number)
            pieces = list(self._pieces(head, layers, ""))
            yield from (*pieces[:3], *more[:FEW], *pieces[3:])
        yield from more

    def _after(self, head: str, layers: _Chosen, rest: str) -> Iterator[Item]:
        """The terms that begin with a layer and this; those with a word close to it where none does."""
        typed = squeezed(rest)
        if typed.startswith("."):
            yield from self._sides(head, self._there(LAYER_WORDS[""], layers), typed[1:])
            return
        found: list[Item] = []
        for word in self.words:
            left = typed.removeprefix(squeezed(word.text))
            if left == typed:
                continue
            if word.axis and not left[:1].isalpha():
                found += self._numbered(head, layers, word, left)
            elif left.startswith(".") and self._fits(word, layers):
                found += self._sides(head + word.after_layer, self._there(word, layers), left[1:])
        found += self._pieces(head, layers, typed)
        yield from found or self._pieces(head, layers, typed, meant=True)

    def _pieces(self, head: str, layers: _Chosen, typed: str, meant: bool = False) -> Iterator[Item]:
        """Words after a layer that begin with a text, or, for `meant`, that are close to it."""
        keys = {squeezed(word.text): word for word in self.words if self._fits(word, layers)}
        for key in _near(typed, keys) if meant else [key for key in keys if key.startswith(typed)]:
            word = keys[key]
            if not word.axis:
                yield head + word.after_layer, word.noun
            elif key != typed:  # a word that waits for its number says nothing new once it is typed
                yield head + word.after_layer, count_of(count(self.stack, word.text), word.noun, word.plural)

    def _numbered(self, head: str, layers: _Chosen, word: Word, typed: str) -> Iterator[Item]:
        """The terms that begin with a word and the beginning of a number, such as `h` and `3`."""
        text, rest = _split(typed)
        n, where = count(self.stack, word.text), self._spoken(layers.text)
        one, many = word.noun, word.plural

        def item(number: str) -> Item:
            said = f"{one} {number}" if number.isdigit() else f"all {many}" if number == "*" else f"{many} {number}"
            one_each = number.isdigit() and layers.text.isdigit()
            return head + word.after_layer + number, f"{where} {said}" if one_each else f"{said} of {where}"

        there = bool(_chosen(text, n).values) and self._fits(word, layers, text)
        if rest:
            if rest.startswith(".") and there:
                yield from self._sides(item(text)[0], self._there(word, layers), rest[1:])
            return
        more = [item(number) for number in _numbers(text, n) if self._fits(word, layers, number)]
        if there:
            yield item(text)
            sides = self._sides(item(text)[0], self._there(word, layers), "")
            yield from (*islice(sides, FEW), *more[:FEW])
        yield from more

    def _sides(self, head: str, roles: Iterable[str], typed: str) -> Iterator[Item]:
        """The sides of a word that begin with a text."""
        for side in sides_of(roles):
            if side.lower().startswith(typed.lower()):
                yield f"{head}.{side}", NOUNS.get(side, "")

    def _there(self, word: Word, layers: _Chosen) -> list[str]:
        """Those roles of a word that one of these layers has."""
        exists, roles = self.stack.exists, piece(self.stack, word.text).roles
        return [role for role in roles if parts.any_and_all(exists[role], exists[role])[0][layers.values].any()]

    def _fits(self, word: Word, layers: _Chosen, number: str = "") -> bool:
        """Whether a word may follow these layers: all of them have it, or after a `*` one has; so with its number."""
        found = np.zeros(len(layers.values), np.bool_)
        first = re.search(r"\d+", number)
        for role in self._there(word, layers):
            there = self.stack.exists[role]
            if first is None:
                found |= parts.any_and_all(there, there)[0][layers.values]
            else:  # they are numbered from 0, so what has the smallest of several has the word
                part = self._own(role, word.axis, int(first.group()))
                found |= there[layers.values, part] if part < there.shape[1] else False
        star = layers.star or (bool(word.axis) if not number else number == "*")
        return bool(found.any() if star else found.all())

    def _own(self, role: str, letter: str, number: int) -> int:
        """A part of a role that belongs to a numbered word."""
        match letter, role_of(role).part_axis:
            case "n", "g":
                return int(self.stack.kv_head_of[number])
            case "g", "n":
                return int(np.searchsorted(self.stack.kv_head_of, number))
        return number

    def _spoken(self, layers: str) -> str:
        """Layers in words: `layer 3`, `encoder layers 0-2`, `all 12 layers`."""
        if layers == "*":
            return f"all {count_of(self.stack.n_layers, self.before + 'layer')}"
        return f"{self.before}layer{'' if layers.isdigit() else 's'} {layers}"


def _near(found: str, words: Iterable[str]) -> list[str]:
    """The words that are close to a misspelled one."""
    return difflib.get_close_matches(found.lower(), list(words), n=3, cutoff=0.6)


def _chosen(text: str, n: int) -> _Chosen:
    """The numbers below `n` that a text names."""
    lexer = Lexer(text)
    try:
        found = lexer.index(("number", "numbers"), n)
    except SelectionError:
        return _Chosen(text, [], False)
    return _Chosen(text, found.values, found.star) if lexer.at == len(text) else _Chosen(text, [], False)


def _split(typed: str) -> tuple[str, str]:
    """The number that a text begins with, without blanks, and what comes after it."""
    found = _NUMBER.match(typed)
    number = found.group() if found else ""
    return squeezed(number), typed[len(number) :].strip()


def _numbers(begun: str, n: int) -> Iterator[str]:
    """Numbers, ranges and lists that begin with a text, itself left out."""
    if begun.endswith(("*", "]")) or re.search(r"(?<!\d)-", begun):  # a range begins with a number
        return
    digits = (re.findall(r"\d*$", begun) or [""])[0]
    head = begun.removesuffix(digits) if digits else begun
    listed, before = "[" in head, [int(number) for number in re.findall(r"\d+", head)]
    least = before[-1] + 1 if head.endswith("-") else 0
    taken = set() if head.endswith("-") else set(before)
    longer = (i for i in _beginning(digits, n) if i >= least and i not in taken)
    if listed:
        yield from (f"{head}{i}]" for i in islice(longer, MANY))
    else:
        yield from (f"{head}{i}" for i in islice(longer, MANY) if f"{head}{i}" != begun)
    if not begun and n > 1:
        yield "*"
    elif digits and not head and int(digits) < n - 1:
        yield f"{begun}-{n - 1}"


def _beginning(digits: str, n: int) -> Iterator[int]:
    """Numbers below `n` whose digits begin so, the smallest first."""
    if not digits:
        yield from range(n)
    elif len(digits) < 10 and (digits == "0" or digits[0] != "0"):
        low, high = int(digits), int(digits) + 1
        while low < n:
            yield from range(low, min(high, n))
            low, high = 10 * low, 10 * high
            if not low:
                return
