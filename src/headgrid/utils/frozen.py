"""What does not change: mappings and arrays that nobody writes to, and values that pickle and copy with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import wraps
from types import MappingProxyType
from typing import Any, TypeVar, TypeVarTuple, cast

import numpy as np
import numpy.typing as npt

K = TypeVar("K")
V = TypeVar("V")
S = TypeVar("S")
A = TypeVarTuple("A")


def read_only(found: Mapping[K, V]) -> dict[K, V]:
    """A mapping that nobody can write to: a view of a dictionary of its own. It is typed as what it is read as."""
    return cast(dict[K, V], found if isinstance(found, MappingProxyType) else MappingProxyType(dict(found)))


def settled(bits: npt.NDArray[Any], ours: bool = False) -> npt.NDArray[Any]:
    """An array with these entries that stays as it is: a view of one that nobody writes to.

    Args:
        bits: the array.
        ours: whether nobody else has it, so that it need not be copied.
    """
    base = bits.base
    if not bits.flags.writeable and isinstance(base, np.ndarray) and base.base is None and not base.flags.writeable:
        return bits
    if not ours or base is not None:
        bits = np.array(bits)
    bits.flags.writeable = False
    return bits.view()


class Frozen:
    """A frozen dataclass whose mappings are read-only. It pickles by its fields, and is its own copy."""

    def __getstate__(self) -> dict[str, Any]:
        every = {one.name: getattr(self, one.name) for one in fields(cast(Any, self))}
        return {name: dict(value) if isinstance(value, MappingProxyType) else value for name, value in every.items()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, read_only(value) if isinstance(value, dict) else value)

    def __copy__(self: S) -> S:
        return self

    def __deepcopy__(self: S, _: dict[int, Any]) -> S:
        return self


def kept(read: Callable[[S, *A], V]) -> Callable[[S, *A], V]:
    """A function of a frozen value and of what names a part of it, whose results the value keeps: they go when it goes.

    A cache of the function's own would hold the last values, each as large as its model has heads, for good.
    """
    name = f"{read.__module__}.{read.__qualname__}"

    @wraps(read)
    def known(value: S, *args: *A) -> V:
        try:
            found: V = value.__dict__[name][args]
        except KeyError:
            found = value.__dict__.setdefault(name, {}).setdefault(args, read(value, *args))
        return found

    return known
