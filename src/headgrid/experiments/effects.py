"""Effects of heads on a task: a number for each, with its method, its interval and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float64

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.experiments.metrics import UNITS
from headgrid.experiments.receipts import Receipt
from headgrid.selection.selection import Selection
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

Unit = Literal["head", "q", "k", "v", "mlp", "neuron", "layer"]
WORDS: dict[Unit, str] = {
    "head": "l{0}h{1}", "q": "l{0}h{1}.q", "k": "l{0}g{1}.k", "v": "l{0}g{1}.v", "mlp": "l{0} mlp",
    "neuron": "l{0} mlp n{1}", "layer": "l{0}",
}  # fmt: skip
"""The text of the part that a number is of."""


def text_of_part(stack: Stack, unit: Unit, layer: int, number: int = 0) -> str:
    """The text of a part of a stack: `l1h2`, `l1g0.k`, `l0 mlp`."""
    return f"{stack.name} {WORDS[unit].format(layer, number)}".lstrip()


@dataclass(frozen=True, eq=False)
class PerPart:
    """A number for every head (or query, key/value head, MLP, neuron, layer) of a stack.

    Attributes:
        values: `[n_layers, n]`, perhaps with more axes, such as positions; NaN where there is none.
        anatomy, stack: of which model.
        unit: "head", "q", "k", "v", "mlp", "neuron" or "layer".
    """

    values: Float64[torch.Tensor, "*axes"]
    anatomy: Anatomy
    stack: Stack
    unit: Unit

    @property
    def shape(self) -> tuple[int, ...]:
        """The axes of `values`."""
        return tuple(self.values.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.values.numpy(), dtype=dtype)

    def __getitem__(self, what: str | tuple[int, int]) -> float:
        """The number of one head, by its text or its layer and number; summed over positions.

        Raises:
            KeyError: when there is no such head among these.
        """
        if isinstance(what, str):
            said = "".join(what.lower().split())
            hits = [at for at in self._places() if self.text(*at).replace(" ", "") == said]
            if not hits:
                hits = [at for at in self._places() if self.anatomy.select(self.text(*at)) == self.anatomy.select(what)]
        else:
            pair = tuple(what) if isinstance(what, tuple | list) else ()
            hits = [at for at in self._places() if at == pair]
        if not hits:
            raise KeyError(f"{arguments.shown(what)} is not one of these {self.unit}s")
        return float(self.values[hits[0]].sum())

    def _places(self) -> Iterator[tuple[int, int]]:
        flat = self.values.reshape(*self.values.shape[:2], -1)
        yield from map(tuple, (~flat.isnan().any(-1)).nonzero().tolist())

    def text(self, layer: int, number: int = 0) -> str:
        """The text of the part that a number is of: `l1h2`, `l0 mlp`."""
        return text_of_part(self.stack, self.unit, layer, number)

    def top(self, k: int, *, sign: Literal["both", "positive", "negative"] = "both") -> Selection:
        """The k parts with the largest numbers, as a selection: by their size, or only those above or below zero.

        Raises:
            TypeError: when k is no whole number.
            ValueError: when there are fewer.
        """
        sign = arguments.one_of("sign", sign, ("both", "positive", "negative"))
        flat = self._by_part()
        key = {"both": flat.abs(), "positive": flat, "negative": -flat}[sign]
        n = int((~key.isnan()).sum())
        k = arguments.integer("k", k, least=0, below=n + 1, what=f"a number of {self.unit}s")
        best = key.nan_to_num(-np.inf).flatten().argsort(descending=True, stable=True)[:k]
        return self._selection([divmod(int(one), flat.shape[1]) for one in best])

    def select(self, *, min: float | None = None, max: float | None = None) -> Selection:
        """The parts whose number is at least `min`, or at most `max`, as a selection.

        Raises:
            ValueError: when neither is given.
        """
        if min is None and max is None:
            raise ValueError("select takes a bound: select(min=0.5), select(max=-0.5), or both")
        flat = self._by_part()
        chosen: Bool[torch.Tensor, "n_layers n"] = ~flat.isnan()
        if min is not None:
            chosen &= flat >= arguments.number("min", min)
        if max is not None:
            chosen &= flat <= arguments.number("max", max)
        return self._selection([(layer, number) for layer, number in chosen.nonzero().tolist()])

    def to_colors(self) -> npt.NDArray[np.float64] | dict[str, npt.NDArray[np.float64]]:
        """The numbers as `HeadGrid.color_by` takes them: over positions and neurons their sum, one for each MLP.

        Those of keys and values are each head's that reads them.
        """
        numbers = self._by_part().numpy()
        if self.unit in ("head", "q"):
            found = numbers
        elif self.unit in ("k", "v"):
            found = numbers[:, self.stack.kv_head_of]
        else:
            found = numbers[:, 0] if numbers.shape[1] == 1 else np.where(
                np.isnan(numbers).all(1), np.nan, np.nansum(numbers, 1)
            )  # fmt: skip
        return found if self.stack is self.anatomy.main else {self.stack.name: found}

    def _by_part(self) -> torch.Tensor:
        """One number for each part: over positions their sum."""
        return self.values if self.values.ndim == 2 else self.values.flatten(2).sum(-1)

    def _selection(self, places: Sequence[tuple[int, int]]) -> Selection:
        return self.anatomy.select([self.text(*at) for at in places])


@dataclass(frozen=True, eq=False)
class Effects(PerPart):
    """The effect of every head (or MLP, or layer) of a stack on a task, each by itself.

    An effect is the metric after the intervention minus the metric before it, in the metric's units.

    Attributes:
        values: `[n_layers, n]`, with an axis of positions after it where positions were asked for; NaN where there is
            no such head.
        rows: the same of each row of the task, `[rows, n_layers, n, ...]`; None where a method has no such numbers.
        low, high: the bounds of an interval over rows; None where a method has none.
        anatomy, stack: of which model.
        unit: "head", "q", "k", "v", "mlp", "neuron" or "layer".
        metric: the name of the metric.
        clean, corrupted: the metric of the untouched runs, the mean over rows; None without corrupted inputs.
        receipt: what this was computed from.
        notes: what a reader should know: which numbers may mislead, and why.
        errors: of a method that approximates, the largest error among the heads that were measured exactly; else None.
        exact: of a method that approximates, the effects that were measured exactly, by the text of their part.
    """

    metric: str
    clean: float
    corrupted: float | None
    receipt: Receipt
    rows: Float64[torch.Tensor, "*axes"] | None = None
    low: Float64[torch.Tensor, "*axes"] | None = None
    high: Float64[torch.Tensor, "*axes"] | None = None
    notes: tuple[str, ...] = ()
    errors: float | None = None
    exact: Mapping[str, float] = field(default_factory=dict)

    @property
    def method(self) -> str:
        """How the effects were computed."""
        return self.receipt.method

    @property
    def normalized(self) -> Float64[torch.Tensor, "*axes"]:
        """The effects as parts of the difference between the clean and the corrupted run.

        Raises:
            ValueError: when there are no corrupted inputs, or both runs score the same.
        """
        return normalized(self.values, self.clean, self.corrupted)

    def __repr__(self) -> str:
        unit = UNITS.get(self.metric, "")
        said = f"{self.metric}{f', {unit}' if unit else ''}"
        axis = "" if self.values.ndim == 2 else f", by position ({self.values.shape[2]})"
        lines = [f"Effects of each {self.unit} on {said}: {self.receipt.method}{axis}; clean {self.clean:.4g}"
                 + ("" if self.corrupted is None else f", corrupted {self.corrupted:.4g}")]  # fmt: skip
        flat = self._by_part()
        order = flat.abs().nan_to_num(-1).flatten().argsort(descending=True, stable=True).tolist()
        for one in order[: min(8, int((~flat.isnan()).sum()))]:
            at = divmod(one, flat.shape[1])
            interval = ""
            if self.low is not None and self.high is not None and self.values.ndim == 2:
                interval = f"   [{float(self.low[at]):+.4g}, {float(self.high[at]):+.4g}]"
            lines.append(f"  {self.text(*at):<10}{float(flat[at]):+10.4g}{interval}")
        if len(order) > 8:
            lines.append(f"  ... {len(order) - 8} more, each at most {float(flat.flatten()[order[8]].abs()):.3g}")
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each part: its layer, number and effect, its interval where there is one.

        Raises:
            ImportError: when pandas is not installed.
        """
        flat = self._by_part()
        found = []
        for at in self._places():
            row: dict[str, Any] = {"part": self.text(*at), "layer": at[0], self.unit: at[1], "effect": float(flat[at])}
            if self.low is not None and self.high is not None and self.values.ndim == 2:
                row |= {"low": float(self.low[at]), "high": float(self.high[at])}
            found.append(row)
        return dataframe(found)


