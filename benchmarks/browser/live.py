"""What heads do on a text, in a real notebook: from a click to a pattern, to the thumbnails of all heads, and bytes.

The model is live: GPT-2 small's shape with random weights, on the processor. A plain click selects too, so it also has
the effect of the selection computed beside random sets, which goes on while the next head is clicked; in Look mode
nothing else runs. The plain forward pass of the same text stands beside, because no pattern can be had sooner.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from contestants import HEADGRID
from stage import LIMIT, NeverError, Server, Stage
from tables import high, kilobytes, middle

LAYERS = HEADS = 12
SHOWN = 64
LONG = 256
CLICKS = [(5, 1), (2, 7), (9, 4), (0, 11), (7, 0), (11, 8), (4, 4), (8, 10), (1, 2), (10, 5)]

PREPARE = f"""
given = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()

def task(n):
    ids = torch.randint(0, 50257, (1, n), generator=torch.Generator().manual_seed(n))
    return hg.Task(None, ids, answers=[7], metric="log_prob")

def forward(n):
    ids = torch.randint(0, 50257, (1, n))
    times = []
    with torch.no_grad():
        for _ in range(5):
            start = time.perf_counter()
            given(input_ids=ids)
            times.append(time.perf_counter() - start)
    return sorted(times)[2]

shape = ({LAYERS}, {HEADS})
"""

# resolves once the panel shows the pattern of the head that was pressed, and that is painted; null if it never does
WATCH = """([word, limit]) => {
    const panel = document.querySelector(".headgrid .hg-inspector");
    const live = panel.querySelector(".hg-live-tab");
    const there = () =>
        live.offsetParent && !live.classList.contains("hg-stale") && !live.querySelector(".hg-pattern").hidden &&
        panel.querySelector(".hg-word").textContent === word;
    window.painted = new Promise((resolve) => {
        window.addEventListener("pointerdown", (event) => {
            const since = () => performance.now() - event.timeStamp;
            const look = () => requestAnimationFrame(() => {
                if (since() > limit) return resolve(null);
                if (!there()) return look();
                const { port1, port2 } = new MessageChannel();
                port1.onmessage = () => resolve(since());
                port2.postMessage(0);
            });
            look();
        }, { capture: true, once: true });
    });
}"""


@dataclass
class Found:
    """What was measured; times in seconds, sizes in bytes."""

    looked: list[float] = field(default_factory=list)
    clicked: list[float] = field(default_factory=list)
    thumbnails: list[float] = field(default_factory=list)
    forward: float = 0.0
    forward_long: float = 0.0
    received: list[int] = field(default_factory=list)
    packed: int = 0


def measure(server: Server, context: Any, repeats: int) -> Found:
    stage = Stage(server, context, HEADGRID, LAYERS, HEADS, prepare=PREPARE)
    found, run = Found(), stage.notebook.run
    try:
        found.forward, found.forward_long = run(f"forward({SHOWN})"), run(f"forward({LONG})")
        stage.show()
        run(f"setattr(widget, 'task', task({SHOWN}))")
        stage.page.get_by_role("button", name="Look", exact=True).click()
        _pattern(stage, 6, 6)  # what is imported and compiled at the first is not counted
        found.looked = [_pattern(stage, *at) for at in CLICKS]
        stage.page.get_by_role("button", name="Look", exact=True).click()
        found.clicked = [_pattern(stage, *at) for at in reversed(CLICKS)]
        run("widget.select('none')")
        found.thumbnails = [_thumbnails(stage, n) for n in range(repeats)]
        _long(stage, found)
    finally:
        stage.close()
    return found


def _pattern(stage: Stage, row: int, column: int) -> float:
    """Seconds from the press on a head until its pattern is painted."""
    stage.notebook.wait_until_idle()
    stage.page.evaluate(WATCH, [f"l{row}h{column}", LIMIT * 1e3])
    stage.press(row, column)
    painted = stage.page.evaluate("painted")
    if painted is None:
        raise NeverError(f"no pattern of l{row}h{column} within {LIMIT:.0f} s")
    return float(painted) / 1e3


def _thumbnails(stage: Stage, n: int) -> float:
    """Seconds from the wish for patterns in the cells of a new text until Python has sent those of all heads."""
    menu = stage.page.get_by_label("Cells show")
    menu.select_option("")
    stage.notebook.run(f"setattr(widget, 'task', task({SHOWN + n}))")
    time.sleep(1)
    start = time.perf_counter()
    menu.select_option("patterns")
    while not stage.notebook.run("len(widget.thumbnails['cells']) == 144 and not widget.thumbnails['pending']"):
        time.sleep(0.02)
    stage.page.evaluate("() => new Promise((done) => requestAnimationFrame(done))")
    return time.perf_counter() - start


def _long(stage: Stage, found: Found) -> None:
    stage.page.get_by_label("Cells show").select_option("")
    stage.notebook.run(f"setattr(widget, 'task', task({LONG}))")
    stage.page.get_by_role("button", name="Look", exact=True).click()
    _pattern(stage, 3, 3)
    for row, column in CLICKS[:3]:
        stage.wire.start()
        _pattern(stage, row, column)
        found.received.append(stage.wire.stop(stage.page).received)
    found.packed = stage.notebook.run("max(len(head['values']) for head in widget.live['heads'])")


def table(found: Found) -> str:
    def time_of(what: str, seconds: list[float], promised: float) -> str:
        value = middle(seconds) * 1e3
        kept = "kept" if value < promised else "**not kept**"
        return f"| {what} | {value:,.0f} ms (95%: {high(seconds) * 1e3:,.0f}) | < {promised:,.0f} ms, {kept} |"

    size = middle([float(one) for one in found.received])
    kept = "kept" if found.packed < 64e3 else "**not kept**"
    return "\n".join(
        [
            "| GPT-2 small, random weights, live | measured | promised |",
            "|---|---|---|",
            f"| a plain forward pass of {SHOWN} tokens, in Python | {found.forward * 1e3:,.0f} ms | |",
            time_of(f"from a press in Look mode to the pattern on {SHOWN} tokens, painted", found.looked, 150),
            time_of("the same of a click, while the effect of the last selection is computed", found.clicked, 150),
            time_of(f"patterns of all 144 heads on {SHOWN} tokens", found.thumbnails, 1500),
            f"| a plain forward pass of {LONG} tokens | {found.forward_long * 1e3:,.0f} ms | |",
            f"| a pattern of {LONG} tokens, as it crosses | {kilobytes(found.packed)} | < 64 kB, {kept} |",
            f"| all that is received for a look at it, with JupyterLab's own messages | {kilobytes(size)} | |",
        ]
    )
