"""The proof: it holds for every family, it catches every kind of wrong row, and it leaves the model as it was."""

from __future__ import annotations

import dataclasses
import gc
import threading
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tiny
import torch
import torch.nn.functional as F  # noqa: N812
import transformers
from torch import nn

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy, AnatomyError, Slot, Stack
from headgrid.anatomy.roles import ROLES
from headgrid.models.configs import on_meta
from headgrid.models.verify import SIDES, Proof, VerifyError, verify
from headgrid.models.verify.expected import Layer
from headgrid.models.verify.passes import Passes
from headgrid.models.verify.statements import compare
from headgrid.models.verify.watch import Site, Use, Watch

GROUPED = "llama with grouped-query attention"


# ---- it holds


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family_is_proven_in_eager_attention(family: str) -> None:
    assert_proven(tiny.model(family))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family_is_proven_without_weights_and_in_the_attention_that_it_chooses(family: str) -> None:
    assert_proven(on_meta(tiny.config(family)))


def assert_proven(model: nn.Module) -> None:
    anatomy = hg.dissect(model)
    proof = verify(model, anatomy)
    assert proof, str(proof)
    assert not [note for note in proof.notes if "not proven" in note]
    for stack in anatomy.stacks:
        layers = sorted({slot.layer for slot in stack.slots if slot.role == "W_O"})
        if layers:
            assert proof.heads[stack.name].all(axis=(1, 2)).nonzero()[0].tolist() == layers
    assert all(check.measured <= 1e-4 for check in proof.checks)


def test_a_proof_says_what_it_is_about() -> None:
    proof = verify(tiny.model("gpt2"))
    assert proof.ok
    assert proof.n_heads == 12
    assert proof.heads[""].shape == (3, 4, len(SIDES))
    assert len(proof.checks) == 12 * 4 + 3  # four sides of each head, and a block in each layer
    assert str(proof).startswith("proven: 12 heads of GPT2LMHeadModel (gpt2), 3 layers x 4 heads")
    assert proof._repr_html_().count("✓") == 12
    assert proof.raise_if_failed() is proof
    assert proof.seconds > 0


def test_heads_that_a_norm_couples_are_proven_with_its_scale_held_fixed_and_said_to_be() -> None:
    proof = verify(tiny.model("olmo2"))
    assert proof
    assert proof.notes[1].startswith("l0, l1, l2: a norm over all heads couples their query and key sides")
    assert len(verify(tiny.model("qwen3")).notes) == 1  # a norm of each head by itself couples nothing


def test_a_proof_says_what_it_is_not_about() -> None:
    proof = verify(tiny.model("qwen3"))
    assert proof.not_asked == ("W_in", "W_gate", "W_out", "ln1.w", "ln2.w", "W_E", "ln_final.w", "W_U")
    assert proof.notes == (
        "not asked about: W_in, W_gate, W_out, ln1.w, ln2.w, W_E, ln_final.w, W_U; of what is in the attention's way, "
        "only that no entry moves single heads",
    )
    assert repr(proof).endswith("; not asked about: MLPs, norms, embeddings, unembedding>")
    anatomy = proof.anatomy
    assert {slot.role for slot in anatomy.slots} - set(proof.not_asked) == {
        "W_Q", "W_K", "W_V", "W_O", "q_norm.w", "k_norm.w",
    }  # fmt: skip


def test_heads_whose_weights_are_zero_are_proven_like_any_other() -> None:
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert verify(model)
    assert verify(hg.demo()[0])  # whose MLPs are zero


@pytest.mark.parametrize("family", ["gpt2", "phi3", "t5"])
def test_a_bridge_is_proven_like_the_model_that_it_is_put_around(family: str) -> None:
    sources = pytest.importorskip("transformer_lens.model_bridge.sources")
    model = tiny.fresh(family).float()
    bridge = sources.build_bridge_from_module(model, type(model).__name__, hf_config=model.config)
    proof = verify(bridge)
    assert proof, str(proof)
    assert proof.n_heads == verify(tiny.model(family)).n_heads


