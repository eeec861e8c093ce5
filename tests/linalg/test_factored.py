"""FactoredMatrix against the dense product in float64, and against TransformerLens where that is right."""

from __future__ import annotations

import math
import re
import warnings
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headgrid.linalg.factored import FactoredMatrix
from headgrid.linalg.svd import spectrum_of
from headgrid.linalg.triangles import gram

METHODS = ("svd", "singular_values", "clusters", "norm", "collapse_l", "collapse_r")
SHAPES = {
    "one matrix": ((7, 3), (3, 5)),
    "layers and heads": ((2, 3, 7, 4), (2, 3, 4, 9)),
    "a key/value head read by several heads": ((2, 1, 6, 3), (2, 4, 3, 5)),
    "batch axes of different number": ((6, 3), (2, 4, 3, 5)),
    "a rank bound above both sides": ((2, 4, 9), (2, 9, 3)),
    "a rank bound between the sides": ((4, 5), (5, 8)),
    "rank one": ((3, 6, 1), (3, 1, 4)),
}


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def orthonormal(rows: int, columns: int, seed: int) -> torch.Tensor:
    return torch.linalg.qr(normal(rows, columns, seed=seed))[0]


def with_spectrum(values: torch.Tensor, m: int, n: int, share: float = 0.5) -> FactoredMatrix:
    """A matrix with these singular values; the factor A has the power `share` of them, and B the rest."""
    k = len(values)
    turn = orthonormal(k, k, 3)
    A = orthonormal(m, k, 1) * values**share @ turn
    return FactoredMatrix(A, turn.mT @ (orthonormal(n, k, 2) * values ** (1 - share)).mT)


@pytest.fixture(params=SHAPES)
def matrix(request: pytest.FixtureRequest) -> FactoredMatrix:
    left, right = SHAPES[request.param]
    return FactoredMatrix(normal(*left, seed=1), normal(*right, seed=2))


# ---- against the dense product


def test_the_product_has_the_shape_and_the_values_of_the_dense_one(matrix: FactoredMatrix) -> None:
    dense = matrix.A @ matrix.B
    assert matrix.shape == tuple(dense.shape)
    assert matrix.rank_bound == matrix.A.shape[-1]
    torch.testing.assert_close(matrix.dense(), dense)
    torch.testing.assert_close(matrix.AB, dense)
    torch.testing.assert_close(matrix.T.dense(), dense.mT)


def test_the_svd_is_that_of_the_dense_product(matrix: FactoredMatrix) -> None:
    dense = matrix.dense()
    *batch, m, n = dense.shape
    r = min(m, n, matrix.rank_bound)
    U, S, Vh = matrix.svd()
    assert (U.shape, S.shape, Vh.shape) == ((*batch, m, r), (*batch, r), (*batch, r, n))
    torch.testing.assert_close(U * S[..., None, :] @ Vh, dense)
    torch.testing.assert_close(S, torch.linalg.svdvals(dense)[..., :r], rtol=1e-10, atol=0)
    torch.testing.assert_close(matrix.singular_values(), S, rtol=1e-10, atol=0)
    identity = torch.eye(r, dtype=torch.float64).expand(*batch, r, r)
    torch.testing.assert_close(U.mT @ U, identity)
    torch.testing.assert_close(Vh @ Vh.mT, identity)
    torch.testing.assert_close(matrix.collapse_l(), U.mT @ dense)
    torch.testing.assert_close(matrix.collapse_r(), dense @ Vh.mT)


def test_the_norm_is_that_of_the_dense_product(matrix: FactoredMatrix) -> None:
    torch.testing.assert_close(matrix.norm(), torch.linalg.matrix_norm(matrix.dense()), rtol=1e-12, atol=0)


@pytest.mark.parametrize("k", [1, 3, 6, 9])
def test_the_eigenvalues_and_the_trace_are_those_of_the_dense_product(k: int) -> None:
    matrix = FactoredMatrix(normal(1, 4, 6, k, seed=1), normal(2, 4, k, 6, seed=2))
    values, dense = matrix.eigenvalues(), torch.linalg.eigvals(matrix.dense())
    assert values.shape == (2, 4, min(k, 6))
    assert values.dtype == torch.complex128
    assert all(bool((a - b > -1e-12).all()) for a, b in pairwise(values.abs().unbind(-1)))
    # the sums of powers determine the eigenvalues, zeros apart
    for power in range(1, 7):
        torch.testing.assert_close((values**power).sum(-1), (dense**power).sum(-1), rtol=1e-9, atol=1e-7)
    torch.testing.assert_close(matrix.trace(), matrix.dense().diagonal(dim1=-2, dim2=-1).sum(-1))


