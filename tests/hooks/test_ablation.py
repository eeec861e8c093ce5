"""The modes of ablation, against dense computations with hooks of our own."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
from hooking import (
    BATCH,
    D_HEAD,
    LLAMA,
    ablated,
    hooks_on,
    replaced,
    run,
    tokens,
    with_z,
    z_of,
)
from torch.testing import assert_close

from headgrid.hooks import NotRecorded, ablate, record


def test_a_mean_without_a_reference_is_that_of_the_very_pass() -> None:
    model = tiny.model(LLAMA)
    z = z_of(model, 1)
    expected = with_z(model, 1, replaced(z, h2=z[:, :, 2].mean((0, 1)), h5=z[:, :, 5].mean((0, 1))))
    assert_close(ablated(model, "l1h[2,5]", "mean"), expected)
    expected = with_z(model, 1, replaced(z, h2=z[:, :, 2].mean(0, keepdim=True)))
    assert_close(ablated(model, "l1h2", "mean", per_position=True), expected)


def test_a_mean_over_a_reference_leaves_out_what_its_attention_mask_does() -> None:
    model, other = tiny.model(LLAMA), tokens(5, 6, seed=6)
    z, mean = z_of(model, 1), z_of(model, 1, other)[:, :, 2].mean((0, 1))
    expected = with_z(model, 1, replaced(z, h2=mean))
    assert_close(ablated(model, "l1h2", "mean", reference=other), expected)
    with record(model, "l1 attn") as cache:
        model(other)
    assert_close(ablated(model, "l1h2", "mean", reference=cache), expected)
    mask = torch.ones_like(other)
    mask[0, 3:], mask[2, 5:] = 0, 0
    masked = z_of(model, 1, other, attention_mask=mask)[:, :, 2][mask.bool()].mean(0)
    got = ablated(model, "l1h2", "mean", reference={"input_ids": other, "attention_mask": mask})
    assert_close(got, with_z(model, 1, replaced(z, h2=masked)))


def test_resampling_takes_all_activations_of_a_row_from_one_other_row() -> None:
    model = tiny.model(LLAMA)
    first = torch.arange(4).roll(-1)
    generator = torch.Generator().manual_seed(3)
    with ablate(model, "l1h2 | l2 mlp", "resample", generator=generator), record(model, "l1h2 | l2 mlp") as cache:
        model(BATCH)
        once = cache["l1h2"]
        model(BATCH)
        assert_close(cache["l1h2"], once)
    z = z_of(model, 1)[:, :, 2]
    rows = [next(j for j in range(4) if torch.equal(z[j], once[i])) for i in range(4)]
    assert all(row != i for i, row in enumerate(rows))
    with ablate(model, "l1h2", z[rows]), record(model, "l2 mlp") as before:
        model(BATCH)
    assert_close(cache["l2 mlp"], before["l2 mlp"][rows])
    draws = {
        tuple(ablated(model, "l1h2", "resample", generator=torch.Generator().manual_seed(i)).sum((1, 2)).tolist())
        for i in range(20)
    }
    assert len(draws) > 5
    pair = ablated(model, "l1h2", "resample", given=BATCH[:2])  # of two rows there is one other
    assert_close(pair, with_z(model, 1, replaced(z_of(model, 1, BATCH[:2]), h2=z[:2][first[:2] % 2]), BATCH[:2]))


def test_resampling_from_a_reference_takes_its_rows() -> None:
    model, other = tiny.model(LLAMA), tokens(3, 7, seed=7)
    theirs = z_of(model, 1, other)[:, :, 2]
    with ablate(model, "l1h2", "resample", reference=other), record(model, "l1h2") as cache:
        model(BATCH[:1])
    assert any(torch.equal(cache["l1h2"][0], one) for one in theirs)


def test_resampling_sees_the_rows_of_an_mlp_that_flattens_them() -> None:
    model, given = tiny.model("opt"), tiny.inputs("opt")
    with record(model, "l1 mlp n[3,8]") as plain:
        model(**given)
    with ablate(model, "l1 mlp n[3,8]", "resample"), record(model, "l1 mlp n[3,8]") as swapped:
        model(**given)
    assert plain["l1 mlp"].shape == (2, 7, 2)
    assert_close(swapped["l1 mlp"], plain["l1 mlp"].flip(0))


def test_a_tensor_stands_for_each_head_or_with_four_axes_for_the_selected_ones() -> None:
    model = tiny.model(LLAMA)
    z, other = z_of(model, 1), torch.randn(4, 7, D_HEAD, dtype=torch.float64)
    both = torch.randn(4, 7, 2, D_HEAD, dtype=torch.float64)
    assert_close(ablated(model, "l1h[1,4]", other), with_z(model, 1, replaced(z, h1=other, h4=other)))
    assert_close(ablated(model, "l1h[1,4]", other[0, 0]), with_z(model, 1, replaced(z, h1=other[0, 0], h4=other[0, 0])))
    expected = with_z(model, 1, replaced(z, h1=both[:, :, 0], h4=both[:, :, 1]))
    assert_close(ablated(model, "l1h[1,4]", both), expected)
    assert_close(ablated(model, "l1h[1,4]", {"l1h4": both[:, :, 1], "l1h1": both[:, :, 0]}), expected)
    half = torch.tensor(0.5)
    expected = with_z(model, 1, replaced(z, h1=0.5))
    assert_close(ablated(model, "l1h1", half), expected)
    with record(model, "l1h1 | l0 mlp n3") as cache:
        ablated(model, "l1h1 | l0 mlp n3", half)
        assert "l1h1" in cache
        assert not (
            cache["l1h1"] == 0.5
        ).any()  # the inner context sees what the outer one has changed, not the reverse


def test_a_patch_from_another_run_is_that_runs_activation() -> None:
    model, other = tiny.model(LLAMA), tokens(4, 7, seed=8)
    with record(model, "l1 attn | l2 mlp") as cache:
        model(other)
    z = replaced(z_of(model, 1), h3=z_of(model, 1, other)[:, :, 3])
    assert_close(ablated(model, "l1h3", cache), with_z(model, 1, z))
    assert_close(ablated(model, "l1h3", {"l1h3": cache["l1h3"]}), with_z(model, 1, z))


# ---- what a selection means


@pytest.mark.parametrize(
    ("selection", "mode", "named", "words"),
    [
        ("l1h2", "zeros", {}, "mode is 'zero'"),
        ("l1h2", "zero", {"reference": BATCH}, "reference"),
        ("l1h2 | l0 mlp", torch.zeros(3), {}, "a mapping"),
        ("l1h2", torch.zeros(3), {}, r"l1h2 have the shape \[3\], whose last axis is not d_head, 10"),
        ("l1h[2,3]", {"l1h2": torch.zeros(())}, {}, "no values for 1 .*l1h3"),
        ("l1h2", {"l1h3": torch.zeros(())}, {}, "l1h3, which is not selected"),
        ("l1h2", "resample", {"reference": BATCH[:, :3]}, "3 positions at l1h2, this pass 7"),
        ("l1h2", "mean", {"reference": BATCH[:, :3], "per_position": True}, "3 positions at l1h2, this pass 7"),
    ],
)
def test_what_does_not_fit_is_refused(selection: str, mode: Any, named: dict[str, Any], words: str) -> None:
    before = hooks_on(tiny.model(LLAMA))
    with pytest.raises(ValueError, match=words):
        ablated(tiny.model(LLAMA), selection, mode, **named)
    assert hooks_on(tiny.model(LLAMA)) == before


def test_a_cache_must_hold_what_is_ablated_from_it() -> None:
    model = tiny.model(LLAMA)
    with record(model, "l1h2") as cache:
        for mode, named in ((cache, {}), ("mean", {"reference": cache})):
            with pytest.raises(NotRecorded, match=r"l1h3 is not recorded; recorded are l1h2"):
                ablated(model, "l1h3", mode, **named)
    with record(model, "l1h2") as empty:
        pass
    with pytest.raises(NotRecorded, match="no forward pass that came to l1h2"):
        ablated(model, "l1h2", empty)
    with pytest.raises(ValueError, match="say what to record"):
        record(model)
    with pytest.raises(ValueError, match="'last' or 'all'"):
        record(model, "l1h2", keep="first")


def test_resampling_a_single_row_asks_for_another() -> None:
    with pytest.raises(ValueError, match="another row"):
        ablated(tiny.model(LLAMA), "l1h2", "resample", given=BATCH[:1])
    with pytest.raises(ValueError, match="no axis of rows"), ablate(tiny.model("qwen2_vl"), "vision l1h2", "resample"):
        run(tiny.model("qwen2_vl"), "qwen2_vl")


# ---- the cache
