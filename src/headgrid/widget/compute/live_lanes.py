"""What else is read of heads on the task: thumbnails, the effect of the selection, what arrows carry."""

from __future__ import annotations

from functools import partial

from headgrid.experiments.task import Task
from headgrid.widget.compute.arrow_effects import AT_ONCE, ends
from headgrid.widget.compute.live_lane import LiveLane, Question, telling
from headgrid.widget.compute.live_reader import LiveAnswers
from headgrid.widget.compute.live_task import metric_of
from headgrid.widget.compute.selection_effect import effects_of
from headgrid.widget.compute.thumbnails import thumbnails, too_many
from headgrid.widget.compute.worker import Turn
from headgrid.widget.wire.empty import NO_EFFECT, NO_PROGRESS, NO_THUMBNAILS
from headgrid.widget.wire.schema import Arrow, SelectionEffect, Thumbnails

DRAWING = "reading attention patterns"


class ThumbnailLane(LiveLane):
    """Shows `GridState.thumbnails`; arguments as of `LiveLane`."""

    name = "thumbnails"

    @property
    def wanted(self) -> bool:
        """Whether cells show patterns."""
        return self._state.live_query["thumbnails"]

    @property
    def pending(self) -> bool:
        """Whether they are being read."""
        return self._state.thumbnails["pending"]

    def clear(self) -> None:
        """Show that there are none, and why."""
        note = "There is no text yet: type one, or set grid.task" if self.wanted else ""
        self._show(self._state.live_query["row"] if self.wanted else 0, {**NO_THUMBNAILS, "note": note})

    def stop(self) -> None:
        """Drop what is read, and the progress that is shown of it."""
        if self.asked is not None and self.pending:
            self._state.show("progress", NO_PROGRESS)
        super().stop()

    def ask(self, task: Task, row: int) -> None:
        """Have the thumbnails of a row read, if they are not what is read or shown."""
        asked = task, row
        if self.asked == asked:
            self._show(row, self._state.thumbnails)
        elif why := too_many(self._state.index):
            self.stop()
            self._show(row, {**NO_THUMBNAILS, "note": why})
        else:
            self.submit(asked, self._read, self._not_read)
            self._show(row, {**NO_THUMBNAILS, "pending": True})

    def _read(self, asked: Question, turn: Turn) -> None:
        task, row = asked
        reader = self._reader
        tell = telling(DRAWING, lambda progress: turn.show(partial(self._state.show, "progress", progress)))

        def read(answers: LiveAnswers) -> Thumbnails:
            if row not in answers.small:
                answers.small[row] = thumbnails(
                    reader.model, task.rows([row]), self._state.index, tell, turn.cancelled
                )  # fmt: skip
            return answers.small[row]

        found = reader.steady(turn, read)
        turn.show(partial(self.answer, asked, partial(self._show_read, row, found)))

    def _not_read(self, asked: Question, why: str) -> None:
        self._show_read(asked[1], {**NO_THUMBNAILS, "note": why})

    def _show_read(self, row: int, found: Thumbnails) -> None:
        self._state.show("progress", NO_PROGRESS)
        self._show(row, found)

    def _show(self, row: int, found: Thumbnails) -> None:
        self._state.show("thumbnails", {**found, "query": self._state.live_query["n"], "row": row})


class EffectLane(LiveLane):
    """Shows `GridState.effect`; arguments as of `LiveLane`."""

    name = "effect"

    @property
    def pending(self) -> bool:
        """Whether more of it is still to come."""
        return self._state.effect["pending"]

    def clear(self) -> None:
        """Show that there is none."""
        self._state.show("effect", NO_EFFECT)

    def ask(self, task: Task, row: int) -> None:
        """Have the effect of the selection read, if it is not what is read or shown."""
        selection = self._state.selection
        asked = task, row, selection
        if self.asked == asked:
            return
        base: SelectionEffect = {**NO_EFFECT, "row": row, "metric": metric_of(task)}
        if not selection.n_params:
            self.stop()
            self._state.show("effect", base)
            return
        self.submit(asked, self._read, self._not_read)
        self._state.show("effect", {**base, "text": str(selection), "pending": True})

    def _read(self, asked: Question, turn: Turn) -> None:
        task, row, selection = asked
        reader = self._reader

        def read(answers: LiveAnswers) -> SelectionEffect:
            found = NO_EFFECT
            for found in effects_of(reader.model, task, row, selection, turn.cancelled):
                if found["pending"] and reader.unchanged(answers):
                    turn.show(partial(self.answer, asked, partial(self._state.show, "effect", found)))
            return found

        found = reader.steady(turn, read)
        turn.show(partial(self.answer, asked, partial(self._state.show, "effect", found)))

    def _not_read(self, _: Question, why: str) -> None:
        self._state.show("effect", {**self._state.effect, "pending": False, "error": why})


class EdgeLane(LiveLane):
    """Adds to `GridState.arrows` what they carry, some at a time; arguments as of `LiveLane`."""

    name = "edges"

    @property
    def pending(self) -> bool:
        """Whether any arrow is not tested."""
        return any(arrow["carries"] is None for arrow in self._state.arrows["arrows"])

    def clear(self) -> None:
        """Take back what arrows carried."""
        arrows = self._state.arrows
        if any(arrow["carries"] is not None for arrow in arrows["arrows"]):
            plain: list[Arrow] = [{**arrow, "carries": None, "stands_out": False} for arrow in arrows["arrows"]]
            self._state.show("arrows", {**arrows, "arrows": plain})

    def ask(self, task: Task, row: int) -> None:
        """Have the arrows tested that are not."""
        untested = [ends(arrow) for arrow in self._state.arrows["arrows"] if arrow["carries"] is None][:AT_ONCE]
        asked = task, tuple(untested)
        if not untested:
            self.stop()
        elif self.asked != asked:
            self.submit(asked, self._read, self._not_read)

    def _read(self, asked: Question, turn: Turn) -> None:
        task, untested = asked
        reader = self._reader
        reader.steady(turn, lambda answers: reader.edges(answers, task, untested, turn.cancelled))
        turn.show(partial(self.answer, asked, partial(self._show, task)))

    def _show(self, task: Task) -> None:
        self._state.show("arrows", self._reader.carried(self._state.arrows))
        self.ask(task, 0)

    def _not_read(self, asked: Question, why: str) -> None:
        self.asked = asked  # it would fail again
        arrows = self._state.arrows
        said = f"Arrows are not tested on the task: {why}"
        if said not in arrows["note"]:
            self._state.show("arrows", {**arrows, "note": f"{arrows['note']} {said}".strip()})
