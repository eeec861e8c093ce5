"""Two thousand commands of hands and of Python, at random: both sides agree, and nothing grows.

Six hundred are looked at one by one, against what each has to come to; a hundred of these are done by Chromium's own
mouse. The others follow one another without a pause wherever what they come to is known. Five hundred more come in
bursts of ten, Python's own in between, which is harder on both sides. But for the mouse, hands are events that the page
sends to itself, and its frames come at once.
"""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import JSHandle, expect

from .grids import GRID, SET_UP, Open, cell
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


Command = tuple[dict[str, Any], list[str]]
"""What is done, and the words that are selected after it."""


class Model:
    """What has to be selected after each command: a set of words, and those before and after it."""

    def __init__(self) -> None:
        self.on: frozenset[str] = frozenset()
        self.undone: list[frozenset[str]] = []
        self.before: deque[frozenset[str]] = deque(maxlen=200)
        self.looked: str | None = None  # the cell, or the header, that was pressed last

    def click(self, word: str) -> None:
        """A click on what is selected looks at it, but for one on what is looked at already."""
        if word not in self.on or self.looked == word:
            self.switch(frozenset([word]), word not in self.on)
        self.looked = word

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


def commands(seed: int, n: int, model: Model) -> Iterator[Command]:
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
            model.click(word)
        elif kind == "brush":
            rows, columns = sorted(dice.choices([0, 1], k=2)), sorted(dice.choices(range(8), k=2))
            corners = [LAYERS[rows[0]][columns[0]], LAYERS[rows[1]][columns[1]]]
            block = frozenset(
                word for row in LAYERS[rows[0] : rows[1] + 1] for word in row[columns[0] : columns[1] + 1]
            )
            command |= {"words": corners, "alt": dice.random() < 0.2}
            if len(block) == 1 and not command["alt"]:
                model.click(corners[0])
            else:
                model.switch(block, not command["alt"] and corners[0] not in model.on)
            model.looked = corners[0]
        elif kind == "header":
            at = dice.randrange(10)
            row = frozenset(LAYERS[at]) if at < 2 else frozenset(line[at - 2] for line in LAYERS)
            command["words"] = [f"#data-row='{at}'" if at < 2 else f"#data-column='{at - 2}'"]
            model.switch(row, not row <= model.on)
            model.looked = command["words"][0]
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


def runs(done: list[Command]) -> list[tuple[list[dict[str, Any]], list[str]]]:
    """Commands that need not wait for each other, and the words that are selected after the last of each run.

    A click switches what is shown, so it waits for the answer to an undo; Python's commands wait for all before them.
    """
    found: list[tuple[list[dict[str, Any]], list[str]]] = [([], [])]
    for command, words in done:
        last = found[-1][0]
        if command["what"] == "python" or (last and (last[-1]["what"] == "python" or last[-1].get("key") == "z")):
            found.append(([], []))
        found[-1] = ([*found[-1][0], command], words)
    return [run for run in found if run[0]]


