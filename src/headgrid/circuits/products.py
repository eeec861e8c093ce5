"""The products behind composition: every head reduced to thin matrices, and all pairs of them multiplied.

Products are computed in float32 (float64 for weights in float64), norms in float64: a score is right to 3e-7, or 1e-5
of itself, whichever is more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Literal

import torch
from jaxtyping import Float

from headgrid.anatomy.roles import ROLES
from headgrid.circuits.factors import Circuits
from headgrid.circuits.targets import PartIndex
from headgrid.linalg.factored import FactoredMatrix
from headgrid.selection.words import LAYER_WORDS
from headgrid.utils.byte_cache import ByteCache

CompositionKind = Literal["q", "k", "v"]
"""Q-, K- or V-composition: which input of the later head reads what the earlier one writes."""
KINDS: tuple[CompositionKind, ...] = ("q", "k", "v")
Reads = dict[CompositionKind, torch.Tensor]

GROUP = 384 * 2**20
"""Bytes of what targets read that are held at once: all of GPT-2 medium, a few layers of larger models."""

READ = [role for role, it in ROLES.items() if it.owner in (*LAYER_WORDS["attn"].owners, "ln1", "ln1_post")]
"""The roles of the weights of a head's circuits."""

MOST_BYTES = 2**30
"""The budget in bytes of the reduced layers that `partners` caches, of all models of the process together."""

CANCELS = 2.5e4
"""A sum over Gram matrices is good to 1e-5 where it is this many roundings of its dtype, for circuits of norm 1."""

BLOCK, PIECE, CHUNK = 32, 72, 2**22
"""Rows of a Gram matrix made at once; target heads multiplied at once; entries of a product made at once."""


@dataclass(frozen=True, eq=False)
class Reduced:
    """The heads of a layer, reduced to thin matrices that have the products' norms; each circuit has norm 1.

    `writes [n, h, m]` and `reads[kind] [n, k, m]`: ||OV_s X_t|| = ||writes_s reads_t^T||. `spread[kind] [n]` is the sum
    of the fourth powers of the circuit's singular values, NaN where it is zero.
    """

    writes: Float[torch.Tensor, "heads h m"]
    reads: dict[CompositionKind, Float[torch.Tensor, "heads _ m"]]
    spread: dict[CompositionKind, Float[torch.Tensor, " heads"]]

    @classmethod
    def at(cls, circuits: Circuits, layer: int) -> Reduced:
        """All heads of a layer."""
        ov, qk = circuits.ov(layer), circuits.qk(layer)
        if ov.A.device.type == "mps":  # which knows no float64
            ov, qk = (FactoredMatrix(one.A.cpu(), one.B.cpu()) for one in (ov, qk))
        (ov_left, ov_right, ov_spread), (qk_left, qk_right, qk_spread) = _roots(ov), _roots(qk)
        return cls(
            writes=_thin(ov_left, ov.B),
            reads={"q": _thin(qk_right, qk.A.mT), "k": _thin(qk_left, qk.B), "v": _thin(ov_right, ov.A.mT)},
            spread={"q": qk_spread, "k": qk_spread, "v": ov_spread},
        )

    def of(self, heads: list[int]) -> Reduced:
        """Some of them, in this order."""
        if heads == list(range(len(self.writes))):
            return self
        picked = [{kind: x[heads] for kind, x in one.items()} for one in (self.reads, self.spread)]
        return Reduced(self.writes[heads], *picked)

    @property
    def bytes(self) -> int:
        """Their size in bytes."""
        return sum(x.numel() * x.element_size() for x in (self.writes, *self.reads.values()))


def _roots(matrix: FactoredMatrix) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Roots of A^T A and B B^T, over the norm of A B, `[*, k, k]`; and the sum of sigma^4 over the norm^4, `[heads]`.

    The singular values of A B are those of R_A^T R_B for any R_A R_A^T = A^T A and R_B R_B^T = B B^T.
    """
    left, right = (_root(side.mT @ side) for side in (matrix.A.double(), matrix.B.double().mT))
    core = left.mT @ right
    norm = core.square().sum((-2, -1), keepdim=True).sqrt()
    safe = torch.where(norm > 0, norm, 1.0)
    core = core / safe
    spread = torch.where(norm[..., 0, 0] > 0, (core @ core.mT).square().sum((-2, -1)), torch.nan)
    return left / safe, right / safe, spread.flatten().cpu()


def _root(gram: torch.Tensor) -> torch.Tensor:
    """R with R R^T = gram, `[*, k, k]`: Cholesky's, or the symmetric one where a matrix has not full rank."""
    found: torch.Tensor
    found, failed = torch.linalg.cholesky_ex(gram)
    if failed.any():
        values, axes = torch.linalg.eigh(gram[failed > 0])
        found[failed > 0] = axes * values.clamp(min=0).sqrt()[..., None, :]
    return found


