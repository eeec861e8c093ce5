"""Composition against dense products in float64 and TransformerLens; its z against random rotations."""

from __future__ import annotations

import copy
import math
import sys
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import transformers

import headgrid as hg
from headgrid.circuits import products
from headgrid.circuits.composition import Composition, Pair, compose, partners
from headgrid.circuits.factors import Circuits
from headgrid.circuits.progress import Cancelled
from headgrid.demo import repeated_tokens
from headgrid.weights import Weights

FAMILIES = [
    "gpt2", "llama with grouped-query attention", "gemma with one key/value head", "gemma2", "deepseek_v2",
    "falcon-7b", "jamba", "qwen3_next",
]  # fmt: skip
"""With shared keys and values, latent attention, parallel blocks, and layers without heads."""


def dense(circuits: Circuits, kind: str, layer: int, head: int) -> torch.Tensor:
    factors = circuits.head(kind, layer, head)  # type: ignore[arg-type]
    return factors.A.double() @ factors.B.double()


def expected(circuits: Circuits, heads: tuple[tuple[int, int], ...]) -> dict[str, torch.Tensor]:
    """All scores by the definition, from d_model x d_model matrices."""
    found = {kind: torch.full((len(heads),) * 2, torch.nan, dtype=torch.float64) for kind in "qkv"}
    for s, source in enumerate(heads):
        left = dense(circuits, "ov", *source)
        for t, target in enumerate(heads):
            if source[0] < target[0]:
                qk, ov = dense(circuits, "qk", *target), dense(circuits, "ov", *target)
                for kind, right in (("q", qk), ("k", qk.mT), ("v", ov)):
                    found[kind][s, t] = (left @ right).norm() / (left.norm() * right.norm())
    return found


def check(found: Composition, model: Any, rtol: float) -> None:
    truth = expected(Circuits(Weights(model, stack=found.stack), found.ln), found.heads)
    for kind in "qkv":
        torch.testing.assert_close(getattr(found, kind), truth[kind], rtol=rtol, atol=0, equal_nan=True)
        assert torch.equal(getattr(found, f"{kind}_z").isnan(), truth[kind].isnan())
        assert not truth[kind].isnan().all()


