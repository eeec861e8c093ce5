"""The circuit of the marked-name model is what its card says. Measured here with hooks of our own, which know
nothing of headgrid's: heads are replaced where they enter W_O, edges in the output of c_attn; then with its tools."""

import contextlib

import numpy as np
import pytest
import torch
from demo_model import card as card_module
from demo_model import tables
from demo_model.forward import Scaffold, forward
from demo_model.names import sentences
from demo_model.names import train as train_module
from demo_model.names.figures import right_answers
from demo_model.tokens import word_ids
from demo_model.training import build_gpt2, seeded, silence

import headgrid as hg
from headgrid.demo import demo, marked_name_prompts
from headgrid.demo.name_task import NAMES, held_out

pytestmark = pytest.mark.slow

N, D_HEAD = 60, 24
CIRCUIT = ((0, 0), (1, 0), (2, 0))
HEADS = [(layer, head) for layer in range(3) for head in range(4)]


@pytest.fixture(scope="module")
def model():
    return demo("names")[0].requires_grad_(False)


@pytest.fixture(scope="module")
def tokenizer():
    return demo("names")[1]


@pytest.fixture(scope="module")
def clean(tokenizer):
    return marked_name_prompts(tokenizer, N, seed=4)


@pytest.fixture(scope="module")
def second(tokenizer):
    return marked_name_prompts(tokenizer, N, third="second", seed=4)


@pytest.fixture(scope="module")
def first(tokenizer):
    return marked_name_prompts(tokenizer, N, third="first", seed=4)


def run(model, ids):
    return model(input_ids=ids).logits[:, -1]


def difference(model, prompts, ids=None):
    logits = run(model, prompts.ids if ids is None else ids)
    each = torch.arange(len(logits))
    return (logits[each, prompts.right] - logits[each, prompts.wrong]).mean().item()


def recorded(model, ids):
    """The z of every layer, `[batch, positions, 96]`."""
    seen = {}
    handles = [
        block.attn.c_proj.register_forward_pre_hook(lambda _, given, at=at: seen.__setitem__(at, given[0].clone()))
        for at, block in enumerate(model.transformer.h)
    ]
    run(model, ids)
    for handle in handles:
        handle.remove()
    return seen


@contextlib.contextmanager
def replaced(model, heads, values, positions=None):
    """The z of some heads is that of `values`, everywhere or at one position of each row."""

    def hook(at):
        def replace(_module, given):
            z = given[0].clone()
            for layer, head in heads:
                if layer == at:
                    columns = slice(D_HEAD * head, D_HEAD * (head + 1))
                    if positions is None:
                        z[..., columns] = values[layer][..., columns]
                    else:
                        each = torch.arange(len(z))
                        z[each, positions, columns] = values[layer][each, positions, columns]
            return (z,)

        return replace

    handles = [
        model.transformer.h[at].attn.c_proj.register_forward_pre_hook(hook(at)) for at in {layer for layer, _ in heads}
    ]
    yield
    for handle in handles:
        handle.remove()


def restored(model, clean, corrupted, heads, positions):
    """Of the difference between two runs, how much comes back with some heads' clean output at one place."""
    low, high = difference(model, clean, corrupted.ids), difference(model, clean)
    with replaced(model, heads, recorded(model, clean.ids), positions):
        return (difference(model, clean, corrupted.ids) - low) / (high - low)


def pattern(model, ids, layer, head):
    """softmax(q k / sqrt(d_head)) from the output of c_attn: [batch, query, key]."""
    seen = []
    handle = model.transformer.h[layer].attn.c_attn.register_forward_hook(lambda m, i, o: seen.append(o))
    run(model, ids)
    handle.remove()
    q, k, _ = (one[..., D_HEAD * head : D_HEAD * (head + 1)] for one in seen[0].split(96, -1))
    scores = q @ k.mT / D_HEAD**0.5
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)


# --- what it does -----------------------------------------------------------------------------------------------------


def test_the_name_said_once_comes_next(model, clean):
    p = run(model, clean.ids).softmax(-1)[torch.arange(N), clean.right]
    assert p.mean() > 0.97
    assert difference(model, clean) > 5


def test_pairs_that_were_held_out_are_completed_as_well(model, tokenizer):
    unseen = marked_name_prompts(tokenizer, N, unseen=True, seed=8)
    names = [[tokenizer.decode([one]) for one in pair] for pair in zip(unseen.right, unseen.wrong, strict=True)]
    assert all(held_out(*pair) for pair in names)
    assert run(model, unseen.ids).softmax(-1)[torch.arange(N), unseen.right].mean() > 0.9


