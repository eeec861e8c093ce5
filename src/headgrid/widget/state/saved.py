"""Selections that have a name and a color."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

from headgrid.anatomy.anatomy import Anatomy, count_of
from headgrid.plots.style import SAVED as COLORS
from headgrid.selection.masks import ParamMasks
from headgrid.selection.selection import Selectable, Selection
from headgrid.utils import arguments
from headgrid.utils.arguments import printable, shown
from headgrid.widget.state import counts
from headgrid.widget.state.cells import Cells
from headgrid.widget.wire.schema import SavedSelection, SavedSelections, pack

LONGEST = 80
"""Characters of a name."""

MOST = 64
"""The selections that can be saved: each sends its cells to the browser."""

SHOWN = 400
"""Characters of a selection's text that a chip shows; Python has the whole."""

FEW = 8
"""The names that an error lists."""

FULL = "full"


@dataclass(frozen=True)
class _Item:
    selection: Selection
    color: str
    wire: SavedSelection


class Saved(MutableMapping[str, Selection]):
    """The saved selections of a grid: name -> selection, in the order in which they were saved.

    `saved["induction"] = "l0h1 | l1h2"` takes whatever `Anatomy.select` takes, `saved["induction"]` gives the
    selection, `del saved["induction"]` forgets it; `to_json` and `from_json` keep all of them in a file. A name that is
    saved again keeps its place and its color.

    Raises:
        KeyError: when there is no selection of a name, naming those that there are.
        ValueError: for a name that is empty, unseen, longer than 80 characters or "full", which names the whole model;
            for a selection of nothing; and for a color that is not like "#d55e00".
        SelectionError: when a text names what the model does not have.
    """

    def __init__(self, cells: Cells, change: Callable[[Callable[[], None]], object]) -> None:
        self._cells, self._change = cells, change
        self._items: dict[str, _Item] = {}

    @property
    def state(self) -> dict[str, _Item]:
        """All of them, in an object that is never changed; to be set to what it was, if to anything."""
        return self._items

    @state.setter
    def state(self, before: dict[str, _Item]) -> None:
        self._items = before

    @property
    def _anatomy(self) -> Anatomy:
        return self._cells.anatomy

    def __getitem__(self, name: str) -> Selection:
        return self._item(name).selection

    def __setitem__(self, name: str, what: Selectable) -> None:
        self._change(lambda: self.put(name, what))

    def put(self, name: str, what: Selectable) -> None:
        """Save a selection, and tell nobody; `drop` and `tint` likewise."""
        name = named(name)
        chosen = self._anatomy.select(what)
        if not chosen:
            raise ValueError(f"there is nothing selected to be saved as {name!r}; select something first")
        if name not in self._items and len(self._items) >= MOST:
            raise ValueError(f"{MOST} selections are saved, which is all that there can be; remove one first")
        color = self._items[name].color if name in self._items else self._next_color()
        self._items = {**self._items, name: _Item(chosen, color, self._wire(name, chosen, color))}

    def __delitem__(self, name: str) -> None:
        self._change(lambda: self.drop(name))

    def drop(self, name: str) -> None:
        """Forget a selection."""
        self._item(name)
        self._items = {one: item for one, item in self._items.items() if one != _spelled(name)}

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and _spelled(name) in self._items

    def __repr__(self) -> str:
        if not self._items:
            return "nothing is saved"
        wide = max(len(printable(name)) for name in self._items)
        return "\n".join(
            f"{printable(name):<{wide}}  {item.color}  {item.wire['counts']}  {_short(str(item.selection), 60)}"
            for name, item in self._items.items()
        )

    # a mapping's own gives back the text that it was given
    def setdefault(self, name: str, default: Selectable = "none") -> Selection:
        """What is saved under a name; where there is nothing, `default` is saved first."""
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, several: Any = (), /, **more: Selectable) -> None:
        """Save several selections: a mapping from names to what is selected, or pairs. If one cannot be, none is."""
        try:
            items = {**dict(several), **more}
        except (TypeError, ValueError) as fault:
            raise TypeError(
                f"update takes a mapping from names to what is selected, or pairs of these, not {shown(several)}"
            ) from fault

        def put() -> None:
            for name, what in items.items():
                self.put(name, what)

        self._change(lambda: self._wholly(put))

    def copy(self) -> dict[str, Selection]:
        """A dictionary of them as they are now."""
        return dict(self)

    __copy__ = copy

    @property
    def colors(self) -> dict[str, str]:
        """Name -> color, such as `#d55e00`; `color` changes one."""
        return {name: item.color for name, item in self._items.items()}

    def color(self, name: str, color: str) -> None:
        """Give a saved selection another color.

        Args:
            name: its name.
            color: as in HTML, `#d55e00`.
        """
        self._change(lambda: self.tint(name, color))

    def tint(self, name: str, color: str) -> None:
        """Give a selection another color."""
        item, color = self._item(name), colored(color)
        new = replace(item, color=color, wire={**item.wire, "color": color})
        self._items = {**self._items, _spelled(name): new}

    def take_over(self, other: Saved) -> None:
        """Have what another grid of the same model has."""
        self._change(lambda: setattr(self, "state", other.state))

    def to_json(self) -> str:
        """All of them as JSON: names, selections as text, and colors; `from_json` reads them back."""
        items = [
            {"name": name, "selection": str(item.selection), "color": item.color} for name, item in self._items.items()
        ]
        model = {"model": self._anatomy.title, "fingerprint": self._anatomy.fingerprint}
        return json.dumps({"saved": items, **model}, ensure_ascii=False, indent=1)

    def from_json(self, text: str) -> None:
        """Save the selections that `to_json` wrote, in their colors, beside those that there are: all, or none.

        Raises:
            ValueError: when they are of another model, which is named; when the text is not of `to_json`; and as for
                any selection that is saved.
        """
        arguments.text("text", text, what="JSON, as to_json writes it")
        try:
            read = json.loads(text)
            model, fingerprint = (arguments.text(key, read[key]) for key in ("model", "fingerprint"))
            items = [[arguments.text(key, one[key]) for key in ("name", "selection", "color")] for one in read["saved"]]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"these are no saved selections as to_json writes them: {shown(text)}") from error
        if fingerprint != self._anatomy.fingerprint:
            raise ValueError(
                f"these selections are of {printable(model)}, which is another model than {self._anatomy.title}. "
                "To carry their words over, save each by itself: grid.saved[name] = text"
            )

        def put() -> None:
            for name, selection, color in items:
                self.put(name, selection)
                self.tint(name, color)

        self._change(lambda: self._wholly(put))

    def _wholly(self, put: Callable[[], None]) -> None:
        """Save several selections; if one cannot be, none is."""
        before = self._items
        try:
            put()
        except BaseException:
            self._items = before
            raise

    def masks(self) -> dict[str, ParamMasks | None]:
        """Name -> parameter masks, as the `weight_restrictions` of devinterp's `susceptibilities`.

        Its first key is `full`, the whole model, which devinterp compares every other with; its value is None.
        """
        return {FULL: None, **{name: item.selection.masks() for name, item in self._items.items()}}

    def wire(self) -> SavedSelections:
        """All of them, as they cross the wire."""
        return {"items": [item.wire for item in self._items.values()]}

    def _item(self, name: str) -> _Item:
        found = self._items.get(_spelled(name)) if isinstance(name, str) else None
        if found is None:
            names = ", ".join(repr(one) for one in list(self._items)[:FEW]) + (" ..." if len(self._items) > FEW else "")
            said = f"there is no saved selection {shown(name)}; "
            raise KeyError(said + (f"there are {names}" if names else "nothing is saved yet"))
        return found

    def _wire(self, name: str, chosen: Selection, color: str) -> SavedSelection:
        on, partial = self._cells.coverage(chosen.parts)
        text, said = _short(str(chosen), SHOWN), counts.said(self._cells, chosen.parts, on, partial)
        return {
            "name": name,
            "text": text,
            "counts": said,
            "color": color,
            "cells": pack(on | partial).rstrip(b"\0"),
        }

    def _next_color(self) -> str:
        used = [item.color for item in self._items.values()]
        return min(COLORS, key=used.count)


