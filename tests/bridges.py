"""Bridges: models of transformers opened through TransformerLens 3 and later, and what it does not support."""

from __future__ import annotations

import functools
from typing import Any

import tiny
import torch

UNSUPPORTED = {
    **dict.fromkeys(
        ("ministral", "persimmon", "phimoe", "electra", "distilbert", "albert", "albert with 2 groups", "deberta",
         "deberta without legacy", "deberta_v2", "deberta_v2 with position projections", "whisper", "qwen2_vl",
         "paligemma", "xlm-roberta", "camembert", "umt5"),
        "Unsupported architecture",
    ),
    "phi": "adapter did not declare 'q_norm'",  # with its norms of queries and keys, as in the tests
    "gpt_bigcode with a key/value head per head": "only supports multi_query=True",
    "falcon-40b with biases": "split_with_sizes expects split_sizes to sum exactly to 80",
    "falcon-11b": "has no attribute 'ln_attn'",
    "bart": "only supports symmetric configs",
    "qwen3_vl": "needs the optional torchvision library",
}  # fmt: skip
"""Families that TransformerLens' bridge refuses, with what it says."""


OTHERWISE = {"falcon-40b": "its groups of heads are taken apart wrongly"}
"""Families whose bridge computes something else than the model, and why."""


def fresh(family: str) -> torch.nn.Module:
    return tiny.fresh(family).float()  # TransformerLens computes in single precision here and there


def bridged(model: torch.nn.Module) -> Any:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    return build_bridge_from_module(model, type(model).__name__, hf_config=model.config)


@functools.cache
def bridge(family: str) -> Any:
    return bridged(fresh(family))
