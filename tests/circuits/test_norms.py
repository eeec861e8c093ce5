"""Norms, read from modules: the oracle is what the model's own norms and projections receive and return."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import tiny
import torch
import transformers
from passes import module_of, recorded

import headgrid as hg
from headgrid.anatomy.anatomy import Stack
from headgrid.circuits.factors import Circuits
from headgrid.circuits.norms import Norm, NormForm, Norms, norm_form
from headgrid.weights import Weights

every_family = pytest.mark.parametrize("family", tiny.FAMILIES)


def stacks(family: str) -> Iterator[tuple[Stack, Norms]]:
    model = tiny.model(family)
    for stack in hg.dissect(model).stacks:
        if stack.n_layers:
            yield stack, Norms(Weights(model, stack=stack.name))


def read_by(model: torch.nn.Module, stack: Stack, norm: Norm, layer: int | None, x: torch.Tensor) -> torch.Tensor:
    """What `norm` makes of a stream, up to a scale for each position; and its bias, which is beside its linear part."""
    return x @ norm.fold(torch.eye(stack.d_model, dtype=torch.float64))


def bias(model: torch.nn.Module, stack: Stack, norm: Norm, layer: int | None) -> torch.Tensor:
    slots = stack.places.get((f"{norm.name}.b", layer))
    return model.get_parameter(slots[0].parameter).detach() if slots else torch.zeros(())


def assert_same_up_to_a_scale(received: torch.Tensor, read: torch.Tensor) -> None:
    scale = (received * read).sum(-1, keepdim=True) / read.square().sum(-1, keepdim=True)
    assert (scale > 0).all()
    torch.testing.assert_close(received, read * scale, rtol=1e-6, atol=1e-6)


SIDES = {"attn": (("W_Q", "W_DQ", "W_UQ"), ("W_K", "W_DKV"), ("W_V", "W_DKV")), "mlp": (("W_in", "router.W"),)}


@every_family
def test_what_a_block_receives_is_the_stream_read_through_the_norm_before_it(family: str) -> None:
    """The module that the norm was read from is fed the stream, and the block is fed what that module returns."""
    model, seen = tiny.model(family), recorded(family)
    for stack, norms in stacks(family):
        cross, tried = stack.name == "cross", 0
        for layer in range(stack.n_layers):
            for block, sides in SIDES.items():
                for side, roles in zip("qkv", sides, strict=False):
                    reader = module_of(stack, layer, *roles)
                    norm = norms.before(layer, block, side if block == "attn" else "")
                    if reader is None or not norm.name:
                        continue
                    tried += 1
                    source, at = (hg.dissect(model).stack("encoder"), None) if cross and side != "q" else (stack, layer)
                    path = module_of(source, at, f"{norm.name}.w")
                    if path is None:  # OLMo's norms have no weights
                        path = f"model.layers.{layer}." + ("input" if block == "attn" else "post_attention")
                        path += "_layernorm"
                    given, returned = seen[path]
                    received = seen[reader][0]
                    assert torch.equal(returned, received)
                    read = read_by(model, source, norm, at, given)
                    assert_same_up_to_a_scale(received - bias(model, source, norm, at), read)
        # where the norms stand after the blocks alone, it is the next tests' turn
        assert tried or stack.roles("ln1_post"), "a norm should have been tried"


@every_family
def test_a_norm_after_a_block_acts_on_its_output_or_on_the_stream(family: str) -> None:
    """On the block's output alone, or with what the block received added to it: then nothing is normed before it."""
    seen = recorded(family)
    for stack, norms in stacks(family):
        for layer in range(stack.n_layers):
            for block, reads, writes, post in [
                ("attn", "W_Q", "W_O", "ln1_post.w"),
                ("mlp", "W_in", "W_out", "ln2_post.w"),
            ]:
                path = module_of(stack, layer, post)
                if path is None:
                    assert norms.after(layer, block) is None
                    continue
                given = seen[path][0]
                block_output = seen[module_of(stack, layer, writes)][1]
                received = seen[module_of(stack, layer, reads)][0]
                after = norms.after(layer, block)
                if after is None:
                    assert norms.on_stream
                    torch.testing.assert_close(given, block_output + received, rtol=1e-6, atol=1e-6)
                    before = norms.before(layer, block)
                    assert (before.name, before.gain, before.centered) == ("", None, False)
                else:
                    assert not norms.on_stream
                    assert torch.equal(given, block_output)
                    written = block_output @ after.fold_after(torch.eye(stack.d_model, dtype=torch.float64))
                    assert_same_up_to_a_scale(seen[path][1], written)


