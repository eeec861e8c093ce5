"""The shipped model with the z of heads replaced, by hooks written by hand in plain torch."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack

import torch

import headgrid as hg

MODEL, TOKENIZER = hg.demo()
HEADS = [(layer, head) for layer in range(2) for head in range(4)]
Head = tuple[int, int]


def recorded(ids: torch.Tensor) -> list[torch.Tensor]:
    """The z of each layer of the shipped model, `[rows, pos, n_heads * d_head]`."""
    found: list[torch.Tensor] = []
    with ExitStack() as hooks, torch.no_grad():
        for block in MODEL.transformer.h:
            hooks.callback(block.attn.c_proj.register_forward_pre_hook(lambda _, x: found.append(x[0].clone())).remove)
        MODEL(ids)
    return found


def by_hand(task: hg.Task, kept: Iterable[Head], rest: list[torch.Tensor]) -> torch.Tensor:
    """The logit difference of each row where the z of all heads but some is another."""
    kept = set(kept)

    def instead(layer: int) -> object:
        def hook(_: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            z = given[0].clone()
            for head in range(4):
                if (layer, head) not in kept:
                    z[..., 24 * head : 24 * (head + 1)] = rest[layer][..., 24 * head : 24 * (head + 1)]
            return (z,)

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for layer, block in enumerate(MODEL.transformer.h):
            hooks.callback(block.attn.c_proj.register_forward_pre_hook(instead(layer)).remove)
        last = MODEL(task.ids).logits[:, -1].double()
    assert task.answers is not None
    assert task.wrong is not None
    return (last.gather(1, task.answers) - last.gather(1, task.wrong))[:, 0]
