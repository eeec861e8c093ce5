"""Anatomies of transformers models and configs: one row of the table, bound to one model's names and shapes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

import torch

from headgrid.anatomy import Anatomy, AnatomyError, Slot, Stored, stored_axes
from headgrid.models.families import FAMILIES, Family, Line

Shapes = Mapping[str, tuple[int, ...]]


def from_config(config: Any) -> Anatomy:
    """The anatomy of a transformers config: the model is built on the meta device, which allocates no weights."""
    from transformers import AutoModelForCausalLM

    family_of(config, config.model_type)  # refuse an unknown family before building anything
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return from_model(model)


def from_model(model: torch.nn.Module) -> Anatomy:
    """The anatomy of a transformers model, live or on the meta device. Reads names and shapes only.

    Raises:
        AnatomyError: when the family is unknown, when a parameter has a name or a shape that its row does not expect,
            or when the config contradicts the shapes.
    """
    config: Any = model.config
    name = type(model).__name__
    family = family_of(config, name)
    shapes = {path: tuple(parameter.shape) for path, parameter in model.named_parameters()}
    aliases = _aliases(model)
    stored: Shapes = shapes | {alias: shapes[path] for alias, path in aliases.items()}

    prefix = _layers_prefix(family, stored, name)
    found = {int(rest.split(".")[0]) for path in stored if (rest := path.removeprefix(prefix)) != path}
    n_layers = len(found)
    _agree(config, "num_hidden_layers", n_layers, f"{name} has {n_layers} layers")
    n_heads = int(config.num_attention_heads)
    n_kv_heads = family.kv_heads or int(getattr(config, "num_key_value_heads", None) or n_heads)

    placed: list[Slot] = []
    sizes: dict[str, int] = {"n": n_heads, "g": n_kv_heads}
    for layer in range(n_layers):
        lines = [(line, prefix + f"{layer}." + line.path) for line in family.in_layer()]
        layer_slots = _bind(lines, layer, stored, sizes)
        sizes = {**sizes, **layer_slots[0].sizes} if layer_slots else sizes
        placed += layer_slots
    bodies = _prefixes(family.body)
    placed += _bind(
        [(line, body + line.path) for line in family.in_ends() for body in bodies if body + line.path in stored],
        None,
        stored,
        sizes,
    )
    placed_names = {slot.parameter for slot in placed}
    if strangers := [path for path in shapes if path not in placed_names]:
        raise AnatomyError(
            f"{name} has parameters that the row for {config.model_type!r} does not place: {', '.join(strangers[:6])}"
            f"{', ...' if len(strangers) > 6 else ''}. Remove the modules that own them, or add a line for them "
            "to headgrid/models/families.py"
        )
    letters = {letter: size for slot in placed for letter, size in slot.sizes.items()}
    _agree(config, "head_dim", letters["h"], f"W_O of {name} has {letters['h']} rows for each of {n_heads} heads")
    _agree(config, "hidden_size", letters["m"], f"the weights of {name} have d_model {letters['m']}")
    order = {path: i for i, path in enumerate(shapes)}
    return Anatomy(
        name=name,
        family=str(config.model_type),
        n_layers=n_layers,
        n_heads=n_heads,
        n_kv_heads=n_kv_heads,
        d_model=letters["m"],
        d_head=letters["h"],
        d_mlp=letters.get("f", 0),
        d_vocab=letters["v"],
        parameters=shapes,
        slots=tuple(sorted((slot for slot in placed if slot.parameter in order), key=lambda s: order[s.parameter])),
        tied=tuple(slot for slot in placed if slot.parameter not in order),
        aliases=aliases,
    )


def family_of(config: Any, name: str) -> Family:
    """The row of the table that serves a config.

    Raises:
        AnatomyError: for a family that is not in the table, naming the families that are and the closest one.
    """
    model_type = str(getattr(config, "model_type", ""))
    for family in FAMILIES.get(model_type, ()):
        if all(bool(getattr(config, key, False)) == value for key, value in family.when.items()):
            return family
    if model_type in FAMILIES:
        known = "; or ".join(
            ", ".join(f"{key} = {value}" for key, value in family.when.items()) for family in FAMILIES[model_type]
        )
        raise AnatomyError(f"{name}: the table has {model_type!r} with {known}, and this config has another variant")
    close = difflib.get_close_matches(model_type, FAMILIES, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    no_heads = (
        ""
        if getattr(config, "num_attention_heads", None)
        else f" The config of {model_type!r} names no attention heads, so there may be none to select."
    )
    raise AnatomyError(
        f"{name} is of the family {model_type!r}, which is not in the table.{hint}{no_heads} "
        f"The table has {', '.join(sorted(FAMILIES))}; a new family is a row in headgrid/models/families.py"
    )


def _aliases(model: torch.nn.Module) -> dict[str, str]:
    """The other names of tied parameters -> the name under which `named_parameters()` gives them."""
    first: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), path) != path:
            aliases[path] = first[id(parameter)]
    return aliases


def _layers_prefix(family: Family, stored: Shapes, name: str) -> str:
    """What the names of all layers' parameters begin with: `transformer.h.`, or `h.` for the bare body."""
    for prefix in (f"{body}{family.layers}." for body in _prefixes(family.body)):
        if any(path.startswith(prefix + "0.") for path in stored):
            return prefix
    raise AnatomyError(
        f"{name} has no layers: no parameter begins with {family.body}.{family.layers}.0. or {family.layers}.0. "
        f"Its parameters begin with {', '.join(sorted({path.split('.')[0] for path in stored}))}"
    )


