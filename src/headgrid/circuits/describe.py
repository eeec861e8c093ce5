"""Describing: the weights of heads and MLPs become summaries. A quick first half, and a second half that takes seconds.

`Describer` keeps what all heads of a model share: the vocabulary, the norms, W_U W_E.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from typing import Any, Literal

import torch

from headgrid.circuits import scores
from headgrid.circuits.factors import Circuits
from headgrid.circuits.norms import LN, Norms, check_finite
from headgrid.circuits.pairs import TokenPairs, by_offset, copying_accuracy, top_pairs
from headgrid.circuits.readout import of_tokens
from headgrid.circuits.summary import CircuitSummary, HeadSummary, MLPSummary, NeuronSummary
from headgrid.circuits.tokens import TokenTable, Vocabulary
from headgrid.linalg.factored import FactoredMatrix
from headgrid.linalg.svd import Spectrum, on_float64, spectrum_of
from headgrid.models.scaling import first_position
from headgrid.utils.arguments import integer, shown
from headgrid.weights import Weights

DIRECTIONS = 10
"""How many directions are described, unless somebody says."""

SMALL = 10**8
"""Entries of the embedding up to which W_U W_E is made for the first head that asks: about a second for GPT-2."""

BUDGET = 3e11
"""Multiplications that a search of token pairs may take: some seconds, and all pairs of GPT-2's vocabulary."""

FEW_TOKENS = 5_000
"""The vocabulary up to which token pairs are searched without being asked for."""

SAMPLE = 1_000
"""The tokens of which `copying_accuracy` looks at the outputs, in a larger vocabulary."""

Matrix = Literal["ov", "qk", "in", "gate", "out"]
CIRCUITS: tuple[Literal["ov", "qk"], ...] = ("ov", "qk")
MATRICES: tuple[Literal["in", "gate", "out"], ...] = ("in", "gate", "out")

SIDES = {"ov": ("W_E", "W_U"), "qk": ("W_E", "W_E"), "in": ("W_E", ""), "gate": ("W_E", ""), "out": ("", "W_U")}
"""The matrix through which each side of a circuit is read; "" for a side that is not the residual stream."""


