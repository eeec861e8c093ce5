"""The cache: what passes left, read by words."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import tiny
import torch
from hooking import (
    BATCH,
    D_HEAD,
    LLAMA,
    tokens,
    z_of,
)
from torch.testing import assert_close

import headgrid as hg
from headgrid.hooks import NotRecorded, ablate, record


def test_a_cache_reads_as_a_mapping_and_says_what_it_does_not_have() -> None:
    model = tiny.model(LLAMA)
    with record(model, "l1h[0,2] | l0 mlp n[3,8]", layers="l2") as cache:
        assert list(cache) == []
        with pytest.raises(NotRecorded, match="no forward pass has come to l1h2 yet"):
            cache["l1h2"]
        model(BATCH)
    assert list(cache) == ["l0 mlp", "l1h0", "l1h2", "l2 in", "l2 out"]
    assert all(cache[name] is not None for name in cache)
    z = z_of(model, 1)
    assert_close(cache["l1h2"], z[:, :, 2])
    assert_close(cache["l1h0 | l1h2"], z[:, :, [0, 2]])
    assert_close(cache.z[1], z[:, :, [0, 2]])
    assert_close(cache["l0 mlp n8"], cache["l0 mlp"][..., [1]])
    assert not cache["l1h2"].requires_grad
    for missing in ("l1h1", "l2h0", "l0 mlp n4", "l1 in", "l1 attn"):
        assert missing not in cache
        with pytest.raises(NotRecorded, match="recorded are l0 mlp, l1h"):
            cache[missing]
    with pytest.raises(ValueError, match="2 activations"):
        cache["l1h2 | l2h2"]
    with pytest.raises(hg.SelectionError):
        cache["l1x2"]


def test_the_last_pass_is_kept_or_all_of_them_and_a_layer_that_is_run_often_has_all_its_runs() -> None:
    model = tiny.model(LLAMA)
    with record(model, "l1h2") as last, record(model, "l1h2", keep="all") as every:
        model(BATCH)
        model(BATCH[:2])
    assert last["l1h2"].shape == (2, 7, D_HEAD)
    assert [len(z) for z in every.runs("l1h2")] == [4, 2]
    with pytest.raises(ValueError, match="recorded 2 times"):
        every["l1h2"]
    albert, given = tiny.model("albert"), tiny.inputs("albert")
    with record(albert, "l0h1", layers="l0") as cache:
        albert(**given)
        albert(**given)
    assert len(cache.runs("l0h1")) == len(cache.runs("l0 out")) == 3
    assert not torch.allclose(cache.runs("l0h1")[0], cache.runs("l0h1")[1])
    with pytest.raises(ValueError, match=r"cache.runs\('l0h1'\)"):
        cache["l0h1"]
    with pytest.raises(ValueError, match="3 times"):
        cache.z  # noqa: B018


def test_a_mean_over_a_reference_is_that_of_each_run_of_a_shared_layer() -> None:
    model, given = tiny.model("albert"), tiny.inputs("albert")
    other = tokens(3, 7, seed=9)
    with record(model, "l0h1") as theirs:
        model(other)
    with ablate(model, "l0h1", "mean", reference=other), record(model, "l0h1") as cache:
        handle = model.albert.encoder.albert_layer_groups[0].register_forward_hook(broken_off)
        with pytest.raises(RuntimeError, match="broken off"):
            model(**given)
        handle.remove()
        model(**given)
    for got, reference in zip(cache.runs("l0h1"), theirs.runs("l0h1"), strict=True):
        assert_close(got, reference.mean((0, 1)).expand_as(got))


def broken_off(*_: Any) -> None:
    raise RuntimeError("broken off")


# ---- contexts


def test_a_cache_is_pickled_and_copied_without_its_model() -> None:
    model = tiny.model(LLAMA)
    with record(model, "l1h[0,2] | l0 mlp n3", layers="l2") as cache:
        model(BATCH, attention_mask=torch.ones_like(BATCH))
    written = pickle.dumps(cache)
    assert len(written) < 150_000 < sum(one.numel() * one.element_size() for one in model.parameters())
    for again in (pickle.loads(written), copy.deepcopy(cache), copy.copy(cache)):
        assert list(again) == list(cache)
        assert all(torch.equal(again[name], cache[name]) for name in cache)
        with ablate(model, "l1h2", again), torch.no_grad():
            assert_close(model(BATCH).logits, model(BATCH).logits)
        with ablate(model, "l1h2", "mean", reference=again), torch.no_grad():
            model(BATCH)
