"""The laws of the design, on every family of the table: what makes a mask trustworthy.

The oracle is never the table itself: it is the model's own forward pass, or plain counting over dense tensors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import headgrid as hg
from headgrid.anatomy.anatomy import Slot, Stack
from headgrid.anatomy.roles import ROLES, bare
from headgrid.selection import parts
from headgrid.selection.selection import Selection
from headgrid.weights import Weights

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)

FEW, MANY = settings(max_examples=3), settings(max_examples=60)
"""Set algebra, text and counting see of a family what its slots are, which a few sets of parts show; the rest is the
same code for all, and is tried with many sets where anatomies are least alike."""

unlike = pytest.mark.parametrize("family", tiny.UNLIKE)


@st.composite
def selections(draw: st.DrawFn, family: str) -> Selection:
    """Any set of parts, from empty to full, with whole rows and single parts both likely."""
    anatomy = tiny.anatomy(family)
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
    anatomy = tiny.anatomy(family)
    times = {name: torch.zeros(shape, dtype=torch.int64) for name, shape in anatomy.parameters.items()}
    for role, there in anatomy.exists.items():
        for row, part in np.argwhere(there):
            one = np.zeros_like(there)
            one[row, part] = True
            for name, mask in Selection(anatomy, {role: one}).masks().items():
                times[name] += 1 if mask is None else mask
    assert {name: (int(n.min()), int(n.max())) for name, n in times.items()} == dict.fromkeys(times, (1, 1))
    assert list(times) == [name for name, _ in tiny.model(family).named_parameters()]


@every_family
def test_full_is_every_parameter_whole(family: str) -> None:
    model = tiny.model(family)
    full = tiny.anatomy(family).select("full")
    assert full.masks() == dict.fromkeys(dict(model.named_parameters()))
    assert full.n_params == sum(parameter.numel() for parameter in model.parameters())


def masks_are_a_homomorphism(a: Selection, b: Selection) -> None:
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


def prints_as_text_that_parses_back(selection: Selection) -> None:
    assert selection.anatomy.select(str(selection)) == selection


def counts_the_true_entries(selection: Selection) -> None:
    assert selection.n_params == sum(int(mask.sum()) for mask in dense(selection).values())


@every_family
@given(data=st.data())
@FEW
def test_masks_are_a_homomorphism_of_set_algebra(family: str, data: st.DataObject) -> None:
    masks_are_a_homomorphism(data.draw(selections(family)), data.draw(selections(family)))


@every_family
@given(data=st.data())
@FEW
def test_a_selection_prints_as_text_that_parses_back_to_it(family: str, data: st.DataObject) -> None:
    prints_as_text_that_parses_back(data.draw(selections(family)))


@every_family
@given(data=st.data())
@FEW
def test_counted_parameters_are_the_true_entries_of_the_masks(family: str, data: st.DataObject) -> None:
    counts_the_true_entries(data.draw(selections(family)))


@pytest.mark.slow
@unlike
@given(data=st.data())
@MANY
def test_many_sets_of_an_anatomy_obey_the_laws_of_masks_text_and_counting(family: str, data: st.DataObject) -> None:
    a, b = data.draw(selections(family)), data.draw(selections(family))
    masks_are_a_homomorphism(a, b)
    prints_as_text_that_parses_back(a)
    counts_the_true_entries(a)


@given(text=st.text(alphabet="lhgq0123*[]-~&|(), .mnatpkvoWQ_embdfu\t²", max_size=24))
@settings(max_examples=400)
def test_parsing_is_total_or_raises_with_the_place(text: str) -> None:
    anatomy = tiny.anatomy("llama with grouped-query attention")
    try:
        selection = anatomy.select(text)
    except hg.SelectionError as fault:
        assert fault.text == text
        assert 0 <= fault.start <= fault.end <= len(text)
        assert fault.reason
    else:
        assert anatomy.select(str(selection)) == selection


# ---- function: what a part does, asked of the model itself


def layers_with_heads(anatomy: hg.Anatomy) -> Iterator[tuple[Stack, int]]:
    """Every layer of every stack that has heads."""
    for stack in anatomy.stacks:
        yield from ((stack, layer) for layer in range(stack.n_layers) if ("W_O", layer) in stack.places)


def named(stack: Stack) -> str:
    """What stands before a layer of this stack in a selection."""
    return f"{stack.name} " if stack.name else ""


def owner(slot: Slot) -> str:
    """The module that has this parameter."""
    return slot.parameter.rpartition(".")[0]


@contextmanager
def edited(
    model: torch.nn.Module, selection: Selection, edit: Callable[[torch.Tensor], torch.Tensor] | None = None
) -> Iterator[None]:
    """What is selected is zero within, or what an edit makes of its parameter there; then all is as it was."""
    masks = selection.masks()
    kept = {name: model.get_parameter(name).detach().clone() for name in masks}
    with torch.no_grad():
        try:
            for name, mask in masks.items():
                new = torch.zeros_like(kept[name]) if edit is None else edit(kept[name])
                model.get_parameter(name).copy_(new if mask is None else torch.where(mask, new, kept[name]))
            yield
        finally:
            for name, old in kept.items():
                model.get_parameter(name).copy_(old)


@contextmanager
def edited_input(module: torch.nn.Module, edit: Callable[[torch.Tensor], torch.Tensor]) -> Iterator[None]:
    handle = module.register_forward_pre_hook(lambda _, inputs: (edit(inputs[0]), *inputs[1:]))
    try:
        yield
    finally:
        handle.remove()


def first(seen: dict[str, torch.Tensor], what: str, tensor: torch.Tensor) -> None:
    """Keep what a hook sees for the first time; a hook that returns nothing changes nothing."""
    seen.setdefault(what, tensor)


def unread(family: str, model: torch.nn.Module, stack: Stack, layer: int) -> bool:
    """LLaVA reads its vision model's last layer but one: what comes after it is run for nothing."""
    return family == "llava" and stack.name == "vision" and layer == stack.n_layers - 1


