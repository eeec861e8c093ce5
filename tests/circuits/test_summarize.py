"""Summaries of heads, MLPs and neurons beside dense float64 computations, and on the model that ships."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError
from headgrid.circuits.factors import Circuits
from headgrid.circuits.summarize import summarize
from headgrid.circuits.tokens import Vocabulary
from headgrid.weights import Weights

GROUPED = "llama with grouped-query attention"  # 3 layers, 6 heads in 2 groups of 10, d_model 48, 22 neurons


def last_head(model: Any) -> str:
    """A head of the last layer that has any."""
    stack = hg.dissect(model).main
    layer = max(layer for role, layer in stack.places if role == "W_O" and layer is not None)
    return f"{stack.name} l{layer}h{stack.n_heads - 1}".strip()


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_directions_of_a_head_are_singular_directions_of_its_dense_circuits(family: str) -> None:
    model = tiny.model(family)
    weights, text = Weights(model), last_head(model)
    for ln in ("folded", "raw"):
        found, circuits = summarize(model, text, ln=ln, k=3, pairs=0), Circuits(weights, ln)
        for kind, circuit in (("ov", found.ov), ("qk", found.qk)):
            dense = circuits.head(kind, found.layer, found.head).dense().double()
            values = torch.linalg.svdvals(dense)
            torch.testing.assert_close(
                circuit.singular_values, values[: len(circuit.singular_values)], rtol=1e-8, atol=1e-8
            )
            torch.testing.assert_close(circuit.reads @ dense, values[:3, None] * circuit.writes, rtol=1e-6, atol=1e-6)
            for side in (circuit.reads, circuit.writes):
                torch.testing.assert_close(side @ side.T, torch.eye(3, dtype=torch.float64), rtol=1e-8, atol=1e-8)


def test_tokens_are_those_of_the_largest_dense_logits() -> None:
    model = tiny.model(GROUPED)
    found, weights = summarize(model, "l1h4", k=4, n_tokens=5), Weights(model)
    gain = model.model.norm.weight.detach()
    logits = found.ov.writes @ (gain[:, None] * weights.W_U)
    assert found.ov.write_tokens.ids.tolist() == logits.topk(5).indices.tolist()
    assert found.ov.write_tokens.bottom_ids.tolist() == logits.topk(5, largest=False).indices.tolist()
    for table, directions in ((found.ov.read_tokens, found.ov.reads), (found.qk.read_tokens, found.qk.reads)):
        assert table.ids.tolist() == (directions @ weights.W_E.T).topk(5).indices.tolist()
    assert found.qk.write_tokens.ids.tolist() == (found.qk.writes @ weights.W_E.T).topk(5).indices.tolist()


def test_pairs_are_the_largest_entries_of_the_full_circuits() -> None:
    model = tiny.model(GROUPED)
    found, weights, circuits = summarize(model, "l2h3", pairs=7), Weights(model), Circuits(Weights(model))
    W_U = model.model.norm.weight.detach()[:, None] * weights.W_U
    for circuit, full in (
        (found.ov, weights.W_E @ circuits.head("ov", 2, 3).dense() @ W_U),
        (found.qk, weights.W_E @ circuits.head("qk", 2, 3).dense() @ weights.W_E.T),
    ):
        values, places = full.flatten().topk(7)
        torch.testing.assert_close(circuit.pairs.values, values)
        assert (circuit.pairs.source_ids * 31 + circuit.pairs.target_ids).tolist() == places.tolist()


def test_several_heads_are_the_sum_of_their_circuits() -> None:
    model = tiny.model(GROUPED)
    found, circuits = summarize(model, "l0h1 | l2h3", k=20), Circuits(Weights(model))
    dense = circuits.head("ov", 0, 1).dense() + circuits.head("ov", 2, 3).dense()
    torch.testing.assert_close(found.ov.singular_values, torch.linalg.svdvals(dense)[:20], rtol=1e-8, atol=1e-8)
    full = torch.linalg.eigvals(dense @ Vocabulary(Weights(model)).W_UE().double())
    assert found.copying_score == pytest.approx(float((full.sum() / full.abs().sum()).real), abs=1e-4)
    assert found.heads == ((0, 1), (2, 3))
    assert found.qk is None


def test_copying_accuracy_is_the_share_of_tokens_that_raise_themselves_most() -> None:
    model = tiny.model(GROUPED)
    weights = Weights(model)
    full = (
        weights.W_E
        @ Circuits(weights).head("ov", 1, 5).dense()
        @ (model.model.norm.weight.detach()[:, None] * weights.W_U)
    )
    share = float((full.argmax(-1) == torch.arange(31)).double().mean())
    assert summarize(model, "l1h5").copying_accuracy == pytest.approx(share)


@pytest.mark.parametrize(
    ("family", "text"),
    [("gpt2", "l1 mlp"), (GROUPED, "l1 mlp"), ("gemma2", "l2 mlp"), ("gptj", "l0 mlp"), ("mixtral", "l1e3")],
)
def test_an_mlp_is_the_spectra_of_its_matrices(family: str, text: str) -> None:
    model = tiny.model(family)
    found, circuits = summarize(model, text, k=4), Circuits(Weights(model))
    for which, circuit in (("in", found.w_in), ("gate", found.w_gate), ("out", found.w_out)):
        if circuit is None:
            assert family in ("gpt2", "gptj")
            continue
        matrix = circuits.mlp(which, found.layer, found.expert).double()
        left, values, right = torch.linalg.svd(matrix, full_matrices=False)
        torch.testing.assert_close(circuit.singular_values, values, rtol=1e-6, atol=1e-6)
        ours, theirs = (circuit.writes, right[:4]) if which == "out" else (circuit.reads, left[:, :4].T)
        torch.testing.assert_close((ours @ theirs.T).abs(), torch.eye(4, dtype=torch.float64), rtol=1e-5, atol=1e-5)
    assert found.w_in.writes is None
    assert found.w_out.reads is None


def test_a_neuron_reads_a_column_of_w_in_and_writes_a_row_of_w_out() -> None:
    model = tiny.model(GROUPED)
    found, layer = summarize(model, "l1 mlp n7", n_tokens=3), model.model.layers[1]
    gain = layer.post_attention_layernorm.weight.detach()
    torch.testing.assert_close(found.reads, gain * layer.mlp.up_proj.weight[7].detach())
    torch.testing.assert_close(found.gate_reads, gain * layer.mlp.gate_proj.weight[7].detach())
    torch.testing.assert_close(found.writes, layer.mlp.down_proj.weight[:, 7].detach())
    logits = model.model.norm.weight.detach() * found.writes @ model.lm_head.weight.detach().T
    assert found.write_tokens.ids[0].tolist() == logits.topk(3).indices.tolist()


def test_the_induction_head_copies_and_the_previous_token_head_attends_one_back() -> None:
    model, tokenizer = hg.demo()
    induction, previous = (summarize(model, text, tokenizer) for text in ("l1h2", "l0h1"))
    assert induction.copying_score > 0.9
    assert induction.copying_accuracy > 0.5
    assert all(pair[0] == pair[1] for pair in zip(induction.ov.pairs.sources, induction.ov.pairs.targets, strict=True))
    assert int(previous.qk.offsets.argmax()) == 1
    assert int(induction.qk.offsets.argmax()) != 1
    assert all(isinstance(token, str) for token in induction.ov.write_tokens[0])


def test_a_later_change_of_the_model_is_seen() -> None:
    model = tiny.fresh("gpt2")
    before = summarize(model, "l1h2")
    with torch.no_grad():
        model.transformer.h[1].attn.c_proj.weight.data *= 2
        model.transformer.wte.weight.data[5] += 30
    after = summarize(model, "l1h2")
    torch.testing.assert_close(after.ov.singular_values, 2 * before.ov.singular_values)
    assert 5 in after.ov.write_tokens.ids[0].tolist() + after.ov.write_tokens.bottom_ids[0].tolist()
    assert after.copying_score != before.copying_score


def test_nothing_of_the_model_is_changed() -> None:
    model = tiny.fresh(GROUPED)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    for text in ("l1h2", "l0h1 | l1h2", "l0 mlp", "l0 mlp n3"):
        summarize(model, text)
    assert all(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


def test_an_encoder_without_an_unembedding_has_raw_directions() -> None:
    found = summarize(tiny.model("bert").bert, "l1h2")
    assert found.ov.write_tokens is None
    assert found.ov.read_tokens is not None
    assert found.copying_score is None
    assert found.ov.writes.shape == (7, 28)
    assert found.ov.notes


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("l1", {}, "l1 names 4 heads, 1 MLP: name heads alone"),
        ("l0 mlp n3-5", {}, "3 neurons"),
        ("l1h2", {"k": 8}, "8 directions were asked for; ov has 7, so k can be 1 to 7"),
        ("l1h2", {"k": 0}, "k is a number of directions of at least 1, not 0"),
        ("l1h2", {"k": "3"}, "k is a number of directions, not '3'"),
        ("l1h2", {"n_tokens": 2.5}, "n_tokens is a number of tokens, not 2.5"),
        ("l1h2", {"pairs": -1}, "pairs is a number of token pairs of at least 0, not -1"),
        ("l1h2", {"ln": "fold"}, "'folded'"),
        ("ln_final", {}, "names no head, MLP, expert or neuron"),
    ],
)
def test_bad_arguments_are_refused(text: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        summarize(tiny.model("gpt2"), text, **arguments)


def test_weights_that_are_not_there_are_refused() -> None:
    with torch.device("meta"):
        from transformers import GPT2Config, GPT2LMHeadModel

        model = GPT2LMHeadModel(GPT2Config(n_layer=2, n_embd=24, n_head=4))
    with pytest.raises(AnatomyError, match="meta"):
        summarize(model, "l1h2")


@pytest.mark.parametrize("ln", ["raw", "folded"])
def test_what_a_neuron_reads_and_writes_is_no_view_of_the_model(ln: Any) -> None:
    model = tiny.fresh("gpt2")  # in float64, as results are
    found = summarize(model, "l1 mlp n3", ln=ln)
    before = found.reads.clone(), found.writes.clone()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(found.reads, before[0])
    assert torch.equal(found.writes, before[1])


def test_more_heads_than_fill_the_stream_are_summed_without_a_larger_matrix() -> None:
    model = tiny.model(GROUPED)
    circuits = Circuits(Weights(model))
    dense = sum(circuits.head("ov", layer, head).dense() for layer in range(3) for head in range(6))
    found = summarize(model, "l*h*", k=48)
    torch.testing.assert_close(found.ov.singular_values, torch.linalg.svdvals(dense), rtol=1e-8, atol=1e-8)
    full = torch.linalg.eigvals(dense @ Vocabulary(Weights(model)).W_UE().double())
    assert found.copying_score == pytest.approx(float((full.sum() / full.abs().sum()).real), abs=1e-4)
    assert len(found.ov.singular_values) == 48  # not 18 heads x 10
    assert found.title == "l0h0 + l0h1 + l0h2 + ... + l2h5 (18 heads)"
    assert len(found.heads) == 18


def test_weights_are_read_in_their_dtype_and_the_stack_is_that_of_the_words() -> None:
    model = tiny.fresh("t5").bfloat16()
    found = summarize(Weights(model, dtype=torch.float64), "encoder l0h1")
    assert found.stack == "encoder"
    torch.testing.assert_close(
        found.ov.singular_values, summarize(model.double(), "encoder l0h1").ov.singular_values, rtol=1e-9, atol=0
    )


@pytest.mark.parametrize(("family", "unread"), [("gpt2", 0), ("opt", 2), ("roberta", 1)])
def test_rows_of_the_positions_that_no_token_reads_are_left_out(family: str, unread: int) -> None:
    model = tiny.fresh(family)
    table = Weights(model).W_pos
    found = summarize(model, "l1h2").qk.offsets
    assert len(found) == len(table) - unread
    with torch.no_grad():
        table[:unread] = 1e3
    torch.testing.assert_close(summarize(model, "l1h2").qk.offsets, found)


def test_nan_in_the_positions_is_refused_by_name() -> None:
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        model.transformer.wpe.weight[3, 4] = torch.nan
    with pytest.raises(ValueError, match=r"W_pos has NaN .* transformer\.wpe\.weight"):
        summarize(model, "l1h2")


def test_quantized_weights_are_refused_by_name() -> None:
    for dtype in (torch.int8, torch.float8_e4m3fn):
        model = tiny.fresh(GROUPED)
        layer = model.model.layers[1].self_attn
        layer.q_proj.weight = torch.nn.Parameter(layer.q_proj.weight.detach().to(dtype), requires_grad=False)
        with pytest.raises(AnatomyError, match=r"layers\.1\.self_attn\.q_proj\.weight is quantized, stored as"):
            summarize(model, "l1h2")


def test_a_copying_score_that_was_not_computed_has_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headgrid.circuits.describe.SMALL", 0)
    found = summarize(tiny.model("gpt2"), "l1h2", pairs=0)
    assert found.copying_score is None
    assert any("copying score" in note for note in found.notes)
