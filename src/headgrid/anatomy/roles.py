"""Roles of stored weights: what each does, the piece of the model that it belongs to, and its canonical orientation."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

PART_AXIS = {"q": "n", "o": "n", "k": "g", "v": "g", "neuron": "f", "expert": "e"}
"""Owner -> the letter along which its parts lie; for every other owner a whole tensor is one part."""


@dataclass(frozen=True)
class Role:
    """A role of stored weights: what they do.

    Attributes:
        axes: its canonical orientation; `...` is any shape, for tensors that are shown but not taken apart.
        owner: the piece of the model that it is part of. The words of a selection are sets of owners: a head owns `q`
            and `o` and reads `k` and `v`; `attn` is these and `attn rest`, and so on (`headgrid.selection.words`).
    """

    axes: str
    owner: str

    @property
    def part_axis(self) -> str | None:
        """The letter along which the parts lie, or None where the whole tensor is one part."""
        return PART_AXIS.get(self.owner)


_IN_LAYERS: dict[str, Role] = {
    # attention
    "W_Q": Role("n m h", "q"),
    "W_Q.lora_B": Role("n x h", "q"),
    "b_Q": Role("n h", "q"),
    "W_UQ": Role("n a k", "q"),
    "W_QR": Role("n a r", "q"),
    "q_gain": Role("n h", "q"),
    "W_Q_pos": Role("n m h", "q"),
    "b_Q_pos": Role("n h", "q"),
    "sink": Role("n", "q"),
    "rel_pos_bias": Role("n p", "q"),
    "W_K": Role("g m h", "k"),
    "W_K.lora_B": Role("g x h", "k"),
    "b_K": Role("g h", "k"),
    "W_UK": Role("g c k", "k"),
    "k_gain": Role("g h", "k"),
    "W_K_pos": Role("g m h", "k"),
    "b_K_pos": Role("g h", "k"),
    "W_V": Role("g m h", "v"),
    "W_V.lora_B": Role("g x h", "v"),
    "b_V": Role("g h", "v"),
    "W_UV": Role("g c h", "v"),
    "W_OG": Role("n m h", "o"),
    "W_OG.lora_B": Role("n x h", "o"),
    "b_OG": Role("n h", "o"),
    "W_O": Role("n h m", "o"),
    "W_O.lora_A": Role("n h x", "o"),
    "b_O": Role("m", "attn rest"),
    "q_norm.w": Role("h", "attn rest"),
    "q_norm.b": Role("h", "attn rest"),
    "k_norm.w": Role("h", "attn rest"),
    "k_norm.b": Role("h", "attn rest"),
    "W_DQ": Role("m a", "attn rest"),
    "b_DQ": Role("a", "attn rest"),
    "ln_q.w": Role("a", "attn rest"),
    "W_DKV": Role("m c", "attn rest"),
    "b_DKV": Role("c", "attn rest"),
    "W_KR": Role("m r", "attn rest"),
    "b_KR": Role("r", "attn rest"),
    "ln_kv.w": Role("c", "attn rest"),
    "attn.other": Role("...", "attn rest"),
    "mixer": Role("...", "mixer"),
    # MLP
    "W_in": Role("m f", "neuron"),
    "W_gate": Role("m f", "neuron"),
    "W_in.lora_B": Role("x f", "neuron"),
    "W_gate.lora_B": Role("x f", "neuron"),
    "b_in": Role("f", "neuron"),
    "b_gate": Role("f", "neuron"),
    "W_out": Role("f m", "neuron"),
    "W_out.lora_A": Role("f x", "neuron"),
    "expert.W_in": Role("e m f", "expert"),
    "expert.W_gate": Role("e m f", "expert"),
    "expert.b_in": Role("e f", "expert"),
    "expert.b_gate": Role("e f", "expert"),
    "expert.W_out": Role("e f m", "expert"),
    "expert.b_out": Role("e m", "expert"),
    "b_out": Role("m", "mlp rest"),
    "router.W": Role("m e", "mlp rest"),
    "router.b": Role("e", "mlp rest"),
    "shared.W_in": Role("m s", "mlp rest"),
    "shared.W_gate": Role("m s", "mlp rest"),
    "shared.W_out": Role("s m", "mlp rest"),
    "shared.gate": Role("m", "mlp rest"),
    "mlp.other": Role("...", "mlp rest"),
    # norms of a layer
    "ln1.w": Role("m", "ln1"),
    "ln1.b": Role("m", "ln1"),
    "ln1_post.w": Role("m", "ln1_post"),
    "ln1_post.b": Role("m", "ln1_post"),
    "ln2.w": Role("m", "ln2"),
    "ln2.b": Role("m", "ln2"),
    "ln2_post.w": Role("m", "ln2_post"),
    "ln2_post.b": Role("m", "ln2_post"),
}

_OUTSIDE_LAYERS: dict[str, Role] = {
    "W_E": Role("v m", "embed"),
    "W_pos": Role("p m", "pos"),
    "pos.other": Role("...", "pos"),
    "W_type": Role("t m", "types"),
    "stem": Role("...", "stem"),
    "ln_embed.w": Role("m", "ln_embed"),
    "ln_embed.b": Role("m", "ln_embed"),
    "ln_final.w": Role("m", "ln_final"),
    "ln_final.b": Role("m", "ln_final"),
    "top": Role("...", "top"),
    "W_U": Role("m v", "unembed"),
    "b_U": Role("v", "unembed"),
}

ROLES: dict[str, Role] = {**_IN_LAYERS, **_OUTSIDE_LAYERS}
"""Every role, in the order of a forward pass. A norm's gain and bias are `.w` and `.b`, as in TransformerLens.

A norm of queries or keys that all heads share is `q_norm`; `q_gain` is that of a norm with a gain for each head. A
`sink` is a head's logit of attending to nothing. `rel_pos_bias` is what is added to a head's scores by distance: UMT5
has a table in each layer, T5 one in the first layer of a stack, which all of its layers read. There the column of head
h is a part of `l0h{h}`, as it is stored, and moves head h of every layer. Latent attention has the names of its paper
(DeepSeek-V2): `W_DQ, W_UQ, W_QR` make a query from a latent and `W_DKV, W_KR, W_UK, W_UV` keys and values. `W_OG`
gates a head's output. `.lora_A` and `.lora_B` are the factors of an adapter that lie along heads or neurons; the other
one, which all share, is `attn.other` or `mlp.other`. `stem` is what makes the first hidden states where that is not a
table of embeddings (patches, convolutions, projections), `top` what reads the last ones where it is not the
unembedding (poolers, classifiers), `mixer` what mixes positions in a layer without heads.
"""

NORMS = tuple(dict.fromkeys(role.owner for role in _IN_LAYERS.values() if role.owner.startswith("ln")))
"""The norms of a layer, by the names of TransformerLens. `_post` norms act on a block's output."""

OUTSIDE_LAYERS = tuple(dict.fromkeys(role.owner for role in _OUTSIDE_LAYERS.values()))
"""The owners that belong to no layer: embeddings, what stands beside them, the final norm and the unembedding."""


def bare(key: str) -> str:
    """The role of a key: `W_Q` of `encoder:W_Q`, or of `W_Q` itself."""
    return key.rpartition(":")[2]


def role_of(key: str) -> Role:
    """The role of a key, whatever its stack."""
    return ROLES[bare(key)]


@lru_cache(maxsize=1024)
def rank(key: str) -> tuple[str, int]:
    """The place of a key among others: stack by stack, in the order of a forward pass."""
    return key.rpartition(":")[0], list(ROLES).index(bare(key))
