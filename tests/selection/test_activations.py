"""What a selection means as activations."""

from __future__ import annotations

import pytest
import tiny
from hooking import (
    BATCH,
    D_HEAD,
    LLAMA,
    ablated,
    anatomy_of,
    hooks_on,
)
from torch.testing import assert_close

import headgrid as hg
from headgrid.hooks import ablate, record


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
            context(tiny.model(family), anatomy_of(family).select(text))  # as a text, l1h2.q is the head's query
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
