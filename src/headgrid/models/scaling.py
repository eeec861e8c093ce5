"""The way of q.k to softmax: its scale, rotation, caps and clips, asked of a model's attention modules.

Libraries have many names for one thing; this is the list of them. Nothing is run: these are attributes that a module
computes its scores with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy, Stack

_FACTORS = ("scaling", "softmax_scale", "inv_norm_factor", "scale")
"""Attributes that scores are multiplied by: most of transformers, MPT and DeepSeek, BLOOM and Falcon, CLIP."""

_DIVISORS = ("attn_scale", "scale_attn")
"""Attributes that scores are divided by: HookedTransformer; GPT-J and CodeGen."""

_UNSCALED = {"gpt_neo", "t5", "mt5"}
"""Families without a scale; T5's attention says so itself since transformers 5."""

_LOGIT_CAPS = ("output_logits_soft_cap",)

_WRAPPED = "_original_component"
"""Where a bridge of TransformerLens keeps the module that it is put around."""


def scaling(model: torch.nn.Module, anatomy: Anatomy, stack: Stack, layer: int) -> float:
    """The factor on q.k before softmax, as a layer's attention module has it.

    Args:
        model: the model that the anatomy is of.
        anatomy, stack, layer: where; a layer with heads.

    Returns:
        1 / sqrt(d_head) for most models and where no attribute says otherwise; the layer's own where layers differ
        (GPT-2's `scale_attn_by_inverse_layer_idx`), 1.0 for T5 and GPT-Neo.
    """
    for module in attention(model, stack, layer):
        divisor = _number(module, _DIVISORS)
        factor = 1 / divisor if divisor else _number(module, _FACTORS)
        if factor is not None:
            return 1 / factor if anatomy.family == "native" and not divisor else factor
    return _without_attribute(model, anatomy, stack, layer)


def is_said(model: torch.nn.Module, stack: Stack, layer: int) -> bool:
    """Whether an attribute says how the scores of a layer are scaled."""
    return any(_number(module, _DIVISORS + _FACTORS) is not None for module in attention(model, stack, layer))


def _without_attribute(model: torch.nn.Module, anatomy: Anatomy, stack: Stack, layer: int) -> float:
    if anatomy.family in _UNSCALED:
        return 1.0
    size = d_qk(stack, layer)
    for module in attention(model, stack, layer):
        kinds: Any = getattr(module, "pos_att_type", None)
        if kinds is not None:  # DeBERTa: the sum of 1, 2 or 3 products is scaled as one
            size *= 1 + (len(kinds) if hasattr(module, "in_proj") else len({"c2p", "p2c"}.intersection(kinds)))
        if getattr(module, "scale_attn_weights", True) is False:  # GPT-2 of transformers 4
            size = 1
        if getattr(module, "scale_attn_by_inverse_layer_idx", False):
            return 1 / math.sqrt(size) / (layer + 1)
    return 1 / math.sqrt(size)


def d_qk(stack: Stack, layer: int) -> int:
    """The width of a head's queries and keys; latent attention's are those of its two parts together."""
    for roles in (("W_Q",), ("W_UQ", "W_QR")):
        slots = [stack.places[role, layer][0] for role in roles if (role, layer) in stack.places]
        if slots:
            return sum(slot.canonical_shape[-1] for slot in slots)
    return stack.d_head


def rotary_gain(model: torch.nn.Module, stack: Stack, layer: int) -> tuple[float, int]:
    """The factor of rotation on queries and keys, beyond turning them, and how many of a head's first entries turn.

    YaRN and LongRoPE lengthen the context and scale the rotated entries (transformers' `attention_scaling`).

    Returns:
        The factor, 1.0 for plain rotation and for none; and the number of entries, those of latent attention's rotary
        part or the first of a head. 0 where it is not known.
    """
    kind = ""
    for module in attention(model, stack, layer):
        kind = kind or str(getattr(module, "layer_type", "") or "")
    for rotary in _rotary_modules(model, stack, layer):
        names = (f"{kind}_attention_scaling", "attention_scaling") if kind else ("attention_scaling",)
        found = _number(rotary, names)
        if found is not None:
            turning = getattr(rotary, f"{kind}_inv_freq", getattr(rotary, "inv_freq", None))
            return found, 0 if turning is None else 2 * len(turning)
    return 1.0, 0


def positions(model: torch.nn.Module, anatomy: Anatomy, stack: Stack, layer: int) -> str:
    """How positions enter the scores of a layer.

    Returns:
        `rotary`, `alibi`, `relative_positional_bias`, or `standard` where they do not (a table of positions, none).
    """
    if stack.name == "cross":
        return "standard"
    if stack.name == "vision":
        return "rotary" if any(_rotary_modules(model, stack, layer)) else "standard"
    said = anatomy.positional_embedding_type or "standard"
    if said == "rotary" and not _rotates(model, anatomy, stack, layer):
        return "standard"
    return said if said in ("rotary", "alibi", "relative_positional_bias") else "standard"


