"""Small random models of every family in the table. No two sizes are equal, so that a transposition shows."""

from __future__ import annotations

import functools

import torch
import transformers
from transformers import PretrainedConfig, PreTrainedModel

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
}  # fmt: skip

FAMILIES = list(CONFIGS)


def config(name: str) -> PretrainedConfig:
    kind, sizes = CONFIGS[name]
    return getattr(transformers, kind)(**sizes)


def fresh(name: str) -> PreTrainedModel:
    """A model whose every weight is random: no bias or norm gain is left at 0 or 1, where a mistake would not show."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config(name), attn_implementation="eager")
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.3, generator=generator)
    return model.eval()


@functools.cache
def model(name: str) -> PreTrainedModel:
    """The same model for every test that does not change it."""
    return fresh(name)


@functools.cache
def tokens() -> torch.Tensor:
    """A batch of token ids, shape `[2, 7]`."""
    return torch.randint(3, 31, (2, 7), generator=torch.Generator().manual_seed(2))
