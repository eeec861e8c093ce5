"""The inspector in a real JupyterLab, beside what this process computes from a model of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, expect

import headgrid as hg

from .axe import needs_axe, violations
from .grids import shows
from .jupyterlab import TIMEOUT, Notebook

Open = Callable[[str, list[str]], Notebook]

MODEL, TOKENIZER = hg.demo()
GRID = "import headgrid as hg\n\ngrid = hg.HeadGrid(*hg.demo())\ngrid"

expect.set_options(timeout=TIMEOUT * 1000)


@pytest.fixture(scope="module")
def notebook(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("inspector", [GRID])
    yield notebook
    notebook.close()


@pytest.fixture
def view(notebook: Notebook) -> Locator:
    """A grid in which the two heads of the induction circuit are selected, and the second is looked at."""
    notebook.run("(grid.select('l0h1'), grid.color_by(None))[0]")
    shows(notebook.view(), "l0h1")
    cell(notebook.view(), "l1h2").click()
    tab(notebook.view(), "OV")  # the one before may have looked at the selected heads
    expect(inspector(notebook.view())).to_contain_text("layer 1 head 2")
    return notebook.view()


def cell(view: Locator, word: str) -> Locator:
    return view.locator(f'[role=gridcell][data-word="{word}"]')


def inspector(view: Locator) -> Locator:
    return view.get_by_role("group", name="Inspector")


def tab(view: Locator, name: str) -> Locator:
    found = inspector(view).get_by_role("tab", name=re.compile(f"^{name}"))
    found.click()
    panel = inspector(view).get_by_role("tabpanel")
    expect(panel).to_have_attribute("aria-busy", "false")
    return panel


def test_the_ov_tab_says_what_the_induction_head_copies(view: Locator) -> None:
    expected = hg.summarize(MODEL, "l1h2", TOKENIZER)
    panel = tab(view, "OV")
    expect(panel).to_contain_text(f"{expected.copying_score:.2f}")
    for token in [*expected.ov.read_tokens[1], *expected.ov.write_tokens[1]]:
        expect(panel).to_contain_text(token.strip())
    for source in expected.ov.pairs.sources[:3]:
        expect(panel).to_contain_text(source.strip())


def test_the_qk_tab_says_how_far_back_the_previous_token_head_attends(view: Locator) -> None:
    cell(view, "l0h1").click()
    panel = tab(view, "QK")
    for token in hg.summarize(MODEL, "l0h1", TOKENIZER).qk.write_tokens[0]:
        expect(panel).to_contain_text(token.strip())
    expect(panel).to_contain_text(re.compile("score by distance", re.IGNORECASE))


def test_the_composition_tab_begins_with_the_strongest_partner(view: Locator) -> None:
    panel = tab(view, "Composition")
    rows = panel.get_by_role("row").filter(has_text=re.compile(r"l\d+h\d+"))
    strongest = hg.compose(MODEL).top(1)[0]
    expect(rows.first).to_contain_text(f"l{strongest.source[0]}h{strongest.source[1]}")
    expect(rows.first).to_contain_text(f"{strongest.value:.3f}")
    rows.first.get_by_role("button").click()
    expect(inspector(view)).to_contain_text("layer 0 head 1")


def test_selected_heads_stand_side_by_side_and_are_joined_by_an_arrow(view: Locator) -> None:
    panel = tab(view, "Selected")
    for head in ("l0h1", "l1h2"):
        expect(panel.get_by_text(head, exact=True).first).to_be_visible()
    expect(view.get_by_text("1 of 1", exact=True)).to_be_visible()


def test_raw_and_folded_weights_have_other_numbers(view: Locator) -> None:
    for switch, ln in ((re.compile("raw"), "raw"), (re.compile("folded"), "folded")):
        inspector(view).get_by_role("radio", name=switch).check()
        norm = hg.summarize(MODEL, "l1h2", ln=ln).ov.norm
        expect(tab(view, "OV")).to_contain_text(f"{norm:.3g}")


def test_the_menu_colors_every_head_by_a_metric(view: Locator, notebook: Notebook) -> None:
    view.get_by_label(re.compile("color by", re.IGNORECASE)).select_option(label="copying score")
    scores = hg.scan(MODEL).copying_score
    for word, at in (("l1h2", (1, 2)), ("l0h3", (0, 3))):
        expect(cell(view, word)).to_have_attribute("aria-label", re.compile(f"copying score {float(scores[at]):.2f}"))
    notebook.run("grid.color_by([[1, 2, 3, 4], [5, 6, 7, float('nan')]], label='mine')")
    expect(cell(view, "l1h0")).to_have_attribute("aria-label", re.compile("mine 5"))
    expect(cell(view, "l1h3")).to_have_attribute("aria-label", re.compile("mine: no value"))


def test_an_mlp_has_its_matrices_and_a_norm_has_only_weights(view: Locator) -> None:
    cell(view, "l0 mlp").click()
    expect(tab(view, "MLP")).to_contain_text("W_out")
    cell(view, "l0 ln1").click()
    expect(inspector(view)).to_contain_text("norm before attention")
    expect(inspector(view).get_by_role("tab", name="OV")).to_have_count(0)
    cell(view, "l0 mlp").click()
    cell(view, "l0 ln1").click()


@needs_axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_no_tab_has_a_violation_of_the_rules_of_accessibility(notebook: Notebook, view: Locator, dark: bool) -> None:
    notebook.set_theme(dark)
    expect(view).to_have_attribute("data-theme", "dark" if dark else "light")
    for name in ("OV", "QK", "Composition", "Weights", "Selected"):
        tab(view, name)
        found = violations(notebook.page, ".jp-Notebook .hg-inspector")
        assert not found, f"{name}: " + "\n".join(found)
        notebook.screenshot(f"inspector-{name}-{'dark' if dark else 'light'}".lower())
    notebook.set_theme(False)


def test_the_selected_heads_are_a_table_that_is_sorted_by_a_click(notebook: Notebook, view: Locator) -> None:
    notebook.run("(grid.select('l0h0-2 | l1h0-2'), grid.color_by(None))[0]")
    heads = tab(view, "Selected").get_by_role("table", name="Selected heads")
    expect(heads.locator("tbody .hg-link")).to_have_text(["l0h0", "l0h1", "l0h2", "l1h0", "l1h1", "l1h2"])
    heads.get_by_role("button", name="copying score").click()
    scores = hg.scan(MODEL).copying_score
    order = sorted(((float(scores[n, h]), f"l{n}h{h}") for n in (0, 1) for h in range(3)), reverse=True)
    expect(heads.locator("tbody .hg-link")).to_have_text([word for _, word in order])
    shown = [float(text.replace("−", "-")) for text in heads.locator("tbody tr > td:nth-child(2)").all_inner_texts()]
    assert shown == pytest.approx([score for score, _ in order], rel=0.01)
    heads.get_by_role("button", name="l1h1").click()
    expect(inspector(view)).to_contain_text("6 heads")  # to look at a head selects nothing
    notebook.screenshot("inspector-table")


def test_code_for_a_library_is_copied_as_python_writes_it(notebook: Notebook, view: Locator) -> None:
    notebook.page.evaluate("navigator.clipboard.writeText = async text => { window.copiedText = text; }")
    view.get_by_role("button", name="Copy", exact=True).first.click()
    view.get_by_role("menuitem", name="Code for TransformerLens").click()
    expect(view.locator(".hg-copier > button")).to_have_text("Copied")
    copied = notebook.page.evaluate("window.copiedText")
    assert copied == hg.dissect(MODEL).select("l0h1 | l1h2").code("transformer_lens")
    notebook.page.evaluate("delete navigator.clipboard.writeText")


def test_six_heads_are_all_in_sight_in_a_narrow_panel(notebook: Notebook, view: Locator) -> None:
    notebook.run("(grid.select('l0h0-2 | l1h0-2'), grid.color_by(None))[0]")
    size = notebook.page.viewport_size
    assert size
    notebook.page.set_viewport_size({"width": 620, "height": size["height"]})
    panel = tab(view, "Selected")
    expect(panel.locator("table")).not_to_have_count(1)
    columns = panel.locator(".hg-side-by-side thead button")
    expect(columns).to_have_text(["l0h0", "l0h1", "l0h2", "l1h0", "l1h1", "l1h2"])
    assert panel.evaluate("body => body.scrollWidth <= body.clientWidth")
    notebook.page.set_viewport_size(size)


SPOILT = """
import torch

model, tokenizer = hg.demo()
with torch.no_grad():
    model.get_parameter("transformer.h.1.attn.c_attn.weight")[0, 5] = torch.nan
other = hg.HeadGrid(model, tokenizer)
other.select("l0h0 | l1")
other
"""


def test_why_heads_cannot_be_compared_stays_in_their_columns(notebook: Notebook) -> None:
    notebook.in_lab(f"panel.model.sharedModel.addCell({{ cell_type: 'code', source: {json.dumps(SPOILT)} }})")
    notebook.run_all()
    view = notebook.view(1)
    cell(view, "l1 ln2").click()
    expect(inspector(view)).to_contain_text("ln2.w")  # its tabs are all there
    columns = tab(view, "Selected").locator("td").filter(has_text="transformer.h.1.attn.c_attn.weight")
    expect(columns.first).to_be_visible()
    assert columns.evaluate_all("all => all.every(one => one.scrollWidth <= one.clientWidth)")
    notebook.in_lab("panel.model.sharedModel.deleteCell(1)")
