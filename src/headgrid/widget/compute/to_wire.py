"""Results of `headgrid.circuits` in the words of the wire: strings, few numbers, and nothing that is not finite.

What cannot be read has its reason in its place, and the rest is read all the same.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch

from headgrid.circuits.describe import CIRCUITS, Describer, Matrix
from headgrid.circuits.pairs import TokenPairs
from headgrid.circuits.summary import CircuitSummary, HeadSummary, MLPSummary
from headgrid.circuits.tokens import TokenTable
from headgrid.weights import Weights
from headgrid.widget.wire.schema import Circuit, Direction, Ln, Score, Tab, TokenPair, Tokens

MOST_VALUES = 256
"""The singular values of a spectrum that are shown; an MLP has thousands."""

MOST_DIRECTIONS = 10
MOST_OFFSETS = 32
FEW_DIRECTIONS = 3
"""The directions of each of several heads side by side."""

SIDES: dict[str, tuple[Tab, str, str, str, str]] = {
    "ov": ("ov", "OV", "reads", "writes", "what it writes when it attends to a token"),
    "qk": ("qk", "QK", "query", "key", "what it attends to: the token that asks, the token that is found"),
    "in": ("mlp", "W_in", "reads", "", ""),
    "gate": ("mlp", "W_gate", "reads", "", ""),
    "out": ("mlp", "W_out", "", "writes", ""),
}
"""Kind of a circuit -> its tab, its title, what its left and its right side are, and what its token pairs are."""

HELP = {
    "norm": "Frobenius norm: the root of the sum of the squared singular values.",
    "stable rank": "The squared norm over the squared largest singular value: 1 for a matrix of a single direction.",
    "entropy rank": "exp of the entropy of the singular values over their sum (Roy and Vetterli 2007).",
    "copying score": "The sum of the eigenvalues of W_E OV W_U over the sum of their sizes: 1 copies the token that it "
    "attends to, \N{MINUS SIGN}1 suppresses it (Elhage et al. 2021).",
    "top-1 copying": "The share of tokens whose largest output, when they are attended to, is themselves.",
}
"""Name of a score -> its definition."""


def describer(weights: Weights, tokenizer: Any, ln: Ln) -> tuple[Describer, tuple[str, ...]]:
    """A describer, and what is to be said of all that it describes; what is no tokenizer is left out."""
    try:
        return Describer(weights, tokenizer, ln=ln), ()
    except (TypeError, ValueError) as fault:
        if tokenizer is None:
            raise
        return Describer(weights, None, ln=ln), (f"Tokens are shown by their ids: {said(fault)}",)


def read_heads(
    describer: Describer, places: Sequence[tuple[int, int]], notes: tuple[str, ...]
) -> list[tuple[list[Circuit], HeadSummary | None]]:
    """The circuits of heads, without what takes long, and the summary to add that to; None where a circuit failed.

    Args:
        describer: describes their stack.
        places: the (layer, head) of each.
        notes: what is to be said of all.
    """
    try:
        summaries = [replace(one, notes=(*notes, *one.notes)) for one in describer.each(places)]
        return [(of_head(one), one) for one in summaries]
    except Exception:  # of one circuit of one head: all others may be well
        if len(places) > 1:
            return [found for place in places for found in read_heads(describer, [place], notes)]
        return [([_tried(describer, kind, *places[0], notes) for kind in CIRCUITS], None)]


def read_mlp(describer: Describer, layer: int, expert: int | None, notes: tuple[str, ...]) -> list[Circuit]:
    """The circuits of an MLP, or of an expert; the arguments are those of `read_heads`."""
    try:
        summary = describer.mlp(layer, expert)
        return of_mlp(replace(summary, notes=(*notes, *summary.notes)))
    except Exception:
        return [_tried(describer, which, layer, expert, notes) for which in describer.matrices(layer, expert)]


def _tried(describer: Describer, kind: Matrix, layer: int, number: int | None, notes: tuple[str, ...]) -> Circuit:
    """One matrix, without its tokens if it is these that cannot be read, or why there is none."""
    try:
        return circuit(describer.circuit(kind, layer, number), notes)
    except Exception as fault:
        blind = copy.copy(describer)
        blind.vocabulary = copy.copy(describer.vocabulary)
        blind.vocabulary.why_no_reads = blind.vocabulary.why_no_writes = said(fault)
        try:
            return circuit(blind.circuit(kind, layer, number), notes)
        except Exception:
            return failed(kind, said(fault))


def of_head(summary: HeadSummary) -> list[Circuit]:
    """OV and QK of a head, or the summed OV of several."""
    copying: list[Score] = []
    if summary.copying_score is not None:
        copying.append(_score("copying score", summary.copying_score, "{:.2f}".format))
    if summary.copying_accuracy is not None:
        copying.append(_score("top-1 copying", summary.copying_accuracy, "{:.1%}".format))
    found = [circuit(summary.ov, summary.notes, copying)]
    return found if summary.qk is None else [*found, circuit(summary.qk, summary.notes)]


def of_mlp(summary: MLPSummary) -> list[Circuit]:
    """W_in, W_gate if there is one, and W_out."""
    there = (summary.w_in, summary.w_gate, summary.w_out)
    return [circuit(one, summary.notes) for one in there if one is not None]


def circuit(found: CircuitSummary, notes: Iterable[str] = (), extra: Iterable[Score] = ()) -> Circuit:
    """One matrix.

    Args:
        found: its summary.
        notes: what is said of the whole head or MLP.
        extra: scores that stand before its norm and ranks.

    Raises:
        ValueError: when a number in it is not finite.
    """
    tab, title, left, right, pairs_title = SIDES[found.kind]
    values = _floats(found.singular_values[: max(MOST_VALUES, MOST_DIRECTIONS)], title)
    sides = [_tables(table, title) for table in (found.read_tokens, found.write_tokens)]
    directions: list[Direction] = []
    for i, unclear in enumerate(found.unclear.tolist()[:MOST_DIRECTIONS]):
        read, written = (side[i] if side else None for side in sides)
        directions.append({"value": values[i], "unclear": unclear, "left": read, "right": written})
    return {
        "tab": tab,
        "title": title,
        "left": left,
        "right": right,
        "n_values": len(found.singular_values),
        "spectrum": values[:MOST_VALUES],
        "scores": [
            *extra,
            _score("norm", found.norm),
            _score("stable rank", found.stable_rank),
            _score("entropy rank", found.entropy_rank),
        ],
        "directions": directions,
        "pairs_title": pairs_title if found.pairs is not None else "",
        "pairs": [] if found.pairs is None else _pairs(found.pairs, title),
        "offsets": [] if found.offsets is None else _floats(found.offsets[:MOST_OFFSETS], title),
        "notes": list(dict.fromkeys(sentence(note) for note in (*found.notes, *notes))),
        "error": "",
    }


def failed(kind: str, error: str) -> Circuit:
    """A matrix of which there is nothing to show."""
    tab, title, left, right, _ = SIDES[kind]
    return {
        "tab": tab, "title": title, "left": left, "right": right, "n_values": 0, "spectrum": [], "scores": [],
        "directions": [], "pairs_title": "", "pairs": [], "offsets": [], "notes": [], "error": error,
    }  # fmt: skip


def few(whole: Circuit) -> Circuit:
    """The shorter form of a matrix, where several stand side by side."""
    return {**whole, "directions": whole["directions"][:FEW_DIRECTIONS], "pairs": [], "pairs_title": "", "offsets": []}


def said(error: Exception) -> str:
    """An exception as a sentence for a panel."""
    text = " ".join(str(error).split())
    return text if isinstance(error, ValueError) and text else f"{type(error).__name__}: {text}".removesuffix(": ")


def sentence(note: str) -> str:
    """A note with the full stop that one of several needs to be told from the next."""
    return note if note.endswith((".", "!", "?", ":")) else f"{note}."


def _tables(table: TokenTable | None, title: str) -> list[Tokens]:
    """The tokens of each direction; none where there is nothing to read them through."""
    if table is None:
        return []
    found: list[Tokens] = []
    for i in range(min(len(table.ids), MOST_DIRECTIONS)):
        found.append(
            {
                "top": [word(token) for token in table.top[i]],
                "top_values": _floats(table.values[i], title),
                "bottom": [word(token) for token in table.bottom[i]],
                "bottom_values": _floats(table.bottom_values[i], title),
            }
        )
    return found


def _pairs(found: TokenPairs, title: str) -> list[TokenPair]:
    values = _floats(found.values, title)
    sides = zip(found.sources, found.targets, values, strict=True)
    return [{"source": word(source), "target": word(target), "value": value} for source, target, value in sides]


def word(token: str | int) -> str:
    """A token as text; an id where there is no tokenizer. Half a surrogate pair would break the message."""
    return f"#{token}" if isinstance(token, int) else token.encode("utf-8", "replace").decode()


def short(value: float) -> str:
    """Three digits, as `js/src/model/numbers.ts` writes them: "4.21", "0.0120", "1.2e-5", "12,345"."""
    size = abs(value)
    if size >= 100 or value == 0:
        return f"{value:,.0f}"
    if size < 0.001:
        digits, _, power = f"{value:.1e}".partition("e")
        return f"{digits}e{int(power)}"
    return f"{value:#.3g}".removesuffix(".")


def _score(name: str, value: float, write: Callable[[float], str] = short) -> Score:
    text = write(value).replace("-", "\N{MINUS SIGN}") if math.isfinite(value) else "undefined"
    return {"name": name, "value": text, "help": HELP[name]}


def _floats(values: torch.Tensor, title: str) -> list[float]:
    """Six digits of each are more than a chart or a table shows."""
    if not values.isfinite().all():
        raise ValueError(f"{title} could not be read: it has NaN or inf in its numbers")
    return [float(f"{value:.6g}") for value in values.tolist()]
