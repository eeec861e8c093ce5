"""Selection: a set of parts of one anatomy. Frozen; full set algebra; prints as, and parses from, one line of text."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias, Union, cast

import numpy as np

from headgrid import masks, parts
from headgrid.anatomy import Anatomy
from headgrid.grammar import SelectionError, parse
from headgrid.parts import Parts
from headgrid.spelling import spell

if TYPE_CHECKING:
    from headgrid.masks import ParamMasks

Selectable: TypeAlias = Union[str, "Selection", tuple[int, int], Iterable["str | Selection | tuple[int, int]"]]


class Selection:
    """A set of parts of one model, made with `anatomy.select("l1h2 | l0 mlp")`.

    `|`, `&`, `-` and `^` with another selection or a text, `~`, `<=`, `==` and `in` are those of sets. A selection is
    false when it is empty, never changes, and can be a key of a dictionary.

    Attributes:
        anatomy: the model that it is of.
        parts: role -> which of its parts, a read-only boolean array `[n_layers, n_parts]`; absent where none is.
    """

    __slots__ = ("__dict__", "anatomy", "parts")
    anatomy: Anatomy
    parts: Parts

    def __init__(self, anatomy: Anatomy, chosen: Parts) -> None:
        for bits in chosen.values():
            bits.flags.writeable = False
        object.__setattr__(self, "anatomy", anatomy)
        object.__setattr__(self, "parts", chosen)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Selection does not change; make a new one with |, &, - or anatomy.select(...)")

    @classmethod
    def of(cls, anatomy: Anatomy, what: Selectable) -> Selection:
        """What `Anatomy.select` returns; see there."""
        if isinstance(what, Selection):
            return what._of(anatomy)
        if isinstance(what, str):
            return cls(anatomy, parse(anatomy, what))
        if isinstance(what, tuple) and len(what) == 2 and all(isinstance(one, int | np.integer) for one in what):
            return cls(anatomy, parse(anatomy, f"l{what[0]}h{what[1]}"))
        if isinstance(what, Iterable):
            found: Parts = {}
            for one in what:
                found = parts.union(found, cls.of(anatomy, cast(Selectable, one)).parts)
            return cls(anatomy, found)
        raise TypeError(
            f"select takes a text such as 'l1h2 | l0 mlp', a (layer, head) pair, a selection, or a list of these, "
            f"not {type(what).__name__}"
        )

    def _of(self, anatomy: Anatomy) -> Selection:
        if self.anatomy != anatomy:
            raise ValueError(
                f"this selection is of {self.anatomy.title}, which is another model than {anatomy.title}. "
                f"To carry its words over, write anatomy.select(str(selection))"
            )
        return self

    def _other(self, other: object) -> Parts | None:
        """The parts of the other side of an operator, or None where it is nothing that can be selected."""
        if isinstance(other, str):
            return parse(self.anatomy, other)
        return other._of(self.anatomy).parts if isinstance(other, Selection) else None

    def __or__(self, other: str | Selection) -> Selection:
        found = self._other(other)
        return NotImplemented if found is None else Selection(self.anatomy, parts.union(self.parts, found))

    def __and__(self, other: str | Selection) -> Selection:
        found = self._other(other)
        return NotImplemented if found is None else Selection(self.anatomy, parts.intersection(self.parts, found))

    def __sub__(self, other: str | Selection) -> Selection:
        found = self._other(other)
        return NotImplemented if found is None else Selection(self.anatomy, parts.difference(self.parts, found))

    def __xor__(self, other: str | Selection) -> Selection:
        return (self - other) | (self.anatomy.select(other) - self)

    def __invert__(self) -> Selection:
        return Selection(self.anatomy, parts.difference(parts.everything(self.anatomy), self.parts))

    def __le__(self, other: str | Selection) -> bool:
        return not self - other

    def __contains__(self, other: str | Selection) -> bool:
        return self.anatomy.select(other) <= self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Selection):
            return NotImplemented
        return self.anatomy == other.anatomy and parts.equal(self.parts, other.parts)

    def __hash__(self) -> int:
        return hash((self.anatomy, frozenset((role, bits.tobytes()) for role, bits in self.parts.items())))

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Selection({self._text!r})"

    @cached_property
    def _text(self) -> str:
        return spell(self.anatomy, self.parts)

    @cached_property
    def n_params(self) -> int:
        """The number of selected entries of all parameters."""
        return parts.n_params(self.anatomy, self.parts)

    @property
    def heads(self) -> list[tuple[int, int]]:
        """The heads that are selected whole, as (layer, head) pairs in order."""
        a = self.anatomy
        whole, _, _ = parts.look(a, self.parts, a.roles("q", "k", "v", "o"), "n")
        return [(int(layer), int(head)) for layer, head in np.argwhere(whole)]

    def masks(self) -> ParamMasks:
        """Parameter masks, as devinterp's `ParamMasks`.

        Returns:
            Parameter name -> a boolean tensor of the parameter's shape that is True at the selected entries, or None
            where every entry is selected. A parameter of which nothing is selected is absent, so an empty selection
            gives `{}`. The order is that of `named_parameters()`. A tensor is a view of a vector along one axis,
            expanded over the others: it is read-only in effect (`.clone()` it to write to it) and costs one byte per
            row or column.
        """
        return masks.masks(self.anatomy, self.parts)


__all__ = ["Selection", "SelectionError"]
