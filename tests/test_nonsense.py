"""Every argument that a user can give, fed with nonsense: it is refused in a sentence, or the result is right.

A row of the table is one argument of one function. Each is given all of `VALUES`, and some of its own. What a row says
of a value, in `right`, is what the call gives for it. Every other value is refused: by a `raise` of headgrid's own of a
`TypeError`, a `ValueError`, a `KeyError`, an `IndexError` or an `OSError` (or a subclass) whose first line is a
sentence. There is no third outcome. `python tests/test_nonsense.py` counts the calls.
"""

from __future__ import annotations

import dis
import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import FunctionType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny
import torch

import headgrid as hg
from headgrid.demo import demo, name_prompts, repeated_tokens

SOURCE = str(Path(hg.__file__).parent)


def used_up() -> Iterator[Any]:
    found = iter([1])
    list(found)
    return found


def generator() -> Iterator[Any]:
    yield None


VALUES: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "True": lambda: True,
    "False": lambda: False,
    "1": lambda: 1,
    "-1": lambda: -1,
    "10**30": lambda: 10**30,
    "-10**30": lambda: -(10**30),
    "10**5000": lambda: 10**5000,
    "1.0": lambda: 1.0,
    "0.5": lambda: 0.5,
    "nan": lambda: float("nan"),
    "inf": lambda: float("inf"),
    "1j": lambda: 1j,
    "np.int64(1)": lambda: np.int64(1),
    "np.float32(0.5)": lambda: np.float32(0.5),
    "np.bool_(True)": lambda: np.bool_(True),
    "np.array(1)": lambda: np.array(1),
    "tensor(1)": lambda: torch.tensor(1),
    "tensor(True)": lambda: torch.tensor(True),
    "tensor(nan)": lambda: torch.tensor(float("nan")),
    "''": lambda: "",
    "'nonsense'": lambda: "nonsense",
    "'\\ud800'": lambda: "\ud800",
    "'l0\\x1b[31m'": lambda: "l0\x1b[31m",
    "b'l0h1'": lambda: b"l0h1",
    "[]": lambda: [],
    "[None]": lambda: [None],
    "[[1.0], [1.0, 2.0]]": lambda: [[1.0], [1.0, 2.0]],
    "(0, True)": lambda: (0, True),
    "(0, 1.0)": lambda: (0, 1.0),
    "['l0h1', 5]": lambda: ["l0h1", 5],
    "{}": lambda: {},
    "{'a': 1}": lambda: {"a": 1},
    "set()": lambda: set(),
    "used up": used_up,
    "generator": generator,
    "object()": object,
    "a class": lambda: int,
    "a class of modules": lambda: torch.nn.Linear,
    "a function": lambda: len,
    "a module": lambda: torch.nn.Linear(2, 3),
    "ones [1, 4]": lambda: torch.ones(1, 4),
    "ones [2, 3, 4]": lambda: torch.ones(2, 3, 4),
    "complex [3, 4]": lambda: torch.ones(3, 4, dtype=torch.complex64),
    "NaN [3, 4]": lambda: torch.full((3, 4), float("nan")),
    "meta [3, 4]": lambda: torch.empty(3, 4, device="meta"),
    "objects [2]": lambda: np.array([object(), None]),
}

CALLABLE = ("a class", "a class of modules", "a function", "a module")
"""What can be called: where a function is asked for, what these raise is their own."""

ONE = ("1", "np.int64(1)", "np.array(1)", "tensor(1)")
WHOLE = (*ONE, "10**30", "10**5000")
TRUE, FALSE = ("True", "np.bool_(True)"), ("False",)
TEXTS = ("''", "'nonsense'", "'\\ud800'", "'l0\\x1b[31m'")


