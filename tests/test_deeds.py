"""Deeds: what is to be done once, however a busy kernel merges the messages that ask for it."""

from __future__ import annotations

import zlib

import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

import headgrid as hg
from headgrid.widget.deeds import KEPT, Ledger, carry_out, checksum
from headgrid.widget.wire import Deed, Do, pack


def deed(n: int, do: Do = "undo", name: str = "", value: str = "", seen: int = 0) -> Deed:
    return {"n": n, "do": do, "name": name, "value": value, "seen": seen}


class Model:
    """A selection of bytes with a history: what Python keeps."""

    def __init__(self, on: bytes = b"0", past: tuple[bytes, ...] = ()) -> None:
        self.on, self.past, self.log = on, list(past), list[str]()

    def edit(self, cells: bytes) -> None:
        self.log.append(f"edit {cells.decode()}")
        self.past.append(self.on)
        self.on = cells

    def do(self, deed: Deed) -> None:
        self.log.append(deed["do"])
        if deed["do"] == "undo" and self.past:
            self.on = self.past.pop()

    def take(self, deeds: list[Deed], cells: bytes | None = None) -> bytes:
        carry_out(deeds, cells, self.on, self.edit, self.do)
        return self.on


def test_a_checksum_is_what_the_browser_computes() -> None:
    # adler32 of 1, 2, 4: low half 1 + 1 + 2 + 4 = 8, high half 2 + 4 + 8 = 14
    assert checksum(bytes([1, 2, 4])) == (14 << 16) + 8
    assert checksum(b"") == 1
    assert checksum(b"\xff" * 2016) > 2**31, "it is unsigned"


def test_a_click_before_an_undo_is_what_is_undone() -> None:
    model = Model(b"0")
    assert model.take([deed(1, seen=checksum(b"1"))], b"1") == b"0"
    assert model.log == ["edit 1", "undo"]


def test_a_click_after_an_undo_is_not_lost() -> None:
    model = Model(b"1", (b"0",))
    assert model.take([deed(1, seen=checksum(b"1"))], b"12") == b"12"
    assert model.log == ["undo", "edit 12"]


def test_a_click_between_two_deeds_is_done_between_them() -> None:
    model = Model(b"1", (b"0",))
    deeds = [deed(1, "save", seen=checksum(b"1")), deed(2, "save", seen=checksum(b"12"))]
    assert model.take(deeds, b"12") == b"12"
    assert model.log == ["save", "edit 12", "save"]


def test_cells_that_were_on_already_give_way_to_the_deeds() -> None:
    model = Model(b"2", (b"0", b"1"))
    both = [deed(1, seen=checksum(b"2")), deed(2, seen=checksum(b"2"))]
    assert model.take(both, b"2") == b"0", "the second undo is not taken for one that was asked for after a click"
    assert model.log == ["undo", "undo"]


def test_a_click_alone_is_a_click() -> None:
    model = Model(b"0")
    assert model.take([], b"1") == b"1"
    assert model.take([], None) == b"1"
    assert model.log == ["edit 1"]


def test_what_was_done_is_not_done_again_when_the_browser_sends_it_again() -> None:
    ledger = Ledger()
    first, second = deed(1, "save", "a"), deed(2)
    assert ledger.new([first]) == [first]
    ledger.mark(first)
    assert ledger.new([first, second]) == [second]
    assert ledger.done == 1
    ledger.mark(second)
    assert (ledger.new([first, second]), ledger.done) == ([], 2)


def test_two_browsers_that_count_alike_both_have_their_deeds_done() -> None:
    ledger = Ledger()
    mine, yours = deed(1, "save", "mine", seen=5), deed(1, "remove", "yours", seen=5)
    ledger.mark(mine)
    assert ledger.new([yours]) == [yours]
    ledger.mark(yours)
    assert ledger.new([mine, yours, mine]) == []
    assert ledger.done == 1


def test_one_deed_is_done_once_even_if_a_message_has_it_twice() -> None:
    assert Ledger().new([deed(3), deed(3)]) == [deed(3)]


def test_what_was_done_long_ago_is_not_done_again_although_nobody_remembers_it() -> None:
    ledger = Ledger()
    for n in range(1, 5 * KEPT):
        ledger.mark(deed(n))
    assert ledger.new([deed(1), deed(2, "save", "x"), deed(5 * KEPT)]) == [deed(5 * KEPT)]
    assert len(ledger._known) <= 2 * KEPT


@given(st.data())
def test_no_click_is_lost_and_no_deed_done_twice_in_whatever_way_messages_are_merged(data: st.DataObject) -> None:
    """A browser clicks and asks; the kernel gets its messages in any merging, and answers before the next is sent."""
    model, ledger = Model(), Ledger()
    shown, deeds, asked = b"0", list[Deed](), 0
    for _ in range(data.draw(st.integers(1, 6))):
        before, clicked = shown, False
        for click in data.draw(st.lists(st.booleans(), min_size=1, max_size=5)):
            if click:
                shown, clicked = data.draw(st.sampled_from([b"1", b"2", b"3", b"4"])), True
            else:
                asked += 1
                deeds.append(deed(asked, "save", seen=checksum(shown)))
        log = len(model.log)
        model.take(ledger.new(deeds), shown if clicked else None)
        for one in deeds:
            ledger.mark(one)
        assert model.on == shown, "what was clicked last stands: saving changes nothing"
        assert len([said for said in model.log[log:] if said.startswith("edit")]) <= 1
        assert clicked or before == shown
        deeds = [one for one in deeds if one["n"] > ledger.done or data.draw(st.booleans())]  # its answer was late
    assert model.log.count("save") == asked


LLAMA = "llama with grouped-query attention"


def test_an_observer_of_what_is_saved_may_raise_and_no_click_or_undo_of_the_message_is_lost() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA), select="l0h1")

    def refuse(_: object) -> None:
        raise RuntimeError("not this one")

    grid.observe(refuse, "saved")
    seen = zlib.adler32(grid.cells)
    deeds = [
        {"n": 1, "do": "save", "name": "a", "value": "", "seen": seen},
        {"n": 2, "do": "clear", "name": "", "value": "", "seen": seen},
    ]
    clicked = pack(grid._cells.look(grid.anatomy.select("l1h2").parts)[0])
    with pytest.raises(RuntimeError, match="not this one"):
        grid.set_state({"deeds": deeds, "cells": clicked})
    assert str(grid.selection) == grid.text["selection"] == "l1h2"
    assert grid.cells == clicked
    assert (grid.history["done"], list(grid.saved)) == (2, ["a"])
