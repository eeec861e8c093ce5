"""Norms as they stood in a run: with their scale frozen, they are linear maps of what is added to what they read.

A norm gives gain (x - mean x) / scale(x) + bias, where RMSNorm leaves the mean out. Which of these it is, and its gain,
is asked of the module (`headgrid.circuits.norms`); its scale is read off what it gave in the run, so that whatever the
module does beyond the formula shows as an error of the fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from headgrid.circuits.norms import Norm, wide


@dataclass(frozen=True, eq=False)
class FrozenNorm:
    """A norm with its scale as it stood in a run.

    Attributes:
        norm: what it does besides.
        inverse: 1 / scale at each position, `[rows, pos, 1]`; None where there is no norm.
        error: how far the norm's outputs in the run are from what this form gives, as a part of their size.
    """

    norm: Norm
    inverse: torch.Tensor | None
    error: float

    def __call__(self, change: torch.Tensor) -> torch.Tensor:
        """What the norm makes of a change of its input, `[..., rows, pos, d_model]`."""
        found = _directed(self.norm, change)
        return found if self.inverse is None else found * self.inverse.to(found)


NO_NORM = FrozenNorm(Norm("", None, False), None, 0.0)


def frozen_norm(norm: Norm, bias: torch.Tensor | None, before: torch.Tensor, after: torch.Tensor) -> FrozenNorm:
    """The norm as it stood where it read `before` and gave `after`, both `[rows, pos, d_model]`.

    Args:
        norm: what it does, without its scale; one without a name, gain and mean is none at all.
        bias: what it adds, `[d_model]`.
        before, after: what it read and gave.
    """
    before, after = wide(before), wide(after)
    made = after if bias is None else after - bias.to(after)
    direction = _directed(norm, before)
    inverse = None
    if norm.gain is not None or norm.centered:
        squares = direction.square().sum(-1, keepdim=True)
        inverse = (direction * made).sum(-1, keepdim=True) / squares.clamp(min=torch.finfo(squares.dtype).tiny)
        direction = direction * inverse
    off = (direction - made).norm() / made.norm().clamp(min=torch.finfo(made.dtype).tiny)
    return FrozenNorm(norm, inverse, float(off))


def _directed(norm: Norm, x: torch.Tensor) -> torch.Tensor:
    """What a norm makes of vectors, but for its scale."""
    x = wide(x)
    if norm.centered:
        x = x - x.mean(-1, keepdim=True)
    return x if norm.gain is None else x * norm.gain.to(x)
