"""Token pairs, copying and offsets against brute force: the whole product, and plain loops."""

from __future__ import annotations

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headgrid.circuits import largest_entries, pairs
from headgrid.circuits.largest_entries import LargestEntries
from headgrid.circuits.pairs import Cancelled, TokenPairs, by_offset, copying_accuracy, top_pairs
from headgrid.linalg.factored import FactoredMatrix


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def orthonormal(k: int, seed: int = 9) -> torch.Tensor:
    return torch.linalg.qr(normal(k, k, seed=seed, dtype=torch.float64))[0]


def decaying() -> tuple[torch.Tensor, torch.Tensor]:
    turn, decay = orthonormal(12), 1 / torch.arange(1.0, 13).double()
    left, right = normal(700, 12, seed=1, dtype=torch.float64), normal(12, 3001, seed=2, dtype=torch.float64)
    return left * decay @ turn, turn.mT @ (decay[:, None] * right)


CASES = {
    "flat": (normal(701, 12, seed=1), normal(12, 3001, seed=2)),
    "decaying, in a turned basis": decaying(),
    "rank 3 on the left": (normal(701, 3, seed=1) @ normal(3, 12, seed=3), normal(12, 300, seed=2)),
    "rank 2 on the right": (normal(40, 12, seed=1), normal(12, 2, seed=3) @ normal(2, 3001, seed=2)),
    "rows of very different lengths": (normal(701, 5, seed=1) * normal(701, 1, seed=4).exp(), normal(5, 2500, seed=2)),
    "one side far larger": (normal(701, 12, seed=1) * 1e12, normal(12, 300, seed=2) * 1e-9),
    "coordinates of very different sizes": (
        normal(701, 6, seed=1, dtype=torch.float64) * torch.logspace(-9, 9, 6),
        normal(6, 300, seed=2, dtype=torch.float64) * torch.logspace(9, -9, 6)[:, None],
    ),
    "all negative": (normal(601, 4, seed=1).abs(), -normal(4, 300, seed=2).abs()),
    "one coordinate": (normal(601, 1, seed=1), normal(1, 2100, seed=2)),
    "more coordinates than tokens": (normal(7, 30, seed=1), normal(30, 5, seed=2)),
    "half precision": (normal(601, 8, seed=1, dtype=torch.bfloat16), normal(8, 2100, seed=2, dtype=torch.bfloat16)),
}


def check(found: TokenPairs, left: torch.Tensor, right: torch.Tensor, n: int) -> None:
    """The n largest values, each at its place; without ties there is one answer."""
    product = left.double() @ right.double()
    truth = product.flatten().sort(descending=True).values[:n]
    size = float(left.double().norm(dim=1).max() * right.double().norm(dim=0).max())
    assert len(found) == len(truth)
    torch.testing.assert_close(found.values, truth, rtol=1e-12, atol=1e-14 * size)
    torch.testing.assert_close(product[found.source_ids, found.target_ids], found.values, rtol=1e-12, atol=1e-14 * size)
    assert len(set(zip(found.source_ids.tolist(), found.target_ids.tolist(), strict=True))) == len(truth)


# ---- pairs


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 10, 333])
@pytest.mark.parametrize("case", CASES)
def test_the_pairs_are_the_largest_entries_of_the_whole_product(case: str, n: int) -> None:
    left, right = CASES[case]
    found = top_pairs(left, right, n)
    check(found, left, right, n)
    assert found.searched == "all pairs"
    assert found.values.dtype == torch.float64
    assert (found.source_ids.dtype, found.target_ids.dtype) == (torch.int64, torch.int64)


