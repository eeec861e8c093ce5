"""The selected entries of a model in a file, and back into another model: bit for bit, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.torch import save_file

import headgrid as hg

GROUPED = "llama with grouped-query attention"
TEXTS = ("l1h2", "l0h1.q | l1 mlp", "embed | ln_final", "l*h*")


def trained(family: str, seed: int = 3) -> Any:
    """A model of a family with other weights than the one that tests share."""
    model = tiny.fresh(family)
    torch.manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter))
    return model


@pytest.mark.parametrize("family", [GROUPED, "gpt2", "mixtral"])
@pytest.mark.parametrize("text", TEXTS)
def test_what_is_selected_comes_back_bit_for_bit_and_nothing_else_changes(
    family: str, text: str, tmp_path: Path
) -> None:
    source, target = trained(family), tiny.fresh(family)
    selection = hg.dissect(source).select(text)
    before = {name: parameter.detach().clone() for name, parameter in target.named_parameters()}
    selection.save(source, tmp_path / "entries.safetensors")
    selection.load_(target, tmp_path / "entries.safetensors")
    masks, there = selection.masks(), dict(source.named_parameters())
    for name, parameter in target.named_parameters():
        mask = masks.get(name, torch.tensor(False))
        wanted = there[name] if mask is None else torch.where(mask, there[name], before[name])
        assert torch.equal(parameter, wanted), name


def test_a_file_holds_the_selected_entries_and_no_more(tmp_path: Path) -> None:
    model = trained(GROUPED)
    selection = hg.dissect(model).select("l1h2 | ln_final")
    selection.save(model, tmp_path / "entries.safetensors")
    with safe_open(tmp_path / "entries.safetensors", framework="pt") as file:
        assert sum(file.get_tensor(name).numel() for name in file.keys()) == selection.n_params  # noqa: SIM118
        for name, mask in selection.masks().items():
            stored, parameter = file.get_tensor(name), model.get_parameter(name)
            assert torch.equal(stored, parameter if mask is None else parameter[mask])
        assert json.loads(file.metadata()["headgrid.selection"])["selection"] == str(selection)


def test_half_precision_is_kept_and_another_dtype_is_refused_with_nothing_changed(tmp_path: Path) -> None:
    half, whole = trained(GROUPED).to(torch.bfloat16), tiny.fresh(GROUPED)
    selection = hg.dissect(half).select("l1h2")
    selection.save(half, tmp_path / "half.safetensors")
    before = {name: parameter.detach().clone() for name, parameter in whole.named_parameters()}
    with pytest.raises(ValueError, match=r"in torch\.bfloat16, and the model has it in torch\.float64"):
        selection.load_(whole, tmp_path / "half.safetensors")
    assert all(torch.equal(parameter, before[name]) for name, parameter in whole.named_parameters())
    other = tiny.fresh(GROUPED).to(torch.bfloat16)
    selection.load_(other, tmp_path / "half.safetensors")
    name = "model.layers.1.self_attn.o_proj.weight"
    mask = selection.masks()[name]
    assert mask is not None
    assert torch.equal(other.get_parameter(name)[mask], half.get_parameter(name)[mask])


def test_a_file_of_something_else_is_refused_by_name(tmp_path: Path) -> None:
    model, path = trained(GROUPED), tmp_path / "entries.safetensors"
    anatomy = hg.dissect(model)
    selection = anatomy.select("l1h2")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        selection.load_(model, path)
    selection.save(model, path)
    with pytest.raises(ValueError, match="holds the entries of 'l1h2', and this selection is 'l0h1'"):
        anatomy.select("l0h1").load_(model, path)
    gpt2 = tiny.fresh("gpt2")
    with pytest.raises(ValueError, match="which is another model than"):
        hg.dissect(gpt2).select("l1h2").load_(gpt2, path)
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(ValueError, match=r"not a file that Selection\.save wrote"):
        selection.load_(model, path)
    path.write_bytes(b"pickle")
    with pytest.raises(ValueError, match="no whole file of safetensors"):
        selection.load_(model, path)


def test_a_file_that_is_cut_short_or_lacks_a_parameter_changes_nothing(tmp_path: Path) -> None:
    model, path = trained(GROUPED), tmp_path / "entries.safetensors"
    selection = hg.dissect(model).select("l1h2")
    selection.save(model, path)
    whole = path.read_bytes()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    path.write_bytes(whole[:-10])
    with pytest.raises(ValueError, match="no whole file"):
        selection.load_(model, path)
    path.write_bytes(whole)
    with safe_open(path, framework="pt") as file:
        kept = {name: file.get_tensor(name) for name in list(file.keys())[:-1]}
        metadata = file.metadata()
    save_file(kept, path, metadata)
    with pytest.raises(ValueError, match="it is not whole, or was changed"):
        selection.load_(model, path)
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_nothing_selected_and_a_model_without_weights_are_refused_and_leave_the_file(tmp_path: Path) -> None:
    model, path = trained(GROUPED), tmp_path / "entries.safetensors"
    anatomy = hg.dissect(model)
    path.write_text("kept")
    with pytest.raises(ValueError, match="the selection is empty: there is nothing to save"):
        anatomy.select("none").save(model, path)
    with torch.device("meta"):
        empty = type(model)(tiny.config(GROUPED))
    with pytest.raises(ValueError, match="meta device"):
        anatomy.select("l1h2").save(empty, path)
    with pytest.raises(ValueError, match="this selection is of another model"):
        anatomy.select("l1h2").save(torch.nn.Linear(2, 2), path)
    assert path.read_text() == "kept"
