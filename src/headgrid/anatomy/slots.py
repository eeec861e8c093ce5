"""Slots: places in stored tensors, written in einops notation; `headgrid.anatomy` says what they are for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.roles import ROLES
from headgrid.utils.arguments import readable
from headgrid.utils.frozen import Frozen, read_only

if TYPE_CHECKING:
    import torch


class AnatomyError(ValueError):
    """A model's parameters do not fit the table: which one, what was expected, and what was found.

    The first line is the reason; what is allowed and what to do stand below it.
    """

    def __init__(self, message: str) -> None:
        super().__init__(readable(message))


@dataclass(frozen=True)
class Stored:
    """One stored axis: a product of factors, the last of which may be one term of a sum.

    Attributes:
        outer: the factors before a sum, the slowest first; empty where there is no sum.
        factors: letters, `i/k` pieces and plain sizes; those of the chosen term where there is a sum.
        before, after: the other terms of the sum, each a product.
    """

    outer: tuple[str, ...]
    factors: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()

    @property
    def letters(self) -> set[str]:
        """The letters whose sizes make up the size of this axis."""
        every = (self.outer, self.factors, *self.before, *self.after)
        return {factor for term in every for factor in term if factor.isalpha()}

    def spans(self, sizes: Mapping[str, int]) -> tuple[int, int, int, int]:
        """The sizes of the outer factors, and within each what lies before the slot's term, in it, and after it."""

        def size(term: Sequence[str]) -> int:
            return prod(_size(factor, sizes) for factor in term)

        return size(self.outer), sum(map(size, self.before)), size(self.factors), sum(map(size, self.after))

    def size(self, sizes: Mapping[str, int]) -> int:
        """How many entries the axis has; a KeyError names a letter whose size is not known."""
        outer, before, inside, after = self.spans(sizes)
        return outer * (before + inside + after)


def _size(factor: str, sizes: Mapping[str, int]) -> int:
    if "/" in factor:
        return int(factor.split("/")[1])
    return int(factor) if factor.isdigit() else sizes[factor]


@lru_cache(maxsize=4096)
def stored_axes(axes: str) -> tuple[Stored, ...]:
    """The stored axes that a text names: `m (0/3 n h)` is the axis `m` and the axis with the factors `0/3, n, h`."""
    found = []
    for group, alone in re.findall(r"\(((?:[^()]|\([^()]*\))+)\)|([^\s()]+)", axes):
        text = group or alone
        nested = re.fullmatch(r"(.*)\((.*)\)\s*", text)
        outer, inner = (nested[1], nested[2]) if nested else ("", text)
        terms = [term.strip() for term in inner.split("+")]
        chosen = next((i for i, term in enumerate(terms) if term.startswith("[")), 0)
        products = [tuple(term.strip("[]").split()) for term in terms]
        before, after = tuple(products[:chosen]), tuple(products[chosen + 1 :])
        found.append(Stored(tuple(outer.split()), products[chosen], before, after))
    return tuple(found)


