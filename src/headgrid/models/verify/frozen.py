"""Norms whose statistics are constants, for heads that are coupled by a norm over all of them.

Such a norm divides every head by one number, the size of all heads together. Through it each head moves every other a
little; with the number held fixed, none does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812


def _constant(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    return lambda *args, **kwargs: function(*args, **kwargs).detach()


def _layer_norm(
    input: torch.Tensor,
    normalized_shape: list[int],
    weight: torch.Tensor | None = None,
    bias: torch.Tensor | None = None,
    eps: float = 1e-5,
) -> torch.Tensor:
    axes = list(range(-len(normalized_shape), 0))
    mean, variance = input.mean(axes, keepdim=True).detach(), input.var(axes, keepdim=True, correction=0).detach()
    result = (input - mean) * (variance + eps).rsqrt()
    result = result if weight is None else result * weight
    return result if bias is None else result + bias


def _rms_norm(
    input: torch.Tensor, normalized_shape: list[int], weight: torch.Tensor | None = None, eps: float | None = None
) -> torch.Tensor:
    axes = list(range(-len(normalized_shape), 0))
    small = torch.finfo(input.dtype).eps if eps is None else eps
    result = input * (input.pow(2).mean(axes, keepdim=True) + small).rsqrt().detach()
    return result if weight is None else result * weight


FROZEN: dict[Any, Callable[..., torch.Tensor]] = {
    **{
        function: _constant(function)
        for function in (
            torch.mean, torch.Tensor.mean, torch.var, torch.Tensor.var, torch.std, torch.Tensor.std, torch.norm,
            torch.Tensor.norm, torch.linalg.vector_norm,
        )
    },
    F.layer_norm: _layer_norm,
    getattr(F, "rms_norm", None): _rms_norm,  # since torch 2.4
}  # fmt: skip
"""Torch function -> what to call instead of it."""
