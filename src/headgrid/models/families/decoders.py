"""Decoders with one MLP to a layer: Llama, GPT-2, GPT-NeoX and their relatives.

Lines whose parameter a model does not have are passed over (biases, norms), but every parameter that a model has must
be placed by one line. Two lines of one role are two names that the parameter goes by.
"""

from __future__ import annotations

import re
from dataclasses import replace

from headgrid.models.family import Family, lines

# ---- Llama and its many relatives; a model has one of the names that a role is given here

QKVO = """
        W_Q       self_attn.q_proj.weight        (n h) m
        W_K       self_attn.k_proj.weight        (g h) m
        W_V       self_attn.v_proj.weight        (g h) m
        b_Q       self_attn.q_proj.bias          (n h)
        b_K       self_attn.k_proj.bias          (g h)
        b_V       self_attn.v_proj.bias          (g h)
        W_O       self_attn.o_proj.weight        m (n h)
        W_O       self_attn.dense.weight         m (n h)
        b_O       self_attn.o_proj.bias          m
        b_O       self_attn.dense.bias           m
"""

SHARED_QK_NORMS = """
        q_norm.w  self_attn.q_norm.weight        h
        q_norm.w  self_attn.q_layernorm.weight   h
        q_norm.b  self_attn.q_layernorm.bias     h
        k_norm.w  self_attn.k_norm.weight        h
        k_norm.w  self_attn.k_layernorm.weight   h
        k_norm.b  self_attn.k_layernorm.bias     h
"""

MLP = """
        W_gate    mlp.gate_proj.weight           f m
        b_gate    mlp.gate_proj.bias             f
        W_in      mlp.up_proj.weight             f m
        W_in      mlp.fc1.weight                 f m
        W_in      mlp.c_fc.weight                f m
        b_in      mlp.up_proj.bias               f
        b_in      mlp.fc1.bias                   f
        b_in      mlp.c_fc.bias                  f
        W_out     mlp.down_proj.weight           m f
        W_out     mlp.fc2.weight                 m f
        W_out     mlp.c_proj.weight              m f
        b_out     mlp.down_proj.bias             m
        b_out     mlp.fc2.bias                   m
        b_out     mlp.c_proj.bias                m
"""

FUSED_GATE = """
        W_gate    mlp.gate_up_proj.weight        (0/2 f) m
        W_in      mlp.gate_up_proj.weight        (1/2 f) m
        W_out     mlp.down_proj.weight           m f
"""

NORMS = """
        ln1.w     input_layernorm.weight            m
        ln1.b     input_layernorm.bias              m
        ln2.w     post_attention_layernorm.weight   m
        ln2.b     post_attention_layernorm.bias     m
"""

OUTSIDE = """
        W_E         embed_tokens.weight      v m
        ln_final.w  norm.weight              m
        ln_final.b  norm.bias                m
        ln_final.w  final_layernorm.weight   m
        ln_final.b  final_layernorm.bias     m
        W_U         lm_head.weight           v m
        b_U         lm_head.bias             v
"""

LLAMA = Family(
    model_types=(
        "llama", "mistral", "ministral", "qwen2", "qwen3", "gemma", "granite", "smollm3", "olmo", "cohere2", "nemotron",
        "starcoder2", "phi", "qwen2_vl_text", "qwen3_vl_text",
    ),
    body="model",
    layers="layers",
    layer=lines(QKVO + SHARED_QK_NORMS + MLP + NORMS),
    outside=lines(OUTSIDE),
)  # fmt: skip

COHERE = replace(
    LLAMA,
    model_types=("cohere",),
    # where queries and keys are normalized, each head has a gain of its own
    layer=lines(f"""
        {QKVO} {MLP} {NORMS}
        q_gain  self_attn.q_norm.weight   n h
        k_gain  self_attn.k_norm.weight   g h
    """),
)

GEMMA2 = replace(
    LLAMA,
    model_types=("gemma2", "gemma3_text"),
    # a norm before and after each block, under names that mean something else in Llama
    layer=lines(f"""
        {QKVO} {SHARED_QK_NORMS} {MLP}
        ln1.w       input_layernorm.weight              m
        ln1_post.w  post_attention_layernorm.weight     m
        ln2.w       pre_feedforward_layernorm.weight    m
        ln2_post.w  post_feedforward_layernorm.weight   m
    """),
)

