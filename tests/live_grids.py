"""Grids of models that are run on texts: what a browser asks of them, and what it makes of the answers."""

from __future__ import annotations

from typing import Any

import numpy as np

import headgrid as hg
from headgrid.widget.wire.schema import HeadPattern, LiveView

TEXT = "when mary and john went to the store , john gave a drink to"
OTHER = "when mary and john went to the store , mary gave a drink to"


def watched(model: Any = None, tokenizer: Any = None, **given: Any) -> hg.HeadGrid:
    """A grid that somebody looks at, of the shipped model by default; it opens plain."""
    grid = hg.HeadGrid(*(hg.demo() if model is None else (model, tokenizer)), **given)
    grid.color_by(None)
    if grid.task is None:
        grid.task = None
    grid.set_state({"_view_count": 1})
    return grid


def prompt(grid: hg.HeadGrid, n: int, text: str, contrast: str = "") -> None:
    """What a browser sends whose user types a text."""
    grid.set_state({"prompt": {"n": n, "text": text, "contrast": contrast}})


def query(grid: hg.HeadGrid, n: int, row: int = 0, panel: bool = True, thumbnails: bool = False) -> None:
    """What a browser sends whose user opens the panel, or chooses a row."""
    grid.set_state({"live_query": {"n": n, "row": row, "panel": panel, "thumbnails": thumbnails}})


def decoded(view: LiveView, head: HeadPattern) -> np.ndarray:
    """The pattern that a browser makes of the bytes."""
    n, m = len(view["tokens"]), len(view["keys"] or view["tokens"])
    values = (np.frombuffer(head["values"], dtype=np.uint8) / 255) ** 2
    if not view["triangle"]:
        return values.reshape(n, m)
    found = np.zeros((n, n))
    found[np.tril_indices(n)] = values
    return found
