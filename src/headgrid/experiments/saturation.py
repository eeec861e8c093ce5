"""Saturated attention: where a gradient does not see what other queries or keys would change.

The pattern of each head is had again with other queries and its own keys, and with other keys and its own queries, from
the model's own attention, so with its masks, windows, caps, sinks and positions. The whole change of the pattern, times
the gradient at the pattern, is what the queries or keys do; the first-order change is what a gradient sees of it
(AtP*: Kramar et al. 2024, arXiv 2403.00745). The gradient at the pattern is that at z, times the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch

from headgrid.circuits.norms import wide
from headgrid.experiments.copies import once_each
from headgrid.experiments.interventions import EffectMode, Interventions
from headgrid.experiments.replacing import Replacements
from headgrid.experiments.runs import Runs, Which
from headgrid.experiments.singles import Singles
from headgrid.hooks.attached import Attached
from headgrid.hooks.found import tapped
from headgrid.hooks.taps import Act
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers
from headgrid.torch_state import shielded
from headgrid.utils.arguments import brief

SIDES: tuple[Literal["q", "k"], ...] = ("q", "k")
"""What turns a pattern."""


class NoPattern(Exception):  # noqa: N818
    """A model's attention shows no pattern that its z is made with."""


@dataclass(frozen=True, eq=False)
class Turned:
    """What a head's attention would change, by other queries or by other keys.

    Attributes:
        whole: with the pattern as it would be, `[rows, n_layers, n_heads]`.
        seen: with the pattern as the gradient takes it to be.
    """

    whole: torch.Tensor
    seen: torch.Tensor


@shielded()
def turned(
    singles: Singles, replacements: Replacements, mode: EffectMode, gradients: Mapping[Where, torch.Tensor]
) -> dict[Literal["q", "k"], Turned]:
    """What the attention of each head would change by other queries, "q", and by other keys, "k".

    Args:
        singles: the heads.
        replacements, mode: which queries and keys take the place of theirs.
        gradients: the gradient of the metric at each z, `[rows, pos, n, d_head]`.

    Raises:
        NoPattern: when the model's attention shows no pattern, or its z is not its pattern times its values.
    """
    stack, runs, base = singles.stack, replacements.interventions.runs, replacements.base(mode)
    sides = {side: Singles(singles.anatomy, stack, side).wanted for side in SIDES}
    values = Singles(singles.anatomy, stack, "v").wanted
    both: ActivationNumbers = {**sides["q"], **sides["k"]}
    others = replacements.like(Interventions(runs, both)).values(mode)
    shown: ActivationNumbers = {
        (kind, *where[1:]): numbers for where, numbers in singles.wanted.items() for kind in ("scores", "pattern")
    }
    found = {side: Turned(singles.table(runs.task.n_rows), singles.table(runs.task.n_rows)) for side in SIDES}
    for rows in runs.batches():
        own = _seen(runs, base, rows, {**both, **values, **shown, **singles.wanted}, {})
        for side in SIDES:
            new = _seen(runs, base, rows, {**both, **shown}, {
                where: of_rows(others[where], rows, runs.task.n_rows) if where[0] == side else own[where]
                for where in both
            })  # fmt: skip
            for (_, name, layer), numbers in singles.wanted.items():
                v = wide(own["v", name, layer])[..., [int(stack.kv_head_of[number]) for number in numbers], :]
                before, after = (one["pattern", name, layer].to(v) for one in (own, new))
                _refuse_others(torch.einsum("bqnk,bknh->bqnh", before, v), own["z", name, layer], layer)
                slope = torch.einsum("bqnh,bknh->bqnk", gradients["z", name, layer][rows].to(v), v)
                change = new["scores", name, layer].to(v) - own["scores", name, layer].to(v)
                change = change.nan_to_num(0, 0, 0)  # what is masked stays so
                shift = _of_sink(own, new, (name, layer), v)
                first = before * (change - (before * change).sum(-1, keepdim=True) + shift)
                for table, moved in ((found[side].whole, after - before), (found[side].seen, first)):
                    table[rows, layer, list(numbers)] = (slope * moved).sum((1, 3)).cpu().double()
    return found


def _seen(
    runs: Runs, base: Which, rows: slice, wanted: ActivationNumbers, fixed: Mapping[Where, torch.Tensor]
) -> dict[Where, torch.Tensor]:
    """What a pass leaves at some taps while others among them are fixed."""
    found: dict[Where, torch.Tensor] = {}

    def act(where: Where) -> Act:
        def fix(read: torch.Tensor) -> torch.Tensor:
            return fixed[where].to(read).expand_as(read)

        def keep(read: torch.Tensor) -> None:
            found[where] = read.detach().clone()

        return fix if where in fixed else keep

    acts = [(tap, act(tap.where)) for tap in tapped(runs.model, runs.anatomy, wanted)]
    try:
        with Attached(runs.model, lambda: once_each(acts, "recorded")):
            runs.call(runs.arguments(rows, base), runs.task.scored[rows])
    except RuntimeError as fault:  # the attention's: the model ran before
        raise NoPattern(brief(fault)) from fault
    return found


def _of_sink(
    own: Mapping[Where, torch.Tensor], new: Mapping[Where, torch.Tensor], at: tuple[str, int], like: torch.Tensor
) -> torch.Tensor:
    """What a sink adds to the first-order change, where scores are less their largest, which it is one of.

    Its own score then changes too, and is what is left of the pattern: that times its change.
    """
    changes, shares = [], []
    for seen in (own, new):
        pattern, scores = (seen[(kind, *at)].to(like) for kind in ("pattern", "scores"))
        most, where = pattern.max(-1, keepdim=True)
        share = (1 - pattern.sum(-1, keepdim=True)).clamp(min=0)
        shares.append(share)
        changes.append(share.log() + scores.gather(-1, where) - most.log())
    known = (shares[0] > 1e-6) & (shares[1] > 1e-6)
    return torch.where(known, -shares[0] * (changes[1] - changes[0]), 0).nan_to_num(0, 0, 0)


def _refuse_others(weighed: torch.Tensor, z: torch.Tensor, layer: int) -> None:
    """
    Raises:
        NoPattern: when z is made of more than the pattern and the values, as by a gate.
    """
    close = 3e-2 if z.dtype in (torch.bfloat16, torch.float16) else 1e-4
    if (weighed - wide(z)).norm() > close * weighed.norm().clamp(min=1e-30):
        raise NoPattern(f"z of layer {layer} is not its pattern times its values: something else acts on it")


def of_rows(values: torch.Tensor, rows: slice, n_rows: int) -> torch.Tensor:
    """What takes the place of activations of some rows, where it may be the same in all."""
    return values[rows] if len(values) == n_rows else values
