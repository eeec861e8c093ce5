"""Directions to tokens: headgrid's `Vocabulary` beside TransformerLens' `SVDInterpreter`, in one process, in turn.

Both get the same weights and find the ten tokens at either end of ten singular directions of a head's OV circuit.
SVDInterpreter reads the output side of one head a call; headgrid reads both sides, and all heads of a layer at once.
`exact` says whether headgrid's ten tokens are those of a float64 product with the whole vocabulary, for every direction
and at both ends. Weights are random. Run it as a script; it takes minutes and about 6 GiB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from measure import Measured, interleaved, row
from transformer_lens import SVDInterpreter

from headgrid.circuits.factors import Circuits
from headgrid.circuits.tokens import TokenTable, Vocabulary
from headgrid.weights import Weights

K = N = 10

LLAMA = transformers.LlamaConfig(
    num_hidden_layers=1, num_attention_heads=32, num_key_value_heads=8, hidden_size=4096, intermediate_size=64,
    vocab_size=128256,
)  # fmt: skip


def random_model(config: Any, dtype: torch.dtype) -> torch.nn.Module:
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.to_empty(device="cpu").tie_weights()
    with torch.no_grad():
        for parameter in model.parameters():
            for piece in parameter.split(8192):  # random numbers of bfloat16 are slow
                piece.copy_(torch.randn(piece.shape) * 0.02 + (parameter.dim() == 1))
    return model


def interpreter(weights: Weights) -> SVDInterpreter:
    n_heads = weights.stack.n_heads
    heads = {
        "blocks.0.attn.W_V": torch.stack([weights.W_V[0, head] for head in range(n_heads)]),
        "blocks.0.attn.W_O": weights.W_O[0],
        "unembed.W_U": weights.W_U,
    }
    cfg = SimpleNamespace(d_vocab=weights.W_U.shape[1], n_layers=1, n_heads=n_heads)
    return SVDInterpreter(SimpleNamespace(cfg=cfg, tl_parameters=lambda: heads))


def theirs(peer: SVDInterpreter, heads: range) -> Callable[[], Any]:
    def run() -> Any:
        for head in heads:
            logits = peer.get_singular_vectors("OV", 0, num_vectors=K, head_index=head)[:, 0]
            logits.topk(N, dim=0), logits.topk(N, dim=0, largest=False)

    return run


def dense(directions: torch.Tensor, matrix: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The ids at both ends of the logits `[k, V]` in float64, a few directions at a time."""
    ends = []
    for few in directions.double().split(40):
        logits = torch.cat([few @ piece.double().mT for piece in matrix.split(8192)], 1)
        ends.append((logits.topk(N).indices, logits.topk(N, largest=False).indices))
    tops, bottoms = zip(*ends, strict=True)
    return torch.cat(tops), torch.cat(bottoms)


def exact(table: TokenTable, directions: torch.Tensor, matrix: torch.Tensor) -> str:
    top, bottom = dense(directions, matrix)
    same = torch.equal(top, table.ids) and torch.equal(bottom, table.bottom_ids)
    return "exact" if same else "NOT EXACT"


def times(measured: Measured, factor: float) -> Measured:
    return replace(measured, seconds=measured.seconds * factor)


def compare(name: str, model: torch.nn.Module, runs: int) -> None:
    weights = Weights(model)
    n_heads, matrix = weights.stack.n_heads, weights.W_U.mT
    vocabulary, circuits, peer = Vocabulary(weights, ln="raw"), Circuits(weights, ln="raw"), interpreter(weights)
    layer = torch.randn(n_heads * K, weights.stack.d_model, dtype=torch.float64)

    def head() -> tuple[TokenTable, torch.Tensor, TokenTable, torch.Tensor]:
        U, _, Vh = circuits.head("ov", 0, 1).svd()
        return vocabulary.reads(U.mT[:K], N), U.mT[:K], vocabulary.writes(Vh[:K], N), Vh[:K]

    found = interleaved({"head": head, "peer": theirs(peer, range(1, 2))}, runs)
    reads, U, writes, Vh = found["head"].result
    note = f"{exact(reads, U, vocabulary.embed())} reading, {exact(writes, Vh, matrix)} writing (theirs: writing alone)"
    row(f"{name}: one head, SVD and tokens", "SVDInterpreter", found["head"], found["peer"], note)

    few = min(3, n_heads)
    found = interleaved({"layer": lambda: vocabulary.writes(layer, N), "peer": theirs(peer, range(few))}, runs)
    note = exact(found["layer"].result, layer, matrix)
    scaled = times(found["peer"], n_heads / few)
    row(f"{name}: {len(layer)} directions of a layer", "SVDInterpreter", found["layer"], scaled, note)

    found = interleaved({"ten": lambda: vocabulary.writes(layer[:K], N), "sum": matrix.sum}, 2 * runs + 1)
    row(
        f"{name}: {K} directions",
        "the sum of W_U",
        found["ten"],
        found["sum"],
        exact(found["ten"].result, layer[:K], matrix),
    )


def main() -> None:
    torch.manual_seed(0)
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        model = random_model(transformers.GPT2Config(n_layer=1), dtype)
        compare(f"GPT-2 small, {str(dtype)[6:]}", model, 7)
    compare("Llama-3-8B shape, bfloat16", random_model(LLAMA, torch.bfloat16), 3)
    weights = Weights(random_model(transformers.GPT2Config(n_layer=1), torch.float32))
    embed = weights.W_E
    found = interleaved({"ours": lambda: Vocabulary(weights).W_UE(), "plain": lambda: weights.W_U @ embed}, 3)
    row("GPT-2 small, float32: W_U W_E", "one product", found["ours"], found["plain"])


if __name__ == "__main__":
    main()
