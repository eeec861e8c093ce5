"""Unions of terms: the numbers of each are collected first, and made into arrays once, however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools, Stack
from headgrid.anatomy.roles import bare, rank, role_of
from headgrid.selection import parts
from headgrid.selection.parts import Parts
from headgrid.selection.words import LAYER_WORDS, SIDES
from headgrid.utils.frozen import kept


@dataclass(frozen=True, eq=False)
class Piece:
    """The parts that one word names in the layers of one stack, whatever its numbers.

    Attributes:
        stack: the stack of layers.
        letter: what its number counts, as in `parts.coverage`; "" where it has none.
        roles: the roles whose parts it names.
        there: which of them there are, `[n_layers, numbers]`.
    """

    stack: Stack
    letter: str
    roles: tuple[str, ...]
    there: Bools

    def of(self, chosen: Bools) -> Parts:
        """The parts with chosen numbers, `[n_layers, numbers]`."""
        return parts.nonempty(
            (role, parts.spread(self.stack, chosen, role, self.letter) & self.stack.exists[role]) for role in self.roles
        )

    def missing(self, layers: Sequence[int], numbers: Sequence[int]) -> list[int]:
        """Those of some layers that have no part with one of these numbers."""
        if len(layers) == len(numbers) == 1:
            return [] if self.roles and self.there[layers[0], numbers[0]] else [layers[0]]
        if not self.roles:
            return list(layers)
        some = np.asarray(self.there[np.ix_(layers, numbers)].any(axis=1))
        return [layer for layer, there in zip(layers, some.tolist(), strict=True) if not there]

    def has(self, role: str, layers: Sequence[int], numbers: Sequence[int]) -> bool:
        """Whether a role has a part with one of these numbers in one of these layers."""
        there = parts.existing(self.stack, role, self.letter)
        known = [number for number in numbers if number < there.shape[1]]
        return bool(there[np.ix_(layers, known)].any())


@kept
def piece(stack: Stack, word: str) -> Piece:
    """The piece that a word after a layer names."""
    said = LAYER_WORDS[word]
    return _piece(stack, said.axis, tuple(stack.roles(*said.owners)))


def count(stack: Stack, word: str) -> int:
    """How many numbers there are for a word, the same in every layer of a stack; 0 where the stack has none."""
    heads = {"n": stack.n_heads, "g": stack.n_kv_heads}
    return heads.get(LAYER_WORDS[word].axis) or int(piece(stack, word).there.shape[1])


@kept
def side(stack: Stack, word: str, suffix: str) -> Piece | None:
    """The piece that a word with a suffix such as `.q` or `.w_q` names; None where no role has it."""
    whole = piece(stack, word)
    roles = next((roles for name, roles in sides_of(whole.roles).items() if name.lower() == suffix), None)
    return _piece(stack, whole.letter, tuple(roles)) if roles else None


@kept
def _piece(stack: Stack, letter: str, roles: tuple[str, ...]) -> Piece:
    every = [parts.existing(stack, role, letter) for role in roles]
    there = np.zeros((stack.n_layers, max((one.shape[1] for one in every), default=0)), np.bool_)
    for one in every:  # roles of one owner may have fewer parts than others: experts of a layer, say
        there[:, : one.shape[1]] |= one
    there.flags.writeable = False
    return Piece(stack, letter, roles, there)


def narrowed(whole: Piece, roles: Iterable[str]) -> Piece:
    """A piece with some of its roles."""
    return _piece(whole.stack, whole.letter, tuple(roles))


def sides_of(found: Iterable[str]) -> dict[str, list[str]]:
    """The suffixes that a word with these roles may have, and the roles that each leaves of it."""
    roles = list(found)
    allowed = {name: [role for role in roles if role_of(role).owner in side.owners] for name, side in SIDES.items()}
    for role in roles:
        for name in dict.fromkeys((bare(role).split(".")[-1], bare(role))):
            allowed.setdefault(name, []).append(role)
    return {name: roles for name, roles in allowed.items() if roles}


class Union:
    """The terms of a union, in whatever order they come."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self._listed: dict[Piece, tuple[list[int], list[int]]] = {}
        self._chosen: dict[Piece, Bools] = {}
        self._names: set[str] = set()
        self._found: Parts = {}
        self._own: set[str] = set()  # roles whose array nobody else has, so that it can be written to

    def one(self, piece: Piece, layer: int, number: int) -> None:
        """Add one number of a piece in one layer."""
        listed = self._listed.get(piece)
        if listed is None:
            listed = self._listed[piece] = [], []
        listed[0].append(layer)
        listed[1].append(number)

    def block(self, piece: Piece, layers: Sequence[int], numbers: Sequence[int]) -> None:
        """Add some numbers of a piece in some layers."""
        if len(layers) == len(numbers) == 1:
            self.one(piece, layers[0], numbers[0])
        else:
            self._of(piece)[np.ix_(layers, numbers)] = True

    def heads(self, stack: Stack, chosen: Bools) -> None:
        """Add whole heads, `[n_layers, n_heads]`."""
        self._of(piece(stack, "h"))[chosen] = True

    def parameter(self, name: str) -> None:
        """Add what lies in one parameter, under its own name or a tied one."""
        self._names.add(name)

    def add(self, found: Parts) -> None:
        """Add parts."""
        for role, bits in found.items():
            mine = self._found.get(role)
            if mine is None:
                self._found[role] = bits
            elif role in self._own:
                np.logical_or(mine, bits, out=mine)
            elif mine is not bits:
                self._found[role] = mine | bits
                self._own.add(role)

    def merge(self, other: Union) -> None:
        """Add the terms of another union."""
        for piece, (layers, numbers) in other._listed.items():
            mine = self._listed.setdefault(piece, ([], []))
            mine[0].extend(layers)
            mine[1].extend(numbers)
        for piece, chosen in other._chosen.items():
            self._of(piece)[chosen] = True
        self._names |= other._names
        self.add(other._found)

    def parts(self) -> Parts:
        """All that was added."""
        for piece, (layers, numbers) in self._listed.items():
            self._of(piece)[layers, numbers] = True
        for piece, chosen in self._chosen.items():
            self.add(piece.of(chosen))
        if self._names:
            self.add(parts.parameters(self.anatomy, self._names))
        self._listed, self._chosen, self._names = {}, {}, set()
        self._own = set()  # they are the caller's now
        self._found = {role: self._found[role] for role in sorted(self._found, key=rank)}
        return dict(self._found)

    def _of(self, piece: Piece) -> Bools:
        chosen = self._chosen.get(piece)
        if chosen is None:
            chosen = self._chosen[piece] = np.zeros(piece.there.shape, np.bool_)
        return chosen
