"""Recording activations: `record`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.hooks.attached import Attached, Hooks
from headgrid.hooks.cache import Cache, Keep, Recording
from headgrid.hooks.execution import refuse_compiling, refuse_replicas
from headgrid.hooks.found import anatomy_of, tapped, taps_of
from headgrid.hooks.modes import Inputs
from headgrid.hooks.positions import Positions, PositionsGiven, checked_positions
from headgrid.hooks.stream import matched
from headgrid.hooks.taps import Act, Tap
from headgrid.selection.activations import ActivationKind
from headgrid.selection.points import named
from headgrid.selection.selection import Selectable
from headgrid.utils import arguments

_ENDS: tuple[ActivationKind, ...] = ("in", "out")


def record(
    model: torch.nn.Module,
    selection: Selectable | None = None,
    *,
    points: str | Sequence[str] | None = None,
    layers: Selectable | None = None,
    positions: PositionsGiven | None = None,
    detach: bool = True,
    keep: Keep = "last",
) -> AbstractContextManager[Cache]:
    """A context in which forward passes of `model` leave activations in a cache.

        with hg.record(model, "l1h2 | l0 mlp", layers="l0-3") as cache:
            model(tokens)
        cache["l1h2"], cache["l0 mlp"], cache["l3 in"]

        with hg.record(model, "l1h2", points=["pattern", "q"]) as cache: ...
        cache["l1h2.pattern"], cache["l1h2.q"]

    Args:
        model: a transformers model or a TransformerLens bridge.
        selection: heads, neurons and points, by the rule of this module.
        points: which points of the selected heads (`q`, `k`, `v`, `scores`, `pattern`, `z`, `result`), or of the layers
            with a selected part (`in`, `mid`, `out`, `attn out`, `mlp out`). Without it, what the text says.
        layers: layers whose input and output are recorded, as `l3 in` and `l3 out`: a selection, of which every layer
            with a selected part counts; or a template of module names with the layer's number, such as
            `"backbone.layers.{num}"`, which serves models without heads too.
        positions: which positions are kept, in this order: a slice, an index or a list of them, or a tensor `[batch]`
            or `[batch, k]` with those of each row; -1 is the last. Of scores and patterns they are the queries'. All
            by default.
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
    at = checked_positions(positions)
    if selection is None and layers is None:
        raise ValueError("say what to record: a selection such as 'l1h2 | l0 mlp', or layers='l0-3'")
    if selection is None and points is not None:
        raise ValueError("points are of a selection: say of which heads or layers, such as 'l1h2'")
    anatomy: Anatomy | None = None
    found: list[Tap] = []
    template = layers if isinstance(layers, str) and "{num}" in layers else None
    if selection is not None or (layers is not None and template is None):
        anatomy = anatomy_of(model, selection, layers if template is None else None)
    if anatomy is not None and selection is not None:
        found += taps_of(model, anatomy, selection, "recorded", points)
    if template is not None:
        found += matched(model, template)
    elif anatomy is not None and layers is not None:
        known = {tap.where for tap in found}
        ends = [(kind, *where[1:]) for where in named(anatomy, layers, "in") for kind in _ENDS]
        found += tapped(model, anatomy, {where: () for where in ends if where not in known})
    return Attached(model, lambda: recording(anatomy, found, detach, keep, at))


def recording(
    anatomy: Anatomy | None, found: Sequence[Tap], detach: bool, keep: Keep, positions: Positions | None = None
) -> Hooks[Cache]:
    """A new cache, and what fills it."""
    cache = Cache(anatomy, found, keep)

    def act(tap: Tap) -> Act:
        def copy(read: torch.Tensor) -> None:
            read = read.detach()
            if positions is not None:
                read = positions.take(read, tap.name)
            cache.keep(tap, Recording(read if tap.copies or positions is not None else read.clone(), tap.own))

        def pass_on(whole: torch.Tensor) -> torch.Tensor:
            read = whole if positions is None else positions.take(whole, tap.name)
            heads: tuple[torch.Tensor, ...] = ()
            if torch.is_grad_enabled() and not read.requires_grad:
                read = read.detach().requires_grad_()  # nothing before it needs a gradient, but it does
            if tap.own == 2:
                heads = read.unbind(-2)
                read = torch.stack(heads, -2)
            cache.keep(tap, Recording(read, tap.own, heads))
            if positions is not None:
                return positions.put(whole, read, tap.name)
            # a copy of a hidden state, so that the model adds nothing to what was recorded
            return read if tap.copies else read.clone()

        return copy if detach else pass_on

    acts = [(tap, act(tap)) for tap in found]

    def never() -> list[Tap]:
        return [tap for tap in found if not cache.kept[tap.where]]

    return Hooks(cache, acts, cache.begin, never, "recorded", only_reads=detach)


def run_of(
    model: torch.nn.Module, anatomy: Anatomy, found: Sequence[Tap], reference: Inputs | Cache | None
) -> Cache | None:
    """The recording of a reference, by a forward pass where it is not one already."""
    if reference is None or isinstance(reference, Cache):
        return reference
    with torch.no_grad(), Attached(model, lambda: recording(anatomy, found, True, "last")) as cache:
        model(**reference) if isinstance(reference, Mapping) else model(reference)
    return cache
