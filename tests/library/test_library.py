from __future__ import annotations

import pytest
import transformers

import headgrid as hg


def test_circuits_are_had_by_name_and_another_name_is_refused() -> None:
    assert hg.library.names() == list(hg.library)
    assert hg.library["ioi"] is hg.library.get("ioi")
    assert hg.library.get("nothing") is None
    assert "ioi" in hg.library
    with pytest.raises(KeyError, match="there is no circuit 'iot' in the library; there are ioi, greater-than"):
        hg.library["iot"]
    with pytest.raises(KeyError, match="there is no circuit 3"):
        hg.library[3]  # type: ignore[index]
    assert len(hg.library) == len(set(hg.library)) == len(repr(hg.library).splitlines())


def test_every_name_is_one_that_can_be_typed_and_that_of_its_entry() -> None:
    for name, circuit in hg.library.items():
        assert name == circuit.name
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_the_circuits_of_a_models_shape_are_found() -> None:
    small = [one.name for one in hg.library.matching(transformers.GPT2Config())]
    assert {"ioi", "greater-than", "acronyms"} <= set(small)
    assert "docstring" not in small
    model, _ = hg.demo()
    assert [one.name for one in hg.library.matching(model)] == ["demo-induction", "demo-names"]
    assert hg.library.matching(transformers.GPT2Config(n_layer=3)) == []
    assert hg.library.matching(transformers.BertConfig()) == []


def test_a_word_finds_circuits_in_what_is_known_of_them() -> None:
    assert [one.name for one in hg.library.search("S-INHIBITION")] == ["ioi", "demo-duplicate-marking"]
    assert "ioi" in [one.name for one in hg.library.search("2211.00593")]
    assert hg.library.search("zebra") == []
    with pytest.raises(TypeError, match="word is a text, not 3"):
        hg.library.search(3)  # type: ignore[arg-type]
