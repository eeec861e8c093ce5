"""The selections that were, to go back to and forth again.

A step is kept as bits, eight parts to a byte, and shares with its neighbours what did not change: a selection with all
neurons of a 405B model is 20 MB of booleans, and a step that moves one of its heads a few kB. Long arrays are
compressed as well, since few selections name neurons at random.
"""

from __future__ import annotations

import weakref
import zlib
from collections import deque
from dataclasses import dataclass

import numpy as np

from headgrid.anatomy import Bools
from headgrid.parts import Parts
from headgrid.selection import Selection

MOST_STEPS = 200
"""The steps that are kept; the oldest is forgotten first."""

MOST_BYTES = 32 * 2**20
"""What the steps to go back to may take, and those to go forth to; one step is always kept."""


LONG = 2**14
"""Bytes from which on they are compressed."""


@dataclass(frozen=True, eq=False)
class _Role:
    """The chosen parts of one role, shape `[n_layers, n_parts]`."""

    shape: tuple[int, ...]
    bits: bytes

    @classmethod
    def of(cls, bits: Bools) -> _Role:
        packed = np.packbits(bits).tobytes()
        return cls(bits.shape, min(packed, zlib.compress(packed, 1), key=len) if len(packed) >= LONG else packed)

    def unpacked(self) -> Bools:
        n = int(np.prod(self.shape))
        packed = self.bits if len(self.bits) == (n + 7) // 8 else zlib.decompress(self.bits)
        flat = np.unpackbits(np.frombuffer(packed, np.uint8), count=n)
        return flat.astype(np.bool_).reshape(self.shape)


_Step = dict[str, _Role]


class _Steps:
    """Steps, the last one on top, bounded by their number and by the bytes that they do not share."""

    def __init__(self) -> None:
        self._steps: deque[_Step] = deque()
        self._sizes: deque[int] = deque()

    def __len__(self) -> int:
        return len(self._steps)

    def push(self, step: _Step) -> None:
        self._sizes.append(_size(step, self._steps[-1] if self._steps else {}))
        self._steps.append(step)
        while len(self._steps) > MOST_STEPS or (len(self._steps) > 1 and sum(self._sizes) > MOST_BYTES):
            self._steps.popleft()
            self._sizes.popleft()
            self._sizes[0] = _size(self._steps[0], {})  # what the forgotten step shared is now the next one's own

    def pop(self) -> _Step:
        self._sizes.pop()
        return self._steps.pop()

    def clear(self) -> None:
        self._steps.clear()
        self._sizes.clear()


class History:
    """What a selection was before, and what it was before it went back.

    Args:
        present: the selection that is on at first.

    Attributes:
        present: the selection that is on.
    """

    def __init__(self, present: Selection) -> None:
        self.present = present
        self._past, self._future = _Steps(), _Steps()
        # of the arrays that were packed last; most of them will be there again
        self._packed: dict[int, tuple[weakref.ref[Bools], _Role]] = {}

    @property
    def undo_steps(self) -> int:
        """How many steps it can go back."""
        return len(self._past)

    @property
    def redo_steps(self) -> int:
        """How many steps it can go forth."""
        return len(self._future)

    def change(self, selection: Selection) -> None:
        """One step on: what could be done again is forgotten. Nothing happens where this selection is on already."""
        if selection is not self.present and selection != self.present:
            self._past.push(self._pack(self.present.parts))
            self._future.clear()
            self.present = selection

    def undo(self) -> Selection:
        """One step back, where there is one; the selection that is on then."""
        return self._move(self._past, self._future)

    def redo(self) -> Selection:
        """One step forth, where there is one; the selection that is on then."""
        return self._move(self._future, self._past)

    def _move(self, source: _Steps, target: _Steps) -> Selection:
        if source:
            here = self._pack(self.present.parts)
            target.push(here)
            known = {role.bits: self.present.parts[key] for key, role in here.items()}
            step = source.pop()
            parts = {key: _reused(role, known) for key, role in step.items()}
            self._packed = {id(bits): (weakref.ref(bits), step[key]) for key, bits in parts.items()}
            self.present = Selection(self.present.anatomy, parts)
        return self.present

    def _pack(self, chosen: Parts) -> _Step:
        """A step of these parts; arrays with the same bits are one, in this step and the one that was packed before."""
        known = {role.bits: role for _, role in self._packed.values()}
        step, packed = {}, {}
        for key, bits in chosen.items():
            before, role = self._packed.get(id(bits), (None, None))
            if role is None or before is None or before() is not bits:
                new = _Role.of(bits)
                same = known.setdefault(new.bits, new)
                role = same if same.shape == new.shape else new
            step[key], packed[id(bits)] = role, (weakref.ref(bits), role)
        self._packed = packed
        return step


def _reused(role: _Role, known: dict[bytes, Bools]) -> Bools:
    found = known.get(role.bits)
    return found if found is not None and found.shape == role.shape else role.unpacked()


def _size(step: _Step, below: _Step) -> int:
    """The bytes of a step that are not those of the step below it."""
    shared = {id(role) for role in below.values()}
    return sum(len(role.bits) for role in {id(role): role for role in step.values()}.values() if id(role) not in shared)
