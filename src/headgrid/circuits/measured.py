"""A measurement of how attention scores are made of queries and keys, on the model's own attention.

Libraries have many ways to write it, and no list of their names is complete. So it is asked: in a copy of the model
with random weights, queries and keys are made of one vector of length c at every position. Where they are linear in
what they read, what softmax is given is

    S(c) = S0 + c A1 + c^2 A2

for every head and pair of positions. A2 is the product of queries and keys: where rotation cancels it is compared with
the scale that attributes of the attention name. S0 and A1 are added to it. Where S does not grow with c, queries and
keys are normalized; where it stops growing, they or their product are bounded. As all positions have the same vector,
what differs between positions is due to them alone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal
from weakref import WeakKeyDictionary

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.circuits.norms import Norms
from headgrid.models import scaling
from headgrid.models.verify.passes import StackLayer
from headgrid.models.verify.probe import Probe
from headgrid.models.verify.stand_in import VerifyError
from headgrid.models.weight_source import LiveWeights
from headgrid.torch_state import shielded
from headgrid.weights import Weights

__all__ = ["Measured", "measured"]

ScoreForm = Literal["product", "normalized", "half normalized", "none", "other"]
"""What attention scores are of queries and keys: see `Measured.kind`."""

LENGTHS = (0.0, 1.0, 2.0, 3.0, 1000.0)
"""Those of the vectors; the last shows whether scores are bounded."""

CLOSE = 0.02
"""Relative: less is what a soft cap, the epsilon of a norm and float32 change."""

EQUAL = 5e-3
"""Relative: of scales that are the same."""


@dataclass(frozen=True)
class Measured:
    """How one layer makes attention scores of queries and keys, as measured.

    Attributes:
        kind: what the scores are of queries and keys: their `product`; that of `normalized` ones, or with one of both
            normalized; `none` where they do not depend on them; or something `other`.
        scale: what the product is multiplied by, as a part of the scale that attributes name: 1.0 where they are
            right, None where the scores are no multiple of it.
        rotates: whether the product depends on the distance of two positions.
        absolute: whether it depends on where a position is.
        added: what is added by position: `alibi` (in proportion to the distance), `relative_positional_bias`, or "".
        bound: how large scores get at most, where they are bounded; None where they are not.
        capped: whether that is one bound on all scores, and not on queries and keys.
    """

    kind: ScoreForm
    scale: float | None
    rotates: bool
    absolute: bool
    added: str
    bound: float | None
    capped: bool

    @property
    def positions(self) -> str:
        """How positions enter, in the words of `headgrid.models.scaling.positions`."""
        return self.added or ("rotary" if self.rotates else "standard")


@dataclass(frozen=True)
class _Measurement:
    """The measurements of a model's layers, and the state of each layer's attention at that time.

    Attributes:
        states: see `_attention_state`.
        found: the layers that were seen.
        why_not: why nothing was, or "".
    """

    states: dict[StackLayer, object]
    found: dict[StackLayer, Measured]
    why_not: str


_MEASURED: WeakKeyDictionary[torch.nn.Module, _Measurement] = WeakKeyDictionary()


def measured(weights: Weights, layer: int) -> Measured | str:
    """The measurement of a layer's scores, or why nothing could be; asked once per model, of all of its layers.

    Args:
        weights: the stack.
        layer: a layer with heads.
    """
    model, anatomy, key = weights.model, weights.anatomy, (weights.stack.name, layer)
    known = _MEASURED.get(model)
    if known is not None:  # a fault in any layer keeps all of them from being measured
        looked_at = [*known.states] if known.why_not else [key]
        if any(known.states.get(one) != _attention_state(model, anatomy, *one) for one in looked_at):
            known = None
    if known is None:
        known = _MEASURED[model] = _measurement(weights)
    return known.found.get(key) or known.why_not or "its attention was not seen"


@shielded()
def _measurement(weights: Weights) -> _Measurement:
    model, anatomy = weights.model, weights.anatomy
    for slot in anatomy.slots:
        if slot.role == "attn.other":  # what the copy takes from the model
            weights.source.fill(slot.parameter)
    states = {
        (stack.name, layer): _attention_state(model, anatomy, stack.name, layer)
        for stack in anatomy.stacks
        for layer in range(stack.n_layers)
    }
    try:
        return _Measurement(states, _measure(weights), "")
    except Exception as fault:  # it runs the code of others
        said = str(fault).partition("\n")[0]
        why = said if isinstance(fault, VerifyError) else f"{type(fault).__name__}: {said}"
        return _Measurement(states, {}, why if len(why) < 200 else why[:199] + "…")


def _attention_state(model: torch.nn.Module, anatomy: Anatomy, name: str, layer: int) -> object:
    """The state of a layer's attention, on which its scores depend: its modules, their settings, learned scales."""
    stack = next(one for one in anatomy.stacks if one.name == name)
    found: list[object] = [anatomy.slots, getattr(getattr(model, "config", None), "_attn_implementation", None)]
    slots = stack.places.get(("W_Q", layer)) or stack.places.get(("W_UQ", layer)) or ()
    for slot in slots[:1]:
        parameter = model.get_parameter(slot.parameter)
        found += [parameter.dtype, parameter.device]
    for module in scaling.attention(model, stack, layer) if slots else ():
        found.append(id(module))
        found += [one for one in vars(module).items() if isinstance(one[1], bool | int | float | str)]
        found.append(id(vars(module).get("forward")))
    for slot in stack.places.get(("attn.other", layer), ()):
        parameter = model.get_parameter(slot.parameter)
        found += [parameter.data_ptr(), parameter._version if not parameter.is_inference() else -1]
    return found


