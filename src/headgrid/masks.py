"""Parameter masks: a set of parts -> boolean tensors of the parameters' shapes.

All parts of one parameter lie along one of its axes, so its mask is a vector along that axis, expanded over the others:
a union of heads is an OR of short vectors, and no mask is as large as its parameter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from headgrid.anatomy import Anatomy
from headgrid.parts import Parts

ParamMasks = dict[str, torch.Tensor | None]
"""Parameter name -> boolean mask of its shape, or None for the whole parameter: what devinterp calls by this name."""


def masks(anatomy: Anatomy, chosen: Parts) -> ParamMasks:
    """The masks of a set of parts; `Selection.masks` says what they are."""
    found: ParamMasks = {}
    for name, slots in anatomy.slots_of.items():
        rows = [chosen[slot.role][slot.layer or 0, : slot.n_parts] if slot.role in chosen else None for slot in slots]
        if not any(row is not None and row.any() for row in rows):
            continue
        if all(row is not None and row.all() for row in rows):
            found[name] = None
            continue
        shape, dim = slots[0].shape, slots[0].dim
        vector = np.zeros(shape[dim], dtype=np.bool_)
        for slot, row in zip(slots, rows, strict=True):
            if row is not None:
                view = slot.along(vector)
                view[...] = row.reshape(-1, *[1] * (view.ndim - 1))
        flat = [1] * len(shape)
        flat[dim] = shape[dim]
        found[name] = torch.from_numpy(vector).view(flat).expand(shape)
    return found


@contextmanager
def training_only(model: torch.nn.Module, chosen: ParamMasks) -> Iterator[None]:
    """What `Selection.training_only` does; see there."""
    parameters = dict(model.named_parameters())
    for name, mask in chosen.items():
        if name not in parameters:
            raise ValueError(f"the model has no parameter {name!r}; this selection is of another model")
        if mask is not None and mask.shape != parameters[name].shape:
            raise ValueError(
                f"the mask of {name!r} is {list(mask.shape)}, its parameter {list(parameters[name].shape)}"
            )
    before = {name: parameter.requires_grad for name, parameter in parameters.items()}
    hooks = []
    try:
        for name, parameter in parameters.items():
            parameter.requires_grad_(name in chosen)
            mask = chosen.get(name)
            if mask is not None:
                on_device = mask.to(parameter.device)
                hook = parameter.register_hook(lambda gradient, mask=on_device: gradient * mask)  # type: ignore[no-untyped-call]
                hooks.append(hook)
        yield
    finally:
        for hook in hooks:
            hook.remove()
        for name, parameter in parameters.items():
            parameter.requires_grad_(before[name])
