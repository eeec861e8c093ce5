"""The cells of the grid: which parts each one stands for, which are on, and what a click does to a selection.

A cell shows one word (a head, an MLP, a norm, an embedding). It is on when all of its parts are selected, partial when
some are. Every part is in some cell, so a grid that is all on is the full model, and a row is its whole layer.

With grouped-query attention two heads share key and value parts. Switching a cell off removes its parts except those
that another cell which stays on needs: clicking a second head and taking it back changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools, Stack
from headgrid.anatomy.names import MAIN
from headgrid.anatomy.roles import OUTSIDE_LAYERS, bare, role_of
from headgrid.selection import parts
from headgrid.selection.parts import Parts
from headgrid.selection.union import count
from headgrid.selection.words import LAYER_WORDS, OUTSIDE_WORDS, CellKind, Place, Shown, Word, coarser, finer
from headgrid.widget.state.cell_index import CellIndex
from headgrid.widget.state.tooltips import ColumnRun, Tooltips, handles
from headgrid.widget.wire.schema import Band, Column, Row, StackTab

STACKS = {
    "": "the language model",
    "encoder": "the encoder's layers",
    "decoder": "the decoder's layers: self-attention and MLP",
    "cross": "the decoder's attention to the encoder",
    "vision": "the vision model's layers",
}

TITLES: dict[Place, str] = {"before": "before the layers", "after": "after the layers"}


@dataclass(frozen=True)
class _Block:
    """Neighboring columns of one band: all heads, all experts, or one column for another piece."""

    columns: tuple[Column, ...]
    owners: tuple[str, ...]
    letter: str  # "n" for heads, "e" for experts, "" for a piece that a layer has once

    @property
    def run(self) -> ColumnRun:
        return self.owners, self.letter, len(self.columns)


@dataclass(frozen=True)
class _Area:
    """One band: the layers of a stack, or what belongs to none of them, which is a single row."""

    stack: Stack
    blocks: tuple[_Block, ...]
    band: Band

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.band["rows"]), len(self.band["columns"])

    def coverage(self, chosen: Parts) -> tuple[Bools, Bools]:
        """Which of its cells are on, and of which some parts are chosen."""
        whole, some = [], []
        for block in self.blocks:
            found = parts.coverage(self.stack, chosen, self.stack.roles(*block.owners), block.letter)
            whole.append(np.broadcast_to(found[0], (self.shape[0], len(block.columns))))
            some.append(np.broadcast_to(found[1], (self.shape[0], len(block.columns))))
        return np.concatenate(whole, axis=1).reshape(-1), np.concatenate(some, axis=1).reshape(-1)

    def parts_of(self, cells: Bools) -> Parts:
        """The parts of these of its cells."""
        found: Parts = {}
        inside, start = cells.reshape(self.shape), 0
        for block in self.blocks:
            chosen = inside[:, start : start + len(block.columns)]
            start += len(block.columns)
            if chosen.any():
                more = (
                    parts.heads(self.stack, chosen)
                    if block.letter == "n"
                    else parts.numbered(self.stack, block.owners, chosen)
                )
                found = parts.union(found, more)
        return found


class Cells:
    """The cells of one anatomy's grid, numbered band by band, row by row.

    Attributes:
        anatomy: the model.
        bands: the bands, as they cross the wire: of each stack the embeddings, the layers, the final norm and
            unembedding.
        tooltips: what stands behind the cells; `bands` says which tooltip each cell has.
        n_cells: how many cells there are, absent ones included.
        absent: which cells have no part behind them, shape `[n_cells]`.
        index: which cell shows which head, MLP or expert.
        kinds: the kind of each cell, `[n_cells]`.
        is_head: which cells are heads that there are, `[n_cells]`.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        tooltips = Tooltips(anatomy)
        self._areas = list(_areas(anatomy, tooltips))
        self.tooltips = tooltips.tooltips
        self._splits = np.cumsum([rows * columns for rows, columns in (area.shape for area in self._areas)])[:-1]
        self.n_cells = sum(rows * columns for rows, columns in (area.shape for area in self._areas))
        self.bands = [area.band for area in self._areas]
        self.absent = ~self.coverage(parts.everything(anatomy))[0]
        self.index = CellIndex(self.bands)
        self.kinds = np.array(
            [column["kind"] for band in self.bands for _ in band["rows"] for column in band["columns"]]
        )
        self.is_head = (self.kinds == "head") & ~self.absent

    @property
    def stacks(self) -> list[StackTab]:
        """The stacks that are shown one at a time; none where there is only one."""
        layered = [stack for stack in self.anatomy.stacks if stack.n_layers]
        if len(layered) < 2:
            return []
        return [
            {
                "name": s.name,
                "label": s.name or MAIN,
                "title": f"{STACKS.get(s.name, s.name)}: {s.n_layers} x {s.n_heads}",
            }
            for s in layered
        ]

    def coverage(self, chosen: Parts) -> tuple[Bools, Bools]:
        """Which cells are on, and which are partial: some of their parts are chosen, but not all.

        Returns:
            Two arrays of shape `[n_cells]`; a cell is never both.
        """
        tooltips = [area.coverage(chosen) for area in self._areas]
        on, some = (np.concatenate([one[i] for one in tooltips]) for i in (0, 1))
        return on, some & ~on

    def parts_of(self, cells: Bools) -> Parts:
        """The parts of these cells, shape `[n_cells]`: the union of their words."""
        found: Parts = {}
        for area, inside in zip(self._areas, np.split(cells, self._splits), strict=True):
            if inside.any():
                found = parts.union(found, area.parts_of(inside))
        return found

    def click(self, chosen: Parts, before: Bools, after: Bools) -> Parts:
        """What a selection becomes when the cells that are on change from `before` to `after`.

        Only what changed is applied, so finer choices (one side of a head, some neurons) survive clicks elsewhere.
        """
        switched_on = self.parts_of(after & ~before & ~self.absent)
        switched_off = self.parts_of(before & ~after & ~self.absent)
        still_needed = self.parts_of(after & self.is_head) if switched_off else {}  # only heads share parts
        return parts.difference(parts.union(chosen, switched_on), parts.difference(switched_off, still_needed))

    def describe(self, cell: int) -> tuple[str, str, Parts]:
        """The word of a cell, how it is spoken, and its parts: `l1h2`, `layer 1 head 2`."""
        number = cell
        for band in self.bands:
            size = len(band["rows"]) * len(band["columns"])
            if number < size:
                row, column = (
                    band["rows"][number // len(band["columns"])],
                    band["columns"][number % len(band["columns"])],
                )
                one = np.zeros(self.n_cells, dtype=np.bool_)
                one[cell] = True
                return row["word"] + column["word"], f"{row['name']} {column['name']}".strip(), self.parts_of(one)
            number -= size
        raise IndexError(f"there is no cell {cell}; the grid has {self.n_cells}")


def _column(label: str, name: str, word: str, kind: CellKind, group: int = -1) -> Column:
    return {"label": label, "name": name, "word": word, "kind": kind, "group": group}


def _areas(anatomy: Anatomy, tooltips: Tooltips) -> Iterator[_Area]:
    """The bands in the order of a forward pass; what all stacks share stands before and after them."""
    shared = [stack for stack in anatomy.stacks if not stack.n_layers]
    layered = [stack for stack in anatomy.stacks if stack.n_layers]
    for stack in shared:
        yield from _outside_layers(stack, tooltips, "before")
    for stack in layered:
        yield from _outside_layers(stack, tooltips, "before")
        blocks = _blocks(stack)
        word = f"{stack.name} " if stack.name else ""
        used = f" (run {stack.uses} times)" if stack.uses > 1 else ""
        names = [(str(n), f"{word}layer {n}{used}", f"{word}l{n}") for n in range(stack.n_layers)]
        yield _Area(stack, blocks, _band(stack, blocks, tooltips, "layers", names))
        yield from _outside_layers(stack, tooltips, "after")
    for stack in shared:
        yield from _outside_layers(stack, tooltips, "after")


def _outside_layers(stack: Stack, tooltips: Tooltips, place: Place) -> Iterator[_Area]:
    """A band of one row for what belongs to no layer, if there is any."""
    tied = {role_of(slot.key).owner: " (tied: the unembedding is the same tensor)" for slot in stack.tied}
    before = f"{stack.name} " if stack.name else ""
    blocks = []
    for word, shown in _by_order(word for word in OUTSIDE_WORDS.values() if word.place == place):
        # a tied unembedding is the embedding: one tensor, one cell
        roles = stack.roles(*word.owners)
        if not roles:
            continue
        label, name = word.text, before + word.noun
        said = before + word.text
        if tied.keys() & set(word.owners):  # what a tied unembedding has of its own is its bias, and so is named
            label = bare(roles[0])
            name, said = f"{name}'s {label}", f"{said}.{label}"
        elif word.text == "embed":
            name += tied.get("unembed", "")
        blocks.append(_Block((_column(label, name, said, shown.kind),), word.owners, ""))
    if blocks:
        yield _Area(stack, tuple(blocks), _band(stack, blocks, tooltips, TITLES[place], [("", "", "")]))


def _band(
    stack: Stack, blocks: Sequence[_Block], tooltips: Tooltips, title: str, names: Sequence[tuple[str, str, str]]
) -> Band:
    """A band as it crosses the wire; of each of its rows the label, name and word are given."""
    runs = [block.run for block in blocks]
    kinds, table = tooltips.of(stack, runs, len(names))
    rows: list[Row] = [
        {"label": label, "name": name, "word": word, "tooltip": tooltip}
        for (label, name, word), tooltip in zip(names, kinds, strict=True)
    ]
    columns = [column for block in blocks for column in block.columns]
    return {
        "title": title,
        "stack": stack.name,
        "rows": rows,
        "columns": columns,
        "handles": handles(runs) if names[0][2] else [],
        "tooltips": table,
    }


def _by_order(words: Iterable[Word]) -> list[tuple[Word, Shown]]:
    """The words that have columns, with these, in the order of a forward pass."""
    shown = [(word, word.shown) for word in words if word.shown]
    return sorted(shown, key=lambda one: one[1].order)


def _blocks(stack: Stack) -> tuple[_Block, ...]:
    """The columns of the layers' band, in the order of a forward pass."""
    blocks = tuple(
        _Block(_columns(stack, word, shown), word.owners, word.axis if shown.each else "")
        for word, shown in _by_order(LAYER_WORDS.values())
        if stack.roles(*word.owners)
        and not _is_split(stack, word)
        and all(_is_split(stack, other) for other in coarser(word) if other.shown)
    )
    left_out = {role_of(role).owner for role in stack.exists} - {o for block in blocks for o in block.owners}
    if left_out := left_out - {*OUTSIDE_LAYERS}:
        raise ValueError(f"the grid has no cell for {cast(object, sorted(left_out))}")
    return blocks


def _is_split(stack: Stack, word: Word) -> bool:
    """Whether finer words are shown instead of a word: each number of one of them has a column of its own."""
    return any(other.shown and other.shown.each and stack.roles(*other.owners) for other in finer(word.text))


def _columns(stack: Stack, word: Word, shown: Shown) -> tuple[Column, ...]:
    """The columns of a word: one for each of its numbers, or one."""
    said = word.after_layer
    if shown.each:
        shared = word.axis == "n" and stack.n_kv_heads < stack.n_heads
        return tuple(
            _column(str(i), f"{word.noun} {i}", f"{said}{i}", shown.kind, int(stack.kv_head_of[i]) if shared else -1)
            for i in range(count(stack, word.text))
        )
    label, name = shown.label, shown.label if word.axis else word.noun
    if shown.lists:
        keys = stack.roles(*word.owners)
        listed = _modules(stack, keys) if shown.lists == "modules" else [bare(key) for key in keys]
        one = len(listed) == 1 or shown.lists == "modules"
        label = ", ".join(listed).removesuffix(".W") if one else "rest"
        name = f"{word.noun} ({', '.join(listed)})"
    return (_column(label, name, said + "*" * bool(word.axis), shown.kind),)


def _modules(stack: Stack, roles: list[str]) -> list[str]:
    """The modules that the tensors of these roles belong to: `mamba`, `conv`, `linear_attn`."""
    found = {re.sub(r".*?\d+\.", "", slot.parameter).split(".")[0] for slot in stack.slots if slot.key in roles}
    return sorted(found)
