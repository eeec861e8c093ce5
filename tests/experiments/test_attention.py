"""Patterns of chosen heads: against eager attention, with padding, in several stacks, and what is refused."""

from __future__ import annotations

import time
from typing import Any

import pytest
import tiny
import torch
import transformers
from torch.testing import assert_close

import headgrid as hg
from headgrid.hooks.taps import block_of
from headgrid.selection.selection import SelectionError

MODEL, TOKENIZER = hg.demo()
UNLIKE = ["gpt2", "llama with grouped-query attention", "bert", "bloom", "codegen", "gemma2", "gpt_oss", "deberta"]


@pytest.mark.parametrize("family", UNLIKE)
def test_the_pattern_is_that_of_eager_attention(family: str) -> None:
    model, inputs = tiny.model(family), tiny.inputs(family)
    attention = hg.attention(model, {key: inputs[key] for key in ("input_ids", "attention_mask") if key in inputs})
    with torch.no_grad():
        output = model(**inputs, output_attentions=True)
    assert len(attention.pattern) == sum(one.shape[1] for one in output.attentions)
    for layer, expected in enumerate(output.attentions):
        for head in range(expected.shape[1]):
            found = attention.pattern[f"l{layer}h{head}"]
            assert_close(found, expected[:, head][..., : found.shape[-1]], check_dtype=False, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", UNLIKE)
def test_what_a_query_sees_is_where_its_pattern_may_be_more_than_nothing(family: str) -> None:
    inputs = tiny.inputs(family)
    attention = hg.attention(tiny.model(family), {"input_ids": inputs["input_ids"]})
    for (stack, layer), sees in attention.visible.items():
        some = torch.stack([attention.pattern[one] for one in attention.heads(f"{stack} l{layer}h*".strip())])
        assert torch.equal((some > 0).any(0), sees)


def test_an_implementation_in_one_call_gives_the_same_pattern() -> None:
    inputs = tiny.inputs("mistral")["input_ids"]
    eager = hg.attention(tiny.model("mistral"), inputs, "l1h*")
    model = tiny.fresh("mistral", "sdpa")
    model.load_state_dict(tiny.model("mistral").state_dict())
    assert model.config._attn_implementation == "sdpa"
    for head, pattern in hg.attention(model, inputs, "l1h*").pattern.items():
        assert_close(pattern, eager.pattern[head], check_dtype=False, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama with grouped-query attention", "bert", "gpt_oss"])
def test_layers_above_the_chosen_heads_are_not_run(family: str) -> None:
    model, inputs = tiny.model(family), tiny.inputs(family)["input_ids"]
    with torch.no_grad():
        expected = model(input_ids=inputs, output_attentions=True).attentions[0]
    anatomy, called = hg.dissect(model), list[int]()
    blocks = [block_of(model, anatomy.main, layer) for layer in range(anatomy.main.n_layers)]
    handles = [block.register_forward_hook(lambda *_, at=at: called.append(at)) for at, block in enumerate(blocks)]
    pattern = hg.attention(model, inputs, "l0h*").pattern
    assert called == [0]
    hg.attention(model, inputs, f"l0h0 | l{len(blocks) - 1}h0")
    assert called == [0, *range(len(blocks))]
    for handle in handles:
        handle.remove()
    for head in range(expected.shape[1]):
        assert_close(pattern[f"l0h{head}"], expected[:, head], check_dtype=False, atol=1e-6, rtol=1e-5)
    assert not any(block._forward_pre_hooks for block in blocks)


def test_only_the_chosen_heads_are_kept() -> None:
    attention = hg.attention(MODEL, hg.Task.repeated(TOKENIZER, n=3), "l1h2 | l0h[1,3]")
    assert list(attention.pattern) == ["l0h1", "l0h3", "l1h2"]
    assert sum(one.numel() for one in attention.pattern.kept.values()) == 3 * 3 * 49 * 49
    assert attention.pattern["L1H2"].shape == attention.pattern["1.2"].shape == (3, 49, 49)
    with pytest.raises(KeyError, match=r"l1h0 is not recorded; recorded are l0h\[1,3\], l1h2"):
        attention.pattern["l1h0"]
    with pytest.raises(ValueError, match="not one head"):
        attention.pattern["l1h*"]
    with pytest.raises(TypeError, match="the text of a head"):
        attention.pattern[1, 2]  # type: ignore[index]
    with pytest.raises(SelectionError):
        attention.pattern["l7h0"]


@pytest.mark.parametrize("side", ["right", "left"])
def test_a_padded_row_has_the_pattern_that_it_has_alone(side: Any) -> None:
    texts = ["the dog and the cat", "mary and john went to the store and the school"]
    together = hg.attention(MODEL, hg.Task(TOKENIZER, texts, padding=side))
    for row, text in enumerate(texts):
        alone = hg.attention(MODEL, [text], tokenizer=TOKENIZER)
        for head in ("l0h1", "l1h2"):
            one = together.row(head, row)
            assert_close(one.pattern, alone.pattern[head][0], atol=1e-5, rtol=1e-4)
            assert one.queries == one.keys == together.tokens[row] == alone.tokens[0]
    padding = together.pattern["l1h2"][0][together.task.mask[0] == 0]
    assert len(padding) > 3
    assert not padding.any()
    assert_close(together.pattern["l1h2"].sum(-1), together.task.mask.float())


def test_tokens_are_strings_with_their_blanks() -> None:
    attention = hg.attention(MODEL, "mary went to the store", tokenizer=TOKENIZER)
    assert attention.tokens == [["<bos>", " mary", " went", " to", " the", " store"]]
    assert hg.attention(MODEL, attention.task.ids).tokens[0][:2] == [f"#{one}" for one in attention.task.ids[0, :2]]


def test_batches_change_nothing() -> None:
    task = hg.Task.repeated(TOKENIZER, n=5, length=6)
    whole, told = hg.attention(MODEL, task, "l1h2"), list[tuple[int, int]]()
    split = hg.attention(MODEL, task, "l1h2", batch_size=2, progress=lambda done, total: told.append((done, total)))
    assert_close(split.pattern["l1h2"], whole.pattern["l1h2"], atol=1e-6, rtol=1e-5)
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    assert torch.equal(split.visible["", 1], whole.visible["", 1])


def test_stacks_of_an_encoder_decoder_have_their_words_and_their_tokens() -> None:
    model = tiny.model("bart")
    torch.manual_seed(0)
    given = {"input_ids": torch.randint(3, 31, (2, 9)), "decoder_input_ids": torch.randint(3, 31, (2, 5))}
    given["attention_mask"] = torch.ones_like(given["input_ids"])
    given["attention_mask"][1, 6:] = 0
    attention = hg.attention(model, given, "encoder l0h1 | decoder l1h0 | cross l1h*")
    with torch.no_grad():
        output = model(**given, output_attentions=True)
    encoder = output.encoder_attentions[0][:, 1].clone()
    encoder[1, 6:] = 0  # queries that only fill up
    assert_close(attention.pattern["encoder l0h1"], encoder, check_dtype=False, atol=1e-6, rtol=1e-5)
    assert_close(attention.pattern["decoder l1h0"], output.decoder_attentions[1][:, 0], check_dtype=False)
    assert_close(attention.pattern["cross l1h2"], output.cross_attentions[1][:, 2], check_dtype=False)
    one = attention.row("cross l1h2", 1)
    assert one.pattern.shape == (5, 6)
    assert list(one.keys) == [f"#{i}" for i in given["input_ids"][1, :6].tolist()]
    assert list(one.queries) == [f"#{i}" for i in given["decoder_input_ids"][1].tolist()]


def test_texts_need_a_tokenizer_and_a_task_has_its_own() -> None:
    with pytest.raises(ValueError, match="there is no tokenizer"):
        hg.attention(MODEL, ["mary went"])
    with pytest.raises(ValueError, match="a task has a tokenizer of its own"):
        hg.attention(MODEL, hg.Task.repeated(TOKENIZER), tokenizer=TOKENIZER)
    with pytest.raises(TypeError, match=r"task is a headgrid.Task, texts with their tokenizer, or token ids"):
        hg.attention(MODEL, 5)  # type: ignore[arg-type]


def test_what_has_no_pattern_is_refused_with_what_to_do() -> None:
    task = hg.Task.repeated(TOKENIZER, n=2)
    with pytest.raises(ValueError, match="select heads alone"):
        hg.attention(MODEL, task, "l0 mlp")
    with pytest.raises(ValueError, match="no head is selected"):
        hg.attention(MODEL, task, "none")
    with pytest.raises(ValueError, match=r"runs 3 times in a pass.*read cache.runs"):
        hg.attention(tiny.model("albert"), torch.tensor([[3, 4, 5]]))
    vision = tiny.inputs("llava")
    with pytest.raises(ValueError, match="reads no tokens: record its pattern"):
        hg.attention(tiny.model("llava"), vision, "vision l0h0")


def test_patterns_that_take_too_much_memory_are_refused_before_a_pass() -> None:
    with pytest.raises(ValueError, match=r"8 heads on 16 rows of 49 tokens take 0.0 GB, and memory allows 0.0"):
        hg.attention(MODEL, hg.Task.repeated(TOKENIZER), memory=1_000_000)


def test_two_heads_of_a_long_text_cost_little_more_than_the_pass() -> None:
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=4, n_head=8, n_embd=128, n_positions=1536, vocab_size=200,
                                     bos_token_id=0, eos_token_id=0)  # fmt: skip
    model = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.randint(1, 200, (1, 1536))
    with torch.no_grad():
        model(ids)
        start = time.process_time()
        model(ids)
        plain = time.process_time() - start
    start = time.process_time()
    attention = hg.attention(model, ids, "l1h2 | l3h0")
    took = time.process_time() - start
    assert took < 6 * plain + 1
    assert sum(one.numel() for one in attention.pattern.kept.values()) == 2 * 1536**2


def test_an_attention_says_what_it_is_and_what_it_was_computed_from() -> None:
    task = hg.Task.repeated(TOKENIZER, n=3)
    attention = hg.attention(MODEL, task, "l0h1 | l1h2")
    assert repr(attention) == "Attention(2 heads on 3 rows of 49 tokens: l0h1, l1h2)"
    assert attention.receipt.task == task.fingerprint
    assert attention.receipt.model[0] == "GPT2LMHeadModel"
