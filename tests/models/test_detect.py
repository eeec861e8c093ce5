"""A guess is the table's row or a refusal, never another row without a word; forward passes tell what shapes do not."""

from __future__ import annotations

import contextlib
import functools
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
import transformers
from torch import Tensor, nn

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy, AnatomyError, Slot, Stack
from headgrid.anatomy.roles import ROLES
from headgrid.models import huggingface
from headgrid.models.binding import NamedShapes, bind
from headgrid.models.detect import Guess, guess, guesses, written
from headgrid.models.families import FAMILIES
from headgrid.models.family import Family, lines
from headgrid.models.huggingface import named

# ---- the families of the table, which a guess does not know of

REFUSED = {"lfm2": "model.embedding_norm.weight, shape .*: its name is not one of those that are known"}
"""Families that are not guessed: LFM2 calls the norm at its end `embedding_norm`."""

LATER = {
    "codegen": 2, "codegen with 8 heads": 2, "gpt_bigcode with a key/value head per head": 1, "deberta": 1,
    "deberta without legacy": 1,
}  # fmt: skip
"""Families that are not the likeliest guess -> which guess they are."""

OPEN = {
    "how q, k and v lie along": (
        "gpt2", "gpt_neox", "phi3", "persimmon", "bloom", "falcon-rw", "mpt", "falcon-40b", "falcon-40b with biases",
        "falcon-11b", "qwen2_vl", "qwen3_vl", *LATER,
    ),
    "how the rows of the gate": ("phi3", "glm", "glm4"),
    "how the rows of an expert's gate": (
        "mixtral", "qwen2_moe", "qwen3_moe", "phimoe", "granitemoe", "olmoe", "gpt_oss", "glm4_moe", "deepseek_v2",
        "deepseek_v2-lite", "deepseek_v2 with biases", "deepseek_v3", "jamba", "qwen3_next",
    ),
    "where the part without position of latent queries": (
        "deepseek_v2", "deepseek_v2-lite", "deepseek_v2 with biases", "deepseek_v3",
    ),
    "how the rows of queries and of the output gate": ("qwen3_next",),
    "where the norms of the": ("opt-350m", "qwen2_vl", "qwen3_vl"),
}  # fmt: skip
"""What shapes leave open -> the families that it is left open for. Every other family is guessed without a doubt."""


def slots(anatomy: Anatomy) -> set[Slot]:
    """The slots; parts of any shape are numbered in the order of a row's lines, which means nothing."""
    return {replace(slot, first=0) if ROLES[slot.role].axes == "..." else slot for slot in anatomy.slots}


@functools.cache
def guessed(family: str) -> tuple[Guess, ...]:
    model = tiny.model(family)
    return tuple(guesses(model.config, named(model)))


GUESSED = [family for family in tiny.FAMILIES if family not in REFUSED]


@pytest.mark.parametrize("family", GUESSED)
def test_a_guess_is_the_tables_row(family: str) -> None:
    table = hg.dissect(tiny.model(family))
    found = guessed(family)
    assert [slots(one.anatomy) == slots(table) for one in found].index(True) == LATER.get(family, 0)
    assert found[0].anatomy.parameters == table.parameters
    assert [(s.n_layers, s.n_heads, s.n_kv_heads, s.uses) for s in found[0].anatomy.stacks if s.n_layers] == [
        (s.n_layers, s.n_heads, s.n_kv_heads, s.uses) for s in table.stacks if s.n_layers
    ]
    assert {one.anatomy.provenance for one in found} == {"guess"}


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_a_family_that_is_not_in_the_table_is_guessed_right_or_refused(
    family: str, record_property: Callable[[str, object], None]
) -> None:
    """What docs/families.md says of the guess."""
    if family in REFUSED:
        record_property("guess", "refused")
        return
    found, table = guessed(family), hg.dissect(tiny.model(family))
    right = [slots(one.anatomy) == slots(table) for one in found]
    assert any(right)
    record_property("guess", "right" if len(found) == 1 else f"{right.index(True) + 1} of {len(found)}")


@pytest.mark.parametrize("family", GUESSED)
def test_what_shapes_leave_open_is_said_and_is_another_guess(family: str) -> None:
    found = guessed(family)
    for start, families in OPEN.items():
        asked = any(doubt.startswith(f"shapes do not show {start}") for doubt in found[0].caveats)
        assert asked == (family in families), found[0].caveats
    assert (len(found) > 1) == bool(found[0].caveats)
    assert len({one.caveats for one in found}) == len(found)
    assert len({one.anatomy.fingerprint for one in found}) == len(found)


