"""The outputs that notebooks are committed with: what of a run is kept, and what of it must be as it was.

A notebook is read before it is run: on a page of the repository, or by a teacher who looks for a lesson. A widget needs
a kernel, so what is kept of one is its picture. What is compared are words, numbers to two digits, and which pictures
there are: not the bits of a picture, nor how long something took.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from demo_model.tables import NUMBER

WIDGET = "application/vnd.jupyter.widget-view+json"
PASSING = re.compile(
    r"in \d+\.\d+ s\b|#[0-9a-fA-F]{6}\b|0x[0-9a-f]+|headgrid-attention-[0-9a-f]+|[A-Za-z0-9+/]{64,}={0,2}"
)
"""Seconds, colors and packed patterns (which follow from numbers that are compared), addresses and ids of a page."""
TOLERANCE = 0.02


def settled(notebook: Any) -> Any:
    """A notebook that was run, as it is committed: without widgets' state, and the versions and times of this run."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type != "code":
            continue
        kept = []
        for output in cell.outputs:
            data = output.get("data", {})
            was_widget = data.pop(WIDGET, None) is not None
            if not was_widget or "text/html" in data:  # a bar of progress has no picture, and is over
                kept.append(output)
        cell.outputs = kept
    return notebook


def differences(committed: Any, fresh: Any) -> list[str]:
    """What of the outputs of two notebooks is not the same, in a line each; the sources must be."""
    found: list[str] = []
    for number, (before, now) in enumerate(zip(committed.cells, fresh.cells, strict=True)):
        if before.cell_type == "code":
            old, new = list(_said(before)), list(_said(now))
            if [kind for kind, _ in old] != [kind for kind, _ in new]:
                found.append(f"cell {number}: {[kind for kind, _ in old]} is now {[kind for kind, _ in new]}")
            else:
                texts = [(kind, a, b) for (kind, a), (_, b) in zip(old, new, strict=True) if not alike(a, b)]
                found += [f"cell {number}, {kind}:\n- {a[:600]}\n+ {b[:600]}" for kind, a, b in texts]
    return found


def alike(before: str, now: str) -> bool:
    """Whether two texts have the same words, and nearly the same numbers."""
    before, now = PASSING.sub("", before), PASSING.sub("", now)
    numbers = zip(map(float, NUMBER.findall(before)), map(float, NUMBER.findall(now)), strict=False)
    return NUMBER.split(before) == NUMBER.split(now) and all(
        abs(a - b) <= TOLERANCE * max(1.0, abs(a)) for a, b in numbers
    )


def _said(cell: Any) -> Iterator[tuple[str, str]]:
    """What the outputs of a cell say: the kind of each, and its text, empty for a picture."""
    for output in cell.outputs:
        if output.output_type == "stream":
            yield output.name, output.text
        elif output.output_type == "error":
            yield "error", f"{output.ename}: {output.evalue}"
        else:
            for kind, data in sorted(output.data.items()):
                words = json.dumps(data, sort_keys=True) if isinstance(data, dict) else "".join(data)
                yield kind, "" if kind.startswith("image/") else words
