"""The grid of headgrid, of a live model with a cell in focus: its weights are read beside whatever is clicked."""

import numpy as np
import torch
import transformers

import headgrid as hg


def prepare(layers, heads):
    """A model of random weights; heads of 4 dimensions, so that 126 x 128 of them fit into any memory."""
    groups = heads if heads <= 12 else 8
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=groups,
            hidden_size=4 * heads, intermediate_size=8 * heads, vocab_size=1000,
        )
    )  # fmt: skip


def build(model, layers, heads, note):
    grid = hg.HeadGrid(model)
    grid.observe(lambda change: note(), "selection")
    bands = grid.spec["bands"]
    first = sum(len(band["rows"]) * len(band["columns"]) for band in bands[:1])
    column = [column["kind"] for column in bands[1]["columns"]].index("head")
    grid.set_state({"focus": {"n": 1, "cell": first + column, "ln": "folded"}})
    return grid


def count(grid):
    return int(np.unpackbits(np.frombuffer(grid.cells, np.uint8)).sum())
