"""A model that runs though its weights are elsewhere is told from one without: what works, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError
from headgrid.models.verify import VerifyError

accelerate = pytest.importorskip("accelerate")
CPU = torch.device("cpu")
IDS = torch.tensor([[3, 4, 5, 6]])


def in_memory(folder: Path) -> Any:
    return accelerate.cpu_offload(tiny.fresh("gpt2").eval(), CPU)


def on_disk(folder: Path) -> Any:
    return accelerate.disk_offload(tiny.fresh("gpt2").eval(), str(folder), CPU)


def in_part(folder: Path) -> Any:
    model = tiny.fresh("gpt2").eval()
    where = {name: "cpu" for name, _ in model.named_children()}
    where |= {f"transformer.{name}": "cpu" for name, _ in model.transformer.named_children() if name != "h"}
    where |= {f"transformer.h.{i}": "cpu" if i == 0 else "disk" for i in range(len(model.transformer.h))}
    del where["transformer"]
    return accelerate.dispatch_model(model, where, main_device="cpu", offload_dir=str(folder), force_hooks=True)


WAYS = [in_memory, on_disk, in_part]


@pytest.mark.parametrize("offload", WAYS)
def test_what_reads_weights_says_that_they_are_offloaded_and_what_to_do(
    offload: Callable[[Path], Any], tmp_path: Path
) -> None:
    model = offload(tmp_path)
    assert any(parameter.is_meta for parameter in model.parameters())
    calls: list[tuple[type[Exception], Callable[[], object]]] = [
        (VerifyError, lambda: hg.verify(model)),
        (AnatomyError, lambda: hg.scan(model, "ov")),
        (AnatomyError, lambda: hg.summarize(model, "l1h2")),
        (AnatomyError, lambda: hg.compose(model)),
        (AnatomyError, lambda: hg.Weights(model).W_Q[1]),
        (ValueError, lambda: hg.dissect(model).select("l1h2").zero_(model)),
        (ValueError, lambda: hg.dissect(model).select("l1h2").training_only(model)),
    ]
    for kind, call in calls:
        with pytest.raises(kind) as fault:
            call()
        first, second = str(fault.value).splitlines()
        assert "is offloaded: accelerate brings its entries for each call" in first
        assert len(first) < 200
        assert "ablate and record work" in second
        assert "device_map='cpu'" in second


@pytest.mark.parametrize("offload", WAYS)
def test_what_is_said_to_work_on_an_offloaded_model_works(offload: Callable[[Path], Any], tmp_path: Path) -> None:
    plain, model = tiny.fresh("gpt2").eval(), offload(tmp_path)
    masks, others = (hg.dissect(one).select("l1h2").masks() for one in (model, plain))
    assert masks.keys() == others.keys()
    assert all(torch.equal(masks[name], others[name]) for name in masks)
    with torch.no_grad():
        with hg.ablate(plain, "l1h2"):
            expected = plain(IDS).logits
        with hg.ablate(model, "l1h2"):
            assert torch.equal(model(IDS).logits, expected)
        with hg.record(model, "l1h2") as cache, hg.record(plain, "l1h2") as other:
            model(IDS), plain(IDS)
    assert torch.equal(cache["l1h2"], other["l1h2"])


def test_the_weights_come_back_as_the_sentence_says() -> None:
    plain, model = tiny.fresh("gpt2").eval(), in_memory(Path())
    accelerate.hooks.remove_hook_from_module(model, recurse=True)
    assert torch.equal(hg.Weights(model).W_Q[1], hg.Weights(plain).W_Q[1])


def test_weights_that_a_hook_of_another_kind_brings_are_told_as_well() -> None:
    model = tiny.fresh("gpt2").to("meta")
    model.transformer.h[1].register_forward_pre_hook(lambda module, given: None)
    with pytest.raises(
        AnatomyError, match=r"h\.1\.attn\.c_attn\.weight is offloaded: a hook \(.*\) brings its entries"
    ):
        _ = hg.Weights(model).W_Q[1]


def test_a_model_without_weights_is_none_that_is_offloaded() -> None:
    model = tiny.fresh("gpt2").to("meta")
    with pytest.raises(AnatomyError) as fault:
        hg.scan(model, "ov")
    assert str(fault.value).splitlines()[1] == "Load the model with its weights"
    assert hg.verify(model).ok


@pytest.mark.parametrize("offload", WAYS)
def test_the_widget_says_that_they_are_offloaded(offload: Callable[[Path], Any], tmp_path: Path) -> None:
    grid = hg.HeadGrid(offload(tmp_path))
    notes = [grid._scheduler.cache.missing(cell) for cell in range(len(grid._state.cells.absent))]
    said = {note for note in notes if note}
    assert len(said) == 1
    assert said.pop().startswith("Its weights are offloaded")
