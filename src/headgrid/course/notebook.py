"""What a check does in a notebook: shows its result, and writes the answer that was clicked into its own cell."""

from __future__ import annotations

import re
from typing import Any

from headgrid.widget.compute.ipython_events import ipython

CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\.\s*check\s*\(\s*\)\s*;?\s*")
"""The only source of a cell that is written anew."""


def is_notebook() -> bool:
    """Whether there is a kernel, which shows results and has cells."""
    return getattr(ipython(), "kernel", None) is not None


def name_of(value: object, otherwise: str) -> str:
    """The name that a value has in the notebook, the shortest of them; `otherwise` where it has none."""
    names = [
        name for name, other in dict(getattr(ipython(), "user_ns", {})).items() if other is value and name[0] != "_"
    ]
    return min(names, key=lambda name: (len(name), name), default=otherwise)


def own_cell(value: object) -> bool:
    """Whether the cell that runs now is `name.check()`, of this value, and nothing else."""
    here = ipython()
    if not is_notebook():
        return False
    source = here.history_manager.input_hist_raw[-1]
    found = CALL.fullmatch(source)
    return found is not None and here.user_ns.get(found[1]) is value


def rewrite(line: str) -> None:
    """Have the cell that runs now say this instead, in front ends that can: JupyterLab, Notebook 7, VS Code."""
    ipython().set_next_input(line, replace=True)


def show(bundle: dict[str, Any], of: object) -> None:
    """Show something below the cell that runs now, in several forms, once."""
    global _shown
    if is_notebook():
        from IPython.display import display

        display(bundle, raw=True)  # type: ignore[no-untyped-call]
        _shown = id(of), ipython().execution_count


def is_shown(of: object) -> bool:
    """Whether it was shown last, below the cell that runs now: what is the cell's value too is not shown twice."""
    return is_notebook() and _shown == (id(of), ipython().execution_count)


_shown: tuple[int, int] | None = None
