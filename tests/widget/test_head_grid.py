"""The widget's Python side; `set_state` is what a message from the browser calls."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import traitlets
from grids import LLAMA, Held, by_title, focus, on, sent, settled, spoilt
from hands import ask, cell, click
from ipywidgets.widgets.widget import _remove_buffers

import headgrid as hg
from headgrid.circuits.progress import Cancelled
from headgrid.circuits.scan import scan
from headgrid.widget.compute.summary_cache import CellSummary, SummaryCache
from headgrid.widget.wire import schema
from headgrid.widget.wire.schema import pack, unpack


def test_a_click_changes_the_selection_and_the_masks() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    click(grid, "l1h2")
    assert repr(grid.selection) == "Selection('l1h2')"
    expected = grid.anatomy.select("l1h2").masks()
    assert list(grid.masks) == list(expected)
    assert all(torch.equal(grid.masks[name], mask) for name, mask in expected.items())
    click(grid, "l1h2")
    assert not grid.selection
    assert grid.masks == {}


def test_a_click_is_answered_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    states = sent(grid, monkeypatch)
    click(grid, "l1h2")
    assert states == [{"cells", "partial", "text", "history"}]


def test_selecting_in_python_moves_the_cells_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    states = sent(grid, monkeypatch)
    assert grid.select("l0h1 | l2 mlp n3") == grid.anatomy.select("l0h1 | l2 mlp n3")
    assert on(grid) == ["l0h1"]
    assert states == [{"cells", "partial", "text", "history"}]
    assert grid.text["selection"] == "l0h1 | l2 mlp n3"
    assert grid.text["counts"] == "1 head, parts of 1 MLP; the head's K and V also serve heads 0, 2"
    assert (grid.text["n_selected"], grid.text["n_params"]) == (grid.selection.n_params, grid.anatomy.n_params)


def test_the_selection_takes_what_select_takes_and_tells_its_observers() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="embed")
    seen: list[str] = []
    grid.observe(lambda change: seen.append(f"{change['old']} -> {change['new']}"), "selection")
    grid.selection = ["l0h1", (1, 2)]
    click(grid, "l0h1")
    grid.selection = grid.selection
    assert seen == ["embed -> l0h1 | l1h2", "l0h1 | l1h2 -> l1h2"]


def test_a_fault_in_python_raises_and_changes_nothing() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l0h1")
    with pytest.raises(hg.SelectionError, match="there is no layer 7"):
        grid.select("l7")
    with pytest.raises(hg.SelectionError, match="there is no layer 7"):
        grid.selection = "l7"
    with pytest.raises(ValueError, match="another model"):
        grid.selection = hg.dissect(tiny.model("gpt2")).select("l0h1")
    assert str(grid.selection) == "l0h1"
    assert on(grid) == ["l0h1"]


def test_a_query_selects_and_is_answered_by_its_number() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    ask(grid, 1, "L1H2, embed")
    assert on(grid) == ["embed", "l1h2"]
    assert (grid.text["query"], grid.text["error"]) == (1, None)
    ask(grid, 2, "embed | l1h2")
    assert (grid.text["query"], grid.text["error"]) == (2, None), "the same selection is an answer as well"


def test_a_bad_query_shows_its_place_in_utf16_and_keeps_the_selection() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l0h1")
    ask(grid, 1, "l1h2 | l9")
    assert grid.text["error"] == {
        "message": "there is no layer 9; this model's layers are 0 to 2",
        "start": 8,
        "end": 9,
    }
    assert str(grid.selection) == "l0h1"
    ask(grid, 2, "\N{GRINNING FACE}")
    assert (grid.text["error"]["start"], grid.text["error"]["end"]) == (0, 2)
    click(grid, "l0h2")
    assert grid.text["error"] is None, "the next change clears the fault"


@pytest.mark.parametrize("garbage", [b"", b"\xff" * 5, b"\0" * 99, "text", None])
def test_cells_that_no_browser_sends_are_refused_and_the_state_is_sent_back(
    garbage: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l0h1")
    states = sent(grid, monkeypatch)
    grid.set_state({"cells": garbage})
    assert on(grid) == ["l0h1"]
    assert "The browser sent" in grid.text["error"]["message"]
    assert "It was refused." in grid.text["error"]["message"]
    assert any("cells" in state for state in states)


@pytest.mark.parametrize(
    "garbage",
    [None, {}, {"n": "1", "text": "l0"}, {"n": 1, "text": 3}, "l0", {"n": 1, "cell": 2, "metric": "", "ln": "both"}],
)
def test_a_command_focus_or_color_that_no_browser_sends_is_refused(garbage: object) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l0h1")
    grid.set_state({"commands": garbage, "focus": garbage, "recolor": garbage})
    assert str(grid.selection) == "l0h1"
    assert "It was refused." in grid.text["error"]["message"]
    assert (grid.commands, grid.text["query"], grid.history["done"]) == ([], 0, 0)
    assert grid.focus == {"n": 0, "cell": -1, "ln": "folded"}
    assert grid.recolor == {"n": 0, "metric": "", "ln": "folded"}


def test_a_focus_is_answered_by_where_the_weights_are() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    grid.set_state({"focus": {"n": 4, "cell": cell(grid, "l1h4"), "ln": "folded"}})
    summary = grid.summary
    assert (summary["focus"], summary["title"], summary["name"]) == (4, "l1h4", "layer 1 head 4")
    places = {place["role"]: place for place in summary["locations"]}
    assert places["W_Q"]["index"] == "[40:50, :]"
    assert places["W_K"] == {
        "role": "W_K",
        "parameter": "model.layers.1.self_attn.k_proj.weight",
        "index": "[10:20, :]",
        "shape": "48 x 10",
        "count": 480,
    }
    assert sum(place["count"] for place in summary["locations"]) == grid.anatomy.select("l1h4").n_params
    assert summary["notes"] == ["Heads 3, 4, 5 share key/value head 1: its weights are theirs as well."]
    grid.set_state({"focus": {"n": 5, "cell": 10_000, "ln": "folded"}})
    assert (grid.summary["focus"], grid.summary["cell"], grid.summary["locations"]) == (5, -1, [])


def test_every_cells_places_add_up_to_its_parameters() -> None:
    grid = hg.HeadGrid(tiny.model("gemma3"))
    for i in range(grid._state.cells.n_cells):
        grid.set_state({"focus": {"n": i + 1, "cell": i, "ln": "folded"}})
        assert (
            sum(place["count"] for place in grid.summary["locations"])
            == grid.anatomy.select(grid.summary["title"]).n_params
        )


def test_a_tied_embedding_says_so() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"))
    grid.set_state({"focus": {"n": 1, "cell": cell(grid, "embed"), "ln": "folded"}})
    assert grid.summary["notes"] == ["lm_head.weight is the same tensor as transformer.wte.weight."]


def test_heads_and_mlps_that_write_nothing_are_marked() -> None:
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        for name, mask in (
            hg.dissect(model).select("l1h2.o | l0 mlp.W_out | l0 mlp.b_out | l2 mlp.W_out").masks().items()
        ):
            model.get_parameter(name).masked_fill_(torch.tensor(True) if mask is None else mask, 0)
    grid = hg.HeadGrid(model)
    zero = unpack(grid.spec["zero"], grid._state.cells.n_cells)
    assert [grid._state.cells.describe(int(i))[0] for i in np.flatnonzero(zero)] == ["l0 mlp", "l1h2"]
    grid.set_state({"focus": {"n": 1, "cell": cell(grid, "l1h2"), "ln": "folded"}})
    assert "writes nothing" in grid.summary["notes"][0]


def test_a_grid_needs_no_weights() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA), select="l1h2")
    assert grid.model is None
    assert not any(grid.spec["zero"])
    assert on(grid) == ["l1h2"]


def test_the_spec_is_fixed() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    with pytest.raises(traitlets.TraitError, match="read-only"):
        grid.spec = {}


def large() -> hg.HeadGrid:
    config = tiny.config(LLAMA)
    config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads = 126, 128, 8
    return hg.HeadGrid(config)


def size(state: dict[str, Any]) -> int:
    """The bytes of a state as they cross the wire."""
    rest, paths, buffers = _remove_buffers(state)
    message = json.dumps({"method": "update", "state": rest, "buffer_paths": paths}, ensure_ascii=False)
    return len(message.encode()) + sum(map(len, buffers))


def test_a_grid_of_16128_heads_stays_small_on_the_wire() -> None:
    grid = large()
    state = {name: value for name, value in grid.get_state().items() if name not in ("_esm", "_css")}
    assert grid._state.cells.n_cells > 16_128
    assert size(state) < 50_000


@pytest.mark.slow
def test_a_click_on_16128_heads_is_answered_in_6_kb(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = large()
    rng = np.random.default_rng(0)
    words = [f"l{rng.integers(126)}h{rng.integers(128)}" for _ in range(100)]
    grid.select(words)
    states = sent(grid, monkeypatch)
    click(grid, "l77h3")
    names = {name for state in states for name in state}
    assert names == {"cells", "partial", "text", "history"}
    assert size(grid.get_state(names)) < 6_000


def test_the_repr_draws_the_grid_and_the_selection() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"), select="l1h2 | l0 mlp | l0h1.q")
    assert repr(grid).splitlines() == [
        "HeadGrid(GPT2LMHeadModel (gpt2), 3 layers x 4 heads): l1h2 | l0h1.q | l0 mlp",
        "   embed pos",
        "     .    .",
        "    ln1 0 1 2 3 b_O ln2 MLP",
        "  0  .  . + . .  .   .   #",
        "  1  .  . . # .  .   .   .",
        "  2  .  . . . .  .   .   .",
        "   ln_final",
        "      .",
    ]


def test_a_viewer_without_widgets_gets_a_picture_and_a_text() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"), select="l1h2")
    data, _ = grid._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/html", "text/plain"}
    assert data["text/plain"] == repr(grid)
    assert "<svg" in data["text/html"]
    assert "l1h2" in data["text/html"]
    assert "<script" not in data["text/html"]


# ---- what is read beside the message loop


def test_a_focus_is_answered_at_once_and_then_with_its_circuits() -> None:
    grid = hg.HeadGrid(*hg.demo())
    pending: list[list[str]] = []
    grid.observe(lambda change: pending.append(change["new"]["pending"]), "summary")
    focus(grid, 1, "l1h3")
    assert pending[0] == ["ov", "qk", "composition"]
    summary = settled(grid).summary
    assert pending == [["ov", "qk", "composition"], ["ov", "qk", "composition"], ["ov", "qk"], []]
    assert [circuit["title"] for circuit in summary["circuits"]] == ["OV", "QK"]
    assert (summary["title"], summary["tabs"]) == ("l1h3", ["ov", "qk", "composition"])
    assert summary["partners"]["arrows"]
    assert summary["locations"], "what was said at once stays"


def test_what_has_no_circuits_has_no_tabs() -> None:
    grid = hg.HeadGrid(*hg.demo())
    for n, (word, tabs) in enumerate({"embed": [], "l0 ln1": [], "l0 mlp": ["mlp"], "ln_final": []}.items(), 1):
        focus(grid, n, word)
        assert (settled(grid).summary["tabs"], grid.summary["pending"]) == (tabs, [])
    grid.set_state({"focus": {"n": 9, "cell": -1, "ln": "raw"}})
    assert (grid.summary["cell"], grid.summary["ln"], grid.summary["tabs"]) == (-1, "raw", [])


def test_a_stale_answer_never_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    shown: list[tuple[int, int]] = []
    grid.observe(lambda change: shown.append((change["new"]["focus"], len(change["new"]["circuits"]))), "summary")
    held = Held(monkeypatch, "read_all")
    focus(grid, 1, "l1h3")
    assert held.begun.wait(60)
    focus(grid, 2, "l0 mlp")
    held.go.set()
    assert settled(grid).summary["title"] == "l0 mlp"
    assert shown == [(1, 0), (2, 0), (2, 2)]


def test_what_nobody_waits_for_any_more_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    begun, go, stopped = threading.Event(), threading.Event(), []

    def endless(cache: SummaryCache, number: int, ln: schema.Ln, cancelled: Callable[[], bool]) -> Any:
        begun.set()
        assert go.wait(60)
        stopped.append(cancelled())
        yield cache.read(number, ln)

    monkeypatch.setattr(SummaryCache, "deepen", endless)
    focus(grid, 1, "l1h3")
    assert begun.wait(60)
    focus(grid, 2, "embed")
    go.set()
    assert settled(grid).summary["title"] == "embed"
    assert stopped == [True]


def test_an_answer_to_another_question_is_not_shown() -> None:
    grid = hg.HeadGrid(*hg.demo())
    focus(grid, 1, "embed")
    first = grid.summary
    focus(grid, 2, "l0 ln1")
    grid._scheduler._show(first, CellSummary([], None, []))
    assert grid.summary["title"] == "l0 ln1"


def test_a_click_only_queues_what_it_leads_to(monkeypatch: pytest.MonkeyPatch) -> None:
    here = threading.current_thread()
    for name in ("read_all", "deepen", "summed", "composed", "scans"):
        original = getattr(SummaryCache, name)

        def elsewhere(*given: Any, original: Callable[..., Any] = original, **named: Any) -> Any:
            assert threading.current_thread() is not here
            return original(*given, **named)

        monkeypatch.setattr(SummaryCache, name, elsewhere)
    grid = hg.HeadGrid(*hg.demo())
    click(grid, "l0h0", "l1h3")
    focus(grid, 1, "l1h3")
    grid.set_state({"recolor": {"n": 1, "metric": "copying_score", "ln": "folded"}})
    settled(grid)
    assert len(grid.selected_heads["heads"]) == 2
    assert grid.summary["circuits"]
    assert grid.colors["recolor"] == 1


def test_a_second_visit_is_answered_in_one_message_and_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    focus(grid, 1, "l1h3")
    first = settled(grid).summary
    focus(grid, 2, "embed")
    monkeypatch.setattr(SummaryCache, "read_all", None)
    states = sent(grid, monkeypatch)
    focus(grid, 3, "l1h3")
    assert grid.summary == {**first, "focus": 3}
    settled(grid)
    assert states == [{"summary"}]


def test_folded_and_raw_are_two_answers() -> None:
    grid = hg.HeadGrid(*hg.demo())
    spectra = []
    for n, ln in enumerate(("folded", "raw"), 1):
        focus(grid, n, "l1h3", ln)
        assert settled(grid).summary["ln"] == ln
        spectra.append(grid.summary["circuits"][0]["spectrum"])
    weights = hg.Weights(grid.model)
    assert spectra[1] == pytest.approx(weights.W_OV[1, 3].singular_values().tolist(), rel=1e-5)
    assert spectra[0] != spectra[1]


def test_a_change_of_the_model_in_place_gives_another_summary() -> None:
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer)
    focus(grid, 1, "l1h3", "raw")
    before = settled(grid).summary["circuits"][0]["spectrum"]
    with torch.no_grad():
        model.get_parameter("transformer.h.1.attn.c_proj.weight").mul_(2)
    focus(grid, 2, "l1h3", "raw")
    after = settled(grid).summary["circuits"][0]["spectrum"]
    assert after == pytest.approx([2 * value for value in before], rel=1e-4)


@pytest.mark.parametrize("clicked", ["l1h3", "l0h0", "l0 mlp"])
def test_any_click_finds_that_the_head_that_is_shown_has_changed(clicked: str) -> None:
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer)
    focus(grid, 1, "l1h3", "raw")
    before = settled(grid).summary["circuits"][0]["spectrum"]
    with torch.no_grad():
        model.get_parameter("transformer.h.1.attn.c_proj.weight").mul_(2)
    click(grid, clicked)  # the browser asks for no other cell
    after = settled(grid).summary
    assert (after["focus"], after["title"], after["pending"]) == (1, "l1h3", [])
    assert after["circuits"][0]["spectrum"] == pytest.approx([2 * value for value in before], rel=1e-4)


def test_a_click_that_finds_no_change_reads_nothing_again(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    focus(grid, 1, "l1h3")
    settled(grid)
    states = sent(grid, monkeypatch)
    click(grid, "l0 mlp")
    settled(grid)
    assert all("summary" not in state for state in states)


def test_a_change_of_the_model_that_a_visit_finds_is_seen_in_the_comparison() -> None:
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer)
    click(grid, "l0h0", "l1h3")
    focus(grid, 1, "l1h3")
    before = settled(grid).selected_heads["summed"]["spectrum"]
    with torch.no_grad():
        model.get_parameter("transformer.h.1.attn.c_proj.weight").zero_()
    focus(grid, 2, "l1h3")
    after = settled(grid).selected_heads["summed"]["spectrum"]
    focus(grid, 3, "l0h0")
    alone = settled(grid).summary["circuits"][0]["spectrum"]
    assert after[: len(alone)] == pytest.approx(alone, rel=1e-4)
    assert before[: len(alone)] != pytest.approx(alone, rel=1e-4)


def test_what_fails_is_said_where_it_would_stand() -> None:
    grid = hg.HeadGrid(spoilt(LLAMA, "l1h4.W_Q", math.nan))
    focus(grid, 1, "l1h4")
    shown = by_title(CellSummary(settled(grid).summary["circuits"], None, []))
    assert "model.layers.1.self_attn.q_proj.weight" in shown["QK"]["error"]
    assert (shown["OV"]["error"], grid.summary["pending"]) == ("", [])
    assert "q_proj" in grid.summary["partners"]["error"]
    grid.set_state({"recolor": {"n": 3, "metric": "qk_norm", "ln": "folded"}})
    assert "q_proj" in settled(grid).colors["error"]
    assert (grid.colors["recolor"], grid.colors["label"]) == (3, "")
    click(grid, "l1h4", "l2h4")
    assert "q_proj" in settled(grid).arrows["note"]
    assert [head["title"] for head in grid.selected_heads["heads"]] == ["l1h4", "l2h4"]
    assert not grid.selected_heads["pending"]


@pytest.mark.parametrize("name", ["read_all", "deepen", "summed", "composed", "scans"])
def test_no_fault_is_silent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(*given: object, **named: object) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(SummaryCache, name, bad)
    grid = hg.HeadGrid(*hg.demo())
    focus(grid, 1, "l1h3")
    click(grid, "l0h0", "l1h3")
    grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
    settled(grid)
    said = {
        "read_all": [*(circuit["error"] for circuit in grid.summary["circuits"]), str(grid.selected_heads["summed"])],
        "deepen": [circuit["error"] for circuit in grid.summary["circuits"]],
        "summed": [str(grid.selected_heads["summed"])],
        "composed": [grid.arrows["note"]],
        "scans": [grid.colors["error"]],
    }[name]
    assert any("RuntimeError: out of memory" in text for text in said)
    assert grid.summary["pending"] == []
    assert not grid.selected_heads["pending"]
    assert grid.progress["total"] == 0


def test_a_config_has_nothing_to_read_and_queues_nothing() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA))
    click(grid, "l0h1", "l1h2")
    focus(grid, 1, "l1h2")
    assert (grid.summary["tabs"], grid.summary["pending"], grid.spec["metrics"]) == ([], [], [])
    assert grid._scheduler.worker._thread is None
    grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
    assert "no weights to read" in grid.colors["error"]
    assert grid._scheduler.worker._thread is None


# ---- several heads


def test_selected_heads_are_compared_and_joined_by_arrows() -> None:
    grid = hg.HeadGrid(*hg.demo())
    click(grid, "l0h0", "l1h3", "l1h2")
    comparison = settled(grid).selected_heads
    assert [head["title"] for head in comparison["heads"]] == ["l0h0", "l1h2", "l1h3"]
    assert (comparison["n_heads"], comparison["pending"], comparison["ln"]) == (3, False, "folded")
    weights = hg.Weights(grid.model)
    total = sum(weights.W_OV[at].dense() for at in ((0, 0), (1, 2), (1, 3)))
    focus(grid, 1, "l1h3", "raw")
    raw = settled(grid).selected_heads
    assert raw["ln"] == "raw"
    assert raw["summed"]["spectrum"][0] == pytest.approx(float(torch.linalg.matrix_norm(total, 2)), rel=1e-4)
    kinds = {(arrow["source"], arrow["target"]) for arrow in grid.arrows["arrows"]}
    assert kinds <= {(cell(grid, "l0h0"), cell(grid, "l1h2")), (cell(grid, "l0h0"), cell(grid, "l1h3"))}
    assert [arrow["z"] for arrow in grid.arrows["arrows"]] == sorted(
        (arrow["z"] for arrow in grid.arrows["arrows"]), reverse=True
    )


def test_what_is_still_selected_stays_while_the_rest_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    click(grid, "l0h0", "l1h3", "l0h1")
    settled(grid)
    assert grid.arrows["arrows"]
    held = Held(monkeypatch, "read_all")
    click(grid, "l0h0")
    assert held.begun.wait(60)
    assert [head["title"] for head in grid.selected_heads["heads"]] == ["l0h1", "l1h3"]
    assert (grid.selected_heads["pending"], grid.selected_heads["summed"]) == (True, None)
    assert cell(grid, "l0h0") not in {arrow["source"] for arrow in grid.arrows["arrows"]}
    held.go.set()
    assert not settled(grid).selected_heads["pending"]
    click(grid, "l0h1")
    assert (grid.selected_heads["heads"], grid.selected_heads["pending"], grid.arrows["arrows"]) == ([], False, [])


def test_only_the_first_of_many_heads_are_compared() -> None:
    grid = hg.HeadGrid(*hg.demo())
    ask(grid, 1, "l*h*")
    comparison = settled(grid).selected_heads
    assert (len(comparison["heads"]), comparison["n_heads"]) == (6, 8)
    assert comparison["summed"]["title"] == "sum of OV"
    assert len(grid.arrows["arrows"]) <= 3 * 16


def test_arrows_say_why_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    click(grid, "l0h0", "l0h1")
    assert "in one layer" in settled(grid).arrows["note"]
    monkeypatch.setattr("headgrid.widget.compute.selected_heads.MOST_COMPOSED", 3)
    click(grid, "l1h0", "l1h1")
    assert settled(grid).arrows["note"] == "Arrows are drawn among at most 3 heads: 4 are selected."
    assert len(grid.selected_heads["heads"]) == 4, "all are compared all the same"


def test_heads_of_several_stacks_are_compared_each_with_its_own() -> None:
    grid = hg.HeadGrid(tiny.model("bart"))
    click(grid, "encoder l0h1", "encoder l2h3", "decoder l0h2", "decoder l1h3")
    comparison = settled(grid).selected_heads
    assert [head["title"] for head in comparison["heads"]] == [
        "encoder l0h1", "encoder l2h3", "decoder l0h2", "decoder l1h3",
    ]  # fmt: skip
    assert comparison["summed"] is None
    ends = {(arrow["source"], arrow["target"]) for arrow in grid.arrows["arrows"]}
    assert ends <= {
        (cell(grid, "encoder l0h1"), cell(grid, "encoder l2h3")),
        (cell(grid, "decoder l0h2"), cell(grid, "decoder l1h3")),
    }


def test_nothing_is_compared_until_somebody_may_look() -> None:
    grid = hg.HeadGrid(*hg.demo(), select="l0h0 | l1h3")
    grid.select("l0h1 | l1h3")
    assert grid._scheduler.worker._thread is None
    grid._repr_mimebundle_()
    assert [head["title"] for head in settled(grid).selected_heads["heads"]] == ["l0h1", "l1h3"]
    grid.select("l0h1 | l1h2")
    assert [head["title"] for head in settled(grid).selected_heads["heads"]] == ["l0h1", "l1h2"]


def test_a_click_on_something_else_does_not_compare_again(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    click(grid, "l0h0", "l1h3")
    settled(grid)
    states = sent(grid, monkeypatch)
    click(grid, "l0 mlp")
    assert (settled(grid).selected_heads["pending"], states) == (False, [{"cells", "text", "history"}])


# ---- colors that the browser asks for


def test_the_browser_asks_for_colors_by_number() -> None:
    grid = hg.HeadGrid(*hg.demo())
    grid.set_state({"recolor": {"n": 4, "metric": "ov_top", "ln": "raw"}})
    found = settled(grid).colors
    assert (found["recolor"], found["metric"], found["ln"], found["error"]) == (4, "ov_top", "raw", "")
    top = scan(grid.model, ("ov",), ln="raw").metrics()["ov_top"]
    shown = np.frombuffer(found["values"], dtype="<f4")
    assert shown[cell(grid, "l1h3")] == pytest.approx(float(top[1, 3]))
    assert np.isnan(shown[cell(grid, "l0 mlp")])
    grid.set_state({"recolor": {"n": 5, "metric": "", "ln": "raw"}})
    assert (grid.colors["recolor"], grid.colors["label"], grid.colors["values"]) == (5, "", b"")
    grid.set_state({"recolor": {"n": 6, "metric": "kopying", "ln": "raw"}})
    assert (grid.colors["recolor"], grid.colors["label"]) == (6, "")
    assert "'kopying' is no number" in grid.colors["error"]


class Scanning:
    """Stands in for `headgrid.scan`: it reports a step, waits, and asks whether it should stop."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go, self.stopped = threading.Event(), threading.Event(), threading.Event()
        monkeypatch.setattr("headgrid.widget.compute.summary_cache.scan", self)
        monkeypatch.setattr("headgrid.widget.compute.coloring.EACH", 0.0)

    def __call__(self, *given: Any, progress: Any, cancelled: Callable[[], bool], **named: Any) -> Any:
        progress(1, 2)
        self.begun.set()
        assert self.go.wait(60)
        if cancelled():
            self.stopped.set()
            raise Cancelled
        return scan(*given, **named)


