"""Recording and ablating: what hooks do is what masks say, asked of the models' own forward passes."""

from __future__ import annotations

import copy
import functools
import warnings
from typing import Any

import pytest
import tiny
import torch
import transformers
from torch.testing import assert_close

import headgrid as hg
from headgrid.anatomy import AnatomyError, Slot, Stack
from headgrid.hooks import NotRecorded, ablate, record
from headgrid.hooks.taps import templates
from headgrid.roles import bare
from headgrid.selection import Selection

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)

LLAMA = "llama with grouped-query attention"
HEADS, D_HEAD = 6, 10


@functools.cache
def anatomy_of(family: str) -> hg.Anatomy:
    return hg.dissect(tiny.model(family))


def run(model: torch.nn.Module, family: str) -> torch.Tensor:
    with torch.no_grad():
        return model(**tiny.inputs(family)).logits


@functools.cache
def clean(family: str) -> torch.Tensor:
    return run(tiny.model(family), family)


def everything(anatomy: hg.Anatomy) -> Selection:
    """Every head and every neuron, by their output weights."""
    return Selection(anatomy, {key: bits for key, bits in anatomy.exists.items() if bare(key) in ("W_O", "W_out")})


def middle(stack: Stack, role: str) -> int | None:
    """A layer in the middle of a stack that has this role."""
    layers = sorted({slot.layer for slot in stack.slots if slot.role == role and slot.layer is not None})
    return layers[len(layers) // 2] if layers else None


def places(anatomy: hg.Anatomy, role: str) -> list[tuple[Stack, int, str]]:
    """For each stack with this role a layer, and what a selection calls that layer."""
    found = []
    for stack in anatomy.stacks:
        layer = middle(stack, role)
        if layer is not None:
            found.append((stack, layer, f"{stack.name} l{layer}".lstrip()))
    return found


def zeroed(family: str, text: str) -> torch.Tensor:
    """The logits of a copy in which the masked entries of the parameters are zero."""
    model = copy.deepcopy(tiny.model(family))
    with torch.no_grad():
        for name, mask in anatomy_of(family).select(text).masks().items():
            model.get_parameter(name).masked_fill_(torch.tensor(True) if mask is None else mask, 0)
    return run(model, family)


def hooks_on(model: torch.nn.Module) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def owner(model: torch.nn.Module, slot: Slot) -> torch.nn.Module:
    return model.get_submodule(slot.parameter.rpartition(".")[0])


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


# ---- modes, against dense computations


def tokens(*shape: int, seed: int = 5) -> torch.Tensor:
    return torch.randint(3, 26, shape, generator=torch.Generator().manual_seed(seed))


BATCH = tokens(4, 7)


def z_of(model: Any, layer: int, given: Any = BATCH, **named: Any) -> torch.Tensor:
    """A layer's z by a hook of our own, shape [batch, pos, n_heads, d_head]."""
    seen: list[torch.Tensor] = []
    module = model.model.layers[layer].self_attn.o_proj
    handle = module.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(given, **named)
    handle.remove()
    return seen[0].unflatten(-1, (HEADS, D_HEAD))


def with_z(model: Any, layer: int, z: torch.Tensor, given: Any = BATCH) -> torch.Tensor:
    """The logits when this is the layer's z."""
    module = model.model.layers[layer].self_attn.o_proj
    handle = module.register_forward_pre_hook(lambda _, inputs: (z.flatten(-2),))
    with torch.set_grad_enabled(z.requires_grad):
        logits = model(given).logits
    handle.remove()
    return logits


def replaced(z: torch.Tensor, **heads: Any) -> torch.Tensor:
    z = z.clone()
    for head, value in heads.items():
        z[..., int(head[1:]), :] = value
    return z


def ablated(model: Any, selection: Any, *mode: Any, given: Any = BATCH, **named: Any) -> torch.Tensor:
    with ablate(model, selection, *mode, **named), torch.no_grad():
        return model(given).logits


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
    ("text", "heads", "neurons"),
    [
        ("l1h2", {1: (2,)}, {}),
        ("l1h2.o", {1: (2,)}, {}),
        ("l1h2.W_O", {1: (2,)}, {}),
        ("l1h[0,2] | l2h5", {1: (0, 2), 2: (5,)}, {}),
        ("l1 attn", {1: tuple(range(6))}, {}),
        ("l1g1", {1: (3, 4, 5)}, {}),
        ("l0 mlp", {}, {0: tuple(range(22))}),
        ("l0 mlp n[3,8]", {}, {0: (3, 8)}),
        ("l1", {1: tuple(range(6))}, {1: tuple(range(22))}),
        ("none", {}, {}),
    ],
)
def test_heads_are_named_by_their_output_side_and_neurons_by_their_output_weights(
    text: str, heads: dict[int, tuple[int, ...]], neurons: dict[int, tuple[int, ...]]
) -> None:
    model = tiny.model(LLAMA)
    with record(model, text) as cache:
        model(BATCH)
    assert (cache.heads, cache.neurons) == (heads, neurons)
    assert {layer: z.shape for layer, z in cache.z.items()} == {
        layer: (4, 7, len(numbers), D_HEAD) for layer, numbers in heads.items()
    }
    assert {layer: a.shape for layer, a in cache.mlp.items()} == {
        layer: (4, 7, len(numbers)) for layer, numbers in neurons.items()
    }
    assert_close(ablated(model, anatomy_of(LLAMA).select(text)), ablated(model, text))


