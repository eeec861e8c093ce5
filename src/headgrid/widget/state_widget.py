"""The traits of a grid, bound to its state: what Python shows goes to them, and what a browser sends comes from them.

Nothing here asks who made a change: a change that is already true writes nothing, so no echo can start.
"""

from __future__ import annotations

import pathlib
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, TypeVar, cast

import traitlets

from headgrid.experiments.task import Task
from headgrid.selection.selection import Selectable, Selection
from headgrid.widget.compute import ipython_events
from headgrid.widget.compute.scheduler import Scheduler
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.state.questions import without
from headgrid.widget.state.saved import Saved
from headgrid.widget.transaction import TransactionWidget
from headgrid.widget.wire import empty, validate
from headgrid.widget.wire.schema import CodeQuery, Complete, Focus, LiveQuery, Prompt, QueryError, Recolor
from headgrid.widget.wire.validate import Message, Receiver

T = TypeVar("T")

STATIC = pathlib.Path(__file__).parent / "static"


class _Selection(traitlets.TraitType[Selection, Selectable]):
    """A trait that takes whatever `Anatomy.select` takes."""

    def set(self, obj: Any, value: Selectable) -> None:
        """Set it, and have all that follows done, before a message of the browser is taken: that may be another thread.

        JupyterLab has messages of widgets handled by a thread of their own, so that a busy cell does not hold them up.
        """
        obj._select(value)


class _Task(traitlets.TraitType[Any, Any]):
    """A trait that takes a task or None, and gives the one that the grid has now."""

    def get(self, obj: Any, cls: Any = None) -> Task | None:
        """The task that the model is asked now."""
        found: Task | None = obj._state.task
        return found

    def set(self, obj: Any, value: Any) -> None:
        """Set it, and have all that follows done."""
        obj._give_task(value)


def _dict(default: Any = None) -> traitlets.Dict[str, Any]:
    """A trait of one structure of the wire."""
    return traitlets.Dict(dict(default or {})).tag(sync=True)


class _Binding:
    """Writes the traits of a widget for its state."""

    def __init__(self, widget: StateWidget) -> None:
        self._widget = widget

    def show(self, trait: str, value: Any) -> None:
        self._widget._show(trait, value)

    def run(self, change: Callable[[], T], tell: Callable[[T], object] | None = None) -> T:
        return self._widget._run(change, tell)


