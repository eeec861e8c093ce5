"""The table of the selected heads: a row for each, a column for each metric that is known.

What colors the cells is kept here as columns, until the weights or the task change. Of a small model the metrics of the
weights are read without being asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools
from headgrid.circuits.progress import Cancelled
from headgrid.utils.arguments import Floats
from headgrid.widget.compute import to_wire
from headgrid.widget.compute.coloring import Coloring
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state import cell_colors
from headgrid.widget.state.cell_colors import Quantity
from headgrid.widget.state.cell_index import CellIndex
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.empty import NO_TABLE
from headgrid.widget.wire.schema import HeadsTable, Ln

MOST_ROWS = 1024
"""The heads of a table."""

MOST_HEADS = 1200
"""The heads of the largest model whose metrics are read for the table without being asked for."""

MOST_UNASKED = 200
"""The heads of the largest model of which all is computed that nobody asked for."""

MOST_ENTRIES = 2**28
"""The entries of the attention weights of such a model: GPT-2 large has 236 million."""

FAMILIES = tuple(dict.fromkeys(one.family for one in cell_colors.QUANTITIES))
"""What is read of weights, in the order of the menu."""

MORE = "Color the cells by another metric, and it is a column here."


def is_small(anatomy: Anatomy) -> bool:
    """Whether the metrics of all heads are read without being asked for."""
    stacks = [stack for stack in anatomy.stacks if stack.n_layers]
    heads = sum(stack.n_layers * stack.n_heads for stack in stacks)
    entries = sum(4 * stack.n_layers * stack.d_model**2 for stack in stacks)
    return heads <= MOST_HEADS and entries <= MOST_ENTRIES


def is_tiny(anatomy: Anatomy) -> bool:
    """Whether what all heads do may be computed unasked: for the first look at a grid, and for a page."""
    return is_small(anatomy) and sum(stack.n_layers * stack.n_heads for stack in anatomy.stacks) <= MOST_UNASKED


def table_of(
    index: CellIndex, on: Bools, ln: Ln, quantities: Sequence[Quantity], known: Mapping[str, Floats], notes: list[str]
) -> HeadsTable:
    """The table of the selected heads.

    Args:
        index: the cells.
        on: those that are on, `[n_cells]`.
        ln: whether norms are folded into the weights that metrics are of.
        quantities: what columns there may be, in their order.
        known: name of a quantity -> its numbers, `[n_cells]`.
        notes: what is said below it.
    """
    cells = index.heads[on[index.heads]]
    if not cells.size:
        return {**NO_TABLE, "ln": ln}
    cut = [f"The first {MOST_ROWS:,} of {len(cells):,} selected heads."] if len(cells) > MOST_ROWS else []
    cells = cells[:MOST_ROWS]
    columns = [one for one in quantities if one.name in known and np.isfinite(known[one.name]).any()]
    values = np.stack([known[one.name][cells] for one in columns], 1) if columns else np.empty((len(cells), 0))
    return {
        "columns": cell_colors.metrics(columns), "cells": cells.tolist(), "values": values.astype("<f4").tobytes(),
        "note": " ".join([*cut, *notes]), "ln": ln, "pending": False,
    }  # fmt: skip


class TableOfHeads:
    """Shows `GridState.heads_table`; where there are no weights to read there is none.

    Its methods are for the thread that changes the grid, with the state's lock held, unless they say otherwise.

    Args:
        state: the grid.
        cache: reads the weights.
        worker: reads what takes long.
        coloring: colors the cells, and keeps numbers of the task.
    """

    def __init__(self, state: GridState, cache: SummaryCache, worker: Worker, coloring: Coloring) -> None:
        self._state, self._cache, self._worker, self._coloring = state, cache, worker, coloring
        self._small = is_small(state.anatomy)
        self._columns: dict[tuple[Ln, str], Floats] = {}
        self._failed: dict[tuple[Ln, str], str] = {}  # family -> why
        self._changes = cache.changes
        self._reading: tuple[Ln, int] | None = None

    def refresh(self) -> None:
        """Have the table of what is selected now shown, once nothing more urgent is left to do."""
        if self._cache.readable:
            # by way of the worker: of the many selections of a drag, only the last has its table made
            self._worker.submit("heads_table", lambda turn: turn.show(self._answer), self._not_read)

    def stop(self) -> None:
        """Drop what is read: `refresh` has it read again."""
        self._worker.cancel("heads_table", "metrics")
        self._reading = None

    def whole(self) -> HeadsTable:
        """The table with all that is read for it, read at once: for a page, and for any thread, without the lock."""
        state = self._state
        with state.lock:
            ln = state.focus["ln"]
            missing = self._missing(ln)
        why = {family: self._scan(family, ln, None) for family in missing}
        with state.lock:
            self._failed |= {(ln, family): said for family, said in why.items() if said}
            return self._table(ln) if self._cache.readable else NO_TABLE

    # ---- what is known

    def _absorb(self, ln: Ln) -> None:
        """Take over what was read of the weights meanwhile, for colors too."""
        if self._changes != self._cache.changes:
            self._changes = self._cache.changes
            self._columns.clear()
            self._failed.clear()
        for scans in self._cache.known_scans(ln).values():
            if any((ln, name) not in self._columns for scan in scans.values() for name in scan.metrics()):
                for name, values in cell_colors.values_of(self._state.index, scans).items():
                    self._columns[ln, name] = values

    def _missing(self, ln: Ln) -> list[str]:
        """What of the weights is still to be read for the selected heads."""
        self._absorb(ln)
        state = self._state
        if not (self._small and self._cache.readable and state.coverage()[0][state.index.heads].any()):
            return []
        there = {one.family for one in cell_colors.QUANTITIES if (ln, one.name) in self._columns}
        return [one for one in FAMILIES if one not in there and (ln, one) not in self._failed]

    def _table(self, ln: Ln) -> HeadsTable:
        self._absorb(ln)
        quantities, state = self._coloring.quantities, self._state
        known = {name: values for (at, name), values in self._columns.items() if at == ln}
        known |= {name: numbers for name, (numbers, _) in self._coloring.known_numbers().items()}
        notes = list(dict.fromkeys(to_wire.sentence(why) for (at, _), why in self._failed.items() if at == ln))
        if any(one.name not in known and (one.live or not self._small) for one in quantities):
            notes.append(MORE)
        return table_of(state.index, state.coverage()[0], ln, quantities, known, notes)

    # ---- what is shown

    def _answer(self) -> None:
        """Show the table, and have read what a small model's is still without."""
        ln = self._state.focus["ln"]
        missing, reading = self._missing(ln), (ln, self._cache.changes)
        if missing and self._reading != reading:
            self._reading = reading
            self._worker.submit("metrics", partial(self._read, ln, missing), self._not_read)
        self._show(ln, bool(missing))

    def _show(self, ln: Ln, pending: bool) -> None:
        if ln == self._state.focus["ln"]:
            found: HeadsTable = {**self._table(ln), "pending": pending}
            if found != self._state.heads_table:
                self._state.show("heads_table", found)

    def _read(self, ln: Ln, families: Sequence[str], turn: Turn) -> None:
        for family in families:
            why = self._scan(family, ln, turn.cancelled)
            turn.show(partial(self._add, ln, family, why, family == families[-1]))

    def _scan(self, family: str, ln: Ln, cancelled: Callable[[], bool] | None) -> str:
        """Have a family of metrics read into the cache; why it could not be, "" where it could."""
        try:
            scans = self._cache.scans(family, ln, False, cancelled)
        except Cancelled:
            raise
        except Exception as fault:
            return to_wire.said(fault)
        if any(scan.metrics() for scan in scans.values()):
            return ""
        return (
            " ".join(dict.fromkeys(note for scan in scans.values() for note in scan.notes))
            or f"There is nothing to read of {family}"
        )

    def _add(self, ln: Ln, family: str, why: str, last: bool) -> None:
        if why:
            self._failed[ln, family] = why
        if last:
            self._reading = None
        self._show(ln, not last)

    def _not_read(self, error: Exception) -> None:
        """Show a fault that should not be."""
        self._reading = None
        self._state.show("heads_table", {**NO_TABLE, "ln": self._state.focus["ln"], "note": to_wire.said(error)})
