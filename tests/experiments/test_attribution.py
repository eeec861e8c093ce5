"""Attribution: the gradient that plain torch finds, small steps measured exactly, and the peer's scores of nodes."""

from __future__ import annotations

import functools
from typing import Any

import bridges
import pytest
import tiny
import torch
from hooking import LLAMA, anatomy_of, tokens
from torch.testing import assert_close

import headgrid as hg
from headgrid.experiments.interventions import Interventions
from headgrid.experiments.replacing import Replacements
from headgrid.experiments.runs import Runs
from headgrid.experiments.saturation import turned
from headgrid.experiments.singles import Singles
from headgrid.experiments.sweep import sweep
from headgrid.experiments.task import Task

UNLIKE = ["gpt2", LLAMA, "gemma2", "bloom", "deepseek_v3", "gpt_oss", "bert", "jamba", "cohere", "granite"]


def task_of(rows: int = 3, seed: int = 5, **more: Any) -> Task:
    given = {"corrupted": tokens(rows, 7, seed=seed + 1), "answers": [7, 9, 11][:rows], "wrong": [4, 5, 6][:rows]}
    return Task(None, tokens(rows, 7, seed=seed), **{**given, **more})


@functools.cache
def shipped() -> tuple[Any, Any]:
    return hg.demo()


# ---- the estimate


def owner(family: str, layer: int) -> torch.nn.Module:
    slot = anatomy_of(family).places["W_O", layer][0]
    return tiny.model(family).get_submodule(slot.parameter.rpartition(".")[0])


def by_hand(family: str, task: Task, direction: str) -> torch.Tensor:
    """The estimates of llama and gpt2 by hooks and a backward pass of our own, `[rows, pos, n_layers, n_heads]`."""
    model, anatomy = tiny.model(family), anatomy_of(family)
    seen: dict[str, list[torch.Tensor]] = {"clean": [], "corrupted": []}

    def run(which: str) -> torch.Tensor:
        def hook(_: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            seen[which].append(given[0].detach().requires_grad_() if not seen[which] else given[0])
            seen[which][-1].retain_grad()
            return (seen[which][-1],)

        handles = [owner(family, layer).register_forward_pre_hook(hook) for layer in range(anatomy.n_layers)]
        with torch.enable_grad():
            logits = model(task.inputs["input_ids"] if which == "clean" else task.corrupted["input_ids"]).logits[:, -1]
        for handle in handles:
            handle.remove()
        rows = torch.arange(task.n_rows)
        return logits[rows, task.answers[:, 0]] - logits[rows, task.wrong[:, 0]]

    scores = {which: run(which) for which in ("clean", "corrupted")}
    base, other = ("corrupted", "clean") if direction == "denoise" else ("clean", "corrupted")
    found = torch.autograd.grad(scores[base].sum(), seen[base])
    each = [
        ((new - old) * slope).unflatten(-1, (anatomy.n_heads, -1)).sum(-1)
        for new, old, slope in zip(seen[other], seen[base], found, strict=True)
    ]
    return torch.stack(each, 2).detach()


@pytest.mark.parametrize("direction", ["denoise", "noise"])
@pytest.mark.parametrize("family", ["gpt2", LLAMA])
def test_estimates_are_the_gradient_times_the_change(family: str, direction: Any) -> None:
    task = task_of()
    expected = by_hand(family, task, direction)
    for batch_size in (None, 2):
        got = sweep(tiny.model(family), task, "attribution", direction=direction, check=0, batch_size=batch_size)
        assert_close(got.rows, expected.sum(1), atol=1e-12, rtol=1e-9)
        apart = sweep(
            tiny.model(family), task, "attribution", direction=direction, positions=True, check=0, batch_size=batch_size
        )
        assert_close(apart.rows, expected.permute(0, 2, 3, 1), atol=1e-12, rtol=1e-9)


def differences(given: Interventions, singles: Singles, old: Any, new: Any, base: Any) -> torch.Tensor:
    """How fast the metric changes from old to new activations, `[places, rows]`; norms round to single precision."""

    def scored(step: float) -> torch.Tensor:
        values = {where: old[where] + step * (new[where] - old[where]) for where in old}
        return given.scores(singles.masks(singles.places), values, base)

    return (scored(1e-3) - scored(-1e-3)) / 2e-3


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["head", "q", "k", "v", "mlp"])
@pytest.mark.parametrize("family", UNLIKE)
def test_an_estimate_is_the_exact_effect_of_a_small_change(family: str, unit: Any) -> None:
    """A step so small that the model is linear in it: by finite differences, on either side."""
    runs = Runs(tiny.model(family), task_of())
    try:
        singles = Singles(runs.anatomy, runs.anatomy.main, unit)
    except ValueError:
        pytest.skip("it has none")
    given = Interventions(runs, singles.wanted)
    got = sweep(runs.model, runs.task, "attribution", unit=unit, check=0)
    clean, corrupted = given.recorded("clean"), given.recorded("corrupted")
    slopes = differences(given, singles, corrupted, clean, "corrupted")
    assert got.rows is not None
    for slope, (where, number) in zip(slopes, singles.places, strict=True):
        assert_close(got.rows[:, where[2], number or 0], slope, atol=6e-5 + 2e-3 * float(slopes.abs().max()), rtol=1e-3)
    assert slopes.abs().max() > 1e-6


