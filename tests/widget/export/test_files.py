"""Files of a grid: what is in them, and that what is there is not spoilt by what fails."""

from __future__ import annotations

import base64
import dataclasses
import json
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import tiny
import torch
from grids import fits

import headgrid as hg
from headgrid.widget.export import precompute, widget_state
from headgrid.widget.export.nbconvert import HeadGridExporter
from headgrid.widget.wire import schema

GPT2 = "gpt2"
LLAMA = "llama with grouped-query attention"
HOSTILE = ("</script><script>alert(1)</script>", "\u2028", "\ud800", "<!--", "&lt;", "\x00")


class Tokenizer:
    """Tokens that would break out of a page that is not careful."""

    def id_to_token(self, token_id: int) -> str:
        return f"{HOSTILE[token_id % len(HOSTILE)]}{token_id}"


def grid_of(family: str = GPT2, select: str = "l1h2 | l0 mlp", tokenizer: Any = None) -> hg.HeadGrid:
    return hg.HeadGrid(tiny.model(family), tokenizer, select=select)


def models(html: str) -> dict[str, Any]:
    """The states of the widgets in a page, with their bytes back in place."""
    (text,) = re.findall(rf'<script type="{re.escape(widget_state.STATE_TYPE)}">(.*?)</script>', html, re.DOTALL)
    found = {}
    for model_id, model in json.loads(text)["state"].items():
        state = model["state"]
        for buffer in model["buffers"]:
            holder = state
            for key in buffer["path"][:-1]:
                holder = holder[key]
            holder[buffer["path"][-1]] = base64.b64decode(buffer["data"])
        found[model_id] = state
    return found


def page_of(grid: hg.HeadGrid) -> tuple[str, dict[str, Any]]:
    html = grid.to_html()
    assert html is not None
    return html, models(html)["headgrid"]


# ---- writing


@pytest.mark.parametrize("write", [hg.HeadGrid.to_svg, hg.HeadGrid.to_png, hg.HeadGrid.to_html])
def test_a_file_holds_what_is_returned_without_a_path(write: Callable[..., str | bytes | None], tmp_path: Path) -> None:
    grid, path = grid_of(), tmp_path / "grid.file"
    path.write_text("old")
    returned = write(grid)
    assert write(grid, str(path)) is None
    written = path.read_bytes()
    assert written == (returned.encode() if isinstance(returned, str) else returned)
    assert [one.name for one in tmp_path.iterdir()] == ["grid.file"]


