"""What becomes of a message from the browser: a grid takes it over in an order in which nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from headgrid.widget import incoming
from headgrid.widget.incoming import Message
from headgrid.widget.wire import Deed

if TYPE_CHECKING:
    from headgrid.widget.head_grid import HeadGrid

Setter = Callable[[dict[str, Any]], None]


def take(grid: HeadGrid, data: Any, set_state: Setter) -> None:
    """Take a message over. To be called with the lock held.

    An observer of the user's may raise on the way; what else came is not lost by that.

    Args:
        grid: the grid.
        data: what came.
        set_state: ipywidgets' own way to take over what was found to be right.
    """
    message = incoming.sift(data, grid)
    state = message.state
    deeds = state.pop("deeds", None)
    with ExitStack() as steps:  # what was put in last comes first, and all of it comes, whatever raises on the way
        steps.callback(_refuse, grid, message)
        steps.callback(set_state, state)
        if deeds is not None:
            _do(grid, deeds, message, set_state)


def _do(grid: HeadGrid, deeds: list[Deed], message: Message, set_state: Setter) -> None:
    """Do the deeds of a message, and then tell of all that they came to."""
    present = grid._present
    new = present.new(deeds)
    for n in message.skipped:
        present.skip(n)

    def select() -> None:
        if grid.selection is not present.selection:
            grid.selection = present.selection

    def answer() -> None:
        if new or message.skipped:
            grid._write(message.error)

    with ExitStack() as steps:
        steps.callback(answer)
        steps.callback(select)
        steps.callback(set_state, {"deeds": deeds})
        with grid.hold_trait_notifications():  # observers of `saved` are called once all is done
            faults, message.error = present.take(new)
            message.faults += faults


def _refuse(grid: HeadGrid, message: Message) -> None:
    """Say what was refused, and send what is there instead."""
    if message.faults:
        grid._write(message.said())
    if message.refused:
        grid.send_state(message.refused)
