"""The ends of edges: which heads and MLPs send, and what receives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Stack
from headgrid.anatomy.roles import role_of
from headgrid.experiments.streams import DirectStream
from headgrid.selection.activations import Where, activations
from headgrid.selection.points import POINTS, named, text_of
from headgrid.utils import arguments

_WHAT = "a head's query, key or value such as 'l1h2.k', an MLP such as 'l2 mlp', or 'logits'"
_MLP = re.compile(r"\s*(?:([a-z]+)\s+)?l(\d+)\s+mlp\s*", re.IGNORECASE)
_MIXTURE = ("expert", "mlp rest")


@dataclass(frozen=True)
class EdgeReceiver:
    """What an edge goes into.

    Attributes:
        kind: a head's query, key or value, an MLP, or the logits.
        stack, layer: where; of the logits the layer after the last one.
        numbers: of a head's points the number of the head, or of the key/value head.
        text: how it is written: `l1h2.q`, `l1g0.k`, `l2 mlp`, `logits`.
        note: what a reader should know of it; "" for nothing.
    """

    kind: Literal["q", "k", "v", "mlp", "logits"]
    stack: str
    layer: int
    numbers: tuple[int, ...]
    text: str
    note: str = ""


@dataclass(frozen=True)
class EdgeSender:
    """What an edge comes out of: the first layer's input, a head or an MLP; `where` is its recorded activation."""

    where: Where
    number: int
    text: str

    @property
    def layer(self) -> int:
        """Its layer; -1 of what the stream begins with."""
        return -1 if self.where[0] == "in" else self.where[2]


def receiver_of(anatomy: Anatomy, given: Any) -> EdgeReceiver:
    """The receiver that a text names.

    Raises:
        SelectionError: when the text does not parse, or names what the model does not have.
        TypeError: when it is no text.
        ValueError: when it names several receivers, or what is none.
    """
    text = arguments.text("receiver", given, what=_WHAT)
    if text.strip().lower() == "logits":
        return EdgeReceiver("logits", anatomy.main.name, anatomy.main.n_layers, (), "logits")
    if hit := _MLP.fullmatch(text):
        anatomy.select(text)  # says what is wrong with it
        name, layer = (hit[1] or anatomy.main.name).lower(), int(hit[2])
        return EdgeReceiver("mlp", name, layer, (), text_of(("mlp", name, layer), ()))
    try:
        found = named(anatomy, text)
    except ValueError as fault:
        if type(fault) is not ValueError:
            raise
        found = {}
    if len(found) != 1 or next(iter(found))[0] not in ("q", "k", "v"):
        raise ValueError(f"receiver is {_WHAT}, not {arguments.shown(text)}")
    ((where, numbers),) = found.items()
    kind, name, layer = where
    if len(numbers) != 1 or kind not in ("q", "k", "v"):
        raise ValueError(f"receiver is one of these, {text_of(where, numbers)}: call paths once for each")
    stack = anatomy.stack(name)
    plain = text_of(where, numbers, stack)
    note = ""
    if POINTS[kind].of == "kv head" and stack.n_kv_heads < stack.n_heads:
        heads = ", ".join(f"l{layer}h{head}" for head in np.flatnonzero(stack.kv_head_of == numbers[0]))
        note = f"{plain} is the key and value head that {heads} share: the edge reaches all of them."
    return EdgeReceiver(kind, name, layer, numbers, plain, note)


def senders_of(stream: DirectStream, given: Any, end: EdgeReceiver, after_attention: bool) -> list[EdgeSender]:
    """The senders that a selection names, or all below the receiver for None; in the order of a forward pass.

    Args:
        stream: the stream that they write to.
        given: whatever `Anatomy.select` takes.
        end: the receiver.
        after_attention: whether it is an MLP that reads what the attention of its layer has added.

    Raises:
        ValueError: when nothing selected is a sender, when it is part of one, or when it is not below the receiver.
    """
    stack, anatomy = stream.stack, stream.runs.anatomy
    heads = {layer: stream.numbers(layer) for layer in stream.heads}
    chosen = (True, heads, stream.mlps) if given is None else _chosen(anatomy, stack, given, stream.mlps)
    found = [EdgeSender(("in", stack.name, 0), 0, "embed")] if chosen[0] else []
    for layer in range(stack.n_layers):
        for head in chosen[1].get(layer, ()):
            where: Where = ("z", stack.name, layer)
            found.append(EdgeSender(where, heads[layer].index(head), text_of(where, (head,))))
        if layer in chosen[2]:
            found.append(EdgeSender(("mlp out", stack.name, layer), 0, text_of(("mlp", stack.name, layer), ())))
    below = [
        one for one in found
        if one.layer < end.layer or (one.layer == end.layer and one.where[0] == "z" and after_attention)
    ]  # fmt: skip
    if given is not None and len(below) < len(found):
        above = next(one for one in found if one not in below)
        raise ValueError(f"{above.text} is not below {end.text}: what it writes never reaches it")
    if not below:
        raise ValueError(f"senders is {arguments.shown(given)}, which names no head, no MLP and not embed")
    return below


def _chosen(
    anatomy: Anatomy, stack: Stack, given: Any, mlps: list[int]
) -> tuple[bool, dict[int, tuple[int, ...]], list[int]]:
    """Whether the embedding is named, the heads of each layer, and the layers whose MLP is."""
    selection = anatomy.select(given)
    chosen = {key: bits.copy() for key, bits in selection.parts.items()}
    embed = False
    for key in [key for key in chosen if role_of(key).owner == "embed"]:
        embed |= bool(chosen.pop(key).any())
    whole = []
    owned = [key for key in stack.exists if role_of(key).owner in ("neuron", *_MIXTURE)]
    for layer in mlps:
        every = [stack.exists[key][layer] for key in owned]
        some = [chosen[key][layer] if key in chosen else np.zeros_like(stack.exists[key][layer]) for key in owned]
        mixed = any(bits.any() for key, bits in zip(owned, every, strict=True) if role_of(key).owner == "expert")
        if all((there == bits).all() for there, bits in zip(every, some, strict=True)):
            whole.append(layer)
        elif any(bits.any() for bits in some) and mixed:
            raise ValueError(f"a part of l{layer} mlp is selected, and an MLP sends as a whole: l{layer} mlp")
        for key in owned:
            if key in chosen and (mixed or layer in whole):
                chosen[key][layer] = False
    found = activations(anatomy, {key: bits for key, bits in chosen.items() if bits.any()})
    heads = {where[2]: numbers for where, numbers in found.items() if where[:2] == ("z", stack.name)}
    other = [text_of(where, ()) for where in found if where[:2] != ("z", stack.name)]
    if other:
        raise ValueError(
            f"{other[0]} is selected in part, or is of another stack: senders are whole heads, whole MLPs and embed"
        )
    return embed, heads, whole
