"""The colors of cells: any number of a scan, or any array."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tiny
import torch
from grids import fits
from matplotlib.colors import to_hex

import headgrid as hg
from headgrid.circuits.scan import scan
from headgrid.plots.style import LIGHT
from headgrid.widget.state import cell_colors
from headgrid.widget.wire import schema
from headgrid.widget.wire.empty import NO_COLORS

LLAMA = "llama with grouped-query attention"  # 3 layers of 6 heads


def values(grid: hg.HeadGrid) -> dict[str, float]:
    """Word -> the number of its cell, where it has one."""
    assert fits(grid.colors, schema.Colors)
    found = np.frombuffer(grid.colors["values"], dtype="<f4")
    assert len(found) == grid._state.cells.n_cells
    return {grid._state.cells.describe(int(i))[0].strip(): float(found[i]) for i in np.flatnonzero(np.isfinite(found))}


def of_heads(array: Any) -> dict[str, float]:
    numbers = np.asarray(array, dtype=np.float32)
    return {f"l{layer}h{head}": float(one) for (layer, head), one in np.ndenumerate(numbers) if math.isfinite(one)}


SOME = np.arange(18.0).reshape(3, 6) / 7


@pytest.mark.parametrize(
    "given",
    [
        SOME,
        SOME.tolist(),
        torch.tensor(SOME, requires_grad=True),
        torch.tensor(SOME).mT.contiguous().mT,
        SOME.astype(object),
        [[torch.tensor(one) for one in row] for row in SOME],
    ],
    ids=["array", "lists", "with gradient", "strided", "objects", "lists of tensors"],
)
def test_heads_take_the_colors_of_an_array_of_layers_and_heads(given: Any) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    grid.color_by(given, label="mine")
    assert values(grid) == of_heads(SOME)
    assert {key: grid.colors[key] for key in ("label", "metric", "ln", "low", "diverging", "recolor")} == {
        "label": "mine", "metric": "", "ln": "", "low": 0.0, "diverging": False, "recolor": 0,
    }  # fmt: skip
    assert grid.colors["high"] == pytest.approx(17 / 7)


@pytest.mark.parametrize(
    "given",
    [SOME > 1, (SOME * 7).astype(np.uint8), torch.tensor(SOME).bfloat16(), torch.tensor(SOME) > 1],
    ids=["booleans", "integers", "bfloat16", "boolean tensor"],
)
def test_other_kinds_of_numbers_are_taken_as_they_are(given: Any) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    grid.color_by(given)
    expected = given.float().numpy() if isinstance(given, torch.Tensor) else given
    assert values(grid) == of_heads(expected)
    assert grid.colors["label"] == "values"


def test_what_is_missing_has_no_color() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    holes = SOME.copy()
    holes[1, 2] = np.nan
    lists = [[None if math.isnan(one) else one for one in row] for row in holes]
    for given in (holes, lists, np.ma.masked_invalid(holes)):
        grid.color_by(given)
        assert values(grid) == of_heads(holes)
    grid.color_by(np.full((3, 6), np.nan))
    assert values(grid) == {}
    assert (grid.colors["low"], grid.colors["high"], grid.colors["label"]) == (0.0, 0.0, "values")


def test_mlps_and_all_cells_have_arrays_of_their_own() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    grid.color_by([1.0, 2.0, 3.0])
    assert values(grid) == {"l0 mlp": 1.0, "l1 mlp": 2.0, "l2 mlp": 3.0}
    every = np.arange(grid._state.cells.n_cells, dtype=float)
    grid.color_by(every)
    assert len(values(grid)) == grid._state.cells.n_cells - grid._state.cells.absent.sum()
    assert values(grid)["l1h2"] == grid._state.index.head("", 1, 2)


def test_a_model_of_several_stacks_takes_its_main_one_or_names() -> None:
    grid = hg.HeadGrid(tiny.model("bart"))  # an encoder of 3 layers of 6 heads, a decoder of 2 of 4
    grid.color_by(np.ones((2, 4)))
    assert set(values(grid)) == {f"decoder l{layer}h{head}" for layer in range(2) for head in range(4)}
    grid.color_by({"encoder": SOME, "cross": np.zeros((2, 4)), "decoder": [5.0, 6.0]})
    assert len(values(grid)) == 18 + 8 + 2
    assert values(grid)["encoder l2h5"] == pytest.approx(17 / 7)
    assert values(grid)["decoder l1 mlp"] == 6.0
    with pytest.raises(
        ValueError, match="there is no stack 'middle' to color; the stacks are 'encoder', 'decoder', 'cross'"
    ):
        grid.color_by({"middle": SOME})
    with pytest.raises(ValueError, match=r"shape \[2, 4\] cannot color 3 layers of the stack 'encoder'"):
        grid.color_by({"encoder": np.ones((2, 4))})


def test_layers_without_heads_stay_without_color() -> None:
    grid = hg.HeadGrid(tiny.model("jamba"))
    stack = grid.anatomy.main
    grid.color_by(np.ones((stack.n_layers, stack.n_heads)))
    with_heads = {layer for layer in range(stack.n_layers) if ("W_O", layer) in stack.places}
    assert 0 < len(with_heads) < stack.n_layers
    assert set(values(grid)) == {f"l{layer}h{head}" for layer in with_heads for head in range(stack.n_heads)}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (SOME.T, r"\[6, 3\] cannot color 3 layers; give one of shape \[3, 6\] for its heads or \[3\] for its MLPs or"),
        (1.5, r"shape \[\] cannot color"),
        (np.ones((3, 6, 1)), r"shape \[3, 6, 1\]"),
        ([[1.0, 2.0], [3.0]], "numbers in an array, NaN where one is missing, all rows of one length, not"),
        ([["a"] * 6] * 3, "colors should be numbers in an array"),
        (SOME * 1j, "colors should be numbers in an array.*, not an array of shape .* complex128"),
        (object(), "colors should be numbers in an array.*, not <object object"),
        (np.where(SOME > 2, np.inf, SOME), r"the value at \[2, 3\] is inf, which has no color"),
        (np.where(SOME > 2, -1e300, SOME), r"is -1e\+300, which has no color \(float32 ends at 3.4e\+38\)"),
        (torch.ones(3, 6, device="meta"), "meta device"),
        ("kopying", "'kopying' is no number that this grid can be colored by; there are copying_score, ov_norm"),
        ({}, "{} names no stack"),
    ],
    ids=["transposed", "a number", "an axis more", "ragged", "words", "complex", "an object", "infinite", "too large",
         "meta", "a name", "no stack"],
)  # fmt: skip
def test_what_cannot_be_colors_is_refused_and_changes_nothing(given: Any, message: str) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    grid.color_by(SOME, label="before")
    before = grid.colors
    with pytest.raises((TypeError, ValueError), match=message):
        grid.color_by(given)
    assert grid.colors == before


def test_a_scale_diverges_where_there_are_two_signs_and_is_then_symmetric() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))

    def ends(given: npt.NDArray[Any], **choice: bool) -> tuple[bool, float, float]:
        grid.color_by(given, **choice)
        return grid.colors["diverging"], grid.colors["low"], grid.colors["high"]

    ramp = np.arange(18.0).reshape(3, 6)
    assert ends(ramp - 3) == (True, -14.0, 14.0)
    assert ends(ramp - 3, diverging=False) == (False, -3.0, 14.0)
    assert ends(ramp + 1) == (False, 0.0, 18.0)
    assert ends(ramp + 1, diverging=True) == (True, -18.0, 18.0)
    assert ends(ramp * 0) == (False, 0.0, 1.0)


def shades(grid: hg.HeadGrid) -> dict[str, float]:
    """Word -> where between the ends of the scale the color of its cell is, from 0 to 1."""
    low, high = grid.colors["low"], grid.colors["high"]
    return {word: min(1.0, max(0.0, (value - low) / (high - low))) for word, value in values(grid).items()}


def test_noise_of_two_percent_is_not_stretched_to_all_colors_and_the_legend_says_its_spread() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    noise = np.random.default_rng(0).uniform(0.99, 1.01, (3, 6))
    for given in (5 * noise, -5 * noise):
        grid.color_by(given)
        found = shades(grid).values()
        assert max(found) - min(found) < 0.03
        spread = np.ptp(given) / np.abs(given).max()
        assert f"a spread of {100 * spread:.2g}%" in grid.colors["range"]


def test_an_outlier_does_not_flatten_the_others_and_the_legend_says_where_it_is() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    given = 1.0 + np.arange(18.0).reshape(3, 6) / 18
    given[2, 5] = 300.0
    grid.color_by(given)
    found = shades(grid)
    assert found["l2h5"] == 1.0
    assert found["l2h4"] - found["l0h0"] > 0.3
    assert grid.colors["range"] == "1 to 1.89, a spread of 47%, 1 above, up to 300"


def test_a_norm_is_shown_from_zero() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    for name in ("ov_norm", "qk_norm"):
        grid.color_by(name)
        assert grid.colors["low"] == 0.0
        assert grid.colors["high"] >= max(values(grid).values())


@pytest.mark.parametrize("kind", ["noise", "outlier", "two signs", "from a scan"])
def test_a_grid_its_picture_and_its_plot_have_one_scale(kind: str) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    random = np.random.default_rng(1).normal(size=(3, 6))
    outlier = np.where(np.arange(18).reshape(3, 6) == 7, 90.0, 2 + random / 9)
    given = {"noise": 5 + random / 50, "outlier": outlier, "two signs": random, "from a scan": "ov_norm"}[kind]
    grid.color_by(given)
    ends = grid.colors["low"], grid.colors["high"]
    drawn = grid.plot().collections[0]
    assert drawn.get_clim() == ends
    if kind != "from a scan":
        assert hg.plots.grid(np.float32(given)).collections[0].get_clim() == pytest.approx(ends)
    picture = str(grid.to_svg())
    assert grid.colors["range"] in picture
    assert (">beyond the scale<" in picture) == (kind == "outlier") == ("\N{GREATER-THAN OR EQUAL TO} " in picture)


def test_nothing_takes_the_colors_away() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    grid.color_by(SOME)
    grid.color_by(None)
    assert grid.colors == NO_COLORS


@pytest.mark.slow
@pytest.mark.parametrize("ln", ["folded", "raw"])
@pytest.mark.parametrize("what", cell_colors.QUANTITIES, ids=lambda what: what.name)
def test_every_number_of_the_menu_is_that_of_a_scan(what: cell_colors.Quantity, ln: schema.Ln) -> None:
    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer)
    assert what.name in {metric["name"] for metric in grid.spec["metrics"]}
    grid.color_by(what.label if ln == "raw" else what.name, ln=ln)
    assert values(grid) == of_heads(scan(model, ln=ln).metrics()[what.name])
    assert [grid.colors[key] for key in ("metric", "label", "ln")] == [what.name, what.label, ln]
    assert grid.progress == {"label": "", "done": 0, "total": 0}


def test_the_menu_has_every_number_of_a_scan() -> None:
    assert {what.name for what in cell_colors.QUANTITIES} == set(scan(hg.demo()[0]).metrics())


def test_copying_scores_have_the_ends_of_a_score() -> None:
    grid = hg.HeadGrid(*hg.demo())
    grid.color_by("copying_score")
    assert [grid.colors[key] for key in ("low", "high", "diverging")] == [-1.0, 1.0, True]
    grid.color_by("copying_score", label="copies", diverging=False)
    assert [grid.colors[key] for key in ("label", "diverging")] == ["copies", False]


def test_several_stacks_are_scanned_each() -> None:
    model = tiny.model("bart")
    grid = hg.HeadGrid(model)
    grid.color_by("qk_top")
    for stack in ("encoder", "decoder", "cross"):
        top = scan(model, ("qk",), stack=stack).metrics()["qk_top"]
        assert values(grid)[f"{stack} l1h2"] == pytest.approx(float(top[1, 2]), rel=1e-6)


def test_without_weights_there_is_no_menu_but_arrays_work() -> None:
    grid = hg.HeadGrid(tiny.config(LLAMA))
    assert grid.spec["metrics"] == []
    with pytest.raises(ValueError, match="it has no weights to read, so give an array"):
        grid.color_by("ov_norm")
    grid.color_by(SOME)
    assert values(grid) == of_heads(SOME)


def test_a_model_without_tokens_has_no_copying_score_and_says_why() -> None:
    grid = hg.HeadGrid(tiny.model("vit"))
    with pytest.raises(ValueError, match="There is no copying score"):
        grid.color_by("copying_score")
    grid.color_by("ov_norm")
    assert len(values(grid)) == 12


def test_a_change_of_the_model_changes_its_colors() -> None:
    model = tiny.fresh(LLAMA)
    grid = hg.HeadGrid(model)
    grid.color_by("ov_norm", ln="raw")
    before = values(grid)
    with torch.no_grad():
        model.get_parameter("model.layers.1.self_attn.o_proj.weight").mul_(3)
    grid.color_by("ov_norm", ln="raw")
    for word, value in values(grid).items():
        assert value == pytest.approx(before[word] * (3 if word.startswith("l1") else 1), rel=1e-6)


def test_the_plot_shows_the_colors_of_the_main_stack_and_the_selection() -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA), select="l1h2")
    grid.color_by(SOME - 1, label="mine")
    axes = grid.plot()
    drawn = axes.collections[0]
    assert np.ma.getdata(drawn.get_array()).reshape(3, 6) == pytest.approx(SOME - 1)
    assert drawn.get_clim() == pytest.approx((-10 / 7, 10 / 7))
    assert grid.plot(ax=axes) is axes
    grid.color_by(None)
    mesh = grid.plot(label="what is on").collections[0]
    shown = np.ma.getdata(mesh.get_array()).reshape(3, 6)
    assert [to_hex(mesh.cmap(value)) for value in (0.0, 0.5, 1.0)] == [LIGHT.cell, LIGHT.partial, LIGHT.on]
    assert [label.get_text() for label in mesh.colorbar.ax.get_yticklabels()][1:] == ["partly selected", "selected"]
    # heads 0 to 2 share a key/value head, so the others of the group are partly selected
    assert shown.tolist() == [[0] * 6, [0.5, 0.5, 1, 0, 0, 0], [0] * 6]