class StateWidget(TransactionWidget):
    """A widget that shows a `GridState`, and changes it as its browser asks."""

    # as text: of a path anywidget would keep every grid, and its model, for as long as the process lives
    _esm = (STATIC / "widget.js").read_text(encoding="utf-8")
    _css = (STATIC / "widget.css").read_text(encoding="utf-8")

    _state: GridState
    _scheduler: Scheduler

    selection = _Selection()
    task = _Task()

    spec: traitlets.Dict[str, Any] = traitlets.Dict(read_only=True).tag(sync=True)
    cells = traitlets.Bytes().tag(sync=True)
    # bytes that are missing at the end count as zero there
    partial = traitlets.Bytes().tag(sync=True, to_json=lambda bits, _: bits.rstrip(b"\0"))
    text = _dict()
    complete = _dict(empty.NO_COMPLETE)
    completions = _dict(empty.NO_COMPLETIONS)
    commands: traitlets.List[Any] = traitlets.List().tag(sync=True)
    history = _dict({"done": 0, "undo": 0, "redo": 0})
    saved = traitlets.Instance(Saved, read_only=True).tag(sync=True, to_json=lambda all_saved, _: all_saved.wire())
    focus = _dict(empty.NO_FOCUS)
    summary = _dict(empty.NO_SUMMARY)
    arrows = _dict(empty.NO_ARROWS)
    selected_heads = _dict(empty.NO_HEADS)
    recolor = _dict(empty.NO_RECOLOR)
    colors = _dict(empty.NO_COLORS)
    progress = _dict(empty.NO_PROGRESS)
    prompt = _dict(empty.NO_PROMPT)
    task_state = _dict(empty.NO_TASK)
    live_query = _dict(empty.NO_LIVE_QUERY)
    live = _dict(empty.NO_LIVE)
    thumbnails = _dict(empty.NO_THUMBNAILS)
    effect = _dict(empty.NO_EFFECT)
    heads_table = _dict(empty.NO_TABLE)
    code_query = _dict(empty.NO_CODE_QUERY)
    code = _dict(empty.NO_CODE)
    exercise = _dict(empty.NO_EXERCISE)
    precomputed: traitlets.List[Any] = traitlets.List().tag(sync=True)
    precomputed_live: traitlets.List[Any] = traitlets.List().tag(sync=True)
    precomputed_colors: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, state: GridState, scheduler: Scheduler) -> None:
        self._state, self._scheduler = state, scheduler
        self.set_trait("spec", scheduler.spec())
        self.set_trait("saved", state.saved)
        self.set_trait("task_state", dict(state.task_state))
        state.binding = _Binding(self)
        # whatever follows from it is written before the browser is told; it counts its views where that starts at 0
        super().__init__(selection=state.selection, _view_count=0)

    # ---- Python -> browser

    def _show(self, trait: str, value: Any) -> None:
        """Write what the state shows to its trait, but for what a question hides."""
        value = without(trait, value, self._state.questions.hidden)
        if trait == "saved":
            self._tell_saved()
        elif trait == "task":
            self._notify_trait("task", *value)
        else:
            self.set_trait(trait, dict(value) if isinstance(value, dict) else value)

    def _run(self, change: Callable[[], T], tell: Callable[[T], object] | None = None) -> T:
        return self._transact(change, tell)

    def _hand_over(self, other: StateWidget) -> None:
        """Give another widget of the same model the saved selections and the colors of this one, and hide the same."""
        other._state.questions.take_over(self._state.questions)
        other._scheduler.grader.show_all()
        other._scheduler.coloring.take_over(self._scheduler.coloring)
        if self.saved:
            other.saved.take_over(self.saved)

    def _select(self, value: Selectable) -> None:
        chosen = self._state.selected(value)
        self._change(lambda state: state.history.change(chosen))

    def _give_task(self, value: Any) -> None:
        """Have another task, and then tell observers of it."""
        task, was = self._scheduler.live.checked(value), self._state.task
        self._transact(
            lambda: self._scheduler.live.give(task),
            lambda _: None if task is was else self._notify_trait("task", was, task),
        )

    def _change(self, move: Callable[[GridState], object]) -> None:
        """Change what is selected, write all that follows from it, and then tell observers of it."""

        def change() -> object:
            move(self._state)
            return self._adopt()

        self._transact(change, self._tell)

    def _adopt(self, error: QueryError | None = None) -> object:
        """Take over what is selected now, and write what follows from that; what was selected before.

        To be called with the lock held.
        """
        was, now = self._trait_values.get("selection"), self._state.selection
        if was is not now or error or self._torn:
            self._trait_values["selection"] = now
            self._write(error)
        return was

    def _write(self, error: QueryError | None) -> None:
        """Write everything that follows from what is selected. To be called with the lock held."""
        with self.hold_sync():
            # the cells last: an observer may select something else at that, which writes all of it again
            for trait, value in self._state.selection_traits(error).items():
                self.set_trait(trait, value)
            self._scheduler.selection_changed()

    def _tell(self, was: object) -> None:
        """Tell observers that something else is selected now than was."""
        if was is not self.selection:
            self._notify_trait("selection", was, self.selection)

    def _tell_saved(self) -> None:
        """The saved selections are another set now: views and observers are told."""
        change = {"name": "saved", "old": self.saved, "new": self.saved, "owner": self, "type": "change"}
        self.notify_change(traitlets.Bunch(change))

    # ---- transactions

    @property
    def _lock(self) -> threading.RLock:
        return self._state.lock

    def _snapshot(self) -> Callable[[], None]:
        restore_state, restore_scheduler = self._state.snapshot(), self._scheduler.snapshot()

        def restore() -> None:
            restore_state()
            restore_scheduler()

        return restore

    def _resume(self) -> None:
        state = self._state  # an interrupt may have come between a trait of the browser's and what the state has of it
        state.focus, state.recolor = cast(Focus, self.focus), cast(Recolor, self.recolor)
        state.complete = cast(Complete, self.complete)
        state.prompt, state.live_query = cast(Prompt, self.prompt), cast(LiveQuery, self.live_query)
        state.code_query = cast(CodeQuery, self.code_query)
        self._scheduler.resume()

    # ---- browser -> Python

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take over a message from the browser. Until there is one, nobody looks at what a selection would tell.

        An observer of the user's may raise on the way; what else came is not lost by that.
        """
        self._scheduler.watch()
        state = self._state

        def change() -> tuple[object, bool, QueryError | None]:
            receiver = Receiver(state.cells.n_cells, state.done, self.keys, lambda trait: self.get_state(trait)[trait])
            message = validate.sift(sync_data, receiver)
            was, saved = self.selection, state.saved.state
            commands = message.state.pop("commands", None)
            with ExitStack() as steps:  # what was put in last comes first, and all of it comes, whatever raises
                steps.callback(self._refuse, message)
                steps.callback(self._take, message.state)
                if commands is not None:
                    self._do(commands, message)
            error = message.said() if message.faults else message.error
            return was, saved is not state.saved.state, error

        def tell(found: tuple[object, bool, QueryError | None]) -> None:
            was, saved, error = found
            with ExitStack() as steps:
                steps.callback(self._say, error)
                steps.callback(self._tell, was)
                if saved:
                    self._tell_saved()

        self._transact(change, tell)

    def _take(self, found: dict[str, Any]) -> None:
        """Take over traits as ipywidgets does."""
        super().set_state(found)

    def _do(self, commands: list[Any], message: Message) -> None:
        """Do the commands of a message, and then write all that they came to."""
        new = self._state.new(message.commands)
        for n in message.skipped:
            self._state.skip(n)

        def answer() -> None:
            if new or message.skipped:
                self._trait_values["selection"] = self._state.selection
                self._write(message.error)

        with ExitStack() as steps:
            steps.callback(answer)
            steps.callback(self._take, {"commands": commands})
            faults, message.error = self._state.do(new)
            message.faults += faults

    def _refuse(self, message: Message) -> None:
        """Say what was refused, and send what is there instead."""
        if message.faults:
            self._write(message.said())
        if message.refused:
            self.send_state(message.refused)

    def _say(self, error: QueryError | None) -> None:
        """Say what was refused, even where an observer has selected something else since."""
        if error and self.text["error"] != error:
            self._write(error)

    @traitlets.observe("complete")
    def _on_complete(self, change: Any) -> None:
        self._state.complete = change["new"]
        self._state.show_completions()

    @traitlets.observe("focus")
    def _on_focus(self, change: Any) -> None:
        self._state.focus = change["new"]
        self._scheduler.focus()

    @traitlets.observe("recolor")
    def _on_recolor(self, change: Any) -> None:
        self._state.recolor = change["new"]
        self._scheduler.coloring.recolor()

    @traitlets.observe("prompt")
    def _on_prompt(self, change: Any) -> None:
        self._state.prompt = change["new"]
        self._scheduler.live.prompt()

    @traitlets.observe("live_query")
    def _on_live_query(self, change: Any) -> None:
        self._state.live_query = change["new"]
        self._scheduler.live.refresh()

    @traitlets.observe("code_query")
    def _on_code_query(self, change: Any) -> None:
        self._state.code_query = change["new"]
        self._scheduler.code.ask()

    # ---- its life

    def open(self) -> None:
        """Open the connection to the browser."""
        super().open()
        ipython_events.stay_in_subshell(self.comm)

    @traitlets.observe("_view_count")
    def _on_views(self, change: Any) -> None:
        if not change["new"] and change["old"]:
            self._scheduler.sleep()
        elif change["new"]:
            self._scheduler.wake()

    def close(self) -> None:
        """Close the widget, and stop what it computes."""
        try:
            super().close()
        finally:
            if (scheduler := self.__dict__.get("_scheduler")) is not None:  # there is none if no model could be placed
                scheduler.close()
