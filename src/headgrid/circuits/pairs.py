"""Tokens against tokens and positions against positions, through one circuit: the largest entries of huge products.

A full circuit, W_E OV W_U or W_E QK W_E^T, is a d_vocab x d_vocab matrix of low rank (Elhage et al. 2021, A
Mathematical Framework for Transformer Circuits). Here it stays the product of `left [V, k]` and `right [k, V]`, and
only blocks of it are ever made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64

from headgrid.circuits.progress import Cancelled, stop_if
from headgrid.linalg.factored import FactoredMatrix

__all__ = ["Cancelled", "TokenPairs", "by_offset", "copying_accuracy", "top_pairs"]

ROWS, COLUMNS = 512, 2048
"""The block of the product that is looked at in one piece: 4 MiB, so that it stays in the cache."""

WARM = 256
"""The rows, and then the columns, that are searched first, so that most of the rest can be skipped."""


@dataclass(frozen=True, eq=False, repr=False)
class TokenPairs:
    """The pairs of largest value, from the largest down.

    Attributes:
        source_ids, target_ids: the row and the column of each, int64 `[n]`.
        values: float64 `[n]`.
        searched: `all pairs`, or which of them were looked at.
        sources, targets: the tokens as strings; their ids where no strings were given.
    """

    source_ids: Int64[torch.Tensor, " n"]
    target_ids: Int64[torch.Tensor, " n"]
    values: Float64[torch.Tensor, " n"]
    searched: str
    sources: list[Any]
    targets: list[Any]

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        shown = zip(self.sources, self.targets, self.values.tolist(), strict=True)
        return "\n".join([f"{len(self)} of {self.searched}", *(f"  {v:8.3g}  {s!r} -> {t!r}" for s, t, v in shown)])


def top_pairs(
    left: torch.Tensor,
    right: torch.Tensor,
    n: int = 10,
    *,
    budget: float | None = None,
    strings: Callable[[torch.Tensor], list[Any]] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> TokenPairs:
    """The n largest entries of `left @ right`, exactly, without the product.

    Rows and columns are turned into the basis in which both decay together, and sorted by length. The product of the
    lengths, and that of the first coordinates plus the lengths of what is left, bound every entry from above
    (Cauchy-Schwarz), so blocks that cannot hold a winner are skipped. Bounds are computed in float32 with room for
    its rounding, the winners in float64. A product with a flat spectrum and rows of one length cannot be pruned.

    Args:
        left: `[V1, k]`; a row is what a token puts into a circuit.
        right: `[k, V2]`; a column is what the circuit makes of that for a token.
        n: how many pairs; all of them when there are fewer.
        budget: multiplications that the search may take, after a quick first pass and pruning by length; None for no
            limit. Where all pairs would take more, only the longest rows and columns are searched, and `searched` says
            how many. Lengths are those in the basis above.
        strings: makes the tokens of ids.
        cancelled: asked between blocks.

    Raises:
        ValueError: for shapes that do not fit, NaN or inf, an n below 1, or a budget that is not positive.
        Cancelled: when `cancelled` says so.
    """
    left, right = _checked(left, right)
    if n < 1:
        raise ValueError(f"n is {n}; ask for 1 pair or more")
    if budget is not None and budget <= 0:
        raise ValueError(f"the budget is {budget}; it should be a positive number of multiplications, or None")
    search = _Search(left, right, n, cancelled)
    searched = search.run(budget)
    values, places = search.values, search.places
    source_ids, target_ids = places // right.shape[1], places % right.shape[1]
    named = strings if strings is not None else torch.Tensor.tolist
    return TokenPairs(source_ids, target_ids, values, searched, named(source_ids), named(target_ids))


class _Search:
    """The state of one search: both sides sorted by length, and the best pairs so far."""

    def __init__(self, left: torch.Tensor, right: torch.Tensor, n: int, cancelled: Callable[[], bool] | None) -> None:
        self.left, self.right, self.cancelled = left, right.mT, cancelled
        self.k = left.shape[1]
        self.n = min(n, len(left) * right.shape[1])
        turns = _decaying(left, self.right)
        rows, columns = (_times(side, turn) for side, turn in zip((self.left, self.right), turns, strict=True))
        (self.rows, self.a, self.row_ids), (self.columns, self.b, self.column_ids) = _sorted(rows), _sorted(columns)
        self.values = torch.empty(0, dtype=torch.float64)
        self.places = torch.empty(0, dtype=torch.int64)

    @property
    def least(self) -> float:
        """The value that a pair must exceed to be among the best."""
        return float(self.values[-1]) if len(self.values) == self.n else -torch.inf

    def run(self, budget: float | None) -> str:
        V1, V2 = len(self.rows), len(self.columns)
        self._warm()
        few = self._coordinates()
        n_rows, n_columns, searched = V1, V2, "all pairs"
        if budget is not None and float(self._reach(self.a).sum()) * few > budget:
            side = max(1, isqrt(int(budget / few)))
            n_rows = min(V1, max(side, int(budget / few / V2)))
            n_columns = max(1, min(V2, int(budget / few / n_rows)))
            searched = f"the {n_rows:,} x {n_columns:,} tokens with the longest vectors, of {V1:,} x {V2:,}"
        bounds = [_bounded(side, few) for side in (self.rows, self.columns)] if few < self.k else None
        for first in range(0, n_rows, ROWS):
            block = slice(first, min(first + ROWS, n_rows))
            start = 0
            while start < min(n_columns, int(self._reach(self.a[block][:1])[0])):  # `least` rises, so ask each time
                self._look(block, slice(start, min(start + COLUMNS, n_columns)), bounds)
                start += COLUMNS
        self._settle()
        return searched

    def _reach(self, lengths: torch.Tensor) -> torch.Tensor:
        """How many of the columns are long enough to make a winner with rows of these lengths."""
        needed = (self.least - _ROOM * self.k * lengths * self.b[0]) / lengths.clamp(min=1e-300)
        return torch.searchsorted(-self.b, -needed, right=True)

    def _warm(self) -> None:
        """Good pairs to start with: the longest rows with all columns, and the columns they like with all rows."""
        long = slice(0, WARM)
        most = []
        for start in range(0, len(self.columns), COLUMNS):
            self._look(long, slice(start, start + COLUMNS), None)
            most.append((self.rows[long] @ self.columns[start : start + COLUMNS].mT).amax(0))
        liked = torch.cat(most).topk(min(WARM, len(self.columns))).indices
        for start in range(0, len(self.rows), COLUMNS):
            self._look(slice(start, start + COLUMNS), liked, None)

    def _coordinates(self) -> int:
        """How many of the leading coordinates to look at first: those that cost least on a sample of all pairs."""
        rows, columns = (side[:: 1 + len(side) // size] for side, size in ((self.rows, ROWS), (self.columns, COLUMNS)))
        costs = {self.k: float(self.k)}
        for few in {max(1, self.k // part) for part in (16, 8, 4, 2)} - {self.k}:
            bound = _bounded(rows, few) @ _bounded(columns, few).mT
            passed = [float((bound.amax(axis) > self.least).double().mean()) for axis in (0, 1)]
            costs[few] = few + 1 + self.k * passed[0] * passed[1]
        return min(costs, key=lambda few: (costs[few], few))

    def _look(
        self, rows: slice | torch.Tensor, columns: slice | torch.Tensor, bounds: list[torch.Tensor] | None
    ) -> None:
        """Take the winners of one block into the best."""
        stop_if(self.cancelled)
        row_ids, column_ids = self.row_ids[rows], self.column_ids[columns]
        a, b = self.a[rows], self.b[columns]
        if not len(a) or not len(b):
            return
        least = self.least - _ROOM * self.k * float(a.max() * b.max())
        sides = self.rows[rows], self.columns[columns]
        stages = [sides] if bounds is None else [(bounds[0][rows], bounds[1][columns]), sides]
        in_rows, in_columns = torch.arange(len(a), device=a.device), torch.arange(len(b), device=b.device)
        for stage, (one, other) in enumerate(stages):
            product = one @ other.mT if stage == 0 else one[in_rows] @ other[in_columns].mT
            if float(product.max()) <= least:
                return
            passed = [(product.amax(axis) > least).nonzero()[:, 0] for axis in (1, 0)]
            in_rows, in_columns = in_rows[passed[0]], in_columns[passed[1]]
        row_ids, column_ids = row_ids[in_rows], column_ids[in_columns]
        exact = (self.left[row_ids].double() @ self.right[column_ids].double().mT).cpu()
        found, at = exact.flatten().topk(min(2 * self.n, exact.numel()))
        places = row_ids.cpu()[at // exact.shape[1]] * len(self.columns) + column_ids.cpu()[at % exact.shape[1]]
        self._merge(found, places)

    def _merge(self, values: torch.Tensor, places: torch.Tensor) -> None:
        places, inverse = torch.unique(torch.cat([self.places, places]), return_inverse=True)  # sorted: ties go by id
        merged = values.new_empty(len(places))
        merged[inverse] = torch.cat([self.values, values])
        order = merged.argsort(descending=True, stable=True)[: self.n]
        self.values, self.places = merged[order], places[order]

    def _settle(self) -> None:
        """The same pairs with values that do not depend on the blocks in which they were found."""
        sources, targets = (
            ids.to(self.left.device) for ids in (self.places // len(self.right), self.places % len(self.right))
        )
        values = (self.left[sources].double() * self.right[targets].double()).sum(1).cpu()
        self.places, self.values = self.places.sort().values, values[self.places.argsort()]
        order = self.values.argsort(descending=True, stable=True)
        self.places, self.values = self.places[order], self.values[order]


_ROOM = 2.0**-21
"""For each of k coordinates, what float32 may be off in a product, as a share of both lengths: 4 roundings."""


def _decaying(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Matrices S and T, `[k, k]` in float64, with (left S) (right T)^T = left right^T whose coordinates decay together.

    They are those of the product's singular vectors, each side with the root of the singular values. Where a side has
    nearly no full rank, that basis needs a division by nearly nothing; then that side's own axes serve both.
    """
    spectra = [torch.linalg.eigh(_gram(side)) for side in (left, right)]
    for values, axes in spectra:
        if values[0] <= 1e-12 * values[-1]:
            return axes.flip(1), axes.flip(1)
    (l_values, l_axes), (r_values, r_axes) = spectra
    U, S, Vh = torch.linalg.svd(l_values.sqrt()[:, None] * (l_axes.mT @ r_axes) * r_values.sqrt())
    if not S[-1] > 0:
        return l_axes.flip(1), l_axes.flip(1)
    return (l_axes / l_values.sqrt()) @ U * S.sqrt(), (r_axes / r_values.sqrt()) @ Vh.mT * S.sqrt()


