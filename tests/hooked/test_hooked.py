"""HookedTransformer itself: the same weights, the same masks, and TransformerLens' own ablation as the judge."""

from __future__ import annotations

import functools
from typing import Any

import exact
import pytest
import torch
import transformer_lens
from transformer_lens import HookedEncoder, HookedTransformer, HookedTransformerConfig
from transformer_lens.pretrained import weight_conversions as convert

import headgrid as hg

CONVERTED = {
    "gpt2": convert.convert_gpt2_weights,
    "gpt_neox": convert.convert_neox_weights,
    "llama with grouped-query attention": convert.convert_llama_weights,
    "qwen3": convert.convert_qwen3_weights,
}

every_family = pytest.mark.parametrize("family", CONVERTED)

PLAIN = {"fold_ln": False, "center_writing_weights": False, "center_unembed": False, "fold_value_biases": False}


@functools.cache
def original(family: str) -> Any:
    return exact.model(family).eval()


def hooked(family: str, processing: dict[str, bool], folded: str = "") -> HookedTransformer:
    """The HookedTransformer with the weights of a transformers model, its config in headgrid's words."""
    model = original(family)
    anatomy, config = hg.dissect(model), model.config
    words = ("n_layers", "n_heads", "d_model", "d_head", "d_mlp", "d_vocab", "n_ctx", "act_fn",
             "positional_embedding_type")  # fmt: skip
    settings = HookedTransformerConfig(
        **{word: getattr(anatomy, word) for word in words},
        normalization_type=f"{anatomy.normalization_type}{folded}",
        n_key_value_heads=anatomy.n_kv_heads if anatomy.n_kv_heads < anatomy.n_heads else None,
        gated_mlp="W_gate" in anatomy.exists,
        use_qk_norm="q_norm.w" in anatomy.exists,
        final_rms=anatomy.normalization_type == "RMS",
        parallel_attn_mlp=getattr(config, "use_parallel_residual", False),
        rotary_dim=round(getattr(config, "rotary_pct", 1) * anatomy.d_head),
        eps=next(getattr(config, name) for name in EPS if hasattr(config, name)),
        device="cpu",
    )
    with torch.no_grad():
        state = {name: tensor.clone() for name, tensor in CONVERTED[family](model, settings).items()}
        made = HookedTransformer(settings)
        made.load_and_process_state_dict(state, **processing)
    return made.eval()


EPS = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon")


@functools.cache
def plain(family: str) -> HookedTransformer:
    return hooked(family, PLAIN)


def test_this_is_a_transformer_lens_that_has_hooked_transformer() -> None:
    assert not hasattr(transformer_lens, "TransformerBridge")


@every_family
def test_the_words_of_the_config_make_a_model_that_computes_the_same(family: str) -> None:
    with torch.no_grad():
        ours, theirs = plain(family)(exact.tokens()), original(family)(exact.tokens()).logits
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)


@every_family
def test_hooked_transformer_and_the_original_have_the_same_canonical_weights_and_masks(family: str) -> None:
    ours, theirs = hg.dissect(plain(family)), hg.dissect(original(family))
    weights = exact.canonical(theirs, dict(original(family).named_parameters()))
    again = exact.canonical(ours, dict(plain(family).named_parameters()))
    assert set(weights) <= set(again)
    for key, tensor in weights.items():
        assert torch.equal(tensor, again[key]), key
    for key in set(again) - set(weights):
        assert not again[key].any(), f"{key} is not in the original, so it should be a bias of zeros"
    for text in (f"l{layer}h{head}" for layer in range(ours.n_layers) for head in range(ours.n_heads)):
        masks = exact.canonical(theirs, exact.dense(theirs.select(text)))
        other = exact.canonical(ours, exact.dense(ours.select(text)))
        assert all(torch.equal(mask, other[key]) for key, mask in masks.items()), text


@pytest.mark.parametrize("family", exact.FAMILIES)
def test_other_versions_of_the_libraries_give_the_same_canonical_weights_and_masks(family: str) -> None:
    places = exact.places(original(family))
    for model in (original(family), plain(family)):
        assert exact.digests(model, places) == exact.EXPECTED[family]


def check_heads(model: Any, tokens: torch.Tensor) -> None:
    """Zeroing a head's masked W_O is ablating its hook_z, for every head."""
    anatomy = hg.dissect(model)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        clean = model(tokens)
        for layer in range(anatomy.n_layers):
            for head in range(anatomy.n_heads):

                def hook(z: torch.Tensor, hook: Any, head: int = head) -> torch.Tensor:
                    z[:, :, head] = 0
                    return z

                expected = model.run_with_hooks(tokens, fwd_hooks=[(f"blocks.{layer}.attn.hook_z", hook)])
                masks = anatomy.select(f"l{layer}h{head}.o").masks()
                before = {name: parameters[name].clone() for name in masks}
                for name, mask in masks.items():
                    parameters[name].masked_fill_(torch.tensor(True) if mask is None else mask, 0)
                got = model(tokens)
                for name, value in before.items():
                    parameters[name].copy_(value)
                torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
                assert not torch.allclose(clean, expected, rtol=1e-3, atol=1e-3), "ablating the head should matter"


@every_family
def test_zeroing_a_heads_masked_output_weights_is_ablating_its_hook_z(family: str) -> None:
    check_heads(plain(family), exact.tokens())


