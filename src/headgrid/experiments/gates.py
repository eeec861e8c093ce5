"""Learned gates: one number for each head that its z is multiplied with, fitted to the task (Nam et al. 2025).

Causal head gating (arXiv:2505.13737): gates are fitted three times by gradient descent on the task's loss alone: as it
is, then from there with a push of all gates towards 1, and with one towards 0. A head whose gate stays open against the
push towards 0 is facilitating; one whose gate stays closed against the push towards 1 is interfering; one that goes
where it is pushed is irrelevant. Heads are judged together: of two that back each other up, one may be enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch
from jaxtyping import Float64

from headgrid.anatomy.anatomy import Stack
from headgrid.circuits.progress import Progress, steps
from headgrid.experiments.copies import CopiedBatch, copies_within
from headgrid.experiments.effects import Effects
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.replacing import Replacements
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.hooks.found import tapped
from headgrid.hooks.taps import Act, Tap
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers
from headgrid.torch_state import shielded
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

GateClass: TypeAlias = Literal["facilitating", "interfering", "irrelevant", "undecided"]

TRAVEL = 8.0
"""How far a gate's logit is pushed: from 4, where it is open (.98), to -4, where it is closed (.02)."""

STEPS, RATE = 100, 0.3
"""The steps of Adam of each fit, and their size in logits."""


