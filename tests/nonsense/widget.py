"""Nonsense for the widget, and for the small models that ship with headgrid."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

import headgrid as hg
from headgrid.demo import demo, marked_name_prompts, name_prompts, repeated_tokens
from nonsense.circuits import LN
from nonsense.figures import SEVERAL
from nonsense.rows import CALLABLE, FALSE, ONE, ROWS, TEXTS, TRUE, Row, each, world
from nonsense.selections import EMPTY, NO_HEADS

ROWS["HeadGrid(tokenizer=it)"] = Row(
    lambda w, it: hg.HeadGrid(w.gpt2, it).tokenizer,
    {"None": None},
    {"a class of tokenizers": lambda: type(world().tokenizer)},
)
ROWS["HeadGrid(config, tokenizer=it)"] = Row(lambda w, it: hg.HeadGrid(w.gpt2.config, it).tokenizer, {"None": None})
ROWS["HeadGrid(select=it)"] = Row(lambda w, it: hg.HeadGrid(w.anatomy, select=it).selection, EMPTY, NO_HEADS)
ROWS["grid.select(it)"] = Row(lambda w, it: w.grid.select(it), EMPTY, NO_HEADS)
ROWS["grid.selection = it"] = Row(
    lambda w, it: (setattr(w.grid, "selection", it), w.grid.selection)[1], EMPTY, NO_HEADS
)


def colors(w: SimpleNamespace, what: Any, **named: Any) -> dict[str, Any]:
    w.grid.color_by(what, **named)
    return dict(w.grid.colors)


ROWS["grid.color_by(it)"] = Row(
    lambda w, it: colors(w, it)["label"],
    {"None": "", "NaN [3, 4]": "values"},
    {
        "infinite": lambda: torch.full((3, 4), np.inf),
        "texts of numbers": lambda: [["1"] * 4] * 3,
        "[3, 1]": lambda: np.ones((3, 2)),
    },
)
ROWS["grid.color_by({'text': it})"] = Row(lambda w, it: colors(w, {"text": it})["label"], {"NaN [3, 4]": "values"})
ROWS["grid.color_by(label=it)"] = Row(
    lambda w, it: colors(w, w.scan.copying_score, label=it)["label"],
    {"None": "values", "''": "values", "'nonsense'": "nonsense"},
    skip=("'\\ud800'", "'l0\\x1b[31m'"),
)
ROWS["grid.color_by(diverging=it)"] = Row(
    lambda w, it: colors(w, w.scan.ov.norm, diverging=it)["diverging"], each((("None", *FALSE), False), (TRUE, True))
)
for what in ("ov_norm", [[1.0] * 4] * 3):  # an array has no norms to fold, and what is none is refused all the same
    ROWS[f"grid.color_by({what!r:.9}, ln=it)"] = Row(lambda w, it, what=what: colors(w, what, ln=it), own=LN)


def ranked(w: SimpleNamespace) -> Any:
    """The grid, in the colors of the numbers 0 to 11."""
    w.grid.color_by(np.arange(12.0).reshape(3, 4))
    return w.grid


def named(text: str) -> Any:
    """Whether a selection is this one."""
    return lambda found: str(found) == text


REAL = (*ONE, "1.0", "0.5", "np.float32(0.5)")
ROWS["grid.top(it)"] = Row(
    lambda w, it: ranked(w).top(it), each((ONE, named("l2h3")), (("10**30", "10**5000"), named("l*h*")))
)
ROWS["grid.top(1, largest=it)"] = Row(
    lambda w, it: ranked(w).top(1, largest=it), each((TRUE, named("l2h3")), (FALSE, named("l0h0")))
)
ROWS["grid.where(min=it)"] = Row(
    lambda w, it: ranked(w).where(min=it),
    each((REAL, named("l0h1-3 | l1-2h*")), (("-1", "-10**30"), named("l*h*")), (("10**30",), named("none"))),
)
ROWS["grid.where(max=it)"] = Row(
    lambda w, it: ranked(w).where(max=it, min=-1),
    each((ONE, named("l0h0-1")), (("1.0",), named("l0h0-1")), (("0.5", "np.float32(0.5)"), named("l0h0")),
         (("-1", "-10**30"), named("none")), (("10**30",), named("l*h*")), (("None",), named("l*h*"))),
)  # fmt: skip
ROWS["grid.plot(it)"] = Row(lambda w, it: w.grid.plot(it).get_xlabel(), {"None": "head"}, SEVERAL)
ROWS["grid.plot(nonsense=it)"] = Row(lambda w, it: w.grid.plot(nonsense=it))
ROWS["grid.to_html(progress=it)"] = Row(
    lambda w, it: w.grid.to_html(progress=it)[:15].lower(),
    each((("None", *TRUE, *FALSE), "<!doctype html>")),
    skip=CALLABLE,
)
PATH = each((("None",), lambda found: len(found) > 100))
for name in ("to_html", "to_svg", "to_png"):
    ROWS[f"grid.{name}(it)"] = Row(lambda w, it, name=name: getattr(w.grid, name)(it), PATH, {
        "a folder": lambda: "/", "in no folder": lambda: "/no/such/folder/x"}, skip=TEXTS)  # fmt: skip
    if name != "to_html":
        ROWS[f"grid.{name}(marks=it)"] = Row(
            lambda w, it, name=name: getattr(w.grid, name)(marks=it),
            each((("[]", "set()"), lambda found: len(found) > 100)),
        )
ROWS["grid.saved[it]"] = Row(lambda w, it: w.grid.saved[it])
ROWS["grid.saved[it] = ..."] = Row(
    lambda w, it: w.grid.saved.__setitem__(it, "l0h1"),
    {"'nonsense'": None},
    {"full": lambda: "full", "long": lambda: "x" * 81},
)
ROWS["grid.saved['x'] = it"] = Row(lambda w, it: w.grid.saved.__setitem__("x", it), own=NO_HEADS)
ROWS["del grid.saved[it]"] = Row(lambda w, it: w.grid.saved.__delitem__(it), skip=("'nonsense'",))
ROWS["grid.saved.pop(it)"] = Row(lambda w, it: w.grid.saved.pop(it), skip=("'nonsense'",))
ROWS["grid.saved.color(it, ...)"] = Row(lambda w, it: w.grid.saved.color(it, "#d55e00"), skip=("'nonsense'",))
ROWS["grid.saved.color('x', it)"] = Row(lambda w, it: w.grid.saved.color("x", it), own={"three digits": lambda: "#fff"})

# ---- the small models

ROWS["demo(it)"] = Row(lambda w, it: demo(it)[0].config.model_type, own={"a part of a name": lambda: "name"})
ROWS["demo('gqa', step=it)"] = Row(lambda w, it: demo("gqa", step=it)[0].config.model_type, {"None": "llama"})
ROWS["demo('training', step=it)"] = Row(
    lambda w, it: demo("training", step=it)[0].config.n_embd, {"None": 48}, {"a step that was not kept": lambda: 551}
)
ROWS["repeated_tokens(it)"] = Row(lambda w, it: repeated_tokens(it, 2))
ROWS["repeated_tokens(n=it)"] = Row(
    lambda w, it: repeated_tokens(w.tokenizer, it, 3).shape,
    each((ONE, (1, 7))),
    {"0": lambda: 0},
    ("10**30", "10**5000"),
)
ROWS["repeated_tokens(length=it)"] = Row(
    lambda w, it: repeated_tokens(w.tokenizer, 2, it).shape, each((ONE, (2, 3))), {"0": lambda: 0}
)
ROWS["repeated_tokens(seed=it)"] = Row(
    lambda w, it: repeated_tokens(w.tokenizer, 2, 3, it).shape, each((("-1", *ONE), (2, 7)))
)
ROWS["name_prompts(it)"] = Row(lambda w, it: name_prompts(it, 2))
ROWS["name_prompts(n=it)"] = Row(
    lambda w, it: len(name_prompts(w.tokenizer, it).ids), each((ONE, 1)), {"0": lambda: 0}, ("10**30", "10**5000")
)
for name in ("unseen", "third"):
    ROWS[f"name_prompts({name}=it)"] = Row(
        lambda w, it, name=name: len(name_prompts(w.tokenizer, 2, **{name: it}).ids), each(((*TRUE, *FALSE), 2))
    )
ROWS["name_prompts(seed=it)"] = Row(
    lambda w, it: len(name_prompts(w.tokenizer, 2, seed=it).ids), each((("-1", *ONE), 2))
)
ROWS["marked_name_prompts(it)"] = Row(lambda w, it: marked_name_prompts(it, 2))
ROWS["marked_name_prompts(n=it)"] = Row(
    lambda w, it: len(marked_name_prompts(w.tokenizer, it).ids),
    each((ONE, 1)),
    {"0": lambda: 0},
    ("10**30", "10**5000"),
)
ROWS["marked_name_prompts(third=it)"] = Row(
    lambda w, it: len(marked_name_prompts(w.tokenizer, 2, third=it).ids), {"None": 2}, {"both": lambda: "both"}
)
ROWS["marked_name_prompts(unseen=it)"] = Row(
    lambda w, it: len(marked_name_prompts(w.tokenizer, 2, unseen=it).ids), each(((*TRUE, *FALSE), 2))
)
ROWS["marked_name_prompts(seed=it)"] = Row(
    lambda w, it: len(marked_name_prompts(w.tokenizer, 2, seed=it).ids), each((("-1", *ONE), 2))
)
