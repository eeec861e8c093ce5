"""Forward passes seen from inside: which calls read which parameters, and where the model attends.

A `Watch` is a torch-function mode: while it is entered, every torch call of this thread passes through it. It notes
each call that mixes a parameter with something computed from the inputs (a `Use`), and each place where the model
attends (a `Site`): the softmax of eager attention, or `scaled_dot_product_attention`, which most models call unless
asked not to. At a site it keeps one head in each row of the batch, so that one forward pass asks about every head.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from torch.overrides import TorchFunctionMode

from headgrid.anatomy.anatomy import Bools
from headgrid.models.verify.frozen import FROZEN

LAST, BEFORE, ANYWHERE = range(3)
"""At which positions an entry acts: the last one, those before it, or any, known or not."""

MarkedEntries = tuple[Bools, ...]
"""Entries of a parameter: an array of its shape, or one along each of its axes, of which they are the outer product."""

_SOFTMAX = {F.softmax, torch.softmax, torch.Tensor.softmax, torch.special.softmax}
LARGEST = {torch.amax, torch.Tensor.amax, torch.max, torch.Tensor.max}
MATMUL = {torch.matmul, torch.Tensor.matmul, torch.Tensor.__matmul__, torch.mm, torch.Tensor.mm}
PRODUCTS = MATMUL | {F.linear, F.conv1d, torch.addmm, torch.bmm, torch.Tensor.bmm, torch.baddbmm, torch.einsum}


@dataclass(eq=False)
class Use:
    """One call that mixes parameters, or what is made of parameters alone, with something computed from the inputs.

    Attributes:
        function, args, kwargs: the call.
        output: what it returned.
        names: the parameters.
        live: those of its arguments that are computed from the inputs.
        watch: what noted it.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    output: torch.Tensor
    names: frozenset[str]
    live: tuple[torch.Tensor, ...]
    watch: Watch

    @property
    def is_product(self) -> bool:
        """Whether it is a matrix product, which can move a head's entries to another place."""
        return self.function in PRODUCTS

    def matrix(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None, int] | None:
        """Its input, its weight, its bias, and the weight's axis that reads; None for any other kind of call."""
        if self.function is F.linear:
            given = dict(zip(("input", "weight", "bias"), self.args, strict=False)) | dict(self.kwargs)
            return given["input"], given["weight"], given.get("bias"), 1
        if self.function is torch.addmm and len(self.args) == 3:
            return self.args[1], self.args[2], self.args[0], 0
        if self.function in MATMUL and len(self.args) == 2 and self.args[1].ndim == 2:
            weight = self.args[1]
            stored = weight if weight._base is None else weight._base
            if weight is stored:
                return self.args[0], weight, None, 0
            if stored.ndim == 2 and weight.stride() == stored.stride()[::-1] and weight.shape == stored.shape[::-1]:
                return self.args[0], stored, None, 1
        return None

    def reaches(
        self, name: str, gradient: torch.Tensor, rows: int, lengths: Iterable[int]
    ) -> list[list[MarkedEntries]]:
        """Which entries of a parameter a gradient of the output reaches, for each row of the batch.

        Args:
            name: one of `names`.
            gradient: of the output, in which nothing flows from one row of the batch to another.
            rows: how many rows of the batch to answer for.
            lengths: how many positions the output may have.

        Returns:
            For each row, the entries that it reaches at the last position, before it, and at any.
        """
        parameter, matrix = self.watch.parameters[name], self.matrix()
        if matrix is not None and parameter is matrix[1]:
            return self._through_matrix(gradient, matrix[0], rows, lengths, reads_first=matrix[3] == 0)
        if matrix is not None and parameter is matrix[2]:
            return [[one[:1] for one in row] for row in self._through_matrix(gradient, None, rows, lengths)]
        return self._through_any(parameter, gradient, rows, lengths)

    def _through_matrix(
        self,
        gradient: torch.Tensor,
        read: torch.Tensor | None,
        rows: int,
        lengths: Iterable[int],
        *,
        reads_first: bool = False,
    ) -> list[list[MarkedEntries]]:
        """A weight's gradient is a sum of outer products over positions, so it need not be computed."""

        def nonzero(tensor: torch.Tensor) -> Bools:
            by_row = tensor.detach().reshape(self.watch.rows, -1, tensor.shape[-1])[:rows]
            return np.asarray(by_row.ne(0).cpu().numpy())

        acts = nonzero(gradient)
        reads = acts[..., :1] if read is None else nonzero(read)
        known = acts.shape[1] in lengths
        found = []
        for row in range(rows):
            at: list[MarkedEntries] = []
            for positions in (slice(-1, None), slice(0, -1), slice(None)):
                here = acts[row, positions] if known or positions == slice(None) else acts[row, :0]
                into = reads[row, positions][: len(here)][np.any(here, axis=-1)]
                sides = np.atleast_1d(np.any(here, axis=0)), np.atleast_1d(np.any(into, axis=0))
                at.append(sides[::-1] if reads_first else sides)
            found.append(at)
        return found

    def _through_any(
        self, parameter: torch.nn.Parameter, gradient: torch.Tensor, rows: int, lengths: Iterable[int]
    ) -> list[list[MarkedEntries]]:
        """Any other call is made again by itself, and differentiated once for each row and kind of position."""
        again = self.function(*map(self._cut, self.args), **{key: self._cut(arg) for key, arg in self.kwargs.items()})
        split = gradient.reshape(self.watch.rows, -1, *gradient.shape[1:])  # rows of one example may lie side by side
        axis = next((i for i in (*range(2, split.ndim), 1) if split.shape[i] in lengths), None)
        places = {LAST: (-1, 1), BEFORE: (0, -1), ANYWHERE: (0, 0)}  # start and length, both from the end
        if self.names & self.watch.tables:
            # what is made of a table of positions acts where its partner is: the key, where the query is
            places[LAST], places[BEFORE] = places[BEFORE], places[LAST]
        found = []
        for row in range(rows):
            at: list[MarkedEntries] = []
            for place, (start, length) in places.items():
                part = torch.zeros_like(split)
                if place == ANYWHERE:
                    part[row] = split[row]
                elif axis is not None:
                    size = split.shape[axis]
                    here = (axis - 1, start % size, length % size)
                    part[row].narrow(*here).copy_(split[row].narrow(*here))
                (reached,) = torch.autograd.grad(
                    again, parameter, part.view_as(gradient), retain_graph=True, allow_unused=True
                )
                at.append((np.zeros(parameter.shape, np.bool_) if reached is None else reached.ne(0).cpu().numpy(),))
            found.append(at)
        return found

    def _cut(self, value: Any) -> Any:
        """An argument of the call that brings no other parameter's graph with it."""
        if isinstance(value, torch.Tensor):
            # a copy: the call may be one that changes it
            return value.detach().clone() if any(value is live for live in self.live) else value
        return list(map(self._cut, value)) if isinstance(value, (list, tuple)) else value


