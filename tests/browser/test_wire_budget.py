"""What a grid of 16,128 heads puts on the wire, and into a saved notebook, in a real JupyterLab. Sizes, not times."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .grids import LLAMA_405B, Open, box_of, cell, save_state_with_notebooks, shows
from .jupyterlab import Notebook
from .serving import wait_for

KB = 1000

GRID = "grid = hg.HeadGrid(config)\ngrid"
BUNDLE = "sum(len(__import__('json').dumps(source)) for source in (grid._esm, grid._css))"


class Frames:
    """What crosses the websocket of a page's kernel, message by message."""

    def __init__(self, notebook: Notebook) -> None:
        self.sent: list[bytes] = []
        self.received: list[bytes] = []
        self._notebook = notebook
        notebook.devtools("Network.enable")
        notebook.on_devtools("Network.webSocketFrameSent", lambda event: self._keep(self.sent, event))
        notebook.on_devtools("Network.webSocketFrameReceived", lambda event: self._keep(self.received, event))

    def _keep(self, where: list[bytes], event: dict[str, dict[str, object]]) -> None:
        frame, data = event["response"], str(event["response"]["payloadData"])
        where.append(base64.b64decode(data) if frame["opcode"] == 2 else data.encode())

    def settle(self, clear: bool = False) -> None:
        """Waits until no more of them come for a second."""
        seen: list[int] = []

        def quiet() -> bool:
            self._notebook.page.wait_for_timeout(50)  # events are told only while Playwright is at work
            seen.append(len(self.sent) + len(self.received))
            return len(seen) > 20 and len({*seen[-20:]}) == 1

        wait_for("an end of the messages", quiet)
        if clear:
            self.sent.clear()
            self.received.clear()

    def of(self, where: list[bytes], kind: str) -> list[bytes]:
        """The messages of one type."""
        return [frame for frame in where if f'"msg_type":"{kind}"'.encode() in frame.replace(b": ", b":")]


@pytest.fixture(scope="module")
def notebook(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("budget", [LLAMA_405B])
    yield notebook
    notebook.close()


@pytest.fixture(scope="module")
def frames(notebook: Notebook) -> Frames:
    return Frames(notebook)


def test_its_first_state_is_below_50_kb_beyond_the_bundle(notebook: Notebook, frames: Frames) -> None:
    notebook.in_lab(f"panel.model.sharedModel.addCell({{ cell_type: 'code', source: {json.dumps(GRID)} }})")
    notebook.run_all()
    notebook.view().wait_for()
    frames.settle()
    opened = [frame for frame in frames.of(frames.received, "comm_open") if b'"spec"' in frame]
    assert len(opened) == 1
    size = len(opened[0]) - notebook.run(BUNDLE)
    later = sum(len(frame) for frame in frames.of(frames.received, "comm_msg"))
    print(f"first state {size:,} bytes beyond the bundle; {later:,} bytes follow it")
    assert 2 * 16128 // 8 < size < 50 * KB  # two sets of cells are in it
    assert later < 50 * KB


def test_the_message_of_a_click_is_below_4_kb(notebook: Notebook, frames: Frames) -> None:
    shows(notebook.view())
    cell(notebook.view(), "l0h3").click()
    notebook.wait_until("str(grid.selection) == 'l0h3'")
    expect(notebook.view().get_by_role("group", name="Inspector")).to_contain_text("layer 0 head 3")
    frames.settle(clear=True)
    cell(notebook.view(), "l2h5").click()
    notebook.wait_until("str(grid.selection) == 'l0h3 | l2h5'")
    frames.settle()
    asked, answered = (frames.of(where, "comm_msg") for where in (frames.sent, frames.received))
    print(f"a click sends {[len(frame) for frame in asked]} bytes; {sum(map(len, answered)):,} bytes come back")
    assert asked
    assert all(len(frame) < 4 * KB for frame in asked)
    assert any(b'"edit"' in frame for frame in asked)
    assert sum(map(len, answered)) < 20 * KB


def test_a_saved_notebook_grows_by_less_than_100_kb_beyond_the_bundle(notebook: Notebook) -> None:
    notebook.command("docmanager:save")
    save_state_with_notebooks(notebook)
    notebook.restart_kernel()  # else the grid of the first run, which Python still holds, is saved too
    notebook.run_all()
    expect(notebook.view().get_by_text("No kernel")).to_have_count(0)  # the view is the new grid's
    cell(notebook.view(), "l2h5").click()
    expect(box_of(notebook.view())).to_have_value("l2h5")  # so the page has what Python answered
    notebook.command("docmanager:save")
    saved = wait_for("the saved state", lambda: _saved(notebook))
    assert b"l2h5" in saved
    size = len(saved) - notebook.run(BUNDLE)
    print(f"a saved notebook is {size:,} bytes beyond the bundle")
    assert 2 * 16128 // 8 < size < 100 * KB
    assert notebook.run("len(grid._esm)") < len(saved)  # so the widget is in it


def _saved(notebook: Notebook) -> bytes:
    """The notebook's file, once it holds the state of widgets."""
    file = notebook.path.read_bytes()
    return file if b"application/vnd.jupyter.widget-state+json" in file else b""
