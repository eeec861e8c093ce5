"""Published circuits measured again: the shipped ones for real, and what is said where weights are not known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch
import transformers
from word_tokenizer import word_tokenizer

import headgrid as hg
from headgrid.library import CircuitRetest, CircuitRole, PublishedCircuit

TOKENIZER = word_tokenizer()

SMALL_IOI = replace(
    hg.library["ioi"],
    shape=replace(hg.library["ioi"].shape, n_layers=2, n_heads=3, n_kv_heads=3, d_model=24, d_head=8, d_mlp=40),
    roles={"early": CircuitRole("l0h2", "Comes first."), "late": CircuitRole("l1h[0,1]", "Comes second.")},
    edges=(("early", "late.k"),),
)
"""The task and the ablation of Wang et al., on a model that is small enough to be run by hand."""


@cache
def shipped() -> tuple[Any, Any]:
    return hg.demo()


@cache
def retested(name: str) -> CircuitRetest:
    return hg.library[name].retest(*shipped(), n=8, controls=20)


def untrained(seed: int = 0) -> Any:
    torch.manual_seed(seed)
    config = transformers.GPT2Config(
        n_layer=2, n_head=3, n_embd=24, n_inner=40, vocab_size=len(TOKENIZER), n_positions=64, bos_token_id=0,
        eos_token_id=0, initializer_range=0.6,
    )  # fmt: skip
    return transformers.GPT2LMHeadModel(config).eval()


# ---- the shipped circuits


def test_the_induction_circuit_of_the_shipped_model_is_confirmed_beside_every_other_pair_of_its_layers() -> None:
    found = retested("demo-induction")
    assert (found.weights, found.holds) == ("shipped", True)
    assert found.faithfulness is not None
    assert found.faithfulness.faithfulness.low > 0.9
    assert len(found.faithfulness.controls) == 15
    assert found.faithfulness.controls.max() < 0.1
    for role in ("previous token", "induction"):
        assert found.roles[role]["mean"].low > 3, "nats that the loss rises by without it"
        assert found.roles[role]["mean"].beyond == 1
    assert found.verdict.startswith("Confirmed on the weights that it was found in: the circuit alone does the task")


@pytest.mark.parametrize("name", ["demo-duplicate-marking", "demo-induction-grouped"])
def test_the_circuits_of_the_other_shipped_models_are_confirmed_beside_random_ones(name: str) -> None:
    circuit = hg.library[name]
    assert circuit.shipped
    found = circuit.retest(*circuit.shipped(), n=16, controls=15)
    assert (found.weights, found.holds) == ("shipped", True), found
    assert found.faithfulness is not None
    assert 0.9 < float(found.faithfulness) < 1.1
    assert found.faithfulness.controls.max() < 0.1
    for role in circuit.roles:
        assert abs(found.roles[role]["mean"].mean) > 3
        assert found.roles[role]["mean"].beyond == 1


def test_the_name_circuit_of_the_shipped_model_is_all_of_a_layer_so_chance_is_asked_of_its_roles() -> None:
    found = retested("demo-names")
    assert (found.weights, found.holds) == ("shipped", None)
    assert found.faithfulness is not None
    assert 0.8 < float(found.faithfulness) < 1.1
    suppressor = found.roles["suppressor"]["mean"]
    assert suppressor.high < -8
    assert suppressor.beyond == 1
    assert abs(found.roles["mover"]["mean"].mean) < 3
    assert found.verdict.startswith("Neither confirmed nor refuted on the weights")


def test_in_the_probability_of_the_name_the_mover_is_what_counts() -> None:
    model, tokenizer = shipped()
    found = hg.library["demo-names"].retest(model, task=hg.Task.names(tokenizer, 16, metric="prob"), controls=3)
    mover = found.roles["mover"]["mean"]
    assert mover.high < -0.9
    assert mover.beyond == 1
    assert found.faithfulness is not None
    assert float(found.faithfulness) > 0.99


@pytest.mark.slow
def test_a_circuit_that_is_another_one_does_not_hold_on_the_same_weights() -> None:
    wrong = replace(
        hg.library["demo-induction"],
        roles={"previous token": CircuitRole("l0h2", "Does not."), "induction": CircuitRole("l1h0", "Does not.")},
    )
    found = wrong.retest(*shipped(), n=8)
    assert (found.weights, found.holds) == ("shipped", False)
    assert found.verdict.startswith("Not confirmed on the weights that it was found in")


@pytest.mark.slow
def test_other_weights_of_the_same_shape_are_never_called_a_confirmation() -> None:
    model, tokenizer = hg.demo()
    with torch.no_grad():
        model.transformer.h[1].mlp.c_fc.weight[0, 0] += 1e-3
    found = hg.library["demo-induction"].retest(model, tokenizer, n=8)
    assert (found.weights, found.holds) == ("unknown", True)
    assert found.verdict.startswith(
        "No confirmation, whatever the numbers: nothing says that these weights are those of"
    )
    untrained_model = type(model)(model.config).eval()
    found = hg.library["demo-induction"].retest(untrained_model, tokenizer, n=8, controls=3)
    assert found.weights == "unknown"
    assert found.holds is not True


# ---- what is known of weights


@pytest.mark.parametrize(("name", "weights"), [("gpt2", "by name"), ("openai-community/gpt2", "by name"),
                                               ("gpt2-medium", "unknown"), ("", "unknown")])  # fmt: skip
def test_a_name_is_a_hint_and_the_verdict_says_so(name: str, weights: str) -> None:
    model = untrained()
    model.config.name_or_path = name
    found = SMALL_IOI.retest(model, TOKENIZER, n=4, controls=2)
    assert found.weights == weights
    start = {
        "by name": "Re-tested, as far as a name can be trusted",
        "unknown": "No confirmation, whatever the numbers",
    }
    assert found.verdict.startswith(start[weights])
    assert "Confirmed" not in repr(found)


# ---- by hand


def z_of(model: Any, ids: torch.Tensor) -> list[torch.Tensor]:
    """What enters W_O in each layer, `[rows, pos, n_heads, d_head]`."""
    seen: list[torch.Tensor] = []
    handles = [
        block.attn.c_proj.register_forward_pre_hook(
            lambda _, given: seen.append(given[0].unflatten(-1, (3, 8)).clone())
        )
        for block in model.transformer.h
    ]
    model(ids)
    for handle in handles:
        handle.remove()
    return seen


def scored(model: Any, task: hg.Task, instead: list[torch.Tensor], heads: set[tuple[int, int]]) -> torch.Tensor:
    """The logit difference of each row, with the z of some heads replaced."""

    def replaced(layer: int) -> Any:
        def hook(_: Any, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            z = given[0].unflatten(-1, (3, 8)).clone()
            for head in range(3):
                if (layer, head) in heads:
                    z[:, :, head] = instead[layer][..., head, :]
            return (z.flatten(-2),)

        return hook

    handles = [block.attn.c_proj.register_forward_pre_hook(replaced(i)) for i, block in enumerate(model.transformer.h)]
    logits = model(task.ids).logits[:, -1]
    for handle in handles:
        handle.remove()
    assert task.answers is not None
    assert task.wrong is not None
    return (logits.gather(1, task.answers) - logits.gather(1, task.wrong))[:, 0]


@torch.no_grad()
@pytest.mark.parametrize("mode", ["mean", "patch"])
def test_effects_and_faithfulness_are_those_of_a_forward_pass_by_hand(mode: str) -> None:
    model = untrained()
    circuit = replace(SMALL_IOI, mode=mode, over_corrupted=mode == "mean")  # type: ignore[arg-type]
    found = circuit.retest(model, TOKENIZER, n=6, seed=5, controls=2)
    task = hg.library["ioi"].task(TOKENIZER, 6, 5)  # type: ignore[misc]
    assert task.corrupted is not None
    others = z_of(model, task.corrupted["input_ids"])
    instead = [one.mean(0) for one in others] if mode == "mean" else others
    everything = {(layer, head) for layer in range(2) for head in range(3)}
    early, late = {(0, 2)}, {(1, 0), (1, 1)}
    clean = scored(model, task, instead, set())
    for name, heads in (("early", early), ("late", late)):
        by_hand = float((scored(model, task, instead, heads) - clean).mean())
        assert found.roles[name][mode].mean == pytest.approx(by_hand, abs=1e-4), name
        assert abs(by_hand) > 1e-3
    assert found.whole is not None
    assert found.whole[mode].mean == pytest.approx(
        float((scored(model, task, instead, early | late) - clean).mean()), abs=1e-4
    )
    ablated, kept = scored(model, task, instead, everything), scored(model, task, instead, everything - early - late)
    faithful = float((kept - ablated).mean() / (clean - ablated).mean())
    assert found.faithfulness is not None
    assert float(found.faithfulness) == pytest.approx(faithful, rel=1e-3)


def test_a_circuit_with_mlps_has_those_outside_it_replaced_too() -> None:
    circuit = replace(SMALL_IOI, roles={**SMALL_IOI.roles, "MLP": CircuitRole("l1 mlp", "Is one.")})
    found = circuit.retest(untrained(), TOKENIZER, n=4, controls=2)
    assert found.faithfulness is not None
    assert [one.part for one in found.faithfulness.members] == ["l0h2", "l1h0", "l1h1", "l1 mlp"]
    assert found.faithfulness.receipt.options["mlps"] is True
    assert set(found.roles) == {"early", "late", "MLP"}


TASKS = [one.name for one in hg.library.values() if one.task is not None and one.shipped is None]


@pytest.mark.parametrize("name", TASKS)
def test_every_task_of_the_library_is_one_that_a_model_of_its_tokenizer_can_be_asked(name: str) -> None:
    circuit = hg.library[name]
    small = replace(SMALL_IOI, task=circuit.task, mode=circuit.mode, over_corrupted=circuit.over_corrupted)
    found = small.retest(untrained(), TOKENIZER, n=4, controls=1)
    assert found.retested
    assert found.task is not None
    assert (found.task.n_rows, list(found.roles)) == (4, ["early", "late"])
    assert all(list(one) == [circuit.mode] for one in found.roles.values())
    assert found.faithfulness is not None
    reference = found.faithfulness.receipt.options["reference"]
    assert (reference is not None) == circuit.over_corrupted


# ---- what is not re-tested, and what is refused


def without_task() -> PublishedCircuit:
    return replace(SMALL_IOI, task=None)


def test_without_a_task_it_says_that_it_was_not_re_tested_here() -> None:
    found = without_task().retest(untrained(), TOKENIZER)
    assert (found.retested, found.holds, found.faithfulness, dict(found.roles)) == (False, None, None, {})
    assert found.verdict == (
        "Not re-tested here: headgrid has no task of the kind that it was found on; give task=."
    )  # fmt: skip
    assert "Not re-tested here" in repr(found)
    with pytest.raises(ValueError, match="there are no numbers: not re-tested here"):
        found.to_dataframe()
    mine = hg.library["ioi"].task(TOKENIZER, 4, 0)  # type: ignore[misc]
    assert without_task().retest(untrained(), task=mine, controls=0).retested


@pytest.mark.parametrize(("controls", "why"), [(0, "there is no random circuit"),
                                               (2, "2 random circuits, and 15 are needed")])  # fmt: skip
def test_few_random_circuits_no_verdict(controls: int, why: str) -> None:
    found = SMALL_IOI.retest(untrained(), TOKENIZER, n=4, controls=controls)
    assert (found.retested, found.holds) == (True, None)
    assert found.verdict.endswith(f"whether the circuit does better than chance cannot be told here ({why}).")


def test_where_everything_can_be_replaced_there_is_nothing_to_be_faithful_to() -> None:
    model, _ = shipped()
    task = hg.Task(None, torch.arange(5, 29).reshape(4, 6), answers=[5, 6, 7, 8], wrong=[9, 4, 3, 10])
    found = hg.library["demo-induction"].retest(model, task=task, controls=15)
    assert found.holds is None
    assert found.verdict.endswith("cannot be told here (the model does as well with everything replaced).")


def test_it_prints_and_is_a_table() -> None:
    found = retested("demo-induction")
    said = repr(found)
    assert "15 random circuits: mean" in said
    assert "previous token  mean +" in said
    assert found._repr_html_().startswith("<pre")
    table = found.to_dataframe()
    assert list(table["what"]) == ["the circuit", "previous token", "induction"]
    assert list(table["beyond"])[1:] == [1, 1]


def test_a_model_of_another_shape_a_missing_tokenizer_and_other_arguments_are_refused() -> None:
    model, tokenizer = shipped()
    with pytest.raises(ValueError, match="n_layers 2 instead of 12"):
        hg.library["ioi"].retest(model, tokenizer)
    with pytest.raises(TypeError, match="retest needs the model's tokenizer"):
        hg.library["demo-induction"].retest(model)
    with pytest.raises(TypeError, match="model is a model of transformers or TransformerLens"):
        hg.library["demo-induction"].retest(model.config, tokenizer)
    with pytest.raises(TypeError, match=r"task is a headgrid\.Task"):
        hg.library["demo-induction"].retest(model, task="names")
    with pytest.raises(ValueError, match="n is a number of prompts from 2 to"):
        hg.library["demo-induction"].retest(model, tokenizer, n=1)
    with pytest.raises(TypeError, match="progress is True, False or a function"):
        hg.library["demo-induction"].retest(model, tokenizer, progress="yes")


def test_long_work_is_told_of_and_can_be_stopped() -> None:
    from headgrid.circuits.progress import Cancelled

    told: list[int] = []
    SMALL_IOI.retest(untrained(), TOKENIZER, n=4, controls=1, progress=lambda done, total: told.append(done))
    assert len(told) > 3
    with pytest.raises(Cancelled):
        SMALL_IOI.retest(untrained(), TOKENIZER, n=4, cancelled=lambda: True)
