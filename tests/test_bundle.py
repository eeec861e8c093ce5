"""The bundle is committed, so that installing needs no node; here it is built again and compared."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from headgrid import __version__
from headgrid.widget.wire import typescript

ROOT = Path(__file__).parent.parent
JS, STATIC = ROOT / "js", ROOT / "src" / "headgrid" / "widget" / "static"


def test_the_committed_bundle_is_what_the_sources_build(tmp_path: Path) -> None:
    if shutil.which("npm") is None or not (JS / "node_modules").exists():
        pytest.skip("node is not installed: the bundle is not built anew (make test installs what it needs with node)")
    subprocess.run(["npm", "run", "--silent", "build", "--", "--outdir", str(tmp_path)], cwd=JS, check=True)
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert built == committed, "the bundle is not that of js/src: run 'make build' and commit it"


def test_the_wires_types_are_those_of_python() -> None:
    assert (JS / "src" / "wire.ts").read_text() == typescript(), "js/src/wire.ts has drifted: run 'make build'"


def test_the_bundle_is_small_and_asks_for_nothing_else() -> None:
    script, style = (STATIC / "widget.js").read_text(), (STATIC / "widget.css").read_text()
    assert len(script) + len(style) < 90_000  # a notebook saves them with every widget
    assert not re.search(r"""(?<!["'])\b(from|import)\s*\(?["']""", script), "it imports a module"
    assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]{2,}", script + style.replace("http://www.w3.org/2000/svg", ""))


def test_both_halves_have_one_version() -> None:
    assert json.loads((JS / "package.json").read_text())["version"] == __version__
