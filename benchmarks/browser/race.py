"""All contestants in turn, size by size: what each of them took, as medians of one run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from contestants import Contestant
from frames import Frame
from stage import Bytes, NeverError, Server, Stage

CLICKS = [(2, 1), (3, 7), (8, 4), (5, 10)]
BLOCK = 20


@dataclass
class Took:
    """What one contestant took at one size; times in seconds."""

    first: float = float("nan")
    run: list[float] = field(default_factory=list)
    data: list[float] = field(default_factory=list)
    clicks: list[float] = field(default_factory=list)
    frames: list[Frame] = field(default_factory=list)
    released: list[float] = field(default_factory=list)
    shown: Bytes = field(default_factory=Bytes)
    first_click: Bytes = field(default_factory=Bytes)
    clicked: Bytes = field(default_factory=Bytes)
    never: str = ""


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Race:
    """All contestants at one size: each is shown once for its bytes, and then all in turn, again and again."""

    def __init__(self, server: Server, context: Any, contestants: list[Contestant], layers: int, heads: int) -> None:
        self._server, self._context, self._shape = server, context, (layers, heads)
        self._stages: dict[str, Stage] = {}
        self.took = {who.kind: Took() for who in contestants}
        for who in contestants:
            self._attempt(who, self._first)

    def again(self) -> None:
        for stage in self._stages.values():
            if not self.took[stage.who.kind].never:
                self._attempt(stage.who, self._timed)

    def close(self) -> None:
        for stage in self._stages.values():
            stage.close()

    def _attempt(self, who: Contestant, run: Callable[[Contestant], None]) -> None:
        try:
            run(who)
        except NeverError as never:
            self.took[who.kind].never = str(never)
            log(f"{who.name}: {never}; it is left out of what follows")

    def _first(self, who: Contestant) -> None:
        """Not timed with the others: code is loaded, and to count bytes takes time itself."""
        stage = self._stages[who.kind] = Stage(self._server, self._context, who, *self._shape)
        log(f"{who.name}: clocks {stage.before_python * 1e3:+.2f} ms, +-{stage.doubt * 1e3:.2f}")
        took = self.took[who.kind]
        stage.wire.start()
        took.first = stage.show()["painted"]
        took.shown = stage.wire.stop(stage.page)
        took.first_click = self._bytes_of_a_click(stage, 1)
        took.clicked = self._bytes_of_a_click(stage, 2)
        if stage.notebook.run("count(widget)") not in (1, 2):
            raise RuntimeError(f"{who.name}: two clicks did not select")

    def _bytes_of_a_click(self, stage: Stage, column: int) -> Bytes:
        stage.wire.start()
        stage.press(1, column)
        return stage.wire.stop(stage.page)

    def _timed(self, who: Contestant) -> None:
        stage, took = self._stages[who.kind], self.took[who.kind]
        stage.page.bring_to_front()
        stage.clear()
        times = stage.show()
        took.run.append(times["painted"])
        took.data.append(times["painted"] - times["displayed"])
        took.clicks += [stage.click(*at) for at in CLICKS]
        if who.brushes:
            frames, released = stage.brush(min(BLOCK, *self._shape))
            took.frames += frames
            took.released.append(released)


Results = dict[tuple[int, int], dict[str, Took]]


def race(
    server: Server, context: Any, contestants: list[Contestant], sizes: list[tuple[int, int]], repeats: int
) -> Results:
    """What each took at each size; who does not get there in time is not asked to at the next one."""
    results: Results = {}
    for layers, heads in sizes:
        log(f"{layers} x {heads}")
        here = Race(server, context, contestants, layers, heads)
        for repeat in range(repeats):
            here.again()
            log(f"{layers} x {heads}: {repeat + 1} of {repeats}")
        here.close()
        results[layers, heads] = here.took
        contestants = [who for who in contestants if not here.took[who.kind].never]
    return results
