"""A widget's state inside a page: in the format of Jupyter's own pages, and the loader that draws from it offline.

The state of each widget is JSON with its bytes aside, as in the metadata of a notebook
(https://ipywidgets.readthedocs.io/en/stable/embedding.html); `js/src/export/offline.ts` reads it.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

STATIC = Path(__file__).parents[1] / "static"
STATE_TYPE = "application/vnd.jupyter.widget-state+json"
VIEW_TYPE = "application/vnd.jupyter.widget-view+json"


def static(name: str) -> str:
    """The text of a built file."""
    return (STATIC / name).read_text(encoding="utf-8")


def model(state: Mapping[str, Any]) -> dict[str, Any]:
    """One widget's traits, bytes among them, as they stand in a notebook."""
    buffers: list[dict[str, Any]] = []
    return {
        "model_name": "AnyModel",
        "model_module": "anywidget",
        "model_module_version": "*",
        "state": {name: _without_bytes(value, [name], buffers) for name, value in state.items()},
        "buffers": buffers,
    }


def script(models: Mapping[str, Any]) -> str:
    """The states of some widgets, by their ids, as an element that a browser does not run.

    All is ASCII, and no `<` is left in it: a token may be `</script>`, half of a pair of surrogates or U+2028.

    Raises:
        ValueError: for a number that JSON does not have.
    """
    whole = {"version_major": 2, "version_minor": 0, "state": models}
    text = json.dumps(whole, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
    return f'<script type="{STATE_TYPE}">{text}</script>'


def place(model_id: str, fallback: str) -> str:
    """Where a widget is to be drawn, with HTML to show until it is, and where it cannot be."""
    return f'<div data-headgrid="{escape(model_id)}">{fallback}</div>'


def loader() -> str:
    """The script that draws the widgets at their places."""
    return f'<script type="module">{static("offline.js")}</script>'


def _without_bytes(value: Any, path: list[str | int], buffers: list[dict[str, Any]]) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        buffers.append({"encoding": "base64", "path": path, "data": base64.b64encode(value).decode("ascii")})
        return None
    if isinstance(value, Mapping):
        return {key: _without_bytes(one, [*path, key], buffers) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_bytes(one, [*path, i], buffers) for i, one in enumerate(value)]
    return value
