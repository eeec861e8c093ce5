"""Nonsense for tasks, effects, sweeps, edges and what composition carries."""

from __future__ import annotations

from typing import Any

import torch

import headgrid as hg
from nonsense.experiments import task
from nonsense.rows import CALLABLE, FALSE, ONE, ROWS, TRUE, WHOLE, Row, each, world

TWO = torch.tensor([[5, 9, 4, 7], [3, 3, 8, 6]])
NUMBER = {"0": lambda: 0}
VERY_MANY = ("10**30", "10**5000")


def made(inputs: Any = TWO, **named: Any) -> hg.Task:
    return hg.Task(None, inputs, **named)


def of_answers(name: str, alone: str) -> Row:
    return Row(lambda w, it: made(**{"answers": [1, 2], name: it}).metric_name, {"None": alone}, {
        "one for two rows": lambda: [1], "a text without a tokenizer": lambda: ["a", "b"], "below 0": lambda: [-1, 2],
    })  # fmt: skip


ROWS["Task(it, ...)"] = Row(lambda w, it: hg.Task(it, TWO).n_rows, {"None": 2}, skip=CALLABLE)
ROWS["Task(inputs=it)"] = Row(lambda w, it: made(it), own={
    "texts without a tokenizer": lambda: ["a b", "c d"], "no tokens": lambda: torch.zeros(2, 0, dtype=torch.int64),
    "numbers": lambda: torch.ones(2, 4), "three axes": lambda: TWO[None],
})  # fmt: skip
ROWS["Task(answers=it)"] = of_answers("answers", "loss")
ROWS["Task(wrong=it)"] = of_answers("wrong", "log_prob")
ROWS["Task(corrupted=it)"] = Row(lambda w, it: made(corrupted=it).corrupted, {"None": lambda found: found is None}, {
    "other lengths": lambda: TWO[:, :3], "other rows": lambda: TWO[:1],
})  # fmt: skip
ROWS["Task(metric=it)"] = Row(lambda w, it: made(metric=it).metric_name, {"None": "loss"}, {
    "one that needs answers": lambda: "logit_diff", "another word": lambda: "Loss",
}, skip=("a function", "a module"))  # fmt: skip
ROWS["Task(positions=it)"] = Row(
    lambda w, it: made(answers=[1, 2], positions=it).scored.tolist(),
    each((("None", "-1"), [[3], [3]]), (("1", "np.int64(1)"), [[1], [1]])), {"beyond": lambda: 4},
)  # fmt: skip
ROWS["Task(padding=it)"] = Row(lambda w, it: made(padding=it).n_rows)
ROWS["Task(name=it)"] = Row(lambda w, it: made(name=it).name, {"''": "", "'nonsense'": "nonsense"},
                            skip=("'\\ud800'", "'l0\\x1b[31m'"))  # fmt: skip
ROWS["Task.names(it)"] = Row(lambda w, it: hg.Task.names(it, 2))
ROWS["Task.names(n=it)"] = Row(lambda w, it: hg.Task.names(w.tokenizer, it).n_rows, each((ONE, 1)), NUMBER, VERY_MANY)
ROWS["Task.repeated(n=it)"] = Row(
    lambda w, it: hg.Task.repeated(w.tokenizer, n=it).n_rows, each((ONE, 1)), NUMBER, VERY_MANY
)


def swept(it: Any, name: str, method: Any = "zero") -> Any:
    return hg.sweep(world().small, task().rows(slice(1)), method, **{name: it}).shape


ROWS["sweep(it, ...)"] = Row(lambda w, it: hg.sweep(it, task()))
ROWS["sweep(task=it)"] = Row(lambda w, it: hg.sweep(w.small, it))
ROWS["sweep(method=it)"] = Row(lambda w, it: hg.sweep(w.small, task(), it))
for name, row in {
    "unit": Row(lambda w, it: swept(it, "unit")),
    "stack": Row(lambda w, it: swept(it, "stack"), each((("None", "''"), (2, 4)))),
    "reference": Row(lambda w, it: swept(it, "reference", "mean"), {"None": (2, 4)}),
    "per_position": Row(lambda w, it: swept(it, "per_position", "mean"), each((("None", *TRUE, *FALSE), (2, 4)))),
    "direction": Row(lambda w, it: swept(it, "direction", "patch")),
    "positions": Row(lambda w, it: len(swept(it, "positions")), each((TRUE, 3), (FALSE, 2))),
    "draws": Row(lambda w, it: hg.sweep(w.small, task(), "resample", draws=it).shape, each((ONE, (2, 4))), NUMBER),
    "seed": Row(lambda w, it: swept(it, "seed"), each((ONE, (2, 4)))),
    "replaces": Row(lambda w, it: swept(it, "replaces", "attribution"), {"None": (2, 4)}),
    "check": Row(lambda w, it: swept(it, "check", "attribution"), each((WHOLE, (2, 4)))),
    "batch_size": Row(lambda w, it: swept(it, "batch_size"), each((("None", *WHOLE), (2, 4))), NUMBER),
    "memory": Row(lambda w, it: swept(it, "memory"), each((WHOLE, (2, 4))), NUMBER),
    "progress": Row(lambda w, it: swept(it, "progress"), each((("None", *TRUE, *FALSE), (2, 4))), skip=CALLABLE),
    "cancelled": Row(lambda w, it: swept(it, "cancelled"), {"None": (2, 4)}, skip=CALLABLE),
}.items():  # fmt: skip
    ROWS[f"sweep({name}=it)"] = row


