"""Replacing activations: `ablate`, `patch` and `steer`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import torch

from headgrid.hooks.ablation import Ablation
from headgrid.hooks.attached import Attached, Hooks
from headgrid.hooks.cache import Cache
from headgrid.hooks.execution import refuse_compiling, refuse_replicas
from headgrid.hooks.found import anatomy_of, taps_of
from headgrid.hooks.modes import Inputs, Mode, checked, checked_reference
from headgrid.hooks.positions import PositionsGiven, checked_positions
from headgrid.hooks.recording import run_of
from headgrid.hooks.taps import Tap
from headgrid.selection.selection import Selectable
from headgrid.utils import arguments


def ablate(
    model: torch.nn.Module,
    selection: Selectable,
    mode: Mode = "zero",
    *,
    reference: Inputs | Cache | None = None,
    per_position: bool = False,
    positions: PositionsGiven | None = None,
    generator: torch.Generator | None = None,
) -> AbstractContextManager[None]:
    """A context in which selected heads and neurons of `model` are switched off or replaced.

    Args:
        model: a transformers model or a TransformerLens bridge.
        selection: heads, neurons and points (`l1h2.pattern`, `l3 in`), by the rule of this module. Keys and values that
            several heads share change all of them; a warning says so where the text names one of these heads.
        mode: what takes the place of an activation.

            - "zero": zeros. Scores that the mask forbids stay as they are, here and for numbers and tensors.
            - "mean": its mean over the batch and positions of `reference`. Without one, of the very pass: gradients
              then flow through the mean, and positions that only fill up the batch count.
            - "resample": that of another row, which is drawn once for a context, the same for all activations: from
              `reference`, or without one from the other rows of the batch.
            - a number: that number everywhere.
            - a tensor, broadcast to `[batch, pos, d_head]` of each head or, with four axes, to
              `[batch, pos, n_selected, d_head]`, in the order of the heads' numbers; for neurons to
              `[batch, pos, n_selected]`. Two axes that could be heads or positions are refused.
            - a mapping from texts to such numbers and tensors, which must name all that is selected, and nothing twice:
              `{"l1h2": z, "l0 mlp": a}`; or a `Cache` that holds it, whose last pass counts.

            What was read from a `Cache` must have the batch and the positions of the pass that it is put into.
        reference: token ids or keyword arguments, with which the model is called when the context is entered, without
            gradients and in the mode that it is in (`eval()` or not); or the `Cache` of such a call. In a mean the
            positions where its `attention_mask` is 0 do not count. Rows to resample have no such positions, and as
            many as the pass.
        per_position: whether the mean is over the batch only, and each position has its own: of a reference with as
            many positions.
        positions: at which positions activations are replaced, as in `record`; everywhere by default.
        generator: the source of the rows that are drawn.

    Returns:
        The context manager. When it ends, by an exception too, no hook is left. It warns when the model was not called
        at all.

    Raises:
        AnatomyError, SelectionError: as in `record`.
        TypeError: for an argument of a wrong kind, but for `mode`.
        ValueError: as in `record`, and for a mode that is none or does not fit what is selected; for sizes of the batch
            and positions that do not, while the model runs.
        NotRecorded: when a `Cache` does not hold what is selected.
        RuntimeError: when the context ends and the model was called, and its forward pass never came to what was to be
            ablated; within it as in `record`.
    """
    refuse_compiling()
    arguments.model(model)
    arguments.flag("per_position", per_position)
    at = checked_positions(positions)
    anatomy = anatomy_of(model, selection)
    found = taps_of(model, anatomy, selection, "ablated")
    given = checked(anatomy, found, mode, _dtype(model))
    inputs = checked_reference(reference, given, per_position)
    constant = isinstance(given, tuple) and not any(one.recorded for one in given)
    if given != "zero" and not constant:
        refuse_replicas(model, "means, rows and recordings would be of one of them")
    if per_position and given != "mean":
        raise ValueError("per_position is of use with the mode 'mean' only")
    maps = next((tap for tap in found if tap.where[0] in ("scores", "pattern")), None)
    if given == "mean" and not per_position and maps is not None:
        raise ValueError(
            f"a mean over positions of {maps.name} would be one of queries that see different keys: use "
            "per_position=True, which is over the batch alone"
        )
    if generator is not None:
        what = "a torch.Generator, which draws the rows of the mode 'resample'"
        arguments.of_kind("generator", generator, torch.Generator, what)
        if given != "resample":
            raise ValueError("a generator is of use with the mode 'resample' only")

    def enter() -> Hooks[None]:
        ablation = Ablation(found, given, run_of(model, anatomy, found, inputs), per_position, generator, at)
        return _replacing(found, ablation, "ablated")

    return Attached(model, enter)


def patch(
    model: torch.nn.Module,
    selection: Selectable,
    values: float | torch.Tensor | Mapping[str, float | torch.Tensor],
    *,
    positions: PositionsGiven | None = None,
) -> AbstractContextManager[None]:
    """A context in which selected activations of `model` are what another run of it had, or any values.

        with hg.record(model, "l1h2") as clean:
            model(tokens)
        with hg.patch(model, "l1h2", clean):
            model(other_tokens)

    Args:
        model: a transformers model or a TransformerLens bridge.
        selection: heads, neurons and points, as in `ablate`.
        values: a `Cache` that holds them, whose last pass counts; or a number, a tensor or a mapping, as a mode of
            `ablate` is one.
        positions: at which positions, as in `record`; everywhere by default. A recording of these positions alone fits
            as well as one of all.

    Returns:
        The context manager.

    Raises:
        AnatomyError, SelectionError, NotRecorded, RuntimeError: as in `ablate`.
        TypeError: for an argument of a wrong kind; for the name of a mode, which is `ablate`'s.
        ValueError: for values that do not fit, as in `ablate`.
    """
    refuse_compiling()
    arguments.model(model)
    if isinstance(values, str):
        raise TypeError(
            f"values is a Cache, a tensor, a number or a mapping to these, not {arguments.shown(values)}: modes such "
            "as 'mean' are those of headgrid.ablate"
        )
    return _with_values(model, selection, values, positions, "patched")


def steer(
    model: torch.nn.Module,
    selection: Selectable,
    vector: float | torch.Tensor | Mapping[str, float | torch.Tensor],
    *,
    positions: PositionsGiven | None = None,
) -> AbstractContextManager[None]:
    """A context in which a vector is added to selected activations of `model`.

        with hg.steer(model, "l4 out", 3 * direction):
            model.generate(tokens)

    Args:
        model: a transformers model or a TransformerLens bridge.
        selection: heads, neurons and points, as in `ablate`.
        vector: what is added: a tensor that is broadcast, `[d_head]` to heads' z and `[d_model]` to hidden states, a
            number, or a mapping from texts to these.
        positions: at which positions, as in `record`; everywhere by default, in each step of `generate` too.

    Returns:
        The context manager.

    Raises:
        AnatomyError, SelectionError, NotRecorded, RuntimeError: as in `ablate`.
        TypeError: for an argument of a wrong kind.
        ValueError: for a vector that does not fit, as in `ablate`.
    """
    refuse_compiling()
    arguments.model(model)
    if isinstance(vector, str):
        raise TypeError(f"vector is a tensor, a number or a mapping to these, not {arguments.shown(vector)}")
    return _with_values(model, selection, vector, positions, "steered")


def _with_values(
    model: torch.nn.Module, selection: Selectable, values: Any, positions: Any, done: Literal["patched", "steered"]
) -> AbstractContextManager[None]:
    """Activations replaced by values, or with values added to them."""
    at = checked_positions(positions)
    anatomy = anatomy_of(model, selection)
    found = taps_of(model, anatomy, selection, done)
    given = checked(anatomy, found, values, _dtype(model))
    if isinstance(given, tuple) and any(one.recorded for one in given):
        refuse_replicas(model, "recordings would be of one of them")
    return Attached(
        model,
        lambda: _replacing(found, Ablation(found, given, None, False, None, at, adds=done == "steered"), done),
    )


def _replacing(found: Sequence[Tap], ablation: Ablation, done: Literal["ablated", "patched", "steered"]) -> Hooks[None]:
    return Hooks(None, [(tap, ablation.act(tap)) for tap in found], lambda _: ablation.begin(), ablation.never, done)


def _dtype(model: torch.nn.Module) -> torch.dtype | None:
    return next((one.dtype for one in model.parameters() if one.is_floating_point()), None)
