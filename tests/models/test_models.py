from __future__ import annotations

import pytest
import tiny
import torch
import transformers

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError
from headgrid.anatomy.roles import bare
from headgrid.models.families import FAMILIES


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_the_bare_body_the_config_and_the_language_model_agree(family: str) -> None:
    model = tiny.model(family)
    whole, config = hg.dissect(model), hg.dissect(tiny.config(family))
    assert whole == config
    body = hg.dissect(model.base_model)
    owned = {slot.key: slot.shape for slot in body.slots}
    outside = {"W_U", "b_U", "top"}  # a pooler is inside, a classifier is not
    assert {key: shape for key, shape in owned.items() if bare(key) not in outside} == {
        slot.key: slot.shape for slot in whole.slots if slot.role not in outside
    }


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


@pytest.mark.slow
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


def test_an_unknown_family_is_refused_with_its_reason_and_the_closest_families() -> None:
    with pytest.raises(AnatomyError) as fault:
        hg.dissect(transformers.MambaConfig(num_hidden_layers=2, hidden_size=16, vocab_size=31))
    first, *below = str(fault.value).splitlines()
    assert first == (
        "MambaForCausalLM is of the family 'mamba', which is not in the table. No guess from its names and shapes "
        "holds: backbone.layers: the config names no number of attention heads"
    )
    assert any("The table has" in line and "jamba" in line for line in below)


def test_a_multi_query_falcon_has_one_key_value_head_whatever_its_config_says() -> None:
    assert tiny.config("falcon-7b").num_kv_heads == 71
    assert hg.dissect(tiny.model("falcon-7b")).n_kv_heads == 1


def test_a_model_without_attention_heads_is_refused_as_such() -> None:
    with pytest.raises(AnatomyError, match="'mamba' names no attention heads"):
        hg.dissect(transformers.MambaConfig(num_hidden_layers=2, hidden_size=16, vocab_size=31))


def test_parameters_that_the_row_does_not_place_are_named() -> None:
    model = tiny.fresh("gpt2")
    model.probe = torch.nn.Linear(28, 3)
    with pytest.raises(AnatomyError, match=r"does not place: probe.weight, probe.bias. Remove the modules that own"):
        hg.dissect(model)


def test_the_head_of_a_task_is_the_top() -> None:
    config = tiny.config("gpt2")
    config.pad_token_id = 0
    anatomy = hg.dissect(transformers.GPT2ForSequenceClassification(config))
    assert anatomy.select("top").masks() == {"score.weight": None}


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
    with pytest.raises(AnatomyError, match="quantized or sharded"):
        hg.dissect(model)


def test_what_is_no_model_is_refused_with_what_is() -> None:
    with pytest.raises(TypeError, match=r"takes a model of transformers or .* or an Anatomy, not 5"):
        hg.dissect(5)
    with pytest.raises(AnatomyError, match="there is no file 'gpt2' to read a config from\nheadgrid downloads nothing"):
        hg.dissect("gpt2")
    with pytest.raises(AnatomyError, match="Linear has no config with a model_type"):
        hg.dissect(torch.nn.Linear(2, 3))


def test_every_family_of_the_table_is_tested() -> None:
    configs = [tiny.config(name) for name in tiny.FAMILIES]
    inner = [
        getattr(config, part)
        for config in configs
        for part in ("text_config", "vision_config")
        if hasattr(config, part)
    ]
    assert set(FAMILIES) == {config.model_type for config in (*configs, *inner)}
