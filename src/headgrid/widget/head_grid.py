"""HeadGrid: the widget. Its state is one Selection; cells, texts and queries are views of it that cross the wire.

Three things change the selection: Python code, cells that the browser switched, and a query typed there. One observer
writes what follows from it. Nothing here asks who made a change: a change that is already true writes nothing, so no
echo can start.
"""

from __future__ import annotations

import pathlib
from typing import Any, cast

import anywidget
import torch
import traitlets
from typing_extensions import Buffer

from headgrid.masks import ParamMasks
from headgrid.models import dissect
from headgrid.selection import Selectable, Selection, SelectionError
from headgrid.widget import fallback, inspector
from headgrid.widget.cells import Cells
from headgrid.widget.wire import VERSION, Focus, Plan, Query, QueryError, Text, pack, unpack

STANDINGS = {
    "table": "",
    "guess": "This layout was guessed from names, shapes and the config. headgrid.verify(model) proves or refutes it.",
    "proven": "This layout was guessed, and then proven by forward passes of this very model.",
}
"""How an anatomy came about -> what the widget says of it."""

STATIC = pathlib.Path(__file__).parent / "static"


class _Selection(traitlets.TraitType[Selection, Selectable]):
    """A trait that takes whatever `Anatomy.select` takes."""

    def validate(self, obj: Any, value: Selectable) -> Selection:
        return obj.anatomy.select(value)  # type: ignore[no-any-return]


def _cells(data: object, grid: HeadGrid) -> bytes:
    """Cells from the browser; what no browser of this version sends is refused, and the state is sent back."""
    try:
        found = bytes(cast(Buffer, data))
        unpack(found, grid._cells.n_cells)
    except (TypeError, ValueError) as error:
        grid._refuse("cells", f"the cells that the browser sent were refused: {error}")
        return grid.cells
    return found


def _query(data: object, grid: HeadGrid) -> dict[str, Any]:
    if isinstance(data, dict) and isinstance(data.get("n"), int) and isinstance(data.get("text"), str):
        return dict(Query(n=data["n"], text=data["text"]))
    grid._refuse("query", "the query that the browser sent was refused: it is no numbered text")
    return grid.query


def _focus(data: object, grid: HeadGrid) -> dict[str, Any]:
    if isinstance(data, dict) and isinstance(data.get("n"), int) and isinstance(data.get("cell"), int):
        return dict(Focus(n=data["n"], cell=data["cell"]))
    grid._refuse("focus", "the focus that the browser sent was refused: it is no numbered cell")
    return grid.focus


