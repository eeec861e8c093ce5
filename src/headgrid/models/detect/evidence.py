"""Evidence from a stack's names and shapes, before its lines are written: sizes, orientations, what is left open."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from headgrid.models.detect.lexicon import STATE_SPACE, Reading, read

TensorShape = tuple[int, ...]


@dataclass
class Questions:
    """The questions that shapes leave open: each with its possible answers, the likeliest first.

    Attributes:
        answers: question -> the number of the answer to give; the first where it is not there.
        asked: question -> its answers, in the order in which they came up.
    """

    answers: Mapping[str, int] = field(default_factory=dict)
    asked: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def ask(self, question: str, *options: str) -> str:
        """The answer that is to be given."""
        self.asked[question] = options
        return options[self.answers.get(question, 0)]

    def caveats(self) -> tuple[str, ...]:
        """Each question as a sentence: the answer that was given, and the others."""
        sentences = []
        for question, options in self.asked.items():
            given = options[self.answers.get(question, 0)]
            others = " or ".join(repr(option) for option in options if option != given)
            sentences.append(f"shapes do not show {question}: taken as {given!r}, not {others}")
        return tuple(sentences)


@dataclass(frozen=True)
class Sizes:
    """Sizes of a stack that are known before its lines are written: query heads, key/value heads, and two widths."""

    n: int
    g: int
    h: int
    m: int


class Evidence:
    """The names and shapes of one stack's layers.

    Attributes:
        readings: path in a layer -> what its name says, and its shape in the first layer that has it.
        strangers: path -> why no line was found for it.
        questions: what is asked when shapes leave something open.
        pre_norm: whether norms that are named neither way stand before their blocks; it may ask.
    """

    def __init__(
        self, layers: Mapping[int, Mapping[str, TensorShape]], questions: Questions, pre_norm: Callable[[], bool]
    ) -> None:
        self.questions, self.pre_norm = questions, pre_norm
        self.readings: dict[str, tuple[Reading, TensorShape]] = {}
        self.strangers: dict[str, str] = {}
        for paths in layers.values():
            mixers = {path.split(".")[0] for path in paths if set(path.split(".")) & STATE_SPACE}
            for path, shape in paths.items():
                reading = Reading("mixer", "mixer", False, path) if path.split(".")[0] in mixers else read(path)
                if reading is None:
                    self.strangers[path] = "its name is not one of those that are known"
                    continue
                self.readings.setdefault(reading.path, (reading, shape))

    def has(self, block: str, *kinds: str) -> bool:
        """Whether some parameter reads as one of these."""
        return any(reading.block == block and reading.kind in kinds for reading, _ in self.readings.values())

    def shape(self, block: str, kind: str) -> TensorShape | None:
        """The shape of the first weight that reads as this."""
        found = (s for r, s in self.readings.values() if (r.block, r.kind) == (block, kind) and not r.bias)
        return next(found, None)

    @property
    def blocks(self) -> list[str]:
        """Which attention there is: `self`, `cross`, or both."""
        return [block for block in ("self", "cross") if self.has(block, "O")]

    @property
    def latent(self) -> bool:
        """Whether keys and values are made from a latent (DeepSeek)."""
        return self.has("self", "UKV")

    def sizes(self, n: int, widths: Iterable[int]) -> Sizes | str:
        """The sizes, or a sentence that says why they cannot be told.

        Args:
            n: the number of query heads that the config names.
            widths: the widths that the config names; the first that is an axis of W_O is d_model.
        """
        if not self.blocks:
            return "none of its layers has attention heads"
        out, key, fused = (self.shape(self.blocks[0], kind) for kind in ("O", "K", "qkv"))
        if out is None or len(out) != 2:
            return "the projection after the heads is not a matrix"
        m = next((width for width in widths if width in out), None)
        if m is None:
            return f"no axis of the projection after the heads, {list(out)}, is a width that the config names"
        inner = out[0] if out[1] == m else out[1]
        if inner % n:
            return f"the projection after the heads reads {inner} entries, which {n} heads do not divide"
        h, g = inner // n, n
        if self.latent:
            pass  # keys and values are made for every head
        elif key is not None:
            g = width(key, m) // h
        elif fused is not None:
            g = (width(fused, m) // h - n) // 2
        if g < 1 or n % g:
            return f"{n} query heads with d_head {h} do not fit keys of shape {list(key or fused or ())}"
        return Sizes(n, g, h, m)

    def matrix(
        self, out: str, inside: str, shape: TensorShape, size: tuple[int | None, int | None], block: str, m: int
    ) -> str:
        """The axes of a matrix: `out inside` where it is stored [out, in], `inside out` where [in, out].

        Args:
            out, inside: the axes.
            shape: the stored shape.
            size: the sizes of the axes where they are known.
            block: the block that it is part of, whose other matrices decide where it is square.
            m: d_model.
        """

        def fits(first: int | None, second: int | None) -> bool:
            return first in (None, shape[0]) and second in (None, shape[1])

        plain, turned = fits(*size), fits(size[1], size[0])
        if plain and turned:
            near = self._turned((block,), m) or self._turned(("self", "cross", "mlp"), m)
            if len(near) == 1:
                turned = True in near
            else:
                turned = self.questions.ask("how square matrices are stored", "[out, in]", "[in, out]") == "[in, out]"
            plain = not turned
        return f"{inside} {out}" if turned and not plain else f"{out} {inside}"

    def _turned(self, blocks: tuple[str, ...], m: int) -> set[bool]:
        """Whether the matrices of these blocks are stored [in, out], as far as those that are not square tell."""
        found = set()
        for reading, shape in self.readings.values():
            if reading.block in blocks and not reading.bias and len(shape) == 2 and shape[0] != shape[1]:
                if reading.kind in ("O", "out"):
                    found.add(shape[1] == m)
                elif reading.kind in ("Q", "K", "V", "qkv", "up", "gate", "w1", "w3", "gate_up"):
                    found.add(shape[0] == m)
        return found

    def experts_turned(self, m: int) -> bool:
        """Whether experts in one tensor are stored [experts, in, out]."""
        votes = set()
        for reading, shape in self.readings.values():
            if reading.block == "experts" and not reading.bias and len(shape) == 3 and shape[1] != shape[2]:
                votes.add((shape[2] == m) if reading.kind == "out" else (shape[1] == m))
        if len(votes) == 1:
            return votes.pop()
        return self.questions.ask("how square experts are stored", "[out, in]", "[in, out]") == "[in, out]"


def width(shape: TensorShape, m: int) -> int:
    """The size of a matrix's axis that is not d_model; of a vector, its only one."""
    return shape[1] if len(shape) == 2 and shape[0] == m else shape[0]
