"""Batches of token ids, from whatever a task is given, and how tokens are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from headgrid.utils import arguments

_INPUTS = "texts, one for each row; token ids [rows, pos]; or a mapping of the model's arguments with input_ids"


@dataclass(frozen=True, eq=False)
class Batch:
    """The arguments of a model for a batch of rows.

    Attributes:
        arguments: as the model is called with them.
        ids, mask: the ids whose positions the outputs have (the decoder's, of an encoder-decoder), and which of them
            are tokens.
        mask_token: the id of the mask of a masked language model, where a tokenizer says it has one.
    """

    arguments: dict[str, torch.Tensor]
    ids: torch.Tensor
    mask: torch.Tensor
    mask_token: int | None = None

    @property
    def rows(self) -> int:
        """The number of rows."""
        return len(self.ids)

    def take(self, index: torch.Tensor) -> Batch:
        """Some of its rows."""
        picked = {
            key: value[index] if value.ndim and len(value) == self.rows else value
            for key, value in self.arguments.items()
        }
        return Batch(picked, self.ids[index], self.mask[index], self.mask_token)

    def last_position(self) -> torch.Tensor:
        """Where each row is answered: at its mask token, where each has one, else at its last token, `[rows, 1]`."""
        if self.mask_token is not None:
            masks = self.ids == self.mask_token
            if (masks.sum(1) == 1).all():
                return masks.to(torch.long).argmax(1, keepdim=True)
        n = self.ids.shape[1]
        return (torch.arange(n) * self.mask).argmax(1, keepdim=True)


def batch_of(name: str, given: Any, tokenizer: Any, side: str) -> Batch:
    """The batch that an argument describes.

    Raises:
        TypeError: when it is nothing of that kind.
        ValueError: when it is empty, or its tensors do not fit each other.
    """
    mask_token = getattr(tokenizer, "mask_token_id", None)
    if isinstance(given, Mapping):
        return _of_arguments(name, given, mask_token)
    if isinstance(given, torch.Tensor):
        ids = _ids(name, given)
        return Batch({"input_ids": ids}, ids, torch.ones_like(ids), mask_token)
    texts = arguments.items(name, [given] if isinstance(given, str) else given, _INPUTS)
    if all(isinstance(one, str) for one in texts):
        if tokenizer is None:
            raise ValueError(f"{name} are texts, and there is no tokenizer: give the model's, or token ids")
        listed = [list(tokenizer(text)["input_ids"]) for text in texts]
    else:
        listed = [
            [arguments.integer(f"each token id of {name}", one, least=0) for one in arguments.items(name, row, _INPUTS)]
            for row in texts
        ]
    if min(map(len, listed)) == 0:
        raise ValueError(f"row {[len(one) for one in listed].index(0)} of {name} has no token")
    return _padded(listed, tokenizer, side, mask_token)


def _padded(listed: Sequence[Sequence[int]], tokenizer: Any, side: str, mask_token: int | None) -> Batch:
    n = max(map(len, listed))
    filler = next(
        (one for name in ("pad", "eos", "bos") if (one := getattr(tokenizer, f"{name}_token_id", None)) is not None), 0
    )
    ids, mask = torch.full((len(listed), n), filler), torch.zeros(len(listed), n, dtype=torch.long)
    for row, one in enumerate(listed):
        at = slice(0, len(one)) if side == "right" else slice(n - len(one), n)
        ids[row, at], mask[row, at] = torch.tensor(one), 1
    given = {"input_ids": ids}
    if not mask.all():
        given["attention_mask"] = mask
        if side == "left":
            given["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)
    return Batch(given, ids, mask, mask_token)


def _of_arguments(name: str, given: Mapping[Any, Any], mask_token: int | None) -> Batch:
    found: dict[str, torch.Tensor] = {}
    for key, value in given.items():
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise TypeError(f"{name} is {_INPUTS}; {arguments.shown(key)} is {arguments.shown(value)}")
        found[key] = _ours(value)
    read = "decoder_input_ids" if "decoder_input_ids" in found else "input_ids"
    if read not in found:
        raise ValueError(f"{name} has no input_ids: it has {', '.join(found) or 'nothing'}")
    ids = _ids(f"{read} of {name}", found[read])
    mask = found.get(read.replace("input_ids", "attention_mask"))
    if mask is not None and mask.shape != ids.shape:
        raise ValueError(f"the mask of {name} is {list(mask.shape)}, its token ids are {list(ids.shape)}")
    return Batch(found, ids, torch.ones_like(ids) if mask is None else mask.long(), mask_token)


def _ids(name: str, given: torch.Tensor) -> torch.Tensor:
    if given.ndim != 2 or given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
        raise TypeError(f"{name} is token ids, whole numbers [rows, pos], not {arguments.shown(given)}")
    if not given.numel():
        raise ValueError(f"{name} is {arguments.shown(given)}, which has no token")
    return _ours(given).long()


def _ours(given: torch.Tensor) -> torch.Tensor:
    """A caller's tensor on the CPU; a copy of one of inference mode, which no gradient could pass by."""
    return given.detach().cpu().clone() if given.is_inference() else given.detach().cpu()


def misaligned(batch: Batch, other: Batch, tokenizer: Any) -> str:
    """What is wrong where corrupted inputs are not as long as the inputs, row by row; "" where they are."""
    if other.rows != batch.rows:
        return f"there are {batch.rows} inputs and {other.rows} corrupted ones: give one for each"
    for row in range(batch.rows):
        lengths = [int(one.mask[row].sum()) for one in (batch, other)]
        if lengths[0] != lengths[1]:
            said = [
                " ".join(shown_tokens(one.ids[row][one.mask[row].bool()].tolist(), tokenizer)) for one in (batch, other)
            ]
            return (
                f"row {row} has {lengths[0]} tokens, and corrupted {lengths[1]}: they are compared by position, "
                f"so both must have as many\n  {said[0]}\n  {said[1]}"
            )
    if set(other.arguments) != set(batch.arguments):
        return f"the corrupted inputs have {', '.join(other.arguments)}, the inputs {', '.join(batch.arguments)}"
    return ""


def ids_of_answers(name: str, given: Any, tokenizer: Any, rows: int) -> torch.Tensor:
    """The token ids of answers, `[rows, n]`, filled up with -1 where a row has fewer.

    Raises:
        TypeError: when it is nothing of that kind.
        ValueError: when an answer is several tokens, or there are more or fewer than rows.
    """
    what = "a text or token id for each row, or a list of several for each"
    if isinstance(given, torch.Tensor):
        if given.is_meta:
            raise ValueError(f"{name} is a tensor on the meta device, which has no numbers: give one on a real device")
        given = given.tolist() if given.ndim else given
    if isinstance(given, str | int):
        given = [given]
    listed = arguments.items(name, given, what)
    if len(listed) != rows:
        raise ValueError(f"there are {rows} rows and {len(listed)} {name}: give one for each, or a list for each")
    found = [
        [
            _id(name, one, tokenizer, what)
            for one in ([each] if isinstance(each, str | int) else arguments.items(name, each, what))
        ]
        for each in listed
    ]
    n = max(map(len, found))
    return torch.tensor([[*row, *[-1] * (n - len(row))] for row in found])


def _id(name: str, given: Any, tokenizer: Any, what: str) -> int:
    if not isinstance(given, str):
        return arguments.integer(f"each of {name}", given, least=0, what=what)
    if tokenizer is None:
        raise ValueError(f"{name} are texts, and there is no tokenizer: give the model's, or token ids")
    ids = list(tokenizer(given, add_special_tokens=False)["input_ids"])
    if len(ids) != 1:
        said = ", ".join(map(repr, shown_tokens(ids, tokenizer))) or "none"
        raise ValueError(
            f"{given!r} of {name} is {len(ids)} tokens ({said}) where one is asked: give one token, or "
            "the id of the first, and mind the blank before a word"
        )
    if ids[0] == getattr(tokenizer, "unk_token_id", None):
        raise ValueError(f"{given!r} of {name} is no token of this tokenizer: it reads it as unknown")
    return int(ids[0])


def shown_tokens(ids: Sequence[int], tokenizer: Any) -> list[str]:
    """Tokens in strings that can be read: a blank before a word is left out, other blanks are shown."""
    if tokenizer is None:
        return [f"#{one}" for one in ids]
    decode = getattr(tokenizer, "convert_ids_to_tokens", None)
    if decode is None:
        return [str(tokenizer.decode([one])) for one in ids]
    return [
        arguments.printable(str(one).replace("\u2581", "").replace("\u0120", "") or "\u2423")
        for one in decode(list(ids))
    ]
