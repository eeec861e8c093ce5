"""Train the grouped-query model: a Llama without MLPs in which one query head of a group is the induction head.

Its rows are repeated random tokens alone. Two heads train alone at first, so it is chosen which they are; and to begin
with they are told where to look, by a loss on their attention. Rotary positions make every distance as easy as the
previous token: left to themselves, the two found a circuit of another distance, which was learned late.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from demo_model.batches import repeated_rows
from demo_model.tokens import CONTEXT, SPECIAL, build_tokenizer
from demo_model.training import INIT_STD, attention_loss, earlier_copies, optimize, seeded, weighted_mean

SEED, STEPS = 0, 600
N_HEADS, N_KV_HEADS, D_HEAD = 8, 2, 24
FIRST_HEADS = (1, 5)
"""The head of each layer that trains alone at first: the previous-token and the induction head, of different groups."""
TOLD_UNTIL, ALONE_UNTIL = 0.3, 0.6
"""Shares of the run: until the first, heads are told where to look; until the second they are alone, on short rows."""
TOLD = 0.3
"""What the loss on attention counts."""


def build(n_vocab: int) -> Any:
    """Build the untrained ``transformers.LlamaForCausalLM``; its MLPs are held at zero."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=n_vocab,
        hidden_size=96,
        intermediate_size=1,
        num_hidden_layers=2,
        num_attention_heads=N_HEADS,
        num_key_value_heads=N_KV_HEADS,
        head_dim=D_HEAD,
        max_position_embeddings=CONTEXT,
        rope_parameters={"rope_type": "default", "rope_theta": 1000.0},
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=None,
        initializer_range=INIT_STD,
        attn_implementation="eager",
    )
    model = LlamaForCausalLM(config)
    for layer in model.model.layers:
        for parameter in layer.mlp.parameters():
            parameter.requires_grad_(False).zero_()
    return model


def silence(model: Any) -> None:
    """Set ``W_O`` of all heads but the first ones to zero, in place."""
    for layer, spared in zip(model.model.layers, FIRST_HEADS, strict=True):
        W_O = layer.self_attn.o_proj.weight.data.view(-1, N_HEADS, D_HEAD)
        W_O[:, [head for head in range(N_HEADS) if head != spared]] = 0.0


def targets(ids: Tensor) -> tuple[Tensor, Tensor]:
    """Where the two heads are told to look, booleans ``[rows, query, key]``: the previous token, and after a copy."""
    at = torch.arange(ids.shape[1])
    previous = (at[:, None] - 1 == at).expand(len(ids), -1, -1)
    return previous, torch.nn.functional.pad(earlier_copies(ids), (1, 0))[:, :, :-1]


def train(seed: int = SEED, steps: int = STEPS) -> Any:
    """Train from scratch; returns the model in eval mode."""
    n_vocab = len(build_tokenizer())
    with seeded(seed) as draw:
        model = build(n_vocab)
        silence(model)

        def loss_at(step: int) -> Tensor:
            rows, positions = (16, 48) if step < ALONE_UNTIL * steps else (8, 96)
            tokens = range(len(SPECIAL), n_vocab)
            ids, weights = repeated_rows(draw.rng, draw.generator, tokens, rows, positions, 0.1)
            told = step < TOLD_UNTIL * steps
            found = model(input_ids=ids, output_attentions=told)
            loss = weighted_mean(found.logits, ids, weights)
            if told:
                patterns = [found.attentions[layer][:, head] for layer, head in enumerate(FIRST_HEADS)]
                losses = [attention_loss(*both) for both in zip(patterns, targets(ids), strict=True)]
                loss = loss + TOLD * torch.stack(losses).mean()
            return loss

        def done(step: int) -> None:
            if step < ALONE_UNTIL * steps:
                silence(model)

        optimize(model, loss_at, steps, after=done)
    return model.eval()
