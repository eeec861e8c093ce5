"""Forward passes of a model's stand-in, and what they show of the attention of each layer.

Everything is asked of one head at a time, in a row of the batch of its own, by the gradient of something that only that
head makes: the last row of its scores, without the last position's score of itself, and what it puts into the output
projection at the last position. The first depends on the last position through the query alone and on the others
through the key alone; the second depends on the positions before the last one through the value alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.roles import ROLES
from headgrid.models.verify.expected import Layer, spelled
from headgrid.models.verify.findings import Found, Recorder
from headgrid.models.verify.picture import odd_site
from headgrid.models.verify.stand_in import VerifyError, inputs_for, stand_in
from headgrid.models.verify.watch import Site, Use, Watch

OnPass = Callable[[int, int, str], object]
"""Called with how many layers are done, how many there are, and the name of the last."""

StackLayer = tuple[str, int]
"""The name of a stack and the number of a layer."""


@dataclass(frozen=True)
class Program:
    """Something to run: the stand-in, or a part of it that has a stack of its own.

    Attributes:
        module: what to call.
        inputs: with what, a batch of one.
        rows: how many heads to ask about at once; 0 for a module that takes no batch, which is run once per head.
    """

    module: torch.nn.Module
    inputs: Mapping[str, torch.Tensor]
    rows: int


class Passes:
    """Runs a model's stand-in as often as it takes to ask about every head.

    Args:
        model: the model, which is not touched.
        anatomy: its anatomy.
        inputs: what to call it with, a batch of one, or None to find something.
        report: called for each layer that attends in a pass, with how many have, how many are to, and its name.

    Attributes:
        layers: what the anatomy expects of each layer that was run.
        refused: stack -> why it could not be run, for stacks that the model does not run when it is given only text.

    Raises:
        VerifyError: when there is no stand-in for it or nothing to give it.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        anatomy: Anatomy,
        inputs: Mapping[str, torch.Tensor] | None = None,
        report: OnPass | None = None,
    ) -> None:
        self.anatomy, self.report = anatomy, report
        self.done = self.total = 0
        self.fault_of_report: Exception | None = None
        self.name = type(model).__name__
        self.model, self.parameters = stand_in(model)
        sizes = {size for slot in anatomy.slots for size in slot.sizes.values()}
        self.n_tokens = next(n for n in range(3, 99) if n not in sizes)  # so that an axis of positions can be told
        self.tables = frozenset(slot.parameter for slot in anatomy.slots if slot.layer is None)
        self.layers: dict[StackLayer, Layer] = {}
        self.refused: dict[str, str] = {}
        names = {slot.parameter for slot in anatomy.slots if slot.role == "W_O"}
        # what a wrapper is put around, and of that the part below an unembedding, which need not run
        inside = getattr(self.model, "original_model", None)
        whole = inside if isinstance(inside, torch.nn.Module) and self._has(inside, names) else self.model
        body = getattr(whole, str(getattr(whole, "base_model_prefix", "")), None)
        body = body if isinstance(body, torch.nn.Module) and self._has(body, names) else whole
        self.main = self._program(body, dict(inputs or inputs_for(whole, self.n_tokens)))

    def _program(self, module: torch.nn.Module, inputs: Mapping[str, torch.Tensor]) -> Program:
        most = max((stack.n_heads for stack in self.anatomy.stacks), default=1)
        return Program(module, inputs, max(1, min(most, 32 if "input_ids" in inputs else 8)))

    def _has(self, module: torch.nn.Module, names: Collection[str]) -> bool:
        inside = {id(parameter) for parameter in module.parameters()}
        return all(id(self.parameters[name]) in inside for name in names)

    def run(self, *, frozen: bool) -> dict[StackLayer, list[Found]]:
        """The findings on each layer, once for each time that it runs: ALBERT runs its only layer many times.

        Args:
            frozen: whether the statistics of norms count as constants.

        Raises:
            VerifyError: when the model cannot be run, or when it was not seen to attend.
        """
        found = self._run(self.main, frozen)
        for stack in self.anatomy.stacks:
            names = {slot.parameter for slot in stack.slots if slot.role == "W_O"}
            if names and not any(place[0] == stack.name for place in found):
                found |= self._run_alone(stack.name, names, frozen)
        if not found:
            raise VerifyError(
                f"no attention was seen in {self.name}: it took no softmax over the keys of queries and keys that the "
                "table places, and did not call scaled_dot_product_attention with them. If the model does attend, "
                'load it with attn_implementation="eager"; if it does not, it has no heads to prove'
            )
        return found

    def _run_alone(self, stack: str, names: Collection[str], frozen: bool) -> dict[StackLayer, list[Found]]:
        """The findings when the smallest part of the model that has a stack and knows its inputs is run by itself."""
        try:
            program = self._alone(names)
            return {} if program is None else self._run(program, frozen)
        except VerifyError as fault:
            self.refused[stack] = str(fault)
        return {}

    def _alone(self, names: Collection[str]) -> Program | None:
        """The smallest part of the model that has these parameters and knows its inputs, but not all of the model."""
        parts = [module for module in self.model.modules() if hasattr(type(module), "main_input_name")]
        module = [part for part in parts if self._has(part, names)][-1:]  # the last one is the innermost
        if not module or module[0] in (self.model, self.main.module):
            return None
        program = self._program(module[0], inputs_for(module[0], self.n_tokens))
        packed = "grid_thw" in program.inputs  # it takes pictures side by side and not in a batch
        return replace(program, rows=0) if packed else program

    def _run(self, program: Program, frozen: bool) -> dict[StackLayer, list[Found]]:
        found: dict[StackLayer, list[Found]] = {}
        self.total = self.done + self._n_sites(program)
        first, n_heads = 0, 1
        while first < n_heads:
            heads = range(first, first + max(1, program.rows))
            for kept in ([*heads, None],) if program.rows else ([first], [None]):
                watch = self._watched(program, kept, frozen)
                runs: Counter[StackLayer] = Counter()
                last: StackLayer | None = None
                ends: dict[StackLayer, int] = {}
                for number, site in enumerate(watch.sites):
                    place = self._place(watch, number)
                    if place is None:
                        if last is not None:
                            found[last][runs[last] - 1].odd.append("it takes a softmax more than once")
                        continue
                    last = place
                    if len(found.setdefault(place, [])) == runs[place]:
                        found[place].append(Found(site.scores.shape[1]))
                    here = found[place][runs[place]]
                    ends[place] = self._look(watch, number, place, here, ends.get(place, -1))
                    runs[place] += 1
                    n_heads = max(n_heads, here.n_heads)
                watch.uses.clear()  # each holds the whole graph
                watch.sites.clear()
            first = heads.stop
        return found

    def _n_sites(self, program: Program) -> int:
        """How often layers will attend, if every stack in the module runs."""
        total = 0
        most = max(stack.n_heads for stack in self.anatomy.stacks)
        for stack in self.anatomy.stacks:
            slots = [slot for slot in stack.slots if slot.role == "W_O"]
            if slots and self._has(program.module, {slot.parameter for slot in slots}):
                passes = -(-most // program.rows) if program.rows else stack.n_heads + 1
                total += len({slot.layer for slot in slots}) * stack.uses * passes
        return total

    def _attended(self, watch: Watch) -> None:
        place = self._place(watch, len(watch.sites) - 1)
        if place is None or self.report is None:
            return
        self.done += 1
        try:
            self.report(self.done, max(self.done, self.total), spelled(*place))
        except Exception as fault:
            self.fault_of_report = fault
            raise

    def _watched(self, program: Program, kept: Sequence[int | None], frozen: bool) -> Watch:
        device = next(iter(self.parameters.values())).device
        given = {name: value.to(device) for name, value in program.inputs.items()}
        if len(kept) > 1:
            given = {name: value.repeat_interleave(len(kept), 0) for name, value in given.items()}
        at_site = None if frozen else self._attended
        watch = Watch(self.parameters, [*given.values()], kept, self.tables, frozen, at_site)
        try:
            with watch:
                program.module(**given)
        except Exception as fault:
            if fault is self.fault_of_report:
                raise
            raise VerifyError(
                f"{type(program.module).__name__} could not be run with {', '.join(given)}: {type(fault).__name__}: "
                f"{fault}. Give `inputs` that it accepts, a batch of one"
            ) from fault
        return watch

    def _place(self, watch: Watch, number: int) -> StackLayer | None:
        """The stack and layer of a site: those whose query, key and value weights were used since the site before."""
        start = watch.sites[number - 1].n_uses if number else 0
        votes: Counter[StackLayer] = Counter()
        for use in watch.uses[start : watch.sites[number].n_uses]:
            for slot in (slot for name in use.names for slot in self.anatomy.slots_of[name]):
                if slot.layer is not None and ROLES[slot.role].owner in ("q", "k", "v"):
                    votes[slot.stack, slot.layer] += 1
        return max(votes, key=lambda place: (votes[place], place[1])) if votes else None

    def _look(self, watch: Watch, number: int, place: StackLayer, found: Found, end: int) -> int:
        """Add what one site shows of this pass's heads. `end`: the layer's last use when it ran before, which it gives.

        Before a layer's first run only what is upstream of its attention has run of it; later, all of it has.
        """
        site, layer = watch.sites[number], self.layers.setdefault(place, Layer(self.anatomy, *place))
        after = watch.sites[number + 1].n_uses if number + 1 < len(watch.sites) else len(watch.uses)
        at, read = _projection(watch.uses, range(site.n_uses, after), site.pattern)
        heads = [head for head in watch.kept if head is not None and head < found.n_heads]
        names = layer.names if end < 0 else {slot.parameter for slot in layer.slots}
        since = watch.sites[number - 1].n_uses if number else 0  # what lies in no layer is looked for in this one only
        wanted = [
            use.names & names or (i >= since and use.names & layer.outside) for i, use in enumerate(watch.uses[:at])
        ]
        uses = [watch.uses[i] for i in range(end + 1, at) if wanted[i]]
        n_before = sum(map(bool, wanted[end + 1 : site.n_uses]))
        lengths, scores = _asked(site, heads)
        recorder = Recorder(layer, found, heads, lengths)
        recorder.add("scores", scores, uses[:n_before], names)
        found.odd += odd_site(site, watch.rows, self.n_tokens)
        if read is not None:
            by_row = read.reshape(watch.rows, -1, read.shape[-1])
            recorder.add_values(by_row, uses, names, site)
            recorder.add_output(watch.uses[at], by_row.detach(), watch.kept)
        return at


def _projection(uses: Sequence[Use], where: range, pattern: torch.Tensor) -> tuple[int, torch.Tensor | None]:
    """The number of the first matrix product after a site that reads what the site gave, and what it reads."""
    for at in where:
        for live in uses[at].live if uses[at].is_product else ():
            if live.requires_grad:
                (reached,) = torch.autograd.grad(live.sum(), pattern, retain_graph=True, allow_unused=True)
                if reached is not None:
                    return at, live
    return where.start, None


def _asked(site: Site, heads: Sequence[int]) -> tuple[set[int], torch.Tensor]:
    """How many positions there are, and the scores to differentiate: `[heads, keys]`, without the last position."""
    queries, keys = site.scores.shape[-2:]
    sink = keys == queries + 1  # one more key, which is at no position
    others = [key for key in range(keys) if key != (queries if sink else keys) - 1]
    return {queries} if sink else {queries, keys}, site.scores[range(len(heads)), heads][:, -1][:, others]
