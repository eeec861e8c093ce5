"""Names of modules: patterns, and what a module of such a name usually does.

A pattern matches whole steps at the end of a module's path. Nothing here looks at a shape.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

Names = Sequence[tuple[str, str]]

ATTENTION: Names = (
    ("q_norm", r"(?:q|query)_?(?:norm|ln|layer_?norm)(?:\.norms\.\*)?"),
    ("k_norm", r"(?:k|key)_?(?:norm|ln|layer_?norm)(?:\.norms\.\*)?"),
    ("ln_q", r"q_a_(?:layer)?norm"),
    ("ln_kv", r"kv_a_(?:layer)?norm"),
    ("DQ", r"q_a_proj"),
    ("UQ", r"q_b_proj"),
    ("DKV", r"kv_a_proj_with_mqa"),
    ("UKV", r"kv_b_proj"),
    ("sink", r"sinks"),
    ("relative", r"relative_attention_bias"),
    ("other", r"head_(?:logits|weights)_proj"),
    ("OG", r"gate_proj"),
    ("K_pos", r"pos_(?:key_)?proj"),
    ("Q_pos", r"pos_(?:q|query)_proj"),
    ("qkv", r"c_attn|query_key_value|qkv|qkv_proj|Wqkv|in_proj|in_proj_weight|in_proj_bias|W_pack|c_qkv"),
    ("Q", r"q|q_proj|query|query_proj|q_lin|q_linear|wq|Wq|to_q|linear_q|q_bias"),
    ("K", r"k|k_proj|key|key_proj|k_lin|k_linear|wk|Wk|to_k|linear_k"),
    ("V", r"v|v_proj|value|value_proj|v_lin|v_linear|wv|Wv|to_v|linear_v|v_bias"),
    ("O", r"o|o_proj|out_proj|dense|dense_bias|output\.dense|c_proj|out_lin|wo|Wo|proj|linear_out"),
)  # fmt: skip

MLP: Names = (
    ("gate_up", r"gate_up_proj|gate_up|Wi|input_linear|gate_up_proj_bias"),
    ("activation", r"act_fn\.\w+"),
    ("gate", r"gate_proj|wi_0"),
    ("w1", r"w1"),
    ("w3", r"w3|v1"),
    ("up", r"up_proj|fc1|c_fc|fc_in|dense_h_to_4h|lin1|linear1|linear_fc1|linear_1|wi|wi_1|intermediate\.dense"
           r"|(?:ffn|mlp)\.0|ffn|up"),
    ("out", r"down_proj|fc2|c_proj|fc_out|dense_4h_to_h|lin2|linear2|linear_fc2|linear_2|wo|Wo|w2|output\.dense"
            r"|(?:ffn|mlp)\.[23]|ffn_output|output_linear|down|down_proj_bias"),
)  # fmt: skip
"""`w1` is the gate where there is a `w3`, as in the code that Llama came with."""

ROUTER = (
    r"gate|router|router\.(?:classifier|layer)|gate\.wg|gate\.(?:moe_statics\.)?e_score_correction_bias|expert_bias"
)
SHARED = r"shared_experts?|shared_mlp"
SHARED_GATE = r"shared_expert_gate"

NORM = r"(?i)(?:.*_)?(?:layer_?norm|norm|ln)(?:_.*|\d+)?"
NORMS: Names = (
    ("ln1", r"input_(?:layer_?)?norm|layernorm_before|operator_norm|ln_attn"
            r"|pre_(?:self_)?att(?:ention|n)_(?:layer_?)?norm"),
    ("ln2", r"pre_(?:feed_?forward|ff|ffn|moe|mlp)_(?:layer_?)?norm|layernorm_after|ln_mlp"),
    ("ln1_post", r"post_self_attn_(?:layer_?)?norm"),
    ("ln2_post", r"post_(?:feed_?forward|ff|ffn|mlp|moe)_(?:layer_?)?norm"),
    ("after attention", r"post_att(?:ention|n)_(?:layer_?)?norm"),
    ("cross", r"(?:encoder_attn|cross_attn|encoder_attention|cross_attention)_layer_?norm"),
    ("first", r"(?:ln|norm|layer_?norm)_?1|self_attn_layer_?norm|sa_layer_norm|self_attention_layer_?norm"
              r"|att(?:ention|n)_(?:layer_?)?norm"),
    ("second", r"(?:ln|norm|layer_?norm)_?2|final_layer_norm|output_layer_norm|full_layer_layer_norm"
               r"|(?:ffn|ff|mlp|feed_?forward)_(?:layer_?)?norm"),
    ("beside", r"LayerNorm|layer_norm|layernorm|norm|ln"),
)  # fmt: skip
"""`first` and `second` stand before or after their block; `beside` is known by what stands beside it."""

CROSS = r"encoder_attn|EncDecAttention|crossattention|cross_attn|cross_attention|encoder_attention"
STATE_SPACE = {"A_log", "dt_bias", "dt_proj", "x_proj", "conv1d", "time_decay", "time_mix_key"}
MIXERS = {"mamba", "conv", "short_conv", "linear_attn", "ssm", "delta_net"}
"""Modules that mix positions without attention heads, though it may have an `in_proj` and an `out_proj` too."""

OUTSIDE: Names = (
    ("W_U", r"(?:lm_head|embed_out|proj_out|output_projection|generator_lm_head|vocab_projector|pred_layer\.proj"
            r"|(?:lm_head|predictions)\.decoder|(?<!\.)decoder)\.weight"),
    ("b_U", r"(?:lm_head|embed_out|proj_out|output_projection|generator_lm_head|vocab_projector|pred_layer\.proj"
            r"|predictions|(?<!\.)decoder)\.bias"),
    ("decoder bias", r"(?:lm_head|predictions)\.decoder\.bias"),
    ("pos.other", r"(?:relative_attention_bias|rel_embeddings)\.weight"),
    ("W_pos", r"(?:wpe|embed_positions|position_embeddings?|positions_embed|pos_embed)(?:\.weight)?"),
    ("W_type", r"token_type_embeddings\.weight"),
    ("W_E", r"(?:embed_tokens|word_embeddings?|wte|embed_in|tok_embeddings|token_embeddings?|tokens_embed|shared"
            r"|embeddings|w)\.weight"),
    ("stem", r"(?:cls_token|mask_token|class_embedding|distillation_token|register_tokens)"
             r"|(?:patch_embed(?:ding)?s?|conv[12]|project_in|embeddings_project|embedding_hidden_mapping_in|embed_proj"
             r"|multi_modal_projector|encoder\.conv)\..+"),
    ("top", r"(?:pooler|classifier|pre_classifier|sop_classifier|qa_outputs|score|sequence_summary|classification_head"
            r"|predictions\.(?:transform|dense|LayerNorm)|seq_relationship|lm_head\.(?:dense|layer_norm|LayerNorm)"
            r"|vocab_transform|vocab_layer_norm|generator_predictions|discriminator_predictions|project_out|merger"
            r"|deepstack_merger_list|contact_head|visual_projection|text_projection|head\.(?:dense|norm))\..+"),
    ("ln_embed", r"(?:.*embeddings_layernorm|layernorm_embedding|embeddings\.(?:LayerNorm|layer_norm|norm)"
                 r"|pre_layrnorm|pre_layernorm|emb_norm|embed_norm|emb_layer_norm)\.(?:weight|bias)"),
    ("ln_final", r"(?:norm|ln_f|norm_f|layer_?norm|LayerNorm|final_(?:layer_?)?norm|post_layernorm|ln_final|ln_post|ln"
                 r"|emb_layer_norm_after)\.(?:weight|bias)"),
)  # fmt: skip
"""Modules that belong to no layer. `embedding_norm` is not here: LFM2 calls the norm at its end by that name."""


@dataclass(frozen=True)
class Reading:
    """The role that the name of a layer's parameter suggests.

    Attributes:
        kind: a name of `ATTENTION`, `MLP` or `NORMS`; `router`, `shared gate` or `mixer`.
        block: the piece that it is in: `self`, `cross`, `mlp`, `experts`, `shared`, `norm` or `mixer`.
        bias: whether it is a bias.
        path: its path in the layer, with `*` for the number of a head's norm or of an expert.
    """

    kind: str
    block: str
    bias: bool
    path: str


def _last(names: Names, module: str) -> str | None:
    return next((kind for kind, pattern in names if re.search(rf"(?:^|\.)(?:{pattern})$", module)), None)


def read(path: str) -> Reading | None:
    """The role that a parameter's path in its layer suggests, or None where it suggests none."""
    path = re.sub(r"\b(experts|norms)\.\d+\b", r"\1.*", path)
    module = re.sub(r"\.(?:weight|bias)$", "", path)
    bias = path.endswith("bias")
    steps = module.split(".")
    if steps[0] in MIXERS:
        return Reading("mixer", "mixer", False, path)
    if "experts" in steps:
        kind = _last(MLP, module)
        return Reading(kind, "experts", bias, path) if kind else None
    if re.search(rf"\.(?:{SHARED_GATE})$", module):
        return Reading("shared gate", "shared", bias, path)
    if any(re.fullmatch(SHARED, step) for step in steps):
        kind = _last(MLP, module)
        return Reading(kind, "shared", bias, path) if kind else None
    attends = any(re.search(r"(?i)attn|attention", step) for step in steps[:-1]) or steps[0] == "mixer"
    block = "cross" if any(re.fullmatch(CROSS, step) for step in steps) else "self"
    if attends and (kind := _last(ATTENTION, module)):
        return Reading(kind, block, bias, path)
    if re.fullmatch(NORM, steps[-1]):
        kind = _last(NORMS, module)
        cross = kind == "cross" or (block == "cross" and kind == "beside")
        return Reading(kind, "cross norm" if cross else "norm", bias, path) if kind else None
    if not attends and (kind := _last(MLP, module)):
        return Reading(kind, "mlp", bias, path)
    if re.search(rf"\.(?:{ROUTER})$", module):
        return Reading("router", "mlp", bias, path)
    return None


def read_outside(path: str) -> str | None:
    """The role of a parameter that belongs to no layer, by its whole name, or None."""
    return _last(OUTSIDE, path)
