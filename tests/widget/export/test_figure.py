"""The grid as a picture, in SVG and in PNG."""

from __future__ import annotations

import io
import itertools
import re
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace

import matplotlib
import matplotlib.image
import numpy as np
import pytest
import tiny

import headgrid as hg
from headgrid.plots import color_scale, style
from headgrid.widget.export import figure, files, shapes, svg
from headgrid.widget.export.figure import draw, scene_of
from headgrid.widget.export.geometry import is_labeled
from headgrid.widget.export.png import png
from headgrid.widget.export.scene import INK, Mark, Scene
from headgrid.widget.export.shapes import Boxes, Drawing, Lines, Words
from headgrid.widget.wire.schema import Arrow, Composes

LLAMA = "llama with grouped-query attention"
FAMILIES = ("gpt2", LLAMA, "t5 with a gated mlp", "llava", "mixtral", "jamba", "deepseek_v3", "vit")


def scene(family: str = "gpt2", select: str = "none") -> Scene:
    return scene_of(hg.HeadGrid(tiny.model(family), select=select)._state)


WIDEST = style.HANDLES[0][1]
"""Of a handle; in a picture of few cells each cell is wider."""


def boxes(drawing: Drawing, fill: str) -> list[shapes.Rect]:
    """What is filled with a color, handles left out."""
    return [rect for rect in filled(drawing, fill) if rect[2] > WIDEST]


def filled(drawing: Drawing, fill: str) -> list[shapes.Rect]:
    found = [shape for shape in drawing.shapes if isinstance(shape, Boxes) and shape.fill == fill]
    return [rect for shape in found for rect in shape.rects.tolist()]


def words(drawing: Drawing) -> list[str]:
    return [shape.text for shape in drawing.shapes if isinstance(shape, Words)]


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)


def tagged(svg: str, tag: str) -> list[ET.Element]:
    return list(parsed(svg).iter("{http://www.w3.org/2000/svg}" + tag))


def test_each_cell_is_drawn_once_in_the_color_of_its_state() -> None:
    drawing = draw(scene("gpt2", "l1h2 | l0 mlp | l0h1.q"))
    n_cells = hg.HeadGrid(tiny.model("gpt2"))._state.cells.n_cells
    assert len(boxes(drawing, INK.on)) == 2 + 1  # and the legend's
    assert len(boxes(drawing, INK.cell)) == n_cells - 2 + 1
    corners = [s for s in drawing.shapes if isinstance(s, Lines) and s.filled and s.color == INK.partial]
    assert [len(shape.lines) for shape in corners if shape.lines] == [1, 1]  # the cell, and the legend


def test_a_cell_that_is_absent_is_not_drawn() -> None:
    grid = hg.HeadGrid(tiny.model("jamba"))
    drawing = draw(scene_of(grid._state))
    assert grid._state.cells.absent.any()
    assert len(boxes(drawing, INK.cell)) == grid._state.cells.n_cells - grid._state.cells.absent.sum()


def test_the_picture_says_the_model_the_selection_and_its_counts() -> None:
    drawing = draw(scene("gpt2", "l1h2 | l0 mlp"))
    said = words(drawing)
    assert " ".join(said[:2]).startswith("GPT2LMHeadModel")
    assert "l1h2 | l0 mlp" in said
    assert "1 head, 1 MLP" in said
    root = parsed(svg.svg(drawing))
    assert root.attrib["role"] == "img"
    assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]
    assert root[0].text is not None
    assert root[0].text.startswith("HeadGrid: GPT2LMHeadModel")
    assert root[1].text == "Selected: l1h2 | l0 mlp (1 head, 1 MLP)."


def test_a_long_selection_ends_in_an_ellipsis_and_not_in_the_margin() -> None:
    every_other = " | ".join(f"l{layer}h{head}.q" for layer in range(3) for head in range(layer % 2, 6, 2))
    drawing = draw(scene(LLAMA, every_other))
    lines = [shape for shape in drawing.shapes if isinstance(shape, Words) and shape.mono]
    assert len(lines) == style.PICTURE["lines"] or not lines[-1].text.endswith("…")
    assert all(shape.x + shapes.width_of(shape.text, shape.size) <= drawing.width for shape in lines)


