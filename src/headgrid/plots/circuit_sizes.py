"""The faithfulness of circuits by their size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from headgrid.experiments.smallest import CircuitSearch
from headgrid.plots.canvas import COLORS, PLAIN, axes
from headgrid.plots.style import LIGHT
from headgrid.utils import arguments

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def faithfulness(search: Any, *, ax: Axes | None = None) -> Axes:
    """The faithfulness of the circuits of a search by their size, with intervals; the smallest faithful one is named.

    The gray band is the tolerance of the search around 1. Other circuits as small that are faithful too are rings.

    Args:
        search: what `headgrid.experiments.smallest_circuit` returns.
        ax: the Axes to draw in; those of a new figure by default.

    Raises:
        TypeError: when `search` is something else.
    """
    arguments.of_kind("search", search, CircuitSearch, "a CircuitSearch, as smallest_circuit makes it")
    ax = axes(ax, 4.2, 2.6)
    from matplotlib.ticker import MaxNLocator

    steps = sorted(search.curve, key=lambda step: step.size)
    sizes = [step.size for step in steps]
    found = [step.faithfulness for step in steps]
    ax.axhspan(1 - search.tolerance, 1 + search.tolerance, color=LIGHT.muted, alpha=0.25, linewidth=0, zorder=0)
    ax.fill_between(
        sizes, [one.low for one in found], [one.high for one in found], color=COLORS[0], alpha=0.25, linewidth=0,
        zorder=1,
    )  # fmt: skip
    mark = "o" if len(sizes) <= 32 else ""
    ax.plot(sizes, [one.value for one in found], color=COLORS[0], linewidth=1.2, marker=mark, markersize=3, zorder=2)
    for other in search.others:
        ax.plot([other.size], [other.faithfulness.value], color=COLORS[1], marker="o", markersize=6, fillstyle="none",
                linestyle="none", zorder=3)  # fmt: skip
    best = search.smallest
    if best is not None:
        ax.plot([best.size], [best.faithfulness.value], color=COLORS[1], marker="o", markersize=5, linestyle="none",
                zorder=3)  # fmt: skip
        name = str(best.circuit)
        ax.annotate(
            name if len(name) <= 40 else f"{best.size} heads", (best.size, best.faithfulness.value), xytext=(6, -4),
            textcoords="offset points", va="top", fontsize="small", color=COLORS[1], **PLAIN,
        )  # fmt: skip
    ax.set(xlabel="members of the circuit", ylabel="faithfulness")
    ax.set_title(f"{search.metric}; the rest: {search.rest}", fontsize="small", **PLAIN)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    ax.spines[["top", "right"]].set_visible(False)
    return ax
