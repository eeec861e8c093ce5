"""Where everything of a grid lies: the columns, rows, handles and labels of each band.

The same rules as `js/src/grid/columns.ts` and `geometry.ts`: for cells of one size and texts of the same widths the two
agree to the pixel.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from headgrid.anatomy.names import MAIN
from headgrid.plots import style
from headgrid.plots.style import BLOCKS, ROOMY, tier
from headgrid.widget.export.shapes import Rects, width_of
from headgrid.widget.wire.schema import Band, Column

Measure = Callable[[str], float]
"""The width of a text."""


@dataclass(frozen=True)
class BandBox:
    """One band, laid out.

    Attributes:
        band: what it shows.
        first: the number of its first cell.
        labeled: whether its cells carry their own labels: it stands for no layer.
        title: what stands over it; "" for nothing.
        lefts, widths: of each column.
        handles, handle: the left edge of each handle, and the width of all.
        groups: the first and the last column of each run of heads that share a key/value head.
        blocks: of the blocks of columns that are named, the name, the first and the last column.
        top: where its labels begin.
        caption, bracket: the heights of the names of blocks, and of the brackets over groups.
        rows: where its first row begins.
        height, pitch: of a row, without and with the gap below.
        bottom, right: where it ends.
    """

    band: Band
    first: int
    labeled: bool
    title: str
    lefts: Sequence[float]
    widths: Sequence[float]
    handles: Sequence[float]
    handle: float
    groups: Sequence[tuple[int, int]]
    blocks: Sequence[tuple[str, int, int]]
    top: float
    caption: float
    bracket: float
    rows: float
    height: float
    pitch: float
    bottom: float
    right: float

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows and columns it has."""
        return len(self.band["rows"]), len(self.band["columns"])

    @property
    def n_cells(self) -> int:
        """How many cells it has, absent ones included."""
        return len(self.band["rows"]) * len(self.band["columns"])

    @property
    def roomy(self) -> bool:
        """Whether cells have edges and corners; smaller ones are told apart by their fill alone."""
        return self.height >= ROOMY

    def rects(self) -> Rects:
        """The place of each cell, row by row, `[n_cells, 4]`."""
        return self._rects(self.lefts, np.asarray(self.widths, dtype=float))

    def handle_rects(self, handle: int) -> Rects:
        """The place of a handle in each row, `[n_rows, 4]`."""
        return self._rects([self.handles[handle]], np.array([self.handle]))

    def _rects(self, lefts: Sequence[float], widths: np.ndarray) -> Rects:
        rows = len(self.band["rows"])
        found = np.empty((rows, len(lefts), 4))
        found[..., 0] = lefts
        found[..., 1] = (self.rows + np.arange(rows) * self.pitch)[:, None]
        found[..., 2] = widths
        found[..., 3] = self.height
        return found.reshape(-1, 4)


@dataclass(frozen=True)
class Geometry:
    """All bands, one below the other.

    Attributes:
        cell, gap: the side of a head's square, and what is between two.
        side: the width of the row labels.
        width, height: of everything.
    """

    cell: float
    gap: float
    side: float
    bands: Sequence[BandBox]
    width: float
    height: float


def cell_size(bands: Sequence[Band]) -> float:
    """The side of a head's square in a picture: the more rows or columns there are, the smaller."""
    rowed = [band for band in bands if not is_labeled(band)]
    most = max((max(len(band["rows"]), len(band["columns"])) for band in rowed), default=1)
    return next(size for size, up_to in ((26, 16), (18, 40), (12, 72), (8, most)) if most <= up_to)


def lay_out(bands: Sequence[Band], cell: float, measure: Measure = width_of) -> Geometry:
    """The geometry for heads of one size.

    Args:
        bands: what there is to lay out; cells are numbered through all of them.
        cell: the side of a head's square.
        measure: the width of a text.
    """
    (gap,) = tier(cell, style.GAPS)
    rowed = [band for band in bands if not is_labeled(band)]
    stacks = {band["stack"] for band in rowed}
    labels = [measure(row["label"]) for band in rowed for row in band["rows"]]
    side = math.ceil(max(style.SIDE["least"], *labels)) + style.SIDE["padding"] + style.AXIS if rowed else 2
    found: list[BandBox] = []
    y, first, shown = float(style.RING), 0, None
    for band in bands:
        title = ""
        if len(stacks) > 1 and band["stack"] in stacks and band["stack"] != shown:
            shown = band["stack"]
            title = shown or MAIN
        top = y + (style.BAND_GAP if found else 0) + (style.TITLE if title else 0)
        box = _band_box(band, first, cell, gap, side, top, title, measure)
        found.append(box)
        first += box.n_cells
        y = box.bottom
    width = max((box.right for box in found), default=0.0) + style.RING
    return Geometry(cell, gap, side, found, width, y + style.RING)


def is_labeled(band: Band) -> bool:
    """Whether its rows stand for no layer, as of the embeddings: its cells carry their own labels."""
    return not any(row["word"] for row in band["rows"])


def is_upright(box: BandBox, column: int, gap: float, measure: Measure) -> bool:
    """Whether a column's label has to stand on its end because it is wider than its column."""
    shape = box.band["columns"][column]
    return shape["kind"] not in BLOCKS and measure(shape["label"]) > box.widths[column] + gap


def label_stride(band: Band, kind: str, pitch: float, measure: Measure) -> int:
    """How many heads, or experts, share one label, so that neighboring labels keep apart."""
    widest = max((measure(column["label"]) for column in band["columns"] if column["kind"] == kind), default=0.0)
    return next((n for n in (1, 2, 4, 8, 16, 32) if widest + 5 <= n * pitch), 64)


