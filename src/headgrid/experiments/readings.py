"""How a receiver reads the residual stream in a run, and what the model makes of a change of what it reads."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import torch

from headgrid.circuits.norms import wide
from headgrid.experiments.copies import CopiedBatch, Enough
from headgrid.experiments.ends import EdgeReceiver
from headgrid.experiments.frozen_norms import FrozenNorm
from headgrid.experiments.streams import DirectStream, StreamReader
from headgrid.hooks.found import tapped
from headgrid.hooks.taps import Act, Tap
from headgrid.selection.activations import Where


@dataclass
class StreamReading:
    """How a receiver reads the stream in a run, and what the model makes of a change of what it reads.

    Attributes:
        stream, end: the stream, and the receiver.
        recomputed: whether the norm is taken anew of the changed stream.
    """

    stream: DirectStream
    end: EdgeReceiver
    recomputed: bool

    def __post_init__(self) -> None:
        self._norm: FrozenNorm | None = None
        self._before: torch.Tensor | None = None
        self._kept: torch.Tensor | None = None

    @property
    def reader(self) -> StreamReader:
        """What the stream goes into."""
        kind = self.end.kind
        return "unembed" if kind == "logits" else "mlp" if kind == "mlp" else "attn"

    @cached_property
    def taps(self) -> list[Tap]:
        """Where the receiver's block reads: after its norm."""
        return list(self.stream.readers(self.reader, self.end.layer))

    def look(self, batch: CopiedBatch) -> bool:
        """See how the stream is read in a batch; whether by an MLP that reads what its layer's attention has added.

        Raises:
            ValueError: when what is read is not the stream through a norm.
        """
        name, layer = self.end.stack, self.end.layer
        last = self.reader == "unembed"
        points: list[Where] = [("out", name, layer - 1) if last else ("in", name, layer)]
        if self.reader == "mlp":  # where attention and MLP run side by side there is no stream between them
            points.append(("attn out", name, layer) if layer in self.stream.heads else ("mid", name, layer))
        begin, *added, read = self.stream.seen(batch, [*self.stream.points(points), self.taps[0]])
        self._kept = None
        if last and read.shape[1] != begin.shape[1]:  # logits at the scored positions alone
            scored = self.stream.runs.task.scored[batch.rows]
            self._kept = torch.unique(scored[scored >= 0]).to(begin.device)
            begin = begin[:, self._kept]
        read = read.reshape(begin.shape)
        if self.reader == "mlp" and layer not in self.stream.heads:
            added = [added[0] - begin]
        options = [wide(begin), *(wide(begin) + wide(one) for one in added)]
        norms = [self.stream.norm_before(self.reader, layer, one, read) for one in options]
        at = 1 if len(norms) > 1 and norms[1].error <= norms[0].error else 0
        self._norm, self._before = norms[at], begin if at == 0 else begin + added[0]
        self.stream.refuse_unlike(self._norm, f"what {self.end.text} reads")
        return at == 1

    def made(self, change: torch.Tensor) -> torch.Tensor:
        """What a change of the stream comes to where the receiver's block reads, `[rows, pos, d_model]`."""
        assert self._norm is not None
        assert self._before is not None
        change = change if self._kept is None else change[:, self._kept]
        if not self.recomputed:
            return self._norm.pushed(change)
        module = self.stream.norm_module(self.reader, self.end.layer)
        if module is None:
            return change
        return wide(module((wide(self._before) + change).to(self._before.dtype))) - wide(module(self._before))

    def scores(self, batch: CopiedBatch, changes: torch.Tensor) -> torch.Tensor:
        """The metric of each row in each copy, `[copies, rows]`."""
        n, layer = len(changes), self.end.layer

        def add(x: torch.Tensor) -> torch.Tensor:
            return (wide(x).reshape(changes.shape) + changes.to(x.device)).to(x.dtype).reshape(x.shape)

        added: list[tuple[Tap, Act]] = [(tap, add) for tap in self.taps]
        if self.reader != "attn":
            return batch.scores(n, added, layer)
        where: Where = (self.end.kind, self.end.stack, layer)  # type: ignore[assignment]
        (point,) = tapped(self.stream.runs.model, self.stream.runs.anatomy, {where: self.end.numbers})
        kept: list[torch.Tensor] = []

        def keep(x: torch.Tensor) -> None:
            kept.append(x.clone())
            raise Enough

        with suppress(Enough):
            batch.output(n, [*added, (point, keep)], layer)
        return batch.scores(n, [(point, lambda _: kept[0])], layer)
