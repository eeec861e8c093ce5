"""Whether weights are still what they were when something was computed from them."""

from __future__ import annotations

from headgrid.anatomy import Stack
from headgrid.roles import ENDS, NORMS, role_of
from headgrid.weights import Weights
from headgrid.widget.places import Place

Seen = dict[tuple[str, str, int | None], tuple[object, ...]]
"""Stack, role and layer -> stamp."""

OWNERS = {
    "head": ("q", "k", "v", "o", "attn rest", *NORMS, *ENDS),
    "mlp": ("neuron", "mlp rest", *NORMS, *ENDS),
    "expert": ("expert", "mlp rest", *NORMS, *ENDS),
}
"""Kind of a cell -> the owners of the weights that what is said of it depends on."""


class Stamps:
    """The stamps of the weights of one model that were looked at."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._seen: Seen = {}

    def of(self, stack: str) -> Weights:
        """The weights of one stack of the model."""
        return self._weights.at(stack)

    def look(self, stack: str, place: Place | None) -> Seen:
        """What there is now of all that a place depends on, or a whole stack for None."""
        weights = self.of(stack)
        stacks = [weights.stack, *(one for one in weights.anatomy.stacks if not one.n_layers)]
        return {
            (one.name, role, layer): self.of(one.name).stamp(role, layer)
            for one in dict.fromkeys(stacks)
            for role, layer in _read_by(one, place)
        }

    def changed(self, now: Seen) -> bool:
        """Whether any of it is not what it was. After a change, whatever was seen before counts as never seen."""
        changed = any(self._seen.get(at, stamp) != stamp for at, stamp in now.items())
        self._seen = now if changed else self._seen | now
        return changed


def _read_by(stack: Stack, place: Place | None) -> set[tuple[str, int | None]]:
    """Roles and layers of the weights that a place depends on; what is tied is read as the role that owns it."""
    if place is None:
        return {(slot.role, slot.layer) for slot in stack.slots}
    owners, layers = OWNERS[place.kind], (None, place.layer)
    slots = [slot for slot in stack.slots if slot.layer in layers and role_of(slot.role).owner in owners]
    return {(slot.role, slot.layer) for slot in slots}
