"""Weights of a folder of safetensors: one head beside the slices of `safetensors` itself, a scan, a very large index.

The folder has attention of Llama-3-8B's shape in bfloat16, in as many layers as are asked for, with a small MLP and a
small vocabulary, random. One head is its Q, K, V and O, each entry looked at once: `Weights`, that is open already,
beside `safe_open` and `get_slice`, opened already too or anew for each head. The index is that of a model of 405
billion parameters in 191 files without entries: what is measured is the reading of headers. Run it as a script.
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import transformers
from measure import interleaved, row
from safetensors import safe_open

import headgrid as hg
from headgrid.models.checkpoints.files import Files, find

D_MODEL, N_HEADS, N_KV, D_HEAD = 4096, 32, 8, 128
LAYERS = (2, 4)
"""The layers of the two folders that are scanned: memory that grows with them would show."""

RUNS = 15
FILES = 191


def folder_of(path: Path, n_layers: int) -> Path:
    config = transformers.LlamaConfig(
        num_hidden_layers=n_layers, num_attention_heads=N_HEADS, num_key_value_heads=N_KV, hidden_size=D_MODEL,
        intermediate_size=256, vocab_size=1024, dtype="bfloat16",
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.LlamaForCausalLM(config).bfloat16().save_pretrained(path)
    return path


def one_head(folder: Path) -> None:
    weights, file = hg.Weights(folder), folder / "model.safetensors"
    opened = safe_open(file, framework="pt")

    def ours(weights: hg.Weights = weights) -> float:
        found = (weights.W_Q[1, 5], weights.W_K[1, 5], weights.W_V[1, 5], weights.W_O[1, 5])
        return sum(float(one.sum()) for one in found)

    def slices(opened: Any = opened) -> float:
        def of(name: str) -> Any:
            return opened.get_slice(f"model.layers.1.self_attn.{name}_proj.weight")

        q, kv = slice(5 * D_HEAD, 6 * D_HEAD), slice(D_HEAD, 2 * D_HEAD)  # head 5 reads key/value head 1
        found = (of("q")[q], of("k")[kv], of("v")[kv], of("o")[:, q])
        return sum(float(one.sum()) for one in found)

    def anew() -> float:
        with safe_open(file, framework="pt") as again:
            return slices(again)

    found = interleaved({"ours": ours, "slices": slices, "anew": anew}, RUNS)
    assert math.isclose(found["ours"].result, found["slices"].result, rel_tol=0.05), "not the same head"
    row("Q, K, V, O of one head", "get_slice", found["ours"], found["slices"])
    row("Q, K, V, O of one head", "safe_open, get_slice", found["ours"], found["anew"])


def whole_scan(folders: dict[int, Path]) -> None:
    for n_layers, folder in folders.items():
        found = interleaved({"scan": lambda folder=folder: hg.scan(folder, ("ov", "qk"))}, 1)["scan"]
        size = sum(file.stat().st_size for file in folder.glob("*.safetensors")) / 2**20
        print(f"scan of {n_layers} layers, {size:,.0f} MiB of files: {found.seconds:.1f} s, {found.peak:.0f} MiB")


def large_index(folder: Path) -> None:
    """The time to read the index and all headers of a very large checkpoint, whose files are long and empty."""
    config = transformers.LlamaConfig(
        num_hidden_layers=126, num_attention_heads=128, num_key_value_heads=8, hidden_size=16384,
        intermediate_size=53248, vocab_size=128256, architectures=["LlamaForCausalLM"], dtype="bfloat16",
    )  # fmt: skip
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    shapes = {name: list(parameter.shape) for name, parameter in model.named_parameters()}
    by_file: dict[str, dict[str, list[int]]] = {}
    for number, (name, shape) in enumerate(shapes.items()):
        file = f"model-{number * FILES // len(shapes) + 1:05}-of-{FILES:05}.safetensors"
        by_file.setdefault(file, {})[name] = shape
    for file, tensors in by_file.items():
        header, end = {}, 0
        for name, shape in tensors.items():
            begin, end = end, end + 2 * math.prod(shape)
            header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        with (folder / file).open("wb") as opened:
            opened.write(len(text).to_bytes(8, "little") + text)
            opened.truncate(8 + len(text) + end)
    names = {name: file for file, tensors in by_file.items() for name in tensors}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))
    config.save_pretrained(folder)

    def headers() -> Files:
        found = find(folder)
        assert found is not None
        return found[1]

    found = interleaved({"headers": headers, "weights": lambda: hg.Weights(folder)}, 3)
    count = len(found["headers"].result.stored)
    print(f"index and headers of {count:,} tensors in {FILES} files: {found['headers'].seconds * 1e3:.0f} ms")
    print(f"the whole of Weights(folder), with its modules: {found['weights'].seconds:.2f} s")


if __name__ == "__main__":
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folders = {n_layers: folder_of(Path(name) / str(n_layers), n_layers) for n_layers in LAYERS}
        one_head(folders[LAYERS[0]])
        whole_scan(folders)
        (Path(name) / "large").mkdir()
        large_index(Path(name) / "large")
    print(f"in {time.perf_counter() - began:.0f} s")
