from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
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
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    tokens = tiny.inputs("gpt2")["input_ids"]
    model(tokens, labels=tokens).loss.backward()
    optimizer.step()
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


# ---- training


def trained(model: Any, selection: hg.Selection, optimizer: torch.optim.Optimizer, steps: int = 3) -> None:
    tokens = tiny.inputs("llama with grouped-query attention")["input_ids"]
    with selection.training_only(model):
        for _ in range(steps):
            optimizer.zero_grad()
            loss = model(tokens, labels=tokens).loss
            loss.backward()
            optimizer.step(lambda loss=loss: loss) if isinstance(optimizer, torch.optim.LBFGS) else optimizer.step()


@pytest.mark.parametrize(
    "make",
    [
        lambda parameters: torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.1),
        lambda parameters: torch.optim.AdamW(parameters, lr=0.01, foreach=False),
        lambda parameters: torch.optim.SGD(parameters, lr=0.01, weight_decay=0.1, momentum=0.9),
        lambda parameters: torch.optim.Adagrad(parameters, lr=0.01, weight_decay=0.1),
        lambda parameters: torch.optim.Adam(parameters, lr=0.01, weight_decay=0.1, fused=True),
    ],
)
def test_a_step_moves_what_is_selected_and_no_other_entry_whatever_the_optimizer(make: Any) -> None:
    model = tiny.fresh("llama with grouped-query attention")
    selection = hg.dissect(model).select("l1h2 | l0 mlp n3 | ln_final")
    masks = selection.masks()
    optimizer = make(model.parameters())
    tokens = tiny.inputs("llama with grouped-query attention")["input_ids"]
    model(tokens, labels=tokens).loss.backward()
    optimizer.step()  # gives it momentum, and every parameter a gradient that is still there
    stale = {name: parameter.grad for name, parameter in model.named_parameters()}
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    with selection.training_only(model):
        model(tokens, labels=tokens).loss.backward()
        optimizer.step()
    trained(model, selection, optimizer)
    moved = 0
    for name, parameter in model.named_parameters():
        changed = parameter != before[name]
        mask = masks.get(name, torch.tensor(False))
        assert mask is None or not (changed & ~mask).any(), name
        moved += int(changed.sum())
        if name not in masks:
            assert parameter.grad is stale[name]
    assert moved > 0.9 * selection.n_params


def test_without_the_context_weight_decay_moves_what_is_not_selected() -> None:
    model = tiny.fresh("llama with grouped-query attention")
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    selection = hg.dissect(model).select("l1h2")
    trained(model, selection, optimizer)
    before = model.get_parameter("model.layers.1.self_attn.q_proj.weight").detach().clone()
    tokens = tiny.inputs("llama with grouped-query attention")["input_ids"]
    optimizer.zero_grad()
    model(tokens, labels=tokens).loss.backward()
    optimizer.step()
    assert (model.get_parameter("model.layers.1.self_attn.q_proj.weight") != before).all()


