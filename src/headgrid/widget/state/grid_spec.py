"""What is sent of a grid once: its rows and columns, and what there is to say of them.

Grids of equal models share it. Whoever runs a cell of a notebook fifty times keeps fifty grids, because ipywidgets
keeps every widget that was not closed; the arrays of a 405B model's parts alone are 20 MB.
"""

from __future__ import annotations

import hashlib
import weakref
from collections.abc import Sequence
from dataclasses import fields

from headgrid.anatomy.anatomy import Anatomy, Bools
from headgrid.widget.state import cell_colors
from headgrid.widget.state.cell_colors import Quantity
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire.schema import VERSION, GridSpec, pack

PROVENANCES = {
    "table": "",
    "doubted": "Where the model itself is stored is known, but not all that changes its heads lies in them.",
    "guess": "This layout was guessed from names, shapes and the config. headgrid.verify(model) proves or refutes it.",
    "proven": "This layout was guessed, and then proven by forward passes of this very model.",
}
"""How an anatomy came about -> what the widget says of it."""

_known: weakref.WeakValueDictionary[bytes, Cells] = weakref.WeakValueDictionary()


def cells_of(anatomy: Anatomy) -> Cells:
    """The cells of an anatomy, or those of one that is the same in every field, for as long as any grid has them."""
    everything = repr([getattr(anatomy, one.name) for one in fields(anatomy)])
    key = hashlib.sha256(everything.encode()).digest()
    found = _known.get(key)
    if found is None:
        found = _known[key] = Cells(anatomy)
    return found


def spec(cells: Cells, silent: Bools, quantities: Sequence[Quantity]) -> GridSpec:
    """The spec of a grid.

    Args:
        cells: its cells.
        silent: those that write nothing, `[n_cells]`.
        quantities: what they can be colored by.
    """
    anatomy = cells.anatomy
    return {
        "version": VERSION,
        "model": anatomy.title,
        "provenance": anatomy.provenance,
        "provenance_note": " ".join([PROVENANCES[anatomy.provenance], *anatomy.caveats]),
        "stacks": cells.stacks,
        "bands": cells.bands,
        "tooltips": cells.tooltips,
        "metrics": cell_colors.metrics(quantities),
        "absent": pack(cells.absent),
        "zero": pack(silent),
    }
