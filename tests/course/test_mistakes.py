"""Wrong selections get the sentence of their mistake, a score by what is right, and never a word of the answer.

The model has 3 layers of 6 heads; heads 0 to 2 and 3 to 5 of a layer share a key/value head.
"""

from __future__ import annotations

import re
from itertools import combinations

import pytest
import tiny
from grids import LLAMA

from headgrid.course.kinds import SelectionKind
from headgrid.course.mistakes import LAYER, NONE, NUMBER, ORIGIN, SHARED, SIBLING, SIDE, SWAPPED, TOO_MANY, listed
from headgrid.selection.pieces import PieceKind

ANATOMY = tiny.anatomy(LLAMA)


def graded(given: str, right: str, allow: PieceKind = "heads") -> tuple[float, str]:
    kind = SelectionKind(ANATOMY, allow)
    grade = kind.grade(kind.read(given), kind.right(right))
    return grade.score, grade.feedback


@pytest.mark.parametrize(
    ("given", "right", "said"),
    [
        ("l1h5", "l1h2", LAYER),
        ("l0h2", "l1h2", NUMBER),
        ("l2h3", "l1h2", ORIGIN),
        ("l2h1", "l1h2", SWAPPED),
        ("l1h0", "l1h2", SIBLING),
        ("l0h5", "l1h2", NONE),
        ("l1h2.q", "l1h2", SIDE),
        ("l1h2.k", "l1h2", SIDE),
        ("l1 mlp", "l1h2", "The question is about heads, and an MLP is selected."),
        ("l1 mlp | embed", "l1h2", "The question is about heads, and an MLP and an embedding is selected."),
    ],
)
def test_the_likely_mistake_is_named(given: str, right: str, said: str) -> None:
    assert graded(given, right) == (0.0, said)


def test_what_is_right_is_right_however_it_is_written() -> None:
    for given in ("l1h2 | l0h4", "0.4, 1.2", "~(~(l1h2|l0h4))"):
        assert graded(given, "l0h4 | l1h2") == (1.0, "")
    assert graded("l1 mlp", "l1 mlp", "anything") == graded("l1 mlp", "l1 mlp", "mlps") == (1.0, "")


def test_a_score_is_the_right_pieces_less_the_wrong_ones() -> None:
    right = "l0h4 | l1h2 | l2h0 | l2h3"
    assert graded("l0h4 | l1h2 | l2h0", right) == (0.75, "Nothing of it is wrong, and something is missing. "
                                                         "3 of 4 heads are right.")  # fmt: skip
    score, said = graded("l0h4 | l1h2 | l2h0 | l0h1", right)
    assert (score, said.endswith("3 of 4 heads are right; 1 of yours is not.")) == (0.5, True)
    assert graded("l1h2 | l1h3", "l1h2") == (0.0, f"{TOO_MANY} 1 of yours is wrong.")
    assert graded("full", "l1h2")[0] == graded("l*h*", right)[0] == 0.0
    assert graded("l0h4 | l1h2 | l2h0 | l2h3 | l0 mlp", right)[0] == 0.75


def test_parts_are_counted_where_anything_may_be_selected() -> None:
    score, said = graded("l1h2", "l1h2.q | l1h2.o", "anything")
    assert (score, said.startswith(SHARED)) == (0.0, True)
    assert graded("l1h2.q", "l1h2.qk", "anything")[0] == 0.5
    assert graded("l0 mlp", "l1h2", "anything")[1] == "The question is about a head, and an MLP is selected. " + (
        "None of your parts is among the right ones."
    )
    assert graded("l0h1", "l1 mlp", "anything")[1].startswith("The question is about something else than heads.")


def test_keys_and_values_of_a_right_head_are_no_half_of_its_siblings() -> None:
    assert graded("l1h2 | l1h1", "l1h2 | l1h1") == (1.0, "")
    assert graded("l1h2", "l1h2")[0] == 1.0


WORDS = [f"l{layer}h{head}" for layer in range(3) for head in range(6)]


@pytest.mark.parametrize("right", ["l1h2", "l0h4 | l2h3"])
@pytest.mark.parametrize("allow", ["heads", "anything"])
def test_no_feedback_has_a_word_of_the_answer(right: str, allow: PieceKind) -> None:
    one = [*WORDS, *(f"l{n} mlp" for n in range(3)), *(f"{word}.q" for word in WORDS), "embed", "full", "l1 ln1"]
    tries = one + [f"{a} | {b}" for a, b in combinations(WORDS, 2)]
    kind = SelectionKind(ANATOMY, allow)
    wanted = kind.right(right)
    said = {kind.grade(kind.read(given), wanted).feedback for given in tries}
    assert len(said) > 8
    for feedback in said:
        assert not re.search(r"\bl\d|\bh\d|\d\.\d|layer \d|head \d", feedback, re.I), feedback


def test_words_are_listed_as_in_a_sentence() -> None:
    assert [listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
