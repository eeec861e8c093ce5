"""A circuit in tokens: a table of its directions, and its strongest pairs."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from headgrid.plots.canvas import (
    COLORS,
    PLAIN,
    axes,
    because,
    color_bar,
    color_map,
    fitted,
    formatted,
    name_of,
    numbers,
    one_circuit,
    size_of,
    written,
)
from headgrid.plots.style import LIGHT
from headgrid.utils.arguments import integer, one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_SIDES = {("qk", "reads"): "query side", ("qk", "writes"): "key side"}


def tokens(
    circuit: Any,
    *,
    ax: Axes | None = None,
    n_directions: int = 5,
    n_tokens: int = 8,
    side: str = "writes",
    sign: str = "top",
) -> Axes:
    """The tokens of a circuit's leading singular directions: a column for each, its strongest token at the top.

    Cells are shaded by the token's logit along the direction. A direction that is not identified (its singular value
    has a nearly equal neighbor) has a `?` after its number. Without a tokenizer, tokens are ids such as `#12`.

    Args:
        circuit: a `CircuitSummary` such as `summary.ov`, or a `TokenTable`.
        ax: the Axes to draw in; those of a new figure by default.
        n_directions, n_tokens: the most columns and rows.
        side: what it `writes` or `reads`; of a QK circuit, `reads` is the query side and `writes` the key side.
        sign: `top` or `bottom`: the tokens of the largest or of the smallest logits. The sign of a singular direction
            is a convention (both sides may be turned round together), so both are needed to read it.

    Raises:
        ValueError: for another side or sign, less than one direction or token, or a side without tokens.
    """
    side, sign = one_of("side", side, ("reads", "writes")), one_of("sign", sign, ("top", "bottom"))
    n_directions = integer("n_directions", n_directions, least=1, what="a number of columns")
    n_tokens = integer("n_tokens", n_tokens, least=1, what="a number of rows")
    table = circuit if hasattr(circuit, "bottom_ids") else getattr(one_circuit(circuit), f"{side[:-1]}_tokens", None)
    if table is None:
        other = "reads" if side == "writes" else "writes"
        there = getattr(circuit, f"{other[:-1]}_tokens", None) is not None
        raise ValueError(
            f"there are no tokens of what this {type(circuit).__name__} {side}{because(circuit)}"
            + (f"; ask for side={other!r}" if there else "")
        )
    logits = numbers(table.values if sign == "top" else table.bottom_values, "logits", 2)[:n_directions, :n_tokens].T
    words = [[written(word) for word in row[:n_tokens]] for row in getattr(table, sign)[:n_directions]]
    n_rows, n_columns = logits.shape

    flat = [word for row in words for word in row]
    column = 0.25 + 0.075 * max(map(len, flat))
    ax = axes(ax, n_columns * min(2.2, max(0.75, 2.2 / n_columns, column)) + 1.2, n_rows * 0.22 + 0.9)
    reach = float(np.abs(logits).max()) or 1.0
    low, high = -reach * bool(logits.min() < 0), reach * bool(logits.max() > 0 or logits.min() >= 0)
    # the light part of the colors alone: black text is read on all of them
    mesh = ax.pcolormesh(
        np.arange(n_columns + 1) - 0.5,
        np.arange(n_rows + 1) - 0.5,
        logits,
        cmap=color_map(True, 0.5 + 0.27 * low / reach, 0.5 + 0.27 * high / reach),
        vmin=low,
        vmax=high,
        edgecolors=[ax.get_facecolor()],
        linewidth=0.8,
    )
    ax.set(xlim=(-0.5, n_columns - 0.5), ylim=(n_rows - 0.5, -0.5))
    width, height = size_of(ax)
    size = fitted(flat, width / n_columns - 8, height / n_rows)
    for direction, row in enumerate(words):
        for rank, word in enumerate(row):
            ax.text(direction, rank, word, size=size, ha="center", va="center_baseline", color="black", **PLAIN)
    _head_columns(ax, circuit, n_columns)
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    kind = str(getattr(circuit, "kind", ""))
    what = _SIDES.get((kind, side), f"what it {side}") if table is not circuit else ""
    ax.set_title(
        " ".join(filter(None, (f"{name_of(circuit)}:" if kind else "", what, f"({sign} tokens)"))), fontsize="medium"
    )
    color_bar(mesh, ax, "logit")
    return ax


def _head_columns(ax: Axes, circuit: Any, n: int) -> None:
    values, unclear = (getattr(circuit, name, None) for name in ("singular_values", "unclear"))
    heads = [f"{i}{'?' if unclear is not None and bool(unclear[i]) else ''}" for i in range(n)]
    if values is not None:
        heads = [f"{head}\nσ = {float(values[i]):.3g}" for i, head in enumerate(heads)]
    ax.xaxis.tick_top()
    ax.set_xticks(range(n), heads, fontsize="small", color=LIGHT.muted, **PLAIN)
    ax.tick_params(length=0)


def pairs(circuit: Any, *, ax: Axes | None = None, n: int = 10) -> Axes:
    """The strongest token pairs of a full circuit as bars: attends from -> to, or attends to -> writes.

    Args:
        circuit: a `CircuitSummary` with `pairs`, or a `TokenPairs`.
        ax: the Axes to draw in; those of a new figure by default.
        n: the most pairs.

    Raises:
        ValueError: when the circuit has no pairs, or n is below 1.
    """
    found = getattr(one_circuit(circuit), "pairs", circuit)
    if found is None or not hasattr(found, "sources"):
        raise ValueError(f"there are no token pairs in this {type(circuit).__name__}{because(circuit)}")
    n = integer("n", n, least=1, what="a number of pairs")
    values = numbers(found.values, "scores of pairs", 1)[:n]
    names = [
        f"{written(source)} → {written(target)}"
        for source, target in zip(found.sources[:n], found.targets[:n], strict=True)
    ]
    ax = axes(ax, 4.2, 0.24 * len(values) + 0.9)
    bars = ax.barh(np.arange(len(values)), values, height=0.72, color=COLORS[0])
    ax.bar_label(bars, formatted(values), padding=3, fontsize="small", color=LIGHT.muted)
    ax.margins(x=0.14, y=0.02)
    ax.set_yticks(range(len(values)), names, **PLAIN)
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    ax.axvline(0, color=LIGHT.muted, linewidth=0.8)
    ax.spines[["top", "right", "left"]].set_visible(False)
    kind = str(getattr(circuit, "kind", ""))
    says = {"qk": "QK: attends from → to", "ov": "OV: attends to → writes"}.get(kind, "source → target")
    ax.set_title(says, fontsize="medium")
    ax.set_xlabel("score" if kind != "ov" else "logit")
    searched = str(getattr(found, "searched", "all pairs"))
    if searched != "all pairs":  # then there may be stronger ones
        ax.set_xlabel(f"{ax.get_xlabel()}\n{fill(f'searched: {searched}', 48)}")
    return ax
