"""Selections to parameter masks: headgrid beside devinterp's `create_param_masks`, in one process, in turn.

Both make the masks of the same words for the same model on the meta device; where both can, the masks are compared.
Prints medians, their ratio, and the bytes that the masks hold. The largest shape is run by headgrid alone: devinterp
makes a mask of every parameter's full size for every head before it joins them. Run it as a script.
"""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers
from devinterp.slt.weight_restrictions import create_param_masks

import headgrid as hg
from headgrid.selection.masks import ParamMasks
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire.schema import unpack

RUNS = 5


def on_meta(config: Any) -> torch.nn.Module:
    with torch.device("meta"):
        return transformers.AutoModelForCausalLM.from_config(config)


def seconds(make: Callable[[], ParamMasks]) -> tuple[float, ParamMasks]:
    start = time.perf_counter()
    masks = make()
    return time.perf_counter() - start, masks


def size(masks: ParamMasks) -> int:
    """The bytes that the masks hold, storage that several share counted once."""
    return sum(
        {m.untyped_storage().data_ptr(): m.untyped_storage().nbytes() for m in masks.values() if m is not None}.values()
    )


def compare(name: str, model: torch.nn.Module, heads: list[tuple[int, int]]) -> None:
    anatomy = hg.dissect(model)
    words = [f"l{layer}h{head}" for layer, head in heads]
    ours, theirs = [], []
    for _ in range(RUNS):
        mine, a = seconds(lambda: anatomy.select(words).masks())
        other, b = seconds(lambda: create_param_masks(model, words))
        ours.append(mine)
        theirs.append(other)
    same = list(a) == list(b) and all(torch.equal(a[key], b[key].cpu()) for key in a if a[key] is not None)
    mine, other = statistics.median(ours) * 1e3, statistics.median(theirs) * 1e3
    print(
        f"{name:34} {len(heads):5} heads  headgrid {mine:8.2f} ms {size(a) / 2**20:7.3f} MiB   "
        f"devinterp {other:9.1f} ms {size(b) / 2**20:8.1f} MiB   ratio {other / mine:6.1f} time, "
        f"{size(b) / max(size(a), 1):7.0f} memory   {'equal' if same else 'NOT EQUAL'}"
    )


def alone(name: str, model: torch.nn.Module, heads: list[tuple[int, int]]) -> None:
    anatomy = hg.dissect(model)
    for what, make in {
        "pairs": lambda: anatomy.select(heads).masks(),
        "words": lambda: anatomy.select([f"l{layer}h{head}" for layer, head in heads]).masks(),
    }.items():
        times = [seconds(make) for _ in range(RUNS)]
        median = statistics.median(t for t, _ in times) * 1e3
        print(
            f"{name:34} {len(heads):5} heads  headgrid {median:8.2f} ms {size(times[-1][1]) / 2**20:7.3f} MiB  ({what})"
        )


def clicks(name: str, model: torch.nn.Module, selected: str) -> None:
    """From the deed that a browser sends, one head switched, to new masks: what a click costs in Python."""
    grid = hg.HeadGrid(model, select=selected)
    cells = Cells(grid.anatomy)
    heads = [cell for cell in range(cells.n_cells) if cells.describe(cell)[0].endswith("h3")]
    times = []
    for cell in heads[:: max(1, len(heads) // 25)]:
        piece = f"{cell // 8}:{base64.b64encode(bytes([1 << cell % 8])).decode()}"
        is_on = unpack(grid.cells, cells.n_cells)[cell]
        n, value, off = grid.history["done"] + 1, "" if is_on else piece, piece if is_on else ""
        sent = [{"n": n, "by": "masks", "do": "edit", "name": "", "value": value, "off": off}]
        times.append(seconds(lambda sent=sent: (grid.set_state({"deeds": sent}), grid.masks)[1])[0])
    print(f"{name:34} a click with {selected!r} selected: {statistics.median(times[1:]) * 1e3:.1f} ms to new masks")


def main() -> None:
    torch.set_num_threads(1)
    gpt2 = on_meta(transformers.GPT2Config())
    compare("GPT-2 small, one head", gpt2, [(5, 3)])
    compare("GPT-2 small, all heads but one", gpt2, [(layer, head) for layer in range(12) for head in range(12)][1:])
    llama = on_meta(transformers.LlamaConfig(
        num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, hidden_size=4096, intermediate_size=14336,
        vocab_size=128256,
    ))  # fmt: skip
    compare("Llama-3-8B shape, one head", llama, [(5, 3)])
    compare("Llama-3-8B shape, one layer's heads", llama, [(5, head) for head in range(31)])
    large = on_meta(transformers.LlamaConfig(
        num_hidden_layers=80, num_attention_heads=64, num_key_value_heads=8, hidden_size=8192, intermediate_size=28672,
        vocab_size=128256,
    ))  # fmt: skip
    alone(
        "Llama-3-70B shape, all heads but one", large, [(layer, head) for layer in range(80) for head in range(64)][1:]
    )
    for selected in ("l0-39h*", "l1h2 | l[1,5] mlp", "full"):
        clicks("Llama-3-70B shape", large, selected)


if __name__ == "__main__":
    main()
