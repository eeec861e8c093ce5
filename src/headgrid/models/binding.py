"""Rows of the table bound to one model's names and shapes: every letter solved, every entry placed, or refused."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from headgrid.anatomy.anatomy import Anatomy, AnatomyError, Slot, Stack
from headgrid.anatomy.roles import ROLES, rank
from headgrid.anatomy.slots import Stored, stored_axes
from headgrid.models.family import Family, Line
from headgrid.utils.arguments import shown

Shapes = Mapping[str, tuple[int, ...]]

PER_LAYER = "fesx"
"""Letters whose sizes may differ from layer to layer; the others are solved once."""


@dataclass(frozen=True)
class NamedShapes:
    """The parameters of one model: their names, their shapes, and what the table calls them.

    Attributes:
        name: what to call the model in a sentence.
        shapes: name -> shape, in the order of `named_parameters()`.
        aliases: other name -> name in `shapes`, for tied tensors.
        known: the table's name -> the model's own, where a wrapper renamed them; every name of `shapes` and `aliases`.
        unused: names that the forward pass never reads.
    """

    name: str
    shapes: Shapes
    aliases: Mapping[str, str]
    known: Mapping[str, str]
    unused: tuple[str, ...] = ()

    def shape(self, path: str) -> tuple[int, ...]:
        """The shape of a parameter under the table's name for it."""
        own = self.known[path]
        return self.shapes[self.aliases.get(own, own)]


@dataclass(frozen=True)
class _BoundLine:
    """A line that has found its parameter; `own` are the sizes of letters that are its own, None while unknown."""

    role: str
    path: str
    axes: str
    first: int
    own: dict[str, int | None]


def bind(rows: Sequence[Family], config: Any, named: NamedShapes, family: str, **described: Any) -> Anatomy:
    """The anatomy of a model by the rows of its stacks.

    Args:
        rows: a row for each stack; one that the model does not have (the decoder of an encoder alone) is passed over.
        config: what says the numbers of heads and layers; anything with such attributes.
        named: the parameters.
        family: the family's name.
        described: further attributes of the anatomy.

    Raises:
        AnatomyError: when a parameter has a name or a shape that no row expects, or the config contradicts the shapes.
    """
    taken: set[str] = set()
    stacks, v = [], 0
    for row in rows:
        found = _stack(row, config, named, taken)
        if found is not None:
            stacks.append(found[0])
            v = max(v, found[1].get("v", 0))
    placed = {slot.parameter for stack in stacks for slot in stack.slots}
    if not any(stack.n_layers for stack in stacks):
        _no_layers(rows, named)
    unused = tuple(name for name in named.unused if name not in placed)
    if strangers := [name for name in named.shapes if name not in placed and name not in unused]:
        few = ", ".join(name[:60] for name in strangers[:2])
        more = f" and {len(strangers) - 2} more" if len(strangers) > 2 else ""
        raise AnatomyError(
            f"{named.name} has parameters that the row for {family!r} does not place: {few}{more}. "
            "Remove the modules that own them, or add a line for them to headgrid/models/families"
        )
    parameters = {name: shape for name, shape in named.shapes.items() if name not in unused}
    return Anatomy(
        name=named.name, family=family, stacks=tuple(stacks), d_vocab=v, parameters=parameters,
        aliases=dict(named.aliases), unused=unused, **described,
    )  # fmt: skip


def _stack(row: Family, config: Any, named: NamedShapes, taken: set[str]) -> tuple[Stack, dict[str, int]] | None:
    """One stack by its row, with the sizes that were solved, or None where the model does not have it."""
    said = getattr(config, row.config) if row.config else config
    prefix = _layers_prefix(row, named)
    if row.layers and prefix is None:
        return None
    slots: list[Slot] = []
    sizes: dict[str, int] = {}
    n_layers, uses = 0, 1
    if prefix is not None:
        n_layers = len({int(rest.split(".")[0]) for path in named.known if (rest := path.removeprefix(prefix)) != path})
        uses = _uses(row, said, n_layers, named)
        sizes["n"] = _number(said, row.n_heads)
        if isinstance(row.kv_heads, int):
            sizes["g"] = row.kv_heads
        else:
            sizes["g"] = _number(said, row.kv_heads) if getattr(said, row.kv_heads, None) else sizes["n"]
        for layer in range(n_layers):
            lines = [(line, (f"{prefix}{layer}.",)) for line in row.layer]
            known = {letter: size for letter, size in sizes.items() if letter not in PER_LAYER}
            found, known = _bind(lines, layer, row, named, known, taken)
            roles = {slot.role for slot in found}
            if not roles & {"W_O", "mixer"}:
                raise AnatomyError(
                    f"layer {layer} of {named.name} has no attention heads: none of its parameters is a W_O of this "
                    "family, nor a mixer"
                )
            slots += found
            sizes = {**sizes, **known}
    found, sizes = _bind([(line, _prefixes(row.body)) for line in row.outside], None, row, named, sizes, taken)
    slots += found
    if not slots:
        return None
    slots = _owned(slots, named)
    if n_layers and "h" in sizes:
        heads = f"W_O of {named.name} has {sizes['h']} rows for each of {sizes['n']} heads"
        _agree(said, row.d_head, sizes["h"], heads)
        _agree(said, row.d_model, sizes["m"], f"the weights of {named.name} have d_model {sizes['m']}")
    order = {path: i for i, path in enumerate(named.shapes)}
    widths = [slot.sizes["f"] for slot in slots if slot.role == "W_in"] or [
        slot.sizes["f"] for slot in slots if slot.role == "expert.W_in"
    ]
    stack = Stack(
        name=row.stack, n_layers=n_layers, n_heads=sizes.get("n", 0), n_kv_heads=sizes.get("g", 0),
        d_model=sizes.get("m", 0), d_head=sizes.get("h", 0), d_mlp=max(widths, default=0),
        n_experts=max((s.first + s.n_parts for s in slots if s.role == "expert.W_in"), default=0), uses=uses,
        slots=tuple(sorted((slot for slot in slots if slot.parameter in order), key=lambda s: order[s.parameter])),
        tied=tuple(slot for slot in slots if slot.parameter not in order),
    )  # fmt: skip
    return stack, sizes


