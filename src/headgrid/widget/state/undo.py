"""The selections that were, to go back to and forth again.

A step is kept as bits, eight parts to a byte, and shares with its neighbors what did not change: a selection with all
neurons of a 405B model is 20 MB of booleans, and a step that moves one of its heads a few kB. Long arrays are
compressed as well, since few selections name neurons at random.
"""

from __future__ import annotations

import weakref
import zlib
from dataclasses import dataclass

import numpy as np

from headgrid.anatomy.anatomy import Bools
from headgrid.selection.parts import Parts
from headgrid.selection.selection import Selection

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
    """Steps, the last one on top, bounded by their number and by the bytes that they do not share. Never changed."""

    def __init__(self, steps: tuple[_Step, ...] = (), sizes: tuple[int, ...] = ()) -> None:
        self._steps, self._sizes = steps, sizes

    def __len__(self) -> int:
        return len(self._steps)

    @property
    def top(self) -> _Step:
        """The last step."""
        return self._steps[-1]

    def pushed(self, step: _Step) -> _Steps:
        """These and one more."""
        steps = [*self._steps, step]
        sizes = [*self._sizes, _size(step, self._steps[-1] if self._steps else {})]
        while len(steps) > MOST_STEPS or (len(steps) > 1 and sum(sizes) > MOST_BYTES):
            del steps[0], sizes[0]
            sizes[0] = _size(steps[0], {})  # what the forgotten step shared is now the next one's own
        return _Steps(tuple(steps), tuple(sizes))

    def popped(self) -> _Steps:
        """All but the last."""
        return _Steps(self._steps[:-1], self._sizes[:-1])


class History:
    """What a selection was before, and what it was before it went back.

    Each change is one assignment: whoever is interrupted in it leaves the history of before or that of after.

    Args:
        present: the selection that is on at first.

    Attributes:
        now: the selection that is on, what is before it and what is after it; to be set to what it was, if to anything.
    """

    def __init__(self, present: Selection) -> None:
        self.now = present, _Steps(), _Steps()
        # of the arrays that were packed last; most of them will be there again
        self._packed: dict[int, tuple[weakref.ref[Bools], _Role]] = {}

    @property
    def present(self) -> Selection:
        """The selection that is on."""
        return self.now[0]

    @property
    def _past(self) -> _Steps:
        return self.now[1]

    @property
    def _future(self) -> _Steps:
        return self.now[2]

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
            self.now = selection, self._past.pushed(self._pack(self.present.parts)), _Steps()

    def undo(self) -> Selection:
        """One step back, where there is one; the selection that is on then."""
        if self._past:
            here, there = self._moved(self._past.top)
            self.now = there, self._past.popped(), self._future.pushed(here)
        return self.present

    def redo(self) -> Selection:
        """One step forth, where there is one; the selection that is on then."""
        if self._future:
            here, there = self._moved(self._future.top)
            self.now = there, self._past.pushed(here), self._future.popped()
        return self.present

    def _moved(self, step: _Step) -> tuple[_Step, Selection]:
        """The step that leads back here, and the selection of a step."""
        here = self._pack(self.present.parts)
        known = {role.bits: self.present.parts[key] for key, role in here.items()}
        parts = {key: _reused(role, known) for key, role in step.items()}
        there = Selection._new(self.present.anatomy, parts)
        self._packed = {id(bits): (weakref.ref(bits), step[key]) for key, bits in there.parts.items()}
        return here, there

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
