"""Weights: the canonical tensors of a model, read through the slots of its anatomy.

One vocabulary for every family, in TransformerLens' orientation (a row vector times a matrix):

    weights.W_Q[3]         [n_heads, d_model, d_head]        queries of layer 3
    weights.W_K[3]         [n_kv_heads, d_model, d_head]     keys: with grouped-query attention, one for several heads
    weights.W_K[3, 5]      [d_model, d_head]                 what head 5 reads, whichever key/value head that is
    weights.W_O[3, 5]      [d_head, d_model]
    weights.W_E            [d_vocab, d_model]                what belongs to no layer has no index
    weights["ln1.w"][3]    [d_model]                         any role by its name
    weights.W_OV[3, 5]     FactoredMatrix                    what head 5 writes of what it reads: W_V W_O
    weights.W_QK[3, 5]     FactoredMatrix                    what it attends to: W_Q W_K^T, raw (no norm, no scale)

What is read is a view of the model's own parameter, detached from autograd: nothing is copied, and a later change of
the parameter is seen. It is a copy only where a view cannot be: with another `dtype` or `device`, with `normalize`, and
for heads that are stored in several places (CodeGen, Falcon's new decoder, one module for each expert).
"""

from __future__ import annotations

import copy
import os
from typing import Any

import torch
from jaxtyping import Float

from headgrid.anatomy.anatomy import Anatomy, AnatomyError, Slot
from headgrid.anatomy.roles import OUTSIDE_LAYERS, ROLES
from headgrid.linalg.factored import FactoredMatrix
from headgrid.models import dissect
from headgrid.models.checkpoints import Checkpoint
from headgrid.models.weight_source import LiveWeights, WeightSource
from headgrid.torch_state import shielded
from headgrid.utils import arguments

_ROLE = "a text such as 'W_Q' or 'ln1.w'"


