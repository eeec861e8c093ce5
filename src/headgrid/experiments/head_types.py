"""Head types: how much of its attention a head has at places that mean something, beside what chance gives.

A score of this kind is the attention from a destination to its targets, averaged over the destinations that have any.
`TransformerLens`' `head_detector` and ARENA's exercises use the same ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from jaxtyping import Bool, Float64, Int

from headgrid.experiments.effects import PerPart
from headgrid.experiments.patterns import StackTokens, Visible
from headgrid.experiments.receipts import Receipt
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers
from headgrid.selection.selection import Selection
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

NamedType = Literal["previous", "current", "first", "duplicate", "induction"]
HeadType: TypeAlias = NamedType | Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

SAID: dict[str, str] = {
    "previous": "the token before it",
    "current": "the token itself",
    "first": "the first token",
    "duplicate": "earlier occurrences of the same token",
    "induction": "the tokens after earlier occurrences of the same token",
}
"""What a destination's targets are."""

LABELS: dict[str, str] = {
    "previous": "previous token", "current": "current token", "first": "first token", "duplicate": "duplicate token",
    "induction": "induction",
}  # fmt: skip
"""What a type is called where it is shown."""

NAMES: tuple[NamedType, ...] = ("previous", "current", "first", "duplicate", "induction")
BY_PLACE = ("previous", "current", "first")
"""Types that are about places: a head of these attends as it does whatever the tokens are."""

SPREADS = 4.0
"""How many spreads of the shuffles a score must be above their mean, to be above its base rate."""

LEAST = 0.1
"""How much of a head's attention must be above its base rate: less is nothing to name a head by, however certain."""


def targets(name: NamedType, ids: torch.Tensor) -> Bool[torch.Tensor, "query key"]:
    """The targets of every destination in one row of tokens."""
    n = len(ids)
    at = torch.arange(n)
    if name == "previous":
        return at[:, None] - 1 == at
    if name == "current":
        return at[:, None] == at
    if name == "first":
        return (at == 0).expand(n, n)
    earlier = (ids[:, None] == ids) & (at < at[:, None])
    return earlier if name == "duplicate" else torch.nn.functional.pad(earlier, (1, 0))[:, :n]


@dataclass(frozen=True, eq=False)
class Tally:
    """Sums over destinations, `[rows, n_layers, n_heads]`, and how many these are; NaN and 0 where there is none."""

    sums: torch.Tensor
    counts: torch.Tensor

    @property
    def mean(self) -> torch.Tensor:
        """Over all destinations, `[n_layers, n_heads]`."""
        return self.sums.nansum(0) / self.counts.sum(0)

    @property
    def rows(self) -> torch.Tensor:
        """Over the destinations of each row."""
        return self.sums / self.counts


