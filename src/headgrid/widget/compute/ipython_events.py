"""IPython's side of a notebook: the end of a cell, and the thread that handles what a browser sends."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol


class Rechecks(Protocol):
    """Whoever wants to know that a cell has run."""

    def recheck(self) -> None:
        """Called after each cell."""


_watching: weakref.WeakSet[Any] = weakref.WeakSet()


def after_each_cell(who: Rechecks) -> None:
    """Have `who.recheck()` called after each cell of a notebook that somebody looks at, for as long as `who` lives."""
    shell = ipython()
    if getattr(shell, "events", None) is None or _is_unattended(shell):
        return
    if not _watching:
        with suppress(ValueError):
            shell.events.unregister("post_run_cell", _recheck_all)
        shell.events.register("post_run_cell", _recheck_all)
    _watching.add(who)


def _recheck_all(*_: object) -> None:
    for who in list(_watching):
        who.recheck()


def after_cell(call: Callable[[], object]) -> bool:
    """Have something called once, when the cell that runs now has ended, in a notebook that nobody looks at.

    nbclient and `jupyter nbconvert --execute` run a notebook to save it, and say with every cell that there is nobody
    who could be asked for input (`allow_stdin` in Jupyter's messaging protocol). They go on to the next cell, and may
    end, before a kernel's loop has delivered anything.

    Returns:
        Whether it will be called: not in a notebook that somebody looks at, in a terminal or in a script.
    """
    shell = ipython()

    def once(*_: object) -> None:
        shell.events.unregister("post_run_cell", once)
        call()

    if unattended := _is_unattended(shell):
        shell.events.register("post_run_cell", once)
    return unattended


def stay_in_subshell(comm: Any) -> None:
    """Have the messages of a comm handled where the browser sends them, in a subshell of its own if it has one.

    ipykernel hands them, since 7.4, to the loop that published last on this comm, for whoever waits there for a reply.
    Here nobody waits for one; and once a cell has changed the grid, every click would wait for the cell that runs.
    """
    route = "_reply_subshell_for"
    if hasattr(comm, route):
        setattr(comm, route, lambda data, asked: asked)


def ipython() -> Any:
    """IPython's shell; None outside of one."""
    return getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()


def _is_unattended(shell: Any) -> bool:
    """Whether the cell that runs now is one of a notebook that is run to be saved."""
    try:
        return bool(shell.kernel.get_parent("shell")["content"]["allow_stdin"] is False)
    except (AttributeError, KeyError, TypeError):
        return False
