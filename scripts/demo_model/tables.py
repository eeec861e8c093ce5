"""What cards are written with: lines of tables, and the comparison of a card with a fresh one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from demo_model.measure import Head

NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def row(*cells: object) -> str:
    """One line of a Markdown table."""
    return "| " + " | ".join(map(str, cells)) + " |"


def signed(value: float, digits: int) -> str:
    """Write a number with its sign, and zero with a plus."""
    return f"{round(value, digits) + 0.0:+.{digits}f}"


def strongest(scores: torch.Tensor) -> Head:
    """The (layer, head) with the highest of the scores ``[n_layers, n_heads]``."""
    layer, head = divmod(int(scores.argmax()), scores.shape[1])
    return layer, head


def name_of(head: Head) -> str:
    """Write a head the way headgrid's selections do: ``l1h2``."""
    return f"l{head[0]}h{head[1]}"


def table(heading: Sequence[object], lines: Iterable[Sequence[object]], texts: int = 1) -> str:
    """A Markdown table, whose first ``texts`` columns are set left and the others, numbers, right."""
    rule = ["---"] * texts + ["---:"] * (len(heading) - texts)
    return "\n".join([row(*heading), row(*rule), *(row(*line) for line in lines)])


def differences(old: str, new: str, tolerance: float = 0.02) -> list[str]:
    """Lines that differ in their words, or in a number by more than ``tolerance`` (absolute below 1, else relative)."""
    old_lines, new_lines = old.splitlines(), new.splitlines()
    if len(old_lines) != len(new_lines):
        return [f"{len(old_lines)} lines, now {len(new_lines)}"]
    found = []
    for before, now in zip(old_lines, new_lines, strict=True):
        same_words = NUMBER.split(before) == NUMBER.split(now)
        numbers = zip(map(float, NUMBER.findall(before)), map(float, NUMBER.findall(now)), strict=False)
        if not same_words or any(abs(a - b) > tolerance * max(1.0, abs(a)) for a, b in numbers):
            found.append(f"- {before}\n+ {now}")
    return found


def kilobytes(folder: Path) -> str:
    """The size of a folder's files, but for its card."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name != "README.md"]
    return f"{sum(sizes) / 1000:.0f}"
