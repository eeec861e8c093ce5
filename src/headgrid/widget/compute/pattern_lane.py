"""The patterns of the looked-at head and of the selected heads, their types, and the next tokens."""

from __future__ import annotations

from functools import partial

from headgrid.experiments.task import Task
from headgrid.widget.compute.live_lane import LiveLane, Question
from headgrid.widget.compute.live_reader import LiveReader
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.empty import NO_LIVE
from headgrid.widget.wire.schema import LiveView

MOST_HEADS = 8
"""The heads whose patterns are shown side by side."""


class PatternLane(LiveLane):
    """Shows `GridState.live`; arguments as of `LiveLane`.

    Attributes:
        last: the last that was an answer, which stays where the next is a fault.
    """

    name = "live"

    def __init__(self, state: GridState, worker: Worker, reader: LiveReader) -> None:
        super().__init__(state, worker, reader)
        self.last: LiveView = NO_LIVE

    @property
    def pending(self) -> bool:
        """Whether what is shown is not the whole answer."""
        return self._state.live["pending"]

    def clear(self) -> None:
        """Show that there is nothing."""
        self.last = NO_LIVE
        shown = self._numbered(NO_LIVE, self._state.live_query["row"]) if self.wanted else NO_LIVE
        self._state.show("live", shown)

    def ask(self, task: Task, row: int) -> None:
        """Have the patterns read that are not, and show those that are."""
        cells, n_heads = self._heads()
        asked = task, row, cells
        if self.asked == asked:
            if (numbered := {**self._numbered(self._state.live, row), "n_heads": n_heads}) != self._state.live:
                self._state.show("live", numbered)
            return
        self.submit(asked, self._read, self._not_read)
        known = self._numbered(self._reader.known(row, cells), row)
        self._state.show("live", {**known, "n_heads": n_heads, "pending": True})

    def _numbered(self, view: LiveView, row: int) -> LiveView:
        """A view as the answer to what is asked now."""
        return {**view, "query": self._state.live_query["n"], "focus": self._state.focus["n"], "row": row}

    def _heads(self) -> tuple[tuple[int, ...], int]:
        """The cells of the looked-at head and the selected ones, as many as are shown, and how many there are."""
        state = self._state
        focus = state.index[state.focus["cell"]]
        selected = state.index.heads[state.coverage()[0][state.index.heads]].tolist()
        looked_at = [state.focus["cell"]] if focus is not None and focus.kind == "head" else []
        every = [cell for cell in dict.fromkeys([*looked_at, *selected]) if not state.cells.absent[cell]]
        if not every:
            return (), 0
        first = self._reader.component(every[0]).stack  # others attend from and to other tokens
        same = [cell for cell in every if self._reader.component(cell).stack == first]
        return tuple(same[:MOST_HEADS]), len(every)

    def _read(self, asked: Question, turn: Turn) -> None:
        task, row, cells = asked
        one, reader = task.rows([row]), self._reader
        reader.steady(turn, lambda answers: reader.patterns(answers, one, row, cells))
        turn.show(partial(self.answer, asked, partial(self._show, row, cells, True)))
        reader.steady(turn, lambda answers: reader.next(answers, one, row))
        turn.show(partial(self.answer, asked, partial(self._show, row, cells, True)))
        reader.steady(turn, lambda answers: reader.scores(answers, one, row, cells, turn))
        turn.show(partial(self.answer, asked, partial(self._show, row, cells, False)))

    def _show(self, row: int, cells: tuple[int, ...], pending: bool) -> None:
        known = self._numbered(self._reader.known(row, cells), row)
        self.last = {**known, "n_heads": self._heads()[1], "pending": pending}
        self._state.show("live", self.last)

    def _not_read(self, asked: Question, why: str) -> None:
        """Say why there is no answer, and keep the last one."""
        kept = self.last if self.last["row"] == asked[1] else NO_LIVE
        self._state.show("live", {**self._numbered(kept, asked[1]), "pending": False, "error": why})
