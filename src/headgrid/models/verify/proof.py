"""A proof: every statement about every head, how to read it, and how to show it."""

from __future__ import annotations

import html
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headgrid.anatomy import Anatomy, Bools, count_of
from headgrid.arguments import printable, printable_lines
from headgrid.models.verify.expected import SIDES
from headgrid.models.verify.stand_in import VerifyError
from headgrid.models.verify.statements import Check

_SHOWN = 12


@dataclass(frozen=True, repr=False)
class Proof:
    """What `verify` found. It is true when everything that it could see holds.

    Attributes:
        anatomy: what was proven, or not.
        checks: one for each side of each head, and one for the block of each layer.
        notes: what else there is to know: heads that a norm couples, what is not proven.
        seconds: how long it took.
    """

    anatomy: Anatomy
    checks: tuple[Check, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether every statement holds."""
        return bool(self.checks) and not self.failures

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
        said = [self._verdict(), *failed[:_SHOWN], *more, *(f"  note: {note}" for note in self.notes)]
        return printable_lines("\n".join(said))

    def _verdict(self) -> str:
        heads = {check.where for check in self.failures if check.head is not None}
        blocks = {check.where for check in self.failures if check.head is None}
        about = f"{count_of(self.n_heads, 'head')} of {self.anatomy.title}, in {self.seconds:.2f} s"
        if self.failures:
            more = f", and {count_of(len(blocks), 'block')}" if blocks else ""
            return f"NOT proven: {len(heads)} of {about}{more}"
        worst = max((check.measured for check in self.checks if check.side in ("output", "block")), default=0.0)
        return f"proven: {about}; every side is its own head's, and the heads add up to their blocks within {worst:.0e}"

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
                    cells.append(f'<td title="{text}">{mark}</td>')
                rows.append(f"<tr><th>l{layer}</th>{''.join(cells)}</tr>")
            top = f"<tr><th></th>{''.join(f'<th>h{head}</th>' for head in range(table.shape[1]))}</tr>"
            tables.append(f"<table><caption>{html.escape(name)}</caption>{top}{''.join(rows)}</table>")
        return f'<pre style="white-space:pre-wrap;word-break:normal">{html.escape(str(self))}</pre>{"".join(tables)}'
