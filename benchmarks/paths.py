"""All edges from heads into one head of GPT-2 small, beside TransformerLens' direct path patching.

TransformerLens patches from one head into all later heads, a forward pass for each pair, so its time for an edge is
that of one call from the layer before the last, divided by the pairs of it; all edges into one receiver are as many of
these. Both take the norm anew of the changed stream, so that their numbers can be compared. Weights are random.
CPU-seconds of one thread.
"""

from __future__ import annotations

import copy

import torch
import transformers
from measure import interleaved

import headgrid as hg

ROWS, POSITIONS, RUNS = 8, 16, 3


def main() -> None:
    from transformer_lens.model_bridge.sources import build_bridge_from_module
    from transformer_lens.patching import get_act_patch_direct_path

    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
    ids = torch.randint(0, 50257, (ROWS, POSITIONS))
    other = ids.clone()
    other[:, 3:6] = torch.randint(0, 50257, (ROWS, 3))
    task = hg.Task(None, ids, corrupted=other, answers=[7] * ROWS, wrong=[11] * ROWS)
    theirs = copy.deepcopy(model)  # bridging rewires it
    bridge = build_bridge_from_module(theirs, type(theirs).__name__, hf_config=theirs.config)
    with torch.no_grad():
        caches = [bridge.run_with_cache(one)[1] for one in (ids, other)]
        before = float(task.score(bridge(other)).mean())

    def peer() -> torch.Tensor:
        return get_act_patch_direct_path(
            bridge, other, *caches, lambda logits: task.score(logits).mean(), 10, 3, "k", verbose=False
        )

    for layer in (11, 6):
        senders, receiver = f"l0-{layer - 1}h*", f"l{layer}h5.k"
        found = interleaved({
            "headgrid": lambda senders=senders, receiver=receiver: hg.paths(
                model, task, senders, receiver, norms="recomputed"
            ),
            "TransformerLens": peer,
        }, RUNS)  # fmt: skip
        ours, per_edge = found["headgrid"], found["TransformerLens"].seconds / 12
        n = 12 * layer
        print(f"{n} edges into {receiver}: headgrid {ours.seconds:.2f} s {ours.peak:.0f} MiB; TransformerLens "
              f"{per_edge * n:.2f} s ({per_edge * 1e3:.0f} ms an edge); ratio {per_edge * n / ours.seconds:.1f}",
              flush=True)  # fmt: skip
        if layer == 11:
            peer_value = float(found["TransformerLens"].result[11, 5]) - before
            print(f"  l10h3 -> {receiver}: {ours.result['l10h3']:.6g} and {peer_value:.6g}")


if __name__ == "__main__":
    main()
