"""Tokens as strings that can be read and told apart, whatever library the tokenizer is of."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from headgrid.utils.arguments import shown


def _byte_letters() -> dict[str, int]:
    """The letters that byte-level tokenizers (GPT-2's) write bytes as: themselves, or those from 256 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(others)}


BYTES = _byte_letters()


METHODS = ("convert_ids_to_tokens", "id_to_token", "decode")
"""The methods by which tokenizers of any library make a string of an id: the first of these that it has."""


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

    No tokenizer is refused for its size: whoever asks for an id that it does not know gets `[id 50300]`.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._of = getattr(tokenizer, _decoder(tokenizer))
        self._decodes = _decoder(tokenizer) == METHODS[-1]
        join = getattr(tokenizer, "convert_tokens_to_string", None)
        join = join or getattr(getattr(tokenizer, "decoder", None), "decode", None)
        self._bytes, self._marks = _joins(join, ["aĠb"]), _joins(join, ["a", "▁b"])
        added = (
            getattr(tokenizer, "added_tokens_decoder", None) or getattr(tokenizer, "get_added_tokens_decoder", dict)()
        )
        self._added = {int(i): bool(getattr(token, "special", True)) for i, token in dict(added).items()}
        self._known: dict[int, str] = {}

    def unlike(self, d_vocab: int) -> Iterator[str]:
        """In sentences, which rows of a vocabulary have no token and which tokens have no row."""
        ids = _ids(self._tokenizer)
        if not d_vocab or not ids:
            return
        lacking, beyond = d_vocab - sum(i < d_vocab for i in ids), sorted(i for i in ids if i >= d_vocab)
        if lacking:
            yield f"The tokenizer has no token for {lacking:,} of the {d_vocab:,} rows of the vocabulary"
        if beyond:
            shown = ", ".join(map(self, beyond[:3])) + (", ..." if len(beyond) > 3 else "")
            wrong = "" if self._added.keys() >= {*beyond} else ". Is it the tokenizer that the model was trained with?"
            yield f"The model has no row for {len(beyond):,} of the tokenizer's tokens ({shown}){wrong}"

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


def _ids(tokenizer: Any) -> set[int]:
    """The ids that a tokenizer has a token for; none where it does not say."""
    try:
        if hasattr(tokenizer, "get_vocab"):
            return {int(i) for i in dict(tokenizer.get_vocab()).values() if int(i) >= 0}
        count = getattr(tokenizer, "get_vocab_size", None) or getattr(tokenizer, "__len__", None)
        size = getattr(tokenizer, "n_vocab", None) if count is None else count()
        return set(range(int(size or 0)))
    except Exception:  # the code of others; what it does not say is asked of each id
        return set()


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
