"""A reader's heads beside those of a circuit, role by role, and beside chance: `CircuitDiff`."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from math import comb
from typing import TYPE_CHECKING, Any, TypeAlias

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.stacks import count_of
from headgrid.selection.pieces import pieces
from headgrid.selection.selection import Selection
from headgrid.torch_state import shielded
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

LayerHead: TypeAlias = tuple[int, int]
"""A layer and a head, or a layer and -1 for its MLP."""


@dataclass(frozen=True)
class RoleDiff:
    """One role of a circuit beside a reader's selection.

    Attributes:
        role: its name; "the circuit" for all roles together.
        found, missing: its heads (and MLPs) that the reader has, and has not.
        expected: how many of it a random selection of as many would have, on average.
        p_value: how likely a random selection has at least as many of it as were found (hypergeometric, one-sided).
    """

    role: str
    found: Selection
    missing: Selection
    n_found: int
    n: int
    expected: float
    p_value: float

    @property
    def recall(self) -> float:
        """The part of the role that was found."""
        return self.n_found / self.n


@dataclass(frozen=True)
class CircuitDiff:
    """A reader's selection beside a published circuit.

    What is found is compared with chance: a random selection of as many heads, each head of the model as likely as
    another, has `expected` heads of a role. P-values are of one role each, and not corrected for looking at several.

    Attributes:
        circuit: the title of the circuit.
        mine: the selection that was given.
        roles: one `RoleDiff` for each role, in the circuit's order.
        whole: the same of the circuit.
        extra: what is in the selection and in no role.
        n_mine: how many heads (and MLPs) the selection has.
        n_all: how many the model has: the pool that a random selection is drawn from.
        notes: what a reader should know.
    """

    circuit: str
    mine: Selection
    roles: tuple[RoleDiff, ...]
    whole: RoleDiff
    extra: Selection
    n_mine: int
    n_all: int
    notes: tuple[str, ...] = ()

    @property
    def precision(self) -> float:
        """The part of the selection that is in the circuit; 0 for an empty selection."""
        return self.whole.n_found / self.n_mine if self.n_mine else 0.0

    @property
    def recall(self) -> float:
        """The part of the circuit that is in the selection."""
        return self.whole.recall

    @property
    def chance_precision(self) -> float:
        """The precision of a random selection on average: the part of the model that the circuit is."""
        return self.whole.n / self.n_all

    @property
    def chance_recall(self) -> float:
        """The recall of a random selection of as many on average: the part of the model that the selection is."""
        return self.n_mine / self.n_all

    def __getitem__(self, role: str) -> RoleDiff:
        for one in self.roles:
            if one.role == role:
                return one
        raise KeyError(f"{role!r} is no role of {self.circuit}: it has {', '.join(one.role for one in self.roles)}")

    def __repr__(self) -> str:
        wide = max(len(one.role) for one in (*self.roles, self.whole))
        lines = [
            f"{count_of(self.n_mine, 'component')} beside {self.circuit}",
            f"  precision {self.precision:.2f} (by chance {self.chance_precision:.2f}), "
            f"recall {self.recall:.2f} (by chance {self.chance_recall:.2f})",
            f"  {'role':<{wide}}  found   by chance  p        missing",
        ]
        for one in (*self.roles, self.whole):
            lines.append(
                f"  {one.role:<{wide}}  {f'{one.n_found} of {one.n}':<8}{one.expected:<11.2g}{one.p_value:<9.2g}"
                f"{one.missing if one.missing else '-'}"
            )
        lines.append(f"  in no role: {self.extra if self.extra else '-'}")
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in ("role", "found", "by chance", "p", "has", "missing"))
        body = "".join(
            f"<tr><td>{html.escape(one.role)}</td><td>{one.n_found} of {one.n}</td><td>{one.expected:.2g}</td>"
            f"<td>{one.p_value:.2g}</td><td>{html.escape(_text(one.found))}</td>"
            f"<td>{html.escape(_text(one.missing))}</td></tr>"
            for one in (*self.roles, self.whole)
        )
        said = [
            f"precision {self.precision:.2f} (by chance {self.chance_precision:.2f}), "
            f"recall {self.recall:.2f} (by chance {self.chance_recall:.2f}); in no role: {_text(self.extra)}",
            *self.notes,
        ]
        below = "".join(f"<div>{html.escape(one)}</div>" for one in said)
        return f"<table><caption>{html.escape(self.circuit)}</caption><tr>{head}</tr>{body}</table>{below}"

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each role and one for the circuit.

        Raises:
            ImportError: when pandas is not installed.
        """
        return dataframe([_named(one) for one in (*self.roles, self.whole)])


