"""Sets of parts as boolean arrays, one per role, and their algebra.

Set algebra on selections is array algebra here. A role of which no part is chosen is absent, so that equal sets are
equal dictionaries, and a selection of heads costs nothing for the neurons of a large model.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.anatomy import Anatomy, Bools, Stack
from headgrid.anatomy.roles import rank, role_of

Parts = dict[str, Bools]
"""Key of a role -> which of its parts, shape as in `Anatomy.exists`; never an array without a True."""


def nonempty(found: Iterable[tuple[str, Bools]]) -> Parts:
    """A set from arrays of which some may be empty."""
    return {role: bits for role, bits in found if bits.any()}


def everything(anatomy: Anatomy) -> Parts:
    """All parts of a model."""
    return dict(anatomy.exists)


def union(left: Parts, right: Parts) -> Parts:
    """The parts that are in either."""
    found = {**left, **right, **{role: left[role] | right[role] for role in left if role in right}}
    return {role: found[role] for role in sorted(found, key=rank)}


def intersection(left: Parts, right: Parts) -> Parts:
    """The parts that are in both."""
    return nonempty((role, bits & right[role]) for role, bits in left.items() if role in right)


def difference(left: Parts, right: Parts) -> Parts:
    """The parts that are in the first only."""
    found: Parts = {}
    for role, bits in left.items():
        other = right.get(role)
        if other is None:
            found[role] = bits
        elif other is not bits and (rest := bits > other).any():
            found[role] = rest
    return found


def complement(anatomy: Anatomy, chosen: Parts) -> Parts:
    """All parts of a model but these."""
    # most roles, or there would be much to compare
    whole = {role for role, bits in chosen.items() if any_and_all(anatomy.exists[role], bits)[1].all()}
    return difference({role: bits for role, bits in anatomy.exists.items() if role not in whole}, chosen)


def equal(left: Parts, right: Parts) -> bool:
    """Whether two sets have the same parts."""
    return left.keys() == right.keys() and all(np.array_equal(bits, right[role]) for role, bits in left.items())


def pick(
    stack: Stack, owners: Sequence[str], layers: Sequence[int] | None = None, parts: Sequence[int] | None = None
) -> Parts:
    """The parts of these owners in these layers: those with these numbers, or all that there are."""
    rows = slice(None) if layers is None else np.asarray(layers, dtype=np.intp)
    found: list[tuple[str, Bools]] = []
    for role in stack.roles(*owners):
        there = stack.exists[role]
        in_rows, in_columns = np.zeros(there.shape[0], np.bool_), np.zeros(there.shape[1], np.bool_)
        in_rows[rows] = True
        if parts is None:
            in_columns[:] = True
        else:  # roles of one owner may have fewer parts than others: experts of a layer, say
            in_columns[[part for part in parts if part < len(in_columns)]] = True
        found.append((role, in_rows[:, None] & in_columns & there))
    return nonempty(found)


def numbered(stack: Stack, owners: Sequence[str], chosen: Bools) -> Parts:
    """The parts of these owners with chosen numbers in each layer, `[n_layers, numbers]`; one number is all of them."""
    return nonempty((role, chosen & stack.exists[role]) for role in stack.roles(*owners))


def heads(stack: Stack, chosen: Bools) -> Parts:
    """Whole heads: their query and output sides, and the key and value sides of the heads that they read.

    Args:
        stack: the stack of layers.
        chosen: which heads, shape `[n_layers, n_heads]`.
    """
    groups = np.asarray(per_group(stack, chosen).any(axis=-1))
    return union(numbered(stack, ("q", "o"), chosen), numbered(stack, ("k", "v"), groups))


def siblings(anatomy: Anatomy, chosen: Parts) -> Parts:
    """The heads that read chosen key or value weights, of which no query or output weight is chosen."""
    found: Parts = {}
    for stack, bits in sibling_heads(anatomy, chosen):
        found = union(found, heads(stack, bits))
    return found


def sibling_heads(anatomy: Anatomy, chosen: Parts) -> Iterator[tuple[Stack, Bools]]:
    """The same of each stack that has any key or value weight chosen, `[n_layers, n_heads]`."""
    for stack in anatomy.stacks:
        if stack.n_kv_heads < stack.n_heads:
            of_heads = [chosen[key] for key in stack.roles("q", "o") if key in chosen]
            shared = [chosen[key] for key in stack.roles("k", "v") if key in chosen]
            if shared:
                readers = np.logical_or.reduce(shared)[:, stack.kv_head_of]
                own = np.logical_or.reduce(of_heads) if of_heads else np.zeros_like(readers)
                yield stack, np.asarray(readers & ~own)


def spread(stack: Stack, chosen: Bools, role: str, letter: str) -> Bools:
    """The parts of a role that belong to chosen numbered pieces, `[n_layers, n_parts]` or what broadcasts to it.

    Args:
        stack: the stack of layers.
        chosen: which pieces, `[n_layers, numbers]`.
        role: a role of theirs.
        letter: what the numbers count, as in `coverage`.
    """
    axis = role_of(role).part_axis
    if letter == "n" and axis == "g":
        return np.asarray(per_group(stack, chosen).any(axis=-1))
    if letter == "g" and axis == "n":
        return np.asarray(chosen[:, stack.kv_head_of])
    return chosen if letter in ("", "n", "g") else chosen[:, : stack.exists[role].shape[1]]


def per_group(stack: Stack, of_heads: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """An array over heads with the heads of each key/value head side by side: `[n_layers, n_kv_heads, heads each]`."""
    return of_heads.reshape(len(of_heads), stack.n_kv_heads, stack.n_heads // stack.n_kv_heads)


def coverage(stack: Stack, chosen: Parts, roles: Iterable[str], letter: str) -> tuple[Bools, Bools, Bools]:
    """Which numbered pieces of each layer are chosen whole, and which in part.

    Args:
        stack: the stack of layers.
        chosen: a set of parts.
        roles: the roles that make up a piece.
        letter: what the numbers count: `n` heads, `g` key/value heads with their readers, `f` neurons, `e`
            experts, or nothing (`""`), where a layer has one such piece.

    Returns:
        `whole, some, there`, each `[n_layers, numbers]`: whether all parts of the piece are chosen, whether some are,
        and whether it has any.
    """
    there = np.zeros((1, 1), np.bool_)
    whole, some = ~there, there
    for role in roles:
        exists = existing(stack, role, letter)
        there = there | exists
        if role in chosen and letter == "":
            any_chosen, all_chosen = any_and_all(stack.exists[role], chosen[role])
            some = some | any_chosen[:, None]
            whole = whole & all_chosen[:, None]
        elif role in chosen:
            bits = _numbered(stack, chosen[role], role, letter)
            some = some | bits.any(axis=-1)
            whole = whole & (bits | ~_numbered(stack, stack.exists[role], role, letter)).all(axis=-1)
        else:
            whole = whole & ~exists
    return np.broadcast_to(whole & there, there.shape), np.broadcast_to(some, there.shape), there


def any_and_all(exists: Bools, bits: Bools) -> tuple[Bools, Bools]:
    """Whether any, and whether all, of the parts that exist are chosen in each layer, each `[n_layers]`.

    An MLP of a large model has millions of neurons: eight are compared at once, and the result is cached for arrays
    that cannot change.
    """
    key = id(bits), id(exists)  # two roles may have the same array, of parts that do not exist for both
    cached = _ANY_AND_ALL.get(key)
    if cached is not None and cached[0]() is bits and cached[1]() is exists:
        return cached[2], cached[3]
    if bits.shape[1] % 8 or not (bits.flags.c_contiguous and exists.flags.c_contiguous):
        some, whole = np.asarray(bits.any(axis=1)), np.asarray((bits == exists).all(axis=1))
    else:
        eight, of = bits.view(np.uint64), exists.view(np.uint64)
        some, whole = np.bitwise_or.reduce(eight, axis=1) != 0, np.bitwise_or.reduce(eight ^ of, axis=1) == 0
    if not bits.flags.writeable:
        chosen = weakref.ref(bits, lambda _: _ANY_AND_ALL.pop(key, None))
        _ANY_AND_ALL[key] = (chosen, weakref.ref(exists), some, whole)
    return some, whole


_ANY_AND_ALL: dict[tuple[int, int], tuple[weakref.ref[Bools], weakref.ref[Bools], Bools, Bools]] = {}
"""The results of `any_and_all` for arrays that cannot change, for as long as they live."""


@lru_cache(maxsize=4096)
def existing(stack: Stack, role: str, letter: str) -> Bools:
    """Which numbered pieces have parts of this role, shape `[n_layers, numbers]`."""
    return np.asarray(_numbered(stack, stack.exists[role], role, letter).any(axis=-1))


def _numbered(stack: Stack, bits: Bools, role: str, letter: str) -> Bools:
    """A role's parts as those of each numbered piece: shape `[n_layers, numbers, parts of one]`."""
    axis = role_of(role).part_axis
    if letter == "":
        return bits[:, None, :]
    if letter == "n" and axis == "g":
        return bits[:, stack.kv_head_of, None]
    if letter == "g" and axis == "n":
        return per_group(stack, bits)
    return bits[:, :, None]


