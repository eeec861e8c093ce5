"""Attention of chosen heads on texts: their patterns, and how far each is a head of a known type: `attention`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.stacks import count_of
from headgrid.circuits.progress import STOP, Progress, steps
from headgrid.circuits.strings import TokenStrings
from headgrid.experiments.head_types import BY_PLACE, NAMES, HeadScores, HeadType, Tally, TypeMeasure, type_name
from headgrid.experiments.patterns import (
    PatternReader,
    Patterns,
    StackTokens,
    Visible,
    batch_rows,
    bytes_of,
    heads_of,
    joined,
    reading_of,
    shuffled,
)
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.selection.points import text_of
from headgrid.selection.selection import Selectable
from headgrid.torch_state import shielded
from headgrid.utils import arguments, files

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MEMORY = 2**32
"""The bytes that the patterns of all chosen heads may take, unless told otherwise."""

PASS = 2**28
"""The bytes that those of one forward pass may take."""

_TASK = "a headgrid.Task, texts with their tokenizer, or token ids [rows, pos]"


@dataclass(frozen=True, eq=False)
class RowPattern:
    """The pattern of a head on one row.

    Attributes:
        pattern: `[query, key]`.
        sees: which keys each query may see.
        stack: whose head it is.
        queries, keys: their tokens.
    """

    pattern: Float[torch.Tensor, "query key"]
    sees: Bool[torch.Tensor, "query key"]
    stack: str
    queries: Sequence[str]
    keys: Sequence[str]


@dataclass(frozen=True, eq=False, repr=False)
class Attention:
    """The attention of chosen heads on the rows of a task.

    Attributes:
        task: the inputs.
        pattern: the text of a head -> its attention pattern `[rows, query, key]`: every row of it sums to 1, but for
            queries that only fill up the batch, where it is 0, and for heads with a sink.
        visible: stack and layer -> which keys each query may see, `[rows, query, key]`.
        receipt: what this was computed from.
    """

    task: Task
    pattern: Patterns
    visible: Visible
    receipt: Receipt
    runs: Runs = field(repr=False)

    @property
    def anatomy(self) -> Anatomy:
        """Of which model."""
        return self.runs.anatomy

    def heads(self, selection: Selectable | None = None) -> list[str]:
        """The texts of the heads, or of those of a selection, in the order of layers.

        Raises:
            KeyError: when one is not recorded.
            SelectionError, TypeError, ValueError: for what selects no head.
        """
        if selection is None:
            return list(self.pattern)
        chosen = heads_of(self.anatomy, selection)
        return [self.pattern.text(text_of(("z", *where[1:]), (one,))) for where, all_ in chosen.items() for one in all_]

    @property
    def stacks(self) -> tuple[str, ...]:
        """The stacks of these heads, "" for the only one."""
        return tuple(dict.fromkeys(where[1] for where in self.pattern.numbers))

    @property
    def tokens(self) -> list[list[str]]:
        """The tokens of each row of the task, in strings, without what fills up the batch."""
        reading = reading_of(self.runs, self.anatomy.main.name)
        return [self._strings(reading, row, 0) for row in range(self.task.n_rows)]

    def row(self, head: str, row: int = 0) -> RowPattern:
        """The pattern of a head on one row alone, without what fills up the batch, and its tokens.

        Raises:
            KeyError: when the head is not recorded.
            TypeError, ValueError: for another row or head than there is.
        """
        row = arguments.integer("row", row, least=0, below=self.task.n_rows, what="a row of the task")
        _, stack, layer = self.pattern.where(head)
        queries = reading_of(self.runs, stack)
        keys = reading_of(self.runs, "encoder") if stack == "cross" else queries
        at = row, queries.span(row), keys.span(row)
        pattern = self.pattern[head][at]
        return RowPattern(
            pattern, self.visible[stack, layer][at], stack, self._strings(queries, row, pattern.shape[0]),
            self._strings(keys, row, pattern.shape[1]),
        )  # fmt: skip

    def _strings(self, reading: StackTokens, row: int, n: int) -> list[str]:
        if reading.ids is None:
            return [f"[{i}]" for i in range(n)]
        ids = reading.ids[row, reading.span(row)].tolist()
        if self.task.tokenizer is None:
            return [f"#{one}" for one in ids]
        string = TokenStrings(self.task.tokenizer)
        return [string(one) for one in ids]

    # ---- types of heads

    @shielded()
    def score(
        self, what: HeadType, *, stack: str | None = None, draws: int = 10, seed: int = 0,
        progress: Progress = False, cancelled: Callable[[], bool] | None = None,
    ) -> HeadScores:  # fmt: skip
        """How far each head is of a type: how much it attends to the targets of that type, beside two base rates.

        A score is the attention from a destination to its targets, averaged over all destinations of all rows that see
        a target and more than one key:

            "previous", "current", "first"   the token before it, itself, the first token of the row
            "duplicate"                      all earlier occurrences of the same token
            "induction"                      the tokens that came after those

        Base rates are the score on shuffled tokens (the same rows with their tokens in random order, read at the
        targets of the row as it was) and the score of a head that attends evenly to all that it sees.

        Args:
            what: a type, or a function of a head's pattern `[rows, query, key]` and the tokens' ids `[rows, pos]`, none
                of them padding: it gives a number for each row, `[rows]`, or the targets, booleans `[rows, query,
                key]` or `[query, key]`. With shuffled tokens it is given their pattern and the ids as they were.
            stack: which stack's heads, where patterns of several were recorded.
            draws: how many shuffles; each is a forward pass of all rows.
            seed: of the shuffles.
            progress, cancelled: see `headgrid.scan`.

        Returns:
            `HeadScores`, `[n_layers, n_heads]`; NaN for heads that were not recorded.

        Raises:
            TypeError, ValueError: for an argument that does not fit; for tokens of which none has a target, or a model
                whose weights have changed since the patterns were recorded.
            Cancelled: when `cancelled` says so.
        """
        if not callable(what) or isinstance(what, type):
            what = arguments.one_of("what", what, NAMES)
        draws = arguments.integer("draws", draws, least=2, below=10_001, what="a number of shuffles")
        seed = arguments.integer("seed", seed, least=0, below=2**63)
        progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
        name = self._scored_stack(stack)
        if self.runs.fingerprint != self.receipt.model[1]:
            raise ValueError(
                "the model's weights have changed since the patterns were recorded: call headgrid.attention again"
            )
        reading, found = reading_of(self.runs, name), self.anatomy.stack(name)
        measure = TypeMeasure(what, reading, (found.n_layers, found.n_heads), self.pattern.numbers)
        whole = slice(0, self.task.n_rows)
        evenly = measure.tally(None, self.visible, whole)
        if not evenly.counts.any():
            raise ValueError(_no_target(what))
        own = measure.tally(self.pattern.kept, self.visible, whole)
        each = self._of_shuffles(measure, draws, seed, progress, cancelled)
        return HeadScores(
            own.mean, self.anatomy, found, "head", type_name(what), each.mean(0), each.std(0), evenly.mean,
            own.counts.sum(0).amax(1).long(), own.rows, measure.attention,
            Receipt(self.receipt.model, self.task.fingerprint, f"score {type_name(what)}",
                    {"draws": draws, "seed": seed}),
            _notes(what, measure, own),
        )  # fmt: skip

    def _scored_stack(self, stack: Any) -> str:
        if stack is None:
            there = [one for one in self.stacks if one != "cross" and reading_of(self.runs, one).ids is not None]
            if len(there) > 1:
                raise ValueError(f"there are patterns of several stacks: say stack={' or '.join(map(repr, there))}")
            stack = there[0] if there else self.stacks[0]
        if arguments.text("stack", stack) not in self.stacks:
            raise ValueError(
                f"there are patterns of {', '.join(map(repr, self.stacks))}, not of {arguments.shown(stack)}"
            )
        if stack == "cross" or reading_of(self.runs, stack).ids is None:
            raise ValueError(
                f"scores are of tokens that attend to tokens of the same text, and {stack} does not: read its patterns"
            )
        return str(stack)

    def _of_shuffles(
        self, measure: TypeMeasure, draws: int, seed: int, progress: Progress, cancelled: Callable[[], bool] | None
    ) -> torch.Tensor:
        """The scores on rows in a random order, `[draws, n_layers, n_heads]`."""
        numbers = {where: heads for where, heads in self.pattern.numbers.items() if where[1] == measure.reading.name}
        reader = PatternReader(self.runs, numbers)
        n, each = self.task.n_rows, batch_rows(self.runs, numbers, PASS)
        batches = [slice(first, min(first + each, n)) for first in range(0, n, each)]
        generator = torch.Generator().manual_seed(seed)
        orders = [shuffled(self.runs, self.stacks, generator) for _ in range(draws)]
        sums = torch.zeros(draws, *measure.shape, dtype=torch.float64)
        counts = torch.zeros_like(sums)
        todo = [(draw, rows) for draw in range(draws) for rows in batches]
        for draw, rows in steps(todo, len(todo), "shuffled tokens", progress, cancelled):
            patterns, visible = reader.read(rows, {name: ids[rows] for name, ids in orders[draw].items()})
            found = measure.tally(patterns, visible, rows)
            sums[draw] += found.sums.nansum(0)
            counts[draw] += found.counts.sum(0)
        return sums / counts

    # ---- for people and files

    def __repr__(self) -> str:
        n, length = self.task.ids.shape
        rows = "1 row" if n == 1 else f"{n} rows"
        return f"Attention({count_of(len(self.pattern), 'head')} on {rows} of {length} tokens: {self.pattern.listed})"

    def plot(self, heads: Selectable | None = None, **options: Any) -> list[Axes]:
        """A figure of the patterns, as `headgrid.plots.attention` draws it."""
        from headgrid.plots.attention import attention as drawn

        return drawn(self, heads, **options)

    def to_html(self, path: str | os.PathLike[str] | None = None, heads: Selectable | None = None,
                rows: Sequence[int] | None = None) -> str | None:  # fmt: skip
        """A page of the tokens and the patterns: hover a token, and what it attends to is colored. It works offline.

        Args:
            path: where to write it; without, it is returned.
            heads: which of the heads; all by default.
            rows: which rows; all by default.

        What would make the page larger than a few MB is left out, and the page says so.

        Raises:
            KeyError: for a head that is not recorded.
            TypeError, ValueError: for other rows than there are; for a text so long that not one pattern fits.
            FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
        """
        from headgrid.plots.attention_page import page

        if path is not None:
            files.checked(path)
        found = page(self, heads, rows)
        if path is None:
            return found
        files.write(path, found)
        return None

    def _repr_html_(self) -> str | None:
        from headgrid.plots.attention_page import view

        try:
            return view(self)
        except ValueError:  # too long for a page: the text says what there is
            return None


@shielded()
def attention(
    model: torch.nn.Module, task: Task | Sequence[str] | torch.Tensor | str, selection: Selectable | None = None, *,
    tokenizer: Any = None, batch_size: int | None = None, memory: int = MEMORY, progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> Attention:  # fmt: skip
    """The attention patterns of chosen heads on a task's inputs, and of no other head.

        attention = hg.attention(model, hg.Task.repeated(tokenizer), "l1h*")
        attention.pattern["l1h2"]          # [rows, query, key]
        attention.score("induction")       # each head's, beside shuffled tokens
        attention                          # in a notebook: the tokens, colored as you point at them

    Patterns are those that the model's own attention uses, whatever its implementation (`headgrid.record`).

    Args:
        model: a transformers model or a TransformerLens bridge, in `eval()`.
        task: a `Task`; or texts, or one, with their tokenizer; or token ids `[rows, pos]`.
        selection: the heads: a text such as "l0h1 | l1h*", of an encoder-decoder with the stack's prefix ("encoder
            l0h1", "cross l1h*"), or anything that selects heads. All heads that read tokens by default.
        tokenizer: of texts, or to show ids by; a task has its own.
        batch_size: how many rows a forward pass has; by default as many as fit a bound on memory.
        memory: the bytes that the patterns may take.
        progress, cancelled: see `headgrid.scan`.

    Returns:
        `Attention`.

    Raises:
        SelectionError: when a text does not parse, or names what the model does not have.
        TypeError, ValueError: for arguments that do not fit the model or each other; for patterns that take more memory
            than they may: it says how much.
        RuntimeError: when the model's attention shows no pattern.
        Cancelled: when `cancelled` says so.
    """
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    memory = arguments.integer("memory", memory, least=1, what="a number of bytes")
    runs = Runs(model, _task(task, tokenizer), batch_size=batch_size)
    numbers = heads_of(runs.anatomy, selection)
    needed = bytes_of(runs, numbers, runs.task.n_rows)
    if needed > memory:
        n = sum(map(len, numbers.values()))
        raise ValueError(
            f"the patterns of {count_of(n, 'head')} on {count_of(runs.task.n_rows, 'row')} of "
            f"{runs.task.ids.shape[1]:,} tokens take {needed / 1e9:,.1f} GB, and memory allows {memory / 1e9:,.1f}: "
            "select fewer heads, take task.rows(...), or give memory="
        )
    each = runs.batch_size if batch_size is not None else batch_rows(runs, numbers, PASS)
    batches = [slice(first, min(first + each, runs.task.n_rows)) for first in range(0, runs.task.n_rows, each)]
    reader = PatternReader(runs, numbers)
    kept, visible = joined([
        reader.read(rows) for rows in steps(batches, len(batches), "attention patterns", progress, cancelled)
    ])  # fmt: skip
    receipt = Receipt((runs.anatomy.name, runs.fingerprint), runs.task.fingerprint, "attention patterns")
    return Attention(runs.task, Patterns(runs.anatomy, kept, numbers), visible, receipt, runs)


def _task(given: Any, tokenizer: Any) -> Task:
    if isinstance(given, Task):
        if tokenizer is not None:
            raise ValueError("a task has a tokenizer of its own: leave tokenizer= out, or give texts")
        return given
    if isinstance(given, torch.Tensor | str) or (isinstance(given, list | tuple) and given):
        return Task(tokenizer, given, metric="loss")
    if isinstance(given, Mapping):
        return Task(tokenizer, given, metric="loss")
    raise TypeError(f"task is {_TASK}, not {arguments.shown(given)}")


def _no_target(what: HeadType) -> str:
    if what in ("duplicate", "induction"):
        return (
            f"no token of this task comes twice in a row, and {what!r} is about those that do: score "
            "headgrid.attention(model, Task.repeated(tokenizer)) instead"
        )
    return f"no destination of this task sees a target of {type_name(what)} and another key: give longer rows"


def _notes(what: HeadType, measure: TypeMeasure, own: Tally) -> tuple[str, ...]:
    found = []
    if what in BY_PLACE:
        found.append("A head that goes by place scores the same on shuffled tokens: compare with even attention.")
    there = {where[2] for where in measure.numbers if where[1] == measure.reading.name}
    blind = [layer for layer in sorted(there) if not own.counts[:, layer].any()]
    if blind:
        found.append(f"No destination sees a target in layer {', '.join(map(str, blind))}: attention is local there.")
    return tuple(found)
