"""A small trained GPT-2 that ships with headgrid: two layers of four heads, whose jobs are known and measured.

``model/README.md`` is the model card: what each head does, and how the model was made. What trains it and measures it
again is in the repository, in ``scripts/demo_model``, and is not installed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from headgrid.demo.prompts import PROMPTS, AnsweredPrompt, NamePrompts, name_prompts, repeated_tokens
from headgrid.torch_state import shielded

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = ["FOLDER", "PROMPTS", "AnsweredPrompt", "NamePrompts", "demo", "name_prompts", "repeated_tokens"]

FOLDER = Path(__file__).parent / "model"
"""Where the shipped files are: also a checkpoint folder for whatever reads one."""


def demo() -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load the small model and its tokenizer from the package; needs no network, and gives a new model at each call.

    The model is a float32 ``GPT2LMHeadModel`` in eval mode, with attention computed step by step ("eager"), so that
    ``model(ids, output_attentions=True)`` works. The tokenizer puts ``<bos>`` first.
    """
    # not at the top: importing headgrid must not take the seconds that transformers needs
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # it loads at once; a bar in every notebook would only be noise
    try:
        with shielded():
            model = AutoModelForCausalLM.from_pretrained(FOLDER, local_files_only=True, attn_implementation="eager")
    finally:
        if bars:
            logging.enable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(FOLDER, local_files_only=True)
    return model.to(torch.float32).eval(), tokenizer
