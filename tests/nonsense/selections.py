"""Nonsense for what takes a model, and for what selects."""

from __future__ import annotations

from typing import Any

import numpy as np
import tiny
import torch

import headgrid as hg
from nonsense.rows import ONE, ROWS, Row, each

A_MODEL = {"a GPT-2 without its class": lambda: "gpt2", "a dictionary of sizes": lambda: {"n_layer": 3}}
for name, of in (("dissect", hg.dissect), ("Weights", hg.Weights), ("Weights.of", hg.Weights.of), ("scan", hg.scan),
                 ("compose", hg.compose), ("HeadGrid", hg.HeadGrid), ("verify", hg.verify)):  # fmt: skip
    ROWS[f"{name}(it)"] = Row(lambda w, it, of=of: of(it), own=A_MODEL)
ROWS["summarize(it, ...)"] = Row(lambda w, it: hg.summarize(it, "l1h2"), own=A_MODEL)

# ---- selections

NO_HEADS = {
    "a list in a list": lambda: [[[1]]],
    "(9, 0)": lambda: (9, 0),
    "(-1, 0)": lambda: (-1, 0),
    "(0, 1, 2)": lambda: (0, 1, 2),
    "[(0, 1), (0, None)]": lambda: [(0, 1), (0, None)],
    "booleans [1, 4]": lambda: torch.ones(1, 4, dtype=torch.bool),
    "booleans [3, 1]": lambda: np.ones((3, 1), dtype=np.bool_),
    "a selection of another model": lambda: hg.dissect(tiny.model("bert")).select("l0h0"),
}


def is_none(found: Any) -> bool:
    return isinstance(found, hg.Selection) and not found and str(found) == "none"


EMPTY = each((("''", "[]", "set()"), is_none))
ROWS["Anatomy.select(it)"] = Row(lambda w, it: w.anatomy.select(it), EMPTY, NO_HEADS)
ROWS["Anatomy.select([it])"] = Row(lambda w, it: w.anatomy.select([it]), EMPTY, {"-1": lambda: -1})
ROWS["Anatomy.select((it, 0))"] = Row(lambda w, it: w.anatomy.select((it, 0)).heads, each((ONE, [(1, 0)])))
ROWS["Anatomy.select((0, it))"] = Row(lambda w, it: w.anatomy.select((0, it)).heads, each((ONE, [(0, 1)])))
ROWS["Anatomy.select({0: it})"] = Row(
    lambda w, it: w.anatomy.select({0: it}), each((("[]", "set()"), is_none)), {"another head": lambda: [4]}
)
ROWS["Anatomy.stack(it)"] = Row(lambda w, it: w.anatomy.stack(it), {"''": lambda found: found.n_layers == 3})
ROWS["Selection(it, {})"] = Row(lambda w, it: hg.Selection(it, {}))
ROWS["Selection(..., it)"] = Row(lambda w, it: hg.Selection(w.anatomy, it), {"{}": is_none}, {
    "a role that is none": lambda: {"W_X": np.ones((3, 4), np.bool_)},
    "parts of another shape": lambda: {"W_Q": np.ones((1, 4), np.bool_)},
    "parts that are numbers": lambda: {"W_Q": np.ones((3, 4))},
})  # fmt: skip
ROWS["Selection.of(it, ...)"] = Row(lambda w, it: hg.Selection.of(it, "l0h1"))
for sign, of in (("|", lambda a, b: a | b), ("&", lambda a, b: a & b), ("-", lambda a, b: a - b),
                 ("^", lambda a, b: a ^ b), ("<=", lambda a, b: a <= b)):  # fmt: skip
    nothing = {"|": "l1h2", "^": "l1h2", "-": "l1h2", "&": "none", "<=": "False"}[sign]
    ROWS[f"selection {sign} it"] = Row(
        lambda w, it, of=of: str(of(w.selection, it)), {"''": nothing}, {"a pair": lambda: (1, 2)}
    )
ROWS["it in selection"] = Row(lambda w, it: it in w.selection, each((("''", "[]", "set()"), True)), NO_HEADS)
ROWS["selection.selected_heads(it)"] = Row(
    lambda w, it: w.selection.selected_heads(it).nonzero().tolist(), each((("None", "''"), [[1, 2]]))
)
ROWS["selection.training_only(it)"] = Row(
    lambda w, it: w.selection.training_only(it).__enter__(), own={"another model": lambda: tiny.model("bert")}
)
ROWS["selection.code(it)"] = Row(lambda w, it: w.selection.code(it), own={"another library": lambda: "pyvene"})
ROWS["Selection.from_json(..., it)"] = Row(lambda w, it: hg.Selection.from_json(w.anatomy, it), own={
    "another object": lambda: "[1, 2]", "a number for its text": lambda: '{"selection": 5}',
    "far too deep": lambda: "[" * 100_000,
})  # fmt: skip
ROWS["Selection.from_json(it, ...)"] = Row(lambda w, it: hg.Selection.from_json(it, w.selection.to_json()))
