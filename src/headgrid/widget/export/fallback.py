"""The grid where no widget can run: a text for a terminal, a picture for a viewer of saved notebooks."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Any

import numpy as np

from headgrid.anatomy.anatomy import Bools
from headgrid.utils.arguments import printable_lines
from headgrid.widget.export import figure
from headgrid.widget.export.scene import Scene
from headgrid.widget.wire.schema import Band, Colors

MARKS = {"on": "#", "partial": "+", "off": ".", "absent": " "}
WIDEST = 160
"""A text grid wider than this many characters is not drawn; its selection says the same."""
TALLEST = 48

MOST_COLORED = 2500
"""The cells whose colors a picture in a notebook shows: each takes a dozen bytes of it."""


def text(title: str, selection: str, bands: list[Band], absent: Bools, on: Bools, partial: Bools) -> str:
    """The grid in characters: `#` is on, `+` partly selected, `.` off; what a layer does not have is blank."""
    lines = [f"HeadGrid({title}): {selection}"]
    stack = ""
    for band, band_on, band_partial, gone in _split(bands, on, partial, absent):
        if band["stack"] != stack:
            stack = band["stack"]
            lines.append(f"  {stack}" if stack else "")
        head = max((len(row["label"]) for row in band["rows"]), default=0)
        widths = [len(column["label"]) for column in band["columns"]]
        if head + sum(widths) + len(widths) > WIDEST or len(band["rows"]) > TALLEST:
            lines.append(f"  {len(band['rows'])} x {len(widths)} cells")
            continue
        lines.append("  " + " " * head + "".join(f" {column['label']}" for column in band["columns"]))
        for row, *cells_of in zip(band["rows"], band_on, band_partial, gone, strict=True):
            marks = ["absent" if no else _state(a, b) for a, b, no in zip(*cells_of, strict=True)]
            cells = "".join(f" {MARKS[mark]:^{width}}" for mark, width in zip(marks, widths, strict=True))
            lines.append(f"  {row['label']:>{head}}{cells}".rstrip())
    return printable_lines("\n".join(lines))


def html(
    title: str,
    selection: str,
    bands: list[Band],
    absent: Bools,
    on: Bools,
    partial: Bools,
    zero: Bools | None = None,
    colors: Colors | None = None,
    counts: str = "",
) -> str:
    """The grid as a picture in HTML, without scripts or styles from elsewhere; names are escaped.

    A picture of many cells shows what is selected and not their colors, which would make it large.
    """
    silent = np.zeros_like(on) if zero is None else zero
    label = colors["label"] if colors is not None else ""
    painted = colors if label and len(on) <= MOST_COLORED else None
    scene = Scene(title, selection, counts, bands, absent, silent, on, partial, painted)
    left_out = f"<p>The colors ({escape(label)}) are in the widget.</p>" if label and not painted else ""
    return f'<div style="max-width:100%;overflow:auto">{figure.to_svg(scene)}</div>{left_out}'


def _state(on: bool, partial: bool) -> str:
    return "on" if on else "partial" if partial else "off"


def _split(bands: list[Band], *of_cells: Bools) -> Iterator[tuple[Any, ...]]:
    """Each band with what there is of its cells, each of shape `[rows, columns]`."""
    shapes = [(len(band["rows"]), len(band["columns"])) for band in bands]
    ends = np.cumsum([rows * columns for rows, columns in shapes])[:-1]
    for band, shape, *pieces in zip(bands, shapes, *(np.split(one, ends) for one in of_cells), strict=True):
        yield (band, *(piece.reshape(shape) for piece in pieces))
