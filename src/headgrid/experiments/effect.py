"""The effect of one set of heads and neurons on a task, in several modes, beside random sets: `effect`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import comb, prod
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float64

from headgrid.anatomy.stacks import count_of
from headgrid.circuits.progress import STOP, Progress
from headgrid.experiments.effects import interval
from headgrid.experiments.interventions import BUDGET, EffectMode, Interventions
from headgrid.experiments.metrics import UNITS
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.replacing import Replacements, checked_modes
from headgrid.experiments.runs import Runs
from headgrid.experiments.sweep import DIRECTIONS, PatchDirection, checked_per_position, checked_reference_task
from headgrid.experiments.task import Task
from headgrid.hooks.positions import PositionsGiven, checked_positions
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers, named
from headgrid.selection.selection import Selectable, Selection
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class EffectOfMode:
    """The effect of a set in one mode.

    Attributes:
        mode: what took the place of its activations.
        rows: the metric after minus the metric before, of each row; of "resample" the mean over draws.
        mean, low, high: their mean, and the bounds of its interval over rows.
        spread: how far single draws of "resample" lie from their mean, as a standard deviation; else None.
        controls: the mean of each random set, `[n_controls]`; empty without.
    """

    mode: EffectMode
    rows: Float64[torch.Tensor, " rows"]
    mean: float
    low: float
    high: float
    spread: float | None
    controls: Float64[torch.Tensor, " n_controls"]

    @property
    def beyond(self) -> float | None:
        """The part of the random sets whose effect is smaller in size; None without any."""
        return float((self.controls.abs() < abs(self.mean)).double().mean()) if len(self.controls) else None


@dataclass(frozen=True, eq=False)
class Effect(Mapping[str, EffectOfMode]):
    """The effect of one set of heads and neurons on a task: a mapping from mode to `EffectOfMode`.

    An effect is the metric after the intervention minus the metric before it, in the metric's units. "patch" begins at
    the corrupted run, or at the clean one in the direction "noise"; the other modes at the clean run.

    Attributes:
        selection: the set.
        modes: mode -> its effect.
        metric: the name of the metric.
        clean, corrupted: the metric of the untouched runs, the mean over rows; None without corrupted inputs.
        n_rows: the number of rows.
        receipt: what this was computed from.
        notes: what a reader should know.
    """

    selection: Selection
    modes: Mapping[EffectMode, EffectOfMode]
    metric: str
    clean: float
    corrupted: float | None
    n_rows: int
    receipt: Receipt
    notes: tuple[str, ...] = field(default=())

    def __getitem__(self, mode: str) -> EffectOfMode:
        for name, found in self.modes.items():
            if name == mode:
                return found
        raise KeyError(f"{arguments.shown(mode)} is not one of these modes: {', '.join(self.modes)}")

    def __iter__(self) -> Any:
        return iter(self.modes)

    def __len__(self) -> int:
        return len(self.modes)

    @property
    def normalized(self) -> dict[str, float]:
        """Mode -> the effect as a part of the difference between the clean and the corrupted run.

        Raises:
            ValueError: when there are no corrupted inputs, or both runs score the same.
        """
        if self.corrupted is None or self.clean == self.corrupted:
            raise ValueError("effects are normalized by clean minus corrupted, and the task has no such difference")
        return {mode: one.mean / (self.clean - self.corrupted) for mode, one in self.modes.items()}

    def __repr__(self) -> str:
        unit = UNITS.get(self.metric, "")
        runs = f"clean {self.clean:.4g}" + ("" if self.corrupted is None else f", corrupted {self.corrupted:.4g}")
        lines = [
            f"Effect of {self.selection} on {self.metric}{f', {unit}' if unit else ''}: {self.n_rows} rows; {runs}"
        ]
        n = max((len(one.controls) for one in self.modes.values()), default=0)
        head = f"  {'mode':<10}{'effect':>10}   {'interval':<22}"
        lines.append(head + (f"{count_of(n, 'random set')}: middle 95 %     larger than" if n else "").rstrip())
        for mode, one in self.modes.items():
            line = f"  {mode:<10}{one.mean:+10.4g}   {f'[{one.low:+.4g}, {one.high:+.4g}]':<22}"
            if len(one.controls):
                ends = np.quantile(one.controls.numpy(), (0.025, 0.975))
                line += f"{f'[{ends[0]:+.4g}, {ends[1]:+.4g}]':<34}{one.beyond:.0%} of them"
            lines.append(line.rstrip())
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each mode: its effect, interval, spread, and where it stands among the random sets.

        Raises:
            ImportError: when pandas is not installed.
        """
        return dataframe([
            {"mode": mode, "effect": one.mean, "low": one.low, "high": one.high, "spread": one.spread,
             "control_median": float(one.controls.median()) if len(one.controls) else None, "beyond": one.beyond}
            for mode, one in self.modes.items()
        ])  # fmt: skip


