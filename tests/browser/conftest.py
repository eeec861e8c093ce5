"""One JupyterLab server and one Chromium for all tests of a worker; notebooks are closed by the test that opened them.

Both end with the package's last test, because Playwright keeps an event loop running in this thread meanwhile.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Route, sync_playwright

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
]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("jupyterlab")) as started:
        yield started


@pytest.fixture(scope="package")
def other_hosts() -> list[str]:
    """What was asked of any host but this one. It stays empty: the widget works offline."""
    return []


@pytest.fixture(scope="package")
def context(other_hosts: list[str]) -> Iterator[BrowserContext]:
    def refuse(route: Route) -> None:
        other_hosts.append(route.request.url)
        route.abort()

    executable = chromium()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=FLAGS)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, service_workers="block")
        context.route(ELSEWHERE, refuse)
        context.route_web_socket(ELSEWHERE, lambda socket: (other_hosts.append(socket.url), socket.close()))
        yield context
        browser.close()


@pytest.fixture(autouse=True)
def _no_other_host(other_hosts: list[str]) -> Iterator[None]:
    yield
    assert not other_hosts


@pytest.fixture(scope="package")
def open_notebook(server: Server, context: BrowserContext) -> Callable[..., Notebook]:
    """Writes a notebook of code cells, opens it and runs it; whoever opens it closes it."""

    def opened(
        name: str,
        cells: list[str],
        host: Host = "lab",
        kind: type[Notebook] = Notebook,
        subshells: Subshells = "perCommTarget",
    ) -> Notebook:
        return kind(server, context, name, cells, host, subshells)

    return opened
