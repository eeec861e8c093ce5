"""Checks of arguments, made at the call: each returns the value in its plain kind, or says what is wrong with it.

Python calls `True` an `int` and every object true or false, and numpy and torch have scalars of their own. What a
caller most likely means is taken (a numpy integer is an integer, a tensor without axes is a number); whatever could be
taken for something else is refused: a `bool` where a number is asked for, a `1` where a `bool` is, a text where a list
is.

A wrong kind is a `TypeError`, a wrong value of the right kind a `ValueError`. The first line is the reason: what was
given, and what is allowed.
"""

from __future__ import annotations

import math
import numbers
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

T = TypeVar("T")
S = TypeVar("S", bound=str)

_LONGEST = 80
_short = reprlib.Repr()
_short.maxstring = _short.maxother = _LONGEST


def shown(value: object) -> str:
    """A value in a sentence: short, on one line, without control characters."""
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {list(value.shape)} and {str(value.dtype).removeprefix('torch.')}"
    if isinstance(value, np.ndarray):
        return f"an array of shape {list(value.shape)} and {value.dtype}"
    if isinstance(value, torch.nn.Module):
        return f"a {type(value).__name__}"
    try:
        text = _short.repr(value)
    except Exception:  # an object whose repr fails is still to be named
        text = f"<{type(value).__name__}>"
    text = printable(text)
    return text if len(text) <= 2 * _LONGEST else text[: 2 * _LONGEST - 3] + "..."


def printable(text: str) -> str:
    """A text of somebody else, such as a name in a config, on one line and safe to print.

    A terminal obeys control characters, and readers are misled by those that turn the direction of writing: each is
    written as Python would write it, `\\x1b`. Line breaks and other blanks are one blank each.
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else " " if one.isspace() else one.encode("unicode_escape").decode() for one in text
    )


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that merely counts as one of them."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} is True or False, not {shown(value)}")


def integer(name: str, value: Any, *, least: int | None = None, below: int | None = None, what: str = "") -> int:
    """A whole number, of Python, numpy or torch.

    Args:
        name: what the argument is called.
        value: what was given.
        least: the smallest number that is allowed.
        below: the smallest number that is too large.
        what: what it is a number of, for the sentence: `"a number of tokens"`.
    """
    found = _scalar(value)
    if isinstance(found, bool) or not isinstance(found, int):
        raise TypeError(f"{name} is {what or 'a whole number'}, not {shown(value)}")
    if (least is not None and found < least) or (below is not None and found >= below):
        raise ValueError(f"{name} is {what or 'a whole number'}{_range(least, below)}, not {found}")
    return found


def number(name: str, value: Any, *, least: float | None = None, what: str = "", finite: bool = True) -> float:
    """A real number, of Python, numpy or torch; `finite`: neither infinite nor NaN, which is never allowed."""
    found = _scalar(value)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError(f"{name} is {what or 'a number'}, not {shown(value)}")
    if math.isnan(found) or (finite and math.isinf(found)) or (least is not None and found < least):
        kind = what or ("a finite number" if finite else "a number")
        raise ValueError(f"{name} is {kind}{_range(least, None)}, not {found}")
    return float(found)


def text(name: str, value: Any, *, what: str = "") -> str:
    """A text."""
    if isinstance(value, str):
        return str(value)
    raise TypeError(f"{name} is {what or 'a text'}, not {shown(value)}")


def one_of(name: str, value: Any, allowed: Sequence[S]) -> S:
    """One of a few words."""
    if isinstance(value, str):
        for word in allowed:
            if value == word:
                return word
    words = [repr(word) for word in allowed]
    said = ", ".join(words[:-1]) + (" or " if len(words) > 1 else "") + words[-1]
    raise (ValueError if isinstance(value, str) else TypeError)(f"{name} is {said}, not {shown(value)}")


def some_of(name: str, value: Any, allowed: Sequence[S]) -> tuple[S, ...]:
    """One or more of a few words, given as a list; in the order given, none twice."""
    words = ", ".join(map(repr, allowed))
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is a list of some of {words}, not {shown(value)}")
    given = list(value)
    if not given:
        raise ValueError(f"{name} is empty: it is a list of some of {words}")
    return tuple(dict.fromkeys(one_of(f"each of {name}", one, allowed) for one in given))


def of_kind(name: str, value: Any, kind: type[T] | tuple[type[T], ...], what: str) -> T:
    """An object of a class; `what` says which, and how one is had: `"a Scan, as headgrid.scan makes it"`."""
    if isinstance(value, kind) and not isinstance(value, type):
        return value
    raise TypeError(f"{name} is {what}, not {shown(value)}")


def model(value: Any, name: str = "model") -> torch.nn.Module:
    """A model with weights or on the meta device: a module of torch."""
    return of_kind(name, value, torch.nn.Module, "a model of transformers or TransformerLens, a torch.nn.Module")


def _scalar(value: Any) -> bool | int | float | None:
    """The Python number that a scalar of any library is, or None where it is none."""
    if isinstance(value, torch.Tensor):
        if value.ndim or value.is_complex() or value.is_meta:
            return None
        value = value.item()
    elif isinstance(value, np.ndarray | np.generic):
        if value.ndim or value.dtype.kind not in "biuf":
            return None
        value = value.item()
    if isinstance(value, bool):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    return float(value) if isinstance(value, numbers.Real) else None


def _range(least: float | None, below: int | None) -> str:
    if least is not None and below is not None:
        return f" from {least} to {below - 1}" if below > least else f", and there is none from {least} up"
    if least is not None:
        return f" of at least {least}"
    return f" below {below}" if below is not None else ""
