"""Pages that a browser opens from disk: `to_html`, and notebooks through nbconvert. There is no kernel, no network."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import matplotlib.image
import nbformat
import numpy as np
import pytest
import torch
import transformers
from playwright.sync_api import BrowserContext, Locator, Page, expect

import headgrid as hg
from headgrid.widget.export import widget_state
from headgrid.widget.export.nbconvert import HeadGridExporter

from .axe import needs_axe, violations
from .serving import ARTIFACTS

SELECTED = "l1h2 | l0h1 | l0 mlp | l1h0.q"
NOTICE = "No kernel: cells can be selected, and what was computed before is shown"

Opened = Callable[..., Page]


@pytest.fixture(scope="module")
def grid() -> hg.HeadGrid:
    made = hg.HeadGrid(*hg.demo(), select=SELECTED)
    made.color_by("copying_score")
    return made


@pytest.fixture(scope="module")
def file(grid: hg.HeadGrid, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("offline") / "grid.html"
    grid.to_html(path)
    return path


@pytest.fixture
def opened(context: BrowserContext) -> Iterator[Opened]:
    """Opens a file. What the page asks for beside itself is refused and fails the test, as do its errors."""
    pages, faults = list[Page](), list[str]()

    def open_file(path: Path, dark: bool = False, width: int = 1280) -> Page:
        page = context.new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if dark else "light")
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(path.as_uri())
        return page

    yield open_file
    for page in pages:
        page.close()
    assert faults == []


def view(page: Page, number: int = 0) -> Locator:
    return page.locator(".headgrid").nth(number)


def query(page: Page) -> Locator:
    return view(page).get_by_role("combobox", name="Selection as text")


def cell(page: Page, word: str, number: int = 0) -> Locator:
    return view(page, number).locator(f'[role=gridcell][data-word="{word}"]')


def states(page: Page, number: int = 0) -> set[str]:
    """The words of the cells that the accessible layer calls selected."""
    view(page, number).locator("[role=gridcell]").first.wait_for()
    found = view(page, number).locator("[role=gridcell][aria-selected=true]")
    return {str(one.get_attribute("data-word")) for one in found.all()}


def painted(page: Page, number: int = 0) -> set[tuple[int, ...]]:
    """The colors on the canvas."""
    script = """canvas => { const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d",
      { willReadFrequently: true });
      context.drawImage(canvas, 0, 0);
      const {data} = context.getImageData(0, 0, canvas.width, canvas.height);
      const found = new Set(); for (let i = 0; i < data.length; i += 4) found.add(data.slice(i, i + 3).join());
      return [...found]; }"""
    return {tuple(map(int, one.split(","))) for one in view(page, number).locator("canvas").first.evaluate(script)}


def screenshot(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def test_a_page_draws_the_grid_and_says_that_there_is_no_kernel(opened: Opened, file: Path) -> None:
    page = opened(file)
    expect(view(page).get_by_text(NOTICE)).to_be_visible()
    expect(query(page)).to_have_value("l0h1 | l1h2 | l1h0.q | l0 mlp")
    expect(page.locator("[data-headgrid] > figure")).to_be_hidden()
    expect(view(page).locator(".hg-legend")).to_contain_text("copying score")
    assert (143, 58, 5) in painted(page)  # the copying score of the induction head, which is 1
    screenshot(page, "offline-light")


def test_a_click_on_a_kept_cell_shows_what_was_read_of_it(opened: Opened, file: Path) -> None:
    page = opened(file)
    inspector = view(page).get_by_role("group", name="Inspector")
    cell(page, "l1h2").click()
    expect(inspector).to_contain_text("layer 1 head 2")
    expect(inspector.get_by_role("tab", name="OV")).to_be_visible()
    expect(inspector).to_contain_text("copying score")
    cell(page, "l0 mlp").click()
    expect(inspector).to_contain_text("layer 0 MLP")
    expect(inspector).not_to_contain_text("layer 1 head 2")
    cell(page, "l0h3").click()
    expect(inspector).to_contain_text("The weights of this cell were not read, and there is no kernel that could.")
    screenshot(page, "offline-inspector")


def test_cells_are_selected_without_a_kernel_and_python_reads_the_words(
    opened: Opened, file: Path, grid: hg.HeadGrid
) -> None:
    page = opened(file)
    assert states(page) == {"l1h2", "l0h1", "l0 mlp"}
    cell(page, "l0h0").click()
    expect(query(page)).to_have_value("l0h0 | l0h1 | l0 mlp | l1h2 | l1h0.q")
    assert states(page) == {"l1h2", "l0h0", "l0h1", "l0 mlp"}
    said = grid.anatomy.select(query(page).input_value())
    assert said == grid.anatomy.select(f"{SELECTED} | l0h0")
    expect(view(page)).to_contain_text("3 heads, 1 MLP, parts of 1 head")
    view(page).get_by_role("button", name="Undo").click()
    expect(query(page)).to_have_value("l0h1 | l1h2 | l1h0.q | l0 mlp")
    view(page).get_by_role("button", name="Redo").click()
    view(page).get_by_role("button", name="Clear").click()
    assert states(page) == set()
    expect(query(page)).to_have_value("")


def test_a_page_reads_words_and_says_of_others_that_python_is_needed(opened: Opened, file: Path) -> None:
    page = opened(file)
    query(page).fill("l0h* - l0h1 | l1h2")
    query(page).press("Enter")
    expect(query(page)).to_have_value("l0h0 | l0h2 | l0h3 | l1h2")
    assert states(page) == {"l0h0", "l0h2", "l0h3", "l1h2"}
    query(page).fill("~l0")
    query(page).press("Enter")
    expect(view(page).get_by_role("alert").filter(has_text="this page has no Python")).to_be_visible()
    assert states(page) == {"l0h0", "l0h2", "l0h3", "l1h2"}


def test_a_page_with_a_task_is_an_exercise(opened: Opened, tmp_path: Path) -> None:
    texts = ["when mary and john went to the store , john gave a drink to"]
    model, tokenizer = hg.demo()
    made = hg.HeadGrid(model, tokenizer, task=hg.Task(tokenizer, texts, answers=[" mary"], wrong=[" john"]))
    made.select("l1h2")
    made.saved["circuit"] = "l0h1 | l1h2"
    path = tmp_path / "task.html"
    made.to_html(path)
    page = opened(path)
    cell(page, "l0h1").click()
    inspector = view(page).get_by_role("group", name="Inspector")
    inspector.get_by_role("tab", name="Live").click()
    pattern = inspector.get_by_role("group", name="Attention pattern")
    expect(pattern).to_contain_text("previous token")
    expect(pattern.locator(".hg-heads button")).to_have_count(3)  # both heads, and their average
    pattern.get_by_role("radio", name="arcs").check(force=True)
    expect(pattern.locator(".hg-arc-queries span").last).to_contain_text("to")
    screenshot(page, "offline-arcs")
    view(page).get_by_role("combobox", name="Cells show").select_option(label="attention patterns")
    view(page).get_by_role("combobox", name="Color by").select_option(label="OV norm")
    expect(view(page).locator(".hg-legend")).to_contain_text("OV norm")
    inspector.get_by_role("tab", name=re.compile("^Selected")).click()
    heads = inspector.get_by_role("table", name="Selected heads")
    expect(heads.locator("tbody .hg-link")).to_have_text(["l0h1", "l1h2"])
    heads.get_by_role("button", name="copying score").click()
    expect(heads.locator("tbody .hg-link")).to_have_text(["l1h2", "l0h1"])
    heads.get_by_role("button", name="l1h2").click()
    assert states(page) == {"l0h1", "l1h2"}  # to look selects nothing
    screenshot(page, "offline-exercise")
    view(page).get_by_role("button", name="Clear").click()
    view(page).get_by_role("button", name="circuit", exact=True).click()
    assert states(page) == {"l0h1", "l1h2"}
    screenshot(page, "offline-saved")


def test_a_page_asks_for_nothing_but_itself(context: BrowserContext, file: Path) -> None:
    asked: list[str] = []
    page = context.new_page()
    try:
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        cell(page, "l1h2").click()
        expect(view(page).get_by_role("tab", name="OV")).to_be_visible()
    finally:
        page.close()
    assert [url for url in asked if not url.startswith(("blob:", "data:"))] == [file.as_uri()]


def test_the_page_s_policy_stops_a_script_that_would_ask_elsewhere(
    context: BrowserContext, file: Path, other_hosts: list[str]
) -> None:
    page = context.new_page()
    page.goto(file.as_uri())
    stopped = page.evaluate(
        """() => new Promise(done => { document.addEventListener("securitypolicyviolation", e => done(e.blockedURI));
        new Image().src = "https://example.org/spy.png"; })"""
    )
    page.close()
    assert stopped.startswith("https://example.org")
    assert other_hosts == ["https://example.org/spy.png"]  # Chromium tells of it, though it was stopped
    other_hosts.clear()


@needs_axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_a_page_has_no_accessibility_violations_and_follows_the_theme(opened: Opened, file: Path, dark: bool) -> None:
    page = opened(file, dark=dark)
    expect(view(page)).to_have_attribute("data-theme", "dark" if dark else "light")
    cell(page, "l1h2").click()
    expect(view(page).get_by_role("tab", name="OV")).to_be_visible()
    assert violations(page) == []
    if dark:
        screenshot(page, "offline-dark")


def test_a_narrow_page_does_not_scroll_sideways(opened: Opened, file: Path) -> None:
    page = opened(file, width=390)
    cell(page, "l1h2").click()
    expect(view(page).get_by_role("tab", name="OV")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    screenshot(page, "offline-narrow")


def test_without_scripts_the_page_is_a_picture(context: BrowserContext, file: Path) -> None:
    assert context.browser
    silent = context.browser.new_context(java_script_enabled=False)
    try:
        page = silent.new_page()
        page.goto(file.as_uri())
        expect(page.get_by_role("img", name="HeadGrid: GPT2LMHeadModel")).to_be_visible()
        expect(page.get_by_role("heading", name="GPT2LMHeadModel")).to_be_visible()
        screenshot(page, "offline-no-scripts")
    finally:
        silent.close()


def test_on_paper_the_page_is_the_picture(opened: Opened, file: Path) -> None:
    page = opened(file, dark=True)
    view(page).locator("[role=grid]").wait_for()
    page.emulate_media(media="print")
    expect(page.get_by_role("img", name="HeadGrid: GPT2LMHeadModel")).to_be_visible()
    expect(view(page)).to_be_hidden()


def test_a_model_without_numbers_offers_nothing_that_would_have_to_be_read(opened: Opened, tmp_path: Path) -> None:
    config = hg.demo()[0].config
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(config)
    path = tmp_path / "meta.html"
    hg.HeadGrid(model, select="l1h2 | l0h1").to_html(path)
    page = opened(path)
    cell(page, "l1h2").click()
    inspector = view(page).get_by_role("group", name="Inspector")
    expect(inspector).to_contain_text("transformer.h.1.attn.c_attn.weight")
    assert inspector.get_by_role("tab").all_inner_texts() == ["Weights"]
    assert inspector.get_by_role("radio").count() == 0  # neither norms to fold nor sides of directions
    assert view(page).get_by_role("combobox", name="Color by").count() == 0


# ---- pictures that the browser makes


def download(page: Page, kind: str) -> tuple[str, bytes]:
    view(page).get_by_role("button", name="Save a picture").click()
    with page.expect_download() as found:
        view(page).get_by_role("menuitem", name=re.compile(kind)).click()
    return found.value.suggested_filename, Path(found.value.path()).read_bytes()


def test_a_page_saves_pictures_that_agree_with_each_other(opened: Opened, file: Path, context: BrowserContext) -> None:
    page = opened(file)
    cell(page, "l1h2").click()
    expect(view(page).get_by_role("tab", name="OV")).to_be_visible()
    name, svg = download(page, "SVG")
    assert name == "headgrid-GPT2LMHeadModel-gpt2-2-layers-x-4-heads.svg"
    root = ET.fromstring(svg)
    texts = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {
        "l0h1 | l1h2 | l1h0.q | l0 mlp",
        "copying score (norms folded)",
        "−1.00",
        "1.00",
        "selected",
        "no value",
    } <= {*texts}
    name, png = download(page, "PNG")
    assert name.endswith(".png")
    ARTIFACTS.mkdir(exist_ok=True)
    (ARTIFACTS / "offline-picture.svg").write_bytes(svg)
    (ARTIFACTS / "offline-picture.png").write_bytes(png)
    pixels = matplotlib.image.imread(io.BytesIO(png))[..., :3]
    assert pixels.shape[:2] == tuple(round(2 * float(root.attrib[side])) for side in ("height", "width"))
    drawn = raster(context, svg.decode())[..., :3]
    assert drawn.shape == pixels.shape
    off = np.abs(drawn - pixels).mean(axis=2)
    assert off.mean() < 0.01  # letters and edges are smoothed a little otherwise
    assert (off > 0.25).mean() < 0.02


def raster(context: BrowserContext, svg: str) -> Any:
    """An SVG as Chromium draws it, two pixels for each of CSS."""
    assert context.browser
    sharp = context.browser.new_context(device_scale_factor=2)
    try:
        page = sharp.new_page()
        page.set_content(f'<body style="margin:0">{svg}</body>')
        return matplotlib.image.imread(io.BytesIO(page.locator("svg").screenshot()))
    finally:
        sharp.close()


def test_python_s_pictures_agree_with_each_other(grid: hg.HeadGrid, context: BrowserContext) -> None:
    svg, png = grid.to_svg(), grid.to_png()
    assert svg is not None
    assert png is not None
    pixels, drawn = matplotlib.image.imread(io.BytesIO(png))[..., :3], raster(context, svg)[..., :3]
    assert drawn.shape == pixels.shape
    off = np.abs(drawn - pixels).mean(axis=2)
    assert off.mean() < 0.02  # the letters are of another font
    assert (off > 0.25).mean() < 0.04


# ---- notebooks


def test_a_notebook_s_grids_work_offline(grid: hg.HeadGrid, opened: Opened, tmp_path: Path) -> None:
    cells = [nbformat.v4.new_markdown_cell("# A lesson")]
    slider = {widget_state.VIEW_TYPE: {"model_id": "other"}, "text/plain": "IntSlider(value=3)"}
    ours = {widget_state.VIEW_TYPE: {"model_id": "one"}, "text/html": "<b>picture</b>"}
    for data in (ours, slider, ours):
        output = nbformat.v4.new_output("display_data", data)
        cells.append(nbformat.v4.new_code_cell("grid", outputs=[output]))
    nb = nbformat.v4.new_notebook(cells=cells)
    state = {key: value for key, value in grid.get_state().items() if key != "layout"}
    nb.metadata.widgets = {
        widget_state.STATE_TYPE: {"state": {"one": widget_state.model(state), "other": {"state": {"value": 3}}}}
    }
    html, _ = HeadGridExporter().from_notebook_node(nb)
    path = tmp_path / "lesson.html"
    path.write_text(html, encoding="utf-8")
    page = opened(path)
    for number in range(2):
        expect(view(page, number).get_by_text(NOTICE)).to_be_visible()
        assert (143, 58, 5) in painted(page, number)
    expect(page.locator(".headgrid")).to_have_count(2)
    expect(page.get_by_text("IntSlider(value=3)")).to_be_visible()
    expect(page.get_by_text("picture", exact=True).first).to_be_hidden()
    screenshot(page, "offline-notebook")


def test_a_large_grid_opens_whole_and_scrolls_without_a_kernel(opened: Opened, tmp_path: Path) -> None:
    config = hg.demo()[0].config
    config.n_layer, config.n_head, config.n_embd = 126, 128, 1024
    path = tmp_path / "large.html"
    hg.HeadGrid(config, select="l100h3 | l40-60h*").to_html(path)
    page = opened(path)
    expect(view(page).get_by_text(NOTICE)).to_be_visible()
    port = view(page).locator(".hg-viewport")
    assert port.evaluate("node => node.scrollHeight <= node.clientHeight")  # it opens whole
    view(page).get_by_role("button", name="Fit the grid").click()
    port.evaluate("node => node.scrollTo(0, 1e6)")
    assert port.evaluate("node => node.scrollTop") > 0
    assert path.stat().st_size < 400_000