def larger(dtype: torch.dtype = torch.float32, **sizes: int) -> Any:
    """A GPT-2 with so many heads that they are compared through Gram matrices; its sizes fill no block."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        **{"n_layer": 5, "n_head": 6, "n_embd": 72, "vocab_size": 31, "n_positions": 19, **sizes}
    )
    model = transformers.GPT2LMHeadModel(config).to(dtype).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3)
    return model


@pytest.fixture(scope="module")
def gpt2() -> Composition:
    return compose(tiny.model("gpt2"))


# ---- the scores


@pytest.mark.parametrize("ln", ["folded", "raw"])
@pytest.mark.parametrize("family", FAMILIES)
def test_scores_are_those_of_dense_products(family: str, ln: Any) -> None:
    model = tiny.model(family)
    if sum(Circuits(Weights(model)).has(layer) for layer in range(Weights(model).stack.n_layers)) < 2:
        found = compose(model, ln=ln)
        assert found.q.isnan().all()
        assert found.top() == []
        return
    check(compose(model, ln=ln), model, 1e-9)


def test_raw_scores_are_those_of_the_stored_matrices() -> None:
    weights = Weights(tiny.model("llama with grouped-query attention"))
    found = compose(weights, ln="raw")
    source, target = (0, 4), (2, 1)  # key/value heads 1 and 0
    left = weights.W_V[source] @ weights.W_O[source]
    right = weights.W_Q[target] @ weights.W_K[target].mT
    at = found.heads.index(source), found.heads.index(target)
    size = left.norm() * right.norm()
    torch.testing.assert_close(found.q[at], (left @ right).norm() / size, rtol=1e-10, atol=0)
    torch.testing.assert_close(found.k[at], (left @ right.mT).norm() / size, rtol=1e-10, atol=0)


@pytest.mark.parametrize("family", ["gpt2", "llama with grouped-query attention"])
def test_raw_scores_are_those_of_transformer_lens(family: str) -> None:
    from transformer_lens.model_bridge.sources import build_bridge_from_module

    model = tiny.fresh(family).float()
    found = compose(model, ln="raw")
    copied = copy.deepcopy(model)
    bridge = build_bridge_from_module(copied, type(copied).__name__, hf_config=copied.config)
    n = len(found.heads)
    for kind in "qkv":
        theirs = bridge.all_composition_scores(kind.upper()).scores.reshape(n, n).double()
        ours = getattr(found, kind)
        torch.testing.assert_close(ours.nan_to_num(), theirs, rtol=1e-4, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_many_heads_have_the_same_scores_through_gram_matrices(dtype: torch.dtype) -> None:
    model = larger(dtype)
    found = compose(model)
    assert products.Work(Circuits(Weights(model)), found.heads).by_gram
    check(found, model, 1e-5 if dtype == torch.float32 else 1e-10)


def test_groups_of_layers_and_pieces_of_any_size_give_the_same_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    model = larger(torch.float64)
    selection = "l0h1-3 | l1 | l3h2 | l4"  # layers of different sizes
    truth = compose(model, selection)
    for name, value in (("GROUP", 1), ("PIECE", 1), ("BLOCK", 7), ("CHUNK", 1)):
        monkeypatch.setattr(products, name, value)
        found = compose(model, selection)
        for kind in "qkv":
            torch.testing.assert_close(getattr(found, kind), getattr(truth, kind), rtol=1e-10, atol=0, equal_nan=True)


def test_scores_far_below_random_keep_their_digits(monkeypatch: pytest.MonkeyPatch) -> None:
    model = larger()
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for block in model.transformer.h:  # every head writes along e0 + e1 and reads along e0 - e1, nearly
            block.attn.c_attn.weight.normal_(0, 1e-2, generator=generator)
            block.attn.c_proj.weight.normal_(0, 1e-2, generator=generator)
            block.attn.c_attn.weight[0] += 1
            block.attn.c_attn.weight[1] -= 1
            block.attn.c_proj.weight[:, :2] += 1
    found = compose(model, ln="raw")
    assert products.Work(Circuits(Weights(model), "raw"), found.heads).by_gram
    truth = expected(Circuits(Weights(model), "raw"), found.heads)
    assert 0 < found.q.nan_to_num().max() < 0.01
    for kind in "qkv":
        torch.testing.assert_close(getattr(found, kind), truth[kind], rtol=1e-5, atol=3e-7, equal_nan=True)
    monkeypatch.setattr(products, "CANCELS", 0)  # Gram matrices alone would not do
    rough = (compose(model, ln="raw").q - truth["q"]).nan_to_num().abs().max()
    assert rough > 100 * (found.q - truth["q"]).nan_to_num().abs().max()


def test_scores_are_nan_unless_the_source_is_in_an_earlier_layer(gpt2: Composition) -> None:
    layer = torch.tensor([layer for layer, _ in gpt2.heads])
    later = layer[:, None] < layer
    for kind in ("q", "k", "v", "q_z", "k_z", "v_z"):
        assert torch.equal(~getattr(gpt2, kind).isnan(), later)


def test_a_head_that_writes_nothing_has_no_score() -> None:
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        model.transformer.h[0].attn.c_proj.weight[7:14] = 0  # head 1
    found = compose(model)
    dead = found.heads.index((0, 1))
    assert found.q[dead].isnan().all()
    assert found.q_z[dead].isnan().all()
    assert not found.q[dead + 1][-1].isnan()
    assert all((0, 1) not in (pair.source, pair.target) for pair in found.top(10**6, z=-torch.inf))


def test_only_q_composition_is_defined_in_cross_attention() -> None:
    found = compose(tiny.model("bart"), stack="cross")
    assert not found.q.isnan().all()
    assert found.k.isnan().all()
    assert found.v.isnan().all()
    assert any("encoder" in note for note in found.notes)
    assert {pair.kind for pair in partners(Circuits(Weights(tiny.model("bart"), stack="cross")), 1, 0)} == {"q"}


# ---- the baseline

SPECTRA = {
    "rank 1 against rank 1": (torch.tensor([1.0]), torch.tensor([1.0])),
    "flat against flat": (torch.ones(9), torch.ones(7)),
    "decaying against flat": (1 / torch.arange(1.0, 17), torch.ones(5)),
    "full rank against rank 2": (torch.linspace(1, 2, 16), torch.tensor([3.0, 1.0])),
}


@pytest.mark.parametrize("spectra", SPECTRA)
@pytest.mark.parametrize("centered", [False, True])
def test_z_has_mean_0_and_deviation_1_over_random_rotations(spectra: str, centered: bool) -> None:
    d, n = 16, 6000
    generator = torch.Generator().manual_seed(4)
    left, right = (values.double() / values.double().norm() for values in SPECTRA[spectra])
    if centered:  # the target reads nothing along one direction
        right = right[:15]
    q, r = torch.linalg.qr(torch.randn(n, d, d, generator=generator, dtype=torch.float64))
    turns = q * r.diagonal(dim1=-2, dim2=-1).sign()[:, None, :]  # so that it is the Haar measure
    overlaps = turns[:, : len(left), d - len(right) :].square()
    squares = torch.einsum("s,nst,t->n", left.square(), overlaps, right.square())
    spread = [values.pow(4).sum()[None] for values in (left, right)]
    values, z = products.scored(squares[:, None, None], spread[0], spread[1], d)
    torch.testing.assert_close(values.flatten(), squares.sqrt())
    assert abs(float(squares.mean()) * d - 1) < 0.05
    assert abs(float(z.mean())) < 4 / n**0.5
    assert abs(float(z.std()) - 1) < 0.06


def test_random_models_have_z_around_0_and_scores_around_the_baseline() -> None:
    found = compose(larger(), ln="raw")
    assert found.baseline == pytest.approx(72**-0.5)
    for kind in "qkv":
        value, z = (x[~x.isnan()] for x in (getattr(found, kind), getattr(found, f"{kind}_z")))
        assert float(value.square().mean().sqrt()) == pytest.approx(found.baseline, rel=0.02)
        assert abs(float(z.mean())) < 0.2
        assert 0.8 < float(z.std()) < 1.2


def test_a_circuit_that_reads_all_directions_alike_has_z_0() -> None:
    spread = torch.tensor([1 / 8], dtype=torch.float64)
    value, z = products.scored(torch.tensor([[1 / 8]], dtype=torch.float64), spread, spread, 8)
    assert z.item() == 0
    assert value.item() == pytest.approx(8**-0.5)


def test_the_induction_head_of_the_shipped_model_reads_the_previous_token_head_by_its_keys() -> None:
    model, _ = hg.demo()
    found = compose(model)
    best = found.top(1)[0]
    assert (best.kind, best.source, best.target) == ("k", (0, 1), (1, 2))
    assert best.z > 20
    assert best.value > 2 * found.baseline
    k = found.k.nan_to_num()
    assert best.value == float(k.max())
    assert best.value > 1.3 * float(k.flatten().topk(2).values[1])
    assert "K l0h1 -> l1h2" in repr(found)


# ---- what is compared


def test_a_selection_compares_its_heads_alone(gpt2: Composition) -> None:
    heads = ((0, 2), (1, 0), (1, 3), (2, 1))
    for given in (list(heads), "l0h2 | l1h0 | l1h3 | l2h1", hg.dissect(tiny.model("gpt2")).select(list(heads))):
        found = compose(tiny.model("gpt2"), given)
        assert found.heads == heads
        at = torch.tensor([gpt2.heads.index(head) for head in heads])
        for kind in ("q", "k", "v", "q_z", "k_z", "v_z"):
            torch.testing.assert_close(
                getattr(found, kind), getattr(gpt2, kind)[at[:, None], at], rtol=1e-9, atol=1e-9, equal_nan=True
            )


def test_a_selection_without_heads_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no head of GPT2LMHeadModel .* is in 'l0 mlp': name heads"):
        compose(tiny.model("gpt2"), "l0 mlp")


def test_weights_are_read_in_the_stack_that_is_asked_for() -> None:
    weights = Weights(tiny.model("bart"), stack="encoder")
    assert compose(weights).stack == "encoder"
    assert compose(weights, stack="decoder").stack == "decoder"


def test_the_stack_is_that_of_the_selected_heads() -> None:
    model = tiny.model("bart")
    found = compose(model, "encoder l0h1 | encoder l2h3")
    assert (found.stack, found.heads) == ("encoder", ((0, 1), (2, 3)))
    with pytest.raises(ValueError, match=r"heads of the stacks 'encoder', 'decoder': say which with stack="):
        compose(model, "encoder l0h1 | decoder l1h0")
    assert compose(model, "encoder l0h1 | decoder l1h0", stack="decoder").heads == ((1, 0),)


def test_kinds_are_said_in_either_case_and_a_number_of_pairs_is_at_least_0() -> None:
    found = compose(tiny.model("gpt2"))
    assert found.top(3, kinds="QK") == found.top(3, kinds="qk")
    with pytest.raises(ValueError, match="n is a number of pairs of at least 0, not -1"):
        found.top(-1)


def test_progress_rises_from_nothing_to_all() -> None:
    for model in (tiny.model("gpt2"), larger()):
        told: list[tuple[int, int]] = []
        compose(model, progress=lambda done, total, told=told: told.append((done, total)))
        total = told[0][1]
        assert told == [(done, total) for done in range(total + 1)]


def test_it_can_be_stopped() -> None:
    with pytest.raises(Cancelled):
        compose(tiny.model("gpt2"), cancelled=lambda: True)
    with pytest.raises(Cancelled):
        partners(Circuits(Weights(tiny.model("gpt2"))), 0, 0, cancelled=lambda: True)


# ---- what is found


def test_top_is_sorted_by_z_and_takes_kinds_and_a_threshold(gpt2: Composition) -> None:
    everything = gpt2.top(10**6, z=-torch.inf)
    assert len(everything) == 3 * (3 * 4 * 4)
    assert [pair.z for pair in everything] == sorted((pair.z for pair in everything), reverse=True)
    assert gpt2.top(7) == everything[:7]
    assert gpt2.top(10**6, z=1.5) == [pair for pair in everything if pair.z >= 1.5]
    assert gpt2.top(5, kinds="kv") == [pair for pair in everything if pair.kind in "kv"][:5]
    assert gpt2.top(5, kinds=["q"], z=-9) == [pair for pair in everything if pair.kind == "q"][:5]
    for pair in everything[:9]:
        at = gpt2.heads.index(pair.source), gpt2.heads.index(pair.target)
        assert pair.value == float(getattr(gpt2, pair.kind)[at])
        assert pair.z == float(getattr(gpt2, f"{pair.kind}_z")[at])
    with pytest.raises(ValueError, match="each of kinds is 'q', 'k' or 'v', not 'o'"):
        gpt2.top(kinds="qo")


def test_of_gives_the_pairs_of_one_head(gpt2: Composition) -> None:
    everything = gpt2.top(10**6, z=-torch.inf)
    assert gpt2.of(1, 2) == [pair for pair in everything if (1, 2) in (pair.source, pair.target)]
    with pytest.raises(ValueError, match="l9h0 is not among the 12 heads"):
        gpt2.of(9, 0)


@pytest.mark.parametrize("family", ["gpt2", "llama with grouped-query attention"])
def test_partners_are_those_of_compose(family: str) -> None:
    circuits = Circuits(Weights(tiny.model(family)))
    found, truth = partners(circuits, 1, 2), compose(tiny.model(family)).of(1, 2)

    def by_place(pairs: list[Pair]) -> dict[Any, tuple[float, float]]:
        return {(pair.kind, pair.source, pair.target): (pair.value, pair.z) for pair in pairs}

    assert by_place(found).keys() == by_place(truth).keys()
    for place, numbers in by_place(truth).items():
        assert by_place(found)[place] == pytest.approx(numbers, rel=1e-8, abs=1e-8)
    assert [pair.z for pair in found] == sorted((pair.z for pair in found), reverse=True)
    few = partners(circuits, 1, 2, [(0, 1), (1, 1), (2, 3)])
    assert {(pair.source, pair.target) for pair in few} == {((0, 1), (1, 2)), ((1, 2), (2, 3))}
    assert partners(circuits, 1, 2) == found  # from what is kept


def test_partners_see_a_later_change_of_the_weights() -> None:
    model = tiny.fresh("gpt2")
    circuits = Circuits(Weights(model))
    before = partners(circuits, 2, 0)
    with torch.no_grad():
        model.transformer.h[0].attn.c_proj.weight[:7] *= torch.linspace(1, 3, 28, dtype=torch.float64)
    after = partners(circuits, 2, 0)
    assert after == partners(Circuits(Weights(model)), 2, 0)
    changed = {pair.source for pair in after} - {pair.source for pair in after if pair in before}
    assert changed == {(0, 0)}


def test_partners_of_a_head_that_is_not_there_are_refused() -> None:
    with pytest.raises(IndexError, match="no head l0h4"):
        partners(Circuits(Weights(tiny.model("gpt2"))), 0, 4)


def test_a_data_frame_has_a_row_for_each_pair(gpt2: Composition) -> None:
    pytest.importorskip("pandas")
    frame = gpt2.to_dataframe()
    assert len(frame) == 3 * (3 * 4 * 4)
    best, first = gpt2.top(1)[0], frame.iloc[0]
    assert (first.kind, first.source, first.target, first.value, first.z) == (
        best.kind, f"l{best.source[0]}h{best.source[1]}", f"l{best.target[0]}h{best.target[1]}", best.value, best.z
    )  # fmt: skip
    assert (first.source_layer, first.source_head, first.target_layer, first.target_head) == (
        *best.source,
        *best.target,
    )


def test_without_pandas_a_data_frame_is_refused_with_advice(gpt2: Composition, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        gpt2.to_dataframe()


def test_nan_in_a_weight_is_refused_by_the_parameter_s_name() -> None:
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        model.transformer.h[1].attn.c_proj.weight[3, 4] = torch.nan
    with pytest.raises(ValueError, match=r"h\.1\.attn\.c_proj\.weight"):
        compose(model)


def test_one_pair_of_the_shipped_model_is_an_outlier_and_it_is_the_one_that_carries() -> None:
    """The oracle: the loss on the second copy, with the source's part in the target's keys or values taken away."""
    model, tokenizer = hg.demo()
    found = compose(model)
    every = torch.cat([found.q_z, found.k_z, found.v_z])
    z = every[every.isfinite()].numpy()
    first, third = np.quantile(z, [0.25, 0.75])
    assert found.outer_fence == pytest.approx(third + 3 * (third - first))
    assert len(z) == 48
    assert (z >= 3).sum() == 15
    (outlier,) = [pair for pair in found.top(48) if pair.z > found.outer_fence]
    assert (outlier.kind, outlier.source, outlier.target) == ("k", (0, 1), (1, 2))
    ids = repeated_tokens(tokenizer)
    moved = {pair: carried(model, ids, pair) for pair in found.top(4)}
    assert moved[outlier] > 3, "nats"
    assert max(abs(nats) for pair, nats in moved.items() if pair is not outlier and pair != outlier) < 0.2


def carried(model: Any, ids: torch.Tensor, pair: Pair) -> float:
    """By how much the loss on the second copy grows if the target reads, by one side, a stream without the source."""
    layer, head = pair.source
    source = model.transformer.h[layer].attn
    attention = model.transformer.h[pair.target[0]].attn
    m, h = source.embed_dim, source.head_dim
    seen: dict[str, torch.Tensor] = {}

    def loss() -> float:
        with torch.no_grad():
            logits = model(ids).logits[:, 51:-1]
        return float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), ids[:, 52:].flatten()))

    def keep(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        part = given[0][..., head * h : (head + 1) * h]
        seen["written"] = part @ module.weight[head * h : (head + 1) * h]

    def without(module: torch.nn.Module, given: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        first = {"q": 0, "k": m, "v": 2 * m}[pair.kind] + pair.target[1] * h
        read = model.transformer.h[pair.target[0]].ln_1(seen["stream"] - seen["written"])
        output = output.clone()
        output[..., first : first + h] = (read @ module.weight + module.bias)[..., first : first + h]
        return output

    def stream(module: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> None:
        seen["stream"] = given[0]

    before = loss()
    handles = [
        source.c_proj.register_forward_pre_hook(keep),
        model.transformer.h[pair.target[0]].ln_1.register_forward_pre_hook(stream),
    ]
    handles.append(attention.c_attn.register_forward_hook(without))
    try:
        return loss() - before
    finally:
        for handle in handles:
            handle.remove()


def test_what_is_shown_of_a_composition_says_that_z_is_not_use() -> None:
    found = compose(hg.demo()[0])
    lines = repr(found).splitlines()
    assert lines[1].startswith("  K l0h1 -> l1h2")
    assert [line.endswith("stands out") for line in lines[1:6]] == [True, False, False, False, False]
    assert lines[6] == "  z >= 3: 15 of 48 pairs; z > 19.9, far from the other pairs: 1"
    assert "z above random is not use" in lines[7]
    assert "z above random is not use" in found.notes[0]
    few = compose(hg.demo()[0], "l0h1 | l1h2")
    assert math.isnan(few.outer_fence)
    assert "stands out" not in repr(few)
