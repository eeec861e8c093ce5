"""What the worker reads of heads on the rows of a task, and keeps until the task or the weights change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from headgrid.circuits.progress import Cancelled
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.widget.compute import live_task
from headgrid.widget.compute.arrow_effects import EdgeEnds, ends, tested
from headgrid.widget.compute.live_patterns import RowHeads
from headgrid.widget.compute.next_tokens import next_tokens
from headgrid.widget.compute.shared_copy import SharedCopy, WeightsStamp
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.compute.worker import Turn
from headgrid.widget.state.cell_index import Component
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.wire.empty import NO_LIVE
from headgrid.widget.wire.schema import Arrow, Arrows, HeadPattern, LiveView, NextToken, Thumbnails

T = TypeVar("T")

MOST_BYTES = 2**25
"""What patterns that were read may take, to be shown again when their head is looked at again."""

MOST_ROWS = 20
"""The rows whose thumbnails are kept."""

PATIENCE = 2
"""How often an answer is read because weights have changed while it was read."""

HeadCells = tuple[int, ...]


@dataclass
class LiveAnswers:
    """What was read of one task with weights of one version.

    Attributes:
        version: of the weights.
        heads: row and cell -> its pattern, with its scores once these are read.
        scored: the rows and cells whose scores are read.
        rows: row and stack -> its tokens, those of its keys, and whether patterns are triangles.
        next: row -> the next tokens.
        small: row -> the thumbnails.
        edges: edge -> what it carries, and whether that stands out.
    """

    version: WeightsStamp | None = None
    heads: dict[tuple[int, int], HeadPattern] = field(default_factory=dict)
    scored: set[tuple[int, int]] = field(default_factory=set)
    rows: dict[tuple[int, str], tuple[list[str], list[str], bool]] = field(default_factory=dict)
    next: dict[int, list[NextToken]] = field(default_factory=dict)
    small: dict[int, Thumbnails] = field(default_factory=dict)
    edges: dict[EdgeEnds, tuple[float, bool]] = field(default_factory=dict)

    def trim(self) -> None:
        """Drop what was read, if it takes too much."""
        if sum(len(one["values"]) for one in self.heads.values()) > MOST_BYTES:
            self.heads.clear()
            self.scored.clear()
        while len(self.small) > MOST_ROWS:
            del self.small[next(iter(self.small))]


class LiveReader:
    """Runs the model of a grid for what is shown of its heads. Methods are for the worker, unless they say otherwise.

    Args:
        state: the grid.
        shared: the copy of its model that the worker runs; None where there is no model, and nothing is read.
        cache: knows how often weights were seen to change.

    Attributes:
        versions: lane of the worker -> of which version the weights were that its last answer was read of.
    """

    def __init__(self, state: GridState, shared: SharedCopy | None, cache: SummaryCache) -> None:
        self._state, self._shared, self._cache = state, shared, cache
        self._answers = LiveAnswers()
        self.versions: dict[str, WeightsStamp | None] = {}

    # ---- for any thread

    @property
    def outdated(self) -> bool:
        """Whether anything was read of weights that have changed since."""
        assert self._shared is not None
        versions = list(self.versions.values())  # at once: the worker may add one
        now = self._shared.version(self._cache.changes) if versions else None
        return any(version != now for version in versions)

    def carried(self, arrows: Arrows) -> Arrows:
        """Arrows with what those of them carry that were tested before."""
        found = self._answers.edges
        every: list[Arrow] = [
            {**arrow, "carries": found[ends(arrow)][0], "stands_out": found[ends(arrow)][1]}
            if ends(arrow) in found else arrow
            for arrow in arrows["arrows"]
        ]  # fmt: skip
        return {**arrows, "arrows": every}

    def forget(self) -> None:
        """Forget what was read: it is read again when it is asked for."""
        self._answers = LiveAnswers()

    def component(self, cell: int) -> Component:
        """What the cell of a head shows."""
        found = self._state.index[cell]
        assert found is not None
        return found

    def known(self, row: int, cells: HeadCells) -> LiveView:
        """What was read of a row and some heads, whether or not the weights have changed since."""
        answers = self._answers
        tokens, keys, triangle = answers.rows.get((row, self._stack(cells)), ([], [], True))
        heads = [answers.heads[row, cell] for cell in cells if (row, cell) in answers.heads]
        return {
            **NO_LIVE, "row": row, "tokens": tokens, "keys": keys, "triangle": triangle, "heads": heads,
            "next": answers.next.get(row, []),
        }  # fmt: skip

    def _stack(self, cells: HeadCells) -> str:
        return self.component(cells[0]).stack if cells else self._state.anatomy.main.name

    # ---- whether weights are what they were

    @property
    def model(self) -> torch.nn.Module:
        """The copy of the model that the worker runs."""
        assert self._shared is not None
        return self._shared.get()

    def unchanged(self, answers: LiveAnswers) -> bool:
        """Whether the weights are still those of some answers."""
        assert self._shared is not None
        return answers.version == self._shared.version(self._cache.changes)

    def steady(self, turn: Turn, read: Callable[[LiveAnswers], T]) -> T:
        """What is read, read again where weights changed meanwhile.

        Raises:
            ValueError: when they change all the time.
            Cancelled: when nobody waits any more.
        """
        for _ in range(PATIENCE):
            turn.check()
            answers = self._fresh(turn)
            found = read(answers)
            if self.unchanged(answers):
                with self._state.lock:
                    if not turn.stopped.is_set():
                        self.versions[turn.lane] = answers.version
                return found
        self.forget()
        raise ValueError("The weights change while the model runs, so there is no answer: ask again once they rest")

    def _fresh(self, turn: Turn) -> LiveAnswers:
        """What was read with the weights as they are now; nothing where they have changed.

        Raises:
            Cancelled: when the job was stopped: what is kept may be that of another task already.
        """
        assert self._shared is not None
        version = self._shared.version(self._cache.changes)
        with self._state.lock:
            if turn.stopped.is_set():
                raise Cancelled
            if self._answers.version not in (None, version):
                self._answers = LiveAnswers()
            self._answers.version = version
            return self._answers

    # ---- reading

    def patterns(self, answers: LiveAnswers, task: Task, row: int, cells: HeadCells) -> None:
        """Read the patterns of some heads of one stack.

        Args:
            answers: where to put them.
            task: the row alone.
            row: its number.
            cells: of the heads.
        """
        stack = self._stack(cells)
        missing = [cell for cell in cells if (row, cell) not in answers.heads]
        if not missing:
            if (row, stack) not in answers.rows:
                answers.rows[row, stack] = live_task.tokens_of(Runs(self.model, task)), [], True
            return
        answers.trim()
        read = RowHeads(self.model, task, self._text(missing))
        triangle, kept = read.triangle, answers.rows.get((row, stack))
        if kept is not None and kept[2] != triangle and any(at == row for at, _ in answers.heads):
            # some layers see ahead and others do not: all are read as those that do
            for at in [one for one in answers.heads if one[0] == row]:
                del answers.heads[at]
            triangle, missing = False, list(cells)
            read = RowHeads(self.model, task, self._text(missing))
        values = read.bytes_of(triangle)
        answers.rows[row, stack] = *read.tokens(), triangle
        for cell in missing:
            found, title = self.component(cell), self._state.cells.describe(cell)[0]
            pattern = values[found.layer, found.number]
            answers.heads[row, cell] = {"cell": cell, "title": title, "values": pattern, "scores": []}
            answers.scored.discard((row, cell))

    def next(self, answers: LiveAnswers, task: Task, row: int) -> None:
        """Read what the model says next on a row."""
        if row not in answers.next:
            answers.next[row] = next_tokens(Runs(self.model, task), {}, {})

    def scores(self, answers: LiveAnswers, task: Task, row: int, cells: HeadCells, turn: Turn) -> None:
        """Read how far some heads are of known types; arguments as of `patterns`."""
        self.patterns(answers, task, row, cells)  # which are gone if weights have changed since
        missing = [cell for cell in cells if (row, cell) not in answers.scored]
        if not missing:
            return
        turn.check()
        scores = RowHeads(self.model, task, self._text(missing)).scores(turn.cancelled)
        for cell in missing:
            found = self.component(cell)
            answers.heads[row, cell] = {**answers.heads[row, cell], "scores": scores[found.layer, found.number]}
            answers.scored.add((row, cell))

    def edges(
        self, answers: LiveAnswers, task: Task, wanted: Sequence[EdgeEnds], cancelled: Callable[[], bool]
    ) -> None:
        """Read what some edges carry on the task, and whether that stands out."""
        missing = [one for one in wanted if one not in answers.edges]
        if missing:
            answers.edges |= tested(self.model, task, missing, lambda cell: self._text([cell]), cancelled)

    def _text(self, cells: list[int]) -> str:
        return " | ".join(self._state.cells.describe(cell)[0] for cell in cells)
