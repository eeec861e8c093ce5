"""The selection as code: what a browser asks for is what `Selection.code` writes, or why it writes nothing."""

from __future__ import annotations

import pytest
import tiny
from grids import LLAMA, Gate, settled
from live_grids import watched

import headgrid as hg
from headgrid.selection.code import LIBRARIES, Library
from headgrid.selection.selection import Selection


def ask(grid: hg.HeadGrid, n: int, library: Library) -> None:
    """What a browser sends whose user copies code."""
    grid.set_state({"code_query": {"n": n, "library": library}})


@pytest.mark.parametrize("library", LIBRARIES)
def test_code_in_the_widget_is_that_of_the_selection(library: Library) -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA), select="l0h1 | l1 mlp n3")
    ask(grid, 4, library)
    expected = {"query": 4, "library": library, "selection": "l0h1 | l1 mlp n3", "error": ""}
    assert settled(grid).code == {**expected, "text": grid.selection.code(library)}


def test_what_cannot_be_written_is_said_and_the_next_question_is_answered() -> None:
    grid = watched()
    ask(grid, 1, "torch")
    said = "the selection is empty: there is nothing to write code for"
    assert settled(grid).code == {"query": 1, "library": "torch", "selection": "none", "text": "", "error": said}
    grid.select("embed")
    ask(grid, 2, "transformer_lens")
    assert "embed is no activation" in settled(grid).code["error"]
    ask(grid, 3, "devinterp")
    assert (settled(grid).code["error"], grid.code["text"]) == ("", grid.selection.code("devinterp"))


def test_an_answer_says_of_which_selection_it_is_when_that_changes() -> None:
    grid = watched(select="l1h2")
    ask(grid, 1, "torch")
    settled(grid)
    grid.select("l0h1")
    assert (settled(grid).code["selection"], grid.code["text"]) == ("l1h2", grid.anatomy.select("l1h2").code("torch"))


def test_the_last_of_several_questions_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = watched(select="l1h2")
    gate = Gate(monkeypatch, Selection, "code")
    ask(grid, 1, "torch")
    assert gate.begun.wait(60)
    ask(grid, 2, "nnsight")
    ask(grid, 3, "causalab")
    gate.go.set()
    assert (settled(grid).code["query"], grid.code["library"], gate.calls) == (3, "causalab", 2)


def test_what_was_asked_while_nobody_looked_any_more_is_answered_later(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = watched(select="l1h2")
    gate = Gate(monkeypatch, Selection, "code")
    ask(grid, 1, "torch")
    assert gate.begun.wait(60)
    grid.set_state({"_view_count": 0})
    gate.go.set()
    assert settled(grid).code["query"] == 0
    grid.set_state({"_view_count": 1})
    assert (settled(grid).code["query"], grid.code["selection"]) == (1, "l1h2")
