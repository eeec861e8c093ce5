"""The grid as a picture: cells as they are now, their labels, what is selected, and what the colors mean.

One drawing, of which `svg` and `png` are two renderings. It looks like the widget on a light ground.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.anatomy import Bools
from headgrid.plots import color_scale
from headgrid.widget.export import geometry, legend, svg
from headgrid.widget.export.geometry import Block
from headgrid.widget.export.ink import (
    EDGE,
    GROUND,
    HATCH,
    LINE,
    MUTED,
    OFF,
    ON,
    PARTIAL,
    TEXT,
    corners,
    dots,
    halves,
    hatches,
    insets,
    notches,
)
from headgrid.widget.export.svg import Boxes, Drawing, Lines, Rects, Shape, Words, width_of
from headgrid.widget.wire.schema import Band, Colors, unpack

if TYPE_CHECKING:
    from headgrid.widget.head_grid import HeadGrid

Cells = npt.NDArray[np.intp]
"""Numbers of cells."""

PAD = 16
LEAST = 380
"""The least width of a picture, so that its texts have room."""

MOST_LINES = 3
"""The lines that the selection's text may take."""

LONGEST = 1000
"""The letters of the selection's text that a screen reader is given."""


@dataclass(frozen=True)
class Mark:
    """A saved selection that is shown: its name, its color as `#rrggbb`, and its cells, `[n_cells]`."""

    name: str
    color: str
    cells: Bools


@dataclass(frozen=True)
class State:
    """What a picture shows.

    Attributes:
        title: the model, in one line.
        selection, counts: what is selected, as text and in numbers.
        bands: the cells.
        absent, zero, on, partial: which cells are so, `[n_cells]` each.
        colors: their colors; None where the color tells what is selected.
        marks: saved selections to mark.
    """

    title: str
    selection: str
    counts: str
    bands: Sequence[Band]
    absent: Bools
    zero: Bools
    on: Bools
    partial: Bools
    colors: Colors | None = None
    marks: Sequence[Mark] = ()


def state_of(grid: HeadGrid, marks: Sequence[str] = ()) -> State:
    """The present state of a grid, with the saved selections of these names marked."""
    grid._scheduler.rechecked.recheck_now()
    with grid._scheduler.lock:
        cells, selection = grid._cells, grid.selection
        on, partial = cells.coverage(selection.parts)
        colors = cast(Colors, dict(grid.colors))
        saved = [(name, grid.saved[name], grid.saved.colors[name]) for name in marks]
    return State(
        title=grid.anatomy.title,
        selection=str(selection),
        counts=cells.counts(selection.parts),
        bands=cells.bands,
        absent=cells.absent,
        zero=unpack(grid.spec["zero"], cells.n_cells),
        on=on,
        partial=partial,
        colors=colors if colors["label"] else None,
        marks=[Mark(name, color, np.logical_or(*cells.coverage(chosen.parts))) for name, chosen, color in saved],
    )


def to_svg(state: State) -> str:
    """A picture as one element of SVG that needs nothing from elsewhere, with a title and a description."""
    return svg.svg(draw(state))


def to_png(state: State) -> bytes:
    """A picture as a PNG.

    Raises:
        ImportError: when matplotlib is not installed.
    """
    return svg.png(draw(state))


def draw(state: State) -> Drawing:
    """The drawing of a state."""
    blocks, right, foot = geometry.arrange(state.bands)
    width = max(LEAST, right) + 2 * PAD
    head, top = _heading(state, width)
    body = [shape for block in blocks for shape in _block(state, block)]
    keys, bottom = legend.key(state, width - 2 * PAD, any(block.roomy and not block.labeled for block in blocks))
    moved = [*_moved(body, PAD, top), *_moved(keys, PAD, top + foot + 14)]
    said = state.selection if len(state.selection) <= LONGEST else state.selection[: LONGEST - 1] + "…"
    desc = f"Selected: {said} ({state.counts})."
    if state.colors is not None:
        desc += f" Colored by {state.colors['label']}."
    height = top + foot + (14 + bottom if legend else 0) + PAD
    return Drawing(width, height, GROUND, f"HeadGrid: {state.title}", desc, [*head, *moved])


# ---- above the cells


def _heading(state: State, width: float) -> tuple[list[Shape], float]:
    """The model, the selection as text and in numbers, and where they end."""
    found: list[Shape] = []
    y = PAD + 7.0
    for line in _wrapped(state.title, width - 2 * PAD, 13.5, 2):
        found.append(Words(PAD, y, line, TEXT, 13, bold=True))
        y += 17
    y += 2
    for line in _wrapped(state.selection, width - 2 * PAD, 11.0, MOST_LINES):
        found.append(Words(PAD, y, line, TEXT, 11, mono=True))
        y += 15
    if state.counts:
        found.append(Words(PAD, y, state.counts, MUTED))
        y += 15
    return found, y + 5


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


