"""Switching heads and neurons off in place, and who shares what with whom."""

from __future__ import annotations

import pytest
import tiny
import torch
import transformers
from hooking import BATCH, D_HEAD, LLAMA, ablated, anatomy_of, replaced, run, with_z, z_of
from torch.testing import assert_close

import headgrid as hg

GQA = {"num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 32, "head_dim": 8, "intermediate_size": 22}


def small_llama() -> transformers.LlamaForCausalLM:
    torch.manual_seed(3)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(**GQA, num_hidden_layers=3, vocab_size=31, max_position_embeddings=19)
    ).double().eval()  # fmt: skip


def test_a_head_that_is_switched_off_leaves_its_siblings_as_they_are() -> None:
    model, given = small_llama(), BATCH % 31
    seen: list[torch.Tensor] = []

    def without_head_0(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        seen.append(inputs[0])
        return (torch.cat([torch.zeros_like(inputs[0][..., :8]), inputs[0][..., 8:]], -1),)

    handle = model.model.layers[1].self_attn.o_proj.register_forward_pre_hook(without_head_0)
    with torch.no_grad():
        expected = model(given).logits
    handle.remove()
    anatomy = hg.dissect(model)
    before = {name: parameter.clone() for name, parameter in model.named_parameters()}
    anatomy.select("l1h0").zero_(model)
    with torch.no_grad():
        assert_close(model(given).logits, expected)
    for name, parameter in model.named_parameters():
        if name == "model.layers.1.self_attn.o_proj.weight":
            assert not parameter[:, :8].any()
            assert torch.equal(parameter[:, 8:], before[name][:, 8:])
        else:
            assert torch.equal(parameter, before[name]), name
    with hg.record(model, "l1 attn") as cache:
        model(given)
    assert_close(cache["l1 attn"].flatten(-2), seen[0], msg="z of all heads, the shared values with them, is as it was")


@pytest.mark.parametrize(
    ("text", "siblings"),
    [
        ("l1h0", "l1h[1-2]"),
        ("l1h4", "l1h[3,5]"),
        ("l1h[0,4]", "l1h[1-3,5]"),
        ("l1h0.v", "l1h[0-2]"),
        ("l1h0.qk", "l1h[1-2]"),
        ("l1h0.q | l1h0.o", "none"),
        ("l1g1", "none"),
        ("l1 | embed", "none"),
        ("none", "none"),
    ],
)
def test_siblings_are_the_heads_that_read_selected_keys_or_values_unselected(text: str, siblings: str) -> None:
    anatomy = anatomy_of(LLAMA)
    assert anatomy.select(text).siblings == anatomy.select(siblings)
    masks = anatomy.select(text).masks()
    for layer in range(3):
        for head in range(6):
            shared = any(
                (
                    masks.get(f"model.layers.{layer}.self_attn.{name}.weight") is not None
                    and bool(masks[f"model.layers.{layer}.self_attn.{name}.weight"][head // 3 * D_HEAD].all())
                )
                or (
                    f"model.layers.{layer}.self_attn.{name}.weight" in masks
                    and masks[f"model.layers.{layer}.self_attn.{name}.weight"] is None
                )
                for name in ("k_proj", "v_proj")
            )
            own = anatomy.select(f"l{layer}h{head}.q | l{layer}h{head}.o") & text
            assert ((layer, head) in anatomy.select(text).siblings.heads) == (shared and not own)
    assert not anatomy_of("gpt2").select("l1h0").siblings


def test_a_whole_block_that_is_switched_off_still_adds_its_bias() -> None:
    model = tiny.fresh("gpt2")
    anatomy_of("gpt2").select("l1 attn | l0 mlp").zero_(model)
    assert_close(model(BATCH).logits, ablated(tiny.model("gpt2"), "l1 attn | l0 mlp"))
    assert model.get_parameter("transformer.h.0.mlp.c_proj.bias").all()
    assert model.get_parameter("transformer.h.1.attn.c_proj.bias").all()


def test_an_adapter_is_switched_off_with_its_head() -> None:
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=5, target_modules=["q_proj", "o_proj", "down_proj"], init_lora_weights=False)
    model = peft.get_peft_model(tiny.fresh(LLAMA), settings).double().eval()
    selection = hg.dissect(model).select("l1h4 | l2 mlp n[3,8]")
    expected = ablated(model, selection)
    selection.zero_(model)
    with torch.no_grad():
        assert_close(model(BATCH).logits, expected)


@pytest.mark.parametrize("text", ["embed", "l1 ln1", "l1h2.q", "l1h2 | l0h1.v", "full", "l0 mlp n3.W_in"])
def test_what_cannot_be_ablated_cannot_be_switched_off(text: str) -> None:
    model = tiny.fresh(LLAMA)
    selection = anatomy_of(LLAMA).select(text)
    with pytest.raises(ValueError, match="no activation of its own"):
        selection.zero_(model)
    with pytest.raises(ValueError, match="no activation of its own"):
        hg.ablate(model, selection)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), tiny.model(LLAMA).parameters(), strict=True))


