"""Where everything of a picture lies: the columns, rows and labels of each band. The rules are those of the widget."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headgrid.anatomy.names import MAIN
from headgrid.widget.export.svg import Lines, Rects, Shape, Words, width_of
from headgrid.widget.wire.schema import Band, Column

PILL = 26
MANY_CORNERS = 400
"""The cells of a band above which they are drawn as plain squares: a rounded one takes ten times the bytes."""

MANY = {"head": "heads", "expert": "experts"}
"""The kinds of columns that stand close together under their numbers, and what stands over them."""


@dataclass(frozen=True)
class Block:
    """One band, laid out.

    Attributes:
        band: what it shows.
        first: the number of its first cell.
        labeled: whether its cells carry their own labels: it stands for no layer.
        side: the width of its row labels.
        lefts, widths: of each column.
        top: where its labels begin.
        rows: where its first row begins.
        height, pitch: of a row.
        heading: what stands over it; "" for nothing.
    """

    band: Band
    first: int
    labeled: bool
    side: float
    lefts: Sequence[float]
    widths: Sequence[float]
    top: float
    rows: float
    height: float
    pitch: float
    heading: str

    @property
    def n_cells(self) -> int:
        """How many cells it has, absent ones included."""
        return len(self.band["rows"]) * len(self.band["columns"])

    @property
    def roomy(self) -> bool:
        """Whether cells have edges and corners; smaller ones are told apart by their fill alone."""
        return self.height >= 12

    @property
    def radius(self) -> float:
        """Of the corners of a cell; none where there are many, because each takes 150 bytes."""
        many = len(self.band["rows"]) * len(self.band["columns"]) > MANY_CORNERS
        return 0.0 if many else 5.0 if self.height >= 18 else 3.0 if self.height >= 12 else 0.0

    def rects(self) -> Rects:
        """The place of each cell, row by row, `[n_cells, 4]`."""
        rows = len(self.band["rows"])
        found = np.empty((rows, len(self.lefts), 4))
        found[..., 0] = self.lefts
        found[..., 1] = (self.rows + np.arange(rows) * self.pitch)[:, None]
        found[..., 2] = self.widths
        found[..., 3] = self.height
        return found.reshape(-1, 4)


def arrange(bands: Sequence[Band]) -> tuple[list[Block], float, float]:
    """The bands one below the other, and how wide and high they are together."""
    rowed = [band for band in bands if not is_labeled(band)]
    most = max((max(len(band["rows"]), len(band["columns"])) for band in rowed), default=1)
    cell = next(size for size, up_to in ((26, 16), (18, 40), (12, 72), (8, most)) if most <= up_to)
    side = max((width_of(row["label"]) for band in rowed for row in band["rows"]), default=0.0)
    side = float(round(max(width_of("layer", 10), side))) + 10 if rowed else 0.0
    stacks = {band["stack"] for band in rowed}
    found: list[Block] = []
    y, first, shown = 0.0, 0, None
    for band in bands:
        heading = ""
        if len(stacks) > 1 and band["stack"] in stacks and band["stack"] != shown:
            shown = band["stack"]
            heading = shown or MAIN
        block = _laid_out(band, first, cell, side, y + (0 if not found else 24 if heading else 12), heading)
        found.append(block)
        first += block.n_cells
        y = block.rows + len(band["rows"]) * block.pitch - (block.pitch - block.height)
    right = max((block.lefts[-1] + block.widths[-1] for block in found), default=0.0)
    return found, right, y


def is_labeled(band: Band) -> bool:
    """Whether its rows stand for no layer, as of the embeddings: its cells carry their own labels."""
    return not any(row["word"] for row in band["rows"])


def labels(block: Block, ink: str, rule: str) -> Iterator[Shape]:
    """What stands over a band and beside it.

    Args:
        block: the band.
        ink: the color of the texts.
        rule: the color of the lines.
    """
    if block.heading:
        yield Words(0, block.top + 7, block.heading, ink, 12, bold=True)
    if block.labeled:
        return
    columns, foot = block.band["columns"], block.rows - 6.0
    grouped = list(_groups(columns))
    if grouped:
        yield Lines([_bracket(block, first, last) for first, last in grouped], rule)
        foot -= 5
    for title, first, last in _many(columns):
        left, right = block.lefts[first], block.lefts[last] + block.widths[last]
        top = foot - 15
        yield Lines([[(left, top), (right, top)]], rule)
        yield Words((left + right) / 2, top - 8, title, ink, 10, anchor="middle")
        stride = _stride([column["label"] for column in columns[first : last + 1]], block.pitch)
        for c in range(first, last + 1, stride):
            yield Words(block.lefts[c] + block.widths[c] / 2, foot - 5, columns[c]["label"], ink, anchor="middle")
    for column, left, width in zip(columns, block.lefts, block.widths, strict=True):
        if column["kind"] not in MANY:
            upright = width_of(column["label"]) > width + 4
            x, y = left + width / 2, foot if upright else foot - 5
            yield Words(x, y, column["label"], ink, upright=upright, anchor="start" if upright else "middle")
    yield Words(block.side - 8, foot - 5, "layer", ink, 10, anchor="end")
    each = next(n for n in (1, 2, 4, 8, 16) if n * block.pitch >= 12)
    for r, row in enumerate(block.band["rows"]):
        if r % each == 0:
            y = block.rows + r * block.pitch + block.height / 2
            yield Words(block.side - 8, y, row["label"], ink, anchor="end")


def _laid_out(band: Band, first: int, cell: float, side: float, top: float, heading: str) -> Block:
    labeled, columns = is_labeled(band), band["columns"]
    gap = 3.0 if cell >= 18 else 2.0 if cell >= 10 else 1.0
    starts = {start for start, _ in _groups(columns)}
    lefts, widths, x = list[float](), list[float](), side
    for c, column in enumerate(columns):
        if c:
            more = _between(columns[c - 1], column, cell) or (max(2.0, round(cell / 6)) if c in starts else 0.0)
            x += 6.0 if labeled else gap + more
        label = width_of(column["label"]) if cell >= 12 or labeled else 0.0
        if labeled:
            width = round(label) + 22.0
        elif column["kind"] in ("mlp", "mixer"):
            width = max(12.0, round(label) + 2.0, round(cell * 1.5))
        else:
            width = (
                cell if column["kind"] in MANY else max(10.0, round(label) + 2.0 if label else 0.0, round(cell * 0.7))
            )
        lefts.append(x)
        widths.append(width)
        x += width
    rows = top + (20 if heading else 0)
    if not labeled:
        tallest = max((width_of(c["label"]) for c in columns if c["kind"] not in MANY), default=0.0)
        rows += max(39.0, round(tallest) + 12.0) + (5 if starts else 0)
    height = PILL if labeled else cell
    return Block(
        band, first, labeled, side, lefts, widths, top, rows, height, height + (6 if labeled else gap), heading
    )


def _between(before: Column, column: Column, cell: float) -> float:
    """The room between two neighbors: a little around many of a kind, and clearly more before the experts."""
    if before["kind"] == column["kind"]:
        return 0.0
    if column["kind"] == "expert":
        return max(10.0, round(cell * 0.6))
    return max(4.0, round(cell / 4)) if {before["kind"], column["kind"]} & MANY.keys() else 0.0


def _many(columns: Sequence[Column]) -> Iterator[tuple[str, int, int]]:
    """The runs of heads and of experts: what stands over each, its first and its last column."""
    for kind, title in MANY.items():
        of_kind = [c for c, column in enumerate(columns) if column["kind"] == kind]
        if of_kind:
            yield title if len(of_kind) > 1 else title.removesuffix("s"), of_kind[0], of_kind[-1]


def _groups(columns: Sequence[Column]) -> Iterator[tuple[int, int]]:
    """The runs of heads that read one key/value head, where any has more than one."""
    runs = list[list[int]]()
    for c, column in enumerate(columns):
        if column["kind"] == "head" and column["group"] >= 0:
            if runs and runs[-1][-1] == c - 1 and columns[c - 1]["group"] == column["group"]:
                runs[-1].append(c)
            else:
                runs.append([c])
    if any(len(run) > 1 for run in runs):
        yield from ((run[0], run[-1]) for run in runs)


def _bracket(block: Block, first: int, last: int) -> list[tuple[float, float]]:
    left, right, y = block.lefts[first] + 0.5, block.lefts[last] + block.widths[last] - 0.5, block.rows - 7.5
    return [(left, y + 3), (left, y), (right, y), (right, y + 3)]


def _stride(labels: Sequence[str], pitch: float) -> int:
    """How many columns share one label, so that neighboring labels keep apart."""
    widest = max(map(width_of, labels))
    return next((n for n in (1, 2, 4, 8, 16, 32) if widest + 3 <= n * pitch), 64)
