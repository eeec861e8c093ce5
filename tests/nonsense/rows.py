"""Rows of the table of arguments: what each is given, and what is right; the table itself is in the modules beside."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tiny
import torch

import headgrid as hg
from headgrid.demo import demo

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
        scan=hg.scan(gpt2), grid=hg.HeadGrid(gpt2), folder=Path(tempfile.mkdtemp()),
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
