"""Heads that are given as numbers: pairs, arrays of them, boolean arrays, or a dictionary of layers.

What could be read in two ways is refused: an array of 0 and 1 that is no boolean one, an array whose shape is not
exactly that of the heads, a list of plain numbers. Python's own True and False are no numbers here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.names import home_of
from headgrid.selection.lexer import SelectionError, listed
from headgrid.selection.parser import parse
from headgrid.selection.union import Union
from headgrid.utils.arguments import items, shown

Array = npt.NDArray[Any]

ALLOWED = (
    "a text such as 'l1h2 | l0 mlp', a (layer, head) pair, a selection, a list of these, a boolean array "
    "[n_layers, n_heads], or the rows of its nonzero()"
)


_MOST = 10**9
"""Numbers beyond this are no layers or heads of any model, and too long to be spelled out."""


_HEADS = "a list (a dictionary is layer -> list of heads: {0: [1, 2]})"


def refused(value: object, hint: str = "") -> NoReturn:
    """Say what can be selected."""
    raise TypeError(f"{shown(value)} cannot be selected{hint and ': ' + hint}. select takes {ALLOWED}")


def whole_number(value: object) -> int | None:
    """The whole number that a scalar of Python, numpy or torch is; None for anything else, True and False too."""
    if type(value) is int:
        return value
    if isinstance(value, torch.Tensor | np.ndarray):
        integral = value.ndim == 0 and not str(value.dtype).endswith("bool") and "int" in str(value.dtype)
        return int(value) if integral else None
    return int(value) if isinstance(value, int | np.integer) and not isinstance(value, bool) else None


def pair(value: object) -> tuple[int, int] | None:
    """The layer and head that a tuple, a list or an array of two whole numbers is; None for anything else."""
    if isinstance(value, torch.Tensor | np.ndarray):
        if tuple(value.shape) != (2,) or "int" not in str(value.dtype):
            return None
        value = value.tolist()
    if not isinstance(value, tuple | list) or len(value) != 2:
        return None
    layer, head = whole_number(value[0]), whole_number(value[1])
    return None if layer is None or head is None else (layer, head)


def array(value: object) -> Array | None:
    """An array of numpy, torch, pandas or another library, as numpy's; None for what is none."""
    if isinstance(value, torch.Tensor):
        if value.is_meta or value.layout != torch.strided or value.is_complex():
            refused(value, "it is no plain array of numbers")
        return value.detach().to("cpu", torch.float32 if value.is_floating_point() else value.dtype).numpy()
    if isinstance(value, np.ma.MaskedArray):
        refused(value, "say what its masked entries are: .filled(False)")
    if isinstance(value, np.generic) or not hasattr(value, "__array__") or isinstance(value, type):
        return None
    found = np.asarray(value)
    if found.ndim == 2 and not isinstance(value, np.ndarray):
        _in_order(value, found)
    return found


def _in_order(table: Any, found: Array) -> None:
    """Refuse a table whose rows or columns are labeled by other numbers than those that count them."""
    columns = [str(one).lower() for one in getattr(table, "columns", [])]
    if columns == ["layer", "head"]:
        return
    for axis, labels in enumerate((getattr(table, "index", None), getattr(table, "columns", None))):
        if labels is not None and list(labels) != list(range(found.shape[axis])):
            raise ValueError(
                "select reads a table by position, and its labels are not 0, 1, 2, ... in order: "
                "sort it, and give its values, rows being layers and columns heads: table.to_numpy()"
            )


def add_array(found: Union, given: Array, value: object) -> None:
    """Add the heads that an array says: `[n_layers, n_heads]` of booleans, or `[k, 2]` of layers and heads."""
    home = home_of(found.anatomy)[0]
    grid = (home.n_layers, home.n_heads)
    if given.dtype == np.bool_:
        if 0 in grid:
            stacks = listed(f"'{stack.name} l1h2'" for stack in found.anatomy.stacks if stack.n_heads)
            raise ValueError(f"a boolean array says which heads of the main stack, and there is none: write {stacks}")
        if given.shape != grid:
            turned = given.ndim == 2 and given.shape[::-1] == grid
            raise ValueError(
                f"a boolean array to select heads is [n_layers, n_heads], here {list(grid)}, not {list(given.shape)}"
                + (": turn it, .T" if turned else "")
            )
        add_pairs(found, np.argwhere(given))
    elif given.dtype.kind in "iu":
        if given.ndim == 2 and given.shape[1] == 2:
            if given.shape == grid and given.size and given.max() <= 1 and given.min() >= 0:
                raise ValueError(
                    f"an array {list(grid)} of 0 and 1 could say which heads, or be rows of a layer and a head: "
                    "give booleans, array > 0, or pairs, [tuple(row) for row in array.tolist()]"
                )
            add_pairs(found, given)
        elif given.shape == grid:
            raise ValueError(f"numbers {list(grid)} do not say which heads: give booleans, such as array > 0")
        else:
            raise ValueError(
                "an array of whole numbers to select heads is [k, 2], a layer and a head in each row, not "
                f"{list(given.shape)}; for one head give a pair, (layer, head)"
            )
    elif given.dtype.kind == "f":
        refused(value, "say which of these numbers: scores > 0.4")
    else:
        refused(value)


def add_pairs(found: Union, pairs: Array) -> None:
    """Add the heads of the rows of an array `[k, 2]`."""
    home = home_of(found.anatomy)[0]
    heads = np.zeros((home.n_layers, home.n_heads), np.bool_)
    with_heads = np.array([("W_O", layer) in home.places for layer in range(home.n_layers)], np.bool_)
    if not len(pairs):
        return
    layers, numbers = pairs[:, 0], pairs[:, 1]
    inside = (layers >= 0) & (layers < home.n_layers) & (numbers >= 0) & (numbers < home.n_heads)
    inside[inside] = with_heads[layers[inside].astype(np.intp)]
    for layer, head in pairs[~inside][:1].tolist():
        _no_such_head(found.anatomy, layer, head)
    heads[layers.astype(np.intp), numbers.astype(np.intp)] = True
    found.heads(home, heads)


def add_by_layer(found: Union, given: Mapping[Any, Any]) -> None:
    """Add the heads of a dictionary, layer -> list of heads, as transformers' `heads_to_prune` is one."""
    hint = "a dictionary is layer -> list of heads: {0: [1, 2]}"
    pairs: list[tuple[int, int]] = []
    for layer, heads in given.items():
        at = whole_number(layer)
        if at is None or getattr(heads, "is_meta", False):
            refused(given, hint)
        numbers = [whole_number(head) for head in items(f"the value of layer {shown(at)}", heads, _HEADS, empty=True)]
        if None in numbers:
            refused(given, hint)
        pairs += [(at, number) for number in numbers if number is not None]
    if not given:
        refused(given, hint)
    add_pairs(found, np.array(pairs, dtype=object).reshape(-1, 2) if pairs else np.zeros((0, 2), int))


def _no_such_head(anatomy: Anatomy, layer: int, head: int) -> NoReturn:
    for noun, number in (("layer", layer), ("head", head)):
        if not 0 <= number < _MOST:
            text = f"({shown(layer)}, {shown(head)})"
            raise SelectionError(text, 0, len(text), f"there is no {noun} {shown(number)}; {noun}s are counted from 0")
    parse(anatomy, f"l{layer}h{head}")  # says what is wrong
    raise SelectionError(f"l{layer}h{head}", 0, 0, f"there is no head {head} in layer {layer}")
