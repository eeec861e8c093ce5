"""A wrapped model has the anatomy of the model inside, under the wrapper's names."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tiny
import torch
import torch.distributed as dist
import transformers
from torch import nn

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy, AnatomyError, Slot
from headgrid.anatomy.roles import ROLES

GROUPED = "llama with grouped-query attention"


class Probed(nn.Module):
    """A language model with a probe beside it, as interpretability code has them."""

    def __init__(self, model: nn.Module, width: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(width, 3)
        self.inner = nn.ModuleDict({"lm": model})
        self.temperature = nn.Parameter(torch.ones(()))


def places(anatomy: Anatomy) -> list[tuple[object, ...]]:
    """Everything about the slots but the names of their parameters, which a wrapper changes."""
    return [(slot.key, slot.layer, slot.axes, slot.shape, slot.first) for slot in anatomy.slots]


def owns_every_parameter(anatomy: Anatomy, module: nn.Module) -> bool:
    """Whether each parameter of the wrapper is one of the anatomy's, in the wrapper's order."""
    own = [name for name, _ in module.named_parameters() if name not in anatomy.unused]
    return own == list(anatomy.parameters)


# ---- compiled, parallel, nested


def _compiled(model: nn.Module) -> Any:
    return torch.compile(model, backend="eager")


@pytest.mark.parametrize("family", ["gpt2", GROUPED, "t5", "bert", "mixtral", "llava"])
def test_wrapped_models_have_the_places_of_the_model_and_the_names_of_the_wrapper(family: str) -> None:
    plain = hg.dissect(tiny.model(family))
    for wrap, prefix in [(nn.DataParallel, "module."), (lambda m: torch.compile(m, backend="eager"), "_orig_mod."),
                         (lambda m: nn.Sequential(torch.compile(nn.DataParallel(m), backend="eager")),
                          "0._orig_mod.module.")]:  # fmt: skip
        wrapper = wrap(tiny.fresh(family))
        anatomy = hg.dissect(wrapper)
        assert places(anatomy) == places(plain)
        assert list(anatomy.parameters) == [prefix + name for name in plain.parameters]
        assert anatomy.aliases == {prefix + a: prefix + b for a, b in plain.aliases.items()}
        assert owns_every_parameter(anatomy, wrapper)
        assert anatomy.provenance == "table"


def test_a_plain_model_is_what_it_was() -> None:
    assert hg.dissect(tiny.model(GROUPED)) == hg.dissect(tiny.model(GROUPED))


def test_a_layer_that_is_compiled_by_itself_is_seen_through() -> None:
    model = tiny.fresh(GROUPED)
    model.model.layers[1] = torch.compile(model.model.layers[1], backend="eager")
    anatomy = hg.dissect(model)
    assert places(anatomy) == places(hg.dissect(tiny.model(GROUPED)))
    assert anatomy.places["W_Q", 1][0].parameter == "model.layers.1._orig_mod.self_attn.q_proj.weight"


def test_a_nested_model_is_found_and_what_is_beside_it_is_part_of_top() -> None:
    wrapper = Probed(tiny.fresh("gpt2"), 28)
    anatomy = hg.dissect(wrapper)
    assert owns_every_parameter(anatomy, wrapper)
    assert [s.parameter for s in anatomy.slots if s.role == "top"] == [
        "temperature", "classifier.weight", "classifier.bias",
    ]  # fmt: skip
    assert anatomy.places["W_O", 2][0].parameter == "inner.lm.transformer.h.2.attn.c_proj.weight"
    masks = anatomy.select("l2h1").masks()
    assert set(masks) <= {name for name, _ in wrapper.named_parameters()}
    assert anatomy.n_params == sum(p.numel() for p in wrapper.parameters())


def test_a_name_beside_the_model_is_never_taken_for_one_inside() -> None:
    class Headed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = tiny.fresh(GROUPED).model
            self.lm_head = nn.Linear(48, 3)  # a classifier, under the name of the unembedding

    anatomy = hg.dissect(Headed())
    roles = {slot.parameter: slot.role for slot in anatomy.slots}
    assert roles["lm_head.weight"] == roles["lm_head.bias"] == "top"
    assert "W_U" not in roles.values()


def test_models_side_by_side_are_named_and_none_is_said_to_be_missing() -> None:
    pair = nn.ModuleDict({"student": tiny.fresh("gpt2"), "teacher": tiny.fresh(GROUPED)})
    with pytest.raises(AnatomyError, match=r"2 models: student \(GPT2LMHeadModel\), teacher \(LlamaForCausalLM\)"):
        hg.dissect(pair)
    with pytest.raises(AnatomyError, match="Linear has no config with a model_type, and no transformers model inside"):
        hg.dissect(nn.Linear(2, 3))


def test_a_model_without_weights_in_this_process_has_an_anatomy() -> None:
    model = nn.DataParallel(tiny.fresh(GROUPED).to("meta"))
    assert places(hg.dissect(model)) == places(hg.dissect(tiny.model(GROUPED)))


# ---- distributed, with a process group that talks to nobody


@pytest.fixture
def ranks(request: pytest.FixtureRequest) -> Iterator[int]:
    fake = pytest.importorskip("torch.testing._internal.distributed.fake_pg")
    dist.init_process_group("fake", store=fake.FakeStore(), rank=0, world_size=request.param)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield request.param
    dist.destroy_process_group()


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_replicas_are_seen_through(ranks: int) -> None:
    wrapper = nn.parallel.DistributedDataParallel(tiny.fresh(GROUPED))
    assert places(hg.dissect(wrapper)) == places(hg.dissect(tiny.model(GROUPED)))
    assert owns_every_parameter(hg.dissect(wrapper), wrapper)


@pytest.mark.parametrize("ranks", [2], indirect=True)
def test_shards_are_refused_as_such(ranks: int) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    cpu = torch.device("cpu")
    with pytest.raises(AnatomyError, match="is a flat parameter: FSDP has laid many weights end to end"):
        hg.dissect(FullyShardedDataParallel(tiny.fresh(GROUPED), device_id=cpu))
    with pytest.raises(AnatomyError, match="sharded"):
        hg.dissect(FullyShardedDataParallel(tiny.fresh(GROUPED), device_id=cpu, use_orig_params=True))
    with pytest.raises(AnatomyError, match=r"is sharded: this process holds \[16, 48\] of its \[31, 48\] entries"):
        hg.dissect(fully_shard(tiny.fresh(GROUPED), mesh=init_device_mesh("cpu", (ranks,))))


@pytest.mark.parametrize("ranks", [1], indirect=True)
def test_a_shard_that_is_the_whole_is_none(ranks: int) -> None:
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard

    plain = places(hg.dissect(tiny.model(GROUPED)))
    assert places(hg.dissect(fully_shard(tiny.fresh(GROUPED), mesh=init_device_mesh("cpu", (ranks,))))) == plain
    whole = FullyShardedDataParallel(tiny.fresh(GROUPED), device_id=torch.device("cpu"), use_orig_params=True)
    assert places(hg.dissect(whole)) == plain


def test_what_deepspeed_has_taken_away_is_refused() -> None:
    model = tiny.fresh("gpt2")
    weight = model.transformer.wte.weight
    weight.data = torch.empty(0, dtype=weight.dtype)
    weight.ds_id = 0
    with pytest.raises(AnatomyError, match=r"transformer.wte.weight is partitioned by DeepSpeed ZeRO-3"):
        hg.dissect(model)


# ---- quantized


class Linear4bit(nn.Linear):
    """Of bitsandbytes, as far as names and shapes go: two weights to a byte, in one column."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear.in_features, linear.out_features, bias=False)
        blocks = torch.zeros(linear.weight.numel() // 2, 1, dtype=torch.uint8)
        self.weight = nn.Parameter(blocks, requires_grad=False)  # type: ignore[assignment]


class QuantLinear(nn.Module):
    """Of GPTQ, as far as names go."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.register_buffer("qweight", torch.zeros(linear.in_features // 8, linear.out_features, dtype=torch.int32))
        self.register_buffer("scales", torch.zeros(1, linear.out_features))


@pytest.mark.parametrize(("kind", "said"), [(Linear4bit, "Linear4bit"), (QuantLinear, "QuantLinear")])
def test_quantized_weights_are_refused_with_their_name(kind: Any, said: str) -> None:
    model = tiny.fresh(GROUPED)
    attention = model.model.layers[1].self_attn
    attention.k_proj = kind(attention.k_proj)
    with pytest.raises(
        AnatomyError, match=rf"layers\.1\.self_attn\.k_proj \({said}\) holds .* blocks of weights.*head axis"
    ):
        hg.dissect(nn.DataParallel(model))


# ---- adapters


def adapted(family: str, modules: list[str], **settings: Any) -> Any:
    """A model with random LoRA adapters in these modules."""
    peft = pytest.importorskip("peft")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(tiny.fresh(family), peft.LoraConfig(r=5, target_modules=modules, **settings))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.3)
    return model.double().eval()


EVERY = {
    GROUPED: ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "gpt2": ["c_attn", "c_proj", "c_fc"],
    "gpt_neox": ["query_key_value", "dense"],
    "falcon-40b": ["query_key_value", "dense"],
    "phi3": ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"],
    "bert": ["query", "value", "dense"],
    "t5": ["q", "k", "v", "o", "wi", "wo"],
    "codegen": ["qkv_proj", "out_proj"],
}


@pytest.mark.parametrize("family", list(EVERY))
def test_a_heads_part_of_an_adapter_changes_that_heads_weights_and_no_others(family: str) -> None:
    model = adapted(family, EVERY[family])
    anatomy = hg.dissect(model)
    assert owns_every_parameter(anatomy, model)
    parameters = dict(model.named_parameters())
    factors = [slot for slot in anatomy.slots if slot.role.endswith((".lora_A", ".lora_B"))]
    assert {slot.role.split(".")[0] for slot in factors} >= {"W_Q", "W_O"}
    for slot in factors:
        name, _, _ = slot.parameter.partition(".lora_")
        layer = model.get_submodule(name)
        stack = anatomy.stack(slot.stack)
        (matrix,) = (
            base for base in stack.places[slot.role.split(".")[0], slot.layer]
            if base.parameter == f"{name}.base_layer.weight" and base.first == slot.first
        )  # fmt: skip
        for part in {0, slot.n_parts - 1}:
            changed = _delta_without(layer, slot, part, parameters[slot.parameter])
            expected = np.zeros(matrix.shape, dtype=np.bool_)
            matrix.along(expected)[part] = True
            assert (changed.numpy() == expected).all(), (slot.key, part)


def _delta_without(layer: Any, slot: Slot, part: int, parameter: torch.Tensor) -> torch.Tensor:
    """Where the matrix that a layer's adapter adds is another when one part of a factor is set to zero."""
    before = layer.get_delta_weight("default").detach().clone()
    kept = parameter.detach().clone()
    with torch.no_grad():
        letters = ROLES[slot.role].axes.split()
        axis = letters.index(ROLES[slot.role].part_axis or "")
        slot.of(parameter.data).movedim(axis, 0)[part] = 0
        after = layer.get_delta_weight("default").detach().clone()
        parameter.copy_(kept)
    return before != after


def test_a_head_of_a_fine_tuned_model_has_its_share_of_the_adapters() -> None:
    model = adapted(GROUPED, EVERY[GROUPED])
    anatomy = hg.dissect(model)
    plain = hg.dissect(tiny.model(GROUPED))
    base = "base_model.model."
    slots = {(s.role, s.layer): s.parameter for s in anatomy.slots}
    assert slots["W_Q", 1] == f"{base}model.layers.1.self_attn.q_proj.base_layer.weight"
    assert slots["W_Q.lora_B", 1] == f"{base}model.layers.1.self_attn.q_proj.lora_B.default.weight"
    head, before = anatomy.select("l1h4"), plain.select("l1h4")
    # 10 rows of q, k and v each and 10 columns of o, 5 entries to each
    assert head.n_params == before.n_params + 4 * 10 * 5


@pytest.mark.parametrize(
    ("family", "modules", "settings"),
    [
        (GROUPED, ["q_proj", "embed_tokens", "lm_head"], {"use_dora": True}),
        (GROUPED, ["q_proj"], {"trainable_token_indices": [1, 2]}),
        (GROUPED, ["v_proj"], {"modules_to_save": ["lm_head"]}),
        ("mixtral", ["q_proj"], {"target_parameters": ["mlp.experts.gate_up_proj"]}),
        ("deepseek_v2", ["q_b_proj", "kv_b_proj", "o_proj"], {}),
    ],
)
def test_nothing_of_an_adapter_is_lost(family: str, modules: list[str], settings: dict[str, Any]) -> None:
    model = adapted(family, modules, **settings)
    anatomy = hg.dissect(model)
    assert owns_every_parameter(anatomy, model)
    assert all("original_module" in name for name in anatomy.unused)
    plain = hg.dissect(tiny.model(family))
    steps = r"\.base_layer|\.token_adapter|\.modules_to_save\.default|^base_model\.model\."
    base = {(slot.role, slot.layer, re.sub(steps, "", slot.parameter)) for slot in anatomy.slots}
    assert {(slot.role, slot.layer, slot.parameter) for slot in plain.slots} <= base


def test_an_adapter_that_is_not_active_is_in_no_part_and_two_active_ones_are_refused() -> None:
    peft = pytest.importorskip("peft")
    model = adapted(GROUPED, ["q_proj"])
    model.add_adapter("second", peft.LoraConfig(r=3, target_modules=["q_proj"]))
    assert {name.split(".")[-2] for name in hg.dissect(model).unused} == {"second"}
    model.set_adapter("second")
    assert {name.split(".")[-2] for name in hg.dissect(model).unused} == {"default"}
    model.base_model.set_adapter(["default", "second"])
    with pytest.raises(AnatomyError, match=r"is one of 2 active adapters \(default, second\)"):
        hg.dissect(model)


def test_a_learned_prompt_comes_before_the_model() -> None:
    peft = pytest.importorskip("peft")
    settings = peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    anatomy = hg.dissect(peft.get_peft_model(tiny.fresh(GROUPED), settings))
    assert [slot.parameter for slot in anatomy.slots if slot.role == "stem"] == [
        "prompt_encoder.default.embedding.weight"
    ]


def test_a_wrapped_model_of_an_unknown_family_is_guessed_under_the_wrappers_names() -> None:
    config = transformers.ArceeConfig(**tiny.LLAMA)
    model = nn.DataParallel(transformers.ArceeForCausalLM(config))
    with pytest.warns(UserWarning, match="'arcee' is not in headgrid's table"):
        anatomy = hg.dissect(model)
    assert anatomy.provenance == "guess"
    assert anatomy.places["W_K", 2][0].parameter == "module.model.layers.2.self_attn.k_proj.weight"


@pytest.mark.parametrize("around", [nn.DataParallel, lambda model: nn.ModuleDict({"lm": model}), _compiled])
def test_the_model_inside_is_what_is_proven(around: Any) -> None:
    proof = hg.verify(around(tiny.fresh("gpt2")))
    assert (proof.ok, proof.n_heads, proof.anatomy.family) == (True, 12, "gpt2")


def test_a_fine_tuned_model_is_proven_but_for_what_its_adapter_adds_beside_the_output() -> None:
    proof = hg.verify(adapted(GROUPED, EVERY[GROUPED]))
    assert proof.ok, str(proof)
    assert any("W_O.lora_A" in note for note in proof.notes)