def test_texts_are_never_markup() -> None:
    given = scene()
    hostile = '</text><script>alert("1")</script>&amp;\x00\ud800\u2028'
    named = Scene(hostile, hostile, hostile, given.bands, given.absent, given.zero, given.on, given.partial)
    svg = figure.to_svg(named)
    assert not tagged(svg, "script")
    texts = [node.text or "" for node in tagged(svg, "text")]
    assert any('</text><script>alert("1")' in text for text in texts)
    assert svg.encode("utf-8")


def test_nothing_in_it_is_asked_for_elsewhere() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"), select="l1h2")
    grid.color_by(np.arange(12).reshape(3, 4))
    svg = figure.to_svg(scene_of(grid._state))
    assert not re.search(r"url\(|href|<style|<script|<image|@import|on\w+=", svg)
    assert svg.count("http") == 1  # the name of SVG


@pytest.mark.parametrize("family", FAMILIES)
def test_no_two_cells_or_labels_overlap_and_all_are_inside(family: str) -> None:
    grid = hg.HeadGrid(tiny.config(family), select="full")
    drawing = draw(scene_of(grid._state))
    cells = boxes(drawing, INK.on)
    assert len(cells) == (~grid._state.cells.absent).sum() + 1
    cells = filled(drawing, INK.on)
    for (x, y, wide, high), (x2, y2, wide2, high2) in itertools.combinations(cells, 2):
        assert x + wide <= x2 or x2 + wide2 <= x or y + high <= y2 or y2 + high2 <= y
    outside = [spot(word) for word in words_of(drawing) if word.color != INK.mark]
    for (x, y, right, foot), (x2, y2, right2, foot2) in itertools.combinations(outside, 2):
        assert right <= x2 or right2 <= x or foot <= y2 or foot2 <= y
    every = [(x, y, x + wide, y + high) for x, y, wide, high in cells] + outside
    assert all(x >= 0 and y >= 0 and right <= drawing.width and foot <= drawing.height for x, y, right, foot in every)


def words_of(drawing: Drawing) -> list[Words]:
    return [shape for shape in drawing.shapes if isinstance(shape, Words)]


def spot(word: Words) -> tuple[float, float, float, float]:
    """Left, top, right and foot of the letters, of the width that Helvetica has on average."""
    long, high = 0.52 * word.size * len(word.text), 0.72 * word.size
    if word.upright:
        return word.x - high / 2, word.y - long, word.x + high / 2, word.y
    left = word.x - {"start": 0.0, "middle": long / 2, "end": long}[word.anchor]
    return left, word.y - high / 2, left + long, word.y + high / 2


def test_colored_cells_have_a_scale_with_its_ends_and_a_sign_for_no_value() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"), select="l1h2")
    values = np.linspace(-2.0, 1.0, 12).reshape(3, 4)
    values[0, 3] = np.nan
    grid.color_by(values, label="my <score>")
    drawing = draw(scene_of(grid._state))
    said = words(drawing)
    assert {"my <score>", "−2.00", "0", "2.00", "no value", "selected"} <= {*said}
    palette = color_scale.colors(diverging=True)
    dots = [shape for shape in drawing.shapes if isinstance(shape, Boxes) and shape.fill == INK.muted and shape.radius]
    bands = [band for band in grid.spec["bands"] if not is_labeled(band)]
    n_cells = sum(len(band["rows"]) * len(band["columns"]) for band in bands)
    assert sum(len(shape.rects) for shape in dots) == n_cells - 11 + 1, "11 of the heads have a value; 1 for the legend"
    assert "h0v0" not in svg.svg(drawing), "a dot as thick as its rim is drawn by no browser"
    assert len(boxes(drawing, palette[0])) == 1 + 1  # the lowest value, and the scale's beginning
    assert parsed(svg.svg(drawing))[1].text == "Selected: l1h2 (1 head). Colored by my <score>."


def test_a_picture_says_whether_norms_are_folded_into_what_it_shows() -> None:
    grid = hg.HeadGrid(*hg.demo())
    grid.color_by("ov_norm", ln="raw")
    assert "OV norm (raw weights)" in words(draw(scene_of(grid._state)))


def test_saved_selections_are_marked_on_their_cells_and_named() -> None:
    given = scene()
    some, more = np.zeros_like(given.on), np.zeros_like(given.on)
    some[[3, 5]], more[5] = True, True
    marks = [Mark("induction", "#d55e00", some), Mark("<b>", "#009e73", more)]
    drawing = draw(Scene(**{**vars(given), "marks": marks}))
    assert len(filled(drawing, "#d55e00")) == 2 + 1
    assert len(filled(drawing, "#009e73")) == 1 + 1
    assert {"induction", "<b>"} <= {*words(drawing)}


