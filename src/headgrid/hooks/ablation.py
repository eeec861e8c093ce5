"""The values that take the place of ablated activations while one context lasts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from headgrid.hooks.cache import MASKS, Cache
from headgrid.hooks.modes import Given, NamedMode, check_mask
from headgrid.hooks.positions import Positions
from headgrid.hooks.taps import Act, Tap
from headgrid.torch_state import shielded


class Ablation:
    """The values that take the place of activations while one context lasts.

    Args:
        found: the activations.
        mode: a mode by its name, or values for all of them.
        reference: recordings of what "mean" and "resample" take; None for the pass itself.
        per_position: whether a mean is over the batch only.
        generator: the source of drawn rows.
        positions: where activations are replaced; everywhere without.
        adds: whether values are added to activations, and do not take their place.

    Raises:
        NotRecorded: when the reference does not hold an activation.
        ValueError: when its attention mask does not fit, or leaves nothing.
    """

    def __init__(
        self, found: Sequence[Tap], mode: NamedMode | tuple[Given, ...], reference: Cache | None, per_position: bool,
        generator: torch.Generator | None, positions: Positions | None = None, adds: bool = False,
    ) -> None:  # fmt: skip
        self.mode, self.per_position, self.generator = mode, per_position, generator
        self.positions, self.adds = positions, adds
        self.fired = dict.fromkeys(found, 0)
        self.rows: dict[tuple[int, int], torch.Tensor] = {}
        self.sources: dict[Tap, tuple[torch.Tensor, ...]] = {}
        if reference is not None:
            self.sources = {tap: tuple(self._sources(tap, reference)) for tap in found}

    def _sources(self, tap: Tap, reference: Cache) -> Iterator[torch.Tensor]:
        """The values of a reference in each run of a layer: its mean with the axes that it is over as 1, or all."""
        name = MASKS.get(tap.where[1], "")
        mask = reference.masks.get(name)
        for source in reference.last(tap, tap.name):
            if mask is not None:
                batch, positions = source.shape[:2]
                if len(mask) != batch or mask.shape[1] < positions:
                    raise ValueError(
                        f"the {name} of the reference is {list(mask.shape)}, its activations {[batch, positions]}"
                    )
                mask = mask[:, -positions:]  # with keys and values of earlier passes at hand, it is that of these too
                check_mask(name, mask, self.mode, self.per_position)
            yield source if self.mode == "resample" else _mean(source, self._over(tap, source), mask)

    def _over(self, tap: Tap, source: torch.Tensor) -> tuple[int, ...]:
        """The axes that a mean is over."""
        self._refuse_packed(tap, source)
        return (0,) if self.per_position else tuple(range(source.ndim - tap.own))

    def _refuse_packed(self, tap: Tap, source: torch.Tensor) -> None:
        if source.ndim - tap.own != 2 and (self.per_position or self.mode == "resample"):
            raise ValueError(
                f"{tap.name} has no axis of rows here, its shape is {list(source.shape)}: use mode 'mean', without "
                "per_position"
            )

    def act(self, tap: Tap) -> Act:
        """The function that is hooked to an activation."""

        def replace(read: torch.Tensor) -> torch.Tensor:
            run = self.fired[tap] % tap.uses
            self.fired[tap] += 1
            new = self.instead(tap, read, run)
            if self.positions is None:
                return new
            return self.positions.put(read, self.positions.take(new, tap.name), tap.name)

        return replace

    def never(self) -> list[Tap]:
        """The activations that no pass has come to."""
        return [tap for tap, fired in self.fired.items() if not fired]

    def begin(self) -> None:
        """A forward pass of the whole model begins: one that broke off before must not count as runs of this one."""
        for tap, fired in self.fired.items():
            self.fired[tap] = -(-fired // tap.uses) * tap.uses

    def instead(self, tap: Tap, read: torch.Tensor, run: int) -> torch.Tensor:
        """The replacement of an activation in this run of the layer, in its shape."""
        if self.mode == "zero":
            return _unmasked(tap, torch.zeros_like(read), read)
        if isinstance(self.mode, tuple):
            for one in self.mode:
                if one.tap is tap:
                    index = torch.tensor(one.places, device=read.device)
                    part = read.index_select(-tap.own, index) if one.places else read
                    value = one.runs[run % len(one.runs)]
                    new = self._fit(value, part, tap, one.name, one.recorded)
                    new = part + new if self.adds else new if one.recorded else _unmasked(tap, new, part)
                    read = read.index_copy(-tap.own, index, new) if one.places else new
            return read
        runs = self.sources.get(tap)
        if self.mode == "mean":
            value = _mean(read, self._over(tap, read)) if runs is None else runs[run]
            if self.per_position:
                _same_positions(value, read, tap)
            return self._fit(value, read, tap, tap.name)
        source = read if runs is None else runs[run]
        self._refuse_packed(tap, source)
        _same_positions(source, read, tap)
        return self._fit(source[self.drawn(len(read), len(source)).to(source.device)], read, tap, tap.name)

    def _fit(
        self, value: torch.Tensor, read: torch.Tensor, tap: Tap, name: str, recorded: bool = False
    ) -> torch.Tensor:
        """A value broadcast to what it takes the place of; or to the positions of it that are replaced."""
        if self.positions is not None and value.ndim == read.ndim and value.shape[1] not in (1, read.shape[1]):
            part = self.positions.take(read, name)
            if value.shape[1] == part.shape[1]:
                return self.positions.put(read, _fit(value, part, tap, name, recorded), name)
        return _fit(value, read, tap, name, recorded)

    @shielded()
    def drawn(self, n_rows: int, n_source: int) -> torch.Tensor:
        """For each row of a batch the row that it takes: of a reference, or another one of its own batch."""
        if (n_rows, n_source) not in self.rows:
            device = "cpu" if self.generator is None else self.generator.device
            if not self.sources and n_rows < 2:
                raise ValueError("resampling needs another row: give a batch of at least 2, or a reference")
            high = n_source if self.sources else n_rows - 1
            drawn = torch.randint(high, (n_rows,), generator=self.generator, device=device)
            if not self.sources:
                drawn = (torch.arange(n_rows, device=device) + 1 + drawn) % n_rows
            self.rows[n_rows, n_source] = drawn
        return self.rows[n_rows, n_source]


def _unmasked(tap: Tap, new: torch.Tensor, read: torch.Tensor) -> torch.Tensor:
    """New values; of scores, those that the mask leaves: a query sees no key that it could not see."""
    return new.masked_fill(read == -math.inf, -math.inf) if tap.where[0] == "scores" else new


def _mean(source: torch.Tensor, over: tuple[int, ...], mask: torch.Tensor | None = None) -> torch.Tensor:
    """The mean over some leading axes, of the positions that a mask `[batch, pos]` leaves; these axes are kept as 1.

    Sums over many positions are beyond half precision: they are taken in float32, or in float64 where the source is.
    """
    wide = torch.promote_types(source.dtype, torch.float32)
    if mask is None:
        return source.mean(over, keepdim=True, dtype=wide)
    counts = mask.to(source.device, torch.bool).reshape(*mask.shape, *[1] * (source.ndim - 2))
    # what stands at positions that only fill up may be NaN
    return source.where(counts, 0).sum(over, keepdim=True, dtype=wide) / counts.sum(over, keepdim=True)


def _same_positions(source: torch.Tensor, read: torch.Tensor, tap: Tap) -> None:
    """
    Raises:
        ValueError: when a recording has another number of positions than the pass into which it is put.
    """
    if source.shape[1] != read.shape[1]:
        raise ValueError(
            f"the reference has {source.shape[1]} positions at {tap.name}, this pass {read.shape[1]}: position by "
            "position they must be as many. Mode 'mean' without per_position takes a reference of any length"
        )


def _fit(value: torch.Tensor, read: torch.Tensor, tap: Tap, name: str, recorded: bool = False) -> torch.Tensor:
    """A value broadcast to what it takes the place of.

    Raises:
        ValueError: naming both shapes; for a recording of another batch or other positions; for values beyond the
            model's dtype.
    """
    if tap.own == 2 and 0 < value.ndim < read.ndim:
        value = value.unsqueeze(-2)  # the same for each head
    lead = slice(read.ndim - tap.own)
    if recorded and value.shape[lead] != read.shape[lead]:
        raise ValueError(
            f"the recording of {name} has [batch, pos] = {list(value.shape[lead])}, this pass "
            f"{list(read.shape[lead])}: record a pass of that size, or give a tensor that you have averaged or expanded"
        )
    if value.is_inference() and not torch.is_inference_mode_enabled():
        value = value.clone()  # so that it can stand in a pass with gradients
    new = value.to(read)
    if (
        torch.finfo(read.dtype).max < torch.finfo(value.dtype).max
        and not new.isfinite().all()
        and value.isfinite().all()
    ):
        raise ValueError(f"the values for {name} are beyond the model's {str(read.dtype).removeprefix('torch.')}")
    try:
        return new.expand(read.shape)
    except RuntimeError as fault:
        raise ValueError(
            f"the values for {name} have the shape {list(value.shape)}, which does not broadcast to {list(read.shape)}"
        ) from fault
