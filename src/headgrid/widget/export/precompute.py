"""Summaries that are computed beforehand, for a page without a kernel.

Everything is read into the grid's own cache and into nothing that its views show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headgrid.anatomy.anatomy import Bools
from headgrid.circuits.norms import LNS
from headgrid.circuits.progress import Progress, steps
from headgrid.torch_state import shielded
from headgrid.widget.compute import to_wire, weight_location
from headgrid.widget.compute.selected_heads import SelectedHeads
from headgrid.widget.compute.summary_cache import NOTHING, SummaryCache
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.empty import NO_ARROWS, NO_HEADS
from headgrid.widget.wire.schema import Arrows, Focus, HeadsSummary, Summary

MOST = 64
"""The cells whose summaries a page keeps: each is some 20 kB, twice, and takes as long as it does in the widget."""


@dataclass(frozen=True)
class Precomputed:
    """Summaries of some cells.

    Attributes:
        summaries: of each cell, with norms folded and raw where that makes a difference.
        cells: the cells, `[n_cells]`.
        left_out: the selected cells that were too many, `[n_cells]`.
    """

    summaries: list[Summary]
    cells: Bools
    left_out: Bools


def precompute(grid: GridState, cache: SummaryCache, progress: Progress = False) -> Precomputed:
    """The complete summaries of the cell in focus and of the selected cells: the first `MOST` of them.

    Args:
        grid: the grid.
        cache: reads its weights.
        progress: who is told of each cell that is read; True shows a bar.
    """
    with grid.lock:
        wanted = _in_order(grid, grid.focus["cell"], *grid.coverage())
    chosen, rest = wanted[:MOST], wanted[MOST:]
    found: list[Summary] = []
    with shielded():
        jobs = [(cell, ln) for cell in chosen for ln in LNS if ln == LNS[0] or cache.tabs(cell)]
        for ln in LNS:  # those that are read at once are read faster
            cache.read_all([cell for cell in chosen if cache.tabs(cell)], ln)
        for cell, ln in steps(jobs, len(jobs), "reading the selected cells", progress):
            found.append(_summary(grid, cache, {"n": 0, "cell": cell, "ln": ln}))
    return Precomputed(found, _bits(grid, chosen), _bits(grid, rest))


def compare(grid: GridState, cache: SummaryCache) -> tuple[HeadsSummary, Arrows]:
    """The selected heads side by side and the arrows between them, complete."""
    with grid.lock:
        now = SelectedHeads.of(grid.index, grid.coverage()[0], grid.focus["ln"])
    if now.n_heads < 2 or not cache.readable:
        return {**NO_HEADS, "ln": now.ln}, NO_ARROWS
    with shielded():
        beside = now.summary(cache, grid.cells)
        try:
            return beside, now.arrows(cache, grid.index, _never)
        except Exception as error:  # said in its place, as in the widget
            return beside, {**NO_ARROWS, "note": f"No arrows: {to_wire.said(error)}"}


def _in_order(grid: GridState, focus: int, on: Bools, partial: Bools) -> list[int]:
    """The cell in focus, then the selected cells that have circuits, whole before partly selected, then the others."""
    selected = [int(cell) for bits in (on, partial) for cell in np.flatnonzero(bits & ~grid.cells.absent)]
    selected.sort(key=lambda cell: grid.index[cell] is None)  # which keeps the order otherwise
    here = [focus] if weight_location.is_cell(grid.cells, focus) else []
    return list(dict.fromkeys([*here, *selected]))


def _summary(grid: GridState, cache: SummaryCache, focus: Focus) -> Summary:
    cell, ln = focus["cell"], focus["ln"]
    tabs = cache.tabs(cell)
    answer = cache.read(cell, ln) if tabs else NOTHING
    if answer.pending:
        *_, answer = answer, *cache.deepen(cell, ln, _never)
    here = weight_location.is_cell(grid.cells, cell)
    summary = weight_location.summary(grid.cells, grid.silent, focus, tabs, cache.missing(cell) if here else "")
    return {**summary, "circuits": answer.circuits, "partners": answer.partners, "pending": []}


def _bits(grid: GridState, cells: list[int]) -> Bools:
    bits = np.zeros(grid.cells.n_cells, dtype=np.bool_)
    bits[cells] = True
    return bits


def _never() -> bool:
    return False
