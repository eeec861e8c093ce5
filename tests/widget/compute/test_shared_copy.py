"""The copy of a model that a worker runs: its weights are the model's, its hooks are its own."""

from __future__ import annotations

import accelerate
import peft
import pytest
import tiny
import torch
from bridges import bridged
from grids import LLAMA

import headgrid as hg
from headgrid.widget.compute.shared_copy import SharedCopy


@pytest.mark.parametrize("name", ["gpt2", LLAMA, "t5", "bert"])
def test_its_weights_are_the_very_same_and_its_modules_are_not(name: str) -> None:
    model = tiny.fresh(name)
    shared = SharedCopy(model)
    copied = shared.get()
    assert all(one is two for one, two in zip(model.parameters(), copied.parameters(), strict=True))
    assert not {id(one) for one in model.modules()} & {id(one) for one in copied.modules()}
    assert shared.get() is copied
    assert str(hg.dissect(copied).fingerprint) == str(hg.dissect(model).fingerprint)


def test_it_follows_what_the_model_becomes() -> None:
    model = tiny.fresh("gpt2")
    shared = SharedCopy(model)
    first, before = shared.get(), shared.version(0)
    ids = torch.tensor([[5, 7, 9]])
    with torch.no_grad():
        model.transformer.wte.weight.mul_(0.5)
        assert torch.equal(shared.get()(ids).logits, model(ids).logits)
    assert shared.get() is first
    assert shared.version(0) != before
    model.train()
    assert shared.get().training
    model.eval()
    model.transformer.h[0].ln_1 = torch.nn.LayerNorm(28, dtype=torch.float64)
    assert shared.get() is not first
    with torch.no_grad():
        assert torch.equal(shared.get()(ids).logits, model(ids).logits)


def test_a_hook_of_one_is_none_of_the_other() -> None:
    model = tiny.fresh("gpt2")
    copied, ids = SharedCopy(model).get(), torch.tensor([[5, 7, 9]])
    with torch.no_grad():
        before = model(ids).logits
        with hg.ablate(copied, "l0h1 | l1h*"):
            assert torch.equal(model(ids).logits, before)
            assert not torch.equal(copied(ids).logits, before)


def test_a_model_that_cannot_be_copied_says_so() -> None:
    class Stubborn(torch.nn.Linear):
        def __deepcopy__(self, memo: object) -> None:
            raise TypeError("no copies")

    with pytest.raises(RuntimeError, match="its modules cannot be copied: no copies"):
        SharedCopy(Stubborn(2, 3)).get()


def _adapted(model: torch.nn.Module) -> torch.nn.Module:
    names = ["c_attn"] if hasattr(model, "transformer") else ["q_proj", "v_proj"]
    return peft.get_peft_model(model, peft.LoraConfig(target_modules=names, r=2, init_lora_weights=False))


def _compiled_in_place(model: torch.nn.Module) -> torch.nn.Module:
    model.compile(backend="eager")
    return model


def _compiled_forward(model: torch.nn.Module) -> torch.nn.Module:
    model.forward = torch.compile(model.forward, backend="eager")
    return model


def _dispatched(model: torch.nn.Module) -> torch.nn.Module:
    return accelerate.dispatch_model(model, {"": "cpu"}, force_hooks=True)


def _compatible(model: torch.nn.Module) -> torch.nn.Module:
    bridge = bridged(model)
    bridge.enable_compatibility_mode()
    return bridge


WRAPPED = {
    "an adapter": _adapted,
    "torch.compile": lambda model: torch.compile(model, backend="eager"),
    "Module.compile": _compiled_in_place,
    "a compiled forward": _compiled_forward,
    "DataParallel": torch.nn.DataParallel,
    "hooks of accelerate": _dispatched,
    "a bridge": bridged,
    "a bridge in compatibility mode": _compatible,
}


@pytest.mark.parametrize("name", ["gpt2", LLAMA])
@pytest.mark.parametrize("how", WRAPPED)
@pytest.mark.filterwarnings("ignore")
def test_a_wrapped_model_has_a_copy_that_runs_its_own_modules(name: str, how: str) -> None:
    model = WRAPPED[how](tiny.fresh(name).float())
    copied, ids = SharedCopy(model).get(), torch.tensor([[5, 7, 9, 11]])

    def logits(one: torch.nn.Module) -> torch.Tensor:
        with torch.no_grad():
            found = one(ids)
        return getattr(found, "logits", found).clone()

    before = logits(model)
    assert torch.equal(logits(copied), before)
    with hg.ablate(copied, "l0h1 | l1h*"):
        assert torch.equal(logits(model), before)
        assert not torch.equal(logits(copied), before)
    with hg.ablate(model, "l0h1 | l1h*"):
        assert torch.equal(logits(copied), before)
    with torch.no_grad():
        next(model.parameters()).mul_(0.5)
    assert torch.equal(logits(copied), logits(model))
