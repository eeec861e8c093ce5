"""Prompts of the marked-name task, in which repetition is the only cue, and its two controls."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch

from headgrid.demo.name_task import NAMES
from headgrid.demo.prompts import checked_seed, checked_tokenizer, drawn_names
from headgrid.torch_state import shielded
from headgrid.utils.arguments import flag, integer, one_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

Mention = Literal["first", "second"]


class MarkedNamePrompts(NamedTuple):
    """Prompts of the marked-name task, as token ids, and where their names stand.

    Attributes:
        ids: the prompts, up to the word before the answer, shape ``[n, positions]``; all have one length.
        right: the name that was said once, shape ``[n]``.
        wrong: the other name of the pair, which was said twice but in the controls, shape ``[n]``.
        third: who takes the place of `wrong` at one mention, shape ``[n]``; `wrong` itself without a control.
        first: where the wrong name is said first, or stands a third name, shape ``[n]``: positions.
        second: the same of the second mention.
        other: where the right name is said, shape ``[n]``.
    """

    ids: torch.Tensor
    right: torch.Tensor
    wrong: torch.Tensor
    third: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    other: torch.Tensor


@shielded()
def marked_name_prompts(
    tokenizer: PreTrainedTokenizerFast, n: int = 256, *, third: Mention | None = None, unseen: bool = False,
    seed: int = 0,
) -> MarkedNamePrompts:  # fmt: skip
    """Draw prompts for the model "names": "when mary and john went to the store , john gave a drink to".

    A blank holds one of the names that were said once, so in a control, where none is said twice, all three are right.

        clean = marked_name_prompts(tokenizer)
        control = marked_name_prompts(tokenizer, third="first")
        task = hg.Task(tokenizer, clean.ids, answers=clean.right, wrong=clean.wrong, corrupted=control.ids)

    Args:
        tokenizer: that of the model "names", or another that knows these words.
        n: how many; in half of them the first name is the one that is repeated.
        third: where a third name stands for the wrong one: at its "second" mention, which is the control of Wang et al.
            (2022); or at its "first", so that the name before the verb stays. None is without.
        unseen: whether to draw only pairs of names of which neither was repeated beside the other in training.
        seed: the same seed gives the same prompts, which differ in one word from those of the controls.
    """
    checked_tokenizer(tokenizer)
    n, seed = integer("n", n, least=1, what="a number of prompts"), checked_seed(seed)
    mention = None if third is None else one_of("third", third, ("first", "second"))
    draw, others = random.Random(seed), random.Random(seed)
    texts, names, places = [], [], []
    for row in range(n):
        words, right, wrong = drawn_names(draw, unseen=flag("unseen", unseen), repeated=row % 2)
        at = [place for place, word in enumerate(words) if word == wrong]
        another = others.choice([name for name in NAMES if name not in (right, wrong)])
        if mention is not None:
            words[at[mention == "second"]] = another
        texts.append(" ".join(words))
        names.append(" ".join((right, wrong, wrong if mention is None else another)))
        places.append([1 + at[0], 1 + at[1], 1 + words.index(right)])  # <bos> stands before them
    ids = torch.tensor(tokenizer(names, add_special_tokens=False)["input_ids"])
    return MarkedNamePrompts(torch.tensor(tokenizer(texts)["input_ids"]), *ids.T, *torch.tensor(places).T)
