"""What the inspector shows, against the weights themselves; and that it is what the wire says, for every family."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from grids import by_title, fits, spoilt

import headgrid as hg
from headgrid.circuits.progress import Cancelled
from headgrid.circuits.summary import CircuitSummary
from headgrid.widget.compute import comparison, to_wire
from headgrid.widget.compute.summary_cache import CellSummary, SummaryCache
from headgrid.widget.state.cell_index import CellIndex, Component
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire import schema

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)


def never() -> bool:
    return False


def cache(model: Any, tokenizer: Any = None) -> tuple[SummaryCache, Callable[[str], int], CellIndex]:
    """The cache of a model, the cell of a word, and the places of cells."""
    cells = Cells(hg.dissect(model))
    words = {cells.describe(i)[0].strip(): i for i in range(cells.n_cells)}
    places = CellIndex(cells.bands)
    return SummaryCache(hg.Weights(model), tokenizer, places), words.__getitem__, places


def whole(found: SummaryCache, cell: int, ln: schema.Ln = "folded") -> CellSummary:
    """Everything that there is to say of a cell."""
    answer = found.read(cell, ln)
    with torch.no_grad():
        for fuller in found.deepen(cell, ln, never):
            answer = fuller
    return answer


def test_the_checker_of_these_tests_finds_what_is_wrong() -> None:
    good = {"source": "a", "target": "b", "value": 1.0}
    assert fits(good, schema.Pair)
    for bad in ({**good, "value": math.nan}, {**good, "value": 1}, {"source": "a", "target": "b"}, {**good, "n": 1}):
        assert not fits(bad, schema.Pair)
    assert not fits({"top": "abc"}, schema.Tokens)


@every_family
@pytest.mark.parametrize("ln", ["folded", "raw"])
def test_every_answer_is_what_the_wire_says_and_nothing_fails(family: str, ln: schema.Ln) -> None:
    found, _, places = cache(tiny.model(family))
    absent = Cells(hg.dissect(tiny.model(family))).absent
    there: dict[tuple[str, str], list[int]] = {}
    for cell in range(places.n_cells):
        if (place := places[cell]) is not None and not absent[cell]:
            there.setdefault((place.stack, place.kind), []).append(cell)
    assert there
    for (_, kind), cells in there.items():
        for cell in {cells[0], cells[-1]}:
            answer = whole(found, cell, ln)
            assert not answer.failed, [circuit["error"] for circuit in answer.circuits]
            assert fits(answer.circuits, list[schema.Circuit])
            assert fits(answer.partners, schema.Partners | None)
            json.dumps([answer.circuits, answer.partners], allow_nan=False)
            assert (answer.pending, answer.partners is None) == ([], kind != "head")
            assert {circuit["tab"] for circuit in answer.circuits} == ({"ov", "qk"} if kind == "head" else {"mlp"})


def test_the_numbers_of_a_head_are_those_of_its_dense_matrices() -> None:
    model, tokenizer = hg.demo()
    found, cell, _ = cache(model, tokenizer)
    weights, double = hg.Weights(model), torch.float64
    gain = weights["ln1.w"][1].to(double)

    def reads(W: torch.Tensor) -> torch.Tensor:  # a LayerNorm without its scale: the mean is taken, then the gain
        folded = gain[:, None] * W.to(double)
        return folded - folded.mean(0)

    d_head = weights.stack.d_head
    dense = {
        "OV": reads(weights.W_V[1, 2]) @ weights.W_O[1, 2].to(double),
        "QK": reads(weights.W_Q[1, 2]) @ reads(weights.W_K[1, 2]).mT / d_head**0.5,
    }
    shown = by_title(whole(found, cell("l1h2")))
    for title, matrix in dense.items():
        values = torch.linalg.svdvals(matrix)[:d_head]
        assert shown[title]["spectrum"] == pytest.approx(values.tolist(), rel=1e-4)
        assert shown[title]["n_values"] == d_head
        scores = {score["name"]: score["value"] for score in shown[title]["scores"]}
        assert float(scores["norm"]) == pytest.approx(float(matrix.norm()), rel=1e-2)
        assert float(scores["stable rank"]) == pytest.approx(float((matrix.norm() / values[0]) ** 2), rel=1e-2)
    embed = weights.W_E.to(double)
    full = embed @ dense["QK"] @ embed.mT
    best = int(full.argmax())
    pair = shown["QK"]["pairs"][0]
    strings = [tokenizer.convert_ids_to_tokens(i) for i in divmod(best, len(embed))]
    assert [pair["source"].strip(" ▁"), pair["target"].strip(" ▁")] == [text.strip(" ▁") for text in strings]
    assert pair["value"] == pytest.approx(float(full.max()), rel=1e-3)


def test_the_scores_of_copying_and_the_partners_of_the_demos_induction_head_are_shown() -> None:
    found, cell, _ = cache(*hg.demo())
    quick = found.read(cell("l1h3"), "folded")
    assert quick.pending == ["ov", "qk", "composition"]
    answer = whole(found, cell("l1h3"))
    assert [score["name"] for score in by_title(answer)["OV"]["scores"]] == [
        "copying score", "top-1 copying", "norm", "stable rank", "entropy rank",
    ]  # fmt: skip
    assert all(score["help"] for circuit in answer.circuits for score in circuit["scores"])
    assert answer.partners is not None
    strongest = answer.partners["arrows"][0]
    assert strongest["target"] == cell("l1h3")
    assert strongest["z"] > 3
    assert strongest["value"] > answer.partners["baseline"] == pytest.approx(96**-0.5, rel=1e-3)


def test_learned_positions_are_read_out_from_offset_0() -> None:
    answer = whole(cache(tiny.model("gpt2"))[0], cache(tiny.model("gpt2"))[1]("l1h2"))
    shown = by_title(answer)
    assert len(shown["QK"]["offsets"]) == 19
    assert shown["OV"]["offsets"] == []


def test_without_a_tokenizer_tokens_are_their_ids() -> None:
    found, cell, _ = cache(tiny.model("gpt2"))
    direction = by_title(found.read(cell("l1h2"), "folded"))["OV"]["directions"][0]
    assert direction["left"] is not None
    assert set(direction["left"]["top"]) <= {f"#{i}" for i in range(31)}
    assert direction["left"]["top_values"] == sorted(direction["left"]["top_values"], reverse=True)
    assert direction["left"]["bottom_values"] == sorted(direction["left"]["bottom_values"])


def summary(n_values: int = 5, **changes: Any) -> CircuitSummary:
    values = torch.arange(n_values, 0, -1, dtype=torch.float64)
    plain = CircuitSummary("in", values, None, None, None, None, torch.zeros(3, dtype=torch.bool), 1.0, 2.0, 3.0)
    return replace(plain, **changes)


def test_a_long_spectrum_is_cut_and_says_how_long_it_is() -> None:
    shown = to_wire.circuit(summary(n_values=300))
    assert (len(shown["spectrum"]), shown["n_values"]) == (256, 300)
    assert len(to_wire.circuit(summary(unclear=torch.zeros(5, dtype=torch.bool)))["directions"]) == 5
    assert len(to_wire.circuit(summary(20, unclear=torch.zeros(20, dtype=torch.bool)))["directions"]) == 10
    assert len(to_wire.circuit(summary(offsets=torch.ones(99)))["offsets"]) == 32


def test_what_is_not_finite_is_refused_and_an_undefined_score_says_so() -> None:
    with pytest.raises(ValueError, match="W_in could not be read: it has NaN or inf"):
        to_wire.circuit(summary(singular_values=torch.tensor([1.0, math.nan, 0.0])))
    scores = {score["name"]: score["value"] for score in to_wire.circuit(summary(stable_rank=math.nan))["scores"]}
    assert scores == {"norm": "1.00", "stable rank": "undefined", "entropy rank": "3.00"}


def test_scores_are_written_as_the_browser_writes_numbers() -> None:
    given = [4, 18.04, 0.98, 0.01234, 123.4, 12345, 0, -0.5, -0.000012]
    written = ["4.00", "18.0", "0.980", "0.0123", "123", "12,345", "0", "−0.500", "−1.2e−5"]
    assert [to_wire._score("norm", value)["value"] for value in given] == written


def test_notes_are_sentences_in_every_tab() -> None:
    found, cell, _ = cache(tiny.model("bert"))
    answer = whole(found, cell("l1h1"))
    assert answer.partners is not None
    for notes in (*(circuit["notes"] for circuit in answer.circuits), answer.partners["notes"]):
        assert notes
        assert all(note.endswith(".") for note in notes)


def test_a_head_that_suppresses_has_a_minus_sign_and_no_hyphen() -> None:
    found, cell, _ = cache(*hg.demo())
    shown = by_title(whole(found, cell("l1h1")))["OV"]["scores"]
    assert shown[0] == {"name": "copying score", "value": "−0.95", "help": to_wire.HELP["copying score"]}


def test_half_a_surrogate_pair_becomes_text_that_can_be_sent() -> None:
    assert to_wire.word("a\ud800") == "a?"
    assert to_wire.word("Ġthe 🐱") == "Ġthe 🐱"


def test_beside_others_a_head_shows_a_few_directions_and_no_pairs() -> None:
    found, cell, _ = cache(*hg.demo())
    shown = by_title(whole(found, cell("l1h2")))["OV"]
    few = to_wire.few(shown)
    assert (len(few["directions"]), few["pairs"], few["scores"]) == (3, [], shown["scores"])


# ---- what cannot be said


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_nan_in_one_circuit_is_named_by_parameter_and_the_other_one_still_shows(value: float) -> None:
    found, cell, _ = cache(spoilt("llama with grouped-query attention", "l1h4.W_O", value))
    shown = by_title(whole(found, cell("l1h4")))
    assert "NaN or inf" in shown["OV"]["error"]
    assert "model.layers.1.self_attn.o_proj.weight" in shown["OV"]["error"]
    assert shown["QK"]["error"] == ""
    assert len(shown["QK"]["directions"]) == 10
    other = by_title(found.read(cell("l1h3"), "folded"))
    assert [other["OV"]["error"], other["QK"]["error"]] == ["", ""], "another head is not read through these weights"

    found, cell, _ = cache(spoilt("llama with grouped-query attention", "l1h4.W_Q", value))
    shown = by_title(whole(found, cell("l1h4")))
    assert "model.layers.1.self_attn.q_proj.weight" in shown["QK"]["error"]
    assert (shown["OV"]["error"], len(shown["OV"]["directions"])) == ("", 10)


def test_nan_in_one_matrix_of_an_mlp_leaves_the_others() -> None:
    found, cell, _ = cache(spoilt("llama with grouped-query attention", "l1 mlp.W_gate", math.nan))
    shown = by_title(found.read(cell("l1 mlp"), "folded"))
    assert list(shown) == ["W_in", "W_gate", "W_out"]
    assert "model.layers.1.mlp.gate_proj.weight" in shown["W_gate"]["error"]
    assert (shown["W_in"]["error"], shown["W_out"]["error"]) == ("", "")


@pytest.mark.parametrize("word", ["embed", "unembed"])
def test_nan_among_the_tokens_leaves_the_directions(word: str) -> None:
    found, cell, _ = cache(spoilt("llama with grouped-query attention", word, math.nan))
    shown = by_title(whole(found, cell("l1h4")))
    parameter = {"embed": "model.embed_tokens.weight", "unembed": "lm_head.weight"}[word]
    for title, circuit in shown.items():
        assert (circuit["error"], len(circuit["directions"])) == ("", 10)
        spoils = word == "embed" or title == "OV"
        assert any(parameter in note for note in circuit["notes"]) == spoils
        assert all((one["left"] is None) == spoils for one in circuit["directions"])


def test_a_tokenizer_of_another_model_is_doubted_and_what_is_none_leaves_ids() -> None:
    _, tokenizer = hg.demo()  # it has more tokens than the tiny model embeds
    found, cell, _ = cache(tiny.model("gpt2"), tokenizer)
    for circuit in found.read(cell("l1h2"), "folded").circuits:
        assert circuit["error"] == ""
        assert not circuit["directions"][0]["left"]["top"][0].startswith("#")
        assert any(
            "The model has no row for 275 of the tokenizer's tokens" in note
            and note.endswith("Is it the tokenizer that the model was trained with?")
            for note in circuit["notes"]
        )
    found, cell, _ = cache(tiny.model("gpt2"), "no tokenizer")
    assert any(
        "Tokens are shown by their ids" in note for note in by_title(found.read(cell("l1 mlp"), "raw"))["W_in"]["notes"]
    )


def test_a_model_without_tokens_shows_raw_directions_alone() -> None:
    found, cell, _ = cache(tiny.model("vit"))
    for circuit in whole(found, cell("l1h2")).circuits:
        assert circuit["error"] == ""
        assert [(one["left"], one["right"]) for one in circuit["directions"]] == [(None, None)] * 7
        assert circuit["notes"], "it says why"
        assert circuit["pairs"] == []
        assert "copying score" not in {score["name"] for score in circuit["scores"]}


def test_a_model_on_the_meta_device_says_that_there_are_no_weights() -> None:
    with torch.device("meta"):
        import transformers

        model = transformers.AutoModelForCausalLM.from_config(tiny.config("gpt2"))
    found, cell, _ = cache(model)
    answer = whole(found, cell("l1h2"))
    assert [circuit["title"] for circuit in answer.circuits] == ["OV", "QK"]
    assert all("meta" in circuit["error"] for circuit in answer.circuits), answer.circuits
    assert "meta" in by_title(whole(found, cell("l1 mlp")))["W_in"]["error"]


# ---- what is kept


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
    monkeypatch.setattr("headgrid.widget.compute.summary_cache.MOST_KEPT", 2)
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


@every_family
def test_places_are_the_words_of_their_cells(family: str) -> None:
    cells = Cells(hg.dissect(tiny.model(family)))
    places = CellIndex(cells.bands)
    assert places.n_cells == cells.n_cells
    for cell in range(cells.n_cells):
        place, word = places[cell], cells.describe(cell)[0]
        if place is None:
            assert not np.isin(cell, places.heads)
            continue
        ends = {"head": f"l{place.layer}h{place.number}", "mlp": f"l{place.layer} mlp", "expert": f"l{place.layer}e"}
        assert ends[place.kind] in word
        if place.kind == "head":
            assert places.head(place.stack, place.layer, place.number) == cell
    assert places[-1] is None
    assert places[cells.n_cells] is None


def test_an_experts_place_has_its_number() -> None:
    _, cell, places = cache(tiny.model("mixtral"))
    assert places[cell("l1e3")] == Component("expert", "", 1, 3)
    assert places[cell("l1h3")] == Component("head", "", 1, 3)


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


def test_composition_says_that_z_is_not_use_in_the_panel_and_beside_arrows() -> None:
    model, tokenizer = hg.demo()
    found, cell, places = cache(model, tokenizer)
    assert whole(found, cell("l1h2")).partners["notes"][0].startswith("z above random is not use")
    heads = [cell(f"l{layer}h{head}") for layer in range(2) for head in range(4)]
    shown = comparison.arrows(found.composed(heads, "folded", never), places)
    assert shown["note"].startswith("z above random is not use")
    assert shown["note"].endswith("Of these arrows 1 stands out from the others (z above 19.9).")
    few = comparison.arrows(found.composed(heads[1:6:4], "folded", never), places)
    assert few["note"].endswith("Ablate a head to see what it carries.")


def test_the_browser_is_told_beyond_which_z_an_arrow_is_an_outlier() -> None:
    model, tokenizer = hg.demo()
    found, cell, places = cache(model, tokenizer)

    def fence(z: Any) -> float:
        first, third = np.percentile(z, [25, 75])
        return float(third + 3 * (third - first))

    own = whole(found, cell("l1h2")).partners  # twelve: each kind from each of four heads
    assert own["fence"] == pytest.approx(fence([one["z"] for one in own["arrows"]]), rel=1e-3)
    assert [one["kind"] for one in own["arrows"] if one["z"] > own["fence"]] == ["K"]
    heads = [cell(f"l{layer}h{head}") for layer in range(2) for head in range(4)]
    every = hg.compose(model)
    z = torch.stack([every.q_z, every.k_z, every.v_z])
    shown = comparison.arrows(found.composed(heads, "folded", never), places)
    assert shown["fence"] == pytest.approx(fence(z[z.isfinite()].numpy()))
    assert sum(one["z"] > shown["fence"] for one in shown["arrows"]) == 1
    few = comparison.arrows(found.composed(heads[1:6:4], "folded", never), places)
    assert few["fence"] is None
