"""The laws of the design, on every family of the table: what makes a mask trustworthy.

The oracle is never the table itself: it is the model's own forward pass, or plain counting over dense tensors.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import headgrid as hg
from headgrid import parts
from headgrid.roles import ROLES
from headgrid.selection import Selection

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)


@st.composite
def selections(draw: st.DrawFn, family: str) -> Selection:
    """Any set of parts, from empty to full, with whole rows and single parts both likely."""
    anatomy = hg.dissect(tiny.model(family))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    roles = draw(st.sets(st.sampled_from(sorted(anatomy.exists))) | st.just(set(anatomy.exists)))
    density = draw(st.sampled_from([0.05, 0.5, 0.95, 1.0]))
    found = []
    for role in sorted(roles):
        there = anatomy.exists[role]
        rows = rng.random((there.shape[0], 1)) < draw(st.sampled_from([0.3, 1.0]))
        found.append((role, there & rows & (rng.random(there.shape) < density)))
    return Selection(anatomy, parts.nonempty(found))


def dense(selection: Selection) -> dict[str, torch.Tensor]:
    """Every parameter's mask as a tensor of its own, absent and whole ones too."""
    masks = selection.masks()
    return {
        name: torch.zeros(shape, dtype=torch.bool)
        if name not in masks
        else torch.ones(shape, dtype=torch.bool)
        if masks[name] is None
        else masks[name].clone()
        for name, shape in selection.anatomy.parameters.items()
    }


@every_family
def test_every_entry_of_every_parameter_belongs_to_exactly_one_part(family: str) -> None:
    anatomy = hg.dissect(tiny.model(family))
    times = {name: torch.zeros(shape, dtype=torch.int64) for name, shape in anatomy.parameters.items()}
    for role, there in anatomy.exists.items():
        for row, part in np.argwhere(there):
            one = np.zeros_like(there)
            one[row, part] = True
            for name, mask in dense(Selection(anatomy, {role: one})).items():
                times[name] += mask
    assert {name: (int(n.min()), int(n.max())) for name, n in times.items()} == dict.fromkeys(times, (1, 1))
    assert list(times) == [name for name, _ in tiny.model(family).named_parameters()]


@every_family
def test_full_is_every_parameter_whole(family: str) -> None:
    model = tiny.model(family)
    full = hg.dissect(model).select("full")
    assert full.masks() == dict.fromkeys(dict(model.named_parameters()))
    assert full.n_params == sum(parameter.numel() for parameter in model.parameters())


@every_family
@given(data=st.data())
@settings(max_examples=25)
def test_masks_are_a_homomorphism_of_set_algebra(family: str, data: st.DataObject) -> None:
    a, b = data.draw(selections(family)), data.draw(selections(family))
    mask_a, mask_b = dense(a), dense(b)
    for got, want in [
        (a | b, lambda x, y: x | y),
        (a & b, lambda x, y: x & y),
        (a - b, lambda x, y: x & ~y),
        (a ^ b, lambda x, y: x ^ y),
        (~a, lambda x, _: ~x),
    ]:
        for name, mask in dense(got).items():
            assert torch.equal(mask, want(mask_a[name], mask_b[name])), name


@every_family
@given(data=st.data())
@settings(max_examples=50)
def test_a_selection_prints_as_text_that_parses_back_to_it(family: str, data: st.DataObject) -> None:
    selection = data.draw(selections(family))
    assert selection.anatomy.select(str(selection)) == selection


@given(text=st.text(alphabet="lhgq0123*[]-~&|(), .mnatpkvoWQ_embdfu\t²", max_size=24))
@settings(max_examples=400)
def test_parsing_is_total_or_raises_with_the_place(text: str) -> None:
    anatomy = hg.dissect(tiny.model("llama with grouped-query attention"))
    try:
        selection = anatomy.select(text)
    except hg.SelectionError as fault:
        assert fault.text == text
        assert 0 <= fault.start <= fault.end <= len(text)
        assert fault.reason
    else:
        assert anatomy.select(str(selection)) == selection


