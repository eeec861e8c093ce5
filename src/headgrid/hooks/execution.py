"""How a model runs while hooks are set: as it is written, and each layer once.

What `torch.compile` has compiled does not look at hooks that are set afterwards, so nothing runs compiled within a
context. Gradient checkpointing runs layers anew in the backward pass, when hooks may have come or gone: transformers'
is switched off within a context, and any other is an error where it meets a hook.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.checkpoint

_FLAG = "gradient_checkpointing"
"""What transformers calls it in the modules that do it."""


class _Eager:
    """`torch.compiler`'s stance, which all threads share: forced while any context is open, then as it was."""

    def __init__(self) -> None:
        self.lock, self.open = threading.Lock(), 0
        self.held: Any = None

    @contextmanager
    def held_for(self, model: torch.nn.Module) -> Iterator[None]:
        if not hasattr(torch.compiler, "set_stance"):
            _refuse_compiled(model)
            yield
            return
        with self.lock:
            if not self.open:
                self.held = torch.compiler.set_stance("force_eager")
            self.open += 1
        try:
            yield
        finally:
            with self.lock:
                self.open -= 1
                if not self.open:
                    self.held.__exit__(None, None, None)


_eager = _Eager()


def refuse_compiling() -> None:
    """
    Raises:
        RuntimeError: when this is called by code that is compiled.
    """
    running = None
    if not torch.compiler.is_compiling() and "torch._dynamo.eval_frame" in sys.modules:
        asked = getattr(torch._C._dynamo.eval_frame, "get_eval_frame_callback", None)  # not in the oldest torch
        running = asked() if asked is not None else None
    if torch.compiler.is_compiling() or running is not None:
        raise RuntimeError(
            "activations cannot be recorded or ablated within a compiled function, where hooks are compiled away: call "
            "the function within the context instead"
        )


def _refuse_compiled(model: torch.nn.Module) -> None:
    """
    Raises:
        RuntimeError: when any module of a model is compiled, where torch cannot be told to run it as it is written.
    """
    for name, module in model.named_modules():
        if "_orig_mod" in module._modules or getattr(module, "_compiled_call_impl", None) is not None:
            raise RuntimeError(
                f"{name or type(model).__name__} is compiled, and what torch {torch.__version__} has compiled passes "
                "over hooks: use torch 2.6 or newer, or the model before it is compiled"
            )


@contextmanager
def as_written(model: torch.nn.Module) -> Iterator[None]:
    """Within, nothing runs compiled, and transformers' gradient checkpointing is off: gradients are the same without.

    Raises:
        RuntimeError: within compiled code; for a compiled model, with torch before 2.6.
    """
    refuse_compiling()
    with _eager.held_for(model):
        off = [module for module in model.modules() if getattr(module, _FLAG, False) is True]
        try:
            for module in off:
                setattr(module, _FLAG, False)
            yield
        finally:
            for module in off:
                setattr(module, _FLAG, True)


def refuse_replicas(model: torch.nn.Module, what: str) -> None:
    """
    Raises:
        ValueError: when a model is run as several replicas, each of which sees a piece of the batch.
    """
    for module in model.modules():
        if isinstance(module, torch.nn.DataParallel) and len(module.device_ids) > 1:
            raise ValueError(
                f"DataParallel runs {len(module.device_ids)} replicas, each on a piece of the batch: {what}. Use the "
                "model inside, model.module"
            )


def refuse_recomputation(name: str, with_gradients: bool) -> None:
    """Called where a hook runs.

    Args:
        name: what passes there.
        with_gradients: whether a backward pass may follow.

    Raises:
        RuntimeError: when the layer is run anew in a backward pass, or will be.
    """
    running = getattr(torch._C, "_current_graph_task_id", lambda: -1)() != -1
    if running or (with_gradients and _in_checkpoint()):
        raise RuntimeError(
            f"gradient checkpointing runs {name} again in the backward pass, where the hooks of this context would be "
            "missing or those of another one would be set: switch it off for passes that are recorded or ablated and "
            "for those whose backward pass runs within such a context"
        )


def _in_checkpoint() -> bool:
    """Whether torch's checkpointing is among the callers."""
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename == torch.utils.checkpoint.__file__:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
