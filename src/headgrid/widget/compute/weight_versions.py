"""Whether weights are still what they were when something was computed from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headgrid.anatomy.anatomy import Stack
from headgrid.anatomy.roles import NORMS, OUTSIDE_LAYERS, role_of
from headgrid.selection.words import LAYER_WORDS
from headgrid.utils.offloaded import offloaded
from headgrid.weights import Weights
from headgrid.widget.state.cell_index import Component

Seen = dict[tuple[str, str, int | None], tuple[object, ...]]
"""Stack, role and layer -> version."""


def _owners(block: str, other: str = "") -> frozenset[str]:
    """Those of a block, but for its cells of another kind, and those of norms and of what is around the layers."""
    apart = LAYER_WORDS[other].owners if other else ()
    return frozenset(LAYER_WORDS[block].owners).difference(apart).union(NORMS, OUTSIDE_LAYERS)


OWNERS = {"head": _owners("attn"), "mlp": _owners("mlp", "e"), "expert": _owners("mlp", "mlp n")}
"""Kind of a cell -> the owners of the weights that what is said of it depends on."""


class WeightVersions:
    """The versions of the weights of one model, as they were when they were last read."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._seen: Seen = {}
        self._parameters: dict[tuple[str, str, int], frozenset[str]] = {}

    def of(self, stack: str) -> Weights:
        """The weights of one stack of the model."""
        return self._weights.at(stack)

    def snapshot(
        self, stack: str, components: Iterable[Component] | None, check: Callable[[], object] = lambda: None
    ) -> Seen:
        """The versions of all weights that some components depend on, each read once.

        Args:
            stack: their stack.
            components: the components; None for the whole stack.
            check: called between any two weights, and may raise.
        """
        each: Iterable[Component | None] = (None,)
        if components is not None:  # the heads of a layer depend on the same weights
            each = {(component.kind, component.layer): component for component in components}.values()
        found: Seen = {}
        for one in self._stacks(stack):
            for role, layer in {at for component in each for at in _read_by(one, component)}:
                check()
                found[one.name, role, layer] = self.of(one.name).version(role, layer)
        return found

    @property
    def readable(self) -> bool:
        """Whether any weights of the model hold numbers: those on the meta device are shapes alone."""
        source = self._weights.source
        return not source.runs or any(not parameter.is_meta for parameter in source.model.parameters())

    @property
    def elsewhere(self) -> bool:
        """Whether weights are offloaded: brought for each call of the model, and not here between calls."""
        return self._weights.source.runs and offloaded(self._weights.model) is not None

    def holds(self, component: Component) -> bool:
        """Whether the weights that a component depends on hold numbers, all of them."""
        source = self._weights.source
        try:
            return not any(source.why_not(name) for name in self._names(component))
        except AttributeError:  # parameters are gone: whoever reads them will say so
            return True

    def _names(self, component: Component) -> frozenset[str]:
        """The parameters that a component depends on."""
        at = component.kind, component.stack, component.layer
        if at not in self._parameters:
            slots = {one: one.places for one in self._stacks(component.stack)}
            found = (slot for one in slots for key in _read_by(one, component) for slot in slots[one].get(key, ()))
            self._parameters[at] = frozenset(slot.parameter for slot in found)
        return self._parameters[at]

    def _stacks(self, stack: str) -> list[Stack]:
        """A stack and those that all share, each once."""
        weights = self.of(stack)
        return list(dict.fromkeys([weights.stack, *(one for one in weights.anatomy.stacks if not one.n_layers)]))

    def changed(self, now: Seen) -> bool:
        """Whether any of it is not what it was."""
        return any(self._seen.get(at, version) != version for at, version in now.items())

    def keep(self, now: Seen) -> None:
        """Compare with this from now on. After a change, whatever was seen before counts as never seen."""
        self._seen = now if self.changed(now) else self._seen | now


def _read_by(stack: Stack, component: Component | None) -> set[tuple[str, int | None]]:
    """Roles and layers of the weights that a component depends on; what is tied is read as the role that owns it."""
    if component is None:
        return {(slot.role, slot.layer) for slot in stack.slots}
    owners, layers = OWNERS[component.kind], (None, component.layer)
    slots = [slot for slot in stack.slots if slot.layer in layers and role_of(slot.role).owner in owners]
    return {(slot.role, slot.layer) for slot in slots}
