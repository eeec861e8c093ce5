"""Points of heads and layers: what is recorded there is the model's own, and what is put back changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
from hooking import LLAMA, ONE_CALL, anatomy_of, clean, hooks_on, in_one_call, places, run, tokens
from torch.testing import assert_close

from headgrid.hooks import ablate, patch, record, steer
from headgrid.selection.selection import SelectionError

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)

GATED = {"qwen3_next"}
"""Families whose z is the weighted values times a gate."""

HEAD_POINTS = ["q", "k", "v", "scores", "pattern", "z", "result"]


def attended(family: str) -> list[tuple[str, int]]:
    """A layer of each stack, and its number of heads; not of towers that attend to each image by itself."""
    packed = {"qwen2_vl", "qwen3_vl"}
    found = [(place, stack.n_heads) for stack, _, place in places(anatomy_of(family), "W_O")]
    return [one for one in found if not (family in packed and one[0].startswith("vision"))]


# ---- on every family


@every_family
def test_the_pattern_weighs_the_values_into_z_and_is_the_softmax_of_the_scores(family: str) -> None:
    for place, n_heads in attended(family):
        with record(tiny.model(family), f"{place}h*", points=HEAD_POINTS) as cache:
            assert_close(run(tiny.model(family), family), clean(family), rtol=0, atol=0)
        for head in range(n_heads):
            kinds = ("scores", "pattern", "v", "z")
            for scores, pattern, v, z in zip(*(cache.runs(f"{place}h{head}.{kind}") for kind in kinds), strict=True):
                if family not in GATED:
                    assert_close(pattern.to(v) @ v, z)
                if family == "gpt_oss":  # a sink takes a part of each row
                    assert (pattern.sum(-1) < 1).all()
                    continue
                # many models take the softmax in single precision, whatever their own is
                assert_close(scores.softmax(-1).to(pattern), pattern, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("family", ONE_CALL)
def test_attention_in_one_call_has_the_same_points_as_attention_in_steps(family: str) -> None:
    for place, _ in attended(family):
        with record(tiny.model(family), f"{place}h*", points=HEAD_POINTS) as steps:
            run(tiny.model(family), family)
        with record(in_one_call(family), f"{place}h*", points=HEAD_POINTS) as whole:
            run(in_one_call(family), family)
        assert list(steps) == list(whole)
        for name in steps:
            for one, other in zip(steps.runs(name), whole.runs(name), strict=True):
                assert_close(one, other, check_dtype=False, rtol=1e-4, atol=1e-5)


@every_family
def test_points_put_back_change_nothing_and_their_zeros_do(family: str) -> None:
    model = tiny.model(family)
    for place, n_heads in attended(family):
        for kind in HEAD_POINTS:
            if family.startswith("deberta_v2") and kind in ("q", "k"):
                continue  # they enter products with positions too: a test of their own
            with record(model, f"{place}h*", points=kind) as cache:
                run(model, family)
            text = f"{place}h*.{kind}"
            with patch(model, text, cache):
                assert_close(run(model, family), clean(family))
            with ablate(model, f"{place}h{n_heads - 1}.{kind}" if kind not in "kv" else text):
                assert not torch.equal(run(model, family), clean(family)), (place, kind)


@pytest.mark.parametrize("kind", ["q", "k", "v", "scores", "pattern", "result"])
def test_a_replaced_point_moves_the_model_in_one_call_as_in_steps(kind: str) -> None:
    text = f"l1g1.{kind}" if kind in "kv" else f"l1h[1,4].{kind}"
    got = []
    for model in (tiny.model(LLAMA), in_one_call(LLAMA)):
        with ablate(model, text, 0.25):
            got.append(run(model, LLAMA))
    assert_close(*got, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(got[0], clean(LLAMA))


def test_an_ablated_pattern_or_value_is_an_ablated_head() -> None:
    with ablate(tiny.model(LLAMA), "l1h4"):
        expected = run(tiny.model(LLAMA), LLAMA)
    for text in ("l1h4.pattern", "l1h4.result", "l1h4.z"):
        for model in (tiny.model(LLAMA), in_one_call(LLAMA)):
            with ablate(model, text):
                assert_close(run(model, LLAMA), expected, rtol=1e-4, atol=1e-5)


# ---- layers


PLAIN = ("bloom", "cohere", "falcon", "gemma", "glm", "gpt2", "gpt_neox", "gptj", "granite", "llama", "mixtral", "olmo",
         "phi", "qwen")  # fmt: skip
PRE_NORM = [
    family for family in tiny.FAMILIES if family.startswith(PLAIN) and "_vl" not in family and "vision" not in family
]
"""Families whose layers add what attention gives and what the MLP gives to the stream."""


@pytest.mark.parametrize("family", PRE_NORM)
def test_what_attention_and_mlp_add_is_what_a_layer_adds(family: str) -> None:
    model = tiny.model(family)
    for place, _ in attended(family):
        with record(model, place, points=["in", "attn out", "mlp out", "out"]) as cache:
            run(model, family)
        added = cache[f"{place} attn out"] + cache[f"{place} mlp out"]
        assert_close(cache[f"{place} in"] + added, cache[f"{place} out"])


def test_the_stream_between_the_blocks_is_the_input_and_what_attention_added() -> None:
    for family in (LLAMA, "gpt2", "gemma2", "olmo", "olmo2", "granite"):
        with record(tiny.model(family), "l1", points=["in", "mid", "attn out"]) as cache:
            run(tiny.model(family), family)
        assert_close(cache["l1 in"] + cache["l1 attn out"], cache["l1 mid"])


@pytest.mark.parametrize("family", ["gptj", "gpt_neox", "falcon-40b", "cohere"])
def test_where_attention_and_mlp_are_parallel_nothing_is_between_them(family: str) -> None:
    with (
        pytest.raises(ValueError, match="attention and MLP of this layer both read its input"),
        record(tiny.model(family), "l1 mid"),
    ):
        run(tiny.model(family), family)


@pytest.mark.parametrize("word", ["in", "mid", "out", "attn out", "mlp out"])
@pytest.mark.parametrize("family", [LLAMA, "olmo", "granite", "bert", "gemma2", "mixtral"])
def test_points_of_layers_can_be_put_back_and_steered(family: str, word: str) -> None:
    model = tiny.model(family)
    with record(model, f"l1 {word}") as cache:
        run(model, family)
    with patch(model, f"l1 {word}", cache):
        assert_close(run(model, family), clean(family))
    vector = torch.linspace(-1, 1, anatomy_of(family).d_model, dtype=torch.float64)
    with steer(model, f"l1 {word}", vector), record(model, f"l1 {word}") as moved:
        assert not torch.allclose(run(model, family), clean(family))
    assert_close(moved[f"l1 {word}"], cache[f"l1 {word}"] + vector)


# ---- positions


def test_positions_are_kept_in_their_order_and_replaced_alone() -> None:
    model, given = tiny.model(LLAMA), tokens(3, 7)
    with record(model, "l1h2 | l1h2.pattern") as whole, torch.no_grad():
        model(given)
    rows = torch.tensor([[6, 0], [1, 2], [5, 3]])
    for positions, at in ((slice(2, 5), [2, 3, 4]), ([-1, 0], [6, 0]), (3, [3])):
        with record(model, "l1h2 | l1h2.pattern", positions=positions) as cache, torch.no_grad():
            model(given)
        for name in whole:
            assert_close(cache[name], whole[name][:, at], rtol=0, atol=0)
    with record(model, "l1h2", positions=rows) as cache, torch.no_grad():
        model(given)
    assert_close(cache["l1h2"], torch.stack([whole["l1h2"][i, rows[i]] for i in range(3)]), rtol=0, atol=0)
    with ablate(model, "l1h2", 3.0, positions=[-1]), record(model, "l1h2") as after, torch.no_grad():
        model(given)
    expected = whole["l1h2"].clone()
    expected[:, -1] = 3
    assert_close(after["l1h2"], expected)


def test_a_recording_of_some_positions_is_put_back_at_these() -> None:
    model, given, other = tiny.model(LLAMA), tokens(3, 7), tokens(3, 7, seed=9)
    with record(model, "l1h2", positions=[2, 5]) as some, record(model, "l1h2") as whole, torch.no_grad():
        model(given)
    got = []
    for cache in (some, whole):
        with patch(model, "l1h2", cache, positions=[2, 5]), torch.no_grad():
            got.append(model(other).logits)
    assert_close(got[0], got[1], rtol=0, atol=0)
    with torch.no_grad():
        assert not torch.allclose(got[0], model(other).logits)


@pytest.mark.parametrize(
    ("positions", "kind", "said"),
    [
        (7, ValueError, "position 7 is out of range: this pass has 7 positions"),
        ([0, -7], ValueError, "one position twice"),
        (torch.tensor([0, 1]), ValueError, "given for 2 rows, the pass has 3"),
        ([], ValueError, "positions is empty"),
        (1.5, TypeError, "positions is a slice"),
        ("last", TypeError, "positions is a slice"),
        (True, TypeError, "positions is a slice"),
        (torch.tensor([0.5]), TypeError, "positions is a slice"),
    ],
)  # fmt: skip
def test_positions_that_are_none_are_refused(positions: Any, kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said), record(tiny.model(LLAMA), "l1h2", positions=positions), torch.no_grad():
        tiny.model(LLAMA)(tokens(3, 7))


# ---- words


def test_texts_name_points_and_the_cache_says_them_again() -> None:
    model = tiny.model(LLAMA)
    text = "l1h2 | (l0h1 | l2h*).pattern | l1g1.k | l0-1 in | l2 mlp out | l0 mlp n3"
    with record(model, text) as cache:
        run(model, LLAMA)
    patterns = ["l0h1.pattern", *(f"l2h{head}.pattern" for head in range(6))]
    assert set(cache) == {"l1h2", *patterns, "l1g1.k", "l0 in", "l1 in", "l2 mlp out", "l0 mlp"}
    for name in cache:
        assert cache[name].shape[0] == 2
    assert_close(cache["l1h4.k"], cache["l1g1.k"], rtol=0, atol=0)
    assert cache["l2h[1,4].pattern"].shape == (2, 7, 2, 7)
    assert_close(cache.of("pattern")[2][:, :, 4], cache["l2h4.pattern"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("l1h* - l1h2.pattern", "put parentheses around it"),
        ("l0 mlp.pattern", "which is of heads"),
        ("l9h0.pattern", "l9"),
        ("l1h2.patterns", "patterns"),
        ("embed in", "embed is in no layer"),
    ],
)
def test_texts_that_name_no_point_are_refused(text: str, said: str) -> None:
    with pytest.raises((ValueError, SelectionError), match=said):
        record(tiny.model(LLAMA), text)


def test_a_key_that_other_heads_share_is_replaced_with_a_warning() -> None:
    with pytest.warns(UserWarning, match=r"l1g0\.k is shared by the 3 heads of its group"):
        context = ablate(tiny.model(LLAMA), "l1h2.k")
    with ablate(tiny.model(LLAMA), "l1g0.k"):
        expected = run(tiny.model(LLAMA), LLAMA)
    with context:
        assert_close(run(tiny.model(LLAMA), LLAMA), expected)


def test_queries_that_enter_a_product_with_positions_are_replaced_there_too_or_refused() -> None:
    with (
        pytest.raises(RuntimeError, match="replace its scores or its pattern"),
        ablate(tiny.model("deberta_v2"), "l1h2.k"),
    ):
        run(tiny.model("deberta_v2"), "deberta_v2")


@pytest.mark.slow
def test_a_kernel_that_hides_its_steps_is_an_error_that_says_how_to_load_the_model() -> None:
    model = tiny.fresh(LLAMA, "flex_attention").float()
    with (
        pytest.raises(RuntimeError, match="Load the model with attn_implementation='sdpa' or 'eager'"),
        record(model, "l1h2.pattern"),
        torch.no_grad(),
    ):
        model(tokens(2, 7))


def test_attention_of_several_images_at_once_has_no_one_pattern() -> None:
    with pytest.raises(RuntimeError, match="runs in 2 pieces"), record(tiny.model("qwen2_vl"), "vision l1h2.pattern"):
        run(tiny.model("qwen2_vl"), "qwen2_vl")


# ---- contexts within contexts, generation, gradients


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_an_inner_context_sees_what_the_outer_one_has_changed(implementation: str) -> None:
    model = tiny.model(LLAMA) if implementation == "eager" else in_one_call(LLAMA)
    before = hooks_on(model)
    for kind in ("q", "v", "scores", "pattern"):
        text = f"l1g1.{kind}" if kind == "v" else f"l1h4.{kind}"
        with ablate(model, text, 0.5), record(model, text) as cache:
            run(model, LLAMA)
        there = cache[text] > -torch.inf
        assert there.any()
        assert_close(cache[text][there], torch.full_like(cache[text][there], 0.5))
    assert hooks_on(model) == before


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_each_step_of_generate_has_the_pattern_over_all_keys_so_far(implementation: str) -> None:
    model = tiny.model(LLAMA) if implementation == "eager" else in_one_call(LLAMA)
    with record(model, "l1h4.pattern", keep="all") as cache:
        found = model.generate(tokens(1, 5), max_new_tokens=4, min_new_tokens=4, do_sample=False)
    assert [tuple(one.shape) for one in cache.runs("l1h4.pattern")] == [(1, 5, 5), (1, 1, 6), (1, 1, 7), (1, 1, 8)]
    with record(model, "l1h4.pattern") as whole, torch.no_grad():
        model(found[:, :-1])
    assert_close(torch.cat([one[:, -1, :5] for one in cache.runs("l1h4.pattern")]), whole["l1h4.pattern"][0, 4:, :5])


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
def test_gradients_reach_the_points_that_the_model_goes_on_with(implementation: str) -> None:
    model = tiny.model(LLAMA) if implementation == "eager" else in_one_call(LLAMA)
    names = ["l1h4.q", "l1g1.k", "l1g1.v", "l1h4.pattern", "l1h4", "l1h4.result", "l1 mlp out"]
    with record(model, " | ".join(names), detach=False) as cache:
        loss = model(**tiny.inputs(LLAMA)).logits.square().sum()
    gradients = torch.autograd.grad(loss, [cache[name] for name in names])
    for name, gradient in zip(names, gradients, strict=True):  # against a finite difference along the gradient
        step = 1e-3 * gradient / gradient.norm()
        with steer(model, name, step):
            more = run(model, LLAMA).square().sum()
        with steer(model, name, -step):
            less = run(model, LLAMA).square().sum()
        assert_close((more - less) / 2e-3, gradient.norm().double(), rtol=1e-2, atol=1e-2)


def test_left_padding_and_windows_are_in_the_pattern() -> None:
    given = tokens(2, 7)
    mask = torch.ones_like(given)
    mask[0, :3] = 0
    for implementation in ("eager", "sdpa"):
        model = tiny.fresh(LLAMA, implementation).float()
        with record(model, "l1h4.pattern") as cache, torch.no_grad():
            model(given, attention_mask=mask)
        assert (cache["l1h4.pattern"][0, 3:, :3] == 0).all()
        assert (cache["l1h4.pattern"][1].triu(1) == 0).all()
