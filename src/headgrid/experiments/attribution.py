"""Attribution: the effects of all heads estimated with two forward passes and one backward (Nanda 2023).

An effect is taken for linear in what is replaced: the gradient of the metric at an activation, in the run that is
patched, times how much the activation would change. Rows do not act on each other, so the gradient of the sum over rows
holds that of each row. The largest estimates are measured exactly.

Where attention is saturated its gradient is near zero, though other queries or keys would turn it. So each head's
pattern is computed again with the replaced queries, and with the replaced keys, and its whole change, times the
gradient at the pattern, is compared with what the gradient sees of it, as AtP* does (Kramar et al. 2024, AtP*: An
efficient and scalable method for localizing LLM behaviour to components, arXiv 2403.00745).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import torch

from headgrid.circuits.norms import wide
from headgrid.experiments.copies import once_each
from headgrid.experiments.effects import text_of_part
from headgrid.experiments.interventions import EffectMode
from headgrid.experiments.replacing import Replacements
from headgrid.experiments.runs import Runs, Which
from headgrid.experiments.saturation import NoPattern, of_rows, turned
from headgrid.experiments.singles import SinglePart, Singles
from headgrid.hooks.attached import Attached
from headgrid.hooks.found import tapped
from headgrid.hooks.positions import Positions
from headgrid.selection.activations import Where
from headgrid.torch_state import shielded
from headgrid.utils.arguments import brief

REPLACED: tuple[EffectMode, ...] = ("patch", "mean", "zero")
"""The replacements whose effects are estimated."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimated effects.

    Attributes:
        rows: of each row, `[rows, n_layers, n]`, and `pos` where positions are apart.
        exact: the effects that were measured, means over rows, by their text.
        error: the largest error among these; None where there are none.
        notes: how far the estimates can be trusted.
    """

    rows: torch.Tensor
    exact: Mapping[str, float] = field(default_factory=dict)
    error: float | None = None
    notes: tuple[str, ...] = ()


@shielded()
def estimated(
    singles: Singles, replacements: Replacements, mode: EffectMode, *, positions: bool = False
) -> tuple[torch.Tensor, dict[Where, torch.Tensor]]:
    """The estimated effect of each head (query, key, value, neuron, MLP) by itself.

    Args:
        singles: of what.
        replacements, mode: what takes its place: "patch", "mean" or "zero".
        positions: whether each position is apart.

    Returns:
        Effects of each row, `[rows, n_layers, n]`, and `pos` where positions are apart; and the gradients
        `[rows, pos, n, ...]`, of a layer that runs once in a pass.

    Raises:
        ValueError: when the metric has no gradient, or is zero by definition: "kl" at the run that it compares with.
    """
    runs, base = replacements.interventions.runs, replacements.base(mode)
    if runs.task.metric == "kl" and base == "clean":
        raise ValueError(
            "the gradient of the metric 'kl' is zero in the clean run, which it is measured from: begin at corrupted "
            "inputs (replaces='patch', direction='denoise'), or measure effects exactly"
        )
    values = replacements.values(mode)
    table = singles.table(runs.task.n_rows, (runs.task.ids.shape[1],) if positions else ())
    slopes: dict[Where, list[torch.Tensor]] = {where: [] for where in singles.wanted}
    for rows in runs.batches():
        for where, olds, gradients in _gradients(runs, singles, rows, base):
            new = of_rows(values[where], rows, runs.task.n_rows)
            slopes[where] += gradients[:1]
            column = [0] if singles.unit == "mlp" else list(singles.wanted[where])
            here = torch.zeros(table[rows, where[2], column].shape, dtype=torch.float64)
            for old, gradient in zip(olds, gradients, strict=True):
                change = (wide(new.to(old.device)) - wide(old)) * wide(gradient)
                change = change.flatten(3).sum(-1) if change.ndim > 3 else change
                change = change.sum(-1, keepdim=True) if singles.unit == "mlp" else change  # [rows, pos, n]
                here += (change.transpose(1, 2) if positions else change.sum(1)).cpu().double()
            table[rows, where[2], column] = here
    return table, {where: torch.cat(some) for where, some in slopes.items()}


def _gradients(
    runs: Runs, singles: Singles, rows: slice, base: Which
) -> Iterator[tuple[Where, list[torch.Tensor], list[torch.Tensor]]]:
    """Each activation in every run of its layer on some rows, and the gradients of the metric there."""
    task = runs.task_of(rows)
    clean = runs.untouched(rows) if task.metric == "kl" else None
    kept: dict[Where, list[torch.Tensor]] = {where: [] for where in singles.wanted}

    def keep(into: list[torch.Tensor], read: torch.Tensor) -> torch.Tensor:
        into.append(read if read.requires_grad else read.detach().requires_grad_())  # of a frozen model
        return into[-1]

    taps = tapped(runs.model, runs.anatomy, singles.wanted)
    acts = [(tap, partial(keep, kept[tap.where])) for tap in taps]
    with torch.enable_grad():
        with Attached(runs.model, lambda: once_each(acts, "recorded")):
            output, at = runs.call(runs.arguments(rows, base), task.scored)
        score = task.score(output, clean, at)
        if not score.requires_grad:
            raise ValueError(
                f"the metric {task.metric_name} has no gradient, as it was computed without one: measure effects "
                "exactly, with another method"
            )
        flat = [one for ones in kept.values() for one in ones]
        found = iter(torch.autograd.grad(score.sum(), flat, allow_unused=True))
    runs.keep_score(base, rows, score)
    for where, ones in kept.items():
        each = [next(found) for _ in ones]
        yield where, [one.detach() for one in ones], [
            torch.zeros_like(one) if gradient is None else gradient for one, gradient in zip(ones, each, strict=True)
        ]  # fmt: skip


def checked(
    singles: Singles, replacements: Replacements, mode: EffectMode, estimate: torch.Tensor, n: int, **watched: Any
) -> list[tuple[SinglePart, int | None, float]]:
    """The exact effects of the parts with the largest estimates, means over rows.

    Args:
        singles, replacements, mode: as of `estimated`.
        estimate: what that gave.
        n: how many are measured.
        watched: progress, cancelled.
    """
    given, base = replacements.interventions, replacements.base(mode)
    means = estimate.mean(0).reshape(*estimate.shape[1:3], -1)
    largest = means.abs().nan_to_num(-1).flatten().argsort(descending=True, stable=True)
    there = {(where[2], 0 if number is None else number): (where, number) for where, number in singles.places}
    apart: dict[int | None, list[SinglePart]] = {}
    for one in largest[: min(n, int(means.isfinite().sum()))].tolist():
        layer, rest = divmod(one, means.shape[1] * means.shape[2])
        number, position = divmod(rest, means.shape[2])
        apart.setdefault(position if estimate.ndim > 3 else None, []).append(there[layer, number])
    before, values, found = given.runs.score(base), replacements.values(mode), []
    for position, places in apart.items():
        some = replace(given, positions=None if position is None else Positions(position))
        scores = some.scores(singles.masks(places), values, base, label="measuring the largest exactly", **watched)
        found += [(place, position, float(after.mean() - before.mean()))
                  for place, after in zip(places, scores, strict=True)]  # fmt: skip
    return found


@shielded()
def attributed(
    singles: Singles, replacements: Replacements, mode: EffectMode, *, positions: bool = False, check: int = 10,
    **watched: Any,
) -> Estimate:  # fmt: skip
    """The estimated effect of each head (query, key, value, neuron, MLP) by itself, and how far to trust it.

    Args:
        singles, replacements, mode, positions: as of `estimated`.
        check: how many of the largest are measured exactly; with 0 attention is not looked at either.
        watched: progress, cancelled.

    Raises:
        ValueError: as `estimated`.
    """
    rows, gradients = estimated(singles, replacements, mode, positions=positions)
    if not check:
        return Estimate(rows, notes=("Estimates by a gradient; none was measured exactly: see check.",))
    found = checked(singles, replacements, mode, rows, check, **watched)
    means, exact, errors, least = rows.mean(0), {}, [], 0.0
    for (where, number), position, effect in found:
        number = 0 if number is None else number
        name = text_of_part(singles.stack, singles.unit, where[2], number) + (
            "" if position is None else f" @{position}"
        )
        guess = float(means[where[2], number] if position is None else means[where[2], number, position])
        exact[name], least = effect, abs(guess)
        errors.append((abs(guess - effect), name, guess))
    error, name, guess = max(errors)
    notes = [
        f"Estimates by a gradient. The largest were measured ({len(found)}); the worst is {name}: estimated "
        f"{guess:+.4g}, measured {exact[name]:+.4g}."
    ]
    if singles.unit == "head" and len(found) < means.isfinite().sum():
        notes += _hidden(singles, replacements, mode, gradients, least)
    return Estimate(rows, exact, error, tuple(notes))


def _hidden(
    singles: Singles, replacements: Replacements, mode: EffectMode, gradients: Mapping[Where, torch.Tensor],
    least: float,
) -> list[str]:  # fmt: skip
    """What is said of heads whose attention hides as much as the smallest estimate that was measured."""
    try:
        sides = turned(singles, replacements, mode, gradients)
    except NoPattern as fault:
        return [f"Whether attention is saturated, which hides effects from a gradient, is not known: {brief(fault)}"]
    said: dict[tuple[int, int], tuple[float, str]] = {}
    for side, one in sides.items():
        whole, seen = one.whole.mean(0), one.seen.mean(0)
        hidden = (whole.abs() >= max(least, 1e-12)) & (whole.abs() > 2 * seen.abs())
        for layer, number in hidden.nonzero().tolist():
            size, known = float(whole[layer, number]), float(seen[layer, number])
            name = text_of_part(singles.stack, "head", layer, number)
            words = f"{name}.{side} {size:+.3g}, of which the gradient sees {known:+.3g}"
            said[layer, number] = max(said.get((layer, number), (0.0, "")), (abs(size), words))
    if not said:
        return []
    worst = [words for _, words in sorted(said.values(), reverse=True)]
    more = f"; and {len(worst) - 4} more" if len(worst) > 4 else ""
    return [
        "Attention is saturated: what earlier heads do through the queries or keys of these may be missed: "
        f"{'; '.join(worst[:4])}{more}."
    ]