def parameter(anatomy: Anatomy, name: str) -> Parts:
    """The parts that lie in one parameter, under its own name or a tied one."""
    return parameters(anatomy, (name,))


def parameters(anatomy: Anatomy, names: Iterable[str]) -> Parts:
    """The parts that lie in some parameters, under their own names or tied ones."""
    found: Parts = {}
    for name in names:
        for slot in anatomy.slots_of[anatomy.aliases.get(name, name)]:
            bits = found.setdefault(slot.key, np.zeros_like(anatomy.exists[slot.key]))
            bits[slot.layer or 0, slot.numbers] = True
    return {key: found[key] for key in sorted(found, key=rank)}


def outside_layers(anatomy: Anatomy, stack: Stack, owners: Sequence[str]) -> Parts:
    """The parts of `embed`, `pos`, `ln_final`, `unembed`, ... of a stack; a tied tensor is the tensor that it reads."""
    found = pick(stack, owners)
    for slot in stack.tied:
        if role_of(slot.key).owner in owners:
            found = union(found, parameter(anatomy, slot.parameter))
    return found


def n_params(anatomy: Anatomy, chosen: Parts) -> int:
    """The number of entries of all these parts."""
    total = 0
    for key, bits in chosen.items():
        some, whole = any_and_all(anatomy.exists[key], bits)
        for row in np.flatnonzero(some).tolist():
            for slot in anatomy.slots_at[key, row]:
                n = slot.n_parts if whole[row] else int(np.count_nonzero(bits[row, slot.numbers]))
                total += n * (slot.n_params // slot.n_parts)
    return total
