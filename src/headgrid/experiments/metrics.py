"""Metrics of next-token distributions: one number for each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import torch

NamedMetric = Literal["logit_diff", "log_prob", "prob", "loss", "kl"]
METRICS: tuple[NamedMetric, ...] = ("logit_diff", "log_prob", "prob", "loss", "kl")
TaskMetric: TypeAlias = NamedMetric | Callable[[Any], torch.Tensor]

UNITS = {"logit_diff": "logits", "logit": "logits", "log_prob": "nats", "prob": "", "loss": "nats", "kl": "nats"}


def answer_metric(metric: str, logits: torch.Tensor, answers: torch.Tensor, wrong: torch.Tensor | None) -> torch.Tensor:
    """A metric of answers at each scored position, averaged over these.

    Args:
        metric: "logit_diff", "log_prob" or "prob"; or "logit", the mean logit of the answers.
        logits: `[rows, k, d_vocab]`.
        answers, wrong: token ids `[rows, n]`, filled up with -1.
    """
    if metric == "logit":
        found = _mean(logits, answers)
    elif metric == "logit_diff":
        assert wrong is not None
        found = _mean(logits, answers) - _mean(logits, wrong.to(logits.device))
    else:
        each = _picked(logits.log_softmax(-1), answers).masked_fill((answers < 0)[:, None], -torch.inf)
        found = each.logsumexp(-1)
        found = found.exp() if metric == "prob" else found
    return found.mean(-1)


def _picked(values: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """The entries of some tokens, `[rows, k, n]`."""
    index = ids.clamp(min=0)[:, None].expand(-1, values.shape[1], -1)
    return values.gather(-1, index)


def _mean(logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    there = (ids >= 0)[:, None]
    return (_picked(logits, ids) * there).sum(-1) / there.sum(-1)


def loss_metric(logits: torch.Tensor, following: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """The mean negative log probability of the tokens that follow, over the positions that count, `[rows]`."""
    each = -logits.log_softmax(-1).gather(-1, following[..., None])[..., 0]
    return (each * counted).sum(-1) / counted.sum(-1)


def kl_metric(clean: torch.Tensor, logits: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """KL(clean || run) over the positions that count, `[rows]`."""
    before, after = clean.log_softmax(-1), logits.log_softmax(-1)
    each = (before.exp() * (before - after)).sum(-1)
    return (each * counted).sum(-1) / counted.sum(-1)
