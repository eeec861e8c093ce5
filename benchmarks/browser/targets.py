"""headgrid by itself, at the size of the largest open models with experts: beside what it promises."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contestants import HEADGRID
from frames import Frame
from race import BLOCK, CLICKS, log
from stage import Bytes, Server, Stage
from tables import high, kilobytes, middle

import headgrid

STATIC = Path(headgrid.__file__).parent / "widget" / "static"


@dataclass
class Alone:
    """What was measured; times in seconds, sizes in bytes."""

    dissected: list[float] = field(default_factory=list)
    built: list[float] = field(default_factory=list)
    first: float = 0.0
    arrived: list[float] = field(default_factory=list)
    displayed: list[float] = field(default_factory=list)
    rested: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    drawn: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    undone: list[float] = field(default_factory=list)
    undo_drawn: list[float] = field(default_factory=list)
    undo_python: list[float] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    released: list[float] = field(default_factory=list)
    shown: Bytes = field(default_factory=Bytes)
    first_click: Bytes = field(default_factory=Bytes)
    clicked: Bytes = field(default_factory=Bytes)
    sizes: dict[str, int] = field(default_factory=dict)
    heap: float = 0.0
    kept: float = 0.0


def measure(server: Server, context: Any, repeats: int, layers: int = 126, heads: int = 128) -> Alone:
    stage = Stage(server, context, HEADGRID, layers, heads, prepare=f"given = mixture({layers}, {heads})")
    alone, run = Alone(), stage.notebook.run
    try:
        for _ in range(repeats):
            alone.dissected.append(run("timed(lambda: hg.dissect(given))"))
        run("globals().update(anatomy=hg.dissect(given))")
        for _ in range(repeats):
            alone.built.append(run("timed(lambda: hg.HeadGrid(anatomy))"))
        _first(stage, alone)
        heaps = []
        for repeat in range(repeats):
            stage.clear()
            heaps.append(_heap(stage))
            _again(stage, alone)
            log(f"targets: {repeat + 1} of {repeats}")
        stage.clear()
        alone.kept = (_heap(stage) - heaps[0]) / repeats
        for _ in range(repeats):
            stage.clear()
            alone.rested.append(stage.cost(stage.show).cpu / 1e3)
    finally:
        stage.close()
    return alone


def _first(stage: Stage, alone: Alone) -> None:
    stage.clear()
    empty = _heap(stage)
    stage.wire.start()
    alone.first = stage.show()["painted"]
    alone.shown = stage.wire.stop(stage.page)
    for column in (1, 2, 3):
        stage.wire.start()
        stage.press(1, column)
        alone.clicked = stage.wire.stop(stage.page)
        if column == 1:
            alone.first_click = alone.clicked
    alone.sizes = stage.notebook.run("sizes(widget)")
    alone.heap = _heap(stage) - empty


def _again(stage: Stage, alone: Alone) -> None:
    times = stage.show()
    alone.arrived.append(times["painted"] - times["known"])
    alone.displayed.append(times["painted"] - times["displayed"])
    for row, column in CLICKS:
        changed = _changed(stage, "pointerdown", row, column)
        alone.clicks.append(stage.click(row, column))
        alone.drawn.append(changed()["seen"] / 1e3)
        alone.waits.append(changed()["frames"])
    before, changed = stage.notebook.run("len(seen)"), _changed(stage, "keydown", *CLICKS[-1])
    stage.page.keyboard.press("Control+z")
    alone.undone.append(stage.observed(before, "keydown"))
    alone.undo_drawn.append(changed()["seen"] / 1e3)
    alone.undo_python.append(stage.notebook.run("timed(widget.undo)"))
    frames, released = stage.brush(BLOCK)
    alone.frames += frames
    alone.released.append(released)


def _changed(stage: Stage, event: str, row: int, column: int) -> Any:
    """Watches a cell's pixels from the next event of a type on; what is returned waits for what was found."""
    at = stage.place(row, column)
    stage.page.mouse.move(at["x"], at["y"])
    stage.settle()
    stage.page.evaluate(
        "([kind, event, x, y]) => { window.changed = bench.changed(kind, event, x, y) }",
        [stage.who.kind, event, at["x"], at["y"]],
    )
    return lambda: stage.page.evaluate("changed")


def _heap(stage: Stage) -> float:
    stage.cdp.send("HeapProfiler.collectGarbage")
    return float(stage.cdp.send("Runtime.getHeapUsage")["usedSize"])


def _line(what: str, text: str, value: float = 0.0, promised: float = 0.0, unit: str = "ms") -> str:
    promise = f"< {promised:g} {unit}, {'kept' if value < promised else '**not kept**'}" if promised else ""
    return f"| {what} | {text} | {promise} |"


def _time(what: str, seconds: list[float], promised: float = 0.0) -> str:
    value = middle(seconds) * 1e3
    return _line(what, f"{value:,.{0 if value >= 100 else 1}f} ms", value, promised)


def _size(what: str, count: float, promised: float = 0.0) -> str:
    return _line(what, kilobytes(count), count / 1e3, promised, "kB")


def table(alone: Alone) -> str:
    cpu, wall = [frame.cpu for frame in alone.frames], [frame.wall for frame in alone.frames]
    code, sheet = ((STATIC / name).stat().st_size for name in ("widget.js", "widget.css"))
    lines = [
        _time("first paint after the message that displays it", alone.displayed, 150),
        _time("first paint after its data arrive, which is earlier", alone.arrived, 150),
        _time("the main thread's CPU from the cell's start until it rests", alone.rested),
        _line("a brush's frame, CPU of script and paint, median", f"{middle(cpu):.1f} ms"),
        _line("the same, 95th percentile", f"{high(cpu):.1f} ms", high(cpu), 16),
        _line("the same by the clock, median / 95%", f"{middle(wall):.1f} / {high(wall):.1f} ms", high(wall), 16),
        _time("a brush's release to Python's observer", alone.released),
        _time("a click to Python's observer", alone.clicks, 50),
        _line("frames from a press to its cell's paint", f"{middle(alone.waits):g}", middle(alone.waits), 2, "frames"),
        _time("a press to its cell's paint", alone.drawn),
        _time("Ctrl+Z to Python's observer", alone.undone),
        _time("Ctrl+Z to its cell's paint", alone.undo_drawn),
        _size("initial state beyond the bundle", alone.sizes["state"] + alone.sizes["buffers"], 50),
        _size("of that, the spec", alone.sizes["spec"]),
        _size("a click, sent", alone.clicked.sent, 4),
        _size("a click, received, with JupyterLab's own messages", alone.clicked.received),
        _size("the first click, both ways", alone.first_click.total),
        _size("in a saved notebook, beyond the bundle", alone.sizes["saved"] + alone.sizes["picture"], 100),
        _size("of that, the picture for where there are no widgets", alone.sizes["picture"]),
        _size("the bundle, `widget.js`", code, 104),
        _size("the same with its style sheet, `widget.css`", code + sheet),
        _size("all that is received to show it", alone.shown.received),
        _size("JavaScript's heap of a grid", alone.heap),
        _size("JavaScript's heap for each grid that was closed", alone.kept),
        _time("`hg.dissect(config)`, CPU of Python", alone.dissected),
        _time("`hg.HeadGrid(anatomy)`, CPU of Python", alone.built),
        _time("`grid.undo()`, CPU of Python", alone.undo_python),
        _time("the first run on a page, from `hg.HeadGrid(config)` to its paint", [alone.first]),
    ]
    return "\n".join(["| 126 x 128, 64 experts | measured | promised |", "|---|---|---|", *lines])