def test_a_missing_folder_is_named_and_not_made(tmp_path: Path) -> None:
    grid = grid_of()
    with pytest.raises(FileNotFoundError, match=r"no folder .*missing.* to write 'a.svg' into; create it"):
        grid.to_svg(tmp_path / "missing" / "a.svg")
    with pytest.raises(FileNotFoundError):
        grid.to_html(tmp_path / "missing" / "a.html")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_place_to_write_to(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder; give the path of a file in it"):
        grid_of().to_png(tmp_path)


def test_a_file_that_cannot_be_finished_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.svg"
    path.write_text("old")

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        grid_of().to_svg(path)
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["a.svg"]


# ---- the page


def test_a_page_has_every_trait_in_the_types_of_the_wire() -> None:
    grid = grid_of(select="l1h2 | l0h1 | l0 mlp")
    _, state = page_of(grid)
    for trait, (hint, _) in schema.TRAITS.items():
        if trait in grid.keys:
            assert fits(state[trait], hint), trait
    assert state["cells"] == grid.cells
    assert state["spec"]["absent"] == grid.spec["absent"]
    assert state["_esm"] == grid._esm
    assert state["_css"] == grid._css


def test_a_page_keeps_complete_summaries_of_what_is_selected_in_both_ways() -> None:
    grid = grid_of(LLAMA, "l1h2 | l0 mlp | l2h5.q | embed")
    _, state = page_of(grid)
    found = {(one["title"], one["ln"]): one for one in state["precomputed"]}
    assert {title for title, _ in found} >= {"l1h2", "l0 mlp", "l2h5", "embed"}
    for title in ("l1h2", "l0 mlp", "l2h5"):
        for ln in ("folded", "raw"):
            summary = found[title, ln]
            assert summary["pending"] == []
            assert summary["circuits"]
            assert fits(summary, schema.Summary)
    assert found["l1h2", "folded"]["partners"]["arrows"]
    assert found["l1h2", "folded"]["circuits"] != found["l1h2", "raw"]["circuits"]
    assert found["embed", "folded"]["locations"]


def test_kept_summaries_are_those_that_the_widget_shows() -> None:
    grid = grid_of(select="l1h2")
    _, state = page_of(grid)
    cell = state["precomputed"][0]["cell"]
    other = grid_of(select="l1h2")
    other.set_state({"focus": {"n": 1, "cell": cell, "ln": "folded"}})
    assert other._scheduler.worker.join_idle(120)
    (here,) = [one for one in state["precomputed"] if one["cell"] == cell and one["ln"] == "folded"]
    assert {**here, "focus": 1} == json.loads(json.dumps(other.summary))


def test_a_page_has_the_comparison_and_the_arrows_that_the_widget_shows() -> None:
    grid = grid_of(select="l0h1 | l1h2 | l2h0")
    _, state = page_of(grid)
    grid.set_state({"recolor": {"n": 1, "metric": "", "ln": "folded"}})  # somebody looks
    grid.select("l0h1 | l1h2")
    grid.select("l0h1 | l1h2 | l2h0")
    assert grid._scheduler.worker.join_idle(120)
    assert state["selected_heads"] == json.loads(json.dumps(grid.selected_heads))
    assert state["arrows"] == json.loads(json.dumps(grid.arrows))
    assert state["selected_heads"]["n_heads"] == 3
    assert not state["selected_heads"]["pending"]


def test_the_cell_in_focus_is_kept_though_it_is_not_selected() -> None:
    grid = grid_of(select="l1h2")
    cell = next(i for i in range(grid._state.cells.n_cells) if grid._state.cells.describe(i)[0] == "l2h3")
    grid.set_state({"focus": {"n": 7, "cell": cell, "ln": "raw"}})
    _, state = page_of(grid)
    assert state["precomputed"][0]["title"] == "l2h3"
    assert state["summary"]["title"] == "l2h3"
    assert (state["summary"]["focus"], state["summary"]["ln"], state["summary"]["pending"]) == (7, "raw", [])


def test_what_a_grid_shows_does_not_change_by_writing_a_page() -> None:
    grid = grid_of(select="l0h1 | l1h2")
    before = grid.get_state([trait for trait in schema.TRAITS if trait in grid.keys])
    grid.to_html()
    assert grid.get_state(before) == before


def test_cells_beyond_the_limit_are_named_in_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precompute, "MOST", 3)
    grid = grid_of(select="l0-1h* | l2h1.q | embed")
    html, state = page_of(grid)
    assert len({one["cell"] for one in state["precomputed"]}) == 3
    text = re.sub(r"<[^>]+>", "", html[html.index("<footer>") :])
    assert "A page keeps 3 cells. 7 more are selected and left out of what can be looked at:" in text
    assert "Click one of these cells to see what headgrid read from its weights: l0h0-2." in text
    assert "embed" in text


def test_a_model_without_weights_has_a_page_too() -> None:
    grid = hg.HeadGrid(tiny.config(GPT2), select="l1h2")
    html, state = page_of(grid)
    assert [one["title"] for one in state["precomputed"]] == ["l1h2"]
    assert state["precomputed"][0]["locations"]
    assert state["selected_heads"]["heads"] == []
    assert "GPT2LMHeadModel" in html


def test_a_page_of_nothing_keeps_nothing() -> None:
    html, state = page_of(grid_of(select="none"))
    assert state["precomputed"] == []
    assert "Click one of these" not in html


def test_no_token_or_name_ends_the_script_that_holds_it() -> None:
    html, state = page_of(grid_of(select="l1h2 | l0 mlp", tokenizer=Tokenizer()))
    assert html.count("</script>") == 2  # the state's and the loader's
    shown = json.dumps(state["precomputed"])
    assert "</script><script>alert(1)</script>" in shown
    assert json.dumps("\u2028")[1:-1] in shown
    html.encode("utf-8")


