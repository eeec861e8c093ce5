"""Colors by what heads do on the task."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from grids import LLAMA, settled
from live_grids import TEXT, prompt, watched

import headgrid as hg
from headgrid.widget.compute import task_numbers

NAMES = ["effect", "attribution", "direct", "previous", "duplicate", "induction", "first"]


def recolor(grid: hg.HeadGrid, n: int, metric: str) -> None:
    grid.set_state({"recolor": {"n": n, "metric": metric, "ln": "folded"}})


def values(grid: hg.HeadGrid) -> np.ndarray:
    """The colors of the heads of the main stack."""
    cells = grid._state.index.stacks[""].cells("head")
    return np.frombuffer(grid.colors["values"], dtype="<f4")[cells]


def offered(grid: hg.HeadGrid) -> list[str]:
    return [metric["name"] for metric in grid.spec["metrics"] if metric["live"]]


def test_the_menu_offers_numbers_of_the_task_while_there_is_one() -> None:
    grid = watched()
    assert offered(grid) == []
    grid.task = hg.Task.names(grid.tokenizer, n=3)
    assert offered(grid) == NAMES
    grid.task = hg.Task.repeated(grid.tokenizer, n=2, length=5)
    assert offered(grid) == [name for name in NAMES if name != "direct"], "there are no answers"
    grid.task = None
    assert offered(grid) == []
    with pytest.raises(ValueError, match="'effect' is no number that this grid can be colored by"):
        grid.color_by("effect")


def test_colors_are_the_numbers_of_the_experiments() -> None:
    model, tokenizer = hg.demo()
    task = hg.Task.names(tokenizer, n=4)
    grid = watched(task=task)
    expected = {
        "effect": hg.sweep(model, task, "zero").values,
        "attribution": hg.sweep(model, task, "attribution").values,
        "direct": hg.sweep(model, task, "direct").values,
    } | {name: hg.attention(model, task).score(name).values for name in ("previous", "duplicate", "first")}
    for n, (name, numbers) in enumerate(expected.items(), 1):
        recolor(grid, n, name)
        assert (settled(grid).colors["metric"], grid.colors["error"], grid.colors["recolor"]) == (name, "", n)
        assert values(grid) == pytest.approx(numbers.numpy(), rel=1e-4, abs=1e-6)
        grid.color_by(name)
        assert values(grid) == pytest.approx(numbers.numpy(), rel=1e-4, abs=1e-6)
    assert grid.progress["total"] == 0


def test_the_base_rate_stands_beside_a_type() -> None:
    model, tokenizer = hg.demo()
    task = hg.Task.repeated(tokenizer, n=3, length=9)
    grid = watched(task=task)
    grid.color_by("induction")
    base = float(hg.attention(model, task).score("induction").shuffled.nanmean())
    assert grid.colors["range"].startswith(f"base {base:.2f}, ")
    grid.color_by("previous")
    even = float(hg.attention(model, task).score("previous").evenly.nanmean())
    assert grid.colors["range"].startswith(f"base {even:.2f}, ")
    grid.color_by("induction")
    assert values(grid)[1, 2] == np.nanmax(values(grid)), "l1h2 is the induction head"


def test_another_text_colors_anew_and_none_takes_the_colors_away() -> None:
    model, tokenizer = hg.demo()
    grid = watched()
    prompt(grid, 1, TEXT)
    settled(grid)
    recolor(grid, 1, "first")
    before = settled(grid).colors["values"]
    prompt(grid, 2, "a kitten is a young")
    after = settled(grid).colors
    assert after["values"] != before
    assert values(grid) == pytest.approx(hg.attention(model, grid.task).score("first").values.numpy(), rel=1e-4)
    grid.task = None
    assert settled(grid).colors["label"] == ""
    grid.color_by("ov_norm")
    grid.task = hg.Task(tokenizer, [TEXT])
    assert settled(grid).colors["metric"] == "ov_norm", "which is of the weights"


def test_a_number_that_a_task_or_model_has_not_says_why() -> None:
    grid = watched(tiny.fresh("t5"))
    prompt(grid, 1, "5 7 9")
    settled(grid)
    recolor(grid, 1, "direct")
    assert "direct contributions are of decoders alone" in settled(grid).colors["error"]
    recolor(grid, 2, "duplicate")
    assert "No token of this text comes twice" in settled(grid).colors["error"]
    recolor(grid, 3, "effect")
    assert settled(grid).colors["error"] == ""
    assert np.isfinite(np.frombuffer(grid.colors["values"], dtype="<f4")).sum() == 3 * 4 + 2 * 4 + 2 * 4


def test_weights_that_change_are_said_in_the_legend_and_read_anew() -> None:
    model, tokenizer = hg.demo()
    grid = watched(model, tokenizer, task=hg.Task.names(tokenizer, n=3))
    recolor(grid, 1, "effect")
    before = settled(grid).colors["values"]
    with torch.no_grad():
        model.get_parameter("transformer.h.0.attn.c_attn.weight").mul_(0.5)
    grid._scheduler.recheck()
    assert settled(grid).colors["label"] == "effect of each head, before the weights changed"
    recolor(grid, 2, "effect")
    assert settled(grid).colors["values"] != before
    assert values(grid) == pytest.approx(hg.sweep(model, grid.task, "zero").values.numpy(), rel=1e-4, abs=1e-6)


def test_a_long_task_has_its_types_from_its_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = hg.demo()
    task = hg.Task.names(tokenizer, n=6)
    one = 8 * 4 * task.ids.shape[1] ** 2
    monkeypatch.setattr(task_numbers, "PATTERN_BYTES", 2 * one)
    grid = watched(task=task)
    grid.color_by("previous")
    assert "first 2 rows" in grid.colors["range"]
    expected = hg.attention(model, task.rows([0, 1])).score("previous").values.numpy()
    assert values(grid) == pytest.approx(expected, rel=1e-4)


def test_heads_that_share_keys_have_effects_of_their_own() -> None:
    grid = watched(tiny.fresh(LLAMA))
    prompt(grid, 1, "5 7 9 11")
    settled(grid)
    grid.color_by("effect", label="mine")
    assert values(grid) == pytest.approx(hg.sweep(grid.model, grid.task, "zero").values.numpy(), rel=1e-4, abs=1e-6)
    assert grid.colors["label"] == "mine"
