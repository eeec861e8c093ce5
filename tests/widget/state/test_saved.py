"""Saved selections: a mapping with colors, and what devinterp's susceptibilities take of it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from grids import LLAMA, on, sent

import headgrid as hg
from headgrid.demo import repeated_tokens
from headgrid.widget.state import saved as module
from headgrid.widget.state.saved import COLORS


@pytest.fixture
def grid() -> hg.HeadGrid:
    return hg.HeadGrid(tiny.model(LLAMA))


def wire(grid: hg.HeadGrid) -> list[dict[str, Any]]:
    return list(grid.get_state("saved")["saved"]["items"])


def test_it_is_a_mapping_in_the_order_of_saving(grid: hg.HeadGrid) -> None:
    grid.saved["b"] = "l0h1 | l1h2"
    grid.saved[" a "] = [(2, 0), "l0 mlp n3"]
    grid.saved["b"] = grid.anatomy.select("l0h0")
    assert list(grid.saved) == ["b", "a"]
    assert (str(grid.saved["b"]), str(grid.saved["a "])) == ("l0h0", "l2h0 | l0 mlp n3")
    assert ("a" in grid.saved, " a" in grid.saved, "c" in grid.saved, 3 in grid.saved) == (True, True, False, False)
    assert grid.saved.pop("a") == grid.anatomy.select("l2h0 | l0 mlp n3")
    assert [one["name"] for one in wire(grid)] == ["b"]
    grid.saved.clear()
    assert (len(grid.saved), wire(grid), repr(grid.saved)) == (0, [], "nothing is saved")


def test_several_are_saved_at_once_or_none_of_them(grid: hg.HeadGrid) -> None:
    grid.saved.update({"a": "l0h0", "b": "l1h1"}, c=(2, 0))
    grid.saved.update([("b", "l0 mlp")])
    assert {name: str(one) for name, one in grid.saved.items()} == {"a": "l0h0", "b": "l0 mlp", "c": "l2h0"}
    with pytest.raises(hg.SelectionError, match="there is no head 9"):
        grid.saved.update({"d": "l0h1", "a": "l0h9"})
    assert list(grid.saved) == ["a", "b", "c"]
    for wrong in (5, None, "l0h0", ["ab", "c"], [5]):
        with pytest.raises(TypeError, match=r"^update takes a mapping from names to what is selected"):
            grid.saved.update(wrong)


def test_each_change_tells_the_views_and_observers(grid: hg.HeadGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    states, seen = sent(grid, monkeypatch), list[list[str]]()
    grid.observe(lambda change: seen.append(list(change["new"])), "saved")
    grid.saved["a"] = "l0h0"
    grid.saved.color("a", "#123456")
    del grid.saved["a"]
    assert states == [{"saved"}, {"saved"}, {"saved"}]
    assert seen == [["a"], ["a"], []]
    with pytest.raises(Exception, match="read-only"):
        grid.saved = {}


def test_a_name_is_any_text_of_1_to_80_characters(grid: hg.HeadGrid) -> None:
    for name in ("<b>&amp;</b>", "induction \N{GRINNING FACE}", "x" * 80, "a\nb", "0"):
        grid.saved[name] = "l0h0"
    assert next(one["name"] for one in wire(grid)) == "<b>&amp;</b>", "it is text, and stays it"
    for name in ("", " \t", "x" * 81, 3, None, "a\ud83d", "full", " FULL "):
        with pytest.raises(ValueError, match="name"):
            grid.saved[name] = "l0h0"
    assert len(grid.saved) == 5


def test_what_is_not_there_is_an_error_that_names_what_is(grid: hg.HeadGrid) -> None:
    with pytest.raises(KeyError, match="nothing is saved yet"):
        grid.saved["a"]
    grid.saved["a"] = "l0h0"
    for act in (lambda: grid.saved["b"], lambda: grid.saved.pop("b"), lambda: grid.saved.color("b", "#000000")):
        with pytest.raises(KeyError, match="there is no saved selection 'b'; there are 'a'"):
            act()
    assert grid.saved.get("b") is None
    with pytest.raises(hg.SelectionError):
        grid.saved["b"] = "l9"
    with pytest.raises(ValueError, match="select something first"):
        grid.saved["b"] = "none"
    with pytest.raises(ValueError, match="another model"):
        grid.saved["b"] = hg.dissect(tiny.model("gpt2")).select("l0h1")
    assert list(grid.saved) == ["a"]


def test_so_many_can_be_saved_and_no_more(grid: hg.HeadGrid) -> None:
    for i in range(module.MOST):
        grid.saved[f"{i}"] = "l0h0"
    with pytest.raises(ValueError, match="remove one first"):
        grid.saved["one more"] = "l0h0"
    grid.saved["3"] = "l0h1"
    assert str(grid.saved["3"]) == "l0h1"


def test_colors_are_given_in_turn_and_changed_by_hand(grid: hg.HeadGrid) -> None:
    for i in range(9):
        grid.saved[f"{i}"] = "l0h0"
    assert list(grid.saved.colors.values()) == [*COLORS, COLORS[0]]
    del grid.saved["4"]
    grid.saved["new"] = "l0h1"
    assert grid.saved.colors["new"] == COLORS[4], "the color that is free"
    grid.saved.color("new", "#A1b2C3")
    grid.saved["new"] = "l0h2"
    assert (grid.saved.colors["new"], wire(grid)[-1]["color"]) == ("#a1b2c3", "#a1b2c3")
    for color in ("red", "#fff", "#12345g", "#1234567", "", None, "url(x)", "#123456\n"):
        with pytest.raises(ValueError, match="no color"):
            grid.saved.color("new", color)


def luminance(color: str) -> float:
    parts = np.array([int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return float(np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722])


def test_the_colors_stand_out_on_a_white_ground_and_on_a_dark_one() -> None:
    assert len(set(COLORS)) == 8
    for color in COLORS:
        light, dark = 1.05 / (luminance(color) + 0.05), (luminance(color) + 0.05) / (luminance("#1e1e1e") + 0.05)
        assert min(light, dark) >= 3, color


def test_its_repr_is_a_small_table(grid: hg.HeadGrid) -> None:
    grid.saved["induction"] = "l0h1 | l1h2"
    grid.saved["a\nb"] = "l0 mlp n3"
    assert repr(grid.saved).splitlines() == [
        "induction  #0072b2  2 heads; their K and V also serve 4 other heads  l0h1 | l1h2",
        "a b        #d55e00  parts of 1 MLP  l0 mlp n3",
    ]


def test_a_long_text_is_shortened_for_a_chip_and_whole_in_python(
    grid: hg.HeadGrid, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SHOWN", 20)
    grid.saved["long"] = "l0h1 | l1h2 | l2h3 | embed"
    assert wire(grid)[0]["text"] == "l0h1 | l1h2 | l2h3 \N{HORIZONTAL ELLIPSIS}"
    assert str(grid.saved["long"]) == "l0h1 | l1h2 | l2h3 | embed"


def test_recalling_is_selecting(grid: hg.HeadGrid) -> None:
    grid.saved["a"] = "l0h1 | l2 mlp n3"
    grid.select(grid.saved["a"])
    assert (on(grid), grid.selection) == (["l0h1"], grid.saved["a"])


def test_masks_begin_with_the_whole_model(grid: hg.HeadGrid) -> None:
    grid.saved["a"] = "l0h1"
    masks = grid.saved.masks()
    assert list(masks) == ["full", "a"]
    assert masks["full"] is None
    expected = grid.anatomy.select("l0h1").masks()
    found = masks["a"]
    assert found is not None
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], mask) for name, mask in expected.items())


@pytest.mark.slow
def test_devinterps_susceptibilities_take_the_masks(tmp_path: Path) -> None:
    pytest.importorskip("devinterp.slt.susceptibilities", reason="pip install 'headgrid[devinterp]'")
    import datasets
    from devinterp.slt.susceptibilities import susceptibilities

    model, tokenizer = hg.demo()
    grid = hg.HeadGrid(model, tokenizer)
    grid.saved["induction"] = "l0h0 | l1h3"
    grid.saved["another head"] = "l1h0"

    def rows(seed: int) -> Any:
        tokens = repeated_tokens(tokenizer, n=16, length=12, seed=seed)
        return datasets.Dataset.from_dict({"input_ids": tokens.tolist()}).with_format("torch")

    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    found = susceptibilities(
        model, rows(0), {"pretraining": rows(0), "probe": rows(1)}, grid.saved.masks(),
        sampling_task="pretraining", lr=1e-4, n_beta=30.0, localization=100.0, num_chains=1, num_draws=3, batch_size=4,
        num_init_loss_batches=3, batches_per_draw=1, device="cpu", output_path=tmp_path / "samples.zarr",
    )  # fmt: skip
    table = found["susceptibilities"]
    assert table["wr"].values.tolist() == ["induction", "another head"]
    assert table["sus"].shape == (4 * 24, 2)
    assert np.isfinite(table["sus"].values).all()
    assert not np.allclose(table["sus"].values[:, 0], table["sus"].values[:, 1]), "each name has its own masks"
    assert all(torch.equal(before[name], parameter) for name, parameter in model.named_parameters())


def test_a_default_that_is_set_is_given_back_as_it_was_saved() -> None:
    saved = hg.HeadGrid(tiny.config("gpt2")).saved
    assert saved.setdefault("a", "l0h1") is saved["a"]
    assert saved.setdefault(" a ", "l1h2") == saved["a"]
    assert str(saved["a"]) == "l0h1"
    assert saved.copy() == copy.copy(saved) == dict(saved)
    assert type(saved.copy()) is dict


def test_names_that_look_the_same_are_the_same() -> None:
    saved = hg.HeadGrid(tiny.config("gpt2")).saved
    saved["caf\u00e9  head\n"] = "l0h1"
    saved["cafe\u0301 head"] = "l1h2"
    assert list(saved) == ["caf\u00e9 head"]
    assert str(saved["cafe\u0301\thead"]) == "l1h2"
    del saved["cafe\u0301 head"]
    assert not saved


@pytest.mark.parametrize("name", ["\u200b", "a\0b", "\x1b[31m", "\u202e"])
def test_a_name_that_cannot_be_seen_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be seen"):
        hg.HeadGrid(tiny.config("gpt2")).saved[name] = "l0h1"


def test_all_of_it_goes_to_json_and_back(grid: hg.HeadGrid) -> None:
    grid.saved.update({"früh": "l0h1 | l2 mlp n3-5", "b": "l1h2.q"})
    grid.saved.color("b", "#112233")
    other = hg.HeadGrid(tiny.model(LLAMA))
    other.saved.update({"mine": "l2h0", "b": "l0h0"})
    other.saved.from_json(grid.saved.to_json())
    assert {name: str(one) for name, one in other.saved.items()} == {
        "mine": "l2h0", "b": "l1h2.q", "früh": "l0h1 | l2 mlp n3-5"
    }  # fmt: skip
    assert other.saved.colors["b"] == "#112233"
    assert other.saved.colors["früh"] == grid.saved.colors["früh"]
    assert [one["name"] for one in wire(other)] == ["mine", "b", "früh"]


def test_json_of_another_model_or_of_nobody_saves_nothing(grid: hg.HeadGrid) -> None:
    grid.saved["a"] = "l0h0"
    other = hg.HeadGrid(tiny.config("gpt2"))
    other.saved["b"] = "l1h1"
    with pytest.raises(ValueError, match=r"these selections are of GPT2.* another model than Llama"):
        grid.saved.from_json(other.saved.to_json())
    half = grid.saved.to_json().replace(
        '"saved": [', '"saved": [{"name": "c", "selection": "l1h1", "color": "#112233"},'
    )
    for wrong in (half.replace("l0h0", "l0h99"), half.replace("#112233", "red")):
        with pytest.raises(ValueError, match=r"there is no head 99|is no color"):
            grid.saved.from_json(wrong)
    for wrong in ("", "{}", "[]", '{"saved": [1], "model": "", "fingerprint": ""}'):
        with pytest.raises(ValueError, match="no saved selections as to_json writes them"):
            grid.saved.from_json(wrong)
    assert {name: str(one) for name, one in grid.saved.items()} == {"a": "l0h0"}
