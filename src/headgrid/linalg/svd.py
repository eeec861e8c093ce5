"""Singular values and the leading singular directions, from Gram matrices in float64 wherever those are exact enough.

X^T X of a tall matrix is one matrix product, several times faster than a QR decomposition, but squares the condition
of X. So everything here looks at what the square has lost, matrix by matrix, and takes the slower way where that
matters: what is returned has the accuracy that is stated, whatever the weights are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64

from headgrid.linalg.triangles import gram
from headgrid.utils.arguments import integer, number, shown

EPS = torch.finfo(torch.float64).eps


@dataclass(frozen=True, eq=False)
class Spectrum:
    """All singular values of a matrix, and its leading singular directions.

    Args:
        values: `[*, r]`, from large to small.
        left: `[*, m, k]`, orthonormal columns. The largest entry of each is positive, as in `FactoredMatrix.svd`.
        right: `[*, k, n]`, orthonormal rows.
        zero: `[*]`; singular values up to it are rounding: they say that the rank is lower.
    """

    values: Float64[torch.Tensor, "*batch r"]
    left: Float64[torch.Tensor, "*batch m k"]
    right: Float64[torch.Tensor, "*batch k n"]
    zero: Float64[torch.Tensor, "*batch"]

    def unclear(self, gap: float = 1e-3) -> Bool[torch.Tensor, "*batch r"]:
        """Which singular values have directions that are not identified, `[*, r]`: see `FactoredMatrix.clusters`."""
        return clusters(self.values, self.zero, gap)


def spectrum_of(W: torch.Tensor, k: int = 10) -> Spectrum:
    """The singular values of a dense matrix and its k leading directions, as those of an MLP's input or output weights.

    From the eigenvalues of the Gram matrix of the smaller side. A singular value s has an error of about
    1e-15 s_1^2 / s (measured: below 1e-14 s_1^2 / s): relative to itself 1e-8 at worst where s > 1e-3 s_1, and
    1e-14 where s is near s_1; what is below 1e-7 s_1 cannot be told from 0, and may come out as 0.
    Directions are orthonormal to 1e-9, and right as far as W is known in float32: |W v - s u| <= 1e-6 s_1 (checked),
    so that their error is this divided by the gap to the next singular value. Where many values are too close for
    this to be reached fast, all eigenvectors are computed, and where s_k < 1e-3 s_1, the full decomposition in
    float64; both are slower.

    Args:
        W: `[m, n]` in bfloat16, float16, float32 or float64; a ValueError for anything else, and for NaN or inf.
        k: how many directions; min(m, n) at most are returned.
    """
    if not isinstance(W, torch.Tensor) or not W.is_floating_point() or W.ndim != 2:
        raise ValueError(f"the spectrum is that of one floating-point matrix [m, n], not of {shown(W)}")
    W = on_float64(W.detach())
    if not W.sum().isfinite():  # the sum alone is much faster, and NaN and inf never leave it finite
        require_finite("matrix W", W)
    k = how_many(k, min(W.shape))
    if W.shape[0] > W.shape[1]:
        flipped = _of_wide(W.mT, k)
        left, right = flipped.right.mT, flipped.left.mT
    else:
        flipped = _of_wide(W, k)
        left, right = flipped.left, flipped.right
    sign = signs(left)
    return Spectrum(flipped.values, left * sign, right * sign.mT, flipped.zero)


def _of_wide(W: torch.Tensor, k: int) -> Spectrum:
    """The spectrum of a matrix with no more rows than columns, whatever the signs."""
    G = gram(W.mT)
    squares = torch.linalg.eigvalsh(G).flip(-1)
    values = squares.clamp(min=0).sqrt()
    zero = 1e-7 * values[:1].sum()
    if k and not values[k - 1] >= 1e-3 * values[0]:
        left, values, right = torch.linalg.svd(W.double(), full_matrices=False)
        return Spectrum(values, left[:, :k], right[:k], max(W.shape) * EPS * values[0])
    left, size = _leading(G, squares, k)
    right = torch.zeros((k, W.shape[1]), dtype=torch.float64, device=W.device)
    for start in range(0, len(W), 128):
        right.addmm_(left[start : start + 128].mT, W[start : start + 128].double())
    return Spectrum(values, left, right / size.sqrt()[:, None], zero)


def _leading(G: torch.Tensor, values: torch.Tensor, k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The k leading eigenvectors `[n, k]` of a symmetric matrix with these eigenvalues, and their Rayleigh quotients.

    Polynomials of Chebyshev of the matrix, made to measure for the eigenvalues, which are known, turn a random block
    towards them, in float32 first (after Zhou and Saad 2007, A Chebyshev-Davidson algorithm for large symmetric
    eigenproblems). All eigenvectors are computed where this would take long or has not brought them.
    """
    n, block = len(G), 2 * k + 12
    if k and 8 * block < n:
        low, floor, last, first = (values[i].item() for i in (-1, block, k - 1, 0))
        span = floor - low
        slow, fast = (math.acosh(1 + 2 * (x - floor) / span) if span > 0 else 0.0 for x in (last, first))
        if slow > 0.2:
            M = G * (2 / span)
            M.diagonal().sub_((floor + low) / span)
            few = M.float()
            start = torch.Generator().manual_seed(0)
            Q = torch.randn(n, block, dtype=few.dtype, device="cpu", generator=start).to(G.device)
            # where columns outgrow each other more than this, float32 loses the smaller ones
            whole, at_once = math.ceil(19 / slow), max(1, int(min(3 / max(fast - slow, 1e-9), 60 / fast)))
            for done in range(0, whole, at_once):
                Q = _filtered(few, torch.linalg.qr(Q)[0] if done else Q, min(at_once, whole - done))
            for _ in range(3):
                Q = torch.linalg.qr(Q.double())[0]
                GQ = G @ Q
                ritz, turn = torch.linalg.eigh(Q.mT @ GQ)
                ritz, turn = ritz.flip(0)[:k], turn.flip(1)[:, :k]
                vectors = Q @ turn
                residual = (GQ @ turn - vectors * ritz).norm(dim=0).max()
                if residual <= 1e-6 * math.sqrt(last * first):
                    if (ritz - values[:k]).abs().max() <= 1e-10 * first:
                        return vectors, ritz
                    break
                Q = _filtered(M, vectors, min(8, at_once))
    values, vectors = torch.linalg.eigh(G)
    return vectors.flip(1)[:, :k], values.flip(0)[:k]


