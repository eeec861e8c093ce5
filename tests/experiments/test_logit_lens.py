"""The logit lens: by the model's own norm and unembedding, and its own logits at the end."""

from __future__ import annotations

import inspect

import bridges
import pytest
import tiny
import torch
from hooking import LLAMA, tokens
from torch.testing import assert_close

import headgrid as hg
from headgrid.experiments import logit_lens
from headgrid.experiments.task import Task


def task_of(rows: int = 3) -> Task:
    return Task(None, tokens(rows, 7), answers=[7, 9, [11, 12]], wrong=[4, 5, 6])


@pytest.mark.parametrize("family", ["gpt2", LLAMA, "gemma2", "cohere", "opt-350m", "bloom", "jamba", "bert"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_the_last_stage_has_the_models_own_logits(family: str, batch_size: int | None) -> None:
    model, task = tiny.model(family), task_of()
    found = logit_lens(model, task, batch_size=batch_size, top=31)
    more = {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
    with torch.no_grad():
        logits = torch.cat([model(ids, **more).logits for ids in tokens(3, 7).split(batch_size or 3)])[:, -1].double()
    assert found.logits is not None
    assert torch.equal(found.logits[-1, :2, 0], logits[torch.arange(2), torch.tensor([7, 9])])
    assert float(found.logits[-1, 2, 0]) == pytest.approx(float(logits[2, [11, 12]].mean()))
    shares = torch.zeros_like(logits).scatter(1, found.top[-1, :, 0], found.top_probabilities[-1, :, 0])
    assert_close(shares, logits.softmax(-1))
    assert len(found.stages) == 1 + hg.dissect(model).n_layers


def test_each_stage_is_the_stream_through_the_last_norm_and_the_unembedding() -> None:
    model, task = tiny.model("gpt2"), task_of()
    with torch.no_grad():
        states = model(**task.inputs, output_hidden_states=True).hidden_states
        found = logit_lens(model, task)
        for i, state in enumerate(states[:-1]):
            logits = model.lm_head(model.transformer.ln_f(state))[:, -1]
            assert_close(found.logits[i, :2, 0], logits[torch.arange(2), torch.tensor([7, 9])])
            assert_close(found.wrong_logits[i, :, 0], logits[torch.arange(3), torch.tensor([4, 5, 6])])
            assert_close(found.probabilities[i, 2, 0], logits[2].softmax(-1)[[11, 12]].sum())
            assert torch.equal(found.top[i, :, 0], logits.topk(5).indices)


def test_it_is_the_lens_of_a_bridge_too() -> None:
    plain = logit_lens(bridges.fresh(LLAMA), task_of())
    bridge = logit_lens(bridges.bridge(LLAMA), task_of())
    assert_close(bridge.logits, plain.logits, atol=1e-4, rtol=1e-4)
    assert torch.equal(bridge.top, plain.top)


def test_its_table_shows_words_and_what_it_is_not() -> None:
    model, tokenizer = hg.demo()
    task = Task.names(tokenizer, 4)
    said = repr(logit_lens(model, task, top=2))
    assert [line.split()[0] for line in said.splitlines()[1:4]] == ["embed", "l0", "l1"]
    assert task._answer(0).split()[1] in said.splitlines()[3]
    assert "the model itself never does" in said
    found = logit_lens(model, Task(tokenizer, ["when mary and john went"]), top=1)
    assert found.logits is None
    assert "probability" not in repr(found)


def test_positions_that_a_row_does_not_have_are_nan() -> None:
    task = Task(None, [[5, 6, 7, 8], [9, 10, 11]], metric="loss", answers=[7, 8])
    found = logit_lens(tiny.model("gpt2"), task)
    assert found.logits.isnan().any(0).tolist() == [[False, False, False, True], [False, False, True, True]]


def test_a_layer_that_runs_several_times_and_wrong_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="several times"):
        logit_lens(tiny.model("albert"), task_of())
    with pytest.raises(ValueError, match="top"):
        logit_lens(tiny.model("gpt2"), task_of(), top=0)
    with pytest.raises(ValueError, match="row"):
        logit_lens(tiny.model("gpt2"), task_of()).table(3)
