"""Many copies of a batch in one forward pass, each with a change of its own; layers below the changes are run once.

The outputs of the layers below the first change are the same in every copy. They are kept from one pass of the batch,
and given again instead of being computed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from headgrid.experiments.runs import Runs, Which
from headgrid.hooks.attached import Attached, Hooks
from headgrid.hooks.taps import BRIDGED, Act, Tap, block_of


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
    _kept: tuple[int, list[Any]] = field(default=(-1, []), init=False)

    @property
    def n_rows(self) -> int:
        """The number of rows of one copy."""
        return int(self.rows.stop - self.rows.start)

    def output(self, n: int, acts: Sequence[tuple[Tap, Act]], first: int) -> tuple[Any, torch.Tensor | None]:
        """The output of a pass of n copies, as `Runs.call` gives it.

        Args:
            n: how many copies.
            acts: what is done in the pass.
            first: the first layer in which anything is done; the number of layers for what comes after them.
        """
        runs, given = self.runs, self.runs.arguments(self.rows, self.which)
        copies = {
            key: value.repeat(n, *[1] * (value.ndim - 1))
            if isinstance(value, torch.Tensor) and value.ndim and len(value) == self.n_rows
            else value
            for key, value in given.items()
        }
        with ExitStack() as within:
            within.enter_context(self._below(first, given, n))
            within.enter_context(Attached(runs.model, lambda: once_each(acts, "patched")))
            return runs.call(copies, runs.task.scored[self.rows].repeat(n, 1))

    def scores(self, n: int, acts: Sequence[tuple[Tap, Act]], first: int) -> torch.Tensor:
        """The metric of each row in each copy, `[n, rows]`, float64 on the CPU; arguments as in `output`."""
        runs, n_rows = self.runs, self.n_rows
        task = runs.task if n_rows == runs.task.n_rows else runs.task.rows(self.rows)
        clean = runs.untouched(self.rows) if task.metric == "kl" else None
        output, at = self.output(n, acts, first)
        return torch.stack([
            task.score(part, clean, None if at is None else at[i * n_rows : (i + 1) * n_rows]).double().cpu()
            for i, part in enumerate(runs.parts(output, n))
        ])  # fmt: skip

    @contextmanager
    def _below(self, layer: int, given: dict[str, Any], n: int) -> Iterator[None]:
        """Within, the layers below one are not run: they give what they gave for one copy of the batch."""
        every = layers_of(self.runs)
        blocks = every[:layer]
        if not blocks:
            yield
            return
        if self._kept[0] != layer:
            self._kept = layer, self._outputs(blocks, every[layer : layer + 1], given)
        with ExitStack() as within:
            for at, (block, output) in enumerate(zip(blocks, self._kept[1], strict=True)):
                within.enter_context(_giving(block, _copied(output, n) if at == len(blocks) - 1 else output))
            yield

    def _outputs(self, blocks: list[torch.nn.Module], after: list[torch.nn.Module], given: dict[str, Any]) -> list[Any]:
        """What these layers give, in a pass that ends where the next one begins."""
        outputs: dict[int, Any] = {}
        handles = [
            block.register_forward_hook(lambda _, __, output, at=at: outputs.__setitem__(at, output))
            for at, block in enumerate(blocks)
        ]
        handles += [block.register_forward_pre_hook(_stop) for block in after]
        try:
            self.runs.model(**given)
        except Enough:
            pass
        finally:
            for handle in handles:
                handle.remove()
        return [outputs[at] for at in range(len(blocks))]


def copies_within(memory: int, runs: Runs, n_rows: int) -> int:
    """About how many copies of so many rows have their activations within these bytes; at least one."""
    stack, positions = runs.anatomy.main, runs.task.ids.shape[1]
    width = 12 * stack.d_model + 3 * max(stack.d_mlp, stack.d_model)
    scores = 3 * max(1, stack.n_heads) * positions
    return max(1, memory // (4 * positions * (width + scores + runs.logits_width) * n_rows))


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


def _copied(output: Any, n: int) -> Any:
    """What a layer gives, for n copies of its batch; what has no batch of its own as it is."""
    if isinstance(output, torch.Tensor):
        return output.repeat(n, *[1] * (output.ndim - 1)) if output.ndim > 1 else output
    return type(output)(_copied(one, n) for one in output) if type(output) in (tuple, list) else output


@contextmanager
def _giving(module: torch.nn.Module, output: Any) -> Iterator[None]:
    """Within, a module gives this output, whatever it is called with."""
    own = module.__dict__.get("forward")
    module.forward = lambda *_, **__: output
    try:
        yield
    finally:
        if own is None:
            del module.forward
        else:
            module.forward = own


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
