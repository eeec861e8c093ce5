"""Gram matrices against plain products, and singular values of batches whose matrices need different ways."""

from __future__ import annotations

import pytest
import torch

from headgrid.linalg.triangles import GROWTH_OF_VALUES, gram, singular_values, triangle


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def factors(values: torch.Tensor, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A [90, k] and B^T [70, k], both with the roots of these values along turned directions."""
    k = len(values)
    U, V, turn = (torch.linalg.qr(normal(n, k, seed=seed + i))[0] for i, n in enumerate((90, 70, k)))
    return U * values.sqrt() @ turn, V * values.sqrt() @ turn


@pytest.mark.slow
@pytest.mark.parametrize("m", [7, 90, 1030, 2500])
@pytest.mark.parametrize("k", [1, 24, 64, 65, 100, 150])
@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (2, 1, 0)], ids=str)
def test_gram_matrices_are_those_of_plain_products_however_matrices_are_stored(
    m: int, k: int, order: tuple[int, ...]
) -> None:
    x = normal(*((5, m, k)[axis] for axis in order)).float().permute(*(order.index(axis) for axis in range(3)))
    torch.testing.assert_close(gram(x), x.double().mT @ x.double(), rtol=1e-12, atol=1e-12 * m)


def test_nan_and_inf_are_in_gram_matrices_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    x = normal(3, 9, 4)
    x[0, 2, 1], x[2, 0, 3] = torch.nan, torch.inf
    assert gram(x).isfinite().all(-1).all(-1).tolist() == [False, True, False]
    assert not recwarn


WAYS = ("flat", "one factor spread", "both spread", "zero", "of lower rank", "tiny", "huge", "columns of many sizes")


@pytest.mark.parametrize("first", WAYS)
def test_each_matrix_of_a_batch_is_exact_whatever_the_others_are(first: str) -> None:
    k = 12
    flat, spread = torch.linspace(1, 3, k, dtype=torch.float64), torch.logspace(0, -5, k, dtype=torch.float64)
    every, exact = {}, {}
    for i, way in enumerate(WAYS):
        values = spread if "spread" in way else flat
        A, B = factors(values, seed=10 * i)
        size = 1.0
        if way == "one factor spread":
            turn = torch.linalg.qr(normal(k, k, seed=5))[0]
            A, B = torch.linalg.qr(A)[0] * values @ turn, torch.linalg.qr(B)[0] @ turn
        elif way == "zero":
            A, size = A * 0, 0.0
        elif way == "of lower rank":
            A = A * 1.0
            A[:, 1:] = 0
        elif way in ("tiny", "huge"):
            size = 1e-260 if way == "tiny" else 1e260
            A = A * size
        elif way == "columns of many sizes":
            scale = torch.logspace(-90, 90, k, dtype=torch.float64)
            A, B = A * scale, B / scale
        every[way], exact[way] = (A, B), values * size
        if way == "of lower rank":
            exact[way] = torch.zeros(k, dtype=torch.float64)
            exact[way][0] = A[:, 0].norm() * B[:, 0].norm()
    order = (first, *(way for way in WAYS if way != first))
    A, B = (torch.stack([every[way][side] for way in order]) for side in (0, 1))
    found, size = singular_values(triangle(A), triangle(B))
    for i, way in enumerate(order):
        expected = exact[way].sort(descending=True).values
        torch.testing.assert_close(found[i], expected, rtol=1e-9, atol=1e-14 * float(size[i]), msg=f"{way} in {order}")


def test_a_triangle_that_is_not_sound_is_that_of_a_qr() -> None:
    A = torch.stack((normal(9, 4), normal(9, 4, seed=1)))
    A[1, :, 3] = A[1, :, 0]
    found = triangle(A).checked(GROWTH_OF_VALUES)
    assert found.sound.tolist() == [True, False]
    torch.testing.assert_close(found.R.mT @ found.R, A.mT @ A)
    torch.testing.assert_close(found.norm, torch.linalg.matrix_norm(A))
