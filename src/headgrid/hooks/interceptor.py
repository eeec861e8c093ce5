"""The interceptor: finds the steps of attention among the torch calls of a module, and acts on what they are given.

It knows the three steps of attention whatever writes them: `scaled_dot_product_attention`, or the product of queries
and keys, the softmax of what was made of it, and the product with the values. So it sees what the model used: masks,
windows, sinks, soft caps, biases of position, rotations, the keys of earlier passes. Where attention runs in one call
that shows no pattern, that of the wanted heads alone is computed beside it.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from headgrid.anatomy.anatomy import Stack
from headgrid.hooks.taps import Act, Tap
from headgrid.selection.points import POINTS
from headgrid.torch_state import shielded


@dataclass(frozen=True, eq=False)
class Attachment:
    """What is done at a tap, and whether that only reads (see `Tap.attach`)."""

    tap: Tap
    act: Act
    only_reads: bool


Known: TypeAlias = dict[int, weakref.ref[torch.Tensor]]
"""Tensors by their id, which another may have when they are gone: holding them would hold the memory of each step."""

_SOFTMAX = {F.softmax, torch.softmax, torch.Tensor.softmax, torch.special.softmax}
_PRODUCTS = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.bmm, torch.Tensor.bmm}
_SUMS = {torch.baddbmm, torch.Tensor.baddbmm}
_INSIDE = {F.multi_head_attention_forward}
"""Functions of torch that are made of others, which pass through the interceptor in turn."""


class Interceptor(TorchFunctionMode):
    """One run of an attention module: finds the steps of attention among its torch calls, and acts there.

    Args:
        name: what to call the layer in a sentence.
        stack: its stack.
        acts: what is done at each of its points, in order.

    Attributes:
        calls: how often attention was computed to its end.
        over: whether the run has ended, by an interrupt for one: from then on calls pass as they are.
    """

    def __init__(self, name: str, stack: Stack, acts: Mapping[str, Sequence[Attachment]]) -> None:
        super().__init__()
        self.name, self.acts, self.calls, self.over = name, acts, 0, False
        self.n_heads, self.n_kv_heads = stack.n_heads, stack.n_kv_heads
        self._begin()

    def _begin(self) -> None:
        self._scores: Known = {}
        self._pattern: Known = {}
        self._entered: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._n_keys = 0

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if self.over:
            return function(*args, **kwargs)
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
        grouped = query.ndim == 4 and query.shape[1] == self.n_kv_heads and self._in_groups(query)
        by_head = query.flatten(1, 2).unsqueeze(2) if grouped else query
        new, key, value = self._act("q", by_head), self._act("k", key), self._act("v", value)
        query = query if new is by_head else new.reshape(query.shape)
        given: dict[str, Any] = {"enable_gqa": True} if enable_gqa else {}
        out = F.scaled_dot_product_attention(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **given)
        self.calls += 1
        shown = [one for kind in ("scores", "pattern") for one in self.acts.get(kind, ())]
        heads = sorted({number for one in shown for number in one.tap.numbers})
        if not heads:
            return out
        if new.ndim != 4 or new.shape[1] != self.n_heads:
            raise RuntimeError(
                f"the queries of {self.name} are {list(query.shape)}, not [batch, {self.n_heads} heads, pos, d_head]"
            )
        if grouped and attn_mask is not None and attn_mask.shape[-3:-1] != (1, 1):
            attn_mask = attn_mask.expand(*attn_mask.shape[:-3], *query.shape[1:3], -1).flatten(-3, -2).unsqueeze(-2)
        at = torch.tensor(heads, device=query.device)
        kv = at // (self.n_heads // key.shape[1])
        with torch.no_grad() if all(one.only_reads for one in shown) else nullcontext():
            scores = _scores(new[:, at], key[:, kv], attn_mask, at, is_causal, scale)
            new_scores = self._act("scores", scores, heads)
            changed = new_scores is not scores
            del scores  # of the size of a pattern, as each of these is
            if not changed and not self.acts.get("pattern"):
                return out
            pattern = _softmax_of(new_scores)
            del new_scores
            new_pattern = self._act("pattern", pattern, heads)
        if not changed and new_pattern is pattern:
            return out
        weighed = F.dropout(new_pattern, dropout_p).to(value) @ value[:, at // (self.n_heads // value.shape[1])]
        all_heads = out.flatten(1, 2).unsqueeze(2) if grouped else out
        return all_heads.index_copy(1, at, weighed.to(out)).reshape(out.shape)

    def _in_groups(self, query: torch.Tensor) -> bool:
        """Whether the heads of a group stand in the place of positions, as transformers has those of one position."""
        return self.n_kv_heads < self.n_heads == query.shape[1] * query.shape[2]

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
        if _is_known(self._pattern, left):
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
                f"the queries or keys of {self.name} also enter a product with positions, where they cannot be "
                "replaced: replace its scores or its pattern instead"
            )
        return x

    def _by_head(self, left: torch.Tensor, right: torch.Tensor) -> bool:
        """Whether two tensors are matrices of every head."""
        if min(left.ndim, right.ndim) < 3 or left.shape[-1] != right.shape[-2]:
            return False
        n = left.shape[0] if left.ndim == 3 else left.shape[1]
        return n % self.n_heads == 0 if left.ndim == 3 else n == self.n_heads

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
        self._scores = {}
        self._note(self._pattern, pattern)
        return pattern

    def _is_of(self, known: Known, args: Any, kwargs: Mapping[str, Any]) -> bool:
        """Whether a tensor that is known is among these arguments, within lists too."""
        for one in (*args, *kwargs.values()):
            if _is_known(known, one) or (isinstance(one, (list, tuple)) and self._is_of(known, one, {})):
                return True
        return False

    def _note(self, known: Known, output: Any) -> None:
        for one in output if isinstance(output, (list, tuple)) else (output,):
            if isinstance(one, torch.Tensor) and one.ndim > 2:
                known[id(one)] = weakref.ref(one)

    # ---- what is done

    def _act(self, kind: str, x: torch.Tensor, heads: list[int] | None = None, masked: bool = False) -> torch.Tensor:
        """Let everything that is attached to a point see an activation, and replace it: `x` itself where nothing does.

        Args:
            kind: which point.
            x: `[batch, heads, pos, width]`, or `[batch * heads, pos, width]`.
            heads: which heads these are, where they are not all.
            masked: whether what is masked may have the least number instead of -inf.
        """
        these = self.acts.get(kind, ())
        for one in these:
            tap = one.tap
            by_head = x if x.ndim == 4 else x.reshape(-1, self.n_heads, *x.shape[1:])
            n = by_head.shape[1]
            if heads is not None:
                each, at = 1, [heads.index(number) for number in tap.numbers]
            else:  # keys and values may stand there once for each query head, once for all, or as they are
                of = self.n_kv_heads if POINTS[kind].of == "kv head" else self.n_heads
                each = max(1, n // of)
                at = [number * each if n > 1 else 0 for number in tap.numbers]
            # what was computed for this act alone need not be copied
            own = heads is not None and len(these) == 1 and len(at) == n
            read = (by_head if own else by_head[:, at]).transpose(1, 2)
            if masked:
                read = read.masked_fill(read <= torch.finfo(read.dtype).min / 2, -math.inf)
            new = one.act(read)
            if new is None:
                continue
            places = torch.tensor([first + i for first in at for i in range(each)], device=x.device)
            values = new.to(x).transpose(1, 2).repeat_interleave(each, 1)
            x = by_head.index_copy(1, places, values).reshape(x.shape)
        return x


def _is_known(known: Known, one: Any) -> bool:
    """Whether this very object is among those that are known."""
    found = known.get(id(one))
    return found is not None and found() is one


def _is_view(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Whether two tensors are the same entries of the same memory."""
    return x.data_ptr() == y.data_ptr() and x.shape == y.shape and x.stride() == y.stride()


