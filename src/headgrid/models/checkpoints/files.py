"""Tensors in files of safetensors: where each is. Headers are read, and no entry until it is looked at.

A file is eight bytes that say how long its header is, a header in JSON (name -> dtype, shape, first and last byte), and
the entries (https://huggingface.co/docs/safetensors). Several files have an index beside them, which says in which one
each tensor is. Whatever is not so is refused with the file's name when it is opened, before any entry is read.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import torch

from headgrid.anatomy.anatomy import AnatomyError
from headgrid.utils.arguments import brief, shown

SUFFIX = ".safetensors"
INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"

PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
"""How the names of files end that are unpickled to be read, which may run any code."""

LARGEST_HEADER = 100_000_000
"""Bytes: the limit of the format."""

KEPT = 2**27
"""Bytes of tensors that stay mapped after they were used: heads of one layer are looked at one after another."""

DTYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "I64": torch.int64, "I32": torch.int32,
    "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""The format's names of dtypes."""


@dataclass(frozen=True)
class Stamp:
    """What differs once a file is another: its device and number, size in bytes, and time of change in nanoseconds."""

    device: int
    number: int
    size: int
    changed: int


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file, through links. An AnatomyError where there is none."""
    try:
        found = path.stat()
    except OSError as fault:
        raise AnatomyError(f"{shown(str(path))} cannot be read: {brief(fault)}") from fault
    return Stamp(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(frozen=True)
class StoredTensor:
    """One tensor in a file.

    Attributes:
        name: its name in the file.
        file: the file.
        dtype: its dtype.
        shape: its shape.
        first: the byte of the file where its entries begin.
    """

    name: str
    file: Path
    dtype: torch.dtype
    shape: tuple[int, ...]
    first: int

    @property
    def n_bytes(self) -> int:
        """How many bytes its entries take."""
        return prod(self.shape) * self.dtype.itemsize


class Files:
    """All tensors of a checkpoint.

    Args:
        paths: file -> the tensors that an index says are in it; None where there is no index.

    Attributes:
        stored: name -> tensor.

    Raises:
        AnatomyError: when a file is missing, cut off or no safetensors, or has not what the index says; it is named.
    """

    def __init__(self, paths: Mapping[Path, list[str] | None]) -> None:
        self.stored: dict[str, StoredTensor] = {}
        self._stamps: dict[Path, Stamp] = {}
        self._open: WeakValueDictionary[str, npt.NDArray[Any]] = WeakValueDictionary()
        self._recent: dict[str, npt.NDArray[Any]] = {}
        self._lock = threading.Lock()
        for path, names in paths.items():
            self._stamps[path] = stamp_of(path)
            there = {one.name: one for one in _header(path, self._stamps[path].size)}
            for name in there if names is None else names:
                if name not in there:
                    raise AnatomyError(f"{shown(str(path))} has no tensor {shown(name)}, which the index says it has")
                self.stored[name] = there[name]

    def tensor(self, name: str) -> torch.Tensor:
        """A tensor as it is stored: its entries are read from the file where they are looked at, and copied nowhere.

        What is written to it never reaches the file, and may be gone the next time that the tensor is read. Views of
        one tensor that live at the same time share their memory.

        Raises:
            AnatomyError: when the file is another than the one that was opened.
        """
        at = self.stored[name]
        if stamp_of(at.file) != self._stamps[at.file]:  # to read beyond the end of a mapped file ends the process
            raise AnatomyError(
                f"{shown(str(at.file))} was changed after it was opened\nOpen it again, with a new Weights or HeadGrid"
            )
        if not at.n_bytes:
            return torch.empty(at.shape, dtype=at.dtype)
        flat = torch.from_numpy(self._mapped(at))
        if flat.data_ptr() % at.dtype.itemsize:
            flat = flat.clone()  # a header of an odd length: entries are read at whole multiples of their size
        return flat.view(at.dtype).view(at.shape)

    def _mapped(self, at: StoredTensor) -> npt.NDArray[Any]:
        """The bytes of a tensor, mapped from its file; the same as long as anybody has them."""
        with self._lock:
            mapped = self._open.get(at.name)
            if mapped is None:
                try:
                    mapped = np.memmap(at.file, dtype=np.uint8, mode="c", offset=at.first, shape=(at.n_bytes,))
                except (OSError, ValueError) as fault:
                    raise AnatomyError(f"{shown(str(at.file))} cannot be read: {brief(fault)}") from fault
                self._open[at.name] = mapped
            self._recent.pop(at.name, None)
            self._recent[at.name] = mapped
            while sum(one.nbytes for one in self._recent.values()) > KEPT:
                del self._recent[next(iter(self._recent))]
            return mapped


def _header(path: Path, size: int) -> Iterator[StoredTensor]:
    """The tensors that the header of a file names.

    Raises:
        AnatomyError: when it is no safetensors, or shorter than its header says.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or length > min(LARGEST_HEADER, size - 8):
                said = shown(str(path))
                raise AnatomyError(f"{said} is no file of safetensors, or is cut off: its header is not whole")
            header = json.loads(file.read(length).decode())
    except AnatomyError:
        raise
    except (OSError, ValueError, RecursionError) as fault:
        said = shown(str(path))
        raise AnatomyError(f"{said} is no file of safetensors: its header is not JSON: {brief(fault)}") from fault
    if not isinstance(header, dict):
        raise AnatomyError(f"{shown(str(path))} is no file of safetensors: its header names no tensors")
    for name, entry in header.items():
        if name != "__metadata__":
            yield _entry(path, name, entry, 8 + length, size)


