"""Checks of messages from the browser: it may write a few traits, each in one form. Everything else is refused.

A refusal keeps the state, says so in the box for queries, and sends the state back. Nothing that came is trusted to be
small, flat or of the right type.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, cast, get_args

from headgrid.anatomy.anatomy import count_of
from headgrid.selection.code import LIBRARIES
from headgrid.widget.wire.commands import ParsedCommand, decoded
from headgrid.widget.wire.schema import (
    CodeQuery,
    Command,
    Complete,
    Do,
    Focus,
    LiveQuery,
    Ln,
    Prompt,
    QueryError,
    Recolor,
)

MOST = 2**53 - 1
"""The largest number that a browser counts exactly."""

AHEAD = 100_000
"""How far a command's number may run ahead of the last that was done: nobody asks for more while a kernel is busy."""

MOST_COMMANDS = 1000
"""The commands of one message that are looked at; the browser sends the others again."""

LONGEST = 200_000
"""Characters of a text that was typed or pasted; a selection of every second head of a 405B model has 20,000."""

LONGEST_NAME = 1000
"""Characters of a name or a color that are looked at before it is called too long."""

FEW = 3
"""The faults of one message that are said."""

OWN = ("_view_count", "tooltip", "tabbable")
"""The traits that ipywidgets itself lets a browser write."""


class RefusedError(ValueError):
    """A message is not what a browser of this version sends."""


@dataclass(frozen=True)
class Receiver:
    """What a message is checked against.

    Attributes:
        n_cells: how many cells the grid has.
        done: the number of the last command that was done.
        traits: the traits that a browser knows.
        sent: gives the value of a trait as it was sent.
    """

    n_cells: int
    done: int
    traits: Collection[str]
    sent: Callable[[str], object]


@dataclass
class Message:
    """What is left of a message.

    Attributes:
        state: trait -> its new value.
        commands: those of its commands that can be understood.
        refused: the traits that keep their value.
        faults: why, and what else was refused, in sentences.
        skipped: the numbers of commands that cannot be understood.
        error: what is wrong with the text of its last query.
    """

    state: dict[str, Any] = field(default_factory=dict)
    commands: list[ParsedCommand] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    error: QueryError | None = None

    def said(self) -> QueryError:
        """What was refused, after the fault of a query that came with it."""
        error = self.error
        first = [error["message"]] if error else []
        more = len(self.faults) - FEW
        message = " ".join([*first, *self.faults[:FEW], *([f"And {more} more."] if more > 0 else [])])
        return {"message": message, "start": error["start"] if error else 0, "end": error["end"] if error else 0}


def sift(data: Any, receiver: Receiver) -> Message:
    """What of a message may be taken over: what is unknown is left out, what is wrong is refused with a reason."""
    found = Message()
    for trait, value in data.items() if isinstance(data, dict) else ():
        if trait not in receiver.traits:
            continue  # of another version: nothing here can be wrong about it
        try:
            if trait in READERS:
                found.state[trait] = READERS[trait](value, receiver, found)
            elif trait in OWN:
                found.state[trait] = _own(trait, value)
            elif not _same(value, receiver, trait):
                raise RefusedError(f"{trait!r}, which is for Python to write")
        except RefusedError as fault:
            found.refused.append(trait)
            found.faults.append(f"The browser sent {fault}. It was refused.")
    return found


# ---- the traits that a browser writes


def _complete(value: object, *_: object) -> dict[str, Any]:
    fields = _struct(value, "a text to complete", "no numbered text")
    text = _text(fields, "text", "text to complete", LONGEST)
    at = _number(fields, "at", "text to complete")
    if at > 2 * len(text):  # UTF-16 units
        raise RefusedError(f"a caret at {at}, behind a text of {count_of(len(text), 'character')}")
    return dict(Complete(n=_number(fields, "n", "text to complete"), text=text, at=at))


def _focus(value: object, *_: object) -> dict[str, Any]:
    fields = _struct(value, "a focus", "no numbered cell, folded or raw")
    n, cell = _number(fields, "n", "focus"), _number(fields, "cell", "focus", least=-1)
    return dict(Focus(n=n, cell=cell, ln=_ln(fields, "focus")))


def _recolor(value: object, *_: object) -> dict[str, Any]:
    fields = _struct(value, "a color", "no numbered metric, folded or raw")
    n, metric = _number(fields, "n", "color"), _text(fields, "metric", "color", LONGEST_NAME)
    return dict(Recolor(n=n, metric=metric, ln=_ln(fields, "color")))


def _prompt(value: object, *_: object) -> dict[str, Any]:
    fields = _struct(value, "a prompt", "no numbered text")
    text, contrast = (_text(fields, name, "prompt", LONGEST) for name in ("text", "contrast"))
    return dict(Prompt(n=_number(fields, "n", "prompt"), text=text, contrast=contrast))


