"""The smallest circuits, against a search through all sets."""

from __future__ import annotations

from itertools import combinations

import pytest
import tiny
import torch
from replaced import HEADS, MODEL, TOKENIZER, by_hand, recorded

import headgrid as hg
from headgrid.circuits.progress import Cancelled
from headgrid.experiments import smallest_circuit


def words(found: object) -> set[str]:
    return {str(step.circuit) for step in (found.smallest, *found.others)}  # type: ignore[attr-defined]


def test_repeated_tokens_need_the_previous_token_head_and_the_induction_head_alone() -> None:
    found = smallest_circuit(MODEL, hg.Task.repeated(TOKENIZER))
    assert words(found) == {"l0h1 | l1h2"}
    assert found.exact
    assert found.smallest is not None
    assert found.smallest.faithfulness.value > 0.98
    assert [step.size for step in found.curve] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert found.curve[0].faithfulness.value == 1
    assert found.curve[-1].faithfulness.value == 0


@pytest.mark.slow
def test_the_smallest_circuit_of_the_name_task_depends_on_the_metric() -> None:
    by_probability = smallest_circuit(MODEL, hg.Task.names(TOKENIZER, metric="prob"))
    by_logits = smallest_circuit(MODEL, hg.Task.names(TOKENIZER))
    assert words(by_probability) == {"l1h2-3"}
    assert words(by_logits) == {"l1h[0,3]", "l1h[1,3]"}, "without the induction head, and not unique"
    assert any("not unique: another" in note for note in by_logits.notes)


@pytest.mark.slow
def test_it_is_the_smallest_of_all_sets() -> None:
    task = hg.Task.names(TOKENIZER, 10)
    found = smallest_circuit(MODEL, task, tolerance=0.05, per_position=False)
    rest = [z.mean((0, 1), keepdim=True) for z in recorded(task.ids)]
    clean, ablated = (by_hand(task, some, rest).mean() for some in (HEADS, []))
    faithful: dict[int, set[str]] = {}
    for size in range(9):
        for some in combinations(HEADS, size):
            alone = (by_hand(task, some, rest).mean() - ablated) / (clean - ablated)
            if abs(1 - alone) <= 0.05:
                faithful.setdefault(size, set()).add(str(hg.dissect(MODEL).select(list(some))))
    assert found.smallest is not None
    assert found.exact
    assert found.smallest.size == min(faithful) > 2
    assert words(found) == faithful[min(faithful)]


def test_forward_finds_what_backward_does_and_runs_fewer_circuits() -> None:
    task = hg.Task.names(TOKENIZER, 20, metric="prob")
    back, forth = (smallest_circuit(MODEL, task, direction=one, exhaustive=0) for one in ("backward", "forward"))  # type: ignore[arg-type]
    assert words(back) == words(forth) == {"l1h2-3"}
    assert not forth.exact
    assert len(forth.curve) < len(back.curve)


def test_several_leave_at_once_until_few_are_left() -> None:
    found = smallest_circuit(MODEL, hg.Task.repeated(TOKENIZER, 4), at_once=3, exhaustive=0)
    assert [step.size for step in found.curve] == [8, 5, 4, 3, 2, 1, 0]
    assert words(found) == {"l0h1 | l1h2"}


def test_mlps_are_members_where_that_is_asked() -> None:
    ids = torch.randint(3, 31, (4, 7), generator=torch.Generator().manual_seed(0))
    found = smallest_circuit(tiny.model("gpt2"), hg.Task(None, ids), mlps=True, exhaustive=0, at_once=4)
    assert found.curve[0].size == 15
    assert "l*h*" in str(found.curve[0].circuit)
    assert found.smallest is not None
    assert abs(1 - found.smallest.faithfulness.value) <= 0.1
    assert not found.exact


def test_a_greedy_result_that_is_not_the_smallest_is_said() -> None:
    """Among all sets there may be a smaller one than elimination came by."""
    task = hg.Task.names(TOKENIZER, 12)
    exact = smallest_circuit(MODEL, task, tolerance=0.07, at_once=4)
    greedy = smallest_circuit(MODEL, task, tolerance=0.07, at_once=4, exhaustive=0)
    assert exact.smallest is not None
    assert greedy.smallest is not None
    assert exact.smallest.size <= greedy.smallest.size
    assert any("Greedy elimination" in note for note in exact.notes) == (exact.smallest.size < greedy.smallest.size)


def test_a_table_and_a_text_have_the_curve_and_the_others() -> None:
    found = smallest_circuit(MODEL, hg.Task.names(TOKENIZER, 30))
    table = found.to_dataframe()
    assert list(table["what"]) == ["curve"] * 9 + ["other"] * len(found.others) + ["smallest"]
    for step in (*found.curve, *found.others):
        assert str(step.circuit) in repr(found)
    assert found.receipt.options["direction"] == "backward"


def test_it_can_be_stopped_and_says_how_far_it_is() -> None:
    task = hg.Task.repeated(TOKENIZER, 2)
    told: list[tuple[int, int]] = []
    smallest_circuit(MODEL, task, exhaustive=0, progress=lambda done, total: told.append((done, total)))
    assert (0, 1) in told
    assert all(done <= total for done, total in told)
    with pytest.raises(Cancelled):
        smallest_circuit(MODEL, task, cancelled=lambda: True)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tolerance": -0.1}, "tolerance is"),
        ({"direction": "down"}, "direction is 'backward' or 'forward'"),
        ({"at_once": 0}, "at_once is a number of heads"),
        ({"exhaustive": 1.5}, "exhaustive is a number of circuits"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        smallest_circuit(MODEL, hg.Task.repeated(TOKENIZER, 2), **options)  # type: ignore[arg-type]


def test_a_task_on_which_nothing_makes_a_difference_is_refused() -> None:
    task = hg.Task(TOKENIZER, torch.arange(3, 21).reshape(2, 9), metric=lambda output: output.logits[:, 0, 0] * 0)
    with pytest.raises(ValueError, match="nothing that a circuit could be faithful to"):
        smallest_circuit(MODEL, task)
