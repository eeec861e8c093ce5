"""Which models' guessed layouts have been proven, for as long as the models live."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import torch

from headgrid.anatomy import Anatomy

_FINGERPRINTS: WeakKeyDictionary[torch.nn.Module, str] = WeakKeyDictionary()


def mark(model: torch.nn.Module, anatomy: Anatomy) -> Anatomy:
    """Remember that this layout of this very model has been proven; the anatomy says so from now on."""
    if anatomy.standing == "table":
        return anatomy
    _FINGERPRINTS[model] = anatomy.fingerprint
    return marked(model, anatomy)


def marked(model: torch.nn.Module, anatomy: Anatomy) -> Anatomy:
    """The anatomy, as `proven` if it was guessed and this layout of this very model has been proven."""
    known = anatomy.standing == "guess" and _FINGERPRINTS.get(model) == anatomy.fingerprint
    return replace(anatomy, standing="proven") if known else anatomy
