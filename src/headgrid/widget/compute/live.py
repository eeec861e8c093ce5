"""What heads do on the task: what a view asks for is read on the worker, and shown as more of it is known.

Its methods are for the thread that changes the grid, with the state's lock held, unless they say otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from headgrid.experiments.task import Task
from headgrid.selection.selection import Selection
from headgrid.widget.compute import live_task, to_wire
from headgrid.widget.compute.coloring import Coloring
from headgrid.widget.compute.live_reader import LiveAnswers, LiveReader
from headgrid.widget.compute.selection_effect import effects_of
from headgrid.widget.compute.shared_copy import SharedCopy
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.compute.tested_arrows import AT_ONCE, EdgeEnds, ends
from headgrid.widget.compute.thumbnails import thumbnails, too_many
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state.grid_spec import spec
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.empty import NO_EFFECT, NO_LIVE, NO_PROGRESS, NO_THUMBNAILS
from headgrid.widget.wire.schema import Arrow, LiveView, Prompt, SelectionEffect, Thumbnails

MOST_HEADS = 8
"""The heads whose patterns are shown side by side."""

EACH = 0.1
"""Seconds between two reports of progress."""

DRAWING = "reading attention patterns"
LANES = ("live", "thumbnails", "effect", "edges")

Question = tuple[Any, ...]


class Live:
    """Reads what heads do on the task of one grid.

    Args:
        state: the grid.
        model: its model; None for one that is known by its configuration alone.
        tokenizer: its tokenizer, or None.
        shared: the copy of the model that the worker runs.
        cache: knows how often weights were seen to change.
        worker: runs the model.
        coloring: colors the cells, by numbers of the task too.
    """

    def __init__(
        self, state: GridState, model: torch.nn.Module | None, tokenizer: Any, shared: SharedCopy | None,
        cache: SummaryCache, worker: Worker, coloring: Coloring,
    ) -> None:  # fmt: skip
        self._state, self._model, self._tokenizer, self._shared = state, model, tokenizer, shared
        self._cache, self._worker, self._coloring = cache, worker, coloring
        self._reader = LiveReader(state, shared, cache)
        self._asked: dict[str, Question] = {}
        self._last: LiveView = NO_LIVE  # the last that is an answer
        self._changes = -1  # how many changes of the weights had been seen when what is shown was read
        state.task_state = live_task.state_of(None, model, state.prompt, typed=False)

    # ---- the task

    def give(self, task: Task | None) -> None:
        """Have another task, or none; what was shown of the last one goes."""
        self._worker.cancel("prompt")
        self._take(task, self._state.prompt, typed=False)

    def checked(self, task: Any) -> Task | None:
        """A task that the model can be run on, or None; errors as of `live_task.checked`."""
        return live_task.checked(task, self._model)

    def prompt(self) -> None:
        """Have the text that was typed made a task."""
        prompt = self._state.prompt
        self._worker.cancel("prompt")
        failed = partial(self._no_task, prompt)
        if reason := live_task.why_not(self._model):
            failed(ValueError(reason))
        else:
            self._worker.submit("prompt", partial(self._make, prompt), failed)

    def _make(self, prompt: Prompt, turn: Turn) -> None:
        task = live_task.typed(self._reader.model, self._state.anatomy, self._tokenizer, prompt)
        turn.show(partial(self._typed, prompt, task))

    def _typed(self, prompt: Prompt, task: Task) -> None:
        state = self._state
        if state.prompt["n"] == prompt["n"]:
            was = state.task
            state.binding.run(
                lambda: self._take(task, prompt, typed=True), lambda _: state.binding.show("task", (was, task))
            )

    def _no_task(self, prompt: Prompt, error: Exception) -> None:
        if self._state.prompt["n"] == prompt["n"]:
            said = {**self._state.task_state, "prompt": prompt["n"], "error": to_wire.said(error)}
            self._state.show("task_state", said)

    def _take(self, task: Task | None, prompt: Prompt, typed: bool) -> None:
        state = self._state
        state.task = task
        self._forget()
        for trait, nothing in (("live", NO_LIVE), ("thumbnails", NO_THUMBNAILS), ("effect", NO_EFFECT)):
            state.show(trait, nothing)  # type: ignore[arg-type]
        self._last = NO_LIVE
        self._untest_arrows()
        state.show("task_state", live_task.state_of(task, self._model, prompt, typed))
        state.binding.show("spec", spec(state.cells, state.silent, self._coloring.quantities))
        self._coloring.task_changed()
        self.refresh()

    # ---- its life

    def snapshot(self) -> Callable[[], None]:
        """A function that restores the present state; what was asked for is asked again."""
        last, changes = self._last, self._changes

        def restore() -> None:
            self._last, self._changes = last, changes
            self._asked = {}

        return restore

    def sleep(self) -> None:
        """Forget what can be read again; what is shown stays."""
        self._reader.forget()
        if self._shared is not None:
            self._shared.forget()

    def resume(self) -> None:
        """Ask again for what was asked for and is not answered."""
        if self._state.task_state["prompt"] != self._state.prompt["n"]:
            self.prompt()
        for lane in LANES:
            if self._shown(lane)["pending"]:
                self._stop(lane)
        self.refresh()

    def _shown(self, lane: str) -> Any:
        """What is shown of what a lane reads."""
        state = self._state
        edges = {"pending": any(arrow["carries"] is None for arrow in state.arrows["arrows"])}
        return {"live": state.live, "thumbnails": state.thumbnails, "effect": state.effect, "edges": edges}[lane]

    @property
    def shows(self) -> bool:
        """Whether anything is shown that depends on the weights."""
        query = self._state.live_query
        return self._state.task is not None and (query["panel"] or query["thumbnails"])

    def outdated(self, changes: int) -> bool:
        """Whether what is shown is of weights that have changed since.

        Args:
            changes: how many changes of the weights were seen.
        """
        return self.shows and 0 <= self._changes < changes

    def weights_changed(self, changes: int) -> None:
        """Read anew what is shown, if weights have changed since it was read."""
        if self.outdated(changes):
            self._forget()
            self.refresh()

    def _forget(self) -> None:
        self._reader.forget()
        self._changes = -1
        for lane in LANES:
            self._stop(lane)

    def _stop(self, lane: str) -> None:
        """Drop what a lane does, and the progress that it showed."""
        self._worker.cancel(lane)
        if self._asked.pop(lane, None) is not None and lane == "thumbnails":
            self._state.show("progress", NO_PROGRESS)

    # ---- what is asked for

    def refresh(self) -> None:
        """Have read what the view shows of the present task, row, focus and selection, if it is not what it was."""
        state, query = self._state, self._state.live_query
        task, row = state.task, query["row"]
        for lane in LANES:
            if task is None or not query["thumbnails" if lane == "thumbnails" else "panel"]:
                self._stop(lane)
        if task is None:
            self._show_nothing()
            return
        if row >= task.n_rows:
            for lane in LANES:
                self._stop(lane)
            self._show_nothing(f"There is no row {row}: the task has {task.n_rows}, counted from 0")
            return
        if query["panel"]:
            self._ask_patterns(task, row)
            self._ask_effect(task, row)
            self._ask_arrows(task)
        if query["thumbnails"]:
            self._ask_thumbnails(task, row)

    def _show_nothing(self, why: str = "") -> None:
        """Answer what is asked where there is nothing to show."""
        state, query = self._state, self._state.live_query
        numbers = {"query": query["n"], "row": query["row"]}
        if query["panel"]:
            state.show("live", {**NO_LIVE, **numbers, "focus": state.focus["n"], "error": why})
        if query["thumbnails"]:
            note = why or "There is no text yet: type one, or set grid.task"
            state.show("thumbnails", {**NO_THUMBNAILS, **numbers, "note": note})

    def _ask_patterns(self, task: Task, row: int) -> None:
        state = self._state
        cells, n_heads = self._heads()
        asked = "live", task, row, cells
        numbers = {"query": state.live_query["n"], "focus": state.focus["n"], "row": row, "n_heads": n_heads}
        if self._asked.get("live") == asked:
            if any(state.live[name] != value for name, value in numbers.items()):  # type: ignore[literal-required]
                state.show("live", {**state.live, **numbers})
            return
        self._asked["live"] = asked
        self._worker.submit("live", partial(self._read, asked), partial(self._not_read, asked))
        state.show("live", {**self._reader.known(row, cells), **numbers, "pending": True})

    def _heads(self) -> tuple[tuple[int, ...], int]:
        """The cells of the looked-at head and the selected ones, as many as are shown, and how many there are."""
        state = self._state
        focus = state.index[state.focus["cell"]]
        selected = state.index.heads[state.coverage()[0][state.index.heads]].tolist()
        looked_at = [state.focus["cell"]] if focus is not None and focus.kind == "head" else []
        every = list(dict.fromkeys([*looked_at, *selected]))
        if not every:
            return (), 0
        first = self._reader.component(every[0]).stack
        same = [cell for cell in every if self._reader.component(cell).stack == first and not state.cells.absent[cell]]
        return tuple(same[:MOST_HEADS]), len(every)

    def _read(self, asked: Question, turn: Turn) -> None:
        _, task, row, cells = asked
        one, reader = task.rows([row]), self._reader
        reader.steady(turn, lambda answers: reader.patterns(answers, one, row, cells))
        turn.show(partial(self._show_live, asked, True))
        reader.steady(turn, lambda answers: reader.next(answers, one, row))
        turn.show(partial(self._show_live, asked, True))
        reader.steady(turn, lambda answers: reader.scores(answers, one, row, cells, turn))
        turn.show(partial(self._show_live, asked, False))

    def _show_live(self, asked: Question, pending: bool) -> None:
        if self._asked.get("live") != asked:
            return
        state = self._state
        _, _, row, cells = asked
        self._changes = self._cache.changes
        numbers = {"query": state.live_query["n"], "focus": state.focus["n"], "row": row, "n_heads": self._heads()[1]}
        self._last = {**self._reader.known(row, cells), **numbers, "pending": pending}  # type: ignore[typeddict-item]
        state.show("live", self._last)

    def _not_read(self, asked: Question, error: Exception) -> None:
        """Say why there is no answer, and keep the last one."""
        if self._asked.get("live") == asked:
            del self._asked["live"]  # whoever asks again has it tried again
            state = self._state
            numbers = {"query": state.live_query["n"], "focus": state.focus["n"], "row": asked[2]}
            kept = self._last if self._last["row"] == asked[2] else NO_LIVE
            state.show("live", {**kept, **numbers, "pending": False, "error": said_of(error)})

    # ---- thumbnails

    def _ask_thumbnails(self, task: Task, row: int) -> None:
        state = self._state
        asked, n = ("thumbnails", task, row), {"query": state.live_query["n"]}
        if self._asked.get("thumbnails") == asked:
            if state.thumbnails["query"] != n["query"]:
                state.show("thumbnails", {**state.thumbnails, **n})
            return
        self._asked["thumbnails"] = asked
        self._worker.cancel("thumbnails")
        base: Thumbnails = {**NO_THUMBNAILS, "query": n["query"], "row": row}
        if why := too_many(state.index):
            state.show("thumbnails", {**base, "note": why})
            return
        self._worker.submit("thumbnails", partial(self._draw, asked), partial(self._not_drawn, asked))
        state.show("thumbnails", {**base, "pending": True})

    def _draw(self, asked: Question, turn: Turn) -> None:
        _, task, row = asked

        def read(answers: LiveAnswers) -> Thumbnails:
            if row not in answers.small:
                tell = telling(DRAWING, lambda progress: turn.show(partial(self._state.show, "progress", progress)))
                answers.small[row] = thumbnails(
                    self._reader.model, task.rows([row]), self._state.index, tell, turn.cancelled
                )  # fmt: skip
            return answers.small[row]

        turn.show(partial(self._show_thumbnails, asked, self._reader.steady(turn, read)))

    def _not_drawn(self, asked: Question, error: Exception) -> None:
        self._show_thumbnails(asked, {**NO_THUMBNAILS, "note": said_of(error)})
        self._asked.pop("thumbnails", None)

    def _show_thumbnails(self, asked: Question, found: Thumbnails) -> None:
        if self._asked.get("thumbnails") == asked:
            self._changes = self._cache.changes
            self._state.show("progress", NO_PROGRESS)
            self._state.show("thumbnails", {**found, "query": self._state.live_query["n"], "row": asked[2]})

    # ---- the effect of the selection

    def _ask_effect(self, task: Task, row: int) -> None:
        state = self._state
        asked = "effect", task, row, state.selection
        if self._asked.get("effect") == asked:
            return
        self._asked["effect"] = asked
        self._worker.cancel("effect")
        base: SelectionEffect = {**NO_EFFECT, "row": row, "metric": live_task.metric_of(task)}
        if not state.selection.n_params:
            state.show("effect", base)
            return
        base = {**base, "text": str(state.selection)}
        self._worker.submit("effect", partial(self._measure, asked), partial(self._not_measured, asked, base))
        state.show("effect", {**base, "pending": True})

    def _measure(self, asked: Question, turn: Turn) -> None:
        task: Task
        selection: Selection
        _, task, row, selection = asked

        def read(answers: LiveAnswers) -> SelectionEffect | None:
            found = None
            for found in effects_of(self._reader.model, task, row, selection, turn.cancelled):
                if found["pending"] and self._reader.unchanged(answers):
                    turn.show(partial(self._show_effect, asked, found))
            return found

        if (whole := self._reader.steady(turn, read)) is not None:
            turn.show(partial(self._show_effect, asked, whole))

    def _show_effect(self, asked: Question, found: SelectionEffect) -> None:
        if self._asked.get("effect") == asked:
            self._changes = self._cache.changes
            self._state.show("effect", found)

    def _not_measured(self, asked: Question, base: SelectionEffect, error: Exception) -> None:
        if self._asked.get("effect") == asked:
            del self._asked["effect"]
            shown = self._state.effect if self._state.effect["text"] == base["text"] else base
            self._state.show("effect", {**shown, "pending": False, "error": said_of(error)})

    # ---- tested arrows

    def _ask_arrows(self, task: Task) -> None:
        """Have the arrows tested that are not, some at a time."""
        untested = [ends(arrow) for arrow in self._state.arrows["arrows"] if arrow["carries"] is None][:AT_ONCE]
        asked = "edges", task, tuple(untested)
        if self._asked.get("edges") != asked:
            self._asked["edges"] = asked
            self._worker.cancel("edges")
            if untested:
                self._worker.submit("edges", partial(self._test, asked), partial(self._not_tested, asked))

    def _untest_arrows(self) -> None:
        """Take back what arrows carried on another task."""
        arrows = self._state.arrows
        if any(arrow["carries"] is not None for arrow in arrows["arrows"]):
            plain: list[Arrow] = [{**arrow, "carries": None, "stands_out": False} for arrow in arrows["arrows"]]
            self._state.show("arrows", {**arrows, "arrows": plain})

    def _test(self, asked: Question, turn: Turn) -> None:
        _, task, untested = asked
        reader = self._reader
        found = reader.steady(turn, lambda answers: reader.edges(answers, task, untested, turn.cancelled))
        turn.show(partial(self._show_tested, asked, found))

    def _show_tested(self, asked: Question, found: dict[EdgeEnds, tuple[float, bool]]) -> None:
        if self._asked.get("edges") != asked:
            return
        arrows = self._state.arrows
        carried = [
            {**arrow, "carries": found[ends(arrow)][0], "stands_out": found[ends(arrow)][1]}
            if ends(arrow) in found else arrow
            for arrow in arrows["arrows"]
        ]  # fmt: skip
        self._state.show("arrows", {**arrows, "arrows": carried})
        self._ask_arrows(asked[1])

    def _not_tested(self, asked: Question, error: Exception) -> None:
        if self._asked.get("edges") == asked:
            arrows = self._state.arrows
            said = f"Arrows are not tested on the task: {said_of(error)}"
            if said not in arrows["note"]:
                self._state.show("arrows", {**arrows, "note": f"{arrows['note']} {said}".strip()})


def telling(label: str, show: Callable[[dict[str, Any]], object]) -> Callable[[int, int], None]:
    """A function that reports progress, not too often.

    Args:
        label: what is being done.
        show: called with the progress as the wire has it.
    """
    last = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= EACH:
            last = time.monotonic()
            show({"label": label, "done": done, "total": total})

    return tell


def said_of(error: Exception) -> str:
    """A fault as a sentence that says what to do where memory ran out."""
    if (
        isinstance(error, MemoryError | torch.OutOfMemoryError)
        or "out of memory" in str(error).lower()
        or ("can't allocate memory" in str(error).lower())
    ):
        return "There is not enough memory to run the model on this text: take a shorter text, or fewer rows"
    return to_wire.said(error)
