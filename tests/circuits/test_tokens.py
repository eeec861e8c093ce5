from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import tokenizers
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import decoders, models, pre_tokenizers
from torch.utils._python_dispatch import TorchDispatchMode

import headgrid as hg
from headgrid.circuits import readout
from headgrid.circuits.readout import extremes, row_norms
from headgrid.circuits.tokens import TokenTable, Vocabulary
from headgrid.weights import Weights

GROUPED = "llama with grouped-query attention"
HALVES = [torch.bfloat16, torch.float16]
DTYPES = [*HALVES, torch.float32, torch.float64]


def ranked(logits: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The first n of the logits sorted from large to small, of equal ones the smaller id first: ids and values."""
    ids = logits.argsort(dim=-1, descending=True, stable=True)[..., :n]
    return ids, logits.gather(-1, ids)


def is_table_of(table: TokenTable | readout.Extremes, logits: torch.Tensor, n: int = 10, close: float = 1e-11) -> bool:
    (ids, values), (bottom_ids, lowered) = ranked(logits, n), ranked(-logits, n)
    torch.testing.assert_close(table.values, values, rtol=close, atol=close / 100)
    torch.testing.assert_close(table.bottom_values, -lowered, rtol=close, atol=close / 100)
    return torch.equal(table.ids, ids) and torch.equal(table.bottom_ids, bottom_ids)


def directions(weights: Weights, k: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(7)
    return torch.randn(k, weights.stack.d_model, generator=generator, dtype=torch.float64)


def final_norm(model: torch.nn.Module, stack: str) -> torch.nn.Module | None:
    """The module of the norm before the unembedding, by the names that the families give it."""
    names = ("transformer.ln_f", "model.norm", "gpt_neox.final_layer_norm", "transformer.norm_f",
             "decoder.final_layer_norm", "model.decoder.final_layer_norm", "model.decoder.layer_norm",
             "model.language_model.norm", "model.final_layernorm", "model.embedding_norm")  # fmt: skip
    there = [module for name, module in model.named_modules() if name in names]
    return there[0] if there and stack in ("", "decoder", "cross") else None


def through(norm: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What the model's own norm makes of a direction, without its scale and bias."""
    with torch.no_grad():
        shift = norm.bias if getattr(norm, "bias", None) is not None else 0
        centered = (norm(torch.ones_like(x[:1])) - shift).abs().max() < 1e-4
        off = x - x.mean(-1, keepdim=True) if centered else x
        # far from 0, so that the norm's epsilon does nothing
        return (norm(1e4 * x) - shift) * off.square().mean(-1, keepdim=True).sqrt()


# ---- what is read and written is what the model reads and writes


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_stack_is_read_through_its_embedding_and_unembedding_or_says_why_not(family: str) -> None:
    model = tiny.model(family)
    for stack in hg.dissect(model).stacks:
        if not stack.n_layers:
            continue
        weights = Weights(model, stack=stack.name)
        vocabulary, given = Vocabulary(weights), directions(weights)
        text = stack.name != "vision" and family != "vit" and (family != "whisper" or stack.name != "encoder")
        factorized = family in ("opt-350m", "electra", "albert", "albert with 2 groups")
        assert bool(vocabulary.why_no_reads) == (not text or factorized)
        if text and not factorized:
            table = model.get_input_embeddings().weight.detach()
            assert is_table_of(vocabulary.reads(given), given @ table.T)
        headed = text and stack.name != "encoder" and not factorized and family != "deberta without legacy"
        assert bool(vocabulary.why_no_writes) == (not headed)
        if headed:
            table = model.get_output_embeddings().weight.detach()
            raw = Vocabulary(weights, ln="raw")
            assert is_table_of(raw.writes(given), given @ table.T)
            assert vocabulary.d_vocab == raw.d_vocab == 31
            norm = final_norm(model, stack.name)
            if norm is not None:
                normed = through(norm, given)
                assert is_table_of(vocabulary.writes(given), normed @ table.T, close=1e-4)  # RMSNorms are in float32
            else:
                assert family.startswith(("bert", "roberta", "xlm", "camem", "distil", "deberta", "bart"))
                assert is_table_of(vocabulary.writes(given), given @ table.T)


@pytest.mark.parametrize("family", ["gpt2", "gemma2", "olmo"])
def test_gain_and_centring_of_the_final_norm_change_what_is_written(family: str) -> None:
    weights = Weights(tiny.model(family))
    folded, raw = Vocabulary(weights), Vocabulary(weights, ln="raw")
    given = directions(weights)
    assert not torch.equal(folded.writes(given).ids, raw.writes(given).ids)
    assert torch.equal(folded.reads(given).ids, raw.reads(given).ids)
    off = given + 100.0
    same = (folded.writes(given).values - folded.writes(off).values).abs().max() < 1e-9
    assert same == (family != "gemma2"), "LayerNorm takes away what all entries of a direction have in common"


def test_a_bridge_is_read_as_the_model_inside() -> None:
    from bridges import bridge, fresh

    given = directions(Weights(tiny.model("gpt2")))
    for ln in ("folded", "raw"):
        inside, around = Vocabulary(Weights(fresh("gpt2")), ln=ln), Vocabulary(Weights(bridge("gpt2")), ln=ln)
        assert torch.equal(inside.writes(given).ids, around.writes(given).ids)
        assert torch.equal(inside.reads(given).values, around.reads(given).values)


def test_weights_are_read_as_stored_whatever_dtype_they_are_asked_for() -> None:
    model = tiny.model(GROUPED)
    rounded, stored = Weights(model, dtype=torch.bfloat16), Weights(model)
    given = directions(stored)
    assert torch.equal(Vocabulary(rounded).writes(given).values, Vocabulary(stored).writes(given).values)
    assert Vocabulary(rounded).embed().data_ptr() == model.model.embed_tokens.weight.data_ptr()
    assert Vocabulary(rounded).unembed().shape == (48, 31)


def test_a_table_is_a_sequence_of_the_top_tokens() -> None:
    weights = Weights(tiny.model("gpt2"))
    table = Vocabulary(weights).reads(directions(weights, 3), n=4)
    assert len(table) == 3
    assert table[1] == table.top[1] == table.ids[1].tolist()
    assert table[-2:] == table.top[1:]
    assert list(table) == table.ids.tolist()
    assert table.bottom == table.bottom_ids.tolist()
    assert repr(table).startswith("TokenTable of 3 directions\n0: ")


# ---- exact, however few digits the weights have


@pytest.mark.parametrize("layout", ["tokens in rows", "tokens in columns"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_largest_and_smallest_logits_are_those_of_a_float64_product(dtype: torch.dtype, layout: str) -> None:
    generator = torch.Generator().manual_seed(3)
    W = torch.randn(3001, 57, generator=generator).to(dtype)
    W = W if layout == "tokens in rows" else W.T.contiguous().T
    for size in (1.0, 1e-200, 1e200):
        given = torch.randn(23, 57, generator=generator, dtype=torch.float64)
        table = extremes(W, given * size, 7, row_norms(W))
        (ids, values), (bottom_ids, _) = ranked(given @ W.double().T, 7), ranked(-given @ W.double().T, 7)
        assert torch.equal(table.ids, ids)
        assert torch.equal(table.bottom_ids, bottom_ids)
        torch.testing.assert_close(table.values / size, values, rtol=1e-11, atol=0)


@pytest.mark.parametrize("dtype", HALVES)
def test_near_ties_that_half_precision_swaps_are_in_the_right_order(dtype: torch.dtype) -> None:
    """40 tokens have nearly the largest logit: less than a rounding of the product apart."""
    generator = torch.Generator().manual_seed(5)
    W, d = torch.randn(4000, 64, generator=generator) / 8, torch.randn(1, 64, generator=generator)
    W[::100] = 0.6 * d + 1e-3 * torch.randn(40, 64, generator=generator)
    W[1::100] = -W[::100]
    W = W.to(dtype)
    exact = d.double() @ W.double().T
    naive = (d.to(dtype) @ W.T).float().topk(10).indices
    assert not torch.equal(naive.sort().values, ranked(exact, 10)[0].sort().values), (
        "this must be hard to mean anything"
    )
    assert is_table_of(extremes(W, d, 10, row_norms(W)), exact)


def test_tokens_that_lie_along_the_rounding_error_of_a_direction_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst case of the bound: the product puts 50 others before the 10 with the largest logits."""
    generator = torch.Generator().manual_seed(4)
    d = torch.nn.functional.normalize(torch.randn(1, 256, generator=generator, dtype=torch.float64))
    lost = d - d.bfloat16()
    along, size = torch.nn.functional.normalize(lost - (lost @ d.T) * d), float(lost.norm())
    W = 1e-3 * torch.randn(4000, 256, generator=generator, dtype=torch.float64)
    W[:1000:100] = 0.03 * d + along
    W[1::64][:50] = (0.03 - 0.4 * size) * d - along
    W = W.bfloat16()
    assert not set((d.bfloat16() @ W.T).topk(50).indices[0].tolist()) & set(range(0, 1000, 100))
    monkeypatch.setattr(readout, "_dtypes", lambda W: [torch.bfloat16])
    table = extremes(W, d, 10, row_norms(W))
    assert sorted(table.ids[0].tolist()) == list(range(0, 1000, 100))
    assert is_table_of(table, d @ W.double().T)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_logits_that_no_fast_product_tells_apart_are_still_exact(dtype: torch.dtype) -> None:
    """All tokens share a part that is a million times what tells them apart; other directions are read as usual."""
    generator = torch.Generator().manual_seed(6)
    W = torch.randn(3000, 20, generator=generator, dtype=torch.float64)
    W[:, 0] = 2.0**20
    W = W.to(dtype)
    given = torch.randn(5, 20, generator=generator, dtype=torch.float64)
    given[:3, 0] = 0
    assert is_table_of(extremes(W, given, 10, row_norms(W)), given @ W.double().T)


@given(st.data())
def test_any_matrix_is_ranked_as_by_sorting_all_of_its_logits(data: st.DataObject) -> None:
    V, m, k = (data.draw(st.integers(1, most), label=name) for name, most in (("V", 900), ("m", 9), ("k", 5)))
    n = data.draw(st.integers(1, 12), label="n")
    generator = torch.Generator().manual_seed(data.draw(st.integers(0, 9), label="seed"))
    # small whole numbers: products are exact, and many are equal
    W = torch.randint(-3, 4, (V, m), generator=generator).to(data.draw(st.sampled_from(DTYPES), label="dtype"))
    d = torch.randint(-3, 4, (k, m), generator=generator).double()
    assert is_table_of(extremes(W, d, n, row_norms(W)), d @ W.double().T, n)


def test_equal_logits_are_in_the_order_of_their_ids() -> None:
    W = torch.randn(3000, 33, generator=torch.Generator().manual_seed(1)).repeat(2, 1).bfloat16()
    d = torch.randn(4, 33, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    table = extremes(W, d, 8, row_norms(W))
    assert torch.equal(table.ids[:, 1::2], table.ids[:, ::2] + 3000)
    assert torch.equal(table.bottom_ids[:, 1::2], table.bottom_ids[:, ::2] + 3000)
    d[2] = 0
    table = extremes(W, d, 8, row_norms(W))
    assert table.ids[2].tolist() == table.bottom_ids[2].tolist() == list(range(8))
    assert not table.values[2].any()
    constant = torch.ones(5000, 3)
    assert extremes(constant, torch.ones(1, 3), 4, row_norms(constant)).ids.tolist() == [[0, 1, 2, 3]]


@pytest.mark.parametrize("scale", [1e-37, 1e-20, 1e20, 1e37])
def test_very_large_and_very_small_weights_are_ranked_too(scale: float) -> None:
    W = scale * torch.randn(3000, 21, generator=torch.Generator().manual_seed(1))
    d = torch.randn(3, 21, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    table = extremes(W, d, 10, row_norms(W))
    assert torch.equal(table.ids, ranked(d @ W.double().T, 10)[0])


def test_arithmetic_that_is_worse_than_it_should_be_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    W = torch.randn(4000, 31, generator=torch.Generator().manual_seed(1)).bfloat16()
    d = torch.randn(3, 31, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    logits, used = readout._logits, []

    def worse(W: torch.Tensor, unit: torch.Tensor, dtype: torch.dtype) -> Any:
        used.append(dtype)
        for start, count, found in logits(W, unit, dtype):
            yield start, count, found.mul_(1.5 if dtype == torch.bfloat16 else 1.0)

    monkeypatch.setattr(readout, "_logits", worse)
    monkeypatch.setattr(readout, "_dtypes", lambda W: [torch.bfloat16, torch.float32, torch.float64])
    assert is_table_of(extremes(W, d, 10, row_norms(W)), d @ W.double().T)
    assert used == [torch.bfloat16, torch.float32]


@pytest.mark.parametrize("dtypes", [[torch.bfloat16], [torch.float32], [torch.float64]])
@pytest.mark.parametrize("dtype", DTYPES)
def test_few_tokens_at_a_time_give_the_same(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, dtypes: list[torch.dtype]
) -> None:
    """Every dtype to multiply in is tried, as on machines that have others."""
    W = torch.randn(3333, 31, generator=torch.Generator().manual_seed(1)).to(dtype)
    d = torch.randn(9, 31, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    monkeypatch.setattr(readout, "LOGITS_BYTES", 9 * 8 * 500)
    monkeypatch.setattr(readout, "_dtypes", lambda W: dtypes)
    assert is_table_of(extremes(W, d, 10, row_norms(W)), d @ W.double().T)
    pieces = list(readout._logits(W, d / d.norm(dim=-1, keepdim=True), dtypes[0]))
    assert len(pieces) > 1
    assert sum(count for _, count, _ in pieces) == 3333
    assert all(logits.nbytes <= 9 * 8 * 500 for *_, logits in pieces)


class Largest(TorchDispatchMode):
    """The most bytes that any operation allocates for its result; views of what it is given are none."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {x.untyped_storage().data_ptr() for x in args if isinstance(x, torch.Tensor)}
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, list | tuple) else [out]:
            if isinstance(tensor, torch.Tensor) and tensor.untyped_storage().data_ptr() not in before:
                self.bytes = max(self.bytes, tensor.untyped_storage().nbytes())
        return out


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_no_copy_of_the_vocabulary_is_made(dtype: torch.dtype) -> None:
    W = torch.randn(40_000, 160, generator=torch.Generator().manual_seed(1)).to(dtype)
    with Largest() as seen:
        extremes(W, torch.randn(4, 160, dtype=torch.float64), 10, row_norms(W))
    assert 0 < seen.bytes <= W.nbytes / 2


# ---- what cannot be read


def why(model: Any, stack: str | None = None) -> tuple[str, str]:
    vocabulary = Vocabulary(Weights(model, stack=stack))
    return vocabulary.why_no_reads, vocabulary.why_no_writes


def test_what_cannot_be_read_is_said_when_asked_for() -> None:
    assert why(tiny.model("vit"))[0] == "ViTForImageClassification embeds no tokens"
    reads, writes = why(transformers.AutoModel.from_config(tiny.config("gpt2")))
    assert not reads
    assert writes == "GPT2Model has no unembedding (load the model with its language-modeling head)"
    reads, writes = why(tiny.model("electra"))
    assert "embeddings.word_embeddings.weight) is 15 wide and its residual stream 28" in reads
    assert writes.startswith("The unembedding of ElectraForMaskedLM (generator_lm_head.weight) is 15 wide")
    assert why(tiny.model("llava"), "vision") == (
        "The vision stack of LlavaForConditionalGeneration embeds no tokens",
        "The vision stack of LlavaForConditionalGeneration has no unembedding",
    )
    reads, writes = why(tiny.model("t5"), "encoder")
    assert not reads
    assert writes.endswith("writes for the decoder's cross-attention: no unembedding reads it")
    with torch.device("meta"):
        nowhere = type(tiny.model("gpt2"))(tiny.config("gpt2"))
    assert why(nowhere) == tuple(
        f"{name} is on the meta device: there is no weight to read"
        for name in ("transformer.wte.weight", "lm_head.weight")
    )
    image = Vocabulary(Weights(tiny.model("vit")))
    for ask in (image.reads, image.writes):
        with pytest.raises(ValueError, match="ViTForImageClassification"):
            ask(torch.zeros(1, 28))
    for ask in (image.W_UE, image.embed, image.unembed):
        with pytest.raises(ValueError, match="ViTForImageClassification"):
            ask()


def test_what_is_left_out_is_noted() -> None:
    notes = Vocabulary(Weights(tiny.model("bert"))).notes
    assert "The transform before the unembedding (cls.predictions.transform) is left out of the tokens written" in notes
    assert "The bias of the unembedding is left out of the tokens written" in notes
    assert "The norm of the embeddings is left out of the tokens that are read" in notes
    assert Vocabulary(Weights(tiny.model("gpt2"))).notes == ()
    assert any("encoder's output" in note for note in Vocabulary(Weights(tiny.model("t5"), stack="cross")).notes)


def test_bad_directions_are_refused_with_what_they_should_be() -> None:
    vocabulary = Vocabulary(Weights(tiny.model("gpt2")))
    for bad in (torch.zeros(28), torch.zeros(2, 27), torch.zeros(2, 28, dtype=torch.int64)):
        with pytest.raises(ValueError, match=r"directions should be floating-point numbers \[k, 28\], not torch\."):
            vocabulary.reads(bad)
    with pytest.raises(ValueError, match="directions have NaN or inf"):
        vocabulary.writes(torch.full((1, 28), torch.nan))
    with pytest.raises(ValueError, match="n is 0; it should be at least 1"):
        vocabulary.reads(torch.ones(1, 28), n=0)
    with pytest.raises(ValueError, match="ln is 'folded' or 'raw', not 'fold'"):
        Vocabulary(Weights(tiny.model("gpt2")), ln="fold")  # type: ignore[arg-type]
    assert vocabulary.reads(torch.ones(2, 28), n=50).ids.shape == (2, 31), "there are no more tokens"
    assert vocabulary.reads(torch.ones(0, 28)).ids.shape == (0, 10)


def test_nan_and_inf_in_the_weights_are_named_with_the_parameter() -> None:
    model = tiny.fresh(GROUPED)
    vocabulary, one = Vocabulary(Weights(model)), torch.ones(1, 48)
    vocabulary.reads(one)
    with torch.no_grad():
        model.model.embed_tokens.weight[3, 5] = torch.nan
    with pytest.raises(ValueError, match=r"W_E has NaN or inf in 1 of 1488 entries: look at model.embed_tokens.weight"):
        vocabulary.reads(one)
    vocabulary.writes(one)
    with pytest.raises(ValueError, match=r"model.embed_tokens.weight"):
        vocabulary.W_UE()
    with torch.no_grad():
        model.lm_head.weight[0] = torch.inf
    with pytest.raises(ValueError, match=r"W_U has NaN or inf in 48 of 1488 entries: look at lm_head.weight"):
        vocabulary.writes(one)


# ---- W_UE


@pytest.mark.parametrize("family", ["gpt2", GROUPED, "llama with biases and tied embeddings", "gemma2", "t5", "olmo"])
def test_what_is_written_and_read_again_is_the_product_of_both(family: str) -> None:
    model = tiny.model(family)
    weights = Weights(model)
    E, U = model.get_input_embeddings().weight.detach(), model.get_output_embeddings().weight.detach()
    raw, folded = (Vocabulary(weights, ln=ln).W_UE() for ln in ("raw", "folded"))
    torch.testing.assert_close(raw, U.T @ E)
    x = directions(weights)
    normed = through(final_norm(model, "decoder"), x)
    torch.testing.assert_close(x @ folded, normed @ U.T @ E, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("dtype", [*HALVES, torch.float32])
def test_copying_scores_are_those_of_float64_within_a_ten_thousandth(dtype: torch.dtype, tied: bool) -> None:
    config = tiny.config("gpt2")
    config.vocab_size, config.tie_word_embeddings = 5003, tied
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(config).to(dtype)
    weights = Weights(model)
    found = Vocabulary(weights).W_UE()
    assert found.dtype == torch.float32
    U = model.transformer.ln_f.weight.detach().double() * model.lm_head.weight.detach().double()
    exact = (U - U.mean(-1, keepdim=True)).T @ model.transformer.wte.weight.detach().double()
    for head in range(4):
        W_V, W_O = weights.W_V[1, head].double(), weights.W_O[1, head].double()
        ours, theirs = (torch.linalg.eigvals(W_O @ UE @ W_V) for UE in (found.double(), exact))
        score, truth = (float(each.sum().real / each.abs().sum()) for each in (ours, theirs))
        assert abs(score - truth) < 1e-4


def test_a_vocabulary_with_more_rows_than_the_unembedding_is_read_by_what_both_have() -> None:
    """Llama-3.2's vision model embeds 8 tokens more than it writes."""
    U, E = torch.randn(5, 40), torch.randn(48, 5)
    torch.testing.assert_close(readout.product(U, E), U @ E[:40])


def test_what_is_kept_is_made_anew_after_any_change_of_the_model() -> None:
    model = tiny.fresh(GROUPED)
    vocabulary, given = Vocabulary(Weights(model)), directions(Weights(model))

    def is_current() -> bool:
        fresh = Vocabulary(Weights(model))
        same = [torch.equal(vocabulary.W_UE(), fresh.W_UE())]
        same += [torch.equal(vocabulary.reads(given).values, fresh.reads(given).values)]
        same += [torch.equal(vocabulary.writes(given).ids, fresh.writes(given).ids)]
        return all(same)

    assert vocabulary.W_UE() is vocabulary.W_UE()
    versions = [vocabulary.version]
    for change in (
        lambda: model.lm_head.weight.mul_(3.0),
        lambda: model.model.embed_tokens.weight.data.mul_(1000.0),
        lambda: model.model.norm.weight.data.neg_(),
        lambda: model.lm_head.weight.data.copy_(model.lm_head.weight.data.flip(0)),
        lambda: setattr(model.lm_head, "weight", torch.nn.Parameter(torch.randn(31, 48, dtype=torch.float64))),
    ):
        with torch.no_grad():
            change()
        assert is_current()
        versions.append(vocabulary.version)
    assert len(set(versions)) == 6
    assert vocabulary.version == versions[-1]


def test_weights_of_inference_mode_are_read() -> None:
    with torch.inference_mode():
        model = tiny.fresh("gpt2")
    assert Vocabulary(Weights(model)).W_UE().shape == (28, 28)


# ---- strings


def fast(model: Any, decoder: Any, **more: Any) -> transformers.PreTrainedTokenizerFast:
    backend = tokenizers.Tokenizer(model)
    backend.decoder = decoder
    return transformers.PreTrainedTokenizerFast(tokenizer_object=backend, **more)


def ids_of(tokens: list[str]) -> dict[str, int]:
    return {token: i for i, token in enumerate(tokens)}


GPT2_TOKENS = ["Ġthe", "the", "Ċ", "\\", "n", "Ã", "é", "Ã©", "ĠâĢ", "Ġ", "ĉĉ", "Ġà¤"]
GPT2_STRINGS = [" the", "the", "\\n", "\\\\", "n", "<0xC3>", "<0xE9>", "é", " <0xE2><0x80>", " ", "\\t\\t",
                " <0xE0><0xA4>"]  # fmt: skip


def strings(tokenizer: Any, n: int = 31) -> list[str]:
    return Vocabulary(Weights(tiny.model("gpt2")), tokenizer).strings(torch.arange(n))


def test_byte_level_tokens_are_text_with_their_space_and_bytes_that_are_none_alone() -> None:
    tokenizer = fast(models.BPE(ids_of(GPT2_TOKENS), []), decoders.ByteLevel())
    tokenizer.add_tokens(["  ", "ñ"])
    tokenizer.add_special_tokens({"eos_token": "<|endoftext|>"})
    assert strings(tokenizer, 16) == [*GPT2_STRINGS, "  ", "ñ", "<|endoftext|>", "[id 15]"]
    assert strings(tokenizer.backend_tokenizer, 12) == GPT2_STRINGS, "a tokenizer of the library tokenizers"
    letters = pre_tokenizers.ByteLevel.alphabet()
    everything = fast(models.BPE(ids_of(sorted(letters)), []), decoders.ByteLevel())
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(n_layer=1, n_head=2, n_embd=8, vocab_size=256))
    shown = Vocabulary(Weights(model), everything).strings(torch.arange(256))
    assert len(set(shown)) == 256, "no two bytes look alike"
    assert all(one.isprintable() for one in shown)


@pytest.mark.parametrize("kind", ["T5", "Llama"])
def test_tokens_with_a_mark_for_the_space_have_the_space(kind: str) -> None:
    pieces = ["<unk>", "<0x0A>", "▁the", "the", "▁", "Ġ", "▁▁", "\n", "é"]
    if kind == "T5":
        tokenizer = fast(models.Unigram([(piece, -1.0) for piece in pieces], 0), decoders.Metaspace())
    else:
        decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                     decoders.Strip(" ", 1, 0)])  # fmt: skip
        tokenizer = fast(models.BPE(ids_of(pieces), [], byte_fallback=True), decoder)
    tokenizer.add_special_tokens({"bos_token": "<｜begin▁of▁sentence｜>"})
    shown = strings(tokenizer, 10)
    assert shown == ["<unk>", "<0x0A>", " the", "the", " ", "Ġ", "  ", "\\n", "é", "<｜begin▁of▁sentence｜>"]