def test_a_model_that_does_not_fit_is_refused_before_anything_is_zero() -> None:
    selection = anatomy_of(LLAMA).select("l1h2")
    with pytest.raises(ValueError, match="of another model"):
        selection.zero_(tiny.fresh("gpt2"))
    with torch.device("meta"):
        nowhere = transformers.LlamaForCausalLM(tiny.config(LLAMA))
    with pytest.raises(ValueError, match="there is no weight to read"):
        selection.zero_(nowhere)
    for wrong in (None, "model", 5, tiny.model(LLAMA).state_dict()):
        with pytest.raises(TypeError, match="model is a model of"):
            selection.zero_(wrong)  # type: ignore[arg-type]


# ---- complements


def test_the_complement_of_heads_and_neurons_is_all_other_heads_and_neurons() -> None:
    model, anatomy = tiny.model(LLAMA), anatomy_of(LLAMA)
    kept = {(0, 1), (1, 2)}
    expected = tiny.fresh(LLAMA)
    with torch.no_grad():
        for i, layer in enumerate(expected.model.layers):
            layer.mlp.down_proj.weight.zero_()
            for head in range(6):
                if (i, head) not in kept:
                    layer.self_attn.o_proj.weight[:, head * D_HEAD : (head + 1) * D_HEAD] = 0
    for selection in ("~(l0h1 | l1h2)", anatomy.select("full - l0h1 - l1h2"), "full - (l0h1.o, l1h2.o)"):
        assert_close(ablated(model, selection), expected(BATCH).logits)
    with hg.record(model, "~l1h2") as cache:
        model(BATCH)
    assert cache.heads == {0: (0, 1, 2, 3, 4, 5), 1: (0, 1, 3, 4, 5), 2: (0, 1, 2, 3, 4, 5)}
    zeroed = tiny.fresh(LLAMA)
    anatomy.select("~(l0h1 | l1h2)").zero_(zeroed)
    assert_close(zeroed(BATCH).logits, expected(BATCH).logits)


@pytest.mark.parametrize("family", [LLAMA, "gpt2", "mixtral", "jamba", "qwen3_moe", "t5", "llava", "deepseek_v2"])
@pytest.mark.parametrize("kept", ["embed | {}h1", "{}h1.q", "{} ln1 | {}h1", "{}h1"])
def test_what_a_refused_selection_should_have_been_is_said_in_words_that_run(family: str, kept: str) -> None:
    anatomy = anatomy_of(family)
    place = f"{anatomy.main.name} l2".lstrip() if family == "jamba" else f"{anatomy.main.name} l1".lstrip()
    text = f"~({kept.replace('{}', place)})"
    try:
        hg.ablate(tiny.model(family), text)
    except ValueError as fault:
        first = str(fault).splitlines()[0]
        assert "no activation of its own: for the heads and neurons alone write '" in first
        words = first.split("alone write '")[1].split("'")[0]
        with hg.record(tiny.model(family), words) as cache:
            run(tiny.model(family), family)
        chosen = anatomy.select(text)
        for stack in anatomy.stacks:
            for key in (key for key in stack.exists if key.rpartition(":")[2] in ("W_O", "W_out")):
                kept_there = cache.heads if key.endswith("W_O") else cache.neurons
                for layer in range(stack.n_layers):
                    bits = chosen.parts[key][layer].nonzero()[0].tolist() if key in chosen.parts else []
                    assert list(kept_there.get((stack.name, layer) if stack.name else layer, ())) == bits
    else:
        assert kept == "{}h1", text
        assert family not in ("mixtral", "jamba", "qwen3_moe", "deepseek_v2"), "experts and mixers would be passed over"


def test_replacing_a_z_by_hand_is_what_these_tests_compare_with() -> None:
    z = z_of(tiny.model(LLAMA), 1)
    assert_close(ablated(tiny.model(LLAMA), "l1h2"), with_z(tiny.model(LLAMA), 1, replaced(z, h2=0)))
