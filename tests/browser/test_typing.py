"""What is typed into the box while something else arrives: the code of the completions, or a selection of Python's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from .grids import GRID, SET_UP, Open, box_of, holds, shows
from .jupyterlab import Notebook


@pytest.fixture(scope="module")
def opened(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("typing", [SET_UP, GRID], subshells="disabled")
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Notebook:
    """A notebook with a new grid, which was not touched, so that nothing was completed in it."""
    before = opened.view().element_handle()
    opened.run_all()
    before.wait_for_element_state("hidden")
    opened.view().wait_for()
    return opened


def words(notebook: Notebook) -> Locator:
    return notebook.view().get_by_role("listbox")


def test_a_text_that_was_applied_before_the_completions_came_is_not_completed(notebook: Notebook) -> None:
    box = box_of(notebook.view())
    with notebook.busy():
        box.fill("l1h")
        box.fill("none")
        box.press("Enter")
    holds(notebook, "none")
    notebook.page.wait_for_timeout(500)  # longer than typing has to rest, and than an answer takes
    expect(words(notebook)).to_have_count(0)
    assert notebook.run("grid.complete['n']") == 0


def test_a_text_that_is_still_typed_when_the_completions_come_is_completed(notebook: Notebook) -> None:
    with notebook.busy():
        box_of(notebook.view()).fill("l1 ml")
    expect(words(notebook)).to_contain_text("l1 mlp")


def test_the_text_that_was_applied_last_can_be_typed_again_while_something_else_is_selected(notebook: Notebook) -> None:
    box = box_of(notebook.view())
    box.fill("l1h2")
    box.press("Enter")
    holds(notebook, "l1h2")
    notebook.run("grid.select('l0')")
    expect(box).to_have_value("l0")
    box.fill("l1h2")
    notebook.run("grid.select('l0 mlp')")
    shows(notebook.view(), "l0 mlp")
    expect(box).to_have_value("l1h2")
    box.press("Enter")
    holds(notebook, "l1h2")


def test_what_is_typed_over_a_selected_text_replaces_the_selection_that_came_meanwhile(notebook: Notebook) -> None:
    box = box_of(notebook.view())
    for text in ("l0", "l1h2 | l0 mlp"):
        box.focus()
        box.press("Control+a")
        notebook.run(f"grid.select({text!r})")
        expect(box).to_have_value(text)
        notebook.page.keyboard.type("l1 ml")
        expect(words(notebook)).to_contain_text("l1 mlp")
        box.press("ArrowDown")
        box.press("Enter")
        box.press("Enter")
        holds(notebook, "l1 mlp")
