"""FactoredMatrix: a product A B that is never multiplied out, as OV = W_V W_O and QK = W_Q W_K^T of a head are.

A head's circuit is a d_model x d_model matrix of rank at most d_head (Elhage et al. 2021, A Mathematical Framework
for Transformer Circuits); everything asked of it here costs as much as its two thin factors do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch


@dataclass(frozen=True, eq=False, repr=False)
class FactoredMatrix:
    """The matrix product of `A` and `B`, kept in factors; leading axes are batch axes and broadcast.

    Factors are detached: gradients stop here. They are not copied, so a change of the weights that they view is seen.
    Products are computed in float32, or float64 where an operand is. Spectra, `norm` and `trace` are computed and
    returned in float64 (complex128 for eigenvalues), on the CPU where the device knows no float64 (MPS); each raises
    a ValueError for NaN or inf in a factor. Nothing is cached. A batch, a rank or a side of size 0 is allowed.

    Args:
        A: the left factor, `[*, m, k]`: bfloat16, float16, float32 or float64.
        B: the right factor, `[*, k, n]`. Factors of different dtypes are brought to the wider one; a ValueError says
            what is wrong with other dtypes, with less than two axes, or with shapes and devices that do not fit.
    """

    A: torch.Tensor
    B: torch.Tensor

    def __post_init__(self) -> None:
        for name, factor in (("A", self.A), ("B", self.B)):
            if not isinstance(factor, torch.Tensor) or not factor.is_floating_point() or factor.ndim < 2:
                found = f"{factor.dtype} {list(factor.shape)}" if isinstance(factor, torch.Tensor) else type(factor)
                raise ValueError(f"the factor {name} should be a floating-point tensor of 2 or more axes, not {found}")
        _check_fit(self.A.shape, self.B.shape)
        if self.A.device != self.B.device:
            raise ValueError(f"A and B should be on one device, not on {self.A.device} and {self.B.device}")
        dtype = torch.promote_types(self.A.dtype, self.B.dtype)
        for name, factor in (("A", self.A), ("B", self.B)):
            object.__setattr__(self, name, factor.detach().to(dtype))

    def __repr__(self) -> str:
        return f"FactoredMatrix(shape={list(self.shape)}, rank_bound={self.rank_bound}, dtype={self.dtype})"

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the product, `(*, m, n)`."""
        return (*np.broadcast_shapes(self.A.shape[:-2], self.B.shape[:-2]), self.A.shape[-2], self.B.shape[-1])

    @property
    def rank_bound(self) -> int:
        """The inner size k, which the rank of the product cannot exceed."""
        return self.A.shape[-1]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype in which both factors are kept."""
        return self.A.dtype

    @property
    def T(self) -> FactoredMatrix:
        """The transpose of each matrix, `[*, n, m]`; its factors are views."""
        return FactoredMatrix(self.B.mT, self.A.mT)

    def dense(self) -> torch.Tensor:
        """The product multiplied out, `[*, m, n]`, in float32 or float64: large for whole models."""
        return _product(self.A, self.B)

    @property
    def AB(self) -> torch.Tensor:
        """What `dense` returns, by TransformerLens' name."""
        return self.dense()

    def __getitem__(self, index: Any) -> FactoredMatrix:
        """The matrices at an index into the batch axes, as torch indexes them. An IndexError for other axes."""
        batch = self.shape[:-2]
        try:
            torch.empty(()).expand(batch)[index]
        except IndexError as error:
            raise IndexError(f"{error}: {self!r} is indexed by its batch axes {list(batch)}") from None
        index = index if isinstance(index, tuple) else (index,)
        if any(part is Ellipsis for part in index):
            index = (*index, slice(None), slice(None))
        return FactoredMatrix(*(f.expand(*batch, *f.shape[-2:])[index] for f in (self.A, self.B)))

    @overload
    def __matmul__(self, other: FactoredMatrix) -> FactoredMatrix: ...
    @overload
    def __matmul__(self, other: torch.Tensor) -> FactoredMatrix | torch.Tensor: ...
    def __matmul__(self, other: FactoredMatrix | torch.Tensor) -> FactoredMatrix | torch.Tensor:
        """`M @ other`: a `FactoredMatrix` for a matrix `[*, n, p]` or another one, `[*, m]` for a vector `[n]`.

        A product of two has the smaller rank bound of both, and where these are equal, the smaller side is multiplied.
        A ValueError for shapes that do not fit.
        """
        if not isinstance(other, FactoredMatrix | torch.Tensor):
            return NotImplemented
        _check_fit(self.shape, other.shape)
        if isinstance(other, torch.Tensor):
            if other.ndim == 1:
                return _product(self.A, _product(self.B, other)[..., None])[..., 0]
            return FactoredMatrix(self.A, _product(self.B, other))
        middle = _product(self.B, other.A)
        if (self.rank_bound, other.shape[-1]) <= (other.rank_bound, self.shape[-2]):
            return FactoredMatrix(self.A, _product(middle, other.B))
        return FactoredMatrix(_product(self.A, middle), other.B)

    def __rmatmul__(self, other: torch.Tensor) -> FactoredMatrix | torch.Tensor:
        """`other @ M`: a `FactoredMatrix` for a matrix `[*, p, m]`, a tensor `[*, n]` for a vector `[m]`."""
        if not isinstance(other, torch.Tensor):
            return NotImplemented
        _check_fit(other.shape, self.shape)
        if other.ndim == 1:
            return _product(_product(other, self.A)[..., None, :], self.B)[..., 0, :]
        return FactoredMatrix(_product(other, self.A), self.B)

    def norm(self) -> torch.Tensor:
        """The Frobenius norm of each matrix, `[*]`: the root of trace(A^T A B B^T), without the product."""
        A, B = self._finite()
        grams = [_each(lambda x: x.mT @ x, (self.rank_bound, self.rank_bound), factor) for factor in (A, B.mT)]
        square = (grams[0] * grams[1]).sum((-2, -1))
        traces = [gram.diagonal(dim1=-2, dim2=-1).sum(-1) for gram in grams]
        if (square > 1e-6 * traces[0] * traces[1]).all():  # where more cancels, squaring loses digits
            return square.sqrt()
        return self.singular_values().square().sum(-1).sqrt()

    def trace(self) -> torch.Tensor:
        """The trace of each matrix, `[*]`. A ValueError unless the matrices are square."""
        return _each(lambda a, b: (a * b.mT).sum(), (), *self._finite(square=True))

    def svd(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The thin singular value decomposition, M = U diag(S) Vh.

        From QR decompositions of both factors and the SVD of a k x k matrix, so that U and Vh are orthonormal whatever
        the rank. The largest entry of each column of U is positive (the first, if several are within 1e-6 of it), so
        that signs are the same on every machine. Directions that rounding chooses are marked by `clusters`.

        Returns:
            `U [*, m, r]`, `S [*, r]` from large to small, `Vh [*, r, n]`; r = min(m, n, k). TransformerLens returns V.
        """
        A, B = self._finite()
        (*batch, m, n), k = self.shape, self.rank_bound
        Uh, S, Vh = (A.new_empty((*batch, min(m, n, k), *side), dtype=torch.float64) for side in ((m,), (), (n,)))
        A, B = A.expand(*batch, -1, -1), B.expand(*batch, -1, -1)
        for place in np.ndindex(*batch):
            Uh[place], S[place], Vh[place] = _svd(A[place].double(), B[place].double())
        return Uh.mT, S, Vh

    def singular_values(self) -> torch.Tensor:
        """The singular values of each matrix, `[*, r]`, from large to small: like `svd`, but faster."""
        (A, B), k = self._finite(), self.rank_bound
        left, right = (_each(lambda x: _upper(x.geqrf()[0]), (min(x.shape[-2], k), k), x) for x in (A, B.mT))
        values: torch.Tensor = torch.linalg.svdvals(left @ right.mT)
        return values

    def clusters(self, gap: float = 1e-3) -> torch.Tensor:
        """Which singular directions are not identified: a column of U and row of Vh that a small change would turn.

        Returns:
            Booleans `[*, r]`: those with a nearly equal neighbour, where S_i - S_(i+1) <= gap S_i, which could be any
            rotation of each other, and those that vanish: S_i <= max(m, n) eps ||A|| ||B||, with float64's eps.
        """
        S, (norm_A, norm_B) = self.singular_values(), (_each(torch.linalg.norm, (), x) for x in self._finite())
        found = S.le(max(self.shape[-2:]) * torch.finfo(S.dtype).eps * (norm_A * norm_B)[..., None])
        close = S[..., :-1] - S[..., 1:] <= gap * S[..., :-1]
        found[..., 1:] |= close
        found[..., :-1] |= close
        return found

    def eigenvalues(self) -> torch.Tensor:
        """The eigenvalues of each square matrix, `[*, min(m, k)]`, complex, from large to small in size.

        They are those of the k x k matrix B A; the other m - k are zero. A ValueError unless the matrices are square.
        """
        size, few = min(self.rank_bound, self.shape[-1]), self.rank_bound <= self.shape[-1]
        inner = _each(lambda a, b: b @ a if few else a @ b, (size, size), *self._finite(square=True))
        values: torch.Tensor = torch.linalg.eigvals(inner)
        return values.gather(-1, values.abs().argsort(dim=-1, descending=True, stable=True))

    def collapse_l(self) -> torch.Tensor:
        """S Vh, `[*, r, n]`: what is left without the orthonormal left side U, with the signs of `svd`."""
        _, S, Vh = self.svd()
        return Vh.mul_(S[..., :, None])

    def collapse_r(self) -> torch.Tensor:
        """U S, `[*, m, r]`: what is left without the orthonormal right side Vh, with the signs of `svd`."""
        U, S, _ = self.svd()
        return U.mul_(S[..., None, :])

    def _finite(self, square: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Both factors, where float64 exists, or a ValueError that says which has NaN or inf in it, and where."""
        if square and self.shape[-2] != self.shape[-1]:
            raise ValueError(f"the matrices should be square, not {self.shape[-2]} x {self.shape[-1]}")
        for name, factor in (("A", self.A), ("B", self.B)):
            # the sum alone is much faster, and NaN and inf never leave it finite
            if not factor.sum().isfinite() and len(places := factor.isfinite().logical_not().nonzero()):
                where = f"{len(places)} entries, the first at {places[0].tolist()}"
                raise ValueError(f"the factor {name} of {self!r} has NaN or inf in {where}")
        device = "cpu" if self.A.device.type == "mps" else self.A.device
        return self.A.to(device), self.B.to(device)


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    dtype = torch.promote_types(torch.promote_types(left.dtype, right.dtype), torch.float32)
    return left.to(dtype) @ right.to(dtype)


def _check_fit(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    try:
        torch.matmul(torch.empty(left, device="meta"), torch.empty(right, device="meta"))
    except RuntimeError:
        raise ValueError(f"there is no matrix product of the shapes {list(left)} and {list(right)}") from None


def _each(of: Callable[..., torch.Tensor], shape: tuple[int, ...], *factors: torch.Tensor) -> torch.Tensor:
    """What `of` makes of each matrix in float64: one by one, as they fit in the cache, and all copied would not."""
    batch = np.broadcast_shapes(*(factor.shape[:-2] for factor in factors))
    found = factors[0].new_empty((*batch, *shape), dtype=torch.float64)
    for place in np.ndindex(*batch):
        found[place] = of(*(x.expand(*batch, -1, -1)[place].double() for x in factors))
    return found


def _upper(reflectors: torch.Tensor) -> torch.Tensor:
    """The R of a QR decomposition, `[min(m, k), k]`."""
    return reflectors[: min(reflectors.shape)].triu()


def _svd(A: torch.Tensor, B: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The transpose of U, and S and Vh, of one matrix."""
    left, right = torch.geqrf(A), torch.geqrf(B.mT)
    inner, S, outer = torch.linalg.svd(_upper(left[0]) @ _upper(right[0]).mT, full_matrices=False)
    U, V = _rotated(*left, inner), _rotated(*right, outer.mT)
    if U.numel():
        largest = U.abs() >= (1 - 1e-6) * U.abs().amax(0)  # those this close count as equally large
        sign = U.gather(0, largest.to(torch.uint8).argmax(0, keepdim=True)).sign()
        U, V = U * sign, V * sign
    return U.mT, S, V.mT


def _rotated(reflectors: torch.Tensor, tau: torch.Tensor, inner: torch.Tensor) -> torch.Tensor:
    """Q times `inner`, without forming the Q of the QR decomposition."""
    padded = inner.new_zeros(inner.shape[1], reflectors.shape[0]).mT
    padded[: inner.shape[0]] = inner
    return torch.ormqr(reflectors[:, : len(tau)], tau, padded)
