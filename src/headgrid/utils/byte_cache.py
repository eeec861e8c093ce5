"""A cache of what was computed from objects, with one bound on the bytes of all of it."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class ByteCache(Generic[V]):
    """Values by their owner and a key: the least recently used leave first, and an owner's leave when it is collected.

    Safe to use from several threads.

    Args:
        most: the bytes that all values together may take; a value that takes more alone is not kept.

    Attributes:
        bytes: what the values take now.
    """

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self._values: OrderedDict[tuple[int, Hashable], tuple[V, int]] = OrderedDict()
        self._owners: set[int] = set()
        self._lock = threading.RLock()  # reentrant: an owner may be collected in the middle of any of this

    def get(self, owner: object, key: Hashable) -> V | None:
        """The value of a key of an owner, which counts as used now; None where there is none."""
        with self._lock:
            found = self._values.get((id(owner), key))
            if found is None:
                return None
            self._values.move_to_end((id(owner), key))
            return found[0]

    def put(self, owner: object, key: Hashable, value: V, size: int) -> None:
        """Keep a value of so many bytes, and drop the least recently used ones where there is no room."""
        with self._lock:
            self._drop((id(owner), key))
            if size > self.most:
                return
            if id(owner) not in self._owners:
                self._owners.add(id(owner))
                weakref.finalize(owner, self._forget, id(owner)).atexit = False
            self._values[id(owner), key] = value, size
            self.bytes += size
            while self.bytes > self.most:
                self._drop(next(iter(self._values)))

    def _forget(self, owner: int) -> None:
        with self._lock:
            self._owners.discard(owner)
            for at in [at for at in self._values if at[0] == owner]:
                self._drop(at)

    def _drop(self, at: tuple[int, Hashable]) -> None:
        if (found := self._values.pop(at, None)) is not None:
            self.bytes -= found[1]
