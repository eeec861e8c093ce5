"""The hands at a browser, as messages: commands, and a browser that shows, asks and sends as the real one does."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np

import headgrid as hg
from headgrid.anatomy.anatomy import Bools
from headgrid.widget.wire.commands import cells_of
from headgrid.widget.wire.schema import Command, Do, pack, unpack


def command(n: int, do: Do = "undo", name: str = "", value: str = "", off: str = "", by: str = "one") -> Command:
    return {"n": n, "by": by, "do": do, "name": name, "value": value, "off": off}


def piece(bits: Bools) -> str:
    """The cells of a command."""
    return f"0:{base64.b64encode(pack(bits)).decode()}"


def cell(grid: hg.HeadGrid, word: str) -> int:
    """The number of the cell of a word."""
    return next(i for i in range(grid._state.cells.n_cells) if grid._state.cells.describe(i)[0].strip() == word)


def ask(grid: hg.HeadGrid, n: int, text: str) -> None:
    """What a browser sends whose user types a text."""
    grid.set_state({"commands": [command(n, "query", value=text)]})


def click(grid: hg.HeadGrid, *words: str) -> None:
    """What a browser sends whose user switches some cells at once."""
    browser = Browser(grid)
    browser.click(*words)
    browser.send()


class Browser:
    """What a browser does: it shows edits at once, asks for commands until they are done, and sends what changed."""

    def __init__(self, grid: hg.HeadGrid, by: str = "one") -> None:
        self.grid, self.by, self.asked = grid, by, list[Command]()
        self.changed: dict[str, Any] = {}
        self.hear(grid.cells, grid.history["done"])

    @property
    def waiting(self) -> list[Command]:
        return [command for command in self.asked if command["n"] > self.done]

    @property
    def on(self) -> Bools:
        """The cells as they are shown."""
        shown = self._bits(self.cells)
        for asked in self.waiting:
            if asked["do"] in ("edit", "only"):
                on, off = (self._bits(cells_of(asked[of], len(self.cells))) for of in ("value", "off"))  # type: ignore[literal-required]
                shown = on if asked["do"] == "only" else (shown & ~off) | on
        return shown

    def _bits(self, cells: bytes) -> Bools:
        return unpack(cells, self.grid._state.cells.n_cells)

    def ask(self, do: Do, name: str = "", value: str = "", off: str = "") -> Command:
        n = max([self.done, *(command["n"] for command in self.asked)]) + 1
        self.asked = [*self.waiting, command(n, do, name, value, off, self.by)]
        self.changed["commands"] = self.asked
        return self.asked[-1]

    def click(self, *words: str) -> None:
        on, next_ = self.on, self.on.copy()
        for word in words:
            next_[cell(self.grid, word)] ^= True
        self.ask("edit", value=piece(next_ & ~on), off=piece(on & ~next_))

    def only(self, *words: str) -> None:
        bits = np.zeros_like(self.on)
        for word in words:
            bits[cell(self.grid, word)] = True
        self.ask("only", value=piece(bits))

    def post(self) -> None:
        """One message with all that changed, as a kernel gets it that was busy."""
        message, self.changed = self.changed, {}
        self.grid.set_state(message)

    def hear(self, cells: bytes, done: int) -> None:
        """What Python said."""
        self.cells, self.done = cells, done

    def send(self) -> None:
        """A message, and its answer."""
        self.post()
        self.hear(self.grid.cells, self.grid.history["done"])