def normalized(values: torch.Tensor, clean: float, corrupted: float | None) -> torch.Tensor:
    """Effects as parts of the difference between the clean and the corrupted run.

    Raises:
        ValueError: when there are no corrupted inputs, or both runs score the same.
    """
    if corrupted is None:
        raise ValueError("effects are normalized by clean minus corrupted, and the task has no corrupted inputs")
    if clean == corrupted:
        raise ValueError(f"the clean and the corrupted run both score {clean:.4g}: there is nothing to divide by")
    return values / (clean - corrupted)


@shielded()
def interval(
    rows: torch.Tensor, *, confidence: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The bounds of the mean over rows, by the bootstrap of percentiles (Efron 1979); NaN of a single row.

    Args:
        rows: `[rows, ...]`.
        confidence: how much lies between the bounds.
        draws: how often the rows are drawn anew.
        seed: of the draws.

    Returns:
        Two tensors without the axis of rows.
    """
    if len(rows) < 2:
        nothing = torch.full(rows.shape[1:], torch.nan, dtype=torch.float64)
        return nothing, nothing
    return _bounds(_resampled_means(rows, draws, seed), confidence)


@dataclass(frozen=True)
class Interval:
    """A number with the bounds of an interval over rows, by the bootstrap of percentiles; NaN for those of one row."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f}" + ("" if np.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]")

    def named(self) -> dict[str, float]:
        """Its numbers by their names."""
        return {"value": self.value, "low": self.low, "high": self.high}


@shielded()
def ratio(
    over: torch.Tensor, under: torch.Tensor, *, confidence: float = 0.95, draws: int = 1000, seed: int = 0
) -> Interval:
    """The ratio of the means of two numbers of each row, with its interval: both are drawn anew together.

    Args:
        over, under: `[rows]`.
        confidence, draws, seed: as in `interval`.

    Returns:
        The interval; NaN where the second mean is 0.
    """
    pair = torch.stack([over.double(), under.double()], 1)
    value = float(pair[:, 0].mean() / pair[:, 1].mean()) if float(pair[:, 1].mean()) else float("nan")
    if len(pair) < 2 or not np.isfinite(value):
        return Interval(value, float("nan"), float("nan"))
    means = _resampled_means(pair, draws, seed)
    low, high = _bounds(means[:, 0] / means[:, 1], confidence)
    return Interval(value, float(low), float(high))


def _resampled_means(rows: torch.Tensor, draws: int, seed: int) -> torch.Tensor:
    """The means over rows that are drawn anew, `[draws, ...]`."""
    n = len(rows)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(n, (draws, n), generator=generator)
    weights = torch.zeros(draws, n, dtype=torch.float64).scatter_add_(
        1, drawn, torch.ones(draws, n, dtype=torch.float64)
    )
    return ((weights / n) @ rows.double().reshape(n, -1)).reshape(draws, *rows.shape[1:])


def _bounds(means: torch.Tensor, confidence: float) -> tuple[torch.Tensor, torch.Tensor]:
    ends = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = torch.quantile(means, ends, dim=0)
    return low, high
