"""The ends of a scale of colors: what is different looks different, what is alike looks alike, and it is said."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headgrid.plots.color_scale import LEVELS, levels, limits

NORMAL = np.random.default_rng(0).normal(size=400)
INF = float("inf")


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [
        ([1.0, 3.0, 2.0], 0, 3),
        ([-1.0, -3.0], -3, 0),
        ([-1.0, 3.0], -1, 3),
        ([[0.5, np.nan], [2.0, 1.0]], 0, 2),
        ([7.0], 0, 7),
        ([0.0, 0.0], 0, 1),
        ([np.nan], 0, 1),
        ([], 0, 1),
        ([True, False], 0, 1),
    ],
)
def test_the_ends_are_zero_and_the_largest_value_or_the_smallest_and_the_largest(
    values: list[float], low: float, high: float
) -> None:
    found = limits(values)
    assert (found.low, found.high) == (low, high)
    assert (found.clipped_low, found.clipped_high) == (0, 0)


@pytest.mark.parametrize("diverging", [False, True])
@pytest.mark.parametrize("n", [5, 8, 48, 1000])
@pytest.mark.parametrize("outlier", [1e2, 1e9, -1e4])
def test_one_outlier_leaves_the_others_half_of_the_colors(n: int, outlier: float, diverging: bool) -> None:
    values = np.append(np.linspace(-1 if diverging else 0, 1, n - 1), outlier)
    found = limits(values, diverging)
    assert (found.clipped_low, found.clipped_high) == ((0, 1) if outlier > 0 else (1, 0))
    assert found.said[-1].startswith("1 above, up to 1" if outlier > 0 else "1 below, down to \N{MINUS SIGN}1")
    shown = levels(values, found.low, found.high)
    assert np.ptp(shown[:-1]) >= LEVELS // 2
    assert abs(int(shown[-1]) - shown[:-1]).min() >= LEVELS // 8, "and is told apart from them"


def test_outliers_at_both_ends_are_clipped_at_both() -> None:
    found = limits([-50.0, *np.linspace(-1, 1, 21), 80.0, 90.0])
    assert (found.low, found.high, found.clipped_low, found.clipped_high) == (-2, 2, 1, 2)
    assert found.said == (
        "\N{MINUS SIGN}1 to 1", "1 below, down to \N{MINUS SIGN}50", "2 above, up to 90",
    )  # fmt: skip


@pytest.mark.parametrize("values", [NORMAL, np.abs(NORMAL), np.linspace(0, 1, 9), np.repeat([0.0, 1.0], 50)])
def test_of_values_without_outliers_none_is_clipped(values: np.ndarray) -> None:
    found = limits(values)
    assert found.low == min(0, values.min())
    assert found.high == values.max()
    assert (found.clipped_low, found.clipped_high) == (0, 0)


def test_a_few_values_that_differ_from_all_others_are_no_outliers_of_one_another() -> None:
    mostly_zero = np.zeros(100)
    mostly_zero[:6] = 1, 2, 3, 4, 5, 6
    assert limits(mostly_zero).high == 6
    assert limits([*mostly_zero, 1e6]).high == 9
    one = np.zeros(48)
    one[7] = 0.3
    assert (limits(one).low, limits(one).high) == (0, 0.3)


@pytest.mark.parametrize("from_zero", [None, True, False])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_spread_of_two_percent_is_shown_as_small_as_it_is(from_zero: bool | None, sign: int) -> None:
    values = sign * np.linspace(4.9, 5.0, 30)
    found = limits(values, from_zero=from_zero)
    assert np.ptp(levels(values, found.low, found.high)) <= LEVELS // 8
    assert found.spread == pytest.approx(0.02)
    assert "a spread of 2%" in found.said
    if from_zero is False:  # in the middle of the colors
        assert found.low + found.high == pytest.approx(values.min() + values.max())


def test_an_outlier_does_not_hide_how_narrow_the_others_are() -> None:
    values = np.append(np.linspace(4.9, 5.0, 30), 90.0)
    found = limits(values, from_zero=False)
    assert np.ptp(levels(values[:-1], found.low, found.high)) <= LEVELS // 8
    assert found.said == ("4.9 to 5", "a spread of 2%", "1 above, up to 90")


@pytest.mark.parametrize("value", [5.0, -2.0, 0.0])
@pytest.mark.parametrize("from_zero", [None, True, False])
@pytest.mark.parametrize("diverging", [False, True])
def test_equal_values_have_a_scale_that_holds_them(value: float, from_zero: bool | None, diverging: bool) -> None:
    found = limits([value] * 6, diverging, from_zero)
    assert found.low <= value <= found.high
    assert found.low < found.high
    assert found.spread == 0
    assert found.said == (f"all are {value:g}".replace("-", "\N{MINUS SIGN}"),)


def test_diverging_colors_end_equally_far_from_zero() -> None:
    found = limits([-1.0, 3.0, 0.5], True)
    assert (found.low, found.high) == (-3, 3)
    assert (limits([1.0, 2.0], True).low, limits([1.0, 2.0], True, high=5.0).low) == (-2, -5)


@pytest.mark.parametrize(
    ("low", "high", "ends", "clipped"),
    [(2, 3, (2, 3), (1, 1)), (-1, None, (-1, 4), (0, 0)), (None, 2, (0, 2), (0, 1)), (9, None, (9, 10), (2, 0))],
)
def test_given_ends_hold(low: float | None, high: float | None, ends: tuple, clipped: tuple) -> None:
    found = limits([1.0, 4.0], low=low, high=high)
    assert (found.low, found.high) == ends
    assert (found.low, found.high) == ends
    assert (found.clipped_low, found.clipped_high) == clipped


def test_a_low_end_above_the_high_one_is_refused() -> None:
    with pytest.raises(ValueError, match="low should be less than high; they are 2 and 1"):
        limits([1.0], low=2, high=1)


def test_infinite_values_are_clipped_and_do_not_stretch_the_scale() -> None:
    found = limits([1.0, 2.0, INF, -INF, INF])
    assert (found.low, found.high, found.clipped_low, found.clipped_high) == (0, 2, 1, 2)


def test_the_ends_are_those_of_the_values_whatever_their_order_and_shape() -> None:
    values = np.append(NORMAL, 1e3)
    there, back = limits(values), limits(values[::-1].copy())
    assert there == back
    assert limits(torch.tensor(values[:400]).view(20, 20)) == limits(values[:400])
