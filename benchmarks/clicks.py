"""What a click, a step of a drag and an undo cost the kernel's thread, with live weights and with a config.

    python benchmarks/clicks.py [gpt2] [llama]

Each grid is watched, has a cell in focus, and is asked as a browser asks, on an event loop as in a kernel; its messages
are written as JSON. The two grids take turns. `answered` is the CPU of the loop's thread until the message is taken
over; `settled` also has what the worker's results cost that thread until nothing is left to do, or `PATIENCE` ends. The
ratio is that of the medians.
"""

from __future__ import annotations

import asyncio
import base64
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import transformers

import headgrid as hg
from headgrid.widget.wire.schema import pack

ROUNDS = {"gpt2": 40, "llama": 9}
PATIENCE = {"gpt2": 600, "llama": 4}
"""Seconds for which `settled` waits: the worker reads a layer of the larger shape for minutes."""

SHAPES: dict[str, tuple[Any, torch.dtype]] = {
    "gpt2": (transformers.GPT2Config(), torch.float32),
    "llama": (
        transformers.LlamaConfig(
            hidden_size=4096, intermediate_size=14336, num_hidden_layers=2, num_attention_heads=32,
            num_key_value_heads=8, vocab_size=128256, max_position_embeddings=8192,
        ),
        torch.bfloat16,
    ),
}  # fmt: skip


def filled(config: Any, dtype: torch.dtype) -> torch.nn.Module:
    """A model of random weights, made without the minutes that its own initialization takes."""
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=dtype)
    model.to_empty(device="cpu").tie_weights()
    block = torch.randn(2**20, generator=torch.Generator().manual_seed(0)).mul_(0.02).to(dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            flat = parameter.view(-1)
            for start in range(0, len(flat), len(block)):
                flat[start : start + len(block)] = block[: len(flat) - start]
    return model.eval()


class Browser:
    """Asks one grid, as a browser does, and counts what that costs."""

    def __init__(self, model: Any, patience: float) -> None:
        self.patience = patience
        self.grid = hg.HeadGrid(model)
        self.grid._send = lambda message, buffers=None: json.dumps(message, default=str)  # type: ignore[method-assign]
        self.cells, self.n = self.grid._state.cells, 0
        self.spent: dict[str, list[tuple[float, float]]] = {}

    def bits(self, *words: str) -> str:
        """The cells of a command."""
        every = [self.cells.describe(i)[0] for i in range(self.cells.n_cells)]
        found = np.isin(np.array(every), words)
        return f"0:{base64.b64encode(pack(found)).decode()}"

    def command(self, do: str, on: str = "", off: str = "") -> dict[str, Any]:
        """The message of one command."""
        self.n = self.grid.history["done"] + 1
        value = {"n": self.n, "by": "one", "do": do, "name": "", "value": on, "off": off}
        return {"commands": [value]}

    def focus(self, word: str, n: int) -> dict[str, Any]:
        """The message of a question about a cell."""
        every = [self.cells.describe(i)[0] for i in range(self.cells.n_cells)]
        return {"focus": {"n": n, "cell": every.index(word), "ln": "folded"}}

    async def ask(self, act: str, message: dict[str, Any]) -> None:
        """Send a message, and wait until nothing is left to do."""
        begun = time.thread_time()
        self.grid.set_state(message)
        answered = time.thread_time()
        await asyncio.sleep(0)
        before = time.thread_time()
        idle = asyncio.get_running_loop().run_in_executor(None, self.grid._scheduler.worker.join_idle, self.patience)
        await idle
        await asyncio.sleep(0.01)  # what was found is delivered
        settled = time.thread_time() - before
        self.spent.setdefault(act, []).append((1e3 * (answered - begun), 1e3 * (answered - begun + settled)))


async def race(live: Browser, config: Browser, rounds: int) -> None:
    """Both in turn."""
    every = [live.cells.describe(i)[0] for i in range(live.cells.n_cells)]
    heads = [word for word in every if "h" in word and word[-1].isdigit()]
    for n, one in enumerate((live, config)):
        await one.ask("first look", {"_view_count": 1})
        await one.ask("first question", one.focus(heads[-1], n + 1))
    for turn in range(rounds):
        one = heads[turn % len(heads)]
        acts: list[tuple[str, Callable[[Browser], dict[str, Any]]]] = [
            ("a click", lambda who, one=one: who.command("edit", who.bits(one))),
            ("an undo", lambda who: who.command("undo")),
            ("a step of a drag", lambda who, turn=turn: who.command("edit", who.bits(*heads[turn : turn + 6]))),
            ("an undo of that", lambda who: who.command("undo")),
            ("a question again", lambda who, turn=turn: who.focus(heads[-1], turn + 10)),
        ]
        for act, make in acts:
            for who in (live, config) if turn % 2 else (config, live):
                await who.ask(act, make(who))


def main() -> None:
    """Print the medians and their ratios."""
    torch.set_num_threads(1)
    for name in sys.argv[1:] or SHAPES:
        config, dtype = SHAPES[name]
        live, alone = Browser(filled(config, dtype), PATIENCE[name]), Browser(config, PATIENCE[name])
        asyncio.run(race(live, alone, ROUNDS[name]))
        print(f"\n{name}: CPU of the kernel's thread, ms, live weights / a config (ratio)")
        print("| | answered | settled |\n|---|---|---|")
        for act, spent in live.spent.items():
            if len(spent) < ROUNDS[name]:
                continue
            cells = []
            for i in (0, 1):
                mine, other = (statistics.median(one[i] for one in who.spent[act]) for who in (live, alone))
                cells.append(f"{mine:.2f} / {other:.2f} (x {mine / other:.2f})")
            print(f"| {act} | {' | '.join(cells)} |")
        live.grid.close()
        alone.grid.close()


if __name__ == "__main__":
    main()
