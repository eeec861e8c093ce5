"""The report on a guess: the row that one would write, and why a model was refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields, replace
from typing import Any

from headgrid.models.binding import NamedShapes
from headgrid.models.detect.outside import Detected, table, text_of
from headgrid.models.family import Family


def written(rows: Family | Sequence[Family]) -> str:
    """Rows as Python: an expression that makes them again, the first with the others as its `others`."""
    first, *others = [rows] if isinstance(rows, Family) else list(rows)
    return _written(first, [*first.others, *others], "")


def _written(row: Family, others: Sequence[Family], indent: str) -> str:
    settings = []
    for one in fields(Family):
        value = getattr(row, one.name)
        default = one.default_factory() if one.default_factory is not MISSING else one.default
        if one.name == "others":
            inner = [_written(other, (), f"{indent}        ") for other in others]
            if inner:
                between = f",\n{indent}        "
                settings.append(f"others=(\n{indent}        {between.join(inner)},\n{indent}    )")
        elif value != default:
            has_lines = one.name in ("layer", "outside")
            text = f'lines("""{text_of(value)}""")' if has_lines else repr(value).replace("'", '"')
            settings.append(f"{one.name}={text}")
    return "Family(\n" + "".join(f"{indent}    {setting},\n" for setting in settings) + f"{indent})"


SHOWN = {"matched": 16, "not": 8, "row": 40}
"""How many lines of each part of a refusal are shown."""


def refusal(config: Any, named: NamedShapes, found: Detected, faults: Sequence[str]) -> str:
    """A message in four parts, each of a few lines: why, what matched, what did not, and the row as far as it goes."""
    model_type = str(getattr(config, "model_type", "") or "unknown")
    lines = [(row.stack, line) for row in found.rows for line in (*row.layer, *row.outside)]
    matched = table([(f"{stack}:{line.role}" if stack else line.role, line) for stack, line in lines])
    did_not = [*found.faults, *(fault.splitlines()[0] for fault in faults), *_grouped(found.strangers, named)]
    why = did_not[0] if did_not else "nothing is known of it"
    if found.strangers and why.startswith(next(iter(found.strangers))):
        why = f"nothing says what {next(iter(found.strangers))} is"
    parts = [
        f"No guess from its names and shapes holds: {why if len(why) < 76 else why[:72] + '...'}",
        f"What matched:\n{_first('matched', matched.splitlines()) or '        nothing'}",
        f"What did not:\n{_first('not', [f'        {line}' for line in did_not])}",
        "The row to write, in headgrid/models/families, as far as it is known:",
        _first("row", _row(found, model_type).splitlines()),
    ]
    return "\n".join(parts)


def _first(part: str, lines: Sequence[str]) -> str:
    more = [f"        ... and {len(lines) - SHOWN[part]} more"] if len(lines) > SHOWN[part] else []
    return "\n".join([*lines[: SHOWN[part]], *more])


def _row(found: Detected, model_type: str) -> str:
    if not found.rows:
        return f'Family(\n    model_types=("{model_type}",),\n)'
    return written([replace(found.rows[0], model_types=(model_type,)), *found.rows[1:]])


def _grouped(strangers: Mapping[str, str], named: NamedShapes) -> list[str]:
    """Parameters that differ in the number of their layer only are one line."""
    groups: dict[tuple[str, tuple[int, ...], str], list[str]] = {}
    for name, why in strangers.items():
        pattern = ".".join("*" if step.isdigit() else step for step in name.split("."))
        groups.setdefault((pattern, named.shapes[name], why), []).append(name)
    return [
        f"{names[0]}{f' and {len(names) - 1} like it' if names[1:] else ''}, shape {list(shape)}: {why}"
        for (_, shape, why), names in groups.items()
    ]