@every_family
def test_zeroing_a_heads_masked_output_weights_is_ablating_its_z(family: str) -> None:
    model, inputs = tiny.model(family), tiny.inputs(family)
    anatomy = tiny.anatomy(family)
    with torch.no_grad():
        clean = model(**inputs).logits
        for stack, layer in layers_with_heads(anatomy):
            output = model.get_submodule(owner(stack.places["W_O", layer][0]))
            for head in range(stack.n_heads):

                def ablate(z: torch.Tensor, head: int = head, n_heads: int = stack.n_heads) -> torch.Tensor:
                    z = z.unflatten(-1, (n_heads, -1)).clone()
                    z[..., head, :] = 0
                    return z.flatten(-2)

                with edited_input(output, ablate):
                    expected = model(**inputs).logits
                with edited(model, anatomy.select(f"{named(stack)}l{layer}h{head}.W_O")):
                    got = model(**inputs).logits
                torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
                matters = not torch.allclose(clean, expected, rtol=1e-6, atol=1e-6)
                assert matters != unread(family, model, stack, layer), "ablating a head should matter"


@contextmanager
def norms_of_all_heads_frozen(model: torch.nn.Module, scales: dict[str, torch.Tensor] | None) -> Iterator[dict]:
    """Norms of queries and keys that span all heads couple them, one head's scale moves the others: hold it as it was.

    Without `scales` they are recorded, as what each entry is multiplied by before the gain.
    """
    recorded: dict[str, torch.Tensor] = {}
    handles = []
    for name, module in model.named_modules():
        if name.endswith(("q_norm", "k_norm")) and type(module).__name__.startswith("Olmo"):

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


class EndOfPassError(Exception):
    """Ends a pass of which all has been seen."""


def attention_and_z(
    model: torch.nn.Module, inputs: dict[str, torch.Tensor], stack: Stack, layer: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """A layer's attention pattern `[batch, head, query, key]` and z `[batch, head, position, d_head]`, as it ran them.

    The pattern is what the attention module itself returns; where it returns none (Qwen's vision models, which attend
    within one image at a time), what `softmax` returned in it. The pass ends once both are known.
    """
    seen: dict[str, torch.Tensor] = {}
    within: list[torch.Tensor] = []
    output = owner(stack.places["W_O", layer][0])
    softmax = torch.nn.functional.softmax

    def watched(*args: Any, **kwargs: Any) -> torch.Tensor:
        result = softmax(*args, **kwargs)
        if result.dim() == 4 and result.shape[1] == stack.n_heads and "z" not in seen:
            within.append(result)
        return result

    def keep(_: torch.nn.Module, given: object, result: object) -> None:
        for one in result if isinstance(result, tuple) else ():
            pattern = isinstance(one, torch.Tensor) and one.dim() == 4 and one.shape[1] == stack.n_heads
            if pattern and one.min() >= 0 and one.max() > 0:
                first(seen, "pattern", one)
        if len(seen) == 2:
            raise EndOfPassError

    steps = output.split(".")
    parents = [model.get_submodule(".".join(steps[:depth])) for depth in range(len(steps) - 1, 0, -1)]
    handles = [parent.register_forward_hook(keep) for parent in parents]
    handles.append(parents[0].register_forward_pre_hook(lambda *_: within.clear()))
    handles.append(model.get_submodule(output).register_forward_pre_hook(lambda _, given: first(seen, "z", given[0])))
    with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.nn.functional, "softmax", watched)
        with suppress(EndOfPassError):
            model(**inputs, output_attentions=True)
    for handle in handles:
        handle.remove()
    pattern = seen["pattern"] if "pattern" in seen else torch.cat(within)
    return pattern.double(), seen["z"].reshape(len(pattern), -1, stack.n_heads, stack.d_head).transpose(1, 2)


