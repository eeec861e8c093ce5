"""What is read of a model goes with it: no cache holds the anatomy of a model that is gone."""

from __future__ import annotations

import gc

import tiny
import torch
from live_grids import TEXT

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.anatomy.slots import Slot

KINDS = (Anatomy, Stack, Slot, hg.Selection)


def alive() -> int:
    gc.collect()
    gc.collect()
    return sum(isinstance(one, KINDS) for one in gc.get_objects())


def use(number: int) -> None:
    """Whatever reads an anatomy, on a model of its own."""
    model = tiny.fresh("llama with grouped-query attention")
    anatomy = hg.dissect(model)
    words = anatomy.select(f"l0h{number % 3} | l1 attn | l1 mlp n3-5 | model.layers.0.self_attn | l1g0.k - l1h1.q")
    assert anatomy.select(str(words)) == words
    ids = torch.tensor([[5, 7, 9, 11]])
    task = hg.Task(None, ids, answers=[3])
    hg.attention(model, task, "l1h2")
    hg.effect(model, task, "l0h1", modes=["zero"], controls=2)
    hg.sweep(model, task, "attribution")
    hg.scan(model, progress=False)
    with hg.record(model, "l1h2"):
        model(ids)
    grid = hg.HeadGrid(model, select="l0h1")
    grid.set_state({"_view_count": 1})
    grid.set_state({"prompt": {"n": 1, "text": "5 7 9", "contrast": ""}})
    grid.set_state({"live_query": {"n": 1, "row": 0, "panel": True, "thumbnails": True}})
    assert grid._scheduler.worker.join_idle(60)
    grid.close()


def test_no_anatomy_outlives_its_model() -> None:
    use(0)
    before = alive()
    for number in range(3):
        use(number)
    assert alive() <= before


def test_experiments_on_one_model_hold_no_more_each_time() -> None:
    model, tokenizer = hg.demo()
    task = hg.Task(tokenizer, [TEXT], answers=[" mary"])
    hg.attention(model, task, "l1h2")
    hg.effect(model, task, "l1h2", modes=["zero"], controls=2)
    before = alive()
    for _ in range(3):
        hg.attention(model, task, "l1h2")
        hg.effect(model, task, "l1h2", modes=["zero"], controls=2)
    assert alive() <= before
