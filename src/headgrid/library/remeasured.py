"""A published circuit measured again on a model that is at hand: `CircuitRetest`."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch

from headgrid.anatomy.anatomy import Anatomy, count_of
from headgrid.circuits.progress import Progress
from headgrid.experiments.effect import Effect, effect
from headgrid.experiments.faithfulness import Faithfulness, doubtful, faithfulness
from headgrid.experiments.interventions import BUDGET, EffectMode
from headgrid.experiments.runs import model_fingerprint
from headgrid.experiments.task import Task
from headgrid.models.wrappers import unwrap
from headgrid.selection.selection import Selection
from headgrid.torch_state import shielded
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

KnownWeights: TypeAlias = Literal["shipped", "by name", "unknown"]

LEAST = 0.5
"""A circuit that holds keeps at least this part of what the model does, and at most as much more than all of it."""

BEYOND = 0.95
"""The part of the random circuits that are less faithful than a circuit that holds."""

ENOUGH = 15
"""Fewer random circuits than these say too little of chance."""


@dataclass(frozen=True, eq=False)
class CircuitRetest:
    """What came of measuring a published circuit again on a model.

    Attributes:
        circuit: its title.
        reason: why it was not re-tested here; "" where it was.
        weights: what is known of the weights: "shipped", the very ones that ship with headgrid, compared bit by bit;
            "by name", where the model calls itself what the publication calls its own, which proves nothing; "unknown".
        models: what the publication calls its model.
        task: what the model was asked; None without.
        faithfulness: how much of the task the circuit does alone, beside random circuits; None where not re-tested.
        whole: the effect of replacing the whole circuit, beside random sets of as many heads in the same layers.
        roles: role -> the effect of replacing its heads alone, likewise.
        notes: what a reader should know.
    """

    circuit: str
    reason: str = ""
    weights: KnownWeights = "unknown"
    models: tuple[str, ...] = ()
    task: Task | None = None
    faithfulness: Faithfulness | None = None
    whole: Effect | None = None
    roles: Mapping[str, Effect] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def retested(self) -> bool:
        """Whether it was measured."""
        return self.faithfulness is not None

    @property
    def holds(self) -> bool | None:
        """Whether the circuit alone does the task, and better than chance; None where that cannot be told.

        It holds where it keeps at least half of what the model does and at most half more than all of it, and where
        95 % of the random circuits or more are farther from all of it than it is. It cannot be told by fewer than 15
        random circuits (a circuit that has every head of its layers has none), and where the model does as well with
        everything replaced.
        """
        found = self.faithfulness
        if found is None or len(found.controls) < ENOUGH:
            return None
        if doubtful(found.rows["clean"] - found.rows["ablated"], 0):
            return None
        fault = abs(1 - found.faithfulness.value)
        worse = float(((1 - found.controls).abs() > fault).double().mean())
        return fault <= LEAST and worse >= BEYOND

    @property
    def verdict(self) -> str:
        """One sentence: what this says of the publication, and what it does not."""
        if not self.retested:
            return f"Not re-tested here: {self.reason}"
        said = {
            True: "the circuit alone does the task, and random circuits as large do not",
            False: "the circuit does not do the task better than random circuits as large do",
            None: f"whether the circuit does better than chance cannot be told here ({self._open()})",
        }[self.holds]
        if self.weights == "shipped":
            word = {True: "Confirmed", False: "Not confirmed", None: "Neither confirmed nor refuted"}[self.holds]
            return f"{word} on the weights that it was found in: {said}."
        named = " or ".join(self.models) or "the publication"
        if self.weights == "by name":
            return (
                f"Re-tested, as far as a name can be trusted: the model calls itself {named}, and nothing here can "
                f"check that its weights are those; {said}."
            )
        return f"No confirmation, whatever the numbers: nothing says that these weights are those of {named}; {said}."

    def _open(self) -> str:
        """Why it cannot be told whether the circuit holds."""
        if self.faithfulness is not None and (n := len(self.faithfulness.controls)) < ENOUGH:
            return f"{count_of(n, 'random circuit')}, and {ENOUGH} are needed" if n else "there is no random circuit"
        return "the model does as well with everything replaced"

    def __repr__(self) -> str:
        lines = [f"{self.circuit}", f"  {self.verdict}"]
        if self.faithfulness is not None:
            found = self.faithfulness
            lines.append(f"  faithfulness {found.faithfulness}, completeness {found.completeness} on {found.metric}")
            if n := len(found.controls):
                lines.append(
                    f"  {n} random circuits: mean {found.controls.mean():.3f}, largest {found.controls.max():.3f}"
                )
            wide = max(map(len, (*self.roles, "the circuit")))
            for name, one in (("the circuit", self.whole), *self.roles.items()):
                lines += [f"  {name:<{wide}}  {line}" for line in _said(one)]
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    def _repr_html_(self) -> str:
        return f'<pre style="white-space:pre-wrap;word-break:normal">{html.escape(repr(self))}</pre>'

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for the circuit and one for each role: effect, interval, and where it stands among random sets.

        Raises:
            ImportError: when pandas is not installed.
            ValueError: when nothing was re-tested.
        """
        if not self.retested:
            raise ValueError(f"there are no numbers: not re-tested here, {self.reason}")
        rows: list[dict[str, Any]] = []
        for name, one in (("the circuit", self.whole), *self.roles.items()):
            for mode, found in (one or {}).items():
                rows.append({
                    "what": name, "selection": str(one.selection) if one else "", "mode": mode, "effect": found.mean,
                    "low": found.low, "high": found.high, "beyond": found.beyond,
                })  # fmt: skip
        return dataframe(rows)


