"""Train the checkpoints of the induction jump: the recipe of the small model, its first stage, in half the width.

One head of each layer writes, and no MLP: that is all that the jump needs.
"""

from __future__ import annotations

import copy
from typing import Any

from demo_model.small import train as small
from demo_model.tokens import CONTEXT
from demo_model.training import Shape
from headgrid.demo.shipped import CHECKPOINTS

SHAPE = Shape(n_layers=2, n_heads=2, d_model=48, d_mlp=1, positions=CONTEXT)
SEED, STEPS = 1, 3500
"""The schedule of the learning rate is that of a run of so many steps, of which 1,050 are taken."""
FIRST_HEADS = ((0,), (1,))


def train(seed: int = SEED, steps: int = CHECKPOINTS[-1]) -> dict[int, Any]:
    """Train from scratch; returns the model in eval mode as it was after each of `CHECKPOINTS` steps."""
    found: dict[int, Any] = {}

    def keep(model: Any, trained: int) -> None:
        if trained in CHECKPOINTS:
            found[trained] = copy.deepcopy(model).eval()

    small.run(seed, STEPS, SHAPE, FIRST_HEADS, until=steps, after=keep)
    return found
