"""The widget in JupyterLab at two sizes and in both themes, photographed for people to look at (`artifacts`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from .grids import LLAMA_405B, Open, cell
from .jupyterlab import Notebook

TWELVE = """
import headgrid as hg
import torch
import transformers

torch.manual_seed(0)
config = transformers.GPT2Config(
    n_layer=12, n_head=12, n_embd=120, vocab_size=310, n_positions=64, bos_token_id=1, eos_token_id=2
)
grid = hg.HeadGrid(transformers.GPT2LMHeadModel(config))
grid.saved["early"] = "l0-3h0-5"
grid.saved["late"] = "l8-11h*"
grid.color_by("ov_norm")
"""
BIG = LLAMA_405B + "grid = hg.HeadGrid(config)\n"
SOME = "grid.select('l2h3 | l5h1 | l7h* | l9h4.q | l3 mlp')\ngrid"


@pytest.fixture(scope="module", params=[TWELVE, BIG], ids=["12x12", "126x128"])
def notebook(request: pytest.FixtureRequest, open_notebook: Open) -> Iterator[tuple[str, Notebook]]:
    name = "12x12" if request.param == TWELVE else "126x128"
    notebook = open_notebook(f"looks-{name}", [request.param + SOME])
    cell(notebook.view(), "l2h5").click()
    expect(notebook.view().get_by_role("group", name="Inspector")).to_contain_text("layer 2 head 5")
    yield name, notebook
    notebook.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_grid_is_drawn_in_both_themes(notebook: tuple[str, Notebook], theme: str) -> None:
    name, page = notebook
    page.set_theme(dark=theme == "dark")
    expect(page.view()).to_have_attribute("data-theme", theme)
    page.view().scroll_into_view_if_needed()
    page.page.wait_for_timeout(300)  # a frame or two
    colors = page.view().evaluate(
        """root => {
            const canvas = root.querySelector("canvas");
            const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            return new Set(new Uint32Array(data.buffer)).size;
        }"""
    )
    assert colors > 8
    page.screenshot(f"grid-{name}-{theme}")
