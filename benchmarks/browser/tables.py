"""Markdown of what was measured, with how many times headgrid's number each of the others takes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from contestants import CONTESTANTS, HEADGRID
from race import Took

COLUMNS = [
    "run to last cell painted", "its data to painted", "click to observer", "a brush's frame, median / 95%",
    "release to observer", "bytes to show", "bytes of a click",
]  # fmt: skip


def middle(numbers: Sequence[float]) -> float:
    return median(numbers) if numbers else math.nan


def high(numbers: Sequence[float]) -> float:
    """The 95th percentile."""
    return sorted(numbers)[math.ceil(0.95 * len(numbers)) - 1] if numbers else math.nan


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1e3:,.{0 if seconds >= 0.1 else 1}f} ms"


def kilobytes(count: float) -> str:
    return f"{count / 1e3:,.{0 if count >= 1e4 else 1}f} kB"


def table(results: dict[tuple[int, int], dict[str, Took]]) -> str:
    lines = ["| layers x heads | | " + " | ".join(COLUMNS) + " |", "|---" * (len(COLUMNS) + 2) + "|"]
    for (layers, heads), took in results.items():
        ours = took.get(HEADGRID.kind)
        for who in (who for who in CONTESTANTS if who.kind in took):
            cells = _cells(took[who.kind], ours if who is not HEADGRID else None)
            lines.append(f"| {layers} x {heads} | {who.name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cells(took: Took, ours: Took | None) -> list[str]:
    if took.never and not took.run:
        return [f"never: {took.never}"] + ["-"] * (len(COLUMNS) - 1)

    def said(text: str, mine: float, other: float) -> str:
        if math.isnan(mine):
            return "-"
        return text if ours is None or not other > 0 else f"{text} (x {mine / other:.2g})"

    def time(mine: list[float], other: list[float]) -> str:
        if middle(mine) == 0:
            return "during the drag"
        return said(milliseconds(middle(mine)), middle(mine), middle(other))

    def bytes_(mine: int, other: int) -> str:
        return said(kilobytes(mine), mine, other)

    other = ours or Took()
    frames = [frame.cpu for frame in took.frames]
    brush = f"{middle(frames):.1f} / {high(frames):.1f} ms"
    shown = time(took.run, other.run)
    if took.never:  # it did get there before, and that counts
        shown += f"; {len(took.run)} times, and then {took.never}"
    return [
        shown,
        time(took.data, other.data),
        time(took.clicks, other.clicks),
        said(brush, high(frames), high([frame.cpu for frame in other.frames])),
        time(took.released, other.released),
        bytes_(took.shown.total, other.shown.total),
        bytes_(took.clicked.total, other.clicked.total),
    ]
