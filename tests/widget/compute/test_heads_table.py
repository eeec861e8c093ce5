"""The table of the selected heads: every selected head with what is known of it, and nothing that is not true."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from grids import LLAMA, Held, focus, settled
from live_grids import OTHER, TEXT, watched

import headgrid as hg
from headgrid.widget.compute import heads_table
from headgrid.widget.state.cell_colors import QUANTITIES
from headgrid.widget.wire.empty import NO_TABLE

WEIGHTS = [one.name for one in QUANTITIES]
MORE = heads_table.MORE


def rows(grid: hg.HeadGrid) -> dict[str, dict[str, float]]:
    """Word of a head -> name of a metric -> its number, as a browser reads them."""
    table = settled(grid).heads_table
    assert not table["pending"]
    names = [column["name"] for column in table["columns"]]
    values = np.frombuffer(table["values"], dtype="<f4").reshape(len(table["cells"]), len(names))
    words = [grid._state.cells.describe(cell)[0] for cell in table["cells"]]
    return {word: dict(zip(names, row.tolist(), strict=True)) for word, row in zip(words, values, strict=True)}


@pytest.fixture
def task() -> hg.Task:
    _, tokenizer = hg.demo()
    return hg.Task(tokenizer, [TEXT], answers=[" mary"], wrong=[" john"], corrupted=[OTHER])


def test_a_row_for_each_selected_head_and_a_column_for_each_metric_of_a_small_model() -> None:
    grid = watched(select="l0h1 | l1h2 | l0 mlp | l1h0.q")
    found = rows(grid)
    scan = hg.scan(hg.demo()[0]).metrics()
    assert list(found) == ["l0h1", "l1h2"]
    assert [*found["l0h1"]] == WEIGHTS
    for word, (layer, head) in {"l0h1": (0, 1), "l1h2": (1, 2)}.items():
        for name, value in found[word].items():
            assert value == pytest.approx(float(scan[name][layer, head]), rel=1e-5), (word, name)
    assert (grid.heads_table["note"], grid.heads_table["ln"]) == ("", "folded")


def test_it_goes_with_the_selection_and_with_the_norms() -> None:
    grid = watched()
    assert settled(grid).heads_table == NO_TABLE
    grid.select("l1h*")
    assert list(rows(grid)) == ["l1h0", "l1h1", "l1h2", "l1h3"]
    focus(grid, 1, "l0h0", "raw")
    found = rows(grid)
    spectra = hg.scan(hg.demo()[0], ln="raw").ov
    assert spectra is not None
    assert [one["ov_norm"] for one in found.values()] == pytest.approx(spectra.norm[1].tolist(), rel=1e-5)
    assert grid.heads_table["ln"] == "raw"
    grid.select("l0 mlp")
    assert settled(grid).heads_table == {**NO_TABLE, "ln": "raw"}


def test_numbers_of_the_task_are_columns_once_they_are_computed(task: hg.Task) -> None:
    grid = watched(select="l0h1 | l1h2", task=task)
    assert [*rows(grid)["l0h1"]] == WEIGHTS
    assert grid.heads_table["note"] == MORE
    grid.color_by("effect")
    found, effects = rows(grid), hg.sweep(hg.demo()[0], task, method="zero")
    assert [*found["l0h1"]] == ["effect", *WEIGHTS]
    assert found["l1h2"]["effect"] == pytest.approx(effects["l1h2"], rel=1e-4)
    grid.set_state({"recolor": {"n": 1, "metric": "previous", "ln": "folded"}})
    assert {"effect", "previous", "first", "induction"} <= {*rows(grid)["l1h2"]}
    grid.color_by(None)
    assert "effect" in rows(grid)["l1h2"], "colors go, numbers stay"
    grid.task = None
    assert [*rows(grid)["l0h1"]] == WEIGHTS
    assert grid.heads_table["note"] == ""


def test_of_a_large_model_only_what_colors_the_cells_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads_table, "MOST_HEADS", 3)
    grid = watched(select="l0h1")
    assert rows(grid) == {"l0h1": {}}
    assert grid.heads_table["note"] == MORE
    grid.color_by("qk_norm")
    assert [*rows(grid)["l0h1"]] == ["qk_norm", "qk_top", "qk_stable_rank", "qk_entropy_rank"]


def test_the_rows_have_a_bound_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heads_table, "MOST_ROWS", 3)
    grid = watched(select="l*h*")
    assert list(rows(grid)) == ["l0h0", "l0h1", "l0h2"]
    assert grid.heads_table["note"] == "The first 3 of 8 selected heads."


def test_it_follows_the_weights() -> None:
    model = tiny.fresh("gpt2")
    grid = watched(model, select="l1h2")
    before = rows(grid)["l1h2"]["ov_norm"]
    with torch.no_grad():
        model.transformer.h[1].attn.c_proj.weight.mul_(2)
    grid._scheduler.recheck()
    assert rows(grid)["l1h2"]["ov_norm"] == pytest.approx(2 * before, rel=1e-4)


def test_a_click_does_not_begin_the_reading_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Held(monkeypatch, "scans")
    grid = watched(select="l1h2")
    assert gate.begun.wait(60)
    for words in ("l0h1", "l0h2 | l1h1", "l0h3"):
        grid.select(words)
    gate.go.set()
    assert list(rows(grid)) == ["l0h3"]
    assert gate.calls == len(heads_table.FAMILIES)


def test_more_is_to_come_while_it_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Held(monkeypatch, "scans")
    grid = watched(select="l1h2")
    assert gate.begun.wait(60)
    assert (grid.heads_table["pending"], grid.heads_table["columns"]) == (True, [])
    assert len(grid.heads_table["cells"]) == 1
    grid.set_state({"_view_count": 0})
    gate.go.set()
    settled(grid)
    grid.set_state({"_view_count": 1})
    assert [*rows(grid)["l1h2"]] == WEIGHTS


def test_what_cannot_be_read_is_said_and_the_rest_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    scans = heads_table.SummaryCache.scans

    def refused(cache: heads_table.SummaryCache, family: str, *given: object) -> object:
        if family == "qk":
            raise RuntimeError("no memory")
        return scans(cache, family, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(heads_table.SummaryCache, "scans", refused)
    grid = watched(select="l1h2")
    assert [*rows(grid)["l1h2"]] == WEIGHTS[:5]
    assert grid.heads_table["note"] == "RuntimeError: no memory."


@pytest.mark.parametrize("name", [LLAMA, "t5", "vit", "deepseek_v3"])
def test_of_other_families_it_has_what_a_scan_has(name: str) -> None:
    grid = watched(tiny.model(name), select="full")
    found = rows(grid)
    assert len(found) == int((~grid._state.cells.absent[grid._state.index.heads]).sum())
    assert all({"ov_norm", "qk_norm"} <= {*row} for row in found.values())
    assert all(np.isfinite(row["ov_norm"]) for row in found.values())


def test_without_weights_there_is_none() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA), select="l0h1")
    grid.set_state({"_view_count": 1})
    assert settled(grid).heads_table == NO_TABLE


def test_a_page_has_all_of_it() -> None:
    grid = hg.HeadGrid(*hg.demo(), select="l0h1 | l1h2")
    assert grid.heads_table == NO_TABLE, "nobody looks"
    table = grid._scheduler.table.whole()
    assert ([one["name"] for one in table["columns"]], len(table["cells"])) == (WEIGHTS, 2)
