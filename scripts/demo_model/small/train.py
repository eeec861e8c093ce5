"""Train the model that `headgrid.demo()` gives: about three CPU-minutes on one thread.

Three things are done on purpose to get heads that are easy to tell apart; the model card lists them too:
*staging* (at first one head of each layer trains alone, without MLPs: trained all at once, several heads share each
job, and ablating any one of them changes little), *weighting* (see ``batches.py``), and the *sinusoidal start* of the
position embedding, from which attending to the previous token is quickly learned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from demo_model.batches import Stage, mixed_batch
from demo_model.tokens import CONTEXT, SPECIAL, build_tokenizer, word_ids
from demo_model.training import Shape, build_gpt2, optimize, seeded, silence, weighted_loss

SHAPE = Shape(n_layers=2, n_heads=4, d_model=96, d_mlp=96, positions=CONTEXT)

SEED = 1
"""The seed of the shipped model; the card says why it is not 0."""
STEPS = 3500

FIRST_HEADS = ((1,), (2,))
"""The heads of each layer that train alone at first: they become the previous-token and the induction head."""
ALONE_UNTIL, SHORT_UNTIL = 0.3, 0.4
"""Shares of the run: until the first, those heads are alone; until the second, rows are short."""

ALONE = Stage(rows=32, positions=48, first_weight=0.1, name_weight=0.1)
SHORT = Stage(rows=32, positions=48, first_weight=0.1, name_weight=2.0)
LONG = Stage(rows=16, positions=CONTEXT, first_weight=0.5, name_weight=8.0)


def stage_at(progress: float) -> Stage:
    """Look up the stage at this share of the run. Induction is learned sooner on short rows."""
    return ALONE if progress < ALONE_UNTIL else SHORT if progress < SHORT_UNTIL else LONG


def train(seed: int = SEED, steps: int = STEPS) -> Any:
    """Train from scratch; returns the model in eval mode."""
    return run(seed, steps, SHAPE, FIRST_HEADS)


def run(
    seed: int, steps: int, shape: Shape, first: Sequence[Sequence[int]], *, until: int | None = None,
    after: Callable[[Any, int], None] = lambda model, steps: None,
) -> Any:  # fmt: skip
    """Train a model of any shape by this recipe.

    Args:
        seed: of everything random.
        steps: of the whole run.
        shape: the sizes.
        first: the heads of each layer that train alone at first.
        until: how many of the steps are taken.
        after: called with the model and how many steps it was trained: at the start, and after each.
    """
    tokenizer = build_tokenizer()
    words = word_ids(tokenizer)
    tokens = range(len(SPECIAL), len(tokenizer))
    with seeded(seed) as draw:
        model = build_gpt2(len(tokenizer), shape)
        silence(model, first)
        after(model, 0)

        def loss_at(step: int) -> Tensor:
            ids, weights = mixed_batch(draw.rng, draw.generator, words, tokens, stage_at(step / steps))
            return weighted_loss(model, ids, weights)

        def done(step: int) -> None:
            if stage_at(step / steps) is ALONE:
                silence(model, first)
            after(model, step + 1)

        optimize(model, loss_at, steps, until=until, after=done)
    return model.eval()
