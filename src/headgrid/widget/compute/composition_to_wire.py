"""Composition between heads in the words of the wire: arrows on the grid, and the partners of one head."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from headgrid.circuits.composition import FEWEST, NOT_USE, Composition, Pair
from headgrid.linalg.outliers import outer_fences
from headgrid.widget.compute import to_wire
from headgrid.widget.state.cell_index import CellIndex
from headgrid.widget.wire.empty import no_partners
from headgrid.widget.wire.schema import Arrow, Arrows, Composes, Partners

MOST_ARROWS = 200
MOST_PARTNERS = 60

KINDS: dict[str, Composes] = {"q": "Q", "k": "K", "v": "V"}


def arrows_of(pairs: Iterable[Pair], stack: str, index: CellIndex) -> list[Arrow]:
    """Pairs of heads of one stack as arrows between their cells; what has no finite number is left out."""
    return [
        {
            "source": index.head(stack, *pair.source),
            "target": index.head(stack, *pair.target),
            "kind": KINDS[pair.kind],
            "value": _digits(pair.value),
            "z": _digits(pair.z),
            "carries": None,
            "stands_out": False,
        }
        for pair in pairs
        if math.isfinite(pair.value) and math.isfinite(pair.z)
    ]


def arrows(found: Sequence[Composition], index: CellIndex) -> Arrows:
    """Composition among selected heads, of one stack or of several: what is stronger than chance."""
    every = [arrow for one in found for arrow in arrows_of(one.top(MOST_ARROWS), one.stack, index)]
    every.sort(key=lambda arrow: -arrow["z"])
    n_heads = sum(len(one.heads) for one in found)
    fence = max((one.outer_fence for one in found if not math.isnan(one.outer_fence)), default=None)
    among = ""
    if fence is not None:
        out = sum(arrow["z"] > fence for arrow in every)
        among = f" Of these arrows {out:,} stand{'s' * (out == 1)} out from the others (z above {fence:.3g})."
    none = f"None of {n_heads} heads composes with another more than random heads would."
    return {
        "arrows": every[:MOST_ARROWS],
        "baseline": _digits(found[0].baseline),
        "fence": fence,
        "note": f"{NOT_USE}.{among}" if every else none,
    }


def partners(pairs: Sequence[Pair], stack: str, baseline: float, notes: Iterable[str], index: CellIndex) -> Partners:
    """The heads that one head composes with.

    Args:
        pairs: all of them, the strongest first.
        stack: their stack.
        baseline: the score of random orientations.
        notes: what is said of it.
        index: the cells.
    """
    if not pairs:
        return no_partners("There is no head in another layer that it could compose with.")
    z = np.array([pair.z for pair in pairs if math.isfinite(pair.z)])
    return {
        "arrows": arrows_of(pairs[:MOST_PARTNERS], stack, index),
        "baseline": _digits(baseline),
        "fence": outer_fences(z)[1] if len(z) >= FEWEST else None,
        "notes": list(dict.fromkeys(map(to_wire.sentence, notes))),
        "error": "",
    }


def _digits(value: float) -> float:
    return float(f"{value:.4g}")
