"""A drawing as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape

import numpy as np
import numpy.typing as npt

from headgrid.widget.export.shapes import Boxes, Drawing, Lines, Rects, Shape, Words, insets, readable


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
        return _svg_lines(shape)
    if not len(shape.rects):
        return ""
    return _svg_rounded(shape) if shape.radius else _svg_runs(shape)


def _svg_lines(lines: Lines) -> str:
    d = "".join(_line([f"{_n(x)} {_n(y)}" for x, y in line], lines.curved) for line in lines.lines if line)
    if lines.filled:
        paint = f'fill="{lines.color}"'
    else:
        dashes = f' stroke-dasharray="{" ".join(map(_n, lines.dashes))}"' if lines.dashes else ""
        paint = f'fill="none" stroke="{lines.color}" stroke-width="{_n(lines.width)}"{dashes}'
    return f'<path {paint}{_opacity(lines.alpha)} d="{d}"/>' if d else ""


def _line(points: Sequence[str], curved: bool) -> str:
    return f"M{points[0]}C{' '.join(points[1:])}" if curved else f"M{'L'.join(points)}"


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


def _svg_rounded(boxes: Boxes) -> str:
    """Rectangles whose corners are those of a thick line around smaller ones: a tenth of what arcs would take."""
    r = min(boxes.radius, float(boxes.rects[:, 2:].min()) / 2 - 0.05)  # a line around nothing would not be drawn
    d, at = "", (0.0, 0.0)
    for x, y, width, height in insets(boxes.rects, r).round(2).tolist():
        d += f"m{_n(x - at[0])} {_n(y - at[1])}h{_n(width)}v{_n(height)}h{_n(-width)}z"
        at = x, y
    paint = f'fill="{boxes.fill}" stroke="{boxes.fill}" stroke-width="{_n(2 * r)}" stroke-linejoin="round"'
    return f'<path {paint}{_opacity(boxes.alpha)} d="{d}"/>'


def _opacity(alpha: float) -> str:
    return f' opacity="{_n(alpha)}"' if alpha < 1 else ""


@lru_cache(4096)
def _n(value: float) -> str:
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _safe(text: str) -> str:
    return escape(readable(text))