def test_without_a_repeated_name_nothing_tells_the_names_apart(model, clean, first, second):
    for control in (first, second):
        assert abs(difference(model, clean, control.ids)) < 0.15 * difference(model, clean)
        p = run(model, control.ids).softmax(-1)
        for name in (control.right, control.wrong, control.third):
            assert 0.2 < p[torch.arange(N), name].mean() < 0.5


@pytest.mark.parametrize(
    "how", [{"kind": "repeated"}, {"kind": "repeated", "frames": True}, {"kind": "two"}, {"kind": "new"}]
)
def test_sentences_of_every_form_are_completed(model, tokenizer, how):
    import random

    drawn = [sentences.random_sentence(random.Random(seed), **how) for seed in range(80)]
    assert right_answers(model, tokenizer, drawn)[0] > 0.95


# --- the circuit ------------------------------------------------------------------------------------------------------


def test_the_induction_head_looks_behind_the_first_mention_only_where_the_name_is_repeated(model, clean, first, second):
    each = torch.arange(N)
    looks = [
        pattern(model, some.ids, 1, 0)[each, some.second, some.first + 1].mean().item()
        for some in (clean, first, second)
    ]
    assert looks[0] > 0.9
    assert max(looks[1:]) < 0.1


def test_the_mark_is_made_at_the_second_mention_and_read_at_the_blank(model, clean, first):
    end = torch.full((N,), clean.ids.shape[1] - 1)
    assert restored(model, clean, first, [(1, 0)], clean.second) > 0.9
    assert restored(model, clean, first, [(2, 0)], end) > 0.9
    assert restored(model, clean, first, [(0, 0)], clean.first + 1) > 0.9
    assert abs(restored(model, clean, first, [(1, 0)], end)) < 0.1
    assert (
        abs(restored(model, clean, first, [(2, 0)], clean.second)) < 0.01
    )  # the last layer is read at the blank alone


def test_all_other_heads_together_do_nothing_at_these_places(model, clean, first):
    others = [head for head in HEADS if head not in CIRCUIT]
    for place in (clean.first + 1, clean.second, torch.full((N,), clean.ids.shape[1] - 1)):
        assert abs(restored(model, clean, first, others, place)) < 0.1


def test_the_three_heads_alone_complete_the_name(model, clean, first, second):
    """All others have their mean, position by position, over prompts with a repeated name and without."""
    means = recorded(model, torch.cat([some.ids for some in (clean, first, second)]))
    means = {layer: z.mean(0, keepdim=True).expand(N, -1, -1) for layer, z in means.items()}
    whole = difference(model, clean)
    with replaced(model, [head for head in HEADS if head not in CIRCUIT], means):
        assert abs(difference(model, clean) - whole) < 0.1 * whole
    for head in CIRCUIT:
        with replaced(model, [head], means):
            assert difference(model, clean) < 0.1 * whole


def test_the_names_reach_the_logits_through_a_chain_that_suppresses(model, tokenizer):
    """Previous token -> induction -> reader, from names to names: raises others, lowers what was said twice."""
    blocks = model.transformer.h
    words = word_ids(tokenizer)
    ids = torch.tensor([words[name] for name in NAMES])
    center = torch.eye(96, dtype=torch.float64) - 1 / 96
    chain = model.transformer.wte.weight[ids].double()
    for block in blocks:
        W_V = block.attn.c_attn.weight[:, 192 : 192 + D_HEAD].double()
        chain = (
            chain @ center @ torch.diag(block.ln_1.weight.double()) @ W_V @ block.attn.c_proj.weight[:D_HEAD].double()
        )
    chain = chain @ center @ torch.diag(model.transformer.ln_f.weight.double()) @ model.lm_head.weight[ids].double().T
    values = np.linalg.eigvals(chain.numpy())
    assert values.real.sum() / np.abs(values).sum() < -0.9


# --- with headgrid's own tools ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def task(tokenizer, clean, first):
    return hg.Task(tokenizer, clean.ids, answers=clean.right, wrong=clean.wrong, corrupted=first.ids)


def test_patching_with_headgrid_gives_what_our_hooks_give(model, task, clean, first):
    found = hg.effect(model, task, "l1h0", "patch", positions=clean.second).normalized["patch"]
    assert found == pytest.approx(restored(model, clean, first, [(1, 0)], clean.second), abs=1e-4)
    with hg.record(model, "l1h0") as cache:
        run(model, clean.ids)
    with hg.patch(model, "l1h0", cache, positions=clean.second):
        by_hand = difference(model, clean, first.ids)
    low, high = difference(model, clean, first.ids), difference(model, clean)
    assert (by_hand - low) / (high - low) == pytest.approx(found, abs=1e-4)


