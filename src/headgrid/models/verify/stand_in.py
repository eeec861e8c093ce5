"""A model of the same code with random weights, and something to run it on.

Where a weight is stored is a matter of code and not of values. Random weights hide nothing behind a zero, they exist
for a model on the meta device as well, and the model that is asked about is never touched.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Sequence
from typing import Any

import torch

from headgrid.utils.arguments import printable_lines


class VerifyError(ValueError):
    """A proof that could not be done, or does not hold: why, and what to do about it."""

    def __init__(self, message: str) -> None:
        super().__init__(printable_lines(message))


def stand_in(model: torch.nn.Module) -> tuple[torch.nn.Module, dict[str, torch.nn.Parameter]]:
    """A copy of a model with random float32 weights, on the model's device, or on the CPU for one on the meta device.

    The weights overlap in one small piece of memory, so the copy of a large model is small.

    Returns:
        The copy, without hooks and in evaluation mode, and its parameters by the names that they have in the model.

    Raises:
        VerifyError: when the weights are quantized, or when the model cannot be copied.
    """
    stored = dict(model.named_parameters())
    for name, parameter in stored.items():
        if not parameter.is_floating_point() or parameter.element_size() < 2:
            raise VerifyError(
                f"{name} holds {str(parameter.dtype).removeprefix('torch.')}: the weights are quantized. The layout "
                "does not depend on them: verify the same model built on the meta device from its config"
            )
    devices = {parameter.device for parameter in stored.values() if not parameter.is_meta}
    device = devices.pop() if len(devices) == 1 else torch.device("cpu")
    matrices, vectors = _noise([p.shape for p in stored.values() if p.ndim > 1], device)
    memo: dict[int, Any] = {}
    for i, parameter in enumerate(stored.values()):
        noise = matrices if parameter.ndim > 1 else vectors
        memo[id(parameter)] = torch.nn.Parameter(_piece(noise, parameter.shape, i))
    found = {name: memo[id(parameter)] for name, parameter in stored.items()}
    for buffer in model.buffers():
        memo[id(buffer)] = _filled(buffer, device)
    for module in model.modules():  # what is hooked to it may be large, or refuse to be copied
        for key, value in vars(module).items():
            if key.endswith(_HOOKS):
                memo[id(value)] = type(value)()
    try:
        other = copy.deepcopy(model, memo)
    except Exception as fault:
        raise VerifyError(f"{type(model).__name__} cannot be copied, which the proof needs: {fault}") from fault
    for module in other.modules():
        for key, value in module.__dict__.items():
            if isinstance(value, torch.Tensor):
                module.__dict__[key] = _filled(value, device)
        _make_plain(getattr(module, "config", None))
    return other.eval(), found


_HOOKS = ("_hooks", "_hooks_with_kwargs", "_hooks_always_called")
"""How the names end that a module has its hooks under."""

_NOISE_SIZE = 1 << 21
_LARGEST = 1 << 24
"""Up to how many entries a matrix lies in one piece, so that it is multiplied as it lies there, and not copied."""


def _noise(shapes: Sequence[torch.Size], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Entries for matrices, which keep activations near 1, and for vectors, of which none is near 0."""
    generator = torch.Generator().manual_seed(0)
    signed, positive, sign = (torch.rand(_NOISE_SIZE, generator=generator) for _ in range(3))
    scale = 2 / max((shape[-1] for shape in shapes), default=1) ** 0.5
    largest = max((size for shape in shapes if (size := shape.numel()) <= _LARGEST), default=0)
    matrices = ((signed - 0.5) * scale).repeat(1 + largest // _NOISE_SIZE) if largest else signed
    return matrices.to(device), ((positive / 2 + 0.25) * (sign - 0.5).sign()).to(device)


def _piece(noise: torch.Tensor, shape: torch.Size, number: int) -> torch.Tensor:
    """A view of the noise with this shape; each number has a place of its own. Rows of very large ones overlap."""
    strides: list[int] = []
    for size in reversed(shape):
        strides.insert(0, 1 if not strides else 13 if len(strides) == 1 else 5 if size < 1024 else 0)
    reach = sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True)) + 1
    if shape.numel() < len(noise):
        strides, reach = [*torch.empty(shape, device="meta").stride()], shape.numel()
    elif reach > len(noise):  # an embedding of very many tokens: its rows repeat
        strides = [0] * (len(shape) - 1) + [1]
        reach = min(shape[-1], len(noise))
    return noise.as_strided(shape, strides, number * 1009 % (len(noise) - reach + 1))


