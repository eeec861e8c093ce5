"""A published circuit: which heads of which model do what, where that was published, and what to do with it."""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.circuits.progress import STOP, Progress
from headgrid.experiments.interventions import BUDGET, EffectMode
from headgrid.experiments.task import Task
from headgrid.library.diff import CircuitDiff, beside, can_reach, components, text_of
from headgrid.library.facts import CircuitCitation, CircuitPrompt, CircuitRole, ModelShape
from headgrid.library.prompts import TaskMaker
from headgrid.library.remeasured import CircuitRetest, known_weights, remeasured
from headgrid.models import dissect
from headgrid.selection.selection import Selectable, Selection
from headgrid.utils import arguments
from headgrid.utils.frozen import Frozen, read_only

if TYPE_CHECKING:
    from headgrid.widget.head_grid import HeadGrid

SIDES = (".q", ".k", ".v")


@dataclass(frozen=True, eq=False)
class PublishedCircuit(Frozen):
    """A published circuit, as selections with roles.

    Attributes:
        name: what it is called in the library: "ioi".
        title: in a few words.
        models: the published model, as model hubs call it.
        shape: the sizes that a model must have for the selections to mean its heads.
        roles: role -> `CircuitRole`, its selection and what it does, in the order of a forward pass.
        edges: pairs of (sender, receiver): names of roles or texts of heads, the receiver perhaps with the side that it
            reads by, `.q`, `.k` or `.v`. `edges_of` gives them head by head. Empty where none is published.
        citation: the publication.
        sources: public addresses at which the indices were checked.
        disagreements: sentences: what other sources say otherwise, or cannot find.
        example: a prompt of the kind, in our words; None where there is none.
        task: a function of a tokenizer, a number of rows and a seed that gives a `headgrid.Task` of the kind; None
            where headgrid has none.
        mode: what the publication puts in the place of what it ablates: "mean", "patch", "zero" or "resample".
        over_corrupted: whether a mean is over the corrupted prompts.
        note: what else a reader should know; "" for nothing.
        shipped: loads the model and its tokenizer, of a circuit in a model that ships with headgrid; else None.
    """

    name: str
    title: str
    models: tuple[str, ...]
    shape: ModelShape
    roles: Mapping[str, CircuitRole]
    citation: CircuitCitation
    sources: tuple[str, ...]
    edges: tuple[tuple[str, str], ...] = ()
    disagreements: tuple[str, ...] = ()
    example: CircuitPrompt | None = None
    task: TaskMaker | None = None
    mode: EffectMode = "mean"
    over_corrupted: bool = False
    note: str = ""
    shipped: Callable[[], tuple[Any, Any]] | None = field(default=None)

    def __post_init__(self) -> None:
        object.__setattr__(self, "roles", read_only(self.roles))

    @property
    def text(self) -> str:
        """The whole circuit as the text of a selection."""
        return " | ".join(role.selection for role in self.roles.values())

    def __repr__(self) -> str:
        wide = max(map(len, self.roles))
        lines = [f"{self.name}: {self.title}, in {' or '.join(self.models)} ({self.shape})"]
        lines += [f"  {name:<{wide}}  {role.selection:<24}  {role.does}" for name, role in self.roles.items()]
        lines += [f"  {sender} -> {receiver}" for sender, receiver in self.edges]
        if self.example is not None:
            lines.append(f"  for example: {self.example.text!r} -> {self.example.answer!r}")
        lines.append(f"  {self.citation}")
        lines += [f"  ! {one}" for one in (*self.disagreements, self.note) if one]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{html.escape(name)}</td><td><code>{html.escape(role.selection)}</code></td>"
            f"<td>{html.escape(role.does)}</td></tr>"
            for name, role in self.roles.items()
        )
        said = [f"{' or '.join(self.models)}, {self.shape}", str(self.citation), *self.disagreements, self.note]
        below = "".join(f"<div>{html.escape(one)}</div>" for one in said if one)
        return f"<table><caption>{html.escape(f'{self.name}: {self.title}')}</caption>{rows}</table>{below}"

    # ---- on a model

    def anatomy_of(self, model: Any) -> Anatomy:
        """The anatomy of a model, a config or an anatomy that has this circuit's heads.

        Raises:
            ValueError: when it has another shape: the first size in which it differs is named.
        """
        anatomy = dissect(model)
        if difference := self.shape.difference(anatomy):
            raise ValueError(
                f"{anatomy.name} has {difference}, so its heads are not those of {self.title}, which is of "
                f"{' or '.join(self.models)}: {self.shape}. headgrid.library.matching(model) lists what fits a model"
            )
        return anatomy

    def selection(self, model: Any, role: str | None = None) -> Selection:
        """The circuit, or one of its roles, as a selection of a model.

        Args:
            model: a model, a config or an anatomy of the published shape; a config is enough, without weights.
            role: the name of one of the roles; all together by default.

        Raises:
            ValueError: for a model of another shape, naming the first difference; for a role that there is not.
        """
        text = self.text if role is None else self.roles[arguments.one_of("role", role, tuple(self.roles))].selection
        return self.anatomy_of(model).select(text)

    def edges_of(self, model: Any) -> list[tuple[str, str]]:
        """The published edges head by head, as `headgrid.paths` takes their ends: `("l0h1", "l1h2.k")`.

        An edge between roles stands for one from each head of the first to each of the second that comes after it.

        Args:
            model: as of `selection`.
        """
        anatomy = self.anatomy_of(model)
        found: dict[tuple[str, str], None] = {}
        for sender, receiver in self.edges:
            side = receiver[-2:] if receiver[-2:] in SIDES else ""
            for one in sorted(components(anatomy.select(self._end(sender)))):
                for other in sorted(components(anatomy.select(self._end(receiver.removesuffix(side))))):
                    if can_reach(one, other):
                        found[text_of(one), text_of(other) + side] = None
        return list(found)

    def _end(self, text: str) -> str:
        return self.roles[text].selection if text in self.roles else text

    def open(self, model: Any, tokenizer: Any = None, *, task: Task | None = None) -> HeadGrid:
        """A grid of a model with the circuit selected, and its roles as saved selections, each in its color.

        Args:
            model: a model, a config or an anatomy of the published shape.
            tokenizer: its tokenizer, for what is shown as tokens.
            task: what the model is asked, as in `HeadGrid`.

        Raises:
            ValueError: for a model of another shape.
        """
        from headgrid.widget.head_grid import HeadGrid

        self.anatomy_of(model)
        grid = HeadGrid(model, tokenizer, select=self.text, task=task)
        grid.saved.update({name: role.selection for name, role in self.roles.items()})
        return grid

    def diff(self, mine: Selectable | HeadGrid, model: Any = None) -> CircuitDiff:
        """What a selection of yours has of each role and lacks, and what it has that is in none, beside chance.

        Args:
            mine: a selection, or whatever `Anatomy.select` takes; a grid stands for what is selected in it.
            model: the model, config or anatomy that `mine` is of, where it is no selection.

        Raises:
            TypeError: when `mine` is a text or a list, and no model is given.
            ValueError: for a model of another shape.
        """
        of_grid = getattr(mine, "selection", None)
        chosen = of_grid if isinstance(of_grid, Selection) else mine
        if not isinstance(chosen, Selection):
            if model is None:
                raise TypeError(
                    f"diff takes a selection, which knows its model, not {arguments.shown(mine)}: give model=, a model "
                    "or a config, or make it with anatomy.select(...)"
                )
            chosen = self.anatomy_of(model).select(chosen)
        anatomy = self.anatomy_of(chosen.anatomy if model is None else model)
        roles = {name: anatomy.select(role.selection) for name, role in self.roles.items()}
        return beside(self.title, roles, anatomy.select(chosen))

    def retest(
        self, model: torch.nn.Module, tokenizer: Any = None, *, n: int = 32, seed: int = 0, task: Task | None = None,
        controls: int = 20, batch_size: int | None = None, memory: int = BUDGET, progress: Progress = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> CircuitRetest:  # fmt: skip
        """The circuit measured again on a model with weights: its faithfulness, and what each role does, with controls.

        The prompts are ours, of the published kind, and what is ablated gets what the publication puts there, as far as
        headgrid can: a mean over the corrupted prompts, or a patch from them. Weights cannot be identified by their
        shape, so a result says what is known of them (`CircuitRetest.weights`), and only the very weights that ship
        with headgrid are ever called a confirmation.

        Args:
            model: a model of the published shape, in `eval()`.
            tokenizer: its tokenizer; not needed with `task`.
            n: how many prompts.
            seed: of the prompts, of random circuits and of the bootstrap.
            task: another task than the library's own.
            controls: how many random circuits, and random sets, are measured beside it; by fewer than 15 nothing is
                called better than chance.
            batch_size, memory, progress, cancelled: as in `headgrid.faithfulness`.

        Returns:
            A `CircuitRetest`. Where headgrid has no task of the kind, it says so and has no numbers.

        Raises:
            TypeError, ValueError: for arguments that do not fit; for a model of another shape; for a tokenizer that
                cuts the words of the task into pieces.
            Cancelled: when `cancelled` says so.
        """
        anatomy = self.anatomy_of(arguments.model(model))
        n = arguments.integer("n", n, least=2, below=100_001, what="a number of prompts")
        seed = arguments.integer("seed", seed, least=0, below=2**63)
        controls = arguments.integer("controls", controls, least=0, below=10_001, what="a number of random circuits")
        progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
        if task is not None:
            arguments.of_kind("task", task, Task, "a headgrid.Task")
        elif self.task is not None:
            if tokenizer is None:
                raise TypeError("retest needs the model's tokenizer, to make its prompts: give tokenizer=, or task=")
            task = self.task(tokenizer, n, seed)
        weights = known_weights(model, anatomy, self.models, self.shipped)
        if task is None:
            return CircuitRetest(
                self.title, "headgrid has no task of the kind that it was found on; give task=.", weights, self.models
            )
        roles = {name: anatomy.select(role.selection) for name, role in self.roles.items()}
        mode: EffectMode = "mean" if self.mode == "patch" and task.corrupted is None else self.mode
        return remeasured(
            self.title, anatomy.select(self.text), roles, model, task, mode=mode, over_corrupted=self.over_corrupted,
            mlps=" mlp" in self.text, weights=weights, models=self.models, controls=controls, seed=seed,
            batch_size=batch_size, memory=memory, progress=progress, cancelled=cancelled,
        )  # fmt: skip
