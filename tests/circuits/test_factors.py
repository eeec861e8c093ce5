"""Circuits: the oracle is the model's own forward pass, the scores that it gives softmax and what its heads write."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pytest
import tiny
import torch
import transformers
from passes import (
    GROUPED,
    NORMED,
    Run,
    anatomy_of,
    layers_with_heads,
    module_of,
    norm_scale,
    recorded,
    run,
    unscaled,
    without_biases,
)

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError, Stack
from headgrid.circuits.factors import Circuits
from headgrid.models import scaling
from headgrid.weights import Weights

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)


CENTERED_WITHIN = {"cohere", "phi", "persimmon", "stablelm with qk_layernorm"}
"""Those of them whose norms of queries and keys are LayerNorms; the others' are RMSNorms."""

OVER_ALL_HEADS = {"olmo2", "olmo3", "olmoe"}
"""Those whose norms of queries and keys span all heads."""


# ---- the oracle


@functools.cache
def bare(family: str) -> torch.nn.Module:
    return without_biases(tiny.fresh(family))


def scales_within(
    family: str, model: torch.nn.Module, stack: Stack, layer: int, ran: Run
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """What norms between the stream and a product divide queries, keys and values by, `[batch, position, ...]`.

    Each broadcasts to queries `[batch, position, g, each, k]`, keys `[batch, position, g, k]` or values
    `[batch, position, 1]`.
    """
    weights, there = weights_of(model, stack.name), stack.places
    one = torch.ones((), dtype=torch.float64)
    if ("W_DKV", layer) in there:
        norm = model.get_submodule(module_of(stack, layer, "ln_kv.w"))
        of_latent = norm_scale(ran.received["k"] @ weights.W_DKV[layer], norm, centered=False)[..., None]
        n, r = weights.W_UK[layer].shape[-1], weights.W_KR[layer].shape[-1]
        # the rotary part of a key has not been through the norm
        of_keys = torch.cat([of_latent.expand(-1, -1, -1, n), torch.ones(*of_latent.shape[:-1], r)], -1)
        of_queries = one
        if ("W_DQ", layer) in there:
            norm = model.get_submodule(module_of(stack, layer, "ln_q.w"))
            of_queries = norm_scale(ran.received["q"] @ weights.W_DQ[layer], norm, centered=False)[..., None, None]
        return of_queries, of_keys, of_latent[..., 0]
    if not has_inner_norms(stack, layer):
        return one, one, one
    found = []
    for side in "qk":
        path = module_of(stack, layer, f"{side}_norm.w", f"{side}_gain")
        made = torch.einsum("bpm,nmh->bpnh", ran.received[side], weights[f"W_{side.upper()}"][layer])
        whole = made.flatten(-2)[..., None, :] if family in OVER_ALL_HEADS else made
        scale = norm_scale(whole, model.get_submodule(path), centered=family in CENTERED_WITHIN).expand(
            *made.shape[:-1], 1
        )
        found.append(scale.unflatten(2, (stack.n_kv_heads, -1)) if side == "q" else scale)
    return found[0], found[1], one


def has_inner_norms(stack: Stack, layer: int) -> bool:
    return any((role, layer) in stack.places for role in ("q_norm.w", "k_norm.w", "q_gain", "k_gain"))


@functools.lru_cache(maxsize=200)
def weights_of(model: torch.nn.Module, stack: str) -> Weights:
    return Weights(model, stack=stack)


@functools.lru_cache(maxsize=200)
def ran_by(family: str, model: torch.nn.Module, stack: str, layer: int) -> Run:
    return run(model, tiny.inputs(family), anatomy_of(model).stack(stack), layer)


def assert_qk_is_the_models(family: str, model: torch.nn.Module) -> None:
    anatomy = anatomy_of(model)
    for stack, layer in layers_with_heads(model):
        circuits = Circuits(weights_of(model, stack.name))
        ran, qk = ran_by(family, model, stack.name, layer), circuits.qk(layer)
        of_queries, of_keys, _ = scales_within(family, model, stack, layer, ran)
        q = torch.einsum("bpm,gemk->bpgek", ran.streams["q"], qk.A) / of_queries
        k = torch.einsum("bpm,gmk->bpgk", ran.streams["k"], qk.B[:, 0].mT) / of_keys
        expected = torch.einsum("bpgek,bsgk->bgeps", q, k).flatten(1, 2)
        found = ran.scores
        how = scaling.positions(model, anatomy, stack, layer)
        if how == "rotary":  # queries and keys of one position are turned alike
            expected, found = (scores.diagonal(dim1=-2, dim2=-1) for scores in (expected, found))
        if how == "alibi":  # two texts have the same bias
            expected, found = ((scores[0] - scores[1]).diagonal(dim1=-2, dim2=-1) for scores in (expected, found))
        attended = found > -1e5
        assert attended.sum() >= found.shape[-1]
        # most models give softmax float32
        torch.testing.assert_close(found[attended], expected[attended], rtol=1e-5, atol=1e-5)


def assert_ov_is_the_models(family: str, model: torch.nn.Module) -> None:
    for stack, layer in layers_with_heads(model):
        circuits = Circuits(weights_of(model, stack.name))
        ran, ov = ran_by(family, model, stack.name, layer), circuits.ov(layer)
        _, _, of_values = scales_within(family, model, stack, layer, ran)
        attended = ran.pattern.unflatten(1, (stack.n_kv_heads, -1))
        moved = torch.einsum("bgeps,bsm->bgepm", attended, ran.streams["v"] / of_values)
        if ("W_OG", layer) in stack.places:
            moved = moved / 2
        expected = torch.einsum("bgepm,gmh,gehn->bpn", moved, ov.A[:, 0], ov.B)
        torch.testing.assert_close(ran.added, expected, rtol=1e-5, atol=1e-5)


# ---- the laws


@every_family
def test_qk_gives_the_scores_that_the_model_gives_softmax(family: str) -> None:
    assert_qk_is_the_models(family, bare(family))


@every_family
def test_heads_write_what_ov_makes_of_the_tokens_that_they_attend_to(family: str) -> None:
    assert_ov_is_the_models(family, bare(family))


def test_families_that_normalize_queries_and_keys_are_those_with_gains_for_them() -> None:
    found = {
        family
        for family in tiny.FAMILIES
        if any(has_inner_norms(stack, layer) for stack, layer in layers_with_heads(tiny.model(family)))
    }
    assert found == NORMED


SCALED: dict[str, tuple[str, dict[str, Any]]] = {
    "a scale for each layer": ("gpt2", {"scale_attn_by_inverse_layer_idx": True}),
    "no scale": ("gpt2", {"scale_attn_weights": False}),
    "a scale of the config's": ("granite", {"attention_multiplier": 0.3}),
    "a scale of another width": ("gemma2", {"query_pre_attn_scalar": 77}),
    "a softmax scale": ("mpt", {"attn_config": {"softmax_scale": 0.2}}),
    "deberta with content alone": ("deberta", {"pos_att_type": [], "relative_attention": False}),
    "deberta with one kind of position": ("deberta_v2", {"pos_att_type": ["p2c"]}),
    "yarn": (
        GROUPED,
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0,
                             "original_max_position_embeddings": 19}},
    ),
    "yarn in some layers": (
        "gemma3",
        {"layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
         "rope_parameters": {
             "full_attention": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0,
                                "original_max_position_embeddings": 19},
             "sliding_attention": {"rope_type": "default", "rope_theta": 1e4}}},
    ),
    "longrope on half of a head": (
        "phi3",
        {"partial_rotary_factor": 0.5, "original_max_position_embeddings": 19, "max_position_embeddings": 190,
         "rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, "partial_rotary_factor": 0.5,
                             "short_factor": [1.0, 2.0], "long_factor": [1.0, 2.0],
                             "original_max_position_embeddings": 19}},
    ),
    "latent attention with mscale": (
        "deepseek_v3",
        {"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4, "factor": 8.0, "mscale": 0.7,
                             "mscale_all_dim": 1.3, "original_max_position_embeddings": 19}},
    ),
}  # fmt: skip
"""Models whose scores are scaled in a way of their own: a family and what its config says otherwise."""


