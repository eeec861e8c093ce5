"""Edges beside edges by hand, what they compose to, and what is no edge."""

from __future__ import annotations

import copy
import functools
import itertools
from typing import Any

import pytest
import tiny
import torch
import transformers
from bridges import bridged
from edges_by_hand import HANDS, SlowEdges, hooked
from torch.testing import assert_close

import headgrid as hg
from headgrid.experiments.task import Task

LLAMA = "llama with grouped-query attention"


@functools.cache
def task_of(rows: int = 3, length: int = 6) -> Task:
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(3, 26, (rows, length), generator=generator)
    other = ids.clone()
    other[:, 1:3] = torch.randint(3, 26, (rows, 2), generator=generator)
    return Task(None, ids, corrupted=other, answers=[7] * rows, wrong=[11] * rows)


@functools.cache
def model_of(family: str) -> Any:
    """The family's small model; a Granite that scales what its blocks add."""
    if family != "granite":
        return tiny.model(family)
    config = tiny.config(family)
    config.residual_multiplier = 0.22
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager").double()
    model.load_state_dict(tiny.model(family).state_dict())
    return model.eval()


def senders_below(model: Any, receiver: str, parallel: bool) -> list[str]:
    heads, layers = model.config.num_attention_heads, model.config.num_hidden_layers
    end = layers if receiver == "logits" else int(receiver[1])
    found = ["embed"]
    for layer in range(end + (receiver.endswith("mlp") and not parallel)):
        found += [f"l{layer}h{head}" for head in range(heads)]
        found += [f"l{layer} mlp"] * (layer < end)
    return found


@pytest.mark.parametrize(
    ("receiver", "method"),
    [("l2h1.q", "patch"), ("l2.k", "patch"), ("l1.v", "zero"), ("l1 mlp", "patch"), ("logits", "patch")],
)
@pytest.mark.parametrize("family", HANDS)
def test_edges_are_those_of_hooks_by_hand_that_freeze_everything(family: str, receiver: str, method: str) -> None:
    model, task = model_of(family), task_of()
    if receiver[2] == ".":  # the key/value head, where heads share one
        shared = hg.dissect(model).n_kv_heads < hg.dissect(model).n_heads
        receiver = receiver.replace(".", "g1." if shared else "h1.")
    assert task.corrupted is not None
    which = (task.corrupted, task.inputs) if method == "patch" else (task.inputs, None)
    slow = SlowEdges(family, model, *which)
    got = hg.paths(model, task, None, receiver, method=method)
    assert got.senders == tuple(senders_below(model, receiver, HANDS[family].parallel))
    with torch.no_grad():
        before = task.score(model(**which[0]))
    expected = torch.stack([task.score(slow.output(sender, receiver)) - before for sender in got.senders], 1)
    assert expected.abs().max() > 1e-6
    close = {"rtol": 1e-6, "atol": 1e-12} if HANDS[family].centered else {"rtol": 1e-4, "atol": 1e-6}
    assert_close(got.rows, expected, **close)  # RMSNorm is computed in float32, whatever the model's dtype
    assert_close(got.values, expected.mean(0), **close)


def test_noise_is_the_other_way() -> None:
    model, task = tiny.model("gpt2"), task_of()
    assert task.corrupted is not None
    slow = SlowEdges("gpt2", model, task.inputs, task.corrupted)
    got = hg.paths(model, task, "l0h2 | l1 mlp", "l2h0.v", direction="noise")
    before = task.score(model(**task.inputs))
    for i, sender in enumerate(got.senders):
        assert_close(got.rows[:, i], (task.score(slow.output(sender, "l2h0.v")) - before).detach())


def test_a_mean_is_over_the_rows_at_each_position() -> None:
    model, task = tiny.model(LLAMA), task_of()
    slow = SlowEdges(LLAMA, model, task.inputs, None)
    for key in ((0, "self_attn.o_proj", "in"), (0, "mlp", "out")):
        slow.after = {**(slow.after or {}), key: slow.before[key].mean(0, keepdim=True)}
    got = hg.paths(model, task, "l0h3 | l0 mlp", "l2h1.q", method="mean")
    before = task.score(model(**task.inputs))
    for i, sender in enumerate(got.senders):
        assert_close(got.rows[:, i], (task.score(slow.output(sender, "l2h1.q")) - before).detach())


