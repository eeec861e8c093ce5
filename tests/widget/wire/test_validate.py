"""Whatever a front end sends, the state stays valid; what is refused is said, and what is kept is sent back."""

from __future__ import annotations

import json
import re
from typing import Any, get_args

import numpy as np
import pytest
import tiny
from grids import LLAMA, fits, on, sent
from hands import Browser, ask, cell, click, command, piece
from hypothesis import given, settings
from hypothesis import strategies as st

import headgrid as hg
from headgrid.widget.wire import schema, validate
from headgrid.widget.wire.schema import pack, unpack

WRITTEN_BY_THE_BROWSER = {"complete", "commands", "focus", "recolor", "prompt", "live_query", "code_query"}


@pytest.fixture
def grid() -> hg.HeadGrid:
    return hg.HeadGrid(tiny.config(LLAMA), select="l0h1 | l2 mlp n3")


def valid(grid: hg.HeadGrid) -> None:
    """Everything that crosses has its type and can cross, and all of it tells of one selection."""
    state = grid.get_state()
    for trait, (hint, _) in schema.TRAITS.items():
        assert fits(state[trait], hint), trait
        json.dumps(state[trait], allow_nan=False, default=len).encode()
    whole, some = grid._state.cells.coverage(grid.selection.parts)
    assert (state["cells"], state["partial"], grid.partial) == (pack(whole), pack(some).rstrip(b"\0"), pack(some))
    assert state["text"]["selection"] == str(grid.selection)
    assert state["spec"]["version"] == schema.VERSION
    assert grid._state.selection == grid.selection


def said(grid: hg.HeadGrid) -> str:
    error = grid.text["error"]
    return "" if error is None else str(error["message"])


def test_each_trait_has_the_writer_that_the_wire_names() -> None:
    named = {trait for trait, (_, who) in schema.TRAITS.items() if re.match("both|the browser", who)}
    assert set(validate.READERS) == named == WRITTEN_BY_THE_BROWSER


