"""Recording and ablating: what hooks do is what masks say, asked of the models' own forward passes."""

from __future__ import annotations

from typing import Any

import pytest
import tiny
import torch
from hooking import (
    BATCH,
    LLAMA,
    ablated,
    anatomy_of,
    clean,
    everything,
    hooks_on,
    owner,
    places,
    replaced,
    run,
    tokens,
    with_z,
    z_of,
    zeroed,
)
from torch.testing import assert_close

from headgrid.anatomy.anatomy import Stack
from headgrid.hooks import ablate, record

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)


# ---- on every family


@every_family
def test_ablating_a_head_is_zeroing_its_output_weights(family: str) -> None:
    for stack, _, place in places(anatomy_of(family), "W_O"):
        text = f"{place}h{stack.n_heads - 2}"
        with ablate(tiny.model(family), text):
            got = run(tiny.model(family), family)
        assert_close(got, zeroed(family, f"{text}.W_O"))
        assert not torch.allclose(got, clean(family)), f"{text} should matter"


@every_family
def test_ablating_neurons_is_zeroing_their_output_weights(family: str) -> None:
    for _, _, place in places(anatomy_of(family), "W_out"):
        with ablate(tiny.model(family), f"{place} mlp n[1,5]"):
            got = run(tiny.model(family), family)
        assert_close(got, zeroed(family, f"{place} mlp n[1,5].W_out"))
        assert not torch.allclose(got, clean(family))


@every_family
def test_zeroing_heads_and_neurons_in_place_is_ablating_them_and_touches_nothing_else(family: str) -> None:
    anatomy, model = anatomy_of(family), tiny.fresh(family)
    found = [f"{place}h[0,{stack.n_heads - 2}]" for stack, _, place in places(anatomy, "W_O")]
    found += [f"{place} mlp n[1,5]" for _, _, place in places(anatomy, "W_out")]
    selection = anatomy.select(found)
    selection.zero_(model)
    with ablate(tiny.model(family), selection):
        assert_close(run(model, family), run(tiny.model(family), family))
    before = dict(tiny.model(family).named_parameters())
    moved = {name for name, one in model.named_parameters() if not torch.equal(one, before[name])}
    slots = [slot for stack in anatomy.stacks for slot in stack.slots if slot.role in ("W_O", "W_out")]
    assert moved
    assert moved <= {slot.parameter for slot in slots}
    for slot in slots:
        changed = slot.of(model.get_parameter(slot.parameter)) != slot.of(before[slot.parameter])
        assert set(changed.flatten(1).any(1).nonzero().flatten().tolist()) <= {0, 1, 5, slot.n_parts - 2}


@every_family
def test_what_was_recorded_put_back_changes_nothing_and_its_zeros_are_ablation(family: str) -> None:
    model, selection = tiny.model(family), everything(anatomy_of(family))
    with record(model, selection) as cache:
        assert_close(run(model, family), clean(family), rtol=0, atol=0)
    with ablate(model, selection, cache):
        assert_close(run(model, family), clean(family), rtol=0, atol=0)
    with ablate(model, selection), record(model, selection) as inside:
        run(model, family)
    assert len(inside) == len(cache) > 0
    assert all(not run.any() for name in inside for run in inside.runs(name))


@every_family
def test_z_times_the_output_weights_is_the_attentions_output_and_neurons_likewise(family: str) -> None:
    model, anatomy = tiny.model(family), anatomy_of(family)
    weights = dict(model.named_parameters())
    outputs: dict[tuple[str, str, int], list[torch.Tensor]] = {}
    handles = []
    for stack in anatomy.stacks:
        for (role, layer), slots in stack.places.items():
            if role in ("W_O", "W_out") and layer is not None:
                kept = outputs.setdefault((role, stack.name, layer), [])
                handles.append(
                    owner(model, slots[0]).register_forward_hook(lambda _, x, y, kept=kept: kept.append(y.clone()))
                )
    try:
        with record(model, everything(anatomy)) as cache:
            run(model, family)
    finally:
        for handle in handles:
            handle.remove()
    for (role, name, layer), expected in outputs.items():
        stack, place = anatomy.stack(name), f"{name} l{layer}".lstrip()
        (slot,) = stack.places[role, layer]
        weight = slot.of(weights[slot.parameter]).detach()
        bias = stack.places.get(("b_O" if role == "W_O" else "b_out", layer))
        added = weights[bias[0].parameter].detach() if bias else 0
        kept = cache.runs(f"{place} attn" if role == "W_O" else f"{place} mlp")
        assert len(kept) == len(expected) == stack.uses
        for activation, output in zip(kept, expected, strict=True):
            if role == "W_O":
                assert activation.shape[-2:] == (stack.n_heads, stack.d_head)
                got = torch.einsum("...nh,nhm->...m", activation, weight) + added
            else:
                got = activation @ weight + added
                assert activation.ndim == (2 if name == "vision" and family.startswith("qwen") else 3)
            assert_close(got.reshape(output.shape), output)


