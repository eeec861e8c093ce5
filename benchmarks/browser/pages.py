"""Pages with the attention of every head of a model on one prompt: headgrid, BertViz and CircuitsVis, in turn.

    .venv/bin/pip install --no-deps bertviz==1.4.1 circuitsvis==1.43.3   # in a copy of .venv
    .venv/bin/python benchmarks/browser/pages.py --scripts FOLDER --screenshots FOLDER

All are given one model and one prompt: GPT-2 small's heads with random weights. A page counts as opened one frame after
the last head has its pattern. BertViz loads d3, jQuery and RequireJS from another host: FOLDER holds `d3.min.js`,
`jquery.min.js` and `require.min.js`, which are given in their place. The size of a page that is larger than any that a
browser opens is that of some of its layers, times the layers.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from playwright.sync_api import Browser, Route, sync_playwright
from stage import FLAGS, VIEWPORT, chromium
from tables import high, kilobytes, middle

import headgrid as hg

LIMIT = 120.0  # seconds until a page counts as one that does not open
SLOW = 10.0  # seconds of the processor of a page that is opened once, and not again
LARGEST = 500e6  # bytes of a page; the longest string of Chromium has 2**29 letters
# layers, heads, tokens; headgrid's cells of less than 28 px have no patterns until one zooms in, and are not opened
SIZES = ((12, 12, 64), (32, 32, 256))

SAID = "opened after "  # what a page says in its console

Model = transformers.GPT2LMHeadModel


def model_of(layers: int, heads: int, tokens: int) -> tuple[Model, torch.Tensor]:
    """A model of random weights, and a prompt: what its heads attend to is far from even, as of trained ones."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        n_layer=layers, n_head=heads, n_embd=16 * heads, n_positions=tokens, vocab_size=1000,
        initializer_range=0.2, bos_token_id=0, eos_token_id=0, attn_implementation="eager",
    )  # fmt: skip
    return Model(config).eval(), torch.randint(1, 1000, (1, tokens))


def patterns(model: Model, ids: torch.Tensor, layers: int) -> list[torch.Tensor]:
    with torch.no_grad():
        return list(model(input_ids=ids, output_attentions=True).attentions[:layers])


def headgrid(model: Model, ids: torch.Tensor, layers: int) -> str:
    """The grid with a pattern in each cell."""
    del layers  # as many patterns as a page of headgrid has, it chooses by itself
    grid = hg.HeadGrid(model, task=hg.Task(None, ids))
    grid.color_by(None)
    grid.set_state({"_view_count": 1, "live_query": {"n": 1, "row": 0, "panel": False, "thumbnails": True}})
    grid._scheduler.worker.join_idle()
    page = grid.to_html()
    grid.close()
    assert page
    return page


def bertviz(model: Model, ids: torch.Tensor, layers: int) -> str:
    """Its view of all heads of a model."""
    from bertviz import model_view

    words = [f"#{one}" for one in ids[0].tolist()]
    return str(model_view(patterns(model, ids, layers), words, html_action="return").data)


def circuitsvis(model: Model, ids: torch.Tensor, layers: int) -> str:
    """Its small multiples of heads, with its script in the page."""
    from circuitsvis.attention import attention_heads

    words = [f"#{one}" for one in ids[0].tolist()]
    names = [f"l{layer}h{head}" for layer in range(layers) for head in range(model.config.n_head)]
    return str(attention_heads(torch.cat(patterns(model, ids, layers)).flatten(0, 1), words, names).local_src)


# whether the last of so many heads has its pattern
OPENED = {
    "headgrid": """heads => {
        const cell = [...document.querySelectorAll("[role=gridcell][data-word]")].filter(
          (one) => /^l\\d+h\\d+$/.test(one.dataset.word)).at(-1)?.getBoundingClientRect();
        const canvas = document.querySelector(".hg-viewport canvas");
        if (!cell || !canvas?.width) return false;
        const box = canvas.getBoundingClientRect(), ratio = canvas.width / box.width;
        const corner = [cell.x + cell.width / 4 - box.x, cell.y + cell.height / 4 - box.y];
        const scaled = (lengths) => lengths.map((length) => Math.round(length * ratio));
        const [at, size] = [scaled(corner), scaled([cell.width / 2, cell.height / 2])];
        const { data } = canvas.getContext("2d").getImageData(...at, ...size);
        return new Set(new Uint32Array(data.buffer)).size > 2;
    }""",
    "bertviz": """() => document.querySelector("#vis svg line") !== null""",  # one task draws all of them
    "circuitsvis": """heads => {
        const all = [...document.querySelectorAll("canvas, img")];
        return all.length >= heads && all.at(-1).getBoundingClientRect().width > 0;
    }""",
}  # fmt: skip

