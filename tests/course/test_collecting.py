"""A teacher's page: notebooks that were run without a browser, read back; and what is none."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from headgrid.course import collect
from headgrid.course.result import MIME

CELLS = [
    "import headgrid as hg\nfrom headgrid import course\ngrid = hg.HeadGrid(hg.demo()[0])",
    'ex = course.Exercise("copies", grid, ask="Which head?", answer=course.seal("l1h2", grid, allow="heads"), '
    'allow="heads", hide=["copying_score"], points=2)',
    "{answer}",
    'n = course.Exercise("number", ask="How many?", answer=4)\nn.check(40)\nn.check(4)\nNone',
    "print(course.report().earned)",
]


def hand_in(path: Path, answer: str) -> list[str]:
    """Run a student's notebook as `jupyter nbconvert --execute` does, save it, and what its last cell printed."""
    cells = [nbformat.v4.new_code_cell(cell.replace("{answer}", answer)) for cell in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)
    return [cell.source for cell in notebook.cells]


@pytest.mark.slow
def test_notebooks_that_were_run_without_a_browser_are_collected(tmp_path: Path) -> None:
    hand_in(tmp_path / "ann" / "lab.ipynb", 'ex.check("l1h2")')
    source = hand_in(tmp_path / "bob.ipynb", 'ex.check("l1h3")\nex.check()')[2]
    assert source == 'ex.check("l1h3")\nex.check()'
    found = collect(tmp_path)
    assert found.exercises == ["copies", "number"]
    rows = {(one["student"], one["name"]): (one["state"], one["earned"], one["tries"]) for one in found.rows()}
    assert rows == {
        ("ann/lab", "copies"): ("right", 2, 1), ("ann/lab", "number"): ("right", 1, 2),
        ("bob", "copies"): ("open", 0, 1), ("bob", "number"): ("right", 1, 2),
    }  # fmt: skip
    shown = json.loads((tmp_path / "bob.ipynb").read_text())["cells"][2]["outputs"]
    assert [one["data"][MIME]["feedback"][:20] for one in shown] == ["The layer is right, ", "No answer is written"]


def saved(path: Path, *data: object) -> None:
    outputs = [{"output_type": "display_data", "data": {MIME: one}, "metadata": {}} for one in data]
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "outputs": outputs}, {"cell_type": "raw"}, 3]}))


RIGHT = {
    "version": 1, "name": "<i>", "kind": "number", "points": 2, "score": 1, "state": "right", "tries": 1,
    "answer": "<script>", "feedback": "", "line": "",
}  # fmt: skip


def test_what_anybody_may_have_written_is_checked_and_shown_as_text(tmp_path: Path) -> None:
    saved(tmp_path / "a.ipynb", {**RIGHT, "score": 0.5, "state": "partly"}, RIGHT)
    saved(tmp_path / "b.ipynb", {**RIGHT, "score": 7}, {**RIGHT, "points": "many"})
    (tmp_path / "c.ipynb").write_text("{")
    (tmp_path / "d.ipynb").write_text("[]")
    found = collect(tmp_path)
    assert [one.said for one in found.reports.values()] == ["2 of 2 points", "0 of 0 points"]
    assert set(found.faults) == {"b", "c", "d"}
    page = found.to_html()
    assert page is not None
    assert "<script>" not in page
    assert "<i>" not in page
    assert "no result" in page
    found.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == page


def test_a_folder_without_notebooks_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no notebook"):
        collect(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        collect(tmp_path / "nowhere")
    with pytest.raises(TypeError, match="folder is the path of a folder"):
        collect(3)  # type: ignore[arg-type]
