"""Nonsense for hooks, previews and proofs."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import tiny
import torch

import headgrid as hg
from nonsense.rows import CALLABLE, FALSE, ONE, ROWS, TRUE, Row, each, printed, world
from nonsense.selections import A_MODEL, NO_HEADS

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
