"""How much one pass takes on: little on the processor, where a click waits for it."""

from __future__ import annotations

import pytest
import torch
import transformers

import headgrid as hg
from headgrid.experiments.copies import copies_within
from headgrid.experiments.interventions import BUDGET
from headgrid.experiments.runs import Runs
from headgrid.widget.compute.pass_size import TOKENS, pass_size


@pytest.mark.parametrize(("length", "rows"), [(1, TOKENS), (64, 4), (TOKENS, 1), (3 * TOKENS, 1)])
def test_a_pass_on_the_processor_has_few_tokens_and_at_least_a_row(length: int, rows: int) -> None:
    assert pass_size(torch.nn.Linear(2, 2), length)["batch_size"] == rows


def test_elsewhere_it_has_as_many_as_fit() -> None:
    found = pass_size(torch.nn.Linear(2, 2, device="meta"), 64)
    assert found == {"batch_size": None, "memory": BUDGET}


def test_copies_of_gpt2_small_are_no_more_tokens_than_that() -> None:
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config())
    for length in (16, 64, 256):
        task = hg.Task(None, torch.ones(1, length, dtype=torch.long), answers=[7], metric="log_prob")
        copies = copies_within(pass_size(torch.nn.Linear(2, 2), length)["memory"], Runs(model.eval(), task), 1)
        assert copies == 1 or copies * length <= TOKENS
