"""A selection as code for other libraries: each snippet is run, beside the function whose output weights are zero."""

from __future__ import annotations

import copy
import functools
import json
import linecache
from typing import Any

import pytest
import tiny
import torch
import transformers
from bridges import bridge
from hooking import LLAMA, anatomy_of, clean, places

import headgrid as hg
from headgrid.demo import repeated_tokens

BRIDGED = ("gpt2", LLAMA, "gemma2", "gpt_neox", "bloom", "phi3", "falcon-7b", "qwen3", "mixtral", "olmo2")


def some_of(family: str, neurons: bool = True) -> str:
    """The first and last head, and three neurons, of a layer of each stack that has such."""
    anatomy = anatomy_of(family)
    words = [f"{at}h{head}" for stack, _, at in places(anatomy, "W_O") for head in {0, stack.n_heads - 1}]
    words += [f"{at} mlp n[1,2,5]" for _, _, at in places(anatomy, "W_out") if neurons]
    return " | ".join(words)


@functools.cache
def switched_off(family: str, text: str) -> torch.Tensor:
    """The logits of a copy of the model in whose weights these heads and neurons are zero."""
    model = copy.deepcopy(tiny.model(family))
    anatomy_of(family).select(text).zero_(model)
    with torch.no_grad():
        return model(**tiny.inputs(family)).logits


def run(code: str, **names: Any) -> dict[str, Any]:
    """The names that a snippet leaves; the models here are given all of their inputs by name."""
    named = code.replace("model(tokens)", "model(**tokens)").replace("trace(tokens)", "trace(**tokens)")
    file = f"snippet {hash(named)}"
    linecache.cache[file] = len(named), None, named.splitlines(keepends=True), file  # nnsight reads it there
    exec(compile(named, file, "exec"), names)
    return names


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_hooks_of_torch_switch_the_same_heads_and_neurons_off(family: str) -> None:
    text = some_of(family)
    found = run(anatomy_of(family).select(text).code("torch"), model=tiny.model(family), tokens=tiny.inputs(family))
    torch.testing.assert_close(found["output"].logits, switched_off(family, text), rtol=1e-5, atol=1e-5)
    assert (found["output"].logits - clean(family)).abs().max() > 1e-4
    assert not any(module._forward_pre_hooks for module in tiny.model(family).modules())