def configured(monkeypatch: pytest.MonkeyPatch, family: str, settings: dict[str, Any]) -> torch.nn.Module:
    kind, sizes = tiny.CONFIGS[family]
    monkeypatch.setitem(tiny.CONFIGS, family, (kind, {**sizes, **settings}))
    return tiny.fresh(family)


@pytest.mark.slow
@pytest.mark.parametrize("case", SCALED)
def test_scores_that_are_scaled_in_a_way_of_their_own(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    family, settings = SCALED[case]
    model = without_biases(configured(monkeypatch, family, settings))
    assert_qk_is_the_models(family, model)
    matters = [
        (scaling.scaling(model, anatomy_of(model), stack, layer), scaling.rotary_gain(model, stack, layer)[0])
        for stack, layer in layers_with_heads(model)
    ]
    usual = [(stack.d_head**-0.5, 1.0) for stack, _ in layers_with_heads(model)]
    assert matters != usual or case == "deberta with content alone"


@pytest.mark.parametrize("case", ["a scale for each layer", "no scale"])
def test_scales_are_those_of_transformers_4_too(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where GPT-2's attention has the settings, and not yet the number that is made of them."""
    model = configured(monkeypatch, *SCALED[case])
    anatomy = hg.dissect(model)

    def scales() -> list[float]:
        return [scaling.scaling(model, anatomy, anatomy.main, layer) for layer in range(3)]

    now = scales()
    for block in model.transformer.h:
        del block.attn.scaling
    assert scales() == pytest.approx(now)


# ---- what is given for one head, for all, and as it is stored


@every_family
def test_a_head_alone_is_the_same_as_among_all(family: str) -> None:
    model = bare(family)
    for stack, layer in layers_with_heads(model):
        for ln in ("folded", "raw"):
            circuits = Circuits(weights_of(model, stack.name), ln)
            for kind, whole in (("ov", circuits.ov(layer)), ("qk", circuits.qk(layer))):
                assert whole.shape == (
                    stack.n_kv_heads, stack.n_heads // stack.n_kv_heads, stack.d_model, stack.d_model
                )  # fmt: skip
                alone = torch.stack([circuits.head(kind, layer, head).dense() for head in range(stack.n_heads)])
                torch.testing.assert_close(alone, whole.dense().flatten(0, 1))


@every_family
def test_raw_circuits_are_the_products_of_the_stored_weights(family: str) -> None:
    model = tiny.model(family)
    for stack, layer in layers_with_heads(model):
        weights = weights_of(model, stack.name)
        circuits = Circuits(weights, "raw")
        if ("W_DKV", layer) not in stack.places:
            for kind, products in (("ov", weights.W_OV), ("qk", weights.W_QK)):
                heads = range(stack.n_heads)
                found = torch.stack([circuits.head(kind, layer, head).dense() for head in heads])
                torch.testing.assert_close(found, torch.stack([products[layer, head].dense() for head in heads]))
            continue
        down = torch.eye(stack.d_model).double() if "W_DQ" not in weights.roles else weights.W_DQ[layer]
        for head in range(stack.n_heads):
            ov = weights.W_DKV[layer] @ weights.W_UV[layer, head] @ weights.W_O[layer, head]
            content = down @ weights.W_UQ[layer, head] @ weights.W_UK[layer, head].mT @ weights.W_DKV[layer].mT
            rotary = down @ weights.W_QR[layer, head] @ weights.W_KR[layer].mT
            torch.testing.assert_close(circuits.head("ov", layer, head).dense(), ov)
            torch.testing.assert_close(circuits.head("qk", layer, head).dense(), content + rotary)


def test_heads_that_share_keys_and_values_share_their_factors() -> None:
    circuits = Circuits(Weights(tiny.model(GROUPED)))
    ov, qk = circuits.ov(1), circuits.qk(1)
    assert (ov.A.shape, ov.B.shape) == ((2, 1, 48, 10), (2, 3, 10, 48))
    assert (qk.A.shape, qk.B.shape) == ((2, 3, 48, 10), (2, 1, 10, 48))


def test_raw_factors_are_views_of_the_parameters() -> None:
    model = tiny.model(GROUPED)
    circuits, attention = Circuits(Weights(model), "raw"), model.model.layers[1].self_attn
    stored = [attention.v_proj, attention.o_proj, attention.q_proj, attention.k_proj]
    for factors in ((circuits.ov(1), circuits.qk(1)), (circuits.head("ov", 1, 4), circuits.head("qk", 1, 4))):
        for factor, projection in zip((factors[0].A, factors[0].B, factors[1].A, factors[1].B), stored, strict=True):
            assert factor.untyped_storage().data_ptr() == projection.weight.untyped_storage().data_ptr()


@pytest.mark.parametrize("ln", ["folded", "raw"])
@pytest.mark.parametrize("family", [GROUPED, "codegen with 8 heads", "falcon-40b", "deepseek_v3"])
def test_of_one_head_the_weights_of_others_are_not_read(family: str, ln: str) -> None:
    """CodeGen and the new Falcon store heads in several places."""
    model = tiny.fresh(family)
    anatomy = hg.dissect(model)
    others = anatomy.select(f"l1h[0-{anatomy.n_heads - 2}]") - anatomy.select(f"l1h{anatomy.n_heads - 1}")
    with torch.no_grad():
        for name, mask in others.masks().items():
            model.get_parameter(name).masked_fill_(torch.tensor(True) if mask is None else mask, torch.nan)
    circuits = Circuits(Weights(model), ln)
    for kind in ("ov", "qk"):
        assert circuits.head(kind, 1, anatomy.n_heads - 1).dense().isfinite().all()
        with pytest.raises(ValueError, match="NaN or inf"):
            circuits.head(kind, 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_what_is_folded_is_no_worse_than_single_precision(dtype: torch.dtype) -> None:
    for family in ("gemma2", "deepseek_v3", "gpt2"):
        model = tiny.fresh(family).to(dtype)
        circuits, exact = Circuits(Weights(model)), Circuits(Weights(model, dtype=torch.float64))
        for layer in range(2):
            for ours, theirs in ((circuits.ov(layer), exact.ov(layer)), (circuits.qk(layer), exact.qk(layer))):
                assert ours.dtype == torch.float32
                error = (ours.dense() - theirs.dense()).norm() / theirs.dense().norm()
                assert error < 1e-6


def test_a_later_change_of_a_weight_is_seen() -> None:
    model = tiny.fresh(GROUPED)
    circuits = Circuits(Weights(model))
    before = circuits.head("ov", 1, 2).norm()
    with torch.no_grad():
        model.model.layers[1].self_attn.o_proj.weight.mul_(2)
    torch.testing.assert_close(circuits.head("ov", 1, 2).norm(), 2 * before)


# ---- MLPs


@every_family
def test_an_mlp_reads_and_writes_the_stream_as_its_matrices_say(family: str) -> None:
    """Its input, read by the stored weights, is the stream read by the folded ones; and so it is with its output."""
    model, seen = tiny.model(family), recorded(family)
    anatomy = tiny.anatomy(family)
    for stack in anatomy.stacks:
        if not stack.n_layers:
            continue
        weights = weights_of(model, stack.name)
        circuits, centered = Circuits(weights), stack.name == "vision" or anatomy.normalization_type == "LN"
        for layer in range(stack.n_layers):
            reader = module_of(stack, layer, "W_in", "router.W")
            if reader is None:
                assert stack.name == "cross"
                continue
            received = stream = seen[reader][0]
            path = module_of(stack, layer, "ln2.w", "ln2_post.w", "ln1.w")
            if family == "olmo":
                path = f"model.layers.{layer}.post_attention_layernorm"
            if ("ln2_post.w", layer) not in stack.places or ("ln2.w", layer) in stack.places:
                stream = unscaled(seen[path][0], model.get_submodule(path), centered=centered)
                role = next((role for role in ("ln2.b", "ln1.b") if (role, layer) in stack.places), None)
                received = received - (weights.read(role, layer) if role else 0)
            for expert in [None] if ("W_in", layer) in stack.places else [0, stack.n_experts - 1]:
                for which in ("in", "gate", "out"):
                    role = f"W_{which}" if expert is None else f"expert.W_{which}"
                    if (role, layer) not in stack.places:
                        continue
                    stored = weights.read(role, layer) if expert is None else weights.read(role, layer)[expert]
                    found = circuits.mlp(which, layer, expert)
                    if which != "out":
                        torch.testing.assert_close(stream @ found, received @ stored, rtol=1e-6, atol=1e-6)
                    elif expert is not None:
                        assert torch.equal(found, stored)  # no mixture has a norm on its output
            if ("W_out", layer) in stack.places:
                activation, written = seen[module_of(stack, layer, "W_out")]
                written = written - (weights.read("b_out", layer) if ("b_out", layer) in stack.places else 0)
                post = module_of(stack, layer, "ln2_post.w")
                if post is not None and torch.equal(seen[post][0], written):
                    written = seen[post][1] * norm_scale(written, model.get_submodule(post), centered=False)
                torch.testing.assert_close(activation @ circuits.mlp("out", layer), written, rtol=1e-6, atol=1e-6)


def test_raw_mlps_are_views_of_the_parameters() -> None:
    model = tiny.model("gemma2")
    circuits, mlp = Circuits(Weights(model), "raw"), model.model.layers[2].mlp
    assert torch.equal(circuits.mlp("in", 2), mlp.up_proj.weight.mT)
    assert torch.equal(circuits.mlp("gate", 2), mlp.gate_proj.weight.mT)
    assert torch.equal(circuits.mlp("out", 2), mlp.down_proj.weight.mT)
    assert circuits.mlp("out", 2).data_ptr() == mlp.down_proj.weight.data_ptr()


# ---- what is refused


def test_what_a_layer_does_not_have_is_said_with_what_it_has() -> None:
    jamba, mixture = Circuits(Weights(tiny.model("jamba"))), Circuits(Weights(tiny.model("mixtral")))
    with pytest.raises(AnatomyError, match=r"layer 1 has no heads: it has mixer, .*Layers with heads: 2"):
        jamba.ov(1)
    with pytest.raises(AnatomyError, match="layer 0 has no heads"):
        jamba.head("qk", 0, 0)
    assert [jamba.has(layer) for layer in range(4)] == [False, False, True, False]
    with pytest.raises(AnatomyError, match=r"layer 2 has no W_in: say which of its 5 experts; it has W_Q"):
        mixture.mlp("in", 2)
    with pytest.raises(IndexError, match="there is no expert 5; the experts of layer 2 are 0 to 4"):
        mixture.mlp("in", 2, 5)
    with pytest.raises(AnatomyError, match=r"layer 0 has no W_gate; it has W_Q, .*W_in"):
        Circuits(Weights(tiny.model("gpt2"))).mlp("gate", 0)
    with pytest.raises(AnatomyError, match=r"layer 0 has no expert\.W_out; it has"):
        Circuits(Weights(tiny.model("gpt2"))).mlp("out", 0, 1)


def test_numbers_and_words_that_do_not_exist_are_refused() -> None:
    weights = Weights(tiny.model("gpt2"))
    circuits = Circuits(weights)
    with pytest.raises(ValueError, match="ln is 'folded' or 'raw', not 'fold'"):
        Circuits(weights, "fold")  # type: ignore[arg-type]
    with pytest.raises(IndexError, match="there is no layer 3; the layers are 0 to 2"):
        circuits.ov(3)
    with pytest.raises(IndexError, match="there is no head 4; the heads of layer 2 are 0 to 3"):
        circuits.head("qk", 2, 4)
    with pytest.raises(ValueError, match="kind is 'vo'; a head's circuits are 'ov' and 'qk'"):
        circuits.head("vo", 0, 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="which is 'up'; an MLP's matrices are 'in', 'gate' and 'out'"):
        circuits.mlp("up", 0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind is 'head'; it should be 'ov', 'qk' or 'mlp'"):
        circuits.notes("head", 0)  # type: ignore[arg-type]
    assert torch.equal(circuits.qk(-1).A, circuits.qk(2).A)


def test_weights_that_are_not_there_or_not_finite_are_refused_by_name() -> None:
    with torch.device("meta"):
        empty = transformers.GPT2LMHeadModel(tiny.config("gpt2"))
    with pytest.raises(AnatomyError, match=r"h\.1\..* is on the meta device"):
        Circuits(Weights(empty)).ov(1)
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        model.transformer.h[0].attn.c_proj.weight[3, 5] = torch.inf
        model.transformer.h[2].mlp.c_fc.weight[3, 5] = torch.nan
    circuits = Circuits(Weights(model))
    with pytest.raises(ValueError, match=r"W_O has NaN or inf in 1 of 784 entries: look at transformer\.h\.0\.attn"):
        circuits.ov(0)
    with pytest.raises(ValueError, match=r"W_in has NaN or inf in 1 of 616 entries: look at transformer\.h\.2\.mlp"):
        circuits.mlp("in", 2)
    assert circuits.head("ov", 0, 1).norm().isfinite()


# ---- notes


@pytest.mark.parametrize(
    ("family", "kind", "words"),
    [
        ("gpt2", "qk", ["Biases"]),
        ("gpt2", "ov", []),
        ("gpt_neo", "mlp", []),
        (GROUPED, "qk", ["offset 0"]),
        (GROUPED, "mlp", []),
        ("qwen3", "qk", ["offset 0", "not bilinear"]),
        ("jamba", "mlp", []),
        ("olmo2", "qk", ["offset 0", "not bilinear"]),
        ("gemma2", "qk", ["offset 0", "capped at 50"]),
        ("gemma2", "ov", []),
        ("mpt", "qk", ["ALiBi"]),
        ("gpt_oss", "qk", ["offset 0", "sink", "Biases"]),
        ("bert", "qk", ["Biases", "act on the stream"]),
        ("bert", "ov", ["act on the stream"]),
        ("bert", "mlp", ["act on the stream"]),
        ("albert", "ov", ["used 3 times", "act on the stream"]),
        ("deepseek_v3", "qk", ["offset 0", "Latent"]),
        ("deepseek_v3", "ov", ["Latent"]),
    ],
)
def test_notes_say_what_a_matrix_leaves_out(family: str, kind: Any, words: list[str]) -> None:
    notes = Circuits(Weights(tiny.model(family))).notes(kind, 0)
    assert len(notes) == len(words)
    assert all(word in note for word, note in zip(words, notes, strict=True))


def test_notes_are_of_their_stack_and_layer() -> None:
    def said(family: str, stack: str, layer: int = 1) -> str:
        return " ".join(Circuits(Weights(tiny.model(family), stack=stack)).notes("qk", layer))

    assert "bias for the distance" in said("t5", "decoder")
    assert "bias for the distance" not in said("t5", "cross")
    assert "rotary" in said("qwen3_vl", "vision")
    assert "rotary" in said("llava", "")
    assert "rotary" not in said("llava", "vision")
    ungated = Circuits(Weights(tiny.model("qwen3_next")))
    assert any("gate" in note for note in ungated.notes("ov", 1))
    assert not any("gate" in note for note in ungated.notes("ov", 0)), "a layer without heads"
    raw = Circuits(Weights(tiny.model("bert")), "raw")
    assert raw.notes("ov", 1) == ()


@pytest.mark.parametrize(("family", "without"), [("smollm3", "no_rope_layers"), ("cohere2", "layer_types")])
def test_layers_without_positions_are_not_called_rotary(
    family: str, without: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = {"no_rope_layers": [1, 0, 1], "layer_types": ["sliding_attention", "full_attention", "sliding_attention"]}
    model = configured(monkeypatch, family, {without: says[without], "sliding_window": 4})
    circuits = Circuits(Weights(model))
    rotary = [any("rotary" in note for note in circuits.notes("qk", layer)) for layer in range(3)]
    assert rotary == [True, False, True]


def test_clips_and_multipliers_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    clipped = Circuits(Weights(configured(monkeypatch, "olmo", {"clip_qkv": 8.0})))
    assert any("clipped at 8" in note for note in clipped.notes("qk", 0))
    assert not any("clipped" in note for note in Circuits(Weights(tiny.model("gpt2"))).notes("qk", 0))
    multiplied = Circuits(Weights(configured(monkeypatch, "granite", {"residual_multiplier": 0.25})))
    assert any("multiplied by 0.25" in note for note in multiplied.notes("ov", 0))
    assert any("multiplied by 0.25" in note for note in multiplied.notes("mlp", 0))


def test_biases_of_zero_are_not_mentioned() -> None:
    assert not any("Biases" in note for note in Circuits(Weights(bare("gpt2"))).notes("qk", 1))


# ---- models in other models


def test_an_adapter_is_said_and_the_scale_is_the_attentions_own() -> None:
    """PEFT's modules have a `scaling` too, which is the adapter's."""
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=5, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    model = peft.get_peft_model(tiny.fresh(GROUPED), settings)
    circuits, plain = Circuits(Weights(model)), Circuits(Weights(tiny.model(GROUPED)))
    torch.testing.assert_close(circuits.qk(1).dense(), plain.qk(1).dense())
    torch.testing.assert_close(circuits.mlp("in", 1), plain.mlp("in", 1))
    assert ["adapter" in " ".join(circuits.notes(kind, 1)) for kind in ("ov", "qk", "mlp")] == [False, True, True]


def bridged(model: torch.nn.Module) -> Any:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    return build_bridge_from_module(model, type(model).__name__, hf_config=model.config)


BRIDGED = ["gpt2", "gpt_neox", "gemma2", "gpt_neo", "gptj", "mpt", "phi3", "qwen3", "bloom", "olmo2", GROUPED]


@pytest.mark.slow
@pytest.mark.parametrize("family", BRIDGED)
def test_a_bridge_has_the_circuits_of_its_original(family: str) -> None:
    original = Circuits(Weights(tiny.fresh(family).float()))
    bridge = Circuits(Weights(bridged(tiny.fresh(family).float())))
    for layer in range(3):
        torch.testing.assert_close(bridge.ov(layer).dense(), original.ov(layer).dense())
        torch.testing.assert_close(bridge.qk(layer).dense(), original.qk(layer).dense())
        assert bridge.notes("qk", layer) == original.notes("qk", layer)
        assert bridge.norms.notes == ()


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", "gemma2", GROUPED])
def test_folding_the_weights_themselves_changes_no_circuit_but_centers_what_is_written(family: str) -> None:
    """TransformerLens' compatibility mode folds the norms before the blocks, and centers W_O where norms center."""
    original, model = Circuits(Weights(tiny.fresh(family).float())), bridged(tiny.fresh(family).float())
    model.enable_compatibility_mode()
    processed = Circuits(Weights(model))
    for layer in range(3):
        ov = original.ov(layer).dense()
        if family == "gpt2":
            ov = ov - ov.mean(-1, keepdim=True)
        torch.testing.assert_close(processed.ov(layer).dense(), ov, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(processed.qk(layer).dense(), original.qk(layer).dense(), rtol=1e-4, atol=1e-4)


def test_the_scale_of_a_guessed_family_is_a_guess_only_where_no_attribute_says_it_and_it_cannot_be_measured() -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("it cannot be run")

    for family, attribute in (("gpt2", True), ("deberta", False)):
        for provenance in ("table", "guess"):
            for runs in (True, False):
                weights = Weights(tiny.fresh(family))
                weights.anatomy = dataclasses.replace(weights.anatomy, provenance=provenance)
                if not runs:
                    weights.model.base_model.forward = broken
                said = any("is a guess" in note for note in Circuits(weights).notes("qk", 0))
                assert said == (provenance == "guess" and not attribute and not runs)
