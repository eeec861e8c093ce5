"""Composition arrows, tested on the task: what each edge carries, beside random writes as large."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from headgrid.experiments.paths import PathMethod, paths
from headgrid.experiments.task import Task
from headgrid.widget.compute.pass_size import pass_size
from headgrid.widget.wire.schema import Arrow, Composes

EdgeEnds = tuple[int, int, Composes]
"""The cells of the source and the target, and what the target reads."""

CONTROLS = 10
"""The random directions that what a source writes is turned in."""

AT_ONCE = 24
"""The arrows that are tested before any of them is shown."""


def ends(arrow: Arrow) -> EdgeEnds:
    """Which edge an arrow is of."""
    return arrow["source"], arrow["target"], arrow["kind"]


def tested(
    model: torch.nn.Module, task: Task, edges: Sequence[EdgeEnds], word: Callable[[int], str],
    cancelled: Callable[[], bool],
) -> dict[EdgeEnds, tuple[float, bool]]:  # fmt: skip
    """What some edges carry, and whether each carries more than all random writes as large; as `headgrid.paths`.

    Args:
        model, task: what is run.
        edges: the edges.
        word: the text of a cell.
        cancelled: says whether to stop.

    Raises:
        ValueError: for a model in which no edge is direct.
        Cancelled: when `cancelled` says so.
    """
    receivers: dict[tuple[int, Composes], list[int]] = {}
    for source, target, kind in edges:
        receivers.setdefault((target, kind), []).append(source)
    # of one row the mean is what stands there
    method: PathMethod | None = "zero" if task.n_rows == 1 and task.corrupted is None else None
    found: dict[EdgeEnds, tuple[float, bool]] = {}
    for (target, kind), sources in receivers.items():
        measured = paths(
            model, task, " | ".join(map(word, sources)), f"{word(target)}.{kind.lower()}", method=method,
            controls=CONTROLS, cancelled=cancelled, **pass_size(model, task.ids.shape[1]),
        )  # fmt: skip
        assert measured.beyond is not None
        for source in sources:
            at = measured.index(word(source))
            value = float(measured.values[at])
            if math.isfinite(value):
                found[source, target, kind] = float(f"{value:.4g}"), float(measured.beyond[at]) == 1
    return found
