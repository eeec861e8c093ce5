"""The words that select parts: text -> parts, with the place of every error.

    selection  =  terms joined by   |  or  ,   (union)    &  (intersection)    -  (difference);   ~ and ( ) as usual
    term       =  full | none | a parameter's name | [stack] layer [piece] [.side] | [stack] end [.side] | stack
    stack      =  encoder   decoder   cross   vision        where a model has several; one may stand before ( ) as well
    layer      =  l3   l0-3   l[0,2,5-7]   l*
    piece      =  h7   g1   e5   attn   attn rest   mixer   mlp   mlp n5   mlp rest   ln1   ln2     (numbers alike)
    end        =  embed   pos   types   stem   ln_embed   ln_final   top   unembed
    side       =  .q .k .v .o .qk .ov   or a role: .W_Q .b_Q .W_in .w ...

`-` binds tightest, then `&`, then `|` and `,`, as in Python. Upper and lower case are the same; blanks are free.
A layer or head that is named by its number must be there; `*` takes what there is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NoReturn

import numpy as np

from headgrid import parts
from headgrid.anatomy import Anatomy, Stack
from headgrid.parts import PIECES, SIDES, Parts
from headgrid.reader import Numbers, Reader, closest, listed
from headgrid.roles import ENDS, NORMS, bare, role_of

DEEPEST = 50
"""How deep parentheses and complements may be nested: far beyond use, and within Python's own stack."""


def parse(anatomy: Anatomy, text: str) -> Parts:
    """The parts that a text names; an empty text names none.

    Raises:
        SelectionError: when it does not parse, or names what this model does not have.
    """
    return _Parser(anatomy, text).parse()


_WORDS = {
    # a word after a layer -> its spelling; the longest of several that fit comes first
    **{norm: rf"{norm}(?!\w)" for norm in sorted(NORMS, key=len, reverse=True)},
    "attn rest": r"attn\s*rest(?!\w)",
    "attn": r"attn(?!\w)",
    "mlp rest": r"mlp\s*rest(?!\w)",
    "mlp n": r"mlp\s*n(?![a-z_])",
    "mlp": r"mlp(?!\w)",
    "mixer": r"mixer(?!\w)",
    "h": r"h(?![a-z_])",
    "g": r"g(?![a-z_])",
    "e": r"e(?![a-z_])",
}

MAIN = "text"
"""What the stack without a name may be called where there are others: the language model of a vision-language model."""


def stacks_of(anatomy: Anatomy) -> dict[str, Stack]:
    """What each stack of a model is called in a text; nothing where there is one stack only."""
    return {stack.name or MAIN: stack for stack in anatomy.stacks} if len(anatomy.stacks) > 1 else {}


def sides_of(found: Iterable[str]) -> dict[str, list[str]]:
    """The suffixes that a word with these roles may have, and the roles that each leaves of it."""
    roles = list(found)
    allowed = {side: [role for role in roles if role_of(role).owner in owners] for side, owners in SIDES.items()}
    for role in roles:
        for name in dict.fromkeys((bare(role).split(".")[-1], bare(role))):
            allowed.setdefault(name, []).append(role)
    return {name: roles for name, roles in allowed.items() if roles}


