"""What the exercises of this session came to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape

from headgrid.course.registry import REGISTRY
from headgrid.course.result import STATES, Result, digits, points_of
from headgrid.utils import arguments

COLUMNS = ("exercise", "kind", "answer", "points", "tries")


@dataclass(frozen=True)
class Report:
    """The last result of every exercise, in the order in which they were made.

    Attributes:
        rows: the results: name, kind, points, score, state and tries of each.
    """

    rows: tuple[Result, ...]

    @property
    def earned(self) -> float:
        """The points of all answers."""
        return sum(row.earned for row in self.rows)

    @property
    def points(self) -> float:
        """What all of them are worth."""
        return sum(row.points for row in self.rows)

    @property
    def said(self) -> str:
        """The sum in words: `3 of 5 points`."""
        return f"{digits(self.earned)} of {points_of(self.points)}"

    def __str__(self) -> str:
        if not self.rows:
            return "no exercise was made yet"
        wide = max(len(row.name) for row in self.rows)
        lines = [f"{STATES[row.state][0]} {row.name:<{wide}}  {row.said}" for row in self.rows]
        return "\n".join([*lines, self.said])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col" style="text-align:left">{name}</th>' for name in COLUMNS)
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{escape(row.name)}</th><td>{row.kind}</td>'
            f'<td style="text-align:left"><span aria-hidden="true">{STATES[row.state][0]}</span> '
            f"{STATES[row.state][1]}</td><td>{digits(row.earned)} of {digits(row.points)}</td><td>{row.tries}</td></tr>"
            for row in self.rows
        )
        return f"<table><caption>{escape(self.said)}</caption><tr>{head}</tr>{body}</table>"

    def to_json(self) -> str:
        """All rows as JSON; `from_json` reads them back."""
        return json.dumps({"report": [row.data() for row in self.rows]}, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Report:
        """The report that `to_json` wrote.

        Raises:
            ValueError: when it is none, naming what is wrong.
        """
        arguments.text("text", text, what="JSON, as to_json writes it")
        try:
            rows = json.loads(text)["report"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"this is no report as to_json writes it: {arguments.shown(text)}") from error
        return cls(tuple(map(Result.of_data, arguments.items("report", rows, "a list of results", empty=True))))


def report() -> Report:
    """What the exercises of this session came to, each by its last answer.

    Example:
        >>> headgrid.course.report()
        ✔ induction head  Right, 2 of 2 points
        2 of 2 points
    """
    return Report(tuple(REGISTRY.results()))
