"""Notebooks as HTML that draws its grids without a kernel and without a network.

    jupyter nbconvert --to headgrid lesson.ipynb               (--execute runs it first)

It is nbconvert's own HTML, whichever template of it is chosen, but for what a page loads from other hosts: widgets of
headgrid are drawn from the state that the notebook was saved with, by `js/src/export/offline.ts`; widgets of other
libraries are shown by what they have for viewers without widgets; MathJax, Mermaid and require.js are loaded only where
something in the notebook needs them.

The state is in the notebook if nbclient or `jupyter nbconvert --execute` ran it, or if JupyterLab's setting "Save
Widget State Automatically" was on. Without it each grid is a picture.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from jinja2 import DictLoader
from nbconvert.exporters.html import HTMLExporter
from nbconvert.preprocessors import Preprocessor
from traitlets import default

from headgrid.widget.export import widget_state
from headgrid.widget.wire.schema import VERSION

NAME = "headgrid.html.j2"

TEMPLATE = """
{%- extends 'index.html.j2' -%}
{%- block html_head_js_requirejs -%}{% if resources.headgrid.require %}{{ super() }}{% endif %}{%- endblock -%}
{%- block html_head_js_jquery -%}{% if resources.headgrid.require %}{{ super() }}{% endif %}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{% if resources.headgrid.mermaid %}{{ super() }}{% endif %}{%- endblock -%}
{%- block html_head_js_mathjax -%}{% if resources.headgrid.math %}{{ super() }}{% endif %}{%- endblock -%}
{% block body_footer %}{{ resources.headgrid.scripts }}{{ super() }}{% endblock body_footer %}
"""

STYLE = "<style>[data-headgrid]>figure{margin:0}[data-headgrid]>.hg-drawn+figure{display:none}</style>"

OLDER = "This grid was saved with an older version of headgrid, whose code draws it; run its cell again to renew it."

MATH = re.compile(r"\$[^$\s][^$]*\$|\$\$|\\\(|\\\[|\\begin\{")
MERMAID = "text/vnd.mermaid"
PRETTY = ("text/markdown", "text/latex")
RUNS = ("text/html", "application/javascript")


class HeadGridExporter(HTMLExporter):
    """nbconvert's HTML, with grids of headgrid that work offline."""

    export_from_notebook = "HTML with HeadGrid"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        loaders = [DictLoader({NAME: TEMPLATE}), *(kwargs.pop("extra_loaders", None) or ())]
        super().__init__(*args, extra_loaders=loaders, **kwargs)  # type: ignore[no-untyped-call]
        places = _Places()  # type: ignore[no-untyped-call]
        self.register_preprocessor(places, enabled=True)  # type: ignore[no-untyped-call]  # after what runs the notebook

    @default("template_file")
    def _file_of_template(self) -> str:
        return NAME


class _Places(Preprocessor):
    """Puts a place for the loader where a view of a grid is, and the states of those grids into the resources."""

    def preprocess(self, nb: Any, resources: Any) -> tuple[Any, Any]:
        metadata = nb.metadata.get("widgets", {}).get(widget_state.STATE_TYPE, {})
        states, used = metadata.get("state", {}), {}
        for data in _outputs(nb):
            view = data.get(widget_state.VIEW_TYPE)
            if view is None:
                continue
            model_id = str(view.get("model_id"))
            if is_grid(states.get(model_id)):
                used[model_id] = states[model_id]
                picture = data.get("text/html", "")
                data.clear()
                note = "" if is_current(states[model_id]) else f"<p>{OLDER}</p>"
                data["text/html"] = note + widget_state.place(model_id, f"<figure>{picture}</figure>")
            elif len(data) > 1:
                del data[widget_state.VIEW_TYPE]
        nb.metadata.pop("widgets", None)  # for which the template would load a manager from elsewhere
        texts = list(_texts(nb))
        resources["headgrid"] = {
            "scripts": f"{STYLE}{widget_state.script(used)}\n{widget_state.loader()}\n" if used else "",
            "math": any(MATH.search(text) for text in texts),
            "mermaid": any(MERMAID in data for data in _outputs(nb)) or any("mermaid" in text for text in texts),
            "require": any("require" in text for data in _outputs(nb) for text in _of(data, RUNS)),
        }
        return nb, resources


def is_grid(model: Any) -> bool:
    """Whether this is the saved state of a `HeadGrid`, of this version or of another: its own code draws it."""
    state = (model or {}).get("state", {})
    return str(state.get("_anywidget_id", "")).startswith("headgrid.") and "_esm" in state


def is_current(model: Any) -> bool:
    """Whether the saved state of a grid is one that this version of headgrid writes."""
    return bool(model["state"].get("spec", {}).get("version") == VERSION)


def _outputs(nb: Any) -> Iterator[Any]:
    """The data of each output of each cell, by their types."""
    for cell in nb.cells:
        for output in cell.get("outputs", ()):
            if "data" in output:
                yield output["data"]


def _of(data: Any, kinds: tuple[str, ...]) -> Iterator[str]:
    for kind in kinds:
        if kind in data:
            yield "".join(data[kind])


def _texts(nb: Any) -> Iterator[str]:
    """The texts in which there may be formulas."""
    yield from (cell.source for cell in nb.cells if cell.cell_type == "markdown")
    for data in _outputs(nb):
        yield from _of(data, PRETTY)
