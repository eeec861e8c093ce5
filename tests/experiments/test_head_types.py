"""Scores of head types: against loops in numpy, on models whose heads are known, and on models that know nothing."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import transformers

import headgrid as hg
from headgrid.experiments.attention import Attention
from headgrid.experiments.head_types import NAMES, targets

MODEL, TOKENIZER = hg.demo()
KNOWN = {"previous": "l0h1", "induction": "l1h2"}


@functools.cache
def repeated() -> Attention:
    return hg.attention(MODEL, hg.Task.repeated(TOKENIZER, n=8, length=20))


def by_hand(name: str, patterns: np.ndarray, ids: np.ndarray, first: int, last: int) -> tuple[float, int]:
    """The score of one head, by loops over rows, destinations and keys; what stands outside first:last is padding."""
    total, n = 0.0, 0
    for pattern, row in zip(patterns, ids, strict=True):
        for i in range(first, last):
            keys = {
                "previous": [i - 1],
                "current": [i],
                "first": [first],
                "duplicate": [j for j in range(first, i) if row[j] == row[i]],
                "induction": [j + 1 for j in range(first, i) if row[j] == row[i]],
            }[name]
            keys = [j for j in keys if j >= first]
            if keys and i > first:
                total += sum(pattern[i, j] for j in keys)
                n += 1
    return total / n, n


@pytest.mark.parametrize("name", NAMES)
def test_a_score_is_what_a_loop_over_destinations_gives(name: Any) -> None:
    attention = repeated()
    scores = attention.score(name, draws=2)
    for head in ("l0h1", "l1h2", "l1h3"):
        expected, n = by_hand(name, attention.pattern[head].numpy(), attention.task.ids.numpy(), 0, 41)
        assert scores[head] == pytest.approx(expected, rel=1e-6)
        assert scores.destinations.tolist() == [n, n]


@pytest.mark.slow
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", NAMES)
def test_padding_changes_no_score(name: Any, side: Any) -> None:
    texts = ["the dog and the cat and the dog", "mary and john and mary and john went to the store and the school"]
    padded = hg.attention(MODEL, hg.Task(TOKENIZER, texts, padding=side)).score(name, draws=2)
    alone = [hg.attention(MODEL, hg.Task(TOKENIZER, [text])).score(name, draws=2) for text in texts]
    for row, one in enumerate(alone):
        np.testing.assert_allclose(padded.rows[row], one.values, atol=1e-5)
    n = torch.stack([one.destinations for one in alone]).double()
    pooled = sum(one.values * n[i, 0] for i, one in enumerate(alone)) / n[:, 0].sum()
    np.testing.assert_allclose(padded, pooled, atol=1e-5)


@pytest.mark.parametrize("name", KNOWN)
def test_the_shipped_model_s_heads_are_found_and_no_other(name: Any) -> None:
    scores = repeated().score(name)
    assert str(scores.top(1)) == str(scores.named) == KNOWN[name]
    assert scores[KNOWN[name]] > 0.8
    assert scores.evenly[0, 1] < 0.1


def test_an_induction_head_loses_its_score_with_the_order_of_the_tokens_and_a_previous_token_head_keeps_it() -> None:
    induction, previous = repeated().score("induction"), repeated().score("previous")
    assert induction.shuffled[1, 2] < 0.1 < 0.8 < induction["l1h2"]
    assert previous.shuffled[0, 1] == pytest.approx(previous["l0h1"], abs=0.02)
    assert "even attention" in str(previous)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_an_untrained_model_shows_nothing(seed: int) -> None:
    torch.manual_seed(seed)
    untrained = transformers.GPT2LMHeadModel(MODEL.config).eval()
    attention = hg.attention(untrained, hg.Task.repeated(TOKENIZER))
    for name in NAMES:
        scores = attention.score(name)
        assert not scores.above.any(), scores
        assert (scores.values - scores.shuffled).abs().max() < 0.02


def test_a_head_that_always_looks_back_as_far_as_a_block_is_long_is_no_induction_head() -> None:
    """Whatever the tokens are, it looks where induction would: its score is high, and so is its base rate."""
    back = torch.zeros(1, 41, 41)
    back[0, torch.arange(41), (torch.arange(41) - 19).clamp(min=0)] = 1
    with hg.patch(MODEL, "l1h2.pattern", back):
        scores = hg.attention(MODEL, repeated().task).score("induction", draws=3)
    assert scores["l1h2"] == pytest.approx(1)
    assert scores.shuffled[1, 2] == pytest.approx(1)
    assert not scores.above.any()


def test_shuffled_tokens_are_the_model_s_own_patterns_of_rows_in_another_order() -> None:
    attention = repeated()
    scores = attention.score("induction", draws=3, seed=5)
    generator, ids = torch.Generator().manual_seed(5), attention.task.ids
    found = []
    for _ in range(3):
        order = torch.stack([1 + torch.randperm(40, generator=generator) for _ in ids])  # <bos> stays where it is
        with torch.no_grad():
            output = MODEL(torch.cat([ids[:, :1], ids.gather(1, order)], 1), output_attentions=True)
        found.append(by_hand("induction", output.attentions[1][:, 2].numpy(), ids.numpy(), 0, 41)[0])
    assert float(scores.shuffled[1, 2]) == pytest.approx(np.mean(found), abs=1e-6)
    assert float(scores.spread[1, 2]) == pytest.approx(np.std(found, ddof=1), abs=1e-6)


def test_a_function_gives_a_number_for_each_row_or_says_where_to_look() -> None:
    attention = repeated()

    def mask(pattern: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return torch.stack([targets("induction", row) for row in ids])

    def to_first(pattern: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        return pattern[:, :, 0].mean(-1)

    named, ours = attention.score("induction", draws=2), attention.score(mask, draws=2)
    np.testing.assert_allclose(ours, named, atol=1e-9)
    np.testing.assert_allclose(ours.shuffled, named.shuffled, atol=1e-9)
    numbers = attention.score(to_first, draws=2)
    assert numbers["l1h1"] == pytest.approx(float(attention.pattern["l1h1"][:, :, 0].mean()), rel=1e-5)
    assert not numbers.is_attention
    assert "to_first" in str(numbers)
    for wrong in (lambda p, i: p, lambda p, i: float(p.mean()), lambda p, i: torch.full((len(i),), torch.nan)):
        with pytest.raises(ValueError, match="for each row"):
            attention.score(wrong, draws=2)


def test_a_text_without_repeats_has_no_induction_and_says_what_has() -> None:
    attention = hg.attention(MODEL, "mary went to the store", tokenizer=TOKENIZER)
    for name in ("induction", "duplicate"):
        with pytest.raises(ValueError, match=r"no token of this task comes twice.*Task.repeated\(tokenizer\)"):
            attention.score(name)  # type: ignore[arg-type]


def test_heads_that_were_not_recorded_have_no_score() -> None:
    scores = hg.attention(MODEL, hg.Task.repeated(TOKENIZER, n=4), "l1h2 | l1h0").score("induction")
    assert np.isnan(np.asarray(scores)).tolist() == [[True] * 4, [False, True, False, True]]
    assert scores.shape == (2, 4)
    assert str(scores.select(min=0.5)) == "l1h2"
    assert "of 2 heads" in str(scores)
    with pytest.raises(KeyError, match="not one of these heads"):
        scores["l0h1"]


def test_scores_are_a_table_with_their_base_rates() -> None:
    pytest.importorskip("pandas")
    scores = repeated().score("induction", draws=3)
    table = scores.to_dataframe().set_index("part")
    assert list(table.columns) == ["layer", "head", "score", "shuffled", "spread", "evenly", "above"]
    assert len(table) == 8
    assert table.index[table.above].tolist() == ["l1h2"]
    said = str(scores)
    assert "l1h2" in said.splitlines()[2]
    assert said.count("within its base rate") == 7
    assert "1 of 8 above the base rate: l1h2" in said


def test_a_layer_that_sees_no_target_has_no_score_and_says_so() -> None:
    """In a window of 4 the tokens of a block of 7 cannot see its first copy; a layer of full attention can."""
    model = tiny.model("gpt_oss")
    block = torch.tensor([[3, 8, 5, 9, 4, 12, 6], [13, 3, 17, 11, 12, 15, 9]])
    attention = hg.attention(model, torch.cat([block, block], 1))
    scores = attention.score("duplicate", draws=2)
    seen = {layer: bool(attention.visible["", layer][0, 10, 3]) for layer in range(scores.shape[0])}
    assert set(seen.values()) == {True, False}
    for layer, sees in seen.items():
        assert bool(scores.values[layer].isfinite().all()) is sees
        assert bool(scores.destinations[layer] > 0) is sees
    assert "attention is local there" in str(scores)


def test_stacks_are_scored_by_name_and_cross_attention_is_not() -> None:
    model = tiny.model("t5")
    block = torch.tensor([[3, 8, 5, 9, 4]])
    ids = torch.cat([block, block], 1)
    attention = hg.attention(model, {"input_ids": ids, "decoder_input_ids": ids[:, :7]})
    with pytest.raises(ValueError, match="stack='encoder' or 'decoder'"):
        attention.score("duplicate")
    assert attention.score("duplicate", stack="encoder", draws=2).shape == (3, 4)
    assert attention.score("duplicate", stack="decoder", draws=2).destinations.tolist() == [2, 2]
    with pytest.raises(ValueError, match="attend to tokens of the same text"):
        attention.score("duplicate", stack="cross")
    with pytest.raises(ValueError, match="not of 'vision'"):
        attention.score("duplicate", stack="vision")


def test_a_model_that_was_changed_since_is_not_scored() -> None:
    torch.manual_seed(0)
    model = transformers.GPT2LMHeadModel(MODEL.config).eval()
    attention = hg.attention(model, hg.Task.repeated(TOKENIZER, n=2))
    with torch.no_grad():
        model.transformer.h[0].attn.c_attn.weight.add_(0.1)
    with pytest.raises(ValueError, match="weights have changed since"):
        attention.score("induction")


def test_scores_can_be_stopped_and_say_how_far_they_are() -> None:
    from headgrid.circuits.progress import Cancelled

    told: list[tuple[int, int]] = []
    repeated().score("previous", draws=3, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]
    with pytest.raises(Cancelled):
        repeated().score("previous", cancelled=lambda: True)


def test_the_receipt_says_what_was_done() -> None:
    attention = repeated()
    scores = attention.score("induction", draws=2, seed=7)
    assert scores.receipt.options == {"draws": 2, "seed": 7}
    assert scores.receipt.model == attention.receipt.model
    assert scores.receipt.task == attention.task.fingerprint
    again = attention.score("induction", draws=2, seed=7)
    assert torch.equal(scores.shuffled, again.shuffled)
    assert not torch.equal(scores.shuffled, attention.score("induction", draws=2, seed=8).shuffled)
