"""Entries of a model's parameters in a file, and back: what a mask selects, as safetensors.

A file has one tensor for each parameter of which something is selected: all of it where its mask is None, and the
selected entries in one dimension, in the parameter's own order, otherwise. Its metadata have the selection.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch

from headgrid.selection.masks import ParamMasks, parameters_of
from headgrid.utils import files

SELECTION = "headgrid.selection"
"""The key of a file's metadata under which its selection stands."""


def save(model: torch.nn.Module, chosen: ParamMasks, line: str, path: str | os.PathLike[str]) -> None:
    """Write the masked entries of a model's parameters, as they are.

    Args:
        model: the model.
        chosen: the masks.
        line: the selection in JSON.
        path: where to.

    Raises:
        ValueError: when the model does not have these parameters, has them in other shapes, or has no weights.
        OSError: when the file cannot be written; what was there is there still.
    """
    from safetensors.torch import save as packed

    place = files.checked(path)
    parameters = parameters_of(model, chosen)
    with torch.no_grad():
        entries = {
            name: parameters[name].cpu().contiguous() if mask is None
            else parameters[name].cpu()[mask.as_subclass(torch.Tensor)]
            for name, mask in chosen.items()
        }  # fmt: skip
    files.write(place, packed(entries, metadata={SELECTION: line, "format": "pt"}))


def load_(model: torch.nn.Module, chosen: ParamMasks, line: str, path: str | os.PathLike[str]) -> None:
    """Set the masked entries of a model's parameters, in place, to those of a file; all of them or none.

    Args:
        model, chosen, line: as of `save`.
        path: a file that `save` wrote.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is none of `save`, not whole, of another selection, or of entries of another dtype; when the
            model does not have these parameters.
    """
    place = files.checked(path)
    if not place.is_file():
        raise FileNotFoundError(f"there is no file {str(place)!r} to load entries from")
    parameters = parameters_of(model, chosen)
    with _opened(place) as file:
        _refuse_another((file.metadata() or {}).get(SELECTION), line, place)
        entries = {name: _entries(file, name, parameters[name], mask, place) for name, mask in chosen.items()}
    with torch.no_grad():
        for name, mask in chosen.items():
            weight, found = parameters[name], entries[name].to(parameters[name].device)
            weight.copy_(found) if mask is None else weight.masked_scatter_(mask.to(weight.device), found)


def _opened(place: Path) -> Any:
    import safetensors

    try:
        return safetensors.safe_open(place, framework="pt")
    except safetensors.SafetensorError as fault:
        raise ValueError(f"{place} is no whole file of safetensors: {fault}") from fault


def _refuse_another(found: str | None, line: str, place: Path) -> None:
    """Refuse a file of another selection or model, and name it."""
    try:
        there = json.loads(found or "")
        text, model, fingerprint = str(there["selection"]), str(there["model"]), there["fingerprint"]
    except (ValueError, KeyError, TypeError) as fault:
        raise ValueError(f"{place} holds no selection's entries: it is not a file that Selection.save wrote") from fault
    here = json.loads(line)
    if fingerprint != here["fingerprint"]:
        raise ValueError(f"{place} holds entries of {model}, which is another model than {here['model']}")
    if text != here["selection"]:
        raise ValueError(f"{place} holds the entries of {text!r}, and this selection is {here['selection']!r}")


def _entries(file: Any, name: str, weight: torch.Tensor, mask: torch.Tensor | None, place: Path) -> torch.Tensor:
    shape = list(weight.shape) if mask is None else [int(mask.sum())]
    found = file.get_tensor(name) if name in set(file.keys()) else None
    if found is None or list(found.shape) != shape:
        said = "none" if found is None else f"a tensor {list(found.shape)}"
        raise ValueError(f"{place} has {said} of {name}, where {shape} is selected: it is not whole, or was changed")
    if found.dtype != weight.dtype:
        raise ValueError(
            f"{place} has {name} in {found.dtype}, and the model has it in {weight.dtype}\n"
            f"Convert the model first, model.to({found.dtype}), so that the entries come back as they were"
        )
    return found  # type: ignore[no-any-return]
