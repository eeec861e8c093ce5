"""Weights in files: what is read of a folder is what the model has that transformers loads from it, bit for bit."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import tiny
import torch
from grids import focus, settled
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

import headgrid as hg
from headgrid.anatomy.anatomy import AnatomyError
from headgrid.models.checkpoints.files import INDEX, SINGLE
from headgrid.weights import Weights

GROUPED = "llama with grouped-query attention"
TIED = "llama with biases and tied embeddings"
FAMILIES = {
    "gpt2": torch.float32,
    GROUPED: torch.bfloat16,
    TIED: torch.float16,
    "mixtral": torch.bfloat16,
    "qwen3_moe": torch.float32,
    "deepseek_v3": torch.bfloat16,
    "t5": torch.float16,  # of which it keeps some in float32
    "bert": torch.float32,
    "gpt_neox": torch.float32,  # its unembedding is stored under the name that it once had
}


def saved(name: str, folder: Path, dtype: torch.dtype = torch.float32, shard: str = "20KB") -> Path:
    """A small model of a family in a folder; in many files, if they may have no more than 20 KB."""
    tiny.fresh(name).to(dtype).save_pretrained(folder, max_shard_size=shard)
    return folder


def one_by_one(folder: Path) -> Path:
    """The folder with each tensor in a file of its own."""
    index = json.loads((folder / INDEX).read_text())
    for file in set(index["weight_map"].values()):
        for name, tensor in load_file(folder / file).items():
            index["weight_map"][name] = f"{name}.safetensors"
            save_file({name: tensor}, folder / f"{name}.safetensors", {"format": "pt"})
        (folder / file).unlink()
    (folder / INDEX).write_text(json.dumps(index))
    return folder


def loaded(name: str, folder: Path) -> PreTrainedModel:
    return type(tiny.model(name)).from_pretrained(folder, dtype="auto").eval()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model in one file."""
    return saved(GROUPED, tmp_path / "model", shard="5GB")


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """The same in many files with an index."""
    found = saved(GROUPED, tmp_path / "shards")
    assert (found / INDEX).is_file()
    return found


