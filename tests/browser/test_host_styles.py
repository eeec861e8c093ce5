"""A page's own style sheets do not reach into the widget: its computed styles are the same in every host.

Its theme is that of the page, also where all that the page shows behind it is transparent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

import headgrid as hg
from headgrid.widget.export import html as page_of
from headgrid.widget.export import precompute, widget_state
from headgrid.widget.export.nbconvert import HeadGridExporter
from headgrid.widget.export.precompute_live import PageSources, precompute_live
from headgrid.widget.wire.schema import TRAITS

from .grids import SET_UP, Open, cell

SELECTED = "l1h2 | l0h1"
TABS = ("OV", "QK", "Composition", "Weights", "2 heads")

HOSTS = {
    "Bootstrap": """
        *, *::before, *::after { box-sizing: content-box }
        body { font: italic 19px/2.1 serif; letter-spacing: 2px; text-align: right; color: #c0f;
            text-transform: uppercase;
        word-spacing: 9px; text-indent: 12px; white-space: pre; font-variant: small-caps; text-shadow: 1px
            1px red }
        table { border-collapse: separate; border-spacing: 7px; border: 2px solid red; width: auto; margin: 9px }
        table tr:nth-child(even) { background: #eee } tbody > tr:nth-of-type(odd) > * { background: #fdd; color: #00f }
        td, th { text-align: right; padding: 11px; border: 1px solid #ddd; vertical-align: bottom; max-width: 40px }
        caption { caption-side: bottom; padding: 9px; font-weight: 700 } thead { border-bottom: 3px solid;
            font-size: 9px }
        button, input, select { background: #0d6efd; color: #fff; border: 3px dotted; padding: 9px 19px; margin: 7px;
               border-radius: 0; font: bold 20px serif; text-transform: uppercase; height: 50px; min-width: 99px }
        input[type=checkbox], input[type=range] { appearance: none; width: 60px; opacity: .2 }
        label { display: block; font-weight: bold; margin-bottom: 8px } p, dl, figure, section { margin: 33px }
        h1, h2, h3, h4 { font: 33px serif; margin: 40px; border-bottom: 1px solid } ul, ol { padding: 40px;
            list-style: disc }
        li { margin: 8px; list-style: square } dt { float: left; width: 120px; font-weight: bold } dd {
            margin-left: 160px }
        code, kbd, pre { background: #333; color: #e83e8c; padding: 6px; border-radius: 9px; box-shadow: 0 0
            3px; font-size: 200% }
        a { color: red } small { font-size: 300% } abbr { border-bottom: 1px dotted } mark { background: yellow }
        svg, img, canvas { max-width: 100%; height: auto; display: inline; vertical-align: middle; border: 2px solid }
        svg path, rect { fill: red; stroke: lime; stroke-width: 4; opacity: .3 } i, b, span, div { letter-spacing: 1px }
        progress { height: 60px } details, summary { display: inline; padding: 9px } details >
            summary::marker { content: "x" }
        span::before, td::after, button::before, p::after { content: "!"; color: red } [hidden] { display: block }
    """,
    "Jupyter": """
        #page .jp-RenderedHTMLCommon table, #page table { border: 5px solid; font-size: 30px; table-layout: fixed }
        #page#page#page td, #page#page#page th { text-align: right; background: #fdd; padding: 20px;
            white-space: nowrap }
        #page#page#page tr:hover { background: lime } #page#page#page :not(pre) > code { background:
            #eff0f1; padding: 1px 5px }
        #page dt { float: left; width: 20% } #page button { all: unset } #page * { outline: 1px solid red }
            #page td, #page div { line-height: 3 }
        .jp-RenderedHTMLCommon div[class*=hg-] { border: 1px solid red; margin: 3px } #page .hg-tab { color: red }
    """,
    "resets": """
        div, p, td, th, li, span, button, input, code { all: unset } *, ::before, ::after { border: 0 solid
            #e5e7eb; margin: 0; padding: 0; font: inherit }
        table { text-indent: 0; border-color: inherit } button { background: none; text-align: left }
        ol, ul, menu { list-style: none } div { display: contents } :where(table) { display: block }
    """,
}  # fmt: skip
"""Sheets like those that hosts have, and worse ones."""

STYLES = """root => {
    const MOST = 4; // of many rows or chips that are alike
    const found = {};
    // not how far something is from the ends of the panel, which keeps the height that it once had
    const all = [...getComputedStyle(root)].filter(name => !/^--|^(top|bottom|inset-block-.*)$/.test(name));
    const drawn = all.filter(name => name !== "print-color-adjust"); // which says nothing of a line on a screen
    const of = (node, name, pseudo) => {
        const style = getComputedStyle(node, pseudo);
        const names = node.ownerSVGElement ? drawn : all;
        if (!pseudo || !["none", "normal"].includes(style.content))
            found[name + (pseudo ?? "")] = names.map(key => `${key}: ${style.getPropertyValue(key)}`).join("; ");
    };
    const walk = (node, name) => {
        for (const pseudo of [null, "::before", "::after"]) of(node, name, pseudo);
        if (node.localName === "summary") of(node, name, "::marker");
        if (node.localName === "input") of(node, name, "::placeholder");
        const alike = {};
        [...node.children].forEach((one, i) => {
            const kind = `${one.localName}.${one.getAttribute("class") ?? ""}`;
            alike[kind] = (alike[kind] ?? 0) + 1;
            if (alike[kind] <= MOST && one.localName !== "style") walk(one, `${name} > ${kind}[${i}]`);
        });
    };
    walk(root, "");
    return JSON.stringify(found);
}"""
"""The computed styles of an element and of what is in it, by the path to each."""

Styles = dict[str, str]


def unlike(one: Styles, other: Styles) -> list[str]:
    """The elements and properties that are not the same."""
    found = [f"{name} is in one alone" for name in one.keys() ^ other.keys()]
    for name in one.keys() & other.keys():
        here, there = (set(text.split("; ")) for text in (one[name], other[name]))
        found += [f"{name} {rule}" for rule in sorted(here ^ there)]
    return found


def settle(view: Locator) -> None:
    """Gives a view a width that no host has a say in, and ends what moves in it."""
    view.evaluate(
        """root => {
            root.parentElement.style.cssText = "all: revert;" + Object.entries({
                display: "block", flex: "none", width: "1000px", margin: 0, padding: 0, border: 0,
                "box-sizing": "content-box",
            }).map(([name, value]) => `${name}: ${value} !important`).join(";");
            return new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)));
        }"""
    )


def styles(view: Locator, part: str = "") -> Styles:
    settle(view)
    found: Styles = json.loads((view.locator(part) if part else view).evaluate(STYLES))
    assert all(len(rules) > 5000 for rules in found.values())
    return found


def bodies(view: Locator) -> dict[str, Styles]:
    """The styles of what each tab of the inspector shows of the induction head."""
    cell(view, "l1h2").click()
    inspector = view.get_by_role("group", name="Inspector")
    found = {}
    for tab in TABS:
        inspector.get_by_role("tab", name=tab).click()
        inspector.locator(".hg-body[aria-busy=false] > *").first.wait_for()
        if tab == TABS[-1]:
            inspector.locator(".hg-head-table[aria-busy=false] td").first.wait_for()
            inspector.locator(".hg-body > section").wait_for()
        view.page.mouse.move(0, 0)
        found[tab] = styles(view, ".hg-body")
    return found


@pytest.fixture(scope="module")
def grid() -> hg.HeadGrid:
    made = hg.HeadGrid(*hg.demo(), select=SELECTED)
    made.saved["induction"] = SELECTED
    made.color_by("copying_score")
    return made


@pytest.fixture
def open_text(context: BrowserContext, tmp_path: Path) -> Iterator[Callable[..., Page]]:
    pages = []

    def opened(text: str) -> Page:
        path = tmp_path / f"{len(pages)}.html"
        path.write_text(text, encoding="utf-8")
        made = context.new_page()
        pages.append(made)
        made.goto(path.as_uri())
        made.locator(".headgrid [role=gridcell]").first.wait_for()
        return made

    yield opened
    for one in pages:
        one.close()


def bare(grid: hg.HeadGrid) -> str:
    """A page of the grid with no style sheet but the widget's."""
    text = grid.to_html()
    assert text is not None
    before, _, rest = text.partition("<style>")
    return before + rest.partition("</style>")[2].replace("<body>", '<body id="page" class="jp-RenderedHTMLCommon">')


