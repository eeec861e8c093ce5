from __future__ import annotations

import dataclasses

import pytest
import transformers
from published_shapes import anatomy_of

import headgrid as hg
from headgrid.library import CircuitCitation, CircuitRole

SHAPE = hg.library["ioi"].shape


@pytest.mark.parametrize(
    ("config", "difference"),
    [
        (transformers.GPT2Config(n_layer=6), "n_layers 6 instead of 12"),
        (transformers.GPT2Config(n_layer=6, n_head=8, n_embd=512), "n_layers 6 instead of 12"),
        (transformers.GPT2Config(n_head=16, n_embd=1024), "n_heads 16 instead of 12"),
        (transformers.GPT2Config(n_embd=384), "d_model 384 instead of 768"),
        (transformers.GPT2Config(n_inner=100), "d_mlp 100 instead of 3072"),
        (transformers.GPTNeoConfig(num_layers=12, num_heads=12, hidden_size=768, attention_types=[[["global"], 12]]),
         "the family gpt_neo instead of gpt2"),
        (transformers.BertConfig(), "the family bert instead of gpt2"),
        (transformers.GPTNeoXConfig(num_hidden_layers=12, num_attention_heads=12, hidden_size=768,
                                    intermediate_size=3072),
         "positional_embedding_type rotary instead of standard"),
        (transformers.GPT2Config(vocab_size=31), ""),
    ],
)  # fmt: skip
def test_the_first_difference_is_named_and_families_of_one_size_are_told_apart(config: object, difference: str) -> None:
    assert SHAPE.difference(hg.dissect(config)) == difference


def test_a_configuration_of_transformer_lens_fits_though_it_names_no_family() -> None:
    settings = {"n_layers": 12, "n_heads": 12, "d_model": 768, "d_head": 64, "n_ctx": 1024, "d_vocab": 50257,
                "act_fn": "gelu_new", "normalization_type": "LN"}  # fmt: skip
    assert SHAPE.difference(hg.dissect(settings)) == ""
    rotary = {**settings, "positional_embedding_type": "rotary"}
    assert SHAPE.difference(hg.dissect(rotary)) == "positional_embedding_type rotary instead of standard"


def test_grouped_heads_are_a_difference() -> None:
    grouped = transformers.LlamaConfig(num_key_value_heads=8, vocab_size=31)
    assert hg.library["retrieval-llama-2-7b-80k"].shape.difference(hg.dissect(grouped)) == "n_kv_heads 8 instead of 32"


def test_facts_say_themselves_and_do_not_change() -> None:
    assert str(SHAPE) == "12 layers x 12 heads, d_model 768 (gpt2)"
    assert str(hg.library["agreement-gemma-2b"].shape) == "18 layers x 8 heads in 1 group, d_model 2048 (gemma)"
    assert str(CircuitRole("l0h1", "Looks.")) == "l0h1"
    cited = CircuitCitation("A and B", 2022, "C", "https://arxiv.org/abs/2211.00593")
    assert (cited.arxiv, str(cited)) == ("2211.00593", "A and B 2022, C, arXiv:2211.00593")
    assert CircuitCitation("A", 2022, "C", "https://a.b").arxiv == ""
    with pytest.raises(dataclasses.FrozenInstanceError):
        cited.year = 3  # type: ignore[misc]
    assert SHAPE == hg.library["greater-than"].shape != anatomy_of("gpt2")
