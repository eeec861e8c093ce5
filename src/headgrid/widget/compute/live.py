"""What heads do on the task: the task, and all that a view shows of it.

Its methods are for the thread that changes the grid, with the state's lock held, unless they say otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from headgrid.experiments.task import Task
from headgrid.widget.compute import live_task, to_wire
from headgrid.widget.compute.coloring import Coloring
from headgrid.widget.compute.heads_table import is_tiny
from headgrid.widget.compute.live_lane import LiveLane
from headgrid.widget.compute.live_lanes import EdgeLane, EffectLane, ThumbnailLane
from headgrid.widget.compute.live_reader import LiveReader
from headgrid.widget.compute.pattern_lane import PatternLane
from headgrid.widget.compute.shared_copy import SharedCopy
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state.grid_spec import spec
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.schema import Arrows, Prompt


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
        recheck: has the weights looked at once the worker has nothing else to do: what is read of weights that nobody
            has looked at yet would not be seen to be outdated.

    Attributes:
        awake: whether anybody may look: while nobody does, nothing is read.
    """

    def __init__(
        self, state: GridState, model: torch.nn.Module | None, tokenizer: Any, shared: SharedCopy | None,
        cache: SummaryCache, worker: Worker, coloring: Coloring, recheck: Callable[[], None],
    ) -> None:  # fmt: skip
        self._state, self._model, self._tokenizer, self._shared = state, model, tokenizer, shared
        self._worker, self._coloring, self._recheck, self.awake = worker, coloring, recheck, True
        self._given = False  # whether Python has given a task, or taken it away
        self._reader = LiveReader(state, shared, cache)
        self._patterns = PatternLane(state, worker, self._reader)
        others = (one(state, worker, self._reader) for one in (ThumbnailLane, EffectLane, EdgeLane))
        self._lanes: tuple[LiveLane, ...] = (self._patterns, *others)
        state.task_state = live_task.state_of(None, model, state.prompt, typed=False)

    # ---- the task

    def give(self, task: Task | None) -> None:
        """Have another task, or none; what was shown of the last one goes."""
        self._worker.cancel("prompt")
        self._given = True
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

    def open(self) -> None:
        """Show what the heads of a small model do, when it is first seen: on the task, or on the text of its config."""
        if not is_tiny(self._state.anatomy):
            return
        text = live_task.example(self._model, self._tokenizer)
        if self._state.task is not None:
            self._coloring.open()
        elif text and not (self._given or self._state.prompt["n"]):
            prompt: Prompt = {"n": 0, "text": text, "contrast": ""}
            self._worker.submit("prompt", partial(self._make, prompt), partial(self._no_task, prompt))

    def _make(self, prompt: Prompt, turn: Turn) -> None:
        task = live_task.typed(self._reader.model, self._state.anatomy, self._tokenizer, prompt)
        turn.show(partial(self._typed, prompt, task))

    def _typed(self, prompt: Prompt, task: Task) -> None:
        state = self._state
        if state.prompt["n"] == prompt["n"]:
            was, typed = state.task, prompt["n"] > 0

            def take() -> None:
                self._take(task, prompt, typed)
                if not typed:
                    self._coloring.open()

            state.binding.run(take, lambda _: state.binding.show("task", (was, task)))

    def _no_task(self, prompt: Prompt, error: Exception) -> None:
        if self._state.prompt["n"] == prompt["n"]:
            said = {**self._state.task_state, "prompt": prompt["n"], "error": to_wire.said(error)}
            self._state.show("task_state", said)

    def _take(self, task: Task | None, prompt: Prompt, typed: bool) -> None:
        state = self._state
        state.task = task
        self._forget()
        for lane in self._lanes:
            lane.clear()
        state.show("task_state", live_task.state_of(task, self._model, prompt, typed))
        state.binding.show("spec", spec(state.cells, state.silent, self._coloring.quantities))
        self._coloring.task_changed()
        self.refresh()

    # ---- its life

    def snapshot(self) -> Callable[[], None]:
        """A function that restores the present state; what was asked for is asked again."""
        last, versions = self._patterns.last, dict(self._reader.versions)

        def restore() -> None:
            self._patterns.last, self._reader.versions = last, versions
            for lane in self._lanes:
                lane.asked = None

        return restore

    def sleep(self) -> None:
        """Forget what can be read again, and read nothing any more; what is shown stays."""
        self.awake = False
        self._reader.forget()
        if self._shared is not None:
            self._shared.forget()

    def resume(self) -> None:
        """Ask again for what was asked for and is not answered."""
        if self._state.task_state["prompt"] != self._state.prompt["n"]:
            self.prompt()
        for lane in self._lanes:
            if lane.pending:
                lane.stop()
        self.refresh()

    @property
    def shows(self) -> bool:
        """Whether anything is shown that depends on the weights."""
        return self._state.task is not None and any(lane.wanted for lane in self._lanes)

    @property
    def outdated(self) -> bool:
        """Whether what is shown is of weights that have changed since."""
        return self.shows and self._reader.outdated

    def weights_changed(self) -> None:
        """Read anew what is shown, if weights have changed since it was read."""
        if self.outdated:
            self._forget()
            self.refresh()

    def carried(self, arrows: Arrows) -> Arrows:
        """Arrows with what those of them carry that were tested on the task."""
        return self._reader.carried(arrows) if self._state.task is not None else arrows

    def _forget(self) -> None:
        self._reader.forget()
        self._reader.versions.clear()
        for lane in self._lanes:
            lane.stop()

    def refresh(self) -> None:
        """Have read what the view shows of the present task, row, focus and selection, if it is not what it was."""
        if not self.awake:
            return
        task = self._state.task
        for lane in self._lanes:
            if task is None or not lane.wanted:
                lane.stop()
            if not lane.wanted:
                continue
            if task is None:
                lane.clear()
            else:
                lane.ask(task, self._state.row)
        if self.shows:
            self._recheck()