@pytest.mark.slow
def test_any_dtype_and_device_will_do_and_a_large_model_needs_no_weights() -> None:
    assert verify(tiny.fresh(GROUPED).bfloat16())
    assert verify(tiny.fresh(GROUPED).half())
    config = transformers.LlamaConfig(num_hidden_layers=1, hidden_size=4096, num_attention_heads=64,
                                      num_key_value_heads=8, intermediate_size=999)  # fmt: skip
    with torch.device("meta"):
        large = transformers.AutoModelForCausalLM.from_config(config)
    proof = verify(large)
    assert proof
    assert proof.n_heads == 64


def test_more_heads_than_fit_into_one_batch_take_several_passes() -> None:
    config = transformers.GPT2Config(n_layer=2, n_head=45, n_embd=90, n_inner=7, vocab_size=31, n_positions=19)
    model = transformers.GPT2LMHeadModel(config)
    proof = verify(model)
    assert proof
    assert proof.n_heads == 90
    wrong = verify(model, moved(hg.dissect(model), {"W_O": "(h n) m"}))
    assert not wrong.heads[""][:, 33, SIDES.index("output")].any()


# ---- it catches


def moved(anatomy: Anatomy, axes: dict[str, str], **sizes: int) -> Anatomy:
    """The same anatomy with some roles stored in another way, and with other sizes."""
    slots = [
        dataclasses.replace(slot, axes=axes.get(slot.role, slot.axes), sizes={**slot.sizes, **sizes})
        for slot in anatomy.main.slots
    ]
    fields = {"n": "n_heads", "g": "n_kv_heads", "h": "d_head"}
    stack = dataclasses.replace(
        anatomy.main, slots=tuple(slots), **{fields[letter]: size for letter, size in sizes.items()}
    )
    return dataclasses.replace(anatomy, stacks=(stack,))


def failures(proof: Proof, where: str) -> dict[str, str]:
    """Side -> what is said of it, for the head or layer where it fails."""
    assert not proof.ok
    assert not proof
    return {check.side: check.text for check in proof.failures if check.where == where}


def test_queries_and_keys_that_are_swapped() -> None:
    model = tiny.model("gpt2")
    swapped = {"W_Q": "m (1/3 n h)", "W_K": "m (0/3 g h)", "b_Q": "(1/3 n h)", "b_K": "(0/3 g h)"}
    proof = verify(model, moved(hg.dissect(model), swapped))
    assert failures(proof, "l1h2") == {
        "query": "transformer.h.1.attn.c_attn.weight[:, 42:49], which the table calls the query side of head 2, is the "
        "key side of head 2; that of head 2 is [:, 14:21] (with what the table calls W_K of head 2) (and 1 more "
        "parameter likewise)",
        "key": "transformer.h.1.attn.c_attn.weight[:, 14:21], which the table calls the key side of head 2, is the "
        "query side of head 2; that of head 2 is [:, 42:49] (with what the table calls W_Q of head 2) (and 1 more "
        "parameter likewise)",
    }
    wrong = ~proof.heads[""]
    assert wrong[..., [0, 1]].all()
    assert not wrong[..., 2:].any()


def test_values_and_keys_that_are_swapped() -> None:
    model = tiny.model("gpt2")
    swapped = {"W_V": "m (1/3 g h)", "W_K": "m (2/3 g h)", "b_V": "(1/3 g h)", "b_K": "(2/3 g h)"}
    proof = verify(model, moved(hg.dissect(model), swapped))
    found = failures(proof, "l2h3")
    assert list(found) == ["key", "value"]
    assert "which the table calls the value side of head 3, is the key side of head 3" in found["value"]
    assert not proof.heads[""][..., [1, 2]].any()


