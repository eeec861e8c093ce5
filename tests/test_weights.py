from __future__ import annotations

import pytest
import tiny
import torch

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError
from headgrid.anatomy.roles import ROLES
from headgrid.weights import Weights

GROUPED = "llama with grouped-query attention"  # 3 layers, 6 heads in 2 groups of 10, d_model 48, 22 neurons


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_role_of_every_stack_has_its_canonical_shape(family: str) -> None:
    model = tiny.model(family)
    for stack in hg.dissect(model).stacks:
        weights = Weights(model, stack=stack.name)
        sizes = {"n": stack.n_heads, "g": stack.n_kv_heads, "m": stack.d_model, "h": stack.d_head}
        for role, layer in stack.places:
            if ROLES[role].owner in ("q", "k", "v", "o") and "x" not in ROLES[role].axes:
                found, letters = weights.read(role, layer), ROLES[role].axes.split()
                assert found.dim() == len(letters)
                assert not found.requires_grad
                known = {letter: size for letter, size in zip(letters, found.shape, strict=True) if letter in sizes}
                assert known == {letter: sizes[letter] for letter in known}, role


def test_queries_keys_values_and_outputs_are_those_of_the_models_own_projections() -> None:
    model = tiny.model(GROUPED)
    weights, attention = Weights(model), model.model.layers[1].self_attn
    x = torch.randn(5, 48, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(torch.einsum("pm,nmh->pnh", x, weights.W_Q[1]).flatten(1), attention.q_proj(x))
        torch.testing.assert_close(torch.einsum("pm,gmh->pgh", x, weights.W_K[1]).flatten(1), attention.k_proj(x))
        z = torch.randn(5, 6, 10, dtype=torch.float64)
        torch.testing.assert_close(torch.einsum("pnh,nhm->pm", z, weights.W_O[1]), attention.o_proj(z.flatten(1)))
        torch.testing.assert_close(x @ weights.W_gate[2], model.model.layers[2].mlp.gate_proj(x))
        torch.testing.assert_close(x @ weights.W_U, model.lm_head(x))


def test_a_head_reads_the_key_value_head_of_its_group() -> None:
    weights = Weights(tiny.model(GROUPED))
    assert torch.equal(weights.W_K[1, 4], weights.W_K[1][1])
    assert torch.equal(weights.W_V[0, 2], weights.W_V[0][0])
    shared = weights.W_K.per_head(1)
    assert shared.shape == (2, 3, 48, 10)
    assert shared.data_ptr() == weights.W_K[1].data_ptr(), "heads of a group share the memory"
    assert all(torch.equal(shared.flatten(0, 1)[head], weights.W_K[1, head]) for head in range(6))


def test_nothing_is_copied_and_a_later_change_is_seen() -> None:
    model = tiny.fresh("gpt2")
    weights = Weights(model)
    values = weights.W_V[1]
    assert values.untyped_storage().data_ptr() == model.transformer.h[1].attn.c_attn.weight.untyped_storage().data_ptr()
    with torch.no_grad():
        model.transformer.h[1].attn.c_attn.weight.zero_()
    assert not values.any()
    assert not weights.W_V[1].any()
    model.transformer.h[1].attn.c_attn.weight = torch.nn.Parameter(torch.ones(28, 84))
    assert weights.W_V[1].eq(1).all(), "a parameter that was replaced is read anew"
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_heads_that_are_stored_apart_are_given_side_by_side() -> None:
    model = tiny.model("falcon-40b")
    fused = model.transformer.h[1].self_attention.query_key_value.weight
    assert torch.equal(Weights(model).W_Q[1][4], fused[40 + 8 : 40 + 16].T)  # each group: 3 queries, k, v of 8 rows


def test_dtype_and_device_and_normalization_are_as_asked() -> None:
    weights = Weights(tiny.model(GROUPED), dtype=torch.bfloat16, device="cpu")
    assert weights.W_Q[0].dtype == torch.bfloat16
    exact = Weights(tiny.model(GROUPED))
    unit = exact.read("W_out", 1, normalize="m")
    torch.testing.assert_close(unit.norm(dim=-1), torch.ones(22, dtype=torch.float64))
    torch.testing.assert_close(unit * exact.W_out[1].norm(dim=-1, keepdim=True), exact.W_out[1])
    with pytest.raises(ValueError, match="W_out has the axes f, m; it cannot be normalized along 'h'"):
        exact.read("W_out", 1, normalize="h")


def test_stacks_have_weights_of_their_own() -> None:
    model = tiny.model("t5")
    assert torch.equal(
        Weights(model, stack="encoder").W_O[2, 1], model.encoder.block[2].layer[0].SelfAttention.o.weight[:, 10:20].T
    )
    assert len(Weights(model).W_O) == 2
    assert torch.equal(Weights(model, stack="").W_E, model.shared.weight)


def test_a_tied_unembedding_is_read_from_the_embedding() -> None:
    weights = Weights(tiny.model("gpt2"))
    assert torch.equal(weights.W_U, weights.W_E.T)
    assert weights["ln1.w"][2].shape == (28,)


@pytest.mark.parametrize("family", ["gpt2", GROUPED, "gpt_neox", "falcon-40b"])
def test_circuits_are_products_of_the_canonical_weights(family: str) -> None:
    weights = Weights(tiny.model(family))
    for layer in range(len(weights.W_OV)):
        for head in range(weights.stack.n_heads):
            ov = weights.W_V[layer, head] @ weights.W_O[layer, head]
            qk = weights.W_Q[layer, head] @ weights.W_K[layer, head].T
            torch.testing.assert_close(weights.W_OV[layer, head].dense(), ov)
            torch.testing.assert_close(weights.W_OV[layer].dense()[head], ov)
            torch.testing.assert_close(weights.W_QK[layer, head].dense(), qk)
            torch.testing.assert_close(weights.W_QK[layer][head].dense(), qk)
    assert weights.W_OV[0].rank_bound == weights.stack.d_head


def test_the_ov_circuit_of_a_head_is_what_the_head_adds_when_it_attends_to_one_position() -> None:
    """By the model's own modules: values of a residual vector, through the output projection."""
    model = tiny.model(GROUPED)
    attention, x = model.model.layers[1].self_attn, torch.randn(48, dtype=torch.float64)
    with torch.no_grad():
        z = torch.zeros(60, dtype=torch.float64)
        z[40:50] = attention.v_proj(x)[10:20]  # head 4 reads key/value head 1
        torch.testing.assert_close(x @ Weights(model).W_OV[1, 4], attention.o_proj(z))


def test_what_is_not_there_is_said_with_what_is() -> None:
    weights = Weights(tiny.model(GROUPED))
    with pytest.raises(AttributeError, match="has no 'b_Q'; it has W_Q, W_K, W_V, W_O"):
        _ = weights.b_Q
    with pytest.raises(AttributeError, match="Weights has no attribute 'W_X'"):
        _ = weights.W_X
    with pytest.raises(KeyError, match=r"has no 'router\.W'"):
        weights["router.W"]
    with pytest.raises(IndexError, match="there is no layer 3; the layers are 0 to 2"):
        weights.W_Q[3]
    with pytest.raises(IndexError, match="the parts of layer 0 are 0 to 5"):
        weights.W_K[0, 6]
    with pytest.raises(AnatomyError, match="has no 'W_O' in layer 0"):
        Weights(tiny.model("lfm2")).W_O[0]
    with pytest.raises(KeyError, match="has no 'W_V'; it has W_UQ"):
        _ = Weights(tiny.model("deepseek_v3")).W_OV
    with pytest.raises(AnatomyError, match="known by its configuration alone"):
        Weights(tiny.config("gpt2"))
    with torch.device("meta"):
        nowhere = type(tiny.model("gpt2"))(tiny.config("gpt2"))
    with pytest.raises(AnatomyError, match="is on the meta device: there is no weight to read"):
        Weights(nowhere).W_Q[0]


def test_an_index_that_is_no_whole_number_is_refused_in_words() -> None:
    weights = Weights(tiny.model("gpt2"))
    for at in (slice(0, 2), "l1", (1, slice(None))):
        with pytest.raises(TypeError, match=r"W_Q is indexed by \[layer\] or \[layer, part\]"):
            weights.W_Q[at]


def test_what_is_of_a_layer_is_asked_for_with_one() -> None:
    with pytest.raises(AnatomyError, match="W_Q is of a layer: say which, of 0 to 2"):
        Weights(tiny.model("gpt2")).read("W_Q")


@pytest.mark.parametrize("family", ["llama with grouped-query attention", "phi3", "glm", "glm4", "gemma2"])
def test_the_gate_of_an_mlp_is_what_is_activated(family: str) -> None:
    model, weights = tiny.model(family), hg.Weights(tiny.model(family))
    mlp, seen = model.get_submodule("model.layers.1.mlp"), {}
    hooks = [
        mlp.register_forward_pre_hook(lambda _, given: seen.update(x=given[0])),
        mlp.down_proj.register_forward_pre_hook(lambda _, given: seen.update(activations=given[0])),
    ]
    with torch.no_grad():
        model(**tiny.inputs(family))
    for hook in hooks:
        hook.remove()
    gate, read = seen["x"] @ weights.W_gate[1], seen["x"] @ weights.W_in[1]
    activated = getattr(mlp, "act_fn", None) or mlp.activation_fn
    torch.testing.assert_close(activated(gate) * read, seen["activations"])


@pytest.mark.parametrize("axis", [0, 1])
def test_rows_or_columns_that_are_swapped_behind_autograds_back_are_another_version(axis: int) -> None:
    model = tiny.model("gpt2")
    weights, stored = hg.Weights(model), model.transformer.h[1].attn.c_proj.weight
    before, counted = weights.version("W_O", 1), stored._version
    stored.data.copy_(stored.data.roll(1, axis))
    assert stored._version == counted, "torch did not count the change"
    assert weights.version("W_O", 1) != before
    stored.data.copy_(stored.data.roll(-1, axis))
    assert weights.version("W_O", 1) == before


@pytest.mark.parametrize(
    ("family", "role", "layer"), [("bert", "top", None), ("vit", "stem", None), ("lfm2", "mixer", 0)]
)
def test_what_is_several_parameters_of_no_common_shape_is_no_tensor(family: str, role: str, layer: int | None) -> None:
    weights = hg.Weights(tiny.model(family))
    with pytest.raises(AnatomyError, match=rf"^{role} of \w+ is \d+ parameters, and no one tensor:\s\w"):
        weights.read(role, layer)
