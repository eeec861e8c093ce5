"""What stored weights do: the roles, the piece of the model that each belongs to, and one canonical orientation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Role:
    """What a stored weight does.

    `axes` is its canonical orientation. `owner` is the piece of the model that it is part of; the words of a selection
    are sets of owners: a head owns `q` and `o` and reads `k` and `v`; `attn` is these and `attn rest`, and so on.
    """

    axes: str
    owner: str

    @property
    def part_axis(self) -> str | None:
        """The letter along which the parts lie, or None where the whole tensor is one part."""
        return next((letter for letter in self.axes.split() if letter in "ngf"), None)


ROLES: dict[str, Role] = {
    "W_Q": Role("n m h", "q"),
    "b_Q": Role("n h", "q"),
    "q_gain": Role("n h", "q"),
    "W_K": Role("g m h", "k"),
    "b_K": Role("g h", "k"),
    "k_gain": Role("g h", "k"),
    "W_V": Role("g m h", "v"),
    "b_V": Role("g h", "v"),
    "W_O": Role("n h m", "o"),
    "b_O": Role("m", "attn rest"),
    "q_norm.w": Role("h", "attn rest"),
    "q_norm.b": Role("h", "attn rest"),
    "k_norm.w": Role("h", "attn rest"),
    "k_norm.b": Role("h", "attn rest"),
    "W_in": Role("m f", "neuron"),
    "W_gate": Role("m f", "neuron"),
    "b_in": Role("f", "neuron"),
    "b_gate": Role("f", "neuron"),
    "W_out": Role("f m", "neuron"),
    "b_out": Role("m", "mlp rest"),
    "ln1.w": Role("m", "ln1"),
    "ln1.b": Role("m", "ln1"),
    "ln1_post.w": Role("m", "ln1_post"),
    "ln2.w": Role("m", "ln2"),
    "ln2.b": Role("m", "ln2"),
    "ln2_post.w": Role("m", "ln2_post"),
    "W_E": Role("v m", "embed"),
    "W_pos": Role("p m", "pos"),
    "ln_embed.w": Role("m", "ln_embed"),
    "ln_embed.b": Role("m", "ln_embed"),
    "ln_final.w": Role("m", "ln_final"),
    "ln_final.b": Role("m", "ln_final"),
    "W_U": Role("m v", "unembed"),
    "b_U": Role("v", "unembed"),
}
"""Every role, in the order of a forward pass. A norm's gain and bias are `.w` and `.b`, as in TransformerLens.

A norm of queries or keys that all heads share is `q_norm`; `q_gain` is that of a norm with a gain for each head.
"""

NORMS = ("ln1", "ln1_post", "ln2", "ln2_post")
"""The norms of a layer, in the order in which they are drawn and printed. `_post` norms act on a block's output."""

ENDS = ("embed", "pos", "ln_embed", "ln_final", "unembed")
"""The owners that belong to no layer."""
