"""Edges into one receiver: a number for each sender, with its interval, and beside it random writes as large."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float64

from headgrid.anatomy.anatomy import Anatomy
from headgrid.experiments.effects import normalized
from headgrid.experiments.metrics import UNITS
from headgrid.experiments.receipts import Receipt
from headgrid.selection.selection import Selection
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 10


@dataclass(frozen=True, eq=False, repr=False)
class Edges:
    """The effects of the direct edges from some senders into one receiver, each edge by itself.

    An effect is the metric after the intervention minus the metric before it, in the metric's units.

    Attributes:
        senders: the texts of the senders, in the order of a forward pass: `embed`, `l0h1`, `l0 mlp`.
        receiver: the text of the receiver: `l1h2.k`, `l2 mlp`, `logits`.
        values: `[n_senders]`, with an axis of positions after it where positions were asked for.
        rows: the same of each row of the task, `[rows, n_senders, ...]`.
        low, high: the bounds of the intervals over rows; NaN for a task of one row.
        controls: the effects of each sender's change turned in random directions, `[n_senders, n_controls]`; None
            without.
        anatomy: of which model.
        metric: the name of the metric.
        clean, corrupted: the metric of the untouched runs, the mean over rows; None without corrupted inputs.
        receipt: what this was computed from.
        notes: what a reader should know.
    """

    senders: tuple[str, ...]
    receiver: str
    values: Float64[torch.Tensor, "*axes"]
    rows: Float64[torch.Tensor, "*axes"]
    low: Float64[torch.Tensor, "*axes"]
    high: Float64[torch.Tensor, "*axes"]
    controls: Float64[torch.Tensor, "n_senders n_controls"] | None
    anatomy: Anatomy = field(repr=False)
    metric: str
    clean: float
    corrupted: float | None
    receipt: Receipt
    notes: tuple[str, ...] = ()

    @property
    def method(self) -> str:
        """What a sender's value was replaced by at the receiver's input."""
        return self.receipt.method

    @property
    def normalized(self) -> Float64[torch.Tensor, "*axes"]:
        """The effects as parts of the difference between the clean and the corrupted run.

        Raises:
            ValueError: when there are no corrupted inputs, or both runs score the same.
        """
        return normalized(self.values, self.clean, self.corrupted)

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes of `values`."""
        return tuple(self.values.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.values.numpy(), dtype=dtype)

    def __len__(self) -> int:
        return len(self.senders)

    def __getitem__(self, sender: str) -> float:
        """The effect of one edge, by its sender's text; summed over positions.

        Raises:
            KeyError: when it is no sender of these.
        """
        return float(self._summed[self.index(sender)])

    def index(self, sender: str) -> int:
        """The place of a sender in `values`.

        Raises:
            KeyError: when it is no sender of these.
            TypeError: when it is no text.
        """
        text = " ".join(arguments.text("the sender", sender, what="the text of one sender, such as 'l0h1'").split())
        found = text.lower()
        if found not in self.senders:
            raise KeyError(f"{arguments.shown(sender)} is not one of these senders: {', '.join(self.senders[:8])}, ...")
        return self.senders.index(found)

    @property
    def _summed(self) -> torch.Tensor:
        return self.values if self.values.ndim == 1 else self.values.sum(-1)

    @property
    def beyond(self) -> Float64[torch.Tensor, " n_senders"] | None:
        """For each edge the part of its random writes that do less, by size; None without any."""
        if self.controls is None:
            return None
        return (self.controls.abs() < self._summed.abs()[:, None]).double().mean(-1)

    def top(self, k: int, *, sign: Literal["both", "positive", "negative"] = "both") -> Selection:
        """The senders of the k largest edges, as a selection: by size, or only those above or below zero.

        Raises:
            TypeError: when k is no whole number.
            ValueError: when there are fewer.
        """
        sign = arguments.one_of("sign", sign, ("both", "positive", "negative"))
        key = {"both": self._summed.abs(), "positive": self._summed, "negative": -self._summed}[sign]
        n = len(key) if sign == "both" else int((key > 0).sum())
        k = arguments.integer("k", k, least=0, below=n + 1, what="a number of senders")
        return self._selection(key.argsort(descending=True, stable=True)[:k].tolist())

    def select(self, *, min: float | None = None, max: float | None = None) -> Selection:
        """The senders whose edge is at least `min`, or at most `max`, as a selection.

        Raises:
            ValueError: when neither is given.
        """
        if min is None and max is None:
            raise ValueError("select takes a bound: select(min=0.5), select(max=-0.5), or both")
        chosen = torch.ones(len(self.senders), dtype=torch.bool)
        if min is not None:
            chosen &= self._summed >= arguments.number("min", min)
        if max is not None:
            chosen &= self._summed <= arguments.number("max", max)
        return self._selection(chosen.nonzero().flatten().tolist())

    def _selection(self, places: list[int]) -> Selection:
        return self.anatomy.select([self.senders[at] for at in places])

    def random_range(self, at: int) -> tuple[float, float]:
        """The smallest and the largest effect of an edge's random writes, with their signs; NaN without any."""
        if self.controls is None:
            return float("nan"), float("nan")
        return float(self.controls[at].min()), float(self.controls[at].max())

    def line(self, at: int) -> str:
        """One edge in a line: its effect, its interval, and what random writes as large do."""
        said = f"{self.senders[at]:<8} -> {self.receiver:<8}{float(self._summed[at]):+10.4g}"
        if self.values.ndim == 1 and not self.low[at].isnan():
            said += f"   [{float(self.low[at]):+.4g}, {float(self.high[at]):+.4g}]"
        if self.controls is not None:
            low, high = self.random_range(at)
            said += f"   random writes: {low:+.3g} to {high:+.3g}"
        return said

    def __repr__(self) -> str:
        unit = UNITS.get(self.metric, "")
        axis = "" if self.values.ndim == 1 else f", by position ({self.values.shape[1]})"
        lines = [f"Edges into {self.receiver} on {self.metric}{f', {unit}' if unit else ''}: {self.method}{axis}; "
                 f"clean {self.clean:.4g}"
                 + ("" if self.corrupted is None else f", corrupted {self.corrupted:.4g}")]  # fmt: skip
        order = self._summed.abs().argsort(descending=True, stable=True).tolist()
        lines += [f"  {self.line(at)}" for at in order[:SHOWN]]
        if len(order) > SHOWN:
            most = float(self._summed[order[SHOWN]].abs())
            lines.append(f"  ... {len(order) - SHOWN} more, each at most {most:.3g}")
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each edge: its ends, its effect, its interval, and the smallest and largest of its random writes.

        Raises:
            ImportError: when pandas is not installed.
        """
        found = []
        for at, sender in enumerate(self.senders):
            row: dict[str, Any] = {"sender": sender, "receiver": self.receiver, "effect": float(self._summed[at])}
            if self.values.ndim == 1:
                row |= {"low": float(self.low[at]), "high": float(self.high[at])}
            if self.controls is not None:
                row |= dict(zip(("random_low", "random_high"), self.random_range(at), strict=True))
            found.append(row)
        return dataframe(found)