@every_family
@given(data=st.data())
@settings(max_examples=25)
def test_counted_parameters_are_the_true_entries_of_the_masks(family: str, data: st.DataObject) -> None:
    selection = data.draw(selections(family))
    assert selection.n_params == sum(int(mask.sum()) for mask in dense(selection).values())


# ---- function: what a part does, asked of the model itself


@contextmanager
def ablated_z(model: torch.nn.Module, layer: int, head: int, anatomy: hg.Anatomy) -> Iterator[None]:
    """Head `head`'s z set to zero where it enters the output projection, by its number alone."""
    output = model.get_submodule(anatomy.places["W_O", layer].parameter.removesuffix(".weight"))

    def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        z = inputs[0].unflatten(-1, (anatomy.n_heads, -1)).clone()
        z[..., head, :] = 0
        return (z.flatten(-2),)

    handle = output.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@every_family
def test_zeroing_a_heads_masked_output_weights_is_ablating_its_z(family: str) -> None:
    model, tokens = tiny.model(family), tiny.tokens()
    anatomy = hg.dissect(model)
    clean = model(tokens).logits
    for layer in range(anatomy.n_layers):
        for head in range(anatomy.n_heads):
            with ablated_z(model, layer, head, anatomy):
                expected = model(tokens).logits
            zeroed = copy.deepcopy(model)
            with torch.no_grad():
                for name, mask in anatomy.select(f"l{layer}h{head}.o").masks().items():
                    weight = zeroed.get_parameter(name)
                    weight.masked_fill_(torch.tensor(True) if mask is None else mask, 0)
            torch.testing.assert_close(zeroed(tokens).logits, expected, rtol=1e-4, atol=1e-4)
            assert not torch.allclose(clean, expected, rtol=1e-3, atol=1e-3), "ablating the head should matter"


@contextmanager
def norms_of_all_heads_frozen(model: torch.nn.Module, scales: dict[str, torch.Tensor] | None) -> Iterator[dict]:
    """OLMo-2's norms of queries and keys span all heads, so one head's scale moves the others: hold them as they were.

    Without `scales` they are recorded, as what each entry is multiplied by before the gain.
    """
    recorded: dict[str, torch.Tensor] = {}
    handles = []
    for name, module in model.named_modules():
        if name.endswith(("q_norm", "k_norm")) and type(module).__name__ in ("Olmo2RMSNorm", "Olmo3RMSNorm"):

            def hook(
                norm: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor, name: str = name
            ) -> torch.Tensor:
                scale = recorded[name] = (output / (inputs[0] * norm.weight))[..., :1]
                return inputs[0] * norm.weight * (scale if scales is None else scales[name])

            handles.append(module.register_forward_hook(hook))
    try:
        yield recorded
    finally:
        for handle in handles:
            handle.remove()


@every_family
@pytest.mark.parametrize("side", ["q", "k", "v"])
def test_a_side_moves_its_own_heads_and_no_other(family: str, side: str) -> None:
    """The query side moves one head's attention; a key side that of its readers; a value side moves their z."""
    model, tokens = tiny.model(family), tiny.tokens()
    anatomy = hg.dissect(model)
    for layer in range(anatomy.n_layers):
        with norms_of_all_heads_frozen(model, None) as scales:
            before_attention, before_z = attention_and_z(model, tokens, layer, anatomy)
        for head in range(anatomy.n_heads):
            moved = copy.deepcopy(model)
            generator = torch.Generator().manual_seed(head)
            with torch.no_grad():
                for name, mask in anatomy.select(f"l{layer}h{head}.{side}").masks().items():
                    weight = moved.get_parameter(name)
                    noise = torch.randn(weight.shape, generator=generator)
                    weight.add_(noise if mask is None else noise * mask)
            with norms_of_all_heads_frozen(moved, scales):
                attention, z = attention_and_z(moved, tokens, layer, anatomy)
            readers = [h for h in range(anatomy.n_heads) if anatomy.kv_head_of[h] == anatomy.kv_head_of[head]]
            own = [head] if side == "q" else readers
            before, after = (before_z, z) if side == "v" else (before_attention, attention)
            difference = (after - before).abs().amax(dim=(0, 2, 3))  # per head
            assert difference.gt(1e-4).nonzero().flatten().tolist() == own
            if side == "v":
                torch.testing.assert_close(attention, before_attention)


