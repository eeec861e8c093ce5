"""Singular directions of OV in the forward pass, against projections by hand."""

from __future__ import annotations

import pytest
import tiny
import torch
from replaced import MODEL, TOKENIZER

import headgrid as hg
from headgrid.experiments import directions
from headgrid.experiments.directions import _ends

NAMES = hg.Task.names(TOKENIZER, 6, metric="prob")


def by_hand(keep: torch.Tensor) -> float:
    """The probability of the answers where what l1h2 writes is multiplied by a matrix."""
    projection = MODEL.transformer.h[1].attn.c_proj
    W_O = projection.weight.detach()[48:72].double()

    def change(_: torch.nn.Module, given: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        written = given[0][..., 48:72].double() @ W_O
        return output + (written @ keep - written).float()

    handle = projection.register_forward_hook(change)
    with torch.no_grad():
        logits = MODEL(NAMES.ids).logits[:, -1].double()
    handle.remove()
    assert NAMES.answers is not None
    return float(logits.softmax(-1).gather(1, NAMES.answers).mean())


def right_directions() -> torch.Tensor:
    attention = MODEL.transformer.h[1].attn
    W_V = attention.c_attn.weight.detach()[:, 192 + 48 : 192 + 72].double()
    return torch.linalg.svd(W_V @ attention.c_proj.weight.detach()[48:72].double())[2][:24]


def test_what_is_kept_is_projected_as_by_hand() -> None:
    Vh = right_directions()
    found = directions(MODEL, NAMES, "l1h2", ks=[0, 1, 8, 24], controls=0)
    assert found.ks.tolist() == [0, 1, 8, 24]
    for k, score in zip(found.ks.tolist(), found.scores.tolist(), strict=True):
        assert score == pytest.approx(by_hand(Vh[:k].T @ Vh[:k]), abs=1e-5)
    removed = directions(MODEL, NAMES, "l1h2", ks=[3], keep=False, controls=0)
    assert float(removed.scores) == pytest.approx(by_hand(torch.eye(96).double() - Vh[:3].T @ Vh[:3]), abs=1e-5)


def test_all_directions_change_nothing_and_none_is_the_head_ablated() -> None:
    found = directions(MODEL, NAMES, "l1h2", ks=[24, 0], controls=2)
    assert float(found.scores[0]) == found.clean
    assert found.restored[0].value == 1
    assert found.restored[1].value == 0
    with hg.ablate(MODEL, "l1h2"), torch.no_grad():
        logits = MODEL(NAMES.ids).logits
    assert found.ablated == pytest.approx(float(NAMES.score(logits).mean()), abs=1e-5)
    assert found.controls[0].tolist() == [1, 1], "no direction is left out of a space of all"
    assert found.controls[1].tolist() == pytest.approx([0, 0], abs=1e-4)


def test_the_largest_direction_of_the_induction_head_restores_nothing_and_eight_less_than_half() -> None:
    found = directions(MODEL, NAMES, "l1h2", ks=[1, 8, 24], controls=5)
    assert found.singular_values[0] > 2.5 * found.singular_values[1]
    one, eight, every = (one.value for one in found.restored)
    assert abs(one) < 0.01
    assert eight < 0.5
    assert every == 1
    assert eight < found.controls[1].max() + 0.05, "no more than random directions"


def test_nearly_equal_singular_values_are_not_parted() -> None:
    S = torch.tensor([3.0, 2.0, 1.9999, 1.9998, 1.0], dtype=torch.float64)
    assert _ends(S, 1e-3) == [0, 1, 4, 5]
    assert _ends(S, 0) == [0, 1, 2, 3, 4, 5]
    found = directions(MODEL, NAMES.rows(slice(2)), "l1h2", ks=[2], gap=0.9, controls=0)
    assert found.ks.tolist() == [24]
    assert any("2 became 24" in note for note in found.notes)


@pytest.mark.parametrize("family", ["llama with grouped-query attention", "gemma2", "gpt_neox"])
def test_it_is_right_in_other_families(family: str) -> None:
    model = tiny.model(family)
    ids = torch.randint(3, 31, (3, 7), generator=torch.Generator().manual_seed(1))
    found = directions(model, hg.Task(None, ids), "l1h3", ks=[0, 2, hg.dissect(model).d_head], controls=1)
    assert float(found.scores[2]) == pytest.approx(found.clean, abs=1e-12)
    with hg.ablate(model, "l1h3"), torch.no_grad():
        logits = model(ids).logits
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).double(), ids[:, 1:].flatten())
    assert float(found.scores[0]) == pytest.approx(float(loss), abs=1e-5)


