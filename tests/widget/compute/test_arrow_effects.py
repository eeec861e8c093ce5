"""Arrows of composition that are tested on the task."""

from __future__ import annotations

import pytest
import tiny
from grids import LLAMA, settled
from live_grids import TEXT, prompt, query, watched

import headgrid as hg
from headgrid.widget.compute import arrow_effects


def word(grid: hg.HeadGrid, cell: int) -> str:
    return str(grid._state.cells.describe(cell)[0])


@pytest.mark.slow
def test_an_arrow_carries_what_paths_says_of_its_edge() -> None:
    model, tokenizer = hg.demo()
    task = hg.Task.names(tokenizer, n=4)
    grid = watched(task=task, select="l0h1 | l0h3 | l1h2")
    arrows = settled(grid).arrows["arrows"]
    assert arrows
    assert all(arrow["carries"] is None and not arrow["stands_out"] for arrow in arrows), "the panel is closed"
    query(grid, 1)
    for arrow in settled(grid).arrows["arrows"]:
        receiver = f"{word(grid, arrow['target'])}.{arrow['kind'].lower()}"
        found = hg.paths(model, task, word(grid, arrow["source"]), receiver, controls=arrow_effects.CONTROLS)
        assert arrow["carries"] == pytest.approx(float(found.values[0]), rel=1e-3, abs=1e-6)
    assert [one["z"] for one in arrows] == [one["z"] for one in grid.arrows["arrows"]]


@pytest.mark.slow
def test_another_task_tests_anew_and_none_takes_it_back() -> None:
    grid = watched(select="l0h1 | l1h2")
    prompt(grid, 1, TEXT)
    query(grid, 1)
    before = settled(grid).arrows["arrows"]
    assert all(arrow["carries"] is not None for arrow in before)
    grid.task = hg.Task.names(grid.tokenizer, n=3)
    after = settled(grid).arrows["arrows"]
    assert [one["carries"] for one in after] != [one["carries"] for one in before]
    grid.task = None
    assert all(arrow["carries"] is None for arrow in settled(grid).arrows["arrows"])


@pytest.mark.slow
def test_arrows_are_tested_some_at_a_time_until_all_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgrid.widget.compute.live_lanes.AT_ONCE", 2)
    grid = watched(tiny.fresh(LLAMA), select="l0h1 | l0h4 | l1h2 | l2h3")
    prompt(grid, 1, "5 7 9 11", "5 7 8 11")
    query(grid, 1)
    arrows = settled(grid).arrows["arrows"]
    assert len(arrows) > 2
    assert all(arrow["carries"] is not None for arrow in arrows)


def test_a_model_without_direct_edges_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: object, **__: object) -> None:
        raise ValueError("the stream of this model is no sum")

    monkeypatch.setattr(arrow_effects, "paths", none)
    grid = watched(select="l0h1 | l1h2")
    prompt(grid, 1, TEXT)
    query(grid, 1)
    assert (
        settled(grid).arrows["note"].endswith("Arrows are not tested on the task: the stream of this model is no sum")
    )
    assert grid.live["error"] == ""
