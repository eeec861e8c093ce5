"""An anatomy's statements about the heads of one layer: which entries of which parameters are which side of which head.

Entries are booleans on a *canvas* of a parameter: an array with its axes, those along which no parts are told apart
having one entry.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools, Slot
from headgrid.anatomy.roles import ROLES
from headgrid.anatomy.slots import canvas_shape
from headgrid.models.verify.watch import MarkedEntries

SIDES = ("query", "key", "value", "output", "block")
"""The sides that are proven of each head; `block` is one statement about all heads of a layer."""

ATTENTION = ("q", "k", "v", "o", "attn rest")
"""The owners of an attention's weights."""

_SHARED = {
    **dict.fromkeys(("q_norm.w", "q_norm.b", "W_DQ", "b_DQ", "ln_q.w"), ("query",)),
    **dict.fromkeys(("k_norm.w", "k_norm.b", "W_KR", "b_KR"), ("key",)),
    **dict.fromkeys(("W_DKV", "b_DKV", "ln_kv.w"), ("key", "value")),
    "b_O": (),
}
"""Roles that all heads share -> the sides that they take part in; of others nothing is expected."""

_BESIDE = ("W_O.lora_A",)
"""Roles of heads that read their `z` beside the output projection, in another call: nothing is asked about them."""

_OF_OWNER = {"q": "query", "k": "key", "v": "value", "o": "gate"}


def sides_of(slot: Slot) -> tuple[str, ...]:
    """The sides that a slot's weights take part in: those of `SIDES`, or `gate`, which scales a head's output."""
    owner = ROLES[slot.role].owner
    if owner == "attn rest":
        return _SHARED.get(slot.role, ())
    if slot.role in _BESIDE:
        return ()
    return ("output",) if slot.role == "W_O" else (_OF_OWNER[owner],)


class Layer:
    """The statements of an anatomy about one layer of one stack."""

    def __init__(self, anatomy: Anatomy, stack: str, layer: int) -> None:
        self.anatomy, self.stack, self.layer = anatomy, anatomy.stack(stack), layer
        self.n_heads = self.stack.n_heads
        here = [slot for slot in self.stack.slots if slot.layer == layer]
        self.slots = [slot for slot in here if ROLES[slot.role].owner in ATTENTION]
        # what reads the residual stream before the attention does moves every head
        self.names = {slot.parameter for slot in here if ROLES[slot.role].owner not in ("ln1", "mixer")}
        # what lies in no head of this layer and may be read by its attention all the same
        self.outside = {slot.parameter for slot in self.stack.slots if slot.role == "rel_pos_bias"} - self.names
        self.outside |= {slot.parameter for slot in anatomy.slots if slot.layer is None}
        self.outside |= {slot.parameter for slot in here} - self.names
        self.sinks = {slot.parameter for slot in self.slots if slot.role == "sink"}
        # of which a text of a few tokens reads some entries only: those of its distances
        self.partly = {slot.parameter for slot in self.slots if slot.role == "rel_pos_bias"}
        self._wanted: dict[tuple[str, str], Bools] = {}
        self._free: dict[str, Bools] = {}
        for slot in self.slots:
            for side in sides_of(slot):
                canvases = self._wanted.setdefault((side, slot.parameter), self.nothing(slot.parameter, self.n_heads))
                for head in range(self.n_heads):
                    part = self._part(slot, head)
                    if part is None:
                        slot.along(canvases[head])[...] = True
                    elif 0 <= part < slot.n_parts:
                        slot.along(canvases[head])[part] = True
            if slot.role in _BESIDE or (ROLES[slot.role].owner == "attn rest" and slot.role not in _SHARED):
                slot.along(self._free.setdefault(slot.parameter, self.nothing(slot.parameter)))[...] = True
                if slot.role not in _BESIDE:
                    self.outside.add(slot.parameter)

    def of(self, side: str, name: str) -> Bools:
        """The entries of a parameter that are this side of each head, shape `[n_heads, *canvas]`."""
        return self._wanted.get((side, name), self.nothing(name, self.n_heads))

    def free(self, name: str) -> Bools:
        """The entries of a parameter of which nothing is expected, on its canvas."""
        return self._free.get(name, self.nothing(name))

    def lies_in(self, name: str, canvas: Sequence[int]) -> Bools:
        """Of which heads each entry of a parameter is, in this layer or in another one: `[n_heads, *canvas]`."""
        found = np.zeros((self.n_heads, *canvas), dtype=np.bool_)
        for slot in self.anatomy.slots_of[name]:
            if ROLES[slot.role].part_axis in ("n", "g") and slot.stack == self.stack.name:
                for head in range(self.n_heads):
                    part = self._part(slot, head)
                    if part is not None and 0 <= part < slot.n_parts:
                        slot.along(found[head])[part] = True
        return found

    def nothing(self, name: str, *leading: int) -> Bools:
        """No entry of a parameter, shape `[*leading, *canvas]`."""
        return np.zeros((*leading, *canvas_shape(self.anatomy.slots_of[name])), dtype=np.bool_)

    def calls(self, name: str, entries: Bools) -> str:
        """The table's name of some entries: `W_Q of head 1`."""
        said = []
        for slot in self.anatomy.slots_of[name]:
            parts = [slot.first + part for part, canvas in enumerate(slot.along(entries)) if canvas.any()]
            letter = ROLES[slot.role].part_axis
            if parts:
                said.append(f"{slot.role} of {numbered(self._noun(letter), parts)}" if letter else slot.role)
        return " and ".join(said)

    def _noun(self, letter: str) -> str:
        grouped = self.stack.n_kv_heads < self.n_heads
        return {"n": "head", "g": "key/value head" if grouped else "head", "f": "neuron"}.get(letter, "part")

    def _part(self, slot: Slot, head: int) -> int | None:
        """Which part of a slot a head has, or None where all heads share it."""
        letter = ROLES[slot.role].part_axis
        return None if letter is None else (int(self.stack.kv_head_of[head]) if letter == "g" else head) - slot.first


