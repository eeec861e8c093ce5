"""Small trained models that ship with headgrid, whose heads have known jobs, measured: `demo` loads one by its name.

Each folder has a card, ``README.md``: what each head does, and how the model was made. What trains the models and
measures them again is in the repository, in ``scripts/demo_model``, and is not installed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headgrid.demo.marked_names import MarkedNamePrompts, marked_name_prompts
from headgrid.demo.prompts import PROMPTS, AnsweredPrompt, NamePrompts, name_prompts, repeated_tokens
from headgrid.demo.shipped import CHECKPOINTS, FOLDER, MODELS, DemoName, folder_of, tokenizer_folder
from headgrid.torch_state import shielded

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

__all__ = [
    "CHECKPOINTS",
    "FOLDER",
    "MODELS",
    "PROMPTS",
    "AnsweredPrompt",
    "MarkedNamePrompts",
    "NamePrompts",
    "demo",
    "folder_of",
    "marked_name_prompts",
    "name_prompts",
    "repeated_tokens",
]


def demo(name: DemoName = "small", *, step: int | None = None) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """Load a small model and its tokenizer from the package; needs no network, and gives a new model at each call.

        model, tokenizer = hg.demo()
        model, tokenizer = hg.demo("names")
        model, tokenizer = hg.demo("training", step=725)

    The model is float32, in eval mode, with attention computed step by step ("eager"), so that
    ``model(ids, output_attentions=True)`` works. The tokenizer puts ``<bos>`` first.

    Args:
        name: which model, one of `headgrid.demo.MODELS`, which says what each is:

            - "small": two layers of four heads; induction, names and facts.
            - "training": checkpoints around the step at which induction is learned.
            - "gqa": grouped-query attention, one induction head.
            - "names": three layers; a name task, in which one head marks the name that was said twice.
            - "types": a current-token, a first-token, a previous-token and a duplicate-token head.
        step: of "training", how many steps it was trained: one of `headgrid.demo.CHECKPOINTS`, the last by default.

    Raises:
        TypeError, ValueError: for a name or a step that there is not; the message says which there are.
    """
    # not at the top: importing headgrid must not take the seconds that transformers needs
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    folder = folder_of(name, step)
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # it loads at once; a bar in every notebook would only be noise
    try:
        with shielded():
            model = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True, attn_implementation="eager")
    finally:
        if bars:
            logging.enable_progress_bar()
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_folder(name), local_files_only=True)
    return model.to(torch.float32).eval(), tokenizer
