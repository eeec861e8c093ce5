"""Small random models of every family in the table. No two sizes are equal, so that a transposition shows."""

from __future__ import annotations

import functools

import torch
import transformers
from transformers import PretrainedConfig, PreTrainedModel

import headgrid as hg

VOCAB = {"vocab_size": 31, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}

LLAMA = {
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "hidden_size": 48,
    "head_dim": 10,  # not 48 / 6
    "intermediate_size": 22,
    "vocab_size": 31,
    "max_position_embeddings": 19,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}

NO_HEAD_DIM = {key: value for key, value in LLAMA.items() if key != "head_dim"}

GPT2 = {"n_layer": 3, "n_head": 4, "n_embd": 28, "n_inner": 22, "vocab_size": 31, "n_positions": 19,
        "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip

FALCON = {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 40, "ffn_hidden_size": 22, "vocab_size": 31,
          "new_decoder_architecture": False, "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip

BERT = {
    "num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 28, "intermediate_size": 22, "vocab_size": 31,
    "max_position_embeddings": 19, "type_vocab_size": 2, "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0, "pad_token_id": 0,
}  # fmt: skip
MOE = {"num_local_experts": 5, "num_experts_per_tok": 2}
DEEPSEEK = {
    **NO_HEAD_DIM, "num_key_value_heads": 6, "kv_lora_rank": 14, "qk_nope_head_dim": 10, "qk_rope_head_dim": 4,
    "v_head_dim": 12, "q_lora_rank": 16, "n_routed_experts": 8, "num_experts_per_tok": 2, "n_shared_experts": 3,
    "moe_intermediate_size": 9, "first_k_dense_replace": 1, "n_group": 2, "topk_group": 1,
}  # fmt: skip

T5 = {"vocab_size": 31, "d_model": 28, "d_kv": 10, "d_ff": 22, "num_layers": 3, "num_decoder_layers": 2, "num_heads": 4,
      "relative_attention_num_buckets": 8, "relative_attention_max_distance": 13, "dropout_rate": 0.0,
      "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}  # fmt: skip

CONFIGS: dict[str, tuple[str, dict[str, object]]] = {
    "gpt2": ("GPT2Config", GPT2),
    "gpt_neox": (
        "GPTNeoXConfig",
        {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 40, "intermediate_size": 22,
         "vocab_size": 31, "max_position_embeddings": 19, "bos_token_id": 1, "eos_token_id": 2},
    ),
    "llama with grouped-query attention": ("LlamaConfig", LLAMA),
    "llama with biases and tied embeddings": (
        "LlamaConfig",
        {**LLAMA, "num_key_value_heads": 6, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    ),
    "mistral": ("MistralConfig", LLAMA),
    "qwen2": ("Qwen2Config", NO_HEAD_DIM),
    "qwen3": ("Qwen3Config", LLAMA),
    "gemma with one key/value head": ("GemmaConfig", {**LLAMA, "num_key_value_heads": 1}),
    "gemma2": ("Gemma2Config", {**LLAMA, "query_pre_attn_scalar": 10}),
    "gemma3": ("Gemma3TextConfig", {**LLAMA, "query_pre_attn_scalar": 10}),
    "ministral": ("MinistralConfig", LLAMA),
    "granite": ("GraniteConfig", NO_HEAD_DIM),
    "smollm3": ("SmolLM3Config", NO_HEAD_DIM),
    "olmo": ("OlmoConfig", NO_HEAD_DIM),
    "olmo2": ("Olmo2Config", NO_HEAD_DIM),
    "olmo3": ("Olmo3Config", NO_HEAD_DIM),
    "cohere": ("CohereConfig", {**NO_HEAD_DIM, "use_qk_norm": True}),
    "cohere2": ("Cohere2Config", NO_HEAD_DIM),
    "nemotron": ("NemotronConfig", LLAMA),
    "stablelm": ("StableLmConfig", {**NO_HEAD_DIM, "use_qkv_bias": True}),
    "starcoder2": ("Starcoder2Config", NO_HEAD_DIM),
    "phi": ("PhiConfig", {**NO_HEAD_DIM, "qk_layernorm": True}),
    "phi3": ("Phi3Config", NO_HEAD_DIM),
    "glm": ("GlmConfig", LLAMA),
    "glm4": ("Glm4Config", LLAMA),
    "persimmon": ("PersimmonConfig", {**NO_HEAD_DIM, "num_key_value_heads": 6}),
    "bloom": ("BloomConfig", {"n_layer": 3, "n_head": 4, "hidden_size": 28, "vocab_size": 31}),
    "falcon-7b": ("FalconConfig", {**FALCON, "multi_query": True, "num_kv_heads": 71, "parallel_attn": True}),
    "falcon-rw": ("FalconConfig", {**FALCON, "multi_query": False, "bias": True, "parallel_attn": False}),
    "gpt_bigcode": ("GPTBigCodeConfig", {**GPT2, "multi_query": True}),
    "gpt_bigcode with a key/value head per head": ("GPTBigCodeConfig", {**GPT2, "multi_query": False}),
    "gpt_neo": (
        "GPTNeoConfig",
        {"num_layers": 3, "num_heads": 4, "hidden_size": 28, "intermediate_size": 22, "vocab_size": 31,
         "max_position_embeddings": 19, "attention_types": [[["global", "local"], 1], [["global"], 1]],
         "bos_token_id": 1, "eos_token_id": 2},
    ),
    "gptj": ("GPTJConfig", {**GPT2, "n_embd": 40, "rotary_dim": 4}),
    "mpt": ("MptConfig", {"n_layers": 3, "n_heads": 4, "d_model": 28, "vocab_size": 31, "max_seq_len": 19}),
    "opt": (
        "OPTConfig",
        {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 28, "word_embed_proj_dim": 28, "ffn_dim": 22,
         "vocab_size": 31, "max_position_embeddings": 19, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
    ),
    "codegen": ("CodeGenConfig", {**GPT2, "n_embd": 40, "rotary_dim": 4}),
    "codegen with 8 heads": ("CodeGenConfig", {**GPT2, "n_head": 8, "n_embd": 48, "rotary_dim": 4}),
    "falcon-40b": (
        "FalconConfig",
        {"num_hidden_layers": 3, "num_attention_heads": 6, "num_kv_heads": 2, "hidden_size": 48, "ffn_hidden_size": 22,
         "vocab_size": 31, "new_decoder_architecture": True, "multi_query": False, "bos_token_id": 1,
         "eos_token_id": 2}),
    "falcon-40b with biases": (
        "FalconConfig",
        {"num_hidden_layers": 3, "num_attention_heads": 6, "num_kv_heads": 2, "hidden_size": 48, "ffn_hidden_size": 22,
         "vocab_size": 31, "new_decoder_architecture": True, "bias": True, "bos_token_id": 1, "eos_token_id": 2}),
    "falcon-11b": (  # new_decoder_architecture with num_ln_in_parallel_attn = 1: one norm, input_layernorm
        "FalconConfig",
        {"num_hidden_layers": 3, "num_attention_heads": 6, "num_kv_heads": 2, "hidden_size": 48, "ffn_hidden_size": 22,
         "vocab_size": 31, "new_decoder_architecture": True, "num_ln_in_parallel_attn": 1, "bos_token_id": 1,
         "eos_token_id": 2}),
    "mixtral": ("MixtralConfig", {**LLAMA, **MOE}),
    "qwen2_moe": (
        "Qwen2MoeConfig",
        {**NO_HEAD_DIM, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 9,
         "shared_expert_intermediate_size": 13, "mlp_only_layers": [1], "decoder_sparse_step": 1}),
    "qwen3_moe": (
        "Qwen3MoeConfig",
        {**LLAMA, "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 9, "mlp_only_layers": [1],
         "decoder_sparse_step": 1}),
    "phimoe": ("PhimoeConfig", {**NO_HEAD_DIM, **MOE, "attention_bias": True, "lm_head_bias": True}),
    "granitemoe": ("GraniteMoeConfig", {**NO_HEAD_DIM, **MOE, "attention_bias": True}),
    "olmoe": ("OlmoeConfig", {**NO_HEAD_DIM, "num_experts": 5, "num_experts_per_tok": 2}),
    "gpt_oss": ("GptOssConfig", {**LLAMA, **MOE, "sliding_window": 4}),
    "glm4_moe": (
        "Glm4MoeConfig",
        {**LLAMA, "n_routed_experts": 5, "num_experts_per_tok": 2, "n_shared_experts": 3, "moe_intermediate_size": 9,
         "first_k_dense_replace": 1, "use_qk_norm": True, "attention_bias": True, "n_group": 1, "topk_group": 1}),
    "deepseek_v2": ("DeepseekV2Config", DEEPSEEK),
    "deepseek_v2-lite": ("DeepseekV2Config", {**DEEPSEEK, "q_lora_rank": None}),
    "deepseek_v2 with biases": ("DeepseekV2Config", {**DEEPSEEK, "attention_bias": True}),
    "deepseek_v3": ("DeepseekV3Config", DEEPSEEK),
    "jamba": (
        "JambaConfig",
        {**NO_HEAD_DIM, "num_hidden_layers": 4, "num_experts": 5, "num_experts_per_tok": 2, "expert_layer_period": 2,
         "expert_layer_offset": 1, "attn_layer_period": 4, "attn_layer_offset": 2, "mamba_d_state": 7,
         "mamba_d_conv": 3,
         "mamba_expand": 2, "mamba_dt_rank": 5, "use_mamba_kernels": False}),
    "qwen3_next": (
        "Qwen3NextConfig",
        {**LLAMA, "head_dim": 12, "num_hidden_layers": 4,
         "layer_types": ["linear_attention", "full_attention", "linear_attention", "full_attention"],
         "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 7, "linear_value_head_dim": 5,
         "linear_conv_kernel_dim": 3, "attention_bias": True, "num_experts": 5, "num_experts_per_tok": 2,
         "moe_intermediate_size": 9, "shared_expert_intermediate_size": 13, "mlp_only_layers": [1],
         "decoder_sparse_step": 1}),
    "lfm2": (
        "Lfm2Config",
        {**NO_HEAD_DIM, "layer_types": ["conv", "full_attention", "conv"], "conv_L_cache": 3,
         "block_auto_adjust_ff_dim": False, "conv_bias": True}),
    "stablelm with qk_layernorm": (
        "StableLmConfig", {**NO_HEAD_DIM, "use_qkv_bias": True, "qk_layernorm": True}),
    "opt-350m": (
        "OPTConfig",
        {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 28, "word_embed_proj_dim": 15, "ffn_dim": 22,
         "do_layer_norm_before": False, "max_position_embeddings": 19, "dropout": 0.0, **VOCAB}),
    "bert": ("BertConfig", BERT),
    "roberta": ("RobertaConfig", {**BERT, "max_position_embeddings": 19}),
    "xlm-roberta": ("XLMRobertaConfig", BERT),
    "camembert": ("CamembertConfig", BERT),
    "electra": ("ElectraConfig", {**BERT, "embedding_size": 15}),
    "distilbert": (
        "DistilBertConfig",
        {"n_layers": 3, "n_heads": 4, "dim": 28, "hidden_dim": 22, "vocab_size": 31, "max_position_embeddings": 19,
         "dropout": 0.0, "attention_dropout": 0.0, "pad_token_id": 0}),
    "albert": ("AlbertConfig", {**BERT, "embedding_size": 15, "num_hidden_groups": 1, "inner_group_num": 1}),
    "albert with 2 groups": (
        "AlbertConfig",
        {**BERT, "num_hidden_layers": 6, "embedding_size": 15, "num_hidden_groups": 2, "inner_group_num": 1}),
    "deberta": (
        "DebertaConfig",
        {**BERT, "type_vocab_size": 3, "relative_attention": True, "max_relative_positions": 9,
         "pos_att_type": ["c2p", "p2c"], "position_biased_input": True}),
    "deberta without legacy": (
        "DebertaConfig",
        {**BERT, "type_vocab_size": 0, "relative_attention": True, "max_relative_positions": 9, "pos_att_type": ["c2p"],
         "position_biased_input": False, "legacy": False}),
    "deberta_v2": (
        "DebertaV2Config",
        {**BERT, "type_vocab_size": 0, "relative_attention": True, "max_relative_positions": 9, "position_buckets": 6,
         "pos_att_type": ["c2p", "p2c"], "share_att_key": True, "norm_rel_ebd": "layer_norm",
         "position_biased_input": False, "conv_kernel_size": 3, "conv_act": "gelu"}),
    "deberta_v2 with position projections": (
        "DebertaV2Config",
        {**BERT, "type_vocab_size": 3, "relative_attention": True, "max_relative_positions": 9, "position_buckets": -1,
         "pos_att_type": ["c2p", "p2c"], "share_att_key": False, "position_biased_input": True}),
    "vit": (
        "ViTConfig",
        {"num_hidden_layers": 3, "num_attention_heads": 4, "hidden_size": 28, "intermediate_size": 22, "image_size": 15,
         "patch_size": 5, "num_channels": 3, "num_labels": 11, "hidden_dropout_prob": 0.0,
         "attention_probs_dropout_prob": 0.0}),
    "t5 with a gated mlp": ("T5Config", {**T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}),
    "t5": ("T5Config", {**T5, "feed_forward_proj": "relu"}),
    "mt5": ("MT5Config", T5),
    "umt5": ("UMT5Config", T5),
    "bart": (
        "BartConfig",
        {"encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 6, "decoder_attention_heads": 4,
         "encoder_ffn_dim": 22, "decoder_ffn_dim": 26, "d_model": 60, "max_position_embeddings": 19, "dropout": 0.0,
         "decoder_start_token_id": 2, "forced_eos_token_id": 2, **VOCAB}),
    "whisper": (
        "WhisperConfig",
        {"encoder_layers": 3, "decoder_layers": 2, "encoder_attention_heads": 6, "decoder_attention_heads": 4,
         "encoder_ffn_dim": 22, "decoder_ffn_dim": 26, "d_model": 60, "max_source_positions": 15,
         "max_target_positions": 19, "num_mel_bins": 8, "dropout": 0.0, "decoder_start_token_id": 3,
         "suppress_tokens": None, "begin_suppress_tokens": None, **VOCAB}),
    "llava": (
        "LlavaConfig",
        {"text_config": {"_class": "LlamaConfig", **LLAMA},
         "vision_config": {"_class": "CLIPVisionConfig", "num_hidden_layers": 4, "num_attention_heads": 5,
                           "hidden_size": 35, "intermediate_size": 26, "image_size": 15, "patch_size": 5,
                           "projection_dim": 17},
         "image_token_index": 30, "vision_feature_layer": -2, "image_seq_length": 9}),
    "qwen2_vl": (
        "Qwen2VLConfig",
        {"text_config": {"_class": "Qwen2VLTextConfig", **NO_HEAD_DIM,
                         "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}},
         "vision_config": {"_class": "Qwen2VLVisionConfig", "depth": 4, "embed_dim": 60, "num_heads": 5,
                           "hidden_size": 48, "mlp_ratio": 3, "patch_size": 2, "spatial_merge_size": 2,
                           "temporal_patch_size": 2, "in_channels": 3},
         "image_token_id": 30, "video_token_id": 29, "vision_start_token_id": 28, "vision_end_token_id": 27}),
    "qwen3_vl": (
        "Qwen3VLConfig",
        {"text_config": {"_class": "Qwen3VLTextConfig", **LLAMA,
                         "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 2, 2]}},
         "vision_config": {"_class": "Qwen3VLVisionConfig", "depth": 4, "hidden_size": 40, "num_heads": 5,
                           "intermediate_size": 26, "out_hidden_size": 48, "patch_size": 2, "spatial_merge_size": 2,
                           "temporal_patch_size": 2, "in_channels": 3, "num_position_embeddings": 16,
                           "deepstack_visual_indexes": [0, 2]},
         "image_token_id": 30, "video_token_id": 29, "vision_start_token_id": 28, "vision_end_token_id": 27}),
    "paligemma": (
        "PaliGemmaConfig",
        {"text_config": {"_class": "GemmaConfig", **LLAMA},
         "vision_config": {"_class": "SiglipVisionConfig", "num_hidden_layers": 4, "num_attention_heads": 5,
                           "hidden_size": 35, "intermediate_size": 26, "image_size": 15, "patch_size": 5,
                           "vision_use_head": False, "projection_dim": 48},
         "image_token_index": 30, "projection_dim": 48, "hidden_size": 48}),
    "gemma3 with vision": (
        "Gemma3Config",
        {"text_config": {"_class": "Gemma3TextConfig", **LLAMA, "query_pre_attn_scalar": 10, "sliding_window": 4},
         "vision_config": {"_class": "SiglipVisionConfig", "num_hidden_layers": 4, "num_attention_heads": 5,
                           "hidden_size": 35, "intermediate_size": 26, "image_size": 20, "patch_size": 5,
                           "vision_use_head": False},
         "mm_tokens_per_image": 4, "image_token_index": 30, "boi_token_index": 29, "eoi_token_index": 28}),
}  # fmt: skip

FAMILIES = list(CONFIGS)

UNLIKE = (
    "gpt2",  # queries, keys and values in one tensor, a table of positions, tied embeddings
    "llama with grouped-query attention",
    "qwen3_moe",
    "deepseek_v3",  # latent queries and keys, experts that all tokens share
    "t5",  # two stacks, tensors that several layers share
    "gemma3 with vision",
)
"""Families whose anatomies are least alike: one of each kind."""

QUICK = ("gpt2", "llama with grouped-query attention", "deepseek_v3", "t5")
"""Those that `--quick` is run on."""


def config(name: str) -> PretrainedConfig:
    kind, sizes = CONFIGS[name]

    def built(value: object) -> object:
        if isinstance(value, dict) and "_class" in value:
            return getattr(transformers, str(value["_class"]))(**{k: v for k, v in value.items() if k != "_class"})
        return value

    return getattr(transformers, kind)(**{key: built(value) for key, value in sizes.items()})


def fresh(name: str, attention: str = "eager") -> PreTrainedModel:
    """A model whose every weight is random: no bias or norm gain is left at 0 or 1, where a mistake would not show.

    In double precision, so that what is not equal is not rounding.
    """
    torch.manual_seed(0)
    described = config(name)
    auto = next(
        auto
        for auto in (
            transformers.AutoModelForSeq2SeqLM, transformers.AutoModelForSpeechSeq2Seq,
            transformers.AutoModelForImageTextToText, transformers.AutoModelForMaskedLM,
            transformers.AutoModelForCausalLM, transformers.AutoModelForImageClassification,
        )
        if type(described) in auto._model_mapping
    )  # fmt: skip
    model = auto.from_config(described, attn_implementation=attention).double()
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")  # torch's grouped product of matrices does not take float64
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    return model.eval()


_SHARED: dict[str, tuple[PreTrainedModel, object]] = {}


def model(name: str) -> PreTrainedModel:
    """The same model for every test that does not change it, also for the one that asks first within a context."""
    if name not in _SHARED:
        with torch.device("cpu"), torch.inference_mode(False), torch.enable_grad():
            built = fresh(name)
        _SHARED[name] = built, _state(built)
    return _SHARED[name][0]


@functools.cache
def anatomy(name: str) -> hg.Anatomy:
    """The anatomy of that model, for every test of something else than how it is found."""
    return hg.dissect(model(name))


def changed() -> list[str]:
    """The models that a test has changed since they were built or last asked for: their weights, hooks or mode."""
    found = [name for name, (built, state) in _SHARED.items() if _state(built) != state]
    for name in found:
        del _SHARED[name]
    return found


def _state(model: PreTrainedModel) -> object:
    with torch.no_grad():
        norms = torch._foreach_norm([parameter.double() for parameter in model.parameters()])
    hooks = [
        hook for one in model.modules() for hook in (*one._forward_hooks.values(), *one._forward_pre_hooks.values())
    ]
    ours = [hook for hook in hooks if not getattr(hook, "__module__", "").startswith("transformers.")]  # it adds some
    return [float(norm) for norm in norms], ours, model.training


@functools.cache
def inputs(name: str) -> dict[str, torch.Tensor]:
    """The keyword arguments of a forward pass: token ids `[2, 7]`, and what else this family reads."""
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(3, 26, (2, 7), generator=generator)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    if name == "vit":
        return {"pixel_values": random(2, 3, 15, 15)}
    if name == "whisper":  # the encoder's convolutions halve the length: 30 frames for 15 positions
        return {"input_features": random(2, 8, 30), "decoder_input_ids": tokens}
    if name.startswith(("t5", "mt5", "umt5", "bart")):
        return {"input_ids": tokens, "decoder_input_ids": tokens[:, :5]}
    if name in ("llava", "paligemma", "gemma3 with vision"):
        n_image, size = {"llava": (9, 15), "paligemma": (9, 15), "gemma3 with vision": (4, 20)}[name]
        ids = torch.cat([tokens[:, :2], torch.full((2, n_image), 30), tokens[:, 2:]], 1)
        given = {"input_ids": ids, "pixel_values": random(2, 3, size, size)}
        return given if name == "llava" else {**given, "token_type_ids": (ids == 30).long()}
    if name in ("qwen2_vl", "qwen3_vl"):  # an image of 4 x 4 patches of 2 x 2 pixels, merged 2 x 2: 4 tokens
        image = torch.full((2, 4), 30)
        ids = torch.cat([tokens[:, :2], torch.full((2, 1), 28), image, torch.full((2, 1), 27), tokens[:, 2:]], 1)
        return {"input_ids": ids, "pixel_values": random(2 * 16, 3 * 2 * 2 * 2),
                "image_grid_thw": torch.tensor([[1, 4, 4], [1, 4, 4]]),
                "mm_token_type_ids": (ids == 30).long()}  # fmt: skip
    return {"input_ids": tokens}