def test_a_table_and_a_text_have_each_number() -> None:
    found = directions(MODEL, NAMES.rows(slice(3)), "l1h2", ks=[1, 5], controls=2)
    table = found.to_dataframe()
    assert list(table["directions"]) == [1, 5]
    assert list(table["value"]) == [one.value for one in found.restored]
    assert "random subspaces" in repr(found)
    assert found.receipt.options["circuit"] == "raw OV"


@pytest.mark.parametrize(
    ("head", "options", "said"),
    [
        ("l1h*", {}, "head is one head"),
        ("l1h2", {"ks": [25]}, "a number of directions from 0 to 24"),
        ("l1h2", {"keep": 1}, "keep is True or False"),
        ("l1h2", {"gap": -1}, "gap is a part of a singular value"),
        ("l1h2", {"controls": -1}, "a number of random subspaces"),
    ],
)
def test_wrong_heads_and_numbers_are_refused(head: str, options: dict[str, object], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        directions(MODEL, NAMES, head, **options)  # type: ignore[arg-type]


# ---- queries


def asked_by_hand(model: torch.nn.Module, at: str, columns: slice, keep: torch.Tensor, task: hg.Task) -> torch.Tensor:
    """The scores of rows where the stream is multiplied by a matrix before it becomes a head's query."""
    module = model.get_submodule(at)
    stored = module.weight.detach().double()
    weight = stored if stored.shape[0] == keep.shape[0] else stored.T
    bias = 0 if module.bias is None else module.bias.detach().double()[columns]

    def change(_: torch.nn.Module, given: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        new = output.clone()
        new[..., columns] = (given[0].double() @ keep @ weight[:, columns] + bias).to(output)
        return new

    handle = module.register_forward_hook(change)
    with torch.no_grad():
        found = task.score(model(**task.inputs))
    handle.remove()
    return found


def test_queries_read_the_stream_along_left_directions_alone() -> None:
    stored = MODEL.transformer.h[1].attn.c_attn.weight.detach().double()
    QK = stored[:, 48:72] @ stored[:, 96 + 48 : 96 + 72].T
    U = torch.linalg.svd(QK)[0][:, :24]
    found = directions(MODEL, NAMES, "l1h2", circuit="qk", ks=[0, 1, 8, 24], controls=0)
    for k, score in zip(found.ks.tolist(), found.scores.tolist(), strict=True):
        by = asked_by_hand(MODEL, "transformer.h.1.attn.c_attn", slice(48, 72), U[:, :k] @ U[:, :k].T, NAMES)
        assert score == pytest.approx(float(by.mean()), abs=1e-5)
    assert found.restored[0].value == 0
    assert found.restored[-1].value == 1
    assert float(found.scores[-1]) == found.clean, "all directions change nothing"
    removed = directions(MODEL, NAMES, "l1h2", circuit="qk", ks=[3], keep=False, controls=0)
    rest = torch.eye(96).double() - U[:, :3] @ U[:, :3].T
    by = asked_by_hand(MODEL, "transformer.h.1.attn.c_attn", slice(48, 72), rest, NAMES)
    assert float(removed.scores) == pytest.approx(float(by.mean()), abs=1e-5)


@pytest.mark.parametrize(
    ("family", "at"),
    [("llama with grouped-query attention", "model.layers.1.self_attn.q_proj"),
     ("qwen3", "model.layers.1.self_attn.q_proj"), ("gpt_neox", "gpt_neox.layers.1.attention.query_key_value")],
)  # fmt: skip
def test_queries_are_changed_before_their_norms_and_rotation(family: str, at: str) -> None:
    model = tiny.model(family)
    ids = torch.randint(3, 31, (3, 7), generator=torch.Generator().manual_seed(4))
    task = hg.Task(None, ids, answers=[7] * 3, wrong=[4] * 3)
    weights = hg.Weights(model, dtype=torch.float64)
    U = weights.W_QK[1, 2].svd(3)[0]
    d_head = weights.W_Q[1].shape[-1]
    first = 2 * d_head * (3 if "query_key_value" in at else 1)
    found = directions(model, task, "l1h2", circuit="qk", ks=[3, d_head], controls=2)
    by = asked_by_hand(model, at, slice(first, first + d_head), U @ U.T, task)
    assert float(found.scores[0]) == pytest.approx(float(by.mean()), abs=1e-5)
    assert float(found.scores[1]) == found.clean
    assert found.controls.isfinite().all()


def test_queries_that_no_weight_gives_alone_are_refused() -> None:
    ids = torch.randint(3, 31, (2, 5), generator=torch.Generator().manual_seed(4))
    task = hg.Task(None, ids, answers=[7] * 2, wrong=[4] * 2)
    with pytest.raises(ValueError, match="W_Q"):
        directions(tiny.model("deepseek_v3"), task, "l1h2", circuit="qk", ks=[3])
