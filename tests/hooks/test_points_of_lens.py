"""Points beside TransformerLens' hooks: by their names, on its bridges; and with adapters."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import tiny
import torch
from bridges import bridge, bridged, fresh
from hooking import LLAMA, anatomy_of, clean, in_one_call, run, tokens
from torch.testing import assert_close

import headgrid as hg
from headgrid.hooks import ablate, patch, record
from headgrid.selection.points import named
from headgrid.selection.selection import SelectionError

THEIRS = {
    "q": "attn.hook_rot_q", "k": "attn.hook_rot_k", "v": "attn.hook_v", "scores": "attn.hook_attn_scores",
    "pattern": "attn.hook_pattern", "z": "attn.hook_z", "in": "hook_resid_pre", "mid": "hook_resid_mid",
    "out": "hook_resid_post", "attn out": "hook_attn_out", "mlp out": "hook_mlp_out",
}  # fmt: skip

UNROTATED = ("gpt2", "bloom", "mpt", "opt", "bert", "gpt_neo")
ONLY_BEFORE_ROTATION = ("gpt_neox", "phi3", "falcon-7b", "gptj")
"""Families whose bridge has `hook_q` and `hook_k` alone, before rotation."""

OTHER_SCORES = ("gpt_neo", "opt", "bert", "gptj", "gpt_oss")
"""Families whose bridge has at `hook_attn_scores` what its pattern is not the softmax of."""

FAMILIES = ["gpt2", LLAMA, "gemma2", "olmo2", "qwen3", "mixtral", "glm4_moe", "gpt_oss", "gpt_neox", "gptj", "phi3",
            "falcon-7b", "bloom", "mpt", "gpt_neo", "opt", "lfm2", "qwen3_next", "llava"]  # fmt: skip


def compared(bridge: Any, family: str, given: dict[str, torch.Tensor]) -> int:
    """Compare every point of a layer with what TransformerLens' own hook caches; how many were."""
    with torch.no_grad():
        _, theirs = bridge.run_with_cache(given["input_ids"], **{k: v for k, v in given.items() if k != "input_ids"})
    n = 0
    for kind, name in THEIRS.items():
        if (
            (kind in "qk" and family in ONLY_BEFORE_ROTATION)
            or (kind == "scores" and family in OTHER_SCORES)
            or (kind == "mid" and family in ("gpt_neox", "gptj", "falcon-7b"))  # a test of its own
        ):
            continue
        name = name.replace("rot_", "") if family in UNROTATED else name
        text = f"blocks.1.{name}"
        with record(bridge, text) as cache, torch.no_grad():
            bridge(given["input_ids"], **{k: v for k, v in given.items() if k != "input_ids"})
        ours, other = cache.of(kind)[1], theirs[text]
        if kind in ("scores", "pattern"):
            ours = ours.transpose(1, 2)
        if kind == "scores":  # masked by -inf, or by the least number
            assert torch.equal(ours > -1e30, other > -1e30)
            ours, other = ours[ours > -1e30], other[other > -1e30]
        if kind == "q" and family == "opt":  # scales its queries after that hook
            other = other * ours.shape[-1] ** -0.5
        assert_close(ours, other.reshape(ours.shape), rtol=1e-5, atol=1e-5)
        n += 1
    return n


@pytest.mark.parametrize("family", FAMILIES)
def test_points_of_a_bridge_are_what_its_hooks_of_that_name_see(family: str) -> None:
    given = {k: v.float() if v.is_floating_point() else v for k, v in tiny.inputs(family).items()}
    assert compared(bridge(family), family, given) >= 7


@pytest.mark.slow
@pytest.mark.parametrize("processed", [False, True])
@pytest.mark.parametrize("family", ["gpt2", LLAMA, "gpt_neox"])
@pytest.mark.filterwarnings("ignore")
def test_so_they_are_in_compatibility_mode(family: str, processed: bool) -> None:
    other = bridged(fresh(family))
    other.enable_compatibility_mode(no_processing=not processed)
    assert compared(other, family, tiny.inputs(family)) >= 8


def test_heads_of_a_bridge_are_patched_as_by_its_own_hooks() -> None:
    other, ids = bridge(LLAMA), tokens(2, 7)
    for kind, name, index in (
        ("pattern", "attn.hook_pattern", 1),
        ("q", "attn.hook_rot_q", 2),
        ("v", "attn.hook_v", 2),
    ):
        head = 4 if kind != "v" else 1

        def halved(x: torch.Tensor, hook: Any, index: int = index, head: int = head) -> torch.Tensor:
            x = x.clone()
            x.select(index, head).mul_(0.5)
            return x

        with torch.no_grad():
            expected = other.run_with_hooks(ids, fwd_hooks=[(f"blocks.1.{name}", halved)])
        text = f"blocks.1.{name}[{':, ' * index}{head}]"
        with record(other, text) as cache, torch.no_grad():
            other(ids)
        [place] = cache
        with patch(other, text, cache[place] * 0.5), torch.no_grad():
            assert_close(other(ids), expected, rtol=1e-4, atol=1e-4)


# ---- names


