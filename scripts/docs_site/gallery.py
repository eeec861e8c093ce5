"""The grids of the site: pages that `HeadGrid.to_html` writes. They are computed when the site is built.

A shape that has no weights here is a config: what is shown of it are heads that papers name, not what they do.
"""

from __future__ import annotations

from pathlib import Path

import headgrid as hg
from headgrid.library import prompts


def start() -> hg.HeadGrid:
    """The shipped model on its name task: the start page's grid."""
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer, select="l1h2 | l0h1")
    grid.task = hg.Task(
        tokenizer, ["when mary and john went to the store , john gave a drink to"], answers=[" mary"], wrong=[" john"]
    )
    grid.color_by("copying_score")
    return grid


def induction() -> hg.HeadGrid:
    """The shipped model's induction circuit, on repeated tokens, colored by copying score."""
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer, select="l0h1 | l1h2")
    grid.saved["previous token"], grid.saved["induction"] = "l0h1", "l1h2"
    grid.task = hg.Task.repeated(tokenizer, n=2, length=12)
    grid.color_by("copying_score")
    return grid


def names() -> hg.HeadGrid:
    """The shipped model's heads on its name task, colored by what each does to the answer when it is ablated."""
    model, tokenizer = hg.demo()
    task = hg.Task.names(tokenizer, 32)
    grid = hg.HeadGrid(model, tokenizer)
    grid.task = task
    effects = hg.sweep(model, task, "mean")
    grid.color_by(effects)
    grid.select(effects.top(3))
    return grid


def ioi() -> hg.HeadGrid:
    """GPT-2 small's shape, without weights: the heads of the circuit for indirect objects as saved selections."""
    from transformers import GPT2Config

    return hg.library["ioi"].open(GPT2Config())


def marking() -> hg.HeadGrid:
    """The model that marks the name that is repeated, on prompts of its task, colored by what each head does."""
    model, tokenizer = hg.demo("names")
    task = prompts.marked_names(tokenizer, 8, 0)
    grid = hg.library["demo-duplicate-marking"].open(model, tokenizer, task=task)
    grid.color_by("effect")
    return grid


def large() -> hg.HeadGrid:
    """The shape of a model of 405 billion parameters, without weights: 126 layers of 128 heads in 8 groups."""
    from transformers import LlamaConfig

    config = LlamaConfig(
        num_hidden_layers=126, num_attention_heads=128, num_key_value_heads=8, hidden_size=16384,
        intermediate_size=53248, vocab_size=128256, max_position_embeddings=131072, rope_theta=500000.0,
    )  # fmt: skip
    return hg.HeadGrid(config, select="l40-60h[3,17,64] | l100h*")


GRIDS = {
    "start": start,
    "induction": induction,
    "names": names,
    "marking": marking,
    "ioi-gpt2-small": ioi,
    "405b": large,
}
"""Each page's name, and what makes its grid."""


def write(folder: Path) -> None:
    """Writes every grid of the gallery as `<name>.html`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, grid in GRIDS.items():
        grid().to_html(folder / f"{name}.html")