class Weights:
    """The canonical weights of one stack of a model.

    Args:
        model: a live model of any kind that `dissect` takes; or the path of a folder or file of safetensors with a
            `config.json` beside it, whose entries are read where they are looked at, with no model in memory.
        stack: the name of the stack, of a model that has several; its main one by default.
        dtype, device: what tensors are given in; the parameters' own by default.

    Attributes:
        anatomy: the model's anatomy.
        stack: the stack that is read; `roles` lists what it has.
        source: where weights are read from.

    Raises:
        AnatomyError: when the model cannot be placed, or holds no weights (a config, the meta device); when files are
            missing, cut off, pickled, or of another model than their config.
        ValueError: when there is no such stack.
    """

    def __init__(
        self,
        model: Any,
        *,
        stack: str | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str | None = None,
    ) -> None:
        source = Checkpoint.opened(model) if isinstance(model, str | os.PathLike) else model
        self.anatomy: Anatomy = dissect(source.model if isinstance(source, Checkpoint) else model)
        if not isinstance(source, Checkpoint | torch.nn.Module):
            raise AnatomyError(f"{self.anatomy.name} is known by its configuration alone: there are no weights to read")
        self.source: WeightSource = LiveWeights(source) if isinstance(source, torch.nn.Module) else source
        self.stack = self.anatomy.main if stack is None else self.anatomy.stack(stack)
        self.dtype = None if dtype is None else arguments.dtype("dtype", dtype)
        self.device = None if device is None else arguments.device("device", device)

    @property
    def model(self) -> torch.nn.Module:
        """The model that is read; of files, its modules alone, on the meta device."""
        return self.source.model

    @classmethod
    def of(cls, given: Any, stack: str | None = None) -> Weights:
        """The weights of a model, or of what are its `Weights` already, of that stack if one is named."""
        if not isinstance(given, Weights):
            return cls(given, stack=stack)
        return given if stack is None or arguments.text("stack", stack) == given.stack.name else given.at(stack)

    @property
    def roles(self) -> list[str]:
        """The names of what can be read, in the order of a forward pass."""
        there = {role for role, _ in self.stack.places}
        return [role for role in ROLES if role in there]

    def __getitem__(self, role: str) -> Any:
        """The weights of a role by its name: `LayerWeights`, or the tensor itself of what belongs to no layer.

        Raises:
            KeyError: when the stack has no such role, naming those that it has.
        """
        if arguments.text("a role", role, what=_ROLE) not in self.roles:
            raise KeyError(f"{self.anatomy.name} has no {arguments.shown(role)}; it has {', '.join(self.roles)}")
        return self.read(role) if ROLES[role].owner in OUTSIDE_LAYERS else LayerWeights(self, role)

    def __getattr__(self, role: str) -> Any:
        if role.startswith("__") or role not in ROLES:
            raise AttributeError(f"Weights has no attribute {role!r}; its roles are {', '.join(ROLES)}")
        try:
            return self[role]
        except KeyError as fault:
            raise AttributeError(fault.args[0]) from None

    @property
    def W_OV(self) -> LayerProducts:
        """W_V W_O of every head, `[d_model, d_model]` each, kept in factors."""
        return LayerProducts(self["W_V"], self["W_O"])

    @property
    def W_QK(self) -> LayerProducts:
        """W_Q W_K^T of every head, `[d_model, d_model]` each, kept in factors."""
        return LayerProducts(self["W_Q"], self["W_K"])

    def __repr__(self) -> str:
        notes = "".join(f" {note}" for note in self.notes())
        return f"Weights({self.anatomy.title}: {', '.join(self.roles)}){notes}"

    @shielded()
    def read(
        self, role: str, layer: int | None = None, *, normalize: str | None = None
    ) -> Float[torch.Tensor, "*axes"]:
        """The weights of a role in a layer, in canonical orientation.

        Args:
            role: a key of `ROLES`.
            layer: the layer; None for what belongs to no layer.
            normalize: a letter of the role's axes (`m`: d_model, `h`: d_head, ...) along which every vector is given
                length 1; a zero vector stays zero.

        Returns:
            A tensor of the shape that `ROLES[role].axes` says, without a gradient.

        Raises:
            AnatomyError: when the layer has no such weights, when they are several parameters of no common shape (what
                a layer has beside heads and MLP), when they are on the meta device or quantized, or when a
                parameter no longer has the shape that it had.
            ValueError: when `normalize` is no axis of the role.
        """
        slots = self._slots(role, layer)
        if not slots and layer is None and role in self.roles:
            raise AnatomyError(f"{role} is of a layer: say which, of 0 to {self.stack.n_layers - 1}")
        if not slots:
            where = "" if layer is None else f" in layer {arguments.shown(layer)}"
            raise AnatomyError(
                f"{self.anatomy.name} has no {arguments.shown(role)}{where}; its roles are {', '.join(self.roles)}"
            )
        if len(slots) > 1 and ROLES[role].axes == "...":
            names = ", ".join([slot.parameter for slot in slots][:4]) + (", ..." if len(slots) > 4 else "")
            raise AnatomyError(
                f"{role} of {self.anatomy.name} is {len(slots)} parameters, and no one tensor: {names}\n"
                "Read each from the model by its name"
            )
        pieces = [self.piece(slot) for slot in sorted(slots, key=lambda slot: slot.first)]
        found = pieces[0] if len(pieces) == 1 else torch.cat(pieces)
        if self.dtype is not None or self.device is not None:
            found = found.to(device=self.device, dtype=self.dtype)
        if normalize is None:
            return found
        letters = ROLES[role].axes.split()
        if arguments.text("normalize", normalize, what="a letter of the axes of a role") not in letters:
            said = arguments.shown(normalize)
            raise ValueError(f"{role} has the axes {', '.join(letters)}; it cannot be normalized along {said}")
        return torch.nn.functional.normalize(found, dim=letters.index(normalize), eps=torch.finfo(found.dtype).tiny)

    def notes(self, *roles: str, layer: int | None = None) -> tuple[str, ...]:
        """The differences between the stored weights and those that are used, in sentences.

        Args:
            roles: the roles that are asked about; all by default.
            layer: the layer that is asked about; all by default, and what belongs to no layer.
        """
        if not self.anatomy.altered:
            return ()  # as nearly always, without looking at every place
        by: dict[str, dict[str, None]] = {}
        for (role, at), slots in self.stack.places.items():
            if (not roles or role in roles) and layer in (None, at):
                for slot in slots:
                    name = self.anatomy.aliases.get(slot.parameter, slot.parameter)
                    if what := self.anatomy.altered.get(name):
                        by.setdefault(what, {})[role] = None
        return tuple(
            f"There is an adapter ({what}, on {', '.join(on)}): its weights are included only once they are merged."
            for what, on in by.items()
        )

    @shielded()
    def version(self, role: str, layer: int | None = None) -> tuple[object, ...]:
        """The version of some weights: it changes when they do, for caches of results that were computed from them.

        A parameter counts its changes in place, but not those through `.data`; so entries are summed too, all of them
        up to a million, and of more every so many rows. A change of few entries through `.data` can go unseen.

        Args:
            role, layer: as in `read`.

        Returns:
            A tuple that compares equal as long as nothing changed; empty where the layer has no such weights.
        """
        return tuple(one for slot in self._slots(role, layer) for one in self.source.version(slot))

    def at(self, stack: str, *, as_stored: bool = False) -> Weights:
        """The weights of another stack of the same model, in the same dtype and device, or as they are stored."""
        arguments.flag("as_stored", as_stored)
        found = copy.copy(self)
        found.stack = self.anatomy.stack(stack)
        if as_stored:
            found.dtype = found.device = None
        return found

    def _slots(self, role: str, layer: int | None) -> tuple[Slot, ...]:
        """The places of a role in a layer, or outside of all; none where there are none."""
        arguments.text("a role", role, what=_ROLE)
        at = None if layer is None else arguments.integer("a layer", layer)
        return self.stack.places.get((role, at), ())

    def piece(self, slot: Slot, number: int | None = None) -> Float[torch.Tensor, "*axes"]:
        """A view of one place, as it is stored, in canonical orientation; an AnatomyError if quantized or on meta.

        Args:
            slot: the place.
            number: one of its parts, `[1, ...]`, where they are along the first canonical axis; all by default.
        """
        return slot.of(self.source.tensor(slot.parameter)) if number is None else self.source.part(slot, number)


