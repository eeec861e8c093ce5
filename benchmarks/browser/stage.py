"""A notebook in JupyterLab in which one contestant is shown, clicked and brushed, again and again."""

from __future__ import annotations

import base64
import contextlib
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contestants import Contestant
from frames import CATEGORIES, Frame, per_step, whole
from playwright.sync_api import BrowserContext, CDPSession, ViewportSize
from playwright.sync_api import Error as PlaywrightError

HERE = Path(__file__).parent
sys.path.append(str(HERE.parents[1] / "tests"))

from browser.jupyterlab import Notebook, Server, chromium  # noqa: E402  (the tests are not installed)

__all__ = ["FLAGS", "LIMIT", "VIEWPORT", "Bytes", "NeverError", "Server", "Stage", "chromium"]

FLAGS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]
VIEWPORT: ViewportSize = {"width": 1600, "height": 1200}
LIMIT = 60.0  # seconds until a contestant counts as one that never gets there
HELD = 0.04  # seconds that a finger holds a mouse's button
STEPS = 20
PACE = 0.03  # seconds between two moves of a drag, so that each has a frame of its own
QUIET = 1.5  # seconds without a message after which nothing more is expected

SETUP = """
import time
import ipywidgets

seen = []

def note():
    seen.append(time.time())

def close():
    seen.clear()
    ipywidgets.Widget.close_all()
"""


class NeverError(Exception):
    """A contestant did not do in time what it was asked to do."""


@dataclass
class Bytes:
    """Payloads of the page's web sockets."""

    sent: int = 0
    received: int = 0

    @property
    def total(self) -> int:
        return self.sent + self.received


class Wire:
    """Counts what crosses the web sockets of a page between a start and a stop."""

    def __init__(self, cdp: CDPSession) -> None:
        self._cdp, self.bytes, self._last = cdp, Bytes(), 0.0
        cdp.on("Network.webSocketFrameSent", lambda event: self._count(event, "sent"))
        cdp.on("Network.webSocketFrameReceived", lambda event: self._count(event, "received"))

    def _count(self, event: dict[str, Any], way: str) -> None:
        frame = event["response"]
        binary = frame["opcode"] == 2
        size = len(base64.b64decode(frame["payloadData"]) if binary else frame["payloadData"].encode())
        setattr(self.bytes, way, getattr(self.bytes, way) + size)
        self._last = time.monotonic()

    def start(self) -> None:
        self.bytes = Bytes()
        self._cdp.send("Network.enable")

    def stop(self, page: Any) -> Bytes:
        """What crossed since the start, once nothing crosses any more."""
        self._last = time.monotonic()
        while time.monotonic() - self._last < QUIET:
            page.wait_for_timeout(100)
        self._cdp.send("Network.disable")
        return self.bytes