def test_heads_that_are_side_by_side_in_another_order() -> None:
    """GPT-2's `0/3 n h` taken for GPT-NeoX's `n 0/3 h`: what the table calls W_K of head 0 is really W_Q of head 1."""
    model = tiny.model("gpt2")
    other = {"W_Q": "m (n 0/3 h)", "W_K": "m (g 1/3 h)", "W_V": "m (g 2/3 h)"}
    proof = verify(model, moved(hg.dissect(model), other))
    assert not proof.heads[""][..., [0, 1, 2]].all(axis=-1).any()
    assert "which the table calls the key side of head 0, is the query side of head 1" in failures(proof, "l0h0")["key"]


@pytest.mark.parametrize(("role", "side"), [("W_Q", "query"), ("W_O", "output")])
def test_heads_that_are_one_off(role: str, side: str) -> None:
    model = tiny.model(GROUPED)
    anatomy = hg.dissect(model)
    slots = []
    for slot in anatomy.slots:
        axis, n = slot.axes.replace("(n h)", "({}/6 h)"), anatomy.n_heads
        slots += (
            [slot]
            if slot.role != role or slot.layer != 1
            else [
                dataclasses.replace(slot, axes=axis.format(head), sizes={**slot.sizes, "n": 1}, first=(head + 1) % n)
                for head in range(n)
            ]
        )
    shifted = dataclasses.replace(anatomy, stacks=(dataclasses.replace(anatomy.main, slots=tuple(slots)),))
    proof = verify(model, shifted)
    name = {"W_Q": "model.layers.1.self_attn.q_proj.weight[10:20, :]",
            "W_O": "model.layers.1.self_attn.o_proj.weight[:, 10:20]"}[role]  # fmt: skip
    said = failures(proof, "l1h2")
    assert list(said) == [side]
    assert f"{name}, which the table calls the {side} side of head 2, is the {side} side of head 1" in said[side]
    wrong = ~proof.heads[""]
    assert wrong[1, :, SIDES.index(side)].all()
    assert not wrong[[0, 2]].any()


def test_a_head_that_is_half_as_wide() -> None:
    model = tiny.model(GROUPED)
    proof = verify(model, moved(hg.dissect(model), {}, n=12, g=4, h=5))
    assert not proof.heads[""].any()
    assert (
        "q_proj.weight[10:15, :], which the table calls the query side of head 2, is the query side of head 1"
        in (failures(proof, "l0h2")["query"])
    )
    assert failures(proof, "l0h9")["value"] == "the table has this head, but the model's attention has 6 heads"
    assert failures(proof, "l0")["block"] == "the table has 12 heads, the model's attention 6 heads"


class Modulo(Stack):
    """A stack that says that query head h reads key/value head h % n_kv_heads."""

    @property
    def kv_head_of(self) -> npt.NDArray[np.intp]:
        return np.arange(self.n_heads) % self.n_kv_heads


def test_a_wrong_rule_for_which_key_head_is_read() -> None:
    model = tiny.model(GROUPED)
    anatomy = hg.dissect(model)
    fields = {field.name: getattr(anatomy.main, field.name) for field in dataclasses.fields(Stack)}
    proof = verify(model, dataclasses.replace(anatomy, stacks=(Modulo(**fields),)))
    assert proof.heads[""][0].all(axis=-1).tolist() == [True, False, True, True, False, True]
    found = failures(proof, "l0h1")
    assert list(found) == ["key", "value"]
    assert "is the key side of heads 3, 4, 5; that of head 1 is [0:10, :]" in found["key"]


def test_norms_of_queries_and_keys_that_are_swapped() -> None:
    model = tiny.model("qwen3")
    anatomy = hg.dissect(model)
    other = {"q_norm.w": "k_norm.w", "k_norm.w": "q_norm.w"}
    slots = tuple(dataclasses.replace(slot, role=other.get(slot.role, slot.role)) for slot in anatomy.slots)
    proof = verify(model, dataclasses.replace(anatomy, stacks=(dataclasses.replace(anatomy.main, slots=slots),)))
    assert list(failures(proof, "l0h0")) == ["query", "key"]


