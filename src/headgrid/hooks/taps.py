"""Taps: where activations pass in a model's modules, found through the slots of the weights that read them.

A head's `z` is what enters the module that owns `W_O`, a neuron's activation what enters the module that owns `W_out`.
Which entries of that input are head 3 is read off the slot: it is along them that the stored weight has head 3.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.selection.activations import Where
from headgrid.selection.entries import entries_read, queries_given
from headgrid.selection.points import text_of

Act = Callable[[torch.Tensor], torch.Tensor | None]
"""A function of an activation as a `Tap` reads it; its result, of the same shape, takes the activation's place."""


@dataclass(eq=False)
class Tap(ABC):
    """A place in the forward pass where an activation can be read and replaced.

    An activation has the axes `[batch, pos, *shape]`: those of heads `[batch, pos, n_selected, width]`, where the width
    of scores and patterns is the number of keys and their positions are those of the queries.

    Attributes:
        where: what passes here, the stack and the layer.
        numbers: the numbers of the heads, key/value heads or neurons that are wanted; none of a hidden state.
        shape: the sizes of the last axes, those of one position: `(n, d_head)`, `(n,)`, `(None,)`; None where it is not
            known before a pass.
        uses: how often a forward pass comes here.
        name: its text in the language of selections: `l1h[0,2]`, `l1h2.pattern`, `l0 mlp`, `encoder l3 out`.
        copies: whether what is read is a copy, and not the model's own tensor.
    """

    where: Where
    numbers: tuple[int, ...] = ()
    shape: tuple[int | None, ...] = (None,)
    uses: int = 1
    name: str = ""
    copies: bool = True

    @property
    def own(self) -> int:
        """How many axes one position's activations have."""
        return len(self.shape)

    @abstractmethod
    def attach(self, act: Act, only_reads: bool = False) -> Iterator[Any]:
        """Hook `act` to the activation; what it returns replaces it. The handles, to remove.

        Args:
            act: what is done.
            only_reads: whether it returns nothing and needs no gradient: what is computed for it alone has none.
        """

    def begin(self) -> None:  # noqa: B027
        """A forward pass of the whole model begins; the one before it may have broken off anywhere."""


