"""The selection as code for another library, written on the worker: that of a large model may take long."""

from __future__ import annotations

from functools import partial

from headgrid.selection.selection import Selection
from headgrid.widget.compute import to_wire
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.schema import Code, CodeQuery


class CodeWriter:
    """Shows `GridState.code`, the answer to `GridState.code_query`.

    An answer stays when something else is selected; it says of which selection it is. Methods are for the thread that
    changes the grid, with the state's lock held.

    Args:
        state: the grid.
        worker: writes the code.
    """

    def __init__(self, state: GridState, worker: Worker) -> None:
        self._state, self._worker = state, worker

    def ask(self) -> None:
        """Have the code written that was asked for, of what is selected now; what was asked before is dropped."""
        query, selection = self._state.code_query, self._state.selection
        self._worker.submit("code", partial(self._write, query, selection), partial(self._fail, query, selection))

    def resume(self) -> None:
        """Ask again for code that was asked for and is not there."""
        if self._state.code["query"] != self._state.code_query["n"]:
            self.ask()

    def _write(self, query: CodeQuery, selection: Selection, turn: Turn) -> None:
        text = selection.code(query["library"])
        turn.show(partial(self._show, query, selection, text, ""))

    def _fail(self, query: CodeQuery, selection: Selection, error: Exception) -> None:
        self._show(query, selection, "", to_wire.said(error))

    def _show(self, query: CodeQuery, selection: Selection, text: str, error: str) -> None:
        found: Code = {
            "query": query["n"], "library": query["library"], "selection": str(selection), "text": text, "error": error,
        }  # fmt: skip
        self._state.show("code", found)