@every_family
@pytest.mark.parametrize("side", ["q", "k", "v"])
def test_a_side_moves_its_own_heads_and_no_other(family: str, side: str) -> None:
    """The query side moves one head's attention; a key side that of its readers; a value side moves their z."""
    model, inputs = tiny.model(family), tiny.inputs(family)
    anatomy = tiny.anatomy(family)
    for stack, layer in layers_with_heads(anatomy):
        with norms_of_all_heads_frozen(model, None) as scales:
            before_attention, before_z = attention_and_z(model, inputs, stack, layer)
        for head in range(stack.n_heads):
            generator = torch.Generator().manual_seed(head)

            def moved(weight: torch.Tensor, generator: torch.Generator = generator) -> torch.Tensor:
                return weight + torch.randn(weight.shape, generator=generator, dtype=weight.dtype)

            with (
                edited(model, anatomy.select(f"{named(stack)}l{layer}h{head}.{side}"), moved),
                norms_of_all_heads_frozen(model, scales),
            ):
                attention, z = attention_and_z(model, inputs, stack, layer)
            readers = [h for h in range(stack.n_heads) if stack.kv_head_of[h] == stack.kv_head_of[head]]
            own = [head] if side == "q" else readers
            before, after = (before_z, z) if side == "v" else (before_attention, attention)
            difference = (after - before).abs().amax(dim=(0, 2, 3))  # per head
            assert difference.gt(1e-9).nonzero().flatten().tolist() == own
            if side == "v":
                torch.testing.assert_close(attention, before_attention)


@functools.cache
def weights_of(family: str, stack: str) -> Weights:
    return Weights(tiny.model(family), stack=stack)


def read(family: str, stack: Stack, layer: int, *roles: str) -> torch.Tensor | None:
    """The canonical weight of the first of these roles that the layer has."""
    weights = weights_of(family, stack.name)
    return next((weights.read(role, layer) for role in roles if (role, layer) in stack.places), None)


@every_family
def test_the_canonical_weights_reproduce_the_models_own_values_and_attention_output(family: str) -> None:
    """z = pattern @ (x W_V + b_V), and the output is sum over heads of z W_O + b_O, from the block's own input."""
    model, inputs = tiny.model(family), tiny.inputs(family)
    for stack, layer in layers_with_heads(tiny.anatomy(family)):
        attention, z = attention_and_z(model, inputs, stack, layer)
        w_v, b_v = read(family, stack, layer, "W_V", "W_UV"), read(family, stack, layer, "b_V")
        w_o, b_o, gate = (read(family, stack, layer, role) for role in ("W_O", "b_O", "W_OG"))
        assert w_v is not None
        assert w_o is not None
        values = next(stack.places[role, layer][0] for role in ("W_V", "W_UV") if (role, layer) in stack.places)
        got: dict[str, torch.Tensor] = {}
        handles = [
            model.get_submodule(owner(values)).register_forward_pre_hook(
                lambda _, given, got=got: first(got, "x", given[0])
            ),
            model.get_submodule(owner(stack.places["W_O", layer][0])).register_forward_hook(
                lambda _, given, result, got=got: first(got, "out", result)
            ),
        ]
        with torch.no_grad():
            model(**inputs)
        for handle in handles:
            handle.remove()
        x = got["x"].reshape(len(attention), -1, got["x"].shape[-1])
        value = torch.einsum("bpm,gmh->bgph", x, w_v) + (0 if b_v is None else b_v[:, None, :])
        z_again = attention @ value[:, stack.kv_head_of.tolist()]
        if gate is not None:
            bias = read(family, stack, layer, "b_OG")
            assert bias is not None
            z_again = z_again * (torch.einsum("bpm,nmh->bnph", x, gate) + bias[:, None, :]).sigmoid()
        torch.testing.assert_close(z_again, z, rtol=1e-9, atol=1e-9)
        out = torch.einsum("bnph,nhm->bpm", z, w_o) + (0 if b_o is None else b_o)
        torch.testing.assert_close(out, got["out"].reshape(out.shape), rtol=1e-9, atol=1e-9)


STANDARD = [
    "gpt2", "gpt_bigcode", "gpt_bigcode with a key/value head per head", "gpt_neo", "opt", "opt-350m", "bert",
    "roberta", "xlm-roberta", "camembert", "electra", "distilbert", "albert", "albert with 2 groups", "vit", "bart",
    "whisper",
]  # fmt: skip
"""Families whose scores are of queries and keys alone: no rotation, no bias for a distance."""