@pytest.mark.parametrize("family", list(REFUSED))
def test_a_family_that_no_guess_places_is_refused(family: str) -> None:
    model = tiny.model(family)
    with pytest.raises(AnatomyError, match=REFUSED[family]):
        guess(model.config, named(model))


@pytest.mark.parametrize("family", GUESSED)
def test_the_row_that_is_written_is_the_guess(family: str) -> None:
    model = tiny.model(family)
    found = guessed(family)[0]
    row: Family = eval(written(found.rows), {"Family": Family, "lines": lines})
    assert row.model_types == (model.config.model_type,)
    first = replace(row, others=())
    again = bind([first, *row.others], model.config, named(model), found.anatomy.family)
    assert again == found.anatomy


@pytest.mark.parametrize("family", [*LATER, "gpt2", "falcon-40b", "gpt_neox"])
def test_a_proof_chooses_the_right_guess(family: str) -> None:
    held = [bool(hg.verify(tiny.model(family), one.anatomy)) for one in guessed(family)]
    assert held == [slots(one.anatomy) == slots(hg.dissect(tiny.model(family))) for one in guessed(family)]


def test_a_config_that_lies_about_the_shapes_is_not_believed() -> None:
    for key, value, said in [
        ("num_attention_heads", 4, "k_proj.weight and 2 like it, .* which its shape does not fit"),
        ("num_attention_heads", 7, "60 entries, which 7 heads do not divide"),
        ("num_key_value_heads", 3, r"k_proj.weight has the shape \[20, 48\]"),
        ("head_dim", 8, "The config says head_dim = 8"),
        ("num_hidden_layers", 4, "The config says num_hidden_layers = 4"),
        ("hidden_size", 50, "is a width that the config names"),
    ]:
        model = tiny.fresh("llama with grouped-query attention")
        setattr(model.config, key, value)
        with pytest.raises(AnatomyError, match=said):
            guess(model.config, named(model))


# ---- families that are not in the table, held against their own forward passes

SIZES: dict[str, Any] = {
    "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2, "hidden_size": 48, "head_dim": 10,
    "intermediate_size": 22, "vocab_size": 31, "max_position_embeddings": 19, "bos_token_id": 1, "eos_token_id": 2,
    "pad_token_id": 0, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
}  # fmt: skip
PLAIN = {key: value for key, value in SIZES.items() if key != "head_dim"}
ALIKE = {key: value for key, value in PLAIN.items() if key != "num_key_value_heads"}
PAIR = {
    "encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 6, "decoder_attention_heads": 4, "d_model": 60,
    "encoder_ffn_dim": 22, "decoder_ffn_dim": 26, "vocab_size": 31, "max_position_embeddings": 19, "pad_token_id": 0,
    "decoder_start_token_id": 2, "dropout": 0.0, "forced_eos_token_id": None, "decoder_vocab_size": 31,
}  # fmt: skip
GPT = {
    "n_layer": 2,
    "n_head": 6,
    "n_embd": 48,
    "n_positions": 19,
    "vocab_size": 31,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MOE = {"moe_intermediate_size": 9, "num_experts_per_tok": 2}

OUTSIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "apertus": ("ApertusForCausalLM", SIZES),
    "arcee": ("ArceeForCausalLM", SIZES),
    "biogpt": ("BioGptForCausalLM", ALIKE),
    "blenderbot": ("BlenderbotForConditionalGeneration", PAIR),
    "blenderbot-small": ("BlenderbotSmallForConditionalGeneration", PAIR),
    "ctrl": ("CTRLLMHeadModel", {**GPT, "dff": 22, "resid_pdrop": 0.0, "embd_pdrop": 0.0}),
    "data2vec-text": ("Data2VecTextForMaskedLM", ALIKE),
    "dots1": ("Dots1ForCausalLM", {**SIZES, **MOE, "n_routed_experts": 5, "n_shared_experts": 2, "n_group": 1,
                                   "topk_group": 1, "first_k_dense_replace": 1}),
    "ernie": ("ErnieForMaskedLM", ALIKE),
    "ernie4_5": ("Ernie4_5ForCausalLM", SIZES),
    "esm": ("EsmForMaskedLM", {**ALIKE, "mask_token_id": 3, "position_embedding_type": "absolute"}),
    "exaone4": ("Exaone4ForCausalLM", SIZES),
    "gpt_neox_japanese": ("GPTNeoXJapaneseForCausalLM", {**ALIKE, "intermediate_multiple_size": 2}),
    "granitemoeshared": ("GraniteMoeSharedForCausalLM",
                         {**PLAIN, "num_local_experts": 5, "shared_intermediate_size": 13}),
    "helium": ("HeliumForCausalLM", {**SIZES, "head_dim": 8}),
    "hunyuan_v1_dense": ("HunYuanDenseV1ForCausalLM",
                         {**SIZES, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}),
    "m2m_100": ("M2M100ForConditionalGeneration", PAIR),
    "marian": ("MarianMTModel", PAIR),
    "mbart": ("MBartForConditionalGeneration", PAIR),
    "megatron-bert": ("MegatronBertForMaskedLM", ALIKE),
    "modernbert": ("ModernBertForMaskedLM", {**ALIKE, "embedding_dropout": 0.0, "mlp_dropout": 0.0}),
    "mpnet": ("MPNetForMaskedLM", ALIKE),
    "openai-gpt": ("OpenAIGPTLMHeadModel", GPT),
    "pegasus": ("PegasusForConditionalGeneration", PAIR),
    "roberta-prelayernorm": ("RobertaPreLayerNormForMaskedLM", ALIKE),
    "roformer": ("RoFormerForMaskedLM", {**ALIKE, "embedding_size": 15}),
    "seed_oss": ("SeedOssForCausalLM", SIZES),
}  # fmt: skip

