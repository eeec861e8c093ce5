"""The statements of a proof: what an anatomy expects of a layer's heads, compared with what was found of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isnan, prod

import numpy as np

from headgrid.anatomy.anatomy import Bools, count_of
from headgrid.anatomy.slots import canvas_shape
from headgrid.models.verify.expected import SIDES, Layer, index, numbered, on_canvas, spelled
from headgrid.models.verify.findings import Found
from headgrid.models.verify.watch import ANYWHERE, BEFORE, LAST, MarkedEntries

TOLERANCE = 1e-4
"""The largest relative error at which two sums of float32 numbers count as equal."""

_SAID = (
    ("query side", "scores", LAST), ("key side", "scores", BEFORE), ("value side", "values", BEFORE),
    ("output side", "output", ANYWHERE),
)  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One statement about one head, or about the block of a layer, and whether it holds.

    Attributes:
        stack, layer, head: of what; `head` is None for the block.
        side: one of `SIDES`.
        ok: whether it holds.
        measured: for `output` and `block` the relative error of a sum, else the number of entries that are misplaced.
        text: what was expected and what was found, where it does not hold.
    """

    stack: str
    layer: int
    head: int | None
    side: str
    ok: bool
    measured: float
    text: str = ""

    @property
    def where(self) -> str:
        """Which head or layer: `l3h2`, `decoder l0`."""
        return spelled(self.stack, self.layer, self.head)


def _opened(every: Sequence[MarkedEntries], shape: Sequence[int]) -> list[int]:
    """The shape of the smallest array over a parameter in which these entries are told apart."""
    if any(len(entries) != len(shape) for entries in every) or len(shape) == 1:
        return list(shape)
    there = [entries for entries in every if all(along.any() for along in entries)]
    same = [all(np.array_equal(entries[i], there[0][i]) for entries in there) for i in range(len(shape))]
    return [1 if alike else size for alike, size in zip(same, shape, strict=True)]


def compare(layer: Layer, runs: Sequence[Found]) -> list[Check]:
    """Every statement about one layer; one that runs several times must hold each time."""
    sides = [_Sides(layer, found) for found in runs]
    checks = []
    for head in range(layer.n_heads):
        for side in SIDES[:-1]:
            measured, text = max((one.head(head, side) for one in sides), key=lambda it: (bool(it[1]), it[0]))
            checks.append(Check(layer.stack.name, layer.layer, head, side, not text, measured, text))
    measured, text = max((one.block() for one in sides), key=lambda it: (bool(it[1]), it[0]))
    return [*checks, Check(layer.stack.name, layer.layer, None, "block", not text, measured, text)]


@dataclass(frozen=True)
class _Pair:
    """Expected and found entries of one parameter for one side of each head: `[n_heads, *canvas]`, and `[n_heads]`."""

    name: str
    wanted: Bools
    found: Bools
    whole: Bools

    def wrong(self) -> Bools:
        """For which heads they differ, shape `[n_heads]`."""
        axes = tuple(range(1, self.found.ndim))
        return np.asarray((self.wanted != self.found).any(axis=axes) | (self.found.any(axis=axes) & ~self.whole))


