"""A teacher's page: what is in the outputs of a folder of notebooks."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from headgrid.course.report import Report
from headgrid.course.result import MIME, STATES, Result, digits
from headgrid.utils import arguments, files

MOST_BYTES = 100_000_000
"""Of a notebook that is read."""

STYLE = """
:root { color-scheme: light dark; --line: #8a939d66; --muted: #59636e }
@media (prefers-color-scheme: dark) { :root { --muted: #9aa5b1 } }
body { margin: 0 auto; max-width: 1280px; padding: 20px 16px; font: 15px/1.5 system-ui, sans-serif }
main { overflow-x: auto } table { border-collapse: collapse }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left; font-variant-numeric: tabular-nums }
caption, p { text-align: left; color: var(--muted) } h1 { font-size: 21px }
"""

FORGED = (
    "Read from the outputs that the notebooks were saved with, which can be edited. To decide, run them again "
    "(jupyter nbconvert --execute --inplace) and collect once more."
)


@dataclass(frozen=True)
class Collected:
    """The results of several students.

    Attributes:
        reports: student -> what the notebook has.
        faults: notebook -> why nothing could be read from it, or of one of its outputs.
    """

    reports: Mapping[str, Report]
    faults: Mapping[str, str] = field(default_factory=dict)

    @property
    def exercises(self) -> list[str]:
        """The names of all exercises, in the order in which they were met."""
        return list(dict.fromkeys(row.name for one in self.reports.values() for row in one.rows))

    def rows(self) -> list[dict[str, Any]]:
        """A row for each student and exercise, for a table of pandas: student, and the fields of a result."""
        return [
            {"student": student, **row.data(), "earned": row.earned}
            for student, one in self.reports.items() for row in one.rows
        ]  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{student}: {one.said}" for student, one in self.reports.items()]
        return "\n".join([*lines, *(f"{name}: {why}" for name, why in self.faults.items())])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        names = self.exercises
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("student", *names, "points"))
        body = "".join(self._row(student, one, names) for student, one in self.reports.items())
        faults = "".join(f"<li>{escape(name)}: {escape(why)}</li>" for name, why in self.faults.items())
        return (
            f"<table><caption>{escape(FORGED)}</caption><tr>{head}</tr>{body}</table>"
            f"{f'<p>Not read:</p><ul>{faults}</ul>' if faults else ''}"
        )

    @staticmethod
    def _row(student: str, one: Report, names: list[str]) -> str:
        found = {row.name: row for row in one.rows}
        cells = "".join(f"<td>{_cell(found[name])}</td>" if name in found else "<td>no result</td>" for name in names)
        return f'<tr><th scope="row">{escape(student)}</th>{cells}<td>{escape(one.said)}</td></tr>'

    def to_html(self, path: str | os.PathLike[str] | None = None) -> str | None:
        """The table as a page of its own; it asks nothing of a network.

        Args:
            path: where to write it; without, it is returned.

        Raises:
            FileNotFoundError, IsADirectoryError: when there is no such folder, or when the path is one.
        """
        page = (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1"><title>Exercises</title>'
            f"<style>{STYLE}</style></head><body><main><h1>Exercises</h1>{self._repr_html_()}</main></body></html>\n"
        )
        if path is None:
            return page
        files.write(path, page)
        return None


def collect(folder: str | os.PathLike[str]) -> Collected:
    """The results that are saved in the outputs of all notebooks of a folder, by student: for a page of results.

    Nothing is run. What `check` showed is read as it was saved, the last result of each exercise. Outputs can be
    edited by whoever hands them in: to decide, run the notebooks again and collect once more.

    Args:
        folder: where the notebooks are, in folders too. A notebook is named by its path in it: `ann/lab1`.

    Returns:
        Student -> report, with a table in HTML.

    Raises:
        FileNotFoundError: when there is no such folder, or no notebook in it.
    """
    if not isinstance(folder, str | os.PathLike) or not isinstance(os.fspath(folder), str):
        raise TypeError(f"folder is the path of a folder, as a text or a pathlib.Path, not {arguments.shown(folder)}")
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f"there is no folder {arguments.shown(str(folder))} to collect notebooks from")
    paths = sorted(path for path in root.rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts)
    if not paths:
        raise FileNotFoundError(f"there is no notebook (*.ipynb) in {arguments.shown(str(folder))}")
    reports, faults = dict[str, Report](), dict[str, str]()
    for path in paths:
        student = path.relative_to(root).with_suffix("").as_posix()
        try:
            reports[student], wrong = _read(path)
        except (OSError, ValueError, RecursionError) as fault:
            faults[student] = f"it cannot be read as a notebook: {arguments.brief(fault)}"
        else:
            if wrong:
                faults[student] = wrong
    return Collected(reports, faults)


def _read(path: Path) -> tuple[Report, str]:
    """The last result of each exercise in a notebook, and what is wrong with an output."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"it has more than {MOST_BYTES // 10**6} MB")
    found, wrong = dict[str, Result](), ""
    for data in _outputs(json.loads(path.read_text(encoding="utf-8"))):
        try:
            result = Result.of_data(data)
        except ValueError as fault:
            wrong = arguments.brief(fault)
        else:
            found[result.name] = result
    return Report(tuple(found.values())), wrong


def _outputs(notebook: Any) -> Iterator[Any]:
    """What was shown as the result of an exercise, in the order of the cells."""
    if not isinstance(notebook, dict) or not isinstance(notebook.get("cells"), list):
        raise ValueError("it has no list of cells")
    for cell in notebook["cells"]:
        outputs = cell.get("outputs") if isinstance(cell, dict) else None
        for output in outputs if isinstance(outputs, list) else ():
            data = output.get("data") if isinstance(output, dict) else None
            if isinstance(data, dict) and MIME in data:
                yield data[MIME]


def _cell(row: Result) -> str:
    sign, word = STATES[row.state]
    return (
        f'<span aria-hidden="true">{sign}</span> {word}, {digits(row.earned)} of {digits(row.points)}'
        f"<br><small>{escape(row.answer)} ({row.tries} {'try' if row.tries == 1 else 'tries'})</small>"
    )
