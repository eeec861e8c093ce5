"""How parts are written elsewhere, each beside what it is in our words; or why it is not taken, and what was meant."""

from __future__ import annotations

import re

import pytest
import tiny
from transformers import GPT2Config, LlamaConfig

import headgrid as hg
from headgrid.selection.completion import complete

gpt2 = hg.dissect(tiny.model("gpt2"))  # 3 layers of 4 heads
gqa = hg.dissect(tiny.model("llama with grouped-query attention"))  # 3 layers of 6 heads, transformers' names
small = hg.dissect(GPT2Config())  # 12 layers of 12 heads: GPT-2 small, which papers write about
large = hg.dissect(LlamaConfig(num_hidden_layers=80, num_attention_heads=64, num_key_value_heads=8))

HEADS = [
    # Wang et al. 2022, the code of ARENA and TransformerLens, ACDC, EAP-IG, auto-circuit, and plain words
    "9.6", "L9H6", "L9.H6", "l9.h6", "a9.h6", "A9.6", "a9.6", "L9.6", "a9h6", "l9_h6", "L9 H6", "(9, 6)",
    "head 9.6", "Head 9.6", "heads 9.6", "attention head 9.6", "attn head 9.6", "head L9H6", "head l9.h6",
    "layer 9 head 6", "layer 9, head 6", "Layer 9, Head 6", "layer9head6", "layer_9_head_6", "Layer 9 / Head 6",
    "head 6 of layer 9", "head 6 in layer 9", "Head 6, layer 9", "block 9 head 6", "l9 head 6", "layer=9, head=6",
    "blocks.9.attn.hook_z[:, :, 6]", "blocks.9.attn.hook_result[:, :, 6]", "blocks.9.attn.hook_z[:, :, 6, :]",
]  # fmt: skip
LARGER = [
    ("9.6.q", "l9h6.q"),
    ("A9.6.V", "l9h6.v"),
    ("a9.h6<k>", "l9h6.k"),
    ("a9.6_q", "l9h6.q"),
    ("9.6 | 10.0", "l9h6 | l10h0"),
    ("9.6, 10.0 & l10", "l9h6 | l10h0"),
    ("9.10", "l9h10"),
    ("full - 9.6", "full - l9h6"),
    ("~(9.6 | 10.7)", "~(l9h6 | l10h7)"),
    ("L3", "l3"),
    ("layer 3", "l3"),
    ("block 3", "l3"),
    ("layers 0-3 heads [1,2]", "l0-3h[1,2]"),
    ("layer 3 mlp", "l3 mlp"),
    ("layer 3 attention", "l3 attn"),
    ("layer 3 neuron 5", "l3 mlp n5"),
    ("m3", "l3 mlp"),
    ("MLP 3", "l3 mlp"),
    ("mlp3", "l3 mlp"),
    ("attn3", "l3 attn"),
    ("blocks.9.attn.hook_z", "l9h*"),
    ("blocks.9.attn.hook_result", "l9h*"),
    ("blocks.9.attn.hook_q", "l9h*.q"),
    ("blocks.9.attn.hook_rot_k", "l9h*.k"),
    ("blocks.9.attn.hook_v", "l9h*.v"),
    ("blocks.9.attn.hook_v[:, :, 6]", "l9h6.v"),
    ("blocks.9.hook_q_input[:, :, 6]", "l9h6.q"),
    ("blocks.9.attn.hook_pattern", "l9h*.qk"),
    ("blocks.9.attn.hook_attn_scores[:, 6]", "l9h6.qk"),
    ("blocks.*.attn.hook_z", "l*h*"),
    ("blocks.9.hook_attn_out", "l9 attn"),
    ("blocks.9.hook_mlp_out", "l9 mlp"),
    ("blocks.9.mlp.hook_post", "l9 mlp n*"),
    ("blocks.9.attn.W_Q", "l9.W_Q"),
    ("blocks.9.mlp.W_out", "l9.W_out"),
    ("blocks.9.ln1.w", "l9 ln1.w"),
    ("blocks.9.ln2.hook_scale", "l9 ln2"),
    ("blocks.9", "l9"),
    ("blocks.9.mlp", "l9 mlp"),
    ("hook_embed", "embed"),
    ("hook_pos_embed", "pos"),
    ("embed.W_E", "embed"),
    ("unembed.W_U", "unembed"),
    ("ln_final.hook_normalized", "ln_final"),
]


@pytest.mark.parametrize("text", HEADS)
def test_a_head_is_known_however_it_is_written(text: str) -> None:
    assert small.select(text) == small.select("l9h6")
    assert large.select(text) == large.select("l9h6")


@pytest.mark.parametrize(("text", "ours"), LARGER)
def test_what_is_written_elsewhere_means_one_thing(text: str, ours: str) -> None:
    assert small.select(text) == small.select(ours)


@pytest.mark.parametrize("text", [*HEADS, *(text for text, _ in LARGER)])
def test_what_is_written_elsewhere_prints_as_our_own_words_and_is_completed_to_them(text: str) -> None:
    selection = small.select(text)
    assert small.select(str(selection)) == selection
    found = complete(small, text, len(text))
    if text in ("9.6", "a9.h6", "blocks.9.attn.hook_result", "layer 9 head 6"):
        assert small.select(found.items[0][0]) == selection