OLMO2 = replace(
    LLAMA,
    model_types=("olmo2", "olmo3"),
    # norms after the blocks only; those of queries and keys span all heads, and each entry of their gain is one head's
    layer=lines(f"""
        {QKVO} {MLP}
        q_gain      self_attn.q_norm.weight             (n h)
        k_gain      self_attn.k_norm.weight             (g h)
        ln1_post.w  post_attention_layernorm.weight     m
        ln2_post.w  post_feedforward_layernorm.weight   m
    """),
)

GLM = replace(
    LLAMA,
    model_types=("glm", "glm4"),
    layer=lines(f"""
        {QKVO} {FUSED_GATE} {NORMS}
        ln1_post.w  post_self_attn_layernorm.weight   m
        ln2_post.w  post_mlp_layernorm.weight         m
    """),
)

PHI3 = replace(
    LLAMA,
    model_types=("phi3",),
    layer=lines(f"""
        W_Q     self_attn.qkv_proj.weight   ([n h] + g h + g h) m
        W_K     self_attn.qkv_proj.weight   (n h + [g h] + g h) m
        W_V     self_attn.qkv_proj.weight   (n h + g h + [g h]) m
        W_O     self_attn.o_proj.weight     m (n h)
        {FUSED_GATE} {NORMS}
    """),
)

# ---- the out axis of the fused projection is q, k, v of head 0, then q, k, v of head 1, and so on

PER_HEAD_QKV = """
        W_Q     {0}.query_key_value.weight   (n 0/3 h) m
        W_K     {0}.query_key_value.weight   (g 1/3 h) m
        W_V     {0}.query_key_value.weight   (g 2/3 h) m
        b_Q     {0}.query_key_value.bias     (n 0/3 h)
        b_K     {0}.query_key_value.bias     (g 1/3 h)
        b_V     {0}.query_key_value.bias     (g 2/3 h)
        W_O     {0}.dense.weight             m (n h)
        b_O     {0}.dense.bias               m
"""

DENSE_4H = """
        W_in    mlp.dense_h_to_4h.weight     f m
        b_in    mlp.dense_h_to_4h.bias       f
        W_out   mlp.dense_4h_to_h.weight     m f
        b_out   mlp.dense_4h_to_h.bias       m
"""

GPT_NEOX = Family(
    model_types=("gpt_neox",),
    body="gpt_neox",
    layers="layers",
    layer=lines(PER_HEAD_QKV.format("attention") + DENSE_4H + NORMS),
    outside=lines("""
        W_E         embed_in.weight           v m
        ln_final.w  final_layer_norm.weight   m
        ln_final.b  final_layer_norm.bias     m
        W_U         lm_head.weight            v m
        W_U         embed_out.weight          v m
    """),
)

PERSIMMON = replace(
    LLAMA,
    model_types=("persimmon",),
    layer=lines(PER_HEAD_QKV.format("self_attn") + SHARED_QK_NORMS + DENSE_4H + NORMS),
)

BLOOM = Family(
    model_types=("bloom",),
    body="transformer",
    layers="h",
    layer=lines(PER_HEAD_QKV.format("self_attention") + DENSE_4H + NORMS),
    outside=lines("""
        W_E         word_embeddings.weight             v m
        ln_embed.w  word_embeddings_layernorm.weight   m
        ln_embed.b  word_embeddings_layernorm.bias     m
        ln_final.w  ln_f.weight                        m
        ln_final.b  ln_f.bias                          m
        W_U         lm_head.weight                     v m
    """),
)

FALCON_RW = replace(BLOOM, model_types=("falcon",), when={"multi_query": False, "new_decoder_architecture": False})

FALCON_7B = replace(
    BLOOM,
    model_types=("falcon",),
    when={"multi_query": True, "new_decoder_architecture": False},
    kv_heads=1,  # its config's num_kv_heads means nothing then
    layer=lines(f"""
        W_Q     self_attention.query_key_value.weight   ([n h] + g h + g h) m
        W_K     self_attention.query_key_value.weight   (n h + [g h] + g h) m
        W_V     self_attention.query_key_value.weight   (n h + g h + [g h]) m
        b_Q     self_attention.query_key_value.bias     ([n h] + g h + g h)
        b_K     self_attention.query_key_value.bias     (n h + [g h] + g h)
        b_V     self_attention.query_key_value.bias     (n h + g h + [g h])
        W_O     self_attention.dense.weight             m (n h)
        b_O     self_attention.dense.bias               m
        {DENSE_4H} {NORMS}
    """),
)