def _measure(of_model: Weights) -> dict[StackLayer, Measured]:
    probe = Probe(of_model.model, of_model.anatomy)
    of = [probe.scores(length) for length in LENGTHS]
    far = _far(probe, of[1])
    stands_in, found = copy.copy(of_model), {}
    stands_in.source = LiveWeights(probe.model)
    for key in set(of[0]).intersection(*of):
        weights = stands_in.at(key[0], as_stored=True)
        seen = _Seen([scores[key] for scores in of], weights.stack.n_heads)
        found[key] = _read(seen, _Products(probe, weights, key[1]), far.get(key))
    return found


def _far(probe: Probe, near: dict[StackLayer, torch.Tensor]) -> dict[StackLayer, tuple[torch.Tensor, float]]:
    """The part of the scores that is by queries and keys, far on in a text; of no layer where none is other there.

    Beside it how far off it may be: what is added for a distance may be much larger, and scores are rounded with it.
    """
    try:
        one = probe.scores(1.0, far=True)
        same = [one[place].shape == there.shape and torch.allclose(one[place], there) for place, there in near.items()]
        nothing = one if all(same) else probe.scores(0.0, far=True)
    except (VerifyError, KeyError):  # there are no positions so far on
        return {}
    if nothing is one:
        return {}
    return {
        place: (
            scores - nothing[place],
            2 * torch.finfo(torch.float32).eps * _size(scores.where(scores > -1e30, torch.nan)),
        )
        for place, scores in one.items()
        if place in nothing
    }


class _Seen:
    """The scores of one layer for vectors of all `LENGTHS`, `[heads, queries, keys]`, NaN where they are masked.

    Attributes:
        nothing, one, two, three, large: the scores.
        product, linear: A2 and A1 where they are a polynomial.
    """

    def __init__(self, scores: list[torch.Tensor], n_heads: int) -> None:
        if len(scores[0]) != n_heads:
            raise VerifyError(f"its scores are of {len(scores[0])} heads and not of {n_heads}")
        if scores[0].shape[-1] == scores[0].shape[-2] + 1:  # a sink, of score 0 here
            scores = [(one - one[..., -1:])[..., :-1] for one in scores]
        there = (scores[0] > -1e3).all(0) & scores[0].isfinite().all(0)
        scores = [torch.where(there, one, torch.nan) for one in scores]
        self.nothing, self.one, self.two, self.three, self.large = scores
        self.product = (self.two - 2 * self.one + self.nothing) / 2
        self.linear = self.one - self.nothing - self.product

    def kind(self) -> ScoreForm:
        """The form of the scores."""
        moved, grown = _size(self.one - self.nothing), _size(self.three - self.nothing)
        if moved < 1e-7:
            return "none"
        if _size(self.three - self.one) <= CLOSE * moved:
            return "normalized"
        if _size(self.nothing + 3 * self.linear + 9 * self.product - self.three) > CLOSE * grown:
            return "other"
        return "half normalized" if _size(self.product) <= CLOSE * _size(self.linear) else "product"

    def bound(self) -> tuple[float | None, bool]:
        """How large a product gets at most, and whether all do; None where it has no bound."""
        ends = (self.large - self.nothing).abs()
        strong = self.product.abs() > 0.1 * _size(self.product)
        if not (ends < 0.5 * LENGTHS[-1] ** 2 * self.product.abs())[strong].all():
            return None, False
        found = ends[strong]
        return float(found.max()), float(found.max() - found.min()) <= EQUAL * float(found.max())

    def added(self) -> str:
        """The summand by position."""
        linear = self.linear if self.kind() == "product" else 0 * self.linear
        if not (_varies(self.nothing) or _size(linear) > CLOSE * _size(self.product)):
            return ""
        steps = self.nothing.diff(dim=-1)
        even = _size(steps - steps.nanmean((-2, -1), keepdim=True)) <= CLOSE * _size(steps)
        return "alibi" if even and not _size(linear) > CLOSE * _size(self.product) else "relative_positional_bias"


