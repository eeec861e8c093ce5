"""The grid where no widget can run: a text for a terminal, a picture for a viewer of saved notebooks."""

from __future__ import annotations

import html as escape
from collections.abc import Iterator
from typing import Any

import numpy as np

from headgrid.anatomy import Bools
from headgrid.widget.wire import Band

MARKS = {"on": "#", "partial": "+", "off": ".", "absent": " "}
WIDEST = 160
"""A text grid wider than this many characters is not drawn; its selection says the same."""
TALLEST = 48


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
    return "\n".join(lines)


def html(title: str, selection: str, bands: list[Band], absent: Bools, on: Bools, partial: Bools) -> str:
    """The grid as an SVG picture in HTML, without scripts or styles from elsewhere; model names are escaped.

    Cells of one state are one path, so 16,000 cells stay a small picture.
    """
    size = 18 if len(on) < 400 else 8
    gap, left = size // 6 + 1, 34
    paths: dict[str, list[str]] = {"off": [], "partial": [], "on": []}
    labels: list[str] = []
    y, width, start = 4, 0, 0
    stack = ""
    for band, band_on, band_partial in _split(bands, on, partial):
        if band["stack"] != stack:
            stack = band["stack"]
            y += 16
            labels.append(_label(left, y - 2, stack, "start"))
        ends = not band["rows"][0]["label"]  # a band of embeddings: wide cells with their names inside
        tall, wide, between = (18, 66, 4) if ends else (size, size, gap)
        if not ends:
            y += 14
            for i, column in enumerate(band["columns"]):
                counted = column["kind"] in ("head", "expert")
                if size > 10 or column["kind"] == "mlp" or (counted and int(column["label"]) % 8 == 0):
                    labels.append(_label(left + i * (wide + between) + wide / 2, y - 4, column["label"], "middle"))
        for r, row in enumerate(band["rows"]):
            if size > 10 or r % 8 == 0:
                labels.append(_label(left - 6, y + tall / 2 + 4, row["label"], "end"))
            for c, column in enumerate(band["columns"]):
                x = left + c * (wide + between)
                if not absent[start + r * len(band["columns"]) + c]:
                    state = _state(bool(band_on[r, c]), bool(band_partial[r, c]))
                    paths[state].append(f"M{x} {y}h{wide}v{tall}h-{wide}z")
                if ends:
                    ink = ' fill="#fff"' if band_on[r, c] else ""
                    labels.append(_label(x + wide / 2, y + 13, column["label"], "middle", ink))
            y += tall + between
        width = max(width, left + len(band["columns"]) * (wide + between))
        start += len(band["rows"]) * len(band["columns"])
        y += 4
    fills = {"off": "#8883", "partial": "#7aa6d8", "on": "#1f6fbf"}
    drawn = "".join(f'<path fill="{fills[state]}" d="{"".join(d)}"/>' for state, d in paths.items() if d)
    return (
        '<div style="font:12px sans-serif">'
        f"<div>{escape.escape(title)}</div><code>{escape.escape(selection)}</code><br>"
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{escape.escape(selection)}" '
        f'width="{width + 4}" height="{y + 4}" font-family="sans-serif" font-size="10" fill="#888">'
        f"{drawn}{''.join(labels)}</svg></div>"
    )


def _label(x: float, y: float, label: str, anchor: str, ink: str = "") -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{ink}>{escape.escape(label)}</text>'


def _state(on: bool, partial: bool) -> str:
    return "on" if on else "partial" if partial else "off"


def _split(bands: list[Band], *of_cells: Bools) -> Iterator[tuple[Any, ...]]:
    """Each band with what there is of its cells, each of shape `[rows, columns]`."""
    shapes = [(len(band["rows"]), len(band["columns"])) for band in bands]
    ends = np.cumsum([rows * columns for rows, columns in shapes])[:-1]
    for band, shape, *pieces in zip(bands, shapes, *(np.split(one, ends) for one in of_cells), strict=True):
        yield (band, *(piece.reshape(shape) for piece in pieces))