@dataclass(eq=False)
class Site:
    """One place where the model attends.

    Attributes:
        scores: what the softmax is taken of, `[rows, heads, queries, keys]`.
        whole: the same as the model has it. Where gradients are `cut`, none comes through what each row's own head has
            of it: what acts through the scores is known from them, even where they are read beside the softmax.
        pattern: what the model goes on with: the softmax, cut off from the scores, and 0 for heads that are not the
            row's.
        n_uses: how many uses came before it.
    """

    scores: torch.Tensor
    whole: torch.Tensor
    pattern: torch.Tensor
    n_uses: int
    kept: Sequence[int | None]

    def __post_init__(self) -> None:
        # without a reference to this site: the graph would hold its own tensors by it, and never be freed
        self._own = _Own(tuple(self.scores.shape), tuple(self.kept))
        self.whole.register_hook(self._own)  # type: ignore[no-untyped-call]

    @property
    def cut(self) -> bool:
        """Whether gradients are cut."""
        return self._own.cut

    @cut.setter
    def cut(self, cut: bool) -> None:
        self._own.cut = cut


@dataclass
class _Own:
    """Takes what each row's own head has of the scores out of a gradient, where it is to be `cut`."""

    shape: tuple[int, ...]
    kept: tuple[int | None, ...]
    cut: bool = False

    def __call__(self, gradient: torch.Tensor) -> torch.Tensor | None:
        if not self.cut:
            return None
        by_head = gradient.clone().reshape(self.shape)
        for row, head in enumerate(self.kept):
            if head is not None and head < by_head.shape[1]:
                by_head[row, head] = 0
        return by_head.reshape(gradient.shape)


