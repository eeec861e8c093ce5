"""The colors of a grid: computed at once for Python, and on the worker for a browser."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import torch

from headgrid.circuits.norms import LNS
from headgrid.utils.arguments import Floats
from headgrid.widget.compute import task_numbers, to_wire
from headgrid.widget.compute.shared_copy import SharedCopy
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.compute.task_numbers import TaskNumbers
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state import cell_colors
from headgrid.widget.state.cell_colors import Quantity
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.state.questions import HIDDEN
from headgrid.widget.wire.empty import NO_COLORS, NO_PROGRESS
from headgrid.widget.wire.schema import Colors, Ln, Recolor

EACH = 0.1
"""Seconds between two reports of progress."""

SCANNING = "reading every head"

OPENING = "effect"
"""The number by which the cells of a small model are colored when it is first seen with a task."""


class Coloring:
    """Colors the cells of one grid.

    Its methods are for the thread that changes the grid, with the state's lock held, unless they say otherwise.

    Args:
        state: the grid.
        cache: reads the weights.
        worker: runs what a browser asks for.
        model, shared: its model, which a caller's own thread runs, and the copy that the worker runs.

    Attributes:
        changed: called when other numbers are known of the heads, or other colors shown.
    """

    def __init__(
        self, state: GridState, cache: SummaryCache, worker: Worker, model: torch.nn.Module | None = None,
        shared: SharedCopy | None = None,
    ) -> None:  # fmt: skip
        self._state, self._cache, self._worker = state, cache, worker
        self._model, self._shared = model, shared
        self._numbers = TaskNumbers(state.index)
        self.changed: Callable[[], object] = lambda: None
        # how many changes of the weights had been seen before what the colors show was computed; -1 where they show
        # nothing of the weights, or say already that these have changed
        self._changes = -1
        self._chosen = False  # whether anybody has had the cells colored, or the colors taken away

    @property
    def quantities(self) -> Sequence[Quantity]:
        """The metrics that the grid can be colored by."""
        has_heads = any(layers.cells("head").size for layers in self._state.index.stacks.values())
        if not (self._cache.readable and has_heads):
            return ()
        return (*task_numbers.offered(self._state.task), *cell_colors.QUANTITIES)

    def refuse_unknown(self, names: Collection[str]) -> None:
        """
        Raises:
            ValueError: for a metric that the grid never has, with a task or without.
        """
        there = (*task_numbers.NAMES, *(one.name for one in cell_colors.QUANTITIES)) if self.quantities else ()
        for name in sorted(names):
            if name not in there:
                offered = f"there are {', '.join(there)}" if there else "it has no weights to read, so it has none"
                raise ValueError(f"there is no metric {name!r} of this grid to hide; {offered}")

    def known_numbers(self) -> dict[str, tuple[Floats, str]]:
        """Name of a number of the task -> what was read, `[n_cells]`, and what a legend adds, if it is still true."""
        if self._shared is None:
            return {}
        return self._numbers.known(self._state.task, self._shared.version(self._cache.changes))

    def every(self, compute: bool) -> list[Colors]:
        """The colors of every metric that was computed, for a page, and for any thread.

        Args:
            compute: whether to compute those of the weights that were not, with norms folded.
        """
        found: list[Colors] = []
        known, index = self.known_numbers(), self._state.index
        for what in self.quantities:
            if what.live:
                if what.name in known:
                    numbers, said = known[what.name]
                    found.append(cell_colors.of_task(index, what, numbers, None, None, said))
                continue
            for ln in LNS:
                scans = self._cache.known_scans(ln).get(what.family)
                try:
                    if scans is None and compute and ln == LNS[0]:
                        scans = self._cache.scans(what.family, ln)
                    if scans:
                        found.append(cell_colors.of_scans(index, what, scans))
                except ValueError:  # there is no such number of this model, as its menu says when it is chosen
                    continue
        return found

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
        self._chosen = True
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

    def task_changed(self) -> None:
        """Color the cells anew where they show a number of the task, or take the colors away if there is none now."""
        self._numbers.forget()
        colors = self._state.colors
        if colors["metric"] not in task_numbers.NAMES:
            self.changed()
            return
        self.stop()
        what = next((one for one in self.quantities if one.name == colors["metric"]), None)
        if what is None:
            self._show({**NO_COLORS, "recolor": self._state.recolor["n"]})
        else:
            self._submit(what)

    def open(self) -> None:
        """Color the cells by each head's effect on the task, unless somebody chose colors or a question hides it."""
        what = next((one for one in self.quantities if one.name == OPENING), None)
        chosen = self._chosen or self._state.colors["label"] or OPENING in self._state.questions.hidden
        if what is not None and not chosen:
            self._submit(what)

    def _submit(self, what: Quantity) -> None:
        """Have the cells colored by a number of the task, as an answer to all that was asked before."""
        n = self._state.recolor["n"]
        asked: Recolor = {"n": n, "metric": what.name, "ln": "folded"}
        failed = partial(self._failed, {**NO_COLORS, "recolor": n, "metric": what.name})
        self._worker.submit("colors", partial(self._compute, asked, what), failed)

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
        self._chosen = True
        self._show({**found, "recolor": self._state.recolor["n"]}, changes)

    def _show(self, found: Colors, changes: int = -1) -> None:
        self._changes = changes
        self._state.show("colors", found)
        self.changed()

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
        if what.name in self._state.questions.hidden:
            raise ValueError(f"{what.name!r} would give an answer away: {HIDDEN[0].lower()}{HIDDEN[1:]}")
        self._cache.recheck((), True, lambda: None)
        changes = self._cache.changes
        if what.live:
            return self._of_task(what, changes, tell, cancelled, label, diverging), changes
        scans = self._cache.scans(what.family, ln, tell, cancelled)
        return cell_colors.of_scans(self._state.index, what, scans, label, diverging), changes

    def _of_task(
        self, what: Quantity, changes: int, tell: Callable[[int, int], object], cancelled: Callable[[], bool] | None,
        label: str | None, diverging: bool | None,
    ) -> Colors:  # fmt: skip
        """The colors of a number of every head on the task."""
        task = self._state.task
        if task is None or self._model is None or self._shared is None:
            raise ValueError(f"{what.label!r} is a number of a task, and there is none: set grid.task")
        model = self._model if cancelled is None else self._shared.get()
        version = self._shared.version(changes)
        numbers, said = self._numbers.read(what.name, model, task, version, tell, cancelled)
        return cell_colors.of_task(self._state.index, what, numbers, label, diverging, said)
