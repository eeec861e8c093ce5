"""How a grid looks wherever it is drawn: colors, sizes, marks, color scales, and the words of its legend.

The one description of it. The widget reads `js/src/model/style.ts` and `js/src/chrome/palette.css`, which `make build`
generates from this file; `to_svg`, `to_png` and the figures of `headgrid.plots` read the file itself. Lengths are
pixels of CSS, which are the units of a picture.
"""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path


@dataclass(frozen=True)
class Palette:
    """The colors on one ground, as `#rrggbb`.

    Attributes:
        text, muted: the color of texts, and of remarks beside them.
        ground, surface: behind everything, and behind a badge.
        line, rule: a border, and one that has to be seen, as of a text field.
        cell, edge: a cell that is not selected, and its border.
        on, mark: a cell that is selected, and what is drawn upon it.
        partial: the corner of a cell that is partly selected.
        hatch: the lines across a cell that writes nothing; also an arrow that is no outlier.
        group: brackets over heads that share a key/value head, rules over blocks of columns, borders of handles.
        plus, minus: what is above zero, and what is below.
        q, k, v: composition into the query, the key and the value.
        error, warn, warn_ground, warn_line: of messages.
    """

    text: str
    muted: str
    ground: str
    surface: str
    line: str
    rule: str
    cell: str
    edge: str
    on: str
    mark: str
    partial: str
    hatch: str
    group: str
    plus: str
    minus: str
    q: str
    k: str
    v: str
    error: str
    warn: str
    warn_ground: str
    warn_line: str


LIGHT = Palette(
    text="#1c2128", muted="#59636e", ground="#ffffff", surface="#f6f8fa", line="#d4dae1", rule="#8a939d",
    cell="#e9edf2", edge="#8b949f", on="#0a5fb4", mark="#ffffff", partial="#4f9be0", hatch="#8f99a5", group="#98a2ad",
    plus="#0a5fb4", minus="#b8560d", q="#b3450a", k="#08736a", v="#99209a",
    error="#b3261e", warn="#7a4b00", warn_ground="#fff3d6", warn_line="#e3bb62",
)  # fmt: skip

DARK = Palette(
    text="#e6e9ee", muted="#9aa5b1", ground="#15181d", surface="#1d2127", line="#333941", rule="#6b7580",
    cell="#2a3038", edge="#65707d", on="#58a6f2", mark="#0b1a2a", partial="#4189cd", hatch="#66717d", group="#67727e",
    plus="#58a6f2", minus="#f0994a", q="#ff9d5c", k="#3fd0bd", v="#ec8bea",
    error="#ff8f85", warn="#f2c979", warn_ground="#352a14", warn_line="#77602d",
)  # fmt: skip

SAVED = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a5cff", "#8f633c", "#6fa236", "#d030c0")
"""Colors of saved selections, and of series in a figure.

Told apart by readers of every color vision as well as Okabe and Ito's eight (2008) are. Four of these are theirs; the
others would vanish on a white ground or on a black one, where each of these has a contrast of 3 at least.
"""

# ---- values as colors

SEQUENTIAL = "00224e 123570 3b496c 575d6d 707173 8a8678 a59c74 c3b369 e1cc55 fee838"
"""Evenly spaced stops from low to high: cividis (Nunez, Anderton and Renslow 2018), the same on either ground."""

DIVERGING = {
    "light": "8f3a05 d9731f f5b97a eff1f3 8bbce0 2f7cc0 08478f",
    "dark": "ffc285 d98230 8a531f 343a42 2d5f96 4f97dc 9ccbf7",
}
"""Orange below zero, blue above it; zero is next to the ground, so that what is far from it stands out."""

LEVELS = 64
"""A scale has so many steps, and one color more."""

# ---- cells

ROOMY = 12
"""The least side of a cell that has an edge, corners and a label of its own; smaller ones have their fill alone."""

RADII = ((18, 5), (12, 3), (9, 2))
"""The least side of a cell, and the radius of its corners; smaller ones have none."""

GAPS = ((18, 3), (10, 2), (5, 1))
"""The least side of a cell, and the gap between neighbors."""

GROUP_GAP = {"least": 2, "of": 6}
"""Space between heads that read different key/value heads, beside the gap between neighbors: so many pixels at least,
or a cell divided by so much."""

BLOCK_GAP = {"least": 4, "of": 4, "experts": 10, "of_experts": 0.6}
"""Space between blocks of columns, beside the gap: so many pixels at least, or a cell divided by so much; before the
experts more, or so much of a cell."""

HANDLES = ((18, 10, 5), (12, 9, 4), (6, 7, 4), (0, 4, 2))
"""The least side of a cell, the width of a handle beside it, and the room on either side of that."""

HANDLE_RADII = ((12, 4), (9, 3))
"""The least side of a cell, and the radius of the corners of a handle beside it."""

LABELED = {"height": 24, "padding": 24, "gap": 6}
"""Cells that carry their own label, as those of the embeddings do: how high, how much wider than the label."""

RING = 3
"""Room for a frame around the outermost cells."""

BAND_GAP, CAPTION, BRACKET = 10, 20, 17
"""Heights: between two bands; of the names of blocks of columns; of brackets over heads."""

TITLE = 20
"""The height of a stack's name in a picture of several; the widget shows one at a time."""

SIDE = {"least": 16, "padding": 12, "inset": 10}
"""The column of row labels: the least width of a label, what is added to it, and how far it stands off the cells."""

AXIS = 13
"""The width of the name of what the rows count, which stands on its end beside their labels."""

