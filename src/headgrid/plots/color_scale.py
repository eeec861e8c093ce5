"""The scale of colors that stands for values: between which ends it goes, and which color each value has.

The ends are chosen here for the widget and for figures; the stops are those of `style`, which the widget reads too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from headgrid.linalg.outliers import outer_fences
from headgrid.plots.style import DIVERGING, LEVELS, SEQUENTIAL
from headgrid.utils.arguments import Floats

ROOM = 0.5
"""How far an end may go beyond all values that are no outliers, as a part of their own range."""

NARROW = 0.2
"""The least width of a scale that does not hold zero, as a part of the largest value: less is not stretched to it."""


@dataclass(frozen=True)
class Limits:
    """Between which ends a scale of colors goes, and what of the values it shows.

    Attributes:
        low, high: the ends, `low < high`.
        clipped_low, clipped_high: how many values lie beyond each, infinite ones among them.
        spread: of the values within: their largest less their smallest, as a part of the largest in size; 0 for none.
        least, most: the smallest and the largest of all values; NaN for none.
        inner: the smallest and the largest of the values within.
    """

    low: float
    high: float
    clipped_low: int
    clipped_high: int
    spread: float
    least: float
    most: float
    inner: tuple[float, float]

    @property
    def said(self) -> tuple[str, ...]:
        """Remarks of a legend beside the ends: `4.98 to 5.08`, `a spread of 2%`, `1 above, up to 30.1`; () for none."""
        found = []
        if self.inner[0] < self.inner[1]:
            found.append(f"{_short(self.inner[0])} to {_short(self.inner[1])}")
            if self.spread < 0.5:
                found.append(f"a spread of {100 * self.spread:.2g}%")
        elif self.inner[0] == self.inner[1]:
            found.append(f"all are {_short(self.inner[0])}")
        if self.clipped_low:
            found.append(f"{self.clipped_low} below, down to {_short(self.least)}")
        if self.clipped_high:
            found.append(f"{self.clipped_high} above, up to {_short(self.most)}")
        return tuple(found)


def limits(
    values: npt.ArrayLike,
    diverging: bool = False,
    from_zero: bool | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Limits:
    """The ends of a scale that shows values as different as they are.

    A few outliers do not take the contrast from all others: the ends go beyond the rest by half its range at most, and
    what lies farther is clipped, which a legend should say. A narrow range is not stretched: values of one sign are
    shown from zero; otherwise the scale is a fifth of the largest value wide, or more.

    Args:
        values: numbers of any shape, NaN where one is missing.
        diverging: whether colors go two ways from zero, equally far.
        from_zero: whether zero is an end of the scale; by default where no two values have different signs.
        low, high: ends that are given; of diverging colors the larger one in size counts for both.

    Raises:
        ValueError: when both are given and `low` is not below `high`.
    """
    if low is not None and high is not None and not low < high:
        raise ValueError(f"low should be less than high; they are {low} and {high}")
    every = np.asarray(values, dtype=np.float64).ravel()
    every = every[~np.isnan(every)]
    finite = every[np.isfinite(every)]
    if diverging:
        given = [abs(end) for end in (low, high) if end is not None]
        reach = max(given) if given else _ends(np.abs(finite), True)[1]
        low, high = -(reach or 1.0), reach or 1.0
    else:
        least, most = _ends(finite, from_zero)
        low, high = _apart(low, high, least, most)
    inner = finite[(finite >= low) & (finite <= high)]
    of = (float(inner.min()), float(inner.max())) if inner.size else (np.nan, np.nan)
    size = max(map(abs, of))
    return Limits(
        low=low,
        high=high,
        clipped_low=int((every < low).sum()),
        clipped_high=int((every > high).sum()),
        spread=(of[1] - of[0]) / size if size > 0 else 0.0,
        least=float(every.min()) if every.size else np.nan,
        most=float(every.max()) if every.size else np.nan,
        inner=of,
    )


def _ends(finite: Floats, from_zero: bool | None) -> tuple[float, float]:
    """The ends by the values alone."""
    if not finite.size:
        return 0.0, 1.0
    least, most = float(finite.min()), float(finite.max())
    if from_zero is None:
        from_zero = least >= 0 or most <= 0
    usual = _usual(finite)
    low, high = float(usual.min()), float(usual.max())
    if from_zero:
        low, high, least, most = min(low, 0.0), max(high, 0.0), min(least, 0.0), max(most, 0.0)
    elif (lacking := NARROW * max(abs(low), abs(high)) - (high - low)) > 0:
        low, high = low - lacking / 2, high + lacking / 2
    room = ROOM * (high - low)
    return min(low, max(least, low - room)), max(high, min(most, high + room))


def _usual(finite: Floats) -> Floats:
    """The values but for outliers; of four or fewer nobody can say which is one."""
    sample = finite
    for _ in range(2):  # where most values are one and the same, those that are not say how far values lie apart
        if sample.size < 5:
            return finite
        low, high = outer_fences(sample)
        if low < high:
            within: Floats = finite[(finite >= low) & (finite <= high) | ~np.isin(finite, sample)]
            return within
        sample = finite[finite != low]
    return finite


def _apart(low: float | None, high: float | None, least: float, most: float) -> tuple[float, float]:
    """The ends, given or not; one apart where all values are equal, or beyond the end that is given."""
    start, end = least if low is None else low, most if high is None else high
    if start < end:
        return start, end
    return (start, start + 1.0) if high is None else (end - 1.0, end)


def _short(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")


def colors(diverging: bool) -> list[str]:
    """`LEVELS + 1` evenly spaced colors from low to high, as `#rrggbb`."""
    text = (DIVERGING["light"] if diverging else SEQUENTIAL).split()
    stops = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in text], dtype=float)
    at = np.linspace(0, len(stops) - 1, LEVELS + 1)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)], axis=1)
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in np.floor(mixed + 0.5).astype(int)]


def levels(values: npt.NDArray[np.floating], low: float, high: float) -> npt.NDArray[np.intp]:
    """Which of the colors each value has, in its own shape; the middle where all values are the same; -1 for NaN."""
    at = np.clip((values - low) / (high - low), 0, 1) if high > low else np.full(values.shape, 0.5)
    return np.where(np.isnan(values), -1, np.floor(np.nan_to_num(at) * LEVELS + 0.5)).astype(np.intp)


def ink(color: str) -> str:
    """Black or white: what has more contrast upon this color, by the luminance that WCAG defines."""
    parts = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in parts)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"
