"""Where weights are read from: a model in memory, or the files of a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from headgrid.anatomy.anatomy import AnatomyError
from headgrid.anatomy.slots import Slot
from headgrid.utils.offloaded import not_here


class WeightSource(Protocol):
    """What weights are read from.

    Attributes:
        model: the modules, whose settings say how weights are used.
        runs: whether they can be run: whether their weights are in them.
    """

    @property
    def model(self) -> torch.nn.Module:
        """The modules."""

    @property
    def runs(self) -> bool:
        """Whether they can be run."""

    def tensor(self, name: str) -> torch.Tensor:
        """A parameter by its name, detached; an AnatomyError where it cannot be read."""

    def pieces(self, slot: Slot) -> Iterator[tuple[int, torch.Tensor]]:
        """The weights of a slot in canonical orientation, each with the number in it that its first part has."""

    def part(self, slot: Slot, number: int) -> torch.Tensor:
        """One part of a slot, `[1, ...]`, along the first of its canonical axes."""

    def why_not(self, name: str) -> str:
        """Why a parameter cannot be read, in one or two lines; "" where it can."""

    def module(self, path: str) -> torch.nn.Module:
        """A module with its own parameters in it, to be run on a probe."""

    def fill(self, name: str) -> None:
        """Put a small parameter into its module, where it is not there."""

    def version(self, slot: Slot) -> tuple[object, ...]:
        """The version of the weights of a slot, which differs once they were changed."""


def full_precision(name: str, parameter: torch.Tensor) -> torch.Tensor:
    """The parameter itself; an AnatomyError where its entries are no weights before they are scaled."""
    if not parameter.is_floating_point() or parameter.dtype.itemsize < 2:
        raise AnatomyError(
            f"{name} is quantized, stored as {parameter.dtype}, and its scales lie elsewhere: load the "
            "model in bfloat16, float16 or float32, or dequantize it"
        )
    return parameter


class LiveWeights:
    """The weights of a model in memory: views of its parameters, as they are when they are asked for."""

    runs = True

    def __init__(self, model: torch.nn.Module) -> None:
        self.model = model

    def tensor(self, name: str) -> torch.Tensor:
        """See `WeightSource`."""
        if why := self.why_not(name):
            raise AnatomyError(why)
        return full_precision(name, self.model.get_parameter(name).detach())  # each time: it may have been replaced

    def pieces(self, slot: Slot) -> Iterator[tuple[int, torch.Tensor]]:
        """See `WeightSource`."""
        yield 0, slot.of(self.tensor(slot.parameter))

    def part(self, slot: Slot, number: int) -> torch.Tensor:
        """See `WeightSource`."""
        return slot.of(self.tensor(slot.parameter))[number : number + 1]

    def why_not(self, name: str) -> str:
        """See `WeightSource`."""
        return not_here(self.model, name) if self.model.get_parameter(name).is_meta else ""

    def module(self, path: str) -> torch.nn.Module:
        """See `WeightSource`."""
        return self.model.get_submodule(path)

    def fill(self, name: str) -> None:
        """See `WeightSource`."""

    def version(self, slot: Slot) -> tuple[object, ...]:
        """See `WeightSource`; a parameter counts its changes, but not those through `.data`, so entries are summed."""
        return _version_of(self.model.get_parameter(slot.parameter), slot)


def _version_of(parameter: torch.Tensor, slot: Slot) -> tuple[object, ...]:
    version = -1 if parameter.is_inference() else parameter._version
    if parameter.is_meta:
        return parameter.data_ptr(), version
    entries = slot.of(parameter.detach())
    # in the order in which they lie in memory: the entries of a row of W_U are thousands of entries apart
    entries = entries.permute(sorted(range(entries.dim()), key=entries.stride, reverse=True))
    rows = entries.flatten(0, -2) if entries.dim() > 1 else entries[None]
    rows = rows[:: 1 + rows.numel() // 2**20]
    sums = (rows.sum(axis, dtype=torch.float32) for axis in (0, 1))
    # weighted by their place, so that swapped rows or columns differ; as text, NaN is equal to itself
    places = (one @ torch.arange(1, len(one) + 1, dtype=torch.float32, device=one.device).sqrt() for one in sums)
    return parameter.data_ptr(), version, parameter.dtype, *(repr(float(one)) for one in places)
