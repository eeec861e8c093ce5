"""A grid elsewhere: as a picture or a matplotlib figure, and as a page that needs no kernel and no network."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from headgrid.circuits.progress import Progress
from headgrid.widget import page, picture
from headgrid.widget.wire import Colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from headgrid.widget.head_grid import HeadGrid


def to_svg(grid: HeadGrid, path: str | Path | None = None, marks: Sequence[str] = ()) -> str | None:
    """The grid as it is now, as SVG.

    Args:
        grid: the grid.
        path: where to write it; without, it is returned.
        marks: the names of saved selections whose cells are marked.

    Raises:
        FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
        KeyError: when no selection is saved under such a name.
    """
    return _text(picture.svg(picture.state_of(grid, marks)), path)


def to_png(grid: HeadGrid, path: str | Path | None = None, marks: Sequence[str] = ()) -> bytes | None:
    """The grid as it is now, as PNG with two pixels for each one of the SVG.

    Args:
        grid: the grid.
        path: where to write it; without, it is returned.
        marks: the names of saved selections whose cells are marked.

    Raises:
        ImportError: when matplotlib is not installed.
        FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
        KeyError: when no selection is saved under such a name.
    """
    found = picture.png(picture.state_of(grid, marks))
    if path is None:
        return found
    write(path, found)
    return None


def to_html(grid: HeadGrid, path: str | Path | None = None, progress: Progress = False) -> str | None:
    """The grid as a page of its own, with what the inspector says of the selected cells; `page` says what is in it.

    Args:
        grid: the grid.
        path: where to write it; without, it is returned.
        progress: who is told of each cell that is read; True shows a bar.

    Raises:
        FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
    """
    if path is not None:
        _checked(path)  # before minutes of reading
    return _text(page.html(grid, progress), path)


def plot(grid: HeadGrid, ax: Axes | None = None, **style: Any) -> Axes:
    """The heads of the main stack, drawn by `headgrid.plots.grid` as they are coloured; `style` goes to that."""
    from headgrid import plots

    with grid._background.lock:
        found, selection = cast(Colours, dict(grid.colours)), grid.selection
    cells = grid._background.places.stacks[grid.anatomy.main.name].cells("head")
    if found["label"]:
        values = np.frombuffer(found["values"], dtype="<f4")[cells]
        shown = {"values": values, "label": found["label"], "diverging": found["diverging"], "selected": selection}
        if found["low"] < found["high"]:
            shown |= {"low": found["low"], "high": found["high"]}
    else:
        on, some = grid._cells.look(selection.parts)
        shown = {"values": (on + 0.5 * some)[cells], "label": "selected", "low": 0.0, "high": 1.0}
    return plots.grid(**{**shown, "ax": ax, **style})


def write(path: str | Path, data: bytes) -> None:
    """Write a file whole, or not at all: what was there stays until everything is written. No folder is created.

    What a link leads to is written, and not the link; what is no file, such as a device or a pipe, is written to.
    """
    target = _checked(path).resolve()
    if target.exists() and not target.is_file():
        target.write_bytes(data)
        return
    unfinished = target.with_name(f".{os.getpid()}.part")  # a long name may have no room for more
    try:
        unfinished.write_bytes(data)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)


def _text(found: str, path: str | Path | None) -> str | None:
    if path is None:
        return found
    write(path, found.encode("utf-8", "replace"))
    return None


def _checked(path: str | Path) -> Path:
    target = Path(path).expanduser()
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(target.parent)!r} to write {target.name!r} into; create it, or give another path"
        )
    if target.is_dir():
        raise IsADirectoryError(f"{str(target)!r} is a folder; give the path of a file in it")
    return target
