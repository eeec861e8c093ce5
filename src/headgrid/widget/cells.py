"""The cells of the grid: which parts each one stands for, which are on, and what a click does to a selection.

A cell shows one word (a head, an MLP, a norm, an embedding). It is on when all of its parts are selected, partial when
some are. Every part is in some cell, so a grid that is all on is the full model, and a row is its whole layer.

With grouped-query attention two heads share key and value parts. Switching a cell off removes its parts except those
that another cell which stays on needs: clicking a second head and taking it back changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from headgrid import parts
from headgrid.anatomy import Anatomy, Bools, count_of
from headgrid.parts import MLP, Parts
from headgrid.roles import ENDS, ROLES
from headgrid.widget.wire import Band, Column, Kind, Row

HEAD = ("q", "k", "v", "o")

NAMES = {
    "embed": "token embedding",
    "pos": "position embedding",
    "ln_embed": "norm of the embedding",
    "unembed": "unembedding",
    "ln_final": "final norm",
    "ln1": "norm before attention",
    "ln1_post": "norm after attention",
    "ln2": "norm before the MLP",
    "ln2_post": "norm after the MLP",
}


@dataclass(frozen=True)
class _Block:
    """Neighbouring columns of the layers' band: all heads, or one column for another piece of a layer."""

    columns: tuple[Column, ...]
    owners: tuple[str, ...]
    letter: str  # "n" for heads, "" for a piece that a layer has once


class Cells:
    """The cells of one anatomy's grid, numbered band by band, row by row.

    Attributes:
        anatomy: the model.
        bands: the bands, as they cross the wire: the embeddings, the layers, the final norm and unembedding.
        n_cells: how many cells there are, absent ones included.
        absent: which cells have no part behind them, shape `[n_cells]`.
    """

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self._blocks = _blocks(anatomy)
        # a tied unembedding is the embedding: one tensor, one cell
        own = [owner for owner in ENDS if anatomy.roles(owner)]
        self._before = [owner for owner in own if owner in ("embed", "pos", "ln_embed")]
        self._after = [owner for owner in own if owner not in self._before]
        self._width = sum(len(block.columns) for block in self._blocks)
        self.n_cells = len(self._before) + anatomy.n_layers * self._width + len(self._after)
        self.bands = self._bands()
        self.absent = ~self.look(parts.everything(anatomy))[0]

    def _bands(self) -> list[Band]:
        tied = " (tied: the unembedding is the same tensor)" if self.anatomy.tied else ""
        alone: Row = {"label": "", "name": "", "word": ""}

        def ends(title: str, owners: list[str]) -> Band:
            columns = [
                _column(owner, NAMES[owner] + (tied if owner == "embed" else ""), owner, _kind(owner))
                for owner in owners
            ]
            return {"title": title, "rows": [alone], "columns": columns}

        rows: list[Row] = [
            {"label": str(layer), "name": f"layer {layer}", "word": f"l{layer}"}
            for layer in range(self.anatomy.n_layers)
        ]
        layers: Band = {"title": "layers", "rows": rows, "columns": [c for b in self._blocks for c in b.columns]}
        found = [ends("before the layers", self._before), layers, ends("after the layers", self._after)]
        return [band for band in found if band["columns"]]

    def look(self, chosen: Parts) -> tuple[Bools, Bools]:
        """Which cells are on, and which are partial: some of their parts are chosen, but not all.

        Returns:
            Two arrays of shape `[n_cells]`; a cell is never both.
        """
        a = self.anatomy
        looks = [parts.look(a, chosen, a.roles(*block.owners), block.letter) for block in self._blocks]
        before = [parts.look(a, chosen, a.roles(owner), "") for owner in self._before]
        after = [parts.look(a, chosen, a.roles(owner), "") for owner in self._after]
        on, some = (
            np.concatenate(
                [one[i].reshape(-1) for one in before]
                + [np.concatenate([one[i] for one in looks], axis=1).reshape(-1)]
                + [one[i].reshape(-1) for one in after]
            )
            for i in (0, 1)
        )
        return on, some & ~on

    def parts_of(self, cells: Bools) -> Parts:
        """The parts of these cells, shape `[n_cells]`: the union of their words."""
        a = self.anatomy
        found: Parts = {}
        ends = [*self._before, *self._after]
        outside = np.concatenate([cells[: len(self._before)], cells[self.n_cells - len(self._after) :]])
        for owner, on in zip(ends, outside, strict=True):
            if on:
                found = parts.union(found, parts.pick(a, (owner,)))
        inside = cells[len(self._before) : self.n_cells - len(self._after)].reshape(a.n_layers, self._width)
        start = 0
        for block in self._blocks:
            chosen = inside[:, start : start + len(block.columns)]
            start += len(block.columns)
            if not chosen.any():
                continue
            if block.letter == "n":
                found = parts.union(found, parts.heads(a, chosen))
            else:
                found = parts.union(found, parts.pick(a, block.owners, np.flatnonzero(chosen[:, 0]).tolist()))
        return found

    def click(self, chosen: Parts, before: Bools, after: Bools) -> Parts:
        """What a selection becomes when the cells that are on change from `before` to `after`.

        Only what changed is applied, so finer choices (one side of a head, some neurons) survive clicks elsewhere.
        """
        switched_on = self.parts_of(after & ~before & ~self.absent)
        switched_off = self.parts_of(before & ~after & ~self.absent)
        still_needed = self.parts_of(after & ~self.absent)
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

    def counts(self, chosen: Parts) -> str:
        """A selection in numbers: `2 heads, 1 MLP, parts of 1 head`; `nothing is selected`."""
        on, partial = self.look(chosen)
        kinds = np.array([c["kind"] for b in self.bands for _ in b["rows"] for c in b["columns"]])
        nouns = {"head": ("head", "heads"), "mlp": ("MLP", "MLPs"), "norm": ("norm", "norms")}
        nouns |= {"rest": ("rest of attention", "rests of attention"), "embed": ("embedding", "embeddings")}
        whole = [count_of(int(n), *noun) for kind, noun in nouns.items() if (n := (on & (kinds == kind)).sum())]
        some = [count_of(int(n), *noun) for kind, noun in nouns.items() if (n := (partial & (kinds == kind)).sum())]
        said = whole + ([f"parts of {' and '.join(some)}"] if some else [])
        return ", ".join(said) or "nothing is selected"


