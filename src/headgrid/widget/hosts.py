"""What a grid has to know of the program that runs it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


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