class _Parser(Reader):
    """Recursive descent over one text; `at` is the place that is read next, `stack` where its words are looked up."""

    def __init__(self, anatomy: Anatomy, text: str) -> None:
        super().__init__(text)
        self.anatomy, self.depth = anatomy, 0
        self.stacks = stacks_of(anatomy)
        self.stack = self.stacks.get(MAIN, anatomy.main)

    def parse(self) -> Parts:
        if not self.text.strip():
            return {}
        found = self.union()
        if here := self.here():
            self.fail(self.at, len(here), f"{here!r} cannot follow here; join two terms with |, &, - or a comma")
        return found

    # operators, the loosest first

    def union(self) -> Parts:
        found = self.intersection()
        while self.take("|") or self.take(","):
            found = parts.union(found, self.intersection())
        return found

    def intersection(self) -> Parts:
        found = self.difference()
        while self.take("&"):
            found = parts.intersection(found, self.difference())
        return found

    def difference(self) -> Parts:
        found = self.term()
        while self.take("-"):
            found = parts.difference(found, self.term())
        return found

    def term(self) -> Parts:
        self.depth += 1
        if self.depth > DEEPEST:
            self.fail(self.at, 1, f"this is nested deeper than {DEEPEST} levels")
        found = self.nested()
        self.depth -= 1
        return found

    def nested(self) -> Parts:
        if self.take("~"):
            return parts.difference(parts.everything(self.anatomy), self.term())
        if self.take("("):
            opened = self.at - 1
            found = self.union()
            if not self.take(")"):
                self.fail(opened, 1, "this parenthesis is not closed")
            return found
        return self.word()

    # words

    def word(self) -> Parts:
        start = self.skip()
        name = self.match(r"[a-z_][\w.]*")
        if stored := self.anatomy.names.get(name) or self.anatomy.names.get(name.lower()):
            self.at += len(name)
            return parts.parameter(self.anatomy, stored)
        for word in ("full", "none"):
            if found := self.match(rf"{word}(?!\w)"):
                self.at += len(found)
                return parts.everything(self.anatomy) if word == "full" else {}
        for word, stack in self.stacks.items():
            if found := self.match(rf"{word}(?!\w)"):
                self.at += len(found)
                return self.in_stack(start, stack)
        return self.in_this_stack(start) or self.no_such_word()

    def in_stack(self, start: int, stack: Stack) -> Parts:
        """What comes after a stack's name: a word or a parenthesis of that stack, or nothing for all of it."""
        before, self.stack = self.stack, stack
        if self.match(r"\s*\("):
            found = self.nested()
        elif self.match(r"\s*(\w|\*)"):
            self.skip()
            found = self.in_this_stack(start) or self.no_such_word()
        else:
            found = dict(stack.exists)
        self.stack = before
        return found

    def in_this_stack(self, start: int) -> Parts | None:
        """A layer or an end, or None where neither stands here."""
        for word in ENDS:
            if found := self.match(rf"{word}(?!\w)"):
                self.at += len(found)
                chosen = parts.end(self.anatomy, self.stack, word)
                return self.sided(start, chosen) if chosen else self.no_such_end(self.at - len(found), word)
        if self.match(r"l(?![a-z_])"):
            if not self.stack.n_layers:
                places = listed(f"'{name} {self.here()}'" for name, stack in self.stacks.items() if stack.n_layers)
                self.fail(self.at, len(self.here()), f"say which stack {self.here()!r} is in: {places}")
            self.at += 1
            return self.layer(start, self.index("layer", self.stack.n_layers))
        return None

    def layer(self, start: int, layers: Numbers) -> Parts:
        """What comes after a layer's number: a piece of the layer, or nothing for all of it."""
        a = self.stack
        self.skip()
        word = next((word for word, pattern in _WORDS.items() if self.match(pattern)), "")
        if (not word and self.match(r"\w")) or (word in NORMS and not a.roles(word)):
            self.no_such_piece()
        self.at += len(self.match(_WORDS[word])) if word else 0
        star = layers.star
        if word == "h":
            numbers = self.index("head", a.n_heads)
            star |= numbers.star
            chosen = np.zeros((a.n_layers, a.n_heads), dtype=np.bool_)
            chosen[np.ix_(layers.values, numbers.values)] = True
            found = parts.heads(a, chosen)
        elif word == "g":
            numbers = self.index("group", a.n_kv_heads)
            star |= numbers.star
            readers = [h for h in range(a.n_heads) if a.kv_head_of[h] in numbers.values]
            found = parts.union(
                parts.pick(a, ("q", "o"), layers.values, readers),
                parts.pick(a, ("k", "v"), layers.values, numbers.values),
            )
        elif word in ("mlp n", "e"):
            owner = "expert" if word == "e" else "neuron"
            numbers = self.index(owner, max((a.exists[role].shape[1] for role in a.roles(owner)), default=0))
            star |= numbers.star
            found = parts.pick(a, (owner,), layers.values, numbers.values)
        else:
            owners = PIECES.get(word, (word,))
            found = parts.pick(a, owners, layers.values)
        there = {int(layer) for bits in found.values() for layer in np.flatnonzero(bits.any(axis=1))}
        missing = [layer for layer in layers.values if layer not in there]
        if missing and (not star or not there):
            piece = self.text[start : self.at].strip()
            has = listed(owner for owner in ("attn", "mixer", "mlp") if parts.pick(a, PIECES[owner], missing[:1]))
            self.fail(
                start, self.at - start, f"{piece!r}: layer {missing[0]} of this model has no such piece; it has {has}"
            )
        return self.sided(start, found)

    def sided(self, start: int, found: Parts) -> Parts:
        """What a suffix such as `.q` or `.W_Q` leaves of a word's parts."""
        word = self.text[start : self.at].strip()
        if not self.take("."):
            return found
        suffix = self.match(r"(\w+\.)?\w+")
        if suffix.lower() not in {name.lower() for role in found for name in (bare(role),)}:
            suffix = self.match(r"\w+")
        allowed = sides_of(found)
        roles = next((roles for name, roles in allowed.items() if name.lower() == suffix.lower()), None)
        if not roles:
            said = f"{suffix!r} is no side of {word!r}" if suffix else f"a side of {word!r} is missing"
            self.fail(self.at, len(suffix), f"{said}; it has {listed('.' + name for name in allowed)}")
        self.at += len(suffix)
        return {role: found[role] for role in roles}

    # errors

    def no_such_end(self, start: int, word: str) -> NoReturn:
        there = [
            f"{name} {end}" if name and name != MAIN else end
            for name, stack in (self.stacks or {"": self.stack}).items()
            for end in ENDS
            if parts.end(self.anatomy, stack, end)
        ]
        self.fail(start, len(word), f"this model has no {word!r} here; it has {listed(there)}")

    def no_such_piece(self) -> NoReturn:
        here, a = self.here(), self.stack
        pieces = {"h0": "q", "g0": "q", "attn": "q", "mixer": "mixer", "e0": "expert", "mlp": ""}
        pieces = {word: owner for word, owner in pieces.items() if not owner or a.roles(owner)}
        if a.n_kv_heads == a.n_heads:
            pieces.pop("g0", None)
        there = [*pieces, *(norm for norm in NORMS if a.roles(norm))]
        self.fail(
            self.at,
            len(here),
            f"{here!r} is no piece of a layer{closest(here, [*there, 'attn rest', 'mlp rest', 'mlp n0'])} "
            f"After a layer comes {listed(there)}, or nothing",
        )

    def no_such_word(self) -> NoReturn:
        here, a = self.here(), self.anatomy
        if re.match(r"[|,&\-)]|$", here):
            self.fail(
                self.at, len(here), "a term is missing here: a layer such as l0, a head such as l0h1, embed, full, ..."
            )
        ends = dict.fromkeys(end for stack in a.stacks for end in ENDS if parts.end(a, stack, end))
        words = ["full", "none", *self.stacks, *ends, *a.parameters, *a.aliases]
        stacks = f", each after one of {listed(self.stacks)}" if self.stacks else ""
        self.fail(
            self.at,
            len(here),
            f"{here!r} is not a word of this model{closest(here, [*words, 'l0', 'l0h0', 'l0 attn', 'l0 mlp'])} "
            f"A term is a layer (l0), a head (l0h1), l0 attn, l0 mlp, l0 ln1{stacks}, {', '.join(ends)}, full, "
            "or the name of a parameter",
        )
