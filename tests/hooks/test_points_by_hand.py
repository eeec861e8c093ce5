"""Points beside what the models themselves give, and hooks and products of our own in plain torch."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest
import tiny
import torch
from hooking import LLAMA, ONE_CALL, anatomy_of, in_one_call, owner, run
from torch.testing import assert_close

from headgrid.anatomy.anatomy import Stack
from headgrid.hooks import record

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)
PACKED = {"qwen2_vl", "qwen3_vl"}
"""Families whose vision tower attends to each image by itself."""


def layers(stack: Stack, role: str = "W_O") -> list[int]:
    return [layer for layer in range(stack.n_layers) if (role, layer) in stack.places]


def called(stack: Stack, layer: int) -> str:
    return f"{stack.name} l{layer}".lstrip()


def stacks(family: str) -> list[Stack]:
    """The stacks with heads whose attention is of one batch."""
    packed = family in PACKED
    return [one for one in anatomy_of(family).stacks if layers(one) and not (packed and one.name == "vision")]


# ---- patterns


ATTENTIONS = {"encoder": "encoder_attentions", "decoder": "decoder_attentions", "cross": "cross_attentions"}


@functools.cache
def attentions(family: str) -> dict[str, list[torch.Tensor]]:
    """Stack -> the patterns that the model returns, `[batch, head, query, key]`, one for each run of a layer."""
    model, given = tiny.model(family), tiny.inputs(family)
    with torch.no_grad():
        out = model(**given, output_attentions=True)
        found = {stack.name: out.get(ATTENTIONS.get(stack.name, "attentions")) for stack in stacks(family)}
        if "vision" in found:
            found["vision"] = model.model.vision_tower(given["pixel_values"], output_attentions=True).attentions
    return {name: list(patterns) for name, patterns in found.items()}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@every_family
def test_patterns_are_those_that_the_model_returns(family: str, attention: str) -> None:
    if attention == "sdpa" and family not in ONE_CALL:
        pytest.skip("it attends in steps whatever it is asked for")
    model = tiny.model(family) if attention == "eager" else in_one_call(family)
    for stack in stacks(family):
        texts = [f"{called(stack, layer)}h*" for layer in layers(stack)]
        with record(model, " | ".join(texts), points="pattern") as cache:
            run(model, family)
        places = [f"{text}.pattern" for text in texts]
        runs = [cache.runs(place) for place in places]
        per_layer = runs if stack.uses == 1 else [[one] for repeat in zip(*runs, strict=True) for one in repeat]
        returned = attentions(family)[stack.name]
        if stack.uses > 1:  # ALBERT runs all layers of a group one after another
            per_layer = [[one] for layer in runs for one in layer]
        assert len(per_layer) == len(returned) > 0
        for [pattern], expected in zip(per_layer, returned, strict=True):
            atol = 0 if attention == "eager" else 3e-6  # and many round it to the values' dtype after the softmax
            assert_close(pattern.transpose(1, 2), expected, rtol=0, atol=atol, check_dtype=False)


# ---- what heads write


def modules_outputs(model: torch.nn.Module, modules: list[torch.nn.Module], given: dict[str, Any]) -> list[Any]:
    """What each of these modules returns, the first of it, in the order of their calls."""
    found: list[Any] = []
    handles = [
        module.register_forward_hook(
            lambda _, __, output: found.append((output if isinstance(output, torch.Tensor) else output[0]).clone())
        )
        for module in {id(module): module for module in modules}.values()
    ]
    with torch.no_grad():
        model(**given)
    for handle in handles:
        handle.remove()
    return found


@every_family
def test_the_results_of_heads_are_z_times_the_stored_weights_and_sum_to_the_output(family: str) -> None:
    model = tiny.model(family)
    for stack in stacks(family):
        layer = layers(stack)[-1]
        text = f"{called(stack, layer)}h*"
        with record(model, text, points=["z", "result"]) as cache:
            run(model, family)
        slots = sorted(stack.places["W_O", layer], key=lambda slot: slot.first)
        W_O = torch.cat([slot.of(model.get_parameter(slot.parameter)).detach().double() for slot in slots])
        outputs = modules_outputs(model, [owner(model, slots[0])], tiny.inputs(family))
        bias = getattr(owner(model, slots[0]), "bias", None)
        for z, result, output in zip(cache.runs(text), cache.runs(f"{text}.result"), outputs, strict=True):
            assert_close(result, torch.einsum("bpnh,nhm->bpnm", z.double(), W_O).to(result))
            whole = result.sum(-2) if bias is None else result.sum(-2) + bias
            assert_close(whole.reshape(output.shape), output)


# ---- queries, keys and values


Seen = dict[str, torch.Tensor]
LAYER = 1


@contextmanager
def patched(where: str, name: str, instead: Callable[..., Any]) -> Iterator[None]:
    module = import_module(where)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(module, name, functools.partial(instead, getattr(module, name)))
        yield


def from_eager_function(kind: str) -> Callable[[Any, Any], Seen]:
    """What a family's own function of attention is called with."""

    def read(model: Any, given: Any) -> Seen:
        calls: list[Seen] = []

        def spy(function: Any, module: Any, query: Any, key: Any, value: Any, *more: Any, **named: Any) -> Any:
            calls.append({"q": query.clone(), "k": key.clone(), "v": value.clone()})
            return function(module, query, key, value, *more, **named)

        with patched(f"transformers.models.{kind}.modeling_{kind}", "eager_attention_forward", spy), torch.no_grad():
            model(**given)
        return {name: x.transpose(1, 2) for name, x in calls[LAYER].items()}

    return read


