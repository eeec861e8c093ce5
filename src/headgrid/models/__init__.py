"""Where anatomies come from: the only folder that knows a library or a family by name."""

from __future__ import annotations

from typing import Any

import torch

from headgrid.anatomy import Anatomy, AnatomyError
from headgrid.models import huggingface

__all__ = ["dissect"]


def dissect(source: Any) -> Anatomy:
    """The anatomy of a model: which entries of which parameters are which head, neuron, norm or embedding.

    Args:
        source: a transformers model (on any device, the meta device included) or config. An anatomy is returned as
            it is.

    Returns:
        The anatomy. It holds names and shapes, and no reference to the model.

    Raises:
        AnatomyError: when the family is not in the table, or when names or shapes are not what its row expects: a
            model is placed entirely or refused, never guessed silently.
        TypeError: when `source` is none of these.
    """
    if isinstance(source, Anatomy):
        return source
    config = getattr(source, "config", None)
    if isinstance(source, torch.nn.Module):
        if hasattr(config, "model_type"):
            return huggingface.from_model(source)
        raise AnatomyError(
            f"{type(source).__name__} has no config with a model_type, so its family is not known. "
            "Give the transformers model itself"
        )
    if hasattr(source, "model_type") and hasattr(source, "to_dict"):
        return huggingface.from_config(source)
    raise TypeError(
        f"dissect takes a transformers model, a transformers config or an Anatomy, not {type(source).__name__}"
    )
