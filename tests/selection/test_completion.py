from __future__ import annotations

import numpy as np
import pytest
import tiny
import transformers
from hypothesis import example, given, settings
from hypothesis import strategies as st

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy
from headgrid.selection.completion import MOST, complete
from headgrid.widget.state.cells import Cells

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)

gqa = hg.dissect(tiny.model("llama with grouped-query attention"))  # 3 layers, 6 heads in 2 groups, 22 neurons


def words(anatomy: Anatomy, text: str) -> list[str]:
    return [word for word, _ in complete(anatomy, text, len(text)).items]


def parses(anatomy: Anatomy, text: str) -> bool:
    try:
        anatomy.select(text + ")" * (text.count("(") - text.count(")")))
    except hg.SelectionError:
        return False
    return True


def terms(anatomy: Anatomy) -> list[str]:
    """Terms of a model: those that its parts print as, and others that mean the same."""
    found = [*anatomy.parameters, "full", "none"]
    for stack in anatomy.stacks:
        before = f"{stack.name} " if stack.name else ""
        found += [before.strip() or "full"]
        if stack.n_layers:
            last = stack.n_layers - 1
            found += [
                f"{before}l{last}",
                f"{before}l*",
                f"{before}l0-{last}.W_Q",
                f"{before}L [0, {last}]",
                f"{before}l*h0.k",
            ]
            found += [f"{before}({before}l0 | {before}l{last} ln1)"]
            found += [
                f"{before}l* {word}"
                for word in ("h0-1", "h[0,1]", "g0", "attn", "mlp n1", "e1", "mlp rest", "attn rest")
            ]
    return [text for text in found if parses(anatomy, text)]


@st.composite
def begun(draw: st.DrawFn, anatomy: Anatomy) -> str:
    """The beginning of a text that parses, in any case, with blanks anywhere between its words."""
    some = draw(st.lists(st.sampled_from(terms(anatomy)), min_size=1, max_size=3))
    text = draw(st.sampled_from(["", "~", "(", "~ (l0 |" if parses(anatomy, "l0") else "(full |"]))
    for term in some:
        text += term + draw(st.sampled_from(["|", " | ", ", ", " & ", " - "]))
    text = text[: draw(st.integers(0, len(text)))]
    return text.upper() if draw(st.booleans()) else text


def every_word_is_a_term_or_begins_one(family: str, data: st.DataObject) -> None:
    anatomy = hg.dissect(tiny.model(family))
    text = data.draw(begun(anatomy))
    found = complete(anatomy, text, len(text))
    assert len(found.items) <= MOST
    assert len(set(found.items)) == len(found.items)
    for word, _ in found.items:
        accepted = text[: found.start] + word
        assert any(parses(anatomy, accepted + more) for more in ("", "*", "0")), (text, word)


@every_family
@given(data=st.data())
@settings(max_examples=3)
def test_every_word_that_is_offered_is_a_term_or_the_beginning_of_one(family: str, data: st.DataObject) -> None:
    every_word_is_a_term_or_begins_one(family, data)


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny.UNLIKE)
@given(data=st.data())
@settings(max_examples=40)
def test_words_that_are_offered_for_many_texts_are_terms_or_begin_one(family: str, data: st.DataObject) -> None:
    every_word_is_a_term_or_begins_one(family, data)


