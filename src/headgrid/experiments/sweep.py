"""The effect of each head by itself: `sweep`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import torch

from headgrid.circuits.progress import STOP, Progress
from headgrid.experiments.attribution import REPLACED, Estimate, attributed
from headgrid.experiments.direct import contributions
from headgrid.experiments.effects import Effects, Unit, interval
from headgrid.experiments.gates import fitted_gates
from headgrid.experiments.interventions import BUDGET, EffectMode, Interventions
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.replacing import MODES, Replacements
from headgrid.experiments.runs import Runs
from headgrid.experiments.singles import Singles
from headgrid.experiments.task import Task
from headgrid.hooks.positions import Positions
from headgrid.torch_state import shielded
from headgrid.utils import arguments

PatchDirection = Literal["denoise", "noise"]
DIRECTIONS: tuple[PatchDirection, ...] = ("denoise", "noise")

OVER_POSITIONS = "Means are over positions too, which removes more than what a head says here: see per_position."


SweepMethod: TypeAlias = Literal["zero", "mean", "resample", "patch", "attribution", "direct", "gate"]
METHODS: tuple[SweepMethod, ...] = (*MODES, "attribution", "direct", "gate")
UNITS: tuple[Unit, ...] = ("head", "mlp", "q", "k", "v", "neuron")


@shielded()
def sweep(
    model: torch.nn.Module, task: Task, method: SweepMethod = "mean", *, unit: Unit = "head", stack: str | None = None,
    reference: Task | None = None, per_position: bool | None = None, direction: PatchDirection = "denoise",
    positions: bool = False, draws: int = 20, seed: int = 0, replaces: EffectMode | None = None, check: int = 10,
    seeds: int = 3, push: float = 0.1, batch_size: int | None = None, memory: int = BUDGET, progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> Effects:  # fmt: skip
    """The effect of every head of a stack on a task, each by itself, measured exactly or estimated by a gradient.

    Args:
        model: a transformers model or a TransformerLens bridge, in `eval()`.
        task: what it is asked.
        method: what takes the place of a head's z, measured exactly: "zero", "mean", "resample" or "patch". Or
            "attribution": an estimate of one of these for all heads at once, with two forward passes and one backward.
            "direct": what each head writes along the answer's direction, with all norms as they stood, beside what
            embeddings, MLPs and biases write; the terms sum to the logit difference (`Contributions.terms`).
            Or "gate": each z is multiplied with a gate, and all gates are fitted to the task together
            (`headgrid.experiments.gates`).
        unit: "head"; "q", or "k" or "v" of a key/value head; "mlp", all neurons of a layer together; or "neuron", each
            of them, of "attribution" alone.
        stack: the stack, of a model that has several; its main one by default.
        reference: a task whose inputs means and resampled rows are of; the task's own by default.
        per_position: whether a mean is of each position; by default where all rows have one length.
        direction: of "patch": "denoise" puts the clean run's values into the corrupted run, "noise" the other way.
        positions: whether each position is replaced by itself, which adds an axis.
        draws, seed: of "resample": how many other rows each row takes, one after the other.
        replaces: of "attribution": which effect is estimated, that of "patch", "mean" or "zero"; by default "patch"
            where there are corrupted inputs, else "mean".
        check: of "attribution": how many of the largest are measured exactly (`Effects.exact`, `Effects.errors`). With
            any, attention that hides effects from the gradient is looked for too; it stands in the notes.
        seeds, push: of "gate": how many fits there are, from random gates; and what the whole way of one gate, from
            closed to open, is pushed with, in the loss's units: a head that is worth less goes where it is pushed.
        batch_size, memory: how many rows one pass has, and the bytes that its activations may take.
        progress, cancelled: see `headgrid.scan`.

    Returns:
        `Effects`, `[n_layers, n_heads]`; of "direct" they are `Contributions`, of "gate" `Gates`.

    Raises:
        TypeError, ValueError: for arguments that do not fit the model or each other; for "attribution", when the metric
            has no gradient; for "direct", when the task has no answers, or the terms do not sum to the logit.
        Cancelled: when `cancelled` says so.
    """
    method = arguments.one_of("method", method, METHODS)
    unit = arguments.one_of("unit", unit, UNITS)
    mode = _mode(method, replaces, task, unit)
    positions = arguments.flag("positions", positions)
    direction = arguments.one_of("direction", direction, DIRECTIONS)
    check = arguments.integer("check", check, least=0)
    seeds = arguments.integer("seeds", seeds, least=1, what="a number of fits")
    push = arguments.number("push", push, least=0, what="a difference of the loss")
    if method == "gate" and (positions or unit != "head"):
        raise ValueError("method='gate' fits one gate for each head: leave out positions and unit")
    watched = {"progress": arguments.progress(progress), "cancelled": arguments.function("cancelled", cancelled, STOP)}
    runs = Runs(model, task, batch_size=batch_size)
    singles = Singles(runs.anatomy, runs.anatomy.main if stack is None else runs.anatomy.stack(stack), unit)
    if method == "direct":
        if unit != "head" or positions or reference is not None:
            raise ValueError(
                "method 'direct' is of heads, MLPs and biases at the scored positions alone: it takes no unit, "
                "positions or reference"
            )
        return contributions(runs, singles.stack, seed=arguments.integer("seed", seed, least=0, below=2**63))
    if positions and not task.aligned:
        raise ValueError("positions=True compares the same position of each row, and the rows differ in length")
    replacements = Replacements(
        Interventions(runs, singles.wanted, memory=arguments.integer("memory", memory, least=1)),
        reference=checked_reference_task(reference), per_position=checked_per_position(per_position),
        direction=direction, draws=arguments.integer("draws", draws, least=1, below=10_001),
        seed=arguments.integer("seed", seed, least=0, below=2**63),
    )  # fmt: skip
    if method == "gate":
        return fitted_gates(runs, singles.stack, singles.wanted, replacements, seeds=seeds, push=push, **watched)
    if method == "attribution":
        found = attributed(singles, replacements, mode, positions=positions, check=check, **watched)
    else:
        found = _exact(singles, replacements, mode, positions, **watched)
    low, high = interval(found.rows, seed=seed)
    return Effects(
        found.rows.mean(0), runs.anatomy, singles.stack, unit, task.metric_name, float(runs.score().mean()),
        None if task.corrupted is None else float(runs.score("corrupted").mean()),
        Receipt((runs.anatomy.name, runs.fingerprint), task.fingerprint, method, {
            "replaces": mode if method == "attribution" else None,
            "reference": None if reference is None else reference.fingerprint,
            "per_position": replacements.per_position if mode == "mean" else None,
            "direction": direction if mode == "patch" else None,
            "draws": draws if mode == "resample" else None, "seed": seed,
        }),
        rows=found.rows, low=low, high=high, notes=(*_notes(task, mode, replacements), *found.notes),
        errors=found.error, exact=found.exact,
    )  # fmt: skip


def _mode(method: SweepMethod, replaces: Any, task: Any, unit: Unit) -> EffectMode:
    """What takes the place of activations.

    Raises:
        ValueError: when that and the method do not fit each other.
    """
    if method != "attribution":
        if replaces is not None:
            raise ValueError(f"replaces says what an attribution estimates, and method {method!r} estimates nothing")
        if unit == "neuron":
            raise ValueError("unit 'neuron' is of method 'attribution': to measure each would take a run for each")
        return {"direct": "mean", "gate": "zero"}.get(method, method)  # type: ignore[return-value]
    if replaces is None:
        return "mean" if getattr(task, "corrupted", None) is None else "patch"
    mode: EffectMode = arguments.one_of("replaces", replaces, REPLACED)
    return mode


def _exact(singles: Singles, replacements: Replacements, mode: EffectMode, positions: bool, **watched: Any) -> Estimate:
    """Every effect, measured."""
    given, base, values = replacements.interventions, replacements.base(mode), replacements.values(mode)
    before, masks = given.runs.score(base), singles.masks(singles.places)
    task, each = given.runs.task, []
    for position in range(task.ids.shape[1]) if positions else [None]:
        some = replace(given, positions=None if position is None else Positions(position))
        each.append(torch.stack([
            some.scores(masks, drawn, base, label=f"{mode} of each {singles.unit}", **watched)
            for drawn in replacements.drawn(values, mode)
        ]) - before)  # fmt: skip
    changes = torch.stack(each, -1)  # [draws, places, rows, positions]
    rows = singles.table(task.n_rows, (len(each),))
    for copy, (where, number) in enumerate(singles.places):
        rows[:, where[2], 0 if number is None else number] = changes[:, copy].mean(0)
    notes: tuple[str, ...] = ()
    if mode == "resample":
        spread = float(changes.mean(2).std(0).max()) if len(changes) > 1 else 0.0
        notes = (f"Means over {replacements.draws} draws; single draws spread by up to {spread:.3g} around them.",)
    return Estimate(rows if positions else rows[..., 0], notes=notes)


def checked_reference_task(reference: Any) -> Task | None:
    """A task that means and rows are taken of, or None."""
    return None if reference is None else arguments.of_kind("reference", reference, Task, "a headgrid.Task")


def checked_per_position(given: Any) -> bool | None:
    """True, False, or None for what fits the task."""
    return None if given is None else arguments.flag("per_position", given)


def _notes(task: Task, mode: EffectMode, replacements: Replacements) -> tuple[str, ...]:
    found = []
    if task.n_rows == 1:
        found.append("The task has one row: there is no interval.")
    if mode == "mean" and not replacements.per_position:
        found.append(OVER_POSITIONS)
    return tuple(found)
