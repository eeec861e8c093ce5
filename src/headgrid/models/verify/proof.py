"""A proof: every statement about every head, how to read it, and how to show it."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools, count_of
from headgrid.anatomy.roles import ROLES
from headgrid.models.verify.expected import SIDES, spelled
from headgrid.models.verify.stand_in import VerifyError
from headgrid.models.verify.statements import Check
from headgrid.utils.arguments import printable, printable_lines

_SHOWN = 12

_PLACES = {"attn rest": "shared weights of attention", **dict.fromkeys(("neuron", "expert", "mlp rest"), "MLPs"),
           "mixer": "mixers", "embed": "embeddings", "pos": "positions", "types": "token types", "stem": "stems",
           "top": "tops", "unembed": "unembedding"}  # fmt: skip
"""Owner of weights -> what to call them in a few words; all others are norms."""


def _words(roles: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(_PLACES.get(ROLES[role].owner, "norms") for role in roles))


@dataclass(frozen=True, repr=False)
class Proof:
    """The result of `verify`. It is true when everything that it could see holds.

    Attributes:
        anatomy: what was proven, or not.
        checks: one for each side of each head, and one for the block of each layer.
        notes: what else there is to know: heads that a norm couples, what is not proven.
        seconds: how long it took.
        not_understood: layer -> what was seen there, of layers that attend in a way that the proof has no picture of;
            no statement is about their heads.
        not_asked: the roles that no statement is about.
    """

    anatomy: Anatomy
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    seconds: float
    not_understood: Mapping[str, str] = field(default_factory=dict)
    not_asked: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every statement holds, and there is nothing that was not understood."""
        return bool(self.checks) and not self.failures and not self.not_understood

    def __bool__(self) -> bool:
        return self.ok

    @cached_property
    def failures(self) -> tuple[Check, ...]:
        """The statements that do not hold."""
        return tuple(check for check in self.checks if not check.ok)

    @cached_property
    def heads(self) -> dict[str, Bools]:
        """Stack -> whether each side of each head holds, shape `[n_layers, n_heads, len(SIDES)]`.

        A head that no statement is about, in a layer without attention, is False.
        """
        found: dict[str, Bools] = {}
        for check in self.checks:
            stack = self.anatomy.stack(check.stack)
            table = found.setdefault(check.stack, np.zeros((stack.n_layers, stack.n_heads, len(SIDES)), dtype=np.bool_))
            table[check.layer, slice(None) if check.head is None else check.head, SIDES.index(check.side)] = check.ok
        return found

    @cached_property
    def n_heads(self) -> int:
        """How many heads it is about."""
        return len({check.where for check in self.checks if check.head is not None})

    def raise_if_failed(self) -> Proof:
        """Return the proof.

        Raises:
            VerifyError: when it does not hold, with all that `str` says.
        """
        if not self.ok:
            raise VerifyError(str(self))
        return self

    def __repr__(self) -> str:
        return printable(f"<Proof: {self._verdict()}>")

    def __str__(self) -> str:
        failed = [f"  {check.where} {check.side}: {check.text}" for check in self.failures]
        more = [f"  and {len(failed) - _SHOWN:,} more"] if len(failed) > _SHOWN else []
        unclear = [f"  {where}: not understood: {what}" for where, what in self.not_understood.items()]
        notes = [f"  note: {note}" for note in self.notes]
        return printable_lines("\n".join([self._verdict(), *failed[:_SHOWN], *more, *unclear[:_SHOWN], *notes]))

    def _verdict(self) -> str:
        heads = {check.where for check in self.failures if check.head is not None}
        blocks = {check.where for check in self.failures if check.head is None}
        about = f"{count_of(self.n_heads, 'head')} of {self.anatomy.title}, in {self.seconds:.2f} s"
        unclear = f"the attention of {', '.join([*self.not_understood][:6])}{', ...' * (len(self.not_understood) > 6)}"
        if self.failures:
            more = f", and {count_of(len(blocks), 'block')}" if blocks else ""
            return (
                f"NOT proven: {len(heads)} of {about}{more}{f'; NOT understood: {unclear}' * bool(self.not_understood)}"
            )
        if self.not_understood:
            why = next(iter(self.not_understood.values()))
            return f"NOT understood: {unclear} of {self.anatomy.title}, so that nothing is said of its heads: {why}"
        worst = max((check.measured for check in self.checks if check.side in ("output", "block")), default=0.0)
        said = f"proven: {about}; every side is its own head's, and the heads add up to their blocks within {worst:.0e}"
        return f"{said}; not asked about: {', '.join(_words(self.not_asked))}" if self.not_asked else said

    def _repr_html_(self) -> str:
        tables = []
        for name, table in self.heads.items():
            about = {(check.layer, check.head) for check in self.checks if check.stack == name}
            why = {(c.layer, c.head): f"{c.side}: {c.text}" for c in reversed(self.failures) if c.stack == name}
            rows = []
            for layer, row in enumerate(table):
                cells = []
                for head, sides in enumerate(row):
                    text = html.escape(why.get((layer, head), why.get((layer, None), "")))
                    mark = "✓" if sides.all() else "✗" if (layer, head) in about or (layer, None) in about else "·"
                    if (unclear := self.not_understood.get(spelled(name, layer))) is not None:
                        mark, text = "?", html.escape(unclear)
                    cells.append(f'<td title="{text}">{mark}</td>')
                rows.append(f"<tr><th>l{layer}</th>{''.join(cells)}</tr>")
            top = f"<tr><th></th>{''.join(f'<th>h{head}</th>' for head in range(table.shape[1]))}</tr>"
            tables.append(f"<table><caption>{html.escape(name)}</caption>{top}{''.join(rows)}</table>")
        return f'<pre style="white-space:pre-wrap;word-break:normal">{html.escape(str(self))}</pre>{"".join(tables)}'
