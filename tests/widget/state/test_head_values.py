"""Words for heads by the values that they are colored by: in the box, and in Python."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from grids import LLAMA, settled
from hands import ask
from hypothesis import given
from hypothesis import strategies as st
from live_grids import watched

import headgrid as hg
from headgrid.selection.lexer import SelectionError

NAN = float("nan")


def colored(name: str = "gpt2", values: object = None) -> hg.HeadGrid:
    """A grid of 3 layers of 4 heads, or of another model, in the colors of 0.0, 0.1, ... or of these values."""
    grid = hg.HeadGrid(tiny.config(name))
    grid.color_by(np.arange(12.0).reshape(3, 4) / 10 if values is None else values)
    return grid


@pytest.mark.parametrize(
    ("text", "heads"),
    [
        ("top 3", "l2h1-3"), ("TOP3", "l2h1-3"), ("bottom 2", "l0h0-1"), ("top 0", "none"), ("top 99", "l*h*"),
        ("> 0.9", "l2h2-3"), (">= 0.9", "l2h1-3"), ("\u2265 .9", "l2h1-3"), ("< 0.1", "l0h0"), ("<= 0.1", "l0h0-1"),
        ("\u22641e-1", "l0h0-1"), ("> \u22121", "l*h*"), ("top 5 - l2", "l1h3"), ("embed | top 1", "l2h3 | embed"),
        (">= 0.3 & < 0.6", "l0h3 | l1h0-1"), ("(~top 10) & l*h*", "l0h0-1"), ("top 1, bottom 1", "l0h0 | l2h3"),
    ],
)  # fmt: skip
def test_words_mean_heads_by_their_values(text: str, heads: str) -> None:
    grid = colored()
    ask(grid, 1, text)
    assert (grid.text["error"], grid.selection) == (None, grid.anatomy.select(heads))
    assert grid.anatomy.select(grid.text["selection"]) == grid.selection, "the heads are named, and no value"
    assert grid.select(text) == grid.selection


@pytest.mark.parametrize("sign", [">", ">=", "<", "<="])
def test_a_bound_is_compared_as_the_values_are_kept(sign: str) -> None:
    third = np.float32(0.1).item()  # which is larger than 0.1
    grid = colored(values=np.array([[0.0, third, 0.1, 0.2]] * 3))
    expected = {">": "l*h3", ">=": "l*h1-3", "<": "l*h0", "<=": "l*h0-2"}[sign]
    assert grid.select(f"{sign} 0.1") == grid.anatomy.select(expected)


def test_of_equal_values_those_of_earlier_layers_count_and_exactly_so_many() -> None:
    grid = colored(values=np.array([[1, 2, 2, 0], [2, NAN, 2, 0], [0, 0, 2, 1]], dtype=float))
    assert str(grid.top(3)) == str(grid.select("top 3")) == "l0h1-2 | l1h0"
    assert grid.top(2, largest=False) == grid.anatomy.select("l0h3 | l1h3")
    assert grid.top(12) == grid.anatomy.select("l*h*") - grid.anatomy.select("l1h1"), "no value is never among them"
    assert grid.where(min=2) == grid.anatomy.select("l0h1-2 | l1h[0,2] | l2h2")
    assert grid.where(min=1, max=1) == grid.anatomy.select("l0h0 | l2h3")
    assert not grid.where(max=-1)


@given(st.lists(st.sampled_from([NAN, -1.0, 0.0, 0.5, 2.0]), min_size=12, max_size=12), st.integers(0, 13))
def test_the_largest_are_those_that_sorting_gives(values: list[float], k: int) -> None:
    grid = hg.HeadGrid(ANATOMY)
    grid.color_by(np.array(values).reshape(3, 4))
    order = sorted((-value, at) for at, value in enumerate(values) if value == value)[:k]
    pairs = [divmod(at, 4) for _, at in order]
    if order:
        assert grid.top(k) == grid.anatomy.select([f"l{layer}h{head}" for layer, head in pairs])
    elif all(value != value for value in values):
        with pytest.raises(ValueError, match="no head has a value of 'values'"):
            grid.top(k)


ANATOMY = hg.dissect(tiny.config("gpt2"))


def test_heads_of_all_stacks_are_compared() -> None:
    grid = hg.HeadGrid(tiny.model("t5"))
    anatomy = grid.anatomy
    stacks = [stack for stack in anatomy.stacks if stack.n_layers]
    values = {stack.name: np.full((stack.n_layers, stack.n_heads), float(i)) for i, stack in enumerate(stacks)}
    grid.color_by(values)
    names = list(values)
    assert grid.select("> 0") == anatomy.select(" | ".join(f"{name} l*h*" for name in names[1:]))
    assert grid.top(values[names[0]].size, largest=False) == anatomy.select(f"{names[0]} l*h*")


def test_without_colors_it_is_said_what_to_do_and_nothing_changes() -> None:
    grid = hg.HeadGrid(tiny.config("gpt2"), select="l1h2")
    said = "the cells have no colors yet: color them first"
    ask(grid, 1, "l0 | top 3")
    assert said in grid.text["error"]["message"]
    assert (grid.text["error"]["start"], grid.text["error"]["end"], str(grid.selection)) == (5, 10, "l1h2")
    for deed in (lambda: grid.top(2), lambda: grid.where(min=1), lambda: grid.select("> 1")):
        with pytest.raises(ValueError, match="color them first"):
            deed()
    grid.color_by([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="no head has a value of 'values'"):
        grid.top(2)
    grid.color_by(None)
    with pytest.raises(ValueError, match=said):
        grid.where(max=3)


def test_a_bound_that_no_head_reaches_selects_nothing_and_says_the_range() -> None:
    grid = colored()
    with pytest.raises(SelectionError, match=r"no head has a value > 7: they go from 0 to 1\.1"):
        grid.select("l0 | > 7")
    with pytest.raises(ValueError, match=r"where takes a bound"):
        grid.where()


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [("top 3 | l9", 9, 10), ("l9 | top 3", 1, 2), ("top 3 l0", 6, 8), ("l0 top 3", 3, 8), ("(top 3", 0, 1),
     ("top 1 | bottom 1 | x", 19, 20), ("top 3 -", 7, 7)],
)  # fmt: skip
def test_a_fault_is_shown_at_its_place_in_what_was_typed(text: str, start: int, end: int) -> None:
    grid = colored()
    with pytest.raises(SelectionError) as caught:
        grid.select(text)
    assert (caught.value.text, caught.value.start, caught.value.end) == (text, start, end)
    assert "'('" not in caught.value.reason


def test_names_of_parameters_are_no_such_words() -> None:
    grid = colored()
    for text in ("stop 3", "x.top 3", "l*h0 topmost"):
        with pytest.raises(SelectionError):
            grid.select(text)


def test_completion_offers_them_where_there_are_values() -> None:
    grid = hg.HeadGrid(tiny.config("gpt2"))

    def offered(text: str) -> dict[str, str]:
        grid.set_state({"complete": {"n": grid.complete["n"] + 1, "text": text, "at": len(text)}})
        return {item["text"]: item["note"] for item in grid.completions["items"]}

    assert not offered("top")
    grid.color_by(np.arange(12.0).reshape(3, 4) / 10, label="share")
    assert offered("to")["top 4"] == "the 4 heads with the largest share"
    assert offered("l0 | bottom 1") == {"bottom 1": "the 1 head with the smallest share"}
    assert offered(">") == {">= 0.8": "4 heads by share"}
    assert offered("<") == {"<= 0.3": "4 heads by share"}
    assert [*offered("")][-4:] == ["top 4", "bottom 4", ">= 0.8", "<= 0.3"]
    assert len(offered("")) <= 12
    assert not offered("(l0) ")
    for word in ("top 4", ">= 0.8"):
        assert grid.select(word) == grid.anatomy.select("l2h*")


def test_in_a_large_model_ten_are_offered() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA))
    n = grid.anatomy.main.n_heads * grid.anatomy.main.n_layers
    grid.color_by(np.arange(float(n)).reshape(grid.anatomy.main.n_layers, -1))
    assert grid._state.head_values.offered("top")[0][0] == (f"top {10 if n >= 20 else n // 3}")


def test_what_is_selected_so_can_be_undone_and_does_not_follow_other_colors() -> None:
    grid = watched(select="l1h2")
    grid.color_by([[1.0, 2, 3, 4], [5, 6, 7, 8]])
    ask(grid, 1, "top 2")
    assert (settled(grid).text["selection"], grid.text["counts"]) == ("l1h2-3", "2 heads")
    grid.color_by([[8.0, 7, 3, 4], [5, 6, 2, 1]])
    assert str(grid.selection) == "l1h2-3"
    assert str(grid.undo()) == "l1h2"
