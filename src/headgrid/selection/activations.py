"""The activations of a set of parts: the one rule of recording, ablating and zeroing.

**A head is its `z`**, the `[batch, pos, d_head]` that enters `W_O`, and it is named by its output side: `l1h2` (whose
other weights come with it) or `l1h2.o`. **A neuron is its activation**, the `[batch, pos]` that enters `W_out`: `l0 mlp
n5`, `l0 mlp`. `l1 attn` is all heads of a layer, and `l1` these and all neurons; what is shared by all heads or neurons
comes with all of them and is left as it is, so that after `ablate(model, "l1 attn")` the attention still adds its
`b_O`. The complement of heads and neurons, `~(l0h1 | l1h2)`, is all other heads and neurons.

A part with no activation (an embedding, a norm on its own, `l1h2.q`, an expert) is an error that names it, never
passed over.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools, Stack
from headgrid.anatomy.roles import NORMS, OUTSIDE_LAYERS, bare, role_of
from headgrid.selection import parts
from headgrid.selection.parts import Parts
from headgrid.selection.printer import text_of

ActivationKind = Literal[
    "q", "k", "v", "scores", "pattern", "z", "result", "mlp", "in", "mid", "out", "attn out", "mlp out"
]
"""Kinds of activations: those of heads, neurons' activations (`mlp`), and those of a layer's residual stream; what each
is stands in `headgrid.selection.points`."""

Where = tuple[ActivationKind, str, int]
"""Which activation, of which stack, in which layer."""

READ_BY = {"z": "W_O", "mlp": "W_out"}
"""The weight that reads an activation."""

_PLAIN = {*OUTSIDE_LAYERS, *NORMS, "attn rest", "mlp rest"}
"""Owners that a complement of heads and neurons has in it and that are left as they are."""

_LONGEST = 200


def activations(anatomy: Anatomy, chosen: Parts) -> dict[Where, tuple[int, ...]]:
    """The activations that a set of parts is: where, and the numbers of the heads or neurons there.

    Raises:
        ValueError: naming the parts that are no activation, and the words for the heads and neurons alone.
    """
    found, left = _split(anatomy, chosen)
    if not left or _is_complement(anatomy, chosen, left):
        return found
    alone = _named(anatomy, found)
    words = text_of(anatomy, left)
    words = words if len(words) <= _LONGEST else words[:_LONGEST] + " ..."
    instead = f": for the heads and neurons alone write {text_of(anatomy, alone)!r}" if alone else ""
    raise ValueError(
        f"{words} is no activation of its own{instead}. Activations are a head's z, selected with its output side "
        "(l1h2, or l1h2.o), a neuron's (l0 mlp n5, selected with its W_out), all of a block (l1 attn, l0 mlp) and of a "
        "layer (l1). Mixers, experts that are stored together, embeddings and single norms have none"
    )


def outputs(anatomy: Anatomy, chosen: Parts) -> Parts:
    """The weights that read these activations: `W_O` of heads, `W_out` of neurons, and what an adapter adds to them.

    Raises:
        ValueError: as `activations` does.
    """
    found: Parts = {}
    for (kind, name, layer), numbers in activations(anatomy, chosen).items():
        prefix = f"{name}:" if name else ""
        for key in (prefix + READ_BY[kind], prefix + READ_BY[kind] + ".lora_A"):
            if key in anatomy.exists:
                bits = found.setdefault(key, np.zeros_like(anatomy.exists[key]))
                bits[layer, list(numbers)] = anatomy.exists[key][layer, list(numbers)]
    return parts.nonempty(found.items())


def _split(anatomy: Anatomy, chosen: Parts) -> tuple[dict[Where, tuple[int, ...]], Parts]:
    """The activations that a set of parts is, and those of its parts that are none and come with none.

    A head is its `z` if its `W_O` is selected, and its other weights come with it; a neuron likewise by its `W_out`.
    What all heads or neurons of a block share comes with all of them, a layer's norms with the whole layer.
    """
    found: dict[Where, tuple[int, ...]] = {}
    left: Parts = {}
    for stack in anatomy.stacks:
        prefix = f"{stack.name}:" if stack.name else ""
        heads, every_head, some_head = _taken(stack, chosen, prefix + "W_O")
        neurons, every_neuron, some_neuron = _taken(stack, chosen, prefix + "W_out")
        for layer in range(stack.n_layers):
            for kind, taken in (("z", heads), ("mlp", neurons)):
                if numbers := tuple(np.flatnonzero(taken[layer]).tolist()):
                    found[kind, stack.name, layer] = numbers  # type: ignore[index]
        whole = every_head & every_neuron & (some_head | some_neuron)
        with_it: dict[str, Bools] = {
            "q": heads, "o": heads, "neuron": neurons, "attn rest": every_head & some_head,
            "mlp rest": every_neuron & some_neuron, **dict.fromkeys(NORMS, whole),
        }  # fmt: skip
        if stack.n_heads:
            with_it |= dict.fromkeys("kv", np.asarray(parts.per_group(stack, heads).any(axis=-1)))
        for key in set(stack.exists) & set(chosen):
            covered = with_it.get(role_of(key).owner)
            left[key] = chosen[key] if covered is None else chosen[key] & ~covered
    return found, parts.nonempty(left.items())


def _taken(stack: Stack, chosen: Parts, key: str) -> tuple[Bools, Bools, Bools]:
    """Which parts of a role are chosen `[n_layers, n_parts]`, if all are, and if there are any, `[n_layers, 1]`."""
    there = stack.exists.get(key)
    if there is None:
        none = np.zeros((stack.n_layers, 1), np.bool_)
        return np.zeros((stack.n_layers, max(1, stack.n_heads)), np.bool_), ~none, none
    taken = chosen.get(key, np.zeros_like(there))
    every, some = (taken | ~there).all(axis=1, keepdims=True), there.any(axis=1, keepdims=True)
    return taken, np.asarray(every), np.asarray(some)


def _is_complement(anatomy: Anatomy, chosen: Parts, left: Parts) -> bool:
    """Whether a set is all but some heads and neurons, in a model where nothing else could be meant by the rest.

    Mixers and experts compute something that has no activation here: a complement with them is not only heads and
    neurons.
    """
    rest, beside = _split(anatomy, parts.complement(anatomy, chosen))
    plain = all(role_of(key).owner in {*_PLAIN, "q", "k", "v", "neuron"} for key in left)
    mixture = any(bare(key).startswith(("router", "shared", "expert", "mixer")) for key in left)
    return bool(rest) and not beside and plain and not mixture


def _named(anatomy: Anatomy, found: dict[Where, tuple[int, ...]]) -> Parts:
    """These heads and neurons with all of their weights."""
    every: Parts = {}
    for stack in anatomy.stacks:
        prefix = f"{stack.name}:" if stack.name else ""
        for kind, role in READ_BY.items():
            there = stack.exists.get(prefix + role)
            bits = None if there is None else np.zeros_like(there)
            for (one, name, layer), numbers in found.items():
                if bits is not None and (one, name) == (kind, stack.name):
                    bits[layer, list(numbers)] = True
            if bits is not None and bits.any():
                more = parts.heads(stack, bits) if kind == "z" else parts.numbered(stack, ("neuron",), bits)
                every = parts.union(every, more)
    return every
