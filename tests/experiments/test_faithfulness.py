"""Faithfulness, completeness and minimality, against hooks written by hand in plain torch."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import tiny
import torch
from replaced import HEADS, MODEL, TOKENIZER, by_hand, recorded

import headgrid as hg
from headgrid.experiments.effects import ratio
from headgrid.experiments.faithfulness import matched_circuits
from headgrid.experiments.interventions import orders
from headgrid.experiments.keeping import Removable

NAMES = hg.Task.names(TOKENIZER, 12)


def near(found: float, expected: object) -> bool:
    return found == pytest.approx(float(expected), abs=2e-5)  # type: ignore[arg-type]


def means(per_position: bool) -> list[torch.Tensor]:
    return [z.mean(0 if per_position else (0, 1), keepdim=True) for z in recorded(NAMES.ids)]


@pytest.mark.parametrize("per_position", [True, False])
def test_circuits_and_their_complements_score_as_with_hooks_by_hand(per_position: bool) -> None:
    rest = means(per_position)
    found = hg.faithfulness(MODEL, NAMES, "l0h1 | l1h3", per_position=per_position, controls=0)
    circuit = {(0, 1), (1, 3)}
    clean, ablated = by_hand(NAMES, HEADS, rest).mean(), by_hand(NAMES, [], rest).mean()
    kept, without = by_hand(NAMES, circuit, rest).mean(), by_hand(NAMES, set(HEADS) - circuit, rest).mean()
    assert near(found.clean, clean)
    assert near(found.ablated, ablated)
    assert near(found.kept, kept)
    assert near(found.without, without)
    assert near(found.faithfulness.value, (kept - ablated) / (clean - ablated))
    assert near(found.completeness.value, (without - ablated) / (clean - ablated))
    for member, alone in zip(found.members, [(1, 3), (0, 1)], strict=True):
        score = by_hand(NAMES, [alone], rest).mean()
        assert near(member.score, score)
        assert near(member.cost.value, (kept - score) / (clean - ablated))
    assert [member.part for member in found.members] == ["l0h1", "l1h3"]
    assert ("over positions" in repr(found)) == (not per_position)


def test_the_rest_is_what_the_corrupted_run_has() -> None:
    assert NAMES.corrupted is not None
    rest = recorded(NAMES.corrupted["input_ids"])
    found = hg.faithfulness(MODEL, NAMES, [(1, 0), (1, 2)], mode="patch", controls=0)
    assert near(found.kept, by_hand(NAMES, [(1, 0), (1, 2)], rest).mean())
    assert near(found.ablated, by_hand(NAMES, [], rest).mean())


def test_the_rest_is_what_other_rows_have_on_average_over_draws() -> None:
    z = recorded(NAMES.ids)
    found = hg.faithfulness(MODEL, NAMES, "l1h2", mode="resample", draws=3, seed=5, controls=0)
    each = [by_hand(NAMES, [(1, 2)], [one[order] for one in z]) for order in orders(12, 3, 5)]
    assert near(found.kept, torch.stack(each).mean())
    assert any("3 draws" in note for note in found.notes)


@pytest.mark.parametrize("mode", ["zero", "mean"])
def test_mlps_are_replaced_too_where_that_is_asked(mode: str) -> None:
    model = tiny.model("llama with grouped-query attention")
    ids = torch.randint(3, 31, (5, 11), generator=torch.Generator().manual_seed(1))
    task = hg.Task(None, ids)
    kept = {("z", 0, 4), ("z", 2, 1), ("mlp", 1, 0)}
    inputs: dict[tuple[str, int], torch.Tensor] = {}

    def loss(read: bool) -> float:
        def hook(kind: str, layer: int, n: int) -> object:
            def run(_: torch.nn.Module, given: tuple[torch.Tensor]) -> tuple[torch.Tensor] | None:
                if read:
                    inputs[kind, layer] = given[0].clone()
                    return None
                x, width = given[0].clone(), given[0].shape[-1] // n
                mean = inputs[kind, layer].mean(0, keepdim=True) * (mode == "mean")
                for one in range(n):
                    if (kind, layer, one) not in kept:
                        x[..., one * width : (one + 1) * width] = mean[..., one * width : (one + 1) * width]
                return (x,)

            return run

        with ExitStack() as hooks, torch.no_grad():
            for layer, block in enumerate(model.model.layers):
                for kind, module, n in (("z", block.self_attn.o_proj, 6), ("mlp", block.mlp.down_proj, 1)):
                    hooks.callback(module.register_forward_pre_hook(hook(kind, layer, n)).remove)
            logits = model(ids).logits
        return float(torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1).double(), ids[:, 1:].flatten()))

    clean = loss(True)
    found = hg.faithfulness(model, task, "l0h4 | l2h1 | l1 mlp", mode=mode, mlps=True, controls=3)  # type: ignore[arg-type]
    assert near(found.clean, clean)
    assert near(found.kept, loss(False))
    assert [one.part for one in found.members] == ["l0h4", "l2h1", "l1 mlp"]
    assert len(found.controls) == 3


def test_the_whole_model_is_faithful_and_nothing_is_not() -> None:
    whole, nothing = (hg.faithfulness(MODEL, NAMES, text, controls=4) for text in ("l*h*", "none"))
    assert float(whole) == 1
    assert whole.faithfulness.low == whole.faithfulness.high == 1
    assert whole.kept == whole.clean
    assert float(whole.completeness.value) == 0
    assert float(nothing) == 0
    assert nothing.completeness.value == 1
    assert nothing.members == ()
    assert len(whole.controls) == len(nothing.controls) == 0, "there is no other circuit of that kind"
    assert "The circuit is empty" in repr(nothing)


def test_on_the_shipped_model_the_name_task_has_one_circuit_with_means_of_each_position_and_none_without() -> None:
    task = hg.Task.names(TOKENIZER, metric="prob")
    found = hg.faithfulness(MODEL, task, "l1h2 | l1h3")
    assert float(found) == pytest.approx(0.96, abs=0.01)
    assert found.faithfulness.low > 0.9
    assert len(found.controls) == 5
    assert found.controls.max() < found.faithfulness.low
    assert any("There are 5 other circuits" in note for note in found.notes)
    over = hg.faithfulness(MODEL, task, "l1h2 | l1h3", per_position=False, controls=0)
    assert float(over) == pytest.approx(0.07, abs=0.02)


def test_random_circuits_have_as_many_heads_in_each_layer_and_none_is_twice() -> None:
    units = tuple(Removable(("z", "", layer), head) for layer in range(3) for head in range(6))
    units += tuple(Removable(("mlp", "", layer), None) for layer in range(3))
    circuit = torch.zeros(21, dtype=torch.bool)
    circuit[[0, 1, 13, 19]] = True
    found = matched_circuits(units, circuit, 40, 3)
    assert found.shape == (40, 21)
    assert len(found.unique(dim=0)) == 40
    assert (found[:, :18].reshape(40, 3, 6).sum(2) == torch.tensor([2, 0, 1])).all()
    assert (found[:, 18:] == circuit[18:]).all()
    assert not (found == circuit).all(1).any()
    assert torch.equal(found, matched_circuits(units, circuit, 40, 3))
    assert len(matched_circuits(units, circuit, 1000, 3)) == 15 * 6 - 1, "all that there are"


def test_an_interval_of_a_ratio_is_that_of_rows_drawn_together() -> None:
    over, under = torch.rand(9, dtype=torch.float64), 1 + torch.rand(9, dtype=torch.float64)
    found = ratio(over, under, seed=2, draws=400)
    drawn = torch.randint(9, (400, 9), generator=torch.Generator().manual_seed(2)).numpy()
    each = over.numpy()[drawn].mean(1) / under.numpy()[drawn].mean(1)
    assert found.value == pytest.approx(over.mean() / under.mean())
    assert [found.low, found.high] == pytest.approx(list(np.quantile(each, [0.025, 0.975])))
    alike = ratio(3 * under, under)
    assert alike.low == pytest.approx(3)
    assert alike.high == pytest.approx(3)
    assert np.isnan(ratio(over[:1], under[:1]).low), "one row has no interval"
    assert np.isnan(ratio(over, under - under).value)


def test_a_table_has_all_that_is_printed() -> None:
    found = hg.faithfulness(MODEL, NAMES, "l0h1 | l1h2", controls=3)
    table = found.to_dataframe()
    assert list(table["what"]) == ["faithfulness", "completeness", "cost", "cost", "control", "control", "control"]
    assert table["value"][0] == float(found)
    assert list(table["value"][4:]) == found.controls.tolist()
    for part in ("l0h1 | l1h2", "logit_diff, logits", "mean of each position", "3 random circuits"):
        assert part in repr(found)
    assert found.receipt.options["rest"] == "mean"
    assert found.receipt.task == NAMES.fingerprint


def test_a_difference_that_may_be_nothing_is_said() -> None:
    task = hg.Task(TOKENIZER, NAMES.ids[:2], metric=lambda output: output.logits[:, 0, 0] * 0 + 1)
    found = hg.faithfulness(MODEL, task, "l1h2", controls=0)
    assert np.isnan(float(found))
    assert any("may be nothing" in note for note in found.notes)


@pytest.mark.parametrize(
    ("what", "options", "said"),
    [
        ("l0 mlp", {}, "MLPs stay as they are: give mlps=True"),
        ("l1h2.q", {}, "no activation of its own|none of what is kept"),
        ("l1 out", {"mlps": True}, "none of what is kept or replaced"),
        ("l1h2", {"mode": "patched"}, "mode is 'zero', 'mean'"),
        ("l1h2", {"mlps": 1}, "mlps is True or False"),
        ("l1h2", {"controls": -1}, "a number of random circuits"),
        ("l1h2", {"reference": "none"}, "reference is a headgrid.Task"),
        ("l1h2", {"stack": "encoder"}, "has no stack 'encoder'"),
    ],
)
def test_what_is_no_circuit_or_no_mode_is_refused(what: str, options: dict[str, object], said: str) -> None:
    with pytest.raises((TypeError, ValueError), match=said):
        hg.faithfulness(MODEL, NAMES, what, **options)  # type: ignore[arg-type]


def test_a_part_of_an_mlp_is_refused() -> None:
    task = hg.Task(None, torch.arange(3, 21).reshape(2, 9))
    with pytest.raises(ValueError, match="2 neurons of l0 mlp are in the circuit"):
        hg.faithfulness(tiny.model("gpt2"), task, "l0h1 | l0 mlp n3-4", mlps=True)


def test_patching_without_corrupted_inputs_is_refused() -> None:
    with pytest.raises(ValueError, match=r"give Task\(\.\.\., corrupted"):
        hg.faithfulness(MODEL, hg.Task.repeated(TOKENIZER, 2), "l1h2", mode="patch")
