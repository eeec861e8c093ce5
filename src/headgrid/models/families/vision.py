"""Vision models, and vision-language models, which hold a language model of another row."""

from __future__ import annotations

from dataclasses import replace

from headgrid.models.family import Family, lines

_VIT_LAYER = """
        W_Q     {0}.q_proj.weight       (n h) m
        W_K     {0}.k_proj.weight       (g h) m
        W_V     {0}.v_proj.weight       (g h) m
        b_Q     {0}.q_proj.bias         (n h)
        b_K     {0}.k_proj.bias         (g h)
        b_V     {0}.v_proj.bias         (g h)
        W_O     {0}.{1}.weight          m (n h)
        b_O     {0}.{1}.bias            m
        W_in    mlp.fc1.weight          f m
        b_in    mlp.fc1.bias            f
        W_out   mlp.fc2.weight          m f
        b_out   mlp.fc2.bias            m
        ln1.w   {2}.weight              m
        ln1.b   {2}.bias                m
        ln2.w   {3}.weight              m
        ln2.b   {3}.bias                m
"""

_VIT_OUTSIDE = """
        stem        embeddings.cls_token             ...
        stem        embeddings.mask_token            ...
        stem        embeddings.patch_embeddings.**   ...
        W_pos       embeddings.position_embeddings   1 p m
        ln_final.w  layernorm.weight                 m
        ln_final.b  layernorm.bias                   m
        top         pooler.**                        ...
        top         decoder.**                       ...
"""

# transformers 4 has the layers of BERT; of the two rows, the one whose layers a model has serves it
_VIT_4 = Family(
    body="vit",
    kv_heads="num_attention_heads",
    layers="encoder.layer",
    layer=lines("""
        W_Q     attention.attention.query.weight   (n h) m
        W_K     attention.attention.key.weight     (g h) m
        W_V     attention.attention.value.weight   (g h) m
        b_Q     attention.attention.query.bias     (n h)
        b_K     attention.attention.key.bias       (g h)
        b_V     attention.attention.value.bias     (g h)
        W_O     attention.output.dense.weight      m (n h)
        b_O     attention.output.dense.bias        m
        W_in    intermediate.dense.weight          f m
        b_in    intermediate.dense.bias            f
        W_out   output.dense.weight                m f
        b_out   output.dense.bias                  m
        ln1.w   layernorm_before.weight            m
        ln1.b   layernorm_before.bias              m
        ln2.w   layernorm_after.weight             m
        ln2.b   layernorm_after.bias               m
    """),
    outside=lines(_VIT_OUTSIDE),
)

VIT = Family(
    model_types=("vit",),
    body="vit",
    layers="layers",
    kv_heads="num_attention_heads",
    layer=lines(_VIT_LAYER.format("attention", "o_proj", "layernorm_before", "layernorm_after")),
    outside=lines(_VIT_OUTSIDE),
    others=(_VIT_4,),
)
# a projector stands beside the vision tower, in the model around it: with or without `model.`
_PROJECTOR = """
        stem        model.multi_modal_projector.**   ...
        stem        multi_modal_projector.**         ...
"""

CLIP_VISION = Family(
    model_types=("clip_vision_model", "siglip_vision_model"),
    body="vision_model",  # the tower itself has no such step in transformers 5; CLIPModel does
    layers="encoder.layers",
    kv_heads="num_attention_heads",
    layer=lines(_VIT_LAYER.format("self_attn", "out_proj", "layer_norm1", "layer_norm2")),
    # CLIP has a class token, a patch embedding without bias, and a norm before the layers, spelled pre_layrnorm; SigLIP
    # has none of these. SigLIP's pooling head (vision_use_head) is an attention of its own, of class
    # nn.MultiheadAttention: shown, not taken apart
    # LLaVA reads hidden_states[-2]: its last vision layer and post_layernorm take no part in the forward pass.
    # LLaVA's projector reads CLIP's hidden states without post_layernorm, PaliGemma's and Gemma-3's SigLIP's with it
    outside=lines(f"""
        stem        embeddings.class_embedding             ...
        stem        embeddings.patch_embedding.**          ...
        W_pos       embeddings.position_embedding.weight   p m
        ln_embed.w  pre_layrnorm.weight                    m
        ln_embed.b  pre_layrnorm.bias                      m
        ln_final.w  post_layernorm.weight                  m
        ln_final.b  post_layernorm.bias                    m
        top         head.**                                ...
        top         visual_projection.**                   ...
        {_PROJECTOR}
    """),
)

_QWEN_VISION_ATTENTION = """
        W_Q     attn.qkv.weight        (0/3 n h) m
        W_K     attn.qkv.weight        (1/3 g h) m
        W_V     attn.qkv.weight        (2/3 g h) m
        b_Q     attn.qkv.bias          (0/3 n h)
        b_K     attn.qkv.bias          (1/3 g h)
        b_V     attn.qkv.bias          (2/3 g h)
        W_O     attn.proj.weight       m (n h)
        b_O     attn.proj.bias         m
        ln1.w   norm1.weight           m
        ln1.b   norm1.bias             m
        ln2.w   norm2.weight           m
        ln2.b   norm2.bias             m
"""  # modeling_qwen2_vl:368  qkv(x).reshape(seq, 3, num_heads, -1): all of q, then k, then v (qwen3_vl:264)

QWEN2_VL_VISION = Family(
    model_types=("qwen2_vl_vision",),
    body="visual",
    layers="blocks",
    n_layers="depth",
    n_heads="num_heads",
    kv_heads="num_heads",
    d_model="embed_dim",  # its config.hidden_size is the language model's: the width that the merger makes
    layer=lines(f"""
        {_QWEN_VISION_ATTENTION}
        W_in    mlp.fc1.weight         f m
        b_in    mlp.fc1.bias           f
        W_out   mlp.fc2.weight         m f
        b_out   mlp.fc2.bias           m
    """),
    outside=lines("""
        stem    patch_embed.**         ...
        top     merger.**              ...
    """),
)

QWEN3_VL_VISION = replace(
    QWEN2_VL_VISION,
    model_types=("qwen3_vl_vision",),
    d_model="hidden_size",
    layer=lines(f"""
        {_QWEN_VISION_ATTENTION}
        W_in    mlp.linear_fc1.weight  f m
        b_in    mlp.linear_fc1.bias    f
        W_out   mlp.linear_fc2.weight  m f
        b_out   mlp.linear_fc2.bias    m
    """),
    outside=lines("""
        stem    patch_embed.**             ...
        W_pos   pos_embed.weight           p m
        top     merger.**                  ...
        top     deepstack_merger_list.**   ...
    """),
)

# ---- vision-language models: a model of text_config at one place, one of vision_config at another

VISION_LANGUAGE = Family(
    model_types=("llava", "paligemma", "gemma3"),
    nested={"": ("model.language_model", "text_config"), "vision": ("model.vision_tower", "vision_config")},
)
# text: llama (or mistral, qwen2, ...), gemma, gemma3_text; vision: clip_vision_model or siglip_vision_model
# llava's text_config may be of any family, and its vision_config too (pixtral has a tower of its own: not done)
# lm_head is beside `model`, so its line in the text model's row is found with no prefix

QWEN_VL = Family(
    model_types=("qwen2_vl", "qwen3_vl"),
    nested={"": ("model.language_model", "text_config"), "vision": ("model.visual", "vision_config")},
)