class Describer:
    """Describes the heads and MLPs of one stack of a model.

    Args:
        weights: the model's weights.
        tokenizer: makes strings of token ids; without one, tables hold the ids.
        ln: `folded` describes what the model computes, up to the scale of each norm; `raw` the stored weights alone.
        k: how many directions; 10 by default, or as many as there are.
        n_tokens: how many tokens for each side of a direction.

    Raises:
        ValueError: for a `k` or `n_tokens` below 1, or another `ln`.
    """

    def __init__(
        self, weights: Weights, tokenizer: Any = None, *, ln: LN = "folded", k: int | None = None, n_tokens: int = 10
    ) -> None:
        self.weights, self.ln = weights, ln
        self.k = None if k is None else integer("k", k, least=1, what="a number of directions")
        self.n_tokens = integer("n_tokens", n_tokens, least=1, what="a number of tokens")
        self.circuits = Circuits(weights, ln)
        self.vocabulary = Vocabulary(weights, tokenizer, ln=ln)
        self._word = f"{weights.stack.name} " if weights.stack.name else ""

    def head(self, layer: int, head: int) -> HeadSummary:
        """One head, without what takes long: see `each`."""
        return self.each([(layer, head)])[0]

    def each(self, places: Sequence[tuple[int, int]]) -> list[HeadSummary]:
        """Several heads, each for itself, without what takes long; the vocabulary is gone through once for all.

        Args:
            places: the (layer, head) of each.

        Raises:
            IndexError: when there is no such head.
            ValueError: when `k` is more than the rank of its circuits, or for NaN and inf in its weights.
        """
        matrices = {(kind, *place): self.circuits.head(kind, *place) for place in places for kind in CIRCUITS}
        spectra = {at: self._spectrum(at[0], matrix) for at, matrix in matrices.items()}
        notes = {at: self.circuits.notes(at[0], at[1]) for at in matrices}
        found = self._summaries([(at[0], spectra[at], notes[at]) for at in matrices])
        circuits = dict(zip(matrices, found, strict=True))
        return [
            HeadSummary(
                title=f"{self._word}l{layer}h{head}",
                heads=((layer, head),),
                stack=self.weights.stack.name,
                ln=self.ln,
                ov=circuits["ov", layer, head],
                qk=circuits["qk", layer, head],
                copying_score=self._copying(matrices["ov", layer, head]) if self._is_small else None,
                copying_accuracy=None,
                notes=self.vocabulary.notes,
            )
            for layer, head in places
        ]

    def heads(self, places: Sequence[tuple[int, int]]) -> HeadSummary:
        """The sum of the OV circuits of several heads: what they write when all attend to one position."""
        ov, notes = self._sum(places), dict.fromkeys(n for layer, _ in places for n in self.circuits.notes("ov", layer))
        return HeadSummary(
            title=self._title(places),
            heads=tuple(places),
            stack=self.weights.stack.name,
            ln=self.ln,
            ov=self._summaries([("ov", self._spectrum("ov", ov), tuple(notes))])[0],
            qk=None,
            copying_score=self._copying(ov) if self._is_small else None,
            copying_accuracy=None,
            notes=self.vocabulary.notes,
        )

    def deepen(
        self, summary: HeadSummary, n_pairs: int = 10, cancelled: Callable[[], bool] | None = None
    ) -> HeadSummary:
        """The same summary with what takes seconds in a large vocabulary: token pairs, scores of copying, positions.

        Raises:
            Cancelled: when `cancelled` says so.
        """
        matrix, qk = self._sum(summary.heads), summary.qk
        ov = replace(summary.ov, pairs=self._pairs(matrix, "ov", n_pairs, cancelled))
        if qk is not None:
            attends = self.circuits.head("qk", summary.layer, summary.head)
            qk = replace(qk, pairs=self._pairs(attends, "qk", n_pairs, cancelled), offsets=self._offsets(attends))
        score = self._copying(matrix) if summary.copying_score is None else summary.copying_score
        accuracy = None
        if self.reads_and_writes:
            sample = None if self.vocabulary.d_vocab <= FEW_TOKENS else SAMPLE
            accuracy, _ = copying_accuracy(*self._sides(matrix, "ov"), sample=sample, cancelled=cancelled)
        return replace(summary, ov=ov, qk=qk, copying_score=score, copying_accuracy=accuracy)

    def mlp(self, layer: int, expert: int | None = None) -> MLPSummary:
        """One MLP, or one expert of a mixture."""
        given = []
        for which in self.matrices(layer, expert):
            matrix = self.circuits.mlp(which, layer, expert)
            given.append((which, spectrum_of(matrix, self._k(which, min(matrix.shape))), ()))
        found = dict(zip((which for which, _, _ in given), self._summaries(given), strict=True))
        return MLPSummary(
            title=f"{self._word}l{layer} mlp" if expert is None else f"{self._word}l{layer}e{expert}",
            layer=layer,
            expert=expert,
            stack=self.weights.stack.name,
            ln=self.ln,
            w_in=found["in"],
            w_gate=found.get("gate"),
            w_out=found["out"],
            notes=(*self.circuits.notes("mlp", layer), *self.vocabulary.notes),
        )

    def neuron(self, layer: int, neuron: int) -> NeuronSummary:
        """One neuron: what it reads and writes.

        Raises:
            IndexError: when there is no such neuron.
        """
        read, written = self.circuits.mlp("in", layer), self.circuits.mlp("out", layer)
        if not 0 <= neuron < len(written):
            raise IndexError(f"there is no neuron {neuron} in layer {layer}; its neurons are 0 to {len(written) - 1}")
        gate = self.circuits.mlp("gate", layer)[:, neuron] if "gate" in self.matrices(layer) else None
        read, written = read[:, neuron], written[neuron]
        blocks = [("W_U", written[None]), ("W_E", read[None]), *([] if gate is None else [("W_E", gate[None])])]
        tables = [*self._read(blocks), None]
        return NeuronSummary(
            title=f"{self._word}l{layer} mlp n{neuron}",
            layer=layer,
            neuron=neuron,
            stack=self.weights.stack.name,
            ln=self.ln,
            reads=_own(read),
            gate_reads=None if gate is None else _own(gate),
            writes=_own(written),
            read_tokens=tables[1],
            gate_tokens=tables[2],
            write_tokens=tables[0],
            notes=(*self.circuits.notes("mlp", layer), *self.vocabulary.notes),
        )

    def circuit(self, kind: Matrix, layer: int, number: int | None = None) -> CircuitSummary:
        """One matrix alone: of the head with this number, of an expert, or of a layer's MLP for None.

        Raises:
            AnatomyError, IndexError: when there is no such matrix.
            ValueError: as for `each`.
        """
        if kind == "ov" or kind == "qk":
            matrix = self.circuits.head(kind, layer, number or 0)
            return self._summaries([(kind, self._spectrum(kind, matrix), self.circuits.notes(kind, layer))])[0]
        dense = self.circuits.mlp(kind, layer, number)
        spectrum = spectrum_of(dense, self._k(kind, min(dense.shape)))
        return self._summaries([(kind, spectrum, self.circuits.notes("mlp", layer))])[0]

    def matrices(self, layer: int, expert: int | None = None) -> list[Literal["in", "gate", "out"]]:
        """Which matrices an MLP or an expert has."""
        prefix = "W_" if expert is None else "expert.W_"
        return [which for which in MATRICES if (prefix + which, layer) in self.weights.stack.places]

    # ---- pieces

    def _title(self, places: Sequence[tuple[int, int]]) -> str:
        names = [f"{self._word}l{layer}h{head}" for layer, head in places]
        few = names if len(names) <= 8 else [*names[:3], "...", names[-1]]
        return " + ".join(few) + (f" ({len(names)} heads)" if len(names) > 8 else "")

    @property
    def reads_and_writes(self) -> bool:
        """Whether tokens are both read and written, as scores of copying need it."""
        return not (self.vocabulary.why_no_reads or self.vocabulary.why_no_writes)

    @property
    def _is_small(self) -> bool:
        return self.vocabulary.d_vocab * self.weights.stack.d_model <= SMALL

    def _spectrum(self, kind: str, matrix: FactoredMatrix) -> Spectrum:
        return matrix.spectrum(self._k(kind, min(matrix.rank_bound, *matrix.shape)))

    def _k(self, kind: str, rank: int) -> int:
        if self.k is not None and self.k > rank:
            raise ValueError(f"{shown(self.k)} directions were asked for; {kind} has {rank}, so k can be 1 to {rank}")
        return min(DIRECTIONS, rank) if self.k is None else self.k

    def _summaries(self, given: Sequence[tuple[str, Spectrum, tuple[str, ...]]]) -> list[CircuitSummary]:
        """The summaries of matrices, each with its kind and notes."""
        sides = [(spectrum.left.mT, spectrum.right) for _, spectrum, _ in given]
        asked = [(i, side) for i, (kind, _, _) in enumerate(given) for side in (0, 1) if SIDES[kind][side]]
        read = self._read([(SIDES[given[i][0]][side], sides[i][side]) for i, side in asked])
        tables = dict(zip(asked, read, strict=True))
        return [
            CircuitSummary(
                kind=kind,
                singular_values=spectrum.values.cpu(),
                reads=sides[i][0].cpu() if SIDES[kind][0] else None,
                writes=sides[i][1].cpu() if SIDES[kind][1] else None,
                read_tokens=tables.get((i, 0)),
                write_tokens=tables.get((i, 1)),
                unclear=spectrum.unclear()[: len(sides[i][0])].cpu(),
                norm=float(scores.norm(spectrum.values)),
                stable_rank=float(scores.stable_rank(spectrum.values)),
                entropy_rank=float(scores.entropy_rank(spectrum.values)),
                notes=(*notes, *dict.fromkeys(why for table in SIDES[kind] if (why := self._why(table)))),
            )
            for i, (kind, spectrum, notes) in enumerate(given)
        ]

    def _read(self, blocks: Sequence[tuple[str, torch.Tensor]]) -> list[TokenTable | None]:
        """Blocks of directions in tokens, through the table that stands with each; None where it cannot be read."""
        can = [block for block in blocks if not self._why(block[0])]
        read = iter(self.vocabulary.read_all(can, self.n_tokens) if can else ())
        return [None if self._why(table) else next(read) for table, _ in blocks]

    def _why(self, table: str) -> str:
        """Why directions cannot be read through a table; "" where they can, and for a side that is no stream."""
        return {"W_E": self.vocabulary.why_no_reads, "W_U": self.vocabulary.why_no_writes}.get(table, "")

    def _sum(self, places: Sequence[tuple[int, int]]) -> FactoredMatrix:
        """The sum of products is a product of the factors side by side; of many, these are larger than the sum."""
        each = [self.circuits.head("ov", *place) for place in places]
        if len(each) == 1:
            return each[0]
        if sum(one.rank_bound for one in each) > self.weights.stack.d_model:
            products = (on_float64(one.A).double() @ on_float64(one.B).double() for one in each)
            dense = reduce(torch.Tensor.add_, products)
            return FactoredMatrix(dense, torch.eye(len(dense), dtype=dense.dtype, device=dense.device))
        return FactoredMatrix(torch.cat([one.A for one in each], -1), torch.cat([one.B for one in each], -2))

    def _pairs(
        self, matrix: FactoredMatrix, kind: str, n: int, cancelled: Callable[[], bool] | None
    ) -> TokenPairs | None:
        if self.vocabulary.why_no_reads or (kind == "ov" and self.vocabulary.why_no_writes):
            return None
        sides = self._sides(matrix, kind)
        return top_pairs(*sides, n, budget=BUDGET, strings=self.vocabulary.strings, cancelled=cancelled)

    def _offsets(self, qk: FactoredMatrix) -> torch.Tensor | None:
        """The positional read-out, where positions are learned and are added to the stream."""
        stack = self.weights.stack
        if stack.name == "cross" or ("W_pos", None) not in stack.places:
            return None
        check_finite(self.weights, "W_pos", None)
        positions = self.weights.read("W_pos")[first_position(self.weights.model, stack) :]
        return by_offset(qk, positions) if positions.shape[-1] == stack.d_model else None

    def _copying(self, ov: FactoredMatrix) -> float | None:
        if not self.reads_and_writes:
            return None
        if self._is_small:
            return float(scores.copying_score(ov, self.vocabulary.W_UE()))
        left, right = self._sides(ov, "ov")
        return float(scores.positive_share((right @ left).double().cpu()))

    def _sides(self, matrix: FactoredMatrix, kind: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The tokens' inputs to a circuit, `[d_vocab, r]`, and its outputs to tokens, `[r, d_vocab]`."""
        embed = self.vocabulary.embed()
        left = of_tokens(embed, matrix.A)
        if kind == "qk":
            return left, of_tokens(embed, matrix.B.mT).mT
        norm = Norms(self.weights).final() if self.ln == "folded" else None
        written = matrix.B.mT if norm is None else norm.fold_after(matrix.B).mT
        return left, of_tokens(self.vocabulary.unembed().mT, written).mT


def _own(vector: torch.Tensor) -> torch.Tensor:
    """A vector in float64 that is no view of the model's weights."""
    return vector.to("cpu", torch.float64, copy=True)
