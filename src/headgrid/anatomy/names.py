"""Names in a selection's text that are no words of its language: those of stacks, modules and parameters."""

from __future__ import annotations

import re

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.utils.frozen import kept

MAIN = "text"
"""The name in a text of the stack that has none, where there are others: a vision-language model's language model."""


def stacks_of(anatomy: Anatomy) -> dict[str, Stack]:
    """The stacks of a model by their names in a text; empty where there is one stack only."""
    return {stack.name or MAIN: stack for stack in anatomy.stacks} if len(anatomy.stacks) > 1 else {}


def home_of(anatomy: Anatomy) -> tuple[Stack, tuple[Stack, ...]]:
    """The stack of words without one, and the stacks whose layers are in the same modules as its own.

    In a decoder without an encoder that is its attention to the encoder.
    """
    layered = {stack.name: stack for stack in anatomy.stacks if stack.n_layers}
    cross = layered.pop("cross", None)
    if cross is not None and len(layered) == 1:
        return next(iter(layered.values())), (cross,)
    return stacks_of(anatomy).get(MAIN, anatomy.main), ()


def modules_of(anatomy: Anatomy, path: str) -> dict[str, tuple[str, ...]]:
    """The modules and parameters that a path names, whole or by its end, each with its parameters; `h[1]` is `h.1`."""
    path = re.sub(r"\[(\d+)\]", r".\1", path)
    every = modules(anatomy)
    for whole in (path, path.removeprefix("model."), path.removeprefix("model.model.")):
        if whole in every:
            return {whole: every[whole]}
    return {module: inside for module, inside in every.items() if len(path) > 1 and module.endswith(f".{path}")}


@kept
def modules(anatomy: Anatomy) -> dict[str, tuple[str, ...]]:
    """Every module that has parameters, and every parameter -> its parameters, under their own names or tied ones."""
    found: dict[str, list[str]] = {}
    for name in (*anatomy.parameters, *anatomy.aliases):
        steps = name.split(".")
        for depth in range(1, len(steps) + 1):
            found.setdefault(".".join(steps[:depth]), []).append(name)
    return {module: tuple(names) for module, names in found.items()}
