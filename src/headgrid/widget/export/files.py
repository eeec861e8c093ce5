"""A grid elsewhere: as a picture or a matplotlib figure, and as a page that needs no kernel and no network."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from headgrid.circuits.progress import Progress
from headgrid.plots.style import LEGEND, LIGHT
from headgrid.utils import arguments, files
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.export import figure, html
from headgrid.widget.export.precompute_live import PageSources
from headgrid.widget.state.grid_state import GridState

FilePath: TypeAlias = "str | os.PathLike[str]"

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def to_svg(grid: GridState, path: FilePath | None = None, marks: Sequence[str] = ()) -> str | None:
    """The grid as it is now, as SVG.

    Args:
        grid: the grid.
        path: where to write it; without, it is returned.
        marks: the names of saved selections whose cells are marked.

    Raises:
        FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
        KeyError: when no selection is saved under such a name.
    """
    if path is not None:
        files.checked(path)
    return _text(figure.to_svg(figure.scene_of(grid, _names(marks))), path)


def to_png(grid: GridState, path: FilePath | None = None, marks: Sequence[str] = ()) -> bytes | None:
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
    if path is not None:
        files.checked(path)
    found = figure.to_png(figure.scene_of(grid, _names(marks)))
    if path is None:
        return found
    files.write(path, found)
    return None


def to_html(
    grid: GridState,
    cache: SummaryCache,
    traits: Mapping[str, Any],
    path: FilePath | None = None,
    progress: Progress = False,
    sources: PageSources | None = None,
) -> str | None:
    """The grid as a page of its own, with what the inspector says of the selected cells; `page` says what is in it.

    Args:
        grid: the grid.
        cache: reads its weights.
        traits: the traits of its widget, as they are sent.
        path: where to write it; without, it is returned.
        progress: who is told of each cell that is read; True shows a bar.
        sources: what knows more of the heads; None for a page with no more than the widget shows.

    Raises:
        FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
    """
    if path is not None:
        files.checked(path)  # before minutes of reading
    return _text(html.html(grid, cache, traits, arguments.progress(progress), sources), path)


def plot(grid: GridState, ax: Axes | None = None, **style: Any) -> Axes:
    """The heads of the main stack, drawn by `headgrid.plots.grid` as they are colored; `style` goes to that."""
    from headgrid import plots

    allowed = list(inspect.signature(plots.grid).parameters)
    if strangers := [name for name in style if name not in allowed]:
        raise TypeError(f"plot takes what headgrid.plots.grid does, {', '.join(allowed)}; not {strangers[0]!r}")
    with grid.lock:
        found, selection, (on, some) = grid.colors, grid.selection, grid.coverage()
    cells = grid.index.stacks[grid.anatomy.main.name].cells("head")
    if found["label"]:
        values = np.frombuffer(found["values"], dtype="<f4")[cells]
        shown = {"values": values, "label": found["label"], "diverging": found["diverging"], "selected": selection}
        if found["low"] < found["high"]:
            shown |= {"low": found["low"], "high": found["high"]}
    else:
        shown = {"values": (on + 0.5 * some)[cells], "label": "selected", "low": 0.0, "high": 1.0}
        main = grid.anatomy.main
        shown["n_kv_heads"] = None if main.n_heads % main.n_kv_heads else main.n_kv_heads
    drawn = plots.grid(**{**shown, "ax": ax, **style})
    if not found["label"] and "values" not in style:
        _color_states(drawn, style.get("label", ""))
    return drawn


def _color_states(ax: Axes, label: str) -> None:
    """Give heads that are drawn by 0, 0.5 and 1 the colors of cells that are selected not at all, in part, wholly."""
    from matplotlib.collections import QuadMesh
    from matplotlib.colors import ListedColormap

    mesh = next(artist for artist in ax.collections if isinstance(artist, QuadMesh))
    mesh.set_cmap(ListedColormap([LIGHT.cell, LIGHT.partial, LIGHT.on]))
    assert mesh.colorbar is not None
    mesh.colorbar.set_ticks([1 / 6, 1 / 2, 5 / 6], labels=["not selected", LEGEND["partial"], LEGEND["selected"]])
    mesh.colorbar.ax.tick_params(length=0)
    mesh.colorbar.set_label(label)


def _names(marks: str | Sequence[str]) -> list[str]:
    """The names of saved selections; one alone may stand for itself."""
    return [marks] if isinstance(marks, str) else arguments.items("marks", marks, "a list of names", empty=True)


def _text(found: str, path: FilePath | None) -> str | None:
    if path is None:
        return found
    files.write(path, found)
    return None
