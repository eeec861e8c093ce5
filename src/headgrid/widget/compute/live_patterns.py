"""What some heads attend to on one row, in the words of the wire: a byte for each query and key, and head types."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from headgrid.circuits.progress import Progress, steps
from headgrid.circuits.strings import TokenStrings
from headgrid.experiments.attention import PASS
from headgrid.experiments.head_types import BY_PLACE, LABELS, NAMES, NamedType, TypeMeasure
from headgrid.experiments.patterns import (
    PatternReader,
    StackTokens,
    Visible,
    batch_rows,
    heads_of,
    reading_of,
    shuffled,
)
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers
from headgrid.widget.compute import to_wire
from headgrid.widget.compute.pass_size import pass_size
from headgrid.widget.wire.schema import TypeScore

DRAWS = 10
"""The shuffles that the base of a type of tokens is a mean over."""

EVEN, SHUFFLED = "even attention", "shuffled tokens"
"""What types are compared with: those of places with a head that attends evenly to all that it sees, as a head of such
a type attends in the same way to tokens in any order; those of tokens with the same head on shuffled tokens."""


@dataclass(frozen=True, eq=False)
class RowHeads:
    """Some heads of one stack on one row.

    Args:
        model: the model.
        task: that row alone.
        text: the heads: "l0h1 | l1h2".

    Raises:
        ValueError: when one of them has no pattern of tokens; when the model cannot be run on the row.
    """

    model: torch.nn.Module
    task: Task
    text: str

    @cached_property
    def runs(self) -> Runs:
        """The model on the row."""
        return Runs(self.model, self.task)

    @cached_property
    def numbers(self) -> ActivationNumbers:
        """The heads."""
        return heads_of(self.runs.anatomy, self.text)

    @cached_property
    def read(self) -> tuple[dict[Where, torch.Tensor], Visible]:
        """Their patterns `[1, n, query, key]`, and what each query sees."""
        return PatternReader(self.runs, self.numbers).read(slice(0, 1))

    @property
    def stack(self) -> str:
        """The stack that they are of."""
        return next(iter(self.numbers))[1]

    @property
    def _spans(self) -> tuple[slice, slice]:
        queries = reading_of(self.runs, self.stack)
        keys = reading_of(self.runs, "encoder") if self.stack == "cross" else queries
        return queries.span(0), keys.span(0)

    @property
    def triangle(self) -> bool:
        """Whether no query sees a key behind it, so that the lower triangle is all there is."""
        if self.stack == "cross":
            return False
        queries, keys = self._spans
        return not any(bool(sees[0, queries, keys].triu(1).any()) for sees in self.read[1].values())

    def bytes_of(self, triangle: bool) -> dict[tuple[int, int], bytes]:
        """Layer and number of a head -> its pattern, without what only fills up the batch."""
        queries, keys = self._spans
        found = {}
        for where, heads in self.numbers.items():
            for i, number in enumerate(heads):
                pattern = self.read[0][where][0, i, queries, keys]
                found[where[2], number] = quantized(pattern, triangle)
        return found

    def tokens(self) -> tuple[list[str], list[str]]:
        """The tokens of the row, and of the keys where these are another text."""
        main = strings_of(self.runs, reading_of(self.runs, self.stack), self._length(0))
        if self.stack != "cross":
            return main, []
        return main, strings_of(self.runs, reading_of(self.runs, "encoder"), self._length(1))

    def _length(self, axis: int) -> int:
        return int(next(iter(self.read[0].values())).shape[2 + axis])

    def scores(self, cancelled: Callable[[], bool] | None = None) -> dict[tuple[int, int], list[TypeScore]]:
        """Layer and number of a head -> how far it is of each type that this row can tell of; as `Attention.score`.

        What is most above its base comes first.

        Args:
            cancelled: says whether to stop, which is asked before each pass on shuffled tokens.

        Raises:
            Cancelled: when `cancelled` says so.
        """
        if self.stack == "cross" or reading_of(self.runs, self.stack).ids is None:
            return {(where[2], number): [] for where, heads in self.numbers.items() for number in heads}
        own, base = type_scores(self.model, self.task, self.numbers, self.read, cancelled=cancelled)
        return {
            (where[2], number): _ordered(own, base, (where[2], number))
            for where, heads in self.numbers.items() for number in heads
        }  # fmt: skip


def against(name: NamedType) -> str:
    """What the scores of a type are compared with."""
    return EVEN if name in BY_PLACE else SHUFFLED


def _ordered(
    own: Mapping[NamedType, torch.Tensor], base: Mapping[NamedType, torch.Tensor], at: tuple[int, int]
) -> list[TypeScore]:
    """The scores of one head that are known with their base, those first that are most above it."""
    found: list[TypeScore] = [
        {
            "name": LABELS[name],
            "value": _digits(own[name][at]),
            "base": _digits(base[name][at]),
            "against": against(name),
        }
        for name in own
        if math.isfinite(own[name][at]) and math.isfinite(base[name][at])
    ]
    return sorted(found, key=lambda one: one["base"] - one["value"])


def type_scores(
    model: torch.nn.Module, task: Task, numbers: ActivationNumbers,
    read: tuple[Mapping[Where, torch.Tensor], Visible] | None = None, names: Sequence[NamedType] = NAMES,
    progress: Progress = False, cancelled: Callable[[], bool] | None = None, seed: int = 0,
) -> tuple[dict[NamedType, torch.Tensor], dict[NamedType, torch.Tensor]]:  # fmt: skip
    """Scores of heads of one stack, and their base rates, `[n_layers, n_heads]` for each type.

    They are those of `Attention.score`; all types are read from the same passes. The base rate of a type that is about
    places is that of even attention, of one that is about tokens that of shuffled tokens: see `against`.

    Args:
        model, task: what is run.
        numbers: the heads.
        read: their patterns on all rows, and what each query sees, where these were read.
        names: the types; those of which no token has a target are left out.
        progress, cancelled: see `headgrid.circuits.progress`.
        seed: of the shuffles.
    """
    rows = list(range(task.n_rows))
    first, copies = Runs(model, task), Runs(model, task.rows(rows * DRAWS))
    ids = shuffled(copies, (next(iter(numbers))[1],), torch.Generator().manual_seed(seed))
    of_tokens = [name for name in names if against(name) == SHUFFLED]
    even = _TypeTables(first, numbers, [name for name in names if against(name) == EVEN], 1)
    tables = [_TypeTables(first, numbers, names, 1), _TypeTables(copies, numbers, of_tokens, DRAWS)]
    if read is not None:
        tables[0].add(*read, slice(0, task.n_rows))
        even.add(None, read[1], slice(0, task.n_rows))
    most = pass_size(model, task.ids.shape[1])["batch_size"] or task.n_rows * DRAWS
    todo = [
        (table, part) for table in tables[read is not None : 1 + bool(of_tokens)]
        for part in _parts(table.runs, min(most, batch_rows(table.runs, numbers, PASS)))
    ]  # fmt: skip
    for table, part in steps(todo, len(todo), "shuffled tokens", progress, cancelled):
        given = {name: some[part] for name, some in ids.items()} if table is tables[1] else {}
        patterns, visible = PatternReader(table.runs, numbers).read(part, given)
        table.add(patterns, visible, part)
        if table is tables[0]:
            even.add(None, visible, part)
    own, base = tables[0].means, {**tables[1].means, **even.means}
    there = [name for name in names if own[name].isfinite().any()]
    return {name: own[name] for name in there}, {name: base[name] for name in there}


class _TypeTables:
    """Sums of scores over the rows of a task that is repeated some times, for each time by itself."""

    def __init__(self, runs: Runs, numbers: ActivationNumbers, names: Sequence[NamedType], times: int) -> None:
        stack = next(iter(numbers))[1]
        found = runs.anatomy.stack(stack)
        shape, self.runs = (found.n_layers, found.n_heads), runs
        self._each = runs.task.n_rows // times
        self._measures = {name: TypeMeasure(name, reading_of(runs, stack), shape, numbers) for name in names}
        self._sums = {name: torch.zeros(times, *shape, dtype=torch.float64) for name in names}
        self._counts = {name: torch.zeros(times, *shape, dtype=torch.float64) for name in names}

    def add(self, patterns: Mapping[Where, torch.Tensor] | None, visible: Visible, rows: slice) -> None:
        """Add some rows; without patterns, those of even attention."""
        at = torch.arange(rows.start, rows.stop) // self._each
        for name, measure in self._measures.items():
            tally = measure.tally(patterns, visible, rows)
            self._sums[name].index_add_(0, at, tally.sums.nan_to_num(0))
            self._counts[name].index_add_(0, at, tally.counts)

    @property
    def means(self) -> dict[NamedType, torch.Tensor]:
        """The mean over destinations, and over times."""
        return {name: (sums / self._counts[name]).mean(0) for name, sums in self._sums.items()}


def _parts(runs: Runs, each: int) -> list[slice]:
    n = runs.task.n_rows
    return [slice(first, min(first + each, n)) for first in range(0, n, each)]


def strings_of(runs: Runs, reading: StackTokens, n: int) -> list[str]:
    """The tokens of the first row in strings, without what only fills up the batch; places where they are no text."""
    if reading.ids is None:
        return [f"[{i}]" for i in range(n)]
    ids = reading.ids[0, reading.span(0)].tolist()
    string = None if runs.task.tokenizer is None else TokenStrings(runs.task.tokenizer)
    return [to_wire.word(one if string is None else string(one)) for one in ids]


def quantized(pattern: torch.Tensor, triangle: bool = False) -> bytes:
    """A byte for each entry of a pattern: 255 times its root, so that what is small can be told from nothing.

    Args:
        pattern: `[query, key]`.
        triangle: whether to leave out what lies above the diagonal.
    """
    if not pattern.isfinite().all():
        raise ValueError("A pattern has NaN or inf in its numbers on this text")
    small = (pattern.clamp(0, 1).sqrt() * 255).round().to(torch.uint8).numpy()
    return bytes(small[np.tril_indices(*small.shape[:1])].tobytes() if triangle else small.tobytes())


def _digits(value: torch.Tensor) -> float:
    return float(f"{float(value):.4g}")
