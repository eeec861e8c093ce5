"""TransformerLens' models and configurations: the anatomy of a bridge is that of the model which it is put around."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from bridges import OTHERWISE, UNSUPPORTED, bridge, bridged, fresh
from hooked import exact
from hooked.exact import canonical, dense

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError

pytestmark = pytest.mark.slow

SUPPORTED = [
    family
    for family in tiny.FAMILIES
    if family not in UNSUPPORTED | OTHERWISE and set(tiny.inputs(family)) == {"input_ids"}
]
"""Families that TransformerLens supports and that read tokens, and nothing else."""

UNPROCESSED = {"qwen3_next": "it takes the biases of queries and output gates, side by side, for queries alone"}
"""Families whose weights TransformerLens cannot process, and why."""

LISTED = ["gpt2", "gpt_neox", "llama with grouped-query attention", "qwen3", "gemma2", "phi3", "bloom"]
"""Families that are tried in every layer; the others take their time in one."""

every_family = pytest.mark.parametrize("family", SUPPORTED)


def same(left: dict[Any, torch.Tensor], right: dict[Any, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[key], right[key]) for key in left)


# ---- bridges


@every_family
def test_a_bridge_and_its_original_have_the_same_canonical_weights(family: str) -> None:
    original = fresh(family)
    ours = canonical(hg.dissect(bridge(family)), dict(bridge(family).named_parameters()))
    assert same(ours, canonical(hg.dissect(original), dict(original.named_parameters())))


@every_family
def test_a_bridge_and_its_original_have_the_same_masks_in_canonical_orientation(family: str) -> None:
    anatomy, original = hg.dissect(bridge(family)), hg.dissect(tiny.model(family))
    assert (anatomy.n_params, anatomy.family) == (original.n_params, original.family)
    for layer, head in np.argwhere(anatomy.exists["W_O"]):
        text = f"l{layer}h{head}"
        ours, theirs = anatomy.select(text), original.select(text)
        assert same(canonical(anatomy, dense(ours)), canonical(original, dense(theirs))), text
        assert ours.n_params == theirs.n_params


@pytest.mark.parametrize("family", exact.FAMILIES)
def test_hooked_transformer_gives_the_same_canonical_weights_and_masks(family: str) -> None:
    """`canonical.json` is what HookedTransformer gives as well: `tests/hooked` compares it with that."""
    model = exact.model(family)
    places = exact.places(model)
    assert exact.digests(model, places) == exact.digests(bridged(model), places) == exact.EXPECTED[family]


@every_family
def test_the_parameters_in_parts_are_those_that_the_bridge_reads(family: str) -> None:
    copied = bridged(fresh(family))
    anatomy = hg.dissect(copied)
    copied(exact.tokens()).square().sum().backward()
    read = {name for name, parameter in copied.named_parameters() if parameter.grad is not None}
    assert set(anatomy.parameters) == read
    assert {*anatomy.parameters, *anatomy.unused} == {name for name, _ in copied.named_parameters()}
    fused = [
        name
        for name, slots in hg.dissect(tiny.model(family)).slots_of.items()
        if len(slots) > 1
        and {slot.role for slot in slots} <= {"W_Q", "W_K", "W_V", "b_Q", "b_K", "b_V", "W_gate", "W_in"}
    ]
    assert len(anatomy.unused) == len(fused)


def z_ablated(model: Any, layer: int, head: int, n_heads: int) -> torch.Tensor:
    """The logits with one head's z at zero, by TransformerLens' own hook."""

    def hook(z: torch.Tensor, hook: Any) -> torch.Tensor:
        changed = z.clone(memory_format=torch.contiguous_format)  # in whatever way it is cut into heads there
        changed.view(*z.shape[:2], n_heads, -1)[:, :, head] = 0
        return changed

    return model.run_with_hooks(exact.tokens(), fwd_hooks=[(f"blocks.{layer}.attn.hook_z", hook)])


def zeroed(model: Any, masks: hg.ParamMasks) -> torch.Tensor:
    """The logits with these entries of the parameters at zero, which are then put back."""
    parameters = dict(model.named_parameters())
    before = {name: parameters[name].detach().clone() for name in masks}
    with torch.no_grad():
        for name, mask in masks.items():
            parameters[name].masked_fill_(torch.tensor(True) if mask is None else mask, 0)
        logits = model(exact.tokens())
        for name, value in before.items():
            parameters[name].copy_(value)
    return logits


def check_heads(model: Any, every_layer: bool = True) -> None:
    """Zeroing a head's masked W_O is ablating its hook_z, for every head of every layer or of the last one."""
    anatomy = hg.dissect(model)
    with torch.no_grad():
        clean = model(exact.tokens())
        layers = [layer for layer in range(anatomy.n_layers) if ("W_O", layer) in anatomy.places]
        for layer in layers if every_layer else layers[-1:]:
            for head in range(anatomy.n_heads):
                expected = z_ablated(model, layer, head, anatomy.n_heads)
                got = zeroed(model, anatomy.select(f"l{layer}h{head}.o").masks())
                torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
                assert not torch.allclose(clean, expected, rtol=1e-3, atol=1e-3), "ablating the head should matter"


