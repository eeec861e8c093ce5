"""Checkpoints: the weights of a model as they lie in files of safetensors, read where they are looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from headgrid.anatomy.anatomy import AnatomyError
from headgrid.anatomy.roles import ROLES
from headgrid.anatomy.slots import Slot, stored_axes
from headgrid.models import configs
from headgrid.models.checkpoints.files import Files, find
from headgrid.models.checkpoints.naming import Source, sources, unexpected
from headgrid.models.checkpoints.skeleton import declared, in_float32, skeleton
from headgrid.models.weight_source import full_precision
from headgrid.utils.arguments import shown

__all__ = ["Checkpoint"]

SMALL = 2**16
"""Entries of a parameter that is kept in its module once it was read there: gains, biases, learned scales."""


class Checkpoint:
    """The weights of a model in files of safetensors. None is in memory: entries are read when they are looked at.

    It is what the files were when it was opened. A file that was changed since is refused when it is read.

    Args:
        path: where it is, for sentences.
        folder: the folder with the config.
        files: the tensors.

    Attributes:
        model: the model's modules, on the meta device: there is nothing to run.

    Raises:
        AnatomyError: when config and tensors are not of one model: for a tensor that the model has no place for, a
            parameter that no tensor is for, another shape or dtype.
    """

    runs = False

    def __init__(self, path: str | os.PathLike[str], folder: Path, files: Files) -> None:
        self.path = os.fspath(path)
        self.model = skeleton(folder)
        self._files = files
        self._parameters: dict[str, torch.Tensor] = dict(self.model.named_parameters())
        first = {id(parameter): name for name, parameter in self._parameters.items()}
        named = self.model.named_parameters(remove_duplicate=False)
        self._owner = {name: first[id(parameter)] for name, parameter in named}
        self._made_of: dict[str, tuple[str, Source]] = {}  # parameter or buffer -> its name in what a source makes
        self._widened = set[str]()  # parameters that are stored in half precision, and are used in float32
        self._match(declared(configs.read(folder)))
        for name, buffer in list(self.model.named_buffers()):
            if buffer.is_meta and name in self._made_of:
                path_of, _, leaf = name.rpartition(".")
                key, source = self._made_of[name]
                self.model.get_submodule(path_of).register_buffer(leaf, self._read(source)[key].clone())

    @classmethod
    def opened(cls, path: str | os.PathLike[str]) -> Checkpoint | None:
        """The checkpoint at a path; None where there is no more than a config, or nothing.

        Args:
            path: a folder, a file of safetensors or the index of several, with a `config.json` beside it; or a model's
                folder in a hub's cache.

        Raises:
            AnatomyError: when what is there cannot be read as one model's weights; it says which file, and why.
        """
        found = find(path)
        return None if found is None else cls(path, *found)

    # ---- what weights are read by

    def tensor(self, name: str) -> torch.Tensor:
        """A parameter; of experts that are stored one by one, a copy of all."""
        owner = self._owner.get(name, name)
        if owner not in self._made_of:
            raise AnatomyError(f"{shown(self.path)} has no weights {shown(name)}")
        return self._whole(owner)

    def pieces(self, slot: Slot) -> Iterator[tuple[int, torch.Tensor]]:
        """The weights of a slot in canonical orientation, each with the number in it that its first part has."""
        rows = self._rows(slot)
        if rows is None:
            yield 0, slot.of(self.tensor(slot.parameter))
            return
        one = _of_one(slot)
        for number, row in enumerate(rows):
            yield number, one.of(self._row(slot.parameter, row))

    def part(self, slot: Slot, number: int) -> torch.Tensor:
        """One part of a slot, `[1, ...]`, along the first canonical axis; of experts, the others are not read."""
        rows = self._rows(slot)
        if rows is None:
            return slot.of(self.tensor(slot.parameter))[number : number + 1]
        return _of_one(slot).of(self._row(slot.parameter, rows[number]))

    def why_not(self, name: str) -> str:
        """Why a parameter cannot be read; "" where it can: of a checkpoint, each can."""
        return ""

    def module(self, path: str) -> torch.nn.Module:
        """A module with its own small parameters in memory, such as a norm, to be asked what it does with them."""
        module = self.model.get_submodule(path)
        for name, parameter in list(module.named_parameters(path, recurse=False)):
            self.fill(name, parameter)
        return module

    def fill(self, name: str, parameter: torch.Tensor | None = None) -> None:
        """Put a small parameter into its module, once."""
        parameter = self.model.get_parameter(name) if parameter is None else parameter
        if parameter.is_meta and parameter.numel() <= SMALL:
            path, _, leaf = name.rpartition(".")
            kept = torch.nn.Parameter(self.tensor(name).clone(), requires_grad=False)
            setattr(self.model.get_submodule(path), leaf, kept)

    def version(self, slot: Slot) -> tuple[object, ...]:
        """The version of the weights of a slot: they do not change."""
        return ("checkpoint",)

    # ---- what parameters are made of

    def _whole(self, owner: str) -> torch.Tensor:
        name, source = self._made_of[owner]
        return self._as_used(owner, full_precision(name, self._read(source)[name]))

    def _as_used(self, owner: str, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.float() if owner in self._widened else tensor

    def _read(self, source: Source) -> dict[str, torch.Tensor]:
        return source.made(self._files.tensor)

    def _rows(self, slot: Slot) -> list[list[str]] | None:
        """The stored tensors of each expert of a slot, where they are stored one by one."""
        _, source = self._made_of.get(self._owner.get(slot.parameter, slot.parameter), ("", None))
        rows = None if source is None else source.stacked
        if rows is None or ROLES[slot.role].part_axis != "e":
            return None
        first = stored_axes(slot.axes)[0]
        return rows if first.factors == ("e",) and not first.outer and len(rows) == slot.n_parts else None

    def _row(self, owner: str, names: list[str]) -> torch.Tensor:
        """The row of a parameter that some tensors make: a view of the tensor, if it is one."""
        found = [full_precision(name, self._files.tensor(name)) for name in names]
        return self._as_used(owner, found[0] if len(found) == 1 else torch.cat(found))[None]

    # ---- whether they are of one model

    def _match(self, said: torch.dtype | None) -> None:
        """Find what each parameter is made of; an AnatomyError where that is not clear."""
        found, unknown = sources(self.model, self._files)
        state: dict[str, Any] = self.model.state_dict()
        for source in found:
            for name, (shape, dtype) in source.shapes(self._files.stored).items():
                if name not in state:
                    raise AnatomyError(f"{self._where(source)} would be {name}, which {self._class} does not have")
                if shape != tuple(state[name].shape):
                    raise AnatomyError(
                        f"{self._where(source)} gives {name} the shape {list(shape)}, and the config says "
                        f"{list(state[name].shape)}"
                    )
                owner = self._owner.get(name, name)
                if owner in self._parameters and said is not None:
                    self._check_dtype(source, owner, dtype, said)
                first, before = self._made_of.setdefault(owner, (name, source))
                if before is not source and not torch.equal(self._whole(owner), self._read(source)[name]):
                    raise AnatomyError(
                        f"{self._where(source)} is not what {first} is, and the config says that {self._class} has "
                        "both tied\nSet `tie_word_embeddings` to false in the config if they are not"
                    )
        for name in unexpected(self.model, unknown):
            raise AnatomyError(
                f"{shown(str(self._files.stored[name].file))} has the tensor {shown(name)}, for which {self._class} "
                "has no place\nThe class is that which `architectures` in the config names, or the library's choice"
            )
        for name in self._parameters:
            if name not in self._made_of:
                raise AnatomyError(f"{shown(self.path)} has no tensor for {name} of {self._class}")

    def _check_dtype(self, source: Source, name: str, dtype: torch.dtype, said: torch.dtype) -> None:
        """Refuse another dtype than the config says; `from_pretrained` would round the weights, or widen them."""
        wanted = torch.float32 if in_float32(self.model, name, said) else self._parameters[name].dtype
        if wanted == torch.float32 != dtype == said:
            self._widened.add(name)  # as `from_pretrained` has it, and no bit is lost
        if dtype.is_floating_point and dtype not in (wanted, said):
            raise AnatomyError(
                f"{self._where(source)} is stored as {_short(dtype)}, and the config says {_short(said)}\n"
                f"Set `dtype` in the config to {_short(dtype)!r} if the file is right; or load the model and save it"
            )

    @property
    def _class(self) -> str:
        return type(self.model).__name__

    def _where(self, source: Source) -> str:
        """A tensor of a source and its file, for a sentence."""
        name = next(name for names in source.names.values() for name in names)
        return f"{shown(name)} in {shown(str(self._files.stored[name].file))}"


def _of_one(slot: Slot) -> Slot:
    """A slot of one expert, as one of these is stored alone."""
    return replace(slot, sizes={**slot.sizes, "e": 1})


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