def test_a_scan_shows_its_progress_and_stops_when_no_colors_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    scanning = Scanning(monkeypatch)
    grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
    assert scanning.begun.wait(60)
    assert grid.progress == {"label": "reading every head", "done": 1, "total": 2}
    grid.set_state({"recolor": {"n": 2, "metric": "", "ln": "folded"}})
    assert grid.progress["total"] == 0
    scanning.go.set()
    settled(grid)
    assert scanning.stopped.is_set()
    assert (grid.colors["recolor"], grid.colors["label"]) == (2, "")


def test_python_has_the_last_word_on_colors_over_a_scan_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    scanning = Scanning(monkeypatch)
    grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
    assert scanning.begun.wait(60)
    grid.color_by(np.ones((2, 4)), label="mine")
    scanning.go.set()
    settled(grid)
    assert (grid.colors["label"], grid.colors["recolor"], grid.progress["total"]) == ("mine", 1, 0)


@pytest.mark.parametrize(("chosen", "label"), [(np.ones((2, 4)), "mine"), (None, "")], ids=["values", "no colors"])
def test_what_python_chose_after_a_question_of_the_browser_stays_when_views_go_and_come_back(
    chosen: Any, label: str
) -> None:
    grid = hg.HeadGrid(*hg.demo())
    grid.set_state({"_view_count": 1, "recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
    assert settled(grid).colors["metric"] == "ov_norm"
    grid.color_by(chosen, label=label or None)
    for views in (0, 1):
        grid._view_count = views
        settled(grid)
    assert (grid.colors["metric"], grid.colors["label"]) == ("", label)


def test_a_focus_is_answered_while_a_scan_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    answered = threading.Event()
    grid.observe(lambda change: answered.set() if change["new"]["circuits"] else None, "summary")
    begun = threading.Event()

    def endless(*given: Any, cancelled: Callable[[], bool], **named: Any) -> Any:
        begun.set()
        while not answered.is_set():
            assert not cancelled()
        return scan(*given, **{**named, "progress": False})

    monkeypatch.setattr("headgrid.widget.compute.summary_cache.scan", endless)
    grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
    assert begun.wait(60)
    focus(grid, 1, "l1h3")
    assert answered.wait(60)
    assert settled(grid).colors["metric"] == "ov_norm"


def test_a_scan_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
    settled(grid)
    monkeypatch.setattr("headgrid.widget.compute.summary_cache.scan", None)
    grid.set_state({"recolor": {"n": 2, "metric": "ov_top", "ln": "folded"}})
    assert (settled(grid).colors["metric"], grid.colors["error"]) == ("ov_top", "")
    grid.color_by("ov_stable_rank")
    assert grid.colors["metric"] == "ov_stable_rank"


# ---- the kernel


def test_on_a_kernels_loop_everything_is_written_by_the_loops_thread() -> None:
    grid = hg.HeadGrid(*hg.demo())
    threads: set[threading.Thread] = set()
    grid.observe(
        lambda change: threads.add(threading.current_thread()), ["summary", "selected_heads", "arrows", "colors"]
    )

    async def kernel() -> None:
        done = asyncio.Event()
        wanted = {"summary": False, "selected_heads": False, "colors": False}

        def ready(change: Any) -> None:
            new = change["new"]
            wanted[change["name"]] = not new.get("pending") and bool(new.get("label", True))
            if all(wanted.values()):
                done.set()

        grid.observe(ready, list(wanted))
        click(grid, "l0h0", "l1h3")
        focus(grid, 1, "l1h3")
        grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
        await asyncio.wait_for(done.wait(), 120)

    asyncio.run(kernel())
    assert threads == {threading.current_thread()}
    settled(grid)


def test_python_has_the_last_word_on_colors_that_wait_for_the_loop() -> None:
    grid = hg.HeadGrid(*hg.demo())

    async def kernel() -> None:
        grid.set_state({"recolor": {"n": 1, "metric": "ov_norm", "ln": "folded"}})
        worker = grid._scheduler.worker
        with worker._state:  # it has ended, and what it found waits until this cell of the notebook has
            assert worker._state.wait_for(lambda: worker._outbox and not worker._running, 60)
        grid.color_by("qk_top")
        await asyncio.sleep(0)
        settled(grid)

    asyncio.run(kernel())
    assert (grid.colors["metric"], grid.progress["total"]) == ("qk_top", 0)


@pytest.mark.slow
@pytest.mark.parametrize("read", [False, True])
def test_a_closed_grid_lets_go_of_its_model(read: bool) -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    if read:
        grid.select("l0h0 | l1h1")
        focus(grid, 1, "l1h1")
        settled(grid).color_by("ov_norm")
    held = weakref.ref(grid), weakref.ref(model)
    grid.close()
    del grid, model
    gc.collect()
    assert [one() for one in held] == [None, None]


def test_a_closed_grid_computes_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(*hg.demo())
    held = Held(monkeypatch, "read_all")
    focus(grid, 1, "l1h3")
    assert held.begun.wait(60)
    grid.close()
    held.go.set()
    assert grid._scheduler.worker.join_idle(60)
    assert grid.summary["circuits"] == []


def test_an_observer_that_selects_in_turn_leaves_no_half_of_what_was_selected_before() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA))
    grid.observe(lambda change: grid.select(change["new"] | "l2h5"), "selection")
    for n, text in enumerate(("l0h1 | l1h4.W_O", "l1h4 | l0 mlp n3"), 1):
        ask(grid, n, text)
        on, partial = grid._state.cells.coverage(grid.selection.parts)
        assert "l2h5" in grid.selection
        assert (grid.cells, grid.partial) == (pack(on), pack(partial))
        assert (grid.text["selection"], grid.text["query"]) == (str(grid.selection), n)
