from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import tiny
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PatchCollection, PathCollection, PolyCollection, QuadMesh
from matplotlib.colors import to_hex
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

import headgrid as hg
from headgrid import plots
from headgrid.circuits.composition import Composition, compose
from headgrid.circuits.summarize import summarize
from headgrid.experiments.smallest import CircuitSearch, smallest_circuit
from headgrid.linalg.factored import FactoredMatrix
from headgrid.plots import color_scale
from headgrid.plots.canvas import written
from headgrid.plots.style import LIGHT

mpl.use("Agg")

MODEL, TOKENIZER = hg.demo()  # 2 layers of 4 heads; l0h1 is a previous-token head, l1h2 an induction head
HEADS = {title: summarize(MODEL, title, TOKENIZER, ln="raw") for title in ("l0h1", "l1h2")}
OV, QK, MLP = HEADS["l1h2"].ov, HEADS["l0h1"].qk, summarize(MODEL, "l0 mlp", TOKENIZER)


def composed(n_layers: int, n_heads: int) -> Composition:
    heads = tuple((layer, head) for layer in range(n_layers) for head in range(n_heads))
    missing = torch.tensor([[source[0] >= target[0] for target in heads] for source in heads])
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(3, len(heads), len(heads), generator=generator, dtype=torch.float64).mul_(3)
    scores[:, missing] = torch.nan
    return Composition(heads, *(scores / 100), *scores, baseline=0.1, ln="folded", stack="")


COMPOSED = composed(3, 5)
SCORES = torch.randn(3, 5, generator=torch.Generator().manual_seed(1))


@cache
def searched() -> CircuitSearch:
    return smallest_circuit(MODEL, hg.Task.names(TOKENIZER, 12))


EACH = {
    "grid": lambda ax: plots.grid(SCORES, ax=ax, annotate=True, selected=SCORES > 1, label="score"),
    "spectrum": lambda ax: plots.spectrum(OV, ax=ax),
    "tokens": lambda ax: plots.tokens(OV, ax=ax),
    "pairs": lambda ax: plots.pairs(OV, ax=ax),
    "offsets": lambda ax: plots.offsets(QK, ax=ax),
    "composition": lambda ax: plots.composition(COMPOSED, ax=ax, z=1),
    "faithfulness": lambda ax: plots.faithfulness(searched(), ax=ax),
}


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


def new_axes(width: float = 6, height: float = 5) -> Axes:
    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure.add_subplot()


def mesh_of(ax: Axes) -> QuadMesh:
    (mesh,) = (artist for artist in ax.collections if isinstance(artist, QuadMesh))
    return mesh


def contrast(one: Any, other: Any) -> float:
    """The ratio of two colors as WCAG 2.2 defines it."""

    def luminance(color: Any) -> float:
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color[:3])
        return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def cells_of(ax: Axes) -> np.ndarray:
    return np.ma.filled(mesh_of(ax).get_array().astype(float), np.nan)


def color_bar_of(ax: Axes) -> Axes:
    (bar,) = ax.child_axes
    return bar


def heights_of(ax: Axes, which: int = 0) -> list[float]:
    bars = [container for container in ax.containers if isinstance(container, BarContainer)]
    return [bar.get_height() for bar in bars[which]]


def arrows_of(ax: Axes) -> dict[str, FancyArrowPatch]:
    return {arrow.get_gid(): arrow for arrow in ax.patches if isinstance(arrow, FancyArrowPatch) and arrow.get_gid()}


def overlapping(ax: Axes, texts: list[Any]) -> list[tuple[str, str]]:
    """Pairs of texts that lie on each other when drawn."""
    ax.figure.canvas.draw()
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text() and text.get_visible()]
    return [(a, b) for i, (a, box) in enumerate(boxes) for b, other in boxes[:i] if box.overlaps(other)]


@pytest.mark.parametrize("name", EACH)
def test_given_axes_come_back_and_no_figure_is_made(name: str) -> None:
    before, ax = plt.get_fignums(), new_axes()
    assert EACH[name](ax) is ax
    assert plt.get_fignums() == before


@pytest.mark.parametrize("name", EACH)
def test_without_axes_one_figure_is_made(name: str) -> None:
    before = plt.get_fignums()
    ax = EACH[name](None)
    assert isinstance(ax, Axes)
    assert plt.get_fignums() == [*before, ax.figure.number]


@pytest.mark.parametrize("name", EACH)
def test_settings_of_matplotlib_are_left_as_they_are(name: str) -> None:
    before, maps = dict(mpl.rcParams), list(mpl.colormaps)
    EACH[name](new_axes()).figure.canvas.draw()
    assert dict(mpl.rcParams) == before
    assert list(mpl.colormaps) == maps


