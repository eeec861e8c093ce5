"""What the inspector shows, against the weights themselves; and that it is what the wire says, for every family."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
import tiny
import torch
from grids import by_title, cache, fits, spoilt, whole

import headgrid as hg
from headgrid.circuits.summary import CircuitSummary
from headgrid.widget.compute import to_wire
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire import schema

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)


def test_the_checker_of_these_tests_finds_what_is_wrong() -> None:
    good = {"source": "a", "target": "b", "value": 1.0}
    assert fits(good, schema.TokenPair)
    for bad in ({**good, "value": math.nan}, {**good, "value": 1}, {"source": "a", "target": "b"}, {**good, "n": 1}):
        assert not fits(bad, schema.TokenPair)
    assert not fits({"top": "abc"}, schema.Tokens)


@pytest.mark.slow
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
