"""Rows of the table with the slips that people make: each is refused when it is bound, or a finding of the proof."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import tiny
import torch
import transformers
from torch import nn

import headgrid as hg
from headgrid.anatomy.anatomy import Anatomy, AnatomyError
from headgrid.models.binding import bind
from headgrid.models.family import Line
from headgrid.models.huggingface import named, rows_of
from headgrid.models.verify import Proof, verify
from headgrid.models.vocabulary import vocabulary

GROUPED = "llama with grouped-query attention"
Change = Callable[[tuple[Line, ...]], tuple[Line, ...]]


def bound(model: nn.Module, change: Change, *, outside: bool = False) -> Anatomy:
    """The anatomy by the model's rows with other lines, of layers or of what belongs to none."""
    found = named(model)
    field = "outside" if outside else "layer"
    rows = [dataclasses.replace(row, **{field: change(getattr(row, field))}) for row in rows_of(model.config, "it")]
    return bind(rows, model.config, found, "slip", **vocabulary(model.config))


def stored(role: str, axes: str) -> Change:
    """A row in which a role is stored in another way."""
    return lambda lines: tuple(dataclasses.replace(line, axes=axes) if line.role == role else line for line in lines)


def called(role: str, other: str, axes: str = "...") -> Change:
    """A row in which a role is called another."""
    return lambda lines: tuple(
        dataclasses.replace(line, role=other, axes=axes) if line.role == role else line for line in lines
    )


def swapped(one: str, two: str) -> Change:
    """A row with the names of two roles swapped."""
    other = {one: two, two: one}
    return lambda lines: tuple(dataclasses.replace(line, role=other.get(line.role, line.role)) for line in lines)


def square() -> nn.Module:
    """Llama whose every matrix of the attention is square, so that shapes tell nothing."""
    config = transformers.LlamaConfig(
        hidden_size=24, num_attention_heads=4, num_hidden_layers=2, intermediate_size=32, vocab_size=31
    )
    return transformers.LlamaForCausalLM(config).eval()


# ---- slips


@pytest.mark.parametrize(
    ("change", "where", "said"),
    [
        (stored("W_Q", "m (n h)"), "query", "q_proj.weight[:, 0:6], which the table calls the query side of head 0"),
        (stored("W_Q", "(h n) m"), "query", "q_proj.weight[r_[0, 4, 8, ...], :]"),
        (stored("W_O", "(n h) m"), "output", "o_proj.weight[0:6, :], which the table calls the output side of head 0"),
        (swapped("W_K", "W_V"), "key", "v_proj.weight[0:6, :], which the table calls the key side of head 0, is the"),
        (swapped("W_Q", "W_K"), None, ""),
    ],
)
def test_a_slip_that_fits_the_shapes_is_a_finding(change: Change, where: str | None, said: str) -> None:
    model = square()
    if where is None:  # W_K with the letters of queries
        with pytest.raises(AnatomyError, match=r"W_K of LlamaForCausalLM cannot be stored as '\(n h\) m'"):
            bound(model, change)
        return
    proof = verify(model, bound(model, change))
    assert not proof
    assert said in next(check.text for check in proof.failures if check.side == where)
    assert {check.head for check in proof.failures if check.side == where} == {0, 1, 2, 3}


@pytest.mark.parametrize(
    ("role", "axes", "letters"),
    [
        ("W_K", "(n h) m", "g, m, h"), ("W_V", "(n h) m", "g, m, h"), ("W_Q", "(g h) m", "n, m, h"),
        ("W_O", "m (g h)", "n, h, m"), ("W_O", "m (n m)", "n, h, m"), ("W_in", "(n h) m", "m, f"),
        ("W_Q", "m n", "n, m, h"), ("b_K", "(n h)", "g, h"),
    ],
)  # fmt: skip
def test_a_role_with_the_letters_of_another_is_refused_when_it_is_bound(role: str, axes: str, letters: str) -> None:
    model = tiny.model("llama with biases and tied embeddings") if role.startswith("b_") else square()
    with pytest.raises(AnatomyError) as caught:
        bound(model, stored(role, axes))
    first = str(caught.value).splitlines()[0]
    assert f"{role} of LlamaForCausalLM cannot be stored as {axes!r}: its letters are {letters}" in first or (
        "has the shape" in first and role in first
    )


