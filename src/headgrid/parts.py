"""Sets of parts as arrays, one boolean array per role: what the words mean, and the algebra of sets.

Set algebra on selections is array algebra here. A role of which no part is chosen is absent, so that equal sets are
equal dictionaries, and a selection of heads costs nothing for the neurons of a large model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from headgrid.anatomy import Anatomy, Bools
from headgrid.roles import ROLES

Parts = dict[str, Bools]
"""Role -> which of its parts, shape as in `Anatomy.exists`; never an array without a True."""

SIDES = {"q": ("q",), "k": ("k",), "v": ("v",), "o": ("o",), "qk": ("q", "k"), "ov": ("v", "o")}
"""A side or circuit of a head -> the owners of its weights."""

ATTENTION = ("q", "k", "v", "o", "attn rest")
MLP = ("neuron", "mlp rest")


def nonempty(found: Iterable[tuple[str, Bools]]) -> Parts:
    """A set from arrays of which some may be empty."""
    return {role: bits for role, bits in found if bits.any()}


def everything(anatomy: Anatomy) -> Parts:
    """All parts of a model."""
    return dict(anatomy.exists)


def union(left: Parts, right: Parts) -> Parts:
    """The parts that are in either."""
    found = {**left, **right, **{role: left[role] | right[role] for role in left if role in right}}
    return {role: found[role] for role in ROLES if role in found}


def intersection(left: Parts, right: Parts) -> Parts:
    """The parts that are in both."""
    return nonempty((role, bits & right[role]) for role, bits in left.items() if role in right)


def difference(left: Parts, right: Parts) -> Parts:
    """The parts that are in the first only."""
    return nonempty((role, bits & ~right[role] if role in right else bits) for role, bits in left.items())


def equal(left: Parts, right: Parts) -> bool:
    """Whether two sets have the same parts."""
    return left.keys() == right.keys() and all(np.array_equal(bits, right[role]) for role, bits in left.items())


def pick(
    anatomy: Anatomy, owners: Sequence[str], layers: Sequence[int] | None = None, parts: Sequence[int] | None = None
) -> Parts:
    """What there is of these owners in these layers: the parts with these numbers, or all of them."""
    rows = slice(None) if layers is None else np.asarray(layers, dtype=np.intp)
    columns = slice(None) if parts is None else np.asarray(parts, dtype=np.intp)
    found: list[tuple[str, Bools]] = []
    for role in anatomy.roles(*owners):
        there = anatomy.exists[role]
        in_rows, in_columns = np.zeros(there.shape[0], np.bool_), np.zeros(there.shape[1], np.bool_)
        in_rows[rows], in_columns[columns] = True, True
        found.append((role, in_rows[:, None] & in_columns & there))
    return nonempty(found)


def heads(anatomy: Anatomy, chosen: Bools) -> Parts:
    """Whole heads: their query and output sides, and the key and value sides of the heads that they read.

    Args:
        anatomy: the model.
        chosen: which heads, shape `[n_layers, n_heads]`.
    """
    groups = per_group(anatomy, chosen).any(axis=-1)
    own = ((role, chosen & anatomy.exists[role]) for role in anatomy.roles("q", "o"))
    read = ((role, groups & anatomy.exists[role]) for role in anatomy.roles("k", "v"))
    return union(nonempty(own), nonempty(read))


def per_group(anatomy: Anatomy, of_heads: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """An array over heads with the heads of each key/value head side by side: `[n_layers, n_kv_heads, heads each]`."""
    return of_heads.reshape(len(of_heads), anatomy.n_kv_heads, -1)


def look(anatomy: Anatomy, chosen: Parts, roles: Iterable[str], letter: str) -> tuple[Bools, Bools, Bools]:
    """What is chosen of each numbered piece of each layer.

    Args:
        anatomy: the model.
        chosen: a set of parts.
        roles: the roles that make up a piece.
        letter: what the numbers count: `n` heads, `g` key/value heads with their readers, `f` neurons, or nothing
            (`""`), where a layer has one such piece.

    Returns:
        `whole, some, there`, each `[n_layers, numbers]`: whether all parts of the piece are chosen, whether some are,
        and whether it has any.
    """
    there = np.zeros((1, 1), np.bool_)
    whole, some = ~there, there
    for role in roles:
        exists = _exists(anatomy, role, letter)
        there = there | exists
        if role in chosen:
            bits = _numbered(anatomy, chosen[role], role, letter)
            some = some | bits.any(axis=-1)
            whole = whole & (bits | ~_numbered(anatomy, anatomy.exists[role], role, letter)).all(axis=-1)
        else:
            whole = whole & ~exists
    return np.broadcast_to(whole & there, there.shape), np.broadcast_to(some, there.shape), there


@lru_cache(maxsize=4096)
def _exists(anatomy: Anatomy, role: str, letter: str) -> Bools:
    """Which numbered pieces have parts of this role, shape `[n_layers, numbers]`."""
    return np.asarray(_numbered(anatomy, anatomy.exists[role], role, letter).any(axis=-1))


def _numbered(anatomy: Anatomy, bits: Bools, role: str, letter: str) -> Bools:
    """A role's parts as those of each numbered piece: shape `[n_layers, numbers, parts of one]`."""
    axis = ROLES[role].part_axis
    if letter == "":
        return bits[:, None, :]
    if letter == "n" and axis == "g":
        return bits[:, anatomy.kv_head_of, None]
    if letter == "g" and axis == "n":
        return per_group(anatomy, bits)
    return bits[:, :, None]


def parameter(anatomy: Anatomy, name: str) -> Parts:
    """The parts that lie in one parameter, under its own name or a tied one."""
    found: Parts = {}
    for slot in anatomy.slots_of[anatomy.aliases.get(name, name)]:
        bits = np.zeros_like(anatomy.exists[slot.role])
        bits[slot.layer or 0, : slot.n_parts] = True
        found = union(found, {slot.role: bits})
    return found


def end(anatomy: Anatomy, owner: str) -> Parts:
    """The parts of `embed`, `pos`, `ln_final` or `unembed`; a tied tensor is the tensor that it reads."""
    found = pick(anatomy, (owner,))
    for slot in anatomy.tied:
        if ROLES[slot.role].owner == owner:
            found = union(found, parameter(anatomy, slot.parameter))
    return found


def n_params(anatomy: Anatomy, chosen: Parts) -> int:
    """The number of entries of all these parts."""
    total = 0
    for slot in anatomy.slots:
        if slot.role in chosen:
            row = chosen[slot.role][slot.layer or 0]
            total += int(row.sum()) * (slot.n_params // slot.n_parts)
    return total