def test_an_attention_weight_that_is_taken_for_something_else() -> None:
    model = tiny.model("qwen3")
    anatomy = hg.dissect(model)
    slots = tuple(
        dataclasses.replace(slot, role="ln2.w", axes="m", sizes={**slot.sizes, "m": 10})
        if slot.role == "q_norm.w"
        else slot
        for slot in anatomy.slots
        if slot.role != "ln2.w" or slot.layer is None
    )
    kept = {slot.parameter for slot in slots}
    left_out = [name for name in anatomy.parameters if name not in kept]
    slots += tuple(Slot("attn.other", 0, name, "48", {}) for name in left_out)
    wrong = object.__new__(Anatomy)  # one that would not be built: only the proof is asked
    for field in dataclasses.fields(Anatomy):
        object.__setattr__(wrong, field.name, getattr(anatomy, field.name))
    object.__setattr__(wrong, "stacks", (dataclasses.replace(anatomy.main, slots=slots),))
    assert "q_norm.weight" in failures(verify(model, wrong), "l1h0")["query"]


def test_a_failed_proof_raises_when_asked_to_and_names_the_heads() -> None:
    model = tiny.model("gpt2")
    proof = verify(model, moved(hg.dissect(model), {"W_O": "(h n) m"}))
    assert str(proof).startswith("NOT proven: 12 of 12 heads of GPT2LMHeadModel")
    assert "\n  l0h1 output: transformer.h.0.attn.c_proj.weight" in str(proof)
    assert proof._repr_html_().count("✗") == 12
    with pytest.raises(VerifyError, match="l0h1 output"):
        proof.raise_if_failed()


