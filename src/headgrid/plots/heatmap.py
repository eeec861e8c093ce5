"""A number of every head, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from headgrid.plots.canvas import (
    DIVERGING,
    PALE,
    SEQUENTIAL,
    Floats,
    axes,
    color_bar,
    fitted,
    font_size,
    formatted,
    numbers,
    size_of,
    thinned,
)
from headgrid.plots.color_scale import ink, limits
from headgrid.selection.selection import Selection
from headgrid.utils import arguments
from headgrid.utils.arguments import flag, number, real_numbers, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable


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
) -> Axes:
    """A heat map of one number per head: a row for each layer, layer 0 at the top.

    Cells without a number (NaN, as of layers without heads) are gray and hatched, and a key says so.

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

    Raises:
        ValueError: when `values` has another shape, `selected` does not have its shape, or `low` is not below `high`.
    """
    cells = numbers(values, "values", 2)
    label = arguments.text("label", label)
    diverging = None if diverging is None else flag("diverging", diverging)
    from_zero = None if from_zero is None else flag("from_zero", from_zero)
    annotate = flag("annotate", annotate)
    low, high = (None if given is None else number(name, given) for name, given in (("low", low), ("high", high)))
    n_layers, n_heads = cells.shape
    chosen = None if selected is None else _chosen(selected, cells.shape)
    finite = cells[np.isfinite(cells)]
    if diverging is None:
        diverging = bool(finite.size and finite.min() < 0 < finite.max())
    scale = limits(cells, diverging, from_zero, low, high)

    cell = 0.46 if annotate else max(0.11, min(0.32, 4.2 / max(n_heads, n_layers)))
    ax = axes(ax, n_heads * cell + 1.6 + 0.2 * len(scale.said), max(n_layers * cell + 0.8, 1.9))
    from matplotlib import colormaps

    mesh = ax.pcolormesh(
        np.arange(n_heads + 1) - 0.5,
        np.arange(n_layers + 1) - 0.5,
        np.ma.masked_invalid(cells),
        cmap=colormaps[DIVERGING if diverging else SEQUENTIAL].with_extremes(bad=PALE),
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

    below, above = bool((finite < scale.low).any()), bool((finite > scale.high).any())
    beyond = ("both" if above else "min") if below else "max" if above else "neither"
    bar = color_bar(mesh, ax, "\n".join(filter(None, (label, *scale.said))), beyond)
    if finite.size < cells.size:
        _hatch_missing(ax, bar.ax, ~np.isfinite(cells), "no value" if not np.isinf(cells).any() else "NaN or inf")
    if chosen is not None:
        _outline(ax, chosen, pitch)
    if annotate:
        _annotate(ax, cells, mesh, pitch)
    return ax


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


def _hatch_missing(ax: Axes, key: Axes, missing: npt.NDArray[np.bool_], label: str) -> None:
    from matplotlib.patches import Patch, Rectangle

    style: dict[str, Any] = {"facecolor": PALE, "edgecolor": "#b0b0b0", "hatch": "/////", "linewidth": 0}
    for layer, row in enumerate(missing):
        ends = np.flatnonzero(np.diff(np.r_[False, row, False]))  # one rectangle for each run of cells
        for first, last in zip(ends[::2], ends[1::2], strict=True):
            ax.add_patch(Rectangle((first - 0.5, layer - 0.5), last - first, 1, **style))
    # below the color bar, as one more of its colors
    key.legend(
        handles=[Patch(**style, label=label)],
        loc="upper left",
        bbox_to_anchor=(0, 0),
        borderpad=0,
        borderaxespad=0.6,
        handlelength=0.9,
        handletextpad=0.4,
        frameon=False,
        fontsize="small",
    )


def _outline(ax: Axes, chosen: npt.NDArray[np.bool_], pitch: float) -> None:
    from matplotlib.collections import PatchCollection
    from matplotlib.patches import Rectangle
    from matplotlib.patheffects import withStroke

    line = min(1.8, 0.09 * pitch)
    inset = line / pitch  # inside its cell, so that neighbors do not touch
    rectangles = [
        Rectangle((head - 0.5 + inset, layer - 0.5 + inset), 1 - 2 * inset, 1 - 2 * inset)
        for layer, head in np.argwhere(chosen)
    ]
    outlines = PatchCollection(
        rectangles, facecolor="none", edgecolor="black", linewidth=line, joinstyle="miter", label="selected"
    )
    outlines.set_path_effects([withStroke(linewidth=2 * line, foreground="white")])  # seen on dark cells as on light
    ax.add_collection(outlines, autolim=False)


def _annotate(ax: Axes, cells: Floats, mesh: ScalarMappable, pitch: float) -> None:
    from matplotlib.colors import to_hex

    places = [(int(layer), int(head)) for layer, head in np.argwhere(np.isfinite(cells))]
    texts = dict(zip(places, formatted(cells[np.isfinite(cells)]), strict=True))
    size = fitted(list(texts.values()), 0.84 * pitch, 0.84 * pitch)
    for (layer, head), text in texts.items():
        red, green, blue, _ = mesh.to_rgba(cells[layer, head])
        color = ink(to_hex((red, green, blue)))
        ax.text(head, layer, text, size=size, color=color, ha="center", va="center_baseline")