@pytest.mark.parametrize("share", [0.5, 1.0, 0.0], ids=["both factors", "A alone", "B alone"])
def test_singular_values_are_right_to_1e_9_for_a_condition_of_1_5e5(share: float) -> None:
    values = torch.logspace(0, -5.18, 24, dtype=torch.float64)
    matrix = with_spectrum(values, 96, 61, share)
    torch.testing.assert_close(matrix.singular_values(), values, rtol=1e-9, atol=0)
    torch.testing.assert_close(matrix.svd()[1], values, rtol=1e-9, atol=0)
    if share == 1.0:  # the shorter way, which loses the square of a factor's condition
        gram = torch.linalg.cholesky(matrix.A.mT @ matrix.A).mT @ torch.linalg.cholesky(matrix.B @ matrix.B.mT)
        assert ((torch.linalg.svdvals(gram) - values) / values).abs().max() > 1e-9


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
def test_the_algebra_is_in_float32_or_better_whatever_the_dtype(dtype: torch.dtype) -> None:
    A, B = normal(3, 8, 4, seed=1, dtype=dtype), normal(3, 4, 6, seed=2, dtype=dtype)
    matrix, dense = FactoredMatrix(A, B), A.double() @ B.double()
    at_least = torch.promote_types(dtype, torch.float32)
    assert matrix.dtype == dtype
    for product in (matrix.dense(), matrix @ B[0, 0], A[0, :, 0] @ matrix, (matrix @ matrix.T).A):
        assert product.dtype == at_least
    torch.testing.assert_close(matrix.dense().double(), dense, rtol=1e-5, atol=1e-5)
    assert {x.dtype for x in (*matrix.svd(), matrix.norm(), matrix.singular_values())} == {torch.float64}
    torch.testing.assert_close(matrix.singular_values(), torch.linalg.svdvals(dense)[..., :4], rtol=1e-9, atol=0)
    torch.testing.assert_close(matrix.norm(), torch.linalg.matrix_norm(dense), rtol=1e-12, atol=0)


def test_factors_of_two_dtypes_meet_in_the_wider() -> None:
    matrix = FactoredMatrix(normal(4, 2, dtype=torch.bfloat16), normal(2, 3, dtype=torch.float32))
    assert (matrix.A.dtype, matrix.B.dtype, matrix.dtype) == (torch.float32,) * 3


# ---- matrices without full rank, and equal singular values