def _filtered(M: torch.Tensor, X: torch.Tensor, degree: int) -> torch.Tensor:
    """The polynomial of Chebyshev of M times X: at most X where M is within -1 and 1, and much more above."""
    before, X = X, M @ X
    for _ in range(degree - 1):
        before, X = X, torch.addmm(before, M, X, beta=-1, alpha=2)
    return X


def factored_svd(
    A: torch.Tensor, B: torch.Tensor, R: tuple[torch.Tensor, torch.Tensor] | None, k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """U `[m, k]`, S `[r]` and Vh `[k, n]` of one matrix A B, from sound triangles of A and B^T, or without any."""
    if R is None:
        (Q, tau), (P, rho) = torch.geqrf(A.double()), torch.geqrf(B.double().mT)
        inner, S, outer = torch.linalg.svd(_upper(Q) @ _upper(P).mT, full_matrices=False)
        U, V = _rotated(Q, tau, inner[:, :k]), _rotated(P, rho, outer[:k].mT)
    else:
        left, right = R
        inner, S, outer = torch.linalg.svd(left @ right.mT)
        # in this order the products are up to 25 times faster than A @ inner, whichever way A is stored
        U = (torch.linalg.solve_triangular(left, inner[:, :k], upper=True).mT @ A.mT.double()).mT
        V = (torch.linalg.solve_triangular(right, outer[:k].mT, upper=True).mT @ B.double()).mT
    sign = signs(U)
    return U * sign, S, (V * sign).mT


def _upper(reflectors: torch.Tensor) -> torch.Tensor:
    """The R of a QR decomposition, `[min(m, k), k]`."""
    return reflectors[: min(reflectors.shape)].triu()


def _rotated(reflectors: torch.Tensor, tau: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """Q times `inner`, without forming the Q of the QR decomposition."""
    padded = inner.new_zeros(inner.shape[1], reflectors.shape[0]).mT
    padded[: inner.shape[0]] = inner
    return torch.ormqr(reflectors[:, : len(tau)], tau, padded)


def signs(U: torch.Tensor) -> torch.Tensor:
    """The signs `[1, k]` that make the largest entry of each column positive: the first, of those within 1e-6 of it."""
    if not U.numel():
        return U.new_ones(1, U.shape[1])
    largest = U.abs() >= (1 - 1e-6) * U.abs().amax(0)
    first = largest.to(torch.uint8).argmax(0, keepdim=True)
    return U.gather(0, first).sign()


def clusters(S: torch.Tensor, zero: torch.Tensor, gap: float) -> torch.Tensor:
    """Which singular values `[*, r]` are within `gap` of a neighbor, of the larger one's size, or not above `zero`."""
    gap = number("gap", gap, least=0, what="a part of a singular value")
    found = S.le(zero[..., None])
    close = S[..., :-1] - S[..., 1:] <= gap * (1 + 1e-9) * S[..., :-1]  # singular values are no more exact than this
    found[..., 1:] |= close
    found[..., :-1] |= close
    return found


def how_many(k: int | None, r: int) -> int:
    """The number of directions that is asked for, k of r. An error where k is no such number."""
    if k is None:
        return r
    return min(integer("k", k, least=0, what="a number of directions"), r)


def on_float64(x: torch.Tensor) -> torch.Tensor:
    """The same tensor where float64 exists: on the CPU if it is on a device (MPS) that does not know it."""
    return x.to("cpu") if x.device.type == "mps" else x


def require_finite(name: str, x: torch.Tensor) -> None:
    """A ValueError that says where a tensor has NaN or inf, if it has."""
    if len(places := x.isfinite().logical_not().nonzero()):
        where = f"{len(places)} entries, the first at {places[0].tolist()}"
        raise ValueError(f"the {name} has NaN or inf in {where}")
