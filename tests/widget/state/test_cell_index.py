"""Which head, MLP or expert each cell shows."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from grids import cache

import headgrid as hg
from headgrid.widget.state.cell_index import CellIndex, Component
from headgrid.widget.state.cells import Cells

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)


@every_family
def test_places_are_the_words_of_their_cells(family: str) -> None:
    cells = Cells(hg.dissect(tiny.model(family)))
    places = CellIndex(cells.bands)
    assert places.n_cells == cells.n_cells
    for cell in range(cells.n_cells):
        place, word = places[cell], cells.describe(cell)[0]
        if place is None:
            assert not np.isin(cell, places.heads)
            continue
        ends = {"head": f"l{place.layer}h{place.number}", "mlp": f"l{place.layer} mlp", "expert": f"l{place.layer}e"}
        assert ends[place.kind] in word
        if place.kind == "head":
            assert places.head(place.stack, place.layer, place.number) == cell
    assert places[-1] is None
    assert places[cells.n_cells] is None


def test_an_experts_place_has_its_number() -> None:
    _, cell, places = cache(tiny.model("mixtral"))
    assert places[cell("l1e3")] == Component("expert", "", 1, 3)
    assert places[cell("l1h3")] == Component("head", "", 1, 3)