TOLD_APART = {
    "gpt_neox_japanese": [True, False],
    "modernbert": [True, False, False, False, False, False],
    "openai-gpt": [True, True, False, False],  # the second differs in where norms stand, which no head shows
}
"""Which guesses the forward pass allows; the first alone where nothing is said."""


@functools.cache
def outside(family: str) -> nn.Module:
    kind, sizes = OUTSIDE[family]
    cls = getattr(transformers, kind)
    torch.manual_seed(0)
    model = cls._from_config(cls.config_class(**sizes), attn_implementation="eager").double().eval()
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    return model  # type: ignore[no-any-return]


@pytest.mark.slow
@pytest.mark.parametrize("family", list(OUTSIDE))
def test_a_family_that_is_not_in_the_table_is_guessed_as_it_computes(family: str) -> None:
    model: Any = outside(family)
    assert model.config.model_type == family
    found = list(guesses(model.config, named(model)))
    holds = [next(_wrong(Forward(model), one.anatomy), None) is None for one in found]
    assert holds == TOLD_APART.get(family, [True] * len(found)), list(_wrong(Forward(model), found[0].anatomy))
    assert found[0].anatomy.family == family


class Forward:
    """A model's logits and attention patterns, with some parts of its weights changed."""

    def __init__(self, model: Any) -> None:
        self.model = model
        ids = torch.randint(3, 26, (1, 6), generator=torch.Generator().manual_seed(2))
        self.inputs = {"input_ids": ids}
        if model.config.is_encoder_decoder:
            self.inputs["decoder_input_ids"] = ids[:, :4]

    def __call__(self) -> tuple[Tensor, dict[str, tuple[Tensor, ...]]]:
        with torch.no_grad():
            out = self.model(**self.inputs, output_attentions=True, return_dict=True)
        names = {"": "attentions", "encoder": "encoder_attentions", "decoder": "decoder_attentions",
                 "cross": "cross_attentions"}  # fmt: skip
        return out.logits, {stack: getattr(out, name) for stack, name in names.items() if getattr(out, name, None)}

    @contextlib.contextmanager
    def scaled(self, stack: Stack, layer: int, part: int, factor: float, *roles: str) -> Iterator[None]:
        """One part of these roles multiplied by a factor, for as long as this lasts."""
        parameters = dict(self.model.named_parameters(remove_duplicate=False))
        places = [slot for role in roles for slot in stack.places.get((role, layer), ())]
        kept = {slot.parameter: parameters[slot.parameter].detach().clone() for slot in places}
        with torch.no_grad():
            for slot in places:
                axis = ROLES[slot.role].axes.split().index(ROLES[slot.role].part_axis or "")
                slot.of(parameters[slot.parameter].data).movedim(axis, 0)[part] *= factor
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in kept.items():
                    parameters[name].copy_(value)


