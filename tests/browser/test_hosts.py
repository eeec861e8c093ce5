"""The same hand in JupyterLab, Notebook 7 and marimo: it selects the same masks, and its keys stay in the grid."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, Protocol

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from .grids import ANATOMY, GRID, SET_UP, Open, box_of, cell, digest, shows
from .jupyterlab import Notebook
from .marimo import Marimo
from .serving import wait_for

BEGINNING = """
import hashlib
import json
from typing import Any

import marimo as mo

import headgrid as hg
from headgrid.selection.masks import ParamMasks

"""
IN_MARIMO = [
    ("", BEGINNING + inspect.getsource(digest), "digest, hg, json, mo"),
    ("hg, mo", "grid = hg.HeadGrid(*hg.demo())\nview = mo.ui.anywidget(grid)\nview", "grid, view"),
    ("digest, json, mo, view", """
said = json.dumps([str(view.selection), digest(view.masks)])
mo.Html(f"<pre id='said' style='height: 1em; overflow: hidden'>{mo.plain_text(said).text}</pre>")
""", "said"),
    ("mo", "asked = mo.ui.text(label='what Python selects')\nasked", "asked"),
    ("asked, grid", "grid.select(asked.value or 'none')\nNone", ""),
    ("view", "view", ""),
]  # fmt: skip


class Opened(Protocol):
    """A host with a notebook of two views of one grid."""

    page: Page

    def view(self, number: int = 0) -> Locator: ...
    def said(self) -> Any: ...
    def select(self, text: str) -> None: ...
    def cells(self) -> Any: ...
    def set_theme(self, dark: bool) -> None: ...


class InJupyter(Notebook):
    def said(self) -> Any:
        return self.run("[str(grid.selection), digest(grid.masks)]")

    def select(self, text: str) -> None:
        self.run(f"grid.select({text!r})")

    def cells(self) -> Any:
        model = self.in_lab("panel.model.toJSON()")["cells"]
        return [one["source"] for one in model], self.in_lab("[panel.content.activeCellIndex, panel.content.mode]")


class InMarimo(Marimo):
    def select(self, text: str) -> None:
        box = self.page.get_by_role("textbox", name="what Python selects")
        box.fill(text)
        box.press("Enter")

    def cells(self) -> Any:
        return self.page.locator("[data-cell-id]").count(), self.path.read_text()


@pytest.fixture(
    scope="module",
    params=["lab", "notebook", "edit", "run"],
    ids=["JupyterLab", "Notebook 7", "marimo edit", "marimo run"],
)
def opened(
    request: pytest.FixtureRequest,
    open_notebook: Open,
    context: BrowserContext,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Opened]:
    if request.param in ("lab", "notebook"):
        notebook = open_notebook(f"host-{request.param}", [SET_UP, GRID, "grid"], request.param, InJupyter)
        yield notebook
        notebook.close()
    else:
        with InMarimo(tmp_path_factory.mktemp("marimo"), request.param, IN_MARIMO) as server:
            server.open(context)
            server.view(1).wait_for()
            yield server
            server.page.close()


@pytest.fixture
def host(opened: Opened) -> Opened:
    """A host in which nothing is selected."""
    query(opened.view(), "none")
    holds(opened, "none")
    shows(opened.view(1))
    return opened


def query(view: Locator, text: str) -> None:
    box = box_of(view)
    box.fill(text)
    box.press("Enter")


def holds(host: Opened, text: str) -> None:
    """Waits until the host's Python has the masks of the text, as this process makes them."""
    expected = ANATOMY.select(text)
    wanted = [str(expected), digest(expected.masks())]
    wait_for(f"the masks of {text!r}", lambda: host.said() == wanted)


def test_the_same_hand_selects_the_same_masks(host: Opened) -> None:
    view = host.view()
    cell(view, "l0h1").click()
    cell(view, "l1h2").click()
    holds(host, "l0h1 | l1h2")
    shows(view, "l0h1", "l1h2")
    cell(view, "l0h2").drag_to(cell(view, "l1h3"))  # the brush adds, because it begins on a cell that is off
    holds(host, "l0h1 | l0h2 | l0h3 | l1h2 | l1h3")
    view.get_by_role("columnheader", name=re.compile("^head 3,")).click()  # all on, so they go off
    holds(host, "l0h1 | l0h2 | l1h2")
    view.get_by_role("rowheader", name=re.compile("^layer 1,")).click()
    holds(host, "l0h1 | l0h2 | l1")
    query(view, "l1h2.q | l0 mlp")
    holds(host, "l1h2.q | l0 mlp")
    shows(view, "l0 mlp")


def test_what_python_selects_is_shown_in_every_view(host: Opened) -> None:
    host.select("l0h3 | l1h0")
    shows(host.view(0), "l0h3", "l1h0")
    shows(host.view(1), "l0h3", "l1h0")
    cell(host.view(1), "l1h1").click()
    shows(host.view(0), "l0h3", "l1h0", "l1h1")
    holds(host, "l0h3 | l1h0 | l1h1")


def test_the_inspector_answers(host: Opened) -> None:
    cell(host.view(), "l1h2").click()
    inspector = host.view().get_by_role("group", name="Inspector")
    inspector.get_by_role("tab", name="Weights").click()
    expect(inspector).to_contain_text("transformer.h.1.attn.c_attn.weight[:, 48:72]")


def test_no_key_in_the_grid_does_anything_to_the_notebook(host: Opened) -> None:
    grid = host.view().get_by_role("grid")
    cell(host.view(), "l1h2").click()
    holds(host, "l1h2")
    before = host.cells()
    for key in ["ArrowUp", "ArrowDown", *"ddbxcvzmyjk", "Control+Enter", "Alt+ArrowUp"]:
        host.page.keyboard.press(key)
        expect(grid).to_be_focused()
    for key in ("Shift+ArrowLeft", "Shift+ArrowLeft"):
        host.page.keyboard.press(key)
    holds(host, "l1h0 | l1h1 | l1h2")
    assert host.cells() == before


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_the_grid_takes_the_theme_of_the_host(host: Opened, theme: str) -> None:
    host.set_theme(dark=theme == "dark")
    for number in (0, 1):
        expect(host.view(number)).to_have_attribute("data-theme", theme)
