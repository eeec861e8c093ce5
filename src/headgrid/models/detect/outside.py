"""The parameters that belong to no layer: embeddings, final norms, unembeddings, and which stack each is part of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headgrid.models.binding import NamedShapes
from headgrid.models.detect.evidence import TensorShape
from headgrid.models.detect.lexicon import read_outside
from headgrid.models.family import Family, Line


@dataclass
class LayerList:
    """A list of layers, found among the names of a model's parameters.

    Attributes:
        path: the list's own.
        stack: the name of its stack.
        config: the attribute of the config that describes it, "" for the config itself.
        said: that config.
        shapes: layer -> path in it -> shape.
        outside: path -> role, of what belongs to this stack and to no layer.
        cross: the lines of its attention to the encoder.
    """

    path: str
    stack: str
    config: str
    said: Any
    shapes: dict[int, dict[str, TensorShape]]
    outside: dict[str, str] = field(default_factory=dict)
    cross: tuple[Line, ...] = ()

    @property
    def body(self) -> str:
        """The module that holds the list and what belongs to it: as far as all of their paths agree."""
        steps = self.path.split(".")[:-1]
        for path, role in self.outside.items():
            if role in ("W_E", "W_pos", "ln_final"):
                steps = common_steps([*path.split("."), ""], steps)
        return ".".join(steps)


@dataclass
class Detected:
    """A guess at a model's rows, made of its names and shapes, with what is left over.

    Attributes:
        rows: a row for each stack.
        strangers: parameter -> why no row places it.
        faults: what is wrong besides.
    """

    rows: list[Family] = field(default_factory=list)
    strangers: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def common_steps(one: list[str], two: list[str]) -> list[str]:
    """The steps that two paths begin with."""
    same = 0
    while same < min(len(one), len(two)) and one[same] == two[same]:
        same += 1
    return two[:same]


def place_outside(stacks: list[LayerList], others: list[str], named: NamedShapes, found: Detected) -> dict[str, str]:
    """Give each parameter outside of the layers its role and its stack; returns those that all stacks share."""
    roles: dict[str, str] = {}
    for path in others:
        role = read_outside(path)
        if role is None:
            if path in named.shapes:
                found.strangers[path] = "its name is not one of those that are known"
            continue
        roles[path] = role
    _settle(roles, named)
    shared: dict[str, str] = {}
    for path, role in roles.items():
        owner = _owner(path, role, stacks)
        (owner.outside if owner else shared)[path] = role
    if stacks[-1].stack == "decoder" and "W_E" not in shared.values():
        # with no embedding of all stacks, the unembedding is the decoder's
        for path in [path for path, role in shared.items() if role in ("W_U", "b_U")]:
            stacks[-1].outside[path] = shared.pop(path)
    return shared


def _settle(roles: dict[str, str], named: NamedShapes) -> None:
    """Where one name depends on what else there is."""
    for path, role in list(roles.items()):
        parent = path.rsplit(".", 2)[0]
        if role == "ln_final" and any(other.startswith(f"{parent}.rel_embeddings") for other in roles):
            roles[path] = "pos.other"  # it normalizes the table of relative positions (DeBERTa-v2)
        if role == "decoder bias":
            beside = path.replace(".decoder.bias", ".bias")
            roles[path] = "b_U"
            if beside in named.shapes and path in named.shapes:
                roles[beside] = "top"  # untied, the bias beside the unembedding's own is read by nothing


def _owner(path: str, role: str, stacks: list[LayerList]) -> LayerList | None:
    """The stack whose list of layers a path has most in common with; None for what several could have."""
    if len(stacks) == 1:
        return stacks[0]
    near = [(len(common_steps(path.split("."), stack.path.split("."))), stack) for stack in stacks]
    best = max(common for common, _ in near)
    closest = [stack for common, stack in near if common == best]
    if len(closest) == 1:
        return closest[0]
    by_name = {stack.stack: stack for stack in stacks}
    if "vision" in by_name:
        return by_name["vision" if role == "stem" or "visual" in path else ""]
    return None


def outside_lines(outside: Mapping[str, str], body: str, m: int, named: NamedShapes) -> tuple[Line, ...]:
    """The lines of what belongs to no layer."""
    lines: list[Line] = []
    v = 0
    for path, role in outside.items():
        inside = path.removeprefix(f"{body}.") if body else path
        shape = named.shape(path)
        wide = "m" if m in (0, shape[-1]) else "m'"
        if role in ("stem", "top", "pos.other"):
            module, _, last = inside.rpartition(".")
            whole = role != "pos.other" and last in ("weight", "bias") and _alone(path, role, outside)
            lines.append(Line(role, f"{module}.**" if whole else inside, "..."))
        elif role in ("W_E", "W_U") and len(shape) == 2:
            v = v or shape[0]
            lines.append(Line(role, inside, f"v {wide}" if v == shape[0] else f"v' {wide}"))
        elif role == "b_U" and len(shape) == 1:
            v = v or shape[0]
            lines.append(Line(role, inside, "v" if v == shape[0] else "v'"))
        elif role == "W_pos" and len(shape) in (2, 3):
            lines.append(Line(role, inside, f"{'1 ' * (len(shape) - 2)}p {wide}"))
        elif role == "W_type" and len(shape) == 2:
            lines.append(Line(role, inside, f"t {wide}"))
        elif role in ("ln_embed", "ln_final") and len(shape) == 1:
            lines.append(Line(role + (".b" if path.endswith("bias") else ".w"), inside, wide))
    return tuple(dict.fromkeys(lines))


def _alone(path: str, role: str, outside: Mapping[str, str]) -> bool:
    """Whether everything below a parameter's module has its role."""
    below = path.rpartition(".")[0] + "."
    return all(other == role for name, other in outside.items() if name.startswith(below))


def text_of(lines: Iterable[Line]) -> str:
    """Lines as a row in `families` has them, in columns."""
    return "\n" + table((line.role, line) for line in lines) + "\n    "


def table(rows: Iterable[tuple[str, Line]]) -> str:
    """Lines in columns, each under a name."""
    found = list(rows)
    first = max((len(name) for name, _ in found), default=0)
    second = max((len(line.path) for _, line in found), default=0)
    return "\n".join(f"        {name:{first}}  {line.path:{second}}  {line.axes}" for name, line in found)
