"""The values by which heads are colored, as words of a query: `top 10`, `bottom 3`, `> 0.6`, `<= 0.1`.

The language of selections knows no colors. So these words are replaced by the heads that they mean before a text is
parsed, wherever a term may stand: `top 10 - l0`, `> 0.3 & < 0.6`.
"""

from __future__ import annotations

import operator
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from headgrid.anatomy.anatomy import count_of
from headgrid.selection.lexer import SelectionError
from headgrid.selection.selection import Selection
from headgrid.widget.state.cell_index import CellIndex, Integers
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire.schema import Colors

NUMBER = r"[-+\N{MINUS SIGN}]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
WORDS = re.compile(
    rf"(?<![\w.*])(?P<end>top|bottom)\s*(?P<k>\d{{1,9}})(?![\w.])|(?P<sign>[<>]=?|≤|≥)\s*(?P<bound>{NUMBER})(?![\w.])",
    re.IGNORECASE,
)
"""The words that stand for heads by their values."""

SIGNS = {">": operator.gt, ">=": operator.ge, "≥": operator.ge, "<": operator.lt, "<=": operator.le, "≤": operator.le}

NO_COLORS_YET = 'the cells have no colors yet: color them first, by "Color by" or grid.color_by'

OFFERED = 10
"""How many heads the words that are offered stand for; a third of them in a small model."""


@dataclass(frozen=True)
class HeadValues:
    """The heads of a grid by the values that its cells are colored by.

    Args:
        cells, index: the cells.
        colors: as they are shown.
    """

    cells: Cells
    index: CellIndex
    colors: Colors

    @cached_property
    def values(self) -> npt.NDArray[np.float32]:
        """The value of each head, in the order of `CellIndex.heads`; NaN where there is none, nowhere any without."""
        if not self.colors["label"]:
            return np.full(len(self.index.heads), np.nan, dtype=np.float32)
        found: npt.NDArray[np.float32] = np.frombuffer(self.colors["values"], dtype="<f4")[self.index.heads]
        return np.where(self.cells.absent[self.index.heads], np.float32(np.nan), found)

    @property
    def n(self) -> int:
        """How many heads have a value."""
        return int((~np.isnan(self.values)).sum())

    @property
    def missing(self) -> str:
        """Why no head has a value; "" where one has."""
        if not self.colors["label"]:
            return NO_COLORS_YET
        return "" if self.n else f"no head has a value of {self.colors['label']!r}, which the cells are colored by"

    def top(self, k: int, largest: bool = True) -> Selection:
        """The k heads with the largest values, or the smallest; all that have one where these are fewer.

        Of equal values those of the first layers count first.
        """
        key = np.nan_to_num(-self.values if largest else self.values, nan=np.inf, posinf=np.inf, neginf=-np.inf)
        return self._selection(self.index.heads[np.argsort(key, kind="stable")[: min(k, self.n)]])

    def where(self, sign: str, bound: float) -> Selection:
        """The heads whose value is above or below a bound; `sign` is one of `SIGNS`."""
        with np.errstate(over="ignore"):
            near = np.float32(bound)  # what is shown as 0.1 is the float32 that is nearest to it
        return self._selection(self.index.heads[SIGNS[sign](self.values, near)])

    def _selection(self, heads: Integers) -> Selection:
        bits = np.zeros(self.cells.n_cells, dtype=np.bool_)
        bits[heads] = True
        return Selection.from_parts(self.cells.anatomy, self.cells.parts_of(bits))

    # ---- words

    def select(self, text: str) -> Selection:
        """What a text selects in which these words may stand.

        Raises:
            SelectionError: when it does not parse, with the place in the text; when these words are in it and no head
                has a value; when no value is beyond a bound.
        """
        pieces, places, at = list[str](), list[tuple[int, int, int, int]](), 0
        length = 0
        for found in WORDS.finditer(text):
            try:
                said = self._meant(found)
            except ValueError as fault:
                raise SelectionError(text, found.start(), found.end(), str(fault)) from None
            heads = f"({said})"
            length += found.start() - at
            places.append((found.start(), found.end(), length, length + len(heads)))
            length += len(heads)
            pieces += [text[at : found.start()], heads]
            at = found.end()
        if not places:
            return self.cells.anatomy.select(text)
        whole = "".join([*pieces, text[at:]])
        try:
            return self.cells.anatomy.select(whole)
        except SelectionError as fault:
            start, end = _back(fault.start, places, 0), _back(fault.end, places, 1)
            reason = fault.reason.replace("'('", repr(text[start:end]), any(start == one[0] for one in places))
            raise SelectionError(text, start, end, reason) from None

    def _meant(self, found: re.Match[str]) -> Selection:
        """The heads that one of the words means."""
        if self.missing:
            raise ValueError(f"{found[0]!r} is about the values of heads, and {self.missing}")
        if found["end"]:
            return self.top(int(found["k"]), found["end"].lower() == "top")
        heads = self.where(found["sign"], float(found["bound"].replace("\N{MINUS SIGN}", "-")))
        if not heads:
            low, high = np.nanmin(self.values), np.nanmax(self.values)
            raise ValueError(f"no head has a value {found[0]}: they go from {low:.3g} to {high:.3g}")
        return heads

    def offered(self, typed: str) -> list[tuple[str, str]]:
        """These words as completions of what is typed of a term, each with a note; none where no head has a value."""
        begun = " ".join(typed.lower().split())
        if not self.n:
            return []
        label, k = self.colors["label"], OFFERED if self.n >= 2 * OFFERED else max(1, self.n // 3)
        digits = re.fullmatch(r"(top|bottom) ?(\d{1,9})", begun)
        if digits:
            k = min(int(digits[2]), self.n)
            begun = f"{digits[1]} {digits[2]}"
        some = f"the {count_of(k, 'head')} with the"
        words = [(f"top {k}", f"{some} largest {label}"), (f"bottom {k}", f"{some} smallest {label}")]
        ordered = np.sort(self.values[~np.isnan(self.values)])
        for sign, bound in ((">=", ordered[-k] if k else ordered[-1]), ("<=", ordered[k - 1] if k else ordered[0])):
            word = f"{sign} {_rounded(float(bound), sign)}"
            n = int(SIGNS[sign](self.values, np.float32(word.split()[1])).sum())
            words.append((word, f"{count_of(n, 'head')} by {label}"))
        return [(word, note) for word, note in words if word.startswith(begun)]


def _rounded(bound: float, sign: str) -> str:
    """A bound in three digits that no value of those beyond it falls short of."""
    near = f"{bound:.3g}"
    if SIGNS[sign](np.float32(bound), np.float32(near)) or not np.isfinite(bound):
        return near
    step = 10.0 ** (np.floor(np.log10(abs(bound))) - 2)
    return f"{(np.floor if sign == '>=' else np.ceil)(bound / step) * step:.3g}"


def _back(at: int, places: list[tuple[int, int, int, int]], end: int) -> int:
    """A place in the text where heads stand for words, in the text that was typed."""
    shift = 0
    for start, stop, new_start, new_stop in places:
        if at <= new_start:
            break
        if at < new_stop:
            return stop if end else start
        shift = stop - new_stop
    return at + shift
