"""Nonsense for summaries, scans and composition."""

from __future__ import annotations

import numpy as np

import headgrid as hg
from nonsense.rows import CALLABLE, FALSE, ONE, ROWS, TRUE, WHOLE, Row, each, world
from nonsense.selections import NO_HEADS

ROWS["summarize(..., it)"] = Row(lambda w, it: hg.summarize(w.gpt2, it), own={**NO_HEADS, "a norm": lambda: "ln_final"})
ROWS["summarize(tokenizer=it)"] = Row(
    lambda w, it: hg.summarize(w.gpt2, "l1h2", it).ov.write_tokens.top,
    {"None": lambda found: found == world().summary.ov.write_tokens.ids.tolist() or len(found) == 7},
)
LN = {"another word": lambda: "fold", "a list": lambda: ["folded"]}
ROWS["summarize(ln=it)"] = Row(lambda w, it: hg.summarize(w.gpt2, "l1h2", ln=it), own=LN)
ROWS["summarize(k=it)"] = Row(
    lambda w, it: len(hg.summarize(w.gpt2, "l1h2", k=it, pairs=0).ov.reads), each((ONE, 1), (("None",), 7)),
    {"0": lambda: 0, "beyond the rank": lambda: 8},
)  # fmt: skip
ROWS["summarize(n_tokens=it)"] = Row(
    lambda w, it: hg.summarize(w.gpt2, "l1h2", n_tokens=it, pairs=0).ov.read_tokens.ids.shape[1],
    each((ONE, 1), (("10**30", "10**5000"), 31)), {"0": lambda: 0},
)  # fmt: skip
for what in ("l1h2", "l1 mlp"):  # the pairs of an MLP are ignored, and refused all the same where they are none
    ROWS[f"summarize({what!r}, pairs=it)"] = Row(
        lambda w, it, what=what: hg.summarize(w.gpt2, what, pairs=it), skip=(*WHOLE, "None")
    )
ROWS["circuit.table(it)"] = Row(
    lambda w, it: len(w.summary.ov.table(it).split("\n")), each((ONE, 1), (("10**30", "10**5000"), 2))
)
ROWS["circuit.table(n_tokens=it)"] = Row(lambda w, it: w.summary.ov.table(1, it).count(" -> "), each((WHOLE, 1)))
ROWS["tokens[it]"] = Row(
    lambda w, it: w.summary.ov.write_tokens[it],
    each((("-1", *ONE), lambda found: found is world().summary.ov.write_tokens.top[1])),
)

ROWS["scan(..., it)"] = Row(
    lambda w, it: hg.scan(w.gpt2, it),
    own={
        "an unknown one among them": lambda: ["ov", "vq"],
        "a number among them": lambda: ["ov", 5],
        "a name in capitals": lambda: "OV",
    },
)
ROWS["scan(ln=it)"] = Row(lambda w, it: hg.scan(w.gpt2, "ov", ln=it), own=LN)
ROWS["scan(stack=it)"] = Row(lambda w, it: hg.scan(w.gpt2, "ov", stack=it).stack, each((("None", "''"), "")))
ROWS["scan(progress=it)"] = Row(
    lambda w, it: hg.scan(w.gpt2, "ov", progress=it).ov.norm.shape,
    each((("None", *TRUE, *FALSE), (3, 4))), skip=CALLABLE,
)  # fmt: skip
ROWS["scan(cancelled=it)"] = Row(
    lambda w, it: hg.scan(w.gpt2, "ov", cancelled=it).ov.norm.shape, {"None": (3, 4)}, skip=CALLABLE
)
ROWS["compose(..., it)"] = Row(
    lambda w, it: len(hg.compose(w.gpt2, it).heads), {"None": 12}, {**NO_HEADS, "an MLP": lambda: "l0 mlp"}
)
ROWS["compose(ln=it)"] = Row(lambda w, it: hg.compose(w.gpt2, ln=it), own=LN)
ROWS["compose(stack=it)"] = Row(lambda w, it: hg.compose(w.gpt2, stack=it).stack, each((("None", "''"), "")))
ROWS["compose(progress=it)"] = Row(
    lambda w, it: len(hg.compose(w.gpt2, progress=it).heads), each((("None", *TRUE, *FALSE), 12)), skip=CALLABLE
)
ROWS["compose(cancelled=it)"] = Row(
    lambda w, it: len(hg.compose(w.gpt2, cancelled=it).heads), {"None": 12}, skip=CALLABLE
)


def above(least: float, of: str = "composed") -> int:
    """How many pairs of a composition have at least this z."""
    return int(sum((getattr(getattr(world(), of), f"{kind}_z") >= least).sum() for kind in "qkv"))


ROWS["composition.top(it)"] = Row(
    lambda w, it: len(w.composed.top(it)),
    each((ONE, 1), (("10**30", "10**5000"), lambda found: found == above(0))),
)  # fmt: skip
KIND = {"another letter": lambda: "qo", "letters among others": lambda: ["q", 5]}
ROWS["composition.top(kinds=it)"] = Row(lambda w, it: w.composed.top(kinds=it), own=KIND)
Z = {
    "1.0": 1.0, "0.5": 0.5, "np.float32(0.5)": 0.5, "-1": -1.0, "10**30": 1e30, "-10**30": -1e30, "inf": np.inf,
    "10**5000": np.inf, **dict.fromkeys(ONE, 1.0),
}  # fmt: skip
ROWS["composition.top(z=it)"] = Row(
    lambda w, it: len(w.composed.top(10**6, z=it)),
    {name: (lambda found, z=z: found == above(z)) for name, z in Z.items()},
)
ROWS["composition.of(it, 0)"] = Row(
    lambda w, it: w.composed.of(it, 0), each((ONE, lambda found: found == world().composed.of(1, 0)))
)
ROWS["composition.of(0, it)"] = Row(
    lambda w, it: w.composed.of(0, it), each((ONE, lambda found: {pair.source for pair in found} == {(0, 1)}))
)
ROWS["composition.of(kinds=it)"] = Row(lambda w, it: w.composed.of(1, 0, kinds=it), own=KIND)
