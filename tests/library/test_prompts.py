"""Tasks of published kinds: who is named how often, what comes next, and that rows are aligned."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from word_tokenizer import word_tokenizer

import headgrid as hg
from headgrid.library import prompts

TOKENIZER = word_tokenizer()
MAKERS = {"ioi": prompts.ioi, "greater-than": prompts.greater_than, "pronouns": prompts.pronouns,
          "acronyms": prompts.acronyms, "docstring": prompts.docstring, "agreement": prompts.agreement}  # fmt: skip


def texts(ids: torch.Tensor) -> list[str]:
    return ["".join(TOKENIZER.convert_ids_to_tokens(row)) for row in ids.tolist()]


def answers(ids: torch.Tensor | None) -> list[list[str]]:
    assert ids is not None
    return [TOKENIZER.convert_ids_to_tokens([one for one in row if one >= 0]) for row in ids.tolist()]


def made(name: str, n: int = 12, seed: int = 3) -> hg.Task:
    return MAKERS[name](TOKENIZER, n, seed)


@pytest.mark.parametrize("name", MAKERS)
def test_rows_are_aligned_known_word_by_word_and_fixed_by_the_seed(name: str) -> None:
    task = made(name)
    assert (task.n_rows, task.aligned) == (12, True)
    assert task.corrupted is not None
    assert task.corrupted["input_ids"].shape == task.ids.shape
    assert TOKENIZER.unk_token_id not in {*task.ids.flatten().tolist(), *task.corrupted["input_ids"].flatten().tolist()}
    assert task.fingerprint == made(name).fingerprint != made(name, seed=4).fingerprint
    assert (task.ids != task.corrupted["input_ids"]).any(1).all()


@pytest.mark.parametrize("name", MAKERS)
def test_a_tokenizer_that_cuts_the_words_is_refused_in_a_sentence(name: str) -> None:
    lists = [value for key, value in vars(prompts).items() if key.isupper() and isinstance(value, list)]
    with pytest.raises(ValueError, match=r"this \w+ makes one token of 0 of the"):
        MAKERS[name](word_tokenizer({word for one in lists for word in one}), 4, 0)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("tokenizer", [None, 3, int, "gpt2"])
def test_what_is_no_tokenizer_is_refused(name: str, tokenizer: object) -> None:
    with pytest.raises(TypeError, match="tokenizer is the model's"):
        MAKERS[name](tokenizer, 4, 0)


def test_the_answer_is_the_name_said_once_and_corrupted_prompts_have_three_other_names() -> None:
    task = made("ioi", 40)
    first = set()
    for prompt, other, (right,), (wrong,) in zip(
        texts(task.ids), texts(task.corrupted["input_ids"]), answers(task.answers), answers(task.wrong), strict=True
    ):  # fmt: skip
        said = Counter(word.strip(",") for word in prompt.split() if word.strip(",") in prompts.PEOPLE)
        assert said == {right.strip(): 1, wrong.strip(): 2}
        others = [word.strip(",") for word in other.split() if word.strip(",") in prompts.PEOPLE]
        assert len(set(others)) == len(others) == 3
        assert not set(others) & set(said)
        first.add(prompt.split()[1] == right.strip())
    assert first == {True, False}, "the answer is named first in some rows, and second in others"


def test_all_later_years_are_answers_and_the_corrupted_year_is_01() -> None:
    task = made("greater-than")
    assert task.metric_name == "prob"
    for prompt, other, later in zip(
        texts(task.ids), texts(task.corrupted["input_ids"]), answers(task.answers), strict=True
    ):  # fmt: skip
        century, year = prompt.split()[6][:2], int(prompt.split()[6][2:])
        assert prompt.endswith(f" to the year {century}")
        assert later == [f"{one:02}" for one in range(year + 1, 100)]
        assert other == prompt.replace(f"{century}{year:02}", f"{century}01")


def test_a_tokenizer_that_keeps_years_whole_is_refused() -> None:
    class Whole:
        """Makes one token of each year."""

        unk_token_id = None

        def __call__(self, text: str, **_: object) -> dict[str, list[int]]:
            return {"input_ids": [hash(word) % 9973 for word in text.split()]}

    with pytest.raises(ValueError, match="makes two tokens, the century and the year, of 0 years"):
        prompts.greater_than(Whole(), 4, 0)


def test_the_pronoun_is_that_of_the_name_and_corrupted_that_of_the_other() -> None:
    task = made("pronouns")
    for prompt, other, (right,), (wrong,) in zip(
        texts(task.ids), texts(task.corrupted["input_ids"]), answers(task.answers), answers(task.wrong), strict=True
    ):  # fmt: skip
        names = {" he": prompts.MEN, " she": prompts.WOMEN}
        assert prompt.split()[1] in names[right]
        assert other.split()[1] in names[wrong]
        assert prompt.split()[2:] == other.split()[2:]
        assert {right, wrong} == set(names)


def test_the_third_letter_is_that_of_the_third_word_and_each_letter_is_a_token() -> None:
    task = made("acronyms")
    for prompt, other, (right,), (wrong,) in zip(
        texts(task.ids), texts(task.corrupted["input_ids"]), answers(task.answers), answers(task.wrong), strict=True
    ):  # fmt: skip
        _, *three, begun = prompt.split()
        assert begun == f"({three[0][0]}{three[1][0]}"
        assert (right, wrong) == (three[2][0], other.split()[3][0])
        assert prompt.replace(three[2], other.split()[3]) == other
    assert texts(task.ids[:1, -2:-1])[0] in prompts.CAPITALIZED[0][0] + "".join(one[0] for one in prompts.CAPITALIZED)


def test_the_argument_that_is_due_is_the_third_and_is_not_in_the_corrupted_head() -> None:
    task = made("docstring")
    for prompt, other, (right,), wrong in zip(
        texts(task.ids), texts(task.corrupted["input_ids"]), answers(task.answers), answers(task.wrong), strict=True
    ):  # fmt: skip
        head = prompt.split("self, ")[1].split(")")[0].split(", ")
        shown = [line.split()[1].strip(":") for line in prompt.splitlines() if line.strip().startswith(":param ")]
        assert (head[2:4], f" {head[4]}") == (shown, right)
        assert {one.strip() for one in wrong} == {*head} - {head[4]}
        assert prompt.endswith("\n    :param")
        assert f" {head[4]}," not in other.split(")")[0]
        assert prompt.split(")")[1] == other.split(")")[1], "only the head is corrupted"


def test_the_verb_agrees_with_the_subject_and_not_with_the_noun_before_it() -> None:
    task = made("agreement")
    for prompt, other, (right,), (wrong,) in zip(
        texts(task.ids), texts(task.corrupted["input_ids"]), answers(task.answers), answers(task.wrong), strict=True
    ):  # fmt: skip
        subject = prompt.split()[1]
        assert right == (" are" if subject.endswith("s") else " is")
        assert {right, wrong} == {" is", " are"}
        assert {subject, other.split()[1]} == {subject.rstrip("s"), subject.rstrip("s") + "s"}
        assert prompt.split()[2:] == other.split()[2:]


def test_the_tasks_of_shipped_models_are_those_of_the_task_class() -> None:
    _, tokenizer = hg.demo()
    assert prompts.induction(tokenizer, 5, 2).fingerprint == hg.Task.repeated(tokenizer, 5, seed=2).fingerprint
    assert prompts.names(tokenizer, 5, 2).fingerprint == hg.Task.names(tokenizer, 5, seed=2).fingerprint