@every_family
def test_the_word_of_every_cell_is_offered_first_once_it_is_typed(family: str) -> None:
    cells = Cells(hg.dissect(tiny.model(family)))
    for cell in [int(cell) for cell in np.flatnonzero(~cells.absent)][:: max(1, cells.n_cells // 20)]:
        word, _, _ = cells.describe(cell)
        assert words(cells.anatomy, word)[0] == word


@given(
    text=st.text(alphabet="lLhHgen0129*[](),|&~-. \tattnmlpfuqkvoé²٣😀", max_size=30) | st.text(max_size=30),
    at=st.integers(-3, 40),
)
@example(text="l[", at=2)
@example(text="l[-", at=3)
@example(text="(" * 400 + "l1h", at=403)
@example(text="l1h" + "9" * 5000, at=5003)
def test_it_never_raises_and_what_it_replaces_lies_around_the_caret(text: str, at: int) -> None:
    found = complete(gqa, text, at)
    caret = max(0, min(at, len(text)))
    assert 0 <= found.start <= caret <= found.end <= len(text)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", ["l0", "l0h", "l0 attn", "l0 mlp", "embed"]),
        ("l", ["l0", "l1", "l2", "l*"]),
        ("l1", ["l1", "l1h", "l1 attn", "l1 mlp"]),
        ("L1 H", ["l1h0", "l1h1"]),
        ("l1h2.", ["l1h2.q", "l1h2.k", "l1h2.v", "l1h2.o", "l1h2.qk", "l1h2.ov", "l1h2.W_Q"]),
        ("l1h2.w_", ["l1h2.W_Q", "l1h2.W_K", "l1h2.W_V", "l1h2.W_O"]),
        ("l1 mlp n2", ["l1 mlp n2", "l1 mlp n2.W_in"]),
        ("l0-", ["l0-1", "l0-2"]),
        ("l[0,", ["l[0,1]", "l[0,2]"]),
        ("full - l1h", ["l1h0"]),
        ("~(embed | l2 m", ["l2 mlp", "l2 mlp n"]),
        ("em", ["embed"]),
        ("MODEL.layers.1.self_attn.v", ["model.layers.1.self_attn.v_proj.weight"]),
        ("down_p", ["model.layers.0.mlp.down_proj.weight"]),
    ],
)
def test_the_likeliest_words_come_first(text: str, first: list[str]) -> None:
    assert words(gqa, text)[: len(first)] == first


@pytest.mark.parametrize(
    ("text", "meant"),
    [("l1 atn", "l1 attn"), ("embd", "embed"), ("mlp", "l* mlp"), ("h2", "l*h2"), ("atn", "l* attn"), ("l1h9", "l1h")],
)
def test_what_begins_nothing_may_be_meant_for_another_word(text: str, meant: str) -> None:
    assert meant in words(gqa, text)


@pytest.mark.parametrize("text", ["l1h2 ", "(l1h2)", "l9", "l1h2.x", "zzzz", "l1h2 l0"])
def test_nothing_is_offered_where_nothing_fits(text: str) -> None:
    assert words(gqa, text) == []


def test_a_word_is_replaced_whole_when_the_caret_is_inside_it() -> None:
    found = complete(gqa, "l0 mlp | L1h2 | embed", 12)
    assert ("L1h2", found.items[0][0]) == ("l0 mlp | L1h2 | embed"[found.start : found.end], "l1h0")


def test_notes_say_what_a_word_is() -> None:
    notes = dict(complete(gqa, "l1h", 3).items) | dict(complete(gqa, "l1", 2).items) | dict(complete(gqa, "", 0).items)
    assert notes["l1h2"] == "layer 1 head 2"
    assert notes["l1h*"] == "all heads of layer 1"
    assert (notes["l1h"], notes["l1g"], notes["l1 mlp n"]) == ("6 heads", "2 groups", "22 neurons")
    assert notes["embed"] == "token embedding"


def test_stacks_are_named_where_there_are_several() -> None:
    t5 = hg.dissect(tiny.model("t5"))
    assert words(t5, "l0")[:2] == ["encoder l0", "encoder l0h"]
    assert "cross l0h" in words(t5, "l0")
    assert words(t5, "decoder l1h") == [f"decoder l1h{n}" for n in (0, 1, 2, 3, "*")]
    assert words(t5, "encoder (l1 | l2h")[0] == "l2h0"
    assert words(t5, "enc")[0] == "encoder"


def test_only_what_a_layer_has_is_offered() -> None:
    jamba = hg.dissect(tiny.model("jamba"))  # attention in layer 2, experts in layers 1 and 3
    assert "l0h" not in words(jamba, "l0")
    assert "l0 mixer" in words(jamba, "l0")
    assert "l1e" in words(jamba, "l1")
    assert words(jamba, "l0h") == []
    assert words(jamba, "l*h")[0] == "l*h0"


def test_a_large_model_is_offered_the_same_way() -> None:
    config = transformers.LlamaConfig(
        num_hidden_layers=126, num_attention_heads=128, num_key_value_heads=8, hidden_size=1024, intermediate_size=4096
    )
    large = hg.dissect(config)
    assert words(large, "l12")[:5] == ["l12", "l12h", "l12 attn", "l12 mlp", "l120"]
    assert words(large, "l12h12")[:1] == ["l12h12"]
    assert "l12h120" in words(large, "l12h12")
