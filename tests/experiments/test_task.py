"""Tasks: what they ask, how they score it, and what they refuse."""

from __future__ import annotations

import functools
import json
from typing import Any

import pytest
import tiny
import torch
from hooking import LLAMA, tokens
from torch.testing import assert_close

import headgrid as hg
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task


@functools.cache
def shipped() -> tuple[Any, Any]:
    return hg.demo()


TEXT = "when mary and john went to the store , john gave a drink to"
OTHER = "when mary and john went to the store , mary gave a drink to"


def names(n: int = 5, **options: Any) -> Task:
    return Task.names(shipped()[1], n, **options)


def logits(task: Task, which: str = "inputs") -> torch.Tensor:
    with torch.no_grad():
        return shipped()[0](**getattr(task, which)).logits


# ---- metrics


def test_a_logit_difference_is_read_at_the_last_token_of_each_row() -> None:
    task = Task(
        shipped()[1], [TEXT, "the dog says"], answers=[" mary", " woof"], wrong=[" john", [" moo", " meow"]],
        corrupted=[OTHER, "the cat says"],
    )  # fmt: skip
    got = task.score(logits(task))
    ids = {
        word: shipped()[1](word, add_special_tokens=False)["input_ids"][0]
        for word in ["mary", "john", "woof", "moo", "meow"]
    }
    first = shipped()[0](torch.tensor([shipped()[1](TEXT)["input_ids"]])).logits[0, -1]
    second = shipped()[0](torch.tensor([shipped()[1]("the dog says")["input_ids"]])).logits[0, -1]
    expected = [
        first[ids["mary"]] - first[ids["john"]],
        second[ids["woof"]] - (second[ids["moo"]] + second[ids["meow"]]) / 2,
    ]
    assert_close(got, torch.stack(expected).detach(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("padding", ["right", "left"])
def test_rows_of_several_lengths_score_as_each_alone_on_either_side(padding: str) -> None:
    texts, answers = [TEXT, "the dog says", "the day after monday is"], [" mary", " woof", " tuesday"]
    task = Task(shipped()[1], texts, answers=answers, padding=padding)  # type: ignore[arg-type]
    alone = [
        float(Runs(shipped()[0], Task(shipped()[1], [text], answers=[one])).score())
        for text, one in zip(texts, answers, strict=True)
    ]
    assert_close(Runs(shipped()[0], task).score(), torch.tensor(alone, dtype=torch.float64), rtol=1e-4, atol=1e-4)
    assert not task.aligned


def test_probabilities_of_several_answers_add_up() -> None:
    task = Task(shipped()[1], ["the dog says"], answers=[[" woof", " moo"]], metric="prob")
    parts = [
        Task(shipped()[1], ["the dog says"], answers=[one], metric="prob").score(logits(task))
        for one in (" woof", " moo")
    ]
    assert_close(task.score(logits(task)), parts[0] + parts[1])
    log = Task(shipped()[1], ["the dog says"], answers=[[" woof", " moo"]])
    assert log.metric == "log_prob"
    assert_close(log.score(logits(log)).exp(), task.score(logits(task)))


def test_the_loss_is_that_of_the_tokens_that_follow() -> None:
    task = Task.next_token(shipped()[1], ["the dog says woof .", "the capital of france is paris ."])
    expected = []
    for row in range(2):
        ids = task.ids[row][task.mask[row].bool()][None]
        expected.append(shipped()[0](ids, labels=ids).loss)
    assert_close(task.score(logits(task)), torch.stack(expected).detach(), rtol=1e-4, atol=1e-4)


def test_the_second_copy_is_scored_from_its_second_token_on() -> None:
    task = Task.repeated(shipped()[1], n=3, length=11, seed=4)
    assert task.scored.tolist() == [list(range(12, 22))] * 3
    assert (task.ids[:, 1:12] == task.ids[:, 12:]).all()
    log = logits(task).log_softmax(-1)
    by_hand = [-sum(log[row, at, task.ids[row, at + 1]] for at in range(12, 22)) / 10 for row in range(3)]
    assert_close(task.score(logits(task)), torch.stack(by_hand), rtol=1e-4, atol=1e-4)  # type: ignore[arg-type]


def test_kl_compares_with_the_untouched_run() -> None:
    task = Task(None, tokens(3, 7), metric="kl")
    model = tiny.model(LLAMA)
    assert_close(Runs(model, task).score(), torch.zeros(3, dtype=torch.float64))
    runs = Runs(model, task, batch_size=2)
    got = runs.score("clean", lambda rows: hg.ablate(model, "l1h2"))
    with torch.no_grad():
        clean = model(tokens(3, 7)).logits[:, -1].log_softmax(-1)
        with hg.ablate(model, "l1h2"):
            after = model(tokens(3, 7)).logits[:, -1].log_softmax(-1)
    assert_close(got, (clean.exp() * (clean - after)).sum(-1))


def test_a_function_of_the_output_is_a_metric() -> None:
    def norm(output: Any) -> torch.Tensor:
        return output.logits.norm(dim=(1, 2))

    task = Task(None, tokens(3, 7), metric=norm)
    with torch.no_grad():
        expected = norm(tiny.model(LLAMA)(tokens(3, 7)))
    assert_close(Runs(tiny.model(LLAMA), task).score(), expected)
    assert "norm" in repr(task)


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda output: output.logits.mean(), r"one number for each row, a tensor \[3\]"),
        (lambda output: output.logits[:, 0, 0] * torch.nan, "gave NaN"),
        (lambda output: output.logits[:, 0], "one number for each row"),
        (lambda output: 3.0, "one number for each row"),
    ],
)  # fmt: skip
def test_a_function_that_gives_no_number_for_each_row_is_refused(function: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Runs(tiny.model(LLAMA), Task(None, tokens(3, 7), metric=function)).score()


# ---- families


@pytest.mark.parametrize("family", ["bert", "t5", "bart", LLAMA, "bloom"])
def test_any_family_is_scored(family: str) -> None:
    given = dict(tiny.inputs(family))
    task = Task(None, given, answers=[7, 9], wrong=[4, [5, 6]])
    with torch.no_grad():
        out = tiny.model(family)(**given).logits[:, -1]
    expected = torch.stack([out[0, 7] - out[0, 4], out[1, 9] - (out[1, 5] + out[1, 6]) / 2])
    assert_close(Runs(tiny.model(family), task).score(), expected)


def test_a_masked_model_is_asked_at_its_mask() -> None:
    class Tokenizer:
        mask_token_id = 5

        def __call__(self, text: str, **_: Any) -> dict[str, list[int]]:
            return {"input_ids": [5 if word == "?" else len(word) + 6 for word in text.split()]}

    task = Task(Tokenizer(), ["a ? ccc dd", "? bb c aaaa"], answers=[7, 8])
    assert task.scored.tolist() == [[1], [0]]


# ---- what it says of itself


def test_a_task_says_what_it_asks() -> None:
    said = repr(names(5))
    assert "5 rows of 15 tokens with corrupted ones, metric logit_diff" in said
    assert "corrupted: <bos>" in said
    assert " -> " in said
    assert " not " in said
    assert "and 2 more" in said


def test_a_task_goes_through_json() -> None:
    for task in (names(3), Task.repeated(shipped()[1], 2, 5), Task(None, tokens(2, 7), answers=[3, [4, 5]])):
        again = Task.from_json(task.to_json(), task.tokenizer)
        assert again.fingerprint == task.fingerprint
        assert repr(again) == repr(task)
    changed = json.loads(names(3).to_json())
    changed["answers"][0] = [12]
    with pytest.raises(ValueError, match="changed after"):
        Task.from_json(json.dumps(changed))
    with pytest.raises(ValueError, match="no task as to_json writes it"):
        Task.from_json("{}")
    with pytest.raises(ValueError, match="is a function"):
        Task(None, tokens(2, 7), metric=lambda output: output.logits[:, 0, 0]).to_json()


def test_fingerprints_tell_tasks_apart() -> None:
    every = [names(3), names(4), names(3, seed=1), names(3, metric="prob"), Task(None, names(3).ids, metric="kl")]
    assert len({task.fingerprint for task in every}) == len(every)


def test_some_rows_are_a_task_of_their_own() -> None:
    task = names(5)
    whole = Runs(shipped()[0], task).score()
    assert_close(Runs(shipped()[0], task.rows([3, 1])).score(), whole[[3, 1]], rtol=1e-5, atol=1e-5)
    assert_close(Runs(shipped()[0], task, batch_size=2).score(), whole, rtol=1e-5, atol=1e-5)


# ---- what is refused


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        ({"answers": [" store to"]}, ValueError, r"is 2 tokens \('store', 'to'\) where one is asked"),
        ({"answers": [" mary", " john"]}, ValueError, "there are 1 rows and 2 answers"),
        ({"answers": None}, ValueError, "without right ones"),
        ({"answers": [True]}, TypeError, "answers"),
        ({"wrong": None, "metric": "logit_diff"}, ValueError, "compares with wrong answers"),
        ({"metric": "accuracy"}, ValueError, "metric is"),
        ({"metric": 3}, TypeError, "metric is"),
        ({"corrupted": ["when mary and john went"]}, ValueError, "row 0 has 15 tokens, and corrupted 6"),
        ({"corrupted": [OTHER, OTHER]}, ValueError, "there are 1 inputs and 2 corrupted ones"),
        ({"positions": 15}, ValueError, "position 15 is out of range"),
        ({"padding": "both"}, ValueError, "padding is"),
        ({"name": 3}, TypeError, "name is"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_a_sentence(change: dict[str, Any], kind: type[Exception], said: str) -> None:
    given = {"answers": [" mary"], "wrong": [" john"], "corrupted": [OTHER], **change}
    with pytest.raises(kind, match=said):
        Task(shipped()[1], [TEXT], **given)


@pytest.mark.parametrize(
    "inputs", [3, None, [], [[]], torch.zeros(2, 3), torch.zeros(3).long(), {"input_ids": [1]}, {}, [1.5]]
)
def test_inputs_of_another_kind_are_refused(inputs: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        Task(shipped()[1], inputs)


def test_a_task_of_another_tokenizer_is_refused() -> None:
    with pytest.raises(ValueError, match="made with the tokenizer of another model"):
        Runs(tiny.model(LLAMA), Task(None, torch.tensor([[3, 31]])))


def test_a_model_that_drops_activations_out_is_refused() -> None:
    with pytest.raises(ValueError, match=r"call model\.eval\(\)"):
        Runs(tiny.fresh("gpt2").train(), Task(None, tokens(2, 7)))


@pytest.mark.parametrize("family", ["gpt2", LLAMA])
def test_scores_do_not_depend_on_the_callers_settings(family: str) -> None:
    model, task = tiny.fresh(family).float(), Task(None, tokens(3, 7))
    expected = Runs(model, task).score()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
            got = Runs(model, task).score()
    finally:
        torch.set_default_dtype(torch.float32)
    assert_close(got, expected, rtol=0, atol=0)
    assert not got.is_inference()
