"""What tests of hooks share: small models, their passes, and activations by hooks of our own."""

from __future__ import annotations

import copy
import functools
from typing import Any

import tiny
import torch

import headgrid as hg
from headgrid.anatomy.anatomy import Slot, Stack
from headgrid.anatomy.roles import bare
from headgrid.hooks import ablate
from headgrid.selection.selection import Selection

LLAMA = "llama with grouped-query attention"
HEADS, D_HEAD = 6, 10

IN_STEPS = ("bloom", "codegen", "deberta", "gemma2", "gpt_neo", "gpt_oss", "gptj", "mpt")
ONE_CALL = [family for family in tiny.FAMILIES if not family.startswith(IN_STEPS) or family == "gpt_neox"]
"""Families that attend by `scaled_dot_product_attention` unless they are asked not to."""


@functools.cache
def anatomy_of(family: str) -> hg.Anatomy:
    return hg.dissect(tiny.model(family))


def run(model: torch.nn.Module, family: str) -> torch.Tensor:
    with torch.no_grad():
        return model(**tiny.inputs(family)).logits


@functools.cache
def clean(family: str) -> torch.Tensor:
    return run(tiny.model(family), family)


@functools.cache
def in_one_call(family: str) -> Any:
    """The model of a family that attends in one call."""
    return tiny.fresh(family, "sdpa")


def everything(anatomy: hg.Anatomy) -> Selection:
    """Every head and every neuron, by their output weights."""
    return Selection(anatomy, {key: bits for key, bits in anatomy.exists.items() if bare(key) in ("W_O", "W_out")})


def middle(stack: Stack, role: str) -> int | None:
    """A layer in the middle of a stack that has this role."""
    layers = sorted({slot.layer for slot in stack.slots if slot.role == role and slot.layer is not None})
    return layers[len(layers) // 2] if layers else None


def places(anatomy: hg.Anatomy, role: str) -> list[tuple[Stack, int, str]]:
    """For each stack with this role a layer, and what a selection calls that layer."""
    found = []
    for stack in anatomy.stacks:
        layer = middle(stack, role)
        if layer is not None:
            found.append((stack, layer, f"{stack.name} l{layer}".lstrip()))
    return found


def zeroed(family: str, text: str) -> torch.Tensor:
    """The logits of a copy in which the masked entries of the parameters are zero."""
    model = copy.deepcopy(tiny.model(family))
    with torch.no_grad():
        for name, mask in anatomy_of(family).select(text).masks().items():
            model.get_parameter(name).masked_fill_(torch.tensor(True) if mask is None else mask, 0)
    return run(model, family)


def hooks_on(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def owner(model: torch.nn.Module, slot: Slot) -> torch.nn.Module:
    return model.get_submodule(slot.parameter.rpartition(".")[0])


# ---- on every family


def tokens(*shape: int, seed: int = 5) -> torch.Tensor:
    return torch.randint(3, 26, shape, generator=torch.Generator().manual_seed(seed))


BATCH = tokens(4, 7)


def z_of(model: Any, layer: int, given: Any = BATCH, **named: Any) -> torch.Tensor:
    """A layer's z by a hook of our own, shape [batch, pos, n_heads, d_head]."""
    seen: list[torch.Tensor] = []
    module = model.model.layers[layer].self_attn.o_proj
    handle = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(given, **named)
    handle.remove()
    return seen[0].unflatten(-1, (HEADS, D_HEAD))


def with_z(model: Any, layer: int, z: torch.Tensor, given: Any = BATCH) -> torch.Tensor:
    """The logits when this is the layer's z."""
    module = model.model.layers[layer].self_attn.o_proj
    handle = module.register_forward_pre_hook(lambda _, inputs: (z.flatten(-2),))
    with torch.set_grad_enabled(z.requires_grad):
        logits = model(given).logits
    handle.remove()
    return logits


def replaced(z: torch.Tensor, **heads: Any) -> torch.Tensor:
    z = z.clone()
    for head, value in heads.items():
        z[..., int(head[1:]), :] = value
    return z


def ablated(model: Any, selection: Any, *mode: Any, given: Any = BATCH, **named: Any) -> torch.Tensor:
    with ablate(model, selection, *mode, **named), torch.no_grad():
        return model(given).logits
