"""Hooks are what runs: in compiled, checkpointed, traced and wrapped models, or there is an error."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import tiny
import torch
import torch.utils.checkpoint
from hooking import BATCH, D_HEAD, LLAMA, ablated, hooks_on, tokens, z_of
from torch.testing import assert_close

import headgrid as hg
from headgrid.hooks import ablate, record

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def no_compiled_code() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def switched_off(text: str, model: Any = None) -> torch.Tensor:
    """The logits of a model that is never compiled, with weights set to zero."""
    copied = copy.deepcopy(tiny.model(LLAMA) if model is None else model)
    hg.dissect(copied).select(text).zero_(copied)
    with torch.no_grad():
        return copied(BATCH).logits


def stance() -> str:
    return str(torch._dynamo.eval_frame._stance.stance)


# ---- torch.compile

COMPILED: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "torch.compile": lambda model: (compiled := torch.compile(model, backend="eager"), compiled),
    "the model within it": lambda model: (model, torch.compile(model, backend="eager")),
    "aot_eager": lambda model: (compiled := torch.compile(model, backend="aot_eager"), compiled),
    "Module.compile": lambda model: (model, (model.compile(backend="eager"), model)[1]),
    "a layer's Module.compile": lambda model: (model, (model.model.layers[1].compile(backend="eager"), model)[1]),
    "a function": lambda model: (model, torch.compile(lambda given: model(given), backend="eager")),
    "forward": lambda model: (
        model,
        (setattr(model, "forward", torch.compile(model.forward, backend="eager")), model)[1],
    ),
}


@pytest.mark.parametrize("how", COMPILED)
def test_a_compiled_model_is_ablated_and_recorded_and_runs_compiled_again_afterwards(how: str) -> None:
    given, called = COMPILED[how](tiny.fresh(LLAMA))
    with torch.no_grad():
        clean = called(BATCH).logits
        for text in ("l1h1", "l1h[2,4] | l2 mlp"):
            with ablate(given, text), record(given, "l1 attn") as cache:
                assert_close(called(BATCH).logits, switched_off(text))
            assert_close(cache["l1h0"], z_of(tiny.model(LLAMA), 1)[:, :, 0])
            assert not cache["l1h1" if text == "l1h1" else "l1h4"].any()
        assert_close(called(BATCH).logits, clean)
    assert stance() == "default"


def test_what_is_compiled_by_inductor_is_ablated_as_well() -> None:
    model = tiny.fresh("gpt2").float()
    compiled = torch.compile(model.transformer.h[1])
    model.transformer.h[1] = compiled
    with torch.no_grad():
        model(BATCH)
        with ablate(model, "l1h1"):
            got = model(BATCH).logits
    plain = tiny.fresh("gpt2").float()
    with ablate(plain, "l1h1"), torch.no_grad():
        assert_close(got, plain(BATCH).logits)


def test_a_whole_graph_is_ablated_and_is_a_whole_graph_afterwards() -> None:
    torch.manual_seed(0)
    model = tiny.fresh("gpt2")
    function = torch.compile(lambda given: model(given, use_cache=False).logits, backend="eager", fullgraph=True)
    with torch.no_grad():
        clean = function(BATCH)
        with ablate(model, "l1h1"):
            got = function(BATCH)
        assert_close(function(BATCH), clean)
    assert_close(got, ablated(tiny.model("gpt2"), "l1h1"))


def test_nothing_is_compiled_with_hooks_that_are_gone_later() -> None:
    model = tiny.fresh(LLAMA)
    with ablate(model, "l1h1"), torch.no_grad():
        compiled = torch.compile(model, backend="eager")
        assert_close(compiled(BATCH).logits, switched_off("l1h1"))
    with torch.no_grad():
        assert_close(compiled(BATCH).logits, tiny.model(LLAMA)(BATCH).logits)


def test_the_stance_of_the_caller_is_restored_once_the_last_context_ends() -> None:
    model = tiny.model(LLAMA)
    off = ablate(model, "l1h1")
    with torch.compiler.set_stance("eager_on_recompile"):
        with off, record(model, "l1h2"), off:
            assert stance() == "force_eager"
            model(BATCH)
        assert stance() == "eager_on_recompile"
    with pytest.raises(ZeroDivisionError), off, record(model, "l1h2"):
        1 / 0  # noqa: B018
    assert stance() == "default"
    with pytest.raises(ValueError, match="input_ids"), ablate(model, "l1h2", "mean", reference={"labels": BATCH}):
        pass
    assert stance() == "default"


def test_contexts_of_two_threads_hold_the_stance_until_both_have_ended() -> None:
    entered, leave = threading.Event(), threading.Event()
    seen: list[torch.Tensor] = []
    model = torch.compile(tiny.fresh(LLAMA), backend="eager")
    with torch.no_grad():
        model(BATCH)

    def other() -> None:
        with ablate(model, "l1h1"), torch.no_grad():
            entered.set()
            leave.wait(30)
            seen.append(model(BATCH).logits)

    with record(tiny.model(LLAMA), "l1h2"):
        thread = threading.Thread(target=other)
        thread.start()
        assert entered.wait(30)
    leave.set()
    thread.join(30)
    assert_close(seen[0], switched_off("l1h1"))
    assert stance() == "default"


def test_a_context_within_a_compiled_function_is_refused() -> None:
    model = tiny.fresh("gpt2")

    @torch.compile(backend="eager")
    def inside(given: torch.Tensor) -> torch.Tensor:
        with ablate(model, "l1h1"):
            return model(given).logits

    with pytest.raises(RuntimeError, match="within a compiled function"):
        inside(BATCH)
    assert stance() == "default"


def test_a_torch_that_cannot_run_eagerly_refuses_compiled_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.compiler, "set_stance")
    for compiled in (
        torch.compile(tiny.model(LLAMA), backend="eager"),
        COMPILED["Module.compile"](tiny.fresh(LLAMA))[0],
    ):
        with pytest.raises(RuntimeError, match=r"is compiled, and what torch .* has compiled passes over hooks"):
            ablate(compiled, "l1h1").__enter__()
    assert_close(ablated(tiny.model(LLAMA), "l1h1"), switched_off("l1h1"))


# ---- gradient checkpointing


@pytest.mark.parametrize("family", [LLAMA, "gpt2", "bart", "t5"])
@pytest.mark.parametrize("reentrant", [True, False])
def test_gradients_under_checkpointing_are_those_without_it(family: str, reentrant: bool) -> None:
    prefix = "" if family in (LLAMA, "gpt2") else "decoder "
    text = f"{prefix}l1h1 | {prefix}l0 mlp n3"
    model = tiny.fresh(family).train()
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    given = tiny.inputs(family)
    inputs = {**given, "labels": given.get("decoder_input_ids", given["input_ids"]).contiguous()}
    with ablate(model, text):
        loss = model(**inputs).loss
    loss.backward()
    flags = [module for module in model.modules() if getattr(module, "gradient_checkpointing", False)]
    assert flags, "checkpointing is on again"
    dense = tiny.fresh(family).train()
    with ablate(dense, text):
        dense(**inputs).loss.backward()
    for (name, one), other in zip(model.named_parameters(), dense.parameters(), strict=True):
        assert (one.grad is None) == (other.grad is None), name
        if one.grad is not None:
            assert_close(one.grad, other.grad)


class _Checkpointed(torch.nn.Module):
    """A model of ours whose layers are checkpointed by a call of torch."""

    def __init__(self, reentrant: bool) -> None:
        super().__init__()
        self.inner = tiny.fresh(LLAMA)
        for layer in self.inner.model.layers:
            forward = layer.forward
            layer.forward = lambda *given, forward=forward, **named: torch.utils.checkpoint.checkpoint(
                forward, *given, use_reentrant=reentrant, **named
            ) if not reentrant else torch.utils.checkpoint.checkpoint(
                lambda *these, named=named: forward(*these, **named), *given, use_reentrant=True
            )  # fmt: skip

    def forward(self, given: torch.Tensor) -> Any:
        return self.inner(given, use_cache=False)


@pytest.mark.parametrize("reentrant", [True, False])
def test_other_checkpointing_is_an_error_where_a_hook_would_be_missing_later(reentrant: bool) -> None:
    model = _Checkpointed(reentrant)
    for context in (ablate(model, "l1h1"), record(model, "l1h1")):
        with pytest.raises(RuntimeError, match="gradient checkpointing runs l1h1 again"), context:
            model(BATCH)
    with ablate(model, "l1h1"), torch.no_grad():
        assert_close(model(BATCH).logits, switched_off("l1h1"))
    loss = model(BATCH).logits.square().sum()
    with pytest.raises(RuntimeError, match="gradient checkpointing runs l1h1 again"), ablate(model, "l1h1"):
        loss.backward()
    loss = model(BATCH).logits.square().sum()
    loss.backward()
    assert hooks_on(model) == 0


def test_a_backward_pass_within_a_context_is_that_of_the_ablated_pass() -> None:
    model = tiny.fresh(LLAMA)
    with ablate(model, "l1h1"), record(model, "l1h2", detach=False):
        model(BATCH).logits.square().sum().backward()
    assert model.model.layers[1].self_attn.o_proj.weight.grad is not None
    assert not model.model.layers[1].self_attn.o_proj.weight.grad[:, D_HEAD : 2 * D_HEAD].any()


# ---- what does not call the modules that hold its weights


def reads_weights_itself(model: Any) -> None:
    """Let a layer read its output weights without calling the module that holds them."""
    mlp = model.model.layers[0].mlp
    down = mlp.down_proj
    mlp.forward = lambda x: torch.nn.functional.linear(mlp.act_fn(mlp.gate_proj(x)) * mlp.up_proj(x), down.weight)


def test_a_weight_that_is_read_by_itself_is_an_error_at_the_end() -> None:
    model = tiny.fresh(LLAMA)
    reads_weights_itself(model)
    with torch.no_grad():
        assert_close(model(BATCH).logits, tiny.model(LLAMA)(BATCH).logits)
    with pytest.raises(RuntimeError, match="never came to l0 mlp"), ablate(model, "l0 mlp | l1h1"), torch.no_grad():
        model(BATCH)
    with (
        pytest.raises(RuntimeError, match="never came to l0 mlp: nothing was recorded"),
        record(model, "l0 mlp | l1h1"),
    ):
        model(BATCH)


def test_a_skipped_layer_is_an_error_at_the_end() -> None:
    model = tiny.fresh(LLAMA)
    model.model.layers[1].forward = lambda hidden_states, *_, **__: hidden_states
    with pytest.raises(RuntimeError, match="never came to l1h1"), ablate(model, "l1h1"), torch.no_grad():
        model(BATCH)


def test_a_pass_that_failed_is_no_pass_that_missed_a_hook() -> None:
    model = tiny.fresh(LLAMA)
    with pytest.warns(UserWarning, match="the model was not called while l1h1"), ablate(model, "l1h1"):  # noqa: SIM117
        with pytest.raises(ValueError, match="input_ids"):
            model()


def test_a_traced_copy_has_no_hooks_and_is_refused_or_warned_of() -> None:
    model = tiny.fresh(LLAMA).requires_grad_(False)
    model.config.use_cache = False
    given = BATCH[:1]
    clean = model(given).logits
    traced = torch.jit.trace(lambda given: model(given).logits, given, check_trace=False)
    with pytest.warns(UserWarning, match="not called while l1h1"), ablate(model, "l1h1"), torch.no_grad():
        assert_close(traced(given), clean)
    model.model.layers[1].self_attn.o_proj = torch.jit.trace(
        model.model.layers[1].self_attn.o_proj, torch.randn(1, 7, 60, dtype=torch.float64)
    )
    for context in (ablate, record):
        with pytest.raises(ValueError, match=r"layers.1.self_attn.o_proj is traced or scripted by torch.jit"):
            context(model, "l1h1")


def test_functional_calls_and_parallel_wrappers_of_one_device_run_hooks() -> None:
    model = tiny.fresh(LLAMA)
    expected = switched_off("l1h1")
    with ablate(model, "l1h1"), torch.no_grad():
        called = torch.func.functional_call(model, dict(model.named_parameters()), (BATCH,))
        assert_close(called.logits, expected)
    parallel = torch.nn.DataParallel(model)
    with ablate(parallel, "l1h1"), torch.no_grad():
        assert_close(parallel(BATCH).logits, expected)


def test_parallel_wrappers_of_several_devices_refuse_what_a_replica_cannot_know() -> None:
    parallel = torch.nn.DataParallel(tiny.fresh(LLAMA))
    parallel.device_ids = [0, 1]
    for attempt in (
        lambda: record(parallel, "l1h1"),
        lambda: ablate(parallel, "l1h1", "mean"),
        lambda: ablate(parallel, "l1h1", "resample"),
    ):
        with pytest.raises(ValueError, match="DataParallel runs 2 replicas"):
            attempt()
    ablate(parallel, "l1h1")
    ablate(parallel, "l1h1", 0.5)


class _Torch(torch.nn.Module):
    """A model of torch's own layers, which have a fast path of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.config = SimpleNamespace(
            model_type="torch", hidden_size=48, num_attention_heads=4, num_hidden_layers=2, intermediate_size=22,
            vocab_size=31,
        )  # fmt: skip
        self.embed_tokens = torch.nn.Embedding(31, 48)
        layer = torch.nn.TransformerEncoderLayer(48, 4, 22, batch_first=True, dropout=0.0)
        self.layers = torch.nn.TransformerEncoder(layer, 2).layers
        self.lm_head = torch.nn.Linear(48, 31)

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        x = self.embed_tokens(given)
        for layer in self.layers:
            x = layer(x)
        return self.lm_head(x)


