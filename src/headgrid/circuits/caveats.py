"""Caveats on QK: sentences on what stands between q.k of a layer and softmax."""

from __future__ import annotations

from collections.abc import Iterator

from headgrid.circuits.measured import Measured, measured
from headgrid.circuits.norms import LN
from headgrid.models import scaling
from headgrid.weights import Weights

_NORMED = {"q_norm.w", "k_norm.w", "q_gain", "k_gain"}
_NORMALIZED = "Queries and keys are normalized, so scores are not bilinear: only the gains of norms are folded in."


def notes_on_scores(weights: Weights, ln: LN, layer: int) -> Iterator[str]:
    """Caveats on the QK of a layer, a sentence each: what stands between q.k and softmax, and is not in QK."""
    there = {role for role, at in weights.stack.places if at == layer}
    model, anatomy, stack = weights.model, weights.anatomy, weights.stack
    seen = measured(weights, layer)
    asked = isinstance(seen, Measured)
    how = seen.positions if isinstance(seen, Measured) else scaling.positions(model, anatomy, stack, layer)
    if seen.rotates if isinstance(seen, Measured) else how == "rotary":
        yield (
            "QK is shown at offset 0: rotary positions turn queries and keys by their distance, which changes the "
            "directions far more than the singular values."
        )
    if how == "alibi":
        yield "ALiBi subtracts a multiple of the distance from the scores: QK is shown without it."
    elif how == "relative_positional_bias":
        yield "A bias for the distance is added to the scores: QK is shown without it."
    if isinstance(seen, Measured):
        yield from _notes_on_what_was_seen(seen, there)
    elif there & _NORMED:
        yield _NORMALIZED
    if "sink" in there:
        yield "Each head has a sink, a score that no key has: it can attend to nothing."
    if any(
        weights.read(role, layer).any()
        for role in ("b_Q", "b_K", "b_DQ", "b_DKV", "b_KR", "q_norm.b", "k_norm.b", "ln1.b")
        if role in there
    ):
        yield "Biases are left out: they add to a score what depends on the query alone or on the key alone."
    if ln == "folded":
        said = scaling.scaling(model, anatomy, stack, layer)
        if isinstance(seen, Measured) and seen.scale not in (None, 1.0):
            yield (
                f"q.k is multiplied by {said * seen.scale:.4g}, as measured; attributes of the attention say "
                f"{said:.4g}."
            )
        elif not asked and anatomy.provenance in ("guess", "proven") and not scaling.is_said(model, stack, layer):
            yield "No attribute of the attention says how scores are scaled: 1 / sqrt(d_head) is a guess."
    cap = scaling.soft_cap(model, stack, layer)
    if cap is None and isinstance(seen, Measured) and seen.capped:
        cap = seen.bound
    if cap is not None:
        yield f"Scores are softly capped at {cap:.4g}: QK is what they are before."
    bound = scaling.clip(model, stack, layer)
    if bound is not None:
        yield f"Queries, keys and values are clipped at {bound:g}: QK is shown without it."
    elif cap is None and isinstance(seen, Measured) and seen.bound is not None:
        yield "Queries and keys or their scores are bounded, as measured: QK is shown without that."
    if not isinstance(seen, Measured):
        yield (
            "What becomes of queries and keys before softmax is taken from names of attributes, as it could not be "
            f"measured: {seen}"
        )


def _notes_on_what_was_seen(seen: Measured, there: set[str]) -> Iterator[str]:
    if seen.kind == "normalized":
        weights = "" if there & _NORMED else " These norms have no weights: they were measured."
        yield _NORMALIZED + weights
    elif seen.kind == "half normalized":
        yield "Queries or keys are normalized, as measured, so scores are not bilinear: they grow with the other alone."
    elif seen.kind == "none":
        yield "The scores do not depend on queries and keys, as measured."
    elif seen.kind == "other":
        yield "The scores are no product of queries and keys, as measured: QK is what it would be if they were."
    if seen.absolute:
        yield (
            "Queries or keys are changed by where they are in the text, as measured, beyond their distance: QK is what "
            "it is at the first position."
        )
    if seen.scale is None and seen.kind not in ("none", "other"):
        yield "The scores are no multiple of q.k under any norm that is known, as measured: QK's scale is a guess."
