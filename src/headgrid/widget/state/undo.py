"""The undo stack of a selection: what was selected before, to go back to and forth again.

Selections never change, so a step is a reference, and set algebra hands on the arrays of the roles that it does not
touch: beside all neurons of a 405B model, which are 20 MB of booleans, a click on a head adds 36 kB.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from headgrid.selection.selection import Selection

MOST_STEPS = 200
"""The steps that are kept; the oldest is forgotten first."""

MOST_BYTES = 256 * 2**20
"""What the arrays of the steps back may take, and those of the steps forth; one step is always kept."""

Steps = deque[Selection]


class UndoHistory:
    """A selection with its undo stack.

    Each change is one assignment of `now`: an interrupt leaves the history of before or that of after.

    Args:
        selection: the selection that is on at first.

    Attributes:
        now: the selection that is on, the steps back and the steps forth, the nearest last; never changed in place.
    """

    def __init__(self, selection: Selection) -> None:
        self.now = selection, Steps(), Steps()

    @property
    def selection(self) -> Selection:
        """The selection that is on."""
        return self.now[0]

    @property
    def undo_steps(self) -> int:
        """How many steps it can go back."""
        return len(self.now[1])

    @property
    def redo_steps(self) -> int:
        """How many steps it can go forth."""
        return len(self.now[2])

    def change(self, selection: Selection) -> None:
        """Go on to another selection: what could be done again is forgotten. An equal one changes nothing."""
        here, past, _ = self.now
        if selection is not here and selection != here:
            self.now = selection, _pushed(past, here), Steps()

    def undo(self) -> Selection:
        """Go one step back, where there is one; the selection that is on then."""
        here, past, future = self.now
        if past:
            self.now = past[-1], _popped(past), _pushed(future, here)
        return self.selection

    def redo(self) -> Selection:
        """Go one step forth, where there is one; the selection that is on then."""
        here, past, future = self.now
        if future:
            self.now = future[-1], _pushed(past, here), _popped(future)
        return self.selection


def _pushed(steps: Steps, step: Selection) -> Steps:
    found = Steps([*steps, step], maxlen=MOST_STEPS)
    while len(found) > 1 and _bytes(found) > MOST_BYTES:
        found.popleft()
    return found


def _popped(steps: Steps) -> Steps:
    found = steps.copy()
    found.pop()
    return found


def _bytes(steps: Iterable[Selection]) -> int:
    """The bytes of all arrays, of those that are shared once."""
    return sum({id(bits): bits.nbytes for step in steps for bits in step.parts.values()}.values())