def test_the_frozen_model_under_an_adapter_stays_frozen() -> None:
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=5, target_modules=["q_proj", "v_proj", "o_proj"], init_lora_weights=False)
    model = peft.get_peft_model(tiny.fresh("llama with grouped-query attention"), settings).double()
    base = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    anatomy = hg.dissect(model)
    selection = anatomy.select("l1h2")
    with selection.training_only(model):
        assert all("lora" in name for name, one in model.named_parameters() if one.requires_grad)
    trained(model, selection, torch.optim.AdamW(model.parameters(), lr=0.01))
    masks = selection.masks()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(parameter, before[name])}
    assert moved == {name for name in masks if "lora" in name}
    assert not moved & base
    for name in moved:
        mask = masks[name]
        changed = model.get_parameter(name) != before[name]
        assert mask is None or not (changed & ~mask).any()
    assert base == {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    with pytest.raises(ValueError, match="none of the selected parameters requires a gradient"):
        anatomy.select("embed").training_only(model)


def test_what_training_only_is_given_is_checked_at_the_call() -> None:
    model = tiny.fresh("qwen3")
    selection = hg.dissect(model).select("l1h2")
    for wrong in (None, "model", 5, dict(model.named_parameters())):
        with pytest.raises(TypeError, match="model is a model of"):
            selection.training_only(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="of another model"):
        selection.training_only(tiny.fresh("gpt2"))


def test_a_gradient_that_is_not_a_number_reaches_nothing_unselected() -> None:
    model = tiny.fresh("gpt2")
    selection = hg.dissect(model).select("l1h2.o")
    (name, mask), *_ = selection.masks().items()
    weight = model.get_parameter(name)
    with selection.training_only(model):
        (weight * torch.where(mask, 1.0, float("nan"))).sum().backward()
    assert weight.grad is not None
    assert torch.equal(weight.grad, mask.double())


def test_contexts_of_training_leave_no_hook_on_optimizers() -> None:
    from torch.optim import optimizer

    before = len(optimizer._global_optimizer_pre_hooks), len(optimizer._global_optimizer_post_hooks)
    model = tiny.fresh("gpt2")
    with hg.dissect(model).select("l1h2").training_only(model):
        assert len(optimizer._global_optimizer_pre_hooks) == before[0] + 1
    with pytest.raises(ZeroDivisionError), hg.dissect(model).select("l1h2").training_only(model):
        1 / 0  # noqa: B018
    assert (len(optimizer._global_optimizer_pre_hooks), len(optimizer._global_optimizer_post_hooks)) == before


def one_mask() -> torch.Tensor:
    mask = hg.dissect(tiny.model("gpt2")).select("l1h2").masks()["transformer.h.1.attn.c_attn.weight"]
    assert mask is not None
    return mask


def in_place(mask: torch.Tensor) -> None:
    mask |= torch.ones_like(mask)


WRITES: dict[str, Callable[[torch.Tensor], object]] = {
    "a row": lambda mask: mask.__setitem__(0, True),
    "an entry": lambda mask: mask.__setitem__((0, 3), True),
    "by a mask": lambda mask: mask.__setitem__(torch.ones_like(mask), True),
    "a view of a row": lambda mask: mask[0].__setitem__(3, True),
    "a row filled": lambda mask: mask[0].fill_(True),
    "an entry filled": lambda mask: mask[0, 0].fill_(True),
    "all filled": lambda mask: mask.fill_(True),
    "turned": lambda mask: mask.T.__setitem__(0, True),
    "rows of it": lambda mask: [row.zero_() for row in mask],
    "unbound": lambda mask: mask.unbind(0)[1].zero_(),
    "in place": in_place,
    "copied into": lambda mask: mask[1].copy_(torch.ones(84, dtype=torch.bool)),
    "an output": lambda mask: torch.logical_not(torch.zeros(84, dtype=torch.bool), out=mask[0]),
    "logical": lambda mask: mask[0].logical_or_(torch.tensor(True)),
    "through numpy": lambda mask: mask.numpy().__setitem__(0, True),
    "through an array": lambda mask: np.asarray(mask[0]).__setitem__(0, True),
    "detached": lambda mask: mask.detach()[0].fill_(True),
    "on its own device": lambda mask: mask.to("cpu")[0].fill_(True),
    "masked": lambda mask: torch.Tensor.masked_fill_(mask[0], torch.tensor(True), True),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_a_mask_cannot_be_written_to_and_a_copy_can(write: Callable[[torch.Tensor], object]) -> None:
    mask = one_mask()
    before = mask.clone()
    with pytest.raises((RuntimeError, ValueError), match=r"mask\.clone\(\)|read-only|more than one element"):
        write(mask)
    assert torch.equal(mask, before)
    write(before)
    assert not torch.equal(mask, before)


def test_what_is_computed_from_a_mask_is_a_plain_tensor_and_it_stays_small() -> None:
    mask, weight = one_mask(), tiny.model("gpt2").get_parameter("transformer.h.1.attn.c_attn.weight").detach()
    dense = torch.zeros(mask.shape, dtype=torch.bool)
    dense[:, [*range(14, 21), *range(42, 49), *range(70, 77)]] = True
    for found, expected in [
        (mask | ~mask, torch.ones_like(dense)), (~mask, ~dense), (mask & dense, dense), (mask.clone(), dense),
        (mask * weight, dense * weight), (weight * mask, dense * weight), (mask.float(), dense.float()),
        (torch.where(mask, weight, 0.0), torch.where(dense, weight, 0.0)), (mask.nonzero(), dense.nonzero()),
        (weight[mask], weight[dense]), (mask.sum(), dense.sum()), (weight.masked_fill(mask, 0), weight * ~dense),
        (torch.stack([mask, mask]), torch.stack([dense, dense])), (mask.reshape(-1), dense.reshape(-1)),
        (torch.func.vmap(lambda row: row & mask[0])(dense), dense),
    ]:  # fmt: skip
        assert type(found) is torch.Tensor
        assert torch.equal(found, expected)
    assert torch.equal(mask, dense)
    assert weight.clone().masked_fill_(mask, 0).equal(weight * ~dense)
    buffer = io.BytesIO()
    torch.save({"mask": mask}, buffer)
    assert len(buffer.getvalue()) < 4000
    buffer.seek(0)
    for again in (pickle.loads(pickle.dumps(mask)), copy.deepcopy(mask), copy.copy(mask),
                  torch.load(buffer, weights_only=True)["mask"]):  # fmt: skip
        assert torch.equal(again, dense)
        assert again.untyped_storage().nbytes() == 84


@pytest.mark.slow
def test_a_compiled_function_reads_masks() -> None:
    mask = one_mask()
    weight = torch.randn(mask.shape)
    compiled = torch.compile(lambda mask, weight: weight * mask, backend="eager", fullgraph=True)
    assert torch.equal(compiled(mask, weight), weight * mask.clone())


def test_a_parameter_that_one_head_has_for_itself_is_whole_once_that_head_is_selected() -> None:
    masks = hg.dissect(tiny.model("stablelm with qk_layernorm")).select("l1h2").masks()
    assert masks["model.layers.1.self_attn.q_layernorm.norms.2.weight"] is None
    assert "model.layers.1.self_attn.q_layernorm.norms.1.weight" not in masks
