"""The notebooks run from top to bottom, are committed with the outputs that they give, and check what is answered.

`course_answers` has a file for each notebook with exercises: for every exercise the right answer, as an expression of
Python, and the mistakes that it foresees, each with its score and with words of what is said of it. They are checked in
the kernel that has just run the notebook.
"""

from __future__ import annotations

import ast
import copy
import functools
import json
import tomllib
from pathlib import Path
from typing import Any

import committed_outputs
import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent
NOTEBOOKS = sorted((ROOT.parent / "notebooks").glob("*.ipynb"))
ANSWERS = {path.stem: tomllib.loads(path.read_text("utf-8")) for path in (ROOT / "course_answers").glob("*.toml")}
COURSE = [path for path in NOTEBOOKS if path.stem in ANSWERS]
GRADE = """
import contextlib, io, json
from headgrid import course
from headgrid.course.registry import REGISTRY

def graded(name, given):
    question = course.exercise(name)
    with contextlib.redirect_stdout(io.StringIO()):
        result = (question.predict if isinstance(question, course.Prediction) else question.check)(eval(given))
    return {"score": result.score, "said": result.feedback, "points": result.points}

found = {name: [graded(name, given) for given in answers] for name, answers in ANSWERS.items()}
for source in REVEALS:  # now that something is predicted, the results are shown
    exec(source)
    assert "You predicted" in eval(source.split(".reveal(")[0].split()[-1]).result.feedback, source
print("GRADED" + json.dumps(found))
"""
"""Checks the answers of a notebook, wrong ones first, the right one last; then shows the results of predictions."""


@functools.cache
def run(path: Path) -> tuple[Any, dict[str, list[dict[str, Any]]]]:
    """The notebook at a path with the outputs of a fresh kernel, and what its answers came to afterwards."""
    notebook = nbformat.read(path, as_version=4)
    asked = {
        name: [*(one["answer"] for one in answers["wrong"]), answers["right"]]
        for name, answers in ANSWERS.get(path.stem, {}).items()
    }
    reveals = [cell.source for cell in notebook.cells if cell.cell_type == "code" and ".reveal(" in cell.source]
    notebook.cells.append(nbformat.v4.new_code_cell(f"ANSWERS, REVEALS = {asked!r}, {reveals!r}\n{GRADE}"))
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": path.parent}},
        coalesce_streams=True,  # when prints are sent off together depends on the clock
    ).execute()
    said = "".join(one.get("text", "") for one in notebook.cells.pop().outputs)
    return notebook, json.loads(said[said.index("GRADED") + len("GRADED") :])


def exercises(path: Path) -> dict[str, ast.Call]:
    """The exercises and predictions that a notebook makes, by name."""
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for node in ast.walk(ast.parse(cell.source)) if cell.cell_type == "code" else ():
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("course.Exercise", "course.Prediction"):
                assert isinstance(node.args[0], ast.Constant)
                found[str(node.args[0].value)] = node
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_gives_the_outputs_that_it_is_committed_with(path: Path) -> None:
    committed, fresh = nbformat.read(path, as_version=4), run(path)[0]
    outputs = [output for cell in fresh.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any(committed_outputs.WIDGET in output.get("data", {}) for output in outputs)
    assert not [output for output in outputs if output.get("name") == "stderr"], "a warning in a notebook is a fault"
    found = committed_outputs.differences(committed, committed_outputs.settled(fresh))
    if found:
        nbformat.write(fresh, path)
        pytest.fail(f"{path.name} has been written anew, with other outputs than before: look at it, and commit it\n"
                    + "\n".join(found))  # fmt: skip


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_committed_with_pictures_and_without_what_a_kernel_is_needed_for(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    assert "widgets" not in notebook.metadata
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    kinds = [kind for cell in cells for output in cell.outputs for kind in output.get("data", {})]
    assert committed_outputs.WIDGET not in kinds
    assert "text/html" in kinds
    assert path.stat().st_size < 500_000


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_the_right_answers_of_a_notebook_earn_all_points_and_foreseen_mistakes_get_their_hints(path: Path) -> None:
    found = run(path)[1]
    for name, answers in ANSWERS[path.stem].items():
        *wrong, right = found[name]
        assert right["score"] == 1, (name, right)
        for foreseen, graded in zip(answers["wrong"], wrong, strict=True):
            assert graded["score"] == pytest.approx(foreseen.get("score", 0), abs=0.005), (name, foreseen, graded)
            assert foreseen["says"] in graded["said"], (name, foreseen, graded)


@pytest.mark.parametrize("path", COURSE, ids=lambda path: path.stem)
def test_every_exercise_of_a_notebook_is_answered_here_and_nowhere_in_the_notebook(path: Path) -> None:
    made, answers = exercises(path), ANSWERS[path.stem]
    assert sorted(made) == sorted(answers)
    for name, call in made.items():
        given = {one.arg: one.value for one in call.keywords}
        if call.func.attr == "Prediction":  # type: ignore[attr-defined]
            assert not answers[name]["wrong"], "a prediction has no wrong answer"
            continue
        assert answers[name]["wrong"], f"{name} foresees no mistake"
        answer = given["answer"]
        assert not isinstance(answer, (ast.Constant, ast.List, ast.Tuple, ast.JoinedStr)), f"{name} can be read"
        if isinstance(answer, ast.Lambda):
            assert not isinstance(answer.body, ast.Constant), f"{name} can be read"


def test_the_course_has_forty_exercises_or_more() -> None:
    assert sum(map(len, ANSWERS.values())) >= 40


def test_outputs_are_compared_by_their_words_and_numbers() -> None:
    alike = committed_outputs.alike
    assert alike("without l1h2: 6.87 nats", "without l1h2: 6.85 nats")
    assert not alike("without l1h2: 6.87 nats", "without l1h2: 6.27 nats")
    assert not alike("without l1h2: 6.87 nats", "without l0h2: 6.87 nats".replace("l0", "L1"))
    assert alike("proven, in 0.31 s", "proven, in 1.72 s")
    assert not alike("1 2", "1 2 3")


def test_an_output_that_is_gone_or_of_another_kind_is_a_difference() -> None:
    output = nbformat.v4.new_output("execute_result", {"text/plain": "2", "image/png": "bits"})
    before = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1 + 1", outputs=[output])])
    assert committed_outputs.differences(before, copy.deepcopy(before)) == []
    other = copy.deepcopy(before)
    other.cells[0].outputs[0].data["image/png"] = "other bits"
    assert committed_outputs.differences(before, other) == []
    del other.cells[0].outputs[0].data["image/png"]
    assert committed_outputs.differences(before, other)
    other.cells[0].outputs = []
    assert committed_outputs.differences(before, other)


def test_an_output_of_json_is_compared_by_what_it_says_whatever_the_order_of_its_keys() -> None:
    def shown(result: dict[str, Any]) -> Any:
        output = nbformat.v4.new_output("display_data", {"application/vnd.headgrid.exercise+json": result})
        return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("ex.check()", outputs=[output])])

    before = shown({"name": "ex", "state": "open"})
    assert committed_outputs.differences(before, shown({"state": "open", "name": "ex"})) == []
    assert committed_outputs.differences(before, shown({"name": "ex", "state": "right"}))
