"""The life of a grid: it sleeps while nobody looks, and leaves nothing behind."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from typing import Any

import nbformat
import pytest
import tiny
import torch
from grids import LLAMA, Held, focus, settled
from hands import click
from nbclient import NotebookClient

import headgrid as hg
from headgrid.widget.compute import ipython_events
from headgrid.widget.compute.scheduler import Scheduler
from headgrid.widget.compute.summary_cache import SummaryCache

pytestmark = pytest.mark.slow


def views(grid: hg.HeadGrid, count: int) -> None:
    """What ipywidgets' front end sends when a view is made or removed."""
    grid.set_state({"_view_count": count})


def asleep(grid: hg.HeadGrid) -> bool:
    """Whether the grid's thread has ended, which it does by itself once it was told."""
    thread = grid._scheduler.worker._thread
    if thread is not None:
        thread.join(60)
    return grid._scheduler.worker._thread is None


def test_the_front_end_is_asked_to_count_its_views() -> None:
    assert hg.HeadGrid(tiny.config(LLAMA)).get_state()["_view_count"] == 0


def test_without_views_the_thread_ends_and_what_was_read_is_forgotten() -> None:
    grid = hg.HeadGrid(*hg.demo())
    views(grid, 1)
    click(grid, "l0h0", "l1h3")
    focus(grid, 1, "l1h3")
    shown = settled(grid).summary
    assert grid._scheduler.cache._summaries
    views(grid, 0)
    assert asleep(grid)
    assert not grid._scheduler.cache._summaries
    assert not grid._scheduler.cache._describers
    assert grid.summary == shown, "what was shown stays, for who opens a view again"
    grid.select("l0h1 | l1h2")
    assert asleep(grid), "nobody looks, so nothing is compared"


def test_when_a_view_comes_back_it_works_as_before() -> None:
    grid = hg.HeadGrid(*hg.demo())
    for count in (1, 0):
        views(grid, count)
    grid.select("l0h1 | l1h2")
    views(grid, 1)
    assert [head["title"] for head in settled(grid).selected_heads["heads"]] == ["l0h1", "l1h2"]
    focus(grid, 1, "l1h3")
    assert settled(grid).summary["pending"] == []
    assert grid.summary["circuits"]


def test_what_was_stopped_half_way_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    views(grid, 1)
    held = Held(monkeypatch, "read_all")
    focus(grid, 1, "l1h3")
    assert held.begun.wait(60)
    grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
    views(grid, 0)
    held.go.set()
    assert asleep(grid)
    assert (grid.summary["pending"], grid.colors["label"]) == (["ov", "qk", "composition"], "")
    views(grid, 1)
    assert settled(grid).summary["pending"] == []
    assert (grid.summary["title"], grid.colors["metric"]) == ("l1h3", "ov_norm")


def test_one_of_two_views_may_go(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    views(grid, 2)
    focus(grid, 1, "l1h3")
    settled(grid)
    views(grid, 1)
    assert grid._scheduler.cache._summaries


def test_a_front_end_that_counts_no_views_lets_no_grid_sleep() -> None:
    grid = hg.HeadGrid(*hg.demo())
    focus(grid, 1, "l1h3")
    settled(grid)
    grid.set_state({"_view_count": None})
    assert grid._scheduler.cache._summaries


def test_a_weight_that_changes_while_nobody_looks_is_read_anew() -> None:
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer)
    views(grid, 1)
    focus(grid, 1, "l1h3", "raw")
    before = settled(grid).summary["circuits"][0]["spectrum"]
    views(grid, 0)
    with torch.no_grad():
        model.get_parameter("transformer.h.1.attn.c_proj.weight").mul_(2)
    views(grid, 1)
    after = settled(grid).summary["circuits"][0]["spectrum"]
    assert after == pytest.approx([2 * value for value in before], rel=1e-4)


def test_fifty_runs_of_a_cell_leave_no_thread() -> None:
    model, tokenizer = hg.demo()
    settle_down = threading.active_count()
    grids = []
    for _ in range(50):
        grid = hg.HeadGrid(model, tokenizer, select="l0h1 | l1h2")
        grids.append(grid)
        grid._repr_mimebundle_()
        views(grid, 1)
        views(grid, 0)
    assert all(asleep(grid) for grid in grids)
    assert threading.active_count() <= settle_down
    assert len({id(grid._state.cells) for grid in grids}) == 1, "what they have in common is there once"


