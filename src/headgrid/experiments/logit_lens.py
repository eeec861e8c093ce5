"""The logit lens: what the model would say if it ended after a layer (nostalgebraist 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int

from headgrid.experiments.copies import CopiedBatch, once_each
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task, logits_of
from headgrid.experiments.tokens import shown_tokens
from headgrid.hooks.attached import Attached
from headgrid.hooks.found import tapped
from headgrid.hooks.taps import Act
from headgrid.selection.activations import Where
from headgrid.torch_state import shielded
from headgrid.utils import arguments


@dataclass(frozen=True, eq=False)
class LogitLens:
    """The residual stream at each stage, through the model's own last norm and unembedding.

    Attributes:
        stages: what is read: "embed", then each layer's output, "l0" and on; the last one is the model's own answer.
        task: whose positions and answers these are.
        top: the ids of the most probable tokens, `[stages, rows, k, top]`; k are the scored positions.
        top_probabilities: of these, `[stages, rows, k, top]`.
        logits, probabilities: of the right answers, their mean and their sum, `[stages, rows, k]`; None without.
        wrong_logits, wrong_probabilities: the same of the wrong answers.
        receipt: what this was computed from.
        notes: what a reader should know.
    """

    stages: tuple[str, ...]
    task: Task
    top: Int[torch.Tensor, "stages rows k top"]
    top_probabilities: Float64[torch.Tensor, "stages rows k top"]
    logits: Float64[torch.Tensor, "stages rows k"] | None
    probabilities: Float64[torch.Tensor, "stages rows k"] | None
    wrong_logits: Float64[torch.Tensor, "stages rows k"] | None
    wrong_probabilities: Float64[torch.Tensor, "stages rows k"] | None
    receipt: Receipt
    notes: tuple[str, ...] = ()

    def table(self, row: int = 0, position: int = 0) -> str:
        """A row as text: the top tokens after each layer, and the probability of the answer.

        Args:
            row: of the task.
            position: which of the scored positions.
        """
        row = arguments.integer("row", row, least=0, below=self.task.n_rows)
        position = arguments.integer("position", position, least=0, below=self.top.shape[2])
        lines = []
        for i, stage in enumerate(self.stages):
            words = shown_tokens(self.top[i, row, position].tolist(), self.task.tokenizer)
            shares = self.top_probabilities[i, row, position].tolist()
            said = "  ".join(f"{word} {share:.2f}" for word, share in zip(words, shares, strict=True))
            right = "" if self.probabilities is None else f"{float(self.probabilities[i, row, position]):8.3f}"
            lines.append(f"  {stage:<7}{right}  {said}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        right = "" if self.probabilities is None else "; the probability of the answers, then the top tokens"
        lines = [f"LogitLens of {self.task.n_rows} rows, the first one{right}", self.table()]
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])


@shielded()
def logit_lens(
    model: torch.nn.Module, task: Task, *, top: int = 5, stack: str | None = None, batch_size: int | None = None
) -> LogitLens:
    """What the model would say after each layer: its residual stream through its own last norm and unembedding.

    The model is run on from its end, so that whatever stands there (norms, caps, scales of logits) acts as ever, and
    the last stage has the model's own logits.

    Args:
        model: a transformers model or a TransformerLens bridge, in `eval()`.
        task: its inputs, answers and scored positions.
        top: how many tokens are kept at each stage.
        stack: the stack, of a model that has several; its main one by default.
        batch_size: how many rows one pass has.

    Raises:
        TypeError, ValueError: for arguments that do not fit; when layers are no modules of their own, or the output has
            no logits.
    """
    runs = Runs(model, task, batch_size=batch_size)
    top = arguments.integer("top", top, least=1, below=1 + max(1, runs.anatomy.d_vocab))
    found = runs.anatomy.main if stack is None else runs.anatomy.stack(stack)
    last = found.n_layers - 1
    kept: list[dict[str, torch.Tensor]] = []
    for rows in runs.batches():
        streams = _streams(runs, found.name, found.n_layers, rows)
        tap = tapped(runs.model, runs.anatomy, {("out", found.name, last): ()})[0]
        batch, stages = CopiedBatch(runs, "clean", rows), []
        for stream in streams:
            output, at = batch.output(1, [(tap, _giving(stream))], found.n_layers)
            stages.append(_read(runs.task_of(rows), logits_of(output), at, top))
        kept.append({name: torch.stack([one[name] for one in stages]) for name in stages[0]})
    whole = {name: torch.cat([one[name] for one in kept], 1) for name in kept[0]}
    return LogitLens(
        ("embed", *(f"{found.name} l{layer}".lstrip() for layer in range(found.n_layers))), task, whole["top"],
        whole["shares"], whole.get("right"), whole.get("right shares"), whole.get("wrong"), whole.get("wrong shares"),
        Receipt((runs.anatomy.name, runs.fingerprint), task.fingerprint, "logit lens", {"top": top}),
        ("The lens reads the stream of a layer as if no other came after it; the model itself never does.",),
    )  # fmt: skip


def _streams(runs: Runs, stack: str, n_layers: int, rows: slice) -> list[torch.Tensor]:
    """What enters the first layer, and what each layer gives."""
    seen: dict[Where, torch.Tensor] = {}

    def act(where: Where) -> Act:
        def keep(read: torch.Tensor) -> None:
            if where in seen:
                raise ValueError(f"layer {where[2]} runs several times in a pass: what it gives is not one stream")
            seen[where] = read.detach().clone()

        return keep

    wanted: dict[Where, tuple[int, ...]] = {("in", stack, 0): ()}
    wanted |= {("out", stack, layer): () for layer in range(n_layers)}
    acts = [(tap, act(tap.where)) for tap in tapped(runs.model, runs.anatomy, wanted)]
    with Attached(runs.model, lambda: once_each(acts, "recorded")):
        runs.call(runs.arguments(rows), runs.task.scored[rows])
    return [seen[where] for where in wanted]


def _giving(stream: torch.Tensor) -> Act:
    return lambda read: stream.to(read)


def _read(task: Task, logits: torch.Tensor, at: torch.Tensor | None, top: int) -> dict[str, torch.Tensor]:
    """The logits at the scored positions, of which top tokens and answers are kept."""
    where = (task.scored if at is None else at).clamp(min=0).to(logits.device)
    read = logits.gather(1, where[..., None].expand(-1, -1, logits.shape[-1])).cpu().double()
    read = read.masked_fill((task.scored < 0)[..., None], torch.nan)  # a row with fewer positions
    shares = read.softmax(-1)
    best = shares.topk(top)
    found = {"top": best.indices, "shares": best.values}
    for name, ids in (("right", task.answers), ("wrong", task.wrong)):
        if ids is not None:
            there = (ids >= 0)[:, None]
            index = ids.clamp(min=0)[:, None].expand(-1, read.shape[1], -1)
            found[name] = (read.gather(-1, index) * there).sum(-1) / there.sum(-1)
            found[f"{name} shares"] = (shares.gather(-1, index) * there).sum(-1)
    return found
