"""The patterns of all heads on one row, made small, for the cells of a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from headgrid.anatomy.stacks import count_of
from headgrid.circuits.progress import steps
from headgrid.experiments.patterns import PatternReader, bytes_of, heads_of, reading_of
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.selection.points import ActivationNumbers
from headgrid.widget.compute.live_patterns import quantized
from headgrid.widget.state.cell_index import CellIndex
from headgrid.widget.wire.empty import NO_THUMBNAILS
from headgrid.widget.wire.schema import Thumbnails

SIZE = 16
"""How wide and high a thumbnail is at most."""

MOST_HEADS = 1100
"""The heads of the largest model that has thumbnails: more are smaller than one."""

PASS_BYTES = 2**26
"""The bytes that the patterns of one forward pass take, of several layers at a time."""


def too_many(index: CellIndex) -> str:
    """Why the heads of a grid have no thumbnails; "" where they do."""
    if len(index.heads) <= MOST_HEADS:
        return ""
    return f"Patterns are drawn for at most {MOST_HEADS:,} heads: this model has {len(index.heads):,}. Color the cells"


def thumbnails(
    model: torch.nn.Module, row: Task, index: CellIndex, tell: Callable[[int, int], object],
    cancelled: Callable[[], bool],
) -> Thumbnails:  # fmt: skip
    """The thumbnails of all heads that read tokens.

    Args:
        model: the model.
        row: a task of one row.
        index: the cells.
        tell: called with what is done and the total.
        cancelled: says whether to stop.

    Raises:
        Cancelled: when `cancelled` says so.
    """
    runs = Runs(model, row)
    groups = list(_groups(runs, heads_of(runs.anatomy, None)))
    lengths = {where[1]: _lengths(runs, where[1]) for group in groups for where in group}
    longest = max(max(one) for one in lengths.values())
    size, cells, values = min(SIZE, longest), list[int](), list[bytes]()
    for group in steps(groups, len(groups), "attention patterns", tell, cancelled):
        patterns, _ = PatternReader(runs, group).read(slice(0, 1))
        for where, heads in group.items():
            queries, keys = _spans(runs, where[1])
            small = pooled(patterns[where][0][:, queries, keys], size)
            cells += [index.head(where[1], where[2], number) for number in heads]
            values += [quantized(one) for one in small]
    note = f"{size} x {size} of {count_of(longest, 'token')}: each square is the largest of several"
    return {
        **NO_THUMBNAILS, "size": size, "cells": cells, "values": b"".join(values),
        "note": note if longest > size else "",
    }  # fmt: skip


def pooled(patterns: torch.Tensor, size: int) -> torch.Tensor:
    """Patterns `[n, query, key]` as `[n, size, size]`: each square is the largest of those that it stands for."""
    for axis in (1, 2):
        n = patterns.shape[axis]
        at = (torch.arange(n) * size) // n if n >= size else torch.arange(size) * n // size
        if n < size:
            patterns = patterns.index_select(axis, at)
            continue
        shape = [size if i == axis else one for i, one in enumerate(patterns.shape)]
        places = at.reshape([-1 if i == axis else 1 for i in range(3)]).expand_as(patterns)
        patterns = torch.zeros(shape, dtype=patterns.dtype).scatter_reduce(axis, places, patterns, "amax")
    return patterns


def _groups(runs: Runs, numbers: ActivationNumbers) -> Iterator[ActivationNumbers]:
    """As many layers at a time as one pass may keep the patterns of."""
    group: ActivationNumbers = {}
    for where, heads in numbers.items():
        if group and bytes_of(runs, {**group, where: heads}, 1) > PASS_BYTES:
            yield group
            group = {}
        group[where] = heads
    if group:
        yield group


def _spans(runs: Runs, stack: str) -> tuple[slice, slice]:
    queries = reading_of(runs, stack)
    return queries.span(0), (reading_of(runs, "encoder") if stack == "cross" else queries).span(0)


def _lengths(runs: Runs, stack: str) -> tuple[int, ...]:
    n = runs.task.ids.shape[1]
    return tuple(len(range(*one.indices(one.stop or n))) for one in _spans(runs, stack))