def _wrong(run: Forward, anatomy: Anatomy) -> Iterator[str]:
    """Where the forward pass does not do what an anatomy says, as far as attention and neurons show it."""

    def same(a: Tensor, b: Tensor) -> bool:
        return bool((a - b).abs().max() < 1e-9)

    logits, patterns = run()
    for stack in anatomy.stacks:
        for layer in range(stack.n_layers):
            moves = functools.partial(_moves, run, stack, layer, patterns[stack.name][layer])
            scaled: Callable[..., contextlib.AbstractContextManager[None]] = functools.partial(run.scaled, stack, layer)
            for head in range(stack.n_heads):
                if moves(head, "W_Q", "b_Q") != [head]:
                    yield f"{stack.name} layer {layer}: W_Q of {head} moves {moves(head, 'W_Q', 'b_Q')}"
                with scaled(head, 0.0, "W_O"):
                    without = run()[0]
                    with scaled(head, 0.3, "W_Q", "b_Q"):
                        if not same(without, run()[0]) or same(without, logits):
                            yield f"{stack.name} layer {layer}: W_O and W_Q of {head} are two heads'"
            for group in range(stack.n_kv_heads):
                mine = [head for head in range(stack.n_heads) if stack.kv_head_of[head] == group]
                if moves(group, "W_K", "b_K") != mine:
                    yield f"{stack.name} layer {layer}: W_K of {group} moves {moves(group, 'W_K', 'b_K')}"
                with scaled(group, 0.0, "W_V", "b_V"), contextlib.ExitStack() as heads:
                    without = run()[0]
                    for head in mine:
                        heads.enter_context(scaled(head, 0.0, "W_O"))
                    if not same(without, run()[0]):
                        yield f"{stack.name} layer {layer}: W_V of {group} is not what W_O of {mine} reads"
            neurons = [slot.n_parts for slot in stack.places.get(("W_out", layer), ())]
            for neuron in {0, neurons[0] // 2, neurons[0] - 1} if neurons else ():
                with scaled(neuron, 2.0, "W_out"):
                    twice = run()[0]
                with scaled(neuron, 0.0, "W_out"):
                    without = run()[0]
                    with scaled(neuron, 0.3, "W_in", "b_in", "W_gate", "b_gate"):
                        if not same(without, run()[0]):
                            yield f"{stack.name} layer {layer}: W_out of neuron {neuron} does not read W_in's"
                if ("W_gate", layer) in stack.places:
                    with scaled(neuron, 2.0, "W_in", "b_in"):  # the gate is not linear, what it gates is
                        if not same(twice, run()[0]):
                            yield f"{stack.name} layer {layer}: neuron {neuron} is not linear in W_in"


def _moves(run: Forward, stack: Stack, layer: int, before: Tensor, part: int, *roles: str) -> list[int]:
    """The heads whose patterns are others when one part of these roles is scaled."""
    with run.scaled(stack, layer, part, 0.3, *roles):
        after = run()[1][stack.name][layer]
    return [int(i) for i in ((after - before).abs().amax((0, 2, 3)) > 1e-9).nonzero()]


def test_a_guess_is_made_by_dissect_and_announced() -> None:
    model: Any = outside("gpt_neox_japanese")
    said = r"'gpt_neox_japanese' is not in headgrid's table.*how q, k and v lie.*headgrid.verify tells"
    with pytest.warns(UserWarning, match=said):
        anatomy = hg.dissect(model)
    assert anatomy.provenance == "guess"
    with pytest.warns(UserWarning, match="is a guess"):
        assert hg.dissect(model.config) == anatomy


def test_a_guess_that_is_proven_says_so_and_a_proof_finds_the_right_one() -> None:
    """DeBERTa's rows lie per head, which is not what its name pattern makes likeliest; only the proof can tell."""
    model, table = tiny.fresh("deberta"), hg.dissect(tiny.model("deberta"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(huggingface, "FAMILIES", {key: rows for key, rows in FAMILIES.items() if key != "deberta"})
        with pytest.warns(UserWarning, match="is a guess"):
            assert slots(hg.dissect(model)) != slots(table)
        with pytest.warns(UserWarning, match="is a guess"):
            proof = hg.verify(model)
        assert proof.ok
        assert (proof.anatomy.provenance, slots(proof.anatomy)) == ("proven", slots(table))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            grid = hg.HeadGrid(model)
    assert (grid.spec["provenance"], slots(grid.anatomy)) == ("proven", slots(table))
    assert "proven by forward passes of this very model" in grid.spec["provenance_note"]


def test_an_unproven_guess_says_so_in_the_widget() -> None:
    with pytest.warns(UserWarning, match="is a guess"):
        grid = hg.HeadGrid(outside("gpt_neox_japanese"))
    assert grid.spec["provenance"] == "guess"
    assert "headgrid.verify(model) proves or refutes it" in grid.spec["provenance_note"]


# ---- refusals


def refusal(kind: str, **sizes: Any) -> str:
    cls = getattr(transformers, kind)
    with torch.device("meta"):
        model = cls._from_config(cls.config_class(**sizes))
    with pytest.raises(AnatomyError) as refused:
        guess(model.config, named(model))
    return str(refused.value)


def test_a_refusal_says_what_matched_what_did_not_and_the_row_to_write() -> None:
    said = refusal("BitNetForCausalLM", **PLAIN)
    matched, rest = said.split("What matched:\n")[1].split("\nWhat did not:\n")
    did_not, row = rest.split("\nThe row to write")
    assert "W_K" in matched
    assert "self_attn.k_proj.weight" in matched
    assert "(g h) m" in matched
    assert "model.layers.0.self_attn.attn_sub_norm.weight and 1 like it, shape [48]" in did_not
    assert "model.layers.0.mlp.ffn_sub_norm.weight and 1 like it, shape [22]" in did_not
    made = eval(row[row.index("Family(") :], {"Family": Family, "lines": lines})
    assert made.model_types == ("bitnet",)
    assert "W_Q" in {line.role for line in made.layer}


def test_a_models_in_proj_and_out_proj_are_not_attention_where_its_state_is_a_space() -> None:
    for kind in ("MambaForCausalLM", "FalconMambaForCausalLM"):
        said = refusal(kind, num_hidden_layers=2, hidden_size=16, vocab_size=31, state_size=3)
        assert "What matched:\n        nothing" in said
        assert "attention heads" in said


@pytest.mark.parametrize(
    ("kind", "sizes", "said"),
    [
        ("XLMWithLMHeadModel", {"n_layers": 2, "n_heads": 6, "emb_dim": 48, "n_words": 31}, "no list of layers has"),
        ("DiffLlamaForCausalLM", PLAIN, "self_attn.lambda_q1 and 1 like it"),
        ("LongformerForMaskedLM", {**ALIKE, "attention_window": [4, 4]}, "query_global.weight"),
        ("RwkvForCausalLM", {"num_hidden_layers": 2, "hidden_size": 16, "vocab_size": 31}, "no list of layers has"),
        ("ConvBertForMaskedLM", {**ALIKE, "embedding_size": 48}, "key_conv_attn_layer"),
    ],
)
def test_attention_of_another_kind_is_refused(kind: str, sizes: dict[str, Any], said: str) -> None:
    assert said in refusal(kind, **sizes)


def test_a_part_of_the_layers_is_refused() -> None:
    model = tiny.model("llama with grouped-query attention")
    all_of = named(model)
    kept = {name: shape for name, shape in all_of.shapes.items() if ".layers.0." not in name}
    with pytest.raises(AnatomyError, match=r"model.layers has the layers \[1, 2\], not all from 0 on"):
        guess(model.config, replace(all_of, shapes=kept, known={name: name for name in kept}))


def square(**config: Any) -> tuple[Any, NamedShapes]:
    """A model all of whose matrices are square."""
    module = {"q_proj": "self_attn", "k_proj": "self_attn", "v_proj": "self_attn", "o_proj": "self_attn",
              "fc1": "mlp", "fc2": "mlp"}  # fmt: skip
    shapes = {f"layers.{i}.{at}.{name}.weight": (12, 12) for i in range(2) for name, at in module.items()}
    shapes["norm.weight"] = (12,)
    said = SimpleNamespace(model_type="square", num_attention_heads=3, num_hidden_layers=2, hidden_size=12, **config)
    return said, NamedShapes("Square", shapes, {}, {name: name for name in shapes})


def test_square_matrices_are_stored_either_way_and_both_are_guesses() -> None:
    found = list(guesses(*square()))
    assert [one.anatomy.places["W_Q", 0][0].axes for one in found] == ["(n h) m", "m (n h)"]
    assert "how square matrices are stored" in found[0].caveats[0]


def test_one_matrix_that_is_not_square_tells_how_the_others_are_stored() -> None:
    said, all_of = square()
    for i in range(2):
        all_of.shapes[f"layers.{i}.mlp.fc1.weight"] = (12, 20)  # type: ignore[index]
        all_of.shapes[f"layers.{i}.mlp.fc2.weight"] = (20, 12)  # type: ignore[index]
    (only,) = guesses(said, all_of)
    assert only.anatomy.places["W_Q", 0][0].axes == "m (n h)"
    assert only.caveats == ()
