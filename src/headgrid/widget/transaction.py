"""A change of a grid as one step: whoever is interrupted in it, as by a kernel's interrupt, changes nothing by halves.

An interrupt may come between any two steps. Until a change is complete, it takes everything back to what it was; once
it is complete and only observers are still to be told, it stays. Either way the browser is sent what is true, and what
was being computed is asked for again. An ordinary error of an observer takes nothing back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import traitlets

from headgrid.widget.wire.schema import TRAITS

if TYPE_CHECKING:
    from headgrid.widget.head_grid import HeadGrid

T = TypeVar("T")

DERIVED = (
    "selection", "cells", "partial", "text", "history", "summary", "selected_heads", "arrows", "colors", "progress",
)  # fmt: skip
"""The traits that Python writes, and that change. What a browser wrote last is what it asks, and stays."""

SENT = [trait for trait in TRAITS if trait not in ("spec", "precomputed")]
"""What a browser is sent of a grid that is not what it may think."""


def run(grid: HeadGrid, change: Callable[[], T], tell: Callable[[T], object] | None = None) -> T:
    """Do something wholly, or not at all where it is interrupted, with the grid's lock held.

    Args:
        grid: the grid.
        change: does it, and writes what follows from it.
        tell: tells observers of the user's, once all is done, of what `change` returned.

    Returns:
        What `change` returned.
    """
    with grid._scheduler.lock:
        if grid._torn:  # by a second interrupt, while what the first one left was put right
            grid.__dict__.pop("notify_change", None)
            grid._holding_sync = grid._cross_validation_lock = False
            grid._property_lock = {}
            grid._adopt(None)
            _send(grid)
        before, done = _State(grid), False
        try:
            found = change()
            if tell is not None:
                done = True
                tell(found)
        except Exception:
            raise
        except BaseException:
            grid._torn = True
            before.restore_sending(grid)
            if done:
                grid._adopt(None)
            else:
                before.restore(grid)
            _send(grid)
            raise
        return found


class _State:
    """All of a grid that a change may change."""

    def __init__(self, grid: HeadGrid) -> None:
        own = grid.__dict__
        self._values = {name: grid._trait_values[name] for name in DERIVED if name in grid._trait_values}
        self._grid_state = grid._grid_state.state
        self._age = grid._scheduler.state
        # how ipywidgets and traitlets send and tell: they hold both back while they are in the middle of something
        self._holding, self._locked = grid._holding_sync, dict(grid._property_lock)
        self._to_send, self._validating = set(grid._states_to_send), grid._cross_validation_lock
        self._notify = own.get("notify_change")

    def restore(self, grid: HeadGrid) -> None:
        """Make everything what it was."""
        grid._grid_state.state, grid._scheduler.state = self._grid_state, self._age
        values = grid._trait_values
        seen = {name: values[name] for name in self._values if values.get(name) is not self._values[name]}
        values.update(self._values)
        for name in seen.keys() - {"selection"}:  # whose observers come last, and were not told
            change = {"name": name, "old": seen[name], "new": values[name], "owner": grid, "type": "change"}
            traitlets.HasTraits.notify_change(grid, traitlets.Bunch(change))

    def restore_sending(self, grid: HeadGrid) -> None:
        """Have the grid send and tell as it did."""
        if self._notify is None:
            grid.__dict__.pop("notify_change", None)
        else:
            grid.__dict__["notify_change"] = self._notify
        grid._holding_sync, grid._property_lock = self._holding, self._locked
        grid._states_to_send, grid._cross_validation_lock = self._to_send, self._validating


def _send(grid: HeadGrid) -> None:
    """Ask again for what is not answered, and send everything."""
    grid._scheduler.resume()
    grid.send_state(SENT)
    grid._torn = False
