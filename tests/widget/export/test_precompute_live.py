"""A page of a grid with a task has what heads do on it: the numbers of `hg.attention`, up to a size that it says."""

from __future__ import annotations

import json
import re
from typing import Any, cast

import numpy as np
import pytest
import tiny
import torch
from grids import LLAMA, fits
from live_grids import OTHER, TEXT, decoded

import headgrid as hg
from headgrid.widget.compute import heads_table, thumbnails
from headgrid.widget.export import precompute_live, widget_state
from headgrid.widget.state.cell_colors import QUANTITIES
from headgrid.widget.wire import schema
from headgrid.widget.wire.schema import LiveView
from widget.export.test_files import page_of


@pytest.fixture(scope="module")
def task() -> hg.Task:
    _, tokenizer = hg.demo()
    return hg.Task(tokenizer, [TEXT, OTHER], answers=[" mary", " john"], wrong=[" john", " mary"])


def said(html: str) -> str:
    return re.sub(r"<[^>]+>", "", html[html.index("<footer>") : html.index("</footer>")])


def ids(model: Any, n: int, rows: int = 1) -> torch.Tensor:
    return torch.randint(3, 31, (rows, n), generator=torch.Generator().manual_seed(5))


def test_a_page_has_the_patterns_of_all_heads_on_the_row_that_is_shown(task: hg.Task) -> None:
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer, task=task, select="l1h2")
    grid.set_state({"live_query": {"n": 4, "row": 1, "panel": False, "thumbnails": False}})
    html, state = page_of(grid)
    (view,) = cast(list[LiveView], state["precomputed_live"])
    assert fits(view, schema.LiveView)
    assert (view["query"], view["row"], view["pending"], view["n_heads"], len(view["heads"])) == (4, 1, False, 8, 8)
    found = hg.attention(model, task.rows([1]), "l*h*")
    for head in view["heads"]:
        expected = found.pattern[head["title"]][0].numpy()
        assert np.abs(np.sqrt(decoded(view, head)) - np.sqrt(expected)).max() <= 0.5 / 255 + 1e-6
        assert head["scores"]
        assert grid._state.cells.describe(head["cell"])[0] == head["title"]
    assert len(view["tokens"]) == expected.shape[0]
    assert view["next"][0]["p"] > 0.3
    assert "The attention patterns of all 8 heads on row 2 of 2 of the task are in this page." in said(html)


def test_a_page_of_the_shipped_model_is_small(task: hg.Task) -> None:
    grid = hg.HeadGrid(*hg.demo(), task=task, select="l0h1 | l1h2")
    grid.color_by("effect")
    html, _ = page_of(grid)
    bundle = sum(len(json.dumps(widget_state.static(name))) for name in ("widget.js", "widget.css"))
    assert len(html) - bundle - len(widget_state.loader()) < 400_000


def test_a_page_has_the_thumbnails_the_table_and_every_metric(task: hg.Task) -> None:
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer, task=task, select="l0h1 | l1h2")
    grid.color_by("effect")
    before = grid.get_state()
    _, state = page_of(grid)
    assert grid.get_state() == before, "nothing that views show changes"
    metrics = [one["metric"] for one in state["precomputed_colors"]]
    assert metrics == ["effect", *(one.name for one in QUANTITIES)]
    assert all(fits(one, schema.Colors) for one in state["precomputed_colors"])
    for one in state["precomputed_colors"]:
        grid.color_by(one["metric"])
        assert one == {**grid.colors, "recolor": 0}
    small = thumbnails.thumbnails(model, task.rows([0]), grid._state.index, lambda *_: None, lambda: False)
    assert (state["thumbnails"]["values"], state["thumbnails"]["size"]) == (small["values"], small["size"])
    assert len(state["heads_table"]["cells"]) == 2
    assert {one["name"] for one in state["heads_table"]["columns"]} == set(metrics)
    assert not state["heads_table"]["pending"]


def test_beyond_a_size_it_has_those_that_are_looked_at_or_selected(
    task: hg.Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    n = len(hg.attention(hg.demo()[0], task.rows([0]), "l0h0").pattern["l0h0"][0])
    monkeypatch.setattr(precompute_live, "MOST_BYTES", 3 * n * n + 5)
    grid = hg.HeadGrid(*hg.demo(), task=task, select="l0h[0,3] | l1h* | l0 mlp")
    looked_at = grid._state.index.head("", 1, 3)
    grid.set_state({"focus": {"n": 2, "cell": looked_at, "ln": "folded"}})
    html, state = page_of(grid)
    (view,) = state["precomputed_live"]
    assert [head["title"] for head in view["heads"]] == ["l0h0", "l0h3", "l1h3"]
    assert "those of all 8 heads take more: it has the patterns of 3 heads on row 1 of 2 of the task" in said(html)
    monkeypatch.setattr(precompute_live, "MOST_BYTES", n)
    html, state = page_of(grid)
    assert state["precomputed_live"] == []
    assert "the patterns of 0 heads" in said(html)


def test_scores_are_left_out_where_they_take_long(task: hg.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompute_live, "MOST_SCORED", 1000)
    _, state = page_of(hg.HeadGrid(*hg.demo(), task=task))
    assert [head["scores"] for head in state["precomputed_live"][0]["heads"]] == [[]] * 8


def test_each_stack_has_a_view_of_its_own() -> None:
    model = tiny.model("t5")
    given = {"input_ids": ids(model, 9), "decoder_input_ids": ids(model, 5)}
    task = hg.Task(None, given, answers=[3])
    grid = hg.HeadGrid(model, task=task)
    _, state = page_of(grid)
    encoder, decoder, cross = state["precomputed_live"]
    assert [len(one["tokens"]) for one in (encoder, decoder, cross)] == [9, 5, 5]
    assert [one["triangle"] for one in (encoder, decoder, cross)] == [False, True, False]
    assert len(cross["keys"]) == 9
    found = hg.attention(model, task, "cross l*h*")
    for head in cross["heads"]:
        error = np.sqrt(decoded(cross, head)) - np.sqrt(found.pattern[head["title"]][0].numpy())
        assert np.abs(error).max() <= 0.5 / 255 + 1e-6


def test_without_a_task_there_are_colors_and_no_patterns() -> None:
    html, state = page_of(hg.HeadGrid(tiny.model(LLAMA), select="l1h2"))
    assert state["precomputed_live"] == []
    assert "ov_norm" in [one["metric"] for one in state["precomputed_colors"]]
    assert "attention patterns" not in said(html)
    _, bare = page_of(hg.HeadGrid(tiny.config(LLAMA), select="l1h2"))
    assert (bare["precomputed_live"], bare["precomputed_colors"], bare["heads_table"]["cells"]) == ([], [], [])


def test_a_large_model_has_the_colors_that_were_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads_table, "MOST_UNASKED", 3)
    grid = hg.HeadGrid(tiny.model(LLAMA))
    assert page_of(grid)[1]["precomputed_colors"] == []
    grid.color_by("qk_norm", ln="raw")
    found = [(one["metric"], one["ln"]) for one in page_of(grid)[1]["precomputed_colors"]]
    assert found == [(name, "raw") for name in ("qk_norm", "qk_top", "qk_stable_rank", "qk_entropy_rank")]


def test_a_model_that_fails_has_a_page_that_says_so(task: hg.Task, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo(), task=task, select="l1h2")

    def failing(*_: object) -> None:
        raise RuntimeError("no memory")

    monkeypatch.setattr(precompute_live, "_views", failing)
    html, state = page_of(grid)
    assert "There are no attention patterns in this page: RuntimeError: no memory." in said(html)
    assert state["precomputed"]
