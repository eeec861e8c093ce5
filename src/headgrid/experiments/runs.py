"""Runs of a model on a task: in batches, shielded from the caller's settings, scored row by row."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, TypeAlias

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.experiments.task import Task, logits_of
from headgrid.hooks import Cache, record
from headgrid.models import dissect
from headgrid.models.wrappers import unwrap
from headgrid.torch_state import shielded
from headgrid.utils import arguments

Which: TypeAlias = Literal["clean", "corrupted"]
Context: TypeAlias = Callable[[slice], AbstractContextManager[Any]]
"""A context for the rows of one batch."""

BATCH_BYTES = 2**28
"""What the logits and the stream of one batch may take, unless a batch size is given."""


class Runs:
    """A model on a task.

    Args:
        model: a transformers model or a TransformerLens bridge, in `eval()`.
        task: what it is asked.
        batch_size: how many rows a forward pass has; by default as many as fit a bound on memory.

    Attributes:
        model, task, anatomy, batch_size: as given, or found.
        shortcuts: class of a module, and number of rows that it was tried on -> whether a pass of copies is the same
            with what is left out there.

    Raises:
        TypeError: for an argument of a wrong kind.
        ValueError: for a model in training mode with dropout; for a task whose tokens the model does not have.
        AnatomyError: when the model cannot be placed.
    """

    def __init__(self, model: torch.nn.Module, task: Task, *, batch_size: int | None = None) -> None:
        self.model = arguments.model(model)
        self.task = arguments.of_kind("task", task, Task, "a headgrid.Task")
        self.anatomy: Anatomy = dissect(model)
        refuse_dropout(model)
        self._refuse_other_tokens()
        self._inner = unwrap(model).model or model
        self._accepts = set(inspect.signature(self._inner.forward).parameters)
        n = task.n_rows
        if batch_size is None:
            positions = task.ids.shape[1]
            each = 4 * positions * max(self.anatomy.d_vocab, 8 * self.anatomy.d_model, 1)
            batch_size = max(1, min(n, BATCH_BYTES // each))
        self.batch_size = arguments.integer("batch_size", batch_size, least=1, what="a number of rows")
        self.shortcuts: dict[tuple[type, int], bool] = {}
        self._scores: dict[Which, torch.Tensor] = {}
        self._some: dict[Which, torch.Tensor] = {}

    def _refuse_other_tokens(self) -> None:
        most, known = int(self.task.ids.max()), self.anatomy.d_vocab
        for ids in (self.task.answers, self.task.wrong):
            most = max(most, int(ids.max()) if ids is not None else 0)
        if known and most >= known:
            raise ValueError(
                f"the task has the token {most}, and {self.anatomy.name} knows {known}: it was made with "
                "the tokenizer of another model"
            )

    @property
    def device(self) -> torch.device:
        """Where the model takes its inputs."""
        return next(iter(self.model.parameters())).device

    def batches(self) -> Iterator[slice]:
        """The rows of each forward pass."""
        for first in range(0, self.task.n_rows, self.batch_size):
            yield slice(first, min(first + self.batch_size, self.task.n_rows))

    def arguments(self, rows: slice, which: Which = "clean") -> dict[str, torch.Tensor]:
        """The arguments of a forward pass on some rows, on the model's device."""
        given = self.task.inputs if which == "clean" else self.task.corrupted
        if given is None:
            raise ValueError("the task has no corrupted inputs: give Task(..., corrupted=[...])")
        n = self.task.n_rows
        renamed = {"input_ids": "input"} if "input" in self._accepts - {"input_ids"} else {}  # a bridge's
        found = {
            renamed.get(key, key): (value[rows] if value.ndim and len(value) == n else value).to(self.device)
            for key, value in given.items()
            if key != "position_ids" or "position_ids" in self._accepts
        }
        config = getattr(self._inner, "config", None)
        if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" not in found:
            raise ValueError(
                f"{self.anatomy.name} has a decoder: give the task a mapping with input_ids and decoder_input_ids"
            )
        if "use_cache" in self._accepts:
            found["use_cache"] = False  # type: ignore[assignment]
        return found

    def call(self, given: dict[str, Any], at: torch.Tensor | None = None) -> tuple[Any, torch.Tensor | None]:
        """The output of a forward pass, with logits at the scored positions alone where the model can do that.

        Args:
            given: its arguments.
            at: the scored positions of its rows; None for the whole output.

        Returns:
            The output, and the scored positions as positions of its logits.
        """
        wanted = None if at is None else self.kept_positions(at)
        if at is None or wanted is None:
            return self.model(**given), at
        places = torch.searchsorted(wanted, at.clamp(min=0)).masked_fill(at < 0, -1)
        return self.model(**given, logits_to_keep=wanted.to(self.device)), places

    def kept_positions(self, at: torch.Tensor) -> torch.Tensor | None:
        """The positions of these rows that are scored, where the model gives logits at these alone; None for all."""
        if "logits_to_keep" not in self._accepts or not isinstance(self.task.metric, str):
            return None
        wanted = torch.unique(at[at >= 0])
        return None if len(wanted) == self.task.ids.shape[1] else wanted

    @shielded()
    def score(self, which: Which = "clean", context: Context | None = None) -> torch.Tensor:
        """The metric of each row, `[rows]`, float64 on the CPU.

        Args:
            which: which inputs.
            context: entered for each batch, such as an ablation; None for the model as it is, which is kept.
        """
        if context is None and which in self._scores:
            return self._scores[which]
        found = []
        for rows in self.batches():
            task = self.task_of(rows)
            given = self.arguments(rows, which)
            clean = self.untouched(rows) if self.task.metric == "kl" else None
            with nullcontext() if context is None else context(rows):
                output, at = self.call(given, task.scored)
            found.append(task.score(output, clean, at).detach().cpu().double())
        whole = torch.cat(found)
        self._refuse_infinite(whole)
        if context is None:
            self._scores[which] = whole
        return whole

    def task_of(self, rows: slice) -> Task:
        """The task of the rows of one batch."""
        return self.task if self.batch_size >= self.task.n_rows else self.task.rows(rows)

    def run(self, rows: slice, which: Which) -> None:
        """A forward pass on some rows, for what is hooked to the model; its scores are kept where it is untouched."""
        output, at = self.call(self.arguments(rows, which), self.task.scored[rows])
        if which not in self._scores and self.task.metric != "kl":
            self.keep_score(which, rows, self.task_of(rows).score(output, None, at))

    def keep_score(self, which: Which, rows: slice, score: torch.Tensor) -> None:
        """The metric of some rows of an untouched run, so that it need not be run for it again."""
        kept = self._some.setdefault(which, torch.full((self.task.n_rows,), torch.nan, dtype=torch.float64))
        kept[rows] = score.detach().cpu().double()
        if not kept.isnan().any():
            self._refuse_infinite(kept)
            self._scores.setdefault(which, kept)

    def _refuse_infinite(self, scores: torch.Tensor) -> None:
        if not scores.isfinite().all():
            row = int(scores.isfinite().logical_not().nonzero()[0])
            raise ValueError(
                f"the metric {self.task.metric_name} of row {row} is {float(scores[row])}: the model gives none"
            )

    @property
    def logits_width(self) -> int:
        """How many logits a pass gives at a position, on average over positions."""
        n = self.task.ids.shape[1]
        kept = n
        if "logits_to_keep" in self._accepts and isinstance(self.task.metric, str):
            kept = len(torch.unique(self.task.scored[self.task.scored >= 0]))
        return max(1, self.anatomy.d_vocab * kept // n)

    def parts(self, output: Any, n: int) -> list[Any]:
        """The output of n copies of a batch, copy by copy."""
        if isinstance(self.task.metric, str):
            return list(logits_of(output).chunk(n))
        return [_part(output, i, n) for i in range(n)]

    def untouched(self, rows: slice) -> Any:
        """The untouched output on the same rows, for the metric that compares with it."""
        return self.call(self.arguments(rows), self.task.scored[rows])[0]

    @shielded()
    def recorded(self, selection: Any, rows: slice, which: Which = "clean", **options: Any) -> Cache:
        """Activations of some rows, as `headgrid.record` takes them."""
        with record(self.model, selection, **options) as cache:
            self.call(self.arguments(rows, which), self.task.scored[rows])
        return cache

    @property
    def fingerprint(self) -> str:
        """A short hash of the model: its anatomy, and sums over its parameters."""
        return model_fingerprint(self.model, self.anatomy)


def _part(output: Any, i: int, n: int) -> Any:
    """One of n copies in an output: every tensor in it cut along its first axis."""
    if isinstance(output, torch.Tensor):
        return output.chunk(n)[i] if output.ndim and len(output) % n == 0 else output
    if isinstance(output, Mapping):  # an output of transformers
        return type(output)(**{key: _part(value, i, n) for key, value in output.items()})
    return type(output)(_part(one, i, n) for one in output) if type(output) in (tuple, list) else output


@shielded()
def model_fingerprint(model: torch.nn.Module, anatomy: Anatomy) -> str:
    """A short hash of a model's anatomy and weights: of the sums of their bits along either side of each matrix."""
    found = hashlib.sha256(anatomy.fingerprint.encode())
    for name, one in model.named_parameters():
        if not one.is_meta:
            found.update(name.encode())
            for sums in _sums_of_bits(one.detach()):
                found.update(sums.cpu().numpy().tobytes())
    return found.hexdigest()[:16]


def _sums_of_bits(tensor: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Sums of whole numbers, which are the same in any order, of the rows and of the columns of a matrix."""
    flat = tensor.contiguous().reshape(len(tensor) if tensor.ndim > 1 else 1, -1).view(torch.uint8)
    if short := -flat.shape[1] % 8:
        flat = torch.nn.functional.pad(flat, (0, short))
    words = flat.view(torch.int64)
    return words.sum(0), words.sum(1)


def refuse_dropout(model: torch.nn.Module) -> None:
    """
    Raises:
        ValueError: when dropout would make every number another one at each call.
    """
    for name, module in model.named_modules():
        if module.training and isinstance(module, torch.nn.Dropout) and module.p > 0:
            raise ValueError(
                f"{name or 'the model'} drops activations out, so results would be random: call model.eval()"
            )
