"""Numbers of every head on a task, by which cells are colored: effects, and how far each is of a known type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from headgrid.circuits.progress import Cancelled
from headgrid.experiments.effects import Effects
from headgrid.experiments.head_types import LABELS, SAID, NamedType
from headgrid.experiments.patterns import bytes_of, heads_of
from headgrid.experiments.runs import Runs
from headgrid.experiments.sweep import sweep
from headgrid.experiments.task import Task
from headgrid.utils.arguments import Floats
from headgrid.widget.compute.live_patterns import EVEN, SHUFFLED, against, type_scores
from headgrid.widget.compute.live_task import OF_ANSWERS, metric_of
from headgrid.widget.compute.pass_size import pass_size
from headgrid.widget.compute.shared_copy import WeightsStamp
from headgrid.widget.state.cell_colors import Quantity
from headgrid.widget.state.cell_index import CellIndex

Tell = Callable[[int, int], object]

TYPES: tuple[NamedType, ...] = ("previous", "duplicate", "induction", "first")
"""The types of heads that cells are colored by."""

PATTERN_BYTES = 2**29
"""What the patterns of all heads may take: of a longer task the first rows are read."""

EFFECTS = (
    Quantity("effect", "effect of each head", "The change of the task's metric with zero in the place of what the "
             "head writes, measured exactly for each.", "", live=True),
    Quantity("attribution", "attribution", "The effect of each head, estimated for all at once by a gradient and "
             "checked exactly for the largest.", "", live=True),
)  # fmt: skip
DIRECT = Quantity(
    "direct", "direct attribution", "What the head itself writes along the direction of the answer, with all norms as "
    "they stood.", "", live=True,
)  # fmt: skip
BASES = {EVEN: "what even attention gives", SHUFFLED: "the same on shuffled tokens"}
OF_TYPES = tuple(
    Quantity(name, LABELS[name], f"How much of its attention a head gives to {SAID[name]}, on average over this text; "
             f"base is {BASES[against(name)]}, on average over heads.", "", (0.0, 1.0), live=True)
    for name in TYPES
)  # fmt: skip

NAMES = tuple(one.name for one in (*EFFECTS, DIRECT, *OF_TYPES))
"""The names of all of these."""


def offered(task: Task | None) -> tuple[Quantity, ...]:
    """What the grid can be colored by on a task; nothing without one."""
    if task is None:
        return ()
    direct = (DIRECT,) if task.answers is not None and task.metric_name in OF_ANSWERS else ()
    return (*EFFECTS, *direct, *OF_TYPES)


@dataclass(frozen=True)
class _Kept:
    """What was read of a task with weights of one version: by name, the numbers and what a legend adds."""

    task: Task
    version: WeightsStamp
    numbers: dict[str, tuple[Floats, str]]


@dataclass
class TaskNumbers:
    """The numbers of every head on a task, kept until the task or the weights change.

    Args:
        index: the cells.
    """

    index: CellIndex
    _kept: _Kept | None = None  # always replaced as a whole: a cell of a notebook and the worker may read at once

    def read(
        self, name: str, model: torch.nn.Module, task: Task, version: WeightsStamp, tell: Tell,
        cancelled: Callable[[], bool] | None,
    ) -> tuple[Floats, str]:  # fmt: skip
        """One number of every head, `[n_cells]`, NaN where there is none, and what the legend adds.

        Args:
            name: of the quantity.
            model, task: what is run.
            version: of the weights, as they are now.
            tell: called with what is done and the total.
            cancelled: says whether to stop.

        Raises:
            ValueError: when no stack has the number, with the reason of the first.
            Cancelled: when `cancelled` says so.
        """
        kept = self._of(task, version)
        if kept is None:
            kept = {}
            self._kept = _Kept(task, version, kept)
        if name not in kept:
            found = self._types(model, task, tell, cancelled) if name in TYPES else {
                name: self._effects(name, model, task, tell, cancelled)
            }  # fmt: skip
            kept |= found
        if name not in kept:
            raise ValueError(_no_target(name))
        return kept[name]

    def known(self, task: Task | None, version: WeightsStamp) -> dict[str, tuple[Floats, str]]:
        """What `read` has given of a task and is still true, by name."""
        return dict(self._of(task, version) or {})

    def _of(self, task: Task | None, version: WeightsStamp) -> dict[str, tuple[Floats, str]] | None:
        kept = self._kept
        return kept.numbers if kept is not None and kept.task is task and kept.version == version else None

    def forget(self) -> None:
        """Forget what was computed."""
        self._kept = None

    def _effects(self, name: str, model: torch.nn.Module, task: Task, tell: Tell, cancelled: Any) -> tuple[Floats, str]:
        numbers, faults = np.full(self.index.n_cells, np.nan), list[Exception]()
        off, measured = 0.0, 0
        options: dict[str, Any] = {"method": {"effect": "zero"}.get(name, name), "progress": tell}
        if cancelled is not None:  # somebody may click meanwhile
            options |= pass_size(model, task.ids.shape[1])
        if name == "attribution":
            alone = task.corrupted is None and task.n_rows == 1
            options |= {"replaces": "zero" if alone else None}
        for stack, layers in self.index.stacks.items():
            cells = layers.cells("head")
            if not cells.size:
                continue
            try:
                found: Effects = sweep(model, task, stack=stack or None, cancelled=cancelled, **options)
            except Cancelled:
                raise
            except Exception as fault:
                faults.append(fault)
                continue
            values = found.values.numpy()
            numbers[cells[:, : values.shape[1]]] = values
            if found.errors is not None:
                off, measured = max(off, found.errors), measured + len(found.exact)
        if faults and not np.isfinite(numbers).any():
            raise faults[0]
        said = f", an estimate, off by up to {off:.2g} where {measured} were measured" if measured else ""
        return numbers, f"on {metric_of(task)}{said}"

    def _types(self, model: torch.nn.Module, task: Task, tell: Tell, cancelled: Any) -> dict[str, tuple[Floats, str]]:
        """All types at once: what takes long is the patterns on shuffled tokens."""
        found: dict[str, tuple[Floats, str]] = {}
        runs = Runs(model, task)
        heads = heads_of(runs.anatomy, None)
        rows = max(1, min(task.n_rows, PATTERN_BYTES // bytes_of(runs, heads, 1)))
        some = task if rows == task.n_rows else task.rows(slice(rows))
        first = "" if rows == task.n_rows else f"first {rows} rows"
        for stack, layers in self.index.stacks.items():
            here = {where: numbers for where, numbers in heads.items() if where[1] == stack}
            if not here or stack == "cross":
                continue
            own, chance = type_scores(
                model, some, here, names=TYPES, progress=tell, cancelled=cancelled
            )  # fmt: skip
            for name, scores in own.items():
                numbers = found[name][0] if name in found else np.full(self.index.n_cells, np.nan)
                numbers[layers.cells("head")] = scores.numpy()
                base = f"base {float(chance[name].nanmean()):.2f}"
                found[name] = numbers, ", ".join(filter(None, [base, first]))
        return found


def _no_target(name: str) -> str:
    label = LABELS[name]
    if name in ("duplicate", "induction"):
        return f"No token of this text comes twice, and {label!r} is about those that do: take another text"
    return f"No token of this text sees a target of the type {label!r} and another key: take a longer text"
