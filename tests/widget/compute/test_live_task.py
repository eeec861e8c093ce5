"""A typed text becomes a task, or a sentence that says why not."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
from grids import LLAMA, settled
from live_grids import OTHER, TEXT, prompt, query, watched

import headgrid as hg
from headgrid.widget.compute import live_task


def error(grid: hg.HeadGrid) -> str:
    return str(settled(grid).task_state["error"])


def test_a_typed_text_asks_for_what_the_model_itself_says_next() -> None:
    model, tokenizer = hg.demo()
    grid = watched()
    prompt(grid, 3, TEXT, OTHER)
    assert settled(grid).task_state == {
        "available": True, "prompt": 3, "typed": True, "name": "", "rows": [TEXT], "contrasts": [OTHER],
        "answers": ["' mary'"], "metric": "log probability", "error": "",
    }  # fmt: skip
    task = grid.task
    with torch.no_grad():
        likeliest = int(model(**tokenizer(TEXT, return_tensors="pt")).logits[0, -1].argmax())
    assert task.answers.tolist() == [[likeliest]]
    assert task.ids.tolist() == [tokenizer(TEXT)["input_ids"]]
    assert task.corrupted["input_ids"].tolist() == [tokenizer(OTHER)["input_ids"]]


def test_the_text_of_a_row_sent_back_is_that_row() -> None:
    model, tokenizer = hg.demo()
    task = hg.Task.names(tokenizer, 3)
    grid = hg.HeadGrid(model, tokenizer, task=task)
    prompt(grid, 1, grid.task_state["rows"][2])
    assert error(grid) == ""
    assert grid.task.ids.tolist() == task.ids[2:].tolist()


def test_without_a_tokenizer_a_text_is_ids() -> None:
    grid = watched(tiny.fresh(LLAMA))
    prompt(grid, 1, "5, 17 3\n30", "5 17 4 30")
    assert error(grid) == ""
    assert (grid.task.ids.tolist(), grid.task.corrupted["input_ids"].tolist()) == ([[5, 17, 3, 30]], [[5, 17, 4, 30]])
    assert grid.task_state["answers"][0].startswith("#")


@pytest.mark.parametrize(
    ("text", "contrast", "said"),
    [
        ("", "", "The text has no tokens: type at least one"),
        ("  ", "", "The text has no tokens"),
        ("5 dog", "", "'dog' is no token id. This grid has no tokenizer, so a text is token ids from 0 to 30"),
        ("5 -1", "", "'-1' is no token id"),
        ("5 31", "", "The text has the token 31, and the ids of LlamaForCausalLM end at 30"),
        ("1 " * 20, "", "The text has 20 tokens, and LlamaForCausalLM reads 19 at most: shorten it"),
        ("5 6", "5 6 7", "The contrast text has 3 tokens and the text 2: they are compared place by place"),
        ("5 6", "5 x", "'x' is no token id. This grid has no tokenizer, so a contrast text is token ids"),
    ],
)
def test_what_is_no_task_says_why_and_the_last_one_stays(text: str, contrast: str, said: str) -> None:
    grid = watched(tiny.fresh(LLAMA))
    prompt(grid, 1, "5 6 7")
    settled(grid)
    before = grid.task
    prompt(grid, 2, text, contrast)
    assert error(grid).startswith(said)
    assert (grid.task, grid.task_state["prompt"], grid.task_state["rows"]) == (before, 2, ["5 6 7"])
    prompt(grid, 3, "5 6 7 8")
    assert error(grid) == ""
    assert grid.task.ids.shape == (1, 4)


def test_a_model_with_dropout_in_training_says_so() -> None:
    model = tiny.fresh("gpt2").train()
    grid = watched(model)
    prompt(grid, 1, "5 6 7")
    assert "call model.eval()" in error(grid)
    model.eval()
    prompt(grid, 2, "5 6 7")
    assert error(grid) == ""


@pytest.mark.parametrize("model", [tiny.config(LLAMA), None])
def test_where_there_is_no_model_to_run_nothing_is_offered(model: Any) -> None:
    if model is None:
        with torch.device("meta"):
            model = type(tiny.fresh(LLAMA))(tiny.config(LLAMA))
    grid = watched(model)
    assert not grid.task_state["available"]
    prompt(grid, 1, "5 6 7")
    assert error(grid).startswith("There is no model to run")
    with pytest.raises(ValueError, match="There is no model to run"):
        grid.task = hg.Task(None, torch.tensor([[5, 6]]))
    with pytest.raises(ValueError, match="There is no model to run"):
        hg.HeadGrid(model, task=hg.Task(None, torch.tensor([[5, 6]])))
    assert not any(metric["live"] for metric in grid.spec["metrics"])


def test_a_text_that_a_python_task_came_after_is_not_asked_again() -> None:
    grid = watched()
    prompt(grid, 4, TEXT)
    settled(grid)
    task = hg.Task.names(grid.tokenizer, n=3)
    grid.task = task
    grid._scheduler.resume()
    assert settled(grid).task is task
    assert (grid.task_state["typed"], grid.task_state["prompt"]) == (False, 4)


def test_a_task_in_words() -> None:
    _, tokenizer = hg.demo()
    task = hg.Task(tokenizer, [TEXT, "the dog says"], answers=[[" mary", " john"], " woof"], wrong=[" ella", " cat"])
    state = live_task.state_of(task, hg.demo()[0], {"n": 0, "text": "", "contrast": ""}, typed=False)
    assert (state["name"], state["metric"], state["contrasts"]) == ("task, 2 rows", "logit difference", [])
    assert state["answers"] == ["' mary' or ' john' rather than ' ella'", "' woof' rather than ' cat'"]
    assert state["rows"][1].endswith("the dog says")
    loss = live_task.state_of(
        hg.Task.repeated(tokenizer, n=2, length=4), None, {"n": 0, "text": "", "contrast": ""}, False
    )
    assert (loss["answers"], loss["metric"], loss["available"]) == ([], "loss", False)


def test_an_encoder_decoder_reads_a_text_with_its_encoder() -> None:
    grid = watched(tiny.fresh("t5"))
    prompt(grid, 1, "5 7 9", "5 7 8")
    assert error(grid) == ""
    assert grid.task.inputs["input_ids"].tolist() == [[5, 7, 9]]
    assert grid.task.inputs["decoder_input_ids"].tolist() == [[0]]
    query(grid, 1)
    assert settled(grid).live["error"] == ""
    prompt(grid, 2, "5 7 9", "5 7")
    assert error(grid).startswith("The contrast text has 2 tokens and the text 3")