def _named(one: RoleDiff) -> dict[str, Any]:
    return {
        "role": one.role, "n": one.n, "n_found": one.n_found, "recall": one.recall, "expected": one.expected,
        "p_value": one.p_value, "found": str(one.found), "missing": str(one.missing),
    }  # fmt: skip


def _text(selection: Selection) -> str:
    return str(selection) if selection else "-"


def beside(circuit: str, roles: Mapping[str, Selection], mine: Selection) -> CircuitDiff:
    """A selection beside the roles of a circuit, all of one anatomy.

    Heads count where they are selected whole, and MLPs where the circuit has some; everything else is in a note.
    """
    anatomy = mine.anatomy
    ours = {role: components(chosen) for role, chosen in roles.items()}
    whole = frozenset().union(*ours.values())
    mlps = any(head < 0 for _, head in whole)
    everything = frozenset(one for one in components(anatomy.select("full")) if mlps or one[1] >= 0)
    given = components(mine) & everything

    def row(name: str, wanted: frozenset[LayerHead]) -> RoleDiff:
        hits = wanted & given
        return RoleDiff(
            name, selected(anatomy, hits), selected(anatomy, wanted - given), len(hits), len(wanted),
            len(given) * len(wanted) / len(everything),
            at_least(len(hits), len(everything), len(wanted), len(given)),
        )  # fmt: skip

    extra = selected(anatomy, given - whole)
    return CircuitDiff(
        circuit, mine, tuple(row(name, wanted) for name, wanted in ours.items()), row("the circuit", whole), extra,
        len(given), len(everything), _notes(mine, given, mlps),
    )  # fmt: skip


def components(selection: Selection) -> frozenset[LayerHead]:
    """The heads and MLPs of the main stack that are selected whole."""
    main = selection.anatomy.main.name
    mlps = pieces(selection.anatomy, selection.parts, "mlps")
    return frozenset(selection.heads) | {(layer, -1) for stack, layer, _ in mlps if stack == main}


def text_of(one: LayerHead) -> str:
    """The text of a head or an MLP: `l0h1`, `l8 mlp`."""
    layer, head = one
    return f"l{layer}h{head}" if head >= 0 else f"l{layer} mlp"


def can_reach(sender: LayerHead, receiver: LayerHead) -> bool:
    """Whether what one writes can be read by another: in a later layer, or by the MLP after its attention."""
    return sender[0] < receiver[0] or (sender[0] == receiver[0] and receiver[1] < 0 <= sender[1])


def selected(anatomy: Anatomy, chosen: frozenset[LayerHead]) -> Selection:
    """These heads and MLPs as a selection."""
    return anatomy.select([text_of(one) for one in sorted(chosen)])


def at_least(hits: int, pool: int, marked: int, drawn: int) -> float:
    """How likely `drawn` of a pool, without putting back, have at least so many of the `marked`."""
    most = min(marked, drawn)
    ways = sum(comb(marked, k) * comb(pool - marked, drawn - k) for k in range(hits, most + 1))
    return ways / comb(pool, drawn)


def _notes(mine: Selection, given: frozenset[LayerHead], mlps: bool) -> tuple[str, ...]:
    rest = mine - selected(mine.anatomy, given)
    said = []
    if rest:
        what = "selected in part, or neither a head nor an MLP" if mlps else "selected in part, or no head"
        said.append(f"Not counted, as it is {what}: {rest if len(str(rest)) < 80 else str(rest)[:77] + '...'}.")
    return tuple(said)
