"""Exercises: a question about a model whose answer is checked, in a notebook, on its grid, and by graders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import torch

from headgrid.course import notebook
from headgrid.course.asked import REPLACED, AskedOf, AskedQuestion, anatomy_of, reason
from headgrid.course.kinds import NUMBER_OFF, AnswerKind, ChoiceKind, NumberKind, OrderKind, SelectionKind
from headgrid.course.result import Result
from headgrid.course.sealing import KINDS, Kind, Sealed
from headgrid.experiments.runs import model_fingerprint
from headgrid.selection.pieces import PIECE_KINDS, PieceKind
from headgrid.selection.selection import Selection
from headgrid.torch_state import shielded
from headgrid.utils import arguments

CLICKED: Final = object()
"""The answer of a check without one: what is selected on the grid."""

NOT_YET = "It is not answered yet."
NOTHING = (
    "Nothing is selected, and an answer is something: click heads of the grid, or write it between the parentheses."
)
NOT_CLICKED = (
    "No answer is written here, and nothing was clicked since the exercise was made: clicks are gone after a restart "
    "and after its cell has run again. Click an answer and check once more, or write it between the parentheses."
)
CHANGED = (
    "The weights of the model have changed since the exercise was made, and its answer is computed from them: run the "
    "cells that make the model and the exercise again."
)
OTHER = "The grid shows another selection, clicked since then: check() with nothing between its parentheses takes that."


class Exercise(AskedQuestion):
    """A question with an answer that is checked: a selection, heads in an order, a number or one of several choices.

    `check()` takes what is selected on the grid, by clicks, words or code, and `check("l1h2")` what stands between its
    parentheses. In a notebook a cell that is `ex.check()` alone then says `ex.check("l1h2")`, so that the answer is
    there after a restart and for whoever runs the notebook; where the front end cannot do that, the result has the line
    to write. The last answer counts. The feedback names the likely mistake and never the answer.

    A score is from 0 to 1. Of a selection it is the right pieces less the wrong ones, over how many there are; of an
    order, how many heads are in their places, and half at least for the right ones in another order; numbers and
    choices are right or not.

    Args:
        name: 1 to 80 characters. A later exercise of the same name replaces the earlier one.
        grid: the `HeadGrid` that shows the question and whose selection is the answer; without a grid, whatever
            `headgrid.dissect` takes. None where no heads are asked for.
        ask: the question.
        answer: the right answer; a function of no arguments that computes it, called once, at the first check; or what
            `headgrid.course.seal` made of it, which nobody reads in passing.
        kind: "selection", "order", "number" or "choice"; that of the answer by default, and "selection" for a function.
        allow: what a selection is counted in and consists of: "heads", "mlps" or "experts", each whole; "anything" for
            whatever parts there are.
        choices: the texts to choose from.
        tolerance, relative: how far a number may be off, in its unit or as a share of the right one. Without both, a
            whole number is to be met and any other to a hundredth.
        unit: what a number is in: "nats".
        hints: wrong answer -> what is said of it, in place of the likely mistake. A wrong number stands for those
            around it, as far as the tolerance goes.
        hide: metrics, by the names that `HeadGrid.color_by` takes, which the grid shows nowhere until the exercise is
            solved: in no menu, table, tooltip or panel. Python computes them still.
        points: what it is worth.

    Raises:
        TypeError, ValueError: for arguments that do not fit each other or the model; for a metric that there is not.

    Warns:
        UserWarning: when another question has the name; it does not count any more.

    Example:
        >>> ex = headgrid.course.Exercise("copies", grid, ask="Which head copies what it attends to?", answer="l1h2",
        ...                               allow="heads", hide=["copying_score"])
        >>> ex.check("l1h1")
        ✘ copies: Not yet, 0 of 1 point
        The layer is right, the head is not.
    """

    def __init__(
        self, name: str, grid: Any = None, *, ask: str, answer: Any, kind: Kind | None = None,
        allow: PieceKind = "anything", choices: Sequence[str] | None = None, tolerance: float | None = None,
        relative: float | None = None, unit: str = "", hints: Mapping[Any, str] | None = None,
        hide: Iterable[str] = (), points: float = 1,
    ) -> None:  # fmt: skip
        self.anatomy, self.unit = anatomy_of(grid), arguments.text("unit", unit)
        self._kind = kind_of(self.anatomy, answer, kind, allow, choices, tolerance, relative)
        self._answer, self._right = answer, None if callable(answer) else self._kind.right(answer)
        given = arguments.of_kind(
            "hints", {} if hints is None else hints, Mapping, "a dictionary: wrong answer -> what is said of it"
        )
        self._hints = {self._kind.read(wrong): arguments.text("each of hints", said) for wrong, said in given.items()}
        self._model = getattr(grid, "model", None) if callable(answer) and isinstance(grid, AskedOf) else None
        self._fingerprint = self._model_now()
        self._moves = self._checked = 0
        self.choices = tuple(choices or ())
        super().__init__(name, grid, ask, self._kind.kind, points, hide, (allow, self.choices, self.unit))
        if self.takes_clicks:
            self._grid.observe(self._moved, "selection")

    # ---- checking

    def check(self, given: Any = CLICKED) -> Result:
        """Grade an answer, and show what it comes to.

        Args:
            given: the answer; what is selected on the grid by default. None, `...` and "" are no answers yet. What
                cannot be read as an answer counts as none: the result says why.

        Returns:
            The result, which is true where the answer is right.
        """
        clicked, kept = given is CLICKED, self._checked
        result = self._graded(given)
        if clicked and result.line and notebook.own_cell(self):
            notebook.rewrite(result.line)
            result = self._keep(self._with(result.state, result.score, result.feedback, result.answer))
        elif not clicked and not result and self._moves > kept and self.takes_clicks:
            added = " ".join(filter(None, [result.feedback, OTHER]))
            result = self._keep(self._with(result.state, result.score, added, result.answer))
        self._tell()
        result.show()
        return result

    def clicked(self, selection: Selection) -> None:
        """Grade what is selected, and show it nowhere: the grid that calls this on a click of its button does that."""
        self._graded(CLICKED, selection)

    def _graded(self, given: Any, selection: Selection | None = None) -> Result:
        if self._retired:
            return self._open(REPLACED)
        by_clicks = given is CLICKED
        if by_clicks:
            if not self.takes_clicks:
                return self._keep(self._open(self._how()))
            if not self._moves:
                return self._keep(self._open(NOT_CLICKED))
            given = self._grid.selection if selection is None else selection
        self._checked = self._moves
        if given is None or given is ... or (isinstance(given, str) and not given.strip()):
            return self._keep(self._open(NOT_YET))
        try:
            read = self._kind.read(given)
        except (TypeError, ValueError, KeyError, IndexError) as fault:
            return self._keep(self._open(f"This is no answer: {reason(fault)}"))
        if isinstance(read, Selection) and not read:
            return self._keep(self._open(NOTHING))
        if self._fingerprint != self._model_now():
            return self._keep(self._open(CHANGED))
        return self._keep(self._against_right(read, by_clicks))

    def _against_right(self, read: Any, by_clicks: bool) -> Result:
        if self._right is None:
            with shielded(), torch.enable_grad():  # it may train something
                self._right = self._kind.right(self._answer())
        grade, code = self._kind.grade(read, self._right), self._kind.code(read)
        state = "right" if grade.score == 1 else "partly" if grade.score else "wrong"
        wrong = read
        if isinstance(self._kind, NumberKind) and grade.feedback == NUMBER_OFF:  # no better known mistake
            wrong = self._kind.foreseen(read, self._hints, self._right)
        feedback = grade.feedback if state == "right" else self._hints.get(wrong, grade.feedback)
        line = f"{self._code_name}.check({code})" if by_clicks else ""
        return self._with(state, grade.score, feedback, code, line, tries=1)

    # ---- for the grid that shows it

    @property
    def takes_clicks(self) -> bool:
        """Whether what is selected on a grid is an answer."""
        return self._kind.kind == "selection" and self._grid is not None

    def retire(self) -> None:
        """Another exercise has its name now: this one counts no more, hides nothing and follows no clicks."""
        super().retire()
        if self.takes_clicks:
            self._grid.unobserve(self._moved, "selection")

    def _moved(self, _: object) -> None:
        self._moves += 1

    # ---- in words

    def _how(self) -> str:
        example = {"selection": '"l1h2"', "order": '["l0h1", "l1h2"]', "number": "0.5"}.get(self._kind.kind, "")
        if self.choices:
            example = f"one of {', '.join(map(repr, self.choices))}"
        unit = f", in {self.unit}" if self.unit else ""
        return f"No answer is written here: write it between the parentheses of check(), such as {example}{unit}."

    def _model_now(self) -> str:
        if self._model is None or self.anatomy is None:
            return ""
        return model_fingerprint(self._model, self.anatomy)


def kind_of(
    anatomy: Any, answer: Any, kind: Kind | None, allow: PieceKind, choices: Sequence[str] | None,
    tolerance: float | None, relative: float | None,
) -> AnswerKind:  # fmt: skip
    """The kind of an exercise's answer.

    Raises:
        TypeError, ValueError: for what is none, and for arguments of another kind.
    """
    allow = arguments.one_of("allow", allow, PIECE_KINDS)
    if kind is None:
        kind = answer.kind if isinstance(answer, Sealed) else "choice" if choices is not None else "selection"
        if kind == "selection" and _is_number(answer):
            kind = "number"
    kind = arguments.one_of("kind", kind, KINDS[:4])
    if (choices is not None) != (kind == "choice"):
        raise ValueError(f"choices are for an answer of the kind 'choice', which needs them; this is a {kind}")
    if kind != "number" and (tolerance is not None or relative is not None):
        raise ValueError(f"tolerance and relative are for an answer of the kind 'number'; this is a {kind}")
    if kind != "selection" and allow != "anything":
        raise ValueError(f"allow is for an answer of the kind 'selection'; this is a {kind}")
    if kind == "choice":
        texts = [arguments.text("each of choices", one) for one in arguments.items("choices", choices, "texts")]
        if len({one.casefold() for one in texts}) < max(2, len(texts)):
            raise ValueError(f"choices are two or more texts, no two alike, not {arguments.shown(texts)}")
        return ChoiceKind(tuple(texts))
    if kind == "number":
        return _number_kind(tolerance, relative)
    if anatomy is None:
        raise ValueError("an answer of heads is of a model: give the HeadGrid, or whatever headgrid.dissect takes")
    return OrderKind(anatomy) if kind == "order" else SelectionKind(anatomy, allow)


def _is_number(answer: Any) -> bool:
    try:
        arguments.number("answer", answer)
    except TypeError:
        return False
    except ValueError:  # infinite or NaN: a number all the same
        pass
    return True


def _number_kind(tolerance: float | None, relative: float | None) -> NumberKind:
    if tolerance is not None and relative is not None:
        raise ValueError("give tolerance, in the unit of the number, or relative, as a share of it, not both")
    if tolerance is not None:
        tolerance = arguments.number("tolerance", tolerance, least=0)
    if relative is not None and not 0 < arguments.number("relative", relative) < 1:
        raise ValueError(f"relative is a share between 0 and 1, not {arguments.shown(relative)}")
    return NumberKind(tolerance, None if relative is None else arguments.number("relative", relative))


def seal(
    answer: Any, grid: Any = None, *, kind: Kind | None = None, allow: PieceKind = "anything",
    choices: Sequence[str] | None = None, tolerance: float | None = None, relative: float | None = None,
) -> Sealed:  # fmt: skip
    """An answer as salted hashes of its pieces: what a student's notebook has in place of it.

    Print it, and write what is printed, `course.sealed("...")`, as the `answer` of the exercise. It keeps an answer
    from being read, not from being found: whoever tries all heads of the model against the hashes has it, and how many
    pieces it has can be counted. A number's tolerance is widened by an eighth of itself at most.

    Args:
        answer: the answer.
        grid: its `HeadGrid`, or whatever `headgrid.dissect` takes, for heads.
        kind, allow, choices, tolerance, relative: as of `Exercise`.

    Raises:
        TypeError, ValueError: as of `Exercise`.

    Example:
        >>> headgrid.course.seal("l1h2", grid, allow="heads")
        course.sealed('selection:heads:6f...')
    """
    if isinstance(answer, Sealed) or callable(answer):
        raise TypeError(f"answer is the plain answer, to be sealed, not {arguments.shown(answer)}")
    return kind_of(anatomy_of(grid), answer, kind, allow, choices, tolerance, relative).seal(answer)