def test_the_marks_of_a_grid_are_its_saved_selections_in_their_colors() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"))
    grid.saved["induction"] = "l1h2 | l0h1.q"
    (mark,) = scene_of(grid._state, ["induction"]).marks
    assert (mark.name, mark.color) == ("induction", grid.saved.colors["induction"])
    assert {grid._state.cells.describe(int(i))[0] for i in np.flatnonzero(mark.cells)} == {"l1h2", "l0h1"}
    with pytest.raises(KeyError, match="induction"):
        scene_of(grid._state, ["copying"])


def test_handles_are_as_full_as_the_attention_and_the_mlp_that_they_select() -> None:
    drawing = draw(scene("mixtral", "l0 attn | l1h2 | l2 mlp"))  # a handle for attention and one for the MLP
    narrow = [rect for rect in filled(drawing, INK.on) if rect[2] == WIDEST]
    assert len(narrow) == 2
    assert {x for x, *_ in narrow} == {x for x, _, wide, _ in filled(drawing, INK.group) if wide == WIDEST}
    halves = [rect for rect in filled(drawing, INK.partial) if rect[2] == WIDEST - 2]
    assert len(halves) == 1, "l1h2 is a part of the attention of layer 1"


def test_heads_that_share_a_key_value_head_stand_together_under_its_number() -> None:
    drawing = draw(scene(LLAMA, "l*g1"))
    brackets = {shape.color: shape.lines for shape in drawing.shapes if isinstance(shape, Lines) and not shape.filled}
    assert len(brackets[INK.group]) == 1
    ((x, _), _, (right, _), _) = brackets[INK.on][0]
    inside = [rect for rect in boxes(drawing, INK.on) if x <= rect[0] <= right]
    assert len(inside) == 3 * 2, "two heads of each of three layers are selected, and stand under the bracket"
    assert {"kv 0", "kv 1"} <= {*words(drawing)}


def test_arrows_lead_from_the_head_that_writes_to_the_head_that_reads_in_the_color_of_their_kind() -> None:
    grid = hg.HeadGrid(tiny.model("gpt2"))
    head = grid._state.index.head
    kinds: tuple[Composes, ...] = ("Q", "K", "V")
    arrows: list[Arrow] = [
        {"source": head("", 0, 1), "target": head("", 2, 3), "kind": kind, "value": 0.5, "z": z}
        for kind, z in zip(kinds, (9.0, 8.0, 2.0), strict=True)
    ]
    drawing = draw(replace(scene_of(grid._state), arrows=arrows, fence=8.5))
    curves = [shape for shape in drawing.shapes if isinstance(shape, Lines) and shape.curved]
    drawn = [shape for shape in curves if shape.color != INK.ground]
    assert [(shape.color, shape.dashes) for shape in drawn[:2]] == [(INK.hatch, (7, 3)), (INK.q, ())], "V is too weak"
    cells = boxes(drawing, INK.cell)
    (x, y), (to_x, to_y) = drawn[1].lines[0][0], drawn[1].lines[0][-1]
    assert sum(left < x < left + wide and top < y < top + high for left, top, wide, high in cells) == 1
    assert sum(left < to_x < left + wide and top < to_y < top + high for left, top, wide, high in cells) == 1
    assert {"Q-composition", "K-composition", style.LEGEND["not_use"]} <= {*words(drawing)}
    assert "V-composition" not in words(drawing)
    root = parsed(svg.svg(drawing))
    assert any(node.get("stroke-dasharray") == "7 3" for node in root)
    assert png(drawing) != png(draw(scene_of(grid._state)))


def test_16_000_cells_are_a_small_picture_whatever_is_selected() -> None:
    config = tiny.config("gpt2")
    config.n_layer, config.n_head, config.n_embd = 126, 128, 1024
    grid = hg.HeadGrid(config, select="l3h4 | l40-60h*")
    assert len(figure.to_svg(scene_of(grid._state))) < 30_000
    some = np.random.default_rng(0).random((126, 128)) < 0.3
    grid.select([(int(layer), int(head)) for layer, head in np.argwhere(some)])
    assert len(figure.to_svg(scene_of(grid._state))) < 100_000


