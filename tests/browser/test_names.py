"""Whatever a model, a tokenizer or a user calls something, the browser shows it as text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from .grids import Open, cell
from .jupyterlab import Notebook

NAME = "<img src=x onerror=window.hacked=1>"
HOSTILE = f"""
import headgrid as hg

NAME = {NAME!r}
model, tokenizer = hg.demo()


class Hostile:
    def convert_ids_to_tokens(self, ids):
        return [f"{{NAME}}{{token}}" for token in ids] if isinstance(ids, list) else f"{{NAME}}{{ids}}"


model.__class__ = type(NAME, (type(model),), {{}})
grid = hg.HeadGrid(model, Hostile())
grid.saved[NAME] = "l0h1 | l1h2"
grid.color_by([[1, 2, 3, 4], [5, 6, 7, 8]], label=NAME)
grid
"""


@pytest.fixture(scope="module")
def notebook(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("names", [HOSTILE])
    yield notebook
    notebook.close()


@pytest.fixture
def view(notebook: Notebook) -> Iterator[Locator]:
    yield notebook.view()
    assert notebook.page.evaluate("window.hacked") is None
    assert notebook.page.locator(".jp-OutputArea img, .jp-OutputArea script").count() == 0


def test_the_model_s_name_is_text(view: Locator) -> None:
    expect(view.locator(".hg-model")).to_contain_text(NAME)


def test_the_names_of_tokens_are_text(view: Locator) -> None:
    cell(view, "l1h2").click()
    inspector = view.get_by_role("group", name="Inspector")
    inspector.get_by_role("tab", name="OV").click()
    expect(inspector.get_by_text(NAME[:20]).first).to_be_visible()  # a long one is cut


def test_the_names_of_saved_selections_and_of_colors_are_text(view: Locator) -> None:
    expect(view.locator(".hg-saved, .hg-chips").get_by_text(NAME).first).to_be_visible()
    expect(cell(view, "l1h3")).to_have_attribute("aria-label", re.compile(re.escape(NAME)))


def test_a_query_that_is_refused_is_quoted_as_text(view: Locator) -> None:
    box = view.locator(".hg-input")
    box.fill(NAME)
    box.press("Enter")
    expect(view.get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible()
    expect(box).to_have_value(NAME)
    box.press("Escape")


def test_the_file_and_the_fallback_have_it_as_text(notebook: Notebook, view: Locator) -> None:
    html = notebook.run("grid._repr_mimebundle_()[0]['text/html']")
    assert NAME not in html
    assert "&lt;img" in html