# ---- relatives of GPT-2

GPT2NORMS = """
        ln1.w   ln_1.weight   m
        ln1.b   ln_1.bias     m
        ln2.w   ln_2.weight   m
        ln2.b   ln_2.bias     m
"""

_GPT2OUTSIDE = """
        W_E         wte.weight       v m
        W_pos       wpe.weight       p m
        ln_final.w  ln_f.weight      m
        ln_final.b  ln_f.bias        m
        W_U         lm_head.weight   v m
        b_U         lm_head.bias     v
"""

GPT2 = Family(
    model_types=("gpt2",),
    body="transformer",
    layers="h",
    # Conv1D stores its weight as [in, out]; the out axis is all of q, then all of k, then all of v
    layer=lines(f"""
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
        {GPT2NORMS}
    """),
    outside=lines(_GPT2OUTSIDE),
)

C_ATTN_OUT = """
        W_O     attn.c_proj.weight   m (n h)
        b_O     attn.c_proj.bias     m
"""

GPT_BIGCODE_MQA = replace(
    GPT2,
    model_types=("gpt_bigcode",),
    when={"multi_query": True},
    kv_heads=1,
    layer=lines(f"""
        W_Q     attn.c_attn.weight   ([n h] + g h + g h) m
        W_K     attn.c_attn.weight   (n h + [g h] + g h) m
        W_V     attn.c_attn.weight   (n h + g h + [g h]) m
        b_Q     attn.c_attn.bias     ([n h] + g h + g h)
        b_K     attn.c_attn.bias     (n h + [g h] + g h)
        b_V     attn.c_attn.bias     (n h + g h + [g h])
        {C_ATTN_OUT} {MLP} {GPT2NORMS}
    """),
)

GPT_BIGCODE_MHA = replace(
    GPT2,
    model_types=("gpt_bigcode",),
    when={"multi_query": False},
    layer=lines(f"""
        W_Q     attn.c_attn.weight   (n 0/3 h) m
        W_K     attn.c_attn.weight   (g 1/3 h) m
        W_V     attn.c_attn.weight   (g 2/3 h) m
        b_Q     attn.c_attn.bias     (n 0/3 h)
        b_K     attn.c_attn.bias     (g 1/3 h)
        b_V     attn.c_attn.bias     (g 2/3 h)
        {C_ATTN_OUT} {MLP} {GPT2NORMS}
    """),
)

GPT_NEO = replace(
    GPT2,
    model_types=("gpt_neo",),
    layer=lines(f"""
        W_Q     attn.attention.q_proj.weight     (n h) m
        W_K     attn.attention.k_proj.weight     (g h) m
        W_V     attn.attention.v_proj.weight     (g h) m
        W_O     attn.attention.out_proj.weight   m (n h)
        b_O     attn.attention.out_proj.bias     m
        {MLP} {GPT2NORMS}
    """),
)

GPTJ = replace(
    GPT2,
    model_types=("gptj",),
    # one norm feeds attention and MLP, which run side by side
    layer=lines(f"""
        W_Q     attn.q_proj.weight     (n h) m
        W_K     attn.k_proj.weight     (g h) m
        W_V     attn.v_proj.weight     (g h) m
        W_O     attn.out_proj.weight   m (n h)
        W_in    mlp.fc_in.weight       f m
        b_in    mlp.fc_in.bias         f
        W_out   mlp.fc_out.weight      m f
        b_out   mlp.fc_out.bias        m
        {GPT2NORMS}
    """),
)

MPT = Family(
    model_types=("mpt",),
    body="transformer",
    layers="blocks",
    layer=lines("""
        W_Q     attn.Wqkv.weight       (0/3 n h) m
        W_K     attn.Wqkv.weight       (1/3 g h) m
        W_V     attn.Wqkv.weight       (2/3 g h) m
        W_O     attn.out_proj.weight   m (n h)
        W_in    ffn.up_proj.weight     f m
        W_out   ffn.down_proj.weight   m f
        ln1.w   norm_1.weight          m
        ln2.w   norm_2.weight          m
    """),
    outside=lines("""
        W_E         wte.weight       v m
        ln_final.w  norm_f.weight    m
        W_U         lm_head.weight   v m
    """),
)

