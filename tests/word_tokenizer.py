"""A tokenizer of words, with the blank before a word in its token, and years in two tokens, as that of GPT-2."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from headgrid.library import prompts

TOKEN = r" ?[A-Za-z]+| ?\d\d|\s+|[^\sA-Za-z\d]"

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"

SENTENCES = (
    "Then came to the, and handed a to", "The lasted from the year", "So is a really good, isn't he she", "The (",
    "\ndef run(self, ):", '    """The\n\n    :param', "The that liked the is are",
)  # fmt: skip


def words() -> list[str]:
    """Every word of the tasks."""
    lists: Iterable[Any] = [
        value for name, value in vars(prompts).items() if name.isupper() and isinstance(value, list)
    ]
    return [word for one in lists for word in one]


def word_tokenizer(without: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """The tokenizer; it does not know the words in `without`."""
    known = [token for text in SENTENCES for token in re.findall(TOKEN, text)]
    known += [f" {word}" for word in words() if word not in set(without)]
    known += [f" {word}s" for word in prompts.SUBJECTS if word not in set(without)]
    known += [
        *LETTERS,
        *(f"{year:02}" for year in range(100)),
        *(f" {century}" for century in range(11, 18)),
        "\n",
        "    ",
    ]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys(["<unk>", *known, " run", "\n\n    ", "\n    "]))}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Split(Regex(TOKEN), "isolated")
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>")
