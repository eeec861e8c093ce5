"""How much one forward pass of the worker takes on: nothing can come between its beginning and its end."""

from __future__ import annotations

from typing import TypedDict

import torch

from headgrid.experiments.interventions import BUDGET

TOKENS = 256
"""The tokens of one pass on the processor, where a row is not longer: what a pass takes grows with them."""

MEMORY = 2**24
"""The bytes that the activations of a pass of many copies may take on the processor."""


class PassSize(TypedDict):
    """Arguments of experiments."""

    batch_size: int | None
    memory: int


def pass_size(model: torch.nn.Module, length: int) -> PassSize:
    """How many rows a pass has, and the bytes that its activations may take.

    On the processor ten short passes take about as long as a long one, and a head that is clicked meanwhile is read
    after a tenth of the time. An accelerator is quicker with all at once, and done sooner than anybody clicks.

    Args:
        model: the model.
        length: the tokens of a row.
    """
    if not on_processor(model):
        return {"batch_size": None, "memory": BUDGET}
    return {"batch_size": max(1, TOKENS // max(1, length)), "memory": MEMORY}


def on_processor(model: torch.nn.Module) -> bool:
    """Whether a model runs on the processor."""
    return next((one.device.type == "cpu" for one in model.parameters()), True)
