"""What a transformer is made of, as names and shapes. READ THIS FIRST: the rest of headgrid reads this one table.

A head is a *place in a stored tensor*. A `Slot` writes that place down once, as data: the parameter's name and how its
stored axes are made of the field's letters (einops notation):

    n  query heads        h  d_head      f  d_mlp       v  d_vocab
    g  key/value heads    m  d_model     p  positions   i/k  piece i of k equal pieces, counted from 0

    family     role   parameter                              stored axes
    GPT-2      W_Q    h.0.attn.c_attn.weight                 m (0/3 n h)    q, k and v side by side
    GPT-NeoX   W_K    layers.0.attention.query_key_value...  (n 1/3 h) m    q, k and v of head 0, then of head 1, ...
    Llama      W_V    layers.0.self_attn.v_proj.weight       (g h) m        fewer key/value heads than query heads
    Phi-3      W_K    layers.0.self_attn.qkv_proj.weight     (n h + [g h] + g h) m    unequal pieces; this one in [ ]

The *role* (`W_Q`, `b_K`, `W_out`, `ln1.w`, ...) is what those entries do; it fixes one canonical orientation, that of
TransformerLens (a row vector times a matrix: `W_Q [n_heads, d_model, d_head]`). The table is read three ways:

    read the weight through the slot          `slot.of(tensor)` is a view of that tensor, never a copy
    write True into a vector through it       `slot.along(vector)`: the parameter's mask, before it is expanded
    take the module that owns W_O             where to record or ablate a head's `z`

So masks, weights and hooks cannot disagree. A *part* is one index of one slot: what can be selected on its own. Head 3
of a layer is the parts with index 3 of `W_Q, b_Q, W_O`, and those of the key/value head that it reads. Every entry of
every parameter belongs to exactly one part; an `Anatomy` that breaks this cannot be built.

Nothing here needs a tensor, so an anatomy exists for a model on the meta device as well, or for a config alone.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headgrid.roles import ENDS, ROLES

if TYPE_CHECKING:
    import torch

    from headgrid.selection import Selectable, Selection

Bools = npt.NDArray[np.bool_]


class AnatomyError(ValueError):
    """A model's parameters do not fit the table: which one, what was expected, and what was found."""