AXES = {
    "W_Q": ("(n h) m", "m (n h)", "(h n) m", "m (1/3 n h)", "m (n 0/3 h)", "(n 0/3 h) m", "(1/3 n h) m"),
    "W_K": ("(g h) m", "m (g h)", "(h g) m", "m (2/3 g h)", "(g 2/3 h) m", "(n h) m"),
    "W_V": ("(g h) m", "m (g h)", "(h g) m", "m (1/3 g h)", "(g 1/3 h) m", "(n h) m"),
    "W_O": ("m (n h)", "(n h) m", "m (h n)", "(h n) m"),
}  # fmt: skip
"""Role -> the ways to store it that are tried in every family: the right one, the other layouts, and slips."""

FUZZED = ("gpt2", GROUPED, "llama with biases and tied embeddings", "gpt_neox", "bert", "qwen3", "square")


def slips(model: nn.Module) -> list[Change]:
    """The other layouts of each role, neighbors swapped, and each called something else."""
    roles = list(dict.fromkeys(line.role for line in rows_of(model.config, "it")[0].layer))
    attention = [role for role in roles if role in (*AXES, "b_Q", "b_K", "b_V")]
    return [
        *(stored(role, axes) for role in roles for axes in AXES.get(role, ())),
        *(swapped(*pair) for pair in itertools.pairwise(attention)),
        *(called(role, "attn.other") for role in attention),
        called("W_Q", "mlp.other"),
    ]


@pytest.mark.slow
@pytest.mark.parametrize("family", FUZZED)
def test_whatever_is_written_in_a_row_is_right_refused_or_a_finding(family: str) -> None:
    model = square() if family == "square" else tiny.model(family)
    right = hg.dissect(model)
    outcomes = {"right": 0, "refused": 0, "a finding": 0}
    for change in slips(model):
        try:
            anatomy = bound(model, change)
        except AnatomyError as fault:
            assert str(fault).splitlines()[0]
            outcomes["refused"] += 1
            continue
        proof = verify(model, anatomy)  # whatever is raised here fails the test
        same = all(masks(anatomy, text) == masks(right, text) for text in words(right))
        assert bool(proof) == same, str(proof)
        assert proof or proof.failures
        outcomes["right" if proof else "a finding"] += 1
    assert min(outcomes.values()) > 0


def words(anatomy: Anatomy) -> list[str]:
    """Each side of each head of the second layer, and all of its attention."""
    return ["l1 attn", *(f"l1h{head}.{side}" for head in range(anatomy.n_heads) for side in "qkvo")]


def masks(anatomy: Anatomy, text: str) -> dict[str, Any]:
    try:
        found = anatomy.select(text).masks()
    except hg.SelectionError:  # a layer without such a side
        return {}
    return {name: None if mask is None else mask.numpy().tobytes() for name, mask in found.items()}


# ---- what lies in no head


@pytest.mark.slow
@pytest.mark.parametrize("other", ["attn.other", "mixer", "mlp.other"])
@pytest.mark.parametrize(("role", "side"), [("W_Q", "query"), ("W_K", "key"), ("W_V", "value")])
@pytest.mark.parametrize("family", [GROUPED, "llama with biases and tied embeddings"])
def test_a_weight_that_moves_single_heads_and_lies_in_none_is_a_finding(
    family: str, role: str, side: str, other: str
) -> None:
    model = tiny.model(family)
    proof = verify(model, bound(model, called(role, other)))
    assert not proof
    assert {check.side for check in proof.failures if check.head is not None} == {side}
    if other != "mlp.other":
        said = next(check.text for check in proof.failures if check.where == "l0h1")
        heads = "heads 0, 1, 2" if role != "W_Q" and family == GROUPED else "head 1"
        of = "values" if role == "W_V" else "scores"
        assert f"which the table calls {other}, moves only the {of} of {heads} and lies in no head" in said


