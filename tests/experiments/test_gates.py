"""Learned gates, against z that hooks written by hand multiply."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
import tiny
import torch
from replaced import MODEL, TOKENIZER

import headgrid as hg
from headgrid.experiments.gates import GateFit, Gates, gate_class, loss_of
from headgrid.experiments.runs import Runs

REPEATED = hg.Task.repeated(TOKENIZER, 3, 8)
WANTED = {("z", "", layer): (0, 1, 2, 3) for layer in range(2)}
ZEROS = {where: torch.zeros(1, 1, 1, 1) for where in WANTED}


def gated_loss(gates: torch.Tensor) -> float:
    """The loss on the second copy with every z multiplied by its gate, `[2, 4]`."""

    def hook(layer: int) -> object:
        return lambda _, given: (given[0] * gates[layer].float().repeat_interleave(24),)

    ids = REPEATED.ids
    with ExitStack() as hooks, torch.no_grad():
        for layer, block in enumerate(MODEL.transformer.h):
            hooks.callback(block.attn.c_proj.register_forward_pre_hook(hook(layer)).remove)
        logits = MODEL(ids).logits.double()
    scored = slice(9, 16)
    return float(torch.nn.functional.cross_entropy(logits[:, scored].flatten(0, 1), ids[:, 10:17].flatten()))


@pytest.fixture(scope="module")
def fitted() -> Gates:
    found = hg.sweep(MODEL, REPEATED, "gate", seeds=2)
    assert isinstance(found, Gates)
    return found


@pytest.mark.slow
def test_the_losses_are_those_of_z_times_the_gates(fitted: Gates) -> None:
    for seed in range(2):
        for push in range(2):
            assert float(fitted.losses[seed, push]) == pytest.approx(gated_loss(fitted.each[seed, push]), abs=1e-5)
    assert fitted.clean == pytest.approx(gated_loss(torch.ones(2, 4)), abs=1e-5)


def test_gates_go_down_the_slope_of_the_loss() -> None:
    fit = GateFit(Runs(MODEL, REPEATED, batch_size=2), WANTED, ZEROS, 1.0, 2**24)
    logits = torch.tensor([[0.3, -1.0, 0.2, 1.5, 0.1, -0.4, 0.8, 0.0]])
    loss, slope = fit._loss(logits)
    assert float(loss) == pytest.approx(gated_loss(logits.sigmoid().reshape(2, 4)), abs=1e-5)
    for head in range(8):
        step = torch.zeros(1, 8)
        step[0, head] = 0.02
        up, down = (gated_loss((logits + sign * step).sigmoid().reshape(2, 4)) for sign in (1, -1))
        assert float(slope[0, head]) == pytest.approx((up - down) / 0.04, abs=2e-3)


def test_the_induction_circuit_stays_open_and_name_movers_are_closed_on_random_tokens(fitted: Gates) -> None:
    assert fitted.class_of("l0h1") == fitted.class_of((1, 2)) == "facilitating"
    assert fitted.class_of("l1h1") == fitted.class_of("l1h3") == "interfering"
    assert fitted.losses.mean() < fitted.clean + 0.2
    assert {"l0h1", "l1h2"} <= {str(fitted.anatomy.select(text)) for text, one in fitted.classes.items()
                                if one == "facilitating"}  # fmt: skip
    assert torch.equal(fitted.values, fitted.closed - (1 - fitted.opened))


@pytest.mark.slow
def test_a_head_that_writes_nothing_goes_where_it_is_pushed() -> None:
    model = tiny.fresh("gpt2").float()
    hg.dissect(model).select("l1h2").zero_(model)
    ids = torch.randint(3, 31, (2, 9), generator=torch.Generator().manual_seed(3))
    found = hg.sweep(model, hg.Task(None, ids), "gate", seeds=2)
    assert isinstance(found, Gates)
    assert found.class_of("l1h2") == "irrelevant"
    assert found.opened[1, 2] > 0.97
    assert found.closed[1, 2] < 0.03


@pytest.mark.slow
def test_the_same_seed_gives_the_same_gates() -> None:
    one, again = (hg.sweep(MODEL, REPEATED.rows(slice(1)), "gate", seeds=1, seed=4) for _ in range(2))
    assert torch.equal(one.values, again.values)
    assert "One seed" in repr(one)
    assert one.receipt.options["seeds"] == 1


def test_classes_are_those_of_the_paper() -> None:
    assert gate_class(0.99, 0.9) == "facilitating"
    assert gate_class(0.99, 0.02) == "irrelevant"
    assert gate_class(0.01, 0.01) == "interfering"
    assert gate_class(0.01, 0.9) == "undecided"


def test_gates_of_answers_are_fitted_to_their_log_probability() -> None:
    task, sign, note = loss_of(hg.Task.names(TOKENIZER, 2))
    assert (task.metric, sign) == ("log_prob", -1.0)
    assert "not to logit_diff" in note
    assert loss_of(REPEATED) == (REPEATED, 1.0, "")


def test_a_table_has_both_gates_and_the_class_of_each_head(fitted: Gates) -> None:
    table = fitted.to_dataframe()
    assert list(table["part"]) == [f"l{layer}h{head}" for layer in range(2) for head in range(4)]
    assert table["closed"][6] == float(fitted.closed[1, 2])
    assert table["class"][6] == "facilitating"
    assert "facilitating" in repr(fitted)
    assert fitted["l1h2"] == float(fitted.values[1, 2])


@pytest.mark.slow
def test_what_has_no_loss_and_what_is_no_head_is_refused() -> None:
    task = hg.Task(TOKENIZER, REPEATED.ids, metric=lambda output: output.logits[:, 0, 0])
    with pytest.raises(ValueError, match="whether more of <lambda> is better is not known"):
        hg.sweep(MODEL, task, "gate")
    with pytest.raises(ValueError, match="one gate for each head"):
        hg.sweep(MODEL, REPEATED, "gate", positions=True)
    with pytest.raises(ValueError, match="push is a difference of the loss"):
        hg.sweep(MODEL, REPEATED, "gate", push=-0.1)
    with pytest.raises(KeyError, match="not one of these heads"):
        hg.sweep(MODEL, REPEATED.rows(slice(1)), "gate", seeds=1, push=0).class_of("l1")  # type: ignore[attr-defined]