@pytest.fixture(scope="module")
def notebook(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("soak", [SET_UP, WATCH, GRID, STATE])
    notebook.page.evaluate(QUICK_FRAMES)
    yield notebook
    notebook.close()


@pytest.fixture
def hands(notebook: Notebook) -> Iterator[JSHandle]:
    """The page's own hands on a new grid: nothing is selected, and nothing can be undone."""
    before = notebook.view().element_handle()
    notebook.run_all()
    before.wait_for_element_state("hidden")
    notebook.view().evaluate("node => node.scrollIntoView()")
    kernel = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    made = notebook.page.evaluate_handle(f"([root]) => ({HANDS})(root, {kernel})", [notebook.view().element_handle()])
    yield made
    made.dispose()


EACH = """async (hands, all) => { for (const [commands, words] of all) {
    for (const command of commands) await hands.act(command);
    await hands.agreed(words).catch(error => { throw new Error(`${JSON.stringify(commands)}: ${error.message}`) });
} }"""


def take_steps(notebook: Notebook, model: Model) -> None:
    """Has Python select so often that a grid has all the steps that it keeps."""
    taken = [words for _, words in commands(12, 500, Model())]
    for words in taken:
        model.set(frozenset(words))
    notebook.run(f"[grid.select(words) for words in {taken!r}][-1:0]")


def at_rest(notebook: Notebook, hands: JSHandle, model: Model) -> Held:
    """What is held when both sides show what they always do here: nothing selected, and one head described."""
    for command, on in (
        ({"what": "key", "key": "Escape"}, []),
        ({"what": "drag", "words": ["l1h2"]}, ["l1h2"]),
        ({"what": "drag", "words": ["l1h2"]}, []),
    ):
        hands.evaluate(EACH, [[[command], on]])
        model.set(frozenset(on))
        model.looked = "l1h2"
    inspector = notebook.view().get_by_role("group", name="Inspector")
    expect(inspector).to_contain_text("layer 1 head 2")
    expect(inspector.get_by_role("tabpanel")).to_have_attribute("aria-busy", "false")
    return measure(notebook)


def by_mouse(notebook: Notebook, command: dict[str, Any]) -> None:
    words, mouse = command["words"], notebook.page.mouse
    for word in dict.fromkeys((words[0], words[-1])):
        one = cell(notebook.view(), word)
        one.wait_for()  # the elements of cells are made anew where the room for the grid has changed
        box = one.bounding_box()
        assert box
        mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=1 if word == words[0] else 3)
        if word == words[0]:
            mouse.down()
    mouse.up()
    mouse.move(0, 0)  # Escape is to clear the selection, and not the tooltip of a hover


@pytest.mark.timeout(1800)
def test_both_sides_agree_after_each_command_and_nothing_grows(notebook: Notebook, hands: JSHandle) -> None:
    model = Model()
    for command, words in commands(5, 100, model):
        real = command["what"] == "drag" and not command.get("alt") and not command["words"][0].startswith("#")
        by_mouse(notebook, command) if real else hands.evaluate("(hands, command) => hands.act(command)", command)
        hands.evaluate("(hands, words) => hands.agreed(words)", words)
    held = [at_rest(notebook, hands, model)]
    for seed in (6, 7):
        hands.evaluate(EACH, [([command], words) for command, words in commands(seed, 250, model)])
        held.append(at_rest(notebook, hands, model))
    flat(*held)


@pytest.mark.timeout(1800)
def test_both_sides_agree_after_runs_of_commands_and_nothing_grows(notebook: Notebook, hands: JSHandle) -> None:
    model = Model()
    notebook.run("watch()")
    take_steps(notebook, model)
    held = [at_rest(notebook, hands, model)]
    for seed in (8, 9):
        hands.evaluate(EACH, runs(list(commands(seed, 700, model))))
        held.append(at_rest(notebook, hands, model))
    flat(*held)


@pytest.mark.timeout(1800)
def test_both_sides_agree_after_bursts_of_commands_that_wait_for_nothing(notebook: Notebook, hands: JSHandle) -> None:
    # A burst has no expected end, since Python may be told of a click before or after its own change: only that both
    # sides end alike, that every command was done, and that no cell is on that nothing switched on.
    burst = """async (hands, all) => { for (const command of all) {
        hands.act(command);
        if (Math.random() < 0.3) await new Promise(done => setTimeout(done, 3));
    } return await hands.agreed(null) }"""
    notebook.run("watch()")
    take_steps(notebook, Model())
    held = []
    for seed in (10, 11, 12):  # the first third replaces the steps of Python, which are larger
        done = [command for command, _ in commands(seed, 170, Model())]
        for start in range(0, 170, 10):
            assert set(hands.evaluate(burst, done[start : start + 10])) <= set(WORDS)
        held.append(at_rest(notebook, hands, Model()))
    flat(*held)


def flat(first: Held, middle: Held, last: Held) -> None:
    """Nothing grows from command to command, once what is kept of them, such as two hundred steps, is full."""
    grown = last - middle
    print(json.dumps([vars(one) for one in (first, middle, last)]))
    print(f"in the second half: {grown}")
    assert grown.threads <= 0
    assert grown.listeners <= 20
    assert grown.nodes <= 200
    assert grown.heap < 1000 * KB
    assert grown.python < 500 * KB