@pytest.mark.slow
@pytest.mark.filterwarnings("error:.*layout", "error:Glyph")
@pytest.mark.parametrize("name", EACH)
def test_everything_drawn_lies_inside_a_figure_of_its_own(name: str) -> None:
    ax = EACH[name](None)
    ax.figure.canvas.draw()
    ax.figure.canvas.draw()  # constrained layout settles on the second
    box, page = ax.get_tightbbox(), ax.figure.bbox
    assert box.x0 >= page.x0 - 1
    assert box.y0 >= page.y0 - 1
    assert box.x1 <= page.x1 + 1
    assert box.y1 <= page.y1 + 1


def test_axes_that_are_no_axes_are_named() -> None:
    with pytest.raises(TypeError, match="one matplotlib Axes or None, not an array of shape"):
        plots.grid(SCORES, ax=Figure().subplots(1, 2))  # type: ignore[arg-type]


@pytest.mark.slow
def test_importing_plots_imports_no_matplotlib_and_drawing_without_it_names_the_extra() -> None:
    code = """
import sys
import headgrid as hg
from headgrid import plots
assert not any(name.split(".")[0] == "matplotlib" for name in sys.modules)
sys.modules["matplotlib"] = None
sys.modules["matplotlib.axes"] = None
try:
    plots.spectrum([2.0, 1.0])
except ImportError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "pip install headgrid[plots]" in said


class TestGrid:
    @pytest.mark.parametrize(
        "kind", [lambda x: x, lambda x: x.to(torch.bfloat16), lambda x: x.numpy(), lambda x: x.tolist()]
    )
    def test_its_cells_are_the_values_with_layer_0_at_the_top(self, kind: Any) -> None:
        ax = plots.grid(kind(SCORES), ax=new_axes())
        assert cells_of(ax).shape == (3, 5)
        np.testing.assert_allclose(cells_of(ax), SCORES, rtol=1e-2)
        assert ax.get_xlim() == (-0.5, 4.5)
        assert ax.get_ylim() == (2.5, -0.5)
        assert ax.transData.transform((0, 0))[1] > ax.transData.transform((0, 2))[1]
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("head", "layer")

    def test_values_of_both_signs_get_colors_symmetric_around_0(self) -> None:
        low, high = mesh_of(plots.grid([[-1.0, 3.0, 0.0]], ax=new_axes())).get_clim()
        assert (low, high) == (-3, 3)
        mesh = mesh_of(plots.grid([[-1.0, 3.0, 0.0]], ax=new_axes()))
        assert min(mesh.to_rgba([0.0])[0]) > 0.93, "0 is nearly white"

    def test_values_of_one_sign_go_from_zero_to_the_largest(self) -> None:
        mesh = mesh_of(plots.grid([[1.0, 3.0, 2.0]], ax=new_axes()))
        assert mesh.get_clim() == (0, 3)
        assert mesh.get_cmap().name == "cividis"
        assert mesh_of(plots.grid([[1.0, 3.0]], ax=new_axes(), from_zero=False)).get_clim() == (1, 3)

    def test_one_outlier_does_not_flatten_all_others_and_is_counted(self) -> None:
        values = np.append(np.linspace(1, 4, 23), 400.0).reshape(4, 6)
        mesh = mesh_of(ax := plots.grid(values, ax=new_axes(), label="norm"))
        assert mesh.get_clim() == (0, 6)
        assert mesh.colorbar.extend == "max"
        assert color_bar_of(ax).get_ylabel() == "norm\n1 to 4\n1 above, up to 400"

    @pytest.mark.slow
    def test_a_narrow_range_is_not_stretched_and_is_written_down(self) -> None:
        mesh = mesh_of(ax := plots.grid([[4.9, 5.0], [4.95, 4.96]], ax=new_axes()))
        colors = mesh.to_rgba([4.9, 5.0])
        assert np.abs(colors[0] - colors[1]).max() < 0.1
        assert color_bar_of(ax).get_ylabel() == "4.9 to 5\na spread of 2%"

    def test_limits_and_the_way_of_colors_can_be_given(self) -> None:
        assert mesh_of(plots.grid([[1.0, 3.0]], ax=new_axes(), diverging=True)).get_clim() == (-3, 3)
        assert mesh_of(plots.grid([[-1.0, 3.0]], ax=new_axes(), diverging=False)).get_clim() == (-1, 3)
        assert mesh_of(plots.grid([[-1.0, 3.0]], ax=new_axes(), low=-2, high=1.5)).get_clim() == (-2, 2)
        assert mesh_of(plots.grid([[0.2, 0.4]], ax=new_axes(), low=0, high=1)).get_clim() == (0, 1)

    @pytest.mark.parametrize(
        ("low", "high", "extend"), [(0, 9, "neither"), (2, 9, "min"), (0, 2, "max"), (2, 3, "both")]
    )
    def test_the_color_bar_is_pointed_where_values_lie_beyond_it(self, low: float, high: float, extend: str) -> None:
        ax = plots.grid([[1.0, 4.0]], ax=new_axes(), low=low, high=high, label="norm")
        assert mesh_of(ax).colorbar.extend == extend
        below, above = ["1 below, down to 1"] * (low > 1), ["1 above, up to 4"] * (high < 4)
        said = color_bar_of(ax).get_ylabel().splitlines()
        assert said[0] == "norm"
        assert [line for line in said if "below" in line or "above" in line] == below + above

    @pytest.mark.parametrize("value", [0.0, 2.5, -1.0])
    def test_equal_values_have_a_scale_as_well(self, value: float) -> None:
        low, high = mesh_of(plots.grid([[value, value]], ax=new_axes())).get_clim()
        assert low <= value <= high
        assert low < high

    def test_missing_values_are_dots_in_gray_cells_and_explained_only_where_there_are_any(self) -> None:
        values = SCORES.clone()
        values[1], values[2, 3] = torch.nan, torch.nan
        ax = plots.grid(values, ax=new_axes())
        (dots,) = (artist for artist in ax.collections if isinstance(artist, PathCollection))
        assert {tuple(place) for place in dots.get_offsets()} == {*((head, 1) for head in range(5)), (3, 2)}
        assert to_hex(mesh_of(ax).get_cmap().get_bad()) == LIGHT.cell
        (said,) = color_bar_of(ax).get_legend().get_texts()
        assert said.get_text() == "no value"
        np.testing.assert_array_equal(np.isnan(cells_of(ax)), values.isnan())
        without = plots.grid(SCORES, ax=new_axes())
        assert [type(artist) for artist in without.collections] == [QuadMesh]
        assert color_bar_of(without).get_legend() is None

    def test_a_value_beyond_the_scale_has_its_corner_marked_and_the_legend_says_what_all_marks_mean(self) -> None:
        ax = plots.grid([[9.0, 1.0], [np.nan, 0.2]], ax=new_axes(), low=0.5, high=2, selected=[[True, False]] * 2)
        (corners,) = (artist for artist in ax.collections if type(artist) is PolyCollection)
        middles = [path.vertices[:3].mean(axis=0) for path in corners.get_paths()]
        assert [tuple(np.round(middle).astype(int)) for middle in middles] == [(0, 0), (1, 1)]
        assert [text.get_text() for text in color_bar_of(ax).get_legend().get_texts()] == [
            "no value", "beyond the scale", "selected",
        ]  # fmt: skip

    @pytest.mark.parametrize("diverging", [False, True])
    def test_values_have_the_colors_of_the_widget(self, diverging: bool) -> None:
        widget = color_scale.colors(diverging)
        values = np.linspace(-1 if diverging else 0, 1, len(widget))
        drawn = mesh_of(plots.grid(values[None], ax=new_axes(), diverging=diverging)).to_rgba(values)
        theirs = np.array([mpl.colors.to_rgb(color) for color in widget])
        assert np.abs(drawn[:, :3] - theirs).max() < 0.03

    def test_heads_that_share_a_key_value_head_stand_together(self) -> None:
        def gaps(**given: Any) -> list[float]:
            found = plots.grid(np.ones((2, 6)), ax=new_axes(), **given).collections
            return [
                path.vertices[0, 0] for lines in found if type(lines) is LineCollection for path in lines.get_paths()
            ]

        assert gaps() == gaps(n_kv_heads=6) == []
        assert gaps(n_kv_heads=3) == [1.5, 3.5]
        config = tiny.config("llama with grouped-query attention")  # 6 heads share 3 key/value heads
        selection = hg.dissect(config).select("none")
        ax = plots.grid(np.ones((3, 6)), ax=new_axes(), selected=selection)
        assert sum(type(lines) is LineCollection for lines in ax.collections) == 1
        with pytest.raises(ValueError, match="n_kv_heads is 4, which does not divide the 6 heads"):
            gaps(n_kv_heads=4)

    def test_nothing_but_missing_values_is_drawn_too(self) -> None:
        ax = plots.grid(torch.full((2, 3), torch.nan), ax=new_axes(), annotate=True)
        assert np.isnan(cells_of(ax)).all()
        assert not ax.texts

    def test_infinite_values_do_not_stretch_the_scale(self) -> None:
        ax = plots.grid([[1.0, 2.0, np.inf]], ax=new_axes())
        assert mesh_of(ax).get_clim() == (0, 2)
        assert color_bar_of(ax).get_legend().get_texts()[0].get_text() == "NaN or inf"

    def test_selected_heads_are_outlined_inside_their_cells(self) -> None:
        selected = torch.zeros(3, 5, dtype=torch.bool)
        selected[0, 4] = selected[2, 1] = True
        ax = plots.grid(SCORES, ax=new_axes(), selected=selected)
        (outlines,) = (artist for artist in ax.collections if isinstance(artist, PatchCollection))
        boxes = [path.get_extents() for path in outlines.get_paths()]
        assert [(round((b.x0 + b.x1) / 2, 6), round((b.y0 + b.y1) / 2, 6)) for b in boxes] == [(4, 0), (1, 2)]
        assert all(0.6 < b.width < 1 and 0.6 < b.height < 1 for b in boxes)

    def test_of_a_selection_the_heads_selected_whole_are_outlined(self) -> None:
        selection = hg.dissect(MODEL).select("l1h2 | l0h3.q | l0 mlp")
        ax = plots.grid(torch.rand(2, 4), ax=new_axes(), selected=selection)
        (outlines,) = (artist for artist in ax.collections if isinstance(artist, PatchCollection))
        (path,) = outlines.get_paths()
        np.testing.assert_allclose(path.get_extents().get_points().mean(0), (2, 1))

    def test_annotated_cells_hold_their_numbers_and_none_overlap(self) -> None:
        values = torch.tensor([[0.1, -0.125, 0.937], [0.5, torch.nan, 0.0]])
        ax = plots.grid(values, annotate=True)
        said = {text.get_position(): text.get_text() for text in ax.texts}
        assert said == {(0, 0): "0.10", (1, 0): "−0.12", (2, 0): "0.94", (0, 1): "0.50", (2, 1): "0.00"}
        assert overlapping(ax, ax.texts) == []

    def test_numbers_fit_into_the_cells_of_small_axes(self) -> None:
        ax = plots.grid(torch.rand(12, 12), ax=new_axes(3, 3), annotate=True)
        assert len(ax.texts) == 144
        assert overlapping(ax, ax.texts) == []

    def test_annotations_are_legible_on_dark_cells_and_on_light_ones(self) -> None:
        ax = plots.grid([[0.0, 1.0]], ax=new_axes(), annotate=True)
        assert [text.get_color() for text in ax.texts] == ["#ffffff", "#000000"]

    @pytest.mark.parametrize("diverging", [False, True])
    def test_an_annotation_has_the_contrast_of_wcag_on_every_color_of_the_scale(self, diverging: bool) -> None:
        ax = plots.grid(np.linspace(-1 if diverging else 0, 1, 256).reshape(16, 16), ax=new_axes(), annotate=True)
        assert len(ax.texts) == 256
        cells = {text.get_position(): text for text in ax.texts}
        fills = mesh_of(ax).to_rgba(cells_of(ax))
        for (head, layer), text in cells.items():
            assert contrast(fills[layer, head], mpl.colors.to_rgba(text.get_color())) >= 4.5

    @pytest.mark.slow
    @pytest.mark.parametrize("shape", [(2, 4), (12, 12), (32, 64), (126, 128)])
    @pytest.mark.parametrize("size", [(1.5, 1.5), (6, 5)])
    def test_ticks_are_whole_heads_and_layers_and_do_not_overlap(
        self, shape: tuple[int, int], size: tuple[float, float]
    ) -> None:
        ax = plots.grid(torch.rand(shape), ax=new_axes(*size))
        for axis, n in ((ax.xaxis, shape[1]), (ax.yaxis, shape[0])):
            ticks = axis.get_ticklocs()
            assert ticks[0] == 0
            assert all(tick == int(tick) and 0 <= tick < n for tick in ticks)
            assert len(set(np.diff(ticks))) <= 1
            assert overlapping(ax, axis.get_ticklabels()) == []

    @pytest.mark.parametrize(
        ("values", "says"),
        [
            (torch.rand(4), r"values should be \[n_layers, n_heads\], not of the shape \[4\]"),
            (torch.rand(2, 3, 4), r"not of the shape \[2, 3, 4\]"),
            (torch.rand(0, 3), r"not of the shape \[0, 3\]"),
            ([[1.0], [1.0, 2.0]], r"values should be numbers \[n_layers, n_heads\]"),
            ([["a"]], "values should be numbers"),
            (torch.ones(2, 2, dtype=torch.complex64), r"values should be numbers .*, not an array of .* complex64"),
        ],
    )
    def test_other_values_are_refused_with_their_shape(self, values: Any, says: str) -> None:
        with pytest.raises((TypeError, ValueError), match=says):
            plots.grid(values, ax=new_axes())

    def test_selections_of_another_shape_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"selected is \[5, 3\], and values are \[3, 5\]"):
            plots.grid(SCORES, ax=new_axes(), selected=torch.ones(5, 3, dtype=torch.bool))
        with pytest.raises(ValueError, match=r"GPT2LMHeadModel.*its heads are \[2, 4\], and values are \[3, 5\]"):
            plots.grid(SCORES, ax=new_axes(), selected=hg.dissect(MODEL).select("l0h0"))

    def test_a_scale_that_ends_before_it_begins_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"low should be less than high; they are 2\.0 and 1\.0"):
            plots.grid(SCORES, ax=new_axes(), low=2, high=1)


class TestSpectrum:
    def test_bars_are_the_singular_values(self) -> None:
        ax = plots.spectrum(OV, ax=new_axes())
        dense = torch.linalg.svdvals(hg.Weights(MODEL).W_OV[1, 2].dense().double())[:24]
        np.testing.assert_allclose(heights_of(ax), dense, rtol=1e-6)
        (bars,) = (container for container in ax.containers if isinstance(container, BarContainer))
        assert [bar.get_x() + bar.get_width() / 2 for bar in bars] == pytest.approx(range(24))

    def test_directions_that_are_not_identified_are_hatched_and_explained(self) -> None:
        matrix = FactoredMatrix(torch.diag(torch.tensor([5.0, 3.0, 3.0, 1.0])), torch.eye(4))
        ax = plots.spectrum(matrix, ax=new_axes())
        (bars,) = (container for container in ax.containers if isinstance(container, BarContainer))
        assert [bool(bar.get_hatch()) for bar in bars] == [False, True, True, False]
        assert ax.get_legend().get_texts()[-1].get_text() == "not identified"
        assert len(plots.spectrum([3.0, 2.0], ax=new_axes()).get_legend().get_texts()) == 1

    def test_the_legend_names_the_circuit_and_its_effective_ranks(self) -> None:
        said = plots.spectrum(1 / torch.arange(1, 17), ax=new_axes(), label="l1h2").get_legend().get_texts()
        assert [text.get_text() for text in said] == ["l1h2\nstable rank 1.6\nentropy rank 10.6"]
        assert plots.spectrum(OV, ax=new_axes()).get_legend().get_texts()[0].get_text() == (
            f"OV\nstable rank {OV.stable_rank:.1f}\nentropy rank {OV.entropy_rank:.1f}"
        )

    def test_several_spectra_share_axes_in_several_colors(self) -> None:
        ax = plots.spectrum(OV, ax=new_axes(), label="a")
        plots.spectrum([4.0, 2.0, 1.0], ax=ax, label="b")
        assert heights_of(ax, 1) == [4, 2, 1]
        legend = ax.get_legend()
        assert [text.get_text()[0] for text in legend.get_texts()][:2] == ["a", "b"]
        assert legend.get_patches()[0].get_facecolor() != legend.get_patches()[1].get_facecolor()

    def test_a_logarithmic_axis_shows_the_smallest_value_and_leaves_rounding_out(self) -> None:
        ax = plots.spectrum([4.0, 0.25, 1e-16, 0.0], ax=new_axes(), log=True)
        assert ax.get_yscale() == "log"
        low, high = ax.get_ylim()
        assert 0.1 < low < 0.25
        assert high > 4
        ax.figure.canvas.draw()

    def test_what_a_scan_fills_up_with_is_left_out(self) -> None:
        assert heights_of(plots.spectrum([2.0, 1.0, np.nan, np.nan], ax=new_axes())) == [2, 1]

    @pytest.mark.parametrize(
        ("given", "fault", "says"),
        [
            (torch.rand(3, 4), ValueError, r"singular values should be \[n\], not of the shape \[3, 4\]"),
            ([1.0, -1.0], ValueError, "at least 0"),
            ([np.nan, np.nan], ValueError, "finite"),
            (HEADS["l1h2"], TypeError, r"a HeadSummary has several circuits: pass its \.ov or \.qk"),
            (object(), TypeError, "singular values should be numbers"),
        ],
    )
    def test_what_has_no_spectrum_is_refused(self, given: Any, fault: type[Exception], says: str) -> None:
        with pytest.raises(fault, match=says):
            plots.spectrum(given, ax=new_axes())


class TestTokens:
    def test_each_column_is_a_direction_with_its_tokens_shaded_by_logit(self) -> None:
        ax = plots.tokens(OV, ax=new_axes(), n_directions=3, n_tokens=4)
        words = {text.get_position(): text.get_text() for text in ax.texts}
        assert words == {(i, j): written(OV.write_tokens.top[i][j]) for i in range(3) for j in range(4)}
        np.testing.assert_array_equal(cells_of(ax), OV.write_tokens.values[:3, :4].T)
        assert ax.get_ylim() == (3.5, -0.5)
        assert ax.get_title() == "OV: what it writes (top tokens)"
        assert [label.get_text() for label in ax.get_xticklabels()] == [
            f"{i}\nσ = {float(OV.singular_values[i]):.3g}" for i in range(3)
        ]

    def test_both_sides_and_both_signs_can_be_shown(self) -> None:
        ax = plots.tokens(QK, ax=new_axes(), side="reads", sign="bottom")
        assert ax.texts[0].get_text() == written(QK.read_tokens.bottom[0][0])
        np.testing.assert_array_equal(cells_of(ax), QK.read_tokens.bottom_values[:5, :8].T)
        low, high = mesh_of(ax).get_clim()
        assert low < 0 == high
        assert ax.get_title() == "QK: query side (bottom tokens)"

    @pytest.mark.parametrize("sign", ["top", "bottom"])
    def test_shades_go_from_white_at_0_to_the_strongest_logit_and_carry_black_text(self, sign: str) -> None:
        mesh = mesh_of(plots.tokens(OV, ax=new_axes(), sign=sign))
        ends = [0.0, float(np.ma.filled(mesh.get_array()).flat[np.abs(mesh.get_array()).argmax()])]
        assert sorted(mesh.get_clim()) == sorted(ends)
        white, strongest = mesh.to_rgba(ends)[:, :3]
        assert white.min() > 0.93
        assert strongest.max() - strongest.min() > 0.1
        linear = np.where(strongest <= 0.04045, strongest / 12.92, ((strongest + 0.055) / 1.055) ** 2.4)
        assert (linear @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.05 > 4.5, "the contrast that WCAG asks for"

    def test_logits_of_both_signs_are_shaded_symmetrically(self) -> None:
        mixed = replace(OV.write_tokens, values=OV.write_tokens.values - OV.write_tokens.values.median())
        low, high = mesh_of(plots.tokens(mixed, ax=new_axes())).get_clim()
        assert low == -high < 0

    def test_a_direction_that_is_not_identified_is_marked(self) -> None:
        marked = replace(OV, unclear=torch.tensor([False, True, True] + 7 * [False]))
        heads = [label.get_text().split("\n")[0] for label in plots.tokens(marked, ax=new_axes()).get_xticklabels()]
        assert heads == ["0", "1?", "2?", "3", "4"]

    def test_a_token_table_and_ids_without_a_tokenizer_are_shown_too(self) -> None:
        ids = summarize(MODEL, "l1h2", ln="raw").ov.write_tokens
        ax = plots.tokens(ids, ax=new_axes(), n_directions=2, n_tokens=2)
        assert [text.get_text() for text in ax.texts] == [f"#{i}" for i in OV.write_tokens.ids[:2, :2].flatten()]

    @pytest.mark.filterwarnings("error:Glyph")
    def test_odd_tokens_are_drawn_letter_by_letter(self) -> None:
        odd = [" the", "\n\n", "$x_1$", "$\\frac{", "你", "  ", "a" * 40, "\\", "%#&^_{}"]
        odd_table = replace(OV.write_tokens, top=[odd] * 10)
        ax = plots.tokens(odd_table, ax=new_axes(), n_tokens=9, n_directions=1)
        assert [text.get_text() for text in ax.texts] == [
            "␣the", "\\n\\n", "$x_1$", "$\\frac{", "\\u4f60", "␣␣", "a" * 15 + "…", "\\", "%#&^_{}"
        ]  # fmt: skip
        assert not any(text.get_parse_math() or text.get_usetex() for text in ax.texts)
        ax.figure.canvas.draw()

    def test_an_mlp_and_a_neuron_have_tables_too(self) -> None:
        ax = plots.tokens(MLP.w_in, ax=new_axes(), side="reads")
        assert ax.get_title() == "W_in: what it reads (top tokens)"
        neuron = summarize(MODEL, "l0 mlp n5", TOKENIZER)
        ax = plots.tokens(neuron, ax=new_axes())
        assert [text.get_text() for text in ax.texts] == [written(word) for word in neuron.write_tokens.top[0][:8]]

    def test_every_word_lies_inside_its_cell(self) -> None:
        ax = plots.tokens(OV, ax=new_axes(3, 2.5))
        ax.figure.canvas.draw()
        for text in ax.texts:
            column, row = text.get_position()
            cell = ax.transData.transform([(column - 0.5, row - 0.5), (column + 0.5, row + 0.5)])
            box = text.get_window_extent()
            assert box.x0 >= cell[:, 0].min(), text
            assert box.x1 <= cell[:, 0].max(), text

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [
            ({"side": "write"}, "side is 'reads' or 'writes', not 'write'"),
            ({"sign": "+"}, "sign is 'top' or 'bottom'"),
            ({"n_tokens": 0}, "n_tokens is a number of rows of at least 1, not 0"),
        ],
    )
    def test_other_sides_signs_and_numbers_are_refused(self, wrong: Any, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            plots.tokens(OV, ax=new_axes(), **wrong)

    def test_a_side_without_tokens_says_why(self) -> None:
        mute = replace(OV, write_tokens=None, notes=("there is no unembedding",))
        with pytest.raises(ValueError, match=r"no tokens of what this .* writes: there is no unembedding"):
            plots.tokens(mute, ax=new_axes())
        with pytest.raises(ValueError, match=r"writes.*; ask for side='reads'"):
            plots.tokens(MLP.w_in, ax=new_axes())
        with pytest.raises(TypeError, match=r"pass its \.ov"):
            plots.tokens(HEADS["l1h2"], ax=new_axes())


class TestPairs:
    def test_bars_are_the_strongest_pairs_from_the_top(self) -> None:
        ax = plots.pairs(OV, ax=new_axes(), n=6)
        (bars,) = (container for container in ax.containers if isinstance(container, BarContainer))
        np.testing.assert_allclose([bar.get_width() for bar in bars], OV.pairs.values[:6])
        labels = [label.get_text() for label in ax.get_yticklabels()]
        expected = [f"{written(a)} → {written(b)}" for a, b in zip(OV.pairs.sources, OV.pairs.targets, strict=True)]
        assert labels == expected[:6]
        assert ax.yaxis_inverted()
        assert ax.get_title() == "OV: attends to → writes"

    def test_ids_are_shown_without_a_tokenizer(self) -> None:
        bare = summarize(MODEL, "l0h1", ln="raw").qk
        first = plots.pairs(bare, ax=new_axes()).get_yticklabels()[0].get_text()
        assert first == f"#{QK.pairs.source_ids[0]} → #{QK.pairs.target_ids[0]}"

    def test_tokens_with_dollars_are_not_read_as_formulas(self) -> None:
        dear = replace(QK.pairs, sources=["$a$"] * 10)
        ax = plots.pairs(dear, ax=new_axes())
        ax.figure.canvas.draw()
        assert not any(label.get_parse_math() for label in ax.get_yticklabels())
        assert ax.get_yticklabels()[0].get_text().startswith("$a$ → ")

    def test_a_search_of_some_pairs_alone_is_said(self) -> None:
        some = replace(OV.pairs, searched="the 9 x 7 tokens with the longest vectors, of 306 x 306")
        said = plots.pairs(some, ax=new_axes()).get_xlabel().replace("\n", " ")
        assert said == "score searched: the 9 x 7 tokens with the longest vectors, of 306 x 306"

    def test_a_circuit_without_pairs_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no token pairs in this"):
            plots.pairs(replace(OV, pairs=None), ax=new_axes())
        with pytest.raises(ValueError, match="n is a number of pairs of at least 1, not 0"):
            plots.pairs(OV, ax=new_axes(), n=0)


class TestOffsets:
    def test_the_line_is_the_score_at_each_distance_and_its_largest_is_marked(self) -> None:
        ax = plots.offsets(QK, ax=new_axes())
        line = max(ax.lines, key=lambda line: len(line.get_xdata()))
        np.testing.assert_array_equal(line.get_xdata(), range(128))
        np.testing.assert_array_equal(line.get_ydata(), QK.offsets)
        assert int(QK.offsets.argmax()) == 1, "l0h1 looks one token back"
        assert [text.get_text() for text in ax.texts] == ["1 back"]

    def test_a_circuit_without_scores_by_distance_says_why(self) -> None:
        rotary = replace(QK, offsets=None, notes=("positions are rotary",))
        with pytest.raises(ValueError, match=r"no scores by distance.*positions are rotary"):
            plots.offsets(rotary, ax=new_axes())


class TestComposition:
    @staticmethod
    def strong(z: float, kinds: str = "qkv") -> list[tuple[float, str]]:
        found = []
        for kind in kinds:
            for i, (layer, head) in enumerate(COMPOSED.heads):
                for j, (later, reader) in enumerate(COMPOSED.heads):
                    score = float(getattr(COMPOSED, f"{kind}_z")[i, j])
                    if layer < later and score >= z:
                        found.append((score, f"{kind} l{layer}h{head} l{later}h{reader}"))
        return sorted(found, reverse=True)

    def test_the_strongest_arrows_are_drawn_and_the_title_counts_them(self) -> None:
        ax = plots.composition(COMPOSED, ax=new_axes(), n=7, z=2)
        strong = self.strong(2)
        assert set(arrows_of(ax)) == {name for _, name in strong[:7]}
        assert ax.get_title() == f"the 7 strongest of {len(strong)} with z ≥ 2, of 225 compared"

    def test_all_are_drawn_where_there_are_no_more_than_n(self) -> None:
        ax = plots.composition(COMPOSED, ax=new_axes(), n=500, z=4)
        assert set(arrows_of(ax)) == {name for _, name in self.strong(4)}
        assert ax.get_title() == f"all {len(self.strong(4))} with z ≥ 4, of 225 compared"
        nothing = plots.composition(COMPOSED, ax=new_axes(), z=1000)
        assert not arrows_of(nothing)
        assert nothing.get_title() == "none with z ≥ 1000, of 225 compared"

    def test_an_arrow_goes_from_its_source_to_its_target_and_is_as_wide_as_it_is_strong(self) -> None:
        ax = plots.composition(COMPOSED, ax=new_axes(), n=9, z=1)
        ax.figure.canvas.draw()
        widths = []
        for _, name in self.strong(1)[:9]:
            arrow = arrows_of(ax)[name]
            ends = [tuple(map(int, end[1:].split("h"))) for end in name.split()[1:]]
            path = ax.transData.transform(arrow.get_path().vertices)
            for place, (layer, head) in ((path[0], ends[0]), (path[-1], ends[1])):
                assert np.linalg.norm(place - ax.transData.transform((head, layer))) < 25, "points, to the circle's rim"
            widths.append(arrow.get_linewidth())
        assert widths == sorted(widths, reverse=True)
        assert widths[0] > 2 * widths[-1]

    def test_kinds_differ_in_color_and_in_dashes(self) -> None:
        ax = plots.composition(COMPOSED, ax=new_axes(), n=60, z=0)
        looks = {(name[0], arrow.get_edgecolor(), str(arrow.get_linestyle())) for name, arrow in arrows_of(ax).items()}
        assert {kind for kind, *_ in looks} == {"k", "q", "v"}
        outliers = plots.composition(replace(COMPOSED, q_z=COMPOSED.q_z * 40), ax=new_axes(), n=60, z=0)
        colors = {to_hex(arrow.get_edgecolor()) for name, arrow in arrows_of(outliers).items() if name[0] == "q"}
        assert LIGHT.q in colors, "that of the widget"
        assert len({(kind, dashes) for kind, _, dashes in looks}) == len({dashes for *_, dashes in looks}) == 3
        assert [text.get_text() for text in ax.get_legend().get_texts()][:3] == ["Q", "K", "V"]

    def test_what_does_not_stand_out_from_the_models_own_pairs_is_gray_and_the_figure_says_why(self) -> None:
        ax = plots.composition(compose(MODEL), ax=new_axes())
        gray = {name for name, arrow in arrows_of(ax).items() if to_hex(arrow.get_edgecolor()) == LIGHT.hatch}
        assert len(arrows_of(ax)) == 15
        assert set(arrows_of(ax)) - gray == {"k l0h1 l1h2"}
        said = [text.get_text() for text in ax.get_legend().get_texts()]
        assert said[-2:] == ["z ≤ 19.9: as most pairs", "z is alignment, not use"]
        few = plots.composition(compose(MODEL, "l0h1 | l1h2"), ax=new_axes())
        assert {to_hex(arrow.get_edgecolor()) for arrow in arrows_of(few).values()} == {LIGHT.hatch}
        assert few.get_legend().get_texts()[-2].get_text() == "too few pairs to compare"

    def test_one_kind_can_be_shown_alone(self) -> None:
        ax = plots.composition(COMPOSED, ax=new_axes(), kinds="K", z=1, n=100)
        assert set(arrows_of(ax)) == {name for _, name in self.strong(1, "k")}
        assert ax.get_legend().get_texts()[0].get_text() == "K"

    def test_every_head_compared_is_a_circle(self) -> None:
        ax = plots.composition(COMPOSED, ax=new_axes())
        (circles,) = ax.collections
        assert [tuple(place) for place in circles.get_offsets()] == [(head, layer) for layer, head in COMPOSED.heads]
        assert ax.yaxis_inverted()

    @pytest.mark.parametrize(
        ("wrong", "says"),
        [({"kinds": "QX"}, "not 'QX'"), ({"kinds": ""}, "not ''"), ({"n": 0}, "n is a number of arrows of at least 1")],
    )
    def test_other_kinds_and_numbers_are_refused(self, wrong: Any, says: str) -> None:
        with pytest.raises(ValueError, match=says):
            plots.composition(COMPOSED, ax=new_axes(), **wrong)

    def test_the_induction_circuit_of_the_shipped_model_is_its_strongest_arrow(self) -> None:
        ax = plots.composition(compose(MODEL), ax=new_axes(), n=1)
        assert set(arrows_of(ax)) == {"k l0h1 l1h2"}
        assert ax.get_title().endswith("of 48 compared")

    def test_a_composition_of_no_heads_is_refused(self) -> None:
        with pytest.raises(ValueError, match="of no heads"):
            plots.composition(replace(COMPOSED, heads=()), ax=new_axes())

    def test_scores_of_other_heads_are_refused(self) -> None:
        short = replace(COMPOSED, heads=COMPOSED.heads[:-1])
        with pytest.raises(ValueError, match=r"q_z should be \[14, 14\] for 14 heads, not \[15, 15\]"):
            plots.composition(short, ax=new_axes())


def test_a_font_with_the_letters_shows_them_instead_of_codes() -> None:
    assert written("é→") == "é→"
    assert written("\ue000") == "\\ue000"
    with mpl.rc_context({"font.family": ["a font that nobody has", "DejaVu Sans"]}):
        assert written("é") == "é"


def test_figures_fit_into_a_panel_of_subfigures() -> None:
    figure = Figure(figsize=(8, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subfigures(1, 2)
    drawn = plots.grid(SCORES, ax=left.subplots()), plots.tokens(OV, ax=right.subplots())
    figure.canvas.draw()
    assert all(ax.get_window_extent().width > 100 for ax in drawn)
    assert all(isinstance(patch, Rectangle) for patch in drawn[1].patches)


def test_a_curve_of_circuits_has_the_faithfulness_of_each_size_and_names_the_smallest() -> None:
    search = searched()
    ax = plots.faithfulness(search, ax=new_axes())
    curve = ax.lines[0]
    assert list(curve.get_xdata()) == list(range(9))
    assert list(curve.get_ydata()) == [step.faithfulness.value for step in reversed(search.curve)]
    (band,) = (artist for artist in ax.patches if artist.get_alpha() == 0.25)
    assert [band.get_y(), band.get_height()] == pytest.approx([0.9, 0.2])
    assert search.smallest is not None
    assert [text.get_text() for text in ax.texts] == [str(search.smallest.circuit)]
    assert len(ax.lines) == 2 + len(search.others), "the curve, the smallest, and a ring for each as small"
    with pytest.raises(TypeError, match="as smallest_circuit makes it"):
        plots.faithfulness(search.curve, ax=new_axes())
