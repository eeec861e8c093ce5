"""Norms whose scale is fixed at what it was in a run: linear maps of what they read."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from headgrid.anatomy.anatomy import Stack
from headgrid.circuits.norms import wide
from headgrid.hooks.taps import block_of
from headgrid.selection.entries import BRIDGED


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """A norm as it stood at some positions: y = c(x) * gain * inverse + shift, c(x) = x or x less its mean.

    Attributes:
        gain: `[d_model]`.
        inverse: one over its scale at each position, `[rows, k, 1]`.
        shift: `[d_model]`, its bias.
        centered: whether the mean is subtracted.
        shifts: whether it has a bias.
        error: how far what this gives is from what the norm gave, as a part of its size.
    """

    gain: torch.Tensor
    inverse: torch.Tensor
    shift: torch.Tensor
    centered: bool
    shifts: bool
    error: float = 0.0

    @classmethod
    def of(
        cls, name: str, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None
    ) -> FrozenNorm:
        """The norm that made y of x, with its weight, or 1 + it (Gemma), as the gain.

        Raises:
            ValueError: when it is neither LayerNorm nor RMSNorm.
        """
        found = cls.closest(x, y, weight, bias)
        if not found.error <= 3e-2:
            raise ValueError(f"the norm {name} works in a way that is not known: it is neither LayerNorm nor RMSNorm")
        return found

    @classmethod
    def closest(
        cls, x: torch.Tensor, y: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None
    ) -> FrozenNorm:
        """The LayerNorm or RMSNorm of x that is closest to y; `error` says how close."""
        x, y = wide(x), wide(y)
        own = torch.ones(x.shape[-1], device=x.device) if weight is None else wide(weight.detach())
        shift = torch.zeros_like(own) if bias is None else wide(bias.detach())
        found = []
        for centered in (True, False):
            for plus_one in (0, 1):
                gain = own + plus_one
                moved = (x - x.mean(-1, keepdim=True) if centered else x) * gain
                scale = (moved * (y - shift)).sum(-1, keepdim=True) / moved.square().sum(-1, keepdim=True)
                off = float((moved * scale + shift - y).norm() / y.norm().clamp(min=1e-30))
                found.append(cls(gain, scale, shift, centered, bias is not None, off))
        return min(found, key=lambda one: one.error)

    @classmethod
    def none(cls, x: torch.Tensor, y: torch.Tensor) -> FrozenNorm:
        """No norm at all: y is x."""
        x, y = wide(x), wide(y)
        one = torch.ones(1, device=x.device)
        off = float((x - y).norm() / y.norm().clamp(min=1e-30))
        return cls(one, one, torch.zeros_like(one), False, False, off)

    def pushed(self, change: torch.Tensor) -> torch.Tensor:
        """A change of what the norm reads, as one of what it gives."""
        change = change - change.mean(-1, keepdim=True) if self.centered else change
        return change * self.gain * self.inverse

    def pulled(self, direction: torch.Tensor) -> torch.Tensor:
        """A direction in what the norm gives, as one in what it reads."""
        found = direction * self.gain * self.inverse
        return found - found.mean(-1, keepdim=True) if self.centered else found


def norms_beyond(model: torch.nn.Module, stack: Stack) -> dict[str, torch.nn.Module]:
    """The modules of the norms after blocks, `l0 ln1_post`, and of the last one, `ln_final`, with weights or not."""
    found = {
        f"l{layer} {name}": owner_of(model, stack, f"{name}.w", layer)
        for layer in range(stack.n_layers) for name in ("ln1_post", "ln2_post") if (f"{name}.w", layer) in stack.places
    }  # fmt: skip
    if ("ln_final.w", None) in stack.places:
        return {**found, "ln_final": owner_of(model, stack, "ln_final.w", None)}
    inside = {
        id(module)
        for layer in range(stack.n_layers) if (block := block_of(model, stack, layer)) is not None
        for module in block.modules()
    }  # fmt: skip
    plain = {
        name: module for name, module in model.named_modules()
        if "Norm" in type(module).__name__ and id(module) not in inside and not list(module.parameters())
    }  # fmt: skip
    outer = [one for name, one in plain.items() if not any(name.startswith(f"{other}.") for other in plain)]
    return {**found, "ln_final": outer[0]} if len(outer) == 1 else found


def owner_of(model: torch.nn.Module, stack: Stack, role: str, layer: int | None) -> torch.nn.Module:
    """The module that holds a weight."""
    path = stack.places[role, layer][0].parameter.rpartition(".")[0]
    return model.get_submodule(path.removesuffix(BRIDGED))
