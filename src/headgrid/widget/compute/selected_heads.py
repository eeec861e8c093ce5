"""The selected heads together: which they are, side by side, and the arrows between them.

The widget's worker reads them while somebody looks, and a page without a kernel beforehand: both by this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headgrid.anatomy.anatomy import Bools
from headgrid.widget.compute import comparison
from headgrid.widget.compute.summary_cache import Asked, SummaryCache
from headgrid.widget.state.cell_index import CellIndex
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire.empty import NO_ARROWS
from headgrid.widget.wire.schema import Arrows, HeadsSummary, Ln


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
        cells = tuple(selected[: comparison.MOST_COMPOSED + 1].tolist())
        heads = [component for cell in cells if (component := index[cell]) is not None]
        return cls(cells, len(selected), ln, comparison.why_no_arrows(heads, len(selected)))

    def beside(self, cache: SummaryCache, cells: Cells, check: Callable[[], object] = lambda: None) -> HeadsSummary:
        """They side by side, and the sum of their OV circuits; `check` is called between the two, and may raise."""
        first = self.cells[: comparison.MOST_BESIDE]
        heads = [
            comparison.beside(cell, cells.describe(cell)[0], answer.circuits)
            for cell, answer in zip(first, cache.read_all(first, self.ln), strict=True)
        ]
        check()
        summed = cache.summed(self.cells, self.ln) if self.n_heads <= comparison.MOST_SUMMED else None
        return {"heads": heads, "n_heads": self.n_heads, "summed": summed, "ln": self.ln, "pending": False}

    def arrows(self, cache: SummaryCache, index: CellIndex, cancelled: Asked) -> Arrows:
        """The arrows between them.

        Raises:
            Cancelled: when `cancelled` says so.
        """
        if self.why:
            return {**NO_ARROWS, "note": self.why}
        return comparison.arrows(cache.composed(self.cells, self.ln, cancelled), index)