@dataclass(frozen=True)
class Row:
    """One argument.

    Attributes:
        call: given the models and a value.
        right: name of a value -> what the call gives for it, or a function that says whether it does.
        own: values of this row alone, which have the right shape or kind and are wrong all the same.
        skip: values that are not tried.
    """

    call: Callable[[SimpleNamespace, Any], Any]
    right: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    skip: tuple[str, ...] = ()

    def values(self) -> dict[str, Callable[[], Any]]:
        return {name: made for name, made in {**VALUES, **self.own}.items() if name not in self.skip}


def each(*given: tuple[tuple[str, ...], Any]) -> dict[str, Any]:
    """Several names with one result, as `right` takes it."""
    return {name: expected for names, expected in given for name in names}


@cache
def world() -> SimpleNamespace:
    """The models that are asked, all small; GPT-2 has 3 layers of 4 heads, Llama 3 of 6 heads in 2 groups."""
    gpt2, llama = tiny.fresh("gpt2").float(), tiny.model("llama with grouped-query attention")
    small, tokenizer = demo()
    summary = hg.summarize(gpt2, "l1h2", k=2, pairs=3)
    matrix = hg.FactoredMatrix(torch.arange(10.0).reshape(5, 2), torch.ones(2, 5))
    found = SimpleNamespace(
        gpt2=gpt2, anatomy=hg.dissect(gpt2), llama=hg.Weights(llama), small=small, tokenizer=tokenizer, summary=summary,
        matrix=matrix, composed=hg.compose(gpt2), few=hg.compose(gpt2, "l0h0 | l1h0 | l2h0"),
        scan=hg.scan(gpt2), grid=hg.HeadGrid(gpt2),
    )  # fmt: skip
    found.selection = found.anatomy.select("l1h2")
    found.none = found.anatomy.select("none")
    found.mask = {name: parameter.data.clone() for name, parameter in llama.named_parameters()}
    found.grid.saved["x"] = "l0h1"
    return found


def weight(w: SimpleNamespace, name: str) -> torch.Tensor:
    """A parameter of the Llama model, as it is stored."""
    return w.llama.model.get_parameter(f"model.layers.{name}.weight").detach()


def q_of(layer: int, head: int | None = None) -> Callable[[Any], bool]:
    """W_Q of a layer or a head, cut out of the stored parameter by hand."""

    def right(found: torch.Tensor) -> bool:
        stored = weight(world(), f"{layer}.self_attn.q_proj").reshape(6, 10, 48).transpose(1, 2)
        return torch.equal(found, stored if head is None else stored[head])

    return right


def ov_of(layer: int, head: int | None = None) -> Callable[[Any], bool]:
    """OV of a layer or a head, multiplied by hand; heads 0 to 2 read the values of group 0."""

    def right(found: hg.FactoredMatrix) -> bool:
        w = world()
        W_V = weight(w, f"{layer}.self_attn.v_proj").reshape(2, 10, 48).transpose(1, 2).repeat_interleave(3, 0)
        W_O = weight(w, f"{layer}.self_attn.o_proj").T.reshape(6, 10, 48)
        dense = W_V @ W_O
        return torch.allclose(found.dense(), dense if head is None else dense[head])

    return right


def texts(found: Any) -> list[str]:
    """What is written on the axes of a figure."""
    return [text.get_text() for text in found.texts]


def printed(w: SimpleNamespace, *arguments: Any, **named: Any) -> str:
    file = io.StringIO()
    hg.preview(*arguments, **{"file": file, **named})
    return file.getvalue()


ROWS: dict[str, Row] = {}

# ---- models

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
ROWS["Selection.from_json(..., it)"] = Row(lambda w, it: hg.Selection.from_json(w.anatomy, it), own={
    "another object": lambda: "[1, 2]", "a number for its text": lambda: '{"selection": 5}',
    "far too deep": lambda: "[" * 100_000,
})  # fmt: skip
ROWS["Selection.from_json(it, ...)"] = Row(lambda w, it: hg.Selection.from_json(it, w.selection.to_json()))

# ---- weights

