"""What every model's training shares: the model itself, one thread, the optimizer and its schedule, files.

Everything random comes from a seed, and sums are taken in one order: the same seed gives the same weights.
"""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from headgrid.utils import files

LEARNING_RATE = 3e-3
INIT_STD = 0.1
"""Standard deviation of every weight at the start: about 1 / sqrt(d_model)."""
WPE_AMPLITUDE = 0.3
"""Amplitude of the sines and cosines that a position embedding starts from."""


class Shape(NamedTuple):
    """The sizes of a GPT-2."""

    n_layers: int
    n_heads: int
    d_model: int
    d_mlp: int
    positions: int


class Draw(NamedTuple):
    """Where a run's random numbers come from: both start from its seed."""

    rng: random.Random
    generator: torch.Generator


@contextmanager
def one_thread() -> Iterator[None]:
    """Run on one thread: a model this small is no faster on two, and sums are then always taken in the same order."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def seeded(seed: int) -> Iterator[Draw]:
    """Run on one thread, with torch's global generator (of which initial weights are drawn) and one's own seeded."""
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield Draw(random.Random(seed), torch.Generator().manual_seed(seed))


def build_gpt2(n_vocab: int, shape: Shape, *, tied: bool = False) -> Any:
    """Build an untrained ``transformers.GPT2LMHeadModel``; it draws from torch's global generator."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=n_vocab,
        n_positions=shape.positions,
        n_embd=shape.d_model,
        n_layer=shape.n_layers,
        n_head=shape.n_heads,
        n_inner=shape.d_mlp,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=tied,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=1,
        initializer_range=INIT_STD,
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config)
    model.transformer.wpe.weight.data.copy_(sinusoids(shape.positions, shape.d_model) * WPE_AMPLITUDE)
    return model


def sinusoids(positions: int, d_model: int, base: float = 1000.0) -> Tensor:
    """Sines and cosines of geometrically spaced frequencies (Vaswani et al. 2017), ``[positions, d_model]``."""
    frequencies = base ** (-torch.arange(0, d_model, 2) / d_model)
    angles = torch.arange(positions)[:, None] * frequencies
    return torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)


def silence(model: Any, but: Sequence[Sequence[int]]) -> None:
    """Set ``W_O`` of a GPT-2's heads, but some of each layer, and ``W_out`` of its MLPs to zero, in place.

    They then write nothing; once they are left alone, the zeros get gradients and they join in.
    """
    n_heads = model.config.n_head
    for block, spared in zip(model.transformer.h, but, strict=True):
        W_O = block.attn.c_proj.weight.data.view(n_heads, -1, model.config.n_embd)
        W_O[[head for head in range(n_heads) if head not in spared]] = 0.0
        block.mlp.c_proj.weight.data.zero_()
        block.mlp.c_proj.bias.data.zero_()


def weighted_loss(model: Any, ids: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean cross-entropy of the next token, in nats; ``ids`` and ``weights`` are ``[batch, positions]``."""
    return weighted_mean(model(input_ids=ids).logits, ids, weights)


def weighted_mean(logits: Tensor, ids: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy of ``ids`` under ``logits [batch, positions, d_vocab]``, as `weighted_loss` has it."""
    losses = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")
    counts = weights[:, 1:].flatten()
    return (losses * counts).sum() / counts.sum()


def attention_loss(pattern: Tensor, aims: Tensor) -> Tensor:
    """How far a head is from looking where it is told: minus the logarithm of its attention there, in nats.

    Args:
        pattern: its attention, ``[rows, query, key]``.
        aims: where to look, booleans of that shape; queries without any do not count, nor does the first token.
    """
    told = aims.any(-1)
    told[:, 0] = False  # it sees itself alone
    return -((pattern * aims).sum(-1)[told] + 1e-6).log().mean()


def earlier_copies(ids: Tensor) -> Tensor:
    """Where each token of ``ids [rows, positions]`` was before, booleans ``[rows, query, key]``."""
    at = torch.arange(ids.shape[1])
    return (ids[:, :, None] == ids[:, None]) & (at < at[:, None])


def schedule(step: int, steps: int, warm_up: int = 100, floor: float = 0.02) -> float:
    """Share of the learning rate at a step: a linear warm-up, then half a cosine down to ``floor``."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def optimize(
    model: Any, loss_at: Callable[[int], Tensor], steps: int, *, until: int | None = None,
    after: Callable[[int], None] = lambda step: None,
) -> None:  # fmt: skip
    """Train a model in place with AdamW, and print the loss now and then.

    Args:
        model: what is trained.
        loss_at: the loss of a step's batch.
        steps: how many steps the schedule of the learning rate has.
        until: how many of them are taken; all by default.
        after: called with the number of each step when it is done.
    """
    parameters = [one for one in model.parameters() if one.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    last = steps if until is None else until
    for step in range(last):
        loss = loss_at(step)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * schedule(step, steps)
        optimizer.step()
        after(step)
        if step % 250 == 0 or step == last - 1:
            print(f"step {step:5d} of {last}, loss {loss.item():.3f} nats", flush=True)


def save(model: Any, folder: Path, *, half: bool = False) -> None:
    """Write ``config.json`` and ``model.safetensors``, in float32 or float16; the configuration says float32.

    So whatever opens a folder of ``half`` files has a float32 model, with the weights rounded once.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (copy.deepcopy(model).half() if half else model).save_pretrained(folder)
    (folder / "generation_config.json").unlink(missing_ok=True)  # it only repeats the token ids of config.json
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8")) | {"dtype": "float32"}
    if "rope_parameters" in config:
        config["rope_theta"] = config["rope_parameters"]["rope_theta"]  # where version 4 of transformers looks for it
    files.write(path, json.dumps(config, indent=2, sort_keys=True) + "\n")
