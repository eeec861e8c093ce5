"""docs/library.md is what the entries say."""

from __future__ import annotations

import library_page
from published_shapes import anatomy

import headgrid as hg


def test_the_page_is_that_of_the_entries() -> None:
    assert library_page.PAGE.read_text(encoding="utf-8") == library_page.page(), "run scripts/library_page.py"


def test_every_circuit_has_a_row_with_its_number_of_heads_and_a_section() -> None:
    page = library_page.page()
    for name, circuit in hg.library.items():
        heads = len(circuit.selection(anatomy(circuit)).heads)
        assert f"| [{name}](#{name}) | {circuit.title} | {circuit.models[0]} | {heads} |" in page
        assert f"\n## {name}\n" in page
    assert page.count("at every test run") == 4
