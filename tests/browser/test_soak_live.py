"""Deeds at random on a grid that reads texts: all that is shown is what the model does, and nothing grows.

Six hundred of them; `HEADGRID_DEEDS=2000` does as many as that.

Texts are typed, good ones and bad ones, rows and tabs are changed, patterns are shown in the cells and taken away,
heads are looked at and selected, and Python gives tasks of its own in between. After every twenty deeds all that is
shown is compared with what the model does.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import JSHandle

from .grids import Open
from .jupyterlab import Notebook
from .memory import WATCH, measure
from .test_soak import HANDS, QUICK_FRAMES, flat

DEEDS_IN_ALL = int(os.environ.get("HEADGRID_DEEDS", "600"))
TOGETHER = 20
HEADS = [f"l{layer}h{head}" for layer in (0, 1) for head in range(4)]
TEXTS = [
    "when mary and john went to the store , john gave a drink to",
    "when mary and john went to the store , mary gave a drink to",
    "the dog says",
    "a kitten is a young cat",
    "the dog the dog the dog the",
    "",
    " ".join(["dog"] * 200),
]
GRID = "import headgrid as hg\n\ngrid = hg.HeadGrid(*hg.demo())\ngrid"
STATE = f"""
import json

import numpy as np

model, tokenizer = grid.model, grid.tokenizer
TEXTS = {TEXTS!r}
NAMES = {{"answers": [" mary", " john"], "wrong": [" john", " mary"]}}
TASKS = [hg.Task(tokenizer, TEXTS[:2], **NAMES), hg.Task(tokenizer, TEXTS[2:4])]


def do(deed):
    if deed == "undo":
        grid.undo()
    elif isinstance(deed, int):
        grid.task = TASKS[deed]
    else:
        grid.select(deed)
    return "null"


def settled():
    with grid._state.lock:  # JupyterLab has messages of widgets handled beside what cells do
        return compared()


def compared():
    \"\"\"What is shown, once nothing is under way, beside what the model does.\"\"\"
    live, effect = grid.live, grid.effect
    busy = any(command["n"] > grid.history["done"] for command in grid.commands)
    busy = busy or grid.task_state["prompt"] != grid.prompt["n"]
    shown = grid.live_query["panel"] and grid.task is not None
    if shown:
        busy = busy or live["query"] != grid.live_query["n"] or live["focus"] != grid.focus["n"]
        busy = busy or live["pending"] or effect["pending"]
    if busy or not shown:
        return json.dumps({{"busy": busy, "shown": shown}})
    row = grid.task.rows([live["row"]])
    for head in live["heads"]:
        values = (np.frombuffer(head["values"], dtype=np.uint8) / 255) ** 2
        pattern = hg.attention(model, row, head["title"]).row(head["title"]).pattern.numpy()
        expected = pattern[np.tril_indices(len(pattern))]
        shown = live["tokens"], repr(grid.task), grid.task_state, live["row"]
        assert len(values) == len(expected), shown
        assert np.abs(values - expected).max() <= 1 / 255, shown
    assert effect["text"] == str(grid.selection), (effect["text"], str(grid.selection))
    if effect["modes"]:
        exact = hg.effect(model, grid.task, grid.selection, modes=["zero"], controls=0)
        assert abs(effect["modes"][0]["value"] - exact["zero"].mean) < 1e-4
    return json.dumps({{
        "busy": False, "shown": True, "tokens": len(live["tokens"]), "heads": [one["title"] for one in live["heads"]],
        "sentence": effect["sentence"], "error": grid.task_state["error"],
    }})
