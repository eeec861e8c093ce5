"""What a sweep replaces one by one: heads, their queries, keys and values, MLPs, neurons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import torch

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.experiments.effects import Unit
from headgrid.selection.activations import ActivationKind, Where
from headgrid.selection.points import ActivationNumbers

SinglePart: TypeAlias = tuple[Where, int | None]
"""An activation, and which of its heads or neurons; None for all of them."""

_KINDS: dict[Unit, ActivationKind] = {"head": "z", "q": "q", "k": "k", "v": "v", "mlp": "mlp", "neuron": "mlp"}


@dataclass(frozen=True, eq=False)
class Singles:
    """What is replaced by itself in a stack.

    Args:
        anatomy, stack: of which model.
        unit: "head" for its z, "q" for its query; "k" or "v" of a key/value head; "mlp" for all neurons of a layer
            together, "neuron" for each.

    Raises:
        ValueError: when the stack has none.
    """

    anatomy: Anatomy
    stack: Stack
    unit: Unit

    def __post_init__(self) -> None:
        if not self.wanted:
            raise ValueError(
                f"{self.anatomy.name} has no {self.unit}s in its stack {self.stack.name or 'main'!r} that could be "
                "replaced"
            )

    @cached_property
    def wanted(self) -> ActivationNumbers:
        """All activations of the unit, and the numbers of what there is in each layer."""
        return every(self.stack, self.unit)

    @cached_property
    def places(self) -> tuple[SinglePart, ...]:
        """Each by itself, layer by layer."""
        return tuple(
            (where, number) for where, numbers in self.wanted.items() for number in (
                [None] if self.unit == "mlp" else numbers)
        )  # fmt: skip

    @property
    def width(self) -> int:
        """The numbers that a layer has at most: the columns of a table."""
        return 1 if self.unit == "mlp" else 1 + max(max(numbers) for numbers in self.wanted.values())

    def masks(self, places: Sequence[SinglePart]) -> dict[Where, torch.Tensor]:
        """For each place a copy in which it alone is replaced: `[places, n]` of each activation with one of them."""
        found: dict[Where, torch.Tensor] = {}
        for copy, (where, number) in enumerate(places):
            numbers = self.wanted[where]
            mask = found.setdefault(where, torch.zeros(len(places), len(numbers), dtype=torch.bool))
            mask[copy, slice(None) if number is None else numbers.index(number)] = True
        return found

    def table(self, rows: int, more: Sequence[int] = ()) -> torch.Tensor:
        """NaN for each row, layer and number, `[rows, n_layers, width, *more]`, to be filled at the places."""
        return torch.full((rows, self.stack.n_layers, self.width, *more), torch.nan, dtype=torch.float64)


def every(stack: Stack, unit: Unit) -> ActivationNumbers:
    """All activations of a unit in a stack, and the numbers of what there is in each layer; {} without any."""
    kind = _KINDS[unit]
    role = "W_out" if kind == "mlp" else "W_O"
    there = stack.exists.get(f"{stack.name}:{role}" if stack.name else role)
    if there is None:
        return {}
    return {
        (kind, stack.name, layer): tuple(range(stack.n_kv_heads))
        if unit in ("k", "v")
        else tuple(there[layer].nonzero()[0].tolist())
        for layer in range(stack.n_layers)
        if there[layer].any()
    }
