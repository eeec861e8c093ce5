"""Train the small model, from `scripts`: ``python -m demo_model.train --out FOLDER [--seed N] [--steps N]``.

About three CPU-minutes on one thread. Everything random comes from ``--seed``.

Three things are done on purpose to get heads that are easy to tell apart; the model card lists them too:
*staging* (at first one head of each layer trains alone, without MLPs: trained all at once, several heads share each
job, and ablating any one of them changes little), *weighting* (see ``batches.py``), and the *sinusoidal start* of the
position embedding, from which attending to the previous token is quickly learned.
"""

from __future__ import annotations

import argparse
import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from demo_model.batches import Stage, mixed_batch
from demo_model.tokens import CONTEXT, SPECIAL, build_tokenizer, save_tokenizer, word_ids

N_LAYERS, N_HEADS, D_MODEL, D_HEAD, D_MLP = 2, 4, 96, 24, 96

SEED = 1
"""The seed of the shipped model; the card says why it is not 0."""
STEPS = 3500
LEARNING_RATE = 3e-3

FIRST_HEADS = (1, 2)
"""The head of each layer that trains alone at first: they become the previous-token and the induction head."""
ALONE_UNTIL, SHORT_UNTIL = 0.3, 0.4
"""Shares of the run: until the first, those heads are alone; until the second, rows are short."""

ALONE = Stage(rows=32, positions=48, first_weight=0.1, name_weight=0.1)
SHORT = Stage(rows=32, positions=48, first_weight=0.1, name_weight=2.0)
LONG = Stage(rows=16, positions=CONTEXT, first_weight=0.5, name_weight=8.0)

INIT_STD = 0.1
"""Standard deviation of every weight at the start: about 1 / sqrt(d_model)."""
WPE_AMPLITUDE = 0.3
"""Amplitude of the sines and cosines that the position embedding starts from."""


@contextmanager
def one_thread() -> Iterator[None]:
    """Run on one thread: a model this small is no faster on two, and sums are then always taken in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def build_model(n_vocab: int) -> Any:
    """Build the untrained ``transformers.GPT2LMHeadModel``; it draws from torch's global generator."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=n_vocab,
        n_positions=CONTEXT,
        n_embd=D_MODEL,
        n_layer=N_LAYERS,
        n_head=N_HEADS,
        n_inner=D_MLP,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
        initializer_range=INIT_STD,
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config)
    model.transformer.wpe.weight.data.copy_(sinusoids(CONTEXT, D_MODEL) * WPE_AMPLITUDE)
    return model


def sinusoids(positions: int, d_model: int, base: float = 1000.0) -> Tensor:
    """Sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017), ``[positions, d_model]``."""
    frequencies = base ** (-torch.arange(0, d_model, 2) / d_model)
    angles = torch.arange(positions)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def stage_at(progress: float) -> Stage:
    """Look up the stage at this share of the run. Induction is learned sooner on short rows."""
    return ALONE if progress < ALONE_UNTIL else SHORT if progress < SHORT_UNTIL else LONG


def silence_all_but_first_heads(model: Any) -> None:
    """Set ``W_O`` of the other heads and ``W_out`` of the MLPs to zero, in place.

    They then write nothing; once they are left alone, the zeros get gradients and they join in.
    """
    for block, first in zip(model.transformer.h, FIRST_HEADS, strict=True):
        W_O = block.attn.c_proj.weight.data.view(N_HEADS, D_HEAD, D_MODEL)
        W_O[[head for head in range(N_HEADS) if head != first]] = 0.0
        block.mlp.c_proj.weight.data.zero_()
        block.mlp.c_proj.bias.data.zero_()


def weighted_loss(model: Any, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean cross-entropy of the next token, in nats; ``ids`` and ``weights`` are ``[batch, positions]``."""
    logits = model(input_ids=ids).logits[:, :-1]
    losses = torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    counts = weights[:, 1:].flatten()
    return (losses * counts).sum() / counts.sum()


def schedule(step: int, steps: int, warm_up: int = 100, floor: float = 0.02) -> float:
    """Share of the learning rate at a step: a linear warm-up, then half a cosine down to ``floor``."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def train(seed: int = SEED, steps: int = STEPS) -> tuple[Any, Any]:
    """Train from scratch and print the loss now and then; returns ``(model in eval mode, tokenizer)``."""
    tokenizer = build_tokenizer()
    words = word_ids(tokenizer)
    rng, generator = random.Random(seed), torch.Generator().manual_seed(seed)
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(len(tokenizer))
        optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
        silence_all_but_first_heads(model)
        for step in range(steps):
            stage = stage_at(step / steps)
            ids, weights = mixed_batch(rng, generator, words, range(len(SPECIAL), len(tokenizer)), stage)
            loss = weighted_loss(model, ids, weights)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for group in optimizer.param_groups:
                group["lr"] = LEARNING_RATE * schedule(step, steps)
            optimizer.step()
            if stage is ALONE:
                silence_all_but_first_heads(model)
            if step % 250 == 0 or step == steps - 1:
                print(f"step {step:5d} of {steps}, loss {loss.item():.3f} nats", flush=True)
    return model.eval(), tokenizer


def save(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write config.json, model.safetensors (float32) and the tokenizer's two files."""
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)  # it only repeats the token ids of config.json
    save_tokenizer(tokenizer, folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, train, save."""
    parser = argparse.ArgumentParser(prog="python -m demo_model.train", description="Train the small model.")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--steps", type=int, default=STEPS, help=f"{STEPS} for the shipped model; fewer only to try")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    model, tokenizer = train(options.seed, options.steps)
    save(model, tokenizer, options.out)


if __name__ == "__main__":
    main()