@dataclass(frozen=True)
class Slot(Frozen):
    """A place in a stored parameter: weights of one role in one layer.

    Most roles have one slot in a layer. Where heads or experts are stored apart, each place is a slot of its own, and
    `first` says with which number its parts begin.

    Attributes:
        role: what the weights do, a key of `ROLES`.
        layer: the layer, or None for what belongs to no layer.
        parameter: the stored parameter, as `named_parameters()` calls it.
        axes: how its stored axes are made of letters, in einops notation.
        sizes: the size of each letter.
        first: the number of the first part that lies here.
        stack: the stack of the layer, "" for the only or main one.
    """

    role: str
    layer: int | None
    parameter: str
    axes: str
    sizes: Mapping[str, int] = field(hash=False)
    first: int = 0
    stack: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sizes", read_only(self.sizes))

    @cached_property
    def key(self) -> str:
        """The role, with its stack where it has a name: `W_Q`, `encoder:W_Q`."""
        return f"{self.stack}:{self.role}" if self.stack else self.role

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The stored shape of the whole parameter."""
        return tuple(axis.size(self.sizes) for axis in stored_axes(self.axes))

    @cached_property
    def n_parts(self) -> int:
        """How many parts lie in this slot: heads, key/value heads, neurons, experts, or 1."""
        letter = ROLES[self.role].part_axis
        return self.sizes.get(letter, 1) if letter else 1

    @property
    def numbers(self) -> slice:
        """The numbers of its parts among those of the role in this layer."""
        return slice(self.first, self.first + self.n_parts)

    @cached_property
    def dims(self) -> tuple[int, ...]:
        """The stored axes along which it matters which part, or which piece, an entry belongs to."""
        letter = ROLES[self.role].part_axis
        return tuple(
            i
            for i, axis in enumerate(stored_axes(self.axes))
            if letter in (*axis.outer, *axis.factors)
            or axis.before
            or axis.after
            or any("/" in factor for factor in (*axis.outer, *axis.factors))
        )

    @cached_property
    def canonical_shape(self) -> tuple[int, ...]:
        """The shape that `of` returns."""
        axes = ROLES[self.role].axes
        return self.shape if axes == "..." else tuple(self.sizes[letter] for letter in axes.split())

    @property
    def n_params(self) -> int:
        """The number of entries of all parts together."""
        return prod(self.canonical_shape)

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        """The weights in their canonical orientation: a view of `tensor`, so writing to it writes to the parameter.

        Args:
            tensor: the parameter, or any tensor of the same shape (a mask, a gradient).

        Returns:
            A view of shape `canonical_shape`, e.g. `[n_heads, d_model, d_head]` for `W_Q`.

        Raises:
            AnatomyError: when the tensor does not have the stored shape.
        """
        if tuple(tensor.shape) != self.shape:
            raise AnatomyError(
                f"{self.parameter} should have the shape {list(self.shape)} ({self.axes}), not {list(tensor.shape)}"
            )
        canonical = ROLES[self.role].axes.split()
        if canonical == ["..."]:
            return tensor
        view: torch.Tensor
        view, letters = self._opened(tensor, range(len(self.shape)))
        for letter in canonical:
            if letter not in letters:  # a slot of one head or expert, stored without an axis for it
                view, letters = view[None], [letter, *letters]
        return view.permute([letters.index(letter) for letter in canonical])

    def along(self, canvas: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The parts' entries of an array that has the stored axes, or 1 for some that are not in `dims`: a view.

        Returns:
            A view of shape `[n_parts, ...]`. A parameter's mask is such an array of booleans, expanded; written
            through this view, it is True exactly at the parts that were set.
        """
        open_axes = [i for i, size in enumerate(self.shape) if canvas.shape[i] == size and (size > 1 or i in self.dims)]
        view, letters = self._opened(canvas, open_axes)
        letter = ROLES[self.role].part_axis
        return np.moveaxis(view, letters.index(letter), 0) if letter in letters else view[np.newaxis]

    def _opened(self, array: Any, open_axes: Sequence[int]) -> tuple[Any, list[str]]:
        """The slot's piece of a tensor or array with these axes split into letters, and the letters; others dropped."""
        axes = stored_axes(self.axes)
        outer: list[int] = []
        cuts: list[slice] = []
        inner: list[int] = []
        picks: list[int | slice] = []
        letters: list[str] = []
        for i, axis in enumerate(axes):
            if i not in open_axes:
                outer, cuts, inner, picks = [*outer, 1], [*cuts, slice(None)], [*inner, 1], [*picks, 0]
                continue
            _, before, inside, after = axis.spans(self.sizes)
            sizes = [_size(factor, self.sizes) for factor in axis.outer]
            outer += [*sizes, before + inside + after]
            cuts += [slice(None)] * len(sizes) + [slice(before, before + inside)]
            inner += [*sizes, *(_size(factor, self.sizes) for factor in axis.factors)]
            for factor in (*axis.outer, *axis.factors):
                whole = factor.isalpha() or (factor.isdigit() and factor != "1")
                picks.append(slice(None) if whole else int(factor.split("/")[0]) if "/" in factor else 0)
                letters += [factor] if whole else []
        # splitting an axis and cutting a piece out of it are views, and with an ellipsis a single entry is one too
        return array.reshape(outer)[(*cuts, ...)].reshape(inner)[(*picks, ...)], letters

    def where(self, part: int) -> str:
        """The place of one part, counted within this slot, as an index into the stored parameter: `[:, 48:72]`."""
        canvas = np.zeros([size if i in self.dims else 1 for i, size in enumerate(self.shape)], dtype=np.bool_)
        self.along(canvas)[part] = True
        return "[" + ", ".join(_runs(canvas, i) if i in self.dims else ":" for i in range(canvas.ndim)) + "]"


def _runs(canvas: npt.NDArray[np.bool_], axis: int) -> str:
    """The entries along one axis where an array is True, as an index: `:`, `3`, `48:72` or `r_[0:2, 4:6]`."""
    there = np.atleast_1d(canvas.any(axis=tuple(i for i in range(canvas.ndim) if i != axis)))
    entries = np.flatnonzero(there)
    if len(entries) == len(there):
        return ":"
    ends = np.flatnonzero(np.diff(entries) > 1)
    starts = entries[np.concatenate(([0], ends + 1))]
    stops = entries[np.concatenate((ends, [len(entries) - 1]))] + 1
    pieces = [f"{a}:{b}" if b - a > 1 else f"{a}" for a, b in zip(starts, stops, strict=True)]
    return pieces[0] if len(pieces) == 1 else f"r_[{', '.join(pieces)}]"


def canvas_shape(slots: Sequence[Slot]) -> list[int]:
    """The shape of the smallest array over one parameter in which all of its slots are told apart."""
    dims = {dim for slot in slots for dim in slot.dims}
    return [size if i in dims else 1 for i, size in enumerate(slots[0].shape)]


def overlaps(slots: Sequence[Slot]) -> Iterator[tuple[tuple[int, ...], int]]:
    """The places of one parameter that do not belong to exactly one of its slots, with the number that they belong to.

    Places are those of `canvas_shape`.
    """
    if len(slots) == 1 and not slots[0].dims:
        return  # it is one piece
    times = np.zeros(canvas_shape(slots), dtype=np.int16)
    for slot in slots:
        slot.along(times)[...] += 1
    if (times == 1).all():
        return  # as nearly always; to look for places takes much longer
    for place in np.argwhere(times != 1):
        yield tuple(int(i) for i in place), int(times[tuple(place)])


@lru_cache(maxsize=4096)
def misspelled(role: str, axes: str, one_part: bool) -> str:
    """Why no weight of a role can be stored so: its axes must have each letter of the role once; "" where they can.

    Args:
        role: a key of `ROLES`.
        axes: how its stored axes are made of letters.
        one_part: whether only one part of the role lies there: the letter of its parts may be missing then.
    """
    if ROLES[role].axes == "...":
        return ""
    wanted = sorted(ROLES[role].axes.split())
    found = sorted(one for axis in stored_axes(axes) for one in (*axis.outer, *axis.factors) if one.isalpha())
    letter = ROLES[role].part_axis
    if found == wanted or (one_part and letter is not None and sorted([*found, letter]) == wanted):
        return ""
    return f"its letters are {', '.join(ROLES[role].axes.split())}, each once, and not {', '.join(found) or 'none'}"
