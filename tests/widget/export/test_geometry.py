"""Python lays out a grid exactly as the widget does: the same bands go through both."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

import headgrid as hg
from headgrid.widget.export import geometry
from headgrid.widget.export.arrows import curves
from headgrid.widget.export.figure import scene_of
from headgrid.widget.wire.schema import Arrow, Band

JS = Path(__file__).parents[3] / "js"

FAMILIES = (
    "gpt2",
    "llama with grouped-query attention",
    "mixtral",
    "deepseek_v3",
    "t5 with a gated mlp",
    "jamba",
    "vit",
)

LAY_OUT = """
import { readSpec } from "./src/model/cells";
import { curvesOf } from "./src/grid/arrows";
import { layOut } from "./src/grid/geometry";
const choice = { shown: true, z: 3, kinds: { Q: true, K: true, V: true } };
let text = "";
process.stdin.on("data", (piece) => { text += piece; }).on("end", () => {
  const found = JSON.parse(text).map(({ bands, cell, arrows = [], fence = null }) => {
    const cells = readSpec({ bands });
    const geometry = layOut(cells, cell, (text) => 5.5 * text.length);
    return { ...geometry, curves: curvesOf(arrows, choice, cells, geometry, fence) };
  });
  console.log(JSON.stringify(found));
});
"""


def measure(text: str) -> float:
    return 5.5 * len(text)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    esbuild = JS / "node_modules" / ".bin" / "esbuild"
    if shutil.which("node") is None or not esbuild.exists():
        pytest.skip("node is not installed: the widget's own geometry is not asked (make test installs what it needs)")
    made = tmp_path_factory.mktemp("geometry") / "lay_out.mjs"
    asked = [str(esbuild), "--bundle", "--platform=node", "--format=esm", f"--outfile={made}", "--log-level=error"]
    subprocess.run(asked, input=LAY_OUT, text=True, cwd=JS, check=True)
    return made


def laid_out(script: Path, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the widget makes of some bands, at some size of cells each."""
    ran = subprocess.run(["node", str(script)], input=json.dumps(asked), text=True, capture_output=True, check=True)
    found: list[dict[str, Any]] = json.loads(ran.stdout)
    return found


def shown(bands: list[Band]) -> list[list[Band]]:
    """The bands that the widget shows at a time: those of one stack, with what belongs to none."""
    stacks = {band["stack"]: None for band in bands if not geometry.is_labeled(band)}
    return [[band for band in bands if band["stack"] == one or band["stack"] not in stacks] for one in stacks]


def test_columns_gaps_handles_groups_and_rows_lie_where_the_widget_has_them(script: Path) -> None:
    asked = [
        {"bands": bands, "cell": cell}
        for family in FAMILIES
        for bands in shown(hg.HeadGrid(tiny.config(family))._state.cells.bands)
        for cell in (34, 26, 18, 13, 12, 9, 7, 5, 3)
    ]
    assert len(asked) > 9 * len(FAMILIES), "an encoder-decoder has more than one"
    for one, theirs in zip(asked, laid_out(script, asked), strict=True):
        ours = geometry.lay_out(one["bands"], one["cell"], measure)
        assert (ours.gap, ours.side, ours.width, ours.height) == tuple(
            theirs[name] for name in ("gap", "side", "width", "height")
        )
        for box, other in zip(ours.bands, theirs["bands"], strict=True):
            assert [*box.lefts] == other["lefts"]
            assert [*box.widths] == other["widths"]
            assert [*box.handles] == other["handleLefts"]
            assert not box.handles or box.handle == other["handleWidth"]
            assert [[*group] for group in box.groups] == other["groups"]
            assert [dict(zip(("title", "first", "last"), block, strict=True)) for block in box.blocks] == other[
                "blocks"
            ]
            for name in ("top", "caption", "bracket", "rows", "pitch", "bottom", "right", "labeled"):
                assert getattr(box, name) == other[name], name
            assert box.height == other["rowHeight"]


@pytest.mark.parametrize("fence", [None, 6.0])
def test_arrows_bend_as_the_widget_bends_them(script: Path, fence: float | None) -> None:
    grid = hg.HeadGrid(tiny.config("llama with grouped-query attention"))
    drawn = scene_of(grid._state)
    heads = [n for n in range(len(drawn.on)) if grid._state.cells.describe(n)[0].removeprefix("l")[1:2] == "h"]
    rng = np.random.default_rng(0)
    arrows: list[Arrow] = []
    for kind in ("Q", "K", "V"):
        for source, target in rng.choice(heads, (12, 2)).tolist():
            z = float(rng.uniform(1, 12))
            arrows.append({"source": source, "target": target, "kind": kind, "value": 0.5, "z": z})
    for cell in (26, 12, 7):
        (theirs,) = laid_out(script, [{"bands": drawn.bands, "cell": cell, "arrows": arrows, "fence": fence}])
        placed = geometry.lay_out(drawn.bands, cell, measure)
        ours = curves(replace(drawn, arrows=arrows, fence=fence), placed)
        assert len(ours) > 20
        for curve, other in zip(ours, theirs["curves"], strict=True):
            assert (curve.kind, curve.plain) == (other["arrow"]["kind"], other["plain"])
            assert curve.strength == pytest.approx(other["strength"])
            for point, there in zip(curve.points, other["points"], strict=True):
                assert point == pytest.approx((there["x"], there["y"]))


def test_an_encoder_and_a_decoder_stand_one_below_the_other_under_their_names() -> None:
    bands = hg.HeadGrid(tiny.config("t5 with a gated mlp"))._state.cells.bands
    placed = geometry.lay_out(bands, 26)
    assert [box.title for box in placed.bands if box.title] == ["encoder", "decoder", "cross"]
    for above, below in zip(placed.bands, placed.bands[1:], strict=False):
        assert below.top >= above.bottom + 10
    assert placed.bands[-1].bottom < placed.height