def test_an_edge_with_headgrid_is_what_a_hook_in_the_keys_gives(model, task, clean, first):
    """0.0 -> the keys of 1.0: what 0.0 had in the clean run is put into the input of these keys alone."""
    streams, block = [], model.transformer.h[1]
    handle = block.ln_1.register_forward_pre_hook(lambda _, given: streams.append(given[0].clone()))
    z = [recorded(model, some.ids)[0][..., :D_HEAD] for some in (first, clean)]
    handle.remove()
    stream = streams[0]
    changed = stream + (z[1] - z[0]) @ model.transformer.h[0].attn.c_proj.weight[:D_HEAD]
    scale = (stream.var(-1, unbiased=False, keepdim=True) + block.ln_1.eps).sqrt()  # as it stood
    read = (changed - changed.mean(-1, keepdim=True)) / scale * block.ln_1.weight + block.ln_1.bias
    keys = (read @ block.attn.c_attn.weight + block.attn.c_attn.bias)[..., 96 : 96 + D_HEAD]

    def put(_module, _given, output):
        output = output.clone()
        output[..., 96 : 96 + D_HEAD] = keys
        return output

    low, high = difference(model, clean, first.ids), difference(model, clean)
    handle = block.attn.c_attn.register_forward_hook(put)
    by_hand = (difference(model, clean, first.ids) - low) / (high - low)
    handle.remove()
    found = float(hg.paths(model, task, "l0h0", "l1h0.k").normalized[0])
    assert found == pytest.approx(by_hand, abs=1e-4)
    assert found > 0.5


def test_the_circuit_is_faithful(model, tokenizer, task, clean, first, second):
    both = hg.Task(tokenizer, torch.cat([clean.ids, first.ids, second.ids]))
    found = hg.faithfulness(model, task, "l0h0 | l1h0 | l2h0", reference=both, controls=5)
    assert abs(found.faithfulness.value - 1) < 0.1
    assert found.completeness.value < 0.1
    assert found.controls.max() < 0.4


# --- its card and its training ----------------------------------------------------------------------------------------


def test_the_card_says_what_a_fresh_measurement_says():
    card = card_module.path_of("names").read_text(encoding="utf-8")
    assert tables.differences(card, card_module.render("names")) == []
    assert "duplicate marking" in card.lower()


def test_the_right_names_are_those_said_once():
    import random

    for seed in range(300):
        one = sentences.random_sentence(random.Random(seed))
        said = [word for word in one.words if word in NAMES]
        assert set(one.right) == {name for name in said if said.count(name) == 1}
        assert {"repeated": 1, "new": 0, "two": 1, "none": 0}[one.kind] == len(said) - len(set(said))


def test_what_is_held_out_is_not_drawn_for_training():
    import random

    for seed in range(300):
        one = sentences.random_sentence(random.Random(seed))
        said = [word for word in one.words if word in NAMES]
        for name in {name for name in said if said.count(name) == 2}:
            later = said[-1] if one.kind == "repeated" else None
            listed = said[: -1 if later else -2]
            assert not any(held_out(name, other) for other in listed if other != name)
        assert not one.unseen_frames


@torch.no_grad()
def test_the_forward_pass_of_the_training_is_the_model_s_own(model, tokenizer):
    words = word_ids(tokenizer)
    with seeded(3) as draw:
        rows = train_module.name_rows(draw, words, 5)
        torch.testing.assert_close(forward(model, rows.ids)[0], model(rows.ids).logits, atol=2e-5, rtol=1e-4)
        fresh = build_gpt2(len(tokenizer), train_module.SHAPE).eval()
    silenced = forward(fresh, rows.ids, Scaffold(((1,), (0, 2), ()), mlps=False))[0]
    silence(fresh, ((1,), (0, 2), ()))
    torch.testing.assert_close(silenced, fresh(rows.ids).logits, atol=2e-5, rtol=1e-4)


def test_under_the_scaffold_lower_layers_learn_only_through_what_the_last_layer_reads(tokenizer):
    words = word_ids(tokenizer)
    with seeded(5) as draw:
        fresh = build_gpt2(len(tokenizer), train_module.SHAPE)
        rows = train_module.name_rows(draw, words, 4)
    last = fresh.transformer.h[2].attn.c_proj
    with torch.no_grad():
        last.weight.zero_()
    logits = forward(fresh, rows.ids, Scaffold(blanks=True, mlps=False), rows.blanks).logits
    logits[rows.blanks].sum().backward()
    assert (
        fresh.transformer.h[0].attn.c_proj.weight.grad is None
        or not fresh.transformer.h[0].attn.c_proj.weight.grad.any()
    )
    assert last.weight.grad.any()


def test_a_seed_fixes_every_weight(capsys):
    a, b, c = (train_module.train(seed, steps) for seed, steps in ((3, 2), (3, 2), (4, 1)))
    assert all(torch.equal(one, other) for one, other in zip(a.parameters(), b.parameters(), strict=True))
    assert not torch.equal(a.lm_head.weight, c.lm_head.weight)