def test_the_families_of_learned_positions_are_known() -> None:
    found = [name for name in tiny.FAMILIES if tiny.anatomy(name).positional_embedding_type == "standard"]
    assert found == STANDARD


@pytest.mark.parametrize("family", STANDARD)
def test_the_canonical_weights_reproduce_the_models_own_attention_pattern(family: str) -> None:
    """pattern = softmax of (x W_Q + b_Q) (y W_K + b_K)^T / sqrt(d_head), where the model attends at all."""
    model, inputs = tiny.model(family), tiny.inputs(family)
    for stack, layer in layers_with_heads(tiny.anatomy(family)):
        attention, _ = attention_and_z(model, inputs, stack, layer)
        got: dict[str, torch.Tensor] = {}
        handles = [
            model.get_submodule(owner(stack.places[role, layer][0])).register_forward_pre_hook(
                lambda _, given, got=got, role=role: first(got, role, given[0])
            )
            for role in ("W_Q", "W_K")
        ]
        with torch.no_grad():
            model(**inputs)
        for handle in handles:
            handle.remove()

        def projected(role: str, got: dict = got, stack: Stack = stack, layer: int = layer) -> torch.Tensor:
            weight, bias = read(family, stack, layer, role), read(family, stack, layer, role.replace("W", "b"))
            assert weight is not None
            return torch.einsum("bpm,nmh->bnph", got[role], weight) + (0 if bias is None else bias[:, None, :])

        q, k = projected("W_Q"), projected("W_K")[:, stack.kv_head_of.tolist()]
        scale = 1.0 if family == "gpt_neo" else stack.d_head**-0.5  # GPT-Neo does not scale
        scores = (q @ k.transpose(-1, -2) * scale).masked_fill(attention == 0, -torch.inf)
        torch.testing.assert_close(scores.softmax(-1), attention, rtol=1e-6, atol=1e-7)


@every_family
def test_zeroing_a_neurons_output_weights_is_ablating_its_activation(family: str) -> None:
    model, inputs = tiny.model(family), tiny.inputs(family)
    anatomy = tiny.anatomy(family)
    for stack in anatomy.stacks:
        layer = next((layer for layer in reversed(range(stack.n_layers - 1)) if ("W_out", layer) in stack.places), 0)
        if ("W_out", layer) not in stack.places:
            continue
        neuron, word = 5, f"{named(stack)}l{layer} mlp n5"
        output = model.get_submodule(owner(stack.places["W_out", layer][0]))

        def ablate(activation: torch.Tensor, neuron: int = neuron) -> torch.Tensor:
            activation = activation.clone()
            activation[..., neuron] = 0
            return activation

        with torch.no_grad():
            with edited_input(output, ablate):
                expected = model(**inputs).logits
            with edited(model, anatomy.select(f"{word}.W_out")):
                got = model(**inputs).logits
            torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)
            if ("b_in", layer) not in stack.places:  # a neuron that reads nothing is silent
                with edited(model, anatomy.select(f"{word}.W_in")):
                    silent = model(**inputs).logits
                torch.testing.assert_close(silent, expected, rtol=1e-9, atol=1e-9)


@every_family
def test_zeroing_an_experts_output_weights_removes_what_it_adds_and_nothing_else(family: str) -> None:
    """With the outputs of all experts but one at zero, only the tokens that are routed to it get anything."""
    model, inputs = tiny.model(family), tiny.inputs(family)
    anatomy = tiny.anatomy(family)
    for layer in range(anatomy.n_layers):
        slots = anatomy.places.get(("expert.W_out", layer))
        if not slots:
            continue
        module = owner(slots[0])
        outputs = {}
        for text in ("none", *(f"l{layer}e{e}.W_out | l{layer}e{e}.b_out" for e in range(anatomy.n_experts))):
            if ("expert.b_out", layer) not in anatomy.places:
                text = text.split(" | ")[0]
            kept: list[torch.Tensor] = []
            handle = model.get_submodule(module).register_forward_hook(
                lambda _, given, result, kept=kept: kept.append(result)
            )
            with edited(model, anatomy.select(text)):
                model(**inputs)
            handle.remove()
            outputs[text] = kept[0][0] if isinstance(kept[0], tuple) else kept[0]
        whole = outputs.pop("none")
        torch.testing.assert_close(sum(whole - without for without in outputs.values()), whole, rtol=1e-9, atol=1e-9)


def test_every_role_is_used_by_a_family_of_the_tests() -> None:
    used = {bare(key) for family in tiny.FAMILIES for key in tiny.anatomy(family).exists}
    elsewhere = {"attn.other", "mlp.other"}  # of TransformerLens' and of fine-tuned models, which are tested there
    adapters = {role for role in ROLES if ".lora_" in role}
    assert used | elsewhere | adapters == set(ROLES)
