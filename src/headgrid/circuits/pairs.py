"""Tokens against tokens and positions against positions, through one circuit: the largest entries of huge products.

A full circuit, W_E OV W_U or W_E QK W_E^T, is a d_vocab x d_vocab matrix of low rank (Elhage et al. 2021, A
Mathematical Framework for Transformer Circuits). Here it stays the product of `left [V, k]` and `right [k, V]`, and
only blocks of it are ever made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Float64, Int64

from headgrid.circuits.largest_entries import COLUMNS, ROOM, ROWS, LargestEntries
from headgrid.circuits.progress import Cancelled, stop_if
from headgrid.linalg.factored import FactoredMatrix

__all__ = ["Cancelled", "TokenPairs", "by_offset", "copying_accuracy", "top_pairs"]


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
    search = LargestEntries(left, right, n, cancelled)
    searched = search.run(budget)
    values, places = search.values, search.places
    source_ids, target_ids = places // right.shape[1], places % right.shape[1]
    named = strings if strings is not None else torch.Tensor.tolist
    return TokenPairs(source_ids, target_ids, values, searched, named(source_ids), named(target_ids))


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
            close = most > alone - ROOM * size * lengths[start]
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
