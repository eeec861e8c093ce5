"""Grids in a kernel without a browser: what is asked of them, and what they have sent."""

from __future__ import annotations

import json
import math
import threading
import types
from collections.abc import Callable
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import numpy as np
import pytest
import tiny
import torch
from hands import cell

import headgrid as hg
from headgrid.widget.compute.summary_cache import CellSummary, SummaryCache
from headgrid.widget.state.cell_index import CellIndex
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire import schema
from headgrid.widget.wire.schema import unpack


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has exactly the fields and types that its type says, all the way down, and no NaN or inf."""
    if is_typeddict(hint):
        fields = get_type_hints(hint)
        return (
            isinstance(value, dict)
            and set(value) == set(fields)
            and all(fits(value[name], inner) for name, inner in fields.items())
        )
    if get_origin(hint) in (Union, types.UnionType):
        return any(fits(value, option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return value in get_args(hint)
    if get_origin(hint) is list:
        return isinstance(value, list) and all(fits(item, get_args(hint)[0]) for item in value)
    if hint is float:
        return isinstance(value, float) and math.isfinite(value)
    if hint is int:
        return type(value) is int
    return value is None if hint is type(None) else isinstance(value, hint)


def by_title(answer: CellSummary) -> dict[str, schema.Circuit]:
    return {circuit["title"]: circuit for circuit in answer.circuits}


def spoilt(name: str, word: str, value: float) -> Any:
    """A model with one entry of the weights that a word names changed."""
    model = tiny.fresh(name)
    for parameter, mask in hg.dissect(model).select(word).masks().items():
        with torch.no_grad():
            chosen = torch.ones_like(model.get_parameter(parameter), dtype=torch.bool) if mask is None else mask
            model.get_parameter(parameter)[tuple(chosen.nonzero()[0])] = value
    return model


LLAMA = "llama with grouped-query attention"


def focus(grid: hg.HeadGrid, n: int, word: str, ln: schema.Ln = "folded") -> None:
    grid.set_state({"focus": {"n": n, "cell": cell(grid, word), "ln": ln}})


def settled(grid: hg.HeadGrid) -> hg.HeadGrid:
    """The grid once everything that was asked for is answered; what crosses is checked."""
    assert grid._scheduler.worker.join_idle(120)
    for trait, (hint, _) in schema.TRAITS.items():
        value = grid.get_state(trait)[trait]
        assert fits(value, hint), trait
        if trait not in ("cells", "partial"):
            json.dumps(value, allow_nan=False, default=len)  # bytes go beside the message
    return grid


def on(grid: hg.HeadGrid) -> list[str]:
    bits = unpack(grid.cells, grid._state.cells.n_cells)
    return [grid._state.cells.describe(int(i))[0] for i in np.flatnonzero(bits)]


def sent(grid: hg.HeadGrid, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The traits of each message that goes to the browser from now on; echoes of its own messages are left out."""
    states: list[set[str]] = []

    def send(message: dict[str, dict[str, object] | list[list[str]]], buffers: object = None) -> None:
        if message["method"] == "update":
            states.append({*message["state"], *(path[0] for path in message["buffer_paths"])})

    monkeypatch.setattr(grid, "_send", send)
    return states


class Gate:
    """Stands in for a function of a module or class: it says that it has begun, and goes on when it is let."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, where: Any, name: str) -> None:
        self.begun, self.go, self.calls = threading.Event(), threading.Event(), 0
        self._original: Callable[..., Any] = getattr(where, name)
        monkeypatch.setattr(where, name, lambda *given, **named: self._call(*given, **named))

    def _call(self, *given: Any, **named: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            self.begun.set()
            assert self.go.wait(60)
        return self._original(*given, **named)


class Held(Gate):
    """Stands in for a method of `SummaryCache`, as a `Gate`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        super().__init__(monkeypatch, SummaryCache, name)


def never() -> bool:
    return False


def cache(model: Any, tokenizer: Any = None) -> tuple[SummaryCache, Callable[[str], int], CellIndex]:
    """The cache of a model, the cell of a word, and the places of cells."""
    cells = Cells(hg.dissect(model))
    words = {cells.describe(i)[0].strip(): i for i in range(cells.n_cells)}
    places = CellIndex(cells.bands)
    return SummaryCache(hg.Weights(model), tokenizer, places), words.__getitem__, places


def whole(found: SummaryCache, cell: int, ln: schema.Ln = "folded") -> CellSummary:
    """Everything that there is to say of a cell."""
    answer = found.read(cell, ln)
    with torch.no_grad():
        for fuller in found.deepen(cell, ln, never):
            answer = fuller
    return answer
