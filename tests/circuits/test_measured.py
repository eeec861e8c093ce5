"""What becomes of queries and keys before softmax: the oracle is what scaling them does to the model's own scores."""

from __future__ import annotations

import functools
import threading
from functools import partial
from typing import Any

import pytest
import tiny
import torch
import transformers
from passes import GROUPED, NORMED, anatomy_of, layers_with_heads, run, without_biases

import headgrid as hg
from headgrid.circuits import measured as module
from headgrid.circuits.factors import Circuits
from headgrid.circuits.measured import Measured, measured
from headgrid.models import scaling
from headgrid.models.verify.probe import Probe
from headgrid.weights import Weights

pytestmark = pytest.mark.filterwarnings("ignore:.*is a guess from names and shapes")

MOE = {"num_local_experts": 5, "num_experts_per_tok": 2}
YARN = {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0, "original_max_position_embeddings": 19}
LLAMA4 = {**tiny.LLAMA, **MOE, "intermediate_size_mlp": 22, "no_rope_layers": [1, 0, 1]}
SOME = ["sliding_attention", "full_attention", "sliding_attention"]

OTHERS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama4_text": ("Llama4TextConfig", {**LLAMA4, "use_qk_norm": True}),
    "llama4_text without norms": ("Llama4TextConfig", {**LLAMA4, "use_qk_norm": False}),
    "nanochat": ("NanoChatConfig", tiny.LLAMA),
    "ministral3": ("Ministral3Config", {**tiny.LLAMA, "rope_parameters": {**YARN, "llama_4_scaling_beta": 0.1}}),
    "exaone4": ("Exaone4Config", {**tiny.LLAMA, "sliding_window": 4, "layer_types": SOME}),
    "hunyuan": ("HunYuanDenseV1Config", tiny.LLAMA),
    "apertus": ("ApertusConfig", tiny.NO_HEAD_DIM),
    "dots1": (
        "Dots1Config",
        {**tiny.LLAMA, "n_routed_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 9,
         "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1}),
    "minimax_m2": ("MiniMaxM2Config", {**tiny.LLAMA, **MOE}),
    "modernbert": (
        "ModernBertConfig",
        {**tiny.VOCAB, "hidden_size": 48, "num_hidden_layers": 3, "num_attention_heads": 6, "intermediate_size": 22,
         "max_position_embeddings": 19}),
    "mpnet": ("MPNetConfig", tiny.BERT),
}  # fmt: skip
"""Models that `tiny` does not have."""

KINDS = {
    "llama4_text": ["normalized", "product", "normalized"],
    **{name: ["normalized"] * 3 for name in ("nanochat", "exaone4", "hunyuan", "apertus", "dots1", "minimax_m2")},
}
"""What they are; the others are products in every layer."""


@functools.cache
def other(name: str) -> torch.nn.Module:
    kind, sizes = OTHERS[name]
    config = getattr(transformers, kind)(**sizes)
    autos = (transformers.AutoModelForCausalLM, transformers.AutoModelForMaskedLM)
    auto = next(auto for auto in autos if type(config) in auto._model_mapping)
    torch.manual_seed(0)
    model = auto.from_config(config, attn_implementation="eager").double().eval()
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    return without_biases(model)


@functools.lru_cache(maxsize=200)
def weights_of(model: torch.nn.Module, stack: str) -> Weights:
    return Weights(model, stack=stack)


def seen_in(model: torch.nn.Module, stack: Any, layer: int) -> Measured:
    found = measured(weights_of(model, stack.name), layer)
    assert isinstance(found, Measured), found
    return found


def model_of(name: str) -> torch.nn.Module:
    return other(name) if name in OTHERS else tiny.model(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*tiny.FAMILIES, *OTHERS])
def test_every_layer_is_seen_and_is_of_the_kind_that_the_model_says(name: str) -> None:
    model = model_of(name)
    kinds = []
    for stack, layer in layers_with_heads(model):
        seen = seen_in(model, stack, layer)
        kinds.append(seen.kind)
        assert seen.scale is not None
        if name in tiny.FAMILIES:
            assert seen.scale == 1
            assert seen.positions == scaling.positions(model, anatomy_of(model), stack, layer)
            assert not seen.absolute
            assert (seen.bound, seen.capped) == ((50, True) if name == "gemma2" else (None, False))
            assert seen.kind == ("normalized" if name in NORMED and stack.name != "vision" else "product")
    if name in OTHERS:
        assert kinds == KINDS.get(name, ["product"] * 3)


