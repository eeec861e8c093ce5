"""What axe-core and a screen reader find in the widget, in a real JupyterLab, in each state that it can have."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

from .axe import needs_axe, violations
from .grids import Open, box_of, cell, shows
from .jupyterlab import Notebook

WIDGET = ".jp-Notebook .headgrid"
GRID = """
import headgrid as hg

grid = hg.HeadGrid(*hg.demo())
grid.saved["induction"] = "l0h1 | l1h2"
grid.saved["MLPs"] = "l* mlp"
grid
"""


@pytest.fixture(scope="module")
def opened(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("accessible", [GRID])
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Iterator[Notebook]:
    """A notebook in which two heads, half a head and an MLP are selected, and one head is described."""
    opened.run("(grid.color_by(None), grid.select('l0h1 | l1h2 | l0h3.q | l1 mlp'))[0]")
    shows(opened.view(), "l0h1", "l1h2", "l1 mlp")
    cell(opened.view(), "l1h1").click()
    cell(opened.view(), "l1h1").click()
    inspector(opened.view()).get_by_role("tab", name="OV").click()
    expect(inspector(opened.view())).to_contain_text("layer 1 head 1")
    yield opened
    opened.page.mouse.move(0, 0)


@pytest.fixture(params=["light", "dark"])
def theme(request: pytest.FixtureRequest, opened: Notebook) -> str:
    opened.set_theme(dark=request.param == "dark")
    expect(opened.view()).to_have_attribute("data-theme", request.param)
    return str(request.param)


def inspector(view: Locator) -> Locator:
    return view.get_by_role("group", name="Inspector")


def passes(notebook: Notebook) -> None:
    found = violations(notebook.page, WIDGET)
    assert not found, "\n".join(found)


@needs_axe
def test_the_grid_breaks_no_rule_in_either_theme(notebook: Notebook, theme: str) -> None:
    passes(notebook)


@needs_axe
def test_no_tab_of_the_inspector_breaks_a_rule_in_either_theme(notebook: Notebook, theme: str) -> None:
    tabs = inspector(notebook.view()).get_by_role("tab")
    assert tabs.count() >= 4
    for tab in tabs.all():
        tab.click()
        expect(inspector(notebook.view()).get_by_role("tabpanel")).to_have_attribute("aria-busy", "false")
        passes(notebook)


@needs_axe
def test_colors_and_the_card_of_a_hover_break_no_rule_in_either_theme(notebook: Notebook, theme: str) -> None:
    notebook.run("grid.color_by('copying_score')")
    expect(cell(notebook.view(), "l1h2")).to_have_attribute("aria-label", re.compile("copying score"))
    cell(notebook.view(), "l1h2").hover()
    expect(notebook.view().locator(".hg-tooltip")).to_be_visible()
    passes(notebook)


@needs_axe
def test_the_open_help_breaks_no_rule_in_either_theme(notebook: Notebook, theme: str) -> None:
    notebook.view().get_by_role("grid").press("?")
    expect(notebook.view().get_by_role("dialog")).to_be_visible()
    passes(notebook)
    notebook.page.keyboard.press("Escape")


@needs_axe
def test_the_open_list_of_completions_and_an_error_break_no_rule_in_either_theme(
    notebook: Notebook, theme: str
) -> None:
    box = box_of(notebook.view())
    box.fill("")
    box.press_sequentially("l1")
    expect(notebook.view().get_by_role("listbox")).to_be_visible()
    box.press("ArrowDown")
    passes(notebook)
    box.press("Escape")
    box.fill("l1h2 | nonsense")
    box.press("Enter")
    expect(notebook.view().get_by_role("alert").filter(has_text=re.compile("."))).to_be_visible()
    passes(notebook)
    box.press("Escape")


@needs_axe
def test_saved_selections_and_their_form_break_no_rule_in_either_theme(notebook: Notebook, theme: str) -> None:
    view = notebook.view()
    view.get_by_role("button", name=re.compile("Show induction")).click()
    passes(notebook)
    view.get_by_role("button", name="Edit").click()
    passes(notebook)
    view.get_by_role("button", name="Done").click()
    view.get_by_role("button", name=re.compile("^Save selection")).click()
    passes(notebook)
    notebook.page.keyboard.press("Escape")
    view.get_by_role("button", name=re.compile("Show induction")).click()


@needs_axe
def test_the_menu_of_pictures_breaks_no_rule_in_either_theme(notebook: Notebook, theme: str) -> None:
    notebook.view().get_by_role("button", name="Save a picture").click()
    expect(notebook.view().get_by_role("menu")).to_be_visible()
    passes(notebook)
    notebook.page.keyboard.press("Escape")


@needs_axe
def test_forced_colors_break_no_rule_and_leave_the_selection_visible(notebook: Notebook) -> None:
    notebook.page.emulate_media(forced_colors="active")
    try:
        passes(notebook)
        notebook.view().scroll_into_view_if_needed()
        assert _ink(notebook, "l1h2") != _ink(notebook, "l1h0")  # selected, and not
        notebook.screenshot("forced-colors")
    finally:
        notebook.page.emulate_media(forced_colors="none")


def _ink(notebook: Notebook, word: str) -> list[int]:
    """The color of the pixel in the middle of a cell."""
    return list(
        cell(notebook.view(), word).evaluate(
            """node => {
                const canvas = node.closest(".headgrid").querySelector("canvas");
                const [box, of] = [node.getBoundingClientRect(), canvas.getBoundingClientRect()];
                const ratio = canvas.width / of.width;
                const at = [box.x + box.width / 2 - of.x, box.y + box.height / 2 - of.y];
                const [x, y] = at.map(place => Math.round(place * ratio));
                return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data];
            }"""
        )
    )


@needs_axe
def test_at_320_pixels_nothing_is_cut_off_and_no_rule_is_broken(notebook: Notebook, theme: str) -> None:
    style = notebook.page.add_style_tag(
        content=".jp-OutputArea-output:has(.headgrid) { max-width: 320px; flex: 0 0 320px !important }"
    )
    try:
        view = notebook.view()
        notebook.page.wait_for_function("node => node.clientWidth <= 320", arg=view.element_handle())
        passes(notebook)
        assert view.evaluate("node => node.scrollWidth <= node.clientWidth + 1")
        box = view.bounding_box()
        assert box
        for button in view.get_by_role("button").all():
            if button.is_visible() and (of := button.bounding_box()) and of["width"] > 1:
                assert box["x"] <= of["x"]
                assert of["x"] + of["width"] <= box["x"] + box["width"] + 1, button.inner_text()
        view.screenshot(path=notebook.screenshot(f"narrow-{theme}").parent / f"narrow-{theme}.png")
    finally:
        style.evaluate("node => node.remove()")


def test_a_screen_reader_finds_a_named_grid_of_named_cells_with_their_states(notebook: Notebook) -> None:
    grid = notebook.view().get_by_role("grid")
    expect(grid).to_have_accessible_name(re.compile("^Parts of GPT2"))
    expect(grid).to_have_attribute("aria-multiselectable", "true")
    read = grid.aria_snapshot()
    for line in (
        'gridcell "layer 1 head 2, selected" [selected]',
        'gridcell "layer 1 MLP, selected" [selected]',
        'gridcell "layer 0 head 3, partly selected"',
        'gridcell "layer 0 head 0"',
        'rowheader "layer 1, 2 of 8 selected"',
        'columnheader "head 2, every row, 1 of 2 selected"',
    ):
        assert line in read, read
    assert "- row" in read
    shows(notebook.view(), "l0h1", "l1h2", "l1 mlp")
    expect(grid).to_have_attribute("aria-rowcount", re.compile(r"^\d+$"))
    active = grid.evaluate(
        "node => node.getRootNode().getElementById(node.getAttribute('aria-activedescendant'))?.role"
    )
    assert active in ("gridcell", "rowheader", "columnheader")


def test_a_screen_reader_is_told_what_changed(notebook: Notebook) -> None:
    cell(notebook.view(), "l0h0").click()
    said = notebook.view().locator("[aria-live=polite]").filter(has_text=re.compile("layer 0 head 0"))
    expect(said).to_contain_text(re.compile("selected"))
    # before the next test selects anything: a click that comes later is done on top of that
    notebook.wait_until("grid.selection == grid.anatomy.select('l0h0 | l0h1 | l1h2 | l0h3.q | l1 mlp')")


def test_every_control_has_a_name_and_suppresses_jupyterlab_s_shortcuts(notebook: Notebook) -> None:
    bare = notebook.view().evaluate(
        """root => [...root.querySelectorAll("button, input, select, textarea, summary, a[href], [tabindex]")]
            .filter(node => node.dataset.lmSuppressShortcuts !== "true").map(node => node.outerHTML.slice(0, 120))"""
    )
    assert bare == []
