"""What was found is kept for as long as the weights that it was computed from stay as they are."""

from __future__ import annotations

import math

import pytest
import tiny
import torch
from grids import cache, spoilt, whole

import headgrid as hg
from headgrid.circuits.progress import Cancelled
from headgrid.widget.compute import to_wire


def test_a_second_visit_computes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    found, cell, _ = cache(*hg.demo())
    first = whole(found, cell("l1h2"))
    monkeypatch.setattr(to_wire, "read_heads", None)
    assert found.known(cell("l1h2"), "folded") is first
    assert found.read(cell("l1h2"), "folded") is first
    assert found.known(cell("l1h2"), "raw") is None
    assert found.known(cell("l1h1"), "folded") is None


@pytest.mark.parametrize("word", ["l1h2.W_O", "l1 ln1.w", "embed", "ln_final.w"])
@pytest.mark.parametrize("through_data", [False, True], ids=["in place", "through .data"])
def test_a_change_of_the_model_in_place_is_seen(word: str, through_data: bool) -> None:
    model = tiny.fresh("llama with grouped-query attention")
    found, cell, _ = cache(model)
    before = found.read(cell("l1h2"), "folded")
    for name in hg.dissect(model).select(word).masks():
        parameter = model.get_parameter(name)
        with torch.no_grad():
            (parameter.data if through_data else parameter).mul_(1.5)
    assert found.known(cell("l1h2"), "folded") is None
    after = found.read(cell("l1h2"), "folded")
    assert after.circuits != before.circuits
    assert after.circuits == cache(model)[0].read(cell("l1h2"), "folded").circuits


def test_a_change_elsewhere_does_not_make_an_answer_stale() -> None:
    model = tiny.fresh("gpt2")
    found, cell, _ = cache(model)
    found.read(cell("l1h2"), "folded")
    with torch.no_grad():
        model.get_parameter("transformer.h.2.attn.c_proj.weight").mul_(2)
    assert found.known(cell("l1h2"), "folded") is not None


def test_a_change_in_two_layers_is_one_change() -> None:
    model = tiny.fresh("gpt2")
    found, cell, _ = cache(model)
    for word in ("l1h2", "l2h2"):
        found.read(cell(word), "folded")
    with torch.no_grad():
        for layer in (1, 2):
            model.get_parameter(f"transformer.h.{layer}.attn.c_proj.weight").mul_(2)
    found.read(cell("l1h2"), "folded")
    found.read(cell("l2h2"), "folded")
    assert found.known(cell("l1h2"), "folded") is not None, "it was read after the change"


def test_a_failure_is_not_kept() -> None:
    model = spoilt("gpt2", "l1h2.W_O", math.nan)
    found, cell, _ = cache(model)
    assert found.read(cell("l1h2"), "folded").failed
    assert found.known(cell("l1h2"), "folded") is None


def test_a_model_of_many_cells_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgrid.widget.compute.summary_cache.MOST_CELLS", 2)
    found, cell, _ = cache(tiny.model("gpt2"))
    for word in ("l0h0", "l0h1", "l0h2"):
        found.read(cell(word), "folded")
    assert [found.known(cell(word), "folded") is None for word in ("l0h0", "l0h1", "l0h2")] == [True, False, False]


def test_a_search_that_is_stopped_leaves_what_was_known() -> None:
    found, cell, _ = cache(*hg.demo())
    found.read(cell("l1h2"), "folded")
    with pytest.raises(Cancelled):
        list(found.deepen(cell("l1h2"), "folded", lambda: True))
    known = found.known(cell("l1h2"), "folded")
    assert known is not None
    assert known.pending == ["ov", "qk", "composition"]


def test_composition_that_failed_for_another_layer_is_asked_again_once_that_is_mended() -> None:
    model = tiny.fresh("gpt2").float()
    found, cell, _ = cache(model)
    good = whole(found, cell("l0h2")).partners
    other, cell, _ = cache(model)
    broken = model.transformer.h[2].ln_1.weight
    kept = broken.detach().clone()
    with torch.no_grad():
        broken[3] = torch.nan
        failed = whole(other, cell("l0h2"))
        assert failed.partners is not None
        assert "ln_1.weight" in failed.partners["error"]
        broken.copy_(kept)
    assert whole(other, cell("l0h2")).partners == good
    assert other.known(cell("l0h2"), "folded").pending == [], "and then it is kept"
