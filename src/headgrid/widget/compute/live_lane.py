"""What all that is read of heads on a task has in common: it is asked for, read on a lane of the worker, and shown."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import torch

from headgrid.experiments.task import Task
from headgrid.widget.compute import to_wire
from headgrid.widget.compute.live_reader import LiveReader
from headgrid.widget.compute.worker import Turn, Worker
from headgrid.widget.state.grid_state import GridState

EACH = 0.1
"""Seconds between two reports of progress."""

Question = tuple[Any, ...]


class LiveLane(ABC):
    """One lane of the worker that reads what heads do on the task.

    Its methods are for the thread that changes the grid, with the state's lock held, but for those that take a `Turn`.

    Args:
        state: the grid.
        worker: runs the model.
        reader: reads what heads do, and keeps it.

    Attributes:
        name: of the lane.
        asked: what it reads, or has shown; None for nothing.
    """

    name: ClassVar[str]

    def __init__(self, state: GridState, worker: Worker, reader: LiveReader) -> None:
        self._state, self._worker, self._reader = state, worker, reader
        self.asked: Question | None = None

    @property
    def wanted(self) -> bool:
        """Whether a view shows it."""
        return self._state.live_query["panel"]

    @property
    @abstractmethod
    def pending(self) -> bool:
        """Whether what is shown is not the whole answer."""

    @abstractmethod
    def ask(self, task: Task, row: int) -> None:
        """Have read what the view shows of a row now, if it is not what is read or shown already."""

    @abstractmethod
    def clear(self) -> None:
        """Show that there is nothing."""

    def stop(self) -> None:
        """Drop what is read."""
        self._worker.cancel(self.name)
        self.asked = None

    def submit(
        self, asked: Question, read: Callable[[Question, Turn], None], failed: Callable[[Question, str], None]
    ) -> None:
        """Have something read.

        Args:
            asked: what; answers to anything else are dropped.
            read: reads it, on the worker.
            failed: shows why it could not be read.
        """
        self.asked = asked

        def say(error: Exception) -> None:
            if self.asked == asked:
                self.asked = None  # whoever asks again has it tried again
                failed(asked, said_of(error))

        self._worker.submit(self.name, partial(read, asked), say)

    def answer(self, asked: Question, show: Callable[[], None]) -> None:
        """Show an answer, if it is still asked for."""
        if self.asked == asked:
            show()


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
    text = str(error).lower()
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "out of memory" in text or "allocate memory" in text:
        return "There is not enough memory to run the model on this text: take a shorter text, or fewer rows"
    return to_wire.said(error)
