"""What heads do on a text, in a real JupyterLab: typed, looked at, switched off; beside what this process computes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect

import headgrid as hg

from .axe import needs_axe, violations
from .grids import Open, cell, walk_to
from .jupyterlab import Notebook

TEXT = "when mary and john went to the store , john gave a drink to"
TOKENS = ["<bos>", *(f"·{word}" for word in TEXT.split())]
AT = {word: k for k, word in enumerate(TOKENS)}  # the last place of each
GRID = "import headgrid as hg\n\ngrid = hg.HeadGrid(*hg.demo())\ngrid"

MODEL, TOKENIZER = hg.demo()


@pytest.fixture(scope="module")
def notebook(open_notebook: Open) -> Iterator[Notebook]:
    notebook = open_notebook("live", [GRID])
    yield notebook
    notebook.close()


@pytest.fixture
def view(notebook: Notebook) -> Locator:
    """A grid in which nothing is selected, with the text typed and the tab open at the previous-token head."""
    notebook.run("(grid.select('none'), grid.color_by(None))[0]")
    view = notebook.view()
    type_text(view, TEXT)
    cell(view, "l0h1").click()
    expect(pattern(view)).to_contain_text("previous token")
    return view


def prompt(view: Locator) -> Locator:
    return view.get_by_role("textbox", name=re.compile("^Prompt"))


def type_text(view: Locator, text: str) -> None:
    prompt(view).fill(text)
    prompt(view).press("Enter")


def pattern(view: Locator) -> Locator:
    return view.get_by_role("group", name="Attention pattern")


def query(view: Locator, number: int) -> Locator:
    return pattern(view).get_by_role("option").nth(number)


def keys(view: Locator) -> list[str]:
    """The keys that are listed, with their numbers."""
    return [row.replace("\xa0", " ") for row in pattern(view).get_by_role("listitem").all_inner_texts()]


def attention(head: str, number: int) -> list[float]:
    """What a query attends to, as `hg.attention` has it."""
    task = hg.Task(TOKENIZER, [TEXT])
    return [float(value) for value in hg.attention(MODEL, task, head).pattern[head][0, number, : number + 1]]


def test_a_typed_text_shows_what_comes_next_and_what_the_previous_token_head_looks_at(view: Locator) -> None:
    expect(view.get_by_role("group", name="Next tokens")).to_contain_text("mary")
    query(view, AT["·went"]).click()
    expect(pattern(view).locator("h4")).to_contain_text("at ·went it looks at")
    expected = attention("l0h1", AT["·went"])
    assert expected.index(max(expected)) == AT["·went"] - 1
    assert keys(view)[0].split() == [TOKENS[AT["·went"] - 1], *f"{max(expected):.0%}".replace("%", " %").split()]
    query(view, AT["·went"]).click()


def test_the_induction_head_looks_at_the_names_and_every_number_is_that_of_attention(view: Locator) -> None:
    cell(view, "l1h2").click()
    expect(view.get_by_role("group", name="Inspector")).to_contain_text("layer 1 head 2")
    expect(view.locator(".hg-live-tab")).not_to_have_class(re.compile("hg-stale"))
    expect(pattern(view)).to_contain_text(re.compile("induction 0\\.\\d\\d \\(shuffled"))
    query(view, len(TOKENS) - 1).hover()
    pattern(view).get_by_role("button", name=re.compile("^all")).click()
    expected = sorted(attention("l1h2", len(TOKENS) - 1), reverse=True)
    shown = [int(re.findall(r"(\d+) %", row)[0]) for row in keys(view)]
    assert len(shown) == len(TOKENS)
    assert all(abs(a - 100 * b) <= 1 for a, b in zip(shown, expected, strict=True))
    pattern(view).get_by_role("button", name=re.compile("^only")).click()


def test_heads_that_are_selected_stand_beside_it_and_one_is_made_big(view: Locator) -> None:
    cell(view, "l1h2").click()
    heads = pattern(view).get_by_role("group", name="Which pattern is big")
    expect(heads.get_by_role("button")).to_have_text(["l1h2", "l0h1", "average"])
    heads.get_by_role("button", name="average").click()
    expect(pattern(view).locator("h4")).to_contain_text("on average")
    assert pattern(view).locator(".hg-map canvas").evaluate("canvas => canvas.width") == len(TOKENS)


def test_the_effect_of_the_selection_is_shown_with_the_next_tokens_without_it(view: Locator) -> None:
    effect = view.get_by_role("group", name="Effect of the selection")
    expect(effect).to_contain_text("l0h1")
    expect(effect.get_by_role("row").filter(has_text="zero")).to_contain_text(re.compile("−?\\d"))
    expect(effect.get_by_role("row").filter(has_text="without")).to_contain_text("%")


def test_a_text_that_is_none_says_so_over_no_cell_and_keeps_the_last_answer(view: Locator) -> None:
    box = cell(view, "embed").bounding_box()
    type_text(view, " ")
    alert = view.get_by_role("group", name="Text").get_by_role("alert")
    expect(alert).to_be_visible()
    said = alert.bounding_box()
    assert box
    assert said
    assert said["y"] + said["height"] <= box["y"]
    assert cell(view, "embed").bounding_box() == box
    expect(pattern(view)).to_be_visible()
    prompt(view).press("Escape")
    expect(alert).to_be_hidden()
    expect(prompt(view)).to_have_value(TEXT)


def test_the_keyboard_alone_types_a_text_looks_at_a_head_and_reads_its_numbers(notebook: Notebook) -> None:
    notebook.run("(grid.select('none'), setattr(grid, 'task', None))[0]")
    view = notebook.view()
    press = notebook.page.keyboard.press
    expect(prompt(view)).to_have_value("")
    prompt(view).focus()
    notebook.page.keyboard.type(TEXT)
    press("Enter")
    expect(view.get_by_role("group", name="Next tokens")).to_contain_text("mary")
    press("Escape")  # to the grid
    expect(view.get_by_role("grid")).to_be_focused()
    walk_to(notebook, view, "layer 1 head 2")
    expect(view.get_by_role("group", name="Inspector")).to_contain_text("layer 1 head 2")
    expect(query(view, len(TOKENS) - 1)).to_be_visible()
    for _ in range(30):
        press("Tab")
        if view.locator("[role=option]:focus").count():
            break
    press("End")
    expect(query(view, len(TOKENS) - 1)).to_be_focused()
    press("ArrowLeft")
    press("Enter")
    expect(query(view, len(TOKENS) - 2)).to_have_attribute("aria-selected", "true")
    expected = attention("l1h2", len(TOKENS) - 2)
    first = TOKENS[expected.index(max(expected))]
    said = view.locator("[aria-live]").filter(has_text="token 14 of 15")
    expect(said).to_contain_text(f"l1h2 at drink, token 14 of 15: {first} {max(expected):.0%}".replace("%", "\xa0%"))


def test_cells_show_patterns_and_nothing_again(view: Locator, notebook: Notebook) -> None:
    def colors() -> int:
        notebook.painted()
        return int(
            view.locator(".hg-viewport canvas").evaluate(
                """canvas => new Set(new Uint32Array(canvas.getContext("2d")
                     .getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"""
            )
        )

    before = colors()
    menu = view.get_by_label("Cells show")
    menu.select_option(label="attention patterns")
    notebook.wait_until("len(grid.thumbnails['cells']) == 8 and not grid.thumbnails['pending']")
    notebook.page.wait_for_timeout(300)
    assert colors() > before + 5
    assert notebook.run("grid.live_query['thumbnails']")
    menu.select_option(label="nothing")
    notebook.wait_until("not grid.live_query['thumbnails']")


WITH_TASK = f"""
task = hg.Task(hg.demo()[1], [{TEXT!r}, {TEXT.replace("john gave", "mary gave")!r}], answers=[" mary", " john"])
other = hg.HeadGrid(*hg.demo(), task=task, select="l0h1 | l1h2")
other
"""


def test_a_grid_with_a_task_opens_with_what_its_heads_do_and_goes_from_row_to_row(notebook: Notebook) -> None:
    notebook.in_lab(f"panel.model.sharedModel.addCell({{ cell_type: 'code', source: {json.dumps(WITH_TASK)} }})")
    notebook.run_all()
    view = notebook.view(1)
    expect(pattern(view)).to_contain_text("at ·to it looks at")
    expect(view.get_by_role("group", name="Next tokens")).to_contain_text("mary")
    view.get_by_role("button", name="Next row").click()
    expect(view.get_by_role("group", name="Next tokens")).to_contain_text("john")
    expect(view.get_by_text("row 2 of 2")).to_be_visible()
    notebook.in_lab("panel.model.sharedModel.deleteCell(1)")


@needs_axe
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_breaks_no_rule_of_accessibility_and_overflows_at_no_width(
    notebook: Notebook, view: Locator, dark: bool
) -> None:
    notebook.set_theme(dark)
    cell(view, "l1h2").click()
    expect(view).to_have_attribute("data-theme", "dark" if dark else "light")
    expect(view.get_by_role("group", name="Effect of the selection")).to_contain_text("without")
    size = notebook.page.viewport_size
    assert size
    for width in (1600, 900, 600):
        notebook.page.set_viewport_size({"width": width, "height": 1000})
        notebook.page.wait_for_timeout(200)
        notebook.page.mouse.move(0, 0)
        assert view.evaluate("root => root.scrollWidth <= root.clientWidth")
        assert view.locator(".hg-body").evaluate("body => body.scrollWidth <= body.clientWidth")
        found = violations(notebook.page, ".jp-Notebook .headgrid")
        assert not found, "\n".join(found)
        view.scroll_into_view_if_needed()
        notebook.screenshot(f"live-{width}-{'dark' if dark else 'light'}")
    notebook.page.set_viewport_size(size)
    notebook.set_theme(False)
