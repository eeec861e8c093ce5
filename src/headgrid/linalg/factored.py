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
from jaxtyping import Bool, Complex128, Float, Float64

from headgrid.linalg.svd import EPS, Spectrum, clusters, factored_svd, how_many, on_float64, require_finite
from headgrid.linalg.triangles import GROWTH, gram, singular_values, triangle
from headgrid.torch_state import shielded
from headgrid.utils import arguments


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
            what is wrong with other dtypes, with less than two axes, or with shapes and devices that do not fit, and a
            TypeError refuses what is no tensor.
    """

    A: Float[torch.Tensor, "*#batch m k"]
    B: Float[torch.Tensor, "*#batch k n"]

    __array_ufunc__ = None  # so that numpy leaves `array @ M` and `array * M` to the methods here

    @shielded()
    def __post_init__(self) -> None:
        for name, factor in (("A", self.A), ("B", self.B)):
            if not isinstance(factor, torch.Tensor) or not factor.is_floating_point() or factor.ndim < 2:
                raise (ValueError if isinstance(factor, torch.Tensor) else TypeError)(
                    f"the factor {name} should be a floating-point tensor of 2 or more axes, not "
                    f"{arguments.shown(factor)}"
                )
        _check_fit(self.A.shape, self.B.shape)
        _check_device(self.A, self.B)
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

    @shielded(gradients=True)
    def dense(self) -> Float[torch.Tensor, "*batch m n"]:
        """The product multiplied out, `[*, m, n]`, in float32 or float64: large for whole models."""
        return _product(self.A, self.B)

    @property
    def AB(self) -> Float[torch.Tensor, "*batch m n"]:
        """The dense product, by TransformerLens' name."""
        return self.dense()

    @shielded()
    def __getitem__(self, index: Any) -> FactoredMatrix:
        """The matrices at an index into the batch axes, as torch indexes them. An IndexError for other axes."""
        batch, parts = self.shape[:-2], index if isinstance(index, tuple) else (index,)
        try:
            if any(arguments.is_truth(part) for part in parts):
                raise TypeError("True and False are no places")
            torch.empty(()).expand(batch)[parts]
        except IndexError as error:
            raise IndexError(f"{error}: {self!r} is indexed by its batch axes {list(batch)}") from None
        except (TypeError, ValueError, OverflowError, RuntimeError):
            said = arguments.shown(index)
            raise TypeError(f"{self!r} is indexed by its batch axes {list(batch)}, as torch does; not {said}") from None
        if any(part is Ellipsis for part in parts):
            parts = (*parts, slice(None), slice(None))
        return FactoredMatrix(*(f.expand(*batch, *f.shape[-2:])[parts] for f in (self.A, self.B)))

    @overload
    def __matmul__(self, other: FactoredMatrix) -> FactoredMatrix: ...
    @overload
    def __matmul__(self, other: torch.Tensor) -> FactoredMatrix | torch.Tensor: ...
    @shielded(gradients=True)
    def __matmul__(self, other: FactoredMatrix | torch.Tensor) -> FactoredMatrix | torch.Tensor:
        """`M @ other`: a `FactoredMatrix` for a matrix `[*, n, p]` or another one, `[*, m]` for a vector `[n]`.

        A product of two has the smaller rank bound of both, and where these are equal, the smaller side is multiplied.
        A ValueError for shapes that do not fit.
        """
        _check_factor(other)
        _check_fit(self.shape, other.shape)
        _check_device(self.A, other.A if isinstance(other, FactoredMatrix) else other)
        if isinstance(other, torch.Tensor):
            if other.ndim == 1:
                return _product(self.A, _product(self.B, other)[..., None])[..., 0]
            return FactoredMatrix(self.A, _product(self.B, other))
        middle = _product(self.B, other.A)
        if (self.rank_bound, other.shape[-1]) <= (other.rank_bound, self.shape[-2]):
            return FactoredMatrix(self.A, _product(middle, other.B))
        return FactoredMatrix(_product(self.A, middle), other.B)

    @shielded(gradients=True)
    def __rmatmul__(self, other: torch.Tensor) -> FactoredMatrix | torch.Tensor:
        """`other @ M`: a `FactoredMatrix` for a matrix `[*, p, m]`, a tensor `[*, n]` for a vector `[m]`."""
        _check_factor(other)
        _check_fit(other.shape, self.shape)
        _check_device(other, self.A)
        if other.ndim == 1:
            return _product(_product(other, self.A)[..., None, :], self.B)[..., 0, :]
        return FactoredMatrix(_product(other, self.A), self.B)

    @shielded(gradients=True)
    def __mul__(self, number: float) -> FactoredMatrix:
        """Every entry times a number: `2 * M`, `-M`."""
        return FactoredMatrix(self.A * arguments.number("the factor of a FactoredMatrix", number), self.B)

    __rmul__ = __mul__

    def __neg__(self) -> FactoredMatrix:
        return self * -1

    @shielded()
    def norm(self) -> Float64[torch.Tensor, "*batch"]:
        """The Frobenius norm of each matrix, `[*]`: the root of trace(A^T A B B^T), without the product."""
        A, B = self._finite()
        left, right = gram(A), gram(B.mT)
        square = (left * right).sum((-2, -1))
        traces = [G.diagonal(dim1=-2, dim2=-1).sum(-1) for G in (left, right)]
        if (square > 1e-6 * traces[0] * traces[1]).all():  # where more cancels, squaring loses digits
            return square.sqrt()
        return self.singular_values().square().sum(-1).sqrt()

    @shielded()
    def trace(self) -> Float64[torch.Tensor, "*batch"]:
        """The trace of each matrix, `[*]`. A ValueError unless the matrices are square."""
        return _each(lambda a, b: (a * b.mT).sum(), (), *self._finite(square=True))

    @shielded()
    def svd(
        self, k: int | None = None
    ) -> tuple[
        Float64[torch.Tensor, "*batch m r"], Float64[torch.Tensor, "*batch r"], Float64[torch.Tensor, "*batch r n"]
    ]:
        """The thin singular value decomposition, M = U diag(S) Vh, or its k leading directions.

        Exact to 1e-10 whatever the rank and the condition: U and Vh are orthonormal to 1e-10, singular values have
        that error relative to the largest at most (see `singular_values`), and directions, divided by the gap. The
        largest entry of each column of U is positive (the first, if several are within 1e-6 of it), so that signs are
        the same on every machine. Directions that rounding chooses are marked by `clusters`.

        Args:
            k: how many directions; None means all, and more than there are means all. They are those of the full
                decomposition; fewer are faster. A ValueError for what is not a number.

        Returns:
            `U [*, m, k]`, `S [*, k]` from large to small, `Vh [*, k, n]`; at most r = min(m, n, rank bound) of each.
            TransformerLens returns V.
        """
        found = self.spectrum(self._how_many(k))
        return found.left, found.values[..., : found.left.shape[-1]], found.right

    @shielded()
    def spectrum(self, k: int | None = 10) -> Spectrum:
        """All singular values, and the k leading directions of `svd`, at once."""
        (A, B), k = self._finite(), self._how_many(k)
        *batch, m, n = self.shape
        left, right = (triangle(x).checked(GROWTH) for x in (A, B.mT))
        Uh, S, Vh = (A.new_empty((*batch, *side), dtype=torch.float64) for side in ((k, m), (self._r,), (k, n)))
        A, B = A.expand(*batch, -1, -1), B.expand(*batch, -1, -1)
        over, under = (x.R.expand(*batch, -1, -1) for x in (left, right))
        sound = (left.sound & right.sound).expand(batch)
        for place in np.ndindex(*batch):
            R = (over[place], under[place]) if sound[place] else None
            U, S[place], Vh[place] = factored_svd(A[place], B[place], R, k)
            Uh[place] = U.mT
        return Spectrum(S, Uh.mT, Vh, self._zero(left.norm * right.norm))

    @shielded()
    def singular_values(self) -> Float64[torch.Tensor, "*batch r"]:
        """The singular values of each matrix, `[*, r]`, from large to small: like `svd`, but faster.

        Each has an error of 1e-9 relative to itself at most for matrices with a condition of up to 2e5, also where one
        factor alone is that badly conditioned; below, of 1e-15 relative to the product of both factors' norms.
        """
        return self._values()[0]

    @shielded()
    def clusters(self, gap: float = 1e-3) -> Bool[torch.Tensor, "*batch r"]:
        """Which singular directions are not identified: a column of U and row of Vh that a small change would turn.

        Returns:
            Booleans `[*, r]`: those with a nearly equal neighbor, where S_i - S_(i+1) <= gap S_i, which could be any
            rotation of each other, and those that vanish: S_i <= max(m, n) eps ||A|| ||B||, with float64's eps.
            `spectrum` has them too, without computing anything twice.
        """
        values, size = self._values()
        return clusters(values, self._zero(size), gap)

    @shielded()
    def eigenvalues(self) -> Complex128[torch.Tensor, "*batch k"]:
        """The eigenvalues of each square matrix, `[*, min(m, k)]`, complex, from large to small in size.

        They are those of the k x k matrix B A; the other m - k are zero. A ValueError unless the matrices are square.
        """
        size, few = min(self.rank_bound, self.shape[-1]), self.rank_bound <= self.shape[-1]
        inner = _each(lambda a, b: b @ a if few else a @ b, (size, size), *self._finite(square=True))
        values: torch.Tensor = torch.linalg.eigvals(inner)
        return values.gather(-1, values.abs().argsort(dim=-1, descending=True, stable=True))

    @shielded()
    def collapse_l(self) -> Float64[torch.Tensor, "*batch r n"]:
        """S Vh, `[*, r, n]`: what is left without the orthonormal left side U, with the signs of `svd`."""
        _, S, Vh = self.svd()
        return Vh.mul_(S[..., :, None])

    @shielded()
    def collapse_r(self) -> Float64[torch.Tensor, "*batch m r"]:
        """U S, `[*, m, r]`: what is left without the orthonormal right side Vh, with the signs of `svd`."""
        U, S, _ = self.svd()
        return U.mul_(S[..., None, :])

    @property
    def _r(self) -> int:
        """How many singular values each matrix has."""
        return min(*self.shape[-2:], self.rank_bound)

    def _how_many(self, k: int | None) -> int:
        return how_many(k, self._r)

    def _zero(self, size: torch.Tensor) -> torch.Tensor:
        """Up to where singular values are rounding, `[*]`, by the product of both factors' norms."""
        return max(self.shape[-2:]) * EPS * size

    def _values(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The singular values, and the product of both factors' norms; a ValueError as from `_finite`."""
        left, right = (triangle(on_float64(_distinct(x))) for x in (self.A, self.B.mT))
        if not (left.norm.isfinite().all() and right.norm.isfinite().all()):  # which NaN and inf never leave finite
            self._finite()
        values, size = singular_values(left, right)
        return values[..., : self._r], size

    def _finite(self, square: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Both factors, where float64 exists, or a ValueError that says which has NaN or inf in it, and where.

        A matrix that a factor repeats (an expanded axis) is there once, for batch axes broadcast.
        """
        if square and self.shape[-2] != self.shape[-1]:
            raise ValueError(f"the matrices should be square, not {self.shape[-2]} x {self.shape[-1]}")
        distinct = [_distinct(self.A), _distinct(self.B)]
        for name, factor, all_of_it in zip("AB", distinct, (self.A, self.B), strict=True):
            # the sum alone is much faster, and NaN and inf never leave it finite
            if not factor.sum().isfinite():
                require_finite(f"factor {name} of {self!r}", all_of_it)
        return on_float64(distinct[0]), on_float64(distinct[1])


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    dtype = torch.promote_types(torch.promote_types(left.dtype, right.dtype), torch.float32)
    return left.to(dtype) @ right.to(dtype)


def _check_factor(other: Any) -> None:
    if not isinstance(other, FactoredMatrix | torch.Tensor):
        said = arguments.shown(other)
        raise TypeError(f"a FactoredMatrix is multiplied with a tensor or a FactoredMatrix, not with {said}")


def _check_device(left: torch.Tensor, right: torch.Tensor) -> None:
    if left.device != right.device:
        raise ValueError(f"A and B should be on one device, not on {left.device} and {right.device}")


def _check_fit(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    """A ValueError unless there is a product of these shapes, vectors allowed: what torch would say, but faster."""
    fits = bool(left and right) and left[-1] == right[max(len(right) - 2, 0)]
    try:
        np.broadcast_shapes(left[:-2], right[:-2])
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"there is no matrix product of the shapes {list(left)} and {list(right)}")


def _each(of: Callable[..., torch.Tensor], shape: tuple[int, ...], *factors: torch.Tensor) -> torch.Tensor:
    """The results of `of` for matrices in float64: one by one, as they fit in the cache, and all copied would not."""
    batch = np.broadcast_shapes(*(factor.shape[:-2] for factor in factors))
    found = factors[0].new_empty((*batch, *shape), dtype=torch.float64)
    for place in np.ndindex(*batch):
        found[place] = of(*(x.expand(*batch, -1, -1)[place].double() for x in factors))
    return found


def _distinct(factor: torch.Tensor) -> torch.Tensor:
    """The factor with one entry along batch axes that repeat it."""
    for axis in range(factor.ndim - 2):
        if factor.stride(axis) == 0 and factor.shape[axis] > 1:
            factor = factor.narrow(axis, 0, 1)
    return factor
