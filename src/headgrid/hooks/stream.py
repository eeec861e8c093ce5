"""Taps on the residual stream: what enters and leaves a layer, and what its blocks add.

What a block adds is the output of the module that writes it, through the norm that stands after the block alone
(Gemma-2, OLMo-2) and times the layer's factor (Granite). The stream between the blocks is what the norm before the MLP
reads, or what the norm after attention leaves where that acts on the stream (BERT).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy, Slot, Stack
from headgrid.anatomy.roles import ROLES
from headgrid.hooks.taps import Act, ModuleTap, Tap, block_of, main_input, weight_tap
from headgrid.models.scaling import residual_multiplier
from headgrid.selection.activations import Where
from headgrid.selection.entries import BRIDGED
from headgrid.selection.points import text_of
from headgrid.torch_state import shielded

_MLP = ("neuron", "expert", "mlp rest")


def stream_tap(model: torch.nn.Module, anatomy: Anatomy, where: Where) -> Tap:
    """The tap of a point of a layer.

    Raises:
        ValueError: when the layer has no such point, or no module of its own.
    """
    kind, name, layer = where
    stack = anatomy.stack(name)
    block = block_of(model, stack, layer)
    if block is None:
        raise ValueError(f"layer {layer} of the stack {name!r} is no module of its own")
    if kind in ("in", "out"):
        return _tap(where, block, stack.uses, after=kind == "out")
    if kind == "attn out":
        return _written(model, anatomy, stack, where, "W_O", "ln1_post.w", _attention_missing(anatomy, stack, layer))
    if kind == "mlp out":
        return _written(model, anatomy, stack, where, "W_out", "ln2_post.w", f"{anatomy.name} has no MLP there")
    return _between(model, anatomy, stack, where, block)


def _between(model: torch.nn.Module, anatomy: Anatomy, stack: Stack, where: Where, block: torch.nn.Module) -> Tap:
    """The stream between attention and MLP."""
    layer = where[2]
    after, before = _owner(model, stack, "ln1_post.w", layer), _owner(model, stack, "ln2.w", layer)
    if after is not None and norms_on_stream(stack):
        return _tap(where, after, stack.uses, after=True)
    if before is not None:
        return _tap(where, before, stack.uses, unless=block)
    if after is not None and (mlp := _around(model, stack, layer, _MLP)) is not None:
        return _tap(where, mlp, stack.uses, unless=block)
    if after is None and not any(role in ("ln1.w", "ln2.w") for role, _ in stack.places):
        added = stream_tap(model, anatomy, ("attn out", stack.name, layer))  # the norms have no parameters to go by
        assert isinstance(added, ModuleTap)
        return SumTap(where, (), (None,), stack.uses, added.name.replace("attn out", "mid"), added=added, block=block)
    if stack.name == "cross":
        raise ValueError(f"there is no {text_of(where, ())}: an MLP is the decoder's, so decoder l{layer} mid is")
    raise ValueError(
        f"there is no {text_of(where, ())}: attention and MLP of this layer both read its input, so that nothing "
        "stands between them. What they add is attn out and mlp out"
    )


def _written(
    model: torch.nn.Module, anatomy: Anatomy, stack: Stack, where: Where, role: str, norm: str, missing: str
) -> ModuleTap:
    """What a block adds to the stream."""
    layer = where[2]
    module = None if norms_on_stream(stack) else _owner(model, stack, norm, layer)
    if module is None and (role, layer) in stack.places:
        slots = stack.places[role, layer]
        path = slots[0].parameter.rpartition(".")[0].removesuffix(".base_layer")
        module = model.get_submodule(path)
        if path.endswith(BRIDGED):
            outer = model.get_submodule(path.removesuffix(BRIDGED))
            module = getattr(outer, "hook_out", outer)
        if len({slot.parameter for slot in slots}) > 1:
            module = None  # one for each expert
    if module is None and role == "W_out":
        module = _around(model, stack, layer, _MLP)
    if module is None:
        raise ValueError(f"there is no {text_of(where, ())}: {missing}")
    factor = residual_multiplier(model, stack, layer)
    block = block_of(model, stack, layer) if role == "W_out" else None
    return _tap(where, module, stack.uses, after=True, factor=factor, block=block)


def _tap(where: Where, module: torch.nn.Module, uses: int, **more: Any) -> ModuleTap:
    return ModuleTap(where, (), (None,), uses, text_of(where, ()), module=module, **more)


def _attention_missing(anatomy: Anatomy, stack: Stack, layer: int) -> str:
    what = "mixes positions without heads" if ("mixer", layer) in stack.places else "has no attention"
    return f"layer {layer} of {anatomy.name} {what}"


def norms_on_stream(stack: Stack) -> bool:
    """Whether the norms after the blocks act on the stream, the block's input included, as BERT's do.

    Those of a stack with norms before its blocks as well (Gemma-2), and RMSNorms (OLMo-2), act on what a block adds.
    """
    roles = {role for role, _ in stack.places}
    return "ln1.w" not in roles and "ln1_post.b" in roles


def _owner(model: torch.nn.Module, stack: Stack, role: str, layer: int) -> torch.nn.Module | None:
    """The module that holds a weight."""
    slots = stack.places.get((role, layer))
    if not slots:
        return None
    path = slots[0].parameter.rpartition(".")[0]
    return model.get_submodule(path.removesuffix(BRIDGED))


def _around(model: torch.nn.Module, stack: Stack, layer: int, owners: tuple[str, ...]) -> torch.nn.Module | None:
    """The smallest module around all weights of these owners in a layer, if that is less than the layer."""
    path = around(stack, layer, owners)
    module = model.get_submodule(path) if path else None
    return None if module is block_of(model, stack, layer) else module


def around(stack: Stack, layer: int, owners: tuple[str, ...]) -> str:
    """The path of the smallest module around all weights of these owners in a layer; "" where there are none."""
    names = [
        slot.parameter.rpartition(".")[0].split(".")
        for (role, at), slots in stack.places.items()
        for slot in slots
        if at == layer and ROLES[role].owner in owners
    ]
    if not names:
        return ""
    shared = 0
    while all(len(name) > shared and name[shared] == names[0][shared] for name in names):
        shared += 1
    return ".".join(names[0][:shared]).removesuffix(BRIDGED)


@dataclass(eq=False)
class SumTap(Tap):
    """The stream after attention, where no module reads it: the layer's input and what attention adds to it.

    Attributes:
        added: what attention adds.
        block: the layer's module.
    """

    added: ModuleTap = field(kw_only=True)
    block: torch.nn.Module = field(kw_only=True)
    _input: torch.Tensor | None = field(default=None, init=False)

    def attach(self, act: Act, only_reads: bool = False) -> Iterator[Any]:
        """Hook `act` to the sum; what attention adds is then changed so that the sum is what `act` returns."""

        def hold(_: torch.nn.Module, given: tuple[Any, ...], named: dict[str, Any]) -> None:
            self._input = main_input(given, named)

        def through(added: torch.Tensor) -> torch.Tensor | None:
            assert self._input is not None
            new = act(self._input + added)
            return None if new is None else new - self._input

        yield self.block.register_forward_pre_hook(hold, with_kwargs=True)
        yield from self.added.attach(through)


@dataclass(eq=False)
class ResultTap(Tap):
    """What single heads write into the stream, z W_O, before a norm that stands after the block.

    Attributes:
        z: their z.
        module: the module that multiplies with W_O.
        output: the module whose output is the sum of what all heads write, and a bias.
        slots: where W_O is, of a module that does nothing else; none where an adapter or a quantizer acts on it, whose
            product the module itself is asked for.
    """

    z: ModuleTap = field(kw_only=True)
    module: torch.nn.Module = field(kw_only=True)
    output: torch.nn.Module = field(kw_only=True)
    slots: tuple[tuple[Slot, torch.nn.Parameter], ...] = ()
    _changed: torch.Tensor | None = field(default=None, init=False)

    def attach(self, act: Act, only_reads: bool = False) -> Iterator[Any]:
        """Hook `act` to what the heads write; the sum is changed by as much as it changes them."""

        def through(x: torch.Tensor) -> None:
            with torch.no_grad() if only_reads else nullcontext():
                written = self._written(x)
            new = act(written)
            self._changed = None if new is None else (new.to(written) - written).sum(-2)

        def add(added: torch.Tensor) -> torch.Tensor | None:
            changed, self._changed = self._changed, None
            return None if changed is None else added + changed.reshape(added.shape)

        whole = ModuleTap(self.z.where, name=self.z.name, module=self.z.module, after=self.z.after)
        yield from whole.attach(through)
        yield from ModuleTap(self.where, name=self.name, module=self.output, after=True).attach(add)

    def _written(self, x: torch.Tensor) -> torch.Tensor:
        """Each head's own product with W_O, `[batch, pos, n, d_model]`."""
        z = self.z.read(x)
        if self.slots:
            return _products(z, torch.cat([slot.of(weight) for slot, weight in self.slots])[list(self.numbers)])
        nothing = torch.zeros_like(x)
        base = self.module.forward(nothing[(slice(0, 1),) * (x.ndim - 1)])
        found = []
        for i in range(len(self.numbers)):
            alone = torch.zeros_like(z)
            alone[..., i, :] = z[..., i, :]
            found.append(self.module.forward(self.z.write(nothing, alone)) - base)
        return torch.stack(found, -2)


