"""Patterns of chosen heads on the inputs of a task: recorded batch by batch, those of no other head."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from jaxtyping import Float

from headgrid.anatomy.anatomy import Anatomy
from headgrid.experiments.copies import up_to
from headgrid.experiments.runs import Runs
from headgrid.hooks import record
from headgrid.hooks.cache import NotRecorded
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers, named, text_of
from headgrid.utils import arguments

Visible: TypeAlias = dict[tuple[str, int], torch.Tensor]
"""Stack and layer -> which keys each query may see, `[rows, query, key]`."""

MASKED = 1000.0
"""How far below the largest score of its query a masked one is at least; a pattern is 0 long before that. Some models
scale their scores after they have masked them, so that the mask is not the least number any more."""

TOWERS = ("vision",)
"""Stacks that read no tokens."""


@dataclass(frozen=True)
class StackTokens:
    """What the tokens of a task are to a stack.

    Attributes:
        name: of the stack.
        ids: the ids of its tokens `[rows, pos]`; None for one that reads something else, such as sound.
        queries: which of its positions are tokens, `[rows, pos]`.
        argument: the argument of the model that holds the ids.
    """

    name: str
    ids: torch.Tensor | None
    queries: torch.Tensor | None
    argument: str

    def span(self, row: int) -> slice:
        """From the first token of a row to its last; everything where there are no tokens."""
        if self.queries is None:
            return slice(None)
        at = self.queries[row].nonzero()[:, 0]
        return slice(int(at[0]), int(at[-1]) + 1)


def reading_of(runs: Runs, name: str) -> StackTokens:
    """The tokens that a stack reads; of `cross` those of its queries."""
    task = runs.task
    if name == "encoder" and "decoder_input_ids" in task.inputs:
        ids, mask = task.inputs.get("input_ids"), task.inputs.get("attention_mask")
        if ids is not None and (mask is None or mask.shape != ids.shape):
            mask = torch.ones_like(ids)
        return StackTokens(name, ids, None if ids is None else mask, "input_ids")
    given = "decoder_input_ids" if "decoder_input_ids" in task.inputs else "input_ids"
    return StackTokens(name, task.ids, task.mask, given)


class Patterns(Mapping[str, torch.Tensor]):
    """Attention patterns by the text of their head: `patterns["l1h2"]` is `[rows, query, key]`.

    The rows of queries that only fill up the batch are 0.

    Args:
        anatomy: of which model.
        kept: the patterns of the heads of a layer, `[rows, n, query, key]`.
        numbers: which heads these are.
    """

    def __init__(self, anatomy: Anatomy, kept: Mapping[Where, torch.Tensor], numbers: ActivationNumbers) -> None:
        self._anatomy, self.kept, self.numbers = anatomy, kept, numbers
        self._places = {
            text_of(("z", *where[1:]), (number,)): (where, i)
            for where, listed in numbers.items()
            for i, number in enumerate(listed)
        }

    def __getitem__(self, head: str) -> Float[torch.Tensor, "rows query key"]:
        where, i = self._places[self.text(head)]
        return self.kept[where][:, i]

    def text(self, head: str) -> str:
        """The text of a head that is recorded, however it was written.

        Raises:
            KeyError: when it is not.
            SelectionError, TypeError, ValueError: for what is not one head.
        """
        text = arguments.text("the key of patterns", head, what="the text of a head such as 'l1h2'")
        if text not in self._places:
            found = list(named(self._anatomy, text, ["pattern"]).items())
            if len(found) != 1 or len(found[0][1]) != 1:
                raise ValueError(f"{arguments.shown(text)} is not one head; recorded are {self.listed}")
            text = text_of(("z", *found[0][0][1:]), found[0][1])
        if text not in self._places:
            raise NotRecorded(f"the pattern of {text} is not recorded; recorded are {self.listed}")
        return text

    def where(self, head: str) -> Where:
        """The stack and layer of a head that is recorded, as an activation."""
        return self._places[self.text(head)][0]

    @property
    def listed(self) -> str:
        """The heads in a line."""
        return ", ".join(text_of(("z", *where[1:]), numbers) for where, numbers in self.numbers.items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)

    def __repr__(self) -> str:
        return f"Patterns({self.listed})"


def heads_of(anatomy: Anatomy, selection: object) -> ActivationNumbers:
    """The heads whose patterns are asked for: those of a selection, or all that attend from tokens to tokens.

    Raises:
        ValueError: when no head is selected, or one that reads no tokens, or one that has several patterns in a pass.
    """
    if selection is None:
        found: ActivationNumbers = {}
        for stack in anatomy.stacks:
            there = stack.exists.get(f"{stack.name}:W_O" if stack.name else "W_O")
            if there is not None and stack.name not in TOWERS:
                for layer in range(stack.n_layers):
                    if there[layer].any():
                        found["pattern", stack.name, layer] = tuple(there[layer].nonzero()[0].tolist())
    else:
        found = named(anatomy, selection, ["pattern"])
    if not found:
        raise ValueError(f"no head is selected: write which heads of {anatomy.name}, such as 'l0h1 | l1h*'")
    for (_, name, layer), numbers in found.items():
        text = text_of(("z", name, layer), numbers)
        if name in TOWERS:
            raise ValueError(
                f"{text} reads no tokens: record its pattern with headgrid.record(model, {text!r}, points='pattern')"
            )
        if (uses := anatomy.stack(name).uses) > 1:
            raise ValueError(
                f"each layer of {anatomy.name} runs {uses} times in a pass, and every run has a pattern of its own: "
                f"record them with headgrid.record(model, {text!r}, points='pattern') and read cache.runs"
            )
    return found


@dataclass
class PatternReader:
    """Runs of a model that leave the patterns of some heads.

    Args:
        runs: the model and the task.
        numbers: the heads.
    """

    runs: Runs
    numbers: ActivationNumbers

    def __post_init__(self) -> None:
        self.readings = {name: reading_of(self.runs, name) for name in {where[1] for where in self.numbers}}

    def read(
        self, rows: slice, ids: Mapping[str, torch.Tensor] | None = None
    ) -> tuple[dict[Where, torch.Tensor], Visible]:
        """The patterns of some rows, `[rows, n, query, key]`, and which keys each query sees.

        Args:
            rows: which.
            ids: arguments of the model in the place of the task's own: other tokens at the same places.

        Raises:
            ValueError: when a pattern is not of the task's tokens.
        """
        given = self.runs.arguments(rows)
        given |= {name: one.to(self.runs.device) for name, one in (ids or {}).items()}
        points = list(self.numbers.items())
        points += [(("scores", *where[1:]), heads[:1]) for where, heads in self.numbers.items()]
        last = torch.full((rows.stop - rows.start, 1), self.runs.task.ids.shape[1] - 1)
        top = max(where[2] for where in self.numbers)
        with record(self.runs.model, " | ".join(text_of(*one) for one in points)) as cache, up_to(self.runs, top):
            self.runs.call(given, last)
        kept: dict[Where, torch.Tensor] = {}
        visible: Visible = {}
        for where in self.numbers:
            key = (where[1], where[2]) if where[1] else where[2]
            pattern = cache.of("pattern")[key].transpose(1, 2)
            scores = cache.of("scores")[key][:, :, 0]
            sees = scores > scores.amax(-1, keepdim=True) - MASKED
            reading = self.readings[where[1]]
            n = len(range(*rows.indices(self.runs.task.n_rows)))
            if len(pattern) != n or (reading.ids is not None and pattern.shape[2] != reading.ids.shape[1]):
                raise ValueError(
                    f"the pattern of {text_of(where, self.numbers[where])} is {list(pattern.shape)}, and the batch {n} "
                    f"rows of {self.runs.task.ids.shape[1]} tokens: this model reads other positions than tokens"
                )
            pattern = pattern.double() if pattern.dtype == torch.float64 else pattern.float()
            if reading.queries is not None:
                real = reading.queries[rows].bool().to(pattern.device)
                pattern = pattern.masked_fill(~real[:, None, :, None], 0)
                sees = sees & real[..., None]
            kept[where], visible[where[1], where[2]] = pattern.cpu(), sees.cpu()
        return kept, visible


def joined(parts: list[tuple[dict[Where, torch.Tensor], Visible]]) -> tuple[dict[Where, torch.Tensor], Visible]:
    """The patterns of batches as those of all rows; what layers see is kept once where it is the same."""
    kept = {where: torch.cat([one[0][where] for one in parts]) for where in parts[0][0]}
    visible: Visible = {}
    for key in parts[0][1]:
        whole = torch.cat([one[1][key] for one in parts])
        visible[key] = next((one for one in visible.values() if torch.equal(one, whole)), whole)
    return kept, visible


def shuffled(runs: Runs, stacks: Sequence[str], generator: torch.Generator) -> dict[str, torch.Tensor]:
    """The ids of every row in a random order, by argument; special tokens and what fills up the batch stay in place."""
    still = special_ids(runs)
    found: dict[str, torch.Tensor] = {}
    for reading in (reading_of(runs, name) for name in stacks):
        if reading.ids is None or reading.queries is None or reading.argument in found:
            continue
        ids = reading.ids.clone()
        moves = reading.queries.bool() & ~torch.isin(ids, still)
        for row, places in zip(ids, moves, strict=True):
            at = places.nonzero()[:, 0]
            row[at] = row[at[torch.randperm(len(at), generator=generator)]]
        found[reading.argument] = ids
    return found


def special_ids(runs: Runs) -> torch.Tensor:
    """The ids that mean a place rather than a word: what the tokenizer and the config call special."""
    found = set(getattr(runs.task.tokenizer, "all_special_ids", None) or ())
    config = getattr(runs.model, "config", None)
    for name, value in vars(config).items() if hasattr(config, "__dict__") else ():
        if name.endswith(("_token_id", "_token_index")):
            found |= {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)}
    return torch.tensor(sorted(found), dtype=torch.long)


def bytes_of(runs: Runs, numbers: ActivationNumbers, rows: int) -> int:
    """The bytes that the patterns of some rows take."""

    def length(name: str) -> int:
        ids = reading_of(runs, name).ids
        return runs.task.ids.shape[1] if ids is None else ids.shape[1]

    return sum(
        4 * rows * len(heads) * length(where[1]) * length("encoder" if where[1] == "cross" else where[1])
        for where, heads in numbers.items()
    )


def batch_rows(runs: Runs, numbers: ActivationNumbers, bound: int) -> int:
    """How many rows fit a bound on the bytes of the patterns of one pass."""
    return max(1, min(runs.batch_size, bound // max(1, bytes_of(runs, numbers, 1))))
