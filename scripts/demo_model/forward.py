"""A GPT-2's forward pass written out, with the scaffolds that models are trained on.

Without any it is the model's own: `tests/demo/test_names.py` compares them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor


@dataclass(frozen=True)
class Scaffold:
    """What is held back during a stage of the training.

    Attributes:
        heads: which heads of each layer write: the ``z`` of the others is zero. All of them by default.
        mlps: whether MLPs write.
        blanks: whether, at the position where the name is to come, only the last layer writes, and what the layers
            before it have put there is added to its output without a gradient: they learn through nothing but what the
            last layer's heads read.
    """

    heads: Sequence[Sequence[int]] | None = None
    mlps: bool = True
    blanks: bool = False


FREE = Scaffold()


class Pass(NamedTuple):
    """What a forward pass gives.

    Attributes:
        logits: ``[batch, positions, d_vocab]``.
        read: the stream that the last layer reads, ``[batch, positions, d_model]``.
        patterns: of each layer, the attention of the heads that write, ``[batch, n, query, key]``.
    """

    logits: Tensor
    read: Tensor
    patterns: list[Tensor]


def forward(model: Any, ids: Tensor, scaffold: Scaffold = FREE, blanks: Tensor | None = None) -> Pass:
    """Run a ``GPT2LMHeadModel`` without dropout.

    Args:
        model: the model.
        ids: token ids ``[batch, positions]``.
        scaffold: what is held back.
        blanks: where a name is to come, booleans ``[batch, positions]``.
    """
    stack = model.transformer
    n_heads = model.config.n_head
    x = stack.wte(ids) + stack.wpe.weight[: ids.shape[1]]
    future = torch.ones(ids.shape[1], ids.shape[1], dtype=torch.bool).triu(1)
    held = blanks[..., None] if scaffold.blanks and blanks is not None else None
    read, patterns = x, list[Tensor]()
    for layer, block in enumerate(stack.h):
        last = layer == len(stack.h) - 1
        read = x
        if held is not None and last:
            x = torch.where(held, x.detach(), x)
        heads = list(range(n_heads)) if scaffold.heads is None else list(scaffold.heads[layer])
        # the others are not computed: what they would do is multiplied with zero
        W = block.attn.c_attn.weight.unflatten(1, (3, n_heads, -1))[:, :, heads]
        bias = block.attn.c_attn.bias.unflatten(0, (3, n_heads, -1))[:, heads]
        qkv = (block.ln_1(read) @ W.flatten(1) + bias.flatten()).unflatten(-1, bias.shape)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        scores = (q @ k.mT / q.shape[-1] ** 0.5).masked_fill(future, -torch.inf)
        patterns.append(scores.softmax(-1))
        z = (patterns[-1] @ v).transpose(1, 2)
        W_O = block.attn.c_proj.weight.unflatten(0, (n_heads, -1))[heads]
        written = z.flatten(2) @ W_O.flatten(0, 1) + block.attn.c_proj.bias
        x = x + (written if held is None or last else written.masked_fill(held, 0.0))
        if scaffold.mlps:
            written = block.mlp(block.ln_2(x))
            x = x + (written if held is None or last else written.masked_fill(held, 0.0))
    return Pass(model.lm_head(stack.ln_f(x)), read, patterns)
