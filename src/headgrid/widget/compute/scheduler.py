"""The scheduler of a grid: it has the worker read the weights, and shows the results."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from headgrid.anatomy.anatomy import Bools
from headgrid.torch_state import shielded
from headgrid.weights import Weights
from headgrid.widget.compute import ipython_events, silent_cells, to_wire, weight_location
from headgrid.widget.compute.code_writer import CodeWriter
from headgrid.widget.compute.coloring import Coloring
from headgrid.widget.compute.grader import Grader
from headgrid.widget.compute.heads_table import TableOfHeads
from headgrid.widget.compute.live import Live
from headgrid.widget.compute.selected_heads import SelectedHeads, still_true
from headgrid.widget.compute.shared_copy import SharedCopy
from headgrid.widget.compute.summary_cache import CellSummary, SummaryCache
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state.grid_spec import spec
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.empty import NO_ARROWS, NO_HEADS, NO_PROGRESS, no_partners
from headgrid.widget.wire.schema import Arrows, GridSpec, Summary

PATIENCE = 10.0
"""Seconds for which a cell of a notebook without a browser waits for what its grid shows."""

_log = logging.getLogger(__name__)


class Scheduler:
    """Has a worker read the weights for one grid.

    Its methods are for the thread that changes the grid, with the state's lock held; they return at once.

    Args:
        state: the grid.
        weights: its model's weights; None for a model that is known by its configuration alone.
        tokenizer: its tokenizer, or None.

    Attributes:
        cache: reads the weights.
        worker: runs what takes long.
        coloring: colors the cells.
        live: reads what heads do on the task.
        table: shows the selected heads with their metrics.
        code: writes the selection as code.
        grader: asks questions, and grades what is selected as their answers.
        watched: whether anybody may look: until then nothing is computed for a selection.
        compared: the selected heads that are compared, and the age of the cache that this was asked with.
    """

    def __init__(self, state: GridState, weights: Weights | None, tokenizer: Any = None) -> None:
        self._state = state
        self._source = None if weights is None else weights.source
        self._model = self._source.model if self._source is not None and self._source.runs else None
        self.cache = SummaryCache(weights, tokenizer, state.index)
        self.worker = Worker(state.lock)
        shared = None if self._model is None else SharedCopy(self._model)
        self.coloring = Coloring(state, self.cache, self.worker, self._model, shared)
        self.live = Live(state, self._model, tokenizer, shared, self.cache, self.worker, self.coloring, self.recheck)
        self.table = TableOfHeads(state, self.cache, self.worker, self.coloring)
        self.coloring.changed = self._tabulate
        self.code = CodeWriter(state, self.worker)
        self.grader = Grader(state, self.worker, self.coloring)
        state.check = self.grader.check
        self.watched = self._waits = self._asleep = self._opened = False
        self.compared: tuple[SelectedHeads, int] | None = None
        self._age = self.cache.age  # of what is shown of the cell in focus

    def spec(self) -> GridSpec:
        """The grid spec; it changes only with the cells that write nothing."""
        return spec(self._state.cells, self._state.silent, self.coloring.quantities)

    # ---- its life

    def snapshot(self) -> Callable[[], None]:
        """A function that restores the present state."""
        before = self._age, self.watched, self._asleep
        restore_coloring, restore_live = self.coloring.snapshot(), self.live.snapshot()

        def restore() -> None:
            self._age, self.watched, self._asleep = before
            restore_coloring()
            restore_live()

        return restore

    def sleep(self) -> None:
        """Nobody looks any more: stop what runs, end the thread, and forget what can be read again."""
        self._asleep, self.watched, self.compared = True, False, None
        self.table.stop()
        self.worker.rest()
        self.cache.forget()
        self.live.sleep()
        self._state.show("progress", NO_PROGRESS)

    def watch(self) -> None:
        """Somebody may look from now on."""
        if not self.watched:
            self.watched = True
            ipython_events.after_each_cell(self)

    def wake(self) -> None:
        """Somebody looks: what was stopped is asked for again."""
        slept = self._asleep
        self._asleep, self.live.awake = False, True
        self.watch()
        if slept:
            self._age = self.cache.age  # what is shown stays, unless the weights changed in the meantime
            self.resume()
        else:
            self.compare()
        if not self._opened:
            self._opened = True
            self.live.open()
        self.recheck()

    def resume(self) -> None:
        """Ask again for whatever was asked for and is not answered."""
        state = self._state
        if state.summary["pending"] or state.summary["focus"] != state.focus["n"]:
            self._focus()
        self.refresh()
        self.coloring.resume()
        if state.completions["complete"] != state.complete["n"]:
            state.show_completions()
        self.compared = None
        self.table.stop()
        self.compare()
        self.live.resume()
        self.code.resume()

    def close(self) -> None:
        """Stop everything for good."""
        self.worker.close()
        self.cache.forget()
        self.live.sleep()

    def _wait_at_the_end(self) -> None:
        """In a notebook that runs without a browser, to be saved as a page, what is computed is part of the cell."""

        def wait() -> None:
            self._waits = False
            self.worker.join_idle(PATIENCE)

        self._waits = self._waits or ipython_events.after_cell(wait)

    # ---- the cell in focus

    def selection_changed(self) -> None:
        """Have read what follows from another selection, and whether what is shown is still true."""
        self.refresh()
        self.compare()
        self.live.refresh()
        self.recheck()

    def focus(self) -> None:
        """Show what is known of the cell that the browser asks about, and have the rest read."""
        self._focus()
        self.compare()
        self.live.refresh()

    def _focus(self) -> None:
        """Show what was read of the cell before, and have the worker see whether it is still true, or read it."""
        state, focus = self._state, self._state.focus
        cell = focus["cell"]
        self.worker.cancel("focus", "details")
        here = weight_location.is_cell(state.cells, cell)
        tabs = self.cache.tabs(cell) if here else []
        missing = self.cache.missing(cell) if here else ""
        summary = weight_location.summary(state.cells, state.silent, focus, tabs, missing)
        known = self.cache.unchecked(cell, focus["ln"]) if tabs else None
        if known is None:
            state.show("summary", summary)
        else:
            self._show_first(summary, known)
        if tabs:
            self.worker.submit("focus", partial(self._read, summary, known), partial(self._not_read, summary))
        self._age = self.cache.age
        self.recheck()

    def refresh(self) -> None:
        """Have the cell in focus read again if a change of the weights was seen since it was."""
        if self._seen_anew and self.cache.tabs(self._state.focus["cell"]):
            self._focus()

    @property
    def _seen_anew(self) -> bool:
        """Whether a change of the weights was seen since the cell in focus was asked for."""
        return self.cache.age != self._age

    def _read(self, summary: Summary, known: CellSummary | None, turn: Turn) -> None:
        cell, ln = summary["cell"], summary["ln"]
        if known is None or self.cache.known(cell, ln) is not known:
            turn.show(partial(self._show_first, summary, self.cache.read(cell, ln)))

    def _deepen(self, summary: Summary, turn: Turn) -> None:
        for answer in self.cache.deepen(summary["cell"], summary["ln"], turn.cancelled):
            turn.show(partial(self._show, summary, answer))

    def _show_first(self, summary: Summary, answer: CellSummary) -> None:
        self._show(summary, answer)
        if answer.pending:
            self.worker.submit("details", partial(self._deepen, summary), partial(self._not_read, summary))

    def _show(self, summary: Summary, answer: CellSummary) -> None:
        if self._state.focus["n"] == summary["focus"]:
            found = {"circuits": answer.circuits, "partners": answer.partners, "pending": answer.pending}
            self._state.show("summary", {**summary, **found})

    def _not_read(self, summary: Summary, error: Exception) -> None:
        """Show a fault that should not be: what can fail is said where it stands."""
        shown = self._state.summary
        failure = to_wire.failed("ov" if "ov" in summary["tabs"] else "in", to_wire.said(error))
        circuits = [*shown["circuits"], failure] if shown["focus"] == summary["focus"] else []
        self._show(summary, CellSummary(circuits, no_partners(to_wire.said(error)), []))

    # ---- the selected heads

    def compare(self) -> None:
        """Have the selected heads compared, if they are not the same as before, and their table shown."""
        self._tabulate()
        if not (self.watched and self.cache.readable):
            return
        state, ln = self._state, self._state.focus["ln"]
        now = SelectedHeads.of(state.index, state.coverage()[0], ln)
        asked = now, self.cache.age
        if asked == self.compared:
            return
        self.compared = asked
        shown, arrows = state.selected_heads, state.arrows
        if shown["ln"] != ln:
            shown, arrows = {**NO_HEADS, "ln": ln}, NO_ARROWS
        shown, arrows = still_true(shown, arrows, now.cells, now.n_heads)
        self.worker.cancel("selected_heads", "arrows")
        if now.n_heads > 1:
            self.worker.submit("selected_heads", partial(self._compare, now), self._not_compared)
            if now.why:
                arrows = {**NO_ARROWS, "note": now.why}
            else:
                self.worker.submit("arrows", partial(self._compose, now), self._not_composed)
            self._wait_at_the_end()
        state.show("selected_heads", shown)
        state.show("arrows", arrows)

    def _tabulate(self) -> None:
        if self.watched:
            self.table.refresh()

    def _compare(self, now: SelectedHeads, turn: Turn) -> None:
        found = now.summary(self.cache, self._state.cells, turn.check)
        turn.show(partial(self._state.show, "selected_heads", found))

    def _not_compared(self, error: Exception) -> None:
        failure = to_wire.failed("ov", to_wire.said(error))
        self._state.show("selected_heads", {**self._state.selected_heads, "summed": failure, "pending": False})

    def _compose(self, now: SelectedHeads, turn: Turn) -> None:
        found = now.arrows(self.cache, self._state.index, turn.cancelled)
        turn.show(partial(self._show_arrows, found))

    def _show_arrows(self, found: Arrows) -> None:
        self._state.show("arrows", self.live.carried(found))
        self.live.refresh()

    def _not_composed(self, error: Exception) -> None:
        self._state.show("arrows", {**NO_ARROWS, "note": f"No arrows: {to_wire.said(error)}"})

    # ---- whether what is shown is still true

    def recheck(self) -> None:
        """Have the weights rechecked when nothing else is to be done; `ipython_events` calls this after each cell."""
        if self.watched and self._model is not None:
            self.worker.submit("recheck", self._recheck, _log_fault)

    def recheck_now(self) -> None:
        """Recheck the weights at once, for what is to be kept, such as a picture."""
        try:
            with shielded():
                found = self._changes(lambda: None)
        except Exception as fault:
            _log_fault(fault)
        else:
            self._show_changes(*found)

    def _recheck(self, turn: Turn) -> None:
        silent, changes = self._changes(turn.check)
        if self._seen_anew or self._outdated(changes) or (silent != self._state.silent).any():
            turn.show(partial(self._show_changes, silent, changes))

    def _outdated(self, changes: int) -> bool:
        return self.coloring.outdated(changes) or self.live.outdated

    def _changes(self, check: Callable[[], object]) -> tuple[Bools, int]:
        """The cells that write nothing now, and how many changes of the weights were seen."""
        compared = self.compared[0].cells if self.compared else ()
        cells = (self._state.focus["cell"], *compared)
        self.cache.recheck(cells, bool(self._state.colors["metric"]) or self.live.shows, check)
        return silent_cells.silent_cells(self._state.cells, self._source, check=check), self.cache.changes

    def _show_changes(self, silent: Bools, changes: int) -> None:
        def change() -> None:
            differ = silent != self._state.silent
            if differ.any():
                self._state.silent = silent
                self._state.binding.show("spec", self.spec())
            self.coloring.weights_changed(changes)
            cell = self._state.focus["cell"]
            if weight_location.is_cell(self._state.cells, cell) and (self._seen_anew or differ[cell]):
                self._focus()
            self._age = self.cache.age
            self.compare()
            self.live.weights_changed()

        self._state.binding.run(change)


def _log_fault(error: Exception) -> None:
    """Log why the weights could not be rechecked: whoever reads them shows it."""
    _log.debug("headgrid could not recheck the weights: %s", error)
