"""The figures of the card of the model that `headgrid.demo()` gives; the keys are the ``$names`` in ``card.md``."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch

from demo_model.language import FACTS, all_facts
from demo_model.measure import (
    OV,
    QK,
    ablated,
    ablated_mlp,
    answer_probabilities,
    attention_scores,
    composition,
    copying_score,
    half_losses,
    heads_of,
    name_attention,
    name_scores,
    previous_in_text,
    random_compositions,
)
from demo_model.tables import kilobytes, name_of, row, signed, strongest
from headgrid.demo import FOLDER, PROMPTS, demo, name_prompts, repeated_tokens


def figures() -> dict[str, str]:
    """Measure everything that the card says; the keys are the ``$names`` in ``card.md``."""
    model, tokenizer = demo()
    repeated = repeated_tokens(tokenizer, n=64)
    scores = attention_scores(model, repeated)
    in_text = previous_in_text(model, name_prompts(tokenizer).ids)
    previous, induction = strongest(scores["previous"]), strongest(scores["induction"])
    writes, reads = OV(model, previous), QK(model, induction).T
    between, by_chance = composition(writes, reads), random_compositions(writes, reads)
    first, second = half_losses(model, repeated)
    return {
        "previous": name_of(previous),
        "induction": name_of(induction),
        "first": f"{first:.2f}",
        "second": f"{second:.2f}",
        "composition": f"{between:.3f}",
        "chance": f"{by_chance.mean():.3f}",
        "spread": f"{by_chance.std():.3f}",
        "z": f"{(between - by_chance.mean()) / by_chance.std():.0f}",
        "kilobytes": kilobytes(FOLDER),
        "parameters": f"{model.num_parameters():,}",
        "d_mlp": str(model.config.n_inner),
        "n_vocab": str(model.config.vocab_size),
        "attention_table": attention_table(model, scores | {"previous, in text": in_text}),
        "ablation_table": ablation_table(model, tokenizer, repeated),
        "name_table": name_table(model, tokenizer),
        "role_table": role_table(model, tokenizer),
        "third": third_names(model, tokenizer),
        "joint_table": joint_table(model, tokenizer),
        "fact_table": fact_table(model, tokenizer),
        "prompt_table": prompt_table(model, tokenizer),
    }


def attention_table(model: Any, scores: dict[str, torch.Tensor]) -> str:
    """What each head attends to and how large its weights are."""
    lines = [
        row("head", *scores, "copying", "‖OV‖", "‖QK‖"),
        row("---", *["---:"] * (len(scores) + 3)),
    ]
    for head in heads_of(model):
        attends = [f"{score[head]:.2f}" for score in scores.values()]
        weights = [
            signed(copying_score(model, head), 2),
            f"{OV(model, head).norm():.1f}",
            f"{QK(model, head).norm():.2f}",
        ]
        lines.append(row(f"`{name_of(head)}`", *attends, *weights))
    return "\n".join(lines)


def ablation_table(model: Any, tokenizer: Any, repeated: torch.Tensor) -> str:
    """What ablating each head and each MLP costs on the second copy, the name task and the facts."""
    names, facts = name_prompts(tokenizer), fact_prompts()
    intact = half_losses(model, repeated)[1]
    lines = [
        row("without", "nats, mean", "nats, zero", "p, mean", "p, zero", "logits, mean", "logits, zero", "facts, zero"),
        row("---", *["---:"] * 7),
    ]
    parts: dict[str, Callable[..., AbstractContextManager[None]]] = {"nothing": partial(ablated, model, [])}
    parts |= {f"`{name_of(head)}`": partial(ablated, model, [head]) for head in heads_of(model)}
    parts |= {f"`l{layer} mlp`": partial(ablated_mlp, model, layer) for layer in range(model.config.n_layer)}
    for part, without in parts.items():
        nats, chances, gaps = [], [], []
        for mean in (True, False):
            with without(mean=mean):
                nats.append(signed(half_losses(model, repeated)[1] - intact, 2))
                p, _, gap = name_scores(model, names)
                chances.append(f"{p:.3f}")
                gaps.append(signed(gap, 1))
        with without(mean=False):  # facts of different kinds have nothing in common at a position, so no mean
            known = f"{answer_probabilities(model, tokenizer, facts).mean():.3f}"
        lines.append(row(part, *nats, *chances, *gaps, known))
    return "\n".join(lines)


def name_table(model: Any, tokenizer: Any) -> str:
    """How well the name task is done, on the pairs of names seen in training and on those held out."""
    lines = [row("pairs of names", "mean p", "smallest p", "mean logit difference"), row("---", *["---:"] * 3)]
    for label, unseen in (("seen in training", False), ("held out", True)):
        p, smallest, gap = name_scores(model, name_prompts(tokenizer, unseen=unseen))
        lines.append(row(label, f"{p:.3f}", f"{smallest:.2f}", f"{gap:.1f}"))
    return "\n".join(lines)


def role_table(model: Any, tokenizer: Any) -> str:
    """Where each head looks when the next word is to be the right name."""
    attends = name_attention(model, name_prompts(tokenizer))
    attends["giver, a third name"] = name_attention(model, name_prompts(tokenizer, third=True))["giver"]
    lines = [row("head", *attends), row("---", *["---:"] * len(attends))]
    for head in heads_of(model):
        lines.append(row(f"`{name_of(head)}`", *(f"{score[head]:.2f}" for score in attends.values())))
    return "\n".join(lines)


def third_names(model: Any, tokenizer: Any) -> str:
    """How often each of the two names comes next, in percent, when a third one gives."""
    names = name_prompts(tokenizer, third=True)
    with torch.no_grad():
        p = model(input_ids=names.ids).logits[:, -1].softmax(-1)
    right, wrong = (p.gather(1, name[:, None]).mean() for name in (names.right, names.wrong))
    return f"{100 * right:.0f} and {100 * wrong:.0f} %"


def joint_table(model: Any, tokenizer: Any) -> str:
    """What is left of the name task without the heads that look at a name, all of one role at once.

    A mover puts at least a quarter of its attention on the right name, a suppressor at least half on the giver's.
    """
    names = name_prompts(tokenizer)
    attends = name_attention(model, names)
    roles = {
        "movers": [head for head in heads_of(model) if attends["right"][head] >= 0.25],
        "suppressors": [head for head in heads_of(model) if attends["giver"][head] >= 0.5],
    }
    lines = [
        row("without", "heads", "p, mean", "p, zero", "logits, mean", "logits, zero"),
        row("---", "---", *["---:"] * 4),
    ]
    for role, heads in roles.items():
        chances, gaps = [], []
        for mean in (True, False):
            with ablated(model, heads, mean=mean):
                p, _, gap = name_scores(model, names)
            chances.append(f"{p:.3f}")
            gaps.append(signed(gap, 1))
        lines.append(row(role, ", ".join(f"`{name_of(head)}`" for head in heads), *chances, *gaps))
    return "\n".join(lines)


def fact_prompts(kind: str | None = None) -> list[tuple[str, str]]:
    """Text and answer of every fact, or of those of one kind."""
    return [(" ".join(words[:at]), words[at]) for words, at, of_kind in all_facts() if kind in (None, of_kind)]


def fact_table(model: Any, tokenizer: Any) -> str:
    """The probability of the answer for each kind of one-hop fact."""
    lines = [row("kind", "sentence", "facts", "mean p", "smallest p"), row("---", "---", *["---:"] * 3)]
    for kind, (sentence, pairs) in FACTS.items():
        p = answer_probabilities(model, tokenizer, fact_prompts(kind))
        lines.append(row(kind, f"`{sentence.format('…', '…')}`", len(pairs), f"{p.mean():.3f}", f"{p.min():.2f}"))
    return "\n".join(lines)


def prompt_table(model: Any, tokenizer: Any) -> str:
    """The probability of the answer of each prompt in ``PROMPTS``."""
    lines = [row("prompt", "answer", "p"), row("---", "---", "---:")]
    chances = answer_probabilities(model, tokenizer, list(PROMPTS.values()))
    lines += [row(f"`{text}`", answer, f"{p:.3f}") for (text, answer), p in zip(PROMPTS.values(), chances, strict=True)]
    return "\n".join(lines)