class _Products:
    """Queries and keys of the probe's vectors, `[n_heads, h]`, and their products with norms."""

    def __init__(self, probe: Probe, weights: Weights, layer: int) -> None:
        self._probe, self._weights, self._layer, self._norms = probe, weights, layer, Norms(weights)
        stack = weights.stack
        self._kv_head_of = torch.tensor(stack.kv_head_of.tolist())
        self._scale = scaling.scaling(weights.model, weights.anatomy, stack, layer)
        gain, n_turning = scaling.rotary_gain(weights.model, stack, layer)
        turning = slice(0, n_turning or None)
        if ("W_DKV", layer) in stack.places:
            self._q = torch.cat([self._made("W_UQ"), self._made("W_QR")], -1)
            own, shared = self._made("W_UK"), self._made("W_KR")
            self._k = torch.cat([own, shared.expand(len(own), -1)], -1)
            turning = slice(own.shape[-1], None)
        else:
            self._q, self._k = self._made("W_Q"), self._made("W_K")
        self._turn = torch.ones(self._q.shape[-1], dtype=torch.float64)
        self._turn[turning] = gain**2

    def scored(self, kind: ScoreForm) -> Iterator[torch.Tensor]:
        """The scores `[n_heads]` that would be: with each norm that is known, where there is one."""
        if kind == "product":
            yield self._scored(self._q, self._k)
            return
        norms = [partial(_normed, over_all=over_all, centered=c) for over_all in (False, True) for c in (False, True)]
        for norm in (*norms, partial(torch.nn.functional.normalize, dim=-1)):
            q, k = self._gained("q", norm(self._q)), self._gained("k", norm(self._k))
            pairs = [(q, k)] if kind == "normalized" else [(q, self._k), (self._q, k)]
            for pair in pairs:
                yield self._scored(*pair)
                yield self._scored(*pair, turned=False)

    def _scored(self, q: torch.Tensor, k: torch.Tensor, turned: bool = True) -> torch.Tensor:
        k = k[self._kv_head_of] if len(k) != len(q) else k
        return (q * k * (self._turn if turned else 1.0)).sum(-1) * self._scale

    def _made(self, role: str) -> torch.Tensor:
        W = self._weights.read(role, self._layer)
        vector = self._probe.vectors[W.shape[-2]]
        few = vector.nonzero().numel()
        return (vector[:few, None].double() * W[..., :few, :].double()).sum(-2).cpu()

    def _gained(self, side: Literal["q", "k"], normed: torch.Tensor) -> torch.Tensor:
        for name in (f"{side}_gain", f"{side}_norm"):
            gain = self._norms.inner(name, self._layer).gain
            if gain is not None:
                return normed * gain.double().cpu()
        return normed


def _read(seen: _Seen, products: _Products, far: tuple[torch.Tensor, float] | None) -> Measured:
    kind = seen.kind()
    moved = seen.one - seen.nothing
    of = seen.product if kind == "product" else moved
    own = _diagonal(of)
    absolute = turned = _varies(own)
    if far is not None and kind != "none":
        there = _diagonal(far[0][..., : moved.shape[-1]])
        absolute = absolute or _size(there - _diagonal(moved)) > EQUAL * _size(moved) + far[1]
    bound, capped = seen.bound() if kind == "product" else (None, False)
    return Measured(
        kind=kind,
        scale=None if kind in ("none", "other") else _scale(own[:, 0], products.scored(kind)),
        rotates=not turned and kind != "none" and _varies(of),
        absolute=absolute,
        added=seen.added(),
        bound=bound,
        capped=capped,
    )


def _scale(found: torch.Tensor, wanted: Iterable[torch.Tensor]) -> float | None:
    """The factor between expected scores and those that were measured; None where there is no such number."""
    every, factors = list(wanted), list[float]()
    if not found.isfinite().all():
        return None
    for one in every:
        if _size(found - one) <= EQUAL * _size(found):
            return 1.0
    for one in every:
        factor = float(found @ one / (one @ one)) if one.any() else 0.0
        if _size(found - factor * one) <= EQUAL * _size(found):
            factors.append(factor)
    return factors[0] if factors else None


def _normed(side: torch.Tensor, over_all: bool, centered: bool) -> torch.Tensor:
    whole = side.flatten() if over_all else side
    whole = whole - whole.mean(-1, keepdim=True) if centered else whole
    return (whole / whole.square().mean(-1, keepdim=True).sqrt()).view_as(side)


def _diagonal(scores: torch.Tensor) -> torch.Tensor:
    return scores.diagonal(dim1=-2, dim2=-1)


def _size(values: torch.Tensor) -> float:
    """The largest of them in size, but for NaN."""
    return float(values.abs().nan_to_num(0.0).max()) if values.numel() else 0.0


def _varies(values: torch.Tensor) -> bool:
    """Whether those of one head differ among its positions."""
    flat = values.flatten(1)
    spread = flat.nan_to_num(-torch.inf).amax(-1) - flat.nan_to_num(torch.inf).amin(-1)
    return bool((spread > EQUAL * _size(flat)).any()) and _size(flat) > 1e-7