def _rotates(model: torch.nn.Module, anatomy: Anatomy, stack: Stack, layer: int) -> bool:
    """Whether a layer of a rotary model rotates: some leave some layers without positions."""
    for module in attention(model, stack, layer):
        if hasattr(module, "use_rope"):  # SmolLM3
            return bool(module.use_rope)
        if anatomy.family == "cohere2" and hasattr(module, "sliding_window"):
            return module.sliding_window is not None
    return True


def soft_cap(model: torch.nn.Module, stack: Stack, layer: int) -> float | None:
    """The bound that scores are softly capped at before softmax (Gemma-2), or None."""
    for module in attention(model, stack, layer):
        cap = _number(module, ("attn_logit_softcapping", "attn_scores_soft_cap"))
        if cap is None:
            cap = _number(getattr(module, "cfg", None), ("attn_scores_soft_cap",))
        if cap is not None:
            return cap if cap > 0 else None
    return None


def logit_cap(model: torch.nn.Module) -> float | None:
    """The bound that logits are softly capped at (Gemma-2), or None."""
    config: Any = getattr(model, "config", None)
    inner = config.get_text_config() if hasattr(config, "get_text_config") else config
    for holder, names in ((inner, ("final_logit_softcapping",)), (getattr(model, "cfg", None), _LOGIT_CAPS)):
        cap = _number(holder, names)
        if cap is not None:
            return cap if cap > 0 else None
    return None


def clip(model: torch.nn.Module, stack: Stack, layer: int) -> float | None:
    """The bound that queries, keys and values are clipped at (OLMo, MPT), or None."""
    for module in attention(model, stack, layer):
        for holder in (module, getattr(module, "config", None)):
            bound = _number(holder, ("clip_qkv",))
            if bound:
                return bound
    return None


def residual_multiplier(model: torch.nn.Module, stack: Stack, layer: int) -> float:
    """The factor of a block's output before it is added to the stream: Granite's; 1.0 for others."""
    said = (_number(module, ("residual_multiplier",)) for module in attention(model, stack, layer))
    return next((number for number in said if number is not None), 1.0)


def first_position(model: torch.nn.Module, stack: Stack) -> int:
    """The row of a learned table of positions that the first token reads; what is above it is never read.

    2 for OPT and BART, whose tables have an `offset`, and the row after the padding's for RoBERTa and its kin.
    """
    module = model.get_submodule(stack.places["W_pos", None][0].parameter.rpartition(".")[0])
    offset, padding = getattr(module, "offset", None), getattr(module, "padding_idx", None)
    if isinstance(offset, int):
        return offset
    return 0 if padding is None else int(padding) + 1


# ---- where to look


def _number(holder: Any, names: tuple[str, ...]) -> float | None:
    """The first of these attributes that is a number; adapters and wrappers have others of the same names."""
    for name in names:
        found = getattr(holder, name, None)
        if isinstance(found, torch.Tensor) and found.ndim == 0 and not found.is_meta:
            return float(found)
        if isinstance(found, int | float) and not isinstance(found, bool):
            return float(found)
    return None


def attention(model: torch.nn.Module, stack: Stack, layer: int) -> Iterator[torch.nn.Module]:
    """The modules of a layer around its queries, from the inside out; without heads, around something else of it."""
    for module, inside in _around(model, stack, layer):
        if not inside:
            return
        yield module


def _around(model: torch.nn.Module, stack: Stack, layer: int) -> Iterator[tuple[torch.nn.Module, bool]]:
    """Every module around it, and whether it is within the layer; of a bridge, what it is put around comes first."""
    found = [stack.places[role, layer] for role in ("W_Q", "W_UQ", "W_O") if (role, layer) in stack.places]
    found = found or [slots for (_, at), slots in stack.places.items() if at == layer]
    steps = found[0][0].parameter.split(".") if found else []
    within = True
    for depth in range(len(steps) - 1, -1, -1):
        if steps[depth].isdigit():
            within = False
        if depth == len(steps) - 1 and steps[depth] in ("weight", "bias"):
            continue  # the projection itself: what it scales is its own
        module = model.get_submodule(".".join(steps[:depth]))
        wrapped = module._modules.get(_WRAPPED)
        if wrapped is not None:
            yield wrapped, within
        yield module, within


def _rotary_modules(model: torch.nn.Module, stack: Stack, layer: int) -> Iterator[torch.nn.Module]:
    for module, _ in _around(model, stack, layer):
        for name, child in module._modules.items():
            if child is not None and "rotary" in name:
                yield child._modules.get(_WRAPPED) or child