@shielded(gradients=True)
def _scores(
    query: torch.Tensor, key: torch.Tensor, mask: torch.Tensor | None, heads: torch.Tensor, is_causal: bool,
    scale: float | None,
) -> torch.Tensor:  # fmt: skip
    """What `scaled_dot_product_attention` is defined to take the softmax of, `[batch, n, query, key]`."""
    wide = torch.promote_types(query.dtype, torch.float32)
    factor = query.shape[-1] ** -0.5 if scale is None else scale
    scores = (query.to(wide) * factor) @ key.to(wide).mT
    if is_causal:
        later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).triu_(1)
        return scores.masked_fill_(later, -math.inf)
    if mask is None:
        return scores
    if mask.ndim > 2 and mask.shape[-3] > 1:
        mask = mask.index_select(-3, heads)
    if mask.dtype == torch.bool:
        return scores.masked_fill_(~mask, -math.inf)
    return scores.add_(mask).masked_fill_(mask <= torch.finfo(mask.dtype).min / 2, -math.inf)


@shielded(gradients=True)
def _softmax_of(scores: torch.Tensor) -> torch.Tensor:
    """The pattern; zeros for a query that may see no key, as `scaled_dot_product_attention` has them."""
    nothing = scores.amax(-1, keepdim=True) == -math.inf
    if scores.requires_grad:
        return scores.masked_fill(nothing, 0).softmax(-1).masked_fill(nothing, 0)
    return scores.softmax(-1).masked_fill_(nothing, 0)
