"""The grid as a picture: cells as they are now, their labels, what is selected, and what the colors mean.

One drawing, of which SVG and PNG are two renderings. It looks like the widget on a light ground.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from headgrid.plots import style
from headgrid.widget.export import arrows, cells, geometry, headers, legend, png, svg
from headgrid.widget.export.arrows import Curve
from headgrid.widget.export.geometry import Geometry
from headgrid.widget.export.scene import INK, Mark, Scene
from headgrid.widget.export.shapes import Drawing, Shape, Words, width_of
from headgrid.widget.state.grid_state import GridState

PAD = style.PICTURE["padding"]

LONGEST = 1000
"""The letters of the selection's text that a screen reader is given."""


def scene_of(grid: GridState, marks: Sequence[str] = ()) -> Scene:
    """The scene of a grid as it is now, with the saved selections of these names marked."""
    with grid.lock:
        cells, colors, arrows, (on, partial) = grid.cells, grid.colors, grid.arrows, grid.coverage()
        saved = [(name, grid.saved[name], grid.saved.colors[name]) for name in marks]
        return Scene(
            title=grid.anatomy.title,
            selection=str(grid.selection),
            counts=grid.text()["counts"],
            bands=cells.bands,
            absent=cells.absent,
            zero=grid.silent,
            on=on,
            partial=partial,
            colors=colors if colors["label"] else None,
            marks=[Mark(name, color, np.logical_or(*cells.coverage(chosen.parts))) for name, chosen, color in saved],
            arrows=arrows["arrows"],
            fence=arrows["fence"],
        )


def to_svg(scene: Scene) -> str:
    """A picture as one element of SVG that needs nothing from elsewhere, with a title and a description."""
    return svg.svg(draw(scene))


def to_png(scene: Scene) -> bytes:
    """A picture as a PNG.

    Raises:
        ImportError: when matplotlib is not installed.
    """
    return png.png(draw(scene))


def draw(scene: Scene) -> Drawing:
    """The drawing of a scene: its title and selection, the grid, and the legend."""
    placed = geometry.lay_out(scene.bands, geometry.cell_size(scene.bands))
    width = max(style.PICTURE["least"], placed.width) + 2 * PAD
    head, top = _heading(scene, width)
    curves = arrows.curves(scene, placed)
    grid = _grid(scene, placed, curves)
    roomy = any(box.roomy and not box.labeled for box in placed.bands)
    entries, tall = legend.legend(scene, width - 2 * PAD, roomy, curves)
    foot = top + placed.height + (12 if entries else 0)
    shapes = [*head, *_moved(grid, PAD, top), *_moved(entries, PAD, foot)]
    said = scene.selection if len(scene.selection) <= LONGEST else scene.selection[: LONGEST - 1] + "…"
    desc = f"Selected: {said} ({scene.counts})."
    if scene.colors is not None:
        desc += f" Colored by {scene.colors['label']}."
    return Drawing(width, foot + tall + PAD, INK.ground, f"HeadGrid: {scene.title}", desc, shapes)


def _grid(scene: Scene, placed: Geometry, curves: Sequence[Curve]) -> Iterator[Shape]:
    for box in placed.bands:
        yield from cells.cells(scene, box)
        yield from cells.handles(scene, box)
    yield from arrows.arrows(curves)
    for box in placed.bands:
        yield from headers.headers(scene, placed, box)


def _moved(shapes: Iterable[Shape], dx: float, dy: float) -> list[Shape]:
    return [shape.moved(dx, dy) for shape in shapes]


# ---- above the cells


def _heading(scene: Scene, width: float) -> tuple[list[Shape], float]:
    """The model, the selection as text and in numbers, and where they end."""
    found: list[Shape] = []
    y, room = float(PAD), width - 2 * PAD
    for line in _wrapped(scene.title, room, 13, 2):
        found.append(Words(PAD, y + 9, line, INK.text, 13, bold=True))
        y += 18
    for line in _wrapped(scene.selection, room, 11, style.PICTURE["lines"]):
        found.append(Words(PAD, y + 7.5, line, INK.text, mono=True))
        y += 15
    if scene.counts:
        found.append(Words(PAD, y + 8, scene.counts, INK.muted))
        y += 16
    return found, y + 8


def _wrapped(text: str, width: float, size: float, most: int) -> list[str]:
    """A text in lines that fit, broken at blanks where there are any; what is more than `most` of them ends in `…`."""
    room = max(8, int(width / width_of("x", size)))
    lines, rest = list[str](), text
    while rest:
        if len(rest) <= room:
            return [*lines, rest]
        if len(lines) == most - 1:
            return [*lines, rest[: room - 1] + "…"]
        cut = rest.rfind(" ", room // 2, room + 1)
        cut = room if cut < 0 else cut
        lines.append(rest[:cut])
        rest = rest[cut:].lstrip(" ")
    return lines
