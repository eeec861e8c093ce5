"""Parts that all figures share: axes to draw in, numbers to draw, colors, ticks, and text that is drawn as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from headgrid.plots import style
from headgrid.utils import arguments
from headgrid.utils.arguments import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar
    from matplotlib.colors import Colormap

COLORS = style.SAVED
"""Of series, told apart with any color vision."""

PLAIN: dict[str, Any] = {"parse_math": False, "usetex": False}
"""Properties of a text that is drawn letter by letter: a token may hold `$`, `_` and backslashes."""


def refuse_without_matplotlib() -> None:
    """
    Raises:
        ImportError: when matplotlib is not installed.
    """
    try:
        import matplotlib.axes  # noqa: F401
    except ImportError as error:
        raise ImportError(
            "headgrid.plots draws with matplotlib, which is not installed: pip install headgrid[plots]"
        ) from error


def axes(ax: Axes | None, width: float, height: float) -> Axes:
    """`ax` itself, or without one those of a new figure of this size in inches.

    Raises:
        ImportError: when matplotlib is not installed.
        TypeError: when `ax` is something else, such as the array of several Axes that `plt.subplots` returns.
    """
    refuse_without_matplotlib()
    from matplotlib.axes import Axes

    if isinstance(ax, Axes):
        return ax
    if ax is not None:
        raise TypeError(f"ax should be one matplotlib Axes or None, not {arguments.shown(ax)}")
    import matplotlib.pyplot as plt

    made: Axes = plt.subplots(figsize=(width, height), layout="constrained")[1]
    return made


def numbers(values: Any, what: str, ndim: int) -> Floats:
    """Values as a float64 array of `ndim` axes; masked entries are NaN.

    Raises:
        TypeError: when they are not real numbers.
        ValueError: when they have another number of axes, rows of several lengths, or are none at all.
    """
    letters = {1: "[n]", 2: "[n_layers, n_heads]"}[ndim]
    found = arguments.real_numbers(what, values, f"numbers {letters}")
    if found.ndim != ndim or not found.size:
        raise ValueError(f"{what} should be {letters}, not of the shape {list(found.shape)}")
    return found


def size_of(ax: Axes) -> tuple[float, float]:
    """The width and height of the drawing area in points, as it is now."""
    ax.apply_aspect()
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    return box.width * 72 / dpi, box.height * 72 / dpi


def thinned(n: int, length: float, each: float) -> list[int]:
    """Which of 0 to n - 1 to write at an axis `length` points long, if a label takes `each` points: 17 at most."""
    steps = (1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100)
    step = next((step for step in steps if n <= 17 * step and n * each <= length * step), n)
    return list(range(0, n, step))


def color_bar(mappable: ScalarMappable, ax: Axes, label: str, extend: str = "neither") -> Colorbar:
    """A color bar as high as the drawing area, whatever its aspect, about 0.12 inches wide, with its label close by."""
    width = size_of(ax)[0] / 72
    beside = ax.inset_axes((1 + 0.1 / width, 0.0, 0.12 / width, 1.0))
    bar = ax.figure.colorbar(mappable, cax=beside, extend=extend)
    bar.set_label(label, labelpad=2, fontsize="small")
    beside.tick_params(labelsize="small", length=2, pad=2)
    bar.outline.set_linewidth(0.5)
    return bar


def color_map(diverging: bool, low: float = 0.0, high: float = 1.0) -> Colormap:
    """The colors of the widget for values, or a part of them, from `low` to `high` of 0 to 1."""
    from matplotlib.colors import LinearSegmentedColormap

    stops = [f"#{stop}" for stop in (style.DIVERGING["light"] if diverging else style.SEQUENTIAL).split()]
    name = "orange to blue" if diverging else "cividis"
    whole = LinearSegmentedColormap.from_list(name, stops)
    if (low, high) == (0.0, 1.0):
        return whole
    return LinearSegmentedColormap.from_list(f"{name} {low} to {high}", whole(np.linspace(low, high, 256)))


def font_size(name: str | float) -> float:
    """A size such as "small" in points, under the style in use."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=name).get_size_in_points()


def fitted(texts: list[str], width: float, height: float) -> float:
    """The font size at which each of the texts fits in width x height points: "small" or less, but at least 3."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    small = font_size("small")
    font = FontProperties(size=small)
    widest = max((text_to_path.get_text_width_height_descent(text, font, False)[0] for text in texts), default=0.0)
    return max(3.0, min(small, small * width / max(widest, 1e-9), height / 1.3))


def written(token: str | int, longest: int = 16) -> str:
    """A token as a figure shows it: an id as `#12`; spaces at the ends, line breaks and the like made visible.

    Characters that the fonts in use cannot draw are given by their code, as in Python's own escapes. To see them, put
    a font that has them into `plt.rcParams["font.family"]`, a list. What is longer than `longest` ends in `…`.
    """
    if not isinstance(token, str):
        return f"#{int(token)}"
    fonts = _fonts()
    ends = len(token) - len(token.lstrip(" ")), len(token.rstrip(" "))
    shown = ""
    for i, letter in enumerate(token):
        if letter == " " and not ends[0] <= i < ends[1]:
            letter = "␣"
        if not (letter.isprintable() and any(font.get_char_index(ord(letter)) for font in fonts)):
            letter = letter.encode("unicode_escape").decode()
        shown += letter
        if len(shown) > longest:
            return shown[: longest - 1] + "…"
    return shown


def formatted(values: Floats) -> list[str]:
    """Numbers with the same number of decimals each: the largest has two or three digits."""
    from matplotlib.ticker import Formatter

    reach = max((abs(float(value)) for value in values), default=0.0)
    power = int(np.floor(np.log10(reach))) if reach else 0
    form = ".1e" if not -3 < power < 4 else f".{max(0, 2 - power) if power >= 0 else 1 - power}f"
    return [Formatter.fix_minus(format(float(value), form)) for value in values]


def name_of(circuit: Any) -> str:
    """The name of a kind of circuit in a figure; "" where it has none."""
    kind = str(getattr(circuit, "kind", ""))
    return {"in": "W_in", "gate": "W_gate", "out": "W_out"}.get(kind, kind.upper())


def one_circuit(given: Any) -> Any:
    """The argument itself, unless it is a summary of several circuits: then a TypeError names them."""
    names = [name for name in ("ov", "qk", "w_in", "w_gate", "w_out") if getattr(given, name, None) is not None]
    if names:
        raise TypeError(f"a {type(given).__name__} has several circuits: pass its .{' or .'.join(names)}")
    return given


def because(circuit: Any) -> str:
    """The notes of a circuit, to end a message about what it lacks."""
    notes = getattr(circuit, "notes", ())
    return f": {'; '.join(notes)}" if notes else ""


def _fonts() -> list[Any]:
    """The fonts that a text falls back on, in order."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    found = []
    for family in FontProperties().get_family():
        try:
            found.append(get_font(findfont(FontProperties(family=family), fallback_to_default=False)))
        except ValueError:  # a family that is not installed
            continue
    return found or [get_font(findfont(FontProperties()))]