@pytest.mark.filterwarnings("ignore:.*is not in headgrid's table")
def test_the_fast_path_of_torchs_layers_is_not_taken_and_what_they_read_themselves_is_refused() -> None:
    torch.manual_seed(0)
    model = _Torch().eval()
    zeroed = copy.deepcopy(model)
    with torch.no_grad():
        zeroed.layers[0].linear2.weight[:, [3, 5]] = 0
        with ablate(model, "l0 mlp n[3,5]"):
            got = model(BATCH)
        assert_close(got, zeroed(BATCH))
        assert not torch.allclose(got, model(BATCH))
    for context in (ablate, record):
        with pytest.raises(ValueError, match=r"MultiheadAttention reads layers.1.self_attn.out_proj.weight itself"):
            context(model, "l1h2")


def test_static_generation_runs_hooks() -> None:
    model = tiny.fresh(LLAMA).float()
    wanted = {"max_new_tokens": 4, "min_new_tokens": 4, "do_sample": False, "pad_token_id": 0}
    with ablate(model, "l1 attn"):
        static = model.generate(BATCH[:1], cache_implementation="static", **wanted)
        dynamic = model.generate(BATCH[:1], **wanted)
    assert torch.equal(static, dynamic)


def test_an_encoder_that_is_called_by_itself_is_ablated() -> None:
    model = tiny.fresh("t5")
    with ablate(model, "encoder l1h1"), record(model, "encoder l1h1") as cache:
        model.generate(tokens(2, 5), max_new_tokens=3)
    assert not cache["encoder l1h1"].any()
