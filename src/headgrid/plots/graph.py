"""Composition between heads, as arrows on the plane of heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headgrid.circuits.composition import Composition
from headgrid.plots.canvas import axes, font_size, numbers, size_of, thinned
from headgrid.plots.style import DASHES, LEGEND, LIGHT
from headgrid.utils import arguments
from headgrid.utils.arguments import integer, number, of_kind, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BENDS = {"q": 0.24, "k": 0.08, "v": -0.16}
"""The arrows of one pair of heads lie apart."""

_THIN, _THICK = 0.8, 3.2


def composition(composition: Any, *, ax: Axes | None = None, n: int = 30, kinds: str = "QKV", z: float = 3.0) -> Axes:
    """Which heads read what earlier heads write: arrows from source to target, the strongest n of those above z.

    The larger its z (see `headgrid.circuits.composition`), the thicker an arrow, from the least drawn to the largest.
    An arrow is in color if it is an outlier among all pairs (`Composition.outer_fence`), and gray if it is not: z above
    random is alignment of weights and not use, as the legend says. The title says how many of how many are drawn. Each
    arrow has an id for editors of SVG, such as `k l0h1 l1h2`.

    Args:
        composition: what `hg.compose(model)` returns.
        ax: the Axes to draw in; those of a new figure by default.
        n: the most arrows to draw.
        kinds: which compositions: any of the letters Q, K and V.
        z: the least z-score that is drawn.

    Raises:
        ValueError: for other letters in `kinds`, n below 1, or a composition of no heads.
    """
    of_kind("composition", composition, Composition, "a Composition, as headgrid.compose makes it")
    wanted = [kind for kind in "qkv" if kind in text("kinds", kinds, what="some of the letters Q, K and V").lower()]
    if not wanted or set(kinds.lower()) - set("qkv"):
        raise ValueError(f"kinds should be some of the letters Q, K and V, not {arguments.shown(kinds)}")
    n, z = integer("n", n, least=1, what="a number of arrows"), number("z", z, finite=False)
    heads = [(int(layer), int(head)) for layer, head in composition.heads]
    if not heads:
        raise ValueError("this composition is of no heads: there is nothing to draw")
    n_layers, n_heads = (1 + max(head[axis] for head in heads) for axis in (0, 1))
    found, n_pairs = _found(composition, wanted, len(heads))
    strong = [one for one in found if one[0] >= z]
    fence = composition.outer_fence
    shown = strong[:n]

    ax = axes(ax, max(4.5, min(9.3, 0.42 * n_heads + 3.3)), max(2.6, min(9.0, 0.55 * n_layers + 1.2)))
    from matplotlib.patches import FancyArrowPatch

    ax.set(
        xlim=(-0.6, n_heads - 0.4), ylim=(n_layers - 0.5, -0.5), xlabel="head", ylabel="layer",
    )  # fmt: skip
    ax.set_title(_title(len(shown), len(strong), n_pairs, z), fontsize="medium")
    width, height = size_of(ax)
    radius = max(1.5, min(5.0, 0.2 * min(width / n_heads, height / n_layers)))
    used = {end for _, _, source, target in shown for end in (source, target)}
    ax.scatter(
        [head for _, head in heads],
        [layer for layer, _ in heads],
        s=(2 * radius) ** 2,
        c=[LIGHT.muted if i in used else "white" for i in range(len(heads))],
        edgecolors=LIGHT.muted,
        linewidths=0.7,
        zorder=2,
    )
    widths = _widths([score for score, *_ in shown])
    for (score, kind, source, target), line in reversed(list(zip(shown, widths, strict=True))):  # the strongest on top
        color = _color(kind) if score > fence else LIGHT.hatch
        bend, dashes = _BENDS[kind], _dashes(kind)
        (from_layer, from_head), (to_layer, to_head) = heads[source], heads[target]
        ends: dict[str, Any] = {"posA": (from_head, from_layer), "posB": (to_head, to_layer), "shrinkA": radius + 0.5}
        style: dict[str, Any] = {"connectionstyle": f"arc3,rad={bend}", "color": color, "zorder": 3}
        tip = 7 + 2 * line
        # two patches: the dashes of the one should not be those of the other's outline
        shaft = FancyArrowPatch(
            **ends,
            **style,
            arrowstyle="-",
            shrinkB=radius + 0.4 * tip,
            linewidth=line,
            linestyle=dashes,
            capstyle="butt",
        )
        head = FancyArrowPatch(**ends, **style, arrowstyle="-|>", shrinkB=radius + 0.5, linewidth=0, mutation_scale=tip)
        shaft.set_gid(f"{kind} l{from_layer}h{from_head} l{to_layer}h{to_head}")
        ax.add_patch(shaft)
        ax.add_patch(head)
    ax.set_xticks(thinned(n_heads, width, 1.9 * font_size("medium")))
    ax.set_yticks(thinned(n_layers, height, 1.2 * font_size("medium")))
    ax.spines[["top", "right"]].set_visible(False)
    there = [kind for kind in wanted if not shown or any(one[1] == kind for one in shown)]
    _legend(ax, there, [(score, line) for (score, *_), line in zip(shown, widths, strict=True)], fence)
    return ax


def _color(kind: str) -> str:
    """The widget's color of composition into the query, the key or the value."""
    return {"q": LIGHT.q, "k": LIGHT.k, "v": LIGHT.v}[kind]