def _entry(path: Path, name: str, entry: Any, begin: int, size: int) -> StoredTensor:
    try:
        kind, shape, (first, last) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        whole = all(type(one) is int and one >= 0 for one in (*shape, first, last))
    except (TypeError, KeyError, ValueError):
        whole = False
    if not whole:
        raise AnatomyError(f"{_said(path, name)} has no dtype, shape and place that could be read")
    if kind not in DTYPES:
        raise AnatomyError(
            f"{_said(path, name)} is stored as {shown(kind)}, which is not read; {', '.join(DTYPES)} are"
        )
    found = StoredTensor(name, path, DTYPES[kind], shape, begin + first)
    if last - first != found.n_bytes:
        raise AnatomyError(f"{_said(path, name)} has {last - first:,} bytes, and its shape and dtype {found.n_bytes:,}")
    if begin + last > size:
        raise AnatomyError(
            f"{shown(str(path))} is cut off: it has {size:,} bytes, and {shown(name)} ends at {begin + last:,}\n"
            "Copy or download the file again"
        )
    return found


def _said(path: Path, name: str) -> str:
    return f"{shown(name)} in {shown(str(path))}"


def find(path: str | os.PathLike[str]) -> tuple[Path, Files] | None:
    """The folder with a checkpoint's config, and its tensors; None where there is nothing but a config.

    Args:
        path: a folder; a file of safetensors, or an index of several; or a model's folder in a hub's cache, of which
            the version is taken that its `refs/main` names.

    Raises:
        AnatomyError: as `Files`; when weights are pickled, and when several files have no index.
    """
    if not os.fspath(path):
        return None
    at = _in_cache(Path(path))
    if at.is_dir():
        folder = at
        if (at / SINGLE).is_file():
            return folder, Files({at / SINGLE: None})
        if (at / INDEX).is_file():
            return folder, _indexed(at / INDEX)
        names = sorted(one.name for one in at.iterdir())
        several = [name for name in names if name.endswith(SUFFIX) and not name.startswith("adapter_")]
        if len(several) > 1:
            raise AnatomyError(
                f"{shown(str(at))} has {len(several)} files of safetensors and no {INDEX}, which says what is where\n"
                f"There are {', '.join(several[:4])}{', ...' if len(several) > 4 else ''}: give one of them, or copy "
                "the index to them"
            )
        if several:
            return folder, Files({at / several[0]: None})
        if pickled := [name for name in names if name.endswith(PICKLED) and not name.startswith("training_args")]:
            raise pickled_error(at / pickled[0])
        return None
    if at.name.endswith(PICKLED):
        raise pickled_error(at)
    if at.name.endswith(f"{SUFFIX}.index.json"):
        return at.parent, _indexed(at)
    return (at.parent, Files({at: None})) if at.name.endswith(SUFFIX) else None


def pickled_error(path: Path) -> AnatomyError:
    """Why a pickled file is not read, and how to have one that is."""
    return AnatomyError(
        f"{shown(str(path))} is pickled, and is not read: unpickling runs whatever code the file holds\n"
        "Where you trust it, load the model with transformers and save it with model.save_pretrained(folder), which "
        "writes safetensors. For a grid without weights, give the path of its config.json"
    )


def _indexed(path: Path) -> Files:
    """The tensors that an index says are in the files beside it."""
    said = shown(str(path))
    try:
        by_name = json.loads(path.read_bytes().decode("utf-8-sig"))["weight_map"]
        by_file: dict[Path, list[str] | None] = {}
        for name, file in by_name.items():
            if Path(file).name != file:
                raise AnatomyError(f"{said} names the file {shown(file)}, which is not beside it")
            names = by_file.setdefault(path.parent / file, [])
            assert names is not None
            names.append(name)
    except AnatomyError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as fault:
        raise AnatomyError(f"{said} is no index of safetensors: {brief(fault)}") from fault
    missing = [file.name for file in by_file if not file.is_file()]
    if missing:
        more = f", and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise AnatomyError(
            f"{shown(str(path.parent))} has no {shown(missing[0])}{more}, which {path.name} names\n"
            f"{len(by_file) - len(missing)} of {len(by_file)} files are there: copy or download the others"
        )
    return Files(by_file)


def _in_cache(path: Path) -> Path:
    """The folder of the version that a model's folder in a hub's cache is at; of any other path, itself."""
    named = path / "refs" / "main"
    if not (path / "snapshots").is_dir() or not named.is_file():
        return path
    return path / "snapshots" / named.read_text().strip()
