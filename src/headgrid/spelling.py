"""The text of a set of parts: the shortest words that fit, coarse before fine. `grammar.parse` reads it back exactly.

Words are tried from whole layers down to one role of one neuron. A word is used where all of its parts are in the set
and something of its own is not spelled yet; layers that need the same word are joined: `l0-3h[0,2]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from headgrid import parts
from headgrid.anatomy import Anatomy, Bools
from headgrid.parts import ATTENTION, MLP, SIDES, Parts
from headgrid.roles import ENDS, NORMS, ROLES

LONG = 48
"""A longer text, of most of a model, is also tried as a complement, `~(...)`: it reads better for all heads but one."""


@dataclass(frozen=True)
class _Word:
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
        terms = list(_words(anatomy, parts.difference(everything, chosen)))
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
    unspelled = {role: bits.copy() for role, bits in chosen.items()}
    for word in _vocabulary(anatomy):
        yield from _spell_word(anatomy, word, chosen, unspelled)
    for owner in ENDS:
        roles = [role for role in anatomy.roles(owner) if role in chosen]
        if len(roles) == len(anatomy.roles(owner)) and roles:
            yield owner
        else:
            yield from (f"{owner}.{role.split('.')[-1]}" for role in roles)


def _vocabulary(anatomy: Anatomy) -> Iterator[_Word]:
    """Every word for pieces of layers, coarse before fine, in the order of printing."""
    a = anatomy

    def word(text: str, owners: Sequence[str], letter: str = "", suffix: str = "", each: bool = False) -> _Word:
        roles = tuple(a.roles(*owners))
        needs = tuple(tuple(a.roles(owner)) for owner in owners) if each else (roles,)
        return _Word(text, suffix, roles, letter, tuple(need for need in needs if need))

    grouped = a.n_kv_heads < a.n_heads
    yield word("", (*ATTENTION, *MLP, *NORMS))
    yield word(" attn", ATTENTION)
    if grouped:
        yield word("g", ("q", "o", "k", "v"), "g")
    yield word("h", ("q", "o", "k", "v"), "n")
    for side in ("qk", "ov"):
        yield word("h", SIDES[side], "n", f".{side}", each=True)
    for side in ("q", "k", "v", "o"):
        shared = grouped and side in "kv"
        yield word("g" if shared else "h", (side,), "g" if shared else "n", f".{side}")
    for role in a.roles("q", "k", "v", "o"):
        shared = grouped and ROLES[role].owner in "kv"
        yield _Word("g" if shared else "h", f".{role}", (role,), "g" if shared else "n", ((role,),))
    yield word(" attn rest", ("attn rest",))
    yield from (_Word(" attn rest", f".{role}", (role,), "", ((role,),)) for role in a.roles("attn rest"))
    yield word(" mlp", MLP)
    yield word(" mlp n", ("neuron",), "f")
    yield from (_Word(" mlp n", f".{role}", (role,), "f", ((role,),)) for role in a.roles("neuron"))
    yield word(" mlp rest", ("mlp rest",))
    yield from (_Word(" mlp rest", f".{role}", (role,), "", ((role,),)) for role in a.roles("mlp rest"))
    for norm in NORMS:
        yield word(f" {norm}", (norm,))
        yield from (_Word(f" {norm}", f".{r.split('.')[-1]}", (r,), "", ((r,),)) for r in a.roles(norm))


def _spell_word(anatomy: Anatomy, word: _Word, chosen: Parts, unspelled: Parts) -> Iterator[str]:
    """The terms of one word, joined over layers with the same numbers; what they spell is taken from `unspelled`."""
    if not any(role in unspelled for role in word.roles):
        return
    whole, _, there = parts.look(anatomy, chosen, word.roles, word.letter)
    fits = whole
    for need in word.needs:
        fits = fits & parts.look(anatomy, unspelled, need, word.letter)[1]
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
            unspelled[role] &= ~_spread(anatomy, fits, role, word.letter)


def _spread(anatomy: Anatomy, fits: Bools, role: str, letter: str) -> Bools:
    """The parts of a role that belong to the numbered words that fit."""
    axis = ROLES[role].part_axis
    spread = np.zeros_like(anatomy.exists[role])
    if letter == "n" and axis == "g":
        spread |= parts.per_group(anatomy, fits).any(axis=-1)
    elif letter == "g" and axis == "n":
        spread |= fits[:, anatomy.kv_head_of]
    else:
        spread |= fits
    return spread
