"""An exercise in a real JupyterLab: its strip above the grid, its button, and the answer that a cell comes to say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from .axe import needs_axe, violations
from .grids import GRID, SET_UP, Open, cell
from .jupyterlab import Notebook, wait_for

EXERCISE = """
from headgrid import course
ex = course.Exercise("induction head", grid, ask="Which head attends to the token after the last occurrence?",
                     answer=course.seal("l1h2", grid, allow="heads"), allow="heads", hide=["copying_score"], points=2)
""".strip()


@pytest.fixture(scope="module")
def notebook(open_notebook: Open) -> Iterator[Notebook]:
    opened = open_notebook("exercise", [SET_UP, GRID.removesuffix("\ngrid"), EXERCISE, "ex.check()", "grid"])
    yield opened
    opened.close()


def cells(notebook: Notebook) -> list[Any]:
    return list(notebook.in_lab("panel.model.toJSON()")["cells"])


def run_cell(notebook: Notebook, number: int) -> None:
    notebook.in_lab(f"panel.content.activeCellIndex = {number}")
    notebook.command("notebook:run-cell")
    notebook.wait_until_idle()


def strip(notebook: Notebook) -> Locator:
    return notebook.view().get_by_role("group", name="Exercise")


def place(notebook: Notebook) -> Any:
    """Where the grid stands in its widget."""
    return notebook.view().evaluate(
        """view => { const [grid, root] = [view.querySelector("[role=grid]"), view].map(n => n.getBoundingClientRect());
        return [grid.x - root.x, grid.y - root.y, grid.width, grid.height] }"""
    )


def test_an_answer_by_clicks_is_written_into_its_cell_and_is_there_after_a_restart(notebook: Notebook) -> None:
    assert "nothing was clicked since" in str(cells(notebook)[3]["outputs"])
    stands = place(notebook)
    cell(notebook.view(), "l1h1").click()
    notebook.wait_until("str(grid.selection) == 'l1h1'")
    strip(notebook).get_by_role("button", name="Check").click()
    expect(strip(notebook).get_by_role("status")).to_contain_text("Not yet, 0 of 2 points")
    expect(strip(notebook).get_by_role("status")).to_contain_text("The layer is right, the head is not.")
    expect(strip(notebook).get_by_role("status")).to_contain_text('ex.check("l1h1")')
    assert place(notebook) == stands, "what is said of an answer moves no cell"
    assert cells(notebook)[3]["source"] == "ex.check()"
    cell(notebook.view(), "l1h1").click()
    cell(notebook.view(), "l1h2").click()
    notebook.wait_until("str(grid.selection) == 'l1h2'")
    run_cell(notebook, 3)
    wait_for("the answer in the cell", lambda: cells(notebook)[3]["source"] == 'ex.check("l1h2")')
    assert len(cells(notebook)[3]["outputs"]) == 1, "what is a cell's value too is shown once"
    expect(strip(notebook).get_by_role("status")).to_contain_text("Right, 2 of 2 points")
    notebook.restart_kernel()
    notebook.run_all()
    assert "Right, 2 of 2 points" in str(cells(notebook)[3]["outputs"])
    assert notebook.run("[ex.solved, ex.earned, course.report().said]") == [True, 2.0, "2 of 2 points"]


@needs_axe
@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 760)])
def test_the_strip_can_be_read_and_passes_the_checks_of_accessibility(
    notebook: Notebook, theme: str, width: int
) -> None:
    notebook.set_theme(theme == "dark")
    found = notebook.run("(ex.check('l1h1'), grid.select('l1h2 | l0h1'), ex.check()).__len__()")
    assert found == 3
    expect(strip(notebook).get_by_role("status")).to_contain_text("take out what does not belong")
    notebook.page.set_viewport_size({"width": width, "height": 900})
    strip(notebook).scroll_into_view_if_needed()
    notebook.painted()
    assert strip(notebook).evaluate("node => node.scrollWidth <= node.clientWidth")
    assert violations(notebook.page, ".jp-Notebook .headgrid") == []
    notebook.screenshot(f"exercise-{theme}-{width}")
