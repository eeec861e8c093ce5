"""The targets of a selection among circuits: heads, MLPs, experts, neurons, each by layer and number."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from headgrid.anatomy.anatomy import Anatomy, Bools, Stack, count_of
from headgrid.selection import parts
from headgrid.selection.selection import Selectable, Selection

PartIndex = tuple[int, int]
"""(layer, number of a head, an expert or a neuron)."""

WRITES = ("q", "o")
"""The owners that a head has for itself; keys and values may be shared."""


@dataclass(frozen=True)
class Targets:
    """The targets in one stack.

    Attributes:
        heads: the heads that are selected wholly, or, where none is, those of which a side of their own is.
        mlps: the layers whose whole MLP is selected (not, in a mixture, its experts).
        experts: the experts that are selected wholly.
        neurons: the neurons that are selected in MLPs that are not.
    """

    stack: Stack
    heads: tuple[PartIndex, ...]
    mlps: tuple[int, ...]
    experts: tuple[PartIndex, ...]
    neurons: tuple[PartIndex, ...]

    @property
    def n(self) -> int:
        """How many heads, MLPs, experts and neurons they are."""
        return len(self.heads) + len(self.mlps) + len(self.experts) + len(self.neurons)

    def __str__(self) -> str:
        kinds = (("head", self.heads), ("MLP", self.mlps), ("expert", self.experts), ("neuron", self.neurons))
        return ", ".join(count_of(len(found), noun) for noun, found in kinds if found)


def targets(anatomy: Anatomy, what: Selectable) -> Targets:
    """The targets of a selection.

    Args:
        anatomy: the model.
        what: whatever `Anatomy.select` takes.

    Raises:
        SelectionError: when it does not parse.
        ValueError: when it names parts of several stacks, or nothing that has circuits.
    """
    chosen = Selection.of(anatomy, what)
    found = [one for stack in anatomy.stacks if stack.n_layers and (one := _in_stack(stack, chosen.parts)).n]
    if len(found) == 1:
        return found[0]
    if found:
        names = " and ".join(f"{one} of {one.stack.name or 'the main stack'}" for one in found)
        raise ValueError(f"{chosen} names {names}: name parts of one stack")
    raise ValueError(f"{chosen} names no head, MLP, expert or neuron; name one, such as l0h0 or l0 mlp")


def heads_of(anatomy: Anatomy, what: Selectable | None, stack: Stack) -> tuple[PartIndex, ...]:
    """The heads of a stack that a selection names, layer by layer; all of them for None."""
    if what is None:
        there = parts.coverage(stack, {}, stack.roles("o"), "n")[2]
        return _indices(there)
    return _in_stack(stack, Selection.of(anatomy, what).parts).heads


def stack_of(anatomy: Anatomy, what: Selectable, main: Stack) -> Stack:
    """The stack whose heads a selection names; `main` where it names none.

    Raises:
        ValueError: when they are of several stacks.
    """
    chosen = Selection.of(anatomy, what)
    found = [stack for stack in anatomy.stacks if stack.n_layers and _in_stack(stack, chosen.parts).heads]
    if len(found) > 1:
        names = ", ".join(repr(stack.name) for stack in found)
        raise ValueError(f"{chosen} names heads of the stacks {names}: say which with stack=..., or name those of one")
    return found[0] if found else main


def _in_stack(stack: Stack, chosen: parts.Parts) -> Targets:
    whole, _, _ = parts.coverage(stack, chosen, stack.roles("q", "k", "v", "o"), "n")
    own = parts.coverage(stack, chosen, stack.roles(*WRITES), "n")[1]
    neurons, _, _ = parts.coverage(stack, chosen, stack.roles("neuron"), "f")
    mlps = parts.coverage(stack, chosen, stack.roles("neuron"), "")[0][:, 0]
    experts = parts.coverage(stack, chosen, stack.roles("expert"), "e")[0]
    return Targets(
        stack=stack,
        heads=_indices(whole if whole.any() else own) if stack.n_heads else (),
        mlps=tuple(np.flatnonzero(mlps).tolist()) if stack.roles("neuron") else (),
        experts=_indices(experts) if stack.roles("expert") else (),
        neurons=_indices(neurons & ~mlps[:, None]) if stack.roles("neuron") else (),
    )


def _indices(chosen: Bools) -> tuple[PartIndex, ...]:
    return tuple((int(layer), int(number)) for layer, number in np.argwhere(chosen))
