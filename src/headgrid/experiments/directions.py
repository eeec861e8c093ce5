"""Which singular directions of a head's OV or QK its effect goes through: `directions`.

Of OV, what the head writes is projected onto right singular directions. Of QK, what it asks for is: its query without
its bias, where its weight gives it, so that it reads the stream along left singular directions alone. Norms of queries
and rotation come after that, and are the model's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from jaxtyping import Bool, Float64, Int64

from headgrid.circuits.factors import Circuits
from headgrid.circuits.progress import STOP, Progress, steps
from headgrid.experiments.copies import CopiedBatch, copies_within
from headgrid.experiments.effects import Interval, ratio
from headgrid.experiments.interventions import BUDGET
from headgrid.experiments.receipts import Receipt
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.hooks.found import tapped
from headgrid.hooks.taps import Tap, query_tap
from headgrid.selection.points import named, text_of
from headgrid.selection.selection import Selectable
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frames import dataframe
from headgrid.weights import Weights

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class DirectionCurve:
    """What a head does on a task with only some singular directions of its OV or QK.

    Attributes:
        head: which head.
        circuit: "ov" or "qk".
        ks: how many of its leading directions are kept, or removed, `[n]`.
        restored: (score - without the head) / (clean - without the head) for each, with its interval: 1 where the head
            does all that it does.
        scores: the metric of each, the mean over rows, `[n]`.
        controls: `restored` of random subspaces of as many dimensions, within what the head can write, or its queries
            can read, `[n, n_controls]`.
        singular_values: of the raw OV or QK, `[d_head]`.
        kept: whether the directions are kept, or removed.
        metric, clean, ablated: its name; the metric of the untouched run, and of that without what the head writes, or
            with queries that are their bias.
        receipt, notes: what this was computed from, and what a reader should know.
    """

    head: str
    circuit: str
    ks: Int64[torch.Tensor, " n"]
    restored: tuple[Interval, ...]
    scores: Float64[torch.Tensor, " n"]
    controls: Float64[torch.Tensor, "n n_controls"]
    singular_values: Float64[torch.Tensor, " d_head"]
    kept: bool
    metric: str
    clean: float
    ablated: float
    receipt: Receipt
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        done = "kept" if self.kept else "removed"
        lines = [
            f"{self.head} with its leading singular directions of {self.circuit.upper()} {done}, on {self.metric}: "
            f"clean {self.clean:.4g}, with none {self.ablated:.4g}",
            f"  {done:>7}  {'restored':<24}" + ("random subspaces" if self.controls.shape[1] else ""),
        ]
        for k, found, random in zip(self.ks.tolist(), self.restored, self.controls, strict=True):
            beside = f"mean {random.mean():.3f}, largest {random.max():.3f}" if len(random) else ""
            lines.append(f"  {k:>7}  {found!s:<24}{beside}".rstrip())
        return "\n".join([*lines, *(f"  ! {note}" for note in self.notes)])

    @shielded()
    def to_dataframe(self) -> pd.DataFrame:
        """One row for each number of directions: what is restored, its interval, and random subspaces beside it.

        Raises:
            ImportError: when pandas is not installed.
        """
        return dataframe([
            {"directions": k, **found.named(), "score": float(score)}
            | ({"control_mean": float(random.mean()), "control_max": float(random.max())} if len(random) else {})
            for k, found, score, random in zip(self.ks.tolist(), self.restored, self.scores, self.controls, strict=True)
        ])  # fmt: skip


@shielded()
def directions(
    model: torch.nn.Module, task: Task, head: Selectable, *, circuit: Literal["ov", "qk"] = "ov",
    ks: Sequence[int] | None = None, keep: bool = True, controls: int = 10, gap: float = 1e-3, seed: int = 0,
    batch_size: int | None = None, memory: int = BUDGET, progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> DirectionCurve:  # fmt: skip
    """What a head does on a task when it may write, or ask, along some singular directions of its OV or QK alone.

    What the head writes, z W_O, is projected in the forward pass onto the span of the k leading right singular vectors
    of its raw OV = W_V W_O; the rest is removed. With all kept nothing changes, with none the head is ablated. Of QK =
    W_Q W_K^T its query x W_Q is that of x projected onto the k leading left singular vectors; with none it is its bias.
    Singular values rank directions by weights alone, and inputs may use others: random subspaces stand beside.

    Args:
        model, task: as in `headgrid.sweep`.
        head: one head.
        circuit: "ov" or "qk".
        ks: numbers of directions; by default each from none to all. Directions with nearly equal singular values are
            kept or removed together: a number that parts some goes up to the last of them, and the notes say so.
        keep: whether the leading directions are kept; they are removed otherwise.
        controls: how many random subspaces are run for each number.
        gap: up to which relative difference singular values count as equal.
        seed: of the random subspaces and the bootstrap.
        batch_size, memory, progress, cancelled: as in `headgrid.sweep`.

    Returns:
        `DirectionCurve`.

    Raises:
        TypeError, ValueError: for arguments that do not fit the model or each other; for more or less than one head.
        AnatomyError: when the head has no W_V or W_K of its own kind.
        Cancelled: when `cancelled` says so.
    """
    circuit = arguments.one_of("circuit", circuit, ("ov", "qk"))
    keep, seed = arguments.flag("keep", keep), arguments.integer("seed", seed, least=0, below=2**63)
    controls = arguments.integer("controls", controls, least=0, below=10_001, what="a number of random subspaces")
    memory = arguments.integer("memory", memory, least=1)
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    runs = Runs(model, task, batch_size=batch_size)
    chosen = [(where, n) for where, numbers in named(runs.anatomy, head).items() for n in numbers]
    if len(chosen) != 1 or chosen[0][0][0] != "z":
        raise ValueError(f"head is one head, such as 'l1h2', and {arguments.shown(head)} is {len(chosen)} activations")
    (_, stack, layer), number = chosen[0]
    weights = Weights(model) if not stack else Weights(model).at(stack)
    matrix = Circuits(weights, "raw").head(circuit, layer, number)
    U, S, Vh = matrix.svd()
    sides = Vh if circuit == "ov" else U.mT
    ends, notes = _ends(S, gap), []
    sizes = ends if ks is None else []
    for k in [] if ks is None else arguments.items("ks", ks, "a list of numbers of directions"):
        asked = arguments.integer("each of ks", k, least=0, below=len(S) + 1, what="a number of directions")
        sizes.append(next(end for end in ends if end >= asked))
        if sizes[-1] != asked:
            notes.append(f"{asked} became {sizes[-1]}: directions with nearly equal singular values go together.")
    if S[-1] <= 1e-9 * S[0]:
        notes.append(
            f"{circuit.upper()} is of lower rank than d_head: what the head writes or asks may lie outside of its "
            "singular directions."
        )
    generator = torch.Generator().manual_seed(seed)
    bases = [_removed(sides, k, keep) for k in sizes]
    for k in sizes:
        for _ in range(controls):
            turned = torch.linalg.qr(torch.randn(len(S), len(S), generator=generator, dtype=torch.float64))[0] @ sides
            bases.append(_removed(turned, k, keep))
    every = torch.stack([*bases, sides])
    if circuit == "ov":
        (tap,) = tapped(runs.model, runs.anatomy, {("result", stack, layer): (number,)})
        left, right, bias = every.mT, every, torch.zeros(())
    else:
        tap = query_tap(model, runs.anatomy, stack, layer, number)
        # x W_Q is what it was, less what x has along the directions that are removed: in d_head, by the inverse of W_Q
        W_Q = matrix.A.double()
        left, right = torch.linalg.pinv(W_Q) @ every.mT, every @ W_Q
        has_bias = ("b_Q", layer) in weights.stack.places
        bias = weights.read("b_Q", layer)[number].double() if has_bias else torch.zeros(())
    found = _scores(runs, tap, left, right, bias, memory, progress, cancelled)
    clean, ablated = runs.score(), found[-1]
    whole, own = clean - ablated, found[: len(sizes)]
    random = found[len(sizes) : -1].reshape(len(sizes), controls, task.n_rows)
    return DirectionCurve(
        text_of(("z", stack, layer), (number,)), circuit, torch.tensor(sizes),
        tuple(ratio(one - ablated, whole, seed=seed) for one in own), own.mean(1),
        (random - ablated).mean(-1) / whole.mean(), S, keep, task.metric_name, float(clean.mean()),
        float(ablated.mean()),
        Receipt((runs.anatomy.name, runs.fingerprint), task.fingerprint, "singular directions", {
            "head": text_of(("z", stack, layer), (number,)), "circuit": f"raw {circuit.upper()}", "kept": keep,
            "controls": controls, "gap": gap, "seed": seed,
        }),
        tuple(notes),
    )  # fmt: skip


def _ends(S: torch.Tensor, gap: Any) -> list[int]:
    """How many directions may be told from the rest: no two that are nearly equal are parted."""
    gap = arguments.number("gap", gap, least=0, what="a part of a singular value")
    close: Bool[torch.Tensor, " r"] = S[:-1] - S[1:] <= gap * S[:-1]
    return [0, *(i + 1 for i in range(len(S) - 1) if not close[i]), len(S)]


def _removed(basis: torch.Tensor, k: int, keep: bool) -> torch.Tensor:
    """The directions that are taken out, as rows beside rows of zeros: nothing is changed where none is."""
    found = basis.clone()
    found[slice(0, k) if keep else slice(k, None)] = 0
    return found


def _scores(
    runs: Runs, tap: Tap, left: torch.Tensor, right: torch.Tensor, bias: torch.Tensor, memory: int,
    progress: Progress, cancelled: Callable[[], bool] | None,
) -> torch.Tensor:  # fmt: skip
    """The metric of each row, `[n, rows]`, where x - (x - bias) left right takes the place of x at a tap."""
    n = len(left)
    found = torch.full((n, runs.task.n_rows), torch.nan, dtype=torch.float64)
    each = [
        (rows, slice(at, at + most))
        for rows in runs.batches()
        for most in [copies_within(memory, runs, rows.stop - rows.start)]
        for at in range(0, n, most)
    ]
    for rows, chunk in steps(each, len(each), "singular directions", progress, cancelled):
        before, after = left[chunk], right[chunk]

        def without(read: torch.Tensor, before: torch.Tensor = before, after: torch.Tensor = after) -> torch.Tensor:
            written = read.reshape(len(before), -1, read.shape[-1])
            at, exact = read.device, torch.float32 if read.device.type == "mps" else torch.float64
            change: torch.Tensor = (written.to(exact) - bias.to(at, exact)) @ before.to(at, exact) @ after.to(at, exact)
            return (written - change.to(read.dtype)).reshape(read.shape)

        found[chunk, rows] = CopiedBatch(runs, "clean", rows).scores(len(before), [(tap, without)], tap.where[2])
    return found
