"""Several heads at once: side by side, and the arrows of composition between them."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from headgrid.circuits.composition import FEWEST, NOT_USE, Composition, Pair
from headgrid.linalg.outliers import outer_fences
from headgrid.widget.compute import to_wire
from headgrid.widget.state.cell_index import CellIndex, Component
from headgrid.widget.wire.empty import NO_ARROWS, NO_HEADS, no_partners
from headgrid.widget.wire.schema import Arrow, Arrows, Circuit, Composes, HeadsSummary, HeadSummary, Partners

MOST_BESIDE = 6
"""The heads that are shown side by side."""

MOST_SUMMED = 16
"""The heads whose OV circuits are summed."""

MOST_COMPOSED = 64
"""The heads among which composition is computed without being asked for."""

MOST_ARROWS = 200
MOST_PARTNERS = 60

KINDS: dict[str, Composes] = {"q": "Q", "k": "K", "v": "V"}


def beside(cell: int, title: str, circuits: Iterable[Circuit]) -> HeadSummary:
    """One of several heads."""
    return {"cell": cell, "title": title, "circuits": [to_wire.few(circuit) for circuit in circuits]}


def still(shown: HeadsSummary, arrows: Arrows, cells: Sequence[int], n_heads: int) -> tuple[HeadsSummary, Arrows]:
    """What stays true of a comparison and of arrows when other heads are selected, until the new ones are known.

    Args:
        shown, arrows: what is shown.
        cells: the first of the heads that are selected now.
        n_heads: how many are.
    """
    if n_heads < 2:
        return {**NO_HEADS, "ln": shown["ln"]}, NO_ARROWS
    first, every = cells[:MOST_BESIDE], set(cells)
    beside = [head for head in shown["heads"] if head["cell"] in first]
    between = [arrow for arrow in arrows["arrows"] if {arrow["source"], arrow["target"]} <= every]
    return (
        {**shown, "heads": beside, "n_heads": n_heads, "summed": None, "pending": True},
        {**arrows, "arrows": between, "note": ""},
    )


def why_no_arrows(heads: Collection[Component], n_heads: int) -> str:
    """Why composition among selected heads is not computed; "" where it is.

    Args:
        heads: the first of them.
        n_heads: how many they are.
    """
    if n_heads > MOST_COMPOSED:
        return f"Arrows are drawn among at most {MOST_COMPOSED} heads: {n_heads:,} are selected."
    layers: dict[str, set[int]] = {}
    for head in heads:
        layers.setdefault(head.stack, set()).add(head.layer)
    if all(len(found) < 2 for found in layers.values()):
        return "No arrows: a head reads what heads of earlier layers wrote, and the selected ones are in one layer."
    return ""


def arrows_of(pairs: Iterable[Pair], stack: str, index: CellIndex) -> list[Arrow]:
    """Pairs of heads of one stack as arrows between their cells; what has no finite number is left out."""
    return [
        {
            "source": index.head(stack, *pair.source),
            "target": index.head(stack, *pair.target),
            "kind": KINDS[pair.kind],
            "value": _digits(pair.value),
            "z": _digits(pair.z),
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