MAIN = each((("None", "''"), lambda found: found.stack is found.anatomy.main))
ROWS["Weights(stack=it)"] = Row(lambda w, it: hg.Weights(w.gpt2, stack=it), MAIN)
ROWS["Weights.of(..., it)"] = Row(lambda w, it: hg.Weights.of(w.gpt2, it), MAIN)
ROWS["Weights.of(weights, it)"] = Row(lambda w, it: hg.Weights.of(w.llama, it), MAIN)
ROWS["Weights(dtype=it)"] = Row(
    lambda w, it: hg.Weights(w.gpt2, dtype=it).W_O[0].dtype, {"None": torch.float32},
    {"int64": lambda: torch.int64, "complex64": lambda: torch.complex64, "a text": lambda: "float32"},
)  # fmt: skip
ROWS["Weights(device=it)"] = Row(
    lambda w, it: hg.Weights(w.gpt2, device=it).W_O[0].device, {"None": torch.device("cpu")},
    {"one that is not here": lambda: "hpu:7"},
)  # fmt: skip
ROWS["weights[it]"] = Row(lambda w, it: w.llama[it], own={"a role that others have": lambda: "router.W"})
ROWS["weights.read(it)"] = Row(lambda w, it: w.llama.read(it), own={"of a layer": lambda: "W_Q"})
ROWS["weights.read(..., it)"] = Row(lambda w, it: w.llama.read("W_Q", it), each((ONE, q_of(1))))
ROWS["weights.read(normalize=it)"] = Row(
    lambda w, it: w.llama.read("W_Q", 0, normalize=it), {"None": q_of(0)}, {"an axis of others": lambda: "v"}
)
ROWS["weights.at(it)"] = Row(lambda w, it: w.llama.at(it), {"''": lambda found: found.stack is found.anatomy.main})
ROWS["weights.at(as_stored=it)"] = Row(
    lambda w, it: hg.Weights(w.gpt2, dtype=torch.float64).at("", as_stored=it).dtype,
    each((TRUE, None), (FALSE, torch.float64)),
)
LAYER = each((ONE, q_of(1)), (("-1",), q_of(2)))
ROWS["W_Q[it]"] = Row(lambda w, it: w.llama.W_Q[it], LAYER, {"3": lambda: 3, "a slice": lambda: slice(1)})
ROWS["W_Q[it, 2]"] = Row(lambda w, it: w.llama.W_Q[it, 2], each((ONE, q_of(1, 2)), (("-1",), q_of(2, 2))))
ROWS["W_Q[2, it]"] = Row(lambda w, it: w.llama.W_Q[2, it], each((ONE, q_of(2, 1))), {"6": lambda: 6})
ROWS["W_OV[it]"] = Row(lambda w, it: w.llama.W_OV[it], each((ONE, ov_of(1)), (("-1",), ov_of(2))))
ROWS["W_OV[2, it]"] = Row(lambda w, it: w.llama.W_OV[2, it], each((ONE, ov_of(2, 1))), {"6": lambda: 6})
ROWS["W_QK[it, 0]"] = Row(lambda w, it: w.llama.W_QK[it, 0].shape, each((ONE, (48, 48)), (("-1",), (48, 48))))
ROWS["ln1.w[0, it]"] = Row(lambda w, it: w.llama["ln1.w"][0, it])
ROWS["W_K.per_head(it)"] = Row(
    lambda w, it: w.llama.W_K.per_head(it).shape, each((ONE, (2, 3, 48, 10)), (("-1",), (2, 3, 48, 10)))
)

# ---- factored matrices

