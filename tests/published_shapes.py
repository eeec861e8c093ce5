"""Configs of the published shapes: no weights are made of any."""

from __future__ import annotations

from functools import cache
from typing import Any

import transformers

import headgrid as hg
from headgrid.demo import FOLDER, folder_of
from headgrid.library import PublishedCircuit


def llama(layers: int, heads: int, d_model: int, d_mlp: int) -> Any:
    return transformers.LlamaConfig(
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=heads, hidden_size=d_model,
        intermediate_size=d_mlp, vocab_size=32000,
    )  # fmt: skip


CONFIGS: dict[str, Any] = {
    "gpt2": lambda: transformers.GPT2Config(),
    "attn-only-4l": lambda: {
        "n_layers": 4, "n_heads": 8, "d_model": 512, "d_head": 64, "n_ctx": 1024, "d_vocab": 48262, "attn_only": True,
        "act_fn": None, "normalization_type": "LN", "positional_embedding_type": "standard",
    },
    "EleutherAI/pythia-1.4b": lambda: transformers.GPTNeoXConfig(
        num_hidden_layers=24, num_attention_heads=16, hidden_size=2048, intermediate_size=8192, vocab_size=50304
    ),
    "google/gemma-2b": lambda: transformers.GemmaConfig(
        num_hidden_layers=18, num_attention_heads=8, num_key_value_heads=1, hidden_size=2048, intermediate_size=16384,
        head_dim=256,
    ),
    "EleutherAI/gpt-j-6b": lambda: transformers.GPTJConfig(),
    "meta-llama/Llama-2-7b-hf": lambda: llama(32, 32, 4096, 11008),
    "yaofu/llama-2-7b-80k": lambda: llama(32, 32, 4096, 11008),
    "huggyllama/llama-7b": lambda: llama(32, 32, 4096, 11008),
    "meta-llama/Llama-2-13b-hf": lambda: llama(40, 40, 5120, 13824),
    "headgrid.demo()": lambda: transformers.AutoConfig.from_pretrained(FOLDER),
    'headgrid.demo("names")': lambda: transformers.AutoConfig.from_pretrained(folder_of("names")),
    'headgrid.demo("gqa")': lambda: transformers.AutoConfig.from_pretrained(folder_of("gqa")),
}  # fmt: skip
"""The first name of a published model -> its config, written down here and not read from the library."""


@cache
def anatomy_of(model: str) -> hg.Anatomy:
    return hg.dissect(CONFIGS[model]())


def anatomy(circuit: PublishedCircuit) -> hg.Anatomy:
    return anatomy_of(circuit.models[0])
