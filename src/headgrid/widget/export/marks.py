"""The marks on cells, as lines and areas: the shapes of `js/src/grid/shapes.ts` and `marks.ts`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headgrid.plots import style
from headgrid.widget.export.shapes import Point, Rect, Rects


def dots(rects: Rects, radius: float) -> Rects:
    """Squares around the dots in the middle of cells, which say: no value."""
    middles = rects[:, :2] + rects[:, 2:] / 2 - radius
    return np.hstack([middles, np.full_like(middles, 2 * radius)])


def corners(rects: Rects, radius: float) -> list[list[Point]]:
    """The triangle at the lower left of each cell that says: in part."""
    r = radius / 2
    return [
        [(x, y + r), (x + wide - r, y + high), (x + r, y + high), (x, y + high - r)]
        for x, y, wide, high in rects.tolist()
    ]


def notches(rects: Rects) -> list[list[Point]]:
    """The small triangle at the upper right of each cell that says: its value lies beyond the scale."""
    inset, part = style.BEYOND["inset"], style.BEYOND["side"]
    found = list[list[Point]]()
    for x, y, wide, high in rects.tolist():
        right, top, side = x + wide - inset, y + inset, part * high
        found.append([(right - side, top), (right, top), (right, top + side)])
    return found


def hatches(rects: Rects) -> list[list[Point]]:
    """The lines across cells that say: its output weights are all zero."""
    found = list[list[Point]]()
    for x, y, wide, high in rects.tolist():
        d = step = max(style.HATCH["least"], min(wide, high) / style.HATCH["of"])
        while d < wide + high:
            found.append([(x + max(0.0, d - high), y + min(d, high)), (x + min(d, wide), y + max(0.0, d - wide))])
            d += step
    return found


def ticks(rects: Rects) -> list[list[Point]]:
    """The sign at the upper left of each cell that is selected while its color means a value."""
    found = list[list[Point]]()
    for x, y, wide, high in rects.tolist():
        size = 0.16 * min(wide, high)
        left, top = x + 5 + size, y + 5 + size
        found.append([(left - 0.6 * size, top), (left, top + 0.7 * size), (left + 1.1 * size, top - 0.8 * size)])
    return found


def bars(cell: Sequence[float], count: int) -> list[Rect]:
    """The bars of so many saved selections along the top of a cell; as many as can be seen, and at least one."""
    x, y, width, height = cell
    roomy = min(width, height) >= style.ROOMY
    inset, gap = (3, 1) if roomy else (0, 0)
    tall = max(3, int(height / 8 + 0.5)) if roomy else max(1, int(height / 3.5 + 0.5))
    room = width - 2 * inset
    shown = min(count, max(1, int((room + gap) / (2 + gap))))
    wide = (room - gap * (shown - 1)) / shown
    return [(x + inset + k * (wide + gap), y + (2 if roomy else 0), wide, tall) for k in range(shown)]