def _said(one: Effect | None) -> list[str]:
    found = []
    for mode, of in (one or {}).items():
        beyond = "" if of.beyond is None else f", larger than {of.beyond:.0%} of {len(of.controls)} random sets"
        found.append(f"{mode} {of.mean:+.4g} [{of.low:+.4g}, {of.high:+.4g}]{beyond}")
    return found


def remeasured(
    title: str, whole: Selection, roles: Mapping[str, Selection], model: torch.nn.Module, task: Task, *,
    mode: EffectMode, over_corrupted: bool, mlps: bool, weights: KnownWeights, models: tuple[str, ...], controls: int,
    seed: int, batch_size: int | None = None, memory: int = BUDGET, progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> CircuitRetest:  # fmt: skip
    """A circuit on a model and a task: faithfulness, and the effects of the circuit and of each role, with controls."""
    reference = None
    if over_corrupted and mode != "patch" and task.corrupted is not None:
        reference = Task(task.tokenizer, task.corrupted, name="corrupted")
    options: dict[str, Any] = {
        "controls": controls, "reference": reference, "seed": seed, "batch_size": batch_size, "memory": memory,
        "progress": progress, "cancelled": cancelled,
    }  # fmt: skip
    kept = faithfulness(model, task, whole, mode=mode, mlps=mlps, **options)
    by_role = {name: effect(model, task, chosen, mode, direction="noise", **options) for name, chosen in roles.items()}
    return CircuitRetest(
        title, "", weights, models, task, kept, effect(model, task, whole, mode, direction="noise", **options), by_role,
        kept.notes,
    )  # fmt: skip


@shielded()
def known_weights(model: torch.nn.Module, anatomy: Anatomy, models: tuple[str, ...], shipped: Any) -> KnownWeights:
    """What is known of a model's weights.

    Args:
        model, anatomy: the model, and its anatomy.
        models: the names of the published model.
        shipped: a function that loads a shipped model and its tokenizer; None for what is not shipped.
    """
    if shipped is not None:
        ours, _ = shipped()
        theirs = unwrap(model).model
        same = theirs is not None and model_fingerprint(theirs, anatomy) == model_fingerprint(ours, anatomy)
        return "shipped" if same else "unknown"
    inner = unwrap(model).model or model
    config = getattr(inner, "config", None) or getattr(model, "cfg", None)
    said = {str(getattr(one, name, "")) for one in (inner, config) for name in ("name_or_path", "model_name")}
    return "by name" if said & set(models) else "unknown"
