"""A copy of a model's modules with the very same weights, whose hooks nobody else's forward pass comes by."""

from __future__ import annotations

import copy
import itertools

import torch

WeightsStamp = tuple[int, tuple[tuple[int, int], ...]]
"""A number that counts changes through whoever sums entries, and of each parameter which one it is and its changes."""


class SharedCopy:
    """The copy of a model that a worker runs.

    A hook holds for a module whoever calls it. Hooks that the worker sets in the model itself would change what a cell
    of a notebook computes with it in the meantime, and the worker would see the hooks of the cell.

    Args:
        model: the model.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self._model = model
        self._copy: torch.nn.Module | None = None

    def get(self) -> torch.nn.Module:
        """The copy, made anew where parameters or modules of the model were replaced, in the model's present mode.

        Raises:
            RuntimeError: when a module cannot be copied.
        """
        if self._copy is None or not self._same(self._copy):
            tensors = itertools.chain(self._model.parameters(), self._model.buffers())
            try:
                self._copy = copy.deepcopy(self._model, {id(one): one for one in tensors})
            except Exception as fault:
                raise RuntimeError(
                    f"this model cannot be run beside other code, because its modules cannot be copied: {fault}"
                ) from fault
        for one, other in zip(self._model.modules(), self._copy.modules(), strict=True):
            other.training = one.training
            if _is_compiled(other.__dict__.get("forward"), type(other)):
                del other.forward
        return self._copy

    def forget(self) -> None:
        """Drop the copy; it is made again when it is asked for."""
        self._copy = None

    def version(self, changes: int) -> WeightsStamp:
        """What differs once weights were changed in place, or replaced: quick, and blind to changes through `.data`.

        Args:
            changes: how many changes were seen by whoever reads the entries.
        """
        return changes, tuple((id(one), 0 if one.is_inference() else one._version) for one in self._model.parameters())

    def _same(self, other: torch.nn.Module) -> bool:
        pairs = itertools.zip_longest(self._model.named_modules(), other.named_modules())
        if any(one is None or two is None or one[0] != two[0] for one, two in pairs):
            return False
        tensors = itertools.zip_longest(
            itertools.chain(self._model.parameters(), self._model.buffers()),
            itertools.chain(other.parameters(), other.buffers()),
        )
        return all(one is two for one, two in tensors)


def _is_compiled(forward: object, kind: type[torch.nn.Module]) -> bool:
    """Whether what stands in a module's way is its own class's `forward`, compiled.

    After `model.forward = torch.compile(model.forward)` a copy has a function that calls the modules of the model, and
    would never come by its own.
    """
    bound = getattr(forward, "_torchdynamo_orig_callable", None)
    return getattr(bound, "__func__", None) is kind.forward
