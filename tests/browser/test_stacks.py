"""A model of several stacks in a real JupyterLab: one is shown at a time, and what is selected in the others stays."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import transformers
from playwright.sync_api import Locator, expect

import headgrid as hg

from .grids import SET_UP, Open, box_of, cell, digest, shows
from .jupyterlab import Notebook

SIZES = {"num_layers": 2, "num_decoder_layers": 3, "num_heads": 4, "d_model": 24, "d_kv": 5, "d_ff": 14,
         "vocab_size": 31}  # fmt: skip
ANATOMY = hg.dissect(transformers.T5Config(**SIZES))
GRID = f"import transformers\n\ngrid = hg.HeadGrid(transformers.T5Config(**{SIZES!r}))\ngrid"


def tab(view: Locator, name: str) -> Locator:
    return view.get_by_role("tab", name=re.compile(f"^{name},"))


def is_shown(view: Locator, name: str) -> None:
    """Waits until this stack is shown, and no other."""
    expect(tab(view, name)).to_have_attribute("aria-selected", "true")
    expect(view.locator('.hg-left [role=tab][aria-selected="true"]')).to_have_count(1)
    expect(cell(view, f"{name} l0h0")).to_have_count(1)
    expect(view.locator('[data-word$="l0h0"]')).to_have_count(1)


def holds(notebook: Notebook, text: str) -> None:
    """Waits until the kernel's selection is that of the text, and compares the masks."""
    notebook.wait_until(f"grid.selection == grid.anatomy.select({text!r})")
    assert notebook.run("digest(grid.masks)") == digest(ANATOMY.select(text).masks())


@pytest.fixture(scope="module")
def opened(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("stacks", [SET_UP, GRID, "grid"])
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Notebook:
    """A notebook with two views of one grid, in which nothing is selected and the encoder is shown."""
    opened.run("grid.select('none')")
    for view in (opened.view(0), opened.view(1)):
        tab(view, "encoder").click()
        is_shown(view, "encoder")
        shows(view)
    return opened


def test_a_click_in_one_stack_keeps_what_is_selected_in_another(notebook: Notebook) -> None:
    view = notebook.view()
    cell(view, "encoder l1h2").click()
    tab(view, "decoder").click()
    is_shown(view, "decoder")
    shows(view)
    cell(view, "decoder l2h1").click()
    holds(notebook, "encoder l1h2 | decoder l2h1")
    shows(view, "decoder l2h1")
    for name in ("encoder", "decoder"):
        expect(tab(view, name)).to_have_accessible_name(f"{name}, 1 cell selected")
    tab(view, "encoder").click()
    shows(view, "encoder l1h2")


def test_what_all_stacks_share_is_shown_with_each(notebook: Notebook) -> None:
    view = notebook.view()
    for name in ("encoder", "decoder", "cross"):
        tab(view, name).click()
        is_shown(view, name)
        expect(cell(view, "embed")).to_have_count(1)


def test_the_arrow_keys_switch_and_do_not_reach_the_notebook(notebook: Notebook) -> None:
    keyboard, view = notebook.page.keyboard, notebook.view()
    tab(view, "encoder").focus()
    active = notebook.in_lab("panel.content.activeCellIndex")
    cells = notebook.in_lab("panel.model.cells.length")
    keyboard.press("ArrowRight")
    is_shown(view, "decoder")
    expect(tab(view, "decoder")).to_be_focused()
    for key in ("ArrowDown", "ArrowUp", "d", "d", "a", "ArrowRight", "ArrowRight", "ArrowLeft"):
        keyboard.press(key)
    is_shown(view, "cross")
    expect(tab(view, "cross")).to_be_focused()
    assert notebook.in_lab("panel.content.activeCellIndex") == active
    assert notebook.in_lab("panel.model.cells.length") == cells
    keyboard.press("Tab")
    expect(view.get_by_role("grid")).to_be_focused()
    for key in ("Control+Home", "ArrowDown", "ArrowDown", "End", "Space"):
        keyboard.press(key)
    notebook.wait_until("not grid.selection == grid.anatomy.select('none')")
    expect(tab(view, "cross")).to_have_accessible_name("cross, 1 cell selected")


@pytest.fixture(params=[False, True], ids=["first to last", "last to first"])
def either_order(notebook: Notebook, request: pytest.FixtureRequest) -> Iterator[None]:
    """Hashes decide in which order the traits of a message come, another one in each kernel; here the alphabet does."""
    names = f"sorted({{key}} if isinstance(key, str) else key, reverse={request.param})"
    notebook.run(f"setattr(grid, 'send_state', lambda key: type(grid).send_state(grid, {names}))")
    yield
    notebook.run("delattr(grid, 'send_state')")


@pytest.mark.usefixtures("either_order")
def test_a_query_that_selects_only_in_another_stack_switches_to_it(notebook: Notebook) -> None:
    one, other = notebook.view(0), notebook.view(1)
    box = box_of(one)
    box.fill("cross l1h3")
    box.press("Enter")
    holds(notebook, "cross l1h3")
    is_shown(one, "cross")
    shows(one, "cross l1h3")
    # the other view stays, and tells of it
    is_shown(other, "encoder")
    expect(tab(other, "cross")).to_have_accessible_name("cross, 1 cell selected")


def test_each_view_shows_a_stack_of_its_own(notebook: Notebook) -> None:
    one, other = notebook.view(0), notebook.view(1)
    tab(one, "decoder").click()
    is_shown(one, "decoder")
    is_shown(other, "encoder")
    cell(one, "decoder l1h1").click()
    cell(other, "encoder l0h3").click()
    holds(notebook, "encoder l0h3 | decoder l1h1")
    shows(one, "decoder l1h1")
    shows(other, "encoder l0h3")


def test_the_tabs_of_the_stacks_stand_in_one_line(notebook: Notebook) -> None:
    view = notebook.view()
    notebook.run("grid.select('encoder l0 | decoder l0 | cross l0')")
    for shown in ("encoder", "decoder", "cross"):
        tab(view, shown).click()
        is_shown(view, shown)
        boxes = [tab(view, name).bounding_box() for name in ("encoder", "decoder", "cross")]
        assert len({box["y"] for box in boxes if box}) == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_switch_takes_the_theme_of_the_page(notebook: Notebook, theme: str) -> None:
    notebook.run("grid.select('encoder l1h2 | decoder l0h1')")
    notebook.set_theme(dark=theme == "dark")
    expect(notebook.view()).to_have_attribute("data-theme", theme)
    expect(tab(notebook.view(), "decoder")).to_be_visible()
    notebook.screenshot(f"stacks-{theme}")
