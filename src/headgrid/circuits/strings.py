"""Tokens as strings that can be read and told apart, whatever library the tokenizer is of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from headgrid.arguments import shown


def _byte_letters() -> dict[str, int]:
    """The letters that byte-level tokenizers (GPT-2's) write bytes as: themselves, or those from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}


BYTES = _byte_letters()


METHODS = ("convert_ids_to_tokens", "id_to_token", "decode")
"""What a tokenizer of any library makes a string of an id with: the first of these that it has."""


def tokenizer(value: Any) -> Any:
    """A tokenizer, or None for none; a TypeError for anything else."""
    if value is not None:
        _decoder(value)
    return value


def _decoder(value: Any) -> str:
    if not isinstance(value, type | str | bytes | bytearray):  # a class of tokenizers has the methods, and no tokens
        for name in METHODS:
            if callable(getattr(value, name, None)):
                return name
    raise TypeError(f"a tokenizer has {', '.join(METHODS[:-1])} or {METHODS[-1]}; {shown(value)} is none")


class TokenStrings:
    """Calls make a readable string of a token id; which marks a tokenizer has for spaces is asked of its decoder.

    Attributes:
        size: how many tokens the tokenizer has; None where it does not say.
    """

    def __init__(self, tokenizer: Any, d_vocab: int) -> None:
        self._of = getattr(tokenizer, _decoder(tokenizer))
        self._decodes = _decoder(tokenizer) == METHODS[-1]
        count = getattr(tokenizer, "get_vocab_size", None) or getattr(tokenizer, "__len__", None)
        self.size = getattr(tokenizer, "n_vocab", None) if count is None else int(count())
        if d_vocab and self.size is not None and self.size > d_vocab:
            raise ValueError(
                f"the tokenizer has {self.size:,} tokens, more than the {d_vocab:,} of the model: give the tokenizer "
                f"that the model was trained with, or resize the model (model.resize_token_embeddings({self.size}))"
            )
        join = getattr(tokenizer, "convert_tokens_to_string", None)
        join = join or getattr(getattr(tokenizer, "decoder", None), "decode", None)
        self._bytes, self._marks = _joins(join, ["aĠb"]), _joins(join, ["a", "▁b"])
        added = (
            getattr(tokenizer, "added_tokens_decoder", None) or getattr(tokenizer, "get_added_tokens_decoder", dict)()
        )
        self._added = {int(i): bool(getattr(token, "special", True)) for i, token in dict(added).items()}
        self._known: dict[int, str] = {}

    def __call__(self, token_id: int) -> str:
        """The string of a token."""
        if token_id not in self._known:
            self._known[token_id] = self._shown(token_id) or f"[id {token_id}]"
        return self._known[token_id]

    def _shown(self, token_id: int) -> str:
        try:
            token = None if token_id < 0 else self._of([token_id] if self._decodes else token_id)
        except Exception:  # each tokenizer has its own for an id that it does not know
            return ""
        if isinstance(token, bytes):
            return _text(token)
        text, special = str("" if token is None else token), self._added.get(token_id)
        if self._bytes and special is None and all(letter in BYTES for letter in text):
            return _text(bytes(BYTES[letter] for letter in text))
        return _escaped(text.replace("▁", " ") if self._marks and not special else text)


def _joins(join: Callable[[list[str]], str] | None, pieces: list[str]) -> bool:
    """Whether a tokenizer makes `a b` of these pieces, whose space is written as a mark."""
    try:
        return join is not None and join(pieces).strip() == "a b"
    except Exception:  # a decoder that does not take them has other marks
        return False


def _text(data: bytes) -> str:
    """Bytes as text, those that are none as `<0xE2>`."""
    text = data.decode("utf-8", "surrogateescape")
    return "".join(f"<0x{ord(c) - 0xDC00:02X}>" if 0xDC80 <= ord(c) <= 0xDCFF else _escaped(c) for c in text)


def _escaped(text: str) -> str:
    """Text with a backslash, and all white space but the space, written as in Python."""
    return "".join(c if c.isprintable() and c != "\\" else repr(c)[1:-1] for c in text)