ROWS = "layer"
"""That name; the columns' is their kind, such as "head"."""

HEAD = {"least": 18, "named": 26, "number": 8, "name": 6.5, "padding": 8, "foot": 5}
"""The row of column labels: its least height, and with the name of the axis over the labels; how far the middle of a
number is then off its foot, and the middle of the name off its top; what an upright label needs beside its length, and
where that begins."""

UPRIGHT = 11
"""How far apart labels have to be that stand on their end."""

STRIDES = (1, 2, 5, 10, 20)
"""Every how many rows have a label: the first with which labels stand at least `ROOMY` apart."""

BLOCKS = {"head": "heads", "expert": "experts"}
"""The kinds of columns that are many, which stand close together as squares, and what a block of them is called."""

# ---- marks

FRAME = {"roomy": (2.5, 1.5), "small": (1.5, 0.75)}
"""Around a selected cell that is colored by its value: the width of a line of the color of what is selected, and within
that of one of the ground's."""

FRAMED = 7
"""The least side of a cell whose frame has the color of what is selected; a smaller one is all frame, which would look
like a value, and has the text's."""

DOT = {"roomy": 1.25, "small": 0.75}
"""The radius of the dot in the middle of a cell without a value."""

BEYOND = {"inset": 1, "side": 0.4}
"""The corner that marks a value beyond the scale: how far off the sides, and how long as a part of the cell's
height."""

WRITTEN = {"least": 30, "padding": 2, "height": 14, "foot": 6, "lower": 0.66}
"""Values written into cells: the least side of a cell that has room for one, the room that it needs beside its width,
where it stands over a pattern (how high its ground is, and how far off the foot of its cell), and how far down its
middle is in a cell with a tick, as a part of the height."""

HATCH = {"least": 4, "of": 4, "alpha": 0.55}
"""Lines across a cell that writes nothing: how far apart at least, into how many they divide it, and how opaque they
are upon a color that means a value."""

# ---- arrows of composition

DASHES = {"Q": (), "K": (7, 3), "V": (1.5, 3)}
"""Of the line of an arrow, of each kind, in pixels; of a line that is two pixels wide in a figure."""

LANES = {"Q": -1, "K": 0, "V": 1}
"""On which side of a cell's middle the arrows of each kind begin and end."""

ARROW = {"thin": 1.25, "thicker": 1.75, "halo": 2.5, "head": 4, "per_width": 1.5, "alpha": 0.55}
"""The width of the weakest arrow's line, what the strongest has more, the rim around it, its head's length and what
that gains with the width, and the weakest's opacity."""

ARROWS = {"most": 160, "z": 3}
"""The most arrows that are drawn, because more could not be told apart, and the least z unless another is chosen."""

# ---- a picture: the grid with its title and legend

PICTURE = {"padding": 16, "least": 380, "lines": 3, "scale": 160, "swatch": 14}
"""The room around it, its least width, the lines that the selection may take, the length of the color scale in the
legend, and the side of a cell there."""

LEGEND = {
    "selected": "selected",
    "partial": "partly selected",
    "zero": "output weights all zero",
    "beyond": "beyond the scale",
    "missing": "no value",
    "folded": "norms folded",
    "raw": "raw weights",
    "composition": "-composition",
    "not_use": "z above random is not use",
    "gray": "gray: no outlier",
    "plain": "as most pairs",
    "few": "too few pairs to compare",
}
"""The texts of legends."""


def tier(size: float, tiers: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
    """The values for cells of a size: the first of some rows whose least size is not above it, without that; or zeros.

    Args:
        size: the side of a cell.
        tiers: rows that begin with a least size, the largest first.
    """
    return next((row[1:] for row in tiers if size >= row[0]), (0.0,) * (len(tiers[0]) - 1))


# ---- for TypeScript and CSS

_HINT = "// Generated from src/headgrid/plots/style.py by `make build`. Do not edit."
_PYTHON_ONLY = {"TITLE"}


def typescript() -> str:
    """The text of `js/src/model/style.ts`: the constants of this file, each with what is said of it."""
    lines, body = [_HINT], ast.parse(Path(__file__).read_text(encoding="utf-8")).body
    for node, after in pairwise(body):
        if not isinstance(node, ast.Assign) or not isinstance(after, ast.Expr):
            continue
        said = ast.literal_eval(after.value)
        names = [name.id for name in ast.walk(node.targets[0]) if isinstance(name, ast.Name)]
        if _PYTHON_ONLY & {*names}:
            continue
        lines += ["", f"/** {' '.join(said.split())} */"]
        lines += [f"export const {name} = {_literal(globals()[name])};" for name in names]
    return "\n".join([*lines, ""])


def _literal(value: object) -> str:
    return json.dumps(value) + " as const" * isinstance(value, tuple | dict)  # a number may be added to


def css() -> str:
    """The text of `js/src/chrome/palette.css`: the colors on either ground as custom properties."""

    def properties(palette: Palette, indent: str) -> list[str]:
        return [f"{indent}--hg-{name.replace('_', '-')}: {color};" for name, color in asdict(palette).items()]

    lines = [f"/* {_HINT.removeprefix('// ')} */", ".headgrid:not(#h#h#h) {"]
    lines += [*properties(LIGHT, "  "), "  --hg-theme: light;", "", '  &[data-theme="dark"] {']
    lines += [*properties(DARK, "    "), "    --hg-theme: dark;", "    color-scheme: dark;", "  }", "}", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write({"typescript": typescript, "css": css}[sys.argv[1]]())
