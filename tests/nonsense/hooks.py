"""Nonsense for hooks, previews and proofs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import tiny
import torch

import headgrid as hg
from nonsense.rows import CALLABLE, FALSE, ONE, ROWS, TRUE, Row, each, printed, world
from nonsense.selections import A_MODEL, NO_HEADS

TOKENS = torch.tensor([[3, 8, 5, 9], [4, 4, 7, 11]])


def saved(w: SimpleNamespace) -> Path:
    """A file of the selected head."""
    w.selection.save(w.gpt2, w.folder / "l1h2")
    return w.folder / "l1h2"


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


def with_values(w: SimpleNamespace, context: Any, value: Any) -> torch.Tensor:
    with context(w.gpt2, "l1h2", value):
        return w.gpt2(TOKENS).logits.detach()


def after(w: SimpleNamespace, context: Any, value: Any) -> torch.Tensor:
    """The z of a head within a context."""
    with context(w.gpt2, "l1h2", value), hg.record(w.gpt2, "l1h2") as cache:
        w.gpt2(TOKENS)
    return cache["l1h2"]


def added(value: float) -> Callable[[Any], bool]:
    """Whether a head's z is what it is without hooks, and this number."""
    return lambda found: torch.allclose(found, recorded(world())["l1h2"] + value)


def changed(w: SimpleNamespace, context: Any) -> set[int]:
    """The positions at which a context changes a head's z."""
    before = recorded(w)["l1h2"]
    with context, hg.record(w.gpt2, "l1h2") as cache:
        w.gpt2(TOKENS)
    return set((cache["l1h2"] != before).any(-1).any(0).nonzero()[:, 0].tolist())


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
ROWS["record(points=it)"] = Row(
    lambda w, it: recorded(w, points=it), {"None": lambda found: list(found) == ["l1h2"]},
    {"another point": lambda: "patterns", "a point of layers beside one of heads": lambda: ["q", "mind"]},
)  # fmt: skip
THE_SECOND = each((("1", "np.int64(1)"), (2, 1, 7)), (("-1",), (2, 1, 7)), (("None",), (2, 4, 7)))
OTHER_POSITIONS = {
    "a word": lambda: "last", "beyond": lambda: 4, "one twice": lambda: [0, -4], "parts of positions": lambda: [0.5],
    "of three rows": lambda: torch.arange(3), "an empty slice": lambda: slice(3, 3),
    "a slice of parts": lambda: slice(0.5), "a slice that does not move": lambda: slice(0, 2, 0),
}  # fmt: skip
ROWS["record(positions=it)"] = Row(lambda w, it: recorded(w, positions=it)["l1h2"].shape, THE_SECOND, OTHER_POSITIONS)
for name, context in (("ablate", hg.ablate), ("patch", hg.patch), ("steer", hg.steer)):
    ROWS[f"{name}(it, ...)"] = Row(lambda w, it, context=context: context(it, "l1h2", 1.0), own=A_MODEL)
    ROWS[f"{name}(positions=it)"] = Row(
        lambda w, it, context=context: changed(w, context(w.gpt2, "l1h2", 3.0, positions=it)),
        each((("1", "np.int64(1)"), {1}), (("-1",), {3}), (("None",), {0, 1, 2, 3})), OTHER_POSITIONS,
    )  # fmt: skip
ROWS["patch(..., it, 1.0)"] = Row(lambda w, it: hg.patch(w.gpt2, it, 1.0), SET, NO_HEADS)
ROWS["steer(..., it, 1.0)"] = Row(lambda w, it: hg.steer(w.gpt2, it, 1.0), SET, NO_HEADS)
NUMBERS = each((("1.0", *ONE), 1.0), (("0.5", "np.float32(0.5)"), 0.5), (("-1",), -1.0), (("10**30",), 1e30),
               (("-10**30",), -1e30))  # fmt: skip
OTHER_VALUES = {
    "a mode": lambda: "mean", "a mapping of another head": lambda: {"l1h1": 0.0},
    "another size": lambda: torch.zeros(6), "NaN of the right shape": lambda: torch.full((7,), np.nan),
}  # fmt: skip
ROWS["patch(values=it)"] = Row(
    lambda w, it: with_values(w, hg.patch, it), {name: by_hand(value) for name, value in NUMBERS.items()}, OTHER_VALUES
)
ROWS["steer(vector=it)"] = Row(
    lambda w, it: after(w, hg.steer, it), {name: added(value) for name, value in NUMBERS.items()}, OTHER_VALUES
)
ROWS["cache.of(it)"] = Row(lambda w, it: recorded(w).of(it), own={"another word": lambda: "patterns"})
ROWS["cache[it]"] = Row(lambda w, it: recorded(w)[it], own={"another head": lambda: "l1h1", "a pair": lambda: (1, 2)})
ROWS["cache.runs(it)"] = Row(lambda w, it: recorded(w).runs(it), own={"another head": lambda: "l1h1"})
ROWS["selection.zero_(it)"] = Row(lambda w, it: w.selection.zero_(it), own={"another": lambda: tiny.model("bert")})
ROWS["selection.save(it, path)"] = Row(
    lambda w, it: w.selection.save(it, w.folder / "entries"), own={"another": lambda: tiny.model("bert")}
)
ROWS["selection.load_(it, path)"] = Row(
    lambda w, it: w.selection.load_(it, saved(w)), own={"another": lambda: tiny.model("bert")}
)

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