class Stage:
    """One contestant at one size, on a page and in a kernel of its own.

    Args:
        prepare: code that sets `given`, which the contestant's `build` takes; by default what its `prepare` returns.
    """

    def __init__(
        self, server: Server, context: BrowserContext, who: Contestant, layers: int, heads: int, prepare: str = ""
    ) -> None:
        self.who, self.shape = who, {"layers": layers, "heads": heads}
        self._server, self._name = server, f"{who.kind}-{layers}x{heads}"
        self._prepare = prepare or f"given = {who.prepare}({layers}, {heads})"
        source = (HERE / "cells" / f"{who.file or who.kind}.py").read_text()
        (server.root / f"{self._name}.py").write_text("\n".join([SETUP, source, self._prepare]))
        self.notebook = Notebook(server, context, self._name, [f"exec(open({self._name + '.py'!r}).read())", ""])
        self.page = self.notebook.page
        self.page.set_default_timeout((LIMIT + 60) * 1000)
        self.page.add_script_tag(path=HERE / "probe.js")
        cell = f"widget = build(given, {layers}, {heads}, note)\nwidget"
        self.notebook.in_lab(f"panel.content.widgets[1].model.sharedModel.setSource({json.dumps(cell)})")
        self.cdp = context.new_cdp_session(self.page)
        self.wire = Wire(self.cdp)
        self.before_python, self.doubt = self._compare_clocks()

    # ---- what is measured

    def show(self) -> dict[str, float]:
        """Runs the cell: seconds from the command until its data came, and until the last cell was painted."""
        self.page.bring_to_front()
        found = self.page.evaluate(
            "([kind, shape, limit]) => bench.show(kind, shape, limit)", [self.who.kind, self.shape, LIMIT * 1000]
        )
        if found["failed"]:
            raise RuntimeError(f"{self.who.name} raised:\n{found['failed']}")
        if not found["found"]:
            raise NeverError(f"not painted within {LIMIT:.0f} s")
        self.page.evaluate("bench.top()")
        self.settle()
        self.page.wait_for_function("kind => bench.ready(kind)", arg=self.who.kind)
        return {name: found[name] / 1e3 for name in ("known", "displayed", "painted")}

    def clear(self) -> None:
        """Closes the widgets and empties the cell's output, so that the next run begins as the first one did."""
        self.notebook.in_lab("panel.content.widgets[1].outputArea.model.clear()")
        self.notebook.run(f"(close(), exec({self._prepare!r}, globals()))")
        self.settle()

    def click(self, row: int, column: int) -> float:
        """Seconds from a click to the end of Python's observer."""
        before = self.notebook.run("len(seen)")
        self.press(row, column)
        return self.observed(before, self.who.acts_on)

    def press(self, row: int, column: int) -> None:
        at, mouse = self.place(row, column), self.page.mouse
        mouse.move(at["x"], at["y"])
        time.sleep(0.15)
        mouse.down()
        time.sleep(HELD)
        mouse.up()

    def brush(self, size: int) -> tuple[list[Frame], float]:
        """Drags over a block of cells: what each step cost; seconds from release to Python's observer."""
        start, end = self.place(0, 0), self.place(size - 1, size - 1)
        self.notebook.run("globals().get('before_brush', lambda widget: None)(widget)")
        self.settle()
        before, mouse, browser = self.notebook.run("len(seen)"), self.page.mouse, self.page.context.browser
        assert browser
        mouse.move(start["x"], start["y"])
        time.sleep(0.15)
        mouse.down()
        browser.start_tracing(page=self.page, categories=CATEGORIES)
        for step in range(1, STEPS + 1):
            x, y = (start[axis] + (end[axis] - start[axis]) * step / STEPS for axis in ("x", "y"))
            mouse.move(x, y)
            time.sleep(PACE)
        trace = browser.stop_tracing()
        mouse.up()
        seconds = self.observed(before, "pointerup")
        selected = self.notebook.run("count(widget)")
        if selected != size * size:
            raise RuntimeError(f"{self.who.name}: a brush of {size} x {size} selected {selected} cells")
        self.notebook.run("globals().get('after_brush', lambda widget: None)(widget)")
        return per_step(trace), seconds

    def cost(self, run: Callable[[], object]) -> Frame:
        """What the main thread did meanwhile, in milliseconds. Tracing costs something itself."""
        browser = self.page.context.browser
        assert browser
        browser.start_tracing(page=self.page, categories=CATEGORIES)
        run()
        return whole(browser.stop_tracing())

    def place(self, row: int, column: int) -> dict[str, float]:
        """The middle of a cell, in CSS pixels of the page."""
        found = self.page.evaluate(
            "([kind, row, column, shape]) => bench.place(kind, row, column, shape)",
            [self.who.kind, row, column, self.shape],
        )
        return {axis: float(found[axis]) for axis in ("x", "y")}

    def observed(self, before: int, event: str) -> float:
        """Seconds from a trusted event to Python's last note after `before` notes; 0 where that came earlier."""
        end, count = time.monotonic() + LIMIT, before
        while True:  # an observer may be called several times for one command; and asking may not disturb it
            time.sleep(0.25)
            now = self.notebook.run("len(seen)")
            if now == count > before:
                break
            if time.monotonic() > end:
                raise NeverError(f"Python's observer was not called within {LIMIT:.0f} s")
            count = now
        at = self.page.evaluate("bench.events()")[event] / 1e3 - self.before_python
        return max(0.0, float(self.notebook.run("seen[-1]")) - float(at))

    # ---- how

    def settle(self) -> None:
        """Until the kernel is idle and the page has nothing to do."""
        self.notebook.wait_until_idle()
        self.page.evaluate("() => new Promise((done) => requestIdleCallback(done, { timeout: 5000 }))")
        time.sleep(0.2)

    def _compare_clocks(self) -> tuple[float, float]:
        """How far the page's clock is before Python's, in seconds, from the quickest of many pings; and its doubt."""
        pings = []
        for _ in range(30):
            start = time.time()
            there = self.page.evaluate("bench.wall()") / 1e3
            end = time.time()
            pings.append((end - start, there - (start + end) / 2))
        trip, offset = min(pings)
        return offset, trip / 2

    def close(self) -> None:
        """Ends the page and the kernel, whether or not they answer."""
        with contextlib.suppress(PlaywrightError):
            self.page.close()
        with urllib.request.urlopen(self._server.url("api/sessions"), timeout=20) as answer:
            sessions = json.load(answer)
        for session in sessions:
            if session["path"] == f"{self._name}.ipynb":
                request = urllib.request.Request(self._server.url(f"api/sessions/{session['id']}"), method="DELETE")
                urllib.request.urlopen(request, timeout=60).close()