@pytest.mark.parametrize(
    ("module", "prefix"),
    [
        ("transformer.h.1.attn", "transformer.h.1.attn."),
        ("h.1.attn", "transformer.h.1.attn."),
        ("transformer.h[1].attn", "transformer.h.1.attn."),
        ("model.transformer.h[1].mlp", "transformer.h.1.mlp."),
        ("transformer.h.1", "transformer.h.1."),
        ("transformer.h.1.attn.c_attn", "transformer.h.1.attn.c_attn."),
        ("h.1.attn.c_attn.weight", "transformer.h.1.attn.c_attn.weight"),
        ("wpe", "transformer.wpe."),
    ],
)
def test_a_modules_name_is_all_parameters_in_it(module: str, prefix: str) -> None:
    expected = {name: None for name in gpt2.parameters if name.startswith(prefix)}
    assert expected
    assert gpt2.select(module).masks() == expected


def test_modules_of_a_llama_are_known_whole_and_by_their_end() -> None:
    assert gqa.select("model.layers.2.self_attn") == gqa.select("l2 attn")
    assert gqa.select("layers.2.mlp.down_proj") == gqa.select("l2.W_out")
    assert gqa.select("lm_head") == gqa.select("unembed")
    assert gqa.select("model.layers.1 - model.layers.1.mlp") == gqa.select("l1 - l1 mlp")


REFUSED = [
    ("h.1.mlpp", "did you mean 'l1 mlp'"),
    ("model.layers.1.self_attn", "did you mean 'l1 attn'"),
    ("gpt_neox.layers.1.attention", "did you mean 'l1 attn'"),
    ("encoder.layer.2.output", "did you mean 'l2'"),
    ("model.layers.7.self_attn", "there is no layer 7"),
    ("blocks.1.hook_resid_pre", r"is the residual stream.*layers='l1'"),
    ("blocks.7.hook_resid_pre", "there is no layer 7"),
    ("h1", "does not say in which layer.*'l\\*h1'"),
    ("head 1", "does not say in which layer"),
    ("1", "could be a layer or a head; layer 1 is 'l1'"),
    ("1:2", "head 2 of layer 1 is 'l1h2'"),
    ("1-2", "head 2 of layer 1 is 'l1h2'"),
    ("1, 2", "head 2 of layer 1 is 'l1h2'"),
    ("1 2", "head 2 of layer 1 is 'l1h2'"),
    ("[1, 2]", "could be two layers or a head"),
    ("[(1, 2), (0, 3)]", "give the list itself"),
    ("1.2->m2", "joins the ends of an edge"),
    ("1.9", "there is no head 9"),
    ("9.1", "there is no layer 9"),
    ("1.2.3", "is not a word"),
    ("c_attn", "is not a word"),
    ("attn.c_attn", "is the end of 3 names of modules"),
    ("l1 atn", "did you mean 'attn'"),
    ("l1 had3", "is no piece of a layer"),
    ("L1-H2", "does not say in which layer"),
]


@pytest.mark.parametrize(("text", "said"), REFUSED)
def test_what_could_mean_two_things_or_nothing_is_refused_with_what_was_probably_meant(text: str, said: str) -> None:
    with pytest.raises(hg.SelectionError) as caught:
        gpt2.select(text)
    assert re.search(said, caught.value.reason), caught.value.reason


def suggested(reason: str) -> list[str]:
    """The words that an error says may have been meant."""
    return re.findall(r"(?:did you mean|is) '([^']*)'", reason.split(" A term is")[0].split(" After a layer")[0])


@pytest.mark.parametrize("anatomy", [gpt2, gqa], ids=["gpt2", "llama"])
def test_a_suggestion_never_names_another_layer_or_head(anatomy: hg.Anatomy) -> None:
    typed = [
        template.format(layer, head)
        for layer in range(3)
        for head in range(4)
        for template in (
            "h.{0}.atn", "transformer.h.{0}.attnn", "model.layers.{0}.slf_attn", "l{0}hh{1}", "l{0} h{1}x", "ll{0}h{1}",
            "layers.{0}.self_attn.q_prj.weight", "transformer.h.{0}.ln_1.wieght", "layer.{0}.head.{1}", "x{0}h{1}",
            "{0}:{1}", "l{0} m{1}", "l{0} n{1}", "l{0} attn{1}", "decoder.{0}.attn", "blok {0}", "l{0}_{1}", "h{1}",
        )
    ]  # fmt: skip
    answered = 0
    for text in typed:
        try:
            anatomy.select(text)
        except hg.SelectionError as fault:
            for word in suggested(fault.reason):
                answered += 1
                numbers = re.findall(r"\d+", word.replace("ln_1", "ln_").replace("ln1", "ln"))
                given = re.findall(r"\d+", text.replace("ln_1", "ln_"))
                assert numbers == given[: len(numbers)] or set(numbers) <= set(given[-1:]), (text, word)
    assert answered > 20


def test_a_stack_may_stand_before_what_is_written_elsewhere() -> None:
    t5 = hg.dissect(tiny.model("t5"))
    assert t5.select("encoder 2.3") == t5.select("encoder l2h3")
    assert t5.select("cross layer 1 head 2") == t5.select("cross l1h2")
    with pytest.raises(hg.SelectionError, match="say which stack 'l2h3' is in: 'encoder l2h3'"):
        t5.select("2.3")


def test_a_written_head_that_is_not_there_is_marked_whole() -> None:
    with pytest.raises(hg.SelectionError) as caught:
        gpt2.select("l0 | blocks.7.attn.hook_z | l1")
    fault = caught.value
    assert fault.text[fault.start : fault.end] == "blocks.7.attn.hook_z"
