"""The one shield against the state of torch that a caller set: autocast, inference mode, gradients, default device."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

_AUTOCAST = ("cpu", "cuda", "xpu", "mps")


@contextmanager
def shielded() -> Iterator[None]:
    """Within, numbers are what they are without anybody's settings; as a decorator, for a whole function.

    Autocast would round products to bfloat16; tensors made in inference mode cannot be used in training later, and
    those of a default device such as `cuda` or `meta` are not where results are. None of it is changed for others.
    """
    with ExitStack() as settings:
        settings.enter_context(torch.inference_mode(False))
        settings.enter_context(torch.no_grad())
        if _elsewhere():
            settings.enter_context(torch.device("cpu"))
        for device in _AUTOCAST:
            if _autocasts(device):
                settings.enter_context(torch.autocast(device, enabled=False))
        yield


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
