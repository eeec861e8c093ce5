"""Tokens: which ones a direction of the residual stream reads, and which ones it writes.

A direction reads through the embedding (logits W_E d) and writes through the final norm and the unembedding (logits
d W_U): the largest and smallest logits say what it is about (Elhage et al. 2021, A Mathematical Framework for
Transformer Circuits; Millidge and Black 2022, The Singular Value Decompositions of Transformer Weight Matrices are
Highly Interpretable).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import accumulate, pairwise
from typing import Any, overload
from weakref import WeakKeyDictionary

import torch
from jaxtyping import Float, Float64, Int64

from headgrid.anatomy.anatomy import Slot, Stack, count_of
from headgrid.circuits.norms import LN, LNS, NONE, Norm, Norms, finite
from headgrid.circuits.readout import RowNorms, extremes, product, row_norms
from headgrid.circuits.strings import TokenStrings
from headgrid.utils.arguments import integer, one_of, shown
from headgrid.weights import Weights

Version = tuple[object, ...]


@dataclass(frozen=True, eq=False, repr=False)
class TokenTable(Sequence[list[Any]]):
    """The tokens with the largest and the smallest logits of k directions: `table[i]` is the top of direction i.

    Attributes:
        ids, values: `[k, n]` int64 and float64, from the largest logit down; of equal ones, the smaller id first.
        bottom_ids, bottom_values: the same from the smallest logit up.
        top, bottom: for each direction the tokens as strings, or as ids where there is no tokenizer.
    """

    ids: Int64[torch.Tensor, "k n"]
    values: Float64[torch.Tensor, "k n"]
    bottom_ids: Int64[torch.Tensor, "k n"]
    bottom_values: Float64[torch.Tensor, "k n"]
    top: list[list[str]] | list[list[int]]
    bottom: list[list[str]] | list[list[int]]

    @overload
    def __getitem__(self, index: int) -> list[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> list[list[Any]]: ...
    def __getitem__(self, index: int | slice) -> list[Any]:
        if isinstance(index, slice):
            return self.top[index]
        at = integer("the number of a direction", index)
        if not -len(self.top) <= at < len(self.top):
            raise IndexError(f"there is no direction {shown(index)} in this table of {len(self.top)}")
        return self.top[at]

    def __len__(self) -> int:
        return len(self.top)

    def part(self, at: slice) -> TokenTable:
        """Some of the directions."""
        return TokenTable(**{field.name: getattr(self, field.name)[at] for field in fields(self)})

    def __repr__(self) -> str:
        rows = (f"{i}: {', '.join(repr(token) for token in self[i])}" for i in range(len(self)))
        return "\n".join((f"TokenTable of {count_of(len(self), 'direction')}", *rows))


class Vocabulary:
    """The embedding and the unembedding of a stack, to read directions of its residual stream through.

    Nothing of the model is copied, and a later change of it is seen: what is kept (`W_UE`, and how large rows are) is
    made anew when `version` changes.

    Args:
        weights: the stack, as `Weights` reads it. Embedding and unembedding are found where the model has them: in the
            stack, or in what all stacks share. They are read as stored, whatever dtype `weights` is asked for.
        tokenizer: makes strings of token ids: of transformers, TransformerLens or tokenizers, or anything with
            `convert_ids_to_tokens`, `id_to_token` or `decode`; without one, tokens are ids.
        ln: `folded`: what is written passes the final norm, as in the model; `raw`: the stored weights alone.

    Attributes:
        d_vocab: the number of tokens; 0 where the stack has none.
        why_no_reads, why_no_writes: "" where directions can be read, else a sentence that says why not.

    Raises:
        ValueError: for another `ln`.
        TypeError: for something that is no tokenizer.
    """

    def __init__(self, weights: Weights, tokenizer: Any = None, *, ln: LN = "folded") -> None:
        self.weights, self.tokenizer, self.ln = weights, tokenizer, one_of("ln", ln, LNS)
        homes = {role: _home(weights, role) for role in ("W_E", "W_U")}
        self.why_no_reads, self.why_no_writes = (home if isinstance(home, str) else "" for home in homes.values())
        self._homes = {
            role: weights.at(home.name, as_stored=True) for role, home in homes.items() if isinstance(home, Stack)
        }
        self.d_vocab = max((self._slot(role).sizes["v"] for role in self._homes), default=0)
        self._strings = None if tokenizer is None else TokenStrings(tokenizer)
        # cross-attention writes to the decoder's stream
        written = next((one for one in weights.anatomy.stacks if one.name == "decoder"), weights.stack)
        self._written = weights.at(written.name, as_stored=True)
        self._norms = Norms(self._written)
        self._cache = _CACHE.setdefault(weights.model, {})

    @property
    def notes(self) -> tuple[str, ...]:
        """The caveats of the readings, a sentence each."""
        found, stack = [], self.weights.stack
        found += [note.rstrip(".") for role, home in self._homes.items() for note in home.notes(role)]
        if "W_E" in self._homes and stack.roles("ln_embed"):
            found.append("The norm of the embeddings is left out of the tokens that are read")
        if "W_E" in self._homes and stack.name == "cross":
            found.append("Keys and values of cross-attention read the encoder's output, which is no longer embeddings")
        if "W_U" in self._homes:
            ends = {slot.role: slot.parameter for slot in self._homes["W_U"].stack.slots}
            if "top" in ends:
                module = ends["top"].rpartition(".")[0].rpartition(".")[0] or ends["top"]
                found.append(f"The transform before the unembedding ({module}) is left out of the tokens written")
            if "b_U" in ends:
                found.append("The bias of the unembedding is left out of the tokens written")
            self._final()
            found += self._norms.notes
        if self._strings is not None:
            found += self._strings.unlike(self.d_vocab)
        return tuple(found)

    def reads(self, directions: Float[torch.Tensor, "k d_model"], n: int = 10) -> TokenTable:
        """The tokens whose embeddings have the largest and smallest logits W_E d.

        Args:
            directions: `[k, d_model]`, such as the left singular vectors of an OV circuit with its norm folded in.
            n: how many tokens for each side; all there are, where these are fewer.

        Raises:
            ValueError: when the stack's embedding cannot be read, for directions of another shape, for NaN or inf in
                these or in the embedding, and for an `n` below 1.
        """
        return self.read_all([("W_E", directions)], n)[0]

    def writes(self, directions: Float[torch.Tensor, "k d_model"], n: int = 10) -> TokenTable:
        """The tokens whose logits d W_U a direction raises and lowers most; through the final norm, but for its scale.

        Args and errors are those of `reads`.
        """
        return self.read_all([("W_U", directions)], n)[0]

    def read_all(self, blocks: Sequence[tuple[str, torch.Tensor]], n: int = 10) -> list[TokenTable]:
        """Several blocks of directions, each with the table that it is read through: `W_E` or `W_U`.

        The vocabulary is gone through once for all of a table, and once for both tables where they are one tensor.
        Errors are those of `reads`.
        """
        tables = {role: self.embed() if role == "W_E" else self.unembed().mT for role, _ in blocks}
        given = [self._through(role, self._checked(directions, n)) for role, directions in blocks]
        same = len({(one.data_ptr(), one.stride(), one.shape) for one in tables.values()}) < len(tables)
        found: dict[int, TokenTable] = {}
        for group in [list(tables)] if same else [[role] for role in tables]:
            mine = [i for i, (role, _) in enumerate(blocks) if role in group]
            whole = self._table(group[0], tables[group[0]], torch.cat([given[i] for i in mine]), n)
            ends = list(accumulate((len(given[i]) for i in mine), initial=0))
            found |= {i: whole.part(slice(*at)) for i, at in zip(mine, pairwise(ends), strict=True)}
        return [found[i] for i in range(len(blocks))]

    def _through(self, role: str, directions: torch.Tensor) -> torch.Tensor:
        """Directions as they are where a table is read: those that are written pass the final norm before."""
        norm = self._final() if role == "W_U" else NONE
        if norm.centered:
            directions = directions - directions.mean(-1, keepdim=True)
        return directions if norm.gain is None else directions * norm.gain.cpu().double()

    def strings(self, ids: torch.Tensor) -> list[Any]:
        """Token ids as strings, nested as they are; the ids themselves where there is no tokenizer.

        Spaces are spaces (" the"), other white space and what has no glyph is escaped as in Python, bytes that are no
        text alone are `<0xE2>`, and what the tokenizer has no token for is `[id 50300]`.
        """
        found: list[Any] = ids.tolist() if self._strings is None else _nested(ids.tolist(), self._strings)
        return found

    def embed(self) -> Float[torch.Tensor, "d_vocab d_model"]:
        """W_E, `[d_vocab, d_model]`: a view, as it is stored. A ValueError where it cannot be read."""
        if self.why_no_reads:
            raise ValueError(self.why_no_reads)
        return self._homes["W_E"].read("W_E")

    def unembed(self) -> Float[torch.Tensor, "d_model d_vocab"]:
        """W_U, `[d_model, d_vocab]`: a view, as stored, without the norm. A ValueError where it cannot be read."""
        if self.why_no_writes:
            raise ValueError(self.why_no_writes)
        return self._homes["W_U"].read("W_U")

    def W_UE(self) -> Float[torch.Tensor, "d_model d_model"]:
        """W_U W_E, `[d_model, d_model]` in float32 or float64: what is written, as what it would be as an embedding.

        With `ln="folded"`, the final norm is folded into W_U. It is kept until `version` changes. With it, the matrix
        W_E OV W_U of a head, whose eigenvalues are its copying score (Elhage et al. 2021), is never made: they are
        those of W_O W_UE W_V.
        """
        embed, unembed = self.embed(), self.unembed()

        def make() -> torch.Tensor:
            self._sizes("W_E", embed)  # which say whether they are finite
            self._sizes("W_U", unembed.mT)
            return self._final().fold(product(unembed, embed)).cpu()

        found: torch.Tensor = self._once(f"W_UE {self.ln} {self._written.stack.name}", self.version, make)
        return found

    @property
    def version(self) -> Version:
        """The version of the cached results: the versions of W_E, of W_U and of the final norm's gain."""
        found = [one for role, home in self._homes.items() for one in home.version(role)]
        return (*found, *self._written.version("ln_final.w"))

    def _final(self) -> Norm:
        return self._norms.final() if self.ln == "folded" else NONE

    def _slot(self, role: str) -> Slot:
        return self._homes[role].stack.places[role, None][0]

    def _checked(self, directions: torch.Tensor, n: int) -> torch.Tensor:
        d_model = self.weights.stack.d_model
        if directions.ndim != 2 or directions.shape[1] != d_model or not directions.is_floating_point():
            given = f"{directions.dtype} {list(directions.shape)}"
            raise ValueError(f"directions should be floating-point numbers [k, {d_model}], not {given}")
        if not directions.isfinite().all():
            raise ValueError("directions have NaN or inf in them")
        if n < 1:
            raise ValueError(f"n is {n}; it should be at least 1 token")
        return directions.detach().cpu().double()

    def _table(self, role: str, matrix: torch.Tensor, directions: torch.Tensor, n: int) -> TokenTable:
        try:
            found = extremes(matrix, directions, n, self._sizes(role, matrix))
        except ValueError:
            finite(matrix, role, (self._slot(role),))  # which says where
            raise
        strings = self.strings(torch.stack([found.ids, found.bottom_ids]))
        return TokenTable(found.ids, found.values, found.bottom_ids, found.bottom_values, *strings)

    def _sizes(self, role: str, matrix: torch.Tensor) -> RowNorms:
        def make() -> RowNorms:
            size = row_norms(matrix)
            if not size.row < torch.inf:
                finite(matrix, role, (self._slot(role),))
            return size

        found: RowNorms = self._once(self._slot(role).parameter, self._homes[role].version(role), make)
        return found

    def _once(self, what: str, version: Version, make: Callable[[], Any]) -> Any:
        """A cached result of any vocabulary of the model; made anew where its version has changed."""
        if self._cache.get(what, ((), None))[0] != version:
            self._cache[what] = version, make()
        return self._cache[what][1]


