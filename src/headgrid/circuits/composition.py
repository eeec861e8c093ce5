"""Composition: how strongly one head's output reaches another head's queries, keys or values.

With row vectors a source adds x OV_s to the stream. A later head's QK_t reads that as a query (Q), as a key (K), or
its OV_t as a value (V). Relative to what the norms allow (Elhage et al. 2021, A Mathematical Framework for Transformer
Circuits):

    Q  ||OV_s QK_t|| / (||OV_s|| ||QK_t||)     K  ||OV_s QK_t^T|| / ...     V  ||OV_s OV_t|| / ...

A score alone says little: that of random heads depends on their spectra. So each has a z: the square of the score, less
its mean, over its standard deviation, when what the source writes is turned at random against what the target reads.
Over all turns of the d_model dimensions (the Haar measure), with p = sum(sigma^4) / sum(sigma^2)^2 of either circuit,

    mean = 1 / d_model     variance = 2 (p_s - 1/d_model) (p_t - 1/d_model) / ((d_model - 1) (d_model + 2))

hold exactly for every spectrum, so z has mean 0 and standard deviation 1 among random heads. It is no normal variable:
where both circuits have nearly rank one, large z are less rare. LayerNorm's centring leaves the target d_model - 1
dimensions to read; as the source is turned in all of them, nothing changes.

A large z is alignment and not use: a model need not send anything along it, and in a trained model most pairs are far
from random. So pairs are to be seen among the model's own: `Composition.outer_fence` says which of them are outliers.
Whether a pair carries anything is a question to a forward pass: `Composition.test` measures its edge on a task.

How the products are computed, and how exactly: `headgrid.circuits.products`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float64

from headgrid.anatomy.anatomy import count_of
from headgrid.circuits.factors import Circuits
from headgrid.circuits.norms import LN
from headgrid.circuits.products import KINDS, CompositionKind, Work, direct, kept_layer, scored
from headgrid.circuits.progress import STOP, Progress, steps, stop_if
from headgrid.circuits.targets import PartIndex, heads_of, stack_of
from headgrid.linalg.outliers import outer_fences
from headgrid.selection.selection import Selectable
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.arguments import integer, items, one_of, shown
from headgrid.utils.frames import dataframe
from headgrid.weights import Weights

if TYPE_CHECKING:
    import pandas as pd

    from headgrid.experiments.composed import ComposedEdges
    from headgrid.experiments.task import Task

NOT_USE = (
    "z above random is not use: it says that weights are aligned, and not that the model sends anything along them. "
    "Ablate a head to see what it carries"
)

FEWEST = 12
"""The pairs that it takes to say which of them are outliers."""

KINDS_SAID = "some of q, k and v, as a text or a list"

__all__ = ["Composition", "CompositionKind", "Pair", "compose", "partners"]


@dataclass(frozen=True)
class Pair:
    """How one head composes with a later one.

    Attributes:
        kind: `q`, `k` or `v`: what of the target reads the source's output.
        source, target: (layer, head).
        value: the score, from 0 to 1.
        z: how many standard deviations its square lies above that of random orientations.
    """

    kind: CompositionKind
    source: PartIndex
    target: PartIndex
    value: float
    z: float


@dataclass(frozen=True, eq=False, repr=False)
class Composition:
    """The composition scores of all pairs of some heads; float64, NaN unless the source's layer is the earlier one.

    Attributes:
        heads: (layer, head) of each, layer by layer.
        q, k, v: the scores `[source, target]`, by position in `heads`. NaN as well for a head whose circuit is zero.
        q_z, k_z, v_z: how many standard deviations their squares lie above those of random orientations.
        baseline: 1/sqrt(d_model), the root-mean-square score of random orientations, whatever the spectra.
        ln: whether norms are folded into the weights.
        stack: the stack's name; "" for the main one of most models.
        notes: what these matrices, and z, cannot say.
    """

    heads: tuple[PartIndex, ...]
    q: Float64[torch.Tensor, "source target"]
    k: Float64[torch.Tensor, "source target"]
    v: Float64[torch.Tensor, "source target"]
    q_z: Float64[torch.Tensor, "source target"]
    k_z: Float64[torch.Tensor, "source target"]
    v_z: Float64[torch.Tensor, "source target"]
    baseline: float
    ln: LN
    stack: str
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        fence, every = self.outer_fence, self._every
        lines = [
            f"  {one.kind.upper()} {self._name(one.source)} -> {self._name(one.target)}  {one.value:.3f}  z {one.z:.1f}"
            + ("  stands out" if one.z > fence else "")
            for one in self.top(5)
        ]
        of = f"Composition of {count_of(len(self.heads), 'head')}, norms {self.ln}, random {self.baseline:.3f}"
        said = f"  z >= 3: {int((every >= 3).sum()):,} of {count_of(every.numel(), 'pair')}"
        if fence == fence:
            said += f"; z > {fence:.1f}, far from the other pairs: {int((every > fence).sum()):,}"
        return "\n".join([of, *(lines or ["  no pair is above random"]), said, f"  {NOT_USE}"])

    @property
    def outer_fence(self) -> float:
        """The z above which a pair is an outlier among all of these, of every kind: Q3 + 3 (Q3 - Q1) (Tukey 1977).

        NaN where there are fewer than 12 pairs. Random heads have a mean z of 0, a trained model's may lie anywhere:
        what stands out from its own pairs is rarer than what stands out from random ones.
        """
        every = self._every
        return outer_fences(every.numpy())[1] if every.numel() >= FEWEST else float("nan")

    @property
    def _every(self) -> torch.Tensor:
        """The z of all pairs."""
        z = torch.stack([self.q_z, self.k_z, self.v_z])
        return z[z.isfinite()]

    @shielded()
    def top(self, n: int = 20, *, kinds: Iterable[str] = KINDS, z: float = 0.0) -> list[Pair]:
        """The pairs of largest z, from the largest down: aligned most by chance's measure, which is not use.

        Args:
            n: how many at most.
            kinds: which of `q`, `k` and `v`, as text (`qk`, `QK`) or a list.
            z: the least z that counts.

        Raises:
            ValueError: for another kind, or an n below 0.
        """
        n = integer("n", n, least=0, what="a number of pairs")
        return self._pairs(kinds, arguments.number("z", z, finite=False), n=n)

    @shielded()
    def of(self, layer: int, head: int, *, kinds: Iterable[str] = KINDS, z: float = -torch.inf) -> list[Pair]:
        """The pairs that one head is in, as source or as target, those of largest z first.

        Raises:
            ValueError: when the head is not among `heads`, or for another kind.
        """
        layer, head = integer("layer", layer), integer("head", head)
        if (layer, head) not in self.heads:
            said = f"l{shown(layer)}h{shown(head)}"
            raise ValueError(f"{said} is not among the {len(self.heads)} heads that were compared")
        at = self.heads.index((layer, head))
        return self._pairs(kinds, arguments.number("z", z, finite=False), at)

    def test(self, model: torch.nn.Module, task: Task, n: int = 4, **options: Any) -> ComposedEdges:
        """What the n pairs of largest z carry on a task, measured, beside random writes as large.

            print(hg.compose(model).test(model, task))

        Args:
            model: the model that this is the composition of.
            task: what it is asked.
            n: how many pairs.
            options: `kinds`, `controls`, `seed` and what `headgrid.paths` takes.

        Returns:
            A table of edges, as `headgrid.paths` measures them; prints as one.

        Raises:
            TypeError, ValueError: for arguments that do not fit each other.
        """
        from headgrid.experiments.composed import composition_edges  # a doorway up: weights alone carry nothing

        return composition_edges(self, model, task, n, **options)

    def to_dataframe(self) -> pd.DataFrame:
        """A row for each pair with a score: kind, source and target (`l0h1`), their layers and heads, value, z.

        Raises:
            ImportError: when pandas is not installed.
        """
        columns = (
            "kind",
            "source",
            "target",
            "source_layer",
            "source_head",
            "target_layer",
            "target_head",
            "value",
            "z",
        )
        rows = [
            (one.kind, self._name(one.source), self._name(one.target), *one.source, *one.target, one.value, one.z)
            for one in self._pairs(KINDS, None)
        ]
        return dataframe(rows, columns)

    def _pairs(
        self, kinds: Iterable[str], least: float | None, at: int | None = None, n: int | None = None
    ) -> list[Pair]:
        """The pairs of these kinds, of this least z, with the head at this position; those of largest z first."""
        kinds = [_kind(kind) for kind in items("kinds", list(kinds) if isinstance(kinds, str) else kinds, KINDS_SAID)]
        value, z = (torch.stack([getattr(self, kind + end) for kind in kinds]) for end in ("", "_z"))
        wanted = ~value.isnan() if least is None else z >= least
        if at is not None:
            mine = torch.zeros_like(wanted)
            mine[:, at], mine[:, :, at] = True, True
            wanted &= mine
        places = wanted.nonzero()
        order = z[wanted].argsort(descending=True, stable=True)[:n]
        rows = zip(places[order].tolist(), value[wanted][order].tolist(), z[wanted][order].tolist(), strict=True)
        return [Pair(kinds[i], self.heads[s], self.heads[t], score, its_z) for (i, s, t), score, its_z in rows]

    def _name(self, place: PartIndex) -> str:
        return f"{self.stack} l{place[0]}h{place[1]}".lstrip()


def _kind(given: str) -> CompositionKind:
    return one_of("each of kinds", given.lower() if isinstance(given, str) else given, KINDS)


@shielded()
def compose(
    model: Any,
    selection: Selectable | None = None,
    *,
    ln: LN = "folded",
    stack: str | None = None,
    progress: Progress = False,
    cancelled: Callable[[], bool] | None = None,
) -> Composition:
    """The Q-, K- and V-composition scores of all pairs of heads, each beside what random heads would have.

    Args:
        model: a live model of any kind that `dissect` takes, its `Weights`, or the path of its safetensors.
        selection: whatever `Anatomy.select` takes; its heads, of one stack, are compared. All heads by default.
        ln: `folded` has the norms and the attention's scale in the circuits, `raw` the stored weights alone.
        stack: of a model that has several stacks; that of the selected heads, or the main one, by default. Of a
            decoder's cross-attention, keys and values are read from the encoder, so only Q is defined.
        progress: called with what is done and the total, or True for a bar.
        cancelled: asked now and then.

    Raises:
        ValueError: when nothing selected is a head, or heads of several stacks are and `stack` does not say which, for
            NaN and inf in a weight, which it names, another `ln` or stack.
        Cancelled: when `cancelled` says so.
    """
    progress, cancelled = arguments.progress(progress), arguments.function("cancelled", cancelled, STOP)
    weights = Weights.of(model, stack)
    if stack is None and selection is not None:
        weights = Weights.of(weights, stack_of(weights.anatomy, selection, weights.stack).name)
    circuits, name = Circuits(weights, ln), weights.stack.name
    heads = heads_of(weights.anatomy, selection, weights.stack)
    if not heads:
        given = "there" if selection is None else f"in {str(selection) or 'an empty selection'!r}"
        of = f"the {name} stack of {weights.anatomy.title}" if name else weights.anatomy.title
        raise ValueError(f"no head of {of} is {given}: name heads, such as l0h1 | l1h2, or whole layers")
    work = Work(circuits, heads)
    for _ in steps(work.pieces(), work.n_pieces, "composition", progress, cancelled):
        pass
    value, z = work.scores()
    layers = sorted({layer for layer, _ in heads})
    notes = dict.fromkeys([f"{NOT_USE}."])
    notes |= dict.fromkeys(note for kind in ("qk", "ov") for layer in layers for note in circuits.notes(kind, layer))
    if name == "cross":
        value[1:], z[1:] = torch.nan, torch.nan
        notes["Keys and values of cross-attention are read from the encoder: only Q-composition is defined."] = None
    (q, k, v), (q_z, k_z, v_z), baseline = value, z, 1 / sqrt(weights.stack.d_model)
    return Composition(heads, q, k, v, q_z, k_z, v_z, baseline, ln, name, tuple(notes))


@shielded()
def partners(
    circuits: Circuits,
    layer: int,
    head: int,
    heads: Iterable[PartIndex] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> list[Pair]:
    """How one head composes with every earlier and every later one, those of largest z first: as `compose` says it.

    What a layer needs is kept with `circuits`, up to a gigabyte, for as long as its weights stay as they are; so the
    first call takes longer.

    Args:
        circuits: the circuits of a stack.
        layer, head: the head.
        heads: the heads to compare it with; all by default.
        cancelled: asked before each layer.

    Raises:
        IndexError: when there is no such head.
        Cancelled: when `cancelled` says so.
    """
    there = heads_of(circuits.weights.anatomy, None, circuits.weights.stack)
    if (layer, head) not in there:
        raise IndexError(f"there is no head l{layer}h{head} in {circuits.weights.anatomy.title}")
    others = [place for place in (there if heads is None else sorted({*heads} & {*there})) if place[0] != layer]
    own, kinds = kept_layer(circuits, layer).of([head]), KINDS[:1] if circuits.weights.stack.name == "cross" else KINDS
    found: list[Pair] = []
    for at in dict.fromkeys(place[0] for place in others):
        stop_if(cancelled)
        numbers = [number for other, number in others if other == at]
        other = kept_layer(circuits, at).of(numbers)
        source, target = (other, own) if at < layer else (own, other)
        for kind in kinds:
            square = direct(source.writes, target.reads[kind])
            value, z = scored(square, source.spread["v"], target.spread[kind], source.writes.shape[-1])
            for number, one, its_z in zip(numbers, value.flatten().tolist(), z.flatten().tolist(), strict=True):
                ends = ((at, number), (layer, head)) if at < layer else ((layer, head), (at, number))
                if one == one:
                    found.append(Pair(kind, *ends, one, its_z))
    return sorted(found, key=lambda pair: -pair.z)
