"""Every page of docs/howto is run: its code in its order, and what it prints is what the page shows below."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import committed_outputs
import pytest

pytestmark = pytest.mark.slow

HOWTO = Path(__file__).parents[2] / "docs" / "howto"
PAGES = sorted(path for path in HOWTO.glob("*.md") if path.name != "index.md")


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """Each block of Python, with the block of text that follows it before the next one; empty without."""
    found = re.findall(r"^```(python|text)\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)
    for number, (kind, code) in enumerate(found):
        if kind == "python":
            follows = found[number + 1] if number + 1 < len(found) else ("", "")
            yield code, follows[1] if follows[0] == "text" else ""


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_prints_what_it_shows(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": path.stem}
    for code, shown in blocks(path.read_text(encoding="utf-8")):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, str(path), "exec"), names)
        for is_line, shown_line in zip(lines(said.getvalue()), lines(shown), strict=True):
            assert committed_outputs.alike(shown_line, is_line), (shown_line, is_line)


def test_every_page_is_in_the_list_and_asks_a_question() -> None:
    listed = re.findall(r"^(\w+)$", (HOWTO / "index.md").read_text(), flags=re.MULTILINE)
    assert {path.stem for path in PAGES} <= set(listed)
    for path in PAGES:
        title, _, question, *_ = path.read_text(encoding="utf-8").splitlines()
        assert title.startswith("# ")
        assert question.startswith("*") and question.endswith(("?*", ".*"))  # noqa: PT018


def test_blocks_are_paired_with_the_text_right_after_them() -> None:
    page = "```python\na = 1\n```\nand\n```python\nprint(a)\n```\nso:\n```text\n1\n```\n```text\nmore\n```\n"
    assert list(blocks(page)) == [("a = 1\n", ""), ("print(a)\n", "1\n")]
