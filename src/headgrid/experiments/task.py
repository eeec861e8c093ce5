"""Tasks: what a model is asked, and how its answers are scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import torch
from jaxtyping import Float, Int

from headgrid.experiments.metrics import METRICS, TaskMetric, answer_metric, kl_metric, loss_metric
from headgrid.experiments.tokens import Batch, batch_of, ids_of_answers, misaligned, shown_tokens
from headgrid.hooks.positions import Positions, PositionsGiven
from headgrid.torch_state import shielded
from headgrid.utils import arguments

PaddingSide: TypeAlias = Literal["right", "left"]


class Task:
    """What a model is asked and how its answer is scored: inputs, perhaps corrupted ones, answers and a metric.

        task = hg.Task(tokenizer, ["when mary and john went to the store , john gave a drink to"],
                       answers=[" mary"], wrong=[" john"],
                       corrupted=["when mary and john went to the store , mary gave a drink to"])

    Args:
        tokenizer: what makes token ids of texts; None where all are token ids already.
        inputs: texts, one for each row; token ids `[rows, pos]`; or a mapping of the model's arguments, such as
            `{"input_ids": ids, "attention_mask": mask, "decoder_input_ids": ids}`.
        answers, wrong: the right answer to each row, and a wrong one: a text or a token id for each, or several in a
            list, which count alike. Of an answer that the tokenizer makes several tokens of, give the first.
        corrupted: other inputs, row by row as long as these, with which the answer would be another.
        metric: what is measured of each row, at the positions that are scored:

            - "logit_diff": the mean logit of its answers minus that of the wrong ones. The default with `wrong`.
            - "log_prob", "prob": the (log) probability of its answers, all together. "log_prob" is the default with
              `answers` alone.
            - "loss": the mean negative log probability of the tokens that come next, in nats. The default without.
            - "kl": how far the distribution of next tokens is from that of the untouched run on the same inputs:
              KL(clean || run), in nats.
            - a function of the model's output that gives one number for each row, such as the similarity of two
              embeddings.
        positions: where the output is read: a slice, indices, or some for each row (`headgrid.record`). The last token
            of each row by default, a masked language model's one mask token, and of "loss" every token.
        padding: on which side shorter rows are filled up, "right" or "left".
        name: what to call it.

    Attributes:
        inputs, corrupted: the arguments of the model, on the CPU; None without corrupted ones.
        answers, wrong: token ids `[rows, n]`, filled up with -1; None without.
        metric, name, tokenizer: as given.

    Raises:
        TypeError: for an argument of a wrong kind.
        ValueError: when rows, answers and corrupted inputs do not fit each other, an answer is several tokens, or a
            metric lacks what it scores. The first line says what was given and what is missing.
    """

    @shielded()
    def __init__(
        self,
        tokenizer: Any,
        inputs: Sequence[str] | torch.Tensor | Mapping[str, torch.Tensor],
        *,
        answers: Sequence[Any] | torch.Tensor | None = None,
        wrong: Sequence[Any] | torch.Tensor | None = None,
        corrupted: Sequence[str] | torch.Tensor | Mapping[str, torch.Tensor] | None = None,
        metric: TaskMetric | None = None,
        positions: PositionsGiven | None = None,
        padding: PaddingSide = "right",
        name: str = "",
    ) -> None:
        if tokenizer is not None and (isinstance(tokenizer, type) or not callable(tokenizer)):
            raise TypeError(f"tokenizer is one of transformers, or None, not {arguments.shown(tokenizer)}")
        self.tokenizer, self.name = tokenizer, arguments.text("name", name)
        side = arguments.one_of("padding", padding, ("right", "left"))
        batch = batch_of("inputs", inputs, tokenizer, side)
        other = None if corrupted is None else batch_of("corrupted", corrupted, tokenizer, side)
        if other is not None and (fault := misaligned(batch, other, tokenizer)):
            raise ValueError(fault)
        self._batch, self._other = batch, other
        self.inputs, self.corrupted = batch.arguments, None if other is None else other.arguments
        self.answers = None if answers is None else ids_of_answers("answers", answers, tokenizer, batch.rows)
        self.wrong = None if wrong is None else ids_of_answers("wrong", wrong, tokenizer, batch.rows)
        if self.answers is None and self.wrong is not None:
            raise ValueError("wrong answers are given without right ones: give answers too")
        default = "logit_diff" if self.wrong is not None else "log_prob" if self.answers is not None else "loss"
        self.metric: TaskMetric = self._checked(default if metric is None else metric)
        self._positions = None if positions is None else Positions(positions)
        self._at = self._scored()

    def _checked(self, metric: Any) -> TaskMetric:
        if callable(metric) and not isinstance(metric, type):
            found: Callable[[Any], torch.Tensor] = metric
            return found
        word = arguments.one_of("metric", metric, METRICS)
        if word in ("logit_diff", "log_prob", "prob") and self.answers is None:
            raise ValueError(f"the metric {word!r} scores answers, and there are none: give answers=[...]")
        if word == "logit_diff" and self.wrong is None:
            raise ValueError(
                "the metric 'logit_diff' compares with wrong answers, and there are none: give wrong=[...]"
            )
        if word == "loss" and self._batch.ids.shape[1] < 2:
            raise ValueError("the metric 'loss' scores the next token, and the inputs have one token alone")
        return word

    def _scored(self) -> torch.Tensor:
        """The positions that are scored, `[rows, k]`, with -1 where a row has fewer."""
        batch = self._batch
        n = batch.ids.shape[1]
        if self._positions is not None:
            found = self._positions.at(batch.ids[..., None], "the outputs").expand(batch.rows, -1)
        elif self.metric == "loss":
            found = torch.arange(n).expand(batch.rows, n)
        else:
            found = batch.last_position()
        if self.metric == "loss":
            real = batch.mask.bool()
            following = torch.cat([real[:, 1:], torch.zeros_like(real[:, :1])], 1) & real
            found = found.masked_fill(~following.gather(1, found), -1)
            if (found < 0).all(1).any():
                row = int((found < 0).all(1).nonzero()[0])
                raise ValueError(f"row {row} has no token after the positions that are scored: it has no loss")
        elif not batch.mask.bool().gather(1, found).all():
            row = int(batch.mask.bool().gather(1, found).logical_not().any(1).nonzero()[0])
            raise ValueError(f"row {row} is scored at a position that only fills up the batch")
        return found

    # ---- what it is

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return self._batch.rows

    @property
    def ids(self) -> Int[torch.Tensor, "rows pos"]:
        """The token ids, those of the decoder in an encoder-decoder, or of the padding where a row is shorter."""
        return self._batch.ids

    @property
    def mask(self) -> Int[torch.Tensor, "rows pos"]:
        """1 for each token, 0 for what only fills up the batch."""
        return self._batch.mask

    @property
    def scored(self) -> Int[torch.Tensor, "rows k"]:
        """The positions at which outputs are scored; -1 where a row has fewer than others."""
        return self._at

    @property
    def aligned(self) -> bool:
        """Whether all rows have one length, so that a position may mean the same in each."""
        return bool(self._batch.mask.all())

    @property
    def metric_name(self) -> str:
        """The metric in a word: its name, or that of the function."""
        return self.metric if isinstance(self.metric, str) else getattr(self.metric, "__name__", "a function")

    @property
    def fingerprint(self) -> str:
        """A short hash of all that decides a score: inputs, answers, metric and positions."""
        parts: list[Any] = [self.metric_name, self._at.tolist()]
        for given in (self.inputs, self.corrupted):
            parts.append(given and {key: value.tolist() for key, value in sorted(given.items())})
        parts += [None if one is None else one.tolist() for one in (self.answers, self.wrong)]
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]

    def tokens(self, row: int = 0) -> list[str]:
        """The tokens of a row in strings, without what fills it up."""
        row = arguments.integer("row", row, least=0, below=self.n_rows)
        return shown_tokens(self.ids[row][self.mask[row].bool()].tolist(), self.tokenizer)

    @shielded()
    def rows(self, which: slice | Sequence[int]) -> Task:
        """The task of some of its rows alone."""
        found = object.__new__(Task)
        index = torch.arange(self.n_rows)[which if isinstance(which, slice) else list(which)]
        found.tokenizer, found.name, found.metric, found._positions = self.tokenizer, self.name, self.metric, None
        found._batch = self._batch.take(index)
        found._other = None if self._other is None else self._other.take(index)
        found.inputs = found._batch.arguments
        found.corrupted = None if found._other is None else found._other.arguments
        found.answers = None if self.answers is None else self.answers[index]
        found.wrong = None if self.wrong is None else self.wrong[index]
        found._at = self._at[index]
        return found

    # ---- how it is scored

    @shielded(gradients=True)
    def score(self, output: Any, clean: Any = None, at: torch.Tensor | None = None) -> Float[torch.Tensor, " rows"]:
        """The metric of each row of a model's output.

        Args:
            output: what the model gave for `inputs` (or `corrupted`), or its logits `[rows, pos, d_vocab]`.
            clean: the same of the untouched run, for the metric "kl".
            at: the rows of `scored` as positions of these logits, where the model gave those of some positions alone.

        Raises:
            ValueError: when a function gives another shape than one number for each row, or NaN; when "kl" has nothing
                to compare with.
        """
        if not isinstance(self.metric, str):
            return self._by_function(self.metric(output))
        logits = logits_of(output)
        places = self._at if at is None else at
        if len(logits) != len(places):
            raise ValueError(f"the output has {len(logits)} rows, the task {len(places)}")
        read = logits.gather(1, places.clamp(min=0).to(logits.device)[..., None].expand(-1, -1, logits.shape[-1]))
        read = read.double() if logits.dtype == torch.float64 else read.float()
        counted = places.to(read.device) >= 0
        if self.metric == "loss":
            following = self.ids.gather(1, (self._at + 1).clamp(min=0)).to(read.device)
            return loss_metric(read, following, counted)
        if self.metric == "kl":
            if clean is None:
                raise ValueError("the metric 'kl' compares with the untouched run: give its output as clean")
            before = logits_of(clean).gather(
                1, places.clamp(min=0).to(logits.device)[..., None].expand(-1, -1, logits.shape[-1])
            )
            return kl_metric(before.to(read), read, counted)
        assert self.answers is not None
        return answer_metric(self.metric, read, self.answers.to(read.device), self.wrong)

    def _by_function(self, found: Any) -> torch.Tensor:
        name = self.metric_name
        if not isinstance(found, torch.Tensor) or list(found.shape) != [self.n_rows]:
            raise ValueError(
                f"the metric {name} gave {arguments.shown(found)}: it gives one number for each row, a tensor "
                f"[{self.n_rows}]; leave out what averages over the batch"
            )
        if not found.is_floating_point() or found.isnan().any():
            raise ValueError(f"the metric {name} gave NaN, or numbers of another kind: {arguments.shown(found)}")
        return found

    # ---- for people and files

    def __repr__(self) -> str:
        name = f"{self.name}: " if self.name else ""
        pairs = " with corrupted ones" if self.corrupted is not None else ""
        lines = [f"Task({name}{self.n_rows} rows of {self.ids.shape[1]} tokens{pairs}, metric {self.metric_name})"]
        for row in range(min(3, self.n_rows)):
            asked = "".join(f"  corrupted: {self._text(self._other, row)}\n" if self._other is not None else "")
            lines.append(
                f"  {self._text(self._batch, row)}{self._answer(row)}" + (f"\n  {asked.strip()}" if asked else "")
            )
        if self.n_rows > 3:
            lines.append(f"  ... and {self.n_rows - 3} more")
        return "\n".join(lines)

    def _text(self, batch: Batch, row: int) -> str:
        ids = batch.ids[row][batch.mask[row].bool()].tolist()
        words = shown_tokens(ids, self.tokenizer)
        return " ".join(words if len(words) <= 24 else [*words[:12], "...", *words[-8:]])

    def _answer(self, row: int) -> str:
        said = ""
        for label, given in ((" ->", self.answers), (" not", self.wrong)):
            if given is not None:
                ids = [one for one in given[row].tolist() if one >= 0]
                said += f"{label} {', '.join(shown_tokens(ids, self.tokenizer))}"
        return said

    def to_json(self) -> str:
        """This task as a line of JSON; `from_json` reads it back. A metric that is a function has no such line.

        Raises:
            ValueError: when the metric is a function.
        """
        if not isinstance(self.metric, str):
            raise ValueError(f"the metric {self.metric_name} is a function, which JSON does not hold")

        def listed(given: Mapping[str, torch.Tensor] | None) -> Any:
            return given and {key: value.tolist() for key, value in given.items()}

        return json.dumps({
            "task": self.name, "metric": self.metric, "inputs": listed(self.inputs),
            "corrupted": listed(self.corrupted),
            "answers": None if self.answers is None else self.answers.tolist(),
            "wrong": None if self.wrong is None else self.wrong.tolist(), "positions": self._at.tolist(),
            "fingerprint": self.fingerprint,
        })  # fmt: skip

    @classmethod
    @shielded()
    def from_json(cls, line: str, tokenizer: Any = None) -> Task:
        """The task that `to_json` wrote.

        Raises:
            ValueError: when the line is not of `to_json`, or was changed.
        """
        arguments.text("line", line, what="a line of JSON, as to_json writes it")
        try:
            read = json.loads(line)
            found = cls(
                tokenizer, _tensors(read["inputs"]), answers=_lists(read["answers"]), wrong=_lists(read["wrong"]),
                corrupted=None if read["corrupted"] is None else _tensors(read["corrupted"]), metric=read["metric"],
                name=read["task"],
            )  # fmt: skip
            found._at = torch.tensor(read["positions"])
            fits = found.fingerprint == read["fingerprint"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"this is no task as to_json writes it: {arguments.shown(line)}") from error
        if not fits:
            raise ValueError("this task was changed after to_json had written it: its fingerprint is another")
        return found

    # ---- tasks that are ready

    @classmethod
    @shielded()
    def repeated(cls, tokenizer: Any, n: int = 16, length: int = 24, *, seed: int = 0) -> Task:
        """The loss on the second copy of a block of random tokens, which induction heads predict.

        Args:
            tokenizer: of any model; its beginning-of-sequence token comes first where it has one.
            n: how many rows.
            length: the tokens of a block; all differ.
            seed: the same seed gives the same rows.
        """
        from headgrid.experiments.ready import repeated

        ids, first = repeated(tokenizer, n, length, seed)
        scored = slice(first + length, first + 2 * length - 1)
        return cls(tokenizer, ids, metric="loss", positions=scored, name="second copy of random tokens")

    @classmethod
    @shielded()
    def next_token(cls, tokenizer: Any, texts: Sequence[str]) -> Task:
        """The loss on every token of some texts but the first."""
        return cls(tokenizer, texts, metric="loss", name="next tokens")

    @classmethod
    @shielded()
    def names(cls, tokenizer: Any, n: int = 64, *, metric: TaskMetric = "logit_diff", seed: int = 0) -> Task:
        """The name task of the model that ships with headgrid: "when mary and john ..., john gave a drink to" -> mary.

        Corrupted, the other one gives, so that the other name is the answer.

        Args:
            tokenizer: that of `headgrid.demo()`.
            n: how many rows.
            metric: "logit_diff", "log_prob" or "prob", ...
            seed: the same seed gives the same rows.
        """
        from headgrid.experiments.ready import names

        ids, right, wrong, other = names(tokenizer, n, seed)
        return cls(tokenizer, ids, answers=right, wrong=wrong, corrupted=other, metric=metric, name="names")


def logits_of(output: Any) -> torch.Tensor:
    """The logits of a model's output `[rows, pos, d_vocab]`.

    Raises:
        ValueError: when it has none; then the metric is a function of the output.
    """
    found = output if isinstance(output, torch.Tensor) else getattr(output, "logits", None)
    if found is None and isinstance(output, tuple) and output and isinstance(output[0], torch.Tensor):
        found = output[0]
    if not isinstance(found, torch.Tensor) or found.ndim != 3:
        raise ValueError(
            f"{type(output).__name__} has no logits [rows, pos, d_vocab] to score: give a metric that is a function of "
            "the model's output"
        )
    return found


def _tensors(given: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    return {key: torch.tensor(value) for key, value in given.items()}


def _lists(given: Any) -> Any:
    return None if given is None else [[one for one in row if one >= 0] for row in given]