@pytest.mark.parametrize(
    ("text", "ours"),
    [
        ("blocks.1.attn.hook_pattern", "l1h*.pattern"),
        ("blocks.1.attn.hook_pattern[:, 2]", "l1h2.pattern"),
        ("blocks.1.attn.hook_attn_scores[:, 2, :, :]", "l1h2.scores"),
        ("blocks.1.attn.hook_z[:, :, 2]", "l1h2"),
        ("blocks.1.attn.hook_z[:,:,2,:]", "l1h2.z"),
        ("blocks.*.attn.hook_result", "l*h*.result"),
        ("transformer.blocks.0.attn.hook_rot_q[:, :, 5]", "l0h5.q"),
        ("blocks.1.attn.hook_rot_k[:, :, 1]", "l1g1.k"),
        ("blocks.1.attn.hook_v", "l1g*.v"),
        ("blocks.*.hook_resid_pre", "l* in"),
        ("blocks.1.hook_resid_mid", "l1 mid"),
        (
            "blocks.1.hook_resid_post | blocks.1.hook_attn_out, blocks.2.hook_mlp_out",
            "l1 out | l1 attn out | l2 mlp out",
        ),
        ("blocks.0.mlp.hook_post | blocks.1.attn.hook_z[:, :, 2]", "l0 mlp | l1h2"),
    ],
)
def test_names_of_their_hooks_mean_the_same_points(text: str, ours: str) -> None:
    anatomy = anatomy_of(LLAMA)
    assert named(anatomy, text) == named(anatomy, ours)
    model = tiny.model(LLAMA)
    with record(model, text) as cache:
        run(model, LLAMA)
    with patch(model, text, cache):
        assert_close(run(model, LLAMA), clean(LLAMA))
    with ablate(model, text):
        theirs = run(model, LLAMA)
    with ablate(model, ours):
        assert_close(run(model, LLAMA), theirs, rtol=0, atol=0)


def test_a_cache_is_read_by_their_names() -> None:
    with record(tiny.model(LLAMA), "l1h*.pattern | l1 mid") as cache:
        run(tiny.model(LLAMA), LLAMA)
    assert_close(cache["blocks.1.attn.hook_pattern[:, 4]"], cache["l1h4.pattern"], rtol=0, atol=0)
    assert_close(cache["blocks.1.hook_resid_mid"], cache["l1 mid"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("family", "text", "said"),
    [
        (LLAMA, "blocks.1.attn.hook_q", r"hook_q is before rotation.* is blocks\.1\.attn\.hook_rot_q, l1h\*\.q"),
        (LLAMA, "blocks.1.attn.hook_k[:, :, 1]", r"before rotation.*blocks\.1\.attn\.hook_rot_k, l1h\*\.k"),
        (LLAMA, "blocks.1.attn.hook_z[:, 2]", r"\[:, 2\] is no index of one head .*: that of head 2 is \[:, :, 2\]"),
        (LLAMA, "blocks.1.attn.hook_pattern[:, :, 2]", r"that of head 2 is \[:, 2\]"),
        (LLAMA, "blocks.1.attn.hook_z[]", "no index of one head"),
        (LLAMA, "blocks.1.attn.hook_z[:, :, 2, :, :]", "no index of one head"),
        (LLAMA, "blocks.1.hook_resid_pre[:, 3]", r"has no heads to index: leave \[:, 3\] out"),
        (LLAMA, "blocks.9.attn.hook_z", "there is no layer 9"),
        (LLAMA, "blocks.1.attn.hook_z[:, :, 9]", "there is no head 9"),
        (LLAMA, "blocks.1.attn.hook_v[:, :, 4]", "2 key/value heads|there is no"),
        ("t5", "blocks.1.attn.hook_z", "say which stack"),
    ],
)
def test_names_that_mean_no_point_are_refused(family: str, text: str, said: str) -> None:
    with pytest.raises((ValueError, SelectionError), match=said):
        record(tiny.model(family), text)


def test_queries_of_a_model_without_rotation_have_both_names() -> None:
    anatomy = anatomy_of("gpt2")
    assert named(anatomy, "blocks.1.attn.hook_q[:, :, 2]") == named(anatomy, "l1h2.q")


# ---- adapters


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_points_of_a_model_with_adapters_are_those_of_the_merged_model(attention: str) -> None:
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "down_proj"]
    settings = peft.LoraConfig(r=5, target_modules=modules, init_lora_weights=False)
    torch.manual_seed(0)
    adapted = peft.get_peft_model(tiny.fresh(LLAMA, attention), settings).eval()
    words = ["q", "k", "v", "scores", "pattern", "z", "result"]
    layers = "l1 in | l1 mid | l1 attn out | l1 mlp out | l1 out"
    with record(adapted, "l1h4", points=words) as heads, record(adapted, layers) as streams:
        logits = run(adapted, LLAMA)
    base = run(tiny.model(LLAMA), LLAMA)
    assert not torch.allclose(logits, base)
    with ablate(adapted, "l1h4.result"):
        without = run(adapted, LLAMA)
    with ablate(adapted, "l1h4"):
        assert_close(run(adapted, LLAMA), without)
    merged = adapted.merge_and_unload()
    assert hg.dissect(merged).altered == {}
    with record(merged, "l1h4", points=words) as plain, record(merged, layers) as plain_streams:
        assert_close(run(merged, LLAMA), logits)
    for found, expected in ((heads, plain), (streams, plain_streams)):
        for name in expected:
            assert_close(found[name], expected[name])


def test_one_call_and_steps_agree_through_an_adapter_on_the_values() -> None:
    """So that keys and values with an adapter are those of their groups."""
    settings = peft.LoraConfig(r=5, target_modules=["v_proj"], init_lora_weights=False)
    found = []
    for model in (tiny.fresh(LLAMA), tiny.fresh(LLAMA, "sdpa")):
        torch.manual_seed(0)
        adapted = peft.get_peft_model(model, settings).eval()
        with ablate(adapted, "l1g1.v"), record(adapted, "l1h3 | l1h5.pattern") as cache:
            found.append(run(adapted, LLAMA))
        assert (cache["l1h3"] == 0).all()
    assert_close(*found, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found[0], run(in_one_call(LLAMA), LLAMA))
