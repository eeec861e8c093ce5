"""Two thousand commands of hands and of Python, at random: both sides agree after each, and nothing grows.

Each is looked at, against what it has to come to; a hundred are done by Chromium's own mouse. Five hundred more come in
bursts of ten without a pause, which is harder on both sides. But for the mouse, hands are events that the page sends to
itself, and its frames come at once.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import JSHandle

from .grids import GRID, Open, cell
from .jupyterlab import Notebook
from .memory import WATCH, Held, measure

KB = 1000

HANDS = (Path(__file__).parent / "hands.js").read_text()
QUICK_FRAMES = """
window.requestAnimationFrame = run => setTimeout(() => run(performance.now()), 0);
window.cancelAnimationFrame = asked => clearTimeout(asked);
"""
LAYERS = [
    [f"l{layer}{part}" for part in (" ln1", "h0", "h1", "h2", "h3", " attn rest", " ln2", " mlp")] for layer in (0, 1)
]
WORDS = ["embed", "pos", *LAYERS[0], *LAYERS[1], "ln_final", "unembed"]
STATE = f"""
import json

PARTS = {{word: grid.anatomy.select(word) for word in {WORDS!r}}}
NOTHING = grid.anatomy.select("none")


def state():
    held = [word for word, part in PARTS.items() if (part - grid.selection) == NOTHING]
    return json.dumps({{"held": held, "busy": any(command["n"] > grid.history["done"] for command in grid.commands)}})


def do(words):
    if words == "undo":
        grid.undo()
    elif words == "redo":
        grid.redo()
    else:
        grid.select(words)
    return "null"
"""


class Model:
    """What has to be selected after each command: a set of words, and those before and after it."""

    def __init__(self) -> None:
        self.on: frozenset[str] = frozenset()
        self.undone: list[frozenset[str]] = []
        self.before: deque[frozenset[str]] = deque(maxlen=200)

    def set(self, on: frozenset[str]) -> None:
        if on != self.on:
            self.before.append(self.on)
            self.undone.clear()
            self.on = on

    def undo(self) -> None:
        if self.before:
            self.undone.append(self.on)
            self.on = self.before.pop()

    def redo(self) -> None:
        if self.undone:
            self.before.append(self.on)
            self.on = self.undone.pop()

    def switch(self, words: frozenset[str], on: bool) -> None:
        self.set(self.on | words if on else self.on - words)


def commands(seed: int, n: int, model: Model) -> Iterator[tuple[dict[str, Any], list[str]]]:
    """Commands at random, and the words that are selected after each."""
    dice = random.Random(seed)
    for _ in range(n):
        kind = dice.choices(["click", "brush", "header", "undo", "redo", "key", "python"], [30, 20, 10, 16, 8, 4, 12])[
            0
        ]
        command: dict[str, Any] = {"what": "drag"}
        if kind == "click":
            word = dice.choice(WORDS)
            command["words"] = [word]
            model.switch(frozenset([word]), word not in model.on)
        elif kind == "brush":
            rows, columns = sorted(dice.choices([0, 1], k=2)), sorted(dice.choices(range(8), k=2))
            corners = [LAYERS[rows[0]][columns[0]], LAYERS[rows[1]][columns[1]]]
            block = frozenset(
                word for row in LAYERS[rows[0] : rows[1] + 1] for word in row[columns[0] : columns[1] + 1]
            )
            command |= {"words": corners, "alt": dice.random() < 0.2}
            model.switch(block, not command["alt"] and corners[0] not in model.on)
        elif kind == "header":
            at = dice.randrange(10)
            row = frozenset(LAYERS[at]) if at < 2 else frozenset(line[at - 2] for line in LAYERS)
            command["words"] = [f"#data-row='{at}'" if at < 2 else f"#data-column='{at - 2}'"]
            model.switch(row, not row <= model.on)
        elif kind in ("undo", "redo"):
            command = {"what": "key", "key": "z", "control": True, "shift": kind == "redo"}
            model.undo() if kind == "undo" else model.redo()
        elif kind == "key":
            key = dice.choice(["a", "i", "Escape"])
            command = {"what": "key", "key": key}
            everything = frozenset(WORDS)
            model.set({"a": everything, "i": everything - model.on, "Escape": frozenset()}[key])
        else:
            words: Any = dice.choice(["undo", "redo", *[dice.sample(WORDS, dice.randrange(1, 6))] * 4])
            command = {"what": "python", "words": f"do({words!r})"}
            model.undo() if words == "undo" else model.redo() if words == "redo" else model.set(frozenset(words))
        yield command, sorted(model.on)


@pytest.fixture(scope="module")
def notebook(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("soak", [WATCH, GRID, STATE])
    notebook.page.evaluate(QUICK_FRAMES)
    yield notebook
    notebook.close()


@pytest.fixture
def hands(notebook: Notebook) -> Iterator[JSHandle]:
    """The page's own hands on a grid in which nothing is selected; history and all else begin anew."""
    notebook.view().wait_for()
    run = "asked => jupyterapp.shell.currentWidget.sessionContext.session.kernel.requestExecute(asked).done"
    made = notebook.page.evaluate_handle(f"([root]) => ({HANDS})(root, {run})", [notebook.view().element_handle()])
    yield made
    made.dispose()


