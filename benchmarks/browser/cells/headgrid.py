"""The grid of headgrid, from the shape of a model alone."""

import json
import time

import ipywidgets
import numpy as np
import transformers
from ipywidgets.widgets.widget import _remove_buffers

import headgrid as hg


def prepare(layers, heads):
    """What a user of headgrid has before there is a grid; the others need the two numbers only."""
    groups = heads if heads <= 12 else 8
    return hg.dissect(
        transformers.LlamaConfig(
            num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=groups,
            hidden_size=64 * heads, intermediate_size=256 * heads, vocab_size=1000,
        )
    )  # fmt: skip


def build(anatomy, layers, heads, note):
    grid = hg.HeadGrid(anatomy)
    grid.observe(lambda change: note(), "selection")
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