def _dashes(kind: str) -> Any:
    """The widget's dashes, for a line of any width."""
    dashes = DASHES[kind.upper()]
    return (0, tuple(length / 2 for length in dashes)) if dashes else "solid"


def _found(composition: Any, kinds: list[str], n: int) -> tuple[list[tuple[float, str, int, int]], int]:
    """z, kind, source and target of every pair compared, from strong to weak, and how many there are."""
    every = []
    for kind in kinds:
        scores = numbers(getattr(composition, f"{kind}_z"), f"{kind}_z", 2)
        if scores.shape != (n, n):
            raise ValueError(f"{kind}_z should be [{n}, {n}] for {n} heads, not {list(scores.shape)}")
        every += [(float(scores[i, j]), kind, int(i), int(j)) for i, j in np.argwhere(np.isfinite(scores))]
    return sorted(every, key=lambda one: (-one[0], one[1:])), len(every)


def _title(n_shown: int, n_strong: int, n_pairs: int, z: float) -> str:
    drawn = f"the {n_shown:,} strongest" if n_shown < n_strong else f"all {n_shown:,}" if n_shown else "none"
    drawn = drawn if n_shown == n_strong else f"{drawn} of {n_strong:,}"
    return f"{drawn} with z ≥ {z:g}, of {n_pairs:,} compared"


def _widths(scores: list[float]) -> list[float]:
    """A line width in points for each, from the thinnest for the least to the thickest; many lines are thinner."""
    if not scores:
        return []
    thick = max(1.2, _THICK - 0.02 * len(scores))
    least, most = min(scores), max(scores)
    return [_THIN + (thick - _THIN) * ((score - least) / (most - least) if most > least else 0.5) for score in scores]


def _legend(ax: Axes, kinds: list[str], drawn: list[tuple[float, float]], fence: float) -> None:
    from matplotlib.lines import Line2D

    keys = [
        Line2D([], [], color=_color(kind), linestyle=_dashes(kind), linewidth=1.8, label=kind.upper()) for kind in kinds
    ]
    keys += [
        Line2D([], [], color=LIGHT.muted, linewidth=line, label=f"z = {score:.3g}")
        for score, line in dict.fromkeys((drawn[0], drawn[-1]) if drawn else ())
    ]
    if any(not score > fence for score, _ in drawn):
        said = f"z ≤ {fence:.3g}: {LEGEND['plain']}" if fence == fence else LEGEND["few"]
        keys.append(Line2D([], [], color=LIGHT.hatch, linewidth=1.8, label=said))
    keys.append(Line2D([], [], linestyle="none", label="z is alignment, not use"))
    ax.legend(
        handles=keys, loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize="small", handlelength=2.6,
        title="composition", title_fontsize="small", alignment="left",
    )  # fmt: skip