def test_a_zero_matrix_has_orthonormal_directions_none_of_which_is_identified() -> None:
    A = normal(2, 7, 3)
    A[1] = 0
    matrix = FactoredMatrix(A, normal(3, 5, seed=1))
    U, S, Vh = matrix.svd()
    assert (S[1] == 0).all()
    assert (matrix.singular_values()[1] == 0).all()
    torch.testing.assert_close(U[1].mT @ U[1], torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(Vh[1] @ Vh[1].mT, torch.eye(3, dtype=torch.float64))
    assert matrix.clusters().tolist() == [[False] * 3, [True] * 3]
    torch.testing.assert_close(matrix.norm(), torch.linalg.matrix_norm(matrix.dense()))


def test_a_matrix_of_lower_rank_still_has_an_orthonormal_svd_and_a_norm() -> None:
    A, B = normal(9, 5), normal(5, 8, seed=1)
    A[:, 4] = A[:, 3]
    B[4] = -B[3]  # so two of the five terms cancel
    matrix = FactoredMatrix(A, B)
    U, S, Vh = matrix.svd()
    torch.testing.assert_close(U * S @ Vh, matrix.dense())
    torch.testing.assert_close(U.mT @ U, torch.eye(5, dtype=torch.float64))
    torch.testing.assert_close(Vh @ Vh.mT, torch.eye(5, dtype=torch.float64))
    assert matrix.clusters().tolist() == [False, False, False, True, True]


def test_one_vanishing_direction_is_not_identified_although_it_has_no_neighbor() -> None:
    A = normal(9, 3)
    A[:, 2] = A[:, 0]
    assert FactoredMatrix(A, normal(3, 8, seed=1)).clusters().tolist() == [False, False, True]


def test_the_norm_is_right_where_the_factors_cancel_each_other() -> None:
    A = normal(9, 2)
    A[:, 1] = A[:, 0] * (1 + 1e-9)
    B = torch.stack((normal(7, seed=1), -normal(7, seed=1)))
    expected = A[:, 0].norm() * B[0].norm() * 1e-9
    torch.testing.assert_close(FactoredMatrix(A, B).norm(), expected, rtol=1e-6, atol=0)
    assert FactoredMatrix(A[:, [0, 0]], B).norm() < 1e-14


def test_equal_singular_values_are_marked_and_others_are_not() -> None:
    values = torch.tensor([9.0, 5.0, 5.0 * (1 - 5e-4), 3.0, 2.0, 2.0, 1.0], dtype=torch.float64)
    matrix = with_spectrum(values, 11, 13)
    assert matrix.clusters().tolist() == [False, True, True, False, True, True, False]
    assert matrix.clusters(gap=1e-4).tolist() == [False, False, False, False, True, True, False]
    assert matrix.clusters(gap=0.5).all()
    U, S, Vh = matrix.svd()
    torch.testing.assert_close(U * S @ Vh, matrix.dense())
    torch.testing.assert_close(S, values)


def test_marked_directions_turn_with_the_last_digits_and_the_others_do_not() -> None:
    values = torch.tensor([9.0, 5.0, 5.0, 3.0, 1.0], dtype=torch.float64)
    matrix = with_spectrum(values, 11, 13)
    nudged = FactoredMatrix(matrix.A + 1e-7 * normal(*matrix.A.shape, seed=9), matrix.B)
    moved = (matrix.svd()[0] - nudged.svd()[0]).abs().amax(0)
    assert ((moved > 1e-3) == matrix.clusters()).all()


# ---- signs


def test_the_largest_entry_of_each_left_direction_is_positive(matrix: FactoredMatrix) -> None:
    U, _, _ = matrix.svd()
    assert (U.gather(-2, U.abs().argmax(-2, keepdim=True)) > 0).all()


def test_among_entries_of_one_size_the_first_is_positive() -> None:
    directions = torch.tensor([[-1, 1, 1, -1], [1, 1, -1, -1], [-1, -1, -1, -1], [-1, 1, -1, 1]]).double().mT / 2
    matrix = FactoredMatrix(directions * torch.tensor([8.0, 4.0, 2.0, 1.0]), orthonormal(6, 4, 0).mT)
    torch.testing.assert_close(matrix.svd()[0], directions * directions[0].sign())


@given(st.integers(0, 10_000))
def test_signs_do_not_depend_on_the_factors_or_their_rounding(seed: int) -> None:
    A, B, turn = normal(8, 4, seed=seed), normal(4, 6, seed=seed + 1), orthonormal(4, 4, seed + 2)
    matrix, same = FactoredMatrix(A, B), FactoredMatrix(-A @ turn, -turn.mT @ B)
    sure = ~matrix.clusters(gap=1e-2)
    for ours, theirs in zip((matrix.svd()[0].mT, matrix.svd()[2]), (same.svd()[0].mT, same.svd()[2]), strict=True):
        torch.testing.assert_close(ours[sure], theirs[sure], rtol=1e-6, atol=1e-6)


# ---- the algebra

sizes = st.integers(1, 5)
batches = st.sampled_from([(), (1,), (3,), (2, 1), (2, 3)])


@given(m=sizes, k=sizes, n=sizes, j=sizes, p=sizes, left=batches, right=batches, seed=st.integers(0, 1000))
def test_products_agree_with_the_dense_ones(
    m: int, k: int, n: int, j: int, p: int, left: tuple[int, ...], right: tuple[int, ...], seed: int
) -> None:
    first = FactoredMatrix(normal(*left, m, k, seed=seed), normal(k, n, seed=seed + 1))
    second = FactoredMatrix(normal(n, j, seed=seed + 2), normal(*right, j, p, seed=seed + 3))
    dense, other = first.dense(), second.dense()
    both = first @ second
    assert both.rank_bound == min(k, j)
    torch.testing.assert_close(both.dense(), dense @ other)
    after, before = first @ other, dense @ second
    assert isinstance(after, FactoredMatrix)
    assert isinstance(before, FactoredMatrix)
    assert (after.rank_bound, before.rank_bound) == (k, j)
    for product in (after, before):
        assert product.shape == both.shape == (dense @ other).shape
        torch.testing.assert_close(product.dense(), dense @ other)
    torch.testing.assert_close((both.T @ both).norm(), torch.linalg.matrix_norm((dense @ other).mT @ (dense @ other)))
    column, row = normal(n, seed=seed), normal(m, seed=seed)
    torch.testing.assert_close(first @ column, dense @ column)
    torch.testing.assert_close(row @ first, row @ dense)


def test_of_equal_rank_bounds_the_smaller_side_is_multiplied() -> None:
    wide, tall = FactoredMatrix(normal(4, 2), normal(2, 5)), FactoredMatrix(normal(5, 2), normal(2, 9))
    assert (wide @ tall).B.data_ptr() == tall.B.data_ptr(), "4 x 2 is multiplied, 2 x 9 is not"
    assert (tall.T @ wide.T).A.data_ptr() == tall.B.data_ptr()


@pytest.mark.parametrize(
    "index",
    [0, -1, (1, 2), (..., 1), (slice(None), 2), slice(1, None), ..., ([0, 1], [2, 0]), (None, 1), [1, 0],
     torch.tensor([[True, False, True], [False, True, False]]), (torch.tensor(1), ..., 0)],
    ids=str,
)  # fmt: skip
def test_indexing_is_that_of_torch_over_the_batch_axes(index: Any) -> None:
    matrix = FactoredMatrix(normal(2, 3, 5, 2), normal(2, 1, 2, 4, seed=1))
    places = torch.arange(6).reshape(2, 3)[index]
    found = matrix[index]
    torch.testing.assert_close(found.dense(), matrix.dense().flatten(0, 1)[places])
    assert found.rank_bound == 2


def test_rows_and_columns_cannot_be_indexed() -> None:
    matrix = FactoredMatrix(normal(2, 5, 2), normal(2, 2, 4))
    for index in (2, (0, 1), (0, ..., 1)):
        with pytest.raises(IndexError, match=r"is indexed by its batch axes \[2\]"):
            matrix[index]
    with pytest.raises(IndexError, match=r"batch axes \[\]"):
        matrix[0][0]


def test_factors_are_views_without_gradients() -> None:
    A = normal(2, 5, 3).requires_grad_()
    matrix = FactoredMatrix(A, normal(3, 4))
    assert not matrix.dense().requires_grad
    assert not matrix.singular_values().requires_grad
    assert matrix.A.data_ptr() == A.data_ptr()
    with torch.no_grad():
        A *= 2
    torch.testing.assert_close(matrix.dense(), A.detach() @ normal(3, 4))


# ---- nothing, and what is refused


@pytest.mark.parametrize(
    ("left", "right", "r"),
    [((2, 5, 0), (2, 0, 4), 0), ((0, 5, 2), (0, 2, 4), 2), ((0, 2), (2, 4), 0), ((4, 2), (2, 0), 0)],
    ids=["rank 0", "no heads", "no rows", "no columns"],
)
def test_nothing_is_allowed(left: tuple[int, ...], right: tuple[int, ...], r: int) -> None:
    matrix = FactoredMatrix(normal(*left), normal(*right))
    *batch, m, n = matrix.shape
    U, S, Vh = matrix.svd()
    assert (U.shape, S.shape, Vh.shape) == ((*batch, m, r), (*batch, r), (*batch, r, n))
    assert matrix.singular_values().shape == matrix.clusters().shape == (*batch, r)
    assert matrix.norm().tolist() == torch.zeros(batch).tolist()
    torch.testing.assert_close(U * S[..., None, :] @ Vh, torch.zeros(*batch, m, n, dtype=torch.float64))


def test_rank_0_has_no_eigenvalues_and_the_trace_0() -> None:
    matrix = FactoredMatrix(normal(2, 4, 0), normal(2, 0, 4))
    assert matrix.eigenvalues().shape == (2, 0)
    assert matrix.trace().tolist() == [0, 0]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("name", "value"), [("A", float("nan")), ("B", float("inf")), ("B", float("-inf"))])
