"""Models inside other modules: compiled, parallel, nested, or fine-tuned with adapters.

A wrapper's parameters have names of its own, and masks are handed over with the wrapper, so an anatomy has the
wrapper's names. The table has those of the model inside, so both are kept: `NamedShapes.known` maps the one to the
other.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy, AnatomyError, Provenance
from headgrid.models import adapters
from headgrid.models.binding import NamedShapes, bind
from headgrid.models.family import Line
from headgrid.models.huggingface import rows_for
from headgrid.models.vocabulary import vocabulary

STEPS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""The parts of names that torch.compile, FSDP and activation checkpointing add to those of the wrapped module."""

AROUND = "<around>."
"""A step that no module's name has: what is beside the model is not mistaken for its own."""

FOUR_BIT = {"Linear4bit": "4-bit", "Params4bit": "4-bit", "Linear8bitLt": "8-bit", "Int8Params": "8-bit",
            "WQLinear_GEMM": "4-bit", "WQLinear_GEMV": "4-bit", "HQQLinear": "packed"}  # fmt: skip
"""Classes of bitsandbytes, AWQ and HQQ whose weights are stored in blocks."""


@dataclass(frozen=True)
class Unwrapped:
    """The model inside a wrapper.

    Attributes:
        model: the transformers model, or None where there is none.
        path: where it is, `""` for the module itself.
        named: the module's parameters: `named.known` has the names that they have in a plain model; those of adapters
            have the step `adapters.ADAPTER` behind their module's, and those around the model begin with `AROUND`.
    """

    model: torch.nn.Module | None
    path: str
    named: NamedShapes


def from_module(module: torch.nn.Module) -> Anatomy:
    """The anatomy of a transformers model, or of a module with one inside, by the names of `module.named_parameters()`.

    Parameters of the module that are not the model's (a probe, a value head) are parts of `top`.

    Raises:
        AnatomyError: when there is no transformers model in it or several, when its weights are quantized or sharded,
            or when a parameter of the model cannot be placed.
    """
    inside = unwrap(module)
    if inside.model is None:
        raise AnatomyError(
            f"{type(module).__name__} has no config with a model_type, and no transformers model inside it, so its "
            "family is not known. Give the model itself, or a module that holds it"
        )
    try:
        return _placed(module, inside)
    except AnatomyError as fault:
        if why := _recomputed(inside.model, inside.path):
            raise AnatomyError(f"{why}\n{fault}") from fault
        raise


def _placed(module: torch.nn.Module, inside: Unwrapped) -> Anatomy:
    """The anatomy of a model that was found in a module.

    Raises:
        AnatomyError: when a parameter of the model cannot be placed.
    """
    model: Any = inside.model
    config = model.config
    clean = {path: own for path, own in inside.named.known.items() if not _is_added(path)}
    rows, how = rows_for(config, replace(_only(inside.named, clean), name=type(model).__name__))
    rows = [replace(row, layer=adapters.adapted(row.layer), outside=adapters.adapted(row.outside)) for row in rows]
    rows[0] = replace(rows[0], outside=(*rows[0].outside, *_around(inside.named)))
    anatomy = bind(rows, config, inside.named, str(config.model_type), **how, **vocabulary(config))
    altered, caveats = adapters.altered(module, anatomy)
    if not (altered or caveats):
        return anatomy
    provenance: Provenance = "doubted" if caveats and anatomy.provenance == "table" else anatomy.provenance
    return replace(anatomy, altered=altered, caveats=(*anatomy.caveats, *caveats), provenance=provenance)


def _recomputed(model: torch.nn.Module, path: str) -> str:
    """A sentence about the first module whose weight is no parameter but made of others; "" where there is none."""
    for inner, one in model.named_modules():
        where = ".".join(filter(None, [path, inner]))
        if hasattr(one, "parametrizations"):
            name = next(iter(one.parametrizations))
            return (
                f"{where}.{name} is computed from other parameters (torch.nn.utils.parametrize), and they have no "
                f"heads: parametrize.remove_parametrizations(module, {name!r}) makes it a parameter"
            )
        for name in dict(one.named_parameters(recurse=False)):
            plain, _, suffix = name.rpartition("_")
            if plain and suffix in ("orig", "g", "v") and isinstance(getattr(one, plain, None), torch.Tensor):
                return (
                    f"{where}.{plain} is computed from {name} at each pass (pruning, weight_norm or spectral_norm): "
                    "prune.remove, remove_weight_norm or remove_spectral_norm makes it a parameter"
                )
        if type(one).__module__.startswith("peft.") and type(one).__name__.startswith("AdaptedAttention"):
            return (
                f"{where} is PEFT's {type(one).__name__}, put around an attention: what it adds has no place in a head"
            )
    return ""


def _is_added(path: str) -> bool:
    return path.startswith(AROUND) or f".{adapters.ADAPTER}." in path


def _only(named: NamedShapes, known: dict[str, str]) -> NamedShapes:
    """Some of the parameters, as if there were no others."""
    owned = set(known.values())
    shapes = {own: shape for own, shape in named.shapes.items() if own in owned}
    return replace(named, shapes=shapes, known=known, unused=())


def _around(named: NamedShapes) -> Iterator[Line]:
    """Lines for what stands around the model; a learned prompt is what comes before it."""
    for path in named.known:
        if path.startswith(AROUND):
            yield Line("stem" if "prompt_encoder" in path.split(".") else "top", path, "...")


