"""The model that `demo()` gives is what its card says. Measured here by other means than in demo_model.measure: heads
are ablated by editing weights, attention is recomputed from q and k, composition and copying from dense matrices."""

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from demo_model import card as card_module
from demo_model import tables
from demo_model import train as train_module
from demo_model.language import all_facts, vocabulary
from demo_model.measure import answer_probabilities

from headgrid.demo import FOLDER, PROMPTS, demo, name_prompts, repeated_tokens
from headgrid.demo.name_task import NAMES, held_out

pytestmark = pytest.mark.slow

LENGTH = 40
PREVIOUS, INDUCTION = (0, 1), (1, 2)
ALL_HEADS = [(layer, head) for layer in range(2) for head in range(4)]
OTHERS = [head for head in ALL_HEADS if head not in (PREVIOUS, INDUCTION)]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def loaded():
    return demo()


@pytest.fixture(scope="module")
def model(loaded):
    return loaded[0]


@pytest.fixture(scope="module")
def tokenizer(loaded):
    return loaded[1]


@pytest.fixture(scope="module")
def repeated(tokenizer):
    return repeated_tokens(tokenizer, n=24, length=LENGTH, seed=123)


@torch.no_grad()
def logits_of(model, ids):
    return model(input_ids=ids).logits


def second_half_loss(model, ids):
    """Mean of -log p over the second copy without its first token."""
    logs = logits_of(model, ids).log_softmax(-1)
    targets = range(LENGTH + 2, 2 * LENGTH + 1)
    return -np.mean([logs[range(len(ids)), t - 1, ids[:, t]].mean().item() for t in targets])


@torch.no_grad()
def without(model, layer, head, ids=None):
    """A copy without one head: its rows of W_O zeroed and, if ids are given, its mean output put in their place."""
    edited = copy.deepcopy(model)
    attn = edited.transformer.h[layer].attn
    rows = slice(24 * head, 24 * head + 24)
    W_O = attn.c_proj.weight[rows].clone()
    attn.c_proj.weight[rows] = 0
    if ids is not None:
        seen = []
        handle = model.transformer.h[layer].attn.c_proj.register_forward_hook(lambda m, i, o: seen.append(i[0]))
        logits_of(model, ids)
        handle.remove()
        mean = seen[0][..., rows].mean(0) @ W_O
        attn.c_proj.register_forward_hook(lambda m, i, o: o + mean[: o.shape[1]])
    return edited


@torch.no_grad()
def attention_of(model, layer, head, ids):
    """softmax(q k / sqrt(d_head)) from the output of c_attn: [batch, query, key]."""
    seen = []
    handle = model.transformer.h[layer].attn.c_attn.register_forward_hook(lambda m, i, o: seen.append(o))
    logits_of(model, ids)
    handle.remove()
    q, k, _ = seen[0].split(96, dim=-1)
    q, k = q[..., 24 * head : 24 * head + 24], k[..., 24 * head : 24 * head + 24]
    scores = q @ k.transpose(1, 2) / 24**0.5
    return scores.masked_fill(torch.ones_like(scores, dtype=torch.bool).triu(1), -torch.inf).softmax(-1)


def offset_score(pattern, offset, queries):
    return np.mean([pattern[:, i, i - offset].mean().item() for i in queries])


def previous_score(model, head, ids):
    return offset_score(attention_of(model, *head, ids), 1, range(2, LENGTH + 1))


def induction_score(model, head, ids):
    return offset_score(attention_of(model, *head, ids), LENGTH - 1, range(LENGTH + 1, 2 * LENGTH + 1))


@torch.no_grad()
def folded(model, layer, head):
    """W_Q, W_K, W_V with the gain of ln_1 on their rows and the mean over rows taken out, and W_O."""
    block = model.transformer.h[layer]
    columns = [range(96 * i + 24 * head, 96 * i + 24 * head + 24) for i in range(3)]
    matrices = [block.ln_1.weight[:, None] * block.attn.c_attn.weight[:, c] for c in columns]
    return [(W - W.mean(0)).double().numpy() for W in matrices] + [
        block.attn.c_proj.weight[24 * head : 24 * head + 24].double().numpy()
    ]


# --- the circuit ------------------------------------------------------------------------------------------------------