def test_no_rule_of_a_page_changes_anything_in_the_widget(grid: hg.HeadGrid, open_text: Callable[..., Page]) -> None:
    text = bare(grid)

    def shown(sheet: str) -> dict[str, Styles]:
        view = open_text(text.replace("</head>", f"<style>{sheet}</style></head>")).locator(".headgrid")
        found = bodies(view)
        view.get_by_role("button", name="? Help").click()
        view.page.mouse.move(0, 0)
        return {**found, "all": styles(view)}

    plain = shown("")
    assert {tab: len(found) > 50 for tab, found in plain.items()} == dict.fromkeys(plain, True)
    for host, sheet in HOSTS.items():
        for tab, found in shown(sheet).items():
            assert (host, tab, unlike(plain[tab], found)) == (host, tab, [])


def notebook_of(grid: hg.HeadGrid, template: str) -> str:
    """The page that nbconvert makes of a notebook with this grid."""
    cache = grid._scheduler.cache
    found = precompute.precompute(grid._state, cache)
    sources = PageSources(grid.model, grid._scheduler.coloring, grid._scheduler.table)
    live = precompute_live(grid._state, sources)
    state = page_of.state(grid._state, cache, {**grid.get_state(list(TRAITS)), **live.traits}, found)
    output = nbformat.v4.new_output(
        "display_data", {widget_state.VIEW_TYPE: {"model_id": "one"}, "text/html": "<b>picture</b>"}
    )
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("grid", outputs=[output])])
    state |= {"_anywidget_id": "headgrid.widget.head_grid.HeadGrid"}
    nb.metadata.widgets = {widget_state.STATE_TYPE: {"state": {"one": widget_state.model(state)}}}
    html, _ = HeadGridExporter(template_name=template).from_notebook_node(nb)
    return str(html)


