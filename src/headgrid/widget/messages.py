"""What becomes of a message from the browser: a grid takes it over in an order in which nothing is lost."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from headgrid.widget import transaction
from headgrid.widget.wire import validate
from headgrid.widget.wire.schema import Command, QueryError
from headgrid.widget.wire.validate import Message

if TYPE_CHECKING:
    from headgrid.widget.head_grid import HeadGrid

Setter = Callable[[dict[str, Any]], None]


def take(grid: HeadGrid, data: Any, set_state: Setter) -> None:
    """Take a message over.

    An observer of the user's may raise on the way; what else came is not lost by that.

    Args:
        grid: the grid.
        data: what came.
        set_state: ipywidgets' own way to take over what was found to be right.
    """
    present = grid._grid_state

    def change() -> tuple[object, bool, QueryError | None]:
        message = validate.sift(data, grid)
        was, saved, state = grid.selection, present.saved.state, message.state
        commands = state.pop("commands", None)
        with ExitStack() as steps:  # what was put in last comes first, and all of it comes, whatever raises on the way
            steps.callback(_refuse, grid, message)
            steps.callback(set_state, state)
            if commands is not None:
                _do(grid, commands, message, set_state)
        return was, saved is not present.saved.state, message.said() if message.faults else message.error

    def tell(found: tuple[object, bool, QueryError | None]) -> None:
        was, saved, error = found
        with ExitStack() as steps:
            steps.callback(_say, grid, error)
            steps.callback(grid._tell, was)
            if saved:
                grid._tell_saved()

    transaction.run(grid, change, tell)


def _do(grid: HeadGrid, commands: list[Command], message: Message, set_state: Setter) -> None:
    """Do the commands of a message, and then write all that they came to."""
    present = grid._grid_state
    new = present.new(commands)
    for n in message.skipped:
        present.skip(n)

    def answer() -> None:
        if new or message.skipped:
            grid._trait_values["selection"] = present.selection
            grid._write(message.error)

    with ExitStack() as steps:
        steps.callback(answer)
        steps.callback(set_state, {"commands": commands})
        faults, message.error = present.take(new)
        message.faults += faults


def _refuse(grid: HeadGrid, message: Message) -> None:
    """Say what was refused, and send what is there instead."""
    if message.faults:
        grid._write(message.said())
    if message.refused:
        grid.send_state(message.refused)


def _say(grid: HeadGrid, error: QueryError | None) -> None:
    """Say what was refused, even where an observer has selected something else since."""
    if error and grid.text["error"] != error:
        grid._write(error)
