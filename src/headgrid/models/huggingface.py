"""Anatomies of transformers models and configs."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy, AnatomyError
from headgrid.models.binding import NamedShapes, bind
from headgrid.models.configs import on_meta, said_of
from headgrid.models.families import FAMILIES
from headgrid.models.family import Family
from headgrid.models.vocabulary import vocabulary
from headgrid.utils.arguments import shown


def from_config(config: Any) -> Anatomy:
    """The anatomy of a transformers config: the model is built on the meta device, which allocates no weights.

    Raises:
        AnatomyError: when it describes no model, and as `from_model`.
    """
    with said_of(f"the {type(config).__name__}"):
        return from_model(on_meta(config))


def from_model(model: torch.nn.Module) -> Anatomy:
    """The anatomy of a transformers model, live or on the meta device. Reads names and shapes only.

    Raises:
        AnatomyError: when the family is unknown and no guess holds, when a parameter has a name or a shape that its row
            does not expect, or when the config contradicts the shapes.
    """
    config: Any = model.config
    parameters = named(model)
    rows, how = rows_for(config, parameters)
    return bind(rows, config, parameters, str(config.model_type), **how, **vocabulary(config))


def rows_for(config: Any, parameters: NamedShapes) -> tuple[list[Family], dict[str, Any]]:
    """The rows that serve a model, of the table or of the likeliest guess, and its `provenance` and `caveats`."""
    try:
        return rows_of(config, parameters.name), {"provenance": "table"}
    except AnatomyError as unknown:
        from headgrid.models.detect import guess  # many modules, for models that few have

        try:
            found = guess(config, parameters)
        except AnatomyError as fault:
            reason, _, below = str(unknown).partition("\n")
            raise AnatomyError(f"{reason}. {fault}\n{below}") from fault
    return list(found.rows), {"provenance": "guess", "caveats": found.caveats}


def named(model: torch.nn.Module) -> NamedShapes:
    """The names and shapes of a model's parameters, tied names included."""
    first: dict[int, str] = {}
    aliases: dict[str, str] = {}
    for path, parameter in model.named_parameters(remove_duplicate=False):
        if first.setdefault(id(parameter), path) != path:
            aliases[path] = first[id(parameter)]
    shapes = {path: tuple(parameter.shape) for path, parameter in model.named_parameters()}
    return NamedShapes(type(model).__name__, shapes, aliases, {path: path for path in (*shapes, *aliases)})


def rows_of(config: Any, name: str) -> list[Family]:
    """The rows of the table that serve a config: one for each stack.

    Raises:
        AnatomyError: for a family that is not in the table, naming the closest of those that are.
    """
    return list(_stacks(_row(config, name), config, name))


def _stacks(row: Family, config: Any, name: str) -> Iterator[Family]:
    if row.layers or row.outside:
        yield row
    yield from row.others
    for stack, (body, attribute) in row.nested.items():
        inner = getattr(config, attribute)
        for one in _stacks(_row(inner, f"{name}'s {attribute}"), inner, name):
            # the row of the inner model, with its body where the outer one holds it
            steps = one.body.split(".")[1:] if one.body else []
            yield replace(one, stack=stack, body=".".join([body, *steps]), config=attribute, others=(), nested={})


def _row(config: Any, name: str) -> Family:
    model_type = str(getattr(config, "model_type", ""))
    for family in FAMILIES.get(model_type, ()):
        if all(bool(getattr(config, key, False)) == value for key, value in family.when.items()):
            return family
    close = difflib.get_close_matches(model_type, FAMILIES, n=4, cutoff=0.5)
    near = f"Its names that are closest to {shown(model_type)}: {', '.join(close)}. " if close else ""
    no_heads = (
        ""
        if getattr(config, "num_attention_heads", None)
        else f"The config of {shown(model_type)} names no attention heads, so there may be none to select. "
    )
    raise AnatomyError(
        f"{name} is of the family {shown(model_type)}, which is not in the table\n{no_heads}The table has "
        f"{len(FAMILIES)} families, in headgrid/models/families. {near}A new family is a row there"
    )
