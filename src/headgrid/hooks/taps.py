"""Taps: where activations pass in a model's modules, found through the slots of the weights that read them.

A head's `z` is what enters the module that owns `W_O`, a neuron's activation what enters the module that owns `W_out`.
Which entries of that input are head 3 is read off the slot: it is along them that the stored weight has head 3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.anatomy.slots import Slot, stored_axes
from headgrid.selection.activations import READ_BY, Where
from headgrid.selection.selection import Selection
from headgrid.torch_state import shielded

Act = Callable[[torch.Tensor], torch.Tensor | None]
"""A function of an activation; its result takes the activation's place."""

_POINTS = {"z": "hook_z", "mlp": "hook_post"}
"""Where the weight is a parameter of the whole block (HookedTransformer), the module that its input passes through."""

_BRIDGED = "._original_component"
"""The name of the module that a TransformerLens bridge wraps. In compatibility mode some read its weight themselves,
and always after what they read has passed their `hook_in`."""


@dataclass(eq=False)
class Tap:
    """A place in the forward pass where an activation can be read and replaced.

    Attributes:
        where: what passes here, the stack and the layer.
        module: the module whose input it is, or whose output.
        after: whether it is the output.
        index: the entries of its last axis that are wanted: `[n, d_head]` for heads, `[n]` for neurons; None for all.
        numbers: the numbers of these heads or neurons.
        axes: how many last axes of the activation the index counts over.
        uses: how often a forward pass comes here.
        block: the layer's module, which sees batch and positions as two axes where an MLP flattens them.
    """

    where: Where
    module: torch.nn.Module
    after: bool = False
    index: torch.Tensor | None = None
    numbers: tuple[int, ...] = ()
    axes: int = 1
    uses: int = 1
    block: torch.nn.Module | None = None
    _lead: tuple[int, ...] = field(default=(), init=False)
    _on: dict[torch.device, torch.Tensor] = field(default_factory=dict, init=False)

    @property
    def name(self) -> str:
        """Its text in the language of selections: `l1h[0,2]`, `l0 mlp`, `encoder l3 out`."""
        kind, stack, layer = self.where
        place = f"{stack} l{layer}".lstrip()
        numbers = self.numbers[0] if len(self.numbers) == 1 else f"[{','.join(map(str, self.numbers))}]"
        return f"{place}h{numbers}" if kind == "z" else f"{place} {kind}"

    @property
    def own(self) -> int:
        """How many axes one position's activations have: `[n, d_head]`, `[n]`, or those of a hidden state."""
        return 1 if self.index is None else self.index.ndim

    def read(self, x: torch.Tensor) -> torch.Tensor:
        """The wanted entries, shape `[batch, pos, *index]`: a copy, or `x` itself where all are."""
        if self.index is None:
            return x
        if self.axes > 1:
            x = x.flatten(-self.axes)
        if x.ndim == 2 and len(self._lead) == 2 and x.shape[0] == prod(self._lead):
            x = x.reshape(*self._lead, -1)
        return x[..., self._index(x.device)]

    def write(self, x: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
        """A copy of `x` with other wanted entries; what was `read`, written, is `x`."""
        if self.index is None:
            return values
        values = values.to(x).reshape(*x.shape[: x.ndim - self.axes], -1)
        flat = x.flatten(-self.axes) if self.axes > 1 else x
        return flat.index_copy(-1, self._index(x.device).flatten(), values).reshape(x.shape)

    def _index(self, device: torch.device) -> torch.Tensor:
        if device not in self._on:
            assert self.index is not None
            self._on[device] = self.index.to(device)
        return self._on[device]

    def attach(self, act: Act) -> Iterator[Any]:
        """Hook `act` to the activation, as it is in the module; what it returns replaces it. The handles, to remove."""
        if self.block is not None:
            yield self.block.register_forward_pre_hook(self._see, with_kwargs=True)

        def before(_: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> Any:
            key = _first(given, named)
            new = act(named[key] if isinstance(key, str) else given[key])
            if new is None:
                return None
            return (given, {**named, key: new}) if isinstance(key, str) else ((new, *given[1:]), named)

        def after(_: torch.nn.Module, given: tuple[Any, ...], output: Any) -> Any:
            if isinstance(output, torch.Tensor):
                return act(output)
            if type(output) is not tuple or not isinstance(output[0], torch.Tensor):
                raise TypeError(
                    f"{self.name} is a {type(output).__name__}, not a tensor or a tuple that begins with one"
                )
            new = act(output[0])
            return None if new is None else (new, *output[1:])

        if self.after:
            yield self.module.register_forward_hook(after)
        else:
            yield self.module.register_forward_pre_hook(before, with_kwargs=True)

    def _see(self, _: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        key = _first(given, named)
        self._lead = tuple((named[key] if isinstance(key, str) else given[key]).shape[:-1])


def _first(given: tuple[Any, ...], named: dict[str, Any]) -> int | str:
    """The place of a module's main input among its arguments."""
    if given:
        return 0
    return next(key for key, value in named.items() if isinstance(value, torch.Tensor) and value.is_floating_point())


@shielded()
def taps(model: torch.nn.Module, anatomy: Anatomy, wanted: dict[Where, tuple[int, ...]]) -> list[Tap]:
    """The taps of these activations.

    Raises:
        ValueError: when a weight that reads one is not in a module of its own, so that nothing passes there.
    """
    return [_tap(model, anatomy, where, numbers) for where, numbers in wanted.items()]


def _tap(model: torch.nn.Module, anatomy: Anatomy, where: Where, numbers: tuple[int, ...]) -> Tap:
    kind, name, layer = where
    stack = anatomy.stack(name)
    slots = stack.places[READ_BY[kind], layer]
    path, _, leaf = slots[0].parameter.rpartition(".")
    path = path.removesuffix(".base_layer")  # what an adapter adds reads the same: both are within the outer module
    module, after = model.get_submodule(path), False
    outer = model.get_submodule(path.rpartition(".")[0])
    if isinstance(module, torch.jit.ScriptModule):
        raise ValueError(f"{path} is traced or scripted by torch.jit, which runs without hooks: use the model itself")
    if isinstance(outer, torch.nn.MultiheadAttention):
        raise ValueError(
            f"torch's MultiheadAttention reads {slots[0].parameter} itself: what it reads cannot be hooked. "
            "Selection.zero_ switches heads off in the weights"
        )
    if path.endswith(_BRIDGED) and isinstance(point := getattr(outer, "hook_in", None), torch.nn.Module):
        module, after = point, True
    if leaf != "weight":
        point = getattr(module, _POINTS[kind], None)
        if not isinstance(point, torch.nn.Module):
            raise ValueError(f"{slots[0].parameter} is in no module of its own: what it reads cannot be hooked")
        module, after = point, True
    if len({slot.parameter for slot in slots}) > 1:
        raise ValueError(f"{slots[0].role} of layer {layer} is in several modules, and no one tensor enters them")
    entries = torch.cat([_entries(slot) for slot in slots])
    order = [slot.first + i for slot in slots for i in range(slot.n_parts)]
    axes = sum(bool(axis.letters - {"m"}) for axis in stored_axes(slots[0].axes))
    index = entries[[order.index(number) for number in numbers]]
    block = _block(model, stack, layer) if kind == "mlp" else None
    return Tap(where, module, after, index, numbers, axes, stack.uses, block)


def _entries(slot: Slot) -> torch.Tensor:
    """The entries of what a weight reads that each part of it reads, shape `[n, d_head]` or `[f]`."""
    reads = [bool(axis.letters - {"m"}) for axis in stored_axes(slot.axes)]
    inputs = [size for size, read in zip(slot.shape, reads, strict=True) if read]
    shape = [size if read else 1 for size, read in zip(slot.shape, reads, strict=True)]
    return slot.of(torch.arange(prod(inputs), device="cpu").reshape(shape).expand(slot.shape))[..., 0]


def layer_taps(model: torch.nn.Module, anatomy: Anatomy, selection: Selection) -> list[Tap]:
    """The inputs and outputs of every layer that a selection has a part of.

    Raises:
        ValueError: when it has parts outside of layers, or a layer is no module of its own.
    """
    found: list[Tap] = []
    for stack in anatomy.stacks:
        keys = set(stack.exists) & set(selection.parts)
        if outside := {key for key in keys if all(slot.layer is None for slot in stack.slots if slot.key == key)}:
            part = Selection(anatomy, {key: selection.parts[key] for key in outside})
            raise ValueError(f"{part} is in no layer; select layers, such as l0-{max(0, anatomy.n_layers - 1)}")
        for layer in range(stack.n_layers):
            if any(selection.parts[key][layer].any() for key in keys):
                module = _block(model, stack, layer)
                if module is None:
                    raise ValueError(f"layer {layer} of the stack {stack.name!r} is no module of its own")
                found += _ends(module, stack.name, layer, stack.uses)
    return found


def _ends(module: torch.nn.Module, stack: str, layer: int, uses: int) -> list[Tap]:
    return [Tap(("in", stack, layer), module, uses=uses), Tap(("out", stack, layer), module, after=True, uses=uses)]


def _block(model: torch.nn.Module, stack: Stack, layer: int) -> torch.nn.Module | None:
    """The module of a layer: what the names of all of its parameters have in common, up to the layer's number."""
    names = [slot.parameter.split(".") for slot in (*stack.slots, *stack.tied) if slot.layer == layer]
    for i, step in enumerate(names[0]):
        if any(len(name) <= i or name[i] != step for name in names):
            return None
        if step == str(layer):
            return model.get_submodule(".".join(names[0][: i + 1]))
    return None


# ---- layers by name


def matched(model: torch.nn.Module, template: str) -> list[Tap]:
    """The inputs and outputs of the modules that a template such as `backbone.layers.{num}` names.

    Raises:
        ValueError: when the template has not one `{num}`, or names nothing; it says which templates would.
    """
    if template.count("{num}") != 1:
        raise ValueError(f"a template has one {{num}} where the layer's number stands, unlike {template!r}")
    pattern = re.compile(re.escape(template).replace(re.escape("{num}"), r"(\d+)"))
    found = {int(hit[1]): module for name, module in model.named_modules() if (hit := pattern.fullmatch(name))}
    if not found:
        known = ", ".join(repr(one) for one in templates(model)) or "none that look like layers"
        raise ValueError(f"no module is called {template!r}. {type(model).__name__} has {known}")
    return [tap for layer, module in sorted(found.items()) for tap in _ends(module, "", layer, 1)]


def templates(model: torch.nn.Module) -> list[str]:
    """The templates that may be a model's layers: numbered modules of one type, those with most parameters first."""
    found: list[tuple[int, str]] = []
    for name, module in model.named_modules():
        children = dict(module.named_children())
        kinds = [type(child) for child in children.values()]
        most = max(map(kinds.count, kinds), default=0)
        inside = any(name.startswith(one.removesuffix("{num}")) for _, one in found)  # experts of a layer, say
        if most > 1 and all(child.isdigit() for child in children) and not inside:
            size = sum(parameter.numel() for parameter in module.parameters())
            found.append((-size, f"{name}.{{num}}" if name else "{num}"))
    return [template for _, template in sorted(found)]
