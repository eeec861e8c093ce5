"""Commands: what a browser wants done once, such as a click or an undo, however a busy kernel merges its messages.

A browser writes all commands that are not done yet, each time. So none is lost, they are done in their order, and one
that was done is known by its number and by what it is, since two pages may count alike.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence

from headgrid.widget.wire.schema import Command

KEPT = 1000
"""How many numbers back it is known what was done under them."""

_Known = tuple[int, bytes]


class Ledger:
    """What was done.

    Attributes:
        done: the highest number of a command that was done or refused.
    """

    def __init__(self) -> None:
        self.done = 0
        self._known: dict[_Known, None] = {}

    @property
    def state(self) -> tuple[int, dict[_Known, None]]:
        """What was done so far; to be set to what it was, if to anything."""
        return self.done, dict(self._known)

    @state.setter
    def state(self, before: tuple[int, dict[_Known, None]]) -> None:
        self.done, self._known = before

    def new(self, commands: Sequence[Command]) -> list[Command]:
        """Those of some commands that are not done yet, each once, in order."""
        fresh: dict[_Known, Command] = {}
        for command in commands:
            key = _key(command)
            if key not in self._known and command["n"] > self.done - KEPT:
                fresh.setdefault(key, command)
        return list(fresh.values())

    def mark(self, command: Command) -> None:
        """Count a command as done."""
        self._known[_key(command)] = None
        self.skip(command["n"])

    def skip(self, n: int) -> None:
        """Count a number as done that came with no command that can be understood."""
        self.done = max(self.done, n)
        while len(self._known) > 2 * KEPT:
            del self._known[next(iter(self._known))]


def cells_of(piece: str, n_bytes: int) -> bytes:
    """The cells that a command names, as bits.

    Raises:
        ValueError: where that is no piece of so many bytes.
    """
    if not piece:
        return bytes(n_bytes)
    first, colon, text = piece.partition(":")
    if not colon or not re.fullmatch("[0-9]{1,9}", first):
        raise ValueError("they do not begin with the number of a byte")
    bits = bytes(min(int(first), n_bytes)) + base64.b64decode(text, validate=True)
    if len(bits) > n_bytes or int(first) > n_bytes:
        raise ValueError(f"they end behind the last of {n_bytes} bytes")
    return bits.ljust(n_bytes, b"\0")


def _key(command: Command) -> _Known:
    said = repr([command[field] for field in ("by", "do", "name", "value", "off")])  # which may be long
    return command["n"], hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()
