"""Deeds: what a browser wants done once, such as an undo, in whichever way a busy kernel merges its messages.

A browser writes all deeds that are not done yet, each time. So none is lost; and a deed that was done is known by its
number and by what it is, since two browsers may count alike.

One message may also bring cells: a click before the deeds, between them or after them. Each deed says what its browser
saw when it was asked for (`seen`), which tells these apart.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence

from headgrid.widget.wire import Deed

KEPT = 1000
"""How many numbers back it is known what was done under them."""

_Known = tuple[int, str, str, str, int]


class Ledger:
    """What was done.

    Attributes:
        done: the highest number of a deed that was done or refused.
    """

    def __init__(self) -> None:
        self.done = 0
        self._known: dict[_Known, None] = {}

    def new(self, deeds: Sequence[Deed]) -> list[Deed]:
        """Those of some deeds that are not done yet, each once, in order."""
        fresh: dict[_Known, Deed] = {}
        for deed in deeds:
            key = _key(deed)
            if key not in self._known and deed["n"] > self.done - KEPT:
                fresh.setdefault(key, deed)
        return list(fresh.values())

    def mark(self, deed: Deed) -> None:
        """Count a deed as done."""
        self._known[_key(deed)] = None
        self.skip(deed["n"])

    def skip(self, n: int) -> None:
        """Count a number as done that came with no deed that can be understood."""
        self.done = max(self.done, n)
        while len(self._known) > 2 * KEPT:
            del self._known[next(iter(self._known))]


def checksum(cells: bytes) -> int:
    """What `Deed.seen` is of the cells that were on."""
    return zlib.adler32(cells)


def carry_out(
    deeds: Sequence[Deed],
    cells: bytes | None,
    on: bytes,
    edit: Callable[[bytes], None],
    do: Callable[[Deed], None],
) -> None:
    """Bring the deeds and the cells of one message into their order, so that no click is lost.

    Args:
        deeds: those that are not done yet.
        cells: the cells of the same message; None where it has none.
        on: the cells that are on as the message arrives.
        edit: switches cells.
        do: does a deed.
    """
    pending = None if cells == on else cells  # what is on already is no click: the deeds have the last word
    for deed in deeds:
        if pending is not None and checksum(pending) == deed["seen"]:
            edit(pending)
            pending = None
        do(deed)
    if pending is not None:
        edit(pending)


def _key(deed: Deed) -> _Known:
    return deed["n"], deed["do"], deed["name"], deed["value"], deed["seen"]
