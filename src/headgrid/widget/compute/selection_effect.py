"""What the selection does on a task: the metric and the next tokens without it, beside random sets of as many."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import torch

from headgrid.anatomy.stacks import count_of
from headgrid.circuits.progress import stop_if
from headgrid.experiments.effect import effect
from headgrid.experiments.interventions import EffectMode, Interventions
from headgrid.experiments.patterns import TOWERS
from headgrid.experiments.replacing import Replacements, checked_modes
from headgrid.experiments.runs import Runs
from headgrid.experiments.singles import every
from headgrid.experiments.task import Task
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers, named
from headgrid.selection.selection import Selection
from headgrid.widget.compute.live_task import metric_of
from headgrid.widget.compute.next_tokens import next_tokens
from headgrid.widget.compute.pass_size import pass_size
from headgrid.widget.wire.empty import NO_EFFECT
from headgrid.widget.wire.schema import ModeEffect, SelectionEffect

CONTROLS = 20
"""The random sets beside a selection."""

DRAWS = 5
"""The draws that a resampled effect is a mean over: each is a run of the selection and of every random set."""

LONGEST = 60
"""Characters of a selection that a sentence names."""

MEANS_BYTES = 2**29
"""What recorded activations may take, for the means that the next tokens are of; else they are of zeros."""

_Values = dict[Where, torch.Tensor]


def modes_of(task: Task) -> tuple[EffectMode, ...]:
    """What may take the place of a selection; of one row no mean, which of that row's positions is what is there."""
    return tuple(mode for mode in checked_modes(None, task) if mode != "mean" or task.n_rows > 1)


def effects_of(
    model: torch.nn.Module, task: Task, row: int, selection: Selection, cancelled: Callable[[], bool]
) -> Iterator[SelectionEffect]:
    """The effect of a selection, more of it each time.

    Args:
        model: the model.
        task: what it is asked.
        row: the row that next tokens are of.
        selection: heads and neurons.
        cancelled: says whether to stop.

    Raises:
        ValueError: when the selection has anything but heads and neurons.
        Cancelled: when `cancelled` says so.
    """
    modes = modes_of(task)
    found: SelectionEffect = {
        **NO_EFFECT, "text": str(selection), "row": row, "metric": metric_of(task), "pending": True,
    }  # fmt: skip
    for at, mode in enumerate(modes):
        measured = effect(
            model, task, selection, mode, controls=CONTROLS, draws=DRAWS, cancelled=cancelled,
            **pass_size(model, task.ids.shape[1]),
        )  # fmt: skip
        one = measured[mode]
        value = _digits(one.mean)
        low, high = (value if math.isnan(end) else _digits(end) for end in (one.low, one.high))
        controls = [_digits(float(control)) for control in one.controls]
        new: ModeEffect = {"mode": mode, "value": value, "low": low, "high": high, "controls": controls}
        found = {**found, "clean": _digits(measured.clean), "modes": [*found["modes"], new]}
        found = {**found, "sentence": sentence(found)}
        if at == 0:
            yield found
            stop_if(cancelled)
            found = {**found, **_tokens(model, task, row, selection, cancelled)}  # type: ignore[typeddict-item]
            replaced = "at their means" if _means(model, task) else "at zero"
            said = f"Next tokens are with the selection, or all other heads, {replaced}."
        found = {**found, "sentence": f"{sentence(found)} {said}", "pending": at + 1 < len(modes)}
        yield found


def sentence(found: SelectionEffect) -> str:
    """Whether a selection stands out among random sets, and whether the modes disagree in sign."""
    first = found["modes"][0]
    n = len(first["controls"])
    larger = sum(abs(control) < abs(first["value"]) for control in first["controls"])
    name = found["text"] if len(found["text"]) <= LONGEST else "the selection"
    said = f"Without {name} (put to {first['mode']}) the {found['metric']} changes by {_signed(first['value'])}: "
    if not n:
        said += "there is no other set of as many in the same layers to compare with."
    elif larger == n and n < CONTROLS:
        said += f"more than with any of the {count_of(n, 'other set')} of as many in the same layers, which are few."
    elif larger == n:
        said += f"more than with any of {n} random sets of as many in the same layers, so it stands out."
    else:
        said += (
            f"{n - larger} of {n} {'random' if n == CONTROLS else 'other'} sets of as many in the same layers change "
            "it as much or more, so it does not stand out."
        )
    signs = {one["mode"]: _sign(one) for one in found["modes"] if one["mode"] != "patch"}
    if {-1, 1} <= set(signs.values()):
        ups, downs = ([mode for mode, sign in signs.items() if sign == which] for which in (1, -1))
        said += f" The modes disagree in sign: {', '.join(ups)} up, {', '.join(downs)} down. Do not rely on one."
    return said


def _sign(one: ModeEffect) -> int:
    """The sign of an effect; 0 where its interval has both."""
    return 1 if one["low"] > 0 else -1 if one["high"] < 0 else 0


def _signed(value: float) -> str:
    return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}")


def _heads(runs: Runs) -> ActivationNumbers:
    """All heads that read the text."""
    found: ActivationNumbers = {}
    for stack in runs.anatomy.stacks:
        if stack.n_layers and stack.n_heads and stack.name not in TOWERS:
            found |= every(stack, "head")
    return found


def _means(model: torch.nn.Module, task: Task) -> bool:
    """Whether next tokens are of means: of several rows, whose activations fit a bound."""
    if task.n_rows == 1:
        return False
    runs = Runs(model, task)
    width = sum(stack.n_layers * max(stack.d_model, stack.d_mlp) for stack in runs.anatomy.stacks)
    return 4 * task.ids.numel() * width <= MEANS_BYTES


def _tokens(
    model: torch.nn.Module, task: Task, row: int, selection: Selection, cancelled: Callable[[], bool]
) -> dict[str, object]:
    """The next tokens of the untouched model, without the selection, and without all other heads."""
    runs = Runs(model, task.rows([row]))
    chosen, heads = named(runs.anatomy, selection), _heads(runs)
    others = {
        where: left for where, all_ in heads.items()
        if (left := tuple(one for one in all_ if one not in chosen.get(where, ())))
    }  # fmt: skip
    wanted = heads | {where: numbers for where, numbers in chosen.items() if where not in heads}
    replacements = Replacements(Interventions(Runs(model, task), wanted))
    values = dict(replacements.values("mean" if _means(model, task) else "zero"))
    stop_if(cancelled)
    return {
        "next": next_tokens(runs, {}, {}),
        "without": next_tokens(runs, chosen, _some(values, wanted, chosen)),
        "alone": next_tokens(runs, others, _some(values, wanted, others)) if others else next_tokens(runs, {}, {}),
    }


def _some(values: Mapping[Where, torch.Tensor], wanted: ActivationNumbers, some: ActivationNumbers) -> _Values:
    """Of the values of all activations, those of some."""
    found: _Values = {}
    for where, numbers in some.items():
        value = values[where]
        at = [wanted[where].index(one) for one in numbers]
        found[where] = value if value.shape[2] == 1 and len(wanted[where]) > 1 else value[:, :, at]
    return found


def _digits(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("The metric is not finite without the selection: the model has NaN or inf in its numbers")
    return float(f"{value:.6g}")
