"""Where each weight of a cell is stored, and notes on it."""

from __future__ import annotations

from math import prod
from typing import cast

import numpy as np

from headgrid.anatomy.anatomy import Bools
from headgrid.anatomy.roles import OUTSIDE_LAYERS, bare, role_of
from headgrid.selection.parts import Parts
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire.empty import NO_SUMMARY
from headgrid.widget.wire.schema import Focus, Summary, Tab, WeightLocation


def summary(cells: Cells, silent: Bools, focus: Focus, tabs: list[Tab], missing: str = "") -> Summary:
    """The answer to a focus as far as it is known at once: all but what its tabs show.

    Args:
        cells: the grid.
        silent: the cells that write nothing, shape `[n_cells]`.
        focus: the question; a cell that there is not gets an empty answer.
        tabs: the tabs of that cell.
        missing: why it has none, if it could have some.
    """
    cell, nothing = focus["cell"], {**NO_SUMMARY, "focus": focus["n"], "ln": focus["ln"]}
    if not is_cell(cells, cell):
        return cast(Summary, nothing)
    title, name, chosen = cells.describe(cell)
    return {
        "focus": focus["n"],
        "cell": cell,
        "title": title,
        "name": name,
        "locations": _locations(cells, chosen),
        "notes": [*([missing] if missing else []), *_notes(cells, bool(silent[cell]), chosen)],
        "ln": focus["ln"],
        "tabs": tabs,
        "circuits": [],
        "partners": None,
        "pending": tabs,
    }


def is_cell(cells: Cells, cell: int) -> bool:
    """Whether there is something behind this number."""
    return 0 <= cell < cells.n_cells and not cells.absent[cell]


def _locations(cells: Cells, chosen: Parts) -> list[WeightLocation]:
    found: list[WeightLocation] = []
    for key, bits in chosen.items():
        row = int(np.flatnonzero(bits.any(axis=1))[0])
        layer = None if role_of(key).owner in OUTSIDE_LAYERS else row
        for slot in cells.anatomy.stack(key.rpartition(":")[0]).places[bare(key), layer]:
            here = bits[row, slot.numbers] if slot.key == key else np.zeros(1, np.bool_)
            if not here.any():
                continue
            letter = role_of(key).part_axis
            alone = letter is not None and here.sum() == 1
            axes = zip(role_of(key).axes.split(), slot.canonical_shape, strict=letter is not None)
            shape = [size for axis, size in axes if not (alone and axis == letter)] if letter else slot.canonical_shape
            found.append(
                {
                    "role": bare(key),
                    "parameter": slot.parameter,
                    "index": slot.where(int(np.flatnonzero(here)[0])) if alone else "",
                    "shape": " x ".join(map(str, shape)) or "1",
                    "count": prod(shape),
                }
            )
    return found


def _notes(cells: Cells, silent: bool, chosen: Parts) -> list[str]:
    a = cells.anatomy
    notes = []
    if silent:
        notes.append("Its output weights are all zero: it writes nothing to the residual stream.")
    stack = a.stack(next(iter(chosen)).rpartition(":")[0])
    keys = {role_of(key).owner: key for key in chosen}
    if stack.n_kv_heads < stack.n_heads and {"q", "k"} <= keys.keys():
        group = int(np.argwhere(chosen[keys["k"]])[0, 1])
        readers = ", ".join(str(h) for h in range(stack.n_heads) if stack.kv_head_of[h] == group)
        notes.append(f"Heads {readers} share key/value head {group}: its weights are theirs as well.")
    if any(bare(key) == "W_UK" for key in chosen):
        notes.append(
            "Latent attention: what all heads share of it (the latents and the rotary key) is in the rest of attention."
        )
    if stack.uses > 1:
        notes.append(f"Each forward pass runs these weights {stack.uses} times, one layer after another.")
    stored = {slot.parameter for slot in a.slots if slot.key in chosen}
    notes += [f"{name} is the same tensor as {first}." for name, first in a.aliases.items() if first in stored]
    return notes
