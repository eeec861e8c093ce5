"""What is selected in a grid, what was selected before, and what is saved: the state of a grid apart from its wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from headgrid.anatomy.anatomy import Bools
from headgrid.selection.selection import Selection
from headgrid.widget.state import query, saved
from headgrid.widget.state.cells import Cells
from headgrid.widget.state.saved import Saved
from headgrid.widget.state.undo import History
from headgrid.widget.wire.commands import Ledger, cells_of
from headgrid.widget.wire.schema import Command, QueryError, Text, pack, unpack
from headgrid.widget.wire.schema import History as Wire


class GridState:
    """The state of one grid.

    Args:
        cells: its cells.
        selection: what is selected at first.
        change: is given each change of the saved selections, to make it and to tell of it.

    Attributes:
        history: what is selected, and what leads there.
        saved: selections with a name.
        answered: the number of the last query that was answered.
    """

    def __init__(self, cells: Cells, selection: Selection, change: Callable[[Callable[[], None]], object]) -> None:
        self._cells = cells
        self.history = History(selection)
        self.saved = Saved(cells, change)
        self.answered = 0
        self._ledger = Ledger()
        self._covered: tuple[Selection, Bools, Bools] | None = None

    @property
    def state(self) -> tuple[Any, ...]:
        """All of it; to be set to what it was, if to anything."""
        return self.history.now, self.saved.state, self._ledger.state, self.answered

    @state.setter
    def state(self, before: tuple[Any, ...]) -> None:
        self.history.now, self.saved.state, self._ledger.state, self.answered = before

    @property
    def selection(self) -> Selection:
        """What is selected."""
        return self.history.present

    def coverage(self) -> tuple[Bools, Bools]:
        """Which cells are on, and which in part, each `[n_cells]`."""
        if self._covered is None or self._covered[0] is not self.selection:
            self._covered = self.selection, *self._cells.coverage(self.selection.parts)
        return self._covered[1:]

    @property
    def on(self) -> bytes:
        """The cells that are on, as bits."""
        return pack(self.coverage()[0])

    def text(self, error: QueryError | None) -> Text:
        """The selection in words, with the reason why the last query, or anything else, was refused."""
        return {
            "selection": str(self.selection),
            "counts": self._cells.counts(self.selection.parts),
            "n_selected": self.selection.n_params,
            "n_params": self._cells.anatomy.n_params,
            "query": self.answered,
            "error": error,
        }

    def steps(self) -> Wire:
        """How far it can go back and forth."""
        return {"done": self._ledger.done, "undo": self.history.undo_steps, "redo": self.history.redo_steps}

    def _edit(self, on: Bools, off: Bools) -> None:
        """Switch some cells on and others off: what else is on, and finer choices elsewhere, stay."""
        shown = self.coverage()[0]
        chosen = self._cells.click(self.selection.parts, shown | off, (shown | on) & ~off)
        self.history.change(Selection._new(self._cells.anatomy, chosen))

    def new(self, commands: Sequence[Command]) -> list[Command]:
        """Those of some commands that are not done yet."""
        return self._ledger.new(commands)

    def skip(self, n: int) -> None:
        """Count a command as done, and as answered, that cannot be understood."""
        self._ledger.skip(n)
        self.answered = max(self.answered, n)

    def take(self, commands: Sequence[Command]) -> tuple[list[str], QueryError | None]:
        """Do the commands of one message that are new, in their order, and tell nobody.

        Returns:
            Why commands were refused, which count as done, and what is wrong with the text of the last query.
        """
        faults: list[str] = []
        error: QueryError | None = None
        for command in commands:
            self._ledger.mark(command)  # first: what fails is not to be done again
            if command["do"] == "query":
                error = self._query(command)
                continue
            try:
                self._do(command)
            except (KeyError, ValueError) as fault:
                faults.append(saved.said(fault))
        return faults, error

    def _query(self, command: Command) -> QueryError | None:
        """Select what a text says, or say why it selects nothing."""
        self.answered = max(self.answered, command["n"])  # two pages may count alike
        found = query.read(self._cells.anatomy, command["value"])
        if not isinstance(found, Selection):
            return found
        self.history.change(found)
        return None

    def _do(self, command: Command) -> None:
        name = command["name"]
        match command["do"]:
            case "undo":
                self.history.undo()
            case "redo":
                self.history.redo()
            case "edit":
                self._edit(self._bits(command["value"]), self._bits(command["off"]))
            case "only":
                whole = self._cells.parts_of(self._bits(command["value"]) & ~self._cells.absent)
                self.history.change(Selection._new(self._cells.anatomy, whole))
            case "save":
                self.saved.put(name, self.selection)
            case "recall":
                self.history.change(self.saved[name])
            case "remove":
                self.saved.drop(name)
            case "tint":
                self.saved.tint(name, command["value"])

    def _bits(self, piece: str) -> Bools:
        n_cells = self._cells.n_cells
        return unpack(cells_of(piece, (n_cells + 7) // 8), n_cells)