@shielded()
def effect(
    model: torch.nn.Module, task: Task, selection: Selectable, modes: str | Sequence[str] | None = None, *,
    controls: int = 0, reference: Task | None = None, per_position: bool | None = None,
    direction: PatchDirection = "denoise", positions: PositionsGiven | None = None, draws: int = 20, seed: int = 0,
    batch_size: int | None = None, memory: int = BUDGET, progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> Effect:  # fmt: skip
    """The effect of a set of heads and neurons on a task, all replaced together, beside random sets of as many.

    Args:
        model: a transformers model or a TransformerLens bridge, in `eval()`.
        task: what it is asked.
        selection: heads and neurons, as in `headgrid.ablate`.
        modes: what takes the place of their activations: "zero", "mean", "resample", "patch", or several; all that the
            task allows by default. They can disagree, in sign too: the result says so.
        controls: how many random sets of as many heads, and neurons, in the same layers are measured beside it. Where
            there are fewer other sets, all of them are.
        reference: a task whose inputs means and resampled rows are of; the task's own by default.
        per_position: whether a mean is of each position; by default where all rows have one length.
        direction: of "patch": "denoise" puts the clean run's values into the corrupted run, "noise" the other way.
        positions: at which positions, as in `headgrid.record`; everywhere by default.
        draws, seed: of "resample", and of the random sets.
        batch_size, memory: how many rows one pass has, and the bytes that its activations may take.
        progress, cancelled: see `headgrid.scan`.

    Returns:
        An `Effect`.

    Raises:
        TypeError, ValueError: for arguments that do not fit the model or each other; for an empty selection.
        SelectionError: when a text does not parse.
        Cancelled: when `cancelled` says so.
    """
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    direction = arguments.one_of("direction", direction, DIRECTIONS)
    controls = arguments.integer("controls", controls, least=0, below=10_001, what="a number of random sets")
    seed = arguments.integer("seed", seed, least=0, below=2**63)
    draws = arguments.integer("draws", draws, least=1, below=10_001, what="a number of draws")
    runs = Runs(model, task, batch_size=batch_size)
    chosen = runs.anatomy.select(selection)
    numbers = named(runs.anatomy, chosen)
    if not numbers:
        raise ValueError(f"{arguments.shown(selection)} selects no head or neuron: there is no effect of nothing")
    of = checked_modes(modes, task)
    pool = {where: _all(runs, where) for where in numbers}
    sets = random_sets(numbers, pool, controls, seed)
    every = [{where: frozenset(one) for where, one in numbers.items()}, *sets]
    interventions = Interventions(
        runs, pool, positions=checked_positions(positions), memory=arguments.integer("memory", memory, least=1)
    )
    replacements = Replacements(
        interventions, reference=checked_reference_task(reference), per_position=checked_per_position(per_position),
        direction=direction, draws=draws, seed=seed,
    )  # fmt: skip
    masks = {
        where: torch.stack([torch.tensor([n in one[where] for n in pool[where]]) for one in every]) for where in numbers
    }
    found: dict[EffectMode, EffectOfMode] = {}
    for mode in of:
        base, values = runs.score(replacements.base(mode)), replacements.values(mode)
        each = torch.stack([
            interventions.scores(masks, some, replacements.base(mode), progress=progress, cancelled=cancelled,
                                 label=f"{mode}: the set and {len(sets)} random ones")
            for some in replacements.drawn(values, mode)
        ]) - base  # fmt: skip
        rows = each[:, 0].mean(0)
        low, high = interval(rows, seed=seed)
        spread = float(each[:, 0].mean(-1).std()) if len(each) > 1 else None
        found[mode] = EffectOfMode(mode, rows, float(rows.mean()), float(low), float(high), spread,
                                 each[:, 1:].mean((0, 2)))  # fmt: skip
    return Effect(
        chosen, found, task.metric_name, float(runs.score().mean()),
        None if task.corrupted is None else float(runs.score("corrupted").mean()), task.n_rows,
        Receipt((runs.anatomy.name, runs.fingerprint), task.fingerprint, "effect of a set", {
            "selection": str(chosen), "modes": of, "controls": len(sets), "direction": direction, "draws": draws,
            "per_position": replacements.per_position, "reference": reference and reference.fingerprint, "seed": seed,
        }),
        _notes(task, found, controls, len(sets), numbers, pool),
    )  # fmt: skip


def _all(runs: Runs, where: Where) -> tuple[int, ...]:
    """Every head or neuron that there is where some are chosen."""
    kind, name, layer = where
    key = f"{name}:" if name else ""
    there = runs.anatomy.exists[key + ("W_O" if kind == "z" else "W_out")]
    return tuple(there[layer].nonzero()[0].tolist())


def random_sets(
    chosen: ActivationNumbers, pool: ActivationNumbers, n: int, seed: int
) -> list[dict[Where, frozenset[int]]]:
    """Random sets of as many heads and neurons in the same layers, none twice, and none the chosen one.

    Args:
        chosen: the set.
        pool: everything that a set may have.
        n: how many; where there are no more than these, every one.
        seed: of the draws.
    """
    there = prod(comb(len(pool[where]), len(numbers)) for where, numbers in chosen.items()) - 1
    own = tuple(sorted((where, frozenset(numbers)) for where, numbers in chosen.items()))
    random = np.random.default_rng(seed)
    found: dict[Any, dict[Where, frozenset[int]]] = {}
    while len(found) < min(n, there):
        drawn = tuple(sorted(
            (where, frozenset(map(int, random.choice(pool[where], len(numbers), replace=False))))
            for where, numbers in chosen.items()
        ))  # fmt: skip
        if drawn != own:
            found[drawn] = dict(drawn)
    return list(found.values())


def _notes(
    task: Task, found: Mapping[EffectMode, EffectOfMode], asked: int, n: int, chosen: ActivationNumbers,
    pool: ActivationNumbers,
) -> tuple[str, ...]:  # fmt: skip
    said = []
    ups = [mode for mode, one in found.items() if one.low > 0 and mode != "patch"]
    downs = [mode for mode, one in found.items() if one.high < 0 and mode != "patch"]
    if ups and downs:
        said.append(f"The modes disagree in sign: {', '.join(ups)} up, {', '.join(downs)} down. Do not average them.")
    if n < asked:
        said.append(f"There are only {n} other sets of as many in the same layers: all of them are the controls.")
    if asked and (whole := [where for where in chosen if len(chosen[where]) == len(pool[where])]):
        layers = ", ".join(sorted({f"{where[1]} l{where[2]}".lstrip() for where in whole}))
        said.append(f"The set has all there is in {layers}: so has every random set.")
    if any(one.spread is not None for one in found.values()):
        spread = next(one.spread for one in found.values() if one.spread is not None)
        said.append(f"resample is a mean over draws, which spread by {spread:.3g} around it.")
    if task.n_rows == 1:
        said.append("The task has one row: there is no interval.")
    return tuple(said)
