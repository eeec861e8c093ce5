"""Taps on attention calls: queries, keys, values, scores and patterns, as the model's own attention has them.

While a layer's attention module runs, the torch calls of this thread pass through an `Interceptor`. It knows the three
steps of attention whatever writes them: `scaled_dot_product_attention`, or the product of queries and keys, the softmax
of what was made of it, and the product with the values. So it sees what the model used: masks, windows, sinks, soft
caps, biases of position, rotations, the keys of earlier passes. Where attention runs in one call that shows no pattern,
that of the wanted heads alone is computed beside it. A kernel that hides all of it is an error, never an empty result.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
import torch.nn.functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from headgrid.anatomy.anatomy import Anatomy
from headgrid.hooks.stream import around
from headgrid.hooks.taps import Act, Tap
from headgrid.selection.activations import Where
from headgrid.selection.points import POINTS, text_of

_SOFTMAX = {F.softmax, torch.softmax, torch.Tensor.softmax, torch.special.softmax}
_PRODUCTS = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm}
_SUMS = {torch.baddbmm, torch.Tensor.baddbmm}
_INSIDE = {F.multi_head_attention_forward}
"""Functions of torch that are made of others, which pass through the interceptor in turn."""

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
    site = _sites.setdefault(module, AttentionCalls(stack.n_heads, stack.n_kv_heads, f"{name} l{layer}".lstrip()))
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

    def attach(self, act: Act) -> Iterator[Any]:
        """Hook `act` to the activation: later ones see what earlier ones have changed."""
        yield self.site.add(self.module, self, act)


@dataclass(eq=False)
class AttentionCalls:
    """The attention calls of one module, and what is done within them, in the order in which it was attached."""

    n_heads: int
    n_kv_heads: int
    name: str
    acts: dict[str, list[tuple[AttentionTap, Act]]] = field(default_factory=dict)
    _handles: list[Any] = field(default_factory=list)
    _running: list[Interceptor] = field(default_factory=list)

    def add(self, module: torch.nn.Module, tap: AttentionTap, act: Act) -> _Handle:
        """Do `act` at a tap from now on."""
        if not any(self.acts.values()):
            self._handles = [
                module.register_forward_pre_hook(self._enter),
                module.register_forward_hook(self._leave, always_call=True, prepend=True),
            ]
        one = tap, act
        self.acts.setdefault(tap.where[0], []).append(one)
        return _Handle(self, one)

    def drop(self, one: tuple[AttentionTap, Act]) -> None:
        """Do it no more."""
        self.acts[one[0].where[0]].remove(one)
        if not any(self.acts.values()):
            for handle in self._handles:
                handle.remove()

    def _enter(self, *_: Any) -> None:
        interceptor = Interceptor(self)
        interceptor.__enter__()  # type: ignore[no-untyped-call]
        self._running.append(interceptor)

    def _leave(self, module: torch.nn.Module, _: Any, output: Any) -> None:
        if not self._running:  # a hook before this one's failed
            return
        interceptor = self._running.pop()
        interceptor.__exit__(None, None, None)  # type: ignore[no-untyped-call]
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
    one: tuple[AttentionTap, Act]

    def remove(self) -> None:
        self.site.drop(self.one)


_sites: WeakKeyDictionary[torch.nn.Module, AttentionCalls] = WeakKeyDictionary()


class Interceptor(TorchFunctionMode):
    """One run of an attention module: finds the steps of attention among its torch calls, and acts there.

    Attributes:
        calls: how often attention was computed to its end.
    """

    def __init__(self, site: AttentionCalls) -> None:
        super().__init__()
        self.site, self.calls = site, 0
        self._begin()

    def _begin(self) -> None:
        self._scores: set[int] = set()
        self._pattern: set[int] = set()
        self._held: list[Any] = []  # an id means its tensor only as long as that lives
        self._entered: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._n_keys = 0

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if function is F.scaled_dot_product_attention:
            return self._whole(*args, **kwargs)
        if function in _INSIDE:
            with self:
                return function(*args, **kwargs)
        if function in _PRODUCTS:
            left, right = self._operands(args, kwargs, ("input", "self"), ("other", "mat2", "tensor2"))
            return self._product(function, left, right, (), kwargs)
        if function in _SUMS:
            names = ("input", "self", "batch1", "batch2")
            given = [*args, *(kwargs.pop(name) for name in names if name in kwargs)]
            return self._product(function, given[1], given[2], (given[0],), kwargs)
        if function in _SOFTMAX and self._is_of(self._scores, args, kwargs):
            return self._softmax(function, args, kwargs)
        output = function(*args, **kwargs)
        for known in (self._scores, self._pattern):
            if known and self._is_of(known, args, kwargs):
                self._note(known, output)
        return output

    # ---- attention in one call

    def _whole(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0, is_causal: bool = False, scale: float | None = None, enable_gqa: bool = False,
    ) -> torch.Tensor:  # fmt: skip
        query, key, value = self._act("q", query), self._act("k", key), self._act("v", value)
        given: dict[str, Any] = {"enable_gqa": True} if enable_gqa else {}
        out = F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **given)
        self.calls += 1
        shown = [tap for kind in ("scores", "pattern") for tap, _ in self.site.acts.get(kind, ())]
        heads = sorted({number for tap in shown for number in tap.numbers})
        if not heads:
            return out
        if query.ndim != 4:
            raise RuntimeError(
                f"the queries of {self.site.name} have {query.ndim} axes, not [batch, head, pos, d_head]"
            )
        at = torch.tensor(heads, device=query.device)
        kv = at // (query.shape[1] // key.shape[1])
        scores = _scores(query[:, at], key[:, kv], attn_mask, at, is_causal, scale)
        new_scores = self._act("scores", scores, heads)
        pattern = _softmax_of(new_scores).to(value.dtype)
        new_pattern = self._act("pattern", pattern, heads)
        if new_scores is scores and new_pattern is pattern:
            return out
        weighed = F.dropout(new_pattern, dropout_p) @ value[:, at // (query.shape[1] // value.shape[1])]
        return out.index_copy(1, at, weighed.to(out))

    # ---- attention in its steps

    def _operands(self, args: tuple[Any, ...], kwargs: dict[str, Any], *names: tuple[str, ...]) -> Iterator[Any]:
        given = list(args)
        for options in names:
            yield given.pop(0) if given else next(kwargs.pop(name) for name in options if name in kwargs)

    def _product(self, function: Any, left: Any, right: Any, before: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if not (isinstance(left, torch.Tensor) and isinstance(right, torch.Tensor) and self._by_head(left, right)):
            output = function(*before, left, right, **kwargs)
            if self._scores and self._is_of(self._scores, (left, right, *before), kwargs):
                self._note(self._scores, output)
            return output
        if id(left) in self._pattern:
            right = self._act("v", right)
            output = function(*before, left, right, **kwargs)
            self.calls += 1
            self._begin()
            return output
        if self._scores:  # a product of queries or keys with positions (DeBERTa), which is added to the scores
            return function(*before, self._replaced(left), right, **kwargs)
        keys = right.mT
        query, key = self._act("q", left), self._act("k", keys)
        self._entered = [(left, query), (keys, key)]
        output = function(*before, query, right if key is keys else key.mT, **kwargs)
        self._n_keys = output.shape[-1]
        self._note(self._scores, output)
        return output

    def _replaced(self, x: torch.Tensor) -> torch.Tensor:
        """What takes the place of queries or keys where they enter a product with positions.

        Raises:
            RuntimeError: when it cannot be told that they do, as of keys that were scaled for the first product.
        """
        for old, new in self._entered:
            if _is_view(x, old):
                return new
        if any(new is not old for old, new in self._entered):
            raise RuntimeError(
                f"the queries or keys of {self.site.name} also enter a product with positions, where they cannot be "
                "replaced: replace its scores or its pattern instead"
            )
        return x

    def _by_head(self, left: torch.Tensor, right: torch.Tensor) -> bool:
        """Whether two tensors are matrices of every head."""
        if min(left.ndim, right.ndim) < 3 or left.shape[-1] != right.shape[-2]:
            return False
        n = left.shape[0] if left.ndim == 3 else left.shape[1]
        return n % self.site.n_heads == 0 if left.ndim == 3 else n == self.site.n_heads

    def _softmax(self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.Tensor:
        scores = args[0] if args else kwargs["input"]
        inner = scores[..., : self._n_keys]  # a sink is one more key, which is at no position
        new = self._act("scores", inner, masked=True)
        if new is not inner:
            least = torch.finfo(scores.dtype).min
            new = torch.cat([new.to(scores).clamp(min=least), scores[..., self._n_keys :]], -1)
            args, kwargs = ((new, *args[1:]), kwargs) if args else ((), {**kwargs, "input": new})
        pattern: torch.Tensor = function(*args, **kwargs)
        inner = pattern[..., : self._n_keys]
        new = self._act("pattern", inner)
        if new is not inner:
            pattern = torch.cat([new.to(pattern), pattern[..., self._n_keys :]], -1)
        self._scores = set()
        self._note(self._pattern, pattern)
        return pattern

    def _is_of(self, known: set[int], args: Any, kwargs: Mapping[str, Any]) -> bool:
        """Whether a tensor that is known is among these arguments, within lists too."""
        for one in (*args, *kwargs.values()):
            if id(one) in known or (isinstance(one, (list, tuple)) and self._is_of(known, one, {})):
                return True
        return False

    def _note(self, known: set[int], output: Any) -> None:
        for one in output if isinstance(output, (list, tuple)) else (output,):
            if isinstance(one, torch.Tensor) and one.ndim > 2:
                known.add(id(one))
                self._held.append(one)

    # ---- what is done

    def _act(self, kind: str, x: torch.Tensor, heads: list[int] | None = None, masked: bool = False) -> torch.Tensor:
        """Let everything that is attached to a point see an activation, and replace it: `x` itself where nothing does.

        Args:
            kind: which point.
            x: `[batch, heads, pos, width]`, or `[batch * heads, pos, width]`.
            heads: which heads these are, where they are not all.
            masked: whether what is masked may have the least number instead of -inf.
        """
        for tap, act in self.site.acts.get(kind, ()):
            by_head = x if x.ndim == 4 else x.reshape(-1, self.site.n_heads, *x.shape[1:])
            n = by_head.shape[1]
            if heads is not None:
                each, at = 1, [heads.index(number) for number in tap.numbers]
            else:  # keys and values may stand there once for each query head, once for all, or as they are
                of = self.site.n_kv_heads if POINTS[kind].of == "kv head" else self.site.n_heads
                each = max(1, n // of)
                at = [number * each if n > 1 else 0 for number in tap.numbers]
            read = by_head[:, at].transpose(1, 2)
            if masked:
                read = read.masked_fill(read <= torch.finfo(read.dtype).min / 2, -math.inf)
            new = act(read)
            if new is None:
                continue
            places = torch.tensor([one + i for one in at for i in range(each)], device=x.device)
            values = new.to(x).transpose(1, 2).repeat_interleave(each, 1)
            x = by_head.index_copy(1, places, values).reshape(x.shape)
        return x


def _is_view(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether two tensors are the same entries of the same memory."""
    return x.data_ptr() == y.data_ptr() and x.shape == y.shape and x.stride() == y.stride()


def _scores(
    query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, heads: torch.Tensor, is_causal: bool,
    scale: float | None,
) -> torch.Tensor:  # fmt: skip
    """What `scaled_dot_product_attention` is defined to take the softmax of, `[batch, n, query, key]`."""
    wide = torch.promote_types(query.dtype, torch.float32)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = (query.to(wide) * factor) @ key.to(wide).mT
    if is_causal:
        mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
    if mask is None:
        return scores
    if mask.ndim > 2 and mask.shape[-3] > 1:
        mask = mask.index_select(-3, heads)
    if mask.dtype == torch.bool:
        return scores.masked_fill(~mask, -math.inf)
    least = torch.finfo(mask.dtype).min / 2
    return (scores + mask).masked_fill(mask <= least, -math.inf)


def _softmax_of(scores: torch.Tensor) -> torch.Tensor:
    """The pattern; zeros for a query that may see no key, as `scaled_dot_product_attention` has them."""
    nothing = scores.amax(-1, keepdim=True) == -math.inf
    return scores.masked_fill(nothing, 0).softmax(-1).masked_fill(nothing, 0)
