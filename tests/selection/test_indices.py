"""Heads that are given as numbers: what means one thing is taken, what could mean two is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from transformers import GPT2Config

import headgrid as hg

anatomy = hg.dissect(tiny.model("llama with grouped-query attention"))  # 3 layers of 6 heads
score = np.zeros((3, 6), np.float32)
score[1, 2], score[0, 5] = 0.9, 0.7
WANTED = "l0h5 | l1h2"


class Table:
    """What a DataFrame is to us: values that numpy reads, and labels of rows and columns."""

    def __init__(self, values: Any, index: list[Any], columns: list[Any]) -> None:
        self.values, self.index, self.columns = values, index, columns

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.asarray(self.values, dtype)


TAKEN: dict[str, Callable[[], object]] = {
    "numpy booleans": lambda: score > 0.4,
    "torch booleans": lambda: torch.tensor(score) > 0.4,
    "booleans of a transposed array": lambda: (score.T > 0.4).T,
    "nonzero of torch": lambda: (torch.tensor(score) > 0.4).nonzero(),
    "nonzero of torch as a tuple": lambda: (torch.tensor(score) > 0.4).nonzero(as_tuple=True),
    "argwhere": lambda: np.argwhere(score > 0.4),
    "argwhere as unsigned bytes": lambda: np.argwhere(score > 0.4).astype(np.uint8),
    "nonzero of numpy": lambda: np.nonzero(score > 0.4),
    "where": lambda: np.where(score > 0.4),
    "rows of argwhere": lambda: list(np.argwhere(score > 0.4)),
    "rows of nonzero": lambda: list((torch.tensor(score) > 0.4).nonzero()),
    "lists of lists": lambda: [[1, 2], [0, 5]],
    "tolist of nonzero": lambda: (torch.tensor(score) > 0.4).nonzero().tolist(),
    "a set of pairs": lambda: {(1, 2), (0, 5)},
    "a tuple of pairs": lambda: ((1, 2), (0, 5)),
    "pairs of numpy's integers": lambda: [(np.int64(1), np.int32(2)), (np.uint8(0), 5)],
    "pairs of tensors": lambda: [(torch.tensor(1), torch.tensor(2)), (0, 5)],
    "zip of nonzero": lambda: zip(*np.nonzero(score > 0.4), strict=True),
    "a generator": lambda: (pair for pair in [(1, 2), (0, 5)]),
    "keys of a dictionary": lambda: {(1, 2): 0.9, (0, 5): 0.7}.keys(),
    "heads_to_prune": lambda: {1: [2], 0: [5]},
    "heads of layers as sets, ranges and arrays": lambda: {1: {2}, 0: range(5, 6), 2: np.array([], int)},
    "texts and pairs": lambda: ["1.2", (0, 5)],
    "an array of texts": lambda: np.array(["L1H2", "L0H5"]),
    "an array of objects": lambda: np.array(["L1H2", "L0H5"], dtype=object),
    "arrays in a list": lambda: [score > 0.8, np.array([[0, 5]])],
    "a table of booleans": lambda: Table(score > 0.4, [0, 1, 2], [0, 1, 2, 3, 4, 5]),
    "a table of pairs": lambda: Table([[1, 2], [0, 5]], ["best", "second"], ["layer", "head"]),
}


@pytest.mark.parametrize("what", TAKEN.values(), ids=TAKEN)
def test_heads_are_taken_in_every_form_that_means_one_thing(what: Callable[[], Any]) -> None:
    assert anatomy.select(what()) == anatomy.select(WANTED)
    grid = hg.HeadGrid(anatomy)
    grid.select(what())
    assert grid.selection == anatomy.select(WANTED)


def test_a_data_frame_is_read_by_position_and_refused_when_its_labels_say_otherwise() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(score > 0.4)
    assert anatomy.select(frame) == anatomy.select(WANTED)
    pairs = pandas.DataFrame({"layer": [1, 0], "head": [2, 5], "score": [0.9, 0.7]})
    assert anatomy.select(pairs[["layer", "head"]]) == anatomy.select(WANTED)
    assert anatomy.select(pandas.Series(["l1h2", "l0h5"])) == anatomy.select(WANTED)
    with pytest.raises(ValueError, match="its labels are not 0, 1, 2"):
        anatomy.select(frame.iloc[[1, 0, 2]])


def test_nothing_in_an_array_a_list_or_a_set_is_nothing() -> None:
    for nothing in ([], (), set(), np.zeros((3, 6), bool), np.argwhere(score > 2), np.nonzero(score > 2), {1: []}):
        assert anatomy.select(nothing) == anatomy.select("none")


def exhausted() -> Iterator[tuple[int, int]]:
    heads = (head for head in [(1, 2)])
    list(heads)
    return heads


REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "scores": (lambda: score, "scores > 0.4"),
    "scores of torch in half precision": (lambda: torch.tensor(score).bfloat16(), "scores > 0.4"),
    "numbers of the heads' shape": (lambda: (score > 0.4).astype(int), "give booleans"),
    "a square of integers": (lambda: np.eye(4, dtype=int), r"\[k, 2\]"),
    "booleans of one layer": (lambda: score[:1] > 0.4, r"here \[3, 6\], not \[1, 6\]"),
    "booleans of one row": (lambda: score[0] > 0.4, r"here \[3, 6\], not \[6\]"),
    "booleans of one column": (lambda: score[:, :1] > 0.4, r"here \[3, 6\], not \[3, 1\]"),
    "booleans turned": (lambda: score.T > 0.4, r"turn it, \.T"),
    "booleans with an axis more": (lambda: score[None] > 0.4, r"not \[1, 3, 6\]"),
    "one boolean": (lambda: np.array(True), r"here \[3, 6\], not \[\]"),
    "nonzero stacked": (lambda: np.stack(np.nonzero(score > -1)), r"\[k, 2\]"),
    "one row of argwhere": (lambda: np.array([1, 2]), r"a pair, \(layer, head\)"),
    "masked entries": (lambda: np.ma.masked_array(score > 0.4, score < 0.1), r"\.filled\(False\)"),
    "a sparse tensor": (lambda: (torch.tensor(score) > 0.4).to_sparse(), "no plain array"),
    "a tensor without values": (lambda: torch.zeros(3, 6, dtype=torch.bool, device="meta"), "no plain array"),
    "complex numbers": (lambda: score + 1j, "cannot be selected"),
    "nonzero of unequal length": (lambda: (np.array([1]), np.array([2, 3])), "as many"),
    "a pair with True": (lambda: (0, True), "cannot be selected"),
    "a list with a pair with True": (lambda: [(0, True)], "cannot be selected"),
    "pairs of booleans": (lambda: ((True, False), (False, True)), "cannot be selected"),
    "rows of booleans": (lambda: (score > 0.4).tolist(), "cannot be selected"),
    "a number": (lambda: 3, "'l3h7'"),
    "a number with a point": (lambda: 9.9, "'l3h7'"),
    "True": (lambda: True, "cannot be selected"),
    "numpy's integer": (lambda: np.int64(3), "cannot be selected"),
    "a tensor of one number": (lambda: torch.tensor(3), r"\[k, 2\]"),
    "a list of numbers": (lambda: [1, 2], "could be layers or heads"),
    "three numbers": (lambda: (1, 2, 3), "could be layers or heads"),
    "a pair with a fraction": (lambda: (1, 2.5), "could be layers or heads"),
    "a pair of fractions": (lambda: (1.0, 2.0), "cannot be selected"),
    "a triple in a list": (lambda: [(1, 2, 3)], "could be layers or heads"),
    "nothing": (lambda: None, "cannot be selected"),
    "nothing in a list": (lambda: ["l0", None], "cannot be selected"),
    "bytes": (lambda: b"l1h2", "cannot be selected"),
    "a class": (lambda: np.ndarray, "cannot be selected"),
    "an exhausted generator": (exhausted, "nothing left in it"),
    "an empty dictionary": (dict, "layer -> list of heads"),
    "masks": (lambda: anatomy.select("l1h2").masks(), "layer -> list of heads"),
    "scores by head": (lambda: {(1, 2): 0.9}, "layer -> list of heads"),
    "a dictionary of numbers": (lambda: {1: 2}, "layer -> list of heads"),
    "a dictionary of booleans": (lambda: {1: [True]}, "layer -> list of heads"),
    "a dictionary of texts": (lambda: {1: "2"}, "layer -> list of heads"),
    "a table in another order": (lambda: Table(score > 0.4, [2, 1, 0], list(range(6))), "its labels are not"),
    "a head that is not there": (lambda: (0, 6), "there is no head 6"),
    "a layer that is not there": (lambda: np.array([[3, 0]]), "there is no layer 3"),
    "a layer from the end": (lambda: (-1, 0), "there is no layer -1"),
    "a head from the end": (lambda: np.array([[0, -1]]), "there is no head -1"),
    "a huge head": (lambda: (0, 10**30), "there is no head"),
}


@pytest.mark.parametrize(("what", "said"), REFUSED.values(), ids=REFUSED)
def test_what_could_mean_two_things_or_nothing_is_refused_at_the_call(what: Callable[[], Any], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said) as caught:
        anatomy.select(what())
    assert len(str(caught.value)) < 600


def test_zeros_and_ones_of_two_heads_could_be_rows_of_pairs_and_booleans_could_not() -> None:
    two = hg.dissect(GPT2Config(n_layer=2, n_head=2, n_embd=8))
    with pytest.raises(ValueError, match="could say which heads, or be rows of a layer and a head"):
        two.select(np.array([[0, 1], [1, 1]]))
    assert two.select(np.array([[False, True], [True, True]])) == two.select("l0h1 | l1h*")
    assert anatomy.select(np.array([[0, 1], [1, 1]])) == anatomy.select("l0h1 | l1h1")


def test_layers_without_heads_cannot_be_chosen_by_arrays() -> None:
    hybrid = hg.dissect(tiny.model("lfm2"))  # heads in layer 1 only
    chosen = np.zeros((hybrid.n_layers, hybrid.n_heads), bool)
    chosen[1, 2] = True
    assert hybrid.select(chosen) == hybrid.select("l1h2")
    chosen[0, 1] = True
    with pytest.raises(hg.SelectionError, match="layer 0 of this model has no such piece"):
        hybrid.select(chosen)


def test_arrays_are_of_the_language_model_and_refused_where_no_stack_is_the_main_one() -> None:
    llava = hg.dissect(tiny.model("llava"))
    chosen = np.zeros((llava.n_layers, llava.n_heads), bool)
    chosen[2, 5] = True
    assert llava.select(chosen) == llava.select("text l2h5")
    with pytest.raises(ValueError, match="there is none: write 'encoder l1h2'"):
        hg.dissect(tiny.model("t5")).select(np.ones((2, 4), bool))
