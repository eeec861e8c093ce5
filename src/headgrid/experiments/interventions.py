"""Many interventions in one forward pass: each on a copy of the batch of its own, all in one batch.

Each copy has a mask of what is replaced in it. The layers below the first that is replaced are not run again
(`headgrid.experiments.copies`), so a sweep of all heads runs half of the model, in as few passes as memory allows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import torch

from headgrid.circuits.progress import Progress, steps
from headgrid.experiments.copies import CopiedBatch, copies_within, once_each
from headgrid.experiments.runs import Runs, Which
from headgrid.hooks.attached import Attached
from headgrid.hooks.found import tapped
from headgrid.hooks.positions import Positions
from headgrid.hooks.taps import Act, Tap
from headgrid.selection.activations import Where
from headgrid.selection.points import ActivationNumbers
from headgrid.torch_state import shielded

EffectMode: TypeAlias = Literal["zero", "mean", "resample", "patch"]
Values: TypeAlias = Mapping[Where, torch.Tensor]
"""What takes the place of activations: `[rows or 1, pos or 1, n, ...]`, of all that is wanted there."""

Masks: TypeAlias = Mapping[Where, torch.Tensor]
"""Which of them are replaced in each copy: `[copies, n]`, or one bool per copy where a layer has one."""

BUDGET = 2**29
"""The bytes that the activations of one pass may take, unless a budget is given."""


@dataclass
class Interventions:
    """Runs of a model on a task in which activations are replaced, many sets of them at a time.

    Args:
        runs: the model and the task.
        wanted: the activations that any of the sets may replace.
        positions: at which positions they are replaced; everywhere without.
        memory: the bytes that one pass may take.
    """

    runs: Runs
    wanted: ActivationNumbers
    positions: Positions | None = None
    memory: int = BUDGET

    @shielded()
    def recorded(self, which: Which) -> dict[Where, torch.Tensor]:
        """Every wanted activation on every row, `[rows, pos, n, ...]`."""
        kept: dict[Where, list[torch.Tensor]] = {where: [] for where in self.wanted}
        acts = [
            (tap, partial(_keep, kept[tap.where])) for tap in tapped(self.runs.model, self.runs.anatomy, self.wanted)
        ]
        for rows in self.runs.batches():
            with Attached(self.runs.model, lambda: once_each(acts, "recorded")):
                self.runs.run(rows, which)
        for where, found in kept.items():
            if len(found) != len(list(self.runs.batches())):
                raise ValueError(
                    f"layer {where[2]} runs {len(found)} times in a pass of {self.runs.anatomy.name}: sets of its "
                    "heads cannot be replaced in single runs of it; use headgrid.ablate"
                )
        return {where: torch.cat(found) for where, found in kept.items()}

    @shielded()
    def scores(
        self, masks: Masks, values: Values, which: Which = "clean", *, progress: Progress = False,
        cancelled: Callable[[], bool] | None = None, label: str = "running",
    ) -> torch.Tensor:  # fmt: skip
        """The metric of each row in each copy, `[copies, rows]`, float64 on the CPU.

        Args:
            masks: which activations each copy replaces.
            values: by what.
            which: the inputs that the model is run on.
            progress, cancelled, label: see `headgrid.circuits.progress`.
        """
        n = len(next(iter(masks.values())))
        found = torch.full((n, self.runs.task.n_rows), torch.nan, dtype=torch.float64)
        chunks = [(rows, chunk) for rows in self.runs.batches() for chunk in self._chunks(masks, n, rows)]
        batch = CopiedBatch(self.runs, which, chunks[0][0])
        for rows, chunk in steps(chunks, len(chunks), label, progress, cancelled):
            if rows != batch.rows:
                batch = CopiedBatch(self.runs, which, rows)
            some = {where: mask[chunk] for where, mask in masks.items() if mask[chunk].any()}
            found[chunk, rows] = self._pass(some, values, batch, chunk)
        return found

    def _chunks(self, masks: Masks, n: int, rows: slice) -> Iterator[torch.Tensor]:
        """The copies that go into one pass together: those that begin in one layer, as many as memory allows."""
        first = torch.full((n,), -1)
        for where, mask in sorted(masks.items(), key=lambda one: -one[0][2]):
            first[mask.reshape(n, -1).any(1).cpu()] = where[2]
        most = copies_within(self.memory, self.runs, rows.stop - rows.start)
        for layer in sorted(set(first.tolist())):
            these = (first == layer).nonzero().flatten()
            yield from these.split(most)

    def _pass(self, masks: Masks, values: Values, batch: CopiedBatch, chunk: torch.Tensor) -> torch.Tensor:
        if not masks:
            return batch.scores(1, [], 0).expand(len(chunk), -1)
        taps = tapped(self.runs.model, self.runs.anatomy, {where: self.wanted[where] for where in masks})
        acts = [(tap, self._act(tap, masks[tap.where], values[tap.where], batch.rows, chunk)) for tap in taps]
        return batch.scores(len(chunk), acts, min(where[2] for where in masks), short=True)

    def _act(self, tap: Tap, mask: torch.Tensor, values: torch.Tensor, rows: slice, chunk: torch.Tensor) -> Act:
        """What replaces the masked entries of a tap in each copy."""
        n, n_rows, total = len(chunk), rows.stop - rows.start, self.runs.task.n_rows

        def replace(read: torch.Tensor) -> torch.Tensor:
            each = read.reshape(n, n_rows, *read.shape[1:])
            new = values.to(read)
            new = new[rows] if len(new) == total else new
            here = mask.to(read.device).reshape(n, 1, 1, -1, *[1] * (tap.own - 1)) if mask.ndim > 1 else (
                mask.to(read.device).reshape(n, *[1] * (each.ndim - 1))
            )  # fmt: skip
            if self.positions is not None:
                ones = torch.zeros(n_rows, *read.shape[1:2], 1, device=read.device)
                full = torch.zeros(total, *read.shape[1:2], 1, device=read.device)
                at = self.positions.put(full, torch.ones_like(full[:, :1]), tap.name)[rows] if ones.numel() else full
                here = here & at.bool().reshape(1, n_rows, -1, *[1] * (each.ndim - 3))
            return torch.where(here, new, each).reshape(read.shape)

        return replace


def _keep(kept: list[torch.Tensor], read: torch.Tensor) -> None:
    kept.append(read.detach().clone())


def orders(n_rows: int, draws: int, seed: int) -> torch.Tensor:
    """For each draw the row that each row takes, another than itself, `[draws, rows]`."""
    generator = torch.Generator().manual_seed(seed)
    if n_rows < 2:
        raise ValueError("resampling takes what other rows have, and the task has one row: give it more")
    shift = torch.randint(1, n_rows, (draws, n_rows), generator=generator)
    return (torch.arange(n_rows) + shift) % n_rows


def mean_of(values: torch.Tensor, mask: torch.Tensor, per_position: bool) -> torch.Tensor:
    """The mean of recorded activations over rows, and over positions too unless each has its own; axes kept as 1."""
    wide = torch.promote_types(values.dtype, torch.float32)
    if per_position:
        return values.to(wide).mean(0, keepdim=True)
    counts = mask[:, -values.shape[1] :].to(values.device).bool().reshape(*values.shape[:2], *[1] * (values.ndim - 2))
    return values.where(counts, 0).sum((0, 1), keepdim=True, dtype=wide) / counts.sum().clamp(min=1)
