"""A walk through the widget without a pointer: from the cell above into it, through all that it does, and out again."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import transformers
from playwright.sync_api import Locator, expect

import headgrid as hg

from .grids import SET_UP, Open, box_of, digest, shows, walk_to
from .jupyterlab import Notebook

SIZES = {"num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 48, "head_dim": 10,
         "intermediate_size": 22, "vocab_size": 31}  # fmt: skip
ANATOMY = hg.dissect(transformers.LlamaConfig(**SIZES))
GRID = f"import transformers\n\ngrid = hg.HeadGrid(transformers.LlamaConfig(**{SIZES!r}))\ngrid"
CELLS = [SET_UP, "above = 1", GRID, "below = 1"]


@pytest.fixture(scope="module")
def opened(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("keyboard", CELLS)
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Notebook:
    """A notebook in command mode on the cell above a grid in which nothing is selected."""
    opened.run("(grid.select('none'), [grid.saved.pop(name) for name in list(grid.saved)])[0]")
    shows(opened.view())
    command_mode(opened, 1)
    return opened


def command_mode(notebook: Notebook, index: int) -> None:
    """Has JupyterLab take the keys, with that cell as the active one."""
    notebook.in_lab(
        f"(panel.content.activeCellIndex = {index}, panel.content.mode = 'command', panel.content.activate())"
    )
    notebook.page.wait_for_function("() => document.activeElement.closest('.jp-Cell.jp-mod-active')")


def press(notebook: Notebook, *keys: str) -> None:
    for key in keys:
        notebook.page.keyboard.press(key)


def tab_to(notebook: Notebook, target: Locator, key: str = "Tab", most: int = 40) -> None:
    """Presses a key until an element has the focus."""
    for _ in range(most):
        if target.count() and target.evaluate("node => node === node.getRootNode().activeElement"):
            return
        notebook.page.keyboard.press(key)
    expect(target).to_be_focused(timeout=1000)


def holds(notebook: Notebook, text: str) -> None:
    notebook.wait_until(f"grid.selection == grid.anatomy.select({text!r})")
    assert notebook.run("digest(grid.masks)") == digest(ANATOMY.select(text).masks())


def notebook_state(notebook: Notebook) -> list[object]:
    """What keys that leak would change: the cells, which of them is active, and the mode."""
    sources = [one["source"] for one in notebook.in_lab("panel.model.toJSON()")["cells"]]
    return [sources, notebook.in_lab("panel.content.activeCellIndex"), notebook.in_lab("panel.content.mode")]


def test_all_that_a_pointer_does_is_done_by_keys_which_the_notebook_does_not_get(notebook: Notebook) -> None:
    view = notebook.view()
    grid, box = view.get_by_role("grid"), box_of(view)

    tab_to(notebook, grid)
    before = notebook_state(notebook)
    # to the first head of layer 0, past what stands before it, and select it
    press(notebook, "Control+Home")
    walk_to(notebook, view, "layer 0 head 0")
    press(notebook, "Space")
    holds(notebook, "l0h0")
    press(notebook, "Shift+ArrowDown", "Shift+ArrowRight")
    holds(notebook, "l0h0 | l0h1 | l1h0 | l1h1")
    press(notebook, "Shift+ArrowUp")  # the block shrinks again
    holds(notebook, "l0h0 | l0h1")

    walk_to(notebook, view, "layer 0 head 4")
    press(notebook, "g")  # heads 3 to 5 read one key/value head
    holds(notebook, "l0h0 | l0h1 | l0h3 | l0h4 | l0h5")
    press(notebook, "o")
    holds(notebook, "l0h4")
    press(notebook, "Control+z", "Control+z")
    holds(notebook, "l0h0 | l0h1")
    press(notebook, "Control+Shift+z")
    holds(notebook, "l0h0 | l0h1 | l0h3 | l0h4 | l0h5")
    press(notebook, "Control+y")
    holds(notebook, "l0h4")
    press(notebook, "i", "i", "a")
    holds(notebook, "full")
    press(notebook, "Escape")
    holds(notebook, "none")
    # a row by its header
    press(notebook, "Home", "ArrowLeft", "ArrowLeft", "Enter")
    holds(notebook, "l0")

    press(notebook, "/")
    expect(box).to_be_focused()
    press(notebook, "Control+a")
    notebook.page.keyboard.type("l2 ml")
    expect(view.get_by_role("listbox")).to_be_visible()
    press(notebook, "ArrowDown")
    chosen = view.get_by_role("option", selected=True)
    expect(chosen).to_contain_text("l2 mlp")
    press(notebook, "Enter")
    expect(box).to_have_value("l2 mlp")
    press(notebook, "Enter")
    holds(notebook, "l2 mlp")
    press(notebook, "Escape")
    expect(grid).to_be_focused()

    save = view.get_by_role("button", name=re.compile("^Save selection"))
    tab_to(notebook, save, "Shift+Tab")
    press(notebook, "Enter")
    expect(view.get_by_role("textbox", name=re.compile("Name"))).to_be_focused()
    press(notebook, "Control+a")
    notebook.page.keyboard.type("dd last")
    press(notebook, "Enter")
    recall = view.get_by_role("button", name="dd last", exact=True)
    expect(recall).to_be_visible()
    assert notebook.run("list(grid.saved)") == ["dd last"]
    tab_to(notebook, grid)
    press(notebook, "Escape")
    holds(notebook, "none")
    tab_to(notebook, view.get_by_role("toolbar", name="Saved selections").locator("[tabindex='0']").first, "Shift+Tab")
    tab_to(notebook, recall, "ArrowRight", 6)
    press(notebook, "Enter")
    holds(notebook, "l2 mlp")

    tab_to(notebook, grid)
    press(notebook, "?")
    expect(view.get_by_role("dialog", name="Mouse and keys")).to_be_focused()
    press(notebook, "Escape")
    expect(grid).to_be_focused()
    width = cell_width(view)
    press(notebook, "-")
    notebook.page.wait_for_function(WIDTH.replace("?", "<"), arg=[grid.element_handle(), width])
    press(notebook, "0")  # the whole grid again
    notebook.page.wait_for_function(WIDTH.replace("?", "=="), arg=[grid.element_handle(), width])
    expect(grid).to_be_focused()

    for key in (*"ddbxcvmyr1", "Shift+M", "Control+Enter", "Shift+Enter", "Shift+Enter", "Control+s"):
        press(notebook, key)
        expect(grid).to_be_focused()
    assert notebook_state(notebook) == before
    holds(notebook, "l2 mlp")


WIDTH = """([grid, width]) => grid.querySelector("[data-word=l0h1]").getBoundingClientRect().width ? width"""


def cell_width(view: Locator) -> float:
    box = view.locator("[data-word=l0h1]").bounding_box()
    assert box
    return box["width"]


def test_tab_leaves_the_widget_in_both_directions(notebook: Notebook) -> None:
    view = notebook.view()
    inside = "node => node.contains(node.getRootNode().activeElement)"
    for key in ("Tab", "Shift+Tab"):
        view.get_by_role("grid").focus()
        for _ in range(40):
            press(notebook, key)
            if not view.evaluate(inside):
                break
        assert not view.evaluate(inside), f"{key} goes round in the widget"


def test_outside_of_the_grid_the_notebook_has_its_own_keys(notebook: Notebook) -> None:
    view = notebook.view()
    view.get_by_role("grid").focus()
    press(notebook, "d", "d")
    command_mode(notebook, 3)
    press(notebook, "b")
    expect(notebook.page.locator(".jp-Notebook .jp-Cell")).to_have_count(5)
    press(notebook, "d", "d")
    expect(notebook.page.locator(".jp-Notebook .jp-Cell")).to_have_count(4)
    press(notebook, "ArrowUp")
    assert notebook.in_lab("panel.content.activeCellIndex") == 2
    press(notebook, "a", "z")  # a cell above, and undone: keys that the grid has, too
    holds(notebook, "none")
    assert [one["source"] for one in notebook.in_lab("panel.model.toJSON()")["cells"]] == CELLS
