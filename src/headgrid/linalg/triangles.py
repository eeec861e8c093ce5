"""Gram matrices in float64, the triangles of factors, and singular values of products from both.

X^T X of a tall matrix is one matrix product, several times faster than a QR decomposition, but squares the condition
of X. So what the square has lost is looked at, matrix by matrix, and the slower way is taken where that matters.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch

GROWTH, GROWTH_OF_VALUES = 1e5, 1e6
"""How far the inverse of a Gram matrix of unit columns may have grown (its trace) for the Gram matrix to be used, where
directions are asked for and where singular values are.

Rounding it by eps changes every singular value of a product with X by the trace times eps / 2 at most, relative to
itself and whatever the other factor is (Ostrowski): about 1e-11 and 1e-10, and ten times that with the constants of
rounding.
"""
CONDITION = 1e6
"""The largest ||C||^2 / s^2 for which singular values of C, the smallest of which is s, are taken as roots of
eigenvalues: their error, relative to themselves, is this times eps at most, but for the constants of rounding."""
TOGETHER, TOGETHER_NARROW = 2**19, 2**17
"""How many entries of matrices are multiplied in one call, few enough to stay in a cache: by torch, and by numpy, whose
calls cost less."""
ROWS = 1024
"""How many rows are brought to float64 at a time: what a processor's cache holds, and a whole model is never copied."""
COLUMNS = 64
"""Up to how many columns numpy multiplies a matrix with its own transpose: it knows that one half of the result is the
other (BLAS' syrk), which torch has no call for. With more columns, OpenBLAS starts threads that cost several times what
they save."""
SQUARES = (1e-200, 1e200)
"""Between which squares stay within the range of float64, and their products too."""


@dataclass(frozen=True, eq=False)
class Triangle:
    """The upper triangle R of X = Q R for every matrix of a factor, X^T X = R^T R, made when it is asked for.

    Args:
        X: the factor, `[*, m, k]`.
        G: X^T X, `[*, k, k]`.
        squares: `[*, k]`, those of the norms of X's columns.
        norm: `[*]`, the Frobenius norm of X.
        made: R, and whether it is sound, where they are not those of G.
    """

    X: torch.Tensor
    G: torch.Tensor
    squares: torch.Tensor
    norm: torch.Tensor
    made: tuple[torch.Tensor, torch.Tensor] | None = None

    @cached_property
    def fits(self) -> torch.Tensor:
        """`[*]`, whether nothing in the Gram matrix is beyond the range of float64, and X is not wider than tall."""
        within = ((self.squares > SQUARES[0]) & (self.squares < SQUARES[1])).all(-1)
        return within if self.X.shape[-2] >= self.X.shape[-1] else torch.zeros_like(within)

    @cached_property
    def _root(self) -> tuple[torch.Tensor, torch.Tensor]:
        if self.made is not None:
            return self.made
        R, failed = torch.linalg.cholesky_ex(self.G, upper=True)
        sound = (failed == 0) & self.fits
        if not sound.all():
            R[~sound] = torch.eye(R.shape[-1], dtype=torch.float64, device=R.device)
        return R, sound

    @property
    def R(self) -> torch.Tensor:
        """`[*, k, k]`, with rows of zeros below where X has fewer than k rows."""
        return self._root[0]

    @property
    def sound(self) -> torch.Tensor:
        """`[*]`, whether R is from the Gram matrix and that was exact enough, as far as is known."""
        return self._root[1]

    def checked(self, growth: float) -> Triangle:
        """The triangle with that of a QR wherever the Gram matrix was not exact enough.

        Args:
            growth: how far the inverse of a sound Gram matrix of unit columns may have grown.
        """
        # NaN is not below the limit
        inverse = torch.cholesky_inverse(self.R, upper=True).diagonal(dim1=-2, dim2=-1)
        sound = self.sound & ((inverse * self.squares).sum(-1) <= growth)
        R, norm = self.R.clone(), self.norm.clone()
        for place in map(tuple, sound.logical_not().nonzero().tolist()):
            upper = torch.geqrf(self.X[place].double())[0][: R.shape[-1]].triu()
            R[place] = 0
            R[place][: len(upper)] = upper
            norm[place] = upper.norm()
        return replace(self, norm=norm, made=(R, sound))


