"""Points: the activations of heads and layers that have a word of their own, and texts that name them.

The one table of what can be recorded and replaced besides a head's `z` and a neuron's activation. A text is a union of
terms; a term is a selection of heads with a point of heads after a dot (`l1h2.pattern`, `(l1h2 | l2h*).q`), a
selection of layers with a point of layers after a blank (`l0-3 in`, `l2 mlp out`), the name of one of TransformerLens'
hooks (`blocks.1.attn.hook_pattern`, `blocks.1.attn.hook_z[:, :, 2]`), or heads and neurons without any of these, by the
rule of `headgrid.selection.activations`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.selection import printer
from headgrid.selection.activations import ActivationKind, Where, activations
from headgrid.selection.parts import Parts
from headgrid.utils import arguments

ActivationNumbers = dict[Where, tuple[int, ...]]
"""Which activations, and of them which heads, key/value heads or neurons; none of what a layer has one of."""


@dataclass(frozen=True)
class HookPoint:
    """A place in the forward pass where activations are.

    Attributes:
        word: how a text names it.
        of: what has one: a query head, a key/value head, or a layer.
        what: what it is, in a few words.
        axes: its axes in a model whose batch and positions are two axes.
        lens: the names of TransformerLens' hooks for it.
    """

    word: ActivationKind
    of: Literal["head", "kv head", "layer"]
    what: str
    axes: str
    lens: tuple[str, ...]


_HEAD, _STREAM, _MAP = "batch pos d_head", "batch pos d_model", "batch query key"

POINTS: dict[str, HookPoint] = {
    point.word: point
    for point in (
        HookPoint("q", "head", "the query as it enters the product with keys: rotated, and scaled if it is", _HEAD,
                  ("attn.hook_rot_q", "attn.hook_q")),
        HookPoint("k", "kv head", "the key as it enters the product with queries: rotated", _HEAD,
                  ("attn.hook_rot_k", "attn.hook_k")),
        HookPoint("v", "kv head", "the value, as the pattern weighs it", _HEAD, ("attn.hook_v",)),
        HookPoint("scores", "head", "what the softmax is taken of", _MAP, ("attn.hook_attn_scores",)),
        HookPoint("pattern", "head", "the attention pattern, before dropout", _MAP, ("attn.hook_pattern",)),
        HookPoint("z", "head", "the weighted values, as they enter W_O", _HEAD, ("attn.hook_z",)),
        HookPoint("result", "head", "what the head writes: z W_O", _STREAM, ("attn.hook_result",)),
        HookPoint("in", "layer", "the residual stream before the layer", _STREAM, ("hook_resid_pre",)),
        HookPoint("mid", "layer", "the residual stream between attention and MLP", _STREAM, ("hook_resid_mid",)),
        HookPoint("out", "layer", "the residual stream after the layer", _STREAM, ("hook_resid_post",)),
        HookPoint("attn out", "layer", "what attention adds to the stream", _STREAM, ("hook_attn_out",)),
        HookPoint("mlp out", "layer", "what the MLP adds to the stream", _STREAM, ("hook_mlp_out",)),
    )
}  # fmt: skip
"""Every point by its word, in the order of a forward pass within heads and within layers."""

OF_HEADS = tuple(word for word, point in POINTS.items() if point.of != "layer")
OF_LAYERS = tuple(word for word, point in POINTS.items() if point.of == "layer")

_OF_HEADS = re.compile(rf"(.*?)\s*\.\s*({'|'.join(OF_HEADS)})", re.IGNORECASE | re.DOTALL)
_OF_LAYERS = re.compile(rf"(.*?)\s+({'|'.join(sorted(OF_LAYERS, key=len)[::-1])})", re.IGNORECASE | re.DOTALL)
_OF_LENS = {name: word for word, point in POINTS.items() for name in point.lens}
_LENS = re.compile(
    rf"(?:transformer\.)?blocks\.(\d{{1,9}}|\*)\.({'|'.join(map(re.escape, _OF_LENS))})\s*(?:\[([\s\d:,]*)\])?"
)
_UNROTATED = {"attn.hook_q", "attn.hook_k"}
_JOINED = re.compile(r"[&~]|(?<!\d)-|-(?!\s*\d)")
"""What makes an expression of several terms; not the hyphen of a range, `l0-3`."""


def named(anatomy: Anatomy, what: Any, points: Sequence[str] | None = None) -> ActivationNumbers:
    """The activations that a text or a selection names.

    Args:
        anatomy: of which model.
        what: a text of this module's terms, or anything that `Anatomy.select` takes.
        points: which points of the heads, or of the layers, that are selected; None for what the text says, heads
            alone being their `z`.

    Raises:
        SelectionError: when a text does not parse, or names what the model does not have.
        TypeError: for what selects nothing.
        ValueError: when a part has no such activation, or a point is named twice over.
    """
    if points is not None:
        chosen = arguments.some_of("points", points, (*OF_HEADS, *OF_LAYERS))
        parts_, found = anatomy.select(what).parts, ActivationNumbers()
        for word in chosen:
            _add(found, _of_heads(anatomy, parts_, word) if word in OF_HEADS else _of_layers(anatomy, parts_, word))
        return found
    if not isinstance(what, str):
        return activations(anatomy, anatomy.select(what).parts)
    found, plain = ActivationNumbers(), []
    for term in _terms(what):
        if lens := _LENS.fullmatch(term.strip()):
            _add(found, _of_lens(anatomy, *lens.groups()).items())
            continue
        of_heads, of_layers = _OF_HEADS.fullmatch(term.strip()), _OF_LAYERS.fullmatch(term.strip())
        hit = of_heads or of_layers
        if hit is None or (of_heads and not hit[1]):
            plain.append(term)
            continue
        word = " ".join(hit[2].lower().split())
        if _JOINED.search(re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", hit[1])):
            raise ValueError(
                f"{arguments.shown(term.strip())} does not say what all has the point {word}: put parentheses around "
                f"it, ({hit[1].strip()}){'.' if of_heads else ' '}{word}"
            )
        parts_ = anatomy.select(hit[1]).parts
        _add(found, _of_heads(anatomy, parts_, word) if of_heads else _of_layers(anatomy, parts_, word))
    if plain:
        _add(found, activations(anatomy, anatomy.select("|".join(plain)).parts).items())
    return found


def text_of(where: Where, numbers: Sequence[int], stack: Stack | None = None) -> str:
    """The text of an activation: `l1h[0,2]`, `l1h2.pattern`, `l1g0.k`, `l0 mlp`, `encoder l3 out`.

    Args:
        where: which activation.
        numbers: of which heads or neurons.
        stack: its stack, which says whether heads share keys and values.
    """
    kind, name, layer = where
    place = f"{name} l{layer}".lstrip()
    if kind not in OF_HEADS:
        return f"{place} {kind}"
    shared = POINTS[kind].of == "kv head" and stack is not None and stack.n_kv_heads < stack.n_heads
    listed = str(numbers[0]) if len(numbers) == 1 else f"[{','.join(map(str, numbers))}]"
    return f"{place}{'g' if shared else 'h'}{listed}{'' if kind == 'z' else f'.{kind}'}"


def _terms(text: str) -> Iterator[str]:
    """The terms of a union, at its top level."""
    depth, start = 0, 0
    for i, letter in enumerate(text):
        depth += (letter in "([") - (letter in ")]")
        if letter in "|," and depth == 0:
            yield text[start:i]
            start = i + 1
    yield text[start:]


def _add(found: ActivationNumbers, more: Iterable[tuple[Where, tuple[int, ...]]]) -> None:
    for where, numbers in more:
        found[where] = tuple(sorted({*found.get(where, ()), *numbers}))


def _of_heads(anatomy: Anatomy, chosen: Parts, word: str) -> Iterator[tuple[Where, tuple[int, ...]]]:
    """A point of the selected heads; keys and values are those of the key/value heads that they read."""
    kind: Any = word
    for (was, name, layer), numbers in activations(anatomy, chosen).items():
        if was != "z":
            raise ValueError(
                f"{text_of((was, name, layer), ())} has no {word}, which is of heads: select heads alone, such as "
                f"{name} l{layer}h*".replace("  ", " ")
            )
        if POINTS[word].of == "kv head":
            numbers = tuple(np.unique(anatomy.stack(name).kv_head_of[list(numbers)]).tolist())
        yield (kind, name, layer), numbers


def _of_lens(anatomy: Anatomy, layer: str, name: str, index: str | None) -> ActivationNumbers:
    """What a hook of TransformerLens sees, or one head of it.

    Raises:
        SelectionError: for a layer or a head that the model does not have.
        ValueError: for queries or keys before rotation, and for an index of anything but one head.
    """
    word = _OF_LENS[name]
    point, stack = POINTS[word], anatomy.stack("")
    if name in _UNROTATED and anatomy.positional_embedding_type in ("rotary", None):
        raise ValueError(
            f"{name.removeprefix('attn.')} is before rotation, and {anatomy.name} may rotate its queries and keys: "
            f"what enters the attention product is blocks.{layer}.attn.hook_rot_{word}, l{layer}h*.{word}"
        )
    if point.of == "layer":
        if index is not None:
            raise ValueError(f"blocks.{layer}.{name} is of a layer, which has no heads to index: leave [{index}] out")
        return named(anatomy, f"l{layer} {word}")
    every, head = ":, " * (1 if "query" in point.axes else 2), "*"
    if index is not None:
        axes = [axis.strip() for axis in index.split(",")]
        at = every.count(":")
        if len(axes) <= at or not axes[at].isdigit() or len(axes) > 4 or {*axes[:at], *axes[at + 1 :]} - {":"}:
            raise ValueError(
                f"[{index}] is no index of one head of blocks.{layer}.{name}: that of head 2 is [{every}2]"
            )
        head = axes[at]
    shared = point.of == "kv head" and stack.n_kv_heads < stack.n_heads and head != "*"
    return named(anatomy, f"l{layer}{'g' if shared else 'h'}{head}.{word}")


def _of_layers(anatomy: Anatomy, chosen: Parts, word: str) -> Iterator[tuple[Where, tuple[int, ...]]]:
    """A point of every layer that has a selected part.

    Raises:
        ValueError: when parts outside of layers are selected.
    """
    kind: Any = word
    for stack in anatomy.stacks:
        keys = set(stack.exists) & set(chosen)
        outside = {slot.key: chosen[slot.key] for slot in stack.slots if slot.layer is None and slot.key in keys}
        if outside:
            raise ValueError(
                f"{printer.text_of(anatomy, outside)} is in no layer, which alone have a point {word!r}: select "
                f"layers, such as l0-{stack.n_layers - 1}"
            )
        for layer in range(stack.n_layers):
            if any(chosen[key][layer].any() for key in keys):
                yield (kind, stack.name, layer), ()
