"""Composition on a task: what the edges of pairs whose weights are aligned carry, beside random writes as large."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch

from headgrid.circuits.composition import Composition, Pair
from headgrid.circuits.products import KINDS
from headgrid.experiments.edges import Edges
from headgrid.experiments.metrics import UNITS
from headgrid.experiments.paths import METHODS, PathMethod, paths
from headgrid.experiments.task import Task
from headgrid.selection.points import text_of
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frames import dataframe

if TYPE_CHECKING:
    import pandas as pd

LARGE = 0.1
"""The part of the largest edge below which an edge is called small."""


@dataclass(frozen=True)
class TriedPair:
    """A pair of heads that compose, and its edge on a task.

    Attributes:
        pair: the pair, with its score and z.
        edges: the edge, as `headgrid.paths` measured it, with its interval and its random writes.
        at: its place in `edges`.
    """

    pair: Pair
    edges: Edges
    at: int

    @property
    def effect(self) -> float:
        """What the edge carries, in the metric's units."""
        return float(self.edges.values[self.at])

    @property
    def low(self) -> float:
        """The lower bound of its interval over rows."""
        return float(self.edges.low[self.at])

    @property
    def high(self) -> float:
        """The upper bound of its interval over rows."""
        return float(self.edges.high[self.at])

    @property
    def random(self) -> tuple[float, float]:
        """The smallest and the largest effect of the source's change turned in random directions, with their signs."""
        return self.edges.random_range(self.at)

    @property
    def stands_out(self) -> bool:
        """Whether the edge does more, by size, than every random write, and its interval is on one side of zero."""
        beyond = self.edges.beyond
        return beyond is not None and float(beyond[self.at]) == 1 and not self.low <= 0 <= self.high


@dataclass(frozen=True, eq=False, repr=False)
class ComposedEdges:
    """The pairs of a `Composition` that are aligned most, and what their edges carry on a task.

    Attributes:
        tried: a `TriedPair` for each, those of largest z first.
        metric: the name of the metric.
        method: what took the place of a source's result.
        notes: what a reader should know.
    """

    tried: tuple[TriedPair, ...]
    metric: str
    method: str
    notes: tuple[str, ...]

    @property
    def largest(self) -> float:
        """The size of the largest of these edges."""
        return max((abs(one.effect) for one in self.tried), default=0.0)

    def verdict(self, one: TriedPair) -> Literal["carries", "small", "nothing beyond random"]:
        """What an edge comes to: "small" is less than a tenth of the largest one here."""
        if not one.stands_out:
            return "nothing beyond random"
        return "carries" if abs(one.effect) >= LARGE * self.largest else "small"

    def __len__(self) -> int:
        return len(self.tried)

    def __repr__(self) -> str:
        unit = UNITS.get(self.metric, "")
        lines = [f"Composition on a task: {self.metric}{f', {unit}' if unit else ''}, {self.method}",
                 f"  {'pair':<18}{'z':>7}{'edge':>12}   {'interval':<24}random writes"]  # fmt: skip
        for one in self.tried:
            ends = f"{one.pair.kind.upper()} {one.edges.senders[one.at]} -> {one.edges.receiver}"
            between = f"[{one.low:+.3g}, {one.high:+.3g}]"
            random = "{:+.3g} to {:+.3g}".format(*one.random)
            lines.append(f"  {ends:<18}{one.pair.z:7.1f}{one.effect:+12.4g}   {between:<24}{random:<24}"
                         f"{self.verdict(one)}")  # fmt: skip
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    def to_dataframe(self) -> pd.DataFrame:
        """One row for each pair: its kind, ends, score and z, its edge with its interval, and its random writes.

        Raises:
            ImportError: when pandas is not installed.
        """
        return dataframe([
            {"kind": one.pair.kind, "source": one.edges.senders[one.at], "receiver": one.edges.receiver,
             "value": one.pair.value, "z": one.pair.z, "edge": one.effect, "low": one.low, "high": one.high,
             "random_low": one.random[0], "random_high": one.random[1], "verdict": self.verdict(one)}
            for one in self.tried
        ])  # fmt: skip


@shielded()
def composition_edges(
    composition: Composition, model: torch.nn.Module, task: Task, n: int = 4, *, kinds: Iterable[str] = KINDS,
    method: PathMethod | None = None, controls: int = 20, seed: int = 0, **options: Any,
) -> ComposedEdges:  # fmt: skip
    """What the pairs of a composition that are aligned most carry on a task, beside random writes as large.

    Args:
        composition: of this model, as `headgrid.compose` gives it.
        model, task: as of `headgrid.paths`.
        n: how many pairs, those of largest z.
        kinds: which of `q`, `k` and `v`.
        method: as of `headgrid.paths`.
        controls, seed: in how many random directions each source's change is turned; at least one.
        options: more arguments of `headgrid.paths`.

    Returns:
        `ComposedEdges`.

    Raises:
        TypeError, ValueError: for arguments that do not fit each other, as in `headgrid.paths`.
    """
    arguments.of_kind("composition", composition, Composition, "a Composition, as headgrid.compose makes it")
    controls = arguments.integer("controls", controls, least=1, below=10_001, what="a number of random directions")
    pairs = composition.top(arguments.integer("n", n, least=1, what="a number of pairs"), kinds=kinds)
    if not pairs:
        raise ValueError("no pair of this composition is above random: there is nothing to try")
    if method is not None:
        arguments.one_of("method", method, METHODS)
    name = composition.stack
    into: dict[tuple[str, int, int], list[str]] = {}
    for pair in pairs:
        into.setdefault((pair.kind, *pair.target), []).append(text_of(("z", name, pair.source[0]), pair.source[1:]))
    found = {
        (kind, layer, head): paths(
            model, task, list(dict.fromkeys(senders)), f"{name} l{layer}h{head}.{kind}".lstrip(), method=method,
            controls=controls, seed=seed, **options,
        )
        for (kind, layer, head), senders in into.items()
    }  # fmt: skip
    tried = []
    for pair in pairs:
        edges = found[pair.kind, *pair.target]
        tried.append(TriedPair(pair, edges, edges.index(text_of(("z", name, pair.source[0]), pair.source[1:]))))
    notes = dict.fromkeys(note for edges in found.values() for note in edges.notes)
    notes[f"Random writes are the source's change turned in {controls} random directions."] = None
    return ComposedEdges(tuple(tried), task.metric_name, tried[0].edges.method, tuple(notes))