@given(
    rows=st.integers(1, 40), columns=st.integers(1, 40), k=st.integers(1, 6), n=st.integers(1, 30),
    seed=st.integers(0, 999),
)  # fmt: skip
def test_small_products_of_whole_numbers_have_their_largest_entries(
    rows: int, columns: int, k: int, n: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    left, right = (torch.randint(-2, 3, shape, generator=generator).float() for shape in ((rows, k), (k, columns)))
    check(top_pairs(left, right, n), left, right, n)  # many ties, zero rows, and ranks below k


def test_blocks_of_any_size_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for case, (left, right) in CASES.items():
        truth = top_pairs(left, right, 20)
        for sizes in ({"ROWS": 7, "COLUMNS": 50, "WARM": 1}, {"ROWS": 5000, "COLUMNS": 5000, "WARM": 5000}):
            with monkeypatch.context() as patched:
                for name, size in sizes.items():
                    patched.setattr(largest_entries, name, size)
                found = top_pairs(left, right, 20)
            torch.testing.assert_close(found.values, truth.values, rtol=0, atol=0, msg=case)
            assert torch.equal(found.source_ids, truth.source_ids)


def test_a_decaying_product_is_searched_by_its_first_coordinates() -> None:
    left, right = decaying()
    search = LargestEntries(left, right, 5, None)
    search._warm()
    assert search._coordinates() < 12
    assert int(search._reach(search.a).sum()) < 0.01 * 700 * 3001


def test_tokens_that_are_all_alike_give_n_pairs_of_one_value() -> None:
    left, right = torch.ones(900, 3), torch.full((3, 2100), 2.0)
    found = top_pairs(left, right, 12)
    assert found.values.tolist() == [6.0] * 12
    assert top_pairs(torch.zeros(900, 3), right, 4).values.tolist() == [0.0] * 4


def test_fewer_pairs_than_asked_for_are_all_of_them() -> None:
    left, right = normal(2, 3, seed=1), normal(3, 2, seed=2)
    check(top_pairs(left, right, 99), left, right, 99)


def test_a_budget_searches_the_longest_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(largest_entries, "WARM", 2)
    left, right = CASES["flat"]
    search = LargestEntries(left, right, 5, None)
    search._warm()
    few = search._coordinates()
    budget = few * int(search._reach(search.a).sum()) // 100
    found = top_pairs(left, right, 5, budget=budget)
    said = re.fullmatch("the ([0-9,]+) x ([0-9,]+) tokens with the longest vectors, of 701 x 3,001", found.searched)
    assert said
    rows, columns = (int(number.replace(",", "")) for number in said.groups())
    assert 0.8 * budget < rows * columns * few <= budget
    product = left.double() @ right.double()
    of_them = product[search.row_ids[:rows]][:, search.column_ids[:columns]].flatten().topk(5).values
    assert (found.values >= of_them - 1e-9).all()
    assert float(found.values[-1]) < float(product.flatten().topk(5).values[-1])  # some winners are shorter
    assert top_pairs(left, right, 5, budget=1e12).searched == "all pairs"


def test_pairs_have_strings_when_there_are_some() -> None:
    left, right = normal(6, 2, seed=1), normal(2, 9, seed=2)
    named = top_pairs(left, right, 3, strings=lambda ids: [f"t{i}" for i in ids.tolist()])
    assert named.sources == [f"t{i}" for i in named.source_ids.tolist()]
    assert named.targets == [f"t{i}" for i in named.target_ids.tolist()]
    assert f"'t{int(named.source_ids[0])}' -> 't{int(named.target_ids[0])}'" in repr(named)
    assert top_pairs(left, right, 3).sources == named.source_ids.tolist()


def test_a_search_can_be_stopped() -> None:
    asked = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) == 3

    left, right = CASES["flat"]
    with pytest.raises(Cancelled):
        top_pairs(left, right, cancelled=cancelled)
    assert len(asked) == 3
    with pytest.raises(Cancelled):
        copying_accuracy(left, left.mT, cancelled=lambda: True)


