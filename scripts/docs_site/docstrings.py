"""A Sphinx extension: docstrings as they are written here, where indented lines are code, as Sphinx reads them."""

from __future__ import annotations

import ast
import itertools
import re
import textwrap
from typing import Any

SECTION = re.compile(r"(Args|Arguments|Returns|Yields|Raises|Attributes|Example|Examples|Note|Notes):$")
"""Where the part begins that napoleon reads."""


def with_code(lines: list[str]) -> list[str]:
    """Docstring lines in which what is indented more than the paragraph before it, after a blank line, is code.

    Args:
        lines: of a docstring, less the indentation of all. Sections of arguments, and what follows, stay.
    """
    found: list[str] = []
    inside, blank = False, True
    for number, line in enumerate(lines):
        if SECTION.match(line):
            return found + lines[number:]
        indented = line.startswith("    ")
        if inside and line.strip() and not indented:
            inside = False
        if indented and not inside and blank and not _is_list(found):
            if not _is_directive(found):
                found += [f".. code-block:: {_language(lines[number:])}", ""]
            inside = True
        found.append(line)
        blank = not line.strip()
    return found


def _language(lines: list[str]) -> str:
    """What the block is in that these lines begin with: Python, or words."""
    block = itertools.takewhile(lambda line: not line.strip() or line.startswith("    "), lines)
    try:
        ast.parse(textwrap.dedent("\n".join(block)))
    except SyntaxError:
        return "text"
    return "python"


def _is_directive(before: list[str]) -> bool:
    said = [line for line in before if line.strip()]
    return bool(said) and (said[-1].startswith("..") or said[-1].rstrip().endswith("::"))


def _is_list(before: list[str]) -> bool:
    said = [line for line in before if line.strip()]
    return bool(said) and said[-1].lstrip().startswith(("- ", "* "))


def setup(app: Any) -> dict[str, Any]:
    """What Sphinx calls."""
    from sphinx.util import inspect

    def docstring(app: Any, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
        lines[:] = with_code(lines)

    def signature(app: Any, what: str, name: str, obj: Any, *_: object) -> tuple[str, None] | None:
        if what != "class" or "__init__" not in vars(obj) or not hasattr(obj, "traits"):
            return None
        found = inspect.signature(obj.__init__, bound_method=True)  # of a widget Sphinx would show that of traitlets
        return inspect.stringify_signature(found, unqualified_typehints=True), None

    app.connect("autodoc-process-docstring", docstring, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", signature)
    return {"version": "1", "parallel_read_safe": True}
