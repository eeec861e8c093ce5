"""Where anatomies come from: the only folder that knows a library or a family by name."""

from __future__ import annotations

import os
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.models import huggingface, lens, wrappers
from headgrid.models.proven import marked
from headgrid.utils.arguments import shown
from headgrid.utils.warning import warn

__all__ = ["dissect"]


def dissect(source: Any) -> Anatomy:
    """The anatomy of a model: which entries of which parameters are which head, neuron, expert, norm or embedding.

    Args:
        source: one of
            a transformers model, on any device, the meta device included, or a module with one inside (fine-tuned
            with PEFT, compiled, parallel, nested);
            a transformers config, or the path of a `config.json` or of the folder that it is in;
            a TransformerLens bridge (4.x), or any object with HookedTransformer's parameters (`blocks.0.attn.W_Q`);
            a TransformerLens config, or the dictionary that its `to_dict` makes.
            An anatomy is returned as it is.

    Returns:
        The anatomy. It holds names and shapes, and no reference to the model. A config alone gives that of the model
        which it describes; no weights are made.

    Raises:
        AnatomyError: when names or shapes are not what the family's row expects, or, for a family that is not in the
            table, when no guess holds; when the weights are quantized or sharded. A model is placed entirely or
            refused.
        TypeError: when `source` is none of these.

    Warns:
        UserWarning: when the family is not in the table and the anatomy is a guess. Its `provenance` says so too, until
            `verify` has proven it. And when an adapter changes heads by parameters that are not in them: `caveats` says
            which.
    """
    if isinstance(source, Anatomy):
        return source
    if isinstance(source, type):  # it has the attributes that its objects are known by
        raise _unknown(source)
    anatomy = _dissect(source)
    if anatomy.provenance == "guess":
        warn(
            f"{anatomy.family!r} is not in headgrid's table: where the heads of this {anatomy.name} are stored is a "
            f"guess from names and shapes. {'; '.join([*anatomy.caveats, 'headgrid.verify tells'])}"
        )
    elif anatomy.caveats and anatomy.provenance == "doubted":
        warn(f"{anatomy.name} is doubted: {'; '.join(anatomy.caveats)}")
    return anatomy


def _dissect(source: Any) -> Anatomy:
    if isinstance(source, str | os.PathLike):
        return lens.from_file(source)
    if lens.is_bridge(source):
        return lens.from_bridge(source)
    if lens.is_hooked(source):
        return lens.from_hooked(source)
    if lens.is_lens_config(source):
        return lens.from_lens_config(source)
    if isinstance(source, torch.nn.Module):
        return marked(source, wrappers.from_module(source))
    if hasattr(source, "model_type") and hasattr(source, "to_dict"):
        return huggingface.from_config(source)
    raise _unknown(source)


def _unknown(source: Any) -> TypeError:
    return TypeError(
        "dissect takes a model of transformers or TransformerLens, a config of either, the path of a config.json or an "
        f"Anatomy, not {shown(source)}"
    )
