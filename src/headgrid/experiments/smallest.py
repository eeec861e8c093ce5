"""The smallest circuit that does a task as the model does it: `smallest_circuit`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from math import comb
from typing import TYPE_CHECKING, Any, Literal

import torch

from headgrid.circuits.progress import STOP, Progress
from headgrid.experiments.effects import Interval, ratio
from headgrid.experiments.faithfulness import doubtful
from headgrid.experiments.interventions import BUDGET, EffectMode
from headgrid.experiments.keeping import Keeping
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.selection.selection import Selection
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

SearchDirection = Literal["backward", "forward"]


@dataclass(frozen=True, eq=False)
class CircuitStep:
    """One circuit of a search.

    Attributes:
        circuit: its heads (and MLPs).
        size: how many these are.
        faithfulness: see `Faithfulness`.
        score: the metric of the circuit alone, the mean over rows.
    """

    circuit: Selection
    size: int
    faithfulness: Interval
    score: float


@dataclass(frozen=True, eq=False)
class CircuitSearch:
    """The smallest circuit that a search found, and the faithfulness of circuits by their size.

    Attributes:
        smallest: the smallest circuit within the tolerance; None where there was none.
        others: other circuits as small that are within the tolerance too, the most faithful first: the smallest is not
            unique.
        exact: whether all circuits of its size, and all smaller ones, were run; otherwise greedy elimination found it,
            and of its size only those were run that differ in one member.
        curve: of each size the circuit that the search came by, the largest first.
        tolerance: how far from 1 the faithfulness may be.
        metric, rest: as in `Faithfulness`.
        clean, ablated: the metric of the untouched model and with everything replaced.
        receipt, notes: what this was computed from, and what a reader should know.
    """

    smallest: CircuitStep | None
    others: tuple[CircuitStep, ...]
    exact: bool
    curve: tuple[CircuitStep, ...]
    tolerance: float
    metric: str
    rest: str
    clean: float
    ablated: float
    receipt: Receipt
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        found = self.smallest
        lines = [
            f"The smallest circuit on {self.metric} that is faithful within {self.tolerance:g}",
            f"  the rest replaced by: {self.rest}",
            "  none is" if found is None else f"  {found.circuit}   {found.faithfulness}",
        ]
        lines += [f"  or {one.circuit}   {one.faithfulness}" for one in self.others[:8]]
        if len(self.others) > 8:
            lines.append(f"  ... and {len(self.others) - 8} more of {len(self.others) + 1}")
        lines.append("  heads  faithfulness")
        for one in sorted(self.curve, key=lambda one: one.size)[:9]:
            lines.append(f"  {one.size:>5}  {one.faithfulness}   {one.circuit}")
        if len(self.curve) > 9:
            lines.append(f"  ... and {len(self.curve) - 9} larger ones")
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each circuit of the curve, the smallest and others as small: its size, faithfulness and score.

        Raises:
            ImportError: when pandas is not installed.
        """
        named = [("curve", one) for one in self.curve] + [("other", one) for one in self.others]
        if self.smallest is not None:
            named.append(("smallest", self.smallest))
        return dataframe([
            {"what": what, "size": one.size, "circuit": str(one.circuit), "score": one.score}
            | one.faithfulness.named()
            for what, one in named
        ])  # fmt: skip