def _owned(slots: list[Slot], named: NamedShapes) -> list[Slot]:
    """The slots, with a tied tensor owned by what reads it first: by the embedding, in whatever order it was named."""
    names: dict[str, set[str]] = {}
    for slot in slots:
        names.setdefault(named.aliases.get(slot.parameter, slot.parameter), set()).add(slot.parameter)
    other: dict[str, str] = {}
    for own, several in names.items():
        if len(several) == 2 and own in several:
            (alias,) = several - {own}
            by_rank = sorted((slot for slot in slots if slot.parameter in several), key=lambda slot: rank(slot.key))
            if by_rank[0].parameter == alias:
                other |= {own: alias, alias: own}
    return [replace(slot, parameter=other.get(slot.parameter, slot.parameter)) for slot in slots]


def _number(said: Any, key: str) -> int:
    """A number of heads that a config says.

    Raises:
        AnatomyError: when it says none, or none that there can be.
    """
    found = getattr(said, key, None)
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise AnatomyError(f"the {type(said).__name__} says {key} = {shown(found)}, and a model has at least 1")
    return found


def _uses(row: Family, said: Any, n_layers: int, named: NamedShapes) -> int:
    """How often each layer is run; the config must agree with the layers that there are."""
    runs = getattr(said, row.n_layers, None)
    if row.shared and runs and int(runs) % n_layers == 0:
        return int(runs) // n_layers
    _agree(said, row.n_layers, n_layers, f"{named.name} has {n_layers} {row.stack + ' ' if row.stack else ''}layers")
    return 1


def _layers_prefix(row: Family, named: NamedShapes) -> str | None:
    """The beginning that the names of all layers' parameters share: `transformer.h.`, or `h.` for the bare body."""
    if not row.layers:
        return None
    for prefix in (f"{body}{row.layers}." for body in _prefixes(row.body)):
        if any(re.match(rf"{re.escape(prefix)}\d+\.", path) for path in named.known):
            return prefix
    return None


def _no_layers(rows: Sequence[Family], named: NamedShapes) -> None:
    row = next(row for row in rows if row.layers)
    raise AnatomyError(
        f"{named.name} has no layers: no parameter begins with {row.body}.{row.layers}.0. or {row.layers}.0. "
        f"Its parameters begin with {', '.join(sorted({path.split('.')[0] for path in named.known}))}"
    )


def _prefixes(body: str) -> tuple[str, ...]:
    """Prefixes that may stand before a name in the body: all of its path, or less if the model is the body itself."""
    steps = body.split(".") if body else []
    return (*(".".join(steps[i:]) + "." for i in range(len(steps))), "")


def _agree(config: Any, key: str, measured: int, fact: str) -> None:
    said = getattr(config, key, None)
    if isinstance(said, int) and said != measured:
        raise AnatomyError(f"The config says {key} = {said}, but {fact}. Load the config that belongs to these weights")


def _bind(
    lines: Iterable[tuple[Line, tuple[str, ...]]],
    layer: int | None,
    row: Family,
    named: NamedShapes,
    known: Mapping[str, int],
    taken: set[str],
) -> tuple[list[Slot], dict[str, int]]:
    """The slots of those lines whose parameter is there, and the sizes of their letters, solved from the shapes."""
    sizes = dict(known)
    places: list[_BoundLine] = []
    count: dict[str, int] = {}
    # what a line names comes before what `**` finds
    for line, prefixes in sorted(lines, key=lambda one: one[0].path.endswith("**")):
        for prefix in prefixes:
            found = list(_find(line, prefix + line.path, named, sizes, taken, count))
            if found:
                places += found
                taken.update(place.path for place in found)
                break
    places.sort(key=lambda place: place.role != "W_O")  # its shape gives d_head, whatever the config says
    news = True
    while news:
        news = False
        for place in places:
            news |= _solve(place, named.shape(place.path), sizes)
    for place in places:
        _check(place, named.shape(place.path), sizes)
    slots = []
    for place in places:
        own = {letter: size for letter, size in place.own.items() if size is not None}
        known_here = sizes | own if own else sizes
        slots.append(Slot(place.role, layer, named.known[place.path], place.axes, known_here, place.first, row.stack))
    return slots, sizes