@dataclass(frozen=True, eq=False, repr=False)
class Gates(Effects):
    """The gate of every head, fitted under a push towards 1 and one towards 0.

    Attributes:
        values: facilitation minus interference of each head, `[n_layers, n_heads]`, from -1 to 1: its gate under the
            push towards 0, minus what its gate lacks of 1 under the push towards 1. Near 0 it is irrelevant.
        opened: the gates under the push towards 1, G+, the mean over seeds.
        closed: the gates under the push towards 0, G-, the mean over seeds.
        each: those of each seed, `[seeds, 2, n_layers, n_heads]`, G+ first.
        losses: the loss of the task with these gates, `[seeds, 2]`, without the push; `clean` is that without gates.
    """

    opened: Float64[torch.Tensor, "n_layers n_heads"] = field(kw_only=True)
    closed: Float64[torch.Tensor, "n_layers n_heads"] = field(kw_only=True)
    each: Float64[torch.Tensor, "seeds 2 n_layers n_heads"] = field(kw_only=True)
    losses: Float64[torch.Tensor, "seeds 2"] = field(kw_only=True)

    @property
    def spread(self) -> Float64[torch.Tensor, "n_layers n_heads"]:
        """How far apart seeds are: the larger standard deviation of both gates; NaN of a single seed."""
        if len(self.each) < 2:
            return torch.full_like(self.values, torch.nan)
        return self.each.std(0).amax(0)

    def class_of(self, what: str | tuple[int, int]) -> GateClass:
        """What a head does to the task, by its gates.

        "facilitating" where G- is at least a half, "interfering" where G+ is below it, "irrelevant" where neither is;
        "undecided" where both are, or where seeds disagree.

        Raises:
            KeyError: when there is no such head.
        """
        self[what]
        layer, head = self._place(what)
        found = {gate_class(*pair) for pair in self.each[:, :, layer, head].tolist()}
        return found.pop() if len(found) == 1 else "undecided"

    def _place(self, what: str | tuple[int, int]) -> tuple[int, int]:
        if not isinstance(what, str):
            return what
        chosen = self.anatomy.select(what)
        return next(at for at in self._places() if self.anatomy.select(self.text(*at)) == chosen)

    @property
    def classes(self) -> dict[str, GateClass]:
        """The class of every head."""
        return {self.text(*at): self.class_of(at) for at in self._places()}

    def __repr__(self) -> str:
        lines = [
            f"Gates of each head, fitted to {self.metric}: {len(self.each)} seeds",
            f"  loss {self.clean:.4g} without gates, "
            f"{self.losses[:, 0].mean():.4g} under the push to 1, {self.losses[:, 1].mean():.4g} under the push to 0",
            f"  {'head':<8}{'G+':>6}{'G-':>7}{'spread':>8}",
        ]
        order = sorted(self._places(), key=lambda at: -abs(float(self.values[at])))
        for at in order[:12]:
            numbers = f"{self.opened[at]:6.2f}{self.closed[at]:7.2f}{self.spread[at]:8.2f}"
            lines.append(f"  {self.text(*at):<8}{numbers}   {self.class_of(at)}")
        if len(order) > 12:
            lines.append(f"  ... {len(order) - 12} more")
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each head: both gates, their spread over seeds, and its class.

        Raises:
            ImportError: when pandas is not installed.
        """
        return dataframe([
            {"part": self.text(*at), "layer": at[0], "head": at[1], "opened": float(self.opened[at]),
             "closed": float(self.closed[at]), "spread": float(self.spread[at]), "class": self.class_of(at)}
            for at in self._places()
        ])  # fmt: skip


def gate_class(opened: float, closed: float) -> GateClass:
    """What a head is whose gate is fitted to these two numbers under the push towards 1 and towards 0."""
    if opened < 0.5:
        return "undecided" if closed >= 0.5 else "interfering"
    return "facilitating" if closed >= 0.5 else "irrelevant"


def loss_of(task: Task) -> tuple[Task, float, str]:
    """The task with the metric that gates are fitted to, the sign that makes a loss of it, and what to say of it.

    Raises:
        ValueError: when the task has no loss.
    """
    if not isinstance(task.metric, str):
        raise ValueError(
            f"gates are fitted to a loss, and whether more of {task.metric_name} is better is not known: give the task "
            "a metric by name"
        )
    if task.metric in ("loss", "kl"):
        return task, 1.0, ""
    if task.metric == "log_prob":
        return task, -1.0, ""
    found = copy(task)
    found.metric = "log_prob"
    return found, -1.0, f"Fitted to the log probability of the answers, not to {task.metric}."


@dataclass
class GateFit:
    """Gates of all heads of some activations, many sets of them fitted at a time.

    Args:
        runs: the model and the task with its loss.
        wanted: the z of all heads.
        values: what a closed gate leaves in place of z: zeros or means.
        sign: 1 where the metric is a loss, -1 where more is better.
        memory: the bytes that one pass may take.
    """

    runs: Runs
    wanted: ActivationNumbers
    values: Any
    sign: float
    memory: int

    def fitted(
        self, logits: torch.Tensor, push: torch.Tensor, label: str, progress: Progress = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> torch.Tensor:  # fmt: skip
        """The logits of gates after the descent.

        Args:
            logits: where they begin, `[n_sets, n_heads]`, float32.
            push: how much each set is pushed: towards 1 where positive, `[n_sets]`, in the loss's units for the whole
                travel of one gate.
            label, progress, cancelled: see `headgrid.circuits.progress`.
        """
        with torch.enable_grad():
            given = logits.clone().requires_grad_()
        descent = torch.optim.Adam([given], lr=RATE)
        schedule = torch.optim.lr_scheduler.LinearLR(descent, 1.0, 0.05, STEPS)
        for _ in steps(range(STEPS), STEPS, label, progress, cancelled):
            inside = (given.detach().abs() < TRAVEL / 2).to(given)
            given.grad = self._loss(given)[1] - push[:, None].to(given) / TRAVEL * inside
            descent.step()
            schedule.step()
        return given.detach()

    def losses(self, logits: torch.Tensor) -> torch.Tensor:
        """The loss with these gates, `[n_sets]`."""
        return self._loss(logits)[0]

    def _loss(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The mean loss of each set, and the gradient at its logits."""
        total, slope = torch.zeros(len(logits), dtype=torch.float64), torch.zeros_like(logits)
        n, layers = self.runs.task.n_rows, max(1, self.runs.anatomy.main.n_layers)
        taps = tapped(self.runs.model, self.runs.anatomy, self.wanted)
        for rows in self.runs.batches():
            batch = CopiedBatch(self.runs, "clean", rows)
            most = copies_within(self.memory // layers, self.runs, batch.n_rows)
            for chunk in (slice(at, at + most) for at in range(0, len(logits), most)):
                with torch.enable_grad():
                    part = logits.detach()[chunk].requires_grad_()
                    gates = {where: part.sigmoid()[:, at] for where, at in _columns(self.wanted)}
                    acts = [(tap, self._act(tap, gates[tap.where], rows)) for tap in taps]
                    scores = self.sign * batch.scores(len(part), acts, 0).sum(1) / n
                    (found,) = torch.autograd.grad(scores.sum(), part)
                slope[chunk] += found
                total[chunk] += scores.detach()
        return total, slope

    def _act(self, tap: Tap, gates: torch.Tensor, rows: slice) -> Act:
        new: torch.Tensor = self.values[tap.where]

        def gated(read: torch.Tensor) -> torch.Tensor:
            each = read.reshape(len(gates), -1, *read.shape[1:])
            instead = (new[rows] if len(new) == self.runs.task.n_rows > 1 else new).to(read)
            gate = gates.to(read)[:, None, None, :, None]
            return (instead + gate * (each - instead)).reshape(read.shape)

        return gated


def fitted_gates(
    runs: Runs, stack: Stack, wanted: ActivationNumbers, replacements: Replacements, *, seeds: int, push: float,
    **watched: Any,
) -> Gates:  # fmt: skip
    """The gates of every head of a stack: see `headgrid.sweep`."""
    task, sign, note = loss_of(runs.task)
    of = Runs(runs.model, task, batch_size=runs.batch_size)
    fit = GateFit(of, wanted, replacements.values("zero"), sign, replacements.interventions.memory)
    n = sum(map(len, wanted.values()))
    first = torch.stack([
        torch.rand(n, generator=torch.Generator().manual_seed(replacements.seed + seed)) for seed in range(seeds)
    ]).clamp(0.02, 0.98).logit()  # fmt: skip
    first = fit.fitted(first, torch.zeros(seeds), "gates", **watched)
    pushes = torch.tensor([push, -push]).repeat(seeds)
    ends = fit.fitted(first.repeat_interleave(2, 0), pushes, "gates, pushed to 1 and to 0", **watched)
    each = _by_head(ends.sigmoid().double(), wanted, stack).reshape(seeds, 2, stack.n_layers, stack.n_heads)
    opened, closed = each.mean(0)
    untouched = sign * float(of.score().mean())
    found = Gates(
        closed - (1 - opened), runs.anatomy, stack, "head", runs.task.metric_name, untouched, None,
        Receipt((runs.anatomy.name, runs.fingerprint), runs.task.fingerprint, "gate", {
            "seeds": seeds, "push": push, "steps": STEPS, "seed": replacements.seed,
        }),
        opened=opened, closed=closed, each=each, losses=fit.losses(ends).reshape(seeds, 2),
    )  # fmt: skip
    said = [note] if note else []
    if unsure := [text for text, one in found.classes.items() if one == "undecided"]:
        said.append(
            f"Seeds disagree, or both pushes do, on {', '.join(unsure)}: of several that do the same, any may stay."
        )
    if seeds == 1:
        said.append("One seed: nothing is known of how much the fit depends on where it begins.")
    object.__setattr__(found, "notes", tuple(said))
    return found


def _by_head(values: torch.Tensor, wanted: ActivationNumbers, stack: Stack) -> torch.Tensor:
    found = torch.full((len(values), stack.n_layers, stack.n_heads), torch.nan, dtype=torch.float64)
    for where, at in _columns(wanted):
        found[:, where[2], list(wanted[where])] = values[:, at]
    return found


def _columns(wanted: ActivationNumbers) -> Iterator[tuple[Where, slice]]:
    """Which columns of all gates those of each layer are."""
    first = 0
    for where, numbers in wanted.items():
        yield where, slice(first, first + len(numbers))
        first += len(numbers)