@dataclass(frozen=True, eq=False)
class TypeMeasure:
    """What of a stack's patterns is measured.

    Attributes:
        what: the type, or a function.
        reading: the tokens of the stack.
        shape: its layers and heads.
        numbers: the heads whose patterns there are.
    """

    what: HeadType
    reading: StackTokens
    shape: tuple[int, int]
    numbers: ActivationNumbers
    _kinds: list[Literal["targets", "numbers"]] = field(default_factory=list)

    @property
    def attention(self) -> bool:
        """Whether what is measured is a part of a head's attention; of a function, as its last answer was."""
        return self._kinds[-1] == "targets" if self._kinds else True

    def tally(self, patterns: Mapping[Where, torch.Tensor] | None, visible: Visible, rows: slice) -> Tally:
        """The sums of some rows.

        Args:
            patterns: `[rows, n, query, key]`; None for heads that attend evenly to all that they see.
            visible: which keys each query sees, of the same rows.
            rows: which rows of the task these are.
        """
        n = len(next(iter(visible.values())))
        sums = torch.full((n, *self.shape), torch.nan, dtype=torch.float64)
        counts = torch.zeros(n, *self.shape, dtype=torch.float64)
        for where, heads in self.numbers.items():
            if where[1] != self.reading.name:
                continue
            seen = visible[where[1], where[2]]
            for group, part, ids in self._groups(rows):
                sees = seen[group][:, part, part]
                if patterns is None:
                    evenly = sees / sees.sum(-1, keepdim=True).clamp(min=1)
                    found = evenly[:, None].expand(-1, len(heads), -1, -1)
                else:
                    found = patterns[where][group][:, :, part, part]
                total, count = self._of(found, sees, ids)
                at = torch.tensor(group)[:, None], where[2], torch.tensor(heads)[None]
                sums[at], counts[at] = total, count
        return Tally(sums.masked_fill(counts == 0, torch.nan), counts)

    def _groups(self, rows: slice) -> Iterator[tuple[list[int], slice, torch.Tensor]]:
        """Rows whose tokens stand at the same places, that slice, and their ids `[rows, m]`."""
        assert self.reading.ids is not None
        assert self.reading.queries is not None
        ids, real = self.reading.ids[rows], self.reading.queries[rows].bool()
        found: dict[tuple[int, int], list[int]] = {}
        for row, bits in enumerate(real):
            at = bits.nonzero()[:, 0]
            found.setdefault((int(at[0]), int(at[-1]) + 1), []).append(row)
        for (start, stop), group in found.items():
            yield group, slice(start, stop), ids[group][:, start:stop]

    def _of(self, pattern: torch.Tensor, sees: torch.Tensor, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Sums and counts `[rows, n]` of patterns `[rows, n, m, m]`."""
        if isinstance(self.what, str):
            aims = torch.stack([targets(self.what, row) for row in ids])[:, None]
            return _attention_to(aims, pattern, sees)
        found = [self._asked(pattern[:, i], ids) for i in range(pattern.shape[1])]
        if found[0].dtype == torch.bool:
            return _attention_to(torch.stack(found, 1), pattern, sees)
        numbers = torch.stack(found, 1).double()
        return numbers, torch.ones_like(numbers)

    def _asked(self, pattern: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        assert not isinstance(self.what, str)
        rows, m = ids.shape
        found = self.what(pattern, ids)
        name = type_name(self.what)
        if isinstance(found, torch.Tensor) and found.dtype == torch.bool and found.shape in ((m, m), (rows, m, m)):
            self._kinds.append("targets")
            return found.expand(rows, m, m)
        if (
            isinstance(found, torch.Tensor) and list(found.shape) == [rows] and found.is_floating_point()
            and found.isfinite().all()
        ):  # fmt: skip
            self._kinds.append("numbers")
            return found
        raise ValueError(
            f"the score {name} gave {arguments.shown(found)}: it gives a finite number for each row, [{rows}], or says "
            f"where to look, booleans [{rows}, {m}, {m}]"
        )


def _attention_to(aims: torch.Tensor, pattern: torch.Tensor, sees: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The attention to targets, summed over the destinations that see one, and something else than one key."""
    counted = (aims & sees[:, None]).any(-1) & (sees.sum(-1) > 1)[:, None]
    total = ((pattern * aims).sum(-1, dtype=torch.float64) * counted).sum(-1)
    return total, counted.sum(-1).double().expand_as(total)


def type_name(what: HeadType) -> str:
    """A type in a word: its name, or that of the function."""
    return what if isinstance(what, str) else str(getattr(what, "__name__", "a function"))


@dataclass(frozen=True, eq=False, repr=False)
class HeadScores(PerPart):
    """How far heads are of a type: a score for each, beside its base rates.

    Attributes:
        values: `[n_layers, n_heads]`; NaN where no pattern was recorded, or no destination sees a target.
        what: the type in a word.
        shuffled, spread: the mean and standard deviation of the same over shuffles: the same rows with their tokens in
            random order, read at the same places.
        evenly: what a head gets that attends evenly to all that each destination sees.
        destinations: how many destinations each layer's scores are averaged over, `[n_layers]`; of a function's
            numbers, how many rows.
        rows: the scores of each row, `[rows, n_layers, n_heads]`; NaN for a row without destinations.
        is_attention: whether scores are parts of a head's attention, from 0 to 1.
        receipt: what this was computed from.
        notes: what a reader should know.
    """

    what: str
    shuffled: Float64[torch.Tensor, "n_layers n_heads"]
    spread: Float64[torch.Tensor, "n_layers n_heads"]
    evenly: Float64[torch.Tensor, "n_layers n_heads"]
    destinations: Int[torch.Tensor, " n_layers"]
    rows: Float64[torch.Tensor, "rows n_layers n_heads"]
    is_attention: bool
    receipt: Receipt
    notes: tuple[str, ...] = ()

    @property
    @shielded()
    def above(self) -> Bool[torch.Tensor, "n_layers n_heads"]:
        """The heads whose score is above its base rate: by more than `SPREADS` spreads and, as attention, `LEAST`.

        The base rate is that of shuffled tokens, but for the types that are about places ("previous", "current",
        "first"): heads of these attend in the same way to tokens in any order, and their base rate is even attention.
        """
        beyond = self.values - (self.evenly if self.what in BY_PLACE else self.shuffled)
        return (beyond > SPREADS * self.spread) & (beyond > (LEAST if self.is_attention else 0))

    @property
    def named(self) -> Selection:
        """The heads above their base rate, as a selection."""
        return self._selection([(layer, head) for layer, head in self.above.nonzero().tolist()])

    def __repr__(self) -> str:
        said = f"{self.what}, attention to {SAID[self.what]}," if self.what in SAID else self.what
        each = sorted({int(one) for one in self.destinations if one})
        count = f"{each[0]:,}" if len(each) == 1 else f"{each[0]:,} to {each[-1]:,}"
        over = "destinations" if self.is_attention else "rows"
        lines = [f"HeadScores: {said} of {self._n} heads; the mean over {count} {over}"]
        lines.append(f"  {'':<14}{'score':>9}   {'shuffled tokens':<18}{'evenly':>8}")
        order, above = self._ordered(), self.above
        for at in order[:8]:
            base = f"{self.shuffled[at]:.3f} ± {self.spread[at]:.3f}"
            within = "" if above[at] else "   within its base rate"
            lines.append(f"  {self.text(*at):<14}{self.values[at]:9.3f}   {base:<18}{self.evenly[at]:8.3f}{within}")
        if len(order) > 8:
            lines.append(f"  ... {len(order) - 8} more, each at most {self.values[order[8]]:.3f}")
        n = int(above.sum())
        lines.append(f"  {n} of {self._n} above the base rate{f': {self.named}' if n else ''}")
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    @property
    def _n(self) -> int:
        return int((~self.values.isnan()).sum())

    def _ordered(self) -> Sequence[tuple[int, int]]:
        order = self.values.nan_to_num(-torch.inf).flatten().argsort(descending=True, stable=True)[: self._n]
        return [divmod(int(one), self.values.shape[1]) for one in order]

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head: its layer, number and score, both base rates, and whether the score is above.

        Raises:
            ImportError: when pandas is not installed.
        """
        above, found = self.above, list[dict[str, Any]]()
        for at in self._places():
            found.append({
                "part": self.text(*at), "layer": at[0], "head": at[1], "score": float(self.values[at]),
                "shuffled": float(self.shuffled[at]), "spread": float(self.spread[at]),
                "evenly": float(self.evenly[at]), "above": bool(above[at]),
            })  # fmt: skip
        return dataframe(found)