VSCODE = {
    "vscode-light": ("#ffffff", "#3b3b3b"),
    "vscode-dark": ("#1f1f1f", "#cccccc"),
    "vscode-high-contrast": ("#000000", "#ffffff"),
    "vscode-high-contrast vscode-high-contrast-light": ("#ffffff", "#292929"),
}
THEMES: dict[str, tuple[str, str, str]] = {  # the attributes of html and of body, and the theme
    **{
        f"{kind} with {', '.join(parts)}": (
            f'style="--vscode-editor-background: {ground}; --vscode-foreground: {text}"'
            if "variables" in parts
            else "",
            (f'class="{kind}" ' if "classes" in parts else "")
            + (f'data-vscode-theme-kind="{kind.split()[-1]}"' if "kind" in parts else ""),
            "light" if "light" in kind else "dark",
        )
        for kind, (ground, text) in VSCODE.items()
        for parts in (["variables", "classes", "kind"], ["variables"], ["classes"], ["kind"])
    },
    "marimo, dark": ('data-theme="dark"', 'class="dark dark-theme"', "dark"),
    "marimo, light": ('data-theme="light"', 'class="light light-theme"', "light"),
    "Colab, dark": ('theme="dark"', "", "dark"),
    "Colab, light": ('theme="light"', "", "light"),
    "JupyterLab's variables": ('style="--jp-layout-color0: #111111"', "", "dark"),
    "a dark page": ("", 'style="background: #222"', "dark"),
    "a dark page behind a veil": ('style="background: #222"', 'style="background: rgba(255, 255, 255, .05)"', "dark"),
    "a white box in VS Code": ("", 'class="vscode-dark" style="background: #fff"', "light"),
    "light text": ("", 'style="color: #ddd"', "dark"),
    "dark text": ("", 'style="color: #333"', "light"),
    "a dark color scheme": ('style="color-scheme: dark"', "", "dark"),
    "nothing": ("", "", "light"),
}