OPT = Family(
    model_types=("opt",),
    when={"do_layer_norm_before": True},
    body="model.decoder",
    layers="layers",
    layer=lines(f"""
        {QKVO}
        W_O     self_attn.out_proj.weight     m (n h)
        b_O     self_attn.out_proj.bias       m
        W_in    fc1.weight                    f m
        b_in    fc1.bias                      f
        W_out   fc2.weight                    m f
        b_out   fc2.bias                      m
        ln1.w   self_attn_layer_norm.weight   m
        ln1.b   self_attn_layer_norm.bias     m
        ln2.w   final_layer_norm.weight       m
        ln2.b   final_layer_norm.bias         m
    """),
    outside=lines("""
        W_E         embed_tokens.weight       v m
        W_pos       embed_positions.weight    p m
        ln_final.w  final_layer_norm.weight   m
        ln_final.b  final_layer_norm.bias     m
        W_U         lm_head.weight            v m
    """),
)

CODEGEN = replace(
    GPT2,
    model_types=("codegen",),
    # four blocks (a trace of the TPUs it was trained on), each q, v, k of a quarter of the heads: in this order!
    # modeling_codegen:152-156  mp_num = 4; query, value, key = torch.split(qkv_split, local_dim, dim=-1)
    # one norm (ln_1) feeds attention and MLP, which run side by side
    layer=lines(f"""
        W_Q     attn.qkv_proj.weight   (*/4 0/3 n h) m
        W_K     attn.qkv_proj.weight   (*/4 2/3 g h) m
        W_V     attn.qkv_proj.weight   (*/4 1/3 g h) m
        W_O     attn.out_proj.weight   m (n h)
        W_in    mlp.fc_in.weight       f m
        b_in    mlp.fc_in.bias         f
        W_out   mlp.fc_out.weight      m f
        b_out   mlp.fc_out.bias        m
        {GPT2NORMS}
    """),
)

FALCON_40B = replace(
    BLOOM,
    model_types=("falcon",),
    when={"new_decoder_architecture": True},
    kv_heads="num_kv_heads",  # multi_query is ignored then (modeling_falcon:241)
    # one piece for each key/value head: its queries, then k, then v (modeling_falcon:254-259  view(.., -1, n/g + 2, h))
    # Attention and MLP run side by side: ln_attn, ln_mlp are ln1, ln2 (num_ln_in_parallel_attn 2, the default), or one
    # input_layernorm feeds both (num_ln_in_parallel_attn 1: falcon-11B)
    layer=lines(f"""
        W_Q     self_attention.query_key_value.weight   (*/g ([n h] + g h + g h)) m
        W_K     self_attention.query_key_value.weight   (*/g (n h + [g h] + g h)) m
        W_V     self_attention.query_key_value.weight   (*/g (n h + g h + [g h])) m
        b_Q     self_attention.query_key_value.bias     (*/g ([n h] + g h + g h))
        b_K     self_attention.query_key_value.bias     (*/g (n h + [g h] + g h))
        b_V     self_attention.query_key_value.bias     (*/g (n h + g h + [g h]))
        W_O     self_attention.dense.weight             m (n h)
        b_O     self_attention.dense.bias               m
        ln1.w   ln_attn.weight                          m
        ln1.b   ln_attn.bias                            m
        ln2.w   ln_mlp.weight                           m
        ln2.b   ln_mlp.bias                             m
        {DENSE_4H} {NORMS}
    """),
)

STABLELM = replace(
    LLAMA,
    model_types=("stablelm",),
    # qk_layernorm: a LayerNorm module for each head (modeling_stablelm: StableLmLayerNormPerHead), without biases
    # use_parallel_residual: there is no post_attention_layernorm
    layer=lines(f"""
        {QKVO} {MLP} {NORMS}
        q_gain  self_attn.q_layernorm.norms.*.weight   h
        k_gain  self_attn.k_layernorm.norms.*.weight   h
    """),
)

OPT_350M = replace(
    OPT,
    when={"do_layer_norm_before": False},
    # post-norm: the layer's norms act on the sum, there is no norm at the end; embeddings of a width of their own
    # modeling_opt:293-299 project_out [E, m], project_in [m, E]; the tied unembedding reads project_out's output
    layer=tuple(replace(line, role=re.sub(r"^(ln[12])\.", r"\1_post.", line.role)) for line in OPT.layer),
    outside=lines("""
        W_E     embed_tokens.weight       v m'
        W_pos   embed_positions.weight    p m
        stem    project_in.weight         ...
        top     project_out.weight        ...
        W_U     lm_head.weight            v m'
    """),
)