A_FACTOR = {"one axis": lambda: torch.ones(4), "whole numbers": lambda: torch.ones(4, 3, dtype=torch.int64)}
ROWS["FactoredMatrix(it, [4, 3])"] = Row(
    lambda w, it: hg.FactoredMatrix(it, torch.ones(4, 3)).dense(),
    {"ones [1, 4]": torch.full((1, 3), 4.0), "ones [2, 3, 4]": torch.full((2, 3, 3), 4.0),
     "NaN [3, 4]": lambda found: bool(found.isnan().all()) and found.shape == (3, 3)},
    {**A_FACTOR, "another size": lambda: torch.ones(5, 3)},
)  # fmt: skip
ROWS["FactoredMatrix([5, 3], it)"] = Row(
    lambda w, it: hg.FactoredMatrix(torch.ones(5, 3), it).dense(),
    {"ones [2, 3, 4]": torch.full((2, 5, 4), 3.0),
     "NaN [3, 4]": lambda found: bool(found.isnan().all()) and found.shape == (5, 4)},
    A_FACTOR,
)  # fmt: skip
SINGULAR = torch.linalg.svdvals(torch.arange(10.0, dtype=torch.float64).reshape(5, 2) @ torch.ones(2, 5).double())


def values_of(n: int) -> Callable[[Any], bool]:
    return lambda found: len(found) == n and torch.allclose(found, SINGULAR[:n], atol=1e-9)


ROWS["M.svd(it)"] = Row(
    lambda w, it: w.matrix.svd(it)[1], each((ONE, values_of(1)), (("None", "10**30", "10**5000"), values_of(2)))
)
ROWS["M.spectrum(it)"] = Row(
    lambda w, it: w.matrix.spectrum(it).left.shape[-1], each((ONE, 1), (("None", "10**30", "10**5000"), 2))
)
ROWS["M.clusters(it)"] = Row(
    lambda w, it: w.matrix.clusters(it).tolist(),
    each((("1.0", "10**30", *ONE), [True, True]), (("0.5", "np.float32(0.5)"), [False, True])),
)
ROWS["M @ it"] = Row(lambda w, it: w.matrix @ it, own={"another size": lambda: torch.ones(4)})
ROWS["it @ M"] = Row(lambda w, it: it @ w.matrix, own={"an array": lambda: np.ones((5, 5))})


def times(number: float) -> Callable[[Any], bool]:
    return lambda found: torch.allclose(found.dense(), number * world().matrix.dense())


SCALED = each((("1.0", *ONE), times(1)), (("-1",), times(-1)), (("0.5", "np.float32(0.5)"), times(0.5)),
              (("10**30",), times(1e30)), (("-10**30",), times(-1e30)))  # fmt: skip
ROWS["M * it"] = Row(lambda w, it: w.matrix * it, SCALED, {"an array": lambda: np.ones((5, 5))})
ROWS["it * M"] = Row(lambda w, it: it * w.matrix, SCALED, {"an array": lambda: np.ones((5, 5))}, skip=("[]",))
ROWS["M[it]"] = Row(lambda w, it: w.matrix[it].shape, {"None": (1, 5, 5), "[None]": (1, 5, 5), "[]": (0, 5, 5)},
                    skip=("[None]", "[]"))  # fmt: skip

# ---- circuits

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

# ---- figures

AX = {"None": lambda found: found.get_xlabel()}
SEVERAL = {"the Axes of several": lambda: np.array([[None, None]])}


def figure(name: str, of: Callable[..., Any], argument: str, **row: Any) -> None:
    ROWS[f"plots.{name}({argument}=it)"] = Row(lambda w, it: of(w, **{argument: it}), **row)


def of_grid(w: SimpleNamespace, **named: Any) -> Any:
    return hg.plots.grid(w.scan.copying_score, **named)


ROWS["plots.grid(it)"] = Row(
    lambda w, it: hg.plots.grid(it).collections[0].get_array().shape, {"ones [1, 4]": (1, 4), "NaN [3, 4]": (3, 4)},
    {"texts of numbers": lambda: [["1", "2"]], "the scan itself": lambda: hg.scan(world().gpt2, "ov")},
)  # fmt: skip
color_map = {True: "PuOr_r", False: "cividis"}
DIVERGES = each((TRUE, lambda found: found.collections[0].get_cmap().name == "PuOr_r"),
                (FALSE, lambda found: found.collections[0].get_cmap().name == "cividis"))  # fmt: skip
