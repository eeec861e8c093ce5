"""Grids in notebooks: cells that show one, its parts on the page, and what has to be true of it there."""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Locator, expect

import headgrid as hg
from headgrid.selection.masks import ParamMasks

from .jupyterlab import TIMEOUT, Notebook

Open = Callable[..., Notebook]

ANATOMY = hg.dissect(hg.demo()[0])

expect.set_options(timeout=TIMEOUT * 1000)


def digest(masks: ParamMasks) -> list[list[Any]]:
    """Masks as JSON, their order included."""
    return [
        [
            name,
            None if mask is None else [str(mask.dtype), *mask.shape, hashlib.sha256(bytes(mask.flatten())).hexdigest()],
        ]
        for name, mask in masks.items()
    ]


SET_UP = "from __future__ import annotations\n\nimport hashlib\n\nimport headgrid as hg\n\n\n" + inspect.getsource(
    digest
)


GRID = "grid = hg.HeadGrid(*hg.demo())\ngrid"


def cell(view: Locator, word: str) -> Locator:
    """The cell of that word, which lies exactly over the painted one: a click on it is a click of the mouse there."""
    return view.locator(f'[role=gridcell][data-word="{word}"]')


def box_of(view: Locator) -> Locator:
    """The box that shows the selection as text."""
    return view.get_by_role("combobox", name=re.compile("as text"))


def walk_to(notebook: Notebook, view: Locator, name: str) -> None:
    """From the first cell down to the row of a cell and along it, by what a screen reader is told of the cursor."""
    grid = view.get_by_role("grid")

    def press(key: str) -> str:
        notebook.page.keyboard.press(key)
        notebook.painted()
        return active_name(grid)

    for first, then, wanted in (
        ("Control+Home", "ArrowDown", name.rpartition(" head")[0]),
        ("Home", "ArrowRight", name),
    ):
        at = press(first)
        for _ in range(20):
            if not at.startswith(wanted):
                at = press(then)
    assert at.startswith(name)


def active_name(grid: Locator) -> str:
    return str(
        grid.evaluate(
            "node => node.getRootNode().getElementById(node.getAttribute('aria-activedescendant'))?.ariaLabel ?? ''"
        )
    )


def holds(notebook: Notebook, text: str) -> None:
    """Waits until the kernel's selection is that of the text, and compares the masks."""
    expected = ANATOMY.select(text)
    notebook.wait_until(f"grid.selection == grid.anatomy.select({text!r})")
    assert notebook.run("digest(grid.masks)") == digest(expected.masks())
    assert notebook.run("str(grid.selection)") == str(expected)


def shows(view: Locator, *words: str) -> None:
    """Waits until these cells, and no other, are selected in the browser."""
    for word in words:
        expect(cell(view, word)).to_have_attribute("aria-selected", "true")
    expect(view.locator('[role=gridcell][aria-selected="true"]')).to_have_count(len(words))


SAVE_STATE = """
fetch(`/lab/api/settings/@jupyter-widgets/jupyterlab-manager:plugin?token=${encodeURIComponent(%r)}`, {
  method: "PUT", body: JSON.stringify({ raw: '{"saveState": true}' }) }).then(answer => answer.status)
"""


def save_state_with_notebooks(notebook: Notebook) -> None:
    """JupyterLab's setting 'Save Widget State Automatically', which is off at first; a page reads it when it loads."""
    token = notebook.server.url("").partition("token=")[2]
    assert notebook.page.evaluate(SAVE_STATE % token) == 204
    notebook.open()


LLAMA_405B = """
import headgrid as hg
import transformers

config = transformers.LlamaConfig(
    num_hidden_layers=126, num_attention_heads=128, num_key_value_heads=8, hidden_size=16384,
    intermediate_size=53248, vocab_size=128256,
)
"""
