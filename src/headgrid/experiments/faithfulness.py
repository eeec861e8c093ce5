"""How much of a task a circuit does by itself: `faithfulness`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float64

from headgrid.circuits.progress import STOP, Progress
from headgrid.experiments.effect import random_sets
from headgrid.experiments.effects import Interval, ratio
from headgrid.experiments.interventions import BUDGET, EffectMode
from headgrid.experiments.keeping import Keeping, Removable
from headgrid.experiments.metrics import UNITS
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.selection.points import ActivationNumbers
from headgrid.selection.selection import Selectable, Selection
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

MOST_CONTROLS = 10_000


@dataclass(frozen=True)
class MemberCost:
    """What a circuit loses with one of its members.

    Attributes:
        part: the member: `l1h2`, `l0 mlp`.
        cost: by how much the faithfulness of the circuit falls without it, with its interval.
        score: the metric of the circuit without it.
    """

    part: str
    cost: Interval
    score: float


@dataclass(frozen=True, eq=False)
class Faithfulness:
    """How much of a task a circuit does by itself, and what is left of it without the circuit.

    Attributes:
        selection: the circuit.
        faithfulness: (circuit alone - all replaced) / (clean - all replaced), of the means over rows: 1 where the
            circuit by itself scores as the model does, 0 where it scores as if there were none. Above 1 it scores
            better than the model, which is not faithful either.
        completeness: the same of all but the circuit: what the rest does without it, near 0 for a complete circuit.
        clean, kept, without, ablated: the metric of the untouched model, of the circuit alone, of all but the circuit,
            and with everything replaced: means over rows.
        members: minimality: what the circuit loses with each member.
        controls: the faithfulness of random circuits with as many heads in each layer, `[n]`.
        metric: its name.
        rest: what takes the place of what is not kept.
        rows: the metric of each row: "clean", "kept", "without" and "ablated".
        receipt: what this was computed from.
        notes: what a reader should know.
    """

    selection: Selection
    faithfulness: Interval
    completeness: Interval
    members: tuple[MemberCost, ...]
    controls: Float64[torch.Tensor, " n"]
    metric: str
    rest: str
    rows: dict[str, Float64[torch.Tensor, " rows"]]
    receipt: Receipt
    notes: tuple[str, ...] = field(default=())

    clean = property(lambda self: float(self.rows["clean"].mean()), doc="The metric of the untouched model.")
    kept = property(lambda self: float(self.rows["kept"].mean()), doc="The metric of the circuit alone.")
    without = property(lambda self: float(self.rows["without"].mean()), doc="The metric of all but the circuit.")
    ablated = property(lambda self: float(self.rows["ablated"].mean()), doc="The metric with everything replaced.")

    def __float__(self) -> float:
        return self.faithfulness.value

    def __repr__(self) -> str:
        unit = UNITS.get(self.metric, "")
        lines = [
            f"Faithfulness of {self.selection} on {self.metric}{f', {unit}' if unit else ''}: {self.faithfulness}",
            f"  the rest replaced by: {self.rest}",
            f"  clean {self.clean:.4g}   circuit alone {self.kept:.4g}   without it {self.without:.4g}   "
            f"all replaced {self.ablated:.4g}",
            f"  completeness, what the rest keeps without it: {self.completeness}",
        ]
        if self.members:
            lines.append("  minimality, what the circuit loses without each member:")
            lines += [f"    {one.part:<10}{one.cost}" for one in self.members]
        if n := len(self.controls):
            as_good = int((self.controls >= self.faithfulness.value).sum())
            lines.append(f"  {n} random circuits with as many heads in each layer: mean {self.controls.mean():.3f}, "
                         f"largest {self.controls.max():.3f}; as faithful: {as_good}")  # fmt: skip
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each number: what it is of, its value and interval, and the metric.

        Raises:
            ImportError: when pandas is not installed.
        """
        found: list[dict[str, Any]] = []
        for name, of, score in (("faithfulness", self.faithfulness, self.kept),
                                ("completeness", self.completeness, self.without)):  # fmt: skip
            found.append({"what": name, "part": str(self.selection), **of.named(), "score": score})
        for one in self.members:
            found.append({"what": "cost", "part": one.part, **one.cost.named(), "score": one.score})
        for value in self.controls.tolist():
            found.append({"what": "control", "part": "", "value": value})
        return dataframe(found)


