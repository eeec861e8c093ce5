"""The table: where each family of models stores each weight.

A line is `role  parameter  stored axes`; the notation is explained in `headgrid.anatomy`. Lines whose parameter a
model does not have are passed over (biases, norms), but every parameter that a model has must be placed by one line.
Two lines of one role are two names that the parameter goes by. The sizes of the letters are solved from the shapes,
given the numbers of heads in the config, so `config.head_dim`, which is often absent or misleading, is checked and
never believed.

To add a family, write its lines, and run `pytest tests/test_laws.py` with a small configuration of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Line:
    """One weight of one family: what it does, where it is stored, and how."""

    role: str
    path: str
    axes: str


@dataclass(frozen=True)
class Family:
    """One row of the table: the models that store their weights in one way.

    Attributes:
        model_types: the values of `config.model_type` that it serves.
        body: the module that holds everything but the unembedding; a bare model is that module itself.
        layers: the list of layers within the body.
        layer: the lines of a layer, their paths relative to it.
        ends: the other lines, their paths relative to the body or to the whole model.
    """

    model_types: tuple[str, ...]
    body: str
    layers: str
    layer: str
    ends: str

    def in_layer(self) -> Iterator[Line]:
        """The lines of a layer."""
        return _lines(self.layer)

    def in_ends(self) -> Iterator[Line]:
        """The lines of what belongs to no layer."""
        return _lines(self.ends)


def _lines(text: str) -> Iterator[Line]:
    for line in filter(None, map(str.strip, text.splitlines())):
        role, path, axes = line.split(maxsplit=2)
        yield Line(role, path, axes)


GPT2 = Family(
    model_types=("gpt2",),
    body="transformer",
    layers="h",
    # Conv1D stores its weight as [in, out]; the out axis is all of q, then all of k, then all of v
    layer="""
        W_Q     attn.c_attn.weight   m (0/3 n h)
        W_K     attn.c_attn.weight   m (1/3 g h)
        W_V     attn.c_attn.weight   m (2/3 g h)
        b_Q     attn.c_attn.bias     (0/3 n h)
        b_K     attn.c_attn.bias     (1/3 g h)
        b_V     attn.c_attn.bias     (2/3 g h)
        W_O     attn.c_proj.weight   (n h) m
        b_O     attn.c_proj.bias     m
        W_in    mlp.c_fc.weight      m f
        b_in    mlp.c_fc.bias        f
        W_out   mlp.c_proj.weight    f m
        b_out   mlp.c_proj.bias      m
        ln1.w   ln_1.weight          m
        ln1.b   ln_1.bias            m
        ln2.w   ln_2.weight          m
        ln2.b   ln_2.bias            m
    """,
    ends="""
        W_E         wte.weight       v m
        W_pos       wpe.weight       p m
        ln_final.w  ln_f.weight      m
        ln_final.b  ln_f.bias        m
        W_U         lm_head.weight   v m
    """,
)

GPT_NEOX = Family(
    model_types=("gpt_neox",),
    body="gpt_neox",
    layers="layers",
    # the out axis is q, k, v of head 0, then q, k, v of head 1, and so on
    layer="""
        W_Q     attention.query_key_value.weight   (n 0/3 h) m
        W_K     attention.query_key_value.weight   (g 1/3 h) m
        W_V     attention.query_key_value.weight   (g 2/3 h) m
        b_Q     attention.query_key_value.bias     (n 0/3 h)
        b_K     attention.query_key_value.bias     (g 1/3 h)
        b_V     attention.query_key_value.bias     (g 2/3 h)
        W_O     attention.dense.weight             m (n h)
        b_O     attention.dense.bias               m
        W_in    mlp.dense_h_to_4h.weight           f m
        b_in    mlp.dense_h_to_4h.bias             f
        W_out   mlp.dense_4h_to_h.weight           m f
        b_out   mlp.dense_4h_to_h.bias             m
        ln1.w   input_layernorm.weight             m
        ln1.b   input_layernorm.bias               m
        ln2.w   post_attention_layernorm.weight    m
        ln2.b   post_attention_layernorm.bias      m
    """,
    ends="""
        W_E         embed_in.weight           v m
        ln_final.w  final_layer_norm.weight   m
        ln_final.b  final_layer_norm.bias     m
        W_U         lm_head.weight            v m
        W_U         embed_out.weight          v m
    """,
)

_LLAMA_BLOCK = """
        W_Q     self_attn.q_proj.weight   (n h) m
        W_K     self_attn.k_proj.weight   (g h) m
        W_V     self_attn.v_proj.weight   (g h) m
        b_Q     self_attn.q_proj.bias     (n h)
        b_K     self_attn.k_proj.bias     (g h)
        b_V     self_attn.v_proj.bias     (g h)
        q_norm  self_attn.q_norm.weight   h
        k_norm  self_attn.k_norm.weight   h
        W_O     self_attn.o_proj.weight   m (n h)
        b_O     self_attn.o_proj.bias     m
        W_gate  mlp.gate_proj.weight      f m
        b_gate  mlp.gate_proj.bias        f
        W_in    mlp.up_proj.weight        f m
        b_in    mlp.up_proj.bias          f
        W_out   mlp.down_proj.weight      m f
        b_out   mlp.down_proj.bias        m
        ln1.w   input_layernorm.weight    m
"""

_LLAMA_ENDS = """
        W_E         embed_tokens.weight   v m
        ln_final.w  norm.weight           m
        W_U         lm_head.weight        v m
"""

LLAMA = Family(
    model_types=("llama", "mistral", "qwen2", "qwen3", "gemma"),
    body="model",
    layers="layers",
    layer=f"""
        {_LLAMA_BLOCK}
        ln2.w   post_attention_layernorm.weight   m
    """,
    ends=_LLAMA_ENDS,
)

GEMMA2 = Family(
    model_types=("gemma2", "gemma3_text"),
    body="model",
    layers="layers",
    # a norm before and after each block, under names that mean something else in Llama
    layer=f"""
        {_LLAMA_BLOCK}
        ln1_post.w  post_attention_layernorm.weight     m
        ln2.w       pre_feedforward_layernorm.weight    m
        ln2_post.w  post_feedforward_layernorm.weight   m
    """,
    ends=_LLAMA_ENDS,
)

FAMILIES: dict[str, Family] = {
    model_type: family for family in (GPT2, GPT_NEOX, LLAMA, GEMMA2) for model_type in family.model_types
}
"""`config.model_type` -> its row."""
