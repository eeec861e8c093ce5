"""The questions of a grid: they are asked and hide metrics, and what is selected is graded as their answer.

It is graded on the worker, because reference code may take long.
"""

from __future__ import annotations

from functools import partial

from headgrid.selection.selection import Selection
from headgrid.widget.compute import to_wire
from headgrid.widget.compute.coloring import Coloring
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state.grid_spec import spec
from headgrid.widget.state.grid_state import KEPT, GridState
from headgrid.widget.state.questions import GridQuestion


class Grader:
    """Asks the questions of one grid.

    Its methods are for the thread that changes the grid, with the state's lock held.

    Args:
        state: the grid.
        worker: grades answers.
        coloring: colors the cells; not by what is hidden.
    """

    def __init__(self, state: GridState, worker: Worker, coloring: Coloring) -> None:
        self._state, self._worker, self._coloring = state, worker, coloring
        self._hidden = state.questions.hidden  # when it was last shown

    def ask(self, question: GridQuestion, fault: str = "") -> None:
        """Ask a question, or show anew what its last answer came to.

        Args:
            question: the question.
            fault: why its answer could not be graded.
        """
        state = self._state
        state.questions.ask(question)
        hidden = state.questions.hidden
        if state.colors["metric"] in hidden:
            self._coloring.color_by(None, None, None, "folded")
        found = question.state()
        state.show("exercise", {**found, "feedback": fault or found["feedback"]})
        if hidden != self._hidden:
            self.show_all()

    def show_all(self) -> None:
        """Show everything anew, where other metrics are hidden than before."""
        state = self._state
        self._hidden = state.questions.hidden
        state.binding.show("spec", spec(state.cells, state.silent, self._coloring.quantities))
        for trait in KEPT:
            state.binding.show(trait, getattr(state, trait))

    def check(self) -> None:
        """Have the present selection graded.

        Raises:
            ValueError: when no question is asked, or when it is not answered by clicks.
        """
        question, shown = self._state.questions.last, self._state.exercise
        if question is None or not shown["clicks"]:
            raise ValueError("there is no question that a selection answers; run the cell of an exercise")
        self._state.show("exercise", {**shown, "pending": True})
        graded = partial(self._grade, question, self._state.selection)
        self._worker.submit("exercise", graded, partial(self._failed, question))

    def _grade(self, question: GridQuestion, selection: Selection, turn: Turn) -> None:
        question.clicked(selection)
        turn.show(partial(self._graded, question))

    def _graded(self, question: GridQuestion, fault: str = "") -> None:
        if self._state.questions.last is question:
            self.ask(question, fault)

    def _failed(self, question: GridQuestion, error: Exception) -> None:
        self._graded(question, f"The answer could not be graded: {to_wire.sentence(to_wire.said(error))}")