def count_of(n: int, singular: str, plural: str = "") -> str:
    """A number with its noun: `1 head`, `2 heads`, `2,304 parameters`."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


@dataclass(frozen=True)
class Stored:
    """One stored axis: a product of factors, or the piece of a sum that such a product is.

    Attributes:
        factors: letters and `i/k` pieces, the slowest first.
        before, after: the products of letters that are stored before and after it on the same axis.
    """

    factors: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()


@lru_cache(maxsize=4096)
def stored_axes(axes: str) -> tuple[Stored, ...]:
    """The stored axes that a text names: `m (0/3 n h)` is the axis `m` and the axis with the factors `0/3, n, h`."""
    found = []
    for group, alone in re.findall(r"\(([^()]+)\)|([^\s()]+)", axes):
        terms = [term.strip() for term in (group or alone).split("+")]
        chosen = next((i for i, term in enumerate(terms) if term.startswith("[")), 0)
        products = [tuple(term.strip("[]").split()) for term in terms]
        found.append(Stored(products[chosen], tuple(products[:chosen]), tuple(products[chosen + 1 :])))
    return tuple(found)


@dataclass(frozen=True)
class Slot:
    """A place in a stored parameter: all the weights of one role in one layer.

    Attributes:
        role: what the weights do, a key of `ROLES`.
        layer: the layer, or None for what belongs to the whole model.
        parameter: the stored parameter, as `named_parameters()` calls it.
        axes: how its stored axes are made of letters, in einops notation.
        sizes: the size of each letter.
    """

    role: str
    layer: int | None
    parameter: str
    axes: str
    sizes: Mapping[str, int] = field(hash=False)

    def _size(self, factor: str) -> int:
        return int(factor.split("/")[1]) if "/" in factor else self.sizes[factor]

    def _span(self, axis: Stored) -> tuple[int, int, int]:
        """How much of a stored axis lies before this slot's piece of it, in it, and after it."""
        before, after = (sum(prod(map(self._size, term)) for term in terms) for terms in (axis.before, axis.after))
        return before, prod(map(self._size, axis.factors)), after

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The stored shape of the whole parameter."""
        return tuple(sum(self._span(axis)) for axis in stored_axes(self.axes))

    @cached_property
    def n_parts(self) -> int:
        """How many parts lie in this slot: heads, key/value heads, neurons, or 1."""
        letter = ROLES[self.role].part_axis
        return self.sizes[letter] if letter else 1

    @cached_property
    def dim(self) -> int:
        """The stored axis along which the parts lie."""
        letter = ROLES[self.role].part_axis
        for i, axis in enumerate(stored_axes(self.axes)):
            if letter in axis.factors or axis.before or axis.after or any("/" in factor for factor in axis.factors):
                return i
        return 0

    @cached_property
    def canonical_shape(self) -> tuple[int, ...]:
        """The shape that `of` returns."""
        return tuple(self.sizes[letter] for letter in ROLES[self.role].axes.split())

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
        for i, axis in enumerate(stored_axes(self.axes)):
            before, size, _ = self._span(axis)
            tensor = tensor.narrow(i, before, size)
        flat = [factor for axis in stored_axes(self.axes) for factor in axis.factors]
        split = tensor.reshape([self._size(factor) for factor in flat])  # splitting an axis is always a view
        picked = split[tuple(int(factor.split("/")[0]) if "/" in factor else slice(None) for factor in flat)]
        letters = [factor for factor in flat if "/" not in factor]
        return picked.permute([letters.index(letter) for letter in ROLES[self.role].axes.split()])

    def along(self, vector: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The parts' entries of a vector that runs along the stored axis `dim`: a view of shape `[n_parts, width]`.

        `width` may itself be several axes. A parameter's mask is such a vector of booleans, expanded over the other
        axes; written through this view, it is True exactly at the parts that were set.
        """
        axis = stored_axes(self.axes)[self.dim]
        before, size, _ = self._span(axis)
        split = vector[before : before + size].reshape([self._size(factor) for factor in axis.factors])
        picked = split[tuple(int(factor.split("/")[0]) if "/" in factor else slice(None) for factor in axis.factors)]
        letters = [factor for factor in axis.factors if "/" not in factor]
        letter = ROLES[self.role].part_axis
        return np.moveaxis(picked, letters.index(letter), 0) if letter in letters else picked[np.newaxis]

    def where(self, part: int) -> str:
        """The place of one part as an index into the stored parameter: `[:, 48:72]`."""
        entries = np.sort(self.along(np.arange(self.shape[self.dim]))[part].reshape(-1))
        ends = np.flatnonzero(np.diff(entries) > 1)
        starts = entries[np.concatenate(([0], ends + 1))]
        stops = entries[np.concatenate((ends, [len(entries) - 1]))] + 1
        pieces = [f"{a}:{b}" if b - a > 1 else f"{a}" for a, b in zip(starts, stops, strict=True)]
        inner = pieces[0] if len(pieces) == 1 else f"r_[{', '.join(pieces)}]"
        if len(entries) == self.shape[self.dim]:
            inner = ":"
        return "[" + ", ".join(inner if i == self.dim else ":" for i in range(len(self.shape))) + "]"