def _thin(root: torch.Tensor, side: torch.Tensor) -> torch.Tensor:
    """root^T side of every head, `[heads, k, m]`, in float32, or float64 where the weights are."""
    dtype = torch.promote_types(side.dtype, torch.float32)
    found: torch.Tensor = (root.to(dtype).mT @ side.to(dtype)).flatten(0, 1)
    return found


# ---- the products of all pairs


class Work:
    """The squared scores of all pairs, computed piece by piece.

    Many heads are compared through the Gram matrices P = writes^T writes and Q = reads^T reads: ||OV_s X_t||^2 is the
    sum of the products of their entries, m^2 / 2 multiplications for a pair instead of h k m, as both are symmetric.
    Rows of all of them are made, multiplied and dropped, block by block. Few heads are multiplied directly, and so are
    those where the sum cancels too much for its dtype.
    """

    def __init__(self, circuits: Circuits, heads: tuple[PartIndex, ...]) -> None:
        self.circuits = circuits
        self.layers = sorted({layer for layer, _ in heads})
        self.numbers = [[head for layer, head in heads if layer == at] for at in self.layers]
        sizes = [len(numbers) for numbers in self.numbers]
        self.starts = [sum(sizes[:at]) for at in range(len(sizes) + 1)]
        self.squares = torch.zeros(3, len(heads), len(heads), dtype=torch.float64)
        self.spread = torch.empty(3, len(heads), dtype=torch.float64)
        self.m, h = circuits.weights.stack.d_model, circuits.weights.stack.d_head
        each = max(1, GROUP // (12 * h * self.m * max(sizes)))
        self.groups = [range(first, min(first + each, len(sizes))) for first in range(0, len(sizes), each)]
        n_products = 3 * sum(size * start for size, start in zip(sizes, self.starts, strict=False))
        self.by_gram = n_products * (h * h - self.m / 2) > 2 * len(heads) * h * self.m
        per_group = [ceil(self.m / BLOCK) if self.by_gram else len(group) for group in self.groups]
        self.room = [torch.empty(0), torch.empty(0)]
        self.n_pieces = len(self.groups) + sum(per_group)

    def pieces(self) -> Iterator[None]:
        """Does the work, and stops for breath after each piece."""
        writes: list[torch.Tensor] = []
        for group in self.groups:
            reads: dict[int, Reads] = {}
            for at in group:
                layer = Reduced.at(self.circuits, self.layers[at]).of(self.numbers[at])
                writes.append(layer.writes)
                reads[at] = layer.reads
                self.spread[:, self._heads(at)] = torch.stack([layer.spread[kind] for kind in KINDS])
            yield
            for first in range(0, self.m, BLOCK) if self.by_gram else ():
                self._add_grams(slice(first, first + BLOCK), writes[: group[-1]], reads)
                yield
            for at in group:
                for source in range(at):
                    self._multiply(source, at, writes[source], reads[at])
                if not self.by_gram:
                    yield

    def scores(self) -> tuple[torch.Tensor, torch.Tensor]:
        """All scores and their z, `[3, source, target]` each."""
        place = torch.cat([torch.full((len(numbers),), at) for at, numbers in enumerate(self.numbers)])
        value, z = scored(self.squares, self.spread[2], self.spread, self.m)
        wrong = place[:, None] >= place
        return value.masked_fill(wrong, torch.nan), z.masked_fill(wrong, torch.nan)

    def _heads(self, at: int) -> slice:
        return slice(self.starts[at], self.starts[at + 1])

    def _add_grams(self, rows: slice, writes: list[torch.Tensor], reads: dict[int, Reads]) -> None:
        """Add what some rows of all Gram matrices, from the diagonal on, contribute to all pairs."""
        targets = [at for at in reads if at]  # nothing is before the first layer
        if not writes or not targets:
            return
        P, P_square = self._gram_rows(0, writes, rows)
        for i, kind in enumerate(KINDS):
            Q, Q_square = self._gram_rows(1, [reads[at][kind] for at in targets], rows)
            for some in self._pieces(targets):  # so that few sources of the wrong order are multiplied
                n, start, end = self.starts[some[-1]], self.starts[some[0]], self.starts[some[-1] + 1]
                here = slice(start - self.starts[targets[0]], end - self.starts[targets[0]])
                twice = 2 * (P[:n] @ Q[here].mT)  # what is right of the diagonal is left of it too
                self.squares[i, :n, start:end] += (twice - P_square[:n] @ Q_square[here].mT).cpu()

    def _gram_rows(self, side: int, thin: list[torch.Tensor], rows: slice) -> tuple[torch.Tensor, torch.Tensor]:
        """Rows of the Gram matrix of every head from the diagonal on, and their square there, each flattened."""
        n, b, width = sum(map(len, thin)), len(range(self.m)[rows]), self.m - rows.start
        if self.room[side].numel() < n * b * width or self.room[side].dtype != thin[0].dtype:
            self.room[side] = thin[0].new_empty(n * b * width)  # used again and again: fresh memory is slow
        found = self.room[side][: n * b * width].view(n, b, width)
        for heads, into in zip(thin, torch.split(found, [len(heads) for heads in thin]), strict=True):
            torch.bmm(heads[:, :, rows].mT, heads[:, :, rows.start :], out=into)
        return found.flatten(1), found[:, :, :b].flatten(1)

    def _pieces(self, targets: list[int]) -> Iterator[list[int]]:
        """The layers, as many at a time as have `PIECE` heads."""
        some: list[int] = []
        for at in targets:
            if some and self.starts[at + 1] - self.starts[some[0]] > PIECE:
                yield some
                some = []
            some.append(at)
        yield some

    def _multiply(
        self, source: int, target: int, writes: torch.Tensor, reads: dict[CompositionKind, torch.Tensor]
    ) -> None:
        """The exact scores of two layers' heads, where they are needed."""
        there = self._heads(source), self._heads(target)
        for i, kind in enumerate(KINDS):
            known = self.squares[i, there[0], there[1]]
            if self.by_gram:
                size = (self.spread[2, there[0], None] * self.spread[i, None, there[1]]).sqrt()
                unsure = known < CANCELS * torch.finfo(writes.dtype).eps * size
            else:
                unsure = torch.ones_like(known, dtype=torch.bool)
            if unsure.any():
                some = [unsure.any(axis).nonzero()[:, 0] for axis in (1, 0)]
                known[some[0][:, None], some[1]] = direct(writes[some[0]], reads[kind][some[1]])


def direct(writes: torch.Tensor, reads: torch.Tensor) -> torch.Tensor:
    """||writes_s reads_t^T||^2 of every source and target, `[n_sources, n_targets]`."""
    (n, k, m), h = reads.shape, writes.shape[1]
    found = []
    for some in torch.split(writes, max(1, CHUNK // (h * n * k))):
        product = some.reshape(-1, m) @ reads.reshape(-1, m).mT
        found.append(product.square_().view(-1, h, n, k).sum((1, 3)))
    return torch.cat(found).double().cpu()


def scored(
    squares: torch.Tensor, sources: torch.Tensor, targets: torch.Tensor, m: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores and z of squares `[*, source, target]`, from the spreads `[source]` and `[*, target]` of both circuits."""
    wide = (sources[:, None] - 1 / m).clamp(min=0) * (targets[..., None, :] - 1 / m).clamp(min=0)
    sd = (2 * wide / ((m - 1) * (m + 2))).sqrt()
    z = torch.where(sd <= 1e-9 / m, 0 * wide, (squares - 1 / m) / sd)  # a multiple of the identity looks like any turn
    return squares.clamp(min=0).sqrt() + 0 * wide, z  # NaN where a circuit is zero


_REDUCED: ByteCache[tuple[object, Reduced]] = ByteCache(MOST_BYTES)
"""Reduced layers of all models, each with the versions of the weights that it was made of."""


def kept_layer(circuits: Circuits, layer: int) -> Reduced:
    """The heads of a layer, reduced; kept while there is room, the circuits live and their weights stay as they are."""
    versions = tuple(circuits.weights.version(role, layer) for role in READ)
    known = _REDUCED.get(circuits, layer)
    if known is not None and known[0] == versions:
        return known[1]
    found = Reduced.at(circuits, layer)
    _REDUCED.put(circuits, layer, (versions, found), found.bytes)
    return found
