"""The state of a grid as a plain Python object: what is selected, saved, asked for and shown.

A widget binds it to its traits; exporting, and what reads the weights, take the state and know of no widget.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, TypeVar, get_args

from headgrid.anatomy.anatomy import Bools
from headgrid.experiments.task import Task
from headgrid.selection.selection import Selectable, Selection
from headgrid.widget.state import counts, query, saved
from headgrid.widget.state.cells import Cells
from headgrid.widget.state.head_values import HeadValues
from headgrid.widget.state.questions import GridQuestions
from headgrid.widget.state.saved import Saved
from headgrid.widget.state.undo import UndoHistory
from headgrid.widget.wire import empty
from headgrid.widget.wire.commands import Ledger, ParsedCommand
from headgrid.widget.wire.schema import (
    Arrows,
    Code,
    CodeQuery,
    Colors,
    Complete,
    CompletionList,
    ExerciseState,
    Focus,
    HeadsSummary,
    HeadsTable,
    History,
    LiveQuery,
    LiveView,
    ProgressState,
    Prompt,
    QueryError,
    Recolor,
    SelectionEffect,
    Summary,
    TaskState,
    Text,
    Thumbnails,
    pack,
)

T = TypeVar("T")

ShownTrait = Literal[
    "completions", "summary", "selected_heads", "arrows", "colors", "progress", "task_state", "live", "thumbnails",
    "effect", "heads_table", "code", "exercise",
]  # fmt: skip
"""The traits whose values `GridState.show` sets."""

KEPT = tuple(trait for trait in get_args(ShownTrait) if trait != "completions")
"""Those that an interrupted change takes back; completions answer whoever types."""


class Binding(Protocol):
    """What shows a state, such as a widget."""

    def show(self, trait: str, value: Any) -> None:
        """Show the new value of a trait."""

    def run(self, change: Callable[[], T], tell: Callable[[T], object] | None = None) -> T:
        """Do a change wholly or, where it is interrupted, not at all; then tell observers of what it returned."""


class Unbound:
    """The binding of a state that nothing shows."""

    def show(self, trait: str, value: Any) -> None:
        """Nothing."""

    def run(self, change: Callable[[], T], tell: Callable[[T], object] | None = None) -> T:
        """Do a change."""
        found = change()
        if tell is not None:
            tell(found)
        return found


class GridState:
    """The state of one grid.

    Args:
        cells: its cells.
        selection: what is selected at first; nothing by default.
        silent: the cells that write nothing, `[n_cells]`; none by default.

    Attributes:
        anatomy, cells, index: the model, its cells, and what each of them shows.
        lock: to be held by whoever changes the state, or reads several things of it that belong together. Reentrant.
        binding: what shows the state.
        history: the selection with its undo stack.
        saved: the selections with a name.
        answered: the number of the last query that was answered.
        silent: the cells whose output weights were all zero when they were last read.
        task: what the model is asked; None for nothing.
        focus, recolor, complete, prompt, live_query, code_query: what the browser asked for last.
        completions, summary, selected_heads, arrows, colors, progress, task_state, live, thumbnails, effect,
            heads_table, code, exercise: what is shown; `show` sets them.
        questions: the question that is asked of the grid, and those that were before it.
        check: has what is selected graded as the answer; for whoever can wait for that.
    """

    def __init__(self, cells: Cells, selection: Selection | None = None, silent: Bools | None = None) -> None:
        self.cells, self.anatomy, self.index = cells, cells.anatomy, cells.index
        self.lock = threading.RLock()
        self.binding: Binding = Unbound()
        self.history = UndoHistory(cells.anatomy.select("none") if selection is None else selection)
        self.saved = Saved(cells, self._save)
        self.answered = 0
        self.silent = cells.absent & False if silent is None else silent
        self.focus: Focus = empty.NO_FOCUS
        self.recolor: Recolor = empty.NO_RECOLOR
        self.complete: Complete = empty.NO_COMPLETE
        self.task: Task | None = None
        self.prompt: Prompt = empty.NO_PROMPT
        self.live_query: LiveQuery = empty.NO_LIVE_QUERY
        self.code_query: CodeQuery = empty.NO_CODE_QUERY
        self.completions: CompletionList = empty.NO_COMPLETIONS
        self.summary: Summary = empty.NO_SUMMARY
        self.selected_heads: HeadsSummary = empty.NO_HEADS
        self.arrows: Arrows = empty.NO_ARROWS
        self.colors: Colors = empty.NO_COLORS
        self.progress: ProgressState = empty.NO_PROGRESS
        self.task_state: TaskState = empty.NO_TASK
        self.live: LiveView = empty.NO_LIVE
        self.thumbnails: Thumbnails = empty.NO_THUMBNAILS
        self.effect: SelectionEffect = empty.NO_EFFECT
        self.heads_table: HeadsTable = empty.NO_TABLE
        self.code: Code = empty.NO_CODE
        self.exercise: ExerciseState = empty.NO_EXERCISE
        self.questions = GridQuestions()
        self.check: Callable[[], object] = lambda: None
        self._ledger = Ledger()
        self._coverage: tuple[Selection, Bools, Bools] | None = None

    def snapshot(self) -> Callable[[], None]:
        """A function that restores the present of everything that Python writes; what the browser asked for stays."""
        history, saved, ledger, answered = self.history.now, self.saved.state, self._ledger.state, self.answered
        task, shown = self.task, {trait: getattr(self, trait) for trait in KEPT}

        def restore() -> None:
            self.history.now, self.saved.state, self._ledger.state, self.answered = history, saved, ledger, answered
            self.task = task
            for trait, value in shown.items():
                setattr(self, trait, value)

        return restore

    # ---- what is shown

    def show(self, trait: ShownTrait, value: Any) -> None:
        """Set what is shown as a trait. To be called with the lock held."""
        setattr(self, trait, value)
        self.binding.show(trait, value)

    def show_completions(self) -> None:
        """Show what may stand at the caret of the text that is being typed."""
        self.show("completions", query.completed(self.head_values, self.complete))

    def _save(self, change: Callable[[], None]) -> None:
        self.binding.run(change, lambda _: self.binding.show("saved", self.saved))

    # ---- the selection

    @property
    def selection(self) -> Selection:
        """What is selected."""
        return self.history.selection

    @property
    def head_values(self) -> HeadValues:
        """The heads by the values that they are colored by now."""
        return HeadValues(self.cells, self.index, self.colors)

    @property
    def row(self) -> int:
        """The row of the task that is shown: the last one where the task has fewer than when it was chosen."""
        row = self.live_query["row"]
        return row if self.task is None else min(row, self.task.n_rows - 1)

    def selected(self, what: Selectable) -> Selection:
        """What `Anatomy.select` makes of something; a text may have words for values too. Errors as of both."""
        return self.head_values.select(what) if isinstance(what, str) else self.anatomy.select(what)

    def coverage(self) -> tuple[Bools, Bools]:
        """The cells that are on, and those of which some parts are selected, each `[n_cells]`."""
        if self._coverage is None or self._coverage[0] is not self.selection:
            self._coverage = self.selection, *self.cells.coverage(self.selection.parts)
        return self._coverage[1:]

    def text(self, error: QueryError | None = None) -> Text:
        """The selection in words, with the reason why the last query, or anything else, was refused."""
        return {
            "selection": str(self.selection),
            "counts": counts.said(self.cells, self.selection.parts, *self.coverage()),
            "n_selected": self.selection.n_params,
            "n_params": self.anatomy.n_params,
            "query": self.answered,
            "error": error,
        }

    def steps(self) -> History:
        """How far the selection can go back and forth."""
        return {"done": self.done, "undo": self.history.undo_steps, "redo": self.history.redo_steps}

    def selection_traits(self, error: QueryError | None = None) -> dict[str, Any]:
        """The traits that follow from the selection; `cells` is the last."""
        on, partial = self.coverage()
        return {"partial": pack(partial), "text": self.text(error), "history": self.steps(), "cells": pack(on)}

    # ---- commands

    @property
    def done(self) -> int:
        """The number of the last command that was done or refused."""
        return self._ledger.done

    def new(self, commands: Sequence[ParsedCommand]) -> list[ParsedCommand]:
        """Those of some commands that are not done yet."""
        return self._ledger.new(commands)

    def skip(self, n: int) -> None:
        """Count a command as done, and as answered, that cannot be understood."""
        self._ledger.skip(n)
        self.answered = max(self.answered, n)

    def do(self, commands: Sequence[ParsedCommand]) -> tuple[list[str], QueryError | None]:
        """Do the commands of one message that are new, in their order, and show nothing.

        Returns:
            Why commands were refused, which count as done, and what is wrong with the text of the last query.
        """
        faults: list[str] = []
        error: QueryError | None = None
        for parsed in commands:
            self._ledger.mark(parsed.command)  # first: what fails is not to be done again
            if parsed.command["do"] == "query":
                error = self._query(parsed.command["n"], parsed.command["value"])
                continue
            try:
                self._do(parsed)
            except (KeyError, ValueError) as fault:
                faults.append(saved.said(fault))
        return faults, error

    def _query(self, n: int, text: str) -> QueryError | None:
        """Select what a text says, or say why it selects nothing."""
        self.answered = max(self.answered, n)  # two pages may count alike
        found = query.read(self.head_values, text)
        if not isinstance(found, Selection):
            return found
        self.history.change(found)
        return None

    def _do(self, parsed: ParsedCommand) -> None:
        name = parsed.command["name"]
        match parsed.command["do"]:
            case "undo":
                self.history.undo()
            case "redo":
                self.history.redo()
            case "edit" if parsed.on is not None and parsed.off is not None:
                self._edit(parsed.on, parsed.off)
            case "only" if parsed.on is not None:
                whole = self.cells.parts_of(parsed.on & ~self.cells.absent)
                self.history.change(Selection.from_parts(self.anatomy, whole))
            case "save":
                self.saved.put(name, self.selection)
            case "recall":
                self.history.change(self.saved[name])
            case "remove":
                self.saved.drop(name)
            case "tint":
                self.saved.tint(name, parsed.command["value"])
            case "check":
                self.check()

    def _edit(self, on: Bools, off: Bools) -> None:
        """Switch some cells on and others off: what else is on, and finer choices elsewhere, stay."""
        shown = self.coverage()[0]
        chosen = self.cells.click(self.selection.parts, shown | off, (shown | on) & ~off)
        self.history.change(Selection.from_parts(self.anatomy, chosen))
