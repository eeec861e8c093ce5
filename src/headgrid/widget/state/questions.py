"""The questions that are asked of a grid, and the metrics that would give their answers away.

What is hidden is taken out of what is shown, in one place: `without`. Python goes on computing it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from headgrid.experiments.head_types import LABELS
from headgrid.selection.selection import Selection
from headgrid.widget.wire.empty import NO_COLORS, NO_EFFECT, NO_TABLE
from headgrid.widget.wire.schema import Circuit, Colors, ExerciseState, HeadsTable, LiveView, Metric

HIDDEN = "Hidden until the exercise is solved"
"""What stands in the place of what is not shown."""

SCORES = {
    "copying_score": {("ov", "copying score"), ("ov", "top-1 copying")},
    **{
        f"{tab}_{name}": {(tab, label)}
        for tab in ("ov", "qk")
        for name, label in (("norm", "norm"), ("stable_rank", "stable rank"), ("entropy_rank", "entropy rank"))
    },
}
"""Metric -> the tabs of the inspector, and the names there, under which it stands."""


class GridQuestion(Protocol):
    """A question that is asked of a grid."""

    name: str

    @property
    def hidden(self) -> frozenset[str]:
        """The metrics that would give its answer away, as long as they are to be hidden."""

    def state(self) -> ExerciseState:
        """What is shown of it."""

    def clicked(self, selection: Selection) -> None:
        """Grade what is selected as its answer; whatever shows it asks for `state` again afterwards."""


class GridQuestions:
    """The questions that were asked of one grid; it shows the last, and all that are not solved hide metrics.

    Attributes:
        last: the question that is asked now; None for none.
    """

    def __init__(self) -> None:
        self.last: GridQuestion | None = None
        self._every: dict[str, GridQuestion] = {}

    def ask(self, question: GridQuestion) -> None:
        """Ask a question; it takes the place of another of its name."""
        self._every[question.name] = self.last = question

    def take_over(self, other: GridQuestions) -> None:
        """Hide what another grid of the same model hides; no question is asked by that."""
        self._every |= other._every

    @property
    def hidden(self) -> frozenset[str]:
        """The metrics that are not to be shown."""
        return frozenset().union(*(one.hidden for one in self._every.values()))


def without(trait: str, shown: Any, hidden: frozenset[str]) -> Any:
    """What is sent as a trait, without the numbers of some metrics; the value itself where it has none of them."""
    value: Any = shown
    if not hidden or not isinstance(shown, Mapping | list):
        return shown
    match trait:
        case "spec":
            return {**value, "metrics": _metrics(value["metrics"], hidden)}
        case "summary":
            return {**value, "circuits": _circuits(value["circuits"], hidden)}
        case "precomputed":
            return [without("summary", one, hidden) for one in value]
        case "selected_heads":
            heads = [{**one, "circuits": _circuits(one["circuits"], hidden)} for one in value["heads"]]
            summed = value["summed"]
            return {**value, "heads": heads, "summed": summed and _circuits([summed], hidden)[0]}
        case "live":
            return _live(value, hidden)
        case "precomputed_live":
            return [_live(one, hidden) for one in value]
        case "effect":
            return (
                {**NO_EFFECT, "error": HIDDEN} if "effect" in hidden and value["text"] != NO_EFFECT["text"] else value
            )
        case "heads_table":
            return _table(value, hidden)
        case "colors":
            return _colors(value, hidden)
        case "precomputed_colors":
            return [one for one in value if one["metric"] not in hidden]
    return value


def _metrics(metrics: list[Metric], hidden: frozenset[str]) -> list[Metric]:
    return [one for one in metrics if one["name"] not in hidden]


def _circuits(circuits: list[Circuit], hidden: frozenset[str]) -> list[Circuit]:
    """Circuits without scores that are hidden; where the largest singular value is, without all of them."""
    places = set[tuple[str, str]]().union(*(SCORES.get(name, set()) for name in hidden))
    found: list[Circuit] = []
    for one in circuits:
        scores = [score for score in one["scores"] if (one["tab"], score["name"]) not in places]
        kept: Circuit = {**one, "scores": scores}
        if f"{one['tab']}_top" in hidden:
            kept = {**kept, "n_values": 0, "spectrum": [], "directions": []}
        found.append(kept)
    return found


def _live(view: LiveView, hidden: frozenset[str]) -> dict[str, Any]:
    names = {LABELS[name] for name in hidden & LABELS.keys()}
    heads = [{**one, "scores": [s for s in one["scores"] if s["name"] not in names]} for one in view["heads"]]
    return {**view, "heads": heads}


def _table(table: HeadsTable, hidden: frozenset[str]) -> HeadsTable:
    kept = [i for i, one in enumerate(table["columns"]) if one["name"] not in hidden]
    if len(kept) == len(table["columns"]):
        return table
    values = np.frombuffer(table["values"], dtype="<f4").reshape(len(table["cells"]), len(table["columns"]))
    columns = [table["columns"][i] for i in kept]
    return {**NO_TABLE, **table, "columns": columns, "values": values[:, kept].tobytes()}


def _colors(colors: Colors, hidden: frozenset[str]) -> Colors:
    return {**NO_COLORS, "recolor": colors["recolor"], "error": HIDDEN} if colors["metric"] in hidden else colors
