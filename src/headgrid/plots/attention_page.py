"""Attention to look at in a browser: the tokens of a text, colored by what the one under the pointer attends to.

One piece of HTML with its script and its styles, which asks for nothing else: a notebook's output, or a page. Patterns
cross as bytes, of causal attention the lower triangle alone: a byte is 255 times the root of the attention, so that
small values keep their first digits.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
import torch

from headgrid.experiments.attention import Attention, RowPattern
from headgrid.plots.attention import mean_of
from headgrid.plots.style import DARK, LIGHT, Palette
from headgrid.utils import arguments

BYTES = 4_000_000
"""What the patterns of a page may take as text."""

ROWS = 50
"""The most rows of a page."""

_COLORS = ("text", "muted", "ground", "surface", "line", "rule", "cell", "on")

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; "
    "form-action 'none'"
)

PAGE_STYLE = """
:root { color-scheme: light dark } body { margin: 0 auto; padding: 16px; max-width: 1100px; background: #fff }
@media (prefers-color-scheme: dark) { body { background: #15181d; color: #e6e9ee } }
"""


def page(attention: Attention, heads: Any = None, rows: Sequence[int] | None = None) -> str:
    """A page of its own."""
    title = escape(f"Attention of {attention.anatomy.name}")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{title}: headgrid</title>\n<style>{PAGE_STYLE}</style>\n</head>\n'
        f"<body>\n<main>\n{view(attention, heads, rows, level=1)}\n</main>\n</body>\n</html>\n"
    )


def view(attention: Attention, heads: Any = None, rows: Sequence[int] | None = None, level: int = 3) -> str:
    """A part of a page, such as a notebook's output, whose heading is of a level.

    Raises:
        KeyError: for a head that is not recorded.
        TypeError, ValueError: for other rows than there are; for a text so long that not one pattern fits.
    """
    n = attention.task.n_rows
    chosen = list(range(n)) if rows is None else [
        arguments.integer("each of rows", row, least=0, below=n, what="a row of the task")
        for row in arguments.items("rows", rows, "a list of rows of the task")
    ]  # fmt: skip
    names = attention.heads(heads)
    content = _content(attention, names, chosen) | {"level": level}
    root = f"headgrid-attention-{secrets.token_hex(8)}"
    here = files("headgrid.plots")
    style = _colors() + here.joinpath("attention_view.css").read_text(encoding="utf-8")
    script = here.joinpath("attention_view.js").read_text(encoding="utf-8")
    first = attention.row(names[0], chosen[0])
    still = f"{content['title']}. Tokens: {' '.join(first.queries[:200])}. The colors need this page's script to run."
    return (
        f'<div id="{root}" data-lm-suppress-shortcuts="true"><p>{escape(still)}</p></div>\n'
        f"<script>({_in_script(script.strip().removesuffix(';'))})({_json(root)}, {_json(style)}, {_json(content)});"
        "</script>"
    )


def _content(attention: Attention, names: Sequence[str], chosen: Sequence[int]) -> dict[str, Any]:
    """All that the view shows: heads, and of each row its tokens and the bytes of its patterns."""
    left, kept_rows, kept = BYTES, list[dict[str, Any]](), list(names)
    for row in chosen[:ROWS]:
        patterns, taken = dict[str, dict[str, Any]](), 0
        found = [attention.row(name, row) for name in kept]
        for name, one in _with_mean(kept, found):
            packed = _packed(one)
            if taken + len(packed["bytes"]) > left:
                break
            patterns[name] = packed
            taken += len(packed["bytes"])
        if not patterns and not kept_rows:
            raise ValueError(
                f"a pattern of {len(found[0].queries):,} tokens takes {len(packed['bytes']) / 1e6:.1f} MB of a page, "
                f"which has room for {BYTES / 1e6:.0f}: take a shorter text, or draw it with headgrid.plots.attention"
            )
        if kept_rows and len(patterns) < len(kept_rows[0]["patterns"]):
            break
        if not kept_rows:
            kept = [name for name in kept if name in patterns]
        left -= taken
        texts = {one.stack: one.queries for one in found}
        texts |= {"encoder": one.keys for one in found if one.stack == "cross"}  # noqa: B035
        kept_rows.append({"row": row, "tokens": texts, "patterns": patterns})
    stacks = {name: attention.pattern.where(name)[1] for name in kept}
    notes = []
    if len(kept) < len(names):
        notes.append(f"A page has room for {len(kept)} of these {len(names)} heads at this length: {names[len(kept)]} "
                     "and those after it are left out.")  # fmt: skip
    if len(kept_rows) < len(chosen):
        notes.append(f"{len(kept_rows)} of {len(chosen)} rows are shown: a page has no room for more.")
    return {
        "title": f"Attention of {attention.anatomy.name}", "rows": kept_rows, "notes": notes,
        "stacks": stacks, "colors": {"light": [LIGHT.cell, LIGHT.on], "dark": [DARK.cell, DARK.on]},
    }  # fmt: skip


def _with_mean(names: Sequence[str], found: Sequence[RowPattern]) -> list[tuple[str, RowPattern]]:
    """Each head, and at last their mean, where there is one."""
    each = list(zip(names, found, strict=True))
    if len(each) > 1 and len({one.stack for one in found}) == 1:
        each.append(("mean", mean_of(found, "heads of one stack")))
    return each


def _packed(one: RowPattern) -> dict[str, Any]:
    """A pattern as bytes in base64."""
    values = torch.sqrt(one.pattern.clamp(0, 1)).mul(255).round().to(torch.uint8).numpy()
    n_queries, n_keys = values.shape
    triangle = n_queries == n_keys and not np.triu(one.sees.numpy(), 1).any()
    read = values[np.tril_indices(n_queries)] if triangle else values
    return {"triangle": triangle, "bytes": base64.b64encode(read.tobytes()).decode("ascii")}


def _json(given: Any) -> str:
    """A literal of JavaScript that ends no script and opens no comment, whatever is in it."""
    return json.dumps(given).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _in_script(code: str) -> str:
    assert "</" not in code
    assert "<!--" not in code
    return code


def _colors() -> str:
    def properties(palette: Palette) -> str:
        return "".join(f"--{name}: {color};" for name, color in asdict(palette).items() if name in _COLORS)

    return f":host {{ {properties(LIGHT)} }}\n:host([data-theme=dark]) {{ {properties(DARK)} }}\n"
