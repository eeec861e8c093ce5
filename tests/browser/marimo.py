"""A marimo notebook, as an editor or as an app, served by a process of its own and opened in Chromium."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import BrowserContext, Locator, Page

from .serving import TIMEOUT, Serving

Mode = Literal["edit", "run"]

CONFIG = """
[runtime]
auto_instantiate = true

[display]
theme = "system"

[server]
browser = "default"
"""

CELL = """
@app.cell
def _({arguments}):
{body}
    return ({names})
"""


def program(cells: list[tuple[str, str, str]]) -> str:
    """The file of a notebook; a cell is what it reads, its code, and what others read of it."""
    written = [
        CELL.format(arguments=reads, body=textwrap.indent(code.strip(), "    "), names=gives and f"{gives},")
        for reads, code, gives in cells
    ]
    return "import marimo\n\napp = marimo.App()\n\n" + "\n".join(written)


class Marimo(Serving):
    """`marimo edit` or `marimo run`, and its one notebook on a page of its own."""

    name = "marimo's server"
    forgets = ("MARIMO", "XDG_")
    alive = "health"

    def __init__(self, home: Path, mode: Mode, cells: list[tuple[str, str, str]]) -> None:
        super().__init__(home)
        self.mode, self.path = mode, self.root / "notebook.py"
        self.path.write_text(program(cells))
        config = home / "config" / "marimo"
        config.mkdir(parents=True)
        (config / "marimo.toml").write_text(CONFIG)
        folders = {"CONFIG": "config", "CACHE": "cache", "STATE": "state", "DATA": "data"}
        self.env |= {"HOME": str(home)} | {f"XDG_{name}_HOME": str(home / path) for name, path in folders.items()}

    def script(self) -> str:
        return "import runpy\nrunpy.run_module('marimo', run_name='__main__')"

    def arguments(self) -> list[str]:
        arguments = ["--yes", "--quiet", self.mode, str(self.path), "--headless", "--no-token", f"--port={self.port}"]
        return arguments + ["--skip-update-check"] * (self.mode == "edit")

    def open(self, context: BrowserContext) -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(TIMEOUT * 1000)
        self.page.goto(self.url(""))
        self.view().wait_for()

    def view(self, number: int = 0) -> Locator:
        return self.page.locator(".headgrid").nth(number)

    def said(self) -> Any:
        """What the notebook's cell with the id `said` says, as JSON."""
        return json.loads(self.page.locator("#said").inner_text())

    def set_theme(self, dark: bool) -> None:
        self.page.emulate_media(color_scheme="dark" if dark else "light")
