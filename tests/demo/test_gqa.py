"""The grouped-query model is what its card says: measured here from q, k and edited weights."""

import copy

import pytest
import torch
from demo_model import card as card_module
from demo_model import tables
from demo_model.gqa import train as train_module

import headgrid as hg
from headgrid.demo import demo, repeated_tokens

pytestmark = pytest.mark.slow

LENGTH, D_HEAD = 32, 24
PREVIOUS, INDUCTION = (0, 1), (1, 5)
HEADS = [(layer, head) for layer in range(2) for head in range(8)]


@pytest.fixture(scope="module")
def model():
    return demo("gqa")[0].requires_grad_(False)


@pytest.fixture(scope="module")
def repeated():
    return repeated_tokens(demo("gqa")[1], n=20, length=LENGTH, seed=7)


def loss(model, ids):
    """Of the second copy without its first token."""
    logs = model(input_ids=ids).logits.log_softmax(-1)
    return -logs[:, :-1].gather(2, ids[:, 1:, None])[:, LENGTH + 1 :].mean().item()


def rotated(x, base=1000.0):
    """Rotary positions: each pair (i, i + h / 2) is turned by position / base^(2 i / h)."""
    half = x.shape[-1] // 2
    angles = torch.arange(x.shape[-2])[:, None] * base ** (-torch.arange(half) / half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1)


def pattern(model, layer, head, ids):
    seen = {}
    attn = model.model.layers[layer].self_attn
    handles = [
        attn.q_proj.register_forward_hook(lambda m, i, o: seen.__setitem__("q", o)),
        attn.k_proj.register_forward_hook(lambda m, i, o: seen.__setitem__("k", o)),
    ]
    model(input_ids=ids)
    for handle in handles:
        handle.remove()
    q = rotated(seen["q"][..., D_HEAD * head : D_HEAD * (head + 1)])
    group = head // 4
    k = rotated(seen["k"][..., D_HEAD * group : D_HEAD * (group + 1)])
    scores = q @ k.mT / D_HEAD**0.5
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)


def induction(model, layer, head, ids):
    found = pattern(model, layer, head, ids)
    return torch.stack([found[:, at, at - LENGTH + 1] for at in range(LENGTH + 1, 2 * LENGTH + 1)]).mean().item()


def without(model, layer, head, ids):
    """A copy in which the head writes its mean, of the same position."""
    edited = copy.deepcopy(model)
    o_proj = edited.model.layers[layer].self_attn.o_proj
    columns = slice(D_HEAD * head, D_HEAD * (head + 1))

    def replace(_module, given):
        z = given[0].clone()
        z[..., columns] = z[..., columns].mean(0, keepdim=True)
        return (z,)

    o_proj.register_forward_pre_hook(replace)
    return edited


def test_repeated_tokens_are_predicted(model, repeated):
    assert loss(model, repeated) < 0.5


def test_exactly_one_head_is_an_induction_head(model, repeated):
    scores = {head: induction(model, *head, repeated) for head in HEADS}
    assert scores.pop(INDUCTION) > 0.8
    assert max(scores.values()) < 0.2


def test_exactly_one_head_attends_to_the_previous_token(model, repeated):
    scores = {}
    for head in HEADS:
        found = pattern(model, *head, repeated)
        scores[head] = torch.stack([found[:, at, at - 1] for at in range(2, LENGTH + 1)]).mean().item()
    assert scores.pop(PREVIOUS) > 0.5
    assert max(scores.values()) < 0.35


def test_their_siblings_and_all_others_can_be_left_out(model, repeated):
    whole = loss(model, repeated)
    for head in HEADS:
        cost = loss(without(model, *head, repeated), repeated) - whole
        assert (cost > 3) if head in (PREVIOUS, INDUCTION) else (cost < 0.3)


def test_the_values_of_one_group_matter_and_those_of_the_other_do_not(model, repeated):
    whole = loss(model, repeated)
    with hg.ablate(model, "l1g1.v"):
        assert loss(model, repeated) - whole > 3
    with hg.ablate(model, "l1g0.v"):
        assert loss(model, repeated) - whole < 0.5


def test_there_is_no_mlp(model):
    assert not any(one.any() for layer in model.model.layers for one in layer.mlp.parameters())


def test_the_card_says_what_a_fresh_measurement_says():
    card = card_module.path_of("gqa").read_text(encoding="utf-8")
    assert tables.differences(card, card_module.render("gqa")) == []


def test_a_seed_fixes_every_weight(capsys):
    a, b, c = (train_module.train(seed, steps=3) for seed in (3, 3, 4))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.lm_head.weight, c.lm_head.weight)
