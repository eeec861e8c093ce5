"""What the first page says is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import datasets
import pytest
import tiny
import transformers

import headgrid as hg
from headgrid.demo import repeated_tokens

README = (Path(__file__).parent.parent / "README.md").read_text()


@pytest.mark.slow
def test_the_code_of_the_readme_runs_in_its_order(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    (first, second, third, experiments, attention, saved, exercises, files, marimo, circuits, library, taught) = blocks
    exec(first, names)
    assert "c_proj.weight" in capsys.readouterr().out
    assert str(names["grid"].selection) == "l0h1"
    rows = repeated_tokens(names["tokenizer"], n=64, length=8)
    names["dataset"] = datasets.Dataset.from_dict({"input_ids": rows.tolist()}).with_format("torch")
    names["batch"] = {"input_ids": rows, "labels": rows}
    exec(second, names)
    names["tokens"] = rows
    exec(third, names)
    assert names["ablated"].shape == (*rows.shape, names["grid"].anatomy.d_vocab)
    assert names["patched"].shape == names["ablated"].shape
    gradients = {name for name, parameter in names["model"].named_parameters() if parameter.grad is not None}
    assert gradients == set(names["grid"].masks)
    assert "names(tokenizer, 64)" in experiments
    exec(experiments.replace("names(tokenizer, 64)", "names(tokenizer, 8)"), names)  # what is right of 64 is of 8
    assert names["effects"].shape == (2, 4)
    assert [step.size for step in names["found"].curve] == [8, 7, 6, 5, 4, 3, 2, 1, 0]
    monkeypatch.chdir(tmp_path)
    exec(attention, names)
    assert list(names["attention"].pattern) == ["l0h1", "l1h0", "l1h1", "l1h2", "l1h3"]
    exec(saved, names)
    assert str(names["grid"].selection) == "l0h1 | l1h2"
    assert names["grid"].saved.colors["induction"] == "#d55e00"
    exec(exercises, names)
    assert (names["ex"].earned, names["ex"].points) == (2, 2)
    assert names["ex"].solved
    assert "copying_score" in {one["name"] for one in names["grid"].spec["metrics"]}
    exec(files, names)
    assert {path.name for path in tmp_path.iterdir()} == {"attention.html", "induction.html", "grid.svg"}
    assert names["grid"].get_state()["text"]["selection"] == "l0h1 | l1h2"
    assert 'view.value["text"]["selection"]' in marimo  # tests/browser runs it in marimo
    exec(circuits, names)
    assert names["composition"].top(1)[0].target == (1, 2)
    exec(library.replace("retest(model, tokenizer)", "retest(model, tokenizer, n=4, controls=3)"), names)
    assert list(names["grid"].saved) == ["previous token", "induction"]
    assert names["head"].copying_score == pytest.approx(float(names["scan"].copying_score[1, 2]), abs=1e-4)
    exec(taught.replace("hg.effect(", "marked = hg.effect("), names)
    assert names["marked"].normalized["patch"] > 0.5


def test_the_readme_counts_the_published_circuits() -> None:
    assert len([one for one in hg.library.values() if one.shipped is None]) == 15
    assert "\nFifteen published circuits" in README


def test_every_word_of_the_readme_parses() -> None:
    anatomies = [hg.dissect(model) for model in models()]
    table = README.split("## Words")[1].split("## Masks")[0]
    first_column = [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| `")]
    texts = [text.replace("\\|", "|") for row in first_column for text in re.findall(r"`([^`]+)`", row)]
    operators = {"a | b", "a, b", "a & b", "a - b", "~a", "( )"}
    words = [text for text in texts if not text.startswith(".") and text not in operators]
    assert len(words) > 15
    for word in words:
        assert any(parses(anatomy, word) for anatomy in anatomies), word


def parses(anatomy: hg.Anatomy, word: str) -> bool:
    try:
        return bool(anatomy.select(word)) or word == "none"
    except hg.SelectionError:
        return False


def models() -> list[Any]:
    """Models of every kind, large enough for every word: decoder, encoder-decoder, vision-language model, vision model,
    encoder, mixture, hybrid, and a decoder with norms after its blocks."""
    small = {"hidden_size": 48, "intermediate_size": 22, "vocab_size": 31, "num_attention_heads": 6}
    return [
        transformers.GPT2Config(n_layer=8, n_head=8, n_embd=32, n_inner=128, vocab_size=31, n_positions=19),
        transformers.T5Config(num_layers=4, num_heads=4, d_model=28, d_kv=10, d_ff=22, vocab_size=31),
        tiny.config("llava"),
        tiny.config("vit"),
        tiny.config("bert"),
        transformers.Qwen3MoeConfig(
            **small, num_hidden_layers=4, num_experts=6, moe_intermediate_size=9, num_key_value_heads=2
        ),
        transformers.Lfm2Config(**small, num_hidden_layers=4, num_key_value_heads=2, layer_types=["conv"] * 4),
        transformers.Gemma2Config(**small, num_hidden_layers=4, num_key_value_heads=2, head_dim=8),
    ]


def test_the_readme_names_the_families_of_the_table() -> None:
    from headgrid.models.families import FAMILIES

    assert re.findall(r"`([a-z0-9_-]+)`", README.split("## Models")[1].split(": by `config")[0]) == list(FAMILIES)
    assert f"{len(FAMILIES)} families" in (Path(__file__).parent.parent / "CHANGELOG.md").read_text()
