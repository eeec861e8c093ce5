"""The residual stream of a run: what is added to it, by which norms it is read, and that both are as they seem.

An edge out of a head is what its result comes to at a later reader if nothing in between changes. That is defined where
the stream is a sum: of what it begins with, and of what every attention and MLP adds. So this is looked at, in the run
itself, before any edge is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Literal

import torch

from headgrid.anatomy.anatomy import Stack
from headgrid.circuits.norms import Norms, wide
from headgrid.experiments.copies import CopiedBatch
from headgrid.experiments.frozen_norms import FrozenNorm, owner_of
from headgrid.experiments.runs import Runs
from headgrid.hooks.found import tapped
from headgrid.hooks.stream import around
from headgrid.hooks.taps import ModuleTap, Tap, block_of
from headgrid.models.scaling import residual_multiplier
from headgrid.selection.activations import Where
from headgrid.selection.entries import BRIDGED
from headgrid.weights import Weights

StreamReader = Literal["attn", "mlp", "unembed"]
"""What reads the stream."""


class DirectStream:
    """The residual stream of a model's stack, as far as edges need it.

    Args:
        runs: the model and the task.
        stack: the stack.

    Raises:
        ValueError: when there are no direct edges in it, and why.
    """

    def __init__(self, runs: Runs, stack: Stack) -> None:
        self.runs, self.stack = runs, stack
        self.weights = Weights(runs.model, stack=stack.name)
        self.norms = Norms(self.weights)
        name = runs.anatomy.name
        if any(one.name == "cross" for one in runs.anatomy.stacks):
            raise ValueError(
                f"{name} has an encoder and a decoder, whose cross-attention is one more source and reader: edges of "
                "it are not defined here"
            )
        if stack.uses > 1:
            raise ValueError(f"{name} runs each of its layers {stack.uses} times: an edge between two of them is many")
        if self.norms.on_stream:
            raise ValueError(
                f"there is no direct edge in {name}: the norms after its blocks act on the residual stream itself, so "
                "that what a head writes reaches a later layer only through them"
            )
        self.heads = self._layers("W_O")
        self.mlps = [layer for layer in range(stack.n_layers) if self._has("mlp out", layer)]

    def _layers(self, role: str) -> list[int]:
        return [layer for layer in range(self.stack.n_layers) if (role, layer) in self.stack.places]

    def _has(self, kind: Literal["mlp out"], layer: int) -> bool:
        try:
            return bool(tapped(self.runs.model, self.runs.anatomy, {(kind, self.stack.name, layer): ()}))
        except ValueError:  # the layer has none
            return False

    # ---- what is recorded

    def seen(self, batch: CopiedBatch, taps: Sequence[Tap]) -> list[torch.Tensor]:
        """What passes at these taps in a run."""
        kept: list[list[torch.Tensor]] = [[] for _ in taps]
        batch.output(1, [(tap, partial(_keep, found)) for tap, found in zip(taps, kept, strict=True)], 0)
        return [found[-1] for found in kept]

    def points(self, wanted: Sequence[Where]) -> list[Tap]:
        """The taps of points of layers, in this order."""
        return [tap for where in wanted for tap in tapped(self.runs.model, self.runs.anatomy, {where: ()})]

    def readers(self, reader: StreamReader, layer: int) -> list[ModuleTap]:
        """The inputs of the modules that read the stream, through a norm where there is one.

        Raises:
            ValueError: when no module of its own reads it.
        """
        stack, model = self.stack, self.runs.model
        block = None if reader == "unembed" else block_of(model, stack, layer)
        if reader == "unembed":
            paths = [slot.parameter.rpartition(".")[0] for slot in stack.places.get(("W_U", None), ())]
        else:
            owners = ("q", "k", "v", "o") if reader == "attn" else ("neuron", "expert", "mlp rest")
            paths = [around(stack, layer, owners)]
            if reader == "mlp" and model.get_submodule(paths[0]) is block:
                roles = [role for role in ("W_in", "W_gate") if (role, layer) in stack.places]
                paths = [stack.places[role, layer][0].parameter.rpartition(".")[0] for role in roles]
        modules = [model.get_submodule(path.removesuffix(BRIDGED)) for path in dict.fromkeys(paths) if path]
        if not modules or any(module is block for module in modules):
            what = "unembedding" if reader == "unembed" else f"{reader} of layer {layer}"
            raise ValueError(
                f"the {what} of {self.runs.anatomy.name} is no module of its own: what it reads has no tap"
            )
        at: Where = ("in", stack.name, min(layer, stack.n_layers - 1))
        name = f"{stack.name} l{layer} {reader} input".lstrip()
        return [ModuleTap(at, name=name, module=module) for module in modules]

    # ---- norms

    def norms_after(self, layers: Sequence[int], batch: CopiedBatch) -> dict[int, FrozenNorm]:
        """What becomes of heads' results before they are added to the stream: the norm after attention, and a factor.

        Raises:
            ValueError: when a norm does not do in the run what it is taken to do.
        """
        posts = [layer for layer in layers if self.norms.after(layer, "attn") is not None]
        taps: list[Tap] = [
            ModuleTap(("in", self.stack.name, layer), name=f"ln1_post of layer {layer}", module=module, after=after)
            for layer in posts
            for module in [owner_of(self.runs.model, self.stack, "ln1_post.w", layer)]
            for after in (False, True)
        ]
        seen = self.seen(batch, taps) if taps else []
        found = {}
        for layer in layers:
            one = FrozenNorm.none(torch.ones(1), torch.ones(1))
            if layer in posts:
                at = 2 * posts.index(layer)
                one = FrozenNorm.closest(seen[at], seen[at + 1], *self._weight_and_bias("ln1_post", layer))
                self.refuse_unlike(one, f"the norm after attention in layer {layer}")
            factor = residual_multiplier(self.runs.model, self.stack, layer)
            found[layer] = replace(one, inverse=one.inverse * factor)
        return found

    def refuse_unlike(self, norm: FrozenNorm, what: str) -> None:
        """
        Raises:
            ValueError: when a norm does not do in the run what it is taken to do.
        """
        if not norm.error <= self.tolerance:
            raise ValueError(
                f"{what} of {self.runs.anatomy.name} is not LayerNorm or RMSNorm of the stream ({norm.error:.2g} off), "
                "so that it cannot be frozen"
            )

    def norm_before(self, reader: StreamReader, layer: int, before: torch.Tensor, after: torch.Tensor) -> FrozenNorm:
        """The norm between the stream and what reads it, as it stood where it read `before` and gave `after`."""
        norm = self.norms.final() if reader == "unembed" else self.norms.before(layer, reader)
        if not norm.name and not norm.centered:
            return FrozenNorm.none(before, after)
        at = None if reader == "unembed" else layer
        return FrozenNorm.closest(before, after, *self._weight_and_bias(norm.name, at))

    def norm_module(self, reader: StreamReader, layer: int) -> torch.nn.Module | None:
        """The module of the norm before a reader; None where there is no norm.

        Raises:
            ValueError: when it has no weights to find it by.
        """
        norm = self.norms.final() if reader == "unembed" else self.norms.before(layer, reader)
        at = None if reader == "unembed" else layer
        if not norm.name:
            return None
        if (f"{norm.name}.w", at) not in self.stack.places:
            raise ValueError(f"{norm.name} of {self.runs.anatomy.name} has no weights, so its module is not known")
        return owner_of(self.runs.model, self.stack, f"{norm.name}.w", at)

    def _weight_and_bias(self, name: str, layer: int | None) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        return self._read(f"{name}.w", layer), self._read(f"{name}.b", layer)

    def _read(self, role: str, layer: int | None) -> torch.Tensor | None:
        return self.weights.read(role, layer) if (role, layer) in self.stack.places else None

    # ---- what heads write

    def result(self, layer: int, head: int, z: torch.Tensor) -> torch.Tensor:
        """What a head writes of a z `[rows, pos, d_head]`, `[rows, pos, d_model]`."""
        return wide(z) @ wide(self.weights.read("W_O", layer)[head]).to(z.device)

    # ---- that it is so

    def check(self, batch: CopiedBatch) -> None:
        """Look, in a run, whether the stream is what edges need it to be.

        Raises:
            ValueError: when it is not the sum of what is added to it, or attention writes more than z W_O of its heads.
        """
        name = self.stack.name
        points: list[Where] = []
        for layer in sorted({*self.heads} & {*self.mlps}):  # layers that mix positions without heads are as they are
            kinds: tuple[Literal["in", "out", "attn out", "mlp out"], ...] = ("in", "attn out", "mlp out", "out")
            points += [(kind, name, layer) for kind in kinds]
        written = [tap for layer in self.heads for tap in self._written(layer)]
        seen = self.seen(batch, [*self.points(points), *written])
        for at in range(0, len(points), 4):
            *added, end = seen[at : at + 4]
            self._refuse_more(sum(map(wide, added), torch.zeros(())), end, f"what layer {points[at][2]} gives is not "
                              "the sum of what it reads and what its attention and MLP add")  # fmt: skip
        for i, layer in enumerate(self.heads):
            z, gave = seen[len(points) + 2 * i : len(points) + 2 * i + 2]
            every = [self.result(layer, head, z[..., at, :]) for at, head in enumerate(self.numbers(layer))]
            bias = self._read("b_O", layer)
            self._refuse_more(sum(every, torch.zeros(()) if bias is None else wide(bias)), gave, "what the attention "
                              f"of layer {layer} writes is not z W_O of its heads; merge adapters first")  # fmt: skip

    def numbers(self, layer: int) -> tuple[int, ...]:
        """The heads of a layer."""
        key = f"{self.stack.name}:W_O" if self.stack.name else "W_O"
        return tuple(self.stack.exists[key][layer].nonzero()[0].tolist())

    def _written(self, layer: int) -> list[Tap]:
        """The taps of z of all heads, and of what W_O makes of it."""
        where: Where = ("z", self.stack.name, layer)
        (z,) = tapped(self.runs.model, self.runs.anatomy, {where: self.numbers(layer)})
        path = self.stack.places["W_O", layer][0].parameter.rpartition(".")[0]
        module = self.runs.model.get_submodule(path.removesuffix(".base_layer").removesuffix(BRIDGED))
        return [z, ModuleTap(where, name=f"W_O of layer {layer}", module=module, after=True)]

    def _refuse_more(self, found: torch.Tensor, there: torch.Tensor, fault: str) -> None:
        there = wide(there)
        off = float((found - there).norm() / there.norm().clamp(min=torch.finfo(there.dtype).tiny))
        if not off <= self.tolerance:
            raise ValueError(f"there is no direct edge in {self.runs.anatomy.name}: {fault} (it is {off:.2g} off)")

    @cached_property
    def tolerance(self) -> float:
        """How far what is computed here may be from what the model has, as a part of its size."""
        dtype = next(one.dtype for one in self.runs.model.parameters() if one.is_floating_point())
        return {torch.float64: 1e-6, torch.float32: 1e-3}.get(dtype, 0.05)


def _keep(kept: list[torch.Tensor], read: torch.Tensor) -> None:
    kept.append(read.detach().clone())
