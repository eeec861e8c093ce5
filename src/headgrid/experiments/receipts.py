"""Receipts: what a result was computed from, so that it can be had again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any


@dataclass(frozen=True)
class Receipt:
    """What a result was computed from.

    Attributes:
        model: what the model is called, and a short hash of its weights.
        task: a short hash of the task, "" for a result without one.
        method: how it was computed.
        options: everything else that decides the numbers: reference, direction, positions, draws, seed.
        versions: of headgrid, torch, transformers and transformer_lens, where they are installed.
    """

    model: tuple[str, str]
    task: str
    method: str
    options: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=lambda: versions())

    def __str__(self) -> str:
        said = ", ".join(f"{key} {value}" for key, value in self.options.items() if value is not None)
        return f"{self.method}{f' ({said})' if said else ''}; model {self.model[0]} {self.model[1]}, task {self.task}"


def versions() -> dict[str, str]:
    """The versions of the libraries that decide numbers."""
    found = {}
    for name in ("headgrid", "torch", "transformers", "transformer-lens"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
