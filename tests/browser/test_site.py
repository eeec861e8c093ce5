"""The documentation as a site, built once and served: no page asks another host, each passes axe and is narrow."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, Request, expect

from .axe import needs_axe, violations
from .serving import ARTIFACTS

PAGES = (
    "index.html",
    "tutorial.html",
    "howto/index.html",
    "howto/ablate.html",
    "howto/hosts.html",
    "gallery.html",
    "reference/widget.html",
    "reference/activations.html",
    "equivalents.html",
    "families.html",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from docs_site.__main__ import build

    folder = tmp_path_factory.mktemp("documentation") / "site"
    assert build(folder) == []
    return folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """Where the site is served; its root."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def _left(request: Request) -> bool:
    """Whether what was asked for was not waited for, because the next page was opened."""
    return request.failure == "net::ERR_ABORTED"


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A page that fails the test with any error of its own."""
    opened, faults = context.new_page(), list[str]()
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
    opened.on("requestfailed", lambda request: _left(request) or faults.append(f"{request.url}: {request.failure}"))
    yield opened
    opened.close()
    assert faults == []


def grid_of(page: Page) -> FrameLocator:
    return page.frame_locator("iframe.grid-frame").first


def wide(page: Page) -> int:
    """How many pixels of the page do not fit beside one another."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def test_a_click_on_the_start_page_selects_a_head(address: str, page: Page) -> None:
    page.goto(address + "index.html")
    query = grid_of(page).get_by_role("combobox", name="Selection as text")
    expect(query).to_have_value("l0h1 | l1h2")
    grid_of(page).locator('[role=gridcell][data-word="l1h0"]').click()
    expect(query).to_have_value("l0h1 | l1h0 | l1h2")


def test_the_grid_is_as_dark_as_the_page_whatever_the_system_says(address: str, page: Page) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(address + "index.html")
    view = grid_of(page).locator(".headgrid")
    expect(view).to_have_attribute("data-theme", "light")
    page.evaluate("document.body.dataset.theme = 'dark'")
    expect(view).to_have_attribute("data-theme", "dark")
    page.evaluate("document.body.dataset.theme = 'auto'")
    expect(view).to_have_attribute("data-theme", "light")
    page.emulate_media(color_scheme="dark")
    expect(view).to_have_attribute("data-theme", "dark")


def test_every_page_can_be_opened_and_asks_no_other_host(site: Path, address: str, page: Page) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 35
    for path in pages:
        page.goto(address + path.relative_to(site).as_posix(), wait_until="load")
        assert page.title()


@needs_axe
@pytest.mark.parametrize("name", PAGES)
def test_a_page_passes_axe_in_light_and_dark_and_is_as_wide_as_a_phone(address: str, page: Page, name: str) -> None:
    for scheme, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(address + name)
        found = violations(page)
        assert not found, f"{scheme}, {width} px\n" + "\n".join(found)
        assert wide(page) <= 0
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"site-{name.replace('/', '-').removesuffix('.html')}-{scheme}-{width}.png")


def test_the_search_finds_a_function_by_its_name(address: str, page: Page) -> None:
    page.goto(address + "search.html?q=faithfulness")
    expect(page.locator("#search-results")).to_contain_text("faithfulness")
