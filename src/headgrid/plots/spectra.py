"""Singular values of a circuit, and its score by distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from headgrid.circuits.scores import entropy_rank, stable_rank
from headgrid.linalg.factored import FactoredMatrix
from headgrid.plots.canvas import COLORS, axes, because, name_of, numbers, one_circuit
from headgrid.plots.style import LIGHT
from headgrid.utils.arguments import Floats, flag, shown, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HATCH = "//////"


def spectrum(circuit: Any, *, ax: Axes | None = None, log: bool = False, label: str | None = None) -> Axes:
    """The singular values of a circuit as bars, its effective ranks in the legend.

    Bars of directions that are not identified (nearly equal neighbors, or zero) are hatched, where that is known.
    Several spectra drawn into the same Axes get several colors.

    Args:
        circuit: a `CircuitSummary` such as `summary.ov`, a `FactoredMatrix`, or the singular values themselves, `[r]`.
        ax: the Axes to draw in; those of a new figure by default.
        log: a logarithmic axis.
        label: the name in the legend; by default the kind of circuit.

    Raises:
        TypeError, ValueError: when `circuit` is something else, or several matrices.
    """
    values, unclear, ranks = _spectrum(circuit)
    log, label = flag("log", log), None if label is None else text("label", label)
    ax = axes(ax, 4.2, 2.6)
    from matplotlib.container import BarContainer
    from matplotlib.patches import Patch

    drawn = [container for container in ax.containers if isinstance(container, BarContainer)]
    color = COLORS[len(drawn) % len(COLORS)]
    name = name_of(circuit) if label is None else label
    places = np.arange(len(values))
    bars = ax.bar(
        places,
        values,
        width=0.8 if len(values) <= 32 and not drawn else 1.0,
        color="none" if drawn else color,
        label="\n".join(filter(None, (name, ranks))),
        linewidth=0,
    )
    for bar, is_unclear in zip(bars, unclear, strict=True):
        if is_unclear:
            bar.set(hatch=_HATCH, edgecolor=color if drawn else "white")
    if drawn:  # the line of their tops alone: what is behind stays seen
        ax.stairs(values, np.arange(len(values) + 1) - 0.5, baseline=None, color=color, linewidth=1.6)
    ax.set(xlabel="singular direction", ylabel="singular value")
    ax.margins(x=0.01)
    if log:
        _logarithmic(ax, np.array([bar.get_height() for container in (*drawn, bars) for bar in container]))
    _whole_numbers(ax)
    ax.spines[["top", "right"]].set_visible(False)
    keys: list[Any] = [
        Patch(color=COLORS[i % len(COLORS)], linewidth=0, label=container.get_label())
        for i, container in enumerate((*drawn, bars))
    ]
    if any(bar.get_hatch() for container in (*drawn, bars) for bar in container):
        keys.append(Patch(facecolor=LIGHT.muted, edgecolor="white", hatch=_HATCH, linewidth=0, label="not identified"))
    ax.legend(handles=keys, loc="upper right", frameon=False, fontsize="small", handlelength=1.2)
    return ax


def _logarithmic(ax: Axes, values: Floats) -> None:
    from matplotlib.ticker import LogLocator

    ax.set_yscale("log", nonpositive="clip")
    seen = values[values > 1e-12 * values.max()]  # less than that is rounding
    if not seen.size:
        return
    ax.set_ylim(seen.min() / 1.5, seen.max() * 1.2)
    if seen.max() < 100 * seen.min():  # too few powers of ten to read a scale from
        ax.yaxis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_formatter("{x:g}")


def offsets(circuit: Any, *, ax: Axes | None = None) -> Axes:
    """The QK score of learned positions by distance: what position alone adds to a head's attention.

    Args:
        circuit: a `CircuitSummary` with `offsets`, or the scores themselves, `[n_ctx]`: entry d is that of the key d
            positions before the query. The largest is marked.
        ax: the Axes to draw in; those of a new figure by default.

    Raises:
        TypeError, ValueError: when the circuit has none, as with rotary positions.
    """
    scores = getattr(one_circuit(circuit), "offsets", circuit)
    if scores is None:
        raise ValueError(
            f"this circuit has no scores by distance: only QK circuits of learned positions have{because(circuit)}"
        )
    values = numbers(scores, "scores by distance", 1)
    if not np.isfinite(values).any():
        raise ValueError(f"scores by distance have no finite number among them: {shown(scores)}")
    ax = axes(ax, 4.2, 2.6)
    mark = "o" if len(values) <= 64 else ""
    ax.axhline(0, color=LIGHT.muted, linewidth=0.8, zorder=1)
    ax.plot(np.arange(len(values)), values, color=COLORS[0], linewidth=1.2, marker=mark, markersize=3, zorder=2)
    best = int(np.nanargmax(np.where(np.isfinite(values), values, np.nan)))
    ax.plot([best], [values[best]], color=COLORS[1], marker="o", markersize=5, linestyle="none", zorder=3)
    ax.annotate(
        f"{best} back" if best else "the same position",
        (best, values[best]),
        xytext=(7, 0) if best < 0.7 * len(values) else (-7, 0),
        textcoords="offset points",
        ha="left" if best < 0.7 * len(values) else "right",
        va="center",
        fontsize="small",
        color=COLORS[1],
    )
    ax.set(xlabel="positions from the key to the query", ylabel="QK score")
    _whole_numbers(ax)
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _spectrum(circuit: Any) -> tuple[Floats, list[bool], str]:
    """Singular values, which of their directions are not identified, and the effective ranks in words."""
    values = getattr(one_circuit(circuit), "singular_values", circuit)
    unclear = getattr(circuit, "unclear", None)
    if isinstance(circuit, FactoredMatrix):
        values, unclear = circuit.singular_values(), circuit.clusters()
    found = numbers(values, "singular values", 1)
    found = found[: len(found) - int(np.isnan(found[::-1]).argmin())]  # a scan fills up with NaN
    if not np.isfinite(found).all() or found.min() < 0:
        raise ValueError("singular values should be finite and at least 0")
    largest_first = torch.from_numpy(np.sort(found)[::-1].copy())
    stable, entropy = stable_rank(largest_first).item(), entropy_rank(largest_first).item()
    ranks = f"stable rank {stable:.1f}\nentropy rank {entropy:.1f}"
    marks = [] if unclear is None else [bool(mark) for mark in unclear]
    return found, (marks + [False] * len(found))[: len(found)], ranks


def _whole_numbers(ax: Axes) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True, steps=[1, 2, 4, 5, 8, 10]))