@every_family
def test_gradients_reach_recorded_heads_and_not_what_an_ablated_head_alone_reads(family: str) -> None:
    model = tiny.fresh(family).requires_grad_(False)
    with record(model, everything(anatomy_of(family)), detach=False) as cache:
        loss = model(**tiny.inputs(family)).logits.square().sum()
    names = list(cache)
    heads = [run for name in names for run in cache.runs(name)]
    if family != "llava":  # whose last vision layer is not used
        assert all(bool(one.any()) for one in torch.autograd.grad(loss, heads, retain_graph=True))
    for stack, layer, place in places(anatomy_of(family), "W_O"):
        head = stack.n_heads - 2
        group = stack.kv_head_of[head]
        readers = [h for h in range(stack.n_heads) if stack.kv_head_of[h] == group]
        values = [slot for role in ("W_V", "W_UV") for slot in stack.places.get((role, layer), ())]
        (value,) = [slot for slot in values if group in range(slot.first, slot.first + slot.n_parts)]
        parameter = model.get_parameter(value.parameter).requires_grad_(True)
        with ablate(model, f"{place}h[{','.join(map(str, readers))}]"):
            loss = model(**tiny.inputs(family)).logits.square().sum()
        gradient = value.of(torch.autograd.grad(loss, parameter)[0] if loss.requires_grad else parameter * 0)
        assert not gradient[group - value.first].any()
        if stack.n_kv_heads > 1 and value.n_parts > 1:
            assert gradient.any()
        parameter.requires_grad_(False)


@every_family
def test_an_exception_leaves_no_hook(family: str) -> None:
    model = tiny.model(family)
    before = hooks_on(model)
    selection = everything(anatomy_of(family))
    during = 0
    try:
        with record(model, selection), ablate(model, selection):
            during = hooks_on(model)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert during > before
    assert hooks_on(model) == before


@every_family
def test_a_layers_recorded_output_is_the_hidden_state_of_the_model(family: str) -> None:
    model, anatomy = tiny.model(family), anatomy_of(family)
    stack = anatomy.main
    prefix = f"{stack.name} ".lstrip()
    with record(model, layers=f"{prefix}l*") as cache, torch.no_grad():
        result = model(**tiny.inputs(family), output_hidden_states=True)
    hidden = result.decoder_hidden_states if stack.name else result.hidden_states
    n_runs = stack.n_layers * stack.uses
    assert len(hidden) == n_runs + 1
    inputs = sorted_runs(cache, prefix, stack, "in")
    outputs = sorted_runs(cache, prefix, stack, "out")
    # these two add a convolution, or a picture, between two layers: after and before what the model calls hidden states
    for i in range(n_runs - 1):
        if family != "deberta_v2":
            assert_close(outputs[i], hidden[i + 1], rtol=0, atol=0)
        if family != "qwen3_vl":
            assert_close(inputs[i + 1], hidden[i + 1], rtol=0, atol=0)


def sorted_runs(cache: Any, prefix: str, stack: Stack, end: str) -> list[torch.Tensor]:
    """Inputs or outputs of the layers in the order of their runs: ALBERT runs group 0 several times, then group 1."""
    return [one for layer in range(stack.n_layers) for one in cache.runs(f"{prefix}l{layer} {end}")]


def test_contexts_nest_and_can_be_entered_again() -> None:
    model = tiny.model(LLAMA)
    clean, before = ablated(model, "none"), hooks_on(model)
    off = ablate(model, "l1h2")
    with off, ablate(model, "l1h3"):
        both = model(BATCH).logits
        with off:
            assert_close(model(BATCH).logits, both)
        assert_close(model(BATCH).logits, both)
    assert_close(both, ablated(model, "l1h[2,3]"))
    assert not torch.allclose(both, clean)
    with off:
        assert_close(model(BATCH).logits, ablated(model, "l1h2"))
    assert_close(ablated(model, "none"), clean, rtol=0, atol=0)
    assert hooks_on(model) == before


def test_a_reference_is_run_within_the_contexts_around_it() -> None:
    model = tiny.model(LLAMA)
    with ablate(model, "l0 attn"):
        z = z_of(model, 1)
        mean = z_of(model, 1, BATCH[:2])[:, :, 2].mean((0, 1))
        expected = with_z(model, 1, replaced(z, h2=mean))
        assert_close(ablated(model, "l1h2", "mean", reference=BATCH[:2]), expected)