@pytest.mark.parametrize("replaces", ["mean", "zero"])
def test_estimates_of_means_and_zeros_are_small_changes_towards_them(replaces: Any) -> None:
    runs = Runs(tiny.model("gemma2"), task_of())
    singles = Singles(runs.anatomy, runs.anatomy.main, "head")
    given = Interventions(runs, singles.wanted)
    got = sweep(runs.model, runs.task, "attribution", replaces=replaces, check=0)
    clean = given.recorded("clean")
    target = {where: one.mean(0, keepdim=True) * (replaces == "mean") for where, one in clean.items()}
    slopes = differences(given, singles, clean, target, "clean")
    for slope, (where, number) in zip(slopes, singles.places, strict=True):
        assert_close(got.rows[:, where[2], number], slope, atol=2e-3 * float(slopes.abs().max()), rtol=1e-3)


def nearly_linear(family: str) -> torch.nn.Module:
    """A model whose weights are so small that each head changes little."""
    model = tiny.fresh(family)
    with torch.no_grad():
        for slot in hg.dissect(model).slots:
            if slot.role in ("W_O", "b_O", "W_out", "b_out"):
                slot.of(model.get_parameter(slot.parameter)).mul_(0.02)
    return model


@pytest.mark.parametrize("family", ["gpt2", LLAMA, "bloom"])
def test_estimates_are_the_exact_effects_where_heads_change_little(family: str) -> None:
    model, task = nearly_linear(family), task_of()
    for replaces in ("patch", "mean", "zero"):
        exact = sweep(model, task, replaces)
        got = sweep(model, task, "attribution", replaces=replaces, check=0)
        pair = torch.stack([exact.values.flatten(), got.values.flatten()])
        assert torch.corrcoef(pair)[0, 1] > 0.99
        assert_close(got.values, exact.values, rtol=0.2, atol=0.02 * float(exact.values.abs().max()))


def test_neurons_sum_to_their_mlp() -> None:
    each = sweep(tiny.model("gpt2"), task_of(), "attribution", unit="neuron", check=2)
    whole = sweep(tiny.model("gpt2"), task_of(), "attribution", unit="mlp", check=0)
    assert each.values.shape == (3, 22)
    assert_close(each.values.sum(1, keepdim=True), whole.values)
    assert all(name.split()[1:2] == ["mlp"] and each[name] for name in each.exact)


