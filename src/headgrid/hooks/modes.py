"""Modes of ablation, checked at the call of `ablate`: zero, means, resampled rows, values of the caller's."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.hooks.cache import MASKS, Cache, is_recorded
from headgrid.hooks.taps import Tap
from headgrid.selection.activations import Where
from headgrid.selection.points import named, text_of
from headgrid.utils import arguments

NamedMode = Literal["zero", "mean", "resample"]
Mode: TypeAlias = NamedMode | float | torch.Tensor | Mapping[str, float | torch.Tensor]
Inputs: TypeAlias = torch.Tensor | Mapping[str, Any]

NAMED: tuple[NamedMode, ...] = ("zero", "mean", "resample")
_MODES = "mode is 'zero', 'mean', 'resample', a finite number, a tensor, a mapping from texts to these, or a Cache"


@dataclass(frozen=True)
class Given:
    """A value for heads or neurons of a tap.

    Attributes:
        tap: where they pass.
        places: which of the tap's numbers they are.
        name: what the caller calls them.
        runs: the value, or one for each run of a layer that is run several times in a pass.
        recorded: whether it is a recording, which stands for its own batch and positions.
    """

    tap: Tap
    places: tuple[int, ...]
    name: str
    runs: tuple[torch.Tensor, ...]
    recorded: bool


def checked(
    anatomy: Anatomy, found: Sequence[Tap], mode: Any, dtype: torch.dtype | None
) -> NamedMode | tuple[Given, ...]:
    """A mode by its name, or the values that it gives.

    Raises:
        ValueError: when it is none, does not fit what is selected, or could be meant in two ways.
        NotRecorded: when a `Cache` does not hold what is selected.
    """
    if isinstance(mode, str):
        for name in NAMED:
            if mode == name:
                return name
        raise ValueError(f"{_MODES}, not {arguments.shown(mode)}")
    if isinstance(mode, Cache):
        return tuple(_recorded(tap, mode.last(tap, tap.name)) for tap in found)
    if isinstance(mode, Mapping):
        return tuple(_mapped(anatomy, found, mode, dtype))
    value = _value("mode", mode, dtype, {tap.where[0] for tap in found})
    if value.ndim and len({tap.where[0] for tap in found}) > 1:
        kinds = " and for ".join(dict.fromkeys(_SPOKEN.get(tap.where[0], tap.where[0]) for tap in found))
        raise ValueError(f"one tensor cannot stand for {kinds}: give a mapping, {{'l1h2': z, 'l0 mlp': a}}")
    given = [Given(tap, _all(tap), tap.name, (value,), is_recorded(value)) for tap in found]
    _refuse_ambiguous(given)
    return tuple(map(_fitting, given))


def _all(tap: Tap) -> tuple[int, ...]:
    return tuple(range(len(tap.numbers)))


def _recorded(tap: Tap, runs: tuple[torch.Tensor, ...]) -> Given:
    for run in runs:
        if any(want not in (None, size) for want, size in zip(tap.shape, run.shape[-tap.own :], strict=True)):
            sizes = [size for size in tap.shape if size is not None]
            raise ValueError(
                f"the recording of {tap.name} has the shape {list(run.shape)}, not one that ends in {sizes}"
            )
    return Given(tap, _all(tap), tap.name, runs, True)


def _mapped(
    anatomy: Anatomy, found: Sequence[Tap], mode: Mapping[Any, Any], dtype: torch.dtype | None
) -> Iterator[Given]:
    of = {tap.where: tap for tap in found}
    missing: set[tuple[Where, int | None]] = {(tap.where, n) for tap in found for n in tap.numbers or (None,)}
    for text, one in mode.items():
        if not isinstance(text, str):
            raise ValueError(f"the keys of a mode are texts such as 'l1h2' or 'l0 mlp', not {arguments.shown(text)}")
        meant = named(anatomy, text)
        value = _value(f"the mode's value for {text}", one, dtype, {where[0] for where in meant})
        given = []
        if value.ndim and len({where[0] for where in meant}) > 1:
            raise ValueError(f"one tensor cannot stand for the heads and for the neurons of {text}: give each its own")
        for where, numbers in meant.items():
            if where not in of or not set(numbers) <= set(of[where].numbers):
                raise ValueError(f"the mode has values for {text}, which is not selected")
            these = {(where, number) for number in numbers or (None,)}
            if not these <= missing:
                raise ValueError(
                    f"the mode has two values for {_part(min(these - missing, key=str))}, one of them by {text}"
                )
            missing -= these
            places = tuple(of[where].numbers.index(number) for number in numbers)
            given.append(Given(of[where], places, text, (value,), is_recorded(value)))
        _refuse_ambiguous(given)
        yield from map(_fitting, given)
    if missing:
        raise ValueError(
            f"the mode has no values for {len(missing)} of what is selected, {_part(min(missing, key=str))} for one"
        )


_SPOKEN = {"z": "heads", "mlp": "neurons"}


def _part(part: tuple[Where, int | None]) -> str:
    (kind, stack, layer), number = part
    if kind == "mlp":
        return f"{stack} l{layer} mlp n{number}".lstrip()
    return text_of((kind, stack, layer), () if number is None else (number,))


def _value(name: str, value: Any, dtype: torch.dtype | None, kinds: Set[str]) -> torch.Tensor:
    """A number or tensor as a tensor of finite real numbers; of scores, -inf is what is masked.

    Raises:
        ValueError: when it is nothing of that kind, or too large for the model's dtype.
    """
    kind = _MODES if name == "mode" else f"{name} is a finite number or a tensor"
    if not isinstance(value, torch.Tensor) or not value.ndim:
        try:
            number = arguments.number(name, value)
        except (TypeError, ValueError, OverflowError) as fault:
            raise ValueError(f"{kind}, not {arguments.shown(value)}") from fault
        if not isinstance(value, torch.Tensor) or not value.is_floating_point():
            value = torch.tensor(number, dtype=torch.float64, device="cpu")
    elif not value.is_floating_point() or value.is_meta or value.layout != torch.strided:
        raise ValueError(f"{name} is a tensor of floating point numbers, not {arguments.shown(value)}")
    elif not value.numel():
        raise ValueError(f"{name} is {arguments.shown(value)}, which is empty")
    entries = value.detach()
    largest = float((entries.masked_fill(entries == -math.inf, 0) if kinds == {"scores"} else entries).abs().max())
    if not math.isfinite(largest):
        raise ValueError(f"{kind}; {arguments.shown(value)} has NaN or infinite entries")
    if dtype is not None and largest > torch.finfo(dtype).max:
        raise ValueError(f"{name} goes up to {largest:.3g}, beyond the model's {str(dtype).removeprefix('torch.')}")
    found: torch.Tensor = value
    return found


def _refuse_ambiguous(given: Sequence[Given]) -> None:
    """
    Raises:
        ValueError: for one row for each of several heads, which could as well be one for each position.
    """
    counts = {len(one.places) for one in given} | {sum(len(one.places) for one in given)}
    for one in given:
        shape = list(one.runs[0].shape)
        if one.tap.own == 2 and len(shape) == 2 and shape[0] > 1 and shape[0] in counts:
            n, d_head = shape
            raise ValueError(
                f"the values for {one.name} have the shape {shape}: is that a row for each head, or for each position? "
                f"Write value.view(1, 1, {n}, {d_head}) for heads, value.view(1, {n}, 1, {d_head}) for positions"
            )


def _fitting(given: Given) -> Given:
    """
    Raises:
        ValueError: when the last axes of a value are not those of the heads or neurons that it is for.
    """
    shape, n = list(given.runs[0].shape), len(given.places)
    width = given.tap.shape[-1]
    last: set[int] | None = {1, n}
    if given.tap.own == 1 and given.tap.numbers:
        axes, what = 3, f"one for each selected neuron, {n}"
    elif given.tap.own == 1:
        axes, last, what = 3, None, ""
    else:
        of = "d_model" if given.tap.where[0] == "result" else "d_head"
        axes, last, what = 4, None if width is None else {1, width}, f"{of}, {width}"
    wrong = ""
    if len(shape) > axes:
        wrong = f"which are more than {axes} axes"
    elif shape and last is not None and shape[-1] not in last:
        wrong = f"whose last axis is not {what}"
    elif given.tap.own == 2 and len(shape) == 4 and shape[2] not in (1, n):
        wrong = f"whose third axis is not one for each selected head, {n}"
    if wrong:
        full = f"[batch, pos, {n}]" if axes == 3 else f"[batch, pos, d_head] or [batch, pos, {n}, d_head]"
        raise ValueError(
            f"the values for {given.name} have the shape {shape}, {wrong}: it does not broadcast to {full}"
        )
    return given


def checked_reference(reference: Any, mode: object, per_position: bool) -> Inputs | Cache | None:
    """A reference that can be run, or has been.

    Raises:
        TypeError: when it is nothing of that kind.
        ValueError: when the mode has no use for it, or its attention mask leaves nothing to take.
    """
    if reference is None:
        return None
    if mode not in ("mean", "resample"):
        raise ValueError("a reference is of use with the modes 'mean' and 'resample' only")
    if isinstance(reference, Cache):
        for name, mask in reference.masks.items():
            check_mask(name, mask, mode, per_position)
    elif isinstance(reference, Mapping):
        if not reference or not all(isinstance(key, str) for key in reference):
            raise ValueError(
                "a reference names the arguments of the model, as in {'input_ids': ids}, unlike "
                + arguments.shown(dict(reference))
            )
        for name in set(MASKS.values()) & set(reference):
            mask = reference[name]
            ids = reference.get(name.replace("attention_mask", "input_ids"))
            if mask is None:
                continue
            arguments.of_kind(f"{name} of the reference", mask, torch.Tensor, "a tensor [batch, pos] of 0 and 1")
            check_mask(name, mask, mode, per_position)
            if isinstance(ids, torch.Tensor) and ids.shape != mask.shape:
                raise ValueError(
                    f"the {name} of the reference is {list(mask.shape)}, its token ids are {list(ids.shape)}"
                )
    else:
        what = "token ids, a mapping of the model's arguments or a Cache"
        arguments.of_kind("reference", reference, torch.Tensor, what)
        if not reference.ndim or not reference.numel() or reference.is_complex() or reference.dtype == torch.bool:
            raise ValueError(f"reference is {what}, not {arguments.shown(reference)}")
    found: Inputs | Cache = reference
    return found


def check_mask(name: str, mask: torch.Tensor, mode: object, per_position: bool) -> None:
    """
    Raises:
        ValueError: when an attention mask is none of 0 and 1 for each position, or leaves nothing to take.
    """
    if mask.ndim != 2 or not ((mask == 0) | (mask == 1)).all():
        raise ValueError(f"the {name} of the reference is 0 or 1 at each [batch, pos], not {arguments.shown(mask)}")
    counts = mask != 0
    if not counts.any():
        raise ValueError(f"the {name} of the reference is 0 everywhere: it leaves nothing to take a {mode} of")
    if mode == "mean" and per_position and not counts.any(0).all():
        position = int(counts.any(0).logical_not().nonzero()[0])
        raise ValueError(
            f"position {position} of the reference is masked in every row: it has no mean. Leave per_position out, or "
            "give a reference with tokens there"
        )
    if mode == "resample" and not counts.all():
        raise ValueError(
            f"the {name} of the reference masks positions: a row with padding cannot be put in the place of another. "
            "Give rows of one length without it"
        )