@pytest.mark.parametrize("receiver", ["l2h1.q", "l1 mlp", "logits"])
def test_each_position_of_the_receivers_input_is_changed_by_itself(receiver: str) -> None:
    model, task = tiny.model("gpt2"), task_of()
    assert task.corrupted is not None
    slow = SlowEdges("gpt2", model, task.corrupted, task.inputs)
    got = hg.paths(model, task, "l0h2 | embed", receiver, positions=True)
    assert got.shape == (2, 6)
    before = task.score(model(**task.corrupted))
    for i, position in itertools.product(range(2), range(6)):
        after = task.score(slow.output(got.senders[i], receiver, torch.arange(6) == position))
        assert_close(got.rows[:, i, position], (after - before).detach())


def test_batches_budgets_and_attention_in_one_call_give_the_same() -> None:
    model, task = tiny.model(LLAMA), task_of()
    whole = hg.paths(model, task, None, "l2g1.k")
    for more in ({"batch_size": 2}, {"memory": 1}, {"batch_size": 2, "memory": 400_000}):
        assert_close(hg.paths(model, task, None, "l2g1.k", **more).rows, whole.rows)
    in_one_call = hg.paths(tiny.fresh(LLAMA, "sdpa"), task, None, "l2g1.k")
    assert_close(in_one_call.rows, whole.rows, rtol=1e-4, atol=1e-6)


# ---- other families


RIGHT = ["qwen3", "cohere", "opt", "gptj", "falcon-40b", "deepseek_v3", "qwen3_moe", "gpt_neo", "mpt", "phi",
         "stablelm with qk_layernorm", "gpt_oss", "bloom"]  # fmt: skip


