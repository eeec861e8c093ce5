"""Parameter masks: a set of parts -> boolean tensors of the parameters' shapes.

The parts of a parameter lie along one of its axes, or along two where experts are stored with their gates, so its mask
is a vector or a small array along these, expanded over the others: a union of heads is an OR of short vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.slots import canvas_shape
from headgrid.selection.parts import Parts, any_and_all
from headgrid.utils import arguments
from headgrid.utils.offloaded import not_here

ParamMasks = dict[str, torch.Tensor | None]
"""Parameter name -> boolean mask of its shape, or None for the whole parameter: what devinterp calls by this name."""


class Mask(torch.Tensor):
    """A boolean tensor of which many entries are one byte, so that it cannot be written to: a view is one as well.

    torch itself refuses to write to all of such a tensor, and not to a row of it: `mask[0] = True` would set every row.
    Everything else is a plain tensor's: what is computed from it, and its copy, which `clone` makes.
    """

    @classmethod
    def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if torch.compiler.is_compiling():  # a compiled function reads it; it is not guarded there
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **kwargs)
        name = getattr(func, "__name__", "")
        written = kwargs.get("out") if "out" in kwargs else args[0] if args and _writes(name) else None
        if isinstance(written, Mask) or (isinstance(written, tuple) and any(isinstance(one, Mask) for one in written)):
            raise RuntimeError(
                "a mask cannot be written to: many of its entries are one, and would change with it. "
                "Write to a copy: mask.clone(); or select something else"
            )
        with torch._C.DisableTorchFunctionSubclass():
            found = func(*args, **kwargs)
            if func == _BASE:  # the compiler of torch asks for it, and for its own, until there is none
                return found
            if isinstance(found, np.ndarray):
                found.flags.writeable = False
            elif type(found) in (tuple, list):
                return type(found)(_guarded(one, args) for one in found)
            return _guarded(found, args)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # a file of masks is one of plain tensors, which loads without this library, and with weights_only as well
        return self.as_subclass(torch.Tensor).__reduce_ex__(protocol)  # type: ignore[no-untyped-call]

    def __deepcopy__(self, memo: dict[int, Any]) -> torch.Tensor:
        return self  # it cannot change


def _guarded(found: Any, given: Iterable[Any]) -> Any:
    """A result as a mask, where it is a view of one, or several of its entries are one byte."""
    if type(found) is not torch.Tensor or found.dtype != torch.bool or found.layout != torch.strided:
        return found
    try:
        at = found.untyped_storage().data_ptr()
    except NotImplementedError:  # within a transform of torch.func
        return found
    views = at and any(isinstance(one, Mask) and one.untyped_storage().data_ptr() == at for one in given)
    if views or any(step == 0 and size > 1 for step, size in zip(found.stride(), found.shape, strict=True)):
        return found.as_subclass(Mask)
    return found


def _writes(name: str) -> bool:
    """Whether a function of torch writes to its first argument."""
    return name == "__setitem__" or (name.startswith("__i") and name in _IN_PLACE) or name[-1:] == "_" != name[-2:-1]


_BASE: Any = vars(torch._C.TensorBase)["_base"].__get__
_OPERATORS = ("add", "sub", "mul", "div", "truediv", "floordiv", "mod", "pow", "and", "or", "xor")
_IN_PLACE = {
    f"__i{name}__" for name in ("add", "sub", "mul", "div", "truediv", "floordiv", "mod", "pow", "and", "or", "xor")
}


def masks(anatomy: Anatomy, chosen: Parts) -> ParamMasks:
    """The masks of a set of parts; `Selection.masks` says what they are."""
    found: ParamMasks = {}
    some, whole = ({key: any_and_all(anatomy.exists[key], bits)[i] for key, bits in chosen.items()} for i in (0, 1))
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
        found[name] = torch.from_numpy(np.ascontiguousarray(canvas)).expand(slots[0].shape).as_subclass(Mask)
    return found


def zero_(model: torch.nn.Module, chosen: ParamMasks) -> None:
    """Set the masked entries of a model's parameters to zero, in place.

    Raises:
        ValueError: when the model does not have these parameters, has them in other shapes, or has no weights.
    """
    parameters = parameters_of(model, chosen)
    with torch.no_grad():
        for name, mask in chosen.items():
            weight = parameters[name]
            weight.zero_() if mask is None else weight.masked_fill_(mask.to(weight.device), 0)


def training_only(model: torch.nn.Module, chosen: ParamMasks) -> AbstractContextManager[None]:
    """The context of `Selection.training_only`; see there."""
    parameters = parameters_of(model, chosen)
    if chosen and not any(parameters[name].requires_grad for name in chosen):
        raise ValueError(
            f"none of the selected parameters requires a gradient, {next(iter(chosen))!r} for one: what is frozen "
            "stays so. Call requires_grad_(True) on what is to be trained"
        )
    return _training_only(parameters, chosen)


@contextmanager
def _training_only(parameters: dict[str, torch.nn.Parameter], chosen: ParamMasks) -> Iterator[None]:
    trained = {name for name in chosen if parameters[name].requires_grad}
    cut = {id(parameters[name]): mask.to(parameters[name].device)
           for name, mask in chosen.items() if mask is not None and name in trained}  # fmt: skip
    before = {name: (parameter.requires_grad, parameter.grad) for name, parameter in parameters.items()}
    with ExitStack() as undo:
        for name, parameter in parameters.items():
            if name not in trained:  # an optimizer moves whatever has a gradient, one from before as well
                undo.callback(_reset, parameter, *before[name])
                _reset(parameter, False, None)
            elif (mask := cut.get(id(parameter))) is not None:
                undo.callback(parameter.register_hook(partial(_only, mask=mask)).remove)  # type: ignore[no-untyped-call]
        undo.callback(_restoring(cut))
        yield


def parameters_of(model: torch.nn.Module, chosen: ParamMasks) -> dict[str, torch.nn.Parameter]:
    """A model's parameters by name.

    Raises:
        TypeError: when it is no module.
        ValueError: when masks are of parameters that it does not have, has in other shapes, or without entries.
    """
    parameters = dict(arguments.model(model).named_parameters())
    for name, mask in chosen.items():
        if name not in parameters:
            raise ValueError(f"the model has no parameter {name!r}; this selection is of another model")
        if mask is not None and mask.shape != parameters[name].shape:
            raise ValueError(
                f"the mask of {name!r} is {list(mask.shape)}, its parameter {list(parameters[name].shape)}"
            )
        if parameters[name].is_meta:
            raise ValueError(not_here(model, name))
    return parameters


def _reset(parameter: torch.nn.Parameter, requires_grad: bool, grad: torch.Tensor | None) -> None:
    parameter.requires_grad_(requires_grad)
    parameter.grad = grad


def _only(gradient: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A gradient that is zero outside of a mask; NaN there as well."""
    return gradient * mask if gradient.is_sparse else gradient.where(mask, 0)


def _restoring(cut: Mapping[int, torch.Tensor]) -> Callable[[], None]:
    """Make steps of torch's optimizers leave entries outside of these masks as they were; what is returned undoes it.

    Weight decay moves every entry of a parameter that has a gradient, and momentum those that had one before.
    """
    held: dict[int, list[tuple[torch.nn.Parameter, torch.Tensor]]] = {}

    def hold(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        own = [one for group in optimizer.param_groups for one in group["params"] if id(one) in cut]
        held[id(optimizer)] = [(one, one.detach().clone()) for one in own]

    def restore(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        with torch.no_grad():
            for parameter, old in held.pop(id(optimizer), []):
                parameter.copy_(parameter.where(cut[id(parameter)], old))

    handles = [register_optimizer_step_pre_hook(hold), register_optimizer_step_post_hook(restore)]

    def undo() -> None:
        for handle in handles:
            handle.remove()

    return undo
