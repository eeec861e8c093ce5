from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch

from headgrid.utils import arguments

ONES = [1, np.int64(1), np.uint8(1), np.array(1), torch.tensor(1), torch.tensor(1, dtype=torch.int8)]
TRUTHS = [True, np.bool_(True), np.array(True), torch.tensor(True)]


def refused(of: Callable[[], Any], kind: type[Exception] | tuple[type[Exception], ...] = TypeError) -> str:
    """The first line of the refusal."""
    with pytest.raises(kind) as caught:
        of()
    return str(caught.value).split("\n")[0]


def used_up() -> Iterator[str]:
    found = iter(["q"])
    list(found)
    return found


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_what_is_shown_is_short_on_one_line_and_without_control_characters() -> None:
    assert arguments.shown("l0h1") == "'l0h1'"
    assert arguments.shown(torch.zeros(2, 3)) == "a tensor of shape [2, 3] and float32"
    assert arguments.shown(np.zeros(2)) == "an array of shape [2] and float64"
    assert arguments.shown(torch.nn.Linear(2, 3)) == "a Linear"
    assert arguments.shown(Unprintable()).startswith("<Unprintable")
    for long in ("x" * 10**6, list(range(10**6)), {"a": "b" * 10**6}, 10**5000, "\x1b[31m" * 99, [["\n"] * 99] * 99):
        said = arguments.shown(long)
        assert 0 < len(said) <= 160
        assert said.isprintable()


def test_a_flag_is_a_truth_and_nothing_that_counts_as_one() -> None:
    assert arguments.flag("log", True) is True
    assert arguments.flag("log", np.bool_(False)) is False
    for wrong in (None, 0, 1, "", "yes", [], torch.tensor(True), np.array(True)):
        assert refused(lambda wrong=wrong: arguments.flag("log", wrong)).startswith("log is True or False, not ")


def test_an_integer_is_that_of_any_library_and_no_truth_or_float() -> None:
    for one in ONES:
        found = arguments.integer("k", one)
        assert found == 1
        assert type(found) is int
    for wrong in (*TRUTHS, 1.0, np.float32(1), torch.tensor(1.0), "1", None, [1], np.array([1]), 1j, Fraction(1)):
        assert "k is a whole number, not" in refused(lambda wrong=wrong: arguments.integer("k", wrong))


def test_an_integer_out_of_range_is_a_wrong_value_and_the_range_is_said() -> None:
    assert arguments.integer("k", 3, least=3, below=4) == 3
    assert refused(lambda: arguments.integer("k", 2, least=3), ValueError) == "k is a whole number of at least 3, not 2"
    assert refused(lambda: arguments.integer("k", 9, below=9), ValueError) == "k is a whole number below 9, not 9"
    said = refused(lambda: arguments.integer("k", 9, least=0, below=9, what="a layer"), ValueError)
    assert said == "k is a layer from 0 to 8, not 9"
    assert refused(lambda: arguments.integer("k", 10**5000, below=9), ValueError).startswith(
        "k is a whole number below"
    )
    assert "there is none" in refused(lambda: arguments.integer("k", 0, least=0, below=0), ValueError)


def test_a_number_is_real_and_finite_unless_infinite_ones_are_asked_for() -> None:
    for half in (0.5, np.float16(0.5), torch.tensor(0.5), np.array(0.5), Fraction(1, 2)):
        found = arguments.number("z", half)
        assert found == 0.5
        assert type(found) is float
    assert arguments.number("z", -math.inf, finite=False) == -math.inf
    assert arguments.number("z", 10**5000, finite=False) == math.inf
    for wrong in (math.nan, math.inf, torch.tensor(math.nan), 10**5000):
        assert "z is a finite number, not" in refused(lambda wrong=wrong: arguments.number("z", wrong), ValueError)
    assert "z is a number, not nan" in refused(lambda: arguments.number("z", math.nan, finite=False), ValueError)
    assert "of at least 0, not -1" in refused(lambda: arguments.number("z", -1, least=0), ValueError)
    for wrong in (*TRUTHS, "1", None, 1j, torch.tensor(1j), [0.5], torch.empty((), device="meta")):
        assert "z is a number, not" in refused(lambda wrong=wrong: arguments.number("z", wrong))


def test_a_truth_is_told_from_numbers() -> None:
    assert all(map(arguments.is_truth, (*TRUTHS, False)))
    assert not any(map(arguments.is_truth, (*ONES, 0, None, "", [True], np.array([True]))))


def test_a_text_is_a_plain_one() -> None:
    assert type(arguments.text("label", np.str_("x"))) is str
    for wrong in (None, 5, b"x", ["x"], object()):
        assert refused(lambda wrong=wrong: arguments.text("label", wrong)).startswith("label is a text, not ")


def test_one_of_a_few_words_tells_a_wrong_word_from_a_wrong_kind() -> None:
    assert arguments.one_of("ln", "raw", ("folded", "raw")) == "raw"
    said = refused(lambda: arguments.one_of("ln", "fold", ("folded", "raw")), ValueError)
    assert said == "ln is 'folded' or 'raw', not 'fold'"
    for wrong in (None, True, ["raw"], np.array(["raw", "raw"]), torch.ones(2)):
        assert "ln is 'folded' or 'raw', not" in refused(
            lambda wrong=wrong: arguments.one_of("ln", wrong, ("folded", "raw"))
        )