def gram(x: torch.Tensor) -> torch.Tensor:
    """X^T X of each matrix `[*, m, k]`, in float64, `[*, k, k]`."""
    *batch, m, k = x.shape
    if not x.numel():
        return torch.zeros((*batch, k, k), dtype=torch.float64, device=x.device)
    G = torch.empty((*batch, k, k), dtype=torch.float64, device=x.device)
    each, totals = x.reshape(-1, m, k), G.view(-1, k, k)
    narrow = k <= COLUMNS and x.device.type == "cpu"
    # as many at once as a cache holds, in one piece of memory: fresh memory costs more than what is written into it
    rows = min(m, ROWS)
    n = max(1, min(len(each), (TOGETHER_NARROW if narrow else TOGETHER) // (rows * k)))
    # in the order in which they are stored: the heads of a layer often lie side by side in each row
    order = sorted(range(3), key=each.stride, reverse=True)
    room = G.new_empty([(n, rows, k)[axis] for axis in order]).permute([order.index(axis) for axis in range(3)])
    multiplied = _multiplied_narrow if narrow else _multiplied
    for first in range(0, len(each), n):
        some, total = each[first : first + n], totals[first : first + n]
        for start in range(0, m, rows):
            here = room[: len(some), : min(rows, m - start)].copy_(some[:, start : start + rows])
            multiplied(here, total, start > 0)
    return G


def _multiplied(x: torch.Tensor, into: torch.Tensor, more: bool) -> None:
    """X^T X of each matrix in float64, put into a tensor or added to what is there."""
    k = x.shape[-1]
    # blocks below the diagonal are copied, not multiplied: up to half of the work, where the blocks are not too small
    step = max(32, min(128, k // 4))
    for start in range(0, k, step):
        block = slice(start, min(start + step, k))
        product = x[..., block].mT @ x[..., start:]
        if more:
            into[:, block, start:] += product
        else:
            into[:, block, start:] = product
        into[:, block.stop :, block] = into[:, block, block.stop :].mT


def _multiplied_narrow(x: torch.Tensor, into: torch.Tensor, more: bool) -> None:
    """The same by numpy, for matrices on the CPU of `COLUMNS` columns at most."""
    one, total = x.numpy(), into.numpy()
    with np.errstate(all="ignore"):  # as torch: NaN and inf are looked for in the result
        if more:
            total += one.swapaxes(-1, -2) @ one
        else:
            np.matmul(one.swapaxes(-1, -2), one, out=total)


def triangle(x: torch.Tensor) -> Triangle:
    """The triangle of each matrix `[*, m, k]` from its Gram matrix: not yet checked, but where there is none."""
    G = gram(x)
    squares = G.diagonal(dim1=-2, dim2=-1)
    return Triangle(x, G, squares, squares.sum(-1).sqrt())


def singular_values(left: Triangle, right: Triangle) -> tuple[torch.Tensor, torch.Tensor]:
    """The singular values of the products A B from the triangles of A and B^T, and how large they could be.

    They are roots of eigenvalues where these show that this is exact, and the Gram matrices with it: no eigenvalue is
    off by more than what was rounded (Weyl), and the smallest tells what that is to all. Only elsewhere is more asked.

    Returns:
        The singular values `[*, k]`, from large to small, and the product of the Frobenius norms of A and B, `[*]`.
    """
    size = left.norm * right.norm
    one, other = (right, left) if right.G.numel() < left.G.numel() else (left, right)  # fewer triangles are fewer
    M = _with_transposed(_with_transposed(one.R, other.G), one.R)
    if not M.numel():
        return M.new_zeros(M.shape[:-1]), size
    square = size.square()
    fits = one.sound & other.fits & (square > SQUARES[0]) & (square < SQUARES[1])
    if not fits.all():
        M[~fits] = 0
    most = M.diagonal(dim1=-2, dim2=-1).sum(-1)
    squares = _eigenvalues(M.reshape(-1, *M.shape[-2:]), most.flatten()).view(M.shape[:-1])
    values, least = squares.clamp(min=0).sqrt().flip(-1), squares[..., 0]
    flat = fits & (most <= CONDITION * least)
    grams = (torch.linalg.matrix_norm(x.G) for x in (right, left))
    rounded = torch.maximum(*(x.norm.square() * of for x, of in zip((left, right), grams, strict=True)))
    if (flat & (rounded <= GROWTH_OF_VALUES * least)).all():
        return values, size
    left, right = left.checked(GROWTH_OF_VALUES), right.checked(GROWTH_OF_VALUES)
    slow = ~(flat & left.sound & right.sound)
    over, under = (x.R.expand(M.shape)[slow] for x in (left, right))
    values[slow] = torch.linalg.svdvals(over @ under.mT)
    return values, left.norm * right.norm


def _eigenvalues(M: torch.Tensor, most: torch.Tensor) -> torch.Tensor:
    """The eigenvalues of each matrix `[n, k, k]`, from small to large.

    Only zeros after the first matrix if its own are too far apart to be of use: those of a layer's heads are alike.
    """
    found = torch.zeros(M.shape[:-1], dtype=M.dtype, device=M.device)
    found[:1] = torch.linalg.eigvalsh(M[:1])
    if most[0] <= CONDITION * found[0, 0]:
        found[1:] = torch.linalg.eigvalsh(M[1:])
    return found


def _with_transposed(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """X Y^T of square matrices in float64."""
    if x.shape[-1] > COLUMNS or x.device.type != "cpu":
        return x @ y.mT
    with np.errstate(all="ignore"):
        return torch.from_numpy(x.numpy() @ y.mT.numpy())