figure("grid", of_grid, "ax", right={"None": lambda found: found.get_xlabel() == "head"}, own=SEVERAL)
figure("grid", of_grid, "label", right=each((TEXTS, lambda found: found.get_xlabel() == "head")))
figure("grid", of_grid, "diverging", right={"None": lambda found: True, **DIVERGES})
figure("grid", of_grid, "from_zero", right=each((("None", *TRUE, *FALSE), lambda found: found.get_xlabel() == "head")))
figure(
    "grid",
    of_grid,
    "annotate",
    right=each((TRUE, lambda found: len(found.texts) == 12), (FALSE, lambda found: not found.texts)),
)
figure("grid", of_grid, "selected", right={"None": lambda found: len(found.collections) == 1}, own={
    "booleans [1, 4]": lambda: torch.ones(1, 4, dtype=torch.bool), "scores": lambda: torch.rand(3, 4),
    "a selection of another model": lambda: hg.dissect(tiny.model("albert with 2 groups")).select("l0h0"),
})  # fmt: skip
ENDS = {name: end for name, end in Z.items() if np.isfinite(end)}
figure(
    "grid",
    lambda w, low: hg.plots.grid([[0.0, 2.0]], low=low, high=3e30),
    "low",
    right={
        "None": lambda found: True,
        **{name: (lambda found, end=end: found.collections[0].get_clim()[0] == end) for name, end in ENDS.items()},
    },
)
figure(
    "grid",
    lambda w, high: hg.plots.grid([[0.0, 2.0]], low=-2e30, high=high),
    "high",
    right={
        "None": lambda found: True,
        **{name: (lambda found, end=end: found.collections[0].get_clim()[1] == end) for name, end in ENDS.items()},
    },
)

ROWS["plots.spectrum(it)"] = Row(
    lambda w, it: [bar.get_height() for bar in hg.plots.spectrum(it).containers[0]],
    {"(0, True)": [0, 1], "(0, 1.0)": [0, 1]},
    {
        "below 0": lambda: [1.0, -1.0],
        "a scan of heads": lambda: hg.scan(world().gpt2, "ov").ov,
        "a head": lambda: world().summary,
    },
)


def of_spectrum(w: SimpleNamespace, **named: Any) -> Any:
    return hg.plots.spectrum(w.summary.ov, **named)


figure("spectrum", of_spectrum, "ax", right={"None": lambda found: found.get_ylabel() == "singular value"}, own=SEVERAL)
figure(
    "spectrum",
    of_spectrum,
    "log",
    right=each(
        (TRUE, lambda found: found.get_yscale() == "log"), (FALSE, lambda found: found.get_yscale() == "linear")
    ),
)
figure("spectrum", of_spectrum, "label", right=each((("None", *TEXTS), lambda found: found.get_legend() is not None)))

ROWS["plots.tokens(it)"] = Row(
    lambda w, it: hg.plots.tokens(it),
    own={"a head": lambda: world().summary, "no tokens": lambda: world().summary.ov.pairs},
)


def of_tokens(w: SimpleNamespace, **named: Any) -> Any:
    return hg.plots.tokens(w.summary.ov, **named)


figure("tokens", of_tokens, "ax", right={"None": lambda found: len(found.texts) == 16}, own=SEVERAL)
figure(
    "tokens",
    of_tokens,
    "n_directions",
    right=each((ONE, lambda found: len(found.texts) == 8), (("10**30",), lambda found: len(found.texts) == 16)),
    own={"0": lambda: 0},
    skip=("10**5000",),
)
figure(
    "tokens",
    of_tokens,
    "n_tokens",
    right=each((ONE, lambda found: len(found.texts) == 2), (("10**30",), lambda found: len(found.texts) == 20)),
    own={"0": lambda: 0},
    skip=("10**5000",),
)
figure("tokens", of_tokens, "side", own={"without its s": lambda: "read"})
figure("tokens", of_tokens, "sign", own={"a number": lambda: 1})

