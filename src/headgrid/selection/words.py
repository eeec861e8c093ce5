"""The words of the selection language: the one table of every kind of part that a text can name.

Parser, printer, completion and the cells of the grid read it, so a new kind of part with a word is one row here (and
one of `headgrid.anatomy.roles`, for what its weights do). What a word means in one model is the parts of its owners;
a word of which a model has no part is not one of its words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

CellKind = Literal["head", "mixer", "mlp", "expert", "norm", "rest", "embed"]
"""The kinds of cells that the grid draws each in its own way."""

Place = Literal["layer", "before", "after", "side"]
"""Where a word stands: after the number of a layer; for what comes before or after all layers; after a word, `.q`."""

LAST = 99
"""The rank of what is offered in whatever order the table has."""


@dataclass(frozen=True)
class Shown:
    """How the grid shows a word: as one column, or as one for each of its numbers.

    Attributes:
        kind: how its cells are drawn.
        order: where it stands in a row, in the order of a forward pass.
        label: what its header says; "" for the number of each, and for what `lists` names.
        each: whether each number has a column of its own.
        lists: what the header and the name of the cell list in place of a label: the roles of the parts, or the
            modules that the parameters are in.
    """

    kind: CellKind
    order: int
    label: str = ""
    each: bool = False
    lists: Literal["", "roles", "modules"] = ""


@dataclass(frozen=True)
class Word:
    """A word of the selection language.

    Attributes:
        text: the word as it is printed, and typed: `attn`, `h`, `mlp n`; "" for the whole layer.
        noun: how it is spoken, and what is said of it beside it.
        owners: the owners of the parts that it names (`headgrid.anatomy.roles`); for a word that others are within,
            those of all of these.
        within: the word, coarser by one step, that all of its parts belong to.
        plural: the noun of several, for a word that is followed by numbers.
        axis: the letter of what the numbers after it count: `n` heads, `g` key/value heads, `f` neurons, `e` experts;
            "" for a word without numbers.
        also: other ways to type it.
        offered: its rank among the words that completion offers.
        shown: its columns in the grid; None where the cells of finer words show its parts. A word with finer words is
            one column, unless one of these has a column for each number: then the finer words are the columns.
        place: where it stands.
    """

    text: str
    noun: str
    owners: tuple[str, ...] = ()
    within: str = ""
    plural: str = ""
    axis: str = ""
    also: tuple[str, ...] = ()
    offered: int = LAST
    shown: Shown | None = None
    place: Place = "layer"

    @cached_property
    def after_layer(self) -> str:
        """The word as it is joined to a layer: `h` in `l0h1`, but ` mlp n` in `l0 mlp n5`."""
        return self.text if len(self.text) < 2 else f" {self.text}"

    @cached_property
    def pattern(self) -> str:
        """A regular expression of all ways to type it; blanks between its pieces are free."""
        ways = sorted((self.text, *self.also), key=len, reverse=True)
        every = "|".join(way.replace(" ", r"\s*") for way in ways)
        return rf"(?:{every})(?![a-z_])" if self.axis else rf"(?:{every})(?!\w)"


WORDS: tuple[Word, ...] = (
    # after the number of a layer: coarse before fine, in the order of printing
    Word("", "layer"),
    Word("attn", "attention", also=("attention",), offered=1),
    Word("mixer", "mixer", ("mixer",), offered=3, shown=Shown("mixer", 3, lists="modules")),
    Word("g", "group", within="attn", plural="groups", axis="g", also=("group", "groups"), offered=5),
    Word("h", "head", ("q", "k", "v", "o"), within="g", plural="heads", axis="n", also=("head", "heads"), offered=0,
         shown=Shown("head", 2, each=True)),
    Word("attn rest", "rest of attention", ("attn rest",), within="attn", shown=Shown("rest", 4, lists="roles")),
    Word("mlp", "MLP", offered=2, shown=Shown("mlp", 7, "MLP")),
    Word("mlp n", "neuron", ("neuron",), within="mlp", plural="neurons", axis="f",
         also=("mlp neuron", "mlp neurons", "neuron", "neurons"), shown=Shown("mlp", 7, "MLP")),
    Word("e", "expert", ("expert",), within="mlp", plural="experts", axis="e", also=("expert", "experts"), offered=4,
         shown=Shown("expert", 9, each=True)),
    Word("mlp rest", "rest of the MLP", ("mlp rest",), within="mlp", shown=Shown("rest", 8, lists="roles")),
    Word("ln1", "norm before attention", ("ln1",), offered=6, shown=Shown("norm", 1, "ln1")),
    Word("ln1_post", "norm after attention", ("ln1_post",), offered=8, shown=Shown("norm", 5, "post")),
    Word("ln2", "norm before the MLP", ("ln2",), offered=7, shown=Shown("norm", 6, "ln2")),
    Word("ln2_post", "norm after the MLP", ("ln2_post",), offered=9, shown=Shown("norm", 10, "post")),
    # of no layer
    Word("embed", "token embedding", ("embed",), shown=Shown("embed", 1), place="before"),
    Word("pos", "position embedding", ("pos",), shown=Shown("embed", 2), place="before"),
    Word("types", "token type embedding", ("types",), shown=Shown("embed", 3), place="before"),
    Word("stem", "stem: what makes the first hidden states", ("stem",), shown=Shown("embed", 4), place="before"),
    Word("ln_embed", "norm of the embedding", ("ln_embed",), shown=Shown("norm", 5), place="before"),
    Word("ln_final", "final norm", ("ln_final",), shown=Shown("norm", 1), place="after"),
    Word("top", "top: what reads the last hidden states", ("top",), shown=Shown("embed", 2), place="after"),
    Word("unembed", "unembedding", ("unembed",), shown=Shown("embed", 3), place="after"),
    # a side, or a circuit, of the heads of a word
    Word("q", "query side", ("q",), place="side"),
    Word("k", "key side", ("k",), place="side"),
    Word("v", "value side", ("v",), place="side"),
    Word("o", "output side", ("o",), place="side"),
    Word("qk", "query and key side", ("q", "k"), place="side"),
    Word("ov", "value and output side", ("v", "o"), place="side"),
)  # fmt: skip
"""Every word. A weight's role (`.W_Q`, `.w`), and the name of a parameter or module, are no rows: models have them."""

