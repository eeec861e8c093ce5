"""Models inside other modules: compiled, parallel, nested, or fine-tuned with adapters.

A wrapper's parameters have names of its own, and masks are handed over with the wrapper, so an anatomy has the
wrapper's names. The table has those of the model inside, so both are kept: `Named.known` maps the one to the other.

An adapter (PEFT's LoRA) adds two factors to a matrix. The one on the side of the heads or neurons is theirs, entry for
entry, as the matrix is:

    q_proj  [(n h), m]  +=  lora_B [(n h), x]  @  lora_A [x, m]          rows of lora_B belong to heads
    o_proj  [m, (n h)]  +=  lora_B [m, x]      @  lora_A [x, (n h)]      columns of lora_A belong to heads

The other factor is read by all of them: it is one part, of `attn.other` or `mlp.other`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch

from headgrid.anatomy import Anatomy, AnatomyError
from headgrid.models.binding import Named, bind
from headgrid.models.family import Line
from headgrid.models.huggingface import rows_for
from headgrid.models.vocabulary import vocabulary
from headgrid.roles import role_of

STEPS = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
"""What torch.compile, FSDP and activation checkpointing put into the names of what they wrap."""

AROUND, ADAPTER = "<around>.", "<adapter>"
"""Steps that no module's name has: what is beside the model, or beside a matrix, is not mistaken for its own."""

PER_HEAD = {"W_Q": "lora_B", "W_K": "lora_B", "W_V": "lora_B", "W_O": "lora_A", "W_in": "lora_B", "W_gate": "lora_B",
            "W_out": "lora_A"}  # fmt: skip
"""Role -> the factor of its adapter that lies along heads or neurons."""

FOUR_BIT = {"Linear4bit": "4-bit", "Params4bit": "4-bit", "Linear8bitLt": "8-bit", "Int8Params": "8-bit",
            "WQLinear_GEMM": "4-bit", "WQLinear_GEMV": "4-bit", "HQQLinear": "packed"}  # fmt: skip
"""Classes of bitsandbytes, AWQ and HQQ whose weights are stored in blocks."""


@dataclass(frozen=True)
class Unwrapped:
    """What was found inside a module.

    Attributes:
        model: the transformers model, or None where there is none.
        path: where it is, `""` for the module itself.
        named: the module's parameters: `named.known` has the names that they have in a plain model; those of adapters
            have the step `ADAPTER` behind their module's, and those around the model begin with `AROUND`.
    """

    model: torch.nn.Module | None
    path: str
    named: Named


def from_module(module: torch.nn.Module) -> Anatomy:
    """The anatomy of a transformers model, or of a module with one inside, by the names of `module.named_parameters()`.

    Parameters of the module that are not the model's (a probe, a value head) are parts of `top`.

    Raises:
        AnatomyError: when there is no transformers model in it or several, when its weights are quantised or sharded,
            or when a parameter of the model cannot be placed.
    """
    inside = unwrap(module)
    if inside.model is None:
        raise AnatomyError(
            f"{type(module).__name__} has no config with a model_type, and no transformers model inside it, so its "
            "family is not known. Give the model itself, or a module that holds it"
        )
    config: Any = inside.model.config
    clean = {path: own for path, own in inside.named.known.items() if not _is_added(path)}
    rows, how = rows_for(config, replace(_only(inside.named, clean), name=type(inside.model).__name__))
    rows = [
        replace(row, layer=_adapted(row.layer, row.in_layer()), ends=_adapted(row.ends, row.in_ends())) for row in rows
    ]
    rows[0] = replace(rows[0], ends=rows[0].ends + "".join(_around(inside.named)))
    return bind(rows, config, inside.named, str(config.model_type), **how, **vocabulary(config))


def _is_added(path: str) -> bool:
    return path.startswith(AROUND) or f".{ADAPTER}." in path


def _only(named: Named, known: dict[str, str]) -> Named:
    """Some of the parameters, as if there were no others."""
    owned = set(known.values())
    shapes = {own: shape for own, shape in named.shapes.items() if own in owned}
    return replace(named, shapes=shapes, known=known, unused=())


def _around(named: Named) -> Iterator[str]:
    """Lines for what stands around the model; a learned prompt is what comes before it."""
    for path in named.known:
        if path.startswith(AROUND):
            yield f"\n {'stem' if 'prompt_encoder' in path.split('.') else 'top'} {path} ..."