@pytest.mark.parametrize("name", [*OTHERS, GROUPED, "gpt2", "qwen3", "cohere", "olmo2", "deepseek_v3", "bloom"])
def test_scores_grow_with_the_query_weights_where_that_is_what_was_seen(name: str) -> None:
    """The oracle: the model itself, run with W_Q of one layer four times as large."""
    model = other(name) if name in OTHERS else without_biases(tiny.fresh(name))
    inputs = {"input_ids": torch.tensor([[3, 9, 4, 17, 5, 11, 8], [5, 3, 16, 8, 9, 12, 4]])}
    for stack, layer in layers_with_heads(model):
        before = run(model, inputs, stack, layer).scores
        slots = [slot for role in ("W_Q", "W_UQ", "W_QR") for slot in stack.places.get((role, layer), ())]
        with torch.no_grad():
            for slot in slots:
                slot.of(model.get_parameter(slot.parameter)).mul_(4)
            after = run(model, inputs, stack, layer).scores
            for slot in slots:
                slot.of(model.get_parameter(slot.parameter)).div_(4)
        there = before > -1e5
        if seen_in(model, stack, layer).added:  # what two texts have in common is added
            before, after, there = before[0] - before[1], after[0] - after[1], there[0]
        factor = float((after * before)[there].sum() / before[there].square().sum())
        expected = 1 if seen_in(model, stack, layer).kind == "normalized" else 4
        assert factor == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", ["llama4_text", "llama4_text without norms", "nanochat", "ministral3", "exaone4"])
def test_qk_gives_the_scores_of_models_whose_attributes_say_something_else(name: str) -> None:
    model = other(name)
    inputs = {"input_ids": torch.tensor([[3, 9, 4, 17, 5, 11, 8]])}
    for stack, layer in layers_with_heads(model):
        seen, ran = seen_in(model, stack, layer), run(model, inputs, stack, layer)
        qk = Circuits(Weights(model)).qk(layer)
        q = torch.einsum("bpm,gemk->bpgek", ran.streams["q"], qk.A)
        k = torch.einsum("bpm,gmk->bpgk", ran.streams["k"], qk.B[:, 0].mT)
        if seen.kind == "normalized":  # by the size of what the projections give
            for side in "qk":
                made = torch.einsum("bpm,nmh->bpnh", ran.received[side], Weights(model)[f"W_{side.upper()}"][layer])
                size = made.square().mean(-1, keepdim=True).sqrt()
                if side == "q":
                    q = q / size.unflatten(2, (stack.n_kv_heads, -1))
                else:
                    k = k / size
        expected = torch.einsum("bpgek,bpgk->bgep", q, k).flatten(1, 2)
        found = ran.scores.diagonal(dim1=-2, dim2=-1)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_norms_without_weights_and_wrong_attributes_are_said_of_a_head_and_of_a_scan() -> None:
    model = other("llama4_text")
    for notes in (hg.summarize(model, "l0h1").qk.notes, hg.scan(model, "qk").notes):
        said = " ".join(notes)
        assert "Queries and keys are normalized, so scores are not bilinear" in said
        assert "These norms have no weights: they were measured" in said
        assert "q.k is multiplied by 0.3162, as measured; attributes of the attention say 10" in said
    nope = hg.summarize(model, "l1h1").qk.notes
    assert not any("normalized" in note or "rotary" in note for note in nope)
    assert any("changed by where they are in the text" in note for note in nope), "attention temperature"


def test_a_layer_without_positions_is_not_said_to_rotate() -> None:
    model = other("exaone4")
    rotary = [any("rotary" in note for note in Circuits(Weights(model)).notes("qk", layer)) for layer in range(3)]
    assert rotary == [True, False, True]


