"""Direct contributions: decompositions by hand in float64, and terms that sum to the logits in every decoder."""

from __future__ import annotations

from typing import Any

import bridges
import pytest
import tiny
import torch
import transformers
from hooking import LLAMA, tokens
from torch.testing import assert_close

import headgrid as hg
from headgrid.experiments.contributions import Contributions
from headgrid.experiments.sweep import sweep
from headgrid.experiments.task import Task

DECODERS = [
    family
    for family in tiny.FAMILIES
    if type(tiny.config(family)) in transformers.AutoModelForCausalLM._model_mapping
    and family
    not in ("bert", "roberta", "xlm-roberta", "camembert", "electra", "bart", "whisper", "gemma3 with vision")
]


def task_of(rows: int = 3, **more: Any) -> Task:
    given = {"answers": [7, 9, [11, 12]][:rows], "wrong": [4, [5, 8], 6][:rows]}
    return Task(None, tokens(rows, 7), **{**given, **more})


def direct(model: torch.nn.Module, task: Task, **more: Any) -> Contributions:
    found = sweep(model, task, "direct", **more)
    assert isinstance(found, Contributions)
    return found


def logit_diff(model: torch.nn.Module, task: Task, position: int = -1) -> torch.Tensor:
    with torch.no_grad():
        logits = model(**task.inputs).logits[:, position].double()
    pairs = zip(logits, [7, 9, [11, 12]], [4, [5, 8], 6], strict=True)
    return torch.stack([row[right].mean() - row[wrong].mean() for row, right, wrong in pairs])


# ---- law 10


@pytest.mark.parametrize("family", DECODERS)
def test_the_terms_sum_to_the_logit_difference(family: str) -> None:
    model, task = tiny.fresh(family).float(), task_of()
    found = direct(model, task, batch_size=2)
    expected = logit_diff(model, task)
    largest = torch.stack([*found.terms.values(), expected]).abs().max()
    assert_close(torch.stack(list(found.terms.values())).sum(0), expected, atol=1e-4 * float(largest), rtol=1e-4)
    assert not any(name.endswith("rest") for name in found.terms)
    heads = torch.stack([found.terms[name] for name in found.terms if "h" in name.split()[0] and name[1:2].isdigit()])
    assert_close(found.rows.nan_to_num().sum((1, 2)), heads.sum(0))
    assert found.clean == pytest.approx(float(expected.mean()), abs=1e-4)


@pytest.mark.parametrize("family", ["gpt2", LLAMA, "gemma2", "olmo", "granite"])
def test_the_terms_are_those_of_a_bridge(family: str) -> None:
    plain, task = bridges.fresh(family), task_of()
    expected, got = direct(plain, task), direct(bridges.bridge(family), task)
    assert_close(got.rows, expected.rows, atol=1e-4, rtol=1e-3)


# ---- by hand


def captured(model: torch.nn.Module, task: Task, modules: dict[str, torch.nn.Module]) -> dict[str, torch.Tensor]:
    """What enters ("<") and leaves (">") modules at the last position."""
    seen: dict[str, torch.Tensor] = {}

    def hook(name: str) -> Any:
        def keep(_: Any, given: Any, output: Any) -> None:
            seen[f"<{name}"] = given[0][:, -1] if given and given[0].ndim == 3 else torch.empty(0)
            seen[f">{name}"] = (output if isinstance(output, torch.Tensor) else output[0])[:, -1]

        return keep

    handles = [module.register_forward_hook(hook(name)) for name, module in modules.items()]
    with torch.no_grad():
        model(**task.inputs)
    for handle in handles:
        handle.remove()
    return seen


def answer_directions(W_U: torch.Tensor) -> torch.Tensor:
    """`[rows, d_model]` of an unembedding `[d_vocab, d_model]`."""
    return torch.stack([
        W_U[torch.tensor(right)].reshape(-1, W_U.shape[1]).mean(0)
        - W_U[torch.tensor(wrong)].reshape(-1, W_U.shape[1]).mean(0)
        for right, wrong in zip([7, 9, [11, 12]], [4, [5, 8], 6], strict=True)
    ])  # fmt: skip


def test_gpt2_by_hand() -> None:
    model, task = tiny.model("gpt2"), task_of()
    body = model.transformer
    modules = {"wte": body.wte, "wpe": body.wpe, "ln_f": body.ln_f}
    for i, block in enumerate(body.h):
        modules |= {f"c_proj{i}": block.attn.c_proj, f"mlp{i}": block.mlp}
    seen = captured(model, task, modules)
    x = seen["<ln_f"]
    scale = (x.var(-1, unbiased=False, keepdim=True) + body.ln_f.eps).sqrt()
    along = answer_directions(model.lm_head.weight.detach())
    at_norm = along * body.ln_f.weight.detach() / scale
    at_norm = at_norm - at_norm.mean(-1, keepdim=True)
    expected = {
        "embed": seen[">wte"],
        "pos": seen[">wpe"].expand(3, -1),
        **{f"l{i} mlp": seen[f">mlp{i}"] for i in range(3)},
        **{f"l{i}.b_O": body.h[i].attn.c_proj.bias.detach().expand(3, -1) for i in range(3)},
    }
    for i in range(3):
        W_O = body.h[i].attn.c_proj.weight.detach().reshape(4, 7, 28)
        z = seen[f"<c_proj{i}"].reshape(3, 4, 7)
        expected |= {f"l{i}h{head}": z[:, head] @ W_O[head] for head in range(4)}
    terms = {name: (at_norm * written).sum(-1) for name, written in expected.items()}
    terms["ln_final.b"] = (along * body.ln_f.bias.detach()).sum(-1)
    got = direct(model, task)
    assert set(got.terms) == set(terms)
    for name, value in terms.items():
        assert_close(got.terms[name], value, atol=1e-10, rtol=1e-8)
    assert_close(got.values[1, 2], terms["l1h2"].mean())
    assert got["l1h2"] == pytest.approx(float(terms["l1h2"].mean()))


