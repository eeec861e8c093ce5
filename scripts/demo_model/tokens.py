"""The tokenizer of the small model: one token per word of the language, letters and digits for everything else.

A Unigram model (Kudo 2018, arXiv:1804.10959) picks the segmentation with the highest total score. Words of the
language score far above single characters, so a known word is one token and an unknown one is spelled out.
"""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo_model.language import vocabulary
from headgrid.utils import files

BOS, PAD, UNK = "<bos>", "<pad>", "<unk>"
SPECIAL = (BOS, PAD, UNK)
"""The special tokens; their ids are 0, 1 and 2."""

CONTEXT = 128
"""Number of positions of the model."""

SPACE = "▁"  # SentencePiece's sign for "a word starts here"
WORD_SCORE, CHARACTER_SCORE = -1.0, -10.0


def build_tokenizer(words: Sequence[str] | None = None, context: int = CONTEXT) -> Any:
    """Build the tokenizer from the words of a language alone: nothing is trained, so it is the same for every seed.

    It lowers case, sets punctuation apart, and puts ``<bos>`` before every text.
    Returns a ``transformers.PreTrainedTokenizerFast``.

    Args:
        words: each gets a token of its own; those of `demo_model.language` by default.
        context: how many tokens a text may have.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = [(token, 0.0) for token in SPECIAL]
    pieces += [(SPACE + word, WORD_SCORE) for word in (vocabulary() if words is None else words)]
    pieces += [(character, CHARACTER_SCORE) for character in SPACE + string.ascii_lowercase + string.digits + "?!'-"]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=SPECIAL.index(UNK), byte_fallback=False))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"\w+|[^\w\s]"), behavior="removed", invert=True),
            pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme="always"),
        ]
    )
    tokenizer.decoder = decoders.Metaspace(replacement=SPACE, prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, SPECIAL.index(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=BOS,  # as GPT-2 does: one token both starts and ends a text
        pad_token=PAD,
        unk_token=UNK,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def word_ids(tokenizer: Any) -> dict[str, int]:
    """Look up the token id of each word that has one of its own."""
    return {piece[len(SPACE) :]: i for piece, i in tokenizer.get_vocab().items() if piece[:1] == SPACE != piece}


def save_tokenizer(tokenizer: Any, folder: Path) -> None:
    """Write ``tokenizer.json`` and a ``tokenizer_config.json`` that versions 4 and 5 of transformers both read."""
    tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))
    # Written by hand: version 5's save_pretrained names a tokenizer class that version 4 does not have.
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        # without this, version 4 also gives token_type_ids, and GPT-2 adds the embedding of token 0 for each of them
        "model_input_names": ["input_ids", "attention_mask"],
        "bos_token": BOS,
        "eos_token": BOS,
        "pad_token": PAD,
        "unk_token": UNK,
        "model_max_length": tokenizer.model_max_length,
        "clean_up_tokenization_spaces": False,
    }
    files.write(folder / "tokenizer_config.json", json.dumps(config, indent=2) + "\n")
