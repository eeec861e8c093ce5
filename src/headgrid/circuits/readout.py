"""The largest and smallest entries of W d for many directions d, exactly, in one pass over W as it is stored.

Reading directions through a vocabulary costs as much as reading that matrix from memory does, so it is read once for
all directions, piece by piece, in the fastest arithmetic there is: bfloat16 where the processor has it. Such a product
is wrong by no more than a bound, which the rounding errors of its operands give. So every token that could be among
the largest is known, and these few are computed again, in float64. A direction has about 20 of them in a random matrix
of GPT-2's size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float64, Int64

BLOCK = 64
"""Neighboring logits of which only the largest and smallest are looked at first."""

LOGITS_BYTES = 2**26
"""Approximate logits that are held at a time, in bytes."""

MANY = 256
"""Possible tokens for each direction, beyond which a more exact product is cheaper than computing these in float64."""


@dataclass(frozen=True)
class Extremes:
    """The largest and smallest entries of each row of logits, on the CPU.

    Attributes:
        ids, values: `[k, n]` int64 and float64, from the largest logit down; of equal ones, the smaller id first.
        bottom_ids, bottom_values: the same from the smallest logit up.
    """

    ids: Int64[torch.Tensor, "k n"]
    values: Float64[torch.Tensor, "k n"]
    bottom_ids: Int64[torch.Tensor, "k n"]
    bottom_values: Float64[torch.Tensor, "k n"]


@dataclass(frozen=True)
class RowNorms:
    """Bounds on the norms of a matrix's rows, which bound the error of a product with it.

    Attributes:
        row: the largest norm of a row; not finite where the matrix is not, or where float32 cannot hold its square.
        rest: the largest norm of what rounding a row to bfloat16 takes away.
    """

    row: float
    rest: float


def row_norms(W: torch.Tensor) -> RowNorms:
    """The norms of the rows of `W [V, m]`: one pass over it."""
    row = rest = 0.0
    step = _rows(W, 2**18)
    for first in range(0, len(W), step):
        single = W[first : first + step].float()
        row = max(row, float(torch.linalg.vector_norm(single, dim=1).max()), key=_nan_is_largest)
        if W.dtype != torch.bfloat16:
            lost = torch.linalg.vector_norm(single - single.bfloat16(), dim=1).max()
            rest = max(rest, float(lost), key=_nan_is_largest)
    return RowNorms(row, rest)


def extremes(W: torch.Tensor, directions: torch.Tensor, n: int, size: RowNorms) -> Extremes:
    """The n largest and smallest entries of W d, for each direction d, as a float64 product would have them.

    Args:
        W: `[V, m]`, a view in any layout, of any floating-point dtype, on any device; finite.
        directions: `[k, m]`, finite.
        n: how many; at most V are given.
        size: what `sizes` says of `W`.
    """
    exact = directions.detach().cpu().double()
    n = min(n, len(W))
    ids, zeros = torch.arange(n).expand(len(exact), n), exact.new_zeros(len(exact), n)
    found = Extremes(ids.clone(), zeros, ids.clone(), zeros.clone())  # a direction of length 0 keeps this
    rows = exact.any(-1).nonzero()[:, 0]
    if n and len(rows):
        near = _possible(W, exact[rows], n, size)
        for sign, to_ids, to_values in ((-1, found.ids, found.values), (1, found.bottom_ids, found.bottom_values)):
            order = torch.argsort(near.token, stable=True)
            order = order[torch.argsort(sign * near.logit[order], stable=True)]
            order = order[torch.argsort(near.row[order], stable=True)]
            firsts = torch.searchsorted(near.row[order], torch.arange(len(rows)))
            order = order[firsts[:, None] + torch.arange(n)]
            to_ids[rows], to_values[rows] = near.token[order], near.logit[order]
    return found


def _possible(W: torch.Tensor, exact: torch.Tensor, n: int, size: RowNorms) -> _Near:
    """The tokens that could be among the extremes, by ever more exact products, with their exact logits."""
    scale = exact.abs().amax(-1, keepdim=True)  # first this, so that no square overflows
    norm = scale * (exact / scale).norm(dim=-1, keepdim=True)
    unit = exact / norm
    for dtype in _dtypes(W) if 1e-15 < size.row < 1e15 else ():  # there, no float32 over- or underflows
        product = _bounded(W, unit, size, dtype)
        near = _candidates(W, unit, n, product)
        if near is None:
            continue
        logit = _dots(W, exact, near.row, near.token)
        # the bound is that of arithmetic as it should be; whether it is so is seen where it matters
        wrong = (logit / norm[near.row, 0] - near.logit).abs()
        if bool((wrong <= product.flat[near.row] + product.share * near.logit.abs()).all()):
            return _Near(near.row, near.token, logit)
    if len(exact) == 1:
        row, token = torch.zeros(len(W), dtype=torch.int64), torch.arange(len(W))
        return _Near(row, token, _dots(W, exact, row, token))
    half = len(exact) // 2  # mostly it is a single direction, of which all tokens have about the same logit
    first, second = _possible(W, exact[:half], n, size), _possible(W, exact[half:], n, size)
    joined = (torch.cat(pair) for pair in zip(first, second._replace(row=second.row + half), strict=True))
    return _Near(*joined)


def _dtypes(W: torch.Tensor) -> list[torch.dtype]:
    """The dtypes to multiply in, the fastest first."""
    fast = W.dtype == torch.bfloat16
    if W.device.type == "cpu":
        fast = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    return [torch.bfloat16] * fast + [torch.float32] + [torch.float64] * (W.device.type != "mps")


class _Near(NamedTuple):
    """Entries of the logits that could be among the extremes, `[c]` each: direction, token, and logit."""

    row: torch.Tensor
    token: torch.Tensor
    logit: torch.Tensor


@dataclass(frozen=True)
class _Product:
    """An approximate product: the dtype of its operands and results, and how wrong `x` can be: `flat + share |x|`."""

    dtype: torch.dtype
    flat: torch.Tensor  # [k]
    share: float


def _bounded(W: torch.Tensor, unit: torch.Tensor, size: RowNorms, dtype: torch.dtype) -> _Product:
    """A product with its error bound, of unit directions: |w d - w' d'| <= |w| |d - d'| + |w - w'| |d'|, and sums.

    Sums are taken in any order, those of bfloat16 in float32; results are rounded to the dtype.
    """
    eps, lost = torch.finfo(dtype).eps, (unit - unit.to(dtype)).norm(dim=-1)
    cut = size.rest if dtype == torch.bfloat16 else size.row * eps if W.dtype == torch.float64 else 0.0
    flat = 1.01 * (size.row * lost + cut + size.row * W.shape[1] * min(eps, 2**-23))
    return _Product(dtype, flat, eps / 2)


def _candidates(W: torch.Tensor, unit: torch.Tensor, n: int, product: _Product) -> _Near | None:
    """The tokens that the error bound leaves a chance to be among the extremes; None where they are too many.

    The n-th largest of the blocks' largest is at most the n-th largest logit. What is certainly smaller is out.
    """
    k, block = len(unit), BLOCK if len(W) >= 4 * n * BLOCK else 1
    top = unit.new_full((k, n), -torch.inf)
    bottom = -top
    low = high = top[:, 0]
    kept: list[_Near] = []
    for start, count, logits in _logits(W, unit, product.dtype):
        blocks = logits.view(k, -1, block)
        logits[:, count:] = -torch.inf
        largest = blocks.amax(-1).cpu().double()
        if largest.isnan().any():
            raise ValueError("the matrix has NaN or inf in it")
        logits[:, count:] = torch.inf
        smallest = blocks.amin(-1).cpu().double()
        top = torch.cat([top, largest], 1).topk(n).values
        bottom = torch.cat([bottom, smallest], 1).topk(n, largest=False).values
        high, low = _reached(top[:, -1], product), -_reached(-bottom[:, -1], product)
        row, at = ((largest >= high[:, None]) | (smallest <= low[:, None])).nonzero(as_tuple=True)
        if len(row) * block > 16 * MANY * k + 2**16:
            return None
        inside = blocks[row.to(W.device), at.to(W.device)].cpu().double()
        token = at[:, None] * block + torch.arange(block)
        chosen = ((inside >= high[row, None]) | (inside <= low[row, None])) & (token < count)
        hit, place = chosen.nonzero(as_tuple=True)
        kept.append(_Near(row[hit], start + token[hit, place], inside[hit, place]))
    near = _Near(*map(torch.cat, zip(*kept, strict=True)))
    still = (near.logit >= high[near.row]) | (near.logit <= low[near.row])
    near = _Near(*(one[still] for one in near))
    return near if len(near.token) <= MANY * k + 2**12 else None


def _reached(least: torch.Tensor, product: _Product) -> torch.Tensor:
    """The smallest approximate logit `[k]` whose exact one could reach that of an approximate one, `least`."""
    edge = least - product.share * least.abs() - 2 * product.flat
    return torch.where(edge >= 0, edge / (1 + product.share), edge / (1 - product.share))


def _logits(W: torch.Tensor, unit: torch.Tensor, dtype: torch.dtype) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Approximate logits `[k, some]` of neighboring tokens, with the first and how many; padded to whole blocks."""
    directions = unit.to(dtype).to(W.device)
    held = max(1, LOGITS_BYTES // (len(unit) * dtype.itemsize) // BLOCK) * BLOCK
    step = min(held, _rows(W, 2**25 if W.dtype == dtype else 2**20))  # what is converted should stay in the cache
    held = min(held // step * step, -(-len(W) // BLOCK) * BLOCK)
    buffer = torch.empty(len(unit), held, dtype=dtype, device=W.device)
    turned = None if W.dtype == dtype else torch.empty_like(W[:step], dtype=dtype)
    for start in range(0, len(W), held):
        count = min(held, len(W) - start)
        for first in range(0, count, step):
            piece = W[start + first : start + min(first + step, count)]
            if turned is not None:
                # by way of float32, which is five times as fast from float16
                piece = turned[: len(piece)].copy_(piece.float() if W.dtype == torch.float16 else piece)
            torch.mm(directions, piece.mT, out=buffer[:, first : first + len(piece)])
        yield start, count, buffer[:, : -(-count // BLOCK) * BLOCK]


def _dots(W: torch.Tensor, directions: torch.Tensor, row: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
    """The logits `[c]` of these directions for these tokens, in float64."""
    found, step = directions.new_empty(len(row)), _rows(W, 2**19)
    for first in range(0, len(row), step):
        few = slice(first, first + step)
        read = W.index_select(0, token[few].to(W.device)).cpu().double()
        found[few] = (read * directions[row[few]]).sum(-1)
    return found


def _rows(W: torch.Tensor, entries: int) -> int:
    """How many rows have about as many entries, in whole blocks."""
    return max(1, entries // max(1, W.shape[1]) // BLOCK) * BLOCK


def _nan_is_largest(number: float) -> float:
    return torch.inf if number != number else number


def product(U: torch.Tensor, E: torch.Tensor) -> torch.Tensor:
    """U E, `[m, m]`, of `U [m, V]` and `E [V, m]`, in float32 or float64, a few tokens at a time.

    Where both are one tensor (tied embeddings), the result is symmetric and half of it is computed. Tokens that only
    one of them has (a padded vocabulary) are left out.
    """
    dtype = torch.promote_types(torch.promote_types(U.dtype, E.dtype), torch.float32)
    m, V = len(U), min(U.shape[1], len(E))
    found = torch.zeros(m, m, dtype=dtype, device=E.device)
    tied = U.data_ptr() == E.data_ptr() and U.stride() == E.mT.stride()
    blocks = [slice(m * i // 4, m * (i + 1) // 4) for i in range(4)] if tied else [slice(None)]
    step = _rows(E, 2**22)
    for first in range(0, V, step):
        right = E[first : min(first + step, V)].to(dtype)
        left = right.mT if tied else U[:, first : min(first + step, V)].to(right)
        for i, above in enumerate(blocks):
            for beside in blocks[i:]:
                found[above, beside] += left[above] @ right[:, beside]
    for i, above in enumerate(blocks):
        for beside in blocks[i + 1 :]:
            found[beside, above] = found[above, beside].mT
    return found


def of_tokens(table: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """A table of tokens times a factor, `[d_vocab, m] @ [m, r]`, in float32 or better, piece by piece."""
    dtype = torch.promote_types(torch.promote_types(table.dtype, factor.dtype), torch.float32)
    factor = factor.to(table.device, dtype)
    return torch.cat([piece.to(dtype) @ factor for piece in torch.split(table, 8_192)])
