"""What the cells of a picture and its key are drawn with."""

from __future__ import annotations

from collections.abc import Iterator

from headgrid.widget.shapes import Rect

GROUND, TEXT, MUTED, LINE = "#ffffff", "#1c2128", "#59636e", "#98a2ad"
OFF, EDGE, ON, PARTIAL, HATCH = "#e9edf2", "#ccd3db", "#0a5fb4", "#4f9be0", "#8f99a5"
"""The colours of `js/src/base.css`."""


def inset(rect: Rect, by: float) -> Rect:
    """A rectangle that is smaller by so much on every side."""
    x, y, wide, high = rect
    return x + by, y + by, wide - 2 * by, high - 2 * by


def dot(rect: Rect, size: float) -> Rect:
    """A square of this size in the middle of a cell."""
    x, y, wide, high = rect
    return x + (wide - size) / 2, y + (high - size) / 2, size, size


def corner(rect: Rect, radius: float) -> list[tuple[float, float]]:
    """The triangle at the lower left that says: in part."""
    x, y, wide, high = rect
    r = radius / 2
    return [(x, y + r), (x + wide - r, y + high), (x + r, y + high), (x, y + high - r)]


def hatch(rect: Rect) -> Iterator[list[tuple[float, float]]]:
    """The lines across a cell that say: its output weights are all zero."""
    x, y, wide, high = rect
    step = max(4.0, min(wide, high) / 4)
    d = step
    while d < wide + high:
        yield [(x + max(0.0, d - high), y + min(d, high)), (x + min(d, wide), y + max(0.0, d - wide))]
        d += step
