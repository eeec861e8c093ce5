"""What a model's own modules make of their inputs in a forward pass: the oracle of its circuits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import tiny
import torch

import headgrid as hg
from headgrid.anatomy.anatomy import Slot, Stack
from headgrid.weights import Weights

Seen = dict[str, tuple[torch.Tensor, torch.Tensor]]
"""Name of a module -> what it received and returned when it was called first, `[*, features]`."""


def owner(slot: Slot) -> str:
    return slot.parameter.rpartition(".")[0]


def flat(x: torch.Tensor) -> torch.Tensor:
    return x.reshape(-1, x.shape[-1]).clone()  # Falcon adds to it in place


def recorded(family: str) -> Seen:
    model, seen = tiny.model(family), {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_: torch.nn.Module, given: tuple[object, ...], result: object) -> None:
            if given and isinstance(given[0], torch.Tensor):
                returned = result if isinstance(result, torch.Tensor) else given[0]  # routers return several things
                seen.setdefault(name, tuple(flat(tensor) for tensor in (given[0], returned)))

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in model.named_modules() if name]
    with torch.no_grad():
        model(**tiny.inputs(family))
    for handle in handles:
        handle.remove()
    return seen


def module_of(stack: Stack, layer: int | None, *roles: str) -> str | None:
    """The module that owns the first of these roles which the layer has."""
    return next((owner(stack.places[role, layer][0]) for role in roles if (role, layer) in stack.places), None)


GROUPED = "llama with grouped-query attention"  # 3 layers, 6 heads in 2 groups of 10, d_model 48, 22 neurons


NORMED = {
    "qwen3", "gemma3", "olmo2", "olmo3", "cohere", "phi", "persimmon", "qwen3_moe", "olmoe", "glm4_moe", "qwen3_next",
    "lfm2", "stablelm with qk_layernorm", "qwen3_vl", "gemma3 with vision",
}  # fmt: skip
"""Families that normalize queries and keys: their scores are those of QK but for the scales of these norms."""


def without_biases(model: torch.nn.Module) -> torch.nn.Module:
    """The model with what is in no circuit at zero: biases in attention and of its norms, tables of relative positions.

    Output gates of zero are all 1/2, and scores are not capped.
    """
    for stack in hg.dissect(model).stacks:
        for slot in stack.slots:
            bias = slot.role.startswith("b_") or slot.role in ("ln1.b", "ln_final.b", "q_norm.b", "k_norm.b")
            if bias or slot.role in ("pos.other", "rel_pos_bias", "W_OG"):
                with torch.no_grad():
                    slot.of(model.get_parameter(slot.parameter)).zero_()
    for module in model.modules():
        if hasattr(module, "attn_logit_softcapping"):
            module.attn_logit_softcapping = None
    return model


@functools.lru_cache(maxsize=200)
def anatomy_of(model: torch.nn.Module) -> hg.Anatomy:
    """The anatomy of a model that keeps its parameters, read once."""
    return hg.dissect(model)


@dataclass
class Run:
    """What a layer's attention did.

    `streams`: of queries, keys and values, `[batch, position, m]`, divided by the scale of the norm before it.
    `received`: what the projections got instead. `scores`, `pattern`: `[batch, n_heads, query, key]`. `output`: what
    its output projection returned; `added`: what the norm after that made of it.
    """

    streams: dict[str, torch.Tensor]
    received: dict[str, torch.Tensor]
    scores: torch.Tensor
    pattern: torch.Tensor
    output: torch.Tensor
    added: torch.Tensor


def unscaled(x: torch.Tensor, norm: object, *, centered: bool) -> torch.Tensor:
    """A stream divided by the scale that a norm has for it, and nothing else."""
    return x / norm_scale(x, norm, centered=centered)


def norm_scale(x: torch.Tensor, norm: object, *, centered: bool) -> torch.Tensor:
    eps = next((getattr(norm, name) for name in ("eps", "variance_epsilon") if hasattr(norm, name)), 1e-5)
    square = x.var(-1, unbiased=False, keepdim=True) if centered else x.square().mean(-1, keepdim=True)
    return (square + eps).sqrt()


def run(model: torch.nn.Module, inputs: dict[str, torch.Tensor], stack: Stack, layer: int) -> Run:
    anatomy = anatomy_of(model)
    reads = {side: module_of(stack, layer, *roles) for side, roles in READS.items()}
    norms = {side: norm_of(anatomy, stack, layer, side) for side in "qkv"}
    writes, post = module_of(stack, layer, "W_O"), module_of(stack, layer, "ln1_post.w")
    seen: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
    calls: list[tuple[torch.Tensor, torch.Tensor]] = []
    state = {"within": False, "done": False, "inside": False}

    def keep(name: str) -> Callable[..., None]:
        return lambda _, given, result: seen.setdefault(name, (given[0], result)) and None

    def enter(*_: object) -> None:
        state["within"] = not state["done"]

    def leave(*_: object) -> None:
        state["within"], state["done"] = False, True

    def watched(softmax: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(*args: Any, **kwargs: Any) -> torch.Tensor:
            outermost, state["inside"] = not state["inside"], True
            try:
                result = softmax(*args, **kwargs)
            finally:
                state["inside"] = not outermost
            if outermost and state["within"]:
                calls.append((args[0] if args else kwargs["input"], result))
            return result

        return call

    wanted = {path for path in (*reads.values(), *norms.values(), writes, post) if path is not None}
    handles = [model.get_submodule(path).register_forward_hook(keep(path)) for path in wanted]
    handles.append(model.get_submodule(reads["q"]).register_forward_pre_hook(enter))
    handles.append(model.get_submodule(writes).register_forward_pre_hook(leave))
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        for holder in (torch.nn.functional, torch, torch.Tensor):
            patch.setattr(holder, "softmax", watched(holder.softmax))
        model(**inputs)
    for handle in handles:
        handle.remove()
    scores, pattern = (torch.cat([call[i] for call in calls]).double() for i in (0, 1))
    if ("sink", layer) in stack.places:  # softmax is given all scores less the largest, a sink beside them
        sink = Weights(model, stack=stack.name).read("sink", layer)
        scores = (scores - scores[..., -1:] + sink[:, None, None])[..., :-1]
        pattern = pattern[..., :-1]
    centered = stack.name == "vision" or anatomy.normalization_type == "LN"

    def batched(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(len(scores), -1, x.shape[-1])

    streams = {}
    for side, path in norms.items():
        norm = None if path is None else model.get_submodule(path)
        stream = seen[reads[side] if path is None else path][0]
        streams[side] = batched(stream if path is None else unscaled(stream, norm, centered=centered))
    output = seen[writes][1]
    added = output
    if post is not None and torch.equal(seen[post][0], output):
        added = seen[post][1] * norm_scale(output, model.get_submodule(post), centered=False)
    received = {side: batched(seen[path][0]) for side, path in reads.items()}
    return Run(streams, received, scores, pattern, batched(output), batched(added))


READS = {"q": ("W_Q", "W_DQ", "W_UQ"), "k": ("W_K", "W_DKV"), "v": ("W_V", "W_DKV")}


def norm_of(anatomy: hg.Anatomy, stack: Stack, layer: int, side: str) -> str | None:
    if stack.name == "cross" and side != "q":
        return module_of(anatomy.stack("encoder"), None, "ln_final.w")
    if anatomy.family == "olmo":  # without weights, so in no slot
        return f"model.layers.{layer}.input_layernorm"
    return module_of(stack, layer, "ln1.w")


def layers_with_heads(model: torch.nn.Module) -> Iterator[tuple[Stack, int]]:
    for stack in anatomy_of(model).stacks:
        yield from ((stack, layer) for layer in range(stack.n_layers) if ("W_O", layer) in stack.places)