WATCH = """
(() => {
  const isThere = %s;
  const look = () => {
    if (document.body && isThere(%d)) requestAnimationFrame(() => console.log("%s" + performance.now()));
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""


@dataclass
class Took:
    """What a page took; seconds, and bytes."""

    bytes: float = 0.0
    opened: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    heap: float = 0.0
    nodes: int = 0
    never: str = ""


MAKERS: dict[str, Callable[[Model, torch.Tensor, int], str]] = {
    "headgrid": headgrid, "bertviz": bertviz, "circuitsvis": circuitsvis,
}  # fmt: skip


def opened(browser: Browser, kind: str, path: Path, heads: int, scripts: Path | None, shot: Path | None) -> Took:
    """Opens a page. What it takes is asked of the browser: a page that draws for minutes answers nothing."""
    page = browser.new_page(viewport=VIEWPORT)
    asked, said, took = browser.new_browser_cdp_session(), list[str](), Took()
    page.on("console", lambda message: said.append(message.text) if message.text.startswith(SAID) else None)

    def cpu() -> float:
        processes = asked.send("SystemInfo.getProcessInfo")["processInfo"]
        return float(sum(one["cpuTime"] for one in processes if one["type"] == "renderer"))

    def give(route: Route) -> None:
        file = scripts and scripts / Path(route.request.url.partition("?")[0]).name
        if file and file.exists():
            route.fulfill(path=file, headers={"access-control-allow-origin": "*"})
        else:
            route.continue_()

    page.route("https://cdnjs.cloudflare.com/**", give)
    page.add_init_script(WATCH % (OPENED[kind], heads, SAID))
    before, end = cpu(), time.monotonic() + LIMIT
    page.goto(path.as_uri(), wait_until="commit")
    while not said and time.monotonic() < end:
        page.wait_for_timeout(100)
    used = cpu() - before
    if not said:
        took.never = f"not within {LIMIT:.0f} s, of which the page had the processor for {used:.0f} s"
        return took
    took.opened, took.cpu = [float(said[0].removeprefix(SAID)) / 1e3], [used]
    session = page.context.new_cdp_session(page)
    took.heap = float(session.send("Runtime.getHeapUsage")["usedSize"])
    took.nodes = int(
        session.send("Runtime.evaluate", {"expression": "document.querySelectorAll('*').length"})["result"]["value"]
    )
    if shot:
        page.screenshot(path=shot, timeout=LIMIT * 1e3)
    return took


def size(kind: str, given: Any, layers: int, page: str, few: int) -> float:
    """The bytes of the page of all layers, from those of a few and of one."""
    first = len(MAKERS[kind](*given, 1).encode())
    each = (len(page.encode()) - first) / max(1, few - 1)
    return first + (layers - 1) * each


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scripts", type=Path, help="a folder with what BertViz loads")
    parser.add_argument("--screenshots", type=Path, help="a folder for what was opened")
    options = parser.parse_args()
    before, rows = os.getloadavg(), list[str]()
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        for layers, heads, tokens in SIZES:
            given, all_took = model_of(layers, heads, tokens), {kind: Took() for kind in MAKERS}
            for kind, took in all_took.items():
                few = layers if kind == "headgrid" or layers * heads * tokens**2 < 1e7 else 2
                page = MAKERS[kind](*given, few)
                took.bytes = len(page.encode()) if few == layers else size(kind, given, layers, page, few)
                if took.bytes > LARGEST:
                    took.never = "larger than a browser opens"
                else:
                    Path(home, f"{kind}.html").write_text(page)
            for turn in range(options.repeats):
                for kind, took in all_took.items():
                    if took.never or max(took.cpu, default=0.0) > SLOW:
                        continue
                    browser = playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
                    name = f"{kind}-{layers * heads}x{tokens}.png"
                    shot = options.screenshots / name if options.screenshots and turn == 0 else None
                    path = Path(home, f"{kind}.html")
                    now = opened(browser, kind, path, layers * heads, options.scripts, shot)
                    browser.close()
                    took.opened, took.cpu = took.opened + now.opened, took.cpu + now.cpu
                    took.heap, took.nodes, took.never = now.heap, now.nodes, now.never
                    print(f"{layers * heads} x {tokens}, {kind}: {now}", flush=True)
            rows += [row(f"{layers * heads:,} x {tokens}", kind, took) for kind, took in all_took.items()]
    print("| heads x tokens | | page | opened, median / 95% | CPU of the page | JavaScript's heap | elements |")
    print("\n".join(["|---" * 7 + "|", *rows]))
    print(f"load before / after: {before[0]:.1f} / {os.getloadavg()[0]:.1f}")


def row(what: str, kind: str, took: Took) -> str:
    if not took.opened:
        return f"| {what} | {kind} | {kilobytes(took.bytes)} | never: {took.never} | - | - | - |"
    at = f"{middle(took.opened):.2f} / {high(took.opened):.2f} s"
    more = f"; and then {took.never}" if took.never else ""
    return (
        f"| {what} | {kind} | {kilobytes(took.bytes)} | {at}{more} | {middle(took.cpu):.2f} s "
        f"| {took.heap / 1e6:,.0f} MB | {took.nodes:,} |"
    )


if __name__ == "__main__":
    main()
