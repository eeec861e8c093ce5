"""Patterns of a few heads: what recording them adds to a forward pass, beside the patterns of all heads as
transformers returns them.

A model of Llama's kind with random weights, 8 layers of 16 heads, at 1,536 tokens. Run it as a script; it takes minutes
and about 4 GiB.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
import transformers
from measure import interleaved, row

import headgrid as hg

CONFIG = transformers.LlamaConfig(
    num_hidden_layers=8, num_attention_heads=16, num_key_value_heads=4, hidden_size=1024, intermediate_size=2816,
    vocab_size=8192, max_position_embeddings=2048,
)  # fmt: skip
TOKENS = 1536


def model(attention: str) -> Any:
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(copy.deepcopy(CONFIG), attn_implementation=attention).eval()


def main() -> None:
    whole, steps = model("sdpa"), model("eager")
    given = torch.randint(CONFIG.vocab_size, (1, TOKENS), generator=torch.Generator().manual_seed(1))

    def recorded(selection: str) -> Any:
        with hg.record(whole, selection) as cache:
            whole(given, use_cache=False)
        return cache

    contestants = {
        "plain": lambda: whole(given, use_cache=False) and None,
        "two in two layers": lambda: recorded("(l2h3 | l5h7).pattern"),
        "two of a layer": lambda: recorded("l2h[3,7].pattern"),
        "all": lambda: recorded("l*h*.pattern"),
        "returned": lambda: steps(given, use_cache=False, output_attentions=True).attentions,
    }
    found = interleaved(contestants, 3)
    exact = found["returned"].result
    for name in ("two in two layers", "two of a layer", "all"):
        cache = found[name].result
        error = max(
            float((cache.of("pattern")[layer].transpose(1, 2) - exact[layer][:, list(heads)]).abs().max())
            for layer, heads in cache.heads.items()
        )
        note = f"{found[name].peak - found['plain'].peak:+.0f} MiB over the plain pass, error {error:.0e}"
        row(f"patterns of heads, {name}", "the plain pass", found[name], found["plain"], note)
        row(f"patterns of heads, {name}", "output_attentions", found[name], found["returned"])


if __name__ == "__main__":
    main()
