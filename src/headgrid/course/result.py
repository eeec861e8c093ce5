"""What a check came to: in words, as HTML, and as the data that a page of results is collected from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from html import escape
from typing import Any, get_args

from headgrid.course import notebook
from headgrid.course.sealing import KINDS, Kind
from headgrid.utils import arguments
from headgrid.widget.wire.schema import AnswerState

MIME = "application/vnd.headgrid.exercise+json"
"""The type under which a result stands in a notebook's outputs, beside its text and its HTML."""

STATES: dict[AnswerState, tuple[str, str]] = {
    "open": ("\N{WHITE CIRCLE}", "Not answered"),
    "right": ("\N{HEAVY CHECK MARK}", "Right"),
    "partly": ("\N{CIRCLE WITH LEFT HALF BLACK}", "Partly right"),
    "wrong": ("\N{HEAVY BALLOT X}", "Not yet"),
}
"""State of an answer -> its sign, and its word."""

COLORS: dict[AnswerState, str] = {"open": "#76808b", "right": "#1a7f4b", "partly": "#b58100", "wrong": "#c2410c"}
"""Of the bar beside a result; its sign and word say the same."""

LONGEST = 4000
"""Characters of a text in a result."""


@dataclass(frozen=True)
class Result:
    """What a check came to. It is true where the answer is right.

    Attributes:
        name: of the exercise.
        kind: of its answer.
        points: what the exercise is worth.
        score: from 0 to 1.
        state: "right", "partly" (right in part), "wrong", or "open" where there is no answer that can be graded.
        tries: how many answers were graded.
        answer: the answer in Python, `"l1h2"`; "" where there is none.
        feedback: the likely mistake, or why there is no answer.
        line: what to write into the notebook, so that the answer stays: `ex.check("l1h2")`; "" where it stands there.
    """

    name: str
    kind: Kind
    points: float
    score: float
    state: AnswerState
    tries: int
    answer: str = ""
    feedback: str = ""
    line: str = ""

    def __bool__(self) -> bool:
        return self.state == "right"

    @property
    def earned(self) -> float:
        """The points: `score` of them."""
        return self.score * self.points

    @property
    def said(self) -> str:
        """The state and the points in a few words: `Right, 2 of 2 points`."""
        return f"{STATES[self.state][1]}, {digits(self.earned)} of {points_of(self.points)}"

    def __str__(self) -> str:
        keep = f"To keep this answer in the notebook, write: {self.line}" if self.line else ""
        return "\n".join(filter(None, [f"{STATES[self.state][0]} {self.name}: {self.said}", self.feedback, keep]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        sign, _ = STATES[self.state]
        keep = f"<br>To keep this answer in the notebook, write: <code>{escape(self.line)}</code>" if self.line else ""
        said = f"<br>{escape(self.feedback)}" if self.feedback else ""
        return (
            f'<div role="status" style="border-left:4px solid {COLORS[self.state]};padding:2px 12px;margin:4px 0">'
            f'<b><span aria-hidden="true">{sign}</span> {escape(self.name)}: {escape(self.said)}</b>{said}{keep}</div>'
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {"text/plain": str(self), "text/html": self._repr_html_(), MIME: self.data()}

    def _ipython_display_(self) -> None:
        if not notebook.is_shown(self):
            self.show()

    def show(self) -> None:
        """Show it below the cell that runs now; nothing where there is no notebook."""
        notebook.show(self._repr_mimebundle_(), self)

    def data(self) -> dict[str, Any]:
        """Its fields, as JSON has them."""
        return {"version": 1, **asdict(self)}

    @classmethod
    def of_data(cls, data: Any) -> Result:
        """The result of such fields, which may have been written by anybody.

        Raises:
            ValueError: when they are no result, naming what is wrong.
        """
        if not isinstance(data, Mapping) or data.get("version") != 1:
            raise ValueError("a result of an exercise has version 1; this one is of another version, or is none")
        try:
            found = {one.name: data[one.name] for one in fields(cls)}
            for name in ("name", "answer", "feedback", "line"):
                found[name] = arguments.text(name, found[name])[:LONGEST]
            found["kind"] = arguments.one_of("kind", found["kind"], KINDS)
            found["state"] = arguments.one_of("state", found["state"], get_args(AnswerState))
            found["points"] = arguments.number("points", found["points"], least=0)
            found["score"] = arguments.number("score", found["score"], least=0)
            found["tries"] = arguments.integer("tries", found["tries"], least=0)
        except (KeyError, TypeError, ValueError) as fault:
            raise ValueError(f"this is no result of an exercise: {arguments.brief(fault)}") from fault
        if found["score"] > 1 or (found["state"] == "right") != (found["score"] == 1):
            raise ValueError(
                f"a result has a score from 0 to 1, and 1 where it is right; this one has {found['score']}"
            )
        return cls(**found)


def digits(value: float) -> str:
    """A number of points: whole where it is, else with two decimals at most."""
    return f"{value:.0f}" if math.isclose(value, round(value)) else f"{value:.2f}".rstrip("0")


def points_of(value: float) -> str:
    """A number of points with its noun."""
    return f"{digits(value)} point{'' if value == 1 else 's'}"
