"""What the heads of a small model do: attention scores, weight scores, and what ablating them costs.

Nothing here changes a model, and nothing of headgrid's own hooks, masks or experiments is used. ``z`` is a head's
output before ``W_O``: ``[batch, positions, n_heads, d_head]``, the input of the attention's output projection. Layer
and head are counted from 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from headgrid.demo.prompts import NamePrompts

Head = tuple[int, int]
"""(layer, head)."""


def heads_of(model: Any) -> list[Head]:
    """Every (layer, head) of the model, in order."""
    config = model.config
    return [(layer, head) for layer in range(config.num_hidden_layers) for head in range(config.num_attention_heads)]


def output_projection(model: Any, layer: int) -> Any:
    """The module that holds ``W_O``, of a GPT-2 or a Llama: what enters it is ``z`` of all heads side by side."""
    if model.config.model_type == "gpt2":
        return model.transformer.h[layer].attn.c_proj
    return model.model.layers[layer].self_attn.o_proj


# --- forward passes ---------------------------------------------------------------------------------------------------


@torch.no_grad()
def attention(model: Any, ids: Tensor) -> Tensor:
    """Attention probabilities ``[n_layers, n_heads, batch, query, key]``."""
    return torch.stack(model(input_ids=ids, output_attentions=True).attentions).transpose(1, 2)


@torch.no_grad()
def token_losses(model: Any, ids: Tensor) -> Tensor:
    """Cross-entropy in nats of predicting token t+1 from the tokens up to t: ``[batch, positions - 1]``."""
    logits = model(input_ids=ids).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")


@contextmanager
def ablated(model: Any, heads: list[Head], *, mean: bool) -> Iterator[None]:
    """Replace the ``z`` of some heads: by zero, or, if ``mean``, by its mean over the batch at the same position."""
    n_heads = model.config.num_attention_heads

    def hook_for(chosen: list[int]) -> Any:
        def replace(_module: Any, inputs: tuple[Tensor, ...]) -> tuple[Tensor]:
            z = inputs[0].view(*inputs[0].shape[:2], n_heads, -1).clone()
            z[:, :, chosen] = z[:, :, chosen].mean(0, keepdim=True) if mean else 0.0
            return (z.flatten(-2),)

        return replace

    handles = []
    for layer in sorted({layer for layer, _ in heads}):
        chosen = [head for at, head in heads if at == layer]
        handles.append(output_projection(model, layer).register_forward_pre_hook(hook_for(chosen)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def ablated_mlp(model: Any, layer: int, *, mean: bool) -> Iterator[None]:
    """Replace what an MLP writes: by zero, or, if ``mean``, by its mean over the batch at the same position."""

    def replace(_module: Any, _inputs: Any, output: Tensor) -> Tensor:
        return output.mean(0, keepdim=True).expand_as(output) if mean else torch.zeros_like(output)

    handle = model.transformer.h[layer].mlp.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()


# --- repeated random tokens: <bos>, a block of L different tokens, the same block again -------------------------------


def half_losses(model: Any, ids: Tensor) -> tuple[float, float]:
    """Mean loss, in nats, on the tokens of the first copy and on those of the second but its first one.

    The first token of the second copy is left out: nothing says that the block has ended.
    """
    losses = token_losses(model, ids)  # losses[:, t] is about token t + 1; tokens 1..L are the first copy
    length = losses.shape[1] // 2
    return losses[:, :length].mean().item(), losses[:, length + 1 :].mean().item()


def attention_scores(model: Any, ids: Tensor) -> dict[str, Tensor]:
    """Mean attention of each head ``[n_layers, n_heads]`` on repeated random tokens ``[batch, 1 + 2 L]``.

    previous   from i to i - 1, for the queries i = 2..L (the first copy: only there is a key of use later on)
    induction  from i to i - L + 1, the token after the earlier copy, for i = L + 1..2 L
    duplicate  from i to i - L, the earlier copy itself, for i = L + 1..2 L
    bos        from i to 0, for i = 1..2 L
    """
    pattern = attention(model, ids).mean(2)  # [n_layers, n_heads, query, key]
    length = (ids.shape[1] - 1) // 2
    first, second = torch.arange(2, length + 1), torch.arange(length + 1, 2 * length + 1)
    return {
        "previous": pattern[..., first, first - 1].mean(-1),
        "induction": pattern[..., second, second - length + 1].mean(-1),
        "duplicate": pattern[..., second, second - length].mean(-1),
        "bos": pattern[..., 1:, 0].mean(-1),
    }


def ablation_cost(model: Any, ids: Tensor, head: Head, *, mean: bool = True) -> float:
    """By how many nats the loss on the second copy rises without a head."""
    intact = half_losses(model, ids)[1]
    with ablated(model, [head], mean=mean):
        return half_losses(model, ids)[1] - intact


# --- sentences --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def name_scores(model: Any, names: NamePrompts) -> tuple[float, float, float]:
    """Give the probability of the right name (mean, smallest) and its mean logit over the wrong name's."""
    logits = model(input_ids=names.ids).logits[:, -1]
    right, wrong = names.right[:, None], names.wrong[:, None]
    p = logits.softmax(-1).gather(1, right)
    return p.mean().item(), p.min().item(), (logits.gather(1, right) - logits.gather(1, wrong)).mean().item()


