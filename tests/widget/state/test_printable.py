"""Names and labels of somebody else are texts: no terminal, markup or message takes them for anything more."""

from __future__ import annotations

import dataclasses
import io
import json
import pickle
from typing import Any

import numpy as np
import pytest
import tiny
import torch

import headgrid as hg
from headgrid.anatomy.slots import AnatomyError
from headgrid.models.verify import VerifyError
from headgrid.utils import arguments
from headgrid.widget.export import widget_state

ESCAPE = "\x1b[31m\x1b]0;owned\x07"
LLAMA = "llama with grouped-query attention"
HOSTILE = ("\x1b[2J", "\x07", "a\rb", "a\nb", "\x9b31m", "a\u202eb", "\x00", "\ud83d", "\u2028", "\x7f")


def safe(text: str) -> bool:
    """Whether a terminal shows a text and obeys nothing in it."""
    return all(letter.isprintable() for line in text.split("\n") for letter in line)


@pytest.mark.parametrize("hostile", HOSTILE)
def test_a_text_is_one_line_of_letters_that_can_be_printed_and_sent(hostile: str) -> None:
    found = arguments.printable(f"name {hostile} end")
    assert found.isprintable()
    assert found.startswith("name ")
    assert found.endswith(" end")
    assert json.loads(found.encode("utf-8") and json.dumps(found)) == found


def test_what_can_be_printed_stays_as_it_is() -> None:
    for text in ("", "l0h1 | l2 mlp", "größe", "日本語", "\N{GRINNING FACE}", "[bold]<b>&amp;"):
        assert arguments.printable(text) is text


def hostile_model() -> torch.nn.Module:
    """A model whose class, parameters and config have names that a terminal would obey."""
    model = tiny.fresh(LLAMA)
    model.config.architectures = [f"Llama{ESCAPE}"]
    kind = type(model)
    model.__class__ = type(f"Llama{ESCAPE}[red]", (kind,), {})
    return model


def test_the_name_of_a_model_is_safe_wherever_it_is_printed() -> None:
    anatomy = dataclasses.replace(
        hg.dissect(tiny.model(LLAMA)), name=f"Llama{ESCAPE}", family=f"x{ESCAPE}", caveats=(ESCAPE,)
    )
    grid = hg.HeadGrid(anatomy, select="l0h1")
    said = [
        repr(anatomy),
        anatomy.title,
        repr(grid),
        grid.spec["model"],
        grid.spec["provenance_note"],
        str(anatomy.caveats),
    ]
    assert all(map(safe, said)), said
    for page in (grid.to_svg(), grid.to_html()):
        assert "\x1b" not in str(page)
        assert "\x07" not in str(page)
    other = hg.dissect(tiny.model("gpt2"))
    with pytest.raises(ValueError, match="another model") as fault:
        anatomy.select(other.select("l0h1"))
    assert safe(str(fault.value))


def test_a_model_whose_class_has_such_a_name_is_refused_and_read_with_safe_words() -> None:
    model = hostile_model()
    try:
        said = repr(hg.dissect(model)) + repr(hg.HeadGrid(model))
    except AnatomyError as fault:
        said = str(fault)
    assert safe(said)
    with pytest.raises(AnatomyError) as refused:
        hg.dissect(type(f"Odd{ESCAPE}", (torch.nn.Module,), {})())
    assert safe(str(refused.value))


def test_errors_are_safe_to_print_and_survive_a_pickle() -> None:
    for kind in (AnatomyError, VerifyError):
        fault = kind(f"{ESCAPE} of\nmodel")
        assert safe(str(fault))
        assert str(fault).count("\n") == 1
        assert str(pickle.loads(pickle.dumps(fault))) == str(fault)
    anatomy = hg.dissect(tiny.config("gpt2"))
    for text in (f"l0h1 | {ESCAPE}", "l0\u202eh1", "l0h1 \x9b"):
        with pytest.raises(hg.SelectionError) as refused:
            anatomy.select(text)
        assert safe(str(refused.value))
        assert len(str(refused.value).splitlines()[-2]) == 4 + len(text), "the marks stand under what they mark"


@pytest.mark.parametrize("plain", [False, True])
def test_a_preview_prints_names_as_they_are_and_no_markup_or_control_character(plain: bool) -> None:
    names = [f"a{ESCAPE}.weight", "b[red]x[/red].weight", "c[/bold].weight", "d\\.weight", "[link=http://x]y[/link]"]
    out = io.StringIO()
    hg.preview(dict.fromkeys(names), plain=plain, file=out)
    said = out.getvalue()
    assert safe(said)
    assert "b[red]x[/red].weight" in said
    assert "c[/bold].weight" in said
    assert "d\\.weight" in said
    assert "[link=http://x]y[/link]" in said
    assert r"a\x1b[31m\x1b]0;owned\x07" in said


def test_saved_names_that_turn_the_direction_of_writing_are_printed_as_what_they_are() -> None:
    grid = hg.HeadGrid(tiny.config("gpt2"))
    grid.saved["a\u202eb"] = "l0h1"
    assert safe(repr(grid.saved))
    with pytest.raises(KeyError) as fault:
        grid.saved["x\u202ey"]
    assert safe(str(fault.value))


# ---- labels


@pytest.mark.parametrize("wrong", [5, object(), b"x", ["a"], True, np.float64(1.0), torch.tensor(1)])
def test_a_label_that_is_no_text_is_refused_and_nothing_changes(wrong: Any) -> None:
    grid = hg.HeadGrid(tiny.model(LLAMA))
    grid.color_by(np.ones((3, 6)), label="before")
    before = dict(grid.colors)
    for what in ("ov_norm", np.ones((3, 6))):
        with pytest.raises(TypeError, match=r"^label is a text, not "):
            grid.color_by(what, label=wrong)
    assert grid.colors == before
    assert "before" in str(grid.to_html())


@pytest.mark.slow
@pytest.mark.parametrize("hostile", [*HOSTILE, "</script><script>alert(1)</script>", "x" * 10**6, "$\\frac$", " ", ""])
def test_any_text_is_a_label_of_the_widget_a_page_and_every_picture(hostile: str) -> None:
    grid = hg.HeadGrid(tiny.config("gpt2"))
    grid.color_by(np.arange(12.0).reshape(3, 4), label=hostile)
    label = grid.colors["label"]
    assert label.isprintable()
    assert 1 <= len(label) <= 200
    assert json.dumps(label).encode()
    assert widget_state.script({"x": widget_state.model({"label": label})}).count("<script") == 1
    assert "<script>alert" not in str(grid.to_html())
    assert str(grid.to_svg()).encode()
    assert str(grid._repr_mimebundle_()[0]).encode()