def test_a_frozen_model_and_the_callers_modes_change_nothing() -> None:
    model = tiny.fresh("gpt2")
    expected = sweep(model, task_of(), "attribution", check=2)
    model.requires_grad_(False)
    for context in (torch.no_grad(), torch.inference_mode(), torch.enable_grad()):
        with context:
            got = sweep(model, task_of(), "attribution", check=2)
        assert_close(got.values, expected.values, rtol=0, atol=0)
        assert got.exact == expected.exact
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_layers_that_run_several_times_are_summed() -> None:
    model, task = tiny.model("albert"), task_of()
    got = sweep(model, task, "attribution", replaces="zero", check=0)
    steps = []
    for size in (1 + 1e-4, 1 - 1e-4):
        scaled = []
        for head in range(4):
            with hg.record(model, f"l0h{head}") as cache, torch.no_grad():
                model(**task.inputs)
            assert len(cache.runs(f"l0h{head}")) == 3
            module = model.albert.encoder.albert_layer_groups[0].albert_layers[0].attention.dense

            def hook(_: Any, given: Any, head: int = head, size: float = size) -> Any:
                z = given[0].unflatten(-1, (4, 7)).clone()
                z[..., head, :] *= size
                return (z.flatten(-2),)

            handle = module.register_forward_pre_hook(hook)
            with torch.no_grad():
                scaled.append(task.score(model(**task.inputs)))
            handle.remove()
        steps.append(torch.stack(scaled, 1))
    assert_close(got.rows[:, 0], (steps[1] - steps[0]) / 2e-4, atol=1e-6, rtol=1e-4)


# ---- beside the peer


@pytest.mark.parametrize("family", ["gpt2", LLAMA])
def test_estimates_are_those_of_transformer_lens(family: str) -> None:
    analysis = pytest.importorskip("transformer_lens.tools.analysis.attribution_patching")
    bridge, task = bridges.bridge(family), task_of(rows=1)

    def metric(logits: torch.Tensor) -> torch.Tensor:
        return logits[0, -1, 7] - logits[0, -1, 4]

    expected = torch.zeros(7, anatomy_of(family).n_layers, anatomy_of(family).n_heads)
    found = analysis.attribution_patch(bridge, task.inputs["input_ids"], task.corrupted["input_ids"], metric)
    for node, score in found.node_scores.items():
        if node.kind == "attn_head_out":
            expected[node.position, node.layer, node.head] = score
    for model in (bridge, bridges.fresh(family)):
        got = sweep(model, task, "attribution", positions=True, check=0)
        assert_close(got.values.float(), expected.permute(1, 2, 0), atol=1e-6, rtol=1e-5)


# ---- how far it can be trusted


def test_the_largest_are_measured_and_the_error_is_said() -> None:
    model, tokenizer = shipped()
    task = Task.names(tokenizer, 8)
    exact = sweep(model, task, "patch")
    got = sweep(model, task, "attribution", check=3)
    assert set(got.exact) == {"l1h0", "l1h1", "l1h3"}
    for name, effect in got.exact.items():
        assert effect == pytest.approx(exact[name], rel=1e-5)
    assert got.errors == pytest.approx(max(abs(got[name] - exact[name]) for name in got.exact), rel=1e-5)
    assert got.errors is not None
    assert got.errors > 1
    assert any("estimated" in note and "measured" in note for note in got.notes)
    assert any("none was measured" in note for note in sweep(model, task, "attribution", check=0).notes)


def test_measured_positions_are_those_of_a_sweep_of_positions() -> None:
    model, task = tiny.model("gpt2"), task_of()
    got, exact = (sweep(model, task, method, positions=True) for method in ("attribution", "patch"))
    assert len(got.exact) == 10
    for name, effect in got.exact.items():
        part, position = name.split(" @")
        layer, head = (int(one) for one in part[1:].split("h"))
        assert effect == pytest.approx(float(exact.values[layer, head, int(position)]))


def saturated(sharpness: float) -> tuple[torch.nn.Module, Task]:
    """A model whose last layer's attention is nearly one-hot."""
    model = tiny.fresh(LLAMA)
    with torch.no_grad():
        for side in ("q_proj", "k_proj"):
            getattr(model.model.layers[2].self_attn, side).weight.mul_(sharpness)
    return model, task_of()