def name_attention(model: Any, names: NamePrompts) -> dict[str, Tensor]:
    """Mean attention of each head ``[n_layers, n_heads]`` from the last word of the prompt.

    right   to the right name
    wrong   to the wrong name where it is said first
    giver   to the name of who gives: in name-task prompts the wrong name, said again
    """
    pattern = attention(model, names.ids)[..., -1, :]  # [n_layers, n_heads, batch, key]
    is_name = torch.isin(names.ids, torch.cat([names.right, names.wrong, names.giver]))
    places = {
        "right": (names.ids == names.right[:, None]).int().argmax(1),
        "wrong": (names.ids == names.wrong[:, None]).int().argmax(1),
        "giver": names.ids.shape[1] - 1 - is_name.int().flip(1).argmax(1),  # the last name that is said
    }
    return {role: pattern[:, :, range(len(names.ids)), place].mean(-1) for role, place in places.items()}


def previous_in_text(model: Any, ids: Tensor) -> Tensor:
    """Mean attention of each head ``[n_layers, n_heads]`` from i to i - 1 in texts, i = 2 to the last."""
    pattern = attention(model, ids).mean(2)
    queries = torch.arange(2, pattern.shape[-1])
    return pattern[..., queries, queries - 1].mean(-1)


@torch.no_grad()
def answer_probabilities(model: Any, tokenizer: Any, prompts: list[tuple[str, str]]) -> Tensor:
    """Probability of each answer, one word, right after its text: ``[len(prompts)]``."""
    rows = [tokenizer(f"{text} {answer}")["input_ids"] for text, answer in prompts]
    longest = max(map(len, rows))
    # padded at the end, which in a causal model changes nothing before it: no mask is needed
    ids = torch.tensor([row + [tokenizer.pad_token_id] * (longest - len(row)) for row in rows])
    last = torch.tensor([len(row) - 1 for row in rows])
    each = torch.arange(len(rows))
    chances: Tensor = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[each, last - 1].softmax(-1)
    return chances[each, ids[each, last]]


# --- weights: row convention y = x W, LayerNorm's gain and centering folded in ----------------------------------------


def _centered(gain: Tensor) -> Tensor:
    """LayerNorm without its division, ``[d_model, d_model]``: subtract the mean, then scale by the gain."""
    n = gain.shape[0]
    folded: Tensor = (torch.eye(n, dtype=gain.dtype) - 1 / n) * gain
    return folded


def head_weights(model: Any, layer: int, head: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """``W_Q, W_K, W_V [d_model, d_head]`` with ln_1 folded in and ``W_O [d_head, d_model]``, in float64."""
    block = model.transformer.h[layer]
    d_model, n_heads = model.config.n_embd, model.config.n_head
    ln = _centered(block.ln_1.weight.detach().double())
    fused = block.attn.c_attn.weight.detach().double().view(d_model, 3, n_heads, -1)
    W_O = block.attn.c_proj.weight.detach().double().view(n_heads, -1, d_model)[head]
    return ln @ fused[:, 0, head], ln @ fused[:, 1, head], ln @ fused[:, 2, head], W_O


def OV(model: Any, head: Head) -> Tensor:
    """``LN W_V W_O``: what a head writes for what it reads, ``[d_model, d_model]``."""
    _, _, W_V, W_O = head_weights(model, *head)
    return W_V @ W_O


def QK(model: Any, head: Head) -> Tensor:
    """``LN W_Q (LN W_K)^T / sqrt(d_head)``: query x QK x key is the attention score, ``[d_model, d_model]``."""
    W_Q, W_K, _, _ = head_weights(model, *head)
    return W_Q @ W_K.T / math.sqrt(W_Q.shape[1])


def copying_score(model: Any, head: Head) -> float:
    """Sum of the eigenvalues of ``W_E OV W_U`` over the sum of their absolute values (Elhage et al. 2021).

    +1 for a head that raises the logit of what it attends to, -1 for one that lowers it. ``W_U`` has ln_f folded in.
    The nonzero eigenvalues are those of the ``d_head x d_head`` matrix ``W_O W_U W_E W_V``.
    """
    _, _, W_V, W_O = head_weights(model, *head)
    ln_f = _centered(model.transformer.ln_f.weight.detach().double())
    W_U = ln_f @ model.lm_head.weight.detach().double().T
    W_E = model.transformer.wte.weight.detach().double()
    eigenvalues = torch.linalg.eigvals(W_O @ (W_U @ W_E) @ W_V)
    return float(eigenvalues.real.sum() / eigenvalues.abs().sum())


def composition(A: Tensor, B: Tensor) -> float:
    """``||A B||_F / (||A||_F ||B||_F)`` (Elhage et al. 2021): how much of what A writes is what B reads."""
    return float((A @ B).norm() / (A.norm() * B.norm()))


def random_compositions(A: Tensor, B: Tensor, samples: int = 400, seed: int = 0) -> Tensor:
    """Composition of A and B after a random rotation between them, ``[samples]``: the baseline for the same spectra."""
    generator = torch.Generator().manual_seed(seed)
    scores = []
    for _ in range(samples):
        gaussian = torch.randn(A.shape[1], A.shape[1], dtype=A.dtype, generator=generator)
        q, r = torch.linalg.qr(gaussian)
        scores.append(composition(A @ (q * r.diagonal().sign()), B))  # the signs make it uniform (Haar)
    return torch.tensor(scores)
