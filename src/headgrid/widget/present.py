"""What is selected in a grid, what was selected before, and what is saved: the state of a grid apart from its wire."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from headgrid.anatomy import Bools
from headgrid.selection import Selection
from headgrid.widget import saved
from headgrid.widget.cells import Cells
from headgrid.widget.deeds import Ledger, carry_out
from headgrid.widget.history import History
from headgrid.widget.saved import Saved
from headgrid.widget.wire import Deed, QueryError, Text, pack, unpack
from headgrid.widget.wire import History as Wire


class Present:
    """The state of one grid.

    Args:
        cells: its cells.
        selection: what is selected at first.
        changed: called after each change of the saved selections.

    Attributes:
        history: what is selected, and what leads there.
        saved: selections with a name.
    """

    def __init__(self, cells: Cells, selection: Selection, changed: Callable[[], None]) -> None:
        self._cells = cells
        self.history = History(selection)
        self.saved = Saved(cells, changed)
        self._ledger = Ledger()
        self._looked: tuple[Selection, Bools, Bools] | None = None

    @property
    def selection(self) -> Selection:
        """What is selected."""
        return self.history.present

    def look(self) -> tuple[Bools, Bools]:
        """Which cells are on, and which in part, each `[n_cells]`."""
        if self._looked is None or self._looked[0] is not self.selection:
            self._looked = self.selection, *self._cells.look(self.selection.parts)
        return self._looked[1:]

    @property
    def on(self) -> bytes:
        """The cells that are on, as bits."""
        return pack(self.look()[0])

    def text(self, query: int, error: QueryError | None) -> Text:
        """The selection in words.

        Args:
            query: the number of the last query that was answered.
            error: why the last query, or anything else, was refused.
        """
        return {
            "selection": str(self.selection),
            "counts": self._cells.counts(self.selection.parts),
            "n_selected": self.selection.n_params,
            "n_params": self._cells.anatomy.n_params,
            "query": query,
            "error": error,
        }

    def steps(self) -> Wire:
        """How far it can go back and forth."""
        return {"done": self._ledger.done, "undo": self.history.undo_steps, "redo": self.history.redo_steps}

    def edit(self, cells: bytes) -> None:
        """Switch cells to what these bits say: what is different is applied, and finer choices elsewhere stay.

        Raises:
            ValueError: when these are not the bits of so many cells.
        """
        after = unpack(cells, self._cells.n_cells)
        chosen = self._cells.click(self.selection.parts, self.look()[0], after)
        self.history.change(Selection(self._cells.anatomy, chosen))

    def new(self, deeds: Sequence[Deed]) -> list[Deed]:
        """Those of some deeds that are not done yet."""
        return self._ledger.new(deeds)

    def skip(self, n: int) -> None:
        """Count a deed as done that cannot be understood."""
        self._ledger.skip(n)

    def take(self, deeds: Sequence[Deed], cells: bytes | None) -> list[str]:
        """Do the deeds, and the click, of one message.

        Args:
            deeds: those that are new.
            cells: the cells of the message, if it has any.

        Returns:
            Why deeds were refused; they count as done.
        """
        faults: list[str] = []

        def do(deed: Deed) -> None:
            self._ledger.mark(deed)  # first: what fails is not to be done again
            try:
                self._do(deed)
            except (KeyError, ValueError) as fault:
                faults.append(saved.said(fault))

        carry_out(deeds, cells, self.on, self.edit, do)
        return faults

    def _do(self, deed: Deed) -> None:
        name = deed["name"]
        match deed["do"]:
            case "undo":
                self.history.undo()
            case "redo":
                self.history.redo()
            case "clear":
                self.history.change(self._cells.anatomy.select("none"))
            case "trim":
                whole = self._cells.parts_of(self.look()[0])
                self.history.change(Selection(self._cells.anatomy, whole))
            case "save":
                self.saved[name] = self.selection
            case "recall":
                self.history.change(self.saved[name])
            case "remove":
                del self.saved[name]
            case "tint":
                self.saved.colour(name, deed["value"])
