"""The surface in a real JupyterLab: what has its place from the first paint, what covers no cell, and the legend."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

import headgrid as hg

from .grids import LLAMA_405B, Open, box_of, cell, shows
from .jupyterlab import Notebook

GRID = "import headgrid as hg\n\ngrid = hg.HeadGrid(*hg.demo())\ngrid"
LARGE = LLAMA_405B + "grid = hg.HeadGrid(config)\ngrid"
CHROME = 110  # pixels above the first head, beside the band of the embeddings
SHIFT = 0.02
OBSERVE = """() => {
    window.shifted = 0;
    new PerformanceObserver(list => {
        for (const entry of list.getEntries())
            if (entry.sources.some(({ node }) => node?.parentElement?.closest(".headgrid")))
                window.shifted += entry.value;
    }).observe({ type: "layout-shift" });
}"""


@pytest.fixture(scope="module")
def opened(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("surface", [GRID])
    yield notebook
    notebook.close()


@pytest.fixture
def notebook(opened: Notebook) -> Notebook:
    opened.run("(grid.color_by(None), grid.select('none'))[0]")
    shows(opened.view())
    return opened


def middle(view: Locator, word: str) -> tuple[float, float]:
    box = cell(view, word).bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def overlaps(view: Locator, selector: str) -> list[str]:
    """The words of the cells that an element covers any of."""
    return list(
        view.evaluate(
            """(root, selector) => {
                const over = root.querySelector(selector).getBoundingClientRect();
                return [...root.querySelectorAll("[role=gridcell]")].filter(node => {
                    const box = node.getBoundingClientRect();
                    const [across, down] = [box.left < over.right && over.left < box.right, box.top < over.bottom];
                    return across && down && over.top < box.bottom;
                }).map(node => node.dataset.word);
            }""",
            selector,
        )
    )


def test_the_first_head_is_near_the_top_of_the_widget(notebook: Notebook) -> None:
    size = notebook.page.viewport_size
    assert size
    notebook.page.set_viewport_size({"width": 1550, "height": size["height"]})
    view = notebook.view()
    expect(view).to_have_class(re.compile("hg-roomy"))
    notebook.page.wait_for_timeout(300)
    root, head = view.bounding_box(), cell(view, "l0h0").bounding_box()
    embed = cell(view, "embed").bounding_box()
    notebook.page.set_viewport_size(size)
    assert root
    assert head
    assert embed
    assert 1000 <= root["width"] <= 1200
    assert head["y"] - root["y"] - embed["height"] - 10 <= CHROME


@pytest.mark.parametrize("width", [1100, 600])
def test_the_first_click_arrows_and_colors_move_nothing(notebook: Notebook, width: int) -> None:
    size = notebook.page.viewport_size
    assert size
    notebook.page.set_viewport_size({"width": width, "height": size["height"]})
    view = notebook.view()
    view.scroll_into_view_if_needed()
    notebook.page.wait_for_timeout(300)
    notebook.page.evaluate(OBSERVE)
    before = view.bounding_box()
    cell(view, "l0h1").click()
    cell(view, "l1h2").click()
    expect(view.locator(".hg-arrows")).to_contain_text("1 of 1")
    view.get_by_label(re.compile("color by", re.IGNORECASE)).select_option(label="copying score")
    expect(cell(view, "l1h2")).to_have_attribute("aria-label", re.compile("copying score"))
    notebook.page.wait_for_timeout(300)
    assert view.bounding_box() == before
    shifted = notebook.page.evaluate("window.shifted")
    print(f"layout shift at {width} px: {shifted:.4f}")
    assert shifted <= SHIFT
    notebook.page.set_viewport_size(size)


def test_an_error_and_the_help_cover_no_cell(notebook: Notebook) -> None:
    view = notebook.view()
    box = box_of(view)
    box.fill("l0h1 | nonsense")
    box.press("Enter")
    expect(view.locator(".hg-query .hg-error:not(.hg-copy-error)")).to_be_visible()
    assert overlaps(view, ".hg-query .hg-error:not(.hg-copy-error)") == []
    box.press("Escape")
    view.get_by_role("grid").press("?")
    expect(view.get_by_role("dialog")).to_be_visible()
    assert overlaps(view, "[role=dialog]") == []
    notebook.page.keyboard.press("Escape")


def test_the_card_of_a_hover_covers_no_neighbor(notebook: Notebook) -> None:
    view = notebook.view()
    notebook.run("grid.color_by('copying_score')")
    expect(cell(view, "l0h1")).to_have_attribute("aria-label", re.compile("copying score"))
    for word, neighbors in (("l0h1", {"l0h0", "l0h1", "l0h2", "l1h0", "l1h1", "l1h2"}), ("l1h3", {"l1h2", "l0h3"})):
        notebook.page.mouse.move(*middle(view, word))
        expect(view.locator(".hg-tooltip")).to_contain_text(word)
        expect(view.locator(".hg-tooltip")).to_contain_text(re.compile(r"(st|nd|rd|th) of 8"))
        assert not neighbors & {*overlaps(view, ".hg-tooltip")}
    notebook.page.mouse.move(0, 0)


def test_the_largest_heads_are_selected_from_the_legend_in_one_step_and_looked_at_without(notebook: Notebook) -> None:
    view = notebook.view()
    notebook.run("grid.color_by('copying_score')")
    legend = view.get_by_role("group", name="Colors")
    top = legend.get_by_label("How many of the largest")
    top.fill("3")
    legend.get_by_role("button", name="Select", exact=True).click()
    scores = abs(hg.scan(hg.demo()[0]).copying_score).flatten()
    three = " | ".join(f"l{n // 4}h{n % 4}" for n in sorted(scores.argsort(descending=True)[:3].tolist()))
    notebook.wait_until(f"grid.selection == grid.anatomy.select({three!r})")
    legend.get_by_role("group", name=re.compile("largest")).get_by_role("button").nth(3).click()
    fourth = scores.argsort(descending=True)[3].item()
    inspector = view.get_by_role("group", name="Inspector")
    expect(inspector).to_contain_text(f"layer {fourth // 4} head {fourth % 4}")
    notebook.wait_until(f"grid.selection == grid.anatomy.select({three!r})")
    view.get_by_role("button", name="Undo").click()
    notebook.wait_until("grid.selection == grid.anatomy.select('none')")


def test_a_model_of_16_128_heads_opens_whole(open_notebook: Open) -> None:
    notebook = open_notebook("surface-large", [LARGE])
    size = notebook.page.viewport_size
    assert size
    notebook.page.set_viewport_size({"width": 1100, "height": 800})
    view = notebook.view()
    port = view.locator(".hg-viewport")
    assert port.evaluate("node => node.scrollWidth <= node.clientWidth && node.scrollHeight <= node.clientHeight")
    box = port.bounding_box()
    assert box
    assert box["height"] <= 600
    notebook.page.mouse.move(*middle(view, "l5h9"))
    expect(view.locator(".hg-tooltip .hg-lens")).to_be_visible()
    notebook.screenshot("surface-large")
    notebook.page.mouse.move(0, 0)
    view.get_by_role("button", name="Fit the grid").click()  # the second step: cells of a readable size
    assert port.evaluate("node => node.scrollHeight > node.clientHeight")
    notebook.page.set_viewport_size(size)
    notebook.close()
