"""Sweeps and effects: every number is that of a loop of single ablations, and stands beside its control."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hooking import LLAMA, anatomy_of, tokens
from torch.testing import assert_close

import headgrid as hg
from headgrid.experiments.effect import effect, random_sets
from headgrid.experiments.effects import interval
from headgrid.experiments.runs import Runs
from headgrid.experiments.sweep import sweep
from headgrid.experiments.task import Task

UNLIKE = ["gpt2", LLAMA, "gemma2", "bloom", "deepseek_v3", "mixtral", "bert", "jamba", "falcon-40b"]


@functools.cache
def shipped() -> tuple[Any, Any]:
    return hg.demo()


def task_of(rows: int = 4, seed: int = 5) -> Task:
    other = tokens(rows, 7, seed=seed + 1)
    return Task(
        None, tokens(rows, 7, seed=seed), answers=[7, 9, 11, 12][:rows], wrong=[4, 5, 6, 8][:rows], corrupted=other
    )


def heads(family: str) -> list[tuple[int, int]]:
    return [(int(layer), int(head)) for layer, head in zip(*anatomy_of(family).exists["W_O"].nonzero(), strict=True)]


# ---- sweeps


@pytest.mark.parametrize("mode", ["zero", "mean", "patch"])
@pytest.mark.parametrize("family", UNLIKE)
def test_a_sweep_is_a_loop_of_single_ablations(family: str, mode: str) -> None:
    model, task = tiny.model(family), task_of()
    got = sweep(model, task, mode, batch_size=3, memory=2**20)
    expected = torch.full(got.values.shape, torch.nan, dtype=torch.float64)
    which = task.corrupted if mode == "patch" else task.inputs
    assert which is not None
    with torch.no_grad():
        before = task.score(model(**which))
        for layer, head in heads(family):
            text = f"l{layer}h{head}"
            if mode == "patch":
                with hg.record(model, text) as cache:
                    model(**task.inputs)
                context = hg.patch(model, text, cache)
            elif mode == "mean":
                context = hg.ablate(model, text, "mean", reference=task.inputs["input_ids"], per_position=True)
            else:
                context = hg.ablate(model, text)
            with context:
                expected[layer, head] = (task.score(model(**which)) - before).mean()
    assert_close(got.values, expected, equal_nan=True, rtol=1e-5, atol=1e-6)
    assert got.rows is not None
    assert_close(got.rows.mean(0), got.values, equal_nan=True)


@pytest.mark.parametrize("family", ["t5", "bart", "whisper", "llava"])
def test_every_stack_of_a_model_is_swept(family: str) -> None:
    model, anatomy = tiny.model(family), anatomy_of(family)
    given = dict(tiny.inputs(family))
    task = Task(None, given, answers=[7, 9], wrong=[4, 5])
    for stack in anatomy.stacks:
        if not stack.n_heads:
            continue
        got = sweep(model, task, "zero", stack=stack.name)
        with torch.no_grad(), hg.ablate(model, f"{stack.name} l1h2"):
            after = task.score(model(**given))
        assert_close(got.values[1, 2], (after - Runs(model, task).score()).mean())
        assert got.text(1, 2) == f"{stack.name} l1h2".lstrip()


@pytest.mark.slow
def test_resampled_effects_are_means_over_draws_of_other_rows() -> None:
    model, task = tiny.model(LLAMA), task_of()
    got = sweep(model, task, "resample", draws=150)
    with hg.record(model, "l1h2") as cache, torch.no_grad():
        clean = task.score(model(**task.inputs))
    z, exact = cache["l1h2"], []
    for shift in range(1, 4):  # every other row, once for each
        with hg.patch(model, "l1h2", z.roll(-shift, 0).clone()), torch.no_grad():
            exact.append(task.score(model(**task.inputs)) - clean)
    assert_close(float(got.values[1, 2]), float(torch.stack(exact).mean()), rtol=0.1, atol=0.02)
    assert any("draws" in note for note in got.notes)
    assert_close(sweep(model, task, "resample").values, sweep(model, task, "resample").values, rtol=0, atol=0)


def test_mlps_are_swept_too() -> None:
    model, task = tiny.model(LLAMA), task_of()
    got = sweep(model, task, "zero", unit="mlp")
    assert got.shape == (3, 1)
    for layer in range(3):
        with hg.ablate(model, f"l{layer} mlp"), torch.no_grad():
            after = task.score(model(**task.inputs))
        assert_close(got.values[layer, 0], (after - Runs(model, task).score()).mean())
    assert str(got.top(1)) == f"l{int(got.values.abs().argmax())} mlp"


def test_positions_are_swept_one_by_one() -> None:
    model, task = tiny.model(LLAMA), task_of()
    got = sweep(model, task, "zero", positions=True)
    assert got.shape == (3, 6, 7)
    for position in (0, 4, 6):
        with hg.ablate(model, "l1h2", positions=position), torch.no_grad():
            after = task.score(model(**task.inputs))
        assert_close(got.values[1, 2, position], (after - Runs(model, task).score()).mean())


def test_a_mean_over_positions_leaves_padding_out() -> None:
    model = tiny.fresh(LLAMA, "sdpa").float()
    ids = tokens(3, 7)
    mask = torch.ones_like(ids)
    mask[1, 5:] = mask[2, 4:] = 0
    task = Task(None, {"input_ids": ids, "attention_mask": mask}, answers=[7, 9, 11], wrong=[4, 5, 6])
    got = sweep(model, task, "mean")
    with hg.ablate(model, "l1h2", "mean", reference=dict(task.inputs)), torch.no_grad():
        after = task.score(model(**task.inputs))
    assert_close(float(got.values[1, 2]), float((after - Runs(model, task).score()).mean()), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="differ in length"):
        sweep(model, task, "mean", per_position=True)
    with pytest.raises(ValueError, match="differ in length"):
        sweep(model, task, "resample")


def test_a_sweep_tells_how_far_it_is_and_can_be_stopped() -> None:
    told: list[tuple[int, int]] = []
    sweep(tiny.model(LLAMA), task_of(), "zero", memory=1, progress=lambda done, total: told.append((done, total)))
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == 18
    from headgrid.circuits.progress import Cancelled

    with pytest.raises(Cancelled):
        sweep(tiny.model(LLAMA), task_of(), "zero", cancelled=lambda: True)
    assert not tiny.model(LLAMA).model.layers[0].__dict__.get("forward")


def test_a_metric_of_the_whole_output_is_swept() -> None:
    def first(output: Any) -> torch.Tensor:
        return output.logits[:, 0].norm(dim=-1)

    task = Task(None, tokens(4, 7), metric=first)
    got = sweep(tiny.model(LLAMA), task, "zero")
    with hg.ablate(tiny.model(LLAMA), "l1h2"), torch.no_grad():
        after = first(tiny.model(LLAMA)(tokens(4, 7)))
    assert_close(got.values[1, 2], (after - Runs(tiny.model(LLAMA), task).score()).mean())


def test_kl_of_a_sweep_is_to_the_untouched_run() -> None:
    got = sweep(tiny.model(LLAMA), Task(None, tokens(4, 7), metric="kl"), "zero")
    assert (got.values > 0).all()
    assert got.clean == pytest.approx(0, abs=1e-9)


# ---- what a result is


def test_effects_become_selections_arrays_and_tables() -> None:
    model, tokenizer = shipped()
    got = sweep(model, Task.repeated(tokenizer, 6, 12), "mean")
    assert str(got.top(2)) == str(hg.dissect(model).select("l0h1 | l1h2"))
    assert got.select(min=1) == got.top(2, sign="positive")
    assert got["l1h2"] == got[1, 2] == float(got.values[1, 2])
    assert np.asarray(got).shape == (2, 4)
    table = got.to_dataframe()
    assert list(table["part"]) == [f"l{layer}h{head}" for layer in range(2) for head in range(4)]
    assert (table["low"] <= table["effect"]).all()
    assert (table["effect"] <= table["high"]).all()
    assert "l1h2" in repr(got)
    assert got.receipt.method == "mean"
    assert got.receipt.task == Task.repeated(tokenizer, 6, 12).fingerprint
    with pytest.raises(ValueError, match="no corrupted inputs"):
        _ = got.normalized
    with pytest.raises(ValueError, match="takes a bound"):
        got.select()
    with pytest.raises(KeyError):
        got["l0 mlp"]


def test_effects_color_a_grid_and_say_what_they_are() -> None:
    model, tokenizer = shipped()
    got = sweep(model, Task.repeated(tokenizer, 6, 12), "mean")
    grid, other = hg.HeadGrid(model), hg.HeadGrid(model)
    grid.color_by(got)
    other.color_by(got.values, label="loss: mean")
    assert grid.colors == other.colors
    assert grid.colors["label"] == "loss: mean"
    grid.color_by(sweep(model, Task.repeated(tokenizer, 6, 12), "zero", unit="mlp"))
    assert grid.colors["label"] == "loss: zero"
    encoder = sweep(tiny.model("t5"), Task(None, dict(tiny.inputs("t5")), answers=[7, 9]), "zero", stack="encoder")
    assert list(encoder.to_colors()) == ["encoder"]
    hg.HeadGrid(tiny.model("t5")).color_by(encoder)


def test_effects_are_normalized_by_clean_minus_corrupted() -> None:
    got = sweep(tiny.model(LLAMA), task_of(), "patch")
    assert got.corrupted is not None
    assert_close(got.normalized, got.values / (got.clean - got.corrupted))


def test_denoising_all_heads_and_noising_them_are_about_each_other() -> None:
    model, task = tiny.model(LLAMA), task_of()
    anatomy = anatomy_of(LLAMA)
    every = anatomy.select("l*h*")
    denoised = effect(model, task, every, "patch")["patch"].mean
    noised = effect(model, task, every, "patch", direction="noise")["patch"].mean
    with hg.record(model, "l*h*") as cache, torch.no_grad():
        model(**task.inputs)
    with hg.patch(model, "l*h*", cache), torch.no_grad():
        after = task.score(model(**task.corrupted))  # type: ignore[arg-type]
    assert denoised == pytest.approx(float((after - Runs(model, task).score("corrupted")).mean()), rel=1e-6)
    assert denoised * noised != 0


# ---- effects of a set, beside random sets


@pytest.mark.parametrize("mode", ["zero", "mean", "patch"])
def test_a_set_is_replaced_together_and_each_control_likewise(mode: str) -> None:
    model, task = tiny.model(LLAMA), task_of()
    got = effect(model, task, "l0h[1,4] | l2h3", mode, controls=7, seed=3)
    pool = {("z", "", layer): tuple(range(6)) for layer in (0, 2)}
    chosen = {("z", "", 0): (1, 4), ("z", "", 2): (3,)}
    sets = random_sets(chosen, pool, 7, 3)  # type: ignore[arg-type]
    assert len(sets) == len({tuple(sorted(one.items())) for one in sets}) == 7
    texts = ["l0h[1,4] | l2h3"]
    for one in sets:
        listed = [(where[2], ",".join(map(str, sorted(numbers)))) for where, numbers in one.items()]
        texts.append(" | ".join(f"l{layer}h[{numbers}]" for layer, numbers in listed))
    means = []
    which = task.corrupted if mode == "patch" else task.inputs
    assert which is not None
    for text in texts:
        with torch.no_grad():
            before = task.score(model(**which))
            if mode == "patch":
                with hg.record(model, text) as cache:
                    model(**task.inputs)
                context = hg.patch(model, text, cache)
            else:
                reference = {} if mode == "zero" else {"reference": task.inputs["input_ids"], "per_position": True}
                context = hg.ablate(model, text, mode, **reference)  # type: ignore[arg-type]
            with context:
                means.append(float((task.score(model(**which)) - before).mean()))
    assert got[mode].mean == pytest.approx(means[0], rel=1e-5)
    assert_close(got[mode].controls, torch.tensor(means[1:], dtype=torch.float64), rtol=1e-5, atol=1e-6)
    assert got[mode].beyond == np.mean(np.abs(means[1:]) < abs(means[0]))


def test_where_there_are_few_other_sets_all_are_controls_and_it_says_so() -> None:
    got = effect(tiny.model("gpt2"), task_of(), "l1h2", "zero", controls=50)
    assert len(got["zero"].controls) == 3
    assert any("only 3 other sets" in note for note in got.notes)


def test_modes_that_disagree_in_sign_are_said_to() -> None:
    model, tokenizer = shipped()
    got = effect(model, Task.names(tokenizer, 32), "l1h2")
    assert got["zero"].low > 0 > got["resample"].high
    assert any("disagree in sign" in note for note in got.notes)
    assert "resample" in repr(got)
    assert set(got.to_dataframe()["mode"]) == {"zero", "mean", "resample", "patch"}


def test_neurons_and_single_positions_have_effects() -> None:
    model, task = tiny.model(LLAMA), task_of()
    got = effect(model, task, "l1 mlp n[3,7] | l0h2", "zero", controls=5, positions=[-1])
    with hg.ablate(model, "l1 mlp n[3,7] | l0h2", positions=[-1]), torch.no_grad():
        after = task.score(model(**task.inputs))
    assert got["zero"].mean == pytest.approx(float((after - Runs(model, task).score()).mean()), rel=1e-6)
    assert len(got["zero"].controls) == 5


def test_effects_of_any_set_of_an_untrained_model_lie_among_those_of_random_sets() -> None:
    model = tiny.model(LLAMA)
    inside = 0
    for seed in range(10):
        task = Task(None, tokens(12, 7, seed=seed), metric="loss")
        got = effect(model, task, f"l1h[{seed % 3},{3 + seed % 3}]", "mean", controls=14)["mean"]
        inside += 0 < got.beyond < 1  # type: ignore[operator]
    assert inside >= 7


# ---- intervals


def test_an_interval_covers_the_mean_of_the_population_about_as_often_as_it_says() -> None:
    generator = torch.Generator().manual_seed(0)
    hits = 0
    for seed in range(200):
        low, high = interval(torch.randn(40, generator=generator, dtype=torch.float64) + 3, confidence=0.9, seed=seed)
        hits += bool(low <= 3 <= high)
    assert 165 <= hits <= 192


def test_one_row_has_no_interval() -> None:
    low, high = interval(torch.ones(1, 2, 3))
    assert low.isnan().all()
    assert high.isnan().all()
    got = effect(tiny.model(LLAMA), task_of(rows=1), "l1h2", "zero")
    assert any("no interval" in note for note in got.notes)


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({"selection": "none"}, ValueError, "no head or neuron"),
        ({"selection": "l9h0"}, ValueError, "l9"),
        ({"selection": "embed"}, ValueError, "embed"),
        ({"modes": "median"}, ValueError, "modes is"),
        ({"controls": -1}, ValueError, "controls"),
        ({"controls": True}, TypeError, "controls"),
        ({"draws": 0}, ValueError, "draws"),
        ({"direction": "both"}, ValueError, "direction is"),
        ({"per_position": 1}, TypeError, "per_position is"),
        ({"reference": tokens(2, 7)}, TypeError, "reference is"),
        ({"positions": 7}, ValueError, "position 7 is out of range"),
        ({"task": tokens(2, 7)}, TypeError, "task is"),
        ({"model": 3}, TypeError, "model is"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"memory": 0}, ValueError, "memory"),
        ({"progress": 3}, TypeError, "progress"),
        ({"cancelled": 3}, TypeError, "cancelled"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(options: dict[str, Any], kind: type[Exception], said: str) -> None:
    given = {"model": tiny.model(LLAMA), "task": task_of(), "selection": "l1h2", **options}
    with pytest.raises(kind, match=said):
        effect(given.pop("model"), given.pop("task"), given.pop("selection"), **given)


def test_patching_without_corrupted_inputs_is_refused() -> None:
    task = Task(None, tokens(4, 7))
    with pytest.raises(ValueError, match="corrupted"):
        effect(tiny.model(LLAMA), task, "l1h2", "patch")
    with pytest.raises(ValueError, match="corrupted"):
        sweep(tiny.model(LLAMA), task, "patch")
    with pytest.raises(ValueError, match="one row"):
        sweep(tiny.model(LLAMA), Task(None, tokens(1, 7)), "resample")


def test_a_layer_that_runs_several_times_in_a_pass_is_refused() -> None:
    with pytest.raises(ValueError, match="runs 3 times in a pass"):
        sweep(tiny.model("albert"), Task(None, tokens(4, 7), answers=[3, 4, 5, 6]), "mean")
