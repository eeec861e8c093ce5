"""What grids of one model have in common."""

from __future__ import annotations

import gc
import weakref

import pytest
import tiny

import headgrid as hg
from headgrid.widget.state.grid_spec import cells_of

LLAMA = "llama with grouped-query attention"


def test_grids_of_equal_models_share_their_cells_and_anatomy() -> None:
    model = tiny.model(LLAMA)
    one, other = hg.HeadGrid(model), hg.HeadGrid(tiny.fresh(LLAMA))
    assert one._state.cells is other._state.cells
    assert one.anatomy is other.anatomy
    assert one.model is model
    assert one._scheduler.cache._versions is not None
    assert one._scheduler.cache._versions.of("").anatomy is one.anatomy


@pytest.mark.slow
def test_models_of_one_shape_that_differ_in_anything_do_not() -> None:
    one, other = cells_of(hg.dissect(tiny.config("gpt2"))), cells_of(hg.dissect(tiny.config(LLAMA)))
    assert one is not other
    other_head = tiny.config("gpt2")
    other_head.n_head = 2
    assert cells_of(hg.dissect(other_head)) is not one


@pytest.mark.slow
def test_what_is_shared_goes_with_the_last_grid_that_has_it() -> None:
    grid = hg.HeadGrid(tiny.config("opt"))
    held = weakref.ref(grid._state.cells)
    grid.close()
    del grid
    gc.collect()
    assert held() is None