def test_word_pieces_are_as_they_are() -> None:
    pieces = ["[UNK]", "the", "##ing", "▁", "Ġ", "\u200b"]
    tokenizer = fast(models.WordPiece(ids_of(pieces), unk_token="[UNK]"), decoders.WordPiece())
    assert strings(tokenizer, 6) == ["[UNK]", "the", "##ing", "▁", "Ġ", "\\u200b"]
    assert strings(fast(models.WordLevel(ids_of(pieces), "[UNK]"), None), 3) == ["[UNK]", "the", "##ing"]


def test_the_shipped_tokenizer_gives_words_with_their_space() -> None:
    model, tokenizer = hg.demo()
    vocabulary = Vocabulary(Weights(model), tokenizer)
    ids = tokenizer("egypt cairo")["input_ids"]
    assert vocabulary.strings(torch.tensor([ids, ids])) == [["<bos>", " egypt", " cairo"]] * 2
    assert vocabulary.notes == ()
    known = vocabulary.strings(torch.arange(len(tokenizer)))
    assert len(set(known)) == len(tokenizer) == vocabulary.d_vocab
    table = vocabulary.writes(directions(vocabulary.weights, 2), n=3)
    assert table.top == [[known[i] for i in row] for row in table.ids.tolist()]
    assert table.bottom == [[known[i] for i in row] for row in table.bottom_ids.tolist()]


