"""What comes and goes around a grid: views, runs of its cell, kernels and pages."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .grids import SET_UP, Open, cell, holds, shows
from .jupyterlab import Notebook
from .memory import WATCH, measure

KB = 1000

DEMO = "model, tokenizer = hg.demo()\nwatch()\nother = hg.HeadGrid(model, tokenizer)"
ANEW = "grid = hg.HeadGrid(model, tokenizer)\ngrid"
AGAIN = "other"
CLEAR = "jupyterapp.commands.execute('notebook:clear-cell-output')"


@pytest.fixture(scope="module")
def opened(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("lifetimes", [SET_UP, WATCH, DEMO, ANEW, AGAIN])
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Notebook:
    """A notebook of two grids with nothing selected in the first."""
    opened.run("grid.select('none')")
    shows(opened.view())
    return opened


def run_cell(notebook: Notebook, index: int, times: int = 1) -> None:
    """Runs one cell again and again, each time until its view is there."""
    for _ in range(times):
        notebook.in_lab(
            f"""(async () => {{
                panel.content.deselectAll();
                panel.content.activeCellIndex = {index};
                const before = panel.content.widgets[{index}].node.querySelector('.headgrid');
                await jupyterapp.commands.execute('notebook:run-cell');
                while ([null, before].includes(panel.content.widgets[{index}].node.querySelector('.headgrid')))
                    await new Promise(done => setTimeout(done, 5));
            }})()"""
        )


def visit(notebook: Notebook, number: int) -> None:
    """Uses a view, so that it has asked for all it ever asks for."""
    view = notebook.view(number)
    cell(view, "l1h2").click()
    inspector = view.get_by_role("group", name="Inspector")
    expect(inspector).to_contain_text("layer 1 head 2")
    expect(inspector.get_by_role("tabpanel")).to_have_attribute("aria-busy", "false")
    cell(view, "l1h2").click()


def test_a_page_that_is_loaded_again_shows_the_state_and_goes_on(notebook: Notebook) -> None:
    cell(notebook.view(), "l1h2").click()
    holds(notebook, "l1h2")
    notebook.command("docmanager:save")
    notebook.reopen(views=2)
    shows(notebook.view(), "l1h2")
    expect(notebook.view().get_by_text("No kernel")).to_have_count(0)
    cell(notebook.view(), "l0h1").click()
    holds(notebook, "l0h1 | l1h2")


def test_a_connection_that_breaks_comes_back_with_the_grid(notebook: Notebook) -> None:
    cell(notebook.view(), "l1h2").click()
    holds(notebook, "l1h2")
    notebook.in_lab("kernel.reconnect()")
    notebook.wait_until_idle()
    cell(notebook.view(), "l0h1").click()
    holds(notebook, "l0h1 | l1h2")
    notebook.run("grid.select('l0 mlp')")
    shows(notebook.view(), "l0 mlp")


def test_a_new_kernel_brings_a_new_grid_to_the_same_cell(notebook: Notebook) -> None:
    notebook.restart_kernel()
    expect(notebook.view().get_by_text(re.compile("No kernel"))).to_be_visible()
    notebook.run_all()
    shows(notebook.view())
    expect(notebook.view().get_by_text(re.compile("No kernel"))).to_have_count(0)
    cell(notebook.view(), "l0h3").click()
    holds(notebook, "l0h3")


def test_running_a_cell_fifty_times_that_shows_a_grid_leaves_nothing_behind(notebook: Notebook) -> None:
    visit(notebook, 1)
    run_cell(notebook, 4, 25)  # JupyterLab's own caches fill, and what is known of the weights
    before = measure(notebook)
    run_cell(notebook, 4, 50)
    grown = measure(notebook) - before
    print(f"50 views later: {grown}")
    assert grown.listeners <= 50  # fewer than one for each view
    assert grown.nodes <= 50 * 4  # a view has a thousand
    assert grown.heap < 50 * 30 * KB  # a view has 140 kB; JupyterLab itself keeps 10 to 20 of each run
    assert grown.threads <= 0
    assert grown.python < 50 * 5 * KB


def test_running_a_cell_fifty_times_that_makes_a_grid_leaves_no_thread_and_no_listener(notebook: Notebook) -> None:
    visit(notebook, 0)
    run_cell(notebook, 3, 5)
    visit(notebook, 0)
    before = measure(notebook)
    for _ in range(10):
        run_cell(notebook, 3, 4)
        run_cell(notebook, 3)
        visit(notebook, 0)  # so that some of them have worked, and have a thread
    grown = measure(notebook) - before
    # ipywidgets keeps every widget that was made, in Python and on the page, until its kernel ends
    print(f"50 grids later: {grown}")
    assert grown.threads <= 1
    assert grown.listeners <= 50 * 4  # a view has a hundred
    assert grown.nodes <= 50 * 4  # a view has a thousand
    assert grown.heap < 50 * 850 * KB  # what JupyterLab keeps of each: its bundle, several times
    assert grown.python < 50 * 200 * KB


def test_a_view_that_is_closed_takes_its_listeners_along(notebook: Notebook) -> None:
    held = []
    for _ in range(3):
        run_cell(notebook, 4)
        with_it = measure(notebook)
        notebook.in_lab(f"(panel.content.activeCellIndex = 4, {CLEAR})")
        expect(notebook.page.locator(".jp-Notebook .headgrid")).to_have_count(1)
        held.append((with_it, measure(notebook)))
    run_cell(notebook, 4)
    grown = held[-1][1] - held[-2][1]
    print(f"one view: {held[-1][0] - held[-1][1]}; closed again: {grown}")
    assert held[-1][1].listeners < held[-1][0].listeners
    assert grown.listeners <= 0
    assert grown.nodes <= 10  # JupyterLab's own
