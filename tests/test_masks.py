from __future__ import annotations

import copy

import tiny
import torch

import headgrid as hg


def test_a_mask_is_a_vector_expanded_over_the_other_axes() -> None:
    model = tiny.model("gpt2")
    masks = hg.dissect(model).select("l1h2").masks()
    weight = masks["transformer.h.1.attn.c_attn.weight"]
    assert weight is not None
    assert weight.dtype == torch.bool
    assert weight.shape == model.get_parameter("transformer.h.1.attn.c_attn.weight").shape
    assert weight.stride() == (0, 1)
    assert weight.untyped_storage().nbytes() == 84, "one byte per column"
    assert weight[0].nonzero().flatten().tolist() == [*range(14, 21), *range(42, 49), *range(70, 77)]


def test_whole_parameters_are_none_and_untouched_ones_are_absent_in_order() -> None:
    model = tiny.model("gpt2")
    masks = hg.dissect(model).select("l1 mlp n3 | l0 mlp | embed").masks()
    names = [name for name, _ in model.named_parameters()]
    assert list(masks) == sorted(masks, key=names.index)
    assert {name for name, mask in masks.items() if mask is None} == {
        "transformer.wte.weight",
        *(f"transformer.h.0.mlp.{part}" for part in ("c_fc.weight", "c_fc.bias", "c_proj.weight", "c_proj.bias")),
    }
    assert set(masks) - {name for name, mask in masks.items() if mask is None} == {
        f"transformer.h.1.mlp.{part}" for part in ("c_fc.weight", "c_fc.bias", "c_proj.weight")
    }


def test_masks_freeze_all_other_gradients() -> None:
    model = copy.deepcopy(tiny.model("qwen3"))
    selection = hg.dissect(model).select("l2h3 | l0 mlp n7")
    masks = selection.masks()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    for name, parameter in model.named_parameters():
        keep = masks.get(name, torch.tensor(False))
        if keep is not None:
            parameter.register_hook(lambda gradient, keep=keep: gradient * keep)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    tokens = tiny.inputs("gpt2")["input_ids"]
    model(tokens, labels=tokens).loss.backward()
    optimiser.step()
    changed = {name: parameter.detach() != before[name] for name, parameter in model.named_parameters()}
    assert sum(int(moved.sum()) for moved in changed.values()) > 0.9 * selection.n_params
    for name, moved in changed.items():
        mask = masks.get(name, torch.tensor(False))
        assert mask is None or not (moved & ~mask).any(), f"{name} moved outside its mask"


def test_masks_work_for_a_model_on_the_meta_device() -> None:
    config = tiny.config("llama with grouped-query attention")
    with torch.device("meta"):
        model = type(tiny.model("llama with grouped-query attention"))(config)
    live = hg.dissect(tiny.model("llama with grouped-query attention"))
    assert hg.dissect(model) == live
    assert hg.dissect(model).select("l1h2").n_params == live.select("l1h2").n_params
