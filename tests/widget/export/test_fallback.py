from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
import tiny

import headgrid as hg
from headgrid.plots.style import LIGHT
from headgrid.widget.export import fallback


def test_a_viewer_without_widgets_gets_the_picture_of_the_grid() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"), select="l1h2 | l0 mlp | l0h1.q")
    html = grid._repr_mimebundle_()[0]["text/html"]
    svg = re.search(r"<svg.*</svg>", html, re.DOTALL)
    assert svg
    ET.fromstring(svg.group())
    assert LIGHT.on in svg.group()
    assert "l0 mlp" in svg.group()
    assert "colors" not in html, "there are none"


def test_names_are_text_and_never_html() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"))
    bands = grid._state.cells.bands
    on, partial = grid._state.cells.coverage({})
    html = fallback.html("<script>x</script>", "<b>", bands, grid._state.cells.absent, on, partial)
    assert "<script" not in html
    assert "<b>" not in html


@pytest.mark.slow
def test_many_cells_in_colors_are_shown_without_and_it_says_so() -> None:
    config = tiny.config("gpt2")
    config.n_layer, config.n_head, config.n_embd = 126, 128, 1024
    grid = hg.HeadGrid(config, select="l3h4")
    grid.color_by(np.random.default_rng(0).random((126, 128)), label="<score>")
    on, partial = grid._state.cells.coverage(grid.selection.parts)
    state = (grid.anatomy.title, "l3h4", grid._state.cells.bands, grid._state.cells.absent, on, partial)
    html = fallback.html(*state, colors=grid.colors)  # type: ignore[arg-type]
    assert len(html) < 30_000
    assert "The colors (&lt;score&gt;) are in the widget." in html


def test_a_grid_that_is_too_large_to_write_says_its_size() -> None:
    config = tiny.config("llama with grouped-query attention")
    config.num_hidden_layers = 60
    grid = hg.HeadGrid(config, select="l59h0")
    assert repr(grid).splitlines()[0].endswith(": l59h0")
    assert "  60 x 9 cells" in repr(grid).splitlines()
