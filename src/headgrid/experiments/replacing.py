"""What takes the place of activations in an experiment: zeros, means, other rows, another run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import torch

from headgrid.experiments.interventions import EffectMode, Interventions, Values, mean_of, orders
from headgrid.experiments.runs import Runs, Which
from headgrid.experiments.task import Task
from headgrid.selection.points import OF_HEADS
from headgrid.utils import arguments

MODES: tuple[EffectMode, ...] = get_args(EffectMode)

_WHY = {
    "mean": "means of single positions",
    "resample": "what other rows have at the same position",
}


class Replacements:
    """The values of each mode, recorded once.

    Args:
        interventions: the model, the task and what may be replaced.
        reference: a task whose inputs means and resampled rows are of; the task's own without one.
        per_position: whether a mean is of each position; by default where all rows have one length.
        direction: of "patch": "denoise" puts the clean run's values into the corrupted run, "noise" the other way.
        draws, seed: of "resample".

    Raises:
        ValueError: when a mode cannot be had of these inputs.
    """

    def __init__(
        self, interventions: Interventions, *, reference: Task | None = None, per_position: bool | None = None,
        direction: str = "denoise", draws: int = 20, seed: int = 0,
    ) -> None:  # fmt: skip
        runs = interventions.runs
        self.interventions, self.direction = interventions, direction
        self.draws, self.seed = draws, seed
        self.reference = None if reference is None else Runs(runs.model, reference, batch_size=runs.batch_size)
        aligned = (runs.task if reference is None else reference).aligned
        self.per_position = aligned if per_position is None else per_position
        self._kept: dict[str, dict[Any, torch.Tensor]] = {}

    def like(self, interventions: Interventions) -> Replacements:
        """The same of other activations."""
        return Replacements(
            interventions, reference=None if self.reference is None else self.reference.task,
            per_position=self.per_position, direction=self.direction, draws=self.draws, seed=self.seed,
        )  # fmt: skip

    def base(self, mode: EffectMode) -> Which:
        """The inputs that the model is run on in a mode."""
        return "corrupted" if mode == "patch" and self.direction == "denoise" else "clean"

    def drawn(self, values: Values, mode: EffectMode) -> Iterator[Values]:
        """The values of each draw: one, but for "resample"."""
        n = self.interventions.runs.task.n_rows
        for draw in range(self.draws if mode == "resample" else 1):
            yield {
                where: one[draw * n : (draw + 1) * n] if mode == "resample" else one for where, one in values.items()
            }

    def values(self, mode: EffectMode) -> Values:
        """What takes the place of the wanted activations; of "resample" for one draw after another."""
        if mode == "zero":
            return {where: torch.zeros(1, 1, 1, *[1] * (one - 1)) for where, one in self._axes().items()}
        if mode == "patch":
            return self._recorded("clean" if self.direction == "denoise" else "corrupted")
        source = self._recorded("clean") if self.reference is None else self._recorded("reference")
        task = self.interventions.runs.task if self.reference is None else self.reference.task
        if mode == "mean":
            if self.per_position and not task.aligned:
                self._refuse("mean", task)
            mask = task.mask
            return {where: mean_of(one, mask, self.per_position) for where, one in source.items()}
        if not task.aligned or task.ids.shape != self.interventions.runs.task.ids.shape:
            self._refuse("resample", task)
        order = orders(task.n_rows, self.draws, self.seed)
        return {where: one[order.flatten().to(one.device)] for where, one in source.items()}

    def _refuse(self, mode: str, task: Task) -> None:
        raise ValueError(
            f"the mode {mode!r} takes {_WHY[mode]}, and the rows of {task.name or 'the task'} differ in length: "
            "give rows of one length, or a reference of as many rows and positions"
            + (", or per_position=False" * (mode == "mean"))
        )

    def _axes(self) -> dict[Any, int]:
        return {where: 2 if where[0] in OF_HEADS else 1 for where in self.interventions.wanted}

    def _recorded(self, which: str) -> dict[Any, torch.Tensor]:
        if which not in self._kept:
            if which == "reference":
                assert self.reference is not None
                other = Interventions(self.reference, self.interventions.wanted)
                self._kept[which] = other.recorded("clean")
            else:
                self._kept[which] = self.interventions.recorded("clean" if which == "clean" else "corrupted")
        return self._kept[which]


def checked_modes(given: Any, task: Task) -> tuple[EffectMode, ...]:
    """The modes that an argument names; all that the task allows for None.

    Raises:
        ValueError: for another word, and for "patch" without corrupted inputs.
    """
    if given is None:
        many = task.aligned and task.n_rows > 1
        return tuple(
            mode for mode in MODES if not (mode == "patch" and task.corrupted is None) and (mode != "resample" or many)
        )
    modes = arguments.some_of("modes", given, MODES)
    if "patch" in modes and task.corrupted is None:
        raise ValueError("the mode 'patch' takes values of another run: give Task(..., corrupted=[...])")
    return modes
