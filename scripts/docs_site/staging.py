"""Lays the repository's pages out as the sources of a site, and turns the links between them.

A page of the repository links to its neighbors by paths, which hold in the repository's own tree. `pages_of` says where
each page stands in the site; a link to a page is turned into the path there, and one to a file that is no page (a model
card, a source) into plain text, because the site does not have it. A link to what is not in the repository is an error.
"""

from __future__ import annotations

import functools
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

LINK = re.compile(r"(?<!\[)`[^`\n]*`|(?<!!)\[((?:[^\[\]`]|`[^`]*`)+)\]\((?!\w+:)([^()#\s]*)(#[^()\s]*)?\)")
"""A link of Markdown to a file: its text, its path, its anchor; or code within a line, which has none of them."""


def pages_of(root: Path) -> dict[str, str]:
    """Each page's path in the repository, and in the site's sources."""
    found = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
    for path in sorted((root / "docs").rglob("*.md")):
        found[path.relative_to(root).as_posix()] = path.relative_to(root / "docs").as_posix()
    for path in sorted((root / "notebooks").glob("*.ipynb")):
        found[f"notebooks/{path.name}"] = f"tutorial/{path.name}"
    return found


def stage(root: Path, sources: Path) -> None:
    """Writes the sources of the site of a repository: pages, what they show, and Sphinx's settings.

    Args:
        root: the repository.
        sources: a folder; what was in it and is no source any more is removed.

    Raises:
        ValueError: for a link that leads nowhere, with its page.
    """
    pages = pages_of(root)
    wanted = {sources / path for path in pages.values()}
    for path in sources.rglob("*") if sources.exists() else ():
        if path.suffix in (".md", ".ipynb") and path not in wanted and "reference" not in path.parts:
            path.unlink()
    for here, there in pages.items():
        text = (root / here).read_text(encoding="utf-8")
        turned = _notebook if here.endswith(".ipynb") else _markdown
        _write(sources / there, turned(text, functools.partial(_turned, root, pages, here)))
    for name in ("conf.py", "_static", "_templates"):
        if (root / "docs" / name).is_dir():
            shutil.copytree(root / "docs" / name, sources / name, dirs_exist_ok=True)
        elif (root / "docs" / name).exists():
            shutil.copy2(root / "docs" / name, sources / name)
    for picture in (root / "docs").glob("*.png"):
        shutil.copy2(picture, sources / picture.name)


def _write(path: Path, text: str) -> None:
    """Only if it is another one: Sphinx reads a page again whose time has changed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _turned(root: Path, pages: Mapping[str, str], here: str, path: str) -> str | None:
    """Where a link of a page leads in the site; None for a file that the site does not have."""
    target = PurePosixPath(os.path.normpath(PurePosixPath(here).parent / path)).as_posix()
    if target.startswith("..") or not (root / target).exists():
        generated = path.startswith(("reference/", "../reference/"))
        if generated:  # by the build, into the site's own tree: Sphinx and `links` follow it
            return path
        raise ValueError(f"{here} links to {path}, and there is no {target} in the repository")
    if target not in pages:
        return None
    return os.path.relpath(pages[target], PurePosixPath(pages[here]).parent)


def _markdown(text: str, turned: Callable[[str], str | None]) -> str:
    def link(found: re.Match[str]) -> str:
        shown, path, anchor = found[1], found[2], found[3] or ""  # of code within a line, None
        if not path:
            return found[0]
        there = turned(path)
        if there is None:
            return shown if path in shown or "`" in shown else f"{shown} (`{path.removeprefix('../')}`)"
        return f"[{shown}]({there}{anchor})"

    fenced = re.split(r"(^```.*?^```)", text, flags=re.DOTALL | re.MULTILINE)  # code is left as it is
    return "".join(part if part.startswith("```") else LINK.sub(link, part) for part in fenced)


def _notebook(text: str, turned: Callable[[str], str | None]) -> str:
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = _markdown("".join(cell["source"]), turned).splitlines(keepends=True)
    return json.dumps(notebook)