def named(name: str) -> str:
    """A name as it is saved.

    Raises:
        ValueError: when it cannot be one.
    """
    if not isinstance(name, str):
        raise ValueError(f"a saved selection is named by a text, not by {shown(name)}")
    name = _spelled(name)
    if not 1 <= len(name) <= LONGEST:
        long = f"this one has {count_of(len(name), 'character')}" if name else "this one is empty"
        raise ValueError(f"a name has 1 to {LONGEST} characters; {long}")
    if name.casefold() == FULL:
        raise ValueError(f"{name!r} names the whole model, to which devinterp compares all others; take another name")
    kinds = {unicodedata.category(letter) for letter in name}
    if "Cs" in kinds:
        raise ValueError("half of a character is in this name; type it again")
    if "Cc" in kinds or all(kind[0] in "CZ" for kind in kinds):
        raise ValueError(f"{name!r} has a character that cannot be seen; take another name")
    return name


def _spelled(name: str) -> str:
    """A name in the one spelling that it has of those that look the same: composed letters, one blank for several."""
    return unicodedata.normalize("NFC", " ".join(name.split()))


def colored(color: str) -> str:
    """A color as it is kept.

    Raises:
        ValueError: when it is none.
    """
    if not isinstance(color, str) or not re.fullmatch(r"#[0-9a-fA-F]{6}", color):
        raise ValueError(f"{shown(color)} is no color; give one such as '#d55e00'")
    return color.lower()


def said(error: Exception) -> str:
    """What an error of this module says."""
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "\N{HORIZONTAL ELLIPSIS}"
