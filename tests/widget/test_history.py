"""Undo, redo and saved selections through the widget: from Python, and by commands in messages of the browser."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import tiny
from grids import LLAMA, on, sent
from hands import Browser, ask, cell, click, piece

import headgrid as hg
from headgrid.widget.wire.schema import Do, pack, unpack


@pytest.fixture
def grid() -> hg.HeadGrid:
    return hg.HeadGrid(tiny.model(LLAMA))


def text(grid: hg.HeadGrid) -> str:
    assert str(grid.selection) == grid.text["selection"]
    return str(grid.selection)


def test_every_change_from_whomever_is_a_step(grid: hg.HeadGrid) -> None:
    click(grid, "l1h2")
    grid.select("l0h1.q | l2 mlp n3")
    ask(grid, 1, "embed")
    grid.selection = ["l0h0"]
    assert grid.history == {"done": 1, "undo": 4, "redo": 0}
    assert [str(grid.undo()) for _ in range(5)] == ["embed", "l0h1.q | l2 mlp n3", "l1h2", "none", "none"]
    assert (grid.history, on(grid)) == ({"done": 1, "undo": 0, "redo": 4}, [])
    assert [str(grid.redo()) for _ in range(2)] == ["l1h2", "l0h1.q | l2 mlp n3"]
    click(grid, "l0h0")
    assert grid.selection == grid.anatomy.select("l0h0 | l0h1.q | l2 mlp n3")
    assert grid.history == {"done": 2, "undo": 3, "redo": 0}
    assert str(grid.undo()) == "l0h1.q | l2 mlp n3", "what the browser's bits do not know comes back"


def test_the_first_selection_is_no_step() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l0h1")
    assert (str(grid.undo()), grid.history["undo"]) == ("l0h1", 0)


def test_undo_tells_those_who_observe_the_selection_and_may_be_answered_by_a_change(grid: hg.HeadGrid) -> None:
    seen: list[str] = []
    grid.observe(lambda change: seen.append(str(change["new"])), "selection")
    grid.select("l0h0")
    grid.select("l0h1")
    grid.observe(lambda change: grid.select("embed") if str(change["new"]) == "l0h0" else None, "selection")
    grid.undo()
    assert seen == ["l0h0", "l0h1", "l0h0", "embed"]
    assert (text(grid), grid.history) == ("embed", {"done": 0, "undo": 2, "redo": 0})
    assert [str(grid.undo()), str(grid.undo())] == ["embed", "embed"], "that observer again has its way"


def test_a_command_is_done_once_although_it_is_sent_again(grid: hg.HeadGrid) -> None:
    for head in range(3):
        grid.select(f"l0h{head}")
    browser = Browser(grid)
    undo = browser.ask("undo")
    browser.send()
    assert (text(grid), grid.history) == ("l0h1", {"done": 1, "undo": 2, "redo": 1})
    grid.set_state({"commands": [undo]})
    browser.asked = [undo]
    browser.ask("redo")
    browser.send()
    assert (text(grid), grid.history) == ("l0h2", {"done": 2, "undo": 3, "redo": 0})


def test_a_click_and_its_undo_in_one_message_leave_what_was_and_say_so(
    grid: hg.HeadGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid.select("l0h0 | l2 mlp n3")
    browser = Browser(grid)
    browser.click("l1h2")
    browser.ask("undo")
    states = sent(grid, monkeypatch)
    browser.send()
    assert (text(grid), on(grid)) == ("l0h0 | l2 mlp n3", ["l0h0"])
    assert grid.history == {"done": 2, "undo": 1, "redo": 1}
    assert all("cells" not in state for state in states), "the browser shows its edit only until it is done"
    assert pack(browser.on) == grid.cells
    assert str(grid.redo()) == "l0h0 | l1h2 | l2 mlp n3"


def test_a_click_after_an_undo_in_one_message_stands(grid: hg.HeadGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    grid.select("l0h0")
    browser = Browser(grid)
    browser.ask("undo")
    browser.click("l1h2")
    states = sent(grid, monkeypatch)
    browser.send()
    assert on(grid) == ["l1h2"], "it is made on what comes of the undo"
    assert grid.history == {"done": 2, "undo": 1, "redo": 0}
    assert pack(browser.on) == grid.cells
    assert any("cells" in state for state in states)


def test_two_undos_of_a_busy_kernel_go_two_steps_back(grid: hg.HeadGrid) -> None:
    for head in range(3):
        grid.select(f"l0h{head}")
    browser = Browser(grid)
    browser.ask("undo")
    browser.ask("undo")
    browser.send()
    assert (text(grid), grid.history["done"]) == ("l0h0", 2)


def test_queries_undos_and_clicks_of_one_message_are_done_in_their_order(grid: hg.HeadGrid) -> None:
    grid.select("l0h0")
    browser = Browser(grid)
    browser.click("l0h1")
    browser.ask("query", value="l2 | l1h2.q")
    browser.click("l1h3")
    browser.ask("query", value="l9")
    browser.click("l1h2")
    browser.click("l0h0")  # it is off already, where the query's answer is not here yet
    query = browser.ask("query", value="l0h0 | embed")["n"]
    browser.ask("undo")
    browser.send()
    assert (text(grid), grid.text["query"], grid.text["error"]) == ("l2 | l1h2-3", query, None)
    steps = ["l1h3 | l2 | l1h2.q", "l2 | l1h2.q", "l0h0-1", "l0h0"]
    assert [grid.undo() for _ in steps] == [grid.anatomy.select(step) for step in steps]


def test_a_query_that_was_typed_before_a_click_does_not_take_the_click_away(grid: hg.HeadGrid) -> None:
    browser = Browser(grid)
    browser.ask("query", value="none")
    browser.click("l0h1")
    browser.click("l1h2")
    browser.send()
    assert (text(grid), pack(browser.on)) == ("l0h1 | l1h2", grid.cells)


def test_a_query_that_was_refused_keeps_what_an_earlier_one_of_the_message_selected(grid: hg.HeadGrid) -> None:
    browser = Browser(grid)
    browser.ask("query", value="l0h1")
    wrong = browser.ask("query", value="l0h1 | l9")["n"]
    browser.send()
    assert (text(grid), grid.text["query"]) == ("l0h1", wrong)
    assert (grid.text["error"]["start"], grid.text["error"]["end"]) == (8, 9)
    browser.ask("query", value="l9")
    browser.ask("query", value="l1h2")
    browser.send()
    assert (text(grid), grid.text["error"]) == ("l1h2", None), "the last one was right"


def test_a_query_that_is_too_long_is_answered_by_its_number(grid: hg.HeadGrid) -> None:
    browser = Browser(grid)
    long = browser.ask("query", value="l0|" * 100_000)["n"]
    browser.send()
    assert (grid.text["query"], grid.history["done"]) == (long, long)
    assert "where there is room for 200,000" in grid.text["error"]["message"]


def test_an_undo_of_something_finer_than_a_cell_moves_no_cell(
    grid: hg.HeadGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid.select("l0 mlp n3")
    grid.select("l0 mlp n4")
    browser = Browser(grid)
    browser.ask("undo")
    states = sent(grid, monkeypatch)
    browser.send()
    assert text(grid) == "l0 mlp n3"
    assert states == [{"text", "history"}]


def test_clearing_takes_pieces_of_cells_too_and_one_step_brings_all_back(grid: hg.HeadGrid) -> None:
    grid.select("l1h2.q | l0 mlp")
    browser = Browser(grid)
    browser.only()
    assert not browser.on.any(), "the browser shows it at once"
    browser.send()
    assert text(grid) == "none"
    grid.undo()
    assert text(grid) == "l1h2.q | l0 mlp"


def test_only_some_cells_are_all_that_is_left_whatever_waits(grid: hg.HeadGrid) -> None:
    grid.select("l1h2.q | l0h1 | l0 mlp n3")
    browser = Browser(grid)
    browser.ask("query", value="l1 | l2h0.q")
    browser.only("l2h0")
    browser.send()
    assert text(grid) == "l2h0"
    assert [str(grid.undo()), str(grid.undo())] == ["l1 | l2h0.q", "l0h1 | l1h2.q | l0 mlp n3"]


def test_selections_are_saved_recalled_colored_and_removed_from_the_browser(grid: hg.HeadGrid) -> None:
    grid.select("l0h0.q")
    browser = Browser(grid)
    browser.ask("save", "  queries ")
    browser.click("l1h2")
    browser.ask("save", "more")
    browser.send()
    assert {name: str(chosen) for name, chosen in grid.saved.items()} == {"queries": "l0h0.q", "more": "l1h2 | l0h0.q"}
    first, second = grid.get_state("saved")["saved"]["items"]
    assert (first["name"], first["text"], first["counts"]) == ("queries", "l0h0.q", "parts of 1 head")
    bits = unpack(first["cells"].ljust(len(grid.cells), b"\0"), grid._state.cells.n_cells)
    assert np.flatnonzero(bits).tolist() == [cell(grid, "l0h0")], "it is marked where it has anything"
    assert first["color"] != second["color"]
    browser.ask("recall", "queries")
    browser.ask("tint", "more", "#ABCDEF")
    browser.ask("remove", "queries")
    browser.send()
    assert (text(grid), grid.saved.colors, grid.text["error"]) == ("l0h0.q", {"more": "#abcdef"}, None)
    assert str(grid.undo()) == "l1h2 | l0h0.q", "a recall is a step"


@pytest.mark.parametrize(
    ("do", "name", "value", "said"),
    [
        ("recall", "nobody", "", "there is no saved selection 'nobody'; there are 'kept'"),
        ("remove", "nobody", "", "there is no saved selection 'nobody'"),
        ("tint", "nobody", "#000000", "there is no saved selection 'nobody'"),
        ("tint", "kept", "red", "'red' is no color"),
        ("save", "   ", "", "a name has 1 to 80 characters; this one is empty"),
        ("save", "x" * 81, "", "this one has 81 characters"),
        ("save", "Full", "", "names the whole model"),
    ],
)
def test_a_command_that_cannot_be_done_counts_as_done_and_says_why(
    grid: hg.HeadGrid, do: Do, name: str, value: str, said: str
) -> None:
    grid.select("l0h0")
    grid.saved["kept"] = "l0h1"
    browser = Browser(grid)
    browser.ask(do, name, value)
    browser.ask("undo")
    browser.send()
    assert said in grid.text["error"]["message"]
    assert (text(grid), grid.history["done"], list(grid.saved)) == ("none", 2, ["kept"])
    assert grid.saved.colors == {"kept": "#0072b2"}
    browser.ask("redo")
    browser.send()
    assert (text(grid), grid.text["error"]) == ("l0h0", None)


def test_nothing_selected_is_not_saved(grid: hg.HeadGrid) -> None:
    browser = Browser(grid)
    browser.ask("save", "empty")
    browser.send()
    assert "select something first" in grid.text["error"]["message"]
    assert not grid.saved


def test_two_browsers_that_count_alike_both_get_their_way(grid: hg.HeadGrid) -> None:
    grid.select("l0h0")
    grid.select("l0h1")
    one, other = Browser(grid, "one"), Browser(grid, "other")
    for browser in (one, other):
        browser.ask("undo")
    for browser in (one, other):
        browser.send()
    assert (text(grid), grid.history["done"]) == ("none", 1), "two steps back, under one number"


def test_a_click_on_what_python_has_changed_meanwhile_takes_nothing_of_that_away(grid: hg.HeadGrid) -> None:
    browser = Browser(grid)
    grid.select("l0h1 | l2 mlp n3")
    browser.click("l1h2")
    browser.send()
    assert text(grid) == "l0h1 | l1h2 | l2 mlp n3"
    grid.select("l1h2.q | l0h0")
    browser.click("l1h2", "l0h3")  # of the first only a piece is on by now
    browser.send()
    assert grid.selection == grid.anatomy.select("l0h0 | l0h3")


def test_an_observer_that_raises_leaves_no_command_to_be_done_again_and_loses_no_query(grid: hg.HeadGrid) -> None:
    def bad(change: Any) -> None:
        raise RuntimeError("mine")

    grid.select("l0h0")
    grid.select("l0h1")
    browser = Browser(grid)
    undo = browser.ask("undo")
    query = browser.ask("query", value="l0h0 | embed")["n"]
    grid.observe(bad, "selection")
    with pytest.raises(RuntimeError, match="mine"):
        browser.send()
    grid.unobserve(bad, "selection")
    assert grid.history["done"] == query
    grid.set_state({"commands": [undo]})
    assert (text(grid), grid.text["query"], grid.history["undo"]) == ("l0h0 | embed", query, 2)


def test_a_cell_that_is_absent_cannot_be_switched_on() -> None:
    grid = hg.HeadGrid(tiny.model("jamba"))
    absent = int(np.flatnonzero(grid._state.cells.absent)[0])
    bits = np.zeros(grid._state.cells.n_cells, dtype=np.bool_)
    bits[absent] = True
    browser = Browser(grid)
    browser.ask("edit", value=piece(bits))
    browser.ask("only", value=piece(bits))
    browser.send()
    assert (on(grid), text(grid), grid.history["undo"]) == ([], "none", 0)


@pytest.mark.slow
def test_a_click_that_another_thread_takes_and_a_selection_of_python_leave_one_state(grid: hg.HeadGrid) -> None:
    # as JupyterLab has it, which gives messages of widgets to a thread beside the one that runs cells
    taken, chosen = threading.Event(), threading.Event()

    def slow(change: Any) -> None:
        taken.set()
        chosen.wait(0.5)  # Python's selection has all the time to come in between

    def python() -> None:
        taken.wait(60)
        grid.select("l0h1")
        chosen.set()

    grid.observe(slow, "partial")
    thread = threading.Thread(target=python)
    thread.start()
    click(grid, "l2h0")
    thread.join(60)
    assert text(grid) == str(grid._state.selection) == "l0h1"
    assert sorted(on(grid)) == ["l0h1"]