@pytest.mark.parametrize(
    ("family", "text", "named"),
    [
        (LLAMA, "l1h2.q", "l1h2.q"),
        (LLAMA, "l1h2 | l0h3.k", "l0"),
        (LLAMA, "embed | l1h2", "embed"),
        (LLAMA, "l1 ln1 | l1 attn", "l1 ln1"),
        ("gpt2", "l1 attn rest | l1h2", "l1 attn rest"),
        (LLAMA, "l0 mlp n3.W_in", "l0 mlp n3.W_in"),
        ("mixtral", "l1 mlp", "l1 mlp"),
        ("mixtral", "l0e2", "l0e2"),
        ("mixtral", "l0e2 | l0h1", "l0e2"),
        ("jamba", "l0 mixer", "l0 mixer"),
        ("jamba", "l0", "l0 mixer"),
    ],
)
def test_a_part_without_an_activation_is_named_and_never_passed_over(family: str, text: str, named: str) -> None:
    before = hooks_on(tiny.model(family))
    for context in (record, ablate):
        with pytest.raises(ValueError, match="no activation of its own") as fault:
            context(tiny.model(family), text)
        assert str(fault.value).startswith(named)
    assert hooks_on(tiny.model(family)) == before


def test_a_selection_of_another_model_is_refused() -> None:
    theirs = anatomy_of("mistral").select("l1h2")
    assert ablated(tiny.model(LLAMA), theirs) is not None  # an equal anatomy
    with pytest.raises(ValueError, match="another model"):
        ablate(tiny.model(LLAMA), anatomy_of("gpt2").select("l1h2"))
    with pytest.raises(hg.SelectionError):
        ablate(tiny.model(LLAMA), "l9h2")
    pairs = ablated(tiny.model(LLAMA), [(1, 2), "l0 mlp n3"])
    assert_close(pairs, ablated(tiny.model(LLAMA), "l1h2 | l0 mlp n3"))


