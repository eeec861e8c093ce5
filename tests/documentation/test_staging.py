"""The site's sources: where pages stand, and how their links are turned. No site is built here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from docs_site import staging


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A small one, with a page in each place that the site takes pages from."""
    root = tmp_path / "repository"
    for name, text in {
        "docs/index.md": "[words](howto/words.md#sets), [help](../CONTRIBUTING.md), [card](../src/card.md)",
        "docs/howto/words.md": "# Words\n\n[back](../index.md), [first](../../notebooks/01_first.ipynb), [out](https://example.org)",
        "src/card.md": "a card",
        "CONTRIBUTING.md": "[docs](docs/index.md) and `[no](link.md)`:\n\n```python\nx[0](missing.md)\n```\n",
        "CHANGELOG.md": "# Changelog",
        "notebooks/01_first.ipynb": json.dumps(
            {"cells": [{"cell_type": "markdown", "source": ["[words](../docs/howto/words.md)\n", "more"]},
                       {"cell_type": "code", "source": ["a[0](missing.md)"]}]}
        ),
    }.items():  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root


def test_links_between_pages_lead_to_where_the_pages_stand_in_the_site(repository: Path, tmp_path: Path) -> None:
    staging.stage(repository, tmp_path / "site")
    read = {
        path.relative_to(tmp_path / "site").as_posix(): path.read_text() for path in (tmp_path / "site").rglob("*.*")
    }
    assert set(read) == {"index.md", "howto/words.md", "contributing.md", "changelog.md", "tutorial/01_first.ipynb"}
    assert read["index.md"] == "[words](howto/words.md#sets), [help](contributing.md), card (`src/card.md`)"
    assert (
        "[back](../index.md), [first](../tutorial/01_first.ipynb), [out](https://example.org)" in read["howto/words.md"]
    )
    assert read["contributing.md"].startswith("[docs](index.md) and `[no](link.md)`")
    assert "x[0](missing.md)" in read["contributing.md"]
    first, second = json.loads(read["tutorial/01_first.ipynb"])["cells"]
    assert first["source"] == ["[words](../howto/words.md)\n", "more"]
    assert second["source"] == ["a[0](missing.md)"]


def test_a_link_that_leads_nowhere_is_an_error_that_names_it(repository: Path, tmp_path: Path) -> None:
    (repository / "docs" / "index.md").write_text("[a page](howto/gone.md)")
    with pytest.raises(ValueError, match=r"docs/index.md links to howto/gone.md, and there is no docs/howto/gone.md"):
        staging.stage(repository, tmp_path / "site")


def test_a_page_that_is_gone_goes_from_the_sources_and_one_that_is_the_same_keeps_its_time(
    repository: Path, tmp_path: Path
) -> None:
    staging.stage(repository, tmp_path / "site")
    before = (tmp_path / "site" / "changelog.md").stat().st_mtime_ns
    (repository / "docs" / "howto" / "words.md").unlink()
    (repository / "docs" / "index.md").write_text("nothing")
    (repository / "notebooks" / "01_first.ipynb").unlink()
    staging.stage(repository, tmp_path / "site")
    assert not (tmp_path / "site" / "howto" / "words.md").exists()
    assert not list((tmp_path / "site").rglob("*.ipynb"))
    assert (tmp_path / "site" / "changelog.md").stat().st_mtime_ns == before


def test_the_links_of_the_repository_s_own_pages_all_lead_somewhere(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    staging.stage(root, tmp_path / "site")
    assert {path.stem for path in (tmp_path / "site" / "tutorial").iterdir()} == {
        path.stem for path in (root / "notebooks").glob("*.ipynb")
    }
