from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest
import tiny
import transformers

import headgrid as hg
from headgrid.selection import parts
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire.schema import Tooltip

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)
Bools = npt.NDArray[np.bool_]


def grid(family: str) -> Cells:
    return Cells(hg.dissect(tiny.model(family)))


def numbers(cells: Cells) -> list[int]:
    """The number of every cell's look, as the browser finds it."""
    return [
        band["tooltips"][row["tooltip"]][column]
        for band in cells.bands
        for row in band["rows"]
        for column in range(len(band["columns"]))
    ]


def look(cells: Cells, word: str) -> Tooltip:
    cell = next(cell for cell in range(cells.n_cells) if cells.describe(cell)[0] == word)
    return cells.tooltips[numbers(cells)[cell]]


@every_family
def test_every_cell_has_the_parameters_of_its_word_and_an_absent_cell_has_no_look(family: str) -> None:
    cells = grid(family)
    for cell, number in enumerate(numbers(cells)):
        word, _, chosen = cells.describe(cell)
        assert (number == -1) == cells.absent[cell]
        if number >= 0:
            assert cells.tooltips[number]["count"] == parts.n_params(cells.anatomy, chosen), word


@every_family
def test_a_look_is_said_once_and_every_look_is_some_cells(family: str) -> None:
    cells = grid(family)
    assert len({json.dumps(one) for one in cells.tooltips}) == len(cells.tooltips)
    assert set(numbers(cells)) - {-1} == set(range(len(cells.tooltips)))


@every_family
def test_a_handle_selects_what_its_word_says_in_every_layer_that_has_it(family: str) -> None:
    cells = grid(family)
    first = 0
    for band in cells.bands:
        rows, width = len(band["rows"]), len(band["columns"])
        for handle in band["handles"]:
            assert handle["columns"][0] == handle["before"]
            for row in range(rows):
                on: Bools = np.zeros(cells.n_cells, dtype=np.bool_)
                on[first + row * width + np.array(handle["columns"])] = True
                there = on & ~cells.absent
                assert len(handle["columns"]) > 1
                if there.any():
                    said = cells.anatomy.select(band["rows"][row]["word"] + handle["word"])
                    assert parts.equal(cells.parts_of(there), said.parts), str(said)
        first += rows * width


@every_family
def test_every_stack_with_heads_has_a_handle_for_attention_and_only_mixtures_have_one_for_the_mlp(family: str) -> None:
    cells = grid(family)
    for band in cells.bands:
        kinds = [column["kind"] for column in band["columns"]]
        expected = ["attn"] * ("head" in kinds) + ["mlp"] * ("expert" in kinds)
        assert [handle["label"] for handle in band["handles"]] == expected


def test_a_head_says_the_shapes_of_its_own_weights() -> None:
    assert look(grid("gpt2"), "l1h2") == {
        "shapes": ["W_Q, W_K, W_V 28 x 7", "b_Q, b_K, b_V 7", "W_O 7 x 28"],
        "count": 4 * 28 * 7 + 3 * 7,
        "shared": 0,
        "note": "",
    }
    assert look(grid("gpt2"), "l0 ln1")["shapes"] == ["w, b 28"]


def test_a_head_of_a_group_says_with_how_many_it_shares() -> None:
    grouped = grid("llama with grouped-query attention")
    shared = look(grouped, "l1h4")
    assert shared["note"] == "3 heads share W_K and W_V"
    assert shared["shared"] == grouped.anatomy.select("l1h4.k | l1h4.v").n_params
    assert look(grid("llama with biases and tied embeddings"), "l1h4")["note"] == ""


def test_layers_that_differ_have_looks_of_their_own() -> None:
    cells = grid("jamba")  # attention in layer 2, experts in layers 1 and 3
    kinds = next(band for band in cells.bands if band["title"] == "layers")
    assert [row["tooltip"] for row in kinds["rows"]] == [0, 1, 2, 1]
    assert look(cells, "l1e3")["shapes"] == ["W_in, W_gate 48 x 22", "W_out 22 x 48"]
    assert look(cells, "l0 mixer")["shapes"][-1] == "and 2 other shapes"


@pytest.mark.slow
def test_the_spec_of_a_large_model_is_small() -> None:
    config = transformers.LlamaConfig(
        num_hidden_layers=126, num_attention_heads=128, num_key_value_heads=8, hidden_size=16384,
        intermediate_size=53248, vocab_size=128256, tie_word_embeddings=False,
    )  # fmt: skip
    cells = Cells(hg.dissect(config))
    assert len(cells.tooltips) == 5
    assert look(cells, "l125h127") == {
        "shapes": ["W_Q, W_K, W_V 16384 x 128", "W_O 128 x 16384"],
        "count": 4 * 16384 * 128,
        "shared": 2 * 16384 * 128,
        "note": "16 heads share W_K and W_V",
    }
    assert len(json.dumps([cells.bands, cells.tooltips])) < 30_000
