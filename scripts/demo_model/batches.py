"""Training batches: half of the rows repeat a random block of tokens, half hold sentences of the language.

Every row starts with ``<bos>``. A batch is ``(ids, weights)``, both ``[rows, positions]``; ``weights[b, t]`` is how
much the loss of *predicting* token ``t`` of row ``b`` counts.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from demo_model.language import random_sentence
from headgrid.demo.name_task import NAME_KIND

Batch = tuple[Tensor, Tensor]


class Stage(NamedTuple):
    """What the batches look like during one part of the training."""

    rows: int
    positions: int
    first_weight: float
    """Weight of the random tokens that cannot be predicted; those that can have weight 1."""
    name_weight: float
    """Weight of the answers of the name task, the hardest to learn; every other word has weight 1."""


def repeated_rows(
    rng: random.Random, generator: torch.Generator, tokens: range, rows: int, positions: int, first_weight: float,
    prefix: int = 16,
) -> Batch:  # fmt: skip
    """Rows of ``<bos>``, 0 to ``prefix`` random tokens, then one random block of 4 tokens to half a row, over and over.

    The prefix is there so that the place of the block cannot be learned by position. What cannot be predicted is the
    prefix, the first copy of the block, and the first token of the second: these have the weight ``first_weight``.
    """
    ids = torch.zeros(rows, positions, dtype=torch.long)
    weights = torch.ones(rows, positions)
    for row in range(rows):
        before = rng.randint(0, prefix)
        block = rng.randint(4, positions // 2)
        drawn = torch.randint(tokens.start, tokens.stop, (before + block,), generator=generator)
        copies = drawn[before:].repeat(positions // block + 1)
        ids[row, 1:] = torch.cat([drawn[:before], copies])[: positions - 1]
        weights[row, : 1 + before + block + 1] = first_weight
    return ids, weights


def sentence_rows(rng: random.Random, word_ids: Mapping[str, int], rows: int, stage: Stage) -> Batch:
    """Rows of ``<bos>`` and sentences one after another, the last one cut off where the row ends."""
    ids = torch.zeros(rows, stage.positions, dtype=torch.long)
    weights = torch.ones(rows, stage.positions)
    for row in range(rows):
        words: list[str] = []
        names: list[int] = []  # positions of the answers of the name task
        while len(words) < stage.positions - 1:
            sentence = random_sentence(rng)
            if sentence.kind == NAME_KIND:
                names.append(1 + len(words) + sentence.answer)
            words.extend(sentence.words)
        ids[row, 1:] = torch.tensor([word_ids[word] for word in words[: stage.positions - 1]])
        weights[row, [name for name in names if name < stage.positions]] = stage.name_weight
    return ids, weights


def mixed_batch(
    rng: random.Random, generator: torch.Generator, word_ids: Mapping[str, int], tokens: range, stage: Stage
) -> Batch:
    """Half repeated rows, drawn from the token ids ``tokens``, and half sentence rows."""
    repeated = repeated_rows(rng, generator, tokens, stage.rows // 2, stage.positions, stage.first_weight)
    sentences = sentence_rows(rng, word_ids, stage.rows - stage.rows // 2, stage)
    return torch.cat([repeated[0], sentences[0]]), torch.cat([repeated[1], sentences[1]])
