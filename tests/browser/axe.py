"""axe-core on a part of a page: what it finds, as sentences."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

SOURCE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page, selector: str) -> list[str]:
    """Each rule that is broken inside of an element, with the nodes that break it."""
    if not SOURCE.exists():
        pytest.skip("axe-core is missing: it comes with the JavaScript tools, which 'make js' installs where node is")
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(SOURCE.read_text(encoding="utf-8"))
    found = page.evaluate("selector => axe.run(selector, { resultTypes: ['violations'] })", selector)
    assert found["passes"], f"axe looked at nothing in {selector}"
    return [
        f"{rule['id']}: {rule['help']}\n  {node['html'][:200]}\n  {node['failureSummary']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]
