"""Masks, windows, sinks, caps, biases and caches of keys are in scores and patterns, however attention is computed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import tiny
import torch
import transformers
from hooking import LLAMA, in_one_call, tokens
from torch.testing import assert_close

from headgrid.hooks import ablate, patch, record, steer

LONG = tokens(2, 12)


def built(family: str, attention: str = "eager", **changes: Any) -> Any:
    """A model in single precision, with some of its configuration changed."""
    config = tiny.config(family)
    for name, value in changes.items():
        setattr(config, name, value)
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation=attention).float()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    return model.eval()


def recorded(model: Any, text: str, given: torch.Tensor = LONG, **named: Any) -> Any:
    with record(model, text) as cache, torch.no_grad():
        model(given, **named)
    return cache


def later(n: int) -> torch.Tensor:
    """Which keys come after a query."""
    return torch.ones(n, n, dtype=torch.bool).triu(1)


@pytest.mark.parametrize("family", [LLAMA, "gpt_neox", "qwen2", "opt", "falcon-rw", "bert"])
def test_padding_on_the_left_is_in_the_pattern_of_either_attention(family: str) -> None:
    mask = torch.ones_like(LONG)
    mask[0, :4] = 0
    patterns = []
    for attention in ("eager", "sdpa"):
        model = tiny.fresh(family, attention).float()
        patterns.append(recorded(model, "l1h*.pattern", attention_mask=mask).of("pattern")[1].transpose(1, 2))
    assert all((pattern[0, :, 4:, :4] == 0).all() for pattern in patterns)
    assert_close(patterns[0][0, :, 4:], patterns[1][0, :, 4:], rtol=1e-4, atol=1e-6)
    assert_close(patterns[0][1], patterns[1][1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(
    ("family", "changes", "layer", "window"),
    [
        ("mistral", {"sliding_window": 5}, 1, 5),
        ("gemma3", {"sliding_window": 5, "layer_types": ["sliding_attention"] * 2 + ["full_attention"]}, 1, 5),
        ("gemma3", {"sliding_window": 5, "layer_types": ["sliding_attention"] * 2 + ["full_attention"]}, 2, 12),
        ("gpt_oss", {}, 0, 4),
        ("gpt_neo", {"window_size": 5}, 1, 5),
        ("gpt_neo", {"window_size": 5}, 0, 12),
    ],
)
def test_no_query_sees_beyond_its_window(family: str, changes: Any, layer: int, window: int, attention: str) -> None:
    if attention == "sdpa" and family in ("gpt_oss", "gpt_neo"):
        attention = "eager"
    model = built(family, attention, **changes)
    pattern = recorded(model, f"l{layer}h1.pattern | l{layer}h1.scores")[f"l{layer}h1.pattern"]
    distance = torch.arange(12)[:, None] - torch.arange(12)
    seen = (distance >= 0) & (distance < window)
    assert (pattern[:, seen] > 0).all()
    assert (pattern[:, ~seen] == 0).all()


def test_a_sink_takes_what_the_keys_leave() -> None:
    model = built("gpt_oss")
    cache = recorded(model, "l1h4.pattern | l1h4.q | l1g1.k")
    attention = model.model.layers[1].self_attn
    scores = cache["l1h4.q"] @ cache["l1g1.k"].mT * attention.scaling
    scores = scores.masked_fill(later(12), -math.inf)
    sink = attention.sinks.detach()[4].expand(2, 12, 1)
    assert_close(cache["l1h4.pattern"], torch.cat([scores, sink], -1).softmax(-1)[..., :-1])
    assert (cache["l1h4.pattern"].sum(-1) < 1).all()


def test_a_soft_cap_is_in_the_scores() -> None:
    model = built("gemma2", attn_logit_softcapping=2.0)
    cache = recorded(model, "l1h4.scores | l1h4.q | l1g1.k")
    raw = cache["l1h4.q"] @ cache["l1g1.k"].mT * model.model.layers[1].self_attn.scaling
    assert raw.abs().max() > 4
    assert_close(cache["l1h4.scores"], (2 * torch.tanh(raw / 2)).masked_fill(later(12), -math.inf))


def slopes(n: int) -> torch.Tensor:
    """Of ALiBi (Press et al. 2022), for a power of two of heads."""
    return torch.tensor([2 ** (-8 * (i + 1) / n) for i in range(n)])


def as_defined(_: Any) -> torch.Tensor:
    return -slopes(4)[2] * (torch.arange(12)[:, None] - torch.arange(12))


def from_the_start(_: Any) -> torch.Tensor:
    return slopes(4)[2] * torch.arange(12)[None]


def in_half_precision(_: Any) -> torch.Tensor:
    """Falcon rounds the biases of positions, and scales them as its scores."""
    return slopes(4)[2].bfloat16().float() * torch.arange(12)[None].float() / 10**0.5


def of_t5(model: Any) -> torch.Tensor:
    table = model.encoder.block[0].layer[0].SelfAttention
    return table.compute_bias(12, 12)[0, 2].detach()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("family", "layer", "factor", "bias"),
    [
        ("bloom", "l1", 7**-0.5, from_the_start),
        ("mpt", "l1", 7**-0.5, as_defined),
        ("falcon-rw", "l1", 10**-0.5, in_half_precision),
        ("t5", "encoder l1", 1, of_t5),
    ],
)
def test_biases_of_positions_are_in_the_scores(
    family: str, layer: str, factor: float, bias: Callable[[Any], torch.Tensor]
) -> None:
    """Up to a number that a row has in common, which no softmax sees."""
    model = built(family, "sdpa", alibi=True) if family == "falcon-rw" else tiny.fresh(family).float()
    given = {"decoder_input_ids": LONG} if family == "t5" else {}
    cache = recorded(model, f"{layer}h2.scores | {layer}h2.q | {layer}h2.k", **given)
    expected = cache[f"{layer}h2.q"] @ cache[f"{layer}h2.k"].mT * factor + bias(model)
    scores = cache[f"{layer}h2.scores"]
    if family == "t5":
        assert_close(scores, expected)
    else:
        expected = expected.masked_fill(later(12), -math.inf)
        assert_close(scores - scores[..., :1], expected - expected[..., :1], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", ["dynamic", "static"])
def test_steps_of_generate_have_the_pattern_of_one_pass_whatever_holds_the_keys(kind: str, attention: str) -> None:
    """In one call, transformers has the heads of a group in the place of positions where it masks one position."""
    model = tiny.fresh(LLAMA, attention).float()
    with record(model, "l1h4.pattern | l1h4.q | l1g1.k", keep="all") as steps:
        found = model.generate(
            LONG[:, :5], max_new_tokens=4, min_new_tokens=4, do_sample=False, cache_implementation=kind
        )
    whole = recorded(model, "l1h4.pattern | l1h4.q | l1g1.k", found[:, :-1])
    at = 0
    for pattern, q, k in zip(*(steps.runs(name) for name in ("l1h4.pattern", "l1h4.q", "l1g1.k")), strict=True):
        n, seen = q.shape[1], at + q.shape[1]
        assert_close(q, whole["l1h4.q"][:, at:seen], rtol=1e-4, atol=1e-5)
        assert_close(k[:, :seen], whole["l1g1.k"][:, :seen], rtol=1e-4, atol=1e-5)
        assert_close(pattern[..., :seen], whole["l1h4.pattern"][:, at:seen, :seen], rtol=1e-4, atol=1e-5)
        assert (pattern[..., seen:] == 0).all()  # of a cache that has room for more keys
        at += n
    assert at == 8


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_points_at_the_last_position_of_every_step_are_kept(attention: str) -> None:
    model = tiny.fresh(LLAMA, attention).float()
    text = "l1h4.pattern | l1h4 | l2 in | l1g0.v"
    settings: dict[str, Any] = {"max_new_tokens": 3, "min_new_tokens": 3, "do_sample": False}
    with record(model, text, keep="all", positions=-1) as last, record(model, text, keep="all") as every:
        model.generate(LONG[:, :5], **settings)
    for name in every:
        runs = last.runs(name)
        assert len(runs) == 3
        for one, whole in zip(runs, every.runs(name), strict=True):
            assert_close(one, whole[:, -1:], rtol=0, atol=0)


@pytest.mark.parametrize("text", ["l1h4.q", "l1g1.k", "l1g1.v", "l1h4.scores", "l1h4.pattern"])
def test_what_is_replaced_in_steps_with_padding_is_replaced_in_one_call(text: str) -> None:
    mask = torch.ones(2, 6, dtype=torch.long)
    mask[0, :2] = 0
    logits = []
    for attention in ("eager", "sdpa"):
        model = tiny.fresh(LLAMA, attention).float()
        with torch.no_grad():
            first = model(LONG[:, :5], attention_mask=mask[:, :5], use_cache=True)
            with ablate(model, text, 0.7):
                logits.append(model(LONG[:, 5:6], attention_mask=mask, past_key_values=first.past_key_values).logits)
            plain = model(LONG[:, :6], attention_mask=mask).logits[:, -1:]
        assert not torch.allclose(logits[-1], plain, atol=1e-3)
    if text == "l1h4.pattern":  # opened to the padding too, whose values are no matter to either attention
        logits = [one[1:] for one in logits]
    assert_close(*logits, rtol=1e-4, atol=1e-4)


# ---- what is masked stays masked


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_scores_that_are_replaced_open_no_masked_key(attention: str) -> None:
    model = tiny.fresh(LLAMA, attention).float()
    for context in (ablate(model, "l1h4.scores"), ablate(model, "l1h4.scores", 3.0), steer(model, "l1h4.scores", 2.0)):
        with context, record(model, "l1h4.pattern | l1h4.scores") as cache, torch.no_grad():
            model(LONG)
        assert (cache["l1h4.pattern"][:, later(12)] == 0).all()
        assert (cache["l1h4.scores"][:, later(12)] == -math.inf).all()
    with ablate(model, "l1h4.scores"), record(model, "l1h4.pattern") as cache, torch.no_grad():
        model(LONG)
    expected = torch.ones(12, 12).tril() / torch.arange(1, 13)[:, None]
    assert_close(cache["l1h4.pattern"], expected.expand(2, 12, 12))


def test_recorded_scores_can_be_put_back_by_a_mapping_or_as_a_tensor() -> None:
    model = in_one_call(LLAMA)
    cache = recorded(model, "l1h4.scores")
    other = tokens(2, 12, seed=9)
    got = []
    for values in (cache, {"l1h4.scores": cache["l1h4.scores"]}, cache["l1h4.scores"], cache["l1h4.scores"] * 1):
        with patch(model, "l1h4.scores", values), torch.no_grad():
            got.append(model(other).logits)
    for one in got[1:]:
        assert_close(one, got[0], rtol=0, atol=0)
    with pytest.raises(ValueError, match="NaN or infinite"):
        patch(model, "l1h4.scores", torch.full((2, 12, 12), math.inf))
    with pytest.raises(ValueError, match="NaN or infinite"):
        patch(model, "l1h4.pattern", cache["l1h4.scores"])


@pytest.mark.parametrize("kind", ["scores", "pattern"])
def test_a_mean_of_patterns_is_over_the_batch_alone(kind: str) -> None:
    model = tiny.model(LLAMA)
    with pytest.raises(ValueError, match="queries that see different keys: use per_position=True"):
        ablate(model, f"l1h4.{kind}", "mean")
    cache = recorded(model, f"l1h4.{kind}")
    with ablate(model, f"l1h4.{kind}", "mean", per_position=True):
        after = recorded(model, f"l1h4.{kind}")
    mean = cache[f"l1h4.{kind}"].mean(0, keepdim=True).expand(2, 12, 12)
    assert_close(after[f"l1h4.{kind}"], mean)