"""

DEEDS = """({ root, hands, kernel }) => {
  const named = (role, name) => [...root.querySelectorAll(role)].find(
    (one) => (one.ariaLabel ?? one.getAttribute("aria-label") ?? one.textContent).trim().startsWith(name));
  const python = async (expression) => {
    const asked = { code: "", silent: true, store_history: false, user_expressions: { value: expression } };
    const { content } = await kernel.requestExecute(asked).done;
    const { value } = content.user_expressions;
    if (value.status !== "ok") throw new Error(`${expression}: ${value.ename} ${value.evalue}`);
    return JSON.parse(eval(value.data["text/plain"]));
  };
  const act = async (deed) => {
    if (deed.what === "text") {
      const input = named("input", "Prompt");
      input.value = deed.text;
      input.dispatchEvent(new InputEvent("input", { bubbles: true }));
      input.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    } else if (deed.what === "press") named("button, [role=tab]", deed.name)?.click();
    else if (deed.what === "cells") {
      const menu = named("select", "Cells show") ?? root.querySelector("select");
      menu.selectedIndex = deed.at;
      menu.dispatchEvent(new Event("change", { bubbles: true }));
    } else await hands.act(deed);
    await new Promise((done) => setTimeout(done, 0));
  };
  const shown = () => {
    const panel = root.querySelector('[role=group][aria-label="Attention pattern"]');
    const alert = named("[role=alert]", "") && root.querySelector(".hg-prompt-error");
    return {
      tokens: panel?.querySelectorAll("[role=option]").length ?? 0,
      sentence: root.querySelector('[role=group][aria-label="Effect of the selection"]')?.textContent ?? "",
      error: alert && !alert.hidden ? alert.textContent : "",
    };
  };
  const agreed = async () => {
    const end = performance.now() + 60000;
    for (;;) {
      const there = await python("settled()");
      const here = shown();
      const same = !there.busy && (!there.shown || !there.heads.length || (here.tokens === there.tokens
        && here.sentence.includes(there.sentence) && here.error.includes(there.error)));
      if (same) return there;
      if (performance.now() > end) throw new Error(JSON.stringify({ here, there }));
      await new Promise((done) => setTimeout(done, 5));
    }
  };
  return { act, agreed };
}"""

EACH = """async (live, all) => { let shown = 0; for (const deeds of all) {
    for (const deed of deeds) await live.act(deed);
    const there = await live.agreed().catch(error => { throw new Error(`${JSON.stringify(deeds)}: ${error.message}`) });
    shown += there.shown && there.heads.length > 0;
} return shown }"""


def deeds(seed: int, n: int) -> list[list[dict[str, Any]]]:
    """Deeds at random, some at a time."""
    dice, done = random.Random(seed), []
    for _ in range(n):
        kind = dice.choices(
            ["look", "brush", "text", "row", "tab", "cells", "key", "python"], [34, 12, 14, 8, 6, 4, 10, 12]
        )[0]
        if kind == "look":
            deed: dict[str, Any] = {"what": "drag", "words": [dice.choice(HEADS)], "alt": dice.random() < 0.1}
        elif kind == "brush":
            deed = {"what": "drag", "words": dice.sample(HEADS, 2)}
        elif kind == "text":
            deed = {"what": "text", "text": dice.choice(TEXTS)}
        elif kind == "row":
            deed = {"what": "press", "name": dice.choice(["Next row", "Previous row"])}
        elif kind == "tab":
            deed = {"what": "press", "name": dice.choice(["Live", "Live", "OV"])}
        elif kind == "cells":
            deed = {"what": "cells", "at": dice.randrange(2)}
        elif kind == "key":
            deed = {"what": "key", "key": dice.choice(["z", "a", "Escape"]), "control": False}
            deed["control"] = deed["key"] == "z"
        else:
            deed = {"what": "python", "words": f"do({dice.choice([0, 1, 'undo', 'l1h2', 'l0h1 | l1h2', 'none'])!r})"}
        done.append(deed)
    return [done[start : start + TOGETHER] for start in range(0, n, TOGETHER)]


@pytest.fixture(scope="module")
def notebook(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("soak_live", [WATCH, GRID, STATE])
    notebook.page.evaluate(QUICK_FRAMES)
    yield notebook
    notebook.close()


@pytest.fixture
def live(notebook: Notebook) -> JSHandle:
    notebook.view().evaluate("node => node.scrollIntoView()")
    root = notebook.view().element_handle()
    kernel = "jupyterapp.shell.currentWidget.sessionContext.session.kernel"
    return notebook.page.evaluate_handle(
        f"([root]) => ({DEEDS})({{ root, kernel: {kernel}, hands: ({HANDS})(root, {kernel}) }})", [root]
    )


REST: list[list[dict[str, Any]]] = [
    [
        {"what": "press", "name": "Live"},
        {"what": "cells", "at": 0},
        {"what": "text", "text": TEXTS[0]},
        {"what": "python", "words": "do('l1h2')"},
        {"what": "drag", "words": ["l1h2"]},
    ]
]


@pytest.mark.timeout(1800)
def test_what_is_shown_of_texts_is_what_the_model_does_after_any_deeds_and_nothing_grows(
    notebook: Notebook, live: JSHandle
) -> None:
    notebook.run("watch()")
    held, shown = [], 0
    for seed in (21, 22, 23):
        shown += live.evaluate(EACH, deeds(seed, DEEDS_IN_ALL // 3))
        live.evaluate(EACH, REST)
        held.append(measure(notebook))
    print(json.dumps({"shown": shown}))
    assert shown > DEEDS_IN_ALL // 70
    flat(*held)
