"""Models with several stacks, experts, latent attention, and layers without heads: their words, masks and cells."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

import headgrid as hg
from headgrid.anatomy.slots import Slot, canvas_shape, overlaps
from headgrid.widget.state.cells import Cells

t5 = hg.dissect(tiny.model("t5"))  # 3 encoder layers and 2 decoder layers of 4 heads, one table of embeddings
llava = hg.dissect(tiny.model("llava"))  # 3 layers of 6 heads; 4 vision layers of 5 heads
mixture = hg.dissect(tiny.model("qwen2_moe"))  # 3 layers, of which layer 1 is dense; 5 experts
latent = hg.dissect(tiny.model("deepseek_v2"))
hybrid = hg.dissect(tiny.model("lfm2"))  # heads in layer 1 only, convolutions in 0 and 2


# ---- stacks


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("encoder l2h3", "ENCODER L2 H3"),
        ("encoder", "encoder l* | encoder ln_final"),
        ("encoder (l0h1 | l2)", "encoder l0h1 | encoder l2"),
        ("full", "encoder | decoder | cross | embed"),
        ("~encoder", "decoder, cross, embed"),
        ("decoder l1 mlp n5", "decoder l1 mlp n5.W_in | decoder l1 mlp n5.W_out"),
        ("unembed", "shared.weight"),
    ],
)
def test_words_of_a_stack_follow_its_name(text: str, same: str) -> None:
    assert t5.select(text) == t5.select(same)


@pytest.mark.parametrize(
    "text",
    ["encoder", "encoder l0h1 | cross l1h2.q", "cross l* | embed", "decoder ln_final", "~cross", "full - encoder l1"],
)
def test_a_selection_in_several_stacks_prints_as_text_that_parses_back(text: str) -> None:
    assert str(t5.select(text)) == text or t5.select(str(t5.select(text))) == t5.select(text)


def test_a_head_of_one_stack_is_in_the_parameters_of_that_stack_alone() -> None:
    assert {name.split(".")[0] for name in t5.select("encoder l1h2").masks()} == {"encoder"}
    assert {name.split(".")[-2] for name in t5.select("cross l1h2").masks()} == {"q", "k", "v", "o"}
    assert all("EncDecAttention" in name for name in t5.select("cross l1h2").masks())
    assert not set(t5.select("cross l1").masks()) & set(t5.select("decoder l1").masks())


@pytest.mark.parametrize(
    ("text", "marked", "said"),
    [
        ("l2h3", "l2h3", "say which stack 'l2h3' is in: 'encoder l2h3', 'decoder l2h3' or 'cross l2h3'"),
        ("decoder l2", "2", "there is no layer 2; this model's layers are 0 to 1"),
        ("cross l0 mlp", "cross l0 mlp", "layer 0 of this model has no such piece; it has attn"),
        (
            "encoder types",
            "types",
            "this model has no 'types' here; it has embed, unembed, encoder embed, encoder ln_final",
        ),
        ("encoder foo", "foo", "'foo' is not a word of this model"),
    ],
)
def test_a_word_in_the_wrong_stack_is_refused_at_its_place(text: str, marked: str, said: str) -> None:
    with pytest.raises(hg.SelectionError) as caught:
        t5.select(text)
    assert text[caught.value.start : caught.value.end] == marked
    assert said in caught.value.reason


def test_pairs_are_of_the_language_model_and_refused_where_no_stack_is_the_main_one() -> None:
    assert llava.select([(1, 5), (2, 0)]) == llava.select("l1h5 | text l2h0")
    with pytest.raises(hg.SelectionError, match="say which stack 'l1h2' is in"):
        t5.select((1, 2))


def test_sizes_are_those_of_the_main_stack_and_selected_heads_are_of_the_stack_that_is_named() -> None:
    assert (llava.n_layers, llava.n_heads, llava.stack("vision").n_layers, llava.stack("vision").n_heads) == (
        3,
        6,
        4,
        5,
    )
    selection = llava.select("l1h2 | vision l3h4")
    assert selection.selected_heads().nonzero().tolist() == [[1, 2]]
    assert selection.selected_heads("vision").nonzero().tolist() == [[3, 4]]
    with pytest.raises(ValueError, match="has no stack 'audio'; it has '', 'vision'"):
        selection.selected_heads("audio")


def test_each_stack_has_bands_of_its_own_and_what_is_shared_stands_around_them() -> None:
    cells = Cells(t5)
    assert [tab["label"] for tab in cells.stacks] == ["encoder", "decoder", "cross"]
    assert [(band["stack"], band["title"]) for band in cells.bands] == [
        ("", "before the layers"),
        ("encoder", "layers"),
        ("encoder", "after the layers"),
        ("decoder", "layers"),
        ("decoder", "after the layers"),
        ("cross", "layers"),
    ]
    assert [tab["label"] for tab in Cells(llava).stacks] == ["text", "vision"]
    assert Cells(mixture).stacks == []


def test_a_column_of_a_table_of_distances_is_selected_with_the_head_whose_scores_it_moves() -> None:
    """T5 has one table in the first layer of a stack, UMT5 one in each: column h is a part of head h, where it lies."""
    umt5 = hg.dissect(tiny.model("umt5"))
    path = "{0}.block.{1}.layer.0.SelfAttention.relative_attention_bias.weight"
    for anatomy, stack, layers in ((t5, "encoder", [0]), (t5, "decoder", [0]), (umt5, "encoder", [0, 1, 2])):
        for layer in layers:
            mask = anatomy.select(f"{stack} l{layer}h2").masks()[path.format(stack, layer)]
            assert mask.shape == (8, 4)
            assert mask.all(dim=0).tolist() == mask.any(dim=0).tolist() == [False, False, True, False]
            assert list(anatomy.select(f"{stack} l{layer}h2.rel_pos_bias").masks()) == [path.format(stack, layer)]
    assert not [name for name in t5.select("encoder l1h2").masks() if "relative" in name]
    assert not [name for name in umt5.select("cross l0").masks() if "relative" in name]


def test_albert_has_one_layer_and_says_how_often_it_is_run() -> None:
    albert = hg.dissect(tiny.model("albert"))
    assert (albert.n_layers, albert.main.uses) == (1, 3)
    assert "1 layer (each run 3 times) x 4 heads" in albert.title


# ---- mixtures


def test_an_expert_is_its_slice_of_every_tensor_of_experts() -> None:
    masks = mixture.select("l2e3").masks()
    assert [name.rpartition(".")[2] for name in masks] == ["gate_up_proj", "down_proj"]
    for mask in masks.values():
        assert mask is not None
        assert mask.flatten(1).all(1).nonzero().flatten().tolist() == [3]
        assert int(mask.sum()) == mask[3].numel()


def test_a_gate_of_an_expert_is_half_of_its_fused_tensor() -> None:
    (mask,) = mixture.select("l2e3.W_gate").masks().values()
    assert mask is not None
    assert mask.shape == (5, 18, 48)
    assert mask[3, :, 0].nonzero().flatten().tolist() == list(range(9))
    assert not mask[[0, 1, 2, 4]].any()
    (other,) = mixture.select("l2e3.W_in").masks().values()
    assert torch.equal(mask | other, next(iter(mixture.select("l2e3").masks().values())))


def test_interleaved_gates_of_experts_are_every_second_column() -> None:
    (mask,) = hg.dissect(tiny.model("gpt_oss")).select("l1e2.W_gate").masks().values()
    assert mask is not None
    assert mask[2, 0].nonzero().flatten().tolist() == list(range(0, 44, 2))


def test_all_experts_of_a_layer_hold_no_mask_as_large_as_their_tensor() -> None:
    (mask,) = (mask for name, mask in mixture.select("l2e[0,4]").masks().items() if name.endswith("gate_up_proj"))
    assert mask is not None
    assert mask.untyped_storage().nbytes() == 5


def test_layers_of_a_mixture_have_experts_or_neurons() -> None:
    assert str(mixture.select("l2e0-4")) == "l2e*"
    assert mixture.select("l2 mlp") == mixture.select("l2e* | l2 mlp rest")
    assert mixture.select("l1 mlp") == mixture.select("l1 mlp n*")
    with pytest.raises(hg.SelectionError, match="'l1e0': layer 1 of this model has no such piece; it has attn or mlp"):
        mixture.select("l1e0")
    cells = Cells(mixture)
    kinds = [column["kind"] for column in next(band for band in cells.bands if band["title"] == "layers")["columns"]]
    assert kinds == ["norm", *["head"] * 6, "norm", "mlp", "rest", *["expert"] * 5]


# ---- latent attention, hybrids, heads in groups


def test_latent_attention_selects_what_is_per_head_and_says_what_is_shared() -> None:
    at = {name.split(".")[-2]: mask for name, mask in latent.select("l1h4").masks().items()}
    assert {
        name: (mask[:, 0] if name != "o_proj" else mask[0]).nonzero().flatten().tolist() for name, mask in at.items()
    } == {
        "q_b_proj": list(range(4 * 14, 5 * 14)),
        "kv_b_proj": list(range(4 * 22, 5 * 22)),
        "o_proj": list(range(4 * 12, 5 * 12)),
    }
    (values,) = latent.select("l1h4.v").masks().values()
    assert values is not None
    assert values[:, 0].nonzero().flatten().tolist() == list(range(4 * 22 + 10, 5 * 22))
    assert {slot.role for slot in latent.slots if slot.key in latent.select("l1 attn rest").parts} == {
        "W_DQ", "W_DKV", "W_KR", "ln_q.w", "ln_kv.w",
    }  # fmt: skip
    grid = hg.HeadGrid(latent)
    cell = next(i for i in range(grid._state.cells.n_cells) if grid._state.cells.describe(i)[0] == "l1h4")
    grid.set_state({"focus": {"n": 1, "cell": cell, "ln": "folded"}})
    assert any("what all heads share" in note for note in grid.summary["notes"])


def test_a_layer_without_heads_is_shown_as_such() -> None:
    with pytest.raises(hg.SelectionError, match="'l0h1': layer 0 of this model has no such piece; it has mixer or mlp"):
        hybrid.select("l0h1")
    assert set(hybrid.select("l0 mixer").masks().values()) == {None}
    assert hybrid.select("l*h*") == hybrid.select("l1h*")
    cells = Cells(hybrid)
    words = [cells.describe(cell)[0] for cell in range(cells.n_cells)]
    absent = {word for word, gone in zip(words, cells.absent, strict=True) if gone}
    assert {"l0h0", "l2h5", "l1 mixer"} <= absent
    assert not {"l1h0", "l0 mixer", "l2 mixer"} & absent
    assert "conv" in {column["label"] for band in cells.bands for column in band["columns"]}


def test_one_tensor_of_a_mixer_is_selected_by_its_name_and_prints_as_it() -> None:
    name = "model.layers.2.conv.conv.weight"
    assert hybrid.select(name).masks() == {name: None}
    assert str(hybrid.select(name)) == name


@pytest.mark.parametrize(("family", "head", "rows"), [
    ("falcon-40b", 4, range(40 + 8, 40 + 16)),  # groups of 3 queries, k, v, each of 8 rows: head 4 is group 1's second
    ("codegen with 8 heads", 5, range(2 * 36 + 6, 2 * 36 + 12)),  # 4 blocks of q, v, k of 2 heads of 6 rows
])  # fmt: skip
def test_queries_that_are_stored_in_groups_have_a_slot_for_each(family: str, head: int, rows: range) -> None:
    (mask,) = hg.dissect(tiny.model(family)).select(f"l1h{head}.q").masks().values()
    assert mask is not None
    assert mask[:, 0].nonzero().flatten().tolist() == list(rows)


def test_heads_with_a_norm_each_own_it() -> None:
    anatomy = hg.dissect(tiny.model("stablelm with qk_layernorm"))
    assert anatomy.select("l1h4.q_gain").masks() == {"model.layers.1.self_attn.q_layernorm.norms.4.weight": None}


# ---- slots


def test_a_nested_sum_is_a_piece_within_each_head() -> None:
    sizes = {"n": 3, "k": 2, "r": 4, "a": 5}
    weight = torch.arange(18 * 5.0).view(18, 5)
    rotary = Slot("W_QR", 0, "q_b", "(n (k + [r])) a", sizes)
    assert torch.equal(rotary.of(weight)[1], weight[6 + 2 : 6 + 6].T)
    assert rotary.of(weight).untyped_storage().data_ptr() == weight.untyped_storage().data_ptr()
    assert rotary.where(1) == "[8:12, :]"
    assert list(overlaps([rotary, Slot("W_UQ", 0, "q_b", "(n ([k] + r)) a", sizes)])) == []


def test_slots_that_leave_a_hole_or_overlap_are_found_along_two_axes() -> None:
    sizes = {"e": 2, "f": 3, "m": 4}
    gate = Slot("expert.W_gate", 0, "w", "e (0/2 f) m", sizes)
    assert canvas_shape([gate]) == [2, 6, 1]
    assert {times for _, times in overlaps([gate])} == {0}
    assert {times for _, times in overlaps([gate, gate, Slot("expert.W_in", 0, "w", "e (1/2 f) m", sizes)])} == {2}


def test_a_single_head_may_be_stored_without_an_axis_for_it() -> None:
    gain = Slot("q_gain", 0, "norms.2.weight", "h", {"n": 1, "h": 3}, first=2)
    vector = torch.arange(3.0)
    assert torch.equal(gain.of(vector), vector[None])
    assert gain.numbers == slice(2, 3)
    canvas = np.zeros(canvas_shape([gain]), np.bool_)
    gain.along(canvas)[0] = True
    assert canvas.all()
