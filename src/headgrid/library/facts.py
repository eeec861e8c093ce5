"""What an entry of the library is made of: the shape of a model, roles, a prompt, a citation. Data, and no model."""

from __future__ import annotations

from dataclasses import dataclass

from headgrid.anatomy.anatomy import Anatomy, count_of

NAMELESS = ("hooked", "native")
"""Families of TransformerLens' own classes: their parameters have the same names whatever model they were made of."""


@dataclass(frozen=True)
class ModelShape:
    """The sizes by which a model is known to have the heads that a circuit names.

    A shape is no proof of weights: GPT-2 small, GPT-Neo 125M, Pythia 160M and BERT base all have 12 layers of 12 heads,
    and head 9.9 is another head in each. The family and the kind of positions tell these four apart; a fine-tuned copy,
    or another seed, has the same shape as the original.

    Attributes:
        family: the row of headgrid's table, as `Anatomy.family` has it: `gpt2`, `llama`.
        n_layers, n_heads, n_kv_heads, d_model, d_head, d_mlp: the sizes of the main stack; `d_mlp` is 0 without MLPs.
        positional_embedding_type: TransformerLens' word, "standard" or "rotary".
    """

    family: str
    n_layers: int
    n_heads: int
    n_kv_heads: int
    d_model: int
    d_head: int
    d_mlp: int
    positional_embedding_type: str

    def __str__(self) -> str:
        heads = f"{self.n_layers} layers x {self.n_heads} heads"
        groups = f" in {count_of(self.n_kv_heads, 'group')}" if self.n_kv_heads < self.n_heads else ""
        return f"{heads}{groups}, d_model {self.d_model} ({self.family})"

    def difference(self, anatomy: Anatomy) -> str:
        """The first size, or the family, in which a model differs: `n_layers 2 instead of 12`; "" where none does."""
        for name in ("n_layers", "n_heads", "n_kv_heads", "d_model", "d_head", "d_mlp", "positional_embedding_type"):
            found, wanted = getattr(anatomy, name), getattr(self, name)
            if found != wanted:
                return f"{name} {found} instead of {wanted}"
        if anatomy.family != self.family and anatomy.family not in NAMELESS:
            return f"the family {anatomy.family} instead of {self.family}"
        return ""


@dataclass(frozen=True)
class CircuitRole:
    """Heads of a circuit that do the same.

    Attributes:
        selection: the text of a selection: `l9h[6,9] | l10h0`.
        does: one sentence.
    """

    selection: str
    does: str

    def __str__(self) -> str:
        return self.selection


@dataclass(frozen=True)
class CircuitPrompt:
    """A text of the kind that a circuit was found on, and what comes next.

    Attributes:
        text: the prompt.
        answer: the token that the circuit makes more likely, with the blank before it; "" where there is no single one.
    """

    text: str
    answer: str = ""


@dataclass(frozen=True)
class CircuitCitation:
    """The publication that a circuit is from.

    Attributes:
        authors, year, title: as they are cited.
        url: where it stands; of a paper on arXiv its abstract.
    """

    authors: str
    year: int
    title: str
    url: str

    @property
    def arxiv(self) -> str:
        """The number at arXiv: `2211.00593`; "" where it is not there."""
        head = "https://arxiv.org/abs/"
        return self.url.removeprefix(head) if self.url.startswith(head) else ""

    def __str__(self) -> str:
        return f"{self.authors} {self.year}, {self.title}, {f'arXiv:{self.arxiv}' if self.arxiv else self.url}"