@every_family
def test_zeroing_a_heads_masked_output_weights_in_a_bridge_is_ablating_its_hook_z(family: str) -> None:
    check_heads(bridge(family), every_layer=family in LISTED)


@pytest.mark.filterwarnings("ignore:.*does not support:UserWarning")  # what it says when it leaves a step out
@pytest.mark.parametrize(
    ("family", "settings"),
    [(family, {}) for family in SUPPORTED if family not in UNPROCESSED]
    + [(family, {"no_processing": True}) for family in LISTED],
)
def test_compatibility_mode_changes_weights_and_no_place(family: str, settings: dict[str, bool]) -> None:
    model = bridged(fresh(family))
    model.enable_compatibility_mode(disable_warnings=True, **settings)
    anatomy = hg.dissect(model)
    model(exact.tokens()).square().sum().backward()
    parameters = dict(model.named_parameters())
    assert set(anatomy.parameters) == {name for name, one in parameters.items() if one.grad is not None}
    check_heads(model, every_layer=False)


@every_family
def test_the_canonical_weights_of_a_bridge_are_those_that_transformer_lens_shows(family: str) -> None:
    model = bridge(family)
    if "deepseek" in family:
        with torch.no_grad():
            model(torch.tensor([[3, 8, 5]]))  # by which theirs learns the sizes of compressed attention
    anatomy, parameters = hg.dissect(model), dict(model.named_parameters())
    for layer in range(anatomy.n_layers):
        for role in ("W_Q", "W_K", "W_V", "W_O"):
            for slot in anatomy.places.get((role, layer), ()):
                theirs = getattr(model.blocks[layer].attn, role)
                assert torch.equal(slot.of(parameters[slot.parameter]), theirs), role


def test_a_model_that_a_bridge_was_put_around_is_read_as_the_bridge() -> None:
    model = fresh("gpt2")
    anatomy = hg.dissect(bridged(model))
    assert hg.dissect(model) == anatomy
    assert hg.dissect(tiny.model("gpt2")) != anatomy


def test_processed_weights_that_are_no_parameters_are_refused() -> None:
    """As TransformerLens 4.0 to 4.2 keep those of gated MLPs."""
    model = bridged(fresh("llama with grouped-query attention"))
    model.blocks[1].mlp._processed_W_in = torch.zeros(48, 22)
    with pytest.raises(AnatomyError, match="outside of its parameters"):
        hg.dissect(model)


def test_a_bridge_with_a_parameter_of_its_owners_is_refused() -> None:
    model = fresh("gpt2")
    model.transformer.probe = torch.nn.Linear(3, 5)
    with pytest.raises(AnatomyError, match=r"transformer\.probe\.weight"):
        hg.dissect(bridged(model))


SMALL = {"n_layers": 3, "d_model": 28, "n_ctx": 19, "d_head": 10, "n_heads": 4, "d_mlp": 22, "d_vocab": 31}

NATIVE: dict[str, dict[str, Any]] = {
    "GPT-2's kind": {"act_fn": "gelu_new"},
    "gated, rotary, grouped queries": {
        "act_fn": "silu", "gated_mlp": True, "normalization_type": "RMS", "n_key_value_heads": 2,
        "positional_embedding_type": "rotary",
    },
    "attention only, without norms": {"attn_only": True, "normalization_type": None},
    "SoLU with a norm in the MLP": {"act_fn": "solu_ln"},
    "norms without weights": {"act_fn": "relu", "normalization_type": "LNPre"},
}  # fmt: skip


@pytest.mark.parametrize("kind", NATIVE)
def test_a_bridge_that_was_booted_from_a_configuration_has_an_anatomy(kind: str) -> None:
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    torch.manual_seed(0)
    model = TransformerBridge.boot_native(TransformerBridgeConfig(**SMALL, **NATIVE[kind]))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    anatomy = hg.dissect(model)
    assert (anatomy.family, anatomy.n_ctx, anatomy.d_mlp) == ("native", 19, 0 if "only" in kind else 22)
    check_heads(model)


# ---- HookedTransformer's names; `tests/hooked` has the real one