class _Sides:
    """One run of a layer, side by side with its table."""

    def __init__(self, layer: Layer, found: Found) -> None:
        self.layer, self.found = layer, found
        self.both = min(layer.n_heads, found.n_heads)
        names = {slot.parameter for slot in layer.slots} | {name for _, name in found.reached}
        pairs = [(side, pair) for name in sorted(names) for side, pair in self._pairs(name)]
        self.strays = self._strays()
        self.wrong = {side: [(pair, pair.wrong()) for other, pair in pairs if other == side] for side in SIDES[:-1]}

    def _pairs(self, name: str) -> list[tuple[str, _Pair]]:
        n, free = self.both, self.layer.free(name)
        want = {side: self.layer.of(side, name)[:n] for side in ("query", "key", "value", "output", "gate")}
        scores, scores_whole = self._reached("scores", name)
        values, values_whole = self._reached("values", name)
        output, output_whole = self._reached("output", name)
        # what acts at the last position only, and not as a value, scales what the head gives
        gate = values[LAST] & ~values[BEFORE] & ~want["value"]
        # a sink is one more logit of the softmax, or scales what comes of it by the same number
        sink = gate & want["query"] if name in self.layer.sinks else gate & False
        gate = gate & ~sink
        told = scores[LAST] | scores[BEFORE] | want["query"] | want["key"]
        return [
            ("query", _Pair(name, want["query"], (scores[LAST] | sink) & ~free, scores_whole[LAST])),
            ("query", _Pair(name, want["query"] & False, scores[ANYWHERE] & ~told & ~free, scores_whole[ANYWHERE])),
            ("key", _Pair(name, want["key"], scores[BEFORE] & ~free, scores_whole[BEFORE])),
            ("value", _Pair(name, want["value"], values[BEFORE] & ~free, values_whole[BEFORE])),
            ("output", _Pair(name, want["output"], output[ANYWHERE] & ~free, output_whole[ANYWHERE])),
            ("output", _Pair(name, want["gate"], gate & ~free, values_whole[LAST])),
        ]

    def _reached(self, what: str, name: str) -> tuple[Bools, Bools]:
        nothing = self.layer.nothing(name, 3, self.both)
        reached = self.found.reached.get((what, name), nothing)[:, : self.both]
        whole = np.ones((3, self.both), dtype=np.bool_)
        if name not in self.layer.partly:
            whole = self.found.whole.get((what, name), whole)[:, : self.both]
        return reached, whole

    def head(self, head: int, side: str) -> tuple[float, str]:
        """The measured number of one side of one head, and what is wrong with it."""
        if head >= self.both:
            return inf, f"the table has this head, but the model's attention has {self._heads()}"
        wrong = [pair for pair, heads in self.wrong[side] if heads[head]]
        if side == "output" and head in self.found.errors:
            measured = self.found.errors[head]
            if measured > TOLERANCE and not wrong:
                return measured, f"zeroing its W_O differs from ablating its z by {measured:.1e} of the output"
        else:
            measured = float(sum(self._misplaced(pair, head) for pair in wrong))
        if not wrong and (stray := self.strays.get((side, head))):
            return stray
        return measured, self._sentence(wrong, head, side) if wrong else self._no_side(head, side)

    def _no_side(self, head: int, side: str) -> str:
        """The statement about a head which, by the table, has no weights of a side."""
        if any(s == side and pair.wanted[head].any() for s, pairs in self.wrong.items() for pair, _ in pairs):
            return ""
        what, place = next((what, place) for kind, what, place in _SAID if kind == f"{side} side")
        there = [
            f"{slot.parameter}, which the table calls {slot.role}, is"
            for slot in self.layer.slots
            if self._reached(what, slot.parameter)[0][place, head].any()
        ]
        return f"the table has no weight of the {side} side of head {head}" + (f"; {there[0]}" if there else "")

    def _strays(self) -> dict[tuple[str, int], tuple[float, str]]:
        """Side and head -> how many entries move it and not all heads, and lie in no head; and the sentence."""
        found: dict[tuple[str, int], tuple[float, str]] = {}
        for (what, name), by_head in self.found.strays.items():
            shape = self.layer.anatomy.parameters[name]
            every = [entries for uses in by_head.values() for at in uses for entries in at]
            slots = self.layer.anatomy.slots_of[name]
            canvas = [max(pair) for pair in zip(_opened(every, shape), canvas_shape(slots), strict=True)]
            moved = np.zeros((3, self.both, *canvas), dtype=np.bool_)
            for head, uses in by_head.items():
                for at in uses if head < self.both else ():
                    for place, entries in enumerate(at):
                        moved[place, head] |= on_canvas(entries, shape, canvas)[0]
            of = self.layer.lies_in(name, canvas)[: self.both]
            somewhere = moved[ANYWHERE].any(axis=0)
            stray = moved[ANYWHERE] & ~of & (somewhere & ~moved[ANYWHERE].all(axis=0))
            for head in np.flatnonzero(stray.any(axis=tuple(range(1, stray.ndim)))).tolist():
                mine = stray[head]
                heads = np.flatnonzero(moved[ANYWHERE][:, mine].all(axis=1)).tolist()
                before = bool((moved[BEFORE, head] & mine).any())
                side = ("key" if before else "query") if what == "scores" else "value" if before else "output"
                called = " and ".join(dict.fromkeys(slot.role for slot in slots))
                text = (
                    f"{name}{index(mine, shape)}, which the table calls {called}, moves only the {what} of "
                    f"{numbered('head', heads)} and lies in no head"
                )
                found.setdefault((side, head), (float(mine.sum()) * prod(shape) / mine.size, text))
        return found

    def _heads(self) -> str:
        return count_of(self.found.n_heads, "head")

    def _misplaced(self, pair: _Pair, head: int) -> int:
        wanted = pair.wanted[head]
        each: int = prod(self.layer.anatomy.parameters[pair.name]) // wanted.size
        differ: Bools = wanted != pair.found[head]
        return max(1, int(np.count_nonzero(differ)) * each)

    def _sentence(self, wrong: Sequence[_Pair], head: int, side: str) -> str:
        """The expectation of a side of a head, and the finding: of the parameter that says most."""
        pair = max(wrong, key=lambda pair: (bool(pair.wanted[head].any()), self._misplaced(pair, head)))
        name, want, found = pair.name, pair.wanted[head], pair.found[head]
        shape = self.layer.anatomy.parameters[name]
        whole = "" if pair.whole[head] else "a part of "
        said = []
        if want.any():
            said.append(f"{name}{index(want, shape)}, which the table calls the {side} side of head {head}, is")
            said.append(self._effects(name, want) + (";" if found.any() else ""))
        if found.any() and not want.any():
            said.append(f"head {head} takes {whole}{name}{index(found, shape)} for it,")
            said.append(f"which the table calls {self.layer.calls(name, found)}")
        elif found.any():
            calls = self.layer.calls(name, found & ~want)
            said.append(f"that of head {head} is {whole}{index(found, shape)}")
            said.append(f"(with what the table calls {calls})" if calls else "only")
        if len(wrong) > 1:
            said.append(f"(and {count_of(len(wrong) - 1, 'more parameter')} likewise)")
        return " ".join(said)

    def _effects(self, name: str, entries: Bools) -> str:
        """The use that the model makes of some entries: `the query side of head 1`."""
        said = []
        for kind, what, place in _SAID:
            reached = self._reached(what, name)[0][place] & entries
            heads = [int(head) for head in np.flatnonzero(reached.any(axis=tuple(range(1, reached.ndim))))]
            said += [f"the {kind} of {numbered('head', heads)}"] if heads else []
        return " and ".join(said) or "no side of any head"

    def block(self) -> tuple[float, str]:
        """The relative error of the sum of all heads, and what is wrong with the block."""
        if self.found.n_heads != self.layer.n_heads:
            return inf, f"the table has {count_of(self.layer.n_heads, 'head')}, the model's attention {self._heads()}"
        if not self.found.projection:
            return inf, "no weight reads what the heads give: there is no output projection"
        if unread := self._unread():
            return inf, f"nothing in the attention reads {unread}"
        error = self.found.sum_error
        if isnan(error):
            return 0.0, ""
        return error, f"the heads and b_O miss the attention's output by {error:.1e} of it" if error > TOLERANCE else ""

    def _unread(self) -> str:
        """The first entries of the layer's attention that no head was found to read."""
        for slot in self.layer.slots:
            name = slot.parameter
            own = self.layer.nothing(name)
            slot.along(own)[...] = True
            own &= ~self.layer.free(name)
            for (_, other), reached in self.found.reached.items():
                if other == name:
                    own &= ~reached[ANYWHERE].any(axis=0)
            if own.any() and slot.role != "b_O":
                return f"{name}{index(own, self.layer.anatomy.parameters[name])}, the table's {slot.role}"
        return ""
