"""What heads do on a text, in a real notebook: from a press to a pattern, to the thumbnails of all heads, and bytes.

The model is live: GPT-2 small's shape with random weights, on one thread of the processor. In Look mode a press asks
for the pattern alone. After it the types of the head are read, ten passes on shuffled texts, and a plain click also has
the effect of the selection measured beside twenty random sets: a press in the middle of these has its pattern first.
No pattern can be had sooner than by the passes up to its layer, so a forward pass of the same text stands beside.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from contestants import HEADGRID
from frames import CATEGORIES, Frame, per_step
from race import log
from stage import LIMIT, PACE, NeverError, Server, Stage
from tables import high, kilobytes, middle

LAYERS = HEADS = 12
SHOWN, LONG = 64, 256
STEPS = 30
# heads of all layers, in no order, each of them once
ORDER = [(layer, (5 * layer + 3 * turn) % HEADS) for turn in range(HEADS) for layer in (5, 2, 9, 0, 7, 11, 4, 8, 1, 10)]

PREPARE = f"""
torch.set_num_threads(1)
torch.manual_seed(0)
given = transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()

def task(n, seed=0):
    ids = torch.randint(0, 50257, (1, n), generator=torch.Generator().manual_seed(n + 1000 * seed))
    return hg.Task(None, ids, answers=[7], metric="log_prob")

def forward(n):
    ids, times = torch.randint(0, 50257, (1, n)), []
    for _ in range(5):
        start = time.perf_counter(), time.process_time()
        with torch.no_grad():
            given(input_ids=ids, use_cache=False)
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return [sorted(one)[2] for one in zip(*times)]

def watch(widget):
    "Seconds of this process's CPU from each question about a head until its pattern is sent."
    def asked(change):
        asked.cell, asked.at = change["new"]["cell"], time.process_time()
    def answered(change):
        heads = change["new"]["heads"]
        if heads and heads[0]["cell"] == asked.cell and asked.at:
            cpu.append(time.process_time() - asked.at)
            asked.at = 0
    cpu, asked.cell, asked.at = [], -1, 0
    widget.observe(asked, "focus")
    widget.observe(answered, "live")
    return cpu

def lanes(widget):
    "What is read, and what waits for it."
    worker = widget._scheduler.worker
    return [*(turn.lane for turn in worker._running), *worker._waiting]

shape = ({LAYERS}, {HEADS})
"""


@dataclass
class Looks:
    """From a press on a head to its pattern, painted; and the kernel's CPU from the question to the answer. Seconds."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass
class Found:
    """What was measured; times in seconds, sizes in bytes."""

    forward: tuple[float, float] = (0.0, 0.0)
    forward_long: tuple[float, float] = (0.0, 0.0)
    idle: Looks = field(default_factory=Looks)
    types: Looks = field(default_factory=Looks)
    effect: Looks = field(default_factory=Looks)
    sweep: Looks = field(default_factory=Looks)
    thumbnails: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    received: list[float] = field(default_factory=list)
    packed: int = 0
    shifts: list[dict[str, Any]] = field(default_factory=list)


def measure(server: Server, context: Any, repeats: int) -> Found:
    stage = Stage(server, context, HEADGRID, LAYERS, HEADS, prepare=PREPARE)
    heads, found, run = cycle(ORDER), Found(), stage.notebook.run
    try:
        found.forward, found.forward_long = run(f"forward({SHOWN})"), run(f"forward({LONG})")
        stage.show()
        stage.page.evaluate("bench.watchShifts()")
        # a grid of so few heads opens by measuring the effect of each, which is asked for below
        run(f"(widget.color_by(None), setattr(widget, 'task', task({SHOWN})), globals().update(cpu=watch(widget)))[1]")
        _look_mode(stage)
        _look(stage, heads, Looks())  # what is imported at the first is not counted
        for n in range(repeats):
            _rest(stage)
            _look(stage, heads, found.idle)
            _during(stage, "live")
            _look(stage, heads, found.types)
            log(f"live: {n + 1} of {repeats}")
        for n in range(repeats):
            run(f"widget.select('l{n % LAYERS}h{n % HEADS}')")
            _during(stage, "effect")
            _look(stage, heads, found.effect)
        run("widget.select('none')")
        found.shifts = stage.page.evaluate("shifts")
        _thumbnails(stage, found, repeats)  # for which the cells grow: a shift that is asked for
        run("widget.set_state({'recolor': {'n': 1, 'metric': 'effect', 'ln': 'folded'}})")
        for _ in range(repeats):
            _during(stage, "colors")
            _look(stage, heads, found.sweep)
        run("widget.color_by(None)")
        _long(stage, heads, found)
    finally:
        stage.close()
    return found


def _look_mode(stage: Stage) -> None:
    stage.page.get_by_role("button", name="Look", exact=True).click()


def _rest(stage: Stage) -> None:
    """Until nothing is read that a press may wait for; token pairs and weights are looked at between its passes."""
    stage.notebook.wait_until("not {'live', 'focus', 'effect', 'thumbnails'} & set(lanes(widget))", 4 * LIMIT)


def _during(stage: Stage, lane: str) -> None:
    stage.notebook.wait_until(f"{lane!r} in lanes(widget)", LIMIT)


