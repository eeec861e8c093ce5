"""The words for a config are TransformerLens' own, and where the two disagree the model itself is asked."""

from __future__ import annotations

import functools
import re
from typing import Any

import pytest
import tiny
import torch
from bridges import OTHERWISE, UNSUPPORTED
from transformers.activations import ACT2FN

import headgrid as hg

DISAGREEMENTS: dict[tuple[str, str], tuple[Any, Any]] = {
    # its default where a config says `activation` or `dense_act_fn`, or where the code of the model fixes it
    ("bloom", "act_fn"): ("relu", "gelu_fast"),
    ("falcon-7b", "act_fn"): ("relu", "gelu"),
    ("falcon-rw", "act_fn"): ("relu", "gelu"),
    ("falcon-40b", "act_fn"): ("relu", "gelu"),
    ("mpt", "act_fn"): ("relu", "gelu"),
    ("t5 with a gated mlp", "act_fn"): ("relu", "gelu_new"),
    ("mt5", "act_fn"): ("relu", "gelu_new"),
    # its default where it knows no limit; there is none with ALiBi or relative positions
    ("bloom", "n_ctx"): (2048, None),
    ("t5", "n_ctx"): (2048, None),
    ("mt5", "n_ctx"): (2048, None),
    ("t5 with a gated mlp", "n_ctx"): (2048, None),
    # four times d_model, where a config calls the width `ffn_dim`, `ffn_hidden_size` or `d_ff`
    ("falcon-7b", "d_mlp"): (160, 22),
    ("falcon-rw", "d_mlp"): (160, 22),
    ("falcon-40b", "d_mlp"): (192, 22),
    ("opt", "d_mlp"): (112, 22),
    ("opt-350m", "d_mlp"): (112, 22),
    ("t5", "d_mlp"): (112, 22),
    ("mt5", "d_mlp"): (112, 22),
    ("t5 with a gated mlp", "d_mlp"): (112, 22),
    # the part of a key that is rotated, where ours is the width of z
    ("deepseek_v2", "d_head"): (4, 12),
    ("deepseek_v2-lite", "d_head"): (4, 12),
    ("deepseek_v2 with biases", "d_head"): (4, 12),
    ("deepseek_v3", "d_head"): (4, 12),
    # the encoder's layers, where ours are the decoder's
    ("t5", "n_layers"): (3, 2),
    ("mt5", "n_layers"): (3, 2),
    ("t5 with a gated mlp", "n_layers"): (3, 2),
    # not set, where ours is 0
    ("vit", "d_vocab"): (-1, 0),
}
"""(family, fact) -> TransformerLens' value and ours; the tests below that ask the model itself say who is right."""

WORDS = (
    "n_layers", "n_heads", "d_model", "d_head", "d_mlp", "d_vocab", "n_ctx", "act_fn", "normalization_type",
    "positional_embedding_type",
)  # fmt: skip


@functools.cache
def bridge(family: str) -> Any:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    model = tiny.fresh(family)
    return build_bridge_from_module(model, type(model).__name__, hf_config=model.config)


@pytest.mark.parametrize("family", [family for family in tiny.FAMILIES if family not in UNSUPPORTED])
def test_the_words_for_a_config_are_those_of_transformer_lens(family: str) -> None:
    anatomy, config = hg.dissect(tiny.model(family)), bridge(family).cfg
    for word in WORDS:
        theirs, ours = getattr(config, word), getattr(anatomy, word)
        assert (theirs, ours) == DISAGREEMENTS.get((family, word), (ours, ours)), word
    assert (config.n_key_value_heads or config.n_heads) == anatomy.n_kv_heads
    assert bridge(family).n_params_total == anatomy.n_params == tiny.model(family).num_parameters()


@pytest.mark.parametrize("family", UNSUPPORTED)
def test_the_other_families_are_refused_by_transformer_lens_itself(family: str) -> None:
    with pytest.raises(Exception, match=re.escape(UNSUPPORTED[family])):
        bridge(family)


@pytest.mark.parametrize("family", OTHERWISE)
def test_some_bridges_do_not_compute_what_their_model_does(family: str) -> None:
    with torch.no_grad():
        theirs = bridge(family)(tiny.inputs(family)["input_ids"])
        ours = tiny.model(family)(**tiny.inputs(family)).logits
    assert not torch.allclose(theirs.double(), ours, rtol=1e-2, atol=1e-2)


# ---- the model itself as the judge


def seen(model: torch.nn.Module, given: dict[str, torch.Tensor], names: list[str]) -> dict[str, torch.Tensor]:
    """What enters these modules in a forward pass."""
    found: dict[str, torch.Tensor] = {}
    hooks = [
        model.get_submodule(name).register_forward_pre_hook(lambda _, args, name=name: found.update({name: args[0]}))
        for name in names
    ]
    with torch.no_grad():
        model(**given)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_named_activation_is_what_the_neurons_compute(family: str) -> None:
    """post = act_fn(x W_gate + b_gate) * (x W_in + b_in), or act_fn(x W_in + b_in) where there is no gate."""
    model = tiny.model(family)
    anatomy, weights = hg.dissect(model), dict(model.named_parameters())
    roles = {role: slots[0] for (role, layer), slots in anatomy.places.items() if layer == 1}
    if "W_in" not in roles or "W_out" not in roles:
        pytest.skip("its layers have no neurons of their own")
    reader, writer = (roles[role].parameter.removesuffix(".weight") for role in ("W_in", "W_out"))
    inputs = seen(model, tiny.inputs(family), [reader, writer])

    def read(which: str) -> torch.Tensor:
        bias = roles.get(f"b_{which}")
        return inputs[reader] @ roles[f"W_{which}"].of(weights[roles[f"W_{which}"].parameter]).detach() + (
            0 if bias is None else bias.of(weights[bias.parameter]).detach()
        )

    assert anatomy.act_fn is not None
    act_fn = ACT2FN[anatomy.act_fn]
    post = act_fn(read("gate")) * read("in") if "W_gate" in roles else act_fn(read("in"))
    torch.testing.assert_close(post, inputs[writer], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_layer_norm_does_not_see_a_shift_of_its_input_and_an_rms_norm_does(family: str) -> None:
    anatomy = hg.dissect(tiny.model(family))
    norms = [
        module
        for name, module in tiny.model(family).named_modules()
        if re.search(r"(ln|norm)(_\w+)?$", name.lower())
        and {tuple(parameter.shape) for parameter in module.parameters()} <= {(anatomy.d_model,)}
    ]
    x = torch.randn(2, 3, anatomy.d_model, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    with torch.no_grad():
        blind = torch.allclose(norms[-1](x + 5.0), norms[-1](x), rtol=1e-3, atol=1e-3)
    assert anatomy.normalization_type == ("LN" if blind else "RMS")


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_standard_positions_are_those_with_a_table(family: str) -> None:
    anatomy = hg.dissect(tiny.model(family))
    table = any(slot.role == "W_pos" for slot in anatomy.main.slots)
    assert anatomy.positional_embedding_type in (("standard", "relative_positional_bias") if table else NO_TABLE)


NO_TABLE = ("rotary", "alibi", "none", "relative_positional_bias")