def from_outputs(path: str, names: tuple[str, ...], split: Callable[..., Seen]) -> Callable[[Any, Any], Seen]:
    """What a layer's projections return, split by hand into heads."""

    def read(model: Any, given: Any) -> Seen:
        block = model.get_submodule(path)
        return split(block, *modules_outputs(model, [block.get_submodule(name) for name in names], given))

    return read


def side_by_side(n: int) -> Callable[..., Seen]:
    return lambda _, *outputs: {name: x.unflatten(-1, (n, -1)) for name, x in zip("qkv", outputs, strict=True)}


def of_each_head(_: Any, qkv: torch.Tensor) -> Seen:
    q, k, v = qkv.unflatten(-1, (4, 3, -1)).unbind(-2)
    return {"q": q, "k": k, "v": v}


def of_mpt(_: Any, qkv: torch.Tensor) -> Seen:
    return side_by_side(4)(_, *qkv.chunk(3, -1))


def of_deberta(block: Any, qkv: torch.Tensor) -> Seen:
    """With the biases that its products have, and the scale by which it divides queries."""
    found = of_each_head(block, qkv)
    q = (found["q"] + block.q_bias.unflatten(-1, (4, -1))) / (3 * found["q"].shape[-1]) ** 0.5
    return {"q": q, "k": found["k"], "v": found["v"] + block.v_bias.unflatten(-1, (4, -1))}


def of_falcon(model: Any, given: Any) -> Seen:
    """Rotated queries and the rotated key of all heads, and the last piece of the fused output."""
    rotated: list[tuple[torch.Tensor, torch.Tensor]] = []

    def spy(function: Any, *tensors: Any) -> Any:
        rotated.append(function(*tensors))
        return tuple(x.clone() for x in rotated[-1])

    with patched("transformers.models.falcon.modeling_falcon", "apply_rotary_pos_emb", spy):
        [fused] = modules_outputs(model, [model.transformer.h[LAYER].self_attention.query_key_value], given)
    q, k = rotated[LAYER]
    return {"q": q.transpose(1, 2), "k": k.transpose(1, 2), "v": fused[..., None, -10:]}


BY_HAND: dict[str, Callable[[Any, Any], Seen]] = {
    "gpt2": from_eager_function("gpt2"),
    LLAMA: from_eager_function("llama"),
    "gemma2": from_eager_function("gemma2"),
    "deepseek_v3": from_eager_function("deepseek_v3"),
    "gpt_oss": from_eager_function("gpt_oss"),
    "bert": from_eager_function("bert"),
    "falcon-7b": of_falcon,
    "bloom": from_outputs("transformer.h.1.self_attention", ("query_key_value",), of_each_head),
    "mpt": from_outputs("transformer.blocks.1.attn", ("Wqkv",), of_mpt),
    "gpt_neo": from_outputs("transformer.h.1.attn.attention", ("q_proj", "k_proj", "v_proj"), side_by_side(4)),
    "t5": from_outputs("decoder.block.1.layer.0.SelfAttention", ("q", "k", "v"), side_by_side(4)),
    "deberta": from_outputs("deberta.encoder.layer.1.attention.self", ("in_proj",), of_deberta),
}


@pytest.mark.parametrize("family", BY_HAND)
def test_queries_keys_and_values_are_what_attention_is_given(family: str) -> None:
    model = tiny.model(family)
    expected = BY_HAND[family](model, tiny.inputs(family))
    place = "decoder l1h*" if family == "t5" else "l1h*"
    with record(model, place, points=["q", "k", "v"]) as cache:
        run(model, family)
    for name in "qkv":
        found = cache.of(name)[("decoder", 1) if family == "t5" else 1]
        # GPT-Neo multiplies in single precision, DeBERTa's scale is a number of it
        assert_close(found, expected[name], rtol=1e-6, atol=1e-8, check_dtype=False)


@pytest.mark.parametrize("family", ["gpt2", LLAMA, "mistral", "qwen3", "phi3", "olmo2", "deepseek_v3", "opt", "bert"])
def test_queries_keys_and_values_in_one_call_are_its_arguments(family: str) -> None:
    model = in_one_call(family)
    calls: list[Seen] = []

    def spy(function: Any, query: Any, key: Any, value: Any, *more: Any, **named: Any) -> Any:
        calls.append({"q": query.clone(), "k": key.clone(), "v": value.clone()})
        return function(query, key, value, *more, **named)

    with patched("torch.nn.functional", "scaled_dot_product_attention", spy):
        run(model, family)
    with record(model, "l1h*", points=["q", "k", "v"]) as cache:
        run(model, family)
    stack = anatomy_of(family).stack("")
    for name, x in calls[LAYER].items():
        each = 1 if name == "q" else x.shape[1] // stack.n_kv_heads  # a key may stand there once for each query head
        assert_close(cache.of(name)[1], x[:, ::each].transpose(1, 2), rtol=0, atol=0)


