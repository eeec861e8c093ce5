"""Attention patterns as heat maps: one head, several side by side, or their mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headgrid.experiments.attention import Attention, RowPattern
from headgrid.plots.canvas import (
    PLAIN,
    axes,
    color_bar,
    color_map,
    font_size,
    refuse_without_matplotlib,
    size_of,
    thinned,
    written,
)
from headgrid.plots.style import LIGHT
from headgrid.utils.arguments import flag, number, of_kind

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 36
"""The most pictures of one figure: of more, none could be read."""

LETTERS = 48
"""The most tokens that are written at an axis; of more, their numbers."""


def attention(
    attention: Any, heads: Any = None, *, row: int | None = 0, mean: bool = False, ax: Axes | None = None,
    high: float | None = None,
) -> list[Axes]:  # fmt: skip
    """Attention patterns: a row for each query from the top down, a column for each key, darker where there is less.

    All pictures share one scale of colors, which begins at 0. Keys that a query may not see have no color.

    Args:
        attention: what `hg.attention(model, task)` returns.
        heads: which of its heads; all by default.
        row: which row of the task; None for the mean over rows, which must have one length.
        mean: whether the mean over these heads is drawn, instead of each.
        ax: the Axes to draw one picture in; a new figure by default.
        high: the end of the color scale; by default the largest value shown.

    Returns:
        The Axes of each picture.

    Raises:
        KeyError: for a head that is not recorded.
        TypeError, ValueError: for other rows than there are, for too many pictures, for rows or heads of which there is
            no mean, as they have other tokens.
    """
    of_kind("attention", attention, Attention, "an Attention, as headgrid.attention makes it")
    mean, high = flag("mean", mean), None if high is None else number("high", high)
    if high is not None and high <= 0:
        raise ValueError(f"high is the end of a scale that begins at 0, not {high}")
    names = attention.heads(heads)
    shown = {name: attention.row(name, row) if row is not None else over_rows(attention, name) for name in names}
    if mean and len(names) > 1:
        shown = {f"mean of {len(names)} heads": mean_of(list(shown.values()), "heads of one stack")}
    if len(shown) > MOST:
        raise ValueError(f"{len(shown)} patterns are too many for one figure: choose {MOST} heads, or mean=True")
    if ax is not None and len(shown) > 1:
        raise ValueError(f"ax is one Axes, and {len(shown)} patterns are to be drawn: choose one head, or mean=True")
    high = max(float(one.pattern.max()) for one in shown.values()) if high is None else high
    where = [axes(ax, 4.6, 3.9)] if len(shown) == 1 else _many(len(shown))
    for (name, one), each in zip(shown.items(), where, strict=False):
        _draw(each, name, one, high, len(shown) > 1)
    bar = where[_columns(len(shown)) - 1]
    color_bar(bar.collections[0], bar, "attention", "max" if _beyond(shown, high) else "neither")
    return where[: len(shown)]


def over_rows(attention: Attention, name: str) -> RowPattern:
    """The mean pattern of a head over all rows; positions for tokens that are not the same in each."""
    rows = [attention.row(name, row) for row in range(attention.task.n_rows)]
    found = mean_of(rows, "rows of one length")

    def common(texts: Sequence[Sequence[str]]) -> list[str]:
        return [each[0] if len({*each}) == 1 else f"[{i}]" for i, each in enumerate(zip(*texts, strict=True))]

    return replace(found, queries=common([one.queries for one in rows]), keys=common([one.keys for one in rows]))


def mean_of(given: Sequence[RowPattern], what: str) -> RowPattern:
    """The mean of several patterns."""
    if len({(one.stack, tuple(one.pattern.shape)) for one in given}) > 1:
        raise ValueError(f"there is a mean only of {what}, and these differ: choose some that have as many tokens")
    whole = given[0]
    pattern, sees = torch.stack([one.pattern for one in given]).mean(0), whole.sees
    for one in given[1:]:
        sees = sees | one.sees
    return replace(whole, pattern=pattern, sees=sees)


def _columns(n: int) -> int:
    """How many pictures stand side by side."""
    return n if n <= 4 else min(6, math.ceil(math.sqrt(n)))


def _many(n: int) -> list[Axes]:
    """Axes side by side in a new figure, as square as can be, at most six in a line."""
    refuse_without_matplotlib()
    import matplotlib.pyplot as plt

    columns = _columns(n)
    lines = -(-n // columns)
    side = 2.6 if n <= 4 else 1.9
    _, found = plt.subplots(lines, columns, figsize=(columns * side + 0.7, lines * (side + 0.1)),
                                 layout="compressed", squeeze=False)  # fmt: skip
    for spare in found.flat[n:]:
        spare.set_axis_off()
    return list(found.flat)


def _draw(ax: Axes, name: str, one: RowPattern, high: float, small: bool) -> None:
    pattern = np.ma.masked_array(one.pattern.numpy(), ~one.sees.numpy())
    n_queries, n_keys = pattern.shape
    ax.pcolormesh(
        np.arange(n_keys + 1) - 0.5, np.arange(n_queries + 1) - 0.5, pattern, cmap=color_map(False), vmin=0, vmax=high,
        rasterized=True,
    )  # fmt: skip
    ax.set(xlim=(-0.5, n_keys - 0.5), ylim=(n_queries - 0.5, -0.5), aspect="equal")
    ax.set_title(name, fontsize="medium", **PLAIN)
    width, height = size_of(ax)
    _label(ax, "x", one.keys, width, small)
    _label(ax, "y", one.queries, height, small)
    ax.set(xlabel="" if small else "key", ylabel="" if small else "query")
    ax.tick_params(length=2, pad=1.5)
    for side, spine in ax.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(LIGHT.edge)


def _label(ax: Axes, axis: str, tokens: Sequence[str], length: float, small: bool) -> None:
    """Write the tokens at an axis where each has room, their numbers where not."""
    size = min(font_size("small"), 0.95 * length / len(tokens))
    set_ticks = getattr(ax, f"set_{axis}ticks")
    if len(tokens) <= LETTERS and size >= 4.5 and not (small and size < 5):
        set_ticks(range(len(tokens)), [written(_word(one), 12) for one in tokens], fontsize=size, **PLAIN,
                  **({"rotation": 90} if axis == "x" else {}))  # fmt: skip
    else:
        each = (1.2 if axis == "y" else 2.2) * font_size("small")
        places = thinned(len(tokens), length, each)
        set_ticks(places, [str(one) for one in places], fontsize="small")


def _word(token: str) -> str:
    """A token without the blank before a word."""
    return token[1:] if token[:1] == " " and token.strip() else token


def _beyond(shown: dict[str, RowPattern], high: float) -> bool:
    return any(bool((one.pattern > high).any()) for one in shown.values())
