"""What annotations say of the shapes of tensors is so, on models in which no two sizes are equal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import shapes
import tiny
import torch
from jaxtyping import Float

import headgrid as hg
from headgrid.circuits.factors import Circuits
from headgrid.circuits.pairs import top_pairs
from headgrid.circuits.tokens import Vocabulary
from headgrid.weights import Weights

MODELS = [*tiny.UNLIKE, "bert"]


def sizes(anatomy: hg.Anatomy) -> dict[str, int]:
    """The sizes that annotations name, as the model's anatomy says them; its other tests compare these."""
    stack = anatomy.main
    named = {"n_layers": stack.n_layers, "n_heads": stack.n_heads, "d_model": stack.d_model,
             "n_kv_heads": stack.n_kv_heads, "n_queries_per_kv": stack.n_heads // stack.n_kv_heads,
             "d_vocab": anatomy.d_vocab}  # fmt: skip
    return {name: size for name, size in named.items() if size}


def use(family: str) -> None:
    """Everything that gives tensors, as a reader of a model asks for it."""
    model = tiny.model(family)
    weights = Weights(model)
    stack, layer = weights.stack, weights.stack.n_layers - 1
    at = f"{stack.name} l" if stack.name else "l"
    assert weights.W_O[layer].shape[1:] == weights.W_O[layer, 1].shape
    if "W_K" in weights.roles:
        assert weights.W_K.per_head(layer).numel()
        assert weights.W_OV[layer, 1].dense().shape == weights.W_QK[layer].AB.shape[1:]
    assert hg.scan(model).metrics()
    hg.compose(model, f"{at}{layer}h0 | {at}{layer - 1}h1").top(3)
    plain = next((at for role, at in stack.places if role == "W_in"), None)
    words = [f"{layer}h1"] if plain is None else [f"{layer}h1", f"{plain} mlp", f"{plain} mlp n3"]
    for word in words:
        hg.summarize(model, f"{at}{word}", k=2, pairs=3)
    circuits = Circuits(weights)
    ov = circuits.ov(layer)
    ov.norm(), ov.trace(), ov.svd(3), ov.singular_values(), ov.clusters(), ov.eigenvalues()
    ov.collapse_l(), ov.collapse_r(), ov.spectrum(2).unclear()
    if plain is not None:
        circuits.mlp("in", plain), circuits.mlp("out", plain)
    with hg.record(model, f"{at}{layer}h0 | {at}{layer}h2", layers=f"{at}0") as cache, torch.no_grad():
        model(**tiny.inputs(family))
    assert cache[f"{at}{layer}h2"].shape == cache.runs(f"{at}{layer}h0")[0].shape
    assert cache.z


@pytest.mark.parametrize("family", MODELS)
def test_tensors_have_the_shapes_that_annotations_say(family: str) -> None:
    with shapes.enforced(sizes(hg.dissect(tiny.model(family)))) as called:
        use(family)
    assert len(called) > 30


def test_every_annotation_of_a_shape_is_tried() -> None:
    with shapes.enforced({}) as called:
        use("gpt2")
        vocabulary = Vocabulary(Weights(tiny.model("gpt2")))
        vocabulary.reads(torch.ones(2, 28)), vocabulary.writes(torch.ones(2, 28))
        with hg.record(tiny.model("gpt2"), "l0 mlp") as cache, torch.no_grad():
            tiny.model("gpt2")(**tiny.inputs("gpt2"))
        assert cache.mlp
        top_pairs(torch.ones(3, 2), torch.ones(2, 4))
    assert {one.name for one in shapes.annotated()} - called == set()


@pytest.mark.parametrize(
    ("owner", "attribute", "wrong"),
    [
        (hg.FactoredMatrix, "dense", 'Float[torch.Tensor, "*batch n m"]'),
        (hg.FactoredMatrix, "norm", 'Float64[torch.Tensor, "*batch m"]'),
        (hg.FactoredMatrix, "clusters", 'Float64[torch.Tensor, "*batch r"]'),
    ],
)
def test_a_wrong_annotation_fails(owner: Any, attribute: str, wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    function = getattr(owner, attribute)
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    matrix = hg.FactoredMatrix(torch.rand(2, 5, 3), torch.rand(2, 3, 4))
    monkeypatch.setitem(function.__annotations__, "return", wrong)
    with shapes.enforced({}), pytest.raises(shapes.ShapeError, match=attribute):
        getattr(matrix, attribute)()


def test_sizes_of_the_model_are_held_against_their_names() -> None:
    @dataclass
    class Wrong:
        values: Float[torch.Tensor, "n_layers n_heads"]

    one = shapes.Annotated(Wrong, "__init__", {"values": Float[torch.Tensor, "n_layers n_heads"]})
    made = shapes.checked(one, {"n_layers": 3, "n_heads": 4}, lambda name: None)
    made(object.__new__(Wrong), torch.rand(3, 4))
    with pytest.raises(shapes.ShapeError, match=r"\[4, 3\]"):
        made(object.__new__(Wrong), torch.rand(4, 3))
