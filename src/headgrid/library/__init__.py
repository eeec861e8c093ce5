"""The library of circuits: published circuits as selections with roles, ready to open, compare and measure again.

    hg.library.names()                                    # "ioi", "greater-than", ...
    circuit = hg.library["ioi"]                           # roles, edges, citation, what other sources say
    circuit.open(GPT2Config())                            # a grid; a config is enough
    circuit.diff(grid.selection)                          # yours beside each role, and beside chance
    circuit.retest(model, tokenizer)                      # faithfulness and effects, with controls
    hg.library.matching(model)                            # the circuits that are of a model's shape

Entries are facts and indices: which head of which model does what, and where that was published. `entries` has them by
model. A circuit of your own is a `PublishedCircuit` too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

from headgrid.library.diff import CircuitDiff, RoleDiff
from headgrid.library.facts import CircuitCitation, CircuitPrompt, CircuitRole, ModelShape
from headgrid.library.published import PublishedCircuit
from headgrid.library.remeasured import CircuitRetest
from headgrid.models import dissect
from headgrid.utils.arguments import shown, text

__all__ = [
    "CircuitCitation",
    "CircuitDiff",
    "CircuitLibrary",
    "CircuitPrompt",
    "CircuitRetest",
    "CircuitRole",
    "ModelShape",
    "PublishedCircuit",
    "RoleDiff",
    "library",
]


class CircuitLibrary(Mapping[str, PublishedCircuit]):
    """Published circuits by name: a mapping that does not change.

    Example:
        >>> headgrid.library["demo-induction"].roles["induction"].selection
        'l1h2'
    """

    @cached_property
    def _entries(self) -> dict[str, PublishedCircuit]:
        from headgrid.library.entries import ENTRIES  # not before somebody asks

        return {one.name: one for one in ENTRIES}

    def __getitem__(self, name: str) -> PublishedCircuit:
        found = self._entries.get(name) if isinstance(name, str) else None
        if found is None:
            raise KeyError(f"there is no circuit {shown(name)} in the library; there are {', '.join(self._entries)}")
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> list[str]:
        """The names of all circuits."""
        return list(self._entries)

    def search(self, word: str) -> list[PublishedCircuit]:
        """The circuits in whose name, title, models, roles or citation a word stands, in upper or lower case.

        Raises:
            TypeError: when it is no text.
        """
        word = text("word", word).casefold()
        return [one for one in self._entries.values() if word in repr(one).casefold()]

    def matching(self, model: Any) -> list[PublishedCircuit]:
        """The circuits of a model's shape; [] where there is none.

        A shape is no proof of weights: see `ModelShape`.

        Args:
            model: a model, a config or an anatomy, whatever `headgrid.dissect` takes.
        """
        anatomy = dissect(model)
        return [one for one in self._entries.values() if not one.shape.difference(anatomy)]

    def __repr__(self) -> str:
        wide = max(map(len, self._entries))
        return "\n".join(f"{name:<{wide}}  {one.title}, in {one.models[0]}" for name, one in self._entries.items())


library = CircuitLibrary()
