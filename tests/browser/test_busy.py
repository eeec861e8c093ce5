"""What is clicked and typed while Python runs a cell: nothing of it is lost, and it is done in its order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

import pytest
from playwright.sync_api import expect

from .grids import ANATOMY, GRID, SET_UP, Open, box_of, cell, holds, shows
from .jupyterlab import Notebook, Subshells


@pytest.fixture(scope="module", params=get_args(Subshells))
def opened(open_notebook: Open, request: pytest.FixtureRequest) -> Iterator[Notebook]:
    notebook = open_notebook("busy", [SET_UP, GRID], subshells=request.param)
    yield notebook
    notebook.close()


@pytest.fixture
def waits(opened: Notebook) -> bool:
    """Whether what the page sends waits for the cell that runs, or is done beside it."""
    return bool(opened.in_lab("!kernel.supportsSubshells || kernel.commsOverSubshells === 'disabled'"))


@pytest.fixture
def notebook(opened: Notebook) -> Notebook:
    """A notebook with one grid, of which one head is selected."""
    opened.run("grid.select('none')")
    shows(opened.view())
    cell(opened.view(), "l0h0").click()
    holds(opened, "l0h0")
    expect(box_of(opened.view())).to_have_value("l0h0")  # so all that follows from the click is done, its count too
    return opened


def done(notebook: Notebook) -> int:
    """The number of the last command that Python has done."""
    return int(notebook.run("grid.history['done']"))


def test_no_click_is_lost(notebook: Notebook) -> None:
    view, before = notebook.view(), done(notebook)
    with notebook.busy():
        for word in ("l0h2", "l1h2", "l1 mlp", "l0h1", "l0h1"):
            cell(view, word).click()
        shows(view, "l0h0", "l0h2", "l1h2", "l1 mlp")
    holds(notebook, "l0h0 | l0h2 | l1h2 | l1 mlp")
    shows(view, "l0h0", "l0h2", "l1h2", "l1 mlp")
    notebook.wait_until(f"grid.history['done'] == {before + 5}")


def test_an_undo_is_done_once_and_after_the_clicks_before_it(notebook: Notebook) -> None:
    view, before = notebook.view(), done(notebook)
    with notebook.busy():
        for word in ("l0h1", "l0h2", "l1h2"):
            cell(view, word).click()
        notebook.page.keyboard.press("Control+z")
    notebook.wait_until(f"grid.history['done'] == {before + 4}")
    assert notebook.run("str(grid.selection)") == str(ANATOMY.select("l0h0-2"))
    notebook.page.keyboard.press("Control+Shift+z")
    holds(notebook, "l0h0-2 | l1h2")
    shows(view, "l0h0", "l0h1", "l0h2", "l1h2")


def test_a_click_after_a_cell_has_changed_the_grid_does_not_wait_for_the_next_cell(
    notebook: Notebook, waits: bool
) -> None:
    notebook.run("grid.select('l1h1')")
    shows(notebook.view(), "l1h1")
    before = done(notebook)
    with notebook.busy():
        notebook.page.wait_for_timeout(300)
        cell(notebook.view(), "l0h2").click()
        if not waits:
            expect(box_of(notebook.view())).to_have_value("l0h2 | l1h1")
    notebook.wait_until(f"grid.history['done'] == {before + 1}")


def test_clicks_and_undos_that_follow_a_query_are_done_after_it(notebook: Notebook, waits: bool) -> None:
    view, box = notebook.view(), box_of(notebook.view())
    with notebook.busy():
        box.fill("l1h2 | l0h3.q")
        box.press("Enter")
        cell(view, "l0h1").click()
        view.get_by_role("button", name="Undo", exact=True).click()
        view.get_by_role("button", name="Undo", exact=True).click()
        cell(view, "l1h0").click()
        if waits:
            shows(view, "l0h0", "l0h1", "l1h0")  # what was clicked is seen at once, the rest when it is answered
        else:
            shows(view, "l0h0", "l1h0")
        box.fill("l0 mlp | l1h1")
        box.press("Enter")
        cell(view, "l1h3").click()
    holds(notebook, "l0 mlp | l1h1 | l1h3")
    shows(view, "l0 mlp", "l1h1", "l1h3")
    for before in ("l0 mlp | l1h1", "l0h0 | l1h0", "l0h0", "none"):
        view.get_by_role("button", name="Undo", exact=True).click()
        holds(notebook, before)
    expect(box).to_have_value("")