# ---- the cells


def _block(state: State, block: Block) -> Iterator[Shape]:
    yield from geometry.labels(block, MUTED, LINE)
    there = ~state.absent[block.first : block.first + block.n_cells]
    n, rects = block.first + np.flatnonzero(there), block.rects()[there]
    if state.colors is None:
        yield from _states(state, block, n, rects)
        inks = np.where(state.on[n], GROUND, TEXT)
    else:
        inks = yield from _values(state, state.colors, block, n, rects)
    if block.labeled:
        columns = [block.band["columns"][i] for i in n - block.first]
        for column, (x, y, wide, high), ink in zip(columns, rects.tolist(), inks.tolist(), strict=True):
            yield Words(x + wide / 2, y + high / 2, column["label"], ink, anchor="middle")
    if state.marks:
        yield from _marks(state, block, n, rects)


def _states(state: State, block: Block, n: Cells, rects: Rects) -> Iterator[Shape]:
    """Cells whose color tells whether they are selected; `rects[i]` is the place of the cell `n[i]`."""
    on, zero, some = state.on[n], state.zero[n], rects[state.partial[n]]
    radius = block.radius
    if block.roomy:
        yield Boxes(rects[~on], OFF, radius=radius)
        yield Boxes(insets(rects[~on], 0.5), "none", EDGE, radius=max(0.0, radius - 0.5))
    else:
        yield Boxes(rects[~on], EDGE)
    yield Boxes(rects[on], ON, radius=radius)
    yield Lines(hatches(rects[zero & ~on]), HATCH)
    yield Lines(hatches(rects[zero & on]), GROUND)
    yield Lines(corners(some, radius), PARTIAL, filled=True) if block.roomy else Boxes(halves(some), PARTIAL)


def _values(
    state: State, colors: Colors, block: Block, n: Cells, rects: Rects
) -> Generator[Shape, None, npt.NDArray[np.str_]]:
    """Cells whose color tells their value; a frame says that a cell is selected. Returns the ink upon each."""
    palette = color_scale.colors(colors["diverging"])
    values = np.frombuffer(colors["values"], dtype="<f4")[n]
    level = color_scale.levels(values, colors["low"], colors["high"])
    on, zero, partial = state.on[n], state.zero[n], state.partial[n]
    beyond = (values < colors["low"]) | (values > colors["high"])
    fills = np.array([*palette, OFF])[level]  # -1, no value, is the last
    inks = np.array([*map(color_scale.ink, palette), TEXT])[level]
    for color in np.unique(fills).tolist():
        yield Boxes(rects[fills == color], color, radius=block.radius)
    if block.roomy:
        yield Boxes(insets(rects[~on], 0.5), "none", EDGE, radius=max(0.0, block.radius - 0.5))
    if not block.labeled:
        yield Boxes(dots(rects[(level < 0) & ~on], 2.5 if block.roomy else 1.5), MUTED, radius=1)
    for ink in np.unique(inks).tolist():
        yield Lines(hatches(rects[zero & (inks == ink)]), ink, 0.6)
        yield Lines(corners(rects[partial & (inks == ink)], block.radius), ink, filled=True)
        yield Lines(notches(rects[beyond & (inks == ink)]), ink, filled=True)
    outer, inner = (2.5, 1.5) if block.roomy else (1.5, 0.75)
    for by, edge, line in ((outer + inner / 2, GROUND, inner), (outer / 2, TEXT, outer)):
        yield Boxes(insets(rects[on], by), "none", edge, line, max(0.0, block.radius - by))
    return inks


def _marks(state: State, block: Block, n: Cells, rects: Rects) -> Iterator[Shape]:
    """Saved selections: a bar for each that holds a cell, side by side along the cell's upper edge."""
    holds = np.stack([mark.cells[n] for mark in state.marks], axis=1)  # [cell, mark]
    count, k = holds.sum(axis=1, keepdims=True), holds.cumsum(axis=1) - 1
    x, y, wide, _ = rects.T[..., None]
    each = (wide - 4) / np.maximum(1, count)
    bars = np.empty((*holds.shape, 4))
    bars[..., 0] = x + 2 + k * each
    bars[..., 1] = y + 1.5
    bars[..., 2] = each - (k < count - 1)
    bars[..., 3] = 3.0 if block.roomy else 2.0
    colors = np.array([mark.color for mark in state.marks])
    for color in dict.fromkeys(colors.tolist()):
        mine = bars[holds & (colors == color)]
        yield Boxes(insets(mine, -0.75), GROUND, radius=1)
        yield Boxes(mine, color, radius=1)


def _moved(shapes_: Iterable[Shape], dx: float, dy: float) -> list[Shape]:
    return [shape.moved(dx, dy) for shape in shapes_]