class LayerWeights:
    """The weights of one role in every layer: `[layer]` gives all of its parts, `[layer, part]` one."""

    def __init__(self, weights: Weights, role: str) -> None:
        self._weights, self.role = weights, role

    def __len__(self) -> int:
        return self._weights.stack.n_layers

    def __getitem__(self, at: int | tuple[int, int]) -> Float[torch.Tensor, "*axes"]:
        (layer, *parts), stack = _indices(self.role, at), self._weights.stack
        if not -stack.n_layers <= layer < stack.n_layers:
            raise IndexError(f"there is no layer {arguments.shown(layer)}; the layers are 0 to {stack.n_layers - 1}")
        if parts and (one := self._expert(layer % stack.n_layers, parts[0])) is not None:
            return one
        found = self._weights.read(self.role, layer % stack.n_layers)
        if not parts:
            return found
        letter = ROLES[self.role].part_axis
        if letter is None:
            raise IndexError(f"all heads and neurons share {self.role}: it has no parts to index")
        axis = ROLES[self.role].axes.split().index(letter)
        (part,), n = parts, stack.n_heads if letter == "g" else found.shape[axis]
        if not 0 <= part < n:
            said = arguments.shown(part)
            raise IndexError(f"there is no {self.role} of part {said}; the parts of layer {layer} are 0 to {n - 1}")
        return found.select(axis, int(stack.kv_head_of[part]) if letter == "g" else part)

    def _expert(self, layer: int, number: int) -> Float[torch.Tensor, "*axes"] | None:
        """One expert, without the others: they may be stored one by one. None for other roles and numbers."""
        if ROLES[self.role].part_axis != "e":
            return None
        for slot in self._weights.stack.places.get((self.role, layer), ()):
            if number in range(slot.first, slot.first + slot.n_parts):
                found = self._weights.piece(slot, number - slot.first)[0]
                return found.to(device=self._weights.device, dtype=self._weights.dtype)
        return None

    def per_head(self, layer: int) -> Float[torch.Tensor, "n_kv_heads n_queries_per_kv *axes"]:
        """Keys or values for each query head: the heads of each key/value head share its memory.

        Returns:
            A view `[n_kv_heads, n_heads // n_kv_heads, ...]`: flattened over the first two axes (which copies), the
            entry of head h is that of the key/value head that it reads.
        """
        found, stack = self[layer], self._weights.stack
        if ROLES[self.role].part_axis != "g":
            raise ValueError(f"{self.role} is of query heads already")
        each = stack.n_heads // stack.n_kv_heads
        return found[:, None].expand(-1, each, *found.shape[1:])

    def __repr__(self) -> str:
        return f"{self.role} of {len(self)} layers, {ROLES[self.role].axes}"


def _indices(role: str, at: Any) -> list[int]:
    """A layer, or a layer and a part, of an index."""
    try:
        if not isinstance(at, tuple) or len(at) == 2:
            return [arguments.integer("an index", one) for one in (at if isinstance(at, tuple) else (at,))]
    except TypeError:
        pass
    said = arguments.shown(at)
    raise TypeError(f"{role} is indexed by [layer] or [layer, part], which are whole numbers; not {said}")


class LayerProducts:
    """A product of two weights of each head: `[layer, head]` gives one, `[layer]` those of all heads, `[n_heads]`.

    One is in views of the weights; with grouped-query attention, all at once have keys or values copied for each head.
    """

    def __init__(self, left: LayerWeights, right: LayerWeights) -> None:
        self._left, self._right = left, right

    def __len__(self) -> int:
        return len(self._left)

    def __getitem__(self, at: int | tuple[int, int]) -> FactoredMatrix:
        left, right = (self._of_heads(weights, at) for weights in (self._left, self._right))
        return FactoredMatrix(left, right if self._right.role == "W_O" else right.mT)

    @staticmethod
    def _of_heads(weights: LayerWeights, at: int | tuple[int, int]) -> torch.Tensor:
        if isinstance(at, tuple) or ROLES[weights.role].part_axis != "g":
            return weights[at]
        return weights.per_head(at).flatten(0, 1)