@pytest.mark.parametrize("shown", [False, True])
def test_a_closed_grid_is_collected_with_all_that_it_kept(shown: bool) -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    grid.saved["a"] = "l0h0"
    if shown:
        views(grid, 1)
        click(grid, "l0h0", "l1h1")
        focus(grid, 1, "l1h1")
        settled(grid)
        views(grid, 0)
        views(grid, 1)
        settled(grid)
    held = [weakref.ref(one) for one in (grid, model, grid._scheduler.cache, grid.saved)]
    grid.close()
    del grid, model
    gc.collect()
    assert [one() for one in held] == [None] * 4


def test_a_closed_grid_has_nothing_left_of_its_answers() -> None:
    grid = hg.HeadGrid(*hg.demo())
    focus(grid, 1, "l1h3")
    settled(grid)
    grid.close()
    assert not grid._scheduler.cache._summaries
    assert asleep(grid)


def test_one_head_is_no_comparison() -> None:
    grid = hg.HeadGrid(*hg.demo())
    click(grid, "l0h0")
    settled(grid)
    assert grid.selected_heads["n_heads"] == 0


def test_answers_can_be_forgotten_while_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    held = Held(monkeypatch, "read")
    focus(grid, 1, "l1h3")
    assert held.begun.wait(60)
    grid._scheduler.cache.forget()
    held.go.set()
    settled(grid)
    assert grid.summary["circuits"], "it is shown all the same"
    assert isinstance(grid._scheduler.cache, SummaryCache)


def test_a_notebook_without_a_browser_waits_for_what_its_grid_shows() -> None:
    sources = ["import headgrid as hg\ngrid = hg.HeadGrid(*hg.demo())\ngrid", "grid.select('l0h1 | l1h2')"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    run = NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    states = run.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    state = next(one["state"] for one in states if "selected_heads" in one["state"])
    assert not state["selected_heads"]["pending"]
    assert [head["title"] for head in state["selected_heads"]["heads"]] == ["l0h1", "l1h2"]


def test_a_cell_that_somebody_looks_at_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(allow_stdin=True)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    assert not ipython_events.after_cell(lambda: None)
    monkeypatch.delitem(sys.modules, "IPython")
    assert not ipython_events.after_cell(lambda: None), "a script"
    assert not shell.called


def test_a_cell_that_nobody_looks_at_ends_once_all_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = Shell(allow_stdin=False)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    grid = hg.HeadGrid(*hg.demo())
    grid._repr_mimebundle_()
    for text in ("l0h1 | l1h2", "l0h0 | l1h3"):
        grid.select(text)
    grid.undo()
    assert len(shell.called) == 1, "once for all that was selected"
    for call in list(shell.called):
        call(None)
    assert not shell.called
    assert [head["title"] for head in grid.selected_heads["heads"]] == ["l0h1", "l1h2"]
    grid.select("l0h2 | l1h0")
    assert len(shell.called) == 1, "in the next cell again"


def test_grids_that_somebody_looks_at_are_looked_through_after_each_cell_by_one_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell = Shell(allow_stdin=True)
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.setattr(ipython_events, "_watching", weakref.WeakSet())
    grids = [hg.HeadGrid(*hg.demo()) for _ in range(2)]
    for grid in grids:
        grid.set_state({"_view_count": 1})
        grid.set_state({"_view_count": 0})
        grid.set_state({"_view_count": 1})
    assert len(shell.called) == 1
    looked: list[object] = []
    monkeypatch.setattr(Scheduler, "recheck", lambda scheduler: looked.append(scheduler))
    shell.called[0](None)
    assert len(looked) == 2


class Shell:
    """What `ipython_events` reads of IPython and of a kernel, and the calls that wait for the end of a cell."""

    def __init__(self, allow_stdin: bool) -> None:
        self.called: list[Any] = []
        self.kernel = self.events = self
        self._parent = {"content": {"allow_stdin": allow_stdin}}

    def get_ipython(self) -> Shell:
        return self

    def get_parent(self, _: str) -> dict[str, Any]:
        return self._parent

    def register(self, event: str, call: Any) -> None:
        assert event == "post_run_cell"
        self.called.append(call)

    def unregister(self, _: str, call: Any) -> None:
        self.called.remove(call)  # a ValueError where it is not there, as in IPython
