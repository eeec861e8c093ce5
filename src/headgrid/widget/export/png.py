"""A drawing as a PNG, painted by matplotlib."""

from __future__ import annotations

import io
from typing import Any

from headgrid.widget.export.shapes import Boxes, Drawing, Lines, Rect, Words, readable

SCALE = 2
"""Pixels of a PNG for each unit of a drawing."""

PER_INCH = 96
"""Units of a drawing in an inch, as CSS counts."""

POINTS = 72 / PER_INCH
"""Of a unit, in which matplotlib measures lines and letters."""


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
            if isinstance(shape, Words):
                _write(axes, shape, order)
            else:
                _paint(axes, shape, order)
        said = {"Title": readable(drawing.title), "Description": readable(drawing.desc)}
        figure.savefig(out, format="png", dpi=PER_INCH * SCALE, metadata=said)
        return out.getvalue()


def _write(axes: Any, words: Words, order: int) -> None:
    shift = 0.35 * words.size  # from the middle of the letters to their foot
    axes.text(
        words.x + (shift if words.upright else 0.0),
        words.y + (0.0 if words.upright else shift),
        readable(words.text),
        size=words.size * POINTS,
        color=words.color,
        weight="bold" if words.bold else "normal",
        family="monospace" if words.mono else "sans-serif",
        ha={"start": "left", "middle": "center", "end": "right"}[words.anchor],
        va="baseline",
        rotation=90 if words.upright else 0,
        rotation_mode="anchor",
        parse_math=False,
        zorder=order,
    )


def _paint(axes: Any, shape: Boxes | Lines, order: int) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    style: dict[str, Any] = {"capstyle": "butt", "joinstyle": "miter", "zorder": order, "snap": False}
    if isinstance(shape, Boxes):
        paths = [_outline(rect, shape.radius) for rect in shape.rects.tolist()]
        style |= {"facecolor": shape.fill, "edgecolor": "none"}
    else:
        codes = [Path.MOVETO, *[Path.CURVE4] * 3] if shape.curved else None
        paths = [Path(line, codes) for line in shape.lines if line]
        face, edge = (shape.color, "none") if shape.filled else ("none", shape.color)
        style |= {"facecolor": face, "edgecolor": edge, "linewidth": shape.width * POINTS}
        if shape.dashes:
            style["linestyle"] = (0, [length / shape.width for length in shape.dashes])
    if paths:
        axes.add_patch(PathPatch(Path.make_compound_path(*paths), alpha=shape.alpha, **style))


def _outline(rect: Rect, radius: float) -> Any:
    from matplotlib.patches import BoxStyle

    x, y, width, height = rect
    r = min(radius, width / 2, height / 2)
    shape = BoxStyle.Round(pad=0, rounding_size=r) if r > 0 else BoxStyle.Square(pad=0)
    return shape(x, y, width, height, 1.0)
