from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import tiny

import headgrid as hg
from headgrid.widget import fallback


def test_the_picture_has_one_rectangle_per_cell_in_the_colour_of_its_state() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"), select="l1h2 | l0 mlp | l0h1.q")
    html = grid._repr_mimebundle_()[0]["text/html"]
    svg = ET.fromstring(re.search(r"<svg.*</svg>", html).group())  # type: ignore[union-attr]
    drawn = {path.attrib["fill"]: path.attrib["d"].count("M") for path in svg.iter("{http://www.w3.org/2000/svg}path")}
    assert drawn == {"#8883": grid._cells.n_cells - 3, "#7aa6d8": 1, "#1f6fbf": 2}


def test_names_are_text_and_never_html() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"))
    bands = grid._cells.bands
    on, partial = grid._cells.look({})
    html = fallback.html("<script>x</script>", "<b>", bands, grid._cells.absent, on, partial)
    assert "<script" not in html
    assert "<b>" not in html


def test_a_grid_that_is_too_large_to_write_says_its_size() -> None:
    config = tiny.config("llama with grouped-query attention")
    config.num_hidden_layers = 60
    grid = hg.HeadGrid(config, select="l59h0")
    assert repr(grid).splitlines()[0].endswith(": l59h0")
    assert "  60 x 9 cells" in repr(grid).splitlines()