ROWS["plots.offsets(it)"] = Row(
    lambda w, it: texts(hg.plots.offsets(it)), {"(0, True)": ["1 back"], "(0, 1.0)": ["1 back"]}
)
figure(
    "offsets",
    lambda w, ax: hg.plots.offsets(w.summary.qk, ax=ax),
    "ax",
    right={"None": lambda found: found.get_ylabel() == "QK score"},
    own=SEVERAL,
)
ROWS["plots.pairs(it)"] = Row(
    lambda w, it: hg.plots.pairs(it), own={"a head": lambda: world().summary, "a composition": lambda: world().composed}
)
figure(
    "pairs",
    lambda w, ax: hg.plots.pairs(w.summary.ov, ax=ax),
    "ax",
    right={"None": lambda found: len(found.patches) == 3},
    own=SEVERAL,
)
figure(
    "pairs",
    lambda w, n: hg.plots.pairs(w.summary.ov, n=n),
    "n",
    right=each((ONE, lambda found: len(found.patches) == 1), (("10**30",), lambda found: len(found.patches) == 3)),
    own={"0": lambda: 0},
    skip=("10**5000",),
)
ROWS["plots.composition(it)"] = Row(
    lambda w, it: hg.plots.composition(it), own={"a scan": lambda: world().scan, "a head": lambda: world().summary}
)


def arrows(found: Any) -> int:
    return sum(patch.get_gid() is not None for patch in found.patches)


figure(
    "composition",
    lambda w, ax: hg.plots.composition(w.few, ax=ax),
    "ax",
    right={"None": lambda found: found.get_ylabel() == "layer"},
    own=SEVERAL,
)
figure(
    "composition",
    lambda w, n: hg.plots.composition(w.few, n=n, z=-9.0),
    "n",
    right=each((ONE, lambda found: arrows(found) == 1), (("10**30",), lambda found: arrows(found) == above(-9, "few"))),
    own={"0": lambda: 0},
    skip=("10**5000",),
)
figure(
    "composition",
    lambda w, kinds: hg.plots.composition(w.few, kinds=kinds),
    "kinds",
    own={"another letter": lambda: "QX"},
)
figure(
    "composition",
    lambda w, z: hg.plots.composition(w.few, z=z, n=10**6),
    "z",
    right={name: (lambda found, z=z: arrows(found) == above(z, "few")) for name, z in Z.items()},
)

# ---- hooks

TOKENS = torch.tensor([[3, 8, 5, 9], [4, 4, 7, 11]])


