from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

import headgrid as hg
from headgrid.selection import parts
from headgrid.widget.state.cells import Cells

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)
Bools = npt.NDArray[np.bool_]


def grid(family: str) -> Cells:
    return Cells(hg.dissect(tiny.model(family)))


def words(cells: Cells, on: Bools) -> list[str]:
    return [cells.describe(int(cell))[0] for cell in np.flatnonzero(on)]


def of_words(cells: Cells, *texts: str) -> Bools:
    every = [cells.describe(cell)[0] for cell in range(cells.n_cells)]
    return np.isin(every, texts)


HEADS = [str(head) for head in range(6)]


@pytest.mark.parametrize(
    ("family", "before", "layer", "after"),
    [
        ("gpt2", ["embed", "pos"], ["ln1", *HEADS[:4], "b_O", "ln2", "MLP"], ["ln_final"]),
        ("gpt_neox", ["embed"], ["ln1", *HEADS[:4], "b_O", "ln2", "MLP"], ["ln_final", "unembed"]),
        ("llama with grouped-query attention", ["embed"], ["ln1", *HEADS, "ln2", "MLP"], ["ln_final", "unembed"]),
        ("qwen3", ["embed"], ["ln1", *HEADS, "rest", "ln2", "MLP"], ["ln_final", "unembed"]),
        ("gemma2", ["embed"], ["ln1", *HEADS, "post", "ln2", "MLP", "post"], ["ln_final"]),
        ("gemma3", ["embed"], ["ln1", *HEADS, "rest", "post", "ln2", "MLP", "post"], ["ln_final"]),
        ("bloom", ["embed", "ln_embed"], ["ln1", *HEADS[:4], "b_O", "ln2", "MLP"], ["ln_final"]),
        ("olmo", ["embed"], [*HEADS, "MLP"], ["unembed"]),
        ("olmo2", ["embed"], [*HEADS, "post", "MLP", "post"], ["ln_final", "unembed"]),
        ("cohere2", ["embed"], ["ln1", *HEADS, "MLP"], ["ln_final"]),
    ],
)
def test_the_columns_are_the_pieces_of_a_layer_in_the_order_of_a_forward_pass(
    family: str, before: list[str], layer: list[str], after: list[str]
) -> None:
    bands = {band["title"]: [column["label"] for column in band["columns"]] for band in grid(family).bands}
    assert bands == {"before the layers": before, "layers": layer, "after the layers": after}


@every_family
def test_every_cells_word_parses_to_its_parts_and_all_cells_are_the_full_model(family: str) -> None:
    cells = grid(family)
    for cell in np.flatnonzero(~cells.absent):
        word, _, chosen = cells.describe(int(cell))
        assert parts.equal(cells.anatomy.select(word).parts, chosen), word
    everything = cells.parts_of(np.ones(cells.n_cells, dtype=np.bool_))
    assert parts.equal(everything, cells.anatomy.select("full").parts)


def test_a_row_is_its_whole_layer() -> None:
    cells = grid("gemma3")
    row = np.array([cells.describe(cell)[0].startswith("l1") for cell in range(cells.n_cells)])
    assert parts.equal(cells.parts_of(row), cells.anatomy.select("l1").parts)


def test_a_cell_is_on_with_all_of_its_parts_and_partial_with_some() -> None:
    cells = grid("gpt2")
    on, partial = cells.coverage(cells.anatomy.select("l1h2 | l0h1.q | l2 mlp n3 | embed").parts)
    assert words(cells, on) == ["embed", "l1h2"]
    assert words(cells, partial) == ["l0h1", "l2 mlp"]


def test_a_head_is_partial_while_its_group_is_needed_by_another() -> None:
    cells = grid("llama with grouped-query attention")
    on, partial = cells.coverage(cells.anatomy.select("l1h0").parts)
    assert words(cells, on) == ["l1h0"]
    assert words(cells, partial) == ["l1h1", "l1h2"]


def test_taking_a_second_head_of_a_group_back_changes_nothing() -> None:
    cells = grid("llama with grouped-query attention")
    one, both = of_words(cells, "l1h0"), of_words(cells, "l1h0", "l1h1")
    start = cells.anatomy.select("l1h0").parts
    after = cells.click(start, one, both)
    assert str(hg.Selection(cells.anatomy, after)) == "l1h0-1"
    assert parts.equal(cells.click(after, both, one), start)
    assert cells.click(start, one, of_words(cells)) == {}


def test_finer_choices_survive_clicks_elsewhere() -> None:
    cells = grid("gpt2")
    start = cells.anatomy.select("l0h1.q | l2 mlp n3-4 | l1h0")
    before, _ = cells.coverage(start.parts)
    after = cells.click(start.parts, before, before ^ of_words(cells, "l1h0", "l2h2"))
    assert str(hg.Selection(cells.anatomy, after)) == "l2h2 | l0h1.q | l2 mlp n3-4"


def clicked_cells_come_back(family: str, data: st.DataObject) -> None:
    cells = grid(family)
    some_cells = st.lists(st.booleans(), min_size=cells.n_cells, max_size=cells.n_cells).map(np.array)
    chosen: parts.Parts = {}
    for _ in range(3):
        before, _ = cells.coverage(chosen)
        clicked = data.draw(some_cells) & ~cells.absent
        chosen = cells.click(chosen, before, clicked)
        on, partial = cells.coverage(chosen)
        assert (on == clicked).all()
        assert not (on & partial).any()
    assert parts.equal(chosen, cells.parts_of(clicked)), "whole cells leave nothing behind"


@every_family
@given(data=st.data())
@settings(max_examples=3)
def test_cells_that_the_browser_sends_come_back_as_they_were(family: str, data: st.DataObject) -> None:
    clicked_cells_come_back(family, data)


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny.UNLIKE)
@given(data=st.data())
@settings(max_examples=40)
def test_cells_of_many_clicks_come_back_as_they_were(family: str, data: st.DataObject) -> None:
    clicked_cells_come_back(family, data)


def test_a_cell_that_is_not_there_is_refused() -> None:
    cells = grid("gpt2")
    with pytest.raises(IndexError, match=f"there is no cell {cells.n_cells}; the grid has {cells.n_cells}"):
        cells.describe(cells.n_cells)
