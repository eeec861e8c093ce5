"""Edges: what a head, an MLP or the embedding does through one receiver alone (`paths`)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import torch

from headgrid.circuits.norms import wide
from headgrid.circuits.progress import STOP, Progress, steps
from headgrid.experiments.copies import CopiedBatch, copies_within
from headgrid.experiments.edges import Edges
from headgrid.experiments.effects import interval
from headgrid.experiments.ends import EdgeReceiver, EdgeSender, receiver_of, senders_of
from headgrid.experiments.interventions import BUDGET, EffectMode, Interventions
from headgrid.experiments.readings import StreamReading
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.replacing import Replacements
from headgrid.experiments.runs import Runs, Which
from headgrid.experiments.streams import DirectStream
from headgrid.experiments.sweep import DIRECTIONS, PatchDirection, checked_per_position, checked_reference_task
from headgrid.experiments.task import Task
from headgrid.selection.points import ActivationNumbers
from headgrid.selection.selection import Selectable
from headgrid.torch_state import shielded
from headgrid.utils import arguments

PathMethod = Literal["patch", "mean", "zero"]
METHODS: tuple[PathMethod, ...] = ("patch", "mean", "zero")
NormsAre = Literal["frozen", "recomputed"]
CHECKED = 2
"""The rows in which the stream is looked at before edges are measured."""


@shielded()
def paths(
    model: torch.nn.Module, task: Task, senders: Selectable | None = None, receiver: str = "logits", *,
    method: PathMethod | None = None, direction: PatchDirection = "denoise", reference: Task | None = None,
    per_position: bool | None = None, positions: bool = False, norms: NormsAre = "frozen", controls: int = 0,
    seed: int = 0, batch_size: int | None = None, memory: int = BUDGET, progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> Edges:  # fmt: skip
    """The effect of every edge from some senders into one receiver, each by itself, measured exactly.

        hg.paths(model, task, "l0h1", "l1h2.k")          # one edge
        hg.paths(model, task, None, "l1h2.k").top(3)     # all edges into the keys of a head

    An edge is direct: at the receiver's input alone the sender's result is replaced, and every other head, MLP and
    norm's scale stays as it was in the run that is patched (path patching, Wang et al. 2022, Goldowsky-Dill et al.
    2023). What the receiver makes of it, its norms of queries and keys and its rotation included, is the model's own.

    Args:
        model: a transformers model or a TransformerLens bridge, in `eval()`.
        task: what it is asked.
        senders: heads, MLPs and `embed`, which is all that the first layer reads, positions included; everything
            below the receiver by default.
        receiver: `l1h2.q`, `.k` or `.v`; `l2 mlp`; or `logits`. Keys and values are those of a key/value head, `l3g1.k`
            under grouped-query attention, where `l3h5.k` means that of its group.
        method: what takes the place of a sender's result: "patch", that of the other run, is the default with corrupted
            inputs; "mean", the default without; or "zero".
        direction: of "patch": "denoise" puts the clean run's results into the corrupted run, "noise" the other way.
        reference, per_position: of "mean", as in `headgrid.sweep`.
        positions: whether each position of the receiver's input is changed by itself, which adds an axis.
        norms: "frozen", or "recomputed": the norm that the receiver reads through is taken of the changed stream, as
            TransformerLens' `get_act_patch_direct_path` does.
        controls: how many random directions each sender's change is turned in, for comparison.
        seed: of these directions, and of the intervals.
        batch_size, memory, progress, cancelled: as in `headgrid.sweep`.

    Returns:
        `Edges`.

    Raises:
        TypeError, ValueError: for arguments that do not fit the model or each other; for a model in which no edge is
            direct, because its stream is not the sum of what is added to it.
        SelectionError: when a text does not parse, or names what the model does not have.
        Cancelled: when `cancelled` says so.
    """
    runs = Runs(model, task, batch_size=batch_size)
    default: PathMethod = "mean" if task.corrupted is None else "patch"
    mode: EffectMode = default if method is None else arguments.one_of("method", method, METHODS)
    if mode == "patch" and task.corrupted is None:
        raise ValueError("the method 'patch' takes results of another run: give Task(..., corrupted=[...])")
    direction = arguments.one_of("direction", direction, DIRECTIONS)
    norms = arguments.one_of("norms", norms, ("frozen", "recomputed"))
    controls = arguments.integer("controls", controls, least=0, below=10_001, what="a number of random directions")
    seed = arguments.integer("seed", seed, least=0, below=2**63)
    memory = arguments.integer("memory", memory, least=1)
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    if arguments.flag("positions", positions) and (controls or not task.aligned):
        why = "controls are of all positions together" if controls else "the rows differ in length"
        raise ValueError(f"positions=True compares the same position of each row, and {why}")
    end = receiver_of(runs.anatomy, receiver)
    stream = DirectStream(runs, runs.anatomy.stack(end.stack))
    reading = StreamReading(stream, end, norms == "recomputed")
    which: Which = "corrupted" if mode == "patch" and direction == "denoise" else "clean"
    first = CopiedBatch(runs, which, slice(0, min(CHECKED, task.n_rows)))
    stream.check(first)
    found = senders_of(stream, senders, end, reading.look(first))
    wanted: ActivationNumbers = {one.where: stream.numbers(one.layer) if one.where[0] == "z" else () for one in found}
    interventions = Interventions(runs, wanted, memory=memory)
    replacements = Replacements(
        interventions, reference=checked_reference_task(reference), per_position=checked_per_position(per_position),
        direction=direction,
    )  # fmt: skip
    before, after = interventions.recorded(which), replacements.values(mode)
    turns = _turns(runs.anatomy.stack(end.stack).d_model, controls, seed)
    units = [
        _Unit(at, position, turn) for at in range(len(found))
        for position, turn in [*((one, None) for one in (range(task.ids.shape[1]) if positions else [None])),
                               *((None, one) for one in range(controls))]
    ]  # fmt: skip
    scores = torch.full((len(units), task.n_rows), torch.nan, dtype=torch.float64)
    chunks = [
        (rows, chunk) for rows in runs.batches()
        for chunk in torch.split(torch.arange(len(units)), copies_within(memory, runs, rows.stop - rows.start))
    ]  # fmt: skip
    batch: CopiedBatch | None = None
    for rows, chunk in steps(chunks, len(chunks), f"edges into {end.text}", progress, cancelled):
        if batch is None or batch.rows != rows:
            batch = CopiedBatch(runs, which, rows)
            reading.look(batch)
            changes = _Changes(stream, batch, found, before, after)
        each = torch.stack([reading.made(changes.of(units[i], turns)) for i in chunk.tolist()])
        scores[chunk, rows] = reading.scores(batch, each)
    effects = (scores - runs.score(which)).reshape(len(found), -1, task.n_rows)
    rows_of = effects.permute(2, 0, 1)
    own = rows_of if positions else rows_of[..., 0]
    low, high = interval(own, seed=seed)
    return Edges(
        tuple(one.text for one in found), end.text, own.mean(0), own, low, high,
        rows_of[..., 1:].mean(0) if controls else None, runs.anatomy, task.metric_name, float(runs.score().mean()),
        None if task.corrupted is None else float(runs.score("corrupted").mean()),
        Receipt((runs.anatomy.name, runs.fingerprint), task.fingerprint, mode, {
            "receiver": end.text, "reference": None if reference is None else reference.fingerprint,
            "per_position": replacements.per_position if mode == "mean" else None,
            "direction": direction if mode == "patch" else None, "norms": norms, "controls": controls, "seed": seed,
        }),
        _notes(task, end, mode, replacements, found),
    )  # fmt: skip


class _Unit(NamedTuple):
    """One copy: a sender, the one position that is changed, and the random direction that it is turned in."""

    sender: int
    position: int | None
    turn: int | None


class _Changes:
    """What senders add to the stream more in the other run than in this one, in one batch."""

    def __init__(self, stream: DirectStream, batch: CopiedBatch, senders: Sequence[EdgeSender],
                 before: Any, after: Any) -> None:  # fmt: skip
        self._stream, self._batch, self._senders = stream, batch, senders
        self._before, self._after = before, after
        self._norms = stream.norms_after(sorted({one.layer for one in senders if one.where[0] == "z"}), batch)
        self._last: tuple[int, torch.Tensor] | None = None

    def of(self, unit: _Unit, turns: Sequence[torch.Tensor]) -> torch.Tensor:
        """The change of a unit, `[rows, pos, d_model]`."""
        if self._last is None or self._last[0] != unit.sender:
            self._last = unit.sender, self._change(self._senders[unit.sender])
        found = self._last[1]
        if unit.position is not None:
            alone = torch.zeros_like(found)
            alone[:, unit.position] = found[:, unit.position]
            found = alone
        return found if unit.turn is None else found @ turns[unit.turn].to(found)

    def _change(self, sender: EdgeSender) -> torch.Tensor:
        old, new = self._before[sender.where], self._after[sender.where]
        old = wide(old[self._batch.rows])
        new = wide(new if len(new) == 1 else new[self._batch.rows]).to(old)
        if sender.where[0] != "z":
            return new - old
        new = new.expand(*new.shape[:2], *old.shape[2:])
        z = (new - old)[..., sender.number, :]
        layer = sender.layer
        head = self._stream.numbers(layer)[sender.number]
        return self._norms[layer].pushed(self._stream.result(layer, head, z))


def _turns(d_model: int, n: int, seed: int) -> list[torch.Tensor]:
    """Random rotations and reflections of the stream, by the Haar measure."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(n):
        q, r = torch.linalg.qr(torch.randn(d_model, d_model, generator=generator, dtype=torch.float64))
        found.append(q * r.diagonal().sign())
    return found


def _notes(
    task: Task, end: EdgeReceiver, mode: EffectMode, replacements: Replacements, senders: Sequence[EdgeSender]
) -> tuple[str, ...]:
    def said() -> Iterator[str]:
        if end.note:
            yield end.note
        if task.n_rows == 1:
            yield "The task has one row: there is no interval."
        if mode == "mean" and not replacements.per_position:
            yield "Means are over positions too, which removes more than what a sender says here: see per_position."
        if mode == "zero":
            yield "Zero is no value that a sender usually has: what it always adds counts as well. See method='mean'."
        if any(one.text == "embed" for one in senders):
            yield "embed is all that the first layer reads: tokens, and positions where they are added to them."

    return tuple(said())
