"""Tasks for the widget: whether a model can be run on one, a typed text as one, and one in the words of the wire."""

from __future__ import annotations

import re
from typing import Any

import torch

from headgrid.anatomy.anatomy import Anatomy
from headgrid.anatomy.stacks import count_of
from headgrid.circuits.strings import TokenStrings
from headgrid.experiments.runs import Runs
from headgrid.experiments.task import Task
from headgrid.utils import arguments
from headgrid.widget.compute import to_wire
from headgrid.widget.compute.next_tokens import likeliest_ids
from headgrid.widget.wire.empty import NO_TASK
from headgrid.widget.wire.schema import Prompt, TaskState

MOST_ROWS = 1000
"""The rows whose texts are sent."""

LONGEST = 2000
"""Characters of the text of a row that are sent, but for the text that was typed."""

METRICS = {
    "logit_diff": "logit difference", "log_prob": "log probability", "prob": "probability", "loss": "loss",
    "kl": "KL divergence",
}  # fmt: skip
OF_ANSWERS = ("logit_diff", "log_prob", "prob")


def why_not(model: torch.nn.Module | None) -> str:
    """Why a model cannot be run on a text; "" where it can."""
    if model is None:
        return (
            "There is no model to run: this grid was made of a config, an anatomy or files of weights. Give "
            "HeadGrid the model"
        )
    if any(one.is_meta for one in model.parameters()):
        return (
            "There is no model to run: its weights are on the meta device, or brought for each call of it alone. "
            "Load the model with its weights"
        )
    return ""


def checked(task: Any, model: torch.nn.Module | None) -> Task | None:
    """A task that a model can be run on, or None.

    Raises:
        TypeError: for what is no task.
        ValueError: when there is no model to run, or it does not know the task's tokens.
    """
    if task is None:
        return None
    if not isinstance(task, Task):
        raise TypeError(f"task is a headgrid.Task or None, not {arguments.shown(task)}")
    if model is None or why_not(model):
        raise ValueError(why_not(model))
    Runs(model, task)
    return task


def metric_of(task: Task) -> str:
    """The metric of a task in words."""
    return METRICS.get(task.metric_name, arguments.printable(task.metric_name)[:LONGEST])


# ---- a text that was typed


def example(model: torch.nn.Module | None, tokenizer: Any) -> str:
    """The text that a model's configuration gives as an example, `example_prompt`; "" where there is none to read."""
    text = getattr(getattr(model, "config", None), "example_prompt", None)
    return text if isinstance(text, str) and callable(tokenizer) and not why_not(model) else ""


def typed(model: torch.nn.Module, anatomy: Anatomy, tokenizer: Any, prompt: Prompt) -> Task:
    """The task of a typed text: the log probability of what the model itself says next.

    Args:
        model: the model.
        anatomy: what it is made of.
        tokenizer: its tokenizer; without one the text is token ids, with blanks or commas between them.
        prompt: the text, and perhaps the one that it is contrasted with.

    Raises:
        ValueError: when the text is no task for this model; the message says what to type.
    """
    texts = [prompt["text"], prompt["contrast"]] if prompt["contrast"].strip() else [prompt["text"]]
    ids = [_ids(text, anatomy, tokenizer, ("text", "contrast text")[at]) for at, text in enumerate(texts)]
    if len(ids) > 1 and len(ids[0]) != len(ids[1]):
        raise ValueError(
            f"The contrast text has {count_of(len(ids[1]), 'token')} and the text {len(ids[0])}: they are compared "
            "place by place, so type one of as many"
        )
    inputs, *others = [_inputs(model, one) for one in ids]
    contrast = others[0] if others else None
    draft = Task(tokenizer, inputs, answers=[0], corrupted=contrast)
    answer = likeliest_ids(Runs(model, draft), 1)[0]
    return Task(tokenizer, inputs, answers=[answer], corrupted=contrast, metric="log_prob")


def _ids(text: str, anatomy: Anatomy, tokenizer: Any, what: str) -> list[int]:
    if tokenizer is None:
        found = _numbers(text, anatomy.d_vocab, what)
    elif not callable(tokenizer):
        raise ValueError("This tokenizer reads no text, it only shows tokens: give HeadGrid one of transformers")
    else:
        found = _read(text, tokenizer) if text.strip() else []
    if not found:
        raise ValueError(f"The {what} has no tokens: type at least one")
    if anatomy.n_ctx is not None and len(found) > anatomy.n_ctx:
        raise ValueError(
            f"The {what} has {len(found):,} tokens, and {anatomy.name} reads {anatomy.n_ctx:,} at most: shorten it"
        )
    if anatomy.d_vocab and max(found) >= anatomy.d_vocab:
        raise ValueError(
            f"The {what} has the token {max(found)}, and the ids of {anatomy.name} end at {anatomy.d_vocab - 1}"
            + ("" if tokenizer is None else ": this is the tokenizer of another model")
        )
    return found