KINDS: dict[str, dict[str, Any]] = {
    **NATIVE,
    "a mixture": {"act_fn": "silu", "gated_mlp": True, "num_experts": 5, "experts_per_token": 2},
    "GPT-OSS' mixture": {"num_experts": 5, "original_architecture": "GptOssForCausalLM"},
    "norms on both sides, of queries and keys": {
        "act_fn": "silu", "normalization_type": "RMSPre", "use_normalization_before_and_after": True,
        "use_qk_norm": True, "post_embedding_ln": True,
    },
    "ALiBi": {"act_fn": "gelu", "positional_embedding_type": "alibi"},
    "another output vocabulary": {"act_fn": "relu", "d_vocab_out": 7, "final_rms": True},
}  # fmt: skip


class Named:
    """An object that has parameters of these names and shapes, and nothing else."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        self.parameters = {name: torch.zeros(shape) for name, shape in shapes.items()}

    def named_parameters(self) -> Any:
        return self.parameters.items()


@pytest.mark.parametrize("kind", KINDS)
def test_a_configuration_and_an_object_with_its_parameters_have_one_anatomy(kind: str) -> None:
    planned = hg.dissect({**SMALL, **KINDS[kind]})
    assert hg.dissect(Named(dict(planned.parameters))) == planned
    assert (planned.n_layers, planned.n_heads, planned.d_model, planned.d_head) == (3, 4, 28, 10)
    assert (planned.n_ctx, planned.act_fn) == (19, KINDS[kind].get("act_fn"))
    assert planned.select("full").n_params == planned.n_params
    assert {name for name in ("W_E", "W_U", "W_Q", "W_O", "b_K") if name in planned.exists} >= {"W_E", "W_Q", "b_K"}


def test_alibi_leaves_its_table_of_positions_unread() -> None:
    assert hg.dissect({**SMALL, **KINDS["ALiBi"]}).unused == ("pos_embed.W_pos",)


@every_family
def test_the_configuration_of_a_bridge_has_the_sizes_of_its_model(family: str) -> None:
    config, anatomy = bridge(family).cfg, hg.dissect(bridge(family))
    for source in (config, config.to_dict()):
        planned = hg.dissect(source)
        for word in ("n_layers", "n_heads", "d_model", "d_head", "d_vocab", "normalization_type", "n_ctx"):
            assert getattr(planned, word) == getattr(config, word), word
        assert planned.n_kv_heads == anatomy.n_kv_heads


def test_hooked_parameters_that_do_not_fit_are_refused() -> None:
    shapes = dict(hg.dissect({**SMALL, "act_fn": "gelu"}).parameters)
    with pytest.raises(AnatomyError, match=r"blocks\.1\.attn\.extra"):
        hg.dissect(Named({**shapes, "blocks.1.attn.extra": (3,)}))
    with pytest.raises(AnatomyError, match=r"attn\.W_K has the shape \[4, 28, 9\]"):
        hg.dissect(Named({**shapes, "blocks.1.attn.W_K": (4, 28, 9)}))
    model = Named(shapes)
    model.cfg = SimpleNamespace(n_heads=4, n_key_value_heads=None, n_layers=5)  # type: ignore[attr-defined]
    with pytest.raises(AnatomyError, match="n_layers = 5"):
        hg.dissect(model)


@pytest.mark.parametrize("size", ["d_vocab", "n_ctx"])
def test_a_configuration_that_leaves_a_size_open_is_refused(size: str) -> None:
    with pytest.raises(AnatomyError, match=f"{size} = "):
        hg.dissect({**SMALL, "act_fn": "gelu", size: -1})


# ---- files


def test_a_config_json_is_read_from_its_folder_or_by_its_name(tmp_path: Path) -> None:
    model = tiny.model("llama with grouped-query attention")
    model.config.save_pretrained(tmp_path)
    for path in (tmp_path, str(tmp_path / "config.json")):
        assert hg.dissect(path) == hg.dissect(model)
    (tmp_path / "lens.json").write_text(json.dumps({**SMALL, "act_fn": "gelu"}))
    assert hg.dissect(tmp_path / "lens.json") == hg.dissect({**SMALL, "act_fn": "gelu"})


@pytest.mark.parametrize(
    ("write", "what"),
    [
        (lambda _: None, "there is no file"),
        (lambda file: file.write_text("{"), "is not JSON"),
        (lambda file: file.write_text("[]"), "and a config is an object"),
        (lambda file: file.write_text('{"model_type": "gpt9"}'), "model_type 'gpt9'"),
        (lambda file: file.write_text('{"model_type": "clip"}'), "not in the table"),
    ],
)
def test_a_file_that_describes_no_known_model_is_refused(
    tmp_path: Path, write: Callable[[Path], Any], what: str
) -> None:
    write(tmp_path / "config.json")
    with pytest.raises(AnatomyError, match=what):
        hg.dissect(tmp_path)
