"""Commands: what is to be done once, however a busy kernel merges the messages that ask for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import tiny
from hands import Browser, cell, command
from hypothesis import given
from hypothesis import strategies as st

import headgrid as hg
from headgrid.widget.wire.commands import REMEMBERED, Ledger, ParsedCommand, cells_of
from headgrid.widget.wire.schema import Command, pack


def new(ledger: Ledger, commands: list[Command]) -> list[Command]:
    return [parsed.command for parsed in ledger.new(map(ParsedCommand, commands))]


def test_the_cells_of_a_command_are_a_piece_of_their_bits() -> None:
    assert cells_of("1:CAE=", 4) == b"\0\x08\x01\0"
    assert cells_of("", 2) == b"\0\0"
    for bad in ("CAE=", ":CAE=", "1:l0 h1", "x:", "-1:CAE=", "3:CAE=", "5:", "9" * 40 + ":"):
        with pytest.raises(ValueError, match=r"byte|base64|character"):
            cells_of(bad, 4)


def test_what_was_done_is_not_done_again_when_the_browser_sends_it_again() -> None:
    ledger = Ledger()
    first, second = command(1, "save", "a"), command(2)
    assert new(ledger, [first]) == [first]
    ledger.mark(first)
    assert new(ledger, [first, second]) == [second]
    assert ledger.done == 1
    ledger.mark(second)
    assert (new(ledger, [first, second]), ledger.done) == ([], 2)


def test_two_browsers_that_count_alike_both_have_their_commands_done() -> None:
    ledger = Ledger()
    mine, yours = command(1, "undo", by="one"), command(1, "undo", by="two")
    ledger.mark(mine)
    assert new(ledger, [yours]) == [yours]
    ledger.mark(yours)
    assert new(ledger, [mine, yours, mine]) == []
    assert ledger.done == 1


def test_one_command_is_done_once_even_if_a_message_has_it_twice() -> None:
    assert new(Ledger(), [command(3), command(3)]) == [command(3)]


def test_what_was_done_long_ago_is_not_done_again_although_nobody_remembers_it() -> None:
    ledger = Ledger()
    for n in range(1, 5 * REMEMBERED):
        ledger.mark(command(n))
    assert new(ledger, [command(1), command(2, "save", "x"), command(5 * REMEMBERED)]) == [command(5 * REMEMBERED)]
    assert len(ledger._known) <= 2 * REMEMBERED


WORDS = ["l0h1", "l0h3", "l1h2", "l1 mlp"]
GPT2 = hg.dissect(tiny.config("gpt2"))


class Intents:
    """What the hands at a browser want, one after the other: an oracle that knows neither bits nor messages."""

    def __init__(self) -> None:
        self.on, self.past = frozenset[str](), list[frozenset[str]]()

    def change(self, on: frozenset[str]) -> None:
        if on != self.on:
            self.past.append(self.on)
            self.on = on

    def switch(self, word: str, state: bool) -> None:
        self.change(self.on | {word} if state else self.on - {word})

    def undo(self) -> None:
        if self.past:
            self.on = self.past.pop()


CHOOSING = ("query", "only", "python")
STEPS = ["click", "click", "undo", "query", "only", "python", "post", "hear"]


@pytest.mark.slow
@given(st.data())
def test_hands_get_what_they_want_in_whatever_way_messages_are_merged(data: st.DataObject) -> None:
    """The kernel gets messages in any merging, its answers come late, and Python selects in between."""
    grid, intents = hg.HeadGrid(GPT2), Intents()
    browser, answers = Browser(grid), list[tuple[bytes, int]]()
    wanted = list[Callable[[], None]]()  # what is on its way to the kernel

    def post() -> None:
        browser.post()
        while wanted:
            wanted.pop(0)()
        answers.append((grid.cells, grid.history["done"]))

    for step in data.draw(st.lists(st.sampled_from(STEPS), max_size=30)):
        words = frozenset(data.draw(st.lists(st.sampled_from(WORDS), unique=True))) if step in CHOOSING else frozenset()
        match step:
            case "click":
                word = data.draw(st.sampled_from(WORDS))
                wanted.append(partial(intents.switch, word, not browser.on[cell(grid, word)]))
                browser.click(word)
            case "undo":
                browser.ask("undo")
                wanted.append(intents.undo)
            case "query":
                browser.ask("query", value=" | ".join(words) or "none")
                wanted.append(partial(intents.change, words))
            case "only":
                browser.only(*words)
                wanted.append(partial(intents.change, words))
            case "python":
                grid.select(sorted(words))
                intents.change(words)
                answers.append((grid.cells, grid.history["done"]))
            case "post":
                post()
            case "hear" if answers:
                browser.hear(*answers.pop(0))
    post()
    for answer in answers:
        browser.hear(*answer)
    assert grid.selection == grid.anatomy.select(sorted(intents.on))
    assert (pack(browser.on), browser.waiting) == (grid.cells, [])
    grid.close()


LLAMA = "llama with grouped-query attention"


def test_an_observer_of_what_is_saved_may_raise_and_no_click_or_undo_of_the_message_is_lost() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA), select="l0h1")

    def refuse(_: object) -> None:
        raise RuntimeError("not this one")

    grid.observe(refuse, "saved")
    browser = Browser(grid)
    browser.click("l1h2")
    browser.ask("save", "a")
    browser.ask("undo")
    browser.click("l2h0")
    with pytest.raises(RuntimeError, match="not this one"):
        browser.post()
    assert str(grid.selection) == grid.text["selection"] == "l0h1 | l2h0"
    assert (grid.history["done"], str(grid.saved["a"])) == (4, "l0h1 | l1h2")
