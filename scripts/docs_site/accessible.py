"""A Sphinx extension: mends what Sphinx writes that assistive technology cannot read."""

from __future__ import annotations

import re
from typing import Any

SIGNATURE = re.compile(r"<dl>\n((?:<dd>.*?</dd>\n)+)</dl>", flags=re.DOTALL)
"""The parameters of a long signature, a line each: a list of definitions without terms."""


def mended(html: str) -> str:
    """A part of a page, in which captions are headings of a level, and lines of a signature are lines."""
    html = html.replace('class="caption" role="heading">', 'class="caption" role="heading" aria-level="2">')

    def lines(found: re.Match[str]) -> str:
        return f'<div class="sig-lines">\n{found[1].replace("<dd>", "<div>").replace("</dd>", "</div>")}</div>'

    return SIGNATURE.sub(lines, html)


def setup(app: Any) -> dict[str, Any]:
    """What Sphinx calls."""

    def page(app: Any, name: str, template: str, context: dict[str, Any], doctree: object) -> None:
        for part in ("body", "furo_navigation_tree"):
            if part in context:
                context[part] = mended(context[part])

    app.connect("html-page-context", page, priority=900)  # after the theme
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
