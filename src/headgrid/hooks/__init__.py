"""Recording and ablating activations, by the same slots as masks and weights: `record` and `ablate`.

What a selection means here is the rule of `headgrid.selection.activations`: a head is its `z`, which enters `W_O`, and
a neuron what enters `W_out`; whatever has no activation is an error that names it.

The heads of a decoder's attention to the encoder are `cross l0h1`. Where a forward pass runs a layer several times
(ALBERT), every run is recorded, and ablated. Contexts nest: an inner one sees what the outer ones have changed.

Within a context models run as they are written, so that hooks are what runs: nothing is compiled, in any thread
(`torch.compile` passes over hooks), and transformers' gradient checkpointing is off (it would run layers again when the
hooks are gone).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import torch

from headgrid.anatomy.anatomy import Anatomy, AnatomyError
from headgrid.hooks.ablation import Ablation
from headgrid.hooks.attached import Attached, Hooks
from headgrid.hooks.cache import Cache, Keep, NotRecorded, Recording
from headgrid.hooks.execution import refuse_compiling, refuse_replicas
from headgrid.hooks.modes import Inputs, Mode, checked, checked_reference
from headgrid.hooks.taps import Act, Tap, layer_taps, matched, taps, templates
from headgrid.models import dissect
from headgrid.selection.activations import activations
from headgrid.selection.selection import Selectable, Selection
from headgrid.utils import arguments
from headgrid.utils.warning import warn

__all__ = ["Cache", "NotRecorded", "ablate", "record"]


def record(
    model: torch.nn.Module,
    selection: Selectable | None = None,
    *,
    layers: Selectable | None = None,
    detach: bool = True,
    keep: Keep = "last",
) -> AbstractContextManager[Cache]:
    """A context in which forward passes of `model` leave activations in a cache.

        with hg.record(model, "l1h2 | l0 mlp", layers="l0-3") as cache:
            model(tokens)
        cache["l1h2"], cache["l0 mlp"], cache["l3 in"]

    Args:
        model: a transformers model or a TransformerLens bridge.
        selection: heads and neurons, by the rule of this module.
        layers: layers whose input and output are recorded, as `l3 in` and `l3 out`: a selection, of which every layer
            with a selected part counts; or a template of module names with the layer's number, such as
            `"backbone.layers.{num}"`, which serves models without heads too.
        detach: whether recordings are copies without a gradient. Otherwise the model goes on with what is recorded, so
            that gradients reach it, those of a model whose parameters need none as well.
        keep: "last" keeps the last forward pass, "all" every one (each step of `generate`, say).

    Returns:
        The context manager. Its `Cache` can be read within the context and after it.

    Raises:
        AnatomyError: when there are no heads to find; it names templates for `layers`.
        SelectionError: when a text does not parse, or names what the model does not have.
        TypeError: for an argument of a wrong kind.
        ValueError: when a selection is of another model or has parts with no activation, or a template fits nothing.
        RuntimeError: when the context ends and the model was called, and its forward pass never came to what was to be
            recorded; within it, where gradient checkpointing runs a layer again in the backward pass.
    """
    refuse_compiling()
    arguments.model(model)
    arguments.flag("detach", detach)
    arguments.one_of("keep", keep, ("last", "all"))
    refuse_replicas(model, "a recording would be of one of them")
    if selection is None and layers is None:
        raise ValueError("say what to record: a selection such as 'l1h2 | l0 mlp', or layers='l0-3'")
    anatomy: Anatomy | None = None
    found: list[Tap] = []
    template = layers if isinstance(layers, str) and "{num}" in layers else None
    if selection is not None or (layers is not None and template is None):
        anatomy = _anatomy(model, selection, layers if template is None else None)
    if anatomy is not None and selection is not None:
        found += _taps(model, anatomy, selection, "recorded")
    if template is not None:
        found += matched(model, template)
    elif anatomy is not None and layers is not None:
        found += layer_taps(model, anatomy, anatomy.select(layers))
    return Attached(model, lambda: _recording(anatomy, found, detach, keep))


def ablate(
    model: torch.nn.Module,
    selection: Selectable,
    mode: Mode = "zero",
    *,
    reference: Inputs | Cache | None = None,
    per_position: bool = False,
    generator: torch.Generator | None = None,
) -> AbstractContextManager[None]:
    """A context in which selected heads and neurons of `model` are switched off or replaced.

    Args:
        model: a transformers model or a TransformerLens bridge.
        selection: heads and neurons, by the rule of this module.
        mode: what takes the place of an activation.

            - "zero": zeros.
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
    anatomy = _anatomy(model, selection)
    found = _taps(model, anatomy, selection, "ablated")
    dtype = next((one.dtype for one in model.parameters() if one.is_floating_point()), None)
    given = checked(anatomy, found, mode, dtype)
    inputs = checked_reference(reference, given, per_position)
    constant = isinstance(given, tuple) and not any(one.recorded for one in given)
    if given != "zero" and not constant:
        refuse_replicas(model, "means, rows and recordings would be of one of them")
    if per_position and given != "mean":
        raise ValueError("per_position is of use with the mode 'mean' only")
    if generator is not None:
        what = "a torch.Generator, which draws the rows of the mode 'resample'"
        arguments.of_kind("generator", generator, torch.Generator, what)
        if given != "resample":
            raise ValueError("a generator is of use with the mode 'resample' only")

    def enter() -> Hooks[None]:
        ablation = Ablation(found, given, _run(model, anatomy, found, inputs), per_position, generator)
        acts = [(tap, ablation.act(tap)) for tap in found]
        return Hooks(None, acts, lambda _: ablation.begin(), ablation.never, "ablated")

    return Attached(model, enter)