def test_llama_by_hand() -> None:
    model, task = tiny.model(LLAMA), task_of()
    body = model.model
    modules: dict[str, torch.nn.Module] = {"embed": body.embed_tokens, "norm": body.norm}
    for i, block in enumerate(body.layers):
        modules |= {f"o{i}": block.self_attn.o_proj, f"mlp{i}": block.mlp}
    seen = captured(model, task, modules)
    x = seen["<norm"]
    scale = (x.square().mean(-1, keepdim=True) + body.norm.variance_epsilon).sqrt()
    at_norm = answer_directions(model.lm_head.weight.detach()) * body.norm.weight.detach() / scale
    expected = {"embed": seen[">embed"], **{f"l{i} mlp": seen[f">mlp{i}"] for i in range(3)}}
    for i in range(3):
        W_O = body.layers[i].self_attn.o_proj.weight.detach().reshape(48, 6, 10)
        z = seen[f"<o{i}"].reshape(3, 6, 10)
        expected |= {f"l{i}h{head}": z[:, head] @ W_O[:, head].mT for head in range(6)}
    terms = {name: (at_norm * written).sum(-1) for name, written in expected.items()}
    got = direct(model, task)
    assert set(got.terms) == set(terms)
    for name, value in terms.items():
        assert_close(got.terms[name], value, atol=1e-5, rtol=1e-5)  # its norms are in single precision


def test_a_soft_cap_is_shared_out_by_its_secant() -> None:
    model = tiny.fresh("gemma2")
    model.config.final_logit_softcapping = None
    plain = direct(model, Task(None, tokens(3, 7), answers=[7, 9, 11]))
    model.config.final_logit_softcapping = 2.0
    capped = direct(model, Task(None, tokens(3, 7), answers=[7, 9, 11]))
    assert plain.metric == capped.metric == "logit"
    for name, value in plain.terms.items():
        whole = sum(plain.terms.values())
        assert_close(capped.terms[name], value * 2 * (whole / 2).tanh() / whole, atol=1e-5, rtol=1e-4)


def test_several_scored_positions_are_averaged() -> None:
    model = tiny.model("gpt2")
    one, two = (direct(model, task_of(positions=[at])) for at in (3, 5))
    both = direct(model, task_of(positions=[3, 5]))
    for name, value in both.terms.items():
        assert_close(value, (one.terms[name] + two.terms[name]) / 2)


def test_a_table_shows_the_terms_and_their_sum() -> None:
    found = direct(tiny.model("gpt2"), task_of())
    lines = repr(found).splitlines()
    numbers = [float(line.split()[-1]) for line in lines[1:]]
    assert lines[-1].split()[0] == "sum"
    assert sum(numbers[:-1]) == pytest.approx(numbers[-1], abs=1e-2)
    assert numbers[-1] == pytest.approx(found.clean, rel=1e-3)


def test_terms_that_do_not_sum_are_an_error() -> None:
    model = tiny.fresh(LLAMA)
    hook = model.model.layers[1].register_forward_hook(lambda _, __, output: output + 0.5)
    with pytest.raises(ValueError, match="do not sum"):
        direct(model, task_of())
    hook.remove()
    direct(model, task_of())


def test_what_has_no_direct_path_is_refused() -> None:
    with pytest.raises(ValueError, match="answers"):
        sweep(tiny.model("gpt2"), Task(None, tokens(3, 7)), "direct")
    with pytest.raises(ValueError, match=r"do not sum|not known"):
        sweep(tiny.model("bert"), task_of(), "direct")
    given = {"input_ids": tokens(3, 7), "decoder_input_ids": tokens(3, 5)}
    with pytest.raises(ValueError, match="one of several stacks"):
        sweep(tiny.model("t5"), Task(None, given, answers=[7, 9, 11]), "direct")
    for more in ({"unit": "mlp"}, {"positions": True}, {"reference": task_of()}):
        with pytest.raises(ValueError, match="'direct'"):
            sweep(tiny.model("gpt2"), task_of(), "direct", **more)


def test_another_metric_is_said() -> None:
    found = direct(tiny.model("gpt2"), task_of(metric="log_prob"))
    assert any("logit difference" in note and "log_prob" in note for note in found.notes)
    assert not direct(tiny.model("gpt2"), task_of()).notes


def test_the_shipped_models_name_movers_write_the_answer() -> None:
    model, tokenizer = hg.demo()
    found = direct(model, Task.names(tokenizer, 16))
    assert str(found.top(3)) == str(found.anatomy.select("l1h0 | l1h1 | l1h3"))
