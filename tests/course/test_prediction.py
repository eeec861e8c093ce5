"""Predictions: nothing is shown before one was made, and what was made stays."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from headgrid.course import Exercise, Prediction, report


def test_a_result_is_neither_computed_nor_shown_without_a_prediction() -> None:
    guess, called = Prediction("drop", ask="By how much?"), []
    found = guess.reveal(lambda: called.append(1) or 3.0)
    assert (found.state, called, found.score) == ("open", [], 0.0)
    assert found.feedback.startswith("There is no prediction yet, so nothing is shown")
    for nothing in (None, ..., "", "much"):
        assert guess.predict(nothing).state == "open"


def test_both_are_shown_and_the_prediction_counts_whatever_it_was() -> None:
    guess = Prediction("drop", ask="By how much?", unit="nats", points=3)
    assert guess.predict(0.8).feedback.startswith("Your prediction is kept")
    assert guess.predict(-2).earned == 3
    assert (
        guess.reveal(lambda: -0.5).feedback == "You predicted -2 nats, and it is -0.5 nats: a difference of +1.5 nats."
    )
    assert guess.reveal(1).feedback.endswith("a difference of +3 nats; the sign is another.")
    late = guess.predict(1)
    assert (late.answer, late.feedback[:32]) == ("-2", "The result was shown already, so")
    assert guess.predict(-2), "the same cell may run again"
    assert [(row.kind, row.state) for row in report().rows] == [("prediction", "right")]


def test_a_choice_may_be_predicted() -> None:
    guess = Prediction("which", ask="More or less?", choices=["more", "less"])
    guess.predict("More")
    assert guess.reveal("less").feedback == 'You predicted "more", and it is "less".'
    with pytest.raises(ValueError, match="one of 'more', 'less'"):
        guess.reveal("equal")


@pytest.mark.parametrize("caller", [torch.enable_grad, torch.no_grad, torch.inference_mode])
def test_a_result_and_an_answer_may_be_what_training_gives(caller: Any) -> None:
    def trained() -> float:
        weight = torch.tensor(3.0, requires_grad=True)
        (weight**2).backward()
        assert weight.grad is not None
        return float(weight.grad)

    guess, asked = Prediction("slope", ask="?"), Exercise("slope too", ask="?", answer=trained, kind="number")
    guess.predict(5)
    with caller():
        assert "it is 6" in guess.reveal(trained).feedback
        assert asked.check(6)
