"""A widget whose changes are transactions: an interrupt, such as a kernel's, leaves none of them done by halves.

An interrupt may come between any two steps. Until a change is complete, it takes everything back to what it was; once
it is complete and only observers are still to be told, it stays. Either way the browser is sent what is true, and what
was being computed is asked for again. An ordinary error of an observer takes nothing back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Set
from typing import Any, TypeVar

import anywidget
import traitlets

from headgrid.widget.wire.schema import TRAITS

T = TypeVar("T")

DERIVED = (
    "selection", "cells", "partial", "text", "history", "summary", "selected_heads", "arrows", "colors", "progress",
    "task_state", "live", "thumbnails", "effect", "heads_table", "code", "exercise", "spec",
)  # fmt: skip
"""The traits that Python writes, and that change. What a browser wrote last is what it asks, and stays."""

SENT = [trait for trait in TRAITS if trait != "spec" and not trait.startswith("precomputed")]
"""The traits that are sent to a browser whose state may not be the true one; the grid spec is, if it was taken back."""


class TransactionWidget(anywidget.AnyWidget):
    """A widget whose changes are done wholly or not at all; what it is a widget of is said by the class that inherits.

    Attributes:
        _torn: whether an interrupt may have left one trait unlike another.
    """

    _torn = False

    @property
    def _lock(self) -> threading.RLock:
        """The lock that is held while anything changes."""
        raise NotImplementedError

    def _snapshot(self) -> Callable[[], None]:
        """A function that restores the present state behind the traits."""
        raise NotImplementedError

    def _adopt(self) -> object:
        """Write the traits that follow from the selection."""
        raise NotImplementedError

    def _resume(self) -> None:
        """Ask again for what was asked for and is not answered."""
        raise NotImplementedError

    _states_to_send: set[str]

    def _transact(self, change: Callable[[], T], tell: Callable[[T], object] | None = None) -> T:
        """Do something wholly, or not at all where it is interrupted, with the lock held.

        Args:
            change: does it, and writes what follows from it.
            tell: tells observers of the user's, once all is done, of what `change` returned.

        Returns:
            What `change` returned.
        """
        with self._lock:
            if self._torn:  # by a second interrupt, while what the first one left was put right
                self.__dict__.pop("notify_change", None)
                self._holding_sync = self._cross_validation_lock = False
                self._property_lock: dict[str, Any] = {}
                self._adopt()
                self._send_all()
            restore, restore_sending, done = self._snapshot_traits(), self._snapshot_sending(), False
            try:
                found = change()
                if tell is not None:
                    done = True
                    tell(found)
            except Exception:
                raise
            except BaseException:
                self._torn = True
                restore_sending()
                taken_back: set[str] = set()
                if done:
                    self._adopt()
                else:
                    taken_back = restore()
                self._send_all(taken_back & {"spec"})
                raise
            return found

    def _send_all(self, more: Set[str] = frozenset()) -> None:
        """Ask again for what is not answered, and send everything."""
        self._resume()
        self.send_state([*SENT, *more])
        self._torn = False

    def _snapshot_traits(self) -> Callable[[], set[str]]:
        """A function that restores the present traits and the state behind them, and says which traits it restored."""
        restore_state = self._snapshot()
        before = {name: self._trait_values[name] for name in DERIVED if name in self._trait_values}

        def restore() -> set[str]:
            restore_state()
            values = self._trait_values
            seen = {name: values[name] for name in before if values.get(name) is not before[name]}
            values.update(before)
            for name in seen.keys() - {"selection"}:  # whose observers come last, and were not told
                change = {"name": name, "old": seen[name], "new": values[name], "owner": self, "type": "change"}
                traitlets.HasTraits.notify_change(self, traitlets.Bunch(change))
            return set(seen)

        return restore

    def _snapshot_sending(self) -> Callable[[], None]:
        """A function that has the widget send and tell as it does now.

        ipywidgets and traitlets hold both back while they are in the middle of something.
        """
        notify = self.__dict__.get("notify_change")
        holding, locked = self._holding_sync, dict(self._property_lock)
        to_send: set[str] = set(self._states_to_send)
        validating = self._cross_validation_lock

        def restore() -> None:
            if notify is None:
                self.__dict__.pop("notify_change", None)
            else:
                self.__dict__["notify_change"] = notify
            self._holding_sync, self._property_lock = holding, locked
            self._states_to_send, self._cross_validation_lock = to_send, validating

        return restore
