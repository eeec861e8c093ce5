"""HeadGrid: the widget. Its state is one Selection; cells, texts and queries are views of it that cross the wire.

Python code changes the selection, and so do the commands of a browser, such as a click, a query or an undo. One
observer writes what follows from it. Nothing here asks who made a change: a change that is already true writes
nothing, so no echo can start.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import anywidget
import torch
import traitlets

from headgrid.anatomy.anatomy import Bools
from headgrid.circuits import strings
from headgrid.circuits.norms import LNS
from headgrid.circuits.progress import Progress
from headgrid.models import dissect
from headgrid.selection.masks import ParamMasks
from headgrid.selection.selection import Selectable, Selection
from headgrid.utils import arguments
from headgrid.weights import Weights
from headgrid.widget import messages, transaction
from headgrid.widget.compute import comparison, weight_location
from headgrid.widget.compute.scheduler import IDLE, Scheduler
from headgrid.widget.export import fallback
from headgrid.widget.state import cell_colors, query
from headgrid.widget.state.grid_spec import cells_of, spec
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.state.saved import Saved
from headgrid.widget.wire.schema import Band, Colors, Complete, Focus, Ln, QueryError, Recolor, pack

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Path: TypeAlias = "str | os.PathLike[str]"

STATIC = pathlib.Path(__file__).parent / "static"


class _Selection(traitlets.TraitType[Selection, Selectable]):
    """A trait that takes whatever `Anatomy.select` takes."""

    def set(self, obj: Any, value: Selectable) -> None:
        """Set it, and have all that follows done, before a message of the browser is taken: that may be another thread.

        JupyterLab has messages of widgets handled by a thread of their own, so that a busy cell does not hold them up.
        """
        chosen = obj.anatomy.select(value)
        obj._change(lambda present: present.history.change(chosen))


def _dict(default: Any = None) -> traitlets.Dict[str, Any]:
    """A trait of one structure of the wire."""
    return traitlets.Dict(dict(default or {})).tag(sync=True)


class HeadGrid(anywidget.AnyWidget):
    """A transformer as a clickable grid of layers and heads, bound to a `Selection`.

    Args:
        model: a transformers model or config, or an `Anatomy`.
        tokenizer: its tokenizer, for what is shown as tokens; without it they are ids.
        select: what to select at first; nothing by default.

    Attributes:
        selection: the selected parts. Set it to a selection, a text or a list of texts; `observe` it to follow clicks.
        saved: selections with a name: `grid.saved["induction"] = "l0h1 | l1h2"`; see `Saved`.
        anatomy: the model's anatomy.
        model: the model that was given, or None for a config or an anatomy.

    Example:
        >>> grid = HeadGrid(model, tokenizer)
        >>> grid.select("l1h2 | l0 mlp")
        Selection('l1h2 | l0 mlp')
        >>> grid.masks["transformer.h.1.attn.c_proj.weight"].shape
        torch.Size([96, 96])
        >>> grid.undo()
        Selection('none')
    """

    # as text: of a path anywidget would keep every grid, and its model, for as long as the process lives
    _esm = (STATIC / "widget.js").read_text(encoding="utf-8")
    _css = (STATIC / "widget.css").read_text(encoding="utf-8")

    _torn = False  # whether an interrupt may have left one thing unlike another

    selection = _Selection()

    spec: traitlets.Dict[str, Any] = traitlets.Dict(read_only=True).tag(sync=True)
    cells = traitlets.Bytes().tag(sync=True)
    # bytes that are missing at the end count as zero there
    partial = traitlets.Bytes().tag(sync=True, to_json=lambda bits, _: bits.rstrip(b"\0"))
    text = _dict()
    complete = _dict({"n": 0, "text": "", "at": 0})
    completions = _dict(query.NONE)
    commands: traitlets.List[Any] = traitlets.List().tag(sync=True)
    history = _dict({"done": 0, "undo": 0, "redo": 0})
    saved = traitlets.Instance(Saved, read_only=True).tag(sync=True, to_json=lambda all_saved, _: all_saved.wire())
    focus = _dict({"n": 0, "cell": -1, "ln": "folded"})
    summary = _dict(weight_location.NOTHING)
    arrows = _dict(comparison.NO_ARROWS)
    selected_heads = _dict(comparison.NONE)
    recolor = _dict({"n": 0, "metric": "", "ln": "folded"})
    colors = _dict(cell_colors.NONE)
    progress = _dict(IDLE)
    precomputed: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, model: Any, tokenizer: Any = None, *, select: Selectable = "none") -> None:
        strings.tokenizer(tokenizer)
        self.model: torch.nn.Module | None = model if isinstance(model, torch.nn.Module) else None
        weights = None if self.model is None else Weights(self.model)
        self._cells = cells_of(dissect(model) if weights is None else weights.anatomy)
        self.anatomy = self._cells.anatomy
        if weights is not None:
            weights.anatomy, weights.stack = self.anatomy, self.anatomy.stack(weights.stack.name)
        self.tokenizer = tokenizer
        self._silent = weight_location.writes_nothing(self._cells, self.model)
        self._scheduler = Scheduler(self, weights)
        self._grid_state = GridState(self._cells, self.anatomy.select(select), self._save)
        self.set_trait("spec", spec(self._cells, self._silent, self._scheduler.quantities))
        self.set_trait("saved", self._grid_state.saved)
        # whatever follows from it is written before the browser is told; it counts its views where that starts at 0
        super().__init__(selection=self._grid_state.selection, _view_count=0)

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

    def undo(self) -> Selection:
        """Take back the last change of the selection, whoever made it; 200 of them are kept.

        Returns:
            The selection that is on then; the same one where there is nothing to take back.
        """
        self._change(lambda present: present.history.undo())
        return self.selection

    def redo(self) -> Selection:
        """Make the change again that was taken back last, unless the selection was changed since.

        Returns:
            The selection that is on then; the same one where there is nothing to make again.
        """
        self._change(lambda present: present.history.redo())
        return self.selection

    @property
    def masks(self) -> ParamMasks:
        """The selection as parameter masks; `Selection.masks` says what they are. `{}` when nothing is selected."""
        return self.selection.masks()

    def color_by(
        self, what: Any, *, label: str | None = None, diverging: bool | None = None, ln: Ln = "folded"
    ) -> None:
        """Color the cells by a number of each, in every view of this grid; `copy` gives a grid of its own.

        Args:
            what: the name of a number that is computed from the weights, such as `copying_score`, `ov_norm`, `ov_top`,
                `qk_stable_rank` (`headgrid.scan` says what they are); or your own numbers, NaN where one is missing:
                `[n_layers, n_heads]` for the heads, `[n_layers]` for the MLPs or `[n_cells]` for every cell, in an
                array, a tensor or nested lists; of a model with several stacks, those of its main one, or a dictionary
                from the name of a stack to its numbers. None takes the colors away.
            label: what the legend says. It adds that the weights have changed, where those of a name have since.
            diverging: whether the middle of the scale means zero; by default when there are numbers of both signs.
            ln: of a number by its name, whether norms are folded into the weights or these are raw.

        Raises:
            ValueError: for another shape or name, for what is no number and for infinite ones; nothing changes then.

        Example:
            >>> grid.color_by(headgrid.scan(model).copying_score, label="copying")
        """
        label = None if label is None else arguments.text("label", label)
        diverging = None if diverging is None else arguments.flag("diverging", diverging)
        self._scheduler.color_by(what, label, diverging, arguments.one_of("ln", ln, LNS))

    def copy(self) -> HeadGrid:
        """A grid of its own of the same model, with the same selection, saved selections and colors.

        All views of one grid show the same, in earlier cells of a notebook too. Give each cell that is to keep what it
        shows a copy.

        Example:
            >>> later = grid.copy()
            >>> later.color_by("ov_norm")  # `grid` keeps its colors
        """
        with self._scheduler.lock:
            new = type(self)(self.anatomy if self.model is None else self.model, self.tokenizer, select=self.selection)
            new._scheduler.take_over(self._scheduler)
            if self.saved:
                new._save(lambda: setattr(new.saved, "state", self.saved.state))
        return new

    __copy__ = copy

    def plot(self, ax: Axes | None = None, **style: Any) -> Axes:
        """Draw the heads of the main stack with matplotlib, in the colors of the grid; the selected ones are outlined.

        Args:
            ax: where to draw; a new figure by default.
            style: what else `headgrid.plots.grid` takes.

        Returns:
            The axes.
        """
        from headgrid.widget.export import files

        return files.plot(self, ax, **style)

    def to_html(self, path: Path | None = None, progress: Progress = False) -> str | None:
        """The grid as a page that works offline, with what the inspector says of the selected cells.

        Args:
            path: where to write it; without, it is returned. So for `to_svg` and `to_png`.
            progress: who is told of each cell that is read; True shows a bar.

        Raises:
            FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
        """
        from headgrid.widget.export import files

        return files.to_html(self, path, progress)

    def to_svg(self, path: Path | None = None, *, marks: Sequence[str] = ()) -> str | None:
        """The grid as it is now, as an SVG picture; `path` and errors as of `to_html`.

        Args:
            path: where to write it.
            marks: names of saved selections to mark; a KeyError says which there are.
        """
        from headgrid.widget.export import files

        return files.to_svg(self, path, marks)

    def to_png(self, path: Path | None = None, *, marks: Sequence[str] = ()) -> bytes | None:
        """The grid as it is now, as a PNG picture; as `to_svg`, and an ImportError where matplotlib is missing."""
        from headgrid.widget.export import files

        return files.to_png(self, path, marks)

    # ---- Python -> browser

    def _change(self, move: Callable[[GridState], object]) -> None:
        """Change what is selected, write all that follows from it, and then tell observers of it."""

        def change() -> object:
            move(self._grid_state)
            return self._adopt(None)

        transaction.run(self, change, self._tell)

    def _adopt(self, error: QueryError | None) -> object:
        """Take over what is selected now, and write what follows from that; what was selected before.

        To be called with the lock held.
        """
        was, now = self._trait_values.get("selection"), self._grid_state.selection
        if was is not now or error or self._torn:
            self._trait_values["selection"] = now
            self._write(error)
        return was

    def _tell(self, was: object) -> None:
        """Tell observers that something else is selected now than was."""
        if was is not self.selection:
            self._notify_trait("selection", was, self.selection)

    def _write(self, error: QueryError | None) -> None:
        """Everything on the wire that follows from what is selected. To be called with the lock held."""
        present = self._grid_state
        on, partial = present.coverage()
        with self.hold_sync():
            self.partial = pack(partial)
            self.text, self.history = dict(present.text(error)), dict(present.steps())
            self.cells = pack(on)  # last: an observer may select something else at that, which writes all of it again
            self._scheduler.refresh()
            self._compare()
            self._scheduler.recheck()

    def _show_silent(self, silent: Bools) -> None:
        """Show which cells write nothing, where they are others than before. To be called with the lock held."""
        new = spec(self._cells, silent, self._scheduler.quantities)
        if new != self.spec:
            self._silent = silent
            self.set_trait("spec", new)

    def _save(self, change: Callable[[], None]) -> None:
        """Change what is saved, and then tell of it."""
        transaction.run(self, change, lambda _: self._tell_saved())

    def _tell_saved(self) -> None:
        """The saved selections are another set now: views and observers are told."""
        change = {"name": "saved", "old": self.saved, "new": self.saved, "owner": self, "type": "change"}
        self.notify_change(traitlets.Bunch(change))

    # ---- browser -> Python

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """What a message from the browser calls. Until there is one, nobody looks at what a selection would tell."""
        self._scheduler.watch()
        messages.take(self, sync_data, super().set_state)

    @traitlets.observe("complete")
    def _on_complete(self, change: Any) -> None:
        self._complete()

    def _complete(self) -> None:
        self.completions = dict(query.completed(self.anatomy, cast(Complete, self.complete)))

    @traitlets.observe("focus")
    def _on_focus(self, change: Any) -> None:
        self._scheduler.focus(cast(Focus, change["new"]))
        self._compare()

    @traitlets.observe("recolor")
    def _on_recolor(self, change: Any) -> None:
        self._scheduler.recolor(cast(Recolor, change["new"]))

    def _compare(self) -> None:
        self._scheduler.compare(self._grid_state.coverage()[0], self.focus["ln"])

    # ---- its life

    @traitlets.observe("_view_count")
    def _on_views(self, change: Any) -> None:
        if not change["new"] and change["old"]:
            self._scheduler.sleep()
        elif change["new"]:
            self._scheduler.wake()

    def close(self) -> None:
        """Close the widget, and stop what it computes."""
        try:
            super().close()
        finally:
            if (scheduler := self.__dict__.get("_scheduler")) is not None:  # there is none if no model could be placed
                scheduler.close()

    # ---- where no widget can run

    def __repr__(self) -> str:
        return fallback.text(*self._drawn())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, with a picture and a text of its present state for viewers that run no widget."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        self._scheduler.watch()
        self._scheduler.rechecked.recheck_now()
        with self._scheduler.lock:
            self._compare()
        data, metadata = bundle
        html = fallback.html(*self._drawn(), self._silent, cast(Colors, self.colors), self.text["counts"])
        return {**data, "text/plain": repr(self), "text/html": html}, metadata

    def _drawn(self) -> tuple[str, str, list[Band], Bools, Bools, Bools]:
        return (
            self.anatomy.title,
            str(self.selection),
            self._cells.bands,
            self._cells.absent,
            *self._grid_state.coverage(),
        )
