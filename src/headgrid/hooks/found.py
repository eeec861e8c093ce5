"""From what a caller names to taps: the anatomy, the activations, and where they pass."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch

from headgrid.anatomy.anatomy import Anatomy, AnatomyError
from headgrid.hooks.attention import attention_tap
from headgrid.hooks.stream import result_tap, stream_tap, templates
from headgrid.hooks.taps import Tap, weight_tap
from headgrid.models import dissect
from headgrid.selection.activations import Where
from headgrid.selection.points import OF_LAYERS, ActivationNumbers, named, text_of
from headgrid.selection.selection import Selectable, Selection
from headgrid.utils.warning import warn


def taps_of(
    model: torch.nn.Module, anatomy: Anatomy, selection: Selectable, what: str,
    points: str | Sequence[str] | None = None,
) -> list[Tap]:  # fmt: skip
    """The taps of what is selected; a warning where that is nothing, unless the word for it was written."""
    wanted = named(anatomy, selection, points)
    if not wanted and not (isinstance(selection, str) and selection.strip().lower() == "none"):
        warn(f"the selection is empty: nothing is {what}")
    if what != "recorded":
        _warn_of_siblings(anatomy, selection, wanted)
    return tapped(model, anatomy, wanted)


def tapped(model: torch.nn.Module, anatomy: Anatomy, wanted: ActivationNumbers) -> list[Tap]:
    """The taps of activations that are named.

    Raises:
        ValueError: when nothing passes where one of them is.
    """

    def tap(where: Where, numbers: tuple[int, ...]) -> Tap:
        if where[0] in ("z", "mlp"):
            return weight_tap(model, anatomy, where, numbers)
        if where[0] == "result":
            return result_tap(model, anatomy, where, numbers)
        if where[0] in OF_LAYERS:
            return stream_tap(model, anatomy, where)
        return attention_tap(model, anatomy, where, numbers)

    return [tap(*one) for one in wanted.items()]


_OF_ONE = re.compile(r"h\s*[\d\[][\d\],\s-]*\.\s*[kv]\b", re.IGNORECASE)


def _warn_of_siblings(anatomy: Anatomy, selection: Selectable, wanted: ActivationNumbers) -> None:
    """Say so where the key or value of one head is that of others, which were not named."""
    for where, numbers in wanted.items():
        stack = anatomy.stack(where[1])
        if where[0] in ("k", "v") and stack.n_kv_heads < stack.n_heads and _OF_ONE.search(str(selection)):
            text = text_of(where, numbers, stack)
            warn(
                f"{text} is shared by the {stack.n_heads // stack.n_kv_heads} heads of its group, and all of them "
                f"change: write {text!r} where that is meant"
            )
            return


def anatomy_of(model: torch.nn.Module, *selections: Selectable | None) -> Anatomy:
    """The anatomy of a model, or of a selection that was made for it.

    Raises:
        AnatomyError: when the model has none and no selection has one that fits.
        ValueError: when a selection is of another model.
    """
    given = next((one.anatomy for one in selections if isinstance(one, Selection)), None)
    try:
        anatomy = dissect(model)
    except AnatomyError as fault:
        if given is not None:  # a guessed anatomy, say
            shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
            if {**shapes, **given.parameters} == shapes:
                return given
        names = templates(model)
        hint = f" Layers can be recorded by name: record(model, layers={names[0]!r})" if names else ""
        raise AnatomyError(f"{fault}.{hint}") from fault
    for one in selections:
        if isinstance(one, Selection):
            anatomy.select(one)  # refuses another model's
    return anatomy
