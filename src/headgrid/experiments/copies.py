"""Many copies of a batch in one forward pass, each with a change of its own; layers below the changes are run once.

The outputs of the layers below the first change are the same in every copy. They are kept from one pass of the batch,
and given again instead of being computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import torch

from headgrid.experiments.runs import Runs, Which
from headgrid.experiments.shortcuts import AFTER_ATTENTION, IN_MLP, attention, attention_once, instead, mlp, mlp_at
from headgrid.experiments.task import logits_of
from headgrid.hooks.attached import Attached, Hooks
from headgrid.hooks.taps import Act, Tap, block_of
from headgrid.selection.activations import Where
from headgrid.selection.entries import BRIDGED

MOST = 2**20
"""The copies of one pass, however much memory it may take."""


@dataclass
class CopiedBatch:
    """Some rows of a task, of which many copies are run in one pass.

    What is kept of the layers below holds for the weights as they are: an object of this class lives as long as a loop.

    Args:
        runs: the model and the task.
        which: which inputs.
        rows: which rows of them.
    """

    runs: Runs
    which: Which
    rows: slice
    _kept: list[Any] = field(default_factory=list, init=False)

    @property
    def n_rows(self) -> int:
        """The number of rows of one copy."""
        return int(self.rows.stop - self.rows.start)

    def output(
        self, n: int, acts: Sequence[tuple[Tap, Act]], first: int, short: bool = False
    ) -> tuple[Any, torch.Tensor | None]:
        """The output of a pass of n copies, as `Runs.call` gives it.

        Args:
            n: how many copies.
            acts: what is done in the pass.
            first: the first layer in which anything is done; the number of layers for what comes after them.
            short: whether what no act and no scored position needs may be left out (`headgrid.experiments.shortcuts`).
        """
        runs, given = self.runs, self.runs.arguments(self.rows, self.which)
        copies = self._repeated(given, n)
        shortcuts = list(self._shortcuts(n, [tap.where for tap, _ in acts], first)) if short else []
        with ExitStack() as within:
            for shortcut in (self._below(first, given, n), *shortcuts):
                within.enter_context(shortcut)
            within.enter_context(Attached(runs.model, lambda: once_each(acts, "patched")))
            return runs.call(copies, runs.task.scored[self.rows].repeat(n, 1))

    def _repeated(self, given: dict[str, Any], n: int) -> dict[str, Any]:
        return {
            key: value.repeat(n, *[1] * (value.ndim - 1))
            if isinstance(value, torch.Tensor) and value.ndim and len(value) == self.n_rows
            else value
            for key, value in given.items()
        }

    def _shortcuts(self, n: int, wheres: Sequence[Where], first: int) -> Iterator[AbstractContextManager[None]]:
        """What may be left out of a pass of n copies."""
        runs, layers = self.runs, layers_of(self.runs)
        if not layers:
            return
        stack = next(one for one in runs.anatomy.stacks if one.n_layers)
        last, positions = len(layers) - 1, runs.task.ids.shape[1]
        names = attention(stack, first) if first <= last else None
        below = all(kind in AFTER_ATTENTION for kind, _, layer in wheres if layer == first)
        # a tensor of as many positions would be taken for one of all copies
        tried = min(2, self.n_rows)
        free = n > 1 and positions not in (3 * tried, n * self.n_rows)
        if names and below and free and self._holds(names[0], lambda _: attention_once(runs.model, names, 3, tried)):
            yield attention_once(runs.model, names, n, self.n_rows)
        name, places = mlp(stack, last), self._places()
        read = any(kind in IN_MLP and layer == last for kind, _, layer in wheres)
        if name and places is not None and not read and self._holds(name, partial(mlp_at, runs.model, name)):
            yield mlp_at(runs.model, name, places)

    def _places(self) -> torch.Tensor | None:
        """The positions that have logits, where those are not all."""
        return self.runs.kept_positions(self.runs.task.scored[self.rows])

    def _holds(self, module: str, within: Callable[[torch.Tensor], AbstractContextManager[None]]) -> bool:
        """Whether three copies of two rows have the same logits within a context; asked once for a class of modules."""
        runs, n_rows = self.runs, min(2, self.n_rows)
        kind = type(runs.model.get_submodule(module)), n_rows
        if kind not in runs.shortcuts:
            some = CopiedBatch(runs, self.which, slice(self.rows.start, self.rows.start + n_rows))
            places = some._places()
            plain = logits_of(some.output(3, [], 0)[0])
            try:
                with within(torch.zeros(0) if places is None else places):
                    short = logits_of(some.output(3, [], 0)[0])
                most = 64 * torch.finfo(plain.dtype).eps * plain.abs().max()
                same = plain.shape == short.shape and bool((plain - short).abs().max() <= most)
            except Exception:  # whatever a module of another kind says: it is run whole
                same = False
            runs.shortcuts[kind] = same
        return runs.shortcuts[kind]

    def scores(self, n: int, acts: Sequence[tuple[Tap, Act]], first: int, short: bool = False) -> torch.Tensor:
        """The metric of each row in each copy, `[n, rows]`, float64 on the CPU; arguments as in `output`."""
        runs, n_rows = self.runs, self.n_rows
        task = runs.task if n_rows == runs.task.n_rows else runs.task.rows(self.rows)
        clean = runs.untouched(self.rows) if task.metric == "kl" else None
        output, at = self.output(n, acts, first, short)
        return torch.stack([
            task.score(part, clean, None if at is None else at[i * n_rows : (i + 1) * n_rows]).double().cpu()
            for i, part in enumerate(runs.parts(output, n))
        ])  # fmt: skip

    @contextmanager
    def _below(self, layer: int, given: dict[str, Any], n: int) -> Iterator[None]:
        """Within, the layers below one are not run: they give what they gave for one copy of the batch."""
        blocks = layers_of(self.runs)[:layer]
        if len(self._kept) < len(blocks):
            self._run_to(layer, given)
        with ExitStack() as within:
            for at, block in enumerate(blocks):
                output = _copied(self._kept[at], n) if at == len(blocks) - 1 else self._kept[at]
                within.enter_context(_giving(block, output))
            yield

    def _run_to(self, layer: int, given: dict[str, Any]) -> None:
        """Keep what the layers below one give, in a pass that ends where it begins; those that are kept are not run."""
        every, kept = layers_of(self.runs), self._kept
        with ExitStack() as within:
            for block, output in zip(every, kept, strict=False):
                within.enter_context(_giving(block, output))
            for block in every[len(kept) : layer]:
                handle = block.register_forward_hook(lambda _, __, output: kept.append(output))
                within.callback(handle.remove)
            within.enter_context(up_to(self.runs, layer - 1))
            self.runs.model(**given)


def _giving(block: torch.nn.Module, output: Any) -> AbstractContextManager[None]:
    """Within, a layer gives this, whatever it is called with."""
    return instead(block, lambda *_, **__: output)


def copies_within(memory: int, runs: Runs, n_rows: int) -> int:
    """About how many copies of so many rows have their activations within these bytes; at least one."""
    stack, positions = runs.anatomy.main, runs.task.ids.shape[1]
    width = 12 * stack.d_model + 3 * max(stack.d_mlp, stack.d_model)
    scores = 3 * max(1, stack.n_heads) * positions
    return max(1, min(MOST, memory // (4 * positions * (width + scores + runs.logits_width) * n_rows)))


def layers_of(runs: Runs) -> list[torch.nn.Module]:
    """The layers of a model that has one stack and runs each layer once; none of others, which are run whole."""
    anatomy, model = runs.anatomy, runs.model
    layered = [stack for stack in anatomy.stacks if stack.n_layers]
    if len(layered) > 1 or layered[0].uses > 1 or any(BRIDGED in name for name in anatomy.parameters):
        return []
    found = [block_of(model, layered[0], layer) for layer in range(layered[0].n_layers)]
    return [] if any(block is None for block in found) else [block for block in found if block is not None]


class Enough(Exception):  # noqa: N818
    """What is wanted of a pass has been seen: raised by an act, and caught by whoever began the pass."""


def _stop(*_: Any) -> None:
    raise Enough


@contextmanager
def up_to(runs: Runs, layer: int) -> Iterator[None]:
    """Within, a pass ends once a layer has run, as nothing is wanted of those above; of some models all is run."""
    with ExitStack() as within:
        for block in layers_of(runs)[layer + 1 : layer + 2]:
            within.callback(block.register_forward_pre_hook(_stop).remove)
        with suppress(Enough):
            yield


def _copied(output: Any, n: int) -> Any:
    """What a layer gives, for n copies of its batch; what has no batch of its own as it is."""
    if isinstance(output, torch.Tensor):
        return output.repeat(n, *[1] * (output.ndim - 1)) if output.ndim > 1 else output
    return type(output)(_copied(one, n) for one in output) if type(output) in (tuple, list) else output


def once_each(acts: Sequence[tuple[Tap, Act]], done: Literal["patched", "recorded"]) -> Hooks[None]:
    """The hooks of these acts; a pass that never comes to one of them is an error."""
    came = dict.fromkeys([tap for tap, _ in acts], False)

    def seen(tap: Tap, act: Act) -> Act:
        def run(read: torch.Tensor) -> torch.Tensor | None:
            came[tap] = True
            return act(read)

        return run

    every = [(tap, seen(tap, act)) for tap, act in acts]
    return Hooks(None, every, lambda _: None, lambda: [tap for tap, there in came.items() if not there], done)
