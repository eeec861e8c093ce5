"""axe-core on a part of a page: what it finds, as sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from playwright.sync_api import Page

SOURCE = Path(__file__).parents[2] / "js" / "node_modules" / "axe-core" / "axe.min.js"
OPTIONS = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}

# Not in the middle of a test, which would leave the page in a state that the next one does not expect.
needs_axe = pytest.mark.skipif(
    not SOURCE.exists(),
    reason="axe-core is missing: it comes with the JavaScript tools, which 'make js' installs where node is",
)


def violations(page: Page, selector: str = "html") -> list[str]:
    """Each rule that is broken inside of an element, with the nodes that break it.

    It is run by DevTools, past the policy of a page that allows no script.
    """
    session = page.context.new_cdp_session(page)

    def evaluate(expression: str) -> object:
        answer = session.send(
            "Runtime.evaluate", {"expression": expression, "awaitPromise": True, "returnByValue": True}
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    if not evaluate("Boolean(window.axe)"):
        evaluate(SOURCE.read_text(encoding="utf-8") + ";null")
    found = evaluate(
        f"""axe.run({json.dumps(selector)}, {json.dumps(OPTIONS)}).then(({{ passes, violations }}) => [passes.length,
        violations.flatMap(({{ id, help, nodes }}) => nodes.map(node =>
          `${{id}}: ${{help}}\\n  ${{node.html.slice(0, 200)}}\\n  ${{node.failureSummary}}`))])"""
    )
    session.detach()
    assert isinstance(found, list)
    passed, broken = found
    assert passed, f"axe looked at nothing in {selector}"
    return list(broken)