@pytest.mark.parametrize("family", ["olmo2", "olmo3"])
def test_blocks_with_norms_on_their_outputs_alone_read_the_stream_as_it_is(family: str) -> None:
    seen = recorded(family)
    ((stack, norms),) = stacks(family)
    for layer in range(stack.n_layers):
        attention_adds = seen[module_of(stack, layer, "ln1_post.w")][1]
        stream = seen[module_of(stack, layer, "W_Q")][0]
        assert torch.equal(seen[module_of(stack, layer, "W_in")][0], stream + attention_adds)
        for block in ("attn", "mlp"):
            assert norms.before(layer, block).fold(stream.mT) is not None
            assert torch.equal(norms.before(layer, block).fold(stream.mT), stream.mT)


@every_family
def test_the_final_norm_is_between_the_last_layer_and_what_reads_it(family: str) -> None:
    model, seen = tiny.model(family), recorded(family)
    for stack, norms in stacks(family):
        norm = norms.final()
        path = module_of(stack, None, "ln_final.w")
        if path is None:
            expected = (None, True) if family == "olmo" else (None, False)
            assert (norm.gain, norm.centered) == expected
        elif path in seen:  # LLaVA's vision model is left before it
            assert_same_up_to_a_scale(
                seen[path][1] - bias(model, stack, norm, None), read_by(model, stack, norm, None, seen[path][0])
            )
        else:
            assert (family, stack.name) == ("llava", "vision")


