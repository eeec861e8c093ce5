"""Decoders with mixtures of experts, latent attention, or layers without heads.

Lines for the module of each expert, where another line has one tensor for all of them, are transformers 4's.
"""

from __future__ import annotations

from dataclasses import replace

from headgrid.models.families.decoders import LLAMA, MLP, NORMS, QKVO, SHARED_QK_NORMS
from headgrid.models.family import lines

# A 3-D Parameter for all experts. Every one but gpt_oss: [e, 2f, m], F.linear, the first half is the gate:
#   `gate, up = nn.functional.linear(x, self.gate_up_proj[expert]).chunk(2, dim=-1)` (modeling_mixtral:86 and others)

_EXPERTS = """
        router.W       {0}.{1}.weight               e m
        expert.W_gate  {0}.experts.gate_up_proj     e (0/2 f) m
        expert.W_in    {0}.experts.gate_up_proj     e (1/2 f) m
        expert.W_out   {0}.experts.down_proj        e m f
"""

# transformers 4: a module for each expert
_EXPERT_MODULES = """
        expert.W_gate  {0}.experts.*.gate_proj.weight   f m
        expert.W_in    {0}.experts.*.up_proj.weight     f m
        expert.W_out   {0}.experts.*.down_proj.weight   m f
"""
_MIXTRAL_MODULES = """
        router.W       block_sparse_moe.gate.weight           e m
        expert.W_gate  block_sparse_moe.experts.*.w1.weight   f m
        expert.W_in    block_sparse_moe.experts.*.w3.weight   f m
        expert.W_out   block_sparse_moe.experts.*.w2.weight   m f
"""

_SHARED_EXPERT = """
        shared.W_gate  mlp.{0}.gate_proj.weight   s m
        shared.W_in    mlp.{0}.up_proj.weight     s m
        shared.W_out   mlp.{0}.down_proj.weight   m s
"""

_MLP_EXPERTS = _EXPERTS.format("mlp", "gate") + _EXPERT_MODULES.format("mlp")

MIXTRAL = replace(
    LLAMA,
    model_types=("mixtral",),  # config.head_dim may be None
    layer=lines(QKVO + _MLP_EXPERTS + _MIXTRAL_MODULES + NORMS),
)

PHIMOE = replace(
    LLAMA,
    model_types=("phimoe",),  # LayerNorms with biases although config.rms_norm_eps; lm_head.bias iff lm_head_bias
    layer=lines(QKVO + _EXPERTS.format("mlp", "router") + _MIXTRAL_MODULES + NORMS),
)

GRANITEMOE = replace(
    LLAMA,
    model_types=("granitemoe",),
    layer=lines(f"""
        {QKVO} {_EXPERTS.format("block_sparse_moe", "router")} {NORMS}
        router.W       block_sparse_moe.router.layer.weight    e m
        expert.W_gate  block_sparse_moe.input_linear.weight    e (0/2 f) m
        expert.W_in    block_sparse_moe.input_linear.weight    e (1/2 f) m
        expert.W_out   block_sparse_moe.output_linear.weight   e m f
    """),  # the last four: transformers 4
)

QWEN_MOE = replace(
    LLAMA,
    model_types=("qwen2_moe", "qwen3_moe"),
    # dense layers (mlp_only_layers, decoder_sparse_step) have MLP; the shared expert's output is scaled by
    # sigmoid(shared_expert_gate(x)) (modeling_qwen2_moe:346), qwen3_moe has none
    layer=lines(f"""
        {QKVO} {SHARED_QK_NORMS} {MLP} {_MLP_EXPERTS} {_SHARED_EXPERT.format("shared_expert")} {NORMS}
        shared.gate    mlp.shared_expert_gate.weight   1 m
    """),
)

OLMOE = replace(
    LLAMA,
    model_types=("olmoe",),
    # pre-norm, unlike OLMo-2; the norms of queries and keys span all heads (modeling_olmoe:238: before the view into
    # heads), each entry of their gain is one head's
    layer=lines(f"""
        {QKVO} {_MLP_EXPERTS} {NORMS}
        q_gain  self_attn.q_norm.weight   (n h)
        k_gain  self_attn.k_norm.weight   (g h)
    """),
)

GPT_OSS = replace(
    LLAMA,
    model_types=("gpt_oss",),
    # [e, m, 2f] (a row vector times it), gate and up interleaved: modeling_gpt_oss:82  gate_up[..., ::2], [..., 1::2]
    # sinks: one logit for each head (modeling_gpt_oss:243)
    layer=lines(f"""
        {QKVO} {NORMS}
        sink           self_attn.sinks                   n
        router.W       mlp.router.weight                 e m
        router.b       mlp.router.bias                   e
        expert.W_gate  mlp.experts.gate_up_proj          e m (f 0/2)
        expert.W_in    mlp.experts.gate_up_proj          e m (f 1/2)
        expert.b_gate  mlp.experts.gate_up_proj_bias     e (f 0/2)
        expert.b_in    mlp.experts.gate_up_proj_bias     e (f 1/2)
        expert.W_out   mlp.experts.down_proj             e f m
        expert.b_out   mlp.experts.down_proj_bias        e m
    """),
)

