"""What is shown of weights is what they are now, or says that they were others."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from grids import cache
from hands import cell, click

import headgrid as hg
from headgrid.anatomy.slots import Slot
from headgrid.widget.compute import ipython_events
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.wire.schema import unpack

LLAMA = "llama with grouped-query attention"
SILENT = "output weights all zero"


def hatched(grid: hg.HeadGrid) -> list[str]:
    """The cells that the browser hatches."""
    bits = unpack(grid.spec["zero"], grid._state.cells.n_cells)
    return [grid._state.cells.describe(int(n))[0] for n in np.flatnonzero(bits)]


def silence(model: torch.nn.Module, layer: int, head: int) -> None:
    """Zero what a head writes, through `.data`, which no counter of torch sees."""
    proj = model.model.layers[layer].self_attn.o_proj.weight  # type: ignore[union-attr, index]
    size = proj.shape[1] // 6  # type: ignore[union-attr, operator, index]
    proj.data[:, head * size : (head + 1) * size] = 0.0  # type: ignore[index]


def looked_at(grid: hg.HeadGrid) -> None:
    grid.set_state({"_view_count": 1})
    grid._scheduler.worker.join_idle(60)


LOOKS: dict[str, Callable[[hg.HeadGrid], object]] = {
    "a selection": lambda grid: grid.select("l0h0"),
    "a question": lambda grid: grid.set_state({"focus": {"n": 1, "cell": 3, "ln": "folded"}}),
    "a cell that has run": lambda grid: ipython_events._recheck_all(),
    "a picture": lambda grid: grid.to_svg(),
    "a page": lambda grid: grid.to_html(),
    "a display": lambda grid: grid._repr_mimebundle_(),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", LOOKS)
def test_the_hatch_of_what_writes_nothing_follows_the_weights_both_ways(name: str, monkeypatch: Any) -> None:
    model = tiny.fresh(LLAMA)
    before = copy.deepcopy(model.state_dict())
    grid = hg.HeadGrid(model)
    looked_at(grid)
    monkeypatch.setattr(ipython_events, "_watching", {grid._scheduler})
    assert hatched(grid) == []
    silence(model, 1, 3)
    LOOKS[name](grid)
    grid._scheduler.worker.join_idle(60)
    assert hatched(grid) == ["l1h3"]
    assert SILENT in str(grid.to_svg())
    with torch.no_grad():
        model.load_state_dict(before)
    grid.select("l2h1")
    LOOKS[name](grid)
    grid._scheduler.worker.join_idle(60)
    assert hatched(grid) == []
    assert SILENT not in str(grid.to_svg())


def test_the_note_of_a_cell_says_whether_it_writes_anything() -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    at = cell(grid, "l1h3")
    for n, zero in ((1, False), (2, True)):
        if zero:
            silence(model, 1, 3)
        grid.set_state({"focus": {"n": n, "cell": at, "ln": "folded"}})
        grid._scheduler.worker.join_idle(60)
        assert any("writes nothing" in note for note in grid.summary["notes"]) == zero
    page = str(hg.HeadGrid(model, select="l1h3").to_html())
    assert "writes nothing" in page


def test_colors_of_a_metric_say_when_the_weights_have_changed_since() -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    looked_at(grid)
    grid.color_by("ov_norm")
    label, values = grid.colors["label"], grid.colors["values"]
    grid.select("l0h0")
    grid._scheduler.worker.join_idle(60)
    assert grid.colors["label"] == label, "they are as true as before"
    with torch.no_grad():
        model.model.layers[2].self_attn.v_proj.weight.mul_(3.0)
    grid.select("l0h1")
    grid._scheduler.worker.join_idle(60)
    assert grid.colors["label"] == f"{label}, before the weights changed"
    assert "before the weights changed" in str(grid.to_svg())
    grid.color_by("ov_norm")
    assert grid.colors["label"] == label
    assert grid.colors["values"] != values
    expected = hg.scan(model).ov.norm.numpy().astype("<f4")
    found = np.frombuffer(grid.colors["values"], "<f4")
    assert np.array_equal(found[np.isfinite(found)], expected.ravel())


def test_numbers_of_the_user_s_own_stay_his_own() -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    looked_at(grid)
    grid.color_by(np.ones((3, 6)), label="mine")
    silence(model, 0, 1)
    grid.select("l0h1")
    grid._scheduler.worker.join_idle(60)
    assert grid.colors["label"] == "mine"


def test_heads_side_by_side_and_their_sum_are_read_anew_when_one_of_them_changed() -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model, select="l0h0 | l1h2 | l1h5 | l2h*")  # the first six of nine are shown side by side
    looked_at(grid)
    before = copy.deepcopy(grid.selected_heads)
    arrows = copy.deepcopy(grid.arrows)
    with torch.no_grad():
        model.model.layers[2].self_attn.o_proj.weight.mul_(2.0)
    ipython_events._watching.add(grid._scheduler)
    ipython_events._recheck_all()
    grid._scheduler.worker.join_idle(60)
    fresh = hg.HeadGrid(model, select="l0h0 | l1h2 | l1h5 | l2h*")
    looked_at(fresh)
    assert grid.selected_heads == fresh.selected_heads != before
    assert grid.arrows == fresh.arrows
    assert grid.arrows["arrows"]
    assert arrows["arrows"]


@pytest.mark.slow
def test_no_weight_is_read_on_the_thread_that_takes_the_messages(monkeypatch: Any) -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    looked_at(grid)
    readers: set[threading.Thread] = set()
    of = Slot.of

    def recorded(slot: Slot, tensor: torch.Tensor) -> torch.Tensor:
        readers.add(threading.current_thread())
        return of(slot, tensor)

    monkeypatch.setattr(Slot, "of", recorded)
    acts: list[Callable[[], object]] = [
        lambda: grid.set_state({"focus": {"n": 1, "cell": cell(grid, "l1h3"), "ln": "folded"}}),
        lambda: click(grid, "l0h1"),
        lambda: click(grid, "l1h2", "l1h3", "l2h0"),  # a step of a drag
        lambda: grid.undo(),
        lambda: grid.redo(),
        lambda: grid.set_state({"focus": {"n": 2, "cell": cell(grid, "l2 mlp"), "ln": "folded"}}),
        lambda: grid.set_state({"focus": {"n": 3, "cell": cell(grid, "l1h3"), "ln": "folded"}}),  # once more
    ]
    for trained in (False, True):
        for act in acts:
            readers.clear()
            if trained:
                with torch.no_grad():
                    model.model.layers[1].self_attn.v_proj.weight.mul_(1.5)
            act()
            grid._scheduler.worker.join_idle(60)
            assert readers, "the worker sees whether anything has changed"
            assert threading.current_thread() not in readers
    assert grid.summary["pending"] == []
    fresh = hg.HeadGrid(model)
    fresh.set_state({"focus": {"n": 3, "cell": cell(grid, "l1h3"), "ln": "folded"}})
    fresh._scheduler.worker.join_idle(60)
    assert grid.summary["circuits"] == fresh.summary["circuits"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "words"),
    [("gpt2", ["l1h2", "l1 mlp"]), ("deepseek_v3", ["l1h2", "l1e3"]), ("gpt_oss", ["l1h2", "l1e3"])],
)
def test_every_weight_that_a_summary_is_made_of_makes_it_stale_when_it_changes(family: str, words: list[str]) -> None:
    model = tiny.fresh(family)
    kept, at, places = cache(model)
    weights = hg.Weights(model)
    near = [slot.parameter for slot in weights.anatomy.slots if slot.layer in (None, 1)]
    for cell_of_word in map(at, words):
        mattered = 0
        for parameter in map(model.get_parameter, dict.fromkeys(near)):
            before, old = kept.read(cell_of_word, "folded").circuits, parameter.detach().clone()
            parameter.data.mul_(1.5)
            if SummaryCache(weights, None, places).read(cell_of_word, "folded").circuits != before:
                mattered += 1
                assert kept.known(cell_of_word, "folded") is None
            parameter.data.copy_(old)
        assert mattered >= 2


# ---- where there is nothing to read


def test_a_model_on_the_meta_device_offers_no_tab_that_could_only_fail() -> None:
    with torch.device("meta"):
        model = tiny.fresh(LLAMA)
    assert all(parameter.is_meta for parameter in model.parameters())
    grid = hg.HeadGrid(model, select="l0h0 | l1h2")
    looked_at(grid)
    grid.set_state({"focus": {"n": 1, "cell": cell(grid, "l1h2"), "ln": "folded"}})
    grid._scheduler.worker.join_idle(60)
    assert (grid.summary["tabs"], grid.summary["pending"], grid.summary["circuits"]) == ([], [], [])
    assert any("on the meta device" in note for note in grid.summary["notes"])
    assert grid.summary["locations"], "where they are stored is known all the same"
    assert grid.spec["metrics"] == []
    assert grid.selected_heads["heads"] == []
    assert not grid.selected_heads["pending"]
    with pytest.raises(ValueError, match="it has no weights to read, so give an array"):
        grid.color_by("ov_norm")
    page = str(grid.to_html())
    assert "on the meta device" in page
    assert '"error":"' not in page.replace('"error":""', "")


def test_tabs_come_and_go_with_the_weights_of_each_cell() -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    looked_at(grid)

    def tabs(n: int, word: str) -> list[str]:
        grid.set_state({"focus": {"n": n, "cell": cell(grid, word), "ln": "folded"}})
        grid._scheduler.worker.join_idle(60)
        assert not any(circuit["error"] for circuit in grid.summary["circuits"])
        return list(grid.summary["tabs"])

    assert tabs(1, "l1h2") == ["ov", "qk", "composition"]
    state = copy.deepcopy(model.state_dict())
    model.model.layers[1].to("meta")
    assert (tabs(2, "l1h2"), tabs(3, "l1 mlp")) == ([], [])
    assert tabs(4, "l2 mlp") == ["mlp"]
    model.model.layers[1].to_empty(device="cpu")
    model.load_state_dict(state)
    assert tabs(5, "l1h2") == ["ov", "qk", "composition"]


# ---- copies


def test_a_copy_has_all_of_a_grid_and_neither_changes_the_other() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l0h1 | l1 mlp n3")
    grid.saved["a"] = "l1h2"
    grid.color_by("ov_norm", label="norm")
    other = copy.copy(grid)
    names = ("cells", "partial", "text", "saved", "colors", "spec")
    assert {name: other.get_state(name)[name] for name in names} == {name: grid.get_state(name)[name] for name in names}
    other.color_by(np.ones((3, 6)), label="ones")
    other.select("l2h0")
    other.saved["b"] = "l2h2"
    grid.saved.color("a", "#123456")
    assert (grid.colors["label"], str(grid.selection), list(grid.saved)) == ("norm", "l0h1 | l1 mlp n3", ["a"])
    assert (other.colors["label"], list(other.saved), other.saved.colors["a"]) == ("ones", ["a", "b"], "#0072b2")
    assert other.undo() == grid.selection
    assert other.model is grid.model
    assert str(hg.HeadGrid(tiny.config(LLAMA), select="l0h1").copy().selection) == "l0h1"


def test_an_interrupt_before_the_answers_are_forgotten_keeps_no_old_one(monkeypatch: Any) -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    at, cache = cell(grid, "l1h2"), grid._scheduler.cache
    cache.read(at, "raw")
    with torch.no_grad():
        model.model.layers[1].self_attn.v_proj.weight.mul_(2.0)
    with monkeypatch.context() as patch:

        def interrupt() -> None:
            raise KeyboardInterrupt

        patch.setattr(cache, "_forget", interrupt)
        with pytest.raises(KeyboardInterrupt):
            cache.known(at, "raw")
    assert cache.known(at, "raw") is None
