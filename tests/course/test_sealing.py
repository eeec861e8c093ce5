"""Sealed answers: they are graded as the plain ones, and show nothing of what they are."""

from __future__ import annotations

import itertools

import pytest
import tiny
from grids import LLAMA

from headgrid.course import seal, sealed
from headgrid.course.exercise import kind_of
from headgrid.course.kinds import NumberKind, OrderKind, SelectionKind

ANATOMY = tiny.anatomy(LLAMA)


@pytest.mark.parametrize("allow", ["heads", "anything"])
def test_a_sealed_selection_opens_to_the_very_selection_and_its_text_has_no_word_of_it(allow: str) -> None:
    kind = kind_of(ANATOMY, None, "selection", allow, None, None, None)  # type: ignore[arg-type]
    text = str(seal("l1h2 | l0h4", ANATOMY, allow=allow))  # type: ignore[arg-type]
    assert not {"l1h2", "1.2", "l0h4", "W_Q"} & {text[i : i + n] for n in (3, 4) for i in range(len(text))}
    assert kind.right(sealed(text)) == ANATOMY.select("l1h2 | l0h4")


def test_equal_answers_are_sealed_in_different_texts() -> None:
    a, b = (seal("l1h2", ANATOMY, allow="heads") for _ in range(2))
    assert not a.hashes & b.hashes


def test_an_order_opens_in_its_order() -> None:
    kind = OrderKind(ANATOMY)
    for order in itertools.permutations(["l0h4", "l1h2", "l2h0"]):
        assert kind.right(sealed(str(seal(list(order), ANATOMY, kind="order")))) == kind.read(list(order))
    assert kind.right(seal(["l1h2", "l1h2"], ANATOMY, kind="order")) == kind.read(["l1h2", "l1h2"])


def test_a_number_is_within_its_tolerance_or_not_on_both_sides_of_zero() -> None:
    for value in (0.8, -0.8, 12.5, -3e-4):
        relative = NumberKind(relative=0.1).seal(value)
        inside, outside = (0.9, 0.93, 1.0, 1.07, 1.1), (0.87, 1.13, -1.0, 0.0, 10)
        assert [relative.close(value * share) for share in (*inside, *outside)] == [True] * 5 + [False] * 5
    for value in (0.0, 0.8, -7.0):
        absolute = NumberKind(tolerance=0.25).seal(value)
        assert all(absolute.close(value + 0.25 * side) for side in (-1.0, -0.5, 0.0, 0.5, 1.0))
        assert not any(absolute.close(value + 0.25 * side) for side in (-1.14, 1.14, 5.0))
    assert [NumberKind().seal(7).close(x) for x in (7, 7.0, 7.001, -7)] == [True, True, False, False]
    assert "0.8" not in str(NumberKind(relative=0.1).seal(0.8))


def test_what_is_no_sealed_answer_or_one_of_another_exercise_is_refused() -> None:
    with pytest.raises(ValueError, match="no sealed answer as headgrid"):
        sealed("selection:heads:nothing")
    with pytest.raises(ValueError, match="is a number, and the exercise asks for a selection of heads"):
        SelectionKind(ANATOMY, "heads").right(seal(3))
    with pytest.raises(ValueError, match="is a selection of mlps, and the exercise asks for a selection of heads"):
        SelectionKind(ANATOMY, "heads").right(seal("l1 mlp", ANATOMY, allow="mlps"))
    smaller = tiny.anatomy("gpt2")
    with pytest.raises(ValueError, match=r"not of this exercise: of its 1 pieces 0 are found"):
        SelectionKind(smaller, "heads").right(seal("l2h5", ANATOMY, allow="heads"))
    with pytest.raises(TypeError, match="answer is the plain answer"):
        seal(lambda: 3)
    with pytest.raises(ValueError, match="which is 0: give tolerance"):
        seal(0.0, relative=0.1)
