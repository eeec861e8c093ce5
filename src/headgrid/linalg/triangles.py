"""Gram matrices in float64, the triangles of factors, and singular values of products from both.

X^T X of a tall matrix is one matrix product, several times faster than a QR decomposition, but squares the condition
of X. So what the square has lost is looked at, matrix by matrix, and the slower way is taken where that matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

GROWTH, GROWTH_OF_VALUES = 1e5, 1e6
"""How far the inverse of a Gram matrix of unit columns may have grown (its trace) for the Gram matrix to be used, where
directions are asked for and where singular values are.

Rounding it by eps changes every singular value of a product with X by the trace times eps / 2 at most, relative to
itself and whatever the other factor is (Ostrowski): about 1e-11 and 1e-10, and ten times that with the constants of
rounding.
"""
CONDITION = 1e6
"""The largest ||C||^2 ||C^-1||^2 for which singular values of C are looked for as roots of eigenvalues: their error,
relative to themselves, is this times eps at most, but for the constants of rounding."""
TOGETHER = 2**19
"""How many entries of matrices are multiplied in one call: few enough to stay in a cache."""
ROWS = 1024
"""How many rows are brought to float64 at a time: what a processor's cache holds, and a whole model is never copied."""


@dataclass(frozen=True, eq=False)
class Triangle:
    """The upper triangle R of X = Q R for every matrix of a factor: X^T X = R^T R.

    Args:
        R: `[*, k, k]`, with rows of zeros below where X has fewer than k rows.
        inverse: `[*, k, k]`, of R where it is sound; anything elsewhere.
        sound: `[*]`, whether R is from the Gram matrix, which was exact enough; otherwise it is from a QR.
        norm: `[*]`, the Frobenius norm of X.
    """

    R: torch.Tensor
    inverse: torch.Tensor
    sound: torch.Tensor
    norm: torch.Tensor


def gram(x: torch.Tensor) -> torch.Tensor:
    """X^T X of each matrix `[*, m, k]`, in float64, `[*, k, k]`."""
    *batch, m, k = x.shape
    if not x.numel():
        return torch.zeros((*batch, k, k), dtype=torch.float64, device=x.device)
    G = torch.empty((*batch, k, k), dtype=torch.float64, device=x.device)
    # blocks below the diagonal are copied, not multiplied: up to half of the work, where the blocks are not too small
    step = max(32, min(128, k // 4))
    blocks = [slice(start, min(start + step, k)) for start in range(0, k, step)]
    each, totals = x.reshape(-1, m, k), G.view(-1, k, k)
    # as many at once as a cache holds, in one piece of memory: fresh memory costs more than what is written into it
    n = max(1, min(len(each), TOGETHER // (min(m, ROWS) * k)))
    shape = (n, k, min(m, ROWS)) if x.stride(-2) < x.stride(-1) else (n, min(m, ROWS), k)
    room = G.new_empty(shape).mT if x.stride(-2) < x.stride(-1) else G.new_empty(shape)
    for first in range(0, len(each), n):
        some, total = each[first : first + n], totals[first : first + n]
        for start in range(0, m, ROWS):
            here = room[: len(some), : min(ROWS, m - start)].copy_(some[:, start : start + ROWS])
            for block in blocks:
                product = here[..., block].mT @ here[..., block.start :]
                if start:
                    total[:, block, block.start :] += product
                else:
                    total[:, block, block.start :] = product
        for block in blocks[:-1]:
            total[:, block.stop :, block] = total[:, block, block.stop :].mT
    return G


def triangle(x: torch.Tensor, growth: float = GROWTH) -> Triangle:
    """The triangle of each matrix `[*, m, k]`: from its Gram matrix where that is sound, from its QR elsewhere.

    Args:
        x: the matrices.
        growth: how far the inverse of a sound Gram matrix of unit columns may have grown.
    """
    *batch, m, k = x.shape
    if m < k:
        R, inverse = torch.zeros((2, *batch, k, k), dtype=torch.float64, device=x.device)
        norm = R.new_zeros(batch)
        sound = norm > 0
    else:
        G = gram(x)
        square = G.diagonal(dim1=-2, dim2=-1)
        R = torch.linalg.cholesky_ex(G, upper=True)[0]
        identity = torch.eye(k, dtype=torch.float64, device=x.device)
        inverse = torch.linalg.solve_triangular(R, identity, upper=True)
        # NaN, of a column of zeros and where the decomposition stopped, is not below the limit
        sound = (inverse.square().sum(-1) * square).sum(-1) <= growth
        sound &= ((square > 1e-200) & (square < 1e200)).all(-1)  # else squares leave the range of float64
        norm = square.sum(-1).sqrt()
    for place in map(tuple, sound.logical_not().nonzero().tolist()):
        upper = torch.geqrf(x[place].double())[0][:k].triu()
        R[place] = 0
        R[place][: len(upper)] = upper
        norm[place] = upper.norm()
    return Triangle(R, inverse, sound, norm)


def singular_values(left: Triangle, right: Triangle) -> torch.Tensor:
    """The singular values of the products A B, `[*, k]`, from large to small, from the triangles of A and B^T.

    Where these are of one size, as the inverses tell, they are found as roots of eigenvalues, which is faster, and as
    exact.
    """
    C = left.R @ right.R.mT
    if not C.numel():
        return C.new_zeros(C.shape[:-1])
    size = C.square().sum((-2, -1))
    inverse = right.inverse.mT @ left.inverse
    flat = size * inverse.square().sum((-2, -1)) <= CONDITION  # False for NaN
    flat &= (size > 1e-200) & (size < 1e200) & left.sound & right.sound  # else squares leave the range of float64
    if flat.all():
        return _flat_values(C)
    values = C.new_empty(C.shape[:-1])
    values[flat], values[~flat] = _flat_values(C[flat]), torch.linalg.svdvals(C[~flat])
    return values


def _flat_values(C: torch.Tensor) -> torch.Tensor:
    """The singular values of each matrix, `[*, k]`, from the eigenvalues of C C^T."""
    squares: torch.Tensor = torch.linalg.eigvalsh(C @ C.mT)
    return squares.clamp(min=0).sqrt().flip(-1)
