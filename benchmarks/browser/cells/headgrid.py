"""The grid of headgrid: from the shape of a model alone, or of a live model."""

import json
import time

import ipywidgets
import numpy as np
import torch
import transformers
from ipywidgets.widgets.widget import _remove_buffers

import headgrid as hg


def prepare(layers, heads):
    """What a user of headgrid has before there is a grid; the others need the two numbers only."""
    return hg.dissect(llama(layers, heads, 64, 256))


def prepare_live(layers, heads):
    """A model of random weights; heads of 4 dimensions, so that 126 x 128 of them fit into any memory."""
    torch.manual_seed(0)
    return transformers.LlamaForCausalLM(llama(layers, heads, 4, 8))


def llama(layers, heads, head_dim, neurons_per_head):
    return transformers.LlamaConfig(
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=heads if heads <= 12 else 8,
        hidden_size=head_dim * heads, intermediate_size=neurons_per_head * heads, vocab_size=1000,
    )  # fmt: skip


def build(given, layers, heads, note):
    """The grid; of a live model with a head in focus, whose weights are read beside whatever is clicked."""
    grid = hg.HeadGrid(given)
    grid.observe(lambda change: note(), "selection")
    if isinstance(given, torch.nn.Module):
        embeddings, decoder = grid.spec["bands"][:2]
        first = len(embeddings["rows"]) * len(embeddings["columns"])
        column = [column["kind"] for column in decoder["columns"]].index("head")
        grid.set_state({"focus": {"n": 1, "cell": first + column, "ln": "folded"}})
    return grid


def count(grid):
    return int(np.unpackbits(np.frombuffer(grid.cells, np.uint8)).sum())


def mixture(layers, heads):
    """A config with experts beside the heads, larger than any memory here: only its shapes are used."""
    return transformers.MixtralConfig(
        num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=8, hidden_size=128 * heads,
        intermediate_size=53248, vocab_size=128256, num_local_experts=64, num_experts_per_tok=8,
    )  # fmt: skip


def timed(run):
    """CPU-seconds of this process."""
    start = time.process_time()
    run()
    return time.process_time() - start


def sizes(grid):
    """Bytes of what a grid sends when it is shown, without its code, and of what a saved notebook keeps of it."""
    state = grid.get_state()
    for code in ("_esm", "_css"):
        state.pop(code, None)
    rest, _, buffers = _remove_buffers(state)
    spec, _, plan_buffers = _remove_buffers({"spec": state["spec"]})
    saved = ipywidgets.Widget.get_manager_state(widgets=[grid, grid.layout])["state"][grid.model_id]
    for code in ("_esm", "_css"):
        saved["state"].pop(code, None)
    return {
        "state": len(json.dumps(rest, separators=(",", ":"))),
        "buffers": sum(map(len, buffers)),
        "spec": len(json.dumps(spec, separators=(",", ":"))) + sum(map(len, plan_buffers)),
        "picture": len(json.dumps(grid._repr_mimebundle_()[0].get("text/html", ""))),
        "saved": len(json.dumps(saved)),
    }
