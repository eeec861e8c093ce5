"""The simple shapes that a picture is made of, written as SVG or drawn by matplotlib."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Rect = tuple[float, float, float, float]
Rects = npt.NDArray[np.float64]  # x, y, width and height of each, `[n, 4]`
Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]

SCALE = 2
"""Pixels of a PNG for each unit of a drawing."""

PER_INCH = 96
"""Units of a drawing in an inch, as CSS counts."""


@dataclass(frozen=True, eq=False)
class Boxes:
    """Rectangles that look the same.

    Attributes:
        rects: x, y, width and height of each, `[n, 4]`.
        fill: their color; "none" for an outline alone.
        edge: the color of their outline, which is centered on their sides; "" for none.
        line: its width.
        radius: of their corners.
    """

    rects: Rects
    fill: str
    edge: str = ""
    line: float = 1.0
    radius: float = 0.0

    def moved(self, dx: float, dy: float) -> Boxes:
        """The same elsewhere."""
        return replace(self, rects=self.rects + np.array([dx, dy, 0.0, 0.0]))


@dataclass(frozen=True)
class Lines:
    """Lines from point to point, or, with `filled`, the areas that they enclose."""

    lines: Sequence[Sequence[Point]]
    color: str
    width: float = 1.0
    filled: bool = False

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
    """What is to be drawn, from back to front.

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


# ---- SVG


def svg(drawing: Drawing) -> str:
    """The drawing as one element of SVG, which needs nothing from elsewhere; texts are escaped."""
    size = f"{_n(drawing.width)} {_n(drawing.height)}"
    width, height = size.split()
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}" viewBox="0 0 {size}"'
        ' font-family="Helvetica, Arial, sans-serif" font-size="11">'
        f"<title>{_safe(drawing.title)}</title><desc>{_safe(drawing.desc)}</desc>"
        f'<rect width="{width}" height="{height}" fill="{drawing.ground}"/>'
        f"{''.join(_svg_shape(shape) for shape in drawing.shapes)}</svg>"
    )


def _svg_shape(shape: Shape) -> str:
    if isinstance(shape, Words):
        return _svg_words(shape)
    if isinstance(shape, Lines):
        d = "".join(
            "M" + "L".join(f"{_n(x)} {_n(y)}" for x, y in line) + ("z" if shape.filled else "") for line in shape.lines
        )
        paint = (
            f'fill="{shape.color}"'
            if shape.filled
            else f'fill="none" stroke="{shape.color}" stroke-width="{_n(shape.width)}"'
        )
        return f'<path {paint} d="{d}"/>' if d else ""
    if not len(shape.rects):
        return ""
    if not shape.radius and not shape.edge:
        return _svg_runs(shape)
    d = "".join(_rounded(rect, shape.radius) for rect in shape.rects.tolist())
    edge = f' stroke="{shape.edge}" stroke-width="{_n(shape.line)}"' if shape.edge else ""
    return f'<path fill="{shape.fill}"{edge} d="{d}"/>'


def _svg_words(words: Words) -> str:
    shift = 0.35 * words.size  # from the middle of the letters to their foot
    x, y = (words.x + shift, words.y) if words.upright else (words.x, words.y + shift)
    more = "" if words.anchor == "start" else f' text-anchor="{words.anchor}"'
    more += "" if words.size == 11 else f' font-size="{_n(words.size)}"'
    more += ' font-weight="bold"' if words.bold else ""
    more += ' font-family="Menlo, Consolas, monospace"' if words.mono else ""
    more += f' transform="rotate(-90 {_n(x)} {_n(y)})"' if words.upright else ""
    return f'<text x="{_n(x)}" y="{_n(y)}" fill="{words.color}"{more}>{_safe(words.text)}</text>'


def _svg_runs(boxes: Boxes) -> str:
    """Rectangles as dashed lines: a run of neighbors is one dash after another, so 16,000 cells stay small."""
    runs: dict[tuple[float, float, float], list[tuple[float, float, float]]] = {}
    for x, y, width, height, gap, length in _runs(boxes.rects).tolist():
        runs.setdefault((height, width, gap), []).append((x, y + height / 2, length))
    drawn = []
    for (height, width, gap), lines in runs.items():
        dashes = f' stroke-dasharray="{_n(width)} {_n(gap)}"' if gap else ""
        d, at = "", (0.0, 0.0)
        for x, y, length in lines:
            d += f"m{_n(x - at[0])} {_n(y - at[1])}h{_n(length)}"
            at = (x + length, y)
        drawn.append(f'<path stroke="{boxes.fill}" stroke-width="{_n(height)}"{dashes} d="{d}"/>')
    return "".join(drawn)


