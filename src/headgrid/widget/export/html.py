"""A page of a finished exploration: one file, which a browser shows offline and asks nothing else for.

In it are the bundle, the state of the grid, and summaries of the selected cells (`precomputed`), computed when the
page is made. A policy in the page forbids every request, and where no script runs there is a picture.
"""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from headgrid.circuits.progress import Progress
from headgrid.selection.selection import Selection
from headgrid.widget.compute.summary_cache import SummaryCache
from headgrid.widget.export import figure, precompute, precompute_live, shapes, widget_state
from headgrid.widget.export.precompute import Precomputed
from headgrid.widget.export.precompute_live import LiveContents, PageSources
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.state.questions import without
from headgrid.widget.wire import empty

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; img-src data: blob:; "
    "base-uri 'none'; form-action 'none'"
)

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --text: #1c2128; --muted: #59636e; --line: #d4dae1 }
@media (prefers-color-scheme: dark) {
  :root { --ground: #0e1116; --text: #e6e9ee; --muted: #9aa5b1; --line: #333941 }
}
body {
  max-width: 1280px; margin: 0 auto; padding: 20px 16px 32px; background: var(--ground); color: var(--text);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif;
}
h1 { margin: 0 0 4px; font-size: 21px; line-height: 1.3; overflow-wrap: anywhere }
footer p { margin: 0 0 4px; color: var(--muted); font-size: 13.5px; overflow-wrap: anywhere }
footer { margin-top: 14px }
code { font: 13px ui-monospace, "SF Mono", Menlo, Consolas, monospace }
[data-headgrid] > figure { margin: 0; overflow: auto }
[data-headgrid] > figure svg { max-width: 100%; height: auto; border-radius: 8px }
[data-headgrid] { margin-top: 14px }
[data-headgrid] > .hg-drawn + figure { display: none }
@media print {
  :root { --ground: #fff; --text: #000; --muted: #333 }
  body { max-width: none; padding: 0 }
  [data-headgrid] > .hg-drawn { display: none }
  [data-headgrid] > .hg-drawn + figure { display: block }
}
"""

LONGEST = 600
"""The letters of a selection's text that the page itself shows; the widget has all of it."""


def html(
    grid: GridState, cache: SummaryCache, traits: Mapping[str, Any], progress: Progress = False,
    sources: PageSources | None = None,
) -> str:  # fmt: skip
    """The page of a grid as it is now.

    Args:
        grid: the grid; what its views show does not change.
        cache: reads its weights.
        traits: the traits of its widget, as they are sent.
        progress: who is told of each cell that is read; True shows a bar.
        sources: what knows more of the heads; None for a page with no more than the widget shows.
    """
    title, drawn = shapes.readable(grid.anatomy.title), figure.to_svg(figure.scene_of(grid))
    found = precompute.precompute(grid, cache, progress)
    live = precompute_live.NOTHING if sources is None else precompute_live.precompute_live(grid, sources)
    models = {"headgrid": widget_state.model(state(grid, cache, {**traits, **live.traits}, found))}
    lines = "".join(f"<p>{line}</p>" for line in _said(grid, found, live))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}: headgrid</title>\n<style>{STYLE}</style>\n</head>\n'
        f"<body>\n<header><h1>{escape(title)}</h1></header>\n"
        f"<main>{widget_state.place('headgrid', f'<figure>{drawn}</figure>')}</main>\n<footer>{lines}</footer>\n"
        f"{widget_state.script(models)}\n{widget_state.loader()}\n</body>\n</html>\n"
    )


def state(grid: GridState, cache: SummaryCache, traits: Mapping[str, Any], found: Precomputed) -> dict[str, Any]:
    """All traits, as they would be with every answer there and nothing under way, and the bundle."""
    focus = traits["focus"]
    here = [one for one in found.summaries if one["cell"] == focus["cell"]]
    same = next((one for one in here if one["ln"] == focus["ln"]), here[0] if here else empty.NO_SUMMARY)
    compared, arrows = precompute.compare(grid, cache)
    shown = {
        **traits,
        "_esm": widget_state.static("widget.js"),
        "_css": widget_state.static("widget.css"),
        "summary": {**same, "focus": focus["n"], "ln": focus["ln"]},
        "selected_heads": compared,
        "arrows": arrows,
        "precomputed": found.summaries,
        "commands": [],
        "complete": empty.NO_COMPLETE,
        "completions": empty.NO_COMPLETIONS,
        "progress": empty.NO_PROGRESS,
    }
    hidden = grid.questions.hidden
    return {trait: without(trait, value, hidden) for trait, value in shown.items()}


def _said(grid: GridState, found: Precomputed, live: LiveContents) -> list[str]:
    """The page's remarks on itself, as HTML."""

    def words(cells: Any) -> str:
        return _short(str(Selection(grid.anatomy, grid.cells.parts_of(cells))))

    lines = []
    if found.cells.any():
        lines.append(
            f"Click one of these cells to see what headgrid read from its weights: <code>{words(found.cells)}</code>."
        )
    if found.left_out.any():
        n = int(found.left_out.sum())
        lines.append(
            f"A page keeps {precompute.MOST} cells. {n:,} more {'is' if n == 1 else 'are'} selected and left out of "
            f"what can be looked at: <code>{words(found.left_out)}</code>."
        )
    lines += map(escape, live.notes)
    lines.append(f"Written by headgrid {_version()}; it works without a network and without a kernel.")
    return lines


def _version() -> str:
    try:
        return escape(version("headgrid"))
    except PackageNotFoundError:  # run from a folder that was not installed
        return ""


def _short(text: str) -> str:
    return escape(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
