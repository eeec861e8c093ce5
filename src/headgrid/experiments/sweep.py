"""The effect of each head by itself: `sweep`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import torch

from headgrid.anatomy.anatomy import Stack
from headgrid.circuits.progress import STOP, Progress
from headgrid.experiments.effects import Effects, Unit, interval
from headgrid.experiments.interventions import BUDGET, EffectMode, Interventions
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.replacing import MODES, Replacements
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.hooks.positions import Positions
from headgrid.selection.points import ActivationNumbers
from headgrid.torch_state import shielded
from headgrid.utils import arguments

PatchDirection = Literal["denoise", "noise"]
DIRECTIONS: tuple[PatchDirection, ...] = ("denoise", "noise")

OVER_POSITIONS = "Means are over positions too, which removes more than what a head says here: see per_position."


@shielded()
def sweep(
    model: torch.nn.Module, task: Task, method: str = "mean", *, unit: Unit = "head", stack: str | None = None,
    reference: Task | None = None, per_position: bool | None = None, direction: PatchDirection = "denoise",
    positions: bool = False, draws: int = 20, seed: int = 0, batch_size: int | None = None, memory: int = BUDGET,
    progress: Progress = False, cancelled: Callable[[], bool] | None = None,
) -> Effects:  # fmt: skip
    """The effect of every head of a stack on a task, each by itself, measured exactly.

    Args:
        model: a transformers model or a TransformerLens bridge, in `eval()`.
        task: what it is asked.
        method: what takes the place of a head's z: "zero", "mean", "resample" or "patch".
        unit: "head"; or "mlp", all neurons of a layer together.
        stack: the stack, of a model that has several; its main one by default.
        reference: a task whose inputs means and resampled rows are of; the task's own by default.
        per_position: whether a mean is of each position; by default where all rows have one length.
        direction: of "patch": "denoise" puts the clean run's values into the corrupted run, "noise" the other way.
        positions: whether each position is replaced by itself, which adds an axis.
        draws, seed: of "resample": how many other rows each row takes, one after the other.
        batch_size, memory: how many rows one pass has, and the bytes that its activations may take.
        progress, cancelled: see `headgrid.scan`.

    Returns:
        `Effects`, `[n_layers, n_heads]`.

    Raises:
        TypeError, ValueError: for arguments that do not fit the model or each other.
        Cancelled: when `cancelled` says so.
    """
    mode: EffectMode = arguments.one_of("method", method, MODES)
    unit = arguments.one_of("unit", unit, ("head", "mlp"))
    positions = arguments.flag("positions", positions)
    direction = arguments.one_of("direction", direction, DIRECTIONS)
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    runs = Runs(model, task, batch_size=batch_size)
    found = runs.anatomy.main if stack is None else runs.anatomy.stack(stack)
    wanted = every(found, unit)
    if not wanted:
        raise ValueError(f"{runs.anatomy.name} has no {unit}s in its stack {found.name or 'main'!r}")
    if positions and not task.aligned:
        raise ValueError("positions=True compares the same position of each row, and the rows differ in length")
    interventions = Interventions(runs, wanted, memory=arguments.integer("memory", memory, least=1))
    replacements = Replacements(
        interventions, reference=checked_reference_task(reference), per_position=checked_per_position(per_position),
        direction=direction, draws=arguments.integer("draws", draws, least=1),
        seed=arguments.integer("seed", seed, least=0),
    )  # fmt: skip
    base, values = runs.score(replacements.base(mode)), replacements.values(mode)
    places = [(where, i) for where, numbers in wanted.items() for i in (range(len(numbers)) if unit == "head" else [0])]
    masks = {where: torch.zeros(len(places), len(numbers)).bool() for where, numbers in wanted.items()}
    for copy, (where, i) in enumerate(places):
        masks[where][copy, i if unit == "head" else slice(None)] = True
    each = []
    for position in range(task.ids.shape[1]) if positions else [None]:
        interventions.positions = None if position is None else Positions(position)
        each.append(torch.stack([
            interventions.scores(masks, some, replacements.base(mode), progress=progress, cancelled=cancelled,
                                 label=f"{mode} of each {unit}")
            for some in replacements.drawn(values, mode)
        ]) - base)  # fmt: skip
    changes = torch.stack(each, -1)  # [draws, places, rows, positions]
    n = found.n_heads if unit == "head" else 1
    rows = torch.full((task.n_rows, found.n_layers, n, len(each)), torch.nan, dtype=torch.float64)
    for copy, (where, i) in enumerate(places):
        rows[:, where[2], wanted[where][i] if unit == "head" else 0] = changes[:, copy].mean(0)
    spread = float(changes.mean(2).std(0).max()) if len(changes) > 1 else 0.0
    rows = rows if positions else rows[..., 0]
    low, high = interval(rows, seed=seed)
    notes = _notes(task, mode, replacements, spread)
    return Effects(
        rows.mean(0), runs.anatomy, found, unit, task.metric_name, float(runs.score().mean()),
        None if task.corrupted is None else float(runs.score("corrupted").mean()),
        Receipt((runs.anatomy.name, runs.fingerprint), task.fingerprint, mode, {
            "reference": None if reference is None else reference.fingerprint,
            "per_position": replacements.per_position if mode == "mean" else None,
            "direction": direction if mode == "patch" else None,
            "draws": draws if mode == "resample" else None, "seed": seed,
        }),
        rows=rows, low=low, high=high, notes=notes,
    )  # fmt: skip


def every(stack: Stack, unit: Unit) -> ActivationNumbers:
    """Every head's z of a stack, or every neuron's activation."""
    role, kind = ("W_O", "z") if unit == "head" else ("W_out", "mlp")
    there = stack.exists.get(f"{stack.name}:{role}" if stack.name else role)
    if there is None:
        return {}
    return {
        (kind, stack.name, layer): tuple(there[layer].nonzero()[0].tolist())  # type: ignore[misc]
        for layer in range(stack.n_layers)
        if there[layer].any()
    }


def checked_reference_task(reference: Any) -> Task | None:
    """A task that means and rows are taken of, or None."""
    return None if reference is None else arguments.of_kind("reference", reference, Task, "a headgrid.Task")


def checked_per_position(given: Any) -> bool | None:
    """True, False, or None for what fits the task."""
    return None if given is None else arguments.flag("per_position", given)


def _notes(task: Task, mode: EffectMode, replacements: Replacements, spread: float) -> tuple[str, ...]:
    found = []
    if task.n_rows == 1:
        found.append("The task has one row: there is no interval.")
    if mode == "mean" and not replacements.per_position:
        found.append(OVER_POSITIONS)
    if mode == "resample":
        found.append(f"Means over {replacements.draws} draws; single draws spread by up to {spread:.3g} around them.")
    return tuple(found)
