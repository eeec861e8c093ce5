"""One JupyterLab server and one Chromium for all tests of a worker; notebooks are closed by the test that opened them.

Both end with the package's last test, because Playwright keeps an event loop running in this thread meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, Request, sync_playwright

from .jupyterlab import Host, Notebook, Server, Subshells
from .serving import chromium

ELSEWHERE = re.compile(r"^(?!(https?|wss?)://127\.0\.0\.1[:/]|(data|blob|about):)")
FLAGS = [
    "--no-sandbox",  # which Chromium cannot have as root, nor in many containers; only our own pages are opened
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # Playwright routes would turn the cache off
]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("jupyterlab")) as started:
        started.start_kernel()
        yield started


@pytest.fixture(scope="package")
def other_hosts() -> list[str]:
    """What was asked of any host but this one. It stays empty: the widget works offline."""
    return []


@pytest.fixture(scope="package")
def context(other_hosts: list[str]) -> Iterator[BrowserContext]:
    def requested(request: Request) -> None:
        is_file_of_a_test = request.url.startswith("file:") and request.is_navigation_request()
        if ELSEWHERE.match(request.url) and not is_file_of_a_test:
            other_hosts.append(request.url)

    def opened(page: Page) -> None:
        page.on("websocket", lambda socket: ELSEWHERE.match(socket.url) and other_hosts.append(socket.url))

    executable = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block")
        context.on("request", requested)
        context.on("page", opened)
        yield context
        browser.close()


@pytest.fixture(autouse=True)
def _no_other_host(other_hosts: list[str]) -> Iterator[None]:
    yield
    assert not other_hosts


@pytest.fixture(scope="package")
def open_notebook(server: Server, context: BrowserContext) -> Callable[..., Notebook]:
    """Writes a notebook of code cells, opens it and runs it; whoever opens it closes it.

    While it is tested, the kernel of the next one starts.
    """

    def opened(
        name: str,
        cells: list[str],
        host: Host = "lab",
        kind: type[Notebook] = Notebook,
        subshells: Subshells = "perCommTarget",
    ) -> Notebook:
        notebook = kind(server, context, name, cells, host, subshells)
        server.start_kernel()
        return notebook

    return opened
