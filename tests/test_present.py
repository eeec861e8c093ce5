"""Undo, redo and saved selections through the widget: from Python, and by deeds in messages of the browser."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import tiny
from test_head_grid import LLAMA, cell, click, on, sent

import headgrid as hg
from headgrid.widget.deeds import checksum
from headgrid.widget.wire import Deed, Do, pack, unpack


class Browser:
    """What a browser does: it asks for deeds until they are done, and says what it saw."""

    def __init__(self, grid: hg.HeadGrid) -> None:
        self.grid, self.asked = grid, list[Deed]()
        self.cells = grid.cells

    def ask(self, do: Do, name: str = "", value: str = "") -> Deed:
        last = max((deed["n"] for deed in self.asked), default=0)
        n = max(last, self.grid.history["done"]) + 1
        self.asked.append({"n": n, "do": do, "name": name, "value": value, "seen": checksum(self.cells)})
        return self.asked[-1]

    def click(self, *words: str) -> None:
        bits = unpack(self.cells, self.grid._cells.n_cells).copy()
        for word in words:
            bits[cell(self.grid, word)] ^= True
        self.cells = pack(bits)

    def send(self, **more: Any) -> None:
        """One message with all that changed, as a kernel gets it that was busy."""
        state: dict[str, Any] = dict(more)
        if self.cells != self.grid.cells:
            state["cells"] = memoryview(self.cells)
        if self.asked:
            state["deeds"] = list(self.asked)
        self.grid.set_state(state)
        self.cells = self.grid.cells
        self.asked = [deed for deed in self.asked if deed["n"] > self.grid.history["done"]]


@pytest.fixture
def grid() -> hg.HeadGrid:
    return hg.HeadGrid(tiny.model(LLAMA))


def text(grid: hg.HeadGrid) -> str:
    assert str(grid.selection) == grid.text["selection"]
    return str(grid.selection)


def test_every_change_from_whomever_is_a_step(grid: hg.HeadGrid) -> None:
    click(grid, "l1h2")
    grid.select("l0h1.q | l2 mlp n3")
    grid.set_state({"query": {"n": 1, "text": "embed"}})
    grid.selection = ["l0h0"]
    assert grid.history == {"done": 0, "undo": 4, "redo": 0}
    assert [str(grid.undo()) for _ in range(5)] == ["embed", "l0h1.q | l2 mlp n3", "l1h2", "none", "none"]
    assert (grid.history, on(grid)) == ({"done": 0, "undo": 0, "redo": 4}, [])
    assert [str(grid.redo()) for _ in range(2)] == ["l1h2", "l0h1.q | l2 mlp n3"]
    click(grid, "l0h0")
    assert grid.selection == grid.anatomy.select("l0h0 | l0h1.q | l2 mlp n3")
    assert grid.history == {"done": 0, "undo": 3, "redo": 0}
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


def test_a_deed_is_done_once_although_it_is_sent_again(grid: hg.HeadGrid) -> None:
    for head in range(3):
        grid.select(f"l0h{head}")
    browser = Browser(grid)
    undo = browser.ask("undo")
    browser.send()
    assert (text(grid), grid.history) == ("l0h1", {"done": 1, "undo": 2, "redo": 1})
    grid.set_state({"deeds": [undo]})
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
    assert grid.history == {"done": 1, "undo": 1, "redo": 1}
    assert any("cells" in state for state in states), "the browser shows the click, so it is told"
    assert str(grid.redo()) == "l0h0 | l1h2 | l2 mlp n3"


def test_a_click_after_an_undo_in_one_message_stands(grid: hg.HeadGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    grid.select("l0h0")
    browser = Browser(grid)
    browser.ask("undo")
    browser.click("l1h2")
    states = sent(grid, monkeypatch)
    browser.send()
    assert on(grid) == ["l0h0", "l1h2"], "it was made on what the browser showed then"
    assert all("cells" not in state for state in states)


def test_two_undos_of_a_busy_kernel_go_two_steps_back(grid: hg.HeadGrid) -> None:
    for head in range(3):
        grid.select(f"l0h{head}")
    browser = Browser(grid)
    browser.ask("undo")
    browser.ask("undo")
    browser.send(cells=memoryview(grid.cells))
    assert (text(grid), grid.history["done"]) == ("l0h0", 2)


def test_a_query_of_the_same_message_comes_last(grid: hg.HeadGrid) -> None:
    grid.select("l0h0")
    browser = Browser(grid)
    browser.ask("undo")
    browser.click("l1h2")
    browser.send(query={"n": 1, "text": "embed"})
    assert (text(grid), grid.text["query"]) == ("embed", 1)
    assert str(grid.undo()) == "l0h0 | l1h2"


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
    browser.ask("clear")
    browser.cells = bytes(len(browser.cells))  # the browser has cleared its cells at once
    browser.send()
    assert text(grid) == "none"
    grid.undo()
    assert text(grid) == "l1h2.q | l0 mlp"


def test_a_trim_leaves_the_cells_that_are_on(grid: hg.HeadGrid) -> None:
    grid.select("l1h2.q | l0h1 | l0 mlp n3")
    browser = Browser(grid)
    browser.ask("trim")
    browser.click("l0h1", "l2h0")  # only this cell: the browser wrote it at once as well
    browser.send()
    assert text(grid) == "l2h0"


def test_selections_are_saved_recalled_coloured_and_removed_from_the_browser(grid: hg.HeadGrid) -> None:
    grid.select("l0h0.q")
    browser = Browser(grid)
    browser.ask("save", "  queries ")
    browser.click("l1h2")
    browser.ask("save", "more")
    browser.send()
    assert {name: str(chosen) for name, chosen in grid.saved.items()} == {"queries": "l0h0.q", "more": "l1h2 | l0h0.q"}
    first, second = grid.get_state("saved")["saved"]["items"]
    assert (first["name"], first["text"], first["counts"]) == ("queries", "l0h0.q", "parts of 1 head")
    bits = unpack(first["cells"].ljust(len(grid.cells), b"\0"), grid._cells.n_cells)
    assert np.flatnonzero(bits).tolist() == [cell(grid, "l0h0")], "it is marked where it has anything"
    assert first["colour"] != second["colour"]
    browser.ask("recall", "queries")
    browser.ask("tint", "more", "#ABCDEF")
    browser.ask("remove", "queries")
    browser.send()
    assert (text(grid), grid.saved.colours, grid.text["error"]) == ("l0h0.q", {"more": "#abcdef"}, None)
    assert str(grid.undo()) == "l1h2 | l0h0.q", "a recall is a step"


@pytest.mark.parametrize(
    ("do", "name", "value", "said"),
    [
        ("recall", "nobody", "", "there is no saved selection 'nobody'; there are 'kept'"),
        ("remove", "nobody", "", "there is no saved selection 'nobody'"),
        ("tint", "nobody", "#000000", "there is no saved selection 'nobody'"),
        ("tint", "kept", "red", "'red' is no colour"),
        ("save", "   ", "", "a name has 1 to 80 characters; this one is empty"),
        ("save", "x" * 81, "", "this one has 81 characters"),
        ("save", "Full", "", "names the whole model"),
    ],
)
def test_a_deed_that_cannot_be_done_counts_as_done_and_says_why(
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
    assert grid.saved.colours == {"kept": "#0072b2"}
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
    one, other = Browser(grid), Browser(grid)
    one.ask("save", "one")
    other.ask("save", "other")
    one.send()
    other.send()
    assert list(grid.saved) == ["one", "other"]


def test_an_observer_that_raises_leaves_no_deed_to_be_done_again_and_loses_no_query(grid: hg.HeadGrid) -> None:
    def bad(change: Any) -> None:
        raise RuntimeError("mine")

    grid.select("l0h0")
    grid.select("l0h1")
    browser = Browser(grid)
    undo = browser.ask("undo")
    grid.observe(bad, "selection")
    with pytest.raises(RuntimeError, match="mine"):
        browser.send(query={"n": 7, "text": "l0h0 | embed"})
    grid.unobserve(bad, "selection")
    assert grid.history["done"] == 1
    grid.set_state({"deeds": [undo]})
    assert (text(grid), grid.text["query"], grid.history["undo"]) == ("l0h0 | embed", 7, 2)


def test_a_cell_that_is_absent_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = hg.HeadGrid(tiny.model("jamba"))
    absent = int(np.flatnonzero(grid._cells.absent)[0])
    bits = np.zeros(grid._cells.n_cells, dtype=np.bool_)
    bits[absent] = True
    states = sent(grid, monkeypatch)
    grid.set_state({"cells": memoryview(pack(bits))})
    assert (on(grid), text(grid), grid.history["undo"]) == ([], "none", 0)
    assert {"cells"} in states


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
    assert text(grid) == str(grid._present.selection) == "l0h1"
    assert sorted(on(grid)) == ["l0h1"]
