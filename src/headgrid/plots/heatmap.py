"""A number of every head, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headgrid.plots.canvas import (
    axes,
    color_bar,
    color_map,
    fitted,
    font_size,
    formatted,
    numbers,
    size_of,
    thinned,
)
from headgrid.plots.color_scale import ink, limits
from headgrid.plots.style import BEYOND, DOT, FRAME, GROUP_GAP, LEGEND, LIGHT
from headgrid.selection.selection import Selection
from headgrid.utils import arguments
from headgrid.utils.arguments import Floats, flag, integer, number, real_numbers, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable

CELL = 26
"""The side of the widget's cell of which the lengths of marks are given; here they are as large a part of a cell."""


def grid(
    values: Any,
    *,
    ax: Axes | None = None,
    label: str = "",
    diverging: bool | None = None,
    selected: Any = None,
    annotate: bool = False,
    low: float | None = None,
    high: float | None = None,
    from_zero: bool | None = None,
    n_kv_heads: int | None = None,
) -> Axes:
    """A heat map of one number per head: a row for each layer, layer 0 at the top.

    Colors and marks are those of the widget: a cell without a number (NaN, as of layers without heads) is gray with a
    dot, one whose value lies beyond the color scale has a corner marked, a selected one is framed; the legend says so.

    Args:
        values: `[n_layers, n_heads]`, a tensor, an array or nested lists.
        ax: the Axes to draw in; those of a new figure by default.
        label: what the numbers are, written at the color bar.
        diverging: whether colors go two ways from 0, equally far; by default when there are values of both signs.
        selected: heads to outline: booleans `[n_layers, n_heads]`, or a `Selection`, of which the heads of the main
            stack that are selected whole (for another stack: `selection.selected_heads("encoder")`).
        annotate: write the number into each cell.
        low, high: the ends of the color scale. By default they are the smallest and largest value, but an outlier
            does not flatten all others, and a narrow range is not stretched to all colors
            (`headgrid.plots.color_scale.limits`).
            Diverging colors end at plus and minus the larger of them. A value beyond an end has its color, and the
            bar a pointed end; the bar's label says how many there are, and which range the others have.
        from_zero: whether zero is an end of a scale that does not diverge; by default where all values have one sign.
        n_kv_heads: how many key/value heads the heads share: those of one stand together, with gaps between. By default
            as in the model of a `Selection` that is given, and otherwise no gaps.

    Raises:
        ValueError: when `values` has another shape, `selected` does not have its shape, `low` is not below `high`, or
            the heads cannot be divided among so many key/value heads.
    """
    cells = numbers(values, "values", 2)
    label = arguments.text("label", label)
    diverging = None if diverging is None else flag("diverging", diverging)
    from_zero = None if from_zero is None else flag("from_zero", from_zero)
    annotate = flag("annotate", annotate)
    low, high = (None if given is None else number(name, given) for name, given in (("low", low), ("high", high)))
    n_layers, n_heads = cells.shape
    chosen = np.zeros(cells.shape, dtype=np.bool_) if selected is None else _chosen(selected, cells.shape)
    starts = _group_starts(n_kv_heads, selected, n_heads)
    finite = cells[np.isfinite(cells)]
    if diverging is None:
        diverging = bool(finite.size and finite.min() < 0 < finite.max())
    scale = limits(cells, diverging, from_zero, low, high)

    beyond = np.isfinite(cells) & ((cells < scale.low) | (cells > scale.high))
    cell = 0.46 if annotate else max(0.11, min(0.32, 4.2 / max(n_heads, n_layers)))
    entries = [not np.isfinite(cells).all(), bool(beyond.any()), bool(chosen.any())]
    beside = max(1.6 + 0.2 * len(scale.said), 2.2 * entries[1], 1.7 * any(entries))
    below = 0.8 + 0.19 * max(0, sum(entries) - 1)
    ax = axes(ax, n_heads * cell + beside, max(n_layers * cell + below, 1.1 + below))
    mesh = ax.pcolormesh(
        np.arange(n_heads + 1) - 0.5,
        np.arange(n_layers + 1) - 0.5,
        np.ma.masked_invalid(cells),
        cmap=color_map(diverging).with_extremes(bad=LIGHT.cell),
        vmin=scale.low,
        vmax=scale.high,
        edgecolors=[ax.get_facecolor()],
    )
    ax.set(xlim=(-0.5, n_heads - 0.5), ylim=(n_layers - 0.5, -0.5), aspect="equal", xlabel="head", ylabel="layer")
    width, height = size_of(ax)
    pitch = min(width / n_heads, height / n_layers)
    mesh.set_linewidth(min(0.8, 0.04 * pitch))
    ax.set_xticks(thinned(n_heads, width, 1.9 * font_size("medium")))
    ax.set_yticks(thinned(n_layers, height, 1.2 * font_size("medium")))
    ax.tick_params(length=2)
    ax.spines[:].set_visible(False)

    if starts:
        ax.vlines(np.array(starts) - 0.5, -0.5, n_layers - 0.5, ax.get_facecolor(), linewidth=pitch / GROUP_GAP["of"])
    under, over = bool((finite < scale.low).any()), bool((finite > scale.high).any())
    pointed = ("both" if over else "min") if under else "max" if over else "neither"
    bar = color_bar(mesh, ax, "\n".join(filter(None, (label, *scale.said))), pointed)
    _mark_missing(ax, ~np.isfinite(cells), pitch)
    _mark_beyond(ax, cells, beyond, chosen, mesh)
    _frame(ax, chosen, pitch)
    _legend(bar.ax, cells, beyond, chosen)
    if annotate:
        _annotate(ax, cells, mesh, pitch)
    return ax


