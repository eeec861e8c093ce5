"""Train the marked-name model: previous token -> induction marks the repeated name -> a reader at the blank.

Three stages. First induction is learned, by one head of each of the layers 0 and 1. Then the reader joins, one head of
layer 2, on the name task, under the two scaffolds of `Scaffold.blanks`: without them heads of the first layers read the
names themselves, and the work spreads over all of them. In the end all scaffolds fall, and every head and MLP joins in.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from demo_model.batches import repeated_rows
from demo_model.forward import FREE, Scaffold, forward
from demo_model.language import fact_sentence
from demo_model.language import vocabulary as fact_vocabulary
from demo_model.names.sentences import random_sentence, vocabulary
from demo_model.tokens import SPECIAL, build_tokenizer, word_ids
from demo_model.training import Draw, Shape, build_gpt2, optimize, seeded, silence, weighted_mean
from headgrid.demo.name_task import NAMES

SHAPE = Shape(n_layers=3, n_heads=4, d_model=96, d_mlp=96, positions=64)
SEED, STEPS = 1, 2400
ROW = 40
"""Tokens of a training row."""
INDUCTION_UNTIL, READER_UNTIL = 0.25, 0.75
"""Shares of the run after which the reader joins, and the scaffolds fall."""


class Weights(NamedTuple):
    """What counts how much in a stage's loss, and how many rows of each kind a batch has."""

    repeated_rows: int
    name_rows: int
    repeated: float
    text: float
    blank: float
    direct: float
    """Of the variance, over names, of the logits that the last layer's input would give at the blank."""


INDUCTION = Weights(32, 8, 1.0, 0.3, 0.1, 0.0)
READER = Weights(8, 40, 0.5, 0.2, 4.0, 0.05)
ALL = Weights(8, 40, 0.5, 0.5, 4.0, 0.05)


class NameRows(NamedTuple):
    """Rows of sentences, each with one of the name task.

    Attributes:
        ids: ``[rows, positions]``.
        blanks: where a name is to come next, booleans ``[rows, positions]``: one in each row.
        right: the uniform distribution over the right names, ``[rows, n_names]``.
    """

    ids: Tensor
    blanks: Tensor
    right: Tensor


def tokenizer() -> Any:
    """The tokenizer: the words of the facts and of the name sentences."""
    return build_tokenizer(list(dict.fromkeys([*fact_vocabulary(), *vocabulary()])), SHAPE.positions)


def name_rows(draw: Draw, words: dict[str, int], rows: int, positions: int = ROW) -> NameRows:
    """Rows of ``<bos>``, up to two facts, a sentence of the name task, and facts to the end of the row."""
    ids = torch.zeros(rows, positions, dtype=torch.long)
    blanks = torch.zeros(rows, positions, dtype=torch.bool)
    right = torch.zeros(rows, len(NAMES))
    for row in range(rows):
        while True:
            text = [word for _ in range(draw.rng.choice((0, 0, 1, 2))) for word in fact_sentence(draw.rng).words]
            sentence = random_sentence(draw.rng)
            text += sentence.words
            if len(text) < positions - 1:
                break
        blanks[row, len(text)] = True
        for name in sentence.right:
            right[row, NAMES.index(name)] = 1 / len(sentence.right)
        text += [draw.rng.choice(sentence.right), "."]
        while len(text) < positions - 1:
            text += fact_sentence(draw.rng).words
        ids[row, 1:] = torch.tensor([words[word] for word in text[: positions - 1]])
    return NameRows(ids, blanks, right)


def scaffold_at(progress: float) -> tuple[Weights, Scaffold]:
    """The loss and the scaffold at this share of the run."""
    if progress >= READER_UNTIL:
        return ALL, FREE
    if progress < INDUCTION_UNTIL:
        return INDUCTION, Scaffold(((0,), (0,), ()), mlps=False)
    return READER, Scaffold(((0,), (0,), (0,)), mlps=False, blanks=True)


def loss_of(model: Any, repeated: tuple[Tensor, Tensor], names: NameRows, weights: Weights, scaffold: Scaffold,
            name_ids: Tensor) -> Tensor:  # fmt: skip
    """The loss of one batch: see `Weights`."""
    n = len(repeated[0])
    ids = torch.cat([repeated[0], names.ids])
    blanks = torch.cat([torch.zeros_like(repeated[0], dtype=torch.bool), names.blanks])
    logits, read, _ = forward(model, ids, scaffold, blanks)
    loss = weights.repeated * weighted_mean(logits[:n], *repeated)
    counts = torch.ones_like(names.ids, dtype=torch.float)
    counts[:, 1:] -= names.blanks[:, :-1].float()  # the name itself is scored against all that are right
    loss = loss + weights.text * weighted_mean(logits[n:], names.ids, counts)
    asked = logits[n:][names.blanks].log_softmax(-1)[:, name_ids]
    loss = loss - weights.blank * (asked * names.right).sum(-1).mean()
    if weights.direct:
        early = model.lm_head(model.transformer.ln_f(read[n:][names.blanks]))[:, name_ids]
        loss = loss + weights.direct * early.var(-1).mean()
    return loss


def train(seed: int = SEED, steps: int = STEPS) -> Any:
    """Train from scratch; returns the model in eval mode."""
    known = tokenizer()
    words = word_ids(known)
    name_ids = torch.tensor([words[name] for name in NAMES])
    with seeded(seed) as draw:
        model = build_gpt2(len(known), SHAPE)
        joined = False

        def loss_at(step: int) -> Tensor:
            nonlocal joined
            weights, scaffold = scaffold_at(step / steps)
            if scaffold is FREE and not joined:
                silence(model, [[0]] * SHAPE.n_layers)  # from zero
                joined = True
            tokens = range(len(SPECIAL), len(known))
            repeated = repeated_rows(draw.rng, draw.generator, tokens, weights.repeated_rows, ROW, 0.0, prefix=8)
            return loss_of(model, repeated, name_rows(draw, words, weights.name_rows), weights, scaffold, name_ids)

        optimize(model, loss_at, steps)
    return model.eval()