def unwrap(module: torch.nn.Module) -> Unwrapped:
    """The transformers model in a module, and the module's parameters under both names.

    Raises:
        AnatomyError: for several models side by side, several active adapters, and for weights that are quantized or
            sharded.
    """
    models: dict[str, torch.nn.Module] = {}
    for path, one in module.named_modules():
        if _is_model(one) and not any(path.startswith(f"{outer}.") or not outer for outer in models):
            models[path] = one
    if not models and hasattr(getattr(module, "config", None), "model_type"):
        models[""] = module  # no class of transformers, but with a config of its own
    if len(models) > 1:
        names = ", ".join(f"{path} ({type(one).__name__})" for path, one in itertools.islice(models.items(), 3))
        more = f" and {len(models) - 3} more" if len(models) > 3 else ""
        raise AnatomyError(f"{type(module).__name__} holds {len(models)} models: {names}{more}. Dissect each by itself")
    if not models:
        return Unwrapped(None, "", NamedShapes(type(module).__name__, {}, {}, {}))
    ((path, model),) = models.items()
    _refuse_blocks(module)
    first: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for own, parameter in module.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), own) != own:
            aliases[own] = first[id(parameter)]
    shapes = {own: _shape(own, parameter) for own, parameter in module.named_parameters()}
    known: dict[str, str] = {}
    unused = []
    for own in (*shapes, *aliases):
        name = _known(module, path, own)
        if name is not None:
            known.setdefault(name, own)
        elif own in shapes:
            unused.append(own)
    title = type(model).__name__ if model is module else f"{type(model).__name__} in {type(module).__name__}"
    return Unwrapped(model, path, NamedShapes(title, shapes, aliases, known, tuple(unused)))


def _is_model(module: torch.nn.Module) -> bool:
    return any(kind.__name__ == "PreTrainedModel" for kind in type(module).__mro__)


# ---- names


def _known(module: torch.nn.Module, path: str, own: str) -> str | None:
    """The table's name of a parameter, or None for one that the forward pass never reads.

    Args:
        module: the wrapper.
        path: where the model is in it.
        own: the parameter's name in the wrapper.
    """
    inside = own.removeprefix(f"{path}." if path else "")
    if path and inside == own:
        return AROUND + own
    kept: list[str] = []
    at: Any = module.get_submodule(path)
    steps = inside.split(".")
    while steps:
        step = steps.pop(0)
        if adapters.is_tuner(at):
            if step != "base_layer":
                return adapters.own_name(at, kept, [step, *steps], own)
            if adapters.replaces(at):
                return None
        elif adapters.is_saved(at):
            reading = adapters.used(at)
            if step == "original_module" and reading:
                return None
            if step == "modules_to_save":
                if steps[0] not in reading:
                    return None
                at, step = at.modules_to_save, steps.pop(0)
        elif step not in STEPS and not (step == "token_adapter" and adapters.is_tuner(getattr(at, step, None))):
            kept.append(step)
        below = getattr(at, "_modules", {})
        at = below[step] if step in below else None  # noqa: SIM401 (torch.jit's dictionary has no get)
    return ".".join(kept)


# ---- what has no head axis


def _shape(own: str, parameter: torch.Tensor) -> tuple[int, ...]:
    """The shape of a parameter that is here in full.

    Raises:
        AnatomyError: for a shard of one.
    """
    kind = type(parameter).__name__
    if kind == "FlatParameter" or own.split(".")[-1] == "_flat_param":
        raise AnatomyError(
            f"{own} is a flat parameter: FSDP has laid many weights end to end in it and sharded them, so it has no "
            "head axis. Dissect the model before it is wrapped, or use fully_shard and gather the weights"
        )
    local = getattr(parameter, "_local_tensor", None)
    if local is not None and tuple(local.shape) != tuple(parameter.shape):
        raise AnatomyError(
            f"{own} is sharded: this process holds {list(local.shape)} of its {list(parameter.shape)} entries, so a "
            "head may be elsewhere. Dissect the model before it is sharded, or its config"
        )
    if hasattr(parameter, "ds_id") and parameter.numel() == 0:
        raise AnatomyError(f"{own} is partitioned by DeepSpeed ZeRO-3: this process holds none of it")
    return tuple(parameter.shape)


def _refuse_blocks(module: torch.nn.Module) -> None:
    """Refuse quantized weights.

    Raises:
        AnatomyError: naming the first module with such weights, and what it is.
    """
    for path, one in module.named_modules():
        kind = type(one).__name__
        bits = FOUR_BIT.get(kind)
        for name, tensor in (*one.named_parameters(recurse=False), *one.named_buffers(recurse=False)):
            if type(tensor).__name__ in FOUR_BIT:
                bits = FOUR_BIT[type(tensor).__name__]
            elif type(tensor).__module__.startswith("torchao") or "torchao" in type(tensor.data).__module__:
                bits, kind = "quantized", type(tensor.data).__name__
            elif name in ("qweight", "qzeros"):
                bits = "packed"
        if bits:
            raise AnatomyError(
                f"{path} ({kind}) holds {bits} blocks of weights, and blocks have no head axis that a mask could "
                "lie along. Load the model without quantization, or dissect its config for the names of its parts"
            )
