"""The exercises of this session: the last result of each, by name, in the order in which they were made."""

from __future__ import annotations

import threading
import weakref
from dataclasses import dataclass
from typing import Any

from headgrid.course.result import Result
from headgrid.utils import arguments


@dataclass(frozen=True)
class _Made:
    """An exercise that was made. It is not kept alive: its grid may hold a large model."""

    exercise: weakref.ref[Any]
    asked: tuple[Any, ...]
    result: Result


class Registry:
    """What was made under which name."""

    def __init__(self) -> None:
        self._made: dict[str, _Made] = {}
        self._lock = threading.Lock()

    def enter(self, exercise: Any, asked: tuple[Any, ...], result: Result) -> tuple[Any, bool]:
        """Put an exercise in the place of any other of its name.

        Args:
            exercise: the exercise.
            asked: what it asks: the same for one that is made again by the same cell.
            result: what is known of it.

        Returns:
            The exercise that had the name, None where there is none any more; whether another question had it.
        """
        with self._lock:
            was = self._made.get(result.name)
            self._made[result.name] = _Made(weakref.ref(exercise), asked, result)
        if was is None:
            return None, False
        return was.exercise(), was.asked != asked

    def tell(self, exercise: Any, result: Result) -> None:
        """Keep the last result of an exercise."""
        with self._lock:
            made = self._made.get(result.name)
            if made is not None and made.exercise() is exercise:
                self._made[result.name] = _Made(made.exercise, made.asked, result)

    def results(self) -> list[Result]:
        """The last result of each."""
        with self._lock:
            return [made.result for made in self._made.values()]

    def find(self, name: str) -> Any:
        """The exercise of a name.

        Raises:
            KeyError: when none was made, naming those that were; when it is gone.
        """
        arguments.text("name", name, what="the name of an exercise")
        with self._lock:
            made, names = self._made.get(name), ", ".join(map(repr, self._made))
        if made is None:
            there = f"made were {names}" if names else "none was made yet"
            raise KeyError(
                f"there is no exercise {arguments.shown(name)} yet ({there}): run the cell that makes it first"
            )
        found = made.exercise()
        if found is None:
            raise KeyError(f"the exercise {arguments.shown(name)} is gone: run the cell that makes it again")
        return found

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._made.clear()


REGISTRY = Registry()
"""That of this session."""


def exercise(name: str) -> Any:
    """The exercise that was made under a name: `course.exercise("induction head").check("l1h2")`.

    Raises:
        KeyError: when none was made, which is what a notebook that runs out of order comes to.
    """
    return REGISTRY.find(name)
