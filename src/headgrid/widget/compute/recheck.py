"""Whether what a grid shows of its weights is still what they say: they may be trained, replaced or freed meanwhile."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from headgrid.anatomy.anatomy import Bools
from headgrid.torch_state import shielded
from headgrid.widget import transaction
from headgrid.widget.compute import weight_location
from headgrid.widget.compute.selected_heads import SelectedHeads
from headgrid.widget.compute.worker import Turn

if TYPE_CHECKING:
    from headgrid.widget.compute.scheduler import Scheduler
    from headgrid.widget.head_grid import HeadGrid

_log = logging.getLogger(__name__)


class Recheck:
    """Tooltips at the weights, and changes what is shown where it is not true any more.

    Attributes:
        painted: how many changes of the weights had been seen before what the colors show was computed; -1 where they
            show nothing of the weights, or say already that these have changed.
    """

    def __init__(self, grid: HeadGrid, scheduler: Scheduler) -> None:
        self._grid, self._scheduler = grid, scheduler
        self.painted = -1

    def recheck(self) -> None:
        """Have it looked after when nothing else is to be done; this returns at once."""
        if self._scheduler.watched and self._grid.model is not None:
            self._scheduler.worker.submit("recheck", self._recheck, _log_fault)

    def recheck_now(self) -> None:
        """Look at once, for what is to be kept, such as a picture."""
        try:
            with shielded():
                found = self._see(lambda: None)
        except Exception as fault:
            _log_fault(fault)
        else:
            self._show(*found)

    def _recheck(self, turn: Turn) -> None:
        turn.show(partial(self._show, *self._see(turn.check)))

    def _see(self, check: Callable[[], object]) -> tuple[Bools, int]:
        """The cells that write nothing now, and how many changes of the weights were seen."""
        grid, cache = self._grid, self._scheduler.cache
        asked = self._scheduler.compared
        compared = asked[0].cells if asked and isinstance(asked[0], SelectedHeads) else ()
        cache.recheck(compared, bool(grid.colors["metric"]), check)
        return weight_location.writes_nothing(grid._cells, grid.model, check=check), cache.changes

    def _show(self, silent: Bools, changes: int) -> None:
        grid, scheduler = self._grid, self._scheduler

        def change() -> None:
            grid._show_silent(silent)
            if grid.colors["metric"] and 0 <= self.painted < changes:
                self.painted = -1
                grid.colors = {**grid.colors, "label": f"{grid.colors['label']}, before the weights changed"}
            if scheduler.seen_anew:
                scheduler.refresh()
                grid._compare()

        transaction.run(grid, change)


def _log_fault(error: Exception) -> None:
    """What only looks whether something is still true shows no fault of its own: whoever reads the weights does."""
    _log.debug("headgrid could not look at the weights: %s", error)
