"""The grid under a finger: a tap, a swipe, a long press and a pinch, as Chromium makes them of touches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import transformers
from playwright.sync_api import Locator, expect

import headgrid as hg

from .grids import SET_UP, Open, cell, digest, shows
from .jupyterlab import Notebook

SIZES = {"num_hidden_layers": 60, "num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 48, "head_dim": 10,
         "intermediate_size": 22, "vocab_size": 31}  # fmt: skip
ANATOMY = hg.dissect(transformers.LlamaConfig(**SIZES))
GRID = f"import transformers\n\ngrid = hg.HeadGrid(transformers.LlamaConfig(**{SIZES!r}))\ngrid"
LONG = 700
"""Milliseconds of a long press; for the widget it is one after 400."""

Point = tuple[float, float]


class Fingers:
    """Fingers on the page of a notebook."""

    def __init__(self, notebook: Notebook) -> None:
        self._notebook = notebook
        self._down = 0

    def middle(self, word: str) -> Point:
        box = cell(self._notebook.view(), word).bounding_box()
        assert box
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def at(self, *points: Point) -> None:
        """Has so many fingers there, wherever they were before; none lifts them all."""
        kind = "touchEnd" if not points else "touchMove" if self._down == len(points) else "touchStart"
        touches = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        self._notebook.devtools("Input.dispatchTouchEvent", type=kind, touchPoints=touches)
        self._down = len(points)

    def slide(self, start: Point, end: Point, steps: int = 8) -> None:
        for step in range(1, steps + 1):
            part = step / steps
            self.at((start[0] + (end[0] - start[0]) * part, start[1] + (end[1] - start[1]) * part))

    def wait(self, milliseconds: int) -> None:
        self._notebook.page.wait_for_timeout(milliseconds)


@pytest.fixture(scope="module")
def opened(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("touch", [SET_UP, GRID])
    notebook.devtools("Emulation.setTouchEmulationEnabled", enabled=True, maxTouchPoints=2)
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Notebook:
    """A notebook with one grid of many layers, in which nothing is selected, and its first layer in sight."""
    opened.run("grid.select('none')")
    shows(opened.view())
    opened.view().evaluate("node => { node.scrollIntoView(); node.querySelector('.hg-viewport').scrollTop = 0; }")
    opened.painted()
    return opened


@pytest.fixture
def fingers(notebook: Notebook) -> Fingers:
    return Fingers(notebook)


def holds(notebook: Notebook, text: str) -> None:
    notebook.wait_until(f"grid.selection == grid.anatomy.select({text!r})")
    assert notebook.run("digest(grid.masks)") == digest(ANATOMY.select(text).masks())


def scrolled(view: Locator) -> float:
    """How far the grid, or the page that it is on, has been scrolled."""
    return float(
        view.evaluate("node => node.querySelector('.hg-viewport').scrollTop - node.getBoundingClientRect().top")
    )


def test_a_tap_selects_and_another_takes_it_back(notebook: Notebook, fingers: Fingers) -> None:
    for text in ("l1h2", "none"):
        fingers.at(fingers.middle("l1h2"))
        fingers.at()
        holds(notebook, text)


def test_a_tap_on_a_header_selects_its_row(notebook: Notebook, fingers: Fingers) -> None:
    box = notebook.view().locator("[data-row='2']").bounding_box()
    assert box
    fingers.at((box["x"] + box["width"] / 2, box["y"] + box["height"] / 2))
    fingers.at()
    holds(notebook, "l2")


def test_a_finger_that_rests_and_then_moves_selects_a_block(notebook: Notebook, fingers: Fingers) -> None:
    before = scrolled(notebook.view())
    start, end = fingers.middle("l0h1"), fingers.middle("l2h4")
    fingers.at(start)
    fingers.wait(LONG)
    fingers.slide(start, end)
    fingers.at()
    holds(notebook, "l0-2 h1-4")
    assert scrolled(notebook.view()) == before


def test_a_swipe_scrolls_and_selects_nothing(notebook: Notebook, fingers: Fingers) -> None:
    before = scrolled(notebook.view())
    start = fingers.middle("l6h1")
    end = start[0], start[1] - 120
    fingers.at(start)
    fingers.slide(start, end)
    fingers.wait(300)  # what is let go in motion goes on by itself
    fingers.at(end)
    fingers.at()
    notebook.page.wait_for_function(
        "([node, before]) => node.querySelector('.hg-viewport').scrollTop - node.getBoundingClientRect().top > before",
        arg=[notebook.view().element_handle(), before + 20],
    )
    holds(notebook, "none")


def test_two_fingers_select_nothing(notebook: Notebook, fingers: Fingers) -> None:
    one, other = fingers.middle("l1h1"), fingers.middle("l3h4")
    fingers.at(one)
    fingers.at(one, other)
    fingers.at()
    holds(notebook, "none")
    fingers.at(one)
    fingers.at()
    holds(notebook, "l1h1")
    expect(cell(notebook.view(), "l3h4")).to_have_attribute("aria-selected", "false")
