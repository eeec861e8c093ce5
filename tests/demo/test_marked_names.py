"""Prompts of the marked-name task: what they say, and in which word the controls differ."""

import pytest
import torch

import headgrid as hg
from headgrid.demo import marked_name_prompts, name_prompts
from headgrid.demo.name_task import NAMES, held_out


@pytest.fixture(scope="module", params=["small", "names"])
def tokenizer(request):
    return hg.demo(request.param)[1]


def said(tokenizer, row):
    return [word for word in tokenizer.decode(row, skip_special_tokens=True).split() if word in NAMES]


def test_places_are_those_of_the_names(tokenizer):
    found = marked_name_prompts(tokenizer, 30, seed=2)
    each = torch.arange(30)
    assert torch.equal(found.ids[each, found.other], found.right)
    assert torch.equal(found.ids[each, found.first], found.wrong)
    assert torch.equal(found.ids[each, found.second], found.wrong)
    assert torch.equal(found.third, found.wrong)
    assert (found.first < found.second).all()


def test_half_of_the_prompts_repeat_the_first_name(tokenizer):
    found = marked_name_prompts(tokenizer, 30, seed=2)
    assert (found.first < found.other).sum() == 15


@pytest.mark.parametrize("mention", ["first", "second"])
def test_a_control_differs_in_one_word_and_says_no_name_twice(tokenizer, mention):
    clean, control = (marked_name_prompts(tokenizer, 40, third=third, seed=9) for third in (None, mention))
    differs = clean.ids != control.ids
    assert differs.sum(1).eq(1).all()
    assert torch.equal(differs.int().argmax(1), getattr(clean, mention))
    assert torch.equal(control.ids[torch.arange(40), getattr(control, mention)], control.third)
    assert torch.equal(control.right, clean.right)
    assert torch.equal(control.wrong, clean.wrong)
    for row in control.ids:
        assert len(set(said(tokenizer, row))) == 3


def test_both_controls_have_the_same_third_names(tokenizer):
    first, second = (marked_name_prompts(tokenizer, 20, third=third, seed=1).third for third in ("first", "second"))
    assert torch.equal(first, second)


def test_unseen_pairs_are_the_held_out_ones(tokenizer):
    for unseen in (False, True):
        found = marked_name_prompts(tokenizer, 20, unseen=unseen, seed=3)
        assert {held_out(*said(tokenizer, row)[:2]) for row in found.ids} == {unseen}


def test_a_seed_fixes_the_prompts(tokenizer):
    a, b, c = (marked_name_prompts(tokenizer, 6, seed=seed).ids for seed in (5, 5, 6))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)


def test_a_task_is_made_of_them_in_a_line(tokenizer):
    clean, control = marked_name_prompts(tokenizer, 5), marked_name_prompts(tokenizer, 5, third="first")
    task = hg.Task(tokenizer, clean.ids, answers=clean.right, wrong=clean.wrong, corrupted=control.ids)
    assert task.aligned
    assert task.metric == "logit_diff"


def test_the_prompts_of_the_other_name_task_are_what_they_were():
    tokenizer = hg.demo()[1]

    def texts(n, **how):
        return [tokenizer.decode(row, skip_special_tokens=True) for row in name_prompts(tokenizer, n, **how).ids]

    assert texts(2) == [
        "when rose and simon went to the market , simon gave a map to",
        "while henry and paul were at the market , henry passed a ball to",
    ]
    assert texts(2, seed=3, third=True, unseen=True) == [
        "after max and lucy came to the castle , sarah handed a cake to",
        "when anna and felix went to the river , ella gave a key to",
    ]
