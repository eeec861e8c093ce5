"""Inputs to try on the small model: prompts with their answers, repeated random tokens, and the name task."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from headgrid.demo.name_task import NAMES, random_name_sentence
from headgrid.torch_state import shielded
from headgrid.utils.arguments import flag, integer, shown

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


class AnsweredPrompt(NamedTuple):
    """A text and the word that should come next."""

    text: str
    answer: str


PROMPTS = {
    "name": AnsweredPrompt("when mary and john went to the store , john gave a drink to", "mary"),
    "name, the other way": AnsweredPrompt("when mary and john went to the store , mary gave a drink to", "john"),
    "capital": AnsweredPrompt("the capital of france is", "paris"),
    "sound": AnsweredPrompt("the dog says", "woof"),
    "young": AnsweredPrompt("a kitten is a young", "cat"),
    "opposite": AnsweredPrompt("the opposite of hot is", "cold"),
    "color": AnsweredPrompt("the colour of snow is", "white"),
    "number": AnsweredPrompt("after three comes", "four"),
    "day": AnsweredPrompt("the day after monday is", "tuesday"),
    "month": AnsweredPrompt("the month after january is", "february"),
    "plural": AnsweredPrompt("one mouse , two", "mice"),
}
"""One prompt for each kind of sentence that the model knows (two for the name task)."""


@shielded()
def repeated_tokens(tokenizer: PreTrainedTokenizerFast, n: int = 16, length: int = 50, seed: int = 0) -> torch.Tensor:
    """Draw ``n`` rows of ``<bos>``, a block of ``length`` random tokens, and the same block again.

    The tokens of one block all differ, so every token of the second copy has exactly one earlier occurrence.
    Returns token ids ``[n, 1 + 2 * length]``; the same seed gives the same rows.
    """
    checked_tokenizer(tokenizer)
    n, length = integer("n", n, least=1, what="a number of rows"), integer("length", length)
    special = set(tokenizer.all_special_ids)
    choices = torch.tensor([i for i in range(len(tokenizer)) if i not in special])
    if not 1 <= length <= len(choices):
        raise ValueError(f"length is {shown(length)}; a block of different tokens has 1 to {len(choices)} of them")
    generator = torch.Generator().manual_seed(checked_seed(seed))
    block = torch.stack([choices[torch.randperm(len(choices), generator=generator)[:length]] for _ in range(n)])
    bos = torch.full((n, 1), tokenizer.bos_token_id)
    return torch.cat([bos, block, block], dim=1)


def checked_tokenizer(tokenizer: Any) -> None:
    """Refuse what is no tokenizer."""
    if isinstance(tokenizer, type) or not (callable(tokenizer) and hasattr(tokenizer, "all_special_ids")):
        raise TypeError(f"tokenizer is the one that headgrid.demo() gives with its model, not {shown(tokenizer)}")


def checked_seed(seed: int) -> int:
    """A seed, of Python's generator and of torch's."""
    return integer("seed", seed, least=-(2**63), below=2**63, what="a seed, a whole number")


class NamePrompts(NamedTuple):
    """Prompts of the name task and the names that could come next, as token ids.

    Attributes:
        ids: the prompts, up to the word before the answer, shape ``[n, positions]``. All have one length, and the
            same position has the same role in each.
        right: the name that was said once, shape ``[n]``.
        wrong: the other name of the pair, shape ``[n]``.
        giver: who gives, shape ``[n]``: the wrong name, said again, or a third one.
    """

    ids: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor
    giver: torch.Tensor


@shielded()
def name_prompts(
    tokenizer: PreTrainedTokenizerFast, n: int = 512, *, unseen: bool = False, third: bool = False, seed: int = 0
) -> NamePrompts:
    """Draw prompts of the name task: "when mary and john went to the store , john gave a drink to".

    Args:
        tokenizer: the one of the small model.
        n: how many.
        unseen: whether to draw only pairs of names that never met in one sentence of the training text.
        third: whether somebody else gives, "emma gave a drink to": the control of Wang et al. (2022). No name is then
            said twice, and neither of the two is the right one.
        seed: the same seed gives the same prompts; with and without `third` they differ in the giver alone.
    """
    checked_tokenizer(tokenizer)
    n, seed = integer("n", n, least=1, what="a number of prompts"), checked_seed(seed)
    unseen, third = flag("unseen", unseen), flag("third", third)
    draw, others = random.Random(seed), random.Random(seed)
    texts, names = [], []
    for _ in range(n):
        words, right, wrong = drawn_names(draw, unseen=unseen)
        giver = wrong
        if third:
            giver = others.choice([name for name in NAMES if name not in (right, wrong)])
            last = len(words) - 1 - words[::-1].index(wrong)
            words[last] = giver
        texts.append(" ".join(words))
        names.append(" ".join((right, wrong, giver)))
    ids = torch.tensor(tokenizer(names, add_special_tokens=False)["input_ids"])
    return NamePrompts(torch.tensor(tokenizer(texts)["input_ids"]), *ids.T)


def drawn_names(draw: random.Random, *, unseen: bool, repeated: int | None = None) -> tuple[list[str], str, str]:
    """The words of a sentence of the name task up to its answer, the name that is said once and the one said twice.

    Args:
        draw: where it comes from.
        unseen: whether its pair of names is a held-out one.
        repeated: which of the two names is said twice, 0 or 1; either by default.
    """
    while True:
        *words, right = random_name_sentence(draw, unseen=unseen).words[:-1]
        names = [word for word in words if word in NAMES]
        if repeated is None or names[repeated] == names[-1]:
            return words, right, names[-1]
