"""Nonsense for attention patterns, their scores and their figures."""

from __future__ import annotations

from functools import cache

import headgrid as hg
from headgrid.experiments.attention import Attention
from nonsense.figures import SEVERAL
from nonsense.rows import CALLABLE, FALSE, ONE, ROWS, TRUE, Row, each, world
from nonsense.selections import NO_HEADS


@cache
def found() -> Attention:
    return hg.attention(world().small, hg.Task.repeated(world().tokenizer, n=2, length=4), "l1h2 | l0h1")


def kept(attention: Attention) -> bool:
    return list(attention.pattern) == ["l0h1", "l1h2"]


def on(**named: object) -> Attention:
    return hg.attention(world().small, found().task, "l0h1 | l1h2", **named)  # type: ignore[arg-type]


ROWS["attention(it, ...)"] = Row(lambda w, it: hg.attention(it, found().task))
ROWS["attention(..., it)"] = Row(
    lambda w, it: hg.attention(w.small, it), own={"texts without a tokenizer": lambda: ["a"]}
)
ROWS["attention(selection=it)"] = Row(
    lambda w, it: hg.attention(w.small, found().task, it), {"None": lambda given: len(given.pattern) == 8},
    {**{name: made for name, made in NO_HEADS.items() if name != "booleans [3, 1]"}, "a neuron": lambda: "l0 mlp",
     "a query": lambda: "l1h2.q"},
)  # fmt: skip
ROWS["attention(tokenizer=it)"] = Row(
    lambda w, it: len(hg.attention(w.small, found().task.ids, tokenizer=it).tokens), {"None": 2}, skip=CALLABLE
)
ROWS["attention(batch_size=it)"] = Row(
    lambda w, it: on(batch_size=it), each((("None", *ONE, "10**30"), kept)), skip=("10**5000",)
)
ROWS["attention(memory=it)"] = Row(lambda w, it: on(memory=it), each((("10**30", "10**5000"), kept)))
ROWS["attention(progress=it)"] = Row(
    lambda w, it: on(progress=it), each((("None", *TRUE, *FALSE), kept)), skip=CALLABLE
)
ROWS["attention(cancelled=it)"] = Row(lambda w, it: on(cancelled=it), {"None": kept}, skip=CALLABLE)
ROWS["attention.pattern[it]"] = Row(lambda w, it: found().pattern[it], own={"another head": lambda: "l1h1"})
ROWS["attention.row('l1h2', it)"] = Row(
    lambda w, it: found().row("l1h2", it).pattern.shape, each((ONE, (9, 9))), {"2": lambda: 2}
)
ROWS["attention.score(it)"] = Row(lambda w, it: found().score(it), skip=("a function", "a module"))
ROWS["attention.score(stack=it)"] = Row(
    lambda w, it: found().score("previous", stack=it, draws=2).shape, each((("None", "''"), (2, 4)))
)
ROWS["attention.score(draws=it)"] = Row(lambda w, it: found().score("previous", draws=it), own={"1 shuffle": lambda: 1})
ROWS["attention.score(seed=it)"] = Row(
    lambda w, it: found().score("previous", draws=2, seed=it).shape, each((ONE, (2, 4)))
)
ROWS["attention.score(progress=it)"] = Row(
    lambda w, it: found().score("previous", draws=2, progress=it).shape,
    each((("None", *TRUE, *FALSE), (2, 4))),
    skip=CALLABLE,
)
ROWS["attention.to_html(heads=it)"] = Row(
    lambda w, it: found().to_html(heads=it), {"None": lambda html: "</html>" in html}, {"another": lambda: "l1h1"}
)
ROWS["attention.to_html(rows=it)"] = Row(
    lambda w, it: found().to_html(rows=it),
    {"None": lambda html: "</html>" in html},
    {"a row that there is not": lambda: [2]},
)
ROWS["plots.attention(it)"] = Row(lambda w, it: hg.plots.attention(it))
ROWS["plots.attention(heads=it)"] = Row(
    lambda w, it: len(hg.plots.attention(found(), it)), {"None": 2}, {"another": lambda: "l1h1"}
)
ROWS["plots.attention(row=it)"] = Row(
    lambda w, it: len(hg.plots.attention(found(), row=it)), each((("None", *ONE), 2)), {"2": lambda: 2}
)
ROWS["plots.attention(mean=it)"] = Row(
    lambda w, it: len(hg.plots.attention(found(), mean=it)), each((TRUE, 1), (FALSE, 2))
)
ROWS["plots.attention(ax=it)"] = Row(
    lambda w, it: len(hg.plots.attention(found(), "l1h2", ax=it)), {"None": 1}, SEVERAL
)
ROWS["plots.attention(high=it)"] = Row(
    lambda w, it: hg.plots.attention(found(), high=it)[0].collections[0].get_clim()[1] > 0,
    each((("None", "1.0", "0.5", "np.float32(0.5)", *ONE, "10**30"), True)),
)