@dataclass(eq=False)
class ModuleTap(Tap):
    """An activation that is the input or the output of a module, or some entries of it.

    Attributes:
        module: the module whose input it is, or whose output.
        after: whether it is the output.
        index: the entries of its last axis that are wanted: `[n, d_head]` for heads, `[n]` for neurons; None for all.
        axes: how many last axes of the activation the index counts over.
        block: the layer's module, which sees batch and positions as two axes where an MLP flattens them.
        factor: what the layer multiplies it by before it is added to the stream.
        unless: a module whose input it must not be: that of a layer, where the stream between its blocks is wanted.
    """

    module: torch.nn.Module = field(kw_only=True)
    after: bool = False
    index: torch.Tensor | None = None
    axes: int = 1
    block: torch.nn.Module | None = None
    factor: float = 1.0
    unless: torch.nn.Module | None = None
    _lead: tuple[int, ...] = field(default=(), init=False)
    _input: torch.Tensor | None = field(default=None, init=False)
    _on: dict[torch.device, torch.Tensor] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.copies = self.index is not None or self.factor != 1

    def read(self, x: torch.Tensor) -> torch.Tensor:
        """The wanted entries, shape `[batch, pos, *index]`: a copy, or `x` itself where all are."""
        if self.axes > 1:
            x = x.flatten(-self.axes)
        if x.ndim == 2 and len(self._lead) == 2 and x.shape[0] == prod(self._lead):
            x = x.reshape(*self._lead, -1)
        if self.index is None:
            return x if self.factor == 1 else x * self.factor
        return x[..., self._index(x.device)]

    def write(self, x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """A copy of `x` with other wanted entries; what was `read`, written, is `x`."""
        if self.index is None:
            return (values if self.factor == 1 else values / self.factor).reshape(x.shape)
        values = values.to(x).reshape(*x.shape[: x.ndim - self.axes], -1)
        flat = x.flatten(-self.axes) if self.axes > 1 else x
        return flat.index_copy(-1, self._index(x.device).flatten(), values).reshape(x.shape)

    def _index(self, device: torch.device) -> torch.Tensor:
        if device not in self._on:
            assert self.index is not None
            self._on[device] = self.index.to(device)
        return self._on[device]

    def attach(self, act: Act, only_reads: bool = False) -> Iterator[Any]:
        """Hook `act` to the module's input or output."""
        if self.block is not None:
            yield self.block.register_forward_pre_hook(self._see, with_kwargs=True)
        if self.unless is not None:
            yield self.unless.register_forward_pre_hook(self._hold, with_kwargs=True)

        def through(x: torch.Tensor) -> torch.Tensor | None:
            if self.unless is not None and x is self._input:
                raise ValueError(
                    f"there is no {self.name}: attention and MLP of this layer both read its input, so that nothing "
                    f"stands between them. What they add is {self.name.removesuffix('mid')}attn out and mlp out"
                )
            new = act(self.read(x))
            return None if new is None else self.write(x, new)

        if self.after:
            yield self.module.register_forward_hook(_at_output(through, self.name))
        else:
            yield self.module.register_forward_pre_hook(_at_input(through), with_kwargs=True)

    def _see(self, _: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._lead = tuple(main_input(given, named).shape[:-1])

    def _hold(self, _: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        self._input = main_input(given, named)


def _at_input(act: Act) -> Callable[..., Any]:
    """A hook before a module, where `act` may replace its main input."""

    def before(_: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
        key = _first(given, named)
        new = act(named[key] if isinstance(key, str) else given[key])
        if new is None:
            return None
        return (given, {**named, key: new}) if isinstance(key, str) else ((new, *given[1:]), named)

    return before


def _at_output(act: Act, name: str) -> Callable[..., Any]:
    """A hook after a module, where `act` may replace its output, or the first of several."""

    def after(_: torch.nn.Module, given: tuple[Any, ...], output: Any) -> Any:
        if isinstance(output, torch.Tensor):
            return act(output)
        if type(output) is not tuple or not isinstance(output[0], torch.Tensor):
            raise TypeError(f"{name} is a {type(output).__name__}, not a tensor or a tuple that begins with one")
        new = act(output[0])
        return None if new is None else (new, *output[1:])

    return after


def main_input(given: tuple[Any, ...], named: dict[str, Any]) -> torch.Tensor:
    """A module's main input among its arguments."""
    key = _first(given, named)
    found: torch.Tensor = named[key] if isinstance(key, str) else given[key]
    return found


def _first(given: tuple[Any, ...], named: dict[str, Any]) -> int | str:
    """The place of a module's main input among its arguments."""
    if given:
        return 0
    return next(key for key, value in named.items() if isinstance(value, torch.Tensor) and value.is_floating_point())


def weight_tap(model: torch.nn.Module, anatomy: Anatomy, where: Where, numbers: tuple[int, ...]) -> ModuleTap:
    """The tap of heads' z or of neurons: what enters the weight that reads them.

    Raises:
        ValueError: when that weight is not in a module of its own, so that nothing passes there.
    """
    kind, name, layer = where
    stack = anatomy.stack(name)
    read = entries_read(anatomy, where, numbers)
    owner = model.get_submodule(read.owner)
    if isinstance(owner, torch.jit.ScriptModule):
        raise ValueError(
            f"{read.owner} is traced or scripted by torch.jit, which runs without hooks: use the model itself"
        )
    if isinstance(model.get_submodule(read.owner.rpartition(".")[0]), torch.nn.MultiheadAttention):
        raise ValueError(
            f"torch's MultiheadAttention reads {read.parameter} itself: what it reads cannot be hooked. "
            "Selection.zero_ switches heads off in the weights"
        )
    module = _at(model, read.module)
    if module is None:
        raise ValueError(f"{read.parameter} is in no module of its own: what it reads cannot be hooked")
    block = block_of(model, stack, layer) if kind == "mlp" else None
    return ModuleTap(
        where, numbers, tuple(read.index.shape), stack.uses, text_of(where, numbers), module=module, after=read.after,
        index=read.index, axes=read.axes, block=block,
    )  # fmt: skip


def query_tap(model: torch.nn.Module, anatomy: Anatomy, stack: str, layer: int, number: int) -> ModuleTap:
    """The tap of a head's query as its weight gives it: with its bias, before norms of queries and rotation.

    Raises:
        ValueError: when no module gives it.
    """
    given = queries_given(anatomy, stack, layer, number)
    module = _at(model, given.module)
    if module is None or isinstance(model.get_submodule(given.owner.rpartition(".")[0]), torch.nn.MultiheadAttention):
        raise ValueError(f"{given.parameter} is in no module of its own: the queries that it gives cannot be hooked")
    name = f"{text_of(('z', stack, layer), (number,))}.q"
    return ModuleTap(
        ("q", stack, layer), (number,), tuple(given.index.shape), anatomy.stack(stack).uses, name, module=module,
        after=True, index=given.index, axes=given.axes,
    )  # fmt: skip


def _at(model: torch.nn.Module, path: str) -> torch.nn.Module | None:
    """The module of that name, if there is one."""
    try:
        return model.get_submodule(path)
    except AttributeError:
        return None


def block_of(model: torch.nn.Module, stack: Stack, layer: int) -> torch.nn.Module | None:
    """The module of a layer: what the names of all of its parameters have in common, up to the layer's number."""
    names = [slot.parameter.split(".") for slot in (*stack.slots, *stack.tied) if slot.layer == layer]
    for i, step in enumerate(names[0]):
        if any(len(name) <= i or name[i] != step for name in names):
            return None
        if step == str(layer):
            return model.get_submodule(".".join(names[0][: i + 1]))
    return None
