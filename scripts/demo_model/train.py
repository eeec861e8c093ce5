"""Train a model, from `scripts`: ``python -m demo_model.train [NAME] --out FOLDER [--seed N] [--steps N]``.

One to three CPU-minutes on one thread. Everything random comes from ``--seed``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from demo_model.gqa import train as gqa
from demo_model.jump import train as jump
from demo_model.names import train as names
from demo_model.small import train as small
from demo_model.tokens import build_tokenizer, save_tokenizer
from demo_model.training import save
from demo_model.types import train as types
from headgrid.demo.shipped import CHECKPOINTS, MODELS, DemoName


class Recipe(NamedTuple):
    """How a model is trained.

    Attributes:
        train: called with a seed and a number of steps; gives the model, or checkpoints by their steps.
        seed, steps: of the shipped one.
        tokenizer: makes its tokenizer; None for one that shares that of the model "small".
        half: whether its file is in float16.
    """

    train: Callable[[int, int], Any]
    seed: int
    steps: int
    tokenizer: Callable[[], Any] | None = None
    half: bool = True


RECIPES: dict[DemoName, Recipe] = {
    "small": Recipe(small.train, small.SEED, small.STEPS, build_tokenizer, half=False),
    "training": Recipe(jump.train, jump.SEED, CHECKPOINTS[-1]),
    "gqa": Recipe(gqa.train, gqa.SEED, gqa.STEPS),
    "names": Recipe(names.train, names.SEED, names.STEPS, names.tokenizer),
    "types": Recipe(types.train, types.SEED, types.STEPS),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line, train, save."""
    parser = argparse.ArgumentParser(prog="python -m demo_model.train", description="Train a small model.")
    parser.add_argument("name", nargs="?", choices=tuple(MODELS), default="small", help="which; 'small' by default")
    parser.add_argument("--seed", type=int, help="that of the shipped model by default")
    parser.add_argument("--steps", type=int, help="those of the shipped model by default; fewer only to try")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    options = parser.parse_args(arguments)
    recipe = RECIPES[options.name]
    seed = recipe.seed if options.seed is None else options.seed
    found = recipe.train(seed, recipe.steps if options.steps is None else options.steps)
    for step, model in found.items() if isinstance(found, dict) else [(None, found)]:
        save(model, options.out if step is None else options.out / f"step-{step:04d}", half=recipe.half)
    if recipe.tokenizer is not None:
        save_tokenizer(recipe.tokenizer(), options.out)


if __name__ == "__main__":
    main()
