"""The one shield against the state of torch that a caller set: autocast, inference mode, gradients, default device
and default dtype."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

_AUTOCAST = ("cpu", "cuda", "xpu", "mps")


@contextmanager
def shielded(*, gradients: bool = False) -> Iterator[None]:
    """Within, numbers are what they are without anybody's settings; as a decorator, for a whole function.

    Autocast would round products to bfloat16; tensors made in inference mode cannot be used in training later, those
    of a default device such as `cuda` or `meta` are not where results are, and those of another default dtype are
    rounded, or twice as wide. None of it is changed for others: all of it holds for this thread alone.

    Args:
        gradients: whether gradients are had if the caller has them; there are none by default.
    """
    with ExitStack() as settings:
        inference = torch.is_inference_mode_enabled()
        if inference:
            settings.enter_context(torch.inference_mode(False))  # which would turn gradients on
        if inference or (not gradients and torch.is_grad_enabled()):
            settings.enter_context(torch.no_grad())
        if _elsewhere():
            settings.enter_context(torch.device("cpu"))
        if torch.get_default_dtype() != torch.float32 and not _is_float32():
            settings.enter_context(_Float32())
        for device in _AUTOCAST:
            if _autocasts(device):
                settings.enter_context(torch.autocast(device, enabled=False))
        yield


def _is_float32() -> bool:
    """Whether a shield around this one sees to the dtype: each takes its time of every call of torch."""
    modes = range(torch._C._len_torch_function_stack())
    return any(isinstance(torch._C._get_function_stack_at(at), _Float32) for at in modes)


def _elsewhere() -> bool:
    """Whether new tensors would not be on the CPU; within a device's context every call of torch takes longer."""
    asked = getattr(torch, "get_default_device", None)  # since torch 2.3
    return asked is None or asked().type != "cpu"


def _autocasts(device: str) -> bool:
    try:
        return torch.is_autocast_enabled(device)
    except TypeError:  # torch before 2.4 asks for each device in its own way
        asked = {"cpu": torch.is_autocast_cpu_enabled, "cuda": torch.is_autocast_enabled}
        return device in asked and asked[device]()
    except RuntimeError:  # a device that this torch does not have
        return False


_RANDOM = {torch.rand, torch.randn, torch.normal}
_NEW = {
    torch.tensor, torch.as_tensor, torch.scalar_tensor, torch.zeros, torch.ones, torch.empty, torch.empty_strided,
    torch.full, torch.eye, torch.arange, torch.range, torch.linspace, torch.logspace, torch.bartlett_window,
    torch.blackman_window, torch.hamming_window, torch.hann_window, torch.kaiser_window,
}  # fmt: skip
_CASTS = {"half", "bfloat16", "float", "double", "to", "type", "type_as"}


class _Float32(TorchFunctionMode):
    """While it is entered, what would have the default dtype is float32.

    `torch.set_default_dtype` would set it for all threads. The default is only asked for where no other floating-point
    number says what the result is: for new tensors, and for those computed of whole numbers (`arange(3) / 2`).
    """

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = list(_leaves((*args, *kwargs.values())))
        numbers = [one for one in given if isinstance(one, (torch.Tensor, np.ndarray, np.generic))]
        says = any(isinstance(one, torch.dtype) for one in given) or any(
            one.is_floating_point() or one.is_complex() for one in numbers if isinstance(one, torch.Tensor)
        )
        if says or getattr(function, "__name__", "") in _CASTS or any(not torch.is_tensor(one) for one in numbers):
            return function(*args, **kwargs)
        if function in _RANDOM:
            return function(*args, **{**kwargs, "dtype": torch.float32})
        result = function(*args, **kwargs)
        if not isinstance(result, torch.Tensor) or result.dtype != torch.get_default_dtype():
            return result
        if function in _NEW:
            return function(*args, **{**kwargs, "dtype": torch.float32})
        if not numbers:
            return result  # nothing says what it was made of
        return function(*_exact(args), **{name: _exact(one) for name, one in kwargs.items()}).to(torch.float32)


def _leaves(values: Iterable[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _leaves(value)
        else:
            yield value


def _exact(value: Any) -> Any:
    """Whole numbers as float32, within lists too."""
    if isinstance(value, torch.Tensor):
        return value if value.dtype == torch.bool else value.to(torch.float32)
    return type(value)(map(_exact, value)) if type(value) in (list, tuple) else value
