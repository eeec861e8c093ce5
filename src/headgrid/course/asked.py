"""What exercises and predictions have in common: a name, a question, a grid that shows it, and a result."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, runtime_checkable

from headgrid.anatomy.anatomy import Anatomy
from headgrid.course import notebook
from headgrid.course.registry import REGISTRY
from headgrid.course.result import STATES, Result
from headgrid.course.sealing import Kind
from headgrid.models import dissect
from headgrid.selection.selection import Selection
from headgrid.utils import arguments
from headgrid.utils.warning import warn
from headgrid.widget.wire.schema import ExerciseState

LONGEST_NAME = 80
"""Characters of a name."""

LONGEST = 2000
"""Characters of a question."""

REPLACED = "Another exercise of this name was made since, so this one does not count any more: check that one."


@runtime_checkable
class AskedOf(Protocol):
    """A grid: what shows a question, and whose selection answers it."""

    anatomy: Anatomy
    selection: Any

    def ask(self, question: Any) -> None:
        """Show a question."""


class AskedQuestion:
    """A question with a name, and what its last answer came to."""

    def __init__(
        self, name: str, grid: Any, ask: str, kind: Kind, points: float, hide: Iterable[str], asked: tuple[Any, ...]
    ) -> None:
        self.name = _short("name", name, LONGEST_NAME)
        self.ask = _short("ask", ask, LONGEST)
        self.points = arguments.number("points", points, least=0, what="a number of points")
        given = [hide] if isinstance(hide, str) else arguments.items("hide", hide, "names of metrics", empty=True)
        self.hide = frozenset(arguments.text("each of hide", one) for one in given)
        self._grid: Any = grid if isinstance(grid, AskedOf) else None
        if self.hide and self._grid is None:
            raise ValueError("hide is for metrics of a grid, and there is none: give the HeadGrid that shows them")
        self._revealed = self._retired = False
        self._result = Result(self.name, kind, self.points, 0.0, "open", 0)
        if self._grid is not None:
            self._grid.ask(self)  # before it takes a name: it may be refused
        was, differs = REGISTRY.enter(self, (kind, self.ask, self.points, *asked), self._result)
        if was is not None:
            was.retire()
        if differs:
            warn(f"another exercise is called {self.name!r}: it is replaced by this one; give each a name of its own")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}): {self.ask}\n{self._result}"

    # ---- what it came to

    @property
    def result(self) -> Result:
        """The last result; of state "open" before there is any."""
        return self._result

    @property
    def solved(self) -> bool:
        """Whether the last answer was right."""
        return bool(self._result)

    @property
    def score(self) -> float:
        """Of the last answer, from 0 to 1."""
        return self._result.score

    @property
    def earned(self) -> float:
        """The points of the last answer."""
        return self._result.earned

    def require(self) -> Result:
        """The last result, where the answer is right: for pytest and other graders that go by exceptions.

        Raises:
            AssertionError: when it is not, with the feedback.
        """
        if not self._result:
            raise AssertionError(str(self._result) if self._result.feedback else f"{self._result}\nCheck it first.")
        return self._result

    # ---- for the grid that shows it

    @property
    def hidden(self) -> frozenset[str]:
        """The metrics that would give it away, until it is solved once."""
        return frozenset() if self._revealed or self._retired else self.hide

    @property
    def takes_clicks(self) -> bool:
        """Whether what is selected is an answer."""
        return False

    def clicked(self, selection: Selection) -> None:
        """Take what is selected for an answer; whoever asks this shows what it comes to."""
        raise ValueError("this question is answered in the notebook")

    def state(self) -> ExerciseState:
        """What the grid shows of it."""
        found = self._result
        return {
            "name": self.name, "ask": self.ask, "state": found.state, "sign": STATES[found.state][0],
            "said": found.said, "feedback": found.feedback, "line": found.line, "clicks": self.takes_clicks,
            "tries": found.tries, "pending": False,
        }  # fmt: skip

    def retire(self) -> None:
        """Another exercise has its name now: this one counts no more, and hides nothing."""
        self._retired = True

    # ---- for those that inherit

    @property
    def _code_name(self) -> str:
        """How Python calls it in this notebook."""
        return notebook.name_of(self, f"course.exercise({self.name!r})")

    def _keep(self, result: Result) -> Result:
        """Have this as the last result."""
        self._result = result
        self._revealed = self._revealed or bool(result)
        REGISTRY.tell(self, result)
        return result

    def _tell(self) -> None:
        """Have the grid show the last result."""
        if self._grid is not None and not self._retired:
            self._grid.ask(self)

    def _open(self, why: str) -> Result:
        """A result without an answer."""
        return self._with("open", 0.0, why)

    def _with(
        self, state: Any, score: float, feedback: str, answer: str = "", line: str = "", tries: int = 0
    ) -> Result:
        last = self._result
        return Result(self.name, last.kind, self.points, score, state, last.tries + tries, answer, feedback, line)


def anatomy_of(grid: Any) -> Anatomy | None:
    """The anatomy of a grid, or of whatever `headgrid.dissect` takes; None for None. Errors as of that."""
    if grid is None:
        return None
    return grid.anatomy if isinstance(grid, AskedOf) else dissect(grid)


def reason(fault: BaseException) -> str:
    """What an exception says, in its first line: without the place in a text that the others point at."""
    said = str(fault.args[0]) if isinstance(fault, KeyError) and fault.args else str(fault)
    return arguments.readable(said, most=LONGEST).partition("\n")[0].strip() or type(fault).__name__


def _short(name: str, value: Any, longest: int) -> str:
    text = " ".join(arguments.printable_lines(arguments.text(name, value)).split())
    if not 1 <= len(text) <= longest:
        raise ValueError(f"{name} has 1 to {longest:,} characters; this has {len(text):,}")
    return text
