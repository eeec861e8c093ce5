"""One vocabulary for what configs say in many words: TransformerLens', for the four facts that shapes do not show.

Every fact has a list of the attributes that transformers' configs say it with, and the few model types whose config
does not say it or says it wrongly.
"""

from __future__ import annotations

from typing import Any

_N_CTX = (
    "n_positions", "max_position_embeddings", "max_seq_len", "seq_length", "max_sequence_length", "context_length",
    "max_target_positions", "max_decoder_position_embeddings",
)  # fmt: skip

_AFTER_PADDING = {
    "roberta", "roberta-prelayernorm", "xlm-roberta", "xlm-roberta-xl", "camembert", "data2vec-text",
}  # fmt: skip
"""Models whose positions are counted from one after the number of the padding token, so that fewer are left."""

_ACT_FN = (
    "activation_function", "hidden_activation", "hidden_act", "dense_act_fn", "mlp_hidden_act", "activation",
    "ff_activation",
)  # fmt: skip

_ACT_FN_OF = {
    "bloom": "gelu_fast", "mpt": "gelu", "openai-gpt": "gelu_new", "ctrl": "relu", "esm": "gelu", "lfm2": "silu",
    "lfm2_moe": "silu", "dbrx": "silu",
}  # fmt: skip
"""Activations that are fixed in the code of a model. OpenAI's GPT calls the approximation of GELU `gelu`."""

_RMS = {
    "t5", "mt5", "umt5", "longt5", "switch_transformers", "mamba", "mamba2", "falcon_mamba", "nemotron_h", "lfm2",
    "lfm2_moe",
}  # fmt: skip
"""Models with RMSNorm whose config has no `rms_norm_eps`."""

_LN = {"phimoe"}
"""Models with LayerNorm whose config has a `rms_norm_eps` all the same."""

_POSITIONS = {"absolute": "standard", "rotary": "rotary", "rope": "rotary", "nope": "none", "alibi": "alibi"}
"""The value of `position_embedding_type` in a config -> TransformerLens' word."""

_ROTARY = ("rope_parameters", "rope_theta", "rotary_dim", "rotary_pct", "rotary_emb_base", "partial_rotary_factor")

_POSITIONS_OF = {
    "bloom": "alibi", "mpt": "alibi", "roformer": "rotary", "xlnet": "relative_positional_bias", "jamba": "none",
    "nemotron_h": "none", "zamba": "none", "mamba": "none", "mamba2": "none", "falcon_mamba": "none", "rwkv": "none",
}  # fmt: skip


def vocabulary(config: Any) -> dict[str, Any]:
    """The settings of a transformers config, in TransformerLens' words.

    Args:
        config: a transformers config, or anything with such attributes. Of several models in one, the language
            model's counts, and of an encoder-decoder the decoder's.

    Returns:
        `n_ctx` (int), `act_fn` (`gelu_new`, `silu`, ...), `normalization_type` (`LN` or `RMS`) and
        `positional_embedding_type` (`standard`, `rotary`, `alibi`, `relative_positional_bias` or `none`); None for
        what nothing says.
    """
    inner = _said(config, "text_config", "decoder")
    if hasattr(inner, "to_dict"):
        return vocabulary(inner)
    model_type = str(getattr(config, "model_type", ""))
    n_ctx = _said(config, *_N_CTX)
    if model_type in _AFTER_PADDING and isinstance(n_ctx, int):
        n_ctx -= int(_said(config, "pad_token_id") or 0) + 1
    act_fn = _ACT_FN_OF.get(model_type) or _said(config, *_ACT_FN)
    rms = model_type in _RMS or (_said(config, "rms_norm_eps") is not None and model_type not in _LN)
    return {
        "n_ctx": n_ctx if isinstance(n_ctx, int) else _patches(config),
        "act_fn": act_fn if isinstance(act_fn, str) else None,
        "normalization_type": "RMS" if rms else "LN",
        "positional_embedding_type": _positions(config, model_type),
    }


def _said(config: Any, *names: str) -> Any:
    """The first of these attributes that a config has and that is not None."""
    return next((value for name in names if (value := getattr(config, name, None)) is not None), None)


def _patches(config: Any) -> int | None:
    """How many positions a vision model has: its patches, and one more for the class."""
    image, patch = _said(config, "image_size"), _said(config, "patch_size")
    if image is None or patch is None:
        return None
    (high, wide), (by, across) = (size if isinstance(size, list | tuple) else (size, size) for size in (image, patch))
    return int(high // by) * int(wide // across) + 1


def _positions(config: Any, model_type: str) -> str:
    if model_type in _POSITIONS_OF:
        return _POSITIONS_OF[model_type]
    if _said(config, "alibi"):
        return "alibi"
    if _said(config, "relative_attention") or _said(config, "relative_attention_num_buckets"):
        return "relative_positional_bias"
    said = _said(config, "position_embedding_type")
    if said in _POSITIONS:
        return _POSITIONS[said]
    if getattr(config, "use_mem_rope", True) is False:
        return "none"
    # a rotary_dim of None is rotary as well: all of the head is rotated
    return "rotary" if any(hasattr(config, name) for name in _ROTARY) else "standard"