def unwrap(module: torch.nn.Module) -> Unwrapped:
    """The transformers model in a module, and the module's parameters under both names.

    Raises:
        AnatomyError: for several models side by side, several active adapters, and for weights that are quantised or
            sharded.
    """
    models: dict[str, torch.nn.Module] = {}
    for path, one in module.named_modules():
        if _is_model(one) and not any(path.startswith(f"{outer}.") or not outer for outer in models):
            models[path] = one
    if not models and hasattr(getattr(module, "config", None), "model_type"):
        models[""] = module  # no class of transformers, but with a config of its own
    if len(models) > 1:
        names = ", ".join(f"{path} ({type(one).__name__})" for path, one in models.items())
        raise AnatomyError(f"{type(module).__name__} holds {len(models)} models: {names}. Dissect each by itself")
    if not models:
        return Unwrapped(None, "", Named(type(module).__name__, {}, {}, {}))
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
    return Unwrapped(model, path, Named(title, shapes, aliases, known, tuple(unused)))


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
        if _has_adapters(at) and step != "base_layer":
            # lora_A.default.weight, or lora_embedding_A.default, a parameter in a dictionary
            active = _active(at, own)
            if steps and steps[0] in active:
                return ".".join([*kept, ADAPTER, step, *steps[1:]])
            return None
        if hasattr(at, "modules_to_save") and hasattr(at, "original_module"):
            if step == "original_module" or (step == "modules_to_save" and steps[0] not in _active(at, own)):
                return None
            if step == "modules_to_save":
                at, step = at.modules_to_save, steps.pop(0)
        elif step not in STEPS and not (step in ("base_layer", "token_adapter") and _has_adapters(at, step)):
            kept.append(step)
        below = getattr(at, "_modules", {})
        at = below[step] if step in below else None  # noqa: SIM401 (torch.jit's dictionary has no get)
    return ".".join(kept)


def _has_adapters(module: Any, inside: str = "base_layer") -> bool:
    """Whether a module is one of PEFT's: a matrix, with adapters beside it."""
    modules = getattr(module, "_modules", {})
    tuner = modules.get(inside) if inside == "token_adapter" else module
    return inside in modules and hasattr(tuner, "adapter_layer_names")


def _active(module: Any, own: str) -> list[str]:
    active = list(module.active_adapters)
    if len(active) > 1:
        raise AnatomyError(
            f"{own} is one of {len(active)} active adapters ({', '.join(active)}), and one head would have several "
            "places in each. Activate one: set_adapter"
        )
    return active


# ---- adapters


def _adapted(text: str, lines: Iterator[Line]) -> str:
    """Lines with those of the adapters that their modules may have."""
    added: dict[Line, None] = {}
    for line in lines:
        module, _, last = line.path.rpartition(".")
        if "*" in line.path or last == "bias" or not module:
            continue
        factor, axes = PER_HEAD.get(line.role), _two(line.axes)
        if factor and len(axes) == 2:
            along = next(axis for axis in axes if axis != "m")
            stored = f"{along} x'" if factor == "lora_B" else f"x' {along}"
            added[Line(f"{line.role}.{factor}", f"{module}.{ADAPTER}.{factor}.weight", stored)] = None
        added.setdefault(Line(_rest(line.role), f"{module}.{ADAPTER}.**", "..."))
    return text + "".join(f"\n {line.role} {line.path} {line.axes}" for line in added)


def _two(axes: str) -> list[str]:
    """The stored axes of a matrix, each as it is written."""
    return re.findall(r"\((?:[^()]|\([^()]*\))+\)|[^\s()]+", axes)


def _rest(role: str) -> str:
    """The role of what an adapter has besides: a part of its own, in the piece of the model that the matrix is in."""
    owner = role_of(role).owner
    if owner in ("q", "k", "v", "o", "attn rest"):
        return "attn.other"
    if owner in ("neuron", "expert", "mlp rest"):
        return "mlp.other"
    return "mixer" if owner == "mixer" else "stem" if owner in ("embed", "pos", "types", "stem") else "top"


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
    """Refuse quantised weights.

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
                bits, kind = "quantised", type(tensor.data).__name__
            elif name in ("qweight", "qzeros"):
                bits = "packed"
        if bits:
            raise AnatomyError(
                f"{path} ({kind}) holds {bits} blocks of weights, and blocks have no head axis that a mask could "
                "lie along. Load the model without quantisation, or dissect its config for the names of its parts"
            )
