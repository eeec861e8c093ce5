"""Nonsense for the library of circuits."""

from __future__ import annotations

from functools import cache

import transformers

import headgrid as hg
from headgrid.library import CircuitRetest, PublishedCircuit
from nonsense.rows import CALLABLE, ONE, ROWS, WHOLE, Row, each, world


@cache
def small() -> hg.Anatomy:
    return hg.dissect(transformers.GPT2Config())


def ioi() -> PublishedCircuit:
    return hg.library["ioi"]


def demo() -> PublishedCircuit:
    return hg.library["demo-names"]


@cache
def task() -> hg.Task:
    return hg.Task.names(world().tokenizer, 3)


def retested(found: CircuitRetest) -> bool:
    return found.retested and found.weights == "shipped"


ROWS["library[it]"] = Row(lambda w, it: hg.library[it])
ROWS["library.matching(it)"] = Row(lambda w, it: hg.library.matching(it))
ROWS["library.search(it)"] = Row(
    lambda w, it: len(hg.library.search(it)),
    {"''": lambda found: found > 12, "'nonsense'": 0, "'\\ud800'": 0, "'l0\\x1b[31m'": 0},
)
ROWS["circuit.selection(it)"] = Row(lambda w, it: ioi().selection(it), own={"another model": lambda: world().gpt2})
ROWS["circuit.selection(role=it)"] = Row(
    lambda w, it: len(ioi().selection(small(), it).heads), {"None": 26}, {"half a name": lambda: "mover"}
)
ROWS["circuit.edges_of(it)"] = Row(lambda w, it: ioi().edges_of(it))
ROWS["circuit.open(it)"] = Row(lambda w, it: ioi().open(it), own={"another model": lambda: world().gpt2})
ROWS["circuit.open(task=it)"] = Row(
    lambda w, it: str(demo().open(w.small, w.tokenizer, task=it).selection), {"None": "l1h*"}
)
ROWS["circuit.diff(it)"] = Row(lambda w, it: ioi().diff(it), own={"of another model": lambda: world().selection})
ROWS["circuit.diff(it, model)"] = Row(
    lambda w, it: ioi().diff(it, small()).whole.n_found, each((("''", "[]", "set()"), 0))
)
ROWS["circuit.diff(..., it)"] = Row(
    lambda w, it: ioi().diff(small().select("l9h9"), it).whole.n_found, {"None": 1}, {"another": lambda: world().gpt2}
)
ROWS["circuit.retest(it, ...)"] = Row(lambda w, it: demo().retest(it, w.tokenizer, n=2, controls=0))
ROWS["circuit.retest(..., it)"] = Row(lambda w, it: demo().retest(w.small, it, n=2, controls=0), skip=CALLABLE)
ROWS["circuit.retest(n=it)"] = Row(
    lambda w, it: demo().retest(w.small, w.tokenizer, n=it, controls=0), own={"one": lambda: 1}
)
ROWS["circuit.retest(seed=it)"] = Row(
    lambda w, it: demo().retest(w.small, w.tokenizer, n=2, controls=0, seed=it), each((ONE, retested)),
)  # fmt: skip
ROWS["circuit.retest(task=it)"] = Row(
    lambda w, it: demo().retest(w.small, w.tokenizer, n=2, controls=0, task=it), {"None": retested}
)
ROWS["circuit.retest(controls=it)"] = Row(
    lambda w, it: demo().retest(w.small, task=task(), controls=it), each((ONE, retested))
)
ROWS["circuit.retest(cancelled=it)"] = Row(
    lambda w, it: demo().retest(w.small, task=task(), controls=0, cancelled=it), {"None": retested}, skip=CALLABLE
)
ROWS["circuit.retest(progress=it)"] = Row(
    lambda w, it: demo().retest(w.small, task=task(), controls=0, progress=it),
    each((("None", "False", "True", "np.bool_(True)"), retested)), skip=CALLABLE,
)  # fmt: skip
ROWS["circuit.retest(batch_size=it)"] = Row(
    lambda w, it: demo().retest(w.small, task=task(), controls=0, batch_size=it),
    each((("None", *WHOLE), retested)), {"0": lambda: 0},
)  # fmt: skip
