"""Summaries of heads, MLPs, experts and neurons: the results that `headgrid.summarize` returns."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float64

from headgrid.circuits.norms import LN
from headgrid.circuits.pairs import TokenPairs
from headgrid.circuits.tokens import TokenTable
from headgrid.utils.arguments import integer


@dataclass(frozen=True, eq=False, repr=False)
class CircuitSummary:
    """One matrix of a head or an MLP in numbers, directions and tokens.

    A direction i reads `reads[i]` of the residual stream with the strength `singular_values[i]` and writes `writes[i]`.
    Of a QK circuit, `reads` is the query's side and `writes` the key's: a query along the one attends to a key along
    the other. Signs of a direction's two sides are arbitrary together, and fixed as `FactoredMatrix.svd` says.

    Attributes:
        kind: `ov`, `qk`, `in`, `gate` or `out`.
        singular_values: all of them, float64 `[r]`, from large to small.
        reads, writes: the leading k directions, unit rows `[k, d_model]`; None where that side is not the stream.
        read_tokens, write_tokens: these through embedding and unembedding; None where there is none, see `notes`.
        unclear: which of the k directions are not identified, because a neighbor's singular value is nearly equal.
        norm: the Frobenius norm.
        stable_rank: squared norm over squared largest singular value.
        entropy_rank: the effective rank of Roy and Vetterli: exp of the entropy of sigma / sum sigma.
        pairs: the token pairs of largest score; None where they were not asked for.
        offsets: of a QK circuit with learned positions, the mean score of a key that many positions back, `[n_ctx]`.
        notes: what static weights cannot say of it, and what is missing here.
    """

    kind: str
    singular_values: Float64[torch.Tensor, " r"]
    reads: Float64[torch.Tensor, "k d_model"] | None
    writes: Float64[torch.Tensor, "k d_model"] | None
    read_tokens: TokenTable | None
    write_tokens: TokenTable | None
    unclear: Bool[torch.Tensor, " k"]
    norm: float
    stable_rank: float
    entropy_rank: float
    pairs: TokenPairs | None = None
    offsets: Float64[torch.Tensor, " n_ctx"] | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return (
            f"{self.kind}: norm {self.norm:.3g}, stable rank {self.stable_rank:.3g}, "
            f"entropy rank {self.entropy_rank:.3g}\n{self.table()}".rstrip()
        )

    def table(self, n_directions: int = 5, n_tokens: int = 6) -> str:
        """The leading directions as text: singular value, tokens read, tokens written."""
        n_directions = integer("n_directions", n_directions, least=0, what="a number of directions")
        n_tokens = integer("n_tokens", n_tokens, least=0, what="a number of tokens")
        lines = []
        for i in range(min(n_directions, len(self.unclear))):
            sides = [tokens[i][:n_tokens] for tokens in (self.read_tokens, self.write_tokens) if tokens is not None]
            said = "  ->  ".join(" ".join(repr(token) for token in side) for side in sides)
            lines.append(f"  {float(self.singular_values[i]):8.3g}{'?' if self.unclear[i] else ' '} {said}".rstrip())
        return "\n".join(lines)


@dataclass(frozen=True, eq=False, repr=False)
class HeadSummary:
    """One head, or several heads whose OV circuits are summed.

    Attributes:
        title: `l1h2`; `l0h3 + l1h2` for several.
        heads: (layer, head) of each.
        ln: whether norms are folded into the weights.
        ov: its OV circuit, from what it attends to to what it writes.
        qk: what it attends to; None for several heads.
        copying_score: sum(lambda) / sum|lambda| of W_E OV W_U, from -1 to 1; NaN for a head that writes nothing, None
            where tokens are not both read and written, or where it was not computed (see `notes`).
        copying_accuracy: the share of tokens whose largest output is themselves; None as above.
        notes: what else there is to say.
    """

    title: str
    heads: tuple[tuple[int, int], ...]
    stack: str
    ln: LN
    ov: CircuitSummary
    qk: CircuitSummary | None
    copying_score: float | None
    copying_accuracy: float | None
    notes: tuple[str, ...] = ()

    @property
    def layer(self) -> int:
        """The layer of the head, or of the first of several."""
        return self.heads[0][0]

    @property
    def head(self) -> int:
        """The head's number, or that of the first of several."""
        return self.heads[0][1]

    def __repr__(self) -> str:
        copying = "" if self.copying_score is None else f", copying score {self.copying_score:.2f}"
        found = [f"{self.title}, norms {self.ln}{copying}", repr(self.ov), *([repr(self.qk)] if self.qk else [])]
        return "\n".join(found)


@dataclass(frozen=True, eq=False, repr=False)
class MLPSummary:
    """One MLP or expert.

    Attributes:
        title: `l0 mlp`, `l0e5`.
        layer, expert: its place; `expert` is None for a whole MLP.
        ln: whether norms are folded into the weights.
        w_in, w_gate: the directions of the stream that it reads; `w_gate` is None without one.
        w_out: the directions that it writes.
        notes: what else there is to say.
    """

    title: str
    layer: int
    expert: int | None
    stack: str
    ln: LN
    w_in: CircuitSummary
    w_gate: CircuitSummary | None
    w_out: CircuitSummary
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        found = [f"{self.title}, norms {self.ln}"]
        return "\n".join([*found, *(repr(one) for one in (self.w_in, self.w_gate, self.w_out) if one is not None)])


@dataclass(frozen=True, eq=False, repr=False)
class NeuronSummary:
    """One neuron of an MLP.

    Attributes:
        title: `l0 mlp n5`.
        layer, neuron: its place.
        ln: whether norms are folded into the weights.
        reads: its column of W_in, `[d_model]`; `gate_reads` of W_gate, or None.
        writes: its row of W_out, `[d_model]`.
        read_tokens, gate_tokens, write_tokens: these in tokens, tables of one row; None where there is no reading.
        notes: what else there is to say.
    """

    title: str
    layer: int
    neuron: int
    stack: str
    ln: LN
    reads: Float[torch.Tensor, " d_model"]
    gate_reads: Float[torch.Tensor, " d_model"] | None
    writes: Float[torch.Tensor, " d_model"]
    read_tokens: TokenTable | None
    gate_tokens: TokenTable | None
    write_tokens: TokenTable | None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        sides = (("reads", self.read_tokens), ("gate reads", self.gate_tokens), ("writes", self.write_tokens))
        said = [f"  {name}: {' '.join(map(repr, table[0]))}" for name, table in sides if table is not None]
        return "\n".join([f"{self.title}, norms {self.ln}", *said])