def test_a_tokenizer_that_only_decodes_is_enough() -> None:
    def decode(ids: list[int]) -> str:
        return ["a", " b\n", ""][ids[0]]

    tokenizer = SimpleNamespace(decode=decode)
    assert strings(tokenizer, 5) == ["a", " b\\n", "[id 2]", "[id 3]", "[id 4]"]
    assert Vocabulary(Weights(tiny.model("gpt2")), tokenizer).notes == (), "it does not say how many tokens it has"
    with pytest.raises(TypeError, match="a tokenizer has convert_ids_to_tokens, id_to_token or decode; 'gpt2' is none"):
        Vocabulary(Weights(tiny.model("gpt2")), "gpt2")


def test_tokens_that_are_bytes_are_shown_as_text() -> None:
    tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda i: [b" the", b"\xe2\x80", b"\n"][i])
    assert strings(tokenizer, 4) == [" the", "<0xE2><0x80>", "\\n", "[id 3]"]


def test_without_a_tokenizer_tokens_are_their_ids() -> None:
    vocabulary = Vocabulary(Weights(tiny.model("gpt2")))
    assert vocabulary.strings(torch.tensor([[3, 4], [5, 30]])) == [[3, 4], [5, 30]]


def test_a_tokenizer_of_another_size_is_noted_and_never_refused() -> None:
    weights = Weights(tiny.model("gpt2"))
    sized = {n: fast(models.WordLevel(ids_of([f"w{i}" for i in range(n)]), "w0"), None) for n in (19, 31, 36)}
    assert Vocabulary(weights, sized[31]).notes == ()
    assert Vocabulary(weights, sized[19]).notes == (
        "The tokenizer has no token for 12 of the 31 rows of the vocabulary",
    )
    assert Vocabulary(weights, sized[19]).strings(torch.tensor([18, 19])) == ["w18", "[id 19]"]
    for larger in (sized[36], sized[36].backend_tokenizer):
        vocabulary = Vocabulary(weights, larger)
        assert vocabulary.notes == (
            "The model has no row for 5 of the tokenizer's tokens (w31, w32, w33, ...). "
            "Is it the tokenizer that the model was trained with?",
        )
        assert vocabulary.strings(torch.tensor([30, 31, 36])) == ["w30", "w31", "[id 36]"]
    assert Vocabulary(Weights(tiny.model("vit")), sized[36]).d_vocab == 0