def test_a_failing_forward_pass_leaves_no_hook() -> None:
    model = tiny.model(LLAMA)
    before = hooks_on(model)
    with pytest.raises(ValueError, match="does not broadcast"), record(model, layers="l*"):
        ablated(model, "l1h2", torch.zeros(3))
    assert hooks_on(model) == before
    with pytest.raises(ValueError, match="input_ids"), ablate(model, "l1h2", "mean", reference={"labels": BATCH}):
        pass
    assert hooks_on(model) == before


def test_generation_with_a_cache_of_keys_and_values_is_ablated_at_every_step() -> None:
    model = tiny.model(LLAMA)
    wanted = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    with ablate(model, "l1 attn"), record(model, "l1h2", keep="all") as cache:
        with_cache = model.generate(BATCH[:1], use_cache=True, **wanted)
        steps = len(cache.runs("l1h2"))
        without = model.generate(BATCH[:1], use_cache=False, **wanted)
    assert steps == 5
    assert torch.equal(with_cache, without)
    assert not torch.equal(with_cache, model.generate(BATCH[:1], **wanted))
    assert all(not z.any() for z in cache.runs("l1h2"))


def test_a_recorded_head_can_be_differentiated_in_training_mode_and_without_trained_parameters() -> None:
    model = tiny.fresh(LLAMA).train()
    with record(model, "l1h[0,2] | l0 mlp n[3,8]", layers="l2", detach=False) as cache:
        loss = model(BATCH).logits.square().sum()
    names = list(cache)
    whole = torch.autograd.grad(loss, [cache[name] for name in names] + [cache.z[1]], retain_graph=True)
    assert_close(torch.stack(whole[1:3], -2), whole[-1])
    frozen = tiny.fresh(LLAMA).requires_grad_(False)
    with record(frozen, "l1h[0,2] | l0 mlp n[3,8]", layers="l2", detach=False) as cache:
        again = frozen(BATCH).logits.square().sum()
    gradients = torch.autograd.grad(again, [cache[name] for name in names])
    for one, other in zip(gradients, whole, strict=False):
        assert_close(one, other)
    z = z_of(frozen, 1).requires_grad_()
    expected = torch.autograd.grad(with_z(frozen, 1, z).square().sum(), z)[0]
    assert_close(gradients[2], expected[:, :, 2])


def test_gradients_flow_through_an_ablated_pass_to_all_but_the_ablated() -> None:
    model = tiny.fresh("gpt2")
    with ablate(model, "l1h2"):
        model(BATCH).logits.square().sum().backward()
    anatomy = anatomy_of("gpt2")
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    for role in ("W_Q", "W_K", "W_V", "W_O"):
        (slot,) = anatomy.places[role, 1]
        moved = slot.of(gradients[slot.parameter]).abs().amax((1, 2)) > 0
        assert moved.tolist() == [True, True, False, True]


def test_a_pass_that_never_comes_to_what_is_ablated_is_an_error_at_the_end() -> None:
    model = tiny.model("llava")
    with ablate(model, "vision l1h2 | l1h2"):
        run(model, "llava")
    before = hooks_on(model)
    with pytest.raises(RuntimeError, match="never came to vision l1h2: nothing"), ablate(model, "vision l1h2 | l1h2"):
        model(input_ids=tokens(2, 5))
    assert hooks_on(model) == before
    with pytest.raises(KeyError, match="of the caller"), ablate(model, "vision l1h2"):  # noqa: PT012
        model(input_ids=tokens(2, 5))
        raise KeyError("an error of the caller's own is not hidden by ours")
    with pytest.warns(UserWarning, match="was not called while vision l1h2"), ablate(model, "vision l1h2"):
        pass


def test_other_stacks_are_named_in_words_and_in_the_cache() -> None:
    model = tiny.model("t5")
    with record(model, "encoder l0h1 | decoder l1h2 | cross l1h0", layers="encoder l2 | decoder l0") as cache:
        model(**tiny.inputs("t5"))
    assert list(cache) == [
        "encoder l0h1", "decoder l1h2", "cross l1h0", "encoder l2 in", "encoder l2 out", "decoder l0 in",
        "decoder l0 out",
    ]  # fmt: skip
    assert cache.heads == {("encoder", 0): (1,), ("decoder", 1): (2,), ("cross", 1): (0,)}
    assert cache["encoder l0h1"].shape == (2, 7, 10)
    assert cache["cross l1h0"].shape == cache["decoder l1h2"].shape == (2, 5, 10)
    assert_close(cache.z["cross", 1][:, :, 0], cache["cross l1h0"])
