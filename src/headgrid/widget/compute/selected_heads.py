"""The selected heads: which they are, their summaries side by side, and the arrows of composition between them.

The widget's worker reads them while somebody looks, and a page without a kernel beforehand: both by this.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from headgrid.anatomy.anatomy import Bools
from headgrid.widget.compute import composition_to_wire, to_wire
from headgrid.widget.compute.summary_cache import Asked, SummaryCache
from headgrid.widget.state.cell_index import CellIndex, Component
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire.empty import NO_ARROWS, NO_HEADS
from headgrid.widget.wire.schema import Arrows, Circuit, HeadsSummary, Ln, SelectedHead

MOST_BESIDE = 6
"""The heads that are shown side by side."""

MOST_SUMMED = 16
"""The heads whose OV circuits are summed."""

MOST_COMPOSED = 64
"""The heads among which composition is computed without being asked for."""


@dataclass(frozen=True)
class SelectedHeads:
    """The selected heads.

    Attributes:
        cells: the first of them, as many as anything is computed of.
        n_heads: how many there are.
        ln: whether norms are folded.
        why: why there are no arrows between them; "" where there are.
    """

    cells: tuple[int, ...]
    n_heads: int
    ln: Ln
    why: str

    @classmethod
    def of(cls, index: CellIndex, on: Bools, ln: Ln) -> SelectedHeads:
        """Those of the cells that are on, `[n_cells]`."""
        selected = index.heads[on[index.heads]]
        cells = tuple(selected[: MOST_COMPOSED + 1].tolist())
        heads = [component for cell in cells if (component := index[cell]) is not None]
        return cls(cells, len(selected), ln, why_no_arrows(heads, len(selected)))

    def summary(self, cache: SummaryCache, cells: Cells, check: Callable[[], object] = lambda: None) -> HeadsSummary:
        """Their summaries, and the sum of their OV circuits; `check` is called between the two, and may raise."""
        first = self.cells[:MOST_BESIDE]
        heads = [
            _head(cell, cells.describe(cell)[0], answer.circuits)
            for cell, answer in zip(first, cache.read_all(first, self.ln), strict=True)
        ]
        check()
        summed = cache.summed(self.cells, self.ln) if self.n_heads <= MOST_SUMMED else None
        return {"heads": heads, "n_heads": self.n_heads, "summed": summed, "ln": self.ln, "pending": False}

    def arrows(self, cache: SummaryCache, index: CellIndex, cancelled: Asked) -> Arrows:
        """The arrows between them.

        Raises:
            Cancelled: when `cancelled` says so.
        """
        if self.why:
            return {**NO_ARROWS, "note": self.why}
        return composition_to_wire.arrows(cache.composed(self.cells, self.ln, cancelled), index)


def still_true(shown: HeadsSummary, arrows: Arrows, cells: Sequence[int], n_heads: int) -> tuple[HeadsSummary, Arrows]:
    """The summaries and arrows on show that stay true when other heads are selected, until the new ones are read.

    Args:
        shown, arrows: what is shown.
        cells: the first of the heads that are selected now.
        n_heads: how many are.
    """
    if n_heads < 2:
        return {**NO_HEADS, "ln": shown["ln"]}, NO_ARROWS
    first, every = cells[:MOST_BESIDE], set(cells)
    beside = [head for head in shown["heads"] if head["cell"] in first]
    between = [arrow for arrow in arrows["arrows"] if {arrow["source"], arrow["target"]} <= every]
    return (
        {**shown, "heads": beside, "n_heads": n_heads, "summed": None, "pending": True},
        {**arrows, "arrows": between, "note": ""},
    )


def why_no_arrows(heads: Collection[Component], n_heads: int) -> str:
    """Why composition among selected heads is not computed; "" where it is.

    Args:
        heads: the first of them.
        n_heads: how many they are.
    """
    if n_heads > MOST_COMPOSED:
        return f"Arrows are drawn among at most {MOST_COMPOSED} heads: {n_heads:,} are selected."
    layers: dict[str, set[int]] = {}
    for head in heads:
        layers.setdefault(head.stack, set()).add(head.layer)
    if all(len(found) < 2 for found in layers.values()):
        return "No arrows: a head reads what heads of earlier layers wrote, and the selected ones are in one layer."
    return ""


def _head(cell: int, title: str, circuits: Iterable[Circuit]) -> SelectedHead:
    """One of several heads."""
    return {"cell": cell, "title": title, "circuits": [to_wire.few(circuit) for circuit in circuits]}