def _taps(model: torch.nn.Module, anatomy: Anatomy, selection: Selectable, what: str) -> list[Tap]:
    """The taps of what is selected; a warning where that is nothing, unless the word for it was written."""
    chosen = anatomy.select(selection)
    if not chosen and not (isinstance(selection, str) and selection.strip().lower() == "none"):
        warn(f"the selection is empty: nothing is {what}")
    return taps(model, anatomy, activations(anatomy, chosen.parts))


def _anatomy(model: torch.nn.Module, *selections: Selectable | None) -> Anatomy:
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


def _recording(anatomy: Anatomy | None, found: Sequence[Tap], detach: bool, keep: Keep) -> Hooks[Cache]:
    """A new cache, and what fills it."""
    cache = Cache(anatomy, found, keep)

    def act(tap: Tap) -> Act:
        def copy(x: torch.Tensor) -> None:
            read = tap.read(x.detach())
            cache.keep(tap, Recording(read.clone() if tap.index is None else read, tap.own))

        def pass_on(x: torch.Tensor) -> torch.Tensor:
            read = tap.read(x)
            heads: tuple[torch.Tensor, ...] = ()
            if torch.is_grad_enabled() and not read.requires_grad:
                read = read.detach().requires_grad_()  # nothing before it needs a gradient, but it does
            if tap.where[0] == "z":
                heads = read.unbind(-2)
                read = torch.stack(heads, -2)
            cache.keep(tap, Recording(read, tap.own, heads))
            # a copy of a hidden state, so that the model adds nothing to what was recorded
            return tap.write(x, read.clone() if tap.index is None else read)

        return copy if detach else pass_on

    acts = [(tap, act(tap)) for tap in found]
    return Hooks(cache, acts, cache.begin, lambda: [tap for tap in found if not cache.kept[tap.where]], "recorded")


def _run(
    model: torch.nn.Module, anatomy: Anatomy, found: Sequence[Tap], reference: Inputs | Cache | None
) -> Cache | None:
    """The recording of a reference, by a forward pass where it is not one already."""
    if reference is None or isinstance(reference, Cache):
        return reference
    with torch.no_grad(), Attached(model, lambda: _recording(anatomy, found, True, "last")) as cache:
        model(**reference) if isinstance(reference, Mapping) else model(reference)
    return cache
