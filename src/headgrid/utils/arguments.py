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
import os
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., object])
S = TypeVar("S", bound=str)
Floats = npt.NDArray[np.float64]

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
        return f"a {printable(type(value).__name__)}"
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
    return "".join(map(_printable, text))


def printable_lines(text: str) -> str:
    """The same of a text of several lines, which stay lines."""
    return "\n".join(map(printable, text.split("\n")))


def _printable(letter: str) -> str:
    if letter.isprintable():
        return letter
    if letter.isspace():
        return " "
    half = "\ud800" <= letter <= "\udfff"  # of a character, which no message can carry
    return "\N{REPLACEMENT CHARACTER}" if half else letter.encode("unicode_escape").decode()


def brief(fault: BaseException) -> str:
    """What an exception says, as the end of a sentence: one line, short, without control characters."""
    lines = [line.strip() for line in str(fault).splitlines() if line.strip()]
    said = next((line for line in lines if not line.endswith(":")), "")  # a heading alone says nothing
    text = printable(said)
    if not text or isinstance(fault, LookupError):
        text = f"{type(fault).__name__} {text}".strip()
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def readable(message: str, *, first: int = 200, most: int = 4000) -> str:
    """A message whose first line is its reason: short, bounded, and without control characters.

    Args:
        message: what is to be said, the reason first.
        first: the most characters of the first line; a longer one is broken where a sentence or a part of one ends.
        most: the most characters of all.
    """
    message = printable_lines(message)
    reason, _, rest = message.partition("\n")
    if len(reason) > first:
        ends = (reason.rfind(mark, first // 5, first) + len(mark.rstrip()) for mark in (". ", "; ", ": ", ", ", " "))
        at = next((end for end in ends if end > first // 5), first)
        message = "\n".join(filter(None, [reason[:at], reason[at:].lstrip(), rest]))
    more = f"\n... and {len(message) - most:,} characters more"
    return message if len(message) <= most else message[:most] + more


def flag(name: str, value: Any) -> bool:
    """True or False, and nothing that merely counts as one of them."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise TypeError(f"{name} is True or False, not {shown(value)}")


def is_truth(value: Any) -> bool:
    """Whether it is True or False, of Python, numpy or torch."""
    return isinstance(_scalar(value), bool)


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
        raise ValueError(f"{name} is {what or 'a whole number'}{_range(least, below)}, not {shown(found)}")
    return found


def number(name: str, value: Any, *, least: float | None = None, what: str = "", finite: bool = True) -> float:
    """A real number, of Python, numpy or torch; `finite`: neither infinite nor NaN, which is never allowed."""
    found = _scalar(value)
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise TypeError(f"{name} is {what or 'a number'}, not {shown(value)}")
    found = _float(found)
    if math.isnan(found) or (finite and math.isinf(found)) or (least is not None and found < least):
        kind = what or ("a finite number" if finite else "a number")
        raise ValueError(f"{name} is {kind}{_range(least, None)}, not {shown(value)}")
    return found


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
    raise (ValueError if isinstance(value, str) else TypeError)(f"{name} is {_words(allowed)}, not {shown(value)}")


def items(name: str, value: Any, what: str, *, empty: bool = False) -> list[Any]:
    """What a list, a tuple, a set or an iterator holds; a text or a dictionary is none of these.

    An iterator that gives nothing is refused even where there may be nothing (`empty`): most likely somebody has gone
    through it already.
    """
    if isinstance(value, str | bytes | bytearray | Mapping | type) or not isinstance(value, Iterable):
        raise TypeError(f"{name} is {what}, not {shown(value)}")
    if isinstance(value, torch.Tensor | np.ndarray) and not value.ndim:
        raise TypeError(f"{name} is {what}, not {shown(value)}")
    found = list(value)
    if not found and isinstance(value, Iterator):
        raise ValueError(f"{name} is {what}; this {type(value).__name__} gives nothing: it may be used up")
    if not found and not empty:
        raise ValueError(f"{name} is empty: it is {what}")
    return found


def some_of(name: str, value: Any, allowed: Sequence[S]) -> tuple[S, ...]:
    """One or more of a few words, given as a list, or one of them alone; in the order given, none twice."""
    given = [value] if isinstance(value, str) else items(name, value, f"a list of some of {_words(allowed, ', ')}")
    return tuple(dict.fromkeys(one_of(f"each of {name}", one, allowed) for one in given))


def of_kind(name: str, value: Any, kind: type[T] | tuple[type[T], ...], what: str) -> T:
    """An object of a class; `what` says which, and how one is had: `"a Scan, as headgrid.scan makes it"`."""
    if isinstance(value, kind) and not isinstance(value, type):
        return value
    raise TypeError(f"{name} is {what}, not {shown(value)}")


def model(value: Any, name: str = "model") -> torch.nn.Module:
    """A model with weights or on the meta device: a module of torch."""
    wanted = "a model of transformers or TransformerLens, a torch.nn.Module"
    if isinstance(value, str | os.PathLike):
        raise TypeError(
            f"{name} is {wanted}, not {shown(os.fspath(value))}: of a path there is nothing to run\n"
            "Load the model first, with from_pretrained"
        )
    return of_kind(name, value, torch.nn.Module, wanted)


def function(name: str, value: F | None, what: str) -> F | None:
    """A function, or None; `what` says what it is called with."""
    if value is None or callable(value):
        return value
    raise TypeError(f"{name} is {what}, or None, not {shown(value)}")


def progress(value: Any) -> bool | Callable[..., object]:
    """Who is told how far long work is: True for a bar, False or None for nobody, or a function."""
    if value is None or isinstance(value, bool | np.bool_):
        return bool(value)
    if callable(value):
        return cast(Callable[..., object], value)
    raise TypeError(f"progress is True, False or a function of what is done and the total, not {shown(value)}")


def dtype(name: str, value: Any) -> torch.dtype:
    """A dtype of real numbers, as torch has them."""
    if isinstance(value, torch.dtype):
        if value.is_floating_point and value.itemsize > 1:
            return value
        raise ValueError(f"{name} is a dtype of floating-point numbers, such as torch.float32, not {value}")
    raise TypeError(f"{name} is a dtype such as torch.float32, not {shown(value)}")


def device(name: str, value: Any) -> torch.device:
    """A device that torch has here."""
    if not isinstance(value, str | torch.device):
        raise TypeError(f"{name} is a device such as 'cpu' or torch.device('cuda', 0), not {shown(value)}")
    try:
        found = torch.device(value)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, ImportError, NotImplementedError, UnicodeError) as fault:
        raise ValueError(f"{name} is a device that torch can use here, such as 'cpu', not {shown(value)}") from fault
    return found


def real_numbers(name: str, value: Any, what: str) -> Floats:
    """Real numbers in an array, a tensor, nested lists or alone, as float64; masked entries and None are NaN.

    Args:
        name: what the argument is called.
        value: what was given.
        what: what it is, for the sentence: `"numbers [n_layers, n_heads]"`.
    """
    if isinstance(value, torch.Tensor):
        if value.is_meta:
            raise ValueError(
                f"{name} should be {what}, not a tensor on the meta device, which holds none: give its values"
            )
        value = value.detach().cpu().resolve_conj().resolve_neg()
        value = (value.to(torch.float64) if value.is_floating_point() else value).numpy()
    if isinstance(value, np.ma.MaskedArray) and value.dtype.kind in "biuf":
        value = np.ma.filled(value.astype(np.float64), np.nan)
    try:
        found = np.asarray(value)
    except Exception as fault:  # rows of several lengths, and whatever an object's own conversion raises
        raise ValueError(f"{name} should be {what}, all rows of one length, not {shown(value)}") from fault
    if (
        found.dtype.kind == "O"
        and value is not None
        and all(one is None or _scalar(one) is not None for one in found.flat)
    ):
        known = [_float(math.nan if one is None else _scalar(one) or 0) for one in found.flat]
        found = np.array(known).reshape(found.shape)
    if found.dtype.kind not in "biuf":
        raise TypeError(f"{name} should be {what}, not {shown(value)}")
    return found.astype(np.float64)


def _words(allowed: Sequence[str], last: str = " or ") -> str:
    """The words that are allowed, in a sentence."""
    words = [repr(word) for word in allowed]
    return ", ".join(words[:-1]) + (last if len(words) > 1 else "") + words[-1]


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


def _float(value: float) -> float:
    """A number as a float; a whole number beyond all floats is infinite."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _range(least: float | None, below: int | None) -> str:
    if least is not None and below is not None:
        return f" from {least} to {below - 1}" if below > least else f", and there is none from {least} up"
    if least is not None:
        return f" of at least {least}"
    return f" below {below}" if below is not None else ""
