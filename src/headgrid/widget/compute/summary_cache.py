"""The summaries of the cells of one model: computed when they are asked for, and kept until the weights change.

Only `unchecked`, `tabs` and `missing` are quick and read no weights; everything else is for the worker.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headgrid.circuits.composition import NOT_USE, Composition, compose, partners
from headgrid.circuits.describe import Describer
from headgrid.circuits.progress import Cancelled, Progress
from headgrid.circuits.scan import Scan, scan
from headgrid.circuits.summary import HeadSummary
from headgrid.weights import Weights
from headgrid.widget.compute import composition_to_wire, to_wire
from headgrid.widget.compute.weight_versions import WeightVersions
from headgrid.widget.state.cell_index import CellIndex, Component
from headgrid.widget.wire.empty import no_partners
from headgrid.widget.wire.schema import Circuit, Ln, Partners, Tab

Asked = Callable[[], bool]

MOST_CELLS = 512
"""The cells whose summaries are kept."""

TABS: dict[str, list[Tab]] = {"head": ["ov", "qk", "composition"], "mlp": ["mlp"], "expert": ["mlp"]}


@dataclass(frozen=True)
class CellSummary:
    """The summary of one cell, as far as it is read.

    Attributes:
        circuits, partners: as the wire has them.
        pending: the tabs that are not complete.
        summary: of a head that is not complete: what its circuits were made of.
        faulty: whether something could not be computed beside the circuits.
    """

    circuits: list[Circuit]
    partners: Partners | None
    pending: list[Tab]
    summary: HeadSummary | None = field(default=None, repr=False)
    faulty: bool = False

    @property
    def failed(self) -> bool:
        """Whether anything of it could not be computed."""
        return self.faulty or any(circuit["error"] for circuit in self.circuits)


NOTHING = CellSummary([], None, [])
"""Of a cell that has nothing to read."""


class SummaryCache:
    """The summaries of the cells of one model.

    Args:
        weights: the model's weights; None for a model that is known by its configuration alone.
        tokenizer: its tokenizer, or None.
        index: the cells.
    """

    def __init__(self, weights: Weights | None, tokenizer: Any, index: CellIndex) -> None:
        self._tokenizer, self._index = tokenizer, index
        self._versions = None if weights is None else WeightVersions(weights)
        self._lock = threading.RLock()
        self._age = self._changes = 0
        self._forget()

    @property
    def readable(self) -> bool:
        """Whether there are weights to read: of any cell at all."""
        return self._versions is not None and self._versions.readable

    @property
    def age(self) -> int:
        """A number that changes when a change of the weights was seen, and when all was forgotten."""
        return self._age

    @property
    def changes(self) -> int:
        """How often a change of the weights was seen."""
        return self._changes

    def tabs(self, cell: int) -> list[Tab]:
        """The tabs of a cell: none where it has no weights that could be read."""
        component = self._index[cell]
        return [] if component is None or self._versions is None or self.missing(cell) else list(TABS[component.kind])

    def missing(self, cell: int) -> str:
        """Why there is nothing to read of a cell that has circuits; "" where there is."""
        component = self._index[cell]
        if component is None or self._versions is None or self._versions.holds(component):
            return ""
        if self._versions.elsewhere:
            return (
                "Its weights are offloaded: brought for each call of the model, so that there is nothing to read here."
            )
        return "Its weights are on the meta device: shapes without numbers, of which nothing can be read."

    def recheck(self, cells: Iterable[int], whole: bool, check: Callable[[], object]) -> None:
        """See whether the weights of some cells, or those of the whole model, were changed.

        Args:
            cells: the cells.
            whole: whether to look at everything.
            check: called often, and may raise.
        """
        by_stack: dict[str, list[Component]] = {}
        for cell in cells:
            if (component := self._index[cell]) is not None:
                by_stack.setdefault(component.stack, []).append(component)
        if self._versions is not None:
            for stack, components in by_stack.items():
                self._check(stack, components, check)
            for stack in self._index.stacks if whole else ():
                self._check(stack, None, check)

    # ---- one cell

    def unchecked(self, cell: int, ln: Ln) -> CellSummary | None:
        """The cached summary, whether or not the weights have changed since: quick."""
        with self._lock:
            found = self._summaries.get((cell, ln))
            if found is not None:
                self._summaries.move_to_end((cell, ln))
            return found

    def known(self, cell: int, ln: Ln) -> CellSummary | None:
        """The cached summary, if the weights are still what they were."""
        try:
            self.recheck([cell], False, lambda: None)
        except Exception:  # parameters are gone: whoever reads them will say so
            return None
        return self.unchecked(cell, ln)

    def read(self, cell: int, ln: Ln) -> CellSummary:
        """The quick part of a cell's summary; where something cannot be read, the reason stands in its place."""
        return self.read_all([cell], ln)[0]

    def read_all(self, cells: Sequence[int], ln: Ln) -> list[CellSummary]:
        """The quick parts of some cells' summaries; heads that are read at once are read faster."""
        found: dict[int, CellSummary | None] = dict.fromkeys(cells)
        groups: dict[tuple[str, str], dict[int, Component]] = {}
        for cell in found:
            if (component := self._index[cell]) is not None:
                groups.setdefault((component.kind, component.stack), {})[cell] = component
        for (kind, stack), group in groups.items():
            age, new = self._age, group
            try:
                age = self._check(stack, group.values())
                found |= {cell: self.unchecked(cell, ln) for cell in group}
                new = {cell: component for cell, component in group.items() if found[cell] is None}
                if not new:
                    continue
                describer, notes = self._describer(stack, ln)
            except Exception as fault:
                kinds = ("ov", "qk") if kind == "head" else ("in",)
                failed = CellSummary([to_wire.failed(one, to_wire.said(fault)) for one in kinds], None, [])
                summaries = [failed] * len(new)
            else:
                read = _heads if kind == "head" else _mlps
                summaries = read(describer, list(new.values()), notes)
            for cell, answer in zip(new, summaries, strict=True):
                found[cell] = self._keep(cell, ln, answer, age)
        return [answer or NOTHING for answer in found.values()]

    def deepen(self, cell: int, ln: Ln, cancelled: Asked) -> Iterator[CellSummary]:
        """The slow parts of a head's summary, one after the other.

        Raises:
            Cancelled: when `cancelled` says so.
        """
        answer, component, age = self.read(cell, ln), self._index[cell], self._age
        assert component is not None
        if "composition" in answer.pending:
            faulty = False
            try:
                partners = self._partners(component, ln, cancelled)
            except Cancelled:
                raise
            except Exception as fault:
                partners, faulty = no_partners(to_wire.said(fault)), True
            pending: list[Tab] = [tab for tab in answer.pending if tab != "composition"]
            answer = self._keep(cell, ln, replace(answer, partners=partners, pending=pending, faulty=faulty), age)
            yield answer
        if answer.summary is not None:
            faulty = answer.faulty
            try:
                deep = self._describer(component.stack, ln)[0].deepen(answer.summary, cancelled=cancelled)
                circuits = to_wire.of_head(deep)
            except Cancelled:
                raise
            except Exception as fault:
                note, faulty = f"Token pairs are missing: {to_wire.said(fault)}", True
                circuits = [{**circuit, "notes": [*circuit["notes"], note]} for circuit in answer.circuits]
            yield self._keep(cell, ln, CellSummary(circuits, answer.partners, [], faulty=faulty), age)

    # ---- several heads

    def summed(self, cells: Sequence[int], ln: Ln) -> Circuit | None:
        """The sum of the OV circuits of some heads; None where they are of several stacks."""
        components = [component for cell in cells if (component := self._index[cell]) is not None]
        if len({component.stack for component in components}) != 1:
            return None
        try:
            self._check(components[0].stack, components)
            describer, _ = self._describer(components[0].stack, ln)
            found = to_wire.of_head(describer.heads([(component.layer, component.number) for component in components]))[
                0
            ]
            found = to_wire.few(found)
        except Exception as fault:
            found = to_wire.failed("ov", to_wire.said(fault))
        return {**found, "title": "sum of OV"}

    def composed(self, cells: Sequence[int], ln: Ln, cancelled: Asked) -> list[Composition]:
        """Composition among some heads, of each stack that has several of them."""
        by_stack: dict[str, list[tuple[int, int]]] = {}
        for cell in cells:
            component = self._index[cell]
            assert component is not None
            by_stack.setdefault(component.stack, []).append((component.layer, component.number))
        several = [name for name, heads in by_stack.items() if len({layer for layer, _ in heads}) > 1]
        return [self._compose(name, by_stack[name], ln, cancelled) for name in several]

    # ---- all heads

    def scans(self, family: str, ln: Ln, progress: Progress = False, cancelled: Asked | None = None) -> dict[str, Scan]:
        """The scan of each stack that has heads.

        Args:
            family: what `headgrid.scan` reads: `ov`, `qk` or `copying`.
            ln: whether norms are folded.
            progress, cancelled: as in `headgrid.scan`; layers are counted over all stacks.

        Raises:
            Cancelled: when `cancelled` says so.
            ValueError, AnatomyError: when no stack could be read, with the reason of the first.
        """
        stacks = [layers for layers in self._index.stacks.values() if layers.cells("head").size]
        found, faults, done, total = {}, [], 0, sum(layers.n_layers for layers in stacks)
        for layers in stacks:
            tell = progress
            if callable(progress):
                tell = lambda n, _, done=done, report=progress: report(done + n, total)  # noqa: E731
            try:
                found[layers.stack] = self._scan(layers.stack, family, ln, tell, cancelled)
            except Cancelled:
                raise
            except Exception as fault:
                faults.append(fault)
            done += layers.n_layers
        if faults and not found:
            raise faults[0]
        return found

    def known_scans(self, ln: Ln) -> dict[str, dict[str, Scan]]:
        """Family -> stack -> scan: those that are kept, whether or not the weights have changed since. Quick."""
        found: dict[str, dict[str, Scan]] = {}
        with self._lock:
            for (stack, family, at), scan_of_stack in self._scans.items():
                if at == ln:
                    found.setdefault(family, {})[stack] = scan_of_stack
        return found

    # ---- what is kept

    def forget(self) -> None:
        """Forget what was found: it is read again when it is asked for."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._age += 1
        self._summaries: OrderedDict[tuple[int, str], CellSummary] = OrderedDict()
        self._describers: dict[tuple[str, str], tuple[Describer, tuple[str, ...]]] = {}
        self._scans: dict[tuple[str, str, str], Scan] = {}

    def _check(
        self, stack: str, components: Iterable[Component] | None, check: Callable[[], object] = lambda: None
    ) -> int:
        """Forget everything if the weights of some components (of their whole stack, for None) have changed.

        Returns:
            The age of the cache: results that are computed from here on are kept if nothing is forgotten meanwhile.
        """
        assert self._versions is not None
        now = self._versions.snapshot(stack, components, check)
        with self._lock:
            if self._versions.changed(now):
                self._changes += 1
                self._forget()
            self._versions.keep(now)  # last: whoever is interrupted before sees the change again
            return self._age

    def _keep(self, cell: int, ln: Ln, answer: CellSummary, age: int) -> CellSummary:
        with self._lock:
            if age == self._age and not answer.failed:  # what failed may not fail again
                self._summaries[cell, ln] = answer
                self._summaries.move_to_end((cell, ln))
                while len(self._summaries) > MOST_CELLS:
                    self._summaries.popitem(last=False)
        return answer

    def _of(self, stack: str) -> Weights:
        assert self._versions is not None
        return self._versions.of(stack)

    def _describer(self, stack: str, ln: Ln) -> tuple[Describer, tuple[str, ...]]:
        found = self._describers.get((stack, ln))
        if found is None:
            found = to_wire.describer(self._of(stack), self._tokenizer, ln)
            self._describers[stack, ln] = found
        return found

    def _scan(self, stack: str, family: str, ln: Ln, progress: Progress, cancelled: Asked | None) -> Scan:
        age, found = self._check(stack, None), self._scans.get((stack, family, ln))
        if found is None:
            found = scan(self._of(stack), (family,), ln=ln, progress=progress, cancelled=cancelled)
            with self._lock:
                if age == self._age:
                    self._scans[stack, family, ln] = found
        return found

    def _partners(self, component: Component, ln: Ln, cancelled: Asked) -> Partners:
        circuits = self._describer(component.stack, ln)[0].circuits
        notes = (NOT_USE, *circuits.notes("ov", component.layer), *circuits.notes("qk", component.layer))
        pairs = partners(circuits, component.layer, component.number, cancelled=cancelled)
        baseline = circuits.weights.stack.d_model**-0.5
        return composition_to_wire.partners(pairs, component.stack, baseline, notes, self._index)

    def _compose(self, stack: str, heads: Sequence[tuple[int, int]], ln: Ln, cancelled: Asked) -> Composition:
        words = " | ".join(f"{stack} l{layer}h{head}".strip() for layer, head in heads)
        return compose(self._of(stack), words, ln=ln, cancelled=cancelled)


def _heads(describer: Describer, components: Sequence[Component], notes: tuple[str, ...]) -> list[CellSummary]:
    found = to_wire.read_heads(describer, [(component.layer, component.number) for component in components], notes)
    return [
        CellSummary(circuits, None, list(TABS["head"]) if summary else ["composition"], summary)
        for circuits, summary in found
    ]


def _mlps(describer: Describer, components: Sequence[Component], notes: tuple[str, ...]) -> list[CellSummary]:
    return [
        CellSummary(to_wire.read_mlp(describer, component.layer, component.expert, notes), None, [])
        for component in components
    ]