def test_an_added_token_beyond_the_embedding_leaves_every_answer_as_it_was() -> None:
    """Gemma 3 ships one token more than its text model has rows."""
    model, words = tiny.model("gpt2"), [f"w{i}" for i in range(31)]
    own, more = (fast(models.WordLevel(ids_of(words), "w0"), None) for _ in range(2))
    more.add_special_tokens({"additional_special_tokens": ["<image_soft_token>"]})
    assert (len(own), len(more)) == (31, 32)
    one, two = (hg.summarize(model, "l1h2", tokenizer) for tokenizer in (own, more))
    assert one.ov.write_tokens.top == two.ov.write_tokens.top
    assert one.ov.pairs.sources == two.ov.pairs.sources
    (note,) = {*two.notes, *two.ov.notes} - {*one.notes, *one.ov.notes}
    assert note == "The model has no row for 1 of the tokenizer's tokens (<image_soft_token>)"
    assert "[id" not in repr(two.ov.write_tokens)


def test_rows_without_a_token_are_counted_by_their_ids_and_not_by_sizes() -> None:
    """As many tokens as rows, but three of the ids are not used and three lie beyond."""
    ids = [*range(10), *range(13, 34)]
    vocabulary = {f"w{i}": i for i in ids}
    tokenizer = SimpleNamespace(
        convert_ids_to_tokens=lambda i: {i: w for w, i in vocabulary.items()}.get(i), get_vocab=lambda: vocabulary
    )
    lacking, beyond = Vocabulary(Weights(tiny.model("gpt2")), tokenizer).notes
    assert lacking == "The tokenizer has no token for 3 of the 31 rows of the vocabulary"
    assert beyond.startswith("The model has no row for 3 of the tokenizer's tokens (w31, w32, w33).")


