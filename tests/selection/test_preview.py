from __future__ import annotations

import io

import pytest
import tiny

import headgrid as hg
from headgrid.selection.preview import Branch, _html, preview

model = tiny.model("llama with grouped-query attention")
anatomy = hg.dissect(model)


def printed(*args: object, **kwargs: object) -> str:
    out = io.StringIO()
    preview(*args, file=out, **kwargs)  # type: ignore[arg-type]
    return out.getvalue()


def test_plain_prints_one_name_per_line_in_order() -> None:
    selection = anatomy.select("l1h2 | embed")
    assert printed(selection, plain=True).splitlines() == list(selection.masks())
    assert printed(selection.masks(), plain=True) == printed(selection, plain=True)


def test_the_tree_counts_selected_of_total_at_every_level() -> None:
    text = printed(anatomy.select("l1h2"))
    assert "1,920 of " + f"{anatomy.n_params:,} parameters" in text
    assert "q_proj.weight  ██░░░░░░░░░░ 16.7%  480 of 2,880" in text
    assert "k_proj.weight  ██████░░░░░░ 50%  480 of 960" in text


def test_layers_that_look_alike_are_drawn_once() -> None:
    text = printed(anatomy.select("l0-1h2 | l2h1"))
    assert "0-2 (3 alike, each)" in text
    assert text.count("q_proj") == 1


def test_masks_with_their_model_print_as_their_selection_does() -> None:
    selection = anatomy.select("l1h2 | l0 mlp | embed")
    assert printed(selection) == printed(selection.masks(), model) + (
        "key and value weights of these are read by l1h0-1 too, not selected\n"
    )


@pytest.mark.slow
def test_heads_that_share_selected_keys_and_values_are_named_where_there_are_any() -> None:
    assert "are read by l1h[0,2] too" in printed(anatomy.select("l1h1"))
    assert "are read by l1g0 too" in printed(anatomy.select("l1h1.k"))
    for text in ("l1h1.q", "l1h1.o", "l1g0", "l1", "full", "none"):
        assert "read by" not in printed(anatomy.select(text)), text
    assert "read by" not in printed(hg.dissect(tiny.model("gpt2")).select("l1h1"))
    assert "read by l1h[0-1] too" in _html(Branch(""), "read by l1h[0-1] too")


def test_the_order_of_devinterps_preview_is_taken_too() -> None:
    masks = anatomy.select("l1h2 | embed").masks()
    assert printed(model, masks) == printed(masks, model)
    assert printed(model, anatomy.select("l1h2")) == printed(anatomy.select("l1h2"))
    for wrong in ((model,), (model, model)):
        with pytest.raises(TypeError, match="what is a Selection, or masks"):
            preview(*wrong)


def test_masks_alone_say_whole_where_the_size_is_not_known() -> None:
    text = printed(anatomy.select("l1h2 | embed").masks())
    assert "embed_tokens.weight  ████████████ 100%  whole" in text
    assert "1,920 of 7,680 and 1 whole parameter" in text


def test_nothing_selected_is_said() -> None:
    assert f"nothing is selected of {anatomy.n_params:,} parameters" in printed(anatomy.select("none"))
    assert "nothing is selected" in printed({})


def test_masks_of_another_model_are_refused() -> None:
    masks = anatomy.select("l1h2").masks()
    with pytest.raises(ValueError, match="the model has no parameter"):
        preview(masks, tiny.model("gpt2"))
    wrong = {name: mask.T for name, mask in masks.items() if mask is not None}
    with pytest.raises(ValueError, match=r"the mask of .* is \[48, 60\], its parameter \[60, 48\]"):
        preview(wrong, model)


def test_a_share_never_rounds_to_nothing_or_everything() -> None:
    assert [Branch("", n, 100_000).percent for n in (0, 1, 40, 50_000, 99_960, 99_999, 100_000)] == [
        "0%", "<0.1%", "<0.1%", "50%", ">99.9%", ">99.9%", "100%",
    ]  # fmt: skip
    assert [Branch("", n, 100_000).bar.count("█") for n in (0, 1, 99_999, 100_000)] == [0, 1, 11, 12]


def test_names_are_text_in_html() -> None:
    root = Branch("")
    root.add(["<b>x</b>"], 1, 2, 0)
    assert "&lt;b&gt;x&lt;/b&gt;" in _html(root)
