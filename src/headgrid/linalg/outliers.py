"""Outliers by Tukey's fences (Exploratory Data Analysis, 1977)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FAR = 3.0
"""Interquartile ranges: what lies farther beyond the quartiles is an outlier, one of Tukey's far-out values."""


def outer_fences(values: npt.NDArray[np.floating]) -> tuple[float, float]:
    """The outer fences of some numbers: three interquartile ranges below the first quartile and above the third."""
    first, third = np.quantile(values, (0.25, 0.75))
    far = FAR * (third - first)
    return float(first - far), float(third + far)
