"""The notebooks run from top to bottom, and are committed with the outputs that they give."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import committed_outputs
import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.slow

NOTEBOOKS = sorted((Path(__file__).parent.parent / "notebooks").glob("*.ipynb"))


def run(path: Path) -> Any:
    """The notebook at a path with the outputs of a fresh kernel."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(
        notebook,
        timeout=300,
        kernel_name="python3",
        resources={"metadata": {"path": path.parent}},
        coalesce_streams=True,  # when prints are sent off together depends on the clock
    ).execute()
    return notebook


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_gives_the_outputs_that_it_is_committed_with(path: Path) -> None:
    committed, fresh = nbformat.read(path, as_version=4), run(path)
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
