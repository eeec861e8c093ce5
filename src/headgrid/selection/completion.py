"""Completion: the terms that may stand at the caret of a text that is being typed, the likeliest first.

`parser.parse` stays the only parser. Here a text is only cut at its operators, and the term at the caret is looked up
among the words of its stack (`headgrid.selection.suggestions`) and the names of the parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from headgrid.anatomy.anatomy import Anatomy, Stack, count_of
from headgrid.anatomy.names import home_of, stacks_of
from headgrid.selection.notations import meant
from headgrid.selection.suggestions import FEW, Item, Suggestions
from headgrid.selection.words import SETS

MOST = 12
"""How many words are offered at most."""

LONGEST = 2000
"""Only the end of a longer text is looked at."""

_CUT = re.compile(r"\[[\d\s,-]*(?:\]|$)|-\s*\d|(?<=\d)-$|(?P<operator>[|&~(),-])")
"""Operators, and what looks like one inside a number: a list, a range, a range whose end is still to be typed."""


@dataclass(frozen=True)
class Completions:
    """The terms that may stand at the caret.

    Attributes:
        start, end: what a chosen word replaces, `text[start:end]`, counted in code points.
        items: words with a note on each, the likeliest first: `("l1h2", "layer 1 head 2")`.
    """

    start: int
    end: int
    items: tuple[Item, ...]


def complete(anatomy: Anatomy, text: str, at: int) -> Completions:
    """The terms that may stand at the caret of a text.

    Args:
        anatomy: the model whose words are offered.
        text: what was typed so far; it need not parse.
        at: where the caret is, from 0 to `len(text)`, in code points; what lies outside is taken as the nearer end.

    Returns:
        At most 12 words; none where nothing fits. It never raises.

    Example:
        >>> complete(anatomy, "l0 mlp | l1h", 12).items[:2]
        (('l1h0', 'layer 1 head 0'), ('l1h1', 'layer 1 head 1'))
    """
    at = max(0, min(at, len(text)))
    first = max(0, at - LONGEST)
    cut, stack = _cut(anatomy, text[first:at])
    typed = text[first + cut : at].lstrip()
    after = re.match(r"[\d\s,-]*\]" if typed.count("[") > typed.count("]") else r"[\w.*]*", text[at:])
    found = dict(islice(_fresh(_terms(anatomy, stack, typed), typed), MOST)) if stack else {}
    return Completions(at - len(typed), at + (after.end() if after else 0), tuple(found.items()))


def _cut(anatomy: Anatomy, text: str) -> tuple[int, Stack | None]:
    """Where the last term of a text begins, and the stack where its words are looked up; None where none can begin."""
    stacks = stacks_of(anatomy)
    around = [home_of(anatomy)[0]]
    start, closed = 0, False
    for found in _CUT.finditer(text):
        operator = found["operator"]
        if operator is None:
            continue
        if operator == "(":
            around.append(stacks.get(text[start : found.start()].strip().lower(), around[-1]))
        elif operator == ")" and len(around) > 1:
            around.pop()
        start, closed = found.end(), operator == ")"
    return start, None if closed else around[-1]


def _terms(anatomy: Anatomy, stack: Stack, typed: str) -> Iterator[Item]:
    """The terms that a text may become, the likeliest first; some may come twice."""
    stacks = stacks_of(anatomy)
    for name in stacks:
        if inside := re.match(rf"{name}\s+", typed, re.IGNORECASE):
            yield from Suggestions(anatomy, stacks[name], f"{name} ").terms(typed[inside.end() :])
            return
    here = Suggestions(anatomy, stack, "")
    if (there := meant(typed)) and there.length == len(typed) and there.text:  # in another notation
        yield from islice(here.terms(there.text), FEW)
    typed = re.sub(r"^(?:layers?|blocks?)[\s_]*(?=\d)", "l", typed, flags=re.IGNORECASE)
    begun = typed.strip().lower()
    yield from here.terms(typed)
    yield from ((name, _size(other)) for name, other in stacks.items() if name.startswith(begun))
    others = [Suggestions(anatomy, other, f"{name} ") for name, other in stacks.items() if other is not stack]
    if begun or not stack.n_layers:
        for other in others:
            yield from islice(other.terms(typed), 2 if not begun else FEW if stack.n_layers else MOST // len(others))
    yield from ((word, SETS[word]) for word in list(SETS)[: 2 if begun else 1] if word.startswith(begun))
    if not begun:
        return
    names = [name for name in (*anatomy.parameters, *anatomy.aliases) if re.fullmatch(r"[A-Za-z_][\w.]*", name)]
    yield from (_parameter(anatomy, name) for name in names if name.lower().startswith(begun))
    # what is no beginning of a term may be meant for every layer, be a piece of a name, or have been mistyped
    for some in (here, *others):
        yield from islice(some.everywhere(typed), FEW)
    if len(begun) > 1:
        yield from (_parameter(anatomy, name) for name in names if f".{begun}" in name.lower())
    yield from here.like(begun, [*SETS, *stacks])


def _parameter(anatomy: Anatomy, name: str) -> Item:
    return name, " x ".join(map(str, anatomy.parameters[anatomy.aliases.get(name, name)]))


def _fresh(items: Iterable[Item], typed: str) -> Iterator[Item]:
    """Each word once, as it came first; after a blank, none that would only go on without it."""
    seen: set[str] = set()
    squeezed = re.sub(r"\s+", "", typed).lower()
    apart = typed != typed.rstrip()
    for word, note in items:
        whole = re.sub(r"\s+", "", word).lower()
        more = whole.removeprefix(squeezed)[:1]
        joined = not whole.startswith(squeezed) or more in ("", ".", "-")
        if word not in seen and not (apart and (joined or (more.isdigit() and not squeezed[-1:].isalpha()))):
            seen.add(word)
            yield word, note


def _size(stack: Stack) -> str:
    return (
        f"{count_of(stack.n_layers, 'layer')} of {count_of(stack.n_heads, 'head')}"
        if stack.n_layers
        else "what they share"
    )
