"""The state of a grid as a plain object: commands, undo, saved selections and what is shown, without any widget."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hands import command, piece

from headgrid.anatomy.anatomy import Anatomy, Bools
from headgrid.models import dissect
from headgrid.weights import Weights
from headgrid.widget.compute.scheduler import Scheduler
from headgrid.widget.export import files
from headgrid.widget.state.cells import Cells
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.schema import Do, pack
from headgrid.widget.wire.validate import Receiver, sift

LLAMA = "llama with grouped-query attention"


@pytest.fixture(scope="module")
def anatomy() -> Anatomy:
    return dissect(tiny.config(LLAMA))


@pytest.fixture
def state(anatomy: Anatomy) -> GridState:
    return GridState(Cells(anatomy), anatomy.select("l0h1 | l2 mlp n3"))


def bits(state: GridState, *words: str) -> Bools:
    names = [state.cells.describe(i)[0].strip() for i in range(state.cells.n_cells)]
    found = np.zeros(state.cells.n_cells, dtype=np.bool_)
    found[[names.index(word) for word in words]] = True
    return found


def ask(state: GridState, do: Do, name: str = "", value: str = "", off: str = "") -> list[str]:
    """What a message with one command comes to; why it was refused."""
    n = state.done + 1
    receiver = Receiver(state.cells.n_cells, state.done, ["commands"], lambda _: None)
    message = sift({"commands": [command(n, do, name, value, off)]}, receiver)
    faults, error = state.do(state.new(message.commands))
    return [*message.faults, *faults, *([error["message"]] if error else [])]


@pytest.mark.slow
def test_importing_it_loads_no_library_of_widgets() -> None:
    code = (
        "import sys, headgrid.widget.state.grid_state, headgrid.widget.compute.scheduler, headgrid.widget.export.files"
    )
    loaded = f"{code}; print(*{{'ipywidgets', 'traitlets', 'anywidget', 'IPython'}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def test_an_edit_switches_cells_and_keeps_what_is_finer(state: GridState) -> None:
    assert ask(state, "edit", value=piece(bits(state, "l1h0")), off=piece(bits(state, "l0h1"))) == []
    assert str(state.selection) == "l1h0 | l2 mlp n3"
    assert state.steps() == {"done": 1, "undo": 1, "redo": 0}
    ask(state, "undo")
    assert str(state.selection) == "l0h1 | l2 mlp n3"
    ask(state, "redo")
    assert str(state.selection) == "l1h0 | l2 mlp n3"
    ask(state, "only", value=piece(bits(state, "l2h5")))
    assert str(state.selection) == "l2h5"


def test_the_traits_of_a_selection_are_those_of_its_coverage(state: GridState) -> None:
    whole, some = state.cells.coverage(state.selection.parts)
    traits = state.selection_traits()
    assert list(traits) == ["partial", "text", "history", "cells"]
    assert (traits["cells"], traits["partial"]) == (pack(whole), pack(some))
    assert (traits["text"]["selection"], traits["text"]["counts"]) == (
        "l0h1 | l2 mlp n3",
        "1 head, parts of 1 MLP; the head's K and V also serve heads 0, 2",
    )


def test_the_coverage_of_a_selection_is_computed_once(state: GridState, monkeypatch: pytest.MonkeyPatch) -> None:
    computed: list[object] = []
    coverage = Cells.coverage
    monkeypatch.setattr(Cells, "coverage", lambda cells, parts: (computed.append(parts), coverage(cells, parts))[1])
    ask(state, "edit", value=piece(bits(state, "l1h0")))
    state.selection_traits()
    state.coverage()
    assert len(computed) == 2, "of what was selected before, and of what is selected now"


def test_the_cells_of_a_click_are_decoded_once(state: GridState, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    unpackbits = np.unpackbits
    monkeypatch.setattr(np, "unpackbits", lambda *given, **named: (decoded.append(1), unpackbits(*given, **named))[1])
    ask(state, "edit", value=piece(bits(state, "l1h0")))
    assert len(decoded) == 2, "the cells that it switches on, and those that it switches off"


def test_what_is_saved_is_told_once_the_change_is_done(state: GridState) -> None:
    binding = Recording()
    state.binding = binding
    state.saved["a"] = "l1h2"
    assert binding.shown == [("saved", ["a"])]
    assert ask(state, "recall", "a") == []
    assert str(state.selection) == "l1h2"
    assert ask(state, "recall", "b") == ["there is no saved selection 'b'; there are 'a'"]
    assert ask(state, "query", value="l9") == ["there is no layer 9; this model's layers are 0 to 2"]
    assert state.answered == 3


def test_a_snapshot_sets_all_that_python_writes_back_and_keeps_what_was_asked(state: GridState) -> None:
    state.saved["a"] = "l1h2"
    before, restore = (state.selection_traits(), state.saved.wire(), state.summary, state.colors), state.snapshot()
    ask(state, "query", value="embed")
    state.saved["b"] = "l0"
    state.show("summary", {**state.summary, "title": "other"})
    state.show("colors", {**state.colors, "label": "other"})
    state.focus = {"n": 4, "cell": 2, "ln": "raw"}
    restore()
    assert (state.selection_traits(), state.saved.wire(), state.summary, state.colors) == before
    assert state.focus["n"] == 4


def test_completions_answer_what_was_typed_last(state: GridState) -> None:
    state.complete = {"n": 3, "text": "l1h", "at": 3}
    state.show_completions()
    assert state.completions["complete"] == 3
    assert "l1h0" in [item["text"] for item in state.completions["items"]]


class Recording:
    """A binding that notes what is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, Any]] = []

    def show(self, trait: str, value: Any) -> None:
        self.shown.append((trait, list(value) if trait == "saved" else value))

    def run(self, change: Callable[[], Any], tell: Callable[[Any], object] | None = None) -> Any:
        found = change()
        if tell is not None:
            tell(found)
        return found


@pytest.fixture
def live() -> tuple[GridState, Scheduler, torch.nn.Module]:
    model = tiny.fresh(LLAMA)
    weights = Weights(model)
    state = GridState(Cells(weights.anatomy), weights.anatomy.select("l0h1 | l1h2"))
    return state, Scheduler(state, weights), model


def test_weights_are_read_for_a_state_that_no_widget_shows(
    live: tuple[GridState, Scheduler, torch.nn.Module],
) -> None:
    state, scheduler, model = live
    state.focus = {"n": 1, "cell": int(np.flatnonzero(bits(state, "l1h2"))[0]), "ln": "raw"}
    scheduler.watch()
    scheduler.focus()
    assert scheduler.worker.join_idle(120)
    expected = Weights(model).W_OV[1, 2].singular_values().tolist()
    assert state.summary["circuits"][0]["spectrum"] == pytest.approx(expected, rel=1e-5)
    assert state.summary["pending"] == []
    assert [head["title"] for head in state.selected_heads["heads"]] == ["l0h1", "l1h2"]
    scheduler.coloring.color_by("ov_norm", None, None, "raw")
    assert state.colors["metric"] == "ov_norm"
    scheduler.close()


def test_a_state_is_a_picture_and_a_page(live: tuple[GridState, Scheduler, torch.nn.Module]) -> None:
    state, scheduler, _ = live
    assert "l0h1 | l1h2" in str(files.to_svg(state))
    traits = {**state.selection_traits(), "spec": scheduler.spec(), "focus": state.focus, "colors": state.colors}
    page = str(files.to_html(state, scheduler.cache, traits))
    assert page.startswith("<!doctype html>")
    assert page.count('"title":"l1h2"') >= 2, "in the selected heads, and among the cells that can be looked at"
    scheduler.close()