@shielded()
def faithfulness(
    model: torch.nn.Module, task: Task, selection: Selectable, *, mode: EffectMode = "mean", mlps: bool = False,
    controls: int = 20, stack: str | None = None, reference: Task | None = None, per_position: bool | None = None,
    draws: int = 20, seed: int = 0, batch_size: int | None = None, memory: int = BUDGET, progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> Faithfulness:  # fmt: skip
    """How much of a task a circuit does by itself: with everything else replaced, as a part of what the model does.

    Faithfulness, completeness and minimality are those of Wang et al. 2022 (arXiv:2211.00593), as the ratios of Marks
    et al. 2024 (arXiv:2403.19647) and Hanna et al. 2024 (arXiv:2403.17806). A member is judged in the whole circuit;
    Wang et al. judge it in its smaller sets too, where it may back up another.

    Args:
        model: a transformers model or a TransformerLens bridge, in `eval()`.
        task: what it is asked.
        selection: the circuit: heads, and with `mlps=True` whole MLPs.
        mode: what takes the place of the z of all other heads: "mean", "zero", "resample", or "patch": what they have
            in the corrupted run.
        mlps: whether the MLPs that are not in the circuit are replaced too. They stay as they are otherwise, and so do
            embeddings and norms.
        controls: how many random circuits with as many heads in each layer (and the same MLPs) are run beside it.
        stack: the stack whose heads are kept or replaced, of a model that has several; its main one by default.
        reference: a task whose inputs means and resampled rows are of; the task's own by default.
        per_position: whether a mean is of each position; by default where all rows have one length. The difference is
            large.
        draws, seed: of "resample", and of the random circuits and the bootstrap.
        batch_size, memory: how many rows one pass has, and the bytes that its activations may take.
        progress, cancelled: see `headgrid.scan`.

    Returns:
        `Faithfulness`.

    Raises:
        TypeError, ValueError: for arguments that do not fit the model or each other.
        Cancelled: when `cancelled` says so.
    """
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    controls = arguments.integer(
        "controls", controls, least=0, below=MOST_CONTROLS + 1, what="a number of random circuits"
    )
    runs = Runs(model, task, batch_size=batch_size)
    keeping = Keeping(runs, mode, mlps=mlps, stack=stack, reference=reference, per_position=per_position, draws=draws,
                      seed=seed, memory=memory)  # fmt: skip
    circuit = keeping.circuit(selection)
    others = matched_circuits(keeping.units, circuit, controls, seed)
    lacking = circuit.repeat(int(circuit.sum()), 1)
    members = circuit.nonzero().flatten()
    lacking[torch.arange(len(members)), members] = False
    sets = torch.cat([torch.stack([torch.zeros_like(circuit), circuit, ~circuit]), lacking, others])
    found = keeping.scores(sets, progress=progress, cancelled=cancelled, label="faithfulness")
    ablated, kept, without = found[:3]
    whole = keeping.clean - ablated
    costs = tuple(
        MemberCost(str(keeping.units[i]), ratio(kept - score, whole, seed=seed), float(score.mean()))
        for i, score in zip(members.tolist(), found[3:], strict=False)
    )
    random = found[3 + len(members) :]
    faithful = ratio(kept - ablated, whole, seed=seed)
    notes = keeping.notes() + _notes(circuit, faithful, len(others), controls, whole, seed)
    return Faithfulness(
        keeping.selection(circuit), faithful, ratio(without - ablated, whole, seed=seed), costs,
        (random - ablated).mean(1) / whole.mean(), task.metric_name, keeping.rest,
        {"clean": keeping.clean, "kept": kept, "without": without, "ablated": ablated},
        keeping.receipt("faithfulness", controls=len(others)), tuple(notes),
    )  # fmt: skip


def matched_circuits(
    units: tuple[Removable, ...], circuit: Bool[torch.Tensor, " n_units"], n: int, seed: int
) -> Bool[torch.Tensor, "n n_units"]:
    """Random circuits, all different and none the circuit itself, with as many heads in each layer and the same MLPs.

    Returns:
        `[at most n, n_units]`: all that there are, where these are fewer.
    """
    pool: ActivationNumbers = {}
    chosen: ActivationNumbers = {}
    for unit, there in zip(units, circuit.tolist(), strict=True):
        if unit.number is not None:
            pool[unit.where] = (*pool.get(unit.where, ()), unit.number)
            if there:
                chosen[unit.where] = (*chosen.get(unit.where, ()), unit.number)
    found = circuit.repeat(0, 1)
    for one in random_sets(chosen, pool, n, seed):
        drawn = [
            there if unit.number is None else unit.number in one.get(unit.where, ())
            for unit, there in zip(units, circuit.tolist(), strict=True)
        ]
        found = torch.cat([found, torch.tensor([drawn])])
    return found


def _notes(circuit: torch.Tensor, found: Interval, n: int, asked: int, whole: torch.Tensor, seed: int) -> list[str]:
    notes = []
    if not circuit.any():
        notes.append("The circuit is empty: all is replaced.")
    if n < asked:
        notes.append(f"There are {n} other circuits with as many heads in each layer: all of them were run.")
    if found.value > 1.1:
        notes.append("The circuit alone scores beyond the model: what it lacks works against it here.")
    notes += doubtful(whole, seed)
    return notes


def doubtful(whole: torch.Tensor, seed: int) -> list[str]:
    """A note where there is hardly a difference that faithfulness could be a part of."""
    found = ratio(whole, torch.ones_like(whole), seed=seed)
    if found.value and not found.low <= 0 <= found.high:
        return []
    return [f"Clean and ablated runs differ by {found.value:.3g}, which may be nothing: parts of it mean nothing."]
