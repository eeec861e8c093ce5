"""Text that is typed into the box: what it selects, what is wrong with it, and what may stand at the caret.

Beside the words of selections it may have those for heads by the values that they are colored by: see `head_values`.

A browser counts in UTF-16 units, Python in code points.
"""

from __future__ import annotations

from headgrid.selection.completion import MOST, complete
from headgrid.selection.selection import Selection, SelectionError
from headgrid.selection.words import is_begun
from headgrid.widget.state.head_values import HeadValues
from headgrid.widget.wire.schema import Complete, CompletionList, QueryError

LONGEST = 500
"""Characters of an error that are sent: it quotes what was typed."""


def read(heads: HeadValues, text: str) -> Selection | QueryError:
    """What a text selects, or why it selects nothing."""
    try:
        return heads.select(text)
    except SelectionError as fault:
        reason = fault.reason if len(fault.reason) <= LONGEST else fault.reason[: LONGEST - 3] + "..."
        return {"message": reason, "start": units(text[: fault.start]), "end": units(text[: fault.end])}


def completed(heads: HeadValues, asked: Complete) -> CompletionList:
    """What may stand at the caret of a text."""
    text = asked["text"]
    before = text.encode("utf-16-le")[: 2 * asked["at"]]
    at = len(before.decode("utf-16-le", "ignore"))
    found = complete(heads.cells.anatomy, text, at)
    typed, words = text[found.start : at], list(found.items)
    if typed.strip():
        words = [*heads.offered(typed), *words][:MOST]
    elif words:  # a term may begin here
        values = heads.offered("")
        words = [*words[: MOST - len(values)], *values]
    return {
        "complete": asked["n"],
        "start": units(text[: found.start]),
        "end": units(text[: found.end]),
        "items": [{"text": word, "note": note, "begun": is_begun(word)} for word, note in words],
    }


def units(text: str) -> int:
    """The length of a text as a browser counts it."""
    return len(text.encode("utf-16-le")) // 2