def _band_box(
    band: Band, first: int, cell: float, gap: float, side: float, top: float, title: str, measure: Measure
) -> BandBox:
    labeled, groups = is_labeled(band), _groups(band["columns"])
    lefts, widths, handles, handle = _columns(band, cell, gap, side, groups, measure)
    blocks = [] if labeled else _blocks(band["columns"])
    caption, bracket = (style.CAPTION if blocks else 0), (style.BRACKET if groups else 0)
    height = style.LABELED["height"] if labeled else cell
    pitch = height + (style.LABELED["gap"] if labeled else gap)
    rows = top
    right = max([x + wide for x, wide in zip(lefts, widths, strict=True)] + [x + handle for x in handles], default=side)
    box = BandBox(
        band, first, labeled, title, lefts, widths, handles, handle, groups, blocks, top, caption, bracket, rows,
        height, pitch, rows, right,
    )  # fmt: skip
    if not labeled:
        columns = band["columns"]
        upright = [columns[c]["label"] for c in range(len(columns)) if is_upright(box, c, gap, measure)]
        upright += [handle["label"] for handle in band["handles"]]
        labels = [measure(label) + style.HEAD["padding"] for label in upright]
        rows += caption + bracket + math.ceil(max([style.HEAD["least" if caption else "named"], *labels]))
    bottom = rows + len(band["rows"]) * pitch - (pitch - height)
    return BandBox(**{**vars(box), "rows": rows, "bottom": bottom})


def _columns(
    band: Band, cell: float, gap: float, left: float, groups: Sequence[tuple[int, int]], measure: Measure
) -> tuple[list[float], list[float], list[float], float]:
    """The left edges and the widths of the columns, the left edges of the handles, and the width of all of these."""
    labeled, starts = is_labeled(band), {first for first, _ in groups}
    handle, room = tier(cell, style.HANDLES)
    lefts, widths, handles = list[float](), list[float](), [0.0] * len(band["handles"])
    x, before, handled = left, None, False
    for column, number in _order(band):
        if column is None:
            x += max(room, gap) if before or handled else 0
            handles[number] = x
            x, handled = x + handle, True
            continue
        if handled:
            x += room
        elif before and labeled:
            x += style.LABELED["gap"]
        elif before:
            x += gap if before["kind"] == column["kind"] and column["kind"] in BLOCKS else max(1, gap)
            x += _between(before, column, cell) or (_group_gap(cell) if number in starts else 0)
        lefts.append(x)
        widths.append(_width(column, labeled, cell, measure))
        x, before, handled = x + widths[-1], column, False
    return lefts, widths, handles, handle


def _group_gap(cell: float) -> float:
    """The space between two groups of heads, beside the gap between two heads."""
    return max(style.GROUP_GAP["least"], _rounded(cell / style.GROUP_GAP["of"]))


def _order(band: Band) -> list[tuple[Column | None, int]]:
    """The columns from left to right with their numbers; handles among them, which are no column, with theirs."""
    found: list[tuple[Column | None, int]] = []
    for c, column in enumerate([*band["columns"], None]):
        found += [(None, h) for h, handle in enumerate(band["handles"]) if handle["before"] == c]
        if column is not None:
            found.append((column, c))
    return found


def _width(column: Column, labeled: bool, cell: float, measure: Measure) -> float:
    """How wide a column is: one of many is a square, others leave room for their label where they are roomy."""
    if labeled:
        return math.ceil(measure(column["label"])) + style.LABELED["padding"]
    if column["kind"] in BLOCKS:
        return cell
    text = math.ceil(measure(column["label"])) + 2 if cell >= ROOMY else 0
    wide = column["kind"] in ("mlp", "mixer")
    return max(min(12 if wide else 10, 2 * cell), text, _rounded(cell * (1.5 if wide else 0.7)))


def _between(before: Column, column: Column, cell: float) -> float:
    """The room between two neighbors: a little around many of a kind, and clearly more before the experts."""
    if before["kind"] == column["kind"]:
        return 0
    if column["kind"] == "expert":
        return max(style.BLOCK_GAP["experts"], _rounded(cell * style.BLOCK_GAP["of_experts"]))
    lone = max(style.BLOCK_GAP["least"], _rounded(cell / style.BLOCK_GAP["of"]))
    return lone if {before["kind"], column["kind"]} & BLOCKS.keys() else 0


def _groups(columns: Sequence[Column]) -> list[tuple[int, int]]:
    """The runs of more than one head that read one key/value head."""
    group = [column["group"] if column["kind"] == "head" else -1 for column in columns]
    starts = [c for c, (a, b) in enumerate(pairwise([-1, *group])) if a != b or b < 0]
    ends = [*[c - 1 for c in starts[1:]], len(columns) - 1]
    return [(a, b) for a, b in zip(starts, ends, strict=True) if b > a and group[a] >= 0]


def _blocks(columns: Sequence[Column]) -> list[tuple[str, int, int]]:
    """The runs of heads and of experts; none where there are no experts, because numbers can only mean heads then."""
    runs = list[tuple[str, int, int]]()
    for c, column in enumerate(columns):
        title = BLOCKS.get(column["kind"])
        if title is None:
            continue
        if runs and runs[-1][0] == title and runs[-1][2] == c - 1:
            runs[-1] = (title, runs[-1][1], c)
        else:
            runs.append((title, c, c))
    return runs if any(title == BLOCKS["expert"] for title, *_ in runs) else []


def _rounded(value: float) -> int:
    """To the next whole number, halves upwards, as JavaScript rounds."""
    return math.floor(value + 0.5)
