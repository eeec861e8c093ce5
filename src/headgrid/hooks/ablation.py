"""What takes the place of ablated activations: the modes of `ablate`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, TypeAlias

import torch

from headgrid.anatomy import Anatomy
from headgrid.hooks.cache import Cache, NotRecorded
from headgrid.hooks.taps import Act, Tap, activations

Mode: TypeAlias = Literal["zero", "mean", "resample"] | torch.Tensor | Mapping[str, torch.Tensor]

_MASK = {"": "attention_mask", "encoder": "attention_mask", "decoder": "decoder_attention_mask",
         "cross": "decoder_attention_mask"}  # fmt: skip
"""Stack -> the input that says which of its positions are tokens, and which only fill up the batch."""


class Ablation:
    """What takes the place of activations while one context lasts."""

    def __init__(
        self, anatomy: Anatomy, found: Sequence[Tap], mode: Mode, reference: Cache | None,
        masks: Mapping[str, torch.Tensor], per_position: bool, generator: torch.Generator | None,
    ) -> None:  # fmt: skip
        self.mode, self.per_position, self.generator = mode, per_position, generator
        self.fired = dict.fromkeys(found, 0)
        self.rows: dict[tuple[int, int], torch.Tensor] = {}
        self.reference, self.masks = reference, masks
        self.given: list[tuple[Tap, list[int], str, Callable[[int], torch.Tensor]]] = []
        if isinstance(mode, Mapping):
            self.given = list(_given(anatomy, found, mode))
        for tap in found:
            if reference is not None:
                reference.places(tap.where, tap.numbers, tap.name)  # raises where it does not hold them

    def act(self, tap: Tap) -> Act:
        """What is hooked to an activation."""

        def replace(x: torch.Tensor) -> torch.Tensor:
            read = tap.read(x)
            run = self.fired[tap] % tap.uses
            self.fired[tap] += 1
            return tap.write(x, self.instead(tap, read, run))

        return replace

    def begin(self) -> None:
        """A forward pass of the whole model begins: one that broke off before must not count as runs of this one."""
        for tap, fired in self.fired.items():
            self.fired[tap] = -(-fired // tap.uses) * tap.uses

    def instead(self, tap: Tap, read: torch.Tensor, run: int) -> torch.Tensor:
        """What takes the place of what was read in this run of the layer, in its shape."""
        if isinstance(self.mode, torch.Tensor):
            return _fit(self.mode, read, tap, tap.name)
        if isinstance(self.mode, Mapping):
            for one, positions, name, value in self.given:
                if one is tap:
                    index = torch.tensor(positions, device=read.device)
                    part = read.index_select(-tap.own, index)
                    read = read.index_copy(-tap.own, index, _fit(value(run), part, tap, name))
            return read
        if self.mode == "zero":
            return torch.zeros_like(read)
        source = read if self.reference is None else _of(self.reference, tap, run)
        source = source.to(read)
        lead = source.ndim - tap.own
        if lead != 2 and (self.per_position or self.mode == "resample"):
            raise ValueError(f"{tap.name} has no axis of rows here, its shape is {list(source.shape)}: use mode 'mean'")
        if self.mode == "resample":
            return _fit(source[self.drawn(len(read), len(source)).to(source.device)], read, tap, tap.name)
        over = (0,) if self.per_position else tuple(range(lead))
        return _fit(_mean(source, over, self.masks.get(_MASK.get(tap.where[1], ""))), read, tap, tap.name)

    def drawn(self, n_rows: int, n_source: int) -> torch.Tensor:
        """For each row of a batch the row that it takes: of a reference, or another one of its own batch."""
        if (n_rows, n_source) not in self.rows:
            device = "cpu" if self.generator is None else self.generator.device
            if self.reference is None and n_rows < 2:
                raise ValueError("resampling needs another row: give a batch of at least 2, or a reference")
            high = n_source if self.reference is not None else n_rows - 1
            drawn = torch.randint(high, (n_rows,), generator=self.generator, device=device)
            if self.reference is None:
                drawn = (torch.arange(n_rows, device=device) + 1 + drawn) % n_rows
            self.rows[n_rows, n_source] = drawn
        return self.rows[n_rows, n_source]


def _mean(source: torch.Tensor, over: tuple[int, ...], mask: torch.Tensor | None) -> torch.Tensor:
    """The mean over some leading axes, of the positions that a mask `[batch, pos]` leaves; these axes are kept as 1.

    Raises:
        ValueError: when the mask is of another shape.
    """
    if mask is None:
        return source.mean(over, keepdim=True)
    if mask.shape != source.shape[:2]:
        raise ValueError(
            f"the attention mask of the reference is {list(mask.shape)}, its activations {list(source.shape[:2])}"
        )
    counts = mask.to(source.device, torch.bool).reshape(*mask.shape, *[1] * (source.ndim - 2))
    # what stands at positions that only fill up may be NaN; one that fills up every row has no mean, and gets zero
    return source.where(counts, 0).sum(over, keepdim=True) / counts.sum(over, keepdim=True).clamp_min(1)


def _of(cache: Cache, tap: Tap, run: int) -> torch.Tensor:
    """What a cache holds of a tap's heads or neurons, `[batch, pos, *index]`, in one run of the layer."""
    kept = list(cache.kept[tap.where])[-tap.uses :]
    if not kept:
        raise NotRecorded(f"the cache holds no forward pass that came to {tap.name}")
    places = cache.places(tap.where, tap.numbers, tap.name)
    return kept[run % len(kept)].at([places] if isinstance(places, int) else places)


def _given(
    anatomy: Anatomy, found: Sequence[Tap], mode: Mapping[str, torch.Tensor]
) -> Iterator[tuple[Tap, list[int], str, Callable[[int], torch.Tensor]]]:
    """What a mapping gives: for a tap, the places of heads or neurons, what they are called, and their values in a run.

    Raises:
        ValueError: when it names what is not selected, or not all that is.
    """
    if isinstance(mode, Cache):
        for tap in found:
            mode.places(tap.where, tap.numbers, tap.name)  # raises where it does not hold them
            yield tap, list(range(len(tap.numbers))), tap.name, lambda run, tap=tap: _of(mode, tap, run)  # type: ignore[misc]
        return
    of = {tap.where: tap for tap in found}
    missing = {(tap.where, number) for tap in found for number in tap.numbers}
    for text, value in mode.items():
        for where, numbers in activations(anatomy.select(text)).items():
            if where not in of or not set(numbers) <= set(of[where].numbers):
                raise ValueError(f"the mode has values for {text}, which is not selected")
            missing -= {(where, number) for number in numbers}
            places = [of[where].numbers.index(number) for number in numbers]
            yield of[where], places, text, lambda run, value=value: value  # type: ignore[misc]
    if missing:
        (kind, stack, layer), number = min(missing, key=str)
        name = f"{stack} l{layer}".lstrip() + (f"h{number}" if kind == "z" else f" mlp n{number}")
        raise ValueError(f"the mode has no values for {len(missing)} of what is selected, {name} for one")


def _fit(value: torch.Tensor, read: torch.Tensor, tap: Tap, name: str) -> torch.Tensor:
    """A value broadcast to what it takes the place of.

    Raises:
        ValueError: naming both shapes.
    """
    if tap.own == 2 and 0 < value.ndim < read.ndim:
        value = value.unsqueeze(-2)  # the same for each head
    try:
        return value.to(read).expand(read.shape)
    except RuntimeError as fault:
        raise ValueError(
            f"the values for {name} have the shape {list(value.shape)}, which does not broadcast to {list(read.shape)}"
        ) from fault