@pytest.mark.parametrize("side", ["q", "k", "v"])
@pytest.mark.parametrize("family", [*RIGHT, "gemma3", "olmo", "olmo3"])
def test_the_first_layer_reads_the_embedding_alone_so_that_edge_patches_the_point(family: str, side: str) -> None:
    """The norm taken anew, the query of the other run is what the edge leaves: norms, latents, rotation and all."""
    model, task = tiny.model(family), task_of()
    assert task.corrupted is not None
    shared = hg.dissect(model).n_kv_heads < hg.dissect(model).n_heads and side != "q"
    point = f"l0{'g' if shared else 'h'}1.{side}"
    if family == "olmo":
        with pytest.raises(ValueError, match="has no weights, so its module is not known"):
            hg.paths(model, task, "embed", point, norms="recomputed")
        return
    got = hg.paths(model, task, "embed", point, norms="recomputed")
    with torch.no_grad(), hg.record(model, point) as cache:
        model(**task.inputs)
    with torch.no_grad(), hg.patch(model, point, cache):
        patched = task.score(model(**task.corrupted))
    with torch.no_grad():
        expected = patched - task.score(model(**task.corrupted))
    assert_close(got.rows[:, 0], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("family", RIGHT)
def test_all_edges_to_the_logits_add_up_to_the_other_stream_through_the_frozen_norm(family: str) -> None:
    model, task = tiny.model(family), task_of()
    assert task.corrupted is not None
    got = hg.paths(model, task, None, "logits")
    norm = model.get_submodule(hg.dissect(model).places["ln_final.w", None][0].parameter.rpartition(".")[0])
    read: list[torch.Tensor] = []
    with torch.no_grad(), hooked(norm.register_forward_pre_hook(lambda _, x: read.append(x[0]))):
        before = task.score(model(**task.corrupted))
        model(**task.inputs)
    change, zero = read[1] - read[0], torch.zeros_like(read[0])
    centered = torch.allclose(norm(zero + 2.0), norm(zero))  # a mean alone is nothing to LayerNorm

    def size(x: torch.Tensor) -> torch.Tensor:
        x = x - x.mean(-1, keepdim=True) if centered else x
        return x.square().mean(-1, keepdim=True).sqrt()

    with torch.no_grad():
        frozen = (norm(change) - norm(zero)) * size(change) / size(read[0]).clamp(min=1e-12)
        with hooked(norm.register_forward_hook(lambda _, __, out: out + frozen)):
            after = task.score(model(**task.corrupted))
    assert_close(got.rows.sum(1), after - before, rtol=2e-3, atol=1e-5)


def test_the_mlp_of_a_layer_without_heads_reads_what_its_mixer_has_added() -> None:
    model, task = tiny.model("jamba"), task_of()
    got = hg.paths(model, task, None, "l1 mlp")
    assert got.senders == ("embed", "l0 mlp")
    assert got.values.isfinite().all()


def test_norms_on_the_stream_leave_no_direct_edge() -> None:
    task = Task(None, tiny.inputs("bert"), answers=[7, 9], positions=2)
    with pytest.raises(ValueError, match="act on the residual stream itself"):
        hg.paths(tiny.model("bert"), task, None, "l1h1.q")


@pytest.mark.parametrize(
    ("family", "fault"),
    [("t5", "has an encoder and a decoder"), ("albert", "runs each of its layers|act on the residual stream itself")],
)
def test_other_streams_are_refused_with_the_reason(family: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        hg.paths(tiny.model(family), Task(None, tiny.inputs(family), answers=[7, 9], positions=2), None, "logits")


def test_a_stream_with_more_in_it_than_heads_and_mlps_is_refused() -> None:
    model, task = tiny.fresh("gpt2"), task_of()
    model.transformer.h[1].register_forward_hook(lambda _, __, out: (out[0] * 1.01, *out[1:]) if isinstance(out, tuple)
                                                 else out * 1.01)  # fmt: skip
    with pytest.raises(ValueError, match="what layer 1 gives is not the sum of what it reads and what its attention"):
        hg.paths(model, task, None, "l2h1.q")


# ---- law 11


def linear() -> Any:
    """A Llama in which the second layer is linear in what the first adds: even patterns, norms of constant scale."""
    config = transformers.LlamaConfig(
        num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, hidden_size=24, intermediate_size=10,
        vocab_size=31, max_position_embeddings=19, rms_norm_eps=1e10,
    )  # fmt: skip
    model = transformers.AutoModelForCausalLM.from_config(config).double().eval()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.normal_(0, 0.3, generator=generator)
            if "norm" in name:
                parameter.fill_(1e5)
            if "layers.1.self_attn.q_proj" in name or "down_proj" in name:
                parameter.zero_()
    return model


@pytest.mark.parametrize("method", ["patch", "zero", "mean"])
def test_edges_out_of_a_head_compose_to_its_effect_where_the_model_is_linear(method: Any) -> None:
    model, task = linear(), task_of()
    receivers = ["logits", "l1g0.v", "l1g1.v"]
    edges = torch.stack([hg.paths(model, task, "l0h*", one, method=method).rows for one in receivers])
    whole = hg.sweep(model, task, method)
    assert whole.rows is not None
    assert edges.abs().amax((1, 2)).min() > 1e-2
    assert_close(edges.sum(0), whole.rows[:, 0], rtol=1e-4, atol=1e-6)
    queries = hg.paths(model, task, "l0h*", "l1g0.k", method=method)
    assert queries.values.abs().max() < 1e-9  # no query asks for keys


# ---- beside TransformerLens


@pytest.mark.slow
@pytest.mark.parametrize("side", ["q", "k", "v"])
def test_with_norms_taken_anew_edges_are_those_of_transformer_lens(side: Any) -> None:
    patching = pytest.importorskip("transformer_lens.patching")
    model, task = tiny.fresh("gpt2").float(), task_of()
    got = hg.paths(model, task, "l0h* | l1h*", f"l2h1.{side}", norms="recomputed")
    frozen = hg.paths(model, task, "l0h* | l1h*", f"l2h1.{side}")
    assert (got.values - frozen.values).abs().max() > 1e-7  # they differ in the norm's scale
    bridge, clean, corrupted = bridged(copy.deepcopy(model)), task.inputs["input_ids"], task.corrupted["input_ids"]
    caches = [bridge.run_with_cache(ids)[1] for ids in (clean, corrupted)]
    with torch.no_grad():
        before = task.score(model(**task.corrupted)).mean()
    for i, sender in enumerate(got.senders):
        theirs = patching.get_act_patch_direct_path(
            bridge, corrupted, *caches, lambda logits: task.score(logits).mean(), int(sender[1]), int(sender[3]), side,
            verbose=False,
        )  # fmt: skip
        assert_close(float(got.values[i]), float(theirs[2, 1] - before), rtol=1e-2, atol=3e-6)
    assert_close(hg.paths(bridge, task, "l0h* | l1h*", f"l2h1.{side}").values, frozen.values, rtol=1e-3, atol=1e-6)


# ---- what it gives, and what is refused


def test_the_key_that_a_group_shares_is_said() -> None:
    got = hg.paths(tiny.model(LLAMA), task_of(), "l0h1", "l1h4.k")
    assert got.receiver == "l1g1.k"
    assert any("l1g1.k is the key and value head that l1h3, l1h4, l1h5 share" in note for note in got.notes)


def test_edges_are_selected_by_their_senders() -> None:
    model, task = tiny.model("gpt2"), task_of()
    got = hg.paths(model, task, "l0h0 | l0h2 | l1 mlp | embed", "l2h1.v")
    assert got.senders == ("embed", "l0h0", "l0h2", "l1 mlp")
    order = got.values.abs().argsort(descending=True).tolist()
    assert got.top(2) == got.anatomy.select([got.senders[at] for at in order[:2]])
    least = float(got.values.sort().values[-2])
    assert got.select(min=least) == got.top(2, sign="positive") if least > 0 else got.select(min=least)
    assert got["L0 MLP".replace("0", "1")] == float(got.values[3])
    assert_close(got.normalized * (got.clean - (got.corrupted or 0)), got.values)
    assert list(got.to_dataframe()["sender"]) == list(got.senders)
    assert "Edges into l2h1.v on logit_diff" in repr(got)
    assert got.receipt.options["receiver"] == "l2h1.v"
    with pytest.raises(KeyError, match="is not one of these senders"):
        got["l1h1"]


def test_random_writes_are_as_large_and_the_same_for_a_seed() -> None:
    model, task = tiny.model("gpt2"), task_of()
    got = hg.paths(model, task, "l0h*", "l1h1.v", controls=3, seed=5)
    assert got.controls is not None
    assert got.controls.shape == (4, 3)
    assert_close(hg.paths(model, task, "l0h*", "l1h1.v", controls=3, seed=5).controls, got.controls)
    assert not torch.allclose(hg.paths(model, task, "l0h*", "l1h1.v", controls=3, seed=6).controls, got.controls)
    assert_close(got.values, hg.paths(model, task, "l0h*", "l1h1.v").values)
    assert got.beyond is not None
    assert_close(got.beyond, (got.controls.abs() < got.values.abs()[:, None]).double().mean(1))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"receiver": "l1h2"}, "receiver is a head's query, key or value such as 'l1h2.k'"),
        ({"receiver": "l1h2.z"}, "receiver is a head's query, key or value"),
        ({"receiver": "l1h*.q"}, "receiver is one of these, l1h"),
        ({"receiver": "embed"}, "receiver is a head's query, key or value"),
        ({"receiver": "l9h1.q"}, "layer"),
        ({"senders": "l1h1", "receiver": "l1h0.q"}, "l1h1 is not below l1h0.q"),
        ({"senders": "l1 mlp", "receiver": "l1 mlp"}, "l1 mlp is not below l1 mlp"),
        ({"senders": "l0 mlp n3", "receiver": "l1h0.q"}, "selected in part"),
        ({"senders": "none", "receiver": "l1h0.q"}, "names no head, no MLP and not embed"),
        ({"senders": "l0h1.q", "receiver": "l1h0.q"}, "is no activation"),
        ({"receiver": "l1h0.q", "method": "resample"}, "method is 'patch', 'mean' or 'zero'"),
        ({"receiver": "l1h0.q", "positions": True, "controls": 2}, "controls are of all positions together"),
    ],
)
def test_what_is_no_edge_is_refused(given: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        hg.paths(tiny.model("gpt2"), task_of(), **given)


def test_patching_takes_corrupted_inputs() -> None:
    task = Task(None, task_of().inputs["input_ids"], answers=[7] * 3)
    with pytest.raises(ValueError, match="takes results of another run"):
        hg.paths(tiny.model("gpt2"), task, None, "l1h0.q", method="patch")
    assert hg.paths(tiny.model("gpt2"), task, "l0h1", "l1h0.q").method == "mean"


# ---- the shipped model


@functools.cache
def shipped() -> Any:
    return hg.demo()


def test_the_induction_heads_keys_are_made_of_what_the_previous_token_head_writes() -> None:
    model, tokenizer = shipped()
    got = hg.paths(model, hg.Task.repeated(tokenizer, 6), None, "l1h2.k", controls=5)
    assert got.senders == ("embed", "l0h0", "l0h1", "l0h2", "l0h3", "l0 mlp")
    assert got["l0h1"] > 5  # nats, of a loss of .24
    assert got.values[torch.arange(6) != 2].abs().max() < 0.1
    assert str(got.top(1)) == "l0h1"


def test_of_the_strongest_compositions_one_carries_something() -> None:
    model, tokenizer = shipped()
    got = hg.compose(model).test(model, hg.Task.repeated(tokenizer, 6), controls=10)
    assert [got.verdict(one) for one in got.tried] == ["carries", *["nothing beyond random"] * 3]
    assert [one.edges.receiver for one in got.tried] == ["l1h2.k", "l1h2.v", "l1h1.k", "l1h0.v"]
    assert repr(got).count("nothing beyond random") == 3
    assert list(got.to_dataframe()["z"]) == sorted(got.to_dataframe()["z"], reverse=True)
