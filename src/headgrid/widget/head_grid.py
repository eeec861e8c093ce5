"""HeadGrid: the widget. Its state is one Selection; cells, texts and queries are views of it that cross the wire.

Three things change the selection: Python code, cells that the browser switched, and a query typed there. One observer
writes what follows from it. Nothing here asks who made a change: a change that is already true writes nothing, so no
echo can start.
"""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Any, cast

import anywidget
import torch
import traitlets

from headgrid.masks import ParamMasks
from headgrid.models import dissect
from headgrid.selection import Selectable, Selection, SelectionError
from headgrid.weights import Weights
from headgrid.widget import colours, comparison, fallback, incoming, inspector
from headgrid.widget.background import IDLE, Background
from headgrid.widget.cells import Cells
from headgrid.widget.wire import VERSION, Focus, Ln, Plan, QueryError, Recolour, Text, pack, unpack

if TYPE_CHECKING:
    from matplotlib.axes import Axes

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


class HeadGrid(anywidget.AnyWidget):
    """A transformer as a clickable grid of layers and heads, bound to a `Selection`.

    Args:
        model: a transformers model or config, or an `Anatomy`.
        tokenizer: its tokenizer, for what is shown as tokens; without it they are ids.
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

    # as text: of a path anywidget would keep every grid, and its model, for as long as the process lives
    _esm = (STATIC / "widget.js").read_text(encoding="utf-8")
    _css = (STATIC / "widget.css").read_text(encoding="utf-8")

    selection = _Selection()

    plan: traitlets.Dict[str, Any] = traitlets.Dict(read_only=True).tag(sync=True)
    cells = traitlets.Bytes().tag(sync=True, from_json=incoming.cells)
    partial = traitlets.Bytes().tag(sync=True)
    query: traitlets.Dict[str, Any] = traitlets.Dict({"n": 0, "text": ""}).tag(sync=True, from_json=incoming.query)
    text: traitlets.Dict[str, Any] = traitlets.Dict().tag(sync=True)
    focus: traitlets.Dict[str, Any] = traitlets.Dict({"n": 0, "cell": -1, "ln": "folded"}).tag(
        sync=True, from_json=incoming.focus
    )
    summary: traitlets.Dict[str, Any] = traitlets.Dict(dict(inspector.NOTHING)).tag(sync=True)
    arrows: traitlets.Dict[str, Any] = traitlets.Dict(dict(comparison.NO_ARROWS)).tag(sync=True)
    comparison: traitlets.Dict[str, Any] = traitlets.Dict(dict(comparison.NONE)).tag(sync=True)
    recolour: traitlets.Dict[str, Any] = traitlets.Dict({"n": 0, "metric": "", "ln": "folded"}).tag(
        sync=True, from_json=incoming.recolour
    )
    colours: traitlets.Dict[str, Any] = traitlets.Dict(dict(colours.NONE)).tag(sync=True)
    progress: traitlets.Dict[str, Any] = traitlets.Dict(dict(IDLE)).tag(sync=True)

    def __init__(self, model: Any, tokenizer: Any = None, *, select: Selectable = "none") -> None:
        self.model: torch.nn.Module | None = model if isinstance(model, torch.nn.Module) else None
        weights = None if self.model is None else Weights(self.model)
        self.anatomy = dissect(model) if weights is None else weights.anatomy
        self.tokenizer = tokenizer
        self._cells = Cells(self.anatomy)
        self._silent = inspector.writes_nothing(self._cells, self.model)
        self._background = Background(self, weights)
        plan: Plan = {
            "version": VERSION,
            "model": self.anatomy.title,
            "standing": self.anatomy.standing,
            "standing_note": " ".join([STANDINGS[self.anatomy.standing], *self.anatomy.doubts]),
            "stacks": self._cells.stacks,
            "bands": self._cells.bands,
            "metrics": colours.metrics(self._background.quantities),
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

    def colour_by(
        self, what: Any, *, label: str | None = None, diverging: bool | None = None, ln: Ln = "folded"
    ) -> None:
        """Colour the cells by a number of each.

        Args:
            what: the name of a number that is computed from the weights, such as `copying_score`, `ov_norm`, `ov_top`,
                `qk_stable_rank` (`headgrid.scan` says what they are); or your own numbers, NaN where one is missing:
                `[n_layers, n_heads]` for the heads, `[n_layers]` for the MLPs or `[n_cells]` for every cell, in an
                array, a tensor or nested lists; of a model with several stacks, those of its main one, or a dictionary
                from the name of a stack to its numbers. None takes the colours away.
            label: what the legend says.
            diverging: whether the middle of the scale means zero; by default when there are numbers of both signs.
            ln: of a number by its name, whether norms are folded into the weights or these are raw.

        Raises:
            ValueError: for another shape or name, for what is no number and for infinite ones; nothing changes then.

        Example:
            >>> grid.colour_by(headgrid.scan(model).copying_score, label="copying")
        """
        background = self._background
        if isinstance(what, str):
            asked = colours.quantity(what, background.quantities)
            tell = background.telling(lambda write: write())
            try:
                found = background.coloured(asked, ln, tell, label=label, diverging=diverging)
            finally:
                self.progress = dict(IDLE)
        elif what is None:
            found = colours.NONE
        else:
            absent, main = self._cells.absent, self.anatomy.main.name
            found = colours.of_array(background.places, absent, main, what, label, diverging)
        with background.lock:
            background.stop_colours()
            self.colours = dict(found)

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the heads of the main stack with matplotlib, in the colours of the grid; the selected ones are outlined.

        Args:
            ax: where to draw; a new figure by default.
            style: what else `headgrid.plots.grid` takes.

        Returns:
            The axes.
        """
        from headgrid import plots

        return plots.grid(**{**self._background.figure(), "ax": ax, **style})

    # ---- Python -> browser

    @traitlets.observe("selection")
    def _on_selection(self, change: Any) -> None:
        self._write(change["new"], self.query["n"], None)

    def _write(self, selection: Selection, query: int, error: QueryError | None) -> None:
        """Everything on the wire that follows from a selection."""
        with self._background.lock:
            self._write_held(selection, query, error)

    def _write_held(self, selection: Selection, query: int, error: QueryError | None) -> None:
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
            self._background.look_again()
            self._background.compare(on, self.focus["ln"])

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
        self._background.focus(cast(Focus, change["new"]))
        self._compare()

    @traitlets.observe("recolour")
    def _on_recolour(self, change: Any) -> None:
        self._background.recolour(cast(Recolour, change["new"]))

    def _compare(self) -> None:
        self._background.compare(unpack(self.cells, self._cells.n_cells), self.focus["ln"])

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What a message from the browser calls. Until there is one, nobody looks at what a selection would tell."""
        self._background.watched = True
        with self._background.lock:
            super().set_state(sync_data)

    def close(self) -> None:
        """Close the widget, and stop what it computes."""
        if (background := self.__dict__.get("_background")) is not None:  # there is none if no model could be placed
            background.worker.close()
        super().close()

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
        self._background.watched = True
        with self._background.lock:
            self._compare()
        data, metadata = bundle
        on, partial = self._cells.look(self.selection.parts)
        html = fallback.html(
            self.anatomy.title, str(self.selection), self._cells.bands, self._cells.absent, on, partial
        )
        return {**data, "text/plain": repr(self), "text/html": html}, metadata
