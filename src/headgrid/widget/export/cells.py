"""The cells of a picture, their handles and marks, as `js/src/grid/paint.ts`, `fills.ts` and `handles.ts` paint."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.anatomy import Bools
from headgrid.plots import color_scale, style
from headgrid.plots.style import tier
from headgrid.widget.export import marks
from headgrid.widget.export.geometry import BandBox
from headgrid.widget.export.scene import INK, Scene
from headgrid.widget.export.shapes import Boxes, Lines, Rects, Shape, Words, insets
from headgrid.widget.state.cell_index import Integers

MANY = 1000
"""The cells of a band above which they are plain squares: a rounded one takes twenty bytes, one of a run less."""


def cells(scene: Scene, box: BandBox) -> Iterator[Shape]:
    """The cells of a band that are there, with what is marked on them."""
    there = ~scene.absent[box.first : box.first + box.n_cells]
    n, rects = box.first + np.flatnonzero(there), box.rects()[there]
    radius = 0.0 if box.n_cells > MANY else float(tier(box.height, style.RADII)[0])
    if scene.colors is None:
        yield from _states(scene, box, n, rects, radius)
        inks = np.where(scene.on[n], INK.mark, INK.text)
    else:
        inks = np.array([*map(color_scale.ink, scene.palette), INK.text])[scene.levels[n]]
        yield from _values(scene, box, n, rects, radius, inks)
    if box.labeled:
        columns = [box.band["columns"][i] for i in n - box.first]
        for column, (x, y, wide, high), ink in zip(columns, rects.tolist(), inks.tolist(), strict=True):
            yield Words(x + wide / 2, y + high / 2, column["label"], ink, anchor="middle")
    if scene.marks:
        yield from _saved(scene, n, rects)


def framed(rects: Rects, radius: float, edge: str, fill: str) -> Iterator[Boxes]:
    """Boxes with an edge one pixel wide."""
    yield Boxes(rects, edge, radius)
    yield Boxes(insets(rects, 1), fill, max(0.0, radius - 1))


def selected(rects: Rects, radius: float, roomy: bool, ink: str = INK.on) -> tuple[list[Boxes], Rects]:
    """The frame of cells that are selected while their color means a value, and what remains inside it."""
    line, gap = style.FRAME["roomy" if roomy else "small"]
    frame = [Boxes(rects, ink, radius), Boxes(insets(rects, line), INK.ground, max(0.0, radius - line))]
    return frame, insets(rects, line + gap)


def _states(scene: Scene, box: BandBox, n: Integers, rects: Rects, radius: float) -> Iterator[Shape]:
    """Cells whose color tells whether they are selected; `rects[i]` is the place of the cell `n[i]`."""
    on, zero, some = scene.on[n], scene.zero[n], rects[scene.partial[n]]
    if box.roomy:
        yield from framed(rects[~on], radius, INK.edge, INK.cell)
    else:
        yield Boxes(rects[~on], INK.edge, radius)
    yield Boxes(rects[on], INK.on, radius)
    yield Lines(marks.hatches(rects[zero & ~on]), INK.hatch)
    yield Lines(marks.hatches(rects[zero & on]), INK.mark)
    if box.roomy:
        yield Lines(marks.corners(some, radius), INK.partial, filled=True)
    else:  # a triangle would be too small to be seen, and many of them large to be written
        yield Boxes(lower_halves(some), INK.partial)


def _values(
    scene: Scene, box: BandBox, n: Integers, rects: Rects, radius: float, inks: npt.NDArray[np.str_]
) -> Iterator[Shape]:
    """Cells whose color tells their value; a frame says that a cell is selected. `inks` are the colors upon each."""
    level, on, zero, partial = scene.levels[n], scene.on[n], scene.zero[n], scene.partial[n] & ~scene.on[n]
    if box.roomy:
        yield Boxes(rects[~on], INK.edge, radius)
    frame, inside = selected(rects[on], radius, box.roomy, INK.on if box.height >= style.FRAMED else INK.text)
    yield from frame
    fills, room = np.array([*scene.palette, INK.cell])[level], rects.copy()  # -1, no value, is the last
    room[on] = inside
    room[~on] = insets(rects[~on], 1 if box.roomy else 0)
    line, gap = style.FRAME["roomy" if box.roomy else "small"]
    for smaller, shrunk in ((~on, 1.0), (on, line + gap)):
        for color in np.unique(fills[smaller]).tolist():
            yield Boxes(room[smaller & (fills == color)], color, max(0.0, radius - shrunk))
    if not box.labeled:
        size = style.DOT["roomy" if box.roomy else "small"]
        yield Boxes(marks.dots(rects[(level < 0) & ~on], size), INK.muted, size)
    for ink in np.unique(inks).tolist():
        mine = inks == ink
        yield Lines(marks.hatches(room[zero & mine]), ink, alpha=style.HATCH["alpha"])
        yield Lines(marks.corners(room[partial & mine], radius), ink, filled=True)
        yield Lines(marks.notches(room[scene.beyond[n] & mine]), ink, filled=True)
        if box.roomy and not box.labeled:
            lower = np.array([0.0, 4.0 * bool(scene.marks), 0.0, 0.0])  # below the bars of saved selections
            yield Lines(marks.ticks(rects[on & mine] + lower), ink, 1.75)


def _saved(scene: Scene, n: Integers, rects: Rects) -> Iterator[Shape]:
    """Saved selections: a bar for each that holds a cell, side by side along the cell's upper edge."""
    holds = np.stack([mark.cells[n] for mark in scene.marks], axis=1)  # [cell, mark]
    rims = list[tuple[float, float, float, float]]()
    bars: dict[str, list[tuple[float, float, float, float]]] = {}
    for place, mine in zip(rects.tolist(), holds, strict=True):
        found = marks.bars(place, int(mine.sum())) if mine.any() else []
        for k, bar in zip(np.flatnonzero(mine).tolist(), found, strict=False):
            bars.setdefault(scene.marks[k].color, []).append(bar)
        if (
            found and place[3] >= 6
        ):  # a rim in the ground's color keeps the bars apart from what the cell is filled with
            (x, y, _, high), (right, _, wide, _) = found[0], found[-1]
            pad = float(x > place[0])
            rims.append((x - pad, y - pad, right + wide - x + 2 * pad, high + 1 + pad))
    if rims:
        yield Boxes(np.array(rims), INK.ground)
    for color, found in bars.items():
        yield Boxes(np.array(found), color)