def _group_starts(n_kv_heads: int | None, selected: Any, n_heads: int) -> list[int]:
    """The heads before which there is a gap: the first ones of each key/value head but the first."""
    if n_kv_heads is None:
        if not isinstance(selected, Selection):
            return []
        group = selected.anatomy.main.kv_head_of
        shared = selected.anatomy.main.n_kv_heads < n_heads
        return [head for head in range(1, n_heads) if shared and group[head] != group[head - 1]]
    n = integer("n_kv_heads", n_kv_heads, least=1, what="a number of key/value heads")
    if n_heads % n:
        raise ValueError(
            f"n_kv_heads is {shown(n)}, which does not divide the {n_heads} heads of values into equal groups"
        )
    return list(range(n_heads // n, n_heads, n_heads // n)) if n < n_heads else []


def _chosen(selected: Any, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    of_selection = isinstance(selected, Selection)
    given = selected.selected_heads() if isinstance(selected, Selection) else selected
    found = real_numbers("selected", given, "booleans [n_layers, n_heads] or a Selection")
    if np.asarray(given).dtype != np.bool_:  # scores, say, of which any but zero would be outlined
        raise TypeError(f"selected should be booleans [n_layers, n_heads] or a Selection, not {shown(selected)}")
    if found.shape != shape:
        source = f"the selection is of {selected.anatomy.title}: its heads are" if of_selection else "selected is"
        raise ValueError(f"{source} {list(found.shape)}, and values are {list(shape)}: they should be the same")
    return found.astype(np.bool_)


def _mark_missing(ax: Axes, missing: npt.NDArray[np.bool_], pitch: float) -> None:
    layers, heads = np.nonzero(missing)
    if layers.size:
        side = 2 * DOT["roomy"] * pitch / CELL
        ax.scatter(heads, layers, s=side**2, c=LIGHT.muted, linewidths=0, label=LEGEND["missing"])


def _mark_beyond(
    ax: Axes, cells: Floats, beyond: npt.NDArray[np.bool_], chosen: npt.NDArray[np.bool_], mesh: ScalarMappable
) -> None:
    """A corner of each cell whose value lies beyond the scale, inside its frame where it has one."""
    from matplotlib.collections import PolyCollection

    side, corners = BEYOND["side"], list[list[tuple[float, float]]]()
    places = np.argwhere(beyond)
    for layer, head in places:
        inset = (sum(FRAME["roomy"]) if chosen[layer, head] else BEYOND["inset"]) / CELL
        right, top = head + 0.5 - inset, layer - 0.5 + inset
        corners.append([(right - side, top), (right, top), (right, top + side)])
    if corners:
        inks = [_ink(cells[layer, head], mesh) for layer, head in places]
        found = PolyCollection(corners, facecolors=inks, linewidths=0, label=LEGEND["beyond"])
        ax.add_collection(found, autolim=False)


def _frame(ax: Axes, chosen: npt.NDArray[np.bool_], pitch: float) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    line, gap = (min(1.0, pitch / CELL) * width for width in FRAME["roomy"])
    inset = line / 2 / pitch + 0.02  # inside its cell, so that neighbors do not touch
    rectangles = [
        Rectangle((head - 0.5 + inset, layer - 0.5 + inset), 1 - 2 * inset, 1 - 2 * inset)
        for layer, head in np.argwhere(chosen)
    ]
    if rectangles:
        frames = PatchCollection(
            rectangles, facecolor="none", edgecolor=LIGHT.on, linewidth=line, joinstyle="miter",
            label=LEGEND["selected"],
        )  # fmt: skip
        # seen on dark cells as on light
        frames.set_path_effects([withStroke(linewidth=line + 2 * gap, foreground=LIGHT.ground)])
        ax.add_collection(frames, autolim=False)


def _legend(ax: Axes, cells: Floats, beyond: npt.NDArray[np.bool_], chosen: npt.NDArray[np.bool_]) -> None:
    """A legend of the marks, below the color bar that is drawn in these Axes."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    def mark(marker: Any, size: float, color: str = LIGHT.text) -> tuple[Any, Any]:
        cell = Patch(facecolor=LIGHT.cell, edgecolor=LIGHT.edge, linewidth=0.5)
        return cell, Line2D([], [], linestyle="none", marker=marker, markersize=size, color=color, markeredgewidth=0)

    entries: dict[str, Any] = {}
    if not np.isfinite(cells).all():
        entries["NaN or inf" if np.isinf(cells).any() else LEGEND["missing"]] = mark("o", 2, LIGHT.muted)
    if beyond.any():
        entries[LEGEND["beyond"]] = mark([(-0.5, 1), (1, 1), (1, -0.5)], 7)
    if chosen.any():
        entries[LEGEND["selected"]] = Patch(facecolor=LIGHT.cell, edgecolor=LIGHT.on, linewidth=1.5)
    if entries:
        ax.legend(
            handles=list(entries.values()),
            labels=list(entries),
            loc="upper left",
            bbox_to_anchor=(0, 0),
            borderpad=0,
            borderaxespad=0.8,
            handlelength=0.9,
            handleheight=0.9,
            handletextpad=0.4,
            frameon=False,
            fontsize="small",
        )


def _annotate(ax: Axes, cells: Floats, mesh: ScalarMappable, pitch: float) -> None:
    places = [(int(layer), int(head)) for layer, head in np.argwhere(np.isfinite(cells))]
    texts = dict(zip(places, formatted(cells[np.isfinite(cells)]), strict=True))
    size = fitted(list(texts.values()), 0.84 * pitch, 0.84 * pitch)
    for (layer, head), text in texts.items():
        ax.text(head, layer, text, size=size, color=_ink(cells[layer, head], mesh), ha="center", va="center_baseline")


def _ink(value: float, mesh: ScalarMappable) -> str:
    """What is written upon the color of a value."""
    from matplotlib.colors import to_hex

    red, green, blue, _ = mesh.to_rgba(np.array(value))
    return ink(to_hex((red, green, blue)))
