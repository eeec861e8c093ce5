"""What the first page says is run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import datasets
import pytest

from headgrid.demo import repeated_tokens

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_code_of_the_readme_runs_in_its_order(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {}
    first, second = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    exec(first, names)
    assert "c_proj.weight" in capsys.readouterr().out
    assert str(names["grid"].selection) == "l0h1"
    rows = repeated_tokens(names["tokenizer"], n=64, length=8)
    names["dataset"] = datasets.Dataset.from_dict({"input_ids": rows.tolist()}).with_format("torch")
    names["batch"] = {"input_ids": rows, "labels": rows}
    exec(second, names)
    gradients = {name for name, parameter in names["model"].named_parameters() if parameter.grad is not None}
    assert gradients == set(names["grid"].masks)


def test_every_word_of_the_readme_parses() -> None:
    import headgrid as hg

    anatomy = hg.dissect(a_model())
    table = README.split("## Words")[1].split("## Masks")[0]
    first_column = [row.split(" | ")[0] for row in table.splitlines() if row.startswith("| `")]
    texts = [text.replace("\\|", "|") for row in first_column for text in re.findall(r"`([^`]+)`", row)]
    operators = {"a | b", "a, b", "a & b", "a - b", "~a", "( )"}
    words = [text for text in texts if not text.startswith(".") and text not in operators]
    assert len(words) > 15
    for word in words:
        assert anatomy.select(word) or word == "none", word


def a_model() -> Any:
    import torch
    import transformers

    config = transformers.GPT2Config(
        n_layer=8, n_head=8, n_embd=32, n_inner=128, vocab_size=31, n_positions=19, bos_token_id=1, eos_token_id=2
    )
    with torch.device("meta"):
        return transformers.GPT2LMHeadModel(config)


def test_the_readme_names_the_families_of_the_table() -> None:
    from headgrid.models.families import FAMILIES

    assert re.findall(r"`([a-z0-9_-]+)`", README.split("## Models")[1].split(": by `config")[0]) == list(FAMILIES)
    assert f"{len(FAMILIES)} families" in (Path(__file__).parent.parent / "CHANGELOG.md").read_text()