GLM4_MOE = replace(
    LLAMA,
    model_types=("glm4_moe",),
    # the first first_k_dense_replace layers are dense; e_score_correction_bias is a buffer (modeling_glm4_moe:279), in
    # transformers 4 a parameter or buffer; SHARED_QK_NORMS iff use_qk_norm
    layer=lines(f"""
        {QKVO} {SHARED_QK_NORMS} {MLP} {_MLP_EXPERTS} {_SHARED_EXPERT.format("shared_experts")} {NORMS}
        router.b       mlp.gate.e_score_correction_bias    e
    """),
)

# ---- latent attention

_LATENT = """
        W_DQ      self_attn.q_a_proj.weight             a m
        b_DQ      self_attn.q_a_proj.bias               a
        ln_q.w    self_attn.q_a_layernorm.weight        a
        W_UQ      self_attn.q_b_proj.weight             (n ([k] + r)) a
        W_QR      self_attn.q_b_proj.weight             (n (k + [r])) a
        W_UQ      self_attn.q_proj.weight               (n ([k] + r)) a
        W_QR      self_attn.q_proj.weight               (n (k + [r])) a
        W_DKV     self_attn.kv_a_proj_with_mqa.weight   ([c] + r) m
        W_KR      self_attn.kv_a_proj_with_mqa.weight   (c + [r]) m
        b_DKV     self_attn.kv_a_proj_with_mqa.bias     ([c] + r)
        b_KR      self_attn.kv_a_proj_with_mqa.bias     (c + [r])
        ln_kv.w   self_attn.kv_a_layernorm.weight       c
        W_UK      self_attn.kv_b_proj.weight            (g ([k] + h)) c
        W_UV      self_attn.kv_b_proj.weight            (g (k + [h])) c
        W_O       self_attn.o_proj.weight               m (n h)
        b_O       self_attn.o_proj.bias                 m
"""
# modeling_deepseek_v2:383  q_nope, q_pe = split(q, [nope, rope])    within each head (v3:442)
# modeling_deepseek_v2:386  kv_nope, k_pe = split(compressed_kv, [kv_lora_rank, rope])    (v3:445)
# modeling_deepseek_v2:357  view(.., -1, nope + v).split([nope, v]): within each head (v3:417)
# q_proj: only where q_lora_rank is None (V2-Lite); `a` is d_model then

DEEPSEEK = replace(
    LLAMA,
    model_types=("deepseek_v2", "deepseek_v3"),
    kv_heads="num_attention_heads",  # keys and values are made for each head; num_key_value_heads must equal it
    d_head="v_head_dim",  # config.head_dim is qk_rope_head_dim
    layer=lines(f"""
        {_LATENT} {MLP} {_MLP_EXPERTS} {_SHARED_EXPERT.format("shared_experts")} {NORMS}
        router.b       mlp.gate.e_score_correction_bias    e
    """),  # the last: a Parameter in transformers 4, a buffer now
)

# ---- layers without heads

JAMBA = replace(
    LLAMA,
    model_types=("jamba",),
    # attn_layer_period/offset, expert_layer_period/offset: every mixture of mamba/attention and dense/experts
    layer=lines(f"""
        {QKVO} {MLP.replace("mlp.", "feed_forward.")} {_EXPERTS.format("feed_forward", "router")}
        {_EXPERT_MODULES.format("feed_forward")}
        mixer      mamba.**                        ...
        ln1.w      input_layernorm.weight          m
        ln2.w      pre_ff_layernorm.weight         m
        ln2.w      pre_moe_layernorm.weight        m
    """),  # the last: transformers 4
)

QWEN3_NEXT = replace(
    LLAMA,
    model_types=("qwen3_next",),
    # full-attention layers: q_proj has twice the rows, for each head h rows of q and h rows of the output gate
    # modeling_qwen3_next:268  chunk(q_proj(x).view(.., -1, 2 h), 2, dim=-1); z *= sigmoid(gate), before o_proj
    # The gains of its norms are 1 + weight. linear_attn has heads of its own (linear_num_value_heads), not these.
    layer=lines(f"""
        {QKVO.replace("(n h) m", "(n 0/2 h) m").replace("q_proj.bias          (n h)", "q_proj.bias  (n 0/2 h)")}
        W_OG           self_attn.q_proj.weight         (n 1/2 h) m
        b_OG           self_attn.q_proj.bias           (n 1/2 h)
        mixer          linear_attn.**                  ...
        {SHARED_QK_NORMS} {MLP} {_MLP_EXPERTS} {_SHARED_EXPERT.format("shared_expert")} {NORMS}
        shared.gate    mlp.shared_expert_gate.weight   1 m
    """),
)

LFM2 = replace(
    LLAMA,
    model_types=("lfm2",),
    # layers of short convolutions, and of attention; modeling_lfm2 Lfm2MLP: w2(silu(w1(x)) * w3(x))
    # embedding_norm is the norm at the END (modeling_lfm2:520); intermediate_size need not be d_mlp
    layer=lines(f"""
        {QKVO} {SHARED_QK_NORMS}
        W_O       self_attn.out_proj.weight   m (n h)
        mixer     conv.**                     ...
        W_gate    feed_forward.w1.weight      f m
        W_in      feed_forward.w3.weight      f m
        W_out     feed_forward.w2.weight      m f
        ln1.w     operator_norm.weight        m
        ln2.w     ffn_norm.weight             m
    """),
    outside=lines("""
        W_E         embed_tokens.weight      v m
        ln_final.w  embedding_norm.weight    m
        W_U         lm_head.weight           v m
    """),
)
