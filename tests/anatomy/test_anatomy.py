from __future__ import annotations

from dataclasses import replace

import pytest
import tiny
import torch

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy, AnatomyError, Slot, Stack

SIZES = {"n": 4, "g": 2, "h": 3, "m": 5, "f": 7}


def test_a_slot_reads_a_fused_conv1d_piece_as_a_view_in_canonical_orientation() -> None:
    slot = Slot("W_V", 0, "c_attn.weight", "m (2/3 n h)", {**SIZES, "g": 4})
    weight = torch.arange(5 * 36.0).view(5, 36)
    slot = Slot("W_Q", 0, "c_attn.weight", "m (2/3 n h)", SIZES)
    view = slot.of(weight)
    assert view.shape == slot.canonical_shape == (4, 5, 3)
    assert torch.equal(view[1], weight[:, 24 + 3 : 24 + 6])
    view[1].zero_()
    assert weight[:, 27:30].eq(0).all(), "the view writes through"


def test_a_slot_reads_per_head_interleaving() -> None:
    slot = Slot("W_K", 0, "query_key_value.weight", "(g 1/3 h) m", {**SIZES, "g": 4})
    weight = torch.randn(36, 5)
    assert torch.equal(slot.of(weight)[2], weight[2 * 9 + 3 : 2 * 9 + 6].T)
    assert slot.where(2) == "[21:24, :]"


def test_a_slot_says_where_each_part_is() -> None:
    assert Slot("W_Q", 0, "w", "m (0/3 n h)", SIZES).where(1) == "[:, 3:6]"
    assert Slot("b_Q", 0, "b", "(0/3 n h)", SIZES).where(3) == "[9:12]"
    assert Slot("W_out", 0, "w", "m f", SIZES).where(6) == "[:, 6]"
    assert Slot("ln1.w", 0, "w", "m", SIZES).where(0) == "[:]"


def test_a_slot_refuses_a_tensor_of_another_shape() -> None:
    slot = Slot("W_O", 0, "c_proj.weight", "(n h) m", SIZES)
    with pytest.raises(AnatomyError, match=r"c_proj.weight should have the shape \[12, 5\].* not \[5, 12\]"):
        slot.of(torch.zeros(5, 12))


def an_anatomy(slots: list[Slot], parameters: dict[str, tuple[int, ...]], **sizes: int) -> Anatomy:
    stack = Stack(
        name="", n_layers=1, n_heads=sizes.get("n_heads", 4), n_kv_heads=sizes.get("n_kv_heads", 2), d_model=5,
        d_head=3, d_mlp=7, n_experts=0, slots=tuple(slots),
    )  # fmt: skip
    return Anatomy(name="Toy", family="toy", stacks=(stack,), d_vocab=11, parameters=parameters)


def test_an_entry_that_belongs_to_no_part_is_refused() -> None:
    with pytest.raises(AnatomyError, match=r"entry \[0, 12\] of c_attn belongs to 0 parts"):
        an_anatomy([Slot("W_Q", 0, "c_attn", "m (0/3 n h)", SIZES)], {"c_attn": (5, 36)})


def test_an_entry_that_belongs_to_two_parts_is_refused() -> None:
    twice = [Slot("W_Q", 0, "w", "(n h) m", SIZES), Slot("W_O", 0, "w", "(n h) m", SIZES)]
    with pytest.raises(AnatomyError, match=r"entry \[0, 0\] of w belongs to 2 parts"):
        an_anatomy(twice, {"w": (12, 5)})


def test_a_parameter_without_a_slot_is_refused() -> None:
    with pytest.raises(AnatomyError, match=r"score.weight of Toy, shape \[2, 5\], belongs to no part"):
        an_anatomy([Slot("W_O", 0, "w", "(n h) m", SIZES)], {"w": (12, 5), "score.weight": (2, 5)})


def test_query_heads_must_be_a_multiple_of_key_value_heads() -> None:
    with pytest.raises(AnatomyError, match="6 query heads for 4 key/value heads"):
        an_anatomy([], {}, n_heads=6, n_kv_heads=4)


def test_query_heads_of_a_group_read_one_key_value_head() -> None:
    anatomy = hg.dissect(tiny.model("llama with grouped-query attention"))
    assert anatomy.kv_head_of.tolist() == [0, 0, 0, 1, 1, 1]


def test_two_models_of_one_shape_share_their_anatomy_and_others_do_not() -> None:
    llama = hg.dissect(tiny.fresh("llama with grouped-query attention"))
    again = hg.dissect(tiny.config("llama with grouped-query attention"))
    assert llama == again
    assert hash(llama) == hash(again)
    assert llama != hg.dissect(tiny.model("qwen3"))
    assert llama != "llama"


def test_the_title_names_the_model_in_one_line() -> None:
    anatomy = hg.dissect(tiny.model("llama with grouped-query attention"))
    assert anatomy.title == "LlamaForCausalLM (llama), 3 layers x 6 heads in 2 groups"
    assert repr(anatomy) == f"Anatomy({anatomy.title}, d_model 48, d_head 10, {anatomy.n_params:,} parameters)"


def test_parameters_of_one_shape_that_are_placed_in_another_way_are_another_anatomy() -> None:
    found = hg.dissect(tiny.model("phi3"))
    (stack,) = found.stacks
    turned = {"W_K": "W_V", "W_V": "W_K"}
    slots = tuple(replace(slot, role=turned.get(slot.role, slot.role)) for slot in stack.slots)
    other = replace(found, stacks=(replace(stack, slots=slots),))
    assert list(other.parameters.items()) == list(found.parameters.items())
    assert other != found
    assert other.fingerprint != found.fingerprint
