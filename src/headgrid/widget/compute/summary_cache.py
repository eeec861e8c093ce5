"""What is known of the cells of one model: computed when it is asked for, kept until the weights change.

Only `known` and `tabs` are quick; everything else is for the worker.
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
from headgrid.widget.compute import comparison, to_wire
from headgrid.widget.compute.weight_versions import Stamps
from headgrid.widget.state.cell_index import Place, Places
from headgrid.widget.wire.schema import Circuit, Ln, Partners, Tab

Asked = Callable[[], bool]

MOST_KEPT = 512
"""The cells whose answers are kept."""

TABS: dict[str, list[Tab]] = {"head": ["ov", "qk", "composition"], "mlp": ["mlp"], "expert": ["mlp"]}


@dataclass(frozen=True)
class Answer:
    """What is known of one cell so far.

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


NOTHING = Answer([], None, [])
"""Of a cell that has nothing to read."""


class Answers:
    """The answers of one model.

    Args:
        weights: the model's weights; None for a model that is known by its configuration alone.
        tokenizer: its tokenizer, or None.
        places: the cells.
    """

    def __init__(self, weights: Weights | None, tokenizer: Any, places: Places) -> None:
        self._tokenizer, self._places = tokenizer, places
        self._stamps = None if weights is None else Stamps(weights)
        self._lock = threading.RLock()
        self._age = self._changes = 0
        self._forget()

    @property
    def readable(self) -> bool:
        """Whether there are weights to read: of any cell at all."""
        return self._stamps is not None and self._stamps.readable

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
        place = self._places[cell]
        return [] if place is None or self._stamps is None or self.missing(cell) else list(TABS[place.kind])

    def missing(self, cell: int) -> str:
        """Why there is nothing to read of a cell that has circuits; "" where there is."""
        place = self._places[cell]
        if place is None or self._stamps is None or self._stamps.holds(place):
            return ""
        if self._stamps.elsewhere:
            return (
                "Its weights are offloaded: brought for each call of the model, so that there is nothing to read here."
            )
        return "Its weights are on the meta device: shapes without numbers, of which nothing can be read."

    def look(self, cells: Iterable[int], whole: bool, check: Callable[[], object]) -> None:
        """See whether the weights of some cells, or those of the whole model, were changed.

        Args:
            cells: the cells.
            whole: whether to look at everything.
            check: called often, and may raise.
        """
        places = [place for cell in cells if (place := self._places[cell]) is not None]
        if self._stamps is not None:
            for place in places:
                self._check(place.stack, place, check)
            for stack in self._places.stacks if whole else ():
                self._check(stack, None, check)

    # ---- one cell

    def known(self, cell: int, ln: Ln) -> Answer | None:
        """What was found before, if the weights are still what they were."""
        place = self._places[cell]
        if place is None or self._stamps is None:
            return None
        try:
            self._check(place.stack, place)
        except Exception:  # parameters are gone: whoever reads them will say so
            return None
        with self._lock:
            found = self._answers.get((cell, ln))
            if found is not None:
                self._answers.move_to_end((cell, ln))
            return found

    def read(self, cell: int, ln: Ln) -> Answer:
        """What is quick to say of a cell; what cannot be said has its reason in its place."""
        return self.read_all([cell], ln)[0]

    def read_all(self, cells: Sequence[int], ln: Ln) -> list[Answer]:
        """What is quick to say of some cells; heads that are read at once are read faster."""
        found = {cell: self.known(cell, ln) for cell in cells}
        groups: dict[tuple[str, str], list[tuple[int, Place]]] = {}
        for cell in [cell for cell, answer in found.items() if answer is None]:
            if (place := self._places[cell]) is not None:
                groups.setdefault((place.kind, place.stack), []).append((cell, place))
        for (kind, stack), group in groups.items():
            places = [place for _, place in group]
            age = self._age
            try:
                age = max(self._check(stack, place) for place in places)
                describer, notes = self._describer(stack, ln)
            except Exception as fault:
                kinds = ("ov", "qk") if kind == "head" else ("in",)
                answers = [Answer([to_wire.failed(one, to_wire.said(fault)) for one in kinds], None, [])] * len(group)
            else:
                read = _heads if kind == "head" else _mlps
                answers = read(describer, places, notes)
            for (cell, _), answer in zip(group, answers, strict=True):
                found[cell] = self._keep(cell, ln, answer, age)
        return [answer or NOTHING for answer in found.values()]

    def deepen(self, cell: int, ln: Ln, cancelled: Asked) -> Iterator[Answer]:
        """More and more of what is slow to say of a head.

        Raises:
            Cancelled: when `cancelled` says so.
        """
        answer, place, age = self.read(cell, ln), self._places[cell], self._age
        assert place is not None
        if "composition" in answer.pending:
            faulty = False
            try:
                partners = self._partners(place, ln, cancelled)
            except Cancelled:
                raise
            except Exception as fault:
                partners, faulty = comparison.no_partners(to_wire.said(fault)), True
            pending: list[Tab] = [tab for tab in answer.pending if tab != "composition"]
            answer = self._keep(cell, ln, replace(answer, partners=partners, pending=pending, faulty=faulty), age)
            yield answer
        if answer.summary is not None:
            faulty = answer.faulty
            try:
                deep = self._describer(place.stack, ln)[0].deepen(answer.summary, cancelled=cancelled)
                circuits = to_wire.of_head(deep)
            except Cancelled:
                raise
            except Exception as fault:
                note, faulty = f"Token pairs are missing: {to_wire.said(fault)}", True
                circuits = [{**circuit, "notes": [*circuit["notes"], note]} for circuit in answer.circuits]
            yield self._keep(cell, ln, Answer(circuits, answer.partners, [], faulty=faulty), age)

    # ---- several heads

    def summed(self, cells: Sequence[int], ln: Ln) -> Circuit | None:
        """The sum of the OV circuits of some heads; None where they are of several stacks."""
        places = [place for cell in cells if (place := self._places[cell]) is not None]
        if len({place.stack for place in places}) != 1:
            return None
        try:
            for place in places:
                self._check(place.stack, place)
            describer, _ = self._describer(places[0].stack, ln)
            found = to_wire.of_head(describer.heads([(place.layer, place.number) for place in places]))[0]
            found = to_wire.few(found)
        except Exception as fault:
            found = to_wire.failed("ov", to_wire.said(fault))
        return {**found, "title": "sum of OV"}

    def composed(self, cells: Sequence[int], ln: Ln, cancelled: Asked) -> list[Composition]:
        """Composition among some heads, of each stack that has several of them."""
        by_stack: dict[str, list[tuple[int, int]]] = {}
        for cell in cells:
            place = self._places[cell]
            assert place is not None
            by_stack.setdefault(place.stack, []).append((place.layer, place.number))
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
        stacks = [layers for layers in self._places.stacks.values() if layers.cells("head").size]
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

    # ---- what is kept

    def forget(self) -> None:
        """Forget what was found: it is read again when it is asked for."""
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self._age += 1
        self._answers: OrderedDict[tuple[int, str], Answer] = OrderedDict()
        self._describers: dict[tuple[str, str], tuple[Describer, tuple[str, ...]]] = {}
        self._scans: dict[tuple[str, str, str], Scan] = {}

    def _check(self, stack: str, place: Place | None, check: Callable[[], object] = lambda: None) -> int:
        """Forget everything if the weights of a place (of its whole stack, for None) are not what they were.

        Returns:
            The age of what is known: what is computed from here on is kept if nothing was forgotten in the meantime.
        """
        assert self._stamps is not None
        now = self._stamps.look(stack, place, check)
        with self._lock:
            if self._stamps.changed(now):
                self._changes += 1
                self._forget()
            self._stamps.keep(now)  # last: whoever is interrupted before sees the change again
            return self._age

    def _keep(self, cell: int, ln: Ln, answer: Answer, age: int) -> Answer:
        with self._lock:
            if age == self._age and not answer.failed:  # what failed may not fail again
                self._answers[cell, ln] = answer
                self._answers.move_to_end((cell, ln))
                while len(self._answers) > MOST_KEPT:
                    self._answers.popitem(last=False)
        return answer

    def _of(self, stack: str) -> Weights:
        assert self._stamps is not None
        return self._stamps.of(stack)

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
            if age == self._age:
                self._scans[stack, family, ln] = found
        return found

    def _partners(self, place: Place, ln: Ln, cancelled: Asked) -> Partners:
        circuits = self._describer(place.stack, ln)[0].circuits
        notes = (NOT_USE, *circuits.notes("ov", place.layer), *circuits.notes("qk", place.layer))
        pairs = partners(circuits, place.layer, place.number, cancelled=cancelled)
        baseline = circuits.weights.stack.d_model**-0.5
        return comparison.partners(pairs, place.stack, baseline, notes, self._places)

    def _compose(self, stack: str, heads: Sequence[tuple[int, int]], ln: Ln, cancelled: Asked) -> Composition:
        words = " | ".join(f"{stack} l{layer}h{head}".strip() for layer, head in heads)
        return compose(self._of(stack), words, ln=ln, cancelled=cancelled)


def _heads(describer: Describer, places: Sequence[Place], notes: tuple[str, ...]) -> list[Answer]:
    found = to_wire.read_heads(describer, [(place.layer, place.number) for place in places], notes)
    return [
        Answer(circuits, None, list(TABS["head"]) if summary else ["composition"], summary)
        for circuits, summary in found
    ]


def _mlps(describer: Describer, places: Sequence[Place], notes: tuple[str, ...]) -> list[Answer]:
    return [Answer(to_wire.read_mlp(describer, place.layer, place.expert, notes), None, []) for place in places]