def _runs(rects: Rects) -> npt.NDArray[np.float64]:
    """Neighbors of one size at one distance: x, y, width, height, gap and length of each run, `[n_runs, 6]`.

    What stands at another distance begins the next run, whose own distance is free: groups of heads are a run each.
    """
    rects = rects[np.lexsort((rects[:, 0], rects[:, 3], rects[:, 1]))]
    n, x, width = np.arange(len(rects)), rects[:, 0], rects[:, 2]
    after = np.roll(rects, -1, axis=0)  # after the last the first, which is not to the right of it
    gaps = after[:, 0] - x - width
    gaps[(after[:, 1:] != rects[:, 1:]).any(axis=1) | (gaps < 0) | (gaps >= width / 2)] = 0.0  # no neighbors
    changes = np.flatnonzero(np.diff(gaps, append=np.nan))  # the last of each stretch of equal gaps
    lasts = np.where(gaps > 0, changes[np.searchsorted(changes, n)] + 1, n)  # of the run that each would begin
    firsts, first, ends = list[int](), 0, lasts.tolist()
    while first < len(ends):
        firsts.append(first)
        first = ends[first] + 1
    lengths = x[lasts[firsts]] + width[firsts] - x[firsts]
    return np.column_stack([rects[firsts], gaps[firsts], lengths])


def _rounded(rect: Rect, radius: float) -> str:
    x, y, width, height = rect
    r = min(radius, width / 2, height / 2)
    if r <= 0:
        return f"M{_n(x)} {_n(y)}h{_n(width)}v{_n(height)}h{_n(-width)}z"
    across, down, turn = _n(width - 2 * r), _n(height - 2 * r), f"a{_n(r)} {_n(r)} 0 0 1 "
    return (
        f"M{_n(x + r)} {_n(y)}h{across}{turn}{_n(r)} {_n(r)}v{down}{turn}{_n(-r)} {_n(r)}h-{across}"
        f"{turn}{_n(-r)} {_n(-r)}v-{down}{turn}{_n(r)} {_n(-r)}z"
    )


@lru_cache(4096)
def _n(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _safe(text: str) -> str:
    return escape(readable(text))


# ---- matplotlib


def png(drawing: Drawing) -> bytes:
    """The drawing as a PNG of `SCALE` pixels for each unit.

    Raises:
        ImportError: when matplotlib is not installed.
    """
    try:
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "a PNG is drawn with matplotlib, which is not installed: pip install headgrid[plots]; "
            "to_svg() needs nothing else"
        ) from error
    with matplotlib.rc_context(), io.BytesIO() as out:
        matplotlib.rcdefaults()  # a style that the user set for other figures is not meant for this one
        figure = Figure(figsize=(drawing.width / PER_INCH, drawing.height / PER_INCH), facecolor=drawing.ground)
        axes = figure.add_axes((0, 0, 1, 1), xlim=(0, drawing.width), ylim=(drawing.height, 0))
        axes.set_axis_off()
        for order, shape in enumerate(drawing.shapes):
            _plot(axes, shape, order)
        said = {"Title": readable(drawing.title), "Description": readable(drawing.desc)}
        figure.savefig(out, format="png", dpi=PER_INCH * SCALE, metadata=said)
        return out.getvalue()


def _plot(axes: Any, shape: Shape, order: int) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    points = 72 / PER_INCH  # of a unit, in which matplotlib measures lines and letters
    if isinstance(shape, Words):
        axes.text(
            shape.x + (0.35 * shape.size if shape.upright else 0.0),
            shape.y + (0.0 if shape.upright else 0.35 * shape.size),
            readable(shape.text),
            size=shape.size * points,
            color=shape.color,
            weight="bold" if shape.bold else "normal",
            family="monospace" if shape.mono else "sans-serif",
            ha={"start": "left", "middle": "center", "end": "right"}[shape.anchor],
            va="baseline",
            rotation=90 if shape.upright else 0,
            rotation_mode="anchor",
            parse_math=False,
            zorder=order,
        )
        return
    if isinstance(shape, Lines):
        paths = [Path(line, closed=False) for line in shape.lines if line]
        face, edge, width = (shape.color, "none", 0.0) if shape.filled else ("none", shape.color, shape.width)
    else:
        paths = [_outline(rect, shape.radius) for rect in shape.rects.tolist()]
        face, edge, width = shape.fill, shape.edge or "none", shape.line if shape.edge else 0.0
    if paths:
        path = Path.make_compound_path(*paths)
        style: dict[str, Any] = {"facecolor": face, "edgecolor": edge, "linewidth": width * points}
        axes.add_patch(PathPatch(path, **style, capstyle="butt", zorder=order, snap=False))


def _outline(rect: Rect, radius: float) -> Any:
    from matplotlib.path import Path

    x, y, width, height = rect
    r = min(radius, width / 2, height / 2)
    right, foot, k = x + width, y + height, r * 0.4477  # where the arms of a quarter circle's curve end
    if r <= 0:
        return Path([(x, y), (right, y), (right, foot), (x, foot), (x, y)], [1, 2, 2, 2, 79])
    corners = [
        [(right - r, y), (right - k, y), (right, y + k), (right, y + r)],
        [(right, foot - r), (right, foot - k), (right - k, foot), (right - r, foot)],
        [(x + r, foot), (x + k, foot), (x, foot - k), (x, foot - r)],
        [(x, y + r), (x, y + k), (x + k, y), (x + r, y)],
    ]
    points = [(x + r, y), *(point for corner in corners for point in corner), (x + r, y)]
    return Path(np.array(points), [1, *([2, 4, 4, 4] * 4), 79])
