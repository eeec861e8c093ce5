"""Stacks: sequences of layers, with their sizes and slots; `headgrid.anatomy.anatomy` says what they are for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.roles import OUTSIDE_LAYERS, rank, role_of
from headgrid.anatomy.slots import Slot
from headgrid.utils.frozen import Frozen, read_only, settled

Bools = npt.NDArray[np.bool_]


def count_of(n: int, singular: str, plural: str = "") -> str:
    """A number with its noun: `1 head`, `2 heads`, `2,304 parameters`."""
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


@dataclass(frozen=True, eq=False)
class Stack(Frozen):
    """A sequence of layers, or what several stacks share: then it has the name "" and no layers.

    Attributes:
        name: "" for the only or main stack, else its prefix in a selection: `encoder`, `decoder`, `cross`, `vision`.
        n_layers, n_heads, n_kv_heads, d_model, d_head, d_mlp: the field's names for the sizes. With grouped-query
            attention `n_kv_heads < n_heads`; otherwise they are equal. `d_head` is the width of a head's `z`.
        n_experts: of a mixture; 0 without one.
        slots: its places, in the order of the model's parameters.
        tied: slots that read a tensor which another slot owns: `W_U` where the unembedding is the embedding.
        uses: how often each layer is run in a forward pass, for models that share one layer's weights (ALBERT).
    """

    name: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    n_experts: int
    slots: tuple[Slot, ...]
    tied: tuple[Slot, ...] = ()
    uses: int = 1

    @cached_property
    def exists(self) -> dict[str, Bools]:
        """Key of a role -> which of its parts there are, `[n_layers, n_parts]`; `[1, n_parts]` for what is in no layer.

        A layer without attention has no `W_Q`: its row is False.
        """
        count: dict[str, int] = {}
        for slot in self.slots:
            count[slot.key] = max(count.get(slot.key, 0), slot.first + slot.n_parts)
        there = {
            key: np.zeros((1 if role_of(key).owner in OUTSIDE_LAYERS else self.n_layers, count[key]), dtype=np.bool_)
            for key in sorted(count, key=rank)
        }
        for slot in self.slots:
            there[slot.key][slot.layer or 0, slot.numbers] = True
        return read_only({key: settled(bits, ours=True) for key, bits in there.items()})

    @cached_property
    def kv_head_of(self) -> npt.NDArray[np.intp]:
        """The key/value head that each query head reads, shape `[n_heads]`: `h // (n_heads // n_kv_heads)`."""
        return settled(np.arange(self.n_heads) // max(1, self.n_heads // max(1, self.n_kv_heads)))

    def roles(self, *owners: str) -> list[str]:
        """The keys of the roles that this stack has of these owners, in the order of a forward pass."""
        return [key for key in self.exists if role_of(key).owner in owners]

    @cached_property
    def places(self) -> dict[tuple[str, int | None], tuple[Slot, ...]]:
        """The slots of a role in a layer; a tied slot counts as the role that it reads as."""
        found: dict[tuple[str, int | None], tuple[Slot, ...]] = {}
        for slot in (*self.slots, *self.tied):
            found[slot.role, slot.layer] = (*found.get((slot.role, slot.layer), ()), slot)
        return read_only(found)

    @property
    def size(self) -> str:
        """Its layers and heads in words: `2 layers x 4 heads in 2 groups`."""
        groups = f" in {count_of(self.n_kv_heads, 'group')}" if self.n_kv_heads < self.n_heads else ""
        experts = f" and {count_of(self.n_experts, 'expert')}" if self.n_experts else ""
        used = f" (each run {self.uses} times)" if self.uses > 1 else ""
        heads = f" x {count_of(self.n_heads, 'head')}" if self.n_heads else ""
        return f"{count_of(self.n_layers, 'layer')}{used}{heads}{groups}{experts}"
