"""Direct contributions of every part to a logit, as a table that sums."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from headgrid.experiments.effects import Effects


@dataclass(frozen=True, eq=False)
class Contributions(Effects):
    """What each part writes along the answer's direction, in logits; the terms sum to `clean`.

    Attributes:
        terms: every term by its name, a number for each row: "embed", "pos", "l0h1", "l0.b_O", "l0 mlp",
            "ln_final.b", "unembed.b". `values` and `rows` are those of heads.
    """

    terms: Mapping[str, torch.Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        means = {name: float(rows.mean()) for name, rows in self.terms.items()}
        order = sorted(means, key=lambda name: -abs(means[name]))
        shown, rest = order[:12], order[12:]
        lines = [f"Direct contributions to {self.metric}, logits: {len(next(iter(self.terms.values())))} rows"]
        lines += [f"  {name:<14}{means[name]:+10.4g}" for name in shown]
        if rest:
            lines.append(f"  {f'{len(rest)} more':<14}{sum(means[name] for name in rest):+10.4g}")
        lines.append(f"  {'sum':<14}{sum(means.values()):+10.4g}")
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])