@every_family
def test_it_is_so_with_folded_norms_and_centered_weights_too(family: str) -> None:
    folded = hooked(family, {}, "Pre")
    assert not {"ln1.w", "ln2.w", "ln_final.w"} & set(hg.dissect(folded).exists)
    with torch.no_grad():
        ours, theirs = folded(exact.tokens()), original(family)(exact.tokens()).logits
    torch.testing.assert_close(ours.log_softmax(-1), theirs.log_softmax(-1), rtol=1e-3, atol=1e-3)
    check_heads(folded, exact.tokens())


# ---- models from a configuration

SMALL = {"n_layers": 3, "d_model": 28, "n_ctx": 19, "d_head": 10, "n_heads": 4, "d_mlp": 22, "d_vocab": 31,
         "device": "cpu"}  # fmt: skip

KINDS: dict[str, dict[str, Any]] = {
    "GPT-2's kind": {"act_fn": "gelu_new"},
    "gated, rotary, grouped queries": {
        "act_fn": "silu", "gated_mlp": True, "normalization_type": "RMS", "n_key_value_heads": 2, "final_rms": True,
        "positional_embedding_type": "rotary",
    },
    "attention only, without norms": {"attn_only": True, "normalization_type": None},
    "attention only, Shortformer": {"attn_only": True, "positional_embedding_type": "shortformer"},
    "SoLU with a norm in the MLP": {"act_fn": "solu_ln"},
    "side by side, norms without weights": {
        "act_fn": "relu", "normalization_type": "LNPre", "parallel_attn_mlp": True
    },
    "norms on both sides, of queries and keys": {
        "act_fn": "silu", "normalization_type": "RMSPre", "use_normalization_before_and_after": True,
        "use_qk_norm": True, "post_embedding_ln": True,
    },
    "ALiBi": {"act_fn": "gelu", "positional_embedding_type": "alibi"},
    "another output vocabulary": {"act_fn": "relu", "d_vocab_out": 7, "final_rms": True},
    "a mixture": {"act_fn": "silu", "gated_mlp": True, "num_experts": 5, "experts_per_token": 2},
    "GPT-OSS' mixture": {
        "act_fn": "silu", "num_experts": 5, "experts_per_token": 2, "original_architecture": "GptOssForCausalLM"
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_alone_has_the_anatomy_of_its_model(kind: str) -> None:
    config = HookedTransformerConfig(**SMALL, **KINDS[kind])
    made = HookedTransformer(config)
    anatomy = hg.dissect(made)
    for source in (config, config.to_dict(), HookedTransformerConfig.from_dict(config.to_dict())):
        planned = hg.dissect(source)
        assert planned == anatomy
        assert (planned.fingerprint, planned.unused) == (anatomy.fingerprint, anatomy.unused)
        assert planned.act_fn == config.act_fn
    assert {*anatomy.parameters, *anatomy.unused} == {name for name, _ in made.named_parameters()}
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.5)
    check_heads(made, exact.tokens())
    made(exact.tokens()).square().sum().backward()
    unread = {name for name, parameter in made.named_parameters() if parameter.grad is None}
    assert {name for name in unread if ".experts." not in name} == set(anatomy.unused)


def test_the_number_of_parameters_in_a_configuration_is_that_of_weights_in_heads_and_neurons() -> None:
    """TransformerLens counts no biases, norms or embeddings there, and no grouping of keys and values."""
    for kind in ("GPT-2's kind", "SoLU with a norm in the MLP", "attention only, without norms"):
        config = HookedTransformerConfig(**SMALL, **KINDS[kind])
        anatomy = hg.dissect(config)
        weights = [slot for slot in anatomy.slots if slot.role in ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_out")]
        assert config.n_params == sum(slot.n_params for slot in weights) < anatomy.n_params


def test_an_encoder_has_an_anatomy_too() -> None:
    config = HookedTransformerConfig(**SMALL, act_fn="gelu", attention_dir="bidirectional")
    made = HookedEncoder(config)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.normal_(0, 0.5)
    anatomy = hg.dissect(made)
    assert {"W_type", "ln1_post.w", "ln2_post.b", "ln_embed.w", "top"} <= set(anatomy.exists)
    check_heads(made, exact.tokens())


# ---- activations


NAMES = {
    "q": "attn.hook_{rot_}q", "k": "attn.hook_{rot_}k", "v": "attn.hook_v", "scores": "attn.hook_attn_scores",
    "pattern": "attn.hook_pattern", "z": "attn.hook_z", "in": "hook_resid_pre", "mid": "hook_resid_mid",
    "out": "hook_resid_post", "attn out": "hook_attn_out", "mlp out": "hook_mlp_out",
}  # fmt: skip


@every_family
def test_points_are_what_the_hooks_of_these_names_see(family: str) -> None:
    made = hooked(family, PLAIN)
    _, theirs = made.run_with_cache(exact.tokens())
    for kind, name in NAMES.items():
        if kind == "mid" and family == "gpt_neox":  # attention and MLP are parallel
            continue
        name = name.replace("{rot_}", "" if family == "gpt2" else "rot_")
        with hg.record(made, f"blocks.1.{name}") as cache, torch.no_grad():
            made(exact.tokens())
        ours, other = cache.of(kind)[1], theirs[f"blocks.1.{name}"]
        if kind in ("scores", "pattern"):
            ours = ours.transpose(1, 2)
        torch.testing.assert_close(ours, other, rtol=1e-5, atol=1e-5)
