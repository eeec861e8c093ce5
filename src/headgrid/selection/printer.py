"""The text of a set of parts: the shortest words that fit, coarse before fine. `parser.parse` reads it back exactly.

Terms are tried from whole layers down to one role of one neuron. A term is printed where all of its parts are in the
set and something of its own is not printed yet; layers that need the same term are joined: `l0-3h[0,2]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools, Stack
from headgrid.anatomy.names import MAIN, home_of
from headgrid.anatomy.roles import PART_AXIS, bare, role_of
from headgrid.selection import parts
from headgrid.selection.parts import Parts
from headgrid.selection.words import BY_AXIS, LAYER_WORDS, OUTSIDE_WORDS, SIDES, Word, finer

LONG = 48
"""A longer text, of most of a model, is also tried as a complement, `~(...)`: it reads better for all heads but one."""


@dataclass(frozen=True)
class Term:
    """A way to name one piece of every layer of a stack: `word` after the layer, a number, then `suffix`.

    Attributes:
        word: the word.
        suffix: a side or a role, with its dot; "" for all of the word.
        roles: the roles whose parts it names.
        needs: groups of roles; the term is printed only where something of each is not printed yet.
    """

    word: Word
    suffix: str
    roles: tuple[str, ...]
    needs: tuple[tuple[str, ...], ...]


def text_of(anatomy: Anatomy, chosen: Parts) -> str:
    """The text of a set of parts: `full`, `none`, or words joined by ` | `."""
    if not chosen:
        return "none"
    everything = parts.everything(anatomy)
    if parts.equal(chosen, everything):
        return "full"
    text = " | ".join(_terms(anatomy, chosen))
    if len(text) > LONG and 2 * parts.n_params(anatomy, chosen) > anatomy.n_params:
        terms = list(_terms(anatomy, parts.complement(anatomy, chosen)))
        complement = f"~{terms[0]}" if len(terms) == 1 else f"~({' | '.join(terms)})"
        text = min(text, complement, key=len)
    return text


def numbers(values: Sequence[int], n: int) -> str:
    """Numbers as a text has them: `3`, `0-3`, `[0,2,5-7]`, or `*` for all of several."""
    if len(values) == n > 1:
        return "*"
    runs: list[list[int]] = []
    for value in values:
        if runs and value == runs[-1][1] + 1:
            runs[-1][1] = value
        else:
            runs.append([value, value])
    items = [f"{a}-{b}" if b > a else f"{a}" for a, b in runs]
    return items[0] if len(items) == 1 else f"[{','.join(items)}]"


def _terms(anatomy: Anatomy, chosen: Parts) -> Iterator[str]:
    """The terms of a set, in the order in which they are printed."""
    left = dict(chosen)
    for stack in anatomy.stacks:
        before = f"{stack.name} " if stack.name else ""
        mine = {role: chosen[role] for role in stack.exists if role in chosen}
        if stack.name and parts.equal(mine, stack.exists):
            yield stack.name
            continue
        home, beside = home_of(anatomy)
        alone = f"{MAIN} " if beside and stack is home and not stack.name else before  # than what a bare `l0` names
        for term in terms_of(stack):
            prefix = before if term.word.text or term.suffix else alone
            yield from (prefix + text for text in _joined(stack, term, chosen, left))
        for word in OUTSIDE_WORDS.values():
            roles = stack.roles(*word.owners)
            if roles and not parts.difference(parts.outside_layers(anatomy, stack, word.owners), chosen):
                yield before + word.text
            else:
                named = [role for role in roles if role in chosen and role_of(role).axes != "..."]
                yield from (f"{before}{word.text}.{_role_of_word(word, role)}" for role in named)
                yield from _tensors(stack, [role for role in roles if role not in named], left)
        yield from _tensors(stack, stack.roles(*LAYER_WORDS[""].owners), left)


def _tensors(stack: Stack, roles: Sequence[str], left: Parts) -> Iterator[str]:
    """The names of the tensors that are chosen of roles that number theirs: no word says which."""
    if not any(role in left for role in roles):
        return
    for slot in stack.slots:
        if slot.key in roles and slot.key in left and left[slot.key][slot.layer or 0, slot.first]:
            yield slot.parameter


def terms_of(stack: Stack) -> Iterator[Term]:
    """Every term for pieces of layers, coarse before fine, in the order of printing."""
    grouped = stack.n_kv_heads < stack.n_heads
    for word in LAYER_WORDS.values():
        roles = tuple(stack.roles(*word.owners))
        if word.axis == "g" and not grouped:
            continue  # each key/value head has one reader: its group is that head
        yield Term(word, "", roles, (roles,))
        if not word.text or finer(word.text):
            continue
        inside = [side for side in SIDES.values() if set(side.owners) < set(word.owners)]
        for side in sorted(inside, key=lambda side: -len(side.owners)):
            each = tuple(tuple(stack.roles(owner)) for owner in side.owners)
            of_side = tuple(stack.roles(*side.owners))
            yield Term(_numbered_by(word, side.owners, grouped), f".{side.text}", of_side, tuple(filter(None, each)))
        for role in roles:
            numbered = _numbered_by(word, (role_of(role).owner,), grouped)
            yield Term(numbered, f".{_role_of_word(word, role)}", (role,), ((role,),))


def _numbered_by(word: Word, owners: Sequence[str], grouped: bool) -> Word:
    """The word whose numbers count the parts of some owners of a word: groups, for keys and values that heads share."""
    axes = {PART_AXIS.get(owner) for owner in owners}
    return BY_AXIS["g"] if grouped and axes == {"g"} else word


def _role_of_word(word: Word, role: str) -> str:
    """A role as the suffix of a word; the word is not said again: `ln1.w`, not `ln1.ln1.w`."""
    return bare(role).removeprefix(f"{word.text}.")


def _joined(stack: Stack, term: Term, chosen: Parts, left: Parts) -> Iterator[str]:
    """The texts of one term, joined over layers with the same numbers; what they name is taken from what is `left`."""
    if not any(role in left for role in term.roles):
        return
    axis = term.word.axis
    whole, _, there = parts.coverage(stack, chosen, term.roles, axis)
    if not whole.any():
        return
    fits = whole
    for need in term.needs:
        fits = fits & parts.coverage(stack, left, need, axis)[1]
    if not fits.any():
        return
    by_numbers: dict[str, list[int]] = {}
    for layer in np.flatnonzero(fits.any(axis=1)):
        which = numbers([int(i) for i in np.flatnonzero(fits[layer])], int(there[layer].sum())) if axis else ""
        word = BY_AXIS["n"] if axis == "g" and which == "*" else term.word  # all groups are all heads
        by_numbers.setdefault(word.after_layer + which + term.suffix, []).append(int(layer))
    for text, layers in by_numbers.items():
        yield f"l{numbers(layers, int(there.any(axis=1).sum()))}{text}"
    for role in term.roles:
        if role in left:
            rest = _rest(stack, left[role], fits, role, axis)
            if rest is None:
                del left[role]
            else:
                left[role] = rest


def _rest(stack: Stack, bits: Bools, fits: Bools, role: str, letter: str) -> Bools | None:
    """A role's parts without those that a term names where it fits; None for none. Neurons are seldom copied."""
    if letter:
        rest = bits > parts.spread(stack, fits, role, letter)
        if not rest.any():
            return None
    else:
        if not (parts.any_and_all(stack.exists[role], bits)[0] & ~fits[:, 0]).any():
            return None
        rest = bits.copy()
        rest[fits[:, 0]] = False
    rest.flags.writeable = False  # so that `parts.any_and_all` is cached
    return rest
