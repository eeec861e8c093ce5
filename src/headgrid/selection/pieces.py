"""A selection as pieces that are counted: whole heads, MLPs or experts, or single parts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, get_args

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.anatomy.roles import role_of
from headgrid.selection import parts
from headgrid.selection.parts import Parts
from headgrid.selection.words import LAYER_WORDS, OUTSIDE_WORDS

PieceKind = Literal["anything", "heads", "mlps", "experts"]
PIECE_KINDS: tuple[PieceKind, ...] = get_args(PieceKind)

NOUNS: dict[PieceKind, str] = {"anything": "part", "heads": "head", "mlps": "MLP", "experts": "expert"}
"""What one piece is called."""

SelectedPiece = tuple[str, int, int]
"""Where a piece is: the name of its stack (of a part: the key of its role), its layer and its number."""

HEAD = ("q", "k", "v", "o")
LETTERS: dict[PieceKind, str] = {"heads": "n", "mlps": "", "experts": "e"}
OWNERS: dict[PieceKind, tuple[str, ...]] = {"heads": HEAD, "mlps": LAYER_WORDS["mlp"].owners, "experts": ("expert",)}


def pieces(anatomy: Anatomy, chosen: Parts, kind: PieceKind) -> frozenset[SelectedPiece]:
    """The pieces of a kind that are selected whole; for "anything", the parts."""
    if kind == "anything":
        return frozenset((key, layer, n) for key, bits in chosen.items() for layer, n in np.argwhere(bits).tolist())
    found: list[SelectedPiece] = []
    for stack, roles in _stacks(anatomy, kind):
        whole, _, _ = parts.coverage(stack, chosen, roles, LETTERS[kind])
        found += [(stack.name, layer, n) for layer, n in np.argwhere(whole).tolist()]
    return frozenset(found)


def parts_of(anatomy: Anatomy, some: Iterable[SelectedPiece], kind: PieceKind) -> Parts:
    """The parts of pieces of a kind."""
    found: Parts = {}
    every = sorted(some)
    if kind == "anything":
        for key, layer, n in every:
            found.setdefault(key, np.zeros_like(anatomy.exists[key]))[layer, n] = True
        return found
    for stack, _ in _stacks(anatomy, kind):
        here = [(layer, n) for name, layer, n in every if name == stack.name]
        if not here:
            continue
        if kind == "heads":
            chosen = np.zeros((stack.n_layers, stack.n_heads), np.bool_)
            chosen[tuple(np.array(here).T)] = True
            found = parts.union(found, parts.heads(stack, chosen))
        for layer, n in here if kind != "heads" else ():
            numbers = None if kind == "mlps" else [n]
            found = parts.union(found, parts.pick(stack, OWNERS[kind], [layer], numbers))
    return found


def halves(anatomy: Anatomy, chosen: Parts) -> bool:
    """Whether any head is selected in part, beyond the key and value weights that it shares with one that is whole."""
    for stack, roles in _stacks(anatomy, "heads"):
        whole = parts.coverage(stack, chosen, roles, "n")[0]
        own = parts.coverage(stack, chosen, [key for key in roles if role_of(key).part_axis != "g"], "n")[1]
        shared = [chosen[key] for key in roles if key in chosen and role_of(key).part_axis == "g"]
        explained = parts.per_group(stack, whole | own).any(axis=-1)
        if (own & ~whole).any() or any((bits & ~explained).any() for bits in shared):
            return True
    return False


def group(anatomy: Anatomy, head: SelectedPiece) -> SelectedPiece:
    """The key/value head that a head reads."""
    stack, layer, n = head
    return stack, layer, int(anatomy.stack(stack).kv_head_of[n])


def is_grouped(anatomy: Anatomy, head: SelectedPiece) -> bool:
    """Whether a head shares its key and value weights with others."""
    stack = anatomy.stack(head[0])
    return stack.n_kv_heads < stack.n_heads


def kinds(chosen: Parts) -> list[str]:
    """What parts are of, in words: "a head", "an MLP", "a norm", "an embedding"."""
    found: dict[str, None] = {}
    for key in chosen:
        owner = role_of(key).owner
        if owner in HEAD:
            found["a head"] = None
        elif owner in OWNERS["experts"]:
            found["an expert"] = None
        elif owner in OWNERS["mlps"]:
            found["an MLP"] = None
        elif owner.startswith("ln"):
            found["a norm"] = None
        elif owner in OUTSIDE_WORDS:
            found["an embedding"] = None
        else:
            found["what is no head"] = None
    return list(found)


def shared_only(anatomy: Anatomy, wrong: frozenset[SelectedPiece]) -> bool:
    """Whether parts are all key and value weights that several heads read."""
    grouped = {key for stack in anatomy.stacks if stack.n_kv_heads < stack.n_heads for key in stack.roles("k", "v")}
    return bool(wrong) and all(key in grouped for key, _, _ in wrong)


def _stacks(anatomy: Anatomy, kind: PieceKind) -> Iterator[tuple[Stack, list[str]]]:
    """The stacks that have such pieces, with the roles that make one up."""
    for stack in anatomy.stacks:
        roles = stack.roles(*OWNERS[kind])
        if stack.n_layers and roles:
            yield stack, list(roles)