@pytest.mark.parametrize(
    ("selection", "mode", "named", "words"),
    [
        ("l1h2", "zeros", {}, "mode is 'zero'"),
        ("l1h2", "zero", {"reference": BATCH}, "reference"),
        ("l1h2 | l0 mlp", torch.zeros(3), {}, "a mapping"),
        ("l1h2", torch.zeros(3), {}, r"l1h2 have the shape \[1, 3\].*\[4, 7, 1, 10\]"),
        ("l1h[2,3]", {"l1h2": torch.zeros(())}, {}, "no values for 1 .*l1h3"),
        ("l1h2", {"l1h3": torch.zeros(())}, {}, "l1h3, which is not selected"),
        ("l1h2", "resample", {"reference": BATCH[:, :3]}, "does not broadcast"),
        ("l1h2", "mean", {"reference": BATCH[:, :3], "per_position": True}, "does not broadcast"),
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


def test_a_pass_that_never_comes_to_what_is_ablated_is_warned_of() -> None:
    model = tiny.model("llava")
    with warnings.catch_warnings(), ablate(model, "vision l1h2 | l1h2"):
        warnings.simplefilter("error")
        run(model, "llava")
    with pytest.warns(UserWarning, match="never came to vision l1h2"), ablate(model, "vision l1h2 | l1h2"):
        model(input_ids=tokens(2, 5))
    with warnings.catch_warnings(), ablate(model, "vision l1h2"):
        warnings.simplefilter("error")


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


# ---- models without heads, and other libraries' models


@functools.cache
def mamba() -> Any:
    torch.manual_seed(0)
    config = transformers.MambaConfig(
        hidden_size=24, num_hidden_layers=3, vocab_size=31, state_size=5, time_step_rank=3, use_cache=False
    )
    return transformers.MambaForCausalLM(config).double().eval()


def test_layers_are_recorded_by_a_template_of_their_names() -> None:
    with record(mamba(), layers="backbone.layers.{num}") as cache, torch.no_grad():
        hidden = mamba()(BATCH, output_hidden_states=True).hidden_states
    assert list(cache) == [f"l{layer} {end}" for layer in range(3) for end in ("in", "out")]
    for layer in range(2):
        assert_close(cache[f"l{layer} out"], hidden[layer])
        assert_close(cache[f"l{layer + 1} in"], hidden[layer])
    with pytest.raises(NotRecorded):
        cache["l1h2"]
    gpt2 = tiny.model("gpt2")
    with record(gpt2, layers="transformer.h.{num}") as named, record(gpt2, layers="l*") as selected:
        gpt2(BATCH)
    assert list(named) == list(selected)
    assert all(torch.equal(named[name], selected[name]) for name in named)


def test_a_model_without_heads_is_told_of_its_layers() -> None:
    for attempt in (
        lambda: record(mamba(), "l1h2"),
        lambda: ablate(mamba(), "l1h2"),
        lambda: record(mamba(), layers="l1"),
    ):
        with pytest.raises(AnatomyError, match=r"record\(model, layers='backbone.layers.\{num\}'\)"):
            attempt()
    with pytest.raises(ValueError, match=r"MambaForCausalLM has 'backbone.layers.\{num\}'"):
        record(mamba(), layers="transformer.h.{num}")
    with pytest.raises(ValueError, match=r"one \{num\}"):
        record(mamba(), layers="{num}.{num}")
    assert templates(tiny.model("mixtral")) == ["model.layers.{num}"]
    assert templates(tiny.model("bart")) == ["model.decoder.layers.{num}", "model.encoder.layers.{num}"]
    with pytest.raises(ValueError, match="embed is in no layer"):
        record(tiny.model(LLAMA), layers="embed | l1")


class _Attention(torch.nn.Module):
    """What HookedTransformer's attention is to a hook: weights of its own, and z passing a module without weights."""

    def __init__(self) -> None:
        super().__init__()
        self.W_Q, self.W_K, self.W_V = (torch.nn.Parameter(torch.randn(3, 10, 4)) for _ in range(3))
        self.W_O, self.b_O = torch.nn.Parameter(torch.randn(3, 4, 10)), torch.nn.Parameter(torch.randn(10))
        self.hook_z = torch.nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = torch.einsum("bqm,nmh,bkl,nlh->bnqk", x, self.W_Q, x, self.W_K)
        z = self.hook_z(torch.einsum("bnqk,bkm,nmh->bqnh", scores.softmax(-1), x, self.W_V))
        return torch.einsum("bqnh,nhm->bqm", z, self.W_O) + self.b_O


class _Hooked(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = torch.nn.ModuleList([torch.nn.ModuleDict({"attn": _Attention()}) for _ in range(2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = x + block["attn"](x)
        return x


def test_z_of_a_hooked_transformer_is_what_passes_hook_z() -> None:
    torch.manual_seed(0)
    model, x = _Hooked().double(), torch.randn(2, 5, 10, dtype=torch.float64)
    sizes = {"n": 3, "g": 3, "h": 4, "m": 10}
    slots = tuple(
        Slot(role, layer, f"blocks.{layer}.attn.{role}", axes, sizes)
        for layer in range(2)
        for role, axes in [("W_Q", "n m h"), ("W_K", "g m h"), ("W_V", "g m h"), ("W_O", "n h m"), ("b_O", "m")]
    )
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    anatomy = hg.Anatomy("Hooked", "hooked", (Stack("", 2, 3, 3, 10, 4, 0, 0, slots),), 0, shapes, standing="guess")
    with record(model, anatomy.select("l1 attn")) as cache:
        model(x)
    assert cache["l1 attn"].shape == (2, 5, 3, 4)
    zeroed = copy.deepcopy(model)
    with torch.no_grad():
        zeroed.blocks[1]["attn"].W_O[1] = 0
    with ablate(model, anatomy.select("l1h1")):
        assert_close(model(x), zeroed(x))
    with ablate(model, anatomy.select("l1h1"), cache):
        assert_close(model(x), model(x))
    del model.blocks[1]["attn"].hook_z
    with pytest.raises(ValueError, match=r"blocks.1.attn.W_O is in no module of its own"):
        ablate(model, anatomy.select("l1h1"))


@pytest.mark.parametrize("family", ["gpt2", "gpt_neox", LLAMA, "gemma2", "phi3", "bloom"])
def test_a_bridge_is_recorded_and_ablated_as_by_its_own_hooks(family: str) -> None:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    original = tiny.fresh(family)
    bridge: Any = build_bridge_from_module(original, type(original).__name__, hf_config=original.config)
    anatomy, given = hg.dissect(bridge), tiny.inputs(family)["input_ids"]
    point = "blocks.1.attn.hook_z"

    def off(z: torch.Tensor, hook: Any) -> torch.Tensor:
        changed = z.clone()
        (changed if z.ndim == 4 else changed.unflatten(-1, (anatomy.n_heads, -1)))[..., 2, :] = 0
        return changed

    with torch.no_grad():
        clean, theirs = bridge(given), bridge.run_with_hooks(given, fwd_hooks=[(point, off)])
        _, cached = bridge.run_with_cache(given)
        with ablate(bridge, "l1h2"):
            ours = bridge(given)
        with record(bridge, "l1 attn | l0 mlp", layers="l1") as cache:
            bridge(given)
        with ablate(bridge, "l1 attn | l0 mlp", cache):
            assert_close(bridge(given), clean)
    assert_close(ours, theirs)
    assert not torch.allclose(ours, clean)
    # the bridge turns rotary positions in single precision
    assert_close(ours, ablated(tiny.model(family), "l1h2", given=given), rtol=1e-4, atol=1e-5)
    assert_close(cache["l1 attn"].flatten(-2), cached[point].reshape(2, 7, -1))
    assert_close(cache["l1 out"], cached["blocks.1.hook_out"])


def test_the_head_of_a_fine_tuned_model_is_ablated_with_what_its_adapter_adds() -> None:
    """By hand: the z that enters the outer module, which the matrix and the adapter both read."""
    peft = pytest.importorskip("peft")
    settings = peft.LoraConfig(r=5, target_modules=["q_proj", "o_proj"], init_lora_weights=False)
    model = peft.get_peft_model(tiny.fresh("llama with grouped-query attention"), settings).double().eval()
    tokens = tiny.inputs("llama with grouped-query attention")["input_ids"]
    output = model.get_submodule("base_model.model.model.layers.1.self_attn.o_proj")

    def without_head_4(_: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        z = given[0].clone()
        z[..., 40:50] = 0
        return (z,)

    handle = output.register_forward_pre_hook(without_head_4)
    expected = model(tokens).logits
    handle.remove()
    with hg.ablate(model, "l1h4"):
        torch.testing.assert_close(model(tokens).logits, expected)
    assert not torch.allclose(model(tokens).logits, expected)