@dataclass(eq=False)
class Watch(TorchFunctionMode):
    """While it is entered, notes what the torch calls of this thread do; leave it and nothing is left behind.

    Attributes:
        parameters: those to watch, by name.
        inputs: the tensors that the forward pass is given.
        kept: for each row of the batch the head that is kept in it, or None where all are.
        tables: the parameters that are tables of positions and so on, at no position of the text.
        frozen: whether the statistics of norms count as constants.
        at_site: called with this when a site has been noted.
        uses, sites: what was noted, in the order of the pass.
    """

    parameters: Mapping[str, torch.nn.Parameter]
    inputs: Iterable[Any]
    kept: Sequence[int | None]
    tables: frozenset[str] = frozenset()
    frozen: bool = False
    at_site: Callable[[Watch], object] | None = None
    uses: list[Use] = field(default_factory=list)
    sites: list[Site] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.rows = len(self.kept)
        self._made_of = {id(parameter): frozenset({name}) for name, parameter in self.parameters.items()}
        self._live = {id(tensor) for tensor in self.inputs}
        self._held: list[torch.Tensor] = []  # an id means its tensor only as long as that lives

    def __torch_function__(
        self, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        function = FROZEN.get(function, function) if self.frozen else function
        if function is F.scaled_dot_product_attention:
            with self:  # what it is made of passes through here, one call after the other
                return self._attended(*args, **kwargs)
        output = function(*args, **kwargs)
        if function in _SOFTMAX:
            output = self._after_softmax(args, kwargs, output)
        elif function in LARGEST and len(list(tensors_in((*args, *kwargs.values())))) == 1:
            alone = isinstance(output, torch.Tensor)
            # some take the largest score off all before a softmax: a shift, through which nothing is to be learned
            output = output.detach() if alone else type(output)(tuple(one.detach() for one in output))
        results = list(tensors_in((output,)))
        if not results:
            return output
        given = list(tensors_in((*args, *kwargs.values())))
        made_of = frozenset[str]().union(*(self._made_of.get(id(tensor), ()) for tensor in given))
        live = tuple(tensor for tensor in given if self._is_live(tensor))
        for result in results:
            if not live:
                if made_of and id(result) not in self._made_of:
                    self._made_of[id(result)] = made_of
                    self._held.append(result)
            elif not result.requires_grad:
                self._live.add(id(result))
                self._held.append(result)
            else:
                self._made_of.pop(id(result), None)  # what was changed in place is no parameter's any more
                if made_of:
                    self.uses.append(Use(function, args, kwargs, result, made_of, live, self))
        return output

    def _is_live(self, tensor: torch.Tensor) -> bool:
        return id(tensor) in self._live or (tensor.requires_grad and id(tensor) not in self._made_of)

    def _after_softmax(self, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: torch.Tensor) -> torch.Tensor:
        scores = args[0] if args else kwargs["input"]
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        heads_in_batch = scores.ndim == 3 and scores.shape[0] > self.rows  # [rows * heads, queries, keys]
        attends = dim in (-1, scores.ndim - 1) and (heads_in_batch or scores.ndim > 3)
        if not attends or not scores.requires_grad or scores.shape[0] % self.rows:
            return output
        return self._keep_heads(scores, output)

    def _attended(
        self,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attn_mask: torch.Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> torch.Tensor:
        """The result that `scaled_dot_product_attention` is defined to return, with the pattern in the open."""
        if enable_gqa:
            key = key.repeat_interleave(query.shape[-3] // key.shape[-3], -3)
            value = value.repeat_interleave(query.shape[-3] // value.shape[-3], -3)
        scores = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
        if is_causal:
            attn_mask = torch.ones(scores.shape[-2:], dtype=torch.bool, device=scores.device).tril()
        if attn_mask is not None and attn_mask.dtype == torch.bool:
            scores = scores.masked_fill(~attn_mask, torch.finfo(scores.dtype).min)
        elif attn_mask is not None:
            scores = scores + attn_mask
        return scores.softmax(-1).to(value.dtype) @ value

    def _keep_heads(self, scores: torch.Tensor, pattern: torch.Tensor) -> torch.Tensor:
        """Note a site, and return the pattern in which each row of the batch keeps its own head only."""
        shape = (self.rows, -1, *scores.shape[-2:])
        by_head = scores.reshape(shape)
        keep = torch.zeros(self.rows, by_head.shape[1], 1, 1, device=scores.device, dtype=pattern.dtype)
        for row, head in enumerate(self.kept):
            keep[row, slice(None) if head is None else slice(head, head + 1)] = 1
        kept = (pattern.detach().reshape(shape) * keep).reshape(pattern.shape).requires_grad_()
        self.sites.append(Site(by_head, scores, kept, len(self.uses), self.kept))
        if self.at_site is not None:
            self.at_site(self)
        return kept


def tensors_in(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """The tensors among some values, inside of lists and tuples too."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from tensors_in(value)
