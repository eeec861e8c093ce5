from __future__ import annotations

import pytest
import tiny
import torch
import transformers

import headgrid as hg
from headgrid.anatomy import AnatomyError
from headgrid.models.families import FAMILIES


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_bare_body_the_config_and_the_language_model_agree(family: str) -> None:
    model = tiny.model(family)
    whole, config = hg.dissect(model), hg.dissect(tiny.config(family))
    assert whole == config
    body = hg.dissect(model.base_model)
    owned = {slot.role: slot.shape for slot in body.slots}
    assert owned == {slot.role: slot.shape for slot in whole.slots if slot.role not in ("W_U", "b_U")}


def test_sizes_have_the_fields_names() -> None:
    a = hg.dissect(tiny.model("llama with grouped-query attention"))
    sizes = (a.n_layers, a.n_heads, a.n_kv_heads, a.d_model, a.d_head, a.d_mlp, a.d_vocab)
    assert sizes == (3, 6, 2, 48, 10, 22, 31)
    assert a.n_params == sum(p.numel() for p in tiny.model("llama with grouped-query attention").parameters())


def test_tied_tensors_are_aliases() -> None:
    assert hg.dissect(tiny.model("gpt2")).aliases == {"lm_head.weight": "transformer.wte.weight"}
    assert hg.dissect(tiny.model("gpt_neox")).aliases == {}


def test_an_anatomy_is_returned_as_it_is() -> None:
    anatomy = hg.dissect(tiny.model("gpt2"))
    assert hg.dissect(anatomy) is anatomy


def test_an_anatomy_holds_no_reference_to_the_model() -> None:
    import gc
    import weakref

    model = tiny.fresh("gpt2")
    anatomy = hg.dissect(model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert anatomy.n_heads == 4


def test_an_unknown_family_is_refused_with_the_families_that_are_known() -> None:
    with pytest.raises(AnatomyError, match=r"'mixtral', which is not in the table. Did you mean 'mistral'\?"):
        hg.dissect(transformers.MixtralConfig())
    with pytest.raises(AnatomyError, match="gemma, gemma2, gemma3_text, glm, glm4, gpt2"):
        hg.dissect(transformers.BertConfig())


def test_a_variant_of_a_family_that_no_row_serves_is_refused_with_those_that_are_served() -> None:
    config = transformers.FalconConfig(new_decoder_architecture=True)
    with pytest.raises(AnatomyError, match=r"'falcon' with multi_query = False, new_decoder_architecture = False; or"):
        hg.dissect(config)


def test_a_multi_query_falcon_has_one_key_value_head_whatever_its_config_says() -> None:
    assert tiny.config("falcon-7b").num_kv_heads == 71
    assert hg.dissect(tiny.model("falcon-7b")).n_kv_heads == 1


def test_a_model_without_attention_heads_is_refused_as_such() -> None:
    with pytest.raises(AnatomyError, match="'mamba' names no attention heads"):
        hg.dissect(transformers.MambaConfig(num_hidden_layers=2, hidden_size=16, vocab_size=31))


def test_parameters_that_the_row_does_not_place_are_named() -> None:
    config = tiny.config("gpt2")
    config.pad_token_id = 0
    with pytest.raises(AnatomyError, match=r"does not place: score.weight. Remove the modules that own them, or add"):
        hg.dissect(transformers.GPT2ForSequenceClassification(config))


def test_a_config_that_lies_about_the_shapes_is_refused() -> None:
    for key, value, said in [
        ("num_attention_heads", 4, r"num_key_value_heads|W_O|W_K"),
        ("num_attention_heads", 7, "o_proj.weight has the shape"),
        ("num_key_value_heads", 3, r"k_proj.weight has the shape \[20, 48\], but W_K of this family"),
        ("head_dim", 8, "The config says head_dim = 8, but W_O"),
        ("num_hidden_layers", 4, "The config says num_hidden_layers = 4, but LlamaForCausalLM has 3 layers"),
        ("hidden_size", 60, "The config says hidden_size = 60"),
    ]:
        model = tiny.fresh("llama with grouped-query attention")
        setattr(model.config, key, value)
        with pytest.raises(AnatomyError, match=said):
            hg.dissect(model)


def test_weights_without_a_head_axis_are_refused() -> None:
    model = tiny.fresh("gpt2")
    model.transformer.h[1].attn.c_proj.weight = torch.nn.Parameter(torch.zeros(28 * 28 // 2, 1))
    with pytest.raises(AnatomyError, match="quantised or sharded"):
        hg.dissect(model)


def test_what_is_no_model_is_refused_with_what_is() -> None:
    with pytest.raises(TypeError, match=r"takes a transformers model, a transformers config or an Anatomy, not str"):
        hg.dissect("gpt2")
    with pytest.raises(AnatomyError, match="Linear has no config with a model_type"):
        hg.dissect(torch.nn.Linear(2, 3))


def test_every_family_of_the_table_is_tested() -> None:
    tested = {tiny.config(name).model_type for name in tiny.FAMILIES}
    assert set(FAMILIES) == tested