def _filled(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """A buffer's copy, floats as float32; one on the meta device is True, small and positive, or a valid index: 0."""
    if not tensor.is_meta:
        value = tensor.detach().clone()
    elif tensor.dtype == torch.bool:
        value = torch.ones(tensor.shape, dtype=torch.bool)
    elif tensor.is_floating_point():
        value = torch.rand(tensor.shape, generator=torch.Generator().manual_seed(0)) / 2 + 0.25
    else:
        value = torch.zeros(tensor.shape, dtype=tensor.dtype)
    return value.to(device, torch.float32 if tensor.is_floating_point() else None)


def _make_plain(config: Any) -> None:
    """Make a copied config, and those inside it, ask for attention that can be seen, and for no cache."""
    if not hasattr(config, "to_dict"):
        return
    if getattr(config, "_attn_implementation", None) not in (None, "eager", "sdpa"):
        config._attn_implementation = "eager"
    if hasattr(config, "_experts_implementation"):
        config._experts_implementation = "eager"  # a grouped product of matrices does not take rows that overlap
    if hasattr(config, "use_cache"):
        config.use_cache = False
    for inner in vars(config).values():
        _make_plain(inner)


def inputs_for(model: torch.nn.Module, n_tokens: int) -> dict[str, torch.Tensor]:
    """Inputs on which a model runs: a batch of one, of different tokens none of which is special.

    Raises:
        VerifyError: when its inputs are of an unknown kind.
    """
    config: Any = getattr(model, "config", None) or getattr(model, "cfg", None)
    accepted = inspect.signature(model.forward).parameters
    main = getattr(model, "main_input_name", "input_ids" if "input_ids" in accepted else "input")
    generator = torch.Generator().manual_seed(0)
    if "grid_thw" in accepted:  # patches of pictures of many sizes, side by side: here of one
        side = 2 * config.spatial_merge_size
        width = getattr(config, "in_channels", 3) * config.temporal_patch_size * config.patch_size**2
        given = {next(iter(accepted)): torch.rand(side * side, width, generator=generator)}
        given["grid_thw"] = torch.tensor([[1, side, side]])
    elif main in ("input_ids", "input"):
        given = {main: _tokens(config, n_tokens, 0)}
    elif main == "pixel_values":
        vision = getattr(config, "vision_config", config)
        side = vision.image_size
        height, width = (side, side) if isinstance(side, int) else side
        given = {main: torch.rand(1, getattr(vision, "num_channels", 3), height, width, generator=generator)}
    elif main == "input_features":
        given = {main: torch.rand(1, config.num_mel_bins, 2 * config.max_source_positions, generator=generator)}
    else:
        raise VerifyError(
            f"what to give {type(model).__name__} for {main!r} is not known: give `inputs`, a batch of one"
        )
    if getattr(config, "is_encoder_decoder", False) and "decoder_input_ids" in accepted:
        given["decoder_input_ids"] = _tokens(config, n_tokens, n_tokens)
    return given


def _tokens(config: Any, count: int, skip: int) -> torch.Tensor:
    """Tokens that the config gives no meaning of their own, shape `[1, count]`."""
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    vocabulary: int = getattr(text, "vocab_size", None) or text.d_vocab
    said = [value for one in (config, text) for key, value in vars(one).items() if "token" in key]
    special = {value for value in said if isinstance(value, int)}
    usual = [token for token in range(3, min(vocabulary, 1000)) if token not in special]
    return torch.tensor([[usual[(skip + i) % len(usual)] for i in range(count)]])
