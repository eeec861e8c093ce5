"""The widget's Python side; `set_state` is what a message from the browser calls."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
import traitlets

import headgrid as hg
from headgrid.widget.wire import pack, unpack

LLAMA = "llama with grouped-query attention"


def cell(grid: hg.HeadGrid, word: str) -> int:
    return next(i for i in range(grid._cells.n_cells) if grid._cells.describe(i)[0].strip() == word)


def on(grid: hg.HeadGrid) -> list[str]:
    bits = unpack(grid.cells, grid._cells.n_cells)
    return [grid._cells.describe(int(i))[0] for i in np.flatnonzero(bits)]


def click(grid: hg.HeadGrid, *words: str) -> None:
    bits = unpack(grid.cells, grid._cells.n_cells).copy()
    for word in words:
        bits[cell(grid, word)] ^= True
    grid.set_state({"cells": memoryview(pack(bits))})


def sent(grid: hg.HeadGrid, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The traits of each message that goes to the browser from now on; echoes of its own messages are left out."""
    states: list[set[str]] = []

    def send(message: dict[str, dict[str, object] | list[list[str]]], buffers: object = None) -> None:
        if message["method"] == "update":
            states.append({*message["state"], *(path[0] for path in message["buffer_paths"])})

    monkeypatch.setattr(grid, "_send", send)
    return states


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


def test_a_click_is_answered_by_what_the_browser_does_not_know_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    states = sent(grid, monkeypatch)
    click(grid, "l1h2")
    assert states == [{"partial", "text"}], "the cells themselves never come back"


def test_selecting_in_python_moves_the_cells_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    states = sent(grid, monkeypatch)
    assert grid.select("l0h1 | l2 mlp n3") == grid.anatomy.select("l0h1 | l2 mlp n3")
    assert on(grid) == ["l0h1"]
    assert states == [{"cells", "partial", "text"}]
    assert grid.text["selection"] == "l0h1 | l2 mlp n3"
    assert grid.text["counts"] == "1 head, parts of 2 heads and 1 MLP"
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
    grid.set_state({"query": {"n": 1, "text": "L1H2, embed"}})
    assert on(grid) == ["embed", "l1h2"]
    assert (grid.text["query"], grid.text["error"]) == (1, None)
    grid.set_state({"query": {"n": 2, "text": "embed | l1h2"}})
    assert (grid.text["query"], grid.text["error"]) == (2, None), "the same selection is an answer as well"


def test_a_bad_query_shows_its_place_in_utf16_and_keeps_the_selection() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l0h1")
    grid.set_state({"query": {"n": 1, "text": "l1h2 | l9"}})
    assert grid.text["error"] == {
        "message": "there is no layer 9; this model's layers are 0 to 2",
        "start": 8,
        "end": 9,
    }
    assert str(grid.selection) == "l0h1"
    grid.set_state({"query": {"n": 2, "text": "\N{GRINNING FACE}"}})
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
    assert "the cells that the browser sent were refused" in grid.text["error"]["message"]
    assert any("cells" in state for state in states)


@pytest.mark.parametrize("garbage", [None, {}, {"n": "1", "text": "l0"}, {"n": 1, "text": 3}, "l0"])
def test_a_query_or_focus_that_no_browser_sends_is_refused(garbage: object) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l0h1")
    grid.set_state({"query": garbage, "focus": garbage})
    assert str(grid.selection) == "l0h1"
    assert "was refused" in grid.text["error"]["message"]
    assert grid.query == {"n": 0, "text": ""}
    assert grid.focus == {"n": 0, "cell": -1}


def test_a_focus_is_answered_by_where_the_weights_are() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    grid.set_state({"focus": {"n": 4, "cell": cell(grid, "l1h4")}})
    summary = grid.summary
    assert (summary["focus"], summary["title"], summary["name"]) == (4, "l1h4", "layer 1 head 4")
    places = {place["role"]: place for place in summary["places"]}
    assert places["W_Q"]["index"] == "[40:50, :]"
    assert places["W_K"] == {
        "role": "W_K",
        "parameter": "model.layers.1.self_attn.k_proj.weight",
        "index": "[10:20, :]",
        "shape": "48 x 10",
        "count": 480,
    }
    assert sum(place["count"] for place in summary["places"]) == grid.anatomy.select("l1h4").n_params
    assert summary["notes"] == ["Heads 3, 4, 5 share key/value head 1: its weights are theirs as well."]
    grid.set_state({"focus": {"n": 5, "cell": 10_000}})
    assert (grid.summary["focus"], grid.summary["cell"], grid.summary["places"]) == (5, -1, [])


def test_every_cells_places_add_up_to_its_parameters() -> None:
    grid = hg.HeadGrid(tiny.model("gemma3"))
    for i in range(grid._cells.n_cells):
        grid.set_state({"focus": {"n": i + 1, "cell": i}})
        assert (
            sum(place["count"] for place in grid.summary["places"])
            == grid.anatomy.select(grid.summary["title"]).n_params
        )


def test_a_tied_embedding_says_so() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"))
    grid.set_state({"focus": {"n": 1, "cell": cell(grid, "embed")}})
    assert grid.summary["notes"] == ["lm_head.weight is the same tensor as transformer.wte.weight."]


def test_heads_and_mlps_that_write_nothing_are_marked() -> None:
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        for name, mask in (
            hg.dissect(model).select("l1h2.o | l0 mlp.W_out | l0 mlp.b_out | l2 mlp.W_out").masks().items()
        ):
            model.get_parameter(name).masked_fill_(torch.tensor(True) if mask is None else mask, 0)
    grid = hg.HeadGrid(model)
    zero = unpack(grid.plan["zero"], grid._cells.n_cells)
    assert [grid._cells.describe(int(i))[0] for i in np.flatnonzero(zero)] == ["l0 mlp", "l1h2"]
    grid.set_state({"focus": {"n": 1, "cell": cell(grid, "l1h2")}})
    assert "writes nothing" in grid.summary["notes"][0]


def test_a_grid_needs_no_weights() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA), select="l1h2")
    assert grid.model is None
    assert not any(grid.plan["zero"])
    assert on(grid) == ["l1h2"]


def test_the_plan_is_fixed() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    with pytest.raises(traitlets.TraitError, match="read-only"):
        grid.plan = {}


def test_a_grid_of_16128_heads_stays_small_on_the_wire() -> None:
    config = tiny.config(LLAMA)
    config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads = 126, 128, 8
    grid = hg.HeadGrid(config)
    import json

    plan = {**grid.plan, "absent": "", "zero": ""}
    state = len(json.dumps(plan)) + len(grid.plan["absent"]) + len(grid.plan["zero"]) + 2 * len(grid.cells)
    assert grid._cells.n_cells > 16_128
    assert state < 50_000


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