def test_nan_and_inf_are_refused_with_the_factor_and_the_place(method: str, name: str, value: float) -> None:
    factors = {"A": normal(2, 3, 5, 2), "B": normal(3, 2, 4)}
    factors[name][..., 1, 0] = value
    matrix = FactoredMatrix(**factors)
    count, place = (6, [0, 0, 1, 0]) if name == "A" else (3, [0, 1, 0])
    message = f"the factor {name} of {matrix!r} has NaN or inf in {count} entries, the first at {place}"
    with pytest.raises(ValueError, match=re.escape(message)):
        getattr(matrix, method)()


def test_large_numbers_are_not_taken_for_inf() -> None:
    A = torch.full((3, 2), 6e4, dtype=torch.float16)
    assert FactoredMatrix(A, A.mT).norm() == pytest.approx(6 * A[0, 0].double().item() ** 2)


NEEDED = "should be a floating-point tensor of 2 or more axes, not"
REFUSED = [
    (torch.zeros(3, 2), torch.zeros(3, 2), "there is no matrix product of the shapes [3, 2] and [3, 2]"),
    (torch.zeros(2, 3, 2), torch.zeros(4, 2, 3), "there is no matrix product of the shapes [2, 3, 2] and [4, 2, 3]"),
    (torch.zeros(3), torch.zeros(3, 2), f"the factor A {NEEDED} a tensor of shape [3] and float32"),
    (
        torch.zeros(3, 2),
        torch.zeros(2, 3, dtype=torch.int64),
        f"the factor B {NEEDED} a tensor of shape [2, 3] and int64",
    ),
    (
        torch.zeros(3, 2, dtype=torch.complex64),
        torch.zeros(2, 3),
        f"the factor A {NEEDED} a tensor of shape [3, 2] and complex64",
    ),
    ([[1.0]], torch.zeros(1, 3), f"the factor A {NEEDED} [[1.0]]"),
    (torch.zeros(3, 2), torch.zeros(2, 3, device="meta"), "A and B should be on one device, not on cpu and meta"),
]


