"""Selection: a set of parts of one anatomy. Frozen; full set algebra; prints as, and parses from, one line of text."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias
from typing import Union as OneOf

import numpy as np
import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.roles import rank
from headgrid.selection import activations, indices, masks, parts, saving
from headgrid.selection.code import Library, snippet
from headgrid.selection.lexer import SelectionError
from headgrid.selection.parser import add_texts, parse
from headgrid.selection.parts import Parts
from headgrid.selection.printer import text_of
from headgrid.selection.union import Union
from headgrid.torch_state import shielded
from headgrid.utils import arguments
from headgrid.utils.frozen import read_only, settled

if TYPE_CHECKING:
    from headgrid.selection.masks import ParamMasks

Selectable: TypeAlias = OneOf[
    str, "Selection", tuple[int, int], np.ndarray[Any, Any], torch.Tensor, Mapping[int, Iterable[int]], Iterable[Any]
]


class Selection:
    """A set of parts of one model, made with `anatomy.select("l1h2 | l0 mlp")`.

    `|`, `&`, `-` and `^` with another selection or a text, `~`, `<=`, `==` and `in` are those of sets. A selection is
    false when it is empty, never changes, and can be a key of a dictionary.

    Attributes:
        anatomy: the model that it is of.
        parts: key of a role (`W_Q`, `encoder:W_Q`) -> which of its parts, a read-only boolean array
            `[n_layers, n_parts]`; absent where none is.
    """

    __slots__ = ("__dict__", "anatomy", "parts")
    anatomy: Anatomy
    parts: Parts

    def __init__(self, anatomy: Anatomy, chosen: Parts) -> None:
        arguments.of_kind("anatomy", anatomy, Anatomy, "an Anatomy, as headgrid.dissect makes it")
        given = arguments.of_kind("parts", chosen, Mapping, "a dictionary, as that of another selection")
        for key, bits in given.items():
            there = anatomy.exists.get(key) if isinstance(key, str) else None
            if there is None or not isinstance(bits, np.ndarray) or (bits.dtype, bits.shape) != (np.bool_, there.shape):
                wanted = "one of its roles" if there is None else f"booleans {list(there.shape)}"
                said = f"{arguments.shown(key)} is {arguments.shown(bits)}"
                raise TypeError(f"parts of {anatomy.name} are {wanted}; {said}")
            if (bits > there).any():
                raise ValueError(f"parts of {anatomy.name}: {key} has some that there are not; see its exists")
        self._keep(anatomy, {role: settled(given[role]) for role in sorted(given, key=rank) if given[role].any()})

    def _keep(self, anatomy: Anatomy, chosen: Parts) -> None:
        object.__setattr__(self, "anatomy", anatomy)
        object.__setattr__(self, "parts", read_only(chosen))

    @classmethod
    def from_parts(cls, anatomy: Anatomy, chosen: Parts) -> Selection:
        """A selection of arrays that were just made, and that nobody else will write to."""
        made = cls.__new__(cls)
        made._keep(anatomy, {role: settled(bits, ours=True) for role, bits in chosen.items()})
        return made

    def __reduce__(self) -> tuple[type[Selection], tuple[Anatomy, Parts]]:
        return type(self), (self.anatomy, dict(self.parts))

    def __copy__(self) -> Selection:
        return self

    def __deepcopy__(self, _: dict[int, Any]) -> Selection:
        return self

    def __delattr__(self, name: str) -> None:
        raise AttributeError("a Selection does not change; make a new one with |, &, - or anatomy.select(...)")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a Selection does not change; make a new one with |, &, - or anatomy.select(...)")

    @classmethod
    def of(cls, anatomy: Anatomy, what: Selectable) -> Selection:
        """The selection that `Anatomy.select` returns; see there."""
        arguments.of_kind("anatomy", anatomy, Anatomy, "an Anatomy, as headgrid.dissect makes it")
        if isinstance(what, Selection):
            return what._of(anatomy)
        found = Union(anatomy)
        _add(found, what)
        return cls.from_parts(anatomy, found.parts())

    def _of(self, anatomy: Anatomy) -> Selection:
        if self.anatomy != anatomy:
            raise _another(self.anatomy.title, anatomy)
        return self

    def _other(self, other: str | Selection) -> Parts:
        """The parts of the other side of an operator."""
        if isinstance(other, str):
            return parse(self.anatomy, other)
        if isinstance(other, Selection):
            return other._of(self.anatomy).parts
        raise TypeError(
            f"a selection is joined and compared with a selection or a text such as 'l1h2', not "
            f"{arguments.shown(other)}; anatomy.select(...) makes a selection of a list or an array"
        )

    def __or__(self, other: str | Selection) -> Selection:
        return Selection.from_parts(self.anatomy, parts.union(self.parts, self._other(other)))

    def __and__(self, other: str | Selection) -> Selection:
        return Selection.from_parts(self.anatomy, parts.intersection(self.parts, self._other(other)))

    def __sub__(self, other: str | Selection) -> Selection:
        return Selection.from_parts(self.anatomy, parts.difference(self.parts, self._other(other)))

    def __xor__(self, other: str | Selection) -> Selection:
        return (self - other) | (self.anatomy.select(other) - self)

    def __invert__(self) -> Selection:
        return Selection.from_parts(self.anatomy, parts.difference(parts.everything(self.anatomy), self.parts))

    def __le__(self, other: str | Selection) -> bool:
        return not self - other

    def __contains__(self, other: str | Selection) -> bool:
        return self.anatomy.select(other) <= self

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Selection):
            return NotImplemented
        return self.anatomy == other.anatomy and parts.equal(self.parts, other.parts)

    def __hash__(self) -> int:
        return hash((self.anatomy, frozenset((role, bits.tobytes()) for role, bits in self.parts.items())))

    def __bool__(self) -> bool:
        return bool(self.parts)

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return f"Selection({self._text!r})"

    @cached_property
    def _text(self) -> str:
        return text_of(self.anatomy, self.parts)

    @cached_property
    def n_params(self) -> int:
        """The number of selected entries of all parameters, a part of `Anatomy.n_params`."""
        return parts.n_params(self.anatomy, self.parts)

    @shielded()
    def selected_heads(self, stack: str | None = None) -> torch.Tensor:
        """Which heads are selected whole: a boolean tensor `[n_layers, n_heads]`, True at those that are.

        It is no `head_mask` of transformers, which is 1 at the heads that are kept: that is its opposite, `~`.

        Args:
            stack: the name of the stack, of a model that has several; its main one by default, which is the language
                model of a vision-language model and the decoder of an encoder-decoder.

        Raises:
            ValueError: when there is no such stack.
        """
        of = self.anatomy.main if stack is None else self.anatomy.stack(stack)
        whole, _, _ = parts.coverage(of, self.parts, of.roles("q", "k", "v", "o"), "n")
        return torch.from_numpy(np.broadcast_to(whole, (of.n_layers, of.n_heads)).copy())

    @property
    @shielded()
    def heads(self) -> list[tuple[int, int]]:
        """The heads of the main stack that are selected whole, as (layer, head) pairs in order."""
        return [(int(layer), int(head)) for layer, head in self.selected_heads().nonzero()]

    @shielded()
    def masks(self) -> ParamMasks:
        """Parameter masks, as devinterp's `ParamMasks`.

        Returns:
            Parameter name -> a boolean tensor of the parameter's shape that is True at the selected entries, or None
            where every entry is selected. A parameter of which nothing is selected is absent, so an empty selection
            gives `{}`. The order is that of `named_parameters()`. A tensor is a view of a vector along one axis,
            expanded over the others: it is read-only in effect (`.clone()` it to write to it) and costs one byte per
            row or column. Under grouped-query attention the masks of a head's key and value weights are those of its
            `siblings` too; `zero_` switches off the head alone.
        """
        return masks.masks(self.anatomy, self.parts)

    def training_only(self, model: torch.nn.Module) -> AbstractContextManager[None]:
        """A context in which only the selected entries of `model` are trained.

        Parameters of which nothing is selected get no gradient at all; in the others the gradient is zero outside the
        mask. Weight decay and momentum move entries whose gradient is zero, too: after each step of an optimizer of
        `torch.optim`, or derived from one, what is not selected is put back. Where something else updates the
        parameters, weight decay must be 0. What is frozen (`requires_grad` is False: the model under PEFT's adapters)
        stays so, selected or not. Under grouped-query attention the selected key and value weights of a head are
        those of its `siblings` too. All is as before when the context ends, an exception included.

        Raises:
            TypeError: when `model` is no module.
            ValueError: when the model does not have the selected parameters, or has them in other shapes; when all of
                them are frozen.
        """
        return masks.training_only(model, self.masks())

    def zero_(self, model: torch.nn.Module) -> None:
        """Switch the selected heads and neurons of `model` off, in place, by zeroing the weights that read them.

        These are `W_O` of a head and `W_out` of a neuron, with what a LoRA adapter adds to them, and no others: the
        key and value weights that a head shares with its `siblings` stay, and so does what a block adds by itself
        (`b_O`, `b_out`). It is the same function as `headgrid.ablate(model, selection)`, and takes the same selections.

        Raises:
            TypeError: when `model` is no module.
            ValueError: when a part is no activation (an embedding, a norm, `l1h2.q`); when the model does not have the
                selected parameters, has them in other shapes, or is on the meta device.
        """
        masks.zero_(model, masks.masks(self.anatomy, activations.outputs(self.anatomy, self.parts)))

    def save(self, model: torch.nn.Module, path: str | os.PathLike[str]) -> None:
        """Write the selected entries of `model` to a file of safetensors; `load_` puts them back.

        It has one tensor for each parameter that `masks` names: all of it, or its selected entries in one dimension, in
        the parameter's order and dtype. The file is written whole or not at all.

        Args:
            model: the model.
            path: where to: "l1h2.safetensors".

        Raises:
            TypeError: when `model` is no module, or `path` no path.
            ValueError: when the selection is empty; when the model does not have the selected parameters, has them in
                other shapes, or is on the meta device.
            OSError: when the file cannot be written, a full disk included; what was there is there still.
        """
        saving.save(model, self._some_masks("save"), self.to_json(), path)

    def load_(self, model: torch.nn.Module, path: str | os.PathLike[str]) -> None:
        """Set the selected entries of `model`, in place, to those that `save` wrote; nothing else changes.

        Args:
            model: one of the anatomy that was saved, with other weights as it may be.
            path: the file.

        Raises:
            TypeError: when `model` is no module, or `path` no path.
            FileNotFoundError: when there is no such file.
            ValueError: when the file is not whole, or none of `save`; when it is of another model, another selection or
                another dtype, which is named; when the model does not have the selected parameters. Nothing has changed
                then.
        """
        saving.load_(model, self._some_masks("load"), self.to_json(), path)

    def _some_masks(self, act: str) -> ParamMasks:
        if not self:
            raise ValueError(f"the selection is empty: there is nothing to {act}")
        return self.masks()

    @cached_property
    def siblings(self) -> Selection:
        """The heads that read key or value weights of this selection and are not in it, with all of their weights.

        Under grouped-query attention the key and value weights of `l1h2` are those of other heads as well: to change
        them changes these heads. Without it there are none.
        """
        return Selection(self.anatomy, parts.siblings(self.anatomy, self.parts))

    def code(self, library: Library) -> str:
        """This selection as a snippet for another library, which needs nothing of headgrid.

        Args:
            library: what it is for.

            - "torch": hooks of plain torch that set what these heads and neurons give to zero.
            - "transformer_lens": the same by `run_with_hooks`, for a language model of one stack.
            - "nnsight": the same in a `trace`.
            - "devinterp": the masks, for restricted sampling.
            - "causalab": the same as "torch", as a document of its intervention protocol (JSON).

        Returns:
            Text. Its first lines say which names it expects: `model` and `tokens`.

        Raises:
            ValueError: for another library; for an empty selection; for a part that is no activation (an embedding, a
                norm), but for devinterp; where the library has no name for the place.
        """
        return snippet(self.anatomy, self.parts, library)

    def to_json(self) -> str:
        """This selection as a line of JSON, for a file or a message; `from_json` reads it back."""
        return json.dumps(
            {"selection": str(self), "model": self.anatomy.title, "fingerprint": self.anatomy.fingerprint}
        )

    @classmethod
    def from_json(cls, anatomy: Anatomy, line: str) -> Selection:
        """The selection that `to_json` wrote, on an anatomy equal to the one that it was made for.

        Raises:
            ValueError: when it was made for another anatomy, which is named, or when the line is not of `to_json`.
        """
        arguments.of_kind("anatomy", anatomy, Anatomy, "an Anatomy, as headgrid.dissect makes it")
        arguments.text("line", line, what="a line of JSON, as to_json writes it")
        try:
            read = json.loads(line)
            text, model, fingerprint = (arguments.text(key, read[key]) for key in ("selection", "model", "fingerprint"))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ValueError(f"this is no selection as to_json writes it: {arguments.shown(line)}") from error
        if fingerprint != anatomy.fingerprint:
            raise _another(model, anatomy)
        return anatomy.select(text)


def _add(found: Union, what: Any) -> None:
    """Add all that can be selected to a union."""
    if isinstance(what, str):
        add_texts(found, (what,))
    elif isinstance(what, Selection):
        found.add(what._of(found.anatomy).parts)
    elif isinstance(what, tuple) and (head := indices.pair(what)) is not None:
        indices.add_pairs(found, np.array([head], dtype=object))
    elif (array := indices.array(what)) is not None and array.dtype.kind not in "OUT":
        indices.add_array(found, array, what)
    elif isinstance(what, Mapping):
        indices.add_by_layer(found, what)
    elif not isinstance(what, Iterable) or isinstance(what, bytes | bytearray):
        hint = "a layer is 'l3', a head 'l3h7' or (3, 7)" if isinstance(what, int | float | np.number) else ""
        indices.refused(what, hint)
    elif isinstance(what, tuple) and len(what) == 2 and all(map(_counts, what)):
        if what[0].shape != what[1].shape:
            raise ValueError(f"layers and heads are as many, not {len(what[0])} and {len(what[1])}")
        indices.add_pairs(found, np.stack([np.asarray(indices.array(one)) for one in what], axis=-1))
    else:
        _add_each(found, what)


def _add_each(found: Union, what: Iterable[Any]) -> None:
    """Add each item of a list; those that are pairs together."""
    pairs: list[tuple[int, int]] = []
    texts: list[str] = []
    any_there = False
    for one in what:
        any_there = True
        if isinstance(one, str):
            texts.append(one)
        elif (head := indices.pair(one)) is not None:
            pairs.append(head)
        elif indices.whole_number(one) is not None:
            indices.refused(what, "numbers alone could be layers or heads: a head is a pair, (layer, head)")
        else:
            _add(found, one)
    if texts:
        add_texts(found, dict.fromkeys(texts))
    if pairs:
        indices.add_pairs(found, np.array(pairs, dtype=object))
    if not any_there and isinstance(what, Iterator):
        raise ValueError(
            "select was given an iterator with nothing in it, or nothing left in it: "
            "make a list of it, once; an empty list selects nothing"
        )


def _counts(value: object) -> bool:
    """Whether this is an array of whole numbers along one axis, as `nonzero` gives one for each axis."""
    return isinstance(value, np.ndarray | torch.Tensor) and value.ndim == 1 and "int" in str(value.dtype)


def _another(title: str, anatomy: Anatomy) -> ValueError:
    return ValueError(
        f"this selection is of {title}, which is another model than {anatomy.title}. "
        "To carry its words over, write anatomy.select(str(selection))"
    )


__all__ = ["Selection", "SelectionError"]