def same(one: Any, other: Any, at: str = "") -> None:
    """Fail where two results differ anywhere, in a bit of a number too."""
    assert type(one) is type(other), at
    if isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype, at
        assert torch.equal(one.isnan(), other.isnan()), at
        assert torch.equal(one.nan_to_num(), other.nan_to_num()), at
    elif isinstance(one, np.ndarray):
        np.testing.assert_array_equal(one, other, err_msg=at)
    elif dataclasses.is_dataclass(one):
        for field in dataclasses.fields(one):
            same(getattr(one, field.name), getattr(other, field.name), f"{at}.{field.name}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), at
        for number, pair in enumerate(zip(one, other, strict=True)):
            same(*pair, f"{at}[{number}]")
    else:
        assert one == other or one != one, at


def every_weight(one: Weights, other: Weights) -> int:
    """The number of weights that are compared, after failing where two are not the same."""
    assert one.anatomy == other.anatomy
    count = 0
    for stack in one.anatomy.stacks:
        ours, theirs = one.at(stack.name), other.at(stack.name)
        for (role, layer), slots in stack.places.items():
            for slot in slots:
                same(ours.piece(slot), theirs.piece(slot), f"{stack.name} {role} {layer}")
                count += 1
    return count


@pytest.mark.parametrize("family", FAMILIES)
def test_every_weight_of_a_folder_is_that_of_the_model_loaded_from_it(family: str, tmp_path: Path) -> None:
    folder = saved(family, tmp_path, FAMILIES[family])
    weights, live = Weights(folder), Weights(loaded(family, folder))
    assert every_weight(weights, live) > 20
    assert all(parameter.is_meta for parameter in weights.model.parameters())  # there is no model in memory


@pytest.mark.parametrize("family", ["gpt2", TIED, "mixtral"])
def test_every_number_is_the_same_bit_for_bit(family: str, tmp_path: Path) -> None:
    folder = saved(family, tmp_path)
    live = loaded(family, folder)
    same(hg.scan(folder), hg.scan(live))
    same(hg.scan(folder, ln="raw"), hg.scan(live, ln="raw"))
    same(hg.compose(folder), hg.compose(live))
    for what in ("l1h2", "l0h1 | l1h0", "l2e1" if family == "mixtral" else "l0 mlp"):
        ours, theirs = (hg.summarize(one, what) for one in (folder, live))
        same(ours, theirs, what)


def test_experts_that_are_stored_one_by_one_are_read_one_by_one(tmp_path: Path) -> None:
    folder = one_by_one(saved("mixtral", tmp_path))
    index = json.loads((folder / INDEX).read_text())["weight_map"]
    own = {name: file for name, file in index.items() if ".experts.3." in name and name.startswith("model.layers.1.")}
    assert len(own) == 3  # what the file has is not what the module has
    weights, live = Weights(folder), Weights(loaded("mixtral", folder))
    of_all = weights["expert.W_gate"][1]
    others = [folder / file for name, file in index.items() if ".experts." in name and name not in own]
    for file in set(others) - {folder / file for file in own.values()}:
        file.unlink()
    for role in ("expert.W_gate", "expert.W_in", "expert.W_out"):
        same(weights[role][1, 3], live[role][1, 3])
    same(weights["expert.W_gate"][1, 3], of_all[3])
    with pytest.raises(AnatomyError, match="cannot be read"):
        weights["expert.W_gate"][1]
    with pytest.raises(IndexError, match=r"no expert\.W_gate of part 5"):
        Weights(saved("mixtral", tmp_path / "again"))["expert.W_gate"][1, 5]


def test_names_without_and_with_the_base_models_prefix_are_found(folder: Path) -> None:
    before = Weights(folder)["W_Q"][1].clone()
    stored = load_file(folder / SINGLE)
    for rename in (lambda name: name.removeprefix("model."), lambda name: name):
        save_file({rename(name): tensor for name, tensor in stored.items()}, folder / SINGLE, {"format": "pt"})
        same(Weights(folder)["W_Q"][1], before)
        assert every_weight(Weights(folder), Weights(loaded(GROUPED, folder))) > 20


def test_one_file_an_index_a_path_and_a_hubs_cache_are_the_same_checkpoint(shards: Path, tmp_path: Path) -> None:
    one = saved(GROUPED, tmp_path / "one", shard="5GB")
    cache = tmp_path / "models--one--model"
    (cache / "blobs").mkdir(parents=True)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc")
    (cache / "snapshots" / "abc").mkdir(parents=True)
    for number, file in enumerate(shards.iterdir()):
        shutil.copy(file, cache / "blobs" / str(number))
        (cache / "snapshots" / "abc" / file.name).symlink_to(Path("..", "..", "blobs", str(number)))
    wanted = Weights(shards)["W_O"][2].clone()
    for path in (one, str(one), one / SINGLE, shards / INDEX, cache, cache / "snapshots" / "abc"):
        same(Weights(path)["W_O"][2], wanted)


def test_what_is_written_to_a_weight_is_not_in_the_file(folder: Path) -> None:
    before = (folder / SINGLE).read_bytes()
    W = Weights(folder)["W_Q"][0]
    W.zero_()
    del W
    assert (folder / SINGLE).read_bytes() == before
    assert Weights(folder)["W_Q"][0].any()


def test_a_dtype_that_is_asked_for_is_given(folder: Path) -> None:
    stored = Weights(folder)["W_Q"][0]
    same(Weights(folder, dtype=torch.float64)["W_Q"][0], stored.double())


# ---- what is refused


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def shortened(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def no_json(path: Path) -> None:
    path.write_bytes((4).to_bytes(8, "little") + b"{{{{" + bytes(100))


def of_another_size(path: Path) -> None:
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    path.write_bytes(whole[:8] + whole[8 : 8 + length].replace(b"[60,48]", b"[60,49]") + whole[8 + length :])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (cut, "is cut off: it has"),
        (shortened, "its header is not whole"),
        (emptied, "its header is not whole"),
        (no_json, "its header is not JSON"),
        (of_another_size, "and its shape and dtype"),
        (Path.unlink, f"^'.*' has no 'model-00002-of-.*', which {INDEX} names"),
    ],
)
def test_a_spoiled_file_is_named_before_anything_is_read(
    spoil: Callable[[Path], None], said: str, shards: Path
) -> None:
    names = sorted(one.name for one in shards.glob("*.safetensors"))
    name = next(
        name for name in names if name.startswith("model-00002" if spoil is Path.unlink else "model-0")
        and (spoil is not of_another_size or b"[60,48]" in (shards / name).read_bytes())
    )  # fmt: skip
    spoil(shards / name)
    for of in (Weights, hg.scan, hg.HeadGrid):
        with pytest.raises(AnatomyError, match=said) as caught:
            of(shards)
        assert name in str(caught.value).splitlines()[0]


def test_several_files_without_an_index_are_refused(shards: Path) -> None:
    (shards / INDEX).unlink()
    with pytest.raises(AnatomyError, match=f"files of safetensors and no {INDEX}"):
        Weights(shards)


def test_an_index_that_says_what_is_not_so_is_refused(shards: Path) -> None:
    index = json.loads((shards / INDEX).read_text())
    first = next(iter(index["weight_map"].values()))
    index["weight_map"]["made.up"] = first
    (shards / INDEX).write_text(json.dumps(index))
    with pytest.raises(AnatomyError, match=r"has no tensor 'made\.up', which the index says"):
        Weights(shards)
    index["weight_map"]["made.up"] = "../elsewhere.safetensors"
    (shards / INDEX).write_text(json.dumps(index))
    with pytest.raises(AnatomyError, match="which is not beside it"):
        Weights(shards)
    (shards / INDEX).write_text("[]")
    with pytest.raises(AnatomyError, match="is no index"):
        Weights(shards)


