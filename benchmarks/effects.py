"""Effects of all heads of GPT-2 small: attribution beside TransformerLens' and beside a loop of patches made by hand,
and the exact sweep beside a loop of `headgrid.ablate`. Weights are random. CPU-seconds of one thread.

    python benchmarks/effects.py [attribution] [sweep] [loss]

The loop of patches is timed for one head in each layer, and that of `ablate` likewise, times the number of heads.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from typing import Any

import torch
import transformers
from measure import interleaved

import headgrid as hg

ROWS, POSITIONS, RUNS = 4, 32, 5
N_LAYERS, N_HEADS, D_HEAD = 12, 12, 64


def model_and_task() -> tuple[Any, hg.Task]:
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    ids = torch.randint(0, 50257, (ROWS, POSITIONS))
    other = ids.clone()
    other[:, 3:6] = torch.randint(0, 50257, (ROWS, 3))
    return model, hg.Task(None, ids, corrupted=other, answers=[7] * ROWS, wrong=[11] * ROWS)


def attribution() -> None:
    from transformer_lens.model_bridge.sources import build_bridge_from_module
    from transformer_lens.tools.analysis.attribution_patching import attribution_patch

    model, task = model_and_task()
    theirs = copy.deepcopy(model)  # bridging rewires it
    bridge = build_bridge_from_module(theirs, type(theirs).__name__, hf_config=theirs.config)
    ids, other = task.inputs["input_ids"], task.corrupted["input_ids"]

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return (logits[:, -1, 7] - logits[:, -1, 11]).mean()

    def peer() -> torch.Tensor:
        with torch.enable_grad():
            found = attribution_patch(bridge, ids, other, metric)
        table = torch.zeros(N_LAYERS, N_HEADS, dtype=torch.float64)
        for node, score in found.node_scores.items():
            if node.kind == "attn_head_out":
                table[node.layer, node.head] += float(score)
        return table

    clean: dict[int, torch.Tensor] = {}
    handles = [
        block.attn.c_proj.register_forward_pre_hook(lambda _, args, at=at: clean.__setitem__(at, args[0].clone()))
        for at, block in enumerate(model.transformer.h)
    ]
    with torch.no_grad():
        model(ids)
    for handle in handles:
        handle.remove()

    def by_hand() -> None:
        for layer in range(N_LAYERS):
            patched(layer, 5)

    def patched(layer: int, head: int) -> float:
        mine = slice(head * D_HEAD, (head + 1) * D_HEAD)

        def hook(_: torch.nn.Module, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            z = args[0].clone()
            z[..., mine] = clean[layer][..., mine]
            return (z, *args[1:])

        handle = model.transformer.h[layer].attn.c_proj.register_forward_pre_hook(hook)
        try:
            return float(metric(model(other).logits))
        finally:
            handle.remove()

    found = interleaved({
        "headgrid": lambda: hg.sweep(model, task, "attribution", check=0),
        "TransformerLens": peer, "loop": by_hand,
    }, RUNS)  # fmt: skip
    ours, lens, loop = found["headgrid"], found["TransformerLens"], found["loop"]
    print(f"attribution of {N_LAYERS * N_HEADS} heads, {ROWS} x {POSITIONS}: headgrid {ours.seconds:.2f} s "
          f"{ours.peak:.0f} MiB; TransformerLens {lens.seconds:.2f} s, ratio {lens.seconds / ours.seconds:.2f}, "
          f"difference {(ours.result.values - lens.result).abs().max():.1e} of {lens.result.abs().max():.1e}; "
          f"loop of patches {loop.seconds * N_HEADS:.1f} s, ratio {loop.seconds * N_HEADS / ours.seconds:.1f}",
          flush=True)  # fmt: skip


def sweep(metric: str) -> None:
    model, task = model_and_task()
    ids = task.inputs["input_ids"]
    if metric == "loss":
        task = hg.Task(None, ids, metric="loss")

    def one(layer: int, head: int) -> float:
        with hg.ablate(model, f"l{layer}h{head}"):
            return float(task.score(model(ids)).mean())

    before = float(task.score(model(ids)).mean())
    contestants: dict[str, Callable[[], Any]] = {
        "headgrid": lambda: hg.sweep(model, task, "zero"),
        "loop": lambda: [one(layer, 5) for layer in range(N_LAYERS)],
    }
    found = interleaved(contestants, 3)
    ours, loop = found["headgrid"], found["loop"]
    error = max(abs(ours.result.values[layer, 5] - (loop.result[layer] - before)) for layer in range(N_LAYERS))
    print(f"exact sweep of {N_LAYERS * N_HEADS} heads, {ROWS} x {POSITIONS}, {task.metric_name}: headgrid "
          f"{ours.seconds:.1f} s {ours.peak:.0f} MiB; loop of ablate {loop.seconds * N_HEADS:.1f} s; "
          f"ratio {loop.seconds * N_HEADS / ours.seconds:.2f}; difference {error:.1e}", flush=True)  # fmt: skip


def main() -> None:
    wanted = sys.argv[1:] or ["attribution", "sweep", "loss"]
    if "attribution" in wanted:
        attribution()
    if "sweep" in wanted:
        sweep("logit_diff")
    if "loss" in wanted:
        sweep("loss")


if __name__ == "__main__":
    main()