def test_repeating_random_tokens_lowers_the_loss_by_at_least_five_nats(model, repeated):
    logs = logits_of(model, repeated).log_softmax(-1)
    first = -np.mean([logs[range(24), t - 1, repeated[:, t]].mean().item() for t in range(1, LENGTH + 1)])
    assert first - second_half_loss(model, repeated) >= 5


def test_exactly_one_head_attends_to_the_previous_token(model, repeated):
    scores = {head: previous_score(model, head, repeated) for head in ALL_HEADS}
    assert scores.pop(PREVIOUS) > 0.8
    assert max(scores.values()) < 0.4


def test_exactly_one_head_attends_as_an_induction_head(model, repeated):
    scores = {head: induction_score(model, head, repeated) for head in ALL_HEADS}
    assert scores.pop(INDUCTION) > 0.8
    assert max(scores.values()) < 0.2


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_ablating_the_induction_head_costs_at_least_five_nats(model, repeated, ablation):
    edited = without(model, *INDUCTION, repeated if ablation == "mean" else None)
    assert second_half_loss(edited, repeated) - second_half_loss(model, repeated) >= 5


@pytest.mark.parametrize("ablation", ["zero", "mean"])
def test_ablating_the_previous_token_head_costs_at_least_three_nats(model, repeated, ablation):
    edited = without(model, *PREVIOUS, repeated if ablation == "mean" else None)
    assert second_half_loss(edited, repeated) - second_half_loss(model, repeated) >= 3


@pytest.mark.parametrize("ablation", ["zero", "mean"])
@pytest.mark.parametrize("head", OTHERS)
def test_ablating_any_other_head_costs_less_than_half_a_nat(model, repeated, head, ablation):
    edited = without(model, *head, repeated if ablation == "mean" else None)
    assert second_half_loss(edited, repeated) - second_half_loss(model, repeated) < 0.5


def test_the_previous_token_head_composes_with_the_induction_head_beyond_chance(model):
    _, _, W_V, W_O = folded(model, *PREVIOUS)
    W_Q, W_K, _, _ = folded(model, *INDUCTION)
    writes, reads = W_V @ W_O, W_K @ W_Q.T

    def composition(rotation):
        return np.linalg.norm(writes @ rotation @ reads) / (np.linalg.norm(writes) * np.linalg.norm(reads))

    rng = np.random.default_rng(0)
    chance = [composition(np.linalg.qr(rng.standard_normal((96, 96)))[0]) for _ in range(50)]
    assert abs(np.mean(chance) - 96**-0.5) < 0.005
    assert composition(np.eye(96)) > np.mean(chance) + 8 * np.std(chance)


def test_the_induction_head_copies(model):
    _, _, W_V, W_O = folded(model, *INDUCTION)
    ln_f = model.transformer.ln_f.weight.detach().double().numpy()
    W_U = ln_f[:, None] * model.lm_head.weight.detach().double().numpy().T
    W_E = model.transformer.wte.weight.detach().double().numpy()
    eigenvalues = np.linalg.eigvals(W_E @ W_V @ W_O @ (W_U - W_U.mean(0)))  # vocabulary x vocabulary
    assert eigenvalues.real.sum() / np.abs(eigenvalues).sum() > 0.9


# --- what it knows ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PROMPTS)
def test_each_prompt_is_answered(model, tokenizer, kind):
    text, answer = PROMPTS[kind]
    p = logits_of(model, tokenizer(text, return_tensors="pt")["input_ids"])[0, -1].softmax(-1)
    assert tokenizer.decode([int(p.argmax())]) == answer
    assert p.max() > (0.95 if kind.startswith("name") else 0.85)


def test_names_are_completed_even_for_pairs_that_never_met_in_training(model, tokenizer):
    assert held_out("mary", "john")
    names = name_prompts(tokenizer, 300, unseen=True, seed=5)
    said = [
        [word for word in tokenizer.decode(row, skip_special_tokens=True).split() if word in NAMES] for row in names.ids
    ]
    expected = [
        [tokenizer.decode(int(one)) for one in of] for of in zip(names.right, names.wrong, names.giver, strict=True)
    ]
    for (a, b, s), (right, wrong, giver) in zip(said, expected, strict=True):
        assert held_out(a, b)
        assert giver == wrong == s
        assert {right, wrong} == {a, b}
    p = logits_of(model, names.ids)[:, -1].softmax(-1)
    assert p[range(300), names.right].mean() > 0.95
    assert (p.argmax(-1) == names.right).float().mean() > 0.97


