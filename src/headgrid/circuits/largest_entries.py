"""The largest entries of a product of two thin matrices, found without the product; `pairs.top_pairs` says how."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

import torch

from headgrid.circuits.progress import stop_if

ROWS, COLUMNS = 512, 2048
"""The block of the product that is looked at in one piece: 4 MiB, so that it stays in the cache."""

WARM = 256
"""The rows, and then the columns, that are searched first, so that most of the rest can be skipped."""

ROOM = 2.0**-21
"""For each of k coordinates, what float32 may be off in a product, as a share of both lengths: 4 roundings."""


class LargestEntries:
    """One search: both sides sorted by length, and the best entries so far.

    Args:
        left, right: `[V1, k]` and `[k, V2]`, finite and not empty.
        n: how many entries, or all that there are.
        cancelled: asked between blocks.

    Attributes:
        values: the largest entries, from the largest down, float64.
        places: where each is, `row * V2 + column`.
    """

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
        """Search, with about so many multiplications at most; says of what."""
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
        needed = (self.least - ROOM * self.k * lengths * self.b[0]) / lengths.clamp(min=1e-300)
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
        least = self.least - ROOM * self.k * float(a.max() * b.max())
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
