"""HeadGrid: the widget as a user of Python has it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch

from headgrid.anatomy.anatomy import Bools
from headgrid.circuits import strings
from headgrid.circuits.norms import LNS
from headgrid.circuits.progress import Progress
from headgrid.experiments.effects import Effects
from headgrid.experiments.task import Task
from headgrid.models import dissect
from headgrid.models.checkpoints import Checkpoint
from headgrid.selection.masks import ParamMasks
from headgrid.selection.selection import Selectable, Selection
from headgrid.utils import arguments
from headgrid.weights import Weights
from headgrid.widget.compute import silent_cells
from headgrid.widget.compute.scheduler import Scheduler
from headgrid.widget.export import fallback
from headgrid.widget.state.grid_spec import cells_of
from headgrid.widget.state.grid_state import GridState
from headgrid.widget.state.head_values import HeadValues
from headgrid.widget.state.questions import GridQuestion
from headgrid.widget.state_widget import StateWidget
from headgrid.widget.wire.schema import TRAITS, Band, Ln

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from headgrid.widget.export.files import FilePath


class HeadGrid(StateWidget):
    """A transformer as a clickable grid of layers and heads, bound to a `Selection`.

    Args:
        model: a transformers model or config, an `Anatomy`, or a path: of a folder or file of safetensors, whose
            weights are read with no model in memory; or of a `config.json` alone.
        tokenizer: its tokenizer, for what is shown as tokens; without it they are ids.
        select: what to select at first; nothing by default.
        task: what the model is asked, a `headgrid.Task`, for what heads do on a text; none by default.

    Attributes:
        selection: the selected parts. Set it to a selection, a text or a list of texts; `observe` it to follow clicks.
        task: what the model is asked: a `headgrid.Task`, or None; `observe` it to follow texts that are typed. A
            TypeError for anything else; a ValueError for tokens that the model does not have, and where there is no
            model to run.
        saved: selections with a name: `grid.saved["induction"] = "l0h1 | l1h2"`; see `Saved`.
        anatomy: the model's anatomy.
        model: the model that was given, or None for a config, an anatomy or a path: there is nothing to run.

    Example:
        >>> grid = HeadGrid(model, tokenizer)
        >>> grid.select("l1h2 | l0 mlp")
        Selection('l1h2 | l0 mlp')
        >>> grid.masks["transformer.h.1.attn.c_proj.weight"].shape
        torch.Size([96, 96])
        >>> grid.undo()
        Selection('none')
    """

    def __init__(
        self, model: Any, tokenizer: Any = None, *, select: Selectable = "none", task: Task | None = None
    ) -> None:
        strings.tokenizer(tokenizer)
        self.model: torch.nn.Module | None = model if isinstance(model, torch.nn.Module) else None
        found = Checkpoint.opened(model) if isinstance(model, str | os.PathLike) else model
        self._read = found if isinstance(found, torch.nn.Module | Checkpoint) else None  # what a copy is of
        weights = None if self._read is None else Weights(self._read)
        cells = cells_of(dissect(model) if weights is None else weights.anatomy)
        self.anatomy = cells.anatomy
        if weights is not None:
            weights.anatomy, weights.stack = self.anatomy, self.anatomy.stack(weights.stack.name)
        self.tokenizer = tokenizer
        silent = silent_cells.silent_cells(cells, None if weights is None else weights.source)
        state = GridState(cells, self.anatomy.select(select), silent)
        super().__init__(state, Scheduler(state, weights, tokenizer))
        if task is not None:
            self.task = task

    def select(self, what: Selectable) -> Selection:
        """Select what a text, a list of texts, (layer, head) pairs or a selection names; every view follows.

        A text may say heads by the values that they are colored by now: `top 10`, `bottom 3`, `> 0.6`, `top 10 - l0`.

        Returns:
            The new selection.

        Raises:
            SelectionError: when the text does not parse or names what the model does not have; where it is about values
                and no head has one; nothing changes then.
        """
        self.selection = what
        return self.selection

    def undo(self) -> Selection:
        """Take back the last change of the selection, whoever made it; 200 of them are kept.

        Returns:
            The selection that is on then; the same one where there is nothing to take back.
        """
        self._change(lambda state: state.history.undo())
        return self.selection

    def redo(self) -> Selection:
        """Make the change again that was taken back last, unless the selection was changed since.

        Returns:
            The selection that is on then; the same one where there is nothing to make again.
        """
        self._change(lambda state: state.history.redo())
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
                from the name of a stack to its numbers; or the `Effects` of a sweep. None takes the colors away.
            label: what the legend says: the metric and method of `Effects` by default. It adds that the weights
                have changed, where those of a name have since.
            diverging: whether the middle of the scale means zero; by default when there are numbers of both signs.
            ln: of a number by its name, whether norms are folded into the weights or these are raw.

        Raises:
            ValueError: for another shape or name, for what is no number and for infinite ones; nothing changes then.

        Example:
            >>> grid.color_by(headgrid.scan(model).copying_score, label="copying")
        """
        label = None if label is None else arguments.text("label", label)
        diverging = None if diverging is None else arguments.flag("diverging", diverging)
        if isinstance(what, Effects):
            label = f"{what.metric}: {what.method}" if label is None else label
            what = what.to_colors()
        self._scheduler.coloring.color_by(what, label, diverging, arguments.one_of("ln", ln, LNS))

    def top(self, k: int, largest: bool = True) -> Selection:
        """The k heads with the largest of the values that the cells are colored by now, in all stacks: a new selection.

        Of equal values those of earlier layers count first. `grid.select("top 10")` selects them.

        Args:
            k: how many; all that have a value where these are fewer.
            largest: whether the largest are meant; else the smallest.

        Raises:
            ValueError: when the cells have no colors, or no head has a value.
        """
        k, largest = arguments.integer("k", k, least=0, what="a number of heads"), arguments.flag("largest", largest)
        return self._valued().top(k, largest)

    def where(self, *, min: float | None = None, max: float | None = None) -> Selection:
        """The heads whose value is at least `min`, at most `max`, or both: of what the cells are colored by now.

        `grid.select("> 0.6")` selects those above.

        Raises:
            ValueError: when neither is given; when the cells have no colors, or no head has a value.

        Example:
            >>> grid.color_by("copying_score")
            >>> grid.select(grid.where(min=0.3) - "l0")
            Selection('l1h2')
        """
        bounds = {"min": (">=", min), "max": ("<=", max)}
        given = [(sign, arguments.number(name, bound)) for name, (sign, bound) in bounds.items() if bound is not None]
        if not given:
            raise ValueError("where takes a bound: where(min=0.5), where(max=-0.5), or both")
        heads = self._valued()
        first, *others = [heads.where(sign, bound) for sign, bound in given]
        return first & others[0] if others else first

    def _valued(self) -> HeadValues:
        heads = self._state.head_values
        if heads.missing:
            raise ValueError(heads.missing)
        return heads

    def copy(self) -> HeadGrid:
        """A grid of its own of the same model, with the same selection, saved selections and colors.

        All views of one grid show the same, in earlier cells of a notebook too. Give each cell that is to keep what it
        shows a copy.

        Example:
            >>> later = grid.copy()
            >>> later.color_by("ov_norm")  # `grid` keeps its colors
        """
        with self._lock:
            new = type(self)(self.anatomy if self._read is None else self._read, self.tokenizer, select=self.selection)
            new.task = self.task
            self._hand_over(new)
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

        self._scheduler.recheck_now()
        return files.plot(self._state, ax, **style)

    def to_html(self, path: FilePath | None = None, progress: Progress = False) -> str | None:
        """The grid as a page that works offline, with what the inspector says of the selected cells.

        With a task it has the attention patterns of all heads on the row that is shown, up to 4 MB; beyond that those
        of the looked-at and the selected heads. It has every metric that was computed of heads, and in models of at
        most 200 heads all those of the weights. The page says what it has.

        Args:
            path: where to write it; without, it is returned. So for `to_svg` and `to_png`.
            progress: who is told of each cell that is read; True shows a bar.

        Raises:
            FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
        """
        from headgrid.widget.export import files
        from headgrid.widget.export.precompute_live import PageSources

        self._scheduler.recheck_now()
        with self._lock:
            traits = self.get_state([trait for trait in TRAITS if trait in self.keys])
        sources = PageSources(self.model, self._scheduler.coloring, self._scheduler.table)
        return files.to_html(self._state, self._scheduler.cache, traits, path, progress, sources)

    def to_svg(self, path: FilePath | None = None, *, marks: Sequence[str] = ()) -> str | None:
        """The grid as it is now, as an SVG picture; `path` and errors as of `to_html`.

        Args:
            path: where to write it.
            marks: names of saved selections to mark; a KeyError says which there are.
        """
        from headgrid.widget.export import files

        self._scheduler.recheck_now()
        return files.to_svg(self._state, path, marks)

    def to_png(self, path: FilePath | None = None, *, marks: Sequence[str] = ()) -> bytes | None:
        """The grid as it is now, as a PNG picture; as `to_svg`, and an ImportError where matplotlib is missing."""
        from headgrid.widget.export import files

        self._scheduler.recheck_now()
        return files.to_png(self._state, path, marks)

    # ---- exercises

    def ask(self, question: GridQuestion) -> None:
        """Show a question above the grid, with what its last answer came to; `headgrid.course.Exercise` does this.

        Until it is solved, the metrics that it names are shown nowhere: cells that are colored by one lose their
        colors, and it cannot be chosen. What other questions hide that were asked of this grid stays hidden until
        these are solved.

        Args:
            question: the question; the one that is asked already is shown anew.

        Raises:
            ValueError: for a metric that this grid does not have.
        """
        self._scheduler.coloring.refuse_unknown(question.hidden)

        self._transact(lambda: self._scheduler.grader.ask(question))

    # ---- where no widget can run

    def __repr__(self) -> str:
        return fallback.text(*self._drawn())

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        """The widget, with a picture and a text of its present state for viewers that run no widget."""
        bundle = super()._repr_mimebundle_(**kwargs)
        if bundle is None:
            return None
        self._scheduler.watch()
        self._scheduler.recheck_now()
        with self._lock:
            self._scheduler.compare()
        data, metadata = bundle
        html = fallback.html(*self._drawn(), self._state.silent, self._state.colors, self._state.text()["counts"])
        return {**data, "text/plain": repr(self), "text/html": html}, metadata

    def _drawn(self) -> tuple[str, str, list[Band], Bools, Bools, Bools]:
        cells = self._state.cells
        return self.anatomy.title, str(self.selection), cells.bands, cells.absent, *self._state.coverage()
