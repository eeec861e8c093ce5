"""The model of head types is what its card says: measured here from q and k, then with headgrid's own scores."""

import pytest
import torch
from demo_model import card as card_module
from demo_model import tables
from demo_model.tokens import word_ids
from demo_model.training import seeded
from demo_model.types import train as recipe

import headgrid as hg
from headgrid.demo import demo, repeated_tokens

pytestmark = pytest.mark.slow

LENGTH, D_HEAD = 18, 24
HEADS = {"previous": recipe.PREVIOUS, "current": recipe.CURRENT, "first": recipe.FIRST, "duplicate": recipe.DUPLICATE}
ALL = [(layer, head) for layer in range(2) for head in range(4)]


@pytest.fixture(scope="module")
def model():
    return demo("types")[0].requires_grad_(False)


@pytest.fixture(scope="module")
def tokenizer():
    return demo("types")[1]


@pytest.fixture(scope="module")
def repeated(tokenizer):
    return repeated_tokens(tokenizer, n=24, length=LENGTH, seed=8)


def pattern(model, layer, head, ids):
    """softmax(q k / sqrt(d_head)) from the output of c_attn: [batch, query, key]."""
    seen = []
    handle = model.transformer.h[layer].attn.c_attn.register_forward_hook(lambda m, i, o: seen.append(o))
    model(input_ids=ids)
    handle.remove()
    q, k, _ = (one[..., D_HEAD * head : D_HEAD * (head + 1)] for one in seen[0].split(96, -1))
    scores = q @ k.mT / D_HEAD**0.5
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)


def shares(model, layer, head, ids):
    """The mean attention to what each type is about, from the second of two copies of a block."""
    found = pattern(model, layer, head, ids)
    second = range(LENGTH + 1, 2 * LENGTH + 1)
    keys = {"previous": lambda at: at - 1, "current": lambda at: at, "first": lambda at: 0,
            "duplicate": lambda at: at - LENGTH}  # fmt: skip
    return {name: torch.stack([found[:, at, key(at)] for at in second]).mean().item() for name, key in keys.items()}


@pytest.mark.parametrize("name", HEADS)
def test_there_is_one_head_of_each_type(model, repeated, name):
    scores = {head: shares(model, *head, repeated)[name] for head in ALL}
    assert scores.pop(HEADS[name]) > 0.55
    assert max(scores.values()) < 0.35


@pytest.fixture(scope="module")
def attention(model, tokenizer):
    return hg.attention(model, hg.Task.repeated(tokenizer, n=8, length=LENGTH))


@pytest.mark.parametrize("name", HEADS)
def test_headgrid_scores_it_above_its_base_rate(attention, name):
    found = attention.score(name, draws=5)
    assert found.above[HEADS[name]]
    assert found.values.nan_to_num().argmax() == HEADS[name][0] * 4 + HEADS[name][1]


def test_the_duplicate_token_head_looks_at_the_token_itself_only_where_it_has_no_other(model, repeated):
    found = pattern(model, *recipe.DUPLICATE, repeated).mean(0)
    first, second = torch.arange(1, LENGTH + 1), torch.arange(LENGTH + 1, 2 * LENGTH + 1)
    assert found[first, first].mean() > 0.7
    assert found[second, second].mean() < 0.5 * found[second, second - LENGTH].mean()


def test_the_first_token_head_leaves_its_place_for_the_word_that_gives_it_work(model, tokenizer):
    words = word_ids(tokenizer)
    with seeded(2) as draw:
        ids, _ = recipe.partner_rows(draw, words, recipe.partners(words), 30, recipe.ROW)
    found = pattern(model, *recipe.FIRST, ids)
    asks = ids == words[recipe.ASK]
    assert found[..., 0][asks].mean() < 0.2
    assert found[..., 0][~asks].mean() > 0.8
    logits = model(input_ids=ids).logits.argmax(-1)
    answers = ids[:, 1:][asks[:, :-1]]
    assert (logits[:, :-1][asks[:, :-1]] == answers).float().mean() > 0.9


def test_mirrored_blocks_are_completed_by_the_duplicate_and_the_previous_token_head(model, tokenizer):
    with seeded(4) as draw:
        ids, weights = recipe.mirrored_rows(draw, recipe.ordinary(word_ids(tokenizer)), 24, recipe.ROW)
    known = weights[:, 1:] == 1.0

    def right():
        return (model(input_ids=ids).logits.argmax(-1)[:, :-1] == ids[:, 1:])[known].float().mean().item()

    assert right() > 0.8
    for head in (recipe.DUPLICATE, recipe.PREVIOUS):
        with hg.ablate(model, f"l{head[0]}h{head[1]}", "mean"):
            assert right() < 0.3


def test_there_is_no_mlp_and_the_embedding_is_tied(model):
    assert not any(one.any() for block in model.transformer.h for one in block.mlp.parameters())
    assert model.lm_head.weight is model.transformer.wte.weight


def test_the_card_says_what_a_fresh_measurement_says():
    card = card_module.path_of("types").read_text(encoding="utf-8")
    assert tables.differences(card, card_module.render("types")) == []


def test_a_mirrored_row_reads_the_same_backwards_from_each_middle(tokenizer):
    with seeded(6) as draw:
        ids, weights = recipe.mirrored_rows(draw, recipe.ordinary(word_ids(tokenizer)), 40, 30)
    for row, known in zip(ids.tolist(), (weights == 1.0).tolist(), strict=True):
        for at in range(2, 30):
            if known[at]:
                first = max(before for before in range(at - 1) if row[before] == row[at - 1])
                assert row[at] == row[first - 1]


def test_what_is_asked_for_is_what_followed_the_mark(tokenizer):
    words = word_ids(tokenizer)
    with seeded(7) as draw:
        ids, weights = recipe.partner_rows(draw, words, recipe.partners(words), 40, 30)
    for row, weight in zip(ids.tolist(), weights.tolist(), strict=True):
        assert row.count(words[recipe.MARK]) <= 1
        for at in range(1, 30):
            if row[at - 1] == words[recipe.ASK]:
                assert weight[at] == 1.0
                assert row[at] == row[row.index(words[recipe.MARK]) + 1]


def test_a_seed_fixes_every_weight(capsys):
    a, b, c = (recipe.train(seed, steps=3) for seed in (3, 3, 4))
    assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.lm_head.weight, c.lm_head.weight)
