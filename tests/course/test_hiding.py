"""Metrics that would give an answer away are shown nowhere until the exercise is solved."""

from __future__ import annotations

import json
from typing import Any

import pytest
from grids import settled
from live_grids import TEXT, prompt, query, watched

import headgrid as hg
from headgrid.course import Exercise

HIDE = ["induction", "copying_score", "effect", "ov_norm", "qk_top"]


@pytest.fixture(scope="module")
def shown() -> hg.HeadGrid:
    """A grid that shows as much as it can: a task, a panel, a focus, colors and a table."""
    grid = watched(select="l0h1 | l1h2")
    prompt(grid, 1, TEXT)
    settled(grid)
    query(grid, 1)
    cell = next(i for i in range(grid._state.cells.n_cells) if grid._state.cells.describe(i)[0] == "l1h2")
    grid.set_state({"focus": {"n": 1, "cell": cell, "ln": "folded"}})
    grid.color_by("induction")
    return settled(grid)


def visible(grid: hg.HeadGrid) -> set[str]:
    """Which of the metrics a browser could find in the traits."""
    found = set[str]()
    circuits = [c for one in grid.selected_heads["heads"] for c in one["circuits"]] + grid.summary["circuits"]
    assert circuits
    scores = {(one["tab"], score["name"]) for one in circuits for score in one["scores"]}
    found |= {"copying_score"} if ("ov", "copying score") in scores else set()
    found |= {"ov_norm"} if ("ov", "norm") in scores else set()
    found |= {"qk_top"} if any(one["spectrum"] for one in circuits if one["tab"] == "qk") else set()
    found |= {"effect"} if grid.effect["modes"] else set()
    found |= {"induction"} if "induction" in json.dumps([grid.live["heads"]], default=str) else set()
    found |= {one["name"] for one in (*grid.spec["metrics"], *grid.heads_table["columns"]) if one["name"] in HIDE}
    return found | ({grid.colors["metric"]} & set(HIDE))


def test_what_is_hidden_is_in_no_trait_until_the_exercise_is_solved(shown: hg.HeadGrid) -> None:
    assert visible(shown) == set(HIDE)
    others = {one["name"] for one in shown.heads_table["columns"]} - set(HIDE)
    ex = Exercise("ind", shown, ask="Which head?", answer="l1h2", allow="heads", hide=HIDE)
    assert visible(settled(shown)) == set()
    assert {one["name"] for one in shown.heads_table["columns"]} == others
    assert shown.colors["label"] == ""
    with pytest.raises(ValueError, match="'induction' would give an answer away: hidden until the exercise is solved"):
        shown.color_by("induction")
    shown.set_state({"recolor": {"n": 5, "metric": "copying_score", "ln": "folded"}})
    assert settled(shown).colors["error"] == "Hidden until the exercise is solved"
    shown.select("l0h1 | l1h2 | l1h1")
    assert visible(settled(shown)) == set()
    assert {one["name"] for one in shown.copy().spec["metrics"]} == {one["name"] for one in shown.spec["metrics"]}
    page = shown.to_html()
    assert page is not None
    assert "copying score" not in _state(page)
    ex.check("l1h1")
    assert visible(settled(shown)) == set()
    ex.check("l1h2")
    assert visible(settled(shown)) == set(HIDE)
    shown.color_by("induction")
    ex.check("l0h1")
    assert visible(settled(shown)) == set(HIDE), "what was seen stays seen"


def _state(page: str) -> str:
    """The state of the widget in a page, without the bundle, which knows all words."""
    start = page.index('{"headgrid"')
    model: Any = json.JSONDecoder().raw_decode(page[start:])[0]
    text = json.dumps({key: value for key, value in _flat(model) if "_esm" not in key and "_css" not in key})
    return text


def _flat(value: Any, where: str = "") -> Any:
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _flat(one, f"{where}.{key}")
    elif isinstance(value, list):
        for i, one in enumerate(value):
            yield from _flat(one, f"{where}[{i}]")
    else:
        yield where, value
