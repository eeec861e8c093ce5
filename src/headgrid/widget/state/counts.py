"""A selection in numbers, of its cells: `2 heads, 1 MLP, parts of 1 head`, and whom keys and values serve beside."""

from __future__ import annotations

import numpy as np

from headgrid.anatomy.anatomy import Bools, count_of
from headgrid.selection import parts
from headgrid.selection.parts import Parts
from headgrid.widget.state.cells import Cells

NOUNS = {
    "head": ("head", "heads"), "mlp": ("MLP", "MLPs"), "norm": ("norm", "norms"), "expert": ("expert", "experts"),
    "mixer": ("mixer", "mixers"), "rest": ("shared part", "shared parts"), "embed": ("embedding", "embeddings"),
}  # fmt: skip
"""Kind of a cell -> what one and several are called."""

FEW = 7
"""The heads that are named one by one: more are counted."""


def said(cells: Cells, chosen: Parts, on: Bools, partial: Bools) -> str:
    """A selection in numbers; `nothing is selected`.

    Under grouped-query attention the siblings of a selected head have its key and value weights: what is selected of
    them so is not counted as parts of heads, but said of the head: `1 head; its K and V also serve heads 4, 6, 7`.

    Args:
        cells: the cells of the grid.
        chosen: the parts that are selected.
        on, partial: their coverage, `[n_cells]`.
    """
    served = _served(cells, chosen, on, partial)
    whole, some = (
        [count_of(int(n), *noun) for kind, noun in NOUNS.items() if (n := (bits & (cells.kinds == kind)).sum())]
        for bits in (on, partial & ~served)
    )
    listed = ", ".join(whole + ([f"parts of {' and '.join(some)}"] if some else []))
    if not served.any():
        return listed or "nothing is selected"
    one, alone = (on & cells.is_head).sum() == 1, len(whole) == 1 and not some
    whose = ("its" if one else "their") if alone else "the head's" if one else "the heads'"
    others = _named(cells, served) if one else count_of(int(served.sum()), "other head")
    return f"{listed}; {whose} K and V also serve {others}"


def _served(cells: Cells, chosen: Parts, on: Bools, partial: Bools) -> Bools:
    """The heads of which the key and value weights of selected heads are selected, and nothing else."""
    served = np.zeros_like(partial)
    for stack, siblings in parts.sibling_heads(cells.anatomy, chosen):
        at = cells.index.stacks[stack.name].cells("head")
        whole = np.asarray(parts.per_group(stack, on[at]).any(axis=-1))[:, stack.kv_head_of]
        served[at] = siblings & partial[at] & whole
    return served


def _named(cells: Cells, heads: Bools) -> str:
    """Heads of one layer by their numbers: `head 4`, `heads 4, 6, 7`, `70 other heads`."""
    found = np.flatnonzero(heads)
    if len(found) > FEW:
        return count_of(len(found), "other head")
    numbers = (at.number for cell in found if (at := cells.index[int(cell)]) is not None)
    return f"head{'s' * (len(found) > 1)} {', '.join(str(number) for number in numbers)}"