@dataclass(frozen=True, eq=False)
class Anatomy:
    """What one model is made of: dimensions, parameters, and the slots that place every entry of them.

    Two anatomies are equal when their parameters and slots are: two models of one shape share their selections.

    Attributes:
        name: what to call the model in a sentence.
        family: the row of the table that it was read by, e.g. `gpt2`.
        n_layers, n_heads, n_kv_heads, d_model, d_head, d_mlp, d_vocab: the field's names for the sizes. With
            grouped-query attention `n_kv_heads < n_heads`; otherwise they are equal.
        parameters: name -> stored shape, in the order of `named_parameters()`; a tied tensor is there once.
        slots: every place, in the order of the parameters.
        tied: slots that read a tensor which another slot owns: `W_U` where the unembedding is the embedding.
        aliases: other name -> name in `parameters`, for tied tensors.

    Raises:
        AnatomyError: when an entry of a parameter belongs to no part, or to more than one.
    """

    name: str
    family: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    d_vocab: int
    parameters: Mapping[str, tuple[int, ...]]
    slots: tuple[Slot, ...]
    tied: tuple[Slot, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.n_kv_heads < 1 or self.n_heads % self.n_kv_heads:
            raise AnatomyError(
                f"{self.name} has {self.n_heads} query heads for {self.n_kv_heads} key/value heads: "
                "the first must be a multiple of the second"
            )
        for name, shape in self.parameters.items():
            slots = self.slots_of[name]
            if not slots:
                raise AnatomyError(f"{name} of {self.name}, shape {list(shape)}, belongs to no part")
            for slot in slots:
                if slot.shape != shape:
                    raise AnatomyError(f"{name} has the shape {list(shape)}; {slot.role} expects {list(slot.shape)}")
            if len({slot.dim for slot in slots}) > 1:
                raise AnatomyError(f"the parts of {name} lie along different axes: {[slot.axes for slot in slots]}")
            times = np.zeros(shape[slots[0].dim], dtype=np.int64)
            for slot in slots:
                slot.along(times)[...] += 1
            if (times != 1).any():
                place = int(np.flatnonzero(times != 1)[0])
                raise AnatomyError(
                    f"entry {place} along axis {slots[0].dim} of {name} belongs to {times[place]} parts instead of 1"
                )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Anatomy):
            return NotImplemented
        return self is other or (list(self.parameters.items()), self.slots) == (
            list(other.parameters.items()),
            other.slots,
        )

    def __hash__(self) -> int:
        return hash((self.family, self.n_layers, self.n_heads, len(self.parameters)))

    def __repr__(self) -> str:
        return f"Anatomy({self.title}, d_model {self.d_model}, d_head {self.d_head}, {self.n_params:,} parameters)"

    @property
    def title(self) -> str:
        """One line that names the model: `GPT2LMHeadModel (gpt2), 2 layers x 4 heads`."""
        groups = f" in {count_of(self.n_kv_heads, 'group')}" if self.n_kv_heads < self.n_heads else ""
        layers = count_of(self.n_layers, "layer")
        return f"{self.name} ({self.family}), {layers} x {count_of(self.n_heads, 'head')}{groups}"

    @cached_property
    def n_params(self) -> int:
        """The number of entries of all parameters; a tied tensor counts once."""
        return sum(prod(shape) for shape in self.parameters.values())

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of what equality compares: the parameters and where everything is placed in them."""
        places = [(slot.role, slot.layer, slot.parameter, slot.axes, slot.shape) for slot in self.slots]
        return hashlib.sha256(repr((list(self.parameters.items()), places)).encode()).hexdigest()[:16]

    @cached_property
    def slots_of(self) -> dict[str, tuple[Slot, ...]]:
        """Parameter name -> the slots that lie in it."""
        found: dict[str, list[Slot]] = {name: [] for name in self.parameters}
        for slot in self.slots:
            if slot.parameter not in found:
                raise AnatomyError(f"{slot.role} is placed in {slot.parameter}, which {self.name} does not have")
            found[slot.parameter].append(slot)
        return {name: tuple(slots) for name, slots in found.items()}

    @cached_property
    def exists(self) -> dict[str, Bools]:
        """Role -> which of its parts there are, shape `[n_layers, n_parts]`; `[1, 1]` for what is in no layer.

        A layer without attention has no `W_Q`: its row is False.
        """
        count: dict[str, int] = {}
        for slot in self.slots:
            count[slot.role] = max(count.get(slot.role, 0), slot.n_parts)
        there = {
            role: np.zeros((1 if ROLES[role].owner in ENDS else self.n_layers, count[role]), dtype=np.bool_)
            for role in sorted(count, key=list(ROLES).index)
        }
        for slot in self.slots:
            there[slot.role][slot.layer or 0, : slot.n_parts] = True
        for bits in there.values():
            bits.flags.writeable = False
        return there

    @cached_property
    def kv_head_of(self) -> npt.NDArray[np.intp]:
        """The key/value head that each query head reads, shape `[n_heads]`: `h // (n_heads // n_kv_heads)`."""
        return np.arange(self.n_heads) // (self.n_heads // self.n_kv_heads)

    @cached_property
    def names(self) -> dict[str, str]:
        """Every parameter name, exact and in lower case, tied names included -> its name in `parameters`."""
        exact = {**self.aliases, **{name: name for name in self.parameters}}
        return {name.lower(): stored for name, stored in exact.items()} | exact

    def roles(self, *owners: str) -> list[str]:
        """The roles that this model has of these owners, in the order of a forward pass."""
        return [role for role in self.exists if ROLES[role].owner in owners]

    @cached_property
    def places(self) -> dict[tuple[str, int | None], Slot]:
        """The slot of a role in a layer; a tied slot counts as the role that it reads as."""
        return {(slot.role, slot.layer): slot for slot in (*self.slots, *self.tied)}

    def select(self, what: Selectable) -> Selection:
        """The set of parts that a text names.

        Args:
            what: a text such as `l1h2 | l0 mlp`; a (layer, head) pair; a selection of an equal anatomy; or a list of
                these, which stands for their union.

        Returns:
            The selection.

        Raises:
            SelectionError: when the text does not parse or names what this model does not have; it shows the place.
        """
        from headgrid.selection import Selection  # the one doorway up: a selection is made from its anatomy

        return Selection.of(self, what)
