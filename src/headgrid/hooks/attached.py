"""Hooks that last as long as a context, and what is made sure of meanwhile."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

import torch

from headgrid.anatomy.anatomy import AnatomyError
from headgrid.hooks.execution import as_written, refuse_recomputation
from headgrid.hooks.taps import Act, Tap
from headgrid.models.wrappers import unwrap
from headgrid.utils.warning import warn

T = TypeVar("T")


@dataclass
class Hooks(Generic[T]):
    """The hooks of one context.

    Attributes:
        value: what the context gives.
        acts: what is done at each tap.
        begin: called with its arguments when a forward pass of the whole model begins.
        never: the taps that the model has not come to yet.
        done: what is done there, in a sentence.
        only_reads: whether nothing is replaced, and no gradient needed.
    """

    value: T
    acts: Sequence[tuple[Tap, Act]]
    begin: Callable[[Mapping[str, Any]], None]
    never: Callable[[], Sequence[Tap]]
    done: Literal["ablated", "patched", "steered", "recorded"]
    only_reads: bool = False


@dataclass
class _Open(Generic[T]):
    hooks: Hooks[T]
    handles: ExitStack = field(default_factory=ExitStack)
    passes: int = 0
    gradients: bool = True


class Attached(AbstractContextManager[T], Generic[T]):
    """Hooks that last as long as a context; it can be entered again, within itself too."""

    def __init__(self, model: torch.nn.Module, enter: Callable[[], Hooks[T]]) -> None:
        self._model, self._enter = model, enter
        self._inside: torch.nn.Module | None = None
        self._open: list[_Open[T]] = []

    def __enter__(self) -> T:
        one = _Open(self._enter())
        with ExitStack() as handles:
            handles.enter_context(as_written(self._model))
            inside = self._inside = self._inside or _inside(self._model)
            signature = inspect.signature(inside.forward)

            def begin(_: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
                one.gradients = torch.is_grad_enabled()
                for tap, __ in one.hooks.acts:
                    tap.begin()
                try:
                    one.hooks.begin(signature.bind_partial(*given, **named).arguments)
                except TypeError:  # the model's own error will say what does not fit
                    one.hooks.begin(named)

            def end(*_: Any) -> None:
                one.passes += 1

            handles.callback(inside.register_forward_pre_hook(begin, with_kwargs=True).remove)
            for module in {id(self._model): self._model, id(inside): inside}.values():
                handles.callback(module.register_forward_hook(end).remove)
            for tap, act in one.hooks.acts:
                for handle in tap.attach(_once(tap, act, one), one.hooks.only_reads):
                    handles.callback(handle.remove)
            one.handles = handles.pop_all()
            self._open.append(one)
        return one.hooks.value

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        one = self._open.pop()
        one.handles.close()
        never = [tap.name for tap in one.hooks.never()] if kind is None else []
        ablated = one.hooks.done != "recorded"
        if never and (one.passes or (ablated and len(never) < len(one.hooks.acts))):
            raise RuntimeError(
                f"the model was called, but its forward pass never came to {', '.join(never[:6])}: nothing was "
                f"{one.hooks.done} there. Either these inputs do not need it, or the model reads its weights without "
                "calling the module that holds them"
            )
        if never and ablated:  # a cache says by itself that it holds nothing
            warn(
                f"the model was not called while {', '.join(never[:6])} was to be {one.hooks.done}. What was traced, "
                "exported or copied from a model before has no hooks"
            )


def _once(tap: Tap, act: Act, one: _Open[Any]) -> Act:
    """The action at a tap, where the layer is not run again for a backward pass."""

    def checked(x: torch.Tensor) -> torch.Tensor | None:
        refuse_recomputation(tap.name, one.gradients)
        return act(x)

    return checked


def _inside(model: torch.nn.Module) -> torch.nn.Module:
    """The model in its wrappers, which every call comes to."""
    try:
        return unwrap(model).model or model
    except AnatomyError:
        return model
