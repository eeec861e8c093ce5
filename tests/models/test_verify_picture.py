"""Where a model attends in a way that the proof has no picture of, it says so, and blames neither table nor heads."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import pytest
import tiny
import torch
import transformers
from torch import nn

import headgrid as hg
from headgrid.models.verify import VerifyError, verify

Attend = Callable[[nn.Module, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def attending(attend: Attend, layers: tuple[int, ...] = (0, 1, 2)) -> nn.Module:
    """GPT-2 whose heads attend otherwise: `attend` makes z `[batch, head, position, d_head]` of q, k and v."""
    model = tiny.fresh("gpt2").float()

    def forward(module: Any, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:
        q, k, v = (one.unflatten(-1, (4, -1)).transpose(1, 2) for one in module.c_attn(hidden).chunk(3, -1))
        return module.c_proj(attend(module, q, k, v).transpose(1, 2).flatten(-2)), None

    for layer in layers:
        attention = model.transformer.h[layer].attn
        attention.forward = types.MethodType(forward, attention)
    return model


def scores(q: torch.Tensor, k: torch.Tensor) -> torch.Tensor:
    causal = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool).tril()
    return (q @ k.transpose(-1, -2)).masked_fill(~causal, torch.finfo(q.dtype).min)


def plain(_: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return scores(q, k).softmax(-1) @ v


def with_queries(module: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return plain(module, q, k, v) + q


def keys_as_values(module: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return plain(module, q, k, v + k)


def mixed(module: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    pattern = scores(q, k).softmax(-1)
    return (pattern - 0.5 * pattern.roll(1, 1)) @ v


def differential(module: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    one, two = (scores(a, b).softmax(-1) for a, b in zip(q.chunk(2, -1), k.chunk(2, -1), strict=True))
    return (one - 0.3 * two) @ v


def in_pieces(_: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    n = q.shape[2]
    q, k, v = (torch.nn.functional.pad(one, (0, 0, 0, -n % 2)).unflatten(2, (-1, 2)) for one in (q, k, v))
    return ((q @ k.transpose(-1, -2)).softmax(-1) @ v).flatten(2, 3)[:, :, :n]


def in_pieces_of_the_batch(_: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    n = q.shape[2]
    q, k, v = (
        torch.nn.functional.pad(one, (0, 0, 0, -n % 2)).unflatten(2, (-1, 2)).transpose(1, 2).flatten(0, 1)
        for one in (q, k, v)
    )
    z = (q @ k.transpose(-1, -2)).softmax(-1) @ v
    return z.unflatten(0, (-1, (n + 1) // 2)).transpose(1, 2).flatten(2, 3)[:, :, :n]


def linear(_: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return q.softmax(-1) @ (k.transpose(-1, -2) @ v)


def conv_before_keys(module: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return plain(module, q + q.roll(1, 2), k, v)


def over_all_scores(module: nn.Module, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    s = scores(q, k)
    return s.softmax(-1) @ v * s.diagonal(dim1=-2, dim2=-1).sum(1, keepdim=True)[..., None]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("attend", "said"),
    [
        (with_queries, "moves its scores, and its z beside them as well"),
        (keys_as_values, "moves its scores, and its z beside them as well"),
        (mixed, "in the same entries: heads are mixed between the softmax and it"),
        (differential, "it takes a softmax more than once"),
        (in_pieces, "over pieces of the text, and not over [batch, head, query, key]"),
        (in_pieces_of_the_batch, "over pieces of the text, and not over [batch, head, query, key]"),
        (linear, "not over positions"),
        (conv_before_keys, "moves its scores as a query and as a key at once"),
        (over_all_scores, "depends on the scores of heads"),
    ],
)
def test_attention_of_another_kind_is_not_understood_and_no_head_is_blamed(attend: Attend, said: str) -> None:
    model = attending(attend)
    proof = verify(model, hg.dissect(tiny.model("gpt2")))
    assert not proof
    assert not proof.ok
    assert proof.failures == ()
    assert list(proof.not_understood) == ["l0", "l1", "l2"]
    assert any(said in one for one in proof.not_understood.values()), proof.not_understood
    assert repr(proof).startswith("<Proof: NOT understood: the attention of l0, l1, l2 of GPT2LMHeadModel (gpt2)")
    assert "so that nothing is said of its heads" in str(proof)
    with pytest.raises(VerifyError, match="NOT understood"):
        proof.raise_if_failed()


def test_a_layer_that_is_not_understood_is_told_apart_from_those_that_hold() -> None:
    proof = verify(attending(with_queries, (1,)), hg.dissect(tiny.model("gpt2")))
    assert list(proof.not_understood) == ["l1"]
    assert proof.heads[""].all(axis=(1, 2)).tolist() == [True, False, True]
    assert (proof._repr_html_().count("✓"), proof._repr_html_().count(">?<")) == (8, 4)
    assert not proof


def test_a_usual_attention_that_is_written_anew_is_proven() -> None:
    assert verify(attending(plain), hg.dissect(tiny.model("gpt2")))


@pytest.mark.parametrize("kind", ["granite_swa", "granitemoe_swa"])
def test_sinks_that_scale_what_a_head_gives_are_proven(kind: str) -> None:
    """Granite reads the scores a second time, beside the softmax, for the size of its sinks."""
    sizes = {"hidden_size": 48, "num_attention_heads": 6, "num_key_value_heads": 2, "num_hidden_layers": 3,
             "intermediate_size": 20, "vocab_size": 31, "sliding_window": 4}  # fmt: skip
    config = transformers.AutoConfig.for_model(kind, **sizes)
    model = transformers.AutoModelForCausalLM.from_config(config)
    with pytest.warns(UserWarning, match="is a guess"):
        anatomy = hg.dissect(model)
    assert ("sink", 0) in anatomy.places
    proof = verify(model, anatomy)
    assert proof, str(proof)
    assert proof.n_heads == 18
    # and the oracle: a sink moves the z of its own head alone
    z: list[torch.Tensor] = []
    handle = model.model.layers[1].self_attn.o_proj.register_forward_pre_hook(lambda _, given: z.append(given[0]))
    ids = torch.tensor([[3, 9, 4, 7]])
    with torch.no_grad():
        model(ids)
        for name, mask in anatomy.select("l1h4.sink").masks().items():
            assert mask is not None
            model.get_parameter(name).add_(mask.float())
        model(ids)
    handle.remove()
    moved = (z[0] - z[1]).unflatten(-1, (6, -1)).abs().amax(dim=(0, 1, 3))
    assert moved.gt(1e-6).nonzero().flatten().tolist() == [4]
