"""The color of every cell: numbers of a scan, or any numbers that a user has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.names import MAIN
from headgrid.circuits.scan import Scan
from headgrid.plots import color_scale
from headgrid.utils.arguments import Floats, printable, real_numbers
from headgrid.widget.state.cell_index import CellIndex, Layers
from headgrid.widget.wire.empty import NO_COLORS
from headgrid.widget.wire.schema import Colors, Metric

LONGEST = 200
"""Characters of a label."""


@dataclass(frozen=True)
class Quantity:
    """A number of every head that a scan has.

    Attributes:
        name: what a user types and the browser sends: its name in `Scan.metrics()`.
        label: what a menu and a legend show.
        help: what it measures, in one sentence.
        family: what `headgrid.scan` has to read for it; "" for a number of the task.
        ends: of the scale, where the number has ends of its own; the scale diverges if they have two signs.
        live: whether it is of what heads do on the task, and not of the weights alone.
    """

    name: str
    label: str
    help: str
    family: str
    ends: tuple[float, float] | None = None
    live: bool = False


def _of_circuit(kind: str, what: str) -> tuple[Quantity, ...]:
    said = {
        "norm": ("norm", f"The Frobenius norm of {what}."),
        "top": (
            "top singular value",
            f"The largest singular value of {what}: by how much its strongest direction is scaled.",
        ),
        "stable_rank": (
            "stable rank",
            f"Of {what}: its squared Frobenius norm over its squared largest singular value; 1 for a single direction.",
        ),
        "entropy_rank": (
            "entropy rank",
            f"Of {what}: exp of the entropy of its singular values over their sum (Roy and Vetterli 2007).",
        ),
    }
    return tuple(
        Quantity(f"{kind}_{name}", f"{kind.upper()} {label}", text, kind) for name, (label, text) in said.items()
    )


QUANTITIES: tuple[Quantity, ...] = (
    Quantity(
        "copying_score",
        "copying score",
        "The sum of the eigenvalues of W_E OV W_U over the sum of their sizes: 1 for a head that copies, "
        "\N{MINUS SIGN}1 for one that suppresses what it reads (Elhage et al. 2021).",
        "copying",
        (-1.0, 1.0),
    ),
    *_of_circuit("ov", "W_V W_O, what a head writes of what it reads"),
    *_of_circuit("qk", "W_Q W_K^T, what a head attends to"),
)
"""What the grid can be colored by."""


def quantity(what: str, offered: Sequence[Quantity]) -> Quantity:
    """The quantity of this name or label.

    Raises:
        ValueError: when there is none, naming those that there are.
    """
    for one in offered:
        if what.strip().lower() in (one.name, one.label.lower()):
            return one
    names = ", ".join(one.name for one in offered)
    raise ValueError(
        f"{what!r} is no number that this grid can be colored by; "
        + (f"there are {names}" if offered else "it has no weights to read, so give an array")
    )


def metrics(offered: Sequence[Quantity]) -> list[Metric]:
    """The menu of these."""
    return [{"name": one.name, "label": one.label, "help": one.help, "live": one.live} for one in offered]


def values_of(index: CellIndex, scans: Mapping[str, Scan]) -> dict[str, Floats]:
    """All numbers that scans have, by their names, each `[n_cells]`, NaN where there is none.

    Args:
        index: the cells.
        scans: name of a stack -> its scan.
    """
    found: dict[str, Floats] = {}
    for stack, scan in scans.items():
        for name, numbers in scan.metrics().items():
            values = found.setdefault(name, np.full(index.n_cells, np.nan))
            values[index.stacks[stack].cells("head")] = numbers.numpy()
    return found


def of_scans(
    index: CellIndex,
    what: Quantity,
    scans: Mapping[str, Scan],
    label: str | None = None,
    diverging: bool | None = None,
) -> Colors:
    """The colors of one number of every head.

    Args:
        index: the cells.
        what: the number.
        scans: name of a stack -> its scan.
        label, diverging: what the legend shows; None for what the number has.
    """
    # none where tokens are not both read and written
    values = values_of(index, scans).get(what.name, np.full(index.n_cells, np.nan))
    if not np.isfinite(values).any():
        notes = dict.fromkeys(note for scan in scans.values() for note in scan.notes)
        reasons = " ".join(note for note in notes if what.label in note)
        raise ValueError(reasons or f"no head of this model has a {what.label}")
    painted = _painted(values, what.label if label is None else label, diverging, what.ends)
    return {**painted, "metric": what.name, "ln": next(scan.ln for scan in scans.values())}


def of_task(
    index: CellIndex, what: Quantity, numbers: Floats, label: str | None, diverging: bool | None, said: str
) -> Colors:
    """The colors of one number of every head on the task.

    Args:
        index: the cells.
        what: the number.
        numbers: `[n_cells]`, NaN where there is none.
        label, diverging: what the legend shows; None for what the number has.
        said: what the legend adds, such as the base rate.

    Raises:
        ValueError: when no head has the number.
    """
    if not np.isfinite(numbers).any():
        raise ValueError(f"no head of this model has a number of {what.label!r} on this task")
    painted = _painted(numbers, what.label if label is None else label, diverging, what.ends)
    added = ", ".join(filter(None, [said, painted["range"]]))
    return {**painted, "metric": what.name, "range": added}


def of_array(
    index: CellIndex,
    absent: npt.NDArray[np.bool_],
    main: str,
    what: Any,
    label: str | None = None,
    diverging: bool | None = None,
) -> Colors:
    """The colors of an array of a user's: see `HeadGrid.color_by`.

    Args:
        index: the cells.
        absent: the cells that show nothing, `[n_cells]`.
        main: the name of the stack that an array of heads is of.
        what: an array, or name of a stack -> array.
        label, diverging: what the legend shows; None for the default.

    Raises:
        ValueError: for other shapes, for what is no number, and for infinite ones.
    """
    values = np.full(index.n_cells, np.nan)
    if isinstance(what, Mapping):
        if not what:
            raise ValueError("{} names no stack to color; None takes the colors away")
        for name, part in what.items():
            stack = "" if name == MAIN else name
            if stack not in index.stacks:
                names = ", ".join(repr(one or MAIN) for one in index.stacks)
                raise ValueError(f"there is no stack {name!r} to color; the stacks are {names}")
            cells, found = _placed(_numbers(part), index.stacks[stack], None)
            values[cells] = found
    else:
        cells, found = _placed(_numbers(what), index.stacks[main], index.n_cells)
        values[cells] = found
    values[absent] = np.nan
    return _painted(values, "values" if label is None else str(label), diverging)


def _painted(values: Floats, label: str, diverging: bool | None, ends: tuple[float, float] | None = None) -> Colors:
    """Numbers as they cross the wire, with the ends of their scale and what these leave out."""
    small = values.astype("<f4")
    known = small[np.isfinite(small)].astype(float)
    if diverging is None:
        low, high = ends or ((float(known.min()), float(known.max())) if known.size else (0.0, 0.0))
        diverging = low < 0 < high
    scale = color_scale.limits(known, diverging, None, *(ends or (None, None)))
    low, high = (scale.low, scale.high) if known.size or ends else (0.0, 0.0)
    return {
        **NO_COLORS, "label": _said(label) or "values", "low": low, "high": high,
        "range": ", ".join(scale.said), "diverging": bool(diverging), "values": small.tobytes(),
    }  # fmt: skip


def _said(label: str) -> str:
    """A label as a legend shows it: on one line, and not longer than that."""
    said = printable(label[: LONGEST + 1]).strip()
    return said if len(said) <= LONGEST else said[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _placed(found: Floats, layers: Layers, n_cells: int | None) -> tuple[npt.NDArray[np.intp], Floats]:
    """The cells that an array is of, in its own shape."""
    heads, mlps = layers.cells("head"), layers.cells("mlp")
    allowed = {
        f"[{', '.join(map(str, cells.shape))}] for its {name}": cells
        for name, cells in (("heads", heads), ("MLPs", mlps[:, 0] if mlps.shape[1] == 1 else None))
        if cells is not None and cells.size
    }
    if n_cells is not None:
        allowed[f"[{n_cells}] for every cell of the grid"] = np.arange(n_cells)
    for cells in allowed.values():
        if cells.shape == found.shape:
            return cells, found
    stack = f" of the stack {layers.stack!r}" if layers.stack else ""
    raise ValueError(
        f"an array of shape {list(found.shape)} cannot color {layers.n_layers} layers{stack}; "
        f"give one of shape {' or '.join(allowed)}"
    )


def _numbers(what: Any) -> Floats:
    """An array of floats, NaN where something is missing."""
    found = real_numbers("colors", what, "numbers in an array, NaN where one is missing")
    with np.errstate(over="ignore"):
        infinite = np.isinf(found.astype(np.float32))
    if infinite.any():
        component = np.argwhere(infinite)[0].tolist()
        raise ValueError(
            f"the value at {component} is {found[tuple(component)]:g}, which has no color "
            f"(float32 ends at {np.finfo(np.float32).max:.1e}); give NaN where a value is missing"
        )
    return found
