"""Nonsense for exercises."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import headgrid as hg
from headgrid import course
from headgrid.course.registry import REGISTRY
from nonsense.rows import CALLABLE, ONE, ROWS, VALUES, WHOLE, Row, each


def made(w: SimpleNamespace, **given: Any) -> course.Exercise:
    REGISTRY.clear()
    return course.Exercise(**{"name": "one", "grid": w.anatomy, "ask": "Which?", "answer": "l1h2", **given})


NUMBERS = (*WHOLE[:-1], "-1", "-10**30", "1.0", "0.5", "np.float32(0.5)")
FRACTIONS = ("0.5", "np.float32(0.5)")
FIXED = {"'nonsense'": "nonsense", "'l0\\x1b[31m'": "l0\\x1b[31m", "'\\ud800'": "\N{REPLACEMENT CHARACTER}"}

ROWS["Exercise(name=it)"] = Row(lambda w, it: made(w, name=it).name, FIXED)
ROWS["Exercise(ask=it)"] = Row(lambda w, it: made(w, ask=it).ask, FIXED)
ROWS["Exercise(grid=it)"] = Row(lambda w, it: made(w, grid=it).name)
ROWS["Exercise(answer=it)"] = Row(
    lambda w, it: made(w, answer=it).check("l1h2").state, each((NUMBERS, "open")), skip=CALLABLE
)
ROWS["Exercise(answer=it, kind='order')"] = Row(lambda w, it: made(w, answer=it, kind="order").state, skip=CALLABLE)
ROWS["Exercise(kind=it)"] = Row(lambda w, it: made(w, kind=it).name, {"None": "one"})
ROWS["Exercise(allow=it)"] = Row(lambda w, it: made(w, allow=it).name)
ROWS["Exercise(choices=it)"] = Row(lambda w, it: made(w, choices=it).name, {"None": "one"})
ROWS["Exercise(tolerance=it)"] = Row(
    lambda w, it: bool(made(w, answer=0.25, tolerance=it).check(0.25)),
    each((("None", *WHOLE[:-1], "1.0", "0.5", "np.float32(0.5)"), True)),
)
ROWS["Exercise(relative=it)"] = Row(
    lambda w, it: bool(made(w, answer=0.25, relative=it).check(0.25)), each((("None", *FRACTIONS), True))
)
ROWS["Exercise(unit=it)"] = Row(
    lambda w, it: made(w, unit=it).unit, {name: VALUES[name]() for name in VALUES if name[0] == "'"}
)
ROWS["Exercise(hints=it)"] = Row(lambda w, it: made(w, hints=it).name, each((("None", "{}"), "one")))
ROWS["Exercise(hide=it)"] = Row(lambda w, it: made(w, hide=it).name, each((("[]", "set()"), "one")))
ROWS["Exercise(points=it)"] = Row(
    lambda w, it: made(w, points=it).points,
    {**dict.fromkeys((*ONE, "1.0"), 1.0), **dict.fromkeys(FRACTIONS, 0.5), "10**30": 1e30},
)

ROWS["ex.check(it)"] = Row(lambda w, it: made(w).check(it).state, dict.fromkeys(VALUES, "open"))
ROWS["ex.check(it), of an order"] = Row(
    lambda w, it: made(w, answer=["l0h1", "l1h2"], kind="order").check(it).state, dict.fromkeys(VALUES, "open")
)
ROWS["ex.check(it), of a number"] = Row(
    lambda w, it: made(w, answer=0.25).check(it).state,
    {**dict.fromkeys(VALUES, "open"), **dict.fromkeys(NUMBERS, "wrong")},
)
ROWS["ex.check(it), of a choice"] = Row(
    lambda w, it: made(w, answer="a", choices=["a", "b"]).check(it).state, dict.fromkeys(VALUES, "open")
)


def guess() -> course.Prediction:
    REGISTRY.clear()
    return course.Prediction("guess", ask="How much?")


ROWS["guess.predict(it)"] = Row(
    lambda w, it: guess().predict(it).state, {**dict.fromkeys(VALUES, "open"), **dict.fromkeys(NUMBERS, "right")}
)


def revealed(it: Any) -> str:
    asked = guess()
    asked.predict(1)
    return asked.reveal(it).state


ROWS["guess.reveal(it)"] = Row(lambda w, it: revealed(it), dict.fromkeys(NUMBERS, "right"), skip=CALLABLE)
ROWS["course.seal(it)"] = Row(lambda w, it: course.seal(it).kind, dict.fromkeys(NUMBERS, "number"))
ROWS["course.sealed(it)"] = Row(lambda w, it: course.sealed(it))
ROWS["course.exercise(it)"] = Row(lambda w, it: (REGISTRY.clear(), course.exercise(it)))
ROWS["course.collect(it)"] = Row(lambda w, it: course.collect(it))
ROWS["Report.from_json(it)"] = Row(lambda w, it: course.Report.from_json(it))
ROWS["grid.saved.from_json(it)"] = Row(lambda w, it: hg.HeadGrid(w.anatomy).saved.from_json(it))