def _live_query(value: object, *_: object) -> dict[str, Any]:
    what = "query of what heads do"
    fields = _struct(value, f"a {what}", "no numbered row")
    n, row = _number(fields, "n", what), _number(fields, "row", what)
    panel, thumbnails = _flag(fields, "panel", what), _flag(fields, "thumbnails", what)
    return dict(LiveQuery(n=n, row=row, panel=panel, thumbnails=thumbnails))


def _code_query(value: object, *_: object) -> dict[str, Any]:
    fields = _struct(value, "a query of code", "no numbered library")
    n, library = _number(fields, "n", "query of code"), fields.get("library")
    if not isinstance(library, str) or library not in LIBRARIES:
        raise RefusedError(f"a query of code whose 'library' is none of {', '.join(LIBRARIES)}")
    return dict(CodeQuery(n=n, library=library))


def _commands(value: object, receiver: Receiver, found: Message) -> list[Command]:
    if not isinstance(value, list):
        raise RefusedError(f"commands that are no list but {_kind(value)}")
    for one in value[:MOST_COMMANDS]:
        try:
            found.commands.append(_command(one, receiver))
        except RefusedError as fault:
            found.faults.append(f"The browser sent {fault}. It was refused.")
            n = one.get("n") if isinstance(one, dict) else None
            if type(n) is int and 0 < n <= receiver.done + AHEAD:
                found.skipped.append(n)  # not to be sent again, and refused again, with every message
    return [parsed.command for parsed in found.commands]


def _command(value: object, receiver: Receiver) -> ParsedCommand:
    fields = _struct(value, "a command", "nothing that can be done")
    n, do = _number(fields, "n", "command", least=1), fields.get("do")
    if n > receiver.done + AHEAD:
        raise RefusedError(f"a command number {n} where {receiver.done + 1} would be next")
    if not isinstance(do, str) or do not in get_args(Do):
        raise RefusedError(f"a command that is none of {', '.join(get_args(Do))}")
    bits = 16 + (receiver.n_cells + 23) // 24 * 4  # base64 has four characters for three bytes
    longest = {"query": {"value": LONGEST}, "edit": {"value": bits, "off": bits}, "only": {"value": bits}}.get(do, {})
    by, name, value, off = (
        _text(fields, which, "command", longest.get(which, LONGEST_NAME)) for which in ("by", "name", "value", "off")
    )
    command = Command(n=n, by=by, do=cast(Do, do), name=name, value=value, off=off)
    try:
        pieces = [decoded(piece, receiver.n_cells) for piece in {"edit": (value, off), "only": (value,)}.get(do, ())]
    except ValueError as fault:
        raise RefusedError(f"a command with cells that cannot be: {fault}") from None
    return ParsedCommand(command, *pieces)


Reader = Callable[[object, Receiver, Message], Any]

READERS: dict[str, Reader] = {
    "complete": _complete,
    "focus": _focus,
    "recolor": _recolor,
    "prompt": _prompt,
    "live_query": _live_query,
    "code_query": _code_query,
    "commands": _commands,
}


# ---- what they are made of


def _struct(value: object, what: str, instead: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RefusedError(f"{what} that is {instead} but {_kind(value)}")
    return value


def _number(fields: dict[str, Any], name: str, of: str, least: int = 0) -> int:
    value = fields.get(name)
    if type(value) is not int or not least <= value <= MOST:  # True is an int, and is no number
        raise RefusedError(f"a {of} whose {name!r} is no number from {least} on")
    return value


def _text(fields: dict[str, Any], name: str, of: str, longest: int) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise RefusedError(f"a {of} whose {name!r} is no text")
    if len(value) > longest:
        raise RefusedError(f"a {of} of {count_of(len(value), 'character')}, where there is room for {longest:,}")
    # half of a pair of surrogates, which no message could carry back
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _flag(fields: dict[str, Any], name: str, of: str) -> bool:
    value = fields.get(name)
    if not isinstance(value, bool):
        raise RefusedError(f"a {of} whose {name!r} is neither true nor false")
    return value


def _ln(fields: dict[str, Any], of: str) -> Ln:
    value = fields.get("ln")
    if not isinstance(value, str) or value not in get_args(Ln):
        raise RefusedError(f"a {of} whose 'ln' is neither folded nor raw")
    return cast(Ln, value)


def _own(trait: str, value: object) -> Any:
    right = {
        "_view_count": value is None or (type(value) is int and abs(value) < MOST),
        "tooltip": value is None or (isinstance(value, str) and len(value) <= LONGEST_NAME),
        "tabbable": value is None or isinstance(value, bool),
    }
    if not right[trait]:
        raise RefusedError(f"a {trait!r} that is {_kind(value)}")
    return value


def _same(value: object, receiver: Receiver, trait: str) -> bool:
    """Whether it is what is there already: some hosts send back whatever they know."""
    try:
        return bool(receiver.sent(trait) == value)
    except RecursionError:
        return False


def _kind(value: object) -> str:
    return {dict: "an object", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}.get(
        type(value), "a number" if isinstance(value, int | float) else "bytes"
    )