def _find(
    line: Line, path: str, named: NamedShapes, sizes: dict[str, int], taken: set[str], count: dict[str, int]
) -> Iterator[_BoundLine]:
    """The places of a line: one, several where it has a `*`, or none."""
    letter = ROLES[line.role].part_axis
    if ROLES[line.role].axes == "...":
        below = path.removesuffix("**")
        at = [path] if path in named.known else []
        for name in at if path == below else [name for name in named.known if name.startswith(below)]:
            if name not in taken:
                number = count[line.role] = count.get(line.role, -1) + 1
                yield _BoundLine(line.role, name, " ".join(map(str, named.shape(name))), number, {})
    elif "*" in path:
        before, after = path.split("*")
        numbered = (f"{before}{number}{after}" for number in itertools.count())
        found = list(itertools.takewhile(named.known.__contains__, numbered))
        if found and letter is not None:
            sizes.setdefault(letter, len(found))
        for number, name in enumerate(found):
            yield _BoundLine(line.role, name, line.axes, number, {letter: 1} if letter else {})
    elif path in named.known and "*/" in line.axes:
        primed = re.findall(r"(\w)'", line.axes)
        name = re.findall(r"\*/(\w+)", line.axes)[0]
        pieces = int(name) if name.isdigit() else sizes[name]
        own: dict[str, int | None] = {each: sizes[each] // pieces for each in "ng"}
        for i in range(pieces):
            first = i * (own[letter] or 0) if letter else 0
            axes = line.axes.replace(f"*/{name}", f"{i}/{pieces}").replace("'", "")
            yield _BoundLine(line.role, path, axes, first, dict(own) | dict.fromkeys(primed))
    elif path in named.known:
        primed = re.findall(r"(\w)'", line.axes)
        yield _BoundLine(line.role, path, line.axes.replace("'", ""), 0, dict.fromkeys(primed))


def _solve(place: _BoundLine, shape: tuple[int, ...], sizes: dict[str, int]) -> bool:
    """Find each letter that is the only unknown one of its stored axis; whether any was found."""
    news = False
    for axis, size in zip(stored_axes(place.axes), shape, strict=False):
        known = _known(place, sizes)
        unknown = axis.letters - known.keys()
        if len(unknown) == 1:
            letter = unknown.pop()
            with_one, with_two = (axis.size({**known, letter: n}) for n in (1, 2))
            per_unit = with_two - with_one  # the letter is in every term at most once, so a size is linear in it
            solved = max(1, (size - (with_one - per_unit)) // per_unit)
            if letter in place.own:
                place.own[letter] = solved
            else:
                sizes[letter] = solved
            news = True
    return news


def _known(place: _BoundLine, sizes: Mapping[str, int]) -> dict[str, int]:
    """The sizes that hold in one place."""
    outside = {letter: size for letter, size in sizes.items() if letter not in place.own}
    return outside | {letter: size for letter, size in place.own.items() if size is not None}


def _check(place: _BoundLine, shape: tuple[int, ...], sizes: Mapping[str, int]) -> None:
    """Whether the shape is what the axes make of the sizes.

    Raises:
        AnatomyError: naming the parameter, its shape, and what was expected.
    """
    axes, known = stored_axes(place.axes), _known(place, sizes)
    if len(axes) != len(shape):
        raise AnatomyError(_misfit(place, shape, known, "the number of axes differs"))
    for axis, size in zip(axes, shape, strict=True):
        if axis.letters - known.keys():
            raise AnatomyError(_misfit(place, shape, known, f"nothing says how large {_list(axis, known)} are"))
        if axis.size(known) != size:
            raise AnatomyError(_misfit(place, shape, known, f"an axis of {size} entries does not fit"))


def _list(axis: Stored, known: Mapping[str, int]) -> str:
    return ", ".join(sorted(axis.letters - known.keys()))


def _misfit(place: _BoundLine, shape: tuple[int, ...], sizes: Mapping[str, int], why: str) -> str:
    letters = sorted({letter for axis in stored_axes(place.axes) for letter in axis.letters if letter in sizes})
    given = ", ".join(f"{letter} = {sizes[letter]}" for letter in letters)
    return (
        f"{place.path} has the shape {list(shape)}, but {place.role} of this family is stored as {place.axes!r}\n"
        f"with {given}: {why}. The number of heads in the config may be wrong, or the weights may be quantized or "
        "sharded"
    )
