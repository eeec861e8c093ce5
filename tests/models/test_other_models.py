"""Hooks on models without heads, and on those of other libraries."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import tiny
import torch
import transformers
from hooking import (
    BATCH,
    LLAMA,
    ablated,
)
from torch.testing import assert_close

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError, Slot, Stack
from headgrid.hooks import NotRecorded, ablate, record
from headgrid.hooks.stream import templates


@functools.cache
def mamba() -> Any:
    torch.manual_seed(0)
    config = transformers.MambaConfig(
        hidden_size=24, num_hidden_layers=3, vocab_size=31, state_size=5, time_step_rank=3, use_cache=False
    )
    return transformers.MambaForCausalLM(config).double().eval()


def test_layers_are_recorded_by_a_template_of_their_names() -> None:
    with record(mamba(), layers="backbone.layers.{num}") as cache, torch.no_grad():
        hidden = mamba()(BATCH, output_hidden_states=True).hidden_states
    assert list(cache) == [f"l{layer} {end}" for layer in range(3) for end in ("in", "out")]
    for layer in range(2):
        assert_close(cache[f"l{layer} out"], hidden[layer])
        assert_close(cache[f"l{layer + 1} in"], hidden[layer])
    with pytest.raises(NotRecorded):
        cache["l1h2"]
    gpt2 = tiny.model("gpt2")
    with record(gpt2, layers="transformer.h.{num}") as named, record(gpt2, layers="l*") as selected:
        gpt2(BATCH)
    assert list(named) == list(selected)
    assert all(torch.equal(named[name], selected[name]) for name in named)


def test_a_model_without_heads_is_told_of_its_layers() -> None:
    for attempt in (
        lambda: record(mamba(), "l1h2"),
        lambda: ablate(mamba(), "l1h2"),
        lambda: record(mamba(), layers="l1"),
    ):
        with pytest.raises(AnatomyError, match=r"record\(model, layers='backbone.layers.\{num\}'\)"):
            attempt()
    with pytest.raises(ValueError, match=r"MambaForCausalLM has 'backbone.layers.\{num\}'"):
        record(mamba(), layers="transformer.h.{num}")
    with pytest.raises(ValueError, match=r"one \{num\}"):
        record(mamba(), layers="{num}.{num}")
    assert templates(tiny.model("mixtral")) == ["model.layers.{num}"]
    assert templates(tiny.model("bart")) == ["model.decoder.layers.{num}", "model.encoder.layers.{num}"]
    with pytest.raises(ValueError, match="embed is in no layer"):
        record(tiny.model(LLAMA), layers="embed | l1")


class _Attention(torch.nn.Module):
    """What HookedTransformer's attention is to a hook: weights of its own, and z passing a module without weights."""

    def __init__(self) -> None:
        super().__init__()
        self.W_Q, self.W_K, self.W_V = (torch.nn.Parameter(torch.randn(3, 10, 4)) for _ in range(3))
        self.W_O, self.b_O = torch.nn.Parameter(torch.randn(3, 4, 10)), torch.nn.Parameter(torch.randn(10))
        self.hook_z = torch.nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.einsum("bqm,nmh,bkl,nlh->bnqk", x, self.W_Q, x, self.W_K)
        z = self.hook_z(torch.einsum("bnqk,bkm,nmh->bqnh", scores.softmax(-1), x, self.W_V))
        return torch.einsum("bqnh,nhm->bqm", z, self.W_O) + self.b_O


