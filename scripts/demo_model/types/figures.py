"""The figures of the card of the model of head types; the keys are the ``$names`` in ``card.md``."""

from __future__ import annotations

import itertools
import random
from typing import Any

import torch

import headgrid as hg
from demo_model.measure import ablated, heads_of, token_losses
from demo_model.tables import kilobytes, name_of, signed, table
from demo_model.tokens import word_ids
from demo_model.training import Draw
from demo_model.types import train as recipe
from headgrid.demo import demo
from headgrid.demo.shipped import FOLDERS
from headgrid.experiments.head_types import NAMES as TYPES


def figures() -> dict[str, str]:
    """Measure everything that the card says."""
    model, tokenizer = demo("types")
    return {
        "kilobytes": kilobytes(FOLDERS / "types"),
        "parameters": f"{model.num_parameters():,}",
        "n_vocab": str(model.config.vocab_size),
        "repeated_table": type_table(model, hg.Task.repeated(tokenizer, n=12, length=20)),
        "text_table": type_table(model, hg.Task(tokenizer, mirrored(tokenizer))),
        "ablation_table": ablation_table(model, tokenizer),
    }


def draw(seed: int) -> Draw:
    """Rows that are the same at every measurement."""
    return Draw(random.Random(seed), torch.Generator().manual_seed(seed))


def mirrored(tokenizer: Any) -> torch.Tensor:
    """Rows of mirrored blocks."""
    return recipe.mirrored_rows(draw(3), recipe.ordinary(word_ids(tokenizer)), 12, recipe.ROW)[0]


def type_table(model: Any, task: hg.Task) -> str:
    """Every head's score of each type, and under it whether it is above its base rate."""
    attention = hg.attention(model, task)
    scores = {name: attention.score(name, draws=4) for name in TYPES}
    lines = []
    for layer, head in heads_of(model):
        cells = []
        for score in scores.values():
            cell = f"{score.values[layer, head]:.2f}"
            cells.append(f"**{cell}**" if score.above[layer, head] else cell)
        lines.append((f"`{name_of((layer, head))}`", *cells))
    lines.append(("shuffled tokens, at most", *(f"{score.shuffled.max():.2f}" for score in scores.values())))
    lines.append(("even attention", *(f"{score.evenly.max():.2f}" for score in scores.values())))
    return table(("head", *TYPES), lines)


def losses(model: Any, tokenizer: Any) -> list[float]:
    """The loss of each task: a partner that comes, a mirrored token, the word that is asked for."""
    words = word_ids(tokenizer)
    partner = recipe.partners(words)
    ids, _ = recipe.partner_rows(draw(5), words, partner, 64, recipe.ROW)
    loss = token_losses(model, ids)
    follows = torch.tensor([[partner.get(a) == b for a, b in itertools.pairwise(row)] for row in ids.tolist()])
    asks = ids[:, :-1] == words[recipe.ASK]
    mirror, weights = recipe.mirrored_rows(draw(6), recipe.ordinary(words), 64, recipe.ROW)
    known = weights[:, 1:] == 1.0
    return [loss[follows].mean().item(), token_losses(model, mirror)[known].mean().item(), loss[asks].mean().item()]


def ablation_table(model: Any, tokenizer: Any) -> str:
    """What each head is worth to each task."""
    intact = losses(model, tokenizer)
    lines = [("nothing", *(f"{one:.2f}" for one in intact))]
    for head in heads_of(model):
        with ablated(model, [head], mean=True):
            changed = losses(model, tokenizer)
        lines.append((f"`{name_of(head)}`", *(signed(b - a, 2) for a, b in zip(intact, changed, strict=True))))
    return table(("without", "partners", "mirrored", "recall"), lines)