def right_minus_wrong(model, names):
    logits = logits_of(model, names.ids)[:, -1]
    each = range(len(logits))
    return (logits[each, names.right] - logits[each, names.wrong]).mean().item()


GIVER = 10
"""<bos> when a and b went to the place , GIVER gave a thing to"""


def test_the_induction_head_brings_the_names_and_the_rest_of_its_layer_tells_them_apart(model, tokenizer):
    names = name_prompts(tokenizer, 200, seed=9)
    mover = without(model, *INDUCTION)
    assert logits_of(mover, names.ids)[:, -1].softmax(-1)[range(200), names.right].mean() < 0.05
    assert right_minus_wrong(mover, names) > 5
    suppressors = without(without(without(model, 1, 0), 1, 1), 1, 3)
    assert right_minus_wrong(model, names) > 8
    assert abs(right_minus_wrong(suppressors, names)) < 2
    for head in (0, 1, 3):
        assert attention_of(model, 1, head, names.ids)[:, -1, GIVER].mean() > 0.8


def test_the_suppressors_look_at_the_giver_and_not_for_a_repeated_name(model, tokenizer):
    again, third = (name_prompts(tokenizer, 200, seed=9, third=third) for third in (False, True))
    assert (again.ids != third.ids).sum(1).eq(1).all()
    assert torch.equal(third.ids[:, GIVER], third.giver)
    assert not (third.giver == third.right).any()
    assert not (third.giver == third.wrong).any()
    for head in (0, 1, 3):
        assert attention_of(model, 1, head, third.ids)[:, -1, GIVER].mean() > 0.85
    assert abs(right_minus_wrong(model, third)) < 1  # nothing tells the two names apart


def test_the_mlps_matter_for_the_facts(model, tokenizer):
    facts = [(" ".join(words[:answer]), words[answer]) for words, answer, _ in all_facts()]
    silent = copy.deepcopy(model)
    silent.transformer.h[1].mlp.c_proj.weight.data.zero_()
    silent.transformer.h[1].mlp.c_proj.bias.data.zero_()
    assert answer_probabilities(silent, tokenizer, facts).mean() < 0.7
    assert answer_probabilities(model, tokenizer, facts).mean() > 0.98


def test_every_fact_is_known(model, tokenizer):
    for words, answer, _ in all_facts():
        ids = tokenizer(" ".join(words[:answer]), return_tensors="pt")["input_ids"]
        assert tokenizer.decode([int(logits_of(model, ids)[0, -1].argmax())]) == words[answer]


# --- the files --------------------------------------------------------------------------------------------------------


def test_the_folder_is_at_most_one_and_a_half_megabytes():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) <= 1_500_000


def test_the_card_says_what_a_fresh_measurement_says():
    card = card_module.path_of("small").read_text(encoding="utf-8")
    assert tables.differences(card, card_module.render("small")) == []


def test_a_changed_figure_or_word_in_the_card_is_noticed():
    line = "| l1h2 | 0.94 | +7.20 |"
    assert tables.differences(line, line.replace("0.94", "0.95")) == []
    assert tables.differences(line, line.replace("0.94", "0.84"))
    assert tables.differences(line, line.replace("|", "/"))


def test_each_call_gives_a_new_float32_model_in_eval_mode(model):
    again, _ = demo()
    assert again is not model
    assert not again.training
    assert {p.dtype for p in again.parameters()} == {torch.float32}
    assert {p.data_ptr() for p in again.parameters()}.isdisjoint(p.data_ptr() for p in model.parameters())


def test_the_shape_is_the_promised_one(model):
    config = model.config
    assert config.model_type == "gpt2"
    assert config.architectures == ["GPT2LMHeadModel"]
    assert (config.n_layer, config.n_head, config.n_embd, config.n_positions) == (2, 4, 96, 128)
    assert config.resid_pdrop == config.embd_pdrop == config.attn_pdrop == 0
    assert model.lm_head.weight is not model.transformer.wte.weight


