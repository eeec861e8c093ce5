"""What a grid has to know of the program that runs it."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol


class Watches(Protocol):
    """Whoever wants to know that a cell has run."""

    def look(self) -> None:
        """Called after each cell."""


_watching: weakref.WeakSet[Any] = weakref.WeakSet()


def after_each_cell(who: Watches) -> None:
    """Have `who.look()` called after each cell of a notebook, for as long as it lives; nowhere else."""
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is None:
        return
    if not _watching:
        with suppress(ValueError):
            shell.events.unregister("post_run_cell", _look)
        shell.events.register("post_run_cell", _look)
    _watching.add(who)


def _look(*_: object) -> None:
    for who in list(_watching):
        who.look()


def after_cell(call: Callable[[], object]) -> bool:
    """Have something called once, when the cell that runs now has ended, in a notebook that nobody looks at.

    nbclient and `jupyter nbconvert --execute` run a notebook to save it, and say with every cell that there is nobody
    who could be asked for input (`allow_stdin` in Jupyter's messaging protocol). They go on to the next cell, and may
    end, before a kernel's loop has delivered anything.

    Returns:
        Whether it will be called: not in a notebook that somebody looks at, in a terminal or in a script.
    """
    shell: Any = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    try:
        alone = shell.kernel.get_parent("shell")["content"]["allow_stdin"] is False
    except (AttributeError, KeyError, TypeError):
        return False

    def once(*_: object) -> None:
        shell.events.unregister("post_run_cell", once)
        call()

    if alone:
        shell.events.register("post_run_cell", once)
    return alone
