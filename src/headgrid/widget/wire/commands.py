"""Commands: what a browser wants done once, such as a click or an undo, however a busy kernel merges its messages.

A browser writes all commands that are not done yet, each time. So none is lost, they are done in their order, and one
that was done is known by its number and by what it is, since two pages may count alike.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from headgrid.anatomy.anatomy import Bools
from headgrid.widget.wire.schema import Command, unpack

REMEMBERED = 1000
"""How many numbers back it is known what was done under them."""

_Key = tuple[int, bytes]


@dataclass(frozen=True, eq=False)
class ParsedCommand:
    """A command that was found to be right, with the cells that it names decoded.

    Attributes:
        command: the command as it came.
        on, off: the cells that it switches on and off, `[n_cells]`; None of a command that names no cells.
    """

    command: Command
    on: Bools | None = None
    off: Bools | None = None


class Ledger:
    """The record of the commands that were done.

    Attributes:
        done: the highest number of a command that was done or refused.
    """

    def __init__(self) -> None:
        self.done = 0
        self._known: dict[_Key, None] = {}

    @property
    def state(self) -> tuple[int, dict[_Key, None]]:
        """A snapshot, which can be set again."""
        return self.done, dict(self._known)

    @state.setter
    def state(self, before: tuple[int, dict[_Key, None]]) -> None:
        self.done, self._known = before

    def new(self, commands: Iterable[ParsedCommand]) -> list[ParsedCommand]:
        """Those of some commands that are not done yet, each once, in order."""
        fresh: dict[_Key, ParsedCommand] = {}
        for parsed in commands:
            key = _key(parsed.command)
            if key not in self._known and parsed.command["n"] > self.done - REMEMBERED:
                fresh.setdefault(key, parsed)
        return list(fresh.values())

    def mark(self, command: Command) -> None:
        """Count a command as done."""
        self._known[_key(command)] = None
        self.skip(command["n"])

    def skip(self, n: int) -> None:
        """Count a number as done that came with no command that can be understood."""
        self.done = max(self.done, n)
        while len(self._known) > 2 * REMEMBERED:
            del self._known[next(iter(self._known))]


def decoded(piece: str, n_cells: int) -> Bools:
    """The cells that a command names, `[n_cells]`.

    Raises:
        ValueError: where that is no piece of the bits of so many cells.
    """
    return unpack(cells_of(piece, (n_cells + 7) // 8), n_cells)


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


def _key(command: Command) -> _Key:
    said = repr([command[field] for field in ("by", "do", "name", "value", "off")])  # which may be long
    return command["n"], hashlib.blake2b(said.encode("utf-8", "surrogatepass"), digest_size=16).digest()
