"""The bundle is committed, so that installing needs no node; here it is built again and compared."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from headgrid import __version__
from headgrid.widget.wire.schema import typescript

ROOT = Path(__file__).parents[3]
JS, STATIC = ROOT / "js", ROOT / "src" / "headgrid" / "widget" / "static"


@pytest.mark.slow
def test_the_committed_bundle_is_what_the_sources_build(tmp_path: Path) -> None:
    if shutil.which("npm") is None or not (JS / "node_modules").exists():
        pytest.skip("node is not installed: the bundle is not built anew (make test installs what it needs with node)")
    subprocess.run(["npm", "run", "--silent", "build", "--", "--outdir", str(tmp_path)], cwd=JS, check=True)
    built = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    committed = {path.name: path.read_bytes() for path in STATIC.iterdir()}
    assert built.keys() == committed.keys()
    assert all(built[name] == committed[name] for name in built), (
        "the bundle is not that of js/src: run 'make build' and commit it"
    )


def test_the_wires_types_are_those_of_python() -> None:
    assert (JS / "src" / "model" / "wire.ts").read_text() == typescript(), "wire.ts has drifted: run 'make build'"


@pytest.mark.parametrize(
    ("names", "limit"),
    [
        (("widget.js",), 162_000),  # saved with every widget, and parsed before the first paint
        (("widget.js", "widget.css"), 200_000),
        (("offline.js",), 20_000),  # in files only; it does what a kernel would
    ],
    ids=lambda value: "+".join(value) if isinstance(value, tuple) else str(value),
)
def test_what_the_browser_gets_is_small(names: tuple[str, ...], limit: int) -> None:
    if not (STATIC / names[0]).exists():
        pytest.skip(f"{names[0]} is not built")
    sizes = {name: (STATIC / name).stat().st_size for name in names}
    assert sum(sizes.values()) < limit, f"bytes: {sizes}; allowed together: {limit}"


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_a_file_asks_for_nothing_from_elsewhere(path: Path) -> None:
    text = path.read_text()
    # The names of SVG's and XHTML's elements look like addresses, but nobody asks for them.
    for namespace in ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"):
        text = text.replace(namespace, "")
    assert not re.search(r"\b(https?|wss?)://|//[a-z0-9-]+\.[a-z]{2,}", text), "it names another host"
    if path.suffix == ".css":
        assert not re.search(r"@import|url\((?!data:)", text), "it loads something"
        return
    assert not re.search(r"""(?<!["'`\w])(import|export)\s*[^;(){]*\bfrom\b\s*["']|\bimport\s*["']""", text), (
        "it imports"
    )
    asks = r"\b(fetch|XMLHttpRequest|WebSocket|EventSource|importScripts|sendBeacon|SharedWorker|Worker)\s*\("
    assert not re.search(asks, text), "it asks a server"
    assert not re.search(r"\beval\s*\(|\bFunction\s*\(|\.constructor\s*\(", text), "it runs text as code"
    # What is imported at run time is text that stands in the page itself.
    imports = re.findall(r"\bimport\s*\(\s*(.)", text)
    assert len(imports) <= (path.name == "offline.js"), "it imports more than that"
    assert all(first not in "\"'`" for first in imports), "it imports what it names itself"


@pytest.mark.parametrize("path", sorted(STATIC.iterdir()), ids=lambda path: path.name)
def test_every_letter_takes_one_byte(path: Path) -> None:
    assert path.read_bytes().isascii(), "with one wider letter, V8 and Python keep two bytes for every letter of it"


TEN = """
import headgrid as hg
import transformers

for k in range(10):
    display(hg.HeadGrid(transformers.GPT2Config(), select=f"l{k}h* | l{k} mlp"))
"""


@pytest.mark.slow
def test_ten_grids_in_a_saved_notebook_are_below_2_4_mb() -> None:
    """Each of them is saved with the whole bundle: what makes it one file for all browsers and hosts."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(TEN)])
    run = NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    states = run.metadata["widgets"]["application/vnd.jupyter.widget-state+json"]["state"].values()
    grids = [one["state"] for one in states if "spec" in one["state"]]
    assert len(grids) == 10
    assert all(one["_esm"] == (STATIC / "widget.js").read_text() for one in grids)
    assert all(one["_css"] == (STATIC / "widget.css").read_text() for one in grids)
    size = len(nbformat.writes(run).encode())
    print(f"ten grids of 12 x 12 heads: {size:,} bytes")
    assert size < 2_400_000


def test_both_halves_have_one_version() -> None:
    assert json.loads((JS / "package.json").read_text())["version"] == __version__
