"""Weights that are not here: of a model on the meta device, or of one whose weights are brought for each call only."""

from __future__ import annotations

import torch


def offloaded(model: torch.nn.Module) -> str | None:
    """The first parameter of a model that is brought for each call only, or None."""
    named = model.named_parameters()
    return next((name for name, parameter in named if parameter.is_meta and _brought_by(model, name)), None)


def not_here(model: torch.nn.Module, name: str) -> str:
    """Why the entries of a parameter on the meta device cannot be read, and what to do, in two lines.

    Args:
        model: the model.
        name: the parameter's name in it.
    """
    by = _brought_by(model, name)
    if not by:
        return f"{name} is on the meta device: there is no weight to read\nLoad the model with its weights"
    return (
        f"{name} is offloaded: {by} brings its entries for each call, and between calls there is no weight to read\n"
        "select, masks, ablate and record work as they do elsewhere. For what reads or changes weights (verify, scan, "
        "summarize, zero_), load the model without offloading: from_pretrained without device_map, or with "
        "device_map='cpu'. Where the weights fit, accelerate.hooks.remove_hook_from_module(model, recurse=True) brings "
        "them back"
    )


def _brought_by(model: torch.nn.Module, name: str) -> str:
    """Who brings a parameter for a call: `accelerate`, a class of hooks, or "" where nobody is seen to."""
    steps = name.split(".")[:-1]
    around = [model.get_submodule(".".join(steps[:depth])) for depth in range(len(steps), -1, -1)]
    if any(hasattr(module, "_hf_hook") for module in around):
        return "accelerate"
    hooks = [hook for module in around for hook in module._forward_pre_hooks.values()]
    return f"a hook ({getattr(hooks[0], '__name__', type(hooks[0]).__name__)[:40]})" if hooks else ""
