"""The files that teachers make of the course: answers are written where students would write them."""

from __future__ import annotations

import ast
from pathlib import Path

import course_files
import nbformat
import pytest

NOTEBOOKS = [
    path for path in sorted((course_files.ROOT / "notebooks").glob("*.ipynb"))
    if (course_files.ANSWERS / f"{path.stem}.toml").exists()
]  # fmt: skip


def sources(path: Path) -> str:
    return "\n".join(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_exercise_has_a_line_for_its_answer(path: Path) -> None:
    notebook, answers = nbformat.read(path, as_version=4), course_files.answers_of(path)
    named = course_files.exercises(notebook)
    assert sorted(name for name, _ in named.values()) == sorted(answers)
    assert sorted(found[1] for found in course_files.ANSWER.finditer(sources(path))) == sorted(named)


def test_solutions_have_the_right_answers_and_mistakes_the_first_foreseen_ones(tmp_path: Path) -> None:
    for form, answered in (("solutions", course_files.right), ("mistakes", course_files.mistaken)):
        for path in course_files.write(form, tmp_path / form):
            answers = course_files.answers_of(path)
            notebook = nbformat.read(path, as_version=4)
            for variable, (name, _) in course_files.exercises(notebook).items():
                given = answered(answers)(name)
                assert f"{variable}.check({given})" in sources(path) or f"{variable}.predict({given})" in sources(path)
            assert not any(cell.get("outputs") for cell in notebook.cells)


def test_otter_has_a_test_and_nbgrader_a_locked_cell_for_each_exercise(tmp_path: Path) -> None:
    tests = [path for path in course_files.write("otter", tmp_path) if path.suffix == ".py"]
    asked = sum(len(course_files.answers_of(path)) for path in NOTEBOOKS)
    assert len(tests) == asked
    for path in tests:
        ast.parse(path.read_text())
    locked = [
        cell for path in course_files.write("nbgrader", tmp_path) for cell in nbformat.read(path, as_version=4).cells
        if cell.metadata.get("nbgrader", {}).get("grade")
    ]  # fmt: skip
    assert len(locked) == asked
    assert all(cell.source.endswith(".earned") and cell.metadata["nbgrader"]["points"] > 0 for cell in locked)


def test_another_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="there is no form 'pdf'"):
        course_files.write("pdf", tmp_path)