def test_some_of_a_few_words_are_one_alone_or_a_list_in_its_order_without_repeats() -> None:
    def some(value: Any) -> tuple[str, ...]:
        return arguments.some_of("kinds", value, ("q", "k", "v"))

    assert some("k") == ("k",)
    assert some(["v", "q", "v"]) == ("v", "q")
    assert some(iter("qk")) == ("q", "k")
    assert refused(lambda: some([]), ValueError) == "kinds is empty: it is a list of some of 'q', 'k', 'v'"
    assert "it may be used up" in refused(lambda: some(used_up()), ValueError)
    assert refused(lambda: some(["q", "x"]), ValueError) == "each of kinds is 'q', 'k' or 'v', not 'x'"
    for wrong in (None, 5, b"q", {"q": 1}, torch.tensor(1), str, [5]):
        refused(lambda wrong=wrong: some(wrong))


def test_items_may_be_none_where_that_is_said_but_no_iterator_gives_nothing() -> None:
    assert arguments.items("marks", (1, 2), "a list of names") == [1, 2]
    assert arguments.items("marks", [], "a list of names", empty=True) == []
    assert "marks is empty" in refused(lambda: arguments.items("marks", set(), "a list of names"), ValueError)
    said = refused(lambda: arguments.items("marks", used_up(), "a list of names", empty=True), ValueError)
    assert "list_iterator gives nothing" in said
    for wrong in ("names", b"names", {"a": 1}, None, list, np.array(1), torch.tensor(1)):
        assert "marks is a list of names, not" in refused(
            lambda wrong=wrong: arguments.items("marks", wrong, "a list of names")
        )


def test_an_object_of_a_class_is_not_the_class() -> None:
    module = torch.nn.Linear(2, 3)
    assert arguments.model(module) is module
    assert arguments.of_kind("it", 5, (int, str), "a number") == 5
    for wrong in (torch.nn.Linear, None, "gpt2", {}):
        assert refused(lambda wrong=wrong: arguments.model(wrong)).startswith("model is a model of transformers")


def test_a_function_is_what_can_be_called() -> None:
    assert arguments.function("cancelled", None, "a function") is None
    assert arguments.function("cancelled", len, "a function") is len
    assert arguments.progress(None) is False
    assert arguments.progress(np.bool_(True)) is True
    assert arguments.progress(print) is print
    for wrong in (5, "yes", [], torch.tensor(True)):
        assert "cancelled is a function, or None, not" in refused(
            lambda wrong=wrong: arguments.function("cancelled", wrong, "a function")
        )
        assert "progress is True, False or a function" in refused(lambda wrong=wrong: arguments.progress(wrong))


def test_a_dtype_is_one_in_which_weights_can_be_read() -> None:
    assert arguments.dtype("dtype", torch.bfloat16) is torch.bfloat16
    for wrong in (torch.int64, torch.bool, torch.complex64, torch.float8_e4m3fn):
        assert "dtype of floating-point numbers" in refused(
            lambda wrong=wrong: arguments.dtype("dtype", wrong), ValueError
        )
    for wrong in ("float32", np.float32, None, float):
        assert "dtype is a dtype such as torch.float32" in refused(lambda wrong=wrong: arguments.dtype("dtype", wrong))


def test_a_device_is_one_that_is_here() -> None:
    assert arguments.device("device", "cpu") == torch.device("cpu")
    assert arguments.device("device", torch.device("meta")).type == "meta"
    for wrong in ("nonsense", "", "hpu:7", "cpu:x", "\ud800", *(() if torch.cuda.is_available() else ("cuda",))):
        assert "torch can use here" in refused(lambda wrong=wrong: arguments.device("device", wrong), ValueError)
    for wrong in (0, True, None, ["cpu"]):
        assert "device is a device such as" in refused(lambda wrong=wrong: arguments.device("device", wrong))


def test_real_numbers_come_from_any_library_with_nan_where_one_is_missing() -> None:
    def real(value: Any) -> Any:
        return arguments.real_numbers("values", value, "numbers [n]")

    masked = np.ma.masked_array([1, 2], mask=[False, True])
    for given in ([1, None], masked, [1.0, math.nan], (1, math.nan), np.array([1, None], dtype=object)):
        found = real(given)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [1, math.nan])
    bf16 = torch.tensor([0.5, 3.0], dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(real(bf16), [0.5, 3.0])
    np.testing.assert_array_equal(real([10**5000, 0, None, math.nan]), [math.inf, 0, math.nan, math.nan])
    assert real(torch.ones(2, dtype=torch.bool)).tolist() == [1, 1]
    for wrong in (["1", "2"], "12", b"12", [1j], torch.ones(2) * 1j, object(), None, [object()], {}, {1}, iter([1])):
        assert "values should be numbers [n]" in refused(lambda wrong=wrong: real(wrong), (TypeError, ValueError))
    assert "all rows of one length" in refused(lambda: real([[1.0], [1.0, 2.0]]), ValueError)
    assert "meta device" in refused(lambda: real(torch.empty(2, device="meta")), ValueError)