def test_a_weight_of_one_key_head_that_lies_in_no_head_is_a_finding() -> None:
    """With one key/value head its weights move all heads: but then no head has a key side."""
    model = tiny.model("gemma with one key/value head")
    for role, side in (("W_K", "key"), ("W_V", "value")):
        proof = verify(model, bound(model, called(role, "attn.other")))
        said = {check.text for check in proof.failures if check.where == "l0h1" and check.side == side}
        assert said == {
            f"the table has no weight of the {side} side of head 1; model.layers.0.self_attn.{role[-1].lower()}_proj."
            "weight, which the table calls attn.other, is"
        }


@pytest.mark.parametrize("family", ["t5", "umt5"])
@pytest.mark.parametrize("role", ["pos.other", "top", "stem"])
def test_a_table_of_distances_in_no_layer_is_a_finding(family: str, role: str) -> None:
    """Column h moves the scores of head h alone, in every layer that reads it."""
    model = tiny.model(family)

    tables = tuple(
        Line(role, f"block.{layer}.layer.0.SelfAttention.relative_attention_bias.weight", "...") for layer in range(3)
    )
    rows = [
        dataclasses.replace(
            row,
            layer=tuple(line for line in row.layer if line.role != "rel_pos_bias"),
            outside=row.outside + tables if row.stack in ("encoder", "decoder") else row.outside,
        )
        for row in rows_of(model.config, "it")
    ]
    proof = verify(model, bind(rows, model.config, named(model), "slip", **vocabulary(model.config)))
    stacks = {stack.name: stack for stack in proof.anatomy.stacks if stack.n_layers}
    wrong = {(check.stack, check.layer, check.head) for check in proof.failures}
    assert wrong == {
        (name, layer, head) for name in ("encoder", "decoder") for layer in range(stacks[name].n_layers)
        for head in range(4)
    }  # fmt: skip
    said = next(check.text for check in proof.failures if check.where == "encoder l1h2")
    n = 0 if family == "t5" else 1
    assert f"encoder.block.{n}.layer.0.SelfAttention.relative_attention_bias.weight" in said
    assert f"which the table calls {role}, moves only the scores of head 2 and lies in no head" in said


class Scaled(nn.Module):
    """The output projection of an attention, behind a number for each head: a gate, which lies in no head."""

    def __init__(self, inner: nn.Module, n_heads: int) -> None:
        super().__init__()
        self.weight, self.n_heads = inner.weight, n_heads
        self.gates = nn.Parameter(torch.ones(n_heads, dtype=inner.weight.dtype))

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        z = z.unflatten(-1, (self.n_heads, -1)) * self.gates[:, None]
        return nn.functional.linear(z.flatten(-2), self.weight)


def test_gates_of_heads_that_lie_in_no_head_are_a_finding() -> None:
    model = tiny.fresh(GROUPED)
    for layer in model.model.layers:
        layer.self_attn.o_proj = Scaled(layer.self_attn.o_proj, 6)
    anatomy = bound(model, lambda lines: (*lines, Line("attn.other", "self_attn.o_proj.gates", "...")))
    proof = verify(model, anatomy)
    assert {check.side for check in proof.failures} == {"output"}
    assert "self_attn.o_proj.gates[4], which the table calls attn.other, moves only the values of head 4" in next(
        check.text for check in proof.failures if check.where == "l1h4"
    )


def test_a_weight_that_all_heads_share_may_lie_in_no_head() -> None:
    """DeBERTa's table of relative positions, a norm of queries for all heads: each entry moves every head."""
    assert verify(tiny.model("deberta_v2"))
    proof = verify(tiny.model("qwen3"), bound(tiny.model("qwen3"), called("q_norm.w", "attn.other")))
    assert proof
    assert isinstance(proof, Proof)
