"""The widget in a real JupyterLab: what a hand does in the browser, what Python then holds, and the other way round.

Masks are compared with those that this process makes from the same words for a model of its own, so that the kernel is
not asked to confirm itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

import headgrid as hg

from .grids import (
    ANATOMY,
    GRID,
    SET_UP,
    Open,
    box_of,
    cell,
    holds,
    shows,
    walk_to,
)
from .jupyterlab import Notebook


@pytest.fixture(scope="module")
def opened(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("two-views", [SET_UP, GRID, "grid"])
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Notebook:
    """A notebook with two views of one grid, in which nothing is selected."""
    opened.run("grid.select('none')")
    shows(opened.view(0))
    shows(opened.view(1))
    return opened


def test_a_click_selects_a_head_another_looks_at_it_and_the_next_takes_it_out(notebook: Notebook) -> None:
    cell(notebook.view(), "l1h2").click()
    holds(notebook, "l1h2")
    shows(notebook.view(), "l1h2")
    cell(notebook.view(), "l0 mlp").click()
    holds(notebook, "l1h2 | l0 mlp")
    cell(notebook.view(), "l1h2").click()
    notebook.wait_until("grid.summary['title'] == 'l1h2'")
    holds(notebook, "l1h2 | l0 mlp")
    cell(notebook.view(), "l1h2").click()
    holds(notebook, "l0 mlp")
    shows(notebook.view(), "l0 mlp")


def test_in_look_mode_clicks_look_and_select_nothing(notebook: Notebook) -> None:
    look = notebook.view().get_by_role("button", name="Look", exact=True)
    look.click()
    for word in ("l0h3", "l1h1"):
        cell(notebook.view(), word).click()
        notebook.wait_until(f"grid.summary['title'] == '{word}'")
    holds(notebook, "none")
    look.click()
    cell(notebook.view(), "l0h3").click()
    holds(notebook, "l0h3")


def test_shift_click_adds_the_block_from_the_last_cell(notebook: Notebook) -> None:
    cell(notebook.view(), "l0h1").click()
    cell(notebook.view(), "l1h2").click(modifiers=["Shift"])
    holds(notebook, "l0h1 | l0h2 | l1h1 | l1h2")
    shows(notebook.view(), "l0h1", "l0h2", "l1h1", "l1h2")


def test_a_drag_brushes_a_block(notebook: Notebook) -> None:
    cell(notebook.view(), "l0h2").drag_to(cell(notebook.view(), "l1h3"))
    holds(notebook, "l0h2 | l0h3 | l1h2 | l1h3")
    shows(notebook.view(), "l0h2", "l0h3", "l1h2", "l1h3")


def test_a_row_header_selects_its_layer_and_a_column_header_its_head_in_every_layer(notebook: Notebook) -> None:
    notebook.view().get_by_role("rowheader", name=re.compile("^layer 1,")).click()
    holds(notebook, "l1")
    notebook.view().get_by_role("rowheader", name=re.compile("^layer 1,")).click()
    holds(notebook, "none")
    notebook.view().get_by_role("columnheader", name=re.compile("^head 2,")).click()
    holds(notebook, "l0h2 | l1h2")
    shows(notebook.view(), "l0h2", "l1h2")


def test_the_keyboard_alone_selects_and_its_keys_do_not_reach_the_notebook(notebook: Notebook) -> None:
    keyboard, view = notebook.page.keyboard, notebook.view()
    view.get_by_role("button").first.focus()
    for _ in range(10):
        keyboard.press("Tab")
        if notebook.page.evaluate("document.activeElement.getAttribute('role')") == "grid":
            break
    expect(view.get_by_role("grid")).to_be_focused()
    walk_to(notebook, view, "layer 1 head 1")
    keyboard.press("Space")
    holds(notebook, "l1h1")
    shows(view, "l1h1")
    before = notebook.in_lab("panel.model.cells.length")
    keyboard.type("dd", delay=50)
    keyboard.press("Escape")
    holds(notebook, "none")
    assert notebook.in_lab("panel.model.cells.length") == before
    expect(view.get_by_role("grid")).to_be_focused()


def test_clear_takes_parts_away_too_and_can_be_undone(notebook: Notebook) -> None:
    for text in ("l1h2.q", "l1h2.q | l0 mlp"):
        notebook.run(f"grid.select({text!r})")
        expect(cell(notebook.view(), "l1h2")).to_have_attribute("aria-label", re.compile("partly selected"))
        notebook.view().get_by_role("button", name="Clear", exact=True).click()
        holds(notebook, "none")
        notebook.view().get_by_role("button", name="Undo", exact=True).click()
        holds(notebook, text)


def test_what_python_selects_is_shown(notebook: Notebook) -> None:
    notebook.run("grid.select('l0h1')")
    shows(notebook.view(), "l0h1")
    expect(box_of(notebook.view())).to_have_value("l0h1")


def test_a_query_typed_into_the_box_selects(notebook: Notebook) -> None:
    box = box_of(notebook.view())
    box.click()
    box.press_sequentially("l1h2 | l0 mlp")
    box.press("Enter")
    holds(notebook, "l1h2 | l0 mlp")
    shows(notebook.view(), "l1h2", "l0 mlp")


def test_a_query_that_is_wrong_is_explained_and_changes_nothing(notebook: Notebook) -> None:
    view = notebook.view()
    notebook.run("grid.select('l0h1')")
    shows(view, "l0h1")
    box = box_of(view)
    box.fill("l1h2 | l0h9")
    box.press("Enter")
    with pytest.raises(hg.SelectionError) as raised:
        ANATOMY.select("l1h2 | l0h9")
    expect(view.get_by_role("alert")).to_have_text(raised.value.reason)
    expect(view.locator(".hg-query mark")).to_have_text("l1h2 | l0h9"[raised.value.start : raised.value.end])
    expect(box).to_have_attribute("aria-invalid", "true")
    expect(box).to_have_value("l1h2 | l0h9")
    holds(notebook, "l0h1")
    shows(view, "l0h1")


def test_a_clicked_cell_says_where_its_weights_are_stored(notebook: Notebook) -> None:
    cell(notebook.view(), "l1h2").click()
    inspector = notebook.view().get_by_role("group", name="Inspector")
    expect(inspector).to_contain_text("layer 1 head 2")
    inspector.get_by_role("tab", name="Weights").click()
    for place in (
        "transformer.h.1.attn.c_attn.weight[:, 48:72]",
        "transformer.h.1.attn.c_attn.weight[:, 144:168]",
        "transformer.h.1.attn.c_attn.weight[:, 240:264]",
        "transformer.h.1.attn.c_proj.weight[48:72, :]",
    ):
        expect(inspector).to_contain_text(place)
    holds(notebook, "l1h2")  # else the click may arrive after the next test has begun


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_grid_takes_the_theme_of_the_page(notebook: Notebook, theme: str) -> None:
    notebook.run("grid.select('l1h2 | l0 mlp | l0h1.q')")
    shows(notebook.view(), "l1h2", "l0 mlp")
    notebook.set_theme(dark=theme == "dark")
    expect(notebook.view()).to_have_attribute("data-theme", theme)
    expect(cell(notebook.view(), "l0h1")).to_have_attribute("aria-label", re.compile("partly selected"))
    notebook.screenshot(theme)


def test_two_views_of_one_widget_agree(notebook: Notebook) -> None:
    first, second = notebook.view(0), notebook.view(1)
    cell(first, "l1h2").click()
    shows(second, "l1h2")
    shows(first, "l1h2")
    cell(second, "l0h3").click()
    shows(first, "l1h2", "l0h3")
    shows(second, "l1h2", "l0h3")
    holds(notebook, "l1h2 | l0h3")


def test_two_views_that_are_clicked_at_once_converge(notebook: Notebook) -> None:
    first, second = notebook.view(0), notebook.view(1)
    at_once = """([one, other]) => {
        for (const node of [one, other]) {
            const box = node.getBoundingClientRect();
            const at = { clientX: box.x + box.width / 2, clientY: box.y + box.height / 2 };
            const mouse = { pointerId: 1, isPrimary: true, pointerType: "mouse", button: 0, bubbles: true };
            for (const type of ["pointermove", "pointerdown", "pointerup"])
                node.closest("[role=grid]").dispatchEvent(new PointerEvent(type, { ...at, ...mouse }));
        }
    }"""
    for one, other in (("l0h0", "l1h1"), ("l0h2", "l0h3"), ("l1h0", "l0 mlp")):
        cells = [cell(first, one).element_handle(), cell(second, other).element_handle()]
        notebook.page.evaluate(at_once, cells)
    for view in (first, second):
        shows(view, "l0h0", "l1h1", "l0h2", "l0h3", "l1h0", "l0 mlp")
    holds(notebook, "l0h0 | l1h1 | l0h2 | l0h3 | l1h0 | l0 mlp")


def test_without_its_kernel_the_grid_shows_its_last_state(notebook: Notebook) -> None:
    cell(notebook.view(), "l1h2").click()
    holds(notebook, "l1h2")
    notebook.restart_kernel()
    for view in (notebook.view(0), notebook.view(1)):
        expect(view.get_by_text("No kernel: this is the last state")).to_be_visible()
        shows(view, "l1h2")
        expect(box_of(view)).to_have_value("l1h2")
    cell(notebook.view(), "l0h0").click()
    shows(notebook.view(), "l1h2")
    notebook.run_all()


def test_no_other_host_is_asked_for_anything(notebook: Notebook, other_hosts: list[str]) -> None:
    assert other_hosts == []
    # and one that is asked would not go unseen, nor be reached, even where no name is looked up
    ask = "url => (url.startsWith('ws') ? new Promise((_, fail) => new WebSocket(url).onerror = fail) : fetch(url))"
    for url in ("https://example.org/widget.js", "http://192.0.2.1/widget.js", "wss://example.org/widget"):
        assert notebook.page.evaluate(f"url => ({ask})(url).then(() => true, () => false)", url) is False
        assert other_hosts == [url]
        other_hosts.clear()