def on_canvas(entries: MarkedEntries, shape: Sequence[int], canvas: Sequence[int]) -> tuple[Bools, bool]:
    """Entries of a parameter on a canvas, and whether they are all there along the axes that the canvas lacks."""
    if len(entries) == 1 and entries[0].ndim == len(shape):
        closed = tuple(i for i, size in enumerate(canvas) if size != shape[i])
        there = np.asarray(entries[0].any(axis=closed, keepdims=True))
        return there, bool((entries[0].all(axis=closed, keepdims=True) == there).all())
    there, whole = np.ones((), dtype=np.bool_), True
    for along, size, opened in zip(entries, shape, canvas, strict=True):
        is_open = opened == size
        there = there[..., None] & (along if is_open else along.any(keepdims=True))
        whole = whole and (is_open or bool(along.all()) or not along.any())
    return there, whole


def spelled(stack: str, layer: int, head: int | None = None) -> str:
    """A layer or a head as in a selection: `l3h2`, `decoder l0`."""
    return f"{stack} l{layer}{'' if head is None else f'h{head}'}".strip()


def numbered(noun: str, numbers: Sequence[int]) -> str:
    """`head 1`, `heads 1, 2`."""
    if len(numbers) == 1:
        return f"{noun} {numbers[0]}"
    return f"{noun}s {', '.join(map(str, numbers[:8]))}{', ...' if len(numbers) > 8 else ''}"


def index(canvas: Bools, shape: Sequence[int]) -> str:
    """Where a canvas of a parameter is True, as an index: `[:, 48:72]`."""
    said = []
    for axis, size in enumerate(canvas.shape):
        there = np.flatnonzero(canvas.any(axis=tuple(i for i in range(canvas.ndim) if i != axis)))
        if len(there) == size or size != shape[axis]:
            said.append(":")
            continue
        runs = np.split(there, np.flatnonzero(np.diff(there) > 1) + 1)
        pieces = [f"{run[0]}:{run[-1] + 1}" if len(run) > 1 else f"{run[0]}" for run in runs]
        pieces = [*pieces[:3], "..."] if len(pieces) > 4 else pieces
        said.append(pieces[0] if len(pieces) == 1 else f"r_[{', '.join(pieces)}]")
    return f"[{', '.join(said)}]"