def test_what_cannot_be_searched_is_refused() -> None:
    left, right = normal(5, 3), normal(3, 4)
    with pytest.raises(ValueError, match=r"not \[5, 3\] and \[4, 3\]"):
        top_pairs(left, right.mT)
    with pytest.raises(ValueError, match="none empty"):
        top_pairs(left[:0], right)
    with pytest.raises(ValueError, match="right has NaN or inf"):
        top_pairs(left, right.index_fill(1, torch.tensor(2), torch.inf))
    with pytest.raises(ValueError, match="n is 0"):
        top_pairs(left, right, 0)
    with pytest.raises(ValueError, match="the budget is 0"):
        top_pairs(left, right, budget=0)


# ---- copying


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_copying_accuracy_is_the_share_of_tokens_with_themselves_on_top(share: float) -> None:
    left, other = normal(1203, 9, seed=1), normal(9, 1203, seed=2)
    right = share * 3 * left.mT + other
    truth = (left.double() @ right.double()).argmax(1) == torch.arange(1203)
    assert copying_accuracy(left, right) == (float(truth.double().mean()), 1203)
    assert 0 < truth.sum() < 1203


def test_a_sample_is_the_same_each_time_and_another_with_another_seed() -> None:
    left = normal(1203, 9, seed=1)
    right = left.mT + normal(9, 1203, seed=2)
    truth = (left.double() @ right.double()).argmax(1) == torch.arange(1203)
    found, n = copying_accuracy(left, right, sample=400)
    assert n == 400
    assert (found, n) == copying_accuracy(left, right, sample=400)
    assert abs(found - float(truth.double().mean())) < 0.1
    assert len({copying_accuracy(left, right, sample=400, seed=seed) for seed in range(5)}) > 1
    assert copying_accuracy(left, right, sample=5000) == copying_accuracy(left, right)


def test_a_token_with_a_twin_still_copies() -> None:
    left = torch.eye(40).repeat(1, 1)
    left[7] = left[31]
    assert copying_accuracy(left, left.mT) == (1.0, 40)


def test_copying_is_among_the_same_tokens() -> None:
    with pytest.raises(ValueError, match="left has 5 tokens and right 4"):
        copying_accuracy(normal(5, 3), normal(3, 4))
    with pytest.raises(ValueError, match="the sample is 0"):
        copying_accuracy(normal(5, 3), normal(3, 5), sample=0)


# ---- offsets


def looped(qk: torch.Tensor, W_pos: torch.Tensor) -> list[float]:
    n_ctx = len(W_pos)
    found: list[list[float]] = [[] for _ in range(n_ctx)]
    for q in range(n_ctx):
        scores = [float(W_pos[q] @ qk @ W_pos[key]) for key in range(q + 1)]
        for key in range(q + 1):
            found[q - key].append(scores[key] - sum(scores) / len(scores))
    return [sum(scores) / len(scores) for scores in found]


@pytest.mark.parametrize("rows", [5, 512])
def test_offsets_are_those_of_plain_loops(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "ROWS", rows)
    circuit = FactoredMatrix(normal(6, 3, seed=1), normal(3, 6, seed=2))
    W_pos = normal(17, 6, seed=3)
    found = by_offset(circuit, W_pos)
    truth = torch.tensor(looped(circuit.A.double() @ circuit.B.double(), W_pos.double()), dtype=torch.float64)
    torch.testing.assert_close(found, truth, rtol=1e-12, atol=1e-12)


def test_a_head_that_looks_one_back_has_its_peak_at_offset_1() -> None:
    W_pos = torch.eye(9)
    A = torch.zeros(9, 9)
    A[torch.arange(1, 9), torch.arange(8)] = 1  # the query at q likes the key at q - 1
    found = by_offset(FactoredMatrix(A, torch.eye(9)), W_pos)
    assert found.argmax() == 1


def test_positions_of_another_width_are_refused() -> None:
    circuit = FactoredMatrix(normal(6, 3), normal(3, 6))
    with pytest.raises(ValueError, match=r"not \[6, 6\] and \[17, 5\]"):
        by_offset(circuit, normal(17, 5))