def _prefixes(body: str) -> list[str]:
    """What may stand before a name in the body: all of its path, or less of it where the model is the body itself."""
    steps = body.split(".")
    return [".".join(steps[i:]) + "." for i in range(len(steps))] + [""]


def _agree(config: Any, key: str, measured: int, fact: str) -> None:
    said = getattr(config, key, None)
    if said is not None and int(said) != measured:
        raise AnatomyError(f"The config says {key} = {said}, but {fact}. Load the config that belongs to these weights")


def _bind(lines: Iterable[tuple[Line, str]], layer: int | None, stored: Shapes, known: Mapping[str, int]) -> list[Slot]:
    """The slots of those lines whose parameter is there, with the sizes of their letters solved from the shapes."""
    there = [(line, path) for line, path in lines if path in stored]
    if layer is not None and not any(line.role == "W_O" for line, _ in there):
        raise AnatomyError(f"layer {layer} has no attention heads: none of its parameters is a W_O of this family")
    sizes = {letter: size for letter, size in known.items() if letter in "ngmhvp"}
    # W_O first: its stored shape gives d_head, whatever the config says
    for line, path in sorted(there, key=lambda one: one[0].role != "W_O"):
        shape, axes = stored[path], stored_axes(line.axes)
        if len(axes) != len(shape):
            raise AnatomyError(_misfit(line, path, shape, sizes, "the number of axes differs"))
        for axis, size in zip(axes, shape, strict=True):
            _solve(axis, size, sizes)
            found = _size(axis, sizes)
            if found != size:
                raise AnatomyError(_misfit(line, path, shape, sizes, f"an axis of {size} entries does not fit"))
    return [Slot(line.role, layer, path, line.axes, sizes) for line, path in there]


def _solve(axis: Stored, size: int, sizes: dict[str, int]) -> None:
    """Find the one letter of a stored axis whose size is not known yet, if the others leave just one."""
    terms = (axis.factors, *axis.before, *axis.after)
    unknown = {letter for term in terms for letter in term if "/" not in letter and letter not in sizes}
    if len(unknown) == 1:
        letter = unknown.pop()
        with_one, with_two = (_size(axis, {**sizes, letter: n}) or 0 for n in (1, 2))
        per_unit = with_two - with_one  # the letter is in every term at most once, so a size is linear in it
        sizes[letter] = max(1, (size - (with_one - per_unit)) // per_unit)


def _size(axis: Stored, sizes: Mapping[str, int]) -> int | None:
    """The size of a stored axis, or None while one of its letters is not known."""
    total = 0
    for term in (axis.factors, *axis.before, *axis.after):
        product = 1
        for factor in term:
            if "/" not in factor and factor not in sizes:
                return None
            product *= int(factor.split("/")[1]) if "/" in factor else sizes[factor]
        total += product
    return total


def _misfit(line: Line, path: str, shape: tuple[int, ...], sizes: Mapping[str, int], why: str) -> str:
    letters = sorted({letter for letter in re.findall(r"[a-z]", line.axes) if letter in sizes})
    given = ", ".join(f"{letter} = {sizes[letter]}" for letter in letters)
    return (
        f"{path} has the shape {list(shape)}, but {line.role} of this family is stored as {line.axes!r} with {given}: "
        f"{why}. The number of heads in the config may be wrong, or the weights may be quantised or sharded"
    )
