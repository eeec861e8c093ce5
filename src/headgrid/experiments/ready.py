"""Inputs of the tasks that are ready: repeated random tokens of any tokenizer, and the shipped model's names."""

from __future__ import annotations

from typing import Any

import torch

from headgrid.utils import arguments


def repeated(tokenizer: Any, n: int, length: int, seed: int) -> tuple[torch.Tensor, int]:
    """Rows of a block of random tokens and the same block again, `[n, first + 2 * length]`, and where it begins."""
    special = set(getattr(tokenizer, "all_special_ids", None) or ())
    if isinstance(tokenizer, type) or not hasattr(tokenizer, "__len__"):
        raise TypeError(f"tokenizer is one of transformers, which says its size, not {arguments.shown(tokenizer)}")
    n = arguments.integer("n", n, least=1, what="a number of rows")
    choices = torch.tensor([one for one in range(len(tokenizer)) if one not in special])
    length = arguments.integer(
        "length", length, least=2, below=len(choices) + 1, what="a number of tokens that all differ"
    )
    generator = torch.Generator().manual_seed(arguments.integer("seed", seed, least=0, below=2**63))
    block = torch.stack([choices[torch.randperm(len(choices), generator=generator)[:length]] for _ in range(n)])
    bos = getattr(tokenizer, "bos_token_id", None)
    if bos is None:
        bos = getattr(tokenizer, "cls_token_id", None)
    if bos is None:
        return torch.cat([block, block], 1), 0
    return torch.cat([torch.full((n, 1), bos), block, block], 1), 1


def names(tokenizer: Any, n: int, seed: int) -> tuple[torch.Tensor, list[int], list[int], torch.Tensor]:
    """Prompts of the name task, right and wrong names, and the prompts in which the other one gives."""
    from headgrid.demo import name_prompts

    found = name_prompts(tokenizer, n, seed=seed)
    corrupted = found.ids.clone()
    for row, (right, wrong) in enumerate(zip(found.right.tolist(), found.wrong.tolist(), strict=True)):
        last = int((found.ids[row] == wrong).nonzero()[-1])
        corrupted[row, last] = right
    return found.ids, found.right.tolist(), found.wrong.tolist(), corrupted
