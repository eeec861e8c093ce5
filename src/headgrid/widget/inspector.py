"""What is said about one cell: where each of its weights is stored, and what else a reader should know."""

from __future__ import annotations

from math import prod

import numpy as np
import torch

from headgrid import parts
from headgrid.anatomy import Bools
from headgrid.parts import Parts
from headgrid.roles import ENDS, ROLES
from headgrid.widget.cells import Cells
from headgrid.widget.wire import Place, Summary

NOTHING: Summary = {"focus": 0, "cell": -1, "title": "", "name": "", "places": [], "notes": []}
"""The summary before any cell was asked for."""

OUTPUTS = ("W_O", "W_out", "b_out")
"""The roles that write to the residual stream on behalf of a head or an MLP."""


def summary(cells: Cells, silent: Bools, focus: int, cell: int) -> Summary:
    """The answer to a focus.

    Args:
        cells: the grid.
        silent: the cells that write nothing, shape `[n_cells]`.
        focus: the number of the question.
        cell: the cell that it asks about; anything that is no cell gets an empty answer.
    """
    if not 0 <= cell < cells.n_cells or cells.absent[cell]:
        return {**NOTHING, "focus": focus}
    title, name, chosen = cells.describe(cell)
    return {
        "focus": focus,
        "cell": cell,
        "title": title,
        "name": name,
        "places": _places(cells, chosen),
        "notes": _notes(cells, bool(silent[cell]), chosen),
    }


def _places(cells: Cells, chosen: Parts) -> list[Place]:
    found: list[Place] = []
    for role, bits in chosen.items():
        layer, part = (int(i) for i in np.argwhere(bits)[0])
        slot = cells.anatomy.places[role, None if role in cells.anatomy.roles(*ENDS) else layer]
        alone = bits.sum() == 1
        axes = zip(ROLES[role].axes.split(), slot.canonical_shape, strict=True)
        shape = [size for letter, size in axes if not (alone and letter == ROLES[role].part_axis)]
        found.append(
            {
                "role": role,
                "parameter": slot.parameter,
                "index": slot.where(part) if alone and ROLES[role].part_axis else "",
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
    if a.n_kv_heads < a.n_heads and "W_Q" in chosen:
        group = int(np.argwhere(chosen["W_K"])[0, 1])
        readers = ", ".join(str(h) for h in range(a.n_heads) if a.kv_head_of[h] == group)
        notes.append(f"Heads {readers} share key/value head {group}: its W_K and W_V are theirs as well.")
    stored = {slot.parameter for slot in a.slots if slot.role in chosen}
    notes += [f"{name} is the same tensor as {first}." for name, first in a.aliases.items() if first in stored]
    return notes


def writes_nothing(cells: Cells, model: torch.nn.Module | None) -> Bools:
    """The cells of heads and MLPs whose output weights are all zero, shape `[n_cells]`; none where no weights are."""
    if model is None or any(parameter.is_meta for parameter in model.parameters()):
        return np.zeros(cells.n_cells, dtype=np.bool_)
    weights = dict(model.named_parameters())
    others = {role: bits for role, bits in cells.anatomy.exists.items() if role not in OUTPUTS}
    silent = {role: np.zeros_like(bits) for role, bits in cells.anatomy.exists.items() if role in OUTPUTS}
    for slot in cells.anatomy.slots:
        if slot.role in OUTPUTS:
            view = slot.of(weights[slot.parameter].detach())
            view = view if slot.n_parts > 1 else view[None]
            # one entry tells almost every part that writes something; only the others are read in full
            quiet = (view if view.dim() == 1 else view.flatten(1)[:, 0] if view.dim() == 2 else view[:, 0, 0]) == 0
            if quiet.any():
                quiet[quiet.clone()] = ~view[quiet].flatten(1).any(1)
            silent[slot.role][slot.layer or 0, : slot.n_parts] = quiet.cpu().numpy()
    with_silent, _ = cells.look(parts.nonempty({**others, **silent}.items()))
    without, _ = cells.look(others)
    return with_silent & ~without