def by_mouse(notebook: Notebook, command: dict[str, Any]) -> None:
    words, mouse = command["words"], notebook.page.mouse
    for word in dict.fromkeys((words[0], words[-1])):
        box = cell(notebook.view(), word).bounding_box()
        assert box
        mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=1 if word == words[0] else 3)
        if word == words[0]:
            mouse.down()
    mouse.up()
    mouse.move(0, 0)  # Escape is to clear the selection, and not the tooltip of a hover


@pytest.mark.timeout(1800)
def test_both_sides_agree_after_each_command_and_nothing_grows(notebook: Notebook, hands: JSHandle) -> None:
    model = Model()
    done = list(commands(5, 2000, model))
    for command, words in done[:100]:
        real = command["what"] == "drag" and not command.get("alt") and not command["words"][0].startswith("#")
        by_mouse(notebook, command) if real else hands.evaluate("(hands, command) => hands.act(command)", command)
        hands.evaluate("(hands, words) => hands.agreed(words)", words)
    each = """async (hands, all) => { for (const [command, words] of all) {
        await hands.act(command);
        await hands.agreed(words).catch(error => { throw new Error(JSON.stringify(command), { cause: error }) });
    } }"""
    held: list[Held] = []
    for start in range(100, 2000, 50):
        hands.evaluate(each, done[start : start + 50])
        held.append(measure(notebook))
    flat(held)


def test_both_sides_agree_after_bursts_of_commands_that_wait_for_nothing(notebook: Notebook, hands: JSHandle) -> None:
    # A burst has no expected end, since Python may be told of a click before or after its own change: only that both
    # sides end alike, that every command was done, and that no cell is on that nothing switched on.
    burst = """async (hands, all) => { for (const [command] of all) {
        hands.act(command);
        if (Math.random() < 0.3) await new Promise(done => setTimeout(done, 3));
    } return await hands.agreed(null) }"""
    done = list(commands(6, 500, Model()))
    held: list[Held] = []
    for start in range(0, 500, 10):
        assert set(hands.evaluate(burst, done[start : start + 10])) <= set(WORDS)
        if start % 50 == 40:
            held.append(measure(notebook))
    flat(held)


def flat(held: list[Held]) -> None:
    """Nothing grows from command to command, once what is kept of them, such as two hundred steps, is full."""
    grown = held[-1] - held[len(held) // 2]
    print(json.dumps([vars(one) for one in (held[0], held[len(held) // 2], held[-1])]))
    print(f"in the second half: {grown}")
    assert grown.threads <= 0
    assert grown.listeners <= 20
    assert grown.nodes <= 200
    assert grown.heap < 1000 * KB
    assert grown.python < 500 * KB