def test_the_theme_is_found_on_pages_whose_ground_shows_through(
    grid: hg.HeadGrid, open_text: Callable[..., Page]
) -> None:
    made = open_text(bare(grid))
    root = made.locator(".headgrid")
    set_attributes = """([html, body]) => {
        for (const [node, text] of [[document.documentElement, html], [document.body, body]]) {
            for (const { name } of [...node.attributes]) node.removeAttribute(name);
            const like = new DOMParser().parseFromString(`<body><i ${text}>`, "text/html").querySelector("i");
            for (const { name, value } of like.attributes) node.setAttribute(name, value);
        }
        return new Promise(done => requestAnimationFrame(done));
    }"""
    found = {}
    for name, (html, body, _) in THEMES.items():
        made.evaluate(set_attributes, [html, body])
        found[name] = root.get_attribute("data-theme")
    assert found == {name: theme for name, (_, _, theme) in THEMES.items()}
    made.evaluate(set_attributes, ['style="color-scheme: light dark"', ""])
    for scheme in ("dark", "light"):
        made.emulate_media(color_scheme=scheme)
        expect(root).to_have_attribute("data-theme", scheme)


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_the_panel_looks_the_same_on_a_bare_page_and_on_one_of_nbconvert(
    template: str, grid: hg.HeadGrid, open_text: Callable[..., Page]
) -> None:
    fonts = ":root { --jp-ui-font-family: serif; --jp-code-font-family: monospace }"
    texts = bare(grid), notebook_of(grid, template)
    plain, made = (
        bodies(open_text(text.replace("</head>", f"<style>{fonts}</style></head>")).locator(".headgrid"))
        for text in texts
    )
    for tab in TABS:
        assert unlike(plain[tab], made[tab]) == []


def test_the_panel_looks_the_same_in_jupyterlab_and_on_a_bare_page(
    grid: hg.HeadGrid, open_notebook: Open, open_text: Callable[..., Page]
) -> None:
    made = "grid = hg.HeadGrid(*hg.demo(), select='l0h1')\ngrid.task = None\ngrid.color_by('copying_score')\ngrid"
    notebook = open_notebook("styles", [SET_UP, made])
    try:
        fonts = notebook.page.evaluate(
            """() => ["--jp-ui-font-family", "--jp-code-font-family"].map(name =>
                 `${name}: ${getComputedStyle(document.documentElement).getPropertyValue(name)}`).join(";")"""
        )
        view = notebook.view()
        in_lab = bodies(view)  # whose click selects the second head
        before = styles(view)
        for sheet in HOSTS.values():
            notebook.page.add_style_tag(content=sheet)
        view.page.mouse.move(0, 0)
        # colors are left to the pages above: the theme follows what these sheets make of the ground of the whole page
        assert [rule for rule in unlike(before, styles(view)) if "rgb" not in rule and "color" not in rule] == []
    finally:
        notebook.close()
    on_page = bodies(
        open_text(bare(grid).replace("</head>", f"<style>:root {{ {fonts} }}</style></head>")).locator(".headgrid")
    )
    for tab in TABS:
        # a kernel has one score more of heads that were looked at, so the table of several is higher
        higher = (" block-size:", " height:", "-origin:") if tab == "2 heads" else ()
        assert [rule for rule in unlike(on_page[tab], in_lab[tab]) if not any(one in rule for one in higher)] == []
