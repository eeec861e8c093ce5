"""`grid.task`: what a user of Python sets and follows."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
from grids import LLAMA, settled
from live_grids import TEXT, decoded, prompt, query, watched

import headgrid as hg


def test_a_task_is_set_followed_and_taken_away() -> None:
    _, tokenizer = hg.demo()
    task = hg.Task.names(tokenizer, n=5)
    grid = hg.HeadGrid(*hg.demo(), task=task)
    assert grid.task is task
    assert (grid.task_state["name"], len(grid.task_state["rows"]), grid.task_state["typed"]) == (
        "names, 5 rows",
        5,
        False,
    )
    seen: list[tuple[Any, Any]] = []
    grid.observe(lambda change: seen.append((change.old, change.new)), "task")
    grid.task = task
    assert seen == []
    grid.task = None
    grid.set_state({"_view_count": 1})
    prompt(grid, 1, TEXT)
    typed = settled(grid).task
    assert seen == [(task, None), (None, typed)]
    assert grid.task_state["rows"] == [TEXT]


@pytest.mark.parametrize("wrong", ["the dog says", 3, hg.Task, [["the dog says"]]])
def test_what_is_no_task_is_refused_at_the_call(wrong: Any) -> None:
    grid = hg.HeadGrid(*hg.demo())
    with pytest.raises(TypeError, match=r"task is a headgrid\.Task or None, not"):
        grid.task = wrong
    with pytest.raises(TypeError, match=r"task is a headgrid\.Task or None, not"):
        hg.HeadGrid(*hg.demo(), task=wrong)
    assert grid.task is None


def test_tokens_that_the_model_has_not_are_refused_and_nothing_changes() -> None:
    grid = hg.HeadGrid(tiny.fresh(LLAMA))
    task = hg.Task(None, torch.tensor([[5, 7, 9]]))
    grid.task = task
    before = dict(grid.task_state)
    with pytest.raises(ValueError, match="the task has the token 31, and"):
        grid.task = hg.Task(None, torch.tensor([[5, 31]]))
    assert (grid.task, grid.task_state) == (task, before)


def test_a_copy_has_the_task_and_goes_its_own_way() -> None:
    task = hg.Task.names(hg.demo()[1], n=3)
    grid = hg.HeadGrid(*hg.demo(), task=task)
    grid.color_by("effect")
    other = grid.copy()
    assert other.task is task
    assert other.colors["values"] == grid.colors["values"]
    other.task = None
    assert (grid.task, grid.colors["metric"]) == (task, "effect")
    assert hg.HeadGrid(tiny.config(LLAMA)).copy().task is None


@pytest.mark.parametrize("at", ["thumbnails", "task_state", "spec"])
def test_an_interrupt_takes_a_task_back(at: str, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = watched(select="l1h2")
    prompt(grid, 1, TEXT)
    query(grid, 1)
    before = settled(grid).task, dict(grid.task_state), dict(grid.live), grid.spec
    show = grid._state.binding.show

    def interrupted(trait: str, value: Any) -> None:
        show(trait, value)
        if trait == at:
            raise KeyboardInterrupt

    other = hg.Task(grid.tokenizer, ["the dog says"])
    with monkeypatch.context() as patched:
        patched.setattr(grid._state.binding, "show", interrupted)
        with pytest.raises(KeyboardInterrupt):
            grid.task = other
    assert (settled(grid).task, grid.task_state, grid.live, grid.spec) == before
    grid.task = other
    assert decoded(settled(grid).live, grid.live["heads"][0]).shape == (4, 4)


def test_pages_and_pictures_are_made_of_a_grid_that_shows_patterns() -> None:
    grid = watched(select="l1h2")
    prompt(grid, 1, TEXT)
    query(grid, 1, thumbnails=True)
    settled(grid)
    assert "l1h2" in str(grid.to_html())
    assert str(grid.to_svg()).startswith("<svg")
    grid._repr_mimebundle_()
