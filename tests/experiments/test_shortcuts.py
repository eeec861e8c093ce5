"""What a pass of many copies leaves out changes nothing: beside passes that are run whole, in every family."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
import transformers

from headgrid.experiments.copies import CopiedBatch
from headgrid.experiments.runs import Runs
from headgrid.experiments.sweep import sweep
from headgrid.experiments.task import Task

OF_OTHER_INPUTS = ("bert", "electra", "bart", "whisper", "gemma3 with vision")
DECODERS = [
    family
    for family in tiny.FAMILIES
    if type(tiny.config(family)) in transformers.AutoModelForCausalLM._model_mapping and family not in OF_OTHER_INPUTS
]


def task_of(rows: int = 3, positions: int = 7) -> Task:
    ids = torch.randint(3, 31, (rows, positions), generator=torch.Generator().manual_seed(4))
    return Task(None, ids, answers=[7] * rows, wrong=[4] * rows)


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize("method", ["zero", "mean"])
def test_a_sweep_is_that_of_whole_passes(family: str, method: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    short = sweep(tiny.model(family), task_of(), method)
    monkeypatch.setattr(CopiedBatch, "_shortcuts", lambda *_: ())
    whole = sweep(tiny.model(family), task_of(), method)
    torch.testing.assert_close(short.rows, whole.rows, rtol=1e-5, atol=2e-6, equal_nan=True)


def found_out(family: str) -> dict[str, bool]:
    task = task_of()
    runs = Runs(tiny.model(family), task)
    batch = CopiedBatch(runs, "clean", slice(0, 3))
    with torch.no_grad():
        batch.output(2, [], 1, short=True)
    return {kind.__name__: holds for (kind, _), holds in runs.shortcuts.items()}


def test_both_shortcuts_are_taken_where_they_hold() -> None:
    assert found_out("llama with grouped-query attention") == {"LlamaAttention": True, "LlamaMLP": True}
    assert found_out("gpt2") == {"GPT2Attention": True, "GPT2MLP": True}


def test_forwards_are_as_they_were() -> None:
    model = tiny.model("gpt2")
    sweep(model, task_of(), "zero")
    assert not [name for name, module in model.named_modules() if "forward" in module.__dict__]


def test_a_model_whose_mlp_sees_other_positions_is_run_whole() -> None:
    model = tiny.fresh("gpt2")
    inner = model.transformer.h[-1].mlp
    own = inner.forward
    inner.forward = lambda x: own(x) + x.mean(1, keepdim=True)
    task = task_of()
    runs = Runs(model, task)
    before = sweep(model, task, "zero")
    with torch.no_grad():
        CopiedBatch(runs, "clean", slice(0, 3)).output(2, [], 1, short=True)
    assert runs.shortcuts[type(inner), 2] is False
    for layer, head in ((0, 1), (2, 3)):
        handle = model.transformer.h[layer].attn.c_proj.register_forward_pre_hook(
            lambda _, args, at=head * 7: (args[0].index_fill(-1, torch.arange(at, at + 7), 0),)
        )
        with torch.no_grad():
            after = task.score(model(**task.inputs))
            handle.remove()
            change = float((after - task.score(model(**task.inputs))).mean())
        assert before.values[layer, head] == pytest.approx(change, abs=1e-5)
