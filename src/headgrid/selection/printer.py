"""The text of a set of parts: the shortest words that fit, coarse before fine. `grammar.parse` reads it back exactly.

Words are tried from whole layers down to one role of one neuron. A word is used where all of its parts are in the set
and something of its own is not spelled yet; layers that need the same word are joined: `l0-3h[0,2]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools, Stack
from headgrid.anatomy.names import MAIN, home_of
from headgrid.anatomy.roles import ENDS, NORMS, bare, role_of
from headgrid.selection import parts
from headgrid.selection.parts import ATTENTION, LAYER, MLP, SIDES, Parts

LONG = 48
"""A longer text, of most of a model, is also tried as a complement, `~(...)`: it reads better for all heads but one."""


@dataclass(frozen=True)
class Word:
    """A word for one piece of every layer: `text` after the layer, a number, then `suffix`."""

    text: str
    suffix: str
    roles: tuple[str, ...]
    letter: str  # "n" heads, "g" groups, "f" neurons, "" no index
    needs: tuple[tuple[str, ...], ...]  # in each of these, some part must be unspelled for the word to be used


def spell(anatomy: Anatomy, chosen: Parts) -> str:
    """The text of a set of parts: `full`, `none`, or words joined by ` | `."""
    if not chosen:
        return "none"
    everything = parts.everything(anatomy)
    if parts.equal(chosen, everything):
        return "full"
    text = " | ".join(_words(anatomy, chosen))
    if len(text) > LONG and 2 * parts.n_params(anatomy, chosen) > anatomy.n_params:
        terms = list(_words(anatomy, parts.complement(anatomy, chosen)))
        complement = f"~{terms[0]}" if len(terms) == 1 else f"~({' | '.join(terms)})"
        text = min(text, complement, key=len)
    return text


def numbers(values: Sequence[int], n: int) -> str:
    """Numbers as the grammar writes them: `3`, `0-3`, `[0,2,5-7]`, or `*` for all of several."""
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


def _words(anatomy: Anatomy, chosen: Parts) -> Iterator[str]:
    """The words of a set, in the order in which they are printed."""
    unspelled = dict(chosen)
    for stack in anatomy.stacks:
        before = f"{stack.name} " if stack.name else ""
        mine = {role: chosen[role] for role in stack.exists if role in chosen}
        if stack.name and parts.equal(mine, stack.exists):
            yield stack.name
            continue
        home, beside = home_of(anatomy)
        alone = f"{MAIN} " if beside and stack is home and not stack.name else before  # than what a bare `l0` names
        for word in vocabulary(stack):
            yield from (
                (before if word.text or word.suffix else alone) + text
                for text in _spell_word(stack, word, chosen, unspelled)
            )
        for owner in ENDS:
            roles = stack.roles(owner)
            if roles and not parts.difference(parts.end(anatomy, stack, owner), chosen):
                yield before + owner
            else:
                named = [role for role in roles if role in chosen and role_of(role).axes != "..."]
                yield from (f"{before}{owner}.{bare(role).split('.')[-1]}" for role in named)
                yield from _tensors(stack, [role for role in roles if role not in named], unspelled)
        yield from _tensors(stack, [role for role in unspelled if role_of(role).owner not in ENDS], unspelled)


def _tensors(stack: Stack, roles: Sequence[str], unspelled: Parts) -> Iterator[str]:
    """The names of the tensors that are chosen of roles that number theirs: no word says which."""
    if not any(role in unspelled for role in roles):
        return
    for slot in stack.slots:
        if slot.key in roles and slot.key in unspelled and unspelled[slot.key][slot.layer or 0, slot.first]:
            yield slot.parameter


def vocabulary(stack: Stack) -> Iterator[Word]:
    """Every word for pieces of layers, coarse before fine, in the order of printing."""
    a = stack

    def word(text: str, owners: Sequence[str], letter: str = "", suffix: str = "", each: bool = False) -> Word:
        roles = tuple(a.roles(*owners))
        needs = tuple(tuple(a.roles(owner)) for owner in owners) if each else (roles,)
        return Word(text, suffix, roles, letter, tuple(need for need in needs if need))

    grouped = a.n_kv_heads < a.n_heads
    yield word("", LAYER)
    yield word(" attn", ATTENTION)
    yield word(" mixer", ("mixer",))
    if grouped:
        yield word("g", ("q", "o", "k", "v"), "g")
    yield word("h", ("q", "o", "k", "v"), "n")
    for side in ("qk", "ov"):
        yield word("h", SIDES[side], "n", f".{side}", each=True)
    for side in ("q", "k", "v", "o"):
        shared = grouped and side in "kv"
        yield word("g" if shared else "h", (side,), "g" if shared else "n", f".{side}")
    for role in a.roles("q", "k", "v", "o"):
        shared = grouped and role_of(role).owner in "kv"
        yield Word("g" if shared else "h", f".{bare(role)}", (role,), "g" if shared else "n", ((role,),))
    yield word(" attn rest", ("attn rest",))
    yield from (Word(" attn rest", f".{bare(role)}", (role,), "", ((role,),)) for role in a.roles("attn rest"))
    yield word(" mlp", MLP)
    for text, owner, letter in ((" mlp n", "neuron", "f"), ("e", "expert", "e"), (" mlp rest", "mlp rest", "")):
        yield word(text, (owner,), letter)
        yield from (Word(text, f".{bare(role)}", (role,), letter, ((role,),)) for role in a.roles(owner))
    for norm in NORMS:
        yield word(f" {norm}", (norm,))
        yield from (Word(f" {norm}", f".{bare(r).split('.')[-1]}", (r,), "", ((r,),)) for r in a.roles(norm))


def _spell_word(stack: Stack, word: Word, chosen: Parts, unspelled: Parts) -> Iterator[str]:
    """The terms of one word, joined over layers with the same numbers; what they spell is taken from `unspelled`."""
    if not any(role in unspelled for role in word.roles):
        return
    whole, _, there = parts.coverage(stack, chosen, word.roles, word.letter)
    if not whole.any():
        return
    fits = whole
    for need in word.needs:
        fits = fits & parts.coverage(stack, unspelled, need, word.letter)[1]
    if not fits.any():
        return
    by_numbers: dict[str, list[int]] = {}
    for layer in np.flatnonzero(fits.any(axis=1)):
        spelled = numbers([int(i) for i in np.flatnonzero(fits[layer])], int(there[layer].sum())) if word.letter else ""
        text = word.text
        if text == "g" and spelled == "*":
            text = "h"  # all groups are all heads
        by_numbers.setdefault(text + spelled + word.suffix, []).append(int(layer))
    for text, layers in by_numbers.items():
        yield f"l{numbers(layers, int(there.any(axis=1).sum()))}{text}"
    for role in word.roles:
        if role in unspelled:
            left = _left(stack, unspelled[role], fits, role, word.letter)
            if left is None:
                del unspelled[role]
            else:
                unspelled[role] = left


def _left(stack: Stack, bits: Bools, fits: Bools, role: str, letter: str) -> Bools | None:
    """What a word leaves of a role's parts where it fits; None for nothing. Millions of neurons are seldom copied."""
    if letter:
        left = bits > parts.spread(stack, fits, role, letter)
        if not left.any():
            return None
    else:
        if not (parts.rows(stack.exists[role], bits)[0] & ~fits[:, 0]).any():
            return None
        left = bits.copy()
        left[fits[:, 0]] = False
    left.flags.writeable = False  # so that `parts.rows` remembers what it finds
    return left
