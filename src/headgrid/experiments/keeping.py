"""Circuits: sets of heads (and MLPs) that stay as they are while all others are replaced, many in one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from headgrid.anatomy.anatomy import Stack
from headgrid.circuits.progress import Progress
from headgrid.experiments.interventions import EffectMode, Interventions
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.replacing import MODES, Replacements, checked_modes
from headgrid.experiments.runs import Runs
from headgrid.experiments.singles import every
from headgrid.experiments.sweep import OVER_POSITIONS, checked_per_position, checked_reference_task
from headgrid.experiments.task import Task
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers, named, text_of
from headgrid.selection.selection import Selection
from headgrid.utils import arguments


@dataclass(frozen=True)
class Removable:
    """What is kept or replaced as one: a head, or all neurons of an MLP.

    Attributes:
        where, number: the activation, and which head of it; None for an MLP.
    """

    where: Where
    number: int | None

    def __str__(self) -> str:
        return text_of(self.where, () if self.number is None else (self.number,))


class Keeping:
    """Runs of a model on a task in which a circuit stays as it is and everything else is replaced.

    Args:
        runs: the model and the task.
        mode: what takes the place of the rest; of "patch", what the corrupted run has.
        mlps: whether MLPs are replaced too, each as one; they stay as they are otherwise.
        stack: the stack whose heads these are; the main one by default.
        reference, per_position, draws, seed: see `Replacements`.
        memory: the bytes that one pass may take.

    Attributes:
        units: the heads, then the MLPs: all that a circuit may have or lack.
        clean: the metric of the untouched run, of each row.
    """

    def __init__(
        self, runs: Runs, mode: Any, *, mlps: bool, stack: str | None, reference: Task | None,
        per_position: bool | None, draws: int, seed: int, memory: int,
    ) -> None:  # fmt: skip
        self.runs, self.mlps = runs, arguments.flag("mlps", mlps)
        self.mode: EffectMode = checked_modes(arguments.one_of("mode", mode, MODES), runs.task)[0]
        self.stack: Stack = runs.anatomy.main if stack is None else runs.anatomy.stack(stack)
        wanted = every(self.stack, "head")
        if not wanted:
            raise ValueError(f"{runs.anatomy.name} has no heads in its stack {self.stack.name or 'main'!r}")
        units = [Removable(where, number) for where, numbers in wanted.items() for number in numbers]
        if self.mlps:
            neurons = every(self.stack, "mlp")
            if not neurons:
                raise ValueError(f"{runs.anatomy.name} has no MLPs that could be replaced: leave out mlps=True")
            wanted = {**wanted, **neurons}
            units += [Removable(where, None) for where in neurons]
        self.units, self._wanted = tuple(units), wanted
        self._interventions = Interventions(runs, wanted, memory=arguments.integer("memory", memory, least=1))
        self._replacements = Replacements(
            self._interventions, reference=checked_reference_task(reference), direction="noise",
            per_position=checked_per_position(per_position),
            draws=arguments.integer("draws", draws, least=1, below=10_001, what="a number of draws"),
            seed=arguments.integer("seed", seed, least=0, below=2**63),
        )  # fmt: skip
        self._values = self._replacements.values(self.mode)
        self._known: dict[bytes, torch.Tensor] = {}
        self.spread = 0.0
        self.clean = runs.score()

    def scores(
        self, kept: torch.Tensor, *, progress: Progress = False, cancelled: Callable[[], bool] | None = None,
        label: str = "circuits",
    ) -> torch.Tensor:  # fmt: skip
        """The metric of each row where these circuits are all that stays, `[n_circuits, rows]`.

        Args:
            kept: which units each circuit has, `[n_circuits, n_units]`, booleans.
            progress, cancelled, label: see `headgrid.circuits.progress`.
        """
        keys = [one.numpy().tobytes() for one in kept]
        new = {key: one for key, one in zip(keys, kept, strict=True) if key not in self._known}
        if new:
            masks = self._masks(~torch.stack(list(new.values())))
            each = torch.stack([
                self._interventions.scores(masks, values, progress=progress, cancelled=cancelled, label=label)
                for values in self._replacements.drawn(self._values, self.mode)
            ])  # fmt: skip
            if len(each) > 1:
                self.spread = max(self.spread, float(each.mean(-1).std(0).max()))
            self._known.update(zip(new, each.mean(0), strict=True))
        return torch.stack([self._known[key] for key in keys])

    def _masks(self, replaced: torch.Tensor) -> dict[Where, torch.Tensor]:
        masks = {where: torch.zeros(len(replaced), len(ns), dtype=torch.bool) for where, ns in self._wanted.items()}
        for i, unit in enumerate(self.units):
            at = slice(None) if unit.number is None else self._wanted[unit.where].index(unit.number)
            masks[unit.where][:, at] = replaced[:, i, None] if unit.number is None else replaced[:, i]
        return masks

    # ---- circuits in words

    def circuit(self, selection: Any) -> torch.Tensor:
        """Which units a selection of heads (and whole MLPs) is, `[n_units]`.

        Raises:
            SelectionError, TypeError: when it selects nothing of this model.
            ValueError: when it has what is not replaced here, such as an MLP or a head of another stack.
        """
        given: ActivationNumbers = named(self.runs.anatomy, selection)
        found = torch.zeros(len(self.units), dtype=torch.bool)
        for where, numbers in given.items():
            text = text_of(where, numbers)
            if where[0] == "mlp" and not self.mlps:
                raise ValueError(f"{text} is in the circuit, and MLPs stay as they are: give mlps=True, or heads alone")
            if where[0] not in ("z", "mlp") or where[1] != self.stack.name or where not in self._wanted:
                raise ValueError(
                    f"{text} is none of what is kept or replaced: a circuit is heads of the stack "
                    f"{self.stack.name or 'main'!r}, such as l1h2, and with mlps=True MLPs, such as 'l0 mlp'"
                )
            if where[0] == "mlp" and numbers != self._wanted[where]:
                raise ValueError(f"{len(numbers)} neurons of {text} are in the circuit: an MLP is kept whole, or not")
            for i, unit in enumerate(self.units):
                found[i] |= unit.where == where and (unit.number is None or unit.number in numbers)
        return found

    def selection(self, kept: torch.Tensor) -> Selection:
        """A circuit as a selection."""
        return self.runs.anatomy.select([str(unit) for unit, there in zip(self.units, kept, strict=True) if there])

    # ---- what a reader is told

    @property
    def rest(self) -> str:
        """What is done with the rest, in a few words."""
        if self.mode == "mean":
            return "mean of each position" if self._replacements.per_position else "mean over positions"
        return {"zero": "zero", "resample": "what other rows have", "patch": "what the corrupted run has"}[self.mode]

    def receipt(self, method: str, **options: Any) -> Receipt:
        """What results of these runs were computed from."""
        given = self._replacements
        reference = None if given.reference is None else given.reference.task.fingerprint
        return Receipt((self.runs.anatomy.name, self.runs.fingerprint), self.runs.task.fingerprint, method, {
            "rest": self.mode, "mlps": self.mlps, "reference": reference,
            "per_position": given.per_position if self.mode == "mean" else None,
            "draws": given.draws if self.mode == "resample" else None, "seed": given.seed, **options,
        })  # fmt: skip

    def notes(self) -> list[str]:
        """What may mislead of these runs."""
        found = []
        if self.runs.task.n_rows == 1:
            found.append("The task has one row: there is no interval.")
        if self.mode == "mean" and not self._replacements.per_position:
            found.append(OVER_POSITIONS)
        if self.mode == "resample":
            found.append(f"Means over {self._replacements.draws} draws; single ones spread by up to {self.spread:.3g}.")
        others = [stack.name for stack in self.runs.anatomy.stacks if stack.n_heads and stack is not self.stack]
        if others:
            found.append(f"Heads of other stacks stay as they are: {', '.join(others)}.")
        if self.mlps and (lacking := self._without_mlp()):
            found.append(f"Layers without an MLP that could be replaced stay as they are: {', '.join(lacking)}.")
        return found

    def _without_mlp(self) -> Sequence[str]:
        there = {unit.where[2] for unit in self.units if unit.number is None}
        return [f"l{layer}" for layer in range(self.stack.n_layers) if layer not in there]
