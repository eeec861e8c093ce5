"""The colors of a grid: computed at once for Python, and on the worker for a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from headgrid.widget.compute import to_wire
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state import cell_colors
from headgrid.widget.state.cell_colors import Quantity
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.empty import NO_COLORS, NO_PROGRESS
from headgrid.widget.wire.schema import Colors, Ln, Recolor

EACH = 0.1
"""Seconds between two reports of progress."""

SCANNING = "reading every head"


class Coloring:
    """Colors the cells of one grid.

    Its methods are for the thread that changes the grid, with the state's lock held, unless they say otherwise.

    Args:
        state: the grid.
        cache: reads the weights.
        worker: runs what a browser asks for.
    """

    def __init__(self, state: GridState, cache: SummaryCache, worker: Worker) -> None:
        self._state, self._cache, self._worker = state, cache, worker
        # how many changes of the weights had been seen before what the colors show was computed; -1 where they show
        # nothing of the weights, or say already that these have changed
        self._changes = -1

    @property
    def quantities(self) -> Sequence[Quantity]:
        """The metrics that the grid can be colored by."""
        has_heads = any(layers.cells("head").size for layers in self._state.index.stacks.values())
        return cell_colors.QUANTITIES if self._cache.readable and has_heads else ()

    def snapshot(self) -> Callable[[], None]:
        """A function that restores the present state."""
        changes = self._changes

        def restore() -> None:
            self._changes = changes

        return restore

    # ---- for Python

    def color_by(self, what: Any, label: str | None, diverging: bool | None, ln: Ln) -> None:
        """Color the cells, as `HeadGrid.color_by` says; it takes the lock itself, and only to write."""
        state, changes = self._state, -1
        if isinstance(what, str):
            asked = cell_colors.quantity(what, self.quantities)
            try:
                found, changes = self._computed(asked, ln, self.telling(lambda write: write()), None, label, diverging)
            finally:
                state.binding.run(self._idle)
        elif what is None:
            found = NO_COLORS
        else:
            main = state.anatomy.main.name
            found = cell_colors.of_array(state.index, state.cells.absent, main, what, label, diverging)

        def change() -> None:
            self.stop()
            self._choose(found, changes)

        state.binding.run(change)

    def take_over(self, other: Coloring) -> None:
        """Have the colors of another grid of the same model."""
        if other._state.colors["label"]:
            changes = -1
            if 0 <= other._changes == other._cache.changes:
                self._cache.recheck((), True, lambda: None)
                changes = self._cache.changes
            self._choose(other._state.colors, changes)

    # ---- for a browser

    def recolor(self) -> None:
        """Have the cells colored as the browser asked last."""
        self.stop()
        asked = self._state.recolor
        base: Colors = {**NO_COLORS, "recolor": asked["n"]}
        if not asked["metric"]:
            self._show(base)
            return
        failed = partial(self._failed, {**base, "metric": asked["metric"], "ln": asked["ln"]})
        try:
            what = cell_colors.quantity(asked["metric"], self.quantities)
        except ValueError as fault:
            failed(fault)
        else:
            self._worker.submit("colors", partial(self._compute, asked, what), failed)

    def resume(self) -> None:
        """Ask again for colors that were asked for and are not there."""
        if self._state.colors["recolor"] < self._state.recolor["n"]:
            self.recolor()
        else:
            self._idle()

    def stop(self) -> None:
        """Drop the scan that is running for colors."""
        self._worker.cancel("colors")
        self._idle()

    def outdated(self, changes: int) -> bool:
        """Whether the colors are of weights that have changed since, and do not say so.

        Args:
            changes: how many changes of the weights were seen.
        """
        return bool(self._state.colors["metric"]) and 0 <= self._changes < changes

    def weights_changed(self, changes: int) -> None:
        """Say in the legend that the weights have changed since, where the colors are of them."""
        colors = self._state.colors
        if self.outdated(changes):
            self._show({**colors, "label": f"{colors['label']}, before the weights changed"})

    def telling(self, show: Callable[[Callable[[], None]], None]) -> Callable[[int, int], None]:
        """A function that reports progress, not too often.

        Args:
            show: has something called that shows the progress.
        """
        last = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= EACH:
                last = time.monotonic()
                progress = {"label": SCANNING, "done": done, "total": total}
                show(partial(self._state.show, "progress", progress))

        return tell

    def _idle(self) -> None:
        self._state.show("progress", NO_PROGRESS)

    def _choose(self, found: Colors, changes: int) -> None:
        """Show colors that no browser asked for: they answer all that was asked before, so that is not asked again."""
        self._show({**found, "recolor": self._state.recolor["n"]}, changes)

    def _show(self, found: Colors, changes: int = -1) -> None:
        self._changes = changes
        self._state.show("colors", found)

    def _compute(self, asked: Recolor, what: Quantity, turn: Turn) -> None:
        found, changes = self._computed(what, asked["ln"], self.telling(turn.show), turn.cancelled)
        turn.show(partial(self._answer, {**found, "recolor": asked["n"]}, changes))

    def _failed(self, base: Colors, error: Exception) -> None:
        self._answer({**base, "error": to_wire.said(error)})

    def _answer(self, found: Colors, changes: int = -1) -> None:
        if self._state.recolor["n"] == found["recolor"]:
            self._idle()
            self._show(found, changes)

    def _computed(
        self,
        what: Quantity,
        ln: Ln,
        tell: Callable[[int, int], object],
        cancelled: Callable[[], bool] | None = None,
        label: str | None = None,
        diverging: bool | None = None,
    ) -> tuple[Colors, int]:
        """The colors of a number of every head, and how many changes of the weights had been seen before.

        This takes as long as it takes, and needs no lock.
        """
        self._cache.recheck((), True, lambda: None)
        changes = self._cache.changes
        scans = self._cache.scans(what.family, ln, tell, cancelled)
        return cell_colors.of_scans(self._state.index, what, scans, label, diverging), changes