@pytest.mark.parametrize(("A", "B", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
def test_factors_that_make_no_product_are_refused(A: Any, B: Any, message: str) -> None:
    with pytest.raises(ValueError if isinstance(A, torch.Tensor) else TypeError, match=re.escape(message)):
        FactoredMatrix(A, B)


def test_products_and_words_that_do_not_exist_are_refused() -> None:
    matrix = FactoredMatrix(normal(2, 5, 2), normal(2, 2, 4))
    for wrong in (normal(5), normal(3, 4), normal(3, 4, 7), normal(5, 5, 4, 7), torch.tensor(2.0), matrix):
        with pytest.raises(ValueError, match="there is no matrix product of the shapes"):
            matrix @ wrong
    for wrong in (normal(4), normal(3, 4), torch.tensor(2.0)):
        with pytest.raises(ValueError, match="there is no matrix product of the shapes"):
            wrong @ matrix
    with pytest.raises(TypeError):
        matrix @ 2  # type: ignore[operator]
    for method in (matrix.eigenvalues, matrix.trace):
        with pytest.raises(ValueError, match="the matrices should be square, not 5 x 4"):
            method()
    assert repr(matrix) == "FactoredMatrix(shape=[2, 5, 4], rank_bound=2, dtype=torch.float64)"


# ---- TransformerLens


def test_it_is_transformer_lens_apart_from_vh() -> None:
    lens = pytest.importorskip("transformer_lens")
    A, B, X, v = normal(2, 3, 7, 4), normal(2, 3, 4, 7, seed=1), normal(7, 5, seed=2), normal(7, seed=3)
    ours, theirs = FactoredMatrix(A, B), lens.FactoredMatrix(A, B)
    assert ours.shape == tuple(theirs.shape)
    torch.testing.assert_close(ours.AB, theirs.AB)
    torch.testing.assert_close(ours[1, 2].AB, theirs[1, 2].AB)
    torch.testing.assert_close((ours @ X).AB, (theirs @ X).AB)
    torch.testing.assert_close((X.mT @ ours).AB, (X.mT @ theirs).AB)
    torch.testing.assert_close((ours @ ours.T).AB, (theirs @ theirs.T).AB)
    torch.testing.assert_close(ours @ v, theirs @ v)
    torch.testing.assert_close(v @ ours, v @ theirs)
    torch.testing.assert_close(ours.norm(), theirs.norm())
    torch.testing.assert_close(ours.eigenvalues().abs(), theirs.eigenvalues.abs().sort(descending=True).values)
    U, S, Vh = ours.svd()
    torch.testing.assert_close(S, theirs.S)
    torch.testing.assert_close(U.abs(), theirs.U.abs())
    torch.testing.assert_close(ours.collapse_l().abs(), theirs.collapse_l().abs())
    torch.testing.assert_close(ours.collapse_r().abs(), theirs.collapse_r().abs())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        misnamed = theirs.Vh
    torch.testing.assert_close(misnamed.abs(), Vh.mT.abs())
    assert (misnamed.shape, Vh.shape) == ((2, 3, 7, 4), (2, 3, 4, 7))
    signs = (theirs.U * U).sum(-2).sign()
    assert (signs == -1).any(), "theirs has no convention of signs"


# ---- exact where squares are not: the faster ways are taken only as far as they are right


def conditioned(k: int, of_A: float, of_B: float, spectrum: str, seed: int = 0) -> tuple[FactoredMatrix, torch.Tensor]:
    """A matrix whose factors have these conditions, and its singular values by construction."""

    def values(condition: float) -> torch.Tensor:
        if spectrum == "even":
            return torch.logspace(0, -math.log10(condition), k, dtype=torch.float64)
        split = {"one small": k - 1, "half small": k // 2, "one large": 1}[spectrum]
        return torch.where(torch.arange(k) < split, 1.0, 1 / condition).double()

    turn, (A, B) = orthonormal(k, k, seed + 3), (values(of_A), values(of_B))
    left, right = orthonormal(k + 61, k, seed + 1), orthonormal(k + 14, k, seed + 2)
    return FactoredMatrix(left * A @ turn, turn.mT @ (right * B).mT), A * B


@pytest.mark.parametrize("spectrum", ["even", "one small", "half small", "one large"])
@pytest.mark.parametrize("conditions", [(1.0, 1.0), (3e2, 1.0), (1.0, 3e2), (2e2, 2e2), (1.5e5, 1.0), (1.0, 1.5e5)])
@pytest.mark.parametrize("k", [5, 64])
def test_wherever_the_condition_sits_the_svd_is_right_to_1e_9(
    k: int, conditions: tuple[float, float], spectrum: str
) -> None:
    matrix, exact = conditioned(k, *conditions, spectrum)
    U, S, Vh = matrix.svd()
    identity = torch.eye(k, dtype=torch.float64)
    for found in (S, matrix.singular_values(), matrix.T.singular_values()):
        torch.testing.assert_close(found, exact, rtol=1e-9, atol=0)
    torch.testing.assert_close(U.mT @ U, identity, rtol=0, atol=1e-9)
    torch.testing.assert_close(Vh @ Vh.mT, identity, rtol=0, atol=1e-9)
    torch.testing.assert_close(U * S @ Vh, matrix.dense(), rtol=0, atol=1e-9)


def test_factors_that_undo_each_other_do_not_hide_their_condition() -> None:
    turn, values = orthonormal(24, 24, 3), torch.logspace(0, -4, 24, dtype=torch.float64)
    matrix = FactoredMatrix(orthonormal(80, 24, 1) * values @ turn, turn.mT @ (orthonormal(50, 24, 2) / values).mT)
    torch.testing.assert_close(matrix.singular_values(), torch.ones(24, dtype=torch.float64), rtol=1e-9, atol=0)


def test_in_one_batch_each_matrix_has_the_way_that_it_needs() -> None:
    conditions = [(1.0, 1.0), (1.5e5, 1.0), (2e2, 2e2), (1.0, 1.5e5), (5.0, 4.0)]
    made = [conditioned(12, *c, "even", seed) for seed, c in enumerate(conditions)]
    A = torch.stack([m.A for m, _ in made] + [torch.zeros_like(made[0][0].A)])
    B = torch.stack([m.B for m, _ in made] + [made[0][0].B])
    exact = torch.stack([s for _, s in made] + [torch.zeros(12, dtype=torch.float64)])
    matrix = FactoredMatrix(A, B)
    torch.testing.assert_close(matrix.singular_values(), exact, rtol=1e-9, atol=0)
    torch.testing.assert_close(matrix.svd(3)[1], exact[:, :3], rtol=1e-9, atol=0)


def test_columns_of_very_different_lengths_and_tiny_or_huge_factors_lose_nothing() -> None:
    A, B = normal(40, 6) * torch.logspace(0, -7, 6, dtype=torch.float64), orthonormal(30, 6, 1).mT
    exact = torch.linalg.svdvals(torch.linalg.qr(A)[1])
    for scale in (1.0, 1e-120, 1e120):
        found = FactoredMatrix(A * scale, B).singular_values()
        torch.testing.assert_close(found / scale, exact, rtol=1e-9, atol=0)


def test_the_first_directions_are_those_of_the_whole_svd(matrix: FactoredMatrix) -> None:
    whole = matrix.svd()
    r = whole[1].shape[-1]
    for k in (0, 1, r - 1, r, r + 5):
        U, S, Vh = matrix.svd(k)
        torch.testing.assert_close(U, whole[0][..., :k], rtol=0, atol=1e-12)
        torch.testing.assert_close(S, whole[1][..., :k], rtol=0, atol=0)
        torch.testing.assert_close(Vh, whole[2][..., :k, :], rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [-1, 1.0, True, "all"])
def test_a_number_of_directions_that_is_none_is_refused(k: Any) -> None:
    matrix = FactoredMatrix(normal(5, 3), normal(3, 4))
    with pytest.raises(ValueError if k == -1 else TypeError, match=rf"k is a number of directions.*, not {k!r}"):
        matrix.svd(k)


def test_a_spectrum_has_what_the_other_methods_return(matrix: FactoredMatrix) -> None:
    found = matrix.spectrum(2)
    U, _, Vh = matrix.svd(2)
    assert torch.equal(found.left, U)
    assert torch.equal(found.right, Vh)
    torch.testing.assert_close(found.values, matrix.singular_values(), rtol=1e-10, atol=0)
    assert torch.equal(found.unclear(), matrix.clusters())
    assert found.unclear(gap=2.0).all() == (found.values.shape[-1] > 1)


def test_a_repeated_factor_and_one_that_broadcasts_are_decomposed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, ...]] = []
    monkeypatch.setattr("headgrid.linalg.triangles.gram", lambda x: seen.append(tuple(x.shape)) or gram(x))
    A, B = normal(2, 1, 9, 3), normal(2, 4, 3, 7, seed=1)
    once = FactoredMatrix(A, B).singular_values()
    again = FactoredMatrix(A.expand(2, 4, 9, 3), B).singular_values()
    assert seen == [(2, 1, 9, 3), (2, 4, 7, 3)] * 2
    assert torch.equal(once, again)
    torch.testing.assert_close(once, torch.linalg.svdvals(A @ B)[..., :3], rtol=1e-10, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("stored", ["rows", "columns", "heads within rows"])
def test_however_the_factors_are_stored_the_spectrum_is_the_same(dtype: torch.dtype, stored: str) -> None:
    A, B = normal(3, 1100, 40, dtype=dtype), normal(3, 40, 90, seed=1, dtype=dtype)
    exact = torch.linalg.svdvals(torch.linalg.qr(A.double())[1] @ B.double())
    if stored == "columns":
        A, B = A.mT.contiguous().mT, B.mT.contiguous().mT
    elif stored == "heads within rows":
        A, B = A.transpose(0, 1).contiguous().transpose(0, 1), B.permute(1, 0, 2).contiguous().permute(1, 0, 2)
    matrix = FactoredMatrix(A, B)
    torch.testing.assert_close(matrix.singular_values(), exact, rtol=1e-10, atol=0)
    U, S, Vh = matrix.svd(7)
    torch.testing.assert_close(S, exact[:, :7], rtol=1e-10, atol=0)
    torch.testing.assert_close(A.double() @ (B.double() @ Vh.mT), U * S[:, None], rtol=0, atol=1e-8)


# ---- dense matrices


def dense_matrix(values: torch.Tensor, m: int, n: int) -> torch.Tensor:
    r = min(m, n)
    return orthonormal(m, r, 1) * values @ orthonormal(n, r, 2).mT


def right_spectrum(W: torch.Tensor, k: int) -> Any:
    """The spectrum of a matrix, after what holds for every one has been checked."""
    found, exact = spectrum_of(W, k), torch.linalg.svdvals(W.double())
    U, s, Vh = found.left, found.values[:k, None], found.right
    identity = torch.eye(min(k, len(exact)), dtype=torch.float64)
    assert found.values.shape == exact.shape
    torch.testing.assert_close(U.mT @ U, identity, rtol=0, atol=1e-9)
    torch.testing.assert_close(Vh @ Vh.mT, identity, rtol=0, atol=1e-9)
    for residual in (Vh @ W.double().mT - s * U.mT, U.mT @ W.double() - s * Vh):
        assert (residual.norm(dim=1) <= 1e-6 * exact[0]).all()
    assert (U.gather(0, U.abs().argmax(0, keepdim=True)) > 0).all()
    wanted = exact > 1e-3 * exact[0]
    torch.testing.assert_close(found.values[wanted], exact[wanted], rtol=1e-8, atol=0)
    torch.testing.assert_close(found.values, exact, rtol=0, atol=1e-7 * exact[0].item())
    return found


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(7, 12), (12, 7), (300, 431), (431, 300), (1, 4), (5, 5)])
def test_the_spectrum_of_a_dense_matrix_is_that_of_float64(shape: tuple[int, int], dtype: torch.dtype) -> None:
    right_spectrum(normal(*shape, dtype=dtype), 4)