def test_small_cells_are_dashes_that_give_back_every_cell() -> None:
    config = tiny.config(LLAMA)
    config.num_hidden_layers, config.num_attention_heads, config.num_key_value_heads = 83, 12, 4
    grid = hg.HeadGrid(config, select="l7h3 | l40-50h*")
    drawing = draw(scene_of(grid._state))
    runs = [s for s in drawing.shapes if isinstance(s, Boxes) and s.fill in (INK.on, INK.edge) and not s.radius]
    assert runs
    expected = sorted(rounded(rect) for shape in runs for rect in shape.rects.tolist())
    text = "".join(svg.svg(Drawing(9, 9, "#fff", "", "", [shape])) for shape in runs)
    assert sorted(undashed(text)) == expected


def test_a_run_of_dashes_has_one_gap_and_the_next_run_its_own() -> None:
    lefts = (0, 12, 24, 38, 50, 62, 76, 90, 120)  # two groups at distances of 2, two at one of 4, one far off
    rects = np.array([(float(x), 5.0, 10.0, 6.0) for x in lefts])
    runs = [(x, gap, length) for x, _, _, _, gap, length in svg._runs(rects[::-1]).tolist()]
    assert runs == [(0, 2, 34), (38, 2, 34), (76, 4, 24), (120, 0, 10)]


def rounded(rect: shapes.Rect) -> tuple[float, ...]:
    return tuple(round(one, 2) for one in rect)


def undashed(svg: str) -> list[tuple[float, ...]]:
    """The rectangles that dashed lines show."""
    found = []
    for high, dashes, d in re.findall(r'stroke-width="([\d.]+)"(?: stroke-dasharray="([\d. ]+)")? d="([^"]+)"', svg):
        x = y = 0.0
        for dx, dy, length in re.findall(r"m([-\d.]+) ([-\d.]+)h([\d.]+)", d):
            x, y = x + float(dx), y + float(dy)
            wide, gap = map(float, (dashes or f"{length} 0").split())
            at = 0.0
            while at < float(length):
                found.append(rounded((x + at, y - float(high) / 2, wide, float(high))))
                at += wide + gap
            x += float(length)
    return found


def test_a_png_has_two_pixels_for_each_unit_and_the_same_colors() -> None:
    drawing = draw(scene("gpt2", "l1h2"))
    pixels = matplotlib.image.imread(io.BytesIO(png(drawing)))
    assert pixels.shape[:2] == (round(2 * drawing.height), round(2 * drawing.width))
    for fill in (INK.on, INK.cell):
        for x, y, _, high in boxes(drawing, fill)[:4]:
            red, green, blue = pixels[int(2 * (y + high / 2)), int(2 * (x + 3)), :3] * 255
            assert f"#{round(red):02x}{round(green):02x}{round(blue):02x}" == fill


def test_a_png_minds_no_style_of_the_user_and_changes_none() -> None:
    drawing = draw(scene())
    plain = png(drawing)
    with matplotlib.rc_context({"font.size": 31, "axes.facecolor": "red", "savefig.dpi": 7, "text.usetex": True}):
        before = dict(matplotlib.rcParams)
        assert png(drawing) == plain
        assert dict(matplotlib.rcParams) == before


def test_without_matplotlib_a_png_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"pip install headgrid\[plots\]"):
        figure.to_png(scene())


def test_values_have_the_levels_that_the_widget_gives_them() -> None:
    values = np.array([-1.0, -0.5, 0.0, 0.992, 1.0, np.nan], dtype=np.float32)
    assert color_scale.levels(values, -1.0, 1.0).tolist() == [0, 16, 32, 64, 64, -1]
    assert color_scale.levels(np.array([3.0, np.nan]), 3.0, 3.0).tolist() == [32, -1]
    assert color_scale.colors(False)[0] == "#00224e"
    assert color_scale.colors(False)[-1] == "#fee838"
    assert color_scale.ink("#00224e") == "#ffffff"
    assert color_scale.ink("#fee838") == "#000000"


def test_a_grid_s_own_pictures_mark_saved_selections() -> None:
    grid = hg.HeadGrid(tiny.config("gpt2"))
    grid.saved["induction"] = "l0h1 | l1h2"
    assert grid.to_svg(marks=["induction"]) == files.to_svg(grid._state, marks=["induction"]) != grid.to_svg()
    assert grid.to_png(marks=["induction"]) != grid.to_png()
    with pytest.raises(KeyError, match="there are 'induction'"):
        grid.to_svg(marks=["inductoin"])
