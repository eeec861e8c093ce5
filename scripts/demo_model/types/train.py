"""Train the model of head types: a current-token, a first-token and a duplicate-token head, each for a task of its own.

Three tasks, each of which asks for one of them:

- *partners*: each word has a partner, drawn once, that follows it half of the time. The embedding is tied to the
  unembedding, so what a token says of itself directly is symmetric, and a partner is not: a head must look at the
  current token and write it.
- *mirrored* blocks, ``a b c c b a``: after a token's second copy comes the token that stood *before* the first. A head
  looks at the first copy and writes what a previous-token head has put there.
- *recall*: after the word of `ASK` comes the word that followed the row's `MARK`. The head that looks for it has
  nothing to do anywhere else, and rests on the first token.

For the first part of the run the heads are told where to look, by a loss on their attention; then they are left alone.
"""

from __future__ import annotations

import random
from typing import Any

import torch
from torch import Tensor

from demo_model.batches import Batch
from demo_model.forward import FREE, Scaffold, forward
from demo_model.tokens import CONTEXT, build_tokenizer, word_ids
from demo_model.training import (
    Draw,
    Shape,
    attention_loss,
    build_gpt2,
    earlier_copies,
    optimize,
    seeded,
    silence,
    weighted_mean,
)

SHAPE = Shape(n_layers=2, n_heads=4, d_model=96, d_mlp=1, positions=CONTEXT)
SEED, STEPS = 0, 1800
ROW, ROWS = 48, 24
"""Tokens of a training row, and rows of a batch."""
MARK, ASK = "the", "is"
PARTNERS_SEED = 7

PREVIOUS, CURRENT, FIRST, DUPLICATE = (0, 0), (0, 1), (1, 2), (1, 3)
FIRST_HEADS = ((0, 1), (2, 3))
"""The heads of each layer that train alone at first."""
TOLD_UNTIL, ALONE_UNTIL = 0.4, 0.75
"""Shares of the run: until the first, heads are told where to look; until the second, those heads are alone."""
TOLD = 0.3
"""What the loss on attention counts."""


def ordinary(words: dict[str, int]) -> list[int]:
    """The token ids that random rows are drawn from: all words but the two of the recall task."""
    return sorted(i for word, i in words.items() if word not in (MARK, ASK))


def partners(words: dict[str, int]) -> dict[int, int]:
    """The partner of each of them: one cycle through all in random order."""
    cycle = ordinary(words)
    random.Random(PARTNERS_SEED).shuffle(cycle)
    return dict(zip(cycle, cycle[1:] + cycle[:1], strict=True))


def mirrored_rows(draw: Draw, pool: list[int], rows: int, positions: int) -> Batch:
    """Rows of ``<bos>``, up to 8 random words, a block of different words, and the same block backwards; and again."""
    ids = torch.zeros(rows, positions, dtype=torch.long)
    weights = torch.full((rows, positions), 0.1)
    for row in range(rows):
        text, known = draw.rng.sample(pool, draw.rng.randint(0, 8)), list[int]()
        while len(text) < positions - 1:
            block = draw.rng.sample(pool, draw.rng.randint(4, positions // 2))
            known += range(len(text) + len(block) + 1, len(text) + 2 * len(block))
            text += block + block[::-1]
        ids[row, 1:] = torch.tensor(text[: positions - 1])
        weights[row, [1 + at for at in known if 1 + at < positions]] = 1.0
    return ids, weights


def partner_rows(draw: Draw, words: dict[str, int], partner: dict[int, int], rows: int, positions: int) -> Batch:
    """Rows of ``<bos>`` and words each followed by its partner half of the time, with a mark and questions for it."""
    ids = torch.zeros(rows, positions, dtype=torch.long)
    weights = torch.full((rows, positions), 0.3)
    pool = ordinary(words)
    for row in range(rows):
        marked, answer = draw.rng.randint(0, positions // 3), draw.rng.choice(pool)
        text: list[int] = []
        while len(text) < positions - 1:
            if len(text) >= marked and words[MARK] not in text:
                text += [words[MARK], answer]
            elif words[MARK] in text and draw.rng.random() < 0.1:
                text += [words[ASK], answer]
                weights[row, len(text) : len(text) + 1] = 1.0
            else:
                follows = text and text[-1] in partner and draw.rng.random() < 0.5
                text.append(partner[text[-1]] if follows else draw.rng.choice(pool))
        ids[row, 1:] = torch.tensor(text[: positions - 1])
    return ids, weights


def targets(ids: Tensor, words: dict[str, int]) -> dict[tuple[int, int], Tensor]:
    """Where each head is told to look, booleans ``[rows, query, key]``; nowhere where a query has none."""
    n = ids.shape[1]
    at = torch.arange(n)
    after_mark = torch.nn.functional.pad(ids == words[MARK], (1, 0))[:, None, :n]
    asks = (ids == words[ASK])[:, :, None]
    every = torch.ones(len(ids), 1, 1, dtype=torch.bool)
    return {
        PREVIOUS: (at[:, None] - 1 == at) & every,
        CURRENT: (at[:, None] == at) & every,
        FIRST: torch.where(asks, after_mark & (at <= at[:, None]), at == 0),
        DUPLICATE: earlier_copies(ids),
    }


def train(seed: int = SEED, steps: int = STEPS) -> Any:
    """Train from scratch; returns the model in eval mode."""
    tokenizer = build_tokenizer()
    words = word_ids(tokenizer)
    pool, partner = ordinary(words), partners(words)
    alone = Scaffold(FIRST_HEADS, mlps=False)
    with seeded(seed) as draw:
        model = build_gpt2(len(tokenizer), SHAPE, tied=True)
        for block in model.transformer.h:
            for parameter in block.mlp.parameters():
                parameter.requires_grad_(False).zero_()

        def loss_at(step: int) -> Tensor:
            if step == round(ALONE_UNTIL * steps):
                silence(model, FIRST_HEADS)  # the others join from zero
            mirrored = mirrored_rows(draw, pool, ROWS // 2, ROW)
            other = partner_rows(draw, words, partner, ROWS // 2, ROW)
            ids, weights = torch.cat([mirrored[0], other[0]]), torch.cat([mirrored[1], other[1]])
            found = forward(model, ids, alone if step < ALONE_UNTIL * steps else FREE)
            loss = weighted_mean(found.logits, ids, weights)
            if step < TOLD_UNTIL * steps:
                told = [
                    attention_loss(found.patterns[layer][:, FIRST_HEADS[layer].index(head)], aims)
                    for (layer, head), aims in targets(ids, words).items()
                ]
                loss = loss + TOLD * torch.stack(told).mean()
            return loss

        optimize(model, loss_at, steps)
    return model.eval()