SPECTRA = {
    "a steep one": torch.logspace(0, -3, 400, dtype=torch.float64),
    "a very steep one": torch.logspace(0, -9, 400, dtype=torch.float64),
    "one that stands out": torch.cat([torch.tensor([50.0]), torch.linspace(2, 1, 399)]).double(),
    "one that is flat": torch.linspace(1, 0.99, 400).double(),
    "all equal": torch.ones(400).double(),
    "four and no more": torch.cat([torch.tensor([4.0, 3.0, 2.0, 1.0]), torch.zeros(396)]).double(),
    "pairs": torch.linspace(3, 1, 200).double().repeat_interleave(2),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("shape", [(400, 523), (523, 400)])
def test_the_spectrum_of_a_dense_matrix_is_right_for(name: str, shape: tuple[int, int]) -> None:
    found = right_spectrum(dense_matrix(SPECTRA[name], *shape), 6)
    expected = FactoredMatrix(torch.eye(400).double(), torch.diag(SPECTRA[name])).clusters()
    assert torch.equal(found.unclear()[:4], expected[:4])


def test_leading_directions_are_found_without_the_others_and_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    W = normal(520, 700, dtype=torch.float32)
    U, S, _ = torch.linalg.svd(W.double(), full_matrices=False)
    sizes: list[int] = []
    eigh = torch.linalg.eigh
    monkeypatch.setattr(torch.linalg, "eigh", lambda x: sizes.append(len(x)) or eigh(x))
    found = spectrum_of(W, 10)
    assert sizes
    assert max(sizes) < 100, "all eigenvectors were computed"
    gap = (S[:10] - S[1:11]).minimum(torch.cat([S[:1], S[:9] - S[1:10]])) / S[0]
    turned = 1 - (found.left * U[:, :10]).sum(0).abs()
    assert (turned <= (1e-6 / gap).square()).all()
    assert torch.equal(found.left, spectrum_of(W, 10).left)


def test_the_spectrum_of_nothing_is_empty_and_no_directions_are_allowed() -> None:
    for shape in ((0, 5), (5, 0)):
        found = spectrum_of(torch.zeros(shape), 3)
        assert (found.values.shape, found.left.shape, found.right.shape) == ((0,), (shape[0], 0), (0, shape[1]))
    found = spectrum_of(torch.zeros(4, 6), 2)
    assert found.values.tolist() == [0] * 4
    assert found.unclear().all()
    torch.testing.assert_close(found.left.mT @ found.left, torch.eye(2, dtype=torch.float64))
    assert spectrum_of(normal(4, 6), 0).left.shape == (4, 0)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("shape", [(5, 9), (9, 5)])
def test_nan_and_inf_in_a_dense_matrix_are_refused_with_the_place(shape: tuple[int, int], value: float) -> None:
    W = normal(*shape)
    W[1, 3] = value
    with pytest.raises(ValueError, match=re.escape("the matrix W has NaN or inf in 1 entries, the first at [1, 3]")):
        spectrum_of(W)


@pytest.mark.parametrize("W", [torch.zeros(3), torch.zeros(2, 3, 4), torch.zeros(2, 3, dtype=torch.int64), [[1.0]]])
def test_what_is_no_matrix_has_no_spectrum(W: Any) -> None:
    with pytest.raises(ValueError, match=re.escape("the spectrum is that of one floating-point matrix [m, n], not")):
        spectrum_of(W)


def test_a_number_times_a_product_is_one_factor_times_the_number() -> None:
    matrix = FactoredMatrix(torch.randn(7, 2), torch.randn(2, 5))
    for scaled, number in ((2 * matrix, 2), (matrix * 0.5, 0.5), (-matrix, -1)):
        torch.testing.assert_close(scaled.dense(), number * matrix.dense())
        assert scaled.rank_bound == 2
    with pytest.raises(TypeError):
        matrix * "2"


@pytest.mark.parametrize("spread", [1e-3, 1e-5])
def test_ill_conditioned_factors_whose_product_is_not_are_right(spread: float) -> None:
    """A = Q D and B = D^-1 P: the Gram matrices lose what the product does not show."""
    Q, P = torch.linalg.qr(normal(2, 40, 6)).Q, torch.linalg.qr(normal(2, 30, 6, seed=1)).Q
    turn = torch.linalg.qr(normal(6, 6, seed=2)).Q
    D = torch.logspace(0, math.log10(spread), 6, dtype=torch.float64)
    A, B = Q @ (turn * D) @ turn.mT, turn @ (turn / D).mT @ P.mT
    found = FactoredMatrix(A, B).singular_values()
    torch.testing.assert_close(found, torch.linalg.svdvals(A @ B)[..., :6], rtol=1e-9, atol=0)


@pytest.mark.parametrize("spread", [1.0, 2.0, 3.0])
def test_heads_of_spread_spectra_are_right_and_need_no_slower_way(
    spread: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Float32 factors as of trained heads, each spread in directions of its own; the oracle is QR in float64."""
    values = torch.logspace(0, -spread, 16)
    A = torch.stack([orthonormal(60, 16, i).float() * values @ orthonormal(16, 16, i + 9).float() for i in range(4)])
    B = torch.stack(
        [orthonormal(16, 16, i + 5).float() @ (orthonormal(50, 16, i).float() * values).mT for i in range(4)]
    )
    exact = torch.linalg.svdvals(torch.linalg.qr(A.double())[1] @ torch.linalg.qr(B.double().mT)[1].mT)
    assert exact[..., 0].max() > 10**spread * exact[..., -1].min()
    monkeypatch.setattr(torch, "geqrf", lambda _: pytest.fail("a QR decomposition was made"))
    torch.testing.assert_close(FactoredMatrix(A, B).singular_values(), exact, rtol=1e-9, atol=0)