def _read(text: str, tokenizer: Any) -> list[int]:
    """The ids of a text. What the text begins with itself, as the rows of a task do, is not put before it again."""
    whole = [int(one) for one in tokenizer(text)["input_ids"]]
    if len(whole) > 1 and whole[0] == whole[1] and whole[0] in getattr(tokenizer, "all_special_ids", ()):
        return [int(one) for one in tokenizer(text, add_special_tokens=False)["input_ids"]]
    return whole


def _numbers(text: str, d_vocab: int, what: str) -> list[int]:
    words = [word for word in re.split(r"[\s,]+", text) if word]
    for word in words:
        if not re.fullmatch("[0-9]{1,9}", word):
            most = f" from 0 to {d_vocab - 1}" if d_vocab else ""
            raise ValueError(
                f"{arguments.shown(word)} is no token id. This grid has no tokenizer, so a {what} is token ids{most}, "
                "such as 5 17 3"
            )
    return [int(word) for word in words]


def _inputs(model: torch.nn.Module, ids: list[int]) -> Any:
    """The arguments of a model for one row."""
    config = getattr(model, "config", None)
    given = torch.tensor([ids])
    if not getattr(config, "is_encoder_decoder", False):
        return given
    start = getattr(config, "decoder_start_token_id", None)
    start = getattr(config, "bos_token_id", None) if start is None else start
    return {"input_ids": given, "decoder_input_ids": torch.tensor([[0 if start is None else int(start)]])}


# ---- a task in the words of the wire


def tokens_of(runs: Runs) -> list[str]:
    """The tokens of a task of one row, without what only fills it up."""
    string = None if runs.task.tokenizer is None else TokenStrings(runs.task.tokenizer)
    ids = runs.task.ids[0][runs.task.mask[0].bool()].tolist()
    return [to_wire.word(one if string is None else string(one)) for one in ids]


def state_of(task: Task | None, model: torch.nn.Module | None, prompt: Prompt, typed: bool) -> TaskState:
    """A task, or none, as the wire has it.

    Args:
        task: the task.
        model: the model that is asked.
        prompt: the last that was asked for; of a typed text the one that it is of.
        typed: whether the task is of a typed text.
    """
    base: TaskState = {**NO_TASK, "available": not why_not(model), "prompt": prompt["n"]}
    if task is None:
        return base
    rows = range(min(task.n_rows, MOST_ROWS))
    said = f"{arguments.printable(task.name)[:LONGEST] or 'task'}, {count_of(task.n_rows, 'row')}"
    return {
        **base,
        "typed": typed,
        "name": "" if typed else said,
        "rows": [to_wire.word(prompt["text"])] if typed else [_text(task, task.inputs, row) for row in rows],
        "contrasts": _contrasts(task, prompt, typed),
        "answers": [_answer(task, row) for row in rows] if task.metric_name in OF_ANSWERS else [],
        "metric": metric_of(task),
    }


def _contrasts(task: Task, prompt: Prompt, typed: bool) -> list[str]:
    if task.corrupted is None:
        return []
    if typed:
        return [to_wire.word(prompt["contrast"])]
    return [_text(task, task.corrupted, row) for row in range(min(task.n_rows, MOST_ROWS))]


def _text(task: Task, given: Any, row: int) -> str:
    """The text of a row, of what an encoder reads where there is one."""
    key = "input_ids" if "input_ids" in given else "decoder_input_ids"
    ids, mask = given[key][row], given.get("attention_mask")
    if mask is not None and mask.shape == given[key].shape:
        ids = ids[mask[row].bool()]
    listed = ids.tolist()
    if task.tokenizer is None:
        text = " ".join(map(str, listed))
    else:
        decode = getattr(task.tokenizer, "decode", None)
        text = str(decode(listed)) if decode is not None else " ".join(map(TokenStrings(task.tokenizer), listed))
    return to_wire.word(text if len(text) <= LONGEST else text[: LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}")


def _answer(task: Task, row: int) -> str:
    """What is scored of a row: `' mary' rather than ' john'`."""
    string = None if task.tokenizer is None else TokenStrings(task.tokenizer)

    def named(ids: torch.Tensor) -> str:
        words = [to_wire.word(one if string is None else string(one)) for one in ids.tolist() if one >= 0]
        return " or ".join(words if string is None else map(repr, words))

    assert task.answers is not None
    rather = f" rather than {named(task.wrong[row])}" if task.wrong is not None and task.metric == "logit_diff" else ""
    return named(task.answers[row]) + rather
