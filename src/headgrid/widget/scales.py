"""The colours that stand for values: the stops of `js/src/scales.ts`, so that a picture and the widget agree."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

CIVIDIS = "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838"
"""Nuñez, Anderton and Renslow 2018."""

DIVERGING = "08478f 2f7cc0 8bbce0 eff1f3 f5b97a d9731f 8f3a05"
"""Blue below zero, orange above it, on a light ground."""

LEVELS = 64


def colours(diverging: bool) -> list[str]:
    """`LEVELS + 1` evenly spaced colours from low to high, as `#rrggbb`."""
    text = (DIVERGING if diverging else CIVIDIS).split()
    stops = np.array([[int(stop[i : i + 2], 16) for i in (0, 2, 4)] for stop in text], dtype=float)
    at = np.linspace(0, len(stops) - 1, LEVELS + 1)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, i]) for i in range(3)], axis=1)
    return [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in np.floor(mixed + 0.5).astype(int)]


def levels(values: npt.NDArray[np.floating], low: float, high: float) -> npt.NDArray[np.intp]:
    """Which of the colours each value has, in its own shape; the middle where all values are the same; -1 for NaN."""
    at = np.clip((values - low) / (high - low), 0, 1) if high > low else np.full(values.shape, 0.5)
    return np.where(np.isnan(values), -1, np.floor(np.nan_to_num(at) * LEVELS + 0.5)).astype(np.intp)


def ink(colour: str) -> str:
    """Black or white: what has more contrast upon this colour, by the luminance that WCAG defines."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in parts)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"
