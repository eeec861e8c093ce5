"""The reference has every public name, and every kind of object that one gets; docstrings come as they were meant."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path

from docs_site import docstrings, reference

import headgrid as hg


def test_every_public_name_and_what_it_returns_has_a_place(tmp_path: Path) -> None:
    reference.write(tmp_path)
    pages = {path.stem: path.read_text() for path in tmp_path.glob("*.rst")}
    for name in hg.__all__:
        value = getattr(hg, name)
        if not inspect.ismodule(value):
            named = f"hg.{name}" if inspect.isclass(value) or inspect.isroutine(value) else type(value).__name__
            what = value if named == f"hg.{name}" else type(value)
            assert f"{named}\n" in pages[reference.page_of(what)]
    for name in hg.plots.__all__:
        assert f"hg.plots.{name}\n" in pages["plots"]
    for result in ("Attention", "Effect", "Effects", "Edges", "Faithfulness", "CircuitSearch", "HeadSummary", "Scan",
                   "Composition", "Proof", "Cache", "Spectrum", "Slot", "Stack", "Saved", "LayerWeights"):  # fmt: skip
        assert any(
            f"autoclass:: {reference.classes()[result].__module__}.{result}\n" in page for page in pages.values()
        )


def test_what_is_not_for_users_is_there_to_be_left_out() -> None:
    for name, members in reference.NOT_FOR_USERS.items():
        assert all(hasattr(reference.classes()[name], member) for member in members.split(", "))
    assert set(reference.NOT_ANNOTATED) <= set(reference.classes())


def test_indented_lines_are_code_and_sections_are_left_alone() -> None:
    text = "What it is:||    grid = f(1)||    grid.x||    table [rows, cols||After.||Args:|    x: a||        - one"
    lines = text.split("|")
    found = docstrings.with_code(lines)
    assert found[2:5] == [".. code-block:: text", "", "    grid = f(1)"]
    assert found[-5:] == lines[-5:]
    assert ".. code-block:: python" in docstrings.with_code(["So:", "", "    grid = f(1)"])
    assert docstrings.with_code(["- one", "", "    more of it"]) == ["- one", "", "    more of it"]
    assert docstrings.with_code([".. note::", "", "    a note"]) == [".. note::", "", "    a note"]


def test_the_page_of_the_gallery_shows_every_grid() -> None:
    from docs_site import gallery

    docs = Path(__file__).parents[2] / "docs"
    shown = (docs / "gallery.md").read_text() + (docs / "index.md").read_text()
    assert all(f'src="grids/{name}.html"' in shown for name in gallery.GRIDS)
    module = ast.parse(inspect.getsource(importlib.import_module("docs_site.gallery")))
    assert not [
        node for node in ast.walk(module) if isinstance(node, ast.Constant) and str(node.value).startswith("http")
    ]