@shielded()
def smallest_circuit(
    model: torch.nn.Module, task: Task, *, tolerance: float = 0.1, direction: SearchDirection = "backward",
    at_once: int = 1, exhaustive: int = 1000, mode: EffectMode = "mean", mlps: bool = False, stack: str | None = None,
    reference: Task | None = None, per_position: bool | None = None, draws: int = 20, seed: int = 0,
    batch_size: int | None = None, memory: int = BUDGET, progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> CircuitSearch:  # fmt: skip
    """A small circuit whose faithfulness is close to 1, by greedy elimination, and others as small.

    Backward, each step takes out of the circuit the head without which its faithfulness is closest to 1, until none is
    left: the whole curve of size against faithfulness, of n (n + 1) / 2 circuits. Forward, each step adds one, until
    the circuit is faithful; then what it does not need is taken out again. Forward is cheaper where circuits are small,
    and is misled where no head does anything without another. All circuits of a step run in as few passes as memory
    allows. Then circuits of the size found, and smaller ones, are run: all, where they are few, else those that differ
    in one member.

    Args:
        model, task: as in `faithfulness`.
        tolerance: how far from 1 the faithfulness may be, on either side: a circuit that scores beyond the model is
            not faithful either.
        direction: "backward" or "forward".
        at_once: how many leave in one step while more than twice as many are there: less exact, and faster.
        exhaustive: up to how many circuits of one size all are run.
        mode, mlps, stack, reference, per_position, draws, seed: as in `faithfulness`.
        batch_size, memory, progress, cancelled: as in `faithfulness`.

    Returns:
        `CircuitSearch`.

    Raises:
        TypeError, ValueError: for arguments that do not fit the model or each other.
        Cancelled: when `cancelled` says so.
    """
    tolerance = arguments.number("tolerance", tolerance, least=0, what="a part of the difference that a circuit makes")
    direction = arguments.one_of("direction", direction, ("backward", "forward"))
    at_once = arguments.integer("at_once", at_once, least=1, what="a number of heads")
    exhaustive = arguments.integer("exhaustive", exhaustive, least=0, what="a number of circuits")
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    keeping = Keeping(Runs(model, task, batch_size=batch_size), mode, mlps=mlps, stack=stack, reference=reference,
                      per_position=per_position, draws=draws, seed=seed, memory=memory)  # fmt: skip
    search = _Search(keeping, tolerance, seed, {"progress": progress, "cancelled": cancelled, "label": "circuits"})
    n = len(keeping.units)
    whole = torch.ones(n, dtype=torch.bool)
    if direction == "backward":
        path = [whole, *search.eliminated(whole, at_once)]
    else:
        path = [~whole, *search.added(~whole)]
        path += search.eliminated(path[-1], at_once)
    best: dict[int, torch.Tensor] = {}
    for one in path:  # of one size the more faithful, where a search comes by it twice
        size = int(one.sum())
        best[size] = min((one, best.get(size, one)), key=search.fault)
    within = [size for size, one in best.items() if search.fault(one) <= tolerance]
    others: list[torch.Tensor] = []
    exact, notes = False, keeping.notes()
    if within:
        greedy = min(within)
        size, exact = search.smaller(greedy, exhaustive)
        if size < greedy:
            notes.append(f"Greedy elimination ended with {greedy}; all circuits of {size} were run, and this is one.")
        others = search.as_small(size, best.get(size), exhaustive)
    else:
        notes.append(f"No circuit that the search came by is within {tolerance:g}.")
    if len(others) > 1:
        more = f"{len(others) - 1} more of its size" if len(others) > 2 else "another of its size"
        notes.append(f"The smallest circuit is not unique: {more} within {tolerance:g}.")
    notes += doubtful(search.whole, seed)
    options = {"direction": direction, "at_once": at_once, "tolerance": tolerance, "exhaustive": exhaustive}
    return CircuitSearch(
        search.step(others[0]) if others else None, tuple(map(search.step, others[1:])), exact,
        tuple(search.step(best[size]) for size in sorted(best, reverse=True)), tolerance, task.metric_name,
        keeping.rest, float(keeping.clean.mean()), float(search.ablated.mean()),
        keeping.receipt("smallest circuit", **options), tuple(notes),
    )  # fmt: skip


class _Search:
    def __init__(self, keeping: Keeping, tolerance: float, seed: int, options: dict[str, Any]) -> None:
        self.keeping, self.tolerance, self.seed, self.options = keeping, tolerance, seed, options
        nothing = torch.zeros(len(keeping.units), dtype=torch.bool)
        self.ablated = keeping.scores(nothing[None], **options)[0]
        self.whole = keeping.clean - self.ablated
        if float(self.whole.mean()) == 0:
            raise ValueError(
                f"the clean run and the one with everything replaced both score {float(self.ablated.mean()):.4g}: "
                "there is nothing that a circuit could be faithful to"
            )

    def faults(self, circuits: torch.Tensor) -> torch.Tensor:
        """How far the faithfulness of each circuit is from 1."""
        found = self.keeping.scores(circuits, **self.options) - self.ablated
        return (1 - found.mean(1) / self.whole.mean()).abs()

    def fault(self, circuit: torch.Tensor) -> float:
        """The same of one."""
        return float(self.faults(circuit[None])[0])

    def eliminated(self, circuit: torch.Tensor, at_once: int) -> Iterator[torch.Tensor]:
        """The circuit with ever less members, down to none."""
        while circuit.any():
            members = circuit.nonzero().flatten()
            fewer = circuit.repeat(len(members), 1)
            fewer[torch.arange(len(members)), members] = False
            order = self.faults(fewer).argsort(stable=True)
            leaving = members[order[: at_once if len(members) > 2 * at_once else 1]]
            circuit = circuit.clone()
            circuit[leaving] = False
            yield circuit

    def added(self, circuit: torch.Tensor) -> Iterator[torch.Tensor]:
        """The circuit with ever more members, until it is faithful."""
        while not circuit.all() and self.fault(circuit) > self.tolerance:
            missing = (~circuit).nonzero().flatten()
            more = circuit.repeat(len(missing), 1)
            more[torch.arange(len(missing)), missing] = True
            circuit = more[int(self.faults(more).argmin())]
            yield circuit

    def smaller(self, size: int, exhaustive: int) -> tuple[int, bool]:
        """The size of the smallest circuits within the tolerance among all that are not larger, as far as these are
        few enough to be run, and whether all of them were."""
        n, exact = len(self.keeping.units), True
        for fewer in range(size + 1):
            if comb(n, fewer) > exhaustive:
                exact = False
            elif bool((self.faults(self._all(fewer)) <= self.tolerance).any()):
                return fewer, exact
        return size, exact

    def as_small(self, size: int, found: torch.Tensor | None, exhaustive: int) -> list[torch.Tensor]:
        """The circuits of a size that are within the tolerance, the most faithful first."""
        if comb(len(self.keeping.units), size) <= exhaustive or found is None:
            circuits = self._all(size)
        else:
            members, missing = found.nonzero().flatten(), (~found).nonzero().flatten()
            swapped = found.repeat(len(members) * len(missing), 1)
            each = torch.arange(len(swapped))
            swapped[each, members.repeat_interleave(len(missing))] = False
            swapped[each, missing.repeat(len(members))] = True
            circuits = torch.cat([found[None], swapped])
        faults = self.faults(circuits)
        order = faults.argsort(stable=True)
        return list(circuits[order[faults[order] <= self.tolerance]])

    def _all(self, size: int) -> torch.Tensor:
        n = len(self.keeping.units)
        chosen = torch.tensor(list(combinations(range(n), size)), dtype=torch.long).reshape(comb(n, size), size)
        found = torch.zeros(len(chosen), n, dtype=torch.bool)
        return found.scatter_(1, chosen, torch.ones_like(chosen, dtype=torch.bool))

    def step(self, circuit: torch.Tensor) -> CircuitStep:
        score = self.keeping.scores(circuit[None], **self.options)[0]
        found = ratio(score - self.ablated, self.whole, seed=self.seed)
        return CircuitStep(self.keeping.selection(circuit), int(circuit.sum()), found, float(score.mean()))