def by_hand(value: float, head: int = 2) -> Callable[[Any], bool]:
    """Whether logits are those of layer 1 with a head's z replaced, by a hook that is written here; 7 is d_head."""

    def replace(_: Any, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        z = inputs[0].clone()
        z[..., 7 * head : 7 * (head + 1)] = value
        return (z,)

    def right(found: torch.Tensor) -> bool:
        hook = world().gpt2.transformer.h[1].attn.c_proj.register_forward_pre_hook(replace)
        try:
            return torch.allclose(found, world().gpt2(TOKENS).logits, equal_nan=True)
        finally:
            hook.remove()

    return right


def ablated(w: SimpleNamespace, mode: Any = "zero", **named: Any) -> torch.Tensor:
    with hg.ablate(w.gpt2, "l1h2", mode, **named):
        return w.gpt2(TOKENS).logits.detach()


def recorded(w: SimpleNamespace, **named: Any) -> Any:
    with hg.record(w.gpt2, "l1h2", **named) as cache:
        w.gpt2(TOKENS)
    return cache


ROWS["ablate(it, ...)"] = Row(lambda w, it: hg.ablate(it, "l1h2"), own=A_MODEL)
ROWS["ablate(mode=it)"] = Row(
    lambda w, it: ablated(w, it),
    each((("1.0", *ONE), by_hand(1.0)), (("0.5", "np.float32(0.5)"), by_hand(0.5)), (("-1",), by_hand(-1.0)),
         (("10**30",), by_hand(1e30)), (("-10**30",), by_hand(-1e30))),
    {"another mode": lambda: "median", "a mapping of another head": lambda: {"l1h1": 0.0},
     "NaN of the right shape": lambda: torch.full((7,), np.nan),
     "whole numbers that are texts": lambda: "0", "another size": lambda: torch.zeros(1, 1, 6)},
)  # fmt: skip
ROWS["ablate('mean', reference=it)"] = Row(  # what a model says of arguments that it does not take is its own
    lambda w, it: ablated(w, "mean", reference=it), {"None": lambda found: found.shape == (2, 4, 31)},
    {"a list of ids": lambda: [[1, 2]], "no ids": lambda: torch.zeros(2, 0, dtype=torch.int64)},
    skip=("{'a': 1}", "ones [1, 4]", "ones [2, 3, 4]", "NaN [3, 4]", "meta [3, 4]"),
)  # fmt: skip
ROWS["ablate('mean', per_position=it)"] = Row(
    lambda w, it: ablated(w, "mean", per_position=it).shape, each(((*TRUE, *FALSE), (2, 4, 31)))
)
ROWS["ablate('zero', per_position=it)"] = Row(
    lambda w, it: ablated(w, "zero", per_position=it), {"False": by_hand(0.0)}
)
ROWS["ablate('resample', generator=it)"] = Row(
    lambda w, it: ablated(w, "resample", generator=it).shape, {"None": (2, 4, 31)}, {"a seed": lambda: 0}
)
ROWS["record(it, ...)"] = Row(lambda w, it: hg.record(it, "l1h2"), own=A_MODEL)
SET = each((("''", "[]", "set()"), lambda found: hasattr(found, "__enter__")))  # of an empty selection, with a warning
for name in ("selection", "layers"):
    ROWS[f"record({name}=it)"] = Row(lambda w, it, name=name: hg.record(w.gpt2, **{name: it}), SET, NO_HEADS)
ROWS["ablate(..., it)"] = Row(lambda w, it: hg.ablate(w.gpt2, it), SET, {**NO_HEADS, "a norm": lambda: "ln_final"})
ROWS["record(detach=it)"] = Row(
    lambda w, it: recorded(w, detach=it)["l1h2"].requires_grad, each((TRUE, False), (FALSE, True))
)
ROWS["record(keep=it)"] = Row(lambda w, it: recorded(w, keep=it), own={"another word": lambda: "first"})
ROWS["cache[it]"] = Row(lambda w, it: recorded(w)[it], own={"another head": lambda: "l1h1", "a pair": lambda: (1, 2)})
ROWS["cache.runs(it)"] = Row(lambda w, it: recorded(w).runs(it), own={"another head": lambda: "l1h1"})
ROWS["selection.zero_(it)"] = Row(lambda w, it: w.selection.zero_(it), own={"another": lambda: tiny.model("bert")})

# ---- previews, proofs

ROWS["preview(it)"] = Row(
    lambda w, it: printed(w, it),
    {"{}": lambda found: found.startswith("nothing is selected")},
    {"a model": lambda: world().gpt2},
)
ROWS["preview({name: it})"] = Row(
    lambda w, it: printed(w, {"lm_head.weight": it}, plain=True), each((("None", "tensor(True)"), "lm_head.weight\n"))
)
ROWS["preview(masks, it)"] = Row(
    lambda w, it: printed(w, w.selection.masks(), it, plain=True), {"None": lambda found: found.count("\n") == 3},
    {"another model": lambda: tiny.model("bert")},
)  # fmt: skip
ROWS["preview(plain=it)"] = Row(
    lambda w, it: printed(w, w.selection, plain=it),
    each((TRUE, lambda found: "%" not in found), (FALSE, lambda found: "%" in found)),
)
ROWS["preview(file=it)"] = Row(lambda w, it: printed(w, w.selection, file=it), skip=("None",))
ROWS["verify(..., it)"] = Row(
    lambda w, it: hg.verify(w.gpt2, it).ok, {"None": True}, {"of another model": lambda: hg.dissect(tiny.model("bert"))}
)
ROWS["verify(inputs=it)"] = Row(
    lambda w, it: hg.verify(w.gpt2, inputs=it).ok,
    {"None": True},
    {"a list of ids": lambda: {"input_ids": [[1, 2]]}, "a number by name": lambda: {5: torch.ones(1, 3)}},
)
ROWS["verify(inputs={'input_ids': it})"] = Row(
    lambda w, it: hg.verify(w.gpt2, inputs={"input_ids": it}),
    own={"ids that there are not": lambda: torch.full((1, 4), 10**6), "numbers for ids": lambda: torch.rand(1, 4)},
)
ROWS["verify(progress=it)"] = Row(
    lambda w, it: hg.verify(w.gpt2, progress=it).ok, each((("None", *TRUE, *FALSE), True)), skip=CALLABLE
)

# ---- the widget

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

# ---- the small model

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


# ---- the judge


def same(found: Any, expected: Any) -> bool:
    if isinstance(expected, FunctionType):
        return bool(expected(found))
    if isinstance(expected, torch.Tensor):
        return torch.equal(found, expected)
    return type(found) in (type(expected), torch.Size) and bool(found == expected)


def fault_of(error: BaseException) -> str:
    """What is wrong with how a value was refused; "" for nothing."""
    if not isinstance(error, TypeError | ValueError | KeyError | IndexError | OSError):
        return f"a {type(error).__name__}"
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    assert last is not None
    code = last.tb_frame.f_code
    if not code.co_filename.startswith(SOURCE) or code.co_code[last.tb_lasti] != dis.opmap["RAISE_VARARGS"]:
        return f"no raise of headgrid, but of {code.co_filename}, line {last.tb_lineno}"
    said = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    first = said.split("\n")[0]
    if not 20 <= len(first) <= 700 or first.count(" ") < 3:
        return f"a first line of {len(first)} characters"
    return "" if first.isprintable() else "characters that cannot be printed"


def outcome(row: Row, name: str) -> str:
    """`refused`, `right`, or what else came of a call."""
    made = row.values()[name]
    try:
        found = row.call(world(), made())
    except Exception as error:
        if name in row.right:
            return f"should be taken: {type(error).__name__}: {error}"
        fault = fault_of(error)
        return f"{fault}: {type(error).__name__}: {error}" if fault else "refused"
    finally:
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")
    if name not in row.right:
        return f"accepted: {found!r:.200}"
    return "right" if same(found, row.right[name]) else f"wrong: {found!r:.200}"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("argument", ROWS)
def test_nonsense_is_refused_in_a_sentence_or_gives_the_right_result(
    argument: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    row = ROWS[argument]
    assert set(row.right) - set(row.skip) <= set(row.values())
    others = {name: said for name in row.values() if (said := outcome(row, name)) not in ("refused", "right")}
    assert not others, f"{argument}: " + "\n".join(f"{name}: {said}" for name, said in others.items())
    assert not list(tmp_path.iterdir()), "nothing is written for what is refused"


def test_the_table_is_large() -> None:
    assert sum(len(row.values()) for row in ROWS.values()) >= 5000


def count() -> Counter[str]:
    """How many calls there are, refused, right, and with another outcome."""
    found = [outcome(row, name) for row in ROWS.values() for name in row.values()]
    return Counter(said if said in ("refused", "right") else "other" for said in found)


if __name__ == "__main__":
    counts = count()
    print(f"{len(ROWS)} arguments, {counts.total()} calls: {counts['refused']} refused with a sentence, "
          f"{counts['right']} with the right result, {counts['other']} with another outcome")  # fmt: skip