_CACHE: WeakKeyDictionary[torch.nn.Module, dict[str, tuple[Version, Any]]] = WeakKeyDictionary()
"""Model -> what was made of its embedding and unembedding, with the version of these; it goes when the model goes."""


def _home(weights: Weights, role: str) -> Stack | str:
    """The stack that holds the embedding or unembedding of another; or a sentence that says why there is none."""
    stack, name, reads = weights.stack, weights.anatomy.name, role == "W_E"
    others = [one for one in weights.anatomy.stacks if one is not stack]
    if stack.name == "encoder" and not reads and any(one.name == "decoder" for one in others):
        return f"The encoder of {name} writes for the decoder's cross-attention: no unembedding reads it"
    shared = [one for one in others if not one.n_layers or (stack.name == "cross" and one.name == "decoder")]
    home = next((one for one in (stack, *shared) if (role, None) in one.places), None)
    if home is None or stack.name == "vision":
        of = f"the {stack.name} stack of {name}" if stack.name else name
        what = "embeds no tokens" if reads else "has no unembedding (load the model with its language-modeling head)"
        return f"{of[0].upper()}{of[1:]} {what if stack.name != 'vision' else what.partition(' (')[0]}"
    slot = home.places[role, None][0]
    width = slot.sizes["m"]
    if width != stack.d_model:
        return (
            f"The {'' if reads else 'un'}embedding of {name} ({slot.parameter}) is {width} wide and its residual "
            f"stream {stack.d_model}: what is learned in between would have to be applied first"
        )
    if why := weights.source.why_not(slot.parameter):
        return why.splitlines()[0]
    return home


def _nested(ids: Any, strings: Callable[[int], str]) -> Any:
    return [_nested(one, strings) for one in ids] if isinstance(ids, list) else strings(ids)
