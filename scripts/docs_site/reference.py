"""The reference: a page for each part of the public interface, from its docstrings, with what its functions return.

What is public is what `headgrid.__all__` names. Beside it stand the objects that one gets from it, found by following
the annotations of functions, methods and attributes, so that none is forgotten.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import headgrid

PAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "widget": ("The widget", ("headgrid.widget",)),
    "selections": ("Selections and anatomies", ("headgrid.selection", "headgrid.anatomy", "headgrid.models")),
    "activations": ("Activations", ("headgrid.hooks",)),
    "weights": ("Weights and circuits", ("headgrid.weights", "headgrid.circuits", "headgrid.linalg")),
    "experiments": ("Experiments on inputs", ("headgrid.experiments",)),
    "plots": ("Figures", ("headgrid.plots",)),
    "demo": ("The shipped model", ("headgrid.demo",)),
}
"""Each page's name, its title, and the packages whose names stand on it. Any other package gets a page of its own."""


NOT_ANNOTATED = ("LayerWeights", "Saved")
"""Classes that one gets without an annotation that says so: `weights.W_Q`, and a trait, `grid.saved`."""


NOT_FOR_USERS: Mapping[str, str] = {
    "Cache": "begin, keep, find, places",
    "HeadGrid": "set_state, close, ask, open",
    "Saved": "state, put, drop, tint, take_over, wire",
}
"""Methods that other modules of headgrid call."""


@functools.cache
def classes() -> dict[str, type]:
    """All classes of headgrid by name; no two have the same (`tests/test_layers.py`)."""
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(headgrid.__path__, "headgrid."):
        for name, value in vars(importlib.import_module(module.name)).items():
            wire = value.__module__.startswith("headgrid.widget.wire") if inspect.isclass(value) else True
            if not wire and value.__module__.startswith("headgrid"):
                found.setdefault(name, value)
    return found


def public() -> Iterator[Any]:
    """The functions and classes that users call."""
    for module in _modules():
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isclass(value) or inspect.isroutine(value):
                yield value
            elif type(value).__module__.startswith("headgrid."):
                yield type(value)  # an object of headgrid, such as the library, has what its class has


@functools.cache
def _modules() -> list[Any]:
    """headgrid, the modules that it names, and the two that its functions are named like or stand beside."""
    named = [value for name in headgrid.__all__ if inspect.ismodule(value := getattr(headgrid, name))]
    others = [importlib.import_module(f"headgrid.{name}") for name in ("experiments", "demo")]
    return [headgrid, *dict.fromkeys(named + others)]


def documented() -> list[Any]:
    """What is public, and every class of headgrid that one gets from it."""
    found: dict[Any, None] = {}
    todo = [*public(), *(classes()[name] for name in NOT_ANNOTATED)]
    while todo:
        value = todo.pop(0)
        if value in found:
            continue
        found[value] = None
        words = {word for annotation in _annotations(value) for word in re.findall(r"\w+", annotation)}
        todo += [classes()[word] for word in sorted(words & classes().keys()) if not word.startswith("_")]
    return list(found)


def _annotations(value: Any) -> Iterator[str]:
    """What a function returns, or the methods and attributes of a class."""
    if not inspect.isclass(value):
        yield str(getattr(inspect.unwrap(value), "__annotations__", {}).get("return", ""))
        return
    for base in value.__mro__:
        if not base.__module__.startswith("headgrid"):
            continue
        for name, kind in inspect.get_annotations(base).items():
            if not name.startswith("_"):
                yield str(kind)
        for name, member in vars(base).items():
            inner = (
                getattr(member, "fget", None) or getattr(member, "func", None) or getattr(member, "__func__", member)
            )
            if not name.startswith("_") and callable(inner):
                yield str(getattr(inspect.unwrap(inner), "__annotations__", {}).get("return", ""))


def page_of(value: Any) -> str:
    """The name of the page on which something stands."""
    for name, (_, packages) in PAGES.items():
        if any(value.__module__ == package or value.__module__.startswith(f"{package}.") for package in packages):
            return name
    return str(value.__module__.split(".")[1])


def write(folder: Path) -> None:
    """Writes a page for each part, and one that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, list[Any]] = {name: [] for name in PAGES}
    for value in documented():
        pages.setdefault(page_of(value), []).append(value)
    titles = {name: PAGES[name][0] if name in PAGES else name.capitalize() for name in pages}
    for name, values in pages.items():
        _write(folder / f"{name}.rst", _page(titles[name], values))
    contents = "\n".join(f"   {name}" for name in pages)
    _write(folder / "index.rst", f"Reference\n=========\n\n{ABOUT}\n\n.. toctree::\n   :maxdepth: 1\n\n{contents}\n")


ABOUT = """What ``import headgrid as hg`` gives, and the objects that one gets from it, from their docstrings.

Wherever a selection is asked for, it can be given as text, as a
:py:class:`~headgrid.selection.selection.Selection`, as arrays or as pairs."""


def _page(title: str, values: list[Any]) -> str:
    text = f"{title}\n{'=' * len(title)}\n"
    for name, value in sorted(((_name(value), value) for value in values), key=lambda found: "." not in found[0]):
        text += f"\n{name}\n{'-' * len(name)}\n\n{_directive(value)}"
    return text


def _name(value: Any) -> str:
    """How users write it, or the bare name of what they do not write."""
    for module in _modules():
        if value.__name__ in module.__all__ and getattr(module, value.__name__) is value:
            return f"hg.{module.__name__}.{value.__name__}".replace("hg.headgrid.", "hg.")
    return str(value.__name__)


def _directive(value: Any) -> str:
    where = f"{value.__module__}.{value.__qualname__}"
    if inspect.isclass(value):
        names = NOT_FOR_USERS.get(value.__name__)
        excluded = f"   :exclude-members: {names}\n" if names else ""
        return f".. autoclass:: {where}\n   :members:\n   :inherited-members: {_outside(value)}\n{excluded}"
    return f".. autofunction:: {where}\n"


def _outside(value: type) -> str:
    """The bases that are not headgrid's: their members are in the pages of others."""
    return ", ".join(sorted({base.__name__ for base in value.__mro__ if not base.__module__.startswith("headgrid")}))


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