@pytest.mark.slow
def test_gains_have_the_one_of_gemma_added_and_nothing_else_does() -> None:
    plus_one = set()
    for family in tiny.FAMILIES:
        model = tiny.model(family)
        for stack, norms in stacks(family):
            gain, slots = norms.before(1, "attn").gain, stack.places.get(("ln1.w", 1))
            if gain is not None and slots:
                stored = model.get_parameter(slots[0].parameter).detach()
                assert torch.equal(gain, stored) or torch.equal(gain, 1 + stored)
                plus_one |= {family} - ({family} if torch.equal(gain, stored) else set())
    assert plus_one == {
        "gemma with one key/value head", "gemma2", "gemma3", "gemma3 with vision", "nemotron", "paligemma", "qwen3_next"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("family", "path", "expected"),
    [
        ("gpt2", "transformer.h.0.ln_1", NormForm(True, 0, 28)),
        ("llama with grouped-query attention", "model.norm", NormForm(False, 0, 48)),
        ("nemotron", "model.norm", NormForm(True, 1, 48)),
        ("gemma2", "model.layers.1.post_attention_layernorm", NormForm(False, 1, 48)),
        ("gemma3", "model.layers.1.self_attn.q_norm", NormForm(False, 1, 10)),
        ("cohere", "model.layers.1.self_attn.q_norm", NormForm(True, 0, 8)),
        ("olmo2", "model.layers.1.self_attn.k_norm", NormForm(False, 0, 16)),
        ("t5", "encoder.final_layer_norm", NormForm(False, 0, 28)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_a_module_is_asked_in_its_own_dtype(family: str, path: str, expected: NormForm, dtype: torch.dtype) -> None:
    module = tiny.fresh(family).get_submodule(path).to(dtype)
    assert norm_form(module, "weight") == expected


def test_asking_fires_no_hooks_and_moves_no_random_numbers() -> None:
    model, fired = tiny.fresh("gpt2"), []
    norm = model.transformer.h[0].ln_1
    norm.register_forward_hook(lambda *_: fired.append("after"))
    norm.register_forward_pre_hook(lambda *_: fired.append("before"))
    point = torch.nn.Identity()
    point.register_forward_hook(lambda *_: fired.append("within"))

    class Pointed(torch.nn.LayerNorm):  # as TransformerLens' norms have hook points in them
        def __init__(self) -> None:
            super().__init__(28)
            self.point = point

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.point(super().forward(x))

    state = torch.random.get_rng_state()
    assert Norms(Weights(model)).before(0, "attn").centered
    pointed = Pointed()
    assert norm_form(pointed, "weight") == NormForm(True, 0, 28)
    assert fired == []
    assert torch.equal(torch.random.get_rng_state(), state)
    pointed(torch.ones(2, 28))
    assert fired == ["within"], "its hooks are back"


class Softened(torch.nn.Module):
    """No norm at all: it squashes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(28))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * x.tanh()


class Refusing(torch.nn.LayerNorm):
    """It wants more than the stream."""

    def forward(self, x: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        return super().forward(x) * gate


@pytest.mark.parametrize("odd", [Softened, lambda: Refusing(28)])
def test_a_norm_that_cannot_be_read_is_left_out_and_said(odd: Callable[[], torch.nn.Module]) -> None:
    model = tiny.fresh("gpt2")
    model.transformer.h[1].ln_1 = odd().double()
    if isinstance(model.transformer.h[1].ln_1, Softened):  # dissect wants all of its parameters
        model.transformer.h[1].ln_1.bias = torch.nn.Parameter(torch.zeros(28).double())
    norms = Norms(Weights(model))
    norm = norms.before(1, "attn")
    assert (norm.name, norm.gain, norm.centered) == ("", None, False)
    assert norms.before(0, "attn").name == "ln1"
    (note,) = norms.notes
    assert "transformer.h.1.ln_1.weight" in note


@pytest.mark.parametrize("leaf", ["weight", "bias"])
@pytest.mark.parametrize("by_data", [False, True])
def test_a_norm_that_met_nan_counts_again_once_it_is_mended(leaf: str, by_data: bool) -> None:
    model = tiny.fresh("gpt2")
    broken = getattr(model.transformer.h[1].ln_1, leaf)
    target, good = (broken.data if by_data else broken), broken.detach().clone()
    expected = Circuits(Weights(model)).ov(1).AB
    circuits = Circuits(Weights(model))
    with torch.no_grad():
        target[3] = torch.nan
        assert any("ln_1.weight" in note for note in circuits.notes("ov", 1))
        target.copy_(good)
    assert not any("ln_1" in note for note in (*circuits.notes("ov", 1), *circuits.norms.notes))
    torch.testing.assert_close(circuits.ov(1).AB, expected, rtol=0, atol=0)


def test_a_norm_that_was_replaced_is_asked_anew() -> None:
    model = tiny.fresh("gpt2")
    norms = Norms(Weights(model))
    assert norms.before(1, "attn").centered
    weight, bias = model.transformer.h[1].ln_1.weight, model.transformer.h[1].ln_1.bias
    model.transformer.h[1].ln_1 = Softened().double()
    model.transformer.h[1].ln_1.weight, model.transformer.h[1].ln_1.bias = weight, bias
    assert norms.before(1, "attn").gain is None
    assert len(norms.notes) == 1


def test_a_gain_of_nan_is_refused_by_name() -> None:
    model = tiny.fresh("gpt2")
    with torch.no_grad():
        model.transformer.h[2].ln_2.weight[3] = torch.nan
    with pytest.raises(ValueError, match=r"ln2\.w has NaN or inf in 1 of 28 entries: look at transformer\.h\.2\.ln_2"):
        Norms(Weights(model)).before(2, "mlp")


def test_a_later_change_of_a_gain_is_seen() -> None:
    model = tiny.fresh("gemma2")
    norms = Norms(Weights(model))
    first = norms.before(0, "attn").gain
    with torch.no_grad():
        model.model.layers[0].input_layernorm.weight.zero_()
    assert first is not None
    assert not torch.equal(first, torch.ones(48))
    assert torch.equal(norms.before(0, "attn").gain, torch.ones(48, dtype=torch.float64))


def test_low_precision_weights_are_folded_in_single_precision() -> None:
    described = transformers.GemmaConfig(**tiny.config("gemma with one key/value head").to_dict())
    model = transformers.GemmaForCausalLM(described).to(torch.bfloat16)
    with torch.no_grad():
        model.model.layers[0].input_layernorm.weight.fill_(2**-9)  # lost when it is added to 1 in bfloat16
    norm = Norms(Weights(model)).before(0, "attn")
    assert norm.gain is not None
    assert norm.gain.dtype == torch.float32
    assert torch.equal(norm.gain, torch.full((48,), 1 + 2**-9))
    W = torch.randn(3, 48, 5, dtype=torch.bfloat16)
    assert torch.equal(norm.fold(W), W.float() * (1 + 2**-9))


def test_folding_is_the_product_with_the_centring_matrix_and_the_gain() -> None:
    generator = torch.Generator().manual_seed(0)
    gain, W = (torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((7,), (2, 7, 3)))
    centring = torch.eye(7, dtype=torch.float64) - 1 / 7
    torch.testing.assert_close(Norm("ln1", gain, True).fold(W), centring @ gain.diag() @ W)
    torch.testing.assert_close(Norm("ln1", None, True).fold(W), centring @ W)
    torch.testing.assert_close(Norm("ln1", gain, False).fold_after(W.mT), W.mT @ gain.diag())
    torch.testing.assert_close(Norm("ln1", gain, True).fold_after(W.mT), W.mT @ centring @ gain.diag())
    assert Norm("", None, False).fold(W) is W
    assert Norm("", None, False).fold_after(W) is W


def test_hooks_within_a_norm_stay_in_place_while_it_is_asked() -> None:
    class Norm(torch.nn.Module):
        """With a hook point in it, as HookedTransformer's norms."""

        def __init__(self) -> None:
            super().__init__()
            self.w, self.point = torch.nn.Parameter(torch.rand(7) + 1), torch.nn.Identity()
            self.seen: list[int] = []

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.seen.append(len(hooked._forward_hooks))
            return self.point(self.w * x / x.square().mean(-1, keepdim=True).sqrt())

    norm, fired = Norm(), []
    hooked = norm.point
    hooked.register_forward_hook(lambda *_: fired.append(1))
    kind = norm_form(norm, "w")
    assert kind is not None
    assert not kind.centered
    assert norm.seen == [1]  # a forward pass in another thread would have fired it
    assert not fired