class HeadGrid(anywidget.AnyWidget):
    """A transformer as a clickable grid of layers and heads, bound to a `Selection`.

    Args:
        model: a transformers model or config, or an `Anatomy`.
        tokenizer: its tokenizer, kept as `grid.tokenizer` for what reads weights as tokens.
        select: what to select at first; nothing by default.

    Attributes:
        selection: the selected parts. Set it to a selection, a text or a list of texts; `observe` it to follow clicks.
        anatomy: the model's anatomy.
        model: the model that was given, or None for a config or an anatomy.

    Example:
        >>> grid = HeadGrid(model, tokenizer)
        >>> grid.select("l1h2 | l0 mlp")
        Selection('l1h2 | l0 mlp')
        >>> grid.masks["transformer.h.1.attn.c_proj.weight"].shape
        torch.Size([96, 96])
    """

    _esm = STATIC / "widget.js"
    _css = STATIC / "widget.css"

    selection = _Selection()

    plan: traitlets.Dict[str, Any] = traitlets.Dict(read_only=True).tag(sync=True)
    cells = traitlets.Bytes().tag(sync=True, from_json=_cells)
    partial = traitlets.Bytes().tag(sync=True)
    query: traitlets.Dict[str, Any] = traitlets.Dict({"n": 0, "text": ""}).tag(sync=True, from_json=_query)
    text: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    focus: traitlets.Dict[str, Any] = traitlets.Dict({"n": 0, "cell": -1}).tag(sync=True, from_json=_focus)
    summary: traitlets.Dict[str, Any] = traitlets.Dict(dict(inspector.NOTHING)).tag(sync=True)

    def __init__(self, model: Any, tokenizer: Any = None, *, select: Selectable = "none") -> None:
        self.anatomy = dissect(model)
        self.model: torch.nn.Module | None = model if isinstance(model, torch.nn.Module) else None
        self.tokenizer = tokenizer
        self._cells = Cells(self.anatomy)
        self._silent = inspector.writes_nothing(self._cells, self.model)
        plan: Plan = {
            "version": VERSION,
            "model": self.anatomy.title,
            "standing": self.anatomy.standing,
            "standing_note": " ".join([STANDINGS[self.anatomy.standing], *self.anatomy.doubts]),
            "stacks": self._cells.stacks,
            "bands": self._cells.bands,
            "absent": pack(self._cells.absent),
            "zero": pack(self._silent),
        }
        self.set_trait("plan", plan)
        super().__init__(selection=select)  # whatever follows from it is written before the browser is told

    # ---- what a user calls

    def select(self, what: Selectable) -> Selection:
        """Select what a text, a list of texts, (layer, head) pairs or a selection names; every view follows.

        Returns:
            The new selection.

        Raises:
            SelectionError: when the text does not parse or names what the model does not have; nothing changes then.
        """
        self.selection = self.anatomy.select(what)
        return self.selection

    @property
    def masks(self) -> ParamMasks:
        """The selection as parameter masks; `Selection.masks` says what they are. `{}` when nothing is selected."""
        return self.selection.masks()

    # ---- Python -> browser

    @traitlets.observe("selection")
    def _on_selection(self, change: Any) -> None:
        self._write(change["new"], self.query["n"], None)

    def _write(self, selection: Selection, query: int, error: QueryError | None) -> None:
        """Everything on the wire that follows from a selection."""
        on, partial = self._cells.look(selection.parts)
        text: Text = {
            "selection": str(selection),
            "counts": self._cells.counts(selection.parts),
            "n_selected": selection.n_params,
            "n_params": self.anatomy.n_params,
            "query": query,
            "error": error,
        }
        with self.hold_sync():
            self.cells, self.partial, self.text = pack(on), pack(partial), dict(text)

    # ---- browser -> Python

    @traitlets.observe("cells")
    def _on_cells(self, change: Any) -> None:
        before, _ = self._cells.look(self.selection.parts)
        after = unpack(change["new"], self._cells.n_cells)
        if (before != after).any():
            chosen = Selection(self.anatomy, self._cells.click(self.selection.parts, before, after))
            if chosen == self.selection:  # an absent cell was switched: put it back
                self._write(chosen, self.query["n"], None)
            self.selection = chosen

    @traitlets.observe("query")
    def _on_query(self, change: Any) -> None:
        n, text = change["new"]["n"], change["new"]["text"]
        try:
            self.selection = self.anatomy.select(text)
            self._write(self.selection, n, None)
        except SelectionError as fault:
            start, end = (len(text[:place].encode("utf-16-le")) // 2 for place in (fault.start, fault.end))
            self._write(self.selection, n, {"message": fault.reason, "start": start, "end": end})

    @traitlets.observe("focus")
    def _on_focus(self, change: Any) -> None:
        focus = change["new"]
        self.summary = dict(inspector.summary(self._cells, self._silent, focus["n"], focus["cell"]))

    def _refuse(self, trait: str, reason: str) -> None:
        """Say what was refused, and send back the state that is kept."""
        self._write(self.selection, self.query["n"], {"message": reason, "start": 0, "end": 0})
        self.send_state(trait)

    # ---- where no widget can run

    def __repr__(self) -> str:
        on, partial = self._cells.look(self.selection.parts)
        return fallback.text(
            self.anatomy.title, str(self.selection), self._cells.bands, self._cells.absent, on, partial
        )

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, with a picture and a text of its present state for viewers that run no widget."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        data, metadata = bundle
        on, partial = self._cells.look(self.selection.parts)
        html = fallback.html(
            self.anatomy.title, str(self.selection), self._cells.bands, self._cells.absent, on, partial
        )
        return {**data, "text/plain": repr(self), "text/html": html}, metadata
