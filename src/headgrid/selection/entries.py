"""Which entries of what a weight reads or gives are heads or neurons: where they can be hooked, from names alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.slots import Slot, stored_axes
from headgrid.selection.activations import READ_BY, Where
from headgrid.torch_state import shielded

BRIDGED = "._original_component"
"""The name of the module that a TransformerLens bridge wraps. In compatibility mode some read its weight themselves,
and always after what they read has passed their `hook_in`."""

POINTS = {"z": "hook_z", "mlp": "hook_post", "q": "hook_q"}
"""Where the weight is a parameter of the whole block (HookedTransformer), the module that its input passes through, or
its output."""


@dataclass(frozen=True)
class HookedEntries:
    """Heads or neurons among the entries of what a weight reads, or gives.

    Attributes:
        parameter: the weight that reads or gives them.
        owner: the name of the module that owns it; of a module that a bridge or an adapter wraps, the name within.
        module: the name of the module to hook.
        after: whether they are its output; they are its input else.
        index: the entries, `[n, d_head]` for heads, `[n]` for neurons.
        axes: over how many last axes of the tensor the index counts.
    """

    parameter: str
    owner: str
    module: str
    after: bool
    index: torch.Tensor
    axes: int

    @property
    def numbers(self) -> list[int]:
        """The entries as numbers, in order."""
        return sorted(self.index.flatten().tolist())


@shielded()
def entries_read(anatomy: Anatomy, where: Where, numbers: tuple[int, ...]) -> HookedEntries:
    """Where heads' z or neurons pass: what enters the weight that reads them.

    Raises:
        ValueError: when several modules read them, so that no one tensor has them.
    """
    kind, name, layer = where
    slots = anatomy.stack(name).places[READ_BY[kind], layer]
    path, _, leaf = slots[0].parameter.rpartition(".")
    if len({slot.parameter for slot in slots}) > 1:
        raise ValueError(f"{slots[0].role} of layer {layer} is in several modules, and no one tensor enters them")
    owner = path.removesuffix(".base_layer")  # what an adapter adds reads the same: both are within the outer module
    module, after = owner, False
    if owner.endswith(BRIDGED):
        module, after = f"{owner.removesuffix(BRIDGED)}.hook_in", True
    if leaf != "weight":
        module, after = f"{owner}.{POINTS[kind]}", True
    entries = torch.cat([_inputs(slot) for slot in slots])
    return HookedEntries(slots[0].parameter, owner, module, after, entries[_places(slots, numbers)], _axes(slots[0]))


@shielded()
def queries_given(anatomy: Anatomy, stack: str, layer: int, number: int) -> HookedEntries:
    """Where a head's query is given by its weight: before norms of queries and rotation.

    Raises:
        ValueError: when the layer has no weight that gives queries alone, as where they are kept compressed.
    """
    slots = anatomy.stack(stack).places.get(("W_Q", layer), ())
    if len({slot.parameter for slot in slots}) != 1:
        raise ValueError(f"layer {layer} of {anatomy.name} has no W_Q in one module: its queries are made otherwise")
    owner, _, leaf = slots[0].parameter.rpartition(".")
    owner = owner.removesuffix(".base_layer")
    module = owner.removesuffix(BRIDGED) if leaf == "weight" else f"{owner}.{POINTS['q']}"
    entries = torch.cat([slot.of(_numbered(slot))[:, 0] for slot in slots])
    return HookedEntries(slots[0].parameter, owner, module, True, entries[_places(slots, (number,))], _axes(slots[0]))


def _places(slots: Sequence[Slot], numbers: Sequence[int]) -> list[int]:
    """Where the parts with these numbers are among all parts of some slots."""
    order = [slot.first + i for slot in slots for i in range(slot.n_parts)]
    return [order.index(number) for number in numbers]


def _axes(slot: Slot) -> int:
    """How many stored axes are not those of the residual stream."""
    return sum(bool(axis.letters - {"m"}) for axis in stored_axes(slot.axes))


def _inputs(slot: Slot) -> torch.Tensor:
    """The entries of what a weight reads that each part of it reads, shape `[n, d_head]` or `[f]`."""
    return slot.of(_numbered(slot))[..., 0]


def _numbered(slot: Slot) -> torch.Tensor:
    """A tensor of the stored shape with the numbers of the entries of what the weight reads, or gives."""
    inner = [bool(axis.letters - {"m"}) for axis in stored_axes(slot.axes)]
    sizes = [size for size, one in zip(slot.shape, inner, strict=True) if one]
    shape = [size if one else 1 for size, one in zip(slot.shape, inner, strict=True)]
    return torch.arange(prod(sizes), device="cpu").reshape(shape).expand(slot.shape)
