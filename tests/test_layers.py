"""The layers of the design: imports go down only, and heavy libraries are imported where they are used."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "headgrid"

LAYERS = [
    {"arguments", "torch_state", "frozen", "offloaded", "warning"},
    {"files"},
    {"roles", "reader", "spectra", "scales", "demo"},
    {"slots", "factored", "elsewhere"},
    {"anatomy"},
    {"parts"},
    {"gathered", "names"},
    {"expression"},
    {"masks", "grammar", "spelling"},
    {"activations", "indices"},
    {"selection", "models", "candidates"},
    {"preview", "hooks", "weights", "completion"},
    {"circuits"},
    {"scan"},
    {"plots"},
    {"widget"},
    {"__init__"},
]
"""Lowest first. A module imports its own folder and what is lower;
the demo model is data and needs nothing of ours but those checks."""

DOORWAYS = {("anatomy", "headgrid.selection")}
"""`Anatomy.select` makes a selection, so it imports the module above it when it is called. There is no other."""

HEAVY = {"transformers", "transformer_lens", "pandas", "matplotlib", "rich", "IPython", "devinterp", "datasets"}
"""Libraries that importing headgrid does not import: functions import them when they run."""

SCRIPTS = {"demo/train.py", "demo/card.py", "demo/measure.py", "demo/tokens.py", "demo/batches.py"}
"""What only trains or measures the demo model, and is not imported with headgrid; `test_import` sees to that."""

MODULES = sorted(path.relative_to(SOURCE) for path in SOURCE.rglob("*.py"))


def top(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def level(name: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if name in layer)


def imports(path: Path) -> Iterator[tuple[str, bool]]:
    """The modules that a file imports, and whether it does so when it is itself imported."""
    tree = ast.parse((SOURCE / path).read_text())
    guarded = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.FunctionDef | ast.AsyncFunctionDef)
        or (isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING")
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, id(node) not in guarded
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relative to itself; write headgrid..."
            yield node.module or "", id(node) not in guarded
            if node.module == "headgrid":
                for alias in node.names:
                    yield f"headgrid.{alias.name}", id(node) not in guarded


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_imports_only_what_is_below_it(path: Path) -> None:
    assert any(top(path) in layer for layer in LAYERS), f"{path} is in no layer: give it one in tests/test_layers.py"
    for imported, _ in imports(path):
        if imported.startswith("headgrid."):
            other = imported.split(".")[1]
            allowed = other == top(path) or level(other) < level(top(path)) or (top(path), imported) in DOORWAYS
            assert allowed, f"{path} imports {imported}, which is not below it"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_heavy_libraries_are_imported_where_they_are_used(path: Path) -> None:
    at_import = {imported.split(".")[0] for imported, eager in imports(path) if eager}
    assert str(path) in SCRIPTS or not at_import & HEAVY


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_only_models_and_the_demo_know_a_library_of_models(path: Path) -> None:
    known = {imported.split(".")[0] for imported, _ in imports(path)} & {"transformers", "transformer_lens"}
    assert not known or top(path) in {"models", "demo"}