def _kind(owner: str) -> Kind:
    return "embed" if owner in ("embed", "pos", "unembed") else "norm"


def _column(label: str, name: str, word: str, kind: Kind, group: int = -1) -> Column:
    return {"label": label, "name": name, "word": word, "kind": kind, "group": group}


def _blocks(anatomy: Anatomy) -> list[_Block]:
    """The columns of the layers' band, in the order of a forward pass."""
    a = anatomy
    shared = a.n_kv_heads < a.n_heads
    rest = a.roles("attn rest")
    pieces: list[tuple[Kind, str, str, str, tuple[str, ...]]] = [
        ("norm", "ln1", NAMES["ln1"], " ln1", ("ln1",)),
        ("head", "", "", "", HEAD),
        ("rest", rest[0] if len(rest) == 1 else "rest", f"rest of attention ({', '.join(rest)})", " attn rest",
         ("attn rest",)),
        ("norm", "post", NAMES["ln1_post"], " ln1_post", ("ln1_post",)),
        ("norm", "ln2", NAMES["ln2"], " ln2", ("ln2",)),
        ("mlp", "MLP", "MLP", " mlp", MLP),
        ("norm", "post", NAMES["ln2_post"], " ln2_post", ("ln2_post",)),
    ]  # fmt: skip
    blocks = []
    for kind, label, name, word, owners in pieces:
        if kind == "head":
            columns = tuple(
                _column(str(h), f"head {h}", f"h{h}", "head", int(a.kv_head_of[h]) if shared else -1)
                for h in range(a.n_heads)
            )
            blocks.append(_Block(columns, owners, "n"))
        elif a.roles(*owners):
            blocks.append(_Block((_column(label, name, word, kind),), owners, ""))
    left_out = (
        {ROLES[role].owner for role in a.exists} - {owner for block in blocks for owner in block.owners} - {*ENDS}
    )
    if left_out:
        raise ValueError(f"the grid has no cell for {cast(object, sorted(left_out))}")
    return blocks
