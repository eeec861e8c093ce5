"""Positions of a pass that an activation is read or replaced at: a slice, indices, or some for each row."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, TypeAlias

import torch

from headgrid.utils import arguments

PositionsGiven: TypeAlias = slice | int | Sequence[int] | torch.Tensor
"""A slice or indices, the same for each row; or a tensor `[batch]` or `[batch, k]`, those of each row."""

_WHAT = "a slice, an index, a list of indices, or a tensor [batch] or [batch, k] with the positions of each row"


class Positions:
    """Positions along the second axis of an activation; negative ones count from the end.

    Args:
        given: see `PositionsGiven`. A tensor of one axis has one position for each row; `[1, k]` is the same k for all.

    Raises:
        TypeError: when it is nothing of that kind.
        ValueError: when it names no position, or one twice.
    """

    def __init__(self, given: PositionsGiven) -> None:
        self.given = given
        if isinstance(given, slice):
            for end in (given.start, given.stop, given.step):
                if end is not None:
                    arguments.integer("each number of the slice positions", end)
            if given.step == 0:
                raise ValueError("the step of the slice positions is 0: 1 is every position, 2 each second one")
            return
        if isinstance(given, torch.Tensor):
            if given.ndim not in (1, 2) or given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
                raise TypeError(f"positions is {_WHAT}, not {arguments.shown(given)}")
            self.given = given.detach().to("cpu", torch.long)
            if not self.given.numel():
                raise ValueError(f"positions is empty: it is {_WHAT}")
            return
        listed = [given] if isinstance(given, Integral) and not isinstance(given, bool) else given
        listed = arguments.items("positions", listed, _WHAT)
        self.given = [arguments.integer("each of positions", one) for one in listed]

    def at(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """The indices `[batch or 1, k]` of this pass.

        Raises:
            ValueError: when it has no such positions, or other rows; it says how many there are.
        """
        if x.ndim < 3:
            raise ValueError(f"{name} has no axis of positions here, its shape is {list(x.shape)}: leave positions out")
        batch, n = x.shape[:2]
        if isinstance(self.given, slice):
            found = torch.tensor([range(n)[self.given]], device="cpu")
            if not found.numel():
                raise ValueError(f"positions {self.given} are none of the {n} of this pass at {name}")
        elif isinstance(self.given, torch.Tensor):
            found = self.given[:, None] if self.given.ndim == 1 else self.given
            if len(found) not in (1, batch):
                raise ValueError(
                    f"positions are given for {len(found)} rows, the pass has {batch}: a tensor has one row for each, "
                    "or write a list of positions for all"
                )
        else:
            assert isinstance(self.given, list)
            # beyond what a tensor holds it is out of range all the same
            found = torch.tensor([[max(-n - 1, min(one, n)) for one in self.given]], device="cpu")
        if (found < -n).any() or (found >= n).any():
            out = next(int(one) for one in found.flatten() if not -n <= one < n)
            raise ValueError(f"position {out} is out of range: this pass has {n} positions at {name}, 0 to {n - 1}")
        found = found % n
        if any(len(set(row)) < len(row) for row in found.tolist()):
            raise ValueError(f"positions name one position twice: {found.tolist()}")
        return found.to(x.device)

    def take(self, x: torch.Tensor, name: str) -> torch.Tensor:
        """What is at these positions, `[batch, k, ...]`."""
        at = self.at(x, name)
        if len(at) == 1:
            return x.index_select(1, at[0])
        return x.gather(1, at.reshape(*at.shape, *[1] * (x.ndim - 2)).expand(*at.shape, *x.shape[2:]))

    def put(self, x: torch.Tensor, values: torch.Tensor, name: str) -> torch.Tensor:
        """A copy of `x` with other values at these positions."""
        at = self.at(x, name)
        if len(at) == 1:
            return x.index_copy(1, at[0], values.to(x).expand(len(x), at.shape[1], *x.shape[2:]))
        index = at.reshape(*at.shape, *[1] * (x.ndim - 2)).expand(*at.shape, *x.shape[2:])
        return x.scatter(1, index, values.to(x).expand(index.shape))


def checked_positions(given: Any) -> Positions | None:
    """Positions that an argument names, or None."""
    return None if given is None else given if isinstance(given, Positions) else Positions(given)
