"""Adapters of PEFT: which of their parameters the forward pass reads, which lie along heads, and what is left open.

LoRA adds two factors to a matrix. The one on the side of the heads or neurons is theirs, entry for entry, as the matrix
is:

    q_proj  [(n h), m]  +=  lora_B [(n h), x]  @  lora_A [x, m]          rows of lora_B belong to heads
    o_proj  [m, (n h)]  +=  lora_B [m, x]      @  lora_A [x, (n h)]      columns of lora_A belong to heads

The other factor is read by all of them: it is one part, of `attn.other` or `mlp.other`. So is all that any other tuner
keeps: its parameters are placed, but not along heads, and a caveat says so. A tuner is known by what PEFT's own classes
declare (`BaseTunerLayer` and its `adapter_layer_names`), whatever its parameters are called. PEFT is never imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy, AnatomyError, count_of
from headgrid.anatomy.roles import bare, role_of
from headgrid.models.family import Line

ADAPTER = "<adapter>"
"""A step that no module's name has: what is beside a matrix is not mistaken for the model's own."""

PER_HEAD = {"W_Q": "lora_B", "W_K": "lora_B", "W_V": "lora_B", "W_OG": "lora_B", "W_O": "lora_A", "W_in": "lora_B",
            "W_gate": "lora_B", "W_out": "lora_A"}  # fmt: skip
"""Role -> the factor of its LoRA that lies along heads or neurons."""

PREFIXES = {"PrefixEncoder", "CartridgeEncoder"}
"""Classes that hold keys and values of every head, for positions before the text."""


def is_tuner(module: Any) -> bool:
    """Whether a module is one of PEFT's: a matrix or another module, with adapters beside it."""
    return any(kind.__name__ == "BaseTunerLayer" for kind in type(module).__mro__)


def is_saved(module: Any) -> bool:
    """Whether it is one of PEFT's with whole modules of its own beside an original."""
    return hasattr(module, "modules_to_save") and hasattr(module, "original_module")


def used(module: Any) -> list[str]:
    """The adapters of a module that its forward pass reads: none where they are disabled, or merged."""
    if getattr(module, "disable_adapters", False) or getattr(module, "merged_adapters", ()):
        return []
    active = module.active_adapters
    there = _names(module)
    return [name for name in (active if isinstance(active, list | tuple) else [active]) if name in there]


def _names(module: Any) -> set[str]:
    """The names of the adapters that a module has."""
    if is_saved(module):
        return set(module.modules_to_save)
    held = (getattr(module, name, None) for name in (*module.adapter_layer_names, *module.other_param_names))
    return {name for one in held if hasattr(one, "keys") for name in _keys(one)}


def _keys(held: Any) -> Iterator[str]:
    yield from held.keys()


def own_name(module: Any, kept: list[str], steps: list[str], own: str) -> str | None:
    """The table's name of a parameter of a tuner that is not its base layer's; None for one that is not read.

    Args:
        module: the tuner.
        kept: the steps to it, by the table's names.
        steps: the steps from it to the parameter: `lora_A`, `default`, `weight`; or without the last, for a parameter
            in a dictionary.
        own: the parameter's name in the wrapper.

    Raises:
        AnatomyError: for one of several active adapters of LoRA.
    """
    reading = used(module)
    name = steps[1] if len(steps) > 1 and steps[1] in _names(module) else None
    if not reading or (name is not None and name not in reading):
        return None
    if replaces(module):
        return ".".join([*kept, *steps[2:]])
    if len(reading) > 1 and "lora_A" in module.adapter_layer_names:
        raise AnatomyError(
            f"{own} is one of {len(reading)} active adapters ({', '.join(reading)}), and one head would have several "
            "places in each. Activate one: set_adapter"
        )
    if name is not None and len(reading) == 1:
        steps = [steps[0], *steps[2:]]
    return ".".join([*kept, ADAPTER, *steps])


def replaces(module: Any) -> bool:
    """Whether the adapter that is read is a whole module in place of the base layer (a norm that is tuned)."""
    reading, held = used(module), module.adapter_layer_names
    if len(reading) != 1 or len(held) != 1 or not hasattr(module, "base_layer"):
        return False
    own = getattr(module, held[0])[reading[0]]
    return type(own) is type(module.base_layer) and _shapes(own) == _shapes(module.base_layer)


def _shapes(module: torch.nn.Module) -> dict[str, torch.Size]:
    return {name: parameter.shape for name, parameter in module.named_parameters()}


