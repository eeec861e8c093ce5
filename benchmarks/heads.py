"""What a head is described by, and the copying scores of all heads, beside TransformerLens, in one process, in turn.

The full content of the inspector for one head is its spectra, ten directions of OV and QK on both sides in ten tokens
at either end, and its scores. For a head of Llama's shape it is set against reading the unembedding once: the sum of
its entries, and a product with one vector. Weights are random. Run it as a script; it takes minutes and about 6 GiB.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import torch
import transformers
from measure import interleaved, row
from readouts import LLAMA, K, interpreter, random_model, theirs, times
from transformer_lens.FactoredMatrix import FactoredMatrix

from headgrid.circuits.describe import Describer
from headgrid.circuits.scan import scan
from headgrid.weights import Weights

FEW_LAYERS = 3
"""The layers whose copying scores TransformerLens computes; its time is for each layer the same."""


def each_time_another(describer: Describer, n_heads: int) -> Callable[[], Any]:
    heads = itertools.cycle(range(n_heads))
    return lambda: describer.head(0, next(heads))


def copying_by_transformer_lens(weights: Weights, n_layers: int) -> torch.Tensor:
    """sum(lambda) / sum|lambda| of W_E OV W_U of the first layers, one at a time."""
    found = []
    for layer in range(n_layers):
        full = weights.W_E @ FactoredMatrix(weights.W_V[layer], weights.W_O[layer]) @ weights.W_U
        values = full.eigenvalues
        found.append((values.sum(-1) / values.abs().sum(-1)).real)
    return torch.stack(found)


def inspector(name: str, model: torch.nn.Module, runs: int) -> None:
    weights = Weights(model)
    describer, n_heads = Describer(weights), weights.stack.n_heads
    with torch.no_grad():
        describer.head(0, 0)  # what all heads share
    peer, W_U = interpreter(weights), weights.W_U.mT
    vector = torch.randn(W_U.shape[1], dtype=W_U.dtype)
    contestants = {
        "head": each_time_another(describer, n_heads),
        "peer": theirs(peer, range(1, 2)),
        "sum": W_U.sum,
        "product": lambda: W_U @ vector,
    }
    found = interleaved(contestants, runs)
    row(f"{name}: all of one head", "SVDInterpreter, OV out", found["head"], found["peer"])
    for what in ("sum", "product"):
        row(f"{name}: all of one head", f"W_U once, {what}", found["head"], found[what])
    places, few = [(0, head) for head in range(n_heads)], min(3, n_heads)
    found = interleaved({"layer": lambda: describer.each(places), "peer": theirs(peer, range(few))}, 1)
    scaled = times(found["peer"], n_heads / few)
    note = f"{4 * K * n_heads} directions; theirs {K * n_heads}"
    row(f"{name}: all of {n_heads} heads", "SVDInterpreter, OV out", found["layer"], scaled, note)


def copying(name: str, model: torch.nn.Module) -> None:
    weights = Weights(model)
    contestants = {
        "ours": lambda: scan(Weights(model), ("copying",), ln="raw").copying_score,
        "theirs": lambda: copying_by_transformer_lens(weights, FEW_LAYERS),
        "forget": lambda: weights.W_E.mul_(1),  # so that W_U W_E is made anew each time
    }
    found, n_layers = interleaved(contestants, 1), weights.stack.n_layers
    exact = copying_by_transformer_lens(Weights(model, dtype=torch.float64), 1)
    errors = [float((found[who].result[:1] - exact).abs().max()) for who in ("ours", "theirs")]
    note = f"error {errors[0]:.0e} / {errors[1]:.0e}; theirs {FEW_LAYERS} layers, times {n_layers // FEW_LAYERS}"
    theirs_of_all = times(found["theirs"], n_layers / FEW_LAYERS)
    row(f"{name}: copying scores of all heads", "FactoredMatrix", found["ours"], theirs_of_all, note)


def main() -> None:
    torch.manual_seed(0)
    small = transformers.GPT2Config()
    copying("GPT-2 small", random_model(small, torch.float32))
    copying("GPT-2 medium", random_model(transformers.GPT2Config(n_layer=24, n_head=16, n_embd=1024), torch.float32))
    small.n_layer = 1
    for dtype in (torch.float32, torch.bfloat16):
        inspector(f"GPT-2 small, {str(dtype)[6:]}", random_model(small, dtype), 12)
    inspector("Llama-3-8B shape, bfloat16", random_model(LLAMA, torch.bfloat16), 5)


if __name__ == "__main__":
    main()
