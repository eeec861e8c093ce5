from __future__ import annotations

import torch

from headgrid.circuits import scores
from headgrid.linalg.factored import FactoredMatrix

HARMONIC = 1 / torch.arange(1, 17, dtype=torch.float64)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_effective_ranks_are_those_of_their_definitions() -> None:
    assert round(float(scores.stable_rank(HARMONIC)), 2) == 1.58
    assert round(float(scores.entropy_rank(HARMONIC)), 1) == 10.6
    torch.testing.assert_close(scores.norm(HARMONIC), torch.linalg.norm(HARMONIC))


def test_equal_singular_values_have_full_rank_and_one_alone_has_rank_one() -> None:
    equal, alone = torch.full((2, 7), 3.0, dtype=torch.float64), torch.eye(7, dtype=torch.float64)[:1]
    torch.testing.assert_close(scores.stable_rank(equal), torch.full((2,), 7.0, dtype=torch.float64))
    torch.testing.assert_close(scores.entropy_rank(equal), torch.full((2,), 7.0, dtype=torch.float64))
    assert float(scores.stable_rank(alone)) == float(scores.entropy_rank(alone)) == 1


def test_a_zero_circuit_has_rank_zero_and_no_copying_score() -> None:
    nothing = torch.zeros(5, dtype=torch.float64)
    assert float(scores.stable_rank(nothing)) == float(scores.entropy_rank(nothing)) == 0
    assert scores.copying_score(FactoredMatrix(torch.zeros(9, 3), torch.zeros(3, 9)), torch.eye(9)).isnan()


def test_the_copying_score_is_that_of_the_eigenvalues_of_the_dense_circuit() -> None:
    W_E, W_U = random(23, 11), random(11, 23, seed=1)
    ov = FactoredMatrix(random(2, 1, 11, 3, seed=2), random(2, 4, 3, 11, seed=3))  # 2 groups of 4 heads
    found = scores.copying_score(ov, W_U @ W_E)
    values = torch.linalg.eigvals(W_E @ ov.dense() @ W_U)  # 23 x 23 for each head
    torch.testing.assert_close(found, (values.sum(-1) / values.abs().sum(-1)).real, rtol=1e-9, atol=1e-9)
    assert found.shape == (2, 4)


def test_a_copier_scores_one_and_its_opposite_minus_one() -> None:
    W_E = random(23, 11)
    copier = FactoredMatrix(W := random(11, 3), W.mT)  # positive semidefinite: every token raises itself
    W_UE = W_E.mT @ W_E
    torch.testing.assert_close(scores.copying_score(copier, W_UE), torch.tensor(1.0, dtype=torch.float64))
    torch.testing.assert_close(
        scores.copying_score(FactoredMatrix(-W, W.mT), W_UE), torch.tensor(-1.0, dtype=torch.float64)
    )