@pytest.mark.parametrize("family", tiny.UNLIKE)
def test_a_trace_of_nnsight_switches_them_off(family: str) -> None:
    pytest.importorskip("nnsight", reason="nnsight is not installed: pip install nnsight")
    text = some_of(family)
    model = copy.deepcopy(tiny.model(family))  # nnsight leaves hooks of its own on it
    found = run(anatomy_of(family).select(text).code("nnsight"), model=model, tokens=tiny.inputs(family))
    torch.testing.assert_close(found["output"].logits, switched_off(family, text), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", BRIDGED)
def test_hooks_of_transformer_lens_switch_them_off(family: str) -> None:
    text = some_of(family)
    tokens = tiny.inputs(family)["input_ids"]
    found = run(anatomy_of(family).select(text).code("transformer_lens"), model=bridge(family), tokens=tokens)
    model = tiny.fresh(family).float()
    anatomy_of(family).select(text).zero_(model)
    with torch.no_grad():
        torch.testing.assert_close(found["logits"], model(tokens).logits, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["gpt2", LLAMA])
def test_of_a_bridge_the_names_of_torch_are_those_of_its_modules(family: str) -> None:
    tokens = tiny.inputs(family)["input_ids"]
    selection = hg.dissect(bridge(family)).select("l1h2 | l0 mlp n[1,2,5]")
    found = run(selection.code("torch").replace("output = model(tokens)", "output = model(ids)"),
                model=bridge(family), ids=tokens)  # fmt: skip
    model = tiny.fresh(family).float()
    hg.dissect(model).select("l1h2 | l0 mlp n[1,2,5]").zero_(model)
    with torch.no_grad():
        torch.testing.assert_close(found["output"], model(tokens).logits, rtol=1e-5, atol=1e-5)


def handed_over(code: str) -> dict[str, torch.Tensor | None]:
    """The masks that a snippet for devinterp makes."""
    lines = [line for line in code.splitlines() if not line.startswith(("from devinterp", "result = "))]
    masks: dict[str, torch.Tensor | None] = run("\n".join(lines))["masks"]
    return masks


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_masks_for_devinterp_are_those_of_the_selection(family: str) -> None:
    anatomy = anatomy_of(family)
    for text in (some_of(family), f"~({some_of(family)})"):
        expected, found = anatomy.select(text).masks(), handed_over(anatomy.select(text).code("devinterp"))
        assert list(found) == list(expected)
        for name, mask in expected.items():
            assert (mask is None and found[name] is None) or torch.equal(mask.clone(), found[name]), name


@pytest.mark.slow
def test_devinterp_samples_what_the_snippet_masks() -> None:
    pytest.importorskip("devinterp.slt.llc", reason="devinterp is not installed: pip install 'headgrid[devinterp]'")
    datasets = pytest.importorskip("datasets")
    model, tokenizer = hg.demo()
    rows = repeated_tokens(tokenizer, n=32, length=20)
    dataset = datasets.Dataset.from_dict({"input_ids": rows.tolist()}).with_format("torch")
    quick = hg.dissect(model).select("l1h2").code("devinterp").replace("num_draws=10", "num_draws=2, batch_size=8")
    assert float(run(quick, model=model, dataset=dataset)["result"]["llc_mean"]) == pytest.approx(0, abs=100)


def test_for_causalab_it_is_a_document_of_its_protocol() -> None:
    anatomy = anatomy_of(LLAMA)
    document = json.loads(anatomy.select("l1h[2,5] | l0 mlp n[1,2,5]").code("causalab"))
    method = document["method"]
    assert set(document) == {"header", "model", "data", "method"}
    assert method["sites"]["l1h5"] == {"component": "attention_premix", "layers": [1], "head": 5}
    assert method["sites"]["l0_mlp"] == {"component": "mlp_neuron_output", "layers": [0]}
    assert {write["site"] for write in method["writes"].values()} == {"l1h2", "l1h5", "l0_mlp"}
    assert all(write["do"] == {"swap": 0} and write["pos"] == "all" for write in method["writes"].values())
    assert method["writes"]["zero_l0_mlp"]["dims"] == [1, 2, 5]
    assert method["intervened_models"]["ablated"]["writes"] == sorted(method["writes"])


@pytest.mark.parametrize("library", ["torch", "transformer_lens", "nnsight", "causalab"])
def test_what_is_no_activation_is_code_for_devinterp_alone(library: Any) -> None:
    selection = anatomy_of(LLAMA).select("l1h2.q")
    with pytest.raises(ValueError, match="is no activation of its own"):
        selection.code(library)
    assert handed_over(selection.code("devinterp"))


def test_names_of_one_stack_are_not_written_for_a_model_of_two() -> None:
    selection = anatomy_of("t5").select("encoder l1h0")
    for library in ("transformer_lens", "causalab"):
        with pytest.raises(ValueError, match=r"models of one stack.*code\('torch'\)"):
            selection.code(library)  # type: ignore[arg-type]


def test_another_library_and_an_empty_selection_are_refused() -> None:
    anatomy = anatomy_of("gpt2")
    for nonsense in ("pyvene", "Torch", None, 3, ["torch"]):
        with pytest.raises(ValueError, match="code is written for 'torch', 'transformer_lens', 'nnsight'"):
            anatomy.select("l1h2").code(nonsense)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="empty"):
        anatomy.select("none").code("torch")


@pytest.mark.slow
def test_a_snippet_is_as_long_as_the_places_and_not_as_the_entries() -> None:
    config = transformers.LlamaConfig(num_hidden_layers=2, hidden_size=4096, num_attention_heads=32)
    anatomy = hg.dissect(config)
    for library in ("torch", "transformer_lens", "nnsight", "devinterp"):
        assert len(anatomy.select("l0-1h3 | l1 mlp n5-9000").code(library)) < 3000  # type: ignore[arg-type]