def test_a_page_forbids_itself_every_request() -> None:
    html, _ = page_of(grid_of())
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]+)"', html)
    assert "default-src &#x27;none&#x27;" in policy
    assert "connect-src" not in policy
    head, body = html.split("<body>")
    assert not re.findall(r"(?:src|href)=\"(?!data:,\")", head + body.split("<script")[0])
    assert html.startswith('<!doctype html>\n<html lang="en">\n<head>'), "without it browsers draw in quirks mode"
    assert 'name="viewport"' in head
    assert "GPT2LMHeadModel" in re.findall(r"<title>(.*?)</title>", head)[0]
    assert "prefers-color-scheme: dark" in head
    assert "@media print" in head
    assert "<svg" in body


def test_bytes_are_found_wherever_they_are() -> None:
    model = widget_state.model({"a": b"\x01", "b": {"c": [{"d": memoryview(b"\xff\x00")}, 1]}, "e": "x"})
    assert model["state"] == {"a": None, "b": {"c": [{"d": None}, 1]}, "e": "x"}
    assert [(one["path"], one["data"]) for one in model["buffers"]] == [(["a"], "AQ=="), (["b", "c", 0, "d"], "/wA=")]


def test_a_number_that_json_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        widget_state.script({"a": widget_state.model({"value": float("nan")})})


# ---- notebooks


def notebook(*cells: Any, widgets: dict[str, Any] | None = None) -> Any:
    nb = nbformat.v4.new_notebook(cells=list(cells))
    if widgets is not None:
        nb.metadata.widgets = {widget_state.STATE_TYPE: {"version_major": 2, "version_minor": 0, "state": widgets}}
    return nb


def view(model_id: str, **more: str) -> Any:
    data = {widget_state.VIEW_TYPE: {"model_id": model_id, "version_major": 2, "version_minor": 0}, **more}
    output = nbformat.v4.new_output("execute_result", data, execution_count=1)
    return nbformat.v4.new_code_cell("grid", outputs=[output])


def saved(grid: hg.HeadGrid) -> dict[str, Any]:
    state = {key: value for key, value in grid.get_state().items() if key not in ("layout",)}
    return widget_state.model(state)


def converted(nb: Any, **settings: Any) -> str:
    html, _ = HeadGridExporter(**settings).from_notebook_node(nb)
    return str(html)


