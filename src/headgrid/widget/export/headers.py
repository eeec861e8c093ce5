"""The labels over a band and beside it, with the brackets over heads that share a key/value head."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headgrid.plots import style
from headgrid.widget.export.cells import fullness, states
from headgrid.widget.export.geometry import BandBox, Geometry, is_upright, label_stride
from headgrid.widget.export.scene import INK, Scene
from headgrid.widget.export.shapes import Lines, Shape, Words, width_of


def headers(scene: Scene, geometry: Geometry, box: BandBox) -> Iterator[Shape]:
    """All labels of a band; those of what is wholly selected stand out."""
    if box.title:
        yield Words(2, box.top - style.TITLE / 2, box.title, INK.muted)
    if box.labeled:
        return
    yield from _captions(box)
    yield from _brackets(scene, box)
    yield from _columns(scene, geometry, box)
    yield from _rows(scene, geometry, box)
    x, y = geometry.side - style.SIDE["inset"], box.rows - 7
    on, there = states(scene, box)
    whole = bool(fullness(on.reshape(-1), there.reshape(-1)) == 2)
    yield Lines([[(x, y - 8), (x, y), (x - 8, y)]], INK.on if whole else INK.line, filled=True)


def _captions(box: BandBox) -> Iterator[Shape]:
    """The names of the blocks, each over a rule as long as its block."""
    foot = box.top + box.caption - 3.5
    ends = [(box.lefts[first], box.lefts[last] + box.widths[last]) for _, first, last in box.blocks]
    yield Lines([[(left, foot), (right, foot)] for left, right in ends], INK.group)
    for (title, *_), (left, _) in zip(box.blocks, ends, strict=True):
        yield Words(left, box.top + 8, title, INK.muted)


def _brackets(scene: Scene, box: BandBox) -> Iterator[Shape]:
    """The brackets over groups of heads, with the key/value head's number where there is room."""
    full, top = fullness(*(one.T for one in states(scene, box))), box.top + box.caption
    y = top + box.bracket - 4.5
    for whole, color, line in ((False, INK.group, 1.0), (True, INK.on, 2.0)):
        found = [(a, b) for a, b in box.groups if bool(np.isin(full[a : b + 1], (2, -1)).all()) is whole]
        sides = [(box.lefts[a] + 0.5, box.lefts[b] + box.widths[b] - 0.5) for a, b in found]
        yield Lines([[(x, y + 4), (x, y), (right, y), (right, y + 4)] for x, right in sides], color, line)
        for (first, _), (x, right) in zip(found, sides, strict=True):
            label = f"kv {box.band['columns'][first]['group']}"
            if width_of(label) + 4 <= right - x + 1:
                yield Words((x + right) / 2, top + 6, label, INK.text if whole else INK.muted, anchor="middle")


def _columns(scene: Scene, geometry: Geometry, box: BandBox) -> Iterator[Shape]:
    """The labels of handles and columns: upright ones first of the handles, and as many of the others as fit."""
    on, there = states(scene, box)
    columns, bottom = box.band["columns"], box.rows - style.HEAD["foot"]
    head = box.top + box.caption + box.bracket
    # below the name of the axis, where no caption says it
    middle = (head + box.rows) / 2 if box.caption else box.rows - style.HEAD["number"]
    many = next((c for c, one in enumerate(columns) if one["kind"] in style.BLOCKS), None)
    if many is not None and not box.caption:
        yield Words(box.lefts[many], head + style.HEAD["name"], columns[many]["kind"], INK.muted)
    full, taken = fullness(on.T, there.T), list[float]()
    for handle, left in zip(box.band["handles"], box.handles, strict=True):
        mine = handle["columns"]
        level = fullness(on[:, mine].reshape(-1), there[:, mine].reshape(-1))
        x = left + box.handle / 2
        if all(abs(x - other) >= style.UPRIGHT for other in taken):
            taken.append(x)
            yield _upright(x, bottom, handle["label"], bool(level == 2))
    stride = {kind: label_stride(box.band, kind, geometry.cell + geometry.gap, width_of) for kind in style.BLOCKS}
    first = {kind: next((c for c, one in enumerate(columns) if one["kind"] == kind), 0) for kind in style.BLOCKS}
    for c, column in enumerate(columns):
        x, kind = box.lefts[c] + box.widths[c] / 2, column["kind"]
        if is_upright(box, c, geometry.gap, width_of):
            if all(abs(x - other) >= style.UPRIGHT for other in taken):
                taken.append(x)
                yield _upright(x, bottom, column["label"], bool(full[c] == 2))
            continue
        room = style.UPRIGHT / 2 + width_of(column["label"]) / 2
        if (c - first.get(kind, 0)) % stride.get(kind, 1) or any(abs(x - other) < room for other in taken):
            continue
        yield Words(x, middle, column["label"], _ink(bool(full[c] == 2)), anchor="middle")


def _rows(scene: Scene, geometry: Geometry, box: BandBox) -> Iterator[Shape]:
    full, name = fullness(*states(scene, box)), style.ROWS
    yield Words(style.AXIS / 2, (box.rows + box.bottom + width_of(name)) / 2, name, INK.muted, upright=True)
    stride = next((n for n in style.STRIDES if n * box.pitch >= style.ROOMY), style.STRIDES[-1])
    for r, row in enumerate(box.band["rows"]):
        if r % stride == 0:
            y = box.rows + r * box.pitch + box.height / 2
            x = geometry.side - style.SIDE["inset"]
            yield Words(x, y, row["label"], _ink(bool(full[r] == 2)), anchor="end")


def _upright(x: float, foot: float, text: str, full: bool) -> Words:
    return Words(x, foot, text, _ink(full), upright=True)


def _ink(full: bool) -> str:
    return INK.text if full else INK.muted
