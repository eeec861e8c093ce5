"""What a grid shows when it is first seen: what the heads of a small model do, unless anybody has chosen otherwise."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from grids import LLAMA, settled
from live_grids import TEXT

import headgrid as hg
from headgrid.demo import PROMPTS
from headgrid.widget.compute import heads_table


def seen(grid: hg.HeadGrid) -> hg.HeadGrid:
    grid.set_state({"_view_count": 1})
    return settled(grid)


def values(grid: hg.HeadGrid) -> np.ndarray:
    return np.frombuffer(grid.colors["values"], dtype="<f4")[grid._state.index.heads]


def test_the_shipped_model_opens_with_its_text_colored_by_the_effect_of_each_head() -> None:
    model, tokenizer = hg.demo()
    grid = seen(hg.HeadGrid(model, tokenizer))
    assert model.config.example_prompt == PROMPTS["name"].text
    assert grid.task_state["rows"] == [f"<bos> {PROMPTS['name'].text}"]
    assert (grid.colors["metric"], grid.colors["error"]) == ("effect", "")
    task = hg.Task(tokenizer, [PROMPTS["name"].text], answers=[" mary"], metric="log_prob")
    expected = hg.sweep(model, task, method="zero").to_colors()
    assert values(grid) == pytest.approx(np.ravel(expected), abs=1e-4)
    assert str(grid.top(2, largest=False)) == "l0h1 | l1h2"


def test_a_task_that_was_given_is_what_it_opens_with() -> None:
    task = hg.Task(hg.demo()[1], [TEXT], answers=[" mary"], wrong=[" john"])
    grid = hg.HeadGrid(*hg.demo(), task=task)
    seen(grid)
    assert grid.task is task
    assert grid.colors["label"].startswith("effect of each head")


def test_what_was_chosen_before_it_is_seen_stays() -> None:
    grid = hg.HeadGrid(*hg.demo())
    grid.color_by("ov_norm")
    assert seen(grid).colors["metric"] == "ov_norm"
    plain = hg.HeadGrid(*hg.demo())
    plain.color_by(None)
    plain.task = None
    assert seen(plain).colors["label"] == ""
    assert plain.task is None


def test_colors_that_were_taken_away_do_not_come_back_with_another_view() -> None:
    grid = seen(hg.HeadGrid(*hg.demo()))
    grid.set_state({"recolor": {"n": 1, "metric": "", "ln": "folded"}})
    grid.set_state({"_view_count": 0})
    seen(grid)
    assert grid.colors["label"] == ""


def test_a_model_without_a_text_or_a_large_one_opens_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seen(hg.HeadGrid(tiny.model(LLAMA))).task is None
    assert seen(hg.HeadGrid(hg.demo()[0])).task is None, "there is no tokenizer to read it with"
    monkeypatch.setattr(heads_table, "MOST_UNASKED", 7)
    grid = seen(hg.HeadGrid(*hg.demo()))
    assert grid.task is None
    assert grid.colors["label"] == ""
