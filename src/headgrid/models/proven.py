"""Which models' guessed layouts have been proven, for as long as the models live."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from headgrid.anatomy.anatomy import Anatomy

_PROVEN: WeakKeyDictionary[torch.nn.Module, Anatomy] = WeakKeyDictionary()

SETTLED = ("how q, k and v lie along", "how the rows of queries and of the output gate")
"""The caveats about a guess that a proof settles. It does not tell a gate from what it gates, nor norms apart."""


def mark(model: torch.nn.Module, anatomy: Anatomy) -> Anatomy:
    """Remember that this layout of this very model has been proven; the anatomy says so from now on."""
    if anatomy.provenance in ("table", "doubted"):
        return anatomy
    left = tuple(caveat for caveat in anatomy.caveats if not any(settled in caveat for settled in SETTLED))
    _PROVEN[model] = replace(anatomy, provenance="proven", caveats=left)
    return _PROVEN[model]


def marked(model: torch.nn.Module, anatomy: Anatomy) -> Anatomy:
    """The anatomy; or, where it is a guess, the one that has been proven of this very model."""
    proven = _PROVEN.get(model) if anatomy.provenance == "guess" else None
    return proven if proven is not None and proven.parameters == anatomy.parameters else anatomy