def test_the_folder_opens_with_the_auto_classes(model, tokenizer):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    text = PROMPTS["name"].text
    ids = AutoTokenizer.from_pretrained(FOLDER)(text, return_tensors="pt")["input_ids"]
    assert ids.tolist() == [tokenizer(text)["input_ids"]]
    opened = AutoModelForCausalLM.from_pretrained(FOLDER).eval()
    torch.testing.assert_close(logits_of(opened, ids), logits_of(model, ids), atol=1e-4, rtol=1e-4)


def test_a_transformer_lens_bridge_gives_the_same_logits(model, tokenizer):
    pytest.importorskip("transformer_lens")
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    ids = repeated_tokens(tokenizer, n=3, length=17, seed=2)
    fresh, _ = demo()  # bridging rewires the model it wraps
    bridge = build_bridge_from_module(fresh, type(fresh).__name__, hf_config=fresh.config, tokenizer=tokenizer)
    with torch.no_grad():
        torch.testing.assert_close(bridge(ids), logits_of(model, ids), atol=1e-4, rtol=1e-4)
    assert bridge.to_tokens("the dog says").tolist() == [tokenizer("the dog says")["input_ids"]]


def test_importing_the_demo_imports_no_heavy_library():
    heavy = ("transformers", "transformer_lens", "pandas")
    code = f"import sys, headgrid.demo; print([module for module in {heavy} if module in sys.modules])"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert run.stdout.strip() == "[]"


# --- tokens and training ----------------------------------------------------------------------------------------------


def test_every_word_of_the_language_is_one_token_and_bos_comes_first(tokenizer):
    words = vocabulary()
    ids = tokenizer(" ".join(words))["input_ids"]
    assert len(ids) == 1 + len(words)
    assert ids[0] == tokenizer.bos_token_id
    assert [tokenizer.decode([i]) for i in ids[1:]] == words


def test_a_text_reads_the_same_after_encoding_and_decoding(tokenizer):
    text = PROMPTS["name"].text
    assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text
    assert tokenizer("When Mary, john")["input_ids"] == tokenizer("when mary , john")["input_ids"]


def test_an_unknown_word_is_spelled_out(tokenizer):
    ids = tokenizer("zebra", add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id not in ids
    assert tokenizer.decode(ids) == "zebra"


def test_repeated_tokens_are_two_copies_of_a_block_without_repetition(tokenizer):
    ids = repeated_tokens(tokenizer, n=5, length=30, seed=7)
    assert ids.shape == (5, 61)
    assert (ids[:, 0] == tokenizer.bos_token_id).all()
    assert torch.equal(ids[:, 1:31], ids[:, 31:])
    assert all(len(set(row)) == 30 for row in ids[:, 1:31].tolist())
    assert not set(tokenizer.all_special_ids) & set(ids[:, 1:].flatten().tolist())
    assert torch.equal(ids, repeated_tokens(tokenizer, n=5, length=30, seed=7))
    assert not torch.equal(ids, repeated_tokens(tokenizer, n=5, length=30, seed=8))


def test_a_block_longer_than_the_vocabulary_is_refused(tokenizer):
    with pytest.raises(ValueError, match="length is 1000"):
        repeated_tokens(tokenizer, length=1000)


def test_training_writes_a_loadable_folder_and_a_seed_fixes_every_weight(tmp_path: Path):
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        train_module.main(["--steps", "6", "--seed", str(seed), "--out", str(tmp_path / folder)])
    a, b, c = (load_file(tmp_path / folder / "model.safetensors") for folder in "abc")
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert not torch.equal(a["transformer.wte.weight"], c["transformer.wte.weight"])
    opened = AutoModelForCausalLM.from_pretrained(tmp_path / "a")
    ids = AutoTokenizer.from_pretrained(tmp_path / "a")("the dog says", return_tensors="pt")["input_ids"]
    assert torch.isfinite(logits_of(opened, ids)).all()
    assert (tmp_path / "a" / "tokenizer.json").read_bytes() == (FOLDER / "tokenizer.json").read_bytes()


def test_the_tokenizer_names_its_outputs_so_that_no_version_adds_token_types():
    saved = json.loads((FOLDER / "tokenizer_config.json").read_text())
    assert saved["model_input_names"] == ["input_ids", "attention_mask"]
    _, tokenizer = demo()
    assert set(tokenizer("when mary")) == {"input_ids", "attention_mask"}
