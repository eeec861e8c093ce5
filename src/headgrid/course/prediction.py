"""Predictions: what somebody expects, said before the result is shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch

from headgrid.course.asked import REPLACED, AskedQuestion, anatomy_of, reason
from headgrid.course.exercise import kind_of
from headgrid.course.result import Result
from headgrid.course.sealing import Kind
from headgrid.torch_state import shielded
from headgrid.utils import arguments

FIRST = "There is no prediction yet, so nothing is shown: run predict(...) with what you expect first, then this."
SEEN = "The result was shown already, so the prediction stays what it was: make the exercise again to start over."
KEPT = "Your prediction is kept. Now have the result shown with reveal(...)."


class Prediction(AskedQuestion):
    """A question that is answered before the result is there: `predict(0.8)`, then `reveal(lambda: ...)` shows both.

    What counts is that something was predicted before it was known, not how close it is: all points are given for it.
    `reveal` without a prediction computes and shows nothing.

    Args:
        name, grid, ask, hide, points: as of `headgrid.course.Exercise`; `grid` may be left out.
        choices: the texts to choose from, where it is no number that is predicted.
        unit: what a number is in: "nats".

    Example:
        >>> guess = headgrid.course.Prediction("without it", ask="By how much will the logit difference fall?")
        >>> guess.predict(-2)
        >>> guess.reveal(lambda: effect["mean"].value)
    """

    def __init__(
        self, name: str, grid: Any = None, *, ask: str, choices: Sequence[str] | None = None, unit: str = "",
        hide: Iterable[str] = (), points: float = 1,
    ) -> None:  # fmt: skip
        self.unit = arguments.text("unit", unit)
        kind: Kind = "number" if choices is None else "choice"
        self._kind = kind_of(anatomy_of(grid), None, kind, "anything", choices, None, None)
        self.choices = tuple(choices or ())
        self.predicted: Any = None
        self._result_seen: Any = None
        super().__init__(name, grid, ask, "prediction", points, hide, (self.choices, self.unit))

    def predict(self, given: Any) -> Result:
        """Keep what is expected; until the result is shown, another prediction takes its place.

        Args:
            given: a number, or one of the choices. None, `...` and "" are none yet.
        """
        result = self._predicted(given)
        self._tell()
        result.show()
        return result

    def _predicted(self, given: Any) -> Result:
        if self._retired:
            return self._open(REPLACED)
        if given is None or given is ... or (isinstance(given, str) and not given.strip()):
            return self._result if self._result else self._keep(self._open(FIRST))
        try:
            read = self._kind.read(given)
        except (TypeError, ValueError) as fault:
            said = f"This is no prediction: {reason(fault)}"
            return self._result if self._result else self._keep(self._open(said))
        if self._result_seen is not None and read != self.predicted:
            return self._keep(self._with("right", 1.0, SEEN, self._kind.code(self.predicted)))
        self.predicted = read
        return self._keep(self._with("right", 1.0, KEPT, self._kind.code(read), tries=1))

    def reveal(self, result: Any) -> Result:
        """Show the result beside the prediction.

        Args:
            result: a number, or one of the choices; or a function of no arguments that gives it, which is called only
                where there is a prediction.

        Raises:
            TypeError, ValueError: when the result is no number, or none of the choices.
        """
        found = self._revealed_beside(result)
        self._tell()
        found.show()
        return found

    def _revealed_beside(self, result: Any) -> Result:
        if self._retired:
            return self._open(REPLACED)
        if self.predicted is None:
            return self._keep(self._open(FIRST))
        with shielded(), torch.enable_grad():  # it may train something
            seen = self._kind.read(result() if callable(result) else result)
        self._result_seen = seen
        unit = f" {self.unit}" if self.unit else ""
        guess, shown = self._kind.code(self.predicted), self._kind.code(seen)
        return self._keep(self._with("right", 1.0, _beside(self.predicted, seen, guess, shown, unit), guess))


def _beside(guess: Any, seen: Any, said: str, shown: str, unit: str) -> str:
    """A prediction and the result in words."""
    if isinstance(guess, str):
        return f"You predicted {said}, and it is {shown}."
    sign = "" if guess * seen >= 0 else "; the sign is another"
    return (
        f"You predicted {guess:.4g}{unit}, and it is {seen:.4g}{unit}: a difference of {seen - guess:+.4g}{unit}{sign}."
    )
