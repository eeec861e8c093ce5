"""The legend of a picture: what its colors, frames, marks and arrows mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from headgrid.plots import style
from headgrid.plots.style import LEGEND
from headgrid.widget.compute import to_wire
from headgrid.widget.export import marks
from headgrid.widget.export.arrows import Curve, arrows
from headgrid.widget.export.cells import framed, lower_halves, selected
from headgrid.widget.export.scene import INK, Scene
from headgrid.widget.export.shapes import Anchor, Boxes, Lines, Shape, Words, insets, width_of

Entry = tuple[list[Shape], float, float]
"""Shapes with their upper left corner at the origin, their width and their height."""

LONGEST = 40
"""The letters of an entry; a saved selection may have a longer name."""


def legend(scene: Scene, width: float, roomy: bool, curves: Sequence[Curve]) -> tuple[list[Shape], float]:
    """The legend of the colors, from left to right and in as many lines as it takes, and where it ends.

    Args:
        scene: what is shown.
        width: the room there is.
        roomy: whether cells have edges and corners.
        curves: the arrows that are drawn.
    """
    found: list[Shape] = []
    x, y, tall = 0.0, 0.0, 0.0
    for shapes, wide, high in _entries(scene, roomy, curves):
        if x and x + wide > width:
            x, y, tall = 0.0, y + tall + 8, 0.0
        found += [shape.moved(x, y) for shape in shapes]
        x, tall = x + wide + 18, max(tall, high)
    return found, y + tall


def _entries(scene: Scene, roomy: bool, curves: Sequence[Curve]) -> Iterator[Entry]:
    box = np.array([(0.0, 0.0, style.PICTURE["swatch"], style.PICTURE["swatch"])])
    off = list(framed(box, 3, INK.edge, INK.cell))
    if scene.colors is not None:
        yield _scale(scene)
        if scene.colors["range"]:
            yield _text(scene.colors["range"])
        if (scene.beyond & ~scene.absent).any():
            yield _entry(LEGEND["beyond"], *off, Lines(marks.notches(box), INK.text, filled=True))
        if (np.isnan(scene.values) & ~scene.absent).any():
            dot = style.DOT["roomy"]
            yield _entry(LEGEND["missing"], *off, Boxes(marks.dots(box, dot), INK.muted, dot))
    ink = INK.partial if scene.colors is None else INK.text
    if scene.on.any():
        frame, inside = selected(box, 3, True)
        swatch = [Boxes(box, INK.on, 3)] if scene.colors is None else [*frame, Boxes(inside, INK.cell)]
        yield _entry(LEGEND["selected"], *swatch)
    if scene.partial.any():
        half = Boxes(insets(lower_halves(box), 1), ink)
        triangle = Lines(marks.corners(box, 3), ink, filled=True)
        yield _entry(LEGEND["partial"], *off, triangle if roomy or scene.colors is not None else half)
    if (scene.zero & ~scene.absent).any():
        yield _entry(LEGEND["zero"], *off, Lines(marks.hatches(box), INK.hatch))
    for kind in style.DASHES:
        mine = [curve for curve in curves if curve.kind == kind]
        if mine:
            points = [(3.0, 7.0), (9.0, 7.0), (17.0, 7.0), (25.0, 7.0)]
            said = kind + LEGEND["composition"]
            arrow = list(arrows([Curve(mine[0].kind, points, 0.5, all(curve.plain for curve in mine))]))
            yield [*arrow, Words(36, 7, said, INK.muted)], 36 + width_of(said), 14
    if curves:
        yield _text(LEGEND["not_use"])
        if any(curve.plain for curve in curves):
            yield _text(LEGEND["gray"])
    for mark in scene.marks:
        yield _entry(mark.name, *off, Boxes(np.array([(3.0, 2.0, 8.0, 3.0)]), mark.color))


def _text(said: str) -> Entry:
    return [Words(0, 7, said, INK.muted)], width_of(said), 14


def _entry(said: str, *swatch: Shape) -> Entry:
    said = said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"
    return [*swatch, Words(20, 7, said, INK.muted)], 20 + width_of(said), 14


def _scale(scene: Scene) -> Entry:
    """The label of the colors and, where there is any value, the scale with its ends."""
    assert scene.colors is not None
    ln = scene.colors["ln"]
    label = scene.colors["label"] + (f" ({LEGEND[ln]})" if ln in ("folded", "raw") else "")
    left = width_of(label, 12) + 10
    head = Words(0, 7, label, INK.text, bold=True)
    if np.isnan(scene.values[~scene.absent]).all():
        return [head], left, 14
    wide, n = style.PICTURE["scale"], len(scene.palette)
    shapes: list[Shape] = [head]
    for k, color in enumerate(scene.palette):  # each reaches to the end, so that no seam shows between two
        shapes.append(Boxes(np.array([(left + k * wide / n, 2.0, wide - k * wide / n, 9.0)]), color))
    (low, high), values = scene.ends, scene.values[~scene.absent]
    below = "\N{LESS-THAN OR EQUAL TO} " * bool((values < low).any())
    above = "\N{GREATER-THAN OR EQUAL TO} " * bool((values > high).any())
    ends: list[tuple[float, str, float, Anchor]] = [(0, below, low, "start"), (wide, above, high, "end")]
    if scene.colors["diverging"]:
        ends.append((wide / 2, "", (low + high) / 2, "middle"))
    for x, more, value, anchor in ends:
        said = more + to_wire.short(value).replace("-", "\N{MINUS SIGN}")
        shapes.append(Words(left + x, 20, said, INK.muted, 11, anchor))
    return shapes, left + wide, 26
