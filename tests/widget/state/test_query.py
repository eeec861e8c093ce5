"""Text in the box: Python counts code points, a browser UTF-16 units."""

from __future__ import annotations

import pytest
import tiny

import headgrid as hg
from headgrid.selection.selection import Selection
from headgrid.widget.state import query
from headgrid.widget.state.head_values import HeadValues

FACE = "\N{GRINNING FACE}"


@pytest.fixture(scope="module")
def heads() -> HeadValues:
    return hg.HeadGrid(tiny.config("llama with grouped-query attention"))._state.head_values


def test_a_text_is_a_selection_or_a_fault_with_its_place_in_utf16(heads: HeadValues) -> None:
    found = query.read(heads, "l1h2")
    assert isinstance(found, Selection)
    assert str(found) == "l1h2"
    fault = query.read(heads, f"l1h2 | {FACE}x")
    assert not isinstance(fault, Selection)
    assert (fault["start"], fault["end"]) == (7, 9)


def test_completions_are_counted_as_the_browser_counts(heads: HeadValues) -> None:
    plain = query.completed(heads, {"n": 4, "text": "l1h2 | emb", "at": 10})
    assert (plain["complete"], plain["start"], plain["end"]) == (4, 7, 10)
    assert plain["items"][0]["text"] == "embed"
    shifted = query.completed(heads, {"n": 5, "text": f"{FACE} | emb", "at": 8})
    assert (shifted["start"], shifted["end"], shifted["items"]) == (5, 8, plain["items"])


def test_a_completion_says_whether_it_waits_for_a_number(heads: HeadValues) -> None:
    def begun(text: str) -> dict[str, bool]:
        found = query.completed(heads, {"n": 1, "text": text, "at": len(text)})
        return {item["text"]: item["begun"] for item in found["items"]}

    assert begun("l1") == begun("l1") | {"l1": False, "l1h": True, "l1 attn": False}
    assert begun("l[0,2] mlp") == begun("l[0,2] mlp") | {"l[0,2] mlp": False, "l[0,2] mlp n": True}
    assert not any(waits for typed in ("l1h", "l1h2.", "embed", "fu") for waits in begun(typed).values())


def test_a_caret_inside_a_character_is_before_it(heads: HeadValues) -> None:
    found = query.completed(heads, {"n": 1, "text": f"l0 {FACE}", "at": 4})
    assert found["start"] <= found["end"] <= 3


def test_the_widget_answers_what_is_being_typed() -> None:
    grid = hg.HeadGrid(tiny.config("llama with grouped-query attention"))
    grid.set_state({"complete": {"n": 3, "text": "emb", "at": 3}})
    assert grid.completions["complete"] == 3
    assert grid.completions["items"][0]["text"] == "embed"
    assert not grid.selection
    grid.set_state({"complete": {"n": 4, "text": "emb", "at": 300}})
    assert (grid.completions["complete"], grid.complete["n"]) == (3, 3)
    assert "a caret at 300" in grid.text["error"]["message"]