@pytest.mark.parametrize("trait", sorted(set(schema.TRAITS) - WRITTEN_BY_THE_BROWSER))
def test_a_trait_of_pythons_is_not_the_browsers_to_write(
    grid: hg.HeadGrid, trait: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, states = grid.get_state(), sent(grid, monkeypatch)
    grid.set_state({trait: {"selection": "<script>", "items": []}})
    assert grid.get_state(trait) == {trait: before[trait]} or trait == "text"
    assert f"{trait!r}, which is for Python to write" in said(grid)
    assert grid.text["selection"] == "l0h1 | l2 mlp n3"
    assert any(trait in state for state in states), "it is sent back"


def test_what_is_python_s_and_comes_back_unchanged_is_no_fault(grid: hg.HeadGrid) -> None:
    state = grid.get_state()
    grid.set_state({name: state[name] for name in state if not name.startswith("_")})
    assert said(grid) == ""


@pytest.mark.parametrize("name", ["_esm", "_css", "_model_name", "_anywidget_id", "layout"])
def test_the_code_of_the_widget_is_not_the_browsers_to_write(grid: hg.HeadGrid, name: str) -> None:
    before = getattr(grid, name)
    grid.set_state({name: "alert(1)"})
    assert getattr(grid, name) is before or getattr(grid, name) == before
    assert "which is for Python to write" in said(grid)


def test_unknown_traits_of_another_version_are_passed_over(grid: hg.HeadGrid) -> None:
    typed = command(3, "query", value="embed")
    grid.set_state({"wings": 2, "query": {"n": 3, "text": "l0"}, "commands": [{**typed, "and": "more"}]})
    assert (str(grid.selection), said(grid)) == ("embed", "")
    assert grid.commands == [typed]


def test_what_is_right_in_a_message_is_done_although_the_rest_is_refused(grid: hg.HeadGrid) -> None:
    bits = np.arange(grid._state.cells.n_cells) == cell(grid, "l1h0")
    edit = command(1, "edit", value=piece(bits))
    grid.set_state({"commands": [edit], "complete": {"n": True, "text": ""}, "spec": {}, "focus": []})
    assert on(grid) == ["l0h1", "l1h0"]
    assert said(grid).count("It was refused.") == 3
    click(grid, "l1h0")
    assert said(grid) == ""


def test_a_fault_of_the_query_is_said_with_what_else_was_refused(grid: hg.HeadGrid) -> None:
    grid.set_state({"commands": [command(1, "query", value="l0 | l9")], "spec": None})
    assert re.search("there is no layer 9.* 'spec', which is for Python", said(grid))
    assert (grid.text["error"]["start"], grid.text["error"]["end"]) == (6, 7)


GOOD = command(1)
BAD_DEEDS: list[Any] = [
    None, 3, "undo", {"n": 1}, {}, [], {"n": 1, "do": "undo"},
    {**GOOD, "n": 0},
    {**GOOD, "n": -1},
    {**GOOD, "n": True},
    {**GOOD, "n": 1.5},
    {**GOOD, "n": 2**60},
    {**GOOD, "n": 2**40},
    {**GOOD, "do": "format"},
    {**GOOD, "do": ["undo"]},
    {**GOOD, "name": None},
    {**GOOD, "by": 3},
    {**GOOD, "by": "x" * 5_000_000},
    {**GOOD, "do": "save", "name": "x" * 5_000_000},
    {**GOOD, "do": "query", "value": None},
    {**GOOD, "do": "edit", "value": "no piece"},
    {**GOOD, "do": "edit", "value": "AQ=="},
    {**GOOD, "do": "edit", "value": "0:l0 h1"},
    {**GOOD, "do": "edit", "value": "-1:AQ=="},
    {**GOOD, "do": "edit", "value": "0://///w=="},
    {**GOOD, "do": "edit", "off": "4:AQ=="},
    {**GOOD, "do": "edit", "off": "999999999:"},
    {**GOOD, "do": "only", "value": "\u00e9:"},
    {**GOOD, "do": "only", "value": "0:" + "A" * 5_000_000},
    {key: GOOD[key] for key in ("n", "do", "name", "value")},
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_DEEDS, ids=lambda bad: f"{bad!r:.60}")
def test_commands_that_no_browser_asks_for_are_refused_and_do_not_block_the_others(grid: hg.HeadGrid, bad: Any) -> None:
    grid.select("l0h2")
    grid.set_state({"commands": [bad, command(2)]})
    valid(grid)
    assert "It was refused." in said(grid)
    assert len(said(grid)) < 1000
    assert (str(grid.selection), grid.history["done"]) == ("l0h1 | l2 mlp n3", 2)


def test_a_command_that_cannot_be_understood_is_not_waited_for(grid: hg.HeadGrid) -> None:
    grid.set_state({"commands": [{**GOOD, "n": 7, "do": "dance"}]})
    assert (grid.history["done"], "none of undo, redo" in said(grid)) == (7, True)
    grid.set_state({"commands": "all"})
    assert (grid.history["done"], "no list but a text" in said(grid)) == (7, True)


PROMPT = {"n": 1, "text": "the dog says", "contrast": ""}
ASKS = {"n": 1, "row": 0, "panel": True, "thumbnails": False}


@pytest.mark.parametrize(
    ("trait", "bad", "why"),
    [
        ("prompt", 3, "a prompt that is no numbered text but a number"),
        ("prompt", {**PROMPT, "n": -1}, "a prompt whose 'n' is no number from 0 on"),
        ("prompt", {**PROMPT, "text": None}, "a prompt whose 'text' is no text"),
        ("prompt", {**PROMPT, "contrast": "x" * 300_000}, "a prompt of 300,000 characters, where there is room for"),
        ("prompt", {"n": 1, "text": "the"}, "a prompt whose 'contrast' is no text"),
        ("live_query", "all", "a query of what heads do that is no numbered row but a text"),
        ("live_query", {**ASKS, "row": -1}, "a query of what heads do whose 'row' is no number from 0 on"),
        ("live_query", {**ASKS, "row": True}, "a query of what heads do whose 'row' is no number from 0 on"),
        ("live_query", {**ASKS, "panel": 1}, "a query of what heads do whose 'panel' is neither true nor false"),
        ("live_query", {"n": 1, "row": 0, "panel": True}, "whose 'thumbnails' is neither true nor false"),
        ("code_query", [1], "a query of code that is no numbered library but a list"),
        ("code_query", {"n": None, "library": "torch"}, "a query of code whose 'n' is no number from 0 on"),
        ("code_query", {"n": 1, "library": "keras"}, "whose 'library' is none of torch, transformer_lens, nnsight, "),
        ("code_query", {"n": 1, "library": ["torch"]}, "a query of code whose 'library' is none of torch"),
    ],
    ids=repr,
)
def test_a_text_a_row_and_a_library_come_in_one_form(grid: hg.HeadGrid, trait: str, bad: Any, why: str) -> None:
    before = dict(getattr(grid, trait))
    grid.set_state({trait: bad})
    valid(grid)
    assert why in said(grid)
    assert getattr(grid, trait) == before
    good = {"prompt": PROMPT, "live_query": ASKS, "code_query": {"n": 1, "library": "nnsight"}}[trait]
    grid.set_state({trait: {**good, "more": 1}})
    assert getattr(grid, trait) == good


def nested(depth: int) -> Any:
    found: Any = 0
    for _ in range(depth):
        found = [found]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("trait", sorted({*schema.TRAITS, "_view_count", "tooltip", "layout", "_dom_classes"}))
@pytest.mark.parametrize("garbage", ["deep", "long", "large", "inner"])
def test_depth_and_size_do_no_harm(grid: hg.HeadGrid, trait: str, garbage: str) -> None:
    made = {"deep": nested(5000), "long": "x" * 3_000_000, "large": 10**400, "inner": {"n": nested(5000)}}
    before = grid.get_state()
    grid.set_state({trait: made[garbage]})
    valid(grid)
    assert "It was refused." in said(grid)
    assert len(said(grid)) < 1000
    after = grid.get_state()
    assert {name for name in before if after[name] != before[name]} <= {"text"}


def test_a_long_text_is_refused_before_it_is_parsed(grid: hg.HeadGrid) -> None:
    ask(grid, 1, "l0h1|" * (validate.LONGEST // 5 + 1))
    assert "where there is room for 200,000" in said(grid)
    assert str(grid.selection) == "l0h1 | l2 mlp n3"


def test_an_error_that_quotes_what_was_typed_stays_short(grid: hg.HeadGrid) -> None:
    ask(grid, 1, "l" + "9" * 9_000)
    assert said(grid).startswith("there is no layer 999")
    assert len(said(grid)) <= 500
    assert (grid.text["error"]["start"], grid.text["error"]["end"]) == (1, 9001)


def test_half_a_character_is_no_harm(grid: hg.HeadGrid) -> None:
    ask(grid, 1, "l0 \ud83d")
    valid(grid)
    assert (grid.text["error"]["start"], grid.text["error"]["end"]) == (3, 4)
    grid.set_state({"commands": [command(1, "save", "\udc00")]})
    valid(grid)
    grid.set_state({"complete": {"n": 1, "text": "\ud83d l0", "at": 1}})
    valid(grid)


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(), max_size=6),
    st.sampled_from(["folded", "raw", "undo", "save", "recall", "l0h1", "#d55e00", "\ud800", "full", "ov_norm"]),
    st.binary(max_size=12),
    st.binary(max_size=12).map(memoryview),
)
FIELDS = ("n", "text", "at", "cell", "ln", "metric", "do", "name", "value", "by", "off", "items", "error", "message",
          "contrast", "row", "panel", "thumbnails", "library")  # fmt: skip
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(), inner, max_size=7),
    max_leaves=25,
)
commands = st.fixed_dictionaries(
    {
        "n": st.integers(1, 30),
        "by": st.sampled_from(["one", "two"]),
        "do": st.sampled_from(get_args(schema.Do)),
        "name": st.sampled_from(["a", "b", "", "full", "<b>"]),
        "value": st.sampled_from(["#123456", "red", "", "l0", "l1h2.q", "l9", "(", "0:AQAA", "1:AgE=", "0:AAAAAAA="]),
        "off": st.sampled_from(["", "0:AQAA", "2:Ag==", "x"]),
    }
)
number = st.integers(0, 30)
likely = {
    "complete": st.fixed_dictionaries({"n": number, "text": st.sampled_from(["l0", "l1h2 | em"]), "at": number}),
    "focus": st.fixed_dictionaries(
        {"n": number, "cell": st.integers(-1, 50), "ln": st.sampled_from(["folded", "raw"])}
    ),
    "recolor": st.fixed_dictionaries({"n": number, "metric": st.sampled_from(["", "ov_norm"]), "ln": st.just("raw")}),
    "commands": st.lists(commands | anything, max_size=5),
    "prompt": st.fixed_dictionaries({"n": number, "text": st.text(max_size=4), "contrast": st.just("")}),
    "live_query": st.fixed_dictionaries(
        {"n": number, "row": number, "panel": st.booleans(), "thumbnails": st.booleans()}
    ),
    "code_query": st.fixed_dictionaries({"n": number, "library": st.sampled_from(["torch", "devinterp", "jax"])}),
    "_view_count": st.integers(-1, 3),
}
traits = st.sampled_from(
    [*schema.TRAITS, "_view_count", "tooltip", "tabbable", "layout", "_esm", "_dom_classes", "wings"]
)
messages = st.dictionaries(traits, anything, max_size=5) | st.fixed_dictionaries({}, optional=likely)


