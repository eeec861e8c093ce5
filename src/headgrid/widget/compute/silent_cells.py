"""The cells that write nothing to the residual stream, because their output weights are all zero."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from headgrid.anatomy.anatomy import Bools
from headgrid.anatomy.roles import bare, role_of
from headgrid.anatomy.slots import Slot
from headgrid.models.weight_source import WeightSource
from headgrid.selection import parts
from headgrid.widget.state.cells import Cells

OUTPUTS = ("W_O", "W_out", "b_out", "expert.W_out", "expert.b_out")
"""The roles that write to the residual stream on behalf of a head or an MLP."""


def silent_cells(cells: Cells, source: WeightSource | None, check: Callable[[], object] = lambda: None) -> Bools:
    """The cells of heads and MLPs whose output weights are all zero now; none where no weights are.

    Args:
        cells: the grid.
        source: where its weights are read from.
        check: called often, and may raise.

    Returns:
        Shape `[n_cells]`.
    """
    if source is None:
        return np.zeros(cells.n_cells, dtype=np.bool_)
    exists = cells.anatomy.exists
    others = {key: bits for key, bits in exists.items() if bare(key) not in OUTPUTS}
    silent = {key: np.zeros_like(bits) for key, bits in exists.items() if bare(key) in OUTPUTS}
    for slot in cells.anatomy.slots:
        row = slot.layer or 0
        if slot.role in OUTPUTS:
            check()
            silent[slot.key][row, slot.numbers] = _zero(slot, source)
    with_silent, _ = cells.coverage(parts.nonempty({**others, **silent}.items()))
    without, _ = cells.coverage(others)
    return with_silent & ~without


def _zero(slot: Slot, source: WeightSource) -> Bools | bool:
    """Which parts of a slot are zero, one boolean each; none where no numbers are, on the meta device or freed."""
    try:
        return np.concatenate([_zeros(slot, view) for _, view in source.pieces(slot)])
    except (AttributeError, RuntimeError, ValueError):  # whoever reads it will say so
        return False


def _zeros(slot: Slot, view: torch.Tensor) -> Bools:
    view = view if role_of(slot.key).part_axis else view[None]
    # one entry tells almost every part that writes something; only the others are read in full
    quiet = view.reshape(len(view), -1)[:, 0] == 0 if view.dim() < 3 else view[:, 0, 0] == 0
    if quiet.any():
        quiet[quiet.clone()] = ~view[quiet].flatten(1).any(1)
    found: Bools = quiet.cpu().numpy()
    return found