@pytest.mark.parametrize("family", ["gpt2", LLAMA, "gemma2", "gpt_oss", "bloom"])
@pytest.mark.parametrize("side", ["q", "k"])
def test_what_turns_a_pattern_is_computed_with_the_models_own_attention(family: str, side: Any) -> None:
    """By hand: the pattern with other queries or keys of one head alone, times the gradient at the pattern."""
    runs = Runs(tiny.model(family), task_of())
    singles = Singles(runs.anatomy, runs.anatomy.main, "head")
    given = Interventions(runs, singles.wanted)
    from headgrid.experiments.attribution import estimated

    replacements = Replacements(given)
    _, gradients = estimated(singles, replacements, "patch")
    got = turned(singles, replacements, "patch", gradients)[side]
    layer, head = 1, 3
    text = f"l{layer}h{head}"
    kv = int(runs.anatomy.kv_head_of[head])
    other = text if side == "q" else f"l{layer}g{kv}"
    model, task = runs.model, runs.task
    with hg.record(model, f"{other}.{side}") as cache, torch.no_grad():
        model(**task.inputs)
    with hg.record(model, f"{text}.pattern", detach=False) as before:
        score = task.score(model(**task.corrupted))
    (slope,) = torch.autograd.grad(score.sum(), before[f"{text}.pattern"])
    with hg.patch(model, f"{other}.{side}", cache), hg.record(model, f"{text}.pattern") as after, torch.no_grad():
        model(**task.corrupted)
    change = (after[f"{text}.pattern"] - before[f"{text}.pattern"].detach()) * slope
    assert_close(got.whole[:, layer, head], change.sum((1, 2)).double(), atol=1e-5, rtol=1e-4)
    small = 1e-3
    own = {}
    for which, inputs in (("clean", task.inputs), ("corrupted", task.corrupted)):
        with hg.record(model, f"{other}.{side}") as cache, torch.no_grad():
            model(**inputs)
        own[which] = cache[f"{other}.{side}"]
    if family != "gemma2":  # its cap is taken as what it does as a whole
        with hg.record(model, f"{text}.pattern") as after, torch.no_grad():
            step = own["corrupted"] + small * (own["clean"] - own["corrupted"])
            with hg.patch(model, f"{other}.{side}", step):
                model(**task.corrupted)
        change = (after[f"{text}.pattern"] - before[f"{text}.pattern"].detach()) * slope / small
        assert_close(got.seen[:, layer, head], change.sum((1, 2)).double(), atol=1e-4, rtol=1e-2)


def test_saturated_attention_is_said_and_other_attention_is_not() -> None:
    model, task = saturated(6.0)
    got = sweep(model, task, "attribution", check=10)
    assert any("saturated" in note and "l2h" in note for note in got.notes)
    mild = nearly_linear("gpt2")
    with torch.no_grad():
        for block in mild.transformer.h:
            block.attn.c_attn.weight[:, :56].mul_(0.05)
    assert not any("saturated" in note for note in sweep(mild, task_of(), "attribution", check=4).notes)


def test_gated_attention_is_not_looked_at_and_says_so() -> None:
    got = sweep(tiny.model("qwen3_next"), task_of(), "attribution", check=2)
    assert any("not known" in note and "not its pattern times its values" in note for note in got.notes)


# ---- what is refused


def test_what_has_no_gradient_is_refused() -> None:
    def right(output: Any) -> torch.Tensor:
        return (output.logits[:, -1].argmax(-1) == torch.tensor([7, 9, 11])).double()

    model = tiny.model("gpt2")
    with pytest.raises(ValueError, match="has no gradient"):
        sweep(model, task_of(metric=right), "attribution")
    with pytest.raises(ValueError, match="zero in the clean run"):
        sweep(model, task_of(metric="kl"), "attribution", replaces="mean")
    found = sweep(model, task_of(metric="kl"), "attribution", check=1)
    assert found.values.abs().max() > 0


def test_arguments_that_do_not_fit_the_method_are_refused() -> None:
    model = tiny.model("gpt2")
    with pytest.raises(ValueError, match="replaces says what an attribution estimates"):
        sweep(model, task_of(), "mean", replaces="patch")
    with pytest.raises(ValueError, match="'neuron' is of method 'attribution'"):
        sweep(model, task_of(), "mean", unit="neuron")
    with pytest.raises(ValueError, match="resample"):
        sweep(model, task_of(), "attribution", replaces="resample")
    with pytest.raises(ValueError, match="corrupted"):
        sweep(model, task_of(corrupted=None), "attribution", replaces="patch")
    assert sweep(model, task_of(corrupted=None), "attribution", check=0).receipt.options["replaces"] == "mean"
