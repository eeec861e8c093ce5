"""Figures and pages of attention patterns."""

from __future__ import annotations

import base64
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import tiny
import torch
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

import headgrid as hg
from headgrid.experiments.attention import Attention
from headgrid.plots import attention_page

mpl.use("Agg")

MODEL, TOKENIZER = hg.demo()
TEXTS = ["mary went to the store", "john and mary went to the school and the store"]


@pytest.fixture(autouse=True)
def _closed() -> Any:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def attention() -> Attention:
    return hg.attention(MODEL, TEXTS, "l0h1 | l1h*", tokenizer=TOKENIZER)


def values(ax: Axes) -> np.ma.MaskedArray:
    (mesh,) = ax.collections
    return mesh.get_array()  # type: ignore[no-any-return]


def labels(ax: Axes, axis: str) -> list[str]:
    return [one.get_text() for one in getattr(ax, f"get_{axis}ticklabels")()]


def test_a_picture_is_the_pattern_with_its_tokens_and_without_padding(attention: Attention) -> None:
    (ax,) = hg.plots.attention(attention, "l1h2")
    drawn = values(ax)
    expected = attention.pattern["l1h2"][0, :6, :6].numpy()
    np.testing.assert_array_equal(drawn.filled(0), expected)
    assert np.ma.getmaskarray(drawn).tolist() == np.triu(np.ones((6, 6), bool), 1).tolist()
    assert labels(ax, "x") == labels(ax, "y") == ["<bos>", "mary", "went", "to", "the", "store"]
    assert ax.get_ylim() == (5.5, -0.5)  # the first query at the top
    assert ax.get_title() == "l1h2"


def test_several_heads_share_one_scale(attention: Attention) -> None:
    drawn = hg.plots.attention(attention, row=1)
    assert [ax.get_title() for ax in drawn] == ["l0h1", "l1h0", "l1h1", "l1h2", "l1h3"]
    assert len({ax.figure for ax in drawn}) == 1
    assert {ax.collections[0].get_clim() for ax in drawn} == {(0.0, 1.0)}
    assert {ax.collections[0].get_clim() for ax in hg.plots.attention(attention, high=0.3)} == {(0.0, 0.3)}


def test_a_mean_is_over_heads_or_over_rows_of_one_length(attention: Attention) -> None:
    (ax,) = hg.plots.attention(attention, "l1h*", row=1, mean=True)
    expected = torch.stack([attention.pattern[f"l1h{head}"][1] for head in range(4)]).mean(0)
    np.testing.assert_allclose(values(ax).filled(0), expected, atol=1e-6)
    assert ax.get_title() == "mean of 4 heads"
    repeated = hg.attention(MODEL, hg.Task.repeated(TOKENIZER, n=3, length=4), "l1h2")
    (ax,) = hg.plots.attention(repeated, row=None)
    np.testing.assert_allclose(values(ax).filled(0), repeated.pattern["l1h2"].mean(0), atol=1e-6)
    assert labels(ax, "x")[:2] == ["<bos>", "[1]"]
    with pytest.raises(ValueError, match="rows of one length"):
        hg.plots.attention(attention, "l1h2", row=None)


def test_a_picture_is_drawn_into_axes_that_are_given(attention: Attention) -> None:
    _, ax = plt.subplots()
    assert hg.plots.attention(attention, "l1h2", ax=ax) == [ax]
    with pytest.raises(ValueError, match="ax is one Axes, and 5 patterns"):
        hg.plots.attention(attention, ax=ax)
    assert attention.plot("l1h2", row=1)[0].get_title() == "l1h2"


def test_a_long_text_has_numbers_for_tokens_and_too_many_heads_are_refused() -> None:
    (ax,) = hg.plots.attention(hg.attention(MODEL, hg.Task.repeated(TOKENIZER, n=1, length=50), "l1h2"))
    assert labels(ax, "x")[0] == "0"
    assert all(one.isdigit() for one in labels(ax, "y"))
    many = hg.attention(tiny.model("bart"), {key: torch.randint(3, 31, (1, 5)) for key in (
        "input_ids", "decoder_input_ids")})  # fmt: skip
    assert len(many.pattern) == 34
    assert len(hg.plots.attention(many)) == 34
    with pytest.raises(ValueError, match="heads of one stack"):
        hg.plots.attention(many, "encoder l0h1 | decoder l0h1 | cross l0h0", mean=True, row=0)


# ---- pages


def content(html: str) -> Any:
    """What crosses to the script."""
    (found,) = re.findall(r'\)\("headgrid-attention-\w+", ".*?", (\{.*\})\);</script>', html, re.DOTALL)
    return json.loads(found)


def test_the_bytes_of_a_page_are_the_pattern(attention: Attention) -> None:
    html = attention.to_html()
    assert html is not None
    found = content(html)
    for row in range(2):
        for head, packed in found["rows"][row]["patterns"].items():
            if head == "mean":
                continue
            one = attention.row(head, row)
            assert found["rows"][row]["tokens"][""] == list(one.queries)
            assert packed["triangle"]
            flat = np.frombuffer(base64.b64decode(packed["bytes"]), np.uint8).astype(float)
            read = np.zeros(one.pattern.shape)
            read[np.tril_indices(len(read))] = (flat / 255) ** 2
            np.testing.assert_allclose(read, one.pattern, atol=0.004)


def test_a_page_asks_for_nothing_and_an_output_is_a_part_of_one(attention: Attention, tmp_path: Path) -> None:
    html, output = attention.to_html(), attention._repr_html_()
    assert html is not None
    assert output is not None
    assert html.startswith("<!doctype html>")
    assert "default-src 'none'" in html.replace("&#x27;", "'")
    assert "doctype" not in output
    for text in (html, output):
        assert not re.search(r"(?:src|href)=[\"']?https?:|@import|url\(", text)
    assert attention.to_html(tmp_path / "page.html") is None
    assert content((tmp_path / "page.html").read_text())["rows"] == content(html)["rows"]
    with pytest.raises(FileNotFoundError):
        attention.to_html(tmp_path / "no" / "page.html")


def test_heads_and_rows_of_a_page_are_chosen(attention: Attention) -> None:
    found = content(attention.to_html(heads="l1h2", rows=[1]) or "")
    assert list(found["rows"][0]["patterns"]) == ["l1h2"]
    assert [one["row"] for one in found["rows"]] == [1]
    with pytest.raises(KeyError, match="l0h0 is not recorded"):
        attention.to_html(heads="l0h0")
    with pytest.raises(ValueError, match="a row of the task from 0 to 1"):
        attention.to_html(rows=[2])


def test_what_does_not_fit_into_a_page_is_left_out_in_a_sentence_or_refused(
    attention: Attention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention_page, "BYTES", 60)
    found = content(attention.to_html() or "")
    assert list(found["rows"][0]["patterns"]) == ["l0h1", "l1h0"]
    assert found["notes"] == [
        "A page has room for 2 of these 5 heads at this length: l1h1 and those after it are left out.",
        "1 of 2 rows are shown: a page has no room for more.",
    ]
    monkeypatch.setattr(attention_page, "BYTES", 20)
    with pytest.raises(ValueError, match="a pattern of 6 tokens takes"):
        attention.to_html()
    assert attention._repr_html_() is None
