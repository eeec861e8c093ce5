"""Composition between heads as arrows over the cells: the curves of `js/src/grid/arrows.ts`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from headgrid.plots import style
from headgrid.widget.export.geometry import Geometry
from headgrid.widget.export.scene import INK, Scene
from headgrid.widget.export.shapes import Boxes, Lines, Point, Rect, Shape
from headgrid.widget.wire.schema import Arrow, Composes


@dataclass(frozen=True)
class Curve:
    """One arrow as a cubic Bezier curve.

    Attributes:
        kind: into what of its target it leads.
        points: four of them.
        strength: from 0 at the threshold to 1 for the strongest.
        plain: whether it is as most pairs are: no outlier among them.
    """

    kind: Composes
    points: Sequence[Point]
    strength: float
    plain: bool

    @property
    def color(self) -> str:
        """That of its kind, or gray."""
        return INK.hatch if self.plain else cast(str, getattr(INK, self.kind.lower()))


def curves(scene: Scene, geometry: Geometry) -> list[Curve]:
    """The arrows that are drawn, the strongest first: those that are clearly stronger than chance."""
    strong = sorted((one for one in scene.arrows if one["z"] >= style.ARROWS["z"]), key=lambda one: -one["z"])
    strong = strong[: style.ARROWS["most"]]
    if not strong:
        return []
    rects = np.concatenate([box.rects() for box in geometry.bands])
    top, least = strong[0]["z"], style.ARROWS["z"]
    return [
        Curve(
            arrow["kind"],
            _points(arrow, tuple(rects[arrow["source"]]), tuple(rects[arrow["target"]]), geometry),
            (arrow["z"] - least) / (top - least) if top > least else 1.0,
            scene.fence is None or not arrow["z"] > scene.fence,
        )
        for arrow in strong
    ]


def arrows(found: Sequence[Curve]) -> Iterator[Shape]:
    """The shapes of arrows; the strongest comes last, on top of the others."""
    for curve in reversed(found):
        width = style.ARROW["thin"] + style.ARROW["thicker"] * curve.strength
        alpha = style.ARROW["alpha"] + (1 - style.ARROW["alpha"]) * curve.strength
        head = [_head(curve.points, style.ARROW["head"] + style.ARROW["per_width"] * width)]
        closed, rim = [[*head[0], *head[0][:2]]], style.ARROW["halo"]
        yield Lines([curve.points], INK.ground, width + rim, curved=True, alpha=alpha)
        yield Lines(closed, INK.ground, rim, alpha=alpha)
        yield Lines([curve.points], curve.color, width, curved=True, dashes=style.DASHES[curve.kind], alpha=alpha)
        yield Lines(head, curve.color, filled=True, alpha=alpha)
        (x, y), radius = curve.points[0], width / 2 + 1
        yield Boxes(np.array([(x - radius, y - radius, 2 * radius, 2 * radius)]), curve.color, radius, alpha)


def _points(arrow: Arrow, a: Rect, b: Rect, geometry: Geometry) -> list[Point]:
    """A curve from one cell to another. The kinds keep to lanes of their own; what goes straight down bows aside."""
    down = 1 if b[1] >= a[1] else -1
    lane = style.LANES[arrow["kind"]] * min(8, a[2] / 4)
    start = (a[0] + a[2] / 2 + lane, a[1] + a[3] * (0.5 + 0.15 * down))
    end = (b[0] + b[2] / 2 + lane, b[1] + b[3] * (0.5 - 0.3 * down))
    dx, dy = end[0] - start[0], end[1] - start[1]
    # over cells that lie between, a straight line would hide them and hide behind them
    far = abs(dy) > 2 * geometry.cell and abs(dx) < 2 * geometry.cell
    bow = (-1 if dx < 0 else 1) * (geometry.cell + geometry.gap) * 0.8 if far else 0
    reach = down * (abs(dy) * 0.45 + min(30, abs(dx) * 0.12))
    level = lane * 1.2 if abs(dx) > abs(dy) else 0  # where a curve runs level, its lane has to be one of height
    return [
        start,
        (start[0] + bow, start[1] + reach - level),
        (end[0] + bow, end[1] - reach - level),
        end,
    ]


def _head(points: Sequence[Point], size: float) -> list[Point]:
    (from_x, from_y), (x, y) = points[2], points[3]
    angle = math.atan2(y - from_y, x - from_x)
    return [
        (x - far * math.cos(angle + turn), y - far * math.sin(angle + turn))
        for turn, far in ((0.0, -0.6 * size), (0.5, size), (-0.5, size))
    ]