SETS = {"full": "the whole model", "none": "nothing"}
"""Words for sets that every model has, and how they are spoken."""


def _whole(word: Word, among: Iterable[Word]) -> Word:
    """A word with the owners of those that are within it."""
    every = list(among)
    finer = [_whole(other, every) for other in every if other.text and other.within == word.text]
    return replace(word, owners=tuple(dict.fromkeys([*word.owners, *(owner for one in finer for owner in one.owners)])))


_IN_LAYER = [word for word in WORDS if word.place == "layer"]

LAYER_WORDS: dict[str, Word] = {word.text: _whole(word, _IN_LAYER) for word in _IN_LAYER}
"""Words that follow the number of a layer, "" for none: coarse before fine, with all of their owners."""

OUTSIDE_WORDS: dict[str, Word] = {word.text: word for word in WORDS if word.place in ("before", "after")}
"""Words for what belongs to no layer, in the order of a forward pass."""

SIDES: dict[str, Word] = {word.text: word for word in WORDS if word.place == "side"}
"""The sides and circuits of heads, without their dot."""

NOUNS: dict[str, str] = {**SETS, **{word.text: word.noun for word in WORDS if word.text}}
"""How a word is spoken."""

BY_AXIS: dict[str, Word] = {word.axis: word for word in LAYER_WORDS.values() if word.axis}
"""The word whose numbers count a letter."""

PATTERNS: dict[str, str] = {
    text: LAYER_WORDS[text].pattern for text in sorted(filter(None, LAYER_WORDS), key=len)[::-1]
}
"""How a word after a layer is typed, longer words first: `attn` is the beginning of `attn rest`."""

NUMBERED = "|".join(word.text.replace(" ", r"\s*") for word in BY_AXIS.values())
"""A regular expression of the words that numbers follow, as they are printed."""

INDEX = "|".join(
    rf"\b{word.text.split()[-1]}\d" if " " in word.text else rf"^{word.text}\d" for word in BY_AXIS.values()
)
"""A regular expression of a word's number, where a text has one."""


_BEGUN = re.compile(rf"[\d\]*](?:{'|'.join(word.after_layer for word in BY_AXIS.values())})$")


def is_begun(term: str) -> bool:
    """Whether a term as completion offers it waits for a number: `l1h`, `l1 mlp n`."""
    return _BEGUN.search(term) is not None


def finer(text: str) -> list[Word]:
    """The words, a step finer, that are within a word after a layer; those of the layer itself for ""."""
    return [word for word in LAYER_WORDS.values() if word.text and word.within == text]


def coarser(word: Word) -> list[Word]:
    """The words that a word after a layer is within, the finest first; the layer itself is none."""
    found = []
    while word.within:
        word = LAYER_WORDS[word.within]
        found.append(word)
    return found


def squeezed(text: str) -> str:
    """A text as words are compared: upper and lower case are the same, and blanks are free."""
    return re.sub(r"\s+", "", text).lower()