@pytest.mark.slow
@given(st.lists(messages, max_size=6))
@settings(max_examples=150)
def test_whatever_comes_the_state_stays_valid(came: list[dict[str, Any]]) -> None:
    grid = hg.HeadGrid(ANATOMY, select="l0h1 | l1 mlp n3")
    spec, code = dict(grid.spec), grid._esm
    for message in came:
        grid.set_state(message)
        valid(grid)
        assert (grid.spec, grid._esm, grid.precomputed) == (spec, code, [])
        here = grid.selection
        if grid.history["undo"]:
            assert grid.undo() != here
            assert grid.redo() == here
            valid(grid)
    grid.close()


ANATOMY = hg.dissect(tiny.config(LLAMA))


def test_the_bytes_of_the_property_above_are_as_many_as_the_grid_takes() -> None:
    assert (hg.HeadGrid(ANATOMY)._state.cells.n_cells + 7) // 8 == 4


def test_a_message_that_is_no_object_does_nothing(grid: hg.HeadGrid) -> None:
    for message in (None, [], "cells", 3):
        grid.set_state(message)  # type: ignore[arg-type]
        valid(grid)


def test_random_cells_are_what_they_say(grid: hg.HeadGrid) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        bits = (rng.random(grid._state.cells.n_cells) < 0.4) & ~grid._state.cells.absent
        there = unpack(grid.cells, grid._state.cells.n_cells)
        browser = Browser(grid)
        browser.ask("edit", value=piece(bits & ~there), off=piece(there & ~bits))
        browser.send()
        valid(grid)
        assert (unpack(grid.cells, grid._state.cells.n_cells) >= bits).all()