def attention_and_z(
    model: torch.nn.Module, tokens: torch.Tensor, layer: int, anatomy: hg.Anatomy
) -> tuple[torch.Tensor, torch.Tensor]:
    """A layer's attention pattern `[batch, head, query, key]` and z `[batch, head, position, d_head]`."""
    seen: list[torch.Tensor] = []
    output = model.get_submodule(anatomy.places["W_O", layer].parameter.removesuffix(".weight"))
    handle = output.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        attention = model(tokens, output_attentions=True).attentions[layer]
    handle.remove()
    return attention, seen[0].unflatten(-1, (anatomy.n_heads, -1)).transpose(1, 2)


@every_family
def test_the_canonical_weights_reproduce_the_models_own_values_and_attention_output(family: str) -> None:
    """z = pattern @ (x W_V + b_V), and the output is sum over heads of z W_O + b_O, from the block's own input."""
    model, tokens = tiny.model(family), tiny.tokens()
    anatomy = hg.dissect(model)
    weights = dict(model.named_parameters())
    for layer in range(anatomy.n_layers):

        def read(role: str, layer: int = layer) -> torch.Tensor | None:
            slot = anatomy.places.get((role, layer))
            return None if slot is None else slot.of(weights[slot.parameter]).detach()

        attention, z = attention_and_z(model, tokens, layer, anatomy)
        w_v, b_v, w_o, b_o = read("W_V"), read("b_V"), read("W_O"), read("b_O")
        assert w_v is not None
        assert w_o is not None
        projection = model.get_submodule(anatomy.places["W_V", layer].parameter.removesuffix(".weight"))
        output = model.get_submodule(anatomy.places["W_O", layer].parameter.removesuffix(".weight"))
        got: dict[str, torch.Tensor] = {}
        handles = [
            projection.register_forward_pre_hook(lambda _, inputs, got=got: got.update(x=inputs[0])),
            output.register_forward_hook(lambda _, inputs, result, got=got: got.update(out=result)),
        ]
        with torch.no_grad():
            model(tokens)
        for handle in handles:
            handle.remove()
        value = torch.einsum("bpm,gmh->bgph", got["x"], w_v) + (0 if b_v is None else b_v[:, None, :])
        z_again = attention @ value[:, anatomy.kv_head_of.tolist()]
        torch.testing.assert_close(z_again, z, rtol=1e-4, atol=1e-4)
        out = torch.einsum("bnph,nhm->bpm", z, w_o) + (0 if b_o is None else b_o)
        torch.testing.assert_close(out, got["out"], rtol=1e-4, atol=1e-4)


@every_family
def test_zeroing_a_neurons_output_weights_is_ablating_its_activation(family: str) -> None:
    model, tokens = tiny.model(family), tiny.tokens()
    anatomy = hg.dissect(model)
    layer, neuron = 1, 5
    output = model.get_submodule(anatomy.places["W_out", layer].parameter.removesuffix(".weight"))

    def hook(_: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        activation = inputs[0].clone()
        activation[..., neuron] = 0
        return (activation,)

    handle = output.register_forward_pre_hook(hook)
    expected = model(tokens).logits
    handle.remove()
    zeroed = copy.deepcopy(model)
    with torch.no_grad():
        for name, mask in anatomy.select(f"l{layer} mlp n{neuron}.W_out").masks().items():
            zeroed.get_parameter(name).masked_fill_(mask, 0)
    torch.testing.assert_close(zeroed(tokens).logits, expected, rtol=1e-4, atol=1e-4)
    reading = copy.deepcopy(model)
    with torch.no_grad():
        for name, mask in anatomy.select(f"l{layer} mlp n{neuron}.W_in").masks().items():
            reading.get_parameter(name).masked_fill_(mask, 0)
    if "b_in" not in anatomy.exists:  # a gated neuron that reads nothing is silent
        torch.testing.assert_close(reading(tokens).logits, expected, rtol=1e-4, atol=1e-4)


def test_every_role_is_used_by_a_family_of_the_tests() -> None:
    used = {role for family in tiny.FAMILIES for role in hg.dissect(tiny.model(family)).exists}
    assert used == set(ROLES)