def test_a_tokenizer_that_cannot_say_its_size_is_asked_for_the_ids_alone() -> None:
    def refuses() -> int:
        raise NotImplementedError

    for sized in ({}, {"get_vocab": refuses}, {"get_vocab_size": refuses}, {"n_vocab": None}):
        tokenizer = SimpleNamespace(convert_ids_to_tokens=lambda i: f"w{i}", **sized)
        found = Vocabulary(Weights(tiny.model("gpt2")), tokenizer)
        assert found.notes == ()
        assert found.strings(torch.tensor([3])) == ["w3"]


def test_all_pairs_of_strings_and_ids_agree_for_both_sides_of_a_table() -> None:
    weights = Weights(tiny.model("gpt2"))
    tokenizer = fast(models.WordLevel(ids_of([f"w{i}" for i in range(31)]), "w0"), None)
    table = Vocabulary(weights, tokenizer).reads(directions(weights))
    for ids, texts in ((table.ids, table.top), (table.bottom_ids, table.bottom)):
        flat = list(itertools.chain.from_iterable(texts))
        assert flat == [f"w{i}" for i in ids.flatten().tolist()]


def test_nan_that_came_unseen_is_refused_when_a_table_is_read() -> None:
    model = tiny.fresh("gpt2").float()
    model.transformer.wte = torch.nn.Embedding(70_000, 28)  # too many entries for a version to look at all
    model.lm_head.weight = model.transformer.wte.weight
    vocabulary, directions = Vocabulary(Weights(model)), torch.randn(3, 28)
    vocabulary.reads(directions)
    model.transformer.wte.weight.data[69_001, 3] = torch.nan
    with pytest.raises(ValueError, match=r"W_E has NaN or inf in 1 of .*: look at transformer\.wte\.weight"):
        vocabulary.reads(directions)
