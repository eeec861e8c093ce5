"""Which cell shows which head, MLP or expert, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from headgrid.widget.wire.schema import Band

Integers = npt.NDArray[np.intp]
Read = Literal["head", "mlp", "expert"]
"""The kinds of cells that have circuits to read."""


@dataclass(frozen=True)
class Component:
    """What one cell shows: a head or an expert by its number, the MLP of a layer (number 0)."""

    kind: Read
    stack: str
    layer: int
    number: int

    @property
    def expert(self) -> int | None:
        """The number of an expert; None for a whole MLP."""
        return self.number if self.kind == "expert" else None


@dataclass(frozen=True)
class Layers:
    """The cells of one stack's layers.

    Attributes:
        stack: its name.
        first: the first of its cells.
        n_layers: its rows.
        kinds: the kind of each of its columns.
    """

    stack: str
    first: int
    n_layers: int
    kinds: tuple[str, ...]

    @property
    def width(self) -> int:
        """How many cells a layer has."""
        return len(self.kinds)

    def cells(self, kind: str) -> Integers:
        """The cells of a kind, `[n_layers, n]`."""
        columns = np.flatnonzero(np.array(self.kinds) == kind)
        return self.first + self.width * np.arange(self.n_layers)[:, None] + columns

    def component(self, cell: int) -> Component | None:
        """What a cell of this stack shows; None where it has no circuits."""
        layer, column = divmod(cell - self.first, self.width)
        kind = self.kinds[column]
        if kind not in ("head", "mlp", "expert"):
            return None
        return Component(kind, self.stack, layer, self.kinds[:column].count(kind))  # type: ignore[arg-type]


class CellIndex:
    """The cells of a grid that have circuits.

    Attributes:
        n_cells: how many cells the grid has.
        stacks: name -> the layers of that stack, in the order of the grid.
    """

    def __init__(self, bands: Sequence[Band]) -> None:
        self.stacks: dict[str, Layers] = {}
        self.n_cells = 0
        for band in bands:
            kinds = tuple(column["kind"] for column in band["columns"])
            if band["rows"][0]["word"]:
                self.stacks[band["stack"]] = Layers(band["stack"], self.n_cells, len(band["rows"]), kinds)
            self.n_cells += len(band["rows"]) * len(kinds)

    def __getitem__(self, cell: int) -> Component | None:
        """What a cell shows; None for norms, embeddings and whatever else has no circuits, and for no cell."""
        for layers in self.stacks.values():
            if layers.first <= cell < layers.first + layers.n_layers * layers.width:
                return layers.component(cell)
        return None

    @cached_property
    def heads(self) -> Integers:
        """The cells of all heads, in the order of the grid, `[n]`; heads that are absent included."""
        found = [layers.cells("head").reshape(-1) for layers in self.stacks.values()]
        return np.concatenate(found) if found else np.empty(0, dtype=np.intp)

    def head(self, stack: str, layer: int, number: int) -> int:
        """The cell of a head."""
        return int(self.stacks[stack].cells("head")[layer, number])
