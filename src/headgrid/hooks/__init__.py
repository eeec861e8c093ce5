"""Recording and ablating activations, by the same slots as masks and weights: `record` and `ablate`.

What a selection means here is one rule. **A head is its `z`**, the `[batch, pos, d_head]` that enters `W_O`, and it is
named by its output side: `l1h2` (whose other weights come with it) or `l1h2.o`. **A neuron is its activation**, the
`[batch, pos]` that enters `W_out`: `l0 mlp n5`, `l0 mlp`. `l1 attn` is all heads of a layer, and `l1` these and all
neurons; what is shared by all heads or neurons comes with all of them and is left as it is, so that after
`ablate(model, "l1 attn")` the attention still adds its `b_O`. A part with no activation (an embedding, a norm on its
own, `l1h2.q`, an expert) is an error that names it, never passed over.

The heads of a decoder's attention to the encoder are `cross l0h1`. Where a forward pass runs a layer several times
(ALBERT), every run is recorded, and ablated. Contexts nest: an inner one sees what the outer ones have changed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Generic, TypeAlias, TypeVar

import torch

from headgrid.anatomy import Anatomy, AnatomyError
from headgrid.hooks.ablation import Ablation, Mode
from headgrid.hooks.cache import Cache, Keep, NotRecorded, Recording
from headgrid.hooks.taps import Act, Tap, activations, layer_taps, matched, taps, templates
from headgrid.models import dissect
from headgrid.selection import Selectable, Selection

__all__ = ["Cache", "NotRecorded", "ablate", "record"]

Inputs: TypeAlias = torch.Tensor | Mapping[str, torch.Tensor]
T = TypeVar("T")


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
        ValueError: when a selection is of another model or has parts with no activation, or a template fits nothing.
    """
    if keep not in ("last", "all"):
        raise ValueError(f"keep is 'last' or 'all', not {keep!r}")
    if selection is None and layers is None:
        raise ValueError("say what to record: a selection such as 'l1h2 | l0 mlp', or layers='l0-3'")
    anatomy: Anatomy | None = None
    found: list[Tap] = []
    template = layers if isinstance(layers, str) and "{num}" in layers else None
    if selection is not None or (layers is not None and template is None):
        anatomy = _anatomy(model, selection, layers if template is None else None)
    if anatomy is not None and selection is not None:
        found += taps(model, anatomy, activations(anatomy.select(selection)))
    if template is not None:
        found += matched(model, template)
    elif anatomy is not None and layers is not None:
        found += layer_taps(model, anatomy, anatomy.select(layers))
    return _Attached(lambda: _recording(anatomy, found, detach, keep))


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
            - a tensor, broadcast to `[batch, pos, d_head]` of each head or, with four axes, to
              `[batch, pos, n_selected, d_head]`; for neurons to `[batch, pos, n_selected]`. With heads and neurons
              both selected it can only be a number, a tensor without axes.
            - a mapping from texts to such tensors, which must name all that is selected: `{"l1h2": z, "l0 mlp": a}`;
              or a `Cache` that holds it, whose last pass counts.
        reference: token ids or keyword arguments, with which the model is called when the context is entered, without
            gradients and in the mode that it is in (`eval()` or not); or the `Cache` of such a call. In a mean the
            positions where its `attention_mask` is 0 do not count.
        per_position: whether the mean is over the batch only, and each position has its own.
        generator: the source of the rows that are drawn.

    Returns:
        The context manager. When it ends, by an exception too, no hook is left. It warns when the model was called
        and never came to what was to be ablated.

    Raises:
        AnatomyError, SelectionError: as in `record`.
        ValueError: as in `record`, and for a mode that does not fit; for shapes that do not, while the model runs.
        NotRecorded: when a `Cache` does not hold what is selected.
    """
    anatomy = _anatomy(model, selection)
    found = taps(model, anatomy, activations(anatomy.select(selection)))
    if isinstance(mode, str) and mode not in ("zero", "mean", "resample"):
        raise ValueError(f"mode is 'zero', 'mean', 'resample', a tensor or a mapping of tensors, not {mode!r}")
    if reference is not None and (not isinstance(mode, str) or mode == "zero"):
        raise ValueError("a reference is of use with the modes 'mean' and 'resample' only")
    if isinstance(mode, torch.Tensor) and mode.ndim and len({tap.where[0] for tap in found}) > 1:
        raise ValueError("one tensor cannot stand for heads and for neurons: give a mapping, {'l1h2': z, 'l0 mlp': a}")

    def enter() -> tuple[None, list[tuple[Tap, Act]], Ablation]:
        masks = reference if isinstance(reference, Mapping) and not isinstance(reference, Cache) else {}
        recorded = _run(model, anatomy, found, reference)
        ablation = Ablation(anatomy, found, mode, recorded, masks, per_position, generator)
        return None, [(tap, ablation.act(tap)) for tap in found], ablation

    return _Attached(enter, model)


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


def _recording(
    anatomy: Anatomy | None, found: Sequence[Tap], detach: bool, keep: Keep
) -> tuple[Cache, list[tuple[Tap, Act]], None]:
    """A new cache, and what fills it."""
    cache = Cache(anatomy, found, keep)

    def act(tap: Tap) -> Act:
        def copy(x: torch.Tensor) -> None:
            read = tap.read(x.detach())
            cache.kept[tap.where].append(Recording(read.clone() if tap.index is None else read, tap.own))

        def pass_on(x: torch.Tensor) -> torch.Tensor:
            read = tap.read(x)
            heads: tuple[torch.Tensor, ...] = ()
            if torch.is_grad_enabled() and not read.requires_grad:
                read = read.detach().requires_grad_()  # nothing before it needs a gradient, but it does
            if tap.where[0] == "z":
                heads = read.unbind(-2)
                read = torch.stack(heads, -2)
            cache.kept[tap.where].append(Recording(read, tap.own, heads))
            # a copy of a hidden state, so that the model adds nothing to what was recorded
            return tap.write(x, read.clone() if tap.index is None else read)

        return copy if detach else pass_on

    return cache, [(tap, act(tap)) for tap in found], None


def _run(
    model: torch.nn.Module, anatomy: Anatomy, found: Sequence[Tap], reference: Inputs | Cache | None
) -> Cache | None:
    """The recording of a reference, by a forward pass where it is not one already."""
    if reference is None or isinstance(reference, Cache):
        return reference
    with torch.no_grad(), _Attached(lambda: _recording(anatomy, found, True, "last")) as cache:
        model(**reference) if isinstance(reference, Mapping) else model(reference)
    return cache


class _Attached(AbstractContextManager[T], Generic[T]):
    """Hooks that last as long as a context; it can be entered again, within itself too."""

    def __init__(
        self, enter: Callable[[], tuple[T, list[tuple[Tap, Act]], Ablation | None]],
        model: torch.nn.Module | None = None,
    ) -> None:  # fmt: skip
        self._enter, self._model = enter, model
        self._open: list[tuple[ExitStack, Ablation | None, list[int]]] = []

    def __enter__(self) -> T:
        value, acts, ablation = self._enter()
        calls: list[int] = []
        with ExitStack() as handles:

            def begin(*_: Any) -> None:
                calls.append(1)
                if ablation is not None:
                    ablation.begin()

            if self._model is not None:
                handles.callback(self._model.register_forward_pre_hook(begin).remove)
            for tap, act in acts:
                for handle in tap.attach(act):
                    handles.callback(handle.remove)
            self._open.append((handles.pop_all(), ablation, calls))
        return value

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        handles, ablation, calls = self._open.pop()
        handles.close()
        never = [tap.name for tap, fired in ablation.fired.items() if not fired] if ablation is not None else []
        if never and calls and kind is None:
            warnings.warn(
                f"the model was called, but its forward pass never came to {', '.join(never[:6])}: nothing was ablated "
                "there",
                stacklevel=2,
            )
