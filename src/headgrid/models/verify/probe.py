"""The scores of every layer for queries and keys that are made of a known vector, in place of the residual stream.

In a pass of the stand-in the products of some roles read the given vector at every position, and those of others, which
have no part in scores, are not computed at all. So a pass of a large model is short, and what the scores are is a
matter of the attention alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812

from headgrid.anatomy.anatomy import Anatomy
from headgrid.models.verify.passes import Passes, Program, StackLayer
from headgrid.models.verify.stand_in import VerifyError
from headgrid.models.verify.watch import LARGEST, MATMUL, PRODUCTS, Watch, tensors_in

READERS = ("W_Q", "W_K", "W_UQ", "W_QR", "W_UK", "W_KR")
"""The roles whose products are queries and keys."""

_IDLE = (
    "W_V", "W_O", "W_OG", "W_in", "W_gate", "W_out", "expert.W_in", "expert.W_gate", "expert.W_out", "shared.W_in",
    "shared.W_gate", "shared.W_out", "mixer", "W_U", "top", "W_Q.lora_B", "W_K.lora_B",
)  # fmt: skip
"""The roles whose products are in no score, but through the stream."""

_ZERO = ("b_Q", "b_K", "b_Q_pos", "b_K_pos", "b_DQ", "b_DKV", "b_KR", "q_norm.b", "k_norm.b", "sink")
"""The roles that are added to queries, keys or scores, and are in no circuit."""

_COPIES = {torch.Tensor.__getitem__, torch.index_select, torch.Tensor.float, torch.Tensor.to, torch.Tensor.contiguous}
"""What makes copies of weights: those of large experts are not made."""

FEW = 16
"""How many entries of the vectors are not 0: so many rows of a weight are multiplied."""

SMALL = 1 << 12
"""The entries of a parameter of the attention without a name that is taken as it is, and not at random."""

FAR = 1 << 15
"""By how much positions are moved: beyond what models that attend by position take for the beginning of a text."""


class Probe(Passes):
    """Asks the stand-in of a model for scores. Nothing is asked of the model itself, which is not touched.

    Attributes:
        vectors: what the products read, by its size.
        reads: parameter -> the sizes of what is read through it.
        idle: the parameters whose products are not computed.
    """

    def __init__(self, model: torch.nn.Module, anatomy: Anatomy) -> None:
        super().__init__(model, anatomy)
        self.vectors: dict[int, torch.Tensor] = {}
        self.reads: dict[str, set[int]] = {}
        self.idle = set[str]()
        generator = torch.Generator().manual_seed(0)
        for name, parameter in self.parameters.items():
            slots = anatomy.slots_of.get(name, ())
            for slot in slots:
                if slot.role in READERS:
                    size = slot.canonical_shape[-2]
                    self.reads.setdefault(name, set()).add(size)
                    if size not in self.vectors:
                        vector = torch.randn(size, generator=generator) * max(1.0, size / FEW) ** 0.5
                        vector[FEW:] = 0
                        self.vectors[size] = vector.to(parameter.device)
                if slot.role in _ZERO:
                    parameter.data = torch.zeros_like(parameter)
                elif slot.role == "attn.other" and parameter.numel() <= SMALL:  # a scale that is learned, say
                    own = model.get_parameter(name)
                    if not own.is_meta:
                        parameter.data = own.detach().to(parameter)
            if slots and all(slot.role in _IDLE for slot in slots):
                self.idle.add(name)

    def scores(self, length: float, *, far: bool = False) -> dict[StackLayer, torch.Tensor]:
        """The input of softmax in each layer that attends, float64 `[heads, queries, keys]`.

        Args:
            length: what the vectors are multiplied by.
            far: whether every position is `FAR` further on.

        Raises:
            VerifyError: when the model cannot be run, or not so far on.
        """
        found = self._scores(self.main, length, far)
        for stack in self.anatomy.stacks:
            names = {slot.parameter for slot in stack.slots if slot.role == "W_O"}
            if names and not any(place[0] == stack.name for place in found):
                program = self._alone(names)
                found |= {} if program is None else self._scores(program, length, far)
        return found

    def _scores(self, program: Program, length: float, far: bool) -> dict[StackLayer, torch.Tensor]:
        device = next(iter(self.parameters.values())).device
        given = {name: value.to(device) for name, value in program.inputs.items()}
        if far and "position_ids" in inspect.signature(program.module.forward).parameters:
            size = given["input_ids"].shape[1] if "input_ids" in given else self.n_tokens
            given["position_ids"] = torch.arange(FAR, FAR + size, device=device)[None]
        watch = _Fed(self.parameters, [*given.values()], [None], self.tables, probe=self, length=length, far=far)
        try:
            with torch.enable_grad(), watch:
                program.module(**given)
        except Exception as fault:
            name = type(program.module).__name__
            raise VerifyError(f"{name} could not be run: {type(fault).__name__}: {fault}") from fault
        found: dict[StackLayer, torch.Tensor] = {}
        for number, site in enumerate(watch.sites):
            place = self._place(watch, number)
            if place is not None and place not in found:
                found[place] = site.scores[0].detach().cpu().double()
        return found


@dataclass(eq=False)
class _Fed(Watch):
    """A watch under which queries and keys are made of the probe's vectors.

    Attributes:
        probe: what to feed, and which products to leave out.
        length, far: as in `Probe.scores`.
    """

    probe: Probe = field(kw_only=True)
    length: float = 1.0
    far: bool = False
    _vectors: set[int] = field(default_factory=set)

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = list(tensors_in((*args, *kwargs.values())))
        if function is torch.arange and self.far:
            counted = function(*args, **kwargs)
            return counted + FAR if len(counted) == self.probe.n_tokens else counted
        if function in LARGEST and len(given) == 1 and given[0].ndim > 2 and self._is_live(given[0]):
            # what some take off all scores before a softmax: left on
            given[0] = torch.zeros_like(given[0])
            args, kwargs = (given[0], *args[1:]), {name: v for name, v in kwargs.items() if name != "input"}
        names = set[str]().union(*(self._made_of.get(id(tensor), ()) for tensor in given))
        if names and names <= self.probe.idle and function in (PRODUCTS | _COPIES):
            return self._nothing(function, args, kwargs, names)
        if names and function in PRODUCTS:
            sizes = set[int]().union(*(self.probe.reads.get(name, ()) for name in names))
            if sizes:
                args = tuple(self._fed(one, sizes) for one in args)
                kwargs = {name: self._fed(one, sizes) for name, one in kwargs.items()}
                args = self._few(function, args)
        return super().__torch_function__(function, types, args, kwargs)

    def _fed(self, value: Any, sizes: set[int]) -> Any:
        if isinstance(value, (list, tuple)):
            return type(value)(self._fed(one, sizes) for one in value)
        if not isinstance(value, torch.Tensor) or not value.ndim or value.shape[-1] not in sizes:
            return value
        if not self._is_live(value):
            return value
        fed = (self.length * self.probe.vectors[value.shape[-1]]).to(value).expand_as(value)
        self._live.add(id(fed))
        self._vectors.add(id(fed))
        self._held.append(fed)
        return fed

    def _few(self, function: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments of a product without the entries of a vector that are 0, where it is one of a known kind."""
        at = 1 if function is torch.addmm and len(args) == 3 else 0
        if function is not F.linear and not (function in MATMUL and len(args) == 2) and not at:
            return args
        if len(args) < at + 2 or id(args[at]) not in self._vectors or args[at + 1].ndim != 2:
            return args
        weight = args[at + 1]
        few = weight[:, :FEW] if function is F.linear else weight[:FEW]
        self._made_of[id(few)] = self._made_of.get(id(weight), frozenset())
        read = args[at][..., :FEW]
        self._live.add(id(read))
        self._held += [few, read]
        return (*args[:at], read, few, *args[at + 2 :])

    def _nothing(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any], names: set[str]) -> Any:
        """Zeros of the shape that the result has, in no memory unless it is a product."""
        given = list(tensors_in((*args, *kwargs.values())))
        found = function(*map(_meta, args), **{name: _meta(one) for name, one in kwargs.items()})
        nothing = torch.zeros((), dtype=found.dtype, device=given[0].device).expand(found.shape)
        if function in PRODUCTS:
            nothing = nothing.clone()
            self._live.add(id(nothing))
        else:
            self._made_of[id(nothing)] = frozenset(names)
        self._held.append(nothing)
        return nothing


def _meta(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        if not value.ndim and not value.is_floating_point():
            return value.item()
        return torch.empty_like(value, device="meta", requires_grad=False)
    return type(value)(map(_meta, value)) if isinstance(value, (list, tuple)) else value