class Backwards(Slot):
    """A slot that counts its parts from the other end."""

    def along(self, canvas: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return super().along(canvas)[::-1]


def backwards(anatomy: Anatomy, key: str) -> Anatomy:
    """The same anatomy with the heads of one role in the opposite order."""
    stack = anatomy.stack(key.rpartition(":")[0])
    slots = []
    for slot in stack.slots:
        if slot.key == key:
            fields = {field.name: getattr(slot, field.name) for field in dataclasses.fields(Slot)}
            fields["first"] = (stack.n_kv_heads if is_grouped(slot) else stack.n_heads) - slot.first - slot.n_parts
            slot = Backwards(**fields)
        slots.append(slot)
    other = dataclasses.replace(stack, slots=tuple(slots))
    return dataclasses.replace(anatomy, stacks=tuple(other if one is stack else one for one in anatomy.stacks))


def is_grouped(slot: Slot) -> bool:
    return ROLES[slot.role].part_axis == "g"


SIDE_OF_OWNER = {"q": "query", "k": "key", "v": "value", "o": "output"}


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_heads_in_another_order_are_caught_in_every_role_of_every_family(family: str) -> None:
    model = tiny.model(family)
    anatomy = hg.dissect(model)
    with torch.enable_grad():
        passes = Passes(model, anatomy)
        found = passes.run(frozen=family in ("olmo2", "olmo3", "olmoe"))  # norms over all heads: with their scale fixed
    for key in sorted({slot.key for slot in anatomy.slots if ROLES[slot.role].owner in SIDE_OF_OWNER}):
        slot = next(slot for slot in anatomy.slots if slot.key == key)
        stack, wrong = anatomy.stack(slot.stack), backwards(anatomy, key)
        parts = stack.kv_head_of if is_grouped(slot) else np.arange(stack.n_heads)
        moved = [head for head in range(stack.n_heads) if parts[head] != parts[::-1][head]]
        for (name, layer), runs in found.items():
            here = {one.layer for one in anatomy.slots if one.key == key}
            stored = name == stack.name and (layer in here or slot.role == "rel_pos_bias")  # T5's serves all layers
            checks = [check for check in compare(Layer(wrong, name, layer), runs) if not check.ok]
            expected = moved if stored else []
            assert [check.head for check in checks] == expected, (key, layer)
            assert {check.side for check in checks} <= {SIDE_OF_OWNER[ROLES[slot.role].owner]}


# ---- it refuses


def without_softmax(module: nn.Module, hidden: torch.Tensor, *args: Any, **kwargs: Any) -> tuple[torch.Tensor, None]:
    query, key, value = (
        piece.unflatten(-1, (module.num_heads, -1)).transpose(1, 2) for piece in module.c_attn(hidden).chunk(3, -1)
    )
    z = (query @ key.transpose(-1, -2)).sigmoid() @ value
    return module.c_proj(z.transpose(1, 2).flatten(-2)), None


def test_a_model_that_never_attends_is_an_error_and_not_a_pass() -> None:
    model = tiny.fresh("gpt2")
    anatomy = hg.dissect(model)
    for block in model.transformer.h:
        block.attn.forward = types.MethodType(without_softmax, block.attn)
    with pytest.raises(VerifyError, match="no attention was seen in GPT2LMHeadModel"):
        verify(model, anatomy)


def test_a_layer_that_does_not_attend_is_a_failure() -> None:
    model = tiny.fresh("gpt2")
    anatomy = hg.dissect(model)
    attention = model.transformer.h[1].attn
    attention.forward = types.MethodType(without_softmax, attention)
    proof = verify(model, anatomy)
    assert failures(proof, "l1") == {"block": "the table has heads here, but no attention was seen"}
    assert proof.heads[""][[0, 2]].all()


def test_mamba_has_no_heads_even_for_a_table_that_says_so() -> None:
    config = transformers.MambaConfig(num_hidden_layers=2, hidden_size=24, state_size=5, vocab_size=31)
    model = transformers.MambaForCausalLM(config)
    with pytest.raises((VerifyError, AnatomyError)):
        verify(model).raise_if_failed()
    parameters = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    slots: list[Slot] = []
    for number, (name, shape) in enumerate(parameters.items()):
        layer = int(name.split(".")[2]) if "layers" in name else None
        if "out_proj" in name:
            slots.append(Slot("W_O", layer, name, "m (n h)", {"m": 24, "n": 4, "h": 12}))
        else:
            slots.append(Slot("stem" if layer is None else "mixer", layer, name, " ".join(map(str, shape)), {}, number))
    stack = Stack("", 2, 4, 4, 24, 12, 0, 0, tuple(slots))
    with pytest.raises(VerifyError, match="no attention was seen"):
        verify(model, guessed(parameters, stack))


def guessed(parameters: dict[str, tuple[int, ...]], stack: Stack) -> Anatomy:
    return Anatomy(name="guess", family="guess", stacks=(stack,), d_vocab=31, parameters=parameters)


def test_an_anatomy_of_another_model_is_an_error() -> None:
    with pytest.raises(
        VerifyError, match=r"of another model than GPT2LMHeadModel: they differ in lm_head|model\.embed"
    ):
        verify(tiny.model("gpt2"), hg.dissect(tiny.model(GROUPED)))


def test_quantized_weights_are_an_error_that_says_what_to_do() -> None:
    model = tiny.fresh("gpt2")
    anatomy = hg.dissect(model)
    layer = model.transformer.h[0].mlp.c_fc
    layer.weight = nn.Parameter(layer.weight.to(torch.int8), requires_grad=False)
    with pytest.raises(VerifyError, match=r"c_fc\.weight holds int8: the weights are quantized.*meta device"):
        verify(model, anatomy)


# ---- it leaves no trace


def state(model: nn.Module) -> dict[str, Any]:
    """All that could be different afterwards."""
    return {
        "weights": {name: (id(tensor), tensor._version, tensor.clone()) for name, tensor in model.state_dict().items()},
        "parameters": {name: (id(p), p.requires_grad, p.grad) for name, p in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        "config": model.config.to_dict(),
        "attention": model.config._attn_implementation,
        "functions": (F.softmax, torch.softmax, torch.Tensor.softmax, F.scaled_dot_product_attention),
        "modes of torch": torch._C._len_torch_function_stack(),
        "random": torch.get_rng_state(),
        "gradients": torch.is_grad_enabled(),
    }


def assert_untouched(before: dict[str, Any], after: dict[str, Any]) -> None:
    for key, value in before.items():
        if key == "weights":
            assert all(torch.equal(tensor, after[key][name][2]) for name, (_, _, tensor) in value.items())
        elif key == "random":
            assert torch.equal(value, after[key])
        elif key == "parameters":
            assert all(one[:2] == after[key][name][:2] and one[2] is after[key][name][2] for name, one in value.items())
        else:
            assert value == after[key], key


def used_model() -> nn.Module:
    """A model in the middle of something: in training, with gradients, a frozen weight and a user's hook."""
    model = tiny.fresh("gpt2").train()
    model(**tiny.inputs("gpt2")).logits.sum().backward()
    model.transformer.wpe.weight.requires_grad_(False)
    return model


def test_the_model_is_untouched_by_a_proof() -> None:
    model = used_model()
    calls: list[object] = []
    model.transformer.h[0].register_forward_hook(lambda *args: calls.append(args))
    before = state(model)
    assert verify(model)
    assert_untouched(before, state(model))
    assert calls == []  # not even a hook of the user's was run


def test_the_model_is_untouched_by_an_error_in_the_middle() -> None:
    model = used_model()
    anatomy = hg.dissect(model)

    def fail(module: nn.Module, *args: object, **kwargs: object) -> None:
        raise RuntimeError("the second layer is broken")

    model.transformer.h[1].mlp.forward = types.MethodType(fail, model.transformer.h[1].mlp)
    before = state(model)
    with pytest.raises(VerifyError, match="could not be run with input_ids: RuntimeError: the second layer is broken"):
        verify(model, anatomy)
    assert_untouched(before, state(model))
    with pytest.raises(KeyError, match="stop"):
        verify(tiny.model("gpt2"), progress=stop)
    assert torch._C._len_torch_function_stack() == 0


def stop(done: int, total: int, name: str) -> None:
    raise KeyError("stop")


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_gradients_are_off(mode: Callable[[], Any]) -> None:
    with mode():
        assert verify(tiny.model("gpt2"))


def test_two_proofs_and_a_forward_pass_at_once_do_not_see_each_other() -> None:
    models = [tiny.model("gpt2"), tiny.model(GROUPED)]
    expected = models[0](**tiny.inputs("gpt2")).logits
    running = threading.Event()

    def prove(model: nn.Module) -> Proof:
        running.set()
        return verify(model)

    with ThreadPoolExecutor(2) as pool:
        proofs = pool.map(prove, models)
        running.wait()
        assert torch.equal(models[0](**tiny.inputs("gpt2")).logits, expected)
        assert all(proofs)


def test_progress_is_told_of_each_layer() -> None:
    told: list[tuple[int, int, str]] = []
    verify(tiny.model("gpt2"), progress=lambda *step: told.append(step))
    assert told == [(1, 3, "l0"), (2, 3, "l1"), (3, 3, "l2")]


def test_progress_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    verify(tiny.model("gpt2"), progress=True)
    assert capsys.readouterr().err.endswith("verified 3 of 3 layers (l2)\n")


def test_a_user_can_say_what_to_run_the_model_with() -> None:
    assert verify(tiny.model("gpt2"), inputs={"input_ids": torch.tensor([[5, 9, 4, 7, 3]])})
    with pytest.raises(VerifyError, match="Give `inputs` that it accepts"):
        verify(tiny.model("gpt2"), inputs={"pixels": torch.zeros(1, 3)})


@pytest.mark.slow
def test_a_proof_leaves_no_graph_behind() -> None:
    """A hook that knew its own tensors would keep every pass of every proof, out of reach of the garbage collector."""
    assert hg.verify(tiny.fresh("gpt2"))
    gc.collect()
    assert not [one for one in gc.get_objects() if type(one) in (Site, Use, Watch)]