def test_clipped_queries_and_capped_scores_are_seen() -> None:
    capped = seen_in(tiny.model("gemma2"), tiny_stack("gemma2"), 0)
    assert (capped.bound, capped.capped) == (pytest.approx(50), True)
    config = transformers.OlmoConfig(**{**tiny.NO_HEAD_DIM, "clip_qkv": 9.0})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    clipped = seen_in(model, hg.dissect(model).main, 0)
    assert clipped.kind == "product"
    assert clipped.bound is not None
    assert not clipped.capped


def tiny_stack(name: str) -> Any:
    return hg.dissect(tiny.model(name)).main


def test_the_model_is_neither_run_nor_changed() -> None:
    model = tiny.fresh(GROUPED).train()
    calls: list[object] = []
    hooked = model.model.layers[0].self_attn
    hooked.register_forward_hook(lambda *_: calls.append(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    versions = [parameter._version for parameter in model.parameters()]
    state = torch.get_rng_state()
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        seen = measured(Weights(model), 0)
    assert isinstance(seen, Measured)
    assert (seen.kind, seen.scale) == ("product", 1.0)
    assert not calls
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert [parameter._version for parameter in model.parameters()] == versions
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_what_is_hooked_to_a_model_is_not_copied_and_does_not_hinder() -> None:
    model = tiny.fresh("gpt2")
    lock = threading.Lock()  # which cannot be copied
    handle = model.transformer.h[0].attn.register_forward_hook(partial(lambda lock, *_: None, lock))
    assert isinstance(measured(Weights(model), 0), Measured)
    assert handle.id in model.transformer.h[0].attn._forward_hooks


def test_a_model_is_asked_once_and_anew_when_its_attention_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(module, "Probe", lambda *given: asked.append(1) or Probe(*given))
    model = tiny.fresh("gpt2")
    for layer in (0, 1, 2, 0):
        measured(Weights(model), layer)
        Circuits(Weights(model)).qk(layer)
    assert len(asked) == 1
    before = Circuits(Weights(model)).qk(1).singular_values()
    model.transformer.h[1].attn.scaling *= 3
    after = Circuits(Weights(model)).qk(1).singular_values()
    torch.testing.assert_close(after, 3 * before)
    assert len(asked) == 2


def test_what_cannot_be_measured_is_said_and_measured_once_it_can_be() -> None:
    model = tiny.fresh(GROUPED)
    attention, circuits = model.model.layers[1].self_attn, Circuits(Weights(model))

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("no kernel for this device")

    attention.forward = broken
    *_, note = circuits.notes("qk", 0)
    assert "is taken from names of attributes, as it could not be measured" in note
    assert "no kernel for this device" in note
    assert circuits.qk(0).shape == (2, 3, 48, 48), "by the attributes"
    del attention.forward
    assert not any("measured" in note for note in circuits.notes("qk", 0))


def test_a_scale_within_a_projection_is_measured() -> None:
    """No attribute names it."""

    class Tempered(torch.nn.Module):
        def __init__(self, projection: torch.nn.Module) -> None:
            super().__init__()
            self.weight, self.bias = projection.weight, projection.bias

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.25 * torch.nn.functional.linear(x, self.weight, self.bias)

    model = without_biases(tiny.fresh(GROUPED))
    for layer in model.model.layers:
        layer.self_attn.q_proj = Tempered(layer.self_attn.q_proj)
    seen = measured(Weights(model), 1)
    assert isinstance(seen, Measured)
    assert seen.scale == pytest.approx(0.25, rel=1e-4)
    inputs, stack = tiny.inputs(GROUPED), hg.dissect(model).main
    ran, qk = run(model, inputs, stack, 1), Circuits(Weights(model)).qk(1)
    q = torch.einsum("bpm,gemk->bpgek", ran.streams["q"], qk.A)
    k = torch.einsum("bpm,gmk->bpgk", ran.streams["k"], qk.B[:, 0].mT)
    expected = torch.einsum("bpgek,bpgk->bgep", q, k).flatten(1, 2)
    torch.testing.assert_close(ran.scores.diagonal(dim1=-2, dim2=-1), expected, rtol=1e-3, atol=1e-5)
