"""Inputs to try on the small model: prompts with their answers, and repeated random tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class Prompt(NamedTuple):
    """A text and the word that should come next."""

    text: str
    answer: str


PROMPTS = {
    "name": Prompt("when mary and john went to the store , john gave a drink to", "mary"),
    "name, the other way": Prompt("when mary and john went to the store , mary gave a drink to", "john"),
    "capital": Prompt("the capital of france is", "paris"),
    "sound": Prompt("the dog says", "woof"),
    "young": Prompt("a kitten is a young", "cat"),
    "opposite": Prompt("the opposite of hot is", "cold"),
    "colour": Prompt("the colour of snow is", "white"),
    "number": Prompt("after three comes", "four"),
    "day": Prompt("the day after monday is", "tuesday"),
    "month": Prompt("the month after january is", "february"),
    "plural": Prompt("one mouse , two", "mice"),
}
"""One prompt for each kind of sentence that the model knows (two for the name task)."""


def repeated_tokens(tokenizer: PreTrainedTokenizerFast, n: int = 16, length: int = 50, seed: int = 0) -> torch.Tensor:
    """Draw ``n`` rows of ``<bos>``, a block of ``length`` random tokens, and the same block again.

    The tokens of one block all differ, so every token of the second copy has exactly one earlier occurrence.
    Returns token ids ``[n, 1 + 2 * length]``; the same seed gives the same rows.
    """
    special = set(tokenizer.all_special_ids)
    choices = torch.tensor([i for i in range(len(tokenizer)) if i not in special])
    if not 1 <= length <= len(choices):
        raise ValueError(f"length is {length}; a block of different tokens has 1 to {len(choices)} of them")
    generator = torch.Generator().manual_seed(seed)
    block = torch.stack([choices[torch.randperm(len(choices), generator=generator)[:length]] for _ in range(n)])
    bos = torch.full((n, 1), tokenizer.bos_token_id)
    return torch.cat([bos, block, block], dim=1)
