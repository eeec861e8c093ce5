"""What heads do on a text, in JupyterLab, with a live model of GPT-2 small's shape: beside what headgrid promises."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from frames import CATEGORIES, Frame, per_step
from race import log
from stage import PACE, Notebook, Server, Wire
from tables import high, kilobytes, middle, milliseconds

import headgrid

STATIC = Path(headgrid.__file__).parent / "widget" / "static"
CELL = """
import torch
import transformers
import headgrid as hg

torch.manual_seed(0)
model = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()
ids = torch.randint(0, 50000, (256,)).tolist()
grid = hg.HeadGrid(model, select="l11h0")
grid
"""
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.shifts.push(entry.value);
}).observe({ type: "layout-shift", buffered: false });
"""
SEEN = """
async ([word, step]) => {
  const root = document.querySelector(".jp-Notebook .headgrid");
  const cell = root.querySelector(`[role=gridcell][data-word="${word}"]`);
  const title = () => root.querySelector('[role=group][aria-label="Inspector"]')?.textContent ?? "";
  const canvas = () => root.querySelector('[role=group][aria-label="Attention pattern"] canvas');
  const stale = () => root.querySelector(".hg-live-tab")?.classList.contains("hg-stale");
  const pixels = () => { const one = canvas(); return one?.width
    ? one.getContext("2d").getImageData(0, 0, one.width, one.height).data.join() : "" };
  const before = pixels();
  const start = await new Promise((done) =>
    root.addEventListener("pointerdown", (event) => done(event.timeStamp), { once: true, capture: true }));
  while (pixels() === before || stale() || !title().includes(word)) await new Promise(requestAnimationFrame);
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return performance.now() - start;
}
"""


@dataclass
class OnText:
    """What was measured; times in seconds, sizes in bytes."""

    patterns: list[float] = field(default_factory=list)
    wire: list[int] = field(default_factory=list)
    thumbnails: list[float] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    shift: float = 0.0
    sizes: dict[str, int] = field(default_factory=dict)


def measure(server: Server, context: Any, repeats: int) -> OnText:
    found = OnText()
    notebook = Notebook(server, context, "on-text", [CELL])
    page = notebook.page
    try:
        wire = Wire(context.new_cdp_session(page))
        notebook.view().wait_for()
        page.wait_for_timeout(1500)
        page.evaluate(SHIFTS)
        _type(notebook, 64)
        for repeat in range(repeats + 1):  # the first is not timed
            seconds = _click(notebook, f"l{repeat % 12}h{(5 * repeat + 1) % 12}")
            found.patterns += [seconds] if repeat else []
            log(f"patterns: {repeat} of {repeats}")
        found.shift = sum(page.evaluate("shifts"))
        for repeat in range(min(3, repeats)):
            _type(notebook, 64, repeat + 1)
            found.thumbnails.append(_thumbnails(notebook))
        _type(notebook, 256)
        for repeat in range(3):
            wire.start()
            _click(notebook, f"l{repeat + 3}h{repeat + 5}")
            found.wire.append(wire.stop(page).total)
        found.frames = _hover(notebook)
        saved = notebook.run("len(__import__('json').dumps(__import__('ipywidgets').Widget.get_manager_state()))")
        found.sizes = {
            "bundle": sum(file.stat().st_size for file in STATIC.iterdir() if file.name.startswith("widget.")),
            "state of a notebook": saved,
        }
    finally:
        notebook.close()
    return found


def _type(notebook: Notebook, n: int, first: int = 0) -> None:
    ids = notebook.run(f"ids[{first}:{n}] + ids[:{first}]")
    prompt = notebook.view().locator(".hg-prompt-input").first
    prompt.fill(" ".join(map(str, ids)))
    prompt.press("Enter")
    notebook.wait_until("grid.task_state['prompt'] == grid.prompt['n'] and grid.task is not None")
    notebook.wait_until("not grid.live['pending'] and not grid.effect['pending']")
    notebook.painted()


def _click(notebook: Notebook, word: str) -> float:
    """Seconds from a click of the mouse on a head until its pattern is painted."""
    box = notebook.view().locator(f'[role=gridcell][data-word="{word}"]').bounding_box()
    assert box
    mouse = notebook.page.mouse
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    notebook.page.wait_for_timeout(150)
    notebook.page.evaluate(f"window.seen = ({SEEN})({json.dumps([word, 0])}); null")
    mouse.down()
    mouse.up()
    seconds = notebook.page.evaluate("seen") / 1e3
    notebook.wait_until("not grid.live['pending'] and not grid.effect['pending']")
    return float(seconds)


def _thumbnails(notebook: Notebook) -> float:
    """Seconds from the choice of patterns for the cells until Python has sent those of all heads."""
    menu = notebook.view().locator("select").first
    menu.select_option(index=1)
    seconds = notebook.run(TOLD)
    menu.select_option(index=0)
    notebook.wait_until("not grid.live_query['thumbnails']")
    return float(seconds)


TOLD = """(lambda time, start: [time.sleep(.005) for _ in iter(
    lambda: len(grid.thumbnails['cells']) == 144 and not grid.thumbnails['pending'], True)] and time.time() - start
)(__import__('time'), __import__('time').time())"""


def _hover(notebook: Notebook) -> list[Frame]:
    """What each move of a pointer over a pattern of 256 x 256 costs."""
    pattern = notebook.view().get_by_role("group", name="Attention pattern").locator("canvas").first
    pattern.scroll_into_view_if_needed()
    box, browser = pattern.bounding_box(), notebook.page.context.browser
    assert box
    assert browser
    notebook.page.mouse.move(box["x"] + 3, box["y"] + 3)
    notebook.page.wait_for_timeout(300)
    browser.start_tracing(page=notebook.page, categories=CATEGORIES)
    for step in range(1, 61):
        x, y = box["x"] + box["width"] * (step % 30) / 31, box["y"] + box["height"] * step / 61
        notebook.page.mouse.move(x, y)
        notebook.page.wait_for_timeout(PACE * 1e3)
    return per_step(browser.stop_tracing())


def table(found: OnText) -> str:
    frames = [frame.cpu for frame in found.frames]
    rows = [
        ("click on a head to its pattern of 64 tokens painted", milliseconds(middle(found.patterns)), "150 ms"),
        ("patterns of all 144 heads on 64 tokens", milliseconds(middle(found.thumbnails)), "1,500 ms"),
        (
            "a pointer's frame over 256 x 256, median / 95%, processor time",
            f"{middle(frames):.1f} / {high(frames):.1f} ms",
            "16 ms",
        ),
        ("all that a click on a head sends, on 256 tokens", kilobytes(middle(found.wire)), "64 kB"),
        ("layout shift after the first paint, clicks included", f"{found.shift:.3f}", "0.020"),
        *((name, kilobytes(size), "") for name, size in found.sizes.items()),
    ]  # fmt: skip
    return "\n".join(["| | measured | goal |", "|---|---|---|", *(f"| {a} | {b} | {c} |" for a, b, c in rows)])
