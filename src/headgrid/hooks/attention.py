"""Taps on attention calls: queries, keys, values, scores and patterns, as the model's own attention has them.

While a layer's attention module runs, the torch calls of this thread pass through an `Interceptor`, which finds the
steps of attention among them. A kernel that hides all of it is an error, never an empty result.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.hooks.interceptor import Attachment, Interceptor
from headgrid.hooks.stream import around
from headgrid.hooks.taps import Act, Tap
from headgrid.selection.activations import Where
from headgrid.selection.points import text_of

_HOW = "load the model with attn_implementation='sdpa' or 'eager'"


def attention_tap(model: torch.nn.Module, anatomy: Anatomy, where: Where, numbers: tuple[int, ...]) -> AttentionTap:
    """The tap of queries, keys, values, scores or patterns of heads.

    Raises:
        ValueError: when the layer has no attention module.
    """
    _, name, layer = where
    stack = anatomy.stack(name)
    path = around(stack, layer, ("q", "k", "v", "o"))
    module = model.get_submodule(path) if path else None
    if module is None:
        raise ValueError(f"there is no {text_of(where, numbers, stack)}: layer {layer} has no attention module")
    site = _sites.setdefault(module, AttentionCalls(f"{name} l{layer}".lstrip(), stack))
    return AttentionTap(
        where, numbers, (len(numbers), None), stack.uses, text_of(where, numbers, stack), module=module, site=site
    )


@dataclass(eq=False)
class AttentionTap(Tap):
    """An activation within the attention of a layer.

    Attributes:
        module: the attention module.
        site: the attention calls of that module.
    """

    module: torch.nn.Module = field(kw_only=True)
    site: AttentionCalls = field(kw_only=True)

    def attach(self, act: Act, only_reads: bool = False) -> Iterator[Any]:
        """Hook `act` to the activation: later ones see what earlier ones have changed."""
        yield self.site.add(self.module, Attachment(self, act, only_reads))

    def begin(self) -> None:
        """End a run of an attention module that an interrupt broke off."""
        _running.end()


class _Running(threading.local):
    """The runs of attention modules that this thread is in: one at most, but for one that broke off."""

    def __init__(self) -> None:
        self.runs: list[tuple[AttentionCalls, Interceptor]] = []

    def end(self) -> None:
        """End what is running: torch calls the hooks after a module when it fails, and not when it is interrupted."""
        while self.runs:
            _, interceptor = self.runs.pop()
            interceptor.over = True
            interceptor.__exit__(None, None, None)  # type: ignore[no-untyped-call]


_running = _Running()


@dataclass(eq=False)
class AttentionCalls:
    """The attention calls of one module, and what is done within them, in the order in which it was attached."""

    name: str
    stack: Stack
    acts: dict[str, list[Attachment]] = field(default_factory=dict)
    _handles: list[Any] = field(default_factory=list)

    def add(self, module: torch.nn.Module, one: Attachment) -> _Handle:
        """Do it from now on."""
        if not any(self.acts.values()):
            self._handles = [
                module.register_forward_pre_hook(self._enter),
                module.register_forward_hook(self._leave, always_call=True, prepend=True),
            ]
        self.acts.setdefault(one.tap.where[0], []).append(one)
        return _Handle(self, one)

    def drop(self, one: Attachment) -> None:
        """Do it no more."""
        _running.end()
        self.acts[one.tap.where[0]].remove(one)
        if not any(self.acts.values()):
            for handle in self._handles:
                handle.remove()

    def _enter(self, *_: Any) -> None:
        _running.end()
        interceptor = Interceptor(self.name, self.stack, self.acts)
        interceptor.__enter__()  # type: ignore[no-untyped-call]
        _running.runs.append((self, interceptor))

    def _leave(self, module: torch.nn.Module, _: Any, output: Any) -> None:
        if not any(site is self for site, _ in _running.runs):  # a hook before this one's failed
            return
        [(_, interceptor)] = _running.runs
        _running.end()
        if output is not None and interceptor.calls != 1:
            how = getattr(getattr(module, "config", None), "_attn_implementation", None)
            said = f" (its implementation is {how!r})" if how else ""
            if interceptor.calls:
                raise RuntimeError(
                    f"the attention of {self.name} runs in {interceptor.calls} pieces, as of several images: it has no "
                    "one pattern. Give one image at a time; z and the points of layers are recorded as they are"
                )
            raise RuntimeError(
                f"the attention of {self.name} shows no queries, keys and values{said}: it took no softmax of their "
                f"product, and did not call scaled_dot_product_attention. {_HOW.capitalize()}"
            )


@dataclass(frozen=True)
class _Handle:
    site: AttentionCalls
    one: Attachment

    def remove(self) -> None:
        self.site.drop(self.one)


_sites: WeakKeyDictionary[torch.nn.Module, AttentionCalls] = WeakKeyDictionary()