def effect(it: Any, name: str, modes: Any = "zero") -> Any:
    return len(hg.effect(world().small, task(), "l1h2", **{"modes": modes, name: it}).modes)


ROWS["effect(it, ...)"] = Row(lambda w, it: hg.effect(it, task(), "l1h2"))
ROWS["effect(task=it)"] = Row(lambda w, it: hg.effect(w.small, it, "l1h2"))
ROWS["effect(selection=it)"] = Row(lambda w, it: hg.effect(w.small, task(), it, "zero"), own={
    "a query": lambda: "l1h2.q", "a norm": lambda: "l1 ln1",
})  # fmt: skip
for name, row in {
    "modes": Row(lambda w, it: effect(it, "modes"), {"None": 4}),
    "controls": Row(lambda w, it: effect(it, "controls"), each((ONE, 1))),
    "reference": Row(lambda w, it: effect(it, "reference", "mean"), {"None": 1}),
    "per_position": Row(lambda w, it: effect(it, "per_position", "mean"), each((("None", *TRUE, *FALSE), 1))),
    "direction": Row(lambda w, it: effect(it, "direction", "patch")),
    "positions": Row(lambda w, it: effect(it, "positions"), each((("None", "-1", "1", "np.int64(1)"), 1))),
    "draws": Row(lambda w, it: effect(it, "draws", "resample"), each((ONE, 1)), NUMBER),
    "cancelled": Row(lambda w, it: effect(it, "cancelled"), {"None": 1}, skip=CALLABLE),
}.items():  # fmt: skip
    ROWS[f"effect({name}=it)"] = row


def edges(it: Any, name: str) -> int:
    return len(hg.paths(world().small, task(), **{"senders": "l0h1", "receiver": "l1h2.k", name: it}).senders)


ROWS["paths(it, ...)"] = Row(lambda w, it: hg.paths(it, task(), "l0h1", "l1h2.k"))
ROWS["paths(task=it)"] = Row(lambda w, it: hg.paths(w.small, it, "l0h1", "l1h2.k"))
for name, row in {
    "senders": Row(lambda w, it: edges(it, "senders"), {"None": 6}, {
        "above the receiver": lambda: "l1h0", "a query": lambda: "l0h1.q", "a norm": lambda: "l0 ln1",
    }),
    "receiver": Row(lambda w, it: edges(it, "receiver"), own={
        "a whole head": lambda: "l1h2", "two": lambda: "l1h2.k | l1h3.k", "a selection": lambda: world().selection,
        "below the sender": lambda: "l0h2.q", "an output": lambda: "l1h2.o",
    }),
    "method": Row(lambda w, it: edges(it, "method"), {"None": 1}),
    "direction": Row(lambda w, it: edges(it, "direction")),
    "reference": Row(lambda w, it: edges(it, "reference"), {"None": 1}),
    "per_position": Row(lambda w, it: edges(it, "per_position"), each((("None", *TRUE, *FALSE), 1))),
    "positions": Row(lambda w, it: edges(it, "positions"), each(((*TRUE, *FALSE), 1))),
    "norms": Row(lambda w, it: edges(it, "norms")),
    "controls": Row(lambda w, it: edges(it, "controls"), each((ONE, 1))),
    "seed": Row(lambda w, it: edges(it, "seed"), each((ONE, 1))),
    "memory": Row(lambda w, it: edges(it, "memory"), each((WHOLE, 1)), NUMBER),
    "batch_size": Row(lambda w, it: edges(it, "batch_size"), each((("None", *WHOLE), 1)), NUMBER),
    "progress": Row(lambda w, it: edges(it, "progress"), each((("None", *TRUE, *FALSE), 1)), skip=CALLABLE),
    "cancelled": Row(lambda w, it: edges(it, "cancelled"), {"None": 1}, skip=CALLABLE),
}.items():  # fmt: skip
    ROWS[f"paths({name}=it)"] = row

ROWS["Composition.test(it, ...)"] = Row(lambda w, it: hg.compose(w.small).test(it, task(), 1))
ROWS["Composition.test(task=it)"] = Row(lambda w, it: hg.compose(w.small).test(w.small, it, 1))
ROWS["Composition.test(n=it)"] = Row(
    lambda w, it: len(hg.compose(w.small).test(w.small, task(), it, controls=1)), each((ONE, 1)), NUMBER, VERY_MANY
)
ROWS["Composition.test(kinds=it)"] = Row(
    lambda w, it: len(hg.compose(w.small).test(w.small, task(), 1, kinds=it, controls=1)), own={"another": lambda: "z"}
)
ROWS["Composition.test(controls=it)"] = Row(
    lambda w, it: len(hg.compose(w.small).test(w.small, task(), 1, controls=it)), each((ONE, 1))
)
