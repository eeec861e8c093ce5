"""The modules of a checkpoint's model, without its weights: built on the meta device from the config beside it.

What modules compute for themselves and no file holds, such as the frequencies of rotary positions, is made as
`from_pretrained` makes it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from headgrid.anatomy.anatomy import AnatomyError
from headgrid.models import configs
from headgrid.utils.arguments import shown


def skeleton(folder: Path) -> torch.nn.Module:
    """The model that the config in a folder describes, on the meta device, each parameter in the dtype it should have.

    Raises:
        AnatomyError: when there is no config, it describes no model, or the checkpoint is quantized.
    """
    settings = configs.read(folder)
    made = configs.made(settings, shown(os.fspath(folder)))
    quantized = settings.get("quantization_config") or settings.get("compression_config")
    if quantized:
        method = quantized.get("quant_method", "") if isinstance(quantized, dict) else ""
        raise AnatomyError(
            f"{shown(os.fspath(folder))} is quantized{f' by {shown(method)}' if method else ''}: its tensors are no "
            "weights before their scales are applied\nLoad the model dequantized, or take a checkpoint that is not "
            "quantized"
        )
    said = declared(settings)
    if said is not None:
        made.dtype = said
    model = configs.on_meta(made)
    _compute_buffers(model)
    return model.eval()


def declared(settings: Any) -> torch.dtype | None:
    """The dtype that a config says its checkpoint is stored in, or None."""
    said = settings.get("dtype", settings.get("torch_dtype"))
    found = getattr(torch, said.removeprefix("torch."), None) if isinstance(said, str) else None
    return found if isinstance(found, torch.dtype) and found.is_floating_point else None


def in_float32(model: Any, name: str, dtype: torch.dtype) -> bool:
    """Whether a parameter's class wants it in float32 in a model of another dtype, as T5 wants some of its MLP."""
    asked = getattr(model, "_get_dtype_plan", None)
    plan = {} if asked is None else asked(dtype)
    return any(re.search(str(key).replace("*", ".*"), name) for key in plan)


def _compute_buffers(model: Any) -> None:
    """Compute the buffers that no file holds. Those that one holds are left as they are, on the meta device."""
    if not hasattr(model, "named_non_persistent_buffers") or not hasattr(model, "initialize_weights"):
        return  # before transformers 5 they are made on the meta device, and stay there
    holds = set()
    for name, buffer in list(model.named_non_persistent_buffers()):
        path, _, leaf = name.rpartition(".")
        holds.add(path)
        here = torch.empty_like(buffer, device="cpu")
        model.get_submodule(path).register_buffer(leaf, here, persistent=False)
    for path, module in model.named_modules():
        if path not in holds:  # nothing is computed in it
            module._is_hf_initialized = True
    for parameter in model.parameters():
        parameter._is_hf_initialized = True
    with configs.said_of(f"the {type(model.config).__name__}"):
        model.initialize_weights()
