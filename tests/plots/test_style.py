"""The one description of the look: what is generated from it, and what it promises to eyes."""

from __future__ import annotations

from pathlib import Path

import pytest

from headgrid.plots import style

JS = Path(__file__).parents[2] / "js" / "src"


def luminance(color: str) -> float:
    """As WCAG 2.2 defines it."""
    parts = (int(color[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_what_the_widget_reads_is_generated_from_it() -> None:
    assert (JS / "model" / "style.ts").read_text() == style.typescript(), "style.ts has drifted: run 'make build'"
    assert (JS / "chrome" / "palette.css").read_text() == style.css(), "palette.css has drifted: run 'make build'"


def test_every_constant_that_both_sides_need_crosses_with_what_is_said_of_it() -> None:
    written = style.typescript()
    names = [name for name in vars(style) if name.isupper() and name not in ("LIGHT", "DARK", "TITLE")]
    assert len(names) > 25
    for name in (name for name in names if not name.startswith("_")):
        assert f"export const {name} = " in written, name
    assert "TITLE" not in written, "the title of a figure is drawn by Python alone"


@pytest.mark.parametrize("palette", [style.LIGHT, style.DARK], ids=["light", "dark"])
def test_texts_are_read_and_marks_are_seen_on_what_they_stand_on(palette: style.Palette) -> None:
    for ground in (palette.ground, palette.surface, palette.cell):
        assert contrast(palette.text, ground) >= 7
        assert contrast(palette.muted, ground) >= 4.5
    assert contrast(palette.mark, palette.on) >= 4.5
    assert contrast(palette.warn, palette.warn_ground) >= 4.5
    for color in (palette.on, palette.q, palette.k, palette.v, palette.error):
        assert contrast(color, palette.ground) >= 4.5
    for color in style.SAVED:
        assert contrast(color, palette.ground) >= 3 - 0.05


def test_kinds_of_arrows_are_told_apart_without_colors() -> None:
    assert len({*style.DASHES.values()}) == len({*style.LANES.values()}) == 3


def test_a_tier_is_the_first_row_that_a_size_reaches() -> None:
    assert style.tier(30, style.RADII) == (5,)
    assert style.tier(12, style.RADII) == (3,)
    assert style.tier(2, style.RADII) == (0.0,)
    assert style.tier(2, style.HANDLES) == (4, 2)