@shielded(gradients=True)
def _products(z: torch.Tensor, W_O: torch.Tensor) -> torch.Tensor:
    """Each head's product, in the precision of its z under autocast too."""
    return torch.einsum("...nh,nhm->...nm", z, W_O.to(z))


_PLAIN = ("Linear", "Conv1D")
"""Types of modules that multiply with their weight and add a bias."""


def result_tap(model: torch.nn.Module, anatomy: Anatomy, where: Where, numbers: tuple[int, ...]) -> ResultTap:
    """The tap of what heads write.

    Raises:
        ValueError: when nothing passes where W_O is read.
    """
    stack = anatomy.stack(where[1])
    z = weight_tap(model, anatomy, ("z", *where[1:]), numbers)
    slots = sorted(stack.places["W_O", where[2]], key=lambda slot: slot.first)
    path, _, leaf = slots[0].parameter.rpartition(".")
    module = model.get_submodule(path)
    adapted = path.endswith(".base_layer")
    whole = leaf != "weight" or (type(module).__name__ in _PLAIN and not module.weight.is_meta and not adapted)
    output = _written(model, anatomy, stack, ("attn out", *where[1:]), "W_O", "", "")
    return ResultTap(
        where, numbers, (len(numbers), stack.d_model), stack.uses, text_of(where, numbers), z=z,
        module=output.module if adapted else module, output=output.module,
        slots=tuple((slot, model.get_parameter(slot.parameter)) for slot in slots) if whole else (),
    )  # fmt: skip


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
    return [tap for layer, module in sorted(found.items()) for tap in _ends(module, layer)]


def _ends(module: torch.nn.Module, layer: int) -> list[Tap]:
    return [_tap(("in", "", layer), module, 1), _tap(("out", "", layer), module, 1, after=True)]


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
