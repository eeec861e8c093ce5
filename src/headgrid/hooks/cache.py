"""The cache: what a forward pass left at taps, read by the words of a selection."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from jaxtyping import Float

from headgrid.anatomy.anatomy import Anatomy
from headgrid.hooks.taps import Tap
from headgrid.selection.activations import Where
from headgrid.selection.points import OF_HEADS, OF_LAYERS, named, text_of
from headgrid.utils import arguments

Keep = Literal["last", "all"]
LayerKey: TypeAlias = int | tuple[str, int]
"""A layer of the stack without a name, or the name of a stack and a layer of it."""

MASKS = {"": "attention_mask", "encoder": "attention_mask", "decoder": "decoder_attention_mask",
         "cross": "decoder_attention_mask"}  # fmt: skip
"""Stack -> the input that says which of its positions are tokens, and which only fill up the batch."""

_RECORDED = "_headgrid_recorded"
"""The attribute of tensors that were read from a cache: they stand for the batch and positions of their own pass."""


def is_recorded(tensor: torch.Tensor) -> bool:
    """Whether a tensor is a recording as a `Cache` gives it, and not computed from one."""
    return bool(getattr(tensor, _RECORDED, False))


def _recorded(tensor: torch.Tensor) -> torch.Tensor:
    setattr(tensor, _RECORDED, True)
    return tensor


class NotRecorded(KeyError):  # noqa: N818
    """An activation is not in a `Cache`; the message says which are."""

    def __str__(self) -> str:
        return arguments.printable_lines(str(self.args[0]))


@dataclass(frozen=True)
class Recording:
    """One recorded activation: all of it, and each head of a z that the model went on with.

    `axes` is how many axes one position has: `[n, d_head]`, `[n]`.
    """

    whole: torch.Tensor
    axes: int
    heads: Sequence[torch.Tensor] = ()

    def at(self, positions: list[int] | int | None) -> torch.Tensor:
        """The heads or neurons at these places, one head without an axis for it; everything for None."""
        if positions is None:
            found = self.whole
        elif isinstance(positions, int):
            found = self.heads[positions] if self.heads else self.whole[..., positions, :]
        else:
            found = self.whole.index_select(-self.axes, torch.tensor(positions, device=self.whole.device))
        return _recorded(found)


@dataclass(frozen=True)
class _Spot:
    """A tap as a cache records it: not its module, so that to copy or pickle a cache is not to do so with a model.

    `places` are the texts of what it holds, one for each head.
    """

    name: str
    numbers: tuple[int, ...]
    uses: int
    places: tuple[str, ...]


class Cache(Mapping[str, torch.Tensor]):
    """Recorded activations: a mapping from text to tensor, filled by forward passes.

        cache["l1h2"]              z of a head               [batch, pos, d_head]
        cache["l1h0 | l1h2"]       z of heads of a layer     [batch, pos, 2, d_head]
        cache["l1h2.pattern"]      its attention pattern     [batch, query, key]
        cache["l1h2.q"], ["l1h2.k"]   query and key          [batch, pos, d_head]
        cache["l0 mlp"]            activations of the recorded neurons of a layer    [batch, pos, n_neurons]
        cache["l3 in"], ["l3 attn out"]   hidden states      [batch, pos, d_model]
        cache.z[1], cache.mlp[0]   everything recorded of a layer; of a stack with a name `cache.z["encoder", 1]`
        cache.of("pattern")[1]     likewise of any point     [batch, query, n_heads, key]
        cache.heads[1], cache.neurons[0]   the numbers of its heads and neurons, in that order

    Iterating gives the texts of what has been recorded. `cache.runs(text)` is the list of all kept recordings, where a
    forward pass runs a layer several times or `keep="all"` kept several passes; then `cache[text]` is an error.
    The axes `batch, pos` are those of the model: a vision tower that packs its images has one axis, `patches`. Scores
    and patterns of several heads are `[batch, query, n_heads, key]`: like everything of heads, position before head.
    With `record(..., positions=...)` the positions are those alone, in that order.

    What is read is a recording of the batch and positions of its own pass: put into another one it must have the same
    (`headgrid.ablate`), where a tensor that was computed from it is broadcast. Of a layer that is run several times in
    a pass, the runs of a pass that broke off are dropped when the next one begins.

    With `record(..., detach=False)` the tensors of single heads, of `z` and of `mlp` are those that the model went on
    with: `torch.autograd.grad(loss, cache["l1h2"])` is the gradient at that head's z.
    """

    def __init__(self, anatomy: Anatomy | None, found: Sequence[Tap], keep: Keep) -> None:
        self._anatomy = anatomy
        self.taps = {tap.where: _Spot(tap.name, tap.numbers, tap.uses, _places(anatomy, tap)) for tap in found}
        self.kept: dict[Where, deque[Recording]] = {
            tap.where: deque(maxlen=tap.uses if keep == "last" else None) for tap in found
        }
        self.masks: dict[str, torch.Tensor] = {}
        self._came = dict.fromkeys(self.kept, 0)

    def begin(self, inputs: Mapping[str, object]) -> None:
        """A forward pass of the whole model begins, with these arguments."""
        self.masks = {
            name: mask.detach()
            for name in set(MASKS.values())
            if isinstance(mask := inputs.get(name), torch.Tensor) and mask.ndim == 2
        }
        for where, tap in self.taps.items():
            for _ in range(self._came[where] % tap.uses):
                self.kept[where].pop()
                self._came[where] -= 1

    def keep(self, tap: Tap, recording: Recording) -> None:
        """An activation has passed."""
        self.kept[tap.where].append(recording)
        self._came[tap.where] += 1

    def last(self, tap: Tap, name: str) -> tuple[torch.Tensor, ...]:
        """The recordings of a tap's heads or neurons in the last pass, one for each run of the layer, on all its axes.

        Raises:
            NotRecorded: when they are not recorded, or no pass has come to them, or the last one broke off.
        """
        places = self.places(tap.where, tap.numbers, name)
        kept = list(self.kept[tap.where])[-tap.uses :]
        if not kept:
            raise NotRecorded(f"the cache holds no forward pass that came to {name}")
        if len(kept) < tap.uses or self._came[tap.where] % tap.uses:
            raise NotRecorded(
                f"the last forward pass of the cache broke off between runs of {name}: record another one"
            )
        listed = [places] if isinstance(places, int) else places
        return tuple(recording.at(listed) for recording in kept)

    def runs(self, what: str) -> list[Float[torch.Tensor, "*axes"]]:
        """All kept recordings of what a text names, in the order of the forward pass; `[]` before the first.

        Raises:
            NotRecorded: when it is not among what is recorded.
            SelectionError: when the text does not parse, or names what the model does not have.
            TypeError: when it is no text.
            ValueError: when it names several activations, or what has none.
        """
        where, positions = self.find(what)
        return [recording.at(positions) for recording in self.kept[where]]

    def __getitem__(self, what: str) -> Float[torch.Tensor, "*axes"]:
        found = self.runs(what)
        if not found:
            raise NotRecorded(f"no forward pass has come to {what} yet")
        return _only(found, what)

    def __contains__(self, what: object) -> bool:
        try:
            return isinstance(what, str) and bool(self.runs(what))
        except (KeyError, ValueError):
            return False

    def __iter__(self) -> Iterator[str]:
        for where, tap in self.taps.items():
            if self.kept[where]:
                yield from tap.places

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Cache({', '.join(tap.name for tap in self.taps.values())})"

    @property
    def z(self) -> dict[LayerKey, Float[torch.Tensor, "*batch_pos heads d_head"]]:
        """Layer -> z of its recorded heads, `[batch, pos, n_heads, d_head]`."""
        return self.of("z")

    @property
    def mlp(self) -> dict[LayerKey, Float[torch.Tensor, "*batch_pos neurons"]]:
        """Layer -> the activations of its recorded neurons, `[batch, pos, n_neurons]`."""
        return self.of("mlp")

    def of(self, point: str) -> dict[LayerKey, Float[torch.Tensor, "*axes"]]:
        """Layer -> everything recorded there of a point: `q`, `pattern`, `z`, `mlp`, `in`, ...; `{}` for nothing."""
        kind = arguments.one_of("point", point, _KINDS)
        return {_layer_key(where): self._whole(where) for where in self.taps if where[0] == kind and self.kept[where]}

    @property
    def heads(self) -> dict[LayerKey, tuple[int, ...]]:
        """Layer -> the numbers of its recorded heads: in the order of its z, or of another point of heads."""
        kinds = sorted((where[0] for where in self.taps if where[0] in OF_HEADS), key=_ORDER.index)
        return {_layer_key(where): tap.numbers for where, tap in self.taps.items() if kinds and where[0] == kinds[0]}

    @property
    def neurons(self) -> dict[LayerKey, tuple[int, ...]]:
        """Layer -> the numbers of its recorded neurons."""
        return {_layer_key(where): tap.numbers for where, tap in self.taps.items() if where[0] == "mlp"}

    def _whole(self, where: Where) -> torch.Tensor:
        return _only([recording.at(None) for recording in self.kept[where]], self.taps[where].name)

    def find(self, what: str) -> tuple[Where, list[int] | int | None]:
        """Where the named activation is recorded, and the places of its heads or neurons among those recorded there."""
        what = arguments.text("the key of a cache", what, what="a text such as 'l1h2', 'l1h2.pattern' or 'l3 in'")
        if plain := _LAYER.fullmatch(what.lower()):
            stack = "" if plain[1] in (None, "text") else plain[1]
            where: Where = (" ".join(plain[3].split()), stack, int(plain[2]))  # type: ignore[assignment]
            if where not in self.taps:
                raise NotRecorded(f"{what} is not recorded; recorded are {self._recorded}")
            return where, None
        if self._anatomy is None:
            raise NotRecorded(f"{what} is not recorded; recorded are {self._recorded}")
        wanted = named(self._anatomy, what)
        if len(wanted) != 1:
            raise ValueError(f"{what} is {len(wanted)} activations; ask for those of one layer, or read cache.z")
        ((where, numbers),) = wanted.items()
        return where, self.places(where, numbers, what)

    def places(self, where: Where, numbers: tuple[int, ...], what: str) -> list[int] | int | None:
        """The places of heads or neurons among those that are recorded there: one for one head, None for a layer."""
        there = self.taps[where].numbers if where in self.taps else ()
        if where not in self.taps or not set(numbers) <= set(there):
            raise NotRecorded(f"{what} is not recorded; recorded are {self._recorded}")
        if not numbers:
            return None
        found = [there.index(number) for number in numbers]
        return found[0] if where[0] in OF_HEADS and len(found) == 1 else found

    @property
    def _recorded(self) -> str:
        return ", ".join(tap.name for tap in self.taps.values()) or "no activations"


_KINDS = (*OF_HEADS, "mlp", *OF_LAYERS)
_ORDER = ["z", *OF_HEADS]
_LAYER = re.compile(rf"\s*(?:([a-z]+)\s+)?l(\d+)\s+(mlp|{'|'.join(sorted(OF_LAYERS, key=len)[::-1])})\s*")


def _places(anatomy: Anatomy | None, tap: Tap) -> tuple[str, ...]:
    if tap.where[0] not in OF_HEADS or anatomy is None:
        return (tap.name,)
    stack = anatomy.stack(tap.where[1])
    return tuple(text_of(tap.where, (number,), stack) for number in tap.numbers)


def _layer_key(where: Where) -> LayerKey:
    _, stack, layer = where
    return (stack, layer) if stack else layer


def _only(found: Sequence[torch.Tensor], what: str) -> torch.Tensor:
    if len(found) > 1:
        raise ValueError(f"{what} was recorded {len(found)} times: read them with cache.runs({what!r})")
    return found[0]
