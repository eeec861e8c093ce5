"""Encoder-decoders: a row each for the encoder, the decoder, and the decoder's attention to the encoder."""

from __future__ import annotations

from dataclasses import replace

from headgrid.models.family import Family, lines

_T5_ATTENTION = """
        W_Q     layer.{0}.{1}.q.weight            (n h) m
        W_K     layer.{0}.{1}.k.weight            (g h) m
        W_V     layer.{0}.{1}.v.weight            (g h) m
        W_O     layer.{0}.{1}.o.weight            m (n h)
        ln1.w   layer.{0}.layer_norm.weight       m
"""
# modeling_t5 T5DenseGatedActDense: act(wi_0(x)) * wi_1(x)
_T5_MLP = """
        W_gate  layer.{0}.DenseReluDense.wi_0.weight   f m
        W_in    layer.{0}.DenseReluDense.wi_1.weight   f m
        W_in    layer.{0}.DenseReluDense.wi.weight     f m
        W_out   layer.{0}.DenseReluDense.wo.weight     m f
        ln2.w   layer.{0}.layer_norm.weight            m
"""
# [buckets, n]: in UMT5 a table in each layer; in T5 one in the first layer of a stack, whose column i is added to the
# scores of head i in EVERY layer. Cross-attention has none.
_T5_TABLE = """
        rel_pos_bias  layer.0.SelfAttention.relative_attention_bias.weight   p' n
"""
_T5_OUTSIDE = """
        ln_final.w  final_layer_norm.weight   m
        W_E         embed_tokens.weight       v m
"""  # embed_tokens: another name of `shared` (unless untied, when `shared` is read by nothing)

T5_ENCODER = Family(
    model_types=(),
    stack="encoder",
    body="transformer.encoder",  # `transformer` in T5ForSequenceClassification and T5ForTokenClassification only
    layers="block",
    n_layers="num_layers",
    n_heads="num_heads",
    kv_heads="num_heads",
    d_model="d_model",
    d_head="d_kv",  # d_kv * num_heads need not be d_model
    layer=lines(_T5_ATTENTION.format(0, "SelfAttention") + _T5_TABLE + _T5_MLP.format(1)),
    outside=lines(_T5_OUTSIDE),
)
T5_DECODER = replace(
    T5_ENCODER,
    stack="decoder",
    body="transformer.decoder",
    n_layers="num_decoder_layers",
    layer=lines(_T5_ATTENTION.format(0, "SelfAttention") + _T5_TABLE + _T5_MLP.format(2)),
)
T5_CROSS = replace(
    T5_DECODER,
    stack="cross",
    layer=lines(_T5_ATTENTION.format(1, "EncDecAttention")),  # its norm: ln1 of the stack "cross"
    outside=(),
)

T5 = Family(
    model_types=("t5", "mt5", "umt5"),
    body="transformer",
    # {encoder,decoder}.embed_tokens and lm_head are other names of `shared`: in transformers 5 tie_word_embeddings is
    # True whatever a config says (configuration_t5:83). flan-t5 and t5-v1.1 have an lm_head of their own
    outside=lines("""
        W_E   shared.weight          v m
        W_U   lm_head.weight         v m
    """),
    others=(T5_ENCODER, T5_DECODER, T5_CROSS),
)

_BART_ATTENTION = """
        W_Q         {0}.q_proj.weight               (n h) m
        W_K         {0}.k_proj.weight               (g h) m
        W_V         {0}.v_proj.weight               (g h) m
        b_Q         {0}.q_proj.bias                 (n h)
        b_K         {0}.k_proj.bias                 (g h)
        b_V         {0}.v_proj.bias                 (g h)
        W_O         {0}.out_proj.weight             m (n h)
        b_O         {0}.out_proj.bias               m
        ln1_post.w  {0}_layer_norm.weight           m
        ln1_post.b  {0}_layer_norm.bias             m
"""
_BART_MLP = """
        W_in        fc1.weight                      f m
        b_in        fc1.bias                        f
        W_out       fc2.weight                      m f
        b_out       fc2.bias                        m
        ln2_post.w  final_layer_norm.weight         m
        ln2_post.b  final_layer_norm.bias           m
"""
_BART_STACK_OUTSIDE = """
        W_pos       embed_positions.weight          p m
        ln_embed.w  layernorm_embedding.weight      m
        ln_embed.b  layernorm_embedding.bias        m
        W_E         embed_tokens.weight             v m
"""  # embed_positions has 2 rows more than positions (an offset)

BART_ENCODER = Family(
    model_types=(),
    stack="encoder",
    body="model.encoder",
    layers="layers",
    n_layers="encoder_layers",
    n_heads="encoder_attention_heads",
    kv_heads="encoder_attention_heads",
    d_model="d_model",
    layer=lines(_BART_ATTENTION.format("self_attn") + _BART_MLP),
    outside=lines(_BART_STACK_OUTSIDE),
)
BART_DECODER = replace(
    BART_ENCODER,
    stack="decoder",
    body="model.decoder",
    n_layers="decoder_layers",
    n_heads="decoder_attention_heads",  # config.num_attention_heads is the encoder's
    kv_heads="decoder_attention_heads",
)
BART_CROSS = replace(BART_DECODER, stack="cross", layer=lines(_BART_ATTENTION.format("encoder_attn")), outside=())

BART = Family(
    model_types=("bart",),
    body="model",
    outside=lines("""
        W_E   shared.weight                 v m
        W_U   lm_head.weight                v m
    """),
    others=(BART_ENCODER, BART_DECODER, BART_CROSS),
)

# Whisper is pre-norm; k_proj has no bias (modeling_whisper:280); a norm at the end of each stack, none of embeddings

_WHISPER_ATTENTION = _BART_ATTENTION.replace("ln1_post", "ln1")
_WHISPER_MLP = _BART_MLP.replace("ln2_post", "ln2")
_WHISPER_OUTSIDE = """
        W_pos       embed_positions.weight          p m
        ln_final.w  layer_norm.weight               m
        ln_final.b  layer_norm.bias                 m
"""

WHISPER_ENCODER = replace(
    BART_ENCODER,
    layer=lines(_WHISPER_ATTENTION.format("self_attn") + _WHISPER_MLP),
    # embed_positions is a fixed sinusoid in the encoder (requires_grad False), and a Parameter still
    outside=lines(f"""
        {_WHISPER_OUTSIDE}
        stem        conv1.**                        ...
        stem        conv2.**                        ...
    """),
)
WHISPER_DECODER = replace(
    BART_DECODER,
    layer=lines(_WHISPER_ATTENTION.format("self_attn") + _WHISPER_MLP),
    outside=lines(f"""
        {_WHISPER_OUTSIDE}
        W_E         embed_tokens.weight             v m
        W_U         proj_out.weight                 v m
    """),
)
WHISPER_CROSS = replace(
    WHISPER_DECODER, stack="cross", layer=lines(_WHISPER_ATTENTION.format("encoder_attn")), outside=()
)

WHISPER = Family(
    model_types=("whisper",),
    # config.num_key_value_heads is encoder_attention_heads by its attribute_map: wrong for the decoder
    # WhisperForAudioClassification: the encoder alone, with layer_weights (use_weighted_layer_sum)
    outside=lines("""
        top   projector.**      ...
        top   layer_weights     ...
    """),
    others=(WHISPER_ENCODER, WHISPER_DECODER, WHISPER_CROSS),
)
