"""The course for teachers: `python scripts/course_files.py solutions|mistakes|otter|nbgrader FOLDER` writes its files.

solutions   the notebooks with the right answers written in
mistakes    with the first mistake that each exercise foresees; to see what students will read
otter       for each notebook a folder of it and of its tests, for `otter generate -t tests`
nbgrader    for each notebook a folder `source/NAME`, for `nbgrader generate_assignment NAME`

The answers are those of `tests/course_answers`, which the tests check. Give students the notebooks, not this folder.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat

ROOT = Path(__file__).parent.parent
ANSWERS = ROOT / "tests" / "course_answers"
ANSWER = re.compile(r"^(\w+)\.(check|predict)\((?:\.\.\.)?\)$", re.MULTILINE)
"""The line of a notebook to which an answer is written."""

FORMS = ("solutions", "mistakes", "otter", "nbgrader")

OTTER = """\
from otter.test_files import test_case

OK_FORMAT = False
name = "{name}"
points = {points:g}


@test_case()
def test_{name}({name}):
    {name}.require()
"""


def answers_of(path: Path) -> dict[str, dict[str, Any]]:
    """The answers of a notebook, by exercise."""
    return tomllib.loads((ANSWERS / f"{path.stem}.toml").read_text(encoding="utf-8"))


def exercises(notebook: Any) -> dict[str, tuple[str, float]]:
    """Variable -> the name and the points of the exercise or prediction that a notebook assigns to it."""
    found = {}
    for cell in notebook.cells:
        for node in ast.walk(ast.parse(cell.source)) if cell.cell_type == "code" else ():
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
                call, (target,) = node.value, node.targets
                if ast.unparse(call.func) in ("course.Exercise", "course.Prediction") and isinstance(target, ast.Name):
                    points = next((one.value for one in call.keywords if one.arg == "points"), ast.Constant(1))
                    found[target.id] = (ast.literal_eval(call.args[0]), float(ast.literal_eval(points)))
    return found


def filled(notebook: Any, answer: Callable[[str], str | None]) -> Any:
    """A notebook with answers written in, and without outputs.

    Args:
        notebook: it is changed.
        answer: name of an exercise -> its answer as an expression; None to leave it open.
    """
    named = exercises(notebook)

    def written(found: re.Match[str]) -> str:
        given = answer(named[found[1]][0]) if found[1] in named else None
        return found[0] if given is None else f"{found[1]}.{found[2]}({given})"

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source, cell.outputs, cell.execution_count = ANSWER.sub(written, cell.source), [], None
    return notebook


def right(answers: Mapping[str, Mapping[str, Any]]) -> Callable[[str], str | None]:
    """The right answer of each exercise."""
    return lambda name: str(answers[name]["right"])


def mistaken(answers: Mapping[str, Mapping[str, Any]]) -> Callable[[str], str | None]:
    """The first foreseen mistake of each exercise; what a prediction is, is no mistake."""
    return lambda name: str(next((one["answer"] for one in answers[name]["wrong"]), answers[name]["right"]))


def for_nbgrader(notebook: Any) -> Any:
    """A notebook with a locked cell after each answer, which gives the points.

    The cell of the answer stays an ordinary one: `generate_assignment` would empty what is marked as a solution.
    """
    named, cells = exercises(notebook), []
    for cell in notebook.cells:
        cells.append(cell)
        answered = ANSWER.search(cell.source) if cell.cell_type == "code" else None
        if answered and answered[1] in named:
            variable, points = answered[1], named[answered[1]][1]
            test = nbformat.v4.new_code_cell(f"{variable}.earned", id=f"{variable.replace('_', '-')}-earned"[:64])
            test.metadata["nbgrader"] = {
                "grade": True, "solution": False, "locked": True, "task": False, "grade_id": f"{variable}_earned",
                "schema_version": 3, "cell_type": "code", "points": points,
            }  # fmt: skip
            cells.append(test)
    notebook.cells = cells
    return notebook


def write(form: str, folder: Path) -> list[Path]:
    """Write the files of all notebooks of the course in a form, and say which.

    Raises:
        ValueError: when there is no such form.
    """
    if form not in FORMS:
        raise ValueError(f"there is no form {form!r}: {', '.join(FORMS)}")
    written = []
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        if not (ANSWERS / f"{path.stem}.toml").exists():
            continue
        notebook, answers = nbformat.read(path, as_version=4), answers_of(path)
        here = folder / f"{path.stem}.ipynb"
        if form == "solutions":
            notebook = filled(notebook, right(answers))
        elif form == "mistakes":
            notebook = filled(notebook, mistaken(answers))
        elif form == "otter":
            here = folder / path.stem / path.name
            for variable, (_, points) in exercises(notebook).items():
                test = folder / path.stem / "tests" / f"{variable}.py"
                test.parent.mkdir(parents=True, exist_ok=True)
                test.write_text(OTTER.format(name=variable, points=points), encoding="utf-8")
                written.append(test)
        else:
            here = folder / "source" / path.stem / path.name
            notebook = for_nbgrader(filled(notebook, lambda name: None))
        here.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, here)
        written.append(here)
    return written


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    for one in write(sys.argv[1], Path(sys.argv[2])):
        print(one)
