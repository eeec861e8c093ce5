"""No module reads a private field of what another module defines."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "headgrid"
FILES = sorted(SOURCE.rglob("*.py"))

ALLOWED = {
    "_replace": "of a named tuple: public, and named so that it is no field",
    "_getframe": "of sys: what tells the line that a warning is about",
    "_C": "of torch: mode stacks and dispatch keys have no public name",
    "_len_torch_function_stack": "of torch, likewise",
    "_get_function_stack_at": "of torch, likewise",
    "_version": "of a torch tensor: the counter of its changes in place has no public name",
    "_base": "of a torch tensor: what it is a view of",
    "_modules": "of a torch module: `children` leaves out those that are there twice, and gives no place to write to",
    "_forward_pre_hooks": "of a torch module: there is no other way to see which hooks it has",
    "_model_mapping": "of transformers' auto classes: configs and their classes are listed nowhere else",
    "_from_config": "of transformers' models: how its own auto classes make one",
    "_attn_implementation": "of transformers' configs: the only place that says it",
    "_experts_implementation": "of transformers' configs, likewise",
    "_is_hf_initialized": "of transformers' modules and parameters: how `from_pretrained` says that one has its values",
    "_dynamo": "of torch: the public name of the compiler is this",
}
"""Private names of other libraries that are read, with the reason; those that a class inherits are its own."""


def defined(tree: ast.AST) -> set[str]:
    """The private names that a module defines: functions, classes, and fields that it sets."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls") else set()
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def private_reads(tree: ast.AST) -> Iterator[ast.Attribute]:
    """What is read or written of another module's objects though its name begins with an underscore."""
    own = defined(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            on_itself = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            on_base = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "super"
            if not on_itself and not on_base and node.attr not in own:
                yield node


def private_imports(tree: ast.AST) -> Iterator[str]:
    """The private names that are imported from modules of headgrid."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("headgrid"):
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_module_reads_a_private_field_of_another(path: Path) -> None:
    tree = ast.parse(path.read_text())
    found = [f"line {node.lineno}: {ast.unparse(node)}" for node in private_reads(tree) if node.attr not in ALLOWED]
    assert found == []
    assert list(private_imports(tree)) == []


@pytest.mark.slow
def test_every_exception_is_needed() -> None:
    read = {node.attr for path in FILES for node in private_reads(ast.parse(path.read_text()))}
    assert set(ALLOWED) <= read


def test_only_what_opens_a_grid_imports_the_widget() -> None:
    users = [path for path in FILES if "headgrid.widget.head_grid" in path.read_text()]
    assert [str(path.relative_to(SOURCE)) for path in users] == ["__init__.py", "library/published.py"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("def f(grid): return grid._cells", ["grid._cells"]),
        ("class A:\n def f(self, other): self._x = other._x", []),
        ("class A:\n def f(self): return self._a._b", ["self._a._b"]),
        ("def f(g): g._cells = 3", ["g._cells"]),
        ("def f(x): return x.__class__", []),
    ],
)
def test_a_private_read_is_found(text: str, found: list[str]) -> None:
    assert [ast.unparse(node) for node in private_reads(ast.parse(text))] == found
