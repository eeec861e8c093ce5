"""Sealed answers: a text in which an answer stands as salted hashes, so that nobody reads it in passing."""

from __future__ import annotations

import hashlib
import math
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from headgrid.utils import arguments

T = TypeVar("T")
Kind = Literal["selection", "order", "number", "choice", "prediction"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FINE = 8
"""How many buckets of a number's scale are as wide as its tolerance: it is widened by an eighth at most."""

SLACK = 1e-6
"""Of a bucket: what lies on an edge of the tolerance is within it, however it was rounded."""

FORM = re.compile(r"(selection|order|number|choice):([a-z0-9.+-]*):([0-9a-f]{16}):([0-9a-f]{16}(?:,[0-9a-f]{16})*)")


@dataclass(frozen=True)
class Sealed:
    """An answer of which only hashes are known: `headgrid.course.seal` makes it, and its text is what a notebook has.

    It keeps an answer from being read. It does not keep it from being found: whoever tries all heads of the model
    against the hashes has it, and that is what a check does.

    Attributes:
        kind: of the answer.
        scale: what pieces are counted, of a selection; the scale and tolerance, of a number.
        salt: what the hashes are made with.
        hashes: one for each piece, in no order.
    """

    kind: Kind
    scale: str
    salt: str
    hashes: frozenset[str]

    def __repr__(self) -> str:
        return f"course.sealed({str(self)!r})"

    def __str__(self) -> str:
        return f"{self.kind}:{self.scale}:{self.salt}:{','.join(sorted(self.hashes))}"

    def has(self, piece: object) -> bool:
        """Whether a piece is of the answer."""
        return hashed(piece, self.salt) in self.hashes

    def opened(self, candidates: Iterable[T]) -> list[T]:
        """The answer, found among all that it may be of.

        Raises:
            ValueError: when some of it is not among them.
        """
        found = [one for one in candidates if self.has(one)]
        if len(found) != len(self.hashes):
            raise ValueError(
                f"this sealed answer is not of this exercise: of its {len(self.hashes)} pieces {len(found)} are found "
                "in this model or among these choices; seal it again with them"
            )
        return found

    def close(self, value: float) -> bool:
        """Whether a number is within the tolerance of the answer."""
        return self.has(_bucket(value, self.scale, 0.0))


def sealed(text: str) -> Sealed:
    """The sealed answer of a text that `seal` has made.

    Raises:
        ValueError: when it is no such text.
    """
    arguments.text("text", text, what="a text that headgrid.course.seal has made")
    found = FORM.fullmatch(text.strip())
    if not found:
        raise ValueError(f"this is no sealed answer as headgrid.course.seal makes it: {arguments.shown(text)}")
    kind, scale, salt, hashes = found.groups()
    return Sealed(next(one for one in KINDS if one == kind), scale, salt, frozenset(hashes.split(",")))


def seal_pieces(kind: Kind, scale: str, some: Iterable[object]) -> Sealed:
    """Seal pieces, each by itself."""
    salt = secrets.token_hex(8)
    return Sealed(kind, scale, salt, frozenset(hashed(piece, salt) for piece in some))


def seal_number(value: float, absolute: float | None, relative: float | None) -> Sealed:
    """Seal a number by the buckets of its tolerance: absolute, relative, or neither for the very number."""
    if relative is not None:
        scale = f"r{relative!r}"
        low, high = (_bucket(value * (1 + side * relative), scale, side * SLACK) for side in (-1, 1))
    elif absolute:
        scale = f"a{absolute!r}"
        low, high = (_bucket(value + side * absolute, scale, side * SLACK) for side in (-1, 1))
    else:
        return seal_pieces("number", "e", [_bucket(value, "e", 0.0)])
    sign, first, last = low[0], int(low[1]), int(high[1])
    return seal_pieces("number", scale, [(sign, str(n)) for n in range(min(first, last), max(first, last) + 1)])


def hashed(piece: object, salt: str) -> str:
    """The hash of one piece."""
    return hashlib.blake2b(repr(piece).encode("utf-8", "surrogatepass"), digest_size=8, key=salt.encode()).hexdigest()


def _bucket(value: float, scale: str, shift: float) -> tuple[str, str]:
    """The bucket of a number: its sign, where the tolerance is relative, and its place on the scale."""
    if scale == "e":
        return "", repr(float(value) + 0.0)
    width = float(scale[1:])
    if scale[0] == "a":
        return "", str(math.floor(value / (width / FINE) + shift))
    if value == 0 or not math.isfinite(value):
        return "0", "0"
    return "-" if value < 0 else "+", str(math.floor(math.log(abs(value)) / (math.log1p(width) / FINE) + shift))
