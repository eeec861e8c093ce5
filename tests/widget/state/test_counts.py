"""A selection in numbers: what is whole, what is there in part, and whom shared keys and values serve beside."""

from __future__ import annotations

import pytest
import tiny

import headgrid as hg
from headgrid.widget.state import counts
from headgrid.widget.state.cells import Cells


def said(family: str, text: str) -> str:
    cells = Cells(hg.dissect(tiny.config(family)))
    chosen = cells.anatomy.select(text).parts
    return counts.said(cells, chosen, *cells.coverage(chosen))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("none", "nothing is selected"),
        ("l1h2", "1 head"),
        ("l0-1h2 | l0 mlp | embed | pos", "2 heads, 1 MLP, 2 embeddings"),
        ("l1h2 | l0h1.q | l0h3.v | l2 mlp n3", "1 head, parts of 2 heads and 1 MLP"),
    ],
)
def test_a_selection_is_counted_in_the_words_of_its_cells(text: str, expected: str) -> None:
    assert said("gpt2", text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [  # heads 0 to 2 read one key and value, 3 to 5 another
        ("l1h1", "1 head; its K and V also serve heads 0, 2"),
        ("l1h0 | l1h2", "2 heads; their K and V also serve 1 other head"),
        ("l1h0-2", "3 heads"),
        ("l1h1 | l0h4 | l2h3", "3 heads; their K and V also serve 6 other heads"),
        ("l1h1 | l0 mlp", "1 head, 1 MLP; the head's K and V also serve heads 0, 2"),
        ("l1h1 | l1h2 | l0 mlp n3", "2 heads, parts of 1 MLP; the heads' K and V also serve 1 other head"),
        ("l1h1 | l1h2.q", "1 head, parts of 1 head; the head's K and V also serve head 0"),
        ("l1h1 | l1h4.q", "1 head, parts of 1 head; the head's K and V also serve heads 0, 2"),
        ("l1h1 | l1h4.k", "1 head, parts of 3 heads; the head's K and V also serve heads 0, 2"),
        ("l1h1.k", "parts of 3 heads"),
        ("l1h1.q", "parts of 1 head"),
        ("l1g0", "3 heads"),
        ("full - l1h1.o", None),
    ],
)
def test_siblings_of_a_selected_head_are_no_parts_of_heads(text: str, expected: str | None) -> None:
    found = said("llama with grouped-query attention", text)
    assert found == expected if expected else "serve" not in found


def test_many_siblings_of_one_head_are_counted() -> None:
    config = tiny.config("gemma with one key/value head")
    config.num_attention_heads = 12
    cells = Cells(hg.dissect(config))
    chosen = cells.anatomy.select("l1h3").parts
    assert counts.said(cells, chosen, *cells.coverage(chosen)) == "1 head; its K and V also serve 11 other heads"
