"""The scene of a picture: the cells of a grid and their state at one moment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.anatomy import Bools
from headgrid.plots import color_scale, style
from headgrid.widget.wire.schema import Arrow, Band, Colors

INK = style.LIGHT
"""The colors of a picture, which stands on a light ground."""


@dataclass(frozen=True)
class Mark:
    """A saved selection that is shown: its name, its color as `#rrggbb`, and its cells, `[n_cells]`."""

    name: str
    color: str
    cells: Bools


@dataclass(frozen=True)
class Scene:
    """The scene of a picture.

    Attributes:
        title: the model, in one line.
        selection, counts: what is selected, as text and in numbers.
        bands: the cells.
        absent, zero, on, partial: which cells are so, `[n_cells]` each.
        colors: their colors; None where the color tells what is selected.
        marks: saved selections to mark.
        arrows: composition between heads, the strongest first.
        fence: the z above which an arrow is an outlier; None where there are too few to say.
    """

    title: str
    selection: str
    counts: str
    bands: Sequence[Band]
    absent: Bools
    zero: Bools
    on: Bools
    partial: Bools
    colors: Colors | None = None
    marks: Sequence[Mark] = ()
    arrows: Sequence[Arrow] = ()
    fence: float | None = None

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """The value of each cell, `[n_cells]`; NaN where there is none, and everywhere without colors."""
        if self.colors is None:
            return np.full(len(self.on), np.nan, dtype=np.float32)
        return np.frombuffer(self.colors["values"], dtype="<f4")

    @cached_property
    def beyond(self) -> Bools:
        """Whose values lie beyond the scale, `[n_cells]`."""
        low, high = self.ends
        return (self.values < low) | (self.values > high)

    @property
    def ends(self) -> tuple[float, float]:
        """The ends of the scale."""
        return (0.0, 1.0) if self.colors is None else (self.colors["low"], self.colors["high"])

    @cached_property
    def levels(self) -> npt.NDArray[np.intp]:
        """Which of the scale's colors each cell has, `[n_cells]`; -1 for no value."""
        return color_scale.levels(self.values, *self.ends)

    @cached_property
    def palette(self) -> list[str]:
        """The scale's colors from low to high."""
        return color_scale.colors(self.colors is not None and self.colors["diverging"])