def _look(stage: Stage, heads: Iterator[tuple[int, int]], looks: Looks) -> None:
    row, column = next(heads)
    word, before = f"l{row}h{column}", stage.notebook.run("len(cpu)")
    stage.page.evaluate("([word, limit]) => { window.painted = bench.pattern(word, limit) }", [word, LIMIT * 1e3])
    stage.press(row, column)
    painted = stage.page.evaluate("painted")
    if painted is None:
        state = stage.notebook.run("[lanes(widget), widget.live_query, widget.focus, widget.live['pending']]")
        raise NeverError(f"no pattern of {word} within {LIMIT:.0f} s: {json.dumps(state)}")
    looks.wall.append(painted / 1e3)
    looks.cpu += stage.notebook.run(f"cpu[{before}:]")


def _thumbnails(stage: Stage, found: Found, repeats: int) -> None:
    menu = stage.page.get_by_label("Cells show")
    for n in range(repeats + 1):
        stage.notebook.run(f"setattr(widget, 'task', task({SHOWN}, {n}))")
        _rest(stage)
        took = stage.page.evaluate(
            "([last, limit]) => bench.thumbnails(last, limit)", [f"l{LAYERS - 1}h{HEADS - 1}", LIMIT * 1e3]
        )
        if took is None:
            raise NeverError(f"no thumbnails within {LIMIT:.0f} s")
        if n:  # the first also makes the cells larger
            found.thumbnails.append(took["drawn"] / 1e3)
            found.told += [took["told"] / 1e3] if took["told"] is not None else []
        menu.select_option("")
        stage.settle()


def _long(stage: Stage, heads: Iterator[tuple[int, int]], found: Found) -> None:
    """Bytes and frames on a longer text."""
    stage.notebook.run(f"setattr(widget, 'task', task({LONG}))")
    for _ in range(2):
        stage.wire.start()
        _look(stage, heads, Looks())
        found.received.append(stage.wire.bytes.received)
        _rest(stage)
        stage.wire.stop(stage.page)
    found.packed = stage.notebook.run("max(len(head['values']) for head in widget.live['heads'])")
    box = stage.page.locator(".hg-live-tab .hg-map canvas").bounding_box()
    browser = stage.page.context.browser
    assert box
    assert browser
    stage.page.mouse.move(box["x"] + 2, box["y"] + 2)
    stage.settle()
    browser.start_tracing(page=stage.page, categories=CATEGORIES)
    for step in range(STEPS):
        x = box["width"] * ((7 * step) % STEPS + 0.5) / STEPS
        stage.page.mouse.move(box["x"] + x, box["y"] + box["height"] * (step + 0.5) / STEPS)
        time.sleep(PACE)
    found.frames = per_step(browser.stop_tracing())


def table(found: Found) -> str:
    def kept(value: float, promised: float, unit: str) -> str:
        return f"< {promised:,g} {unit}, {'kept' if value < promised else '**not kept**'}" if promised else ""

    def ms(seconds: float) -> str:
        return f"{seconds * 1e3:,.0f} ms"

    def look(what: str, looks: Looks, promised: float = 0.0) -> str:
        at, cpu = middle(looks.wall), middle(looks.cpu)
        took = f"{ms(at)}, 95%: {ms(high(looks.wall))}; {ms(cpu)} of CPU, x {cpu / found.forward[1]:.2f}"
        return f"| {what} | {took} | {kept(at * 1e3, promised, 'ms')} |"

    def forward(n: int, took: tuple[float, float]) -> str:
        return f"| a plain forward pass of {n} tokens, in Python | {ms(took[0])}; {ms(took[1])} of CPU | |"

    small, told = middle(found.thumbnails), middle(found.told)
    cpu, wall = [frame.cpu for frame in found.frames], [frame.wall for frame in found.frames]
    ours = [shift["value"] for shift in found.shifts if shift["isOurs"] and not shift["hadRecentInput"]]
    after = [shift["value"] for shift in found.shifts if shift["isOurs"] and shift["hadRecentInput"]]
    lines = [
        forward(SHOWN, found.forward),
        look(f"from a press to the pattern of {SHOWN} tokens, painted", found.idle, 150),
        look("the same while the types of the last head are read", found.types),
        look("the same while the effect of the selection is measured", found.effect),
        look("the same while the effect of each head is measured", found.sweep),
        f"| thumbnails of all {LAYERS * HEADS} heads on {SHOWN} tokens | {ms(small)}, 95%: "
        f"{ms(high(found.thumbnails))}; announced after {ms(told)} | {kept(small * 1e3, 1500, 'ms')} |",
        forward(LONG, found.forward_long),
        f"| a frame of hovering over {LONG} x {LONG}, CPU, median / 95% | {middle(cpu):.1f} / {high(cpu):.1f} ms | "
        f"{kept(high(cpu), 16, 'ms')} |",
        f"| the same by the clock | {middle(wall):.1f} / {high(wall):.1f} ms | |",
        f"| a pattern of {LONG} tokens, packed | {kilobytes(found.packed)} | |",
        f"| all that is received from a press until it is painted | {kilobytes(middle(found.received))} | "
        f"{kept(middle(found.received) / 1e3, 64, 'kB')} |",
        f"| the largest layout shift that no press caused | {max(ours, default=0.0):.3f} | "
        f"{kept(max(ours, default=0.0), 0.02, 'of the page')} |",
        f"| the largest within half a second of a press | {max(after, default=0.0):.3f} | |",
    ]
    return "\n".join(["| GPT-2 small, random weights, live | measured | promised |", "|---|---|---|", *lines])