# ---- layers


def entering(model: Any, path: str, given: Any) -> torch.Tensor:
    """What a module is given first, by a hook of our own."""
    seen: list[torch.Tensor] = []

    def keep(_: Any, args: Any, named: Any) -> None:
        seen.append((args[0] if args else named["hidden_states"]).clone())

    handle = model.get_submodule(path).register_forward_pre_hook(keep, with_kwargs=True)
    with torch.no_grad():
        model(**given)
    handle.remove()
    return seen[0]


def leaving(model: Any, path: str, given: Any) -> torch.Tensor:
    """What a module returns, the first of it."""
    return modules_outputs(model, [model.get_submodule(path)], given)[0]


# what a layer is called, its module, what writes attention's and the MLP's part, what reads the stream between them
LAYERS: dict[str, tuple[str, str, str, str, str | None]] = {
    "gpt2": ("l1", "transformer.h.1", "attn", "mlp", "ln_2"),
    LLAMA: ("l1", "model.layers.1", "self_attn", "mlp", "post_attention_layernorm"),
    "gemma2": ("l1", "model.layers.1", "post_attention_layernorm", "post_feedforward_layernorm",
               "pre_feedforward_layernorm"),
    "olmo2": ("l1", "model.layers.1", "post_attention_layernorm", "post_feedforward_layernorm", "mlp"),
    "bloom": ("l1", "transformer.h.1", "self_attention.dense", "mlp.dense_4h_to_h", "post_attention_layernorm"),
    "gptj": ("l1", "transformer.h.1", "attn", "mlp", None),
    "gpt_neox": ("l1", "gpt_neox.layers.1", "attention", "mlp", None),
    "mixtral": ("l1", "model.layers.1", "self_attn", "mlp", "post_attention_layernorm"),
    "t5": ("encoder l1", "encoder.block.1", "layer.0.SelfAttention", "layer.1.DenseReluDense", "layer.1"),
    "vit": ("l1", "vit.layers.1", "attention", "mlp", "layernorm_after"),
    "llava": ("vision l2", "model.vision_tower.encoder.layers.2", "self_attn", "mlp", "layer_norm2"),
}  # fmt: skip


@pytest.mark.parametrize("family", LAYERS)
def test_points_of_layers_are_what_passes_its_modules(family: str) -> None:
    model, given = tiny.model(family), tiny.inputs(family)
    name, path, attention, mlp, between = LAYERS[family]
    words = ["in", "out", "attn out", "mlp out", *(["mid"] if between else [])]
    with record(model, " | ".join(f"{name} {word}" for word in words)) as cache:
        run(model, family)
    expected = {
        "in": entering(model, path, given), "out": leaving(model, path, given),
        "attn out": leaving(model, f"{path}.{attention}", given), "mlp out": leaving(model, f"{path}.{mlp}", given),
    }  # fmt: skip
    if between:
        expected["mid"] = entering(model, f"{path}.{between}", given)
    for word in words:
        assert_close(cache[f"{name} {word}"], expected[word], rtol=0, atol=0)


def test_a_factor_of_the_residual_stream_is_in_what_blocks_add() -> None:
    model, given = tiny.fresh("granite"), tiny.inputs("granite")
    for layer in model.model.layers:
        layer.residual_multiplier = 0.37
    with record(model, "l1 attn out | l1 mlp out | l1 in | l1 out") as cache:
        run(model, "granite")
    assert_close(cache["l1 attn out"], 0.37 * leaving(model, "model.layers.1.self_attn", given))
    assert_close(cache["l1 mlp out"], 0.37 * leaving(model, "model.layers.1.mlp", given))
    assert_close(cache["l1 in"] + cache["l1 attn out"] + cache["l1 mlp out"], cache["l1 out"])


def test_norms_on_the_stream_stand_between_what_a_block_adds_and_the_stream() -> None:
    model, given = tiny.model("bert"), tiny.inputs("bert")
    with record(model, "l1 in | l1 attn out | l1 mid | l1 mlp out | l1 out") as cache:
        run(model, "bert")
    layer = model.bert.encoder.layer[1]
    assert_close(cache["l1 attn out"], leaving(model, "bert.encoder.layer.1.attention.output.dense", given))
    with torch.no_grad():
        mid = layer.attention.output.LayerNorm(cache["l1 in"] + cache["l1 attn out"])
        assert_close(cache["l1 mid"], mid)
        assert_close(cache["l1 out"], layer.output.LayerNorm(mid + cache["l1 mlp out"]))
