"""Nonsense for experiments on inputs."""

from __future__ import annotations

from functools import cache

import headgrid as hg
from headgrid.experiments import directions, smallest_circuit
from headgrid.experiments.smallest import CircuitSearch
from nonsense.figures import AX, SEVERAL
from nonsense.rows import CALLABLE, FALSE, ONE, ROWS, TRUE, WHOLE, Row, each, world

NUMBERS = ("0.5", "1.0", "np.float32(0.5)")


@cache
def task() -> hg.Task:
    return hg.Task.names(world().tokenizer, 3)


@cache
def searched() -> CircuitSearch:
    return smallest_circuit(world().small, task(), exhaustive=0)


def faithful(found: object) -> bool:
    return abs(float(found) - 1) < 0.3  # type: ignore[arg-type]


def smallest(found: CircuitSearch) -> bool:
    return found.smallest is not None and len(found.curve) > 2


ROWS["faithfulness(it, ...)"] = Row(lambda w, it: hg.faithfulness(it, task(), "l1h3"))
ROWS["faithfulness(..., it, ...)"] = Row(lambda w, it: hg.faithfulness(w.small, it, "l1h3"))
ROWS["faithfulness(..., it)"] = Row(
    lambda w, it: hg.faithfulness(w.small, task(), it, controls=0),
    each((("''", "[]", "set()"), lambda found: float(found) == 0)),
    {"a neuron": lambda: "l0 mlp", "a query": lambda: "l1h2.q", "a point": lambda: "l1 out"},
)
for name, row in {
    "mode": Row(lambda w, it: hg.faithfulness(w.small, task(), "l1h[0,3]", mode=it)),
    "mlps": Row(lambda w, it: hg.faithfulness(w.small, task(), "l1h[0,3]", mlps=it, controls=0),
                each(((*TRUE, *FALSE), faithful))),
    "controls": Row(lambda w, it: len(hg.faithfulness(w.small, task(), "l1h[0,3]", controls=it).controls),
                    each((ONE, 1)), {"very many": lambda: 10_001}),
    "stack": Row(lambda w, it: hg.faithfulness(w.small, task(), "l1h[0,3]", stack=it, controls=0),
                 each((("None", "''"), faithful))),
    "per_position": Row(lambda w, it: hg.faithfulness(w.small, task(), "l*h*", per_position=it, controls=0),
                        each((("None", *TRUE, *FALSE), faithful))),
    "reference": Row(lambda w, it: hg.faithfulness(w.small, task(), "l1h[0,3]", reference=it, controls=0),
                     {"None": faithful}),
    "cancelled": Row(lambda w, it: hg.faithfulness(w.small, task(), "l1h[0,3]", cancelled=it, controls=0),
                     {"None": faithful}, skip=CALLABLE),
}.items():  # fmt: skip
    ROWS[f"faithfulness({name}=it)"] = row

ROWS["smallest_circuit(tolerance=it)"] = Row(
    lambda w, it: smallest_circuit(w.small, task(), tolerance=it, exhaustive=0),
    each(((*ONE, *NUMBERS, "10**30"), smallest)),
)
ROWS["smallest_circuit(direction=it)"] = Row(lambda w, it: smallest_circuit(w.small, task(), direction=it))
ROWS["smallest_circuit(at_once=it)"] = Row(
    lambda w, it: smallest_circuit(w.small, task(), at_once=it, exhaustive=0), each((WHOLE, smallest)),
    {"0": lambda: 0},
)  # fmt: skip
ROWS["smallest_circuit(exhaustive=it)"] = Row(
    lambda w, it: smallest_circuit(w.small, task(), exhaustive=it), each((ONE, smallest)),
    skip=("10**30", "10**5000"),
)  # fmt: skip
ROWS["sweep(method='gate', seeds=it)"] = Row(
    lambda w, it: len(hg.sweep(w.small, task().rows(slice(1)), "gate", seeds=it).each), each((ONE, 1)),  # type: ignore[attr-defined]
    {"0": lambda: 0}, skip=("10**30", "10**5000"),
)  # fmt: skip
ROWS["sweep(push=it)"] = Row(
    lambda w, it: hg.sweep(w.small, task().rows(slice(1)), "zero", push=it).shape,
    each(((*ONE, *NUMBERS, "10**30"), (2, 4))),
)
ROWS["directions(..., it)"] = Row(lambda w, it: directions(w.small, task(), it, ks=[1], controls=0))
ROWS["directions(ks=it)"] = Row(
    lambda w, it: directions(w.small, task(), "l1h2", ks=it, controls=0).ks.tolist(),
    {"None": [*range(25)]},
    own={"beyond all": lambda: [25], "a part": lambda: [0.5]},
)
ROWS["directions(keep=it)"] = Row(
    lambda w, it: directions(w.small, task(), "l1h2", ks=[1], keep=it, controls=0).kept,
    each((TRUE, True), (FALSE, False)),
)
ROWS["directions(controls=it)"] = Row(
    lambda w, it: directions(w.small, task(), "l1h2", ks=[1], controls=it).controls.shape[1], each((ONE, 1))
)
ROWS["plots.faithfulness(it)"] = Row(lambda w, it: hg.plots.faithfulness(it))
ROWS["plots.faithfulness(ax=it)"] = Row(lambda w, it: hg.plots.faithfulness(searched(), ax=it), AX, SEVERAL)
