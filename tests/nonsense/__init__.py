"""The table of arguments and of nonsense for them, by what they are arguments of."""

from nonsense import (
    attention,
    circuits,
    course,
    effects,
    experiments,
    figures,
    hooks,
    library,
    selections,
    weights,
    widget,
)
from nonsense.rows import ROWS

__all__ = [
    "ROWS",
    "attention",
    "circuits",
    "course",
    "effects",
    "experiments",
    "figures",
    "hooks",
    "library",
    "selections",
    "weights",
    "widget",
]
