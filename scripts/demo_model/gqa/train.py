"""Train the grouped-query model: a Llama without MLPs in which one query head of a group is the induction head.

Its rows are repeated random tokens alone. Two heads train alone at first, so it is chosen which they are.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from demo_model.batches import repeated_rows
from demo_model.tokens import CONTEXT, SPECIAL, build_tokenizer
from demo_model.training import INIT_STD, optimize, seeded, weighted_loss

SEED, STEPS = 0, 1200
N_HEADS, N_KV_HEADS, D_HEAD = 8, 2, 24
FIRST_HEADS = (1, 5)
"""The head of each layer that trains alone at first: the previous-token and the induction head, of different groups."""
ALONE_UNTIL, SHORT_UNTIL = 0.6, 0.5
"""Shares of the run: until the first, those heads are alone; until the second, rows are short."""


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


def train(seed: int = SEED, steps: int = STEPS) -> Any:
    """Train from scratch; returns the model in eval mode."""
    n_vocab = len(build_tokenizer())
    with seeded(seed) as draw:
        model = build(n_vocab)
        silence(model)

        def loss_at(step: int) -> Tensor:
            rows, positions = (32, 48) if step < SHORT_UNTIL * steps else (8, 96)
            tokens = range(len(SPECIAL), n_vocab)
            ids, weights = repeated_rows(draw.rng, draw.generator, tokens, rows, positions, 0.1)
            return weighted_loss(model, ids, weights)

        def done(step: int) -> None:
            if step < ALONE_UNTIL * steps:
                silence(model)

        optimize(model, loss_at, steps, after=done)
    return model.eval()
