"""Nonsense for weights and factored matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import headgrid as hg
from nonsense.rows import FALSE, ONE, ROWS, TRUE, Row, each, ov_of, q_of, world

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
