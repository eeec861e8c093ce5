"""What a model says next at the last position of a row that is scored: untouched, or with some activations replaced."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import torch

from headgrid.circuits.strings import TokenStrings
from headgrid.experiments.copies import once_each
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import logits_of
from headgrid.hooks.attached import Attached
from headgrid.hooks.found import tapped
from headgrid.hooks.taps import Act
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers
from headgrid.widget.compute import to_wire
from headgrid.widget.wire.schema import NextToken

SHOWN = 8
"""The tokens that are sent."""


def next_tokens(runs: Runs, numbers: ActivationNumbers, values: Mapping[Where, torch.Tensor]) -> list[NextToken]:
    """The likeliest next tokens of a task of one row, the likeliest first; none where a model has no logits.

    Args:
        runs: the model on that row.
        numbers: the activations that are replaced; {} for the model as it is.
        values: by what, `[1, pos or 1, n, ...]` each, of the activations in `numbers`.
    """
    try:
        p = _probabilities(runs, numbers, values)
    except ValueError:
        if numbers:
            raise
        return []
    top = p.topk(min(SHOWN, len(p)))
    tokenizer = runs.task.tokenizer
    string = None if tokenizer is None else TokenStrings(tokenizer)
    return [
        {"token": to_wire.word(int(one) if string is None else string(int(one))), "p": float(f"{value:.6g}")}
        for value, one in zip(top.values.tolist(), top.indices.tolist(), strict=True)
    ]


def likeliest_ids(runs: Runs, k: int) -> list[int]:
    """The ids of the likeliest next tokens of a task of one row.

    Raises:
        ValueError: when the model gives no logits, or none that are finite.
    """
    found: list[int] = _probabilities(runs, {}, {}).topk(k).indices.tolist()
    return found


def _probabilities(runs: Runs, numbers: ActivationNumbers, values: Mapping[Where, torch.Tensor]) -> torch.Tensor:
    """The distribution of the next token, `[d_vocab]`."""
    rows = slice(0, 1)
    acts: list[tuple[object, Act]] = []
    for tap in tapped(runs.model, runs.anatomy, numbers):
        acts.append((tap, partial(_replaced, values[tap.where])))
    with Attached(runs.model, lambda: once_each(acts, "patched")):  # type: ignore[arg-type]
        output, at = runs.call(runs.arguments(rows), runs.task.scored[rows])
    logits = logits_of(output)
    places = runs.task.scored[rows] if at is None else at
    last = int(places[0][places[0] >= 0][-1])
    p = logits[0, last].float().softmax(-1).cpu()
    if not p.isfinite().all():
        raise ValueError("The model's logits are not finite on this text: it has NaN or inf in its numbers")
    return p


def _replaced(values: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    return values.to(read).expand_as(read).clone()
