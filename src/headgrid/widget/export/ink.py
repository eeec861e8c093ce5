"""What the cells of a picture and its key are drawn with."""

from __future__ import annotations

import numpy as np

from headgrid.widget.export.svg import Point, Rects

GROUND, TEXT, MUTED, LINE = "#ffffff", "#1c2128", "#59636e", "#98a2ad"
OFF, EDGE, ON, PARTIAL, HATCH = "#e9edf2", "#ccd3db", "#0a5fb4", "#4f9be0", "#8f99a5"
"""The colors of `js/src/base.css`."""


def insets(rects: Rects, by: float) -> Rects:
    """Rectangles that are smaller by so much on every side."""
    inner: Rects = rects + np.array([by, by, -2 * by, -2 * by])
    return inner


def dots(rects: Rects, size: float) -> Rects:
    """Squares of this size in the middle of cells."""
    spots = rects[:, :2] + (rects[:, 2:] - size) / 2
    return np.hstack([spots, np.full_like(spots, size)])


def halves(rects: Rects) -> Rects:
    """The lower halves of cells, which say: in part."""
    lower: Rects = rects + rects[:, 3:] * np.array([0.0, 0.5, 0.0, -0.5])
    return lower


def corners(rects: Rects, radius: float) -> list[list[Point]]:
    """The triangle at the lower left of each cell that says: in part."""
    r = radius / 2
    return [
        [(x, y + r), (x + wide - r, y + high), (x + r, y + high), (x, y + high - r)]
        for x, y, wide, high in rects.tolist()
    ]


def notches(rects: Rects) -> list[list[Point]]:
    """The small triangle at the upper right of each cell that says: its value lies beyond the scale."""
    found = list[list[Point]]()
    for x, y, wide, high in rects.tolist():
        right, top, side = x + wide - 1, y + 1, 0.4 * high
        found.append([(right - side, top), (right, top), (right, top + side)])
    return found


def hatches(rects: Rects) -> list[list[Point]]:
    """The lines across cells that say: its output weights are all zero."""
    found = list[list[Point]]()
    for x, y, wide, high in rects.tolist():
        d = step = max(4.0, min(wide, high) / 4)
        while d < wide + high:
            found.append([(x + max(0.0, d - high), y + min(d, high)), (x + min(d, wide), y + max(0.0, d - wide))])
            d += step
    return found