# ---- lines


def adapted(lines: tuple[Line, ...]) -> tuple[Line, ...]:
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
    return (*lines, *added)


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


# ---- what a stored weight is not


def altered(module: torch.nn.Module, anatomy: Anatomy) -> tuple[dict[str, str], tuple[str, ...]]:
    """The parameters whose values are not the weights that are used, and what that leaves open of heads.

    Args:
        module: the model, with its adapters.
        anatomy: its anatomy.

    Returns:
        Name of a parameter -> what acts on it, in a word; and caveats: a sentence for each kind of adapter whose
        parameters are not in the heads that they change.
    """
    by: dict[str, str] = {}
    beside: dict[str, list[str]] = {}
    for path, one in module.named_modules():
        if not is_tuner(one) or not used(one) or replaces(one):
            continue
        kind = _kind(one)
        names = list(dict.fromkeys(anatomy.aliases.get(name, name) for name in _bases(path, one)))
        names = [name for name in names if name in anatomy.parameters]
        by.update((name, _joined(by.get(name), kind)) for name in names)
        if not _lies_along_heads(path, one, kind, names, anatomy):
            beside.setdefault(kind, []).append(path)
    caveats = [_caveat(kind, paths, by, anatomy) for kind, paths in beside.items()]
    for path, one in module.named_modules():
        if type(one).__name__ in PREFIXES:
            caveats.append(
                f"{path} holds keys and values that a tuner puts before the text, of all heads in one part: no head "
                "has its own. headgrid.ablate is right"
            )
    return by, tuple(caveats)


def _bases(path: str, module: Any) -> list[str]:
    """The names of what a tuner acts on: the parameters of its base layer, within other tuners too."""
    base = getattr(module, "base_layer", None)
    steps = f"{path}.base_layer" if path else "base_layer"
    while base is not None and is_tuner(base):
        base, steps = base.base_layer, f"{steps}.base_layer"
    return [] if base is None else [f"{steps}.{name}" for name, _ in base.named_parameters()]


def _joined(one: str | None, other: str) -> str:
    return other if one in (None, other) else f"{one} and {other}"


def _kind(module: Any) -> str:
    """The kind of a tuner: the name of PEFT's class of such layers, and of the variant where it is one of LoRA."""
    layer = next(kind for kind in type(module).__mro__ if "adapter_layer_names" in vars(kind)).__name__
    kind = {"Lora": "LoRA", "AdaLora": "AdaLoRA"}.get(layer := layer.removesuffix("Layer"), layer)
    variants = getattr(module, "lora_variant", None) or {}
    variant = next((type(variants[name]).__name__ for name in used(module) if variants.get(name)), "")
    return f"{kind} ({re.sub(r'(Linear|Embedding|Conv.d)?Variant$', '', variant)})" if variant else kind


def _lies_along_heads(path: str, module: Any, kind: str, names: Iterable[str], anatomy: Anatomy) -> bool:
    """Whether a tuner is plain LoRA and each head or neuron of its matrix has its share of the factor on its side."""
    if kind != "LoRA" or ("forward" in vars(module) and not hasattr(module, "_hf_hook")):
        return False
    own = {slot.role for slot in anatomy.slots if slot.parameter.startswith(f"{path}.lora_")}
    biased = any(getattr(module, "lora_bias", {}).get(name) for name in used(module))
    for slot in (slot for name in names for slot in anatomy.slots_of[name]):
        role = bare(slot.key)
        if role_of(role).part_axis is None or role.startswith("b_"):
            continue
        factor = PER_HEAD.get(role)
        if factor is None or f"{role}.{factor}" not in own or (biased and factor == "lora_B"):
            return False
    return True


def _caveat(kind: str, paths: list[str], by: Mapping[str, str], anatomy: Anatomy) -> str:
    roles = dict.fromkeys(
        slot.role
        for name in by
        if name.startswith(tuple(f"{path}." for path in paths))
        for slot in anatomy.slots_of[name]
    )
    what = f"the {', '.join(roles)} that are used are" if roles else "what is used is"
    return (
        f"{kind} acts on {count_of(len(paths), 'module')}, {paths[0]} for one: {what} not the stored ones alone, and "
        "its own parameters are in no head, so that setting a head's to zero is not ablating it. headgrid.ablate is "
        "right; merge_and_unload() makes what is stored what is used"
    )
