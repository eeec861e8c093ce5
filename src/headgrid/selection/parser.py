"""The parser of the selection language: text -> parts, with the place of every error.

    selection  =  terms joined by   |  or  ,   (union)    &  (intersection)    -  (difference);   ~ and ( ) as usual
    term       =  full | none | [stack] layer [word] [.side] | [stack] outside [.side] | stack
               |  the name of a parameter, or of a module: all parameters in it | as in `headgrid.selection.notations`
    stack      =  encoder   decoder   cross   vision        where a model has several; one may stand before ( ) as well
    layer      =  l3   l0-3   l[0,2,5-7]   l*
    word       =  h7   g1   e5   attn   attn rest   mixer   mlp   mlp n5   mlp rest   ln1   ln2     (numbers alike)
    outside    =  embed   pos   types   stem   ln_embed   ln_final   top   unembed       (what belongs to no layer)
    side       =  .q .k .v .o .qk .ov   or a role: .W_Q .b_Q .W_in .w ...

The words, and how else each may be typed, are the table of `headgrid.selection.words`.

`-` binds tightest, then `&`, then `|` and `,`, as in Python. Upper and lower case are the same; blanks are free;
`layer`, `head`, `group`, `expert` and `neuron` may be written out. A layer or head that is named by its number must be
there; `*` takes what there is. In a decoder that can attend to an encoder and has none, a word without a stack is of
the decoder, and a whole layer has its attention to the encoder in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NoReturn

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.anatomy.names import MAIN, home_of, modules, modules_of, stacks_of
from headgrid.anatomy.roles import bare, role_of
from headgrid.selection import parts
from headgrid.selection.expression import Expression
from headgrid.selection.lexer import LONGEST_WORD, Numbers, SelectionError, closest, listed, short
from headgrid.selection.notations import alike, meant
from headgrid.selection.parts import Parts
from headgrid.selection.union import Union, count, narrowed, piece, sides_of
from headgrid.selection.words import LAST, LAYER_WORDS, OUTSIDE_WORDS, PATTERNS, SETS, Word, finer


def parse(anatomy: Anatomy, text: str) -> Parts:
    """The parts that a text names; an empty text names none.

    Raises:
        SelectionError: when it does not parse, or names what this model does not have.
    """
    found = Union(anatomy)
    add_texts(found, (text,))
    return found.parts()


def add_texts(found: Union, texts: Iterable[str]) -> None:
    """Add the parts that some texts name, as `parse` reads them."""
    parser = _Parser(found.anatomy, "")
    for text in texts:
        parser.text, parser.at, parser.depth = text, 0, 0
        if text.strip():
            parser.union(found)
            parser.end()


_LAYER = r"(?:layers?|blocks?)[\s_]*(?=[\d*\[])|l(?![a-z_])"

_NAME = r"[a-z_][\w.]*(?:\[\d+\][\w.]*)*"


class _Parser(Expression):
    """The words between operators; `beside` are stacks whose layers lie in the modules of this one's."""

    beside: tuple[Stack, ...]

    def __init__(self, anatomy: Anatomy, text: str, inside: _Parser | None = None) -> None:
        super().__init__(anatomy, text)
        self.stacks = stacks_of(anatomy)
        self.stack, self.beside = (inside.stack, inside.beside) if inside else home_of(anatomy)
        self.ours = inside is not None  # then the text is in our words, not in another notation

    def word(self, found: Union) -> None:
        start = self.skip()
        for word in SETS:
            if said := self.match(rf"{word}(?![\w.])"):
                self.at += len(said)
                if word == "full":
                    found.add(parts.everything(self.anatomy))
                return
        for word, stack in self.stacks.items():
            if said := self.match(rf"{word}(?![\w.])"):
                self.at += len(said)
                self.in_stack(found, start, stack)
                return
        if not (self.in_this_stack(found, start) or self.module(found)):
            self.no_such_word()

    def name_or_notation(self, found: Union) -> bool:
        """Read a name of a parameter or module, or a term in another notation; whether there is one here."""
        start = self.skip()
        if self.ours:
            return False
        name = self.match(_NAME)
        if stored := self.anatomy.names.get(name) or self.anatomy.names.get(name.lower()):
            self.at += len(name)
            found.parameter(stored)
            return True
        there = meant(self.text, start)
        modules = modules_of(self.anatomy, name) if "." in name or "[" in name else {}
        if there is None or there.text == self.text[start : start + there.length].lower():
            return bool(modules) and self.module(found)
        if name in modules:
            return self.module(found)
        read = Union(self.anatomy)
        try:
            if there.text:
                _Parser(self.anatomy, there.text, self).union(read)
        except SelectionError as fault:
            self.fail(start, there.length, fault.reason)
        here = self.text[start : start + there.length]
        if there.refusal:
            self.fail(start, there.length, f"{short(here)} {there.refusal}")
        if modules and not all(
            parts.equal(parts.parameters(self.anatomy, inside), read.parts()) for inside in modules.values()
        ):
            self.fail(start, len(name), f"{short(here)} could be {there.text!r}, or {listed(map(repr, modules))}")
        self.at += there.length
        if self.match(r"\s*\.\s*\w"):
            self.at -= there.length
            self.notation_with_side(found, there.text, there.length)
        else:
            found.merge(read)
        return True

    def notation_with_side(self, found: Union, text: str, length: int) -> None:
        """Read a term in another notation, with a side after it; `text` is what it is in our words."""
        start = self.at
        self.at += length
        suffix = self.match(r"\s*\.\s*\w+")
        inner = _Parser(self.anatomy, text + suffix, self)
        try:
            inner.union(found)
        except SelectionError as fault:
            moved = start + length - len(text)
            at = fault.start + moved if fault.start >= len(text) else start
            self.fail(at, fault.end + moved - at, fault.reason)
        self.at += len(suffix)

    def module(self, found: Union) -> bool:
        """Read the name of a module, or the end of one; whether there is one here."""
        name = self.match(_NAME)
        modules = modules_of(self.anatomy, name)
        if len(modules) > 1 and "." not in name:
            return False
        if len(modules) > 1:
            said = f"{short(name)} is the end of {len(modules)} names of modules; write the whole name of one"
            self.fail(self.at, len(name), said)
        for inside in modules.values():
            for parameter in inside:
                found.parameter(parameter)
        self.at += len(name) if modules else 0
        return bool(modules)

    def in_stack(self, found: Union, start: int, stack: Stack) -> None:
        """Read what comes after a stack's name: a word or a parenthesis of that stack, or nothing for all of it."""
        before, self.stack, self.beside = (self.stack, self.beside), stack, ()
        if self.match(r"\s*\("):
            self.nested(found)
        elif self.match(r"\s*(\w|\*)"):
            self.skip()
            if not (self.in_this_stack(found, start) or self.name_or_notation(found)):
                self.no_such_word()
        else:
            found.add(dict(stack.exists))
        self.stack, self.beside = before

    def in_this_stack(self, found: Union, start: int) -> bool:
        """Read a layer, or what belongs to none; whether one stands here."""
        for word in OUTSIDE_WORDS.values():
            if said := self.match(word.pattern):
                self.at += len(said)
                chosen = next((there for stack in self.stacks_outside() if (there := self.outside(stack, word))), {})
                if not chosen:
                    self.not_outside(self.at - len(said), word.text)
                tied = {}  # a tied tensor has the role that it reads as, beside its own
                for slot in (slot for stack in self.anatomy.stacks for slot in stack.tied):
                    if role_of(slot.key).owner in word.owners:
                        owners = parts.parameter(self.anatomy, slot.parameter)
                        tied[bare(slot.key)] = [role for role in chosen if role in owners]
                roles = self.suffix(start, list(chosen), tied)
                found.add(chosen if roles is None else {role: chosen[role] for role in roles})
                return True
        if said := self.match(_LAYER):
            if not self.stack.n_layers:
                here = self.here()
                places = listed(f"'{name} {here[:60]}'" for name, stack in self.stacks.items() if stack.n_layers)
                self.fail(self.at, len(here), f"say which stack {short(here)} is in: {places}")
            self.at += len(said)
            self.layer(found, start, self.index(("layer", "layers"), self.stack.n_layers))
            return True
        return False

    def outside(self, stack: Stack, word: Word) -> Parts:
        """The parts that a word for what belongs to no layer names in a stack; empty where the stack has none."""
        return parts.outside_layers(self.anatomy, stack, word.owners)

    def stacks_outside(self) -> list[Stack]:
        """Where to look for what belongs to no layer: in this stack; without one, first in what all stacks share."""
        shared = [stack for stack in self.anatomy.stacks if not stack.name] if self.beside else []
        return [*shared, self.stack]

    def layer(self, found: Union, start: int, layers: Numbers) -> None:
        """Read what comes after a layer's number: a piece of the layer, or nothing for all of it."""
        a = self.stack
        self.skip()
        text = next((text for text, pattern in PATTERNS.items() if self.match(pattern)), "")
        word = LAYER_WORDS[text]
        if (not text and self.match(r"\w")) or (_is_norm(word) and not a.roles(*word.owners)):
            self.no_such_piece()
        self.at += len(self.match(PATTERNS[text])) if text else 0
        whole = piece(a, text)
        numbers = self.index((word.noun, word.plural), count(a, text)) if word.axis else Numbers([0], star=False)
        missing = whole.missing(layers.values, numbers.values)
        if missing and (not (layers.star or numbers.star) or len(missing) == len(layers.values)):
            said = self.text[start : self.at].strip()
            blocks = [block for block in finer("") if not _is_norm(block)]
            has = listed(block.text for block in blocks if parts.pick(a, block.owners, missing[:1]))
            self.fail(
                start,
                self.at - start,
                f"{short(said)}: layer {missing[0]} of this model has no such piece; it has {has}",
            )
        pieces = [whole, *(piece(stack, text) for stack in self.beside if not text)]
        if self.match(r"\s*\."):
            there_roles = [role for of in pieces for role in of.roles if of.has(role, layers.values, numbers.values)]
            roles = set(self.suffix(start, there_roles) or ())
            pieces = [narrowed(of, (role for role in of.roles if role in roles)) for of in pieces]
        for of in pieces:
            if of.roles:
                found.block(of, layers.values, numbers.values)

    def suffix(
        self, start: int, found: list[str], tied: Mapping[str, list[str]] = MappingProxyType({})
    ) -> list[str] | None:
        """The roles that a suffix such as `.q` or `.W_Q` leaves of a word's; None where none follows."""
        word = self.text[start : self.at].strip()
        if not self.take("."):
            return None
        suffix = self.match(r"(\w+\.)?\w+")
        if suffix.lower() not in {bare(role).lower() for role in found}:
            suffix = self.match(r"\w+")
        allowed = {**tied, **sides_of(found)}
        roles = next((roles for name, roles in allowed.items() if name.lower() == suffix.lower()), None)
        if not roles:
            said = f"{short(suffix)} is no side of {short(word)}" if suffix else f"a side of {short(word)} is missing"
            self.fail(self.at, len(suffix), f"{said}; it has {listed('.' + name for name in allowed)}")
        self.at += len(suffix)
        return roles

    # errors

    def not_outside(self, start: int, word: str) -> NoReturn:
        there = [
            f"{name} {text}" if name and name != MAIN else text
            for name, stack in (self.stacks or {"": self.stack}).items()
            for text, other in OUTSIDE_WORDS.items()
            if self.outside(stack, other)
        ]
        self.fail(start, len(word), f"this model has no {word!r} here; it has {listed(there)}")

    def no_such_piece(self) -> NoReturn:
        here, a = self.here(), self.stack
        grouped = a.n_kv_heads < a.n_heads
        words = [word for word in LAYER_WORDS.values() if word.text and a.roles(*word.owners)]
        there = [word for word in words if word.axis != "g" or grouped]
        there.sort(key=lambda word: (not word.axis, word.offered))
        number = "".join(re.findall(r"\d{1,9}", here[:20])[:1])
        meant = closest(here, [word.text + (number or "0" if word.axis else "") for word in there])
        main = [word.text + ("0" if word.axis else "") for word in there if word.offered < LAST]
        self.fail(
            self.at,
            len(here),
            f"{short(here)} is no piece of a layer{meant} After a layer comes {listed(main)}, or nothing",
        )

    def no_such_word(self) -> NoReturn:
        here, a = self.here(), self.anatomy
        if re.match(r"[|,&\-)]|$", here):
            self.fail(
                self.at, len(here), "a term is missing here: a layer such as l0, a head such as l0h1, embed, full, ..."
            )
        here = self.match(_NAME) or here
        outside = [text for text, word in OUTSIDE_WORDS.items() if any(self.outside(stack, word) for stack in a.stacks)]
        words = [*SETS, *self.stacks, *outside, *a.parameters, *a.aliases, *modules(a)]
        stacks = f", each after one of {listed(self.stacks)}" if self.stacks and not self.beside else ""
        self.fail(
            self.at,
            len(here),
            f"{short(here)} is not a word of this model{self.suggested(here, words)} "
            f"A term is a layer (l0), a head (l0h1), l0 attn, l0 mlp, l0 ln1{stacks}, {', '.join(outside)}, full, "
            "or the name of a parameter or module",
        )

    def suggested(self, here: str, words: list[str]) -> str:
        """The end of a sentence about a word that is none: what may have been meant, in the same layer and head."""
        numbers = re.findall(r"\d{1,9}", here)[:2]
        ours = {1: ["l{}", "l{} attn", "l{} mlp"], 2: ["l{}h{}"]}.get(len(numbers), [])
        near = closest(here, [*words, *(word.format(*numbers) for word in ours)], 0.8)
        likely = alike(re.sub(r"\[(\d+)\]", r".\1", here[:LONGEST_WORD]))
        if near != "." or not likely:
            return near if near != "." else closest(here, [*words, *(word.format(*numbers) for word in ours)])
        try:
            _Parser(self.anatomy, likely, self).union(Union(self.anatomy))
        except SelectionError as fault:
            return f": {fault.reason}."
        return f"; did you mean {likely!r}?"


def _is_norm(word: Word) -> bool:
    return word.shown is not None and word.shown.kind == "norm"