def _gram(side: torch.Tensor) -> torch.Tensor:
    """side^T side in float64, in pieces: all of it in float64 may be too large."""
    found = torch.zeros(side.shape[1], side.shape[1], dtype=torch.float64, device=side.device)
    for piece in torch.split(side, 1 << 14):
        wide = piece.double()
        found.addmm_(wide.mT, wide)
    return found


def _times(side: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """side @ turn in float32, computed in float64."""
    return torch.cat([(piece.double() @ turn).float() for piece in torch.split(side, 1 << 14)])


def _sorted(side: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The rows from the longest to the shortest, their lengths in float64, and where they were."""
    lengths, order = side.double().norm(dim=1).sort(descending=True, stable=True)
    return side[order], lengths, order


def _bounded(side: torch.Tensor, few: int) -> torch.Tensor:
    """The first coordinates and the length of the others: products of these are at least the true ones."""
    return torch.cat([side[:, :few], side[:, few:].norm(dim=1, keepdim=True) * (1 + 1e-6)], 1)


def _checked(left: torch.Tensor, right: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Both sides, without a gradient and where float64 exists."""
    if left.ndim != 2 or right.ndim != 2 or left.shape[1] != right.shape[0] or 0 in (*left.shape, *right.shape):
        raise ValueError(
            f"left should be [V1, k] and right [k, V2], not {list(left.shape)} and {list(right.shape)}, and none empty"
        )
    for name, side in (("left", left), ("right", right)):
        if not bool(side.isfinite().all()):
            raise ValueError(f"{name} has NaN or inf in it")
    left, right = left.detach(), right.detach()
    return (left.cpu(), right.cpu()) if left.device.type == "mps" else (left, right)


def copying_accuracy(
    left: torch.Tensor,
    right: torch.Tensor,
    *,
    sample: int | None = None,
    seed: int = 0,
    cancelled: Callable[[], bool] | None = None,
) -> tuple[float, int]:
    """The share of tokens whose largest output is themselves: argmax_j (left @ right)[t, j] = t.

    A token counts as copied as well when another one has the same output, as tokens that were never trained may.

    Args:
        left, right: as in `top_pairs`, `[V, k]` and `[k, V]`.
        sample: how many tokens to look at, drawn at random without replacement; all of them by default.
        seed: of the draw.
        cancelled: asked between blocks.

    Returns:
        The share, and the number of tokens that were looked at.

    Raises:
        ValueError: for shapes that do not fit, NaN or inf, or a sample below 1.
        Cancelled: when `cancelled` says so.
    """
    left, right = _checked(left, right)
    if len(left) != right.shape[1]:
        raise ValueError(
            f"left has {len(left):,} tokens and right {right.shape[1]:,}; copying is among the same tokens"
        )
    if sample is not None and sample < 1:
        raise ValueError(f"the sample is {sample}; it should be 1 or more, or None for all tokens")
    drawn = torch.arange(len(left))
    if sample is not None and sample < len(left):
        drawn = torch.randperm(len(left), generator=torch.Generator().manual_seed(seed))[:sample]
    drawn = drawn.to(left.device)
    lengths, order = right.double().norm(dim=0).sort(descending=True)  # the longest columns decide most rows
    columns = right.float()[:, order]
    copied = 0
    for tokens in torch.split(drawn, ROWS):
        rows = left[tokens]
        alone = (rows.double() * right[:, tokens].double().mT).sum(1)
        size = rows.double().norm(dim=1) * left.shape[1]
        for start in range(0, len(order), COLUMNS):
            stop_if(cancelled)
            block = slice(start, start + COLUMNS)
            most = (rows.float() @ columns[:, block]).amax(1)
            close = most > alone - _ROOM * size * lengths[start]
            if close.any():  # float32 cannot tell; the token itself may be among them
                exact = (rows[close].double() @ right[:, order[block]].double()).amax(1)
                stays = torch.ones_like(close)
                stays[close] = exact <= alone[close] + 1e-13 * size[close] * lengths[start]
                rows, alone, size = rows[stays], alone[stays], size[stays]
        copied += len(rows)
    return copied / len(drawn), len(drawn)


def by_offset(circuit: FactoredMatrix, W_pos: Float[torch.Tensor, "n_ctx d_model"]) -> Float64[torch.Tensor, " n_ctx"]:
    """How much a query prefers the key so many positions back, as far as positions alone say.

    A score is W_pos[q] QK W_pos[key]; the mean over the keys that the query sees, 0 to q, is subtracted, since a
    softmax does not see it. What is left is averaged over the queries that have a key so far back.

    Args:
        circuit: QK of one head, `[d_model, d_model]`.
        W_pos: the learned positions, `[n_ctx, d_model]`.

    Returns:
        Float64 `[n_ctx]`: the mean score at offset 0 (the query itself), 1 (the previous token), ...

    Raises:
        ValueError: for shapes that do not fit.
    """
    if len(circuit.shape) != 2 or W_pos.ndim != 2 or circuit.shape != (W_pos.shape[1],) * 2:
        raise ValueError(
            f"the circuit should be [d_model, d_model] and W_pos [n_ctx, d_model], "
            f"not {list(circuit.shape)} and {list(W_pos.shape)}"
        )
    n_ctx, wide = len(W_pos), W_pos.double()
    queries, keys = (wide @ circuit.A.double()).cpu(), (circuit.B.double() @ wide.mT).cpu()
    position = torch.arange(n_ctx)
    sums = torch.zeros(n_ctx, dtype=torch.float64)
    for block in torch.split(position, ROWS):
        offsets = block[:, None] - position
        seen = offsets >= 0
        scores = (queries[block] @ keys).masked_fill_(~seen, 0)
        scores -= scores.sum(1, keepdim=True) / (block + 1)[:, None]
        sums.index_add_(0, offsets[seen], scores[seen])
    return sums / (n_ctx - position)
