"""docs/library.md is what the entries say, and every circuit of the gallery opens as a page."""

from __future__ import annotations

from pathlib import Path

import library_pages
import pytest
from published_shapes import anatomy

import headgrid as hg


def test_the_page_is_that_of_the_entries() -> None:
    assert library_pages.PAGE.read_text(encoding="utf-8") == library_pages.page(), "run scripts/library_pages.py"


def test_every_circuit_has_a_row_with_its_number_of_heads_and_a_section() -> None:
    page = library_pages.page()
    for name, circuit in hg.library.items():
        heads = len(circuit.selection(anatomy(circuit)).heads)
        assert f"| [{name}](#{name}) | {circuit.title} | {circuit.models[0]} | {heads} |" in page
        assert f"\n## {name}\n" in page
    assert page.count("at every test run") == 2


@pytest.mark.slow
def test_the_gallery_has_pages_that_load_nothing_from_elsewhere(tmp_path: Path) -> None:
    assert set(library_pages.OPENED) <= set(hg.library)
    written = library_pages.gallery(tmp_path / "gallery", ["ioi", "docstring"])
    assert [path.stem for path in written] == ["ioi", "docstring"]
    for path in written:
        text = path.read_text(encoding="utf-8")
        assert all(role in text for role in hg.library[path.stem].roles)
        assert 'src="http' not in text
        assert len(text) < 5_000_000
