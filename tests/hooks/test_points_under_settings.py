"""Points do not depend on the caller's settings of torch, on threads, or on how a pass ends."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import tiny
import torch
from hooking import LLAMA, clean, hooks_on, in_one_call, run, tokens
from torch.overrides import _get_current_function_mode_stack
from torch.testing import assert_close

from headgrid.hooks import ablate, patch, record, steer

POINTS = ["q", "k", "v", "scores", "pattern", "z", "result"]
LAYER_POINTS = "l1 in | l1 mid | l1 out | l1 attn out | l1 mlp out"
either = pytest.mark.parametrize("attention", ["eager", "sdpa"])


def model_of(attention: str, dtype: torch.dtype = torch.float32) -> Any:
    return tiny.fresh(LLAMA, attention).to(dtype)


def recorded(model: Any, given: torch.Tensor) -> dict[str, torch.Tensor]:
    with record(model, "l1h4", points=POINTS) as heads, record(model, LAYER_POINTS) as layers, torch.no_grad():
        model(given)
    return {name: cache[name] for cache in (heads, layers) for name in cache}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


SETTINGS = {
    "default dtype float64": lambda: default_dtype(torch.float64),
    "default dtype bfloat16": lambda: default_dtype(torch.bfloat16),
    "inference mode": torch.inference_mode,
    "gradients": torch.enable_grad,
    "a default device": lambda: torch.device("meta"),
}


@either
@pytest.mark.parametrize("setting", SETTINGS)
def test_points_are_the_same_under_any_setting(setting: str, attention: str) -> None:
    model, given = model_of(attention), tokens(2, 7)
    expected = recorded(model, given)
    if setting == "a default device":  # the models of transformers make masks there, so within the call alone
        with SETTINGS[setting]():
            contexts = record(model, "l1h4", points=POINTS)
        with contexts as cache, torch.no_grad():
            model(given)
        found = {name: cache[name] for name in cache}
    else:
        with SETTINGS[setting]():
            found = recorded(model, given)
    for name, x in found.items():
        assert x.dtype == expected[name].dtype, name
        assert_close(x.clone(), expected[name], rtol=1e-5, atol=1e-6)


@either
def test_what_was_recorded_in_inference_mode_can_be_put_into_a_pass_with_gradients(attention: str) -> None:
    model, given = model_of(attention), tokens(2, 7)
    for name in (
        *(f"l1h4.{kind}" for kind in POINTS if kind not in "kv"),
        "l1g1.k",
        "l1g1.v",
        *LAYER_POINTS.split(" | "),
    ):
        with torch.inference_mode(), record(model, name) as cache:
            model(given)
        with patch(model, name, cache):
            loss = model(given).logits.square().sum()
        [gradient] = torch.autograd.grad(loss, [model.lm_head.weight])
        assert gradient.isfinite().all()


@either
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_keeps_the_laws_to_its_digits(dtype: torch.dtype, attention: str) -> None:
    model, given = model_of(attention, dtype), tokens(2, 7)
    cache = recorded(model, given)
    assert cache["l1h4.pattern"].dtype == torch.float32  # in which the softmax is taken, by this and most models
    assert_close(cache["l1h4.pattern"].sum(-1), torch.ones(2, 7))
    assert_close(cache["l1h4.scores"].float().softmax(-1), cache["l1h4.pattern"], rtol=1e-2, atol=1e-3)
    z = cache["l1h4.pattern"] @ cache["l1g1.v"].float()
    assert_close(z, cache["l1h4"].float(), rtol=4e-2, atol=4e-2)
    for name in ("l1h4.pattern", "l1h4.q", "l1h4.result", "l1 mlp out"):
        with record(model, name) as one, torch.no_grad():
            before = model(given).logits
        with patch(model, name, one), torch.no_grad():
            after = model(given).logits
        assert_close(after, before, rtol=4e-2, atol=4e-2)
        with ablate(model, name, 20.0), torch.no_grad():
            assert not torch.allclose(model(given).logits, before, rtol=4e-2, atol=4e-2)


@either
def test_autocast_rounds_what_the_model_computes_and_nothing_of_ours(attention: str) -> None:
    model, given = model_of(attention), tokens(2, 7)
    with torch.autocast("cpu", torch.bfloat16):
        cache = recorded(model, given)
    assert_close(cache["l1h4.pattern"].sum(-1), torch.ones(2, 7))
    exact = cache["l1h4.q"].float() @ cache["l1g1.k"].float().mT * 10**-0.5
    exact = exact.masked_fill(torch.ones(7, 7, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)
    far = (cache["l1h4.pattern"] - exact).abs().max()
    assert far < (1e-6 if attention == "sdpa" else 1e-1)
    W_O = model.model.layers[1].self_attn.o_proj.weight[:, 40:50]
    assert_close(cache["l1h4.result"], cache["l1h4"] @ W_O.detach().to(cache["l1h4"]).T)


@either
def test_in_training_the_pattern_is_that_before_dropout(attention: str) -> None:
    model, given = model_of(attention), tokens(2, 7)
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    expected = recorded(model, given)["l1h4.pattern"][:, :1]
    model.train()
    with record(model, "l0h4.pattern | l0h4 | l0g1.v") as cache, torch.no_grad():
        model(given)
    model.eval()
    with record(model, "l0h4.pattern") as quiet, torch.no_grad():
        model(given)
    assert_close(cache["l0h4.pattern"], quiet["l0h4.pattern"], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(cache["l0h4.pattern"] @ cache["l0g1.v"], cache["l0h4"], atol=1e-3)
    assert_close(expected[:, 0, 0], torch.ones(2))


# ---- contexts


@either
def test_contexts_of_different_points_nest_in_any_order(attention: str) -> None:
    model = tiny.model(LLAMA) if attention == "eager" else in_one_call(LLAMA)
    with record(model, "l1h4.pattern | l1h4.scores | l1h4.q") as plain:
        run(model, LLAMA)
    with record(model, "l1h4.q") as before, ablate(model, "l1h4.q"), record(model, "l1h4.q | l1h4.scores") as after:
        run(model, LLAMA)
    assert_close(before["l1h4.q"], plain["l1h4.q"], rtol=0, atol=0)
    assert (after["l1h4.q"] == 0).all()
    seen = after["l1h4.scores"] > -torch.inf
    assert_close(after["l1h4.scores"][seen], torch.zeros_like(after["l1h4.scores"][seen]))
    uniform = torch.ones(7, 7).tril() / torch.arange(1, 8)[:, None]
    with (
        record(model, "l1h4.pattern | l1h[2,4].pattern") as outer, steer(model, "l1h4.scores", 1.0),
        ablate(model, "l1h4.q"), record(model, "l1h4.pattern | l2h[0,5].pattern") as inner,
    ):  # fmt: skip
        run(model, LLAMA)
    for cache in (outer, inner):
        assert_close(cache["l1h4.pattern"], uniform.expand(2, 7, 7).to(cache["l1h4.pattern"]))
    assert_close(outer["l1h2.pattern"], _pattern(model, "l1h2"))


def _pattern(model: Any, head: str) -> torch.Tensor:
    with record(model, f"{head}.pattern") as cache:
        run(model, LLAMA)
    return cache[f"{head}.pattern"]


@either
def test_a_context_can_be_entered_again_and_within_itself(attention: str) -> None:
    model = tiny.model(LLAMA) if attention == "eager" else in_one_call(LLAMA)
    context, taken = steer(model, "l1h4.q", 1.0), record(model, "l1h4.q")
    before = hooks_on(model)  # transformers leaves hooks of its own on a model that gave its attentions
    with taken as plain:
        run(model, LLAMA)
    with context, context, taken as twice:
        run(model, LLAMA)
    with context, taken as once:
        run(model, LLAMA)
    assert_close(once["l1h4.q"], plain["l1h4.q"] + 1)
    assert_close(twice["l1h4.q"], plain["l1h4.q"] + 2)
    assert_close(run(model, LLAMA), clean(LLAMA), rtol=1e-4, atol=1e-5)
    assert hooks_on(model) == before


class BrokenOff(Exception):  # noqa: N818
    pass


@either
@pytest.mark.parametrize("kind", [BrokenOff, KeyboardInterrupt])
@pytest.mark.parametrize("where", ["before", "within", "after"])
def test_a_pass_that_breaks_off_leaves_nothing(where: str, kind: type[BaseException], attention: str) -> None:
    """An interrupt too, as a notebook's stop button sends it: torch's hooks after a module are not called then."""
    model = tiny.fresh(LLAMA, attention)
    attend, given = model.model.layers[1].self_attn, tiny.inputs(LLAMA)
    module = {"before": attend, "within": attend.k_proj, "after": model.model.layers[1].mlp}[where]
    expected = run(model, LLAMA)

    def fail(*_: Any) -> None:
        raise kind

    contexts: list[AbstractContextManager[Any]] = [
        record(model, "l0h4.pattern | l1h4.pattern | l1h4.q"), ablate(model, "l1h2.pattern"), record(model, "l1h4"),
    ]  # fmt: skip
    handle = module.register_forward_pre_hook(fail)
    with pytest.raises(kind), contexts[0], contexts[1], contexts[2]:
        model(**given)
    handle.remove()
    assert _get_current_function_mode_stack() == []
    assert hooks_on(model) == 0
    assert torch.equal(run(model, LLAMA), expected)

    with record(model, "l1h4.pattern | l1h4.q") as cache:  # and again within one context
        handle = module.register_forward_pre_hook(fail)
        with pytest.raises(kind), torch.device("cpu"):
            model(**given)
        handle.remove()
        run(model, LLAMA)
        assert _get_current_function_mode_stack() == []
    assert_close(cache["l1h4.pattern"], _pattern(model, "l1h4"), rtol=0, atol=0)


def test_two_threads_record_two_models_at_once() -> None:
    models = [tiny.fresh(family, "sdpa").float() for family in (LLAMA, "gpt2")]
    expected = [recorded_pattern(model, 9) for model in models]
    found: list[list[torch.Tensor]] = [[], []]
    ready = threading.Barrier(2)

    def work(i: int) -> None:
        ready.wait()
        for _ in range(20):
            found[i].append(recorded_pattern(models[i], 9))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one, right in zip(found, expected, strict=True):
        assert len(one) == 20
        for pattern in one:
            assert_close(pattern, right, rtol=0, atol=0)


def recorded_pattern(model: Any, seed: int) -> torch.Tensor:
    with record(model, "l1h*.pattern | l2h*.pattern") as cache, torch.no_grad():
        model(tokens(2, 12, seed=seed))
    return torch.stack([cache.of("pattern")[1], cache.of("pattern")[2]])


# ---- caches


def test_a_cache_of_points_is_copied_and_pickled_with_all_that_it_says() -> None:
    model = tiny.model(LLAMA)
    with record(model, "l1h[1,4].pattern | l1g1.k | l1h4 | l1 mlp out | l0 mlp n3") as cache:
        run(model, LLAMA)
    for other in (copy.deepcopy(cache), pickle.loads(pickle.dumps(cache))):
        assert list(other) == list(cache)
        for name in cache:
            assert_close(other[name], cache[name], rtol=0, atol=0)
        assert other.heads == cache.heads
        with patch(model, "l1h[1,4].pattern | l1 mlp out", other):
            assert_close(run(model, LLAMA), clean(LLAMA))


def test_a_cache_says_all_of_a_point_by_layer() -> None:
    model = tiny.model(LLAMA)
    with record(model, "l1h[1,4].pattern | l2h5.pattern | l1h4 | l1-2 in | l0 mlp n3") as cache:
        run(model, LLAMA)
    assert {layer: x.shape for layer, x in cache.of("pattern").items()} == {1: (2, 7, 2, 7), 2: (2, 7, 1, 7)}
    assert_close(cache.of("pattern")[1][:, :, 1], cache["l1h4.pattern"], rtol=0, atol=0)
    assert cache.of("in").keys() == {1, 2}
    assert cache.of("mlp")[0].shape == (2, 7, 1)
    assert cache.of("q") == {}
    for text in ("l[1] in", "L1 IN", "l1  in", "l1-1 in", "text l1 in"):
        assert_close(cache[text], cache["l1 in"], rtol=0, atol=0)
    with pytest.raises(KeyError, match=r"l0 in is not recorded; recorded are l1h\[1,4\]\.pattern"):
        cache["l0 in"]
    with pytest.raises(KeyError, match="is not recorded"):
        cache["l[0] in"]
    with pytest.raises(ValueError, match="point is 'q', 'k'"):
        cache.of("patterns")