def lower_halves(rects: Rects) -> Rects:
    """The lower halves of rectangles, which say: in part."""
    lower: Rects = rects + rects[:, 3:] * np.array([0.0, 0.5, 0.0, -0.5])
    return lower


# ---- handles


def fullness(on: Bools, there: Bools) -> npt.NDArray[np.intp]:
    """How much is selected along the last axis: 2 for all, 1 for some, 0 for nothing, -1 where there is nothing."""
    count, chosen = there.sum(axis=-1), (on & there).sum(axis=-1)
    return np.where(count == 0, -1, np.where(chosen == count, 2, np.minimum(chosen, 1)))


def states(scene: Scene, box: BandBox) -> tuple[Bools, Bools]:
    """Which cells of a band are on, and which are there, each `[rows, columns]`."""
    mine = slice(box.first, box.first + box.n_cells)
    return scene.on[mine].reshape(box.shape), ~scene.absent[mine].reshape(box.shape)


def handles(scene: Scene, box: BandBox) -> Iterator[Shape]:
    """The handles of a band: a pill in every row, as full as what it stands for."""
    on, there = states(scene, box)
    radius = float(tier(box.height, style.HANDLE_RADII)[0]) if box.n_cells <= MANY else 0.0
    for h, handle in enumerate(box.band["handles"]):
        level = fullness(on[:, handle["columns"]], there[:, handle["columns"]])
        rects = box.handle_rects(h)
        rest = rects[(level == 0) | (level == 1)]
        yield from framed(rest, radius, INK.group if box.roomy else INK.edge, INK.cell)
        yield Boxes(insets(lower_halves(rects[level == 1]), 1), INK.partial, min(1.0, radius))
        yield Boxes(rects[level == 2], INK.on, radius)
