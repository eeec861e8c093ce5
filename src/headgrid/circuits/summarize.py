"""`summarize`: from words to the summary of what they name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headgrid.circuits.describe import FEW_TOKENS, Describer
from headgrid.circuits.norms import LN
from headgrid.circuits.summary import HeadSummary, MLPSummary, NeuronSummary
from headgrid.circuits.targets import targets
from headgrid.selection.selection import Selectable
from headgrid.torch_state import shielded
from headgrid.utils.arguments import integer
from headgrid.weights import Weights

NOT_COMPUTED = "The copying score takes long in a vocabulary as large as this: ask for pairs, or scan the model."


@shielded()
def summarize(
    model: Any,
    what: Selectable,
    tokenizer: Any = None,
    *,
    ln: LN = "folded",
    k: int | None = None,
    n_tokens: int = 10,
    pairs: int | None = None,
) -> HeadSummary | MLPSummary | NeuronSummary:
    """A summary of one head, MLP, expert or neuron, or of several heads together, from the weights alone.

    Args:
        model: a live model of any kind that `dissect` takes, its `Weights`, or the path of its safetensors.
        what: whatever `Anatomy.select` takes and names one head (`l1h2`), one MLP (`l0 mlp`), one expert (`l0e5`), one
            neuron (`l0 mlp n7`), or several heads (`l0h1 | l1h2`), whose OV circuits are summed.
        tokenizer: makes strings of token ids; without one, tables hold the ids.
        ln: `folded` reads what the model computes, up to the scale of each norm: gains, centring and the attention's
            scale are in the weights. `raw` reads the stored weights alone: W_V W_O and W_Q W_K^T.
        k: how many singular directions; 10 by default, or as many as there are.
        n_tokens: how many tokens for each side of a direction.
        pairs: how many token pairs to search in the full circuits. By default 10, and none in a vocabulary of more than
            5,000 tokens, where that takes seconds; with them come `copying_accuracy` and the positional read-out.

    Returns:
        A `HeadSummary`, `MLPSummary` or `NeuronSummary`; tensors are on the CPU, in float64.

    Raises:
        SelectionError: when `what` does not parse.
        ValueError: when it names something else than the above, for `k` beyond the rank, and for NaN or inf in a
            weight, which it names.
        AnatomyError: when there are no weights to read.
    """
    if pairs is not None:
        pairs = integer("pairs", pairs, least=0, what="a number of token pairs")
    weights = Weights.of(model)
    named = targets(weights.anatomy, what)
    describer = Describer(Weights.of(weights, named.stack.name), tokenizer, ln=ln, k=k, n_tokens=n_tokens)
    if pairs is None:
        pairs = 10 if describer.vocabulary.d_vocab <= FEW_TOKENS else 0
    if named.heads and named.n == len(named.heads):
        first = describer.head(*named.heads[0]) if named.n == 1 else describer.heads(named.heads)
        if pairs:
            return describer.deepen(first, pairs)
        skipped = first.copying_score is None and describer.reads_and_writes
        return replace(first, notes=(*first.notes, NOT_COMPUTED)) if skipped else first
    if named.n == 1 and named.mlps:
        return describer.mlp(named.mlps[0])
    if named.n == 1 and named.experts:
        return describer.mlp(*named.experts[0])
    if named.n == 1 and named.neurons:
        return describer.neuron(*named.neurons[0])
    raise ValueError(
        f"{what} names {named}: name heads alone (l1h2), or one MLP (l0 mlp), expert or neuron (l0 mlp n5)"
    )
