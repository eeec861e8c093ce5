"""What a pass of many copies need not compute: attention that is the same in all, the last MLP where nothing is read.

Below the first replaced `z` all copies are one: queries, keys, values and their attention are computed for one copy,
and repeated as they enter `W_O`. In the last layer the MLP acts on each position by itself, and only the positions that
are scored are read after it.

Neither is taken for granted. A model whose modules do otherwise is found by two short passes, one with and one without
the shortcut, and is then run whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from headgrid.anatomy.anatomy import Stack

AFTER_ATTENTION = {"z", "mlp", "mlp out", "out"}
"""Kinds of activations that leave the attention of their layer as it is."""

IN_MLP = {"mlp", "mlp out", "out"}
"""Kinds of activations that are of a layer's MLP, or behind it."""


def attention(stack: Stack, layer: int) -> tuple[str, str] | None:
    """The names of a layer's attention and of the module in it that owns `W_O`; None where they are no such modules."""
    owners = _owners(stack, layer, ("W_Q", "W_K", "W_V", "W_O"))
    output = _owners(stack, layer, ("W_O",))
    whole = _common(owners)
    return (whole, next(iter(output))) if len(output) == 1 and _is_part(whole, owners) else None


def mlp(stack: Stack, layer: int) -> str | None:
    """The name of a layer's MLP; None where it is no module of its own, or a mixture of experts."""
    if any("expert" in role or "router" in role for role, at in stack.places if at == layer):
        return None
    owners = _owners(stack, layer, ("W_in", "W_out"))
    whole = _common(owners)
    return whole if _is_part(whole, owners) else None


def _is_part(name: str, owners: set[str]) -> bool:
    """Whether a module is more than the owner of a weight, and less than a layer."""
    return bool(name) and name not in owners and not name.rpartition(".")[2].isdigit()


def _owners(stack: Stack, layer: int, roles: Sequence[str]) -> set[str]:
    return {slot.parameter.rpartition(".")[0] for role in roles for slot in stack.places.get((role, layer), ())}


def _common(names: set[str]) -> str:
    """What the names of modules have in common."""
    steps = [name.split(".") for name in sorted(names)]
    shared: list[str] = []
    for each in zip(*steps, strict=False):
        if len(set(each)) > 1:
            break
        shared.append(each[0])
    return ".".join(shared)


@contextmanager
def attention_once(model: torch.nn.Module, names: tuple[str, str], n: int, n_rows: int) -> Iterator[None]:
    """Within, an attention is computed for the first of n equal copies, and repeated as it enters `W_O`."""
    whole, output = (model.get_submodule(name) for name in names)

    def one(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return value[:n_rows] if value.ndim and len(value) == n * n_rows else value
        return type(value)(map(one, value)) if type(value) in (tuple, list) else value

    def repeated(_: torch.nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
        return (given[0].repeat(n, *[1] * (given[0].ndim - 1)), *given[1:])

    own = whole.forward
    handle = output.register_forward_pre_hook(repeated)
    try:
        with instead(whole, lambda *given, **named: own(*one(given), **{key: one(named[key]) for key in named})):
            yield
    finally:
        handle.remove()


@contextmanager
def mlp_at(model: torch.nn.Module, name: str, places: torch.Tensor) -> Iterator[None]:
    """Within, an MLP acts at some positions alone, and gives zeros at the others."""
    module = model.get_submodule(name)
    own = module.forward

    def some(x: torch.Tensor) -> torch.Tensor:
        at = places.to(x.device)
        found: torch.Tensor = own(x.index_select(1, at))
        return found.new_zeros(x.shape[0], x.shape[1], found.shape[-1]).index_copy(1, at, found)

    with instead(module, some):
        yield


@contextmanager
def instead(module: torch.nn.Module, forward: Callable[..., Any]) -> Iterator[None]:
    """Within, a module's forward is another function."""
    before = module.__dict__.get("forward")
    module.forward = forward
    try:
        yield
    finally:
        if before is None:
            del module.forward
        else:
            module.forward = before