class Trap:
    """What makes a file when it is unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "consolidated.00.pth"])
def test_what_is_pickled_is_never_unpickled(name: str, folder: Path, tmp_path: Path) -> None:
    (folder / SINGLE).unlink()
    torch.save(Trap(tmp_path / "sprung"), folder / name)
    for path in (folder, folder / name):
        for of in (Weights, hg.HeadGrid, hg.compose):
            with pytest.raises(AnatomyError, match="is pickled, and is not read: unpickling runs") as caught:
                of(path)
            assert name in str(caught.value).splitlines()[0]
            assert "save_pretrained" in str(caught.value)
    assert not (tmp_path / "sprung").exists()
    assert hg.HeadGrid(folder / "config.json").anatomy.n_layers == 3


def change_config(folder: Path, **entries: Any) -> None:
    said = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**said, **entries}))


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ({"dtype": "bfloat16"}, "is stored as float32, and the config says bfloat16"),
        (
            {"intermediate_size": 23},
            r"gives model.layers.0.mlp.\w+.weight the shape .*22\],\s+and the config says .*23",
        ),
        ({"num_hidden_layers": 4}, "has no tensor for model.layers.3.self_attn.q_proj.weight"),
        ({"num_hidden_layers": 2}, "has the tensor 'model.layers.2.*', for which LlamaForCausalLM has no place"),
        ({"architectures": ["LlamaModel"]}, "has the tensor 'lm_head.weight', for which LlamaModel has no place"),
        ({"tie_word_embeddings": True}, "and the config says that LlamaForCausalLM has both tied"),
        ({"quantization_config": {"quant_method": "gptq"}}, "is quantized by 'gptq'"),
    ],
)
def test_a_config_that_the_tensors_contradict_is_refused(entries: dict[str, Any], said: str, folder: Path) -> None:
    change_config(folder, **entries)
    with pytest.raises(AnatomyError, match=said) as caught:
        Weights(folder)
    assert "safetensors" in str(caught.value) or str(folder) in str(caught.value)


def test_a_config_that_is_not_there_is_asked_for(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(AnatomyError, match=r"there is no file .*config\.json"):
        Weights(folder)


def test_a_folder_with_a_config_alone_has_no_weights_to_read(folder: Path) -> None:
    (folder / SINGLE).unlink()
    with pytest.raises(AnatomyError, match="known by its configuration alone"):
        Weights(folder)
    assert hg.dissect(folder) == hg.HeadGrid(folder).anatomy


def test_a_file_that_was_changed_is_not_read_on(folder: Path) -> None:
    weights = Weights(folder)
    assert weights["W_Q"][0].any()
    stored = load_file(folder / SINGLE)
    save_file({name: tensor + 1 for name, tensor in stored.items()}, folder / SINGLE, {"format": "pt"})
    with pytest.raises(AnatomyError, match="was changed after it was opened"):
        weights["W_Q"][0]
    assert Weights(folder)["W_Q"][0].any()


@pytest.mark.parametrize("of", [hg.record, hg.ablate])
def test_what_runs_a_model_asks_for_one(of: Callable[..., Any], folder: Path) -> None:
    with pytest.raises(TypeError, match=r"of a path there is nothing to run\nLoad the model first"):
        of(folder, "l0h1")


def test_one_head_is_what_a_slice_of_the_file_is(folder: Path) -> None:
    weights = Weights(folder)
    with safetensors.safe_open(folder / SINGLE, framework="pt") as file:
        part = file.get_slice("model.layers.1.self_attn.q_proj.weight")[30:40]
    same(weights["W_Q"][1, 3], part.mT)


# ---- the widget


def test_a_grid_of_a_folder_shows_what_the_grid_of_the_model_shows(folder: Path) -> None:
    with torch.no_grad():
        model = loaded(GROUPED, folder)
        model.model.layers[1].self_attn.o_proj.weight[:, 10:20] = 0
        model.save_pretrained(folder)
    ours, theirs = hg.HeadGrid(folder), hg.HeadGrid(loaded(GROUPED, folder))
    assert ours.model is None
    assert ours.spec == theirs.spec  # the head that writes nothing is in it
    for number, word in enumerate(("l1h2", "l0 mlp"), start=1):
        for grid in (ours, theirs):
            focus(grid, number, word)
            settled(grid)
        assert ours.summary["circuits"]
        assert ours.summary == theirs.summary
    for grid in (ours, theirs):
        grid.color_by("copying_score")
        settled(grid)
    assert ours.top(3) == theirs.top(3)
    assert ours.get_state("colors") == theirs.get_state("colors")
    again = ours.copy()
    focus(again, 1, "l1h2")
    assert settled(again).summary["circuits"]
    with pytest.raises(ValueError, match="There is no model to run"):
        ours.task = hg.Task(None, torch.tensor([[3, 4, 5]]), metric="loss")
