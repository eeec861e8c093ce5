"""The checkpoints of the model "training" are what their card says: measured here from q, k and edited weights."""

import copy
import itertools

import pytest
import torch
from demo_model import card as card_module
from demo_model import tables
from demo_model.jump import train as train_module

from headgrid.demo import CHECKPOINTS, demo, repeated_tokens

pytestmark = pytest.mark.slow

LENGTH, D_HEAD = 22, 24


@pytest.fixture(scope="module")
def models():
    return {step: demo("training", step=step)[0].requires_grad_(False) for step in CHECKPOINTS}


@pytest.fixture(scope="module")
def repeated():
    return repeated_tokens(demo("training")[1], n=24, length=LENGTH, seed=12)


def losses(model, ids):
    """Of the first copy, and of the second without its first token."""
    logs = model(input_ids=ids).logits.log_softmax(-1)
    loss = -logs[:, :-1].gather(2, ids[:, 1:, None])[..., 0]
    return loss[:, :LENGTH].mean().item(), loss[:, LENGTH + 1 :].mean().item()


def attention(model, layer, head, ids, back):
    """The mean attention to the token so many places back: of the first copy for 1, else of the second."""
    seen = []
    handle = model.transformer.h[layer].attn.c_attn.register_forward_hook(lambda m, i, o: seen.append(o))
    model(input_ids=ids)
    handle.remove()
    q, k, _ = (one[..., D_HEAD * head : D_HEAD * (head + 1)] for one in seen[0].split(48, -1))
    scores = q @ k.mT / D_HEAD**0.5
    pattern = scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
    queries = range(2, LENGTH + 1) if back == 1 else range(LENGTH + 1, 2 * LENGTH + 1)
    return torch.stack([pattern[:, at, at - back] for at in queries]).mean().item()


def test_the_loss_of_what_can_be_predicted_falls_by_nats_within_two_hundred_steps(models, repeated):
    second = {step: losses(model, repeated)[1] for step, model in models.items()}
    assert all(second[a] > second[b] for a, b in itertools.pairwise(CHECKPOINTS))
    assert second[0] - second[550] < 0.25 * (second[0] - second[1050]), "most of the run has changed little"
    assert second[650] - second[775] > 2


def test_the_loss_of_what_cannot_be_predicted_rises_meanwhile(models, repeated):
    first = {step: losses(model, repeated)[0] for step, model in models.items()}
    assert first[875] > first[550] + 0.5


def test_the_previous_token_head_comes_first_and_the_induction_head_jumps(models, repeated):
    previous = {step: attention(model, 0, 0, repeated, 1) for step, model in models.items()}
    induction = {step: attention(model, 1, 1, repeated, LENGTH - 1) for step, model in models.items()}
    assert previous[0] < 0.15
    assert induction[0] < 0.05
    assert previous[550] > 2 * induction[550]
    assert induction[775] - induction[550] > 0.5
    assert induction[1050] > 0.75


def test_both_heads_are_needed_and_the_others_write_nothing(models, repeated):
    model = models[1050]
    whole = losses(model, repeated)[1]
    for layer, head in ((0, 0), (1, 1)):
        edited = copy.deepcopy(model)
        edited.transformer.h[layer].attn.c_proj.weight[D_HEAD * head : D_HEAD * (head + 1)] = 0
        assert losses(edited, repeated)[1] - whole > 3
    for layer, head in ((0, 1), (1, 0)):
        for one in models.values():
            assert not one.transformer.h[layer].attn.c_proj.weight[D_HEAD * head : D_HEAD * (head + 1)].any()


def test_the_card_says_what_a_fresh_measurement_says():
    card = card_module.path_of("training").read_text(encoding="utf-8")
    assert tables.differences(card, card_module.render("training")) == []


def test_checkpoints_are_kept_at_their_steps_and_a_seed_fixes_them(capsys):
    a, b = (train_module.train(seed, steps=2) for seed in (3, 4))
    assert list(a) == list(b) == [0]
    assert not torch.equal(a[0].lm_head.weight, b[0].lm_head.weight)
    shipped, ours = demo("training", step=0)[0], train_module.train(train_module.SEED, steps=1)[0].half().float()
    assert all(torch.equal(p, q) for p, q in zip(shipped.parameters(), ours.parameters(), strict=True))
