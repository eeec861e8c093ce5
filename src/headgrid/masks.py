"""Parameter masks: a set of parts -> boolean tensors of the parameters' shapes.

The parts of a parameter lie along one of its axes, or along two where experts are stored with their gates, so its mask
is a vector or a small array along these, expanded over the others: a union of heads is an OR of short vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

from headgrid.anatomy import Anatomy
from headgrid.parts import Parts, rows
from headgrid.slots import canvas_shape

ParamMasks = dict[str, torch.Tensor | None]
"""Parameter name -> boolean mask of its shape, or None for the whole parameter: what devinterp calls by this name."""


def masks(anatomy: Anatomy, chosen: Parts) -> ParamMasks:
    """The masks of a set of parts; `Selection.masks` says what they are."""
    found: ParamMasks = {}
    some, whole = ({key: rows(anatomy.exists[key], bits)[i] for key, bits in chosen.items()} for i in (0, 1))
    touched = {
        slot.parameter
        for key in chosen
        for row in np.flatnonzero(some[key]).tolist()
        for slot in anatomy.slots_at[key, row]
    }
    for name, slots in anatomy.slots_of.items():
        if name not in touched:
            continue
        if all(slot.key in chosen and whole[slot.key][slot.layer or 0] for slot in slots):
            found[name] = None
            continue
        lines = [chosen[slot.key][slot.layer or 0, slot.numbers] if slot.key in chosen else None for slot in slots]
        if not any(line is not None and line.any() for line in lines):
            continue  # other slots of these roles have what is chosen of this layer
        if all(line is not None and line.all() for line in lines):
            found[name] = None
            continue
        canvas = np.zeros(canvas_shape(slots), dtype=np.bool_)
        for slot, line in zip(slots, lines, strict=True):
            if line is not None:
                view = slot.along(canvas)
                view[...] = line.reshape(-1, *[1] * (view.ndim - 1))
        open_axes = [axis for axis, size in enumerate(canvas.shape) if size > 1]
        for axis in open_axes if len(open_axes) > 1 else ():
            first = canvas.take([0], axis)
            if (canvas == first).all():  # nothing is told apart along it
                canvas = first
        found[name] = torch.from_numpy(np.ascontiguousarray(canvas)).expand(slots[0].shape)
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
