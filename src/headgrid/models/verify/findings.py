"""The findings on one layer's attention, from the gradients of what one head makes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from math import inf

import numpy as np
import torch

from headgrid.anatomy.anatomy import Bools
from headgrid.anatomy.slots import canvas_shape
from headgrid.models.verify.expected import Layer, on_canvas
from headgrid.models.verify.watch import MarkedEntries, Site, Use


@dataclass(eq=False)
class Found:
    """The findings on one layer's attention in one of its runs.

    Attributes:
        n_heads: how many heads attend.
        reached: (`scores`, `values` or `output`; parameter) -> which entries of it each head depends on through the
            last position, those before it, and any: shape `[3, n_heads, *canvas]`.
        strays: the same, of what lies in no head of the layer and does not move all heads alike -> head -> the entries
            at these three places, for each use.
        whole: the same -> whether these entries are all there along the axes that the canvas lacks, `[3, n_heads]`.
        errors: for each head, how far what is written when it alone attends is from what its `W_O` alone writes,
            relative to what is written.
        sum_error: the same for the sum of all heads and the bias, when all attend; NaN where it cannot be taken.
        projection: the weight of the output projection, or "".
        columns: head -> which entries of what the projection reads are not zero when it alone attends.
        through: head -> the other heads whose scores move its `z`.
        odd: what is odd about the softmax; see `picture.py`.
    """

    n_heads: int
    reached: dict[tuple[str, str], Bools] = field(default_factory=dict)
    strays: dict[tuple[str, str], dict[int, list[list[MarkedEntries]]]] = field(default_factory=dict)
    whole: dict[tuple[str, str], Bools] = field(default_factory=dict)
    errors: dict[int, float] = field(default_factory=dict)
    sum_error: float = float("nan")
    projection: str = ""
    columns: dict[int, Bools] = field(default_factory=dict)
    through: dict[int, list[int]] = field(default_factory=dict)
    odd: list[str] = field(default_factory=list)


@dataclass(eq=False)
class Recorder:
    """Writes what is found of some heads, each in a row of the batch from the first on, into `found`."""

    layer: Layer
    found: Found
    heads: Sequence[int]
    lengths: Collection[int]

    def add_values(self, read: torch.Tensor, uses: Sequence[Use], names: Collection[str], site: Site) -> None:
        """The same of what the output projection reads, `[rows, positions, d]`, but through the scores of its head."""
        site.cut = True
        others = self.add("values", read[: len(self.heads), -1], uses, names, site.whole)
        site.cut = False
        for row, head in enumerate(self.heads):
            self.found.columns[head] = np.asarray(read[row].detach().ne(0).any(0).cpu().numpy())
            if others is not None:
                moved = others.reshape(site.scores.shape)[row].flatten(1).ne(0).any(1).nonzero().flatten().tolist()
                if set(moved) - {head}:
                    self.found.through[head] = sorted(set(moved) - {head})

    def add(
        self, what: str, quantity: torch.Tensor, uses: Sequence[Use], names: Collection[str],
        scores: torch.Tensor | None = None,
    ) -> torch.Tensor | None:  # fmt: skip
        """Which entries of these parameters a quantity `[heads, ...]` depends on through these uses.

        Returns:
            The gradient of the scores, if these are given and it depends on them.
        """
        if not uses or not self.heads or not quantity.requires_grad:
            return None
        weights = torch.rand(quantity.shape, generator=torch.Generator().manual_seed(1)).to(quantity) + 0.5
        of = [*(use.output for use in uses), *(() if scores is None else (scores,))]
        found = torch.autograd.grad((quantity * weights).sum(), of, retain_graph=True, allow_unused=True)
        gradients, others = found[: len(uses)], found[len(uses) :]
        for use, gradient in zip(uses, gradients, strict=True):
            if gradient is None:
                continue
            for name in sorted(use.names.intersection(names)):
                self._record(what, name, use, gradient)
            outside = sorted(use.names.intersection(self.layer.outside))
            for name in outside if outside and self._differs(use, gradient) else ():
                by_head = self.found.strays.setdefault((what, name), {})
                for head, at in zip(
                    self.heads, use.reaches(name, gradient, len(self.heads), self.lengths), strict=True
                ):
                    by_head.setdefault(head, []).append(at)
        return others[0] if others else None

    def _differs(self, use: Use, gradient: torch.Tensor) -> bool:
        """Whether a use may matter to one head otherwise than to another, as far as these heads can tell.

        It does when gradients come to other entries from it, or when it reads other entries that are not zero.
        """
        for tensor in (gradient, *use.live):
            if tensor.numel() and tensor.ndim and tensor.shape[0] % use.watch.rows == 0:
                there = tensor.detach().reshape(use.watch.rows, -1)[: len(self.heads)].ne(0)
                if not bool(there.all()) and (len(there) == 1 or bool((there != there[:1]).any())):
                    return True
        return False

    def add_output(self, use: Use, read: torch.Tensor, kept: Sequence[int | None]) -> None:
        """The input and the output of the output projection; `read` has the shape `[rows, positions, d]`."""
        for name in sorted(use.names):
            if use.watch.parameters[name].ndim > 1:
                self.found.projection = name
                self._record("output", name, use, torch.ones_like(use.output))
        matrix = use.matrix()
        name = self.found.projection
        if matrix is None or matrix[1] is not use.watch.parameters.get(name):
            return
        _, weight, bias, axis = matrix
        slots = [slot for slot in self.layer.slots if slot.role == "W_O" and slot.parameter == name]
        written = use.output.detach().reshape(*read.shape[:2], -1)
        plain = written if bias is None else written - bias.detach()
        total = torch.zeros_like(plain) if bias is None else self._bias(use, bias).expand_as(plain).clone()
        for head in range(self.layer.n_heads):
            slot = next((one for one in slots if one.first <= head < one.first + one.n_parts), None)
            if slot is None:
                return
            canvas = np.broadcast_to(self.layer.of("output", name)[head], slot.shape)
            columns = torch.from_numpy(np.flatnonzero(np.any(canvas, axis=1 - axis))).to(read.device)
            head_weight = slot.of(weight.detach())[head - slot.first]
            if head_weight.shape != (len(columns), plain.shape[-1]):
                self.found.errors = dict.fromkeys(range(self.layer.n_heads), inf)  # the table has it in another shape
                return
            gives = read[..., columns] @ head_weight
            total += gives
            if head in kept:
                row = kept.index(head)
                self.found.errors[head] = _relative(gives[row] - plain[row], written[row])
        if None in kept:
            row = kept.index(None)
            self.found.sum_error = _relative(total[row] - written[row], written[row])

    def _bias(self, use: Use, bias: torch.Tensor) -> torch.Tensor:
        """The projection's bias by the table; zeros where that is another parameter."""
        for slot in self.layer.slots:
            if slot.role == "b_O" and use.watch.parameters[slot.parameter] is bias:
                return slot.of(bias.detach())
        return torch.zeros_like(bias)

    def _record(self, what: str, name: str, use: Use, gradient: torch.Tensor) -> None:
        slots = self.layer.anatomy.slots_of[name]
        shape, canvas = slots[0].shape, canvas_shape(slots)
        key = (what, name)
        if key not in self.found.reached:
            self.found.reached[key] = self.layer.nothing(name, 3, self.found.n_heads)
            self.found.whole[key] = np.ones((3, self.found.n_heads), dtype=np.bool_)
        reached = use.reaches(name, gradient, len(self.heads), self.lengths)
        for head, at in zip(self.heads, reached, strict=True):
            for place, entries in enumerate(at):
                there, whole = on_canvas(entries, shape, canvas)
                self.found.reached[key][place, head] |= there
                self.found.whole[key][place, head] &= whole


def _relative(difference: torch.Tensor, whole: torch.Tensor) -> float:
    return float(difference.abs().max() / whole.abs().max())
