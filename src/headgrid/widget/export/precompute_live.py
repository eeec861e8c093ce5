"""What heads do on the task, and metrics of all heads, computed beforehand for a page without a kernel.

The grid's own model is run, by whoever writes the page. Nothing that views show changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from headgrid.anatomy.stacks import count_of
from headgrid.experiments.patterns import heads_of, reading_of
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.selection.points import ActivationNumbers, text_of
from headgrid.torch_state import shielded
from headgrid.widget.compute import live_task, to_wire
from headgrid.widget.compute.coloring import Coloring
from headgrid.widget.compute.heads_table import TableOfHeads, is_tiny
from headgrid.widget.compute.live_patterns import DRAWS, RowHeads
from headgrid.widget.compute.next_tokens import next_tokens
from headgrid.widget.compute.thumbnails import thumbnails
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.empty import NO_LIVE
from headgrid.widget.wire.schema import HeadPattern, LiveView

MOST_BYTES = 4_000_000
"""The bytes of the patterns of a page, a byte for each query and key: 144 heads on 230 tokens, or 1,024 on 87."""

MOST_SCORED = 2**26
"""The bytes that patterns on shuffled tokens may take, for the base rates of types: 144 heads on 107 tokens."""


@dataclass(frozen=True)
class PageSources:
    """What a page asks beside the grid and its summaries.

    Attributes:
        model: the model; None where there is none to run.
        coloring: knows numbers of heads.
        table: makes the table of the selected heads.
    """

    model: torch.nn.Module | None
    coloring: Coloring
    table: TableOfHeads


@dataclass(frozen=True)
class LiveContents:
    """What a page has of heads.

    Attributes:
        traits: the traits that have it.
        notes: what the page says of it.
    """

    traits: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def precompute_live(grid: GridState, sources: PageSources) -> LiveContents:
    """The patterns of all heads on the row that is shown, thumbnails, colors and the table of the selected heads.

    Patterns take `MOST_BYTES` at most: beyond that a page has those of the looked-at head and the selected ones, as
    many as there is room for. Scores of types are there where they take no more than `MOST_SCORED`. Colors are those
    that were computed; of models of at most `heads_table.MOST_UNASKED` heads those by the weights are computed.

    Args:
        grid: the grid.
        sources: what is asked.
    """
    small = is_tiny(grid.anatomy)
    found: dict[str, Any] = {
        "heads_table": sources.table.whole(), "precomputed_live": [],
        "precomputed_colors": sources.coloring.every(small),
    }  # fmt: skip
    for trait in ("live", "thumbnails", "effect"):
        found[trait] = {**getattr(grid, trait), "pending": False}
    with grid.lock:
        task, row = grid.task, grid.row
    if task is None or sources.model is None or live_task.why_not(sources.model):
        return LiveContents(found)
    one = task.rows([row])
    try:
        with shielded():
            views, notes = _views(grid, sources.model, one, row, task.n_rows)
            found["precomputed_live"] = views
            if small:
                made = thumbnails(sources.model, one, grid.index, lambda *_: None, lambda: False)
                found["thumbnails"] = {**made, "query": grid.live_query["n"], "row": row}
    except Exception as fault:  # said in its place, as in the widget
        notes = [f"There are no attention patterns in this page: {to_wire.sentence(to_wire.said(fault))}"]
    return LiveContents(found, tuple(notes))


def _views(
    grid: GridState, model: torch.nn.Module, one: Task, row: int, n_rows: int
) -> tuple[list[LiveView], list[str]]:
    """A view for each stack, with all heads or some of them, and what is said of that."""
    runs = Runs(model, one)
    every = heads_of(runs.anatomy, None)
    chosen, n = _that_fit(grid, runs, every), sum(map(len, every.values()))
    kept = sum(map(len, chosen.values()))
    views = [_view(grid, model, one, row, stack, chosen) for stack in dict.fromkeys(where[1] for where in chosen)]
    on = f"on row {row + 1} of {n_rows} of the task" if n_rows > 1 else "on the text of the task"
    if kept == n:
        return views, [f"The attention patterns of {'all ' * (n > 1)}{count_of(n, 'head')} {on} are in this page."]
    return views, [
        f"A page keeps {MOST_BYTES / 1e6:.3g} MB of attention patterns, and those of all {n:,} heads take more: it has "
        f"the patterns of {count_of(kept, 'head')} {on}, of those that are looked at or selected."
    ]


def _that_fit(grid: GridState, runs: Runs, every: ActivationNumbers) -> ActivationNumbers:
    """All heads; where they take too much, the looked-at and the selected ones, as many as there is room for."""
    sizes = {where[1]: _size(runs, where[1]) for where in every}
    if sum(sizes[where[1]] * len(numbers) for where, numbers in every.items()) <= MOST_BYTES:
        return every
    with grid.lock:
        selected = grid.index.heads[grid.coverage()[0][grid.index.heads]].tolist()
        wanted = [grid.index[cell] for cell in dict.fromkeys([grid.focus["cell"], *selected])]
    room, found = MOST_BYTES, dict[tuple[str, int], list[int]]()
    for one in wanted:
        if one is None or one.kind != "head" or one.number not in every.get(("pattern", one.stack, one.layer), ()):
            continue
        room -= sizes[one.stack]
        if room >= 0:
            found.setdefault((one.stack, one.layer), []).append(one.number)
    return {where: tuple(sorted(found[where[1:]])) for where in every if where[1:] in found}


def _size(runs: Runs, stack: str) -> int:
    """The bytes of a pattern at most."""
    queries, keys = reading_of(runs, stack), reading_of(runs, "encoder" if stack == "cross" else stack)
    n = runs.task.ids.shape[1]
    q, k = (len(range(*one.span(0).indices(one.ids.shape[1] if one.ids is not None else n))) for one in (queries, keys))
    return q * k


def _view(
    grid: GridState, model: torch.nn.Module, one: Task, row: int, stack: str, chosen: ActivationNumbers
) -> LiveView:
    numbers = {where: heads for where, heads in chosen.items() if where[1] == stack}
    read = RowHeads(model, one, " | ".join(text_of(("z", *where[1:]), heads) for where, heads in numbers.items()))
    triangle, (tokens, keys) = read.triangle, read.tokens()
    values = read.bytes_of(triangle)
    taken = 4 * len(values) * len(tokens) * len(keys or tokens) * DRAWS
    scores = read.scores() if taken <= MOST_SCORED else {at: [] for at in values}
    heads: list[HeadPattern] = []
    for layer, number in values:
        cell = grid.index.head(stack, layer, number)
        title = grid.cells.describe(cell)[0]
        heads.append({
            "cell": cell, "title": title, "values": values[layer, number], "scores": scores[layer, number]
        })  # fmt: skip
    return {
        **NO_LIVE, "query": grid.live_query["n"], "focus": grid.focus["n"], "row": row, "tokens": tokens, "keys": keys,
        "triangle": triangle, "heads": heads, "n_heads": len(heads), "next": next_tokens(read.runs, {}, {}),
    }  # fmt: skip


NOTHING = LiveContents({})
"""Of a page that has no more than the widget shows."""
