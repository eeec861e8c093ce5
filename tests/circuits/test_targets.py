from __future__ import annotations

import pytest
import tiny

import headgrid as hg
from headgrid.circuits.targets import heads_of, targets

GROUPED = "llama with grouped-query attention"  # 3 layers, 6 heads in 2 groups


def test_a_selection_names_heads_mlps_experts_and_neurons() -> None:
    anatomy = hg.dissect(tiny.model(GROUPED))
    assert targets(anatomy, "l1h2 | l0h5").heads == ((0, 5), (1, 2))
    assert targets(anatomy, "l1 mlp").mlps == (1,)
    assert targets(anatomy, "l1 mlp n3").neurons == ((1, 3),)
    assert str(targets(anatomy, "l2")) == "6 heads, 1 MLP"
    assert targets(hg.dissect(tiny.model("mixtral")), "l1e3").experts == ((1, 3),)


def test_a_head_whose_keys_another_one_shares_is_alone() -> None:
    anatomy = hg.dissect(tiny.model(GROUPED))
    assert targets(anatomy, "l1h2").heads == ((1, 2),)
    assert targets(anatomy, "l1h2.ov").heads == ((1, 2),)


def test_a_selection_in_another_stack_names_that_stack() -> None:
    found = targets(hg.dissect(tiny.model("bart")), "encoder l1h5")
    assert (found.stack.name, found.heads) == ("encoder", ((1, 5),))


def test_all_heads_are_those_that_there_are() -> None:
    anatomy = hg.dissect(tiny.model("jamba"))
    assert {layer for layer, _ in heads_of(anatomy, None, anatomy.main)} == {2}
    assert heads_of(anatomy, "l2h1, l2h0", anatomy.main) == ((2, 0), (2, 1))


@pytest.mark.parametrize(
    ("family", "text", "said"),
    [
        ("gpt2", "embed", "embed names no head, MLP, expert or neuron; name one, such as l0h0 or l0 mlp"),
        (
            "bart",
            "encoder l0h0 | decoder l0h0",
            "names 1 head of encoder and 1 head of decoder: name parts of one stack",
        ),
    ],
)
def test_what_names_nothing_or_too_much_is_refused(family: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        targets(hg.dissect(tiny.model(family)), text)
