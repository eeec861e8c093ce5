"""The simple shapes that a picture is made of; `svg` writes them and `png` paints them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

Rect = tuple[float, float, float, float]
Rects = npt.NDArray[np.float64]
"""x, y, width and height of each, `[n, 4]`."""

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True, eq=False)
class Boxes:
    """Filled rectangles of one color.

    Attributes:
        rects: x, y, width and height of each, `[n, 4]`.
        fill: their color.
        radius: of their corners.
        alpha: how opaque they are.
    """

    rects: Rects
    fill: str
    radius: float = 0.0
    alpha: float = 1.0

    def moved(self, dx: float, dy: float) -> Boxes:
        """The same elsewhere."""
        return replace(self, rects=self.rects + np.array([dx, dy, 0.0, 0.0]))


@dataclass(frozen=True)
class Lines:
    """Lines from point to point, or, with `filled`, the areas that they enclose.

    Attributes:
        lines: the points of each.
        color, width: of the line, or the color of the area.
        filled: whether areas are meant.
        curved: whether the four points of each are those of a cubic Bezier curve.
        dashes: how long the line is drawn and left out, in turn.
        alpha: how opaque it is.
    """

    lines: Sequence[Sequence[Point]]
    color: str
    width: float = 1.0
    filled: bool = False
    curved: bool = False
    dashes: Sequence[float] = ()
    alpha: float = 1.0

    def moved(self, dx: float, dy: float) -> Lines:
        """The same elsewhere."""
        return replace(self, lines=[[(x + dx, y + dy) for x, y in line] for line in self.lines])


@dataclass(frozen=True)
class Words:
    """A text on one line; `y` is its middle. An upright one reads from bottom to top, and `x` is its middle."""

    x: float
    y: float
    text: str
    color: str
    size: float = 11.0
    anchor: Anchor = "start"
    bold: bool = False
    mono: bool = False
    upright: bool = False

    def moved(self, dx: float, dy: float) -> Words:
        """The same elsewhere."""
        return replace(self, x=self.x + dx, y=self.y + dy)


Shape = Boxes | Lines | Words


@dataclass(frozen=True)
class Drawing:
    """A drawing: shapes, from back to front.

    Attributes:
        width, height: in units; a unit is a pixel of CSS.
        ground: the color behind it.
        title, desc: what a screen reader says of it.
    """

    width: float
    height: float
    ground: str
    title: str
    desc: str
    shapes: Sequence[Shape]


def width_of(text: str, size: float = 11.0) -> float:
    """About how wide a text is, in whatever font a viewer has: rather too much than too little."""
    return 0.6 * size * len(text)


def readable(text: str) -> str:
    """A text in which a replacement character stands for what XML does not allow, such as control characters."""
    return text if text.isprintable() else re.sub("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def insets(rects: Rects, by: float) -> Rects:
    """Rectangles that are smaller by so much on every side."""
    inner: Rects = rects + np.array([by, by, -2 * by, -2 * by])
    return inner
