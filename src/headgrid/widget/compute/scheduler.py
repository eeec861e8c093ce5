"""What a grid has its worker do, and how the cache become its traits."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from headgrid.anatomy.anatomy import Bools
from headgrid.weights import Weights
from headgrid.widget import transaction
from headgrid.widget.compute import comparison, hosts, to_wire, weight_location
from headgrid.widget.compute.recheck import Recheck
from headgrid.widget.compute.selected_heads import SelectedHeads
from headgrid.widget.compute.summary_cache import CellSummary, SummaryCache
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state import cell_colors
from headgrid.widget.state.cell_colors import Quantity
from headgrid.widget.state.cell_index import CellIndex
from headgrid.widget.wire.schema import Arrows, Colors, Focus, HeadsSummary, Ln, Progress, Recolor, Summary

if TYPE_CHECKING:
    from headgrid.widget.head_grid import HeadGrid

IDLE: Progress = {"label": "", "done": 0, "total": 0}
EACH = 0.1
"""Seconds between two reports of progress."""

PATIENCE = 3.0
"""Seconds for which a cell of a notebook without a browser waits for what its grid shows."""

SCANNING = "reading every head"


class Scheduler:
    """The long work of one grid.

    Its methods are for the thread that changes the grid, with `lock` held; they return at once.

    Args:
        grid: the grid whose traits are written.
        weights: its model's weights; None for a model that is known by its configuration alone.

    Attributes:
        watched: whether anybody may look: until then nothing is computed for a selection.
        compared: the selected heads that are compared, and the age of the answers that this was asked with.
        rechecked: looks whether what is shown is still true.
    """

    def __init__(self, grid: HeadGrid, weights: Weights | None) -> None:
        self._grid = grid
        self.index = CellIndex(grid._cells.bands)
        self.cache = SummaryCache(weights, grid.tokenizer, self.index)
        self.worker = Worker()
        self.lock = self.worker.lock
        self.watched = self._waits = False
        self._asleep = False
        self.compared: tuple[object, ...] = ()
        self._age = 0
        self.rechecked = Recheck(grid, self)

    @property
    def quantities(self) -> Sequence[Quantity]:
        """What the grid can be colored by."""
        has_heads = any(layers.cells("head").size for layers in self.index.stacks.values())
        return cell_colors.QUANTITIES if self.cache.readable and has_heads else ()

    # ---- its life

    @property
    def state(self) -> tuple[Any, ...]:
        """What it knows of what is shown; to be set to what it was, if to anything."""
        return self._age, self.watched, self._asleep, self.rechecked.painted

    @state.setter
    def state(self, before: tuple[Any, ...]) -> None:
        self._age, self.watched, self._asleep, self.rechecked.painted = before

    def sleep(self) -> None:
        """Nobody looks any more: stop what runs, end the thread, and forget what can be read again."""
        self._asleep, self.watched, self.compared = True, False, ()
        self.worker.rest()
        self.cache.forget()
        self._set("progress", IDLE)

    def watch(self) -> None:
        """Somebody may look from now on."""
        if not self.watched:
            self.watched = True
            hosts.after_each_cell(self)

    def wake(self) -> None:
        """Somebody looks: what was stopped is asked for again."""
        slept = self._asleep
        self._asleep = False
        self.watch()
        if slept:
            self._age = self.cache.age  # what is shown stays, unless the weights changed in the meantime
            self.resume()
        else:
            self._grid._compare()
        self.recheck()

    def resume(self) -> None:
        """Ask again for whatever was asked for and is not answered."""
        grid = self._grid
        if grid.summary["pending"] or grid.summary["focus"] != grid.focus["n"]:
            self.focus(cast(Focus, grid.focus))
        self.refresh()
        if grid.colors["recolor"] < grid.recolor["n"]:
            self.recolor(cast(Recolor, grid.recolor))
        else:
            self._set("progress", IDLE)
        if grid.completions["complete"] != grid.complete["n"]:
            grid._complete()
        self.compared = ()
        grid._compare()

    def recheck(self) -> None:
        """Have looked whether what is shown is still what the weights say; it is what `hosts` calls after a cell."""
        self.rechecked.recheck()

    @property
    def seen_anew(self) -> bool:
        """Whether a change of the weights was seen since the cell in focus was read."""
        return self.cache.age != self._age

    # ---- its end

    def close(self) -> None:
        """Stop everything for good."""
        self.worker.close()
        self.cache.forget()

    def _wait_at_the_end(self) -> None:
        """In a notebook that runs without a browser, to be saved as a page, what is computed is part of the cell."""

        def wait() -> None:
            self._waits = False
            self.worker.join_idle(PATIENCE)

        self._waits = self._waits or hosts.after_cell(wait)

    # ---- the cell in focus

    def focus(self, focus: Focus) -> None:
        """Say at once where the weights of a cell are, and what was found of it before; have the rest read."""
        grid, cell, ln = self._grid, focus["cell"], focus["ln"]
        self.worker.cancel("focus", "details")
        here = weight_location.is_cell(grid._cells, cell)
        tabs = self.cache.tabs(cell) if here else []
        silent = weight_location.writes_nothing(grid._cells, grid.model, cell) if here else grid._silent
        summary = weight_location.summary(grid._cells, silent, focus, tabs, self.cache.missing(cell) if here else "")
        if not tabs:
            grid.summary = dict(summary)
        elif (known := self.cache.known(cell, ln)) is not None:
            self._show_first(summary, known)
        else:
            grid.summary = dict(summary)
            self.worker.submit("focus", partial(self._read, summary), partial(self._not_read, summary))
        self._age = self.cache.age
        self.recheck()

    def refresh(self) -> None:
        """Have the cell in focus read again if a change of the weights was seen since, or is seen now."""
        focus = cast(Focus, self._grid.focus)
        if self.cache.tabs(focus["cell"]):
            self.cache.known(focus["cell"], focus["ln"])
            if self.seen_anew:
                self.focus(focus)

    def _read(self, summary: Summary, turn: Turn) -> None:
        answer = self.cache.read(summary["cell"], summary["ln"])
        turn.show(partial(self._show_first, summary, answer))

    def _deepen(self, summary: Summary, turn: Turn) -> None:
        for answer in self.cache.deepen(summary["cell"], summary["ln"], turn.cancelled):
            turn.show(partial(self._show, summary, answer))

    def _show_first(self, summary: Summary, answer: CellSummary) -> None:
        self._show(summary, answer)
        if answer.pending:
            self.worker.submit("details", partial(self._deepen, summary), partial(self._not_read, summary))

    def _show(self, summary: Summary, answer: CellSummary) -> None:
        if self._grid.focus["n"] == summary["focus"]:
            found = {"circuits": answer.circuits, "partners": answer.partners, "pending": answer.pending}
            self._grid.summary = {**summary, **found}

    def _not_read(self, summary: Summary, error: Exception) -> None:
        """Nothing should end here: what can fail is said where it stands. What does is shown all the same."""
        failure = to_wire.failed("ov" if "ov" in summary["tabs"] else "in", to_wire.said(error))
        shown = [*self._grid.summary["circuits"], failure] if self._grid.summary["focus"] == summary["focus"] else []
        self._show(summary, CellSummary(shown, comparison.no_partners(to_wire.said(error)), []))

    # ---- the selected heads

    def compare(self, on: Bools, ln: Ln) -> None:
        """Have the selected heads compared, if they are not the same as before.

        Args:
            on: the cells that are on, `[n_cells]`.
            ln: whether norms are folded.
        """
        if not (self.watched and self.cache.readable):
            return
        now = SelectedHeads.of(self.index, on, ln)
        asked = now, self.cache.age
        if asked == self.compared:
            return
        self.compared = asked
        grid = self._grid
        shown, arrows = cast(HeadsSummary, grid.selected_heads), cast(Arrows, grid.arrows)
        if shown["ln"] != ln:
            shown, arrows = {**comparison.NONE, "ln": ln}, comparison.NO_ARROWS
        shown, arrows = comparison.still(shown, arrows, now.cells, now.n_heads)
        self.worker.cancel("selected_heads", "arrows")
        if now.n_heads > 1:
            self.worker.submit("selected_heads", partial(self._compare, now), self._not_compared)
            if now.why:
                arrows = {**comparison.NO_ARROWS, "note": now.why}
            else:
                self.worker.submit("arrows", partial(self._compose, now), self._not_composed)
            self._wait_at_the_end()
        grid.selected_heads, grid.arrows = dict(shown), dict(arrows)

    def _compare(self, now: SelectedHeads, turn: Turn) -> None:
        found = now.beside(self.cache, self._grid._cells, turn.check)
        turn.show(partial(self._set, "selected_heads", found))

    def _not_compared(self, error: Exception) -> None:
        failure = to_wire.failed("ov", to_wire.said(error))
        self._grid.selected_heads = {**self._grid.selected_heads, "summed": failure, "pending": False}

    def _compose(self, now: SelectedHeads, turn: Turn) -> None:
        turn.show(partial(self._set, "arrows", now.arrows(self.cache, self.index, turn.cancelled)))

    def _not_composed(self, error: Exception) -> None:
        self._grid.arrows = {**comparison.NO_ARROWS, "note": f"No arrows: {to_wire.said(error)}"}

    # ---- colors

    def color_by(self, what: Any, label: str | None, diverging: bool | None, ln: Ln) -> None:
        """What `HeadGrid.color_by` does; it takes the lock itself, and only to write."""
        grid, changes = self._grid, -1
        if isinstance(what, str):
            asked = cell_colors.quantity(what, self.quantities)
            try:
                found, changes = self.colored(asked, ln, self.telling(lambda write: write()), None, label, diverging)
            finally:
                transaction.run(grid, partial(self._set, "progress", IDLE))
        elif what is None:
            found = cell_colors.NONE
        else:
            main = grid.anatomy.main.name
            found = cell_colors.of_array(self.index, grid._cells.absent, main, what, label, diverging)

        def change() -> None:
            self.stop_colors()
            self.rechecked.painted = changes
            self._set("colors", found)

        transaction.run(grid, change)

    def take_over(self, other: Scheduler) -> None:
        """Take over the colors of another grid of the same model."""
        if other._grid.colors["label"]:
            self._set("colors", {**other._grid.colors, "recolor": 0})
            if 0 <= other.rechecked.painted == other.cache.changes:
                self.cache.recheck((), True, lambda: None)
                self.rechecked.painted = self.cache.changes

    def recolor(self, asked: Recolor) -> None:
        """Have the cells colored as the browser asks."""
        self.stop_colors()
        base: Colors = {**cell_colors.NONE, "recolor": asked["n"]}
        if not asked["metric"]:
            self._grid.colors = dict(base)
            return
        failed = partial(self._not_colored, {**base, "metric": asked["metric"], "ln": asked["ln"]})
        try:
            what = cell_colors.quantity(asked["metric"], self.quantities)
        except ValueError as fault:
            failed(fault)
        else:
            self.worker.submit("colors", partial(self._color, asked, what), failed)

    def stop_colors(self) -> None:
        """Drop the scan that is running for colors."""
        self.worker.cancel("colors")
        self._set("progress", IDLE)

    def colored(
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
        self.cache.recheck((), True, lambda: None)
        changes = self.cache.changes
        scans = self.cache.scans(what.family, ln, tell, cancelled)
        return cell_colors.of_scans(self.index, what, scans, label, diverging), changes

    def telling(self, show: Callable[[Callable[[], None]], None]) -> Callable[[int, int], None]:
        """A function that reports progress, not too often.

        Args:
            show: has something called that writes the trait.
        """
        last = time.monotonic()

        def tell(done: int, total: int) -> None:
            nonlocal last
            if time.monotonic() - last >= EACH:
                last = time.monotonic()
                show(partial(self._set, "progress", {"label": SCANNING, "done": done, "total": total}))

        return tell

    def _color(self, asked: Recolor, what: Quantity, turn: Turn) -> None:
        found, changes = self.colored(what, asked["ln"], self.telling(turn.show), turn.cancelled)
        turn.show(partial(self._set_colors, {**found, "recolor": asked["n"]}, changes))

    def _set_colors(self, found: Colors, changes: int = -1) -> None:
        if self._grid.recolor["n"] == found["recolor"]:
            self.rechecked.painted = changes
            self._set("progress", IDLE)
            self._set("colors", found)

    def _not_colored(self, base: Colors, error: Exception) -> None:
        self._set_colors({**base, "error": to_wire.said(error)})

    def _set(self, trait: str, value: Any) -> None:
        setattr(self._grid, trait, dict(value))
