"""The words that a page without Python prints are those of Python: both sides test one file of cases.

`python tests/widget/export/test_cell_words.py` writes it anew, with node: what the browser's module prints of random
sets of cells, and what Python says of the same ones. `js/test/model/cell_words.test.ts` reads it too.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

import headgrid as hg
from headgrid.selection import parts
from headgrid.selection.selection import Selection
from headgrid.widget.state import counts
from headgrid.widget.state.cells import Cells

sys.path.insert(0, str(Path(__file__).parents[2]))  # where this file is run on its own
import tiny

ROOT = Path(__file__).parents[3]
FILE = ROOT / "js" / "test" / "model" / "cell_words.json"
FAMILIES = tiny.UNLIKE
PRINT = """
import { buildSync } from "esbuild";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
const outfile = join(mkdtempSync(join(tmpdir(), "words-")), "words.mjs");
const contents = `export { textOfCells } from "./src/model/cell_words.ts";
export { readSpec } from "./src/model/cells.ts";
export { assign, empty } from "./src/model/bits.ts";`;
buildSync({ stdin: { contents, resolveDir: process.cwd() }, bundle: true, format: "esm", outfile });
const { assign, empty, readSpec, textOfCells } = await import(outfile);
const models = JSON.parse(readFileSync(0, "utf8"));
for (const { bands, stacks, absent, cases } of models) {
  const spec = readSpec({ bands, stacks });
  const bits = assign(empty(spec.count), absent, true);
  const cells = { ...spec, absent: bits, present: spec.present.map((byte, k) => byte & ~bits[k]) };
  for (const one of cases) one.text = textOfCells(cells, assign(empty(spec.count), one.cells, true));
}
console.log(JSON.stringify(models));
"""

Bools = npt.NDArray[np.bool_]


def cells_of(family: str) -> Cells:
    return Cells(hg.dissect(tiny.model(family)))


def shape_of(cells: Cells) -> dict[str, Any]:
    """What the browser's module reads of a spec."""
    return {
        "bands": cells.bands,
        "stacks": cells.stacks,
        "tooltips": cells.tooltips,
        "absent": np.flatnonzero(cells.absent).tolist(),
    }


def sets_of(cells: Cells, seed: int) -> list[Bools]:
    """Random sets of cells: few, many, whole rows, all heads of a layer, one column, all."""
    draw = np.random.default_rng(seed)
    found = [draw.random(cells.n_cells) < share for share in (0.0, 0.03, 0.1, 0.3, 0.6, 0.95, 1.0)]
    first = 0
    for band in cells.bands:
        height, width = len(band["rows"]), len(band["columns"])
        inside = np.arange(first, first + height * width).reshape(height, width)
        kinds = np.array([column["kind"] for column in band["columns"]])
        groups = [inside[0], inside[:, -1], inside[-1, kinds == "head"], inside[:, kinds == "head"]]
        for group in [*groups, *(inside[0, handle["columns"]] for handle in band["handles"])]:
            one = draw.random(cells.n_cells) < 0.05
            one[group.reshape(-1)] = True
            found.append(one)
        first += height * width
    return [one & ~cells.absent for one in found]


def cases_of(family: str) -> list[dict[str, Any]]:
    cells = cells_of(family)
    return [{"cells": np.flatnonzero(on).tolist(), **said_of(cells, on)} for on in sets_of(cells, 0)]


def said_of(cells: Cells, on: Bools) -> dict[str, Any]:
    """What Python says of some cells."""
    chosen = cells.parts_of(on)
    return {
        "python": str(Selection.from_parts(cells.anatomy, chosen)),
        "counts": counts.said(cells, chosen, *cells.coverage(chosen)),
        "n_selected": parts.n_params(cells.anatomy, chosen),
    }


@pytest.mark.parametrize("model", json.loads(FILE.read_text()) if FILE.exists() else [], ids=lambda one: one["family"])
def test_what_a_page_prints_of_cells_python_reads_as_the_same_parts(model: dict[str, Any]) -> None:
    cells = cells_of(model["family"])
    assert json.loads(json.dumps(shape_of(cells))) == {
        name: model[name] for name in ("bands", "stacks", "tooltips", "absent")
    }
    for case in model["cases"]:
        on = np.zeros(cells.n_cells, dtype=np.bool_)
        on[case["cells"]] = True
        read = cells.anatomy.select(case["text"])
        assert parts.equal(read.parts, cells.parts_of(on)), case["text"]
        assert said_of(cells, on) == {name: case[name] for name in ("python", "counts", "n_selected")}


def write() -> None:
    models = [{"family": name, **shape_of(cells_of(name)), "cases": cases_of(name)} for name in FAMILIES]
    done = subprocess.run(
        ["node", "--input-type=module", "-e", PRINT], cwd=ROOT / "js", input=json.dumps(models), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    lines = (json.dumps(one, separators=(",", ":")) for one in json.loads(done.stdout))
    FILE.write_text("[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    write()
