"""Exercises: what is answered by clicks, words or code is graded alike; what is no answer is said in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
from grids import LLAMA, settled
from hands import click, command

import headgrid as hg
from headgrid.course import Exercise, exercise, report, sealed
from headgrid.course.exercise import CHANGED, NOT_CLICKED, NOT_YET, NOTHING, OTHER


def grid() -> hg.HeadGrid:
    return hg.HeadGrid(tiny.config(LLAMA))


def made(on: Any = None, **more: Any) -> Exercise:
    given = {"ask": "Which head is it?", "answer": "l1h2", "allow": "heads", **more}
    return Exercise(given.pop("name", "one"), grid() if on is None else on, **given)


def test_clicks_words_and_code_answer_alike() -> None:
    ours = grid()
    ex = made(ours)
    click(ours, "l1h2")
    by_clicks = ex.check()
    assert (by_clicks.state, by_clicks.answer, by_clicks.earned) == ("right", '"l1h2"', 1.0)
    assert by_clicks.line == """course.exercise('one').check("l1h2")"""
    for answer in ("l1h2", "1.2", (1, 2), [(1, 2)], ours.anatomy.select("l1h2"), torch.arange(18).reshape(3, 6) == 8):
        assert ex.check(answer)
    assert (ex.solved, ex.score, ex.state()["tries"], ex.require().line) == (True, 1.0, 7, "")


def test_without_a_click_since_it_was_made_there_is_no_answer_whatever_is_selected() -> None:
    ours = grid()
    ours.select("l1h2")
    ex = made(ours)
    found = ex.check()
    assert (found.state, found.score, found.tries, found.feedback) == ("open", 0.0, 0, NOT_CLICKED)
    with pytest.raises(AssertionError, match="nothing was clicked since"):
        ex.require()
    ours.select("l0h1")
    assert ex.check().state == "wrong"


@pytest.mark.parametrize("nothing", [None, ..., "", "  "])
def test_an_exercise_that_is_not_answered_yet_says_so(nothing: Any) -> None:
    found = made().check(nothing)
    assert (found.state, found.feedback, found.tries) == ("open", NOT_YET, 0)


def test_what_is_no_answer_is_said_in_a_sentence_and_is_no_try() -> None:
    ex = made()
    other = tiny.anatomy("gpt2").select("l0h1")
    for given, said in [
        ("l9h1", "This is no answer: there is no layer 9"),
        (3.5, "This is no answer: 3.5 cannot be selected"),
        ("none", NOTHING),
        (other, "which is another model than"),
    ]:
        found = ex.check(given)
        assert said in found.feedback
        assert (found.state, found.tries) == ("open", 0)
        assert "\n" not in found.feedback


def test_a_wrong_answer_by_text_says_that_the_grid_shows_another_that_was_clicked_since() -> None:
    ours = grid()
    ex = made(ours)
    assert OTHER not in ex.check("l0h0").feedback
    ours.select("l2h0")
    assert ex.check("l0h0").feedback.endswith(OTHER)
    assert OTHER not in ex.check("l0h0").feedback


def test_the_teachers_hints_take_the_place_of_the_likely_mistake() -> None:
    ex = made(hints={"l1h3": "That one looks at the first token.", (0, 2): "Too early."})
    assert ex.check("1.3").feedback == "That one looks at the first token."
    assert ex.check("l0h2").feedback == "Too early."
    assert ex.check("l1h5").feedback == "The layer is right, the head is not."


def test_an_answer_that_is_computed_is_computed_once_at_the_first_check_in_plain_settings() -> None:
    seen = []

    def answer() -> str:
        seen.append((torch.get_default_dtype(), torch.is_grad_enabled(), str(torch.empty(0).device)))
        return "l1h2"

    ex = made(answer=answer)
    assert not seen
    with torch.device("meta"):
        assert [bool(ex.check(one)) for one in ("l1h2", "l0h1")] == [True, False]
    assert seen == [(torch.float32, True, "cpu")], "it may train something"


def test_an_answer_that_is_computed_is_of_the_weights_that_there_were() -> None:
    model = tiny.fresh(LLAMA)
    ex = made(hg.HeadGrid(model), answer=lambda: "l1h2")
    assert ex.check("l1h2")
    with torch.no_grad():
        next(model.parameters())[0] += 1
    found = ex.check("l1h2")
    assert (found.state, found.feedback) == ("open", CHANGED)
    assert made(hg.HeadGrid(model), answer="l1h2", name="two").check("l1h2"), "a plain answer is of no weights"


def test_a_later_exercise_of_the_same_name_replaces_the_earlier_one() -> None:
    ours = grid()
    first = made(ours)
    first.check("l1h2")
    again = made(ours)
    assert [one.state for one in report().rows] == ["open"]
    assert "was made since, so this one does not count" in first.check("l1h2").feedback
    assert again.check("l1h2")
    with pytest.warns(UserWarning, match="another exercise is called 'one'"):
        made(ours, ask="Something else?")


def test_an_exercise_is_found_by_its_name() -> None:
    with pytest.raises(
        KeyError, match=r"no exercise 'one' yet \(none was made yet\): run the cell that makes it first"
    ):
        exercise("one")
    ex = made()
    assert exercise("one") is ex
    with pytest.raises(KeyError, match="made were 'one'"):
        exercise("two")


def test_numbers_are_graded_by_their_tolerance_and_their_mistakes_are_named() -> None:
    ex = Exercise("n", ask="By how much?", answer=-0.81, relative=0.02, unit="nats", hints={3: "Of which head?"})
    said = {given: ex.check(given) for given in (-0.8, 0.81, -81, -0.561, 3, 5)}
    assert [one.state for one in said.values()] == ["right"] + ["wrong"] * 5
    assert [one.feedback.split(":")[0] for one in said.values()] == [
        "", "The size is right, the sign is not", "The digits are right, the power of ten is not",
        "It would be right in logarithms of another base", "Of which head?",
        "It is not within the tolerance of the right number.",
    ]  # fmt: skip
    assert not any("81" in one.feedback for one in said.values())
    assert ex.check(True).feedback == "This is no answer: the answer is a number, not True"
    assert ex.check().feedback.endswith("such as 0.5, in nats.")
    assert [Exercise("m", ask="?", answer=4).check(one).state for one in (4, 4.0, 4.01)] == ["right", "right", "wrong"]


def test_orders_and_choices_are_graded() -> None:
    ours = grid()
    order = Exercise("o", ours, ask="In which order?", answer=["l0h4", "l1h2", "l2h0"], kind="order")
    graded = {text: order.check(text) for text in ("l0h4 -> l1h2 -> l2h0", "l2h0 -> l1h2 -> l0h4",
              "l1h2 -> l2h0 -> l0h4", "l0h4 -> l1h2", "l0h4 -> l1h2 -> l2h3", "l0h1")}  # fmt: skip
    assert [round(one.score, 2) for one in graded.values()] == [1, 0.5, 0.5, 0.67, 0.67, 0]
    assert [one.feedback.split(".")[0] for one in graded.values()] == [
        "", "These are the right heads, in reversed order", "These are the right heads, in another order",
        "2 of 3 heads are right, and in the right place", "The layer is right, the head is not",
        "0 of 3 heads are right, and in the right place",
    ]  # fmt: skip
    assert order.check([(0, 4), (1, 2), (2, 0)]).answer == '["l0h4", "l1h2", "l2h0"]'
    assert "one head, such as 'l1h2'" in order.check(["l0 mlp"]).feedback
    choice = Exercise("c", ask="Why?", answer="It copies", choices=["It copies", "It suppresses"])
    assert [choice.check(one).state for one in ("it  COPIES", "It suppresses", "It sleeps")] == [
        "right",
        "wrong",
        "open",
    ]


def test_the_grid_shows_the_question_and_its_button_checks_what_is_selected() -> None:
    ours = grid()
    ex = made(ours, points=2)
    assert {"name": "one", "ask": "Which head is it?", "state": "open", "clicks": True}.items() <= ours.exercise.items()
    click(ours, "l1h5")
    ours.set_state({"commands": [command(9, "check")]})
    settled(ours)
    assert (ours.exercise["state"], ours.exercise["tries"], ours.exercise["pending"]) == ("wrong", 1, False)
    assert ours.exercise["feedback"] == ex.result.feedback == "The layer is right, the head is not."
    ours.select("l1h2")
    ours.set_state({"commands": [command(10, "check")]})
    assert settled(ours).exercise["said"] == "Right, 2 of 2 points"
    assert ex.solved
    assert "check" not in str(ours.text["error"])


def test_a_button_that_was_pressed_where_nothing_is_asked_is_refused() -> None:
    ours = grid()
    ours.set_state({"commands": [command(1, "check")]})
    assert "there is no question that a selection answers" in ours.text["error"]["message"]


def test_a_fault_of_the_reference_code_is_said_on_the_grid_and_raised_in_python() -> None:
    ours = grid()
    ex = made(ours, answer=lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ex.check("l1h2")
    ours.select("l1h2")
    ours.set_state({"commands": [command(1, "check")]})
    settled(ours)
    assert ours.exercise["feedback"] == "The answer could not be graded: ZeroDivisionError: division by zero."
    assert not ours.exercise["pending"]


@pytest.mark.parametrize("answer", [{"answer": 2.5, "tolerance": 0.2}, {"answer": 2.5, "relative": 0.08}])
def test_a_hint_of_a_number_is_for_those_around_it_and_the_nearest_says_it(answer: dict[str, Any]) -> None:
    ex = Exercise("m", ask="How much?", **answer, hints={4.0: "With both.", 4.3: "With neither.", 2.6: "Of it all."})
    assert ex.check(4.1).feedback == "With both."
    assert ex.check(4.2).feedback == "With neither."
    assert ex.check(3.5).feedback != "With both."
    assert ex.check(2.6), "what is right stays so"
    exact = Exercise("k", ask="How many?", answer=7, hints={6: "One is missing."})
    assert exact.check(6).feedback == "One is missing."
    assert exact.check(6.001).feedback != "One is missing."


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"answer": "none"}, "the right answer is a selection of heads, each of them whole"),
        ({"answer": "l1h2 | l0 mlp"}, "the right answer is a selection of heads, each of them whole"),
        ({"answer": "l9h0"}, "there is no layer 9"),
        ({"allow": "everything"}, "allow is 'anything', 'heads', 'mlps' or 'experts'"),
        ({"kind": "text"}, "kind is 'selection', 'order', 'number' or 'choice'"),
        ({"choices": ["a", "b"], "kind": "selection"}, "choices are for an answer of the kind 'choice'"),
        ({"tolerance": 1}, "tolerance and relative are for an answer of the kind 'number'"),
        ({"name": ""}, "name has 1 to 80 characters"),
        ({"name": 3}, "name is a text"),
        ({"points": -1}, "points is a number of points of at least 0"),
        ({"hints": {"l9h0": "no"}}, "there is no layer 9"),
        ({"hide": ["nonsense"]}, "there is no metric 'nonsense' of this grid to hide; it has no weights to read"),
        ({"answer": sealed(f"number:e:{'0' * 16}:{'0' * 16}"), "kind": "selection"}, "this sealed answer is a number"),
    ],
)
def test_an_exercise_that_cannot_be_is_refused_when_it_is_made(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        made(**wrong)
    assert not report().rows