class _Hooked(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([torch.nn.ModuleDict({"attn": _Attention()}) for _ in range(2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block["attn"](x)
        return x


def test_z_of_a_hooked_transformer_is_what_passes_hook_z() -> None:
    torch.manual_seed(0)
    model, x = _Hooked().double(), torch.randn(2, 5, 10, dtype=torch.float64)
    sizes = {"n": 3, "g": 3, "h": 4, "m": 10}
    slots = tuple(
        Slot(role, layer, f"blocks.{layer}.attn.{role}", axes, sizes)
        for layer in range(2)
        for role, axes in [("W_Q", "n m h"), ("W_K", "g m h"), ("W_V", "g m h"), ("W_O", "n h m"), ("b_O", "m")]
    )
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    anatomy = hg.Anatomy("Hooked", "hooked", (Stack("", 2, 3, 3, 10, 4, 0, 0, slots),), 0, shapes, provenance="guess")
    with record(model, anatomy.select("l1 attn")) as cache:
        model(x)
    assert cache["l1 attn"].shape == (2, 5, 3, 4)
    zeroed = copy.deepcopy(model)
    with torch.no_grad():
        zeroed.blocks[1]["attn"].W_O[1] = 0
    with ablate(model, anatomy.select("l1h1")):
        assert_close(model(x), zeroed(x))
    with ablate(model, anatomy.select("l1h1"), cache):
        assert_close(model(x), model(x))
    del model.blocks[1]["attn"].hook_z
    with pytest.raises(ValueError, match=r"blocks.1.attn.W_O is in no module of its own"):
        ablate(model, anatomy.select("l1h1"))


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", LLAMA, "gemma2", "phi3", "bloom"])
def test_a_bridge_is_recorded_and_ablated_as_by_its_own_hooks(family: str) -> None:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    original = tiny.fresh(family)
    bridge: Any = build_bridge_from_module(original, type(original).__name__, hf_config=original.config)
    anatomy, given = hg.dissect(bridge), tiny.inputs(family)["input_ids"]
    point = "blocks.1.attn.hook_z"

    def off(z: torch.Tensor, hook: Any) -> torch.Tensor:
        changed = z.clone()
        (changed if z.ndim == 4 else changed.unflatten(-1, (anatomy.n_heads, -1)))[..., 2, :] = 0
        return changed

    with torch.no_grad():
        clean, theirs = bridge(given), bridge.run_with_hooks(given, fwd_hooks=[(point, off)])
        _, cached = bridge.run_with_cache(given)
        with ablate(bridge, "l1h2"):
            ours = bridge(given)
        with record(bridge, "l1 attn | l0 mlp", layers="l1") as cache:
            bridge(given)
        with ablate(bridge, "l1 attn | l0 mlp", cache):
            assert_close(bridge(given), clean)
    assert_close(ours, theirs)
    assert not torch.allclose(ours, clean)
    # the bridge turns rotary positions in single precision
    assert_close(ours, ablated(tiny.model(family), "l1h2", given=given), rtol=1e-4, atol=1e-5)
    assert_close(cache["l1 attn"].flatten(-2), cached[point].reshape(2, 7, -1))
    assert_close(cache["l1 out"], cached["blocks.1.hook_out"])


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", LLAMA, "gemma2", "qwen3", "mistral", "phi3"])
@pytest.mark.parametrize("no_processing", [True, False])
def test_a_bridge_in_compatibility_mode_is_recorded_and_ablated_as_by_its_own_hooks(
    family: str, no_processing: bool
) -> None:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    original = tiny.fresh(family).float()
    bridge: Any = build_bridge_from_module(original, type(original).__name__, hf_config=original.config)
    bridge.enable_compatibility_mode(disable_warnings=True, no_processing=no_processing)
    given = tiny.inputs(family)["input_ids"]

    def neuron_3_off(x: torch.Tensor, hook: Any) -> torch.Tensor:
        return x.index_fill(-1, torch.tensor([3]), 0)

    with torch.no_grad():
        clean = bridge(given)
        point = "blocks.0.mlp.out.hook_in"
        whole = bridge.run_with_hooks(given, fwd_hooks=[(point, lambda x, hook: torch.zeros_like(x))])
        single = bridge.run_with_hooks(given, fwd_hooks=[(point, neuron_3_off)])
        _, cached = bridge.run_with_cache(given)
        with ablate(bridge, "l0 mlp"):
            assert_close(bridge(given), whole)
        with ablate(bridge, "l0 mlp n3"), record(bridge, "l0 mlp n[3,5]") as cache:
            assert_close(bridge(given), single)
        assert not torch.allclose(whole, clean)
        assert not torch.allclose(single, clean)
        assert not cache["l0 mlp n3"].any()
        assert_close(cache["l0 mlp n5"][..., 0], cached[point][..., 5])
        with record(bridge, "l1 attn | l0 mlp") as cache:
            bridge(given)
        with ablate(bridge, "l1 attn | l0 mlp", cache):
            assert_close(bridge(given), clean)


def test_the_head_of_a_fine_tuned_model_is_ablated_with_what_its_adapter_adds() -> None:
    """By hand: the z that enters the outer module, which the matrix and the adapter both read."""
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=5, target_modules=["q_proj", "o_proj"], init_lora_weights=False)
    model = peft.get_peft_model(tiny.fresh("llama with grouped-query attention"), settings).double().eval()
    tokens = tiny.inputs("llama with grouped-query attention")["input_ids"]
    output = model.get_submodule("base_model.model.model.layers.1.self_attn.o_proj")

    def without_head_4(_: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        z = given[0].clone()
        z[..., 40:50] = 0
        return (z,)

    handle = output.register_forward_pre_hook(without_head_4)
    expected = model(tokens).logits
    handle.remove()
    with hg.ablate(model, "l1h4"):
        torch.testing.assert_close(model(tokens).logits, expected)
    assert not torch.allclose(model(tokens).logits, expected)
