"""The key of a picture: what its colors, frames and marks mean."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from headgrid.plots import color_scale
from headgrid.widget.compute import to_wire
from headgrid.widget.export.ink import (
    EDGE,
    HATCH,
    MUTED,
    OFF,
    ON,
    PARTIAL,
    TEXT,
    corners,
    dots,
    halves,
    hatches,
    insets,
    notches,
)
from headgrid.widget.export.svg import Anchor, Boxes, Lines, Shape, Words, width_of
from headgrid.widget.wire.schema import Colors

if TYPE_CHECKING:
    from headgrid.widget.export.figure import State

LN = {"folded": "norms folded", "raw": "raw weights"}


def key(state: State, width: float, roomy: bool) -> tuple[list[Shape], float]:
    """What the colors mean, from left to right and in as many lines as it takes, and where it ends."""
    items = list(_entries(state, roomy))
    found: list[Shape] = []
    x, y, tall = 0.0, 0.0, 0.0
    for shapes_, wide, high in items:
        if x and x + wide > width:
            x, y, tall = 0.0, y + tall + 8, 0.0
        found += [shape.moved(x, y) for shape in shapes_]
        x, tall = x + wide + 18, max(tall, high)
    return found, y + tall


def _entries(state: State, roomy: bool) -> Iterator[tuple[list[Shape], float, float]]:
    """Each entry of the key at the origin, with its width and height."""
    box = np.array([(0.0, 0.0, 14.0, 14.0)])
    off = Boxes(insets(box, 0.5), OFF, EDGE, radius=3)
    if (colors := state.colors) is not None:
        said = colors["label"] + (f" ({LN[colors['ln']]})" if colors["ln"] in LN else "")
        yield [Words(0, 7, said, TEXT, bold=True)], width_of(said, 12), 14
        values = np.frombuffer(colors["values"], dtype="<f4")[~state.absent]
        if not np.isnan(values).all():
            yield list(_ramp(colors, values)), 160, 26
            yield [Words(0, 7, colors["range"], MUTED)], width_of(colors["range"]), 14
        if ((values < colors["low"]) | (values > colors["high"])).any():
            yield _entry("beyond the scale", off, Lines(notches(box), TEXT, filled=True))
        if np.isnan(values).any():
            yield _entry("no value", Boxes(box, OFF, radius=3), Boxes(dots(box, 2.5), MUTED, radius=1))
        if state.on.any():
            frame = Boxes(insets(box, 1.25), "none", TEXT, 2.5, 2)
            yield _entry("selected", Boxes(box, OFF, radius=3), frame)
        ink = TEXT
    else:
        if state.on.any():
            yield _entry("selected", Boxes(box, ON, radius=3))
        ink = PARTIAL
    if state.partial.any():
        half = Boxes(halves(box), ink, radius=3)
        triangle = Lines(corners(box, 3), ink, filled=True)
        yield _entry("partly selected", off, triangle if roomy or state.colors else half)
    if (state.zero & ~state.absent).any():
        yield _entry("output weights all zero", off, Lines(hatches(box), HATCH))
    for mark in state.marks:
        yield _entry(mark.name, off, Boxes(np.array([(2.0, 1.5, 10.0, 3.0)]), mark.color, radius=1))


def _entry(said: str, *swatch: Shape) -> tuple[list[Shape], float, float]:
    said = said if len(said) <= 40 else said[:39] + "…"
    return [*swatch, Words(20, 7, said, MUTED)], 20 + width_of(said), 14.0


def _ramp(colors: Colors, values: npt.NDArray[np.floating]) -> Iterator[Shape]:
    palette, wide = color_scale.colors(colors["diverging"]), 160.0
    for k, color in enumerate(palette):  # each reaches to the end, so that no seam shows between two
        left = k * wide / len(palette)
        yield Boxes(np.array([(left, 2.0, wide - left, 9.0)]), color)
    low, high = colors["low"], colors["high"]
    below, above = (
        "\N{LESS-THAN OR EQUAL TO} " * bool((values < low).any()),
        "\N{GREATER-THAN OR EQUAL TO} " * bool((values > high).any()),
    )
    ends: list[tuple[float, str, float, Anchor]] = [(0, below, low, "start"), (wide, above, high, "end")]
    if colors["diverging"]:
        ends.append((wide / 2, "", (low + high) / 2, "middle"))
    for x, more, value, anchor in ends:
        yield Words(x, 19, more + to_wire.short(value).replace("-", "\N{MINUS SIGN}"), MUTED, 10, anchor)