def elsewhere(html: str) -> list[str]:
    """What a page asks other hosts for as soon as it is opened."""
    return re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(https?:[^\"]+)\"", html)


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_a_notebook_s_grids_are_drawn_from_its_state_and_nothing_else_is_asked_for(template: str) -> None:
    grid = grid_of(select="l1h2")
    nb = notebook(view("one", **{"text/html": "<b>picture</b>"}), view("one"), widgets={"one": saved(grid)})
    html = converted(nb, template_name=template)
    assert html.count('<div data-headgrid="one">') == 2
    assert "<figure><b>picture</b></figure>" in html
    assert models(html)["one"]["cells"] == grid.cells
    assert widget_state.static("offline.js") in html
    assert elsewhere(html) == []
    assert "html-manager" not in html


def test_a_grid_of_an_older_version_is_drawn_by_its_own_code_and_says_so() -> None:
    new, old = saved(grid_of()), saved(grid_of())
    old["state"]["plan"] = {**old["state"].pop("spec"), "version": 5}
    for buffer in old["buffers"]:
        buffer["path"] = ["plan" if key == "spec" else key for key in buffer["path"]]
    old["state"]["_esm"] = "export default { render() {} }"
    html = converted(notebook(view("new"), view("old"), widgets={"new": new, "old": old}))
    assert models(html)["old"]["_esm"] == "export default { render() {} }"
    assert html.count("saved with an older version of headgrid") == 1
    assert re.search(r'to renew it\.</p>\s*<div data-headgrid="old">', html)


def test_widgets_of_other_libraries_keep_what_they_have_for_viewers_without_widgets() -> None:
    slider = {"model_name": "IntSliderModel", "model_module": "@jupyter-widgets/controls", "state": {"value": 3}}
    nb = notebook(view("other", **{"text/plain": "IntSlider(value=3)"}), widgets={"other": slider})
    html = converted(nb)
    assert "IntSlider(value=3)" in html
    assert widget_state.VIEW_TYPE not in html
    assert "data-headgrid" not in html
    assert elsewhere(html) == []


def test_a_grid_whose_state_was_not_saved_is_a_picture() -> None:
    html = converted(notebook(view("gone", **{"text/html": "<b>picture</b>", "text/plain": "HeadGrid"})))
    assert "<b>picture</b>" in html
    assert "data-headgrid" not in html


def test_formulas_are_still_typeset() -> None:
    with_formula = notebook(nbformat.v4.new_markdown_cell("the norm $x^2$ of it"))
    assert [url for url in elsewhere(converted(with_formula)) if "mathjax" in url]
    without = notebook(nbformat.v4.new_markdown_cell("it costs $5"), nbformat.v4.new_code_cell("a = '$x$'"))
    assert elsewhere(converted(without)) == []


def test_scripts_that_need_require_js_still_get_it() -> None:
    output = nbformat.v4.new_output("display_data", {"text/html": "<script>require(['plotly'])</script>"})
    html = converted(notebook(nbformat.v4.new_code_cell("figure", outputs=[output])))
    assert [url for url in elsewhere(html) if "require" in url]


def test_diagrams_are_still_drawn_and_nothing_is_loaded_for_them_where_there_are_none() -> None:
    def loads(*cells: Any) -> list[bool]:
        return ["mermaid.esm" in converted(notebook(*cells), template_name=name) for name in ("lab", "classic")]

    output = nbformat.v4.new_output("display_data", {"text/vnd.mermaid": "graph TD; A-->B"})
    assert loads(nbformat.v4.new_code_cell("diagram", outputs=[output])) == [True, True]
    assert loads(nbformat.v4.new_markdown_cell("```mermaid\ngraph TD; A-->B\n```")) == [True, True]
    assert loads(nbformat.v4.new_markdown_cell("# A lesson")) == [False, False]


def test_a_notebook_is_not_changed_by_being_converted() -> None:
    nb = notebook(view("one", **{"text/plain": "HeadGrid"}), widgets={"one": saved(grid_of())})
    before = json.dumps(nb, sort_keys=True)
    converted(nb)
    assert json.dumps(nb, sort_keys=True) == before


def test_the_loader_is_small() -> None:
    assert len(widget_state.static("offline.js").encode()) < 20_000


def test_a_notebook_with_16_000_cells_grows_by_less_than_100_kb_beyond_the_bundle() -> None:
    config = tiny.config(GPT2)
    config.n_layer, config.n_head, config.n_embd = 126, 128, 1024
    grid = hg.HeadGrid(config, select="l3h4 | l40-60h*")
    bundle = ("_esm", "_css")
    model = widget_state.model(
        {key: value for key, value in grid.get_state().items() if key not in ("layout", *bundle)}
    )
    data, _ = grid._repr_mimebundle_()
    assert len(json.dumps(model)) + len(json.dumps(data)) < 100_000


def test_no_gradient_is_kept_by_what_is_read() -> None:
    grid = grid_of(select="l0h1 | l1h2")
    with torch.enable_grad():
        grid.to_html()
    assert all(parameter.grad is None for parameter in grid.model.parameters())  # type: ignore[union-attr]
    assert np.isfinite(grid.arrows["baseline"])


def test_what_a_link_leads_to_is_written_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "link.svg").symlink_to(tmp_path / "real.svg")
    hg.HeadGrid(tiny.config("gpt2")).to_svg(tmp_path / "link.svg")
    assert (tmp_path / "link.svg").is_symlink()
    assert (tmp_path / "real.svg").read_text().startswith("<svg")


def test_what_is_no_file_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()), daemon=True)
    reader.start()
    hg.HeadGrid(tiny.config("gpt2")).to_svg(pipe)
    reader.join(60)
    assert got[0].startswith("<svg")
    assert pipe.is_fifo()


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".svg")
    hg.HeadGrid(tiny.config("gpt2")).to_svg(path)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_page_of_weights_that_were_freed_says_so_in_their_place() -> None:
    model = tiny.fresh("gpt2")
    grid = hg.HeadGrid(model, select="l0h1 | l1h2 | l0 mlp")
    for parameter in model.parameters():
        parameter.data = torch.empty(0)
    assert "should have the shape" in str(grid.to_html())


def test_half_a_character_in_a_model_s_name_spoils_no_file() -> None:
    anatomy = dataclasses.replace(hg.dissect(tiny.config("gpt2")), name="half \ud83d")
    grid = hg.HeadGrid(anatomy)
    assert "half \ufffd" in str(grid.to_html()).encode().decode()
    assert "half \ufffd" in str(grid.to_svg()).encode().decode()
    assert grid.to_png()
