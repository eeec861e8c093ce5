"""Shapes of tensors as annotations say them, checked on what functions are given, give, and keep in dataclasses."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, is_dataclass
from typing import Any

import jaxtyping
import pytest
import torch
from jaxtyping import Shaped, jaxtyped

import headgrid

PACKAGES = ("headgrid.weights", "headgrid.linalg", "headgrid.circuits", "headgrid.hooks")


class ShapeError(AssertionError):
    """A tensor that has not the shape or the dtype that an annotation says."""


@dataclass(frozen=True)
class Annotated:
    """A function, a property or the fields of a dataclass, with the annotations that say shapes."""

    owner: Any
    attribute: str
    hints: Mapping[str, Any]

    @property
    def name(self) -> str:
        at = f"{self.owner.__module__}.{self.owner.__name__}" if isinstance(self.owner, type) else self.owner.__name__
        return f"{at}.{self.attribute}"


def says_shape(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        return True
    return any(says_shape(part) for part in typing.get_args(hint))


def hints_of(annotations: Mapping[str, Any], module: types.ModuleType) -> dict[str, Any]:
    """The annotations that say shapes; others may have names that are there for type checkers alone."""
    found = {
        name: eval(text, vars(module)) if isinstance(text, str) else text
        for name, text in annotations.items()
        if "torch.Tensor, " in str(text)
    }
    return {name: hint for name, hint in found.items() if says_shape(hint)}


def public(name: str) -> bool:
    return not name.startswith("_") or name == "__getitem__"


def modules() -> Iterator[types.ModuleType]:
    for package in map(importlib.import_module, PACKAGES):
        yield package
        for one in pkgutil.walk_packages(getattr(package, "__path__", []), f"{package.__name__}."):
            yield importlib.import_module(one.name)


def annotated() -> list[Annotated]:
    """All that says shapes in the packages that give tensors."""
    found = []
    for module in modules():
        for name, one in vars(module).items():
            if not public(name) or getattr(one, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(one):
                found.append(Annotated(module, name, hints_of(inspect.unwrap(one).__annotations__, module)))
            elif isinstance(one, type):
                if is_dataclass(one):
                    found.append(Annotated(one, "__init__", hints_of(vars(one).get("__annotations__", {}), module)))
                for attribute, member in vars(one).items():
                    function = member.fget if isinstance(member, property) else member
                    if public(attribute) and inspect.isfunction(function):
                        hints = hints_of(inspect.unwrap(function).__annotations__, module)
                        found.append(Annotated(one, attribute, hints))
    return [one for one in found if one.hints]


def check(what: str, value: Any, hint: Any) -> None:
    """Compare a value with an annotation, within containers too; sizes that have been seen by name hold."""
    kind, parts = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, type) and issubclass(hint, jaxtyping.AbstractArray):
        if not isinstance(value, hint):
            said = f"{value.dtype} {list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
            raise ShapeError(f"{what} is {said}, not {hint.__name__}")
    elif kind in (typing.Union, types.UnionType):
        if value is not None or type(None) not in parts:
            check(what, value, next(part for part in parts if part is not type(None)))
    elif kind is tuple:
        assert len(value) == len(parts), what
        for one, part in zip(value, parts, strict=True):
            check(what, one, part)
    elif kind is list:
        for one in value:
            check(what, one, parts[0])
    elif kind is dict:
        for key, one in value.items():
            check(f"{what}[{key!r}]", one, parts[1])


def checked(one: Annotated, sizes: Mapping[str, int], called: Callable[[str], None]) -> Callable[..., Any]:
    """A function that checks what it is given and gives; names in `sizes` stand for these numbers."""
    member = inspect.getattr_static(one.owner, one.attribute)
    function = member.fget if isinstance(member, property) else member

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        result = function(*args, **kwargs)
        called(one.name)
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        with jaxtyped("context"):
            for name, size in sizes.items():
                assert isinstance(torch.empty(size), Shaped[torch.Tensor, name])
            itself = next(iter(given.values()), None)
            if isinstance(one.owner, type) and is_dataclass(one.owner):
                fields = hints_of(vars(one.owner)["__annotations__"], sys.modules[one.owner.__module__])
                for name, hint in fields.items():
                    check(f"{one.name}: {name}", getattr(itself, name), hint)
            if one.attribute != "__init__":
                for name, hint in one.hints.items():
                    check(f"{one.name}: {name}", result if name == "return" else given.get(name), hint)
        return result

    return wrapped


@contextmanager
def enforced(sizes: Mapping[str, int]) -> Iterator[set[str]]:
    """Within it, everything that says shapes is checked when it is called; gives the names of what was called."""
    called: set[str] = set()
    with pytest.MonkeyPatch.context() as patch:
        for one in annotated():
            wrapped, member = checked(one, sizes, called.add), inspect.getattr_static(one.owner, one.attribute)
            if isinstance(one.owner, type):
                patch.setattr(one.owner, one.attribute, property(wrapped) if isinstance(member, property) else wrapped)
                continue
            for module in [module for name, module in sys.modules.items() if name.split(".")[0] == headgrid.__name__]:
                for name in [name for name, value in vars(module).items() if value is member]:
                    patch.setattr(module, name, wrapped)
        yield called
